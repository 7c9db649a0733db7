/* /v1/chat/completions and /v1/completions: a request becomes a generation, its pieces become chunks or one reply.
 *
 * A call has two halves. The batch thread writes the JSON of each piece (writer) and posts it; the loop's thread owns the connection and
 * sends it. The call lives until the message that carries its end has been handled, also when the client went away before. A client that
 * reads slowly pauses its sequence. */
#include "parts.h"
#include "serve_private.h"
#include "base/clock.h"
#include "base/limits.h"
#include "net/sse.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum { CHUNK_MAX = 1 << 20, REPLY_MAX = 64 << 20, LOGPROBS_KEPT = 65536, TAIL_MAX = 4096 };

typedef struct writer {        /* the batch thread's */
    fh_buf text;               /* a plain reply's whole text; a stream's piece is written at once */
    fh_wire_logprob *logprobs; /* owned, with their bytes: a plain reply's */
    size_t logprob_count, logprob_cap;
    uint64_t characters; /* sent so far: the offset of completions' logprobs */
    bool role_sent, failed;
    fh_buf *events;   /* of the piece that is being sent */
    fh_tokens untold; /* tokens that no event has told yet */
} writer;

typedef struct call {
    serve *s;
    fh_http_req *req; /* NULL once the client has gone */
    fh_gen *gen;
    const fh_vocab *vocab;
    fh_wire_request wire;
    fh_wire_reply reply;
    char id[48];
    bool tells_tokens;
    parts *parts;        /* NULL: the text is the answer as it is */
    fh_grammar *grammar; /* NULL: anything may come */
    fh_buf echo;         /* the first chunk of a stream that echoes its prompt */
    writer w;
} call;

typedef struct note { /* from the batch thread to the loop */
    call *c;
    fh_buf data;
    int status; /* of a plain reply */
    bool last, cut, cancelled;
} note;

/* ---- logprobs own their bytes: one block per token, its alternatives behind it ---- */

static fh_str token_bytes(const fh_vocab *v, fh_token id)
{
    FH_AUTO(buf) fh_buf b = FH_BUF(FH_LIMIT_VOCAB_PIECE_BYTES * 2);
    size_t len = 0;
    if (fh_vocab_decode(v, id, true, &b, NULL) != 0) return (fh_str){0};
    char *bytes = fh_buf_take(&b, &len);
    return (fh_str){bytes, bytes ? len : 0};
}

static void free_logprob(fh_wire_logprob *p)
{
    for (size_t i = 0; i < p->top_count; i++) fh_free((void *)(uintptr_t)p->top[i].token.ptr);
    fh_free((void *)(uintptr_t)p->token.ptr);
    fh_free((void *)(uintptr_t)p->top);
}

static void forget_logprobs(writer *w)
{
    for (size_t i = 0; i < w->logprob_count; i++) free_logprob(&w->logprobs[i]);
    w->logprob_count = 0;
}

static bool add_logprob(call *c, const fh_gen_token *t)
{
    writer *w = &c->w;
    if (w->logprob_count == w->logprob_cap) {
        size_t cap = w->logprob_cap ? w->logprob_cap * 2 : 64;
        fh_wire_logprob *grown = cap > LOGPROBS_KEPT ? NULL : fh_realloc_array(w->logprobs, cap, sizeof *grown);
        if (!grown) return false;
        w->logprobs = grown;
        w->logprob_cap = cap;
    }
    fh_wire_logprob *top = fh_calloc(t->top_count, sizeof *top);
    if (!top) return false;
    for (size_t i = 0; i < t->top_count; i++)
        top[i] = (fh_wire_logprob){.token = token_bytes(c->vocab, t->top[i].id), .logprob = t->top[i].logprob};
    w->logprobs[w->logprob_count++] =
        (fh_wire_logprob){.token = token_bytes(c->vocab, t->id), .logprob = t->logprob, .top = top, .top_count = t->top_count};
    return true;
}

/* ---- the loop's half ---- */

static void call_free(call *c)
{
    if (!c) return;
    forget_logprobs(&c->w);
    fh_free(c->w.logprobs);
    fh_tokens_fini(&c->w.untold);
    parts_free(c->parts);
    fh_grammar_unref(c->grammar);
    fh_buf_fini(&c->w.text);
    fh_buf_fini(&c->echo);
    fh_wire_request_fini(&c->wire);
    fh_gen_release(c->gen);
    fh_free(c);
}

