/* Replies as models of each family write them, whole and cut everywhere. What is expected is written as one text: the thought in braces,
 * the answer as it is, calls as name(arguments), with ! before the closing bracket of one that is not complete. */
#include "cmocka_all.h"
#include "model/toolfmt.h"

#include <stdio.h>

enum { TEXT_BYTES = 16 << 20 };

static const char tools_text[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{\"s\":{\"type\":\"string\"},"
    "\"n\":{\"type\":\"integer\"},\"b\":{\"type\":\"boolean\"},\"o\":{\"type\":\"object\"},\"a\":{\"type\":\"array\"},"
    "\"m\":{\"type\":[\"string\",\"null\"]},\"e\":{\"enum\":[\"x\",\"1\"]}}}}},"
    "{\"type\":\"function\",\"function\":{\"name\":\"get_time\",\"parameters\":{\"type\":\"object\",\"properties\":{}}}}]";

typedef struct sample {
    const char *family, *prompt, *reply, *want;
} sample;

typedef struct heard {
    fh_buf text;
    fh_toolfmt_kind last;
    bool any;
    uint32_t calls;
} heard;

static void say(heard *h, const char *s, fh_str text)
{
    fh_buf_adds(&h->text, s);
    fh_buf_add(&h->text, text.ptr, text.len);
}

static int hear(void *ctx, const fh_toolfmt_event *e, fh_err **err)
{
    (void)err;
    heard *h = ctx;
    bool thought = h->any && h->last == FH_TOOLFMT_REASONING;
    if (thought && e->kind != FH_TOOLFMT_REASONING) fh_buf_adds(&h->text, "}");
    switch (e->kind) {
    case FH_TOOLFMT_CONTENT: say(h, "", e->text); break;
    case FH_TOOLFMT_REASONING: say(h, thought ? "" : "{", e->text); break;
    case FH_TOOLFMT_CALL_BEGIN:
        assert_int_equal(e->call, h->calls++);
        if (e->id.len) say(h, "#", e->id);
        say(h, e->id.len ? " " : "", e->name);
        fh_buf_adds(&h->text, "(");
        break;
    case FH_TOOLFMT_CALL_ARGS: say(h, "", e->text); break;
    case FH_TOOLFMT_CALL_END: fh_buf_adds(&h->text, e->complete ? ")" : "!)"); break;
    }
    assert_true(fh_utf8_valid(e->text.ptr, e->text.len));
    h->last = e->kind;
    h->any = true;
    return 0;
}

typedef struct setup {
    fh_toolfmt *format;
    fh_json *tools;
} setup;

static setup set_up(const char *family)
{
    setup s = {0};
    assert_int_equal(fh_toolfmt_named(&s.format, fh_str_of(family), NULL), 0);
    assert_int_equal(fh_json_parse(&s.tools, FH_STR(tools_text), sizeof tools_text, NULL), 0);
    return s;
}

static void tear_down(setup *s)
{
    fh_toolfmt_free(s->format);
    fh_json_unref(s->tools);
}

/* Cut at a and b. */
static fh_buf read_cut(const setup *s, const char *prompt, const char *reply, size_t a, size_t b)
{
    FH_AUTO(fh_toolfmt_parser) fh_toolfmt_parser *p = NULL;
    heard h = {.text = FH_BUF(TEXT_BYTES)};
    fh_toolfmt_options o = {.tools = s->tools, .prompt = fh_str_of(prompt)};
    assert_int_equal(fh_toolfmt_parser_new(&p, s->format, &o, hear, &h, NULL), 0);
    assert_int_equal(fh_toolfmt_push(p, (fh_str){reply, a}, NULL), 0);
    assert_int_equal(fh_toolfmt_push(p, (fh_str){reply + a, b - a}, NULL), 0);
    assert_int_equal(fh_toolfmt_push(p, fh_str_of(reply + b), NULL), 0);
    assert_int_equal(fh_toolfmt_finish(p, NULL), 0);
    assert_int_equal(fh_toolfmt_calls(p), h.calls);
    if (h.any && h.last == FH_TOOLFMT_REASONING) fh_buf_adds(&h.text, "}");
    return h.text;
}

static void check_sample(const sample *x)
{
    setup s = set_up(x->family);
    size_t len = strlen(x->reply);
    for (size_t a = 0; a <= len; a++) {
        for (size_t b = a; b <= len && b <= a + 12; b++) {
            fh_buf got = read_cut(&s, x->prompt, x->reply, a, b);
            if (strcmp(fh_buf_cstr(&got), x->want) != 0)
                fail_msg("%s, cut at %zu and %zu: %s\ngave %s\nnot  %s", x->family, a, b, x->reply, fh_buf_cstr(&got), x->want);
            fh_buf_fini(&got);
        }
    }
    tear_down(&s);
}

#define DSML    "｜DSML｜"
#define M3      "]<]minimax[>["
#define STARTED "<|start|>assistant"

static const sample families[] = {
    {"hermes", "",
     "Hm.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"s\": \"é\\n\"}}\n</tool_call>\n<tool_call>{\"name\":\"get_time\"}</tool_call>",
     "Hm.f({\"s\": \"é\\n\"})get_time({})"},
    {"hermes", "", "<think>\nWhy?\n</think>\n\nSo.", "{Why?}So."},
    {"hermes", "<think>\n", "Why?\n</think>\n\n<tool_call>\n{\"arguments\": {\"n\": [1, 2.5e3]}, \"name\": \"f\"}\n</tool_call>",
     "{Why?}f({\"n\": [1, 2.5e3]})"},
    {"function-tags", "<think>\n",
     "T\n</think>\n\n<tool_call>\n<function=f>\n<parameter=s>\na < "
     "b\n\n</parameter>\n<parameter=n>\n3\n</parameter>\n<parameter=b>\nTrue\n</parameter>\n"
     "<parameter=o>\n{\"k\": [1]}\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=get_time>\n</function>\n</tool_call>",
     "{T}f({\"s\":\"a < b\\n\",\"n\":3,\"b\":true,\"o\":{\"k\": [1]}})get_time({})"},
    {"function-tags", "", "<function=f>\n<parameter=n>\n3\n</parameter>\n</function>\n</tool_call>", "f({\"n\":3})"},
    {"seed", "",
     "<seed:think>T</seed:think>A\n<seed:tool_call>\n<function=f>\n<parameter=s>1</parameter>\n<parameter=m>null</parameter>\n</"
     "function>\n</seed:tool_call>",
     "{T}Af({\"s\":\"1\",\"m\":null})"},
    {"minimax", "<think>\n",
     "T\n</think>\n\n\n<minimax:tool_call>\n<invoke name=\"f\">\n<parameter name=\"s\">x</parameter>\n<parameter "
     "name=\"n\">3</parameter>\n</invoke>\n"
     "<invoke name=\"get_time\">\n</invoke>\n</minimax:tool_call>",
     "{T}f({\"s\":\"x\",\"n\":3})get_time({})"},
    {"minimax-nested", "",
     "<mm:think>T</mm:think>" M3 "<tool_call>\n" M3 "<invoke name=\"f\">" M3 "<s>x" M3 "</s>" M3 "<o>" M3 "<k>1" M3 "</k>" M3 "</o>" M3
     "<a>" M3 "<item>2" M3 "</item>" M3 "</a>" M3 "</invoke>\n" M3 "</tool_call>",
     "{T}f({\"s\":\"x\",\"o\":{\"k\":1},\"a\":[2]})"},
    {"deepseek-dsml", "<think>",
     "T</think>\n\n<" DSML "function_calls>\n<" DSML "invoke name=\"f\">\n<" DSML "parameter name=\"s\" string=\"true\">3</" DSML
     "parameter>\n<" DSML "parameter name=\"q\" string=\"false\">3</" DSML "parameter>\n</" DSML "invoke>\n</" DSML "function_calls>",
     "{T}f({\"s\":\"3\",\"q\":3})"},
    {"deepseek-dsml-calls", "<think>",
     "T<" DSML "tool_calls>\n<" DSML "invoke name=\"get_time\">\n</" DSML "invoke>\n</" DSML "tool_calls>", "{T}get_time({})"},
    {"deepseek", "",
     "A<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"s\": "
     "\"x\"}<｜tool▁call▁end｜><｜tool▁call▁begin｜>get_time<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
     "Af({\"s\": \"x\"})get_time({})"},
    {"deepseek-fenced", "<think>\n",
     "T\n</think>\n\n<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{\"s\": "
     "\"x\"}\n```<｜tool▁call▁end｜>\n<｜tool▁calls▁end｜>",
     "{T}f({\"s\": \"x\"})"},
    {"kimi-k2", "",
     "<think>T</think><|tool_calls_section_begin|><|tool_call_begin|>functions.f:12<|tool_call_argument_begin|>{\"s\": "
     "1}<|tool_call_end|><|tool_calls_section_end|>",
     "{T}#functions.f:12 f({\"s\": 1})"},
    {"kimi-k3", "<|open|>think<|sep|>",
     "T<|close|>think<|sep|><|open|>response<|sep|>A<|close|>response<|sep|><|open|>tools<|sep|><|open|>call tool=\"f\" index=\"1\"<|sep|>"
     "<|open|>argument key=\"s\" type=\"string\"<|sep|>1<|close|>argument<|sep|><|open|>argument key=\"x&quot;\" "
     "type=\"number\"<|sep|>3<|close|>argument<|sep|><|close|>call<|sep|>"
     "<|close|>tools<|sep|><|close|>message<|sep|>",
     "{T}Af({\"s\":\"1\",\"x\\\"\":3})"},
    {"arg-tags", "<think>",
     "T</think>A<tool_call>f\n<arg_key>s</arg_key>\n<arg_value>1\n</arg_value>\n<arg_key>n</arg_key>\n<arg_value>3</arg_value>\n</"
     "tool_call>\n<tool_call>get_time</tool_call>",
     "{T}Af({\"s\":\"1\\n\",\"n\":3})get_time({})"},
    {"hunyuan", "",
     "<think>T</think><tool_calls>\n<tool_call>f<tool_sep>\n<arg_key>s</arg_key>\n<arg_value>x</arg_value>\n</tool_call>\n</tool_calls>",
     "{T}f({\"s\":\"x\"})"},
    {"mistral", "", "[THINK]T[/THINK]A[TOOL_CALLS]f[ARGS]{\"s\": \"[\"}[TOOL_CALLS]get_time[CALL_ID]abcdefghi[ARGS]{}",
     "{T}Af({\"s\": \"[\"})#abcdefghi get_time({})"},
    {"mistral", "", "[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {\"s\": \"x\"}}]", "f({\"s\": \"x\"})"},
    {"mistral-list", "",
     "[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {\"s\": \"x\"}, \"id\": \"123456789\"}, {\"id\": \"a\", \"name\": \"get_time\", "
     "\"arguments\": {}}]",
     "f({\"s\": \"x\"})#a get_time({})"},
    {"harmony", STARTED,
     "<|channel|>analysis<|message|>T<|end|>" STARTED
     " to=functions.f<|channel|>commentary <|constrain|>json<|message|>{\"s\": \"x\"}<|call|>",
     "{T}f({\"s\": \"x\"})"},
    {"harmony", STARTED,
     "<|channel|>analysis<|message|>T<|end|>" STARTED "<|channel|>commentary<|message|>Plan. <|end|>" STARTED
     "<|channel|>commentary to=functions.get_time <|constrain|>json<|message|>{}<|call|>",
     "{T}Plan.get_time({})"},
    {"harmony", STARTED, "<|channel|>final<|message|>A <b>.<|return|>", "A <b>."},
    {"harmony", STARTED, " to=functions.f<|channel|>commentary json<|message|>{\"s\": 'x'}<|call|>", "f({\"s\": 'x'}!)"},
    {"atem", STARTED,
     " to=self<|message|>T<|eom|>" STARTED
     " to=f<|message|><atem:function_calls>\n<atem:invoke name=\"f\">\n<atem:parameter name=\"n\">3</atem:parameter>\n</atem:invoke>\n"
     "</atem:function_calls><|eom|>" STARTED "<|message|>A<|eot|>",
     "{T}f({\"n\":3})A"},
    {"llama3", "", "{\"name\": \"f\", \"parameters\": {\"s\": \"x\"}}", "f({\"s\": \"x\"})"},
    {"llama3", "",
     "<|python_tag|>{\"type\": \"function\", \"name\": \"f\", \"parameters\": {}}; {\"name\": \"get_time\", \"parameters\": {}}",
     "f({})get_time({})"},
    {"llama3", "", "<|python_tag|>f.call(s=\"x\", n=3)", "f({\"s\":\"x\",\"n\":3})"},
    {"llama3", "", "{\"name\": \"nobody\", \"parameters\": {}}", "{\"name\": \"nobody\", \"parameters\": {}}"},
    {"llama3", "", "{\"answer\": 1}", "{\"answer\": 1}"},
    {"cohere", "",
     "<|START_THINKING|>T<|END_THINKING|><|START_ACTION|>[\n    {\"tool_call_id\": \"0\", \"tool_name\": \"f\", \"parameters\": {\"s\": "
     "\"x\"}},\n    {\"tool_call_id\": \"1\", \"tool_name\": \"get_time\", \"parameters\": {}}\n]<|END_ACTION|>",
     "{T}f({\"s\": \"x\"})get_time({})"},
    {"cohere", "", "<|START_RESPONSE|>A<|END_RESPONSE|>", "A"},
    {"cohere-text", "<|START_THINKING|>", "T<|END_THINKING|><|START_TEXT|>A<|END_TEXT|>", "{T}A"},
    {"cohere-action", "",
     "Plan: x\nAction:\n```json\n[\n    {\n        \"tool_name\": \"f\",\n        \"parameters\": {\n            \"s\": \"`\"\n        }\n "
     "   }\n]```\n",
     "Plan: xf({\n            \"s\": \"`\"\n        })\n"},
    {"gigachat-call", "", "A<|function_call|>{\"name\": \"f\", \"arguments\": {}}<|message_sep|>\n\n", "Af({})\n\n"},
    {"gigachat", "", "A<|message_sep|>\n\nfunction call<|role_sep|>\n{\"name\": \"f\", \"arguments\": {}}", "Af({})"},
    {"apertus", "", "<|inner_prefix|>T<|inner_suffix|>A<|tools_prefix|>[{\"f\": {\"s\": \"x\"}}, {\"get_time\": {}}]<|tools_suffix|>",
     "{T}Af({\"s\": \"x\"})get_time({})"},
    {"lfm2", "", "<|tool_call_start|>[f(s='it\\'s \"x\"', a=[1, 'b', True], o={'k': None}), get_time()]<|tool_call_end|>A",
     "f({\"s\":\"it's \\\"x\\\"\",\"a\":[1,\"b\",true],\"o\":{\"k\":null}})get_time({})A"},
    {"llama4", "", "[f(s=\"x\")]", "f({\"s\":\"x\"})"},
    {"llama4", "", "<|python_start|>[get_time()]<|python_end|>", "get_time({})"},
    {"firefunction", "", "A functools[{\"name\": \"f\", \"arguments\": {}}]", "Af({})"},
    {"functionary-names", ">>>", "all\nA >>> b\n>>>f\n{\"s\": \"x\"}>>>get_time\n{}", "A >>> b\nf({\"s\": \"x\"})get_time({})"},
    {"functionary", "", "<function=f>{\"s\": \"x\"}</function><function=get_time>{}</function>", "f({\"s\": \"x\"})get_time({})"},
    {"function-params", "<think>\n",
     "T</think>A<function name=\"f\"><param name=\"s\"><![CDATA[a</param>\n]]></param><param name=\"n\">3</param></function>",
     "{T}Af({\"s\":\"a</param>\\n\",\"n\":3})"},
    {"nemotron", "<think>\n", "T\n</think>\n\n<TOOLCALL>[{\"name\": \"f\", \"arguments\": {}}]</TOOLCALL>", "{T}f({})"},
    {"apriel", "Here are my reasoning steps:\n",
     "T\n[BEGIN FINAL RESPONSE]\nA\n<tool_calls>[{\"name\": \"f\", \"arguments\": {}}]</tool_calls>[END FINAL RESPONSE]", "{T}Af({})"},
    {"tool-calls", "", "<tool_calls>\n{\"name\": \"f\", \"arguments\": {}}\n{\"name\": \"get_time\", \"arguments\": {}}\n</tool_calls>",
     "f({})get_time({})"},
    {"gemma", "", "<|channel>thought\nT\n<channel|>A<|tool_call>call:f{s:<|\"|>a,b}<|\"|>,n:3,o:{k:[1,<|\"|>x<|\"|>]},b:true}<tool_call|>",
     "{T}Af({\"s\":\"a,b}\",\"n\":3,\"o\":{\"k\":[1,\"x\"]},\"b\":true})"},
    {"solar", "<|begin|>assistant",
     "<|think|>T<|end|><|begin|>assistant<|content|>A<|end|><|begin|>assistant<|tool_calls|><|tool_call:begin|>i1<|tool_call:name|>f<|tool_"
     "call:args|>{}<|tool_call:end|><|calls|>",
     "{T}A#i1 f({})"},
    {"phi", "", "<|tool_call|>[{\"name\": \"f\", \"arguments\": {}}]<|/tool_call|>", "f({})"},
    {"granite", "", "<|tool_call|>[{\"name\": \"f\", \"arguments\": {}}]", "f({})"},
    {"granite", "", "<think>T</think><response>A</response>", "{T}A"},
    {"generic", "", "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"s\": \"x\"}}\n</tool_call>", "f({\"s\": \"x\"})"},
    {"generic", "",
     "{\"tool_calls\": [{\"name\": \"f\", \"arguments\": {}}, {\"type\": \"function\", \"function\": {\"name\": \"get_time\", "
     "\"arguments\": \"{}\"}}]}",
     "f({})get_time({})"},
    {"generic", "", " {\"name\": \"f\", \"arguments\": {\"s\": \"x\"}} ", "f({\"s\": \"x\"})"},
};

static void test_every_family_is_read_however_it_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < FH_COUNT(families); i++) check_sample(&families[i]);
}

