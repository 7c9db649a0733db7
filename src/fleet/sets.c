/* Sets of replicas (see sets.h): what is missing is started, what is too much is drained, what has to go is left once its successor is
 * ready. */
#include "sets.h"

#include "base/clock.h"
#include "base/log.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- looking ---- */

typedef struct tally {
    int64_t live, ready, failed;    /* of the shape that is wanted, to stay */
    int64_t leaving, leaving_ready; /* that have to go, and run */
    int64_t draining;               /* for good */
    int64_t any;                    /* not stopped */
    int64_t streams;                /* of a ready one */
} tally;

void fh_set_join(fh_deployment *d, fh_set *s)
{
    fh_deployment **at = d->set ? &d->set->members : NULL;
    while (at && *at != d) at = &(*at)->next_member;
    if (at) *at = d->next_member;
    d->set = s;
    d->next_member = s ? s->members : NULL;
    if (s) s->members = d;
}

static bool is_there(const fh_deployment *d)
{
    return d->view.state != FH_DEPLOYMENT_STOPPED;
}

static bool is_ready(const fh_deployment *d)
{
    return d->view.state == FH_DEPLOYMENT_READY;
}

/* It is of an earlier shape, or its machine has to be left. */
static bool has_to_go(fh_deployment *d)
{
    return d->generation < d->set->generation || fh_set_must_leave(d);
}

static void count_one(tally *t, fh_deployment *d)
{
    bool comes_back = d->view.state == FH_DEPLOYMENT_DRAINING && d->wanted; /* it leaves its place alone */
    bool goes = has_to_go(d), live = fh_deployment_is_live(d) || comes_back;
    t->any++;
    t->draining += d->view.state == FH_DEPLOYMENT_DRAINING && !comes_back;
    if (is_ready(d)) t->streams = d->view.streams;
    t->live += live && !goes;
    t->ready += is_ready(d) && !goes;
    t->failed += d->view.state == FH_DEPLOYMENT_FAILED && !goes;
    t->leaving += live && goes && !comes_back;
    t->leaving_ready += is_ready(d) && goes && fh_set_may_wait(d);
}

static tally count(const fh_set *s)
{
    tally t = {0};
    for (fh_deployment *d = s->members; d; d = d->next_member)
        if (is_there(d)) count_one(&t, d);
    return t;
}

fh_deployment *fh_set_best(const fh_set *s)
{
    fh_deployment *best = NULL;
    for (fh_deployment *d = s->members; d; d = d->next_member) {
        if (!is_there(d) || !fh_deployment_is_live(d)) continue;
        if (is_ready(d) && !has_to_go(d)) return d;
        if (!best || is_ready(d)) best = d;
    }
    return best;
}

/* ---- what is written down ---- */

/* False: it could not be written down, and is tried again by the next look. */
bool fh_set_write_down(fh_set *s)
{
    fh_err *err = NULL;
    s->changed_utc_ns = fh_clock_utc_ns();
    int rc = fh_sets_store_update(s->fleet->db, s, &err);
    if (rc != 0) fh_log_err(FH_LOG_ERROR, "fleet", err, "set %s: a change could not be written down; trying again", s->shape.name);
    fh_err_free(err);
    return rc == 0;
}

void fh_set_took_effect(fh_set *s, int64_t from)
{
    s->ups += s->scale.wanted > from;
    s->downs += s->scale.wanted < from;
    fh_log(FH_LOG_INFO, "fleet", "set=%s replicas=%" PRId64 " -> %" PRId64 ": %s", s->shape.name, from, s->scale.wanted, s->why);
    fh_fleet_publish(s->fleet);
}

/* ---- what is done ---- */

static int64_t pause_of(fh_set *s)
{
    const fh_fleet_timing *t = &s->fleet->timing;
    unsigned n = FH_MIN(s->failed_in_row, 16u);
    s->failed_in_row++;
    return FH_MIN(t->set_retry_ns << n, t->set_retry_most_ns);
}

