/* Replies in the Messages API: written from events, streamed and whole; read into them; and errors. */
#include "cmocka_all.h"
#include "torture.h"
#include "wire/messages.h"
#include "wire/stream.h"
#include <stdio.h>

typedef struct relay { /* what was read goes to a writer, when there is one */
    fh_wire_writer *writer;
    fh_buf out, seen;
} relay;

static int sink(void *ctx, const fh_wire_event *e, fh_err **err)
{
    static const char *const names[] = {"begin", "text", "reasoning", "refusal", "call", "arguments", "finish", "usage", "end", "error"};
    relay *r = ctx;
    fh_buf_adds(&r->seen, names[e->kind]);
    if (e->kind == FH_EVENT_ERROR)
        fh_buf_addf(&r->seen, "(%d %s)", fh_err_code(e->err), fh_err_message(e->err));
    else if (e->kind == FH_EVENT_BEGIN)
        fh_buf_addf(&r->seen, "(%.*s %.*s %d)", (int)e->id.len, e->id.ptr, (int)e->name.len, e->name.ptr, (int)e->usage.prompt_tok);
    else if (e->kind == FH_EVENT_CALL)
        fh_buf_addf(&r->seen, "(%u %.*s %.*s)", e->call, (int)e->id.len, e->id.ptr, (int)e->name.len, e->name.ptr);
    else if (e->kind == FH_EVENT_FINISH)
        fh_buf_addf(&r->seen, "(%s %.*s)", fh_wire_finish_name(e->finish), (int)e->text.len, e->text.ptr);
    else if (e->kind == FH_EVENT_USAGE)
        fh_buf_addf(&r->seen, "(%d+%d %d %d)", (int)e->usage.prompt_tok, (int)e->usage.completion_tok, (int)e->usage.cached_tok,
                    (int)e->usage.reasoning_tok);
    else if (e->kind == FH_EVENT_ARGUMENTS)
        fh_buf_addf(&r->seen, "(%u %.*s)", e->call, (int)e->text.len, e->text.ptr);
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

static int relay_init(relay *r, fh_wire_dialect d, bool stream, const fh_json *request, fh_err **err)
{
    *r = (relay){.out = FH_BUF(1 << 20), .seen = FH_BUF(1 << 20)};
    fh_wire_writer_spec s = {.dialect = d,
                             .stream = stream,
                             .include_usage = true,
                             .request = request,
                             .request_id = "req_1",
                             .id = "1",
                             .model = "m",
                             .created_s = 7};
    return fh_wire_writer_new(&r->writer, &s, err);
}

/* Writing. */

static const fh_wire_event rich[] = {
    {.kind = FH_EVENT_BEGIN, .usage = {.prompt_tok = 30}},
    {.kind = FH_EVENT_REASONING, .text = {"hm", 2}},
    {.kind = FH_EVENT_TEXT, .text = {"I ", 2}},
    {.kind = FH_EVENT_TEXT, .text = {"\"look\"", 6}},
    {.kind = FH_EVENT_CALL, .call = 0, .id = {"c1", 2}, .name = {"f", 1}},
    {.kind = FH_EVENT_ARGUMENTS, .call = 0, .text = {"{\"a\":", 5}},
    {.kind = FH_EVENT_ARGUMENTS, .call = 0, .text = {"1}", 2}},
    {.kind = FH_EVENT_CALL, .call = 1, .name = {"g", 1}},
    {.kind = FH_EVENT_FINISH, .finish = FH_FINISH_STOP},
    {.kind = FH_EVENT_USAGE, .usage = {.prompt_tok = 30, .cached_tok = 10, .completion_tok = 9, .reasoning_tok = 2}},
    {.kind = FH_EVENT_END},
};

static int write_all(relay *r, const fh_wire_event *events, size_t count, fh_err **err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) rc = fh_wire_writer_event(r->writer, &events[i], &r->out, err);
    return rc;
}

