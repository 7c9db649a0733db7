/* The evidence: honest providers are accused no more often than is promised, cheats soon; and a record comes back as it was kept. */
#include "cmocka_all.h"

#include "base/mem.h"
#include "honesty/record.h"
#include "torture.h"
#include <math.h>
#include <string.h>

#define BOUND FH_HONESTY_BOUND_LEAST
enum { RUNS = 20000, CANARIES = 200 };

/* xorshift64*: the tests' own, with the seed printed when one fails. */
static double draw(uint64_t *s)
{
    *s ^= *s >> 12;
    *s ^= *s << 25;
    *s ^= *s >> 27;
    return (double)((*s * UINT64_C(2685821657736338717)) >> 11) / 9007199254740992.0;
}

/* A canary of somebody who is deviation nats away on average, in the widest spread there is: all of it comes in few canaries, as large as
 * one may count. */
static fh_honesty_observation spread(uint64_t *s, double deviation)
{
    bool far = draw(s) < deviation / (BOUND * FH_HONESTY_MOST);
    return (fh_honesty_observation){
        .positions = 8, .bound = BOUND, .deviation = far ? (BOUND * FH_HONESTY_MOST) : 0, .prompt_tok = 30, .completion_tok = 8};
}

static unsigned until_found(fh_honesty_record *r, const fh_honesty_observation *o, unsigned most)
{
    unsigned n = 0;
    while (n < most && fh_honesty_judge(r) != FH_HONESTY_CHEATS) {
        fh_honesty_observe(r, o);
        n++;
    }
    return n;
}

/* At the very bound, in the worst spread: the share that ever reaches X is at most 1 / X (Ville). */
static void test_honest_providers_at_the_bound_seldom_gather_evidence(void **state)
{
    (void)state;
    unsigned tens = 0, hundreds = 0, proofs = 0;
    uint64_t s = 88172645463325252u;
    for (unsigned run = 0; run < RUNS; run++) {
        fh_honesty_record r = {.rounds = 0};
        for (unsigned i = 0; i < CANARIES; i++) {
            fh_honesty_observation o = spread(&s, BOUND);
            fh_honesty_observe(&r, &o);
        }
        tens += fh_honesty_proof(&r) >= log(10);
        hundreds += fh_honesty_proof(&r) >= log(100);
        proofs += fh_honesty_judge(&r) == FH_HONESTY_CHEATS;
    }
    print_message("# of %d honest runs at the bound: %u beyond 10, %u beyond 100, %u accused\n", RUNS, tens, hundreds, proofs);
    assert_true(tens <= RUNS / 10 && hundreds <= RUNS / 100 && proofs == 0);
}

/* Rounds: the promise holds over a long life too, and for counts that are beyond ours as often as may be. */
static void test_a_long_life_does_not_add_up(void **state)
{
    (void)state;
    unsigned tens = 0;
    uint64_t s = 2463534242u;
    for (unsigned run = 0; run < 500; run++) {
        fh_honesty_record r = {.rounds = 0};
        for (unsigned i = 0; i < 5000; i++) {
            fh_honesty_observation o = spread(&s, BOUND);
            o.counted = true;
            o.said_prompt_tok = draw(&s) < FH_HONESTY_COUNT_RATE ? 60 : 30;
            fh_honesty_observe(&r, &o);
        }
        tens += fh_honesty_proof(&r) >= log(10);
        assert_int_equal(r.rounds, 5000 / FH_HONESTY_ROUND);
    }
    assert_true(tens <= 500 / 10);
}

static void test_coarser_weights_are_found(void **state)
{
    (void)state;
    fh_honesty_record r = {.rounds = 0};
    const fh_honesty_observation o = {.positions = 8, .bound = BOUND, .deviation = 0.067};
    assert_in_range(until_found(&r, &o, 200), 5, 30);
    assert_int_equal(fh_honesty_strongest(&r), FH_HONESTY_MODEL);
}

static void test_other_models_are_found_sooner(void **state)
{
    (void)state;
    fh_honesty_record r = {.rounds = 0};
    const fh_honesty_observation o = {.positions = 8, .bound = BOUND, .deviation = 0.9};
    assert_in_range(until_found(&r, &o, 200), 2, 12);
}

