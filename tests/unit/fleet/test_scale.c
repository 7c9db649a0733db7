/* How many replicas are wanted, on a clock of its own: loads come from traces, a day passes in a moment. */
#include "cmocka_all.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "scale.h"

#include <stdio.h>
#include <string.h>

#define S FH_NS_PER_S
enum { STREAMS = 4, LOAD_S = 20 }; /* requests that a replica computes at once; how long one takes to be ready */

/* A set in a world where requests are `load` at once, and whatever is wanted is ready LOAD_S later. */
typedef struct world {
    fh_scale scale;
    fh_scale_rule rule;
    int64_t now_ns, ready_at_ns[64];
    int64_t ready, changes, ups, downs, waited; /* waited: requests, for a second each */
    int64_t least_gap_ns, changed_ns;           /* between two changes */
    char why[200];
} world;

static world world_new(int64_t min, int64_t max, int64_t idle_s)
{
    world w = {.rule = {min, max, idle_s * S, 10 * S, 300 * S}, .now_ns = 1000 * S, .least_gap_ns = INT64_MAX};
    w.scale.wanted = w.ready = FH_MAX(min, (int64_t)1);
    return w;
}

static void settle(world *w, int64_t before)
{
    int64_t wanted = w->scale.wanted;
    for (int64_t i = before; i < wanted; i++) w->ready_at_ns[i] = w->now_ns + LOAD_S * S;
    w->changes++;
    w->ups += wanted > before;
    w->downs += wanted < before;
    if (w->changed_ns) w->least_gap_ns = FH_MIN(w->least_gap_ns, w->now_ns - w->changed_ns);
    w->changed_ns = w->now_ns;
}

/* A second with so many requests at once. */
static void second(world *w, int64_t load, double first_token_s)
{
    w->now_ns += S;
    w->ready = 0;
    for (int64_t i = 0; i < w->scale.wanted; i++) w->ready += w->now_ns >= w->ready_at_ns[i];
    int64_t in_flight = FH_MIN(load, w->ready * STREAMS), before = w->scale.wanted;
    fh_scale_load l = {.waiting = load - in_flight,
                       .in_flight = in_flight,
                       .first_token_s = first_token_s,
                       .ready = w->ready,
                       .at_once = STREAMS,
                       .requests = w->scale.requests + (load > 0)};
    w->waited += l.waiting;
    if (fh_scale_look(&w->scale, &w->rule, &l, w->now_ns, w->why, sizeof w->why)) settle(w, before);
    assert_true(w->scale.wanted <= w->rule.max);
    assert_true(w->scale.wanted >= FH_MIN(w->rule.min, w->scale.wanted ? (int64_t)1 : w->rule.min));
}

static void seconds(world *w, int64_t n, int64_t load)
{
    for (int64_t i = 0; i < n; i++) second(w, load, 0);
}

