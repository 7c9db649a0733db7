/* HTTP syntax: tokens, field values, hosts, request targets, percent encoding. Sources: RFC 9110 section 5, RFC 9112 section 3, RFC 3986.
 * Pure. */
#include "private.h"

#include <arpa/inet.h>

bool fh_http_token_char(unsigned char c)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c && strchr(others, c));
}

bool fh_http_token_valid(fh_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!fh_http_token_char((unsigned char)s.ptr[i])) return false;
    }
    return s.len > 0;
}

bool fh_http_value_valid(fh_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) return false;
    }
    return true;
}

fh_str fh_headers_find(const fh_header *h, size_t count, const char *name)
{
    fh_str wanted = fh_str_of(name);
    for (size_t i = 0; i < count; i++) {
        if (fh_str_ieq(h[i].name, wanted)) return h[i].value;
    }
    return (fh_str){NULL, 0};
}

const char *fh_http_reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } rows[] = {{100, "Continue"},
                {101, "Switching Protocols"},
                {200, "OK"},
                {201, "Created"},
                {202, "Accepted"},
                {204, "No Content"},
                {206, "Partial Content"},
                {301, "Moved Permanently"},
                {302, "Found"},
                {303, "See Other"},
                {304, "Not Modified"},
                {307, "Temporary Redirect"},
                {308, "Permanent Redirect"},
                {400, "Bad Request"},
                {401, "Unauthorized"},
                {402, "Payment Required"},
                {403, "Forbidden"},
                {404, "Not Found"},
                {405, "Method Not Allowed"},
                {406, "Not Acceptable"},
                {408, "Request Timeout"},
                {409, "Conflict"},
                {410, "Gone"},
                {411, "Length Required"},
                {412, "Precondition Failed"},
                {413, "Content Too Large"},
                {414, "URI Too Long"},
                {415, "Unsupported Media Type"},
                {416, "Range Not Satisfiable"},
                {417, "Expectation Failed"},
                {421, "Misdirected Request"},
                {422, "Unprocessable Content"},
                {425, "Too Early"},
                {426, "Upgrade Required"},
                {428, "Precondition Required"},
                {429, "Too Many Requests"},
                {431, "Request Header Fields Too Large"},
                {499, "Client Closed Request"},
                {500, "Internal Server Error"},
                {501, "Not Implemented"},
                {502, "Bad Gateway"},
                {503, "Service Unavailable"},
                {504, "Gateway Timeout"},
                {505, "HTTP Version Not Supported"},
                {529, "Overloaded"}};
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        if (rows[i].status == status) return rows[i].text;
    }
    return "Status";
}

static bool port_valid(fh_str s)
{
    uint64_t port;
    return s.len >= 1 && s.len <= 5 && fh_str_u64(s, 65535, &port);
}

static bool name_valid(fh_str s)
{
    if (s.len == 0 || s.len > 255 || s.ptr[0] == '.') return false;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alnum && c != '-' && c != '_' && c != '.') return false;
        if (c == '.' && i + 1 < s.len && s.ptr[i + 1] == '.') return false;
    }
    return true;
}

static bool ipv6_valid(fh_str s)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (s.len == 0 || s.len >= sizeof text || memchr(s.ptr, 0, s.len)) return false;
    memcpy(text, s.ptr, s.len);
    text[s.len] = 0;
    return inet_pton(AF_INET6, text, &address) == 1;
}

bool fh_http_host_valid(fh_str s)
{
    if (s.len == 0) return false;
    fh_str rest;
    if (s.ptr[0] == '[') {
        const char *end = memchr(s.ptr, ']', s.len);
        if (!end || !ipv6_valid((fh_str){s.ptr + 1, (size_t)(end - s.ptr) - 1})) return false;
        rest = (fh_str){end + 1, s.len - (size_t)(end + 1 - s.ptr)};
    } else {
        const char *colon = memchr(s.ptr, ':', s.len);
        size_t name = colon ? (size_t)(colon - s.ptr) : s.len;
        if (!name_valid((fh_str){s.ptr, name})) return false;
        rest = (fh_str){s.ptr + name, s.len - name};
    }
    return rest.len == 0 || (rest.ptr[0] == ':' && port_valid((fh_str){rest.ptr + 1, rest.len - 1}));
}

/* A path may hold pchar and "/" (RFC 3986). A query may also hold what browsers leave raw there ([ ] { } | \ ^ `). */
static bool target_char(unsigned char c, bool in_query)
{
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
    if (c && strchr("-._~!$&'()*+,;=:@/%", c)) return true;
    return in_query && c && strchr("?[]{}|\\^`", c);
}

static int check_chars(fh_str s, bool in_query, fh_err **err)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (!target_char(c, in_query))
            return fh_err_set(err, FH_E_INVALID, "the request target holds byte 0x%02x, which must be percent-encoded", c);
    }
    return 0;
}

