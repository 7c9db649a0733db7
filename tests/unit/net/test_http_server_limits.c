/* What the server does with clients that are slow, silent, greedy or many. */
#include "base/limits.h"
#include "server_fixture.h"
#include <sys/resource.h>

#define H "Host: a.example\r\n"
enum { PIECE = 10000, PIECES = 2000 };

/* A source that writes until it is told to wait. */

typedef struct source {
    fixture *f;
    fh_http_req *req;
    int left;
} source;

static void pump(void *arg)
{
    static char piece[PIECE];
    source *s = arg;
    bool go_on = true;
    while (go_on && s->left > 0) {
        s->left--;
        memset(piece, 'a' + s->left % 26, sizeof piece);
        go_on = fh_http_reply_write(s->req, piece, sizeof piece);
        atomic_fetch_add(&s->f->made, sizeof piece);
    }
    if (!go_on && s->left > 0) {
        atomic_fetch_add(&s->f->drained, 1);
        return;
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

static void reply_waiting(void *arg)
{
    fixture *f = arg;
    fh_http_reply(f->parked, 200, "text/plain", "late", 4);
}

static void handle(fh_http_req *req, void *ctx)
{
    fixture *f = ctx;
    fh_str path = fh_http_req_path(req);
    atomic_fetch_add(&f->handled, 1);
    if (fh_str_eqs(path, "/much")) {
        source *s = fh_calloc(1, sizeof *s);
        *s = (source){f, req, PIECES};
        fh_http_req_on_gone(req, source_gone, s);
        fh_http_reply_on_drain(req, pump, s);
        fh_http_reply_start(req, 200, "application/octet-stream");
        pump(s);
    } else if (fh_str_eqs(path, "/big")) {
        static char big[100000];
        fh_http_reply(req, 200, "application/octet-stream", big, sizeof big);
    } else if (fh_str_eqs(path, "/late")) {
        f->parked = req;
        if (!f->timer) fh_timer_new(&f->timer, fh_http_req_loop(req), reply_waiting, f, NULL);
        fh_timer_start(f->timer, 100 * FH_NS_PER_MS);
    } else {
        fh_http_reply(req, 200, "text/plain", "ok", 2);
    }
}

static void start(fixture *f, int64_t header_ms, int64_t body_ms, int64_t idle_ms, int64_t write_ms, size_t connections)
{
    *f = (fixture){0};
    fh_http_server_limits l = {.header_timeout_ns = header_ms * FH_NS_PER_MS,
                               .body_timeout_ns = body_ms * FH_NS_PER_MS,
                               .idle_timeout_ns = idle_ms * FH_NS_PER_MS,
                               .write_timeout_ns = write_ms * FH_NS_PER_MS,
                               .linger_ns = FH_NS_PER_S,
                               .connections = connections,
                               .out_buffer_bytes = 262144,
                               .bodies_bytes = 1 << 20};
    fh_http_limits_default(&l.reader);
    fixture_start(f, handle, &l, "127.0.0.1:0");
}

static int64_t ms_since(int64_t start_ns)
{
    return (fh_clock_mono_ns() - start_ns) / FH_NS_PER_MS;
}

/* Time. */

static void expect_end(int fd, int64_t least_ms, int64_t most_ms, const char *begins)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    int64_t t = fh_clock_mono_ns();
    assert_true(hear_all(fd, &out));
    int64_t ms = ms_since(t);
    if (ms < least_ms || ms > most_ms) fail_msg("closed after %lld ms", (long long)ms);
    assert_true(fh_str_starts(fh_str_of(fh_buf_cstr(&out)), fh_str_of(begins)));
    if (!*begins) assert_int_equal(out.len, 0);
    close(fd);
}

static void a_head_that_does_not_come_gets_408(void **state)
{
    fixture f;
    start(&f, 100, 5000, 5000, 5000, 100);
    int silent = dial(f.port), begun = dial(f.port);
    say(begun, "GET / HT");
    expect_end(begun, 50, 3000, "HTTP/1.1 408 ");
    expect_end(silent, 0, 3000, "");
    fixture_stop(&f);
}

static void trickling_a_head_does_not_prolong_it(void **state)
{
    fixture f;
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    start(&f, 200, 5000, 5000, 5000, 100);
    int fd = dial(f.port);
    int64_t t = fh_clock_mono_ns();
    say(fd, "GET / HTTP/1.1\r\nX: ");
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, 20) == 0 && ms_since(t) < 5000) say(fd, "x");
    assert_in_range(ms_since(t), 100, 3000);
    assert_true(hear_until(fd, &out, "408"));
    close(fd);
    fixture_stop(&f);
}

