/* What is remembered of replicas, and their circuit breakers. */
#include "base/clock.h"
#include "base/limits.h"
#include "cmocka_all.h"
#include "upstreams.h"
#include <stdio.h>

#define S FH_NS_PER_S

static void fail_once(fh_upstreams *u, int64_t now)
{
    fh_upstream_end(fh_upstreams_begin(u, "d", 1, 10, now), 10, FH_OUTCOME_FAILED, now);
}

static bool open_at(fh_upstreams *u, int64_t now)
{
    fh_option o;
    fh_upstreams_look(u, "d", 1, now, &o);
    return o.open;
}

static void load_is_what_was_begun_and_not_ended(void **state)
{
    FH_AUTO(fh_upstreams) fh_upstreams *u = fh_upstreams_new();
    fh_option o;
    fh_upstreams_look(u, "d", 1, 0, &o);
    assert_true(o.in_flight_tok <= 0 && !o.open);
    fh_upstream *a = fh_upstreams_begin(u, "d", 1, 100, 0), *b = fh_upstreams_begin(u, "d", 1, 50, 0);
    assert_ptr_equal(a, b);
    fh_upstream_end(a, 100, FH_OUTCOME_GOOD, 1);
    fh_upstreams_look(u, "d", 1, 0, &o);
    assert_int_equal((int)o.in_flight_tok, 50);
    fh_upstreams_look(u, "d", 2, 0, &o);
    assert_int_equal((int)o.in_flight_tok, 0);
    fh_upstream_end(b, 50, FH_OUTCOME_LEFT, 1);
}

static void failures_in_a_row_open_the_breaker_for_longer_each_time(void **state)
{
    FH_AUTO(fh_upstreams) fh_upstreams *u = fh_upstreams_new();
    for (int i = 0; i < FH_LIMIT_UPSTREAM_FAILURES - 1; i++) fail_once(u, 0);
    assert_false(open_at(u, 0));
    fail_once(u, 0);
    assert_true(open_at(u, 0));
    assert_false(open_at(u, S)); /* one may try */
    fh_upstream *probe = fh_upstreams_begin(u, "d", 1, 1, S);
    assert_true(open_at(u, S)); /* and only one */
    fh_upstream_end(probe, 1, FH_OUTCOME_FAILED, S);
    assert_true(open_at(u, 2 * S));
    assert_false(open_at(u, 3 * S));
    probe = fh_upstreams_begin(u, "d", 1, 1, 3 * S);
    fh_upstream_end(probe, 1, FH_OUTCOME_GOOD, 3 * S);
    assert_false(open_at(u, 3 * S));
}

static void a_client_that_leaves_says_nothing_of_the_replica(void **state)
{
    FH_AUTO(fh_upstreams) fh_upstreams *u = fh_upstreams_new();
    for (int i = 0; i < 2 * FH_LIMIT_UPSTREAM_FAILURES; i++) fh_upstream_end(fh_upstreams_begin(u, "d", 1, 1, 0), 1, FH_OUTCOME_LEFT, 0);
    assert_false(open_at(u, 0));
}

static void the_bound_of_silence_is_learned(void **state)
{
    FH_AUTO(fh_upstreams) fh_upstreams *u = fh_upstreams_new();
    fh_upstream *s = fh_upstreams_begin(u, "d", 1, 1, 0);
    assert_int_equal(fh_upstream_stall_ns(s, true), FH_LIMIT_STALL_LEAST_MS * FH_NS_PER_MS);
    for (int i = 0; i < 100; i++) fh_upstream_token(s, 2 * S);
    assert_in_range(fh_upstream_stall_ns(s, true), 39 * S, 41 * S);
    for (int i = 0; i < 100; i++) fh_upstream_token(s, 3600 * S);
    assert_int_equal(fh_upstream_stall_ns(s, true), FH_LIMIT_STALL_MOST_MS * FH_NS_PER_MS);
    fh_upstream_end(s, 1, FH_OUTCOME_GOOD, 0);
}

static void the_oldest_record_gives_way_but_never_one_in_use(void **state)
{
    FH_AUTO(fh_upstreams) fh_upstreams *u = fh_upstreams_new();
    char name[32];
    fh_upstream *held = fh_upstreams_begin(u, "held", 1, 5, 0);
    for (int i = 0; i < 2 * FH_LIMIT_UPSTREAMS; i++) {
        snprintf(name, sizeof name, "d%d", i);
        fh_upstream *s = fh_upstreams_begin(u, name, 1, 1, i);
        assert_non_null(s);
        fh_upstream_end(s, 1, FH_OUTCOME_GOOD, i);
    }
    fh_option o;
    fh_upstreams_look(u, "held", 1, 0, &o);
    assert_int_equal((int)o.in_flight_tok, 5);
    fh_upstream_end(held, 5, FH_OUTCOME_GOOD, 0);
    fh_upstream_view views[FH_LIMIT_UPSTREAMS + 1];
    assert_int_equal(fh_upstreams_list(u, 0, views, FH_LIMIT_UPSTREAMS + 1), FH_LIMIT_UPSTREAMS);
}

static void failures_fade_while_nothing_is_asked(void **state)
{
    FH_AUTO(fh_upstreams) fh_upstreams *u = fh_upstreams_new();
    fh_option now, later;
    for (int i = 0; i < 20; i++) fail_once(u, 0);
    fh_upstreams_look(u, "d", 1, 0, &now);
    fh_upstreams_look(u, "d", 1, 60 * S, &later);
    assert_true(now.failure_rate > 0.8 && later.failure_rate < 0.3 && later.failure_rate > 0.1);
}

static void tool_calls_that_cannot_be_made_are_counted(void **state)
{
    FH_AUTO(fh_upstreams) fh_upstreams *u = fh_upstreams_new();
    fh_upstream_view v;
    fh_option o;
    fh_upstreams_called(u, "d", 1, false); /* not known: nothing */
    fh_upstream_end(fh_upstreams_begin(u, "d", 1, 1, 0), 1, FH_OUTCOME_GOOD, 0);
    for (int i = 0; i < 10; i++) fh_upstreams_called(u, "d", 1, i % 2);
    assert_int_equal(fh_upstreams_list(u, 0, &v, 1), 1);
    assert_true(v.calls == 10 && v.calls_bad == 5);
    fh_upstreams_look(u, "d", 1, 0, &o);
    assert_true(o.bad_calls > 0.2 && o.bad_calls < 0.5 && o.failure_rate < 0.01);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load_is_what_was_begun_and_not_ended),
        cmocka_unit_test(failures_in_a_row_open_the_breaker_for_longer_each_time),
        cmocka_unit_test(a_client_that_leaves_says_nothing_of_the_replica),
        cmocka_unit_test(the_bound_of_silence_is_learned),
        cmocka_unit_test(failures_fade_while_nothing_is_asked),
        cmocka_unit_test(tool_calls_that_cannot_be_made_are_counted),
        cmocka_unit_test(the_oldest_record_gives_way_but_never_one_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
