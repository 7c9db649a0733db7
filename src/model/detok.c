/* Text from tokens as it streams. Bytes wait here while they could still become a stop string or are half a character; what is certain is handed out. */
#include "base/limits.h"
#include "model/sampler.h"

#include <string.h>

enum { PENDING_BYTES_MAX = 1 << 20 };

struct fh_detok {
    const fh_vocab *vocab;
    fh_str *stops; /* owned, their bytes too */
    size_t stop_count;
    fh_buf pending;
    bool stopped;
};

void fh_detok_free(fh_detok *d)
{
    if (!d) return;
    for (size_t i = 0; d->stops && i < d->stop_count; i++) fh_free((char *)(uintptr_t)d->stops[i].ptr);
    fh_free(d->stops);
    fh_buf_fini(&d->pending);
    fh_free(d);
}

int fh_detok_new(fh_detok **ret, const fh_vocab *v, const fh_str *stops, size_t stop_count, fh_err **err)
{
    FH_AUTO(fh_detok) fh_detok *d = fh_calloc(1, sizeof *d);
    if (!d) return fh_err_nomem(err);
    d->vocab = v;
    d->pending = FH_BUF(PENDING_BYTES_MAX);
    d->stops = fh_calloc(stop_count, sizeof *d->stops);
    if (!d->stops) return fh_err_nomem(err);
    for (size_t i = 0; i < stop_count; i++) {
        if (stops[i].len == 0) continue; /* an empty string stops nothing */
        const char *copy = fh_strndup(stops[i].ptr, stops[i].len);
        if (!copy) return fh_err_nomem(err);
        d->stops[d->stop_count++] = (fh_str){copy, stops[i].len};
    }
    *ret = fh_take(d);
    return 0;
}

/* Adds bytes to out as well-formed UTF-8: what is broken becomes U+FFFD, one for each byte that starts nothing. */
static void add_clean(fh_buf *out, const char *p, size_t n)
{
    size_t plain = 0;
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        size_t step = fh_utf8_decode(p + i, n - i, &cp);
        if (step) {
            i += step;
            continue;
        }
        fh_buf_add(out, p + plain, i - plain);
        fh_buf_adds(out, "\xef\xbf\xbd");
        plain = ++i;
    }
    fh_buf_add(out, p + plain, n - plain);
}

/* Where the first complete stop string begins; pending.len when there is none. */
static size_t find_stop(const fh_detok *d)
{
    fh_str text = {fh_buf_cstr(&d->pending), d->pending.len};
    size_t first = text.len;
    for (size_t i = 0; i < d->stop_count; i++) first = FH_MIN(first, fh_str_find(text, d->stops[i]));
    return first;
}

/* How many bytes at the start cannot become part of a stop string. */
static size_t certain_bytes(const fh_detok *d)
{
    const char *p = fh_buf_cstr(&d->pending);
    size_t n = d->pending.len, certain = n;
    for (size_t i = 0; i < d->stop_count; i++) {
        fh_str stop = d->stops[i];
        for (size_t tail = FH_MIN(stop.len - 1, n); tail > 0; tail--) {
            if (memcmp(p + n - tail, stop.ptr, tail) != 0) continue;
            certain = FH_MIN(certain, n - tail);
            break;
        }
    }
    return certain;
}

static int hand_out(fh_detok *d, size_t bytes, fh_buf *out, fh_err **err)
{
    if (bytes) add_clean(out, d->pending.data, bytes);
    fh_buf_consume(&d->pending, bytes);
    return fh_buf_check(out, err, "the text");
}

int fh_detok_push(fh_detok *d, fh_token id, fh_buf *out, bool *ret_stopped, fh_err **err)
{
    *ret_stopped = d->stopped;
    if (d->stopped) return 0;
    int rc = fh_vocab_decode(d->vocab, id, false, &d->pending, err);
    if (rc) return rc;
    size_t stop = find_stop(d);
    if (stop < d->pending.len) {
        *ret_stopped = d->stopped = true;
        rc = hand_out(d, stop, out, err);
        fh_buf_clear(&d->pending);
        return rc;
    }
    size_t certain = certain_bytes(d);
    /* half a character waits; after a stop string's beginning it is whole up to there already */
    if (certain) certain = fh_utf8_whole(d->pending.data, certain);
    return hand_out(d, certain, out, err);
}

int fh_detok_finish(fh_detok *d, fh_buf *out, fh_err **err)
{
    return d->stopped ? 0 : hand_out(d, d->pending.len, out, err);
}
