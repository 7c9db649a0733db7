/* A fleet in a folder of its own, with models for the engine that misbehaves on command: what the tests of the fleet share. */
#ifndef FH_TEST_FLEET_WORLD_H
#define FH_TEST_FLEET_WORLD_H

#include "cmocka_all.h"

#include "base/clock.h"
#include "base/log.h"
#include "fake_engine.h"
#include "fleet_private.h"
#include "sys/file.h"
#include "tiny_gguf.c"

static char data[64], store[128], self_path[512];
static fh_fleet *fleet;
static fh_loop *loop;

static fh_fleet_timing quick(void)
{
    fh_fleet_timing t = fh_fleet_timing_default;
    t.poll_ns = 5 * FH_NS_PER_MS;
    t.health_ns = 100 * FH_NS_PER_MS;
    t.health_timeout_ns = 300 * FH_NS_PER_MS;
    t.load_stall_ns = 400 * FH_NS_PER_MS;
    t.prove_ns = 2 * FH_NS_PER_S;
    t.drain_ns = 20 * FH_NS_PER_MS;
    t.drain_max_ns = 500 * FH_NS_PER_MS;
    t.term_ns = 300 * FH_NS_PER_MS;
    t.retry_ns = 20 * FH_NS_PER_MS;
    t.sets_ns = 10 * FH_NS_PER_MS;
    t.scale_up_ns = 100 * FH_NS_PER_MS;
    t.scale_down_ns = 300 * FH_NS_PER_MS;
    t.set_retry_ns = 100 * FH_NS_PER_MS;
    t.set_retry_most_ns = 400 * FH_NS_PER_MS;
    t.deployments = 64;
    for (int i = 0; i < FH_FLEET_BACKOFFS; i++) t.backoff_ns[i] = 5 * FH_NS_PER_MS;
    return t;
}

static void import_model(const char *id, uint32_t seed)
{
    FH_AUTO(fh_weights) fh_weights *w = NULL;
    FH_AUTO(fh_weights_source) fh_weights_source *source = NULL;
    char path[128];
    tiny_gguf t;
    fh_weights_item item;
    fh_err *err = NULL;
    snprintf(path, sizeof(path), "%s/tiny.gguf", data);
    tiny_gguf_default(&t);
    t.seed = seed;
    assert_true(tiny_gguf_write(&t, path));
    assert_int_equal(fh_weights_open(&w, data, false, NULL), 0);
    assert_int_equal(fh_weights_source_open(&source, NULL, path, NULL), 0);
    if (fh_weights_import(w, source, id, NULL, NULL, &item, &err) != 0) fail_msg("%s", fh_err_message(err));
    assert_int_equal(unlink(path), 0);
}

static int start_fleet_err(bool keep, fh_err **err)
{
    static char llama[600];
    static const char *const engines[] = {llama, NULL};
    snprintf(llama, sizeof(llama), "llama-server=%s", self_path);
    fh_fleet_config c = {.data_dir = data, .store_url = store, .program = self_path, .engines = engines, .keep_engines_on_stop = keep};
    fh_fleet_timing t = quick();
    return fh_fleet_start_timed(&fleet, &c, &t, err);
}

static void start_fleet(bool keep)
{
    fh_err *err = NULL;
    if (start_fleet_err(keep, &err) != 0) fail_msg("%s", fh_err_message(err));
}

static int setup(void **state)
{
    (void)state;
    static const char *const models[] = {"good", "slow", "never", "mute", "plain", "crash", "deaf", "silent", "busy"};
    strcpy(data, "/tmp/fh-fleet-XXXXXX");
    if (!mkdtemp(data) || fh_loop_new(&loop, NULL) != 0) return -1;
    snprintf(store, sizeof(store), "sqlite:%s/freehold.db", data);
    for (uint32_t i = 0; i < FH_COUNT(models); i++) import_model(models[i], i + 1);
    start_fleet(false);
    return 0;
}

