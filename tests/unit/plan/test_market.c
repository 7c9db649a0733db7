/* Markets that grow: hosts are shared, labels stay, one market goes into another, and places have the water that is said of them. */
#include "cmocka_all.h"

#include "base/mem.h"
#include "plan/market.h"
#include "torture.h"
#include <string.h>

static fh_plan_listing of(const char *device, uint32_t devices, int64_t hour)
{
    const fh_catalog_machine *m = fh_catalog_machine_find(fh_str_of(device));
    return (fh_plan_listing){.place = FH_STR("nowhere"),
                             .name = FH_STR("big"),
                             .source = FH_STR("a.csv"),
                             .region = FH_STR("north"),
                             .row = 7,
                             .device = m,
                             .devices = devices,
                             .machines = 1,
                             .hour_nusd = hour};
}

static void offers_of_the_same_devices_share_a_host(void **state)
{
    (void)state;
    FH_AUTO(fh_plan_book) fh_plan_book *b = NULL;
    assert_int_equal(fh_plan_book_new(&b, NULL), 0);
    for (int i = 0; i < 100; i++) {
        fh_plan_listing l = of(i % 2 ? "h200" : "b300", i % 3 ? 8 : 4, i);
        assert_int_equal(fh_plan_book_add(b, &l, NULL), 0);
    }
    fh_plan_market on = fh_plan_book_market(b);
    assert_int_equal(on.host_count, 4);
    assert_int_equal(on.offer_count, 100);
    assert_int_equal(on.region_count, 1);
    for (uint32_t i = 0; i < 100; i++) {
        const fh_plan_host *h = &on.hosts[on.offers[i].host];
        assert_int_equal(h->devices, i % 3 ? 8 : 4);
        assert_int_equal(on.offers[i].hour_nusd, i);
        assert_string_equal(h->name, fh_catalog_machine_find(fh_str_of(i % 2 ? "h200" : "b300"))->name);
    }
    assert_string_equal(fh_plan_book_label(b, 99)->place, "nowhere");
    assert_int_equal(fh_plan_book_label(b, 99)->row, 7);
}

static void one_market_goes_into_another_with_its_places(void **state)
{
    (void)state;
    FH_AUTO(fh_plan_book) fh_plan_book *a = NULL, *b = NULL;
    assert_int_equal(fh_plan_book_new(&a, NULL), 0);
    assert_int_equal(fh_plan_book_new(&b, NULL), 0);
    fh_plan_listing l = of("h200", 8, 5), hosted = {.place = FH_STR("hosted"), .in_nusd = 1, .out_nusd = 2};
    fh_plan_region dry = {1100, 0, 500};
    assert_int_equal(fh_plan_book_add(a, &l, NULL), 0);
    assert_int_equal(fh_plan_book_add(a, &hosted, NULL), 0);
    assert_int_equal(fh_plan_book_set_region(a, FH_STR("north"), &dry, NULL), 0);
    l = of("b300", 8, 6);
    l.region = FH_STR("south");
    assert_int_equal(fh_plan_book_add(b, &l, NULL), 0);
    assert_int_equal(fh_plan_book_add_all(b, a, NULL), 0);
    fh_plan_market on = fh_plan_book_market(b);
    assert_int_equal(on.offer_count, 3);
    assert_string_equal(on.hosts[on.offers[1].host].name, fh_catalog_machine_find(FH_STR("h200"))->name);
    assert_string_equal(fh_plan_book_region_name(b, on.offers[1].region), "north");
    assert_int_equal(on.regions[on.offers[1].region - 1].pue_milli, 1100);
    assert_true(on.regions[on.offers[0].region - 1].pue_milli != 1100);
    assert_true(on.offers[2].host == FH_PLAN_HOSTED && on.offers[2].region == 0);
    assert_int_equal(fh_plan_book_region(b, FH_STR("west")), 0);
    assert_string_equal(fh_plan_book_region_name(b, 0), "");
}

