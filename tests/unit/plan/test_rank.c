/* Ranking: order, constraints, what is said of those refused, prices against the published break-evens; and that the order of the offers
 * does not matter. */
#include "cmocka_all.h"

#include "base/mem.h"
#include "plan/rank.h"
#include "torture.h"
#include <stdio.h>
#include <string.h>

#define G      UINT64_C(1000000000)
#define USD(x) ((int64_t)((x)*1e9 + 0.5))

enum { H200_8, H200_4, B300_8, HERE, HOSTS };
static const fh_plan_host hosts[HOSTS] = {
    [H200_8] = {.name = "8 x H200",
                .devices = 8,
                .opens = FH_PLAN_TENSORS | FH_PLAN_NVFP4,
                .memory_bytes = 141 * G,
                .bandwidth_bytes = 4800 * G,
                .ops_16bit = 989000 * G,
                .ops_8bit = 1979000 * G,
                .watts = 700},
    [H200_4] = {.name = "4 x H200",
                .devices = 4,
                .opens = FH_PLAN_TENSORS | FH_PLAN_NVFP4,
                .memory_bytes = 141 * G,
                .bandwidth_bytes = 4800 * G,
                .ops_16bit = 989000 * G,
                .ops_8bit = 1979000 * G,
                .watts = 700},
    [B300_8] = {.name = "8 x B300",
                .devices = 8,
                .opens = FH_PLAN_TENSORS | FH_PLAN_NVFP4,
                .memory_bytes = 268 * G,
                .bandwidth_bytes = 8000 * G,
                .ops_16bit = 2250000 * G,
                .ops_8bit = 4500000 * G,
                .ops_4bit = 13500000 * G,
                .watts = 1400},
    [HERE] = {.name = "here",
              .devices = 1,
              .opens = FH_PLAN_OURS,
              .cpu = true,
              .memory_bytes = 24 * G,
              .bandwidth_bytes = 50 * G,
              .ops_16bit = 1000 * G,
              .watts = 100},
};
static const fh_plan_region regions[] = {{1100, 10, 600}, {1600, 1500, 6000}};
enum { DRY = 1, WET };

static const fh_plan_offer offers[] = {
    {.host = H200_8, .start_s = 300, .fetch_mb_s = 1000, .region = DRY, .hour_nusd = USD(29)},
    {.host = H200_8, .start_s = 60, .fetch_mb_s = 500, .region = WET, .hour_nusd = USD(33.5)},
    {.host = B300_8, .start_s = 600, .fetch_mb_s = 2000, .region = DRY, .hour_nusd = USD(56)},
    {.host = H200_4, .start_s = 60, .fetch_mb_s = 1000, .hour_nusd = USD(14)},
    {.host = HERE},
    {.host = FH_PLAN_HOSTED, .in_nusd = USD(1.4), .out_nusd = USD(4.4)},
};

static fh_plan plans[8];

static fh_plan_ranking ranked(const char *id, const fh_plan_wishes *w, const fh_plan_offer *of, size_t count)
{
    fh_plan_market on = {hosts, of, regions, HOSTS, count, FH_COUNT(regions)};
    fh_plan_ranking r = {.plans = plans, .max = FH_COUNT(plans)};
    fh_err *err = NULL;
    const fh_catalog_model *m = fh_catalog_find(fh_str_of(id));
    assert_non_null(m);
    assert_int_equal(fh_plan_rank(m, w, &on, &r, &err), 0);
    assert_null(err);
    return r;
}

static fh_plan_ranking glm(const fh_plan_wishes *w)
{
    return ranked("glm-5.3", w, offers, FH_COUNT(offers));
}

