/* The strict HTTP/1.1 request reader: bytes in, requests out. Pure, no I/O, fuzzed. RFC 9112 where it says MUST; where RFC 9112 lets a
 * server repair, we refuse: Content-Length with Transfer-Encoding, two Content-Lengths, blank before the colon, unknown or repeated
 * transfer codings, line folding, bare LF or CR, signs or blanks or hex prefixes in numbers, NUL, no Host or two, absolute-form of another
 * scheme, control characters, HTTP/1.0 with Transfer-Encoding, trailers that name framing fields. */
#ifndef FH_NET_HTTP_READER_H
#define FH_NET_HTTP_READER_H

#include "net/http.h"

typedef struct fh_http_reader fh_http_reader;

typedef struct fh_http_limits {
    size_t request_line_bytes, header_bytes, headers, body_bytes;
} fh_http_limits;
void fh_http_limits_default(fh_http_limits *l);

typedef struct fh_http_msg { /* borrowed from the reader until the next push */
    fh_str method, target, path, query, host;
    int minor; /* HTTP/1.minor */
    const fh_header *headers;
    size_t header_count;
    fh_str body;
    bool keep_alive, expect_continue;
} fh_http_msg;

typedef enum fh_http_read { FH_HTTP_MORE, FH_HTTP_HEADERS, FH_HTTP_DONE } fh_http_read;

fh_http_reader *fh_http_reader_new(const fh_http_limits *l);
void fh_http_reader_free(fh_http_reader *r);
/* Consumes up to *io_bytes bytes (sets what it took) and says where it stands; FH_HTTP_HEADERS is reported once, when the headers are
 * complete and a body follows. A refusal is a negative code, *ret_status the HTTP status to answer (400, 408, 413, 414, 415, 417, 431, 501,
 * 505) before closing. */
int fh_http_reader_push(fh_http_reader *r, const char *data, size_t *io_bytes, fh_http_read *ret_state, int *ret_status, fh_err **err);
/* From FH_HTTP_HEADERS on: the body of this request may have no more than so many bytes. Refuses at once one that has, or says so (413). */
int fh_http_reader_body_most(fh_http_reader *r, size_t most, int *ret_status, fh_err **err);
const fh_http_msg *fh_http_reader_msg(const fh_http_reader *r);
void fh_http_reader_next(fh_http_reader *r);               /* forget the finished request, ready for the next of the connection */
size_t fh_http_reader_body_bytes(const fh_http_reader *r); /* of the body so far */
fh_str fh_http_reader_target(const fh_http_reader *r);     /* raw, of a refused request too; {NULL,0} before its first line */
bool fh_http_reader_started(const fh_http_reader *r);      /* some bytes of a request have come */

#endif
