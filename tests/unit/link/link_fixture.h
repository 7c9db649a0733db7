/* Both ends of a link on a loop of their own thread, and between them, where a test wants it, a wire that can be frozen and cut. */
#ifndef FH_TEST_LINK_FIXTURE_H
#define FH_TEST_LINK_FIXTURE_H

#include "base/clock.h"
#include "base/limits.h"
#include "link/link.h"
#include "link_certs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

enum { PATIENCE_MS = 60000, FAR_MAX = 128 };

/* ---- the wire ---- */

typedef struct wire {
    int listening, port, to_port;
    pthread_t thread;
    atomic_bool frozen, cut, over;
    atomic_int carried;
} wire;

static inline int connect_to(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((in_port_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static inline bool carry(int from, int to)
{
    char piece[65536];
    ssize_t n = recv(from, piece, sizeof piece, MSG_DONTWAIT);
    for (ssize_t at = 0, sent; at < n; at += sent) {
        sent = send(to, piece + at, (size_t)(n - at), MSG_NOSIGNAL);
        if (sent <= 0) return false;
    }
    return n > 0 || (n < 0 && errno == EAGAIN);
}

static inline void carry_one(wire *w, int a)
{
    int b = connect_to(w->to_port);
    atomic_fetch_add(&w->carried, 1);
    while (!atomic_load(&w->over) && !atomic_load(&w->cut)) {
        struct pollfd p[] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};
        if (atomic_load(&w->frozen)) {
            fh_sleep_ns(FH_NS_PER_MS);
            continue;
        }
        poll(p, 2, 5);
        if (!carry(a, b) || !carry(b, a)) break;
    }
    while (atomic_load(&w->frozen) && !atomic_load(&w->over)) fh_sleep_ns(FH_NS_PER_MS); /* the end is not told either */
    struct linger reset = {.l_onoff = 1};
    if (atomic_load(&w->cut))
        setsockopt(a, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), setsockopt(b, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    atomic_store(&w->cut, false);
    close(a);
    close(b);
}

static inline void *run_wire(void *arg)
{
    wire *w = arg;
    while (!atomic_load(&w->over)) {
        struct pollfd p = {.fd = w->listening, .events = POLLIN};
        if (poll(&p, 1, 5) <= 0) continue;
        int a = accept4(w->listening, NULL, NULL, SOCK_CLOEXEC);
        if (a >= 0) carry_one(w, a);
    }
    return NULL;
}

static inline void wire_start(wire *w, int to_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    w->to_port = to_port;
    w->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(w->listening, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(w->listening, 16), 0);
    getsockname(w->listening, (struct sockaddr *)&a, &len);
    w->port = ntohs(a.sin_port);
    pthread_create(&w->thread, NULL, run_wire, w);
}

static inline void wire_stop(wire *w)
{
    if (!w->to_port) return;
    atomic_store(&w->over, true);
    pthread_join(w->thread, NULL);
    close(w->listening);
}

/* ---- the world ---- */

typedef struct world {
    link_certs certs;
    fh_loop *loop;
    pthread_t thread;
    fh_link_listener *listener;
    fh_link_dial *dial;
    wire wire;
    int port;
    fh_link_times times;
    /* what the ends saw */
    _Atomic(fh_link *) link, far_link;
    atomic_int ups, gones, gone_code, far_ups, far_gones, far_gone_code, failures, failed_code, admits;
    atomic_bool refuse;
    char why[256];     /* of the dialling end's last failure or loss; read once its counter has moved */
    fh_link_peer peer; /* of the last admit */
    /* what the dialling end was asked; handlers of tests */
    atomic_int requests, heads, tunnels, reqs_gone;
    void (*on_head)(struct world *w, fh_link_req *r);
    void (*on_request)(struct world *w, fh_link_req *r);
    void (*on_tunnel)(struct world *w, fh_link_req *r);
    fh_link_req *parked;
    atomic_int far_count;
    int far[FAR_MAX]; /* the far ends of tunnels, in the order that they were joined */
} world;

static inline void *run_world(void *arg)
{
    world *w = arg;
    if (fh_loop_run(w->loop, NULL) < 0) abort();
    return NULL;
}

typedef struct posted {
    void (*fn)(world *w, void *arg);
    world *w;
    void *arg;
    atomic_bool done;
} posted;

static inline void run_posted(void *arg)
{
    posted *p = arg;
    p->fn(p->w, p->arg);
    atomic_store(&p->done, true);
}

/* Runs fn on the loop and waits for it. */
static inline void on_loop(world *w, void (*fn)(world *w, void *arg), void *arg)
{
    posted p = {.fn = fn, .w = w, .arg = arg};
    assert_true(fh_loop_post(w->loop, run_posted, &p));
    while (!atomic_load(&p.done)) fh_sleep_ns(FH_NS_PER_MS / 10);
}

static inline void reach(atomic_int *value, int wanted)
{
    for (int i = 0; i < PATIENCE_MS && atomic_load(value) < wanted; i++) fh_sleep_ns(FH_NS_PER_MS);
    if (atomic_load(value) < wanted) fail_msg("%d, not %d", atomic_load(value), wanted);
}

static inline void count_streams(world *w, void *arg)
{
    size_t *sum = arg;
    *sum = fh_link_streams(atomic_load(&w->link)) + fh_link_streams(atomic_load(&w->far_link));
}

/* Until neither end has a stream left. */
static inline void no_streams(world *w)
{
    size_t sum = 1;
    for (int i = 0; i < PATIENCE_MS && sum; i++) {
        on_loop(w, count_streams, &sum);
        fh_sleep_ns(FH_NS_PER_MS);
    }
    assert_int_equal(sum, 0);
}

/* ---- callbacks ---- */

static inline bool admit(void *arg, const fh_link_peer *peer, fh_err **why)
{
    world *w = arg;
    w->peer = *peer;
    atomic_fetch_add(&w->admits, 1);
    return !atomic_load(&w->refuse) || (fh_err_set(why, FH_E_FORBIDDEN, "node %s is revoked", peer->name), false);
}

static inline void link_up(void *arg, fh_link *l)
{
    world *w = arg;
    atomic_store(&w->link, l);
    atomic_fetch_add(&w->ups, 1);
}

static inline void link_gone(void *arg, fh_link *l, const fh_err *why)
{
    world *w = arg;
    atomic_store(&w->link, NULL);
    atomic_store(&w->gone_code, fh_err_code(why));
    atomic_fetch_add(&w->gones, 1);
}

static inline void far_up(void *arg, fh_link *l)
{
    world *w = arg;
    atomic_store(&w->far_link, l);
    atomic_fetch_add(&w->far_ups, 1);
}

static inline void far_gone(void *arg, fh_link *l, const fh_err *why)
{
    world *w = arg;
    atomic_store(&w->far_link, NULL);
    snprintf(w->why, sizeof w->why, "%s", fh_err_message(why));
    atomic_store(&w->far_gone_code, fh_err_code(why));
    atomic_fetch_add(&w->far_gones, 1);
}

static inline void far_failed(void *arg, const fh_err *why, int64_t again_ns)
{
    world *w = arg;
    snprintf(w->why, sizeof w->why, "%s", fh_err_message(why));
    atomic_store(&w->failed_code, fh_err_code(why));
    atomic_fetch_add(&w->failures, 1);
}

static inline void far_head(void *arg, fh_link_req *r)
{
    world *w = arg;
    atomic_fetch_add(&w->heads, 1);
    if (w->on_head) w->on_head(w, r);
}

static inline void far_request(void *arg, fh_link_req *r)
{
    world *w = arg;
    atomic_fetch_add(&w->requests, 1);
    w->on_request(w, r);
}

/* "pair" joins one end of a socket pair and keeps the other; anything else is refused. */
static inline void join_pair(world *w, fh_link_req *r)
{
    int fds[2], at = atomic_load(&w->far_count);
    if (!fh_str_eqs(fh_link_req_authority(r), "pair") || at >= FAR_MAX) {
        fh_link_reply(r, 404, NULL, NULL, 0);
        return;
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    w->far[at] = fds[1];
    fh_link_join(r, fds[0]);
    atomic_fetch_add(&w->far_count, 1);
}

static inline void far_tunnel(void *arg, fh_link_req *r)
{
    world *w = arg;
    atomic_fetch_add(&w->tunnels, 1);
    (w->on_tunnel ? w->on_tunnel : join_pair)(w, r);
}

/* ---- beginning and end ---- */

static inline void listen_on(world *w, void *arg)
{
    fh_link_listen_config c = {.address = arg ? arg : "127.0.0.1:0",
                               .cert_file = w->certs.server.cert,
                               .key_file = w->certs.server.key,
                               .ca_file = w->certs.ca,
                               .admit = admit,
                               .on_up = link_up,
                               .on_gone = link_gone,
                               .arg = w,
                               .times = w->times};
    fh_err *err = NULL;
    if (fh_link_listen(&w->listener, w->loop, &c, &err) < 0) fail_msg("%s", fh_err_message(err));
    w->port = fh_link_listener_port(w->listener);
}

typedef struct dialled {
    const char *cert; /* NULL: none */
    bool other_pin, over_wire;
} dialled;

static inline void dial_it(world *w, void *arg)
{
    const dialled *d = arg;
    fh_link_digest pin;
    fh_err *err = NULL;
    assert_int_equal(fh_link_digest_of_file(&pin, d->other_pin ? w->certs.other.cert : w->certs.server.cert, NULL), 0);
    fh_link_dial_config c = {.host = "127.0.0.1",
                             .port = d->over_wire ? w->wire.port : w->port,
                             .pins = &pin,
                             .pin_count = 1,
                             .cert_file = d->cert,
                             .key_file = d->cert ? w->certs.node_key : NULL,
                             .on_up = far_up,
                             .on_gone = far_gone,
                             .on_failed = far_failed,
                             .on_head = far_head,
                             .on_request = far_request,
                             .on_tunnel = far_tunnel,
                             .arg = w,
                             .times = w->times};
    if (fh_link_dial_new(&w->dial, w->loop, &c, &err) < 0) fail_msg("%s", fh_err_message(err));
}

/* The listener, on a thread; the caller sets times and handlers before. */
static inline void begin(world *w)
{
    link_certs_new(&w->certs);
    if (!w->times.backoff_min_ns) w->times.backoff_min_ns = 20 * FH_NS_PER_MS;
    if (!w->times.backoff_max_ns) w->times.backoff_max_ns = 100 * FH_NS_PER_MS;
    assert_int_equal(fh_loop_new(&w->loop, NULL), 0);
    listen_on(w, NULL);
    pthread_create(&w->thread, NULL, run_world, w);
}

static inline void begin_linked(world *w, bool over_wire)
{
    begin(w);
    if (over_wire) wire_start(&w->wire, w->port);
    on_loop(w, dial_it, &(dialled){.cert = w->certs.node, .over_wire = over_wire});
    reach(&w->ups, 1);
    reach(&w->far_ups, 1);
}

static inline void free_dial(world *w, void *arg)
{
    fh_link_dial_free(w->dial);
    w->dial = NULL;
}

static inline void free_listener(world *w, void *arg)
{
    fh_link_listener_free(w->listener);
    w->listener = NULL;
}

static inline void stop_loop(world *w, void *arg)
{
    fh_loop_stop(w->loop);
}

static inline void finish(world *w)
{
    on_loop(w, free_dial, NULL);
    on_loop(w, free_listener, NULL);
    fh_loop_stop(w->loop);
    pthread_join(w->thread, NULL);
    fh_loop_free(w->loop);
    wire_stop(&w->wire);
    for (int i = 0; i < atomic_load(&w->far_count); i++) close(w->far[i]);
    link_certs_remove(&w->certs);
    assert_int_equal(atomic_load(&w->ups), atomic_load(&w->gones)); /* each link that was up is told of once */
    assert_int_equal(atomic_load(&w->far_ups), atomic_load(&w->far_gones));
}

#endif