static void expect_written(bool stream, const char *request, const fh_wire_event *events, size_t count, const char *want)
{
    FH_AUTO(json) fh_json *doc = NULL;
    relay r;
    assert_int_equal(fh_json_parse(&doc, fh_str_of(request), 1 << 20, NULL), 0);
    assert_int_equal(relay_init(&r, FH_DIALECT_MESSAGES, stream, doc, NULL), 0);
    assert_int_equal(write_all(&r, events, count, NULL), 0);
    assert_string_equal(fh_buf_cstr(&r.out), want);
    relay_fini(&r);
}

#define E(name, rest) "event: " name "\ndata: {\"type\":\"" name "\"" rest "}\n\n"
#define START(prompt)                                                                                                                      \
    E("message_start",                                                                                                                     \
      ",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"stop_reason\":null,"    \
      "\"stop_sequence\":null,\"usage\":{\"input_tokens\":" prompt ",\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,"     \
      "\"output_tokens\":0,\"output_tokens_details\":{\"thinking_tokens\":0}}}")                                                           \
    E("ping", "")
#define BEGIN(i, block) E("content_block_start", ",\"index\":" i ",\"content_block\":" block)
#define DELTA(i, delta) E("content_block_delta", ",\"index\":" i ",\"delta\":{" delta "}")
#define STOP(i)         E("content_block_stop", ",\"index\":" i)
#define USAGE(p, c, o, t)                                                                                                                  \
    "\"usage\":{\"input_tokens\":" p ",\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":" c ",\"output_tokens\":" o           \
    ",\"output_tokens_details\":{\"thinking_tokens\":" t "}}"

static void a_stream_is_a_row_of_blocks(void **state)
{
    expect_written(
        true, "{}", rich, FH_COUNT(rich),
        START("30") BEGIN("0", "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}")
            DELTA("0", "\"type\":\"thinking_delta\",\"thinking\":\"hm\"")
                DELTA("0", "\"type\":\"signature_delta\",\"signature\":\"unsigned\"") STOP("0")
                    BEGIN("1", "{\"type\":\"text\",\"text\":\"\"}") DELTA("1", "\"type\":\"text_delta\",\"text\":\"I \"")
                        DELTA("1", "\"type\":\"text_delta\",\"text\":\"\\\"look\\\"\"") STOP("1")
                            BEGIN("2", "{\"type\":\"tool_use\",\"id\":\"c1\",\"name\":\"f\",\"input\":{}}")
                                DELTA("2", "\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"a\\\":\"")
                                    DELTA("2", "\"type\":\"input_json_delta\",\"partial_json\":\"1}\"") STOP("2")
                                        BEGIN("3", "{\"type\":\"tool_use\",\"id\":\"toolu_1_1\",\"name\":\"g\",\"input\":{}}") STOP("3")
                                            E("message_delta", ",\"delta\":{\"stop_reason\":\"tool_use\",\"stop_sequence\":null}," USAGE(
                                                                   "20", "10", "9", "2")) E("message_stop", ""));
}

#define WHOLE(content, stop, usage)                                                                                                        \
    "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[" content "]," stop "," usage "}"
#define CALLS                                                                                                                              \
    "{\"type\":\"tool_use\",\"id\":\"c1\",\"name\":\"f\",\"input\":{\"a\":1}},{\"type\":\"tool_use\",\"id\":\"toolu_1_1\",\"name\":\"g\"," \
    "\"input\":{}}"
#define LOOK     "{\"type\":\"text\",\"text\":\"I \\\"look\\\"\"}"
#define TOOL_USE "\"stop_reason\":\"tool_use\",\"stop_sequence\":null"

static void a_plain_reply_holds_the_blocks(void **state)
{
    expect_written(false, "{}", rich, FH_COUNT(rich),
                   WHOLE("{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"unsigned\"}," LOOK "," CALLS, TOOL_USE,
                         USAGE("20", "10", "9", "2")));
}

static void thoughts_are_shown_as_was_asked(void **state)
{
    expect_written(false, "{\"thinking\":{\"type\":\"disabled\"}}", rich, FH_COUNT(rich),
                   WHOLE(LOOK "," CALLS, TOOL_USE, USAGE("20", "10", "9", "2")));
    expect_written(false, "{\"thinking\":{\"type\":\"adaptive\",\"display\":\"omitted\"}}", rich, FH_COUNT(rich),
                   WHOLE("{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"unsigned\"}," LOOK "," CALLS, TOOL_USE,
                         USAGE("20", "10", "9", "2")));
}

