/* Where clients come in: the listening sockets, doors, and edges: loops that each have a thread and a server.
 *
 * Everybody comes in by a door, and stays there until a request with a key that is valid moves the connection to its edge (api.c). Doors
 * yield the processors to edges, so that strangers, with whatever they send and leave unsent, cost those who are served little; a handshake
 * of TLS and the first request of a connection are a door's work too. Sockets are our own, one a door on one address, so that the kernel
 * spreads connections over the doors; or they were handed over (by systemd as LISTEN_FDS, or by the server before) and are dealt out to
 * the doors in turn. An edge owns its connections and the gateway's lane; it touches nothing of the control plane: such requests move,
 * with their connection, to the main loop. Threads: the main one, which opens, starts, drains and frees; each loop's own runs in between.
 */
#include "base/limits.h"
#include "base/log.h"
#include "net/listen.h"
#include "server_private.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { FIRST_PASSED_FD = 3, EDGES_A_DOOR = 8, DOOR_NICE = 10 };

typedef struct edge {
    fh_loop *loop;
    fh_http_server *http;
    pthread_t thread;
    bool runs;
} edge;

struct fh_edges {
    edge *list;             /* the edges, then the doors */
    fh_loop **loops;        /* of the edges, for the gateway */
    fh_http_server **homes; /* likewise, for the doors */
    size_t count, doors, made;
    fh_sockets sockets;
    bool inherited, mixed; /* handed over; and on more than one address */
    char address[128];
};

/* Sockets. */

/* How many descriptors systemd passes us; the variables are for us alone, not for engines. */
static size_t passed_by_systemd(void)
{
    uint64_t pid = 0, count = 0;
    const char *pid_text = getenv("LISTEN_PID"), *count_text = getenv("LISTEN_FDS");
    bool ours = pid_text && count_text && fh_str_u64(fh_str_of(pid_text), INT32_MAX, &pid) && pid == (uint64_t)getpid() &&
                fh_str_u64(fh_str_of(count_text), FH_LIMIT_LISTEN_SOCKETS, &count);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return ours ? count : 0;
}

static int adopt_sockets(fh_edges *e, const fh_server_config *c, const fh_sockets *from, fh_err **err)
{
    char address[sizeof e->address];
    int rc = 0;
    e->inherited = true;
    for (size_t i = 0; !rc && i < from->count; i++) {
        int fd = from->fds[i];
        rc = fh_listen_adopt(fd, address, sizeof address, err);
        if (!rc) rc = fh_server_may_listen(c, address, err);
        if (rc) break;
        e->sockets.fds[e->sockets.count++] = fd;
        e->mixed = e->mixed || (e->address[0] && strcmp(e->address, address) != 0);
        memcpy(e->address, address, sizeof address);
    }
    return rc;
}

/* The first says whether the address is free, and which port 0 becomes: those that share an address are not refused because of others that
 * do, whoever they belong to. */
static int open_sockets(fh_edges *e, const char *listen, fh_err **err)
{
    int fd = fh_listen_open(listen, FH_LISTEN_ALONE, err);
    if (fd < 0) return fd;
    snprintf(e->address, sizeof e->address, "%.*s:%d", (int)(strrchr(listen, ':') - listen), listen, fh_listen_port(fd));
    if (e->doors == 1) {
        e->sockets.fds[e->sockets.count++] = fd;
        return 0;
    }
    close(fd);
    while (e->sockets.count < e->doors) {
        fd = fh_listen_open(e->address, FH_LISTEN_SHARED, err);
        if (fd < 0) return fd;
        e->sockets.fds[e->sockets.count++] = fd;
    }
    return 0;
}

static int take_sockets(fh_edges *e, const fh_server_config *c, const fh_sockets *handed, fh_err **err)
{
    fh_sockets passed = {.count = passed_by_systemd()};
    for (size_t i = 0; i < passed.count; i++) passed.fds[i] = FIRST_PASSED_FD + (int)i;
    if (handed->count) return adopt_sockets(e, c, handed, err);
    return passed.count ? adopt_sockets(e, c, &passed, err) : open_sockets(e, c->listen, err);
}

const fh_sockets *fh_edges_sockets(const fh_edges *e)
{
    return &e->sockets;
}

/* Edges. */

static int accept_from(edge *to, int fd, fh_err **err)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return fh_err_errno(err, FH_E_IO, errno, "cannot share a listening socket");
    return fh_http_server_accept_from(to->http, copy, err);
}

/* Every socket has a door, and every door has a socket. */
static int deal_out(fh_edges *e, fh_err **err)
{
    size_t n = FH_MAX(e->doors, e->sockets.count);
    int rc = 0;
    for (size_t i = 0; !rc && i < n; i++) rc = accept_from(&e->list[e->count + i % e->doors], e->sockets.fds[i % e->sockets.count], err);
    return rc;
}

