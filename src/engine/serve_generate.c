/* /v1/chat/completions and /v1/completions: a request becomes generations, and their notes a reply (see serve_call.h). Everything here is
 * the loop's. */
#include "serve_call.h"
#include "base/clock.h"
#include "base/limits.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum { TAIL_MAX = 4096 };

/* ---- the end ---- */

static void call_free(call *c)
{
    if (!c) return;
    for (size_t i = 0; i < c->count; i++) choice_fini(&c->choices[i]);
    fh_free(c->choices);
    fh_tokens_fini(&c->untold);
    fh_grammar_unref(c->grammar);
    fh_buf_fini(&c->echo);
    fh_buf_fini(&c->error);
    fh_wire_request_fini(&c->wire);
    fh_free(c);
}

static void pause_all(const call *c, bool paused)
{
    for (size_t i = 0; c->s->state == SERVE_READY && i < c->count; i++) fh_gen_pause(c->choices[i].gen, paused);
}

static void on_gone(void *arg)
{
    call *c = arg;
    c->req = NULL;
    for (size_t i = 0; c->s->state == SERVE_READY && i < c->count; i++) fh_gen_cancel(c->choices[i].gen);
}

static void on_drain(void *arg)
{
    pause_all(arg, false);
}

static void send_last(const call *c, const call_note *n)
{
    if (c->wire.stream && n->cut)
        fh_http_reply_abort(c->req);
    else if (c->wire.stream)
        fh_http_reply_end(c->req);
    else
        serve_json(c->req, c->status, &n->data);
}

static void end_call(call *c, const call_note *n)
{
    if (c->cancelled)
        c->s->replies_cancelled++;
    else
        c->s->replies_ok++;
    if (c->req) send_last(c, n);
    call_free(c);
}

void call_on_note(void *arg)
{
    call_note *n = arg;
    call *c = n->c;
    if (c->req && c->wire.stream && n->data.len && !fh_http_reply_write(c->req, n->data.data, n->data.len) && !n->last) pause_all(c, true);
    if (n->last) end_call(c, n);
    fh_buf_fini(&n->data);
    fh_free(n);
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

static int completion_tokens(const call *c, fh_tokens *out, fh_err **err)
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
    } else if (r->choices > FH_LIMIT_CHOICES) {
        fh_err_set(err, FH_E_INVALID, "%u choices are asked for, at most %d are given", r->choices, FH_LIMIT_CHOICES);
        fh_err_param(err, "n");
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

static fh_sample_params sample_params(const fh_wire_sampling *s, uint64_t seed, const fh_token *ids, const float *values)
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
    p.seed = seed;
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

static int bad_prediction(fh_err **err)
{
    fh_err_set(err, FH_E_INVALID, "'prediction.content' must be a string or an array of text parts");
    fh_err_param(err, "prediction.content");
    return FH_E_INVALID;
}

/* {"type":"content","content":TEXT}, or parts of text: what the answer may look like. */
static int read_prediction(const call *c, fh_tokens *out, fh_err **err)
{
    const fh_json *v = c->reply.chat ? fh_json_get(c->wire.doc, "prediction") : NULL, *content = fh_json_get(v, "content");
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_HTTP_BODY_BYTES);
    if (fh_json_kind_of(v) != FH_JSON_OBJECT) return 0;
    if (fh_json_kind_of(content) == FH_JSON_STRING) return fh_vocab_encode(c->vocab, fh_json_str(content), 0, out, err);
    if (fh_json_kind_of(content) != FH_JSON_ARRAY) return bad_prediction(err);
    for (size_t i = 0; i < fh_json_count(content); i++) {
        const fh_json *part = fh_json_get(fh_json_at(content, i), "text");
        if (fh_json_kind_of(part) != FH_JSON_STRING) return bad_prediction(err);
        fh_buf_add(&text, fh_json_str(part).ptr, fh_json_str(part).len);
    }
    int rc = fh_buf_check(&text, err, "the prediction");
    return rc ? rc : fh_vocab_encode(c->vocab, (fh_str){fh_buf_cstr(&text), text.len}, 0, out, err);
}

static int read_priority(call *c, fh_err **err)
{
    fh_str text = fh_http_req_header(c->req, "x-freehold-priority");
    c->priority = fh_str_eqs(text, "low") ? FH_GEN_LOW : fh_str_eqs(text, "high") ? FH_GEN_HIGH : FH_GEN_NORMAL;
    if (text.len == 0 || c->priority != FH_GEN_NORMAL || fh_str_eqs(text, "normal")) return 0;
    return fh_err_set(err, FH_E_INVALID, "the header x-freehold-priority says low, normal or high");
}