static void drain(fh_deployment *d, const char *why)
{
    fh_err *err = NULL;
    if (fh_fleet_drain(d->fleet, d, why, &err) != 0)
        fh_log_err(FH_LOG_WARN, "fleet", err, "deployment %s is not drained yet; trying again", d->view.name);
    fh_err_free(err);
}

static void clear(fh_deployment *failed, const char *why)
{
    fh_err *err = NULL;
    if (!failed->engine.runs && fh_fleet_retire(failed->fleet, failed, why, &err) != 0)
        fh_log_err(FH_LOG_WARN, "fleet", err, "deployment %s is not cleared away yet; trying again", failed->view.name);
    fh_err_free(err);
}

void fh_set_clear_failed(fh_set *s, int64_t count, const char *why)
{
    for (fh_deployment *d = s->members; d && count > 0; d = d->next_member) {
        if (!is_there(d) || d->view.state != FH_DEPLOYMENT_FAILED) continue;
        clear(d, why);
        count--;
    }
}

static void clear_outdated(fh_set *s)
{
    for (fh_deployment *d = s->members; d; d = d->next_member)
        if (is_there(d) && d->view.state == FH_DEPLOYMENT_FAILED && has_to_go(d)) clear(d, "it is not wanted any more");
}

/* One that failed keeps its place for a while: what made it fail would make the next one fail too. */
static void see_failed(fh_set *s, tally *t, int64_t now)
{
    int64_t room = FH_MAX(s->scale.wanted - t->live, (int64_t)0);
    if (t->failed > room) {
        fh_set_clear_failed(s, t->failed - room, "it is not wanted any more");
        t->failed = room;
    }
    if (t->failed && (t->draining || s->too_early)) { /* what was drained has its memory yet, or had */
        s->too_early = t->draining > 0;
        if (s->too_early) return;
        fh_set_clear_failed(s, t->failed, "the one before has given its memory back: another is tried");
        t->failed = 0;
    } else if (t->failed == 0) {
        s->too_early = false;
        if (t->ready >= s->scale.wanted) s->failed_in_row = 0;
    } else if (!s->retry_at_ns) {
        s->retry_at_ns = now + pause_of(s);
    } else if (now >= s->retry_at_ns) {
        fh_set_clear_failed(s, t->failed, "another is tried");
        t->failed = 0;
        s->retry_at_ns = 0;
    }
}

static void start_missing(fh_set *s, tally *t, int64_t now)
{
    if (s->retry_at_ns && now < s->retry_at_ns) return;
    while (t->live + t->failed < s->scale.wanted) {
        fh_err *err = NULL;
        fh_deployment *d;
        if (fh_fleet_start_one(s->fleet, &s->shape, s, s->why, &d, &err) != 0) {
            fh_log_err(FH_LOG_WARN, "fleet", err, "set %s: a replica cannot be started; trying again", s->shape.name);
            fh_err_free(err);
            s->retry_at_ns = now + pause_of(s);
            return;
        }
        s->retry_at_ns = 0;
        t->live++;
    }
}

/* The one that is least missed: not ready before ready, then the newest. */
static fh_deployment *least_missed(const fh_set *s, bool leaving)
{
    fh_deployment *found = NULL;
    for (fh_deployment *d = s->members; d; d = d->next_member) {
        if (!is_there(d) || !fh_deployment_is_live(d) || has_to_go(d) != leaving) continue;
        if (!is_ready(d) || (leaving && !fh_set_may_wait(d))) return d;
        if (!found) found = d;
    }
    return found;
}

static void drain_surplus(fh_set *s, const tally *t)
{
    for (int64_t n = t->live; n > s->scale.wanted; n--) {
        fh_deployment *d = least_missed(s, false);
        if (d) drain(d, s->why);
    }
}

/* Of those that have to go as many stay as are missed, and can do something. */
static void drain_leaving(fh_set *s, const tally *t)
{
    int64_t keep = FH_MIN(FH_MAX(s->scale.wanted - t->ready, (int64_t)0), t->leaving_ready);
    for (int64_t n = t->leaving; n > keep; n--) {
        fh_deployment *d = least_missed(s, true), *by = fh_set_best(s);
        char why[128];
        snprintf(why, sizeof why, "%s has taken its place", by && !has_to_go(by) ? by->view.name : "another");
        if (d) drain(d, s->scale.wanted ? why : s->why);
    }
}