#define SAID "{\"type\":\"text\",\"text\":\"x\"}"

static void a_reply_says_why_it_stopped(void **state)
{
    static const struct {
        fh_wire_event finish;
        const char *want;
    } rows[] = {
        {{.kind = FH_EVENT_FINISH, .finish = FH_FINISH_STOP}, "\"stop_reason\":\"end_turn\",\"stop_sequence\":null"},
        {{.kind = FH_EVENT_FINISH, .finish = FH_FINISH_STOP, .text = {"END", 3}},
         "\"stop_reason\":\"stop_sequence\",\"stop_sequence\":\"END\""},
        {{.kind = FH_EVENT_FINISH, .finish = FH_FINISH_LENGTH}, "\"stop_reason\":\"max_tokens\",\"stop_sequence\":null"},
        {{.kind = FH_EVENT_FINISH, .finish = FH_FINISH_CONTENT_FILTER},
         "\"stop_reason\":\"refusal\",\"stop_sequence\":null,\"stop_details\":{\"type\":\"refusal\",\"category\":null,\"explanation\":"
         "null}"},
        {{.kind = FH_EVENT_REFUSAL}, NULL}, /* by another way: the text is one */
    };
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        FH_AUTO(buf) fh_buf want = FH_BUF(4096);
        fh_wire_event_kind kind = rows[i].want ? FH_EVENT_TEXT : FH_EVENT_REFUSAL;
        const fh_wire_event events[] = {
            {.kind = FH_EVENT_BEGIN}, {.kind = kind, .text = {"x", 1}}, rows[rows[i].want ? i : 0].finish, {.kind = FH_EVENT_END}};
        fh_buf_addf(&want, WHOLE(SAID, "%s", USAGE("0", "0", "0", "0")), rows[i].want ? rows[i].want : rows[3].want);
        expect_written(false, "{}", events, FH_COUNT(events), fh_buf_cstr(&want));
    }
}

static void arguments_that_are_no_object_are_not_lost(void **state)
{
    const fh_wire_event events[] = {{.kind = FH_EVENT_CALL, .id = {"c", 1}, .name = {"f", 1}},
                                    {.kind = FH_EVENT_ARGUMENTS, .text = {"{\"a\": \"b", 8}},
                                    {.kind = FH_EVENT_FINISH, .finish = FH_FINISH_LENGTH},
                                    {.kind = FH_EVENT_END}};
    expect_written(false, "{}", events, FH_COUNT(events),
                   WHOLE("{\"type\":\"tool_use\",\"id\":\"c\",\"name\":\"f\",\"input\":{\"INVALID_JSON\":\"{\\\"a\\\": \\\"b\"}}",
                         "\"stop_reason\":\"max_tokens\",\"stop_sequence\":null", USAGE("0", "0", "0", "0")));
}

static void arguments_behind_the_next_call_break_the_reply(void **state)
{
    const fh_wire_event events[] = {{.kind = FH_EVENT_CALL, .call = 0, .name = {"f", 1}},
                                    {.kind = FH_EVENT_CALL, .call = 1, .name = {"g", 1}},
                                    {.kind = FH_EVENT_ARGUMENTS, .call = 0, .text = {"{}", 2}}};
    relay r;
    assert_int_equal(relay_init(&r, FH_DIALECT_MESSAGES, true, NULL, NULL), 0);
    assert_int_equal(write_all(&r, events, FH_COUNT(events), NULL), FH_E_UPSTREAM);
    relay_fini(&r);
}

