/* Replies of the Responses API, literally: what the events of an upstream become. */
#include "base/limits.h"
#include "cmocka_all.h"
#include "torture.h"
#include "wire/responses.h"

enum { MAX = 1 << 25 };

#define EV(k, ...) ((fh_wire_event){.kind = FH_EVENT_##k, __VA_ARGS__})
#define TEXT(s)    .text = FH_STR(s)

typedef struct run {
    const char *request;
    bool stream;
    const fh_wire_event *events;
    size_t count;
} run;

static int write_all(const run *r, fh_buf *out, fh_json **final, fh_err **err)
{
    FH_AUTO(json) fh_json *request = NULL;
    FH_AUTO(fh_wire_writer) fh_wire_writer *w = NULL;
    int rc = r->request ? fh_json_parse(&request, fh_str_of(r->request), MAX, err) : 0;
    fh_wire_writer_spec s = {
        .dialect = FH_DIALECT_RESPONSES, .stream = r->stream, .request = request, .id = "1", .model = "m", .created_s = 7};
    if (rc == 0) rc = fh_wire_writer_new(&w, &s, err);
    if (rc == 0) fh_wire_responses_now(w, 9);
    for (size_t i = 0; rc == 0 && i < r->count; i++) {
        assert_null(fh_wire_responses_final(w));
        rc = fh_wire_writer_event(w, &r->events[i], out, err);
    }
    if (rc == 0 && final) *final = fh_json_ref((fh_json *)(uintptr_t)fh_wire_responses_final(w));
    return rc;
}

/* Data lines without their event names, which must be the types; snapshots of the response are cut to status and output. */
static void add_event(fh_buf *seen, const char *event, const char *data)
{
    FH_AUTO(json) fh_json *doc = NULL;
    if (strcmp(data, "[DONE]") == 0) {
        fh_buf_adds(seen, "[DONE]");
        return;
    }
    assert_int_equal(fh_json_parse(&doc, fh_str_of(data), MAX, NULL), 0);
    assert_true(fh_str_eqs(fh_json_str(fh_json_get(doc, "type")), event));
    const fh_json *r = fh_json_get(doc, "response");
    if (!r) {
        fh_buf_addf(seen, "%s\n", data);
        return;
    }
    fh_buf_addf(seen, "%d %s %s ", (int)fh_json_int(fh_json_get(doc, "sequence_number"), -1), event,
                fh_json_str(fh_json_get(r, "status")).ptr);
    assert_int_equal(fh_json_write(fh_json_get(r, "output"), seen, NULL), 0);
    fh_buf_addc(seen, '\n');
}

static void expect_stream(const char *request, const fh_wire_event *events, size_t count, const char *expected)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(MAX), seen = FH_BUF(MAX);
    fh_err *err = NULL;
    const char *event = "";
    run r = {request, true, events, count};
    if (write_all(&r, &out, NULL, &err) != 0) fail_msg("%s", fh_err_message(err));
    for (char *line = strtok(out.data, "\n"); line; line = strtok(NULL, "\n")) {
        if (strncmp(line, "event: ", 7) == 0)
            event = line + 7;
        else
            add_event(&seen, event, line + 6);
    }
    assert_string_equal(fh_buf_cstr(&seen), expected);
}
#define EXPECT_STREAM(request, events, expected) expect_stream(request, events, FH_COUNT(events), expected)

#define MSG(i, status, text)                                                                                                               \
    "{\"id\":\"msg_1_" i "\",\"type\":\"message\",\"status\":\"" status                                                                    \
    "\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\","                                                                    \
    "\"text\":\"" text "\",\"annotations\":[],\"logprobs\":[]}]}"
#define AT(i) "\"item_id\":\"msg_1_" i "\",\"output_index\":" i ",\"content_index\":0"

