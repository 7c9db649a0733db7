/* Families are found by what a template writes; messages become what it takes; both say so when memory is out. */
#include "model/toolfmt.h"
#include "torture.h"

static const char qwen[] =
    "{%- if tools %}<|im_start|>system\n{% for t in tools %}{{ t | tojson }}\n{% endfor %}<tool_call></tool_call><|im_end|>\n{% endif %}"
    "{%- for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}{% for c in m.tool_calls or [] %}\n<tool_call>\n{\"name\": \"{{ "
    "c.function.name }}\", \"arguments\": {{ c.function.arguments | tojson }}}\n</tool_call>{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}";
static const char plain[] =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt "
    "%}<|im_start|>assistant\n{% endif %}";
static const char no_system[] =
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}{{ m.role }}: {{ "
    "m.content }}\n{% endfor %}";
/* Markers that stand nowhere in the source as they are, and arguments that have to be text. */
static const char made[] =
    "{% set x = ':v2' %}{% for t in tools or [] %}{{ t.function.name }}{% endfor %}{% for m in messages %}{{ m.content }}"
    "{% if m.tool_calls %}{{ '<tool_calls{}>'.format(x) }}{% for c in m.tool_calls %}{{ '<tool_call{}>'.format(x) + "
    "c.function.name + '<tool_sep{}>'.format(x) }}{% for k, v in c.function.arguments.items() %}{{ '<arg_key{}>'.format(x) + k + "
    "'</arg_key{}><arg_value{}>'.format(x, x) + v + '</arg_value{}>'.format(x) }}{% endfor %}{{ '</tool_call{}>'.format(x) }}"
    "{% endfor %}{{ '</tool_calls{}>'.format(x) }}{% endif %}{% endfor %}";
static const char as_text[] =
    "{% for t in tools or [] %}>>>{{ t.function.name }}{% endfor %}{% for m in messages %}>>>all\n{{ m.content }}{% for c in "
    "m.tool_calls or [] %}{{ '>>>' + c.function.name + '\n' + c.function.arguments }}{% endfor %}{% endfor %}";

static int detect(const char *template, fh_toolfmt **ret, fh_err **err)
{
    FH_AUTO(fh_template) fh_template *t = NULL;
    int rc = fh_template_compile(&t, fh_str_of(template), err);
    fh_toolfmt_source s = {.compiled = t, .source = fh_str_of(template), .bos = FH_STR("<s>")};
    return rc ? rc : fh_toolfmt_detect(ret, &s, err);
}

static fh_toolfmt *detected(const char *template, const char *family)
{
    fh_toolfmt *f = NULL;
    assert_int_equal(detect(template, &f, NULL), 0);
    assert_string_equal(fh_toolfmt_family(f), family);
    return f;
}

static void test_a_template_is_known_by_the_call_that_it_writes(void **state)
{
    (void)state;
    FH_AUTO(fh_toolfmt) fh_toolfmt *f = detected(qwen, "hermes");
    assert_true(fh_toolfmt_shows_tools(f));
    FH_AUTO(fh_toolfmt) fh_toolfmt *g = detected(plain, "generic");
    assert_false(fh_toolfmt_shows_tools(g));
    FH_AUTO(fh_toolfmt) fh_toolfmt *h = detected(made, "hunyuan");
    assert_true(fh_toolfmt_wants(h, FH_STR("<tool_call:v2>")));
    FH_AUTO(fh_toolfmt) fh_toolfmt *i = detected(as_text, "functionary-names");
    assert_true(fh_toolfmt_shows_tools(i));
}

static void test_a_model_without_a_template_is_generic(void **state)
{
    (void)state;
    FH_AUTO(fh_toolfmt) fh_toolfmt *f = NULL;
    fh_toolfmt_source s = {0};
    assert_int_equal(fh_toolfmt_detect(&f, &s, NULL), 0);
    assert_string_equal(fh_toolfmt_family(f), "generic");
    assert_int_equal(fh_toolfmt_named(&f, FH_STR("nobody"), NULL), FH_E_NOT_FOUND);
}

#define TOOLS "[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]"
#define USER  "{\"role\":\"user\",\"content\":\"hi\"}"
#define CALL(arguments)                                                                                                                    \
    "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"1\",\"type\":\"function\",\"function\":{\"name\":\"f\","           \
    "\"arguments\":" arguments "}}]}"
#define RESULT "{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":\"42\"}"

static fh_json *parsed(const char *text)
{
    fh_json *v = NULL;
    assert_int_equal(fh_json_parse(&v, fh_str_of(text), 65536, NULL), 0);
    return v;
}

static int convert(const char *template, const fh_json *messages, const fh_json *tools, fh_buf *out, fh_err **err)
{
    FH_AUTO(fh_toolfmt) fh_toolfmt *f = NULL;
    FH_AUTO(json) fh_json *got = NULL;
    int rc = detect(template, &f, err);
    if (!rc) rc = fh_toolfmt_messages(f, messages, tools, &got, err);
    return rc ? rc : fh_json_write(got, out, err);
}

static void check_messages(const char *template, const char *messages, const char *begins, const char *ends)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(65536);
    FH_AUTO(json) fh_json *list = parsed(messages);
    FH_AUTO(json) fh_json *tools = parsed(TOOLS);
    assert_int_equal(convert(template, list, tools, &out, NULL), 0);
    fh_str got = {out.data, out.len};
    if (!fh_str_starts(got, fh_str_of(begins)) || !fh_str_ends(got, fh_str_of(ends)))
        fail_msg("%s\nis not %s...%s", fh_buf_cstr(&out), begins, ends);
}

static void test_arguments_become_what_the_template_takes(void **state)
{
    (void)state;
    check_messages(qwen, "[" USER "," CALL("\"{\\\"a\\\": 1}\"") "]", "[" USER "," CALL("{\"a\":1}") "]", "");
    check_messages(qwen, "[" USER "," CALL("\"\"") "," RESULT "]", "[" USER "," CALL("{}") "," RESULT "]", "");
    check_messages(qwen, "[" USER "," CALL("\"broken\"") "]", "[" USER "," CALL("\"broken\"") "]", "");
    check_messages(as_text, "[" USER "," CALL("{\"a\":1}") "]", "[" USER "," CALL("\"{\\\"a\\\":1}\"") "]", "");
}

static void test_templates_without_tools_are_helped(void **state)
{
    (void)state;
    check_messages(plain, "[" USER "]", "[{\"role\":\"system\",\"content\":\"You may call functions",
                   "otherwise answer in plain text.\"}," USER "]");
    check_messages(plain, "[{\"role\":\"system\",\"content\":\"Be kind.\"}," USER "]",
                   "[{\"role\":\"system\",\"content\":\"Be kind.\\n\\nYou may call", USER "]");
    check_messages(no_system, "[" USER "]", "[{\"role\":\"user\",\"content\":\"You may call", "plain text.\\n\\nhi\"}]");
    check_messages(plain, "[" USER "," CALL("\"{\\\"a\\\": 1}\"") "," RESULT "]", "[{\"role\":\"system\"",
                   USER ",{\"role\":\"assistant\",\"content\":\"<tool_call>\\n{\\\"name\\\": \\\"f\\\", \\\"arguments\\\": {\\\"a\\\": "
                        "1}}\\n</tool_call>\"},"
                        "{\"role\":\"user\",\"tool_call_id\":\"1\",\"content\":\"<tool_response>\\n42\\n</tool_response>\"}]");
}

/* ---- memory that is out ---- */

typedef struct inputs {
    fh_json *messages, *tools; /* made before: jansson's reader does not survive every failure that hits an escaped string */
} inputs;

static int detect_and_convert(void *arg)
{
    const inputs *in = arg;
    FH_AUTO(buf) fh_buf out = FH_BUF(65536);
    fh_err *err = NULL;
    int rc = convert(plain, in->messages, in->tools, &out, &err);
    fh_err_free(err);
    return rc;
}

static int swallow(void *ctx, const fh_toolfmt_event *e, fh_err **err)
{
    (void)err;
    *(size_t *)ctx += e->text.len;
    return 0;
}

static int read_family(const char *family, const char *reply)
{
    FH_AUTO(fh_toolfmt) fh_toolfmt *f = NULL;
    FH_AUTO(json) fh_json *tools = NULL;
    FH_AUTO(fh_toolfmt_parser) fh_toolfmt_parser *p = NULL;
    size_t bytes = 0;
    int rc = fh_toolfmt_named(&f, fh_str_of(family), NULL);
    if (!rc) rc = fh_json_parse(&tools, FH_STR(TOOLS), 65536, NULL);
    fh_toolfmt_options o = {.tools = tools};
    if (!rc) rc = fh_toolfmt_parser_new(&p, f, &o, swallow, &bytes, NULL);
    for (; !rc && *reply; reply++) rc = fh_toolfmt_push(p, (fh_str){reply, 1}, NULL);
    return rc ? rc : fh_toolfmt_finish(p, NULL);
}

static int read_replies(void *arg)
{
    (void)arg;
    int rc = read_family("hermes", "<think>T</think>\n<tool_call>{\"arguments\": \"{}\", \"name\": \"f\"}</tool_call>");
    if (!rc) rc = read_family("function-tags", "<tool_call><function=f><parameter=a>{\"x\": 1}</parameter></function></tool_call>");
    if (!rc) rc = read_family("lfm2", "<|tool_call_start|>[f(a='b', c=[1, {'d': None}])]<|tool_call_end|>");
    return rc;
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    inputs in = {parsed("[" USER "," CALL("\"{\\\"a\\\": 1}\"") "," RESULT "]"), parsed(TOOLS)};
    assert_true(fh_torture(FH_FAULT_ALLOC, detect_and_convert, &in, 100000) > 100);
    fh_json_unref(in.messages);
    fh_json_unref(in.tools);
    assert_true(fh_torture(FH_FAULT_ALLOC, read_replies, NULL, 100000) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_template_is_known_by_the_call_that_it_writes),
        cmocka_unit_test(test_a_model_without_a_template_is_generic),
        cmocka_unit_test(test_arguments_become_what_the_template_takes),
        cmocka_unit_test(test_templates_without_tools_are_helped),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
