/* What the header lines of a request say together: its host, how its body is framed, whether the connection stays. Everything that could be
 * read in two ways is refused (RFC 9112 sections 3.2, 6 and 9.3; RFC 9110 sections 7.2 and 10.1.1). Pure. */
#include "private.h"

/* Fields that may stand once. */
enum { HOST, LENGTH, CODING, EXPECT, ENCODING, TYPE, AUTHORIZATION, API_KEY, FIELDS };
static const char *const field_names[FIELDS] = {"Host",         "Content-Length", "Transfer-Encoding", "Expect", "Content-Encoding",
                                                "Content-Type", "Authorization",  "X-Api-Key"};

typedef struct facts {
    fh_str field[FIELDS]; /* ptr NULL: absent */
    bool close, keep;
} facts;

static int code_of(int status)
{
    switch (status) {
    case 413:
    case 414:
    case 431: return FH_E_TOO_LARGE;
    case 415: return FH_E_MEDIA_TYPE;
    case 417:
    case 501:
    case 505: return FH_E_UNSUPPORTED;
    case 503: return FH_E_NOMEM;
    default: return FH_E_INVALID;
    }
}

int fh_http_vrefuse(int *ret_status, fh_err **err, int status, const char *fmt, va_list ap)
{
    *ret_status = status;
    return fh_err_vset(err, code_of(status), fmt, ap);
}

static int refuse(int *ret_status, fh_err **err, int status, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static int refuse(int *ret_status, fh_err **err, int status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int rc = fh_http_vrefuse(ret_status, err, status, fmt, ap);
    va_end(ap);
    return rc;
}

static int note_field(facts *f, const fh_header *h, int *ret_status, fh_err **err)
{
    for (int i = 0; i < FIELDS; i++) {
        if (!fh_str_ieq(h->name, fh_str_of(field_names[i]))) continue;
        if (f->field[i].ptr) return refuse(ret_status, err, 400, "%s stands twice", field_names[i]);
        f->field[i] = h->value;
        return 0;
    }
    if (fh_str_ieq(h->name, FH_STR("Connection"))) {
        f->close |= fh_http_list_has(h->value, "close");
        f->keep |= fh_http_list_has(h->value, "keep-alive");
    }
    return 0;
}

static int judge_host(fh_http_msg *m, const facts *f, int *ret_status, fh_err **err)
{
    fh_str authority, path, host = f->field[HOST];
    fh_http_target_split(m->target, &authority, &path, &m->query, NULL);
    if (!host.ptr && m->minor == 1) return refuse(ret_status, err, 400, "the Host header is missing");
    if (host.ptr && !fh_http_host_valid(host)) return refuse(ret_status, err, 400, "the Host header is not a host and an optional port");
    if (authority.len && host.ptr && !fh_str_ieq(authority, host))
        return refuse(ret_status, err, 400, "the request target and the Host header name different hosts");
    m->host = authority.len ? authority : host;
    if (fh_str_eqs(path, "*")) m->path = path;
    return 0;
}

static int judge_length(fh_str s, uint64_t max, uint64_t *ret, int *ret_status, fh_err **err)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') return refuse(ret_status, err, 400, "Content-Length is not a plain number");
    }
    if (s.len == 0 || (s.len > 1 && s.ptr[0] == '0')) return refuse(ret_status, err, 400, "Content-Length is empty or begins with a zero");
    if (!fh_str_u64(s, max, ret)) return refuse(ret_status, err, 413, "the body is longer than %llu bytes", (unsigned long long)max);
    return 0;
}

static int judge_coding(const fh_http_msg *m, const facts *f, int *ret_status, fh_err **err)
{
    if (m->minor == 0) return refuse(ret_status, err, 400, "Transfer-Encoding in an HTTP/1.0 request");
    if (f->field[LENGTH].ptr) return refuse(ret_status, err, 400, "both Content-Length and Transfer-Encoding");
    if (fh_str_ieq(f->field[CODING], FH_STR("chunked"))) return 0;
    return refuse(ret_status, err, 400, "the only Transfer-Encoding that is taken is chunked, once");
}

static int judge_expectation(fh_http_msg *m, const facts *f, int *ret_status, fh_err **err)
{
    if (!f->field[EXPECT].ptr || m->minor == 0) return 0;
    m->expect_continue = fh_str_ieq(f->field[EXPECT], FH_STR("100-continue"));
    return m->expect_continue ? 0 : refuse(ret_status, err, 417, "the only expectation that is met is 100-continue");
}

/* Compressed bodies would be a way to make little input large. */
static int judge_encoding(const facts *f, int *ret_status, fh_err **err)
{
    fh_str e = f->field[ENCODING];
    if (!e.ptr || fh_str_ieq(e, FH_STR("identity"))) return 0;
    return refuse(ret_status, err, 415, "the body is encoded (Content-Encoding): send it as it is");
}

int fh_http_head_judge(fh_http_msg *m, uint64_t max_body, fh_http_framing *ret, int *ret_status, fh_err **err)
{
    facts f = {0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < m->header_count; i++) rc = note_field(&f, &m->headers[i], ret_status, err);
    if (rc == 0) rc = judge_host(m, &f, ret_status, err);
    if (rc == 0 && f.field[CODING].ptr) rc = judge_coding(m, &f, ret_status, err);
    if (rc == 0 && f.field[LENGTH].ptr) rc = judge_length(f.field[LENGTH], max_body, &ret->length, ret_status, err);
    if (rc == 0) rc = judge_encoding(&f, ret_status, err);
    if (rc == 0) rc = judge_expectation(m, &f, ret_status, err);
    ret->chunked = f.field[CODING].ptr != NULL;
    m->keep_alive = !f.close && (m->minor == 1 || f.keep);
    return rc;
}
