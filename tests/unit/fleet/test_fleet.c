/* The fleet with real processes in real sandboxes: engines that serve, crash, hang, lie; servers that are killed; what is left behind
 * (nothing). The engine is this very program, started as `PROGRAM engine`. */
#include "fleet_world.h"

#include "base/fault.h"
#include "catalog/files.h"
#include "db/schema.h"
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>

static answer deploy_spec(fh_deploy_mode mode, const char *model, const char *name, int64_t context)
{
    fh_deploy_spec s = {.mode = mode, .context_tok = context};
    answer a = {0};
    snprintf(s.model, sizeof(s.model), "%s", model);
    snprintf(s.name, sizeof(s.name), "%s", name);
    assert_int_equal(fh_fleet_deploy(fleet, &s, loop, answered, &a, NULL), 0);
    assert_int_equal(fh_loop_run(loop, NULL), 0);
    assert_true(a.came);
    return a;
}

static fh_deployment_view wait_restarts(const char *name, unsigned restarts)
{
    fh_deployment_view v = {0};
    for (int i = 0; i < 2000; i++) {
        if (look(name, &v) && v.restarts >= restarts && v.state == FH_DEPLOYMENT_READY) return v;
        fh_sleep_ns(5 * FH_NS_PER_MS);
    }
    fail_msg("%s: %u restarts, %s (%s)", name, v.restarts, fh_deployment_state_name(v.state), v.reason);
    return v;
}

/* The states of a deployment's history, "requested planning ..." */
static void history_text(const char *name, char *out, size_t size)
{
    FH_AUTO(json) fh_json *h = NULL;
    size_t n = 0;
    out[0] = 0;
    assert_int_equal(fh_fleet_history(fleet, name, 0, 100, &h, NULL), 0);
    for (size_t i = 0; i < fh_json_count(h); i++) {
        fh_str to = fh_json_str(fh_json_get(fh_json_at(h, i), "to"));
        n += (size_t)snprintf(out + n, size - n, "%s%.*s", n ? " " : "", (int)to.len, to.ptr);
    }
}

/* ---- the tests ---- */

static void a_deployment_walks_its_states_and_is_stopped(void **state)
{
    (void)state;
    char text[512];
    answer a = deploy("good");
    assert_int_equal(a.code, 0);
    assert_string_equal(a.view.name, "good");
    fh_deployment_view v = wait_state("good", FH_DEPLOYMENT_READY);
    assert_true(v.pid > 0 && v.rss_bytes > 0 && *v.sandbox && *v.socket_path);
    struct stat st;
    assert_int_equal(stat(v.socket_path, &st), 0);
    a = undeploy("good");
    assert_int_equal(a.view.state, FH_DEPLOYMENT_DRAINING);
    wait_state("good", FH_DEPLOYMENT_STOPPED);
    history_text("good", text, sizeof(text));
    assert_string_equal(text, "requested planning provisioning fetching loading proving ready draining stopped");
    for (int s = 0; s < FH_DEPLOYMENT_STATE_COUNT; s++)
        assert_int_equal(fh_fleet_entered(fleet, (fh_deployment_state)s), s == FH_DEPLOYMENT_FAILED ? 0 : 1);
    assert_nothing_left();
}

static void a_model_without_chat_template_is_proven_by_plain_text(void **state)
{
    (void)state;
    deploy("plain");
    wait_state("plain", FH_DEPLOYMENT_READY);
}

static void progress_of_loading_is_shown(void **state)
{
    (void)state;
    deploy("slow");
    int64_t seen = 0;
    for (int i = 0; i < 500 && !seen; i++) {
        fh_deployment_view v = {0};
        if (look("slow", &v) && v.state == FH_DEPLOYMENT_LOADING && v.progress_total == 100) seen = v.progress_done;
        fh_sleep_ns(2 * FH_NS_PER_MS);
    }
    assert_true(seen > 0);
    wait_state("slow", FH_DEPLOYMENT_READY);
}

static void a_killed_engine_heals_within_a_second(void **state)
{
    (void)state;
    deploy("good");
    fh_deployment_view before = wait_state("good", FH_DEPLOYMENT_READY);
    int64_t t = fh_clock_mono_ns();
    kill((pid_t)before.pid, SIGKILL);
    fh_deployment_view after = wait_restarts("good", 1);
    assert_true(fh_clock_mono_ns() - t < FH_NS_PER_S);
    assert_int_not_equal(after.pid, before.pid);
    assert_string_not_equal(after.socket_path, before.socket_path);
    assert_int_equal(run_folders(), 1);
}

