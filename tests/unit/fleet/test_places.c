/* Deployments over several places: which one they get, and what becomes of them when it is lost. The other places are this machine under
 * another name, so that engines run there as they do here. */
#include "fleet_world.h"

#include <stdatomic.h>

typedef struct far { /* a place elsewhere */
    fh_place place, real;
    fh_here *here;
    fh_engine *e; /* the newest that was started there */
    int64_t ask_micro;
    _Atomic bool there, small;
} far;

static far cheap, dear;

static fh_place_terms far_terms(void *ctx)
{
    const far *p = ctx;
    return (fh_place_terms){.there = p->there, .ask_micro = p->ask_micro, .currency = "USD"};
}

static fh_plan_machine far_machine(void *ctx)
{
    far *p = ctx;
    return p->small ? (fh_plan_machine){.memory_bytes = 1 << 20} : p->real.machine(p->real.ctx);
}

static int far_start(void *ctx, const fh_engine_spec *spec, fh_engine *e, fh_err **err)
{
    far *p = ctx;
    p->e = e;
    return p->real.start(p->real.ctx, spec, e, err);
}

static int far_ready(void *ctx, const fh_catalog_engine *kind, char *sandbox, size_t size, fh_err **err)
{
    far *p = ctx;
    return p->real.ready(p->real.ctx, kind, sandbox, size, err);
}

static int far_socket_path(void *ctx, const char *deployment, int64_t act, char *out, size_t size, fh_err **err)
{
    far *p = ctx;
    return p->real.socket_path(p->real.ctx, deployment, act, out, size, err);
}

static void far_stop(void *ctx, fh_engine *e, bool force)
{
    far *p = ctx;
    p->real.stop(p->real.ctx, e, force);
}

static void far_let_go(void *ctx, fh_engine *e)
{
    far *p = ctx;
    p->real.let_go(p->real.ctx, e);
}

static void far_up(void *ctx, const char *deployment, int64_t act, const char *socket_path)
{
}

static int far_usage(void *ctx, const fh_engine *e, fh_process_use *ret)
{
    far *p = ctx;
    return p->real.usage(p->real.ctx, e, ret);
}

static void far_tidy(void *ctx, const char *deployment, const char *socket_path)
{
    far *p = ctx;
    p->real.tidy(p->real.ctx, deployment, socket_path);
}

static void far_rotate(void *ctx, const char *deployment)
{
}

static int far_log_tail(void *ctx, const char *deployment, size_t max_bytes, fh_buf *out, fh_err **err)
{
    far *p = ctx;
    return p->real.log_tail(p->real.ctx, deployment, max_bytes, out, err);
}

static void add_place(void *arg)
{
    far *p = arg;
    fh_place **end = &fleet->places;
    while (*end) end = &(*end)->next;
    *end = &p->place;
    fh_loop_stop(loop);
}

static void far_add(far *p, const char *name, int64_t ask_micro)
{
    char folder[96];
    *p = (far){.ask_micro = ask_micro};
    p->there = true;
    snprintf(folder, sizeof(folder), "%s/%s", data, name + strlen("node/"));
    assert_int_equal(fh_dir_make(folder, 0700, NULL), 0);
    fh_fleet_config c = {.data_dir = folder, .program = self_path};
    assert_int_equal(fh_here_new(&p->here, fleet->loop, &c, NULL), 0);
    fh_here_place(p->here, &p->real);
    p->place = (fh_place){.name = name,
                          .ctx = p,
                          .terms = far_terms,
                          .machine = far_machine,
                          .ready = far_ready,
                          .socket_path = far_socket_path,
                          .start = far_start,
                          .stop = far_stop,
                          .let_go = far_let_go,
                          .up = far_up,
                          .usage = far_usage,
                          .tidy = far_tidy,
                          .rotate = far_rotate,
                          .log_tail = far_log_tail};
    assert_true(fh_loop_post(fleet->loop, add_place, p));
    assert_int_equal(fh_loop_run(loop, NULL), 0);
}

static int setup_places(void **state)
{
    if (setup(state) != 0) return -1;
    far_add(&dear, "node/dear", 900000);
    far_add(&cheap, "node/cheap", 100000);
    return 0;
}

static int teardown_places(void **state)
{
    fh_fleet_stop(fleet);
    fleet = NULL;
    fh_here_free(cheap.here);
    fh_here_free(dear.here);
    return teardown(state);
}

/* ---- on the fleet's thread ---- */

static void go_away(void *arg)
{
    far *p = arg;
    p->there = false;
    p->e->away = true;
    p->e->on_away(p->e->arg);
}

static void come_back(void *arg)
{
    far *p = arg;
    p->there = true;
    p->e->away = false;
    p->e->on_away(p->e->arg);
}

