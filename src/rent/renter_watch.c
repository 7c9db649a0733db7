/* Listing, what lists say of acts and of machines that nothing accounts for, and ending.
 *
 * A list shows what was at some moment of the provider's lag before it was asked for. So a machine that was made longer ago than the lag
 * and is not on it is gone; one that is on it was there at least until the lag before. */
#include "rent_private.h"

#include "base/log.h"
#include <stdio.h>

/* ---- ending ---- */

static void ended(void *arg, fh_rent_reply reply, const fh_err *err)
{
    rent_act *a = arg;
    fh_renter *r = a->renter;
    fh_rent_now now = fh_renter_now(r);
    (void)err;
    a->calling = false;
    a->not_before_mono = now.mono_ns + fh_rent_pause(a->failures++);
    r->list_not_before = FH_MIN(r->list_not_before, now.mono_ns);
    a->answered |= reply == FH_RENT_DONE || reply == FH_RENT_GONE;
    if (reply == FH_RENT_DONE) a->acked_mono = now.mono_ns; /* lists tell when it is gone: until then it may cost */
    fh_renter_heard(r);
}

void fh_renter_step_end(fh_renter *r, rent_act *a)
{
    fh_err *err = NULL;
    fh_rent_now now = fh_renter_now(r);
    if (a->row.phase != FH_RENT_ENDING || a->calling || a->acked_mono) return;
    if (now.mono_ns < a->not_before_mono) {
        fh_renter_wake_at(r, a->not_before_mono);
        return;
    }
    a->calling = r->c.port->end(r->c.port->ctx, a->row.machine, ended, a, &err) == 0;
    if (!a->calling) {
        a->not_before_mono = now.mono_ns + fh_rent_pause(a->failures++);
        fh_renter_wake_at(r, a->not_before_mono);
        fh_log_err(FH_LOG_WARN, "rent", err, "%s cannot be asked to end machine %s", r->c.provider, a->row.machine);
    }
    fh_err_free(err);
}

/* ---- what a list says of an act ---- */

static void act_missed(fh_renter *r, rent_act *a, int64_t came_utc)
{
    const fh_rent_profile *p = r->profile;
    int64_t asked = r->list_asked.mono_ns;
    if (a->row.phase == FH_RENT_BEGUN) {
        if (asked >= a->settled_mono + p->settle_ns + p->lag_ns)
            fh_renter_act_over(r, a, "its reply was lost, and no machine is there", came_utc);
        return;
    }
    if (asked < a->held_mono + p->lag_ns) return; /* it may not be shown yet */
    if (a->missed++ == 0) a->missing_utc = came_utc;
    if (a->row.phase == FH_RENT_HELD && a->missed >= 2)
        fh_renter_begin_ending(r, a, "it is gone");
    else if (a->row.phase == FH_RENT_ENDING && (a->answered || a->missed >= 2))
        fh_renter_act_over(r, a, NULL, a->missing_utc);
}

/* It is there, or was until a moment ago. */
static void note_seen(fh_renter *r, rent_act *a, const fh_rent_machine *m, int64_t came_utc)
{
    fh_rent_act row = a->row;
    bool held = row.phase == FH_RENT_BEGUN, alive = m->status != FH_RENT_ENDED;
    if (alive) row.alive_utc_ns = FH_MAX(row.alive_utc_ns, r->list_asked.utc_ns - r->profile->lag_ns);
    if (held) {
        row.phase = FH_RENT_HELD;
        row.held_utc_ns = came_utc;
        memcpy(row.machine, m->id, sizeof row.machine);
    }
    if (m->started_utc_ns) row.started_utc_ns = m->started_utc_ns;
    if (m->hour_micro) row.hour_micro = m->hour_micro;
    if (m->address[0]) memcpy(row.address, m->address, sizeof row.address);
    if (m->status == FH_RENT_RUNNING && !row.running_utc_ns) row.running_utc_ns = came_utc;
    bool news = held || row.started_utc_ns != a->row.started_utc_ns || row.hour_micro != a->row.hour_micro ||
                row.running_utc_ns != a->row.running_utc_ns || strcmp(row.address, a->row.address) != 0;
    if (!news)
        a->row = row; /* until when it was there is written with the next news */
    else if (fh_renter_write_act(r, a, &row) && held) {
        a->held_mono = fh_renter_now(r).mono_ns;
        if (a->of) a->of->looking_mono = 0;
    }
}

