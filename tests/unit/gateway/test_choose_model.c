/* Which model is chosen. */
#include "choose_model.h"
#include "cmocka_all.h"

#include <string.h>

enum { NO_DRAW = 1 }; /* a draw that tries nothing */

static fh_model_option option(double size, double success, double evidence)
{
    return (fh_model_option){.belief = {success, evidence}, .size = size, .price = size / 1e6, .energy = size / 10, .duration = 1e9 / size};
}

static size_t chosen(const fh_model_option *list, size_t count, fh_prefer prefer, bool checked, uint32_t draw, fh_model_reason want)
{
    fh_model_wish w = {.prefer = prefer, .checked = checked, .random = draw};
    fh_model_reason why;
    size_t i = fh_choose_model(list, count, &w, &why);
    assert_int_equal(why, want);
    return i;
}

static void the_smallest_that_is_good_enough_is_taken(void **state)
{
    const fh_model_option list[] = {option(70e9, 0.95, 50), option(1e9, 0.5, 50), option(8e9, 0.93, 50)};
    assert_int_equal(chosen(list, 3, FH_PREFER_BALANCE, false, NO_DRAW, FH_MODEL_ADEQUATE), 2);
}

static void without_one_that_is_nearly_as_good_the_best_is_taken(void **state)
{
    const fh_model_option list[] = {option(70e9, 0.95, 50), option(1e9, 0.5, 50), option(8e9, 0.8, 50)};
    assert_int_equal(chosen(list, 3, FH_PREFER_BALANCE, false, NO_DRAW, FH_MODEL_BEST), 0);
}

static void where_answers_are_checked_a_smaller_one_is_tried(void **state)
{
    const fh_model_option list[] = {option(70e9, 0.95, 50), option(1e9, 0.5, 50), option(30e9, 0.3, 50)};
    assert_int_equal(chosen(list, 3, FH_PREFER_BALANCE, true, NO_DRAW, FH_MODEL_CHECKED), 1);
    /* One that nearly always fails costs more than it saves. */
    const fh_model_option bad[] = {option(70e9, 0.95, 50), option(30e9, 0.2, 50)};
    assert_int_equal(chosen(bad, 2, FH_PREFER_BALANCE, true, NO_DRAW, FH_MODEL_BEST), 0);
}

static void what_is_preferred_decides_what_is_small(void **state)
{
    fh_model_option list[] = {option(70e9, 0.95, 50), option(8e9, 0.95, 50), option(9e9, 0.95, 50)};
    list[2].price = 0;
    list[0].energy = 0.001;
    assert_int_equal(chosen(list, 3, FH_PREFER_BALANCE, false, NO_DRAW, FH_MODEL_ADEQUATE), 1);
    assert_int_equal(chosen(list, 3, FH_PREFER_PRICE, false, NO_DRAW, FH_MODEL_ADEQUATE), 2);
    assert_int_equal(chosen(list, 3, FH_PREFER_ENERGY, false, NO_DRAW, FH_MODEL_ADEQUATE), 0);
    assert_int_equal(chosen(list, 3, FH_PREFER_SPEED, false, NO_DRAW, FH_MODEL_ADEQUATE), 0);
}

static void what_is_not_known_to_be_cheap_is_not_taken_for_cheap(void **state)
{
    fh_model_option list[] = {option(8e9, 0.95, 50), option(9e9, 0.95, 50)};
    list[0].price = -1;
    fh_model_wish w = {.prefer = FH_PREFER_PRICE, .random = NO_DRAW};
    fh_model_reason why;
    list[1].price = 3;
    assert_int_equal(fh_choose_model(list, 2, &w, &why), 0); /* alike: 3 is the dearest that is known */
    const fh_model_option three[] = {list[0], list[1], {.belief = {0.95, 50}, .size = 1, .price = 9}};
    assert_int_equal(fh_choose_model(three, 3, &w, &why), 1);
}

static void where_no_size_is_known_the_order_tells(void **state)
{
    const fh_model_option list[] = {{.belief = {0.7, 0}, .price = -1}, {.belief = {0.7, 0}, .price = -1}};
    assert_int_equal(chosen(list, 2, FH_PREFER_BALANCE, false, NO_DRAW, FH_MODEL_ADEQUATE), 0);
    const fh_model_option better[] = {{.belief = {0.7, 0}, .price = -1}, {.belief = {0.9, 9}, .price = -1}};
    assert_int_equal(chosen(better, 2, FH_PREFER_BALANCE, false, NO_DRAW, FH_MODEL_BEST), 1);
}

static void a_bounded_share_of_requests_tries_what_is_little_known(void **state)
{
    const fh_model_option list[] = {option(70e9, 0.95, 50), option(8e9, 0.7, 1), option(1e9, 0.3, 1)};
    size_t tried = 0;
    for (uint32_t draw = 0; draw < 1600; draw++) {
        fh_model_wish w = {.random = draw};
        fh_model_reason why;
        size_t i = fh_choose_model(list, 3, &w, &why);
        assert_int_equal(i == 1, why == FH_MODEL_EXPLORED);
        assert_int_not_equal(i, 2); /* it hardly can */
        tried += i == 1;
    }
    assert_int_equal(tried, 1600 / FH_LIMIT_EXPLORE_ONE_IN);
    const fh_model_option known[] = {option(70e9, 0.95, 50), option(8e9, 0.7, 50)};
    assert_int_equal(chosen(known, 2, FH_PREFER_BALANCE, false, 0, FH_MODEL_BEST), 0);
}

static void the_only_one_is_taken_and_larger_ones_are_trusted_more(void **state)
{
    const fh_model_option one[] = {option(1, 0, 0)};
    assert_int_equal(chosen(one, 1, FH_PREFER_BALANCE, true, 0, FH_MODEL_ONLY), 0);
    assert_true(fh_model_prior(70e9, 70e9) > fh_model_prior(8e9, 70e9) && fh_model_prior(8e9, 70e9) > fh_model_prior(1e8, 70e9));
    assert_true(fh_model_prior(1, 70e9) > 0.49 && fh_model_prior(0, 70e9) < 0.71);
    for (fh_model_reason r = FH_MODEL_ONLY; r <= FH_MODEL_EXPLORED; r++) assert_true(strlen(fh_model_reason_text(r, FH_PREFER_PRICE)) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_that_is_good_enough_is_taken),
        cmocka_unit_test(without_one_that_is_nearly_as_good_the_best_is_taken),
        cmocka_unit_test(where_answers_are_checked_a_smaller_one_is_tried),
        cmocka_unit_test(what_is_preferred_decides_what_is_small),
        cmocka_unit_test(what_is_not_known_to_be_cheap_is_not_taken_for_cheap),
        cmocka_unit_test(where_no_size_is_known_the_order_tells),
        cmocka_unit_test(a_bounded_share_of_requests_tries_what_is_little_known),
        cmocka_unit_test(the_only_one_is_taken_and_larger_ones_are_trusted_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
