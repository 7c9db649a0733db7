#include "base/clock.h"
#include "cmocka_all.h"
#include "folder.h"
#include "db/schema.h"
#include "gateway/keys.h"
#include "torture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    if (!folder_make(s->path, sizeof s->path)) return -1;
    snprintf(s->url, sizeof s->url, "sqlite:%s/k.db", s->path);
    *state = reopen(s);
    return 0;
}

static int teardown(void **state)
{
    store *s = *state;
    fh_keys_close(s->keys);
    fh_db_close(s->db);
    int rc = folder_remove(s->path);
    free(s);
    return rc;
}

static fh_key make(store *s, uint32_t scopes, int64_t expires, char text[FH_KEY_LEN + 1])
{
    fh_key spec = {.name = "test", .scopes = scopes, .expires_utc_ns = expires}, made;
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
    fh_key made = make(s, FH_SCOPES_ADMIN, 0, text);
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
    make(s, FH_SCOPES_USE, 0, text);
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
    fh_key made = make(s, FH_SCOPES_USE, 0, text), revoked;
    make(s, FH_SCOPES_USE, 0, kept);
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
    make(s, FH_SCOPES_ADMIN, 5000, text);
    assert_int_equal(check(s, text, 4999), 0);
    assert_int_equal(check(s, text, 5000), FH_E_UNAUTHENTICATED);
    assert_int_equal(fh_keys_count(s->keys), 1);
    fh_key spec = {.name = "later", .scopes = FH_SCOPES_USE};
    assert_int_equal(fh_keys_create(s->keys, &spec, 6000, NULL, later, NULL), 0);
    assert_int_equal(fh_keys_count(s->keys), 1);
    assert_int_equal(check(s, later, 6000), 0);
}

static void the_database_holds_no_secret(void **state)
{
    store *s = *state;
    char text[FH_KEY_LEN + 1], path[128];
    make(s, FH_SCOPES_ADMIN, 0, text);
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

static void all_that_is_said_of_a_key_survives_a_restart(void **state)
{
    store *s = *state;
    char text[FH_KEY_LEN + 1];
    fh_key spec = {.name = "all of it",
                   .scopes = FH_SCOPE_BIT(FH_SCOPE_CHAT) | FH_SCOPE_BIT(FH_SCOPE_WAKE),
                   .limits = {1, 2, 3},
                   .priority = FH_PRIORITY_LOW,
                   .priority_most = FH_PRIORITY_HIGH};
    fh_key found;
    assert_int_equal(fh_key_add_model(&spec, FH_STR("deployment/mine"), NULL), 0);
    assert_int_equal(fh_regions_add(spec.regions, FH_STR("de"), NULL), 0);
    spec.no_pages = true;
    assert_int_equal(fh_trusts_parse(FH_STR("node/den,owner/alice"), spec.trust, NULL), 0);
    strcpy(spec.owner, "bob");
    assert_int_equal(fh_keys_create(s->keys, &spec, 1000, NULL, text, NULL), 0);
    reopen(s);
    assert_int_equal(fh_keys_check(s->keys, fh_str_of(text), 2000, &found, NULL), 0);
    assert_string_equal(found.name, "all of it");
    assert_int_equal(found.scopes, spec.scopes);
    assert_int_equal(found.limits.at_once, 3);
    assert_int_equal(found.priority, FH_PRIORITY_LOW);
    assert_int_equal(found.priority_most, FH_PRIORITY_HIGH);
    assert_string_equal(found.models, "deployment/mine");
    assert_string_equal(found.regions, "de");
    assert_true(found.no_pages);
    assert_string_equal(found.trust, "own,node/den,owner/alice");
    assert_string_equal(found.owner, "bob");
}

static void a_rotated_key_opens_with_the_old_text_until_the_grace_ends(void **state)
{
    store *s = *state;
    char first[FH_KEY_LEN + 1], second[FH_KEY_LEN + 1], third[FH_KEY_LEN + 1];
    fh_key made = make(s, FH_SCOPES_USE, 0, first), rotated;
    assert_int_equal(fh_keys_rotate(s->keys, fh_str_of(made.id), 2000, 500, &rotated, second, NULL), 0);
    assert_string_equal(rotated.id, made.id);
    assert_int_equal(rotated.old_until_utc_ns, 2500);
    assert_memory_equal(second, first, 12);
    assert_string_not_equal(second, first);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(check(s, first, 2499), 0);
        assert_int_equal(check(s, first, 2500), FH_E_UNAUTHENTICATED);
        assert_int_equal(check(s, second, 9000), 0);
        reopen(s);
    }
    assert_int_equal(fh_keys_rotate(s->keys, fh_str_of(made.id), 2100, 900, &rotated, third, NULL), 0);
    assert_int_equal(check(s, first, 2101), FH_E_UNAUTHENTICATED); /* two texts at most */
    assert_int_equal(check(s, second, 2999), 0);
    assert_int_equal(check(s, third, 2999), 0);
}

