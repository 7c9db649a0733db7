/* Writes replies of the Responses API.
 *
 *   BEGIN      response.created, response.in_progress
 *   TEXT       response.output_item.added, response.content_part.added, response.output_text.delta ...
 *   REFUSAL    the same with response.refusal.delta
 *   REASONING  the same with response.reasoning_text.delta; when a summary was asked for, response.reasoning_summary_text.delta
 *   CALL       response.output_item.added; ARGUMENTS: response.function_call_arguments.delta
 *   FINISH     what is open is closed: ....done, response.content_part.done, response.output_item.done
 *   END        response.completed or response.incomplete, then [DONE]
 *   ERROR      error, response.failed, [DONE]
 *
 * What is written: one item of words (a message or a thought) is open at a time; it closes when something else begins. Calls stay open
 * until FINISH, since their arguments may come mixed. Every event has the next sequence number. A plain reply is the response object that
 * the last event of a stream holds. */
#include "responses_private.h"

#include "base/limits.h"
#include <stdio.h>

typedef enum kind { MESSAGE, REFUSAL, THOUGHT, SUMMARY, CALL, KINDS } kind;

/* How the events of an item's words are named; CALL has no part. */
static const struct {
    const char *id, *delta, *done, *done_member, *part_added, *part_done, *index, *part_type;
} names[KINDS] = {
    {"msg", "response.output_text.delta", "response.output_text.done", "text", "response.content_part.added", "response.content_part.done",
     "content_index", "output_text"},
    {"msg", "response.refusal.delta", "response.refusal.done", "refusal", "response.content_part.added", "response.content_part.done",
     "content_index", "refusal"},
    {"rs", "response.reasoning_text.delta", "response.reasoning_text.done", "text", "response.content_part.added",
     "response.content_part.done", "content_index", "reasoning_text"},
    {"rs", "response.reasoning_summary_text.delta", "response.reasoning_summary_text.done", "text", "response.reasoning_summary_part.added",
     "response.reasoning_summary_part.done", "summary_index", "summary_text"},
    {"fc", "response.function_call_arguments.delta", "response.function_call_arguments.done", "arguments", NULL, NULL, NULL, NULL},
};

typedef struct item {
    kind kind;
    uint32_t call; /* CALL: its index among the calls of the reply */
    fh_json *id, *call_id, *name;
    fh_buf text;
    fh_json *logprobs; /* MESSAGE: array */
    fh_json *whole;    /* once it is closed */
} item;

typedef struct responses_writer {
    fh_wire_writer base;
    fh_json *response;
    item *items;
    size_t item_count, item_room;
    item *open; /* the item of words that is open, in items; NULL when none is */
    size_t bytes;
    uint64_t sequence;
    int64_t now_s;
    fh_wire_finish finish;
    bool begun, finished, ended;
} responses_writer;

static responses_writer *of(fh_wire_writer *w)
{
    return (responses_writer *)w;
}

/* Events. */

static bool event_begin(responses_writer *w, fh_buf *out, const char *type)
{
    if (!w->base.stream) return false;
    fh_buf_adds(out, "event: ");
    fh_buf_adds(out, type);
    fh_buf_adds(out, "\ndata: {\"type\":\"");
    fh_buf_adds(out, type);
    fh_buf_addf(out, "\",\"sequence_number\":%llu", (unsigned long long)w->sequence++);
    return true;
}

static void event_end(fh_buf *out)
{
    fh_buf_adds(out, "}\n\n");
}

static int write_value(fh_buf *out, const char *key, const fh_json *v, fh_err **err)
{
    fh_buf_addf(out, ",\"%s\":", key);
    return v ? fh_json_write(v, out, err) : fh_err_nomem(err);
}

static int write_response(responses_writer *w, const char *type, fh_buf *out, fh_err **err)
{
    if (!event_begin(w, out, type)) return 0;
    int rc = write_value(out, "response", w->response, err);
    event_end(out);
    return rc;
}

static void write_done(responses_writer *w, fh_buf *out)
{
    if (w->base.stream) fh_buf_adds(out, "data: [DONE]\n\n");
}

