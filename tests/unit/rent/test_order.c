/* Rentals of orders: one of an order whatever happens, a token for each act, over when a machine that had arrived is gone, and offers by
 * the memory that they have. The provider is calm here; test_renter.c is where it is not. */
#include "cmocka_all.h"
#include "db/schema.h"
#include "sim.h"

typedef struct test {
    sim sim;
    fh_renter *renter;
    int tokens, tokened; /* made; machines that were asked for with one of their own */
    char last[32];
    unsigned heard;
} test;

static fh_db *db;
static test the;

static fh_rent_now clock_of(void *arg)
{
    const test *t = arg;
    return (fh_rent_now){1000 * S + t->sim.now, SIM_UTC0 + t->sim.now};
}

static int token(void *arg, char *out, size_t out_size, fh_err **err)
{
    test *t = arg;
    (void)err;
    snprintf(out, out_size, "token-%d", ++t->tokens);
    return 0;
}

static void heard(void *arg)
{
    ((test *)arg)->heard++;
}

static int rent(void *ctx, const fh_rent_spec *spec, fh_rent_rented_fn *done, void *arg, fh_err **err)
{
    test *t = ctx; /* its sim comes first */
    bool own = spec->env_count == 1 && strcmp(spec->env[0].name, FH_RENT_TOKEN) == 0 && strcmp(spec->env[0].value, t->last) != 0;
    if (own) snprintf(t->last, sizeof t->last, "%s", spec->env[0].value);
    t->tokened += own;
    assert_null(strstr(spec->onstart, "token-"));
    return sim_rent(&t->sim, spec, done, arg, err);
}

static void open_renter(void)
{
    fh_rent_identity id;
    const uint64_t fresh[2] = {1, 2};
    assert_int_equal(fh_rent_identity_open(db, "here", NULL, fresh, SIM_UTC0, &id, NULL), 0);
    the.sim.identity = id;
    fh_renter_config c = {
        .provider = "p", .port = &the.sim.port, .db = db, .identity = id, .clock = clock_of, .token = token, .heard = heard, .arg = &the};
    assert_int_equal(fh_renter_open(&the.renter, &c, NULL), 0);
}

static int64_t ask(int64_t order, int expect)
{
    int64_t id = 0;
    const fh_rent_want w = {.order = order,
                            .filter = {.max_hour_micro = 9000000},
                            .limit_s = 7200,
                            .limit_micro = 9000000,
                            .look_s = 1800,
                            .image = "image",
                            .run = "true"};
    FH_AUTO(fh_err) fh_err *err = NULL;
    assert_int_equal(fh_renter_ask(the.renter, &w, &id, &err) == 0, expect == 0);
    return id;
}

static void pass(int64_t seconds)
{
    sim_event e;
    for (int64_t until = the.sim.now + seconds * S; the.sim.now < until; the.sim.now += S) {
        while (sim_take(&the.sim, the.sim.now, &e)) sim_happen(&the.sim, &e);
        fh_renter_step(the.renter);
    }
    assert_string_equal(the.sim.fault, "");
}

static fh_rental_view view(int64_t order)
{
    fh_rental_view v = {.id = 0};
    assert_int_equal(fh_renter_of_order(db, "p", order, SIM_UTC0 + the.sim.now, &v, NULL), 0);
    return v;
}

static sim_machine *living(void)
{
    for (int i = 0; i < the.sim.machine_count; i++)
        if (sim_alive(&the.sim.machines[i], the.sim.now)) return &the.sim.machines[i];
    return NULL;
}

static void one_runs(int64_t order)
{
    fh_rental_view v;
    ask(order, 0);
    pass(900);
    assert_true(fh_renter_find_order(the.renter, order, &v));
    assert_non_null(v.act);
    assert_true(v.act->running_utc_ns > 0);
}

/* ---- the tests ---- */

static void an_order_has_one_rental(void **state)
{
    (void)state;
    assert_true(ask(7, 0) > 0);
    ask(7, -1);
    assert_int_equal(view(7).order, 7);
    assert_true(ask(8, 0) > 0);
}

static void an_order_is_found_again_by_the_next_process(void **state)
{
    fh_rental_view v;
    (void)state;
    one_runs(7);
    fh_renter_close(the.renter);
    the.sim.generation++;
    open_renter();
    assert_true(fh_renter_find_order(the.renter, 7, &v));
    assert_true(v.wanted && v.act && v.act->phase == FH_RENT_HELD);
    assert_true(v.ends_utc_ns > SIM_UTC0 + the.sim.now && v.ends_utc_ns <= v.act->held_utc_ns + 7200 * S);
    assert_int_equal(v.spent_micro, view(7).spent_micro);
}

