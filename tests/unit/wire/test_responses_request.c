/* Requests of the Responses API, and the chat requests that they become, literally. */
#include "base/limits.h"
#include "cmocka_all.h"
#include "torture.h"
#include "wire/responses.h"
#include <stdio.h>

enum { MAX = 1 << 22 };

static fh_json *parsed(const char *text)
{
    fh_json *doc = NULL;
    assert_int_equal(fh_json_parse(&doc, fh_str_of(text), MAX, NULL), 0);
    return doc;
}

static void expect_json(const fh_json *v, const char *text)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(MAX);
    assert_int_equal(fh_json_write(v, &out, NULL), 0);
    assert_string_equal(fh_buf_cstr(&out), text);
}

static void expect_chat_after(const char *history, const char *request, const char *chat)
{
    FH_AUTO(json) fh_json *doc = parsed(request), *past = history ? parsed(history) : NULL, *got = NULL;
    fh_err *err = NULL;
    if (fh_wire_responses_to_chat(doc, past, &got, &err) != 0) fail_msg("%s: %s", request, fh_err_message(err));
    expect_json(got, chat);
}

static void expect_chat(const char *request, const char *chat)
{
    expect_chat_after(NULL, request, chat);
}

static void expect_refusal(const char *request, const char *param)
{
    FH_AUTO(json) fh_json *doc = parsed(request), *got = NULL;
    fh_err *err = NULL;
    if (fh_wire_responses_to_chat(doc, NULL, &got, &err) != FH_E_INVALID) fail_msg("taken: %s", request);
    assert_null(got);
    if (param) assert_string_equal(fh_err_param_get(err), param);
    fh_err_free(err);
}

static void a_string_is_a_message_of_the_user(void **state)
{
    expect_chat("{\"model\":\"m\",\"input\":\"Hi\"}", "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}");
}

static void instructions_come_first(void **state)
{
    expect_chat("{\"model\":\"m\",\"instructions\":\"Be kind.\",\"input\":[{\"role\":\"user\",\"content\":\"Hi\"}]}",
                "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"Be kind.\"},{\"role\":\"user\",\"content\":\"Hi\"}]}");
}

static void messages_keep_their_role_and_order(void **state)
{
    expect_chat(
        "{\"model\":\"m\",\"input\":[{\"type\":\"message\",\"role\":\"system\",\"content\":\"S\"},{\"role\":\"developer\",\"content\":"
        "\"D\"},{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"U\"}]},{\"type\":\"message\","
        "\"id\":\"msg_1\",\"status\":\"completed\",\"role\":\"assistant\",\"phase\":\"final_answer\",\"content\":[{\"type\":"
        "\"output_text\",\"text\":\"A\",\"annotations\":[],\"logprobs\":[]}]},{\"role\":\"user\",\"content\":\"V\"}]}",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"developer\",\"content\":\"D\"},{\"role\":"
        "\"user\",\"content\":\"U\"},{\"role\":\"assistant\",\"content\":\"A\",\"phase\":\"final_answer\"},{\"role\":\"user\","
        "\"content\":\"V\"}]}");
}

static void parts_become_parts(void **state)
{
    expect_chat(
        "{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"What?\"},{\"type\":"
        "\"input_image\",\"image_url\":\"data:x\",\"detail\":\"low\"},{\"type\":\"input_file\",\"filename\":\"a.pdf\",\"file_data\":"
        "\"data:y\"},{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"z\",\"format\":\"wav\"}}]},{\"role\":\"assistant\","
        "\"content\":[{\"type\":\"refusal\",\"refusal\":\"No.\"}]}]}",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"What?\"},{\"type\":\"image_url\","
        "\"image_url\":{\"url\":\"data:x\",\"detail\":\"low\"}},{\"type\":\"file\",\"file\":{\"filename\":\"a.pdf\",\"file_data\":"
        "\"data:y\"}},{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"z\",\"format\":\"wav\"}}]},{\"role\":\"assistant\","
        "\"content\":[{\"type\":\"refusal\",\"refusal\":\"No.\"}]}]}");
}