/* Where in the response an event of an item belongs. */
static void write_place(responses_writer *w, const item *it, fh_buf *out)
{
    fh_str id = fh_json_str(it->id);
    fh_buf_adds(out, ",\"item_id\":");
    fh_buf_add_json_string(out, id.ptr, id.len);
    fh_buf_addf(out, ",\"output_index\":%zu", (size_t)(it - w->items));
    if (names[it->kind].index) fh_buf_addf(out, ",\"%s\":0", names[it->kind].index);
}

static int write_item(responses_writer *w, const item *it, const char *type, const fh_json *v, fh_buf *out, fh_err **err)
{
    if (!event_begin(w, out, type)) return v ? 0 : fh_err_nomem(err);
    fh_buf_addf(out, ",\"output_index\":%zu", (size_t)(it - w->items));
    int rc = write_value(out, "item", v, err);
    event_end(out);
    return rc;
}

/* Items as values. */

static fh_str text_of(const item *it)
{
    return (fh_str){fh_buf_cstr(&it->text), it->text.len};
}

static fh_json *logprobs_of(const item *it)
{
    return it->logprobs ? share(it->logprobs) : fh_json_new_array();
}

/* The part that holds the item's words. */
static fh_json *part_value(const item *it, fh_str text)
{
    FH_AUTO(json) fh_json *p = fh_json_new_object();
    bool ok = p && fh_json_set(p, "type", fh_json_new_cstr(names[it->kind].part_type));
    ok = ok && fh_json_set(p, names[it->kind].done_member, fh_json_new_str(text));
    if (ok && it->kind == MESSAGE) ok = fh_json_set(p, "annotations", fh_json_new_array()) && fh_json_set(p, "logprobs", logprobs_of(it));
    return ok ? fh_take(p) : NULL;
}

static fh_json *parts_value(const item *it, bool started)
{
    FH_AUTO(json) fh_json *parts = fh_json_new_array();
    bool ok = parts && (!started || fh_json_append(parts, part_value(it, text_of(it))));
    return ok ? fh_take(parts) : NULL;
}

static bool add_words(fh_json *o, const item *it, bool started)
{
    switch (it->kind) {
    case MESSAGE:
    case REFUSAL: return fh_json_set(o, "role", fh_json_new_cstr("assistant")) && fh_json_set(o, "content", parts_value(it, started));
    case THOUGHT: return fh_json_set(o, "summary", fh_json_new_array()) && fh_json_set(o, "content", parts_value(it, started));
    case SUMMARY: return fh_json_set(o, "summary", parts_value(it, started));
    case CALL:
        return fh_json_set(o, "call_id", share(it->call_id)) && fh_json_set(o, "name", share(it->name)) &&
               fh_json_set(o, "arguments", fh_json_new_str(text_of(it)));
    case KINDS: break;
    }
    return false;
}

/* started: with the words so far. */
static fh_json *item_value(const item *it, const char *status, bool started)
{
    static const char *const types[KINDS] = {"message", "message", "reasoning", "reasoning", "function_call"};
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    bool ok = o && fh_json_set(o, "id", share(it->id)) && fh_json_set(o, "type", fh_json_new_cstr(types[it->kind]));
    ok = ok && fh_json_set(o, "status", fh_json_new_cstr(status)) && add_words(o, it, started);
    return ok ? fh_take(o) : NULL;
}

/* Opening and closing. */

static void item_fini(item *it)
{
    fh_json_unref(it->id);
    fh_json_unref(it->call_id);
    fh_json_unref(it->name);
    fh_json_unref(it->logprobs);
    fh_json_unref(it->whole);
    fh_buf_fini(&it->text);
}

