/* Requests of the Messages API as chat requests: what each field becomes, what is refused, and which field is named. */
#include "cmocka_all.h"
#include "torture.h"
#include "wire/messages.h"
#include "wire/openai.h"
#include <stdio.h>

typedef int translate(const fh_json *doc, fh_json **ret, fh_err **ret_native, fh_err **err);

static int try_text(translate *way, const char *text, fh_buf *out, fh_err **native, fh_err **err)
{
    FH_AUTO(json) fh_json *doc = NULL, *chat = NULL;
    int rc = fh_json_parse(&doc, fh_str_of(text), 1 << 20, err);
    if (rc == 0) rc = way(doc, &chat, native, err);
    return rc == 0 ? fh_json_write(chat, out, err) : rc;
}

/* tail: what stands in the chat request behind the model and max_tokens; the result is one that a chat parser takes. */
static void expect(const char *request, const char *tail)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20), want = FH_BUF(1 << 20), text = FH_BUF(1 << 20);
    fh_err *err = NULL;
    fh_wire_request chat = {0};
    fh_buf_addf(&text, "{\"model\":\"m\",\"max_tokens\":2000,%s}", request);
    fh_buf_addf(&want, "{\"model\":\"m\",\"max_tokens\":2000,%s}", tail);
    if (try_text(fh_wire_messages_to_chat, fh_buf_cstr(&text), &out, NULL, &err) < 0)
        fail_msg("%s: %s: %s", request, fh_err_param_get(err) ? fh_err_param_get(err) : "", fh_err_message(err));
    assert_string_equal(fh_buf_cstr(&out), fh_buf_cstr(&want));
    if (fh_wire_chat_parse(&chat, (fh_str){out.data, out.len}, &err) < 0) fail_msg("%s: %s", fh_buf_cstr(&out), fh_err_message(err));
    fh_wire_request_fini(&chat);
}

#define USER_HI   "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define BLOCKS(b) "\"messages\":[{\"role\":\"user\",\"content\":[" b "]}]"

static void text_is_text(void **state)
{
    expect(USER_HI, USER_HI);
    expect(BLOCKS("{\"type\":\"text\",\"text\":\"hi\",\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"1h\"},\"citations\":null}"),
           USER_HI);
    expect(BLOCKS("{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}"),
           BLOCKS("{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}"));
}

static void the_system_prompt_stands_first(void **state)
{
    expect("\"system\":\"be kind\"," USER_HI,
           "\"messages\":[{\"role\":\"system\",\"content\":\"be kind\"},{\"role\":\"user\",\"content\":\"hi\"}]");
    expect("\"system\":[{\"type\":\"text\",\"text\":\"x-anthropic-billing-header: cc_version=2; "
           "cch=a51;\"},{\"type\":\"text\",\"text\":\"be\","
           "\"cache_control\":{\"type\":\"ephemeral\"}}]," USER_HI,
           "\"messages\":[{\"role\":\"system\",\"content\":\"be\"},{\"role\":\"user\",\"content\":\"hi\"}]");
    expect("\"system\":\"\"," USER_HI, USER_HI);
    expect("\"system\":\"a\",\"messages\":[{\"role\":\"system\",\"content\":\"b\"},{\"role\":\"user\",\"content\":\"hi\"},"
           "{\"role\":\"system\",\"content\":\"c\",\"clear_at\":\"never\"}]",
           "\"messages\":[{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]},"
           "{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"system\",\"content\":\"c\"}]");
}

static void neighbours_of_one_role_are_one_turn(void **state)
{
    expect("\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"},{\"role\":\"assistant\",\"content\":"
           "\"c\"},"
           "{\"role\":\"assistant\",\"content\":\"d \"},{\"role\":\"user\",\"content\":\"e\"}]",
           "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]},"
           "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"c\"},{\"type\":\"text\",\"text\":\"d \"}]},"
           "{\"role\":\"user\",\"content\":\"e\"}]");
}

static void an_assistant_at_the_end_is_continued(void **state)
{
    expect("\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"The best answer is (\"}]",
           "\"continue_final_message\":true,\"add_generation_prompt\":false,\"messages\":[{\"role\":\"user\",\"content\":\"a\"},"
           "{\"role\":\"assistant\",\"content\":\"The best answer is (\"}]");
    expect("\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":[]}]",
           "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]");
}