static void act_seen(fh_renter *r, rent_act *a, const fh_rent_machine *m, int64_t came_utc)
{
    a->missed = 0;
    if (m->status == FH_RENT_ENDED) {
        if (a->row.phase == FH_RENT_BEGUN) note_seen(r, a, m, came_utc); /* its bill is to be known */
        fh_renter_act_over(r, a, a->row.phase == FH_RENT_ENDING ? NULL : "it was ended there", came_utc);
        return;
    }
    note_seen(r, a, m, came_utc);
    if (a->row.phase == FH_RENT_HELD && m->status == FH_RENT_BROKEN) fh_renter_begin_ending(r, a, "the provider says that it is broken");
    if (a->row.phase == FH_RENT_ENDING && a->acked_mono && r->list_asked.mono_ns > a->acked_mono + r->profile->lag_ns) {
        a->acked_mono = 0; /* it said that it had ended it */
        a->answered = false;
    }
}

static const fh_rent_machine *machine_of(const fh_renter *r, const rent_act *a, const fh_rent_machine *machines, size_t count)
{
    char tag[FH_RENT_TAG_CHARS];
    fh_rent_tag_write(r->c.identity.installation, a->row.epoch, a->row.id, tag);
    for (size_t i = 0; i < count; i++)
        if (a->row.machine[0] ? strcmp(machines[i].id, a->row.machine) == 0 : strcmp(machines[i].tag, tag) == 0) return &machines[i];
    return NULL;
}

/* ---- machines that nothing accounts for ---- */

/* The act that a tag names, whichever provider's, since two providers may be of one account. */
static int is_accounted(fh_renter *r, const fh_rent_machine *m, const char *epoch, int64_t number, bool *ret, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    bool row = false;
    int rc = fh_db_query(r->c.db, &s, err,
                         "SELECT 1 FROM rent_acts WHERE phase <> 'over' AND ((id = ?1 AND epoch = ?2 AND machine IN ('', ?3)) OR "
                         "machine = ?3)",
                         "iss", number, epoch, m->id);
    if (!rc) rc = fh_stmt_step(s, &row, err);
    if (!rc) *ret = row;
    return rc;
}

/* By what is in memory, which is most of them. */
static bool is_held(const fh_renter *r, const fh_rent_machine *m)
{
    for (size_t i = 0; i < r->act_count; i++)
        if (strcmp(r->acts[i]->row.machine, m->id) == 0) return true;
    return false;
}

/* ret_since: it cannot be older. */
static bool is_stray(fh_renter *r, const fh_rent_machine *m, int64_t *ret_since)
{
    char installation[17], epoch[17];
    int64_t number;
    bool ours = false, accounted = true;
    FH_AUTO(fh_err) fh_err *err = NULL;
    if (m->status == FH_RENT_ENDED || !fh_rent_tag_read(m->tag, installation, epoch, &number)) return false;
    if (strcmp(installation, r->c.identity.installation) != 0 || is_held(r, m)) return false;
    int rc = fh_rent_epoch_is_ours(r->c.db, epoch, &ours, ret_since, &err);
    if (!rc && ours) rc = is_accounted(r, m, epoch, number, &accounted, &err);
    return !rc && ours && !accounted;
}

static rent_stray *stray_of(fh_renter *r, const char *machine)
{
    for (size_t i = 0; i < r->stray_count; i++)
        if (strcmp(r->strays[i].machine, machine) == 0) return &r->strays[i];
    if (r->stray_count == FH_LIMIT_RENT_STRAYS) return NULL;
    rent_stray *s = &r->strays[r->stray_count++];
    *s = (rent_stray){.first_mono = r->list_asked.mono_ns};
    snprintf(s->machine, sizeof s->machine, "%s", machine);
    return s;
}

