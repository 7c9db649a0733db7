/* Machines that deployments want of a supply (supply/supply.h): written down, asked for, looked at, released.
 *
 * What holds: a deployment has at most one order that is wanted. An order is a row before its supply is asked, and stays open until the
 * supply says that there is no machine of it. Level-triggered: fh_orders_look looks at all that are open, and may be called at any time;
 * what fails to be written down is tried at the next look. */
#include "fleet_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "fleet/supplies.h"
#include "node_place.h"
#include "sets.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LOOK_NS FH_NS_PER_S
#define SAY_NS  (5 * FH_NS_PER_S) /* between two rows that say what is waited for */

/* ---- the lists ---- */

static bool means(const char *wanted, const fh_supply *s)
{
    return strcmp(wanted, s->name) == 0 || strcmp(wanted, s->kind) == 0;
}

static fh_deployment *deployment_of(const fh_order *o)
{
    fh_deployment *d = o->fleet->first;
    while (d && d->id != o->deployment) d = d->next;
    return d;
}

bool fh_orders_can_supply(const fh_fleet *f, const char *wanted)
{
    for (const fh_supply *s = f->supplies; s; s = s->next)
        if (means(wanted, s)) return true;
    return false;
}

/* Also while its supply is not there: a server that starts has its supplies a moment later than its deployments. */
bool fh_orders_are_for(const fh_deployment *d)
{
    return fh_str_starts(fh_str_of(d->wanted_place), FH_STR("provider/")) || fh_orders_can_supply(d->fleet, d->wanted_place) || d->order;
}

static void look_soon(fh_fleet *f, int64_t delay_ns)
{
    if (f->orders) fh_timer_start(f->orders_timer, delay_ns);
}

void fh_orders_look_soon(fh_fleet *f)
{
    look_soon(f, 0);
}

/* ---- asking ---- */

static fh_supply_want want_of(const fh_deployment *d)
{
    fh_supply_want w = {.model = d->view.model,
                        .engine = d->view.engine,
                        .bytes = d->need_bytes,
                        .weights_bytes = d->item.bytes,
                        .each_bytes = d->kind->memory_bytes,
                        .machines_most = fh_planning_machines_most(d),
                        .context_tok = d->view.context_tok,
                        .streams = d->view.streams,
                        .max_hour_micro = d->limit.max_hour_micro,
                        .limit_s = d->limit.seconds,
                        .limit_micro = d->limit.micro,
                        .offer = d->limit.offer,
                        .offer_kind = d->limit.offer_kind};
    memcpy(w.currency, d->limit.currency, sizeof(w.currency));
    return w;
}

static int used_up(const char *what, bool by_others, fh_err **err)
{
    int rc = by_others ? fh_err_set(err, FH_E_FORBIDDEN, "its limit of %s is kept for the machines that its replicas have", what)
                       : fh_err_set(err, FH_E_FORBIDDEN, "its limit of %s is used up by the machines that it had", what);
    fh_err_hint(err, "`freehold run` with another limit starts it again");
    return rc;
}

typedef struct share {                   /* of the limits of a deployment, or of its set */
    int64_t micro, ns;                   /* used, or kept for machines that are there or on their way */
    int64_t kept_micro, kept_ns, others; /* of that what is kept, and for how many that stay */
} share;

/* Its machine goes once its successor is ready, which is to be had of what it leaves. */
static bool goes(const fh_deployment *d)
{
    return d->leaves_ns || d->generation < d->set->generation;
}

/* What stays may come to cost all that it was given. */
static void add_kept(share *s, const fh_order *o, const fh_deployment *its)
{
    bool stays = o->wanted && !(its->set && goes(its));
    int64_t ns = FH_MAX(fh_clock_utc_ns() - o->opened_utc_ns, (int64_t)0);
    s->others += stays;
    s->kept_micro += FH_MAX(o->view.spent_micro, stays ? o->limit_micro : 0);
    s->kept_ns += FH_MAX(ns, stays ? o->limit_s * FH_NS_PER_S : 0);
}

