/* Which replica is chosen. */
#include "choose.h"
#include "cmocka_all.h"

static size_t chosen(const fh_option *list, size_t count, fh_prefer prefer, uint32_t a, uint32_t b, fh_choice_reason want)
{
    fh_choice_reason why;
    const uint32_t random[2] = {a, b};
    size_t i = fh_choose(list, count, prefer, random, &why);
    assert_int_equal(why, want);
    return i;
}

static void an_open_breaker_is_avoided_while_there_is_another(void **state)
{
    const fh_option list[] = {{.open = true}, {.in_flight_tok = 1e9}, {.open = true}};
    assert_int_equal(chosen(list, 3, FH_PREFER_BALANCE, 0, 0, FH_CHOSE_ONLY), 1);
    const fh_option all[] = {{.open = true, .in_flight_tok = 9}, {.open = true}};
    assert_int_equal(chosen(all, 2, FH_PREFER_BALANCE, 0, 0, FH_CHOSE_LAST), 1);
}

static void of_two_at_random_the_lighter_is_taken(void **state)
{
    const fh_option list[] = {{.in_flight_tok = 100}, {.in_flight_tok = 10}, {.in_flight_tok = 1000}};
    for (uint32_t a = 0; a < 3; a++)
        for (uint32_t b = 0; b < 2; b++) {
            size_t second = b + (b >= a), i = chosen(list, 3, FH_PREFER_BALANCE, a, b, FH_CHOSE_LIGHTEST);
            assert_int_equal(i, list[a].in_flight_tok <= list[second].in_flight_tok ? a : second);
        }
}

static void speed_and_failures_weigh(void **state)
{
    const fh_option list[] = {{.in_flight_tok = 100, .tok_per_s = 10}, {.in_flight_tok = 500, .tok_per_s = 100}};
    assert_int_equal(chosen(list, 2, FH_PREFER_BALANCE, 0, 0, FH_CHOSE_LIGHTEST), 1);
    const fh_option failing[] = {{.in_flight_tok = 100}, {.in_flight_tok = 90, .failure_rate = 0.5}};
    assert_int_equal(chosen(failing, 2, FH_PREFER_BALANCE, 0, 0, FH_CHOSE_LIGHTEST), 0);
}

static void who_holds_the_prompt_gets_it_unless_much_busier(void **state)
{
    fh_option list[] = {{.in_flight_tok = 0}, {.in_flight_tok = 5000, .matched = 0.9}, {.matched = 0.5, .in_flight_tok = 100}};
    assert_int_equal(chosen(list, 3, FH_PREFER_BALANCE, 0, 0, FH_CHOSE_PREFIX), 1);
    list[1].in_flight_tok = 1e6;
    assert_int_not_equal(chosen(list, 3, FH_PREFER_BALANCE, 0, 0, FH_CHOSE_LIGHTEST), 1);
    list[1].matched = 0.2;
    assert_int_equal(chosen(list, 3, FH_PREFER_BALANCE, 0, 0, FH_CHOSE_PREFIX), 2);
}

static void what_is_preferred_decides(void **state)
{
    const fh_option list[] = {{.price = 3, .energy = 1}, {.price = 2, .energy = 2, .in_flight_tok = 50}, {.price = 2, .energy = 3}};
    assert_int_equal(chosen(list, 3, FH_PREFER_PRICE, 0, 0, FH_CHOSE_PRICE), 2);
    assert_int_equal(chosen(list, 3, FH_PREFER_ENERGY, 0, 0, FH_CHOSE_ENERGY), 0);
}