static int make_room(responses_writer *w, fh_err **err)
{
    if (w->item_count >= FH_LIMIT_RESPONSES_OUTPUT_ITEMS)
        return fh_err_set(err, FH_E_UPSTREAM, "the engine's answer has more than %d parts", FH_LIMIT_RESPONSES_OUTPUT_ITEMS);
    if (w->item_count < w->item_room) return 0;
    size_t room = w->item_room ? 2 * w->item_room : 8, open = w->open ? (size_t)(w->open - w->items) : 0;
    item *items = fh_realloc_array(w->items, room, sizeof *items);
    if (!items) return fh_err_nomem(err);
    if (w->open) w->open = &items[open];
    w->items = items;
    w->item_room = room;
    return 0;
}

static fh_json *new_id(const responses_writer *w, const char *prefix)
{
    char id[128];
    snprintf(id, sizeof id, "%s_%s_%zu", prefix, w->base.id + strlen(w->base.ops->id_prefix), w->item_count);
    return fh_json_new_cstr(id);
}

static int write_part(responses_writer *w, const item *it, const char *type, fh_str text, fh_buf *out, fh_err **err)
{
    if (!event_begin(w, out, type)) return 0;
    FH_AUTO(json) fh_json *part = part_value(it, text);
    write_place(w, it, out);
    int rc = write_value(out, "part", part, err);
    event_end(out);
    return rc;
}

/* Announces the item behind the last one and makes it one of the items. */
static int open_item(responses_writer *w, item **ret, fh_buf *out, fh_err **err)
{
    item *it = &w->items[w->item_count++];
    FH_AUTO(json) fh_json *v = item_value(it, "in_progress", false);
    int rc = write_item(w, it, "response.output_item.added", v, out, err);
    if (rc == 0 && it->kind != CALL) rc = write_part(w, it, names[it->kind].part_added, (fh_str){NULL, 0}, out, err);
    *ret = it;
    return rc;
}

static int write_words_done(responses_writer *w, const item *it, fh_buf *out, fh_err **err)
{
    fh_str text = text_of(it);
    int rc = 0;
    if (event_begin(w, out, names[it->kind].done)) {
        write_place(w, it, out);
        fh_buf_addf(out, ",\"%s\":", names[it->kind].done_member);
        fh_buf_add_json_string(out, text.ptr, text.len);
        if (it->kind == CALL) rc = write_value(out, "name", it->name, err);
        if (it->kind == MESSAGE && it->logprobs) rc = write_value(out, "logprobs", it->logprobs, err);
        if (it->kind == MESSAGE && !it->logprobs) fh_buf_adds(out, ",\"logprobs\":[]");
        event_end(out);
    }
    return rc == 0 && it->kind != CALL ? write_part(w, it, names[it->kind].part_done, text, out, err) : rc;
}

static int close_item(responses_writer *w, item *it, const char *status, fh_buf *out, fh_err **err)
{
    if (w->open == it) w->open = NULL;
    if (it->whole) return 0;
    int rc = write_words_done(w, it, out, err);
    it->whole = item_value(it, status, true);
    fh_buf_fini(&it->text);
    return rc ? rc : write_item(w, it, "response.output_item.done", it->whole, out, err);
}

/* The end of the answer: the last item is as incomplete as the answer. */
static int close_all(responses_writer *w, fh_wire_finish finish, fh_buf *out, fh_err **err)
{
    bool cut = finish == FH_FINISH_LENGTH || finish == FH_FINISH_CONTENT_FILTER;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < w->item_count; i++)
        rc = close_item(w, &w->items[i], cut && i + 1 == w->item_count ? "incomplete" : "completed", out, err);
    return rc;
}

/* Words. */

static int begin(responses_writer *w, fh_buf *out, fh_err **err)
{
    if (w->begun) return 0;
    w->begun = true;
    int rc = write_response(w, "response.created", out, err);
    return rc ? rc : write_response(w, "response.in_progress", out, err);
}

static int open_words(responses_writer *w, kind k, fh_buf *out, fh_err **err)
{
    if (w->open && w->open->kind == k) return 0;
    int rc = w->open ? close_item(w, w->open, "completed", out, err) : 0;
    if (rc == 0) rc = make_room(w, err);
    if (rc < 0) return rc;
    w->items[w->item_count] = (item){.kind = k, .id = new_id(w, names[k].id), .text = FH_BUF(FH_LIMIT_RESPONSES_OUTPUT_BYTES)};
    return open_item(w, &w->open, out, err);
}