static void each_act_has_a_token_of_its_own_which_is_in_no_script(void **state)
{
    (void)state;
    one_runs(7);
    living()->gone = the.sim.now; /* it had not arrived: another is rented */
    pass(900);
    assert_int_equal(the.sim.rents, 2);
    assert_int_equal(the.tokened, 2);
    assert_true(the.heard > 2);
}

static void a_machine_that_had_arrived_is_not_followed_by_another(void **state)
{
    (void)state;
    one_runs(7);
    assert_int_equal(fh_renter_arrived(the.renter, view(7).id, NULL), 0);
    living()->gone = the.sim.now;
    pass(900);
    assert_int_equal(the.sim.rents, 1);
    assert_true(view(7).over && view(7).lost);
    assert_non_null(strstr("it is gone; it was ended there", view(7).reason));
    assert_true(view(7).reason[0]);
}

static void one_that_reached_its_limit_was_not_lost(void **state)
{
    (void)state;
    one_runs(7);
    assert_int_equal(fh_renter_arrived(the.renter, view(7).id, NULL), 0);
    pass(7200);
    assert_true(view(7).over && !view(7).lost);
    assert_non_null(strstr(view(7).reason, "limit"));
    assert_true(view(7).spent_micro <= 9000000);
}

static void a_machine_that_is_given_back_is_followed_by_one_of_another_offer(void **state)
{
    fh_rental_view v;
    char first[FH_RENT_ID_CHARS];
    (void)state;
    one_runs(7);
    assert_true(fh_renter_find_order(the.renter, 7, &v));
    snprintf(first, sizeof first, "%s", v.act->offer);
    assert_int_equal(fh_renter_give_back(the.renter, v.id, "its node did not come", NULL), 0);
    pass(600);
    assert_true(fh_renter_find_order(the.renter, 7, &v));
    assert_non_null(v.act);
    assert_string_not_equal(v.act->offer, first);
}

static void an_order_is_released_with_and_without_a_renter(void **state)
{
    (void)state;
    one_runs(7);
    fh_renter_close(the.renter);
    the.sim.generation++;
    assert_int_equal(fh_renter_release_order(NULL, db, "p", 7, "wanted no more", NULL), 0);
    assert_false(view(7).wanted);
    open_renter();
    pass(900);
    assert_true(view(7).over);
    assert_null(living());
    one_runs(8);
    assert_int_equal(fh_renter_release_order(the.renter, db, "p", 8, "enough", NULL), 0);
    pass(900);
    assert_true(view(8).over);
    assert_string_equal(view(8).reason, "enough");
    assert_int_equal(fh_renter_release_order(the.renter, db, "p", 99, "never was", NULL), 0);
}

static void an_offer_must_have_the_memory_that_is_asked_for(void **state)
{
    const fh_rent_offer box = {.device = "h200", .gpus = 2, .gpu_memory_bytes = 141000000000, .ram_bytes = 64000000000};
    const fh_rent_offer plain = {.gpus = 1, .gpu_memory_bytes = 24000000000};
    (void)state;
    assert_true(fh_rent_offer_fits(&box, &(fh_rent_filter){.gpu_bytes = 282000000000}));
    assert_false(fh_rent_offer_fits(&box, &(fh_rent_filter){.gpu_bytes = 282000000001}));
    assert_false(fh_rent_offer_fits(&box, &(fh_rent_filter){.ram_bytes = 64000000001}));
    assert_true(fh_rent_offer_fits(&plain, &(fh_rent_filter){.ram_bytes = 24000000000})); /* not said: as much as its GPUs have */
    assert_false(fh_rent_offer_fits(&plain, &(fh_rent_filter){.ram_bytes = 24000000001}));
    assert_false(fh_rent_offer_fits(&plain, &(fh_rent_filter){.gpu_bytes = 1})); /* a device that nobody knows */
}

static int set_up(void **state)
{
    (void)state;
    if (fh_db_open(&db, "sqlite::memory:", NULL) || fh_db_migrate_schema(db, NULL)) return -1;
    the = (test){.tokens = 0};
    sim_init(&the.sim, 1, fh_rent_profile_find(FH_STR("vast")), db);
    the.sim.calm = true;
    the.sim.port.rent = rent;
    open_renter();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fh_renter_close(the.renter);
    fh_db_close(db);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_order_has_one_rental, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_order_is_found_again_by_the_next_process, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_act_has_a_token_of_its_own_which_is_in_no_script, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_machine_that_had_arrived_is_not_followed_by_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_reached_its_limit_was_not_lost, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_machine_that_is_given_back_is_followed_by_one_of_another_offer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_order_is_released_with_and_without_a_renter, set_up, tear_down),
        cmocka_unit_test(an_offer_must_have_the_memory_that_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
