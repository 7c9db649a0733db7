/* The client against our own server: replies, streams that are paused, calls that are cancelled, and all the ways of not getting an answer.
 */
#include "net/http_client.h"
#include "server_fixture.h"

enum { PIECE = 65536, PIECES = 400 };

/* Server. */

typedef struct source {
    fixture *f;
    fh_http_req *req;
    int left;
} source;

static void pump(void *arg)
{
    static char piece[PIECE];
    source *s = arg;
    while (s->left > 0) {
        s->left--;
        atomic_fetch_add(&s->f->made, sizeof piece);
        if (!fh_http_reply_write(s->req, piece, sizeof piece) && s->left > 0) return;
    }
    fh_http_reply_end(s->req);
    fh_free(s);
}

static void source_gone(void *arg)
{
    source *s = arg;
    atomic_fetch_add(&s->f->gone, 1);
    fh_free(s);
}

static void start_source(fixture *f, fh_http_req *req)
{
    source *s = fh_calloc(1, sizeof *s);
    *s = (source){f, req, PIECES};
    fh_http_req_on_gone(req, source_gone, s);
    fh_http_reply_on_drain(req, pump, s);
    fh_http_reply_start(req, 200, "application/octet-stream");
    pump(s);
}

static void many_headers(fh_http_req *req)
{
    char name[32];
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "X-%d", i);
        fh_http_reply_header(req, name, "v");
    }
    fh_http_reply(req, 200, "text/plain", "x", 1);
}

static void handle(fh_http_req *req, void *ctx)
{
    fixture *f = ctx;
    fh_str path = fh_http_req_path(req), body = fh_http_req_body(req);
    atomic_fetch_add(&f->handled, 1);
    if (fh_str_eqs(path, "/much")) {
        start_source(f, req);
    } else if (fh_str_eqs(path, "/never")) {
        atomic_fetch_add(&f->waiting, 1);
    } else if (fh_str_eqs(path, "/cut")) {
        fh_http_reply_start(req, 200, "text/plain");
        fh_http_reply_write(req, "half", 4);
        fh_http_reply_abort(req);
    } else if (fh_str_eqs(path, "/headers")) {
        many_headers(req);
    } else {
        fh_str type = fh_http_req_header(req, "content-type"), x = fh_http_req_header(req, "x-empty");
        FH_AUTO(buf) fh_buf b = FH_BUF(1 << 20);
        fh_buf_addf(&b, "%.*s type=%.*s expect=%d empty=%d ", (int)fh_http_req_method(req).len, fh_http_req_method(req).ptr, (int)type.len,
                    type.ptr ? type.ptr : "", fh_http_req_header(req, "expect").ptr != NULL, x.ptr && x.len == 0);
        fh_buf_add(&b, body.ptr, body.len);
        fh_http_reply_header(req, "X-Test", " padded ");
        fh_http_reply(req, fh_str_eqs(path, "/busy") ? 429 : 200, "text/plain", b.data, b.len);
    }
}

static fixture server;
static char url_text[256];

static const char *url(const char *path)
{
    snprintf(url_text, sizeof url_text, "http://127.0.0.1:%d%s", server.port, path);
    return url_text;
}

/* Client: one loop, driven by the test's thread. */

typedef struct talk {
    fh_loop *loop;
    fh_http_client *client;
    fh_http_call *call;
    fh_timer *timer;
    int header_status, status, code, done, pieces;
    bool pause, cancel, cancel_in_headers;
    size_t bytes;
    char x_test[32], message[256];
    fh_buf body;
} talk;

static void on_headers(void *arg, int status, const fh_header *headers, size_t count)
{
    talk *t = arg;
    fh_str x = fh_headers_find(headers, count, "x-test");
    t->header_status = status;
    snprintf(t->x_test, sizeof t->x_test, "%.*s", (int)x.len, x.ptr ? x.ptr : "");
    if (!t->cancel_in_headers) return;
    fh_http_call_cancel(t->call);
    fh_loop_stop(t->loop);
}

static bool on_data(void *arg, const void *data, size_t bytes)
{
    talk *t = arg;
    t->bytes += bytes;
    t->pieces++;
    if (t->body.max) fh_buf_add(&t->body, data, bytes);
    if (t->cancel) {
        fh_http_call_cancel(t->call);
        fh_loop_stop(t->loop);
    }
    if (t->pause && t->pieces % 2) {
        fh_timer_start(t->timer, FH_NS_PER_MS);
        return false;
    }
    return true;
}

