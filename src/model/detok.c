/* Text from tokens as it streams. Bytes wait here while they could still become a stop string or are half a character; what is certain is
 * handed out. Each stop string is an automaton (Knuth, Morris, Pratt) that is fed byte by byte: how far it has come is how much must wait.
 * So it does not matter how the text is cut into tokens: of several stop strings the one that is complete first counts, of those complete
 * at the same byte the longest. */
#include "base/limits.h"
#include "model/sampler.h"

#include <string.h>

#define PENDING_BYTES (FH_LIMIT_STOP_STRING_BYTES + FH_LIMIT_VOCAB_PIECE_BYTES + 8)

typedef struct stop {
    char *text;       /* owned */
    uint16_t *border; /* owned; border[i]: length of the longest proper prefix of text that ends at byte i of it */
    size_t bytes, matched;
} stop;

struct fh_detok {
    const fh_vocab *vocab;
    const uint64_t *shown; /* borrowed; NULL: no control tokens */
    stop *stops;
    size_t stop_count;
    fh_buf pending;
    const stop *ended_by; /* the stop string that was complete, or NULL */
};

void fh_detok_free(fh_detok *d)
{
    if (!d) return;
    for (size_t i = 0; i < d->stop_count; i++) {
        fh_free(d->stops[i].text);
        fh_free(d->stops[i].border);
    }
    fh_free(d->stops);
    fh_buf_fini(&d->pending);
    fh_free(d);
}

/* How much of the stop string is matched when `matched` bytes of it are followed by c. */
static size_t step(const stop *s, size_t matched, char c)
{
    if (matched == s->bytes) matched = s->border[matched - 1];
    while (matched && s->text[matched] != c) matched = s->border[matched - 1];
    return s->text[matched] == c ? matched + 1 : 0;
}

static int add_stop(fh_detok *d, fh_str text, fh_err **err)
{
    if (!text.len) return 0; /* an empty string stops nothing */
    if (text.len > FH_LIMIT_STOP_STRING_BYTES)
        return fh_err_set(err, FH_E_INVALID, "a stop string of %zu bytes; at most %d", text.len, FH_LIMIT_STOP_STRING_BYTES);
    stop *s = &d->stops[d->stop_count++];
    s->bytes = text.len;
    s->text = fh_strndup(text.ptr, text.len);
    s->border = fh_calloc(text.len, sizeof *s->border);
    if (!s->text || !s->border) return fh_err_nomem(err);
    for (size_t i = 1; i < s->bytes; i++) s->border[i] = (uint16_t)step(s, s->border[i - 1], s->text[i]);
    return 0;
}

int fh_detok_new(fh_detok **ret, const fh_vocab *v, const fh_str *stops, size_t stop_count, fh_err **err)
{
    FH_AUTO(fh_detok) fh_detok *d = fh_calloc(1, sizeof *d);
    if (!d) return fh_err_nomem(err);
    d->vocab = v;
    d->pending = FH_BUF(PENDING_BYTES);
    d->stops = fh_calloc(stop_count, sizeof *d->stops);
    if (!d->stops) return fh_err_nomem(err);
    for (size_t i = 0; i < stop_count; i++) {
        int rc = add_stop(d, stops[i], err);
        if (rc) return rc;
    }
    *ret = fh_take(d);
    return 0;
}

void fh_detok_show(fh_detok *d, const uint64_t *tokens)
{
    d->shown = tokens;
}

/* Bytes of the longest beginning of a well-formed character at p, where none is whole (at least 1): they become one U+FFFD, as Unicode
 * recommends. */
static size_t broken_bytes(const char *p, size_t n)
{
    uint8_t lead = (uint8_t)p[0], second = n > 1 ? (uint8_t)p[1] : 0;
    if (lead < 0xc2 || lead > 0xf4 || lead < 0xe0) return 1;
    uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80, high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (second < low || second > high) return 1;
    return lead >= 0xf0 && n > 2 && ((uint8_t)p[2] & 0xc0) == 0x80 ? 3 : 2;
}

static void add_clean(fh_buf *out, const char *p, size_t n)
{
    size_t plain = 0;
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        size_t bytes = fh_utf8_decode(p + i, n - i, &cp);
        if (bytes) {
            i += bytes;
            continue;
        }
        fh_buf_add(out, p + plain, i - plain);
        fh_buf_adds(out, "\xef\xbf\xbd");
        plain = i += broken_bytes(p + i, n - i);
    }
    fh_buf_add(out, p + plain, n - plain);
}

static int hand_out(fh_detok *d, size_t bytes, fh_buf *out, fh_err **err)
{
    if (bytes) add_clean(out, d->pending.data, bytes);
    fh_buf_consume(&d->pending, bytes);
    return fh_buf_check(out, err, "the text");
}

/* Feeds the automata from byte `from` of what is pending: true when a stop string is complete, which then begins at *ret_at. */
static bool feed(fh_detok *d, size_t from, size_t *ret_at)
{
    for (size_t i = from; i < d->pending.len; i++) {
        const stop *longest = NULL;
        for (size_t k = 0; k < d->stop_count; k++) {
            stop *s = &d->stops[k];
            s->matched = step(s, s->matched, d->pending.data[i]);
            if (s->matched == s->bytes && (!longest || s->bytes > longest->bytes)) longest = s;
        }
        if (!longest) continue;
        *ret_at = i + 1 - longest->bytes;
        d->ended_by = longest;
        return true;
    }
    return false;
}

static size_t waiting_bytes(const fh_detok *d)
{
    size_t most = 0;
    for (size_t k = 0; k < d->stop_count; k++) most = FH_MAX(most, d->stops[k].matched);
    return most;
}

int fh_detok_push(fh_detok *d, fh_token id, fh_buf *out, bool *ret_stopped, fh_err **err)
{
    *ret_stopped = d->ended_by != NULL;
    if (d->ended_by) return 0;
    size_t before = d->pending.len, at = 0;
    bool show = d->shown && d->shown[(size_t)id / 64] >> ((size_t)id % 64) & 1;
    int rc = fh_vocab_decode(d->vocab, id, show, &d->pending, err);
    if (rc) return rc;
    if (feed(d, before, &at)) {
        *ret_stopped = true;
        return hand_out(d, at, out, err);
    }
    size_t certain = d->pending.len - waiting_bytes(d);
    return hand_out(d, certain ? fh_utf8_whole(d->pending.data, certain) : 0, out, err);
}

int fh_detok_finish(fh_detok *d, fh_buf *out, fh_err **err)
{
    return d->ended_by ? 0 : hand_out(d, d->pending.len, out, err);
}

fh_str fh_detok_stop(const fh_detok *d)
{
    return d->ended_by ? (fh_str){d->ended_by->text, d->ended_by->bytes} : (fh_str){NULL, 0};
}
