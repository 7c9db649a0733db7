/* Keys that are expected: one machine, one name, one hour, and no secret that anybody could say instead. */
#include "cmocka_all.h"
#include "nodes_fixture.h"

static int grant(uint8_t key, const char *name, int64_t now)
{
    const fh_link_digest digest = {{key}};
    return fh_nodes_grant(nodes, &digest, name, now, NULL);
}

static int join(const char *name, uint8_t key, int64_t now, int64_t *ret_id, fh_err **err)
{
    fh_node_join j = {.token = FH_STR(""), .name = fh_str_of(name), .ask = {.currency = "USD"}, .key = {{key}}};
    return fh_nodes_join(nodes, &j, now, ret_id, err);
}

static void assert_refused(const char *name, uint8_t key, int64_t now, const char *why)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    int64_t id;
    assert_int_equal(join(name, key, now, &id, &err), FH_E_UNAUTHENTICATED);
    if (!strstr(fh_err_message(err), why)) fail_msg("%s", fh_err_message(err));
}

static void a_key_that_was_granted_joins_under_its_name(void **state)
{
    int64_t id = 0, again = 0;
    assert_false(fh_nodes_expect(nodes, NOW));
    assert_refused("job-1", 1, NOW, "not expected");
    assert_int_equal(grant(1, "job-1", NOW), 0);
    assert_true(fh_nodes_expect(nodes, NOW));
    assert_refused("job-1", 2, NOW, "not expected");
    assert_refused("job-2", 1, NOW, "another name");
    assert_int_equal(join("job-1", 1, NOW, &id, NULL), 0);
    assert_string_equal(fh_nodes_find_id(nodes, id)->name, "job-1");
    assert_string_equal(fh_nodes_find_id(nodes, id)->owner, "");
    assert_int_equal(join("job-1", 1, NOW + 1, &again, NULL), 0); /* a join that was cut short */
    assert_int_equal(again, id);
}

static void it_is_good_for_an_hour(void **state)
{
    assert_int_equal(grant(1, "job-1", NOW), 0);
    assert_refused("job-1", 1, NOW + HOUR, "hour");
    assert_int_equal(grant(1, "job-1", NOW + HOUR), 0); /* once: a second time makes no second hour */
    assert_refused("job-1", 1, NOW + HOUR, "hour");
}

static void what_was_used_is_not_granted_again(void **state)
{
    int64_t id = 0, again = 0;
    assert_int_equal(grant(1, "job-1", NOW), 0);
    assert_int_equal(join("job-1", 1, NOW, &id, NULL), 0);
    assert_int_equal(grant(1, "job-1", NOW), 0);
    assert_int_equal(grant(1, "job-2", NOW), 0);
    assert_refused("job-2", 1, NOW, "another name");
    assert_int_equal(fh_nodes_remove(nodes, "job-1", NULL, NULL), 0);
    assert_int_equal(join("job-1", 1, NOW, &again, NULL), FH_E_FORBIDDEN);
}

static void what_was_used_opens_no_door_a_day_later(void **state)
{
    const int64_t later = NOW + 26 * HOUR; /* the row of the grant is gone by then */
    const fh_node_certificate c = {.fingerprint = {{7}}, .until_utc_ns = NOW + 720 * HOUR};
    int64_t id = 0;
    assert_int_equal(grant(1, "job-1", NOW), 0);
    assert_int_equal(join("job-1", 1, NOW, &id, NULL), 0);
    assert_int_equal(fh_nodes_certified(nodes, id, &c, NULL), 0);
    assert_int_equal(grant(1, "job-1", later), 0);
    assert_false(fh_nodes_expect(nodes, later));
    assert_refused("job-1", 1, later, "not expected");
}

static void what_is_over_opens_for_nobody(void **state)
{
    assert_int_equal(grant(1, "job-1", NOW), 0);
    assert_int_equal(grant(2, "job-2", NOW), 0);
    assert_int_equal(fh_nodes_grant_end(nodes, "job-1", NULL), 0);
    assert_int_equal(fh_nodes_grant_end(nodes, "job-1", NULL), 0);
    assert_refused("job-1", 1, NOW, "not expected");
    assert_true(fh_nodes_expect(nodes, NOW));
    assert_int_equal(fh_nodes_grant_end(nodes, "", NULL), 0); /* tokens have no name */
    assert_int_equal(fh_nodes_grant_end(nodes, "job-2", NULL), 0);
    assert_false(fh_nodes_expect(nodes, NOW));
}

static void a_token_stays_one_beside_it(void **state)
{
    const fh_link_digest server = {{9}};
    char text[FH_JOIN_TOKEN_LEN + 1];
    int64_t expires, id;
    assert_int_equal(grant(1, "job-1", NOW), 0);
    assert_int_equal(fh_nodes_token_new(nodes, &server, "", NOW, text, &expires, NULL), 0);
    fh_node_join j = {.token = fh_str_of(text), .name = FH_STR("den"), .ask = {.currency = "USD"}, .key = {{2}}};
    assert_int_equal(fh_nodes_join(nodes, &j, NOW, &id, NULL), 0);
    assert_refused("den", 2, NOW, "not expected"); /* a key that used a token was not granted */
    assert_int_equal(join("job-1", 1, NOW, &id, NULL), 0);
}

static void names_and_numbers_have_bounds(void **state)
{
    char name[32];
    assert_int_equal(grant(1, "Not a name", NOW), FH_E_INVALID);
    for (int i = 0; i < FH_LIMIT_JOIN_TOKENS; i++) {
        snprintf(name, sizeof name, "job-%d", i);
        assert_int_equal(grant((uint8_t)(i + 1), name, NOW), 0);
    }
    assert_int_equal(grant(200, "one-more", NOW), FH_E_CONFLICT);
    assert_int_equal(grant(201, "one-more", NOW + HOUR), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_key_that_was_granted_joins_under_its_name, fresh, clean),
        cmocka_unit_test_setup_teardown(it_is_good_for_an_hour, fresh, clean),
        cmocka_unit_test_setup_teardown(what_was_used_is_not_granted_again, fresh, clean),
        cmocka_unit_test_setup_teardown(what_was_used_opens_no_door_a_day_later, fresh, clean),
        cmocka_unit_test_setup_teardown(what_is_over_opens_for_nobody, fresh, clean),
        cmocka_unit_test_setup_teardown(a_token_stays_one_beside_it, fresh, clean),
        cmocka_unit_test_setup_teardown(names_and_numbers_have_bounds, fresh, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
