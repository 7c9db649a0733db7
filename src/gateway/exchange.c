/* The life of one request: choosing a replica, calling it, and trying another when it breaks (see exchange.h). */
#include "exchange.h"

#include "base/limits.h"
#include "wire/responses.h"
#include <stdio.h>
#include <string.h>

#define REPLACE_WAIT_NS (FH_LIMIT_REPLACE_WAIT_MS * FH_NS_PER_MS)
#define REPLACE_POLL_NS (50 * FH_NS_PER_MS)
enum { EXPECT_REPLY_TOK = 256, BYTES_PER_TOK = 4 };

static void choose(fh_exchange *x);
static void stop_listening(fh_exchange *x);

/* ---- the lane's open exchanges: a look at all of them every second finds those whose replica is silent ---- */

static void link_to_lane(fh_exchange *x)
{
    x->next = x->lane->open;
    if (x->next) x->next->previous = x;
    x->lane->open = x;
    x->lane->metrics.in_flight++;
}

static void unlink_from_lane(fh_exchange *x)
{
    if (x->previous)
        x->previous->next = x->next;
    else
        x->lane->open = x->next;
    if (x->next) x->next->previous = x->previous;
    x->lane->metrics.in_flight--;
}

/* ---- ends ---- */

static void leave_upstream(fh_exchange *x, fh_outcome outcome)
{
    if (x->upstream) fh_upstream_end(x->upstream, x->expect_tok, outcome, fh_clock_mono_ns());
    x->upstream = NULL;
}

/* What was used, as well as is known now. */
static uint64_t used_tok(const fh_exchange *x)
{
    return x->has_usage ? x->usage.prompt_tok + x->usage.completion_tok : fh_sent_count(&x->sent);
}

static void exchange_free(fh_exchange *x)
{
    leave_upstream(x, FH_OUTCOME_LEFT);
    if (x->counted) fh_limits_end(x->gateway->limits, x->key_id, x->expect_tok, used_tok(x));
    fh_free(x->prefix);
    unlink_from_lane(x);
    fh_timer_free(x->timer);
    fh_ask_fini(&x->ask);
    fh_turn_free(x->turn);
    fh_wire_reader_free(x->reader);
    fh_wire_writer_free(x->writer);
    fh_sent_fini(&x->sent);
    fh_buf_fini(&x->in);
    fh_buf_fini(&x->out);
    fh_err_free(x->broken);
    fh_err_free(x->upstream_error);
    explicit_bzero(x->route.secret, sizeof x->route.secret);
    fh_free(x);
}

/* The reply has ended. */
static void finish(fh_exchange *x)
{
    fh_metrics *m = &x->lane->metrics;
    fh_histogram_add(&m->duration[x->op], fh_clock_mono_ns() - x->start_ns);
    (x->failed ? m->failed : m->finished)[x->op]++;
    m->prompt_tok += x->has_usage ? x->usage.prompt_tok : 0;
    m->completion_tok += x->has_usage ? x->usage.completion_tok : fh_sent_count(&x->sent);
    exchange_free(x);
}

/* Takes err. */
static void fail(fh_exchange *x, fh_err *err)
{
    x->failed = true;
    if (x->turn) fh_wire_responses_err(&err);
    if (x->streaming) {
        x->lane->metrics.cut++;
        fh_exchange_cut(x, err);
    } else {
        if (x->tries) fh_http_reply_header(x->req, "x-should-retry", "false");
        fh_exchange_send_error(x, err);
    }
    fh_err_free(err);
    finish(x);
}

static void client_gone(void *arg)
{
    fh_exchange *x = arg;
    x->lane->metrics.cancelled++;
    x->lane->metrics.completion_tok += fh_sent_count(&x->sent);
    if (x->call) fh_http_call_cancel(x->call);
    exchange_free(x);
}

void fh_exchange_drained(void *arg)
{
    fh_exchange *x = arg;
    x->paused = false;
    x->event_ns = fh_clock_mono_ns();
    if (x->call) fh_http_call_resume(x->call);
}

/* ---- a replica broke ---- */

