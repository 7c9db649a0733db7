/* What is noted of an exchange along the way, and told of it at its end (see seen.h). */
#include "exchange.h"
#include "failovers.h"

#include <stdio.h>
#include <string.h>

/* ---- the trace that it belongs to ---- */

/* The one field of that name; nothing when there are several. */
static fh_str only_header(const fh_http_req *req, const char *name)
{
    size_t count, found = 0;
    const fh_header *h = fh_http_req_headers(req, &count);
    fh_str value = {NULL, 0};
    for (size_t i = 0; i < count; i++) {
        if (!fh_str_ieq(h[i].name, fh_str_of(name))) continue;
        value = h[i].value;
        found++;
    }
    return found == 1 ? value : (fh_str){NULL, 0};
}

/* All fields of that name as one list; owned, NULL when it may not be passed on. */
static char *joined_state(const fh_http_req *req)
{
    size_t count;
    const fh_header *h = fh_http_req_headers(req, &count);
    FH_AUTO(buf) fh_buf list = FH_BUF(FH_LIMIT_TRACESTATE_BYTES);
    for (size_t i = 0; i < count; i++) {
        if (!fh_str_ieq(h[i].name, FH_STR("tracestate"))) continue;
        if (list.len) fh_buf_addc(&list, ',');
        fh_buf_add(&list, h[i].value.ptr, h[i].value.len);
    }
    bool good = fh_buf_ok(&list) && fh_tracestate_valid((fh_str){fh_buf_cstr(&list), list.len});
    return good ? fh_buf_take(&list, NULL) : NULL;
}

/* A trace that begins here has the digits of the request id, so that one look-up finds both. */
static void begin_trace(const fh_exchange *x, fh_trace *ret)
{
    fh_str id = fh_str_of(fh_http_req_id(x->req)), prefix = FH_STR("req_");
    *ret = (fh_trace){.flags = FH_TRACE_RANDOM | (x->gateway->config.traced ? FH_TRACE_SAMPLED : 0)};
    if (id.len < prefix.len || !fh_hex_decode((fh_str){id.ptr + prefix.len, id.len - prefix.len}, ret->id, sizeof ret->id))
        fh_random_bytes(ret->id, sizeof ret->id, NULL);
}

static void take_trace(fh_exchange *x)
{
    fh_seen *s = &x->seen;
    char id[2 * FH_TRACE_ID_BYTES + 1];
    if (fh_traceparent_read(only_header(x->req, "traceparent"), &s->trace))
        s->trace_state = joined_state(x->req);
    else
        begin_trace(x, &s->trace);
    fh_random_bytes(s->span, sizeof s->span, NULL);
    if (fh_hex_encode(s->trace.id, sizeof s->trace.id, id, sizeof id)) fh_http_reply_header(x->req, "x-freehold-trace-id", id);
}

static unsigned kept_attempts(const fh_seen *s)
{
    return FH_MIN(s->attempt_count, (unsigned)FH_LIMIT_RECORD_ATTEMPTS);
}

size_t fh_seen_headers(const fh_exchange *x, char text[FH_TRACEPARENT_LEN + 1], fh_header *headers, size_t count)
{
    const fh_seen *s = &x->seen;
    unsigned kept = kept_attempts(s);
    fh_traceparent_write(&s->trace, kept > 0 ? s->attempts[kept - 1].span : s->span, text);
    headers[count++] = (fh_header){FH_STR("traceparent"), fh_str_of(text)};
    if (s->trace_state) headers[count++] = (fh_header){FH_STR("tracestate"), fh_str_of(s->trace_state)};
    return count;
}

/* ---- whom it is counted with ---- */

static const char *provider_of(const fh_route *r)
{
    if (!r->model[0]) return "";
    if (r->own_engine) return "freehold";
    return r->dialect == FH_DIALECT_MESSAGES ? "anthropic" : "openai";
}

