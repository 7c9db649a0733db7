/* BPE of one word: its bytes become tokens (or its characters, chars.c), then the pair with the lowest rank is joined (the leftmost of
 * equals) until no pair has a merge. A heap of pairs makes that O(n log n); pairs that a later join has made stale are skipped when they
 * come up. Exactly what the `tokenizers` library does, also in leaving out a byte that the vocabulary has no token for. */
#include "vocab_private.h"

void fh_bpe_work_fini(fh_bpe_work *w)
{
    fh_free(w->symbols);
    fh_free(w->heap);
    fh_free(w->chars);
    *w = (fh_bpe_work){0};
}

/* A join takes one pair from the heap and adds at most two, so that 2 n pairs suffice. */
int fh_bpe_room(fh_bpe_work *w, size_t n, fh_err **err)
{
    if (n <= w->cap) return 0;
    size_t cap = FH_MAX(n, (size_t)256);
    cap = FH_MAX(cap, w->cap * 2);
    fh_bpe_work_fini(w);
    w->symbols = fh_realloc_array(NULL, cap, sizeof *w->symbols);
    w->heap = fh_realloc_array(NULL, cap, 2 * sizeof *w->heap);
    w->chars = fh_realloc_array(NULL, cap, 2);
    if (!w->symbols || !w->heap || !w->chars) return fh_err_nomem(err);
    w->cap = cap;
    return 0;
}

static bool before(fh_bpe_pair a, fh_bpe_pair b)
{
    return a.rank < b.rank || (a.rank == b.rank && a.at < b.at);
}

static void heap_push(fh_bpe_work *w, fh_bpe_pair pair)
{
    size_t i = w->heap_count++;
    for (; i && before(pair, w->heap[(i - 1) / 2]); i = (i - 1) / 2) w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = pair;
}

static fh_bpe_pair heap_pop(fh_bpe_work *w)
{
    fh_bpe_pair top = w->heap[0], last = w->heap[--w->heap_count];
    size_t i = 0;
    for (size_t child = 1; child < w->heap_count; child = 2 * i + 1) {
        if (child + 1 < w->heap_count && before(w->heap[child + 1], w->heap[child])) child++;
        if (!before(w->heap[child], last)) break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = last;
    return top;
}

static void offer_pair(const fh_vocab *v, fh_bpe_work *w, int32_t at)
{
    int32_t next = at < 0 ? -1 : w->symbols[at].next;
    if (next < 0) return;
    const fh_merge *m = fh_vocab_merge_find(v, w->symbols[at].id, w->symbols[next].id);
    if (m) heap_push(w, (fh_bpe_pair){.rank = m->rank, .at = at, .id = m->id});
}

static bool is_current(const fh_vocab *v, const fh_bpe_work *w, fh_bpe_pair pair)
{
    const fh_bpe_symbol *s = &w->symbols[pair.at];
    if (s->id == FH_TOKEN_NONE || s->next < 0) return false;
    const fh_merge *m = fh_vocab_merge_find(v, s->id, w->symbols[s->next].id);
    return m && m->rank == pair.rank;
}

static void join(const fh_vocab *v, fh_bpe_work *w, fh_bpe_pair pair)
{
    fh_bpe_symbol *left = &w->symbols[pair.at], *right = &w->symbols[left->next];
    left->id = pair.id;
    left->next = right->next;
    right->id = FH_TOKEN_NONE;
    if (left->next >= 0) w->symbols[left->next].prev = pair.at;
    offer_pair(v, w, left->prev);
    offer_pair(v, w, pair.at);
}

static void fill_symbols(const fh_vocab *v, fh_bpe_work *w, const char *p, size_t n)
{
    w->count = 0;
    for (size_t i = 0; i < n; i++) {
        fh_token id = v->byte_ids[(uint8_t)p[i]];
        if (id != FH_TOKEN_NONE) fh_bpe_add(w, id);
    }
}

static fh_token whole_word(const fh_vocab *v, fh_bpe_work *w, const char *p, size_t n)
{
    if (n > v->longest) return FH_TOKEN_NONE;
    fh_token id = fh_vocab_lookup(v, w->chars, fh_bytes_to_chars(p, n, w->chars));
    return id != FH_TOKEN_NONE && fh_piece_is_text(v, id) ? id : FH_TOKEN_NONE;
}

int fh_bpe_join(const fh_vocab *v, fh_bpe_work *w, fh_tokens *out, fh_err **err)
{
    size_t count = w->count;
    if (count) w->symbols[count - 1].next = -1;
    w->heap_count = 0;
    for (size_t i = 0; i + 1 < count; i++) offer_pair(v, w, (int32_t)i);
    while (w->heap_count) {
        fh_bpe_pair pair = heap_pop(w);
        if (is_current(v, w, pair)) join(v, w, pair);
    }
    for (int32_t i = count ? 0 : -1; i >= 0; i = w->symbols[i].next) {
        if (!fh_tokens_push(out, w->symbols[i].id)) return fh_err_nomem(err);
    }
    return 0;
}

int fh_bpe_word(const fh_vocab *v, fh_bpe_work *w, const char *p, size_t n, fh_tokens *out, fh_err **err)
{
    int rc = fh_bpe_room(w, n, err);
    if (rc) return rc;
    fh_token whole = v->ignore_merges ? whole_word(v, w, p, n) : FH_TOKEN_NONE;
    if (whole != FH_TOKEN_NONE) return fh_tokens_push(out, whole) ? 0 : fh_err_nomem(err);
    fill_symbols(v, w, p, n);
    return fh_bpe_join(v, w, out, err);
}
