/* What is done in each state. Each step looks at what is true, does one bounded piece of work, and either changes the state or asks to be
 * called again. */
#include "fleet_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include <stdio.h>
#include <string.h>

#define PROGRESS_NS (200 * FH_NS_PER_MS)
#define MEASURE_NS  FH_NS_PER_S

void fh_step_fail(fh_deployment *d, const fh_err *err)
{
    const char *hint = fh_err_hint_get(err);
    fh_deployment_set_state(d, FH_DEPLOYMENT_FAILED, hint ? hint : "`freehold logs` shows what its engine said last", "%s",
                            fh_err_message(err));
}

static void fail_and_free(fh_deployment *d, fh_err *err)
{
    fh_step_fail(d, err);
    fh_err_free(err);
}

/* What the catalogue says of the model on its engine; NULL: nothing. */
static const fh_catalog_run *run_of(const fh_deployment *d)
{
    return fh_catalog_run_find(fh_catalog_find(fh_str_of(d->view.model)), d->kind->id, d->view.variant);
}

void fh_step_provisioning(fh_deployment *d)
{
    if (d->order && fh_step_await_machine(d)) return;
    fh_err *err = NULL;
    const fh_place *p = d->place;
    const fh_catalog_run *run = run_of(d);
    if (p->ready(p->ctx, d->kind, run ? run->least : "", d->view.sandbox, sizeof(d->view.sandbox), &err) != 0)
        fail_and_free(d, err);
    else
        fh_deployment_set_state(d, FH_DEPLOYMENT_FETCHING, "", "at %s, its engine held in by %s", d->place->name, d->view.sandbox);
}

/* Progress is shown now and then, not at each look. */
static void show_progress(fh_deployment *d, int64_t done, int64_t total)
{
    int64_t now = fh_clock_mono_ns();
    if (done == d->view.progress_done && total == d->view.progress_total) return;
    d->view.progress_done = done;
    d->view.progress_total = total;
    d->progress_ns = now;
    if (now - d->told_ns < PROGRESS_NS) return;
    d->told_ns = now;
    fh_fleet_publish(d->fleet);
    fh_fleet_tell(d->fleet, d, d->view.state, fh_clock_utc_ns());
}

/* True: they are where its engine reads them. */
static bool bring_weights(fh_deployment *d)
{
    fh_err *err = NULL;
    bool whole = true;
    int64_t done = 0, total = 0;
    if (!d->place->fetch) return true;
    int rc = d->place->fetch(d->place->ctx, &d->item, &whole, &done, &total, &err);
    if (rc == FH_E_UNAVAILABLE || rc == FH_E_TOO_LARGE) {
        fh_deployment_set_state(d, FH_DEPLOYMENT_REQUESTED, "", "%s; looking for a place again", fh_err_message(err));
    } else if (rc != 0) {
        fh_step_fail(d, err);
    } else if (!whole) {
        show_progress(d, done, total);
        fh_deployment_step_soon(d, d->fleet->timing.poll_ns);
    }
    fh_err_free(err);
    return rc == 0 && whole;
}

void fh_step_fetching(fh_deployment *d)
{
    fh_err *err = NULL;
    int rc = fh_weights_find(d->fleet->weights, *d->view.digest ? d->view.digest : d->view.model, &d->item, &err);
    if (rc == 0) rc = fh_store_digest(d->fleet->db, d->id, d->item.digest, &err);
    if (rc != 0) {
        fail_and_free(d, err);
        return;
    }
    char bytes[32];
    memcpy(d->view.digest, d->item.digest, sizeof(d->view.digest));
    snprintf(d->view.variant, sizeof(d->view.variant), "%s", d->item.variant);
    if (!bring_weights(d)) return;
    fh_plan_bytes(d->item.bytes, bytes, sizeof(bytes));
    d->not_before_ns = 0;
    fh_deployment_set_state(d, FH_DEPLOYMENT_LOADING, "", "the weights are on the disk, %s; starting the engine", bytes);
}

/* ---- loading: an engine is started, and reads its weights ---- */

/* Written down before it is done: if we die in between, the next start finds the act without a process and sweeps whatever carries its
 * socket. */
static int begin_act(fh_deployment *d, fh_err **err)
{
    const fh_place *p = d->place;
    int rc = d->view.act ? 0 : fh_store_act_begin(d->fleet->db, d->id, &d->view.act, err);
    if (rc == 0) rc = p->socket_path(p->ctx, d->view.name, d->view.act, d->view.socket_path, sizeof(d->view.socket_path), err);
    return rc != 0 ? rc : fh_store_act_socket(d->fleet->db, d->view.act, d->view.socket_path, err);
}