static void on_gone(void *arg)
{
    call *c = arg;
    c->req = NULL;
    if (c->s->state == SERVE_READY) fh_gen_cancel(c->gen);
}

static void on_drain(void *arg)
{
    call *c = arg;
    if (c->s->state == SERVE_READY) fh_gen_pause(c->gen, false);
}

static void send_last(call *c, const note *n)
{
    if (c->wire.stream && n->cut)
        fh_http_reply_abort(c->req);
    else if (c->wire.stream)
        fh_http_reply_end(c->req);
    else
        serve_json(c->req, n->status, &n->data);
}

static void on_note(void *arg)
{
    note *n = arg;
    call *c = n->c;
    serve *s = c->s;
    if (c->req && c->wire.stream && n->data.len && !fh_http_reply_write(c->req, n->data.data, n->data.len) && !n->last &&
        s->state == SERVE_READY)
        fh_gen_pause(c->gen, true);
    if (n->last) {
        if (n->cancelled)
            s->replies_cancelled++;
        else
            s->replies_ok++;
        if (c->req) send_last(c, n);
        call_free(c);
    }
    fh_buf_fini(&n->data);
    fh_free(n);
}

/* ---- the batch thread's half ---- */

static note *note_new(call *c)
{
    note *n = fh_calloc(1, sizeof *n);
    if (!n) return NULL;
    n->c = c;
    fh_buf_init(&n->data, c->wire.stream ? CHUNK_MAX : REPLY_MAX);
    return n;
}

/* The end must arrive, or the call would never be freed; memory comes back, since other requests end too. */
static note *note_new_surely(call *c)
{
    note *n;
    while (!(n = note_new(c))) fh_sleep_ns(FH_NS_PER_MS);
    return n;
}

static void event(fh_buf *out, const fh_buf *json)
{
    fh_sse_write(out, NULL, (fh_str){fh_buf_cstr(json), json->len});
}

static fh_wire_piece piece_of(call *c, fh_str text)
{
    fh_wire_piece p = {.role = c->reply.chat && !c->w.role_sent,
                       .text = text,
                       .logprobs = c->w.logprobs,
                       .logprob_count = c->w.logprob_count,
                       .want_logprobs = c->wire.sampling.logprobs,
                       .null_usage = c->wire.include_usage,
                       .text_offset = c->w.characters};
    c->w.role_sent = true;
    return p;
}

static uint64_t count_characters(fh_str s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s.len; i++) n += ((uint8_t)s.ptr[i] & 0xc0) != 0x80;
    return n;
}

/* Which tokens the event holds, as a comment: with them another engine can go on with the answer. */
static void tell_tokens(call *c)
{
    if (!c->tells_tokens) return;
    fh_buf_adds(c->w.events, ": tok");
    for (size_t i = 0; i < c->w.untold.count; i++) fh_buf_addf(c->w.events, " %d", c->w.untold.ids[i]);
    fh_buf_addc(c->w.events, '\n');
    c->w.untold.count = 0;
}

/* One event of a stream; the tokens and logprobs that have gathered go with it. */
static bool add_event(void *arg, const fh_wire_piece *part)
{
    call *c = arg;
    FH_AUTO(buf) fh_buf json = FH_BUF(CHUNK_MAX);
    fh_wire_piece p = piece_of(c, part->text);
    p.reasoning = part->reasoning;
    p.calls = part->calls;
    p.call_count = part->call_count;
    tell_tokens(c);
    if (fh_wire_chunk_write(&json, &c->reply, &p)) event(c->w.events, &json);
    c->w.characters += count_characters(part->text);
    forget_logprobs(&c->w);
    return fh_buf_ok(&json) && fh_buf_ok(c->w.events);
}

static bool add_events(call *c, const fh_gen_piece *piece)
{
    for (size_t i = 0; c->tells_tokens && i < piece->count; i++)
        if (!fh_tokens_push(&c->w.untold, piece->ids[i])) return false;
    fh_wire_piece p = {.text = piece->text};
    return c->parts ? parts_push(c->parts, piece->text) : add_event(c, &p);
}