static void images_become_image_urls(void **state)
{
    expect(
        BLOCKS("{\"type\":\"text\",\"text\":\"see\"},{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/"
               "png\",\"data\":"
               "\"AAEC/+==\"},\"transformations\":{\"oversized_image\":\"downsize\"}},"
               "{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://example.org/a.png\"}}"),
        BLOCKS("{\"type\":\"text\",\"text\":\"see\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AAEC/+==\"}},"
               "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://example.org/a.png\"}}"));
}

static void documents_become_files_or_text(void **state)
{
    expect(BLOCKS("{\"type\":\"document\",\"source\":{\"type\":\"base64\",\"media_type\":\"application/"
                  "pdf\",\"data\":\"AAEC\"},\"title\":\"t.pdf\","
                  "\"context\":\"c\",\"citations\":{\"enabled\":false}}"),
           BLOCKS("{\"type\":\"text\",\"text\":\"c\"},{\"type\":\"file\",\"file\":{\"file_data\":\"data:application/pdf;base64,AAEC\","
                  "\"filename\":\"t.pdf\"}}"));
    expect(BLOCKS("{\"type\":\"document\",\"source\":{\"type\":\"text\",\"media_type\":\"text/plain\",\"data\":\"body\"},\"title\":\"T\"}"),
           BLOCKS("{\"type\":\"text\",\"text\":\"T\"},{\"type\":\"text\",\"text\":\"body\"}"));
    expect(
        BLOCKS(
            "{\"type\":\"document\",\"source\":{\"type\":\"content\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"image\","
            "\"source\":{\"type\":\"url\",\"url\":\"https://e/"
            "\"}}]}},{\"type\":\"document\",\"source\":{\"type\":\"content\",\"content\":\"b\"}}"),
        BLOCKS("{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://e/"
               "\"}},{\"type\":\"text\",\"text\":"
               "\"b\"}"));
    expect(BLOCKS("{\"type\":\"search_result\",\"source\":\"https://s\",\"title\":\"T\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}]}"),
           BLOCKS("{\"type\":\"text\",\"text\":\"T\"},{\"type\":\"text\",\"text\":\"https://s\"},{\"type\":\"text\",\"text\":\"a\"}"));
}

#define TOOLS_F  "\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}]"
#define CHAT_F   "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}}]"
#define USE(id)  "{\"type\":\"tool_use\",\"id\":\"" id "\",\"name\":\"f\",\"input\":{\"a\":1}}"
#define CALL(id) "{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}"

static void calls_and_results_become_messages(void **state)
{
    expect(
        "\"messages\":[{\"role\":\"user\",\"content\":\"go\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":"
        "\"hm\","
        "\"signature\":\"x\"},{\"type\":\"text\",\"text\":\"I look\"}," USE("t1") "," USE(
            "functions.f:2") "]},"
                             "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t1\",\"content\":\"15\"},"
                             "{\"type\":\"tool_result\",\"tool_use_id\":\"functions.f:2\",\"is_error\":true,\"content\":[{\"type\":"
                             "\"text\",\"text\":\"no\"},"
                             "{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://e/"
                             "\"}}]},{\"type\":\"text\",\"text\":\"and?\"}]}]",
        "\"messages\":[{\"role\":\"user\",\"content\":\"go\"},{\"role\":\"assistant\",\"content\":\"I look\",\"reasoning_content\":\"hm\","
        "\"tool_calls\":[" CALL("t1") "," CALL(
            "functions.f:2") "]},{\"role\":\"tool\",\"tool_call_id\":\"t1\",\"content\":\"15\"},"
                             "{\"role\":\"tool\",\"tool_call_id\":\"functions.f:2\",\"content\":[{\"type\":\"text\",\"text\":\"Error: "
                             "no\"},{\"type\":\"image_url\","
                             "\"image_url\":{\"url\":\"https://e/\"}}]},{\"role\":\"user\",\"content\":\"and?\"}]");
    expect("\"messages\":[{\"role\":\"user\",\"content\":\"go\"},{\"role\":\"assistant\",\"content\":[" USE(
               "t1") "]},{\"role\":\"user\","
                     "\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t1\"}]},{\"role\":\"assistant\",\"content\":[" USE(
                         "t2") "]},"
                               "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t2\",\"is_error\":true}]}]",
           "\"messages\":[{\"role\":\"user\",\"content\":\"go\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[" CALL(
               "t1") "]},"
                     "{\"role\":\"tool\",\"tool_call_id\":\"t1\",\"content\":\"\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":"
                     "[" CALL("t2") "]},{\"role\":\"tool\",\"tool_call_id\":\"t2\",\"content\":\"Error: \"}]");
}