static uint64_t replica_id(const char *deployment, int64_t instance)
{
    uint64_t h = 1469598103934665603u ^ (uint64_t)instance; /* FNV-1a */
    for (; *deployment; deployment++) h = (h ^ (uint8_t)*deployment) * 1099511628211u;
    return h;
}

static bool was_tried(const fh_exchange *x, uint64_t id)
{
    for (unsigned i = 0; i < x->tries; i++)
        if (x->tried[i] == id) return true;
    return false;
}

/* All requests together may be tried again for a fifth of their number, and a few: when everything breaks, retries do not double the load.
 * Streams that have begun are moved without asking: none is moved more than TRIES times without getting on. */
static bool spend_retry(fh_gateway *g)
{
    uint64_t had = atomic_load(&g->retry_credit);
    while (had >= FH_RETRY_PRICE)
        if (atomic_compare_exchange_weak(&g->retry_credit, &had, had - FH_RETRY_PRICE)) return true;
    return false;
}

static void earn_retry(fh_gateway *g)
{
    uint64_t had = atomic_load(&g->retry_credit);
    while (had < FH_RETRY_CREDIT_MAX && !atomic_compare_exchange_weak(&g->retry_credit, &had, had + 1)) continue;
}

static bool may_go_on(const fh_exchange *x)
{
    return !x->streaming || !fh_sent_any(&x->sent) || fh_sent_resume(&x->sent, x->route.resume) != FH_RESUME_NEVER;
}

static void say_what_broke(fh_exchange *x, const fh_err *why)
{
    fh_err_free(x->broken);
    x->broken = NULL;
    fh_err_set(&x->broken, FH_E_UPSTREAM, "the engine broke %s: %s", x->streaming ? "in the middle of the answer" : "before it answered",
               why ? fh_err_message(why) : "it replied with an error");
    fh_err_hint(&x->broken, "`freehold events %s` tells what happened to it", x->route.deployment);
}

/* Ask again from the loop: what it is called from may be the call's own callback. */
static void step(void *arg)
{
    fh_exchange *x = arg;
    if (x->upstream_error)
        stop_listening(x);
    else
        choose(x);
}

static void step_later(fh_exchange *x, int64_t delay_ns)
{
    fh_err *err = NULL;
    if (!x->timer && fh_timer_new(&x->timer, x->lane->loop, step, x, &err)) {
        fail(x, err);
        return;
    }
    fh_timer_start(x->timer, delay_ns);
}

/* Nothing of it reached the client. */
static void forget_beginning(fh_exchange *x)
{
    fh_sent_fini(&x->sent);
    fh_sent_init(&x->sent);
    fh_wire_writer_free(x->writer);
    x->writer = NULL;
    x->reply_id[0] = '\0';
}

static void broke(fh_exchange *x, const fh_err *why)
{
    fh_gateway *g = x->gateway;
    if (x->timer) fh_timer_stop(x->timer);
    leave_upstream(x, FH_OUTCOME_FAILED);
    g->config.routes.report(g->config.routes.ctx, x->route.deployment, FH_E_UPSTREAM);
    say_what_broke(x, why);
    if (x->streaming && x->sent.finished) { /* all of the answer is there, only its end was lost */
        fh_exchange_end_stream(x);
        finish(x);
        return;
    }
    if (x->tries + 1 >= FH_LIMIT_TRIES || !may_go_on(x) || !(x->streaming || spend_retry(g))) {
        fail(x, fh_take(x->broken));
        return;
    }
    x->tried[x->tries++] = replica_id(x->route.deployment, x->route.instance);
    x->replace_until_ns = fh_clock_mono_ns() + REPLACE_WAIT_NS;
    if (!x->streaming) forget_beginning(x);
    x->resumed |= x->streaming;
    x->lane->metrics.retried++;
    x->lane->metrics.resumed += x->streaming;
    choose(x);
}

/* The stream sent an error, or what is no stream: the call is over for us. */
static void stop_listening(fh_exchange *x)
{
    FH_AUTO(fh_err) fh_err *why = fh_take(x->upstream_error);
    if (x->call) fh_http_call_cancel(x->call);
    x->call = NULL;
    broke(x, why);
}