static void test_a_cheat_that_begins_late_is_found(void **state)
{
    (void)state;
    fh_honesty_record r = {.rounds = 0};
    const fh_honesty_observation honest = {.positions = 8, .bound = BOUND, .deviation = 0.008},
                                 cheat = {.positions = 8, .bound = BOUND, .deviation = 0.08};
    for (unsigned i = 0; i < 1000; i++) fh_honesty_observe(&r, &honest);
    assert_int_equal(fh_honesty_judge(&r), FH_HONESTY_HONEST);
    assert_in_range(until_found(&r, &cheat, 200), 5, 60);
}

static void test_an_answer_that_comes_again_is_found(void **state)
{
    (void)state;
    fh_honesty_record r = {.rounds = 0};
    const fh_honesty_observation fresh = {.positions = 8, .bound = BOUND, .repeated = true},
                                 old = {.positions = 8, .bound = BOUND, .repeated = true, .same = true, .chance = -45};
    for (unsigned i = 0; i < 10; i++) fh_honesty_observe(&r, &fresh);
    assert_int_equal(until_found(&r, &old, 10), 1);
    assert_int_equal(fh_honesty_strongest(&r), FH_HONESTY_CACHE);
}

/* "Yes." comes again and again from everybody. */
static void test_likely_answers_may_come_again(void **state)
{
    (void)state;
    fh_honesty_record r = {.rounds = 0};
    const fh_honesty_observation o = {.positions = 8, .bound = BOUND, .repeated = true, .same = true, .chance = 0};
    for (unsigned i = 0; i < 1000; i++) fh_honesty_observe(&r, &o);
    assert_int_equal(fh_honesty_judge(&r), FH_HONESTY_HONEST);
}

static void test_inflated_counts_are_found(void **state)
{
    (void)state;
    fh_honesty_record r = {.rounds = 0};
    const fh_honesty_observation o = {
        .counted = true, .prompt_tok = 30, .said_prompt_tok = 30, .completion_tok = 20, .said_completion_tok = 22};
    assert_in_range(until_found(&r, &o, 200), 2, 8);
    assert_int_equal(fh_honesty_strongest(&r), FH_HONESTY_COUNTS);
}

static void test_one_token_more_is_no_evidence(void **state)
{
    (void)state;
    fh_honesty_record r = {.rounds = 0};
    const fh_honesty_observation o = {.positions = 1,
                                      .bound = BOUND,
                                      .counted = true,
                                      .prompt_tok = 30,
                                      .said_prompt_tok = 31,
                                      .completion_tok = 20,
                                      .said_completion_tok = 21};
    for (unsigned i = 0; i < 100; i++) fh_honesty_observe(&r, &o);
    assert_int_equal(fh_honesty_judge(&r), FH_HONESTY_HONEST);
    assert_int_equal(r.inflated, 0);
}

static void test_few_canaries_say_nothing(void **state)
{
    (void)state;
    fh_honesty_record r = {.rounds = 0};
    const fh_honesty_observation clear = {.positions = 8, .bound = BOUND}, unclear = {.positions = 0, .bound = BOUND};
    for (unsigned i = 0; i < 100; i++) fh_honesty_observe(&r, &unclear);
    for (unsigned i = 1; i < FH_HONESTY_LEAST; i++) fh_honesty_observe(&r, &clear);
    assert_int_equal(fh_honesty_judge(&r), FH_HONESTY_UNKNOWN);
    fh_honesty_observe(&r, &clear);
    assert_int_equal(fh_honesty_judge(&r), FH_HONESTY_HONEST);
}

static void test_a_verdict_of_cheating_stays(void **state)
{
    (void)state;
    fh_honesty_record r = {.rounds = 0};
    const fh_honesty_observation cheat = {.positions = 8, .bound = BOUND, .deviation = 0.2}, honest = {.positions = 8, .bound = BOUND};
    until_found(&r, &cheat, 200);
    for (unsigned i = 0; i < 1000; i++) fh_honesty_observe(&r, &honest);
    assert_int_equal(fh_honesty_judge(&r), FH_HONESTY_CHEATS);
}

static void test_between_honest_and_found_lies_doubt(void **state)
{
    (void)state;
    fh_honesty_record r = {.rounds = 0};
    const fh_honesty_observation o = {.positions = 8, .bound = BOUND, .deviation = 0.1};
    unsigned doubted = 0;
    for (unsigned i = 0; i < 50; i++) {
        fh_honesty_observe(&r, &o);
        doubted += fh_honesty_judge(&r) == FH_HONESTY_DOUBTED;
    }
    assert_true(doubted > 0);
}

