/* Values against our schemas. Pure. */
#ifndef FH_CATALOG_SCHEMA_H
#define FH_CATALOG_SCHEMA_H

#include "base/err.h"
#include "json/json.h"

/* where: what messages call the value ("models[2]"). whole: all properties must be there but those that the schema says are optional; else
 * those alone that it requires. FH_E_INVALID with the place of what is wrong as param. */
int fh_schema_check(const char *schema, const fh_json *value, const char *where, bool whole, fh_err **err);

#endif