static void errors_have_types_by_status(void **state)
{
    static const struct {
        int code;
        const char *type;
        int status;
    } rows[] = {{FH_E_INVALID, "invalid_request_error", 400},
                {FH_E_UNAUTHENTICATED, "authentication_error", 401},
                {FH_E_BUDGET, "billing_error", 402},
                {FH_E_FORBIDDEN, "permission_error", 403},
                {FH_E_NOT_FOUND, "not_found_error", 404},
                {FH_E_TOO_LARGE, "request_too_large", 413},
                {FH_E_MEDIA_TYPE, "invalid_request_error", 415},
                {FH_E_BUSY, "rate_limit_error", 429},
                {FH_E_INTERNAL, "api_error", 500},
                {FH_E_UPSTREAM, "api_error", 502},
                {FH_E_UNAVAILABLE, "overloaded_error", 529},
                {FH_E_TIMEOUT, "timeout_error", 504},
                {FH_E_CONFLICT, "conflict_error", 409}};
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        FH_AUTO(buf) fh_buf out = FH_BUF(4096), want = FH_BUF(4096);
        fh_err *err = NULL;
        fh_err_set(&err, rows[i].code, "it is so");
        fh_buf_addf(&want, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"it is so\"},\"request_id\":null}", rows[i].type);
        assert_true(fh_wire_messages_error_write(&out, err, NULL));
        assert_string_equal(fh_buf_cstr(&out), fh_buf_cstr(&want));
        assert_int_equal(fh_wire_messages_status(err), rows[i].status);
        fh_err_free(err);
    }
}

static void an_error_names_its_field_and_what_to_do(void **state)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(4096);
    fh_err *err = NULL;
    fh_err_set(&err, FH_E_INVALID, "it is \"so\"");
    fh_err_param(&err, "messages[0].role");
    fh_err_hint(&err, "leave it out");
    fh_wire_event e = {.kind = FH_EVENT_ERROR, .err = err};
    relay r;
    fh_wire_messages_error_write(&out, err, "req_1");
    assert_string_equal(fh_buf_cstr(&out),
                        "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"messages[0].role: "
                        "it is \\\"so\\\"; leave it out\"},\"request_id\":\"req_1\"}");
    for (int stream = 0; stream < 2; stream++) {
        FH_AUTO(buf) fh_buf want = FH_BUF(4096);
        fh_buf_addf(&want, stream ? "event: error\ndata: %s\n\n" : "%s", fh_buf_cstr(&out));
        assert_int_equal(relay_init(&r, FH_DIALECT_MESSAGES, stream, NULL, NULL), 0);
        assert_int_equal(write_all(&r, &e, 1, NULL), 0);
        assert_string_equal(fh_buf_cstr(&r.out), fh_buf_cstr(&want));
        relay_fini(&r);
    }
    fh_err_free(err);
}

/* Reading. */

static int read_stream(relay *r, const char *const *data, fh_err **err)
{
    FH_AUTO(fh_wire_reader) fh_wire_reader *reader = NULL;
    int rc = fh_wire_reader_new(&reader, FH_DIALECT_MESSAGES, sink, r, err);
    for (; rc == 0 && *data; data++) rc = fh_wire_reader_push(reader, FH_STR("x"), fh_str_of(*data), err);
    return rc;
}

static const char *const called[] = {
    "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_9\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"up\",\"content\":[],"
    "\"usage\":{\"input_tokens\":5,\"cache_read_input_tokens\":3,\"cache_creation_input_tokens\":2,\"output_tokens\":1}}}",
    "{\"type\":\"ping\"}",
    "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}",
    "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}}",
    "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"Eq\"}}",
    "{\"type\":\"content_block_stop\",\"index\":0}",
    "{\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}",
    "{\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\"I look\"}}",
    "{\"type\":\"content_block_stop\",\"index\":1}",
    "{\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":\"redacted_thinking\",\"data\":\"zz\"}}",
    "{\"type\":\"content_block_stop\",\"index\":2}",
    "{\"type\":\"content_block_start\",\"index\":3,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\",\"input\":{}}}",
    "{\"type\":\"content_block_delta\",\"index\":3,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"\"}}",
    "{\"type\":\"content_block_delta\",\"index\":3,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"a\\\":\"}}",
    "{\"type\":\"content_block_delta\",\"index\":3,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"1}\"}}",
    "{\"type\":\"content_block_stop\",\"index\":3}",
    "{\"type\":\"content_block_start\",\"index\":4,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t2\",\"name\":\"g\",\"input\":{}}}",
    "{\"type\":\"content_block_stop\",\"index\":4}",
    "{\"type\":\"content_block_start\",\"index\":5,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t3\",\"name\":\"h\",\"input\":{\"b\":"
    "2}}}",
    "{\"type\":\"content_block_stop\",\"index\":5}",
    "{\"type\":\"new_kind_of_event\",\"x\":1}",
    "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":20,"
    "\"output_tokens_details\":{\"thinking_tokens\":4}}}",
    "{\"type\":\"message_stop\"}",
    "{\"type\":\"message_stop\"}",
    NULL};

