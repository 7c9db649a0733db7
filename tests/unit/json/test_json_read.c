/* Checked member reads: types, ranges, absent and null members. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "json/json.h"

static const char text[] = "{\"s\":\"x\",\"i\":5,\"r\":0.5,\"b\":true,\"n\":null,\"big\":300}";

static int open_object(void **state)
{
    fh_json *o = NULL;
    int rc = fh_json_parse(&o, fh_str_of(text), sizeof(text), NULL);
    *state = o;
    return rc;
}

static int close_object(void **state)
{
    fh_json_unref(*state);
    return 0;
}

static void assert_fault(int rc, fh_err *err, const char *message, const char *param)
{
    assert_int_equal(rc, FH_E_INVALID);
    assert_string_equal(fh_err_message(err), message);
    assert_string_equal(fh_err_param_get(err), param);
    fh_err_free(err);
}

static void members_of_the_right_type_are_read(void **state)
{
    fh_str s = {0};
    int64_t i = 0;
    double r = 0, whole = 0;
    bool b = false;
    assert_int_equal(fh_json_read_str(*state, "s", true, &s, NULL), 0);
    assert_int_equal(fh_json_read_i64(*state, "i", true, 0, 10, &i, NULL), 0);
    assert_int_equal(fh_json_read_f64(*state, "r", true, 0, 1, &r, NULL), 0);
    assert_int_equal(fh_json_read_f64(*state, "i", true, 0, 10, &whole, NULL), 0);
    assert_int_equal(fh_json_read_bool(*state, "b", true, &b, NULL), 0);
    assert_true(fh_str_eqs(s, "x") && i == 5 && r == 0.5 && whole == 5.0 && b);
}

static void absent_and_null_members_leave_the_default(void **state)
{
    int64_t i = 42;
    assert_int_equal(fh_json_read_i64(*state, "none", false, 0, 1, &i, NULL), 0);
    assert_int_equal(fh_json_read_i64(*state, "n", false, 0, 1, &i, NULL), 0);
    assert_int_equal(i, 42);
}

static void a_required_member_that_is_absent_is_named(void **state)
{
    fh_err *err = NULL;
    fh_str s;
    int rc = fh_json_read_str(*state, "model", true, &s, &err);
    assert_fault(rc, err, "'model' is missing", "model");
    err = NULL;
    rc = fh_json_read_str(*state, "n", true, &s, &err);
    assert_fault(rc, err, "'n' is missing", "n");
}

static void wrong_types_are_named(void **state)
{
    fh_err *err = NULL;
    fh_str s = FH_STR("kept");
    int64_t i = 1;
    double r = 1;
    bool b = true;
    int rc = fh_json_read_str(*state, "i", false, &s, &err);
    assert_fault(rc, err, "'i' must be a string", "i");
    err = NULL;
    rc = fh_json_read_i64(*state, "r", false, 0, 1, &i, &err);
    assert_fault(rc, err, "'r' must be an integer", "r");
    err = NULL;
    rc = fh_json_read_f64(*state, "b", false, 0, 1, &r, &err);
    assert_fault(rc, err, "'b' must be a number", "b");
    err = NULL;
    rc = fh_json_read_bool(*state, "i", false, &b, &err);
    assert_fault(rc, err, "'i' must be true or false", "i");
    assert_true(fh_str_eqs(s, "kept") && i == 1 && r == 1 && b);
}

static void values_out_of_range_are_named(void **state)
{
    fh_err *err = NULL;
    int64_t i = 1;
    double r = 1;
    int rc = fh_json_read_i64(*state, "big", false, 0, 255, &i, &err);
    assert_fault(rc, err, "'big' is 300; it must lie between 0 and 255", "big");
    err = NULL;
    rc = fh_json_read_f64(*state, "big", false, 0, 2, &r, &err);
    assert_fault(rc, err, "'big' is 300; it must lie between 0 and 2", "big");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_of_the_right_type_are_read),
        cmocka_unit_test(absent_and_null_members_leave_the_default),
        cmocka_unit_test(a_required_member_that_is_absent_is_named),
        cmocka_unit_test(wrong_types_are_named),
        cmocka_unit_test(values_out_of_range_are_named),
    };
    return cmocka_run_group_tests_name("json_read", tests, open_object, close_object);
}
