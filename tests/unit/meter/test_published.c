/* What others published comes out of our factors. */
#include "cmocka_all.h"

#include "meter/published.h"
#include <stdio.h>
#include <string.h>

static void test_what_can_be_reckoned_agrees(void **state)
{
    (void)state;
    size_t agree = 0;
    for (size_t i = 0; i < fh_published_count(); i++) {
        fh_published p = fh_published_at(i);
        if (!fh_range_is_known(p.ours)) continue;
        if (!fh_published_agrees(&p)) print_error("%s: published %g, reckoned %g\n", p.what, p.published.mid, p.ours.mid);
        agree += fh_published_agrees(&p);
    }
    assert_int_equal(agree, fh_published_count() - 1);
}

static void test_what_cannot_says_why(void **state)
{
    (void)state;
    fh_published p = fh_published_at(0);
    assert_false(fh_range_is_known(p.ours));
    assert_non_null(strstr(p.how, "neither"));
    assert_false(fh_published_agrees(&p));
}

static void test_spreads_that_do_not_meet_differ(void **state)
{
    (void)state;
    fh_published p = {.published = {1, 1.5, 2}, .ours = {2.1, 3, 4}};
    assert_false(fh_published_agrees(&p));
    p.ours.low = 2;
    assert_true(fh_published_agrees(&p));
    p.ours = (fh_range){0.1, 0.2, 0.99};
    assert_false(fh_published_agrees(&p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_can_be_reckoned_agrees),
        cmocka_unit_test(test_what_cannot_says_why),
        cmocka_unit_test(test_spreads_that_do_not_meet_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