static unsigned marked_processes(void)
{
    char marker[160];
    snprintf(marker, sizeof(marker), "unix:%s/run/", data);
    unsigned own = fh_process_sweep(marker, NULL, NULL, 0), others = fh_process_sweep(strchr(marker, '/'), NULL, NULL, 0);
    return FH_MAX(own, others); /* sandboxes bear both marks */
}

static int count_entry(void *arg, const char *name, fh_err **err)
{
    (void)name;
    (void)err;
    ++*(unsigned *)arg;
    return 0;
}

static unsigned run_folders(void)
{
    char path[128];
    unsigned n = 0;
    snprintf(path, sizeof(path), "%s/run", data);
    assert_int_equal(fh_dir_each(path, count_entry, &n, NULL), 0);
    return n;
}

static void assert_nothing_left(void)
{
    for (int i = 0; i < 300 && (marked_processes() || run_folders()); i++) fh_sleep_ns(10 * FH_NS_PER_MS);
    assert_int_equal(marked_processes(), 0);
    assert_int_equal(run_folders(), 0);
}

static int teardown(void **state)
{
    (void)state;
    fh_fleet_stop(fleet);
    fleet = NULL;
    assert_nothing_left();
    fh_loop_free(loop);
    return fh_dir_remove(data, NULL);
}

/* ---- asking and looking ---- */

typedef struct answer {
    bool came;
    int code;
    fh_deployment_view view;
    char message[256], hint[256];
} answer;

static void answered(void *arg, const fh_deployment_view *view, const fh_err *err)
{
    answer *a = arg;
    a->came = true;
    a->code = err ? fh_err_code(err) : 0;
    if (view) a->view = *view;
    if (err) {
        snprintf(a->message, sizeof(a->message), "%s", fh_err_message(err));
        snprintf(a->hint, sizeof(a->hint), "%s", fh_err_hint_get(err) ? fh_err_hint_get(err) : "");
    }
    fh_loop_stop(loop);
}

static answer deploy_limited(const char *model, const char *name, const char *place, int64_t context, const fh_deploy_limit *limit)
{
    fh_deploy_spec s = {.context_tok = context};
    answer a = {0};
    if (limit) s.limit = *limit;
    snprintf(s.model, sizeof(s.model), "%s", model);
    snprintf(s.name, sizeof(s.name), "%s", name);
    snprintf(s.place, sizeof(s.place), "%s", place);
    assert_int_equal(fh_fleet_deploy(fleet, &s, loop, answered, &a, NULL), 0);
    assert_int_equal(fh_loop_run(loop, NULL), 0);
    assert_true(a.came);
    return a;
}

static answer deploy_named(const char *model, const char *name, const char *place, int64_t context)
{
    return deploy_limited(model, name, place, context, NULL);
}

static answer deploy(const char *model)
{
    return deploy_named(model, "", "", 0);
}

static answer undeploy(const char *name)
{
    answer a = {0};
    assert_int_equal(fh_fleet_undeploy(fleet, name, loop, answered, &a, NULL), 0);
    assert_int_equal(fh_loop_run(loop, NULL), 0);
    return a;
}

static bool look(const char *name, fh_deployment_view *ret)
{
    const fh_fleet_snapshot *s = fh_fleet_snapshot_get(fleet);
    bool found = false;
    for (size_t i = 0; i < s->count && !found; i++) {
        if (strcmp(s->deployments[i].name, name) != 0) continue;
        *ret = s->deployments[i];
        found = true;
    }
    fh_fleet_snapshot_release(s);
    return found;
}

#define LOOKS 24000 /* every 5 ms: two minutes */

static fh_deployment_view wait_state(const char *name, fh_deployment_state state)
{
    fh_deployment_view v = {0};
    for (int i = 0; i < LOOKS; i++) {
        if (look(name, &v) && v.state == state) return v;
        fh_sleep_ns(5 * FH_NS_PER_MS);
    }
    fail_msg("%s is %s (%s), not %s", name, fh_deployment_state_name(v.state), v.reason, fh_deployment_state_name(state));
    return v;
}

#endif
