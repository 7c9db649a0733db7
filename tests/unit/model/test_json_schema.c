/* JSON Schema as grammars: which documents may be generated for a schema, and which schemas are refused, by keyword and place. Narrower
 * than the schema is allowed where docs/STRUCTURED.md says so, wider never. */
#include "model/grammar.h"
#include "torture.h"
#include "vocab_maker.h"

static vocab_file vocab;
static fh_grammars *grammars;

static int open_all(void **state)
{
    if (scratch_init(state)) return -1;
    open_bpe(&vocab, "gpt-2");
    return fh_grammars_new(&grammars, vocab.vocab, fh_vocab_size(vocab.vocab), NULL);
}

static int close_all(void **state)
{
    fh_grammars_free(grammars);
    close_vocab(&vocab);
    return scratch_fini(state);
}

static fh_json *read_json(const char *text)
{
    fh_json *v = NULL;
    fh_err *err = NULL;
    if (fh_json_parse(&v, fh_str_of(text), 1 << 20, &err)) fail_msg("%s: %s", fh_err_message(err), text);
    return v;
}

static int compile(const char *schema, fh_grammar **ret, fh_err **err)
{
    FH_AUTO(json) fh_json *v = read_json(schema);
    fh_grammar_source s = {.kind = FH_GRAMMAR_SCHEMA, .schema = v, .param = "schema"};
    return fh_grammars_get(grammars, &s, ret, err);
}

static bool allows(const char *schema, const char *text)
{
    FH_AUTO(fh_grammar) fh_grammar *g = NULL;
    FH_AUTO(fh_grammar_state) fh_grammar_state *s = NULL;
    fh_err *err = NULL;
    if (compile(schema, &g, &err)) fail_msg("%s: %s", fh_err_message(err), schema);
    assert_int_equal(fh_grammar_state_new(&s, g, NULL), 0);
    return fh_grammar_state_accept_text(s, fh_str_of(text)) && fh_grammar_state_may_end(s);
}

typedef struct row {
    const char *schema, *good[8], *bad[8];
} row;

static void check_rows(const row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < FH_COUNT(rows[i].good) && rows[i].good[k]; k++)
            if (!allows(rows[i].schema, rows[i].good[k])) fail_msg("%s does not allow %s", rows[i].schema, rows[i].good[k]);
        for (size_t k = 0; k < FH_COUNT(rows[i].bad) && rows[i].bad[k]; k++)
            if (allows(rows[i].schema, rows[i].bad[k])) fail_msg("%s allows %s", rows[i].schema, rows[i].bad[k]);
    }
}

static void types_are_what_they_say(void **state)
{
    (void)state;
    static const row rows[] = {
        {"{\"type\":\"null\"}", {"null"}, {"nul", "true", "\"null\""}},
        {"{\"type\":\"boolean\"}", {"true", "false"}, {"null", "1"}},
        {"{\"type\":\"integer\"}", {"0", "-7", "123"}, {"01", "1.5", "-", "1e2", "\"1\""}},
        {"{\"type\":\"number\"}", {"0", "-1.5", "2e3", "1.5E-2"}, {".5", "1.", "+1", "NaN"}},
        {"{\"type\":\"string\"}", {"\"\"", "\"a\\n\\u00e9\xc3\xa9\""}, {"a", "\"", "\"\n\"", "\"\\ud800\"", "\"\\x\""}},
        {"{\"type\":[\"string\",\"null\"]}", {"null", "\"a\""}, {"1", "[]"}},
        {"{\"type\":\"array\"}", {"[]", "[1,\"a\",[],{}]", "[ 1, 2 ]"}, {"[,]", "[1,]", "{}"}},
        {"{\"type\":\"object\"}", {"{}", "{\"a\":1}", "{ \"a\": [], \"b\": {} }"}, {"{a:1}", "{\"a\"}", "{\"a\":1,}", "[]"}},
        {"{}", {"1", "\"a\"", "[]", "{\"a\":null}"}, {"", "x"}},
        {"true", {"1", "[]"}, {""}},
    };
    check_rows(rows, FH_COUNT(rows));
}

