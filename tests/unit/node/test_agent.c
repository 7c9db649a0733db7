/* A fleet and a machine of its pool, each on a thread of its own, over a real link: weights go there, engines start, serve, crash, are
 * stopped and found again, while the link, the agent and the server come and go. The engine is this very program. */
#include "cmocka_all.h"

#include "../fleet/fake_engine.h"
#include "base/clock.h"
#include "base/log.h"
#include "fleet/nodes.h"
#include "net/http_client.h"
#include "node/agent.h"
#include "sys/file.h"
#include "sys/sandbox.h"
#include "tiny_gguf.c"
#include "tls_files.h"
#include "weights/weights.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

static char data[64], far_data[96], store[128], self_path[512];
static tls_files files;
static fh_fleet *fleet;
static fh_link_listener *listener;
static fh_loop *loop; /* of the test */
static _Atomic int port;

/* ---- the server's end ---- */

static void node_up(void *arg, fh_link *l)
{
    fh_fleet_node_up(fleet, "b", l);
}

static void node_gone(void *arg, fh_link *l, const fh_err *why)
{
    fh_fleet_node_down(fleet, "b");
}

static void begin_listening(void *arg)
{
    char address[32];
    snprintf(address, sizeof(address), "127.0.0.1:%d", port);
    fh_link_listen_config c = {.address = address, .cert_file = files.cert, .key_file = files.key, .on_up = node_up, .on_gone = node_gone};
    assert_int_equal(fh_link_listen(&listener, fh_fleet_loop(fleet), &c, NULL), 0);
    port = fh_link_listener_port(listener);
    fh_loop_stop(loop);
}

static void end_listening(void *arg)
{
    fh_link_listener_free(listener);
    fh_loop_stop(loop);
}

static void on_fleet(void (*fn)(void *arg))
{
    assert_true(fh_loop_post(fh_fleet_loop(fleet), fn, NULL));
    assert_int_equal(fh_loop_run(loop, NULL), 0);
}

static void start_server(bool keep)
{
    static const fh_fleet_node node = {.name = "b", .ask_micro = 100000, .currency = "USD"};
    fh_fleet_config c = {
        .data_dir = data, .store_url = store, .program = self_path, .keep_engines_on_stop = keep, .nodes = &node, .node_count = 1};
    fh_err *err = NULL;
    if (fh_fleet_start(&fleet, &c, &err) != 0) fail_msg("%s", fh_err_message(err));
    on_fleet(begin_listening);
}

static void stop_server(void)
{
    on_fleet(end_listening);
    fh_fleet_stop(fleet);
    fleet = NULL;
}

/* ---- the machine's end ---- */

static struct machine {
    pthread_t thread;
    fh_loop *loop;
    fh_node_agent *agent;
    fh_link_dial *dial;
} far;

static void machine_dial(void *arg)
{
    fh_link_digest pin;
    assert_int_equal(fh_link_digest_of_file(&pin, files.cert, NULL), 0);
    fh_link_dial_config c = {.host = "127.0.0.1",
                             .port = port,
                             .pins = &pin,
                             .pin_count = 1,
                             .on_head = fh_node_agent_head,
                             .on_request = fh_node_agent_request,
                             .on_tunnel = fh_node_agent_tunnel,
                             .arg = far.agent,
                             .times = {.backoff_min_ns = 10 * FH_NS_PER_MS, .backoff_max_ns = 50 * FH_NS_PER_MS}};
    assert_int_equal(fh_link_dial_new(&far.dial, far.loop, &c, NULL), 0);
}

static void machine_hang_up(void *arg)
{
    fh_link_dial_free(far.dial);
    far.dial = NULL;
}

static void machine_stopped(void *arg)
{
    fh_loop_stop(far.loop);
}

static void machine_stop(void *arg)
{
    fh_node_agent_stop(far.agent, true, machine_stopped, NULL);
}

static void *machine_run(void *arg)
{
    assert_int_equal(fh_loop_run(far.loop, NULL), 0);
    return NULL;
}

