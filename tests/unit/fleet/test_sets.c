/* Sets of replicas with real processes in real sandboxes; the engine is this very program (fleet_world.h). */
#include "fleet_world.h"

#include "base/fault.h"
#include "sets.h"

static fh_replicas between(int64_t min, int64_t max)
{
    return (fh_replicas){.min_said = true, .max_said = true, .min = min, .max = max};
}

static answer run_set(const char *model, fh_replicas r)
{
    fh_deploy_spec s = {.mode = FH_DEPLOY_REUSE, .replicas = r};
    answer a = {0};
    snprintf(s.model, sizeof s.model, "%s", model);
    assert_int_equal(fh_fleet_deploy(fleet, &s, loop, answered, &a, NULL), 0);
    assert_int_equal(fh_loop_run(loop, NULL), 0);
    return a;
}

static answer roll(const char *name, int64_t context, const char *model)
{
    fh_deploy_spec s = {.context_tok = context};
    answer a = {0};
    snprintf(s.name, sizeof s.name, "%s", name);
    snprintf(s.model, sizeof s.model, "%s", model);
    assert_int_equal(fh_fleet_roll(fleet, &s, loop, answered, &a, NULL), 0);
    assert_int_equal(fh_loop_run(loop, NULL), 0);
    return a;
}

static answer wake(const char *name)
{
    answer a = {0};
    assert_int_equal(fh_fleet_wake(fleet, name, loop, answered, &a, NULL), 0);
    assert_int_equal(fh_loop_run(loop, NULL), 0);
    return a;
}

static bool look_at_set(const char *name, fh_set_view *ret)
{
    const fh_fleet_snapshot *s = fh_fleet_snapshot_get(fleet);
    bool found = false;
    for (size_t i = 0; i < s->set_count && !found; i++) {
        if (strcmp(s->sets[i].name, name) != 0) continue;
        *ret = s->sets[i];
        found = true;
    }
    fh_fleet_snapshot_release(s);
    return found;
}

static fh_set_view wait_set(const char *name, int64_t wanted, int64_t ready, int64_t count)
{
    fh_set_view v = {0};
    for (int i = 0; i < 4000; i++) {
        if (look_at_set(name, &v) && v.wanted == wanted && v.ready == ready && v.count == count) return v;
        fh_sleep_ns(5 * FH_NS_PER_MS);
    }
    fail_msg("%s: %lld wanted (%s), %lld ready of %lld; not %lld, %lld of %lld", name, (long long)v.wanted, v.why, (long long)v.ready,
             (long long)v.count, (long long)wanted, (long long)ready, (long long)count);
    return v;
}

static void tell(const char *deployment, int64_t waiting, int64_t in_flight, uint64_t requests)
{
    fh_replica_load l = {.waiting = waiting, .in_flight = in_flight, .requests = requests};
    snprintf(l.deployment, sizeof l.deployment, "%s", deployment);
    fh_fleet_tell_load(fleet, &l, 1);
}

static void a_set_has_as_many_replicas_as_were_asked_for(void **state)
{
    (void)state;
    assert_string_equal(run_set("good", between(3, 3)).view.name, "good");
    fh_set_view v = wait_set("good", 3, 3, 3);
    assert_int_equal(v.min, 3);
    assert_true(v.only_here);
    assert_string_equal(wait_state("good-3", FH_DEPLOYMENT_READY).set, "good");
    assert_int_equal(run_set("good", between(1, 1)).code, 0);
    wait_set("good", 1, 1, 1);
    assert_int_equal(run_set("good", between(2, 2)).code, 0); /* whichever stayed */
    wait_set("good", 2, 2, 2);
    assert_int_equal(undeploy("good").code, 0);
    for (int i = 0; i < 1000 && look_at_set("good", &v); i++) fh_sleep_ns(5 * FH_NS_PER_MS);
    assert_false(look_at_set("good", &v));
    assert_nothing_left();
    assert_int_equal(undeploy("good").code, FH_E_NOT_FOUND);
    assert_string_equal(deploy("good").view.name, "good"); /* its name is free again */
}

