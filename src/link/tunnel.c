/* Tunnels: a stream of a link joined with a socket. What comes from the socket is read when HTTP/2 has a frame to fill, so nothing of it
 * waits here; what goes to it waits in the stream's window.
 *
 *   the socket says                    the stream says
 *   end of file                        END_STREAM
 *   end of file, and it takes nothing  END_STREAM, then RST_STREAM(NO_ERROR)
 *   an error                           RST_STREAM
 * and the other way round. What came before a reset is still given to the socket. */
#include "private.h"

#include "base/fault.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct tunnel {
    fh_link_stream s; /* first: it is freed as this */
    int fd;
    struct event io;
    bool watched, writable;
    bool deaf; /* the socket takes nothing more */
    bool eof;  /* it says nothing more */
    int status;
    void (*on_end)(void *arg, const fh_link_tunnel_end *end);
    void *arg;
} tunnel;

static tunnel *tunnel_of(fh_link_stream *s)
{
    return (tunnel *)(void *)s;
}

/* ---- from the socket ---- */

/* A unix socket whose peer has closed it whole, not its writing side alone. */
static bool hung_up(const tunnel *t)
{
    struct pollfd p = {.fd = t->fd};
    return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP);
}

static void go_deaf(tunnel *t)
{
    t->deaf = t->s.hangs_up = true;
    if (t->s.out_end && !t->s.in_end) fh_link_stream_reset(&t->s, NGHTTP2_NO_ERROR);
    fh_link_stream_todo(&t->s);
}

static ssize_t broken(tunnel *t)
{
    if (!t->s.err) fh_err_errno(&t->s.err, FH_E_UPSTREAM, errno, "the socket of a tunnel broke");
    return -1;
}

static ssize_t recv_some(const tunnel *t, void *out, size_t size)
{
    if (fh_fault_strikes(FH_FAULT_READ)) return errno = ECONNRESET, -1;
    ssize_t n;
    do {
        n = recv(t->fd, out, size, 0);
    } while (n < 0 && errno == EINTR);
    return n;
}

