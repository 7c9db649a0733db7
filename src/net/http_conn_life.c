/* The life of a connection of the server: opening, admitting, moving to another loop, closing. What it does in between is in http_conn.c.
 */
#include "private.h"

#include "base/clock.h"
#include "base/limits.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

/* In and out of the loop's hands. */

static bool watch(fh_http_conn *c)
{
    struct event_base *base = fh_loop_base(c->server->loop);
    event_assign(&c->kick, base, -1, 0, fh_http_conn_on_kick, c);
    event_assign(&c->io, base, c->fd, EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST, fh_http_conn_on_io, c);
    if (fh_timer_init(&c->timer, c->server->loop, fh_http_conn_on_timer, c, NULL) < 0) return false;
    if (event_add(&c->io, NULL) == 0) return true;
    fh_timer_fini(&c->timer);
    return false;
}

static void link_conn(fh_http_conn *c)
{
    c->prev = NULL;
    c->next = c->server->conns;
    if (c->next) c->next->prev = c;
    c->server->conns = c;
}

/* Out of the loop's hands. */
static void unwatch(fh_http_conn *c)
{
    fh_http_server *s = c->server;
    if (c->prev)
        c->prev->next = c->next;
    else
        s->conns = c->next;
    if (c->next) c->next->prev = c->prev;
    event_del(&c->io);
    event_del(&c->kick);
    fh_timer_fini(&c->timer);
}

/* Moving. */

/* On the loop that it was moved to. */
static void arrive(void *arg)
{
    fh_http_conn *c = arg;
    fh_http_group_arrive(c->group, c);
    if (!watch(c)) {
        fh_http_conn_free(c);
        return;
    }
    link_conn(c);
    fh_http_conn_request_moved(c);
    fh_http_conn_run(c);
}

void fh_http_conn_move(fh_http_conn *c)
{
    fh_http_server *from = c->server, *to = c->move_to;
    unwatch(c);
    c->move_to = NULL;
    c->server = to;
    c->timer_at_ns = c->rests_until_ns = 0;
    fh_buf_clear(&c->req.extra); /* the handler begins anew */
    c->readable = true;          /* the new loop tells of edges only that come from now on */
    fh_http_group_depart(c->group, c);
    if (fh_loop_post(to->loop, arrive, c)) return;
    fh_http_group_arrive(c->group, c);
    fh_http_conn_free(c);
    fh_http_accept_resume(from);
}

/* Closing. */

/* Of one that was moving when everything ended, no server may be left. */
void fh_http_conn_free(fh_http_conn *c)
{
    fh_http_conn_count_body(c, 0);
    fh_http_conn_count_out(c, NULL, 0);
    if (c->counted) fh_http_group_leave(c->group, &c->address);
    atomic_fetch_sub(&c->group->connections, 1);
    fh_tls_stream_free(c->tls);
    close(c->fd);
    fh_http_reader_free(c->reader);
    fh_buf_fini(&c->pending);
    fh_buf_fini(&c->out);
    fh_buf_fini(&c->req.extra);
    fh_free(c);
}

void fh_http_conn_close(fh_http_conn *c)
{
    fh_http_server *s = c->server;
    void (*gone)(void *) = c->req.state != FH_REPLY_NONE ? c->req.on_gone : NULL;
    void *gone_arg = c->req.gone_arg;
    c->busy = true;
    c->req.cut = true;
    fh_http_req_over(&c->req);
    if (gone) gone(gone_arg);
    unwatch(c);
    fh_http_conn_free(c);
    fh_http_accept_resume(s);
}

/* Opening. */

static void learn_peer(fh_http_conn *c, const struct sockaddr_storage *peer)
{
    char host[INET6_ADDRSTRLEN] = "";
    bool six = peer->ss_family == AF_INET6;
    c->tcp = peer->ss_family != AF_UNIX;
    snprintf(c->peer, sizeof c->peer, "unix");
    if (!c->tcp) return;
    const struct sockaddr_in *v4 = (const void *)peer;
    const struct sockaddr_in6 *v6 = (const void *)peer;
    inet_ntop(peer->ss_family, six ? (const void *)&v6->sin6_addr : (const void *)&v4->sin_addr, host, sizeof host);
    snprintf(c->peer, sizeof c->peer, six ? "[%s]:%u" : "%s:%u", host, ntohs(six ? v6->sin6_port : v4->sin_port));
    if (fh_address_parse(fh_str_of(host), &c->address)) c->trusted = fh_http_group_trusts(c->group, &c->address);
}

static fh_http_conn *new_conn(fh_http_server *s, int fd)
{
    fh_http_conn *c = fh_calloc(1, sizeof *c);
    if (!c) return NULL;
    c->server = c->home = s;
    c->group = s->group;
    c->fd = fd;
    c->req.conn = c;
    c->writable = true;
    fh_buf_init(&c->pending, FH_LIMIT_HTTP_PIPELINED_BYTES + FH_HTTP_SCRATCH_BYTES);
    fh_buf_init(&c->out, (size_t)FH_LIMIT_HTTP_BODY_BYTES + s->limits.out_buffer_bytes);
    fh_buf_init(&c->req.extra, FH_LIMIT_HTTP_HEADER_BYTES);
    c->reader = fh_http_reader_new(&s->limits.reader);
    if (c->reader && fh_http_group_stream(s->group, fd, &c->tls) && watch(c)) return c;
    fh_tls_stream_free(c->tls);
    fh_http_reader_free(c->reader);
    fh_free(c);
    return NULL;
}

/* Whether there is room for it. Loopback and trusted proxies speak for many. */
static void admit(fh_http_conn *c)
{
    const fh_http_server_limits *l = &c->server->limits;
    fh_err *err = NULL;
    bool alone = c->tcp && !c->trusted && (l->loopback_counts || !fh_address_is_loopback(&c->address));
    if (fh_http_server_connections(c->server) > l->connections) {
        fh_err_set(&err, FH_E_UNAVAILABLE, "this server has %zu open connections, as many as it takes", l->connections);
    } else if (alone && l->address_connections) {
        c->counted = fh_http_group_enter(c->group, &c->address, l->address_connections);
        if (!c->counted)
            fh_err_set(&err, FH_E_UNAVAILABLE, "%zu connections of your address are open, as many as one may have", l->address_connections);
    }
    if (!err) return;
    fh_http_conn_refuse(c, 503, err);
    fh_http_conn_kick(c);
}

void fh_http_conn_open(fh_http_server *s, int fd, const struct sockaddr_storage *peer)
{
    int on = 1;
    fh_http_conn *c = new_conn(s, fd);
    if (!c) {
        close(fd);
        return;
    }
    learn_peer(c, peer);
    if (c->tcp) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    link_conn(c);
    atomic_fetch_add(&s->group->connections, 1);
    fh_http_conn_deadline(c, fh_clock_mono_ns() + s->limits.header_timeout_ns);
    admit(c);
}
