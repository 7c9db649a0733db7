/* The merges of a byte-level BPE vocabulary. A merge is believed when both parts and what they make are tokens: what it makes is longer
 * than either, so no chain of merges can go in circles. Vocabularies made from tiktoken files may come without merges: then a token's id is
 * its rank. */
#include "vocab_private.h"

#define FIELD           "tokenizer.ggml.merges"
#define LONGEST_DERIVED 512 /* bytes; each way to cut is tried, which costs the square of the length */

static int parse_merge(const fh_vocab *v, fh_str text, size_t i, char *joined, fh_merge *ret, fh_err **err)
{
    const char *blank = text.len > 2 ? memchr(text.ptr + 1, ' ', text.len - 2) : NULL;
    if (!blank) return fh_vocab_blame(v, err, text.ptr, FIELD, i, "is not two tokens with a blank between");
    if (text.len > FH_LIMIT_VOCAB_PIECE_BYTES) return fh_vocab_blame(v, err, text.ptr, FIELD, i, "is %zu bytes long", text.len);
    size_t left = (size_t)(blank - text.ptr), right = text.len - left - 1;
    memcpy(joined, text.ptr, left);
    memcpy(joined + left, blank + 1, right);
    *ret = (fh_merge){.left = fh_vocab_lookup(v, text.ptr, left),
                      .right = fh_vocab_lookup(v, blank + 1, right),
                      .id = fh_vocab_lookup(v, joined, left + right),
                      .rank = (uint32_t)i};
    if (ret->left == FH_TOKEN_NONE || ret->right == FH_TOKEN_NONE)
        return fh_vocab_blame(v, err, text.ptr, FIELD, i, "joins something that is no token");
    if (ret->id == FH_TOKEN_NONE) return fh_vocab_blame(v, err, text.ptr, FIELD, i, "makes something that is no token");
    return 0;
}

static int load_listed(fh_vocab *v, const fh_gguf_value *list, size_t count, fh_err **err)
{
    if (count > FH_LIMIT_VOCAB_MERGES)
        return fh_vocab_blame(v, err, list->data, FIELD, count, "more than %d merges are not read", FH_LIMIT_VOCAB_MERGES);
    char joined[FH_LIMIT_VOCAB_PIECE_BYTES];
    int rc = fh_vocab_merges_alloc(v, count, err);
    for (size_t i = 0; i < count && !rc; i++) {
        fh_str text = fh_gguf_array_str(list, i);
        fh_merge m = {0};
        rc = parse_merge(v, text, i, joined, &m, err);
        if (!rc && !fh_vocab_merge_add(v, m)) rc = fh_vocab_blame(v, err, text.ptr, FIELD, i, "is there twice");
    }
    return rc;
}

/* Calls add for each way to cut the piece of a token into two tokens. */
static bool split_piece(fh_vocab *v, fh_token id, bool (*add)(fh_vocab *v, fh_merge m))
{
    fh_str piece = v->pieces[id];
    if (fh_piece_type(v, id) != FH_PIECE_NORMAL || piece.len > LONGEST_DERIVED) return true;
    for (size_t cut = 1; cut < piece.len; cut++) {
        if (((uint8_t)piece.ptr[cut] & 0xc0) == 0x80) continue;
        fh_token left = fh_vocab_lookup(v, piece.ptr, cut), right = left < 0 ? left : fh_vocab_lookup(v, piece.ptr + cut, piece.len - cut);
        if (right != FH_TOKEN_NONE && !add(v, (fh_merge){.left = left, .right = right, .id = id, .rank = (uint32_t)id})) return false;
    }
    return true;
}

static bool count_merge(fh_vocab *v, fh_merge m)
{
    (void)m;
    return ++v->merge_count <= FH_LIMIT_VOCAB_MERGES;
}

int fh_vocab_merges_from_ids(fh_vocab *v, fh_err **err)
{
    for (size_t id = 0; id < v->size; id++) {
        if (!split_piece(v, (fh_token)id, count_merge))
            return fh_vocab_blame(v, err, v->pieces[id].ptr, "tokenizer.ggml.tokens", id, "the tokens make more than %d merges",
                                  FH_LIMIT_VOCAB_MERGES);
    }
    int rc = fh_vocab_merges_alloc(v, v->merge_count, err);
    v->merge_count = 0;
    for (size_t id = 0; id < v->size && !rc; id++) split_piece(v, (fh_token)id, fh_vocab_merge_add);
    return rc;
}

int fh_vocab_load_merges(fh_vocab *v, fh_err **err)
{
    const fh_gguf_value *list = NULL;
    size_t count = 0;
    if (v->ranks_from_ids && !fh_gguf_find(v->gguf, FIELD)) return fh_vocab_merges_from_ids(v, err);
    int rc = fh_gguf_get_array(v->gguf, FIELD, FH_GGUF_STRING, &list, &count, err);
    if (rc == FH_E_NOT_FOUND)
        return fh_err_set(err, FH_E_CORRUPT, "%s: has no key " FIELD ", which its tokenizer needs", v->gguf->files[0].path);
    return rc ? rc : load_listed(v, list, count, err);
}