/* All choices are asked for with the same words; each draws for itself. */
static int submit(call *c, const fh_tokens *tokens, const fh_tokens *begun, const fh_tokens *prediction, fh_err **err)
{
    const fh_wire_sampling *s = &c->wire.sampling;
    fh_token ids[FH_LIMIT_LOGIT_BIAS_TOKENS];
    float values[FH_LIMIT_LOGIT_BIAS_TOKENS];
    fh_gen_request requests[FH_LIMIT_CHOICES];
    fh_gen **gens[FH_LIMIT_CHOICES];
    for (size_t i = 0; i < s->bias_count && i < FH_COUNT(ids); i++) {
        ids[i] = s->bias[i].token;
        values[i] = s->bias[i].value;
    }
    fh_gen_request r = {.tokens = tokens->ids,
                        .token_count = tokens->count,
                        .begun = begun->ids,
                        .begun_count = begun->count,
                        .prediction = prediction->ids,
                        .prediction_count = prediction->count,
                        .sample = sample_params(s, seed_of(s), ids, values),
                        .stops = s->stops,
                        .stop_count = s->stop_count,
                        .max_tok = s->max_tokens > 0 ? (uint64_t)s->max_tokens : 0,
                        .ignore_eos = s->ignore_eos,
                        .logprobs = s->logprobs,
                        .top_logprobs = s->logprobs ? s->top_logprobs : 0,
                        .cache_salt = fh_http_req_header(c->req, "x-freehold-salt"),
                        .priority = c->priority,
                        .off_disk = fh_str_eqs(fh_http_req_header(c->req, "x-freehold-page-cache"), "off"),
                        .grammar = c->grammar,
                        .markers = c->choices[0].parts != NULL,
                        .on_begun = choice_on_begun,
                        .on_piece = choice_on_piece,
                        .on_end = choice_on_end};
    for (size_t i = 0; i < c->count; i++, r.sample.seed++) {
        requests[i] = r;
        requests[i].arg = &c->choices[i];
        gens[i] = &c->choices[i].gen;
    }
    return fh_engine_submit_all(c->s->engine, requests, c->count, gens, err);
}

/* Before the request is submitted: the batch thread does not know the call yet. */
static int echo_prompt(call *c, const fh_tokens *tokens, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(CALL_REPLY_MAX);
    int rc = 0;
    if (!c->wire.prompt_tokens) fh_buf_add(&text, c->wire.prompt.ptr, c->wire.prompt.len);
    for (size_t i = 0; c->wire.prompt_tokens && i < tokens->count && !rc; i++)
        rc = fh_vocab_decode(c->vocab, tokens->ids[i], false, &text, err);
    if (!rc) rc = fh_buf_check(&text, err, "the echoed prompt");
    for (size_t i = 0; i < c->count && !rc; i++) rc = choice_echo(&c->choices[i], (fh_str){fh_buf_cstr(&text), text.len}, err);
    return rc;
}

static int make_parts(choice *ch, const fh_buf *tail, fh_err **err)
{
    const call *c = ch->c;
    const fh_toolfmt *f = fh_engine_toolfmt(c->s->engine);
    parts_options o = {.format = f,
                       .request = &c->wire,
                       .prompt = {fh_buf_cstr(tail), tail->len},
                       .reply_id = ch->id,
                       .sink = c->wire.stream ? choice_on_part : NULL,
                       .arg = ch};
    return parts_needed(f, &c->wire) ? parts_new(&ch->parts, &o, err) : 0;
}

static int make_tokens(call *c, fh_tokens *tokens, fh_err **err)
{
    FH_AUTO(buf) fh_buf tail = FH_BUF(TAIL_MAX);
    int rc = c->reply.chat ? serve_chat_tokens(c->s, &c->wire, tokens, &tail, err) : completion_tokens(c, tokens, err);
    for (size_t i = 0; c->reply.chat && i < c->count && !rc; i++) rc = make_parts(&c->choices[i], &tail, err);
    return rc ? rc : serve_reply_form(c->s->engine, &c->wire, (fh_str){fh_buf_cstr(&tail), tail.len}, &c->grammar, err);
}

static int make_choices(call *c, fh_err **err)
{
    c->choices = fh_calloc(c->wire.choices, sizeof *c->choices);
    if (!c->choices) return fh_err_nomem(err);
    for (; c->count < c->wire.choices; c->count++) {
        choice *ch = &c->choices[c->count];
        *ch = (choice){.c = c, .index = (uint32_t)c->count, .text = FH_BUF(CALL_REPLY_MAX), .stop = FH_BUF(FH_LIMIT_STOP_STRING_BYTES + 1)};
        int n = snprintf(ch->id, sizeof ch->id, "%s", c->id);
        if (ch->index) snprintf(ch->id + n, sizeof ch->id - (size_t)n, "-%u", ch->index);
    }
    return 0;
}

static int parse(call *c, bool chat, fh_err **err)
{
    fh_str body = fh_http_req_body(c->req);
    int rc = chat ? fh_wire_chat_parse(&c->wire, body, err) : fh_wire_completion_parse(&c->wire, body, err);
    return rc ? rc : check_honoured(&c->wire, err);
}

static int start(call *c, bool chat, fh_err **err)
{
    fh_tokens tokens = {0}, begun = {0}, prediction = {0};
    int rc = parse(c, chat, err);
    if (!rc) rc = make_choices(c, err);
    c->tells_tokens = c->wire.stream && c->count == 1 && fh_http_req_header(c->req, "x-freehold-tokens").len > 0;
    if (!rc) rc = read_priority(c, err);
    if (!rc) rc = read_begun(c, &begun, err);
    if (!rc) rc = read_prediction(c, &prediction, err);
    if (!rc) c->choices[0].role_sent = c->prompt_told = begun.count > 0;
    if (!rc) rc = make_tokens(c, &tokens, err);
    if (!rc && c->wire.echo && !begun.count) rc = echo_prompt(c, &tokens, err);
    if (!rc) rc = submit(c, &tokens, &begun, &prediction, err);
    fh_tokens_fini(&prediction);
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
    *c = (call){
        .s = s, .req = req, .vocab = fh_engine_vocab(s->engine), .status = 200, .echo = FH_BUF(CALL_REPLY_MAX), .error = FH_BUF(65536)};
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