/* ---- calling ---- */

static void keep_header(char *out, size_t out_size, const fh_header *headers, size_t count, const char *name)
{
    fh_str v = fh_headers_find(headers, count, name);
    if (v.len < out_size) snprintf(out, out_size, "%.*s", (int)v.len, v.ptr ? v.ptr : "");
}

static void got_headers(void *arg, int status, const fh_header *headers, size_t count)
{
    fh_exchange *x = arg;
    x->status = status;
    keep_header(x->type, sizeof x->type, headers, count, "content-type");
    keep_header(x->retry_after, sizeof x->retry_after, headers, count, "retry-after");
}

static bool got_data(void *arg, const void *data, size_t bytes)
{
    fh_exchange *x = arg;
    if (x->upstream_error || !fh_buf_add(&x->in, data, bytes)) return true; /* judged at the end: the buffer remembers */
    if (!fh_exchange_is_stream(x)) return true;
    x->paused = !fh_exchange_take_events(x);
    return !x->paused;
}

/* A refusal of our own key for the upstream is not the client's affair. */
static bool upstream_broke(const fh_exchange *x, int status)
{
    bool our_key = x->route.secret[0] && (status == 401 || status == 403);
    return status == 0 || our_key || (status >= 500 && status != 501);
}

static void stream_done(fh_exchange *x, const fh_err *why)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    if (x->upstream_error)
        why = x->upstream_error;
    else if (x->end_seen)
        why = NULL;
    else if (!why && fh_buf_check(&x->in, &err, "one event of the stream"))
        why = err;
    else if (!why) {
        fh_err_set(&err, FH_E_UPSTREAM, "it ended too early");
        why = err;
    }
    if (why) {
        broke(x, why);
        return;
    }
    leave_upstream(x, FH_OUTCOME_GOOD);
    fh_exchange_end_stream(x);
    finish(x);
}

static void plain_done(fh_exchange *x)
{
    fh_err *err = NULL;
    leave_upstream(x, x->status == 429 ? FH_OUTCOME_FAILED : FH_OUTCOME_GOOD);
    if (fh_buf_check(&x->in, &err, "the engine's reply")) {
        fail(x, err);
        return;
    }
    x->failed = x->status >= 400;
    fh_exchange_send_plain(x);
    finish(x);
}

static void call_done(void *arg, int status, const fh_err *why)
{
    fh_exchange *x = arg;
    x->call = NULL;
    if (fh_exchange_is_stream(x))
        stream_done(x, why);
    else if (upstream_broke(x, status) || (x->streaming && status != 200))
        broke(x, why);
    else
        plain_done(x);
}

static int add_auth(const fh_exchange *x, fh_header *headers, size_t *count, fh_buf *text, fh_err **err)
{
    bool anthropic = x->route.dialect == FH_DIALECT_MESSAGES;
    if (anthropic) headers[(*count)++] = (fh_header){FH_STR("anthropic-version"), FH_STR("2023-06-01")};
    if (!x->route.secret[0]) return 0;
    if (!anthropic) fh_buf_adds(text, "Bearer ");
    fh_buf_adds(text, x->route.secret);
    headers[(*count)++] = (fh_header){anthropic ? FH_STR("x-api-key") : FH_STR("Authorization"), {fh_buf_cstr(text), text->len}};
    return fh_buf_check(text, err, "the upstream's key");
}

/* Own engines also get the salt, and say which tokens an event holds. */
static size_t add_own(const fh_exchange *x, fh_header *headers, size_t count)
{
    if (!x->route.own_engine) return count;
    headers[count++] = (fh_header){FH_STR("x-freehold-salt"), fh_str_of(x->salt)};
    if (x->wants_stream) headers[count++] = (fh_header){FH_STR("x-freehold-tokens"), FH_STR("1")};
    return count;
}