static int keep_text(responses_writer *w, item *it, fh_str text, fh_err **err)
{
    w->bytes += text.len;
    if (w->bytes > FH_LIMIT_RESPONSES_OUTPUT_BYTES)
        return fh_err_set(err, FH_E_UPSTREAM, "the engine's answer is longer than %d bytes", FH_LIMIT_RESPONSES_OUTPUT_BYTES);
    fh_buf_add(&it->text, text.ptr, text.len);
    return fh_buf_check(&it->text, err, "the answer");
}

static int keep_logprobs(item *it, const fh_json *content, fh_err **err)
{
    bool ok = it->logprobs || (it->logprobs = fh_json_new_array());
    for (size_t i = 0; ok && i < fh_json_count(content); i++) ok = fh_json_append(it->logprobs, share(fh_json_at(content, i)));
    return ok ? 0 : fh_err_nomem(err);
}

static int write_delta(responses_writer *w, const item *it, fh_str text, const fh_json *logprobs, fh_buf *out, fh_err **err)
{
    int rc = 0;
    if (!event_begin(w, out, names[it->kind].delta)) return 0;
    write_place(w, it, out);
    fh_buf_adds(out, ",\"delta\":");
    fh_buf_add_json_string(out, text.ptr, text.len);
    if (logprobs)
        rc = write_value(out, "logprobs", logprobs, err);
    else if (it->kind == MESSAGE)
        fh_buf_adds(out, ",\"logprobs\":[]");
    event_end(out);
    return rc;
}

static int add_text(responses_writer *w, kind k, const fh_wire_event *e, fh_buf *out, fh_err **err)
{
    const fh_json *logprobs = k == MESSAGE ? fh_json_get(e->logprobs, "content") : NULL;
    if (!e->text.len && !fh_json_count(logprobs)) return 0;
    int rc = open_words(w, k, out, err);
    if (rc == 0) rc = keep_text(w, w->open, e->text, err);
    if (rc == 0 && fh_json_count(logprobs)) rc = keep_logprobs(w->open, logprobs, err);
    return rc ? rc : write_delta(w, w->open, e->text, fh_json_count(logprobs) ? logprobs : NULL, out, err);
}

/* Calls. */

static item *find_call(responses_writer *w, uint32_t call)
{
    for (size_t i = w->item_count; i-- > 0;)
        if (w->items[i].kind == CALL && w->items[i].call == call) return &w->items[i];
    return NULL;
}

static bool has_call_id(const responses_writer *w, fh_str id)
{
    for (size_t i = 0; i < w->item_count; i++)
        if (w->items[i].kind == CALL && fh_str_eq(fh_json_str(w->items[i].call_id), id)) return true;
    return false;
}

/* The upstream's id of the call, by which the client answers it; one of our own when it gives none, or the same twice. */
static int begin_call(responses_writer *w, const fh_wire_event *e, fh_buf *out, fh_err **err)
{
    item *it;
    int rc = w->open ? close_item(w, w->open, "completed", out, err) : 0;
    if (rc == 0) rc = make_room(w, err);
    if (rc < 0) return rc;
    bool usable = e->id.len && !has_call_id(w, e->id);
    w->items[w->item_count] = (item){.kind = CALL,
                                     .call = e->call,
                                     .id = new_id(w, names[CALL].id),
                                     .call_id = usable ? fh_json_new_str(e->id) : new_id(w, "call"),
                                     .name = fh_json_new_str(e->name),
                                     .text = FH_BUF(FH_LIMIT_RESPONSES_OUTPUT_BYTES)};
    return open_item(w, &it, out, err);
}

static int add_arguments(responses_writer *w, const fh_wire_event *e, fh_buf *out, fh_err **err)
{
    item *it = find_call(w, e->call);
    if (!it || it->whole) return fh_err_set(err, FH_E_UPSTREAM, "the engine sent arguments of a call that is not open");
    if (!e->text.len) return 0;
    int rc = keep_text(w, it, e->text, err);
    return rc ? rc : write_delta(w, it, e->text, NULL, out, err);
}