static void tools_become_functions(void **state)
{
    expect("\"tools\":[{\"type\":\"custom\",\"name\":\"f\",\"description\":\"d\",\"strict\":true,\"input_schema\":{\"type\":\"object\"},"
           "\"input_examples\":[{\"a\":1}],\"eager_input_streaming\":true,\"defer_loading\":false,\"allowed_callers\":[\"direct\"],"
           "\"cache_control\":{\"type\":\"ephemeral\"}}]," USER_HI,
           "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\",\"parameters\":{\"type\":\"object\","
           "\"examples\":"
           "[{\"a\":1}]},\"strict\":true}}]," USER_HI);
    expect(TOOLS_F ",\"tool_choice\":{\"type\":\"any\"}," USER_HI, CHAT_F ",\"tool_choice\":\"required\"," USER_HI);
    expect(TOOLS_F ",\"tool_choice\":{\"type\":\"auto\",\"disable_parallel_tool_use\":true}," USER_HI,
           CHAT_F ",\"tool_choice\":\"auto\",\"parallel_tool_calls\":false," USER_HI);
    expect(TOOLS_F ",\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\"}," USER_HI,
           CHAT_F ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}," USER_HI);
    expect(TOOLS_F ",\"tool_choice\":{\"type\":\"none\"}," USER_HI, CHAT_F ",\"tool_choice\":\"none\"," USER_HI);
    expect("\"tools\":[],\"tool_choice\":{\"type\":\"auto\"}," USER_HI, USER_HI);
}

static void sampling_and_streams_are_said_alike(void **state)
{
    expect(
        "\"temperature\":0.5,\"top_p\":0.9,\"top_k\":40,\"stop_sequences\":[\"a\",\"b\"],\"stream\":true,\"seed\":7,\"min_p\":0.1," USER_HI,
        "\"temperature\":0.5,\"top_p\":0.9,\"top_k\":40,\"stop\":[\"a\",\"b\"],\"stream\":true,\"stream_options\":{\"include_usage\":true}"
        "," USER_HI ",\"seed\":7,\"min_p\":0.1");
    expect(
        "\"stop_sequences\":[],\"stream\":false,\"service_tier\":\"standard_only\",\"speed\":\"standard\",\"metadata\":{\"user_id\":\"u\"},"
        "\"cache_control\":{\"type\":\"ephemeral\"},\"container\":null,\"mcp_servers\":[],\"context_management\":{}," USER_HI,
        "\"user\":\"u\",\"service_tier\":\"default\"," USER_HI);
}

#define SWITCH(b) "\"chat_template_kwargs\":{\"enable_thinking\":" b ",\"thinking\":" b "}"

static void thinking_becomes_effort_and_a_switch(void **state)
{
    expect("\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024,\"display\":\"omitted\"}," USER_HI,
           "\"thinking_budget_tokens\":1024,\"reasoning_effort\":\"low\"," SWITCH("true") "," USER_HI);
    expect("\"thinking\":{\"type\":\"disabled\"},\"output_config\":{\"effort\":\"high\"}," USER_HI,
           "\"reasoning_effort\":\"none\"," SWITCH("false") "," USER_HI);
    expect("\"thinking\":{\"type\":\"adaptive\"},\"output_config\":{\"effort\":\"max\"},\"chat_template_kwargs\":{\"x\":1}," USER_HI,
           "\"chat_template_kwargs\":{\"enable_thinking\":true,\"thinking\":true,\"x\":1},\"reasoning_effort\":\"max\"," USER_HI);
    expect("\"output_config\":{\"effort\":null},\"chat_template_kwargs\":{\"x\":1}," USER_HI,
           USER_HI ",\"chat_template_kwargs\":{\"x\":1}");
}

#define FORMAT                                                                                                                             \
    "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"output\",\"strict\":true,\"schema\":{\"type\":\"object\"}}" \
    "}"

#define THOUGHT(t)                                                                                                                         \
    "{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"" t                                                        \
    "\",\"signature\":\"\"},{\"type\":\"text\",\"text\":\"x\"}]}"
#define REASONED(t) "{\"role\":\"assistant\",\"content\":\"x\",\"reasoning_content\":\"" t "\"}"
#define FORGOT      "{\"role\":\"assistant\",\"content\":\"x\"}"
#define HI          "{\"role\":\"user\",\"content\":\"hi\"}"
#define TALK(a, b)  "\"messages\":[" HI "," a "," HI "," b "," HI "]"
#define CLEAR(keep) "\"context_management\":{\"edits\":[{\"type\":\"clear_thinking_20251015\"" keep "}]},"

