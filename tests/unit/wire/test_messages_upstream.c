/* Chat requests for an upstream of the Messages API: what each field becomes, what is refused; and that a request which goes to chat and
 * back means the same. */
#include "cmocka_all.h"
#include "torture.h"
#include "wire/messages.h"
#include <stdio.h>

static int translate(const char *text, fh_buf *out, fh_err **err)
{
    FH_AUTO(json) fh_json *doc = NULL, *made = NULL;
    int rc = fh_json_parse(&doc, fh_str_of(text), 1 << 20, err);
    if (rc == 0) rc = fh_wire_chat_to_messages(doc, 4096, &made, err);
    return rc == 0 ? fh_json_write(made, out, err) : rc;
}

/* Both behind the model. */
static void expect(const char *chat, const char *messages)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20), want = FH_BUF(1 << 20), text = FH_BUF(1 << 20);
    fh_err *err = NULL;
    fh_buf_addf(&text, "{\"model\":\"m\",%s}", chat);
    fh_buf_addf(&want, "{\"model\":\"m\",%s}", messages);
    if (translate(fh_buf_cstr(&text), &out, &err) < 0)
        fail_msg("%s: %s: %s", chat, fh_err_param_get(err) ? fh_err_param_get(err) : "", fh_err_message(err));
    assert_string_equal(fh_buf_cstr(&out), fh_buf_cstr(&want));
}

#define LIMIT   "\"max_tokens\":4096,"
#define TEXT(t) "{\"type\":\"text\",\"text\":\"" t "\"}"
#define USER(t) "{\"role\":\"user\",\"content\":\"" t "\"}"
#define TURN(b) "{\"role\":\"user\",\"content\":[" b "]}"
#define CHAT_HI "\"messages\":[" USER("hi") "]"
#define MSGS_HI "\"messages\":[" TURN(TEXT("hi")) "]"

static void limits_and_sampling_are_said_alike(void **state)
{
    expect(CHAT_HI, LIMIT MSGS_HI);
    expect(CHAT_HI ",\"max_tokens\":7", "\"max_tokens\":7," MSGS_HI);
    expect(CHAT_HI ",\"max_tokens\":7,\"max_completion_tokens\":8", "\"max_tokens\":8," MSGS_HI);
    expect(CHAT_HI ",\"n_predict\":9", "\"max_tokens\":9," MSGS_HI);
    expect(CHAT_HI ",\"n_predict\":-1", LIMIT MSGS_HI);
    expect(CHAT_HI ",\"temperature\":0.5,\"top_p\":0.9,\"top_k\":40,\"stop\":\"x\"",
           LIMIT "\"temperature\":0.5,\"top_p\":0.9,\"top_k\":40,\"stop_sequences\":[\"x\"]," MSGS_HI);
    expect(CHAT_HI ",\"top_k\":-1,\"stop\":[\"x\",\"y\"],\"stream\":true,\"stream_options\":{\"include_usage\":true}",
           LIMIT "\"stop_sequences\":[\"x\",\"y\"],\"stream\":true," MSGS_HI);
}

static void values_that_ask_for_nothing_are_left_out(void **state)
{
    expect(CHAT_HI
           ",\"stop\":[],\"n\":1,\"logprobs\":false,\"top_logprobs\":0,\"presence_penalty\":0,\"frequency_penalty\":0.0,\"min_p\":0,"
           "\"repetition_penalty\":1.0,\"logit_bias\":{},\"modalities\":[\"text\"],\"store\":false,\"ignore_eos\":false,\"functions\":[],"
           "\"verbosity\":\"medium\",\"seed\":null,\"response_format\":{\"type\":\"text\"},\"tools\":[],\"chat_template_kwargs\":{}",
           LIMIT MSGS_HI);
    expect(CHAT_HI ",\"metadata\":{\"a\":\"b\"},\"prompt_cache_key\":\"k\",\"prediction\":{}", LIMIT MSGS_HI);
}

