/* Chat Completions and Completions read into events and written from them; and bodies that are changed in place. */
#include "cmocka_all.h"
#include "torture.h"
#include "wire/stream.h"
#include <stdio.h>

typedef struct relay { /* what was read goes to a writer */
    fh_wire_writer *writer;
    fh_buf out, seen;
} relay;

static int sink(void *ctx, const fh_wire_event *e, fh_err **err)
{
    static const char *const names[] = {"begin", "text", "reasoning", "refusal", "call", "arguments", "finish", "usage", "end", "error"};
    relay *r = ctx;
    fh_buf_addf(&r->seen, "%s%u", names[e->kind], e->choice);
    if (e->kind == FH_EVENT_ERROR)
        fh_buf_addf(&r->seen, "(%s)", fh_err_message(e->err));
    else if (e->kind == FH_EVENT_CALL)
        fh_buf_addf(&r->seen, "(%u %.*s %.*s)", e->call, (int)e->id.len, e->id.ptr, (int)e->name.len, e->name.ptr);
    else if (e->kind == FH_EVENT_FINISH)
        fh_buf_addf(&r->seen, "(%s)", fh_wire_finish_name(e->finish));
    else if (e->kind == FH_EVENT_USAGE)
        fh_buf_addf(&r->seen, "(%d+%d)", (int)e->usage.prompt_tok, (int)e->usage.completion_tok);
    else if (e->text.len)
        fh_buf_addf(&r->seen, "(%.*s)", (int)e->text.len, e->text.ptr);
    fh_buf_addc(&r->seen, ' ');
    return r->writer ? fh_wire_writer_event(r->writer, e, &r->out, err) : 0;
}

static void relay_fini(relay *r)
{
    fh_wire_writer_free(r->writer);
    fh_buf_fini(&r->out);
    fh_buf_fini(&r->seen);
}

static int relay_init(relay *r, fh_wire_dialect d, bool stream, fh_err **err)
{
    *r = (relay){.out = FH_BUF(1 << 20), .seen = FH_BUF(1 << 20)};
    fh_wire_writer_spec s = {.dialect = d, .stream = stream, .include_usage = true, .id = "1", .model = "m", .created_s = 7};
    return fh_wire_writer_new(&r->writer, &s, err);
}

static int read_all(relay *r, fh_wire_dialect d, const char *const *chunks, fh_err **err)
{
    FH_AUTO(fh_wire_reader) fh_wire_reader *reader = NULL;
    int rc = fh_wire_reader_new(&reader, d, sink, r, err);
    for (; rc == 0 && *chunks; chunks++) rc = fh_wire_reader_push(reader, FH_STR(""), fh_str_of(*chunks), err);
    return rc;
}

#define CHUNK(delta, finish)                                                                                                               \
    "{\"id\":\"x\",\"model\":\"up\",\"choices\":[{\"index\":0,\"delta\":{" delta "},\"finish_reason\":" finish "}]}"
static const char *const called[] = {
    CHUNK("\"role\":\"assistant\",\"content\":\"\"", "null"),
    CHUNK("\"reasoning_content\":\"hm\"", "null"),
    CHUNK("\"content\":\"I \"", "null"),
    CHUNK("\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]", "null"),
    CHUNK("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\\\":\"}}]", "null"),
    CHUNK("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}]", "null"),
    CHUNK("", "\"tool_calls\""),
    "{\"id\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"prompt_tokens_details\":{\"cached_tokens\":2}}}",
    "[DONE]",
    NULL};

static void a_stream_becomes_events_in_order(void **state)
{
    relay r = {.out = FH_BUF(1 << 20), .seen = FH_BUF(1 << 20)};
    assert_int_equal(read_all(&r, FH_DIALECT_CHAT, called, NULL), 0);
    assert_string_equal(fh_buf_cstr(&r.seen), "begin0 reasoning0(hm) text0(I ) call0(0 c1 f) arguments0({\"a\":) arguments0(1}) "
                                              "finish0(tool_calls) usage0(3+4) end0 ");
    relay_fini(&r);
}

static void what_was_written_reads_as_what_was_read(void **state)
{
    relay first, second = {.out = FH_BUF(1 << 20), .seen = FH_BUF(1 << 20)};
    FH_AUTO(fh_wire_reader) fh_wire_reader *reader = NULL;
    assert_int_equal(relay_init(&first, FH_DIALECT_CHAT, true, NULL), 0);
    assert_int_equal(read_all(&first, FH_DIALECT_CHAT, called, NULL), 0);
    assert_int_equal(fh_wire_reader_new(&reader, FH_DIALECT_CHAT, sink, &second, NULL), 0);
    for (char *line = strtok(first.out.data, "\n"); line; line = strtok(NULL, "\n")) {
        assert_memory_equal(line, "data: ", 6);
        assert_int_equal(fh_wire_reader_push(reader, FH_STR(""), fh_str_of(line + 6), NULL), 0);
    }
    assert_string_equal(fh_buf_cstr(&second.seen), fh_buf_cstr(&first.seen));
    relay_fini(&first);
    relay_fini(&second);
}