static void text_is_a_message_with_a_part(void **state)
{
    const fh_wire_event events[] = {EV(BEGIN),
                                    EV(TEXT, TEXT("He\"")),
                                    EV(TEXT, TEXT("y")),
                                    EV(FINISH, .finish = FH_FINISH_STOP),
                                    EV(USAGE, .usage = {.prompt_tok = 3, .completion_tok = 2, .cached_tok = 1}),
                                    EV(END)};
    EXPECT_STREAM(
        "{\"model\":\"x\"}", events,
        "0 response.created in_progress []\n1 response.in_progress in_progress []\n"
        "{\"type\":\"response.output_item.added\",\"sequence_number\":2,\"output_index\":0,\"item\":{\"id\":\"msg_1_0\",\"type\":"
        "\"message\","
        "\"status\":\"in_progress\",\"role\":\"assistant\",\"content\":[]}}\n"
        "{\"type\":\"response.content_part.added\",\"sequence_number\":3," AT(
            "0") ",\"part\":{\"type\":\"output_text\",\"text\":\"\",\"annotations\":[],\"logprobs\":[]}}\n"
                 "{\"type\":\"response.output_text.delta\",\"sequence_number\":4," AT(
                     "0") ",\"delta\":\"He\\\"\",\"logprobs\":[]}\n"
                          "{\"type\":\"response.output_text.delta\",\"sequence_number\":5," AT(
                              "0") ",\"delta\":\"y\",\"logprobs\":[]}\n"
                                   "{\"type\":\"response.output_text.done\",\"sequence_number\":6," AT(
                                       "0") ",\"text\":\"He\\\"y\",\"logprobs\":[]}\n"
                                            "{\"type\":\"response.content_part.done\",\"sequence_number\":7," AT(
                                                "0") ",\"part\":{\"type\":\"output_text\",\"text\":\"He\\\"y\",\"annotations\":[],"
                                                     "\"logprobs\":[]}}\n"
                                                     "{\"type\":\"response.output_item.done\",\"sequence_number\":8,\"output_index\":0,"
                                                     "\"item\":" MSG("0", "completed", "He\\\"y") "}\n9 response.completed completed [" MSG(
                                                         "0", "completed", "He\\\"y") "]\n[DONE]");
}

