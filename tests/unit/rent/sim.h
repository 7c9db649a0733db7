/* A provider of machines on a virtual clock: what was asked takes effect later or not at all, replies get lost, lists are behind the truth,
 * machines of others stand on the same account. It keeps the truth, against which the renter's books are held. */
#ifndef FH_TEST_RENT_SIM_H
#define FH_TEST_RENT_SIM_H

#include "base/clock.h"
#include "rent_private.h"

#include <inttypes.h>
#include <stdio.h>

#define S            ((int64_t)FH_NS_PER_S)
#define SIM_UTC0     1800000000000000000LL
#define SIM_MACHINES 512
#define SIM_EVENTS   512
#define SIM_OFFERS   6

typedef struct sim_machine {
    char id[24], tag[FH_RENT_TAG_CHARS];
    int64_t made, runs, gone; /* on the virtual clock; runs INT64_MAX: never; gone INT64_MAX: not */
    int64_t hour_micro, rental;
    int64_t asked_end; /* when its end was asked for first; 0: never */
    bool foreign;
} sim_machine;

typedef struct sim_event {
    int64_t at;
    int kind; /* enum below */
    unsigned generation;
    int machine;
    int64_t hour_micro;
    fh_rent_reply reply;
    bool failed;
    union {
        fh_rent_rented_fn *rented;
        fh_rent_ended_fn *ended;
        fh_rent_list_fn *listed;
        fh_rent_offers_fn *offered;
    } done;
    void *arg;
} sim_event;
enum { SIM_MAKE, SIM_RENTED, SIM_STOP, SIM_ENDED, SIM_LISTED, SIM_OFFERED };

typedef struct sim {
    uint64_t random;
    int64_t now;
    const fh_rent_profile *profile;
    fh_rental port;
    fh_db *db;
    fh_rent_identity identity;
    bool doubt;          /* former epochs are not taken over: nothing of them may be ended */
    bool calm;           /* no faults any more */
    unsigned generation; /* of the process: replies to a former one go nowhere */
    sim_machine machines[SIM_MACHINES];
    int machine_count;
    sim_event events[SIM_EVENTS];
    int event_count;
    char fault[256]; /* what must never happen, and did; "" */
    int rents, ends;
} sim;