static fh_series *series_of(const fh_exchange *x, int code)
{
    fh_series_labels l = {.operation = x->op, .code = code};
    const char *provider = provider_of(&x->route);
    snprintf(l.provider, sizeof l.provider, "%s", provider[0] ? provider : "freehold");
    snprintf(l.model, sizeof l.model, "%s", x->route.model[0] ? x->route.model : "none");
    snprintf(l.key_class, sizeof l.key_class, "%s", x->seen.key_class);
    return fh_series_find(x->gateway->series, &x->lane->series, &l);
}

void fh_seen_tally(fh_exchange *x, fh_tally t)
{
    fh_counter_add(&series_of(x, 0)->tallies[t], 1);
}

/* ---- the last failover ---- */

int fh_seen_code(const fh_exchange *x)
{
    if (x->seen.gone) return FH_E_CANCELLED;
    if (!x->failed) return 0;
    if (x->seen.code) return x->seen.code;
    return x->status >= 400 ? fh_exchange_code_of(x->status) : FH_E_UPSTREAM;
}

static void note_failover(const fh_exchange *x, bool over)
{
    const fh_seen *s = &x->seen;
    int64_t now = fh_clock_mono_ns();
    fh_failover f = {.stream = x->wants_stream,
                     .over = over,
                     .code = over ? fh_seen_code(x) : 0,
                     .completion_tok = fh_exchange_used(x).completion_tok,
                     .began_ns = x->start_ns,
                     .first_ns = s->first_ns,
                     .ended_ns = now,
                     .utc_ns = fh_clock_utc_ns() - (now - x->start_ns),
                     .attempt_count = s->attempt_count};
    snprintf(f.request_id, sizeof f.request_id, "%s", x->request_id);
    snprintf(f.model, sizeof f.model, "%s", x->route.model);
    memcpy(f.attempts, s->attempts, sizeof f.attempts);
    fh_failovers_note(x->gateway->failovers, &f);
}

/* ---- along the way ---- */

/* Admins, and all others by the priority that they have: few enough for a label. */
static const char *class_of(const fh_key *key)
{
    return fh_key_may(key, FH_SCOPE_ADMIN) ? "admin" : fh_priority_name(key->priority);
}

void fh_seen_begin(fh_exchange *x, const fh_key *key)
{
    x->seen.key_class = class_of(key);
    take_trace(x);
    fh_http_req_note_set(x->req, x);
}

void fh_seen_fini(fh_seen *s)
{
    fh_free(s->trace_state);
}

static fh_attempt *last_attempt(fh_seen *s)
{
    unsigned kept = kept_attempts(s);
    return kept > 0 ? &s->attempts[kept - 1] : NULL;
}

void fh_seen_asked(fh_exchange *x)
{
    fh_seen *s = &x->seen;
    s->attempt_count++;
    s->finished = false;
    fh_attempt *a = last_attempt(s);
    *a = (fh_attempt){.began_ns = fh_clock_mono_ns(), .from_tok = fh_sent_count(&x->sent)};
    memcpy(a->deployment, x->route.deployment, sizeof a->deployment);
    memcpy(a->place, x->route.place, sizeof a->place);
    fh_random_bytes(a->span, sizeof a->span, NULL);
    s->series = series_of(x, 0);
}

/* What has come of the answer, in the sum of the lane. */
static void count_answer(fh_exchange *x, uint64_t tok)
{
    fh_seen *s = &x->seen;
    if (tok <= s->counted_tok) return;
    fh_counter_add(&x->lane->metrics.completion_tok, tok - s->counted_tok);
    s->counted_tok = tok;
}

void fh_seen_piece(fh_exchange *x, int64_t now_ns)
{
    fh_attempt *a = last_attempt(&x->seen);
    if (a && !a->first_ns) a->first_ns = now_ns;
    if (x->begun && x->seen.series) fh_histogram_add(&x->seen.series->measures[FH_MEASURE_CHUNK], FH_MEASURE_CHUNK, now_ns - x->event_ns);
    count_answer(x, fh_sent_count(&x->sent));
}

void fh_seen_finish(fh_exchange *x, fh_wire_finish finish)
{
    x->seen.finished = true;
    x->seen.finish = finish;
}

