/* The life of one request: choosing a replica, calling it, and trying another when it breaks (see exchange.h). */
#include "exchange.h"

#include "base/limits.h"
#include "exchange_model.h"
#include "gateway/admission.h"
#include "reach.h"
#include "wire/messages.h"
#include "wire/responses.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define REPLACE_WAIT_NS (FH_LIMIT_REPLACE_WAIT_MS * FH_NS_PER_MS)
#define REPLACE_POLL_NS (50 * FH_NS_PER_MS)

static void stop_listening(fh_exchange *x);

/* ---- the lane's open exchanges: a look at all of them every second finds those whose replica is silent ---- */

static void link_to_lane(fh_exchange *x)
{
    x->next = x->lane->open;
    if (x->next) x->next->previous = x;
    x->lane->open = x;
    x->lane->metrics.in_flight += !fh_exchange_leads(x);
}

static void unlink_from_lane(fh_exchange *x)
{
    if (x->previous)
        x->previous->next = x->next;
    else
        x->lane->open = x->next;
    if (x->next) x->next->previous = x->previous;
    x->lane->metrics.in_flight -= !fh_exchange_leads(x);
}

/* ---- ends ---- */

void fh_exchange_leave(fh_exchange *x, fh_outcome outcome)
{
    if (x->upstream) fh_upstream_end(x->upstream, x->expect_tok, outcome, fh_clock_mono_ns());
    fh_seen_left(x, outcome);
    x->upstream = NULL;
    fh_spent used = fh_exchange_spent(x);
    fh_exchange_give_slot(x, used.prompt_tok + used.answer_tok);
}

static void settle(fh_exchange *x)
{
    if (!fh_exchange_settles_later(x)) {
        fh_spent used = fh_exchange_spent(x);
        fh_holds_settle(x->gateway->holds, &x->hold, &x->leases, &used);
        fh_exchange_keep_usage(x);
    }
    fh_exchange_count_end(x);
}

static void exchange_free(fh_exchange *x)
{
    fh_exchange_leave(x, FH_OUTCOME_LEFT);
    fh_exchange_unshare(x);
    settle(x);
    fh_free(x->prefix);
    fh_free(x->own_body);
    fh_free(x->repeated);
    fh_exchange_choice_free(x->choice);
    fh_judge_free(x->judge);
    fh_exchange_hold(x, 0);
    unlink_from_lane(x);
    fh_timer_free(x->timer);
    fh_ask_fini(&x->ask);
    fh_turn_free(x->turn);
    fh_images_free(x->images);
    fh_wire_reader_free(x->reader);
    fh_wire_forced_free(x->forced);
    fh_wire_writer_free(x->writer);
    fh_sent_fini(&x->sent);
    fh_buf_fini(&x->in);
    fh_buf_fini(&x->out);
    fh_buf_fini(&x->held);
    fh_seen_fini(&x->seen);
    fh_err_free(x->broken);
    fh_err_free(x->upstream_error);
    explicit_bzero(x->route.secret, sizeof x->route.secret);
    fh_free(x);
}

/* The reply has ended. */
void fh_exchange_finish(fh_exchange *x)
{
    fh_seen_end(x, false);
    x->lane->metrics.wasted_tok += fh_exchange_wasted_tok(x);
    exchange_free(x);
}

void fh_exchange_name_param(const fh_exchange *x, fh_err **err)
{
    if (x->turn)
        fh_wire_responses_err(err);
    else if (x->dialect == FH_DIALECT_MESSAGES)
        fh_wire_messages_err(err);
}

void fh_exchange_fail(fh_exchange *x, fh_err *err)
{
    fh_exchange_name_param(x, &err);
    fh_exchange_refuse(x, err);
}

void fh_exchange_refuse(fh_exchange *x, fh_err *err)
{
    if (fh_exchange_falls_back(x)) {
        fh_err_free(err);
        fh_exchange_read_plain(x);
        fh_exchange_give_plain(x);
        fh_exchange_finish(x);
        return;
    }
    x->failed = true;
    x->seen.code = fh_err_code(err);
    if (x->streaming || fh_exchange_held(x)) {
        fh_seen_tally(x, FH_TALLY_CUT);
        fh_exchange_cut(x, err);
    } else {
        if ((x->tries || x->rise_until_ns) && x->req) fh_http_reply_header(x->req, "x-should-retry", "false");
        fh_exchange_send_error(x, err);
    }
    fh_err_free(err);
    fh_exchange_finish(x);
}