static void thoughts_of_earlier_turns_are_cleared_as_asked(void **state)
{
    expect(TALK(THOUGHT("a"), THOUGHT("b")), TALK(REASONED("a"), REASONED("b")));
    expect(CLEAR(",\"keep\":\"all\"") TALK(THOUGHT("a"), THOUGHT("b")), TALK(REASONED("a"), REASONED("b")));
    expect(CLEAR(",\"keep\":{\"type\":\"all\"}") TALK(THOUGHT("a"), THOUGHT("b")), TALK(REASONED("a"), REASONED("b")));
    expect(CLEAR("") TALK(THOUGHT("a"), THOUGHT("b")), TALK(FORGOT, REASONED("b")));
    expect(CLEAR(",\"keep\":{\"type\":\"thinking_turns\",\"value\":2}") TALK(THOUGHT("a"), THOUGHT("b")),
           TALK(REASONED("a"), REASONED("b")));
    expect("\"context_management\":{\"edits\":[]}," TALK(THOUGHT("a"), THOUGHT("b")), TALK(REASONED("a"), REASONED("b")));
}

static void a_schema_becomes_a_response_format(void **state)
{
    expect("\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{\"type\":\"object\"}}}," USER_HI, FORMAT "," USER_HI);
    expect("\"output_format\":{\"type\":\"json_schema\",\"schema\":{\"type\":\"object\"}}," USER_HI, FORMAT "," USER_HI);
}

static void counting_needs_no_limit_and_carries_no_sampling(void **state)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    fh_err *err = NULL;
    int rc = try_text(
        fh_wire_messages_count_to_chat,
        "{\"model\":\"m\",\"system\":\"s\",\"temperature\":1,\"stream\":true,\"stop_sequences\":[\"x\"],\"service_tier\":\"auto\"," TOOLS_F
        "," USER_HI "}",
        &out, NULL, &err);
    assert_int_equal(rc, 0);
    assert_string_equal(fh_buf_cstr(&out), "{\"model\":\"m\"," CHAT_F ",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},"
                                           "{\"role\":\"user\",\"content\":\"hi\"}]}");
    fh_buf_clear(&out);
    assert_true(fh_wire_messages_count_write(&out, 2095));
    assert_string_equal(fh_buf_cstr(&out), "{\"input_tokens\":2095}");
}

typedef struct bad {
    const char *request, *param, *says; /* request: behind the model and max_tokens */
} bad;

static void expect_bad(const bad *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20), text = FH_BUF(1 << 20);
        fh_err *err = NULL;
        bool whole = rows[i].request[0] == '{';
        fh_buf_addf(&text, whole ? "%s" : "{\"model\":\"m\",\"max_tokens\":2000,%s}", rows[i].request);
        int rc = try_text(fh_wire_messages_to_chat, fh_buf_cstr(&text), &out, NULL, &err);
        if (rc != FH_E_INVALID) fail_msg("%s: %d %s", rows[i].request, rc, fh_buf_cstr(&out));
        const char *param = fh_err_param_get(err) ? fh_err_param_get(err) : "";
        if (strcmp(param, rows[i].param) != 0) fail_msg("%s: param %s", rows[i].request, param);
        if (!strstr(fh_err_message(err), rows[i].says)) fail_msg("%s: %s", rows[i].request, fh_err_message(err));
        fh_err_free(err);
    }
}

