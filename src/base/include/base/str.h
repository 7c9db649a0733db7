/* String slices and small text helpers. A slice borrows; it needs no NUL and may hold any bytes. Pure; threads: any. */
#ifndef FH_BASE_STR_H
#define FH_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct fh_str {
    const char *ptr;
    size_t len;
} fh_str;

#define FH_STR(literal) ((fh_str){(literal), sizeof(literal) - 1})
static inline fh_str fh_str_of(const char *s)
{
    return (fh_str){s, s ? strlen(s) : 0};
}
bool fh_str_eq(fh_str a, fh_str b);
bool fh_str_eqs(fh_str a, const char *b);
bool fh_str_ieq(fh_str a, fh_str b); /* ASCII case folded */
bool fh_str_starts(fh_str s, fh_str prefix);
bool fh_str_ends(fh_str s, fh_str suffix);
fh_str fh_str_trim(fh_str s); /* ASCII space, tab, CR, LF */
/* Index of the first needle, or s.len when there is none. */
size_t fh_str_find(fh_str s, fh_str needle);
enum { FH_LABEL_CHARS = 64 };
bool fh_str_is_label(fh_str s); /* 1 to 63 small letters, digits and dashes */
/* Whole slice as a number; false on anything else (signs, blanks, overflow, more than max). */
bool fh_str_u64(fh_str s, uint64_t max, uint64_t *ret);
/* Whole slice as a finite decimal number, locale-free. */
bool fh_str_f64(fh_str s, double *ret);

/* UTF-8. Decodes one code point at p (n > 0 bytes left): returns its length 1..4 and sets *ret_cp, or 0 when the bytes there are not
 * well-formed (overlong, surrogate, > U+10FFFF, cut). */
size_t fh_utf8_decode(const char *p, size_t n, uint32_t *ret_cp);
size_t fh_utf8_encode(uint32_t cp, char out[4]); /* 0 for what is no scalar value */
bool fh_utf8_valid(const char *p, size_t n);
/* Length of the longest prefix of p[0..n) that does not end inside a character that could still become well-formed. */
size_t fh_utf8_whole(const char *p, size_t n);

/* Edit distance capped at 15, for "did you mean". */
unsigned fh_str_distance(fh_str a, fh_str b);

bool fh_hex_encode(const void *data, size_t bytes, char *out, size_t out_size); /* lower case, NUL-terminated; needs 2 * bytes + 1 */
bool fh_hex_decode(fh_str hex, void *out, size_t out_bytes);                    /* exactly out_bytes */
size_t fh_base64url_encode(const void *data, size_t bytes, char *out,
                           size_t out_size);                     /* no padding, NUL-terminated; 0 if it does not fit */
bool fh_base64url_decode(fh_str s, void *out, size_t out_bytes); /* exactly out_bytes, no padding; false for any other text */
/* RFC 4648, section 4: with padding, whole. */
bool fh_base64_valid(fh_str s);
static inline size_t fh_base64_len(size_t bytes) /* of what they become */
{
    return (bytes + 2) / 3 * 4;
}
void fh_base64_encode(const void *data, size_t bytes, char *out); /* fh_base64_len(bytes) characters, not NUL-terminated */
size_t fh_base64_decode(fh_str s, void *out, size_t out_bytes);   /* the beginning of valid base64, as much as fits; how much that is */
bool fh_equal_secret(const void *a, const void *b, size_t bytes); /* time does not depend on where they differ */

#endif