static void a_body_that_stops_coming_gets_408_and_one_that_trickles_does_not(void **state)
{
    fixture f;
    start(&f, 5000, 150, 5000, 5000, 100);
    int slow = dial(f.port), stopped = dial(f.port);
    say(stopped, "POST / HTTP/1.1\r\n" H "Content-Length: 6\r\n\r\nab");
    say(slow, "POST / HTTP/1.1\r\n" H "Connection: close\r\nContent-Length: 6\r\n\r\n");
    for (int i = 0; i < 6; i++) {
        fh_sleep_ns(50 * FH_NS_PER_MS);
        say(slow, "x");
    }
    expect_end(slow, 0, 3000, "HTTP/1.1 200 ");
    expect_end(stopped, 0, 3000, "HTTP/1.1 408 ");
    fixture_stop(&f);
}

static void an_idle_connection_is_closed_and_a_waiting_one_is_not(void **state)
{
    fixture f;
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20), late = FH_BUF(1 << 20);
    start(&f, 30, 30, 60, 30, 100);
    int fd = dial(f.port), waiting = dial(f.port);
    say(waiting, "GET /late HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    say(fd, "GET / HTTP/1.1\r\n" H "\r\n");
    assert_true(hear_until(fd, &out, "ok"));
    expect_end(fd, 20, 3000, "");
    assert_true(hear_all(waiting, &late));
    assert_non_null(strstr(fh_buf_cstr(&late), "late"));
    close(waiting);
    fixture_stop(&f);
}

static void a_client_that_never_reads_is_dropped(void **state)
{
    fixture f;
    start(&f, 5000, 5000, 5000, 200, 100);
    int fd = dial(f.port);
    say(fd, "GET /much HTTP/1.1\r\n" H "\r\n");
    assert_true(wait_for(&f.gone, 1));
    close(fd);
    fixture_stop(&f);
}

/* Back-pressure. */