static void the_first_is_what_was_asked_for(void **state)
{
    (void)state;
    fh_plan_wishes w = {.variant = "native", .context_tok = 131072, .streams = 1};
    fh_plan_ranking r = glm(&w);
    assert_int_equal(r.fit, 4); /* four H200 are too small, and this machine opens nothing of it */
    assert_int_equal(r.count, 4);
    assert_int_equal(plans[0].offer, 5); /* one stream never fills a machine: by the token it is cheapest */
    assert_int_equal(plans[0].mtok_nusd, USD(1.4 * 2 + 4.4));
    assert_null(plans[0].variant);
    w.prefer = FH_PLAN_SPEED;
    glm(&w);
    assert_int_equal(plans[0].offer, 2);
    assert_int_equal(plans[1].offer, 0); /* as fast as the next, and cheaper */
    assert_int_equal(plans[3].offer, 5); /* nobody knows how fast it is */
    w.prefer = FH_PLAN_ENERGY;
    glm(&w);
    assert_int_equal(plans[0].offer, 0);
    assert_true(plans[0].mtok_ul > 0 && plans[0].mtok_ul < plans[1].mtok_ul / 4); /* the same energy at a dry place */
    assert_int_equal(plans[3].offer, 5);
    w.prefer = FH_PLAN_START;
    glm(&w);
    assert_int_equal(plans[0].offer, 5);
    assert_int_equal(plans[1].offer, 2); /* later to start, but its weights come at twice the speed */
    assert_int_equal(plans[1].ready_s, 600 + 372 + 744);
    assert_int_equal(plans[1].start_nusd, USD(56) * 1716 / 3600);
}

static void many_streams_make_a_machine_cheaper_than_tokens(void **state)
{
    (void)state;
    fh_plan_wishes w = {.context_tok = 8192, .streams = 64};
    glm(&w);
    assert_int_not_equal(plans[0].offer, 5);
    assert_true(plans[0].hour_nusd == USD(29));
    assert_true(plans[0].streams_max >= 64);
    w.load_tok_s = 10; /* but not for a trickle */
    glm(&w);
    assert_int_equal(plans[0].offer, 5);
    assert_int_equal(plans[0].hour_nusd, plans[0].mtok_nusd * 36000 / 1000000);
    assert_int_equal(plans[1].mtok_nusd / 1000, USD(29) / 36 * 1000 / 1000);
}

static void published_break_evens_are_met(void **state)
{
    (void)state;
    const struct {
        double hour, mtok;
        int64_t tok_s; /* "about 8,000", 13,000, 1,800, 1,600: answered tokens alone */
    } known[] = {{14, 0.5, 8000}, {29, 0.6, 13000}, {29, 4.4, 1800}, {56, 10, 1600}};
    for (size_t i = 0; i < FH_COUNT(known); i++) {
        int64_t got = fh_plan_break_even_tok_s(USD(known[i].hour), USD(known[i].mtok));
        assert_in_range(got, known[i].tok_s * 95 / 100, known[i].tok_s * 105 / 100);
    }
    assert_int_equal(fh_plan_break_even_tok_s(USD(1), 0), 0);
}

static void wishes_are_constraints(void **state)
{
    (void)state;
    fh_plan_wishes w = {.variant = "native", .context_tok = 131072, .streams = 1, .max_hour_nusd = USD(30), .load_tok_s = 100};
    fh_plan_ranking r = glm(&w);
    assert_int_equal(r.fit, 2);
    assert_int_equal(r.refused[FH_PLAN_BY_BUDGET].count, 2);
    assert_int_equal(r.refused[FH_PLAN_BY_BUDGET].nearest, 1);
    assert_int_equal(r.refused[FH_PLAN_BY_BUDGET].had, USD(33.5));
    w = (fh_plan_wishes){.licence_bound = true, .licence = FH_LICENCE_FREE};
    r = glm(&w);
    assert_int_equal(r.fit, 0);
    assert_int_equal(r.refused[FH_PLAN_BY_LICENCE].count, FH_COUNT(offers));
    w.licence = FH_LICENCE_ASK;
    assert_true(glm(&w).fit > 0);
    w = (fh_plan_wishes){.region = WET};
    r = glm(&w);
    assert_int_equal(r.count, 1);
    assert_int_equal(plans[0].offer, 1);
    assert_int_equal(r.refused[FH_PLAN_BY_REGION].count, 5);
    w = (fh_plan_wishes){.max_ready_s = 1800, .streams = 1};
    r = glm(&w);
    assert_int_equal(r.refused[FH_PLAN_BY_TIME].count, 1);
    assert_int_equal(r.refused[FH_PLAN_BY_TIME].had, 60 + 1488 + 744);
    w = (fh_plan_wishes){.min_decode_tok_s = 100000};
    r = glm(&w);
    assert_int_equal(r.refused[FH_PLAN_BY_SPEED].nearest, 2);
    assert_int_equal(r.refused[FH_PLAN_BY_SPEED].wanted, 100000000);
}

