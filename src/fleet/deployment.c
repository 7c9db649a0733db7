/* One deployment: its memory, its state, its engine's process. What is done in each state stands in steps.c.
 *
 * set_state is the one function that changes a state: checked against the arrows of states.c, written down, then shown. A step runs on a
 * timer and looks at what is true; it may be called once too often, never once too seldom: whatever fails to be written down is tried
 * again. */
#include "fleet_private.h"
#include "sets.h"

#include "base/clock.h"
#include "base/log.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void step(void *arg)
{
    fh_deployment *d = arg;
    switch (d->view.state) {
    case FH_DEPLOYMENT_REQUESTED:
        if (d->fleet->stopping) return;
        if (!d->wanted)
            fh_deployment_set_state(d, FH_DEPLOYMENT_STOPPED, "", "stopped");
        else
            fh_deployment_set_state(d, FH_DEPLOYMENT_PLANNING, "", "looking at what it needs");
        return;
    case FH_DEPLOYMENT_PLANNING: fh_step_planning(d); return;
    case FH_DEPLOYMENT_PROVISIONING: fh_step_provisioning(d); return;
    case FH_DEPLOYMENT_FETCHING: fh_step_fetching(d); return;
    case FH_DEPLOYMENT_LOADING: fh_step_loading(d); return;
    case FH_DEPLOYMENT_PROVING: fh_step_proving(d); return;
    case FH_DEPLOYMENT_READY: fh_step_ready(d); return;
    case FH_DEPLOYMENT_DRAINING: fh_step_draining(d); return;
    case FH_DEPLOYMENT_FAILED:
        if (d->engine.runs) fh_deployment_kill(d, "it failed");
        return;
    case FH_DEPLOYMENT_STOPPED:
    case FH_DEPLOYMENT_STATE_COUNT: return;
    }
}

static void engine_ended(void *arg, const char *why)
{
    fh_deployment *d = arg;
    if (why) snprintf(d->why, sizeof(d->why), "%s", why);
    fh_deployment_engine_gone(d);
}

/* It is not asked while it cannot be reached; when it can be, it proves itself again. */
static void engine_away(void *arg)
{
    fh_deployment *d = arg;
    fh_deployment_state s = d->view.state;
    if (!d->engine.away) {
        d->progress_ns = fh_clock_mono_ns();
        fh_deployment_step_soon(d, 0);
    } else if (s == FH_DEPLOYMENT_PROVING || s == FH_DEPLOYMENT_READY) {
        fh_deployment_drop_call(d);
        fh_deployment_set_state(d, FH_DEPLOYMENT_LOADING, "", "its machine cannot be reached; waiting for it");
    }
}

fh_deployment *fh_deployment_new(fh_fleet *f, fh_err **err)
{
    fh_deployment *d = fh_calloc(1, sizeof(*d));
    if (!d) {
        fh_err_nomem(err);
        return NULL;
    }
    d->fleet = f;
    d->kind = fh_catalog_engine_at(0);
    d->engine = (fh_engine){.on_away = engine_away, .on_end = engine_ended, .arg = d};
    d->entered_ns = fh_clock_mono_ns();
    if (fh_timer_new(&d->timer, f->loop, step, d, err) == 0) return d;
    fh_free(d);
    return NULL;
}

void fh_deployment_drop_call(fh_deployment *d)
{
    if (d->call) fh_http_call_cancel(d->call);
    d->call = NULL;
}

static void forget_engine(fh_deployment *d)
{
    if (d->place) d->place->let_go(d->place->ctx, &d->engine);
    d->engine.away = false;
    d->view.pid = 0;
    d->view.rss_bytes = d->own_bytes = 0;
}

void fh_deployment_free(fh_deployment *d)
{
    if (!d) return;
    fh_deployment_drop_call(d);
    forget_engine(d);
    fh_set_join(d, NULL);
    fh_timer_free(d->timer);
    fh_buf_fini(&d->reply);
    fh_free(d);
}

void fh_deployment_step_soon(fh_deployment *d, int64_t delay_ns)
{
    fh_timer_start(d->timer, delay_ns);
}