static void what_the_assistant_did_in_one_turn_is_one_message(void **state)
{
    expect_chat(
        "{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":\"Weather?\"},{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[],"
        "\"content\":[{\"type\":\"reasoning_text\",\"text\":\"I look\"},{\"type\":\"reasoning_text\",\"text\":\"it up.\"}]},{\"role\":"
        "\"assistant\",\"content\":\"A "
        "moment.\"},{\"type\":\"function_call\",\"call_id\":\"c1\",\"name\":\"w\",\"arguments\":\"{}\"},{\"type\":"
        "\"function_call\",\"call_id\":\"c2\",\"name\":\"w\",\"arguments\":\"{\\\"a\\\":1}\"},{\"type\":\"function_call_output\",\"call_"
        "id\":"
        "\"c1\",\"output\":\"sun\"},{\"type\":\"function_call_output\",\"call_id\":\"c2\",\"output\":[{\"type\":\"input_text\",\"text\":"
        "\"rain\"}]},{\"type\":\"function_call\",\"call_id\":\"c3\",\"name\":\"w\",\"arguments\":\"{}\"}]}",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"Weather?\"},{\"role\":\"assistant\",\"content\":\"A "
        "moment.\",\"reasoning_content\":\"I look\\nit "
        "up.\",\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"w\","
        "\"arguments\":\"{}\"}},{\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"w\",\"arguments\":\"{\\\"a\\\":1}\"}}]},{"
        "\"role\":\"tool\",\"content\":\"sun\",\"tool_call_id\":\"c1\"},{\"role\":\"tool\",\"content\":\"rain\",\"tool_call_id\":\"c2\"},{"
        "\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c3\",\"type\":\"function\",\"function\":{\"name\":\"w\","
        "\"arguments\":\"{}\"}}]}]}");
}

static void two_answers_in_a_row_are_two_messages(void **state)
{
    expect_chat(
        "{\"model\":\"m\",\"input\":[{\"role\":\"assistant\",\"content\":\"A\"},{\"role\":\"assistant\",\"content\":\"B\"},{\"type\":"
        "\"reasoning\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"T\"}],\"encrypted_content\":\"x\"},{\"role\":\"user\","
        "\"content\":\"C\"}]}",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"content\":\"A\"},{\"role\":\"assistant\",\"content\":\"B\"},{"
        "\"role\":\"assistant\",\"content\":null,\"reasoning_content\":\"T\"},{\"role\":\"user\",\"content\":\"C\"}]}");
}

static void the_past_stands_between_instructions_and_input(void **state)
{
    const char *past =
        "[{\"type\":\"message\",\"id\":\"msg_a\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"I am "
        "Al.\"}]},{\"type\":\"message\",\"id\":\"msg_b\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":"
        "\"Hi.\"}]}]";
    expect_chat_after(past, "{\"model\":\"m\",\"previous_response_id\":\"resp_1\",\"instructions\":\"Short.\",\"input\":\"Who am I?\"}",
                      "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"Short.\"},{\"role\":\"user\",\"content\":\"I am "
                      "Al.\"},{\"role\":\"assistant\",\"content\":\"Hi.\"},{\"role\":\"user\",\"content\":\"Who am I?\"}]}");
    expect_chat_after(
        past, "{\"model\":\"m\",\"previous_response_id\":\"resp_1\",\"input\":[{\"type\":\"item_reference\",\"id\":\"msg_a\"}]}",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"I am Al.\"},{\"role\":\"assistant\",\"content\":\"Hi.\"},"
        "{\"role\":\"user\",\"content\":\"I am Al.\"}]}");
    expect_chat_after(
        past, "{\"model\":\"m\",\"previous_response_id\":\"resp_1\",\"input\":null}",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"I am Al.\"},{\"role\":\"assistant\",\"content\":\"Hi.\"}"
        "]}");
}

#define U "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]"

