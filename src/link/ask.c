/* Asks: a request of ours, and its reply.
 *
 * What holds: on_done is called once, from the loop, and nothing after it; then the ask is a stream that nobody wants. */
#include "private.h"

#include "base/clock.h"
#include <string.h>

struct fh_link_ask {
    fh_link_stream s;      /* first: it is freed as this */
    fh_link_ask_spec spec; /* callbacks, arg and times alone */
    fh_buf body, reply;
    size_t sent;
    int status;
    fh_timer *clock;
    int64_t moved_ns, until_ns; /* until: INT64_MAX when there is no end */
    bool body_waits, resumed;
};

static fh_link_ask *ask_of(fh_link_stream *s)
{
    return (fh_link_ask *)(void *)s;
}

/* What is freed at once; the stream itself goes with HTTP/2's. */
static void fini_ask(fh_link_ask *a)
{
    fh_timer_free(a->clock);
    a->clock = NULL;
    fh_buf_fini(&a->body);
    fh_buf_fini(&a->reply);
}

static void finish(fh_link_ask *a, int status, const fh_err *err)
{
    fh_str body = {fh_buf_cstr(&a->reply), a->reply.len};
    fh_timer_stop(a->clock);
    a->spec.on_done(a->spec.arg, status, status ? body : (fh_str){"", 0}, err);
    fini_ask(a);
}

static void moved(fh_link_ask *a)
{
    a->moved_ns = fh_clock_mono_ns();
}

/* ---- the reply ---- */

static void ask_head(fh_link_stream *s)
{
    fh_link_ask *a = ask_of(s);
    moved(a);
    a->status = s->head->status;
    if (a->spec.on_headers && a->status) a->spec.on_headers(a->spec.arg, a->status, s->head->list, s->head->count);
    fh_link_stream_forget_head(s);
}

static const fh_link_kind ask_kind;

static ssize_t give_piece(fh_link_ask *a, const char *data, size_t bytes)
{
    a->resumed = false;
    bool more = a->spec.on_data(a->spec.arg, data, bytes);
    if (a->s.kind == &ask_kind) a->s.paused = !more && !a->resumed; /* else it was cancelled meanwhile */
    return (ssize_t)bytes;
}

static ssize_t ask_take(fh_link_stream *s, const char *data, size_t bytes)
{
    fh_link_ask *a = ask_of(s);
    moved(a);
    if (a->spec.on_data) return give_piece(a, data, bytes);
    if (fh_buf_add(&a->reply, data, bytes)) return (ssize_t)bytes;
    if (!s->err) fh_buf_check(&a->reply, &s->err, "a reply on a link");
    return -1;
}

static void ask_ended(fh_link_stream *s)
{
    fh_link_ask *a = ask_of(s);
    if (s->err || !a->status) return; /* the close says what is wrong */
    finish(a, a->status, NULL);
    if (!s->out_end) fh_link_stream_reset(s, NGHTTP2_NO_ERROR);
    fh_link_stream_drop(s);
}

static void ask_closed(fh_link_stream *s, const fh_err *why)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    if (!why) fh_err_set(&err, FH_E_UPSTREAM, "%s: the reply has no status", s->link->peer.address);
    finish(ask_of(s), 0, why ? why : err);
    fh_link_stream_fini(s);
    fh_free(ask_of(s));
}

/* ---- the body ---- */

static ssize_t read_whole(fh_link_ask *a, void *out, size_t size, bool *ret_end)
{
    size_t n = FH_MIN(size, a->body.len - a->sent);
    memcpy(out, a->body.data + a->sent, n);
    a->sent += n;
    *ret_end = a->sent == a->body.len;
    return (ssize_t)n;
}

static ssize_t ask_read(fh_link_stream *s, void *out, size_t size, bool *ret_end)
{
    fh_link_ask *a = ask_of(s);
    moved(a);
    if (!a->spec.read) return read_whole(a, out, size, ret_end);
    a->body_waits = false;
    ssize_t n = a->spec.read(a->spec.arg, out, size);
    *ret_end = n == 0;
    if (n >= 0) return n;
    if (n != FH_LINK_READ_LATER) return fh_err_set(&s->err, FH_E_CANCELLED, "the body of a request could not be read"), -1;
    a->body_waits = true;
    return 0;
}

static const fh_link_kind ask_kind = {ask_head, ask_take, ask_ended, NULL, ask_read, ask_closed, true};

/* ---- time ---- */

/* Idle is who could go on: neither we hold the reply up, nor whoever makes the body. */
static int64_t idle_due(fh_link_ask *a, int64_t now)
{
    if (a->s.paused || a->body_waits) a->moved_ns = now;
    return a->moved_ns + a->spec.idle_timeout_ns;
}