static void on_done(void *arg, int status, const fh_err *err)
{
    talk *t = arg;
    t->done++;
    t->status = status;
    t->code = err ? fh_err_code(err) : 0;
    if (err) snprintf(t->message, sizeof t->message, "%s", fh_err_message(err));
    fh_http_call_resume(t->call); /* late, and harmless */
    fh_http_call_cancel(t->call);
    fh_loop_stop(t->loop);
}

static void resume(void *arg)
{
    talk *t = arg;
    fh_http_call_resume(t->call);
}

static void begin(talk *t)
{
    *t = (talk){0};
    fh_buf_init(&t->body, 1 << 20);
    assert_int_equal(fh_loop_new(&t->loop, NULL), 0);
    assert_int_equal(fh_http_client_new(&t->client, t->loop, NULL), 0);
    assert_int_equal(fh_timer_new(&t->timer, t->loop, resume, t, NULL), 0);
}

static void finish(talk *t)
{
    fh_timer_free(t->timer);
    fh_http_client_free(t->client);
    fh_loop_free(t->loop);
    fh_buf_fini(&t->body);
}

/* All of this holds for both ways: straight to this machine, and by libcurl, which takes what is bounded in its whole time. */
static bool by_curl;

static fh_http_call_spec spec_of(talk *t, const char *method, const char *path)
{
    return (fh_http_call_spec){.method = method,
                               .url = url(path),
                               .total_timeout_ns = by_curl ? 60 * FH_NS_PER_S : 0,
                               .on_headers = on_headers,
                               .on_data = on_data,
                               .on_done = on_done,
                               .arg = t};
}

static void run(talk *t, const fh_http_call_spec *spec)
{
    fh_err *err = NULL;
    if (fh_http_call_start(&t->call, t->client, spec, &err) < 0) fail_msg("%s", fh_err_message(err));
    assert_int_equal(fh_loop_run(t->loop, NULL), 0);
}

static void a_call_sends_what_it_is_given_and_brings_the_reply(void **state)
{
    talk t;
    begin(&t);
    fh_header headers[] = {{FH_STR("Content-Type"), FH_STR("application/json")}, {FH_STR("X-Empty"), FH_STR("")}};
    fh_http_call_spec s = spec_of(&t, "POST", "/busy?x=1");
    s.headers = headers;
    s.header_count = 2;
    s.body = FH_STR("{\"a\":1}");
    run(&t, &s);
    assert_int_equal(t.done, 1);
    assert_int_equal(t.status, 429);
    assert_int_equal(t.header_status, 429);
    assert_string_equal(t.x_test, "padded");
    assert_string_equal(fh_buf_cstr(&t.body), "POST type=application/json expect=0 empty=1 {\"a\":1}");
    finish(&t);
}

static void every_method_can_be_sent_and_connections_are_used_again(void **state)
{
    static const char *const methods[] = {"GET", "POST", "DELETE", "PATCH", "PUT"};
    talk t;
    begin(&t);
    for (size_t i = 0; i < FH_COUNT(methods); i++) {
        char wanted[64];
        fh_buf_clear(&t.body);
        fh_http_call_spec s = spec_of(&t, methods[i], "/x");
        run(&t, &s);
        snprintf(wanted, sizeof wanted, "%s type= expect=0 empty=0 ", methods[i]);
        assert_int_equal(t.status, 200);
        assert_string_equal(fh_buf_cstr(&t.body), wanted);
    }
    finish(&t);
}

static void a_large_body_goes_up_without_asking_first(void **state)
{
    talk t;
    begin(&t);
    char *big = calloc(1, 3 << 20);
    memset(big, 'x', 3 << 20);
    t.body.max = 0;
    fh_http_call_spec s = spec_of(&t, "POST", "/headers");
    s.body = (fh_str){big, 3 << 20};
    s.url = url("/x");
    run(&t, &s);
    assert_int_equal(t.status, 200);
    finish(&t);
    free(big);
}

static void a_paused_stream_waits_and_loses_nothing(void **state)
{
    talk t;
    begin(&t);
    t.pause = true;
    t.body.max = 0;
    fh_http_call_spec s = spec_of(&t, "GET", "/much");
    run(&t, &s);
    assert_int_equal(t.status, 200);
    assert_int_equal(t.bytes, (size_t)PIECE * PIECES);
    assert_true(t.pieces > 10);
    finish(&t);
}