static int call(fh_exchange *x, fh_str body, fh_err **err)
{
    char url[512];
    fh_str path = x->dialect == FH_DIALECTS ? fh_http_req_path(x->req) : fh_str_of(fh_ask_path(x->dialect, x->route.dialect, x->counting));
    snprintf(url, sizeof url, "%s%.*s", x->route.base_url, (int)FH_MIN(path.len, (size_t)200), path.ptr);
    FH_AUTO(buf) fh_buf auth = FH_BUF(1024);
    fh_header headers[8] = {{FH_STR("Content-Type"), FH_STR("application/json")},
                            {FH_STR("x-request-id"), fh_str_of(fh_http_req_id(x->req))}};
    size_t count = add_own(x, headers, 2);
    int rc = add_auth(x, headers, &count, &auth, err);
    fh_http_call_spec spec = {
        .method = "POST",
        .url = url,
        .unix_path = x->route.unix_path[0] ? x->route.unix_path : NULL,
        .headers = headers,
        .header_count = count,
        .body = body,
        .on_headers = got_headers,
        .on_data = got_data,
        .on_done = call_done,
        .arg = x,
    };
    if (rc == 0) rc = fh_http_call_start(&x->call, x->lane->client, &spec, err);
    if (auth.data) explicit_bzero(auth.data, auth.len);
    return rc;
}

static void forget_reply(fh_exchange *x)
{
    x->status = 0;
    x->type[0] = x->retry_after[0] = '\0';
    x->begun = x->end_seen = x->stalled = false;
    x->first_text = x->resumed;
    fh_buf_clear(&x->in);
    x->in.max = x->wants_stream ? (size_t)FH_LIMIT_SSE_EVENT_BYTES : (size_t)FH_LIMIT_JSON_BODY_BYTES;
    fh_err_free(x->upstream_error);
    x->upstream_error = NULL;
}

static int read_again(fh_exchange *x, fh_err **err)
{
    return x->ask.common.doc ? 0 : fh_ask_read(&x->ask, x->dialect, x->counting, fh_http_req_body(x->req), err);
}

static int send(fh_exchange *x, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(3u * FH_LIMIT_JSON_BODY_BYTES);
    forget_reply(x);
    if (x->dialect == FH_DIALECTS) return call(x, fh_http_req_body(x->req), err);
    int rc = read_again(x, err);
    uint64_t seed = x->route.resume == FH_RESUME_TOKENS ? x->seed : 0;
    if (rc == 0) rc = fh_ask_write(&x->ask, &x->route, seed, x->streaming ? &x->sent : NULL, &text, err);
    if (rc == 0) rc = fh_exchange_listen(x, err);
    if (rc == 0) rc = call(x, (fh_str){fh_buf_cstr(&text), text.len}, err);
    if (rc == 0 && !x->ask.original) fh_ask_fini(&x->ask);
    return rc;
}

/* ---- choosing ---- */

static bool suits(const fh_exchange *x, const fh_candidate *c)
{
    if (was_tried(x, replica_id(c->deployment, c->instance)) || c->trust > x->trust) return false;
    if (x->dialect == FH_DIALECTS) return c->own_engine; /* only ours has these paths */
    if (c->dialect != FH_DIALECT_MESSAGES && (x->ask.native || (x->counting && !c->own_engine))) return false;
    if (!fh_ask_fits(x->dialect, c->dialect) || (x->needs & ~c->can)) return false;
    return !x->streaming || !fh_sent_any(&x->sent) || fh_sent_resume(&x->sent, c->resume) != FH_RESUME_NEVER;
}

typedef struct picking {
    fh_exchange *x;
    bool beyond_trust, cannot; /* why some did not suit */
    uint32_t can;
} picking;

static void note_why_not(picking *p, const fh_candidate *c)
{
    p->beyond_trust |= c->trust > p->x->trust;
    p->cannot |= (p->x->needs & ~c->can) != 0;
    p->can |= c->can;
}

