/* The fleet as a whole: starting, stopping, its thread, the list of deployments. */
#include "fleet_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "db/schema.h"
#include "fleet/nodes.h"
#include "sets.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STOPPED_KEPT  16
#define STOP_GRACE_NS (2 * FH_NS_PER_S) /* beyond SIGKILL's deadline */

const fh_fleet_timing fh_fleet_timing_default = {
    .poll_ns = 50 * FH_NS_PER_MS,
    .health_ns = 5 * FH_NS_PER_S,
    .health_timeout_ns = 5 * FH_NS_PER_S,
    .health_misses = 3,
    .load_stall_ns = 120 * FH_NS_PER_S,
    .prove_ns = 300 * FH_NS_PER_S,
    .drain_ns = 200 * FH_NS_PER_MS,
    .drain_max_ns = 15 * FH_NS_PER_S,
    .term_ns = 10 * FH_NS_PER_S,
    .restart_window_ns = 600 * FH_NS_PER_S,
    .backoff_ns = {50 * FH_NS_PER_MS, FH_NS_PER_S, 3 * FH_NS_PER_S, 10 * FH_NS_PER_S, 30 * FH_NS_PER_S},
    .retry_ns = FH_NS_PER_S,
    .sets_ns = FH_NS_PER_S,
    .scale_up_ns = FH_LIMIT_SCALE_UP_MS * FH_NS_PER_MS,
    .scale_down_ns = FH_LIMIT_SCALE_DOWN_MS * FH_NS_PER_MS,
    .replace_lead_ns = FH_LIMIT_REPLACE_LEAD_MS * FH_NS_PER_MS,
    .replace_drain_ns = FH_LIMIT_REPLACE_DRAIN_MS * FH_NS_PER_MS,
    .set_retry_ns = FH_LIMIT_SET_RETRY_MS * FH_NS_PER_MS,
    .set_retry_most_ns = FH_LIMIT_SET_RETRY_MOST_MS * FH_NS_PER_MS,
    .deployments = FH_LIMIT_DEPLOYMENTS,
};

/* ---- the lists ---- */

fh_place *fh_fleet_place(const fh_fleet *f, const char *name)
{
    fh_place *p = f->places;
    while (p && strcmp(p->name, name) != 0) p = p->next;
    return p;
}

void fh_fleet_link(fh_fleet *f, fh_deployment *d)
{
    d->next = f->first;
    f->first = d;
}

fh_deployment *fh_fleet_find(fh_fleet *f, const char *name)
{
    for (fh_deployment *d = f->first; d; d = d->next) {
        if (d->view.state != FH_DEPLOYMENT_STOPPED && strcmp(d->view.name, name) == 0) return d;
    }
    return NULL;
}

/* Not from inside a deployment's own step: it would free what it stands on. */
static void forget_old(void *arg)
{
    fh_fleet *f = arg;
    size_t stopped = 0;
    for (fh_deployment **p = &f->first; *p;) {
        fh_deployment *d = *p;
        if (d->view.state == FH_DEPLOYMENT_STOPPED && ++stopped > STOPPED_KEPT) {
            *p = d->next;
            fh_deployment_free(d);
        } else {
            p = &d->next;
        }
    }
}

/* ---- stopping ---- */

static bool all_gone(const fh_fleet *f)
{
    for (fh_deployment *d = f->first; d; d = d->next) {
        if (d->engine.runs || d->view.state == FH_DEPLOYMENT_DRAINING) return false;
    }
    return true;
}

void fh_fleet_settle(fh_fleet *f)
{
    if (!f->stopping) {
        fh_loop_post(f->loop, forget_old, f); /* not posted: done after the next stop */
        return;
    }
    if (f->keep_engines_on_stop || all_gone(f)) fh_loop_stop(f->loop);
}

static void stop_too_long(void *arg)
{
    fh_fleet *f = arg;
    fh_log(FH_LOG_WARN, "fleet", "not every engine could be stopped in time; the next start sweeps what is left");
    fh_loop_stop(f->loop);
}

static void begin_stop(void *arg)
{
    fh_fleet *f = arg;
    f->stopping = true;
    for (fh_deployment *d = f->first; d && !f->keep_engines_on_stop; d = d->next) {
        if (!d->engine.runs) continue;
        fh_deployment_drop_call(d);
        if (d->view.state == FH_DEPLOYMENT_FAILED)
            fh_deployment_kill(d, "the server stops");
        else if (d->view.state == FH_DEPLOYMENT_DRAINING)
            fh_deployment_step_soon(d, 0);
        else
            fh_deployment_set_state(d, FH_DEPLOYMENT_DRAINING, "", "the server stops");
    }
    fh_timer_start(f->stop_timer, f->timing.term_ns + STOP_GRACE_NS);
    fh_fleet_settle(f);
}