static int start_engine(fh_deployment *d, fh_err **err)
{
    fh_engine_spec spec = {.kind = d->kind,
                           .deployment = d->view.name,
                           .model = d->view.model,
                           .digest = d->item.digest,
                           .file = d->item.path,
                           .folder = d->item.folder,
                           .socket_path = d->view.socket_path,
                           .context_tok = d->view.context_tok,
                           .streams = d->view.streams,
                           .kv_type = d->view.kv_type,
                           .memory_bytes = d->memory_bytes,
                           .kv_bytes = d->kv_bytes,
                           .run = run_of(d)};
    int rc = d->place->start(d->place->ctx, &spec, &d->engine, err);
    if (rc != 0) return rc;
    fh_err *unwritten = NULL;
    if (fh_store_act_process(d->fleet->db, d->view.act, &d->engine.process, &unwritten) !=
        0) { /* it runs all the same; should we die, it is swept instead of adopted */
        fh_log_err(FH_LOG_WARN, "fleet", unwritten, "deployment %s: its process", d->view.name);
    }
    fh_err_free(unwritten);
    d->view.pid = d->engine.process.pid;
    return 0;
}

static void start_or_heal(fh_deployment *d)
{
    fh_err *err = NULL;
    if (begin_act(d, &err) != 0) {
        fh_log_err(FH_LOG_ERROR, "fleet", err, "deployment %s: its start could not be written down; trying again", d->view.name);
        fh_deployment_step_soon(d, d->fleet->timing.retry_ns);
    } else if (start_engine(d, &err) != 0) {
        snprintf(d->why, sizeof(d->why), "%s", fh_err_message(err));
        fh_deployment_engine_gone(d);
    } else {
        d->progress_ns = d->begun_ns = fh_clock_mono_ns();
        d->cpu_ns = 0;
        d->prove_plain = false;
        d->reading_ns = 0;
        d->view.load = (fh_engine_load){.measured_utc_ns = 0};
        fh_fleet_publish(d->fleet);
        fh_deployment_step_soon(d, d->fleet->timing.poll_ns);
    }
    fh_err_free(err);
}

/* An engine that does not say how far it is counts as at work while it computes. Its memory is what people see grow. */
static void show_work(fh_deployment *d)
{
    int64_t now = fh_clock_mono_ns(), before = d->cpu_ns;
    if (d->kind->health_says == FH_ENGINE_SAYS_PROGRESS || now - d->measured_ns < MEASURE_NS) return;
    d->measured_ns = now;
    fh_deployment_measure(d);
    if (d->cpu_ns <= before) return;
    d->progress_ns = now;
    fh_fleet_publish(d->fleet);
    fh_fleet_tell(d->fleet, d, d->view.state, fh_clock_utc_ns());
}

static void loading_health(fh_deployment *d, fh_health health, int64_t done, int64_t total)
{
    if (d->view.state != FH_DEPLOYMENT_LOADING) return;
    if (health == FH_HEALTH_READY) {
        d->place->up(d->place->ctx, d->view.name, d->view.act, d->view.socket_path);
        fh_deployment_set_state(d, FH_DEPLOYMENT_PROVING, "", "the engine is up; asking it for a first token");
        return;
    }
    if (health != FH_HEALTH_NONE) show_progress(d, done, total);
    show_work(d);
    fh_deployment_step_soon(d, d->fleet->timing.poll_ns);
}

void fh_step_loading(fh_deployment *d)
{
    const fh_fleet_timing *t = &d->fleet->timing;
    int64_t now = fh_clock_mono_ns();
    if (d->fleet->stopping || d->call) return;
    if (d->engine.away) return; /* its place tells when it is there again, or has ended */
    if (!d->engine.runs) {
        if (now < d->not_before_ns)
            fh_deployment_step_soon(d, d->not_before_ns - now);
        else if (!*d->item.path)
            fh_deployment_set_state(d, FH_DEPLOYMENT_REQUESTED, "", "its engine was an earlier server's: looking again at what it needs");
        else
            start_or_heal(d);
        return;
    }
    bool late = now - d->begun_ns > d->kind->start_s * FH_NS_PER_S;
    if (late || now - d->progress_ns > t->load_stall_ns) {
        char why[96];
        if (late)
            snprintf(why, sizeof(why), "it did not answer within %lld s", (long long)d->kind->start_s);
        else
            snprintf(why, sizeof(why), "it made no progress with loading for %lld s", (long long)(t->load_stall_ns / FH_NS_PER_S));
        fh_deployment_kill(d, why);
        return;
    }
    if (fh_talk_health(d, loading_health, NULL) != 0) fh_deployment_step_soon(d, t->poll_ns);
}

