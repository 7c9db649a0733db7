/* What the client gets: events of the upstream passed on as they came, or written in the client's own API (see exchange.h). */
#include "exchange.h"

#include "base/limits.h"
#include "exchange_model.h"
#include "wire/embeddings.h"
#include "wire/messages.h"
#include "wire/responses.h"
#include <stdio.h>
#include <string.h>

/* An event of the Responses API may hold all of the request and of the answer. */
enum { OUT_MAX = 2 * FH_LIMIT_SSE_EVENT_BYTES, TURN_OUT_MAX = 4 * FH_LIMIT_JSON_BODY_BYTES };
#define KIND(k)   (1u << (k))
#define ANSWER    (KIND(FH_EVENT_TEXT) | KIND(FH_EVENT_REASONING) | KIND(FH_EVENT_REFUSAL) | KIND(FH_EVENT_CALL) | KIND(FH_EVENT_ARGUMENTS))
#define OF_CHOICE (ANSWER | KIND(FH_EVENT_FINISH))

bool fh_exchange_is_stream(const fh_exchange *x)
{
    return x->status == 200 && x->wants_stream && fh_str_starts(fh_str_of(x->type), FH_STR("text/event-stream"));
}

static size_t out_max(const fh_exchange *x)
{
    return x->turn ? (size_t)TURN_OUT_MAX : (size_t)OUT_MAX;
}

static bool passes(const fh_exchange *x)
{
    return !x->resumed && !x->forces && !x->repeated && fh_ask_passes(x->dialect, x->route.dialect);
}

/* ---- events ---- */

static void note_time(fh_exchange *x)
{
    int64_t now = fh_clock_mono_ns();
    if (x->begun)
        fh_upstream_token(x->upstream, now - x->event_ns);
    else
        fh_upstream_first(x->upstream, now - x->call_ns, now);
    fh_seen_piece(x, now);
    x->begun = true;
    x->event_ns = now;
}

/* From text: the second upstream counts the answer so far as prompt. */
static void note_usage(fh_exchange *x, const fh_wire_event *e)
{
    bool from_text = x->resumed && fh_sent_resume(&x->sent, x->route.resume) == FH_RESUME_TEXT;
    x->usage = e->usage;
    x->has_usage = true;
    if (!from_text) return;
    uint64_t sent = fh_sent_count(&x->sent), more = e->usage.completion_tok, before = sent > more ? sent - more : 0;
    x->usage.completion_tok += before;
    x->usage.prompt_tok -= FH_MIN(before, x->usage.prompt_tok);
}

/* A response is kept before the client has its end and may ask for it. */
static int to_writer(fh_exchange *x, const fh_wire_event *e, fh_buf *out, fh_err **err)
{
    bool last = e->kind == FH_EVENT_END || e->kind == FH_EVENT_ERROR;
    if (x->turn && last) fh_wire_responses_now(x->writer, fh_clock_utc_ns() / FH_NS_PER_S);
    int rc = fh_wire_writer_event(x->writer, e, out, err);
    if (rc == 0 && x->turn && last) fh_turn_keep(x->turn, x->writer);
    return rc;
}

static int write_event(fh_exchange *x, const fh_wire_event *e, fh_err **err)
{
    fh_wire_event changed = *e;
    if (x->resumed && e->kind == FH_EVENT_BEGIN) return 0;
    if (e->kind == FH_EVENT_USAGE) changed.usage = x->usage;
    if (e->kind == FH_EVENT_END && x->wants_stream && fh_exchange_holds(x)) {
        x->held_end = true;
        return 0;
    }
    return to_writer(x, &changed, &x->out, err);
}

static void cut_repeated(const fh_exchange *x, fh_wire_event *e)
{
    fh_str before = fh_str_of(x->repeated);
    if (e->kind == FH_EVENT_TEXT && fh_str_starts(e->text, before)) e->text = (fh_str){e->text.ptr + before.len, e->text.len - before.len};
}

/* What an upstream said, said again. */
static int say_again(fh_err **err, int code, const fh_err *said)
{
    int rc = fh_err_set(err, code, "%s", fh_err_message(said));
    if (fh_err_param_get(said)) fh_err_param(err, "%s", fh_err_param_get(said));
    if (fh_err_reason_get(said)) fh_err_reason(err, fh_err_reason_get(said));
    return rc;
}