static void fields_get_their_chat_names(void **state)
{
    expect_chat(
        "{\"model\":\"m\",\"input\":\"x\",\"max_output_tokens\":8,\"temperature\":0.5,\"top_p\":0.25,\"presence_penalty\":1,"
        "\"frequency_penalty\":-1,\"parallel_tool_calls\":false,\"service_tier\":\"auto\",\"safety_identifier\":\"s\","
        "\"prompt_cache_key\":\"k\",\"user\":\"u\",\"store\":true,\"metadata\":{\"a\":\"b\"},\"truncation\":\"disabled\","
        "\"background\":false,\"max_tool_calls\":3,\"include\":[\"reasoning.encrypted_content\"],\"conversation\":null,\"seed\":7}",
        "{\"model\":\"m\",\"temperature\":0.5,\"top_p\":0.25,\"presence_penalty\":1,\"frequency_penalty\":-1,"
        "\"parallel_tool_calls\":false,\"service_tier\":\"auto\",\"safety_identifier\":\"s\",\"prompt_cache_key\":\"k\",\"user\":\"u\","
        "\"seed\":7,\"max_completion_tokens\":8," U "}");
    expect_chat(
        "{\"model\":\"m\",\"input\":\"x\",\"reasoning\":{\"effort\":\"low\",\"summary\":\"auto\"},\"text\":{\"verbosity\":\"low\"}}",
        "{\"model\":\"m\",\"reasoning_effort\":\"low\"," U ",\"verbosity\":\"low\"}");
    expect_chat("{\"model\":\"m\",\"input\":\"x\",\"top_logprobs\":2}", "{\"model\":\"m\",\"logprobs\":true,\"top_logprobs\":2," U "}");
    expect_chat("{\"model\":\"m\",\"input\":\"x\",\"include\":[\"message.output_text.logprobs\"]}",
                "{\"model\":\"m\",\"logprobs\":true,\"top_logprobs\":0," U "}");
    expect_chat("{\"model\":\"m\",\"input\":\"x\",\"stream\":true,\"stream_options\":{\"include_obfuscation\":false}}",
                "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true}," U "}");
}

static void formats_move_from_text(void **state)
{
    expect_chat("{\"model\":\"m\",\"input\":\"x\",\"text\":{\"format\":{\"type\":\"text\"}}}", "{\"model\":\"m\"," U "}");
    expect_chat("{\"model\":\"m\",\"input\":\"x\",\"text\":{\"format\":{\"type\":\"json_object\"}}}",
                "{\"model\":\"m\"," U ",\"response_format\":{\"type\":\"json_object\"}}");
    expect_chat(
        "{\"model\":\"m\",\"input\":\"x\",\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"strict\":true,\"schema\":{"
        "\"type\":\"object\"}}}}",
        "{\"model\":\"m\"," U ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":{\"type\":"
        "\"object\"},\"strict\":true}}}");
}

#define TOOLS                                                                                                                              \
    "\"tools\":[{\"type\":\"function\",\"name\":\"a\",\"description\":\"A\",\"parameters\":{\"type\":\"object\"},\"strict\":true},{"       \
    "\"type\":\"function\",\"name\":\"b\",\"parameters\":null}]"
#define CHAT_A                                                                                                                             \
    "{\"type\":\"function\",\"function\":{\"name\":\"a\",\"description\":\"A\",\"parameters\":{\"type\":\"object\"},\"strict\":true}}"
#define CHAT_B "{\"type\":\"function\",\"function\":{\"name\":\"b\"}}"

static void tools_are_wrapped_and_chosen(void **state)
{
    expect_chat("{\"model\":\"m\",\"input\":\"x\"," TOOLS "}", "{\"model\":\"m\"," U ",\"tools\":[" CHAT_A "," CHAT_B "]}");
    expect_chat("{\"model\":\"m\",\"input\":\"x\"," TOOLS ",\"tool_choice\":\"required\"}",
                "{\"model\":\"m\"," U ",\"tools\":[" CHAT_A "," CHAT_B "],\"tool_choice\":\"required\"}");
    expect_chat("{\"model\":\"m\",\"input\":\"x\"," TOOLS ",\"tool_choice\":{\"type\":\"function\",\"name\":\"b\"}}",
                "{\"model\":\"m\"," U ",\"tools\":[" CHAT_A "," CHAT_B
                "],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"b\"}}}");
}

