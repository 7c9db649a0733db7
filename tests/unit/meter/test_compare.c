/* The same work at home and in data centres, against figures that were reckoned by hand (docs/ENERGY.md). */
#include "cmocka_all.h"

#include "base/mem.h"
#include "meter/compare.h"
#include <math.h>
#include <string.h>

static fh_energy_comparison all;

static const fh_energy_wishes thirty_answers = {.tokens_day = 12000, .home = "USA", .rent_hours = 1};

static const fh_energy_case *compared(const fh_energy_wishes *w, const char *id)
{
    assert_int_equal(fh_energy_compare(w, &all, NULL), 0);
    for (size_t i = 0; i < all.count; i++)
        if (strcmp(all.cases[i].id, id) == 0) return &all.cases[i];
    fail_msg("no case %s", id);
    return NULL;
}

static bool within(double v, double percent, double of)
{
    return fabs(v / of - 1) * 100 <= percent;
}

static double j_per_tok(const char *id)
{
    return compared(&thirty_answers, id)->mtok.wh.mid * 3600 / 1e6;
}

/* Section by section: 0.455 J of the board and Google's whole stack is 1.72 of its accelerators at a PUE of 1.09; here N. Virginia's 1.15.
 */
static void test_a_batch_of_eight_on_the_whole_stack(void **state)
{
    (void)state;
    assert_true(within(j_per_tok("centre-8"), 0.1, 0.455 * (0.58 + 0.25 + 0.10) / 0.58 * 1.15));
    assert_true(within(j_per_tok("centre-8") / 1.15 * 1.09, 2, 0.78));
}

/* 172.7 W behind a supply of 90 %, 50 W beside it, 81.2 tokens a second: 3.0 J; asleep at 2 W, 12,000 tokens a day: 17 J; at 70 W: 507 J.
 */
static void test_a_pc_at_home(void **state)
{
    (void)state;
    assert_true(within(j_per_tok("home-pc-on-anyway"), 1, 2.98));
    assert_true(within(j_per_tok("home-pc-asleep"), 3, 17));
    assert_true(within(j_per_tok("home-pc-for-this"), 1, 507));
    assert_true(within(j_per_tok("home-mac"), 2, 30));
}

static void test_idle_is_shared_by_the_tokens_of_the_day(void **state)
{
    (void)state;
    fh_energy_wishes ten_times = thirty_answers;
    ten_times.tokens_day *= 10;
    const fh_energy_case *c = compared(&thirty_answers, "home-pc-for-this");
    double idle = c->mtok.wh.mid - c->active.wh.mid;
    c = compared(&ten_times, "home-pc-for-this");
    assert_true(within(c->mtok.wh.mid - c->active.wh.mid, 0.01, idle / 10));
}

static void test_air_takes_no_water_and_may_take_more_power(void **state)
{
    (void)state;
    fh_footprint wet = compared(&thirty_answers, "centre-32-hot")->mtok, dry = compared(&thirty_answers, "centre-32-hot-dry")->mtok;
    assert_true(wet.site_l.mid > 0 && dry.site_l.mid == 0);
    assert_true(dry.wh.mid == wet.wh.mid && dry.wh.high > wet.wh.high);
    assert_true(within(wet.site_l.mid / fh_footprint_litres(&wet).mid, 2, 0.47));
}

static void test_a_home_anywhere_is_a_range_that_holds_every_country(void **state)
{
    (void)state;
    fh_energy_wishes anywhere = thirty_answers, here = thirty_answers;
    anywhere.home = "";
    fh_footprint f = compared(&anywhere, "home-mac")->mtok;
    static const char *const countries[] = {"NOR", "ZAF", "IND", "FRA"};
    for (size_t i = 0; i < FH_COUNT(countries); i++) {
        here.home = countries[i];
        fh_footprint there = compared(&here, "home-mac")->mtok;
        assert_true(there.grams.mid >= f.grams.low && there.grams.mid <= f.grams.high);
    }
    assert_true(f.grams.high > 20 * f.grams.low);
}