/* The end. */

static int finish(responses_writer *w, fh_wire_finish f, fh_buf *out, fh_err **err)
{
    if (w->finished) return 0;
    w->finished = true;
    w->finish = f;
    int rc = w->item_count ? 0 : open_words(w, MESSAGE, out, err); /* nothing was said: an empty message says so */
    return rc ? rc : close_all(w, f, out, err);
}

static int set_usage(responses_writer *w, const fh_wire_usage *u, fh_err **err)
{
    FH_AUTO(json) fh_json *o = fh_json_new_object(), *in = fh_json_new_object(), *done = fh_json_new_object();
    bool ok = o && in && done && fh_json_set(in, "cached_tokens", fh_json_new_int((int64_t)u->cached_tok));
    ok = ok && fh_json_set(done, "reasoning_tokens", fh_json_new_int((int64_t)u->reasoning_tok));
    ok = ok && fh_json_set(o, "input_tokens", fh_json_new_int((int64_t)u->prompt_tok));
    ok = ok && fh_json_set(o, "input_tokens_details", fh_take(in));
    ok = ok && fh_json_set(o, "output_tokens", fh_json_new_int((int64_t)u->completion_tok));
    ok = ok && fh_json_set(o, "output_tokens_details", fh_take(done));
    ok = ok && fh_json_set(o, "total_tokens", fh_json_new_int((int64_t)(u->prompt_tok + u->completion_tok)));
    return ok && fh_json_set(w->response, "usage", fh_take(o)) ? 0 : fh_err_nomem(err);
}

static fh_json *output_value(responses_writer *w)
{
    FH_AUTO(json) fh_json *list = fh_json_new_array();
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < w->item_count; i++) {
        item *it = &w->items[i];
        ok = fh_json_append(list, it->whole ? share(it->whole) : item_value(it, "incomplete", true));
    }
    return ok ? fh_take(list) : NULL;
}

static bool set_status(responses_writer *w, const char *status, const char *incomplete)
{
    FH_AUTO(json) fh_json *why = incomplete ? fh_json_new_object() : fh_json_new_null();
    bool ok = why && (!incomplete || fh_json_set(why, "reason", fh_json_new_cstr(incomplete)));
    ok = ok && fh_json_set(w->response, "incomplete_details", fh_take(why)) && fh_json_set(w->response, "output", output_value(w));
    bool completed = strcmp(status, "completed") == 0;
    ok = ok && fh_json_set(w->response, "completed_at", completed ? fh_json_new_int(w->now_s) : fh_json_new_null());
    return ok && fh_json_set(w->response, "status", fh_json_new_cstr(status));
}

static int end(responses_writer *w, fh_buf *out, fh_err **err)
{
    static const char *const reasons[FH_FINISHES] = {NULL, "max_output_tokens", NULL, "content_filter"};
    int rc = finish(w, FH_FINISH_STOP, out, err);
    if (rc < 0) return rc;
    const char *reason = reasons[w->finish];
    if (!set_status(w, reason ? "incomplete" : "completed", reason)) return fh_err_nomem(err);
    w->ended = true;
    if (!w->base.stream) return fh_json_write(w->response, out, err);
    rc = write_response(w, reason ? "response.incomplete" : "response.completed", out, err);
    write_done(w, out);
    return rc;
}

/* Failing. */

static fh_json *error_value(const fh_err *e)
{
    int code = fh_err_code(e);
    const char *name = code == FH_E_BUSY ? "rate_limit_exceeded" : fh_code_http(code) < 500 ? "invalid_prompt" : "server_error";
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    bool ok = o && fh_json_set(o, "code", fh_json_new_cstr(name)) && fh_json_set(o, "message", fh_json_new_cstr(fh_err_message(e)));
    return ok ? fh_take(o) : NULL;
}