static void a_cancelled_call_says_nothing_more_and_the_server_sees_it(void **state)
{
    for (int way = 0; way < 2; way++) {
        talk t;
        int gone = atomic_load(&server.gone);
        begin(&t);
        t.cancel = way == 0;
        t.cancel_in_headers = way == 1;
        fh_http_call_spec s = spec_of(&t, "GET", "/much");
        run(&t, &s);
        assert_int_equal(t.done, 0);
        finish(&t);
        assert_true(wait_for(&server.gone, gone + 1));
    }
}

static void a_call_can_be_cancelled_before_it_began(void **state)
{
    talk t;
    begin(&t);
    fh_http_call_spec s = spec_of(&t, "GET", "/x");
    assert_int_equal(fh_http_call_start(&t.call, t.client, &s, NULL), 0);
    fh_http_call_cancel(t.call);
    finish(&t);
    assert_int_equal(t.done, 0);
}

static void closing_the_client_ends_its_calls(void **state)
{
    talk t;
    begin(&t);
    fh_http_call_spec s = spec_of(&t, "GET", "/x");
    assert_int_equal(fh_http_call_start(&t.call, t.client, &s, NULL), 0);
    finish(&t);
    assert_int_equal(t.done, 1);
    assert_int_equal(t.code, FH_E_CANCELLED);
}

static void each_failure_has_its_code(void **state)
{
    static const struct {
        const char *path;
        int code;
    } rows[] = {{"/cut", FH_E_UPSTREAM}, {"/never", FH_E_TIMEOUT}, {"/headers", FH_E_UPSTREAM}};
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        talk t;
        begin(&t);
        fh_http_call_spec s = spec_of(&t, "GET", rows[i].path);
        s.idle_timeout_ns = 100 * FH_NS_PER_MS;
        run(&t, &s);
        assert_int_equal(t.done, 1);
        assert_int_equal(t.status, 0);
        assert_int_equal(t.code, rows[i].code);
        assert_non_null(strstr(t.message, rows[i].path));
        finish(&t);
    }
}

static void the_total_time_is_bounded_too(void **state)
{
    talk t;
    begin(&t);
    fh_http_call_spec s = spec_of(&t, "GET", "/never");
    s.total_timeout_ns = 100 * FH_NS_PER_MS;
    run(&t, &s);
    assert_int_equal(t.code, FH_E_TIMEOUT);
    finish(&t);
}

static void nobody_there_is_unavailable_and_no_secret_is_in_the_message(void **state)
{
    talk t;
    begin(&t);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    char refused[128];
    snprintf(refused, sizeof refused, "http://me:hush@127.0.0.1:%d/p?key=hush", ntohs(a.sin_port));
    fh_http_call_spec s = spec_of(&t, "GET", "/");
    s.url = refused;
    run(&t, &s);
    assert_int_equal(t.code, FH_E_UNAVAILABLE);
    assert_null(strstr(t.message, "hush"));
    close(fd);
    finish(&t);
}

static void what_cannot_be_sent_is_refused_at_once(void **state)
{
    talk t;
    begin(&t);
    fh_header evil[] = {{FH_STR("X"), FH_STR("a\r\nY: b")}};
    fh_http_call_spec s = spec_of(&t, "GET", "/");
    s.headers = evil;
    s.header_count = 1;
    assert_int_equal(fh_http_call_start(&t.call, t.client, &s, NULL), FH_E_INVALID);
    s = spec_of(&t, "GET", "/");
    s.url = "file:///etc/passwd";
    run(&t, &s);
    assert_int_equal(t.code, FH_E_UPSTREAM);
    finish(&t);
}

/* A second call, started from inside the first one's callback. */
static void start_second(void *arg, int status, const fh_header *headers, size_t count)
{
    talk *t = arg;
    fh_http_call_spec s = spec_of(t, "GET", "/x");
    fh_http_call_cancel(t->call);
    assert_int_equal(fh_http_call_start(&t->call, t->client, &s, NULL), 0);
}

static void a_callback_may_cancel_its_call_and_start_another(void **state)
{
    talk t;
    begin(&t);
    fh_http_call_spec s = spec_of(&t, "GET", "/busy");
    s.on_headers = start_second;
    run(&t, &s);
    assert_int_equal(t.done, 1);
    assert_int_equal(t.status, 200);
    finish(&t);
}