static void whoever_a_list_leaves_out_is_barred_with_the_reason(void **state)
{
    (void)state;
    FH_AUTO(fh_plan_book) fh_plan_book *b = NULL;
    fh_plan plans[8];
    fh_plan_ranking r = {.plans = plans, .max = FH_COUNT(plans)};
    const fh_catalog_model *m = fh_catalog_find(FH_STR("smollm2-135m"));
    static const char *const places[] = {"here", "node/den", "node/bob", "provider/lab"};
    char why[200];
    assert_int_equal(fh_plan_book_new(&b, NULL), 0);
    for (size_t i = 0; i < FH_COUNT(places); i++) {
        fh_plan_listing l = of("h200", 1, (int64_t)i);
        l.place = fh_str_of(places[i]);
        l.trust = i ? FH_TRUST_RENTED : FH_TRUST_OWN;
        l.owner = fh_str_of(i == 1 ? "alice" : "");
        assert_int_equal(fh_plan_book_add(b, &l, NULL), 0);
    }
    fh_plan_book_bar(b, "own,owner/alice");
    fh_plan_market on = fh_plan_book_market(b);
    assert_int_equal(fh_plan_rank(m, &(fh_plan_wishes){.variant = NULL}, &on, &r, NULL), 0);
    assert_int_equal(r.count, 2);
    assert_int_equal(plans[0].offer, 0);
    assert_int_equal(plans[1].offer, 1);
    assert_int_equal(r.refused[FH_PLAN_BY_TRUST].count, 2);
    fh_plan_why_not(&r, FH_PLAN_BY_TRUST, why, sizeof why);
    assert_string_equal(why, "2 offers have somebody who could read what is asked there, and is not trusted with it");
    fh_plan_book_bar(b, "any");
    assert_int_equal(fh_plan_rank(m, &(fh_plan_wishes){.variant = NULL}, &on, &r, NULL), 0);
    assert_int_equal(r.count, 4);
}

static void what_cannot_be_planned_for_is_refused(void **state)
{
    (void)state;
    FH_AUTO(fh_plan_book) fh_plan_book *b = NULL;
    assert_int_equal(fh_plan_book_new(&b, NULL), 0);
    fh_plan_listing bad[] = {of("hgx-h200-8", 1, 1), of("h200", 0, 1), of("h200", 65, 1), of("h200", 1, -1)};
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        fh_err *err = NULL;
        assert_int_equal(fh_plan_book_add(b, &bad[i], &err), FH_E_INVALID);
        assert_non_null(err);
        fh_err_free(err);
    }
    assert_int_equal(fh_plan_book_market(b).offer_count, 0);
}

static int fill_once(void *arg)
{
    (void)arg;
    FH_AUTO(fh_plan_book) fh_plan_book *a = NULL, *b = NULL;
    fh_err *err = NULL;
    fh_plan_listing l = of("h200", 8, 5);
    fh_plan_host own = {.name = "own", .devices = 1};
    int rc = fh_plan_book_new(&a, &err);
    if (!rc) rc = fh_plan_book_new(&b, &err);
    for (int i = 0; i < 20 && !rc; i++) rc = fh_plan_book_add(a, &l, &err);
    if (!rc) rc = fh_plan_book_add_host(b, &own, &l, &err);
    if (!rc) rc = fh_plan_book_add_all(b, a, &err);
    if (!rc) assert_int_equal(fh_plan_book_market(b).offer_count, 21);
    assert_true((rc == 0) == (err == NULL));
    fh_err_free(err);
    return rc;
}

static void growing_survives_every_failed_allocation(void **state)
{
    (void)state;
    assert_true(fh_torture(FH_FAULT_ALLOC, fill_once, NULL, 1000) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offers_of_the_same_devices_share_a_host),
        cmocka_unit_test(one_market_goes_into_another_with_its_places),
        cmocka_unit_test(whoever_a_list_leaves_out_is_barred_with_the_reason),
        cmocka_unit_test(what_cannot_be_planned_for_is_refused),
        cmocka_unit_test(growing_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