static void what_may_be_taken_away_is_left_out_where_that_is_asked(void **state)
{
    (void)state;
    fh_plan_offer two[] = {offers[0], offers[1]};
    two[0].spot = true;
    fh_plan_wishes w = {.streams = 1, .lasting = true};
    fh_plan_ranking r = ranked("glm-5.3", &w, two, 2);
    assert_int_equal(r.fit, 1);
    assert_int_equal(plans[0].offer, 1);
    assert_int_equal(r.refused[FH_PLAN_BY_SPOT].count, 1);
    w.lasting = false;
    assert_int_equal(ranked("glm-5.3", &w, two, 2).fit, 2);
}

static void the_break_even_is_of_the_cheapest_of_both_whatever_is_preferred(void **state)
{
    (void)state;
    char text[256];
    fh_plan_wishes w = {.streams = 1, .variant = "native", .context_tok = 131072, .prefer = FH_PLAN_SPEED};
    fh_plan_ranking r = glm(&w);
    assert_true(r.has_rented && r.has_hosted);
    assert_int_equal(r.rented.offer, 0);
    assert_int_equal(r.hosted.offer, 5);
    fh_plan_why_rent(&r, "RENT", "HOSTED", text, sizeof text);
    assert_non_null(strstr(text, "renting wins above 1,118 tokens/s: RENT at 29.00 an hour against HOSTED at 7.20 a million; it makes "));
    assert_true(r.rented.most_millitok_s >= r.rented.total_millitok_s);
    assert_non_null(strstr(text, "so the endpoint stays cheaper")); /* few streams of that length fit */
    fh_plan_offer free_one[] = {offers[0], {.host = FH_PLAN_HOSTED}};
    r = ranked("glm-5.3", &w, free_one, 2);
    fh_plan_why_rent(&r, "RENT", "HOSTED", text, sizeof text);
    assert_string_equal(text, "HOSTED costs nothing: renting never wins");
    r = ranked("glm-5.3", &w, offers, 5);
    fh_plan_why_rent(&r, "RENT", "HOSTED", text, sizeof text);
    assert_false(r.has_hosted);
    assert_string_equal(text, "");
}

/* A machine on which the model fits with a cache of that type and no larger one. */
static fh_plan_host just_for(const char *id, const fh_plan_wishes *w, fh_plan_kv kv)
{
    const fh_catalog_model *m = fh_catalog_find(fh_str_of(id));
    fh_plan_model rule = fh_plan_model_with(m, fh_catalog_variant_find(m, w->variant), kv, 1);
    fh_plan_host h = hosts[HERE];
    h.memory_bytes = fh_plan_need_of(&rule, w->context_tok, w->streams).total_bytes + 1000; /* whole thousands are used */
    return h;
}

