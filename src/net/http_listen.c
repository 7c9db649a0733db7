/* Listening sockets: addresses, unix socket files, accepting. */
#include "private.h"
#include "base/limits.h"

#include "base/clock.h"
#include "base/log.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096, ACCEPTS_PER_RUN = 64, REFUSED_CONNECTIONS = 64 };
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
        size_t count = fh_http_server_connections(s);
        if (count >= s->limits.connections + REFUSED_CONNECTIONS)
            close(fd);
        else
            fh_http_conn_open(s, fd, &peer, count >= s->limits.connections);
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

/* Addresses. */

static int parse_port(fh_str s, in_port_t *ret, fh_err **err, const char *address)
{
    uint64_t port;
    if (!fh_str_u64(s, 65535, &port))
        return fh_err_set(err, FH_E_USAGE, "cannot listen on %s: the port is not a number from 0 to 65535", address);
    *ret = htons((uint16_t)port);
    return 0;
}

static int parse_tcp(const char *address, struct sockaddr_storage *ret, socklen_t *ret_len, fh_err **err)
{
    char host[INET6_ADDRSTRLEN + 1];
    const char *colon = strrchr(address, ':');
    size_t len = colon ? (size_t)(colon - address) : 0;
    bool six = len > 2 && address[0] == '[' && address[len - 1] == ']';
    fh_str inner = six ? (fh_str){address + 1, len - 2} : (fh_str){address, len};
    if (fh_str_eqs(inner, "localhost")) inner = FH_STR("127.0.0.1");
    struct sockaddr_in *a4 = (void *)ret;
    struct sockaddr_in6 *a6 = (void *)ret;
    memset(ret, 0, sizeof *ret);
    if (inner.len < sizeof host) {
        memcpy(host, inner.ptr, inner.len);
        host[inner.len] = 0;
        ret->ss_family = six ? AF_INET6 : AF_INET;
        *ret_len = six ? sizeof *a6 : sizeof *a4;
        if (inet_pton(ret->ss_family, host, six ? (void *)&a6->sin6_addr : (void *)&a4->sin_addr) == 1)
            return parse_port(fh_str_of(colon + 1), six ? &a6->sin6_port : &a4->sin_port, err, address);
    }
    fh_err_set(err, FH_E_USAGE, "cannot listen on %s: not an address", address);
    fh_err_hint(err, "write 127.0.0.1:8470, [::1]:8470 or unix:/path");
    return FH_E_USAGE;
}

static bool socket_is_live(const struct sockaddr_un *a)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool live = fd >= 0 && connect(fd, (const struct sockaddr *)a, sizeof *a) == 0;
    if (fd >= 0) close(fd);
    return live;
}

/* A file of that name is replaced only if it is a socket that nobody listens on. */
static int clear_stale(const struct sockaddr_un *a, fh_err **err)
{
    struct stat st;
    if (lstat(a->sun_path, &st) != 0) return 0;
    if (!S_ISSOCK(st.st_mode))
        return fh_err_set(err, FH_E_EXISTS, "cannot listen on unix:%s: a file of that name exists and is no socket", a->sun_path);
    if (socket_is_live(a)) return fh_err_set(err, FH_E_CONFLICT, "cannot listen on unix:%s: another process listens there", a->sun_path);
    if (unlink(a->sun_path) != 0 && errno != ENOENT)
        return fh_err_errno(err, FH_E_IO, errno, "cannot remove the stale socket %s", a->sun_path);
    return 0;
}

static int parse_unix(const char *path, struct sockaddr_storage *ret, socklen_t *ret_len, fh_err **err)
{
    struct sockaddr_un *a = (void *)ret;
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof a->sun_path)
        return fh_err_set(err, FH_E_USAGE, "cannot listen on unix:%s: the path must have 1 to %zu bytes", path, sizeof a->sun_path - 1);
    memset(ret, 0, sizeof *ret);
    a->sun_family = AF_UNIX;
    memcpy(a->sun_path, path, len + 1);
    *ret_len = sizeof *a;
    return clear_stale(a, err);
}

/* Sockets. */

static int set_options(int fd, int family, bool reuse_port)
{
    int on = 1;
    if (family == AF_UNIX) return fchmod(fd, 0600); /* before bind: the file never exists with another mode */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) return -1;
    if (reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) return -1;
    return family == AF_INET6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) : 0;
}

static int open_socket(const char *address, const struct sockaddr_storage *a, socklen_t len, bool reuse_port, fh_err **err)
{
    int fd = socket(a->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool ok = fd >= 0 && set_options(fd, a->ss_family, reuse_port) == 0 && bind(fd, (const struct sockaddr *)a, len) == 0 &&
              listen(fd, BACKLOG) == 0;
    if (ok) return fd;
    int error = errno;
    if (fd >= 0) close(fd);
    fh_err_errno(err, error == EADDRINUSE ? FH_E_CONFLICT : FH_E_IO, error, "cannot listen on %s", address);
    if (error == EADDRINUSE) fh_err_hint(err, "another program uses this address: stop it, or choose another with --listen");
    if (error == EACCES) fh_err_hint(err, "ports below 1024 need a privilege: choose a higher one");
    return error == EADDRINUSE ? FH_E_CONFLICT : FH_E_IO;
}

static void learn_address(fh_http_listener *l)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } a = {0};
    socklen_t len = sizeof a;
    struct stat st;
    if (l->path) {
        if (stat(l->path, &st) != 0) return;
        l->path_dev = st.st_dev;
        l->path_ino = st.st_ino;
    } else if (!l->server->port && getsockname(l->fd, &a.any, &len) == 0) {
        l->server->port = ntohs(a.any.sa_family == AF_INET ? a.v4.sin_port : a.v6.sin6_port);
    }
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

int fh_http_server_listen(fh_http_server *s, const char *address, bool reuse_port, fh_err **err)
{
    struct sockaddr_storage a = {0};
    socklen_t len = 0;
    bool is_unix = strncmp(address, "unix:", 5) == 0;
    int rc = is_unix ? parse_unix(address + 5, &a, &len, err) : parse_tcp(address, &a, &len, err);
    if (rc < 0) return rc;
    fh_http_listener *l = fh_calloc(1, sizeof *l);
    if (!l) return fh_err_nomem(err);
    l->server = s;
    l->fd = -1;
    if (is_unix) l->path = fh_strdup(address + 5);
    rc = is_unix && !l->path ? fh_err_nomem(err) : open_socket(address, &a, len, reuse_port, err);
    if (rc >= 0) {
        l->fd = rc;
        learn_address(l);
        rc = watch_listener(l, err);
    }
    if (rc < 0) {
        close_listener(l);
        return rc;
    }
    l->next = s->listeners;
    s->listeners = l;
    return 0;
}