static void tools_that_are_not_allowed_are_not_shown(void **state)
{
    expect_chat("{\"model\":\"m\",\"input\":\"x\"," TOOLS
                ",\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"required\",\"tools\":[{\"type\":\"function\",\"name\":\"b\"}]}}",
                "{\"model\":\"m\"," U ",\"tools\":[" CHAT_B "],\"tool_choice\":\"required\"}");
    expect_chat("{\"model\":\"m\",\"input\":\"x\"," TOOLS
                ",\"tool_choice\":{\"type\":\"allowed_tools\",\"tools\":[{\"type\":\"function\",\"name\":\"a\"}]}}",
                "{\"model\":\"m\"," U ",\"tools\":[" CHAT_A "],\"tool_choice\":\"auto\"}");
}

static void what_is_not_done_is_refused_by_name(void **state)
{
    static const char *const rows[][2] = {
        {"\"conversation\":\"conv_1\"", "conversation"},
        {"\"prompt\":{\"id\":\"p\"}", "prompt"},
        {"\"background\":true", "background"},
        {"\"background_options\":{}", "background_options"},
        {"\"context_management\":[]", "context_management"},
        {"\"moderation\":{}", "moderation"},
        {"\"truncation\":\"auto\"", "truncation"},
        {"\"prompt_cache_options\":{\"prewarm\":true}", "prompt_cache_options.prewarm"},
        {"\"messages\":[]", "messages"},
        {"\"n\":2", "n"},
        {"\"max_tokens\":2", "max_tokens"},
        {"\"response_format\":{\"type\":\"json_object\"}", "response_format"},
        {"\"tools\":[{\"type\":\"web_search\"}]", "tools[0]"},
        {"\"tools\":[{\"type\":\"custom\",\"name\":\"a\"}]", "tools[0]"},
        {"\"tools\":[{\"type\":\"function\",\"name\":\"a\",\"defer_loading\":true}]", "tools[0].defer_loading"},
        {"\"tools\":[{\"type\":\"function\",\"name\":\"a\",\"output_schema\":{}}]", "tools[0].output_schema"},
        {"\"tools\":[{\"type\":\"function\",\"name\":\"a\",\"allowed_callers\":[\"programmatic\"]}]", "tools[0].allowed_callers"},
        {"\"tool_choice\":{\"type\":\"file_search\"}", "tool_choice"},
        {"\"reasoning\":{\"summary\":\"concise\"}", "reasoning.summary"},
        {"\"reasoning\":{\"context\":\"all_turns\"}", "reasoning.context"},
        {"\"reasoning\":{\"mode\":\"pro\"}", "reasoning.mode"},
        {"\"stream\":true,\"stream_options\":{\"include_obfuscation\":true}", "stream_options.include_obfuscation"},
        {"\"previous_response_id\":\"resp_1\"", "previous_response_id"},
    };
    char request[512];
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        snprintf(request, sizeof request, "{\"model\":\"m\",\"input\":\"x\",%s}", rows[i][0]);
        expect_refusal(request, rows[i][1]);
    }
}

