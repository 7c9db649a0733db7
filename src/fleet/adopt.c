/* Start-up: what the server before left. Engines that still run and answer are adopted; everything else that carries our mark is ended and
 * removed; what should run and does not is started again. Runs before the fleet's thread, so that `ps` tells the truth from the first
 * moment. */
#include "fleet_private.h"
#include "sets.h"

#include "base/clock.h"
#include "base/log.h"
#include <stdio.h>
#include <string.h>

#define ANSWER_NS (2 * FH_NS_PER_S)

static int link_loaded(fh_fleet *f, fh_deployment *d, fh_err **err)
{
    (void)err;
    fh_fleet_link(f, d);
    fh_orders_attach(d);
    d->place = fh_fleet_place(f, d->view.place); /* NULL: it is gone, and another is looked for */
    return 0;
}

static bool needs_engine(const fh_deployment *d)
{
    fh_deployment_state s = d->view.state;
    return s == FH_DEPLOYMENT_LOADING || s == FH_DEPLOYMENT_PROVING || s == FH_DEPLOYMENT_READY || s == FH_DEPLOYMENT_DRAINING;
}

/* One that is to end anyhow need not answer; one that says nothing while it loads may go on loading. */
static fh_health health_now(const fh_deployment *d)
{
    if (d->view.state == FH_DEPLOYMENT_DRAINING) return FH_HEALTH_READY;
    fh_health h = fh_talk_health_now(d->kind, d->view.socket_path, ANSWER_NS);
    bool silent = d->view.state == FH_DEPLOYMENT_LOADING && d->kind->health_says == FH_ENGINE_SAYS_STATUS;
    return silent && h == FH_HEALTH_NONE ? FH_HEALTH_LOADING : h;
}

/* The process is the one that was written down, and (but for one that is to end anyhow) it answers on its socket. */
static bool try_adopt(fh_deployment *d)
{
    const fh_place *p = d->place;
    if (!p || !needs_engine(d) || !*d->view.socket_path) return false;
    if (p->adopt(p->ctx, d->view.act, d->view.socket_path, &d->engine, NULL) != 0) return false;
    fh_planning_reckon(d); /* what planning found is not in the database, and the engine may have to be started again */
    d->begun_ns = fh_clock_mono_ns();
    if (d->engine.away) return true;
    fh_health h = health_now(d);
    if (h == FH_HEALTH_NONE || (d->view.state == FH_DEPLOYMENT_READY && h != FH_HEALTH_READY)) {
        p->let_go(p->ctx, &d->engine);
        return false;
    }
    d->view.pid = d->engine.process.pid;
    fh_deployment_measure(d);
    return true;
}

static bool is_adopted(void *arg, const char *folder)
{
    fh_fleet *f = arg;
    size_t n = strlen(folder);
    for (fh_deployment *d = f->first; d; d = d->next) {
        if (d->engine.runs && strncmp(d->view.socket_path, folder, n) == 0 && d->view.socket_path[n] == '/') return true;
    }
    return false;
}

static void forget_act(fh_deployment *d)
{
    if (d->view.act) fh_store_act_end(d->fleet->db, d->view.act, NULL); /* not written: found open again by the next start */
    d->view.act = 0;
    d->view.socket_path[0] = 0;
    d->view.sandbox[0] = 0;
}

/* The state that is true now. */
static int settle_one(fh_deployment *d)
{
    fh_deployment_state s = d->view.state;
    if (s == FH_DEPLOYMENT_FAILED) return 0;
    if (d->engine.runs) {
        if (!d->wanted && s != FH_DEPLOYMENT_DRAINING) return fh_deployment_set_state(d, FH_DEPLOYMENT_DRAINING, "", "asked to stop");
        if (d->engine.away && s != FH_DEPLOYMENT_DRAINING)
            return fh_deployment_set_state(d, FH_DEPLOYMENT_LOADING, "", "the server was started again; waiting for its machine");
        return fh_deployment_set_state(d, s, "", "the server was started again and found its engine running");
    }
    if (!d->wanted) return fh_deployment_set_state(d, FH_DEPLOYMENT_STOPPED, "", "stopped");
    if (s == FH_DEPLOYMENT_REQUESTED) return fh_deployment_step_soon(d, 0), 0;
    return fh_deployment_set_state(d, FH_DEPLOYMENT_REQUESTED, "",
                                   needs_engine(d) ? "the server was started again and its engine was gone"
                                                   : "the server was started again");
}

int fh_fleet_adopt_all(fh_fleet *f, fh_err **err)
{
    int rc = fh_store_load(f, link_loaded, err);
    if (rc == 0) rc = fh_sets_load(f, err);
    if (rc != 0) return rc;
    for (fh_deployment *d = f->first; d; d = d->next) {
        bool adopted = try_adopt(d);
        fh_log(FH_LOG_INFO, "fleet", "deployment=%s %s engine=%s", d->view.name, fh_deployment_state_name(d->view.state),
               adopted ? "adopted" : "gone");
    }
    for (fh_place *p = f->places; p; p = p->next) p->sweep(p->ctx, is_adopted, f);
    for (fh_deployment *d = f->first; rc == 0 && d; d = d->next) {
        if (!d->engine.runs) forget_act(d);
        rc = settle_one(d);
    }
    fh_fleet_publish(f);
    if (!f->snapshot) return fh_err_nomem(err); /* from now on there always is one */
    return rc == 0 ? 0 : fh_err_set(err, FH_E_IO, "the database does not take the state of the deployments");
}