static void on_clock(void *arg)
{
    fh_link_ask *a = arg;
    FH_AUTO(fh_err) fh_err *err = NULL;
    int64_t now = fh_clock_mono_ns(), idle = idle_due(a, now);
    if (now < idle && now < a->until_ns) {
        fh_timer_start(a->clock, FH_MAX(FH_MIN(idle, a->until_ns) - now, FH_NS_PER_MS));
        return;
    }
    fh_err_set(&err, FH_E_TIMEOUT, "%s: %s", a->s.link->peer.address,
               now >= a->until_ns ? "no whole reply in time" : "no progress in time");
    fh_link_stream_reset(&a->s, NGHTTP2_CANCEL);
    finish(a, 0, err);
    fh_link_stream_drop(&a->s);
}

static void set_times(fh_link_ask *a)
{
    fh_link_ask_spec *s = &a->spec;
    if (s->idle_timeout_ns <= 0) s->idle_timeout_ns = FH_LIMIT_LINK_ASK_IDLE_MS * FH_NS_PER_MS;
    moved(a);
    a->until_ns = s->total_timeout_ns > 0 ? a->moved_ns + s->total_timeout_ns : INT64_MAX;
    fh_timer_start(a->clock, FH_MIN(s->idle_timeout_ns, a->until_ns - a->moved_ns));
}

/* ---- starting ---- */

static int write_head(const fh_link_ask_spec *spec, nghttp2_nv *nv, size_t *count, fh_err **err)
{
    fh_str method = fh_str_of(spec->method), path = fh_str_of(spec->path);
    bool ok = method.len && !fh_str_eqs(method, "CONNECT") && nghttp2_check_method((const uint8_t *)method.ptr, method.len) && path.len &&
              path.ptr[0] == '/' && nghttp2_check_path((const uint8_t *)path.ptr, path.len) &&
              fh_link_nv(nv, count, FH_STR(":method"), method) && fh_link_nv(nv, count, FH_STR(":scheme"), FH_STR("https")) &&
              fh_link_nv(nv, count, FH_STR(":authority"), FH_STR("node")) && fh_link_nv(nv, count, FH_STR(":path"), path);
    if (!ok) return fh_err_set(err, FH_E_INVALID, "a request for a link cannot be sent: its method or path is malformed");
    for (size_t i = 0; i < spec->header_count; i++) {
        const fh_header *h = &spec->headers[i];
        if (!fh_link_nv(nv, count, h->name, h->value))
            return fh_err_set(err, FH_E_INVALID, "a request for a link cannot be sent: header %zu is malformed, or one too many", i);
    }
    if (fh_link_nv_bytes(nv, *count) <= FH_LIMIT_LINK_HEADER_BYTES) return 0;
    return fh_err_set(err, FH_E_TOO_LARGE, "a request for a link cannot be sent: its head has more than %d bytes",
                      FH_LIMIT_LINK_HEADER_BYTES);
}

static int prepare(fh_link_ask *a, const fh_link_ask_spec *spec, fh_err **err)
{
    a->spec = *spec;
    fh_buf_init(&a->reply, spec->max_reply_bytes ? spec->max_reply_bytes : FH_LIMIT_LINK_REPLY_BYTES);
    fh_buf_init(&a->body, spec->body.len);
    int rc = spec->read || fh_buf_add(&a->body, spec->body.ptr, spec->body.len) ? 0 : fh_err_nomem(err);
    if (rc == 0) rc = fh_timer_new(&a->clock, a->s.link->loop, on_clock, a, err);
    if (rc == 0 && fh_link_stream_head_new(&a->s) < 0) rc = fh_err_nomem(err);
    return rc;
}

int fh_link_ask_start(fh_link_ask **ret, fh_link *l, const fh_link_ask_spec *spec, fh_err **err)
{
    nghttp2_nv nv[FH_LINK_NV];
    size_t count = 0;
    int rc = fh_link_check(l, err);
    if (rc == 0) rc = write_head(spec, nv, &count, err);
    if (rc < 0) return rc;
    fh_link_ask *a = fh_calloc(1, sizeof *a);
    if (!a) return fh_err_nomem(err);
    fh_link_stream_init(&a->s, l, &ask_kind);
    rc = prepare(a, spec, err);
    if (rc == 0) rc = fh_link_stream_open(&a->s, nv, count, spec->read || spec->body.len, err);
    if (rc < 0) {
        fini_ask(a);
        fh_link_stream_fini(&a->s);
        fh_free(a);
        return rc;
    }
    set_times(a);
    if (ret) *ret = a;
    return 0;
}

void fh_link_ask_resume(fh_link_ask *a)
{
    a->resumed = true;
    a->s.paused = false;
    moved(a);
    fh_link_stream_todo(&a->s);
}

void fh_link_ask_resume_body(fh_link_ask *a)
{
    moved(a);
    fh_link_stream_wake(&a->s);
}

void fh_link_ask_cancel(fh_link_ask *a)
{
    fh_link_stream_reset(&a->s, NGHTTP2_CANCEL);
    fini_ask(a);
    fh_link_stream_drop(&a->s);
}
