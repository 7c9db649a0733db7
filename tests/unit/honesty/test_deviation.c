/* How far two engines are apart. */
#include "cmocka_all.h"

#include "honesty/reply.h"
#include <math.h>

static fh_honesty_position two(double a, double b)
{
    return (fh_honesty_position){.chosen = {FH_STR("a"), a}, .top = {{FH_STR("a"), a}, {FH_STR("b"), b}}, .top_count = 2};
}

static bool near(double a, double b)
{
    return fabs(a - b) < 1e-9;
}

static void test_the_same_numbers_are_no_distance(void **state)
{
    (void)state;
    fh_honesty_position p = two(-0.3, -1.4);
    assert_true(near(fh_honesty_deviation(&p, &p), 0));
}

static void test_likely_tokens_weigh_more(void **state)
{
    (void)state;
    fh_honesty_position ours = two(log(0.75), log(0.25)), first = two(log(0.75) - 0.4, log(0.25)), second = two(log(0.75), log(0.25) - 0.4);
    assert_true(near(fh_honesty_deviation(&first, &ours), 0.3));
    assert_true(near(fh_honesty_deviation(&second, &ours), 0.1));
}

static void test_no_token_counts_more_than_far(void **state)
{
    (void)state;
    fh_honesty_position ours = two(log(0.5), log(0.5)), said = two(-9999, -9999);
    assert_true(near(fh_honesty_deviation(&said, &ours), FH_HONESTY_FAR));
}

/* The list of the other one ends at -1: what ours finds likelier than that would stand on it. */
static void test_what_is_missing_though_likely_counts(void **state)
{
    (void)state;
    fh_honesty_position ours = {.top = {{FH_STR("x"), -0.5}, {FH_STR("b"), -2}}, .top_count = 2};
    fh_honesty_position said = {.top = {{FH_STR("a"), -0.9}, {FH_STR("b"), -1}}, .chosen = {FH_STR("q"), -7}, .top_count = 2};
    double p = exp(-0.5), q = exp(-2);
    assert_true(near(fh_honesty_deviation(&said, &ours), (p * 0.5 + q * 1) / (p + q)));
}

/* Sampled far behind the likeliest, and told beside them: nothing between is missing. */
static void test_an_unlikely_choice_does_not_lengthen_the_list(void **state)
{
    (void)state;
    fh_honesty_position ours = {.top = {{FH_STR("a"), -0.5}, {FH_STR("c"), -3}}, .top_count = 2};
    fh_honesty_position said = {.top = {{FH_STR("a"), -0.5}, {FH_STR("z"), -9}}, .chosen = {FH_STR("z"), -9}, .top_count = 2};
    assert_true(near(fh_honesty_deviation(&said, &ours), 0));
}

static void test_a_choice_without_alternatives_is_compared_alone(void **state)
{
    (void)state;
    fh_honesty_position ours = two(log(0.5), log(0.5)), said = {.chosen = {FH_STR("b"), log(0.5) - 0.2}};
    assert_true(near(fh_honesty_deviation(&said, &ours), 0.2));
}

static void test_nothing_in_common_is_far(void **state)
{
    (void)state;
    fh_honesty_position ours = two(-1, -1), said = {.top_count = 0};
    assert_true(near(fh_honesty_deviation(&said, &ours), FH_HONESTY_FAR));
}

static void test_a_token_that_we_did_not_list_is_at_most_as_likely_as_the_last(void **state)
{
    (void)state;
    fh_honesty_position ours = two(-0.2, -3);
    assert_true(near(fh_honesty_logprob(&ours, FH_STR("a")), -0.2));
    assert_true(near(fh_honesty_logprob(&ours, FH_STR("zebra")), -3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_numbers_are_no_distance),
        cmocka_unit_test(test_likely_tokens_weigh_more),
        cmocka_unit_test(test_no_token_counts_more_than_far),
        cmocka_unit_test(test_what_is_missing_though_likely_counts),
        cmocka_unit_test(test_an_unlikely_choice_does_not_lengthen_the_list),
        cmocka_unit_test(test_a_choice_without_alternatives_is_compared_alone),
        cmocka_unit_test(test_nothing_in_common_is_far),
        cmocka_unit_test(test_a_token_that_we_did_not_list_is_at_most_as_likely_as_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