/* ---- proving: a real token by the path that users take ---- */

static void proof_came(fh_deployment *d, bool proven, const char *why)
{
    if (d->view.state != FH_DEPLOYMENT_PROVING) return;
    if (!proven) {
        char text[240];
        snprintf(text, sizeof(text), "it did not prove itself: %s", why);
        fh_deployment_kill(d, text);
        return;
    }
    fh_deployment_measure(d);
    d->health_ns = fh_clock_mono_ns();
    fh_deployment_set_state(d, FH_DEPLOYMENT_READY, "", "it answered with a real token");
}

void fh_step_proving(fh_deployment *d)
{
    fh_err *err = NULL;
    if (d->fleet->stopping || d->call) return;
    if (!d->engine.runs) { /* its end was seen, but could not be written down then */
        fh_step_heal(d);
        return;
    }
    if (fh_talk_prove(d, proof_came, &err) == 0) return;
    fh_log_err(FH_LOG_WARN, "fleet", err, "deployment %s: the proof could not be sent; trying again", d->view.name);
    fh_err_free(err);
    fh_deployment_step_soon(d, d->fleet->timing.retry_ns);
}

/* ---- ready: looked at now and then ---- */

/* Its load, after each look at its health. */
static void ready_load(fh_deployment *d, const fh_load_reading *r)
{
    int64_t now = fh_clock_mono_ns();
    if (d->view.state != FH_DEPLOYMENT_READY) return;
    if (r) {
        fh_load_take(&d->view.load, d->reading_ns ? &d->reading : NULL, r, now - d->reading_ns, fh_clock_utc_ns());
        d->reading = *r;
        d->reading_ns = now;
        fh_fleet_publish(d->fleet);
    }
    fh_deployment_step_soon(d, d->fleet->timing.health_ns);
}

static void ready_health(fh_deployment *d, fh_health health, int64_t done, int64_t total)
{
    (void)done;
    (void)total;
    if (d->view.state != FH_DEPLOYMENT_READY) return;
    d->health_ns = fh_clock_mono_ns();
    d->misses = health == FH_HEALTH_READY ? 0 : d->misses + 1;
    if (d->misses >= d->fleet->timing.health_misses) {
        fh_deployment_kill(d, "it stopped answering");
        return;
    }
    uint64_t before = d->view.rss_bytes;
    fh_deployment_measure(d);
    d->place->rotate(d->place->ctx, d->view.name);
    if (d->view.rss_bytes != before) fh_fleet_publish(d->fleet);
    if (!d->misses && fh_talk_load(d, ready_load, NULL) == 0) return;
    fh_deployment_step_soon(d, d->misses ? d->fleet->timing.poll_ns : d->fleet->timing.health_ns);
}

void fh_step_ready(fh_deployment *d)
{
    const fh_fleet_timing *t = &d->fleet->timing;
    int64_t due = d->health_ns + (d->misses ? t->poll_ns : t->health_ns) - fh_clock_mono_ns();
    if (d->fleet->stopping || d->call) return;
    if (!d->engine.runs)
        fh_step_heal(d); /* its end was seen, but could not be written down then */
    else if (due > 0)
        fh_deployment_step_soon(d, due);
    else if (fh_talk_health(d, ready_health, NULL) != 0)
        fh_deployment_step_soon(d, t->retry_ns);
}

void fh_deployment_look(fh_deployment *d)
{
    if (d->view.state != FH_DEPLOYMENT_READY || d->call) return;
    d->health_ns = 0;
    fh_deployment_step_soon(d, 0);
}

/* ---- draining: no new requests, what runs may end, then the engine ends ---- */

static void drained(fh_deployment *d, const fh_load_reading *r)
{
    bool busy = fh_load_busy(r);
    d->idle = !busy;
    if (d->view.state == FH_DEPLOYMENT_DRAINING) fh_deployment_step_soon(d, busy ? d->fleet->timing.drain_ns : 0);
}

/* True while there is something to wait for. */
static bool wait_for_requests(fh_deployment *d, int64_t now)
{
    const fh_fleet_timing *t = &d->fleet->timing;
    int64_t since = now - d->entered_ns;
    if (d->fleet->stopping || d->idle || since >= t->drain_max_ns) return false;
    if (since < t->drain_ns)
        fh_deployment_step_soon(d, t->drain_ns - since);
    else if (!d->call && fh_talk_load(d, drained, NULL) != 0)
        return false;
    return true;
}

