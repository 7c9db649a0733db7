/* How much one key may ask. */
#include "base/clock.h"
#include "base/limits.h"
#include "cmocka_all.h"
#include "limits.h"
#include <stdio.h>

#define S FH_NS_PER_S
static int64_t retry_ns;
static fh_limit_state state;

static int begin(fh_limits *l, const char *key, fh_limit_set set, uint64_t tok, int64_t now)
{
    return fh_limits_begin(l, key, &set, tok, now, &state, &retry_ns, NULL);
}

static void requests_of_a_minute_come_back_evenly(void **unused)
{
    FH_AUTO(fh_limits) fh_limits *l = fh_limits_new();
    fh_limit_set set = {.requests_per_min = 60};
    for (int i = 0; i < 60; i++) {
        assert_int_equal(begin(l, "a", set, 1, S), 0);
        assert_int_equal(state.requests_left, 59 - i);
        fh_limits_end(l, "a", 1, 1);
    }
    assert_int_equal(begin(l, "a", set, 1, S), FH_E_BUSY);
    assert_in_range(retry_ns, S - 1000, S + 1000);
    assert_int_equal(begin(l, "b", set, 1, S), 0); /* another key has its own */
    assert_int_equal(begin(l, "a", set, 1, 2 * S + 1000), 0);
    assert_int_equal(begin(l, "a", set, 1, 2 * S + 1000), FH_E_BUSY);
    for (int i = 0; i < 60; i++) assert_int_equal(begin(l, "a", set, 1, 600 * S), 0); /* never more than a minute's */
    assert_int_equal(begin(l, "a", set, 1, 600 * S), FH_E_BUSY);
}

static void tokens_are_set_right_when_a_request_ends(void **unused)
{
    FH_AUTO(fh_limits) fh_limits *l = fh_limits_new();
    fh_limit_set set = {.tok_per_min = 600};
    assert_int_equal(begin(l, "a", set, 500, S), 0);
    assert_int_equal(state.tok_left, 100);
    fh_limits_end(l, "a", 500, 50);
    assert_int_equal(begin(l, "a", set, 500, S), 0);
    assert_int_equal(state.tok_left, 50);
    fh_limits_end(l, "a", 500, 1150); /* more than was foreseen: overdrawn by 600 */
    assert_int_equal(begin(l, "a", set, 1, 31 * S), FH_E_BUSY);
    assert_in_range(retry_ns, 30 * S, 31 * S);
    assert_int_equal(begin(l, "a", set, 1, 62 * S), 0);
}

static void so_many_at_once_and_no_more(void **unused)
{
    FH_AUTO(fh_limits) fh_limits *l = fh_limits_new();
    fh_limit_set set = {.at_once = 2};
    assert_int_equal(begin(l, "a", set, 1, S), 0);
    assert_int_equal(begin(l, "a", set, 1, S), 0);
    assert_int_equal(begin(l, "a", set, 1, S), FH_E_BUSY);
    fh_limits_end(l, "a", 1, 1);
    assert_int_equal(begin(l, "a", set, 1, S), 0);
}

static void without_limits_nothing_is_refused(void **unused)
{
    FH_AUTO(fh_limits) fh_limits *l = fh_limits_new();
    char key[16];
    for (int i = 0; i < 3 * FH_LIMIT_LIMIT_RECORDS; i++) {
        snprintf(key, sizeof key, "%d", i);
        assert_int_equal(begin(l, key, (fh_limit_set){0}, 1000000, S + i), 0);
        fh_limits_end(l, key, 1000000, 1000000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_of_a_minute_come_back_evenly),
        cmocka_unit_test(tokens_are_set_right_when_a_request_ends),
        cmocka_unit_test(so_many_at_once_and_no_more),
        cmocka_unit_test(without_limits_nothing_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
