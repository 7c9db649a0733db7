/* Deployments on machines that are got for them: what is asked of a supply, and what becomes of a deployment when its machine comes, does
 * not come, goes. The supply is one that does what the test says; its machines are this one under other names. */
#include "far_place.h"

#include "fleet/supplies.h"

enum { ORDERS = 16 };

typedef struct order {
    int64_t id;
    char node[80], place[96];
    int64_t limit_micro, limit_s;
    fh_supply_view view;
    _Atomic unsigned asked, released, forgotten;
    far machine;
    bool came;
} order;

static struct supply {
    fh_supply port;
    pthread_mutex_t lock;
    order orders[ORDERS];
    size_t count;
    bool refuses, fails;
} cluster;

static order *order_of(int64_t id)
{
    for (size_t i = 0; i < cluster.count; i++)
        if (cluster.orders[i].id == id) return &cluster.orders[i];
    return NULL;
}

static int check(void *ctx, const fh_supply_want *w, fh_err **err)
{
    return cluster.refuses ? fh_err_set(err, FH_E_UNSUPPORTED, "there is no partition with %llu bytes", (unsigned long long)w->bytes) : 0;
}

static int ask_order(void *ctx, const fh_supply_want *w, fh_err **err)
{
    if (cluster.fails) return fh_err_set(err, FH_E_UPSTREAM, "sbatch: no such account");
    pthread_mutex_lock(&cluster.lock);
    order *o = order_of(w->order);
    if (!o) {
        o = &cluster.orders[cluster.count++];
        o->id = w->order;
        o->limit_micro = w->limit_micro;
        o->limit_s = w->limit_s;
        snprintf(o->node, sizeof(o->node), "%s", w->node);
        snprintf(o->place, sizeof(o->place), "node/%s", w->node);
        snprintf(o->view.says, sizeof(o->view.says), "job 7 waits in the queue: Priority");
    }
    o->asked++;
    pthread_mutex_unlock(&cluster.lock);
    return 0;
}

static void look_order(void *ctx, int64_t id, fh_supply_view *ret)
{
    pthread_mutex_lock(&cluster.lock);
    order *o = order_of(id);
    *ret = o ? o->view : (fh_supply_view){.state = FH_SUPPLY_OVER, .says = "there is no such job"};
    pthread_mutex_unlock(&cluster.lock);
}

static void release_order(void *ctx, int64_t id, const char *why)
{
    pthread_mutex_lock(&cluster.lock);
    order *o = order_of(id);
    if (o) {
        o->released++;
        o->view.state = FH_SUPPLY_OVER;
        snprintf(o->view.says, sizeof(o->view.says), "%s", why);
    }
    pthread_mutex_unlock(&cluster.lock);
}

static void forget_order(void *ctx, int64_t id)
{
    order_of(id)->forgotten++;
}

static void close_supply(void *ctx)
{
}

static void add_supply(void *arg)
{
    cluster.port = (fh_supply){.name = "provider/cluster",
                               .kind = "slurm",
                               .check = check,
                               .order = ask_order,
                               .look = look_order,
                               .release = release_order,
                               .forget = forget_order,
                               .close = close_supply};
    fh_fleet_supply_add(fleet, &cluster.port);
}

static int setup_orders(void **state)
{
    if (setup(state) != 0) return -1;
    memset(&cluster, 0, sizeof(cluster));
    pthread_mutex_init(&cluster.lock, NULL);
    assert_true(fh_loop_post(fleet->loop, add_supply, NULL));
    return 0;
}

static int teardown_orders(void **state)
{
    fh_fleet_stop(fleet);
    fleet = NULL;
    for (size_t i = 0; i < cluster.count; i++)
        if (cluster.orders[i].came) fh_here_free(cluster.orders[i].machine.here);
    return teardown(state);
}

/* ---- what the test says ---- */

static order *wait_order(size_t nth)
{
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&cluster.lock);
        bool is_there = cluster.count > nth;
        pthread_mutex_unlock(&cluster.lock);
        if (is_there) return &cluster.orders[nth];
        fh_sleep_ns(5 * FH_NS_PER_MS);
    }
    fail_msg("no order %zu", nth);
    return NULL;
}

static void say_on_fleet(void *arg)
{
    cluster.port.changed(cluster.port.changed_arg, *(int64_t *)arg);
}

static void told(order *o, fh_supply_state state, const char *says, bool again)
{
    pthread_mutex_lock(&cluster.lock);
    o->view.state = state;
    o->view.again = again;
    snprintf(o->view.says, sizeof(o->view.says), "%s", says);
    pthread_mutex_unlock(&cluster.lock);
    assert_true(fh_loop_post(fleet->loop, say_on_fleet, &o->id));
}