static size_t pick(void *arg, const fh_candidate *list, size_t count)
{
    picking *p = arg;
    fh_option options[FH_CANDIDATES_MAX];
    size_t index[FH_CANDIDATES_MAX], n = 0;
    int64_t now = fh_clock_mono_ns();
    for (size_t i = 0; i < count && i < FH_CANDIDATES_MAX; i++) {
        const fh_candidate *c = &list[i];
        if (!suits(p->x, c)) {
            note_why_not(p, c);
            continue;
        }
        fh_upstreams_look(p->x->gateway->upstreams, c->deployment, c->instance, now, &options[n]);
        if (p->x->prefix)
            options[n].matched = fh_prefixes_match(p->x->gateway->prefixes, p->x->prefix, replica_id(c->deployment, c->instance));
        options[n].price = (double)c->in_nusd + (double)c->out_nusd;
        options[n].energy = (double)c->token_uj;
        index[n++] = i;
    }
    if (n == 0) return count;
    uint32_t random[2];
    fh_random_bytes(random, sizeof random, NULL);
    return index[fh_choose(options, n, p->x->prefer, random, &p->x->reason)];
}

/* What to say when there are replicas and none of them suits. */
static int none_suits(const picking *p, fh_err **err)
{
    fh_exchange *x = p->x;
    if (x->ask.native) {
        fh_err_move(err, &x->ask.native);
        return fh_err_code(*err);
    }
    if (p->cannot && fh_ask_fits(x->dialect, FH_DIALECT_CHAT) && x->ask.common.doc && fh_wire_needs_check(&x->ask.common, p->can, err))
        return fh_err_code(*err);
    if (!p->beyond_trust) return 0;
    fh_err_set(err, FH_E_FORBIDDEN, "every replica of the model is beyond the trust '%s' that this request allows",
               fh_trust_name(x->trust));
    fh_err_hint(err, "run the model on a place of your own, or allow more with x-freehold-trust");
    return FH_E_FORBIDDEN;
}

static void chosen(fh_exchange *x)
{
    fh_err *err = NULL;
    int64_t now = fh_clock_mono_ns();
    size_t used = strlen(x->route.reason);
    snprintf(x->route.reason + used, sizeof x->route.reason - used, "; %s", fh_choice_text(x->reason));
    x->upstream = fh_upstreams_begin(x->gateway->upstreams, x->route.deployment, x->route.instance, x->expect_tok, now);
    x->call_ns = x->event_ns = now;
    if (x->prefix) fh_prefixes_note(x->gateway->prefixes, x->prefix, replica_id(x->route.deployment, x->route.instance));
    int rc = x->upstream ? send(x, &err) : fh_err_nomem(&err);
    if (rc) fail(x, err);
}

static void choose(fh_exchange *x)
{
    fh_err *err = NULL;
    const fh_route_port *routes = &x->gateway->config.routes;
    picking p = {.x = x};
    fh_route route = {0};
    int rc = routes->choose(routes->ctx, fh_str_of(x->model), pick, &p, &route, &err);
    if (rc == 0) {
        x->route = route;
        explicit_bzero(route.secret, sizeof route.secret);
        chosen(x);
        return;
    }
    if (x->tries == 0) {
        fh_err *why = NULL;
        if (none_suits(&p, &why)) fh_err_move(&err, &why);
        fail(x, err);
        return;
    }
    fh_err_free(err);
    if (fh_clock_mono_ns() < x->replace_until_ns)
        step_later(x, REPLACE_POLL_NS);
    else
        fail(x, fh_take(x->broken));
}

/* ---- silence ---- */

static void is_silent(fh_exchange *x, int64_t now_ns)
{
    if (!x->call || x->paused || !x->wants_stream || x->upstream_error || !x->upstream) return;
    int64_t silence = now_ns - x->event_ns;
    if (silence < fh_upstream_stall_ns(x->upstream, x->begun)) return;
    fh_err_set(&x->upstream_error, FH_E_TIMEOUT, "it said nothing for %.1f s", (double)silence / 1e9);
    x->lane->metrics.stalled++;
    step_later(x, 0);
}

void fh_exchanges_watch(fh_lane *lane)
{
    int64_t now = fh_clock_mono_ns();
    for (fh_exchange *x = lane->open, *next; x; x = next) {
        next = x->next;
        is_silent(x, now);
    }
}

