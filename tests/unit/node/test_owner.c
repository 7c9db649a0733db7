/* What a machine's owner allows: hours, and models. */
#include "cmocka_all.h"

#include "base/clock.h"
#include "base/limits.h"
#include "node/owner.h"

enum { SUN, MON, TUE, WED, THU, FRI, SAT };

static bool open_at(const char *hours, int day, int hour, int minute)
{
    fh_node_hours h;
    fh_err *err = NULL;
    if (fh_node_hours_parse(fh_str_of(hours), &h, &err) != 0) fail_msg("%s: %s", hours, fh_err_message(err));
    return fh_node_hours_open(&h, &(struct tm){.tm_wday = day, .tm_hour = hour, .tm_min = minute});
}

static void without_hours_it_is_always_open(void **state)
{
    (void)state;
    assert_true(fh_node_hours_open(&(fh_node_hours){0}, &(struct tm){0}));
}

static void hours_of_a_day_begin_and_end(void **state)
{
    (void)state;
    assert_false(open_at("08:00-17:30", WED, 7, 59));
    assert_true(open_at("08:00-17:30", WED, 8, 0));
    assert_true(open_at("08:00-17:30", WED, 17, 29));
    assert_false(open_at("08:00-17:30", WED, 17, 30));
    assert_true(open_at("00:00-24:00", SUN, 23, 59));
}

static void hours_past_midnight_belong_to_the_day_they_began(void **state)
{
    (void)state;
    const char *nights = "mon-fri 22:00-07:00";
    assert_true(open_at(nights, MON, 22, 0));
    assert_false(open_at(nights, MON, 6, 59));
    assert_true(open_at(nights, SAT, 6, 59));
    assert_false(open_at(nights, SAT, 22, 0));
    assert_false(open_at(nights, SUN, 3, 0));
    assert_true(open_at("sat 22:00-07:00", SUN, 3, 0));
    assert_true(open_at("fri-mon 12:00-13:00", SUN, 12, 0));
    assert_false(open_at("fri-mon 12:00-13:00", WED, 12, 0));
}

static void several_ranges_are_open_in_any_of_them(void **state)
{
    (void)state;
    const char *both = "mon-fri 18:00-08:00, sat-sun 00:00-24:00";
    assert_true(open_at(both, SAT, 12, 0));
    assert_false(open_at(both, WED, 12, 0));
    assert_true(open_at(both, WED, 20, 0));
}

static void what_is_no_hours_is_said(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "8:00-17:00",
        "08:00",
        "24:00-07:00",
        "08:00-24:01",
        "08:60-09:00",
        "day 08:00-09:00",
        "mon08:00-",
        "08:00-09:00,",
        "mon- 08:00-09:00",
        "08:00-09:00 mon",
        "-1:00-09:00",
        "mon  ",
        "08:00-09:00,08:00-09:00,08:00-09:00,08:00-09:00,08:00-09:00,08:00-09:00,08:00-09:00,08:00-09:00,08:00-09:00"};
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        fh_node_hours h;
        fh_err *err = NULL;
        if (fh_node_hours_parse(fh_str_of(bad[i]), &h, &err) != FH_E_INVALID) fail_msg("'%s' was taken", bad[i]);
        fh_err_free(err);
    }
}

static void models_are_allowed_or_not_by_name_or_digest(void **state)
{
    (void)state;
    fh_node_owner o = {0};
    assert_int_equal(fh_node_owner_takes(&o, "any", "aa", NULL), 0);
    assert_int_equal(fh_node_models_parse(FH_STR("smollm2, bbbb"), &o.models, NULL), 0);
    assert_int_equal(fh_node_owner_takes(&o, "smollm2-135m", "aa", NULL), 0); /* the alias has become the model */
    assert_int_equal(fh_node_owner_takes(&o, "any", "bbbb", NULL), 0);
    assert_int_equal(fh_node_owner_takes(&o, "any", "aa", NULL), FH_E_FORBIDDEN);
    assert_int_equal(fh_node_models_parse(FH_STR("bbbb"), &o.not_models, NULL), 0);
    assert_int_equal(fh_node_owner_takes(&o, "smollm2-135m", "bbbb", NULL), FH_E_FORBIDDEN);
    assert_int_equal(fh_node_models_parse(FH_STR("a,,b"), &o.models, NULL), FH_E_INVALID);
}

static void what_is_bounded_is_told(void **state)
{
    (void)state;
    fh_node_owner o = {.engines = 2, .disk_bytes = 5};
    FH_AUTO(json) fh_json *made = fh_node_owner_json(&o);
    FH_AUTO(buf) fh_buf text = FH_BUF(1024);
    assert_int_equal(fh_json_write(made, &text, NULL), 0);
    assert_string_equal(fh_buf_cstr(&text), "{\"disk_bytes\":5,\"engines\":2,\"alone_s\":600}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_hours_it_is_always_open),
        cmocka_unit_test(hours_of_a_day_begin_and_end),
        cmocka_unit_test(hours_past_midnight_belong_to_the_day_they_began),
        cmocka_unit_test(several_ranges_are_open_in_any_of_them),
        cmocka_unit_test(what_is_no_hours_is_said),
        cmocka_unit_test(models_are_allowed_or_not_by_name_or_digest),
        cmocka_unit_test(what_is_bounded_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
