/* The strict request reader (see http_reader.h). A state machine over lines and counted bytes:
 *
 *   REQUEST_LINE -> HEADER -> [LENGTH_BODY | CHUNK_SIZE <-> CHUNK_DATA -> CHUNK_END, then TRAILER] -> DONE, and FAILED from anywhere
 *
 * What holds: every decision depends on the bytes so far and not on how they were cut into pushes; a line is looked at once, when its LF
 * has come, and its length is bounded before that; the head stays in one buffer until fh_http_reader_next, so that slices into it live
 * through the body. */
#include "private.h"

#include "base/limits.h"

typedef enum read_state { REQUEST_LINE, HEADER, LENGTH_BODY, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER, DONE, FAILED } read_state;

typedef struct span { /* into head: its data may move while it grows */
    size_t at, len;
} span;

typedef struct header_span {
    span name, value;
} header_span;

struct fh_http_reader {
    fh_http_limits limits;
    read_state state;
    int status; /* of the refusal */
    fh_buf head, line, path, body;
    size_t line_at;    /* in head: where the present line begins */
    size_t headers_at; /* in head: where the header lines begin */
    size_t trailer_bytes, extension_bytes;
    bool skipped_blank, chunked, announce;
    span method, target;
    header_span *spans; /* limits.headers of them */
    fh_header *headers;
    size_t header_count, trailer_count;
    uint64_t left;    /* of the body or of the chunk */
    size_t body_most; /* of this request */
    fh_http_msg msg;
};

enum { METHOD_BYTES = 32, KEEP_BYTES = 8192 };

void fh_http_limits_default(fh_http_limits *l)
{
    *l = (fh_http_limits){FH_LIMIT_HTTP_REQUEST_LINE_BYTES, FH_LIMIT_HTTP_HEADER_BYTES, FH_LIMIT_HTTP_HEADERS, FH_LIMIT_HTTP_BODY_BYTES};
}

fh_http_reader *fh_http_reader_new(const fh_http_limits *l)
{
    fh_http_reader *r = fh_calloc(1, sizeof *r);
    if (!r) return NULL;
    r->limits = *l;
    r->body_most = l->body_bytes;
    fh_buf_init(&r->head, l->request_line_bytes + l->header_bytes + 8);
    fh_buf_init(&r->line, FH_MAX(l->header_bytes, (size_t)FH_LIMIT_HTTP_CHUNK_LINE_BYTES) + 8);
    fh_buf_init(&r->path, l->request_line_bytes + 8);
    fh_buf_init(&r->body, l->body_bytes);
    r->spans = fh_calloc(l->headers, sizeof *r->spans);
    r->headers = fh_calloc(l->headers, sizeof *r->headers);
    if (r->spans && r->headers) return r;
    fh_http_reader_free(r);
    return NULL;
}

void fh_http_reader_free(fh_http_reader *r)
{
    if (!r) return;
    fh_buf_fini(&r->head);
    fh_buf_fini(&r->line);
    fh_buf_fini(&r->path);
    fh_buf_fini(&r->body);
    fh_free(r->spans);
    fh_free(r->headers);
    fh_free(r);
}

static void forget(fh_buf *b)
{
    if (b->cap > KEEP_BYTES) {
        size_t max = b->max;
        fh_buf_fini(b);
        fh_buf_init(b, max);
    }
    fh_buf_clear(b);
}

void fh_http_reader_next(fh_http_reader *r)
{
    forget(&r->head);
    forget(&r->line);
    forget(&r->path);
    forget(&r->body);
    r->state = REQUEST_LINE;
    r->line_at = r->headers_at = r->trailer_bytes = r->extension_bytes = 0;
    r->header_count = r->trailer_count = 0;
    r->skipped_blank = r->chunked = r->announce = false;
    r->left = 0;
    r->body_most = r->limits.body_bytes;
    r->method = r->target = (span){0, 0};
    r->msg = (fh_http_msg){0};
}

