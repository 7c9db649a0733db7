/* UTF-8 as the Unicode standard's table 3-7 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#include "base/str.h"

static bool is_trail(unsigned char c, unsigned char low, unsigned char high)
{
    return c >= low && c <= high;
}

/* Length that the lead byte promises, and the range of the second byte; 0 for a byte that leads nothing. */
static size_t lead(unsigned char c, unsigned char *ret_low, unsigned char *ret_high)
{
    *ret_low = 0x80;
    *ret_high = 0xbf;
    if (c < 0x80) return 1;
    if (c >= 0xc2 && c <= 0xdf) return 2;
    if (c >= 0xe0 && c <= 0xef) {
        if (c == 0xe0) *ret_low = 0xa0;
        if (c == 0xed) *ret_high = 0x9f;
        return 3;
    }
    if (c >= 0xf0 && c <= 0xf4) {
        if (c == 0xf0) *ret_low = 0x90;
        if (c == 0xf4) *ret_high = 0x8f;
        return 4;
    }
    return 0;
}

/* How many bytes at p are the good beginning of one character; *ret_want is its whole length (0: p[0] leads nothing). */
static size_t good_bytes(const unsigned char *p, size_t n, size_t *ret_want)
{
    unsigned char low, high;
    *ret_want = lead(p[0], &low, &high);
    if (*ret_want == 0) return 0;
    size_t got = 1;
    while (got < *ret_want && got < n && is_trail(p[got], got == 1 ? low : 0x80, got == 1 ? high : 0xbf)) got++;
    return got;
}

size_t fh_utf8_decode(const char *p, size_t n, uint32_t *ret_cp)
{
    const unsigned char *u = (const unsigned char *)p;
    size_t want, got = good_bytes(u, n, &want);
    if (got == 0 || got < want) return 0;
    uint32_t cp = want == 1 ? u[0] : u[0] & (0x7fu >> want);
    for (size_t i = 1; i < want; i++) cp = cp << 6 | (u[i] & 0x3fu);
    *ret_cp = cp;
    return want;
}

size_t fh_utf8_encode(uint32_t cp, char out[4])
{
    if (cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff)) return 0;
    size_t n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    if (n == 1) {
        out[0] = (char)cp;
        return 1;
    }
    for (size_t i = n - 1; i > 0; i--, cp >>= 6) out[i] = (char)(0x80 | (cp & 0x3f));
    out[0] = (char)((0xf00u >> n & 0xff) | cp);
    return n;
}

bool fh_utf8_valid(const char *p, size_t n)
{
    uint32_t cp;
    for (size_t i = 0; i < n;) {
        size_t step = fh_utf8_decode(p + i, n - i, &cp);
        if (step == 0) return false;
        i += step;
    }
    return true;
}

size_t fh_utf8_whole(const char *p, size_t n)
{
    const unsigned char *u = (const unsigned char *)p;
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        size_t want, at = n - back, got = good_bytes(u + at, back, &want);
        if (want > 1) return got == back && got < want ? at : n;
        if (want == 1) return n;
    }
    return n;
}
