/* Replies of the dialling end, whole or streamed. What is not sent yet waits in r->out; its source is told to pause above
 * LINK_STREAM_BYTES, and to go on below half of it. */
#include "private.h"

#include <stdio.h>
#include <string.h>

enum { PAUSE_BYTES = FH_LIMIT_LINK_STREAM_BYTES, DRAIN_BYTES = PAUSE_BYTES / 2 };

bool fh_link_reply_header(fh_link_req *r, const char *name, const char *value)
{
    size_t name_len = strlen(name), value_len = strlen(value);
    bool ok = r->extra_count + 4 < FH_LIMIT_LINK_HEADERS && nghttp2_check_header_name((const uint8_t *)name, name_len) && name[0] != ':' &&
              nghttp2_check_header_value((const uint8_t *)value, value_len) && fh_buf_add(&r->extra, name, name_len + 1) &&
              fh_buf_add(&r->extra, value, value_len + 1);
    if (ok) r->extra_count++;
    return ok;
}

/* A head that cannot be sent resets the stream. */
static void send_head(fh_link_req *r, int status, const char *content_type, bool body)
{
    nghttp2_nv nv[FH_LINK_NV];
    char digits[4];
    size_t count = 0;
    const char *at = r->extra.data;
    nghttp2_data_provider source = {.read_callback = fh_link_session_read};
    snprintf(digits, sizeof digits, "%03d", status < 200 || status > 599 ? 500 : status);
    bool ok = fh_link_nv(nv, &count, FH_STR(":status"), fh_str_of(digits));
    if (content_type) ok &= fh_link_nv(nv, &count, FH_STR("content-type"), fh_str_of(content_type));
    for (size_t i = 0; at && i < r->extra_count; i++) {
        fh_str name = fh_str_of(at), value = fh_str_of(at + name.len + 1);
        at = value.ptr + value.len + 1;
        ok &= fh_link_nv(nv, &count, name, value);
    }
    if (!r->s.id) return; /* nobody waits: on_gone is on its way, or was not asked for */
    ok = ok && fh_link_nv_bytes(nv, count) <= FH_LIMIT_LINK_HEADER_BYTES &&
         nghttp2_submit_response(r->s.link->session, r->s.id, nv, count, body ? &source : NULL) == 0;
    if (!ok) fh_link_stream_reset(&r->s, NGHTTP2_INTERNAL_ERROR);
    fh_link_kick(r->s.link);
}

/* From here on it is no longer the caller's. */
static void given(fh_link_req *r)
{
    r->state = FH_LINK_GIVEN;
    r->s.hangs_up = true;
    r->s.paused = false;
    fh_link_stream_todo(&r->s);
}

void fh_link_reply(fh_link_req *r, int status, const char *content_type, const void *body, size_t bytes)
{
    if (r->state != FH_LINK_OWED) return;
    bool bare = bytes == 0 || fh_str_eqs(r->s.head->method, "HEAD"), fits = true;
    r->out.buf.max = bytes;
    if (!bare) fits = fh_buf_add(&r->out.buf, body, bytes);
    r->out_whole = true;
    if (fits)
        send_head(r, status, content_type, !bare);
    else
        fh_link_stream_reset(&r->s, NGHTTP2_INTERNAL_ERROR);
    given(r);
}

void fh_link_reply_start(fh_link_req *r, int status, const char *content_type)
{
    if (r->state != FH_LINK_OWED) return;
    r->state = FH_LINK_STREAMED;
    send_head(r, status, content_type, true);
}

bool fh_link_reply_write(fh_link_req *r, const void *data, size_t bytes)
{
    if (r->state != FH_LINK_STREAMED || r->s.refused || !r->s.id) return false;
    if (!fh_buf_add(&r->out.buf, data, bytes)) {
        fh_link_stream_reset(&r->s, NGHTTP2_INTERNAL_ERROR);
        return false;
    }
    fh_link_stream_wake(&r->s);
    r->full = fh_link_bytes_len(&r->out) > PAUSE_BYTES;
    return !r->full;
}

void fh_link_reply_on_drain(fh_link_req *r, void (*fn)(void *arg), void *arg)
{
    r->on_drain = fn;
    r->drain_arg = arg;
}

void fh_link_reply_end(fh_link_req *r)
{
    if (r->state != FH_LINK_STREAMED) return;
    r->out_whole = true;
    given(r);
    fh_link_stream_wake(&r->s);
}

void fh_link_reply_abort(fh_link_req *r)
{
    if (r->state == FH_LINK_GIVEN) return;
    fh_link_stream_reset(&r->s, NGHTTP2_CANCEL);
    given(r);
}

ssize_t fh_link_req_read(fh_link_stream *s, void *out, size_t size, bool *ret_end)
{
    fh_link_req *r = (fh_link_req *)(void *)s;
    size_t n = FH_MIN(size, fh_link_bytes_len(&r->out));
    if (n) memcpy(out, r->out.buf.data + r->out.at, n);
    fh_link_bytes_drop(&r->out, n);
    *ret_end = r->out_whole && fh_link_bytes_len(&r->out) == 0;
    if (r->full && fh_link_bytes_len(&r->out) <= DRAIN_BYTES) {
        r->full = false;
        r->drained = true;
        fh_link_stream_todo(s);
    }
    return (ssize_t)n;
}
