/* One statement API over a database that holds the truth. First store: SQLite (WAL, synchronous=FULL). A connection belongs to one thread.
 *
 * Parameters are ?1, ?2, ... Migrations are numbered; a database newer than the binary is refused; a migration backs the file up first. */
#ifndef FH_DB_DB_H
#define FH_DB_DB_H

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

typedef struct fh_db fh_db;
typedef struct fh_stmt fh_stmt;

typedef struct fh_migration {
    int number; /* 1, 2, ... without gaps */
    const char *sql;
} fh_migration;

int fh_db_open(fh_db **ret, const char *url, fh_err **err); /* sqlite:PATH */
void fh_db_close(fh_db *db);
int fh_db_migrate(fh_db *db, const fh_migration *list, size_t count, fh_err **err);
FH_DEFINE_AUTO(fh_db, fh_db_close);

int fh_db_begin(fh_db *db, fh_err **err);
int fh_db_commit(fh_db *db, fh_err **err);
void fh_db_rollback(fh_db *db); /* without an open transaction: nothing */

/* format: one letter a parameter: i int64_t, s const char* (NULL is SQL NULL), S fh_str, b fh_str as a blob, d double, n none (SQL NULL).
 */
int fh_db_exec(fh_db *db, fh_err **err, const char *sql, const char *format, ...);
int fh_db_query(fh_db *db, fh_stmt **ret, fh_err **err, const char *sql, const char *format, ...);
int fh_stmt_step(fh_stmt *s, bool *ret_row, fh_err **err);
int64_t fh_stmt_int(fh_stmt *s, int column);
double fh_stmt_real(fh_stmt *s, int column);
fh_str fh_stmt_str(fh_stmt *s, int column); /* {NULL,0} for SQL NULL; borrowed until the next step */
void fh_stmt_free(fh_stmt *s);
FH_DEFINE_AUTO(fh_stmt, fh_stmt_free);

#endif
