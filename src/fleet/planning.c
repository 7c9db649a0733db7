/* What a deployment needs, and which place it gets: of those that it may run on, and that are not known to cheat, the one whose work is
 * expected to cost least (cost.h), at the load that its replicas have where there is one. Where the speed of all that ask by the hour was
 * measured with this model, hours are compared by that. */
#include "cost.h"
#include "fleet_private.h"

#include "base/clock.h"
#include "base/str.h"
#include "sets.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SLACK_BYTES (UINT64_C(2) << 30) /* stacks, the allocator, what grows with requests */
#define AGAIN_NS    (500 * FH_NS_PER_MS)

/* ---- what it needs ---- */

/* What the catalogue says of the weights, or, for files that it does not know, what their own metadata say. */
static fh_plan_model plan_model(const fh_deployment *d, bool have_item, fh_plan_kv kv)
{
    const fh_catalog_model *m = fh_catalog_find(fh_str_of(d->view.model));
    uint64_t packed = fh_catalog_engine_is_own(d->kind) ? d->item.memory_bytes : 0;
    uint64_t row = d->item.kv_bytes_per_tok ? d->item.kv_bytes_per_tok : (m ? m->kv_bytes_per_tok : 0);
    if (have_item) return (fh_plan_model){packed ? packed : d->item.bytes, fh_plan_kv_bytes(kv, row), 0, d->item.context_tok};
    return m ? fh_plan_model_with(m, fh_catalog_variant_find(m, d->view.variant), kv, 1) : (fh_plan_model){0};
}

static fh_plan_model weigh_with(fh_deployment *d, fh_plan_kv kv)
{
    bool have_item = fh_weights_find(d->fleet->weights, *d->view.digest ? d->view.digest : d->view.model, &d->item, NULL) == 0;
    return plan_model(d, have_item, kv);
}

/* With its cache kept as was asked for; an engine that was not told keeps it in 16 bits. */
static fh_plan_model weigh(fh_deployment *d)
{
    fh_plan_kv kv = FH_PLAN_KV_16BIT;
    fh_plan_kv_parse(fh_str_of(d->view.kv_type), &kv, NULL);
    return weigh_with(d, kv);
}

fh_plan_need fh_planning_need(fh_deployment *d, int64_t context_tok, int64_t streams)
{
    fh_plan_model m = weigh(d);
    return fh_plan_need_of(&m, context_tok, streams);
}

/* What its engine takes besides. */
static uint64_t taken_besides(const fh_deployment *d, const fh_plan_need *need)
{
    return d->kind->memory_bytes + (d->kind->wide ? need->weights_bytes + need->kv_bytes : 0);
}

static void take_need(fh_deployment *d, const fh_plan_model *m, const fh_plan_need *need)
{
    d->view.context_tok = need->context_tok;
    d->view.streams = need->streams;
    d->need_bytes = need->total_bytes + taken_besides(d, need);
    d->kv_bytes = need->kv_bytes * (d->kind->wide ? 2 : 1);
    d->memory_bytes = d->need_bytes + m->weights_bytes + SLACK_BYTES; /* weights may be repacked into memory of the engine's own */
}

void fh_planning_reckon(fh_deployment *d)
{
    fh_plan_model m = weigh(d);
    fh_plan_need need = fh_plan_need_of(&m, d->view.context_tok, d->view.streams);
    take_need(d, &m, &need);
}

uint32_t fh_planning_machines_most(const fh_deployment *d)
{
    return fh_catalog_engine_spreads(d->kind) ? fh_plan_machines_most(fh_catalog_find(fh_str_of(d->view.model))) : 1;
}

/* ---- where it may run ---- */

static bool is_here(const fh_place *p)
{
    return strcmp(p->name, "here") == 0;
}

/* A machine that was got for a deployment is for that one alone (orders.c). */
static bool may_run_at(const char *wanted, const fh_place *p)
{
    if (p->order) return false;
    return !*wanted || strcmp(wanted, p->name) == 0 || (strcmp(wanted, "pool") == 0 && !is_here(p));
}

/* Is whoever has it in hand one of those who may read what the deployment is asked? */
static bool may_read(const fh_deployment *d, const fh_place *p)
{
    const char *trust = d->limit.trust;
    if (!*trust || is_here(p)) return true;
    fh_place_terms terms = p->terms(p->ctx);
    return fh_trusts_hold(trust, &(fh_reader){.trust = FH_TRUST_RENTED, .place = p->name, .owner = terms.owner});
}