static void wrong_fields_are_named(void **state)
{
    static const char *const rows[][2] = {
        {"\"max_output_tokens\":0", "max_output_tokens"},
        {"\"max_output_tokens\":\"8\"", "max_output_tokens"},
        {"\"max_tool_calls\":0", "max_tool_calls"},
        {"\"top_logprobs\":21", "top_logprobs"},
        {"\"include\":\"a\"", "include"},
        {"\"include\":[\"reasoning.encrypted_content\",\"x\"]", "include[1]"},
        {"\"instructions\":[]", "instructions"},
        {"\"stream\":1", "stream"},
        {"\"stream_options\":{}", "stream_options"},
        {"\"store\":\"yes\"", "store"},
        {"\"metadata\":{\"a\":1}", "metadata"},
        {"\"text\":\"json\"", "text"},
        {"\"text\":{\"verbosity\":1}", "text.verbosity"},
        {"\"text\":{\"format\":{\"type\":\"xml\"}}", "text.format"},
        {"\"text\":{\"format\":{\"type\":\"json_schema\"}}", "text.format.schema"},
        {"\"text\":{\"format\":{\"type\":\"json_schema\",\"strict\":1,\"schema\":{}}}", "text.format.strict"},
        {"\"reasoning\":\"high\"", "reasoning"},
        {"\"reasoning\":{\"effort\":\"huge\"}", "reasoning.effort"},
        {"\"tools\":{}", "tools"},
        {"\"tools\":[{}]", "tools[0]"},
        {"\"tools\":[{\"type\":\"function\"}]", "tools[0].name"},
        {"\"tools\":[{\"type\":\"function\",\"name\":\"\"}]", "tools[0].name"},
        {"\"tools\":[{\"type\":\"function\",\"name\":\"a\",\"parameters\":[]}]", "tools[0].parameters"},
        {"\"tools\":[{\"type\":\"function\",\"name\":\"a\",\"strict\":1}]", "tools[0].strict"},
        {"\"tool_choice\":7", "tool_choice"},
        {"\"tool_choice\":\"maybe\"", "tool_choice"},
        {"\"tool_choice\":{\"type\":\"function\",\"name\":\"a\"}", "tool_choice"},
        {"\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"any\",\"tools\":[]}", "tool_choice.mode"},
        {"\"tool_choice\":{\"type\":\"allowed_tools\",\"tools\":[]}", "tool_choice.tools"},
        {"\"tool_choice\":{\"type\":\"allowed_tools\",\"tools\":[{\"type\":\"function\",\"name\":\"a\"}]}", "tool_choice.tools[0]"},
    };
    char request[512];
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        snprintf(request, sizeof request, "{\"model\":\"m\",\"input\":\"x\",%s}", rows[i][0]);
        expect_refusal(request, rows[i][1]);
    }
    expect_refusal("[]", NULL);
    expect_refusal("{\"input\":\"x\"}", "model");
    expect_refusal("{\"model\":\"m\"}", "input");
    expect_refusal("{\"model\":\"m\",\"input\":7}", "input");
    expect_refusal("{\"model\":\"m\",\"input\":[]}", "input");
}

static void wrong_items_are_named(void **state)
{
    static const char *const rows[][2] = {
        {"7", "input[0]"},
        {"{}", "input[0]"},
        {"{\"type\":\"web_search_call\",\"id\":\"w\"}", "input[0]"},
        {"{\"type\":\"message\",\"content\":\"x\"}", "input[0].role"},
        {"{\"role\":\"tool\",\"content\":\"x\"}", "input[0].role"},
        {"{\"role\":\"user\"}", "input[0].content"},
        {"{\"role\":\"user\",\"content\":[]}", "input[0].content"},
        {"{\"role\":\"user\",\"content\":[{\"text\":\"x\"}]}", "input[0].content[0]"},
        {"{\"role\":\"user\",\"content\":[{\"type\":\"input_text\"}]}", "input[0].content[0]"},
        {"{\"role\":\"user\",\"content\":[{\"type\":\"refusal\",\"refusal\":\"no\"}]}", "input[0].content[0]"},
        {"{\"role\":\"user\",\"content\":[{\"type\":\"input_video\",\"video_url\":\"x\"}]}", "input[0].content[0]"},
        {"{\"role\":\"user\",\"content\":[{\"type\":\"input_image\",\"file_id\":\"f\"}]}", "input[0].content[0].file_id"},
        {"{\"role\":\"user\",\"content\":[{\"type\":\"input_image\"}]}", "input[0].content[0].image_url"},
        {"{\"role\":\"user\",\"content\":[{\"type\":\"input_file\",\"file_url\":\"f\"}]}", "input[0].content[0].file_url"},
        {"{\"role\":\"user\",\"content\":[{\"type\":\"input_file\"}]}", "input[0].content[0].file_data"},
        {"{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\"}]}", "input[0].content[0]"},
        {"{\"type\":\"function_call\",\"name\":\"a\",\"arguments\":\"{}\"}", "input[0].call_id"},
        {"{\"type\":\"function_call\",\"call_id\":\"c\",\"arguments\":\"{}\"}", "input[0].name"},
        {"{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"a\",\"arguments\":{}}", "input[0].arguments"},
        {"{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"a\",\"namespace\":\"n\",\"arguments\":\"\"}", "input[0].namespace"},
        {"{\"type\":\"function_call_output\",\"output\":\"x\"}", "input[0].call_id"},
        {"{\"type\":\"function_call_output\",\"call_id\":\"c\"}", "input[0].output"},
        {"{\"type\":\"reasoning\",\"content\":7}", "input[0].content"},
        {"{\"type\":\"reasoning\",\"content\":[{}]}", "input[0].content"},
        {"{\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"x\"}", "input[0].encrypted_content"},
        {"{\"type\":\"item_reference\"}", "input[0].id"},
        {"{\"id\":\"msg_1\"}", "input[0].id"},
    };
    char request[512];
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        snprintf(request, sizeof request, "{\"model\":\"m\",\"input\":[%s]}", rows[i][0]);
        expect_refusal(request, rows[i][1]);
    }
}

