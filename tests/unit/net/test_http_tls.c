/* TLS of the server: what it speaks, what it refuses, and certificates that change while it runs. */
#include "net/http_client.h"
#include "server_fixture.h"
#include "tls_files.h"
#include <openssl/err.h>
#include <openssl/ssl.h>

#define H "Host: localhost\r\n"

static char big[3000000];

static void handle(fh_http_req *req, void *ctx)
{
    fixture *f = ctx;
    atomic_fetch_add(&f->handled, 1);
    fh_str body = fh_http_req_body(req);
    if (fh_str_eqs(fh_http_req_path(req), "/big"))
        fh_http_reply(req, 200, "application/octet-stream", big, sizeof big);
    else
        fh_http_reply(req, 200, "text/plain", body.len ? body.ptr : "ok", body.len ? body.len : 2);
}

typedef struct world {
    fixture f;
    tls_files files;
} world;

static void start(world *w)
{
    fh_tls *tls = NULL;
    *w = (world){0};
    tls_files_make(&w->files);
    assert_int_equal(fh_tls_new(&tls, w->files.cert, w->files.key, NULL), 0);
    fixture_start(&w->f, handle, NULL, "127.0.0.1:0");
    fh_http_server_tls(w->f.server, tls);
}

static void stop(world *w)
{
    fixture_stop(&w->f);
    tls_files_remove(&w->files);
}

/* A client of OpenSSL's own, that trusts everybody. */
typedef struct tls_client {
    SSL_CTX *context;
    SSL *ssl;
    int fd;
} tls_client;

static bool connect_tls(tls_client *c, int port, int max_version, const char *alpn)
{
    c->fd = dial(port);
    c->context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(c->context, 0);
    SSL_CTX_set_min_proto_version(c->context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(c->context, max_version);
    if (alpn) SSL_CTX_set_alpn_protos(c->context, (const unsigned char *)alpn, (unsigned)strlen(alpn));
    c->ssl = SSL_new(c->context);
    SSL_set_fd(c->ssl, c->fd);
    return SSL_connect(c->ssl) == 1;
}

static void end_tls(tls_client *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->context);
    close(c->fd);
    ERR_clear_error();
}

static void hear_tls(tls_client *c, fh_buf *out)
{
    char piece[16384];
    for (int n; (n = SSL_read(c->ssl, piece, sizeof piece)) > 0;) fh_buf_add(out, piece, (size_t)n);
}

static long serial_of(int port)
{
    tls_client c;
    assert_true(connect_tls(&c, port, TLS1_3_VERSION, NULL));
    X509 *x = SSL_get1_peer_certificate(c.ssl);
    long serial = ASN1_INTEGER_get(X509_get0_serialNumber(x));
    X509_free(x);
    end_tls(&c);
    return serial;
}

static void test_our_client_talks_to_it_and_checks_who_it_is(void **state)
{
    world w;
    char url[64];
    int status = 0;
    FH_AUTO(buf) fh_buf body = {0};
    fh_err *err = NULL;
    start(&w);
    snprintf(url, sizeof url, "https://localhost:%d/", w.f.port);
    fh_http_call_spec spec = {.method = "POST", .url = url, .ca_file = w.files.cert, .body = FH_STR("hello")};
    assert_int_equal(fh_http_fetch(&spec, 1000, &status, &body, &err), 0);
    assert_int_equal(status, 200);
    assert_string_equal(fh_buf_cstr(&body), "hello");
    spec.ca_file = NULL;
    assert_true(fh_http_fetch(&spec, 1000, &status, NULL, &err) < 0);
    fh_err_free(err);
    stop(&w);
}