static bool may_run(const fh_deployment *d, const fh_place *p)
{
    return may_run_at(d->wanted_place, p) && may_read(d, p);
}

int fh_planning_check_place(const fh_fleet *f, const char *wanted, fh_err **err)
{
    for (const fh_place *p = f->places; p; p = p->next)
        if (may_run_at(wanted, p)) return 0;
    if (fh_orders_can_supply(f, wanted)) return 0;
    int rc = fh_err_set(err, FH_E_UNSUPPORTED, strcmp(wanted, "pool") == 0 ? "there is no machine in the pool" : "there is no place \"%s\"",
                        wanted);
    fh_err_hint(
        err, "places are here, pool, node/NAME for each machine that `freehold node list` shows, and provider/NAME for each of `freehold "
             "provider list` that machines are got of");
    fh_err_param(err, "place");
    return rc;
}

int fh_planning_check_trust(const fh_deployment *d, fh_err **err)
{
    const char *first = NULL;
    unsigned count = 0;
    if (fh_orders_are_for(d)) return fh_orders_check_trust(d, err);
    for (const fh_place *p = d->fleet->places; p; p = p->next) {
        if (may_run(d, p)) return 0;
        if (may_run_at(d->wanted_place, p) && !count++) first = p->name;
    }
    return count ? fh_planning_untrusted(d, first, count > 1, err) : 0;
}

int fh_planning_untrusted(const fh_deployment *d, const char *place, bool others, fh_err **err)
{
    fh_err_set(err, FH_E_FORBIDDEN, "whoever has %s%s in hand could read what it is asked, and its trust is '%s'", place,
               others ? " or another of its places" : "", d->limit.trust);
    fh_err_hint(err, "start it with a trust that names them, as own,%s", place);
    fh_err_param(err, "trust");
    return FH_E_FORBIDDEN;
}

bool fh_planning_is_at(const fh_deployment *d, const char *wanted)
{
    if (!*wanted || strcmp(wanted, d->wanted_place) == 0) return true;
    return d->place && (d->order ? strcmp(wanted, d->place->name) == 0 : may_run_at(wanted, d->place));
}

void fh_planning_only_place(const fh_deployment *d, char *out, size_t out_size)
{
    const fh_place *only = NULL;
    unsigned count = 0;
    if (fh_orders_are_for(d)) {
        snprintf(out, out_size, "%s", d->wanted_place);
        return;
    }
    for (const fh_place *p = d->fleet->places; p && count < 2; p = p->next) {
        if (!may_run(d, p)) continue;
        only = p;
        count++;
    }
    snprintf(out, out_size, "%s", count == 1 ? only->name : "");
}

static int takes(const fh_deployment *d, const fh_place *p, fh_err **err)
{
    return p->takes ? p->takes(p->ctx, d->view.model, *d->view.digest ? d->view.digest : d->item.digest, err) : 0;
}

static int has_engine(const fh_place *p, const fh_catalog_engine *kind, fh_err **err)
{
    if (p->has) return p->has(p->ctx, kind, err);
    return fh_catalog_engine_is_own(kind) ? 0 : fh_err_set(err, FH_E_UNSUPPORTED, "%s runs no engine but freehold's own", p->name);
}

int fh_planning_check_engine(const fh_deployment *d, const fh_catalog_engine *kind, fh_err **err)
{
    fh_err *first = NULL;
    int rc = FH_E_UNSUPPORTED;
    if (fh_orders_are_for(d)) return 0; /* its machine says what it has */
    for (const fh_place *p = d->fleet->places; p && rc != 0; p = p->next)
        if (may_run(d, p)) rc = has_engine(p, kind, first ? NULL : &first);
    if (rc != 0 && first) fh_err_move(err, &first);
    fh_err_free(first);
    return rc;
}