static void thought_then_words_then_calls_are_items_of_their_own(void **state)
{
    const fh_wire_event events[] = {EV(REASONING, TEXT("hm")),
                                    EV(TEXT, TEXT("I")),
                                    EV(CALL, .call = 0, .id = FH_STR("c1"), .name = FH_STR("f")),
                                    EV(CALL, .call = 1, .id = FH_STR("c1"), .name = FH_STR("g")),
                                    EV(ARGUMENTS, .call = 0, TEXT("{}")),
                                    EV(ARGUMENTS, .call = 1, TEXT("[]")),
                                    EV(FINISH, .finish = FH_FINISH_TOOL_CALLS),
                                    EV(END)};
    EXPECT_STREAM(
        NULL, events,
        "0 response.created in_progress []\n1 response.in_progress in_progress []\n"
        "{\"type\":\"response.output_item.added\",\"sequence_number\":2,\"output_index\":0,\"item\":{\"id\":\"rs_1_0\",\"type\":"
        "\"reasoning\",\"status\":\"in_progress\",\"summary\":[],\"content\":[]}}\n"
        "{\"type\":\"response.content_part.added\",\"sequence_number\":3,\"item_id\":\"rs_1_0\",\"output_index\":0,\"content_index\":0,"
        "\"part\":{\"type\":\"reasoning_text\",\"text\":\"\"}}\n"
        "{\"type\":\"response.reasoning_text.delta\",\"sequence_number\":4,\"item_id\":\"rs_1_0\",\"output_index\":0,\"content_index\":0,"
        "\"delta\":\"hm\"}\n"
        "{\"type\":\"response.reasoning_text.done\",\"sequence_number\":5,\"item_id\":\"rs_1_0\",\"output_index\":0,\"content_index\":0,"
        "\"text\":\"hm\"}\n"
        "{\"type\":\"response.content_part.done\",\"sequence_number\":6,\"item_id\":\"rs_1_0\",\"output_index\":0,\"content_index\":0,"
        "\"part\":{\"type\":\"reasoning_text\",\"text\":\"hm\"}}\n"
        "{\"type\":\"response.output_item.done\",\"sequence_number\":7,\"output_index\":0,\"item\":{\"id\":\"rs_1_0\",\"type\":"
        "\"reasoning\",\"status\":\"completed\",\"summary\":[],\"content\":[{\"type\":\"reasoning_text\",\"text\":\"hm\"}]}}\n"
        "{\"type\":\"response.output_item.added\",\"sequence_number\":8,\"output_index\":1,\"item\":{\"id\":\"msg_1_1\",\"type\":"
        "\"message\","
        "\"status\":\"in_progress\",\"role\":\"assistant\",\"content\":[]}}\n"
        "{\"type\":\"response.content_part.added\",\"sequence_number\":9," AT(
            "1") ",\"part\":{\"type\":\"output_text\",\"text\":\"\",\"annotations\":[],\"logprobs\":[]}}\n"
                 "{\"type\":\"response.output_text.delta\",\"sequence_number\":10," AT(
                     "1") ",\"delta\":\"I\",\"logprobs\":[]}\n"
                          "{\"type\":\"response.output_text.done\",\"sequence_number\":11," AT(
                              "1") ",\"text\":\"I\",\"logprobs\":[]}\n"
                                   "{\"type\":\"response.content_part.done\",\"sequence_number\":12," AT(
                                       "1") ",\"part\":{\"type\":\"output_text\",\"text\":\"I\",\"annotations\":[],\"logprobs\":[]}}\n"
                                            "{\"type\":\"response.output_item.done\",\"sequence_number\":13,\"output_index\":1,"
                                            "\"item\":" MSG(
                                                "1", "completed",
                                                "I") "}\n"
                                                     "{\"type\":\"response.output_item.added\",\"sequence_number\":14,\"output_index\":2,"
                                                     "\"item\":{\"id\":\"fc_1_2\",\"type\":"
                                                     "\"function_call\",\"status\":\"in_progress\",\"call_id\":\"c1\",\"name\":\"f\","
                                                     "\"arguments\":\"\"}}\n"
                                                     "{\"type\":\"response.output_item.added\",\"sequence_number\":15,\"output_index\":3,"
                                                     "\"item\":{\"id\":\"fc_1_3\",\"type\":"
                                                     "\"function_call\",\"status\":\"in_progress\",\"call_id\":\"call_1_3\",\"name\":\"g\","
                                                     "\"arguments\":\"\"}}\n"
                                                     "{\"type\":\"response.function_call_arguments.delta\",\"sequence_number\":16,\"item_"
                                                     "id\":\"fc_1_2\",\"output_index\":2,\"delta\":"
                                                     "\"{}\"}\n"
                                                     "{\"type\":\"response.function_call_arguments.delta\",\"sequence_number\":17,\"item_"
                                                     "id\":\"fc_1_3\",\"output_index\":3,\"delta\":"
                                                     "\"[]\"}\n"
                                                     "{\"type\":\"response.function_call_arguments.done\",\"sequence_number\":18,\"item_"
                                                     "id\":\"fc_1_2\",\"output_index\":2,\"arguments\":"
                                                     "\"{}\",\"name\":\"f\"}\n"
                                                     "{\"type\":\"response.output_item.done\",\"sequence_number\":19,\"output_index\":2,"
                                                     "\"item\":{\"id\":\"fc_1_2\",\"type\":"
                                                     "\"function_call\",\"status\":\"completed\",\"call_id\":\"c1\",\"name\":\"f\","
                                                     "\"arguments\":\"{}\"}}\n"
                                                     "{\"type\":\"response.function_call_arguments.done\",\"sequence_number\":20,\"item_"
                                                     "id\":\"fc_1_3\",\"output_index\":3,\"arguments\":"
                                                     "\"[]\",\"name\":\"g\"}\n"
                                                     "{\"type\":\"response.output_item.done\",\"sequence_number\":21,\"output_index\":3,"
                                                     "\"item\":{\"id\":\"fc_1_3\",\"type\":"
                                                     "\"function_call\",\"status\":\"completed\",\"call_id\":\"call_1_3\",\"name\":\"g\","
                                                     "\"arguments\":\"[]\"}}\n"
                                                     "22 response.completed completed "
                                                     "[{\"id\":\"rs_1_0\",\"type\":\"reasoning\",\"status\":\"completed\",\"summary\":[],"
                                                     "\"content\":[{"
                                                     "\"type\":\"reasoning_text\",\"text\":\"hm\"}]}," MSG(
                                                         "1", "completed",
                                                         "I") ",{\"id\":\"fc_1_2\",\"type\":\"function_call\","
                                                              "\"status\":\"completed\",\"call_id\":\"c1\",\"name\":\"f\",\"arguments\":\"{"
                                                              "}\"},{\"id\":\"fc_1_3\",\"type\":\"function_call\","
                                                              "\"status\":\"completed\",\"call_id\":\"call_1_3\",\"name\":\"g\","
                                                              "\"arguments\":\"[]\"}]\n[DONE]");
}