static void test_no_family_is_without_a_sample(void **state)
{
    (void)state;
    for (size_t k = 0; k < fh_toolfmt_families(); k++) {
        bool found = false;
        for (size_t i = 0; i < FH_COUNT(families); i++) found |= strcmp(families[i].family, fh_toolfmt_family_at(k)) == 0;
        if (!found) fail_msg("no sample of %s", fh_toolfmt_family_at(k));
    }
}

static const sample broken[] = {
    {"hermes", "", "a <tool_call> b", "a <tool_call> b"},
    {"hermes", "", "  \n<tool_call>\n{\"x\": 1}\n</tool_call>\n", "  \n<tool_call>\n{\"x\": 1}\n</tool_call>\n"},
    {"hermes", "", "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"s\"", "f({\"s\"!)"},
    {"hermes", "", "<tool_call>\n{\"name\": \"f\"", "f(!)"},
    {"hermes", "", "<tool_call>\n{\"name\": \"", "<tool_call>\n{\"name\": \""},
    {"hermes", "", "<tool_call>\n{\"name\": \"no such name\", \"arguments\": {}}</tool_call>",
     "<tool_call>\n{\"name\": \"no such name\", \"arguments\": {}}</tool_call>"},
    {"hermes", "", "<tool_call>{\"name\": \"f\", \"arguments\": {\"s\": oops}}</tool_call> B", "f({\"s\": oops}}!) B"},
    {"hermes", "", "<tool_call>{\"name\": \"f\", \"arguments\": {}</tool_call>", "f({}!)</tool_call>"},
    {"hermes", "", "<tool_call>[{\"name\": \"f\", \"arguments\": {}}, {\"x\": 1}]</tool_call>", "f({}){\"x\": 1}]</tool_call>"},
    {"hermes", "", "a<think>b</think>", "a<think>b</think>"},
    {"hermes", "", "</think>\nA", "A"},
    {"hermes", "<think>", "never ends <tool_call>{\"name\":\"f\"} \n", "{never ends <tool_call>{\"name\":\"f\"} \n}"},
    {"hermes", "", "a\n<tool_", "a\n<tool_"},
    {"hermes", "", " \n\t", " \n\t"},
    {"hermes", "", "", ""},
    {"function-tags", "", "<tool_call>\n<function=f>\n<parameter=s>\nabc", "f({\"s\":\"abc\"}!)"},
    {"function-tags", "", "<tool_call>\n<function=f>\n<parameter=n>\nabc\n</parameter>", "f({\"n\":\"abc\"}!)"},
    {"function-tags", "", "<tool_call>\n<function=f>\nwhat? now\n<parameter=n>1</parameter></function></tool_call>",
     "f(what? now{\"n\":1})"},
    {"function-tags", "", "<tool_call>\n<function=f>\n<parameter=", "f({}!)<parameter="},
    {"function-tags", "", "Use <function=x> there", "Use <function=x> there"},
    {"function-tags", "", "<tool_call>\n<function=f>\n</tool_call> B", "f({}!) B"},
    {"function-tags", "", "<tool_call>hello</tool_call>", "<tool_call>hello</tool_call>"},
    {"arg-tags", "", "<tool_call>f<tool_call>get_time</tool_call>", "f({}!)get_time({})"},
    {"arg-tags", "", "<tool_call>f\n<arg_key>s</arg_key>", "f({\"s\":\"\"}!)"},
    {"kimi-k2", "", "<|tool_calls_section_begin|>x", "<|tool_calls_section_begin|>x"},
    {"kimi-k2", "",
     "<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|><|tool_call_end|><|tool_calls_section_end|>",
     "#functions.f:0 f({})"},
    {"lfm2", "", "<|tool_call_start|>[f(s=x y)]<|tool_call_end|>", "<|tool_call_start|>[f(s=x y)]<|tool_call_end|>"},
    {"lfm2", "", "<|tool_call_start|>[get_time()", "<|tool_call_start|>[get_time()"},
    {"gemma", "", "<|tool_call>call:f{s:<|\"|>x}<tool_call|>", "<|tool_call>call:f{s:<|\"|>x}<tool_call|>"},
    {"harmony", STARTED, "no header at all", "no header at all"},
    {"functionary-names", ">>>", "Hello\nyou", "Hello\nyou"},
};

