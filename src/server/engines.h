/* What rows of the catalogue's table of engines mean to the gateway. */
#ifndef FH_SERVER_ENGINES_H
#define FH_SERVER_ENGINES_H

#include "catalog/engines.h"
#include "gateway/ports.h"

uint32_t fh_engine_can(const fh_catalog_engine *e); /* FH_NEED_BITs; a name that the wire does not know counts for nothing */
fh_resume fh_engine_resume(const fh_catalog_engine *e);
/* By what it says in its list of models; NULL: none that we know. */
const fh_catalog_engine *fh_engine_owning(fh_str owned_by);

#endif