/* The blocking form. */

static void fetching_blocks_until_the_whole_reply_is_there(void **state)
{
    FH_AUTO(buf) fh_buf body = {0};
    fh_err *err = NULL;
    int status = 0;
    fh_http_call_spec s = {.method = "POST", .url = url("/busy"), .body = FH_STR("abc")};
    assert_int_equal(fh_http_fetch(&s, 1000, &status, &body, NULL), 0);
    assert_int_equal(status, 429);
    assert_string_equal(fh_buf_cstr(&body), "POST type= expect=0 empty=0 abc");
    s.url = url("/much");
    assert_int_equal(fh_http_fetch(&s, 1000, &status, &body, &err), FH_E_TOO_LARGE);
    s.url = url("/cut");
    assert_int_equal(fh_http_fetch(&s, 1000, &status, &body, &err), FH_E_UPSTREAM);
    s.url = url("/never");
    s.total_timeout_ns = 50 * FH_NS_PER_MS;
    assert_int_equal(fh_http_fetch(&s, 1000, &status, &body, &err), FH_E_TIMEOUT);
    fh_err_free(err);
}

static bool stop_at_once(void *arg, const void *data, size_t bytes)
{
    return false;
}

static void a_fetched_stream_can_be_stopped(void **state)
{
    int status = 0;
    fh_http_call_spec s = {.url = url("/much"), .on_data = stop_at_once};
    assert_int_equal(fh_http_fetch(&s, 0, &status, NULL, NULL), FH_E_CANCELLED);
}

static void unix_sockets_are_reached_by_path(void **state)
{
    fixture f = {0};
    char folder[] = "/tmp/fh-net-XXXXXX", path[64], address[80];
    FH_AUTO(buf) fh_buf body = {0};
    fh_err *err = NULL;
    int status = 0;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/s", folder);
    snprintf(address, sizeof address, "unix:%s", path);
    fixture_start(&f, handle, NULL, address);
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    fh_http_call_spec s = {.method = "GET", .url = "http://localhost/x", .unix_path = path};
    assert_int_equal(fh_http_fetch(&s, 1000, &status, &body, NULL), 0);
    unsetenv("http_proxy");
    assert_int_equal(status, 200);
    fixture_stop(&f);
    assert_int_equal(fh_http_fetch(&s, 1000, &status, &body, &err), FH_E_UNAVAILABLE);
    assert_non_null(strstr(fh_err_message(err), "GET /x"));
    assert_null(strstr(fh_err_message(err), path)); /* clients of the gateway get this message */
    fh_err_free(err);
    rmdir(folder);
}

static int set_up(void **state)
{
    fixture_start(&server, handle, NULL, "127.0.0.1:0");
    return 0;
}

static int tear_down(void **state)
{
    fixture_stop(&server);
    return 0;
}

static void and_all_of_it_by_libcurl(void **state)
{
    by_curl = true;
}

/* clang-format off */
#define CALLS \
    cmocka_unit_test(a_call_sends_what_it_is_given_and_brings_the_reply), \
    cmocka_unit_test(every_method_can_be_sent_and_connections_are_used_again), \
    cmocka_unit_test(a_large_body_goes_up_without_asking_first), \
    cmocka_unit_test(a_paused_stream_waits_and_loses_nothing), \
    cmocka_unit_test(a_cancelled_call_says_nothing_more_and_the_server_sees_it), \
    cmocka_unit_test(a_call_can_be_cancelled_before_it_began), \
    cmocka_unit_test(closing_the_client_ends_its_calls), \
    cmocka_unit_test(each_failure_has_its_code), \
    cmocka_unit_test(the_total_time_is_bounded_too), \
    cmocka_unit_test(nobody_there_is_unavailable_and_no_secret_is_in_the_message), \
    cmocka_unit_test(what_cannot_be_sent_is_refused_at_once), \
    cmocka_unit_test(a_callback_may_cancel_its_call_and_start_another), \
    cmocka_unit_test(fetching_blocks_until_the_whole_reply_is_there), \
    cmocka_unit_test(a_fetched_stream_can_be_stopped), \
    cmocka_unit_test(unix_sockets_are_reached_by_path)
/* clang-format on */

int main(void)
{
    const struct CMUnitTest tests[] = {CALLS, cmocka_unit_test(and_all_of_it_by_libcurl), CALLS};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