static int on_event(void *ctx, const fh_wire_event *e, fh_err **err)
{
    fh_exchange *x = ctx;
    fh_wire_event changed = *e;
    x->kinds |= KIND(e->kind);
    if (e->kind == FH_EVENT_ERROR) return say_again(err, fh_err_code(e->err), e->err);
    if (e->kind == FH_EVENT_BEGIN && !x->reply_id[0])
        snprintf(x->reply_id, sizeof x->reply_id, "%.*s", (int)FH_MIN(e->id.len, sizeof x->reply_id - 1), e->id.ptr ? e->id.ptr : "");
    if (e->kind == FH_EVENT_BEGIN && !e->usage.prompt_tok) changed.usage = x->usage;
    if (e->kind == FH_EVENT_USAGE) note_usage(x, e);
    if (e->kind == FH_EVENT_FINISH) fh_seen_finish(x, e->finish);
    if (x->repeated) cut_repeated(x, &changed);
    if (x->hides) changed.logprobs = NULL;
    if (e->kind == FH_EVENT_TEXT) fh_sent_seam(&x->sent, &changed.text);
    if (KIND(e->kind) & ANSWER) x->heard_bytes += changed.text.len + changed.name.len;
    fh_exchange_count_event(x, &changed);
    if (x->wants_stream) fh_sent_event(&x->sent, &changed);
    fh_exchange_judge_event(x, &changed);
    if (e->kind == FH_EVENT_FINISH) x->finishes |= 1u << e->finish;
    if (e->kind == FH_EVENT_END) x->end_seen = true;
    return x->writer ? write_event(x, &changed, err) : 0;
}

/* ---- streams ---- */

static const char *id_of(const fh_exchange *x)
{
    if (x->turn) return fh_turn_id(x->turn);
    return x->reply_id[0] ? x->reply_id : x->request_id;
}

static int make_writer(fh_exchange *x, fh_err **err)
{
    fh_wire_writer_spec s = {.dialect = x->dialect,
                             .stream = x->wants_stream,
                             .include_usage = x->include_usage,
                             .request = x->ask.original,
                             .request_id = x->request_id,
                             .id = id_of(x),
                             .model = x->route.model,
                             .created_s = x->created_s};
    int rc = fh_wire_writer_new(&x->writer, &s, err);
    if (rc || !x->streaming) return rc;
    /* The client has the beginning from the first upstream's own bytes. */
    FH_AUTO(buf) fh_buf had = FH_BUF(65536);
    fh_wire_event begun = {.kind = FH_EVENT_TEXT, .text = {"", 0}};
    return fh_wire_writer_event(x->writer, &begun, &had, err);
}

fh_wire_dialect fh_exchange_upstream_dialect(const fh_exchange *x)
{
    bool completion = x->route.dialect == FH_DIALECT_CHAT && x->dialect == FH_DIALECT_COMPLETION;
    return completion ? FH_DIALECT_COMPLETION : x->route.dialect;
}

int fh_exchange_reader(fh_exchange *x, fh_wire_sink *sink, fh_wire_reader **ret, fh_wire_forced **ret_forced, fh_err **err)
{
    fh_wire_dialect d = fh_exchange_upstream_dialect(x);
    if (!x->forces) return fh_wire_reader_new(ret, d, sink, x, err);
    int rc = fh_wire_forced_new(ret_forced, sink, x, err);
    return rc ? rc : fh_wire_reader_new(ret, d, fh_wire_forced_event, *ret_forced, err);
}

int fh_exchange_listen(fh_exchange *x, fh_err **err)
{
    fh_wire_reader_free(x->reader);
    fh_wire_forced_free(x->forced);
    x->reader = NULL;
    x->forced = NULL;
    int rc = fh_exchange_reader(x, on_event, &x->reader, &x->forced, err);
    return rc == 0 && !x->writer && !passes(x) ? make_writer(x, err) : rc;
}

static void add_choice_headers(fh_exchange *x)
{
    fh_http_reply_header(x->req, "x-freehold-model", x->route.model);
    fh_http_reply_header(x->req, "x-freehold-place", x->route.place);
    fh_http_reply_header(x->req, "x-freehold-reason", x->route.reason);
    if (x->route.others[0]) fh_http_reply_header(x->req, "x-freehold-alternatives", x->route.others);
    fh_http_reply_header(x->req, "x-freehold-cache", fh_cache_state_name(x->cache));
    if (x->dialect == FH_DIALECT_MESSAGES) fh_http_reply_header(x->req, "request-id", x->request_id);
}

static void first_byte(fh_exchange *x)
{
    x->seen.first_ns = fh_clock_mono_ns();
}

static void start_stream(fh_exchange *x)
{
    fh_http_reply_header(x->req, "Cache-Control", "no-cache");
    fh_http_reply_header(x->req, "X-Accel-Buffering", "no");
    fh_http_reply_on_drain(x->req, fh_exchange_drained, x);
    fh_http_reply_start(x->req, 200, fh_wire_content_type(true));
}