static void a_deployment_that_is_alone_becomes_a_set(void **state)
{
    (void)state;
    fh_set_view v;
    deploy("good");
    fh_deployment_view before = wait_state("good", FH_DEPLOYMENT_READY);
    assert_false(look_at_set("good", &v));
    assert_int_equal(run_set("good", between(2, 2)).code, 0);
    wait_set("good", 2, 2, 2);
    assert_int_equal(wait_state("good", FH_DEPLOYMENT_READY).pid, before.pid);
    assert_int_equal(undeploy("good-2").code, FH_E_CONFLICT); /* another would be started for it */
    assert_int_equal(deploy_named("good", "good", "", 0).code, FH_E_EXISTS);
}

static void what_is_wrong_with_the_numbers_is_said(void **state)
{
    (void)state;
    deploy("good");
    assert_int_equal(run_set("good", between(3, 2)).code, FH_E_INVALID);
    assert_int_equal(run_set("good", between(0, 0)).code, FH_E_INVALID);
    assert_int_equal(run_set("good", between(1, FH_LIMIT_REPLICAS + 1)).code, FH_E_INVALID);
    fh_replicas r = between(1, 2);
    r.idle_said = true;
    r.idle_s = 60;
    answer a = run_set("good", r);
    assert_int_equal(a.code, FH_E_INVALID);
    assert_non_null(strstr(a.message, "never sleeps"));
}

static void it_grows_with_a_queue_and_shrinks_without(void **state)
{
    (void)state;
    run_set("good", between(1, 3));
    wait_set("good", 1, 1, 1);
    fh_set_view v = {0};
    for (int i = 0; i < 1000 && v.wanted != 3; i++) {
        tell("good", 400, 4, (uint64_t)i);
        fh_sleep_ns(5 * FH_NS_PER_MS);
        assert_true(look_at_set("good", &v));
    }
    assert_non_null(strstr(wait_set("good", 3, 3, 3).why, "400 requests wait"));
    tell("good", 0, 0, 0);
    v = wait_set("good", 1, 1, 1);
    assert_non_null(strstr(v.why, "fewer are enough"));
}

static void without_requests_it_sleeps_until_it_is_woken(void **state)
{
    (void)state;
    fh_replicas r = {.idle_said = true, .idle_s = 1};
    run_set("good", r);
    fh_set_view v = wait_set("good", 0, 0, 0);
    assert_int_equal(v.min, 0);
    assert_non_null(strstr(v.why, "what it kept of prompts is gone"));
    assert_nothing_left();
    assert_int_equal(wake("nobody").code, FH_E_NOT_FOUND);
    assert_string_equal(wake("good").view.set, "good");
    assert_int_equal(wake("good").code, 0); /* twice is once */
    v = wait_set("good", 1, 1, 1);
    for (int i = 0; i < 1000 && !v.woke_ns; i++) fh_sleep_ns(5 * FH_NS_PER_MS), look_at_set("good", &v); /* in the next snapshot */
    assert_true(v.woke_ns > 0);
    wait_set("good", 0, 0, 0);
    assert_string_equal(run_set("good", (fh_replicas){0}).view.set, "good"); /* who asks for the model wakes it too */
    wait_set("good", 1, 1, 1);
    wait_set("good", 0, 0, 0);
    assert_nothing_left();
    assert_int_equal(undeploy("good").view.state, FH_DEPLOYMENT_STOPPED);
    for (int i = 0; i < 1000 && look_at_set("good", &v); i++) fh_sleep_ns(5 * FH_NS_PER_MS);
    assert_false(look_at_set("good", &v));
}

static void another_shape_comes_before_the_one_that_was_goes(void **state)
{
    (void)state;
    deploy("good");
    wait_state("good", FH_DEPLOYMENT_READY);
    assert_int_equal(roll("good", 16, "").code, 0);
    fh_deployment_view next = wait_state("good-2", FH_DEPLOYMENT_READY), before = wait_state("good", FH_DEPLOYMENT_STOPPED);
    assert_int_equal(next.context_tok, 16);
    assert_string_equal(next.set, "good");
    assert_true(before.changed_utc_ns > next.changed_utc_ns);
    assert_int_equal(wait_set("good", 1, 1, 1).context_tok, 16);
    assert_int_equal(roll("good", 0, "plain").code, 0); /* other weights, under the same name */
    assert_string_equal(wait_state("good", FH_DEPLOYMENT_READY).model, "plain");
    wait_state("good-2", FH_DEPLOYMENT_STOPPED);
    assert_int_equal(wait_set("good", 1, 1, 1).context_tok, 16);
    assert_int_equal(roll("nobody", 16, "").code, FH_E_NOT_FOUND);
    assert_int_equal(roll("good", 0, "there-is-no-such-model").code, FH_E_NOT_FOUND);
}