static int take_share(const fh_deployment *d, share *ret, fh_err **err)
{
    share s = {0};
    int rc = fh_store_orders_used(d->fleet->db, d->id, &s.micro, &s.ns, err);
    for (const fh_order *o = d->fleet->orders; o && rc == 0; o = o->next) {
        const fh_deployment *its = deployment_of(o);
        if (its && (its == d || (d->set && its->set == d->set))) add_kept(&s, o, its);
    }
    s.micro += s.kept_micro;
    s.ns += s.kept_ns;
    if (rc == 0) *ret = s;
    return rc;
}

/* What is left of its limits, in equal parts for all replicas that may still start beside those that have machines: whatever starts at the
 * same time, all of them together stay within the limits. */
static int take_off_used(const fh_deployment *d, fh_supply_want *w, fh_err **err)
{
    share s = {0};
    if (!w->limit_micro && !w->limit_s) return 0;
    int rc = take_share(d, &s, err);
    if (rc != 0) return rc;
    int64_t parts = FH_MAX(d->set ? d->set->rule.max - s.others : 1, (int64_t)1);
    if (w->limit_micro && (w->limit_micro = (w->limit_micro - s.micro) / parts) <= 0) return used_up("money", s.kept_micro > 0, err);
    if (w->limit_s && (w->limit_s = (w->limit_s - s.ns / FH_NS_PER_S) / parts) <= 0) return used_up("hours", s.kept_ns > 0, err);
    return 0;
}

static int ask(const fh_order *o, const fh_deployment *d, fh_err **err)
{
    fh_supply_want w = want_of(d);
    w.limit_micro = o->limit_micro;
    w.limit_s = o->limit_s;
    w.order = o->id;
    w.node = o->node;
    return o->supply->order(o->supply->ctx, &w, err);
}

/* ---- the end ---- */

/* Its deployment has it no more, and shows it no more. */
static void detach(const fh_order *o)
{
    fh_deployment *d = deployment_of(o);
    if (!d || d->order != o) return;
    d->order = NULL;
    d->view.order = (fh_order_terms){.id = 0};
    fh_fleet_publish(o->fleet);
}

static void forget(fh_order *o)
{
    fh_order **p = &o->fleet->orders;
    while (*p != o) p = &(*p)->next;
    *p = o->next;
    detach(o);
    fh_free(o);
}

static int write_over(const fh_order *o, fh_err **err)
{
    return fh_store_order_over(o->fleet->db, o->id, o->view.says, o->view.spent_micro, o->view.currency, err);
}

/* Its deployment goes on with another, as far as that may help. */
static void tell_over(fh_deployment *d, const fh_supply_view *v)
{
    snprintf(d->why, sizeof(d->why), "%s", v->says);
    if (!v->again) {
        fh_deployment_set_state(d, FH_DEPLOYMENT_FAILED, v->hint, "%s", v->says);
        return;
    }
    if (d->view.state == FH_DEPLOYMENT_PROVISIONING || d->view.state == FH_DEPLOYMENT_FETCHING) fh_step_again(d, v->says);
}

/* Its machine is gone: what ran there has ended, and the pool forgets it. Before that is written down, so that it cannot be missed. */
static void close_order(fh_order *o)
{
    fh_fleet *f = o->fleet;
    fh_deployment *d = deployment_of(o);
    fh_supply_view v = o->view;
    fh_err *err = NULL;
    bool its = d && d->order == o && fh_deployment_is_live(d);
    fh_fleet_node_gone(f, o->node, v.says);
    if (f->node_done) f->node_done(f->node_done_arg, o->node);
    if (write_over(o, &err) != 0) {
        fh_log_err(FH_LOG_ERROR, "fleet", err, "order %" PRId64 ": its end could not be written down; trying again", o->id);
        fh_err_free(err);
        return;
    }
    fh_log(FH_LOG_INFO, "fleet", "order=%" PRId64 " supply=%s over: %s", o->id, o->supply_name, v.says);
    o->supply->forget(o->supply->ctx, o->id);
    forget(o);
    if (its) tell_over(d, &v);
}

