/* The database: values go in and come out as they were, migrations are whole or absent, a newer file is refused, no failing call loses or
 * invents data, and what was committed survives kill -9. */
#include "cmocka_all.h"
#include "torture.h"

#include "db/schema.h"
#include "sys/file.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64], url[256];

static const fh_migration two[] = {
    {1, "CREATE TABLE t(k INTEGER PRIMARY KEY, v TEXT) STRICT"},
    {2, "CREATE TABLE u(k INTEGER PRIMARY KEY); INSERT INTO u SELECT k FROM t"},
};

static int fresh(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/fh-db-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(url, sizeof(url), "sqlite:%s/db", folder);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    return fh_dir_remove(folder, NULL);
}

static fh_db *opened(size_t migrations)
{
    fh_db *db = NULL;
    fh_err *err = NULL;
    int rc = fh_db_open(&db, url, &err);
    if (rc == 0) rc = fh_db_migrate(db, two, migrations, &err);
    if (rc != 0) fail_msg("%s", fh_err_message(err));
    return db;
}

static int64_t number(fh_db *db, const char *sql)
{
    fh_stmt *s = NULL;
    bool row = false;
    assert_int_equal(fh_db_query(db, &s, NULL, sql, ""), 0);
    assert_int_equal(fh_stmt_step(s, &row, NULL), 0);
    assert_true(row);
    int64_t n = fh_stmt_int(s, 0);
    fh_stmt_free(s);
    return n;
}

static void values_come_back_as_they_went_in(void **state)
{
    (void)state;
    FH_AUTO(fh_db) fh_db *db = opened(0);
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    bool row;
    fh_str blob = {"a\0b", 3};
    assert_int_equal(
        fh_db_query(db, &s, NULL, "SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7", "isSbdns", INT64_MIN, "text", FH_STR("slice"), blob, 0.5, NULL), 0);
    assert_int_equal(fh_stmt_step(s, &row, NULL), 0);
    assert_true(row);
    assert_true(fh_stmt_int(s, 0) == INT64_MIN);
    assert_true(fh_str_eqs(fh_stmt_str(s, 1), "text"));
    assert_true(fh_str_eqs(fh_stmt_str(s, 2), "slice"));
    assert_true(fh_str_eq(fh_stmt_str(s, 3), blob));
    assert_true(fh_stmt_real(s, 4) == 0.5);
    assert_null(fh_stmt_str(s, 5).ptr);
    assert_null(fh_stmt_str(s, 6).ptr);
    assert_int_equal(fh_stmt_step(s, &row, NULL), 0);
    assert_false(row);
}

static void a_statement_with_the_wrong_number_of_values_is_an_error(void **state)
{
    (void)state;
    FH_AUTO(fh_db) fh_db *db = opened(1);
    fh_err *err = NULL;
    assert_int_equal(fh_db_exec(db, &err, "INSERT INTO t VALUES(?1, ?2)", "i", (int64_t)1), FH_E_INTERNAL);
    assert_int_equal(fh_db_exec(db, &err, "NONSENSE", ""), FH_E_INTERNAL);
    fh_err_free(err);
}

static void a_rolled_back_transaction_leaves_nothing(void **state)
{
    (void)state;
    FH_AUTO(fh_db) fh_db *db = opened(1);
    assert_int_equal(fh_db_begin(db, NULL), 0);
    assert_int_equal(fh_db_exec(db, NULL, "INSERT INTO t VALUES(1, 'x')", ""), 0);
    assert_int_equal(number(db, "SELECT count(*) FROM t"), 1);
    fh_db_rollback(db);
    fh_db_rollback(db);
    assert_int_equal(number(db, "SELECT count(*) FROM t"), 0);
}

