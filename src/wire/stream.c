/* What the readers and writers of all APIs share: making them by dialect, order of events, errors of upstreams. */
#include "private.h"

#include "base/limits.h"
#include <stdio.h>

static const fh_wire_reader_ops *const readers[FH_DIALECTS] = {
    [FH_DIALECT_CHAT] = &fh_wire_chat_reader,
    [FH_DIALECT_COMPLETION] = &fh_wire_completion_reader,
    [FH_DIALECT_MESSAGES] = &fh_wire_messages_reader,
};
static const fh_wire_writer_ops *const writers[FH_DIALECTS] = {
    [FH_DIALECT_CHAT] = &fh_wire_chat_writer,
    [FH_DIALECT_COMPLETION] = &fh_wire_completion_writer,
    [FH_DIALECT_MESSAGES] = &fh_wire_messages_writer,
    [FH_DIALECT_RESPONSES] = &fh_wire_responses_writer,
};

const char *fh_wire_finish_name(fh_wire_finish f)
{
    static const char *const names[FH_FINISHES] = {"stop", "length", "tool_calls", "content_filter"};
    return names[f];
}

const char *fh_wire_content_type(bool stream)
{
    return stream ? "text/event-stream; charset=utf-8" : "application/json";
}

/* Readers. */

int fh_wire_reader_new(fh_wire_reader **ret, fh_wire_dialect d, fh_wire_sink *sink, void *ctx, fh_err **err)
{
    fh_wire_reader *r = fh_calloc(1, readers[d]->size);
    if (!r) return fh_err_nomem(err);
    *r = (fh_wire_reader){.ops = readers[d], .sink = sink, .ctx = ctx};
    *ret = r;
    return 0;
}

void fh_wire_reader_free(fh_wire_reader *r)
{
    if (!r) return;
    if (r->ops->fini) r->ops->fini(r);
    fh_free(r);
}

int fh_wire_reader_push(fh_wire_reader *r, fh_str event, fh_str data, fh_err **err)
{
    return r->ended ? 0 : r->ops->push(r, event, data, err);
}

int fh_wire_reader_whole(fh_wire_reader *r, fh_str body, fh_err **err)
{
    return r->ended ? 0 : r->ops->whole(r, body, err);
}

bool fh_wire_reader_ended(const fh_wire_reader *r)
{
    return r->ended;
}

int fh_wire_emit(fh_wire_reader *r, const fh_wire_event *e, fh_err **err)
{
    if (r->ended) return 0;
    r->ended = e->kind == FH_EVENT_END || e->kind == FH_EVENT_ERROR;
    return r->sink(r->ctx, e, err);
}

int fh_wire_upstream_json(fh_json **ret, fh_str text, fh_err **err)
{
    fh_err *why = NULL;
    FH_AUTO(json) fh_json *doc = NULL;
    int rc = fh_json_parse(&doc, text, FH_LIMIT_JSON_BODY_BYTES, &why);
    if (rc == 0 && fh_json_kind_of(doc) != FH_JSON_OBJECT) rc = fh_err_set(&why, FH_E_INVALID, "it is no JSON object");
    if (rc == 0)
        *ret = fh_take(doc);
    else
        rc = fh_err_set(err, FH_E_UPSTREAM, "the engine sent what is no reply: %s", fh_err_message(why));
    fh_err_free(why);
    return rc;
}

/* What the upstream's words for an error are among our codes; what it does not say is its failure. */
static int code_of_type(fh_str type)
{
    static const struct {
        const char *type;
        int code;
    } rows[] = {{"invalid_request_error", FH_E_INVALID}, {"rate_limit_error", FH_E_BUSY},     {"overloaded_error", FH_E_BUSY},
                {"timeout_error", FH_E_TIMEOUT},         {"not_found_error", FH_E_NOT_FOUND}, {"request_too_large", FH_E_TOO_LARGE}};
    for (size_t i = 0; i < FH_COUNT(rows); i++)
        if (fh_str_eqs(type, rows[i].type)) return rows[i].code;
    return FH_E_UPSTREAM;
}

static const char too_long[] = "context_length_exceeded";

/* llama-server has a type of its own for a prompt that is too long; vLLM has nothing but its words. */
static bool says_too_long(const fh_json *error)
{
    fh_str message = fh_json_str(fh_json_get(error, "message")), words = FH_STR("maximum context length");
    return fh_str_eqs(fh_json_str(fh_json_get(error, "type")), "exceed_context_size_error") || fh_str_find(message, words) < message.len;
}

/* Codes that clients act on; NULL for others. */
static const char *known_reason(const fh_json *error)
{
    static const char *const rows[] = {too_long, "content_filter", "content_policy_violation", "insufficient_quota"};
    fh_str code = fh_json_str(fh_json_get(error, "code"));
    for (size_t i = 0; i < FH_COUNT(rows); i++)
        if (fh_str_eqs(code, rows[i])) return rows[i];
    return says_too_long(error) ? too_long : NULL;
}

int fh_wire_emit_error(fh_wire_reader *r, const fh_json *error, fh_err **err)
{
    fh_err *e = NULL;
    fh_str message = fh_json_str(fh_json_get(error, "message")), param = fh_json_str(fh_json_get(error, "param"));
    const char *reason = known_reason(error);
    if (!message.ptr) message = fh_json_str(error);
    if (!message.ptr) message = FH_STR("the engine sent an error without a message");
    int code = reason == too_long ? FH_E_INVALID : code_of_type(fh_json_str(fh_json_get(error, "type")));
    if (reason == too_long) param = r->ops == &fh_wire_completion_reader ? FH_STR("prompt") : FH_STR("messages"); /* engines differ */
    fh_err_set(&e, code, "%.*s", (int)FH_MIN(message.len, (size_t)2000), message.ptr);
    if (param.len) fh_err_param(&e, "%.*s", (int)FH_MIN(param.len, (size_t)200), param.ptr);
    if (reason) fh_err_reason(&e, reason);
    fh_wire_event event = {.kind = FH_EVENT_ERROR, .err = e};
    int rc = fh_wire_emit(r, &event, err);
    fh_err_free(e);
    return rc;
}

/* Writers. */

int fh_wire_writer_new(fh_wire_writer **ret, const fh_wire_writer_spec *s, fh_err **err)
{
    const fh_wire_writer_ops *ops = writers[s->dialect];
    FH_AUTO(fh_wire_writer) fh_wire_writer *w = fh_calloc(1, ops->size);
    if (!w) return fh_err_nomem(err);
    *w = (fh_wire_writer){
        .ops = ops, .stream = s->stream, .include_usage = s->include_usage, .request = s->request, .created_s = s->created_s};
    snprintf(w->id, sizeof w->id, "%s%s", ops->id_prefix, s->id);
    snprintf(w->model, sizeof w->model, "%s", s->model);
    snprintf(w->request_id, sizeof w->request_id, "%s", s->request_id ? s->request_id : "");
    int rc = ops->init ? ops->init(w, err) : 0;
    if (rc == 0) *ret = fh_take(w);
    return rc;
}

void fh_wire_writer_free(fh_wire_writer *w)
{
    if (!w) return;
    if (w->ops->fini) w->ops->fini(w);
    fh_free(w);
}

int fh_wire_writer_event(fh_wire_writer *w, const fh_wire_event *e, fh_buf *out, fh_err **err)
{
    int rc = w->ops->event(w, e, out, err);
    return rc ? rc : fh_buf_check(out, err, "the reply");
}
