/* What an exchange shares with others: an answer that was kept, or a flight (flight.h), which it follows and another exchange leads (see
 * exchange.h). */
#include "exchange.h"

#include "ask_key.h"
#include "exchange_model.h"
#include <stdio.h>
#include <string.h>

enum { PIECE_BYTES = 65536 }; /* that a follower takes at once */

const char *fh_cache_state_name(fh_cache_state s)
{
    static const char *const names[FH_CACHE_STATES] = {"off", "miss", "hit", "hit"};
    return names[s];
}

/* ---- what the request wishes ---- */

/* Is the directive in a list like "no-cache, max-age=0"? */
static bool has_directive(fh_str list, const char *name)
{
    while (list.len) {
        const char *comma = memchr(list.ptr, ',', list.len);
        fh_str one = {list.ptr, comma ? (size_t)(comma - list.ptr) : list.len};
        if (fh_str_ieq(fh_str_trim(one), fh_str_of(name))) return true;
        size_t used = one.len + (comma ? 1 : 0);
        list = (fh_str){list.ptr + used, list.len - used};
    }
    return false;
}

int fh_exchange_read_cache(fh_exchange *x, fh_err **err)
{
    size_t count;
    const fh_header *h = fh_http_req_headers(x->req, &count);
    fh_str wish = fh_http_req_header(x->req, "x-freehold-cache");
    if (wish.ptr && !fh_str_eqs(wish, "off")) {
        fh_err_set(err, FH_E_INVALID, "x-freehold-cache must be off, or left out");
        fh_err_param(err, "x-freehold-cache");
        return FH_E_INVALID;
    }
    if (wish.ptr) x->cache_wish = FH_CACHE_NEVER;
    for (size_t i = 0; i < count; i++) {
        if (!fh_str_ieq(h[i].name, FH_STR("cache-control"))) continue;
        if (has_directive(h[i].value, "no-store"))
            x->cache_wish = FH_CACHE_NEVER;
        else if (x->cache_wish == FH_CACHE_USE && (has_directive(h[i].value, "no-cache") || has_directive(h[i].value, "max-age=0")))
            x->cache_wish = FH_CACHE_FRESH;
    }
    return 0;
}

/* ---- followers ---- */

static void take_head(fh_exchange *x, const fh_answer_head *h)
{
    memcpy(x->route.deployment, h->deployment, sizeof x->route.deployment);
    memcpy(x->route.model, h->model, sizeof x->route.model);
    memcpy(x->route.place, h->place, sizeof x->route.place);
    memcpy(x->route.reason, h->reason, sizeof x->route.reason);
    memcpy(x->route.others, h->others, sizeof x->route.others);
}

static void take_used(fh_exchange *x, const fh_used *u)
{
    x->shared = *u;
    x->has_shared = true;
}

/* The replicas that were asked are told of the request that they were first asked for. */
static void take_end(fh_exchange *x, const fh_flight_end *e)
{
    x->failed = e->failed;
    x->status = e->status;
    x->seen.code = e->code;
    x->seen.finished = e->finished;
    x->seen.finish = e->finish;
    take_used(x, &e->used);
    if (x->cache != FH_CACHE_MISS) return;
    x->seen.attempt_count = e->attempt_count;
    memcpy(x->seen.attempts, e->attempts, sizeof x->seen.attempts);
}

/* An event of the Responses API has a number that only its leader knows: there the connection is cut instead. */
static void fall_out(fh_exchange *x)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    x->failed = true;
    x->seen.code = fh_err_set(&err, FH_E_UNAVAILABLE, "the answer was read too slowly, and is shared with others who do not wait");
    fh_err_hint(&err, "ask again, with x-freehold-cache: off for a call of your own");
    if (!x->streaming)
        fh_exchange_send_error(x, err);
    else if (x->dialect == FH_DIALECT_RESPONSES)
        fh_http_reply_abort(x->req);
    else
        fh_exchange_cut(x, err);
    fh_exchange_finish(x);
}

/* What is shared is the same for all; what it used, and what it costs, is said to each. */
static bool write_shared(fh_exchange *x, fh_str events)
{
    fh_flight_view now;
    FH_AUTO(buf) fh_buf out = FH_BUF(2u * FH_LIMIT_JSON_BODY_BYTES);
    if (!fh_exchange_tells_usage(x)) return fh_http_reply_write(x->req, events.ptr, events.len);
    if (x->seat.flight) {
        fh_seat_look(&x->seat, &now);
        take_used(x, &now.used);
    }
    fh_exchange_add_usage(x, events, &out);
    return fh_http_reply_write(x->req, out.data, out.len);
}