static void scale(fh_set *s, const tally *t, int64_t now)
{
    char why[sizeof s->why], before[sizeof s->why];
    const fh_scale was = s->scale;
    s->load.ready = t->ready + t->leaving_ready;
    s->load.at_once = t->streams;
    if (!fh_scale_look(&s->scale, &s->rule, &s->load, now, why, sizeof why)) return;
    memcpy(before, s->why, sizeof before);
    snprintf(s->why, sizeof s->why, "%.120s%s", why,
             s->scale.wanted ? "" : "; what it kept of prompts is gone with it, and the next request wakes it");
    if (fh_set_write_down(s)) {
        fh_set_took_effect(s, was.wanted);
        return;
    }
    s->scale = was;
    memcpy(s->why, before, sizeof before);
}

/* How long a start takes, from being asked for to the first token. */
static void see_starts(fh_set *s)
{
    for (fh_deployment *d = s->members; d; d = d->next_member) {
        if (!is_there(d) || !is_ready(d) || d->was_ready) continue;
        d->was_ready = true;
        s->start_ns = fh_clock_utc_ns() - d->view.created_utc_ns;
    }
}

static void see_awake(fh_set *s, const tally *t, int64_t now)
{
    if (!s->waking_ns || t->ready == 0) return;
    s->woke_ns = now - s->waking_ns;
    s->waking_ns = 0;
    fh_fleet_publish(s->fleet);
}

void fh_set_look(fh_set *s)
{
    int64_t now = fh_clock_mono_ns();
    tally t = count(s);
    if (s->kept) scale(s, &t, now);
    see_starts(s);
    see_awake(s, &t, now);
    clear_outdated(s);
    see_failed(s, &t, now);
    start_missing(s, &t, now);
    drain_surplus(s, &t);
    drain_leaving(s, &t);
}

/* ---- their list ---- */

int64_t fh_set_id(const fh_set *s)
{
    return s ? s->id : 0;
}

fh_set *fh_set_find(const fh_fleet *f, const char *name)
{
    fh_set *s = f->sets;
    while (s && strcmp(s->shape.name, name) != 0) s = s->next;
    return s;
}

void fh_sets_link(fh_fleet *f, fh_set *s)
{
    fh_set **end = &f->sets;
    while (*end) end = &(*end)->next;
    s->fleet = f;
    *end = s;
}

static void forget(fh_set **at)
{
    fh_set *s = *at;
    *at = s->next;
    while (s->members) fh_set_join(s->members, NULL);
    fh_free(s);
}

static bool is_over(const fh_set *s)
{
    return !s->kept && count(s).any == 0 && fh_sets_store_delete(s->fleet->db, s->id, NULL) == 0;
}

static void look_at_all(void *arg)
{
    fh_fleet *f = arg;
    if (f->stopping) return;
    fh_sets_adopt_lone(f);
    for (fh_set **at = &f->sets; *at;) {
        fh_set_look(*at);
        if (is_over(*at)) {
            forget(at);
            fh_fleet_publish(f);
        } else
            at = &(*at)->next;
    }
    fh_timer_start(f->sets_timer, f->timing.sets_ns);
}

void fh_sets_look(fh_fleet *f)
{
    if (f->sets_timer) fh_timer_start(f->sets_timer, 0);
}

static int take_loaded(fh_fleet *f, fh_set *s, fh_err **err)
{
    (void)err;
    fh_sets_link(f, s);
    fh_set_name_model(s);
    s->rule.up_ns = f->timing.scale_up_ns;
    s->rule.down_ns = f->timing.scale_down_ns;
    return 0;
}