static void thought_is_its_own_summary_when_one_is_asked_for(void **state)
{
    const fh_wire_event events[] = {EV(REASONING, TEXT("hm")), EV(END)};
    EXPECT_STREAM(
        "{\"reasoning\":{\"summary\":\"auto\"}}", events,
        "0 response.created in_progress []\n1 response.in_progress in_progress []\n"
        "{\"type\":\"response.output_item.added\",\"sequence_number\":2,\"output_index\":0,\"item\":{\"id\":\"rs_1_0\",\"type\":"
        "\"reasoning\",\"status\":\"in_progress\",\"summary\":[]}}\n"
        "{\"type\":\"response.reasoning_summary_part.added\",\"sequence_number\":3,\"item_id\":\"rs_1_0\",\"output_index\":0,"
        "\"summary_index\":0,\"part\":{\"type\":\"summary_text\",\"text\":\"\"}}\n"
        "{\"type\":\"response.reasoning_summary_text.delta\",\"sequence_number\":4,\"item_id\":\"rs_1_0\",\"output_index\":0,"
        "\"summary_index\":0,\"delta\":\"hm\"}\n"
        "{\"type\":\"response.reasoning_summary_text.done\",\"sequence_number\":5,\"item_id\":\"rs_1_0\",\"output_index\":0,"
        "\"summary_index\":0,\"text\":\"hm\"}\n"
        "{\"type\":\"response.reasoning_summary_part.done\",\"sequence_number\":6,\"item_id\":\"rs_1_0\",\"output_index\":0,"
        "\"summary_index\":0,\"part\":{\"type\":\"summary_text\",\"text\":\"hm\"}}\n"
        "{\"type\":\"response.output_item.done\",\"sequence_number\":7,\"output_index\":0,\"item\":{\"id\":\"rs_1_0\",\"type\":"
        "\"reasoning\",\"status\":\"completed\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"hm\"}]}}\n"
        "8 response.completed completed [{\"id\":\"rs_1_0\",\"type\":\"reasoning\",\"status\":\"completed\",\"summary\":[{\"type\":"
        "\"summary_text\",\"text\":\"hm\"}]}]\n[DONE]");
}

static void an_error_is_said_and_the_response_has_failed(void **state)
{
    fh_err *e = NULL;
    fh_err_set(&e, FH_E_UPSTREAM, "it broke");
    const fh_wire_event events[] = {EV(REFUSAL, TEXT("No")), EV(ERROR, .err = e)};
    EXPECT_STREAM(
        NULL, events,
        "0 response.created in_progress []\n1 response.in_progress in_progress []\n"
        "{\"type\":\"response.output_item.added\",\"sequence_number\":2,\"output_index\":0,\"item\":{\"id\":\"msg_1_0\",\"type\":"
        "\"message\","
        "\"status\":\"in_progress\",\"role\":\"assistant\",\"content\":[]}}\n"
        "{\"type\":\"response.content_part.added\",\"sequence_number\":3," AT(
            "0") ",\"part\":{\"type\":\"refusal\",\"refusal\":\"\"}}\n"
                 "{\"type\":\"response.refusal.delta\",\"sequence_number\":4," AT(
                     "0") ",\"delta\":\"No\"}\n"
                          "{\"type\":\"error\",\"sequence_number\":5,\"code\":\"upstream\",\"message\":\"it "
                          "broke\",\"param\":null,\"error\":{\"message\":\"it "
                          "broke\",\"type\":\"server_error\",\"param\":null,\"code\":\"upstream\"}}\n"
                          "6 response.failed failed "
                          "[{\"id\":\"msg_1_0\",\"type\":\"message\",\"status\":\"incomplete\",\"role\":\"assistant\",\"content\":[{"
                          "\"type\":\"refusal\",\"refusal\":\"No\"}]}]\n[DONE]");
    fh_err_free(e);
}

