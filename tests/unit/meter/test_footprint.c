/* Ranges, and what energy is at a place. */
#include "cmocka_all.h"

#include "meter/footprint.h"
#include <math.h>

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-9 * fabs(b);
}

static bool is(fh_range r, double low, double mid, double high)
{
    return near(r.low, low) && near(r.mid, mid) && near(r.high, high);
}

static fh_range range(double low, double mid, double high)
{
    return (fh_range){low, mid, high};
}

static void test_ranges_are_reckoned_by_their_ends(void **state)
{
    (void)state;
    fh_range a = range(1, 2, 3), b = range(4, 5, 8);
    assert_true(is(fh_range_add(a, b), 5, 7, 11));
    assert_true(is(fh_range_mul(a, b), 4, 10, 24));
    assert_true(is(fh_range_div(b, a), 4.0 / 3, 2.5, 8));
    assert_true(is(fh_range_span(a, b), 1, 2, 8));
}

static void test_what_is_unknown_stays_unknown(void **state)
{
    (void)state;
    fh_range unknown = fh_range_of(NULL);
    assert_false(fh_range_is_known(unknown));
    assert_false(fh_range_is_known(fh_range_add(unknown, fh_range_exactly(1))));
    assert_false(fh_range_is_known(fh_range_mul(unknown, fh_range_exactly(0))));
}

static void test_a_factor_without_a_spread_is_exact(void **state)
{
    (void)state;
    const fh_catalog_factor *f = fh_catalog_factor_find(FH_STR("wue.industry.average"));
    assert_non_null(f);
    assert_false(f->has_low);
    assert_true(is(fh_range_of(f), f->value, f->value, f->value));
}

/* PUE is there once in the energy and in the water of the grid, and not in the water of the site. */
static void test_each_factor_is_applied_once(void **state)
{
    (void)state;
    fh_site at = {range(1.1, 1.2, 1.5), range(0, 0.5, 1), range(2, 3, 4), range(100, 200, 300), fh_range_exactly(0.1)};
    fh_footprint f = fh_footprint_of(fh_range_exactly(2000), &at);
    assert_true(is(f.wh, 2200, 2400, 3000));
    assert_true(is(f.site_l, 0, 1, 2));
    assert_true(is(f.grid_l, 4.4, 7.2, 12));
    assert_true(is(f.grams, 220, 480, 900));
    assert_true(is(f.usd, 0.22, 0.24, 0.30));
    assert_true(is(fh_footprint_litres(&f), 4.4, 8.2, 14));
    fh_footprint half = fh_footprint_scale(&f, 0.5), whole = fh_footprint_add(&half, &half);
    assert_true(is(whole.wh, 2200, 2400, 3000) && is(whole.grams, 220, 480, 900));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges_are_reckoned_by_their_ends),
        cmocka_unit_test(test_what_is_unknown_stays_unknown),
        cmocka_unit_test(test_a_factor_without_a_spread_is_exact),
        cmocka_unit_test(test_each_factor_is_applied_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