static void a_crashing_engine_ends_as_failed_with_its_last_words(void **state)
{
    (void)state;
    deploy("crash");
    fh_deployment_view v = wait_state("crash", FH_DEPLOYMENT_FAILED);
    assert_non_null(strstr(v.reason, "tensor blk.0.attn_q.weight is not there"));
    assert_int_equal(v.restarts, FH_LIMIT_DEPLOYMENT_RESTARTS);
    assert_true(*v.hint);
    FH_AUTO(buf) fh_buf log = FH_BUF(65536);
    assert_int_equal(fh_fleet_log_tail(fleet, "crash", 65536, &log, NULL), 0);
    assert_non_null(strstr(log.data, "engine for crash"));
    assert_int_equal(deploy("crash").code, 0); /* the next run takes the name */
    wait_state("crash", FH_DEPLOYMENT_FAILED);
    assert_int_equal(undeploy("crash").code, 0);
    wait_state("crash", FH_DEPLOYMENT_STOPPED);
}

static void engines_without_progress_or_answer_are_given_up(void **state)
{
    (void)state;
    deploy("never");
    deploy("silent");
    assert_non_null(strstr(wait_state("never", FH_DEPLOYMENT_FAILED).reason, "no progress"));
    assert_non_null(strstr(wait_state("silent", FH_DEPLOYMENT_FAILED).reason, "no progress"));
}

static void an_engine_that_makes_no_token_is_never_ready(void **state)
{
    (void)state;
    char text[2048];
    deploy("mute");
    assert_non_null(strstr(wait_state("mute", FH_DEPLOYMENT_FAILED).reason, "the numbers are not numbers"));
    history_text("mute", text, sizeof(text));
    assert_null(strstr(text, "ready"));
}

static void a_frozen_engine_is_replaced(void **state)
{
    (void)state;
    char marker[160];
    deploy("good");
    fh_deployment_view v = wait_state("good", FH_DEPLOYMENT_READY);
    snprintf(marker, sizeof(marker), "unix:%s", v.socket_path);
    assert_true(fh_process_sweep(marker, NULL, NULL, SIGSTOP) >= 1);
    fh_fleet_report(fleet, "good", FH_E_TIMEOUT);
    wait_restarts("good", 1);
}

static void a_deaf_engine_is_stopped_all_the_same(void **state)
{
    (void)state;
    deploy("deaf");
    wait_state("deaf", FH_DEPLOYMENT_READY);
    undeploy("deaf");
    wait_state("deaf", FH_DEPLOYMENT_STOPPED);
    assert_nothing_left();
}

static void what_runs_may_end_before_an_engine_is_stopped(void **state)
{
    (void)state;
    deploy("busy");
    wait_state("busy", FH_DEPLOYMENT_READY);
    int64_t t = fh_clock_mono_ns();
    undeploy("busy"); /* its requests never end: it is stopped when the time for draining is over */
    wait_state("busy", FH_DEPLOYMENT_STOPPED);
    int64_t took = fh_clock_mono_ns() - t;
    assert_true(took >= 500 * FH_NS_PER_MS && took < 2 * FH_NS_PER_S);
}

static void what_is_wrong_with_a_request_is_said(void **state)
{
    (void)state;
    answer a = deploy("goood");
    assert_int_equal(a.code, FH_E_NOT_FOUND);
    a = deploy_named("good", "Not A Name", "", 0);
    assert_int_equal(a.code, FH_E_INVALID);
    a = deploy_named("good", "", "moon", 0);
    assert_int_equal(a.code, FH_E_UNSUPPORTED);
    a = deploy_named("good", "", "", -1);
    assert_int_equal(a.code, FH_E_INVALID);
    a = deploy("/etc/passwd");
    assert_int_equal(a.code, FH_E_NOT_FOUND);
    assert_non_null(strstr(a.hint, "import"));
    a = undeploy("nobody");
    assert_int_equal(a.code, FH_E_NOT_FOUND);
    assert_int_equal(deploy_named("good", "one", "", 0).code, 0);
    a = deploy_named("good", "one", "", 0);
    assert_int_equal(a.code, FH_E_EXISTS);
    assert_string_equal(deploy("good").view.name, "good");
    assert_string_equal(deploy("good").view.name, "good-2");
    fh_json *h = NULL;
    FH_AUTO(buf) fh_buf log = FH_BUF(1024);
    assert_int_equal(fh_fleet_history(fleet, "nobody", 0, 10, &h, NULL), FH_E_NOT_FOUND);
    assert_int_equal(fh_fleet_log_tail(fleet, "../freehold.db", 1024, &log, NULL), FH_E_NOT_FOUND);
}