static void a_bad_field_is_named(void **state)
{
    static const bad rows[] = {
        {"{\"max_tokens\":1," USER_HI "}", "model", "missing"},
        {"{\"model\":\"\",\"max_tokens\":1," USER_HI "}", "model", "empty"},
        {"{\"model\":\"m\"," USER_HI "}", "max_tokens", "missing"},
        {"{\"model\":\"m\",\"max_tokens\":-1," USER_HI "}", "max_tokens", "between"},
        {"{\"model\":\"m\",\"max_tokens\":0," USER_HI "}", "max_tokens", "filling the cache"},
        {"\"x\":1", "messages", "missing"},
        {"\"messages\":[]", "messages", "at least one"},
        {"\"messages\":7", "messages", "array"},
        {"\"messages\":[{\"role\":\"assistant\",\"content\":\"\"}]", "messages", "nothing"},
        {USER_HI ",\"temperature\":1.1", "temperature", "between 0 and 1"},
        {USER_HI ",\"top_p\":2", "top_p", "between"},
        {USER_HI ",\"top_k\":-1", "top_k", "between"},
        {USER_HI ",\"stream\":1", "stream", "true or false"},
        {USER_HI ",\"stop_sequences\":\"x\"", "stop_sequences", "array"},
        {USER_HI ",\"stop_sequences\":[\"\"]", "stop_sequences[0]", "1 to"},
        {USER_HI ",\"stop_sequences\":[\"a\",7]", "stop_sequences[1]", "1 to"},
        {USER_HI ",\"system\":7", "system", "string or an array"},
        {USER_HI ",\"system\":[{\"type\":\"image\"}]", "system[0].type", "no block of type 'image' in system prompts"},
        {USER_HI ",\"system\":[{\"type\":\"text\",\"text\":\"\"}]", "system[0].text", "non-empty"},
        {USER_HI ",\"metadata\":{\"user\":\"u\"}", "metadata.user", "no field 'user'"},
        {USER_HI ",\"metadata\":{\"user_id\":7}", "metadata.user_id", "string"},
        {USER_HI ",\"service_tier\":\"flex\"", "service_tier", "auto or standard_only"},
        {USER_HI ",\"speed\":\"warp\"", "speed", "standard or fast"},
        {USER_HI ",\"cache_control\":{\"type\":\"forever\"}", "cache_control.type", "ephemeral"},
        {USER_HI ",\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"1d\"}", "cache_control.ttl", "5m or 1h"},
        {USER_HI ",\"thinking\":{\"type\":\"enabled\"}", "thinking.budget_tokens", "missing"},
        {USER_HI ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":100}", "thinking.budget_tokens", "between 1024"},
        {USER_HI ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000}", "thinking.budget_tokens", "less than 'max_tokens'"},
        {USER_HI ",\"thinking\":{\"type\":\"adaptive\",\"budget_tokens\":1024}", "thinking.budget_tokens", "alone"},
        {USER_HI ",\"thinking\":{\"type\":\"deep\"}", "thinking.type", "enabled, disabled"},
        {USER_HI ",\"thinking\":{\"type\":\"adaptive\",\"display\":\"loud\"}", "thinking.display", "summarized"},
        {USER_HI ",\"thinking\":true", "thinking", "object"},
        {USER_HI ",\"output_config\":{\"effort\":\"none\"}", "output_config.effort", "low, medium"},
        {USER_HI ",\"output_config\":{\"format\":{\"type\":\"json_object\"}}", "output_config.format.type", "json_schema"},
        {USER_HI ",\"output_config\":{\"format\":{\"type\":\"json_schema\"}}", "output_config.format.schema", "object"},
        {USER_HI ",\"output_config\":{\"x\":1}", "output_config.x", "no field"},
        {USER_HI ",\"output_format\":{},\"output_config\":{\"format\":{}}", "output_format", "older name"},
        {USER_HI ",\"n\":2", "n", "no field 'n'"},
        {USER_HI ",\"context_management\":{\"edits\":{}}", "context_management.edits", "array"},
        {USER_HI
         ",\"context_management\":{\"edits\":[{\"type\":\"clear_thinking_20251015\",\"keep\":{\"type\":\"thinking_turns\",\"value\":0}}]}",
         "context_management.edits[0].keep", "above 0"},
        {USER_HI ",\"response_format\":{}", "response_format", "no field"},
    };
    expect_bad(rows, FH_COUNT(rows));
}