static void a_client_that_does_not_read_pauses_the_source_and_then_gets_all(void **state)
{
    fixture f;
    FH_AUTO(buf) fh_buf out = FH_BUF((size_t)PIECE * PIECES * 2);
    start(&f, 5000, 5000, 5000, 20000, 100);
    int fd = dial(f.port), small = 65536;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    say(fd, "GET /much HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    assert_true(wait_for(&f.drained, 1));
    fh_sleep_ns(100 * FH_NS_PER_MS);
    size_t made = atomic_load(&f.made);
    fh_sleep_ns(100 * FH_NS_PER_MS);
    assert_int_equal(atomic_load(&f.made), made);
    assert_true(made < (size_t)PIECE * PIECES / 2); /* the kernel's buffers and ours, no more */
    assert_true(hear_all(fd, &out));
    assert_int_equal(f.gone, 0);
    assert_int_equal(atomic_load(&f.made), (size_t)PIECE * PIECES);
    assert_int_equal(count_of(fh_buf_cstr(&out), "\r\n2710\r\n"), PIECES);
    assert_true(fh_str_ends((fh_str){out.data, out.len}, FH_STR("\r\n0\r\n\r\n")));
    close(fd);
    fixture_stop(&f);
}

static void a_client_that_pipelines_and_does_not_read_is_not_served_ahead(void **state)
{
    fixture f;
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 28);
    start(&f, 5000, 5000, 5000, 20000, 100);
    int fd = dial(f.port), small = 65536;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    for (int i = 0; i < 500; i++) say(fd, "GET /big HTTP/1.1\r\n" H "\r\n");
    say(fd, "GET /big HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    fh_sleep_ns(200 * FH_NS_PER_MS);
    assert_in_range(f.handled, 3, 200);
    assert_true(hear_all(fd, &out));
    assert_int_equal(f.handled, 501);
    close(fd);
    fixture_stop(&f);
}

/* Many. */

static void connections_beyond_the_limit_get_503(void **state)
{
    fixture f;
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    int fds[3];
    start(&f, 5000, 5000, 5000, 5000, 3);
    for (int i = 0; i < 3; i++) {
        FH_AUTO(buf) fh_buf ok = FH_BUF(1 << 16);
        fds[i] = dial(f.port);
        say(fds[i], "GET / HTTP/1.1\r\n" H "\r\n");
        assert_true(hear_until(fds[i], &ok, "ok"));
    }
    int fourth = dial(f.port);
    say(fourth, "GET / HTTP/1.1\r\n" H "\r\n");
    expect_end(fourth, 0, 3000, "HTTP/1.1 503 ");
    for (int i = 0; i < 3; i++) close(fds[i]);
    for (int i = 0; i < 100 && !strstr(fh_buf_cstr(&out), "200 OK"); i++) {
        fh_buf_clear(&out);
        fh_sleep_ns(5 * FH_NS_PER_MS);
        ask(f.port, FH_STR("GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n"), &out);
    }
    assert_non_null(strstr(fh_buf_cstr(&out), "200 OK"));
    fixture_stop(&f);
}

static void bodies_beyond_what_all_may_hold_get_503(void **state)
{
    fixture f;
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    static char half[600000];
    start(&f, 5000, 5000, 5000, 5000, 100);
    int first = dial(f.port), second = dial(f.port);
    say(first, "POST / HTTP/1.1\r\n" H "Connection: close\r\nContent-Length: 600001\r\n\r\n");
    say_bytes(first, (fh_str){half, sizeof half});
    fh_sleep_ns(50 * FH_NS_PER_MS);
    say(second, "POST / HTTP/1.1\r\n" H "Content-Length: 600000\r\n\r\n");
    say_bytes(second, (fh_str){half, sizeof half});
    expect_end(second, 0, 3000, "HTTP/1.1 503 ");
    say(first, "x");
    expect_end(first, 0, 3000, "HTTP/1.1 200 ");
    for (int i = 0; i < 3; i++) {
        fh_buf_clear(&out);
        int fd = dial(f.port);
        say(fd, "POST / HTTP/1.1\r\n" H "Connection: close\r\nContent-Length: 600000\r\n\r\n");
        say_bytes(fd, (fh_str){half, sizeof half});
        assert_true(hear_all(fd, &out));
        assert_non_null(strstr(fh_buf_cstr(&out), "200 OK"));
        close(fd);
    }
    fixture_stop(&f);
}

static void without_descriptors_accepting_rests_and_goes_on(void **state)
{
    fixture f;
    struct rlimit before, low;
    struct rusage a, b;
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    start(&f, 5000, 5000, 5000, 5000, 1000);
    int fd = dial(f.port), probe = dup(fd);
    getrlimit(RLIMIT_NOFILE, &before);
    low = before;
    low.rlim_cur = (rlim_t)probe + 1;
    close(probe);
    fh_sleep_ns(20 * FH_NS_PER_MS);
    int second = dial(f.port); /* takes the last descriptor: the server has none for its side */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    int third = socket(AF_INET, SOCK_STREAM, 0);
    getrusage(RUSAGE_SELF, &a);
    say(second, "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    fh_sleep_ns(300 * FH_NS_PER_MS);
    getrusage(RUSAGE_SELF, &b);
    int64_t busy_us = (b.ru_utime.tv_sec - a.ru_utime.tv_sec) * 1000000 + b.ru_utime.tv_usec - a.ru_utime.tv_usec +
                      (b.ru_stime.tv_sec - a.ru_stime.tv_sec) * 1000000 + b.ru_stime.tv_usec - a.ru_stime.tv_usec;
    assert_true(busy_us < 100000);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_true(hear_all(second, &out));
    assert_non_null(strstr(fh_buf_cstr(&out), "200 OK"));
    if (third >= 0) close(third);
    close(fd);
    close(second);
    fixture_stop(&f);
}

static size_t resident_bytes(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (fscanf(file, "%*d %ld", &pages) != 1) abort();
    fclose(file);
    return (size_t)pages * 4096;
}

static void churn(fixture *f, int count)
{
    for (int i = 0; i < count; i++) {
        FH_AUTO(buf) fh_buf out = FH_BUF(1 << 16);
        int fd = dial(f->port);
        say(fd, i % 3 == 2 ? "GET / HTTP/1.1\r\n\r\n" : "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
        if (i % 3 && !hear_all(fd, &out)) fail_msg("connection %d was reset", i);
        close(fd);
    }
}

static void count_connections(fixture *f)
{
    atomic_store(&f->waiting, (int)fh_http_server_connections(f->server));
}

static void ten_thousand_connections_leave_nothing_behind(void **state)
{
    fixture f;
    start(&f, 5000, 5000, 5000, 5000, 4000);
    churn(&f, 2000);
    size_t before = resident_bytes();
    churn(&f, 10000);
    size_t after = resident_bytes();
    if (!FH_SANITIZED) assert_true(after < before + (2 << 20)); /* a sanitizer keeps what was freed for a while */
    for (int i = 0; i < 1000; i++) {
        fixture_call(&f, count_connections);
        if (atomic_load(&f.waiting) == 0) break;
        fh_sleep_ns(FH_NS_PER_MS);
    }
    assert_int_equal(f.waiting, 0);
    fixture_stop(&f);
}

/* Draining. */

static void drain(fixture *f)
{
    fh_http_server_drain(f->server, 0);
}

static void draining_ends_idle_connections_and_lets_requests_finish(void **state)
{
    fixture f;
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20), late = FH_BUF(1 << 20);
    start(&f, 5000, 5000, 5000, 5000, 100);
    int idle = dial(f.port), busy = dial(f.port);
    say(idle, "GET / HTTP/1.1\r\n" H "\r\n");
    assert_true(hear_until(idle, &out, "ok"));
    say(busy, "GET /late HTTP/1.1\r\n" H "\r\n");
    assert_true(wait_for(&f.handled, 2));
    fixture_call(&f, drain);
    expect_end(idle, 0, 1000, "");
    assert_true(hear_all(busy, &late));
    assert_non_null(strstr(fh_buf_cstr(&late), "Connection: close\r\n"));
    assert_non_null(strstr(fh_buf_cstr(&late), "late"));
    close(busy);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)f.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int refused = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_not_equal(connect(refused, (struct sockaddr *)&a, sizeof a), 0);
    close(refused);
    fixture_stop(&f);
}

static void ending_a_server_tells_the_sources_of_running_replies(void **state)
{
    fixture f;
    start(&f, 5000, 5000, 5000, 5000, 100);
    int fd = dial(f.port), half = dial(f.port);
    say(fd, "GET /much HTTP/1.1\r\n" H "\r\n");
    say(half, "POST / HTTP/1.1\r\n" H "Content-Length: 100\r\n\r\nabc");
    assert_true(wait_for(&f.drained, 1));
    fixture_stop(&f);
    assert_int_equal(f.gone, 1);
    close(fd);
    close(half);
}

static void drain_gracefully(fixture *f)
{
    fh_http_server_drain(f->server, 300 * FH_NS_PER_MS);
}

static void draining_with_grace_takes_one_more_request_of_an_idle_connection(void **state)
{
    fixture f;
    FH_AUTO(buf) fh_buf first = FH_BUF(1 << 20), second = FH_BUF(1 << 20), none = FH_BUF(1 << 20);
    start(&f, 5000, 5000, 5000, 5000, 100);
    int asks = dial(f.port), idle = dial(f.port);
    say(asks, "GET / HTTP/1.1\r\n" H "\r\n");
    assert_true(hear_until(asks, &first, "ok"));
    say(idle, "GET / HTTP/1.1\r\n" H "\r\n");
    assert_true(hear_until(idle, &none, "ok"));
    fixture_call(&f, drain_gracefully);
    say(asks, "GET / HTTP/1.1\r\n" H "\r\n");
    assert_true(hear_all(asks, &second));
    assert_non_null(strstr(fh_buf_cstr(&second), "Connection: close\r\n"));
    close(asks);
    expect_end(idle, 200, 2000, "");
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_that_does_not_come_gets_408),
        cmocka_unit_test(trickling_a_head_does_not_prolong_it),
        cmocka_unit_test(a_body_that_stops_coming_gets_408_and_one_that_trickles_does_not),
        cmocka_unit_test(an_idle_connection_is_closed_and_a_waiting_one_is_not),
        cmocka_unit_test(a_client_that_never_reads_is_dropped),
        cmocka_unit_test(a_client_that_does_not_read_pauses_the_source_and_then_gets_all),
        cmocka_unit_test(a_client_that_pipelines_and_does_not_read_is_not_served_ahead),
        cmocka_unit_test(connections_beyond_the_limit_get_503),
        cmocka_unit_test(bodies_beyond_what_all_may_hold_get_503),
        cmocka_unit_test(without_descriptors_accepting_rests_and_goes_on),
        cmocka_unit_test(ten_thousand_connections_leave_nothing_behind),
        cmocka_unit_test(draining_ends_idle_connections_and_lets_requests_finish),
        cmocka_unit_test(draining_with_grace_takes_one_more_request_of_an_idle_connection),
        cmocka_unit_test(ending_a_server_tells_the_sources_of_running_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