static void end_stray(fh_renter *r, const fh_rent_machine *m, int64_t since_utc, int64_t came_utc)
{
    fh_rent_act row = {.phase = FH_RENT_ENDING,
                       .hour_micro = m->hour_micro,
                       .asked_utc_ns = m->started_utc_ns ? m->started_utc_ns : since_utc,
                       .held_utc_ns = came_utc,
                       .started_utc_ns = m->started_utc_ns,
                       .alive_utc_ns = r->list_asked.utc_ns - r->profile->lag_ns,
                       .charged_micro = -1,
                       .reason = "nothing accounts for it"};
    memcpy(row.epoch, r->c.identity.epoch, sizeof row.epoch);
    memcpy(row.machine, m->id, sizeof row.machine);
    rent_act *a = fh_renter_new_act(r, NULL, &row);
    if (!a) return;
    fh_log(FH_LOG_WARN, "rent", "machine %s at %s carries the mark of this installation and nothing accounts for it: it is ended", m->id,
           r->c.provider);
    if (!fh_renter_write_act(r, a, &row)) fh_renter_forget_act(r, a);
}

/* Only what lists go on showing for longer than their lag: what was ended may be shown until then. */
static void sweep(fh_renter *r, const fh_rent_machine *machines, size_t count, int64_t came_utc)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->stray_count; i++) r->strays[i].seen = false;
    for (size_t i = 0; i < count; i++) {
        int64_t since = 0;
        rent_stray *s = is_stray(r, &machines[i], &since) ? stray_of(r, machines[i].id) : NULL;
        if (!s) continue;
        s->seen = r->list_asked.mono_ns - s->first_mono <= r->profile->lag_ns;
        if (!s->seen) end_stray(r, &machines[i], since, came_utc);
    }
    for (size_t i = 0; i < r->stray_count; i++)
        if (r->strays[i].seen) r->strays[kept++] = r->strays[i];
    r->stray_count = kept;
    r->clean = kept == 0 && r->list_asked.mono_ns >= r->clean_after_mono;
    for (size_t i = 0; i < r->act_count; i++) r->clean &= r->acts[i]->of != NULL;
}

/* ---- listing ---- */

static void read_list(fh_renter *r, const fh_rent_machine *machines, size_t count, const fh_err *err)
{
    fh_rent_now now = fh_renter_now(r);
    rent_act *acts[FH_COUNT(r->acts)];
    size_t n = r->act_count;
    r->listing = false;
    r->list_failures = err ? r->list_failures + 1 : 0;
    if (err) {
        r->list_not_before = now.mono_ns + fh_rent_pause(r->list_failures);
        return;
    }
    r->list_not_before = r->list_asked.mono_ns;
    memcpy(acts, r->acts, sizeof acts); /* an act that is over leaves the list */
    for (size_t i = 0; i < n; i++) {
        if (acts[i]->calling) continue;
        const fh_rent_machine *m = machine_of(r, acts[i], machines, count);
        if (m)
            act_seen(r, acts[i], m, now.utc_ns);
        else
            act_missed(r, acts[i], now.utc_ns);
    }
    sweep(r, machines, count, now.utc_ns);
}

static void listed(void *arg, const fh_rent_machine *machines, size_t count, const fh_err *err)
{
    read_list(arg, machines, count, err);
    fh_renter_heard(arg);
}

static int64_t pace_ns(const fh_renter *r)
{
    bool starting = !r->clean, any = r->act_count > 0;
    for (size_t i = 0; i < r->act_count; i++) starting |= r->acts[i]->row.phase != FH_RENT_HELD || !r->acts[i]->row.running_utc_ns;
    return (starting ? FH_LIMIT_RENT_LIST_MS : any ? FH_LIMIT_RENT_WATCH_MS : FH_LIMIT_RENT_SWEEP_MS) * FH_NS_PER_MS;
}

void fh_renter_step_list(fh_renter *r)
{
    fh_err *err = NULL;
    fh_rent_now now = fh_renter_now(r);
    if (r->listing) return;
    int64_t due = r->list_failures || !r->list_asked.mono_ns ? r->list_not_before : r->list_asked.mono_ns + pace_ns(r);
    if (now.mono_ns < due) {
        fh_renter_wake_at(r, due);
        return;
    }
    r->list_asked = now;
    r->listing = r->c.port->list(r->c.port->ctx, listed, r, &err) == 0;
    if (!r->listing) {
        r->list_not_before = now.mono_ns + fh_rent_pause(r->list_failures++);
        fh_renter_wake_at(r, r->list_not_before);
    }
    fh_err_free(err);
}