static inline uint64_t sim_next(sim *m)
{
    uint64_t z = (m->random += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static inline int64_t sim_below(sim *m, int64_t n)
{
    return (int64_t)(sim_next(m) % (uint64_t)n);
}

static inline bool sim_chance(sim *m, int percent)
{
    return !m->calm && sim_below(m, 100) < percent;
}

static inline void sim_broke(sim *m, const char *what, const char *machine)
{
    if (!m->fault[0]) snprintf(m->fault, sizeof m->fault, "%s: %s at %" PRId64 " s", what, machine, m->now / S);
}

static inline sim_event *sim_push(sim *m, int kind, int64_t at)
{
    if (m->event_count == SIM_EVENTS) {
        sim_broke(m, "too many events", "");
        m->event_count--;
    }
    sim_event *e = &m->events[m->event_count++];
    *e = (sim_event){.at = at, .kind = kind, .generation = m->generation, .machine = -1};
    return e;
}

static inline bool sim_alive(const sim_machine *x, int64_t at)
{
    return x->made <= at && x->gone > at;
}

/* ---- the port ---- */

/* Whose act that is; it must be written down by the time that it is asked for. */
static inline int64_t sim_rental_of(sim *m, const char *tag)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    char installation[17], epoch[17];
    int64_t number = 0;
    bool row = false;
    if (!fh_rent_tag_read(tag, installation, epoch, &number)) sim_broke(m, "rented without its mark", tag);
    if (!fh_db_query(m->db, &s, NULL, "SELECT rental FROM rent_acts WHERE id = ?1", "i", number)) fh_stmt_step(s, &row, NULL);
    if (!row) sim_broke(m, "rented before it was written down", tag);
    return row ? fh_stmt_int(s, 0) : -1;
}

enum { SIM_OK, SIM_BEFORE, SIM_LOST, SIM_LATE, SIM_5XX, SIM_BUSY, SIM_CAPACITY, SIM_PRICE, SIM_LIE, SIM_FAULTS };

static inline int sim_fault(sim *m)
{
    return sim_chance(m, 45) ? 1 + (int)sim_below(m, SIM_FAULTS - 1) : SIM_OK;
}

/* When it takes effect; INT64_MAX: never. */
static inline int64_t sim_effect_at(sim *m, int fault, int64_t cut)
{
    int64_t soon = m->now + sim_below(m, 3 * S) + 1;
    if (fault == SIM_LATE) return cut + sim_below(m, 59 * S); /* the profile's settle_ns is 60 s */
    if (fault == SIM_5XX) return sim_below(m, 2) ? soon : INT64_MAX;
    return fault == SIM_OK || fault == SIM_LOST || fault == SIM_PRICE || fault == SIM_LIE ? soon : INT64_MAX;
}

static inline int sim_rent(void *ctx, const fh_rent_spec *spec, fh_rent_rented_fn *done, void *arg, fh_err **err)
{
    sim *m = ctx;
    int fault = sim_fault(m);
    int64_t cut = m->now + 10 * S + sim_below(m, 20 * S), effect = sim_effect_at(m, fault, cut);
    if (sim_chance(m, 3)) return fh_err_set(err, FH_E_NOMEM, "not sent");
    m->rents++;
    bool refuses = fault == SIM_CAPACITY || (fault == SIM_PRICE && strcmp(m->profile->kind, "vast") == 0);
    if (refuses || fault == SIM_BUSY) effect = INT64_MAX;
    int made = -1;
    if (effect != INT64_MAX) {
        sim_event *make = sim_push(m, SIM_MAKE, effect);
        make->hour_micro = spec->offer->hour_micro * (fault == SIM_PRICE ? 3 : 1);
        make->machine = made = m->machine_count++;
        if (m->machine_count == SIM_MACHINES) sim_broke(m, "too many machines", "");
        m->machines[made] = (sim_machine){.made = INT64_MAX, .gone = INT64_MAX, .runs = INT64_MAX};
        snprintf(m->machines[made].id, sizeof m->machines[made].id, "m%d", made);
        snprintf(m->machines[made].tag, sizeof m->machines[made].tag, "%s", spec->tag);
        m->machines[made].rental = sim_rental_of(m, spec->tag);
    }
    bool answers = fault == SIM_OK || fault == SIM_PRICE || fault == SIM_LIE;
    sim_event *reply = sim_push(m, SIM_RENTED, answers && effect != INT64_MAX ? effect + 1 + sim_below(m, 2 * S) : cut);
    reply->reply = refuses ? FH_RENT_REFUSED : fault == SIM_BUSY ? FH_RENT_BUSY : answers ? FH_RENT_DONE : FH_RENT_UNSURE;
    reply->machine = made;
    reply->done.rented = done;
    reply->arg = arg;
    return 0;
}

static inline int sim_end(void *ctx, const char *machine, fh_rent_ended_fn *done, void *arg, fh_err **err)
{
    sim *m = ctx;
    int fault = sim_fault(m), which = -1;
    if (sim_chance(m, 3)) return fh_err_set(err, FH_E_NOMEM, "not sent");
    for (int i = 0; i < m->machine_count; i++)
        if (strcmp(m->machines[i].id, machine) == 0) which = i;
    m->ends++;
    if (which < 0) sim_broke(m, "ended what never was", machine);
    int64_t cut = m->now + 10 * S, effect = sim_effect_at(m, fault == SIM_PRICE ? SIM_OK : fault, cut);
    if (which >= 0 && !m->machines[which].asked_end) m->machines[which].asked_end = m->now;
    if (fault == SIM_LIE && which >= 0 && m->machines[which].gone > m->now) m->machines[which].gone = INT64_MAX;
    if (effect != INT64_MAX && fault != SIM_LIE) { /* a lie: it says that it ended it, and did not */
        sim_event *stop = sim_push(m, SIM_STOP, effect);
        stop->machine = which;
    }
    bool answers = fault == SIM_OK || fault == SIM_PRICE || fault == SIM_LIE;
    sim_event *reply = sim_push(m, SIM_ENDED, answers ? effect + 1 + sim_below(m, 2 * S) : cut);
    /* whether it was there is known when it takes effect: SIM_STOP says so here */
    reply->reply = answers ? FH_RENT_DONE : fault == SIM_BUSY ? FH_RENT_BUSY : FH_RENT_UNSURE;
    reply->machine = which;
    reply->done.ended = done;
    reply->arg = arg;
    return 0;
}

static inline int sim_list(void *ctx, fh_rent_list_fn *done, void *arg, fh_err **err)
{
    sim *m = ctx;
    if (sim_chance(m, 3)) return fh_err_set(err, FH_E_NOMEM, "not sent");
    sim_event *e = sim_push(m, SIM_LISTED, m->now + 1 + sim_below(m, 3 * S));
    e->failed = sim_chance(m, 15);
    e->done.listed = done;
    e->arg = arg;
    return 0;
}

static inline int sim_offers(void *ctx, const fh_rent_filter *f, fh_rent_offers_fn *done, void *arg, fh_err **err)
{
    sim *m = ctx;
    (void)f;
    if (sim_chance(m, 3)) return fh_err_set(err, FH_E_NOMEM, "not sent");
    sim_event *e = sim_push(m, SIM_OFFERED, m->now + 1 + sim_below(m, 5 * S));
    e->failed = sim_chance(m, 15);
    e->done.offered = done;
    e->arg = arg;
    return 0;
}

/* ---- what happens ---- */

static inline void sim_made(sim *m, const sim_event *e)
{
    sim_machine *x = &m->machines[e->machine];
    x->made = m->now;
    x->hour_micro = e->hour_micro;
    x->runs = sim_chance(m, 15) ? INT64_MAX : m->now + 30 * S + sim_below(m, 400 * S);
    if (sim_chance(m, 10)) x->gone = m->now + sim_below(m, 3600 * S); /* a spot offer taken away */
    for (int i = 0; i < m->machine_count; i++) {
        sim_machine *y = &m->machines[i];
        if (y != x && !y->foreign && y->rental == x->rental && sim_alive(y, m->now)) sim_broke(m, "rented twice", x->id);
    }
}

static inline void sim_stopped(sim *m, const sim_event *e)
{
    sim_machine *x = &m->machines[e->machine];
    char installation[17], epoch[17];
    int64_t number = 0;
    bool was = sim_alive(x, m->now), marked = fh_rent_tag_read(x->tag, installation, epoch, &number);
    if (x->foreign || !marked) sim_broke(m, "ended what is not ours", x->id);
    if (m->doubt && e->generation == m->generation && strcmp(epoch, m->identity.epoch) != 0)
        sim_broke(m, "ended of a former epoch without having been told to", x->id);
    if (was) x->gone = m->now;
    if (was) return;
    for (int i = 0; i < m->event_count; i++) /* it was gone before: the reply that follows says so */
        if (m->events[i].kind == SIM_ENDED && m->events[i].machine == e->machine && m->events[i].reply == FH_RENT_DONE)
            m->events[i].reply = FH_RENT_GONE;
}

static inline void sim_tell_list(sim *m, const sim_event *e)
{
    static fh_rent_machine list[SIM_MACHINES];
    size_t n = 0;
    int64_t as_of = m->now - sim_below(m, m->profile->lag_ns + 1);
    FH_AUTO(fh_err) fh_err *err = NULL;
    if (e->failed) fh_err_set(&err, FH_E_UPSTREAM, "no list");
    for (int i = 0; i < m->machine_count; i++) {
        const sim_machine *x = &m->machines[i];
        bool alive = sim_alive(x, as_of), shown_ended = x->gone <= as_of && x->made < as_of && i % 3 == 0;
        if (!alive && !shown_ended) continue;
        fh_rent_machine *o = &list[n++];
        *o = (fh_rent_machine){.hour_micro = x->hour_micro};
        snprintf(o->id, sizeof o->id, "%s", x->id);
        snprintf(o->tag, sizeof o->tag, "%s", x->tag);
        o->status = !alive ? FH_RENT_ENDED : x->runs <= as_of ? FH_RENT_RUNNING : FH_RENT_PROVISIONING;
        if (m->profile->bills) o->started_utc_ns = SIM_UTC0 + x->made; /* Lambda does not say */
    }
    e->done.listed(e->arg, list, n, err);
}

static inline void sim_tell_offers(sim *m, const sim_event *e)
{
    fh_rent_offer offers[SIM_OFFERS];
    FH_AUTO(fh_err) fh_err *err = NULL;
    if (e->failed) fh_err_set(&err, FH_E_UPSTREAM, "no offers");
    for (int i = 0; i < SIM_OFFERS; i++) {
        offers[i] = (fh_rent_offer){.gpus = 1, .currency = "USD", .hour_micro = 1000000 + sim_below(m, 3000000)};
        snprintf(offers[i].id, sizeof offers[i].id, "offer-%d", i);
    }
    e->done.offered(e->arg, offers, SIM_OFFERS, err);
}

static inline void sim_happen(sim *m, const sim_event *e)
{
    bool heard = e->generation == m->generation;
    fh_rent_machine answer = {.id = ""};
    if (e->kind == SIM_MAKE) sim_made(m, e);
    if (e->kind == SIM_STOP) sim_stopped(m, e);
    if (e->kind == SIM_LISTED && heard) sim_tell_list(m, e);
    if (e->kind == SIM_OFFERED && heard) sim_tell_offers(m, e);
    if (e->kind == SIM_ENDED && heard) e->done.ended(e->arg, e->reply, NULL);
    if (e->kind != SIM_RENTED || !heard) return;
    if (e->machine >= 0) {
        snprintf(answer.id, sizeof answer.id, "%s", m->machines[e->machine].id);
        answer.hour_micro = m->machines[e->machine].hour_micro;
    }
    e->done.rented(e->arg, e->reply, e->reply == FH_RENT_DONE ? &answer : NULL, NULL);
}

/* Takes the next event that is due by then. */
static inline bool sim_take(sim *m, int64_t by, sim_event *ret)
{
    int first = -1;
    for (int i = 0; i < m->event_count; i++)
        if (m->events[i].at <= by && (first < 0 || m->events[i].at < m->events[first].at)) first = i;
    if (first < 0) return false;
    *ret = m->events[first];
    for (int i = first; i + 1 < m->event_count; i++) m->events[i] = m->events[i + 1];
    m->event_count--;
    return true;
}

static inline void sim_foreign(sim *m, const char *tag)
{
    sim_machine *x = &m->machines[m->machine_count++];
    *x = (sim_machine){.made = -3600 * S, .runs = -3500 * S, .gone = INT64_MAX, .hour_micro = 1, .foreign = true};
    snprintf(x->id, sizeof x->id, "theirs%d", m->machine_count);
    snprintf(x->tag, sizeof x->tag, "%s", tag);
}

static inline void sim_init(sim *m, uint64_t seed, const fh_rent_profile *p, fh_db *db)
{
    *m = (sim){.random = seed * 0x2545f4914f6cdd1dULL + 1, .profile = p, .db = db};
    m->port = (fh_rental){.profile = p, .ctx = m, .offers = sim_offers, .rent = sim_rent, .list = sim_list, .end = sim_end};
}

#endif