static uint64_t next_random(uint64_t *seed) /* SplitMix64 */
{
    uint64_t z = (*seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void a_queue_that_stays_gets_as_many_replicas_as_it_takes(void **state)
{
    (void)state;
    world w = world_new(1, 8, 1800);
    seconds(&w, 9, 13);
    assert_int_equal(w.scale.wanted, 1);
    seconds(&w, 3, 13);
    assert_int_equal(w.scale.wanted, 4); /* 13 requests, 4 at once */
    assert_non_null(strstr(w.why, "9 requests wait"));
    seconds(&w, 600, 13);
    assert_int_equal(w.changes, 1);
}

static void a_queue_that_passes_changes_nothing(void **state)
{
    (void)state;
    world w = world_new(1, 8, 1800);
    for (int i = 0; i < 100; i++) {
        seconds(&w, 9, 20);
        seconds(&w, 1, 3);
    }
    assert_int_equal(w.changes, 0);
}

static void more_than_the_most_is_never_wanted(void **state)
{
    (void)state;
    world w = world_new(2, 3, 1800);
    seconds(&w, 1000, 500);
    assert_int_equal(w.scale.wanted, 3);
    seconds(&w, 1000, 0);
    assert_int_equal(w.scale.wanted, 2);
}

static void slow_first_tokens_get_one_more_and_no_cascade(void **state)
{
    (void)state;
    world w = world_new(1, 8, 1800);
    for (int i = 0; i < 11; i++) second(&w, 4, 5.0);
    assert_int_equal(w.scale.wanted, 2);
    assert_non_null(strstr(w.why, "first tokens take 5.0 s"));
    for (int i = 0; i < LOAD_S - 2; i++) second(&w, 4, 5.0); /* the second is on its way */
    assert_int_equal(w.scale.wanted, 2);
    for (int i = 0; i < 200; i++) second(&w, 4, 5.0);
    assert_int_equal(w.scale.wanted, 4); /* each request has one: more would not help */
}

static void a_slow_prompt_alone_wants_no_other_replica(void **state)
{
    (void)state;
    world w = world_new(1, 8, 1800);
    for (int i = 0; i < 600; i++) second(&w, 1, 60.0);
    assert_int_equal(w.changes, 0);
}

static void fewer_are_wanted_only_when_they_were_enough_for_long(void **state)
{
    (void)state;
    world w = world_new(1, 8, 1800);
    seconds(&w, 60, 16);
    assert_int_equal(w.scale.wanted, 4);
    seconds(&w, 290, 2);
    assert_int_equal(w.scale.wanted, 4);
    seconds(&w, 1, 9); /* that much it may be again */
    seconds(&w, 305, 2);
    assert_int_equal(w.scale.wanted, 1);
    assert_int_equal(w.downs, 1);
}

static void a_load_between_the_bounds_changes_nothing(void **state)
{
    (void)state;
    world w = world_new(1, 8, 1800);
    seconds(&w, 60, 8);
    assert_int_equal(w.scale.wanted, 2);
    for (int64_t load = 4; load <= 8; load++) seconds(&w, 1000, load); /* one replica would be full with 4 */
    assert_int_equal(w.scale.wanted, 2);
    assert_int_equal(w.changes, 1);
}

static void without_requests_it_sleeps_and_wakes(void **state)
{
    (void)state;
    world w = world_new(0, 4, 120);
    seconds(&w, 60, 1);
    seconds(&w, 119, 0);
    assert_int_equal(w.scale.wanted, 1);
    seconds(&w, 2, 0);
    assert_int_equal(w.scale.wanted, 0);
    assert_non_null(strstr(w.why, "nobody asked it for 120 s"));
    seconds(&w, 5000, 0);
    assert_int_equal(w.scale.wanted, 0);
    fh_scale_wake(&w.scale, w.now_ns);
    w.ready_at_ns[0] = w.now_ns + 500 * S; /* longer than it may be idle: it cannot have been asked yet */
    seconds(&w, 499, 0);
    assert_int_equal(w.scale.wanted, 1);
    seconds(&w, 130, 0);
    assert_int_equal(w.scale.wanted, 0);
}

static void what_has_a_minimum_never_sleeps(void **state)
{
    (void)state;
    world w = world_new(1, 4, 10);
    seconds(&w, 100000, 0);
    assert_int_equal(w.scale.wanted, 1);
}

static void other_numbers_take_effect_at_once(void **state)
{
    (void)state;
    world w = world_new(1, 4, 1800);
    w.rule.min = 3;
    seconds(&w, 1, 0);
    assert_int_equal(w.scale.wanted, 3);
    w.rule.min = w.rule.max = 2;
    seconds(&w, 1, 0);
    assert_int_equal(w.scale.wanted, 2);
}

/* A random walk with bursts: the load of an hour, by seed. */
static void walk(world *w, uint64_t seed)
{
    int64_t load = 2, burst = 0;
    for (int i = 0; i < 3600; i++) {
        uint64_t r = next_random(&seed);
        load = FH_MAX((int64_t)0, FH_MIN((int64_t)28, load + (int64_t)(r % 3) - 1));
        if (burst > 0)
            burst--;
        else if (r % 331 == 0)
            burst = (int64_t)(r >> 32) % 40;
        second(w, load + (burst ? 10 : 0), 0);
    }
}

static void whatever_comes_it_does_not_flap(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        world w = world_new(1, 16, 1800);
        walk(&w, seed);
        /* A replica goes at most once in 300 s, and one comes only after one that went was missed for 10 s. */
        if (w.downs > 12 || w.changes > 40 || w.least_gap_ns < 10 * S)
            fail_msg("seed %llu: %lld changes, %lld of them down, the closest two after %lld s", (unsigned long long)seed,
                     (long long)w.changes, (long long)w.downs, (long long)(w.least_gap_ns / S));
        if (w.waited > 3600 * 3) fail_msg("seed %llu: %lld seconds of waiting", (unsigned long long)seed, (long long)w.waited);
    }
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_queue_that_stays_gets_as_many_replicas_as_it_takes),
        TEST(a_queue_that_passes_changes_nothing),
        TEST(more_than_the_most_is_never_wanted),
        TEST(slow_first_tokens_get_one_more_and_no_cascade),
        TEST(a_slow_prompt_alone_wants_no_other_replica),
        TEST(fewer_are_wanted_only_when_they_were_enough_for_long),
        TEST(a_load_between_the_bounds_changes_nothing),
        TEST(without_requests_it_sleeps_and_wakes),
        TEST(what_has_a_minimum_never_sleeps),
        TEST(other_numbers_take_effect_at_once),
        TEST(whatever_comes_it_does_not_flap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