static void labels_tiers_and_unknown_fields_go_along(void **state)
{
    expect(CHAT_HI ",\"user\":\"u\",\"service_tier\":\"default\"",
           LIMIT "\"metadata\":{\"user_id\":\"u\"},\"service_tier\":\"standard_only\"," MSGS_HI);
    expect(CHAT_HI ",\"safety_identifier\":\"s\",\"service_tier\":\"auto\",\"brand_new\":[1]",
           "\"brand_new\":[1]," LIMIT "\"metadata\":{\"user_id\":\"s\"},\"service_tier\":\"auto\"," MSGS_HI);
}

static void system_messages_at_the_start_are_the_system_prompt(void **state)
{
    expect("\"messages\":[{\"role\":\"system\",\"content\":\"a\"}," USER("hi") "]",
           LIMIT "\"messages\":[" TURN(TEXT("hi")) "],\"system\":\"a\"");
    expect("\"messages\":[{\"role\":\"developer\",\"content\":\"a\"},{\"role\":\"system\",\"content\":[" TEXT("b") "]}," USER(
               "hi") ",{\"role\":\"system\",\"content\":\"c\"}]",
           LIMIT "\"messages\":[" TURN(TEXT("hi")) ",{\"role\":\"system\",\"content\":[" TEXT("c") "]}],\"system\":[" TEXT("a") "," TEXT(
               "b") "]");
}

static void media_become_sources(void **state)
{
    expect("\"messages\":[{\"role\":\"user\",\"content\":[" TEXT(
               "see") ",{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AAEC\","
                      "\"detail\":\"high\"}},{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://e/"
                      "\"}},{\"type\":\"file\",\"file\":{\"file_data\":"
                      "\"data:application/pdf;base64,AAAA\",\"filename\":\"t\"}}]}]",
           LIMIT "\"messages\":[" TURN(
               TEXT("see") ",{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"AAEC\"}},"
                           "{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://e/\"}},{\"type\":\"document\","
                           "\"source\":{\"type\":\"base64\",\"media_type\":\"application/pdf\",\"data\":\"AAAA\"},\"title\":\"t\"}") "]");
}

static void calls_and_results_become_blocks(void **state)
{
    expect("\"messages\":[" USER(
               "go") ",{\"role\":\"assistant\",\"content\":null,\"reasoning_content\":\"hm\",\"tool_calls\":["
                     "{\"id\":\"functions.f:0\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\": 1}\"}},"
                     "{\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}},"
                     "{\"id\":\"c3\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{\\\"a\"}}]},"
                     "{\"role\":\"tool\",\"tool_call_id\":\"functions.f:0\",\"content\":\"15\"},{\"role\":\"tool\",\"tool_call_id\":\"c2\","
                     "\"content\":\"\"},"
                     "{\"role\":\"tool\",\"tool_call_id\":\"c3\",\"content\":[" TEXT("x") "]}," USER("and?") "]",
           LIMIT "\"messages\":[" TURN(
               TEXT("go")) ",{\"role\":\"assistant\",\"content\":["
                           "{\"type\":\"tool_use\",\"id\":\"functions_f_0\",\"name\":\"f\",\"input\":{\"a\":1}},"
                           "{\"type\":\"tool_use\",\"id\":\"c2\",\"name\":\"g\",\"input\":{}},"
                           "{\"type\":\"tool_use\",\"id\":\"c3\",\"name\":\"g\",\"input\":{\"INVALID_JSON\":\"{\\\"a\"}}]}," TURN(
                               "{\"type\":\"tool_result\",\"tool_use_id\":\"functions_f_0\",\"content\":[" TEXT(
                                   "15") "]},"
                                         "{\"type\":\"tool_result\",\"tool_use_id\":\"c2\"},{\"type\":\"tool_result\",\"tool_use_id\":"
                                         "\"c3\",\"content\":[" TEXT("x") "]}," TEXT("and?")) "]");
}

#define CHAT_F "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}}]"
#define TOOL_F "\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}]"

