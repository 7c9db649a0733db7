/* The event loop: timers, descriptors, signals, and posts from other threads. */
#include "base/clock.h"
#include "cmocka_all.h"
#include "net/loop.h"
#include "torture.h"
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct timed {
    fh_loop *loop;
    fh_timer *timer;
    int64_t started_ns, fired_ns;
    int count, wanted;
} timed;

static void fired(void *arg)
{
    timed *t = arg;
    t->fired_ns = fh_clock_mono_ns();
    if (++t->count == t->wanted)
        fh_loop_stop(t->loop);
    else
        fh_timer_start(t->timer, FH_NS_PER_MS);
}

static void never(void *arg)
{
    fail_msg("a stopped timer fired");
}

static void a_timer_fires_once_after_its_delay(void **state)
{
    timed t = {.wanted = 1, .started_ns = fh_clock_mono_ns()};
    fh_timer *other;
    assert_int_equal(fh_loop_new(&t.loop, NULL), 0);
    assert_int_equal(fh_timer_new(&t.timer, t.loop, fired, &t, NULL), 0);
    assert_int_equal(fh_timer_new(&other, t.loop, never, NULL, NULL), 0);
    fh_timer_start(other, FH_NS_PER_MS);
    fh_timer_stop(other);
    fh_timer_start(t.timer, 3600 * FH_NS_PER_S);
    fh_timer_start(t.timer, 20 * FH_NS_PER_MS);
    assert_int_equal(fh_loop_run(t.loop, NULL), 0);
    assert_int_equal(t.count, 1);
    assert_true(t.fired_ns - t.started_ns >= 19 * FH_NS_PER_MS);
    fh_timer_free(t.timer);
    fh_timer_free(other);
    fh_timer_free(NULL);
    fh_loop_free(t.loop);
}

static void a_timer_can_be_started_from_its_own_callback(void **state)
{
    timed t = {.wanted = 5};
    assert_int_equal(fh_loop_new(&t.loop, NULL), 0);
    assert_int_equal(fh_timer_new(&t.timer, t.loop, fired, &t, NULL), 0);
    fh_timer_start(t.timer, 0);
    assert_int_equal(fh_loop_run(t.loop, NULL), 0);
    assert_int_equal(t.count, 5);
    fh_timer_free(t.timer);
    fh_loop_free(t.loop);
}

/* Posts. */

enum { POSTERS = 4, POSTS = 20000 };

typedef struct poster {
    fh_loop *loop;
    int next; /* written by the loop's thread only */
    int *left;
    bool in_order;
} poster;

typedef struct numbered {
    poster *from;
    int number;
} numbered;

static void take_number(void *arg)
{
    numbered *n = arg;
    poster *p = n->from;
    p->in_order &= n->number == p->next++;
    fh_free(n);
    if (--*p->left == 0) fh_loop_stop(p->loop);
}

static void *post_many(void *arg)
{
    poster *p = arg;
    for (int i = 0; i < POSTS; i++) {
        numbered *n = fh_alloc(sizeof *n);
        *n = (numbered){p, i};
        if (!fh_loop_post(p->loop, take_number, n)) abort();
    }
    return NULL;
}

static void posts_of_many_threads_all_run_each_in_order(void **state)
{
    fh_loop *l;
    poster posters[POSTERS];
    pthread_t threads[POSTERS];
    int left = POSTERS * POSTS;
    assert_int_equal(fh_loop_new(&l, NULL), 0);
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (poster){.loop = l, .left = &left, .in_order = true};
        pthread_create(&threads[i], NULL, post_many, &posters[i]);
    }
    assert_int_equal(fh_loop_run(l, NULL), 0);
    for (int i = 0; i < POSTERS; i++) {
        pthread_join(threads[i], NULL);
        assert_true(posters[i].in_order);
        assert_int_equal(posters[i].next, POSTS);
    }
    fh_loop_free(l);
}

static void count_up(void *arg)
{
    ++*(int *)arg;
}

static void *stop_later(void *arg)
{
    fh_sleep_ns(20 * FH_NS_PER_MS);
    fh_loop_stop(arg);
    return NULL;
}

static void another_thread_can_stop_a_loop(void **state)
{
    fh_loop *l;
    pthread_t thread;
    assert_int_equal(fh_loop_new(&l, NULL), 0);
    pthread_create(&thread, NULL, stop_later, l);
    assert_int_equal(fh_loop_run(l, NULL), 0);
    pthread_join(thread, NULL);
    fh_loop_free(l);
}

static void *run_here(void *arg)
{
    assert_int_equal(fh_loop_run(arg, NULL), 0);
    return NULL;
}

static void remember_thread(void *arg)
{
    *(pthread_t *)arg = pthread_self();
}

