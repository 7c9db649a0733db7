/* The growing buffer: doubles, never past its maximum, and remembers that an add failed. */
#include "base/buf.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

void fh_buf_init(fh_buf *b, size_t max_bytes)
{
    *b = FH_BUF(max_bytes);
}

void fh_buf_fini(fh_buf *b)
{
    fh_free(b->data);
    *b = FH_BUF(b->max);
}

void fh_buf_clear(fh_buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data) b->data[0] = '\0';
}

static bool fail(fh_buf *b)
{
    b->failed = true;
    return false;
}

bool fh_buf_reserve(fh_buf *b, size_t more)
{
    if (b->failed) return false;
    if (more > b->max || b->len > b->max - more) return fail(b);
    size_t need = b->len + more + 1;
    if (need <= b->cap) return true;
    size_t cap = FH_MAX(FH_MAX(need, b->cap * 2), (size_t)64);
    if (b->max < SIZE_MAX && cap > b->max + 1) cap = b->max + 1;
    char *data = fh_realloc(b->data, cap);
    if (!data) return fail(b);
    b->data = data;
    b->cap = cap;
    b->data[b->len] = '\0';
    return true;
}

bool fh_buf_add(fh_buf *b, const void *data, size_t bytes)
{
    if (!fh_buf_reserve(b, bytes)) return false;
    if (bytes) memcpy(b->data + b->len, data, bytes);
    b->len += bytes;
    b->data[b->len] = '\0';
    return true;
}

bool fh_buf_adds(fh_buf *b, const char *s)
{
    return fh_buf_add(b, s, strlen(s));
}

bool fh_buf_addc(fh_buf *b, char c)
{
    return fh_buf_add(b, &c, 1);
}

bool fh_buf_vaddf(fh_buf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    size_t room = b->data ? b->cap - b->len : 0;
    int n = vsnprintf(room ? b->data + b->len : NULL, room, fmt, ap);
    bool fits = n >= 0 && (size_t)n < room && !b->failed && b->len + (size_t)n <= b->max;
    if (n >= 0 && !fits && fh_buf_reserve(b, (size_t)n)) {
        vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
        fits = true;
    }
    va_end(again);
    if (!fits) {
        if (room) b->data[b->len] = '\0';
        return fail(b);
    }
    b->len += (size_t)n;
    return true;
}

bool fh_buf_addf(fh_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    bool ok = fh_buf_vaddf(b, fmt, ap);
    va_end(ap);
    return ok;
}

static bool add_escaped(fh_buf *b, unsigned char c)
{
    switch (c) {
    case '"': return fh_buf_adds(b, "\\\"");
    case '\\': return fh_buf_adds(b, "\\\\");
    case '\n': return fh_buf_adds(b, "\\n");
    case '\r': return fh_buf_adds(b, "\\r");
    case '\t': return fh_buf_adds(b, "\\t");
    default: return fh_buf_addf(b, "\\u%04x", c);
    }
}

bool fh_buf_add_json_string(fh_buf *b, const char *s, size_t bytes)
{
    fh_buf_addc(b, '"');
    size_t plain = 0; /* start of the run not yet copied */
    for (size_t i = 0; i < bytes;) {
        unsigned char c = (unsigned char)s[i];
        uint32_t cp;
        size_t n = c < 0x80 ? 1 : fh_utf8_decode(s + i, bytes - i, &cp);
        bool escape = c < 0x20 || c == '"' || c == '\\' || c == 0x7f;
        if (n && !escape) {
            i += n;
            continue;
        }
        fh_buf_add(b, s + plain, i - plain);
        if (n)
            add_escaped(b, c);
        else
            fh_buf_adds(b, "\xef\xbf\xbd");
        plain = ++i;
    }
    if (plain < bytes) fh_buf_add(b, s + plain, bytes - plain); /* s may be NULL when there is nothing */
    return fh_buf_addc(b, '"');
}

bool fh_buf_add_base64(fh_buf *b, const void *data, size_t bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = data;
    for (size_t i = 0; i < bytes; i += 3) {
        size_t left = bytes - i;
        uint32_t three = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (left > 2 ? p[i + 2] : 0);
        char four[4] = {digits[three >> 18], digits[three >> 12 & 63], '=', '='};
        if (left > 1) four[2] = digits[three >> 6 & 63];
        if (left > 2) four[3] = digits[three & 63];
        fh_buf_add(b, four, sizeof four);
    }
    return fh_buf_ok(b);
}

void fh_buf_consume(fh_buf *b, size_t bytes)
{
    if (bytes > b->len) bytes = b->len;
    if (!bytes) return;
    memmove(b->data, b->data + bytes, b->len - bytes + 1);
    b->len -= bytes;
}

char *fh_buf_take(fh_buf *b, size_t *ret_len)
{
    if (!fh_buf_reserve(b, 0)) return NULL;
    if (ret_len) *ret_len = b->len;
    char *data = b->data;
    *b = FH_BUF(b->max);
    return data;
}

const char *fh_buf_cstr(const fh_buf *b)
{
    return b->data ? b->data : "";
}

int fh_buf_check(const fh_buf *b, fh_err **err, const char *what)
{
    if (!b->failed) return 0;
    if (b->max - b->len > b->cap) return fh_err_nomem(err);
    return fh_err_set(err, FH_E_TOO_LARGE, "%s is larger than %zu bytes", what, b->max);
}