static void take_stream(fh_exchange *x, const fh_flight_view *v)
{
    if (!x->streaming) fh_exchange_stream(x);
    for (bool more = true; more && !x->paused;) {
        FH_AUTO(buf) fh_buf piece = FH_BUF(2u * FH_LIMIT_JSON_BODY_BYTES);
        more = fh_seat_read(&x->seat, PIECE_BYTES, &piece);
        if (more) x->paused = !write_shared(x, (fh_str){piece.data, piece.len});
    }
    if (x->paused || !v->end) return;
    take_end(x, v->end);
    fh_exchange_learn(x);
    fh_http_reply_end(x->req);
    fh_exchange_finish(x);
}

static void take_whole(fh_exchange *x, const fh_flight_view *v)
{
    const fh_flight_end *e = v->end;
    take_end(x, e);
    if (e->retry_after[0]) fh_http_reply_header(x->req, "Retry-After", e->retry_after);
    if (e->no_retry && (e->err || e->status >= 400)) fh_http_reply_header(x->req, "x-should-retry", "false");
    if (e->err)
        fh_exchange_send_error(x, e->err);
    else
        fh_exchange_give(x, v->head.type, fh_seat_body(&x->seat));
    fh_exchange_finish(x);
}

void fh_exchange_follow(fh_exchange *x)
{
    fh_flight_view v;
    if (!x->seat.flight || fh_exchange_leads(x) || x->paused) return;
    fh_seat_look(&x->seat, &v);
    if (v.started) take_head(x, &v.head);
    if (v.lost)
        fall_out(x);
    else if (v.started && v.head.stream)
        take_stream(x, &v);
    else if (v.end)
        take_whole(x, &v);
}

static void follower_woken(void *arg)
{
    fh_exchange_follow(arg);
}

/* ---- leaders ---- */

static fh_answer_head head_of(const fh_exchange *x, bool stream, const char *type)
{
    fh_answer_head h = {.stream = stream};
    snprintf(h.type, sizeof h.type, "%s", type);
    memcpy(h.deployment, x->route.deployment, sizeof h.deployment);
    memcpy(h.model, x->route.model, sizeof h.model);
    memcpy(h.place, x->route.place, sizeof h.place);
    memcpy(h.reason, x->route.reason, sizeof h.reason);
    memcpy(h.others, x->route.others, sizeof h.others);
    return h;
}

void fh_exchange_lead_stream(fh_exchange *x)
{
    fh_answer_head h = head_of(x, true, fh_wire_content_type(true));
    fh_flight_start(&x->seat, &h);
}

void fh_exchange_lead_whole(fh_exchange *x, const char *type, fh_str body)
{
    fh_answer_head h = head_of(x, false, type);
    fh_flight_start(&x->seat, &h);
    fh_used used = fh_exchange_used(x);
    fh_flight_write(&x->seat, body.ptr, body.len, &used);
    fh_exchange_land(x, NULL);
}

/* Good, whole, ended by itself or by its length, and from where it was asked for. One that was moved in the middle may differ from what
 * one replica says at the next near-tie. */
static bool may_be_kept(const fh_exchange *x)
{
    bool whole = x->status == 200 && x->end_seen && x->finishes && !(x->finishes & 1u << FH_FINISH_CONTENT_FILTER);
    return whole && !x->failed && !x->resumed && strcmp(x->route.identity, x->shared_as) == 0;
}

void fh_exchange_land(fh_exchange *x, fh_err *err)
{
    fh_flight_end e = {.status = x->status,
                       .no_retry = x->tries > 0,
                       .failed = x->failed || err,
                       .keep = !err && may_be_kept(x),
                       .err = err,
                       .code = err ? fh_err_code(err) : x->seen.code,
                       .finished = x->seen.finished,
                       .finish = x->seen.finish,
                       .used = fh_exchange_used(x),
                       .attempt_count = x->seen.attempt_count};
    memcpy(e.attempts, x->seen.attempts, sizeof e.attempts);
    memcpy(e.retry_after, x->retry_after, sizeof e.retry_after);
    fh_flight_land(&x->seat, &e);
}

void fh_exchange_lead_error(fh_exchange *x, const fh_err *why)
{
    fh_err *err = NULL;
    fh_err_set(&err, fh_err_code(why), "%s", fh_err_message(why));
    if (fh_err_hint_get(why)) fh_err_hint(&err, "%s", fh_err_hint_get(why));
    if (fh_err_param_get(why)) fh_err_param(&err, "%s", fh_err_param_get(why));
    if (fh_err_reason_get(why)) fh_err_reason(&err, fh_err_reason_get(why));
    fh_exchange_land(x, err);
}

static void leader_woken(void *arg)
{
    fh_exchange *x = arg;
    if (!fh_flight_wanted(&x->seat))
        fh_exchange_abandon(x);
    else if (x->paused)
        fh_exchange_drained(x);
}

