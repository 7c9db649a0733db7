/* Each allocation in turn fails while requests are read, served and made, those of libevent and libcurl included. Whatever happens, the
 * outcome is a whole reply, an error or a closed connection, and nothing is left behind. */
#include "base/clock.h"
#include "net/http_client.h"
#include "net/http_reader.h"
#include "net/http_server.h"
#include "torture.h"
#include <curl/curl.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[] = "/tmp/fh-net-XXXXXX", path[64], address[80];

static const char request[] = "POST /x?y=1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nT: u\r\n\r\n"
                              "GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/* Reading. */

static int read_scenario(void *arg)
{
    fh_http_limits l;
    fh_http_limits_default(&l);
    fh_http_reader *r = fh_http_reader_new(&l);
    int rc = r ? 0 : FH_E_NOMEM, done = 0;
    for (size_t at = 0; rc == 0 && at < sizeof request - 1;) {
        size_t n = sizeof request - 1 - at;
        fh_http_read state = FH_HTTP_MORE;
        int status = 0;
        fh_err *err = NULL;
        rc = fh_http_reader_push(r, request + at, &n, &state, &status, &err);
        if (rc < 0 && (rc != FH_E_NOMEM || status != 503)) fail_msg("%d %d", rc, status);
        fh_err_free(err);
        at += n;
        if (rc < 0 || state != FH_HTTP_DONE) continue;
        done++;
        fh_http_reader_next(r);
    }
    fh_http_reader_free(r);
    if (rc == 0) assert_int_equal(done, 2);
    return rc;
}

static void a_reader_without_memory_says_so(void **state)
{
    assert_true(fh_torture(FH_FAULT_ALLOC, read_scenario, NULL, 200) > 4);
}

/* Serving. */

static fh_http_req *deferred; /* its reply comes from the loop, not from the handler */

static void forget_deferred(void *arg)
{
    deferred = NULL;
}

static void reply_deferred(void *arg)
{
    fh_http_req *req = deferred;
    if (!req) return;
    deferred = NULL;
    fh_http_reply_start(req, 200, "text/plain");
    fh_http_reply_write(req, "one", 3);
    fh_http_reply_write(req, "two", 3);
    fh_http_reply_end(req);
}

static void handle(fh_http_req *req, void *ctx)
{
    fh_str body = fh_http_req_body(req);
    fh_http_reply_header(req, "X-A", "1");
    if (!fh_str_eqs(fh_http_req_path(req), "/stream")) {
        fh_http_reply(req, 200, "text/plain", body.ptr, body.len);
        return;
    }
    deferred = req;
    fh_http_req_on_gone(req, forget_deferred, NULL);
    if (!fh_loop_post(fh_http_req_loop(req), reply_deferred, NULL)) fh_http_reply_abort(req);
}

typedef struct served {
    fh_loop *loop;
    fh_http_server *server;
    fh_timer *patience;
    fh_watch *watch;
    int fd;
    char got[4096];
    size_t len;
    bool gave_up;
} served;

static void hear(void *arg)
{
    served *s = arg;
    ssize_t n = recv(s->fd, s->got + s->len, sizeof s->got - 1 - s->len, MSG_DONTWAIT);
    if (n > 0)
        s->len += (size_t)n;
    else
        fh_loop_stop(s->loop);
}

static void give_up(void *arg)
{
    served *s = arg;
    s->gave_up = true;
    fh_loop_stop(s->loop);
}

static int dial(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0 || send(fd, request, sizeof request - 1, MSG_NOSIGNAL) < 0) abort();
    return fd;
}

static int open_served(served *s)
{
    int rc = fh_loop_new(&s->loop, NULL);
    if (rc == 0) rc = fh_http_server_new(&s->server, s->loop, handle, NULL, NULL);
    if (rc == 0) rc = fh_http_server_listen(s->server, address, false, NULL);
    if (rc == 0) rc = fh_timer_new(&s->patience, s->loop, give_up, s, NULL);
    return rc;
}

