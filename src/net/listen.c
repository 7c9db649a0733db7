/* Sockets that listen: addresses, unix socket files, and sockets that others opened. */
#include "net/listen.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

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
    if (!S_ISSOCK(st.st_mode)) {
        fh_err_set(err, FH_E_EXISTS, "cannot listen on unix:%s: a file of that name exists and is no socket", a->sun_path);
        fh_err_hint(err, "move that file away, or listen under another name");
        return FH_E_EXISTS;
    }
    if (socket_is_live(a)) {
        fh_err_set(err, FH_E_CONFLICT, "cannot listen on unix:%s: another process listens there", a->sun_path);
        fh_err_hint(err, "stop it, or listen under another name");
        return FH_E_CONFLICT;
    }
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

static int set_options(int fd, int family, fh_listen_how how)
{
    int on = 1, alone = how != FH_LISTEN_BOTH;
    if (family == AF_UNIX) return fchmod(fd, 0600); /* before bind: the file never exists with another mode */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) return -1;
    if (how == FH_LISTEN_SHARED && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) return -1;
    return family == AF_INET6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &alone, sizeof alone) : 0;
}

static int open_socket(const char *address, const struct sockaddr_storage *a, socklen_t len, fh_listen_how how, fh_err **err)
{
    int fd = socket(a->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool ok =
        fd >= 0 && set_options(fd, a->ss_family, how) == 0 && bind(fd, (const struct sockaddr *)a, len) == 0 && listen(fd, BACKLOG) == 0;
    if (ok) return fd;
    int error = errno;
    if (fd >= 0) close(fd);
    fh_err_errno(err, error == EADDRINUSE ? FH_E_CONFLICT : FH_E_IO, error, "cannot listen on %s", address);
    if (error == EADDRINUSE) fh_err_hint(err, "another program uses this address: stop it, or choose another with --listen");
    if (error == EACCES) fh_err_hint(err, "ports below 1024 need a privilege: choose a higher one");
    return error == EADDRINUSE ? FH_E_CONFLICT : FH_E_IO;
}

int fh_listen_open(const char *address, fh_listen_how how, fh_err **err)
{
    struct sockaddr_storage a = {0};
    socklen_t len = 0;
    bool is_unix = strncmp(address, "unix:", 5) == 0;
    int rc = is_unix ? parse_unix(address + 5, &a, &len, err) : parse_tcp(address, &a, &len, err);
    return rc < 0 ? rc : open_socket(address, &a, len, how, err);
}

/* What a socket is bound to. */

typedef union bound {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage room;
} bound;

static bool bound_to(int fd, bound *ret)
{
    socklen_t len = sizeof *ret;
    memset(ret, 0, sizeof *ret);
    return getsockname(fd, &ret->any, &len) == 0 && (ret->any.sa_family == AF_INET || ret->any.sa_family == AF_INET6);
}

static int port_of(const bound *b)
{
    return ntohs(b->any.sa_family == AF_INET ? b->v4.sin_port : b->v6.sin6_port);
}

int fh_listen_port(int fd)
{
    bound b;
    return bound_to(fd, &b) ? port_of(&b) : 0;
}

int fh_listen_adopt(int fd, char *address, size_t size, fh_err **err)
{
    int listens = 0, flags = fcntl(fd, F_GETFL);
    socklen_t len = sizeof listens;
    char host[INET6_ADDRSTRLEN] = "";
    bound b;
    if (flags < 0 || getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) != 0 || !listens || !bound_to(fd, &b))
        return fh_err_set(err, FH_E_INVALID, "descriptor %d, which was handed over, is no TCP socket that listens", fd);
    if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return fh_err_errno(err, FH_E_IO, errno, "descriptor %d, which was handed over, cannot be used", fd);
    bool six = b.any.sa_family == AF_INET6;
    inet_ntop(b.any.sa_family, six ? (const void *)&b.v6.sin6_addr : (const void *)&b.v4.sin_addr, host, sizeof host);
    snprintf(address, size, six ? "[%s]:%d" : "%s:%d", host, port_of(&b));
    return 0;
}
