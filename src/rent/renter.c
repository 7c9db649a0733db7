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

static bool write_rental(fh_renter *r, rent_rental *t, const fh_rental_row *changed)
{
    fh_err *err = NULL;
    fh_rental_row row = *changed;
    if (!written(r, fh_rent_store_rental(r->c.db, r->c.provider, &row, &err), err)) return false;
    t->row = row;
    return true;
}

bool fh_renter_want_no_more(fh_renter *r, rent_rental *t, const char *why)
{
    fh_rental_row row = t->row;
    if (!row.wanted) return true;
    row.wanted = false;
    snprintf(row.reason, sizeof row.reason, "%s", why);
    return write_rental(r, t, &row);
}

static void rental_over(fh_renter *r, rent_rental *t)
{
    fh_rental_row row = t->row;
    row.over = true;
    write_rental(r, t, &row);
}

/* Its machine was in use, and went by itself. */
static void rental_lost(fh_renter *r, rent_rental *t)
{
    fh_rental_row row = t->row;
    row.wanted = false;
    row.over = row.lost = true;
    snprintf(row.reason, sizeof row.reason, "%s", t->went);
    write_rental(r, t, &row);
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
    memcpy(t->went, row->reason, sizeof t->went);
}

void fh_renter_act_over(fh_renter *r, rent_act *a, const char *why, int64_t gone_utc_ns)
{
    fh_rent_act row = a->row;
    row.phase = FH_RENT_OVER;
    row.gone_utc_ns = gone_utc_ns;
    if (why) snprintf(row.reason, sizeof row.reason, "%s", why);
    if (!fh_renter_write_act(r, a, &row)) return;
    if (a->of) add_spent(a->of, &row);
    r->bill_not_before = FH_MIN(r->bill_not_before, fh_renter_now(r).mono_ns + r->profile->bill_ns);
    fh_renter_forget_act(r, a);
}

bool fh_renter_begin_ending(fh_renter *r, rent_act *a, const char *why)
{
    fh_rent_act row = a->row;
    row.phase = FH_RENT_ENDING;
    snprintf(row.reason, sizeof row.reason, "%s", why);
    return fh_renter_write_act(r, a, &row);
}

void fh_renter_refuse(fh_renter *r, const char *offer)
{
    refused_offer *o = &r->refused[r->refused_next++ % FH_LIMIT_RENT_REFUSED];
    snprintf(o->id, sizeof o->id, "%s", offer);
    o->until_mono = fh_renter_now(r).mono_ns + FH_LIMIT_RENT_REFUSED_MS * FH_NS_PER_MS;
}