static int make_edges(fh_edges *e, fh_http_server *first, fh_err **err)
{
    e->list = fh_calloc(e->count + e->doors, sizeof *e->list);
    e->loops = fh_calloc(e->count, sizeof(void *));
    e->homes = fh_calloc(e->count, sizeof(void *));
    if (!e->list || !e->loops || !e->homes) return fh_err_nomem(err);
    int rc = 0;
    for (; !rc && e->made < e->count + e->doors; e->made++) {
        edge *one = &e->list[e->made];
        rc = fh_loop_new(&one->loop, err);
        if (!rc) rc = fh_http_server_new_beside(&one->http, first, one->loop, err);
        if (!rc && e->made >= e->count) fh_http_server_homes(one->http, e->homes, e->count);
        if (rc || e->made >= e->count) continue;
        e->loops[e->made] = one->loop;
        e->homes[e->made] = one->http;
    }
    return rc;
}

int fh_edges_open(fh_edges **ret, const fh_server_config *c, const fh_sockets *handed, fh_http_server *first, fh_err **err)
{
    FH_AUTO(fh_edges) fh_edges *e = fh_calloc(1, sizeof *e);
    if (!e) return fh_err_nomem(err);
    e->count = (size_t)c->threads;
    e->doors = (e->count + EDGES_A_DOOR - 1) / EDGES_A_DOOR;
    int rc = make_edges(e, first, err);
    if (!rc) rc = take_sockets(e, c, handed, err);
    if (rc) return rc;
    *ret = fh_take(e);
    return 0;
}

fh_loop *const *fh_edges_loops(const fh_edges *e, size_t *ret_count)
{
    *ret_count = e->count;
    return e->loops;
}

const char *fh_edges_address(const fh_edges *e)
{
    return e->address;
}

bool fh_edges_inherited(const fh_edges *e)
{
    return e->inherited;
}

bool fh_edges_mixed(const fh_edges *e)
{
    return e->mixed;
}

static void *run_edge(void *arg)
{
    edge *one = arg;
    fh_err *err = NULL;
    if (fh_loop_run(one->loop, &err)) fh_log_err(FH_LOG_ERROR, "server", err, "a loop ended");
    fh_err_free(err);
    return NULL;
}

static void *run_door(void *arg)
{
    setpriority(PRIO_PROCESS, 0, DOOR_NICE); /* of this thread alone, on Linux */
    return run_edge(arg);
}

int fh_edges_start(fh_edges *e, fh_err **err)
{
    int rc = deal_out(e, err);
    for (size_t i = 0; !rc && i < e->made; i++) {
        int failed = pthread_create(&e->list[i].thread, NULL, i < e->count ? run_edge : run_door, &e->list[i]);
        e->list[i].runs = !failed;
        if (failed) rc = fh_err_errno(err, FH_E_UNAVAILABLE, failed, "cannot start a thread");
    }
    return rc;
}

/* Draining. */

typedef struct visit {
    edge *at;
    int64_t grace_ns;
    sem_t *passed; /* NULL: drain */
} visit;

static void visit_one(void *arg)
{
    visit *v = arg;
    if (v->passed)
        sem_post(v->passed);
    else
        fh_http_server_drain(v->at->http, v->grace_ns);
    fh_free(v);
}

/* Only memory can be missing, for a moment. */
static void post_visit(const visit *v)
{
    for (;; sched_yield()) {
        visit *copy = fh_alloc(sizeof *copy);
        if (!copy) continue;
        *copy = *v;
        if (fh_loop_post(v->at->loop, visit_one, copy)) return;
        fh_free(copy);
    }
}

static void close_sockets(fh_edges *e)
{
    while (e->sockets.count) close(e->sockets.fds[--e->sockets.count]);
}

void fh_edges_drain(fh_edges *e, int64_t grace_ns)
{
    for (size_t i = 0; i < e->made; i++) post_visit(&(visit){&e->list[i], grace_ns, NULL});
    close_sockets(e);
}

static void pass_by(edge *list, size_t count)
{
    sem_t passed;
    sem_init(&passed, 0, 0);
    for (size_t i = 0; i < count; i++) post_visit(&(visit){&list[i], 0, &passed});
    for (size_t i = 0; i < count; i++)
        while (sem_wait(&passed) != 0) {
        }
    sem_destroy(&passed);
}

/* What a door had in hand may be with an edge by then. */
void fh_edges_pass_by(fh_edges *e)
{
    pass_by(e->list + e->count, e->doors);
    pass_by(e->list, e->count);
}

static void stop_loops(edge *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].runs) fh_loop_stop(list[i].loop);
    for (size_t i = 0; i < count; i++) {
        if (list[i].runs) pthread_join(list[i].thread, NULL);
        list[i].runs = false;
    }
}

/* Doors first: what they move finds its edge at work. A server is freed when no loop runs that could still move a connection to it. */
void fh_edges_stop(fh_edges *e)
{
    if (!e) return;
    if (e->made > e->count) stop_loops(e->list + e->count, e->made - e->count);
    stop_loops(e->list, FH_MIN(e->made, e->count));
    for (size_t i = 0; i < e->made; i++) {
        fh_http_server_free(e->list[i].http);
        e->list[i].http = NULL;
    }
}

void fh_edges_free(fh_edges *e)
{
    if (!e) return;
    fh_edges_stop(e);
    for (size_t i = 0; i < e->made; i++) fh_loop_free(e->list[i].loop);
    close_sockets(e);
    fh_free(e->homes);
    fh_free(e->loops);
    fh_free(e->list);
    fh_free(e);
}
