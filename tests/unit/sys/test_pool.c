/* The SPMD pool: every worker runs, barriers separate what they promise to separate, sleeping workers wake. */
#include "cmocka_all.h"
#include "base/clock.h"
#include "sys/pool.h"

#include <stdatomic.h>

typedef struct count {
    _Atomic unsigned calls;
    unsigned seen[FH_POOL_MAX];
} count;

static void note(fh_worker *w, void *arg)
{
    count *c = arg;
    atomic_fetch_add(&c->calls, 1);
    c->seen[w->index]++;
}

static void every_worker_runs_once_each_run(void **state)
{
    for (unsigned threads = 1; threads <= 5; threads++) {
        FH_AUTO(fh_pool) fh_pool *p = NULL;
        assert_int_equal(fh_pool_new(&p, threads, NULL), 0);
        assert_int_equal(fh_pool_count(p), threads);
        count c = {0};
        for (unsigned i = 0; i < 500; i++) fh_pool_run(p, note, &c);
        assert_int_equal(c.calls, 500 * threads);
        for (unsigned i = 0; i < threads; i++) assert_int_equal(c.seen[i], 500);
    }
}

enum { ROUNDS = 2000 };

typedef struct relay {
    unsigned cells[8]; /* plain memory: only the barrier orders it */
    bool torn;
} relay;

/* Each round every worker writes its cell, then reads all others' cells. */
static void relay_rounds(fh_worker *w, void *arg)
{
    relay *r = arg;
    for (unsigned round = 1; round <= ROUNDS; round++) {
        r->cells[w->index] = round;
        fh_barrier(w);
        bool same = true;
        for (unsigned i = 0; i < w->count; i++) same = same && r->cells[i] == round;
        if (!same) r->torn = true;
        fh_barrier(w);
    }
}

static void a_barrier_shows_what_all_wrote_before_it(void **state)
{
    for (unsigned threads = 1; threads <= 4; threads++) {
        FH_AUTO(fh_pool) fh_pool *p = NULL;
        assert_int_equal(fh_pool_new(&p, threads, NULL), 0);
        relay r = {0};
        fh_pool_run(p, relay_rounds, &r);
        assert_false(r.torn);
    }
}

static void sleep_in_turn(fh_worker *w, void *arg)
{
    for (unsigned turn = 0; turn < w->count; turn++) {
        if (turn == w->index) fh_sleep_ns(5 * FH_NS_PER_MS);
        fh_barrier(w);
    }
    atomic_fetch_add((_Atomic unsigned *)arg, 1);
}

static void workers_that_fell_asleep_wake(void **state)
{
    FH_AUTO(fh_pool) fh_pool *p = NULL;
    assert_int_equal(fh_pool_new(&p, 3, NULL), 0);
    _Atomic unsigned done = 0;
    for (unsigned i = 0; i < 5; i++) {
        fh_pool_run(p, sleep_in_turn, &done);
        fh_sleep_ns(5 * FH_NS_PER_MS);
    }
    assert_int_equal(done, 15);
}

static void ranges_cover_all_items_once_in_grains(void **state)
{
    for (unsigned workers = 1; workers <= 7; workers++) {
        for (size_t n = 0; n < 70; n++) {
            size_t next = 0, grain = n % 16 + 1;
            for (unsigned i = 0; i < workers; i++) {
                fh_worker w = {.index = i, .count = workers};
                size_t first, last;
                fh_worker_range(&w, n, grain, &first, &last);
                assert_true(first == next || first == last);
                assert_true(first <= last && last <= n);
                assert_true(last == n || last % grain == 0);
                if (last > first) next = last;
            }
            assert_int_equal(next, n);
        }
    }
}

static void too_many_threads_are_an_error(void **state)
{
    fh_pool *p = NULL;
    fh_err *err = NULL;
    assert_int_equal(fh_pool_new(&p, FH_POOL_MAX + 1, &err), FH_E_USAGE);
    assert_non_null(err);
    assert_null(p);
    fh_err_free(err);
}

static void asked_for_none_it_takes_what_the_machine_has(void **state)
{
    FH_AUTO(fh_pool) fh_pool *p = NULL;
    assert_int_equal(fh_pool_new(&p, 0, NULL), 0);
    assert_true(fh_pool_count(p) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_worker_runs_once_each_run), cmocka_unit_test(a_barrier_shows_what_all_wrote_before_it),
        cmocka_unit_test(workers_that_fell_asleep_wake),   cmocka_unit_test(ranges_cover_all_items_once_in_grains),
        cmocka_unit_test(too_many_threads_are_an_error),   cmocka_unit_test(asked_for_none_it_takes_what_the_machine_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