void fh_renter_heard(const fh_renter *r)
{
    if (r->c.heard) r->c.heard(r->c.arg);
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

/* What is left of its limits, at the price of the machine that it has. */
static int64_t left_s_of(const rent_rental *t, int64_t utc_ns)
{
    const fh_rent_act *a = &t->now->row;
    fh_rent_bill b = fh_rent_bill_of(a, utc_ns);
    int64_t left_s = t->row.want.limit_s - t->spent_s - b.most_s, left_micro = t->row.want.limit_micro - t->spent_micro - b.amount_micro;
    if (a->hour_micro <= 0) return left_s;
    return FH_MIN(left_s, (int64_t)((__int128)left_micro * 3600 / a->hour_micro));
}

/* Why the machine of a rental is to go now; NULL: it is not. */
static const char *why_end(fh_renter *r, rent_rental *t, fh_rent_now now)
{
    const rent_act *a = t->now;
    int64_t left_s = left_s_of(t, now.utc_ns);
    if (!t->row.wanted) return t->row.reason;
    if (left_s <= 0 && !fh_renter_want_no_more(r, t, "its limit of hours or of money is reached")) return NULL;
    if (left_s <= 0) return t->row.reason;
    if (a->row.hour_micro > t->row.want.filter.max_hour_micro) return "it costs more than was offered";
    fh_renter_wake_at(r, now.mono_ns + FH_MAX(left_s, 1) * FH_NS_PER_S);
    if (a->row.running_utc_ns || t->row.arrived) return NULL;
    int64_t late = a->held_mono + r->profile->start_ns;
    fh_renter_wake_at(r, FH_MAX(late, now.mono_ns + FH_NS_PER_S));
    return now.mono_ns >= late ? "it did not start in time" : NULL;
}

static void give_back(fh_renter *r, rent_rental *t, const char *why)
{
    fh_renter_refuse(r, t->now->row.offer);
    fh_renter_begin_ending(r, t->now, why);
}

static void step_held(fh_renter *r, rent_rental *t)
{
    const char *why = why_end(r, t, fh_renter_now(r));
    if (!why) return;
    if (t->row.wanted)
        give_back(r, t, why);
    else
        fh_renter_begin_ending(r, t->now, why);
}

static void step_rental(fh_renter *r, rent_rental *t)
{
    if (t->now) {
        if (t->now->row.phase == FH_RENT_HELD && !t->now->calling) step_held(r, t);
    } else if (!t->row.wanted)
        rental_over(r, t);
    else if (t->row.arrived)
        rental_lost(r, t);
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
    fh_renter_step_bill(r);
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

int fh_renter_arrived(fh_renter *r, int64_t id, fh_err **err)
{
    rent_rental *t = find(r, id);
    if (!t) return fh_err_set(err, FH_E_NOT_FOUND, "there is no rental %lld at %s", (long long)id, r->c.provider);
    fh_rental_row row = t->row;
    if (row.arrived) return 0;
    row.arrived = true;
    if (write_rental(r, t, &row)) return 0;
    return fh_err_set(err, FH_E_IO, "it cannot be written down that the machine of rental %lld is in use", (long long)id);
}

int fh_renter_give_back(fh_renter *r, int64_t id, const char *why, fh_err **err)
{
    rent_rental *t = find(r, id);
    if (!t) return fh_err_set(err, FH_E_NOT_FOUND, "there is no rental %lld at %s", (long long)id, r->c.provider);
    if (t->now && t->now->row.phase == FH_RENT_HELD && !t->now->calling) give_back(r, t, why);
    return 0;
}

static void view_row(const fh_rental_row *row, fh_rental_view *ret)
{
    *ret = (fh_rental_view){.id = row->id,
                            .wanted = row->wanted,
                            .over = row->over,
                            .arrived = row->arrived,
                            .lost = row->lost,
                            .order = row->want.order,
                            .limit_s = row->want.limit_s,
                            .limit_micro = row->want.limit_micro,
                            .max_hour_micro = row->want.filter.max_hour_micro,
                            .asked_utc_ns = row->asked_utc_ns};
    memcpy(ret->reason, row->reason, sizeof ret->reason);
}

static void view_spent(fh_rental_view *v, const fh_rent_act *a, int64_t now_utc_ns)
{
    v->spent_micro += fh_rent_bill_of(a, now_utc_ns).amount_micro;
}

bool fh_renter_find(const fh_renter *r, int64_t id, fh_rental_view *ret)
{
    const rent_rental *t = find(r, id);
    if (!t) return false;
    view_row(&t->row, ret);
    if (!ret->reason[0]) memcpy(ret->reason, t->went, sizeof ret->reason);
    ret->spent_micro = t->spent_micro;
    if (!t->now) return true;
    int64_t now = fh_renter_now(r).utc_ns;
    ret->act = &t->now->row;
    view_spent(ret, ret->act, now);
    ret->ends_utc_ns = now + FH_MAX(left_s_of(t, now), 0) * FH_NS_PER_S;
    return true;
}

static rent_rental *find_order(const fh_renter *r, int64_t order)
{
    for (size_t i = 0; i < r->rental_count; i++)
        if (r->rentals[i]->row.want.order == order) return r->rentals[i];
    return NULL;
}

bool fh_renter_find_order(const fh_renter *r, int64_t order, fh_rental_view *ret)
{
    const rent_rental *t = find_order(r, order);
    return t && fh_renter_find(r, t->row.id, ret);
}

int fh_renter_release_order(fh_renter *r, fh_db *db, const char *provider, int64_t order, const char *why, fh_err **err)
{
    const rent_rental *t = r ? find_order(r, order) : NULL;
    if (t) return fh_renter_end(r, t->row.id, why, err);
    return fh_db_exec(db, err, "UPDATE rentals SET wanted = 0, reason = ?3 WHERE provider = ?1 AND order_id = ?2 AND wanted AND NOT over",
                      "sis", provider, order, why);
}

/* What is written, summed up a rental at a time. */
typedef struct summing {
    fh_db *db;
    const char *provider;
    int64_t now_utc_ns;
    fh_rental_view view;
    bool said;                                        /* the rental's own reason is there */
    void (*each)(void *arg, const fh_rental_view *v); /* NULL: the one in view is wanted */
    void *arg;
} summing;

static int sum_act(void *arg, const fh_rent_act *a, fh_err **err)
{
    summing *s = arg;
    (void)err;
    view_spent(&s->view, a, s->now_utc_ns);
    if (!s->said) memcpy(s->view.reason, a->reason, sizeof s->view.reason); /* why its last try ended */
    return 0;
}

static int sum_rental(void *arg, fh_rental_row *row, fh_err **err)
{
    summing *s = arg;
    bool ours = true;
    view_row(row, &s->view);
    s->said = s->view.reason[0];
    int rc = fh_rent_epoch_is_ours(s->db, row->epoch, &ours, NULL, err);
    s->view.former = !ours;
    if (!rc) rc = fh_rent_load_acts(s->db, s->provider, row->id, sum_act, s, err);
    if (rc) return rc;
    if (s->each) s->each(s->arg, &s->view);
    fh_rental_row_fini(row);
    return 0;
}

int fh_renter_of_order(fh_db *db, const char *provider, int64_t order, int64_t now_utc_ns, fh_rental_view *ret, fh_err **err)
{
    summing s = {.db = db, .provider = provider, .now_utc_ns = now_utc_ns};
    int rc = fh_rent_load_rentals(db, provider, order, sum_rental, &s, err);
    if (!rc && !s.view.id) rc = fh_err_set(err, FH_E_NOT_FOUND, "nothing was rented of %s for order %lld", provider, (long long)order);
    if (!rc) *ret = s.view;
    return rc;
}

int fh_renter_rentals(fh_db *db, const char *provider, int64_t now_utc_ns, void (*each)(void *arg, const fh_rental_view *v), void *arg,
                      fh_err **err)
{
    summing s = {.db = db, .provider = provider, .now_utc_ns = now_utc_ns, .each = each, .arg = arg};
    return fh_rent_load_rentals(db, provider, FH_RENT_LAST, sum_rental, &s, err);
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
    if (!rc) rc = fh_rent_load_rentals(c->db, c->provider, FH_RENT_OPEN, load_rental, r, err);
    if (!rc) rc = fh_rent_load_acts(c->db, c->provider, FH_RENT_OPEN, load_act, r, err);
    if (!rc) *ret = fh_take(r);
    return rc;
}

void fh_renter_close(fh_renter *r)
{
    if (!r) return;
    for (size_t i = 0; i < r->rental_count; i++) free_rental(r->rentals[i]);
    for (size_t i = 0; i < r->act_count; i++) fh_free(r->acts[i]);
    fh_free(r->billing);
    fh_free(r->offers);
    fh_free(r);
}