static void what_a_smaller_cache_makes_fit_is_said_and_planned(void **state)
{
    (void)state;
    fh_plan_wishes w = {.variant = "q4_1", .context_tok = 8192, .streams = 64};
    const fh_catalog_model *m = fh_catalog_find(FH_STR("smollm2-135m"));
    for (int kv = FH_PLAN_KV_Q8_0; kv <= FH_PLAN_KV_Q4_0; kv++) {
        fh_plan_host h = just_for("smollm2-135m", &w, (fh_plan_kv)kv);
        fh_plan_market on = {&h, (fh_plan_offer[]){{.host = 0}}, NULL, 1, 1, 0};
        fh_plan_ranking r = {.plans = plans, .max = FH_COUNT(plans)};
        fh_plan_wishes said = w;
        char text[256], want[64];
        assert_int_equal(fh_plan_rank(m, &w, &on, &r, NULL), 0);
        assert_int_equal(r.fit, 0);
        assert_int_equal(r.refused[FH_PLAN_BY_MEMORY].fits_as, kv);
        fh_plan_why_not(&r, FH_PLAN_BY_MEMORY, text, sizeof text);
        snprintf(want, sizeof want, "; it fits there with --kv-type %s", fh_plan_kv_name((fh_plan_kv)kv));
        assert_non_null(strstr(text, want));
        said.kv_said = true;
        said.kv = (fh_plan_kv)kv;
        assert_int_equal(fh_plan_rank(m, &said, &on, &r, NULL), 0);
        assert_int_equal(r.fit, 1);
        assert_int_equal(r.plans[0].kv, kv);
        assert_int_equal(r.plans[0].need.total_bytes, h.memory_bytes - 1000);
        h.memory_bytes /= 4;
        assert_int_equal(fh_plan_rank(m, &w, &on, &r, NULL), 0);
        assert_int_equal(r.refused[FH_PLAN_BY_MEMORY].fits_as, FH_PLAN_KV_16BIT);
        fh_plan_why_not(&r, FH_PLAN_BY_MEMORY, text, sizeof text);
        assert_null(strstr(text, "--kv-type"));
    }
}

/* Engines of safetensors cannot be told. */
static void who_cannot_keep_a_cache_so_is_not_planned_with(void **state)
{
    (void)state;
    fh_plan_wishes w = {.context_tok = 4096, .streams = 1, .kv_said = true, .kv = FH_PLAN_KV_Q8_0};
    fh_plan_ranking r = glm(&w);
    assert_int_equal(r.fit, 1); /* the endpoint, whose cache is its own affair */
    assert_true(r.has_hosted && !r.has_rented);
    assert_int_equal(r.refused[FH_PLAN_BY_FORMAT].count, 5);
}

static void each_refusal_says_its_numbers(void **state)
{
    (void)state;
    char text[256];
    fh_plan_wishes w = {.context_tok = 131072, .streams = 1, .variant = "native", .max_hour_nusd = USD(30), .load_tok_s = 10};
    fh_plan_ranking r = glm(&w);
    fh_plan_why_not(&r, FH_PLAN_BY_MEMORY, text, sizeof(text));
    assert_string_equal(text, "1 offer has too little memory: the nearest has 536 GB of the 834 GB needed");
    fh_plan_why_not(&r, FH_PLAN_BY_BUDGET, text, sizeof(text));
    assert_string_equal(text, "2 offers have a price above the limit: the nearest asks 33.50 an hour, the limit is 30.00");
    fh_plan_why_not(&r, FH_PLAN_BY_FORMAT, text, sizeof(text));
    assert_string_equal(text, "1 offer has no engine that opens a published variant");
    fh_plan_why_not(&r, FH_PLAN_BY_TIME, text, sizeof(text));
    assert_string_equal(text, "");
    fh_plan_why(&r, &w, text, sizeof(text));
    assert_non_null(strstr(text, "cheapest of 2 that would do: 7.20 a million tokens; the next: 29.00 an hour, "));
    w.licence_bound = true;
    r = glm(&w);
    fh_plan_why_not(&r, FH_PLAN_BY_LICENCE, text, sizeof(text));
    assert_string_equal(text, "its licence is \"ask\", and at most \"free\" was asked for");
    fh_plan_why(&r, &w, text, sizeof(text));
    assert_string_equal(text, "none would do");
    for (int why = 0; why < FH_PLAN_REASONS; why++) assert_true(*fh_plan_reason_name((fh_plan_reason)why));
}

