/* Canaries: within their bounds, new each time, the same from the same seed. */
#include "cmocka_all.h"

#include "base/limits.h"
#include "honesty/draw.h"
#include <string.h>

static void test_the_same_seed_draws_the_same(void **state)
{
    (void)state;
    uint64_t a = 5, b = 5, other = 6;
    fh_honesty_canary x = {.prompt_tok = 0}, y = {.prompt_tok = 0}, z = {.prompt_tok = 0};
    fh_honesty_draw(&a, &x);
    fh_honesty_draw(&b, &y);
    fh_honesty_draw(&other, &z);
    assert_string_equal(x.opening, y.opening);
    assert_int_equal(x.ask_seed, y.ask_seed);
    assert_int_not_equal(x.ask_seed, z.ask_seed);
}

static void test_lengths_stay_within_their_bounds_and_vary(void **state)
{
    (void)state;
    uint64_t s = 1;
    uint32_t least = UINT32_MAX, most = 0;
    for (unsigned i = 0; i < 5000; i++) {
        fh_honesty_canary c;
        fh_honesty_draw(&s, &c);
        assert_in_range(c.answer_tok, 8, FH_LIMIT_HONESTY_ANSWER_TOK);
        assert_in_range(c.prompt_tok, 12, 191);
        assert_true(strlen(c.opening) > 10 && c.ask_seed <= INT32_MAX && c.write_seed <= INT32_MAX);
        least = c.prompt_tok < least ? c.prompt_tok : least;
        most = c.prompt_tok > most ? c.prompt_tok : most;
    }
    assert_true(least < 15 && most > 150);
}

static void test_about_a_quarter_is_asked_again_once_there_is_one(void **state)
{
    (void)state;
    uint64_t s = 3;
    unsigned again = 0;
    assert_int_equal(fh_honesty_draw_again(&s, 0), 0);
    for (unsigned i = 0; i < 4000; i++) {
        size_t k = fh_honesty_draw_again(&s, 8);
        assert_true(k <= 8);
        again += k < 8;
    }
    assert_in_range(again, 800, 1200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_seed_draws_the_same),
        cmocka_unit_test(test_lengths_stay_within_their_bounds_and_vary),
        cmocka_unit_test(test_about_a_quarter_is_asked_again_once_there_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