static void what_runs_goes_on_when_its_successor_fails(void **state)
{
    (void)state;
    deploy("good");
    fh_deployment_view before = wait_state("good", FH_DEPLOYMENT_READY);
    assert_int_equal(roll("good", 0, "mute").code, 0);
    wait_state("good-2", FH_DEPLOYMENT_FAILED);
    fh_sleep_ns(100 * FH_NS_PER_MS);
    assert_int_equal(wait_state("good", FH_DEPLOYMENT_READY).pid, before.pid);
    assert_int_equal(roll("good", 0, "good").code, 0); /* back: there is one of that already no more, so it is started anew */
    wait_set("good", 1, 1, 1);
    wait_state("good", FH_DEPLOYMENT_STOPPED);
}

static void one_that_failed_is_tried_again_after_a_pause(void **state)
{
    (void)state;
    run_set("mute", between(1, 1));
    wait_state("mute", FH_DEPLOYMENT_FAILED);
    uint64_t failed = fh_fleet_entered(fleet, FH_DEPLOYMENT_FAILED);
    for (int i = 0; i < 2000 && fh_fleet_entered(fleet, FH_DEPLOYMENT_FAILED) < failed + 2; i++) fh_sleep_ns(5 * FH_NS_PER_MS);
    assert_true(fh_fleet_entered(fleet, FH_DEPLOYMENT_FAILED) >= failed + 2);
    fh_set_view v;
    assert_int_equal(undeploy("mute").code, 0);
    for (int i = 0; i < 1000 && look_at_set("mute", &v); i++) fh_sleep_ns(5 * FH_NS_PER_MS);
    assert_false(look_at_set("mute", &v));
}

static void a_server_that_starts_again_finds_its_sets(void **state)
{
    (void)state;
    run_set("good", between(2, 3));
    wait_set("good", 2, 2, 2);
    fh_replicas r = {.idle_said = true, .idle_s = 1};
    run_set("plain", r);
    wait_set("plain", 0, 0, 0);
    fh_fleet_stop(fleet);
    start_fleet(false);
    wait_set("good", 2, 2, 2);
    fh_sleep_ns(100 * FH_NS_PER_MS);
    wait_set("good", 2, 2, 2);
    wait_set("plain", 0, 0, 0);
    assert_string_equal(wait_state("good-2", FH_DEPLOYMENT_READY).set, "good");
    wake("plain");
    wait_set("plain", 1, 1, 1);
}

/* Whichever write fails, once: what is wanted comes to be. */
static void whatever_write_fails_a_set_arrives(void **state)
{
    (void)state;
    fh_set_view v;
    for (uint64_t n = 1; n < 40; n += 3) {
        fh_fault_arm(FH_FAULT_WRITE, n, false);
        answer a = run_set("good", between(2, 2));
        if (a.code != 0) a = run_set("good", between(2, 2));
        assert_int_equal(a.code, 0);
        wait_set("good", 2, 2, 2);
        fh_fault_disarm();
        assert_int_equal(undeploy("good").code, 0);
        for (int i = 0; i < 1000 && look_at_set("good", &v); i++) fh_sleep_ns(5 * FH_NS_PER_MS);
        assert_false(look_at_set("good", &v));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    if (argc > 1 && (strcmp(argv[1], "engine") == 0 || strcmp(argv[1], "--model") == 0)) return fake_engine(argc, argv);
    if (readlink("/proc/self/exe", self_path, sizeof(self_path) - 1) < 0) return 1;
    const struct CMUnitTest tests[] = {
        TEST(a_set_has_as_many_replicas_as_were_asked_for), TEST(a_deployment_that_is_alone_becomes_a_set),
        TEST(what_is_wrong_with_the_numbers_is_said),       TEST(it_grows_with_a_queue_and_shrinks_without),
        TEST(without_requests_it_sleeps_until_it_is_woken), TEST(another_shape_comes_before_the_one_that_was_goes),
        TEST(what_runs_goes_on_when_its_successor_fails),   TEST(one_that_failed_is_tried_again_after_a_pause),
        TEST(a_server_that_starts_again_finds_its_sets),    TEST(whatever_write_fails_a_set_arrives),
    };
    fh_log_set_level(getenv("FH_TEST_VERBOSE") ? FH_LOG_DEBUG : FH_LOG_ERROR + 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
