/* One entry of a file that follows its schema. Pure. */
#ifndef FH_CATALOG_READ_H
#define FH_CATALOG_READ_H

#include "base/arena.h"
#include "catalog/catalog.h"

/* Strings and lists lie in the arena; from must live as long. ret is zeroed before. False: memory is out. */
bool fh_catalog_model_read(fh_arena *a, const fh_json *o, const char *from, fh_catalog_model *ret);
bool fh_catalog_machine_read(fh_arena *a, const fh_json *o, const char *from, fh_catalog_machine *ret);

#endif