void fh_exchange_stop_reading(fh_exchange *x)
{
    step_later(x, 0);
}

/* ---- beginning ---- */

/* How long a prompt takes tells whether somebody sent its beginning before: so engines reuse what they computed only among requests of
 * one salt, which is made here from the key and a secret, and never taken from the client. */
static int make_salt(const fh_gateway *g, fh_str key_id, char out[33], fh_err **err)
{
    uint8_t digest[32];
    FH_AUTO(buf) fh_buf text = FH_BUF(1024);
    fh_buf_addf(&text, "%s %.*s", g->secret, (int)FH_MIN(key_id.len, (size_t)256), key_id.ptr ? key_id.ptr : "");
    int rc = fh_buf_check(&text, err, "the salt");
    if (rc) return rc;
    if (!fh_sha256((fh_str){text.data, text.len}, digest)) return fh_err_set(err, FH_E_INTERNAL, "SHA-256 is not available");
    for (size_t i = 0; i < 16; i++) snprintf(out + 2 * i, 3, "%02x", digest[i]);
    return 0;
}

static int read_wishes(fh_exchange *x, fh_err **err)
{
    static const char *const words[] = {"balance", "price", "speed", "energy"};
    fh_str prefer = fh_http_req_header(x->req, "x-freehold-prefer"), trust = fh_http_req_header(x->req, "x-freehold-trust");
    x->trust = FH_TRUST_RENTED; /* what the user has or rented */
    for (size_t i = 0; i < FH_COUNT(words); i++)
        if (fh_str_eqs(prefer, words[i])) x->prefer = (fh_prefer)i;
    if (prefer.len && !fh_str_eqs(prefer, words[x->prefer])) {
        fh_err_set(err, FH_E_INVALID, "x-freehold-prefer must be price, speed or energy");
        fh_err_param(err, "x-freehold-prefer");
        return FH_E_INVALID;
    }
    if (trust.len && !fh_trust_parse(trust, &x->trust)) {
        fh_err_set(err, FH_E_INVALID, "x-freehold-trust must be own, rented, named or any");
        fh_err_param(err, "x-freehold-trust");
        return FH_E_INVALID;
    }
    return 0;
}

static int read_ask(fh_exchange *x, fh_str key_id, fh_err **err)
{
    fh_str body = fh_http_req_body(x->req);
    int rc = x->dialect == FH_DIALECT_RESPONSES
                 ? fh_turn_new(&x->turn, &x->ask, x->gateway->config.responses, !x->counting, fh_http_req_id(x->req), key_id, body, err)
                 : fh_ask_read(&x->ask, x->dialect, x->counting, body, err);
    if (rc) return rc;
    const fh_wire_request *r = &x->ask.common;
    int64_t max = r->sampling.max_tokens;
    x->wants_stream = r->stream && !x->counting;
    x->include_usage = r->include_usage;
    x->needs = r->needs;
    x->expect_tok = fh_http_req_body(x->req).len / BYTES_PER_TOK + (uint64_t)(max > 0 ? max : EXPECT_REPLY_TOK);
    if (x->wants_stream) rc = fh_random_bytes(&x->seed, sizeof x->seed, err);
    x->seed = (x->seed >> 16) | 1; /* exact as a JSON number everywhere */
    if (r->model.len >= sizeof x->model) return fh_err_set(err, FH_E_NOT_FOUND, "there is no model with a name of %zu bytes", r->model.len);
    memcpy(x->model, r->model.ptr, r->model.len);
    return rc;
}

static int know_prefix(fh_exchange *x, fh_err **err)
{
    fh_prefix *p = fh_alloc(sizeof *p);
    if (!p) return fh_err_nomem(err);
    fh_prefix_of(p, x->salt, &x->ask.common);
    if (p->count) {
        fh_prefix *fitted = fh_realloc_array(p, 1, offsetof(fh_prefix, blocks) + p->count * sizeof *p->blocks);
        x->prefix = fitted ? fitted : p;
    } else
        fh_free(p);
    return 0;
}