/* What others may still take of each place: an engine that loads, or has not used its context yet, has less than it was planned with. */
static void reckon_promised(const fh_deployment *me)
{
    fh_fleet *f = me->fleet;
    f->planning_round++;
    for (fh_deployment *d = f->first; d; d = d->next) {
        if (d == me || !d->place || d->view.state < FH_DEPLOYMENT_PROVISIONING || d->view.state > FH_DEPLOYMENT_READY) continue;
        fh_deployment_measure(d);
        uint64_t left = d->need_bytes > d->own_bytes ? d->need_bytes - d->own_bytes : 0, *sum = &d->place->promised_bytes;
        if (d->place->promised_round != f->planning_round) *sum = 0;
        d->place->promised_round = f->planning_round;
        *sum = left > UINT64_MAX - *sum ? UINT64_MAX : *sum + left;
    }
}

static uint64_t promised_at(const fh_deployment *d, const fh_place *p)
{
    return p->promised_round == d->fleet->planning_round ? p->promised_bytes : 0;
}

/* ---- which one it gets ---- */

typedef struct trial { /* one place, looked at */
    fh_place *place;
    fh_plan_machine machine;
    fh_plan_fit fit;
    fh_place_terms terms;
    fh_place_quality quality;
} trial;

static fh_place_quality quality_of(const fh_deployment *d, const fh_place *p)
{
    const fh_fleet *f = d->fleet;
    fh_place_quality q = {0};
    if (f->quality && !is_here(p)) f->quality(f->quality_ctx, p->name, d->view.model, &q);
    return q;
}

static trial try_at(const fh_deployment *d, const fh_plan_model *m, fh_place *p)
{
    trial t = {.place = p, .machine = p->machine(p->ctx), .terms = p->terms(p->ctx), .quality = quality_of(d, p)};
    fh_plan_need need = fh_plan_need_of(m, d->view.context_tok, d->view.streams);
    t.machine.promised_bytes = promised_at(d, p) + taken_besides(d, &need);
    t.fit = fh_plan_fit_of(m, &t.machine, d->view.context_tok, d->view.streams);
    return t;
}

static bool fits(const trial *t)
{
    return t->fit.verdict == FH_PLAN_FITS || t->fit.verdict == FH_PLAN_UNKNOWN;
}

/* ---- the load that is known ---- */

static double tok_h(const fh_engine_load *l)
{
    return l->measured_utc_ns ? (double)(FH_MAX(l->generated_mtok_s, (int64_t)0) + FH_MAX(l->prompt_mtok_s, (int64_t)0)) * 3.6 : 0;
}

/* Tokens an hour: of a replica of its set that is ready, on average; else what it had itself when it ran last. 0: not known. */
static double load_of(const fh_deployment *d)
{
    double sum = 0;
    unsigned ready = 0;
    for (const fh_deployment *one = d->set ? d->set->members : NULL; one; one = one->next_member) {
        if (one == d || one->view.state != FH_DEPLOYMENT_READY) continue;
        sum += tok_h(&one->view.load);
        ready++;
    }
    return ready ? sum / ready : tok_h(&d->view.load);
}

static fh_cost cost_of(const trial *t, bool by_speed)
{
    return (fh_cost){.terms = t->terms,
                     .failing_per_mille = t->quality.failing_per_mille,
                     .millitok_s = by_speed && t->terms.ask_micro ? t->quality.millitok_s : 0};
}

typedef struct choice {
    trial best; /* place NULL: none could be looked at */
    unsigned fitting, absent, cheats;
    bool by_speed; /* that of all that ask by the hour was measured */
    double tok_h;  /* the load; 0: not known */
    const char *absent_name, *absent_why, *cheats_name;
} choice;

/* The cheaper of two that fit; at one price the one that fails less; then, and where they are not compared, the earlier in the list. Of two
 * that do not fit the one that lacks less. */
static bool is_better(const trial *a, const choice *than)
{
    const trial *b = &than->best;
    if (fits(a) != fits(b)) return fits(a);
    if (!fits(a)) return a->fit.missing_bytes < b->fit.missing_bytes;
    fh_cost x = cost_of(a, than->by_speed), y = cost_of(b, than->by_speed);
    fh_cost_order order = fh_cost_compare(&x, &y, than->tok_h);
    return order == FH_COST_LESS || (order == FH_COST_SAME && a->quality.failing_per_mille < b->quality.failing_per_mille);
}

