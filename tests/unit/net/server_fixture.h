/* A server on a thread of its own, and a plain blocking client that sends bytes as they are given. */
#ifndef FH_TEST_SERVER_FIXTURE_H
#define FH_TEST_SERVER_FIXTURE_H

#include "base/clock.h"
#include "cmocka_all.h"
#include "net/http_server.h"
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

typedef struct fixture {
    fh_loop *loop;
    fh_http_server *server;
    pthread_t thread;
    int port;
    atomic_int handled, gone, drained, waiting;
    atomic_size_t made; /* bytes that a source has written */
    fh_http_req *parked;
    fh_timer *timer;
} fixture;

static inline void *run_fixture(void *arg)
{
    fixture *f = arg;
    if (fh_loop_run(f->loop, NULL) < 0) abort();
    return NULL;
}

static inline void fixture_start(fixture *f, fh_http_handler *handler, const fh_http_server_limits *limits, const char *address)
{
    fh_err *err = NULL;
    assert_int_equal(fh_loop_new(&f->loop, NULL), 0);
    assert_int_equal(fh_http_server_new(&f->server, f->loop, handler, f, NULL), 0);
    if (limits) fh_http_server_limits_set(f->server, limits);
    if (fh_http_server_listen(f->server, address, false, &err) < 0) fail_msg("%s", fh_err_message(err));
    f->port = fh_http_server_port(f->server);
    pthread_create(&f->thread, NULL, run_fixture, f);
}

static inline void end_fixture(void *arg)
{
    fixture *f = arg;
    fh_http_server_free(f->server);
    fh_timer_free(f->timer);
    fh_loop_stop(f->loop);
}

static inline void fixture_stop(fixture *f)
{
    fh_loop_post(f->loop, end_fixture, f);
    pthread_join(f->thread, NULL);
    fh_loop_free(f->loop);
}

/* Runs fn on the loop and waits for it. */
typedef struct called {
    void (*fn)(fixture *f);
    fixture *f;
    atomic_bool done;
} called;

static inline void call_it(void *arg)
{
    called *c = arg;
    c->fn(c->f);
    atomic_store(&c->done, true);
}

static inline void fixture_call(fixture *f, void (*fn)(fixture *f))
{
    called c = {.fn = fn, .f = f};
    fh_loop_post(f->loop, call_it, &c);
    while (!atomic_load(&c.done)) fh_sleep_ns(FH_NS_PER_MS);
}

static inline bool wait_for(atomic_int *value, int wanted)
{
    for (int i = 0; i < 5000 && atomic_load(value) < wanted; i++) fh_sleep_ns(FH_NS_PER_MS);
    return atomic_load(value) >= wanted;
}

/* The client. */

static inline int dial(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_sec = 20};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static inline void say_bytes(int fd, fh_str s)
{
    while (s.len) {
        ssize_t n = send(fd, s.ptr, s.len, MSG_NOSIGNAL);
        if (n <= 0) return; /* the server may have closed: what it said is what counts */
        s = (fh_str){s.ptr + n, s.len - (size_t)n};
    }
}

static inline void say(int fd, const char *s)
{
    say_bytes(fd, fh_str_of(s));
}

/* All that comes until the server closes; false when it does not. */
static inline bool hear_all(int fd, fh_buf *out)
{
    char piece[65536];
    for (;;) {
        ssize_t n = recv(fd, piece, sizeof piece, 0);
        if (n <= 0) return n == 0;
        fh_buf_add(out, piece, (size_t)n);
    }
}

/* Until text has come. */
static inline bool hear_until(int fd, fh_buf *out, const char *text)
{
    char piece[4096];
    while (!strstr(fh_buf_cstr(out), text)) {
        ssize_t n = recv(fd, piece, sizeof piece, 0);
        if (n <= 0) return false;
        fh_buf_add(out, piece, (size_t)n);
    }
    return true;
}

/* One exchange on a connection of its own; the request must make the server close. */
static inline void ask(int port, fh_str request, fh_buf *out)
{
    int fd = dial(port);
    say_bytes(fd, request);
    if (!hear_all(fd, out)) fh_buf_adds(out, "<reset>");
    close(fd);
}

static inline int count_of(const char *text, const char *needle)
{
    int n = 0;
    for (const char *p = strstr(text, needle); p; p = strstr(p + strlen(needle), needle)) n++;
    return n;
}

#endif
