/* Byte-level BPE of one word: its bytes as symbols, then merges in the order of their rank, leftmost first, until none applies. A heap holds the
 * candidates and a list the symbols, so that a long word costs n log n. */
#include "vocab_private.h"

void fh_bpe_work_fini(fh_bpe_work *w)
{
    fh_free(w->symbols);
    fh_free(w->heap);
    fh_free(w->chars);
    *w = (fh_bpe_work){0};
}

/* Room for a word of n bytes. Each merge takes one symbol away and adds two candidates at most: 3 n candidates are enough. */
static bool reserve(fh_bpe_work *w, size_t n)
{
    if (n <= w->cap) return true;
    size_t cap = FH_MAX(n, w->cap * 2);
    fh_bpe_work_fini(w);
    w->symbols = fh_realloc_array(NULL, cap, sizeof *w->symbols);
    w->heap = fh_realloc_array(NULL, cap, 3 * sizeof *w->heap);
    w->chars = fh_realloc_array(NULL, cap, 2);
    if (!w->symbols || !w->heap || !w->chars) {
        fh_bpe_work_fini(w);
        return false;
    }
    w->cap = cap;
    return true;
}

static bool before(const fh_bpe_pair *a, const fh_bpe_pair *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void heap_push(fh_bpe_work *w, fh_bpe_pair pair)
{
    size_t i = w->heap_count++;
    for (; i > 0 && before(&pair, &w->heap[(i - 1) / 2]); i = (i - 1) / 2) w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = pair;
}

static fh_bpe_pair heap_pop(fh_bpe_work *w)
{
    fh_bpe_pair top = w->heap[0], last = w->heap[--w->heap_count];
    size_t i = 0;
    for (size_t child = 1; child < w->heap_count; child = 2 * i + 1) {
        if (child + 1 < w->heap_count && before(&w->heap[child + 1], &w->heap[child])) child++;
        if (!before(&w->heap[child], &last)) break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = last;
    return top;
}

static const fh_merge *merge_at(const fh_vocab *v, const fh_bpe_work *w, int32_t at)
{
    int32_t next = w->symbols[at].next;
    return next < 0 ? NULL : fh_vocab_merge_find(v, w->symbols[at].id, w->symbols[next].id);
}

static void consider(const fh_vocab *v, fh_bpe_work *w, int32_t at)
{
    const fh_merge *m = at < 0 ? NULL : merge_at(v, w, at);
    if (m) heap_push(w, (fh_bpe_pair){m->rank, at, m->id});
}

static void join(fh_bpe_work *w, int32_t at, fh_token id)
{
    fh_bpe_symbol *s = &w->symbols[at], *gone = &w->symbols[s->next];
    s->id = id;
    s->next = gone->next;
    gone->id = FH_TOKEN_NONE;
    if (s->next >= 0) w->symbols[s->next].prev = at;
}

/* One symbol a byte. A byte that the vocabulary lacks becomes the unknown token, or nothing where there is none, as in the library. */
static int32_t load_bytes(const fh_vocab *v, fh_bpe_work *w, const char *p, size_t n)
{
    int32_t count = 0;
    for (size_t i = 0; i < n; i++) {
        fh_token id = v->byte_ids[(uint8_t)p[i]];
        if (id == FH_TOKEN_NONE) id = v->unknown;
        if (id == FH_TOKEN_NONE) continue;
        w->symbols[count] = (fh_bpe_symbol){id, count - 1, count + 1};
        count++;
    }
    if (count) w->symbols[count - 1].next = -1;
    return count;
}

int fh_bpe_word(const fh_vocab *v, fh_bpe_work *w, const char *p, size_t n, fh_tokens *out, fh_err **err)
{
    if (n > INT32_MAX / 4) return fh_err_set(err, FH_E_TOO_LARGE, "a word of %zu bytes is too long for the tokenizer", n);
    if (!reserve(w, n)) return fh_err_nomem(err);
    if (v->ignore_merges && 2 * v->longest >= n) {
        fh_token id = fh_vocab_lookup(v, w->chars, fh_bytes_to_chars(p, n, w->chars));
        if (id != FH_TOKEN_NONE && fh_piece_is_text(v, id)) return fh_tokens_push(out, id) ? 0 : fh_err_nomem(err);
    }
    w->heap_count = 0;
    int32_t count = load_bytes(v, w, p, n);
    for (int32_t i = 0; i < count; i++) consider(v, w, i);
    while (w->heap_count) {
        fh_bpe_pair pair = heap_pop(w);
        if (w->symbols[pair.at].id == FH_TOKEN_NONE) continue;
        const fh_merge *m = merge_at(v, w, pair.at);
        if (!m || m->rank != pair.rank) continue; /* one of the two has been merged with another since */
        join(w, pair.at, m->id);
        consider(v, w, w->symbols[pair.at].prev);
        consider(v, w, pair.at);
    }
    for (int32_t i = count ? 0 : -1; i >= 0; i = w->symbols[i].next)
        if (!fh_tokens_push(out, w->symbols[i].id)) return fh_err_nomem(err);
    return 0;
}
