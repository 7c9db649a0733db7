/* What is learned from outcomes. */
#include "base/clock.h"
#include "cmocka_all.h"
#include "learn.h"

static fh_features kind(uint8_t schema, uint8_t numbers)
{
    fh_features f = {{0}};
    f.v[FH_FEATURE_SCHEMA] = schema;
    f.v[FH_FEATURE_NUMBERS] = numbers;
    return f;
}

static void see(fh_learned *l, fh_features f, bool good, size_t times)
{
    for (size_t i = 0; i < times; i++) fh_learned_add(l, &(fh_outcome_seen){.features = f, .good = good ? 255 : 0, .weight = 255});
}

static void nothing_known_is_the_prior(void **state)
{
    fh_features f = kind(0, 0);
    fh_belief b = fh_learned_belief(NULL, &f, 0.7);
    assert_true(b.success > 0.69 && b.success < 0.71 && !(b.evidence > 0));
}

static void kinds_of_requests_are_learned_apart(void **state)
{
    static fh_learned l;
    fh_features easy = kind(200, 0), hard = kind(0, 200), unlike = kind(0, 0);
    see(&l, easy, true, 20);
    see(&l, hard, false, 20);
    assert_true(fh_learned_belief(&l, &easy, 0.7).success > 0.9);
    assert_true(fh_learned_belief(&l, &hard, 0.7).success < 0.2);
    fh_belief far = fh_learned_belief(&l, &unlike, 0.7);
    assert_true(far.success > 0.4 && far.success < 0.8 && far.evidence < 5);
}

static void newer_outcomes_count_more_and_old_ones_are_forgotten(void **state)
{
    static fh_learned l;
    fh_features f = kind(100, 100);
    see(&l, f, false, FH_LIMIT_LEARN_OUTCOMES);
    assert_true(fh_learned_belief(&l, &f, 0.7).success < 0.1);
    see(&l, f, true, FH_LIMIT_LEARN_OUTCOMES);
    assert_int_equal(l.count, FH_LIMIT_LEARN_OUTCOMES);
    assert_true(fh_learned_belief(&l, &f, 0.7).success > 0.9);
}

static void what_was_only_not_complained_about_says_little(void **state)
{
    static fh_learned l;
    fh_features f = kind(1, 1);
    for (int i = 0; i < 24; i++) fh_learned_add(&l, &(fh_outcome_seen){.features = f, .good = 255, .weight = 24});
    fh_belief b = fh_learned_belief(&l, &f, 0.5);
    assert_true(b.success < 0.8 && b.evidence < 3);
}

/* Said, not bounded: how fast a machine is must not fail a test. */
static void what_a_belief_over_a_full_record_takes_is_said(void **state)
{
    static fh_learned l;
    double sum = 0;
    for (size_t i = 0; i < FH_LIMIT_LEARN_OUTCOMES; i++) see(&l, kind((uint8_t)(i * 37), (uint8_t)(i * 101)), i % 3, 1);
    int64_t begun = fh_clock_mono_ns();
    for (int i = 0; i < 200; i++) {
        fh_features f = kind((uint8_t)(i * 13), (uint8_t)(i * 7));
        sum += fh_learned_belief(&l, &f, 0.7).success;
    }
    double us = (double)(fh_clock_mono_ns() - begun) / 200e3;
    print_message("# %.1f us for a belief over %d outcomes\n", us, FH_LIMIT_LEARN_OUTCOMES);
    assert_true(sum > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_known_is_the_prior),
        cmocka_unit_test(kinds_of_requests_are_learned_apart),
        cmocka_unit_test(newer_outcomes_count_more_and_old_ones_are_forgotten),
        cmocka_unit_test(what_was_only_not_complained_about_says_little),
        cmocka_unit_test(what_a_belief_over_a_full_record_takes_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
