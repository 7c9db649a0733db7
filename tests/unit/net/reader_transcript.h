/* Drives the request reader over bytes cut in some way and writes down all that it says, so that two ways of cutting can be compared. */
#ifndef FH_TEST_READER_TRANSCRIPT_H
#define FH_TEST_READER_TRANSCRIPT_H

#include "cmocka_all.h"
#include "net/http_reader.h"

static inline void transcribe_message(fh_buf *out, const fh_http_msg *m)
{
    fh_buf_addf(out, "%.*s %.*s ?%.*s host=%.*s 1.%d %s%s", (int)m->method.len, m->method.ptr, (int)m->path.len, m->path.ptr,
                (int)m->query.len, m->query.ptr ? m->query.ptr : "", (int)m->host.len, m->host.ptr ? m->host.ptr : "", m->minor,
                m->keep_alive ? "keep" : "close", m->expect_continue ? " expect" : "");
    for (size_t i = 0; i < m->header_count; i++) {
        fh_buf_addf(out, " [%.*s=", (int)m->headers[i].name.len, m->headers[i].name.ptr);
        fh_buf_add(out, m->headers[i].value.ptr, m->headers[i].value.len);
        fh_buf_addc(out, ']');
    }
    fh_buf_addf(out, " body(%zu)=", m->body.len);
    fh_buf_add(out, m->body.ptr, m->body.len);
    fh_buf_addc(out, '\n');
}

/* Pushes one piece; false once the reader has refused. */
static inline bool transcribe_piece(fh_http_reader *r, const char *p, size_t n, fh_buf *out, int *ret_status)
{
    while (n) {
        size_t took = n;
        fh_http_read state = FH_HTTP_MORE;
        int status = 0;
        fh_err *err = NULL;
        if (fh_http_reader_push(r, p, &took, &state, &status, &err) < 0) {
            fh_buf_addf(out, "refused %d: %s\n", status, fh_err_message(err));
            fh_err_free(err);
            *ret_status = status;
            return false;
        }
        assert_true(took <= n);
        p += took;
        n -= took;
        if (state == FH_HTTP_HEADERS) fh_buf_adds(out, "headers, ");
        if (state == FH_HTTP_DONE) {
            transcribe_message(out, fh_http_reader_msg(r));
            fh_http_reader_next(r);
        }
    }
    return true;
}

/* cut: bytes in the first piece; each: bytes in all the following ones. Answers the status of the refusal, 0 without one. */
static inline int transcribe(const fh_http_limits *l, fh_str bytes, size_t cut, size_t each, fh_buf *out)
{
    fh_http_reader *r = fh_http_reader_new(l);
    int status = 0;
    assert_non_null(r);
    for (size_t at = 0; at < bytes.len;) {
        size_t n = at == 0 && cut ? cut : each;
        n = FH_MIN(n, bytes.len - at);
        char *copy = fh_strndup(bytes.ptr + at, n); /* of its own, so that reading past a piece is found */
        bool go_on = transcribe_piece(r, copy, n, out, &status);
        fh_free(copy);
        if (!go_on) break;
        at += n;
    }
    if (!status && fh_http_reader_started(r)) fh_buf_adds(out, "unfinished\n");
    fh_http_reader_free(r);
    return status;
}

#endif