/* "http://host/path" into its parts. */
static int split_absolute(fh_str *io_target, fh_str *ret_authority, fh_err **err)
{
    static const fh_str schemes[] = {{"http://", 7}, {"https://", 8}};
    for (size_t i = 0; i < FH_COUNT(schemes); i++) {
        fh_str scheme = schemes[i], t = *io_target;
        if (t.len < scheme.len || !fh_str_ieq((fh_str){t.ptr, scheme.len}, scheme)) continue;
        t = (fh_str){t.ptr + scheme.len, t.len - scheme.len};
        size_t end = 0;
        while (end < t.len && t.ptr[end] != '/' && t.ptr[end] != '?') end++;
        *ret_authority = (fh_str){t.ptr, end};
        *io_target = (fh_str){t.ptr + end, t.len - end};
        if (!fh_http_host_valid(*ret_authority)) return fh_err_set(err, FH_E_INVALID, "the request target names no valid host");
        return 0;
    }
    return fh_err_set(err, FH_E_INVALID, "the request target is neither a path nor an http address");
}

int fh_http_target_split(fh_str target, fh_str *ret_authority, fh_str *ret_path, fh_str *ret_query, fh_err **err)
{
    *ret_authority = *ret_query = (fh_str){NULL, 0};
    *ret_path = target;
    if (fh_str_eqs(target, "*")) return 0;
    if (target.len == 0) return fh_err_set(err, FH_E_INVALID, "the request target is empty");
    if (target.ptr[0] != '/') {
        int rc = split_absolute(&target, ret_authority, err);
        if (rc < 0) return rc;
    }
    const char *mark = target.len ? memchr(target.ptr, '?', target.len) : NULL;
    *ret_path = (fh_str){target.ptr, mark ? (size_t)(mark - target.ptr) : target.len};
    if (mark) *ret_query = (fh_str){mark + 1, target.len - ret_path->len - 1};
    if (ret_path->len == 0) *ret_path = FH_STR("/"); /* "http://host" means its root */
    int rc = check_chars(*ret_path, false, err);
    return rc < 0 ? rc : check_chars(*ret_query, true, err);
}

int fh_http_hex_value(unsigned char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* One byte of s at *io_i, decoded; -1 for a broken escape. */
static int decode_byte(fh_str s, size_t *io_i, bool form)
{
    unsigned char c = (unsigned char)s.ptr[(*io_i)++];
    if (form && c == '+') return ' ';
    if (c != '%') return c;
    if (s.len - *io_i < 2) return -1;
    int high = fh_http_hex_value((unsigned char)s.ptr[*io_i]), low = fh_http_hex_value((unsigned char)s.ptr[*io_i + 1]);
    *io_i += 2;
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static bool has_bad_segment(fh_str path)
{
    for (size_t i = 0; i < path.len;) { /* path[i] is a slash */
        size_t end = i + 1;
        while (end < path.len && path.ptr[end] != '/') end++;
        fh_str segment = {path.ptr + i + 1, end - i - 1};
        bool last = end == path.len;
        if ((segment.len == 0 && !last) || fh_str_eqs(segment, ".") || fh_str_eqs(segment, "..")) return true;
        i = end;
    }
    return false;
}

int fh_http_path_decode(fh_str raw, fh_buf *out, fh_err **err)
{
    size_t start = out->len;
    for (size_t i = 0; i < raw.len;) {
        int c = decode_byte(raw, &i, false);
        if (c < 0) return fh_err_set(err, FH_E_INVALID, "the path holds a broken percent escape");
        if (c < 0x20 || c == 0x7f) return fh_err_set(err, FH_E_INVALID, "the path holds an encoded control character");
        fh_buf_addc(out, (char)c);
    }
    int rc = fh_buf_check(out, err, "the path");
    if (rc < 0) return rc;
    fh_str path = {out->data + start, out->len - start};
    if (!fh_utf8_valid(path.ptr, path.len)) return fh_err_set(err, FH_E_INVALID, "the path is not valid UTF-8");
    if (has_bad_segment(path)) return fh_err_set(err, FH_E_INVALID, "the path holds an empty or a dot segment");
    return 0;
}

bool fh_http_percent_decode(fh_str s, bool form, char *out, size_t out_size)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len;) {
        int c = decode_byte(s, &i, form);
        if (c <= 0 || n + 1 >= out_size) return false;
        out[n++] = (char)c;
    }
    if (n >= out_size) return false;
    out[n] = 0;
    return true;
}

bool fh_http_list_has(fh_str list, const char *token)
{
    while (list.len) {
        const char *comma = memchr(list.ptr, ',', list.len);
        size_t len = comma ? (size_t)(comma - list.ptr) : list.len;
        if (fh_str_ieq(fh_str_trim((fh_str){list.ptr, len}), fh_str_of(token))) return true;
        size_t used = comma ? len + 1 : len;
        list = (fh_str){list.ptr + used, list.len - used};
    }
    return false;
}
