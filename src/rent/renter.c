/* The renter (see rent/renter.h): what is written down, how an act changes, and the step that looks at all of it. renter_look.c finds
 * offers and rents, renter_watch.c lists, ends and sweeps.
 *
 * A change of an act is made to a copy, written down, and only then done to the act: what cannot be written down does not happen, and is
 * tried again in the next step. */
#include "rent_private.h"

#include "base/log.h"
#include <stdio.h>

#define WRITE_AGAIN_NS FH_NS_PER_S

fh_rent_now fh_renter_now(const fh_renter *r)
{
    return r->c.clock(r->c.arg);
}

void fh_renter_wake_at(fh_renter *r, int64_t mono_ns)
{
    r->next_mono = FH_MIN(r->next_mono, mono_ns);
}

int64_t fh_rent_pause(unsigned failures)
{
    int64_t ns = FH_NS_PER_S << FH_MIN(failures, 6U);
    return FH_MIN(ns, FH_LIMIT_RENT_PAUSE_MS * FH_NS_PER_MS);
}

/* ---- writing ---- */

static bool written(fh_renter *r, int rc, fh_err *err)
{
    if (rc) {
        fh_log_err(FH_LOG_ERROR, "rent", err, "renting at %s waits, since its steps cannot be written down", r->c.provider);
        fh_err_free(err);
        fh_renter_wake_at(r, fh_renter_now(r).mono_ns + WRITE_AGAIN_NS);
    } else if (r->c.recorded)
        r->c.recorded(r->c.arg);
    return !rc;
}

bool fh_renter_write_act(fh_renter *r, rent_act *a, fh_rent_act *changed)
{
    fh_err *err = NULL;
    if (!written(r, fh_rent_store_act(r->c.db, r->c.provider, changed, &err), err)) return false;
    a->row = *changed;
    return true;
}

static bool write_rental(fh_renter *r, rent_rental *t, bool wanted, bool over, const char *why)
{
    fh_err *err = NULL;
    fh_rental_row before = t->row;
    t->row.wanted = wanted;
    t->row.over = over;
    snprintf(t->row.reason, sizeof t->row.reason, "%s", why);
    if (written(r, fh_rent_store_rental(r->c.db, r->c.provider, &t->row, &err), err)) return true;
    t->row = before;
    return false;
}

bool fh_renter_want_no_more(fh_renter *r, rent_rental *t, const char *why)
{
    return !t->row.wanted || write_rental(r, t, false, false, why);
}

/* ---- acts ---- */

rent_act *fh_renter_new_act(fh_renter *r, rent_rental *of, const fh_rent_act *row)
{
    rent_act *a = r->act_count < FH_COUNT(r->acts) ? fh_calloc(1, sizeof *a) : NULL;
    if (!a) return NULL;
    int64_t now = fh_renter_now(r).mono_ns;
    *a = (rent_act){.row = *row, .renter = r, .of = of, .settled_mono = now, .held_mono = now};
    r->acts[r->act_count++] = a;
    if (of) of->now = a;
    return a;
}

void fh_renter_forget_act(fh_renter *r, rent_act *a)
{
    size_t i = 0;
    while (r->acts[i] != a) i++;
    r->acts[i] = r->acts[--r->act_count];
    if (a->of) a->of->now = NULL;
    fh_free(a);
}

static void add_spent(rent_rental *t, const fh_rent_act *row)
{
    fh_rent_bill b = fh_rent_bill_of(row, row->gone_utc_ns);
    t->spent_micro += b.amount_micro;
    t->spent_s += b.most_s;
}

void fh_renter_act_over(fh_renter *r, rent_act *a, const char *why, int64_t gone_utc_ns)
{
    fh_rent_act row = a->row;
    row.phase = FH_RENT_OVER;
    row.gone_utc_ns = gone_utc_ns;
    if (why) snprintf(row.reason, sizeof row.reason, "%s", why);
    if (!fh_renter_write_act(r, a, &row)) return;
    if (a->of) add_spent(a->of, &row);
    fh_renter_forget_act(r, a);
}

bool fh_renter_begin_ending(fh_renter *r, rent_act *a, const char *why)
{
    fh_rent_act row = a->row;
    row.phase = FH_RENT_ENDING;
    snprintf(row.reason, sizeof row.reason, "%s", why);
    return fh_renter_write_act(r, a, &row);
}

void fh_rental_refuse(rent_rental *t, const char *offer, int64_t until_mono)
{
    refused_offer *o = &t->refused[t->refused_next++ % FH_LIMIT_RENT_REFUSED];
    snprintf(o->id, sizeof o->id, "%s", offer);
    o->until_mono = until_mono;
}