static void a_variant_that_was_not_measured_says_so(void **state)
{
    (void)state;
    fh_plan_wishes w = {.streams = 1, .context_tok = 131072};
    ranked("glm-5.3", &w, &offers[3], 1);
    assert_string_equal(plans[0].variant->name, "nvfp4"); /* the native one does not fit four H200 */
    assert_false(plans[0].scored);
    ranked("glm-5.3", &w, &offers[2], 1);
    assert_true(plans[0].scored);
}

static void the_order_of_offers_changes_nothing_but_equals(void **state)
{
    (void)state;
    fh_plan_offer turned[FH_COUNT(offers)];
    for (size_t i = 0; i < FH_COUNT(offers); i++) turned[i] = offers[FH_COUNT(offers) - 1 - i];
    for (int prefer = FH_PLAN_PRICE; prefer <= FH_PLAN_START; prefer++) {
        fh_plan_wishes w = {.prefer = (fh_plan_prefer)prefer, .context_tok = 131072, .streams = 2};
        fh_plan first[8];
        size_t count = glm(&w).count;
        memcpy(first, plans, sizeof(plans));
        assert_int_equal(ranked("glm-5.3", &w, turned, FH_COUNT(turned)).count, count);
        for (size_t i = 0; i < count; i++) assert_int_equal(plans[i].offer, FH_COUNT(offers) - 1 - first[i].offer);
    }
}

static void only_the_best_are_kept_where_room_is_short(void **state)
{
    (void)state;
    fh_plan_offer many[100];
    for (size_t i = 0; i < FH_COUNT(many); i++) many[i] = (fh_plan_offer){.host = H200_8, .hour_nusd = USD(20) + (int64_t)(i * 37 % 100)};
    fh_plan_wishes w = {0};
    fh_plan_ranking r = ranked("glm-5.3", &w, many, FH_COUNT(many));
    assert_int_equal(r.fit, 100);
    assert_int_equal(r.count, FH_COUNT(plans));
    for (size_t i = 0; i < r.count; i++)
        assert_true(plans[i].hour_nusd - USD(20) < 16); /* prices of a nano apart may be equal a million tokens */
    fh_plan_market on = {hosts, many, NULL, HOSTS, FH_COUNT(many), 0};
    fh_plan_ranking none = {0};
    assert_int_equal(fh_plan_rank(fh_catalog_find(FH_STR("glm-5.3")), &w, &on, &none, NULL), 0);
    assert_int_equal(none.fit, 100);
    assert_int_equal(none.count, 0);
}

static void a_place_of_unknown_speed_is_free_or_last(void **state)
{
    (void)state;
    fh_plan_host dark[] = {hosts[H200_8], hosts[H200_8], hosts[H200_8]};
    dark[0].bandwidth_bytes = dark[1].bandwidth_bytes = 0;
    const fh_plan_offer three[] = {{.host = 0, .hour_nusd = USD(1)}, {.host = 2, .hour_nusd = USD(90)}, {.host = 1}};
    fh_plan_market on = {dark, three, NULL, 3, 3, 0};
    fh_plan_ranking r = {.plans = plans, .max = 3};
    fh_plan_wishes w = {0};
    assert_int_equal(fh_plan_rank(fh_catalog_find(FH_STR("glm-5.3")), &w, &on, &r, NULL), 0);
    assert_int_equal(plans[0].offer, 2);
    assert_int_equal(plans[0].mtok_nusd, 0);
    assert_int_equal(plans[1].offer, 1);
    assert_int_equal(plans[2].mtok_nusd, -1);
    char text[128];
    fh_plan_why(&r, &w, text, sizeof(text));
    assert_non_null(strstr(text, "cheapest of 3 that would do: free; the next: 90.00 an hour, "));
}

