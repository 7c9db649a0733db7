/* BPE over characters, as the `tokenizers` library has it for vocabularies made by SentencePiece: blanks become U+2581, one more may be put
 * before the text, characters become tokens, those that are none their bytes, and then pairs are joined by rank as in bpe.c. */
#include "vocab_private.h"

#define BLANK "\xe2\x96\x81" /* U+2581 */

static bool starts_with_blank(fh_str text)
{
    return text.len && (text.ptr[0] == ' ' || fh_str_starts(text, FH_STR(BLANK)));
}

static bool wants_prefix(const fh_vocab *v, fh_str text, bool first)
{
    if (!v->add_prefix || (v->prefix_first_only && !first)) return false;
    return !v->prefix_unless_blank || !starts_with_blank(text);
}

static int escape(const fh_vocab *v, fh_str text, bool first, fh_buf *out, fh_err **err)
{
    if (wants_prefix(v, text, first)) fh_buf_adds(out, BLANK);
    while (text.len) {
        size_t n = fh_str_find(text, FH_STR(" "));
        fh_buf_add(out, text.ptr, n);
        if (n < text.len) fh_buf_adds(out, BLANK);
        n += n < text.len;
        text = (fh_str){text.ptr + n, text.len - n};
    }
    return fh_buf_check(out, err, "the text with its blanks written out");
}

/* A character that is no token: its bytes, or the unknown token, once for several in a row where the vocabulary wants that. */
static void add_strange(const fh_vocab *v, fh_bpe_work *w, fh_str c, bool after_strange)
{
    bool bytes = v->byte_ids[0] != FH_TOKEN_NONE;
    for (size_t i = 0; bytes && i < c.len; i++) fh_bpe_add(w, v->byte_ids[(uint8_t)c.ptr[i]]);
    if (!bytes && v->unknown != FH_TOKEN_NONE && !(after_strange && v->fuse_unknown)) fh_bpe_add(w, v->unknown);
}

static void fill(const fh_vocab *v, fh_bpe_work *w, fh_str word)
{
    bool strange = false;
    w->count = 0;
    for (size_t i = 0, n; i < word.len; i += n) {
        uint32_t cp;
        n = FH_MAX(fh_utf8_decode(word.ptr + i, word.len - i, &cp), (size_t)1);
        fh_token id = fh_vocab_lookup(v, word.ptr + i, n);
        bool known = id != FH_TOKEN_NONE && fh_piece_is_text(v, id);
        if (known)
            fh_bpe_add(w, id);
        else
            add_strange(v, w, (fh_str){word.ptr + i, n}, strange);
        strange = !known;
    }
}

/* Up to the next blank where words are split there, else all of it; cut between characters when it is too long. */
static size_t word_length(const fh_vocab *v, fh_str text)
{
    size_t most = FH_MIN(text.len, (size_t)FH_LIMIT_ENCODE_WORD_BYTES);
    if (v->splits_at_blanks && text.len > 1) most = FH_MIN(most, 1 + fh_str_find((fh_str){text.ptr + 1, text.len - 1}, FH_STR(BLANK)));
    if (most == text.len) return most;
    size_t whole = fh_utf8_whole(text.ptr, most);
    return whole ? whole : most;
}

int fh_chars_text(const fh_vocab *v, fh_bpe_work *w, fh_str text, bool first, fh_tokens *out, fh_err **err)
{
    FH_AUTO(buf) fh_buf escaped = FH_BUF(3 * text.len + sizeof BLANK);
    int rc = escape(v, text, first, &escaped, err);
    fh_str rest = {fh_buf_cstr(&escaped), escaped.len};
    while (rest.len && !rc) {
        size_t n = word_length(v, rest);
        rc = fh_bpe_room(w, n, err);
        if (!rc) fill(v, w, (fh_str){rest.ptr, n});
        if (!rc) rc = fh_bpe_join(v, w, out, err);
        rest = (fh_str){rest.ptr + n, rest.len - n};
    }
    return rc;
}
