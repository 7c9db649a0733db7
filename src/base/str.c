/* Slices, numbers, edit distance, hex and base64url. */
#include "base/str.h"
#include "base/mem.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>

bool fh_str_eq(fh_str a, fh_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool fh_str_eqs(fh_str a, const char *b)
{
    return fh_str_eq(a, fh_str_of(b));
}

bool fh_str_is_label(fh_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!s.ptr[i] || !strchr("abcdefghijklmnopqrstuvwxyz0123456789-", s.ptr[i])) return false;
    return s.len > 0 && s.len < FH_LABEL_CHARS;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool fh_str_ieq(fh_str a, fh_str b)
{
    if (a.len != b.len) return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.ptr[i]) != lower(b.ptr[i])) return false;
    return true;
}

bool fh_str_starts(fh_str s, fh_str prefix)
{
    return s.len >= prefix.len && fh_str_eq((fh_str){s.ptr, prefix.len}, prefix);
}

bool fh_str_ends(fh_str s, fh_str suffix)
{
    return s.len >= suffix.len && fh_str_eq((fh_str){s.ptr + s.len - suffix.len, suffix.len}, suffix);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

fh_str fh_str_trim(fh_str s)
{
    while (s.len && is_blank(s.ptr[0])) s = (fh_str){s.ptr + 1, s.len - 1};
    while (s.len && is_blank(s.ptr[s.len - 1])) s.len--;
    return s;
}

size_t fh_str_find(fh_str s, fh_str needle)
{
    if (needle.len == 0) return 0;
    const char *hit = s.len >= needle.len ? memmem(s.ptr, s.len, needle.ptr, needle.len) : NULL;
    return hit ? (size_t)(hit - s.ptr) : s.len;
}

bool fh_str_u64(fh_str s, uint64_t max, uint64_t *ret)
{
    if (s.len == 0) return false;
    uint64_t v = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') return false;
        if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(s.ptr[i] - '0'), &v)) return false;
    }
    if (v > max) return false;
    *ret = v;
    return true;
}

bool fh_str_f64(fh_str s, double *ret)
{
    char text[64], *end;
    if (s.len == 0 || s.len >= sizeof text) return false;
    for (size_t i = 0; i < s.len; i++)
        if (!strchr("0123456789+-.eE", s.ptr[i]) || !s.ptr[i]) return false;
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    static locale_t c_locale;
    if (!c_locale) c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    double v = c_locale ? strtod_l(text, &end, c_locale) : strtod(text, &end);
    if (*end || !isfinite(v)) return false;
    *ret = v;
    return true;
}

unsigned fh_str_distance(fh_str a, fh_str b)
{
    enum { LONGEST = 64, CAP = 15 };
    if (a.len > LONGEST || b.len > LONGEST) return CAP;
    unsigned row[LONGEST + 1];
    for (size_t j = 0; j <= b.len; j++) row[j] = (unsigned)j;
    for (size_t i = 1; i <= a.len; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.len; j++) {
            unsigned swap = diagonal + (lower(a.ptr[i - 1]) != lower(b.ptr[j - 1]));
            diagonal = row[j];
            row[j] = FH_MIN(swap, FH_MIN(row[j], row[j - 1]) + 1);
        }
    }
    return FH_MIN(row[b.len], (unsigned)CAP);
}

bool fh_hex_encode(const void *data, size_t bytes, char *out, size_t out_size)
{
    if (out_size < 2 * bytes + 1) return false;
    const unsigned char *p = data;
    for (size_t i = 0; i < bytes; i++) {
        out[2 * i] = "0123456789abcdef"[p[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[p[i] & 15];
    }
    out[2 * bytes] = '\0';
    return true;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool fh_hex_decode(fh_str hex, void *out, size_t out_bytes)
{
    if (hex.len != 2 * out_bytes) return false;
    for (size_t i = 0; i < out_bytes; i++) {
        int high = hex_value(hex.ptr[2 * i]), low = hex_value(hex.ptr[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        ((unsigned char *)out)[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

size_t fh_base64url_encode(const void *data, size_t bytes, char *out, size_t out_size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const unsigned char *p = data;
    size_t need = (bytes * 8 + 5) / 6, n = 0;
    if (out_size < need + 1) return 0;
    for (size_t bit = 0; bit < bytes * 8; bit += 6) {
        unsigned pair = (unsigned)p[bit / 8] << 8 | (bit / 8 + 1 < bytes ? p[bit / 8 + 1] : 0u);
        out[n++] = digits[pair >> (10 - bit % 8) & 63];
    }
    out[n] = '\0';
    return n;
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static int base64url_value(char c)
{
    if (c == '-' || c == '_') return c == '-' ? 62 : 63;
    return c == '+' || c == '/' ? -1 : base64_value(c);
}

bool fh_base64url_decode(fh_str s, void *out, size_t out_bytes)
{
    unsigned held = 0, bits = 0;
    size_t n = 0;
    if (s.len != (out_bytes * 8 + 5) / 6) return false;
    for (size_t i = 0; i < s.len; i++) {
        int value = base64url_value(s.ptr[i]);
        if (value < 0) return false;
        held = (held << 6 | (unsigned)value) & 0x3fff;
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        ((unsigned char *)out)[n++] = (unsigned char)(held >> bits);
    }
    return (held & ((1u << bits) - 1)) == 0; /* one text for each value */
}

static size_t without_padding(fh_str s)
{
    size_t n = s.len;
    while (n && s.len - n < 2 && s.ptr[n - 1] == '=') n--;
    return n;
}

bool fh_base64_valid(fh_str s)
{
    size_t n = without_padding(s);
    for (size_t i = 0; i < n; i++)
        if (base64_value(s.ptr[i]) < 0) return false;
    return s.len % 4 == 0;
}

void fh_base64_encode(const void *data, size_t bytes, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = data;
    for (size_t i = 0; i < bytes; i += 3) {
        unsigned left = bytes - i > 2 ? 3 : (unsigned)(bytes - i);
        unsigned three = (unsigned)p[i] << 16 | (left > 1 ? (unsigned)p[i + 1] << 8 : 0) | (left > 2 ? p[i + 2] : 0u);
        *out++ = digits[three >> 18];
        *out++ = digits[three >> 12 & 63];
        *out++ = left > 1 ? digits[three >> 6 & 63] : '=';
        *out++ = left > 2 ? digits[three & 63] : '=';
    }
}

size_t fh_base64_decode(fh_str s, void *out, size_t out_bytes)
{
    unsigned char *to = out;
    size_t n = 0;
    uint32_t bits = 0;
    for (size_t i = 0, end = without_padding(s); i < end && n < out_bytes; i++) {
        bits = bits << 6 | (uint32_t)base64_value(s.ptr[i]);
        if (i % 4) to[n++] = (unsigned char)(bits >> (6 - i % 4 * 2));
    }
    return n;
}

bool fh_equal_secret(const void *a, const void *b, size_t bytes)
{
    const volatile unsigned char *x = a, *y = b;
    unsigned char differ = 0;
    for (size_t i = 0; i < bytes; i++) differ |= x[i] ^ y[i];
    return differ == 0;
}
