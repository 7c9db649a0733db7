/* What an answer is held to: which fields say it, what is refused, and which upstreams can do it. */
#include "cmocka_all.h"
#include "private.h"

#include <stdio.h>

#define CHAT "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],"
#define TEXT "{\"model\":\"m\",\"prompt\":\"hi\","

static fh_wire_request parse(const char *body)
{
    fh_wire_request r;
    fh_err *err = NULL;
    bool chat = strncmp(body, CHAT, sizeof CHAT - 1) == 0;
    int rc = chat ? fh_wire_chat_parse(&r, fh_str_of(body), &err) : fh_wire_completion_parse(&r, fh_str_of(body), &err);
    if (rc) fail_msg("%s: %s", body, fh_err_message(err));
    return r;
}

static void a_form_is_taken_from_each_field_that_says_it(void **state)
{
    (void)state;
#define SCHEMA "{\"type\":\"object\"}"
    static const struct {
        const char *field, *param;
        fh_wire_format format;
        uint32_t needs;
    } rows[] = {
        {"\"response_format\":null", NULL, FH_WIRE_FORMAT_TEXT, 0},
        {"\"response_format\":{\"type\":\"text\"}", NULL, FH_WIRE_FORMAT_TEXT, 0},
        {"\"response_format\":{\"type\":\"json_object\"}", "response_format", FH_WIRE_FORMAT_OBJECT, FH_NEED_BIT(FORMAT)},
        {"\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"a\",\"strict\":true,\"schema\":" SCHEMA "}}",
         "response_format.json_schema.schema", FH_WIRE_FORMAT_SCHEMA, FH_NEED_BIT(FORMAT)},
        {"\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":true}}", "response_format.json_schema.schema",
         FH_WIRE_FORMAT_SCHEMA, FH_NEED_BIT(FORMAT)},
        {"\"response_format\":{\"type\":\"json_object\",\"schema\":" SCHEMA "}", "response_format.schema", FH_WIRE_FORMAT_SCHEMA,
         FH_NEED_BIT(FORMAT)},
        {"\"response_format\":{\"type\":\"json_schema\",\"schema\":" SCHEMA "}", "response_format.schema", FH_WIRE_FORMAT_SCHEMA,
         FH_NEED_BIT(FORMAT)},
        {"\"response_format\":{\"type\":\"structural_tag\"}", NULL, FH_WIRE_FORMAT_TEXT, FH_NEED_BIT(OTHER_FORMAT)},
        {"\"grammar\":\"root ::= \\\"a\\\"\"", "grammar", FH_WIRE_FORMAT_GRAMMAR, FH_NEED_BIT(GRAMMAR)},
        {"\"json_schema\":" SCHEMA, "json_schema", FH_WIRE_FORMAT_SCHEMA, FH_NEED_BIT(GRAMMAR)},
        {"\"guided_json\":" SCHEMA, "guided_json", FH_WIRE_FORMAT_SCHEMA, FH_NEED_BIT(GRAMMAR)},
        {"\"guided_grammar\":\"g\"", "guided_grammar", FH_WIRE_FORMAT_GRAMMAR, FH_NEED_BIT(GRAMMAR)},
        {"\"guided_regex\":\"a+\"", NULL, FH_WIRE_FORMAT_TEXT, FH_NEED_BIT(OTHER_FORMAT)},
        {"\"structured_outputs\":{\"json\":" SCHEMA "}", "structured_outputs.json", FH_WIRE_FORMAT_SCHEMA, FH_NEED_BIT(GRAMMAR)},
        {"\"structured_outputs\":{\"grammar\":\"g\",\"json\":null}", "structured_outputs.grammar", FH_WIRE_FORMAT_GRAMMAR,
         FH_NEED_BIT(GRAMMAR)},
        {"\"structured_outputs\":{\"choice\":[\"a\"]}", NULL, FH_WIRE_FORMAT_TEXT, FH_NEED_BIT(OTHER_FORMAT)},
        {"\"structured_outputs\":{}", NULL, FH_WIRE_FORMAT_TEXT, 0},
    };
    for (size_t i = 0; i < FH_COUNT(rows); i++)
        for (int chat = 0; chat < 2; chat++) {
            char body[512];
            snprintf(body, sizeof body, "%s%s}", chat ? CHAT : TEXT, rows[i].field);
            fh_wire_request r = parse(body);
            bool named = rows[i].param ? r.format_param && strcmp(r.format_param, rows[i].param) == 0 : !r.format_param;
            if (r.format != rows[i].format || r.needs != rows[i].needs || !named) fail_msg("%s", body);
            assert_int_equal(r.schema != NULL, r.format == FH_WIRE_FORMAT_SCHEMA);
            assert_int_equal(r.grammar.ptr != NULL, r.format == FH_WIRE_FORMAT_GRAMMAR);
            fh_wire_request_fini(&r);
        }
}

