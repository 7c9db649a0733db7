/* Writing events in the Messages API, streamed and whole.
 *
 * A reply is a row of blocks, one open at a time: text, thinking and tool_use follow one another as events of another kind come, and none
 * is opened again. How it ended and what was used are known at the end, so that both go out there. A thought is left out when the request
 * disabled thinking, and has no text when it asked for that. */
#include "messages_private.h"

#include "base/limits.h"

enum { REPLY_MAX = 64 << 20, STOP_MAX = FH_LIMIT_STOP_STRING_BYTES };

typedef enum block { NONE, TEXT, THINKING, TOOL } block;

typedef struct messages_writer {
    fh_wire_writer base;
    bool begun;
    block open;
    uint32_t blocks;      /* begun so far; the open one is the last */
    uint32_t call;        /* that the open TOOL is */
    bool hide, omit;      /* thoughts as a whole; their text */
    fh_buf piece;         /* a plain reply: text or arguments of the open block */
    fh_buf content;       /* a plain reply: the blocks before it, as JSON */
    bool called, refused; /* there was a tool call; a refusal */
    fh_wire_finish finish;
    fh_buf stop; /* the stop sequence that ended it */
    fh_wire_usage usage;
} messages_writer;

static void add_text(fh_buf *out, fh_str s)
{
    fh_buf_add_json_string(out, s.ptr ? s.ptr : "", s.len);
}

static void add_event(fh_buf *out, const char *name)
{
    fh_buf_addf(out, "event: %s\ndata: {\"type\":\"%s\"", name, name);
}

static void end_event(fh_buf *out)
{
    fh_buf_adds(out, "}\n\n");
}

/* What was read from a cache is counted apart. */
static void add_usage(fh_buf *out, const fh_wire_usage *u)
{
    unsigned long long cached = FH_MIN(u->cached_tok, u->prompt_tok), prompt = u->prompt_tok - cached;
    fh_buf_addf(out, ",\"usage\":{\"input_tokens\":%llu,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":%llu", prompt,
                cached);
    fh_buf_addf(out, ",\"output_tokens\":%llu,\"output_tokens_details\":{\"thinking_tokens\":%llu}}", (unsigned long long)u->completion_tok,
                (unsigned long long)u->reasoning_tok);
}

static const char *stop_reason(const messages_writer *w)
{
    if (w->refused || w->finish == FH_FINISH_CONTENT_FILTER) return "refusal";
    if (w->finish == FH_FINISH_LENGTH) return "max_tokens";
    if (w->called) return "tool_use"; /* some engines say stop */
    return w->stop.len ? "stop_sequence" : "end_turn";
}

static void add_stop(fh_buf *out, const messages_writer *w)
{
    const char *reason = stop_reason(w);
    fh_buf_addf(out, "\"stop_reason\":\"%s\",\"stop_sequence\":", reason);
    if (strcmp(reason, "stop_sequence") == 0)
        add_text(out, (fh_str){fh_buf_cstr(&w->stop), w->stop.len});
    else
        fh_buf_adds(out, "null");
    if (strcmp(reason, "refusal") == 0) fh_buf_adds(out, ",\"stop_details\":{\"type\":\"refusal\",\"category\":null,\"explanation\":null}");
}

static void add_head(fh_buf *out, const messages_writer *w)
{
    fh_buf_adds(out, "{\"id\":");
    add_text(out, fh_str_of(w->base.id));
    fh_buf_adds(out, ",\"type\":\"message\",\"role\":\"assistant\",\"model\":");
    add_text(out, fh_str_of(w->base.model));
}

/* The reply's id without this API's prefix. */
static const char *bare_id(const messages_writer *w)
{
    return w->base.id + strlen(w->base.ops->id_prefix);
}

/* Streams. */

static void stream_begin(messages_writer *w, fh_buf *out)
{
    add_event(out, "message_start");
    fh_buf_adds(out, ",\"message\":");
    add_head(out, w);
    fh_buf_adds(out, ",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null");
    add_usage(out, &w->usage);
    fh_buf_addc(out, '}');
    end_event(out);
    add_event(out, "ping");
    end_event(out);
}

static void stream_delta(const messages_writer *w, const char *type, const char *member, fh_str text, fh_buf *out)
{
    add_event(out, "content_block_delta");
    fh_buf_addf(out, ",\"index\":%u,\"delta\":{\"type\":\"%s\",\"%s\":", w->blocks - 1, type, member);
    add_text(out, text);
    fh_buf_addc(out, '}');
    end_event(out);
}

