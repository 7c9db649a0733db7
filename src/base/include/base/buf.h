/* A growing byte buffer that has a maximum. Always NUL-terminated behind len, so that data can be read as a C string.
 *
 * Adding fails (false) when memory is out or the maximum would be passed; the buffer then is marked failed, keeps what it had, and all
 * further adds fail too: writers may add many pieces and check once with fh_buf_ok. Threads: one owner. */
#ifndef FH_BASE_BUF_H
#define FH_BASE_BUF_H

#include "base/err.h"
#include "base/mem.h"
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct fh_buf {
    char *data; /* owned; NULL while nothing was ever added */
    size_t len, cap, max;
    bool failed;
} fh_buf;

#define FH_BUF(max_bytes) ((fh_buf){.max = (max_bytes)})

void fh_buf_init(fh_buf *b, size_t max_bytes);
void fh_buf_fini(fh_buf *b);
void fh_buf_clear(fh_buf *b); /* empties, keeps the memory, forgets a failure */
bool fh_buf_reserve(fh_buf *b, size_t more);
bool fh_buf_add(fh_buf *b, const void *data, size_t bytes);
bool fh_buf_adds(fh_buf *b, const char *s);
bool fh_buf_addc(fh_buf *b, char c);
bool fh_buf_addf(fh_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool fh_buf_vaddf(fh_buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
bool fh_buf_add_json_string(fh_buf *b, const char *s, size_t bytes); /* quoted and escaped; broken UTF-8 becomes U+FFFD */
bool fh_buf_add_base64(fh_buf *b, const void *data, size_t bytes);   /* RFC 4648, padded */
void fh_buf_consume(fh_buf *b, size_t bytes);                        /* drops the first bytes */
char *fh_buf_take(fh_buf *b,
                  size_t *ret_len); /* owned by the caller (fh_free); NULL if failed or out of memory; never NULL for an empty good one */
const char *fh_buf_cstr(const fh_buf *b); /* "" when empty; borrowed until the next change */
static inline bool fh_buf_ok(const fh_buf *b)
{
    return !b->failed;
}
/* FH_E_TOO_LARGE or FH_E_NOMEM when it failed, else 0. */
int fh_buf_check(const fh_buf *b, fh_err **err, const char *what);
static inline void fh_auto_buf(fh_buf *b) /* FH_AUTO(buf) fh_buf b = FH_BUF(max); */
{
    fh_buf_fini(b);
}

#endif
