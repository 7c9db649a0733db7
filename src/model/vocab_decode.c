/* Tokens to bytes. A token always gives the same bytes; only the blank that encoding puts before a text (SentencePiece) depends on the
 * place, and fh_vocab_decode_all takes it off again. */
#include "vocab_private.h"

#define BLANK "\xe2\x96\x81" /* U+2581 */

static void add_unescaped(fh_str piece, fh_buf *out)
{
    while (piece.len) {
        size_t n = fh_str_find(piece, FH_STR(BLANK));
        fh_buf_add(out, piece.ptr, n);
        if (n == piece.len) return;
        fh_buf_addc(out, ' ');
        piece = (fh_str){piece.ptr + n + 3, piece.len - n - 3};
    }
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F');
}

static unsigned hex(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* "<0x0A>" */
static void add_byte(fh_str piece, fh_buf *out)
{
    bool good = piece.len == 6 && !memcmp(piece.ptr, "<0x", 3) && is_hex(piece.ptr[3]) && is_hex(piece.ptr[4]) && piece.ptr[5] == '>';
    if (good)
        fh_buf_addc(out, (char)(hex(piece.ptr[3]) << 4 | hex(piece.ptr[4])));
    else
        fh_buf_add(out, piece.ptr, piece.len);
}

static void add_piece(const fh_vocab *v, fh_token id, bool show_special, fh_buf *out)
{
    fh_str piece = v->pieces[id];
    switch (fh_piece_type(v, id)) {
    case FH_PIECE_CONTROL:
    case FH_PIECE_UNKNOWN:
        if (show_special) fh_buf_add(out, piece.ptr, piece.len);
        break;
    case FH_PIECE_USER: fh_buf_add(out, piece.ptr, piece.len); break;
    case FH_PIECE_BYTE: add_byte(piece, out); break;
    default:
        if (v->spm)
            add_unescaped(piece, out);
        else if (!fh_chars_to_bytes(piece, out))
            fh_buf_add(out, piece.ptr, piece.len);
    }
}

int fh_vocab_decode(const fh_vocab *v, fh_token id, bool show_special, fh_buf *out, fh_err **err)
{
    if (id < 0 || (size_t)id >= v->size) return fh_err_set(err, FH_E_INVALID, "there is no token %d; the vocabulary has %zu", id, v->size);
    add_piece(v, id, show_special, out);
    return fh_buf_check(out, err, "text of tokens");
}

static bool breaks_text(const fh_vocab *v, fh_token id)
{
    unsigned type = fh_piece_type(v, id);
    return type == FH_PIECE_CONTROL || type == FH_PIECE_UNKNOWN || type == FH_PIECE_USER;
}

int fh_vocab_decode_all(const fh_vocab *v, const fh_token *ids, size_t count, bool show_special, fh_buf *out, fh_err **err)
{
    bool at_start = true;
    for (size_t i = 0; i < count; i++) {
        size_t before = out->len;
        int rc = fh_vocab_decode(v, ids[i], show_special, out, err);
        if (rc) return rc;
        bool breaks = breaks_text(v, ids[i]);
        if (at_start && !breaks && v->spm && v->add_prefix && out->len > before && out->data[before] == ' ') {
            memmove(out->data + before, out->data + before + 1, out->len - before); /* with the NUL behind */
            out->len--;
        }
        at_start = breaks && !v->prefix_first_only;
    }
    return 0;
}