static void release(fh_order *o, const char *why)
{
    fh_err *err = NULL;
    if (fh_store_order_unwanted(o->fleet->db, o->id, &err) != 0) {
        fh_log_err(FH_LOG_ERROR, "fleet", err, "order %" PRId64 ": its release could not be written down; trying again", o->id);
        fh_err_free(err);
        return;
    }
    o->wanted = false;
    detach(o);
    if (o->supply) o->supply->release(o->supply->ctx, o->id, why);
}

/* ---- looking ---- */

static void show(fh_order *o)
{
    fh_deployment *d = deployment_of(o);
    if (!d || d->order != o) return;
    fh_deployment_view *v = &d->view;
    fh_order_terms t = {.id = o->id,
                        .hour_micro = o->view.hour_micro,
                        .spent_micro = o->view.spent_micro,
                        .ends_utc_ns = o->view.ends_utc_ns,
                        .leaving = o->view.leaving};
    snprintf(t.supply, sizeof(t.supply), "%s", o->supply_name);
    memcpy(t.currency, o->view.currency, sizeof(t.currency));
    snprintf(t.note, sizeof(t.note), "%s", o->view.note);
    if (memcmp(&t, &v->order, sizeof(t)) == 0) return;
    memcpy(&v->order, &t, sizeof(t));
    fh_fleet_publish(o->fleet);
}

static bool is_needed(const fh_order *o)
{
    const fh_deployment *d = deployment_of(o);
    bool over = d && (!d->wanted || d->view.state == FH_DEPLOYMENT_STOPPED || d->view.state == FH_DEPLOYMENT_FAILED);
    return d && d->order == o && (d->engine.runs || !over);
}

static void look_at(fh_order *o)
{
    fh_supply_view before = o->view;
    if (o->wanted && !is_needed(o)) release(o, "its deployment needs it no more");
    if (!o->supply) return;
    o->view = (fh_supply_view){.state = FH_SUPPLY_WAITING};
    o->supply->look(o->supply->ctx, o->id, &o->view);
    if (o->view.state != FH_SUPPLY_HELD) /* one that was lost on its way is followed by another, with a time of its own */
        o->held_ns = 0;
    else if (!o->held_ns)
        o->held_ns = fh_clock_mono_ns();
    fh_deployment *d = deployment_of(o);
    bool told = o->view.state != before.state || strcmp(o->view.says, before.says) != 0;
    if (told && d && d->order == o && d->view.state == FH_DEPLOYMENT_PROVISIONING) fh_deployment_step_soon(d, 0);
    show(o);
    if (o->view.state == FH_SUPPLY_OVER) close_order(o);
}

static void look(void *arg)
{
    fh_fleet *f = arg;
    for (fh_order *o = f->orders, *next; o; o = next) {
        next = o->next;
        look_at(o);
    }
    look_soon(f, LOOK_NS);
}

static void supply_changed(void *arg, int64_t order)
{
    (void)order;
    look_soon(arg, 0);
}

/* ---- supplies come and go ---- */

static void meet_again(fh_order *o, fh_supply *s)
{
    fh_deployment *d = deployment_of(o);
    FH_AUTO(fh_err) fh_err *err = NULL;
    o->supply = s;
    if (o->wanted && d && d->order == o) {
        fh_planning_reckon(d);
        if (ask(o, d, &err) != 0) fh_log_err(FH_LOG_WARN, "fleet", err, "order %" PRId64 " of %s", o->id, s->name);
    }
    if (!o->wanted) s->release(s->ctx, o->id, "it was released before the server was started again");
}

void fh_fleet_supply_add(fh_fleet *f, fh_supply *s)
{
    fh_supply **end = &f->supplies;
    while (*end) end = &(*end)->next;
    *end = s;
    s->next = NULL;
    s->changed = supply_changed;
    s->changed_arg = f;
    for (fh_order *o = f->orders; o; o = o->next)
        if (strcmp(o->supply_name, s->name) == 0) meet_again(o, s);
    look_soon(f, 0);
}