/* An hour there costs more than its limit, or is asked for in another currency, of which nobody knows how much that is. */
static bool is_too_dear(const fh_deployment *d, const fh_place *p)
{
    const fh_deploy_limit *most = &d->limit;
    fh_place_terms terms = p->terms(p->ctx);
    return most->max_hour_micro && terms.ask_micro &&
           (terms.ask_micro > most->max_hour_micro || strcmp(terms.currency, most->currency) != 0);
}

static bool could_get(const fh_deployment *d, const fh_place *p)
{
    return may_run(d, p) && has_engine(p, d->kind, NULL) == 0 && takes(d, p, NULL) == 0;
}

static bool may_get(const fh_deployment *d, const fh_place *p)
{
    return could_get(d, p) && !is_too_dear(d, p);
}

/* Speeds are compared only when there is one of each that has a price. */
static bool all_measured(const fh_deployment *d)
{
    unsigned priced = 0;
    for (const fh_place *p = d->fleet->places; p; p = p->next) {
        fh_place_terms terms = p->terms(p->ctx);
        if (!may_get(d, p) || !terms.there || !terms.ask_micro) continue;
        fh_place_quality q = quality_of(d, p);
        if (!q.cheats && !q.millitok_s) return false;
        priced += !q.cheats;
    }
    return priced > 0;
}

static void look_at(choice *c, const fh_deployment *d, const fh_plan_model *m, fh_place *p)
{
    trial t = try_at(d, m, p);
    if (t.quality.cheats) {
        c->cheats++;
        c->cheats_name = p->name;
        return;
    }
    c->fitting += fits(&t);
    if (!c->best.place || is_better(&t, c)) c->best = t;
}

static choice choose_place(const fh_deployment *d, const fh_plan_model *m)
{
    choice c = {.by_speed = all_measured(d), .tok_h = load_of(d)};
    reckon_promised(d);
    for (fh_place *p = d->fleet->places; p; p = p->next) {
        if (!may_get(d, p)) continue;
        fh_place_terms terms = p->terms(p->ctx);
        if (terms.there) {
            look_at(&c, d, m, p);
            continue;
        }
        c.absent++;
        c.absent_name = p->name;
        c.absent_why = terms.why;
    }
    return c;
}

/* ---- when there is none ---- */

static bool has_weights(void *arg, const fh_catalog_model *m)
{
    fh_weights_item item;
    return fh_weights_find(arg, m->id, &item, NULL) == 0;
}

/* What to do instead. Nobody is sent to a model that fails for want of its weights. */
static void other_model(fh_deployment *d, const fh_plan_machine *on, char *hint, size_t hint_size)
{
    const fh_catalog_model *m = fh_catalog_find(fh_str_of(d->view.model));
    const fh_catalog_model *ready = fh_plan_nearest(m, on, has_weights, d->fleet->weights), *fit = fh_plan_nearest(m, on, NULL, NULL);
    char elsewhere[120] = "";
    if (m) snprintf(elsewhere, sizeof elsewhere, "; `freehold plan %s` shows where this one would run", m->id);
    if (ready)
        snprintf(hint, hint_size, "%s fits, and its weights are here: freehold run %s%s", ready->name, ready->id, elsewhere);
    else if (fit)
        snprintf(hint, hint_size, "%s would fit; its weights are not here yet: freehold show %s%s", fit->name, fit->id, elsewhere);
    else
        snprintf(hint, hint_size, "use a machine with more memory%s", elsewhere);
}

static void say(const trial *t, char *out, size_t out_size)
{
    fh_plan_sentence(&t->fit, &t->machine, is_here(t->place) ? NULL : t->place->name, out, out_size);
}

/* The first smaller type of cache with which it would fit there; NULL: none, or its engine cannot be told. */
static const char *smaller_cache(fh_deployment *d, const trial *t)
{
    static const fh_plan_kv types[] = {FH_PLAN_KV_Q8_0, FH_PLAN_KV_Q4_0};
    for (size_t i = 0; i < FH_COUNT(types); i++) {
        const char *name = fh_plan_kv_name(types[i]);
        fh_plan_model m = weigh_with(d, types[i]);
        trial other = *t;
        other.fit = fh_plan_fit_of(&m, &t->machine, d->view.context_tok, d->view.streams);
        if (other.fit.need.total_bytes < t->fit.need.total_bytes && fits(&other) && fh_catalog_engine_keeps(d->kind, name, NULL) == 0)
            return name;
    }
    return NULL;
}

