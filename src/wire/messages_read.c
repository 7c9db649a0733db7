/* Reading replies of an upstream that speaks the Messages API, streamed and whole, into events.
 *
 * The type of an event is read from its data; its name is a copy. Blocks of kinds that we never ask for, and events and members that are
 * new, are passed over, as the API asks of its clients. Only message_stop or a whole body ends a reply. */
#include "messages_private.h"

enum { CALLS = 1024, TEXT_MAX = 64 << 20 };

typedef struct messages_reader {
    fh_wire_reader base;
    bool begun, finished, told; /* told: the usage was */
    uint32_t calls;             /* begun so far */
    bool in_call, argued;       /* the open block is a call; arguments of it came */
    fh_json *input;             /* owned; what the start of the call already held, or NULL */
    uint64_t input_tok, written_tok, cached_tok, output_tok, thinking_tok;
} messages_reader;

static int emit(messages_reader *r, fh_wire_event_kind kind, fh_str text, fh_err **err)
{
    fh_wire_event e = {.kind = kind, .text = text, .call = r->calls ? r->calls - 1 : 0};
    return text.len ? fh_wire_emit(&r->base, &e, err) : 0;
}

/* Usage: figures are totals, and what a later event leaves out stays. What was read from a cache or written into it was prompt too. */

static void read_count(const fh_json *usage, const char *key, uint64_t *ret)
{
    int64_t n = fh_json_int(fh_json_get(usage, key), -1);
    if (n >= 0 && n <= INT32_MAX) *ret = (uint64_t)n;
}

static void read_usage(messages_reader *r, const fh_json *usage)
{
    read_count(usage, "input_tokens", &r->input_tok);
    read_count(usage, "cache_creation_input_tokens", &r->written_tok);
    read_count(usage, "cache_read_input_tokens", &r->cached_tok);
    read_count(usage, "output_tokens", &r->output_tok);
    read_count(fh_json_get(usage, "output_tokens_details"), "thinking_tokens", &r->thinking_tok);
}

static fh_wire_usage usage_of(const messages_reader *r)
{
    return (fh_wire_usage){.prompt_tok = r->input_tok + r->written_tok + r->cached_tok,
                           .cached_tok = r->cached_tok,
                           .completion_tok = r->output_tok,
                           .reasoning_tok = r->thinking_tok};
}

/* Beginning and end. */

static int begin(messages_reader *r, const fh_json *message, fh_err **err)
{
    if (r->begun) return 0;
    r->begun = true;
    read_usage(r, fh_json_get(message, "usage"));
    fh_wire_event e = {.kind = FH_EVENT_BEGIN, .usage = usage_of(r)};
    e.id = fh_json_str(fh_json_get(message, "id"));
    e.name = fh_json_str(fh_json_get(message, "model"));
    return fh_wire_emit(&r->base, &e, err);
}

static fh_wire_finish finish_of(fh_str reason)
{
    if (fh_str_eqs(reason, "max_tokens") || fh_str_eqs(reason, "model_context_window_exceeded")) return FH_FINISH_LENGTH;
    if (fh_str_eqs(reason, "tool_use")) return FH_FINISH_TOOL_CALLS;
    return fh_str_eqs(reason, "refusal") ? FH_FINISH_CONTENT_FILTER : FH_FINISH_STOP;
}

/* from: the message, or the delta of it. */
static int finish(messages_reader *r, const fh_json *from, fh_err **err)
{
    fh_str reason = fh_json_str(fh_json_get(from, "stop_reason"));
    if (!reason.len || r->finished) return 0;
    r->finished = true;
    fh_wire_event e = {.kind = FH_EVENT_FINISH, .finish = finish_of(reason)};
    e.text = fh_json_str(fh_json_get(from, "stop_sequence"));
    return fh_wire_emit(&r->base, &e, err);
}

static int tell_usage(messages_reader *r, fh_err **err)
{
    fh_wire_event usage = {.kind = FH_EVENT_USAGE, .usage = usage_of(r)};
    if (r->told || !r->finished) return 0;
    r->told = true;
    return fh_wire_emit(&r->base, &usage, err);
}

static int end(messages_reader *r, fh_err **err)
{
    if (!r->finished) return fh_err_set(err, FH_E_UPSTREAM, "the engine ended a message without saying why");
    fh_wire_event last = {.kind = FH_EVENT_END};
    int rc = tell_usage(r, err);
    return rc == 0 ? fh_wire_emit(&r->base, &last, err) : rc;
}

/* Blocks. */

static int begin_call(messages_reader *r, const fh_json *block, fh_err **err)
{
    fh_wire_event e = {.kind = FH_EVENT_CALL, .call = r->calls};
    e.id = fh_json_str(fh_json_get(block, "id"));
    e.name = fh_json_str(fh_json_get(block, "name"));
    if (!e.name.len) return fh_err_set(err, FH_E_UPSTREAM, "the engine began a tool call without a name");
    if (r->calls == CALLS) return fh_err_set(err, FH_E_UPSTREAM, "the engine sent more than %d tool calls", CALLS);
    r->calls++;
    r->in_call = true;
    r->argued = false;
    r->input = fh_msg_share(fh_json_get(block, "input"));
    return fh_wire_emit(&r->base, &e, err);
}