static void objects_have_their_members_in_order_and_no_others(void **state)
{
    (void)state;
#define AB "\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"boolean\"}}"
    static const row rows[] = {
        {"{" AB ",\"required\":[\"a\"],\"additionalProperties\":false}",
         {"{\"a\":1}", "{\"a\": 1, \"b\": true}"},
         {"{}", "{\"b\":true}", "{\"a\":true}", "{\"a\":1,\"c\":2}", "{\"a\":1,\"a\":2}"}},
        {"{" AB "}", {"{}", "{\"a\":1}", "{\"b\":false}", "{\"a\":1,\"b\":true}"}, {"{\"c\":1}", "{,}"}},
        {"{" AB ",\"additionalProperties\":{\"type\":\"null\"}}",
         {"{}", "{\"a\":1,\"ab\":null}", "{\"c\":null,\"\":null}"},
         {"{\"c\":1}", "{\"a\":null}"}},
        {"{\"additionalProperties\":false}", {"{}"}, {"{\"a\":1}"}},
        {"{\"required\":[\"a\"]}", {"{\"a\":[1]}"}, {"{}"}},
        {"{\"type\":\"object\",\"maxProperties\":2,\"minProperties\":1}",
         {"{\"a\":1}", "{\"a\":1,\"b\":2}"},
         {"{}", "{\"a\":1,\"b\":2,\"c\":3}"}},
        {"{\"patternProperties\":{\"^x[0-9]$\":{\"type\":\"integer\"}},\"additionalProperties\":false}",
         {"{}", "{\"x1\":1}"},
         {"{\"x\":1}", "{\"x1\":\"a\"}"}},
        {"{\"propertyNames\":{\"enum\":[\"p\",\"q\"]},\"additionalProperties\":{\"type\":\"integer\"}}",
         {"{}", "{\"p\":1}"},
         {"{\"r\":1}", "{\"p\":\"a\"}"}},
        {"{\"properties\":{\"a\\nb\\\"\":{\"const\":1}},\"required\":[\"a\\nb\\\"\"]}", {"{\"a\\nb\\\"\":1}"}, {"{}"}},
    };
    check_rows(rows, FH_COUNT(rows));
}

static void arrays_have_their_items_and_their_length(void **state)
{
    (void)state;
    static const row rows[] = {
        {"{\"items\":{\"type\":\"integer\"},\"minItems\":1,\"maxItems\":3}", {"[1]", "[1,2,3]"}, {"[]", "[1,2,3,4]", "[\"a\"]"}},
        {"{\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"boolean\"}],\"items\":false,\"minItems\":2}",
         {"[1,true]"},
         {"[1]", "[true,1]", "[1,true,2]"}},
        {"{\"prefixItems\":[{\"type\":\"integer\"}],\"items\":{\"type\":\"null\"}}", {"[]", "[1]", "[1,null,null]"}, {"[null]", "[1,2]"}},
        {"{\"type\":\"array\",\"maxItems\":0}", {"[]"}, {"[1]"}},
        {"{\"type\":\"array\",\"minItems\":2}", {"[1,2]", "[1,2,3]"}, {"[]", "[1]"}},
    };
    check_rows(rows, FH_COUNT(rows));
}

static void strings_have_their_length_pattern_or_format(void **state)
{
    (void)state;
    static const row rows[] = {
        {"{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}", {"\"ab\"", "\"\xc3\xa9\\n\xf0\x9f\x99\x82\""}, {"\"a\"", "\"abcd\""}},
        {"{\"pattern\":\"^[a-c]{2}-\\\\d+$\"}", {"\"ab-1\"", "\"cc-123\""}, {"\"ab-\"", "\"ad-1\"", "\"ab-1x\""}},
        {"{\"pattern\":\"b+\"}", {"\"b\"", "\"abba\""}, {"\"\"", "\"aca\""}},
        {"{\"pattern\":\"^(?:a|b\\\\\\\\|\\\")$\"}", {"\"a\"", "\"b\\\\\"", "\"\\\"\""}, {"\"b\"", "\"\"\""}},
        {"{\"pattern\":\"^a*$\",\"minLength\":2,\"maxLength\":3}", {"\"aa\"", "\"aaa\""}, {"\"a\"", "\"aaaa\""}},
        {"{\"format\":\"date\"}", {"\"2024-02-28\""}, {"\"2024-02-30\"", "\"2024-13-01\"", "\"2024-1-1\""}},
        {"{\"format\":\"date-time\"}",
         {"\"1999-12-31T23:59:59Z\"", "\"2024-06-01T00:00:00.5+02:00\""},
         {"\"2024-06-01\"", "\"2024-06-01T24:00:00Z\""}},
        {"{\"format\":\"ipv4\"}", {"\"127.0.0.1\""}, {"\"256.0.0.1\"", "\"1.2.3\""}},
        {"{\"format\":\"uuid\"}", {"\"123e4567-e89b-12d3-a456-426614174000\""}, {"\"123e4567\""}},
        {"{\"format\":\"email\"}", {"\"a.b@c.de\""}, {"\"a@\"", "\"a b@c.de\""}},
    };
    check_rows(rows, FH_COUNT(rows));
}