static void enter(fh_deployment *d, fh_deployment_state to, const char *reason, const char *hint, int64_t now_utc_ns)
{
    fh_deployment_view *v = &d->view;
    v->state = to;
    v->changed_utc_ns = now_utc_ns;
    snprintf(v->reason, sizeof(v->reason), "%s", reason);
    snprintf(v->hint, sizeof(v->hint), "%s", hint);
    if (to != FH_DEPLOYMENT_LOADING) v->progress_done = v->progress_total = 0;
    d->entered_ns = d->entered_first_ns = d->progress_ns = fh_clock_mono_ns();
    d->misses = 0;
    d->idle = false;
    atomic_fetch_add_explicit(&d->fleet->entered[to], 1, memory_order_relaxed);
}

int fh_deployment_set_state(fh_deployment *d, fh_deployment_state to, const char *hint, const char *reason_fmt, ...)
{
    char reason[sizeof(d->view.reason)];
    fh_err *err = NULL;
    va_list ap;
    va_start(ap, reason_fmt);
    vsnprintf(reason, sizeof(reason), reason_fmt, ap);
    va_end(ap);
    reason[fh_utf8_whole(reason, strlen(reason))] = 0;
    fh_deployment_state from = d->view.state;
    int64_t now = fh_clock_utc_ns();
    int rc = fh_deployment_may_change(from, to) ? 0
                                                : fh_err_set(&err, FH_E_INTERNAL, "there is no way from %s to %s",
                                                             fh_deployment_state_name(from), fh_deployment_state_name(to));
    if (rc == 0) rc = fh_store_state(d->fleet->db, d, to, reason, hint ? hint : "", now, &err);
    if (rc != 0) {
        fh_log_err(FH_LOG_ERROR, "fleet", err, "deployment %s: the change to %s could not be written down; trying again", d->view.name,
                   fh_deployment_state_name(to));
        fh_err_free(err);
        fh_deployment_step_soon(d, d->fleet->timing.retry_ns);
        return rc;
    }
    enter(d, to, reason, hint ? hint : "", now);
    fh_log(FH_LOG_INFO, "fleet", "deployment=%s %s -> %s: %s", d->view.name, fh_deployment_state_name(from), fh_deployment_state_name(to),
           reason);
    fh_fleet_publish(d->fleet);
    fh_fleet_tell(d->fleet, d, from, now);
    fh_sets_look(d->fleet);
    fh_deployment_step_soon(d, 0);
    if (d->order) fh_orders_look_soon(d->fleet);
    if (to == FH_DEPLOYMENT_STOPPED || d->fleet->stopping) fh_fleet_settle(d->fleet);
    return 0;
}

void fh_deployment_measure(fh_deployment *d)
{
    fh_process_use use;
    if (!d->engine.runs || d->place->usage(d->place->ctx, &d->engine, &use) != 0) return;
    d->cpu_ns = use.cpu_ns;
    d->view.rss_bytes = use.rss_bytes;
    d->own_bytes = use.own_bytes;
}

/* The act is over: written down, its folder removed. That it could not be written down is found out by the next start. */
static void end_act(fh_deployment *d)
{
    fh_err *err = NULL;
    if (d->view.act && fh_store_act_end(d->fleet->db, d->view.act, &err) != 0)
        fh_log_err(FH_LOG_WARN, "fleet", err, "deployment %s: the end of its engine", d->view.name);
    fh_err_free(err);
    if (*d->view.socket_path) d->place->tidy(d->place->ctx, d->view.name, d->view.socket_path);
    d->view.act = 0;
    d->view.socket_path[0] = 0;
}

void fh_deployment_engine_gone(fh_deployment *d)
{
    fh_deployment_drop_call(d);
    forget_engine(d);
    end_act(d);
    d->signalled_ns = 0;
    if (d->view.state == FH_DEPLOYMENT_FAILED)
        fh_fleet_publish(d->fleet);
    else if (d->view.state == FH_DEPLOYMENT_DRAINING)
        fh_deployment_step_soon(d, 0);
    else
        fh_step_heal(d);
    if (d->fleet->stopping) fh_fleet_settle(d->fleet);
}

void fh_deployment_kill(fh_deployment *d, const char *why)
{
    snprintf(d->why, sizeof(d->why), "%s", why);
    fh_deployment_drop_call(d);
    if (d->engine.runs) d->place->stop(d->place->ctx, &d->engine, true);
}
