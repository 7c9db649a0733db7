/* Deployments over several places: which one they get, and what becomes of them when it is lost. The other places are this machine under
 * another name, so that engines run there as they do here. */
#include "far_place.h"

static far cheap, dear;

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

/* What was measured of the two. */
static fh_place_quality of_cheap, of_dear;

static void quality(void *ctx, const char *place, const char *model, fh_place_quality *ret)
{
    assert_ptr_equal(ctx, &cheap);
    assert_true(model[0] && strcmp(place, "here") != 0);
    *ret = strcmp(place, "node/cheap") == 0 ? of_cheap : of_dear;
}

static void learn(void *arg)
{
    const fh_place_quality *both = arg;
    fleet->quality = quality;
    fleet->quality_ctx = &cheap;
    of_cheap = both[0];
    of_dear = both[1];
    fh_loop_stop(loop);
}

static void known(fh_place_quality c, fh_place_quality d)
{
    fh_place_quality both[2] = {c, d};
    assert_true(fh_loop_post(fleet->loop, learn, both));
    assert_int_equal(fh_loop_run(loop, NULL), 0);
}

/* That it was given when it got its place. */
static bool was_told(const char *name, const char *part)
{
    FH_AUTO(json) fh_json *history = NULL;
    assert_int_equal(fh_fleet_history(fleet, name, 0, 100, &history, NULL), 0);
    for (size_t i = 0; i < fh_json_count(history); i++)
        if (strstr(fh_json_str(fh_json_get(fh_json_at(history, i), "reason")).ptr, part)) return true;
    return false;
}

static void wait_reason(const char *name, const char *part)
{
    fh_deployment_view v = {0};
    for (int i = 0; i < LOOKS; i++) {
        if (look(name, &v) && strstr(v.reason, part)) return;
        fh_sleep_ns(5 * FH_NS_PER_MS);
    }
    fail_msg("%s is %s: %s", name, fh_deployment_state_name(v.state), v.reason);
}

static void on_fleet(void (*fn)(void *arg), far *p)
{
    assert_true(fh_loop_post(fleet->loop, fn, p));
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

static void asks_by_the_token_are_compared_with_their_like(void **state)
{
    (void)state;
    cheap.mtok_micro = 200000;
    deploy_named("good", "", "pool", 0);
    wait_place("good", "node/dear"); /* which joined first: an hour with tokens is not compared with an hour while no load is known */
    cheap.ask_micro = dear.ask_micro = 0;
    dear.mtok_micro = 300000;
    deploy_named("plain", "", "pool", 0);
    wait_place("plain", "node/cheap");
    assert_true(was_told("plain", ", for 0.2000 USD a million tokens; the cheapest of 2"));
}

static void what_asks_for_more_than_the_limit_is_not_taken(void **state)
{
    (void)state;
    fh_deploy_limit half = {.max_hour_micro = 500000, .currency = "USD"}, little = {.max_hour_micro = 50000, .currency = "USD"},
                    euros = {.max_hour_micro = 5000000, .currency = "EUR"};
    deploy_limited("good", "", "pool", 0, &half);
    wait_place("good", "node/cheap");
    on_fleet(go_away, &cheap);
    wait_state("good", FH_DEPLOYMENT_LOADING);
    on_fleet(stay_away, &cheap);
    wait_reason("good", "waiting for node/cheap"); /* not node/dear */
    on_fleet(come_back, &cheap);
    wait_place("good", "node/cheap");
    deploy_limited("plain", "", "pool", 0, &little);
    fh_deployment_view v = wait_state("plain", FH_DEPLOYMENT_FAILED);
    assert_string_equal(v.reason, "node/cheap asks for 0.1000 USD an hour, and the limit is 0.0500 USD");
    assert_non_null(strstr(v.hint, "--max-hour"));
    deploy_limited("slow", "", "node/dear", 0, &euros);
    assert_string_equal(wait_state("slow", FH_DEPLOYMENT_FAILED).reason, "node/dear asks for 0.9000 USD an hour, and the limit is 5.0000 EUR");
}

static void what_fails_often_is_dearer_than_it_asks(void **state)
{
    (void)state;
    known((fh_place_quality){.failing_per_mille = 900}, (fh_place_quality){.failing_per_mille = 10});
    deploy_named("good", "", "pool", 0);
    wait_place("good", "node/dear");
    assert_true(
        was_told("good", "0.9000 USD an hour (0.9090 with the 10 in 1000 requests that are expected to fail there); the cheapest of 2"));
    known((fh_place_quality){.failing_per_mille = 250}, (fh_place_quality){.failing_per_mille = 10});
    deploy_named("plain", "", "pool", 0);
    wait_place("plain", "node/cheap");
}

static void who_needs_longer_for_the_work_is_dearer_once_all_were_measured(void **state)
{
    (void)state;
    known((fh_place_quality){.millitok_s = 1000}, (fh_place_quality){.millitok_s = 0});
    deploy_named("good", "", "pool", 0);
    wait_place("good", "node/cheap");
    known((fh_place_quality){.millitok_s = 1000}, (fh_place_quality){.millitok_s = 10000});
    deploy_named("plain", "", "pool", 0);
    wait_place("plain", "node/dear");
    assert_true(was_told("plain", "by their measured speed"));
}

static void who_cheats_gets_nothing_new(void **state)
{
    (void)state;
    known((fh_place_quality){.cheats = true}, (fh_place_quality){.standing = 42});
    deploy_named("good", "", "pool", 0);
    wait_place("good", "node/dear");
    deploy_named("plain", "", "node/cheap", 0);
    fh_deployment_view v = wait_state("plain", FH_DEPLOYMENT_FAILED);
    assert_string_equal(v.reason, "node/cheap was found to cheat, and gets nothing new");
    assert_non_null(strstr(v.hint, "freehold node clear cheap"));
    known((fh_place_quality){.standing = 42}, (fh_place_quality){.standing = 42});
    deploy_named("slow", "", "node/cheap", 0);
    wait_place("slow", "node/cheap");
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
        TEST(what_asks_for_more_than_the_limit_is_not_taken),
        TEST(asks_by_the_token_are_compared_with_their_like),
        TEST(what_fails_often_is_dearer_than_it_asks),
        TEST(who_needs_longer_for_the_work_is_dearer_once_all_were_measured),
        TEST(who_cheats_gets_nothing_new),
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