static void a_bad_message_is_named(void **state)
{
#define MSGS(m)    "\"messages\":[" m "]"
#define GO         "{\"role\":\"user\",\"content\":\"go\"},"
#define ASKED      "{\"role\":\"assistant\",\"content\":[" USE("t1") "," USE("t2") "]}"
#define RESULT(id) "{\"type\":\"tool_result\",\"tool_use_id\":\"" id "\"}"
    static const bad rows[] = {
        {MSGS("7"), "messages[0]", "object"},
        {MSGS("{\"content\":\"x\"}"), "messages[0].role", "missing"},
        {MSGS("{\"role\":\"tool\",\"content\":\"x\"}"), "messages[0].role", "user, assistant or system"},
        {MSGS("{\"role\":\"user\"}"), "messages[0].content", "string or an array"},
        {MSGS("{\"role\":\"user\",\"content\":\"\"}"), "messages[0].content", "non-empty"},
        {MSGS("{\"role\":\"user\",\"content\":[]}"), "messages[0].content", "non-empty"},
        {MSGS(GO "{\"role\":\"assistant\",\"content\":\"\"},{\"role\":\"user\",\"content\":\"x\"}"), "messages[1].content", "non-empty"},
        {MSGS("{\"role\":\"user\",\"content\":\"x\",\"name\":\"n\"}"), "messages[0].name", "no field 'name'"},
        {BLOCKS("7"), "messages[0].content[0]", "object"},
        {BLOCKS("{}"), "messages[0].content[0].type", "needs a 'type'"},
        {BLOCKS("{\"type\":\"video\"}"), "messages[0].content[0].type", "'video'"},
        {BLOCKS("{\"type\":\"thinking\",\"thinking\":\"x\",\"signature\":\"\"}"), "messages[0].content[0].type", "messages of the user"},
        {BLOCKS("{\"type\":\"text\"}"), "messages[0].content[0].text", "missing"},
        {BLOCKS("{\"type\":\"text\",\"text\":\"\"}"), "messages[0].content[0].text", "non-empty"},
        {BLOCKS("{\"type\":\"text\",\"text\":\"a\",\"colour\":1}"), "messages[0].content[0].colour", "no field"},
        {BLOCKS("{\"type\":\"image\"}"), "messages[0].content[0].source", "object"},
        {BLOCKS("{\"type\":\"image\",\"source\":{\"type\":\"path\"}}"), "messages[0].content[0].source.type", "base64, url"},
        {BLOCKS("{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"file:///etc\"}}"), "messages[0].content[0].source.url",
         "https"},
        {BLOCKS("{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/tiff\",\"data\":\"AAAA\"}}"),
         "messages[0].content[0].source.media_type", "media type"},
        {BLOCKS("{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"A A=\"}}"),
         "messages[0].content[0].source.data", "base64"},
        {BLOCKS("{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"\"}}"),
         "messages[0].content[0].source.data", "base64"},
        {BLOCKS("{\"type\":\"document\",\"source\":{\"type\":\"text\",\"media_type\":\"text/html\",\"data\":\"x\"}}"),
         "messages[0].content[0].source.media_type", "text/plain"},
        {BLOCKS("{\"type\":\"search_result\",\"source\":\"s\",\"title\":\"t\",\"content\":[{\"type\":\"document\"}]}"),
         "messages[0].content[0].content[0].type", "in sources"},
        {MSGS(GO ASKED), "messages[1]", "'t1' has no tool_result"},
        {MSGS(GO ASKED ",{\"role\":\"user\",\"content\":\"x\"}"), "messages[2].content", "begins with"},
        {MSGS(GO ASKED ",{\"role\":\"user\",\"content\":[" RESULT("t1") "]},{\"role\":\"assistant\",\"content\":\"x\"}"), "messages[3]",
         "'t2' has no tool_result"},
        {MSGS(GO ASKED ",{\"role\":\"user\",\"content\":[" RESULT("t1") ",{\"type\":\"text\",\"text\":\"x\"}," RESULT("t2") "]}"),
         "messages[2].content[1]", "1 are missing"},
        {MSGS(GO ASKED ",{\"role\":\"system\",\"content\":\"x\"},{\"role\":\"user\",\"content\":[" RESULT("t1") "," RESULT("t2") "]}"),
         "messages[3]", "no tool_result"},
        {MSGS(GO ASKED ",{\"role\":\"user\",\"content\":[" RESULT("t1") "," RESULT("t1") "]}"), "messages[2].content[1].tool_use_id",
         "two for 't1'"},
        {BLOCKS(RESULT("t9")), "messages[0].content[0].tool_use_id", "'t9' is no tool_use of the message before"},
        {MSGS(GO "{\"role\":\"assistant\",\"content\":[" USE("t1") "," USE("t1") "]}"), "messages[1].content[1].id", "unique"},
        {MSGS(GO "{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"\",\"name\":\"f\",\"input\":{}}]}"),
         "messages[1].content[0].id", "1 to"},
        {MSGS(GO "{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":\"{}\"}]}"),
         "messages[1].content[0].input", "object"},
        {MSGS(GO "{\"role\":\"assistant\",\"content\":\"so \"}"), "messages[1].content", "white space"},
        {MSGS(GO "{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"x\",\"signature\":\"\"}]}"),
         "messages[1].content", "thought"},
    };
    expect_bad(rows, FH_COUNT(rows));
}

static void a_bad_tool_is_named(void **state)
{
#define TOOL(t) "\"tools\":[" t "]," USER_HI
    static const bad rows[] = {
        {"\"tools\":{}," USER_HI, "tools", "array"},
        {TOOL("7"), "tools[0]", "object"},
        {TOOL("{\"input_schema\":{\"type\":\"object\"}}"), "tools[0].name", "missing"},
        {TOOL("{\"name\":\"\",\"input_schema\":{\"type\":\"object\"}}"), "tools[0].name", "1 to"},
        {TOOL("{\"name\":\"f\"}"), "tools[0].input_schema", "object"},
        {TOOL("{\"name\":\"f\",\"input_schema\":{\"type\":\"array\"}}"), "tools[0].input_schema.type", "object"},
        {TOOL("{\"name\":\"f\",\"parameters\":{},\"input_schema\":{\"type\":\"object\"}}"), "tools[0].parameters", "no field"},
        {TOOL("{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}},{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}"),
         "tools[1].name", "unique"},
        {TOOLS_F ",\"tool_choice\":\"auto\"," USER_HI, "tool_choice", "object"},
        {TOOLS_F ",\"tool_choice\":{\"type\":\"some\"}," USER_HI, "tool_choice.type", "auto, any"},
        {TOOLS_F ",\"tool_choice\":{\"type\":\"tool\"}," USER_HI, "tool_choice.name", "missing"},
        {TOOLS_F ",\"tool_choice\":{\"type\":\"tool\",\"name\":\"g\"}," USER_HI, "tool_choice.name", "no tool"},
        {TOOLS_F ",\"tool_choice\":{\"type\":\"auto\",\"name\":\"f\"}," USER_HI, "tool_choice.name", "alone"},
        {"\"tool_choice\":{\"type\":\"any\"}," USER_HI, "tool_choice", "with 'tools'"},
    };
    expect_bad(rows, FH_COUNT(rows));
}

/* What only an upstream of this API can do: refused by name where it is not one, else written down. */
static void what_is_native_is_refused_by_name_or_written_down(void **state)
{
    static const bad rows[] = {
        {USER_HI ",\"container\":\"c\"", "container", "a container"},
        {USER_HI ",\"mcp_servers\":[{\"url\":\"u\"}]", "mcp_servers", "MCP"},
        {USER_HI ",\"context_management\":{\"edits\":[{\"type\":\"compact_20260112\"}]}", "context_management.edits[0]",
         "edit of the context"},
        {USER_HI ",\"thinking\":{\"type\":\"adaptive\",\"display\":\"updates\"}", "thinking.display", "summary"},
        {USER_HI ",\"thinking\":{\"type\":\"adaptive\",\"block_binding\":{}}", "thinking.block_binding", "whose"},
        {USER_HI ",\"diagnostics\":{\"previous_message_id\":null}", "diagnostics", "report"},
        {USER_HI ",\"inference_geo\":\"eu\"", "inference_geo", "region"},
        {USER_HI ",\"speed\":\"fast\"", "speed", "speed"},
        {USER_HI ",\"thinking\":{\"type\":\"between_tools\"}", "thinking.type", "between"},
        {USER_HI ",\"output_config\":{\"task_budget\":{}}", "output_config.task_budget", "budget"},
        {"\"tools\":[{\"type\":\"web_search_20260318\",\"name\":\"web_search\"}]," USER_HI, "tools[0]", "'web_search_20260318'"},
        {"\"tools\":[{\"name\":\"f\",\"defer_loading\":true,\"input_schema\":{\"type\":\"object\"}}]," USER_HI, "tools[0].defer_loading",
         "later"},
        {"\"tools\":[{\"name\":\"f\",\"allowed_callers\":[\"code_execution_20260120\"],\"input_schema\":{\"type\":\"object\"}}]," USER_HI,
         "tools[0].allowed_callers", "call"},
        {BLOCKS("{\"type\":\"image\",\"source\":{\"type\":\"file\",\"file_id\":\"f\"}},{\"type\":\"text\",\"text\":\"x\"}"),
         "messages[0].content[0].source", "file"},
        {BLOCKS("{\"type\":\"document\",\"source\":{\"type\":\"url\",\"url\":\"https://e/\"}},{\"type\":\"text\",\"text\":\"x\"}"),
         "messages[0].content[0].source", "fetched"},
        {BLOCKS("{\"type\":\"document\",\"citations\":{\"enabled\":true},\"source\":{\"type\":\"content\",\"content\":\"x\"}}"),
         "messages[0].content[0].citations", "citing"},
        {BLOCKS("{\"type\":\"text\",\"text\":\"x\",\"citations\":[{}]}"), "messages[0].content[0].citations", "citations"},
        {MSGS(
             GO
             "{\"role\":\"assistant\",\"content\":[{\"type\":\"redacted_thinking\",\"data\":\"x\"},{\"type\":\"text\",\"text\":\"x\"}]}," GO
             "{\"role\":\"user\",\"content\":\"x\"}"),
         "messages[1].content[0]", "'redacted_thinking'"},
        {MSGS(GO
              "{\"role\":\"assistant\",\"content\":[{\"type\":\"server_tool_use\",\"id\":\"s\",\"name\":\"web_search\",\"input\":{}}]}," GO
              "{\"role\":\"user\",\"content\":\"x\"}"),
         "messages[1].content[0]", "'server_tool_use'"},
        {MSGS(GO "{\"role\":\"system\",\"content\":\"x\",\"clear_at\":\"next_user_message\"}"), "messages[1].clear_at", "vanishes"},
    };
    expect_bad(rows, FH_COUNT(rows));
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20), text = FH_BUF(1 << 20);
        fh_err *err = NULL, *native = NULL;
        fh_buf_addf(&text, "{\"model\":\"m\",\"max_tokens\":2000,%s}", rows[i].request);
        if (try_text(fh_wire_messages_to_chat, fh_buf_cstr(&text), &out, &native, &err) < 0) fail_msg("%s", fh_err_message(err));
        assert_string_equal(fh_err_param_get(native), rows[i].param);
        fh_err_free(native);
    }
}

