/* Reading replies of Chat Completions and of Completions, streamed and whole, into events.
 *
 * Lenient where engines differ (reasoning under two names, tool calls whose id or arguments come late, arguments as an object, usage in any
 * chunk) and strict where it matters: what is no JSON object is an error, and only [DONE] or a whole body ends a reply. */
#include "private.h"

enum { CHOICES = 128, CALLS = 1024 };

typedef struct chat_reader {
    fh_wire_reader base;
    bool begun;
    uint16_t calls[CHOICES]; /* begun so far */
} chat_reader;

static int begin(chat_reader *r, const fh_json *doc, fh_err **err)
{
    if (r->begun) return 0;
    r->begun = true;
    fh_wire_event e = {.kind = FH_EVENT_BEGIN, .id = fh_json_str(fh_json_get(doc, "id")), .name = fh_json_str(fh_json_get(doc, "model"))};
    return fh_wire_emit(&r->base, &e, err);
}

static int emit_text(chat_reader *r, fh_wire_event_kind kind, uint32_t choice, fh_str text, const fh_json *logprobs, fh_err **err)
{
    if (text.len == 0 && !logprobs) return 0;
    fh_wire_event e = {.kind = kind, .choice = choice, .text = text, .logprobs = logprobs};
    return fh_wire_emit(&r->base, &e, err);
}

/* Tool calls. */

static int emit_call(chat_reader *r, uint32_t choice, uint32_t call, const fh_json *v, const fh_json *function, fh_err **err)
{
    fh_wire_event e = {.kind = FH_EVENT_CALL, .choice = choice, .call = call};
    e.id = fh_json_str(fh_json_get(v, "id"));
    e.name = fh_json_str(fh_json_get(function, "name"));
    if (e.name.len == 0) return fh_err_set(err, FH_E_UPSTREAM, "the engine began a tool call without a name");
    r->calls[choice] = (uint16_t)(call + 1);
    return fh_wire_emit(&r->base, &e, err);
}

static int emit_arguments(chat_reader *r, uint32_t choice, uint32_t call, const fh_json *arguments, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(64 << 20);
    fh_wire_event e = {.kind = FH_EVENT_ARGUMENTS, .choice = choice, .call = call, .text = fh_json_str(arguments)};
    if (fh_json_kind_of(arguments) == FH_JSON_OBJECT) {
        int rc = fh_json_write(arguments, &text, err);
        if (rc) return rc;
        e.text = (fh_str){fh_buf_cstr(&text), text.len};
    }
    return e.text.len ? fh_wire_emit(&r->base, &e, err) : 0;
}

static int read_call(chat_reader *r, uint32_t choice, const fh_json *v, size_t position, fh_err **err)
{
    int64_t call = fh_json_int(fh_json_get(v, "index"), (int64_t)position);
    const fh_json *function = fh_json_get(v, "function");
    if (call < 0 || call >= CALLS || call > r->calls[choice])
        return fh_err_set(err, FH_E_UPSTREAM, "the engine sent a tool call out of order");
    int rc = call == r->calls[choice] ? emit_call(r, choice, (uint32_t)call, v, function, err) : 0;
    return rc ? rc : emit_arguments(r, choice, (uint32_t)call, fh_json_get(function, "arguments"), err);
}

/* Choices. */

static fh_str reasoning_of(const fh_json *delta)
{
    fh_str s = fh_json_str(fh_json_get(delta, "reasoning_content"));
    return s.ptr ? s : fh_json_str(fh_json_get(delta, "reasoning"));
}

static const fh_json *present(const fh_json *v)
{
    return fh_wire_absent(v) ? NULL : v;
}

static int read_delta(chat_reader *r, uint32_t choice, const fh_json *delta, const fh_json *logprobs, fh_err **err)
{
    const fh_json *calls = fh_json_get(delta, "tool_calls");
    int rc = emit_text(r, FH_EVENT_REASONING, choice, reasoning_of(delta), NULL, err);
    if (rc == 0) rc = emit_text(r, FH_EVENT_TEXT, choice, fh_json_str(fh_json_get(delta, "content")), present(logprobs), err);
    if (rc == 0) rc = emit_text(r, FH_EVENT_REFUSAL, choice, fh_json_str(fh_json_get(delta, "refusal")), NULL, err);
    for (size_t i = 0; rc == 0 && i < fh_json_count(calls); i++) rc = read_call(r, choice, fh_json_at(calls, i), i, err);
    return rc;
}