static void functions_become_tools(void **state)
{
    expect(CHAT_HI ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\",\"strict\":true}}]",
           LIMIT "\"tools\":[{\"name\":\"f\",\"description\":\"d\",\"input_schema\":{\"type\":\"object\"},\"strict\":true}]," MSGS_HI);
    expect(CHAT_HI "," CHAT_F ",\"tool_choice\":\"required\"", LIMIT TOOL_F ",\"tool_choice\":{\"type\":\"any\"}," MSGS_HI);
    expect(CHAT_HI "," CHAT_F ",\"tool_choice\":\"none\",\"parallel_tool_calls\":false",
           LIMIT TOOL_F ",\"tool_choice\":{\"type\":\"none\"}," MSGS_HI);
    expect(CHAT_HI "," CHAT_F ",\"parallel_tool_calls\":false",
           LIMIT TOOL_F ",\"tool_choice\":{\"type\":\"auto\",\"disable_parallel_tool_use\":true}," MSGS_HI);
    expect(CHAT_HI "," CHAT_F ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}",
           LIMIT TOOL_F ",\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\"}," MSGS_HI);
}

static void effort_and_format_are_output(void **state)
{
    expect(CHAT_HI ",\"reasoning_effort\":\"none\"", LIMIT "\"thinking\":{\"type\":\"disabled\"}," MSGS_HI);
    expect(CHAT_HI ",\"reasoning_effort\":\"minimal\"",
           LIMIT "\"thinking\":{\"type\":\"adaptive\"},\"output_config\":{\"effort\":\"low\"}," MSGS_HI);
    expect(CHAT_HI ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":{\"type\":\"object\"}}}",
           LIMIT "\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{\"type\":\"object\"}}}," MSGS_HI);
    expect(CHAT_HI ",\"chat_template_kwargs\":{\"enable_thinking\":false}", LIMIT "\"thinking\":{\"type\":\"disabled\"}," MSGS_HI);
}

typedef struct bad {
    const char *request, *param;
} bad;

static void what_cannot_be_said_there_is_refused_by_name(void **state)
{
#define PART(p) "\"messages\":[{\"role\":\"user\",\"content\":[" p "]}]"
    static const bad rows[] = {
        {CHAT_HI ",\"n\":2", "n"},
        {CHAT_HI ",\"seed\":7", "seed"},
        {CHAT_HI ",\"temperature\":1.5", "temperature"},
        {CHAT_HI ",\"temperature\":\"x\"", "temperature"},
        {CHAT_HI ",\"max_tokens\":0", "max_tokens"},
        {CHAT_HI ",\"logprobs\":true", "logprobs"},
        {CHAT_HI ",\"logit_bias\":{\"1\":2}", "logit_bias"},
        {CHAT_HI ",\"presence_penalty\":0.5", "presence_penalty"},
        {CHAT_HI ",\"repetition_penalty\":1.1", "repetition_penalty"},
        {CHAT_HI ",\"min_p\":0.1", "min_p"},
        {CHAT_HI ",\"ignore_eos\":true", "ignore_eos"},
        {CHAT_HI ",\"modalities\":[\"text\",\"audio\"]", "modalities"},
        {CHAT_HI ",\"web_search_options\":{}", "web_search_options"},
        {CHAT_HI ",\"store\":true", "store"},
        {CHAT_HI ",\"verbosity\":\"low\"", "verbosity"},
        {CHAT_HI ",\"service_tier\":\"flex\"", "service_tier"},
        {CHAT_HI ",\"response_format\":{\"type\":\"json_object\"}", "response_format"},
        {CHAT_HI ",\"response_format\":{\"type\":\"json_schema\"}", "response_format.json_schema.schema"},
        {CHAT_HI ",\"reasoning_effort\":\"colossal\"", "reasoning_effort"},
        {CHAT_HI ",\"chat_template_kwargs\":{\"x\":1}", "chat_template_kwargs"},
        {CHAT_HI ",\"tools\":[{\"type\":\"custom\"}]", "tools[0].type"},
        {CHAT_HI "," CHAT_F ",\"tool_choice\":{\"type\":\"allowed_tools\"}", "tool_choice"},
        {PART("{\"type\":\"input_audio\",\"input_audio\":{}}"), "messages[0].content[0]"},
        {PART("{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/bmp;base64,AA\"}}"), "messages[0].content[0].image_url.url"},
        {PART("{\"type\":\"file\",\"file\":{\"file_id\":\"f\"}}"), "messages[0].content[0].file"},
        {"\"messages\":[{\"role\":\"user\",\"name\":\"n\",\"content\":\"x\"}]", "messages[0].name"},
        {"\"messages\":[{\"role\":\"function\",\"content\":\"x\"}]", "messages[0].role"},
        {"\"messages\":[" USER("a") ",{\"role\":\"assistant\",\"content\":\"x\"}]", "messages"},
        {"\"messages\":[{\"role\":\"system\",\"content\":\"x\"}]", "messages"},
    };
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20), text = FH_BUF(1 << 20);
        fh_err *err = NULL;
        fh_buf_addf(&text, "{\"model\":\"m\",%s}", rows[i].request);
        int rc = translate(fh_buf_cstr(&text), &out, &err);
        if (rc != FH_E_INVALID) fail_msg("%s: %d %s", rows[i].request, rc, fh_buf_cstr(&out));
        assert_string_equal(fh_err_param_get(err), rows[i].param);
        fh_err_free(err);
    }
}

