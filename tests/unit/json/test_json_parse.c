/* Text to values: what is refused, where, and with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/limits.h"
#include "json/json.h"
#include <stdlib.h>

static void assert_refused_n(fh_str text, int code, const char *message)
{
    fh_json *v = NULL;
    fh_err *err = NULL;
    assert_int_equal(fh_json_parse(&v, text, 64 << 20, &err), code);
    assert_null(v);
    assert_string_equal(fh_err_message(err), message);
    fh_err_free(err);
}

static void assert_refused(const char *text, const char *message)
{
    assert_refused_n(fh_str_of(text), FH_E_INVALID, message);
}

static void syntax_errors_name_line_and_column(void **state)
{
    assert_refused("{\n \"a\": }", "JSON is not well-formed at line 2, column 7");
    assert_refused("[1,2", "JSON ends too early at line 1, column 4");
    assert_refused("[1] x", "JSON has something behind its end at line 1, column 5");
    assert_refused("", "JSON is empty");
    assert_refused("nul", "JSON is not well-formed at line 1, column 3");
    assert_refused("]", "JSON is not well-formed at line 1, column 1");
    assert_refused("\"abc", "JSON ends too early at line 1, column 4");
}

static void a_key_twice_in_one_object_is_refused(void **state)
{
    assert_refused("{\"a\":1,\"a\":2}", "JSON has the same key twice in one object at line 1, column 10");
}

static void broken_utf8_and_nul_are_refused_where_they_may_not_be(void **state)
{
    assert_refused("\"\xff\"", "JSON has broken UTF-8 at line 1, column 1");
    assert_refused("{\"a\\u0000\":1}", "JSON has a NUL where none may be at line 1, column 10");
    assert_refused_n(FH_STR("[1]\0x"), FH_E_INVALID, "JSON has a NUL byte");
    assert_refused_n(FH_STR("\"a\0b\""), FH_E_INVALID, "JSON has a NUL byte");
}

static void numbers_beyond_their_kind_are_refused(void **state)
{
    assert_refused("[9223372036854775808]", "JSON has a number that is too large at line 1, column 20");
    assert_refused("[1e999]", "JSON has a number that is too large at line 1, column 6");
    assert_refused("[NaN]", "JSON is not well-formed at line 1, column 4");
}

static fh_json *nested(size_t depth, int *ret_rc, fh_err **err)
{
    char text[1024];
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    fh_json *v = NULL;
    *ret_rc = fh_json_parse(&v, (fh_str){text, 2 * depth}, sizeof(text), err);
    return v;
}

static void nesting_is_bounded(void **state)
{
    int rc;
    FH_AUTO(json) fh_json *v = nested(FH_LIMIT_JSON_DEPTH, &rc, NULL);
    assert_int_equal(rc, 0);
    assert_int_equal(fh_json_count(v), 1);
    fh_err *err = NULL;
    assert_null(nested(FH_LIMIT_JSON_DEPTH + 1, &rc, &err));
    assert_int_equal(rc, FH_E_INVALID);
    assert_string_equal(fh_err_message(err), "JSON nests deeper than 128 levels at line 1, column 129");
    fh_err_free(err);
}

static void brackets_inside_strings_do_not_nest(void **state)
{
    char text[600] = "\"\\\"";
    memset(text + 3, '[', 500);
    text[503] = '"';
    FH_AUTO(json) fh_json *v = NULL;
    assert_int_equal(fh_json_parse(&v, fh_str_of(text), sizeof(text), NULL), 0);
    assert_int_equal(fh_json_str(v).len, 501);
}

static void size_and_number_of_values_are_bounded(void **state)
{
    fh_json *v = NULL;
    fh_err *err = NULL;
    assert_int_equal(fh_json_parse(&v, FH_STR("[1,2]"), 4, &err), FH_E_TOO_LARGE);
    assert_string_equal(fh_err_message(err), "JSON of 5 bytes; at most 4 are taken");
    fh_err_free(err);
    size_t count = 2100000;
    FH_AUTO(ptr) char *text = fh_alloc(2 * count + 1);
    for (size_t i = 0; i < count; i++) memcpy(text + 1 + 2 * i, "1,", 2);
    text[0] = '[';
    text[2 * count] = ']';
    assert_refused_n((fh_str){text, 2 * count + 1}, FH_E_TOO_LARGE, "JSON holds more than 2000000 values");
}

static void any_value_may_be_a_document(void **state)
{
    const char *texts[] = {"null", " true ", "-1.5e3", "\"x\"", "[]", "{}", "0"};
    const fh_json_kind kinds[] = {FH_JSON_NULL, FH_JSON_BOOL, FH_JSON_REAL, FH_JSON_STRING, FH_JSON_ARRAY, FH_JSON_OBJECT, FH_JSON_INT};
    for (size_t i = 0; i < FH_COUNT(texts); i++) {
        FH_AUTO(json) fh_json *v = NULL;
        assert_int_equal(fh_json_parse(&v, fh_str_of(texts[i]), 100, NULL), 0);
        assert_int_equal(fh_json_kind_of(v), kinds[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(syntax_errors_name_line_and_column),
        cmocka_unit_test(a_key_twice_in_one_object_is_refused),
        cmocka_unit_test(broken_utf8_and_nul_are_refused_where_they_may_not_be),
        cmocka_unit_test(numbers_beyond_their_kind_are_refused),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(brackets_inside_strings_do_not_nest),
        cmocka_unit_test(size_and_number_of_values_are_bounded),
        cmocka_unit_test(any_value_may_be_a_document),
    };
    return cmocka_run_group_tests_name("json_parse", tests, NULL, NULL);
}
