/* The two hash tables of a vocabulary: pieces by text, merges by pair. Open addressing with linear probing; built once, then only read.
 * Hashes are keyed with bytes that the kernel gives each process, so that a hostile file cannot be made of collisions; no result depends on
 * the key. */
#include "vocab_private.h"
#include "base/map.h"
#include <sys/auxv.h>

static size_t slots_for(size_t count)
{
    size_t slots = 16;
    while (slots * 3 < count * 4) slots *= 2; /* at most three quarters full */
    return slots;
}

static size_t piece_slot(const fh_vocab *v, const char *p, size_t n)
{
    return (size_t)fh_siphash(v->hash_key, p, n) & v->slot_mask;
}

fh_token fh_vocab_lookup(const fh_vocab *v, const char *p, size_t n)
{
    if (!n || n > v->longest) return FH_TOKEN_NONE;
    for (size_t s = piece_slot(v, p, n); v->slots[s]; s = (s + 1) & v->slot_mask) {
        fh_str piece = v->pieces[v->slots[s] - 1];
        if (piece.len == n && !memcmp(piece.ptr, p, n)) return (fh_token)(v->slots[s] - 1);
    }
    return FH_TOKEN_NONE;
}

static int insert_piece(fh_vocab *v, size_t id, fh_err **err)
{
    fh_str piece = v->pieces[id];
    size_t s = piece_slot(v, piece.ptr, piece.len);
    for (; v->slots[s]; s = (s + 1) & v->slot_mask) {
        if (fh_str_eq(v->pieces[v->slots[s] - 1], piece))
            return fh_vocab_blame(v, err, piece.ptr, "tokenizer.ggml.tokens", id, "is the same text as token %u", v->slots[s] - 1);
    }
    v->slots[s] = (uint32_t)id + 1;
    return 0;
}

int fh_vocab_index_pieces(fh_vocab *v, fh_err **err)
{
    const void *random = (const void *)getauxval(AT_RANDOM);
    if (random) memcpy(v->hash_key, random, sizeof v->hash_key);
    size_t slots = slots_for(v->size);
    v->slot_mask = slots - 1;
    v->slots = fh_calloc(slots, sizeof *v->slots);
    if (!v->slots) return fh_err_nomem(err);
    for (size_t id = 0; id < v->size; id++) {
        v->longest = FH_MAX(v->longest, v->pieces[id].len);
        int rc = v->pieces[id].len ? insert_piece(v, id, err) : 0; /* an empty piece pads the vocabulary: it is never found */
        if (rc) return rc;
    }
    return 0;
}

static size_t merge_slot(const fh_vocab *v, fh_token left, fh_token right)
{
    uint64_t key[2], h = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    memcpy(key, v->hash_key, sizeof key);
    h ^= key[0];
    h *= 0xff51afd7ed558ccdULL;
    h ^= (h >> 33) ^ key[1];
    h *= 0xc4ceb9fe1a85ec53ULL;
    return (size_t)(h ^ h >> 33) & v->merge_mask;
}

int fh_vocab_merges_alloc(fh_vocab *v, size_t count, fh_err **err)
{
    size_t slots = slots_for(count);
    v->merge_mask = slots - 1;
    v->merges = fh_alloc(slots * sizeof *v->merges);
    if (!v->merges) return fh_err_nomem(err);
    for (size_t i = 0; i < slots; i++) v->merges[i].id = FH_TOKEN_NONE;
    return 0;
}

bool fh_vocab_merge_add(fh_vocab *v, fh_merge m)
{
    size_t s = merge_slot(v, m.left, m.right);
    for (; v->merges[s].id != FH_TOKEN_NONE; s = (s + 1) & v->merge_mask) {
        if (v->merges[s].left == m.left && v->merges[s].right == m.right) return false;
    }
    v->merges[s] = m;
    v->merge_count++;
    return true;
}

const fh_merge *fh_vocab_merge_find(const fh_vocab *v, fh_token left, fh_token right)
{
    for (size_t s = merge_slot(v, left, right); v->merges[s].id != FH_TOKEN_NONE; s = (s + 1) & v->merge_mask) {
        if (v->merges[s].left == left && v->merges[s].right == right) return &v->merges[s];
    }
    return NULL;
}