static void asking_for_what_runs_shares_it(void **state)
{
    (void)state;
    fh_deploy_spec s = {.mode = FH_DEPLOY_REUSE, .model = "good"};
    answer first = {0}, second = {0};
    assert_int_equal(deploy_spec(FH_DEPLOY_ATTACH, "good", "", 0).code, FH_E_FORBIDDEN);
    assert_int_equal(fh_fleet_deploy(fleet, &s, loop, answered, &first, NULL), 0); /* both are on their way before either is answered */
    assert_int_equal(fh_fleet_deploy(fleet, &s, loop, answered, &second, NULL), 0);
    while (!first.came || !second.came) assert_int_equal(fh_loop_run(loop, NULL), 0);
    assert_string_equal(first.view.name, "good");
    assert_string_equal(second.view.name, "good");
    wait_state("good", FH_DEPLOYMENT_READY);
    assert_int_equal(fh_fleet_entered(fleet, FH_DEPLOYMENT_REQUESTED), 1);
    assert_string_equal(deploy_spec(FH_DEPLOY_ATTACH, "good", "", 0).view.name, "good");
    assert_string_equal(deploy_spec(FH_DEPLOY_ATTACH, "deployment/good", "", 0).view.name, "good");
    assert_string_equal(deploy_spec(FH_DEPLOY_REUSE, "plain", "other", 0).view.name, "other");
    assert_string_equal(deploy_spec(FH_DEPLOY_REUSE, "other", "", 0).view.name, "other");
    assert_string_equal(deploy_spec(FH_DEPLOY_NEW, "good", "", 0).view.name, "good-2");
    assert_string_equal(deploy_spec(FH_DEPLOY_REUSE, "good", "third", 0).view.name, "third");
}

static void what_runs_is_not_shared_when_something_else_was_asked_for(void **state)
{
    (void)state;
    deploy("good");
    wait_state("good", FH_DEPLOYMENT_READY);
    assert_int_equal(deploy_spec(FH_DEPLOY_REUSE, "good", "", 8).code, FH_E_CONFLICT);
    assert_int_equal(deploy_spec(FH_DEPLOY_REUSE, "plain", "good", 0).code, FH_E_EXISTS);
    assert_int_equal(deploy_spec(FH_DEPLOY_REUSE, "deployment/good", "other", 0).code, FH_E_USAGE);
    assert_int_equal(deploy_spec(FH_DEPLOY_REUSE, "deployment/none", "", 0).code, FH_E_NOT_FOUND);
    undeploy("good");
    wait_state("good", FH_DEPLOYMENT_STOPPED);
    assert_int_equal(deploy_spec(FH_DEPLOY_ATTACH, "good", "", 0).code, FH_E_FORBIDDEN);
}

static answer deploy_replicas(fh_deploy_mode mode, const char *model, int64_t replicas)
{
    fh_deploy_spec s = {.mode = mode, .replicas = {true, true, .min = replicas, .max = replicas}};
    answer a = {0};
    snprintf(s.model, sizeof s.model, "%s", model);
    assert_int_equal(fh_fleet_deploy(fleet, &s, loop, answered, &a, NULL), 0);
    assert_int_equal(fh_loop_run(loop, NULL), 0);
    return a;
}

static void replicas_are_deployments_as_many_as_were_asked_for(void **state)
{
    (void)state;
    assert_string_equal(deploy_replicas(FH_DEPLOY_REUSE, "good", 2).view.name, "good");
    wait_state("good", FH_DEPLOYMENT_READY);
    wait_state("good-2", FH_DEPLOYMENT_READY);
    assert_string_equal(deploy_replicas(FH_DEPLOY_REUSE, "good", 2).view.model, "good"); /* both run: none is added */
    assert_int_equal(fh_fleet_entered(fleet, FH_DEPLOYMENT_REQUESTED), 2);
    assert_string_equal(deploy_replicas(FH_DEPLOY_REUSE, "deployment/good-2", 3).view.name, "good-2");
    wait_state("good-3", FH_DEPLOYMENT_READY);
    assert_int_equal(deploy_replicas(FH_DEPLOY_ATTACH, "good", 4).code, FH_E_FORBIDDEN);
    assert_int_equal(fh_fleet_entered(fleet, FH_DEPLOYMENT_REQUESTED), 3);
}

static fh_plan_machine room_for_one(void *ctx)
{
    (void)ctx;
    return (fh_plan_machine){.memory_bytes = UINT64_C(1) << 30, .memory_available_bytes = UINT64_C(70) << 20};
}

static void those_that_failed_make_room_for_the_next(void **state)
{
    (void)state;
    char name[32];
    for (size_t i = 0; i <= quick().deployments; i++) {
        snprintf(name, sizeof(name), "n%zu", i);
        assert_int_equal(deploy_named("kimi-k3.1-pro", name, "", 0).code, 0);
        wait_state(name, FH_DEPLOYMENT_FAILED);
    }
    wait_state("n0", FH_DEPLOYMENT_STOPPED);
    wait_state("n1", FH_DEPLOYMENT_FAILED);
}

static void memory_that_others_will_take_is_not_free(void **state)
{
    (void)state;
    fleet->place_here.machine = room_for_one; /* no deployment is there yet: nobody reads it */
    deploy("slow");
    wait_state("slow", FH_DEPLOYMENT_LOADING);
    deploy("good");
    assert_non_null(strstr(wait_state("good", FH_DEPLOYMENT_FAILED).reason, "too little of it is free"));
    wait_state("slow", FH_DEPLOYMENT_READY); /* its context is not in use yet, but will be */
    deploy("good");
    wait_state("good", FH_DEPLOYMENT_FAILED);
    undeploy("slow");
    wait_state("slow", FH_DEPLOYMENT_STOPPED);
    deploy("good");
    wait_state("good", FH_DEPLOYMENT_READY);
}

