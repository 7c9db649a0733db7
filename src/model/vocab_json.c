/* A Hugging Face tokenizer.json as a vocabulary: BPE over bytes, or over characters as SentencePiece's. The file is a stranger's: every id,
 * length and reference is checked, and what we do not do is refused by name, since a count that is nearly right would be believed. */
#include "vocab_json.h"

#include <stdio.h>

/* ---- words for refusals ---- */

int fh_tok_broken(fh_err **err, const char *field, const char *fmt, ...)
{
    char text[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return fh_err_set(err, FH_E_CORRUPT, "field %s %s", field, text);
}

int fh_tok_refuse(fh_err **err, const char *field, fh_str value)
{
    char text[64];
    fh_gguf_printable(value, text, sizeof text);
    return fh_err_set(err, FH_E_UNSUPPORTED, "field %s: \"%s\" is not supported", field, text);
}

int fh_tok_bool(const fh_json *o, const char *field, const char *key, bool *ret, fh_err **err)
{
    const fh_json *v = fh_json_get(o, key);
    if (fh_tok_absent(v)) return 0;
    if (fh_json_kind_of(v) != FH_JSON_BOOL) return fh_tok_broken(err, field, "has a '%s' that is neither true nor false", key);
    *ret = fh_json_is_true(v);
    return 0;
}

fh_str fh_tok_type(const fh_json *o)
{
    fh_str type = fh_json_str(fh_json_get(o, "type"));
    return type.ptr ? type : (fh_str){"", 0};
}

/* ---- pieces ---- */

static int check_id(int64_t id, const char *field, fh_err **err)
{
    if (id >= 0 && id < FH_LIMIT_VOCAB_TOKENS) return 0;
    return fh_tok_broken(err, field, "has the id %lld; ids are 0 to %d", (long long)id, FH_LIMIT_VOCAB_TOKENS - 1);
}

/* The ids that are used may have gaps; the vocabulary is as large as the greatest. */
static int count_pieces(const fh_json *vocab, const fh_json *added, size_t *ret, fh_err **err)
{
    fh_str key;
    const fh_json *id;
    int rc = 0;
    size_t size = 0;
    for (void *it = NULL; !rc && fh_json_next(vocab, &it, &key, &id);) {
        rc = check_id(fh_json_int(id, -1), "model.vocab", err);
        size = FH_MAX(size, (size_t)fh_json_int(id, 0) + 1);
    }
    for (size_t i = 0; i < fh_json_count(added) && !rc; i++) {
        int64_t n = fh_json_int(fh_json_get(fh_json_at(added, i), "id"), -1);
        rc = check_id(n, "added_tokens", err);
        size = FH_MAX(size, (size_t)n + 1);
    }
    if (!rc && !size) rc = fh_tok_broken(err, "model.vocab", "has no tokens");
    if (!rc) *ret = size;
    return rc;
}

static int set_piece(fh_vocab *v, size_t id, fh_str piece, unsigned type, const char *field, fh_err **err)
{
    bool known = v->pieces[id].len > 0;
    if (!piece.len) return fh_tok_broken(err, field, "has a token %zu without text", id);
    if (piece.len > FH_LIMIT_VOCAB_PIECE_BYTES)
        return fh_tok_broken(err, field, "has a token %zu of %zu bytes; at most %d are read", id, piece.len, FH_LIMIT_VOCAB_PIECE_BYTES);
    if (known && !fh_str_eq(v->pieces[id], piece)) return fh_tok_broken(err, field, "has two tokens with the id %zu", id);
    if (!known && !(v->pieces[id].ptr = fh_arena_strndup(v->arena, piece.ptr, piece.len))) return fh_err_nomem(err);
    v->pieces[id].len = piece.len;
    v->types[id] = (uint8_t)type;
    return 0;
}

/* Added tokens stand for themselves wherever their text is; settings that make them take more or less of it are not known here. */
static int add_token(fh_vocab *v, const fh_json *token, const fh_tok_steps *s, fh_err **err)
{
    static const char *const switches[] = {"single_word", "lstrip", "rstrip"};
    bool special = false, normalized = false, on = false;
    int rc = fh_tok_bool(token, "added_tokens", "special", &special, err);
    if (!rc) rc = fh_tok_bool(token, "added_tokens", "normalized", &normalized, err);
    for (size_t i = 0; i < FH_COUNT(switches) && !rc; i++) {
        rc = fh_tok_bool(token, "added_tokens", switches[i], &on, err);
        if (!rc && on) return fh_tok_refuse(err, "added_tokens", fh_str_of(switches[i]));
    }
    if (rc) return rc;
    if (normalized && s->prepends && !s->metaspace) return fh_tok_refuse(err, "added_tokens", FH_STR("normalized"));
    size_t id = (size_t)fh_json_int(fh_json_get(token, "id"), 0);
    return set_piece(v, id, fh_json_str(fh_json_get(token, "content")), special ? FH_PIECE_CONTROL : FH_PIECE_USER, "added_tokens", err);
}

static int load_pieces(fh_vocab *v, const fh_json *doc, const fh_tok_steps *s, fh_err **err)
{
    const fh_json *vocab = fh_json_get(fh_json_get(doc, "model"), "vocab"), *added = fh_json_get(doc, "added_tokens"), *id;
    fh_str key;
    if (fh_json_kind_of(vocab) != FH_JSON_OBJECT) return fh_tok_broken(err, "model.vocab", "must be an object of tokens and ids");
    if (!fh_tok_absent(added) && fh_json_kind_of(added) != FH_JSON_ARRAY) return fh_tok_broken(err, "added_tokens", "must be an array");
    int rc = count_pieces(vocab, added, &v->size, err);
    if (!rc) rc = fh_vocab_make_pieces(v, err);
    for (void *it = NULL; !rc && fh_json_next(vocab, &it, &key, &id);)
        rc = set_piece(v, (size_t)fh_json_int(id, 0), key, FH_PIECE_NORMAL, "model.vocab", err);
    for (size_t i = 0; i < fh_json_count(added) && !rc; i++) rc = add_token(v, fh_json_at(added, i), s, err);
    return rc ? rc : fh_vocab_index_pieces(v, err);
}

/* ---- merges ---- */

/* "a b", or ["a", "b"]. */
static bool parts_of(const fh_json *m, fh_str *left, fh_str *right)
{
    fh_str text = fh_json_str(m);
    if (!text.ptr) {
        *left = fh_json_str(fh_json_at(m, 0));
        *right = fh_json_str(fh_json_at(m, 1));
        return fh_json_count(m) == 2 && left->len && right->len;
    }
    size_t blank = fh_str_find(text, FH_STR(" "));
    if (blank == 0 || blank + 1 >= text.len) return false;
    *left = (fh_str){text.ptr, blank};
    *right = (fh_str){text.ptr + blank + 1, text.len - blank - 1};
    return fh_str_find(*right, FH_STR(" ")) == right->len;
}

static int add_merge(fh_vocab *v, const fh_json *m, size_t i, fh_err **err)
{
    char joined[2 * FH_LIMIT_VOCAB_PIECE_BYTES];
    fh_str left, right;
    if (!parts_of(m, &left, &right)) return fh_tok_broken(err, "model.merges", "has an item %zu that is not two tokens", i);
    if (left.len + right.len > FH_LIMIT_VOCAB_PIECE_BYTES) return fh_tok_broken(err, "model.merges", "has an item %zu that is too long", i);
    memcpy(joined, left.ptr, left.len);
    memcpy(joined + left.len, right.ptr, right.len);
    fh_merge merge = {.left = fh_vocab_lookup(v, left.ptr, left.len),
                      .right = fh_vocab_lookup(v, right.ptr, right.len),
                      .id = fh_vocab_lookup(v, joined, left.len + right.len),
                      .rank = (uint32_t)i};
    if (merge.left == FH_TOKEN_NONE || merge.right == FH_TOKEN_NONE || merge.id == FH_TOKEN_NONE)
        return fh_tok_broken(err, "model.merges", "has an item %zu that joins or makes what is no token", i);
    if (!fh_vocab_merge_add(v, merge)) return fh_tok_broken(err, "model.merges", "has the item %zu twice", i);
    return 0;
}

static int load_merges(fh_vocab *v, const fh_json *list, fh_err **err)
{
    size_t count = fh_json_count(list);
    if (fh_json_kind_of(list) != FH_JSON_ARRAY) return fh_tok_broken(err, "model.merges", "must be an array");
    if (count > FH_LIMIT_VOCAB_MERGES) return fh_tok_broken(err, "model.merges", "has more than %d items", FH_LIMIT_VOCAB_MERGES);
    int rc = fh_vocab_merges_alloc(v, count, err);
    for (size_t i = 0; i < count && !rc; i++) rc = add_merge(v, fh_json_at(list, i), i, err);
    return rc;
}

/* ---- the model ---- */

static int check_model(const fh_json *model, fh_err **err)
{
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    fh_str type = fh_tok_type(model);
    bool old = !type.len && fh_json_get(model, "merges"); /* older files do not say */
    if (fh_json_kind_of(model) != FH_JSON_OBJECT) return fh_tok_broken(err, "model", "must be an object");
    if (!old && !fh_str_eqs(type, "BPE")) return fh_tok_refuse(err, "model.type", type);
    if (fh_json_num(fh_json_get(model, "dropout"), 0) != 0) return fh_tok_refuse(err, "model", FH_STR("dropout"));
    for (size_t i = 0; i < FH_COUNT(affixes); i++)
        if (fh_json_str(fh_json_get(model, affixes[i])).len) return fh_tok_refuse(err, "model", fh_str_of(affixes[i]));
    return 0;
}

static bool lacks_bytes(const fh_vocab *v)
{
    for (unsigned b = 0; b < 256; b++)
        if (v->byte_ids[b] == FH_TOKEN_NONE) return true;
    return false;
}

static int load_unknown(fh_vocab *v, const fh_json *model, fh_err **err)
{
    fh_str name = fh_json_str(fh_json_get(model, "unk_token"));
    int rc = fh_tok_bool(model, "model", "fuse_unk", &v->fuse_unknown, err);
    if (rc || !name.len) return rc;
    v->unknown = fh_vocab_lookup(v, name.ptr, name.len);
    if (v->unknown == FH_TOKEN_NONE) return fh_tok_broken(err, "model.unk_token", "is no token");
    v->types[v->unknown] = FH_PIECE_UNKNOWN;
    return 0;
}

static int load_bytes(fh_vocab *v, const fh_json *model, fh_err **err)
{
    bool fallback = false;
    int rc = fh_tok_bool(model, "model", "byte_fallback", &fallback, err);
    if (rc) return rc;
    if (fallback) return fh_tok_refuse(err, "model", FH_STR("byte_fallback beside ByteLevel"));
    fh_vocab_find_bytes(v);
    if (v->unknown != FH_TOKEN_NONE && lacks_bytes(v)) return fh_tok_refuse(err, "model", FH_STR("unk_token in place of bytes"));
    return 0;
}

static int load_chars(fh_vocab *v, const fh_json *model, fh_err **err)
{
    bool fallback = false;
    int rc = fh_tok_bool(model, "model", "byte_fallback", &fallback, err);
    if (rc) return rc;
    if (v->ignore_merges) return fh_tok_refuse(err, "model", FH_STR("ignore_merges over characters"));
    for (unsigned b = 0; b < 256; b++) {
        char name[8];
        int n = snprintf(name, sizeof name, "<0x%02X>", b);
        v->byte_ids[b] = fallback ? fh_vocab_lookup(v, name, (size_t)n) : FH_TOKEN_NONE;
        if (v->byte_ids[b] != FH_TOKEN_NONE) v->types[v->byte_ids[b]] = FH_PIECE_BYTE;
    }
    if (fallback && lacks_bytes(v)) return fh_tok_refuse(err, "model", FH_STR("byte_fallback without a token for each byte"));
    return 0;
}

static int load_bos(fh_vocab *v, fh_str name, fh_err **err)
{
    v->add_bos = name.len > 0;
    if (!v->add_bos) return 0;
    v->bos = fh_vocab_lookup(v, name.ptr, name.len);
    return v->bos == FH_TOKEN_NONE ? fh_tok_broken(err, "post_processor", "puts what is no token before a text") : 0;
}

static void take_steps(fh_vocab *v, const fh_tok_steps *s)
{
    v->nfc = s->nfc;
    v->spm = v->chars = !s->bytes;
    v->add_prefix = s->prepends;
    v->prefix_first_only = s->first_only;
    v->prefix_unless_blank = s->metaspace;
    v->splits_at_blanks = s->splits;
}

static int load(fh_vocab *v, const fh_json *doc, fh_err **err)
{
    const fh_json *model = fh_json_get(doc, "model");
    fh_tok_steps steps;
    int rc = check_model(model, err);
    if (!rc && !fh_tok_absent(fh_json_get(doc, "truncation"))) rc = fh_tok_refuse(err, "truncation", FH_STR("a length"));
    if (!rc && !fh_tok_absent(fh_json_get(doc, "padding"))) rc = fh_tok_refuse(err, "padding", FH_STR("a length"));
    if (!rc) rc = fh_tok_steps_read(doc, &steps, err);
    if (rc) return rc;
    take_steps(v, &steps);
    rc = fh_tok_bool(model, "model", "ignore_merges", &v->ignore_merges, err);
    if (!rc) rc = load_pieces(v, doc, &steps, err);
    if (!rc) rc = load_unknown(v, model, err);
    if (!rc) rc = steps.bytes ? load_bytes(v, model, err) : load_chars(v, model, err);
    if (!rc) rc = load_bos(v, steps.bos, err);
    if (!rc) rc = fh_vocab_load_special(v, err);
    if (!rc) rc = load_merges(v, fh_json_get(model, "merges"), err);
    if (!rc && steps.bytes) rc = fh_pretokenizer_new(&v->pre, steps.pre->patterns, steps.pre->count, err);
    return rc;
}

int fh_vocab_from_json(fh_vocab **ret, fh_str text, fh_err **err)
{
    FH_AUTO(json) fh_json *doc = NULL;
    FH_AUTO(fh_vocab) fh_vocab *v = NULL;
    int rc = fh_json_parse(&doc, text, FH_LIMIT_TOKENIZER_BYTES, err);
    if (!rc && fh_json_kind_of(doc) != FH_JSON_OBJECT) rc = fh_err_set(err, FH_E_CORRUPT, "a tokenizer.json is an object");
    if (!rc) rc = fh_vocab_make(&v, err);
    if (!rc) rc = load(v, doc, err);
    if (rc) return rc;
    *ret = fh_take(v);
    return 0;
}
