/* HTTP/2 of a link, by libnghttp2: its callbacks note down what came, on the stream that it came for (see private.h).
 *
 * Windows are promises of memory. A stream's begins at LINK_STREAM_BYTES; the connection's holds that for all streams at once and
 * LINK_GROWN_BYTES on top, so that no reader, however slow, takes another's. Credit is given back when bytes were taken. */
#include "private.h"

#include "base/clock.h"
#include <string.h>

enum { LINK_WINDOW = FH_LIMIT_LINK_STREAMS * FH_LIMIT_LINK_STREAM_BYTES + FH_LIMIT_LINK_GROWN_BYTES };

/* ---- memory ---- */

static void *alloc(size_t size, void *ctx)
{
    return fh_alloc(size);
}

static void *alloc_zeroed(size_t count, size_t size, void *ctx)
{
    return fh_calloc(count, size);
}

static void *resize(void *p, size_t size, void *ctx)
{
    return fh_realloc(p, size);
}

static void release(void *p, void *ctx)
{
    fh_free(p);
}

/* ---- heads ---- */

static fh_link_stream *stream_of(nghttp2_session *session, int32_t id)
{
    return id ? nghttp2_session_get_stream_user_data(session, id) : NULL;
}

/* A new head: a request, a reply, or one that follows an interim one. Trailers come when it is no longer kept, and are dropped. */
static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *link)
{
    fh_link *l = link;
    bool request = frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
    if (!request) return 0;
    fh_link_stream *s = l->acked ? fh_link_req_new(l, frame->hd.stream_id) : NULL;
    if (s && nghttp2_session_set_stream_user_data(session, s->id, s) == 0) return 0;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static void note_status(fh_link_head *h, fh_str value)
{
    uint64_t status = 0;
    fh_buf_clear(&h->text); /* what came with an interim reply is forgotten */
    h->count = 0;
    h->status = fh_str_u64(value, 599, &status) ? (int)status : 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len, const uint8_t *value,
                     size_t value_len, uint8_t flags, void *link)
{
    fh_link_stream *s = stream_of(session, frame->hd.stream_id);
    if (!s || !s->head || s->head_known) return 0;
    fh_link_head *h = s->head;
    if (name_len == 7 && memcmp(name, ":status", 7) == 0) {
        note_status(h, (fh_str){(const char *)value, value_len});
        return 0;
    }
    bool fits = h->count < FH_LIMIT_LINK_HEADERS && fh_buf_add(&h->text, name, name_len) && fh_buf_addc(&h->text, 0) &&
                fh_buf_add(&h->text, value, value_len) && fh_buf_addc(&h->text, 0);
    h->count++;
    if (fits) return 0;
    if (!s->err) fh_err_set(&s->err, FH_E_TOO_LARGE, "the head of a message on a link is beyond its bounds");
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* The lines into the list; those of HTTP/2 itself, which begin with a colon, apart. */
static void list_lines(fh_link_head *h)
{
    size_t count = 0;
    const char *at = fh_buf_cstr(&h->text);
    for (size_t i = 0; i < h->count; i++) {
        fh_str name = fh_str_of(at), value = fh_str_of(at + name.len + 1);
        at = value.ptr + value.len + 1;
        if (fh_str_eqs(name, ":method"))
            h->method = value;
        else if (fh_str_eqs(name, ":path"))
            h->path = value;
        else if (fh_str_eqs(name, ":authority"))
            h->authority = value;
        else if (name.len && name.ptr[0] != ':')
            h->list[count++] = (fh_header){name, value};
    }
    h->count = count;
}

static void head_whole(fh_link_stream *s)
{
    if (!s->head || s->head_known || (s->head->status && s->head->status < 200)) return;
    list_lines(s->head);
    s->head_known = s->head_due = true;
    fh_link_stream_todo(s);
}

/* ---- frames ---- */

/* What the other end says when it goes. Its text is for people: nothing but printable ASCII is let through. */
static void on_goaway(fh_link *l, const nghttp2_goaway *g)
{
    char why[FH_LIMIT_LINK_WHY_BYTES + 1];
    size_t len = FH_MIN(g->opaque_data_len, sizeof why - 1);
    for (size_t i = 0; i < len; i++) {
        uint8_t c = g->opaque_data[i];
        why[i] = c >= 0x20 && c <= 0x7e ? (char)c : '?';
    }
    why[len] = 0;
    int code = g->error_code == NGHTTP2_INADEQUATE_SECURITY ? FH_E_FORBIDDEN
               : g->error_code == NGHTTP2_ENHANCE_YOUR_CALM ? FH_E_BUSY
                                                            : FH_E_UNAVAILABLE;
    fh_link_lose(l, code, "%s: the other end closed the link: %s", l->peer.address, len ? why : nghttp2_http2_strerror(g->error_code));
}

static void on_ping(fh_link *l, const uint8_t *opaque)
{
    uint64_t sent = 0;
    memcpy(&sent, opaque, sizeof sent);
    if (sent && sent == l->ping_sent) l->rtt_ns = fh_clock_mono_ns() - (int64_t)sent;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *link)
{
    fh_link *l = link;
    fh_link_stream *s = stream_of(session, frame->hd.stream_id);
    bool ack = frame->hd.flags & NGHTTP2_FLAG_ACK;
    if (frame->hd.type == NGHTTP2_SETTINGS && ack) l->acked = true;
    if (frame->hd.type == NGHTTP2_PING && ack) on_ping(l, frame->ping.opaque_data);
    if (frame->hd.type == NGHTTP2_GOAWAY) on_goaway(l, &frame->goaway);
    if (s && frame->hd.type == NGHTTP2_HEADERS) head_whole(s);
    if (s && (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
        s->in_end = true;
        fh_link_stream_todo(s);
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t bytes, void *link)
{
    fh_link_stream *s = stream_of(session, id);
    if (!s) return nghttp2_session_consume(session, id, bytes);
    if (!fh_buf_add(&s->in.buf, data, bytes)) {
        if (!s->err) fh_err_nomem(&s->err);
        fh_link_stream_reset(s, NGHTTP2_INTERNAL_ERROR);
        return nghttp2_session_consume(session, id, bytes);
    }
    s->in_bytes += bytes;
    fh_link_stream_todo(s);
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *link)
{
    fh_link_stream *s = stream_of(session, id);
    if (!s) return 0;
    s->id = 0;
    s->code = code;
    fh_link_stream_todo(s);
    return 0;
}

/* All of ours is said: whoever is not interested in the rest says so. */
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *link)
{
    fh_link_stream *s = stream_of(session, frame->hd.stream_id);
    bool ends = (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
    if (!s || !ends) return 0;
    s->out_end = true;
    if (s->hangs_up && !s->in_end) fh_link_stream_reset(s, NGHTTP2_NO_ERROR);
    return 0;
}

ssize_t fh_link_session_read(nghttp2_session *session, int32_t id, uint8_t *out, size_t size, uint32_t *flags, nghttp2_data_source *source,
                             void *link)
{
    fh_link_stream *s = stream_of(session, id);
    bool end = false;
    ssize_t n = s ? s->kind->read(s, out, size, &end) : -1;
    if (n < 0) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    s->out_bytes += (size_t)n;
    if (end) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return n == 0 && !end ? NGHTTP2_ERR_DEFERRED : n;
}

/* ---- the session ---- */

static int make_session(fh_link *l, const nghttp2_session_callbacks *callbacks, const nghttp2_option *option)
{
    nghttp2_mem mem = {NULL, alloc, release, alloc_zeroed, resize};
    return l->answers ? nghttp2_session_server_new3(&l->session, callbacks, l, option, &mem)
                      : nghttp2_session_client_new3(&l->session, callbacks, l, option, &mem);
}

static void set_callbacks(nghttp2_session_callbacks *c)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(c, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, on_sent);
}

static int new_session(fh_link *l)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    int rc = nghttp2_session_callbacks_new(&callbacks);
    if (rc == 0) rc = nghttp2_option_new(&option);
    if (rc == 0) {
        set_callbacks(callbacks);
        nghttp2_option_set_no_auto_window_update(option, 1);
        nghttp2_option_set_no_closed_streams(option, 1);
        nghttp2_option_set_stream_reset_rate_limit(option, FH_LIMIT_LINK_RESETS, FH_LIMIT_LINK_RESETS_PER_S); /* a tunnel may end in one */
        rc = make_session(l, callbacks, option);
    }
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    return rc;
}

int fh_link_session_open(fh_link *l, fh_err **err)
{
    nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, l->answers ? FH_LIMIT_LINK_STREAMS : 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, FH_LIMIT_LINK_STREAM_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, FH_LIMIT_LINK_HEADER_BYTES},
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
    };
    int rc = new_session(l);
    size_t count = FH_COUNT(settings) - (l->answers ? 1 : 0); /* the last is a client's alone */
    if (rc == 0) rc = nghttp2_submit_settings(l->session, NGHTTP2_FLAG_NONE, settings, count);
    if (rc == 0) rc = nghttp2_session_set_local_window_size(l->session, NGHTTP2_FLAG_NONE, 0, LINK_WINDOW);
    return rc == 0 ? 0 : fh_err_nomem(err);
}