static void start_machine(void)
{
    fh_node_agent_config c = {.data_dir = far_data, .program = self_path};
    fh_err *err = NULL;
    assert_int_equal(fh_loop_new(&far.loop, NULL), 0);
    if (fh_node_agent_new(&far.agent, far.loop, &c, &err) != 0) fail_msg("%s", fh_err_message(err));
    machine_dial(NULL);
    assert_int_equal(pthread_create(&far.thread, NULL, machine_run, NULL), 0);
}

static void on_machine(void (*fn)(void *arg))
{
    assert_true(fh_loop_post(far.loop, fn, NULL));
}

static void stop_machine(void)
{
    on_machine(machine_stop);
    pthread_join(far.thread, NULL);
    fh_link_dial_free(far.dial);
    far.dial = NULL;
    fh_node_agent_free(far.agent);
    fh_loop_free(far.loop);
}

/* ---- the world ---- */

static void import_model(const char *id, uint32_t seed)
{
    FH_AUTO(fh_weights) fh_weights *w = NULL;
    FH_AUTO(fh_weights_source) fh_weights_source *source = NULL;
    char path[128];
    tiny_gguf t;
    fh_weights_item item;
    snprintf(path, sizeof(path), "%s/tiny.gguf", data);
    tiny_gguf_default(&t);
    t.seed = seed;
    assert_true(tiny_gguf_write(&t, path));
    assert_int_equal(fh_weights_open(&w, data, false, NULL), 0);
    assert_int_equal(fh_weights_source_open(&source, NULL, path, NULL), 0);
    assert_int_equal(fh_weights_import(w, source, id, NULL, NULL, &item, NULL), 0);
    assert_int_equal(unlink(path), 0);
}

static int setup(void **state)
{
    static const char *const models[] = {"good", "crash"};
    strcpy(data, "/tmp/fh-node-XXXXXX");
    if (!mkdtemp(data) || fh_loop_new(&loop, NULL) != 0) return -1;
    snprintf(store, sizeof(store), "sqlite:%s/freehold.db", data);
    snprintf(far_data, sizeof(far_data), "%s/far", data);
    if (fh_dir_make(far_data, 0700, NULL) != 0) return -1;
    for (uint32_t i = 0; i < FH_COUNT(models); i++) import_model(models[i], i + 1);
    tls_files_make(&files);
    port = 0;
    start_server(false);
    start_machine();
    return 0;
}

static unsigned engines_there(int signo)
{
    char marker[160];
    snprintf(marker, sizeof(marker), "unix:%s/run/", far_data);
    return fh_process_sweep(marker, NULL, NULL, signo);
}

static int teardown(void **state)
{
    stop_server();
    stop_machine();
    assert_int_equal(engines_there(0), 0);
    tls_files_remove(&files);
    fh_loop_free(loop);
    return fh_dir_remove(data, NULL);
}

/* ---- asking and looking ---- */

static void answered(void *arg, const fh_deployment_view *view, const fh_err *err)
{
    if (err) fail_msg("%s", fh_err_message(err));
    fh_loop_stop(loop);
}

static void deploy(const char *model)
{
    fh_deploy_spec s = {.place = "node/b"};
    snprintf(s.model, sizeof(s.model), "%s", model);
    assert_int_equal(fh_fleet_deploy(fleet, &s, loop, answered, NULL, NULL), 0);
    assert_int_equal(fh_loop_run(loop, NULL), 0);
}