static const char all_of_it[] =
    "{\"model\":\"m\",\"max_tokens\":2000,\"system\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":"
    "\"b\"}],\"stream\":true,"
    "\"stop_sequences\":[\"x\"],\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024},\"metadata\":{\"user_id\":"
    "\"u\"},\"container\":\"c\","
    "\"output_config\":{\"effort\":\"low\",\"format\":{\"type\":\"json_schema\",\"schema\":{\"type\":\"object\"}}},"
    "\"service_tier\":\"auto\","
    "\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"},\"input_examples\":[{}]}],\"tool_choice\":{"
    "\"type\":\"tool\",\"name\":\"f\"},"
    "\"messages\":[" GO ASKED ",{\"role\":\"user\",\"content\":[" RESULT(
        "t1") ",{\"type\":\"tool_result\",\"tool_use_id\":\"t2\",\"is_error\":true,\"content\":\"no\"},"
              "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"AAAA\"}},"
              "{\"type\":\"document\",\"title\":\"t\",\"source\":{\"type\":\"base64\",\"media_type\":\"application/"
              "pdf\",\"data\":\"AAAA\"}}]},"
              "{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"x\",\"signature\":\"\"},{"
              "\"type\":\"text\",\"text\":"
              "\"so\"}]}]}";

static int everything(void *arg)
{
    FH_AUTO(json) fh_json *chat = NULL;
    fh_err *err = NULL, *native = NULL;
    int rc = fh_wire_messages_to_chat(arg, &chat, &native, &err);
    assert_true((rc == 0) == (chat != NULL) && (rc == 0) == (err == NULL));
    fh_err_free(native);
    fh_err_free(err);
    return rc;
}

