/* The request reader and the reader of server-sent events on arbitrary bytes. The first byte says how the rest is cut into pieces; cut or
 * whole, what is read must be the same. */
#include "base/buf.h"
#include "net/http_reader.h"
#include "net/sse.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_message(fh_buf *out, const fh_http_msg *m)
{
    const fh_str parts[] = {m->method, m->target, m->path, m->query, m->host, m->body};
    for (size_t i = 0; i < FH_COUNT(parts); i++) {
        fh_buf_addf(out, "%zu:", parts[i].len);
        if (parts[i].len) fh_buf_add(out, parts[i].ptr, parts[i].len);
    }
    for (size_t i = 0; i < m->header_count; i++) {
        fh_buf_addf(out, "%zu=%zu:", m->headers[i].name.len, m->headers[i].value.len);
        fh_buf_add(out, m->headers[i].name.ptr, m->headers[i].name.len);
        if (m->headers[i].value.len) fh_buf_add(out, m->headers[i].value.ptr, m->headers[i].value.len);
    }
    fh_buf_addf(out, "%d%d%d\n", m->minor, m->keep_alive, m->expect_continue);
    if (m->path.len == 0 || memchr(m->path.ptr, 0, m->path.len)) abort();
    if (m->method.len == 0 || (m->minor == 1 && m->host.len == 0)) abort();
}

static bool push_piece(fh_http_reader *r, const char *p, size_t n, fh_buf *out)
{
    while (n) {
        size_t took = n;
        fh_http_read state = FH_HTTP_MORE;
        int status = 0;
        if (fh_http_reader_push(r, p, &took, &state, &status, NULL) < 0) {
            fh_buf_addf(out, "refused %d\n", status);
            return false;
        }
        if (took > n || (took == 0 && state == FH_HTTP_MORE)) abort();
        p += took;
        n -= took;
        if (state == FH_HTTP_HEADERS) {
            fh_buf_adds(out, "headers\n");
            if (fh_http_reader_body_most(r, 64 * fh_http_reader_msg(r)->path.len, &status, NULL) < 0) {
                fh_buf_addf(out, "refused %d\n", status);
                return false;
            }
        }
        if (state != FH_HTTP_DONE) continue;
        write_message(out, fh_http_reader_msg(r));
        fh_http_reader_next(r);
    }
    return true;
}

static void read_requests(const char *p, size_t n, size_t each, fh_buf *out)
{
    const fh_http_limits limits = {.request_line_bytes = 256, .header_bytes = 1024, .headers = 10, .body_bytes = 4096};
    fh_http_reader *r = fh_http_reader_new(&limits);
    if (!r) abort();
    for (size_t at = 0; at < n; at += each) {
        size_t piece = FH_MIN(each, n - at);
        char *copy = fh_strndup(p + at, piece);
        bool go_on = copy && push_piece(r, copy, piece, out);
        fh_free(copy);
        if (!go_on) break;
    }
    fh_buf_addf(out, "%d", fh_http_reader_started(r));
    fh_http_reader_free(r);
}

static void write_event(void *arg, fh_str event, fh_str data)
{
    fh_buf *out = arg;
    fh_buf_addf(out, "%zu:%zu:", event.len, data.len);
    fh_buf_add(out, event.ptr, event.len);
    fh_buf_add(out, data.ptr, data.len);
}

static void read_events(const char *p, size_t n, size_t each, fh_buf *out)
{
    fh_sse_reader *r = fh_sse_reader_new(512, write_event, out);
    if (!r) abort();
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < n; at += each) rc = fh_sse_reader_push(r, p + at, FH_MIN(each, n - at), NULL);
    fh_buf_addf(out, "%d", rc);
    fh_sse_reader_free(r);
}

static void expect_same(void (*read)(const char *, size_t, size_t, fh_buf *), const char *p, size_t n, size_t each)
{
    FH_AUTO(buf) fh_buf whole = FH_BUF(1 << 24), cut = FH_BUF(1 << 24);
    read(p, n, n, &whole);
    read(p, n, each, &cut);
    if (!fh_buf_ok(&whole) || whole.len != cut.len || memcmp(whole.data, cut.data, whole.len) != 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    size_t each = 1 + data[0] % 37;
    expect_same(read_requests, (const char *)data + 1, size - 1, each);
    expect_same(read_events, (const char *)data + 1, size - 1, each);
    return 0;
}
