/* Server-sent events (see sse.h). A line is gathered until its end, then taken as a field of the event under construction. */
#include "net/sse.h"

struct fh_sse_reader {
    size_t max;
    void (*on_event)(void *arg, fh_str event, fh_str data);
    void *arg;
    fh_buf line, event, data;
    size_t bom; /* bytes of a leading byte order mark seen; 3: past the beginning */
    bool after_cr, has_data, failed;
};

fh_sse_reader *fh_sse_reader_new(size_t max_event_bytes, void (*on_event)(void *arg, fh_str event, fh_str data), void *arg)
{
    fh_sse_reader *r = fh_calloc(1, sizeof *r);
    if (!r) return NULL;
    r->max = max_event_bytes;
    r->on_event = on_event;
    r->arg = arg;
    fh_buf_init(&r->line, max_event_bytes);
    fh_buf_init(&r->event, max_event_bytes);
    fh_buf_init(&r->data, max_event_bytes);
    return r;
}

void fh_sse_reader_free(fh_sse_reader *r)
{
    if (!r) return;
    fh_buf_fini(&r->line);
    fh_buf_fini(&r->event);
    fh_buf_fini(&r->data);
    fh_free(r);
}

static void dispatch(fh_sse_reader *r)
{
    if (r->has_data) r->on_event(r->arg, (fh_str){fh_buf_cstr(&r->event), r->event.len}, (fh_str){fh_buf_cstr(&r->data), r->data.len});
    fh_buf_clear(&r->event);
    fh_buf_clear(&r->data);
    r->has_data = false;
}

static bool take_field(fh_sse_reader *r, fh_str name, fh_str value)
{
    if (fh_str_eqs(name, "event")) {
        fh_buf_clear(&r->event);
        return fh_buf_add(&r->event, value.ptr, value.len);
    }
    if (!fh_str_eqs(name, "data")) return true; /* id and retry mean nothing without reconnection */
    if (r->has_data && !fh_buf_addc(&r->data, '\n')) return false;
    r->has_data = true;
    return fh_buf_add(&r->data, value.ptr, value.len);
}

static bool end_line(fh_sse_reader *r)
{
    fh_str line = {fh_buf_cstr(&r->line), r->line.len}, value = {line.ptr + line.len, 0};
    bool ok = true;
    if (line.len == 0)
        dispatch(r);
    else if (line.ptr[0] != ':') {
        const char *colon = memchr(line.ptr, ':', line.len);
        if (colon) {
            size_t skip = (size_t)(colon - line.ptr) + 1;
            if (skip < line.len && line.ptr[skip] == ' ') skip++;
            value = (fh_str){line.ptr + skip, line.len - skip};
            line.len = (size_t)(colon - line.ptr);
        }
        ok = take_field(r, line, value);
    }
    fh_buf_clear(&r->line);
    return ok;
}

/* The bytes before the next line end; 0 at one. */
static size_t plain_run(const char *p, size_t n)
{
    const char *lf = memchr(p, '\n', n);
    size_t len = lf ? (size_t)(lf - p) : n;
    const char *cr = memchr(p, '\r', len);
    return cr ? (size_t)(cr - p) : len;
}

/* A byte order mark before the first line is dropped. It may come in pieces, hence the count; a part of one that goes on differently is
 * text. */
static size_t skip_bom(fh_sse_reader *r, const char *p, size_t n)
{
    static const char mark[] = "\xef\xbb\xbf";
    size_t used = 0;
    while (r->bom < 3 && used < n) {
        if (p[used] != mark[r->bom]) {
            fh_buf_add(&r->line, mark, r->bom);
            r->bom = 3;
            return used;
        }
        r->bom++;
        used++;
    }
    return used;
}

int fh_sse_reader_push(fh_sse_reader *r, const void *data, size_t bytes, fh_err **err)
{
    const char *p = data;
    bool ok = !r->failed;
    for (size_t i = r->bom < 3 ? skip_bom(r, p, bytes) : 0; ok && i < bytes;) {
        bool lf_of_crlf = r->after_cr && p[i] == '\n';
        r->after_cr = p[i] == '\r';
        size_t run = plain_run(p + i, bytes - i);
        if (lf_of_crlf)
            i++;
        else if (run) {
            ok = fh_buf_add(&r->line, p + i, run);
            i += run;
        } else {
            ok = end_line(r);
            i++;
        }
    }
    r->failed = !ok;
    if (ok) return 0;
    return fh_err_set(err, FH_E_TOO_LARGE, "a server-sent event is longer than %zu bytes, or memory is out", r->max);
}

/* A line of its own for each line of data, so that no byte of it can end the event or begin another field. */
bool fh_sse_write(fh_buf *out, const char *event, fh_str data)
{
    if (event) fh_buf_addf(out, "event: %s\n", event);
    for (;;) {
        size_t run = data.len ? plain_run(data.ptr, data.len) : 0;
        fh_buf_adds(out, "data: ");
        fh_buf_add(out, data.ptr, run);
        fh_buf_addc(out, '\n');
        if (run == data.len) break;
        size_t end = run + 1 < data.len && data.ptr[run] == '\r' && data.ptr[run + 1] == '\n' ? 2 : 1;
        data = (fh_str){data.ptr + run + end, data.len - run - end};
    }
    return fh_buf_addc(out, '\n');
}