static void a_bad_form_names_its_field(void **state)
{
    (void)state;
    static const struct {
        const char *field, *param, *word;
    } rows[] = {
        {"\"response_format\":7", "response_format", "object"},
        {"\"response_format\":{}", "response_format.type", "missing"},
        {"\"response_format\":{\"type\":7}", "response_format.type", "string"},
        {"\"response_format\":{\"type\":\"json_schema\"}", "response_format.json_schema", "object"},
        {"\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"a\"}}", "response_format.json_schema.schema",
         "no 'schema'"},
        {"\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":\"x\"}}", "response_format.json_schema.schema",
         "JSON schema"},
        {"\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":7,\"schema\":{}}}", "response_format.json_schema.name",
         "string"},
        {"\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"strict\":\"yes\",\"schema\":{}}}",
         "response_format.json_schema.strict", "true or false"},
        {"\"grammar\":{}", "grammar", "text"},
        {"\"guided_json\":\"{}\"", "guided_json", "JSON schema"},
        {"\"structured_outputs\":[]", "structured_outputs", "object"},
        {"\"grammar\":\"g\",\"guided_json\":{}", "guided_json", "exclude"},
        {"\"response_format\":{\"type\":\"json_object\"},\"grammar\":\"g\"", "grammar", "exclude"},
    };
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        char body[512];
        fh_wire_request r;
        fh_err *err = NULL;
        snprintf(body, sizeof body, "%s%s}", CHAT, rows[i].field);
        assert_int_equal(fh_wire_chat_parse(&r, fh_str_of(body), &err), FH_E_INVALID);
        if (strcmp(fh_err_param_get(err), rows[i].param) != 0 || !strstr(fh_err_message(err), rows[i].word))
            fail_msg("%s: %s: %s", body, fh_err_param_get(err), fh_err_message(err));
        fh_err_free(err);
    }
}

static void an_upstream_without_it_refuses_it_by_its_field(void **state)
{
    (void)state;
    static const char *const rows[][2] = {{"\"guided_json\":{}", "guided_json"},
                                          {"\"structured_outputs\":{\"regex\":\"a\"}", "structured_outputs.regex"},
                                          {"\"response_format\":{\"type\":\"tag\"}", "response_format.type"},
                                          {"\"response_format\":{\"type\":\"json_object\"}", "response_format"}};
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        char body[512];
        fh_err *err = NULL;
        snprintf(body, sizeof body, "%s%s}", CHAT, rows[i][0]);
        fh_wire_request r = parse(body);
        assert_int_equal(fh_wire_needs_check(&r, 0, &err), FH_E_INVALID);
        assert_string_equal(fh_err_param_get(err), rows[i][1]);
        fh_err_free(err);
        fh_wire_request_fini(&r);
    }
}

static void names_of_another_api_keep_the_place_in_a_schema(void **state)
{
    (void)state;
    static const fh_wire_name names[] = {{"a.schema", "b.s"}, {"a", "b"}, {"c", "d"}};
    static const char *const rows[][2] = {{"a", "b"},      {"a.x", "b"},      {"a.schema", "b.s"}, {"a.schema/x/a", "b.s/x/a"},
                                          {"a[2].x", "b"}, {"c/x", "d/x"},    {"ab", "ab"},        {"x", "x"},
                                          {"", ""},        {"a.schemas", "b"}};
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        char name[32];
        fh_err *err = NULL;
        fh_wire_name_find(names, FH_COUNT(names), rows[i][0], name, sizeof name);
        assert_string_equal(name, rows[i][1]);
        fh_err_set(&err, FH_E_INVALID, "no");
        fh_wire_name_err(names, FH_COUNT(names), &err);
        assert_null(fh_err_param_get(err));
        fh_err_param(&err, "%s", rows[i][0]);
        fh_wire_name_err(names, FH_COUNT(names), &err);
        assert_string_equal(fh_err_param_get(err), rows[i][1]);
        fh_err_free(err);
    }
    char cut[3];
    fh_wire_name_find(names, FH_COUNT(names), "a.schema", cut, sizeof cut);
    assert_string_equal(cut, "b.");
    fh_wire_name_err(names, FH_COUNT(names), NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_form_is_taken_from_each_field_that_says_it),
        cmocka_unit_test(a_bad_form_names_its_field),
        cmocka_unit_test(an_upstream_without_it_refuses_it_by_its_field),
        cmocka_unit_test(names_of_another_api_keep_the_place_in_a_schema),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
