/* Who a machine is in a pool: one file, whole or as it was before, whatever fails. */
#include "pool/identity.h"

#include "base/clock.h"
#include "pool/ca.h"
#include "sys/file.h"
#include "torture.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static char folder[64], authority[128], file[128], first_token[FH_JOIN_TOKEN_LEN + 1], second_token[FH_JOIN_TOKEN_LEN + 1];
static const fh_pool_place place = {"192.0.2.7", 8471};
static const fh_node_ask ask = {350000, "EUR"};

static int fresh(void **state)
{
    fh_join_token t = {.server = {{7}}};
    strcpy(folder, "/tmp/fh-identity-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(authority, sizeof authority, "%s/authority.pem", folder);
    snprintf(file, sizeof file, "%s/identity.json", folder);
    fh_join_token_write(&t, first_token);
    t.secret[0] = 1;
    fh_join_token_write(&t, second_token);
    return 0;
}

static int clean(void **state)
{
    return fh_dir_remove(folder, NULL);
}

static fh_identity *opened(void)
{
    fh_identity *id = NULL;
    fh_err *err = NULL;
    if (fh_identity_open(&id, folder, &err)) fail_msg("%s", fh_err_message(err));
    return id;
}

static int begin(fh_identity *id, const char *token, const char *name)
{
    return fh_identity_begin(id, &place, fh_str_of(token), name, &ask, NULL);
}

/* What the server would make of it. */
static void sign(const char *key_pem, fh_node_certificate *ret)
{
    FH_AUTO(fh_pool_ca) fh_pool_ca *ca = NULL;
    FH_AUTO(fh_pool_key) fh_pool_key *key = NULL;
    char request[FH_POOL_PEM];
    assert_int_equal(fh_pool_ca_open(&ca, authority, fh_clock_utc_ns(), NULL, NULL), 0);
    assert_int_equal(fh_pool_key_read(&key, fh_str_of(key_pem), NULL), 0);
    assert_int_equal(fh_pool_key_request(key, request, NULL), 0);
    assert_int_equal(fh_pool_ca_sign(ca, fh_str_of(request), "1", fh_clock_utc_ns(), ret, NULL), 0);
}

static void a_join_goes_on_with_its_key_after_a_restart(void **state)
{
    char key[FH_POOL_PEM];
    fh_identity *id = opened();
    assert_null(fh_identity_joined(id));
    assert_int_equal(begin(id, first_token, "den"), 0);
    snprintf(key, sizeof key, "%s", fh_identity_joining(id)->key);
    fh_identity_close(id);
    id = opened();
    assert_int_equal(begin(id, first_token, "den-2"), 0);
    assert_string_equal(fh_identity_joining(id)->key, key);
    assert_string_equal(fh_identity_joining(id)->name, "den-2");
    assert_int_equal(fh_identity_joining(id)->pin.bytes[0], 7);
    assert_int_equal(begin(id, second_token, "den"), 0); /* another token is another join */
    assert_string_not_equal(fh_identity_joining(id)->key, key);
    fh_identity_close(id);
}

static void a_machine_that_has_joined_is_itself_after_a_restart(void **state)
{
    fh_node_certificate made;
    struct stat st;
    fh_identity *id = opened();
    assert_int_equal(begin(id, first_token, "den"), 0);
    sign(fh_identity_joining(id)->key, &made);
    assert_int_equal(fh_identity_certified(id, fh_str_of(made.pem), FH_STR("den"), NULL), 0);
    assert_null(fh_identity_joining(id));
    fh_identity_close(id);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    id = opened();
    const fh_membership *m = fh_identity_joined(id);
    assert_non_null(m);
    assert_string_equal(m->certificate, made.pem);
    assert_string_equal(m->server.host, "192.0.2.7");
    assert_true(m->ask.micro == 350000);
    assert_int_equal(stat(fh_identity_pem_file(id), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    fh_link_digest shown;
    assert_int_equal(fh_link_digest_of_file(&shown, fh_identity_pem_file(id), NULL), 0);
    assert_true(fh_digest_is(&shown, &made.fingerprint));
    fh_identity_close(id);
}

static void a_new_join_leaves_the_old_membership_until_it_is_done(void **state)
{
    fh_node_certificate first, second;
    FH_AUTO(fh_identity) fh_identity *id = opened();
    assert_int_equal(begin(id, first_token, "den"), 0);
    sign(fh_identity_joining(id)->key, &first);
    assert_int_equal(fh_identity_certified(id, fh_str_of(first.pem), FH_STR("den"), NULL), 0);
    assert_int_equal(begin(id, second_token, "attic"), 0);
    assert_string_equal(fh_identity_joined(id)->name, "den");
    sign(fh_identity_joining(id)->key, &second);
    assert_int_equal(fh_identity_certified(id, fh_str_of(second.pem), FH_STR("attic"), NULL), 0);
    assert_string_equal(fh_identity_joined(id)->name, "attic");
}

static void a_certificate_of_another_key_is_not_taken(void **state)
{
    fh_node_certificate made;
    FH_AUTO(fh_pool_key) fh_pool_key *key = NULL;
    char pem[FH_POOL_PEM];
    FH_AUTO(fh_identity) fh_identity *id = opened();
    assert_int_equal(fh_pool_key_new(&key, NULL), 0);
    assert_int_equal(fh_pool_key_write(key, pem, NULL), 0);
    sign(pem, &made);
    assert_int_equal(fh_identity_certified(id, fh_str_of(made.pem), FH_STR("den"), NULL), FH_E_CONFLICT); /* none was asked for */
    assert_int_equal(begin(id, first_token, "den"), 0);
    assert_int_equal(fh_identity_certified(id, fh_str_of(made.pem), FH_STR("den"), NULL), FH_E_CORRUPT);
    assert_non_null(fh_identity_joining(id));
    sign(fh_identity_joining(id)->key, &made);
    assert_int_equal(fh_identity_certified(id, fh_str_of(made.pem), FH_STR("den"), NULL), 0);
    assert_int_equal(fh_identity_renewed(id, key, fh_str_of(made.pem), NULL), FH_E_CORRUPT);
    assert_string_equal(fh_identity_joined(id)->certificate, made.pem);
    fh_node_certificate renewed;
    sign(pem, &renewed);
    assert_int_equal(fh_identity_renewed(id, key, fh_str_of(renewed.pem), NULL), 0);
    assert_string_equal(fh_identity_joined(id)->key, pem);
}

static void a_damaged_file_is_refused_and_left_alone(void **state)
{
    static const char *const bad[] = {"", "{", "{\"joined\":{}}", "{\"joined\":{\"host\":\"h\",\"port\":70000}}"};
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        fh_identity *id = NULL;
        FH_AUTO(fh_err) fh_err *err = NULL;
        FH_AUTO(buf) fh_buf text = FH_BUF(256);
        assert_int_equal(fh_file_write_atomic(file, bad[i], strlen(bad[i]), 0600, NULL), 0);
        assert_int_equal(fh_identity_open(&id, folder, &err), FH_E_CORRUPT);
        assert_non_null(strstr(fh_err_message(err), file));
        assert_int_equal(fh_file_read(file, 256, &text, NULL), 0);
        assert_string_equal(fh_buf_cstr(&text), bad[i]);
    }
}

static void an_address_is_read_in_all_its_forms(void **state)
{
    static const struct {
        const char *text, *host;
        int port;
    } good[] = {{"https://pool.example.com:9000", "pool.example.com", 9000},
                {"https://pool.example.com/", "pool.example.com", 8471},
                {"pool.example.com", "pool.example.com", 8471},
                {"192.0.2.7:1", "192.0.2.7", 1},
                {"[2001:db8::7]", "2001:db8::7", 8471},
                {"https://[::1]:65535", "::1", 65535}};
    static const char *const bad[] = {"",         "https://",   "http://pool.example.com",
                                      "host:0",   "host:65536", "host:x",
                                      "host:",    "[::1",       "[::1]x",
                                      "[]:80",    "a/b",        "user@host",
                                      "host?x=1", "h h",        ":80",
                                      "::1",      "host:1:2"};
    fh_pool_place got;
    for (size_t i = 0; i < FH_COUNT(good); i++) {
        if (fh_pool_place_parse(fh_str_of(good[i].text), &got, NULL)) fail_msg("%s", good[i].text);
        assert_string_equal(got.host, good[i].host);
        assert_int_equal(got.port, good[i].port);
    }
    for (size_t i = 0; i < FH_COUNT(bad); i++)
        if (fh_pool_place_parse(fh_str_of(bad[i]), &got, NULL) != FH_E_USAGE) fail_msg("%s", bad[i]);
}

/* ---- whatever fails ---- */

static int begin_and_reopen(void *arg)
{
    FH_AUTO(fh_identity) fh_identity *id = NULL;
    FH_AUTO(fh_err) fh_err *err = NULL;
    int rc = fh_identity_open(&id, folder, &err);
    if (!rc) rc = fh_identity_begin(id, &place, fh_str_of(*(const char **)arg), "den", &ask, &err);
    return rc;
}

static void whatever_call_fails_the_identity_is_the_old_or_the_new_one(void **state)
{
    static const fh_fault kinds[] = {FH_FAULT_ALLOC, FH_FAULT_OPEN, FH_FAULT_READ, FH_FAULT_WRITE, FH_FAULT_FSYNC, FH_FAULT_RENAME};
    fh_node_certificate made;
    fh_identity *id = opened();
    assert_int_equal(begin(id, first_token, "den"), 0);
    sign(fh_identity_joining(id)->key, &made);
    assert_int_equal(fh_identity_certified(id, fh_str_of(made.pem), FH_STR("den"), NULL), 0);
    fh_identity_close(id);
    const char *token = second_token;
    unsigned struck = 0;
    for (size_t i = 0; i < FH_COUNT(kinds); i++) {
        struck += fh_torture(kinds[i], begin_and_reopen, &token, 300);
        id = opened();
        assert_string_equal(fh_identity_joined(id)->certificate, made.pem);
        assert_string_equal(fh_identity_joining(id)->token, second_token);
        fh_identity_close(id);
    }
    assert_true(struck > 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_join_goes_on_with_its_key_after_a_restart),
        TEST(a_machine_that_has_joined_is_itself_after_a_restart),
        TEST(a_new_join_leaves_the_old_membership_until_it_is_done),
        TEST(a_certificate_of_another_key_is_not_taken),
        TEST(a_damaged_file_is_refused_and_left_alone),
        TEST(an_address_is_read_in_all_its_forms),
        TEST(whatever_call_fails_the_identity_is_the_old_or_the_new_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