static void a_stream_is_read_into_events(void **state)
{
    relay r = {.seen = FH_BUF(1 << 16)};
    assert_int_equal(read_stream(&r, called, NULL), 0);
    assert_string_equal(fh_buf_cstr(&r.seen),
                        "begin(msg_9 up 10) reasoning(hm) text(I look) call(0 t1 f) arguments(0 {\"a\":) arguments(0 1}) call(1 t2 g) "
                        "arguments(1 {}) call(2 t3 h) arguments(2 {\"b\":2}) finish(tool_calls ) usage(10+20 3 4) end ");
    relay_fini(&r);
}

static const char whole_message[] =
    "{\"id\":\"msg_9\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"up\",\"content\":[{\"type\":\"thinking\",\"thinking\":"
    "\"hm\","
    "\"signature\":\"Eq\"},{\"type\":\"text\",\"text\":\"I "
    "look\",\"citations\":null},{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\",\"input\":"
    "{\"a\":1}}],\"stop_reason\":\"stop_sequence\",\"stop_sequence\":\"END\",\"usage\":{\"input_tokens\":5,\"output_tokens\":20}}";

static int read_whole(relay *r, const char *text, fh_err **err)
{
    FH_AUTO(fh_wire_reader) fh_wire_reader *reader = NULL;
    int rc = fh_wire_reader_new(&reader, FH_DIALECT_MESSAGES, sink, r, err);
    return rc == 0 ? fh_wire_reader_whole(reader, fh_str_of(text), err) : rc;
}

static void a_whole_message_is_read_into_the_same_events(void **state)
{
    relay r = {.seen = FH_BUF(1 << 16)};
    assert_int_equal(read_whole(&r, whole_message, NULL), 0);
    assert_string_equal(fh_buf_cstr(&r.seen),
                        "begin(msg_9 up 5) reasoning(hm) text(I look) call(0 t1 f) arguments(0 {\"a\":1}) finish(stop END) "
                        "usage(5+20 0 0) end ");
    relay_fini(&r);
}

static void reasons_to_stop_are_understood(void **state)
{
    static const char *const rows[][2] = {{"end_turn", "stop"},       {"max_tokens", "length"},
                                          {"tool_use", "tool_calls"}, {"refusal", "content_filter"},
                                          {"pause_turn", "stop"},     {"model_context_window_exceeded", "length"}};
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        relay r = {.seen = FH_BUF(1 << 16)};
        FH_AUTO(buf) fh_buf text = FH_BUF(4096), want = FH_BUF(4096);
        fh_buf_addf(&text, "{\"content\":[],\"stop_reason\":\"%s\"}", rows[i][0]);
        fh_buf_addf(&want, "begin(  0) finish(%s ) usage(0+0 0 0) end ", rows[i][1]);
        assert_int_equal(read_whole(&r, fh_buf_cstr(&text), NULL), 0);
        assert_string_equal(fh_buf_cstr(&r.seen), fh_buf_cstr(&want));
        relay_fini(&r);
    }
}

static void errors_of_upstreams_are_events(void **state)
{
    const char *const stream[] = {called[0], "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}",
                                  NULL};
    relay r = {.seen = FH_BUF(1 << 16)};
    assert_int_equal(read_stream(&r, stream, NULL), 0);
    assert_int_equal(read_whole(&r, "{\"type\":\"error\",\"error\":{\"type\":\"not_found_error\",\"message\":\"model: x\"}}", NULL), 0);
    FH_AUTO(buf) fh_buf want = FH_BUF(4096);
    fh_buf_addf(&want, "begin(msg_9 up 10) error(%d Overloaded) error(%d model: x) ", FH_E_BUSY, FH_E_NOT_FOUND);
    assert_string_equal(fh_buf_cstr(&r.seen), fh_buf_cstr(&want));
    relay_fini(&r);
}

