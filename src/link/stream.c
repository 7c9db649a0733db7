/* Streams of a link, of whatever kind: what came waits here until it is taken, and what is to be done is done from the loop.
 *
 * What holds: a stream lives until HTTP/2 has closed it and its kind has heard of the end; what came before the close is still taken, also
 * when the other end broke off behind it. Only fh_link_stream_run and the link's end call a kind's `closed`, which frees. */
#include "private.h"

void fh_link_bytes_drop(fh_link_bytes *b, size_t n)
{
    b->at += n;
    if (b->at == b->buf.len) {
        size_t max = b->buf.max;
        fh_buf_fini(&b->buf);
        fh_buf_init(&b->buf, max);
        b->at = 0;
    } else if (b->at >= FH_LIMIT_LINK_STREAM_BYTES && b->at >= b->buf.len / 2) {
        fh_buf_consume(&b->buf, b->at);
        b->at = 0;
    }
}

/* ---- what nobody wants any more ---- */

void fh_link_stream_forget_head(fh_link_stream *s)
{
    fh_link_head *h = s->head;
    s->head = NULL;
    s->head_due = false;
    if (!h) return;
    fh_buf_fini(&h->text);
    fh_free(h);
}

static void dead_head(fh_link_stream *s)
{
}

static ssize_t dead_take(fh_link_stream *s, const char *data, size_t bytes)
{
    return (ssize_t)bytes;
}

static ssize_t dead_read(fh_link_stream *s, void *out, size_t size, bool *ret_end)
{
    return -1;
}

static void dead_closed(fh_link_stream *s, const fh_err *why)
{
    fh_link_stream_fini(s);
    fh_free(s);
}

static const fh_link_kind dead = {dead_head, dead_take, dead_head, NULL, dead_read, dead_closed, false};

/* The record stays, as one of no kind, until HTTP/2 has closed the stream. It is the first member of its owner's, so that it is freed. */
void fh_link_stream_drop(fh_link_stream *s)
{
    s->kind = &dead;
    s->paused = false;
    fh_link_stream_forget_head(s);
    fh_link_stream_todo(s);
}

/* ---- coming and going ---- */

void fh_link_stream_init(fh_link_stream *s, fh_link *l, const fh_link_kind *kind)
{
    s->link = l;
    s->kind = kind;
    s->window = FH_LIMIT_LINK_STREAM_BYTES;
    fh_buf_init(&s->in.buf, (size_t)2 * FH_LIMIT_LINK_STREAM_MOST_BYTES);
    s->next = l->streams;
    if (s->next) s->next->prev = s;
    l->streams = s;
    l->stream_count++;
}

static void untodo(fh_link_stream *s)
{
    fh_link *l = s->link;
    for (fh_link_stream **p = &l->todo; *p; p = &(*p)->todo_next) {
        if (*p != s) continue;
        *p = s->todo_next;
        if (!*p) l->todo_last = p;
        return;
    }
}

static void consume(fh_link_stream *s, size_t bytes)
{
    if (!bytes || !s->link->session) return;
    nghttp2_session *session = s->link->session;
    int rc = s->id ? nghttp2_session_consume(session, s->id, bytes) : nghttp2_session_consume_connection(session, bytes);
    if (rc != 0) fh_link_lose(s->link, FH_E_NOMEM, "out of memory");
}

void fh_link_stream_fini(fh_link_stream *s)
{
    fh_link *l = s->link;
    if (s->todo) untodo(s);
    if (s->prev)
        s->prev->next = s->next;
    else
        l->streams = s->next;
    if (s->next) s->next->prev = s->prev;
    l->stream_count--;
    l->grown_bytes -= s->window - FH_LIMIT_LINK_STREAM_BYTES;
    consume(s, fh_link_bytes_len(&s->in));
    if (s->id) nghttp2_session_set_stream_user_data(l->session, s->id, NULL);
    fh_link_stream_forget_head(s);
    fh_buf_fini(&s->in.buf);
    fh_err_free(s->err);
}

void fh_link_stream_move(fh_link_stream *to, fh_link_stream *from)
{
    to->in = from->in;
    to->id = from->id;
    to->code = from->code;
    to->window = from->window;
    to->kept_up_bytes = from->kept_up_bytes;
    to->in_bytes = from->in_bytes;
    to->in_end = from->in_end;
    from->in = (fh_link_bytes){0};
    from->id = 0;
    from->window = FH_LIMIT_LINK_STREAM_BYTES;
    if (to->id) nghttp2_session_set_stream_user_data(to->link->session, to->id, to);
}

int fh_link_stream_head_new(fh_link_stream *s)
{
    s->head = fh_calloc(1, sizeof *s->head);
    if (!s->head) return FH_E_NOMEM;
    fh_buf_init(&s->head->text, FH_LIMIT_LINK_HEADER_BYTES);
    return 0;
}