static fh_wire_finish finish_of(fh_str name)
{
    for (fh_wire_finish f = 0; f < FH_FINISHES; f++)
        if (fh_str_eqs(name, fh_wire_finish_name(f))) return f;
    return fh_str_eqs(name, "function_call") ? FH_FINISH_TOOL_CALLS : FH_FINISH_STOP;
}

static int emit_finish(chat_reader *r, uint32_t choice, const fh_json *v, fh_err **err)
{
    fh_str name = fh_json_str(fh_json_get(v, "finish_reason")), stop = fh_json_str(fh_json_get(v, "stop_reason"));
    if (!name.ptr) return 0;
    fh_wire_event e = {.kind = FH_EVENT_FINISH, .choice = choice, .finish = finish_of(name), .text = stop};
    return fh_wire_emit(&r->base, &e, err);
}

static int read_choice(chat_reader *r, const fh_json *v, fh_err **err)
{
    int64_t choice = fh_json_int(fh_json_get(v, "index"), 0);
    const fh_json *delta = fh_json_get(v, "delta"), *logprobs = fh_json_get(v, "logprobs");
    if (choice < 0 || choice >= CHOICES) return fh_err_set(err, FH_E_UPSTREAM, "the engine sent a choice with an impossible index");
    if (!delta) delta = fh_json_get(v, "message");
    int rc = delta ? read_delta(r, (uint32_t)choice, delta, logprobs, err)
                   : emit_text(r, FH_EVENT_TEXT, (uint32_t)choice, fh_json_str(fh_json_get(v, "text")), present(logprobs), err);
    return rc ? rc : emit_finish(r, (uint32_t)choice, v, err);
}

/* Usage. */

static uint64_t count(const fh_json *o, const char *key)
{
    int64_t n = fh_json_int(fh_json_get(o, key), 0);
    return n > 0 ? (uint64_t)n : 0;
}

static int emit_usage(chat_reader *r, const fh_json *u, fh_err **err)
{
    if (fh_json_kind_of(u) != FH_JSON_OBJECT || !fh_json_get(u, "completion_tokens")) return 0;
    fh_wire_event e = {.kind = FH_EVENT_USAGE,
                       .usage = {.prompt_tok = count(u, "prompt_tokens"),
                                 .completion_tok = count(u, "completion_tokens"),
                                 .cached_tok = count(fh_json_get(u, "prompt_tokens_details"), "cached_tokens"),
                                 .reasoning_tok = count(fh_json_get(u, "completion_tokens_details"), "reasoning_tokens")}};
    return fh_wire_emit(&r->base, &e, err);
}

/* Documents. */

static int read_document(chat_reader *r, fh_str text, fh_err **err)
{
    FH_AUTO(json) fh_json *doc = NULL;
    int rc = fh_wire_upstream_json(&doc, text, err);
    if (rc) return rc;
    const fh_json *error = present(fh_json_get(doc, "error")), *choices = fh_json_get(doc, "choices");
    if (error) return fh_wire_emit_error(&r->base, error, err);
    rc = begin(r, doc, err);
    for (size_t i = 0; rc == 0 && i < fh_json_count(choices); i++) rc = read_choice(r, fh_json_at(choices, i), err);
    return rc ? rc : emit_usage(r, fh_json_get(doc, "usage"), err);
}

static int push(fh_wire_reader *base, fh_str event, fh_str data, fh_err **err)
{
    chat_reader *r = (chat_reader *)base;
    (void)event;
    if (!fh_str_eqs(fh_str_trim(data), "[DONE]")) return read_document(r, data, err);
    fh_wire_event e = {.kind = FH_EVENT_END};
    return fh_wire_emit(base, &e, err);
}

static int whole(fh_wire_reader *base, fh_str body, fh_err **err)
{
    fh_wire_event e = {.kind = FH_EVENT_END};
    int rc = read_document((chat_reader *)base, body, err);
    return rc ? rc : fh_wire_emit(base, &e, err);
}

/* One reader for both: a choice has a delta, a message or a text. */
const fh_wire_reader_ops fh_wire_chat_reader = {.size = sizeof(chat_reader), .push = push, .whole = whole};
const fh_wire_reader_ops fh_wire_completion_reader = {.size = sizeof(chat_reader), .push = push, .whole = whole};