static void test_what_is_no_call_stays_answer_and_nothing_is_lost(void **state)
{
    (void)state;
    for (size_t i = 0; i < FH_COUNT(broken); i++) check_sample(&broken[i]);
}

static void test_without_tools_calls_are_answer(void **state)
{
    (void)state;
    setup s = set_up("hermes");
    fh_json_unref(fh_take(s.tools));
    const char *reply = "<think>T</think>\n<tool_call>\n{\"name\": \"f\"}\n</tool_call>\n";
    fh_buf got = read_cut(&s, "", reply, 3, 30);
    assert_string_equal(fh_buf_cstr(&got), "{T}<tool_call>\n{\"name\": \"f\"}\n</tool_call>\n");
    fh_buf_fini(&got);
    tear_down(&s);
}

static void test_calls_beyond_the_bound_are_answer(void **state)
{
    (void)state;
    setup s = set_up("hermes");
    FH_AUTO(fh_toolfmt_parser) fh_toolfmt_parser *p = NULL;
    heard h = {.text = FH_BUF(TEXT_BYTES)};
    fh_toolfmt_options o = {.tools = s.tools, .max_calls = 1};
    fh_str call = FH_STR("<tool_call>{\"name\": \"f\"}</tool_call>");
    assert_int_equal(fh_toolfmt_parser_new(&p, s.format, &o, hear, &h, NULL), 0);
    assert_int_equal(fh_toolfmt_push(p, call, NULL), 0);
    assert_int_equal(fh_toolfmt_push(p, call, NULL), 0);
    assert_int_equal(fh_toolfmt_finish(p, NULL), 0);
    assert_string_equal(fh_buf_cstr(&h.text), "f({})<tool_call>{\"name\": \"f\"}</tool_call>");
    fh_buf_fini(&h.text);
    tear_down(&s);
}

