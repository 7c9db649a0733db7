/* Values: looking at them, iterating, building. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "json/json.h"
#include <math.h>

static fh_json *parse(const char *text)
{
    fh_json *v = NULL;
    assert_int_equal(fh_json_parse(&v, fh_str_of(text), 1 << 20, NULL), 0);
    return v;
}

static void members_keep_the_order_of_the_text(void **state)
{
    FH_AUTO(json) fh_json *o = parse("{\"z\":1,\"a\":2,\"m\":3,\"b\":4}");
    void *it = NULL;
    fh_str key;
    const fh_json *value;
    char seen[8] = "";
    int64_t sum = 0;
    while (fh_json_next(o, &it, &key, &value)) {
        strncat(seen, key.ptr, key.len);
        sum = sum * 10 + fh_json_int(value, 0);
    }
    assert_string_equal(seen, "zamb");
    assert_int_equal(sum, 1234);
}

static void integers_and_reals_are_kept_apart(void **state)
{
    FH_AUTO(json) fh_json *a = parse("[1, 1.0, 1e2, -9223372036854775808]");
    assert_int_equal(fh_json_kind_of(fh_json_at(a, 0)), FH_JSON_INT);
    assert_int_equal(fh_json_kind_of(fh_json_at(a, 1)), FH_JSON_REAL);
    assert_int_equal(fh_json_kind_of(fh_json_at(a, 2)), FH_JSON_REAL);
    assert_true(fh_json_int(fh_json_at(a, 3), 0) == INT64_MIN);
    assert_true(fh_json_num(fh_json_at(a, 0), 0) == 1.0);
    assert_int_equal(fh_json_int(fh_json_at(a, 1), 7), 7);
}

static void absent_things_are_null_and_empty(void **state)
{
    FH_AUTO(json) fh_json *o = parse("{\"a\":null,\"s\":\"x\",\"t\":true}");
    assert_null(fh_json_get(o, "b"));
    assert_int_equal(fh_json_kind_of(fh_json_get(o, "a")), FH_JSON_NULL);
    assert_int_equal(fh_json_kind_of(NULL), FH_JSON_NULL);
    assert_null(fh_json_str(fh_json_get(o, "a")).ptr);
    assert_null(fh_json_at(o, 0));
    assert_null(fh_json_get(fh_json_get(o, "s"), "x"));
    assert_int_equal(fh_json_count(NULL), 0);
    assert_int_equal(fh_json_count(o), 3);
    assert_true(fh_json_is_true(fh_json_get(o, "t")));
    assert_false(fh_json_is_true(NULL));
    void *it = NULL;
    assert_false(fh_json_next(fh_json_get(o, "s"), &it, NULL, NULL));
    fh_json_unref(NULL);
}

static void a_string_may_hold_nul(void **state)
{
    FH_AUTO(json) fh_json *v = parse("\"a\\u0000b\"");
    fh_str s = fh_json_str(v);
    assert_int_equal(s.len, 3);
    assert_memory_equal(s.ptr, "a\0b", 3);
}

static void built_strings_are_always_utf8(void **state)
{
    FH_AUTO(json) fh_json *v = fh_json_new_str(FH_STR("a\xff\xc3z"));
    assert_string_equal(fh_json_str(v).ptr, "a\xef\xbf\xbd\xef\xbf\xbdz");
    FH_AUTO(json) fh_json *empty = fh_json_new_str((fh_str){NULL, 0});
    assert_int_equal(fh_json_str(empty).len, 0);
    assert_non_null(fh_json_str(empty).ptr);
    FH_AUTO(json) fh_json *null = fh_json_new_cstr(NULL);
    assert_int_equal(fh_json_kind_of(null), FH_JSON_NULL);
}

static void setters_take_the_value_even_when_they_fail(void **state)
{
    assert_false(fh_json_set(NULL, "a", fh_json_new_int(1)));
    assert_false(fh_json_append(NULL, fh_json_new_int(1)));
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    assert_false(fh_json_set(o, "a", NULL));
    assert_false(fh_json_set(o, "\xff", fh_json_new_int(1)));
    assert_true(fh_json_set(o, "a", fh_json_new_int(1)));
    assert_true(fh_json_set(o, "a", fh_json_new_int(2)));
    assert_int_equal(fh_json_int(fh_json_get(o, "a"), 0), 2);
    FH_AUTO(json) fh_json *a = fh_json_new_array();
    assert_false(fh_json_append(a, NULL));
    assert_true(fh_json_append(a, fh_json_new_bool(false)));
    assert_int_equal(fh_json_count(a), 1);
}

static void a_real_that_is_not_finite_is_no_value(void **state)
{
    assert_null(fh_json_new_real((double)NAN));
    assert_null(fh_json_new_real((double)INFINITY));
}

static void a_reference_keeps_a_value_alive(void **state)
{
    fh_json *v = parse("[1]");
    FH_AUTO(json) fh_json *other = fh_json_ref(v);
    fh_json_unref(v);
    assert_int_equal(fh_json_count(other), 1);
    assert_null(fh_json_ref(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_keep_the_order_of_the_text),    cmocka_unit_test(integers_and_reals_are_kept_apart),
        cmocka_unit_test(absent_things_are_null_and_empty),      cmocka_unit_test(a_string_may_hold_nul),
        cmocka_unit_test(built_strings_are_always_utf8),         cmocka_unit_test(setters_take_the_value_even_when_they_fail),
        cmocka_unit_test(a_real_that_is_not_finite_is_no_value), cmocka_unit_test(a_reference_keeps_a_value_alive),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
