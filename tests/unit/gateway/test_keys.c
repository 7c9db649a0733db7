#include "cmocka_all.h"
#include "db/schema.h"
#include "gateway/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct store {
    char path[64], url[80];
    fh_db *db;
    fh_keys *keys;
} store;

static store *reopen(store *s)
{
    fh_keys_close(s->keys);
    fh_db_close(s->db);
    s->db = NULL;
    s->keys = NULL;
    assert_int_equal(fh_db_open(&s->db, s->url, NULL), 0);
    assert_int_equal(fh_db_migrate_schema(s->db, NULL), 0);
    assert_int_equal(fh_keys_open(&s->keys, s->db, 1000, NULL), 0);
    return s;
}

static int setup(void **state)
{
    store *s = calloc(1, sizeof *s);
    strcpy(s->path, "/tmp/fh-keys-XXXXXX");
    if (!mkdtemp(s->path)) return -1;
    snprintf(s->url, sizeof s->url, "sqlite:%s/k.db", s->path);
    *state = reopen(s);
    return 0;
}

static int teardown(void **state)
{
    store *s = *state;
    char command[128];
    fh_keys_close(s->keys);
    fh_db_close(s->db);
    snprintf(command, sizeof command, "rm -rf %s", s->path);
    int rc = system(command);
    free(s);
    return rc;
}

static fh_key make(store *s, fh_scope scope, int64_t expires, char text[FH_KEY_LEN + 1])
{
    fh_key spec = {.name = "test", .scope = scope, .expires_utc_ns = expires}, made;
    assert_int_equal(fh_keys_create(s->keys, &spec, 1000, &made, text, NULL), 0);
    return made;
}

static int check(store *s, const char *text, int64_t now)
{
    fh_key key;
    return fh_keys_check(s->keys, fh_str_of(text), now, &key, NULL);
}

static void a_key_has_its_shape_and_opens(void **state)
{
    store *s = *state;
    char text[FH_KEY_LEN + 1];
    fh_key made = make(s, FH_SCOPE_ADMIN, 0, text);
    assert_int_equal(strlen(text), 55);
    assert_memory_equal(text, "fh_", 3);
    assert_memory_equal(text + 3, made.id, 8);
    assert_int_equal(text[11], '_');
    assert_int_equal(check(s, text, 2000), 0);
}

static void what_is_no_key_is_refused(void **state)
{
    store *s = *state;
    char text[FH_KEY_LEN + 1], other[FH_KEY_LEN + 2];
    make(s, FH_SCOPE_USE, 0, text);
    const char *bad[] = {"", "x", "fh_", "fh_aaaaaaaa_", "Bearer", "fh_00000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_equal(check(s, bad[i], 2000), FH_E_UNAUTHENTICATED);
    for (size_t i = 0; i < FH_KEY_LEN; i++) { /* any one character changed */
        strcpy(other, text);
        other[i] = other[i] == 'A' ? 'B' : 'A';
        assert_int_equal(check(s, other, 2000), FH_E_UNAUTHENTICATED);
    }
    snprintf(other, sizeof other, "%sA", text);
    assert_int_equal(check(s, other, 2000), FH_E_UNAUTHENTICATED);
}

static void a_revoked_key_stays_revoked_after_a_restart(void **state)
{
    store *s = *state;
    char text[FH_KEY_LEN + 1], kept[FH_KEY_LEN + 1];
    fh_key made = make(s, FH_SCOPE_USE, 0, text), revoked;
    make(s, FH_SCOPE_USE, 0, kept);
    assert_int_equal(fh_keys_revoke(s->keys, fh_str_of(made.id), 3000, &revoked, NULL), 0);
    assert_int_equal(revoked.revoked_utc_ns, 3000);
    assert_int_equal(fh_keys_revoke(s->keys, fh_str_of(made.id), 4000, &revoked, NULL), 0);
    assert_int_equal(revoked.revoked_utc_ns, 3000);
    assert_int_equal(check(s, text, 3001), FH_E_UNAUTHENTICATED);
    reopen(s);
    assert_int_equal(check(s, text, 3001), FH_E_UNAUTHENTICATED);
    assert_int_equal(check(s, kept, 3001), 0);
    assert_int_equal(fh_keys_revoke(s->keys, FH_STR("nothere1"), 1, NULL, NULL), FH_E_NOT_FOUND);
}

static void an_expired_key_ends_and_is_removed(void **state)
{
    store *s = *state;
    char text[FH_KEY_LEN + 1], later[FH_KEY_LEN + 1];
    make(s, FH_SCOPE_ADMIN, 5000, text);
    assert_int_equal(check(s, text, 4999), 0);
    assert_int_equal(check(s, text, 5000), FH_E_UNAUTHENTICATED);
    assert_int_equal(fh_keys_count(s->keys), 1);
    fh_key spec = {.name = "later", .scope = FH_SCOPE_USE};
    assert_int_equal(fh_keys_create(s->keys, &spec, 6000, NULL, later, NULL), 0);
    assert_int_equal(fh_keys_count(s->keys), 1);
    assert_int_equal(check(s, later, 6000), 0);
}

static void the_database_holds_no_secret(void **state)
{
    store *s = *state;
    char text[FH_KEY_LEN + 1], path[128];
    make(s, FH_SCOPE_ADMIN, 0, text);
    const char *suffixes[] = {"k.db", "k.db-wal"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", s->path, suffixes[i]);
        FILE *f = fopen(path, "rb");
        if (!f) continue;
        static char all[1 << 20];
        size_t n = fread(all, 1, sizeof all, f);
        fclose(f);
        assert_null(memmem(all, n, text + 12, 43));
        assert_null(memmem(all, n, text, 55));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_key_has_its_shape_and_opens, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_key_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_revoked_key_stays_revoked_after_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(an_expired_key_ends_and_is_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(the_database_holds_no_secret, setup, teardown),
    };
    return cmocka_run_group_tests_name("gateway/keys", tests, NULL, NULL);
}