static ssize_t tunnel_read(fh_link_stream *s, void *out, size_t size, bool *ret_end)
{
    tunnel *t = tunnel_of(s);
    ssize_t n = recv_some(t, out, size);
    if (n > 0) return n;
    if (n == 0) {
        t->eof = *ret_end = true;
        if (hung_up(t)) go_deaf(t);
        return 0;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
    return broken(t);
}

/* ---- to the socket ---- */

static ssize_t send_some(const tunnel *t, const char *data, size_t bytes)
{
    if (fh_fault_strikes(FH_FAULT_WRITE)) return errno = ENOBUFS, -1;
    ssize_t n;
    do {
        n = send(t->fd, data, bytes, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n;
}

/* A socket that takes nothing more may still say what it said before. */
static ssize_t tunnel_take(fh_link_stream *s, const char *data, size_t bytes)
{
    tunnel *t = tunnel_of(s);
    if (t->deaf) return (ssize_t)bytes;
    if (!t->writable) return 0;
    ssize_t n = send_some(t, data, bytes);
    if (n >= 0) return n;
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        t->writable = false;
        return 0;
    }
    if (errno == EPIPE || errno == ECONNRESET) {
        go_deaf(t);
        return (ssize_t)bytes;
    }
    return broken(t);
}

static void tunnel_ended(fh_link_stream *s)
{
    if (s->id || s->code == NGHTTP2_NO_ERROR) shutdown(tunnel_of(s)->fd, SHUT_WR);
}

static void tunnel_head(fh_link_stream *s)
{
    tunnel *t = tunnel_of(s);
    t->status = s->head->status;
    fh_link_stream_forget_head(s);
    if (t->status >= 200 && t->status < 300) return;
    if (!s->err) fh_err_set(&s->err, FH_E_UPSTREAM, "%s: the tunnel was refused with status %d", s->link->peer.address, t->status);
    t->deaf = true;
    fh_link_stream_reset(s, NGHTTP2_CANCEL);
}

/* ---- its end ---- */

static void close_socket(tunnel *t, bool broken)
{
    struct linger now = {.l_onoff = 1};
    if (t->fd < 0) return;
    if (t->watched) event_del(&t->io);
    if (broken) setsockopt(t->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now); /* a TCP peer sees a reset */
    close(t->fd);
    t->fd = -1;
}

/* The other end has closed it, in order or not; or the link is lost, and then the socket gets what it takes at once. */
static void tunnel_closed(fh_link_stream *s, const fh_err *why)
{
    tunnel *t = tunnel_of(s);
    size_t left = fh_link_bytes_len(&s->in);
    if (left && !t->deaf) send_some(t, s->in.buf.data + s->in.at, left);
    close_socket(t, why != NULL);
    fh_link_tunnel_end end = {t->status, s->in_bytes, s->out_bytes, why};
    if (t->on_end) t->on_end(t->arg, &end);
    fh_link_stream_fini(s);
    fh_free(t);
}

static const fh_link_kind tunnel_kind = {tunnel_head, tunnel_take, tunnel_ended, NULL, tunnel_read, tunnel_closed, true};

/* ---- its beginning ---- */

static void on_io(evutil_socket_t fd, short what, void *arg)
{
    tunnel *t = arg;
    if (what & EV_WRITE) t->writable = true;
    if ((what & EV_READ) && t->eof && !t->deaf && hung_up(t)) go_deaf(t);
    if ((what & EV_READ) && !t->eof) fh_link_stream_wake(&t->s);
    fh_link_stream_todo(&t->s);
}

/* Takes fd. */
static tunnel *tunnel_new(fh_link *l, int fd)
{
    tunnel *t = fh_calloc(1, sizeof *t);
    if (!t) {
        close(fd);
        return NULL;
    }
    fh_link_stream_init(&t->s, l, &tunnel_kind);
    t->fd = fd;
    t->writable = true;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    event_assign(&t->io, fh_loop_base(l->loop), fd, EV_READ | EV_WRITE | EV_ET | EV_PERSIST, on_io, t);
    t->watched = event_add(&t->io, NULL) == 0;
    return t;
}

static void tunnel_free(tunnel *t)
{
    close_socket(t, true);
    fh_link_stream_fini(&t->s);
    fh_free(t);
}

/* The other end's library would refuse it, and with it say less. */
static bool authority_valid(fh_str a)
{
    return a.len > 0 && a.len <= FH_LIMIT_LINK_AUTHORITY_BYTES && nghttp2_check_authority((const uint8_t *)a.ptr, a.len);
}

static int open_tunnel(tunnel *t, fh_str authority, fh_err **err)
{
    nghttp2_nv nv[FH_LINK_NV];
    size_t count = 0;
    if (!t->watched || fh_link_stream_head_new(&t->s) < 0) return fh_err_nomem(err);
    fh_link_nv(nv, &count, FH_STR(":method"), FH_STR("CONNECT"));
    fh_link_nv(nv, &count, FH_STR(":authority"), authority);
    return fh_link_stream_open(&t->s, nv, count, true, err);
}

int fh_link_tunnel(fh_link *l, const char *authority, int fd, void (*on_end)(void *arg, const fh_link_tunnel_end *end), void *arg,
                   fh_err **err)
{
    fh_str name = fh_str_of(authority);
    int rc = fh_link_check(l, err);
    if (rc == 0 && !authority_valid(name)) rc = fh_err_set(err, FH_E_INVALID, "a tunnel cannot be asked for: its name is malformed");
    if (rc < 0) {
        close(fd);
        return rc;
    }
    tunnel *t = tunnel_new(l, fd);
    if (!t) return fh_err_nomem(err);
    rc = open_tunnel(t, name, err);
    if (rc < 0) {
        tunnel_free(t);
        return rc;
    }
    t->on_end = on_end;
    t->arg = arg;
    return 0;
}

/* ---- on the dialling end ---- */

static bool answer(tunnel *t)
{
    nghttp2_nv nv[FH_LINK_NV];
    size_t count = 0;
    nghttp2_data_provider source = {.read_callback = fh_link_session_read};
    fh_link_nv(nv, &count, FH_STR(":status"), FH_STR("200"));
    return nghttp2_submit_response(t->s.link->session, t->s.id, nv, count, &source) == 0;
}

void fh_link_join(fh_link_req *r, int fd)
{
    bool open = r->state == FH_LINK_OWED && r->tunnel && r->s.id && !r->s.refused && !r->s.link->lost;
    tunnel *t = open ? tunnel_new(r->s.link, fd) : NULL;
    if (!open) close(fd);
    if (!t || !t->watched) {
        if (t) tunnel_free(t);
        fh_link_reply_abort(r);
        return;
    }
    fh_link_stream_move(&t->s, &r->s);
    t->status = 200;
    if (!answer(t)) fh_link_stream_reset(&t->s, NGHTTP2_INTERNAL_ERROR);
    r->state = FH_LINK_GIVEN;
    fh_link_stream_todo(&r->s);
    fh_link_stream_todo(&t->s);
}