static void a_model_that_does_not_fit_fails_with_numbers(void **state)
{
    (void)state;
    deploy("kimi-k3.1-pro");
    fh_deployment_view v = wait_state("kimi-k3.1-pro", FH_DEPLOYMENT_FAILED);
    assert_non_null(strstr(v.reason, "needs 1,680 GB, this machine has "));
    assert_non_null(strstr(v.hint, "its weights are not here yet: freehold show "));
}

static void a_context_that_does_not_fit_is_what_to_ask_less_of(void **state)
{
    (void)state;
    fleet->place_here.machine = room_for_one;
    assert_int_equal(deploy_spec(FH_DEPLOY_NEW, "smollm2", "", 1000000).code, 0);
    fh_deployment_view v = wait_state("smollm2-135m", FH_DEPLOYMENT_FAILED);
    assert_non_null(strstr(v.hint, "--context"));
}

static void the_starter_without_weights_says_how_to_get_them(void **state)
{
    (void)state;
    deploy("smollm2");
    fh_deployment_view v = wait_state("smollm2-135m", FH_DEPLOYMENT_FAILED);
    assert_non_null(strstr(v.hint, "make up"));
}

typedef struct heard {
    char text[1024];
    bool stopped;
} heard;

static void hear(void *arg, const fh_json *event)
{
    heard *h = arg;
    fh_str to = fh_json_str(fh_json_get(event, "to"));
    assert_true(fh_json_int(fh_json_get(event, "serial"), 0) > 0);
    if (!fh_str_eq(to, fh_json_str(fh_json_get(event, "from"))) || !h->text[0])
        snprintf(h->text + strlen(h->text), sizeof(h->text) - strlen(h->text), "%.*s ", (int)to.len, to.ptr);
    if (fh_str_eqs(to, "ready")) fh_loop_stop(loop);
}

static void those_who_subscribed_hear_every_change(void **state)
{
    (void)state;
    heard h = {0};
    fh_fleet_feed *feed = NULL;
    assert_int_equal(fh_fleet_subscribe(fleet, loop, hear, &h, &feed, NULL), 0);
    deploy("good");
    assert_int_equal(fh_loop_run(loop, NULL), 0);
    assert_string_equal(h.text, "requested planning provisioning fetching loading proving ready ");
    fh_fleet_unsubscribe(feed);
    undeploy("good");
    wait_state("good", FH_DEPLOYMENT_STOPPED);
    assert_string_equal(h.text, "requested planning provisioning fetching loading proving ready ");
}

static void a_server_that_stops_keeps_its_engines_if_it_is_told_so(void **state)
{
    (void)state;
    fh_fleet_stop(fleet);
    start_fleet(true);
    deploy("good");
    fh_deployment_view before = wait_state("good", FH_DEPLOYMENT_READY);
    fh_fleet_stop(fleet);
    assert_true(marked_processes() > 0);
    start_fleet(false);
    fh_deployment_view after = wait_state("good", FH_DEPLOYMENT_READY);
    assert_int_equal(after.pid, before.pid);
    assert_int_equal(after.restarts, 0);
}

static void a_server_that_stops_ends_its_engines_and_starts_them_again(void **state)
{
    (void)state;
    deploy("good");
    wait_state("good", FH_DEPLOYMENT_READY);
    fh_fleet_stop(fleet);
    assert_nothing_left();
    start_fleet(false);
    wait_state("good", FH_DEPLOYMENT_READY);
}

/* A server in a process of its own, which is killed. In state "ready" or wherever it is after delay_ns. */
static pid_t server_process(const char *model, int64_t delay_ns)
{
    int pipes[2];
    char ok = 0;
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (start_fleet_err(false, NULL) != 0) _exit(1);
        if (*model) deploy(model);
        if (delay_ns < 0)
            wait_state("good", FH_DEPLOYMENT_READY);
        else
            fh_sleep_ns(delay_ns);
        (void)!write(pipes[1], "x", 1);
        for (;;) pause();
    }
    close(pipes[1]);
    assert_int_equal(read(pipes[0], &ok, 1), 1);
    close(pipes[0]);
    return pid;
}

