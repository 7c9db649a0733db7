/* What is cheaper, of places that ask by the hour, by the token, or both. */
#include "cost.h"

#include "cmocka_all.h"
#include <stdio.h>

static fh_cost asks(int64_t hour_micro, int64_t mtok_micro)
{
    return (fh_cost){.terms = {.ask_micro = hour_micro, .mtok_micro = mtok_micro, .currency = "USD", .mtok_currency = "USD"}};
}

static fh_cost_order compared(fh_cost a, fh_cost b, double tok_h)
{
    fh_cost_order there = fh_cost_compare(&a, &b, tok_h), back = fh_cost_compare(&b, &a, tok_h);
    assert_true(there == FH_COST_LESS ? back == FH_COST_MORE : there == FH_COST_MORE ? back == FH_COST_LESS : back == there);
    return there;
}

static void what_costs_nothing_comes_first(void **state)
{
    assert_int_equal(compared(asks(0, 0), asks(1, 0), 0), FH_COST_LESS);
    assert_int_equal(compared(asks(0, 0), asks(0, 1), 1e6), FH_COST_LESS);
    assert_int_equal(compared(asks(0, 0), asks(0, 0), 1e6), FH_COST_SAME);
}

static void at_a_known_load_hours_and_tokens_are_one_sum(void **state)
{
    fh_cost by_hour = asks(1000000, 0), by_tok = asks(0, 200000), both = asks(500000, 100000);
    assert_int_equal(compared(by_hour, by_tok, 1e6), FH_COST_MORE); /* 1.00 and 0.20 an hour */
    assert_int_equal(compared(by_hour, by_tok, 5e6), FH_COST_SAME);
    assert_int_equal(compared(by_hour, by_tok, 6e6), FH_COST_LESS);
    assert_int_equal(compared(both, by_tok, 4e6), FH_COST_MORE);
    assert_int_equal(compared(both, by_tok, 6e6), FH_COST_LESS);
    assert_int_equal(compared(both, by_hour, 6e6), FH_COST_MORE);
}

static void without_a_load_only_what_asks_alike_is_compared(void **state)
{
    assert_int_equal(compared(asks(1, 0), asks(0, 1), 0), FH_COST_OTHER);
    assert_int_equal(compared(asks(1, 0), asks(1, 1), 0), FH_COST_OTHER);
    assert_int_equal(compared(asks(1, 0), asks(2, 0), 0), FH_COST_LESS);
    assert_int_equal(compared(asks(0, 3), asks(0, 2), 0), FH_COST_MORE);
    assert_int_equal(compared(asks(2, 3), asks(2, 4), 0), FH_COST_LESS);
    assert_int_equal(compared(asks(2, 3), asks(1, 4), 0), FH_COST_OTHER);
}

static void other_currencies_are_not_compared(void **state)
{
    fh_cost euros = asks(1, 0);
    snprintf(euros.terms.currency, sizeof euros.terms.currency, "EUR");
    assert_int_equal(compared(euros, asks(2, 0), 0), FH_COST_OTHER);
    assert_int_equal(compared(euros, asks(2, 0), 1e6), FH_COST_OTHER);
    fh_cost two = asks(1, 1);
    snprintf(two.terms.mtok_currency, sizeof two.terms.mtok_currency, "EUR");
    assert_int_equal(compared(two, asks(2, 2), 1e6), FH_COST_OTHER);
}

static void failures_are_paid_for_and_hours_of_the_slow_too(void **state)
{
    fh_cost fails = asks(100, 0), slow = asks(100, 0), fast = asks(150, 0);
    fails.failing_per_mille = 500;
    assert_int_equal(compared(fails, asks(150, 0), 0), FH_COST_MORE);
    slow.millitok_s = 10000;
    fast.millitok_s = 20000;
    assert_int_equal(compared(slow, fast, 0), FH_COST_MORE);
    fails = asks(0, 100);
    fails.failing_per_mille = 500;
    assert_int_equal(compared(fails, asks(0, 150), 0), FH_COST_MORE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_costs_nothing_comes_first), cmocka_unit_test(at_a_known_load_hours_and_tokens_are_one_sum),
        cmocka_unit_test(without_a_load_only_what_asks_alike_is_compared), cmocka_unit_test(other_currencies_are_not_compared),
        cmocka_unit_test(failures_are_paid_for_and_hours_of_the_slow_too)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
