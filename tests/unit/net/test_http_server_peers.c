/* Who the clients are, how many of one address there may be, and how slow they may be on the whole. */
#include "server_fixture.h"

#define H "Host: a.example\r\n"

static void handle(fh_http_req *req, void *ctx)
{
    static char big[4000000];
    fixture *f = ctx;
    const char *peer = fh_http_req_peer(req);
    atomic_fetch_add(&f->handled, 1);
    if (fh_str_eqs(fh_http_req_path(req), "/big"))
        fh_http_reply(req, 200, "application/octet-stream", big, sizeof big);
    else
        fh_http_reply(req, 200, "text/plain", peer, strlen(peer));
}

static fh_http_server_limits limits(void)
{
    fh_http_server_limits l = {.header_timeout_ns = FH_NS_PER_S,
                               .body_timeout_ns = FH_NS_PER_S / 5,
                               .idle_timeout_ns = 5 * FH_NS_PER_S,
                               .write_timeout_ns = FH_NS_PER_S / 5,
                               .linger_ns = FH_NS_PER_S,
                               .connections = 100,
                               .out_buffer_bytes = 1 << 20,
                               .bodies_bytes = 1 << 20};
    fh_http_limits_default(&l.reader);
    return l;
}

static void test_an_address_has_so_many_connections_and_no_more(void **state)
{
    fixture f = {0};
    fh_http_server_limits l = limits();
    FH_AUTO(buf) fh_buf got = FH_BUF(10000);
    l.address_connections = 3;
    l.loopback_counts = true;
    fixture_start(&f, handle, &l, "127.0.0.1:0");
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = dial(f.port);
        say(fds[i], "GET / HTTP/1.1\r\n" H "\r\n");
    }
    assert_true(wait_for(&f.handled, 3));
    int fourth = dial(f.port);
    assert_true(hear_all(fourth, &got));
    assert_non_null(strstr(fh_buf_cstr(&got), "HTTP/1.1 503"));
    assert_non_null(strstr(fh_buf_cstr(&got), "3 connections of your address"));
    close(fourth);
    close(fds[0]);
    for (int i = 0; i < 2000 && fh_http_server_connections(f.server) > 2; i++) fh_sleep_ns(FH_NS_PER_MS);
    fh_buf_clear(&got);
    ask(f.port, FH_STR("GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n"), &got);
    assert_non_null(strstr(fh_buf_cstr(&got), "HTTP/1.1 200"));
    close(fds[1]);
    close(fds[2]);
    fixture_stop(&f);
}

static void test_loopback_is_no_address_among_others_unless_it_is_to_be(void **state)
{
    fixture f = {0};
    fh_http_server_limits l = limits();
    l.address_connections = 1;
    fixture_start(&f, handle, &l, "127.0.0.1:0");
    int a = dial(f.port), b = dial(f.port);
    say(a, "GET / HTTP/1.1\r\n" H "\r\n");
    say(b, "GET / HTTP/1.1\r\n" H "\r\n");
    assert_true(wait_for(&f.handled, 2));
    close(a);
    close(b);
    fixture_stop(&f);
}

/* Whom the server takes the client for. */
static void peer_is(const fixture *f, const char *headers, const char *wanted)
{
    char request[1024], tail[128];
    FH_AUTO(buf) fh_buf got = FH_BUF(10000);
    snprintf(request, sizeof request, "GET / HTTP/1.1\r\n" H "%sConnection: close\r\n\r\n", headers);
    ask(f->port, fh_str_of(request), &got);
    snprintf(tail, sizeof tail, "\r\n\r\n%s", wanted);
    if (!strstr(fh_buf_cstr(&got), tail)) fail_msg("%s: %s", headers, fh_buf_cstr(&got));
}

static void trust_others(fixture *f)
{
    static const char *const ranges[] = {"10.0.0.0/8", NULL};
    assert_int_equal(fh_http_server_trust(f->server, ranges, NULL), 0);
}

static void trust_us(fixture *f)
{
    static const char *const ranges[] = {"127.0.0.0/8", "10.0.0.0/8", NULL};
    assert_int_equal(fh_http_server_trust(f->server, ranges, NULL), 0);
}

