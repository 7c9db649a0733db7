/* Values to text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "json/json.h"

static void assert_round_trip(const char *text, const char *want, bool pretty)
{
    FH_AUTO(json) fh_json *v = NULL;
    assert_int_equal(fh_json_parse(&v, fh_str_of(text), 1 << 20, NULL), 0);
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    assert_int_equal((pretty ? fh_json_write_pretty : fh_json_write)(v, &out, NULL), 0);
    assert_string_equal(fh_buf_cstr(&out), want);
}

static void compact_text_keeps_order_and_kinds(void **state)
{
    assert_round_trip("{\"z\": [1, 2.0, -0.5], \"a\": {\"x\": null, \"y\": true}, \"e\": [], \"o\": {}}",
                      "{\"z\":[1,2.0,-0.5],\"a\":{\"x\":null,\"y\":true},\"e\":[],\"o\":{}}", false);
}

static void reals_are_the_shortest_text_that_reads_back(void **state)
{
    assert_round_trip("[0.1, 1e100, 123456789.125, 1e-7, 0.30000000000000004, 5e-324, 1.7976931348623157e308]",
                      "[0.1,1e+100,123456789.125,1e-07,0.30000000000000004,4.94065645841247e-324,1.7976931348623157e+308]", false);
}

static void strings_are_escaped_and_stay_utf8(void **state)
{
    assert_round_trip("\"q\\\" b\\\\ n\\n t\\t u\\u0001 \\u0000 \xc3\xa9 \\ud83d\\ude00\"",
                      "\"q\\\" b\\\\ n\\n t\\t u\\u0001 \\u0000 \xc3\xa9 \xf0\x9f\x98\x80\"", false);
}

static void pretty_text_indents_by_two(void **state)
{
    assert_round_trip("{\"a\":[1,{\"b\":2}],\"e\":[],\"o\":{}}",
                      "{\n  \"a\": [\n    1,\n    {\n      \"b\": 2\n    }\n  ],\n  \"e\": [],\n  \"o\": {}\n}", true);
}

static void text_beyond_the_buffer_is_too_large(void **state)
{
    FH_AUTO(json) fh_json *v = NULL;
    assert_int_equal(fh_json_parse(&v, FH_STR("[1,2,3,4,5,6,7,8,9]"), 100, NULL), 0);
    FH_AUTO(buf) fh_buf out = FH_BUF(8);
    assert_int_equal(fh_json_write(v, &out, NULL), FH_E_TOO_LARGE);
}

static void values_that_nest_too_deep_are_refused(void **state)
{
    fh_json *v = fh_json_new_array();
    for (int i = 0; i < 300; i++) {
        fh_json *outer = fh_json_new_array();
        assert_true(fh_json_append(outer, v));
        v = outer;
    }
    FH_AUTO(buf) fh_buf out = FH_BUF(4096);
    assert_int_equal(fh_json_write(v, &out, NULL), FH_E_INVALID);
    fh_json_unref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compact_text_keeps_order_and_kinds),  cmocka_unit_test(reals_are_the_shortest_text_that_reads_back),
        cmocka_unit_test(strings_are_escaped_and_stay_utf8),   cmocka_unit_test(pretty_text_indents_by_two),
        cmocka_unit_test(text_beyond_the_buffer_is_too_large), cmocka_unit_test(values_that_nest_too_deep_are_refused),
    };
    return cmocka_run_group_tests_name("json_write", tests, NULL, NULL);
}