/* Arguments come in pieces, or stood whole at the start, or there are none. */
static int end_call(messages_reader *r, fh_err **err)
{
    if (!r->in_call) return 0;
    FH_AUTO(json) fh_json *input = fh_take(r->input);
    FH_AUTO(buf) fh_buf text = FH_BUF(TEXT_MAX);
    r->in_call = false;
    if (r->argued) return 0;
    if (fh_json_kind_of(input) != FH_JSON_OBJECT) return emit(r, FH_EVENT_ARGUMENTS, FH_STR("{}"), err);
    int rc = fh_json_write(input, &text, err);
    return rc == 0 ? emit(r, FH_EVENT_ARGUMENTS, (fh_str){fh_buf_cstr(&text), text.len}, err) : rc;
}

/* What a block holds when it begins: all of it in a whole message, mostly nothing in a stream. */
static int begin_block(messages_reader *r, const fh_json *block, fh_err **err)
{
    fh_str type = fh_json_str(fh_json_get(block, "type"));
    int rc = end_call(r, err);
    if (rc < 0) return rc;
    if (fh_str_eqs(type, "text")) return emit(r, FH_EVENT_TEXT, fh_json_str(fh_json_get(block, "text")), err);
    if (fh_str_eqs(type, "thinking")) return emit(r, FH_EVENT_REASONING, fh_json_str(fh_json_get(block, "thinking")), err);
    return fh_str_eqs(type, "tool_use") ? begin_call(r, block, err) : 0;
}

static int block_delta(messages_reader *r, const fh_json *delta, fh_err **err)
{
    fh_str type = fh_json_str(fh_json_get(delta, "type"));
    if (fh_str_eqs(type, "text_delta")) return emit(r, FH_EVENT_TEXT, fh_json_str(fh_json_get(delta, "text")), err);
    if (fh_str_eqs(type, "thinking_delta")) return emit(r, FH_EVENT_REASONING, fh_json_str(fh_json_get(delta, "thinking")), err);
    if (!fh_str_eqs(type, "input_json_delta") || !r->in_call) return 0;
    fh_str text = fh_json_str(fh_json_get(delta, "partial_json"));
    if (text.len) r->argued = true;
    return emit(r, FH_EVENT_ARGUMENTS, text, err);
}

/* Events of a stream. */

static int read_event(messages_reader *r, const fh_json *doc, fh_str type, fh_err **err)
{
    if (fh_str_eqs(type, "error")) return fh_wire_emit_error(&r->base, fh_json_get(doc, "error"), err);
    if (fh_str_eqs(type, "message_start")) return begin(r, fh_json_get(doc, "message"), err);
    if (fh_str_eqs(type, "ping")) return 0;
    if (!r->begun) return fh_err_set(err, FH_E_UPSTREAM, "the engine's stream does not begin with message_start");
    if (fh_str_eqs(type, "content_block_start")) return begin_block(r, fh_json_get(doc, "content_block"), err);
    if (fh_str_eqs(type, "content_block_delta")) return block_delta(r, fh_json_get(doc, "delta"), err);
    if (fh_str_eqs(type, "content_block_stop")) return end_call(r, err);
    if (fh_str_eqs(type, "message_delta")) {
        read_usage(r, fh_json_get(doc, "usage"));
        int rc = end_call(r, err);
        if (rc == 0) rc = finish(r, fh_json_get(doc, "delta"), err);
        return rc == 0 ? tell_usage(r, err) : rc; /* of the event that says it */
    }
    return fh_str_eqs(type, "message_stop") ? end(r, err) : 0;
}

static int push(fh_wire_reader *base, fh_str event, fh_str data, fh_err **err)
{
    FH_AUTO(json) fh_json *doc = NULL;
    if (!data.len) return 0;
    int rc = fh_wire_upstream_json(&doc, data, err);
    if (rc < 0) return rc;
    fh_str type = fh_json_str(fh_json_get(doc, "type"));
    return read_event((messages_reader *)base, doc, type.len ? type : event, err);
}

/* Whole messages. */

static int whole(fh_wire_reader *base, fh_str body, fh_err **err)
{
    messages_reader *r = (messages_reader *)base;
    FH_AUTO(json) fh_json *doc = NULL;
    int rc = fh_wire_upstream_json(&doc, body, err);
    if (rc < 0) return rc;
    const fh_json *content = fh_json_get(doc, "content"), *error = fh_json_get(doc, "error");
    if (!fh_wire_absent(error)) return fh_wire_emit_error(base, error, err);
    if (fh_json_kind_of(content) != FH_JSON_ARRAY) return fh_err_set(err, FH_E_UPSTREAM, "the engine sent a message without content");
    rc = begin(r, doc, err);
    for (size_t i = 0; rc == 0 && i < fh_json_count(content); i++) rc = begin_block(r, fh_json_at(content, i), err);
    if (rc == 0) rc = end_call(r, err);
    if (rc == 0) rc = finish(r, doc, err);
    return rc == 0 ? end(r, err) : rc;
}

static void fini(fh_wire_reader *base)
{
    messages_reader *r = (messages_reader *)base;
    fh_json_unref(r->input);
}

const fh_wire_reader_ops fh_wire_messages_reader = {.size = sizeof(messages_reader), .push = push, .whole = whole, .fini = fini};