static void events_make_a_whole_chat_reply(void **state)
{
    relay r;
    assert_int_equal(relay_init(&r, FH_DIALECT_CHAT, false, NULL), 0);
    assert_int_equal(read_all(&r, FH_DIALECT_CHAT, called, NULL), 0);
    assert_string_equal(
        fh_buf_cstr(&r.out),
        "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":7,\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{"
        "\"role\":\"assistant\",\"content\":\"I \",\"refusal\":null,\"reasoning_content\":\"hm\",\"tool_calls\":[{\"id\":\"c1\",\"type\":"
        "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}]},\"logprobs\":null,\"finish_reason\":\"tool_calls\"}]"
        ","
        "\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7,\"prompt_tokens_details\":{\"cached_tokens\":2},"
        "\"completion_tokens_details\":{\"reasoning_tokens\":0}}}");
    relay_fini(&r);
}

static void choices_and_logprobs_are_kept_apart(void **state)
{
    static const char *const chunks[] = {
        "{\"choices\":[{\"index\":1,\"text\":\"b\",\"logprobs\":{\"tokens\":[\"b\"],\"x\":[1]},\"finish_reason\":null}]}",
        "{\"choices\":[{\"index\":0,\"text\":\"a\",\"finish_reason\":\"length\"}]}",
        "{\"choices\":[{\"index\":1,\"text\":\"c\",\"logprobs\":{\"tokens\":[\"c\"],\"x\":[2]},\"finish_reason\":\"stop\"}]}", "[DONE]",
        NULL};
    relay r;
    assert_int_equal(relay_init(&r, FH_DIALECT_COMPLETION, false, NULL), 0);
    assert_int_equal(read_all(&r, FH_DIALECT_COMPLETION, chunks, NULL), 0);
    assert_string_equal(fh_buf_cstr(&r.out),
                        "{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":7,\"model\":\"m\",\"choices\":["
                        "{\"index\":0,\"text\":\"a\",\"logprobs\":null,\"finish_reason\":\"length\"},"
                        "{\"index\":1,\"text\":\"bc\",\"logprobs\":{\"tokens\":[\"b\",\"c\"],\"x\":[1,2]},\"finish_reason\":\"stop\"}]}");
    relay_fini(&r);
}

static void an_error_in_a_stream_ends_it(void **state)
{
    static const char *const chunks[] = {CHUNK("\"content\":\"a\"", "null"),
                                         "{\"error\":{\"message\":\"too hot\",\"type\":\"server_error\"}}",
                                         CHUNK("\"content\":\"b\"", "null"), "[DONE]", NULL};
    relay r;
    assert_int_equal(relay_init(&r, FH_DIALECT_CHAT, true, NULL), 0);
    assert_int_equal(read_all(&r, FH_DIALECT_CHAT, chunks, NULL), 0);
    assert_string_equal(fh_buf_cstr(&r.seen), "begin0 text0(a) error0(too hot) ");
    assert_null(strstr(fh_buf_cstr(&r.out), "[DONE]"));
    assert_non_null(strstr(fh_buf_cstr(&r.out), "\"message\":\"too hot\""));
    relay_fini(&r);
}

static void what_is_no_reply_is_the_upstreams_failure(void **state)
{
    static const char *const bad[] = {"",
                                      "7",
                                      "{",
                                      "[]",
                                      "{\"choices\":[{\"index\":-1,\"delta\":{}}]}",
                                      "{\"choices\":[{\"index\":128,\"delta\":{}}]}",
                                      "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":1,\"function\":{\"name\":\"f\"}}]}}]}",
                                      "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{}}]}}]}"};
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        relay r = {.out = FH_BUF(1 << 20), .seen = FH_BUF(1 << 20)};
        const char *const chunks[] = {bad[i], NULL};
        fh_err *err = NULL;
        assert_int_equal(read_all(&r, FH_DIALECT_CHAT, chunks, &err), FH_E_UPSTREAM);
        fh_err_free(err);
        relay_fini(&r);
    }
}