int fh_fleet_supply_remove(fh_fleet *f, const char *name, fh_err **err)
{
    fh_supply **p = &f->supplies;
    for (const fh_order *o = f->orders; o; o = o->next) {
        if (strcmp(o->supply_name, name) != 0) continue;
        fh_err_set(err, FH_E_CONFLICT, "%s still has a machine for a deployment", name);
        fh_err_hint(err, "`freehold ps` shows which: stop it first");
        return FH_E_CONFLICT;
    }
    while (*p && strcmp((*p)->name, name) != 0) p = &(*p)->next;
    fh_supply *gone = *p;
    if (!gone) return 0;
    *p = gone->next;
    gone->close(gone->ctx);
    return 0;
}

void fh_orders_close(fh_fleet *f)
{
    for (fh_order *o = f->orders; o; o = o->next) o->supply = NULL;
    while (f->supplies) {
        fh_supply *s = f->supplies;
        f->supplies = s->next;
        s->close(s->ctx);
    }
}

void fh_orders_free(fh_fleet *f)
{
    while (f->orders) forget(f->orders);
    if (f->orders_timer) fh_timer_free(f->orders_timer);
}

static int keep(void *arg, const fh_order *row, fh_err **err)
{
    fh_fleet *f = arg;
    fh_order *o = fh_alloc(sizeof(*o));
    if (!o) return fh_err_nomem(err);
    *o = *row;
    o->fleet = f;
    o->next = f->orders;
    f->orders = o;
    return 0;
}

int fh_orders_load(fh_fleet *f, fh_err **err)
{
    int rc = fh_timer_new(&f->orders_timer, f->loop, look, f, err);
    return rc != 0 ? rc : fh_store_orders_load(f->db, keep, f, err);
}

void fh_orders_attach(fh_deployment *d)
{
    for (fh_order *o = d->fleet->orders; o; o = o->next)
        if (o->deployment == d->id && o->wanted) d->order = o;
}

fh_order_node fh_orders_of_node(const fh_fleet *f, const char *node, int64_t *ret_order)
{
    *ret_order = 0;
    for (const fh_order *o = f->orders; o; o = o->next) {
        if (strcmp(o->node, node) != 0) continue;
        *ret_order = o->id;
        return FH_NODE_OF_ORDER;
    }
    return fh_store_order_had(f->db, node) ? FH_NODE_OF_PAST_ORDER : FH_NODE_OF_ITS_OWN;
}

/* ---- the steps of a deployment ---- */

static bool is_trusted(const fh_deployment *d, const char *supply)
{
    return !*d->limit.trust || fh_trusts_hold(d->limit.trust, &(fh_reader){.trust = FH_TRUST_RENTED, .via = supply});
}

int fh_orders_check_trust(const fh_deployment *d, fh_err **err)
{
    const fh_supply *first = NULL;
    for (const fh_supply *s = d->fleet->supplies; s; s = s->next) {
        if (!means(d->wanted_place, s)) continue;
        if (is_trusted(d, s->name)) return 0;
        if (!first) first = s;
    }
    return first ? fh_planning_untrusted(d, first->name, false, err) : 0;
}

/* The first of those that are meant which can. */
static int pick_supply(const fh_deployment *d, fh_supply **ret, fh_supply_want *ret_want, fh_err **err)
{
    fh_supply_want w = want_of(d);
    fh_err *first = NULL;
    int rc = take_off_used(d, &w, err);
    if (rc != 0) return rc;
    rc = FH_E_NOT_FOUND;
    for (fh_supply *s = d->fleet->supplies; s && rc != 0; s = s->next) {
        if (!means(d->wanted_place, s)) continue;
        rc = is_trusted(d, s->name) ? 0 : fh_planning_untrusted(d, s->name, false, first ? NULL : &first);
        if (rc == 0) rc = s->check(s->ctx, &w, first ? NULL : &first);
        if (rc == 0) *ret = s;
    }
    *ret_want = w;
    if (rc != 0 && first) fh_err_move(err, &first);
    fh_err_free(first);
    return rc;
}