static void expect_plain(const char *request, const fh_wire_event *events, size_t count, const char *expected)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(MAX), kept = FH_BUF(MAX);
    FH_AUTO(json) fh_json *final = NULL;
    fh_err *err = NULL;
    run r = {request, false, events, count};
    if (write_all(&r, &out, &final, &err) != 0) fail_msg("%s", fh_err_message(err));
    assert_string_equal(fh_buf_cstr(&out), expected);
    if (!final) return;
    assert_int_equal(fh_json_write(final, &kept, NULL), 0);
    assert_string_equal(fh_buf_cstr(&kept), expected);
}
#define EXPECT_PLAIN(request, events, expected) expect_plain(request, events, FH_COUNT(events), expected)

#define HEAD(done, status, why)                                                                                                            \
    "{\"id\":\"resp_1\",\"object\":\"response\",\"created_at\":7,\"completed_at\":" done ",\"status\":\"" status                           \
    "\",\"incomplete_details\":" why ",\"model\":\"m\","

static void a_plain_reply_is_the_response_with_every_default(void **state)
{
    const fh_wire_event events[] = {EV(BEGIN), EV(TEXT, TEXT("Hey")), EV(FINISH, .finish = FH_FINISH_STOP),
                                    EV(USAGE, .usage = {.prompt_tok = 3, .completion_tok = 2, .cached_tok = 1, .reasoning_tok = 1}),
                                    EV(END)};
    EXPECT_PLAIN(
        "{\"model\":\"x\"}", events,
        HEAD("9", "completed", "null") "\"previous_response_id\":null,\"instructions\":null,\"output\":[" MSG(
            "0", "completed",
            "Hey") "],\"error\":null,"
                   "\"tools\":[],\"tool_choice\":\"auto\",\"truncation\":\"disabled\",\"parallel_tool_calls\":true,\"text\":{\"format\":{"
                   "\"type\":\"text\"},\"verbosity\":\"medium\"},\"top_p\":1,\"presence_penalty\":0,\"frequency_penalty\":0,\"top_"
                   "logprobs\":0,"
                   "\"temperature\":1,\"reasoning\":{\"effort\":null,\"summary\":null},\"max_output_tokens\":null,\"max_tool_calls\":null,"
                   "\"usage\":{\"input_tokens\":3,\"input_tokens_details\":{\"cached_tokens\":1},\"output_tokens\":2,\"output_tokens_"
                   "details\":{"
                   "\"reasoning_tokens\":1},\"total_tokens\":5},\"store\":true,\"background\":false,\"service_tier\":\"default\","
                   "\"metadata\":{}"
                   ",\"safety_identifier\":null,\"prompt_cache_key\":null,\"user\":null}");
}

static void a_response_says_again_what_was_asked(void **state)
{
    const fh_wire_event events[] = {EV(TEXT, TEXT("{")), EV(FINISH, .finish = FH_FINISH_LENGTH), EV(END)};
    EXPECT_PLAIN(
        "{\"model\":\"x\",\"previous_response_id\":\"resp_0\",\"instructions\":\"I\",\"tools\":[{\"type\":\"function\",\"name\":"
        "\"f\"}],\"tool_choice\":{\"type\":\"allowed_tools\",\"tools\":[{\"type\":\"function\",\"name\":\"f\"}]},"
        "\"parallel_tool_calls\":false,\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"schema\":{}}},\"top_p\":0.5,"
        "\"temperature\":0,\"reasoning\":{\"effort\":\"low\",\"generate_summary\":\"auto\"},\"max_output_tokens\":1,\"store\":false,"
        "\"metadata\":{\"a\":\"b\"},\"user\":\"u\"}",
        events,
        HEAD("null", "incomplete",
             "{\"reason\":\"max_output_tokens\"}") "\"previous_response_id\":\"resp_0\",\"instructions\":\"I\","
                                                   "\"output\":[" MSG(
                                                       "0", "incomplete",
                                                       "{") "],\"error\":null,\"tools\":[{\"type\":\"function\",\"name\":\"f\","
                                                            "\"description\":null,\"parameters\":null,\"strict\":null}],\"tool_choice\":{"
                                                            "\"type\":\"allowed_tools\",\"mode\":\"auto\","
                                                            "\"tools\":[{\"type\":\"function\",\"name\":\"f\"}]},\"truncation\":"
                                                            "\"disabled\",\"parallel_tool_calls\":false,\"text\":{"
                                                            "\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"description\":null,"
                                                            "\"schema\":{},\"strict\":false},\"verbosity\":"
                                                            "\"medium\"},\"top_p\":0.5,\"presence_penalty\":0,\"frequency_penalty\":0,"
                                                            "\"top_logprobs\":0,\"temperature\":0,\"reasoning\":{"
                                                            "\"effort\":\"low\",\"summary\":\"auto\"},\"max_output_tokens\":1,\"max_tool_"
                                                            "calls\":null,\"usage\":null,\"store\":false,"
                                                            "\"background\":false,\"service_tier\":\"default\",\"metadata\":{\"a\":\"b\"},"
                                                            "\"safety_identifier\":null,"
                                                            "\"prompt_cache_key\":null,\"user\":\"u\"}");
}