void fh_exchange_unshare(fh_exchange *x)
{
    fh_err *err = NULL;
    if (!fh_exchange_leads(x)) {
        x->charged_tok += fh_seat_leave(&x->seat);
        return;
    }
    if (!x->seat.flight) return;
    fh_err_set(&err, FH_E_CANCELLED, "the call that was to answer this and others was given up");
    fh_exchange_land(x, err);
}

bool fh_exchange_write(fh_exchange *x, const fh_buf *out)
{
    if (!fh_exchange_leads(x)) return fh_http_reply_write(x->req, out->data, out->len);
    fh_used used = fh_exchange_used(x);
    return fh_flight_write(&x->seat, out->data, out->len, &used);
}

/* ---- sharing ---- */

/* Each kept response is a thing of its own, with its id. */
static bool may_share(const fh_exchange *x)
{
    bool open = x->choice && (fh_rules_bound(&x->rules) || fh_exchange_escalated(x));
    bool wanted = !open && x->gateway->flights && x->cache_wish != FH_CACHE_NEVER && !x->counting && !x->most_tok && x->route.identity[0];
    return wanted && fh_ask_fixed(&x->ask) && !(x->turn && fh_turn_keeps(x->turn));
}

/* Keys that share have the same reach: where a call is moved, each of them might have gone. So have requests that leave the model open:
 * only those that ask for the same group share. */
static bool key_of(const fh_exchange *x, uint8_t ret[FH_ANSWER_KEY_BYTES])
{
    char reach[64 + FH_LIMIT_KEY_MODELS_BYTES], salt[sizeof reach + sizeof x->model + 16];
    snprintf(reach, sizeof reach, "shared, %s: %s", fh_key_may(&x->key, FH_SCOPE_SPEND) ? "may spend" : "free", x->key.models);
    snprintf(salt, sizeof salt, "%s%s%s", x->gateway->config.share_answers ? reach : x->salt, x->choice ? ", one of " : "",
             x->choice ? x->model : "");
    fh_asker who = {.salt = salt,
                    .identity = x->route.identity,
                    .trust = x->rules.trust,
                    .key_trust = x->rules.key_trust,
                    .regions = x->rules.regions,
                    .own_engine = x->route.own_engine};
    return fh_ask_key(&x->ask, &who, ret);
}

static void give_kept(fh_exchange *x, fh_answer *a)
{
    x->cache = FH_CACHE_KEPT;
    x->status = 200;
    x->lane->metrics.cached_tok += fh_used_tok(&a->used);
    take_head(x, &a->head);
    take_used(x, &a->used);
    x->seen.finished = true;
    x->seen.finish = a->finish;
    if (a->head.stream) {
        fh_exchange_stream(x);
        write_shared(x, (fh_str){a->body, a->len});
        fh_exchange_learn(x);
        fh_http_reply_end(x->req);
    } else
        fh_exchange_give(x, a->head.type, (fh_str){a->body, a->len});
    fh_answer_leave(a);
    fh_exchange_finish(x);
}

/* It needs no more of its request than an error event may say of it. */
static void join(fh_exchange *x)
{
    fh_json *original = fh_json_ref(x->ask.original);
    x->cache = FH_CACHE_JOINED;
    fh_ask_fini(&x->ask);
    x->ask = (fh_ask){.dialect = x->dialect, .original = original};
}

/* An exchange that asks for x and those who join it. */
static fh_exchange *lead(fh_exchange *x)
{
    fh_flight *f = x->seat.flight;
    fh_exchange *leader = fh_exchange_fork(x);
    x->cache = FH_CACHE_MISS;
    if (leader) {
        leader->seat = (fh_seat){.loop = x->lane->loop, .wake = leader_woken, .arg = leader};
        fh_flight_seat_leader(&leader->seat, f);
        return leader;
    }
    fh_flight_end e = {.failed = true};
    fh_seat nobody = {.loop = x->lane->loop};
    e.code = fh_err_nomem(&e.err);
    fh_flight_seat_leader(&nobody, f);
    fh_flight_land(&nobody, &e);
    return NULL;
}

fh_exchange *fh_exchange_share(fh_exchange *x)
{
    uint8_t key[FH_ANSWER_KEY_BYTES];
    fh_answer *kept = NULL;
    if (fh_exchange_leads(x) || x->tries || !may_share(x) || !key_of(x, key)) return x;
    x->seat = (fh_seat){.loop = x->lane->loop, .wake = follower_woken, .arg = x};
    switch (fh_flights_board(x->gateway->flights, key, x->key.id, x->cache_wish == FH_CACHE_FRESH, &x->seat, &kept)) {
    case FH_BOARDING_KEPT: give_kept(x, kept); return NULL;
    case FH_BOARDING_JOINED: join(x); return NULL;
    case FH_BOARDING_LEADS: return lead(x);
    case FH_BOARDING_ALONE: break;
    }
    return x;
}