static void test_a_proxy_is_believed_only_when_it_is_trusted(void **state)
{
    fixture f = {0};
    fixture_start(&f, handle, NULL, "127.0.0.1:0");
    fixture_call(&f, trust_others);
    peer_is(&f, "X-Forwarded-For: 203.0.113.9\r\n", "127.0.0.1:");
    fixture_call(&f, trust_us);
    peer_is(&f, "", "127.0.0.1:");
    peer_is(&f, "X-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9");
    peer_is(&f, "X-Forwarded-For: 198.51.100.1, 203.0.113.9, 10.1.1.1\r\n", "203.0.113.9");
    peer_is(&f, "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 10.1.1.1\r\n", "203.0.113.9");
    peer_is(&f, "X-Forwarded-For: 2001:db8::7, 10.1.1.1\r\n", "2001:db8::7");
    peer_is(&f, "X-Forwarded-For: 203.0.113.9, nonsense, 10.1.1.1\r\n", "10.1.1.1");
    peer_is(&f, "X-Forwarded-For: nonsense\r\n", "127.0.0.1:");
    peer_is(&f, "X-Forwarded-For: ,,\r\n", "127.0.0.1:");
    peer_is(&f, "X-Forwarded-For:\r\n", "127.0.0.1:");
    fixture_stop(&f);
}

static void test_ranges_that_are_none_are_refused(void **state)
{
    static const char *const bad[] = {"10.0.0.0/8", "everyone", NULL};
    fixture f = {0};
    fixture_start(&f, handle, NULL, "127.0.0.1:0");
    assert_int_equal(fh_http_server_trust(f.server, bad, NULL), FH_E_USAGE);
    fixture_stop(&f);
}

static void test_a_body_that_trickles_ends_though_it_never_stops(void **state)
{
    fixture f = {0};
    fh_http_server_limits l = limits();
    FH_AUTO(buf) fh_buf got = FH_BUF(10000);
    l.rate_bytes = 1000;
    fixture_start(&f, handle, &l, "127.0.0.1:0");
    int fd = dial(f.port);
    int64_t began = fh_clock_mono_ns();
    say(fd, "POST / HTTP/1.1\r\n" H "Content-Length: 100000\r\n\r\n");
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (int i = 0; i < 200 && poll(&p, 1, 50) == 0; i++) say(fd, "x"); /* 20 bytes a second */
    assert_true(hear_all(fd, &got));
    assert_non_null(strstr(fh_buf_cstr(&got), "HTTP/1.1 408"));
    assert_true(fh_clock_mono_ns() - began < 3 * FH_NS_PER_S);
    close(fd);
    fixture_stop(&f);
}

static void test_a_reader_that_trickles_ends_though_it_never_stops(void **state)
{
    fixture f = {0};
    fh_http_server_limits l = limits();
    l.rate_bytes = 10000000;
    fixture_start(&f, handle, &l, "127.0.0.1:0");
    int fd = dial(f.port), small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    say(fd, "GET /big HTTP/1.1\r\n" H "\r\n");
    char piece[2000];
    ssize_t n = 1;
    int64_t began = fh_clock_mono_ns();
    for (int i = 0; i < 100 && n > 0 && (i == 0 || fh_http_server_connections(f.server)); i++) {
        n = recv(fd, piece, sizeof piece, 0);
        fh_sleep_ns(50 * FH_NS_PER_MS);
    }
    for (int i = 0; i < 3000 && fh_http_server_connections(f.server); i++) fh_sleep_ns(FH_NS_PER_MS);
    assert_int_equal(fh_http_server_connections(f.server), 0);
    assert_true(fh_clock_mono_ns() - began < 10 * FH_NS_PER_S);
    close(fd);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_address_has_so_many_connections_and_no_more),
        cmocka_unit_test(test_loopback_is_no_address_among_others_unless_it_is_to_be),
        cmocka_unit_test(test_a_proxy_is_believed_only_when_it_is_trusted),
        cmocka_unit_test(test_ranges_that_are_none_are_refused),
        cmocka_unit_test(test_a_body_that_trickles_ends_though_it_never_stops),
        cmocka_unit_test(test_a_reader_that_trickles_ends_though_it_never_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
