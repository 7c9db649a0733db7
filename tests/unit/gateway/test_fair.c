/* Who is next when there is not enough for all. Time is counted in tokens that one of a few servers has computed. */
#include "cmocka_all.h"
#include "fair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct job {
    fh_fair_item item; /* first */
    char key[9];
    fh_priority class;
    uint64_t cost, ends, order;
    bool special;
} job;

static job *job_new(const char *key, fh_priority class, uint64_t cost)
{
    job *j = calloc(1, sizeof *j);
    assert_non_null(j);
    snprintf(j->key, sizeof j->key, "%s", key);
    j->class = class;
    j->cost = cost;
    return j;
}

static fh_fair_item *push(fh_fair *f, job *j)
{
    return fh_fair_push(f, &j->item, j->key, j->class, j->cost);
}

static job *pop(fh_fair *f)
{
    return (job *)fh_fair_pop(f, NULL, NULL);
}

/* Tokens by the key's first letter among what is taken next. */
static void shares(fh_fair *f, unsigned takes, uint64_t ret_tok[128])
{
    memset(ret_tok, 0, 128 * sizeof *ret_tok);
    for (unsigned i = 0; i < takes; i++) {
        job *j = pop(f);
        assert_non_null(j);
        ret_tok[(int)j->key[0]] += j->cost;
        free(j);
    }
}

static void drop_all(fh_fair *f)
{
    for (job *j; (j = pop(f));) free(j);
}

static void one_key_is_served_in_the_order_it_came(void **state)
{
    (void)state;
    FH_AUTO(fh_fair) fh_fair *f = fh_fair_new(10, 4);
    for (unsigned i = 1; i <= 3; i++) assert_null(push(f, job_new("a", FH_PRIORITY_NORMAL, i)));
    for (unsigned i = 1; i <= 3; i++) {
        job *j = pop(f);
        assert_int_equal(j->cost, i);
        free(j);
    }
    assert_null(pop(f));
    assert_int_equal(fh_fair_count(f), 0);
}

static void a_flood_does_not_delay_who_comes_behind_it(void **state)
{
    (void)state;
    FH_AUTO(fh_fair) fh_fair *f = fh_fair_new(1000, 4);
    for (unsigned i = 0; i < 200; i++) push(f, job_new("a", FH_PRIORITY_NORMAL, 100));
    for (unsigned i = 0; i < 10; i++) free(pop(f));
    for (unsigned i = 0; i < 20; i++) push(f, job_new("b", FH_PRIORITY_NORMAL, 100));
    for (unsigned i = 0; i < 20; i++) { /* in turn, as long as both wait */
        uint64_t tok[128];
        shares(f, 2, tok);
        assert_int_equal(tok['a'], 100);
        assert_int_equal(tok['b'], 100);
    }
    drop_all(f);
}

static void shares_are_of_tokens_not_of_requests(void **state)
{
    (void)state;
    FH_AUTO(fh_fair) fh_fair *f = fh_fair_new(10000, 4);
    uint64_t tok[128];
    for (unsigned i = 0; i < 100; i++) push(f, job_new("a", FH_PRIORITY_NORMAL, 1000));
    for (unsigned i = 0; i < 1000; i++) push(f, job_new("b", FH_PRIORITY_NORMAL, 100));
    shares(f, 550, tok); /* half of it all */
    assert_in_range(tok['a'], 49000, 51000);
    assert_in_range(tok['b'], 49000, 51000);
    drop_all(f);
}

static void classes_share_by_their_weights_and_low_is_never_starved(void **state)
{
    (void)state;
    FH_AUTO(fh_fair) fh_fair *f = fh_fair_new(10000, 16);
    uint64_t tok[128];
    for (unsigned i = 0; i < 2100; i++) {
        push(f, job_new("h", FH_PRIORITY_HIGH, 10));
        push(f, job_new("n", FH_PRIORITY_NORMAL, 10));
        push(f, job_new("l", FH_PRIORITY_LOW, 10));
    }
    shares(f, 2100, tok);
    assert_in_range(tok['h'], 15900, 16100);
    assert_in_range(tok['n'], 3900, 4100);
    assert_in_range(tok['l'], 950, 1050);
    drop_all(f);
}

static void a_key_gains_nothing_by_having_been_away(void **state)
{
    (void)state;
    FH_AUTO(fh_fair) fh_fair *f = fh_fair_new(1000, 4);
    uint64_t tok[128];
    for (unsigned i = 0; i < 100; i++) push(f, job_new("a", FH_PRIORITY_NORMAL, 10));
    for (unsigned i = 0; i < 50; i++) free(pop(f)); /* a alone, for long */
    for (unsigned i = 0; i < 100; i++) push(f, job_new("b", FH_PRIORITY_NORMAL, 10));
    shares(f, 40, tok);
    assert_in_range(tok['a'], 190, 210);
    assert_in_range(tok['b'], 190, 210);
    drop_all(f);
}

