/* Rentals of orders: one of an order whatever happens, a token for each act, over when a machine that had arrived is gone, and offers by
 * the memory that they have. The provider is calm here; test_renter.c is where it is not. */
#include "cmocka_all.h"
#include "db/schema.h"
#include "call.h"
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

static int64_t ask_for(int64_t order, const char *offer, const char *kind, int expect)
{
    int64_t id = 0;
    fh_rent_want w = {.order = order,
                      .filter = {.max_hour_micro = 9000000},
                      .limit_s = 7200,
                      .limit_micro = 9000000,
                      .look_s = 1800,
                      .image = "image",
                      .run = "true"};
    FH_AUTO(fh_err) fh_err *err = NULL;
    snprintf(w.offer, sizeof w.offer, "%s", offer);
    snprintf(w.offer_kind, sizeof w.offer_kind, "%s", kind);
    assert_int_equal(fh_renter_ask(the.renter, &w, &id, &err) == 0, expect == 0);
    return id;
}

static int64_t ask(int64_t order, int expect)
{
    return ask_for(order, "", "", expect);
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

static fh_rent_billed_fn *told;
static void *told_arg;
static int asked;

static int bill(void *ctx, const char *machine, int64_t from_utc_ns, int64_t to_utc_ns, fh_rent_billed_fn *done, void *arg, fh_err **err)
{
    (void)ctx;
    (void)err;
    assert_true(machine[0] && from_utc_ns < to_utc_ns);
    asked++;
    told = done;
    told_arg = arg;
    return 0;
}

static void note_charged(void *arg, const fh_rent_act *a)
{
    *(int64_t *)arg = a->charged_micro;
}

static void what_was_charged_is_asked_when_it_is_final(void **state)
{
    int64_t charged = 0;
    (void)state;
    asked = 0;
    the.sim.port.bill = bill;
    one_runs(7);
    assert_int_equal(fh_renter_release_order(the.renter, db, "p", 7, "enough", NULL), 0);
    pass(35 * 3600);
    assert_int_equal(asked, 0);
    pass(2 * 3600);
    assert_int_equal(asked, 1);
    FH_AUTO(fh_err) fh_err *err = NULL;
    fh_err_set(&err, FH_E_NOT_FOUND, "nothing is said of it");
    told(told_arg, -1, err); /* it is asked again, later */
    pass(900);
    assert_int_equal(asked, 2);
    told(told_arg, 4321, NULL);
    pass(3600);
    assert_int_equal(asked, 2);
    assert_int_equal(fh_renter_acts(db, "p", view(7).id, note_charged, &charged, NULL), 0);
    assert_int_equal(charged, 4321);
}

static void charges_of_vast_are_read_for_one_machine(void **state)
{
    static const char doc[] = "{\"next_token\":null,\"results\":[{\"source\":\"instance-17\",\"amount\":0.25},"
                              "{\"source\":\"instance-170\",\"amount\":9},{\"source\":\"instance-17\",\"amount\":1.5}]}";
    static const char more[] = "{\"next_token\":\"x\",\"results\":[]}";
    FH_AUTO(json) fh_json *list = NULL, *part = NULL;
    FH_AUTO(fh_err) fh_err *err = NULL, *none = NULL, *cut = NULL;
    const fh_rent_profile *vast = fh_rent_profile_find(FH_STR("vast"));
    int64_t micro = 0;
    (void)state;
    assert_int_equal(fh_json_parse(&list, fh_str_of(doc), sizeof doc, NULL), 0);
    assert_int_equal(fh_json_parse(&part, fh_str_of(more), sizeof more, NULL), 0);
    assert_int_equal(fh_rent_charged_read(vast, list, "17", &micro, &err), 0);
    assert_int_equal(micro, 1750000);
    assert_int_equal(fh_rent_charged_read(vast, list, "1", &micro, &none), FH_E_NOT_FOUND);
    assert_int_equal(fh_rent_charged_read(vast, part, "17", &micro, &cut), FH_E_UPSTREAM);
}

static void charges_of_runpod_are_summed_by_days_with_its_disk(void **state)
{
    static const char doc[] = "{\"records\":[{\"podId\":\"p17\",\"gpuAmount\":0.2,\"diskAmount\":0.05,\"totalAmount\":0.25},"
                              "{\"podId\":\"p170\",\"totalAmount\":9},{\"podId\":\"p17\",\"totalAmount\":1.5}],\"metadata\":{}}";
    const fh_rent_profile *runpod = fh_rent_profile_find(FH_STR("runpod")), *lambda = fh_rent_profile_find(FH_STR("lambda"));
    FH_AUTO(json) fh_json *list = NULL, *odd = NULL;
    FH_AUTO(fh_err) fh_err *none = NULL, *odder = NULL, *silent = NULL;
    int64_t micro = 0;
    (void)state;
    assert_int_equal(fh_json_parse(&list, fh_str_of(doc), sizeof doc, NULL), 0);
    assert_int_equal(fh_json_parse(&odd, FH_STR("{\"records\":{}}"), 64, NULL), 0);
    assert_int_equal(fh_rent_charged_read(runpod, list, "p17", &micro, NULL), 0);
    assert_int_equal(micro, 1750000);
    assert_int_equal(fh_rent_charged_read(runpod, list, "p1", &micro, &none), FH_E_NOT_FOUND);
    assert_int_equal(fh_rent_charged_read(runpod, odd, "p17", &micro, &odder), FH_E_UPSTREAM);
    assert_int_equal(fh_rent_charged_read(lambda, list, "p17", &micro, &silent), FH_E_NOT_FOUND);
    assert_int_equal(micro, 1750000);
}

static void what_skypilot_says_is_read(void **state)
{
    static const char offers[] =
        "{\"H200\":[{\"cloud\":\"Vast\",\"instance_type\":\"1x-H200-32-65536\",\"accelerator_name\":\"H200\",\"accelerator_count\":1.0,"
        "\"cpu_count\":32.0,\"device_memory\":140.4013671875,\"memory\":64.0,\"price\":3.1,\"region\":\"Sweden, SE, EU\"},"
        "{\"cloud\":\"Vast\",\"instance_type\":null,\"accelerator_name\":\"H200\",\"accelerator_count\":8.0,\"price\":3.1,\"region\":\"x\"}"
        "]}";
    static const char clusters[] = "{\"clusters\":[{\"name\":\"freehold-00000000000000a1-00000000000000e1.7\",\"status\":\"UP\"},{\"name\":"
                                   "\"dev\",\"status\":\"INIT\"},"
                                   "{\"name\":\"freehold-x\",\"status\":\"STOPPED\"}]}";
    const fh_rent_profile *sky = fh_rent_profile_find(FH_STR("skypilot"));
    FH_AUTO(json) fh_json *offered = NULL, *listed = NULL;
    FH_AUTO(ptr) fh_rent_offer *o = NULL;
    FH_AUTO(ptr) fh_rent_machine *m = NULL;
    size_t count = 0;
    (void)state;
    assert_int_equal(fh_json_parse(&offered, fh_str_of(offers), sizeof offers, NULL), 0);
    assert_int_equal(fh_json_parse(&listed, fh_str_of(clusters), sizeof clusters, NULL), 0);
    assert_int_equal(fh_rent_offers_read(sky, offered, &o, &count, NULL), 0);
    assert_int_equal(count, 1); /* one without a type cannot be asked for */
    assert_string_equal(o[0].id, "Vast|1x-H200-32-65536|Sweden, SE, EU");
    assert_int_equal(o[0].hour_micro, 3100000);
    assert_true(o[0].gpus == 1 && o[0].ram_bytes == 64ULL << 30);
    assert_int_equal(fh_rent_machines_read(sky, listed, &m, &count, NULL), 0);
    assert_int_equal(count, 3);
    assert_string_equal(m[0].id, "freehold-00000000000000a1-00000000000000e1.7");
    assert_string_equal(m[0].tag, "freehold:00000000000000a1:00000000000000e1.7");
    assert_string_equal(m[1].tag, "dev");
    assert_string_equal(m[2].tag, "freehold-x");
    assert_true(m[0].status == FH_RENT_RUNNING && m[1].status == FH_RENT_PROVISIONING && m[2].status == FH_RENT_BROKEN);
}

static void half_a_list_of_machines_is_none(void **state)
{
    static const char *const half[] = {"{\"pods\":[],\"nextCursor\":\"x\"}", "{\"pods\":[],\"pagination\":{\"nextCursor\":\"x\"}}",
                                       "{\"pods\":[],\"pagination\":{\"nextCursor\":null,\"hasNextPage\":true}}"};
    static const char whole[] = "{\"pods\":[],\"pagination\":{\"nextCursor\":null,\"hasNextPage\":false}}";
    const fh_rent_profile *runpod = fh_rent_profile_find(FH_STR("runpod"));
    FH_AUTO(ptr) fh_rent_machine *list = NULL;
    FH_AUTO(json) fh_json *doc = NULL;
    size_t count = 1;
    (void)state;
    for (size_t i = 0; i < FH_COUNT(half); i++) {
        FH_AUTO(json) fh_json *part = NULL;
        FH_AUTO(fh_err) fh_err *err = NULL;
        assert_int_equal(fh_json_parse(&part, fh_str_of(half[i]), 256, NULL), 0);
        assert_int_equal(fh_rent_machines_read(runpod, part, &list, &count, &err), FH_E_UPSTREAM);
    }
    assert_int_equal(fh_json_parse(&doc, fh_str_of(whole), 256, NULL), 0);
    assert_int_equal(fh_rent_machines_read(runpod, doc, &list, &count, NULL), 0);
    assert_int_equal(count, 0);
}

static void what_an_order_got(int64_t order, fh_rent_act *ret)
{
    fh_rental_view v;
    pass(900);
    assert_true(fh_renter_find_order(the.renter, order, &v) && v.act);
    *ret = *v.act;
}

/* The sim's offers have prices that are drawn anew each time: the cheapest is seldom the same one. */
static void the_offer_that_was_picked_is_rented_whatever_is_cheaper(void **state)
{
    char last[16];
    fh_rent_act act;
    (void)state;
    snprintf(last, sizeof last, "offer-%d", SIM_OFFERS - 1);
    for (int64_t order = 1; order <= 4; order++) {
        ask_for(order, last, "1 x h200", 0);
        what_an_order_got(order, &act);
        assert_string_equal(act.offer, last);
        assert_string_equal(act.reason, "");
        fh_renter_end(the.renter, view(order).id, "", NULL);
        pass(900);
    }
}

static void a_picked_offer_that_is_gone_is_followed_by_the_next_best_and_that_is_said(void **state)
{
    fh_rent_act act;
    (void)state;
    ask_for(7, "offer-gone", "8 x h200 in EU-RO-1", 0);
    what_an_order_got(7, &act);
    assert_string_equal(act.reason, "8 x h200 in EU-RO-1 is not to be had now, this is the next-best");
    fh_renter_close(the.renter);
    the.sim.generation++;
    open_renter();
    fh_renter_give_back(the.renter, view(7).id, "it is of no use", NULL);
    what_an_order_got(7, &act);
    assert_string_equal(act.reason, "8 x h200 in EU-RO-1 is not to be had now, this is the next-best");
}

static void an_offer_of_the_same_kind_stands_for_one_that_is_gone(void **state)
{
    fh_rent_act act;
    char kind[FH_RENT_KIND_CHARS];
    const fh_rent_offer known = {.device = "h200", .gpu = "NVIDIA H200", .gpus = 8, .region = "EU-RO-1"},
                        plain = {.gpu = "A100", .gpus = 1};
    (void)state;
    fh_rent_offer_kind(&known, kind);
    assert_string_equal(kind, "8 x h200 in EU-RO-1");
    fh_rent_offer_kind(&plain, kind);
    assert_string_equal(kind, "1 x A100");
    ask_for(7, "offer-gone", "1 x ", 0); /* as the sim's are */
    what_an_order_got(7, &act);
    assert_string_equal(act.reason, "");
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
        cmocka_unit_test_setup_teardown(what_was_charged_is_asked_when_it_is_final, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_offer_that_was_picked_is_rented_whatever_is_cheaper, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_picked_offer_that_is_gone_is_followed_by_the_next_best_and_that_is_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_offer_of_the_same_kind_stands_for_one_that_is_gone, set_up, tear_down),
        cmocka_unit_test(charges_of_vast_are_read_for_one_machine),
        cmocka_unit_test(charges_of_runpod_are_summed_by_days_with_its_disk),
        cmocka_unit_test(what_skypilot_says_is_read),
        cmocka_unit_test(half_a_list_of_machines_is_none),
        cmocka_unit_test(an_offer_must_have_the_memory_that_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