void fh_exchange_stream(fh_exchange *x)
{
    x->streaming = true;
    if (fh_exchange_leads(x)) {
        fh_exchange_lead_stream(x);
        return;
    }
    first_byte(x);
    if (fh_exchange_held(x)) return;
    add_choice_headers(x);
    start_stream(x);
}

/* What is chosen is not known yet, so that no header tells of it. */
void fh_exchange_hold_stream(fh_exchange *x)
{
    if (x->dialect == FH_DIALECT_MESSAGES) fh_http_reply_header(x->req, "request-id", x->request_id);
    start_stream(x);
}

/* A chunk that only holds the usage goes to whom asked for it. */
static bool is_wanted(const fh_exchange *x)
{
    return x->include_usage || !(x->kinds & KIND(FH_EVENT_USAGE)) || (x->kinds & OF_CHOICE);
}

/* Around the data the bytes stay as they came, but for a comment, and for data of several lines. */
static void pass_hidden(const fh_sse_event *e, fh_buf *out)
{
    bool in_raw = !e->comment.ptr && e->data.ptr >= e->raw.ptr && e->data.ptr < e->raw.ptr + e->raw.len;
    size_t before = in_raw ? (size_t)(e->data.ptr - e->raw.ptr) : 0, behind = before + e->data.len;
    if (in_raw)
        fh_buf_add(out, e->raw.ptr, before);
    else
        fh_buf_adds(out, "data: ");
    fh_wire_body_hide_logprobs(e->data, out);
    if (in_raw)
        fh_buf_add(out, e->raw.ptr + behind, e->raw.len - behind);
    else
        fh_buf_adds(out, "\n\n");
}

/* Comments are between engine and gateway; so is an event without data. */
static void pass_event(fh_exchange *x, const fh_sse_event *e)
{
    bool last = x->kinds & KIND(FH_EVENT_END) || (x->kinds & KIND(FH_EVENT_USAGE) && x->finishes && !(x->kinds & ANSWER));
    fh_buf *out = x->held.len || (last && fh_exchange_holds(x)) ? &x->held : &x->out;
    if (x->hides)
        pass_hidden(e, out);
    else if (!e->comment.ptr)
        fh_buf_add(out, e->raw.ptr, e->raw.len);
    else {
        fh_buf_adds(out, "data: ");
        fh_buf_add(out, e->data.ptr, e->data.len);
        fh_buf_adds(out, "\n\n");
    }
}

static void take_event(fh_exchange *x, const fh_sse_event *e)
{
    if (!e->has_data) return;
    x->kinds = 0;
    if (x->route.own_engine && !x->begun && !x->resumed) fh_sent_prompt(e->comment, &x->usage);
    if (fh_wire_reader_push(x->reader, e->name, e->data, &x->upstream_error)) {
        fh_exchange_stop_reading(x);
        return;
    }
    bool piece = x->kinds & ANSWER;
    if (e->comment.ptr || piece) fh_sent_comment(&x->sent, e->comment, piece);
    if (piece) {
        note_time(x);
        if (x->streaming) x->tries = 0; /* it gets on */
    }
    if (!x->writer && is_wanted(x)) pass_event(x, e);
}

/* known: what was used is, so that the event which tells it may be among them. */
static bool write_out(fh_exchange *x, bool known)
{
    FH_AUTO(buf) fh_buf told = FH_BUF(out_max(x));
    if (!known || !fh_exchange_tells_usage(x)) return fh_exchange_write(x, &x->out);
    fh_exchange_add_usage(x, (fh_str){x->out.data, x->out.len}, &told);
    return fh_exchange_write(x, &told);
}

bool fh_exchange_take_events(fh_exchange *x)
{
    FH_AUTO(buf) fh_buf joined = FH_BUF(FH_LIMIT_SSE_EVENT_BYTES);
    fh_str rest = {fh_buf_cstr(&x->in), x->in.len};
    fh_sse_event e;
    x->out = FH_BUF(out_max(x));
    while (!x->upstream_error && fh_sse_event_next(&rest, &e, &joined)) take_event(x, &e);
    if (!x->upstream_error) fh_buf_check(&x->out, &x->upstream_error, "what an event makes for the client");
    fh_buf_consume(&x->in, x->in.len - rest.len);
    bool go_on = true;
    if (x->end_seen) fh_exchange_learn(x);
    if (x->out.len && !x->streaming) fh_exchange_stream(x);
    if (x->out.len) go_on = write_out(x, x->has_usage);
    fh_buf_fini(&x->out);
    return go_on;
}