static void what_ran_without_waiting_counts_too(void **state)
{
    (void)state;
    FH_AUTO(fh_fair) fh_fair *f = fh_fair_new(1000, 4);
    fh_fair_charge(f, "a", FH_PRIORITY_NORMAL, 500);
    for (unsigned i = 0; i < 10; i++) push(f, job_new("a", FH_PRIORITY_NORMAL, 100));
    for (unsigned i = 0; i < 10; i++) push(f, job_new("b", FH_PRIORITY_NORMAL, 100));
    uint64_t tok[128];
    shares(f, 5, tok); /* b catches up first */
    assert_int_equal(tok['b'], 500);
    drop_all(f);
}

static void what_was_used_in_truth_sets_the_account_right(void **state)
{
    (void)state;
    FH_AUTO(fh_fair) fh_fair *f = fh_fair_new(1000, 4);
    uint64_t tok[128];
    fh_fair_charge(f, "a", FH_PRIORITY_NORMAL, 100);
    fh_fair_charge(f, "b", FH_PRIORITY_NORMAL, 100);
    fh_fair_settle(f, "a", FH_PRIORITY_NORMAL, 100, 900); /* it answered at length */
    for (unsigned i = 0; i < 20; i++) push(f, job_new("a", FH_PRIORITY_NORMAL, 100));
    for (unsigned i = 0; i < 20; i++) push(f, job_new("b", FH_PRIORITY_NORMAL, 100));
    shares(f, 7, tok);
    assert_int_equal(tok['b'], 700);
    fh_fair_settle(f, "unknown", FH_PRIORITY_LOW, 5, 1);
    fh_fair_settle(f, "a", FH_PRIORITY_NORMAL, 1u << 20, 0); /* never below nothing */
    drop_all(f);
}

static bool is_special(void *arg, const fh_fair_item *item)
{
    (void)arg;
    return ((const job *)item)->special;
}

static void who_cannot_be_served_there_is_passed_by_and_keeps_its_place(void **state)
{
    (void)state;
    FH_AUTO(fh_fair) fh_fair *f = fh_fair_new(10, 4);
    job *first = job_new("a", FH_PRIORITY_HIGH, 1), *second = job_new("a", FH_PRIORITY_HIGH, 2), *third = job_new("b", FH_PRIORITY_LOW, 3);
    second->special = third->special = true;
    push(f, first);
    push(f, second);
    push(f, third);
    assert_ptr_equal(fh_fair_pop(f, is_special, NULL), &second->item);
    assert_ptr_equal(fh_fair_pop(f, is_special, NULL), &third->item);
    assert_null(fh_fair_pop(f, is_special, NULL));
    assert_ptr_equal(pop(f), first);
    free(first);
    free(second);
    free(third);
}

static void who_leaves_is_not_served(void **state)
{
    (void)state;
    FH_AUTO(fh_fair) fh_fair *f = fh_fair_new(10, 4);
    job *j[4];
    for (unsigned i = 0; i < 4; i++) push(f, j[i] = job_new("a", FH_PRIORITY_NORMAL, 1));
    fh_fair_remove(f, &j[0]->item);
    fh_fair_remove(f, &j[2]->item);
    assert_ptr_equal(pop(f), j[1]);
    fh_fair_remove(f, &j[3]->item);
    assert_null(pop(f));
    assert_int_equal(fh_fair_count(f), 0);
    for (unsigned i = 0; i < 4; i++) free(j[i]);
}

static void when_it_is_full_the_flood_gives_way(void **state)
{
    (void)state;
    FH_AUTO(fh_fair) fh_fair *f = fh_fair_new(10, 4);
    for (unsigned i = 0; i < 10; i++) assert_null(push(f, job_new("a", FH_PRIORITY_HIGH, i)));
    job *more = job_new("a", FH_PRIORITY_HIGH, 99);
    assert_ptr_equal(push(f, more), &more->item); /* not at the cost of its own */
    free(more);
    for (unsigned i = 0; i < 5; i++) {
        job *loser = (job *)push(f, job_new("b", FH_PRIORITY_LOW, 1));
        assert_non_null(loser);
        assert_int_equal(loser->cost, 9 - i); /* the last of a's row */
        free(loser);
    }
    more = job_new("b", FH_PRIORITY_LOW, 1);
    assert_ptr_equal(push(f, more), &more->item);
    free(more);
    assert_int_equal(fh_fair_count(f), 10);
    drop_all(f);
}

static void more_keys_than_rows_are_refused_while_all_wait(void **state)
{
    (void)state;
    FH_AUTO(fh_fair) fh_fair *f = fh_fair_new(10, 2);
    assert_null(push(f, job_new("a", FH_PRIORITY_NORMAL, 1)));
    assert_null(push(f, job_new("b", FH_PRIORITY_NORMAL, 1)));
    job *c = job_new("c", FH_PRIORITY_NORMAL, 1);
    assert_ptr_equal(push(f, c), &c->item);
    free(pop(f));
    assert_null(push(f, c)); /* in the row of the one that waits no more */
    drop_all(f);
}