/* ---- rentals ---- */

static void free_rental(rent_rental *t)
{
    if (!t) return;
    fh_rental_row_fini(&t->row);
    fh_free(t);
}

static rent_rental *find(const fh_renter *r, int64_t id)
{
    for (size_t i = 0; i < r->rental_count; i++)
        if (r->rentals[i]->row.id == id) return r->rentals[i];
    return NULL;
}

/* Why the machine of a rental is to go now; NULL: it is not. */
static const char *why_end(fh_renter *r, rent_rental *t, fh_rent_now now)
{
    const rent_act *a = t->now;
    const fh_rent_want *w = &t->row.want;
    fh_rent_bill b = fh_rent_bill_of(&a->row, now.utc_ns);
    int64_t left_s = w->limit_s - t->spent_s - b.most_s, left_micro = w->limit_micro - t->spent_micro - b.amount_micro;
    if (!t->row.wanted) return t->row.reason;
    if (left_s <= 0) return "its limit of hours is reached";
    if (left_micro <= 0) return "its limit of money is reached";
    if (a->row.hour_micro > w->filter.max_hour_micro) return "it costs more than was offered";
    if (a->row.hour_micro > 0) left_s = FH_MIN(left_s, (int64_t)((__int128)left_micro * 3600 / a->row.hour_micro));
    fh_renter_wake_at(r, now.mono_ns + FH_MAX(left_s, 1) * FH_NS_PER_S);
    if (a->row.running_utc_ns) return NULL;
    int64_t late = a->held_mono + r->profile->start_ns;
    fh_renter_wake_at(r, FH_MAX(late, now.mono_ns + FH_NS_PER_S));
    return now.mono_ns >= late ? "it did not start in time" : NULL;
}

static void step_held(fh_renter *r, rent_rental *t)
{
    fh_rent_now now = fh_renter_now(r);
    const char *why = why_end(r, t, now);
    if (!why) return;
    fh_rental_refuse(t, t->now->row.offer, now.mono_ns + FH_LIMIT_RENT_REFUSED_MS * FH_NS_PER_MS);
    fh_renter_begin_ending(r, t->now, why);
}

static void step_rental(fh_renter *r, rent_rental *t)
{
    if (t->now) {
        if (t->now->row.phase == FH_RENT_HELD && !t->now->calling) step_held(r, t);
    } else if (!t->row.wanted)
        write_rental(r, t, false, true, t->row.reason);
    else if (t->spent_s >= t->row.want.limit_s || t->spent_micro >= t->row.want.limit_micro)
        fh_renter_want_no_more(r, t, "its limit is reached");
    else
        fh_renter_look(r, t);
}

static void drop_over(fh_renter *r)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->rental_count; i++) {
        rent_rental *t = r->rentals[i];
        if (!t->row.over) {
            r->rentals[kept++] = t;
            continue;
        }
        if (r->looking == t) r->looking = NULL;
        free_rental(t);
    }
    r->rental_count = kept;
}

int64_t fh_renter_step(fh_renter *r)
{
    r->next_mono = INT64_MAX;
    for (size_t i = 0; i < r->rental_count; i++) step_rental(r, r->rentals[i]);
    for (size_t i = 0; i < r->rental_count; i++)
        if (!r->rentals[i]->now) step_rental(r, r->rentals[i]); /* what was just over can go on */
    drop_over(r);
    for (size_t i = 0; i < r->act_count; i++) fh_renter_step_end(r, r->acts[i]);
    fh_renter_step_list(r);
    return r->next_mono;
}

/* ---- for others ---- */

int fh_renter_ask(fh_renter *r, const fh_rent_want *w, int64_t *ret_rental, fh_err **err)
{
    if (w->filter.max_hour_micro <= 0 || w->limit_s <= 0 || w->limit_micro <= 0 || w->look_s <= 0)
        return fh_err_set(err, FH_E_INVALID, "a machine is rented within limits only: of price, hours, money and time to look");
    if (r->rental_count == FH_LIMIT_RENTALS)
        return fh_err_set(err, FH_E_CONFLICT, "%d machines are rented of %s already, which is the most", FH_LIMIT_RENTALS, r->c.provider);
    rent_rental *t = fh_calloc(1, sizeof *t);
    if (!t) return fh_err_nomem(err);
    t->row.wanted = true;
    t->row.asked_utc_ns = fh_renter_now(r).utc_ns;
    memcpy(t->row.epoch, r->c.identity.epoch, sizeof t->row.epoch);
    int rc = fh_rental_row_copy_want(&t->row, w, err);
    if (!rc) rc = fh_rent_store_rental(r->c.db, r->c.provider, &t->row, err);
    if (rc) {
        free_rental(t);
        return rc;
    }
    r->rentals[r->rental_count++] = t;
    *ret_rental = t->row.id;
    if (r->c.recorded) r->c.recorded(r->c.arg);
    return 0;
}