static void memory_that_runs_out_is_an_error(void **state)
{
    FH_AUTO(json) fh_json *doc = NULL;
    assert_int_equal(fh_json_parse(&doc, fh_str_of(all_of_it), 1 << 20, NULL), 0);
    assert_true(fh_torture(FH_FAULT_ALLOC, everything, doc, 5000) > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_text),
        cmocka_unit_test(the_system_prompt_stands_first),
        cmocka_unit_test(neighbours_of_one_role_are_one_turn),
        cmocka_unit_test(an_assistant_at_the_end_is_continued),
        cmocka_unit_test(images_become_image_urls),
        cmocka_unit_test(documents_become_files_or_text),
        cmocka_unit_test(calls_and_results_become_messages),
        cmocka_unit_test(tools_become_functions),
        cmocka_unit_test(sampling_and_streams_are_said_alike),
        cmocka_unit_test(thinking_becomes_effort_and_a_switch),
        cmocka_unit_test(thoughts_of_earlier_turns_are_cleared_as_asked),
        cmocka_unit_test(a_schema_becomes_a_response_format),
        cmocka_unit_test(counting_needs_no_limit_and_carries_no_sampling),
        cmocka_unit_test(a_bad_field_is_named),
        cmocka_unit_test(a_bad_message_is_named),
        cmocka_unit_test(a_bad_tool_is_named),
        cmocka_unit_test(what_is_native_is_refused_by_name_or_written_down),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
