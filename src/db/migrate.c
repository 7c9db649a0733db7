/* Migrations: each in a transaction of its own together with the number that says it is done (PRAGMA user_version), so that kill -9 leaves
 * a database at one number or the next. Before the first that changes data of an older version, the file is copied to PATH.before-N, whole
 * and synced. */
#include "db/schema.h"
#include "db_private.h"

#include "base/buf.h"
#include "base/mem.h"
#include "sys/file.h"
#include <stdio.h>
#include <unistd.h>

#define APPLICATION_ID 0x66726568 /* "freh": so that `file` and we know the file */

static int read_pragma(fh_db *db, const char *sql, int64_t *ret, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    bool row = false;
    int rc = fh_db_query(db, &s, err, sql, "");
    if (rc == 0) rc = fh_stmt_step(s, &row, err);
    if (rc == 0) *ret = row ? fh_stmt_int(s, 0) : 0;
    return rc;
}

static int copy_pages(fh_db *db, const char *to, fh_err **err)
{
    sqlite3 *copy = NULL;
    int rc = sqlite3_open_v2(to, &copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, FH_DB_VFS);
    if (rc == SQLITE_OK) {
        sqlite3_backup *b = sqlite3_backup_init(copy, "main", db->h, "main");
        rc = b ? sqlite3_backup_step(b, -1) : sqlite3_errcode(copy);
        int end = b ? sqlite3_backup_finish(b) : SQLITE_OK;
        rc = rc == SQLITE_DONE ? end : rc;
    }
    sqlite3_close_v2(copy);
    return rc == SQLITE_OK ? 0 : fh_db_error(NULL, rc, "cannot back it up before the migration", err);
}

static int back_up(fh_db *db, int64_t version, fh_err **err)
{
    FH_AUTO(ptr) char *to = fh_asprintf("%s.before-%lld", db->path, (long long)version + 1);
    FH_AUTO(ptr) char *temporary = to ? fh_asprintf("%s.tmp", to) : NULL;
    if (!temporary) return fh_err_nomem(err);
    unlink(temporary); /* of a migration that did not end */
    int rc = copy_pages(db, temporary, err);
    if (rc == 0) rc = fh_file_rename_durable(temporary, to, err);
    if (rc != 0) unlink(temporary);
    return rc;
}

static int apply(fh_db *db, const fh_migration *m, fh_err **err)
{
    char done[64];
    snprintf(done, sizeof(done), "PRAGMA user_version=%d", m->number);
    int rc = fh_db_begin(db, err);
    if (rc != 0) return rc;
    int64_t now = 0;
    rc = read_pragma(db, "PRAGMA user_version", &now, err);
    if (rc == 0 && now >= m->number) { /* somebody else did it while we waited for our turn */
        fh_db_rollback(db);
        return 0;
    }
    int sql = rc == 0 ? sqlite3_exec(db->h, m->sql, NULL, NULL, NULL) : SQLITE_OK;
    if (sql == SQLITE_OK && rc == 0) sql = sqlite3_exec(db->h, done, NULL, NULL, NULL);
    if (sql != SQLITE_OK) rc = fh_db_error(db, sql, "migration", err);
    if (rc == 0) return fh_db_commit(db, err);
    fh_db_rollback(db);
    return fh_err_add(err, "migration %d", m->number);
}

static int refuse_newer(fh_db *db, int64_t version, size_t count, fh_err **err)
{
    int rc = fh_err_set(err, FH_E_CONFLICT, "the database %s is of version %lld, this freehold knows versions up to %zu", db->path,
                        (long long)version, count);
    fh_err_hint(err, "use the newer freehold that wrote it, or restore the backup that was made before it was upgraded (%s.before-*)",
                db->path);
    return rc;
}

/* A file of somebody else must not get our tables. */
static int check_owner(fh_db *db, int64_t version, fh_err **err)
{
    int64_t id = 0, tables = 0;
    int rc = read_pragma(db, "PRAGMA application_id", &id, err);
    if (rc == 0) rc = read_pragma(db, "SELECT count(*) FROM sqlite_schema", &tables, err);
    if (rc != 0 || id == APPLICATION_ID) return rc;
    if (version != 0 || tables != 0) {
        fh_err_set(err, FH_E_CONFLICT, "%s is a database, but not one of freehold", db->path);
        fh_err_hint(err, "give --data or --store a place that nothing else uses");
        return FH_E_CONFLICT;
    }
    int sql = sqlite3_exec(db->h, "PRAGMA application_id=1718773096", NULL, NULL, NULL);
    _Static_assert(APPLICATION_ID == 1718773096, "the number above");
    return sql == SQLITE_OK ? 0 : fh_db_error(db, sql, "cannot mark it as ours", err);
}

/* Kept in the file: once it is known to be ours, and not before, so that a refused database stays as it was. */
static int use_wal(fh_db *db, fh_err **err)
{
    int sql = sqlite3_exec(db->h, "PRAGMA journal_mode=WAL", NULL, NULL, NULL);
    return sql == SQLITE_OK ? 0 : fh_db_error(db, sql, "cannot keep a log ahead of the file", err);
}

int fh_db_migrate(fh_db *db, const fh_migration *list, size_t count, fh_err **err)
{
    int64_t version = 0;
    int rc = read_pragma(db, "PRAGMA user_version", &version, err);
    if (rc != 0) return rc;
    if (version > (int64_t)count) return refuse_newer(db, version, count, err);
    if ((rc = check_owner(db, version, err)) != 0 || (rc = use_wal(db, err)) != 0) return rc;
    if (version > 0 && version < (int64_t)count) rc = back_up(db, version, err);
    for (size_t i = (size_t)version; rc == 0 && i < count; i++) rc = apply(db, &list[i], err);
    return rc;
}

int fh_db_migrate_schema(fh_db *db, fh_err **err)
{
    size_t count;
    const fh_migration *list = fh_db_schema(&count);
    return fh_db_migrate(db, list, count, err);
}