static int push_many(fh_toolfmt_parser *p, const char *text, size_t times)
{
    int rc = 0;
    for (size_t i = 0; i < times && !rc; i++) rc = fh_toolfmt_push(p, fh_str_of(text), NULL);
    return rc;
}

static void test_text_that_waits_is_bounded(void **state)
{
    (void)state;
    setup s = set_up("hermes");
    FH_AUTO(fh_toolfmt_parser) fh_toolfmt_parser *p = NULL;
    heard h = {.text = FH_BUF(TEXT_BYTES)};
    fh_toolfmt_options o = {.tools = s.tools};
    assert_int_equal(fh_toolfmt_parser_new(&p, s.format, &o, hear, &h, NULL), 0);
    assert_int_equal(push_many(p, "<tool_call>{\"arguments\": {\"s\": \"", 1), 0);
    assert_int_equal(push_many(p, "0123456789abcdef", 80000), 0);
    assert_true(h.text.len > 1 << 20);
    assert_int_equal(fh_toolfmt_finish(p, NULL), 0);
    assert_int_equal(h.text.len, strlen("<tool_call>{\"arguments\": {\"s\": \"") + 16 * 80000);
    fh_buf_fini(&h.text);
    tear_down(&s);
}

static void test_strings_of_arguments_pass_on_as_they_come(void **state)
{
    (void)state;
    setup s = set_up("function-tags");
    FH_AUTO(fh_toolfmt_parser) fh_toolfmt_parser *p = NULL;
    heard h = {.text = FH_BUF(TEXT_BYTES)};
    fh_toolfmt_options o = {.tools = s.tools};
    assert_int_equal(fh_toolfmt_parser_new(&p, s.format, &o, hear, &h, NULL), 0);
    assert_int_equal(push_many(p, "<tool_call>\n<function=f>\n<parameter=s>\nso far", 1), 0);
    assert_string_equal(fh_buf_cstr(&h.text), "f({\"s\":\"so far");
    fh_buf_fini(&h.text);
    tear_down(&s);
}

static void test_special_tokens_are_wanted_if_they_are_part_of_a_marker(void **state)
{
    (void)state;
    setup s = set_up("kimi-k2");
    assert_true(fh_toolfmt_wants(s.format, FH_STR("<|tool_call_begin|>")));
    assert_true(fh_toolfmt_wants(s.format, FH_STR("</think>")));
    assert_false(fh_toolfmt_wants(s.format, FH_STR("<|im_end|>")));
    assert_false(fh_toolfmt_wants(s.format, FH_STR("")));
    tear_down(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_family_is_read_however_it_is_cut),
        cmocka_unit_test(test_no_family_is_without_a_sample),
        cmocka_unit_test(test_what_is_no_call_stays_answer_and_nothing_is_lost),
        cmocka_unit_test(test_without_tools_calls_are_answer),
        cmocka_unit_test(test_calls_beyond_the_bound_are_answer),
        cmocka_unit_test(test_text_that_waits_is_bounded),
        cmocka_unit_test(test_strings_of_arguments_pass_on_as_they_come),
        cmocka_unit_test(test_special_tokens_are_wanted_if_they_are_part_of_a_marker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
