/* The one list of migrations of freehold: every table that the truth lives in. A migration that was released never changes; new ones are
 * added behind. */
#ifndef FH_DB_SCHEMA_H
#define FH_DB_SCHEMA_H

#include "db/db.h"

const fh_migration *fh_db_schema(size_t *ret_count);
/* Brings the database to this binary's schema: fh_db_migrate with the list above. */
int fh_db_migrate_schema(fh_db *db, fh_err **err);

#endif