static void send_piece(call *c, const fh_gen_piece *piece)
{
    note *n = note_new(c);
    c->w.events = n ? &n->data : NULL;
    bool good = n && add_events(c, piece), silent = good && !n->data.len;
    c->w.failed = !good || (!silent && !fh_loop_post(c->s->loop, on_note, n));
    if ((c->w.failed || silent) && n) {
        fh_buf_fini(&n->data);
        fh_free(n);
    }
}

static bool keep_piece(call *c, fh_str text)
{
    return c->parts ? parts_push(c->parts, text) : fh_buf_add(&c->w.text, text.ptr, text.len);
}

static void on_piece(void *arg, const fh_gen_piece *p)
{
    call *c = arg;
    if (c->w.failed || (c->parts && parts_enough(c->parts))) return;
    for (size_t i = 0; p->tokens && i < p->count && !c->w.failed; i++) c->w.failed = !add_logprob(c, &p->tokens[i]);
    if (!c->w.failed && c->wire.stream)
        send_piece(c, p);
    else if (!c->wire.stream && !keep_piece(c, p->text))
        c->w.failed = true;
    if (c->w.failed || (c->parts && parts_enough(c->parts))) fh_gen_cancel(c->gen);
}

static double per_second(uint64_t count, int64_t ns)
{
    return ns > 0 ? (double)count * FH_NS_PER_S / (double)ns : 0;
}

/* As llama-server's: prompt_n is what was computed, not what the cache had. The first token belongs to the prompt's time. */
static void timings(const fh_gen_end *e, char *out, size_t out_size)
{
    uint64_t prompt = e->prompt_tok - e->cached_tok, later = e->generated_tok ? e->generated_tok - 1 : 0;
    snprintf(out, out_size,
             ",\"timings\":{\"cache_n\":%llu,\"prompt_n\":%llu,\"prompt_ms\":%.3f,\"prompt_per_second\":%.2f,\"predicted_n\":%llu,"
             "\"predicted_ms\":%.3f,"
             "\"predicted_per_second\":%.2f,\"queued_ms\":%.3f}",
             (unsigned long long)e->cached_tok, (unsigned long long)prompt, (double)e->prompt_ns / FH_NS_PER_MS,
             per_second(prompt, e->prompt_ns), (unsigned long long)e->generated_tok, (double)e->generate_ns / FH_NS_PER_MS,
             per_second(later, e->generate_ns), (double)e->queued_ns / FH_NS_PER_MS);
}

static fh_wire_usage usage_of(const fh_gen_end *e)
{
    return (fh_wire_usage){.prompt_tok = e->prompt_tok, .completion_tok = e->generated_tok, .cached_tok = e->cached_tok};
}

/* The chunk that says why it ended carries the timings when no usage chunk follows. */
static void finish_stream(call *c, const fh_gen_end *e, const char *finish, const char *extra, fh_buf *out)
{
    FH_AUTO(buf) fh_buf json = FH_BUF(CHUNK_MAX);
    fh_wire_usage u = usage_of(e);
    if (c->tells_tokens && c->w.untold.count) tell_tokens(c);
    fh_wire_piece p = piece_of(c, (fh_str){"", 0});
    p.finish = finish;
    p.stop = e->stop;
    fh_wire_chunk_write(&json, &c->reply, &p);
    if (!c->wire.include_usage && json.len) {
        json.data[--json.len] = '\0';
        fh_buf_adds(&json, extra);
        fh_buf_addc(&json, '}');
    }
    event(out, &json);
    if (c->wire.include_usage) {
        fh_buf_clear(&json);
        fh_wire_usage_chunk_write(&json, &c->reply, &u, extra);
        event(out, &json);
    }
    fh_buf_adds(out, "data: [DONE]\n\n");
}

static void finish_plain(call *c, const fh_gen_end *e, const char *finish, const char *extra, fh_buf *out)
{
    fh_wire_usage u = usage_of(e);
    fh_wire_piece p = piece_of(c, (fh_str){fh_buf_cstr(&c->w.text), c->w.text.len});
    if (c->parts && !parts_take(c->parts, &p)) out->failed = true;
    p.finish = finish;
    p.stop = e->stop;
    fh_wire_reply_write(out, &c->reply, &p, &u, extra);
}