static void failed(fh_link *l, ssize_t rc)
{
    fh_link_lose(l, rc == NGHTTP2_ERR_NOMEM ? FH_E_NOMEM : FH_E_UPSTREAM, "%s: the link broke: %s", l->peer.address,
                 nghttp2_strerror((int)rc));
}

void fh_link_session_hear(fh_link *l, const char *data, size_t bytes)
{
    ssize_t n = nghttp2_session_mem_recv(l->session, (const uint8_t *)data, bytes);
    if (n < 0) failed(l, n);
}

bool fh_link_session_fill(fh_link *l)
{
    const uint8_t *data = NULL;
    ssize_t n = 1;
    while (l->out.len < FH_LINK_OUT_BYTES && (n = nghttp2_session_mem_send(l->session, &data)) > 0) {
        if (!fh_buf_add(&l->out, data, (size_t)n)) n = NGHTTP2_ERR_NOMEM;
        if (n < 0) break;
    }
    if (n < 0) failed(l, n);
    if (l->out.len == 0 && !nghttp2_session_want_read(l->session))
        fh_link_lose(l, FH_E_UPSTREAM, "%s: the other end does not keep to HTTP/2", l->peer.address);
    return l->out.len > 0 && !(l->lost && !l->parting);
}

void fh_link_session_ping(fh_link *l)
{
    uint8_t opaque[8];
    l->ping_sent = (uint64_t)fh_clock_mono_ns();
    memcpy(opaque, &l->ping_sent, sizeof opaque);
    if (nghttp2_submit_ping(l->session, NGHTTP2_FLAG_NONE, opaque) != 0) failed(l, NGHTTP2_ERR_NOMEM);
}