static void without_grace_the_old_text_ends_at_once(void **state)
{
    store *s = *state;
    char first[FH_KEY_LEN + 1], second[FH_KEY_LEN + 1];
    fh_key made = make(s, FH_SCOPES_USE, 0, first), rotated;
    assert_int_equal(fh_keys_rotate(s->keys, fh_str_of(made.id), 2000, 0, &rotated, second, NULL), 0);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(check(s, first, 0), FH_E_UNAUTHENTICATED);
        assert_int_equal(check(s, second, 2000), 0);
        reopen(s);
    }
}

static void a_key_that_is_over_is_not_rotated(void **state)
{
    store *s = *state;
    char text[FH_KEY_LEN + 1], other[FH_KEY_LEN + 1] = "";
    fh_key ended = make(s, FH_SCOPES_USE, 5000, text), revoked = make(s, FH_SCOPES_USE, 0, text), none;
    assert_int_equal(fh_keys_revoke(s->keys, fh_str_of(revoked.id), 2000, NULL, NULL), 0);
    assert_int_equal(fh_keys_rotate(s->keys, fh_str_of(revoked.id), 3000, 9, &none, other, NULL), FH_E_CONFLICT);
    assert_int_equal(fh_keys_rotate(s->keys, fh_str_of(ended.id), 5000, 9, &none, other, NULL), FH_E_CONFLICT);
    assert_int_equal(fh_keys_rotate(s->keys, FH_STR("nothere1"), 1, 9, &none, other, NULL), FH_E_NOT_FOUND);
    assert_string_equal(other, "");
}

typedef struct rotating {
    store *s;
    char id[FH_KEY_ID_LEN + 1], text[FH_KEY_LEN + 1]; /* what was shown last */
} rotating;

static int rotate_once(void *arg)
{
    rotating *r = arg;
    char text[FH_KEY_LEN + 1] = "";
    fh_key rotated;
    int rc = fh_keys_rotate(r->s->keys, fh_str_of(r->id), 2000, 0, &rotated, text, NULL);
    if (rc)
        assert_string_equal(text, ""); /* a text that was not shown is nowhere */
    else
        strcpy(r->text, text);
    assert_int_equal(check(r->s, r->text, 2000), 0);
    return rc;
}

static void a_rotation_that_fails_leaves_the_text_that_was_shown(void **state)
{
    const fh_fault faults[] = {FH_FAULT_ALLOC, FH_FAULT_READ, FH_FAULT_WRITE, FH_FAULT_FSYNC};
    rotating r = {.s = *state};
    fh_key made = make(r.s, FH_SCOPES_USE, 0, r.text);
    strcpy(r.id, made.id);
    unsigned struck = 0;
    for (size_t i = 0; i < FH_COUNT(faults); i++) {
        struck += fh_torture(faults[i], rotate_once, &r, 500);
        reopen(r.s);
        assert_int_equal(check(r.s, r.text, 2000), 0);
    }
    assert_true(struck > 5);
}

static int64_t used(store *s)
{
    fh_key k;
    size_t i = 0;
    assert_true(fh_keys_next(s->keys, &i, &k));
    return k.used_utc_ns;
}

static void the_last_use_is_known_to_the_minute_and_written_when_told(void **state)
{
    store *s = *state;
    char text[FH_KEY_LEN + 1];
    int64_t minute = 60 * FH_NS_PER_S;
    make(s, FH_SCOPES_USE, 0, text);
    assert_int_equal(used(s), 0);
    assert_int_equal(check(s, text, 7 * minute + 59), 0);
    text[FH_KEY_LEN - 1] ^= 1;
    assert_int_equal(check(s, text, 9 * minute), FH_E_UNAUTHENTICATED); /* is no use */
    assert_int_equal(used(s), 7 * minute);
    reopen(s);
    assert_int_equal(used(s), 0);
    text[FH_KEY_LEN - 1] ^= 1;
    assert_int_equal(check(s, text, 8 * minute), 0);
    assert_int_equal(check(s, text, 6 * minute), 0); /* the clock was set back: the later one stays */
    assert_int_equal(fh_keys_write_used(s->keys, NULL), 0);
    assert_int_equal(fh_keys_write_used(s->keys, NULL), 0);
    reopen(s);
    assert_int_equal(used(s), 8 * minute);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_key_has_its_shape_and_opens, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_key_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_revoked_key_stays_revoked_after_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(an_expired_key_ends_and_is_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(the_database_holds_no_secret, setup, teardown),
        cmocka_unit_test_setup_teardown(all_that_is_said_of_a_key_survives_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(a_rotated_key_opens_with_the_old_text_until_the_grace_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(without_grace_the_old_text_ends_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_that_is_over_is_not_rotated, setup, teardown),
        cmocka_unit_test_setup_teardown(a_rotation_that_fails_leaves_the_text_that_was_shown, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_use_is_known_to_the_minute_and_written_when_told, setup, teardown),
    };
    return cmocka_run_group_tests_name("gateway/keys", tests, NULL, NULL);
}
