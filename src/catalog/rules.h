/* What a schema cannot say of an entry. Pure. */
#ifndef FH_CATALOG_RULES_H
#define FH_CATALOG_RULES_H

#include "catalog/catalog.h"

/* where: "models[2]". FH_E_INVALID with the field as param: variants of one name, a percentage that its scores deny, a score or a way to
 * run it of a variant or engine that is not there, arguments that the engine gets anyway or that would run code of a repository. */
int fh_catalog_model_check(const fh_catalog_model *m, const char *where, fh_err **err);

#endif