/* What is not in dollars is not called dollars. */
static void test_another_currency_is_unknown(void **state)
{
    (void)state;
    fh_energy_wishes germany = thirty_answers;
    germany.home = "DEU";
    const fh_energy_case *c = compared(&germany, "home-mac");
    assert_true(isnan(c->mtok.usd.mid) && c->mtok.grams.mid > 0);
    assert_true(isnan(fh_energy_break_even(c, compared(&germany, "centre-8"), FH_ENERGY_USD)));
}

static void test_a_machine_of_ones_own(void **state)
{
    (void)state;
    fh_energy_wishes own = thirty_answers;
    own.own_watts = 20;
    own.own_tok_s = 100;
    own.own_idle_watts = 1;
    const fh_energy_case *mine = compared(&own, "home-own");
    assert_true(within(mine->active.wh.mid, 0.01, 0.2 * 1e6 / 3600));
    const fh_energy_case *centre = compared(&own, "centre-8");
    double even = fh_energy_break_even(compared(&own, "home-own"), centre, FH_ENERGY_WH);
    assert_true(even > 100000 && even < 1000000);
    own.tokens_day = even * 1.01;
    assert_true(compared(&own, "home-own")->mtok.wh.mid < compared(&own, "centre-8")->mtok.wh.mid);
    own.tokens_day = even * 0.99;
    assert_true(compared(&own, "home-own")->mtok.wh.mid > compared(&own, "centre-8")->mtok.wh.mid);
}

static void test_break_even_may_be_never_and_always(void **state)
{
    (void)state;
    assert_true(
        isinf(fh_energy_break_even(compared(&thirty_answers, "home-pc-on-anyway"), compared(&thirty_answers, "centre-128"), FH_ENERGY_WH)));
    assert_true(fh_energy_break_even(compared(&thirty_answers, "home-pc-asleep"), compared(&thirty_answers, "rented-gpu"), FH_ENERGY_WH) ==
                0);
}

static void test_every_case_stands_on_factors(void **state)
{
    (void)state;
    assert_int_equal(fh_energy_compare(&thirty_answers, &all, NULL), 0);
    for (size_t i = 0; i < all.count; i++) {
        const fh_energy_case *c = &all.cases[i];
        assert_true(c->factor_count >= 6 && c->factor_count < FH_ENERGY_FACTORS);
        assert_true(fh_range_is_known(c->mtok.wh) && c->mtok.wh.low <= c->mtok.wh.mid && c->mtok.wh.mid <= c->mtok.wh.high);
        assert_true(fh_range_is_known(c->mtok.site_l) && fh_range_is_known(c->mtok.grid_l) && fh_range_is_known(c->mtok.grams));
    }
}

static void test_nonsense_is_refused(void **state)
{
    (void)state;
    const struct {
        fh_energy_wishes w;
        const char *field;
    } bad[] = {
        {{.tokens_day = 0, .home = ""}, "tokens_day"},
        {{.tokens_day = (double)NAN, .home = ""}, "tokens_day"},
        {{.tokens_day = 1, .home = "ZZZ"}, "home"},
        {{.tokens_day = 1, .home = "gcp.us-east4"}, "home"},
        {{.tokens_day = 1, .home = "", .rent_hours = 25}, "rent_hours"},
        {{.tokens_day = 1, .home = "", .own_watts = 5}, "own_tok_s"},
        {{.tokens_day = 1, .home = "", .own_watts = -5}, "own_watts"},
    };
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        fh_err *err = NULL;
        assert_int_equal(fh_energy_compare(&bad[i].w, &all, &err), FH_E_INVALID);
        assert_string_equal(fh_err_param_get(err), bad[i].field);
        fh_err_free(err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_batch_of_eight_on_the_whole_stack),
        cmocka_unit_test(test_a_pc_at_home),
        cmocka_unit_test(test_idle_is_shared_by_the_tokens_of_the_day),
        cmocka_unit_test(test_air_takes_no_water_and_may_take_more_power),
        cmocka_unit_test(test_a_home_anywhere_is_a_range_that_holds_every_country),
        cmocka_unit_test(test_another_currency_is_unknown),
        cmocka_unit_test(test_a_machine_of_ones_own),
        cmocka_unit_test(test_break_even_may_be_never_and_always),
        cmocka_unit_test(test_every_case_stands_on_factors),
        cmocka_unit_test(test_nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