/* The error event has the members of OpenAI's form flat, and the object of Open Responses' form, which OpenAI's clients raise too. */
static int write_error(responses_writer *w, const fh_err *e, fh_buf *out, fh_err **err)
{
    FH_AUTO(buf) fh_buf body = FH_BUF(FH_LIMIT_CONTROL_BODY_BYTES);
    FH_AUTO(json) fh_json *doc = NULL;
    fh_wire_error_write(&body, e);
    int rc = fh_buf_check(&body, err, "an error");
    if (rc == 0) rc = fh_json_parse(&doc, (fh_str){body.data, body.len}, FH_LIMIT_CONTROL_BODY_BYTES, err);
    const fh_json *error = fh_json_get(doc, "error");
    if (rc < 0 || !event_begin(w, out, "error")) return rc;
    rc = write_value(out, "code", fh_json_get(error, "code"), err);
    if (rc == 0) rc = write_value(out, "message", fh_json_get(error, "message"), err);
    if (rc == 0) rc = write_value(out, "param", fh_json_get(error, "param"), err);
    if (rc == 0) rc = write_value(out, "error", error, err);
    event_end(out);
    return rc;
}

static int fail(responses_writer *w, const fh_err *e, fh_buf *out, fh_err **err)
{
    if (!w->base.stream) {
        fh_wire_error_write(out, e);
        return 0;
    }
    if (!fh_json_set(w->response, "error", error_value(e)) || !set_status(w, "failed", NULL)) return fh_err_nomem(err);
    w->ended = true;
    int rc = write_error(w, e, out, err);
    if (rc == 0) rc = write_response(w, "response.failed", out, err);
    write_done(w, out);
    return rc;
}

/* The writer. */

static int responses_event(fh_wire_writer *base, const fh_wire_event *e, fh_buf *out, fh_err **err)
{
    responses_writer *w = of(base);
    if (w->ended || e->choice) return 0; /* more than one choice cannot be asked for */
    int rc = base->stream ? begin(w, out, err) : 0;
    if (rc < 0) return rc;
    switch (e->kind) {
    case FH_EVENT_BEGIN: return 0;
    case FH_EVENT_TEXT: return add_text(w, MESSAGE, e, out, err);
    case FH_EVENT_REASONING: return add_text(w, fh_wire_responses_summary_asked(base->request) ? SUMMARY : THOUGHT, e, out, err);
    case FH_EVENT_REFUSAL: return add_text(w, REFUSAL, e, out, err);
    case FH_EVENT_CALL: return begin_call(w, e, out, err);
    case FH_EVENT_ARGUMENTS: return add_arguments(w, e, out, err);
    case FH_EVENT_FINISH: return finish(w, e->finish, out, err);
    case FH_EVENT_USAGE: return set_usage(w, &e->usage, err);
    case FH_EVENT_END: return end(w, out, err);
    case FH_EVENT_ERROR: return fail(w, e->err, out, err);
    }
    return 0;
}

static int responses_init(fh_wire_writer *base, fh_err **err)
{
    responses_writer *w = of(base);
    w->now_s = base->created_s;
    w->response = fh_wire_responses_object(base);
    return w->response ? 0 : fh_err_nomem(err);
}

static void responses_fini(fh_wire_writer *base)
{
    responses_writer *w = of(base);
    for (size_t i = 0; i < w->item_count; i++) item_fini(&w->items[i]);
    fh_free(w->items);
    fh_json_unref(w->response);
}

const fh_wire_writer_ops fh_wire_responses_writer = {sizeof(responses_writer), "resp_", responses_init, responses_event, responses_fini};

bool fh_wire_responses_count_write(fh_buf *out, uint64_t prompt_tok)
{
    return fh_buf_addf(out, "{\"object\":\"response.input_tokens\",\"input_tokens\":%llu}", (unsigned long long)prompt_tok);
}

void fh_wire_responses_now(fh_wire_writer *w, int64_t now_s)
{
    of(w)->now_s = now_s;
}

const fh_json *fh_wire_responses_final(const fh_wire_writer *w)
{
    const responses_writer *r = (const responses_writer *)w;
    return r->ended ? r->response : NULL;
}