static void stream_end(messages_writer *w, fh_buf *out)
{
    add_event(out, "message_delta");
    fh_buf_adds(out, ",\"delta\":{");
    add_stop(out, w);
    fh_buf_addc(out, '}');
    add_usage(out, &w->usage);
    end_event(out);
    add_event(out, "message_stop");
    end_event(out);
}

/* Blocks. */

/* An engine may give its calls no ids; clients need them to answer. */
static void add_call_id(const messages_writer *w, const fh_wire_event *e, fh_buf *out)
{
    if (e->id.len)
        add_text(out, e->id);
    else
        fh_buf_addf(out, "\"toolu_%s_%u\"", bare_id(w), e->call);
}

/* The block's object without the text that follows, and without its end. */
static void add_block_head(const messages_writer *w, const fh_wire_event *e, fh_buf *out)
{
    if (w->open == TEXT) fh_buf_adds(out, "{\"type\":\"text\",\"text\":");
    if (w->open == THINKING) fh_buf_adds(out, "{\"type\":\"thinking\",\"thinking\":");
    if (w->open != TOOL) return;
    fh_buf_adds(out, "{\"type\":\"tool_use\",\"id\":");
    add_call_id(w, e, out);
    fh_buf_adds(out, ",\"name\":");
    add_text(out, e->name);
    fh_buf_adds(out, ",\"input\":");
}

static void open_block(messages_writer *w, block kind, const fh_wire_event *e, fh_buf *out)
{
    static const char *const empty[] = {[TEXT] = "\"\"}", [THINKING] = "\"\",\"signature\":\"\"}", [TOOL] = "{}}"};
    w->open = kind;
    w->call = e->call;
    w->blocks++;
    if (!w->base.stream) {
        if (w->blocks > 1) fh_buf_addc(&w->content, ',');
        add_block_head(w, e, &w->content);
        return;
    }
    add_event(out, "content_block_start");
    fh_buf_addf(out, ",\"index\":%u,\"content_block\":", w->blocks - 1);
    add_block_head(w, e, out);
    fh_buf_adds(out, empty[kind]);
    end_event(out);
}

/* Arguments that are no JSON object, as of a call that was cut, are given as they are in a member of one. */
static void add_input(fh_buf *out, fh_str text)
{
    FH_AUTO(json) fh_json *v = NULL;
    if (!text.len) {
        fh_buf_adds(out, "{}");
    } else if (fh_json_parse(&v, text, REPLY_MAX, NULL) == 0 && fh_json_kind_of(v) == FH_JSON_OBJECT) {
        fh_buf_add(out, text.ptr, text.len);
    } else {
        fh_buf_adds(out, "{\"" FH_MSG_BROKEN_INPUT "\":");
        add_text(out, text);
        fh_buf_addc(out, '}');
    }
}

static void plain_close(messages_writer *w)
{
    fh_str text = {fh_buf_cstr(&w->piece), w->piece.len};
    if (w->open == TOOL)
        add_input(&w->content, text);
    else
        add_text(&w->content, text);
    if (w->open == THINKING) fh_buf_adds(&w->content, ",\"signature\":\"" FH_MSG_SIGNATURE "\"");
    fh_buf_addc(&w->content, '}');
    if (!fh_buf_ok(&w->piece)) w->content.failed = true;
    fh_buf_clear(&w->piece);
}

static void close_block(messages_writer *w, fh_buf *out)
{
    if (w->open == NONE) return;
    if (w->base.stream) {
        if (w->open == THINKING) stream_delta(w, "signature_delta", "signature", FH_STR(FH_MSG_SIGNATURE), out);
        add_event(out, "content_block_stop");
        fh_buf_addf(out, ",\"index\":%u", w->blocks - 1);
        end_event(out);
    } else
        plain_close(w);
    w->open = NONE;
}

static void turn_to(messages_writer *w, block kind, const fh_wire_event *e, fh_buf *out)
{
    if (w->open == kind && kind != TOOL) return;
    close_block(w, out);
    open_block(w, kind, e, out);
}

/* Events. */

static void take_text(messages_writer *w, block kind, const fh_wire_event *e, fh_buf *out)
{
    if (!e->text.len || (kind == THINKING && w->hide)) return;
    turn_to(w, kind, e, out);
    if (kind == THINKING && w->omit) return;
    if (!w->base.stream)
        fh_buf_add(&w->piece, e->text.ptr, e->text.len);
    else if (kind == THINKING)
        stream_delta(w, "thinking_delta", "thinking", e->text, out);
    else
        stream_delta(w, "text_delta", "text", e->text, out);
}

