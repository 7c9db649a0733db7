/* Peers that do not keep to the protocol, or keep to it to do harm: the other end ends the link, stays within its bounds, and lets the
 * next one in. The hostile peer is OpenSSL and bytes made here. */
#include "private.h"

#include "link_fixture.h"
#include <signal.h>

typedef struct rogue {
    SSL_CTX *context;
    SSL *ssl;
    int fd;
} rogue;

static void rogue_shake(rogue *r, const world *w, int fd, bool dials)
{
    struct timeval patience = {.tv_sec = 20};
    r->fd = fd;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    r->context = SSL_CTX_new(dials ? TLS_client_method() : TLS_server_method());
    SSL_CTX_use_certificate_file(r->context, dials ? w->certs.node : w->certs.server.cert, SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(r->context, dials ? w->certs.node_key : w->certs.server.key, SSL_FILETYPE_PEM);
    r->ssl = SSL_new(r->context);
    if (dials) SSL_set_alpn_protos(r->ssl, (const unsigned char *)"\x02h2", 3);
    SSL_set_fd(r->ssl, fd);
    assert_int_equal(dials ? SSL_connect(r->ssl) : SSL_accept(r->ssl), 1);
}

static void rogue_end(rogue *r)
{
    SSL_free(r->ssl);
    SSL_CTX_free(r->context);
    close(r->fd);
}

/* False once the other end has gone. */
static bool rogue_say(rogue *r, const void *data, size_t bytes)
{
    return SSL_write(r->ssl, data, (int)bytes) > 0;
}

static void rogue_hear_end(rogue *r)
{
    char piece[16384];
    while (SSL_read(r->ssl, piece, sizeof piece) > 0) {
    }
}

static size_t frame(unsigned char *out, unsigned type, unsigned flags, unsigned id, const void *payload, size_t bytes)
{
    const unsigned char head[9] = {(unsigned char)(bytes >> 16), (unsigned char)(bytes >> 8), (unsigned char)bytes,
                                   (unsigned char)type,          (unsigned char)flags,        (unsigned char)(id >> 24),
                                   (unsigned char)(id >> 16),    (unsigned char)(id >> 8),    (unsigned char)id};
    memcpy(out, head, sizeof head);
    if (bytes) memcpy(out + sizeof head, payload, bytes);
    return sizeof head + bytes;
}

static uint32_t random_state;

static uint32_t rnd(uint32_t below)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % below;
}