static void after_a_rest_all_begin_anew(void **state)
{
    (void)state;
    FH_AUTO(fh_fair) fh_fair *f = fh_fair_new(1000, 4);
    uint64_t tok[128];
    fh_fair_charge(f, "a", FH_PRIORITY_NORMAL, 100000);
    fh_fair_rest(f);
    for (unsigned i = 0; i < 10; i++) push(f, job_new("a", FH_PRIORITY_NORMAL, 100));
    for (unsigned i = 0; i < 10; i++) push(f, job_new("b", FH_PRIORITY_NORMAL, 100));
    shares(f, 4, tok);
    assert_int_equal(tok['a'], 200);
    drop_all(f);
}

/* A machine with four streams; one key floods it with 200 requests at once, another sends one after another. */
static uint64_t longest_wait(bool flood)
{
    FH_AUTO(fh_fair) fh_fair *f = fh_fair_new(1000, 8);
    job *running[4] = {NULL}, *mine = NULL;
    uint64_t now = 0, asked = 0, longest = 0, served = 0;
    for (unsigned i = 0; flood && i < 200; i++) push(f, job_new("a", FH_PRIORITY_NORMAL, 50 + i % 100));
    while (served < 40) {
        if (!mine) {
            push(f, mine = job_new("b", FH_PRIORITY_NORMAL, 100));
            asked = now;
        }
        for (unsigned i = 0; i < 4; i++) {
            if (running[i] || !(running[i] = pop(f))) continue;
            running[i]->ends = now + running[i]->cost;
            if (running[i] == mine) longest = FH_MAX(longest, now - asked);
        }
        now++;
        for (unsigned i = 0; i < 4; i++) {
            if (!running[i] || running[i]->ends > now) continue;
            served += running[i] == mine;
            if (running[i] == mine) mine = NULL;
            free(running[i]);
            running[i] = NULL;
        }
    }
    for (unsigned i = 0; i < 4; i++) free(running[i]);
    drop_all(f);
    return longest;
}

static void beside_a_flood_the_wait_is_that_for_the_next_free_stream(void **state)
{
    (void)state;
    assert_int_equal(longest_wait(false), 0);
    assert_true(longest_wait(true) <= 150); /* the longest of the flood's requests; in the order of coming it would be 5000 */
}

static uint32_t draw(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525 + 1013904223;
    return (*seed >> 16) % below;
}

/* Whatever comes in which order: each that was taken in comes out once, or is told to give way. */
static void nobody_is_lost_or_served_twice(void **state)
{
    (void)state;
    enum { MOST = 40, STEPS = 20000 };
    FH_AUTO(fh_fair) fh_fair *f = fh_fair_new(MOST, 6);
    job *inside[MOST + 1];
    size_t n = 0;
    uint32_t seed = 7;
    for (unsigned step = 0; step < STEPS; step++) {
        char key[2] = {(char)('a' + draw(&seed, 4)), '\0'};
        fh_priority class = (fh_priority)((int)draw(&seed, 3) - 1);
        uint32_t what = draw(&seed, 10);
        job *out = NULL;
        if (what < 5) {
            job *j = job_new(key, class, draw(&seed, 1000));
            out = (job *)push(f, j);
            if (out != j) inside[n++] = j;
            if (out == j) {
                free(j);
                continue;
            }
        } else if (what < 8) {
            out = pop(f);
            assert_true((out == NULL) == (n == 0));
        } else if (what < 9 && n) {
            out = inside[draw(&seed, (uint32_t)n)];
            fh_fair_remove(f, &out->item);
        } else {
            fh_fair_settle(f, key, class, draw(&seed, 1000), draw(&seed, 1000));
        }
        size_t at = 0;
        while (out && at < n && inside[at] != out) at++;
        assert_true(!out || at < n);
        if (out) inside[at] = inside[--n];
        assert_true(!out || !out->item.row);
        free(out);
        assert_int_equal(fh_fair_count(f), n);
    }
    drop_all(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_key_is_served_in_the_order_it_came),
        cmocka_unit_test(a_flood_does_not_delay_who_comes_behind_it),
        cmocka_unit_test(shares_are_of_tokens_not_of_requests),
        cmocka_unit_test(classes_share_by_their_weights_and_low_is_never_starved),
        cmocka_unit_test(a_key_gains_nothing_by_having_been_away),
        cmocka_unit_test(what_ran_without_waiting_counts_too),
        cmocka_unit_test(what_was_used_in_truth_sets_the_account_right),
        cmocka_unit_test(who_cannot_be_served_there_is_passed_by_and_keeps_its_place),
        cmocka_unit_test(who_leaves_is_not_served),
        cmocka_unit_test(when_it_is_full_the_flood_gives_way),
        cmocka_unit_test(more_keys_than_rows_are_refused_while_all_wait),
        cmocka_unit_test(after_a_rest_all_begin_anew),
        cmocka_unit_test(nobody_is_lost_or_served_twice),
        cmocka_unit_test(beside_a_flood_the_wait_is_that_for_the_next_free_stream),
    };
    return cmocka_run_group_tests_name("gateway/fair", tests, NULL, NULL);
}