static void spent(order *o, int64_t micro)
{
    pthread_mutex_lock(&cluster.lock);
    o->view.spent_micro = micro;
    pthread_mutex_unlock(&cluster.lock);
}

/* Its machine is there, and joins. */
static void come(order *o)
{
    far_add(&o->machine, o->place, 0);
    o->machine.place.order = o->id;
    o->came = true;
    told(o, FH_SUPPLY_HELD, "job 7 runs", false);
}

static void lost(void *arg)
{
    order *o = arg;
    o->machine.there = false;
    o->machine.real.stop(o->machine.real.ctx, o->machine.e, true);
}

static void wait_forgotten(const order *o)
{
    for (int i = 0; i < 2000 && !o->forgotten; i++) fh_sleep_ns(5 * FH_NS_PER_MS);
    assert_int_equal(o->forgotten, 1);
}

static fh_deployment_view wait_reason(const char *name, const char *reason)
{
    fh_deployment_view v = {0};
    for (int i = 0; i < 4000; i++) {
        if (look(name, &v) && strstr(v.reason, reason)) return v;
        fh_sleep_ns(5 * FH_NS_PER_MS);
    }
    fail_msg("%s is %s (%s), not %s", name, fh_deployment_state_name(v.state), v.reason, reason);
    return v;
}

/* ---- the tests ---- */

static void it_runs_on_the_machine_that_was_got_for_it(void **state)
{
    (void)state;
    deploy_named("good", "", "provider/cluster", 0);
    order *o = wait_order(0);
    assert_string_equal(o->node, "cluster-1");
    wait_reason("good", "job 7 waits in the queue: Priority");
    come(o);
    fh_deployment_view v = wait_place("good", "node/cluster-1");
    assert_int_equal(v.order.id, 1);
    assert_string_equal(v.order.supply, "provider/cluster");
    assert_int_equal(o->asked, 1);
}

static void stopped_it_gives_its_machine_back(void **state)
{
    (void)state;
    deploy_named("good", "", "slurm", 0);
    come(wait_order(0));
    wait_place("good", "node/cluster-1");
    assert_int_equal(undeploy("good").code, 0);
    wait_state("good", FH_DEPLOYMENT_STOPPED);
    wait_forgotten(&cluster.orders[0]);
    assert_int_equal(cluster.orders[0].released, 1);
    fh_deployment_view v = {.order = {.id = 1}};
    for (int i = 0; i < 1000 && (!look("good", &v) || v.order.id); i++) fh_sleep_ns(5 * FH_NS_PER_MS);
    assert_int_equal(v.order.id, 0);
}

static void one_that_waits_can_be_stopped(void **state)
{
    (void)state;
    deploy_named("good", "", "slurm", 0);
    order *o = wait_order(0);
    assert_int_equal(undeploy("good").code, 0);
    wait_state("good", FH_DEPLOYMENT_STOPPED);
    wait_forgotten(o);
    assert_int_equal(o->released, 1);
}

static void a_machine_that_is_taken_away_is_followed_by_another(void **state)
{
    (void)state;
    deploy_named("good", "", "slurm", 0);
    order *o = wait_order(0);
    come(o);
    wait_place("good", "node/cluster-1");
    told(o, FH_SUPPLY_OVER, "job 7 was cancelled", true);
    assert_true(fh_loop_post(fleet->loop, lost, o));
    come(wait_order(1));
    wait_place("good", "node/cluster-2");
    wait_forgotten(o);
    assert_int_equal(o->released, 0);
}

static void one_that_ends_before_it_came_is_asked_for_again_and_not_for_ever(void **state)
{
    (void)state;
    deploy_named("good", "", "slurm", 0);
    for (size_t i = 0; i <= FH_LIMIT_DEPLOYMENT_RESTARTS; i++) told(wait_order(i), FH_SUPPLY_OVER, "job 7: node failure", true);
    fh_deployment_view v = wait_state("good", FH_DEPLOYMENT_FAILED);
    assert_non_null(strstr(v.reason, "job 7: node failure, "));
}

static void what_would_end_in_the_same_way_is_not_tried_again(void **state)
{
    (void)state;
    deploy_named("good", "", "slurm", 0);
    told(wait_order(0), FH_SUPPLY_OVER, "the job's account has no hours left", false);
    fh_deployment_view v = wait_state("good", FH_DEPLOYMENT_FAILED);
    assert_string_equal(v.reason, "the job's account has no hours left");
    assert_int_equal(cluster.count, 1);
}