static void what_is_no_reply_is_an_error(void **state)
{
    static const char *const streams[][4] = {
        {"[]"},
        {"not json"},
        {"{\"type\":\"message_stop\"}"},
        {"{\"type\":\"content_block_stop\"}"},
        {"{\"type\":\"message_start\"}", "{\"type\":\"message_stop\"}"},
        {"{\"type\":\"message_start\"}", "{\"type\":\"content_block_start\",\"content_block\":{\"type\":\"tool_use\",\"id\":\"a\"}}"},
    };
    static const char *const wholes[] = {"{}", "[]", "{\"content\":\"x\"}", "{\"content\":[]}"};
    for (size_t i = 0; i < FH_COUNT(streams); i++) {
        relay r = {.seen = FH_BUF(1 << 16)};
        assert_int_equal(read_stream(&r, streams[i], NULL), FH_E_UPSTREAM);
        relay_fini(&r);
    }
    for (size_t i = 0; i < FH_COUNT(wholes); i++) {
        relay r = {.seen = FH_BUF(1 << 16)};
        assert_int_equal(read_whole(&r, wholes[i], NULL), FH_E_UPSTREAM);
        relay_fini(&r);
    }
}

/* From API to API: what a writer writes, the reader of the same API reads as the same events. */
static void what_is_written_reads_back(void **state)
{
    relay first, second = {.seen = FH_BUF(1 << 16)};
    assert_int_equal(relay_init(&first, FH_DIALECT_MESSAGES, false, NULL, NULL), 0);
    assert_int_equal(read_stream(&first, called, NULL), 0);
    assert_int_equal(read_whole(&second, fh_buf_cstr(&first.out), NULL), 0);
    assert_string_equal(fh_buf_cstr(&second.seen),
                        "begin(msg_1 m 10) reasoning(hm) text(I look) call(0 t1 f) arguments(0 {\"a\":1}) call(1 t2 g) arguments(1 {}) "
                        "call(2 t3 h) arguments(2 {\"b\":2}) finish(tool_calls ) usage(10+20 3 4) end ");
    relay_fini(&first);
    relay_fini(&second);
}

static int relay_once(void *arg)
{
    relay r;
    fh_err *err = NULL;
    int rc = relay_init(&r, FH_DIALECT_MESSAGES, *(bool *)arg, NULL, &err);
    if (rc == 0) rc = write_all(&r, rich, FH_COUNT(rich), &err);
    assert_true((rc == 0) == (err == NULL));
    fh_err_free(err);
    relay_fini(&r);
    return rc;
}

static void memory_that_runs_out_is_an_error(void **state)
{
    bool stream = true, plain = false;
    assert_true(fh_torture(FH_FAULT_ALLOC, relay_once, &stream, 5000) > 2);
    assert_true(fh_torture(FH_FAULT_ALLOC, relay_once, &plain, 5000) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_is_a_row_of_blocks),
        cmocka_unit_test(a_plain_reply_holds_the_blocks),
        cmocka_unit_test(thoughts_are_shown_as_was_asked),
        cmocka_unit_test(a_reply_says_why_it_stopped),
        cmocka_unit_test(arguments_that_are_no_object_are_not_lost),
        cmocka_unit_test(arguments_behind_the_next_call_break_the_reply),
        cmocka_unit_test(errors_have_types_by_status),
        cmocka_unit_test(an_error_names_its_field_and_what_to_do),
        cmocka_unit_test(a_stream_is_read_into_events),
        cmocka_unit_test(a_whole_message_is_read_into_the_same_events),
        cmocka_unit_test(reasons_to_stop_are_understood),
        cmocka_unit_test(errors_of_upstreams_are_events),
        cmocka_unit_test(what_is_no_reply_is_an_error),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