static void conversations_have_a_longest(void **state)
{
    FH_AUTO(json) fh_json *doc = parsed("{\"model\":\"m\"}"), *items = fh_json_new_array(), *got = NULL, *kept = NULL;
    for (int i = 0; i <= FH_LIMIT_RESPONSES_ITEMS; i++) assert_true(fh_json_append(items, parsed("{\"role\":\"user\",\"content\":\"x\"}")));
    assert_true(fh_json_set(doc, "input", fh_json_ref(items)));
    assert_int_equal(fh_wire_responses_to_chat(doc, NULL, &got, NULL), FH_E_INVALID);
    assert_int_equal(fh_wire_responses_input(doc, "resp_1", NULL, NULL, &kept, NULL), FH_E_INVALID);
}

static void an_item_without_content_is_refused_by_name_and_not_for_want_of_memory(void **state)
{
    FH_AUTO(json) fh_json *doc = parsed("{\"model\":\"m\",\"input\":[{\"role\":\"user\"}]}"), *kept = NULL;
    assert_int_equal(fh_wire_responses_input(doc, "resp_1", NULL, NULL, &kept, NULL), 0);
    expect_refusal("{\"model\":\"m\",\"input\":[{\"role\":\"user\"}]}", "input[0].content");
}

static void errors_of_the_chat_request_name_the_field_that_was_sent(void **state)
{
    static const char *const rows[][2] = {{"messages[2].content[0]", "input"},      {"response_format.type", "text.format"},
                                          {"reasoning_effort", "reasoning.effort"}, {"max_completion_tokens", "max_output_tokens"},
                                          {"temperature", "temperature"},           {"messagesx", "messagesx"}};
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        fh_err *err = NULL;
        fh_err_set(&err, FH_E_INVALID, "no");
        fh_err_param(&err, "%s", rows[i][0]);
        fh_wire_responses_err(&err);
        assert_string_equal(fh_err_param_get(err), rows[i][1]);
        fh_err_free(err);
    }
    fh_wire_responses_err(NULL);
}

/* Input that is kept. */

static const fh_json *find_item(void *ctx, fh_str id)
{
    return fh_str_eqs(id, "msg_old") ? ctx : NULL;
}

static void kept_input_is_whole_items(void **state)
{
    FH_AUTO(json) fh_json *a = parsed("{\"input\":\"Hi\"}"), *got = NULL, *again = NULL;
    FH_AUTO(json) fh_json *old = parsed("{\"type\":\"message\",\"id\":\"msg_old\",\"role\":\"assistant\",\"content\":\"Old\"}");
    FH_AUTO(json)
    fh_json *b = parsed("{\"input\":[{\"role\":\"assistant\",\"content\":\"A\"},{\"type\":\"item_reference\",\"id\":\"msg_old\"},{\"type\":"
                        "\"function_call_output\",\"id\":\"x\",\"call_id\":\"c\",\"output\":\"o\",\"status\":null}]}");
    assert_int_equal(fh_wire_responses_input(a, "resp_7", NULL, NULL, &got, NULL), 0);
    expect_json(got, "[{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"Hi\"}],\"id\":\"msg_7_i0\","
                     "\"status\":\"completed\"}]");
    assert_int_equal(fh_wire_responses_input(b, "7", find_item, old, &again, NULL), 0);
    expect_json(
        again,
        "[{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"A\",\"annotations\":[]}],\"id\":"
        "\"msg_7_i0\",\"status\":\"completed\"},{\"type\":\"message\",\"id\":\"msg_old\",\"role\":\"assistant\",\"content\":[{\"type\":"
        "\"output_text\",\"text\":\"Old\",\"annotations\":[]}],\"status\":\"completed\"},{\"type\":\"function_call_output\",\"id\":\"x\","
        "\"call_id\":\"c\",\"output\":\"o\",\"status\":\"completed\"}]");
}

