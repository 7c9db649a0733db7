/* Does a value keep to a schema? */
#include "base/mem.h"
#include "cmocka_all.h"
#include "schema_check.h"

static bool keeps(const char *schema, const char *value)
{
    FH_AUTO(json) fh_json *s = NULL, *v = NULL;
    assert_int_equal(fh_json_parse(&s, fh_str_of(schema), 1 << 20, NULL), 0);
    assert_int_equal(fh_json_parse(&v, fh_str_of(value), 1 << 20, NULL), 0);
    return fh_schema_keeps(s, v);
}

static void each_keyword_takes_what_keeps_to_it_and_nothing_else(void **state)
{
    static const struct {
        const char *schema, *good, *bad;
    } rows[] = {
        {"{\"type\":\"integer\"}", "7", "7.5"},
        {"{\"type\":\"integer\"}", "7.0", "\"7\""},
        {"{\"type\":\"number\"}", "7.5", "true"},
        {"{\"type\":[\"string\",\"null\"]}", "null", "[]"},
        {"{\"type\":\"boolean\"}", "false", "0"},
        {"{\"enum\":[\"a\",1,{\"b\":[2]}]}", "{\"b\":[2.0]}", "{\"b\":[3]}"},
        {"{\"const\":\"x\"}", "\"x\"", "\"y\""},
        {"{\"required\":[\"a\"]}", "{\"a\":null}", "{\"b\":1}"},
        {"{\"properties\":{\"a\":{\"type\":\"string\"}}}", "{\"a\":\"\"}", "{\"a\":1}"},
        {"{\"properties\":{\"a\":{}},\"additionalProperties\":false}", "{\"a\":1}", "{\"a\":1,\"b\":2}"},
        {"{\"additionalProperties\":{\"type\":\"integer\"}}", "{\"a\":1}", "{\"a\":\"\"}"},
        {"{\"items\":{\"type\":\"integer\"}}", "[1,2]", "[1,\"2\"]"},
        {"{\"prefixItems\":[{\"type\":\"string\"}],\"items\":{\"type\":\"integer\"}}", "[\"a\",1]", "[1,1]"},
        {"{\"minItems\":1,\"maxItems\":2}", "[1]", "[]"},
        {"{\"maxItems\":2}", "[1,2]", "[1,2,3]"},
        {"{\"minLength\":2,\"maxLength\":3}", "\"äöü\"", "\"a\""},
        {"{\"minimum\":1,\"maximum\":3}", "3", "3.5"},
        {"{\"exclusiveMinimum\":1}", "1.1", "1"},
        {"{\"exclusiveMaximum\":1}", "0", "1"},
        {"{\"anyOf\":[{\"type\":\"string\"},{\"minimum\":5}]}", "6", "4"},
        {"{\"oneOf\":[{\"minimum\":5},{\"maximum\":7}]}", "8", "6"},
        {"{\"allOf\":[{\"minimum\":5},{\"maximum\":7}]}", "6", "8"},
        {"{\"$ref\":\"#/$defs/n\",\"$defs\":{\"n\":{\"type\":\"integer\"}}}", "1", "\"\""},
        {"{\"properties\":{\"next\":{\"$ref\":\"#\"}},\"required\":[\"v\"]}", "{\"v\":1,\"next\":{\"v\":2}}", "{\"v\":1,\"next\":{}}"},
        {"true", "1", NULL},
        {"false", NULL, "1"},
    };
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        if (rows[i].good && !keeps(rows[i].schema, rows[i].good)) fail_msg("%s refuses %s", rows[i].schema, rows[i].good);
        if (rows[i].bad && keeps(rows[i].schema, rows[i].bad)) fail_msg("%s takes %s", rows[i].schema, rows[i].bad);
    }
}

static void what_is_not_known_is_not_called_wrong(void **state)
{
    assert_true(keeps("{\"pattern\":\"^a$\",\"format\":\"date\",\"not\":{}}", "\"b\""));
    assert_true(keeps("{\"$ref\":\"https://example.com/s\"}", "1"));
    assert_true(keeps("{\"patternProperties\":{\"^x\":{}},\"additionalProperties\":false}", "{\"x1\":1}"));
    assert_true(keeps("{\"type\":\"colour\"}", "1"));
}

static void a_schema_that_refers_to_itself_ends(void **state)
{
    assert_true(keeps("{\"$ref\":\"#\"}", "1"));
    assert_true(keeps("{\"allOf\":[{\"$ref\":\"#\"},{\"$ref\":\"#\"}]}", "1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_keyword_takes_what_keeps_to_it_and_nothing_else),
        cmocka_unit_test(what_is_not_known_is_not_called_wrong),
        cmocka_unit_test(a_schema_that_refers_to_itself_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