static void a_broken_rule_is_a_conflict(void **state)
{
    (void)state;
    FH_AUTO(fh_db) fh_db *db = opened(1);
    fh_err *err = NULL;
    assert_int_equal(fh_db_exec(db, NULL, "INSERT INTO t VALUES(1, 'x')", ""), 0);
    assert_int_equal(fh_db_exec(db, &err, "INSERT INTO t VALUES(1, 'y')", ""), FH_E_CONFLICT);
    fh_err_free(err);
}

static void a_migration_keeps_a_copy_of_what_was_there(void **state)
{
    (void)state;
    fh_db *db = opened(1);
    assert_int_equal(fh_db_exec(db, NULL, "INSERT INTO t VALUES(7, 'x')", ""), 0);
    fh_db_close(db);
    db = opened(2);
    assert_int_equal(number(db, "SELECT k FROM u"), 7);
    fh_db_close(db);
    char copy[160];
    snprintf(copy, sizeof(copy), "%s/db.before-2", folder);
    assert_true(fh_file_exists(copy));
    snprintf(url, sizeof(url), "sqlite:%s", copy);
    db = opened(1); /* the copy is of the old version, and whole */
    assert_int_equal(number(db, "SELECT k FROM t"), 7);
    assert_int_equal(number(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'u'"), 0);
    fh_db_close(db);
}

static void a_newer_database_is_refused_and_left_alone(void **state)
{
    (void)state;
    fh_db_close(opened(2));
    FH_AUTO(fh_db) fh_db *db = NULL;
    fh_err *err = NULL;
    assert_int_equal(fh_db_open(&db, url, NULL), 0);
    assert_int_equal(fh_db_migrate(db, two, 1, &err), FH_E_CONFLICT);
    assert_non_null(strstr(fh_err_message(err), "version 2"));
    assert_non_null(fh_err_hint_get(err));
    fh_err_free(err);
    assert_int_equal(number(db, "PRAGMA user_version"), 2);
}

static void a_failing_migration_changes_nothing(void **state)
{
    (void)state;
    fh_db_close(opened(1));
    static const fh_migration bad[] = {{1, ""}, {2, "CREATE TABLE fine(k); CREATE TABLE broken("}};
    FH_AUTO(fh_db) fh_db *db = NULL;
    fh_err *err = NULL;
    assert_int_equal(fh_db_open(&db, url, NULL), 0);
    assert_int_not_equal(fh_db_migrate(db, bad, 2, &err), 0);
    assert_non_null(strstr(fh_err_message(err), "migration 2"));
    fh_err_free(err);
    assert_int_equal(number(db, "PRAGMA user_version"), 1);
    assert_int_equal(number(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'fine'"), 0);
}

static void what_is_no_database_of_ours_is_refused(void **state)
{
    (void)state;
    FH_AUTO(fh_db) fh_db *db = NULL;
    fh_err *err = NULL;
    assert_int_equal(fh_db_open(&db, "postgresql://x", &err), FH_E_UNSUPPORTED);
    char path[128];
    snprintf(path, sizeof(path), "%s/text", folder);
    char page[4096] = "this is no database at all";
    assert_int_equal(fh_file_write_atomic(path, page, sizeof(page), 0600, NULL), 0);
    snprintf(path, sizeof(path), "sqlite:%s/text", folder);
    assert_int_equal(fh_db_open(&db, path, &err), FH_E_CORRUPT);
    assert_int_equal(fh_db_open(&db, url, NULL), 0);
    assert_int_equal(fh_db_exec(db, NULL, "CREATE TABLE somebody_elses(k)", ""), 0);
    assert_int_equal(fh_db_migrate(db, two, 2, &err), FH_E_CONFLICT);
    assert_int_equal(number(db, "SELECT journal_mode = 'delete' FROM pragma_journal_mode"), 1); /* left as it was */
    fh_err_free(err);
}

static void two_connections_see_each_others_work(void **state)
{
    (void)state;
    FH_AUTO(fh_db) fh_db *a = opened(1);
    FH_AUTO(fh_db) fh_db *b = opened(1);
    for (int64_t i = 0; i < 10; i++) assert_int_equal(fh_db_exec(i % 2 ? a : b, NULL, "INSERT INTO t VALUES(?1, 'x')", "i", i), 0);
    assert_int_equal(number(a, "SELECT count(*) FROM t"), 10);
    assert_int_equal(number(b, "SELECT count(*) FROM t"), 10);
}

static void the_schema_of_this_release_is_made_from_nothing(void **state)
{
    (void)state;
    FH_AUTO(fh_db) fh_db *db = NULL;
    assert_int_equal(fh_db_open(&db, url, NULL), 0);
    assert_int_equal(fh_db_migrate_schema(db, NULL), 0);
    assert_int_equal(fh_db_migrate_schema(db, NULL), 0);
    size_t count;
    const fh_migration *list = fh_db_schema(&count);
    for (size_t i = 0; i < count; i++) assert_int_equal(list[i].number, (int)i + 1);
    assert_int_equal(number(db, "SELECT count(*) FROM sqlite_schema WHERE name IN ('deployments','deployment_events','acts','keys')"), 4);
}

/* As it was written by a release that knew so many migrations. */
static void write_of_version(size_t version)
{
    size_t count;
    const fh_migration *list = fh_db_schema(&count);
    FH_AUTO(fh_db) fh_db *db = NULL;
    assert_int_equal(fh_db_open(&db, url, NULL), 0);
    assert_int_equal(fh_db_migrate(db, list, version, NULL), 0);
    assert_int_equal(
        fh_db_exec(db, NULL, "INSERT INTO keys(id, name, secret_sha256, scopes, created_utc_ns) VALUES('aaaaaaaa', 'n', x'00', 'use', 7)",
                   ""),
        0);
    if (version >= 4) assert_int_equal(fh_db_exec(db, NULL, "UPDATE keys SET at_once = 3", ""), 0);
}

static void a_database_of_any_version_before_keeps_its_keys(void **state)
{
    (void)state;
    size_t count;
    fh_db_schema(&count);
    for (size_t version = 1; version < count; version++) {
        write_of_version(version);
        FH_AUTO(fh_db) fh_db *db = NULL;
        assert_int_equal(fh_db_open(&db, url, NULL), 0);
        assert_int_equal(fh_db_migrate_schema(db, NULL), 0);
        assert_int_equal(number(db, "PRAGMA user_version"), count);
        assert_int_equal(
            number(db, "SELECT count(*) FROM keys WHERE id = 'aaaaaaaa' AND scopes = 'use' AND created_utc_ns = 7 AND revoked_utc_ns = 0"),
            1);
        assert_int_equal(number(db, "SELECT at_once FROM keys"), version >= 4 ? 3 : 0);
        assert_int_equal(
            number(db,
                   "SELECT count(*) FROM keys WHERE models = '' AND priority = 'normal' AND priority_most = 'normal' AND used_utc_ns = 0 "
                   "AND old_sha256 = x'' AND old_until_utc_ns = 0"),
            1);
        fh_db_close(fh_take(db));
        assert_int_equal(fh_dir_remove(folder, NULL), 0);
        assert_int_equal(fh_dir_make(folder, 0700, NULL), 0);
    }
}

/* Opens, migrates, and moves a unit between two rows in one transaction. */
static int scenario(void *arg)
{
    (void)arg;
    FH_AUTO(fh_db) fh_db *db = NULL;
    fh_err *err = NULL;
    int rc = fh_db_open(&db, url, &err);
    if (rc == 0) rc = fh_db_migrate(db, two, 2, &err);
    if (rc == 0) rc = fh_db_begin(db, &err);
    if (rc == 0) {
        rc = fh_db_exec(db, &err, "INSERT INTO t VALUES((SELECT coalesce(max(k), 0) + 1 FROM t), ?1)", "s", "unit");
        if (rc == 0) rc = fh_db_exec(db, &err, "INSERT INTO u VALUES((SELECT max(k) FROM t))", "");
        if (rc == 0)
            rc = fh_db_commit(db, &err);
        else
            fh_db_rollback(db);
    }
    fh_err_free(err);
    return rc;
}

static void whatever_call_fails_a_transaction_is_whole_or_absent(void **state)
{
    (void)state;
    fh_fault kinds[] = {FH_FAULT_ALLOC, FH_FAULT_OPEN, FH_FAULT_READ, FH_FAULT_WRITE, FH_FAULT_FSYNC, FH_FAULT_RENAME};
    unsigned struck = 0;
    for (size_t i = 0; i < FH_COUNT(kinds); i++) {
        for (size_t old = 0; old < 2; old++) { /* from nothing, and from the version before, with its copy */
            char command[160];
            snprintf(command, sizeof(command), "%s/db", folder);
            fh_dir_remove(command, NULL);
            if (old) fh_db_close(opened(1));
            struck += fh_torture(kinds[i], scenario, NULL, 400);
            FH_AUTO(fh_db) fh_db *db = opened(2);
            assert_int_equal(number(db, "SELECT (SELECT count(*) FROM t) - (SELECT count(*) FROM u)"), 0);
            fh_stmt *s = NULL;
            bool row;
            assert_int_equal(fh_db_query(db, &s, NULL, "PRAGMA integrity_check", ""), 0);
            assert_int_equal(fh_stmt_step(s, &row, NULL), 0);
            assert_true(fh_str_eqs(fh_stmt_str(s, 0), "ok"));
            fh_stmt_free(s);
        }
    }
    assert_true(struck > 100);
}

static void what_was_committed_survives_kill_9(void **state)
{
    (void)state;
    fh_db_close(opened(1));
    int64_t acknowledged = 0;
    for (int round = 0; round < 5; round++) {
        int pipes[2];
        assert_int_equal(pipe(pipes), 0);
        pid_t writer = fork();
        if (writer == 0) {
            fh_db *db = NULL;
            if (fh_db_open(&db, url, NULL) != 0) _exit(1);
            for (int64_t i = acknowledged + 1;; i++) {
                if (fh_db_exec(db, NULL, "INSERT INTO t VALUES(?1, 'x')", "i", i) != 0) _exit(1);
                if (write(pipes[1], &i, sizeof(i)) != sizeof(i)) _exit(1);
            }
        }
        close(pipes[1]);
        for (int i = 0; i < 20 + round * 7; i++)
            assert_int_equal(read(pipes[0], &acknowledged, sizeof(acknowledged)), sizeof(acknowledged));
        kill(writer, SIGKILL);
        waitpid(writer, NULL, 0);
        while (read(pipes[0], &acknowledged, sizeof(acknowledged)) > 0) continue;
        close(pipes[0]);
        FH_AUTO(fh_db) fh_db *db = opened(1);
        int64_t kept = number(db, "SELECT max(k) FROM t");
        assert_true(kept == acknowledged || kept == acknowledged + 1);
        acknowledged = kept;
        assert_int_equal(number(db, "SELECT count(*) FROM t"), kept);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(values_come_back_as_they_went_in),
        TEST(a_statement_with_the_wrong_number_of_values_is_an_error),
        TEST(a_rolled_back_transaction_leaves_nothing),
        TEST(a_broken_rule_is_a_conflict),
        TEST(a_migration_keeps_a_copy_of_what_was_there),
        TEST(a_newer_database_is_refused_and_left_alone),
        TEST(a_failing_migration_changes_nothing),
        TEST(what_is_no_database_of_ours_is_refused),
        TEST(two_connections_see_each_others_work),
        TEST(the_schema_of_this_release_is_made_from_nothing),
        TEST(a_database_of_any_version_before_keeps_its_keys),
        TEST(whatever_call_fails_a_transaction_is_whole_or_absent),
        TEST(what_was_committed_survives_kill_9),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