static void numbers_keep_their_bounds(void **state)
{
    (void)state;
    static const row rows[] = {
        {"{\"type\":\"integer\",\"minimum\":7,\"maximum\":112}", {"7", "10", "99", "112"}, {"6", "0", "113", "1000", "-7"}},
        {"{\"type\":\"integer\",\"minimum\":-12,\"maximum\":3}", {"-12", "-1", "0", "3"}, {"-13", "4", "-0"}},
        {"{\"type\":\"integer\",\"exclusiveMinimum\":1.5,\"exclusiveMaximum\":4}", {"2", "3"}, {"1", "4"}},
        {"{\"type\":\"integer\",\"minimum\":1000}", {"1000", "98765"}, {"999", "-1000"}},
        {"{\"type\":\"number\",\"minimum\":0.25,\"maximum\":1.5}", {"0.25", "1", "1.5", "0.7"}, {"0.2", "1.51", "2", "0.24"}},
        {"{\"type\":\"number\",\"exclusiveMinimum\":0}", {"0.1", "3"}, {"0", "-1", "0.0"}},
        {"{\"type\":\"integer\",\"multipleOf\":6}", {"0", "6", "-12", "600", "600000000000000"}, {"4", "9", "7", "6000000000000000"}},
        {"{\"type\":\"integer\",\"multipleOf\":1000,\"minimum\":0}", {"0", "1000", "99000"}, {"1", "100", "1001", "990000"}},
        {"{\"type\":\"integer\",\"multipleOf\":5,\"minimum\":3,\"maximum\":11}", {"5", "10"}, {"0", "15", "4"}},
        {"{\"type\":\"number\",\"allOf\":[{\"minimum\":1},{\"maximum\":2}]}", {"1", "1.5", "2"}, {"0.5", "2.5"}},
    };
    check_rows(rows, FH_COUNT(rows));
}

static void values_that_are_listed_come_as_they_are(void **state)
{
    (void)state;
    static const row rows[] = {
        {"{\"enum\":[\"a\",1,null,{\"b\":[true]}]}", {"\"a\"", "1", "null", "{\"b\":[true]}"}, {"\"b\"", "2", "true"}},
        {"{\"const\":\"x\\ny\"}", {"\"x\\ny\""}, {"\"x\""}},
        {"{\"type\":\"string\",\"enum\":[\"a\",1,\"bb\"],\"minLength\":2}", {"\"bb\""}, {"\"a\"", "1"}},
        {"{\"enum\":[1,5,9],\"minimum\":3,\"maximum\":6}", {"5"}, {"1", "9"}},
        {"{\"enum\":[1,2],\"allOf\":[{\"enum\":[2,3]}]}", {"2"}, {"1", "3"}},
        {"{\"const\":1.0,\"type\":\"integer\"}", {"1.0"}, {"2"}},
    };
    check_rows(rows, FH_COUNT(rows));
}