void fh_exchange_abandon(fh_exchange *x)
{
    fh_seen_end(x, true);
    if (x->call) fh_http_call_cancel(x->call);
    exchange_free(x);
}

static void client_gone(void *arg)
{
    fh_exchange_abandon(arg);
}

void fh_exchange_drained(void *arg)
{
    fh_exchange *x = arg;
    x->paused = false;
    x->event_ns = fh_clock_mono_ns();
    if (x->call)
        fh_http_call_resume(x->call);
    else
        fh_exchange_follow(x);
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

/* why NULL: its reply was an error, which may say more. */
static void say_what_broke(fh_exchange *x, const fh_err *why)
{
    bool may_say = !why && x->status >= 500 && !x->streaming; /* what refuses our own key may repeat it */
    FH_AUTO(fh_err) fh_err *said = may_say ? fh_exchange_error_said(x) : NULL;
    if (said) why = said;
    fh_err_free(x->broken);
    x->broken = NULL;
    fh_err_set(&x->broken, FH_E_UPSTREAM, "the engine broke %s: %s", x->streaming ? "in the middle of the answer" : "before it answered",
               why ? fh_err_message(why) : "it replied with an error");
    fh_err_hint(&x->broken, "`freehold events %s` tells what happened to it", x->route.deployment);
}

/* From the loop: what it is called from may be the call's own callback. */
static void step(void *arg)
{
    fh_exchange *x = arg;
    if (x->crowded)
        fh_exchange_crowded(x);
    else if (x->upstream_error)
        stop_listening(x);
    else
        fh_exchange_choose(x);
}

void fh_exchange_choose_later(fh_exchange *x, int64_t delay_ns)
{
    fh_err *err = NULL;
    if (!x->timer && fh_timer_new(&x->timer, x->lane->loop, step, x, &err)) {
        fh_exchange_fail(x, err);
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
    if (x->judge) fh_judge_again(x->judge);
    x->reply_id[0] = '\0';
}

void fh_exchange_broke(fh_exchange *x, const fh_err *why)
{
    fh_gateway *g = x->gateway;
    if (x->timer) fh_timer_stop(x->timer);
    fh_exchange_leave(x, FH_OUTCOME_FAILED);
    fh_seen_broke(x, why);
    g->config.routes.report(g->config.routes.ctx, x->route.deployment, FH_E_UPSTREAM);
    say_what_broke(x, why);
    if (x->streaming && x->sent.finished) { /* all of the answer is there, only its end was lost */
        fh_exchange_end_stream(x);
        fh_exchange_finish(x);
        return;
    }
    if (x->tries + 1 >= FH_LIMIT_TRIES || !may_go_on(x) || !(x->streaming || spend_retry(g))) {
        fh_exchange_fail(x, fh_take(x->broken));
        return;
    }
    x->tried[x->tries++] = replica_id(x->route.deployment, x->route.instance);
    x->replace_until_ns = fh_clock_mono_ns() + REPLACE_WAIT_NS;
    if (!x->streaming) forget_beginning(x);
    x->resumed |= x->streaming;
    fh_seen_tally(x, FH_TALLY_RETRIED);
    if (x->streaming) fh_seen_tally(x, FH_TALLY_RESUMED);
    fh_exchange_choose(x);
}

/* The stream sent an error, or what is no stream: the call is over for us. */
static void stop_listening(fh_exchange *x)
{
    FH_AUTO(fh_err) fh_err *why = fh_take(x->upstream_error);
    if (x->call) fh_http_call_cancel(x->call);
    x->call = NULL;
    fh_exchange_broke(x, why);
}

/* ---- choosing ---- */

/* What of the request's needs it has, in its own way or by the form of an answer. */
static uint32_t can(const fh_exchange *x, const fh_candidate *c)
{
    return c->can & FH_NEED_BIT(FORMAT) ? c->can | x->forced_needs : c->can;
}

bool fh_exchange_suits(const fh_exchange *x, const fh_candidate *c)
{
    if (was_tried(x, replica_id(c->deployment, c->instance)) || fh_rules_broken(&x->rules, c)) return false;
    if (!fh_reach_model(&x->key, fh_str_of(x->model), c) || (c->paid && !fh_key_may(&x->key, FH_SCOPE_SPEND))) return false;
    if (x->streaming && strcmp(c->model, x->route.model) != 0) return false; /* another model would go on with another voice */
    if (x->op == FH_OP_EMBED) return c->dialect == FH_DIALECT_CHAT;
    if (x->dialect == FH_DIALECTS) return c->own_engine; /* only ours has these paths */
    if (c->dialect != FH_DIALECT_MESSAGES && x->ask.native) return false;
    if (!fh_ask_fits(x->dialect, c->dialect) || (x->needs & ~can(x, c))) return false;
    return !x->streaming || !fh_sent_any(&x->sent) || fh_sent_resume(&x->sent, c->resume) != FH_RESUME_NEVER;
}

typedef struct picking {
    fh_exchange *x;
    fh_rule broken; /* why some did not suit */
    bool cannot, beyond_scope, no_vectors;
    bool reached; /* some are of a model that the key may use */
    uint32_t can;
    int64_t in_nusd, out_nusd; /* of the dearest */
    bool only_look;            /* none is to be chosen */
    bool lost;                 /* the one whose slot it has is not there any more */
    fh_option options[FH_CANDIDATES_MAX];
    fh_slot_at slots[FH_CANDIDATES_MAX];
    size_t index[FH_CANDIDATES_MAX], count; /* of those that suit: where they stand in the list */
} picking;

static void note_why_not(picking *p, const fh_candidate *c)
{
    p->beyond_scope |= c->paid && !fh_key_may(&p->x->key, FH_SCOPE_SPEND);
    fh_rule broken = fh_rules_broken(&p->x->rules, c);
    if (broken) p->broken = broken;
    p->no_vectors |= p->x->op == FH_OP_EMBED && c->dialect != FH_DIALECT_CHAT;
    p->cannot |= (p->x->needs & ~can(p->x, c)) != 0;
    p->can |= can(p->x, c);
}

static bool is_near(const char *ours, const char *theirs)
{
    return ours && theirs && strcmp(ours, theirs) == 0;
}

static void note_option(picking *p, const fh_candidate *c, size_t i, int64_t now_ns)
{
    uint64_t id = replica_id(c->deployment, c->instance);
    fh_option *o = &p->options[p->count];
    fh_upstreams_look(p->x->gateway->upstreams, c->deployment, c->instance, now_ns, o);
    if (p->x->ask.common.tools) o->failure_rate = FH_MAX(o->failure_rate, o->bad_calls);
    if (p->x->prefix) o->matched = fh_prefixes_match(p->x->gateway->prefixes, p->x->prefix, id);
    o->price = c->priced ? (double)c->in_nusd + (double)c->out_nusd : HUGE_VAL;
    o->energy = (double)c->token_uj;
    o->doubted = c->doubted;
    o->near = is_near(p->x->gateway->config.region, c->region);
    p->in_nusd = FH_MAX(p->in_nusd, c->in_nusd);
    p->out_nusd = FH_MAX(p->out_nusd, c->out_nusd);
    p->slots[p->count] = (fh_slot_at){id, c->at_once};
    p->index[p->count++] = i;
}

static void gather(picking *p, const fh_candidate *list, size_t count)
{
    int64_t now = fh_clock_mono_ns();
    for (size_t i = 0; i < count && i < FH_CANDIDATES_MAX; i++) {
        p->reached |= fh_reach_model(&p->x->key, fh_str_of(p->x->model), &list[i]);
        if (fh_exchange_suits(p->x, &list[i]))
            note_option(p, &list[i], i, now);
        else
            note_why_not(p, &list[i]);
    }
}

static void keep(picking *p, size_t to, size_t from)
{
    p->options[to] = p->options[from];
    p->slots[to] = p->slots[from];
    p->index[to] = p->index[from];
}

static int hope_of(const fh_option *o)
{
    return o->open ? 2 : o->doubted;
}

/* Those that are doubted, and behind them those with an open breaker, are left for when there is no other; and once it has a slot there is
 * only its replica. */
static void drop_hopeless(picking *p)
{
    int best = 2;
    uint64_t holds = 0;
    size_t n = 0;
    if (p->x->slot) fh_slot_look(p->x->slot, &holds);
    for (size_t i = 0; i < p->count; i++) best = FH_MIN(best, hope_of(&p->options[i]));
    for (size_t i = 0; i < p->count; i++)
        if (holds ? p->slots[i].replica == holds : hope_of(&p->options[i]) == best) keep(p, n++, i);
    p->lost = holds && n == 0;
    p->count = n;
}

/* Where the request leaves the model open, those of one stay: of the one that is chosen now, or was when it began to wait. */
static void keep_one_model(picking *p, const fh_candidate *list)
{
    fh_exchange *x = p->x;
    if (p->count == 0 || !list[p->index[0]].open || x->dialect == FH_DIALECTS) return;
    const char *arm = p->only_look || x->slot ? fh_exchange_model_now(x) : fh_exchange_model(x, list, p->index, p->options, p->count);
    size_t n = 0;
    for (size_t i = 0; arm && i < p->count; i++)
        if (strcmp(list[p->index[i]].arm, arm) == 0) keep(p, n++, i);
    if (arm) p->count = n;
}

/* Among those with room, where any has; what is chosen comes to the front. */
static void choose_one(picking *p)
{
    fh_option some[FH_CANDIDATES_MAX];
    size_t which[FH_CANDIDATES_MAX] = {0}, n = 0;
    int64_t now = fh_clock_mono_ns();
    uint32_t random[2];
    for (size_t i = 0; i < p->count; i++)
        if (p->x->slot || fh_slots_room(p->x->gateway->slots, p->slots[i], now)) which[n++] = i;
    if (n == 0)
        for (; n < p->count; n++) which[n] = n;
    for (size_t i = 0; i < n; i++) some[i] = p->options[which[i]];
    fh_random_bytes(random, sizeof random, NULL);
    size_t chosen = which[fh_choose(some, n, p->x->prefer, random, &p->x->reason)], index = p->index[chosen];
    fh_slot_at slot = p->slots[chosen];
    keep(p, chosen, 0);
    p->slots[0] = slot;
    p->index[0] = index;
}

static size_t pick(void *arg, const fh_candidate *list, size_t count)
{
    picking *p = arg;
    gather(p, list, count);
    fh_options_eject(p->options, p->count);
    drop_hopeless(p);
    keep_one_model(p, list);
    if (p->count == 0 || p->only_look) return count;
    choose_one(p);
    const fh_candidate *c = &list[p->index[0]];
    snprintf(p->x->pool, sizeof p->x->pool, "%s", c->own_engine ? c->model : c->deployment);
    p->x->price = (fh_price){c->priced, c->in_nusd, c->out_nusd, c->token_uj};
    return p->index[0];
}

static void only_look(fh_exchange *x, picking *p)
{
    const fh_route_port *routes = &x->gateway->config.routes;
    fh_route route = {0};
    *p = (picking){.x = x, .only_look = true};
    routes->choose(routes->ctx, fh_str_of(x->model), pick, p, &route, NULL);
}

size_t fh_exchange_places(fh_exchange *x, fh_slot_at *ret, size_t max)
{
    picking p;
    only_look(x, &p);
    size_t n = FH_MIN(p.count, max);
    memcpy(ret, p.slots, n * sizeof *ret);
    return n;
}

void fh_exchange_price(fh_exchange *x, int64_t *ret_in_nusd, int64_t *ret_out_nusd)
{
    picking p;
    only_look(x, &p);
    *ret_in_nusd = p.in_nusd;
    *ret_out_nusd = p.out_nusd;
}

/* None of what it asks for is on the list of its key: said alike of what runs, what does not, and what there is not. */
static bool beyond_list(const picking *p)
{
    const fh_route_port *routes = &p->x->gateway->config.routes;
    char model[sizeof p->x->model];
    snprintf(model, sizeof model, "%s", p->x->model);
    if (routes->name) routes->name(routes->ctx, fh_str_of(p->x->model), model, sizeof model);
    return !p->reached && !fh_key_lists_model(&p->x->key, fh_str_of(model));
}

/* What to say when none suits, or there is none. */
static int none_suits(const picking *p, fh_err **err)
{
    fh_exchange *x = p->x;
    if (beyond_list(p)) return fh_reach_refuse(&x->key, fh_str_of(x->model), err);
    if (x->ask.native) {
        fh_err_move(err, &x->ask.native);
        return fh_err_code(*err);
    }
    if (p->cannot && fh_ask_fits(x->dialect, FH_DIALECT_CHAT) && x->ask.common.doc && fh_wire_needs_check(&x->ask.common, p->can, err))
        return fh_err_code(*err);
    if (p->beyond_scope) return fh_admit_scope(&x->key, FH_SCOPE_SPEND, err);
    if (p->no_vectors) {
        fh_err_set(err, FH_E_INVALID, "the endpoint that serves this model speaks Anthropic's Messages API, which has no embeddings");
        fh_err_param(err, "model");
        return FH_E_INVALID;
    }
    return fh_rules_refuse(&x->rules, p->broken, err);
}

__attribute__((format(printf, 2, 3))) static void add_reason(fh_exchange *x, const char *format, ...)
{
    va_list ap;
    size_t used = strlen(x->route.reason);
    va_start(ap, format);
    vsnprintf(x->route.reason + used, sizeof x->route.reason - used, format, ap);
    va_end(ap);
}

static void say_why(fh_exchange *x)
{
    if (x->choice) fh_exchange_choice_say(x);
    add_reason(x, "; %s", fh_choice_text(x->reason));
    if (x->rules.regions[0]) add_reason(x, "; in %s, as was demanded", x->route.region);
    if (x->most_tok) add_reason(x, "; the budget holds %lld tokens of an answer", (long long)x->most_tok);
    if (x->seen.queued_ns) add_reason(x, "; waited %.1f s for it", (double)x->seen.queued_ns / 1e9);
}

static void chosen(fh_exchange *x)
{
    fh_err *err = NULL;
    int64_t now = fh_clock_mono_ns();
    say_why(x);
    x->upstream = fh_upstreams_begin(x->gateway->upstreams, x->route.deployment, x->route.instance, x->expect_tok, now);
    x->call_ns = x->event_ns = now;
    fh_seen_asked(x);
    fh_exchange_look_back(x);
    fh_exchange_judge(x);
    if (x->prefix) fh_prefixes_note(x->gateway->prefixes, x->prefix, replica_id(x->route.deployment, x->route.instance));
    int rc = x->upstream ? fh_exchange_send(x, &err) : fh_err_nomem(&err);
    if (rc) fh_exchange_fail(x, err);
}

/* There is none to ask; takes err. */
static void nobody(fh_exchange *x, const picking *p, fh_err *err)
{
    if (x->tries == 0 && fh_exchange_rises(x)) {
        fh_err_free(err);
        return;
    }
    if (x->tries == 0) {
        fh_err *why = NULL;
        if (none_suits(p, &why)) fh_err_move(&err, &why);
        fh_exchange_fail(x, err);
        return;
    }
    fh_err_free(err);
    if (fh_clock_mono_ns() < x->replace_until_ns)
        fh_exchange_choose_later(x, REPLACE_POLL_NS);
    else
        fh_exchange_fail(x, fh_take(x->broken));
}

void fh_exchange_choose(fh_exchange *x)
{
    fh_err *err = NULL;
    const fh_route_port *routes = &x->gateway->config.routes;
    picking p = {.x = x};
    fh_route route = {0};
    int rc = routes->choose(routes->ctx, fh_str_of(x->model), pick, &p, &route, &err);
    if (rc == 0) {
        x->route = route;
        explicit_bzero(route.secret, sizeof route.secret);
        if (fh_exchange_fetches(x)) return;
        if (!x->slot && !fh_exchange_held(x)) x = fh_exchange_share(x);
        if (x && fh_exchange_take_slot(x, p.slots, p.count)) chosen(x);
    } else if (p.lost) {
        fh_err_free(err);
        fh_exchange_give_slot(x, 0);
        fh_exchange_choose(x);
    } else
        nobody(x, &p, err);
}

void fh_exchange_again(fh_exchange *x)
{
    forget_beginning(x);
    x->lane->metrics.escalated++;
    fh_exchange_choose(x);
}

/* ---- silence ---- */

static void is_silent(fh_exchange *x, int64_t now_ns)
{
    if (!x->call || x->paused || !x->wants_stream || x->upstream_error || !x->upstream) return;
    int64_t silence = now_ns - x->event_ns;
    if (silence < fh_upstream_stall_ns(x->upstream, x->begun)) return;
    fh_err_set(&x->upstream_error, FH_E_TIMEOUT, "it said nothing for %.1f s", (double)silence / 1e9);
    fh_seen_tally(x, FH_TALLY_STALLED);
    fh_exchange_choose_later(x, 0);
}

void fh_exchanges_watch(fh_lane *lane)
{
    int64_t now = fh_clock_mono_ns();
    for (fh_exchange *x = lane->open, *next; x; x = next) {
        next = x->next;
        if (fh_exchange_held(x)) fh_exchange_watch_held(x, now);
        if (x->wait_ns)
            fh_exchange_watch_wait(x, now);
        else
            is_silent(x, now);
    }
}

void fh_exchanges_end(fh_lane *lane)
{
    while (lane->open) fh_exchange_abandon(lane->open);
}

void fh_exchange_stop_reading(fh_exchange *x)
{
    fh_exchange_choose_later(x, 0);
}

/* ---- beginning ---- */

static fh_exchange *exchange_new(fh_gateway *g, fh_http_req *req, fh_operation op, fh_wire_dialect d)
{
    fh_exchange *x = fh_calloc(1, sizeof *x);
    if (!x) return NULL;
    *x = (fh_exchange){.gateway = g,
                       .lane = fh_gateway_lane(g, req),
                       .req = req,
                       .body = fh_http_req_body(req),
                       .op = op,
                       .dialect = d,
                       .counting = op == FH_OP_COUNT_TOKENS,
                       .start_ns = fh_clock_mono_ns(),
                       .created_s = fh_clock_utc_ns() / FH_NS_PER_S};
    snprintf(x->request_id, sizeof x->request_id, "%s", fh_http_req_id(req));
    fh_sent_init(&x->sent);
    link_to_lane(x);
    return x;
}

/* No call was made for x yet: what it has is what it asks. */
fh_exchange *fh_exchange_fork(fh_exchange *x)
{
    fh_exchange *y = fh_alloc(sizeof *y);
    char *body = fh_strndup(x->body.ptr, x->body.len);
    if (!y || !body) {
        fh_free(y);
        fh_free(body);
        return NULL;
    }
    *y = *x;
    y->req = NULL;
    y->timer = NULL;
    y->hold.key = &y->key;
    y->leases.held = 0; /* who follows pays */
    x->reply_bytes = 0;
    y->next = y->previous = NULL;
    y->own_body = body;
    x->seen.trace_state = NULL;
    y->body = y->ask.body = (fh_str){body, x->body.len};
    memcpy(y->shared_as, x->route.identity, sizeof y->shared_as);
    x->ask = (fh_ask){.dialect = x->dialect, .original = fh_json_ref(x->ask.original)};
    x->turn = NULL;
    x->prefix = NULL;
    x->choice = NULL;
    x->judge = NULL;
    link_to_lane(y);
    return y;
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
    fh_seen_begin(x, key);
    int rc = fh_exchange_read(x, key, model, &err);
    if (rc) {
        fh_exchange_refuse(x, err);
        return;
    }
    earn_retry(g);
    fh_http_req_on_gone(req, client_gone, x);
    fh_exchange_choose(x);
}