static void what_cannot_be_had_or_begun_says_why(void **state)
{
    (void)state;
    cluster.refuses = true;
    deploy_named("good", "", "slurm", 0);
    fh_deployment_view v = wait_state("good", FH_DEPLOYMENT_FAILED);
    assert_non_null(strstr(v.reason, "there is no partition with"));
    cluster.refuses = false;
    cluster.fails = true;
    deploy_named("slow", "", "slurm", 0);
    v = wait_state("slow", FH_DEPLOYMENT_FAILED);
    assert_string_equal(v.reason, "sbatch: no such account");
}

static void the_machine_is_for_nobody_else(void **state)
{
    (void)state;
    deploy_named("good", "", "slurm", 0);
    come(wait_order(0));
    wait_place("good", "node/cluster-1");
    answer a = deploy_named("slow", "", "pool", 0);
    assert_int_equal(a.code, FH_E_UNSUPPORTED);
    a = deploy_named("slow", "", "node/cluster-1", 0);
    assert_int_equal(a.code, FH_E_UNSUPPORTED);
    deploy("slow");
    wait_place("slow", "here");
}

static void what_was_asked_for_is_asked_for_again_after_a_restart_and_is_the_same(void **state)
{
    (void)state;
    deploy_named("good", "", "slurm", 0);
    order *o = wait_order(0);
    fh_fleet_stop(fleet);
    start_fleet(false);
    assert_true(fh_loop_post(fleet->loop, add_supply, NULL));
    for (int i = 0; i < 2000 && o->asked < 2; i++) fh_sleep_ns(5 * FH_NS_PER_MS);
    assert_int_equal(o->asked, 2);
    assert_int_equal(cluster.count, 1);
    come(o);
    wait_place("good", "node/cluster-1");
}

static void what_a_limit_leaves_is_asked_for_and_no_more(void **state)
{
    (void)state;
    fh_deploy_spec s = {.limit = {.micro = 1000, .currency = "USD"}};
    snprintf(s.model, sizeof(s.model), "good");
    snprintf(s.place, sizeof(s.place), "slurm");
    answer a = {0};
    assert_int_equal(fh_fleet_deploy(fleet, &s, loop, answered, &a, NULL), 0);
    assert_int_equal(fh_loop_run(loop, NULL), 0);
    order *o = wait_order(0);
    assert_int_equal(o->limit_micro, 1000);
    spent(o, 400);
    told(o, FH_SUPPLY_OVER, "it was taken away", true);
    o = wait_order(1);
    assert_int_equal(o->limit_micro, 600);
    spent(o, 600);
    told(o, FH_SUPPLY_OVER, "it was taken away", true);
    fh_deployment_view v = wait_state("good", FH_DEPLOYMENT_FAILED);
    assert_non_null(strstr(v.reason, "limit of money is used up"));
    assert_int_equal(cluster.count, 2);
}

static fh_set_view wait_set(const char *name, int64_t min, int64_t count)
{
    for (int i = 0; i < 2000; i++) {
        const fh_fleet_snapshot *s = fh_fleet_snapshot_get(fleet);
        fh_set_view v = {0};
        for (size_t k = 0; k < s->set_count; k++)
            if (strcmp(s->sets[k].name, name) == 0) v = s->sets[k];
        fh_fleet_snapshot_release(s);
        if (v.name[0] && v.min == min && v.count == count) return v;
        fh_sleep_ns(5 * FH_NS_PER_MS);
    }
    fail_msg("no set %s of at least %lld with %lld", name, (long long)min, (long long)count);
    return (fh_set_view){0};
}

static void one_that_is_about_to_be_taken_away_has_a_successor_first(void **state)
{
    (void)state;
    deploy_named("good", "", "slurm", 0);
    order *o = wait_order(0);
    come(o);
    wait_place("good", "node/cluster-1");
    assert_int_equal(wait_set("good", 0, 1).idle_s, FH_LIMIT_SCALE_IDLE_S); /* its machine is somebody's: it sleeps when nobody asks */
    pthread_mutex_lock(&cluster.lock);
    o->view.leaving = true;
    pthread_mutex_unlock(&cluster.lock);
    told(o, FH_SUPPLY_HELD, "job 7 is pre-empted in a minute", false);
    order *next = wait_order(1);
    fh_sleep_ns(50 * FH_NS_PER_MS);
    assert_int_equal(wait_state("good", FH_DEPLOYMENT_READY).order.id, 1); /* goes on until the other is there */
    assert_int_equal(cluster.count, 2);
    come(next);
    wait_place("good-2", "node/cluster-2");
    wait_state("good", FH_DEPLOYMENT_STOPPED);
    wait_forgotten(o);
    assert_int_equal(cluster.count, 2);
}