void fh_link_session_goodbye(fh_link *l)
{
    int code = fh_err_code(l->lost);
    const char *why = fh_err_message(l->lost);
    uint32_t error = code == FH_E_FORBIDDEN ? NGHTTP2_INADEQUATE_SECURITY
                     : code == FH_E_BUSY    ? NGHTTP2_ENHANCE_YOUR_CALM
                                            : NGHTTP2_NO_ERROR;
    nghttp2_submit_goaway(l->session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(l->session), error, (const uint8_t *)why,
                          FH_MIN(strlen(why), (size_t)FH_LIMIT_LINK_WHY_BYTES));
}

bool fh_link_nv(nghttp2_nv *nv, size_t *count, fh_str name, fh_str value)
{
    bool pseudo = name.len && name.ptr[0] == ':'; /* ours */
    const uint8_t *n = (const uint8_t *)name.ptr, *v = (const uint8_t *)value.ptr;
    if (*count >= FH_LINK_NV || (!pseudo && !nghttp2_check_header_name(n, name.len)) || !nghttp2_check_header_value(v, value.len))
        return false;
    nv[(*count)++] = (nghttp2_nv){(uint8_t *)(uintptr_t)n, (uint8_t *)(uintptr_t)v, name.len, value.len, NGHTTP2_NV_FLAG_NONE};
    return true;
}

size_t fh_link_nv_bytes(const nghttp2_nv *nv, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) bytes += nv[i].namelen + nv[i].valuelen + 2;
    return bytes;
}