static void finish_failed(call *c, const fh_gen_end *e, note *n)
{
    FH_AUTO(buf) fh_buf json = FH_BUF(65536);
    fh_err *err = NULL;
    if (!e->err)
        fh_err_set(&err, FH_E_UNAVAILABLE,
                   e->finish == FH_GEN_SHUTDOWN ? "the engine is stopping" : "the engine could not go on: out of memory");
    n->status = fh_code_http(fh_err_code(e->err ? e->err : err));
    fh_wire_error_write(&json, e->err ? e->err : err);
    fh_err_free(err);
    if (c->wire.stream)
        event(&n->data, &json);
    else
        fh_buf_add(&n->data, json.data, json.len);
    n->cut = true;
}

static void on_end(void *arg, const fh_gen_end *e)
{
    call *c = arg;
    char extra[512];
    note *n = note_new_surely(c);
    bool enough = c->parts && parts_enough(c->parts); /* then it was us who cancelled */
    bool good = !c->w.failed && (e->finish == FH_GEN_STOP || e->finish == FH_GEN_LENGTH || enough);
    c->w.events = &n->data;
    if (good && c->parts) good = parts_finish(c->parts);
    const char *finish = e->finish == FH_GEN_LENGTH ? "length" : c->parts && parts_has_calls(c->parts) ? "tool_calls" : "stop";
    n->last = true;
    n->status = 200;
    n->cancelled = e->finish == FH_GEN_CANCELLED && !enough;
    timings(e, extra, sizeof extra);
    if (!good)
        finish_failed(c, e, n);
    else if (c->wire.stream)
        finish_stream(c, e, finish, extra, &n->data);
    else
        finish_plain(c, e, finish, extra, &n->data);
    while (!fh_loop_post(c->s->loop, on_note, n)) fh_sleep_ns(FH_NS_PER_MS);
}

/* ---- starting ---- */

static fh_template_time now(void)
{
    time_t t = (time_t)(fh_clock_utc_ns() / FH_NS_PER_S);
    struct tm tm;
    localtime_r(&t, &tm);
    return (fh_template_time){.year = tm.tm_year + 1900,
                              .month = tm.tm_mon + 1,
                              .day = tm.tm_mday,
                              .hour = tm.tm_hour,
                              .minute = tm.tm_min,
                              .second = tm.tm_sec,
                              .weekday = (tm.tm_wday + 6) % 7,
                              .yearday = tm.tm_yday + 1};
}

int serve_chat_tokens(serve *s, const fh_wire_request *r, fh_tokens *out, fh_buf *tail, fh_err **err)
{
    const fh_template *t = fh_engine_template(s->engine);
    if (!t) {
        fh_err_set(err, FH_E_INVALID, "this model's file has no chat template");
        fh_err_hint(err, "use /v1/completions with the prompt as the model wants it");
        return FH_E_INVALID;
    }
    fh_prompt_source p = {.specials = engine_specials(s->engine),
                          .vocab = fh_engine_vocab(s->engine),
                          .chat_template = t,
                          .toolfmt = fh_engine_toolfmt(s->engine),
                          .now = now(),
                          .tail = tail};
    return fh_prompt_chat(&p, r, out, err);
}

static int completion_tokens(call *c, fh_tokens *out, fh_err **err)
{
    const fh_wire_request *r = &c->wire;
    if (!r->prompt_tokens) return fh_vocab_encode(c->vocab, r->prompt, FH_ENCODE_SPECIAL | FH_ENCODE_BOS, out, err);
    for (size_t i = 0; i < r->prompt_token_count; i++)
        if (!fh_tokens_push(out, r->prompt_tokens[i])) return fh_err_nomem(err);
    return 0;
}

static int check_honoured(const fh_wire_request *r, fh_err **err)
{
    int rc = fh_wire_needs_check(r, FH_WIRE_ENGINE_CAN, err);
    if (rc) return rc;
    bool chosen = r->needs & FH_NEED_BIT(TOOL_CHOICE);
    if (chosen && (!r->must_call || !r->tools)) {
        fh_err_set(err, FH_E_INVALID,
                   r->tools ? "'tool_choice' must be auto, none, required or a function" : "'tool_choice' needs 'tools'");
        fh_err_param(err, "tool_choice");
    } else if (r->echo && r->sampling.logprobs) {
        fh_err_set(err, FH_E_INVALID, "logprobs of an echoed prompt are not computed");
        fh_err_param(err, "echo");
    } else if (r->sampling.max_tokens == 0) {
        fh_err_set(err, FH_E_INVALID, "max_tokens must be at least 1");
        fh_err_param(err, "max_tokens");
    } else
        return 0;
    return FH_E_INVALID;
}

