/* SQLite behind the statement API. One connection, one thread; several connections of one file work beside each other (WAL, a writer waits
 * its turn).
 *
 * synchronous=FULL: what was committed survives kill -9 and a power cut. All input and output goes through vfs.c, all memory through
 * fh_alloc, so that torture tests reach each failure. */
#include "db_private.h"

#include "base/mem.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#define BUSY_MS 5000

struct fh_stmt {
    sqlite3_stmt *s;
    fh_db *db;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int once_rc;

static void initialise(void)
{
    once_rc = fh_db_memory_install();
    if (once_rc == SQLITE_OK) once_rc = sqlite3_initialize();
    if (once_rc == SQLITE_OK) once_rc = fh_db_vfs_install();
}

static int code_of(int sqlite_code)
{
    switch (sqlite_code & 0xff) {
    case SQLITE_NOMEM: return FH_E_NOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return FH_E_BUSY;
    case SQLITE_CONSTRAINT: return FH_E_CONFLICT;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT: return FH_E_CORRUPT;
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY: return FH_E_FORBIDDEN;
    case SQLITE_TOOBIG: return FH_E_TOO_LARGE;
    case SQLITE_ERROR:
    case SQLITE_MISUSE:
    case SQLITE_RANGE: return FH_E_INTERNAL;
    default: return FH_E_IO;
    }
}

int fh_db_error(fh_db *db, int sqlite_code, const char *what, fh_err **err)
{
    int code = code_of(sqlite_code);
    if (code == FH_E_NOMEM) return fh_err_nomem(err);
    int rc = fh_err_set(err, code, "database: %s: %s", what, db && db->h ? sqlite3_errmsg(db->h) : sqlite3_errstr(sqlite_code));
    if (code == FH_E_CORRUPT) fh_err_hint(err, "the file is damaged or is no database; restore it from a backup");
    if ((sqlite_code & 0xff) == SQLITE_FULL) fh_err_hint(err, "free some space on that disk and try again");
    return rc;
}

static int set_up(fh_db *db, fh_err **err)
{
    sqlite3_extended_result_codes(db->h, 1);
    sqlite3_busy_timeout(db->h, BUSY_MS);
    sqlite3_db_config(db->h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db->h, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    int rc = sqlite3_exec(db->h, "PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY;", NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : fh_db_error(db, rc, "cannot open it", err);
}

int fh_db_open(fh_db **ret, const char *url, fh_err **err)
{
    static const char scheme[] = "sqlite:";
    if (strncmp(url, scheme, sizeof(scheme) - 1) != 0 || !url[sizeof(scheme) - 1]) {
        fh_err_set(err, FH_E_UNSUPPORTED, "this build stores its state in SQLite only, not in \"%s\"", url);
        fh_err_hint(err, "use --store sqlite:PATH");
        return FH_E_UNSUPPORTED;
    }
    pthread_once(&once, initialise);
    if (once_rc != SQLITE_OK) return fh_err_set(err, FH_E_INTERNAL, "cannot set up SQLite: %s", sqlite3_errstr(once_rc));
    FH_AUTO(fh_db) fh_db *db = fh_calloc(1, sizeof(*db));
    if (db) db->path = fh_strdup(url + sizeof(scheme) - 1);
    if (!db || !db->path) return fh_err_nomem(err);
    int rc = sqlite3_open_v2(db->path, &db->h, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, FH_DB_VFS);
    if (rc != SQLITE_OK) return fh_db_error(db, rc, db->path, err);
    rc = set_up(db, err);
    if (rc == 0) *ret = fh_take(db);
    return rc;
}

void fh_db_close(fh_db *db)
{
    if (!db) return;
    sqlite3_close_v2(db->h);
    fh_free(db->path);
    fh_free(db);
}

static int simple(fh_db *db, const char *sql, fh_err **err)
{
    int rc = sqlite3_exec(db->h, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : fh_db_error(db, rc, sql, err);
}

int fh_db_begin(fh_db *db, fh_err **err)
{
    return simple(db, "BEGIN IMMEDIATE", err); /* takes the writer's turn now, so that no statement later can find it taken */
}

int fh_db_commit(fh_db *db, fh_err **err)
{
    int rc = simple(db, "COMMIT", err);
    if (rc != 0) fh_db_rollback(db);
    return rc;
}

void fh_db_rollback(fh_db *db)
{
    if (!sqlite3_get_autocommit(db->h)) sqlite3_exec(db->h, "ROLLBACK", NULL, NULL, NULL);
}

static int bind_one(sqlite3_stmt *s, int i, char letter, va_list *ap)
{
    fh_str str;
    const char *text;
    switch (letter) {
    case 'i': return sqlite3_bind_int64(s, i, va_arg(*ap, int64_t));
    case 'd': return sqlite3_bind_double(s, i, va_arg(*ap, double));
    case 'n': return sqlite3_bind_null(s, i);
    case 's': text = va_arg(*ap, const char *); return text ? sqlite3_bind_text(s, i, text, -1, SQLITE_TRANSIENT) : sqlite3_bind_null(s, i);
    case 'S':
        str = va_arg(*ap, fh_str);
        return str.ptr ? sqlite3_bind_text64(s, i, str.ptr, str.len, SQLITE_TRANSIENT, SQLITE_UTF8) : sqlite3_bind_null(s, i);
    case 'b':
        str = va_arg(*ap, fh_str);
        return str.ptr ? sqlite3_bind_blob64(s, i, str.ptr, str.len, SQLITE_TRANSIENT) : sqlite3_bind_null(s, i);
    default: return SQLITE_MISUSE;
    }
}

static int prepare(fh_db *db, fh_stmt **ret, fh_err **err, const char *sql, const char *format, va_list *ap)
{
    FH_AUTO(fh_stmt) fh_stmt *s = fh_calloc(1, sizeof(*s));
    if (!s) return fh_err_nomem(err);
    s->db = db;
    int rc = sqlite3_prepare_v2(db->h, sql, -1, &s->s, NULL);
    int n = format ? (int)strlen(format) : 0;
    if (rc == SQLITE_OK && n != sqlite3_bind_parameter_count(s->s)) rc = SQLITE_RANGE;
    for (int i = 0; rc == SQLITE_OK && i < n; i++) rc = bind_one(s->s, i + 1, format[i], ap);
    if (rc != SQLITE_OK) return fh_db_error(db, rc, sql, err);
    *ret = fh_take(s);
    return 0;
}

int fh_db_query(fh_db *db, fh_stmt **ret, fh_err **err, const char *sql, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int rc = prepare(db, ret, err, sql, format, &ap);
    va_end(ap);
    return rc;
}

int fh_db_exec(fh_db *db, fh_err **err, const char *sql, const char *format, ...)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    va_list ap;
    va_start(ap, format);
    int rc = prepare(db, &s, err, sql, format, &ap);
    va_end(ap);
    for (bool row = s != NULL; rc == 0 && row;) rc = fh_stmt_step(s, &row, err);
    return rc;
}

int fh_stmt_step(fh_stmt *s, bool *ret_row, fh_err **err)
{
    int rc = sqlite3_step(s->s);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) return fh_db_error(s->db, rc, sqlite3_sql(s->s), err);
    *ret_row = rc == SQLITE_ROW;
    return 0;
}

int64_t fh_stmt_int(fh_stmt *s, int column)
{
    return sqlite3_column_int64(s->s, column);
}

double fh_stmt_real(fh_stmt *s, int column)
{
    return sqlite3_column_double(s->s, column);
}

fh_str fh_stmt_str(fh_stmt *s, int column)
{
    int type = sqlite3_column_type(s->s, column);
    if (type == SQLITE_NULL) return (fh_str){NULL, 0};
    const void *p = type == SQLITE_BLOB ? sqlite3_column_blob(s->s, column) : sqlite3_column_text(s->s, column);
    return (fh_str){p ? p : "", (size_t)sqlite3_column_bytes(s->s, column)};
}

void fh_stmt_free(fh_stmt *s)
{
    if (!s) return;
    sqlite3_finalize(s->s);
    fh_free(s);
}