void fh_seen_left(fh_exchange *x, fh_outcome outcome)
{
    fh_attempt *a = last_attempt(&x->seen);
    if (!a || a->ended_ns) return;
    a->ended_ns = fh_clock_mono_ns();
    a->sent_tok = fh_sent_count(&x->sent);
    a->status = x->status;
    if (outcome == FH_OUTCOME_LEFT)
        a->code = FH_E_CANCELLED;
    else if (x->status >= 400)
        a->code = fh_exchange_code_of(x->status);
    else if (outcome == FH_OUTCOME_FAILED)
        a->code = FH_E_UPSTREAM;
}

void fh_seen_broke(fh_exchange *x, const fh_err *why)
{
    fh_attempt *a = last_attempt(&x->seen);
    if (a && why) a->code = fh_err_code(why);
    x->seen.broke = true;
    note_failover(x, false);
}

/* ---- at the end ---- */

static void measure(fh_series *s, fh_measure m, int64_t value)
{
    fh_histogram_add(&s->measures[m], m, value);
}

/* Of a good answer alone. */
static void measure_answer(const fh_exchange *x, fh_series *s, uint64_t completion, int64_t now_ns)
{
    if (!x->wants_stream || !x->seen.first_ns) return;
    measure(s, FH_MEASURE_FIRST_TOKEN, x->seen.first_ns - x->start_ns);
    if (completion > 1) measure(s, FH_MEASURE_OUTPUT_TOKEN, (now_ns - x->seen.first_ns) / (int64_t)(completion - 1));
}

static void count_made(fh_exchange *x, const fh_used *used)
{
    fh_series *s = series_of(x, 0);
    fh_counter_add(&x->lane->metrics.prompt_tok, used->prompt_tok);
    fh_counter_add(&x->lane->metrics.counted[used->counted], 1);
    count_answer(x, used->completion_tok);
    if (used->differs) fh_counter_add(&s->tallies[FH_TALLY_DIFFERS], 1);
    if (used->prompt_tok) measure(s, FH_MEASURE_TOKENS_IN, (int64_t)used->prompt_tok);
    if (used->completion_tok) measure(s, FH_MEASURE_TOKENS_OUT, (int64_t)used->completion_tok);
}

/* Tokens are counted where they are made, requests where they are asked. */
void fh_seen_end(fh_exchange *x, bool gone)
{
    x->seen.gone = gone;
    int code = fh_seen_code(x);
    int64_t now = fh_clock_mono_ns();
    fh_used used = fh_exchange_used(x);
    if (x->cache == FH_CACHE_OFF) count_made(x, &used);
    if (x->seen.broke) note_failover(x, true);
    if (fh_exchange_leads(x)) return;
    fh_series *s = series_of(x, code);
    x->lane->metrics.cache[x->cache] += x->op == FH_OP_CHAT || x->op == FH_OP_COMPLETION;
    fh_counter_add(&s->tallies[gone ? FH_TALLY_CANCELLED : code ? FH_TALLY_FAILED : FH_TALLY_FINISHED], 1);
    measure(s, FH_MEASURE_DURATION, now - x->start_ns);
    if (!code) measure_answer(x, s, used.completion_tok, now);
}

bool fh_gateway_record(const fh_http_req *req, fh_record *ret)
{
    const fh_exchange *x = fh_http_req_note(req);
    if (!x) return false;
    ret->operation = fh_operation_name(x->op);
    ret->model = x->route.model;
    ret->provider = provider_of(&x->route);
    ret->key_class = x->seen.key_class;
    ret->owner = x->key.owner;
    ret->cache = fh_cache_state_name(x->cache);
    ret->finish = x->seen.finished ? fh_wire_finish_name(x->seen.finish) : "";
    ret->stream = x->wants_stream;
    ret->code = fh_seen_code(x);
    ret->first_ns = x->wants_stream ? x->seen.first_ns : 0;
    ret->queued_ns = x->seen.queued_ns;
    fh_used used = fh_exchange_used(x);
    ret->prompt_tok = used.prompt_tok;
    ret->completion_tok = used.completion_tok;
    ret->trace = x->seen.trace;
    memcpy(ret->span, x->seen.span, sizeof ret->span);
    ret->attempt_count = x->seen.attempt_count;
    ret->attempts = x->seen.attempts;
    return true;
}