static uint64_t seed_of(const fh_wire_sampling *s)
{
    uint64_t seed = s->seed;
    if (!s->has_seed && getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed) seed = (uint64_t)fh_clock_mono_ns();
    return seed;
}

static fh_sample_params sample_params(const fh_wire_sampling *s, const fh_token *ids, const float *values)
{
    fh_sample_params p;
    fh_sample_params_default(&p);
    p.temperature = s->temperature;
    p.top_p = s->top_p;
    p.min_p = s->min_p;
    p.top_k = s->top_k;
    p.repetition_penalty = s->repetition_penalty;
    p.presence_penalty = s->presence_penalty;
    p.frequency_penalty = s->frequency_penalty;
    p.seed = seed_of(s);
    p.bias_tokens = ids;
    p.bias_values = values;
    p.bias_count = s->bias_count;
    return p;
}

/* {"tokens":[...]}: what another engine said of this answer already. From the gateway only, which asks for tokens to be told. */
static int read_begun(const call *c, fh_tokens *out, fh_err **err)
{
    const fh_json *v = c->tells_tokens ? fh_json_get(c->wire.doc, "freehold_continue") : NULL, *ids = fh_json_get(v, "tokens");
    for (size_t i = 0; i < fh_json_count(ids); i++) {
        int64_t id = fh_json_int(fh_json_at(ids, i), -1);
        if (!fh_tokens_push(out, id >= 0 && id <= INT32_MAX ? (fh_token)id : FH_TOKEN_NONE)) return fh_err_nomem(err);
    }
    return 0;
}

static void on_begun(void *arg, fh_str text)
{
    call *c = arg;
    if (c->parts && parts_skip(c->parts, text, NULL)) c->w.failed = true;
}

static int submit(call *c, const fh_tokens *tokens, const fh_tokens *begun, fh_err **err)
{
    const fh_wire_sampling *s = &c->wire.sampling;
    fh_token ids[FH_LIMIT_LOGIT_BIAS_TOKENS];
    float values[FH_LIMIT_LOGIT_BIAS_TOKENS];
    for (size_t i = 0; i < s->bias_count && i < FH_COUNT(ids); i++) {
        ids[i] = s->bias[i].token;
        values[i] = s->bias[i].value;
    }
    fh_gen_request r = {.tokens = tokens->ids,
                        .token_count = tokens->count,
                        .begun = begun->ids,
                        .begun_count = begun->count,
                        .sample = sample_params(s, ids, values),
                        .stops = s->stops,
                        .stop_count = s->stop_count,
                        .max_tok = s->max_tokens > 0 ? (uint64_t)s->max_tokens : 0,
                        .ignore_eos = s->ignore_eos,
                        .logprobs = s->logprobs,
                        .top_logprobs = s->logprobs ? s->top_logprobs : 0,
                        .cache_salt = fh_http_req_header(c->req, "x-freehold-salt"),
                        .grammar = c->grammar,
                        .markers = c->parts != NULL,
                        .on_begun = on_begun,
                        .on_piece = on_piece,
                        .on_end = on_end,
                        .arg = c};
    return fh_engine_submit(c->s->engine, &r, &c->gen, err);
}

/* Before the request is submitted: the batch thread does not know the call yet. */
static int echo_prompt(call *c, const fh_tokens *tokens, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(REPLY_MAX);
    FH_AUTO(buf) fh_buf json = FH_BUF(REPLY_MAX);
    int rc = 0;
    if (!c->wire.prompt_tokens) fh_buf_add(&text, c->wire.prompt.ptr, c->wire.prompt.len);
    for (size_t i = 0; c->wire.prompt_tokens && i < tokens->count && !rc; i++)
        rc = fh_vocab_decode(c->vocab, tokens->ids[i], false, &text, err);
    fh_str echoed = {fh_buf_cstr(&text), text.len};
    fh_wire_piece p = piece_of(c, echoed);
    if (c->wire.stream && fh_wire_chunk_write(&json, &c->reply, &p)) event(&c->echo, &json);
    if (!c->wire.stream) fh_buf_add(&c->w.text, echoed.ptr, echoed.len);
    c->w.characters += c->wire.stream ? count_characters(echoed) : 0;
    if (!rc) rc = fh_buf_check(&text, err, "the echoed prompt");
    if (!rc) rc = fh_buf_check(c->wire.stream ? &c->echo : &c->w.text, err, "the echoed prompt");
    return rc;
}