bool fh_http_reader_started(const fh_http_reader *r)
{
    return r->state != REQUEST_LINE || r->head.len > 0;
}

size_t fh_http_reader_body_bytes(const fh_http_reader *r)
{
    return r->body.len;
}

const fh_http_msg *fh_http_reader_msg(const fh_http_reader *r)
{
    return &r->msg;
}

static int refuse(fh_http_reader *r, fh_err **err, int status, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static int refuse(fh_http_reader *r, fh_err **err, int status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int rc = fh_http_vrefuse(&r->status, err, status, fmt, ap);
    va_end(ap);
    r->state = FAILED;
    return rc;
}

/* For errors that a helper has set: bad syntax, or no memory. */
static int refuse_as(fh_http_reader *r, int rc)
{
    r->state = FAILED;
    r->status = rc == FH_E_NOMEM ? 503 : 400;
    return rc;
}

static int no_memory(fh_http_reader *r, fh_err **err)
{
    fh_err_nomem(err);
    return refuse_as(r, FH_E_NOMEM);
}

static span span_of(const fh_http_reader *r, fh_str s)
{
    return (span){(size_t)(s.ptr - r->head.data), s.len};
}

static fh_str str_of(const fh_http_reader *r, span s)
{
    return (fh_str){r->head.data + s.at, s.len};
}

fh_str fh_http_reader_target(const fh_http_reader *r)
{
    return r->target.len ? str_of(r, r->target) : (fh_str){NULL, 0};
}

/* Request line. */

static int parse_version(fh_http_reader *r, fh_str v, fh_err **err)
{
    bool shape = v.len == 8 && memcmp(v.ptr, "HTTP/", 5) == 0 && v.ptr[5] >= '0' && v.ptr[5] <= '9' && v.ptr[6] == '.' && v.ptr[7] >= '0' &&
                 v.ptr[7] <= '9';
    if (!shape) return refuse(r, err, 400, "the request line does not end in an HTTP version");
    if (v.ptr[5] != '1' || v.ptr[7] > '1') return refuse(r, err, 505, "HTTP/%c.%c is not supported: use HTTP/1.1", v.ptr[5], v.ptr[7]);
    r->msg.minor = v.ptr[7] - '0';
    return 0;
}

static int check_method(fh_http_reader *r, fh_str method, fh_err **err)
{
    if (!fh_http_token_valid(method)) return refuse(r, err, 400, "the method is not a token");
    if (method.len > METHOD_BYTES || fh_str_eqs(method, "CONNECT")) return refuse(r, err, 501, "this method is not supported");
    return 0;
}

static int check_target(fh_http_reader *r, fh_str method, fh_str target, fh_err **err)
{
    fh_str authority, path, query;
    int rc = fh_http_target_split(target, &authority, &path, &query, err);
    if (rc < 0) return refuse_as(r, rc);
    if (fh_str_eqs(path, "*")) return fh_str_eqs(method, "OPTIONS") ? 0 : refuse(r, err, 400, "the target * is for OPTIONS only");
    rc = fh_http_path_decode(path, &r->path, err);
    return rc < 0 ? refuse_as(r, rc) : 0;
}

static int parse_request_line(fh_http_reader *r, fh_str line, fh_err **err)
{
    const char *a = memchr(line.ptr, ' ', line.len);
    const char *b = a ? memchr(a + 1, ' ', line.len - (size_t)(a + 1 - line.ptr)) : NULL;
    if (!b) return refuse(r, err, 400, "the request line is not a method, a target and a version");
    fh_str method = {line.ptr, (size_t)(a - line.ptr)}, target = {a + 1, (size_t)(b - a - 1)};
    r->method = span_of(r, method);
    r->target = span_of(r, target);
    int rc = parse_version(r, (fh_str){b + 1, line.len - (size_t)(b + 1 - line.ptr)}, err);
    if (rc == 0) rc = check_method(r, method, err);
    if (rc == 0) rc = check_target(r, method, target, err);
    if (rc < 0) return rc;
    r->state = HEADER;
    return 0;
}

/* Header lines. */

/* name: value, into slices; the same rules hold for headers and trailers. */
static int split_field(fh_http_reader *r, fh_str line, fh_str *ret_name, fh_str *ret_value, fh_err **err)
{
    if (line.ptr[0] == ' ' || line.ptr[0] == '\t') return refuse(r, err, 400, "a header line is folded");
    const char *colon = memchr(line.ptr, ':', line.len);
    if (!colon) return refuse(r, err, 400, "a header line has no colon");
    *ret_name = (fh_str){line.ptr, (size_t)(colon - line.ptr)};
    if (!fh_http_token_valid(*ret_name))
        return refuse(r, err, 400, "a header name is empty or holds a character that is not allowed there");
    fh_str value = {colon + 1, line.len - ret_name->len - 1};
    if (!fh_http_value_valid(value)) return refuse(r, err, 400, "the value of a header holds a control character");
    *ret_value = fh_str_trim(value); /* blanks and tabs: a CR did not get this far */
    return 0;
}

static int parse_header(fh_http_reader *r, fh_str line, fh_err **err)
{
    fh_str name = {NULL, 0}, value = {NULL, 0};
    if (r->header_count == r->limits.headers) return refuse(r, err, 431, "more than %zu header lines", r->limits.headers);
    int rc = split_field(r, line, &name, &value, err);
    if (rc < 0) return rc;
    r->spans[r->header_count++] = (header_span){span_of(r, name), value.len ? span_of(r, value) : (span){0, 0}};
    return 0;
}

static int parse_trailer(fh_http_reader *r, fh_str line, fh_err **err)
{
    static const char *const framing[] = {"content-length", "transfer-encoding", "host",         "trailer", "te", "connection",
                                          "expect",         "content-type",      "authorization"};
    fh_str name = {NULL, 0}, value = {NULL, 0};
    if (r->header_count + r->trailer_count++ == r->limits.headers)
        return refuse(r, err, 431, "more than %zu header and trailer lines", r->limits.headers);
    int rc = split_field(r, line, &name, &value, err);
    for (size_t i = 0; rc == 0 && i < FH_COUNT(framing); i++) {
        if (fh_str_ieq(name, fh_str_of(framing[i]))) rc = refuse(r, err, 400, "a trailer may not be named %s", framing[i]);
    }
    return rc;
}

static int finish_head(fh_http_reader *r, fh_err **err)
{
    fh_http_framing framing = {0};
    for (size_t i = 0; i < r->header_count; i++) {
        r->headers[i] = (fh_header){str_of(r, r->spans[i].name), str_of(r, r->spans[i].value)};
    }
    r->msg.method = str_of(r, r->method);
    r->msg.target = str_of(r, r->target);
    r->msg.path = (fh_str){r->path.data, r->path.len};
    r->msg.headers = r->headers;
    r->msg.header_count = r->header_count;
    int rc = fh_http_head_judge(&r->msg, r->limits.body_bytes, &framing, &r->status, err);
    if (rc < 0) {
        r->state = FAILED;
        return rc;
    }
    r->chunked = framing.chunked;
    r->left = framing.length;
    r->announce = r->chunked || r->left > 0;
    r->state = r->chunked ? CHUNK_SIZE : r->left ? LENGTH_BODY : DONE;
    return 0;
}

/* Lines. */

/* Moves bytes up to the next LF into b; *ret_line is the line without its end, ptr NULL when it is not complete yet. max bounds its length.
 */
static int take_line(fh_http_reader *r, fh_buf *b, size_t start, size_t max, int status, fh_str *io_data, fh_str *ret_line, fh_err **err)
{
    const char *lf = memchr(io_data->ptr, '\n', io_data->len);
    size_t n = lf ? (size_t)(lf - io_data->ptr) + 1 : io_data->len, have = b->len - start;
    *ret_line = (fh_str){NULL, 0};
    if (n > max + (lf ? 2 : 1) - have) return refuse(r, err, status, "a line of the request is too long");
    if (!fh_buf_add(b, io_data->ptr, n)) return no_memory(r, err);
    *io_data = (fh_str){io_data->ptr + n, io_data->len - n};
    if (!lf) return 0;
    if (have + n < 2 || b->data[b->len - 2] != '\r') return refuse(r, err, 400, "a line ends in LF without CR");
    *ret_line = (fh_str){b->data + start, have + n - 2};
    return 0;
}

static int step_request_line(fh_http_reader *r, fh_str *io_data, fh_err **err)
{
    fh_str line;
    unsigned char first = (unsigned char)io_data->ptr[0];
    if (r->head.len == 0 && first != '\r' && !fh_http_token_char(first))
        return refuse(r, err, 400, "this is not an HTTP request (the server speaks plain HTTP/1.1 here)");
    int rc = take_line(r, &r->head, 0, r->limits.request_line_bytes, 414, io_data, &line, err);
    if (rc < 0 || !line.ptr) return rc;
    if (line.len == 0 && !r->skipped_blank) { /* RFC 9112, 2.2: one empty line before a request is ignored */
        r->skipped_blank = true;
        fh_buf_clear(&r->head);
        return 0;
    }
    rc = parse_request_line(r, line, err);
    r->line_at = r->headers_at = r->head.len;
    return rc;
}

static int step_header(fh_http_reader *r, fh_str *io_data, fh_err **err)
{
    fh_str line;
    size_t used = r->line_at - r->headers_at, max = r->limits.header_bytes;
    int rc = take_line(r, &r->head, r->line_at, used < max ? max - used : 0, 431, io_data, &line, err);
    if (rc < 0 || !line.ptr) return rc;
    r->line_at = r->head.len;
    return line.len ? parse_header(r, line, err) : finish_head(r, err);
}

/* Bodies. */

static int too_long(fh_http_reader *r, fh_err **err)
{
    return refuse(r, err, 413, "the body is longer than %zu bytes", r->body_most);
}

int fh_http_reader_body_most(fh_http_reader *r, size_t most, int *ret_status, fh_err **err)
{
    r->body_most = FH_MIN(most, r->limits.body_bytes);
    if (r->left + r->body.len <= r->body_most) return 0;
    int rc = too_long(r, err);
    *ret_status = r->status;
    return rc;
}

static int add_body(fh_http_reader *r, fh_str *io_data, fh_err **err)
{
    size_t n = (size_t)FH_MIN(r->left, (uint64_t)io_data->len);
    if (!fh_buf_add(&r->body, io_data->ptr, n)) return no_memory(r, err);
    *io_data = (fh_str){io_data->ptr + n, io_data->len - n};
    r->left -= n;
    return 0;
}

static int step_length_body(fh_http_reader *r, fh_str *io_data, fh_err **err)
{
    int rc = add_body(r, io_data, err);
    if (rc == 0 && r->left == 0) r->state = DONE;
    return rc;
}

/* Hexadecimal digits at the front of the line; 0 for none or too many. */
static size_t parse_hex(fh_str line, uint64_t *ret)
{
    size_t n = 0;
    uint64_t value = 0;
    for (; n < line.len; n++) {
        unsigned char c = (unsigned char)line.ptr[n];
        int digit = fh_http_hex_value(c);
        if (digit < 0) break;
        if (n == 15) return 0;
        value = value * 16 + (unsigned)digit;
    }
    *ret = value;
    return n;
}

static int parse_chunk_size(fh_http_reader *r, fh_str line, fh_err **err)
{
    size_t digits = parse_hex(line, &r->left);
    fh_str rest = {line.ptr + digits, line.len - digits};
    if (digits == 0) return refuse(r, err, 400, "a chunk size is not a hexadecimal number of at most 15 digits");
    if (rest.len && (rest.ptr[0] != ';' || !fh_http_value_valid(rest)))
        return refuse(r, err, 400, "a chunk size is followed by something that is no extension");
    r->extension_bytes += rest.len;
    if (r->extension_bytes > FH_LIMIT_HTTP_CHUNK_EXTENSION_BYTES)
        return refuse(r, err, 400, "the chunk extensions are longer than %d bytes", FH_LIMIT_HTTP_CHUNK_EXTENSION_BYTES);
    if (r->left > r->body_most - r->body.len) return too_long(r, err);
    r->state = r->left ? CHUNK_DATA : TRAILER;
    return 0;
}

static int step_chunk_size(fh_http_reader *r, fh_str *io_data, fh_err **err)
{
    fh_str line;
    int rc = take_line(r, &r->line, 0, FH_LIMIT_HTTP_CHUNK_LINE_BYTES, 400, io_data, &line, err);
    if (rc < 0 || !line.ptr) return rc;
    rc = parse_chunk_size(r, line, err);
    fh_buf_clear(&r->line);
    return rc;
}

static int step_chunk_data(fh_http_reader *r, fh_str *io_data, fh_err **err)
{
    int rc = add_body(r, io_data, err);
    if (rc == 0 && r->left == 0) r->state = CHUNK_END;
    return rc;
}

static int step_chunk_end(fh_http_reader *r, fh_str *io_data, fh_err **err)
{
    fh_str line;
    int rc = take_line(r, &r->line, 0, 0, 400, io_data, &line, err);
    if (rc < 0 || !line.ptr) return rc;
    fh_buf_clear(&r->line);
    r->state = CHUNK_SIZE;
    return 0;
}

static int step_trailer(fh_http_reader *r, fh_str *io_data, fh_err **err)
{
    fh_str line;
    size_t used = r->line_at - r->headers_at + r->trailer_bytes, max = r->limits.header_bytes;
    int rc = take_line(r, &r->line, 0, used < max ? max - used : 0, 431, io_data, &line, err);
    if (rc < 0 || !line.ptr) return rc;
    r->trailer_bytes += r->line.len;
    if (line.len)
        rc = parse_trailer(r, line, err);
    else
        r->state = DONE;
    fh_buf_clear(&r->line);
    return rc;
}

static int step(fh_http_reader *r, fh_str *io_data, fh_err **err)
{
    switch (r->state) {
    case REQUEST_LINE: return step_request_line(r, io_data, err);
    case HEADER: return step_header(r, io_data, err);
    case LENGTH_BODY: return step_length_body(r, io_data, err);
    case CHUNK_SIZE: return step_chunk_size(r, io_data, err);
    case CHUNK_DATA: return step_chunk_data(r, io_data, err);
    case CHUNK_END: return step_chunk_end(r, io_data, err);
    case TRAILER: return step_trailer(r, io_data, err);
    case DONE: return 0;
    case FAILED: break;
    }
    return refuse(r, err, r->status, "the request was refused before");
}

int fh_http_reader_push(fh_http_reader *r, const char *data, size_t *io_bytes, fh_http_read *ret_state, int *ret_status, fh_err **err)
{
    fh_str rest = {data, *io_bytes};
    int rc = 0;
    while (rc == 0 && rest.len && r->state != DONE && !r->announce) rc = step(r, &rest, err);
    *io_bytes -= rest.len;
    if (rc < 0) {
        *ret_status = r->status;
        return rc;
    }
    *ret_state = r->announce ? FH_HTTP_HEADERS : r->state == DONE ? FH_HTTP_DONE : FH_HTTP_MORE;
    r->announce = false;
    if (r->state == DONE) r->msg.body = (fh_str){r->body.len ? r->body.data : "", r->body.len};
    return 0;
}
