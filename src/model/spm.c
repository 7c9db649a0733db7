/* SentencePiece BPE as Llama 2 has it: blanks become U+2581, characters become pieces, then the neighbours whose joined text is the piece
 * with the highest score are joined (the leftmost of equals) until none are. Characters that are no piece become byte tokens. Where no
 * piece has a blank behind something else, no join crosses the beginning of a word, and words are taken one by one. Bytes that are no UTF-8
 * become byte tokens. */
#include "vocab_private.h"

#define BLANK "\xe2\x96\x81" /* U+2581 */

void fh_spm_work_fini(fh_spm_work *w)
{
    fh_free(w->symbols);
    fh_free(w->heap);
    fh_free(w->text);
    *w = (fh_spm_work){0};
}

/* Room for a word of n bytes and a blank before it; a join takes one pair from the heap and adds at most two. */
static int make_room(fh_spm_work *w, size_t n, fh_err **err)
{
    n++;
    if (n <= w->cap) return 0;
    size_t cap = FH_MAX(FH_MAX(n, (size_t)256), w->cap * 2);
    fh_spm_work_fini(w);
    w->symbols = fh_realloc_array(NULL, cap, sizeof *w->symbols);
    w->heap = fh_realloc_array(NULL, cap, 2 * sizeof *w->heap);
    w->text = fh_realloc_array(NULL, cap, sizeof BLANK - 1);
    if (!w->symbols || !w->heap || !w->text) return fh_err_nomem(err);
    w->cap = cap;
    return 0;
}

static bool before(fh_spm_pair a, fh_spm_pair b)
{
    return a.score > b.score || (a.score == b.score && a.at < b.at);
}

static void heap_push(fh_spm_work *w, fh_spm_pair pair)
{
    size_t i = w->heap_count++;
    for (; i && before(pair, w->heap[(i - 1) / 2]); i = (i - 1) / 2) w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = pair;
}

static fh_spm_pair heap_pop(fh_spm_work *w)
{
    fh_spm_pair top = w->heap[0], last = w->heap[--w->heap_count];
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

static fh_token text_piece(const fh_vocab *v, const char *p, size_t n)
{
    fh_token id = fh_vocab_lookup(v, p, n);
    return id != FH_TOKEN_NONE && fh_piece_is_text(v, id) ? id : FH_TOKEN_NONE;
}

static void offer_pair(const fh_vocab *v, fh_spm_work *w, int32_t at)
{
    int32_t next = at < 0 ? -1 : w->symbols[at].next;
    if (next < 0) return;
    uint32_t bytes = w->symbols[at].bytes + w->symbols[next].bytes;
    fh_token id = text_piece(v, w->text + w->symbols[at].start, bytes);
    if (id != FH_TOKEN_NONE) heap_push(w, (fh_spm_pair){.score = v->scores[id], .at = at, .bytes = bytes, .id = id});
}

/* A pair is stale when either side has changed; then the bytes of both differ from those that were offered. */
static void join(const fh_vocab *v, fh_spm_work *w, fh_spm_pair pair)
{
    fh_spm_symbol *left = &w->symbols[pair.at];
    if (!left->bytes || left->next < 0) return;
    fh_spm_symbol *right = &w->symbols[left->next];
    if (left->bytes + right->bytes != pair.bytes) return;
    left->bytes = pair.bytes;
    left->id = pair.id;
    left->next = right->next;
    right->bytes = 0;
    if (left->next >= 0) w->symbols[left->next].prev = pair.at;
    offer_pair(v, w, left->prev);
    offer_pair(v, w, pair.at);
}

static void add_symbol(const fh_vocab *v, fh_spm_work *w, const char *p, size_t n, bool is_text)
{
    memcpy(w->text + w->text_bytes, p, n);
    w->symbols[w->count] = (fh_spm_symbol){.start = (uint32_t)w->text_bytes,
                                           .bytes = (uint32_t)n,
                                           .prev = (int32_t)w->count - 1,
                                           .next = (int32_t)w->count + 1,
                                           .id = is_text ? text_piece(v, p, n) : FH_TOKEN_NONE};
    w->text_bytes += n;
    w->count++;
}

static void fill_symbols(const fh_vocab *v, fh_spm_work *w, fh_str word, bool prefix)
{
    w->count = w->heap_count = w->text_bytes = 0;
    if (prefix) add_symbol(v, w, BLANK, 3, true);
    for (size_t i = 0; i < word.len;) {
        uint32_t cp = 0;
        size_t n = fh_utf8_decode(word.ptr + i, word.len - i, &cp);
        if (cp == ' ' && n)
            add_symbol(v, w, BLANK, 3, true);
        else
            add_symbol(v, w, word.ptr + i, n ? n : 1, n > 0);
        i += n ? n : 1;
    }
    if (w->count) w->symbols[w->count - 1].next = -1;
}

/* A symbol that is no piece: its bytes, or the unknown token where the vocabulary has none for them. */
static bool push_bytes(const fh_vocab *v, const char *p, size_t n, fh_tokens *out)
{
    for (size_t i = 0; i < n; i++) {
        fh_token id = v->byte_ids[(uint8_t)p[i]];
        if (id == FH_TOKEN_NONE) return v->unknown == FH_TOKEN_NONE || fh_tokens_push(out, v->unknown);
        if (!fh_tokens_push(out, id)) return false;
    }
    return true;
}

static int encode_word(const fh_vocab *v, fh_spm_work *w, fh_str word, bool prefix, fh_tokens *out, fh_err **err)
{
    int rc = make_room(w, word.len, err);
    if (rc) return rc;
    fill_symbols(v, w, word, prefix);
    for (size_t i = 0; i + 1 < w->count; i++) offer_pair(v, w, (int32_t)i);
    while (w->heap_count) join(v, w, heap_pop(w));
    for (int32_t i = w->count ? 0 : -1; i >= 0; i = w->symbols[i].next) {
        const fh_spm_symbol *s = &w->symbols[i];
        bool ok = s->id != FH_TOKEN_NONE ? fh_tokens_push(out, s->id) : push_bytes(v, w->text + s->start, s->bytes, out);
        if (!ok) return fh_err_nomem(err);
    }
    return 0;
}

static size_t blank_at(fh_str text, size_t i)
{
    if (text.ptr[i] == ' ') return 1;
    return text.len - i >= 3 && !memcmp(text.ptr + i, BLANK, 3) ? 3 : 0;
}

/* Length of the word that begins the text: blanks, then what is none. Cut between characters when it is too long. */
static size_t word_length(const fh_vocab *v, fh_str text)
{
    size_t i = 0, n = 0, most = FH_MIN(text.len, (size_t)FH_LIMIT_ENCODE_WORD_BYTES);
    if (v->splits_at_blanks) {
        while (i < most && (n = blank_at(text, i))) i += n;
        while (i < most && !blank_at(text, i)) i++;
        most = FH_MIN(i, most);
    }
    if (most == text.len) return most;
    size_t whole = fh_utf8_whole(text.ptr, most);
    return whole ? whole : most;
}

int fh_spm_text(const fh_vocab *v, fh_spm_work *w, fh_str text, fh_tokens *out, fh_err **err)
{
    bool prefix = v->add_prefix;
    while (text.len) {
        size_t n = word_length(v, text);
        int rc = encode_word(v, w, (fh_str){text.ptr, n}, prefix, out, err);
        if (rc) return rc;
        prefix = false;
        text = (fh_str){text.ptr + n, text.len - n};
    }
    return 0;
}