static int make_parts(call *c, const fh_buf *tail, fh_err **err)
{
    const fh_toolfmt *f = fh_engine_toolfmt(c->s->engine);
    parts_options o = {.format = f,
                       .request = &c->wire,
                       .prompt = {fh_buf_cstr(tail), tail->len},
                       .reply_id = c->id,
                       .sink = c->wire.stream ? add_event : NULL,
                       .arg = c};
    return parts_needed(f, &c->wire) ? parts_new(&c->parts, &o, err) : 0;
}

static int make_tokens(call *c, fh_tokens *tokens, fh_err **err)
{
    FH_AUTO(buf) fh_buf tail = FH_BUF(TAIL_MAX);
    int rc = c->reply.chat ? serve_chat_tokens(c->s, &c->wire, tokens, &tail, err) : completion_tokens(c, tokens, err);
    if (!rc && c->reply.chat) rc = make_parts(c, &tail, err);
    return rc ? rc : serve_reply_form(c->s->engine, &c->wire, (fh_str){fh_buf_cstr(&tail), tail.len}, &c->grammar, err);
}

static int parse(call *c, bool chat, fh_err **err)
{
    fh_str body = fh_http_req_body(c->req);
    int rc = chat ? fh_wire_chat_parse(&c->wire, body, err) : fh_wire_completion_parse(&c->wire, body, err);
    return rc ? rc : check_honoured(&c->wire, err);
}

static int start(call *c, bool chat, fh_err **err)
{
    fh_tokens tokens = {0}, begun = {0};
    int rc = parse(c, chat, err);
    c->tells_tokens = c->wire.stream && fh_http_req_header(c->req, "x-freehold-tokens").len > 0;
    if (!rc) rc = read_begun(c, &begun, err);
    c->w.role_sent = begun.count > 0;
    if (!rc) rc = make_tokens(c, &tokens, err);
    if (!rc && c->wire.echo && !begun.count) rc = echo_prompt(c, &tokens, err);
    if (!rc) rc = submit(c, &tokens, &begun, err);
    fh_tokens_fini(&tokens);
    fh_tokens_fini(&begun);
    return rc;
}

static void begin_reply(call *c)
{
    fh_http_req_on_gone(c->req, on_gone, c);
    if (!c->wire.stream) return;
    fh_http_reply_header(c->req, "Cache-Control", "no-store");
    fh_http_reply_start(c->req, 200, "text/event-stream");
    fh_http_reply_on_drain(c->req, on_drain, c);
    if (c->echo.len) fh_http_reply_write(c->req, c->echo.data, c->echo.len);
}

static call *call_new(serve *s, fh_http_req *req, bool chat)
{
    call *c = fh_calloc(1, sizeof *c);
    if (!c) return NULL;
    *c = (call){.s = s, .req = req, .vocab = fh_engine_vocab(s->engine)};
    fh_buf_init(&c->w.text, REPLY_MAX);
    fh_buf_init(&c->echo, REPLY_MAX);
    snprintf(c->id, sizeof c->id, "%s-%s", chat ? "chatcmpl" : "cmpl", fh_http_req_id(req) + strlen("req_"));
    c->reply = (fh_wire_reply){
        .chat = chat, .id = c->id, .model = s->name, .created_s = fh_clock_utc_ns() / FH_NS_PER_S, .fingerprint = "freehold-" FH_VERSION};
    return c;
}

void serve_generate(serve *s, fh_http_req *req, bool chat)
{
    fh_err *err = NULL;
    call *c = call_new(s, req, chat);
    int rc = c ? start(c, chat, &err) : fh_err_nomem(&err);
    if (rc == 0) {
        begin_reply(c);
        return;
    }
    call_free(c);
    serve_error(s, req, err);
}