static int take_arguments(messages_writer *w, const fh_wire_event *e, fh_buf *out, fh_err **err)
{
    if (w->open != TOOL || w->call != e->call)
        return fh_err_set(err, FH_E_UPSTREAM, "the engine went on with a tool call behind the next one");
    if (!e->text.len) return 0;
    if (w->base.stream)
        stream_delta(w, "input_json_delta", "partial_json", e->text, out);
    else
        fh_buf_add(&w->piece, e->text.ptr, e->text.len);
    return 0;
}

static void take_finish(messages_writer *w, const fh_wire_event *e)
{
    w->finish = e->finish;
    fh_buf_clear(&w->stop);
    if (e->text.len <= STOP_MAX) fh_buf_add(&w->stop, e->text.ptr, e->text.len); /* a longer one was not asked for */
}

static void take_end(messages_writer *w, fh_buf *out)
{
    close_block(w, out);
    if (w->base.stream) {
        stream_end(w, out);
        return;
    }
    add_head(out, w);
    fh_buf_adds(out, ",\"content\":[");
    fh_buf_add(out, fh_buf_cstr(&w->content), w->content.len);
    fh_buf_adds(out, "],");
    add_stop(out, w);
    add_usage(out, &w->usage);
    fh_buf_addc(out, '}');
}

static void take_error(const messages_writer *w, const fh_err *why, fh_buf *out)
{
    if (w->base.stream) fh_buf_adds(out, "event: error\ndata: ");
    fh_wire_messages_error_write(out, why, w->base.request_id[0] ? w->base.request_id : NULL);
    if (w->base.stream) fh_buf_adds(out, "\n\n");
}

static void begin(messages_writer *w, const fh_wire_event *e, fh_buf *out)
{
    if (w->begun || e->kind == FH_EVENT_ERROR) return;
    w->begun = true;
    if (e->kind == FH_EVENT_BEGIN) w->usage = e->usage;
    if (w->base.stream) stream_begin(w, out);
}

static int event(fh_wire_writer *base, const fh_wire_event *e, fh_buf *out, fh_err **err)
{
    messages_writer *w = (messages_writer *)base;
    int rc = 0;
    if (e->choice) return 0; /* one was asked for */
    begin(w, e, out);
    switch (e->kind) {
    case FH_EVENT_BEGIN: break;
    case FH_EVENT_REFUSAL:
        w->refused = true;
        take_text(w, TEXT, e, out);
        break;
    case FH_EVENT_TEXT: take_text(w, TEXT, e, out); break;
    case FH_EVENT_REASONING: take_text(w, THINKING, e, out); break;
    case FH_EVENT_CALL:
        w->called = true;
        turn_to(w, TOOL, e, out);
        break;
    case FH_EVENT_ARGUMENTS: rc = take_arguments(w, e, out, err); break;
    case FH_EVENT_FINISH: take_finish(w, e); break;
    case FH_EVENT_USAGE: w->usage = e->usage; break;
    case FH_EVENT_END: take_end(w, out); break;
    case FH_EVENT_ERROR: take_error(w, e->err, out); break;
    }
    if (rc == 0) rc = fh_buf_check(&w->content, err, "the answer");
    if (rc == 0) rc = fh_buf_check(&w->piece, err, "the answer");
    return rc == 0 ? fh_buf_check(&w->stop, err, "the stop sequence") : rc;
}

static int init(fh_wire_writer *base, fh_err **err)
{
    messages_writer *w = (messages_writer *)base;
    const fh_json *thinking = fh_json_get(base->request, "thinking");
    (void)err;
    w->piece = FH_BUF(REPLY_MAX);
    w->content = FH_BUF(REPLY_MAX);
    w->stop = FH_BUF(STOP_MAX);
    w->hide = fh_str_eqs(fh_json_str(fh_json_get(thinking, "type")), "disabled");
    w->omit = fh_str_eqs(fh_json_str(fh_json_get(thinking, "display")), "omitted");
    return 0;
}

static void fini(fh_wire_writer *base)
{
    messages_writer *w = (messages_writer *)base;
    fh_buf_fini(&w->piece);
    fh_buf_fini(&w->content);
    fh_buf_fini(&w->stop);
}

const fh_wire_writer_ops fh_wire_messages_writer = {
    .size = sizeof(messages_writer), .id_prefix = "msg_", .init = init, .event = event, .fini = fini};