/* A finished answer whose end, and perhaps usage, did not come any more: the client gets both from what was counted. */
static void write_missing_end(fh_exchange *x, fh_buf *out)
{
    fh_wire_event usage = {.kind = FH_EVENT_USAGE, .usage = x->usage}, end = {.kind = FH_EVENT_END};
    if (!x->writer && make_writer(x, NULL)) return;
    if (!x->has_usage) usage.usage.completion_tok = fh_sent_count(&x->sent);
    fh_wire_writer_event(x->writer, &usage, out, NULL);
    to_writer(x, &end, out, NULL);
}

static void give_held(fh_exchange *x)
{
    fh_wire_event end = {.kind = FH_EVENT_END};
    fh_buf_add(&x->out, x->held.data, x->held.len);
    if (x->held_end) to_writer(x, &end, &x->out, NULL);
}

static void end_reply(fh_exchange *x)
{
    if (fh_exchange_leads(x))
        fh_exchange_land(x, NULL);
    else
        fh_http_reply_end(x->req);
}

void fh_exchange_end_stream(fh_exchange *x)
{
    fh_exchange_learn(x);
    x->out = FH_BUF(out_max(x));
    give_held(x);
    if (!x->end_seen) write_missing_end(x, &x->out);
    if (x->out.len) write_out(x, true);
    fh_buf_fini(&x->out);
    end_reply(x);
}

void fh_exchange_cut(fh_exchange *x, const fh_err *why)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(out_max(x));
    fh_wire_event e = {.kind = FH_EVENT_ERROR, .err = why};
    int rc = x->writer ? 0 : make_writer(x, NULL);
    if (rc == 0) rc = to_writer(x, &e, &out, NULL);
    if (rc == 0) fh_exchange_write(x, &out);
    end_reply(x);
}

/* ---- whole replies ---- */

void fh_exchange_send_error(fh_exchange *x, const fh_err *why)
{
    if (fh_exchange_leads(x))
        fh_exchange_lead_error(x, why);
    else
        fh_gateway_reply_error_after(x->req, why, x->retry_ns);
}

static void give_no_room(fh_exchange *x)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    x->failed = true;
    x->seen.code = fh_exchange_no_room(&err);
    fh_exchange_send_error(x, err);
}

void fh_exchange_give(fh_exchange *x, const char *type, fh_str body)
{
    if (x->status == 200) fh_exchange_learn(x);
    if (fh_exchange_leads(x)) {
        fh_exchange_lead_whole(x, type, body);
        return;
    }
    if (!fh_exchange_hold(x, body.len)) {
        give_no_room(x);
        return;
    }
    if (x->status == 200) first_byte(x);
    add_choice_headers(x);
    fh_exchange_cost_headers(x);
    if (x->retry_after[0]) fh_http_reply_header(x->req, "Retry-After", x->retry_after);
    if (x->tries && x->status >= 400) fh_http_reply_header(x->req, "x-should-retry", "false");
    fh_http_reply_holds(x->req, &x->gateway->reply_bytes, x->reply_bytes);
    x->reply_bytes = 0;
    fh_http_reply(x->req, x->status, type, body.ptr, body.len);
}

static void send_body(fh_exchange *x, const fh_buf *body)
{
    const char *type = x->type[0] && (x->dialect == FH_DIALECTS || passes(x)) ? x->type : fh_wire_content_type(false);
    fh_exchange_give(x, type, (fh_str){fh_buf_cstr(body), body->len});
}

/* As it came, but for log-probabilities that the client did not ask for. */
static void pass_body(fh_exchange *x)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(FH_LIMIT_JSON_BODY_BYTES);
    if (x->hides) fh_wire_body_hide_logprobs((fh_str){fh_buf_cstr(&x->in), x->in.len}, &out);
    send_body(x, x->hides && fh_buf_ok(&out) ? &out : &x->in);
}

int fh_exchange_code_of(int status)
{
    static const int rows[][2] = {{400, FH_E_INVALID},   {402, FH_E_BUDGET},   {403, FH_E_FORBIDDEN},
                                  {404, FH_E_NOT_FOUND}, {409, FH_E_CONFLICT}, {413, FH_E_TOO_LARGE},
                                  {422, FH_E_INVALID},   {429, FH_E_BUSY},     {501, FH_E_UNSUPPORTED}};
    for (size_t i = 0; i < FH_COUNT(rows); i++)
        if (rows[i][0] == status) return rows[i][1];
    return FH_E_UPSTREAM;
}

