/* SentencePiece's BPE: characters as symbols, then the pair whose piece has the best score, leftmost first, until none is a piece. Blanks are written
 * as U+2581. A character that is no piece is given as its bytes. */
#include "vocab_private.h"

#define BLANK "\xe2\x96\x81"
enum { BLANK_BYTES = 3 };

void fh_spm_work_fini(fh_spm_work *w)
{
    fh_free(w->symbols);
    fh_free(w->heap);
    fh_free(w->text);
    *w = (fh_spm_work){0};
}

static bool reserve(fh_spm_work *w, size_t bytes)
{
    if (bytes <= w->cap) return true;
    size_t cap = FH_MAX(bytes, w->cap * 2);
    fh_spm_work_fini(w);
    w->symbols = fh_realloc_array(NULL, cap, sizeof *w->symbols);
    w->heap = fh_realloc_array(NULL, cap, 3 * sizeof *w->heap);
    w->text = fh_alloc(cap);
    if (!w->symbols || !w->heap || !w->text) {
        fh_spm_work_fini(w);
        return false;
    }
    w->cap = cap;
    return true;
}

static bool before(const fh_spm_pair *a, const fh_spm_pair *b)
{
    return a->score > b->score || (a->score >= b->score && a->at < b->at);
}

static void heap_push(fh_spm_work *w, fh_spm_pair pair)
{
    size_t i = w->heap_count++;
    for (; i > 0 && before(&pair, &w->heap[(i - 1) / 2]); i = (i - 1) / 2) w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = pair;
}

static fh_spm_pair heap_pop(fh_spm_work *w)
{
    fh_spm_pair top = w->heap[0], last = w->heap[--w->heap_count];
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

static fh_token text_piece(const fh_vocab *v, const char *p, size_t n)
{
    fh_token id = fh_vocab_lookup(v, p, n);
    return id != FH_TOKEN_NONE && fh_piece_is_text(v, id) ? id : FH_TOKEN_NONE;
}

static void consider(const fh_vocab *v, fh_spm_work *w, int32_t at)
{
    if (at < 0 || w->symbols[at].next < 0) return;
    const fh_spm_symbol *s = &w->symbols[at];
    uint32_t bytes = s->bytes + w->symbols[s->next].bytes;
    fh_token id = text_piece(v, w->text + s->start, bytes);
    if (id != FH_TOKEN_NONE) heap_push(w, (fh_spm_pair){v->scores[id], at, bytes, id});
}

/* Symbols of the escaped word: one a character, one a byte where the text is no UTF-8. */
static void load_symbols(const fh_vocab *v, fh_spm_work *w)
{
    w->count = w->heap_count = 0;
    for (size_t i = 0; i < w->text_bytes;) {
        uint32_t cp;
        size_t n = FH_MAX(fh_utf8_decode(w->text + i, w->text_bytes - i, &cp), (size_t)1);
        int32_t at = (int32_t)w->count++;
        w->symbols[at] = (fh_spm_symbol){(uint32_t)i, (uint32_t)n, at - 1, at + 1, text_piece(v, w->text + i, n)};
        i += n;
    }
    if (w->count) w->symbols[w->count - 1].next = -1;
}

static void merge_all(const fh_vocab *v, fh_spm_work *w)
{
    for (size_t i = 0; i < w->count; i++) consider(v, w, (int32_t)i);
    while (w->heap_count) {
        fh_spm_pair pair = heap_pop(w);
        fh_spm_symbol *s = &w->symbols[pair.at];
        if (!s->bytes || s->next < 0 || s->bytes + w->symbols[s->next].bytes != pair.bytes) continue; /* merged otherwise since */
        fh_spm_symbol *gone = &w->symbols[s->next];
        s->bytes = pair.bytes;
        s->id = pair.id;
        s->next = gone->next;
        gone->bytes = 0;
        if (s->next >= 0) w->symbols[s->next].prev = pair.at;
        consider(v, w, s->prev);
        consider(v, w, pair.at);
    }
}

static bool push_bytes(const fh_vocab *v, const char *p, size_t n, fh_tokens *out)
{
    for (size_t i = 0; i < n; i++) {
        fh_token id = v->byte_ids[(uint8_t)p[i]];
        if (id == FH_TOKEN_NONE) return v->unknown == FH_TOKEN_NONE || fh_tokens_push(out, v->unknown);
        if (!fh_tokens_push(out, id)) return false;
    }
    return true;
}

static int emit(const fh_vocab *v, const fh_spm_work *w, fh_tokens *out, fh_err **err)
{
    for (int32_t i = w->count ? 0 : -1; i >= 0; i = w->symbols[i].next) {
        const fh_spm_symbol *s = &w->symbols[i];
        bool ok = s->id != FH_TOKEN_NONE ? fh_tokens_push(out, s->id) : push_bytes(v, w->text + s->start, s->bytes, out);
        if (!ok) return fh_err_nomem(err);
    }
    return 0;
}

/* text as it came; prefix: a blank goes before it. */
static int word(const fh_vocab *v, fh_spm_work *w, fh_str text, bool prefix, fh_tokens *out, fh_err **err)
{
    if (text.len > INT32_MAX / 8) return fh_err_set(err, FH_E_TOO_LARGE, "a stretch of %zu bytes is too long for the tokenizer", text.len);
    if (!reserve(w, (text.len + 1) * BLANK_BYTES)) return fh_err_nomem(err);
    size_t n = 0;
    if (prefix) memcpy(w->text, BLANK, BLANK_BYTES), n = BLANK_BYTES;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == ' ') memcpy(w->text + n, BLANK, BLANK_BYTES), n += BLANK_BYTES;
        else w->text[n++] = text.ptr[i];
    }
    w->text_bytes = n;
    load_symbols(v, w);
    merge_all(v, w);
    return emit(v, w, out, err);
}

int fh_spm_text(const fh_vocab *v, fh_spm_work *w, fh_str text, fh_tokens *out, fh_err **err)
{
    if (text.len == 0) return 0;
    if (!v->splits_at_blanks) return word(v, w, text, v->add_prefix, out, err);
    size_t from = 0;
    int rc = 0;
    for (size_t i = 1; i <= text.len && !rc; i++) {
        /* a word begins at a blank that follows something else: no piece spans that place */
        if (i < text.len && !(text.ptr[i] == ' ' && text.ptr[i - 1] != ' ')) continue;
        rc = word(v, w, (fh_str){text.ptr + from, i - from}, from == 0 && v->add_prefix, out, err);
        from = i;
    }
    return rc;
}