static void speak(int version)
{
    world w;
    tls_client c;
    FH_AUTO(buf) fh_buf got = FH_BUF(1000);
    static const char two[] = "GET /a HTTP/1.1\r\n" H "\r\nGET /b HTTP/1.1\r\n" H "Connection: close\r\n\r\n";
    start(&w);
    assert_true(connect_tls(&c, w.f.port, version, "\x02h2\x08http/1.1"));
    assert_int_equal(SSL_version(c.ssl), version);
    SSL_write(c.ssl, two, sizeof two - 1);
    hear_tls(&c, &got);
    assert_int_equal(count_of(fh_buf_cstr(&got), "HTTP/1.1 200"), 2);
    assert_int_equal(SSL_get_shutdown(c.ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    end_tls(&c);
    stop(&w);
}

static void test_tls_1_2_and_1_3_are_spoken_with_pipelining_and_a_proper_end(void **state)
{
    speak(TLS1_2_VERSION);
    speak(TLS1_3_VERSION);
}

static void test_older_versions_and_other_protocols_are_refused(void **state)
{
    world w;
    tls_client c;
    start(&w);
    assert_false(connect_tls(&c, w.f.port, TLS1_1_VERSION, NULL));
    end_tls(&c);
    assert_false(connect_tls(&c, w.f.port, TLS1_3_VERSION, "\x02h2"));
    end_tls(&c);
    assert_int_equal(atomic_load(&w.f.handled), 0);
    stop(&w);
}

static void test_plain_http_is_told_to_write_https(void **state)
{
    world w;
    FH_AUTO(buf) fh_buf got = FH_BUF(10000);
    start(&w);
    ask(w.f.port, FH_STR("GET / HTTP/1.1\r\n" H "\r\n"), &got);
    assert_non_null(strstr(fh_buf_cstr(&got), "HTTP/1.1 400"));
    assert_non_null(strstr(fh_buf_cstr(&got), "https://"));
    assert_int_equal(atomic_load(&w.f.handled), 0);
    stop(&w);
}

static void test_large_bodies_pass_both_ways_through_a_slow_reader(void **state)
{
    world w;
    tls_client c;
    FH_AUTO(buf) fh_buf got = FH_BUF(sizeof big + 2000);
    static const char request[] = "GET /big HTTP/1.1\r\n" H "Connection: close\r\n\r\n";
    char head[128];
    for (size_t i = 0; i < sizeof big; i++) big[i] = (char)('a' + i % 23);
    start(&w);
    assert_true(connect_tls(&c, w.f.port, TLS1_3_VERSION, NULL));
    SSL_write(c.ssl, request, sizeof request - 1);
    fh_sleep_ns(100 * FH_NS_PER_MS);
    hear_tls(&c, &got);
    assert_true(got.len > sizeof big);
    assert_memory_equal(got.data + got.len - sizeof big, big, sizeof big);
    end_tls(&c);
    fh_buf_clear(&got);
    assert_true(connect_tls(&c, w.f.port, TLS1_2_VERSION, NULL));
    int n = snprintf(head, sizeof head, "POST / HTTP/1.1\r\n" H "Connection: close\r\nContent-Length: %zu\r\n\r\n", sizeof big);
    SSL_write(c.ssl, head, n);
    SSL_write(c.ssl, big, sizeof big);
    hear_tls(&c, &got);
    assert_true(got.len > sizeof big);
    assert_memory_equal(got.data + got.len - sizeof big, big, sizeof big);
    end_tls(&c);
    stop(&w);
}

static void test_a_handshake_that_does_not_come_ends_in_time(void **state)
{
    world w;
    start(&w);
    fh_http_server_limits l;
    fh_http_server_limits_get(w.f.server, &l);
    l.header_timeout_ns = 100 * FH_NS_PER_MS;
    fh_http_server_limits_set(w.f.server, &l);
    int fd = dial(w.f.port);
    FH_AUTO(buf) fh_buf got = FH_BUF(1000);
    say(fd, "\x16\x03\x01");
    assert_true(hear_all(fd, &got));
    assert_int_equal(got.len, 0);
    close(fd);
    stop(&w);
}

static void test_a_new_certificate_holds_for_new_connections_and_old_ones_go_on(void **state)
{
    world w;
    tls_client c;
    fh_tls *next = NULL;
    FH_AUTO(buf) fh_buf got = FH_BUF(1000);
    static const char request[] = "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n";
    start(&w);
    assert_int_equal(serial_of(w.f.port), 1);
    assert_true(connect_tls(&c, w.f.port, TLS1_3_VERSION, NULL));
    tls_files_write(&w.files, 2);
    assert_int_equal(fh_tls_new(&next, w.files.cert, w.files.key, NULL), 0);
    fh_http_server_tls(w.f.server, next);
    assert_int_equal(serial_of(w.f.port), 2);
    SSL_write(c.ssl, request, sizeof request - 1);
    hear_tls(&c, &got);
    assert_non_null(strstr(fh_buf_cstr(&got), "HTTP/1.1 200"));
    end_tls(&c);
    stop(&w);
}

static void refused(const char *cert, const char *key, const char *why)
{
    fh_tls *tls = NULL;
    fh_err *err = NULL;
    assert_int_equal(fh_tls_new(&tls, cert, key, &err), FH_E_INVALID);
    if (!strstr(fh_err_message(err), why)) fail_msg("%s", fh_err_message(err));
    fh_err_free(err);
}

static void test_files_that_do_not_fit_are_refused_with_the_reason(void **state)
{
    tls_files a, b;
    tls_files_make(&a);
    tls_files_make(&b);
    refused("/nonexistent/cert.pem", a.key, "/nonexistent/cert.pem");
    refused(a.key, a.key, "holds no certificate");
    refused(a.cert, "/nonexistent/key.pem", "/nonexistent/key.pem");
    refused(a.cert, a.cert, "cannot be used");
    refused(a.cert, b.key, "key values mismatch");
    tls_files_remove(&a);
    tls_files_remove(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_our_client_talks_to_it_and_checks_who_it_is),
        cmocka_unit_test(test_tls_1_2_and_1_3_are_spoken_with_pipelining_and_a_proper_end),
        cmocka_unit_test(test_older_versions_and_other_protocols_are_refused),
        cmocka_unit_test(test_plain_http_is_told_to_write_https),
        cmocka_unit_test(test_large_bodies_pass_both_ways_through_a_slow_reader),
        cmocka_unit_test(test_a_handshake_that_does_not_come_ends_in_time),
        cmocka_unit_test(test_a_new_certificate_holds_for_new_connections_and_old_ones_go_on),
        cmocka_unit_test(test_files_that_do_not_fit_are_refused_with_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
