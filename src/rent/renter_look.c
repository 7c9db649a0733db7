/* Finding an offer and renting it. */
#include "rent_private.h"

#include "base/log.h"
#include <stdio.h>

#define LOOK_AGAIN_NS (30 * FH_NS_PER_S)

static bool is_refused(const fh_renter *r, const char *offer, int64_t now)
{
    for (size_t i = 0; i < FH_COUNT(r->refused); i++)
        if (r->refused[i].until_mono > now && strcmp(r->refused[i].id, offer) == 0) return true;
    return false;
}

/* How near it is to what was picked: 2 the very offer, 1 one of its kind. */
static int nearness(const fh_rent_want *w, const fh_rent_offer *o)
{
    char kind[FH_RENT_KIND_CHARS];
    if (!w->offer[0]) return 0;
    if (strcmp(o->id, w->offer) == 0) return 2;
    fh_rent_offer_kind(o, kind);
    return strcmp(kind, w->offer_kind) == 0;
}

static bool is_preferred(const fh_rent_want *w, const fh_rent_offer *a, const fh_rent_offer *b)
{
    int near_a = nearness(w, a), near_b = nearness(w, b);
    return near_a != near_b ? near_a > near_b : fh_rent_offer_is_better(a, b);
}

static const fh_rent_offer *best_offer(const fh_renter *r, const rent_rental *t, int64_t now)
{
    const fh_rent_offer *best = NULL;
    for (size_t i = 0; i < r->offer_count; i++) {
        const fh_rent_offer *o = &r->offers[i];
        if (!fh_rent_offer_fits(o, &t->row.want.filter) || is_refused(r, o->id, now)) continue;
        if (!best || is_preferred(&t->row.want, o, best)) best = o;
    }
    return best;
}

/* ---- renting ---- */

static void hold(fh_renter *r, rent_act *a, const fh_rent_machine *m)
{
    fh_rent_now now = fh_renter_now(r);
    fh_rent_act row = a->row;
    row.phase = FH_RENT_HELD;
    memcpy(row.machine, m->id, sizeof row.machine);
    memcpy(row.address, m->address, sizeof row.address);
    if (m->hour_micro) row.hour_micro = m->hour_micro;
    row.held_utc_ns = row.alive_utc_ns = now.utc_ns;
    row.started_utc_ns = m->started_utc_ns;
    if (!fh_renter_write_act(r, a, &row)) return; /* the next list shows it again */
    a->held_mono = now.mono_ns;
    a->of->looking_mono = 0;
}

static void refused(fh_renter *r, rent_act *a, fh_rent_reply reply, const fh_err *err)
{
    char why[128];
    int64_t now = fh_renter_now(r).mono_ns;
    snprintf(why, sizeof why, "%s: %s", reply == FH_RENT_BUSY ? "the provider is busy" : "refused", err ? fh_err_message(err) : "");
    if (reply == FH_RENT_BUSY)
        r->rent_not_before = now + fh_rent_pause(r->rent_failures++);
    else
        fh_renter_refuse(r, a->row.offer);
    fh_renter_act_over(r, a, why, a->row.asked_utc_ns); /* there never was a machine */
}

static void judge(fh_renter *r, rent_act *a, fh_rent_reply reply, const fh_rent_machine *m, const fh_err *err)
{
    int64_t now = fh_renter_now(r).mono_ns;
    a->calling = false;
    a->settled_mono = now;
    r->rent_not_before = now + r->profile->rent_gap_ns;
    r->list_not_before = FH_MIN(r->list_not_before, now);
    if (reply == FH_RENT_REFUSED || reply == FH_RENT_BUSY) {
        refused(r, a, reply, err);
        return;
    }
    r->rent_failures = 0;
    if (reply == FH_RENT_DONE && m && m->id[0])
        hold(r, a, m);
    else
        fh_log_err(FH_LOG_WARN, "rent", err, "it is not known whether %s rented a machine: its list will tell", r->c.provider);
}

static void rented(void *arg, fh_rent_reply reply, const fh_rent_machine *m, const fh_err *err)
{
    rent_act *a = arg;
    fh_renter *r = a->renter;
    judge(r, a, reply, m, err); /* a may be over */
    fh_renter_heard(r);
}

/* Until when the machine may live, by what its rental has left at this price. */
static int64_t limit_s(const rent_rental *t, const fh_rent_offer *o)
{
    int64_t s = t->row.want.limit_s - t->spent_s;
    if (o->hour_micro <= 0) return s;
    return FH_MIN(s, (int64_t)((__int128)(t->row.want.limit_micro - t->spent_micro) * 3600 / o->hour_micro));
}