/* The beginning that is in order: SETTINGS, and the acknowledgement of the other end's. */
static void say_beginning(rogue *r, bool magic)
{
    unsigned char out[64];
    SSL_read(r->ssl, out, sizeof out); /* it has said its own: before, there is nothing to acknowledge */
    if (magic) rogue_say(r, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    rogue_say(r, out, frame(out, NGHTTP2_SETTINGS, 0, 0, NULL, 0));
    rogue_say(r, out, frame(out, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0));
}

static void say_random_frames(rogue *r)
{
    unsigned char payload[600], out[700];
    for (int i = 0; i < 300; i++) {
        size_t bytes = rnd(2) ? rnd(9) : rnd(sizeof payload);
        for (size_t k = 0; k < bytes; k++) payload[k] = (unsigned char)rnd(256);
        if (!rogue_say(r, out, frame(out, rnd(12), rnd(3) ? rnd(256) & 0x2d : 0, rnd(3) ? rnd(12) : 0, payload, bytes))) return;
    }
}

/* ---- rogue nodes ---- */

static void in_order_again(world *w)
{
    int before = atomic_load(&w->ups);
    on_loop(w, dial_it, &(dialled){.cert = w->certs.node});
    reach(&w->ups, before + 1);
    finish(w);
}

static void test_nodes_that_send_random_frames_are_dropped(void **state)
{
    world w = {0};
    begin(&w);
    for (int round = 0; round < 60; round++) {
        rogue r;
        random_state = (uint32_t)round;
        rogue_shake(&r, &w, connect_to(w.port), true);
        if (round % 4) say_beginning(&r, false);
        say_random_frames(&r);
        rogue_end(&r);
    }
    for (int i = 0; i < PATIENCE_MS && atomic_load(&w.gones) < atomic_load(&w.ups); i++) fh_sleep_ns(FH_NS_PER_MS);
    in_order_again(&w);
}

/* A stream of data that nobody asked for, beyond every window. */
static void test_a_node_that_floods_ends_its_link(void **state)
{
    static unsigned char nothing[16384], out[16400];
    world w = {0};
    rogue r;
    begin(&w);
    rogue_shake(&r, &w, connect_to(w.port), true);
    say_beginning(&r, false);
    reach(&w.ups, 1);
    size_t n = frame(out, NGHTTP2_DATA, 0, 1, nothing, sizeof nothing);
    for (int i = 0; i < 10000 && rogue_say(&r, out, n); i++) {
    }
    reach(&w.gones, 1);
    rogue_end(&r);
    in_order_again(&w);
}

/* PINGs whose answers are not read: what is owed for them is bounded, and then the link ends. */
static void test_a_node_that_asks_and_never_listens_ends_its_link(void **state)
{
    static unsigned char out[800 * 17];
    world w = {.times = {.silence_ns = 500 * FH_NS_PER_MS}};
    size_t n = 0;
    rogue r;
    begin(&w);
    rogue_shake(&r, &w, connect_to(w.port), true);
    say_beginning(&r, false);
    reach(&w.ups, 1);
    struct timeval patience = {.tv_usec = 100000};
    setsockopt(r.fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    while (n < sizeof out) n += frame(out + n, NGHTTP2_PING, 0, 0, "12345678", 8);
    for (int i = 0; i < 100000 && !atomic_load(&w.gones); i++) {
        if (!rogue_say(&r, out, n)) break;
    }
    reach(&w.gones, 1);
    rogue_end(&r);
    in_order_again(&w);
}

/* ---- a rogue server ---- */

static void nothing_to_say(world *w, fh_link_req *r)
{
    fh_link_reply(r, 200, NULL, NULL, 0);
}

static int listen_rogue(int *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 16), 0);
    getsockname(fd, (struct sockaddr *)&a, &len);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

static void test_servers_that_send_random_frames_are_left_and_dialled_again(void **state)
{
    world w = {.on_request = nothing_to_say};
    int port = 0, listening = listen_rogue(&port);
    begin(&w);
    w.port = port;
    on_loop(&w, dial_it, &(dialled){.cert = w.certs.node});
    for (int round = 0; round < 40; round++) {
        rogue r;
        random_state = (uint32_t)round + 1000;
        rogue_shake(&r, &w, accept4(listening, NULL, NULL, SOCK_CLOEXEC), false);
        if (round % 4) say_beginning(&r, true);
        say_random_frames(&r);
        rogue_end(&r);
    }
    close(listening);
    finish(&w);
}

/* A head of a request without end: the stream ends at its bound, and the node goes on. */
static void test_a_server_whose_heads_are_too_large_gets_no_further(void **state)
{
    world w = {.on_request = nothing_to_say};
    int port = 0, listening = listen_rogue(&port);
    nghttp2_hd_deflater *deflater = NULL;
    static char value[1000];
    static uint8_t block[60000], out[60100];
    memset(value, '~', sizeof value);
    nghttp2_nv nv[60];
    for (size_t i = 0; i < FH_COUNT(nv); i++)
        nv[i] = (nghttp2_nv){(uint8_t *)"x-a", (uint8_t *)value, 3, sizeof value, NGHTTP2_NV_FLAG_NO_INDEX};
    nv[0] = (nghttp2_nv){(uint8_t *)":method", (uint8_t *)"GET", 7, 3, 0};
    nv[1] = (nghttp2_nv){(uint8_t *)":scheme", (uint8_t *)"https", 7, 5, 0};
    nv[2] = (nghttp2_nv){(uint8_t *)":path", (uint8_t *)"/", 5, 1, 0};
    nv[3] = (nghttp2_nv){(uint8_t *)":authority", (uint8_t *)"node", 10, 4, 0};
    begin(&w);
    w.port = port;
    on_loop(&w, dial_it, &(dialled){.cert = w.certs.node});
    rogue r;
    rogue_shake(&r, &w, accept4(listening, NULL, NULL, SOCK_CLOEXEC), false);
    say_beginning(&r, true);
    assert_int_equal(nghttp2_hd_deflate_new(&deflater, 4096), 0);
    ssize_t n = nghttp2_hd_deflate_hd(deflater, block, 16000, nv, 12);
    assert_true(n > 0);
    for (unsigned id = 1; id < 21; id += 2) { /* in bounds */
        rogue_say(&r, out, frame(out, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, id, block, (size_t)n));
    }
    reach(&w.requests, 10);
    n = nghttp2_hd_deflate_hd(deflater, block, sizeof block, nv, FH_COUNT(nv));
    assert_true(n > 16384);
    rogue_say(&r, out, frame(out, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 21, block, 16000));
    size_t len = frame(out, NGHTTP2_CONTINUATION, 0, 21, block + 16000, 16000);
    rogue_say(&r, out, len);
    rogue_say(&r, out, frame(out, NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, 21, block + 32000, (size_t)n - 32000));
    n = nghttp2_hd_deflate_hd(deflater, block, 16000, nv, 4);
    rogue_say(&r, out, frame(out, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 23, block, (size_t)n));
    reach(&w.requests, 11);
    assert_int_equal(atomic_load(&w.heads), 11);
    nghttp2_hd_deflate_del(deflater);
    shutdown(r.fd, SHUT_WR);
    rogue_hear_end(&r);
    rogue_end(&r);
    close(listening);
    finish(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nodes_that_send_random_frames_are_dropped),
        cmocka_unit_test(test_a_node_that_floods_ends_its_link),
        cmocka_unit_test(test_a_node_that_asks_and_never_listens_ends_its_link),
        cmocka_unit_test(test_servers_that_send_random_frames_are_left_and_dialled_again),
        cmocka_unit_test(test_a_server_whose_heads_are_too_large_gets_no_further),
    };
    signal(SIGPIPE, SIG_IGN); /* OpenSSL's own socket writes */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