static void nothing_said_is_an_empty_message(void **state)
{
    const fh_wire_event events[] = {EV(FINISH, .finish = FH_FINISH_CONTENT_FILTER), EV(END)};
    FH_AUTO(buf) fh_buf out = FH_BUF(MAX);
    FH_AUTO(json) fh_json *final = NULL;
    run r = {NULL, false, events, FH_COUNT(events)};
    assert_int_equal(write_all(&r, &out, &final, NULL), 0);
    const fh_json *item = fh_json_at(fh_json_get(final, "output"), 0);
    assert_true(fh_str_eqs(fh_json_str(fh_json_get(item, "status")), "incomplete"));
    assert_true(fh_str_eqs(fh_json_str(fh_json_get(fh_json_get(final, "incomplete_details"), "reason")), "content_filter"));
}

static void an_error_of_a_plain_reply_is_the_error_object(void **state)
{
    fh_err *e = NULL;
    fh_err_set(&e, FH_E_BUSY, "too many");
    const fh_wire_event events[] = {EV(BEGIN), EV(ERROR, .err = e)};
    EXPECT_PLAIN(NULL, events,
                 "{\"error\":{\"message\":\"too many\",\"type\":\"rate_limit_error\",\"param\":null,\"code\":\"rate_limit_exceeded\"}}");
    fh_err_free(e);
}

static void logprobs_go_with_the_text(void **state)
{
    FH_AUTO(json) fh_json *lp = NULL, *final = NULL;
    FH_AUTO(buf) fh_buf out = FH_BUF(MAX);
    const char *one = "{\"content\":[{\"token\":\"a\",\"logprob\":-0.5,\"bytes\":[97],\"top_logprobs\":[]}]}";
    assert_int_equal(fh_json_parse(&lp, fh_str_of(one), MAX, NULL), 0);
    const fh_wire_event events[] = {EV(TEXT, TEXT("a"), .logprobs = lp), EV(TEXT, TEXT("a"), .logprobs = lp), EV(END)};
    run r = {NULL, true, events, FH_COUNT(events)};
    assert_int_equal(write_all(&r, &out, &final, NULL), 0);
    assert_non_null(
        strstr(fh_buf_cstr(&out), "\"delta\":\"a\",\"logprobs\":[{\"token\":\"a\",\"logprob\":-0.5,\"bytes\":[97],\"top_logprobs\":[]}]}"));
    const fh_json *part = fh_json_at(fh_json_get(fh_json_at(fh_json_get(final, "output"), 0), "content"), 0);
    assert_int_equal(fh_json_count(fh_json_get(part, "logprobs")), 2);
}

static void what_no_upstream_should_send_is_an_error(void **state)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(MAX);
    const fh_wire_event stray[] = {EV(ARGUMENTS, .call = 3, TEXT("x"))};
    const fh_wire_event late[] = {EV(CALL, .call = 0), EV(FINISH), EV(ARGUMENTS, .call = 0, TEXT("x"))};
    assert_int_equal(write_all(&(run){NULL, true, stray, FH_COUNT(stray)}, &out, NULL, NULL), FH_E_UPSTREAM);
    assert_int_equal(write_all(&(run){NULL, true, late, FH_COUNT(late)}, &out, NULL, NULL), FH_E_UPSTREAM);
}