/* Errors of our own engines, and of all that write them as the client's API does, pass as they are. */
static bool error_passes(const fh_exchange *x)
{
    return passes(x) && (x->route.own_engine || fh_wire_error_is_whole((fh_str){fh_buf_cstr(&x->in), x->in.len}));
}

fh_err *fh_exchange_error_said(fh_exchange *x)
{
    fh_err *said = NULL;
    if (x->reader && x->in.len) fh_wire_reader_whole(x->reader, (fh_str){fh_buf_cstr(&x->in), x->in.len}, &said);
    return said;
}

/* Any other error of an upstream, which may speak another API than the client: said in the client's. */
static fh_err *foreign_error(fh_exchange *x)
{
    fh_err *err = NULL;
    FH_AUTO(fh_err) fh_err *said = fh_exchange_error_said(x);
    if (said)
        say_again(&err, fh_exchange_code_of(x->status), said);
    else
        fh_err_set(&err, fh_exchange_code_of(x->status), "the engine refused the request without saying why");
    return err;
}

void fh_exchange_fail_held(fh_exchange *x)
{
    fh_exchange_fail(x, foreign_error(x));
}

static void send_foreign_error(fh_exchange *x)
{
    fh_err *err = foreign_error(x);
    fh_exchange_name_param(x, &err);
    if (x->retry_after[0] && x->req) fh_http_reply_header(x->req, "Retry-After", x->retry_after);
    fh_exchange_send_error(x, err);
    fh_err_free(err);
}

/* Where nothing is at the path, the upstream does not count. */
static bool does_not_count(const fh_exchange *x)
{
    return x->counting && (x->status == 404 || x->status == 405);
}

static void refuse_count(fh_exchange *x)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    fh_err_set(&err, FH_E_UNSUPPORTED, "the endpoint that serves this model does not count tokens");
    fh_err_hint(&err, "the usage of an answer says how many its prompt had");
    fh_exchange_send_error(x, err);
}

/* All upstreams that count say input_tokens, but vLLM. */
static void send_count(fh_exchange *x)
{
    FH_AUTO(json) fh_json *doc = NULL;
    FH_AUTO(buf) fh_buf out = FH_BUF(4096);
    fh_err *err = NULL;
    int64_t count = 0;
    int rc = fh_json_parse(&doc, (fh_str){fh_buf_cstr(&x->in), x->in.len}, FH_LIMIT_JSON_BODY_BYTES, &err);
    const char *member = x->route.counts_at_tokenize ? "count" : "input_tokens";
    if (rc == 0) rc = fh_json_read_i64(doc, member, true, 0, INT32_MAX, &count, &err);
    if (rc == 0) {
        if (x->turn)
            fh_wire_responses_count_write(&out, (uint64_t)count);
        else
            fh_wire_messages_count_write(&out, (uint64_t)count);
        send_body(x, &out);
        return;
    }
    x->failed = true;
    fh_err_set(&err, FH_E_UPSTREAM, "the engine did not say how many tokens the prompt has");
    fh_exchange_send_error(x, err);
    fh_err_free(err);
}

static void note_embed_usage(fh_exchange *x)
{
    x->has_usage = fh_wire_embed_usage_read((fh_str){fh_buf_cstr(&x->in), x->in.len}, &x->usage.prompt_tok);
}

void fh_exchange_read_plain(fh_exchange *x)
{
    if (x->status != 200) return;
    if (x->op == FH_OP_EMBED) note_embed_usage(x);
    if (x->counting || x->dialect == FH_DIALECTS) return;
    x->out = FH_BUF((size_t)TURN_OUT_MAX);
    fh_err_free(x->upstream_error);
    x->upstream_error = NULL;
    fh_wire_reader_whole(x->reader, (fh_str){fh_buf_cstr(&x->in), x->in.len}, &x->upstream_error);
}

void fh_exchange_give_plain(fh_exchange *x)
{
    if (x->counting && x->status == 200) {
        send_count(x);
        return;
    }
    if (does_not_count(x)) {
        refuse_count(x);
        return;
    }
    if (x->dialect == FH_DIALECTS || (x->status != 200 && error_passes(x))) {
        send_body(x, &x->in);
        return;
    }
    if (x->status != 200) {
        send_foreign_error(x);
        return;
    }
    if (x->upstream_error && !passes(x)) {
        x->failed = true;
        fh_exchange_send_error(x, x->upstream_error);
    } else if (passes(x))
        pass_body(x); /* the upstream's to answer for, also when we cannot read it */
    else
        send_body(x, &x->out);
}