static int begin_order(fh_deployment *d, fh_supply *s, const fh_supply_want *w, fh_err **err)
{
    fh_order row = {
        .fleet = d->fleet, .deployment = d->id, .supply = s, .wanted = true, .limit_s = w->limit_s, .limit_micro = w->limit_micro};
    snprintf(row.supply_name, sizeof(row.supply_name), "%s", s->name);
    int rc = fh_store_order_begin(d->fleet->db, &row, err);
    if (rc == 0) rc = keep(d->fleet, &row, err);
    if (rc != 0) return rc;
    d->order = d->fleet->orders;
    rc = ask(d->order, d, err);
    if (rc != 0) { /* nothing was begun */
        snprintf(d->order->view.says, sizeof(d->order->view.says), "%s", fh_err_message(*err));
        write_over(d->order, NULL);
        forget(d->order);
    }
    look_soon(d->fleet, 0);
    return rc;
}

static void wait_for_supply(fh_deployment *d)
{
    char why[160];
    snprintf(why, sizeof(why), "waiting for %s, which is not there", d->wanted_place);
    if (strcmp(why, d->view.reason) != 0)
        fh_deployment_set_state(d, FH_DEPLOYMENT_PLANNING, "`freehold provider list` shows what there is", "%s", why);
    fh_deployment_step_soon(d, LOOK_NS);
}

void fh_step_order(fh_deployment *d)
{
    fh_supply *s = NULL;
    FH_AUTO(fh_err) fh_err *err = NULL;
    int64_t wait = d->not_before_ns - fh_clock_mono_ns();
    if (d->order) {
        fh_deployment_set_state(d, FH_DEPLOYMENT_PROVISIONING, "", "its machine is asked for at %s", d->order->supply_name);
    } else if (!fh_orders_can_supply(d->fleet, d->wanted_place)) {
        wait_for_supply(d);
    } else if (wait > 0) {
        fh_deployment_step_soon(d, wait);
    } else {
        fh_supply_want w;
        fh_planning_reckon(d);
        if (pick_supply(d, &s, &w, &err) != 0 || begin_order(d, s, &w, &err) != 0)
            fh_step_fail(d, err);
        else
            fh_deployment_set_state(d, FH_DEPLOYMENT_PROVISIONING, "", "a machine is asked for at %s", s->name);
    }
}

static bool joined_too_late(const fh_deployment *d, const fh_order *o)
{
    int64_t since = FH_MAX(o->held_ns, d->entered_first_ns);
    return o->view.state == FH_SUPPLY_HELD && fh_clock_mono_ns() - since > FH_LIMIT_ORDER_JOIN_MS * FH_NS_PER_MS;
}

static void say_waiting(fh_deployment *d)
{
    const fh_order *o = d->order;
    const char *says = !o->supply ? "its provider is not there" : *o->view.says ? o->view.says : "its machine is on its way";
    int64_t now = fh_clock_mono_ns();
    if (strcmp(says, d->view.reason) != 0 && now - d->told_ns >= SAY_NS) {
        d->told_ns = now;
        int64_t first = d->entered_first_ns;
        fh_deployment_set_state(d, FH_DEPLOYMENT_PROVISIONING, o->view.hint, "%s", says);
        d->entered_first_ns = first;
    }
    fh_deployment_step_soon(d, LOOK_NS);
}

bool fh_step_await_machine(fh_deployment *d)
{
    fh_order *o = d->order;
    char name[80];
    snprintf(name, sizeof(name), "node/%s", o->node);
    fh_place *p = fh_fleet_place(d->fleet, name);
    const fh_node_place *np = fh_fleet_node_find(d->fleet, o->node);
    if (p && p->terms(p->ctx).there) return !fh_planning_settle_at(d, p);
    if (joined_too_late(d, o) || (np && np->draining)) {
        const char *why = np && np->draining ? "its machine is drained" : "its machine did not join in time";
        release(o, why);
        fh_step_again(d, why);
    } else {
        say_waiting(d);
    }
    return true;
}