static void a_call_has_been_done_on_the_loops_thread_when_it_returns(void **state)
{
    fh_loop *l = NULL;
    pthread_t thread;
    assert_int_equal(fh_loop_new(&l, NULL), 0);
    pthread_create(&thread, NULL, run_here, l);
    for (int i = 0; i < 1000; i++) {
        pthread_t ran = pthread_self();
        assert_true(fh_loop_call(l, remember_thread, &ran));
        assert_true(pthread_equal(ran, thread));
    }
    fh_loop_stop(l);
    pthread_join(thread, NULL);
    fh_loop_free(l);
}

static void a_stop_before_the_run_ends_it_at_once_and_posts_still_run(void **state)
{
    fh_loop *l;
    int count = 0;
    assert_int_equal(fh_loop_new(&l, NULL), 0);
    assert_true(fh_loop_post(l, count_up, &count));
    fh_loop_stop(l);
    assert_int_equal(fh_loop_run(l, NULL), 0);
    assert_int_equal(count, 1);
    assert_true(fh_loop_post(l, count_up, &count));
    fh_loop_free(l);
    assert_int_equal(count, 1);
    fh_loop_free(NULL);
}

/* Descriptors and signals. */

typedef struct piped {
    fh_loop *loop;
    int fd, count;
} piped;

static void readable(void *arg)
{
    piped *p = arg;
    char c;
    assert_int_equal(read(p->fd, &c, 1), 1);
    if (++p->count == 3) fh_loop_stop(p->loop);
}

static void a_watch_calls_while_there_is_something_to_read(void **state)
{
    int fds[2];
    fh_watch *w;
    piped p = {0};
    assert_int_equal(pipe(fds), 0);
    p.fd = fds[0];
    assert_int_equal(fh_loop_new(&p.loop, NULL), 0);
    assert_int_equal(fh_watch_new(&w, p.loop, fds[0], readable, &p, NULL), 0);
    assert_int_equal(write(fds[1], "abc", 3), 3);
    assert_int_equal(fh_loop_run(p.loop, NULL), 0);
    fh_watch_free(w);
    fh_watch_free(NULL);
    fh_loop_free(p.loop);
    close(fds[0]);
    close(fds[1]);
}

static void a_watch_of_no_descriptor_is_an_error(void **state)
{
    fh_loop *l;
    fh_watch *w = NULL;
    fh_err *err = NULL;
    assert_int_equal(fh_loop_new(&l, NULL), 0);
    assert_int_equal(fh_watch_new(&w, l, 9999, never, NULL, &err), FH_E_IO);
    fh_err_free(err);
    fh_loop_free(l);
}

static void stop_loop(void *arg)
{
    fh_loop_stop(arg);
}

static void a_signal_is_handled_on_the_loop(void **state)
{
    fh_loop *l;
    assert_int_equal(fh_loop_new(&l, NULL), 0);
    assert_int_equal(fh_loop_on_signal(l, SIGUSR1, stop_loop, l, NULL), 0);
    raise(SIGUSR1);
    assert_int_equal(fh_loop_run(l, NULL), 0);
    fh_loop_free(l);
}

static int scenario(void *arg)
{
    fh_loop *l = NULL;
    fh_timer *t = NULL;
    fh_watch *w = NULL;
    int count = 0, rc = fh_loop_new(&l, NULL);
    if (rc == 0) rc = fh_timer_new(&t, l, count_up, &count, NULL);
    if (rc == 0) rc = fh_watch_new(&w, l, STDIN_FILENO, never, NULL, NULL);
    if (rc == 0) rc = fh_loop_on_signal(l, SIGUSR2, never, NULL, NULL);
    if (rc == 0) rc = fh_loop_post(l, count_up, &count) ? 0 : FH_E_NOMEM;
    fh_watch_free(w);
    fh_timer_free(t);
    fh_loop_free(l);
    return rc;
}

static void memory_that_runs_out_is_an_error(void **state)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(dup2(fds[0], STDIN_FILENO), STDIN_FILENO);
    assert_true(fh_torture(FH_FAULT_ALLOC, scenario, NULL, 100) > 3);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_timer_fires_once_after_its_delay),
        cmocka_unit_test(a_timer_can_be_started_from_its_own_callback),
        cmocka_unit_test(posts_of_many_threads_all_run_each_in_order),
        cmocka_unit_test(another_thread_can_stop_a_loop),
        cmocka_unit_test(a_call_has_been_done_on_the_loops_thread_when_it_returns),
        cmocka_unit_test(a_stop_before_the_run_ends_it_at_once_and_posts_still_run),
        cmocka_unit_test(a_watch_calls_while_there_is_something_to_read),
        cmocka_unit_test(a_watch_of_no_descriptor_is_an_error),
        cmocka_unit_test(a_signal_is_handled_on_the_loop),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