static int send(fh_renter *r, rent_act *a, const fh_rent_offer *o, fh_err **err)
{
    char tag[FH_RENT_TAG_CHARS], token[256];
    const fh_rent_want *w = &a->of->row.want;
    FH_AUTO(ptr) char *onstart = fh_rent_onstart(r->profile, limit_s(a->of, o), w->run);
    if (!onstart) return fh_err_nomem(err);
    fh_rent_tag_write(r->c.identity.installation, a->row.epoch, a->row.id, tag);
    const fh_rent_env env = {FH_RENT_TOKEN, token};
    fh_rent_spec spec = {.offer = o, .tag = tag, .image = w->image, .env = &env, .env_count = r->c.token != NULL, .onstart = onstart};
    int rc = r->c.token ? r->c.token(r->c.arg, token, sizeof token, err) : 0;
    if (!rc) rc = fh_rent_witness_write(r->c.witness, a->row.id, err);
    if (!rc) rc = r->c.port->rent(r->c.port->ctx, &spec, rented, a, err);
    explicit_bzero(token, sizeof token);
    return rc;
}

static void rent(fh_renter *r, rent_rental *t, const fh_rent_offer *o)
{
    fh_err *err = NULL;
    fh_rent_act row = {.rental = t->row.id, .phase = FH_RENT_BEGUN, .hour_micro = o->hour_micro, .charged_micro = -1};
    memcpy(row.epoch, r->c.identity.epoch, sizeof row.epoch);
    memcpy(row.offer, o->id, sizeof row.offer);
    row.asked_utc_ns = fh_renter_now(r).utc_ns;
    if (t->row.want.offer[0] && !nearness(&t->row.want, o))
        snprintf(row.reason, sizeof row.reason, "%s is not to be had now, this is the next-best", t->row.want.offer_kind);
    rent_act *a = fh_renter_new_act(r, t, &row);
    if (!a) return;
    a->calling = true;
    if (!fh_renter_write_act(r, a, &row)) {
        fh_renter_forget_act(r, a);
        return;
    }
    if (send(r, a, o, &err) == 0) return;
    fh_log_err(FH_LOG_WARN, "rent", err, "%s cannot be asked for a machine", r->c.provider);
    fh_err_free(err);
    a->calling = false;
    r->rent_not_before = fh_renter_now(r).mono_ns + fh_rent_pause(r->rent_failures++);
    fh_renter_act_over(r, a, "it could not be asked for", a->row.asked_utc_ns);
}

/* ---- offers ---- */

static void keep_offers(fh_renter *r, const fh_rent_offer *offers, size_t count, const fh_err *err)
{
    int64_t now = fh_renter_now(r).mono_ns;
    r->offers_calling = false;
    fh_rent_offer *copy = err ? NULL : fh_calloc(count + 1, sizeof *copy);
    if (!copy) {
        r->offers_not_before = now + fh_rent_pause(r->offers_failures++);
        return;
    }
    if (count) memcpy(copy, offers, count * sizeof *copy);
    fh_free(r->offers);
    r->offers = copy;
    r->offer_count = count;
    r->offers_mono = now;
    r->offers_failures = 0;
}

static void offered(void *arg, const fh_rent_offer *offers, size_t count, const fh_err *err)
{
    keep_offers(arg, offers, count, err);
    fh_renter_heard(arg);
}

static void ask_offers(fh_renter *r, rent_rental *t, int64_t now)
{
    fh_err *err = NULL;
    if (r->offers_calling) return; /* its answer is followed by a step */
    if (now < r->offers_not_before) {
        fh_renter_wake_at(r, r->offers_not_before);
        return;
    }
    r->looking = t;
    r->offers_calling = r->c.port->offers(r->c.port->ctx, &t->row.want.filter, offered, r, &err) == 0;
    if (!r->offers_calling) {
        r->offers_not_before = now + fh_rent_pause(r->offers_failures++);
        fh_renter_wake_at(r, r->offers_not_before);
    }
    fh_err_free(err);
}

void fh_renter_look(fh_renter *r, rent_rental *t)
{
    int64_t now = fh_renter_now(r).mono_ns, not_before = FH_MAX(t->not_before_mono, r->rent_not_before);
    if (!t->looking_mono) t->looking_mono = now;
    int64_t until = t->looking_mono + t->row.want.look_s * FH_NS_PER_S;
    if (now >= until) {
        fh_renter_want_no_more(r, t, "no offer within its limits could be rented in time");
        fh_renter_wake_at(r, now);
        return;
    }
    fh_renter_wake_at(r, until);
    if (now < not_before) fh_renter_wake_at(r, not_before);
    if (now < not_before || !r->clean) return; /* a machine that nothing accounts for may be the one that is wanted */
    bool fresh = r->looking == t && r->offers_mono && now - r->offers_mono < FH_LIMIT_RENT_OFFERS_MS * FH_NS_PER_MS;
    if (!fresh || r->offers_calling) {
        ask_offers(r, t, now);
        return;
    }
    const fh_rent_offer *best = best_offer(r, t, now);
    if (best) {
        fh_rent_offer chosen = *best; /* the list may be replaced */
        rent(r, t, &chosen);
    } else {
        t->not_before_mono = now + LOOK_AGAIN_NS;
        fh_renter_wake_at(r, t->not_before_mono);
    }
}