static void take_member(fh_fleet *f, int64_t deployment, int64_t set, int64_t generation)
{
    fh_deployment *d = f->first;
    fh_set *s = f->sets;
    while (d && d->id != deployment) d = d->next;
    while (s && s->id != set) s = s->next;
    if (!d || !s) return; /* its set was stopped, and it is about to be */
    fh_set_join(d, s);
    d->generation = generation;
    d->was_ready = d->view.state == FH_DEPLOYMENT_READY;
    snprintf(d->view.set, sizeof d->view.set, "%s", s->shape.name);
}

int fh_sets_load(fh_fleet *f, fh_err **err)
{
    int rc = fh_sets_store_load(f, take_loaded, err);
    return rc == 0 ? fh_sets_store_members(f, take_member, err) : rc;
}

int fh_sets_start(fh_fleet *f, fh_err **err)
{
    int rc = fh_timer_new(&f->sets_timer, f->loop, look_at_all, f, err);
    if (rc == 0) fh_timer_start(f->sets_timer, 0);
    return rc;
}

void fh_sets_free(fh_fleet *f)
{
    while (f->sets) forget(&f->sets);
    if (f->sets_timer) fh_timer_free(f->sets_timer);
    f->sets_timer = NULL;
}

/* ---- what others see ---- */

void fh_set_view_fill(const fh_set *s, fh_set_view *ret)
{
    tally t = count(s);
    fh_deployment any = {.fleet = s->fleet};
    char only[64];
    snprintf(any.wanted_place, sizeof any.wanted_place, "%s", s->shape.place);
    any.limit = s->shape.limit;
    fh_planning_only_place(&any, only, sizeof only);
    *ret = (fh_set_view){.min = s->rule.min,
                         .max = s->rule.max,
                         .idle_s = s->rule.idle_ns / FH_NS_PER_S,
                         .wanted = s->scale.wanted,
                         .ready = t.ready + t.leaving_ready,
                         .count = t.live + t.leaving,
                         .leaving = t.leaving,
                         .context_tok = s->shape.context_tok,
                         .streams = s->shape.streams,
                         .created_utc_ns = s->created_utc_ns,
                         .changed_utc_ns = s->changed_utc_ns,
                         .woke_ns = s->woke_ns,
                         .ups = s->ups,
                         .downs = s->downs,
                         .failing = t.live + t.leaving == 0 && s->retry_at_ns,
                         .stopping = !s->kept,
                         .only_here = strcmp(only, "here") == 0};
    snprintf(ret->trust, sizeof ret->trust, "%s", s->shape.limit.trust);
    snprintf(ret->name, sizeof ret->name, "%s", s->shape.name);
    snprintf(ret->model, sizeof ret->model, "%s", s->model);
    snprintf(ret->variant, sizeof ret->variant, "%s", s->variant);
    snprintf(ret->place, sizeof ret->place, "%s", s->shape.place);
    snprintf(ret->engine, sizeof ret->engine, "%s", s->shape.engine);
    memcpy(ret->kv_type, s->shape.kv_type, sizeof ret->kv_type);
    snprintf(ret->why, sizeof ret->why, "%s", s->why);
}

void fh_set_view_asleep(const fh_set_view *s, fh_deployment_view *ret)
{
    *ret = (fh_deployment_view){.state = FH_DEPLOYMENT_STOPPED,
                                .context_tok = s->context_tok,
                                .streams = s->streams,
                                .created_utc_ns = s->created_utc_ns,
                                .changed_utc_ns = s->changed_utc_ns};
    snprintf(ret->name, sizeof ret->name, "%s", s->name);
    snprintf(ret->set, sizeof ret->set, "%s", s->name);
    snprintf(ret->model, sizeof ret->model, "%s", s->model);
    snprintf(ret->variant, sizeof ret->variant, "%s", s->variant);
    snprintf(ret->place, sizeof ret->place, "%s", s->place);
    snprintf(ret->engine, sizeof ret->engine, "%s", s->engine);
    memcpy(ret->kv_type, s->kv_type, sizeof ret->kv_type);
    snprintf(ret->reason, sizeof ret->reason, "%s", s->why);
    snprintf(ret->limit.trust, sizeof ret->limit.trust, "%s", s->trust);
}
