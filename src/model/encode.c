/* Text to tokens and back. Text is cut at special tokens first (where its author may write them), then each stretch goes through the vocabulary's own
 * algorithm. Bytes that are no UTF-8 keep their places: byte-level vocabularies have a token for each byte. */
#include "vocab_private.h"
#include <stdlib.h>
#include <utf8proc.h>

void fh_tokens_fini(fh_tokens *t)
{
    fh_free(t->ids);
    *t = (fh_tokens){0};
}

bool fh_tokens_push(fh_tokens *t, fh_token id)
{
    if (t->count == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 64;
        fh_token *ids = fh_realloc_array(t->ids, cap, sizeof *ids);
        if (!ids) return false;
        t->ids = ids;
        t->cap = cap;
    }
    t->ids[t->count++] = id;
    return true;
}

typedef struct work {
    const fh_vocab *v;
    fh_tokens *out;
    fh_bpe_work bpe;
    fh_spm_work spm;
} work;

static int bpe_word(void *arg, const char *p, size_t n, fh_err **err)
{
    work *w = arg;
    return fh_bpe_word(w->v, &w->bpe, p, n, w->out, err);
}

/* NFC, for vocabularies whose makers normalise. */
static int bpe_normalised(work *w, fh_str valid, fh_err **err)
{
    utf8proc_uint8_t *text = NULL;
    utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)valid.ptr, (utf8proc_ssize_t)valid.len, &text, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (n < 0) return n == UTF8PROC_ERROR_NOMEM ? fh_err_nomem(err) : fh_err_set(err, FH_E_INVALID, "the text cannot be normalised: %s", utf8proc_errmsg(n));
    int rc = fh_pretokenizer_run(w->v->pre, (fh_str){(char *)text, (size_t)n}, bpe_word, w, err);
    free(text); /* utf8proc's own */
    return rc;
}

static bool is_ascii(fh_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] >= 0x80) return false;
    return true;
}

static size_t valid_bytes(const char *p, size_t n)
{
    size_t i = 0, step;
    uint32_t cp;
    while (i < n && (step = fh_utf8_decode(p + i, n - i, &cp)) > 0) i += step;
    return i;
}

static size_t broken_bytes(const char *p, size_t n)
{
    size_t i = 0;
    uint32_t cp;
    while (i < n && fh_utf8_decode(p + i, n - i, &cp) == 0) i++;
    return i;
}

static int bpe_text(work *w, fh_str text, fh_err **err)
{
    int rc = 0;
    for (size_t i = 0; i < text.len && !rc;) {
        fh_str valid = {text.ptr + i, valid_bytes(text.ptr + i, text.len - i)};
        if (valid.len) rc = w->v->nfc && !is_ascii(valid) ? bpe_normalised(w, valid, err) : fh_pretokenizer_run(w->v->pre, valid, bpe_word, w, err);
        i += valid.len;
        size_t broken = broken_bytes(text.ptr + i, text.len - i);
        if (!rc && broken) rc = fh_bpe_word(w->v, &w->bpe, text.ptr + i, broken, w->out, err);
        i += broken;
    }
    return rc;
}

static int plain_text(work *w, fh_str text, fh_err **err)
{
    return w->v->spm ? fh_spm_text(w->v, &w->spm, text, w->out, err) : bpe_text(w, text, err);
}

static int cut_at_specials(work *w, fh_str text, unsigned flags, fh_err **err)
{
    size_t from = 0, at = 0;
    int rc = 0;
    while (!rc) {
        fh_token id = fh_vocab_find_special(w->v, text, from, !(flags & FH_ENCODE_SPECIAL), &at);
        if (id == FH_TOKEN_NONE) break;
        rc = plain_text(w, (fh_str){text.ptr + from, at - from}, err);
        if (!rc && !fh_tokens_push(w->out, id)) rc = fh_err_nomem(err);
        from = at + w->v->pieces[id].len;
    }
    return rc ? rc : plain_text(w, (fh_str){text.ptr + from, text.len - from}, err);
}

int fh_vocab_encode(const fh_vocab *v, fh_str text, unsigned flags, fh_tokens *out, fh_err **err)
{
    work w = {.v = v, .out = out};
    int rc = 0;
    if ((flags & FH_ENCODE_BOS) && v->add_bos && v->bos != FH_TOKEN_NONE && !fh_tokens_push(out, v->bos)) rc = fh_err_nomem(err);
    if (!rc) rc = cut_at_specials(&w, text, flags, err);
    fh_bpe_work_fini(&w.bpe);
    fh_spm_work_fini(&w.spm);
    return rc;
}

static void decode_spm(fh_str piece, fh_buf *out)
{
    for (size_t i = 0; i < piece.len;) {
        bool blank = i + 3 <= piece.len && memcmp(piece.ptr + i, "\xe2\x96\x81", 3) == 0;
        fh_buf_addc(out, blank ? ' ' : piece.ptr[i]);
        i += blank ? 3 : 1;
    }
}

static int byte_of(fh_str piece)
{
    uint8_t byte;
    return piece.len == 6 && fh_hex_decode((fh_str){piece.ptr + 3, 2}, &byte, 1) ? byte : -1;
}

int fh_vocab_decode(const fh_vocab *v, fh_token id, bool show_special, fh_buf *out, fh_err **err)
{
    if (id < 0 || (size_t)id >= v->size) return fh_err_set(err, FH_E_INVALID, "token %d is not in the vocabulary of %zu", id, v->size);
    if (fh_vocab_is_control(v, id) && !show_special) return 0;
    fh_str piece = v->pieces[id];
    unsigned type = fh_piece_type(v, id);
    if (type == FH_PIECE_BYTE && byte_of(piece) >= 0) fh_buf_addc(out, (char)byte_of(piece));
    else if (type == FH_PIECE_CONTROL || type == FH_PIECE_UNKNOWN || (type == FH_PIECE_USER && !v->spm)) fh_buf_add(out, piece.ptr, piece.len);
    else if (v->spm) decode_spm(piece, out);
    else if (!fh_chars_to_bytes(piece, out)) fh_buf_add(out, piece.ptr, piece.len);
    return fh_buf_check(out, err, "the decoded text");
}

int fh_vocab_decode_all(const fh_vocab *v, const fh_token *ids, size_t count, bool show_special, fh_buf *out, fh_err **err)
{
    bool strip = v->spm && v->add_prefix; /* the blank that encoding put before each stretch of text */
    for (size_t i = 0; i < count; i++) {
        size_t begun = out->len;
        int rc = fh_vocab_decode(v, ids[i], show_special, out, err);
        if (rc) return rc;
        if (strip && out->len > begun && !fh_vocab_is_control(v, ids[i]) && out->data[begun] == ' ') {
            memmove(out->data + begun, out->data + begun + 1, out->len - begun);
            out->len--;
        }
        strip = v->spm && v->add_prefix && fh_vocab_is_control(v, ids[i]);
    }
    return 0;
}
