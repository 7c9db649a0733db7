/* Names that threads resolve for a loop. The threads ask a function of the test's, which waits until it is told. */
#include "net/resolver.h"

#include "base/clock.h"
#include "base/limits.h"
#include "cmocka_all.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct world {
    fh_loop *loop;
    fh_resolver *resolver;
    atomic_int asked;
    atomic_bool held; /* threads wait */
    int answers, wanted;
    size_t count;
    fh_address first;
} world;

static size_t resolve(void *ctx, const char *host, fh_address *ret, size_t max)
{
    world *w = ctx;
    assert_true(max >= 2);
    atomic_fetch_add(&w->asked, 1);
    while (atomic_load(&w->held)) fh_sleep_ns(FH_NS_PER_MS);
    if (strcmp(host, "two.test") != 0) return 0;
    fh_address_parse(FH_STR("192.0.2.7"), &ret[0]);
    fh_address_parse(FH_STR("2001:db8::7"), &ret[1]);
    return 2;
}

static void answered(void *arg, const fh_address *list, size_t count)
{
    world *w = arg;
    w->count = count;
    if (count) w->first = list[0];
    if (++w->answers == w->wanted) fh_loop_stop(w->loop);
}

static int setup(void **state)
{
    world *w = calloc(1, sizeof *w);
    assert_int_equal(fh_loop_new(&w->loop, NULL), 0);
    assert_int_equal(fh_resolver_new(&w->resolver, resolve, w, NULL), 0);
    w->wanted = 1;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    atomic_store(&w->held, false);
    fh_resolver_free(w->resolver);
    fh_loop_free(w->loop);
    free(w);
    return 0;
}

static fh_lookup *ask(world *w, const char *host)
{
    fh_lookup *l = NULL;
    assert_int_equal(fh_resolver_ask(&l, w->resolver, w->loop, host, answered, w, NULL), 0);
    return l;
}

static void a_name_becomes_its_addresses(void **state)
{
    world *w = *state;
    char text[FH_ADDRESS_TEXT];
    ask(w, "two.test");
    assert_int_equal(w->answers, 0);
    fh_loop_run(w->loop, NULL);
    assert_int_equal(w->count, 2);
    fh_address_write(&w->first, text);
    assert_string_equal(text, "192.0.2.7");
    ask(w, "none.test");
    w->wanted = 2;
    fh_loop_run(w->loop, NULL);
    assert_int_equal(w->count, 0);
}

static void a_cancelled_lookup_answers_nobody(void **state)
{
    world *w = *state;
    atomic_store(&w->held, true);
    fh_lookup_cancel(ask(w, "two.test")); /* perhaps before a thread has it */
    fh_lookup *l = ask(w, "two.test");
    while (atomic_load(&w->asked) < 2) fh_sleep_ns(FH_NS_PER_MS);
    fh_lookup_cancel(l); /* while a thread is at it */
    atomic_store(&w->held, false);
    ask(w, "none.test");
    fh_loop_run(w->loop, NULL);
    assert_int_equal(w->answers, 1);
}

static void so_many_wait_and_no_more(void **state)
{
    world *w = *state;
    enum { MOST = FH_LIMIT_RESOLVER_THREADS + FH_LIMIT_RESOLVER_WAITING };
    fh_err *err = NULL;
    fh_lookup *l = NULL;
    atomic_store(&w->held, true);
    for (int i = 0; i < FH_LIMIT_RESOLVER_THREADS; i++) ask(w, "two.test");
    while (atomic_load(&w->asked) < FH_LIMIT_RESOLVER_THREADS) fh_sleep_ns(FH_NS_PER_MS);
    for (int i = FH_LIMIT_RESOLVER_THREADS; i < MOST; i++) ask(w, "two.test");
    assert_int_equal(fh_resolver_ask(&l, w->resolver, w->loop, "two.test", answered, w, &err), FH_E_BUSY);
    fh_err_free(err);
    w->wanted = MOST;
    atomic_store(&w->held, false);
    fh_loop_run(w->loop, NULL);
    assert_int_equal(w->answers, MOST);
    assert_int_equal(w->count, 2);
}

/* Leaks are the sanitizers' to find. */
static void freeing_it_ends_what_waits(void **state)
{
    world *w = *state;
    for (int i = 0; i < 40; i++) fh_lookup_cancel(ask(w, "two.test"));
}

static void the_systems_resolver_knows_this_machine(void **state)
{
    world *w = *state;
    fh_resolver *system = NULL;
    fh_lookup *l = NULL;
    assert_int_equal(fh_resolver_new(&system, NULL, NULL, NULL), 0);
    assert_int_equal(fh_resolver_ask(&l, system, w->loop, "localhost", answered, w, NULL), 0);
    fh_loop_run(w->loop, NULL);
    assert_true(w->count > 0);
    assert_true(fh_address_is_loopback(&w->first));
    fh_resolver_free(system);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_name_becomes_its_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cancelled_lookup_answers_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(so_many_wait_and_no_more, setup, teardown),
        cmocka_unit_test_setup_teardown(freeing_it_ends_what_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(the_systems_resolver_knows_this_machine, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