static void replies_have_a_longest(void **state)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(MAX);
    FH_AUTO(ptr) char *big = fh_calloc(1, FH_LIMIT_RESPONSES_OUTPUT_BYTES + 1);
    memset(big, 'a', FH_LIMIT_RESPONSES_OUTPUT_BYTES + 1);
    const fh_wire_event one[] = {EV(TEXT, .text = {big, FH_LIMIT_RESPONSES_OUTPUT_BYTES + 1})};
    assert_int_equal(write_all(&(run){NULL, false, one, 1}, &out, NULL, NULL), FH_E_UPSTREAM);
    fh_wire_event *calls = fh_calloc(FH_LIMIT_RESPONSES_OUTPUT_ITEMS + 1, sizeof *calls);
    for (uint32_t i = 0; i <= FH_LIMIT_RESPONSES_OUTPUT_ITEMS; i++) calls[i] = EV(CALL, .call = i);
    assert_int_equal(write_all(&(run){NULL, false, calls, FH_LIMIT_RESPONSES_OUTPUT_ITEMS + 1}, &out, NULL, NULL), FH_E_UPSTREAM);
    fh_free(calls);
}

static int write_rich(void *arg)
{
    const fh_wire_event events[] = {EV(REASONING, TEXT("hm")),
                                    EV(TEXT, TEXT("I")),
                                    EV(CALL, .id = FH_STR("c"), .name = FH_STR("f")),
                                    EV(ARGUMENTS, TEXT("{}")),
                                    EV(FINISH, .finish = FH_FINISH_TOOL_CALLS),
                                    EV(USAGE, .usage = {.prompt_tok = 1, .completion_tok = 1}),
                                    EV(END)};
    FH_AUTO(buf) fh_buf out = FH_BUF(MAX);
    FH_AUTO(json) fh_json *final = NULL;
    fh_err *err = NULL;
    run r = {"{\"tools\":[{\"type\":\"function\",\"name\":\"f\"}],\"text\":{\"format\":{\"type\":\"json_schema\"}}}", *(bool *)arg, events,
             FH_COUNT(events)};
    int rc = write_all(&r, &out, &final, &err);
    assert_true(rc == 0 || (rc == FH_E_NOMEM && err));
    fh_err_free(err);
    return rc;
}

static int fail_stream(void *arg)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(MAX);
    const fh_wire_event events[] = {EV(TEXT, TEXT("I")), EV(ERROR, .err = arg)};
    return write_all(&(run){NULL, true, events, FH_COUNT(events)}, &out, NULL, NULL);
}

static void writing_survives_any_failed_allocation(void **state)
{
    bool stream = true, plain = false;
    fh_err *e = NULL;
    fh_err_set(&e, FH_E_UPSTREAM, "it broke");
    assert_true(fh_torture(FH_FAULT_ALLOC, write_rich, &stream, 4000) > 50);
    assert_true(fh_torture(FH_FAULT_ALLOC, write_rich, &plain, 4000) > 50);
    assert_true(fh_torture(FH_FAULT_ALLOC, fail_stream, e, 4000) > 20);
    fh_err_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_a_message_with_a_part),
        cmocka_unit_test(thought_then_words_then_calls_are_items_of_their_own),
        cmocka_unit_test(thought_is_its_own_summary_when_one_is_asked_for),
        cmocka_unit_test(an_error_is_said_and_the_response_has_failed),
        cmocka_unit_test(a_plain_reply_is_the_response_with_every_default),
        cmocka_unit_test(a_response_says_again_what_was_asked),
        cmocka_unit_test(nothing_said_is_an_empty_message),
        cmocka_unit_test(an_error_of_a_plain_reply_is_the_error_object),
        cmocka_unit_test(logprobs_go_with_the_text),
        cmocka_unit_test(what_no_upstream_should_send_is_an_error),
        cmocka_unit_test(replies_have_a_longest),
        cmocka_unit_test(writing_survives_any_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
