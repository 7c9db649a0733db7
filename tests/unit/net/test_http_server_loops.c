/* Servers of several loops that act as one: connections that move, counts and certificates that are shared. */
#include "server_fixture.h"
#include "net/listen.h"
#include "tls_files.h"
#include <openssl/ssl.h>

#define H "Host: a.example\r\n"
enum { CLIENTS = 8, ROUNDS = 40 };

typedef struct world {
    fixture home, edge; /* home is no listener of its own */
    atomic_int on_home, on_edge;
} world;

static world w;

/* /home is answered at home, everything else where it came in. */
static void handle(fh_http_req *req, void *ctx)
{
    bool home = fh_str_starts(fh_http_req_path(req), FH_STR("/home"));
    if (!fh_http_req_run_on(req, home ? w.home.server : NULL)) return;
    if ((fh_http_req_loop(req) == w.home.loop) != home) abort();
    atomic_fetch_add(home ? &w.on_home : &w.on_edge, 1);
    fh_str body = fh_http_req_body(req);
    fh_http_reply(req, 200, "text/plain", body.len ? body.ptr : "ok", body.len ? body.len : 2);
}

static void start(fh_tls *tls, const fh_http_server_limits *limits)
{
    w = (world){0};
    assert_int_equal(fh_loop_new(&w.home.loop, NULL), 0);
    assert_int_equal(fh_http_server_new(&w.home.server, w.home.loop, handle, NULL, NULL), 0);
    if (limits) fh_http_server_limits_set(w.home.server, limits);
    if (tls) fh_http_server_tls(w.home.server, tls);
    assert_int_equal(fh_loop_new(&w.edge.loop, NULL), 0);
    assert_int_equal(fh_http_server_new_beside(&w.edge.server, w.home.server, w.edge.loop, NULL), 0);
    int fd = fh_listen_open("127.0.0.1:0", FH_LISTEN_ALONE, NULL);
    w.edge.port = fh_listen_port(fd);
    assert_int_equal(fh_http_server_accept_from(w.edge.server, fd, NULL), 0);
    pthread_create(&w.home.thread, NULL, run_fixture, &w.home);
    pthread_create(&w.edge.thread, NULL, run_fixture, &w.edge);
}

static void stop(void)
{
    fh_loop_stop(w.edge.loop);
    pthread_join(w.edge.thread, NULL);
    fh_loop_stop(w.home.loop);
    pthread_join(w.home.thread, NULL);
    fh_http_server_free(w.edge.server);
    fh_http_server_free(w.home.server);
    fh_loop_free(w.edge.loop);
    fh_loop_free(w.home.loop);
}

static void test_a_connection_goes_where_its_requests_want_and_back(void **state)
{
    FH_AUTO(buf) fh_buf got = FH_BUF(100000);
    start(NULL, NULL);
    ask(w.edge.port,
        FH_STR("GET /home HTTP/1.1\r\n" H "\r\nPOST /home HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello"
               "GET /edge HTTP/1.1\r\n" H "\r\nGET /home HTTP/1.1\r\n" H "\r\nGET /edge HTTP/1.1\r\n" H "Connection: close\r\n\r\n"),
        &got);
    assert_int_equal(count_of(fh_buf_cstr(&got), "HTTP/1.1 200"), 5);
    assert_int_equal(count_of(fh_buf_cstr(&got), "hello"), 1);
    assert_int_equal(atomic_load(&w.on_home), 3);
    assert_int_equal(atomic_load(&w.on_edge), 2);
    stop();
}

static void hear_replies(int fd, fh_buf *got, int count)
{
    char piece[4096];
    while (count_of(fh_buf_cstr(got), "HTTP/1.1 200") < count) {
        ssize_t n = recv(fd, piece, sizeof piece, 0);
        if (n <= 0) abort();
        fh_buf_add(got, piece, (size_t)n);
    }
}

