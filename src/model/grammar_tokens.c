/* The tokens of a vocabulary by their bytes: two tries laid out in the order of a walk, masks of the plain tokens, the bytes themselves.
 * Made once for a vocabulary; never changes. */
#include "grammar_private.h"

#include <stdlib.h>

enum { TOKEN_BYTES = 250 }; /* a longer token is never chosen under a grammar */

typedef struct item {
    uint64_t head; /* the first eight bytes, zeros behind the last: most tokens are told apart by them */
    const uint8_t *bytes;
    size_t len;
    fh_token id;
} item;

static item item_of(const uint8_t *bytes, size_t len, fh_token id)
{
    item it = {.bytes = bytes, .len = len, .id = id};
    for (size_t i = 0; i < sizeof it.head; i++) it.head = it.head << 8 | (i < len ? bytes[i] : 0);
    return it;
}

static int by_bytes(const void *a, const void *b)
{
    const item *x = a, *y = b;
    if (x->head != y->head) return x->head < y->head ? -1 : 1;
    size_t n = FH_MIN(x->len, y->len);
    int order = n ? memcmp(x->bytes, y->bytes, n) : 0;
    if (order) return order;
    if (x->len != y->len) return x->len < y->len ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* The characters of a plain token; 0 when it is none. */
static unsigned plain_characters(const item *t)
{
    unsigned n = 0;
    for (size_t i = 0; i < t->len; n++) {
        uint32_t cp;
        size_t bytes = fh_utf8_decode((const char *)t->bytes + i, t->len - i, &cp);
        if (!bytes || cp < 0x20 || cp == '"' || cp == '\\' || cp == 0x7f) return 0;
        i += bytes;
    }
    return n;
}

/* ---- tries ---- */

static size_t shared(const item *a, const item *b)
{
    size_t n = FH_MIN(a->len, b->len), i = 0;
    while (i < n && a->bytes[i] == b->bytes[i]) i++;
    return i == b->len ? i - 1 : i; /* of two tokens with the same bytes the second gets a node of its own */
}

static void close_nodes(grammar_trie *t, const uint32_t *open, size_t from, size_t to)
{
    while (to > from) t->nodes[open[--to]].skip = (uint32_t)t->count;
}

/* items: sorted, none empty, none longer than TOKEN_BYTES. */
static bool build(grammar_trie *t, const item *items, size_t count)
{
    uint32_t open[TOKEN_BYTES] = {0};
    size_t total = 0, depth = 0;
    for (size_t i = 0; i < count; i++) total += items[i].len - (i ? shared(&items[i - 1], &items[i]) : 0);
    t->nodes = fh_calloc(total + 1, sizeof *t->nodes);
    if (!t->nodes) return false;
    for (size_t i = 0; i < count; i++) {
        size_t keep = i ? shared(&items[i - 1], &items[i]) : 0;
        close_nodes(t, open, keep, depth);
        for (depth = keep; depth < items[i].len; depth++) {
            open[depth] = (uint32_t)t->count;
            t->nodes[t->count++] =
                (grammar_trie_node){.token = FH_TOKEN_NONE, .depth = (uint16_t)(depth + 1), .byte = items[i].bytes[depth]};
        }
        t->nodes[open[depth - 1]].token = items[i].id;
        t->deepest = FH_MAX(t->deepest, depth);
    }
    close_nodes(t, open, 0, depth);
    return true;
}

/* ---- the vocabulary ---- */

/* No text has these bytes, but a vocabulary of bytes has them as tokens: with such a one a control token could be spelled out. */
static bool has_marks(const fh_buf *b, size_t from)
{
    for (size_t i = from; i < b->len; i++)
        if ((uint8_t)b->data[i] >= GRAMMAR_TOKEN_CLOSE) return true;
    return false;
}

static int add_bytes(const fh_vocab *v, fh_token id, fh_buf *all, fh_err **err)
{
    size_t before = all->len;
    if (fh_vocab_is_end(v, id)) return 0;
    int rc = fh_vocab_decode(v, id, false, all, err);
    if (!rc && has_marks(all, before)) all->data[all->len = before] = '\0';
    if (rc || all->len > before || !fh_vocab_is_control(v, id)) return rc;
    fh_buf_addc(all, (char)GRAMMAR_TOKEN_OPEN);
    rc = fh_vocab_decode(v, id, true, all, err);
    fh_buf_addc(all, (char)GRAMMAR_TOKEN_CLOSE);
    return rc;
}

static int collect_bytes(grammar_tokens *t, const fh_vocab *v, fh_err **err)
{
    FH_AUTO(buf) fh_buf all = FH_BUF(FH_LIMIT_GGUF_STRING_BYTES * 4ul);
    size_t known = FH_MIN(fh_vocab_size(v), t->logit_count), len;
    int rc = 0;
    t->offsets = fh_calloc(t->logit_count + 1, sizeof *t->offsets);
    if (!t->offsets) return fh_err_nomem(err);
    for (size_t i = 0; !rc && i < known; i++) {
        rc = add_bytes(v, (fh_token)i, &all, err);
        t->offsets[i + 1] = (uint32_t)all.len;
    }
    if (!rc) rc = fh_buf_check(&all, err, "the vocabulary's text");
    for (size_t i = known; i < t->logit_count; i++) t->offsets[i + 1] = t->offsets[i];
    if (rc) return rc;
    t->bytes = fh_buf_take(&all, &len);
    return t->bytes ? 0 : fh_err_nomem(err);
}

static void set_bit(uint64_t *mask, fh_token id)
{
    mask[(size_t)id / 64] |= 1ull << ((size_t)id % 64);
}

static bool make_masks(grammar_tokens *t, const fh_vocab *v)
{
    t->ends = fh_calloc(t->words, sizeof *t->ends);
    bool good = t->ends != NULL;
    for (size_t n = 0; n <= GRAMMAR_PLAIN_MAX; n++) good = (t->plain[n] = fh_calloc(t->words, sizeof **t->plain)) && good;
    for (size_t i = 0; good && i < FH_MIN(fh_vocab_size(v), t->logit_count); i++)
        if (fh_vocab_is_end(v, (fh_token)i)) set_bit(t->ends, (fh_token)i);
    return good;
}

static bool make_tries(grammar_tokens *t)
{
    FH_AUTO(ptr) item *items = fh_alloc((t->logit_count + 1) * sizeof *items);
    size_t count = 0, rest = 0;
    if (!items) return false;
    for (size_t i = 0; i < t->logit_count; i++) {
        item it = item_of((const uint8_t *)t->bytes + t->offsets[i], t->offsets[i + 1] - t->offsets[i], (fh_token)i);
        if (it.len && it.len <= TOKEN_BYTES) items[count++] = it;
    }
    qsort(items, count, sizeof *items, by_bytes);
    if (!build(&t->all, items, count)) return false;
    for (size_t i = 0; i < count; i++) {
        unsigned n = plain_characters(&items[i]);
        if (n && n <= GRAMMAR_PLAIN_MAX) {
            set_bit(t->plain[n], items[i].id);
            set_bit(t->plain[0], items[i].id);
        } else
            items[rest++] = items[i];
    }
    return build(&t->rest, items, rest);
}

int grammar_tokens_init(grammar_tokens *t, const fh_vocab *v, size_t logit_count, fh_err **err)
{
    *t = (grammar_tokens){.logit_count = logit_count, .words = (logit_count + 63) / 64};
    int rc = collect_bytes(t, v, err);
    if (!rc && (!make_masks(t, v) || !make_tries(t))) rc = fh_err_nomem(err);
    if (rc) grammar_tokens_fini(t);
    return rc;
}

void grammar_tokens_fini(grammar_tokens *t)
{
    for (size_t n = 0; n <= GRAMMAR_PLAIN_MAX; n++) fh_free(t->plain[n]);
    fh_free(t->ends);
    fh_free(t->bytes);
    fh_free(t->offsets);
    fh_free(t->all.nodes);
    fh_free(t->rest.nodes);
    *t = (grammar_tokens){0};
}