/* How long until a bucket is full again, as OpenAI writes it: 12ms, 6s, 1m30s. */
static void add_reset(fh_http_req *req, const char *name, int64_t ns)
{
    char text[32];
    int64_t ms = ns / FH_NS_PER_MS, s = ms / 1000;
    if (ms < 1000)
        snprintf(text, sizeof text, "%lldms", (long long)ms);
    else if (s < 60)
        snprintf(text, sizeof text, "%llds", (long long)s);
    else
        snprintf(text, sizeof text, "%lldm%llds", (long long)(s / 60), (long long)(s % 60));
    fh_http_reply_header(req, name, text);
}

static void add_number(fh_http_req *req, const char *name, uint64_t n)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)n);
    fh_http_reply_header(req, name, text);
}

static void add_limit_headers(fh_http_req *req, const fh_limit_state *s)
{
    if (s->limits.requests_per_min) {
        add_number(req, "x-ratelimit-limit-requests", s->limits.requests_per_min);
        add_number(req, "x-ratelimit-remaining-requests", s->requests_left);
        add_reset(req, "x-ratelimit-reset-requests", s->requests_full_ns);
    }
    if (s->limits.tok_per_min) {
        add_number(req, "x-ratelimit-limit-tokens", s->limits.tok_per_min);
        add_number(req, "x-ratelimit-remaining-tokens", s->tok_left);
        add_reset(req, "x-ratelimit-reset-tokens", s->tok_full_ns);
    }
}

static int keep_within_limits(fh_exchange *x, const fh_key *key, fh_err **err)
{
    fh_limit_state state;
    int64_t retry_ns;
    int rc = fh_limits_begin(x->gateway->limits, key->id, &key->limits, x->expect_tok, fh_clock_mono_ns(), &state, &retry_ns, err);
    x->counted = rc == 0;
    add_limit_headers(x->req, &state);
    if (rc) {
        add_number(x->req, "retry-after-ms", (uint64_t)(retry_ns / FH_NS_PER_MS) + 1);
        x->lane->metrics.limited++;
    }
    return rc;
}

static fh_exchange *exchange_new(fh_gateway *g, fh_http_req *req, fh_operation op, fh_wire_dialect d)
{
    fh_exchange *x = fh_calloc(1, sizeof *x);
    if (!x) return NULL;
    *x = (fh_exchange){.gateway = g,
                       .lane = fh_gateway_lane(g, req),
                       .req = req,
                       .op = op,
                       .dialect = d,
                       .counting = op == FH_OP_COUNT_TOKENS,
                       .start_ns = fh_clock_mono_ns(),
                       .created_s = fh_clock_utc_ns() / FH_NS_PER_S};
    fh_sent_init(&x->sent);
    link_to_lane(x);
    return x;
}

void fh_exchange_start(fh_gateway *g, fh_http_req *req, const fh_key *key, fh_operation op, fh_wire_dialect d, fh_str model)
{
    fh_err *err = NULL;
    fh_exchange *x = exchange_new(g, req, op, d);
    if (!x) {
        fh_err_nomem(&err);
        fh_gateway_reply_error(req, err);
        fh_err_free(err);
        return;
    }
    snprintf(x->key_id, sizeof x->key_id, "%s", key->id);
    int rc = d == FH_DIALECTS ? 0 : read_ask(x, fh_str_of(key->id), &err);
    if (d == FH_DIALECTS) snprintf(x->model, sizeof x->model, "%.*s", (int)FH_MIN(model.len, sizeof x->model - 1), model.ptr);
    if (!rc) rc = read_wishes(x, &err);
    if (!rc) rc = make_salt(g, fh_str_of(key->id), x->salt, &err);
    if (!rc && d != FH_DIALECTS) rc = know_prefix(x, &err);
    if (!rc) rc = keep_within_limits(x, key, &err);
    if (rc) {
        fail(x, err);
        return;
    }
    earn_retry(g);
    fh_http_req_on_gone(req, client_gone, x);
    choose(x);
}
