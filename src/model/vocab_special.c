/* Special tokens: which ones end a generation, and where they stand in a text. Control and user-defined tokens are found only in text whose
 * author may write them; the exception are user-defined tokens of blanks alone, with which some vocabularies write indentation: nobody can
 * forge a turn with them. The leftmost one wins, and of several at one place the longest, as in the `tokenizers` library. */
#include "vocab_private.h"
#include <stdlib.h>

#define LONGEST 256 /* longer special tokens are not looked for in text */

/* Tokens that end a turn by their makers' templates although the file's eos names another. */
static const char *const enders[] = {
    "<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|endoftext|>", "<|end_of_text|>", "<end_of_turn>", "<EOT>",
    "_<EOT>",     "[EOT]",      "[EOS]",      "<|return|>",    "<|call|>",        "[e~[",          "<｜end▁of▁sentence｜>",
};

static int mark_end(fh_vocab *v, const char *key, fh_err **err)
{
    uint64_t id = 0;
    if (!v->gguf) return 0;
    int rc = fh_gguf_find(v->gguf, key) ? fh_gguf_get_u64(v->gguf, key, 0, v->size - 1, &id, err) : FH_E_NOT_FOUND;
    if (!rc) v->types[id] |= FH_PIECE_END;
    return rc == FH_E_NOT_FOUND ? 0 : rc;
}

static int mark_ends(fh_vocab *v, fh_err **err)
{
    int rc = mark_end(v, "tokenizer.ggml.eot_token_id", err);
    if (!rc) rc = mark_end(v, "tokenizer.ggml.eom_token_id", err);
    if (rc) return rc;
    if (v->eos != FH_TOKEN_NONE) v->types[v->eos] |= FH_PIECE_END;
    for (size_t i = 0; i < FH_COUNT(enders); i++) {
        fh_token id = fh_vocab_find(v, fh_str_of(enders[i]));
        if (id != FH_TOKEN_NONE && fh_piece_type(v, id) != FH_PIECE_NORMAL) v->types[id] |= FH_PIECE_END;
    }
    /* <|end|> closes a message; in the harmony format, which has <|return|>, more messages follow it. */
    fh_token end = fh_vocab_find(v, FH_STR("<|end|>"));
    if (end != FH_TOKEN_NONE && fh_piece_type(v, end) != FH_PIECE_NORMAL && fh_vocab_find(v, FH_STR("<|return|>")) == FH_TOKEN_NONE)
        v->types[end] |= FH_PIECE_END;
    return 0;
}

static bool only_blanks(fh_str piece)
{
    for (size_t i = 0; i < piece.len; i++) {
        char c = piece.ptr[i];
        if (c != ' ' && c != '\t' && c != '\r' && c != '\n') return false;
    }
    return true;
}

/* A vocabulary that lacks a byte may list its character as user-defined: that is the byte, not a text to look for. */
static bool is_lone_byte(const fh_vocab *v, size_t id)
{
    fh_str piece = v->pieces[id];
    uint32_t cp = 0;
    return !v->spm && piece.len == 2 && fh_utf8_decode(piece.ptr, 2, &cp) == 2 && fh_char_to_byte(cp) >= 0;
}

static bool wanted(fh_vocab *v, size_t id)
{
    unsigned type = fh_piece_type(v, (fh_token)id);
    if (type != FH_PIECE_CONTROL && type != FH_PIECE_USER && type != FH_PIECE_UNKNOWN) return false;
    if (!v->pieces[id].len || v->pieces[id].len > LONGEST) return false;
    if (type == FH_PIECE_USER && is_lone_byte(v, id)) {
        v->types[id] = (uint8_t)((v->types[id] & ~FH_PIECE_TYPE) | FH_PIECE_NORMAL);
        return false;
    }
    if (type == FH_PIECE_USER && only_blanks(v->pieces[id])) {
        v->types[id] |= FH_PIECE_TEXTUAL;
        v->has_textual = true;
    }
    return true;
}

static int compare_pieces(const void *a, const void *b, void *arg)
{
    const fh_str *pieces = arg;
    return fh_gguf_compare_str(pieces[*(const uint32_t *)a], pieces[*(const uint32_t *)b]);
}

int fh_vocab_load_special(fh_vocab *v, fh_err **err)
{
    int rc = mark_ends(v, err);
    if (rc) return rc;
    for (size_t id = 0; id < v->size; id++) v->special_count += wanted(v, id);
    v->special = fh_alloc(v->special_count * sizeof *v->special);
    if (!v->special) return fh_err_nomem(err);
    size_t n = 0;
    for (size_t id = 0; id < v->size; id++) {
        if (wanted(v, id)) v->special[n++] = (uint32_t)id;
    }
    qsort_r(v->special, n, sizeof *v->special, compare_pieces, v->pieces);
    for (size_t i = 0; i < n; i++) v->special_from[(uint8_t)v->pieces[v->special[i]].ptr[0] + 1]++;
    for (size_t b = 0; b < 256; b++) v->special_from[b + 1] += v->special_from[b];
    return 0;
}

/* First index in [low, high) whose piece has at least byte `c` at `depth`; all of them are longer than depth. */
static uint32_t bound(const fh_vocab *v, uint32_t low, uint32_t high, size_t depth, unsigned c)
{
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if ((uint8_t)v->pieces[v->special[mid]].ptr[depth] < c)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* The longest special token that begins at p. */
static fh_token longest_at(const fh_vocab *v, const char *p, size_t left, bool textual_only)
{
    fh_token best = FH_TOKEN_NONE;
    uint32_t low = v->special_from[(uint8_t)p[0]], high = v->special_from[(uint8_t)p[0] + 1];
    for (size_t depth = 1; low < high; depth++) {
        if (v->pieces[v->special[low]].len == depth) {
            fh_token id = (fh_token)v->special[low++];
            if (!textual_only || (v->types[id] & FH_PIECE_TEXTUAL)) best = id;
        }
        if (depth == left) break;
        unsigned c = (uint8_t)p[depth];
        low = bound(v, low, high, depth, c);
        high = bound(v, low, high, depth, c + 1);
    }
    return best;
}

fh_token fh_vocab_find_special(const fh_vocab *v, fh_str text, size_t from, bool textual_only, size_t *ret_at)
{
    if (textual_only && !v->has_textual) return FH_TOKEN_NONE;
    for (size_t i = from; i < text.len; i++) {
        uint8_t c = (uint8_t)text.ptr[i];
        if (v->special_from[c] == v->special_from[c + 1]) continue;
        fh_token id = longest_at(v, text.ptr + i, text.len - i, textual_only);
        if (id == FH_TOKEN_NONE) continue;
        *ret_at = i;
        return id;
    }
    return FH_TOKEN_NONE;
}