static void test_the_bound_is_twice_what_was_measured(void **state)
{
    (void)state;
    fh_honesty_record none = {.rounds = 0}, near = {.canaries = 40, .deviation_sum = 40 * 0.0015},
                      far = {.canaries = 40, .deviation_sum = 40 * 0.05}, exact = {.canaries = 40},
                      few = {.canaries = 19, .deviation_sum = 1};
    assert_true(fh_honesty_bound(&none) >= FH_HONESTY_BOUND_UNMEASURED);
    assert_true(fh_honesty_bound(&exact) >= FH_HONESTY_BOUND_UNMEASURED && fh_honesty_bound(&few) >= FH_HONESTY_BOUND_UNMEASURED);
    assert_true(fabs(fh_honesty_bound(&near) - BOUND) < 1e-12);
    assert_true(fabs(fh_honesty_bound(&far) - 0.1) < 1e-12);
}

static int write_and_read(const fh_honesty_record *r, fh_honesty_record *ret, fh_err **err)
{
    FH_AUTO(json) fh_json *doc = fh_honesty_record_write(r), *again = NULL;
    FH_AUTO(buf) fh_buf text = FH_BUF(65536);
    int rc = doc ? fh_json_write(doc, &text, err) : fh_err_nomem(err);
    if (!rc) rc = fh_json_parse(&again, (fh_str){fh_buf_cstr(&text), text.len}, 65536, err);
    return rc ? rc : fh_honesty_record_read(ret, again, err);
}

static void test_a_record_comes_back_as_it_was_kept(void **state)
{
    (void)state;
    fh_honesty_record r = {.rounds = 0}, back = {.rounds = 9};
    uint64_t s = 7;
    for (unsigned i = 0; i < 333; i++) {
        fh_honesty_observation o = spread(&s, 0.03);
        fh_honesty_observe(&r, &o);
    }
    assert_int_equal(write_and_read(&r, &back, NULL), 0);
    assert_memory_equal(&r, &back, sizeof r);
}

static void test_broken_records_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{}", "[]", "{\"stakes\":[],\"peak\":[0,0,0],\"proof\":0,\"bound\":0,\"deviation_sum\":0}",
        "{\"stakes\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],\"peak\":[0,0,\"x\"],\"proof\":0}",
        "{\"stakes\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],\"peak\":[0,0,0],\"proof\":0,\"bound\":0,\"deviation_sum\":0,\"canaries\":-1}"};
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        FH_AUTO(json) fh_json *doc = NULL;
        FH_AUTO(fh_err) fh_err *err = NULL;
        fh_honesty_record r = {.rounds = 3};
        assert_int_equal(fh_json_parse(&doc, fh_str_of(bad[i]), 4096, NULL), 0);
        assert_int_equal(fh_honesty_record_read(&r, doc, &err), FH_E_CORRUPT);
        assert_int_equal(r.rounds, 3);
    }
}

static int keep_and_read(void *arg)
{
    const fh_honesty_record r = {.canaries = 5};
    fh_honesty_record back;
    (void)arg;
    return write_and_read(&r, &back, NULL);
}

static void test_memory_that_runs_out_is_an_error(void **state)
{
    (void)state;
    assert_true(fh_torture(FH_FAULT_ALLOC, keep_and_read, NULL, 500) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_honest_providers_at_the_bound_seldom_gather_evidence),
        cmocka_unit_test(test_a_long_life_does_not_add_up),
        cmocka_unit_test(test_coarser_weights_are_found),
        cmocka_unit_test(test_other_models_are_found_sooner),
        cmocka_unit_test(test_a_cheat_that_begins_late_is_found),
        cmocka_unit_test(test_an_answer_that_comes_again_is_found),
        cmocka_unit_test(test_likely_answers_may_come_again),
        cmocka_unit_test(test_inflated_counts_are_found),
        cmocka_unit_test(test_one_token_more_is_no_evidence),
        cmocka_unit_test(test_few_canaries_say_nothing),
        cmocka_unit_test(test_a_verdict_of_cheating_stays),
        cmocka_unit_test(test_between_honest_and_found_lies_doubt),
        cmocka_unit_test(test_the_bound_is_twice_what_was_measured),
        cmocka_unit_test(test_a_record_comes_back_as_it_was_kept),
        cmocka_unit_test(test_broken_records_are_refused),
        cmocka_unit_test(test_memory_that_runs_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