static void expect_edit(const char *body, const char *want)
{
    static const fh_wire_edit edits[] = {{"model", "\"up\""}, {"user", NULL}, {"seed", "5"}};
    FH_AUTO(buf) fh_buf out = FH_BUF(4096);
    FH_AUTO(json) fh_json *doc = NULL;
    assert_int_equal(fh_wire_body_edit(fh_str_of(body), edits, FH_COUNT(edits), &out, NULL), 0);
    assert_string_equal(fh_buf_cstr(&out), want);
    assert_int_equal(fh_json_parse(&doc, (fh_str){out.data, out.len}, 4096, NULL), 0);
}

static void an_edit_leaves_all_other_bytes_alone(void **state)
{
    expect_edit("{}", "{\"model\":\"up\",\"seed\":5}");
    expect_edit(" { \"model\" : \"m\" , \"a\":1.50e+1,\n\"s\":\"x\\\"},{\\\\\" , \"user\":{\"b\":[1,2,{\"c\":\"]\"}]}, \"seed\":4 } ",
                "{\"a\":1.50e+1,\"s\":\"x\\\"},{\\\\\",\"model\":\"up\",\"seed\":5}");
    expect_edit("{\"n\":null,\"t\":[ [\"}\"] , {} ],\"model\":7}", "{\"n\":null,\"t\":[ [\"}\"] , {} ],\"model\":\"up\",\"seed\":5}");
}

static void a_key_in_disguise_is_refused(void **state)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(4096);
    fh_wire_edit edit = {"model", "\"up\""};
    assert_int_equal(fh_wire_body_edit(FH_STR("{\"mod\\u0065l\":\"m\"}"), &edit, 1, &out, NULL), FH_E_INVALID);
}

static int scenario(void *arg)
{
    bool stream = *(bool *)arg;
    relay r;
    int rc = relay_init(&r, FH_DIALECT_CHAT, stream, NULL);
    if (rc == 0) rc = read_all(&r, FH_DIALECT_CHAT, called, NULL);
    if (rc == 0) rc = fh_buf_check(&r.seen, NULL, "seen");
    relay_fini(&r);
    return rc;
}

static void memory_that_runs_out_is_an_error(void **state)
{
    bool stream = true, plain = false;
    assert_true(fh_torture(FH_FAULT_ALLOC, scenario, &stream, 4000) > 5);
    assert_true(fh_torture(FH_FAULT_ALLOC, scenario, &plain, 4000) > 5);
}

static void hide(const char *reply, const char *want)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(4096);
    fh_wire_body_hide_logprobs(fh_str_of(reply), &out);
    assert_string_equal(fh_buf_cstr(&out), want);
}

static void log_probabilities_are_hidden_and_nothing_else_changes(void **state)
{
    hide("{ \"id\":\"x\",\"choices\": [ {\"text\":\"a \\\"logprobs\\\" b\" , \"logprobs\" : {\"tokens\":[\"}\"]} , \"index\":0}, "
         "{\"logprobs\":null},{\"index\":2},{\"delta\":{\"logprobs\":1},\"logprobs\":[{}]} ] , \"logprobs\":3 }\n",
         "{ \"id\":\"x\",\"choices\": [ {\"text\":\"a \\\"logprobs\\\" b\" , \"logprobs\" : null , \"index\":0}, "
         "{\"logprobs\":null},{\"index\":2},{\"delta\":{\"logprobs\":1},\"logprobs\":null} ] , \"logprobs\":3 }\n");
}

static void what_has_no_choices_to_hide_in_comes_out_as_it_is(void **state)
{
    static const char *const others[] = {"",
                                         "[DONE]",
                                         "{}",
                                         "{\"choices\":null}",
                                         "{\"choices\":{\"logprobs\":1}}",
                                         "{\"choices\":[1,{\"logprobs\":2}",
                                         "{\"choices\":[{\"logprobs\":",
                                         "{\"choices\":[{\"logprobs\"",
                                         "{\"choices\":[{",
                                         "\"choices",
                                         "{\"error\":{\"logprobs\":1}}"};
    for (size_t i = 0; i < FH_COUNT(others); i++) hide(others[i], others[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_becomes_events_in_order),
        cmocka_unit_test(what_was_written_reads_as_what_was_read),
        cmocka_unit_test(events_make_a_whole_chat_reply),
        cmocka_unit_test(choices_and_logprobs_are_kept_apart),
        cmocka_unit_test(an_error_in_a_stream_ends_it),
        cmocka_unit_test(what_is_no_reply_is_the_upstreams_failure),
        cmocka_unit_test(an_edit_leaves_all_other_bytes_alone),
        cmocka_unit_test(a_key_in_disguise_is_refused),
        cmocka_unit_test(log_probabilities_are_hidden_and_nothing_else_changes),
        cmocka_unit_test(what_has_no_choices_to_hide_in_comes_out_as_it_is),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