/* There and back: what a client said in Messages reaches an upstream of that API as it was said. */

#define FULL(t, tail)                                                                                                                      \
    "{\"model\":\"m\",\"max_tokens\":3000,\"temperature\":0.5,\"stop_sequences\":[\"x\"],\"thinking\":{\"type\":\"enabled\",\"budget_"     \
    "tokens\":"                                                                                                                            \
    "2500},\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{\"type\":\"object\"}}},\"metadata\":{\"user_id\":\"u\"},"   \
    "\"service_tier\":\"auto\",\"stream\":true,\"tools\":[{\"name\":\"f\",\"description\":\"d\",\"input_schema\":{\"type\":\"object\"},"   \
    "\"strict\":true}],\"tool_choice\":{\"type\":\"any\",\"disable_parallel_tool_use\":true},\"messages\":[" t                             \
    "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"I look\"},{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\","    \
    "\"input\":{\"a\":1}}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t1\",\"content\":[" TEXT(          \
        "15") ","                                                                                                                          \
              "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"AAEC\"}}]}," TEXT(              \
                  "and?") "]},"                                                                                                            \
                          "{\"role\":\"assistant\",\"content\":[" TEXT("So") "]}]" tail "}"

static void there_and_back_means_the_same(void **state)
{
    FH_AUTO(json) fh_json *doc = NULL, *chat = NULL, *back = NULL;
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    assert_int_equal(fh_json_parse(&doc, fh_str_of(FULL(USER("hi") ",", ",\"system\":\"be\"")), 1 << 20, NULL), 0);
    assert_int_equal(fh_wire_messages_to_chat(doc, &chat, NULL, NULL), 0);
    assert_int_equal(fh_wire_chat_to_messages(chat, 1, &back, NULL), 0);
    assert_int_equal(fh_json_write(back, &out, NULL), 0);
    assert_string_equal(fh_buf_cstr(&out), FULL(TURN(TEXT("hi")) ",", ",\"system\":\"be\""));
}

static int everything(void *arg)
{
    FH_AUTO(json) fh_json *back = NULL;
    fh_err *err = NULL;
    int rc = fh_wire_chat_to_messages(arg, 1, &back, &err);
    assert_true((rc == 0) == (back != NULL) && (rc == 0) == (err == NULL));
    fh_err_free(err);
    return rc;
}

static void memory_that_runs_out_is_an_error(void **state)
{
    FH_AUTO(json) fh_json *doc = NULL, *chat = NULL;
    assert_int_equal(fh_json_parse(&doc, fh_str_of(FULL(USER("hi") ",", ",\"system\":\"be\"")), 1 << 20, NULL), 0);
    assert_int_equal(fh_wire_messages_to_chat(doc, &chat, NULL, NULL), 0);
    assert_true(fh_torture(FH_FAULT_ALLOC, everything, chat, 5000) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_and_sampling_are_said_alike),
        cmocka_unit_test(values_that_ask_for_nothing_are_left_out),
        cmocka_unit_test(labels_tiers_and_unknown_fields_go_along),
        cmocka_unit_test(system_messages_at_the_start_are_the_system_prompt),
        cmocka_unit_test(media_become_sources),
        cmocka_unit_test(calls_and_results_become_blocks),
        cmocka_unit_test(functions_become_tools),
        cmocka_unit_test(effort_and_format_are_output),
        cmocka_unit_test(what_cannot_be_said_there_is_refused_by_name),
        cmocka_unit_test(there_and_back_means_the_same),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