static void close_served(served *s)
{
    fh_watch_free(s->watch);
    fh_timer_free(s->patience);
    fh_http_server_free(s->server);
    fh_loop_free(s->loop);
    if (s->fd >= 0) close(s->fd);
}

static int serve_scenario(void *arg)
{
    served s = {.fd = -1};
    int rc = open_served(&s);
    if (rc == 0) {
        s.fd = dial();
        rc = fh_watch_new(&s.watch, s.loop, s.fd, hear, &s, NULL);
    }
    if (rc == 0) {
        fh_timer_start(s.patience, 2 * FH_NS_PER_S);
        rc = fh_loop_run(s.loop, NULL);
    }
    if (rc == 0 && !strstr(s.got, "3\r\ntwo\r\n0\r\n\r\n")) rc = FH_E_NOMEM;
    if (rc == 0) assert_non_null(strstr(s.got, "\r\n\r\nhello"));
    assert_false(s.gave_up);
    close_served(&s);
    return rc;
}

static void a_server_without_memory_closes_and_does_not_leak_or_hang(void **state)
{
    assert_true(fh_torture(FH_FAULT_ALLOC, serve_scenario, NULL, 500) > 20);
}

static void a_server_whose_socket_breaks_closes_it(void **state)
{
    assert_true(fh_torture(FH_FAULT_READ, serve_scenario, NULL, 50) > 1);
    assert_true(fh_torture(FH_FAULT_WRITE, serve_scenario, NULL, 50) > 0);
}

/* Calling. */

typedef struct called {
    served s;
    int status, done;
    fh_buf body;
} called;

static bool take(void *arg, const void *data, size_t bytes)
{
    called *c = arg;
    fh_buf_add(&c->body, data, bytes);
    return true;
}

static void end(void *arg, int status, const fh_err *err)
{
    called *c = arg;
    c->status = status;
    c->done++;
    fh_loop_stop(c->s.loop);
}

static int call_scenario(void *arg)
{
    called c = {.s.fd = -1, .body = FH_BUF(1000)};
    fh_http_client *client = NULL;
    fh_header h = {FH_STR("X-B"), FH_STR("2")};
    fh_http_call_spec spec = {.method = "POST",
                              .url = "http://localhost/x",
                              .unix_path = path,
                              .headers = &h,
                              .header_count = 1,
                              .body = FH_STR("hello"),
                              .on_data = take,
                              .on_done = end,
                              .arg = &c};
    int rc = open_served(&c.s);
    if (rc == 0) rc = fh_http_client_new(&client, c.s.loop, NULL);
    if (rc == 0) rc = fh_http_call_start(NULL, client, &spec, NULL);
    if (rc == 0) {
        fh_timer_start(c.s.patience, 2 * FH_NS_PER_S);
        rc = fh_loop_run(c.s.loop, NULL);
        assert_false(c.s.gave_up);
        assert_int_equal(c.done, 1);
    }
    if (rc == 0 && (c.status != 200 || !fh_buf_ok(&c.body) || strcmp(fh_buf_cstr(&c.body), "hello") != 0)) rc = FH_E_NOMEM;
    fh_http_client_free(client);
    close_served(&c.s);
    fh_buf_fini(&c.body);
    return rc;
}

static void a_client_without_memory_ends_each_call_once(void **state)
{
    assert_true(fh_torture(FH_FAULT_ALLOC, call_scenario, NULL, 1000) > 20);
}

static void *realloc_any(void *p, size_t bytes)
{
    return fh_realloc(p, bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_without_memory_says_so),
        cmocka_unit_test(a_server_without_memory_closes_and_does_not_leak_or_hang),
        cmocka_unit_test(a_server_whose_socket_breaks_closes_it),
        cmocka_unit_test(a_client_without_memory_ends_each_call_once),
    };
    event_set_mem_functions(fh_alloc, realloc_any, fh_free);
    curl_global_init_mem(CURL_GLOBAL_DEFAULT, fh_alloc, fh_free, realloc_any, fh_strdup, fh_calloc);
    if (!mkdtemp(folder)) abort();
    snprintf(path, sizeof path, "%s/s", folder);
    snprintf(address, sizeof address, "unix:%s", path);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return failed;
}