static void kill_server(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void a_killed_server_leaves_its_engine_and_the_next_adopts_it(void **state)
{
    (void)state;
    fh_fleet_stop(fleet);
    pid_t server = server_process("good", -1);
    kill_server(server);
    fh_sleep_ns(100 * FH_NS_PER_MS);
    assert_true(marked_processes() > 0);
    int64_t t = fh_clock_mono_ns();
    start_fleet(false);
    assert_true(fh_clock_mono_ns() - t < FH_NS_PER_S);
    fh_deployment_view v = {0};
    assert_true(look("good", &v)); /* the truth from the first moment */
    assert_int_equal(v.state, FH_DEPLOYMENT_READY);
    assert_int_equal(v.restarts, 0);
    kill((pid_t)v.pid, SIGKILL);
    wait_restarts("good", 1); /* an adopted one is watched as well */
}

static void a_killed_server_whose_engine_died_meanwhile_starts_it_again(void **state)
{
    (void)state;
    fh_fleet_stop(fleet);
    pid_t server = server_process("good", -1);
    kill_server(server);
    char marker[160];
    snprintf(marker, sizeof(marker), "unix:%s/run/", data);
    fh_process_sweep(marker, NULL, NULL, SIGKILL);
    start_fleet(false);
    wait_state("good", FH_DEPLOYMENT_READY);
    assert_int_equal(run_folders(), 1);
}

static void killed_at_any_moment_the_next_start_tells_the_truth(void **state)
{
    (void)state;
    fh_fleet_stop(fleet);
    for (int64_t ms = 0; ms < 120; ms += 12) {
        pid_t server = server_process(ms ? "" : "good", ms * FH_NS_PER_MS);
        kill_server(server);
    }
    start_fleet(false);
    fh_deployment_view v = wait_state("good", FH_DEPLOYMENT_READY);
    assert_int_equal(run_folders(), 1);
    char marker[160];
    snprintf(marker, sizeof(marker), "unix:%s", v.socket_path);
    for (int i = 0; i < 1000 && fh_process_sweep(marker, NULL, NULL, 0) != marked_processes(); i++) fh_sleep_ns(10 * FH_NS_PER_MS);
    assert_int_equal(fh_process_sweep(marker, NULL, NULL, 0), marked_processes()); /* no other engine than the one that is shown */
}

static void what_carries_our_mark_but_is_not_ours_any_more_is_swept(void **state)
{
    (void)state;
    char folder[160], file[200];
    fh_fleet_stop(fleet);
    snprintf(folder, sizeof(folder), "%s/run/ghost.99", data);
    snprintf(file, sizeof(file), "%s/sock", folder);
    assert_int_equal(fh_dir_make(folder, 0700, NULL), 0);
    assert_int_equal(fh_file_write_atomic(file, "", 0, 0600, NULL), 0);
    snprintf(folder, sizeof(folder), "%s/weights/.tmp-1-1", data);
    assert_int_equal(fh_dir_make(folder, 0700, NULL), 0);
    start_fleet(false);
    assert_int_equal(run_folders(), 0);
    assert_false(fh_file_exists(folder));
}

/* ---- engines of others ---- */

static answer deploy_by(fh_deploy_mode mode, const char *model, const char *engine)
{
    fh_deploy_spec s = {.mode = mode};
    answer a = {0};
    snprintf(s.model, sizeof(s.model), "%s", model);
    snprintf(s.engine, sizeof(s.engine), "%s", engine);
    assert_int_equal(fh_fleet_deploy(fleet, &s, loop, answered, &a, NULL), 0);
    assert_int_equal(fh_loop_run(loop, NULL), 0);
    return a;
}

static void another_engine_walks_the_same_states(void **state)
{
    (void)state;
    assert_string_equal(deploy_by(FH_DEPLOY_NEW, "good", "llama-server").view.engine, "llama-server");
    fh_deployment_view v = wait_state("good", FH_DEPLOYMENT_READY);
    assert_string_equal(v.engine, "llama-server");
    assert_true(v.pid > 0 && v.rss_bytes > 0);
    assert_int_equal(kill((pid_t)v.pid, SIGKILL), 0);
    assert_int_equal(wait_restarts("good", 1).restarts, 1);
    wait_state("good", FH_DEPLOYMENT_READY);
    undeploy("good");
    wait_state("good", FH_DEPLOYMENT_STOPPED);
    assert_nothing_left();
}

/* From now on the catalogue knows the model "good", so; "" takes that back. */
static void teach(const char *run)
{
    fh_catalog_file *f = NULL;
    bool changed = false;
    FH_AUTO(ptr)
    char *text = fh_asprintf("{\"models\":[{\"id\":\"good\",\"name\":\"Good\",\"licence\":{\"name\":\"MIT\",\"class\":\"free\"},"
                             "\"variants\":[],\"runs\":[{\"engine\":\"llama-server\",\"state\":\"tested\",\"source\":\"this test\",%s}]}]}",
                             run);
    if (*run) assert_int_equal(fh_catalog_file_read(fh_str_of(text), "taught", FH_CATALOG_OWN, &f, NULL), 0);
    assert_int_equal(fh_catalog_publish(NULL, f ? &f : NULL, f ? 1 : 0, &changed, NULL), 0);
}

static void an_engine_gets_what_the_catalogue_says_of_its_model(void **state)
{
    (void)state;
    FH_AUTO(buf) fh_buf log = FH_BUF(65536);
    teach(
        "\"arguments\":[\"--taught={model} x\"],\"environment\":[\"TAUGHT=1\"],\"host_arguments\":[\"--taught=host\"],\"least\":\"11669\"");
    deploy_by(FH_DEPLOY_NEW, "good", "llama-server");
    wait_state("good", FH_DEPLOYMENT_READY);
    teach("");
    assert_int_equal(fh_fleet_log_tail(fleet, "good", 65536, &log, NULL), 0);
    assert_non_null(strstr(fh_buf_cstr(&log), "\n--taught={model} x\n"));
    assert_non_null(strstr(fh_buf_cstr(&log), "\nTAUGHT=1\n"));
    assert_null(strstr(fh_buf_cstr(&log), "--taught=host"));
}

static void an_engine_that_is_too_old_for_its_model_is_refused(void **state)
{
    (void)state;
    teach("\"least\":\"11670\"");
    deploy_by(FH_DEPLOY_NEW, "good", "llama-server");
    fh_deployment_view v = wait_state("good", FH_DEPLOYMENT_FAILED);
    teach("");
    assert_non_null(strstr(v.reason, "11669; it knows this model from 11670 on"));
    assert_non_null(strstr(v.hint, "--engine llama-server="));
}

static void what_an_engine_says_of_its_load_is_shown(void **state)
{
    (void)state;
    fh_deployment_view v = {0};
    deploy_by(FH_DEPLOY_NEW, "busy", "llama-server");
    wait_state("busy", FH_DEPLOYMENT_READY);
    for (int i = 0; i < 2000 && v.load.generated_mtok_s <= 0; i++) {
        assert_true(look("busy", &v));
        fh_sleep_ns(5 * FH_NS_PER_MS);
    }
    assert_int_equal(v.load.running, 2);
    assert_int_equal(v.load.waiting, -1);
    assert_int_equal(v.load.kv_used_ppm, -1);
    assert_true(v.load.generated_mtok_s > 0 && v.load.measured_utc_ns > 0);
}

static void another_engine_that_is_busy_may_end_what_runs(void **state)
{
    (void)state;
    deploy_by(FH_DEPLOY_NEW, "busy", "llama-server");
    wait_state("busy", FH_DEPLOYMENT_READY);
    int64_t begun = fh_clock_mono_ns();
    undeploy("busy");
    wait_state("busy", FH_DEPLOYMENT_STOPPED);
    assert_true(fh_clock_mono_ns() - begun >= 500 * FH_NS_PER_MS);
}

static void which_engine_runs_is_part_of_what_was_asked_for(void **state)
{
    (void)state;
    deploy_by(FH_DEPLOY_NEW, "good", "llama-server");
    wait_state("good", FH_DEPLOYMENT_READY);
    assert_string_equal(deploy_by(FH_DEPLOY_REUSE, "good", "").view.name, "good");
    assert_string_equal(deploy_by(FH_DEPLOY_REUSE, "good", "llama-server").view.name, "good");
    assert_int_equal(deploy_by(FH_DEPLOY_REUSE, "deployment/good", "freehold").code, FH_E_CONFLICT);
    assert_string_equal(deploy_by(FH_DEPLOY_REUSE, "good", "freehold").view.engine, "freehold");
}

static void engines_that_cannot_run_it_are_refused_at_once(void **state)
{
    (void)state;
    answer a = deploy_by(FH_DEPLOY_NEW, "good", "tgi");
    assert_int_equal(a.code, FH_E_NOT_FOUND);
    assert_non_null(strstr(a.hint, "llama-server"));
    a = deploy_by(FH_DEPLOY_NEW, "good", "vllm");
    assert_int_equal(a.code, FH_E_INVALID); /* it takes no GGUF */
    assert_non_null(strstr(a.message, "safetensors"));
    assert_int_equal(fh_fleet_entered(fleet, FH_DEPLOYMENT_REQUESTED), 0);
}

static void another_engine_is_adopted_by_the_next_server(void **state)
{
    (void)state;
    fh_fleet_stop(fleet);
    start_fleet(true);
    deploy_by(FH_DEPLOY_NEW, "good", "llama-server");
    fh_deployment_view before = wait_state("good", FH_DEPLOYMENT_READY), after;
    fh_fleet_stop(fleet);
    start_fleet(false);
    assert_true(look("good", &after));
    assert_int_equal(after.state, FH_DEPLOYMENT_READY);
    assert_int_equal(after.pid, before.pid);
    assert_string_equal(after.engine, "llama-server");
}

static void health_is_what_its_engine_means_by_it(void **state)
{
    (void)state;
    const fh_catalog_engine *own = fh_catalog_engine_at(0), *other = fh_catalog_engine_find(FH_STR("vllm"));
    int64_t done, total;
    assert_int_equal(fh_talk_parse_health(own, 503, FH_STR("{\"status\":\"loading\",\"bytes_done\":3,\"bytes_total\":9}"), &done, &total),
                     FH_HEALTH_LOADING);
    assert_true(done == 3 && total == 9);
    assert_int_equal(fh_talk_parse_health(own, 200, FH_STR("{\"status\":\"ready\"}"), &done, &total), FH_HEALTH_READY);
    assert_int_equal(fh_talk_parse_health(own, 200, FH_STR(""), &done, &total), FH_HEALTH_NONE);
    assert_int_equal(fh_talk_parse_health(other, 200, FH_STR(""), &done, &total), FH_HEALTH_READY);
    assert_int_equal(fh_talk_parse_health(other, 503, FH_STR("x"), &done, &total), FH_HEALTH_LOADING);
    assert_int_equal(fh_talk_parse_health(other, 404, FH_STR(""), &done, &total), FH_HEALTH_NONE);
    assert_int_equal(fh_talk_parse_health(other, 0, FH_STR(""), &done, &total), FH_HEALTH_NONE);
}

static void gauges_are_read_with_labels_and_without(void **state)
{
    (void)state;
    fh_str m = FH_STR("# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{engine=\"0\",model_name=\"a } b\"} 0.0\n"
                      "vllm:num_requests_running{engine=\"1\"} 2.0\nvllm:num_requests_waiting_by_reason 7\nplain 1\nlast 3");
    fh_catalog_engine e = *fh_catalog_engine_find(FH_STR("vllm"));
    fh_load_reading r;
    e.metric_generated = "last";
    e.metric_prompt = "lain";
    fh_load_read(&e, m, &r);
    assert_true(r.running == 2 && r.waiting == -1 && r.kv_used == -1 && r.kv_total == -1 && r.generated == 3 && r.prompt == -1);
    assert_true(fh_load_busy(&r) && !fh_load_busy(NULL));
    e.metric_running = "plain";
    static const char *const none[] = {"plain", "plain{", "", "plain x"};
    for (size_t i = 0; i < FH_COUNT(none); i++) {
        fh_load_read(&e, fh_str_of(none[i]), &r);
        assert_true(r.running == -1 && !fh_load_busy(&r));
    }
}

static void two_readings_make_a_rate_and_one_does_not(void **state)
{
    (void)state;
    fh_engine_load load;
    fh_load_reading a = {1, 2, 30, 120, 1000, 50}, b = {0, 0, 0.25, 1, 1500, 40}, none = {-1, -1, -1, -1, -1, -1};
    fh_load_take(&load, NULL, &a, 0, 7);
    assert_true(load.measured_utc_ns == 7 && load.running == 1 && load.waiting == 2 && load.kv_used_ppm == 250000);
    assert_true(load.generated_mtok_s == -1 && load.prompt_mtok_s == -1);
    fh_load_take(&load, &a, &b, 5 * FH_NS_PER_S, 8);
    assert_true(load.kv_used_ppm == 250000 && load.generated_mtok_s == 100000);
    assert_int_equal(load.prompt_mtok_s, -1); /* it fell: the engine began anew */
    fh_load_take(&load, &b, &none, 5 * FH_NS_PER_S, 9);
    assert_true(load.running == -1 && load.waiting == -1 && load.kv_used_ppm == -1 && load.generated_mtok_s == -1);
}

static void a_data_folder_with_a_long_path_still_gets_sockets(void **state)
{
    (void)state;
    char keep[64], deep[200], run[128] = "";
    fh_here *h = NULL;
    fh_place p;
    snprintf(keep, sizeof(keep), "%s", data);
    snprintf(deep, sizeof(deep), "%s/%0100d", keep, 7);
    assert_int_equal(fh_dir_make(deep, 0700, NULL), 0);
    fh_fleet_config c = {.data_dir = deep, .program = self_path};
    assert_int_equal(fh_here_new(&h, NULL, &c, NULL), 0);
    fh_here_place(h, &p);
    assert_int_equal(p.socket_path(p.ctx, "a-name-as-long-as-names-of-deployments-1", 123456789, run, sizeof(run), NULL), 0);
    assert_true(strlen(run) <= 107);
    *strrchr(run, '/') = 0;
    *strrchr(run, '/') = 0;
    fh_here_free(h);
    assert_int_equal(rmdir(run), 0);
}

static void a_start_that_fails_is_tried_again(void **state)
{
    (void)state;
    fh_fault_arm(FH_FAULT_SPAWN, 2, false); /* the first is the probe's */
    deploy("good");
    wait_restarts("good", 0);
    fh_fault_disarm();
    fh_deployment_view v = wait_state("good", FH_DEPLOYMENT_READY);
    assert_true(v.restarts <= 1);
}

static void whatever_write_fails_a_deployment_arrives(void **state)
{
    (void)state;
    fh_fault kinds[] = {FH_FAULT_WRITE, FH_FAULT_FSYNC, FH_FAULT_OPEN};
    for (size_t k = 0; k < FH_COUNT(kinds); k++) {
        for (uint64_t n = 1; n <= 30; n += 3) {
            fh_fault_arm(kinds[k], n, false);
            answer a = deploy_named("good", "torture", "", 0);
            fh_deployment_view v = {0};
            for (int i = 0; a.code == 0 && i < 1000; i++) {
                if (look("torture", &v) && (v.state == FH_DEPLOYMENT_READY || v.state == FH_DEPLOYMENT_FAILED)) break;
                fh_sleep_ns(5 * FH_NS_PER_MS);
            }
            fh_fault_disarm();
            if (a.code != 0) continue; /* refused with an error, and nothing of it is there */
            assert_true(v.state == FH_DEPLOYMENT_READY || v.state == FH_DEPLOYMENT_FAILED);
            undeploy("torture");
            wait_state("torture", FH_DEPLOYMENT_STOPPED);
        }
    }
    assert_nothing_left();
}

static void arrows_lead_where_the_picture_says(void **state)
{
    (void)state;
    assert_true(fh_deployment_may_change(FH_DEPLOYMENT_REQUESTED, FH_DEPLOYMENT_PLANNING));
    assert_false(fh_deployment_may_change(FH_DEPLOYMENT_REQUESTED, FH_DEPLOYMENT_READY));
    assert_false(fh_deployment_may_change(FH_DEPLOYMENT_LOADING, FH_DEPLOYMENT_READY));
    for (int s = 0; s < FH_DEPLOYMENT_STATE_COUNT; s++) {
        assert_false(fh_deployment_may_change(FH_DEPLOYMENT_STOPPED, (fh_deployment_state)s));
        bool end = s == FH_DEPLOYMENT_STOPPED || s == FH_DEPLOYMENT_FAILED || s == FH_DEPLOYMENT_DRAINING;
        assert_int_equal(fh_deployment_may_change((fh_deployment_state)s, FH_DEPLOYMENT_FAILED), !end);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    if (argc > 1 && (strcmp(argv[1], "engine") == 0 || strcmp(argv[1], "--model") == 0)) return fake_engine(argc, argv);
    if (argc > 1 && strcmp(argv[1], "--version") == 0) return puts("version: 0.7.0 (build 11669, commit test)") < 0;
    ssize_t n = readlink("/proc/self/exe", self_path, sizeof(self_path) - 1);
    if (n <= 0) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrows_lead_where_the_picture_says),
        cmocka_unit_test(health_is_what_its_engine_means_by_it),
        cmocka_unit_test(gauges_are_read_with_labels_and_without),
        cmocka_unit_test(two_readings_make_a_rate_and_one_does_not),
        TEST(another_engine_walks_the_same_states),
        TEST(an_engine_gets_what_the_catalogue_says_of_its_model),
        TEST(an_engine_that_is_too_old_for_its_model_is_refused),
        TEST(what_an_engine_says_of_its_load_is_shown),
        TEST(another_engine_that_is_busy_may_end_what_runs),
        TEST(which_engine_runs_is_part_of_what_was_asked_for),
        TEST(engines_that_cannot_run_it_are_refused_at_once),
        TEST(another_engine_is_adopted_by_the_next_server),
        TEST(a_deployment_walks_its_states_and_is_stopped),
        TEST(a_model_without_chat_template_is_proven_by_plain_text),
        TEST(progress_of_loading_is_shown),
        TEST(a_killed_engine_heals_within_a_second),
        TEST(a_crashing_engine_ends_as_failed_with_its_last_words),
        TEST(engines_without_progress_or_answer_are_given_up),
        TEST(an_engine_that_makes_no_token_is_never_ready),
        TEST(a_frozen_engine_is_replaced),
        TEST(a_deaf_engine_is_stopped_all_the_same),
        TEST(what_runs_may_end_before_an_engine_is_stopped),
        TEST(what_is_wrong_with_a_request_is_said),
        TEST(asking_for_what_runs_shares_it),
        TEST(what_runs_is_not_shared_when_something_else_was_asked_for),
        TEST(replicas_are_deployments_as_many_as_were_asked_for),
        TEST(those_that_failed_make_room_for_the_next),
        TEST(memory_that_others_will_take_is_not_free),
        TEST(a_model_that_does_not_fit_fails_with_numbers),
        TEST(a_context_that_does_not_fit_is_what_to_ask_less_of),
        TEST(the_starter_without_weights_says_how_to_get_them),
        TEST(those_who_subscribed_hear_every_change),
        TEST(a_server_that_stops_keeps_its_engines_if_it_is_told_so),
        TEST(a_server_that_stops_ends_its_engines_and_starts_them_again),
        TEST(a_killed_server_leaves_its_engine_and_the_next_adopts_it),
        TEST(a_killed_server_whose_engine_died_meanwhile_starts_it_again),
        TEST(killed_at_any_moment_the_next_start_tells_the_truth),
        TEST(what_carries_our_mark_but_is_not_ours_any_more_is_swept),
        TEST(a_data_folder_with_a_long_path_still_gets_sockets),
        TEST(a_start_that_fails_is_tried_again),
        TEST(whatever_write_fails_a_deployment_arrives),
    };
    fh_log_set_level(getenv("FH_TEST_VERBOSE") ? FH_LOG_DEBUG : FH_LOG_ERROR + 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