static void end_drained(fh_deployment *d)
{
    if (d->wanted)
        fh_deployment_set_state(d, FH_DEPLOYMENT_REQUESTED, "",
                                d->fleet->stopping ? "its server stopped; it starts again with it" : "it is wanted elsewhere");
    else
        fh_deployment_set_state(d, FH_DEPLOYMENT_STOPPED, "", "stopped");
}

void fh_step_draining(fh_deployment *d)
{
    const fh_fleet_timing *t = &d->fleet->timing;
    int64_t now = fh_clock_mono_ns();
    if (!d->engine.runs) {
        end_drained(d);
        return;
    }
    if (!d->signalled_ns && wait_for_requests(d, now)) return;
    fh_deployment_drop_call(d);
    bool force = d->signalled_ns && now - d->signalled_ns >= t->term_ns;
    if (!d->signalled_ns) d->signalled_ns = now;
    if (force || d->signalled_ns == now) d->place->stop(d->place->ctx, &d->engine, force);
    fh_deployment_step_soon(d, force ? t->retry_ns : t->term_ns - (now - d->signalled_ns));
}

/* ---- healing: an engine has ended that should not have ---- */

static unsigned recent_restarts(const fh_deployment *d, int64_t now)
{
    unsigned n = 0;
    for (size_t i = 0; i < FH_COUNT(d->restarts_ns); i++)
        n += d->restarts_ns[i] && now - d->restarts_ns[i] < d->fleet->timing.restart_window_ns;
    return n;
}

static void remember_restart(fh_deployment *d, int64_t now)
{
    size_t oldest = 0;
    for (size_t i = 1; i < FH_COUNT(d->restarts_ns); i++) {
        if (d->restarts_ns[i] < d->restarts_ns[oldest]) oldest = i;
    }
    d->restarts_ns[oldest] = now;
    d->view.restarts++;
    fh_store_restarts(d->fleet->db, d->id, d->view.restarts, NULL); /* a number for people; the next one corrects it */
}

void fh_step_again(fh_deployment *d, const char *why)
{
    int64_t now = fh_clock_mono_ns();
    unsigned n = recent_restarts(d, now);
    d->why[0] = 0;
    if (n >= FH_LIMIT_DEPLOYMENT_RESTARTS) {
        fh_deployment_set_state(d, FH_DEPLOYMENT_FAILED, "`freehold events` shows what happened; `freehold run` tries again",
                                "%s, %u times in a row", why, n + 1);
        return;
    }
    d->not_before_ns = now + d->fleet->timing.backoff_ns[FH_MIN(n, FH_FLEET_BACKOFFS - 1u)];
    if (fh_deployment_set_state(d, FH_DEPLOYMENT_REQUESTED, "", "%s; trying another (%u of %d)", why, n + 1,
                                FH_LIMIT_DEPLOYMENT_RESTARTS) == 0)
        remember_restart(d, now);
}

void fh_step_heal(fh_deployment *d)
{
    char words[200], why[256];
    const fh_fleet_timing *t = &d->fleet->timing;
    int64_t now = fh_clock_mono_ns();
    unsigned n = recent_restarts(d, now);
    snprintf(why, sizeof(why), "%s", *d->why ? d->why : "the engine ended unexpectedly");
    fh_place_last_words(d->place, d->view.name, words, sizeof(words));
    if (d->fleet->stopping) return; /* the stop sees that it is gone */
    if (!d->place->terms(d->place->ctx).there) {
        if (fh_deployment_set_state(d, FH_DEPLOYMENT_REQUESTED, "", "%s; looking for a place again", why) == 0) d->why[0] = 0;
        return;
    }
    if (n >= FH_LIMIT_DEPLOYMENT_RESTARTS) {
        int rc = fh_deployment_set_state(d, FH_DEPLOYMENT_FAILED, "`freehold logs` shows what its engine said; `freehold run` tries again",
                                         "%s, %u times in a row%s%s", why, n + 1, *words ? "; its last words: " : "", words);
        if (rc == 0) d->why[0] = 0;
        return;
    }
    int64_t wait = t->backoff_ns[FH_MIN(n, FH_FLEET_BACKOFFS - 1u)];
    d->not_before_ns = now + wait;
    d->view.progress_done = d->view.progress_total = 0;
    if (fh_deployment_set_state(d, FH_DEPLOYMENT_LOADING, "", "%s; starting it again%s (%u of %d)", why,
                                wait >= FH_NS_PER_S ? " after a while" : "", n + 1, FH_LIMIT_DEPLOYMENT_RESTARTS) != 0)
        return;
    d->why[0] = 0;
    remember_restart(d, now);
}
