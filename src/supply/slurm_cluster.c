/* The cluster as a whole: that it can be used, and the lists of our jobs. */
#include "slurm_private.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>

/* ---- what is wrong with it ---- */

/* What cannot come right by itself ends the orders of which nothing was asked yet; the others wait. */
static void give_up(slurm *s)
{
    for (slurm_order *o = s->first; o; o = o->next) {
        if (o->asked || !fh_slurm_order_is_open(o)) continue;
        if (s->refused || fh_slurm_now_ms() - o->begun_mono > FH_LIMIT_SLURM_REACH_MS)
            fh_slurm_order_over(o, false, s->hint, "%s", s->problem);
        else
            fh_slurm_order_say(o, FH_SUPPLY_WAITING, s->hint, "%s", s->problem);
    }
}

void fh_slurm_unprepared(slurm *s, bool refused, const char *hint, const char *problem)
{
    s->ready = SLURM_NOT_READY;
    s->refused = refused;
    s->prepare_mono = fh_slurm_now_ms() + fh_slurm_pause_ms(s->failures++);
    snprintf(s->problem, sizeof s->problem, "%s", problem);
    snprintf(s->hint, sizeof s->hint, "%s", hint);
    give_up(s);
    fh_slurm_tick_soon(s, 0);
    fh_slurm_tell_news(s);
}

void fh_slurm_prepared(slurm *s)
{
    s->ready = SLURM_READY;
    s->failures = 0;
    s->problem[0] = s->hint[0] = '\0';
    s->refused = false;
    s->prepared_mono = fh_slurm_now_ms();
    fh_slurm_tick_soon(s, 0);
}

static bool wants_jobs(const slurm *s)
{
    for (const slurm_order *o = s->first; o; o = o->next)
        if (fh_slurm_order_is_open(o) && !o->job) return true;
    return false;
}

void fh_slurm_prepare_step(slurm *s)
{
    int64_t now = fh_slurm_now_ms();
    if (s->ready == SLURM_READY && now - s->prepared_mono > FH_LIMIT_SLURM_CHECK_MS && wants_jobs(s)) s->ready = SLURM_NOT_READY;
    if (s->ready != SLURM_NOT_READY) return;
    if (s->prepare_mono > now) {
        fh_slurm_tick_soon(s, s->prepare_mono - now);
        return;
    }
    if (s->problem[0] && !wants_jobs(s)) return; /* nobody asks */
    s->ready = SLURM_PREPARING;
    s->way->prepare(s);
}

int fh_slurm_cluster_check(slurm *s, fh_err **err)
{
    if (!s->refused) return 0;
    fh_err_set(err, FH_E_UNAVAILABLE, "%s: %s", s->name, s->problem);
    fh_err_hint(err, "%s", s->hint);
    s->refused = false; /* whoever asks again finds out whether that has changed */
    s->problem[0] = '\0';
    s->prepare_mono = 0;
    fh_slurm_tick_soon(s, 0);
    return FH_E_UNAVAILABLE;
}

/* ---- lists ---- */

static slurm_order *order_named(slurm *s, fh_str name)
{
    slurm_order *o = s->first;
    while (o && !fh_str_eqs(name, o->job_name)) o = o->next;
    return o;
}

static bool is_listed(const fh_slurm_row *rows, size_t count, const slurm_order *o)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].job == o->job) return true;
    return false;
}

static void look(slurm *s, const fh_slurm_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        slurm_order *o = order_named(s, rows[i].name);
        if (o && o->job) fh_slurm_order_seen(o, &rows[i]);
    }
    for (slurm_order *o = s->first; o; o = o->next)
        if (o->job && fh_slurm_order_is_open(o) && !is_listed(rows, count, o)) fh_slurm_order_missed(o);
}

void fh_slurm_listed(slurm *s, const fh_slurm_row *rows, size_t count, const fh_err *why)
{
    s->listing = false;
    s->list_failures = why ? s->list_failures + 1 : 0;
    s->list_mono = fh_slurm_now_ms();
    s->list_took_ms = s->list_mono - s->list_begun_mono;
    if (!why)
        look(s, rows, count);
    else if (s->list_failures == 3)
        fh_log_err(FH_LOG_WARN, "slurm", why, "supply=%s its jobs cannot be listed", s->name);
    fh_slurm_tick_soon(s, 0);
    fh_slurm_tell_news(s);
}

/* What takes long is a burden there, and is asked for less. */
static int64_t list_pause_ms(const slurm *s)
{
    if (s->list_failures) return fh_slurm_pause_ms(s->list_failures - 1);
    bool stirred = fh_slurm_now_ms() - s->stirred_mono < FH_LIMIT_SLURM_STIR_MS;
    return FH_MAX(stirred ? FH_LIMIT_SLURM_LIST_MS : FH_LIMIT_SLURM_QUIET_MS, s->list_took_ms * FH_LIMIT_SLURM_LIST_SHARE);
}

static bool has_jobs(const slurm *s)
{
    for (const slurm_order *o = s->first; o; o = o->next)
        if (o->job && fh_slurm_order_is_open(o)) return true;
    return false;
}

void fh_slurm_list_step(slurm *s)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    if (s->listing || !has_jobs(s)) return;
    int64_t wait = s->list_mono + list_pause_ms(s) - fh_slurm_now_ms();
    if (wait > 0) {
        fh_slurm_tick_soon(s, wait);
        return;
    }
    s->list_begun_mono = fh_slurm_now_ms();
    s->listing = true;
    if (s->way->list(s, &err) != 0) fh_slurm_listed(s, NULL, 0, err);
}
