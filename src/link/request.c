/* Requests that the dialling end gets: the head, the body whole or in pieces, and whoever answers told when nobody waits any more. */
#include "private.h"

static fh_link_req *req_of(fh_link_stream *s)
{
    return (fh_link_req *)(void *)s;
}

/* ---- what came ---- */

static void refuse(fh_link_req *r)
{
    fh_link_reply(r, 404, NULL, NULL, 0);
}

static void req_head(fh_link_stream *s)
{
    fh_link_req *r = req_of(s);
    const fh_link_dial_config *c = s->link->answers;
    r->tunnel = fh_str_eqs(s->head->method, "CONNECT");
    if (r->tunnel && c->on_tunnel)
        c->on_tunnel(c->arg, r);
    else if (r->tunnel)
        refuse(r);
    else if (c->on_head)
        c->on_head(c->arg, r);
}

static ssize_t take_piece(fh_link_req *r, const char *data, size_t bytes)
{
    r->resumed = false;
    bool more = r->on_data(r->data_arg, data, bytes);
    r->s.paused = !more && !r->resumed && r->state != FH_LINK_GIVEN;
    return (ssize_t)bytes;
}

static ssize_t take_whole(fh_link_req *r, const char *data, size_t bytes)
{
    size_t *all = &r->s.link->bodies_bytes;
    if (*all + bytes > FH_LIMIT_LINK_BODIES_BYTES) {
        fh_link_reply(r, 503, NULL, NULL, 0);
    } else if (fh_buf_add(&r->body, data, bytes)) {
        *all += bytes;
    } else {
        fh_link_reply(r, r->body.len + bytes > r->body.max ? 413 : 503, NULL, NULL, 0);
    }
    return (ssize_t)bytes;
}

/* What comes for a tunnel waits until that is joined; what comes behind a reply is of no interest. */
static ssize_t req_take(fh_link_stream *s, const char *data, size_t bytes)
{
    fh_link_req *r = req_of(s);
    if (r->state == FH_LINK_GIVEN) return (ssize_t)bytes;
    if (r->tunnel) return 0;
    return r->on_data ? take_piece(r, data, bytes) : take_whole(r, data, bytes);
}

static void req_ended(fh_link_stream *s)
{
    fh_link_req *r = req_of(s);
    const fh_link_dial_config *c = s->link->answers;
    if (r->tunnel || r->state == FH_LINK_GIVEN || !s->head_known) return;
    if (c->on_request)
        c->on_request(c->arg, r);
    else
        refuse(r);
}

static void req_woken(fh_link_stream *s)
{
    fh_link_req *r = req_of(s);
    if (!r->drained || r->state == FH_LINK_GIVEN) return;
    r->drained = false;
    if (r->on_drain) r->on_drain(r->drain_arg);
}

static void free_req(fh_link_req *r)
{
    r->s.link->bodies_bytes -= r->body.len;
    fh_link_stream_fini(&r->s);
    fh_buf_fini(&r->body);
    fh_buf_fini(&r->extra);
    fh_buf_fini(&r->out.buf);
    fh_free(r);
}

static void req_closed(fh_link_stream *s, const fh_err *why)
{
    fh_link_req *r = req_of(s);
    bool tell = r->state != FH_LINK_GIVEN && r->on_gone;
    r->state = FH_LINK_GIVEN;
    if (tell) r->on_gone(r->gone_arg);
    free_req(r);
}

static const fh_link_kind req_kind = {req_head, req_take, req_ended, req_woken, fh_link_req_read, req_closed, false};

fh_link_stream *fh_link_req_new(fh_link *l, int32_t id)
{
    if (l->stream_count >= (size_t)2 * FH_LIMIT_LINK_STREAMS) return NULL; /* closed ones whose bytes nobody takes count too */
    fh_link_req *r = fh_calloc(1, sizeof *r);
    if (!r) return NULL;
    fh_link_stream_init(&r->s, l, &req_kind);
    r->s.id = id;
    fh_buf_init(&r->body, FH_LIMIT_LINK_BODY_BYTES);
    fh_buf_init(&r->extra, FH_LIMIT_LINK_HEADER_BYTES);
    fh_buf_init(&r->out.buf, FH_LIMIT_LINK_REPLY_UNSENT_BYTES);
    if (fh_link_stream_head_new(&r->s) == 0) return &r->s;
    r->s.id = 0;
    free_req(r);
    return NULL;
}

/* ---- what whoever answers reads of it ---- */

fh_str fh_link_req_method(const fh_link_req *r)
{
    return r->s.head->method;
}

fh_str fh_link_req_path(const fh_link_req *r)
{
    return r->s.head->path;
}

fh_str fh_link_req_authority(const fh_link_req *r)
{
    return r->s.head->authority;
}

fh_str fh_link_req_header(const fh_link_req *r, const char *name)
{
    return fh_headers_find(r->s.head->list, r->s.head->count, name);
}

fh_str fh_link_req_body(const fh_link_req *r)
{
    return (fh_str){fh_buf_cstr(&r->body), r->body.len};
}

fh_link *fh_link_req_link(const fh_link_req *r)
{
    return r->s.link;
}

void fh_link_req_ctx_set(fh_link_req *r, void *ctx)
{
    r->ctx = ctx;
}

void *fh_link_req_ctx(const fh_link_req *r)
{
    return r->ctx;
}

void fh_link_req_on_gone(fh_link_req *r, void (*fn)(void *arg), void *arg)
{
    r->on_gone = fn;
    r->gone_arg = arg;
}

void fh_link_req_on_data(fh_link_req *r, bool (*fn)(void *arg, const void *data, size_t bytes), void *arg)
{
    r->on_data = fn;
    r->data_arg = arg;
}

void fh_link_req_resume(fh_link_req *r)
{
    r->resumed = true;
    r->s.paused = false;
    fh_link_stream_todo(&r->s);
}