static void too_large(fh_deployment *d, const trial *t)
{
    char sentence[200], hint[256];
    const char *cache = smaller_cache(d, t);
    say(t, sentence, sizeof(sentence));
    if (cache)
        snprintf(hint, sizeof(hint), "it fits with --kv-type %s; or ask for less with --context and --streams", cache);
    else if (t->fit.verdict == FH_PLAN_TIGHT)
        snprintf(hint, sizeof(hint), "stop another deployment or program, or ask for less with --context and --streams");
    else if (t->fit.missing_bytes < t->fit.need.kv_bytes) /* it is the context that is too large, not the model */
        snprintf(hint, sizeof(hint), "ask for less with --context and --streams");
    else
        other_model(d, &t->machine, hint, sizeof(hint));
    fh_deployment_set_state(d, FH_DEPLOYMENT_FAILED, hint, "%s", sentence);
}

/* It is wanted, so it waits for a machine to come back; who looks is told once. */
static void wait_for_place(fh_deployment *d, const choice *c)
{
    char why[320];
    if (c->absent == 1 && c->absent_why)
        snprintf(why, sizeof(why), "waiting for %s: %s", c->absent_name, c->absent_why);
    else if (c->absent == 1)
        snprintf(why, sizeof(why), "waiting for %s, which is not connected or takes nothing new", c->absent_name);
    else
        snprintf(why, sizeof(why), "waiting for one of %u machines, none of which is connected and takes anything new", c->absent);
    if (strcmp(why, d->view.reason) != 0)
        fh_deployment_set_state(d, FH_DEPLOYMENT_PLANNING, "`freehold node list` shows the machines of the pool", "%s", why);
    fh_deployment_step_soon(d, AGAIN_NS);
}

/* ---- the step ---- */

static void money(int64_t micro, const char *currency, char *out, size_t out_size)
{
    snprintf(out, out_size, "%" PRId64 ".%04" PRId64 " %s", micro / 1000000, micro % 1000000 / 100, currency);
}

/* What is asked, and what is expected of whoever asks it. */
static void price_text(const trial *t, char *out, size_t out_size)
{
    const fh_place_terms *terms = &t->terms;
    fh_cost cost = cost_of(t, false);
    int64_t expected = (int64_t)fh_cost_hour_micro(&cost, 0);
    int n = 0;
    out[0] = 0;
    char sum[48];
    if (terms->ask_micro) {
        money(terms->ask_micro, terms->currency, sum, sizeof sum);
        n = snprintf(out, out_size, ", for %s an hour", sum);
    }
    if (expected > terms->ask_micro)
        n += snprintf(out + n, out_size - (size_t)n,
                      " (%" PRId64 ".%04" PRId64 " with the %u in 1000 requests that are expected to fail there)", expected / 1000000,
                      expected % 1000000 / 100, t->quality.failing_per_mille);
    if (terms->mtok_micro) {
        money(terms->mtok_micro, terms->mtok_currency, sum, sizeof sum);
        snprintf(out + n, out_size - (size_t)n, ", for %s a million tokens", sum);
    }
}

static int go_to(fh_deployment *d, fh_place *p, fh_err **err)
{
    int rc = strcmp(d->view.place, p->name) != 0 ? fh_store_place(d->fleet->db, d->id, p->name, err) : 0;
    if (rc != 0) return rc;
    d->place = p;
    snprintf(d->view.place, sizeof(d->view.place), "%s", p->name);
    return 0;
}

static void take_place(fh_deployment *d, const fh_plan_model *m, const choice *c)
{
    const trial *t = &c->best;
    char sentence[200], price[240], among[120] = "";
    fh_err *err = NULL;
    if (go_to(d, t->place, &err) != 0) {
        fh_step_fail(d, err);
        fh_err_free(err);
        return;
    }
    take_need(d, m, &t->fit.need);
    say(t, sentence, sizeof(sentence));
    price_text(t, price, sizeof(price));
    if (c->fitting > 1 && c->tok_h > 0 && (t->terms.ask_micro || t->terms.mtok_micro))
        snprintf(among, sizeof(among), "; the cheapest of %u places that it fits on, at %.0f tokens an hour", c->fitting, c->tok_h);
    else if (c->fitting > 1)
        snprintf(among, sizeof(among), "; the cheapest of %u places that it fits on%s", c->fitting,
                 c->by_speed && t->terms.ask_micro ? ", by their measured speed" : "");
    fh_deployment_set_state(d, FH_DEPLOYMENT_PROVISIONING, "", "%s%s%s", sentence, price, among);
}

