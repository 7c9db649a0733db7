/* The server as a whole: making, draining, ending. Connections are in http_conn.c, listeners in http_listen.c, replies in http_reply.c. */
#include "private.h"

#include "base/clock.h"
#include "base/limits.h"
#include <errno.h>
#include <sys/random.h>

#define LINGER_NS (FH_LIMIT_HTTP_LINGER_MS * FH_NS_PER_MS)

static void default_limits(fh_http_server_limits *l)
{
    *l = (fh_http_server_limits){
        .header_timeout_ns = FH_LIMIT_HTTP_HEADER_TIMEOUT_MS * FH_NS_PER_MS,
        .body_timeout_ns = FH_LIMIT_HTTP_BODY_TIMEOUT_MS * FH_NS_PER_MS,
        .idle_timeout_ns = FH_LIMIT_HTTP_IDLE_TIMEOUT_MS * FH_NS_PER_MS,
        .write_timeout_ns = FH_LIMIT_HTTP_WRITE_TIMEOUT_MS * FH_NS_PER_MS,
        .linger_ns = LINGER_NS,
        .connections = FH_LIMIT_HTTP_CONNECTIONS,
        .out_buffer_bytes = FH_LIMIT_HTTP_OUT_BUFFER_BYTES,
        .rate_bytes = FH_LIMIT_HTTP_RATE_BYTES,
        .address_connections = FH_LIMIT_HTTP_ADDRESS_CONNECTIONS,
        .bodies_bytes = FH_LIMIT_HTTP_BODIES_BYTES,
    };
    fh_http_limits_default(&l->reader);
}

static int prepare(fh_http_server *s, fh_err **err)
{
    default_limits(&s->limits);
    s->scratch = fh_alloc(FH_HTTP_SCRATCH_BYTES);
    if (!s->group || !s->scratch) return fh_err_nomem(err);
    int rc = fh_timer_init(&s->accept_again, s->loop, fh_http_accept_resume, s, err);
    if (rc == 0 && getrandom(s->id_key, sizeof s->id_key, 0) != (ssize_t)sizeof s->id_key)
        rc = fh_err_errno(err, FH_E_IO, errno, "cannot read random bytes");
    return rc;
}

/* group: a reference that is taken; NULL when memory was out for it. */
static int new_server(fh_http_server **ret, fh_http_group *group, fh_loop *l, fh_http_handler *handler, void *ctx, fh_err **err)
{
    fh_http_server *s = fh_calloc(1, sizeof *s);
    if (!s) {
        fh_http_group_unref(group);
        return fh_err_nomem(err);
    }
    *s = (fh_http_server){.loop = l, .group = group, .handler = handler, .ctx = ctx};
    int rc = prepare(s, err);
    if (rc < 0)
        fh_http_server_free(s);
    else
        *ret = s;
    return rc;
}

int fh_http_server_new(fh_http_server **ret, fh_loop *l, fh_http_handler *handler, void *ctx, fh_err **err)
{
    return new_server(ret, fh_http_group_new(), l, handler, ctx, err);
}

int fh_http_server_new_beside(fh_http_server **ret, fh_http_server *first, fh_loop *l, fh_err **err)
{
    atomic_fetch_add(&first->group->references, 1);
    int rc = new_server(ret, first->group, l, first->handler, first->ctx, err);
    if (rc == 0) (*ret)->limits = first->limits;
    return rc;
}

void fh_http_server_free(fh_http_server *s)
{
    if (!s) return;
    s->draining = true;
    fh_http_listeners_close(s);
    while (s->conns) fh_http_conn_close(s->conns);
    fh_timer_fini(&s->accept_again);
    fh_http_group_unref(s->group);
    fh_free(s->scratch);
    fh_free(s);
}

static bool is_idle(const fh_http_conn *c)
{
    return c->phase == FH_CONN_READING && !fh_http_reader_started(c->reader) && !c->pending.len;
}

void fh_http_server_drain(fh_http_server *s, int64_t grace_ns)
{
    int64_t until = fh_clock_mono_ns() + grace_ns;
    s->draining = true;
    s->grace_ns = grace_ns;
    fh_http_listeners_close(s);
    for (fh_http_conn *c = s->conns; c; c = c->next) {
        if (!is_idle(c)) continue;
        if (grace_ns > 0) {
            fh_http_conn_deadline(c, until);
            continue;
        }
        c->close_after = true;
        fh_http_conn_kick(c);
    }
}

void fh_http_server_limits_get(const fh_http_server *s, fh_http_server_limits *ret)
{
    *ret = s->limits;
}

void fh_http_server_limits_set(fh_http_server *s, const fh_http_server_limits *l)
{
    s->limits = *l;
}

void fh_http_server_homes(fh_http_server *s, fh_http_server *const *homes, size_t count)
{
    s->homes = homes;
    s->home_count = count;
}

int fh_http_server_port(const fh_http_server *s)
{
    return s->port;
}

size_t fh_http_server_connections(const fh_http_server *s)
{
    return atomic_load_explicit(&s->group->connections, memory_order_relaxed);
}

uint64_t fh_http_server_refused(const fh_http_server *s)
{
    return atomic_load_explicit(&s->group->refused, memory_order_relaxed);
}

void fh_http_server_judge(fh_http_server *s, fh_http_judge *judge)
{
    s->group->judge = judge;
}

void fh_http_server_on_end(fh_http_server *s, fh_http_ended *fn, void *ctx)
{
    s->group->on_end = fn;
    s->group->end_ctx = ctx;
}