static void a_reference_to_nothing_is_named(void **state)
{
    FH_AUTO(json) fh_json *doc = parsed("{\"input\":[{\"type\":\"item_reference\",\"id\":\"msg_gone\"}]}"), *got = NULL;
    fh_err *err = NULL;
    assert_int_equal(fh_wire_responses_input(doc, "resp_7", find_item, NULL, &got, &err), FH_E_INVALID);
    assert_string_equal(fh_err_param_get(err), "input[0].id");
    fh_err_free(err);
}

static const char *const rich =
    "{\"model\":\"m\",\"instructions\":\"I\",\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"a\"},{\"type\":"
    "\"input_image\",\"image_url\":\"u\"},{\"type\":\"input_file\",\"file_data\":\"d\"}]},{\"type\":\"reasoning\",\"content\":[{\"text\":"
    "\"t\"}]},{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\",\"arguments\":\"{}\"},{\"type\":\"function_call_output\","
    "\"call_id\":\"c\",\"output\":\"o\"}]," TOOLS ",\"tool_choice\":{\"type\":\"allowed_tools\",\"tools\":[{\"type\":\"function\",\"name\":"
    "\"a\"}]},\"text\":{\"verbosity\":\"low\",\"format\":{\"type\":\"json_schema\",\"schema\":{}}},\"reasoning\":{\"effort\":\"low\"},"
    "\"stream\":true,\"top_logprobs\":1,\"max_output_tokens\":5,\"seed\":1,\"prompt_cache_options\":{}}";

static int translate(void *doc)
{
    FH_AUTO(json) fh_json *chat = NULL, *items = NULL;
    fh_err *err = NULL;
    int rc = fh_wire_responses_to_chat(doc, NULL, &chat, &err);
    if (rc == 0) rc = fh_wire_responses_input(doc, "resp_1", NULL, NULL, &items, &err);
    assert_true(rc == 0 || (rc == FH_E_NOMEM && err));
    fh_err_free(err);
    return rc;
}

static void translating_survives_any_failed_allocation(void **state)
{
    FH_AUTO(json) fh_json *doc = parsed(rich);
    assert_true(fh_torture(FH_FAULT_ALLOC, translate, doc, 2000) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_string_is_a_message_of_the_user),
        cmocka_unit_test(instructions_come_first),
        cmocka_unit_test(messages_keep_their_role_and_order),
        cmocka_unit_test(parts_become_parts),
        cmocka_unit_test(what_the_assistant_did_in_one_turn_is_one_message),
        cmocka_unit_test(two_answers_in_a_row_are_two_messages),
        cmocka_unit_test(the_past_stands_between_instructions_and_input),
        cmocka_unit_test(fields_get_their_chat_names),
        cmocka_unit_test(formats_move_from_text),
        cmocka_unit_test(tools_are_wrapped_and_chosen),
        cmocka_unit_test(tools_that_are_not_allowed_are_not_shown),
        cmocka_unit_test(what_is_not_done_is_refused_by_name),
        cmocka_unit_test(wrong_fields_are_named),
        cmocka_unit_test(wrong_items_are_named),
        cmocka_unit_test(conversations_have_a_longest),
        cmocka_unit_test(an_item_without_content_is_refused_by_name_and_not_for_want_of_memory),
        cmocka_unit_test(errors_of_the_chat_request_name_the_field_that_was_sent),
        cmocka_unit_test(kept_input_is_whole_items),
        cmocka_unit_test(a_reference_to_nothing_is_named),
        cmocka_unit_test(translating_survives_any_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
