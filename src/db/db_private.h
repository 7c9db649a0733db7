/* What the files of db share. */
#ifndef FH_DB_PRIVATE_H
#define FH_DB_PRIVATE_H

#include "db/db.h"
#include <sqlite3.h>

#define FH_DB_VFS "freehold"

struct fh_db {
    sqlite3 *h;
    char *path;
};

int fh_db_memory_install(void); /* before sqlite3_initialize; a SQLite code */
int fh_db_vfs_install(void);
int fh_db_error(fh_db *db, int sqlite_code, const char *what, fh_err **err);

#endif