static void *client(void *arg)
{
    FH_AUTO(buf) fh_buf got = FH_BUF(1 << 20);
    int fd = dial(w.edge.port);
    for (int i = 1; i <= ROUNDS; i++) {
        say(fd, "GET /home HTTP/1.1\r\n" H "\r\nGET /edge HTTP/1.1\r\n" H "\r\n");
        hear_replies(fd, &got, 2 * i);
    }
    close(fd);
    return NULL;
}

static void test_many_connections_move_at_once(void **state)
{
    pthread_t threads[CLIENTS];
    start(NULL, NULL);
    for (int i = 0; i < CLIENTS; i++) pthread_create(&threads[i], NULL, client, NULL);
    for (int i = 0; i < CLIENTS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&w.on_home), CLIENTS * ROUNDS);
    assert_int_equal(atomic_load(&w.on_edge), CLIENTS * ROUNDS);
    for (int i = 0; i < 2000 && fh_http_server_connections(w.home.server); i++) fh_sleep_ns(FH_NS_PER_MS);
    assert_int_equal(fh_http_server_connections(w.home.server), 0);
    stop();
}

static void test_tls_moves_along(void **state)
{
    tls_files files;
    fh_tls *tls = NULL;
    char got[4096] = "";
    size_t len = 0;
    static const char both[] = "GET /home HTTP/1.1\r\n" H "\r\nGET /edge HTTP/1.1\r\n" H "Connection: close\r\n\r\n";
    tls_files_make(&files);
    assert_int_equal(fh_tls_new(&tls, files.cert, files.key, NULL), 0);
    start(tls, NULL);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(context);
    int fd = dial(w.edge.port);
    SSL_set_fd(ssl, fd);
    assert_int_equal(SSL_connect(ssl), 1);
    SSL_write(ssl, both, sizeof both - 1);
    for (int n; (n = SSL_read(ssl, got + len, (int)(sizeof got - 1 - len))) > 0;) len += (size_t)n;
    got[len] = '\0';
    assert_int_equal(count_of(got, "HTTP/1.1 200"), 2);
    SSL_free(ssl);
    SSL_CTX_free(context);
    close(fd);
    stop();
    tls_files_remove(&files);
}

/* Nobody runs the home loop: the connection is on its way for ever. */
static void test_a_connection_that_never_arrives_is_closed_in_the_end(void **state)
{
    start(NULL, NULL);
    fh_loop_stop(w.home.loop);
    pthread_join(w.home.thread, NULL);
    int fd = dial(w.edge.port);
    say(fd, "GET /home HTTP/1.1\r\n" H "\r\n");
    fh_sleep_ns(50 * FH_NS_PER_MS);
    fh_loop_stop(w.edge.loop);
    pthread_join(w.edge.thread, NULL);
    fh_http_server_free(w.edge.server);
    fh_http_server_free(w.home.server);
    fh_loop_free(w.edge.loop);
    fh_loop_free(w.home.loop);
    char byte;
    assert_true(recv(fd, &byte, 1, 0) <= 0);
    close(fd);
}

static void test_sockets_from_outside_are_checked(void **state)
{
    char address[64];
    int pair[2], fd = fh_listen_open("[::1]:0", FH_LISTEN_SHARED, NULL);
    assert_true(fd >= 0);
    assert_int_equal(fh_listen_adopt(fd, address, sizeof address, NULL), 0);
    char wanted[64];
    snprintf(wanted, sizeof wanted, "[::1]:%d", fh_listen_port(fd));
    assert_string_equal(address, wanted);
    close(fd);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(fh_listen_adopt(pair[0], address, sizeof address, NULL), FH_E_INVALID);
    close(pair[0]);
    close(pair[1]);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(fh_listen_adopt(fd, address, sizeof address, NULL), FH_E_INVALID);
    close(fd);
    assert_int_equal(fh_listen_adopt(1000, address, sizeof address, NULL), FH_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_connection_goes_where_its_requests_want_and_back),
        cmocka_unit_test(test_many_connections_move_at_once),
        cmocka_unit_test(test_tls_moves_along),
        cmocka_unit_test(test_a_connection_that_never_arrives_is_closed_in_the_end),
        cmocka_unit_test(test_sockets_from_outside_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