static void schemas_are_joined_chosen_and_referred_to(void **state)
{
    (void)state;
    static const row rows[] = {
        {"{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"string\",\"maxLength\":1}]}", {"1", "\"a\""}, {"true", "\"ab\""}},
        {"{\"anyOf\":[false,{\"const\":1}]}", {"1"}, {"2"}},
        {"{\"allOf\":[{\"properties\":{\"a\":{\"type\":\"integer\"}},\"required\":[\"a\"]},{\"properties\":{\"b\":{\"const\":1}},"
         "\"required\":[\"b\"]}]}",
         {"{\"a\":2,\"b\":1}"},
         {"{\"a\":2}", "{\"b\":1}"}},
        {"{\"oneOf\":[{\"properties\":{\"k\":{\"const\":\"a\"},\"n\":{\"type\":\"integer\"}},\"required\":[\"k\",\"n\"]},{\"properties\":{"
         "\"k\":{\"const\":"
         "\"b\"}},\"required\":[\"k\"]}]}",
         {"{\"k\":\"a\",\"n\":1}", "{\"k\":\"b\"}"},
         {"{\"k\":\"a\"}", "{}"}},
        {"{\"oneOf\":[{\"type\":\"integer\",\"maximum\":3},{\"type\":\"integer\",\"minimum\":5}]}", {"3", "5"}, {"4"}},
        {"{\"$ref\":\"#/$defs/n\",\"$defs\":{\"n\":{\"properties\":{\"next\":{\"$ref\":\"#/$defs/n\"}},\"additionalProperties\":false}}}",
         {"{}", "{\"next\":{\"next\":{}}}"},
         {"{\"next\":1}"}},
        {"{\"$defs\":{\"a/b~c%\":{\"const\":1}},\"$ref\":\"#/$defs/a~1b~0c%25\"}", {"1"}, {"2"}},
        {"{\"items\":{\"$ref\":\"#\"},\"type\":\"array\"}", {"[]", "[[],[[]]]"}, {"[1]"}},
    };
    check_rows(rows, FH_COUNT(rows));
}

static void what_cannot_be_enforced_is_refused_at_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *param, *word;
    } rows[] = {
        {"{\"not\":{}}", "schema/not", "'not'"},
        {"{\"properties\":{\"a/b\":{\"if\":{}}}}", "schema/properties/a~1b/if", "'if'"},
        {"{\"anyOf\":[{\"type\":\"integer\"},{\"contains\":{}}]}", "schema/anyOf/1/contains", "'contains'"},
        {"{\"$defs\":{\"x\":{\"items\":{\"uniqueItems\":true}}},\"$ref\":\"#/$defs/x\"}", "schema/$defs/x/items/uniqueItems",
         "uniqueItems"},
        {"{\"items\":[{}]}", "schema/items", "prefixItems"},
        {"{\"type\":\"text\"}", "schema/type", "type"},
        {"{\"type\":7}", "schema/type", "type"},
        {"{\"properties\":[]}", "schema/properties", "object"},
        {"{\"required\":[1]}", "schema/required", "names"},
        {"{\"type\":\"string\",\"minLength\":-1}", "schema/minLength", "whole number"},
        {"{\"type\":\"string\",\"format\":\"regex\"}", "schema/format", "format"},
        {"{\"type\":\"string\",\"pattern\":\"(\"}", "schema/pattern", "pattern"},
        {"{\"type\":\"string\",\"pattern\":\"(?=a)\"}", "schema/pattern", "pattern"},
        {"{\"type\":\"string\",\"pattern\":7}", "schema/pattern", "string"},
        {"{\"type\":\"number\",\"multipleOf\":0.5}", "schema/multipleOf", "whole"},
        {"{\"type\":\"number\",\"minimum\":\"a\"}", "schema/minimum", "number"},
        {"{\"enum\":[]}", "schema/enum", "empty"},
        {"{\"anyOf\":[]}", "schema/anyOf", "empty"},
        {"{\"allOf\":[{\"pattern\":\"a\"},{\"pattern\":\"b\"}],\"type\":\"string\"}", "schema/allOf/1/pattern", "another"},
        {"{\"oneOf\":[{\"type\":\"integer\"},{\"minimum\":1}]}", "schema/oneOf", "exclude"},
        {"{\"$ref\":\"other.json\"}", "schema/$ref", "nothing is fetched"},
        {"{\"$ref\":\"#/nowhere\"}", "schema/$ref", "nothing"},
        {"{\"anyOf\":[{\"type\":\"null\"},{\"$ref\":\"#\"}]}", "schema/anyOf/1/$ref", "back"},
        {"{\"properties\":{\"a\":7}}", "schema/properties/a", "object or a boolean"},
        {"7", "schema", "object or a boolean"},
        {"false", "schema", "satisfied"},
        {"{\"type\":\"integer\",\"minimum\":2,\"maximum\":1}", "schema/minimum", "satisfied"},
        {"{\"type\":\"string\",\"minLength\":2,\"maxLength\":1}", "schema/minLength", "satisfied"},
        {"{\"allOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", "schema/allOf/1/type", "satisfied"},
        {"{\"enum\":[1,2],\"minimum\":3}", "schema/enum", "satisfied"},
        {"{\"properties\":{\"a\":false},\"required\":[\"a\"]}", "schema/properties/a", "satisfied"},
        {"{\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"]}", "schema", "ever ends"},
    };
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        FH_AUTO(fh_grammar) fh_grammar *g = NULL;
        fh_err *err = NULL;
        int rc = compile(rows[i].schema, &g, &err);
        if (rc != FH_E_INVALID) fail_msg("%s: %d %s", rows[i].schema, rc, fh_err_message(err));
        if (strcmp(fh_err_param_get(err), rows[i].param) != 0 || !strstr(fh_err_message(err), rows[i].word))
            fail_msg("%s: %s: %s", rows[i].schema, fh_err_param_get(err), fh_err_message(err));
        fh_err_free(err);
    }
}