static void the_smallest_host_that_would_do_is_found(void **state)
{
    (void)state;
    fh_plan_wishes w = {.variant = "native", .streams = 1};
    const fh_catalog_model *m = fh_catalog_find(FH_STR("glm-5.3"));
    fh_plan p;
    size_t at = 0;
    assert_int_equal(fh_plan_smallest_host(m, &w, hosts, HOSTS, &at, &p, NULL), 0);
    assert_int_equal(at, H200_8);
    assert_true(p.need.total_bytes > 744 * G);
    w.min_decode_tok_s = 1000000;
    assert_int_equal(fh_plan_smallest_host(m, &w, hosts, HOSTS, &at, &p, NULL), FH_E_NOT_FOUND);
}

static int refused(const fh_plan_offer *o, const char *variant)
{
    fh_plan_market on = {hosts, o, regions, HOSTS, 1, FH_COUNT(regions)};
    fh_plan_ranking r = {.plans = plans, .max = 1};
    fh_plan_wishes w = {.variant = variant};
    fh_err *err = NULL;
    int rc = fh_plan_rank(fh_catalog_find(FH_STR("glm-5.3")), &w, &on, &r, &err);
    assert_int_equal(rc != 0, err != NULL);
    fh_err_free(err);
    return rc;
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    assert_int_equal(refused(&(fh_plan_offer){.host = HOSTS}, NULL), FH_E_INVALID);
    assert_int_equal(refused(&(fh_plan_offer){.region = 3}, NULL), FH_E_INVALID);
    assert_int_equal(refused(&(fh_plan_offer){.hour_nusd = -1}, NULL), FH_E_INVALID);
    assert_int_equal(refused(&(fh_plan_offer){.host = FH_PLAN_HOSTED, .out_nusd = -1}, NULL), FH_E_INVALID);
    assert_int_equal(refused(&(fh_plan_offer){0}, "no-such"), FH_E_NOT_FOUND);
    assert_int_equal(refused(&(fh_plan_offer){.hour_nusd = INT64_MAX}, NULL), 0);
    fh_plan_wishes w = {.load_tok_s = INT64_MAX};
    fh_plan_ranking r = {0};
    fh_plan_market on = {0};
    assert_int_equal(fh_plan_rank(fh_catalog_now()->models[0], &w, &on, &r, NULL), FH_E_INVALID);
    w.load_tok_s = 1000000000000;
    fh_plan_offer dear = {.host = FH_PLAN_HOSTED, .in_nusd = INT64_MAX, .out_nusd = INT64_MAX};
    assert_int_equal(ranked("glm-5.3", &w, &dear, 1).count, 1);
    assert_true(plans[0].hour_nusd == INT64_MAX && plans[0].mtok_nusd == INT64_MAX);
}

static int rank_once(void *arg)
{
    (void)arg;
    return refused(&offers[0], NULL);
}

static void memory_that_is_out_is_an_error(void **state)
{
    (void)state;
    assert_true(fh_torture(FH_FAULT_ALLOC, rank_once, NULL, 20) >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_is_what_was_asked_for),
        cmocka_unit_test(many_streams_make_a_machine_cheaper_than_tokens),
        cmocka_unit_test(published_break_evens_are_met),
        cmocka_unit_test(wishes_are_constraints),
        cmocka_unit_test(what_may_be_taken_away_is_left_out_where_that_is_asked),
        cmocka_unit_test(the_break_even_is_of_the_cheapest_of_both_whatever_is_preferred),
        cmocka_unit_test(what_a_smaller_cache_makes_fit_is_said_and_planned),
        cmocka_unit_test(who_cannot_keep_a_cache_so_is_not_planned_with),
        cmocka_unit_test(each_refusal_says_its_numbers),
        cmocka_unit_test(a_variant_that_was_not_measured_says_so),
        cmocka_unit_test(the_order_of_offers_changes_nothing_but_equals),
        cmocka_unit_test(only_the_best_are_kept_where_room_is_short),
        cmocka_unit_test(a_place_of_unknown_speed_is_free_or_last),
        cmocka_unit_test(the_smallest_host_that_would_do_is_found),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(memory_that_is_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
