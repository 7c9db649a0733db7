/* Text to tokens: special tokens are cut out first (where the caller allows them), then each stretch between them goes through the
 * vocabulary's algorithm. Work and memory are bounded by the length of the text; on failure the list is as it was. */
#include "vocab_private.h"
#include <utf8proc.h>

typedef struct encoder {
    const fh_vocab *v;
    fh_tokens *out;
    fh_bpe_work bpe;
    fh_spm_work spm;
} encoder;

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

static int encode_word(void *arg, const char *p, size_t n, fh_err **err)
{
    encoder *e = arg;
    while (n > FH_LIMIT_ENCODE_WORD_BYTES) {
        size_t part = fh_utf8_whole(p, FH_LIMIT_ENCODE_WORD_BYTES);
        if (!part) part = FH_LIMIT_ENCODE_WORD_BYTES;
        int rc = fh_bpe_word(e->v, &e->bpe, p, part, e->out, err);
        if (rc) return rc;
        p += part;
        n -= part;
    }
    return fh_bpe_word(e->v, &e->bpe, p, n, e->out, err);
}

static bool is_ascii(fh_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((uint8_t)s.ptr[i] >= 0x80) return false;
    }
    return true;
}

/* valid_utf8 in normal form C, in *ret (owned, its first *ret_bytes). */
static int normalize(fh_str valid_utf8, char **ret, size_t *ret_bytes, fh_err **err)
{
    const utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    const utf8proc_uint8_t *in = (const utf8proc_uint8_t *)valid_utf8.ptr;
    utf8proc_ssize_t count = utf8proc_decompose(in, (utf8proc_ssize_t)valid_utf8.len, NULL, 0, options);
    if (count < 0) return fh_err_set(err, FH_E_INTERNAL, "text could not be normalised: %s", utf8proc_errmsg(count));
    FH_AUTO(ptr) utf8proc_int32_t *buffer = fh_realloc_array(NULL, (size_t)count + 1, sizeof *buffer);
    if (!buffer) return fh_err_nomem(err);
    count = utf8proc_decompose(in, (utf8proc_ssize_t)valid_utf8.len, buffer, count, options);
    if (count >= 0) count = utf8proc_reencode(buffer, count, options);
    if (count < 0) return fh_err_set(err, FH_E_INTERNAL, "text could not be normalised: %s", utf8proc_errmsg(count));
    *ret = (char *)buffer;
    *ret_bytes = (size_t)count;
    buffer = NULL;
    return 0;
}

static int encode_valid(encoder *e, fh_str text, fh_err **err)
{
    if (!e->v->nfc || is_ascii(text)) return fh_pretokenizer_run(e->v->pre, text, encode_word, e, err);
    FH_AUTO(ptr) char *normal = NULL;
    size_t bytes = 0;
    int rc = normalize(text, &normal, &bytes, err);
    return rc ? rc : fh_pretokenizer_run(e->v->pre, (fh_str){normal, bytes}, encode_word, e, err);
}

/* Length of the well-formed beginning of text, or, when there is none, of the broken one (*ret_valid says which). */
static size_t stretch(fh_str text, bool *ret_valid)
{
    size_t i = 0, n = 0;
    uint32_t cp;
    *ret_valid = fh_utf8_decode(text.ptr, text.len, &cp) > 0;
    for (; i < text.len; i += n ? n : 1) {
        n = fh_utf8_decode(text.ptr + i, text.len - i, &cp);
        if ((n > 0) != *ret_valid) break;
    }
    return i;
}

/* Broken bytes are words of their own: patterns are made for characters. */
static int encode_bytes(encoder *e, fh_str text, fh_err **err)
{
    int rc = 0;
    while (text.len && !rc) {
        bool valid = false;
        size_t n = stretch(text, &valid);
        rc = valid ? encode_valid(e, (fh_str){text.ptr, n}, err) : encode_word(e, text.ptr, n, err);
        text = (fh_str){text.ptr + n, text.len - n};
    }
    return rc;
}

static int encode_plain(encoder *e, fh_str text, bool first, fh_err **err)
{
    if (!text.len) return 0;
    if (e->v->chars) return fh_chars_text(e->v, &e->bpe, text, first, e->out, err);
    return e->v->spm ? fh_spm_text(e->v, &e->spm, text, e->out, err) : encode_bytes(e, text, err);
}

static int encode_all(encoder *e, fh_str text, unsigned flags, fh_err **err)
{
    const fh_vocab *v = e->v;
    if ((flags & FH_ENCODE_BOS) && v->add_bos && v->bos != FH_TOKEN_NONE && !fh_tokens_push(e->out, v->bos)) return fh_err_nomem(err);
    for (size_t done = 0, at = 0; done < text.len; done = at) {
        fh_token id = fh_vocab_find_special(v, text, done, !(flags & FH_ENCODE_SPECIAL), &at);
        if (id == FH_TOKEN_NONE) at = text.len;
        int rc = encode_plain(e, (fh_str){text.ptr + done, at - done}, done == 0, err);
        if (rc || id == FH_TOKEN_NONE) return rc;
        if (!fh_tokens_push(e->out, id)) return fh_err_nomem(err);
        at += v->pieces[id].len;
    }
    return 0;
}

int fh_vocab_encode(const fh_vocab *v, fh_str text, unsigned flags, fh_tokens *out, fh_err **err)
{
    if (text.len > FH_LIMIT_ENCODE_BYTES)
        return fh_err_set(err, FH_E_TOO_LARGE, "text of %zu bytes; at most %d are made into tokens at once", text.len,
                          FH_LIMIT_ENCODE_BYTES);
    size_t before = out->count;
    encoder e = {.v = v, .out = out};
    int rc = encode_all(&e, text, flags, err);
    fh_bpe_work_fini(&e.bpe);
    fh_spm_work_fini(&e.spm);
    if (rc) out->count = before;
    return rc;
}