static void stay_away(void *arg)
{
    far *p = arg;
    p->real.stop(p->real.ctx, p->e, true); /* says its end by itself */
}

static void on_fleet(void (*fn)(void *arg), far *p)
{
    assert_true(fh_loop_post(fleet->loop, fn, p));
}

static fh_deployment_view wait_place(const char *name, const char *place)
{
    fh_deployment_view v = {0};
    for (int i = 0; i < 2000; i++) {
        if (look(name, &v) && v.state == FH_DEPLOYMENT_READY && strcmp(v.place, place) == 0) return v;
        fh_sleep_ns(5 * FH_NS_PER_MS);
    }
    fail_msg("%s is %s at %s (%s)", name, fh_deployment_state_name(v.state), v.place, v.reason);
    return v;
}

/* ---- the tests ---- */

static void what_costs_nothing_comes_first_then_the_cheapest(void **state)
{
    (void)state;
    deploy("good");
    wait_place("good", "here");
    deploy_named("plain", "", "pool", 0);
    wait_place("plain", "node/cheap");
    cheap.small = true;
    deploy_named("slow", "", "pool", 0);
    wait_place("slow", "node/dear");
}

static void stopped_it_ends_where_it_ran(void **state)
{
    (void)state;
    deploy_named("good", "", "pool", 0);
    wait_place("good", "node/cheap");
    assert_int_equal(undeploy("good").code, 0);
    wait_state("good", FH_DEPLOYMENT_STOPPED);
    assert_false(cheap.e->runs);
}

static void the_place_that_was_named_is_the_one(void **state)
{
    (void)state;
    assert_string_equal(deploy_named("good", "", "node/dear", 0).view.place, "node/dear");
    wait_place("good", "node/dear");
    answer a = deploy_named("plain", "", "node/nobody", 0);
    assert_int_equal(a.code, FH_E_UNSUPPORTED);
    assert_string_equal(a.message, "there is no place \"node/nobody\"");
}

static void a_place_that_comes_back_still_runs_it(void **state)
{
    (void)state;
    deploy_named("good", "", "pool", 0);
    wait_place("good", "node/cheap");
    on_fleet(go_away, &cheap);
    assert_non_null(strstr(wait_state("good", FH_DEPLOYMENT_LOADING).reason, "cannot be reached"));
    on_fleet(come_back, &cheap);
    fh_deployment_view v = wait_place("good", "node/cheap");
    assert_int_equal(v.restarts, 0);
}

static void another_place_takes_over_from_one_that_stays_away(void **state)
{
    (void)state;
    deploy_named("good", "", "pool", 0);
    wait_place("good", "node/cheap");
    on_fleet(go_away, &cheap);
    wait_state("good", FH_DEPLOYMENT_LOADING);
    on_fleet(stay_away, &cheap);
    wait_place("good", "node/dear");
}

static void without_any_place_it_waits_for_one(void **state)
{
    (void)state;
    cheap.there = dear.there = false;
    deploy_named("good", "", "pool", 0);
    fh_deployment_view v = {0};
    for (int i = 0; i < 2000 && !strstr(v.reason, "waiting for one of 2 machines"); i++) {
        look("good", &v);
        fh_sleep_ns(5 * FH_NS_PER_MS);
    }
    assert_non_null(strstr(v.reason, "waiting for one of 2 machines"));
    assert_int_equal(v.state, FH_DEPLOYMENT_PLANNING);
    dear.there = true;
    wait_place("good", "node/dear");
}

static void what_was_elsewhere_is_elsewhere_after_a_restart(void **state)
{
    (void)state;
    deploy_named("good", "", "node/dear", 0);
    wait_place("good", "node/dear");
    fh_fleet_stop(fleet);
    start_fleet(false); /* which does not know the place any more */
    fh_deployment_view v = wait_state("good", FH_DEPLOYMENT_FAILED);
    assert_string_equal(v.reason, "there is no place \"node/dear\" any more");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_places, teardown_places)

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "engine") == 0) return fake_engine(argc, argv);
    ssize_t n = readlink("/proc/self/exe", self_path, sizeof(self_path) - 1);
    if (n <= 0) return 1;
    const struct CMUnitTest tests[] = {
        TEST(what_costs_nothing_comes_first_then_the_cheapest),
        TEST(stopped_it_ends_where_it_ran),
        TEST(the_place_that_was_named_is_the_one),
        TEST(a_place_that_comes_back_still_runs_it),
        TEST(another_place_takes_over_from_one_that_stays_away),
        TEST(without_any_place_it_waits_for_one),
        TEST(what_was_elsewhere_is_elsewhere_after_a_restart),
    };
    fh_log_set_level(getenv("FH_TEST_VERBOSE") ? FH_LOG_DEBUG : FH_LOG_ERROR + 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