int fh_link_check(const fh_link *l, fh_err **err)
{
    if (l->lost || !l->up) return fh_err_set(err, FH_E_UNAVAILABLE, "%s: the link is ending", l->peer.address);
    size_t most = nghttp2_session_get_remote_settings(l->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    if (l->stream_count < FH_MIN(most, (size_t)FH_LIMIT_LINK_STREAMS)) return 0;
    return fh_err_set(err, FH_E_BUSY, "%s: the link has as many streams as it may", l->peer.address);
}

int fh_link_stream_open(fh_link_stream *s, nghttp2_nv *nv, size_t count, bool body, fh_err **err)
{
    fh_link *l = s->link;
    nghttp2_data_provider source = {.read_callback = fh_link_session_read};
    int32_t id = nghttp2_submit_request(l->session, NULL, nv, count, body ? &source : NULL, s);
    if (id == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE) {
        fh_link_close(l, FH_E_UNAVAILABLE, "the link has no numbers left for streams");
        return fh_err_set(err, FH_E_UNAVAILABLE, "the link has no numbers left for streams: it is made anew");
    }
    if (id < 0) return fh_err_nomem(err);
    s->id = id;
    fh_link_kick(l);
    return 0;
}

void fh_link_stream_reset(fh_link_stream *s, uint32_t code)
{
    if (!s->id || s->refused) return;
    s->refused = true;
    if (nghttp2_submit_rst_stream(s->link->session, NGHTTP2_FLAG_NONE, s->id, code) != 0)
        fh_link_lose(s->link, FH_E_NOMEM, "out of memory");
    fh_link_kick(s->link);
}

void fh_link_stream_wake(fh_link_stream *s)
{
    if (!s->id || s->link->lost) return;
    int rc = nghttp2_session_resume_data(s->link->session, s->id);
    if (rc == NGHTTP2_ERR_NOMEM) fh_link_lose(s->link, FH_E_NOMEM, "out of memory");
    fh_link_kick(s->link);
}

/* ---- what there is to do ---- */

void fh_link_stream_todo(fh_link_stream *s)
{
    fh_link *l = s->link;
    if (s->todo) return;
    s->todo = true;
    s->todo_next = NULL;
    *l->todo_last = s;
    l->todo_last = &s->todo_next;
    fh_link_kick(l);
}

/* A reader that took a whole window and has nothing waiting gets a larger one, while there is some left to give. */
static void grow(fh_link_stream *s, size_t taken)
{
    fh_link *l = s->link;
    s->kept_up_bytes += taken;
    if (s->kept_up_bytes < s->window || s->window >= FH_LIMIT_LINK_STREAM_MOST_BYTES) return;
    s->kept_up_bytes = 0;
    if (l->grown_bytes + s->window > FH_LIMIT_LINK_GROWN_BYTES || s->in_end) return;
    int32_t wider = (int32_t)s->window * 2;
    if (nghttp2_session_set_local_window_size(l->session, NGHTTP2_FLAG_NONE, s->id, wider) != 0) return;
    l->grown_bytes += s->window;
    s->window *= 2;
}

static void give(fh_link_stream *s)
{
    while (!s->paused && fh_link_bytes_len(&s->in) > 0) {
        ssize_t n = s->kind->take(s, s->in.buf.data + s->in.at, fh_link_bytes_len(&s->in));
        if (n == 0) return;
        if (n < 0) {
            fh_link_stream_reset(s, NGHTTP2_CANCEL);
            n = (ssize_t)fh_link_bytes_len(&s->in); /* nobody is there for it */
        }
        consume(s, (size_t)n);
        fh_link_bytes_drop(&s->in, (size_t)n);
        if (fh_link_bytes_len(&s->in) == 0 && s->id && !s->paused) grow(s, (size_t)n);
    }
}

/* Why HTTP/2 closed it; NULL when both ends said all they had. */
static int why_closed(const fh_link_stream *s, fh_err **ret)
{
    if (s->code == NGHTTP2_NO_ERROR && s->in_end) return 0;
    if (s->code == NGHTTP2_REFUSED_STREAM || s->code == NGHTTP2_ENHANCE_YOUR_CALM)
        return fh_err_set(ret, FH_E_BUSY, "%s: the other end takes no more for now", s->link->peer.address);
    return fh_err_set(ret, FH_E_UPSTREAM, "%s: the other end broke off (%s)", s->link->peer.address, nghttp2_http2_strerror(s->code));
}

static void close_it(fh_link_stream *s)
{
    FH_AUTO(fh_err) fh_err *why = NULL;
    if (s->err)
        fh_err_move(&why, &s->err);
    else
        why_closed(s, &why);
    s->kind->closed(s, why);
}

void fh_link_stream_run(fh_link_stream *s)
{
    if (s->head_due) {
        s->head_due = false;
        s->kind->head(s);
    }
    if (s->kind->woken) s->kind->woken(s);
    give(s);
    bool empty = fh_link_bytes_len(&s->in) == 0;
    if (empty && s->in_end && !s->in_told && !s->paused && !s->err && !s->refused) { /* else something is missing */
        s->in_told = true;
        s->kind->ended(s);
    }
    if (!s->id && ((empty && !s->paused) || !s->kind->outlives)) close_it(s);
}