static void what_only_annotates_changes_nothing(void **state)
{
    (void)state;
    static const row rows[] = {
        {"{\"title\":\"t\",\"description\":\"d\",\"default\":7,\"examples\":[],\"$comment\":\"c\",\"x-order\":1,\"uniqueItems\":false,"
         "\"deprecated\":true,\"const\":1}",
         {"1"},
         {"7"}}};
    check_rows(rows, FH_COUNT(rows));
}

static void rules_go_into_a_larger_grammar(void **state)
{
    (void)state;
    FH_AUTO(buf) fh_buf text = FH_BUF(1 << 20);
    FH_AUTO(json) fh_json *v = read_json("{\"type\":\"integer\"}");
    fh_buf_adds(&text, "root ::= \"<\" number-a \"|\" thing \">\"\n");
    assert_int_equal(fh_gbnf_add_schema(&text, "number-a", v, "a", NULL), 0);
    assert_int_equal(fh_gbnf_add_object(&text, "thing", NULL), 0);
    fh_grammar_source s = {.kind = FH_GRAMMAR_GBNF, .text = {fh_buf_cstr(&text), text.len}, .param = "p"};
    FH_AUTO(fh_grammar) fh_grammar *g = NULL;
    FH_AUTO(fh_grammar_state) fh_grammar_state *at = NULL;
    assert_int_equal(fh_grammars_get(grammars, &s, &g, NULL), 0);
    assert_int_equal(fh_grammar_state_new(&at, g, NULL), 0);
    assert_true(fh_grammar_state_accept_text(at, FH_STR("<12|{\"a\":[1]}>")) && fh_grammar_state_must_end(at));
}

static int write_rules(void *arg)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(1 << 20);
    return fh_gbnf_add_schema(&text, "root", arg, "schema", NULL);
}

static void no_memory_is_an_error_and_nothing_worse(void **state)
{
    (void)state;
    FH_AUTO(json)
    fh_json *v = read_json(
        "{\"properties\":{\"a\":{\"type\":\"string\",\"pattern\":\"^a[bc]+$\"},\"b\":{\"oneOf\":[{\"type\":\"integer\",\"minimum\":3},"
        "{\"type\":\"null\"}]},\"c\":{\"prefixItems\":[{\"enum\":[1,\"x\"]}],\"items\":{\"$ref\":\"#\"}}},\"required\":[\"a\"],"
        "\"additionalProperties\":{\"format\":\"date\"}}");
    assert_true(fh_torture(FH_FAULT_ALLOC, write_rules, v, 100000) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_what_they_say),
        cmocka_unit_test(objects_have_their_members_in_order_and_no_others),
        cmocka_unit_test(arrays_have_their_items_and_their_length),
        cmocka_unit_test(strings_have_their_length_pattern_or_format),
        cmocka_unit_test(numbers_keep_their_bounds),
        cmocka_unit_test(values_that_are_listed_come_as_they_are),
        cmocka_unit_test(schemas_are_joined_chosen_and_referred_to),
        cmocka_unit_test(what_cannot_be_enforced_is_refused_at_its_place),
        cmocka_unit_test(what_only_annotates_changes_nothing),
        cmocka_unit_test(rules_go_into_a_larger_grammar),
        cmocka_unit_test(no_memory_is_an_error_and_nothing_worse),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
