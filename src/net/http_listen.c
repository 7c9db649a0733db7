/* A server's listeners: watching them, accepting, closing. */
#include "private.h"
#include "base/limits.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/listen.h"
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ACCEPTS_PER_RUN = 64, REFUSED_CONNECTIONS = 64 };
#define ACCEPT_PAUSE_NS (FH_LIMIT_HTTP_ACCEPT_PAUSE_MS * FH_NS_PER_MS)

/* Accepting. */

static void listen_on(fh_http_listener *l)
{
    if (event_add(&l->ev, NULL)) fh_timer_start(&l->server->accept_again, ACCEPT_PAUSE_NS);
}

void fh_http_accept_resume(void *server)
{
    fh_http_server *s = server;
    if (s->draining || s->accept_again.armed) return;
    for (fh_http_listener *l = s->listeners; l; l = l->next) {
        if (!event_pending(&l->ev, EV_READ, NULL)) listen_on(l);
    }
}

/* No descriptor or no memory for another connection: the readiness would be reported for ever, so listening rests for a moment. */
static void accept_failed(fh_http_server *s, int error)
{
    for (fh_http_listener *l = s->listeners; l; l = l->next) event_del(&l->ev);
    fh_timer_start(&s->accept_again, ACCEPT_PAUSE_NS);
    int64_t now = fh_clock_mono_ns();
    if (s->accept_logged_ns && now - s->accept_logged_ns < 10 * FH_NS_PER_S) return;
    s->accept_logged_ns = now;
    fh_log(FH_LOG_WARN, "net", "cannot accept connections: %s; trying again every 100 ms", strerror(error));
}

static bool accept_one(fh_http_listener *l)
{
    fh_http_server *s = l->server;
    struct sockaddr_storage peer = {0};
    socklen_t len = sizeof peer;
    int fd = accept4(l->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        if (l->path) peer.ss_family = AF_UNIX;
        if (fh_http_server_connections(s) >= s->limits.connections + REFUSED_CONNECTIONS)
            close(fd);
        else
            fh_http_conn_open(s, fd, &peer);
        return true;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) accept_failed(s, errno);
    return errno == EINTR || errno == ECONNABORTED || errno == EPROTO;
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
    fh_http_listener *l = arg;
    for (int i = 0; i < ACCEPTS_PER_RUN && accept_one(l); i++) {
    }
}

/* Listeners. */

static void learn_address(fh_http_listener *l)
{
    struct stat st;
    if (!l->server->port) l->server->port = fh_listen_port(l->fd);
    if (!l->path || stat(l->path, &st) != 0) return;
    l->path_dev = st.st_dev;
    l->path_ino = st.st_ino;
}

static void close_listener(fh_http_listener *l)
{
    struct stat st;
    if (event_initialized(&l->ev)) event_del(&l->ev);
    if (l->path && l->fd >= 0 && lstat(l->path, &st) == 0 && st.st_dev == l->path_dev && st.st_ino == l->path_ino) unlink(l->path);
    if (l->fd >= 0) close(l->fd);
    fh_free(l->path);
    fh_free(l);
}

void fh_http_listeners_close(fh_http_server *s)
{
    while (s->listeners) {
        fh_http_listener *l = s->listeners;
        s->listeners = l->next;
        close_listener(l);
    }
}

static int watch_listener(fh_http_listener *l, fh_err **err)
{
    event_assign(&l->ev, fh_loop_base(l->server->loop), l->fd, EV_READ | EV_PERSIST, on_accept, l);
    if (event_add(&l->ev, NULL)) return fh_err_nomem(err);
    return 0;
}

/* Takes fd and path. */
static int add_listener(fh_http_server *s, int fd, char *path, fh_err **err)
{
    fh_http_listener *l = fh_calloc(1, sizeof *l);
    if (!l) {
        close(fd);
        fh_free(path);
        return fh_err_nomem(err);
    }
    *l = (fh_http_listener){.server = s, .fd = fd, .path = path};
    learn_address(l);
    int rc = watch_listener(l, err);
    if (rc < 0) {
        close_listener(l);
        return rc;
    }
    l->next = s->listeners;
    s->listeners = l;
    return 0;
}

int fh_http_server_accept_from(fh_http_server *s, int fd, fh_err **err)
{
    return add_listener(s, fd, NULL, err);
}

int fh_http_server_listen(fh_http_server *s, const char *address, bool reuse_port, fh_err **err)
{
    bool is_unix = strncmp(address, "unix:", 5) == 0;
    char *path = is_unix ? fh_strdup(address + 5) : NULL;
    if (is_unix && !path) return fh_err_nomem(err);
    int fd = fh_listen_open(address, reuse_port ? FH_LISTEN_SHARED : FH_LISTEN_ALONE, err);
    if (fd >= 0) return add_listener(s, fd, path, err);
    fh_free(path);
    return fd;
}
