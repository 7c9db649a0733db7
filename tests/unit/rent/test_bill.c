/* Bills: seconds and money of acts, as far as they are known. */
#include "cmocka_all.h"
#include "rent_private.h"

#define S FH_NS_PER_S

static fh_rent_act act(void)
{
    return (fh_rent_act){.phase = FH_RENT_OVER,
                         .hour_micro = 3600000,
                         .asked_utc_ns = 1000 * S,
                         .held_utc_ns = 1010 * S,
                         .running_utc_ns = 1100 * S,
                         .alive_utc_ns = 1500 * S,
                         .gone_utc_ns = 1700 * S,
                         .charged_micro = -1};
}

static void what_is_not_known_is_counted_against_us(void **state)
{
    fh_rent_act a = act();
    (void)state;
    fh_rent_bill b = fh_rent_bill_of(&a, 0);
    assert_int_equal(b.least_s, 490); /* known at 1010, there until 1500 */
    assert_int_equal(b.most_s, 700);  /* asked for at 1000, gone at 1700 */
    assert_int_equal(b.start_s, 100);
    assert_int_equal(b.amount_micro, 700000);
    a.started_utc_ns = 1005 * S;
    b = fh_rent_bill_of(&a, 0);
    assert_int_equal(b.least_s, 495);
    assert_int_equal(b.most_s, 695);
}

static void a_machine_that_is_there_is_billed_until_now(void **state)
{
    fh_rent_act a = act();
    (void)state;
    a.phase = FH_RENT_HELD;
    a.gone_utc_ns = 0;
    assert_int_equal(fh_rent_bill_of(&a, 2000 * S).most_s, 1000);
}

static void one_that_was_refused_costs_nothing(void **state)
{
    fh_rent_act a = {.phase = FH_RENT_OVER, .hour_micro = 5000000, .asked_utc_ns = 1000 * S, .gone_utc_ns = 1000 * S, .charged_micro = -1};
    (void)state;
    fh_rent_bill b = fh_rent_bill_of(&a, 9000 * S);
    assert_int_equal(b.most_s, 0);
    assert_int_equal(b.amount_micro, 0);
}

static void money_is_rounded_up_and_does_not_overflow(void **state)
{
    fh_rent_act a = act();
    (void)state;
    a.hour_micro = 1;
    assert_int_equal(fh_rent_bill_of(&a, 0).amount_micro, 1);
    a.hour_micro = INT64_C(1000000000000); /* a million an hour */
    a.gone_utc_ns = a.asked_utc_ns + INT64_C(31536000) * S;
    assert_true(fh_rent_bill_of(&a, 0).amount_micro == INT64_C(1000000000000) * 8760);
}

static void what_the_provider_says_is_held_against_it(void **state)
{
    char text[256];
    fh_rent_act a = act();
    (void)state;
    a.charged_micro = 600000;
    fh_rent_bill b = fh_rent_bill_of(&a, 0);
    assert_true(b.charged && b.explained);
    fh_rent_bill_text(&a, &b, text, sizeof text);
    assert_string_equal(
        text, "rented 700 s (at least 490) at 3.600000 an hour = 0.700000; 100 s of it before it ran = 0.100000; charged 0.600000, "
              "which is between");
    a.charged_micro = 800000;
    b = fh_rent_bill_of(&a, 0);
    assert_true(b.charged && !b.explained);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_known_is_counted_against_us),   cmocka_unit_test(a_machine_that_is_there_is_billed_until_now),
        cmocka_unit_test(one_that_was_refused_costs_nothing),        cmocka_unit_test(money_is_rounded_up_and_does_not_overflow),
        cmocka_unit_test(what_the_provider_says_is_held_against_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