static void fleet_free(fh_fleet *f)
{
    while (f->first) {
        fh_deployment *d = f->first;
        f->first = d->next;
        fh_deployment_free(d);
    }
    fh_sets_free(f);
    fh_fleet_snapshot_release(f->snapshot);
    fh_http_client_free(f->client);
    if (f->stop_timer) fh_timer_free(f->stop_timer);
    if (f->publish_timer) fh_timer_free(f->publish_timer);
    fh_orders_close(f);
    fh_orders_free(f);
    fh_fleet_nodes_free(f);
    fh_here_free(f->here);
    fh_loop_free(f->loop);
    fh_db_close(f->db);
    fh_weights_close(f->weights);
    pthread_mutex_destroy(&f->lock);
    fh_free(f->store_url);
    fh_free(f);
}

static void end_thread(fh_fleet *f, void (*begin)(void *arg))
{
    if (!f->thread_runs) return;
    while (!fh_loop_post(f->loop, begin, f)) fh_sleep_ns(10 * FH_NS_PER_MS); /* out of memory for a moment; there is no other way to stop */
    pthread_join(f->thread, NULL);
    f->thread_runs = false;
}

void fh_fleet_stop(fh_fleet *f)
{
    if (!f) return;
    end_thread(f, begin_stop);
    fleet_free(f);
}

static void begin_leave(void *arg)
{
    fh_fleet *f = arg;
    f->keep_engines_on_stop = true;
    begin_stop(f);
}

void fh_fleet_leave(fh_fleet *f)
{
    atomic_store(&f->left, true);
    end_thread(f, begin_leave);
    fh_db_close(f->db);
    f->db = NULL;
}

/* ---- starting ---- */

static void *run_thread(void *arg)
{
    fh_fleet *f = arg;
    fh_err *err = NULL;
    f->looping = true;
    if (fh_loop_run(f->loop, &err) != 0) fh_log_err(FH_LOG_ERROR, "fleet", err, "the fleet's loop ended");
    fh_err_free(err);
    fh_fleet_publish_now(f);
    fh_orders_close(f);
    if (f->at_end) f->at_end(f->at_end_arg);
    return NULL;
}

static int open_parts(fh_fleet *f, const fh_fleet_config *c, fh_err **err)
{
    f->store_url = fh_strdup(c->store_url);
    if (!f->store_url) return fh_err_nomem(err);
    int rc = fh_db_open(&f->db, c->store_url, err);
    if (rc == 0) rc = fh_db_migrate_schema(f->db, err);
    if (rc == 0) rc = fh_weights_open(&f->weights, c->data_dir, true, err);
    if (rc == 0) rc = fh_loop_new(&f->loop, err);
    if (rc == 0) rc = fh_here_new(&f->here, f->loop, c, err);
    if (rc == 0) rc = fh_http_client_new(&f->client, f->loop, err);
    if (rc == 0) rc = fh_timer_new(&f->stop_timer, f->loop, stop_too_long, f, err);
    if (rc == 0) rc = fh_orders_load(f, err);
    if (rc == 0) rc = fh_fleet_publisher(f, err);
    if (rc != 0) return rc;
    fh_here_place(f->here, &f->place_here);
    f->places = &f->place_here;
    for (size_t i = 0; rc == 0 && i < c->node_count; i++) rc = fh_fleet_node_set(f, &c->nodes[i], err);
    return rc;
}

int fh_fleet_start_timed(fh_fleet **ret, const fh_fleet_config *c, const fh_fleet_timing *t, fh_err **err)
{
    fh_fleet *f = fh_calloc(1, sizeof(*f));
    if (!f) return fh_err_nomem(err);
    pthread_mutex_init(&f->lock, NULL);
    f->timing = *t;
    f->keep_engines_on_stop = c->keep_engines_on_stop;
    f->quality = c->quality;
    f->quality_ctx = c->quality_ctx;
    int rc = open_parts(f, c, err);
    if (rc == 0) rc = fh_fleet_adopt_all(f, err);
    if (rc == 0) rc = fh_sets_start(f, err);
    if (rc == 0 && pthread_create(&f->thread, NULL, run_thread, f) != 0)
        rc = fh_err_set(err, FH_E_UNAVAILABLE, "cannot start the fleet's thread");
    if (rc != 0) {
        fleet_free(f);
        return rc;
    }
    f->thread_runs = true;
    *ret = f;
    return 0;
}

int fh_fleet_start(fh_fleet **ret, const fh_fleet_config *c, fh_err **err)
{
    return fh_fleet_start_timed(ret, c, &fh_fleet_timing_default, err);
}