int fh_renter_end(fh_renter *r, int64_t id, const char *why, fh_err **err)
{
    rent_rental *t = find(r, id);
    if (!t) return fh_err_set(err, FH_E_NOT_FOUND, "there is no rental %lld at %s", (long long)id, r->c.provider);
    if (fh_renter_want_no_more(r, t, why)) return 0;
    return fh_err_set(err, FH_E_IO, "the end of rental %lld cannot be written down", (long long)id);
}

bool fh_renter_find(const fh_renter *r, int64_t id, fh_rental_view *ret)
{
    const rent_rental *t = find(r, id);
    if (!t) return false;
    *ret = (fh_rental_view){.id = id,
                            .wanted = t->row.wanted,
                            .over = t->row.over,
                            .spent_micro = t->spent_micro,
                            .spent_s = t->spent_s,
                            .act = t->now ? &t->now->row : NULL};
    memcpy(ret->reason, t->row.reason, sizeof ret->reason);
    return true;
}

typedef struct telling {
    void (*each)(void *arg, const fh_rent_act *a);
    void *arg;
} telling;

static int tell_act(void *arg, const fh_rent_act *a, fh_err **err)
{
    const telling *t = arg;
    (void)err;
    t->each(t->arg, a);
    return 0;
}

int fh_renter_acts(fh_db *db, const char *provider, int64_t rental, void (*each)(void *arg, const fh_rent_act *a), void *arg, fh_err **err)
{
    telling t = {each, arg};
    return fh_rent_load_acts(db, provider, rental, tell_act, &t, err);
}

/* ---- opening ---- */

static int load_rental(void *arg, fh_rental_row *row, fh_err **err)
{
    fh_renter *r = arg;
    bool ours = false;
    int rc = fh_rent_epoch_is_ours(r->c.db, row->epoch, &ours, NULL, err);
    if (rc) return rc;
    rent_rental *t = ours && r->rental_count < FH_LIMIT_RENTALS ? fh_calloc(1, sizeof *t) : NULL;
    if (!t && ours) return fh_err_nomem(err);
    if (!ours) { /* another database's, for all we know */
        fh_rental_row_fini(row);
        return 0;
    }
    t->row = *row;
    t->row.want.filter.device = t->row.device[0] ? t->row.device : NULL;
    t->row.want.filter.region = t->row.region[0] ? t->row.region : NULL;
    r->rentals[r->rental_count++] = t;
    return 0;
}

static int load_act(void *arg, const fh_rent_act *row, fh_err **err)
{
    fh_renter *r = arg;
    rent_rental *t = find(r, row->rental);
    bool ours = false;
    int rc = fh_rent_epoch_is_ours(r->c.db, row->epoch, &ours, NULL, err);
    if (rc || !ours) return rc;
    if (row->phase != FH_RENT_OVER) return fh_renter_new_act(r, t, row) ? 0 : fh_err_nomem(err);
    if (t) add_spent(t, row);
    return 0;
}

int fh_renter_open(fh_renter **ret, const fh_renter_config *c, fh_err **err)
{
    FH_AUTO(fh_renter) fh_renter *r = fh_calloc(1, sizeof *r);
    if (!r) return fh_err_nomem(err);
    r->c = *c;
    r->profile = c->port->profile;
    int64_t epochs = 0;
    int rc = fh_rent_epochs_count(c->db, &epochs, err);
    /* After a copy was taken over, acts may be missing that were begun a moment ago. */
    r->clean_after_mono = fh_renter_now(r).mono_ns + (epochs > 1 ? r->profile->lag_ns + r->profile->settle_ns : 0);
    if (!rc) rc = fh_rent_load_rentals(c->db, c->provider, load_rental, r, err);
    if (!rc) rc = fh_rent_load_acts(c->db, c->provider, FH_RENT_OPEN, load_act, r, err);
    if (!rc) *ret = fh_take(r);
    return rc;
}

void fh_renter_close(fh_renter *r)
{
    if (!r) return;
    for (size_t i = 0; i < r->rental_count; i++) free_rental(r->rentals[i]);
    for (size_t i = 0; i < r->act_count; i++) fh_free(r->acts[i]);
    fh_free(r->offers);
    fh_free(r);
}