static void only_cheats(fh_deployment *d, const choice *c)
{
    char hint[160];
    snprintf(hint, sizeof(hint), "`freehold node list` shows why; `freehold node clear %s` forgets what was found out",
             c->cheats_name + strlen("node/"));
    fh_deployment_set_state(d, FH_DEPLOYMENT_FAILED, hint, "%s was found to cheat, and gets nothing new", c->cheats_name);
}

/* The first of the places that it may run on says why it does not take it. */
static int check_takes(const fh_deployment *d, fh_err **err)
{
    for (const fh_place *p = d->fleet->places; p; p = p->next)
        if (may_run(d, p) && takes(d, p, err) != 0) return FH_E_FORBIDDEN;
    return 0;
}

/* The one of its places that asks least, where all of those ask too much. */
static const fh_place *least_too_dear(const fh_deployment *d)
{
    const fh_place *least = NULL;
    int64_t least_micro = 0;
    for (const fh_place *p = d->fleet->places; p; p = p->next) {
        if (!could_get(d, p) || !is_too_dear(d, p)) continue;
        int64_t micro = p->terms(p->ctx).ask_micro;
        if (least && micro >= least_micro) continue;
        least = p;
        least_micro = micro;
    }
    return least;
}

static void all_too_dear(fh_deployment *d, const fh_place *p)
{
    char asked[48], most[48];
    fh_place_terms terms = p->terms(p->ctx);
    money(terms.ask_micro, terms.currency, asked, sizeof asked);
    money(d->limit.max_hour_micro, d->limit.currency, most, sizeof most);
    fh_deployment_set_state(d, FH_DEPLOYMENT_FAILED, "a higher --max-hour; `freehold node list` shows what each machine asks for",
                            "%s asks for %s an hour, and the limit is %s", p->name, asked, most);
}

static void no_place(fh_deployment *d, const choice *c)
{
    fh_err *err = NULL;
    const fh_place *dear = least_too_dear(d);
    if (c->cheats) {
        only_cheats(d, c);
        return;
    }
    if (dear) {
        all_too_dear(d, dear);
        return;
    }
    if ((fh_planning_check_trust(d, &err) != 0 || fh_planning_check_engine(d, d->kind, &err) != 0 || check_takes(d, &err) != 0) && err)
        fh_step_fail(d, err);
    else
        fh_deployment_set_state(d, FH_DEPLOYMENT_FAILED, "`freehold node list` shows the machines of the pool",
                                "there is no place \"%s\" any more", d->wanted_place);
    fh_err_free(err);
}

bool fh_planning_elsewhere(const fh_deployment *d)
{
    if (fh_orders_are_for(d)) return true; /* it would get another machine for itself */
    for (const fh_place *p = d->fleet->places; p; p = p->next)
        if (p != d->place && may_run(d, p) && !is_too_dear(d, p) && has_engine(p, d->kind, NULL) == 0 && p->terms(p->ctx).there)
            return true;
    return false;
}

/* Whoever supplied it knows devices that engines of others compute on; our own computes in the memory that the machine told of. */
bool fh_planning_settle_at(fh_deployment *d, fh_place *p)
{
    fh_plan_model m = weigh(d);
    reckon_promised(d);
    trial t = try_at(d, &m, p);
    FH_AUTO(fh_err) fh_err *err = NULL;
    if (fh_catalog_engine_is_own(d->kind) && !fits(&t)) {
        too_large(d, &t);
        return false;
    }
    if (go_to(d, p, &err) != 0) {
        fh_step_fail(d, err);
        return false;
    }
    take_need(d, &m, &t.fit.need);
    return true;
}

void fh_step_planning(fh_deployment *d)
{
    if (fh_orders_are_for(d)) {
        fh_step_order(d);
        return;
    }
    fh_plan_model m = weigh(d);
    choice c = choose_place(d, &m);
    if (c.best.place && fits(&c.best))
        take_place(d, &m, &c);
    else if (c.absent)
        wait_for_place(d, &c);
    else if (c.best.place)
        too_large(d, &c.best);
    else
        no_place(d, &c);
}