static void what_is_near_is_taken_before_what_is_as_light(void **state)
{
    fh_option list[] = {{.in_flight_tok = 1000}, {.in_flight_tok = 1100, .near = true}};
    for (uint32_t a = 0; a < 2; a++) assert_int_equal(chosen(list, 2, FH_PREFER_BALANCE, a, 0, FH_CHOSE_NEAR), 1);
    list[0].in_flight_tok = 1200; /* by its load alone */
    assert_int_equal(chosen(list, 2, FH_PREFER_BALANCE, 0, 0, FH_CHOSE_LIGHTEST), 1);
    list[0].near = true; /* both are */
    assert_int_equal(chosen(list, 2, FH_PREFER_BALANCE, 0, 0, FH_CHOSE_LIGHTEST), 1);
    const fh_option priced[] = {{.price = 1}, {.price = 2, .near = true}, {.price = 1, .near = true}};
    assert_int_equal(chosen(priced, 2, FH_PREFER_PRICE, 0, 0, FH_CHOSE_PRICE), 0); /* what is asked for goes before it */
    assert_int_equal(chosen(priced, 3, FH_PREFER_PRICE, 0, 0, FH_CHOSE_PRICE), 2);
}

/* Requests of one length that never end: the near one gets no more of them than a quarter above the far one's. */
static void a_busy_near_one_leaves_work_to_an_idle_far_one(void **state)
{
    fh_option list[] = {{.near = true}, {.near = false}};
    for (uint32_t i = 0; i < 900; i++) {
        fh_choice_reason why;
        const uint32_t random[2] = {i, 0};
        list[fh_choose(list, 2, FH_PREFER_BALANCE, random, &why)].in_flight_tok += 100;
    }
    assert_in_range((uint64_t)list[0].in_flight_tok, 49800, 50200);
    assert_in_range((uint64_t)list[1].in_flight_tok, 39800, 40200);
    fh_option slow[] = {{.near = true, .tok_per_s = 10}, {.tok_per_s = 13}}; /* idle both, and the far one is so much faster */
    assert_int_equal(chosen(slow, 2, FH_PREFER_BALANCE, 0, 0, FH_CHOSE_LIGHTEST), 1);
    slow[0] = (fh_option){.near = true, .failure_rate = 0.5};
    slow[1].tok_per_s = 0; /* as fast, and it does not fail */
    assert_int_equal(chosen(slow, 2, FH_PREFER_BALANCE, 0, 0, FH_CHOSE_LIGHTEST), 1);
}

static size_t ejected(fh_option *list, size_t count)
{
    size_t n = 0;
    fh_options_eject(list, count);
    for (size_t i = 0; i < count; i++) n += list[i].open;
    return n;
}

static void who_fails_much_more_than_the_others_gets_nothing(void **state)
{
    fh_option one[] = {{.failure_rate = 0.05}, {.failure_rate = 0.6}, {.failure_rate = 0}};
    assert_int_equal(ejected(one, 3), 1);
    assert_true(one[1].open);
    fh_option all[] = {{.failure_rate = 0.5}, {.failure_rate = 0.6}, {.failure_rate = 0.55}};
    assert_int_equal(ejected(all, 3), 0); /* it is not the replica */
    fh_option two[] = {{.failure_rate = 0}, {.failure_rate = 0.9}};
    assert_int_equal(ejected(two, 2), 0);
    fh_option most[] = {{.failure_rate = 0.9}, {.failure_rate = 0.8}, {.failure_rate = 0.9}, {0}, {0}, {0}, {0}};
    assert_int_equal(ejected(most, 7), 2); /* a third at most */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_open_breaker_is_avoided_while_there_is_another),
        cmocka_unit_test(of_two_at_random_the_lighter_is_taken),
        cmocka_unit_test(speed_and_failures_weigh),
        cmocka_unit_test(who_holds_the_prompt_gets_it_unless_much_busier),
        cmocka_unit_test(who_fails_much_more_than_the_others_gets_nothing),
        cmocka_unit_test(what_is_preferred_decides),
        cmocka_unit_test(what_is_near_is_taken_before_what_is_as_light),
        cmocka_unit_test(a_busy_near_one_leaves_work_to_an_idle_far_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