static void undeploy(const char *name)
{
    assert_int_equal(fh_fleet_undeploy(fleet, name, loop, answered, NULL, NULL), 0);
    assert_int_equal(fh_loop_run(loop, NULL), 0);
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

static fh_deployment_view wait_for(const char *name, fh_deployment_state state, const char *reason, unsigned restarts)
{
    fh_deployment_view v = {0};
    for (int i = 0; i < 6000; i++) {
        if (look(name, &v) && v.state == state && strstr(v.reason, reason) && v.restarts >= restarts) return v;
        fh_sleep_ns(10 * FH_NS_PER_MS);
    }
    fail_msg("%s is %s (%s), not %s", name, fh_deployment_state_name(v.state), v.reason, fh_deployment_state_name(state));
    return v;
}

static void assert_serves(const fh_deployment_view *v)
{
    FH_AUTO(buf) fh_buf body = FH_BUF(65536);
    int status = 0;
    fh_http_call_spec s = {.method = "POST",
                           .url = "http://localhost/v1/chat/completions",
                           .unix_path = v->socket_path,
                           .body = FH_STR("{\"messages\":[]}"),
                           .total_timeout_ns = 60 * FH_NS_PER_S};
    assert_int_equal(fh_http_fetch(&s, 65536, &status, &body, NULL), 0);
    assert_int_equal(status, 200);
    assert_non_null(strstr(fh_buf_cstr(&body), "Hello"));
}

/* ---- the tests ---- */

static void weights_go_there_and_an_engine_serves(void **state)
{
    deploy("good");
    fh_deployment_view v = wait_for("good", FH_DEPLOYMENT_READY, "", 0);
    assert_string_equal(v.place, "node/b");
    assert_serves(&v);
    assert_true(engines_there(0) > 0);
    undeploy("good");
    wait_for("good", FH_DEPLOYMENT_STOPPED, "", 0);
    for (int i = 0; i < 1000 && engines_there(0); i++) fh_sleep_ns(10 * FH_NS_PER_MS);
    assert_int_equal(engines_there(0), 0);
    deploy("good"); /* its weights are there by now */
    wait_for("good", FH_DEPLOYMENT_READY, "", 0);
}

static void an_engine_that_is_killed_there_is_started_again(void **state)
{
    deploy("good");
    wait_for("good", FH_DEPLOYMENT_READY, "", 0);
    assert_true(engines_there(SIGKILL) > 0);
    fh_deployment_view v = wait_for("good", FH_DEPLOYMENT_READY, "", 1);
    assert_serves(&v);
}

static void one_that_crashes_there_fails_with_its_last_words(void **state)
{
    deploy("crash");
    assert_non_null(strstr(wait_for("crash", FH_DEPLOYMENT_FAILED, "", 0).reason, "blk.0.attn_q.weight is not there"));
}

static void a_link_that_breaks_and_comes_back_ends_nothing(void **state)
{
    deploy("good");
    wait_for("good", FH_DEPLOYMENT_READY, "", 0);
    on_machine(machine_hang_up);
    wait_for("good", FH_DEPLOYMENT_LOADING, "cannot be reached", 0);
    on_machine(machine_dial);
    fh_deployment_view v = wait_for("good", FH_DEPLOYMENT_READY, "", 0);
    assert_int_equal(v.restarts, 0);
    assert_serves(&v);
}

static void what_runs_there_when_the_server_comes_back_is_found(void **state)
{
    deploy("good");
    wait_for("good", FH_DEPLOYMENT_READY, "", 0);
    stop_server();
    start_server(true);
    fh_deployment_view v = wait_for("good", FH_DEPLOYMENT_READY, "", 0);
    assert_serves(&v);
    stop_server(); /* engines are kept this time */
    unsigned before = engines_there(0);
    assert_true(before > 0);
    start_server(false);
    v = wait_for("good", FH_DEPLOYMENT_READY, "", 0);
    assert_int_equal(v.restarts, 0);
    assert_serves(&v);
    assert_int_equal(engines_there(0), before);
}

static void a_machine_that_is_killed_and_comes_back_starts_it_again(void **state)
{
    deploy("good");
    wait_for("good", FH_DEPLOYMENT_READY, "", 0);
    stop_machine();
    start_machine();
    fh_deployment_view v = wait_for("good", FH_DEPLOYMENT_READY, "", 1);
    assert_serves(&v);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "engine") == 0) return fake_engine(argc, argv);
    ssize_t n = readlink("/proc/self/exe", self_path, sizeof(self_path) - 1);
    if (n <= 0) return 1;
    const struct CMUnitTest tests[] = {
        TEST(weights_go_there_and_an_engine_serves),
        TEST(an_engine_that_is_killed_there_is_started_again),
        TEST(one_that_crashes_there_fails_with_its_last_words),
        TEST(a_link_that_breaks_and_comes_back_ends_nothing),
        TEST(what_runs_there_when_the_server_comes_back_is_found),
        TEST(a_machine_that_is_killed_and_comes_back_starts_it_again),
    };
    fh_log_set_level(getenv("FH_TEST_VERBOSE") ? FH_LOG_DEBUG : FH_LOG_ERROR + 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
