/* Clients that do everything at any moment: vanish, half-close, reset, pipeline, read slowly, send rubbish; handlers that answer at once,
 * later, in pieces, or break off. What must hold: every request that reached a handler ends exactly once, by its reply or by on_gone, and
 * nothing is left. Sanitizers see the rest. */
#include "server_fixture.h"

#define H "Host: a.example\r\n"
enum { CLIENTS = 3, SECONDS = 2 };

static atomic_int begun, ended;

/* Handlers. */

typedef struct work {
    fh_http_req *req;
    fh_timer *timer;
    unsigned seed;
    int pieces; /* left; 0: a whole reply */
    bool streams, paused;
} work;

static char filler[40000];

static void end_work(work *w)
{
    fh_timer_free(w->timer);
    fh_free(w);
    atomic_fetch_add(&ended, 1);
}

static void gone(void *arg)
{
    end_work(arg);
}

static void drained(void *arg)
{
    work *w = arg;
    w->paused = false;
    fh_timer_start(w->timer, 0);
}

static void next_piece(work *w)
{
    if (w->pieces-- > 0) {
        w->paused = !fh_http_reply_write(w->req, filler, (size_t)rand_r(&w->seed) % sizeof filler);
        if (!w->paused) fh_timer_start(w->timer, (rand_r(&w->seed) % 3) * FH_NS_PER_MS);
        return;
    }
    if (rand_r(&w->seed) % 5 == 0)
        fh_http_reply_abort(w->req);
    else
        fh_http_reply_end(w->req);
    end_work(w);
}

static void act(void *arg)
{
    work *w = arg;
    if (w->streams) {
        next_piece(w);
        return;
    }
    fh_http_reply(w->req, 200, "text/plain", filler, (size_t)rand_r(&w->seed) % sizeof filler);
    end_work(w);
}

static void handle(fh_http_req *req, void *ctx)
{
    work *w = fh_calloc(1, sizeof *w);
    atomic_fetch_add(&begun, 1);
    w->req = req;
    w->seed = (unsigned)atomic_load(&begun);
    fh_timer_new(&w->timer, fh_http_req_loop(req), act, w, NULL);
    fh_http_req_on_gone(req, gone, w);
    switch (rand_r(&w->seed) % 4) {
    case 0: act(w); break;
    case 1: fh_timer_start(w->timer, (rand_r(&w->seed) % 4) * FH_NS_PER_MS); break;
    case 2:
        w->streams = true;
        w->pieces = rand_r(&w->seed) % 20;
        fh_http_reply_on_drain(req, drained, w);
        fh_http_reply_start(req, 200, "text/plain");
        act(w);
        break;
    default: fh_http_reply_abort(req); end_work(w);
    }
}

/* Clients. */

static void misbehave(int fd, unsigned *seed)
{
    static const char *const said[] = {"GET / HTTP/1.1\r\n" H "\r\n",
                                       "HEAD / HTTP/1.1\r\n" H "\r\n",
                                       "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello",
                                       "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
                                       "GET / HTTP/1.0\r\n\r\n",
                                       "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n",
                                       "GET / HT",
                                       "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhe",
                                       "\x01\x02",
                                       "OPTIONS * HTTP/1.1\r\n" H "\r\n"};
    char heard[20000];
    for (int steps = rand_r(seed) % 12; steps >= 0; steps--) {
        switch (rand_r(seed) % 8) {
        case 0:
        case 1:
        case 2: say(fd, said[(size_t)rand_r(seed) % FH_COUNT(said)]); break;
        case 3: say(fd, said[0]); break;
        case 4: fh_sleep_ns((rand_r(seed) % 3) * FH_NS_PER_MS); break;
        case 5:
            if (rand_r(seed) % 4 == 0) shutdown(fd, SHUT_WR);
            break;
        default:
            if (recv(fd, heard, (size_t)rand_r(seed) % sizeof heard, MSG_DONTWAIT) == 0) steps = 0;
        }
    }
}

typedef struct client {
    fixture *f;
    unsigned seed;
} client;

static void *run_client(void *arg)
{
    client *c = arg;
    int64_t until = fh_clock_mono_ns() + SECONDS * FH_NS_PER_S;
    while (fh_clock_mono_ns() < until) {
        struct linger hard = {.l_onoff = 1};
        int fd = dial(c->f->port), small = 4096;
        if (rand_r(&c->seed) % 3 == 0) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        misbehave(fd, &c->seed);
        if (rand_r(&c->seed) % 3 == 0) setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        close(fd);
    }
    return NULL;
}

static void every_request_ends_exactly_once_whatever_the_clients_do(void **state)
{
    fixture f = {0};
    pthread_t threads[CLIENTS];
    client clients[CLIENTS];
    fh_http_server_limits l = {.header_timeout_ns = 50 * FH_NS_PER_MS,
                               .body_timeout_ns = 50 * FH_NS_PER_MS,
                               .idle_timeout_ns = 50 * FH_NS_PER_MS,
                               .write_timeout_ns = 50 * FH_NS_PER_MS,
                               .linger_ns = 20 * FH_NS_PER_MS,
                               .connections = 50,
                               .out_buffer_bytes = 65536,
                               .bodies_bytes = 1 << 20};
    fh_http_limits_default(&l.reader);
    fixture_start(&f, handle, &l, "127.0.0.1:0");
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (client){&f, (unsigned)i + 1};
        pthread_create(&threads[i], NULL, run_client, &clients[i]);
    }
    for (int i = 0; i < CLIENTS; i++) pthread_join(threads[i], NULL);
    fixture_stop(&f);
    assert_true(atomic_load(&begun) > 100);
    assert_int_equal(atomic_load(&begun), atomic_load(&ended));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_ends_exactly_once_whatever_the_clients_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