static void one_whose_time_is_nearly_up_goes_on_where_there_is_no_other(void **state)
{
    (void)state;
    deploy_named("good", "", "slurm", 0);
    order *o = wait_order(0);
    come(o);
    wait_place("good", "node/cluster-1");
    cluster.refuses = true;
    pthread_mutex_lock(&cluster.lock);
    o->view.ends_utc_ns = fh_clock_utc_ns() + 2 * FH_NS_PER_S;
    pthread_mutex_unlock(&cluster.lock);
    told(o, FH_SUPPLY_HELD, "job 7 runs", false);
    wait_state("good-2", FH_DEPLOYMENT_FAILED);
    fh_sleep_ns(300 * FH_NS_PER_MS); /* another was tried meanwhile */
    assert_int_equal(wait_state("good", FH_DEPLOYMENT_READY).order.id, 1);
    assert_int_equal(o->released, 0);
}

static void replicas_of_a_set_share_its_limit(void **state)
{
    (void)state;
    fh_deploy_spec s = {.model = "good", .place = "slurm", .limit = {.micro = 1000, .currency = "USD"}};
    s.replicas = (fh_replicas){.min_said = true, .max_said = true, .min = 1, .max = 1};
    answer a = {0};
    assert_int_equal(fh_fleet_deploy(fleet, &s, loop, answered, &a, NULL), 0);
    assert_int_equal(fh_loop_run(loop, NULL), 0);
    order *o = wait_order(0);
    come(o);
    wait_place("good", "node/cluster-1");
    spent(o, 300);
    pthread_mutex_lock(&cluster.lock);
    o->view.leaving = true;
    pthread_mutex_unlock(&cluster.lock);
    told(o, FH_SUPPLY_HELD, "job 7 is pre-empted in a minute", false);
    assert_int_equal(wait_order(1)->limit_micro, 700);
}

/* The limit is the set's: however many start at the same moment, what they may cost together is no more. */
static void replicas_that_start_together_share_the_limit_of_their_set(void **state)
{
    (void)state;
    fh_deploy_spec s = {.model = "good", .place = "slurm", .limit = {.micro = 1000, .seconds = 3600, .currency = "USD"}};
    s.replicas = (fh_replicas){.min_said = true, .max_said = true, .min = 3, .max = 3};
    answer a = {0};
    assert_int_equal(fh_fleet_deploy(fleet, &s, loop, answered, &a, NULL), 0);
    assert_int_equal(fh_loop_run(loop, NULL), 0);
    int64_t micro = 0, seconds = 0;
    wait_order(2);
    for (size_t i = 0; i < 3; i++) {
        assert_true(cluster.orders[i].limit_micro > 300);
        micro += cluster.orders[i].limit_micro;
        seconds += cluster.orders[i].limit_s;
    }
    assert_true(micro <= 1000 && seconds <= 3600);
    spent(&cluster.orders[0], 300);
    told(&cluster.orders[0], FH_SUPPLY_OVER, "it was taken away", true);
    order *next = wait_order(3);
    assert_true(next->limit_micro > 0 && 300 + micro - cluster.orders[0].limit_micro + next->limit_micro <= 1000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_orders, teardown_orders)

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "engine") == 0) return fake_engine(argc, argv);
    ssize_t n = readlink("/proc/self/exe", self_path, sizeof(self_path) - 1);
    if (n <= 0) return 1;
    const struct CMUnitTest tests[] = {
        TEST(it_runs_on_the_machine_that_was_got_for_it),
        TEST(stopped_it_gives_its_machine_back),
        TEST(one_that_waits_can_be_stopped),
        TEST(a_machine_that_is_taken_away_is_followed_by_another),
        TEST(one_that_ends_before_it_came_is_asked_for_again_and_not_for_ever),
        TEST(what_would_end_in_the_same_way_is_not_tried_again),
        TEST(what_cannot_be_had_or_begun_says_why),
        TEST(the_machine_is_for_nobody_else),
        TEST(what_was_asked_for_is_asked_for_again_after_a_restart_and_is_the_same),
        TEST(what_a_limit_leaves_is_asked_for_and_no_more),
        TEST(one_that_is_about_to_be_taken_away_has_a_successor_first),
        TEST(one_whose_time_is_nearly_up_goes_on_where_there_is_no_other),
        TEST(replicas_of_a_set_share_its_limit),
        TEST(replicas_that_start_together_share_the_limit_of_their_set),
    };
    fh_log_set_level(getenv("FH_TEST_VERBOSE") ? FH_LOG_DEBUG : FH_LOG_ERROR + 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
