/* Building a vocabulary from the metadata of a GGUF file (other files: vocab_json.c, vocab_tiktoken.c), and what can be asked of it. All
 * that encoding relies on is checked here. */
#include "vocab_private.h"
#include <math.h>
#include <stdio.h>

/* Pieces of a file that is not mapped, each with what the arena adds to it. */
#define PIECES_BYTES ((size_t)FH_LIMIT_TOKENIZER_BYTES * 4)

void fh_vocab_free(fh_vocab *v)
{
    if (!v) return;
    fh_free(v->pieces);
    fh_free(v->types);
    fh_free(v->scores);
    fh_free(v->slots);
    fh_free(v->merges);
    fh_free(v->special);
    fh_pretokenizer_free(v->pre);
    fh_arena_free(v->arena);
    fh_gguf_close(v->own_gguf);
    fh_free(v);
}

int fh_vocab_blame(const fh_vocab *v, fh_err **err, const void *at, const char *field, size_t index, const char *fmt, ...)
{
    char text[160];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!v->gguf) return fh_err_set(err, FH_E_CORRUPT, "token %zu %s", index, text);
    const fh_gguf_file *f = &v->gguf->files[0];
    return fh_err_set(err, FH_E_CORRUPT, "%s: byte %llu, field %s[%zu]: %s", f->path,
                      (unsigned long long)((const uint8_t *)at - (const uint8_t *)f->map.data), field, index, text);
}

static int load_pieces(fh_vocab *v, fh_err **err)
{
    int rc = fh_gguf_get_array(v->gguf, "tokenizer.ggml.tokens", FH_GGUF_STRING, &v->tokens, &v->size, err);
    if (rc) return rc;
    if (!v->size || v->size > FH_LIMIT_VOCAB_TOKENS)
        return fh_vocab_blame(v, err, v->tokens->data, "tokenizer.ggml.tokens", v->size, "a vocabulary has 1 to %d tokens",
                              FH_LIMIT_VOCAB_TOKENS);
    v->pieces = fh_calloc(v->size, sizeof *v->pieces);
    v->types = fh_calloc(v->size, 1);
    if (!v->pieces || !v->types) return fh_err_nomem(err);
    for (size_t id = 0; id < v->size; id++) {
        v->pieces[id] = fh_gguf_array_str(v->tokens, id);
        if (v->pieces[id].len > FH_LIMIT_VOCAB_PIECE_BYTES)
            return fh_vocab_blame(v, err, v->pieces[id].ptr, "tokenizer.ggml.tokens", id, "is %zu bytes long; at most %d are read",
                                  v->pieces[id].len, FH_LIMIT_VOCAB_PIECE_BYTES);
    }
    return fh_vocab_index_pieces(v, err);
}

static int load_types(fh_vocab *v, fh_err **err)
{
    const fh_gguf_value *list = NULL;
    size_t count = 0;
    memset(v->types, FH_PIECE_NORMAL, v->size);
    if (!fh_gguf_find(v->gguf, "tokenizer.ggml.token_type")) return 0;
    int rc = fh_gguf_get_array(v->gguf, "tokenizer.ggml.token_type", FH_GGUF_I32, &list, &count, err);
    if (rc) return rc;
    if (count != v->size) return fh_vocab_blame(v, err, list->data, "tokenizer.ggml.token_type", count, "there are %zu tokens", v->size);
    for (size_t id = 0; id < v->size; id++) {
        int64_t type = fh_gguf_array_i64(list, id);
        if (type < 0 || type > FH_PIECE_BYTE)
            return fh_vocab_blame(v, err, list->data + 4 * id, "tokenizer.ggml.token_type", id, "is %lld, not 0 to 6", (long long)type);
        if (type) v->types[id] = (uint8_t)type; /* 0 is "undefined": a normal token */
    }
    return 0;
}

static int load_scores(fh_vocab *v, fh_err **err)
{
    const fh_gguf_value *list = NULL;
    size_t count = 0;
    int rc = fh_gguf_get_array(v->gguf, "tokenizer.ggml.scores", FH_GGUF_F32, &list, &count, err);
    if (rc == FH_E_NOT_FOUND)
        return fh_err_set(err, FH_E_CORRUPT, "%s: has no key tokenizer.ggml.scores, which its tokenizer needs", v->gguf->files[0].path);
    if (rc) return rc;
    if (count != v->size) return fh_vocab_blame(v, err, list->data, "tokenizer.ggml.scores", count, "there are %zu tokens", v->size);
    v->scores = fh_alloc(v->size * sizeof *v->scores);
    if (!v->scores) return fh_err_nomem(err);
    for (size_t id = 0; id < v->size; id++) {
        v->scores[id] = (float)fh_gguf_array_f64(list, id);
        if (!isfinite(v->scores[id]))
            return fh_vocab_blame(v, err, list->data + 4 * id, "tokenizer.ggml.scores", id, "is no finite number");
    }
    return 0;
}

/* An optional id of the file; otherwise is taken when it is absent and such a token exists. */
static int load_id(const fh_vocab *v, const char *key, fh_token otherwise, fh_token *ret, fh_err **err)
{
    *ret = otherwise >= 0 && (size_t)otherwise < v->size ? otherwise : FH_TOKEN_NONE;
    if (!fh_gguf_find(v->gguf, key)) return 0;
    uint64_t id = 0;
    int rc = fh_gguf_get_u64(v->gguf, key, 0, v->size - 1, &id, err);
    if (!rc) *ret = (fh_token)id;
    return rc;
}

static int load_ids(fh_vocab *v, fh_err **err)
{
    int rc = load_id(v, "tokenizer.ggml.bos_token_id", v->spm ? 1 : FH_TOKEN_NONE, &v->bos, err);
    if (!rc) rc = load_id(v, "tokenizer.ggml.eos_token_id", v->spm ? 2 : FH_TOKEN_NONE, &v->eos, err);
    if (!rc) rc = load_id(v, "tokenizer.ggml.unknown_token_id", v->spm ? 0 : FH_TOKEN_NONE, &v->unknown, err);
    if (!rc && fh_gguf_find(v->gguf, "tokenizer.ggml.add_bos_token"))
        rc = fh_gguf_get_bool(v->gguf, "tokenizer.ggml.add_bos_token", &v->add_bos, err);
    if (!rc && v->spm && fh_gguf_find(v->gguf, "tokenizer.ggml.add_space_prefix"))
        rc = fh_gguf_get_bool(v->gguf, "tokenizer.ggml.add_space_prefix", &v->add_prefix, err);
    return rc;
}

static int unsupported(const fh_vocab *v, const char *key, fh_str value, fh_err **err)
{
    char text[64];
    fh_gguf_printable(value, text, sizeof text);
    return fh_err_set(err, FH_E_UNSUPPORTED, "%s: field %s: the tokenizer \"%s\" is not supported", v->gguf->files[0].path, key, text);
}

static int load_pre(fh_vocab *v, fh_err **err)
{
    fh_str name = FH_STR("default");
    int rc = fh_gguf_get_str(v->gguf, "tokenizer.ggml.pre", &name, NULL);
    if (rc && rc != FH_E_NOT_FOUND) return fh_gguf_get_str(v->gguf, "tokenizer.ggml.pre", &name, err);
    if (fh_str_eqs(name, "default"))
        v->warning = "the file does not say how its tokenizer splits text (tokenizer.ggml.pre); answers may be worse";
    const fh_pre *pre = fh_pre_find(name);
    if (!pre) return unsupported(v, "tokenizer.ggml.pre", name, err);
    v->ignore_merges = pre->ignore_merges;
    v->add_bos = pre->add_bos;
    v->nfc = pre->nfc;
    v->ranks_from_ids = pre->ranks_from_ids;
    return fh_pretokenizer_new(&v->pre, pre->patterns, pre->count, err);
}

void fh_vocab_find_bytes(fh_vocab *v)
{
    for (unsigned b = 0; b < 256; b++) {
        char byte = (char)b, chars[2];
        size_t n = fh_bytes_to_chars(&byte, 1, chars);
        fh_token id = fh_vocab_lookup(v, chars, n);
        v->byte_ids[b] = id != FH_TOKEN_NONE && fh_piece_is_text(v, id) ? id : FH_TOKEN_NONE;
    }
}

static int load_bpe(fh_vocab *v, fh_err **err)
{
    int rc = load_pre(v, err);
    if (!rc) rc = load_ids(v, err);
    if (!rc) rc = fh_vocab_load_special(v, err);
    if (!rc) rc = fh_vocab_load_merges(v, err);
    if (!rc) fh_vocab_find_bytes(v);
    return rc;
}

#define BLANK "\xe2\x96\x81" /* U+2581, SentencePiece's space */

/* Whether a blank follows something else in the piece: then words cannot be taken one by one. */
static bool has_inner_blank(fh_str piece)
{
    size_t i = 0;
    while (i + 3 <= piece.len && !memcmp(piece.ptr + i, BLANK, 3)) i += 3;
    return i < piece.len && fh_str_find((fh_str){piece.ptr + i, piece.len - i}, FH_STR(BLANK)) < piece.len - i;
}

static int load_spm(fh_vocab *v, fh_err **err)
{
    v->add_bos = v->add_prefix = v->splits_at_blanks = true;
    int rc = load_scores(v, err);
    if (!rc) rc = load_ids(v, err);
    if (!rc) rc = fh_vocab_load_special(v, err);
    for (size_t id = 0; id < v->size && !rc; id++) {
        if (fh_piece_is_text(v, (fh_token)id) && has_inner_blank(v->pieces[id])) v->splits_at_blanks = false;
    }
    for (unsigned b = 0; b < 256 && !rc; b++) {
        char name[8];
        int n = snprintf(name, sizeof name, "<0x%02X>", b);
        fh_token id = fh_vocab_lookup(v, name, (size_t)n);
        v->byte_ids[b] = id != FH_TOKEN_NONE && fh_piece_type(v, id) == FH_PIECE_BYTE ? id : FH_TOKEN_NONE;
    }
    return rc;
}

static int load(fh_vocab *v, fh_err **err)
{
    fh_str model;
    int rc = fh_gguf_get_str(v->gguf, "tokenizer.ggml.model", &model, err);
    if (rc) return rc;
    v->spm = fh_str_eqs(model, "llama");
    if (!v->spm && !fh_str_eqs(model, "gpt2")) return unsupported(v, "tokenizer.ggml.model", model, err);
    rc = load_pieces(v, err);
    if (!rc) rc = load_types(v, err);
    if (rc) return rc;
    return v->spm ? load_spm(v, err) : load_bpe(v, err);
}

static fh_vocab *vocab_alloc(void)
{
    fh_vocab *v = fh_calloc(1, sizeof *v);
    if (v) v->bos = v->eos = v->unknown = FH_TOKEN_NONE;
    return v;
}

int fh_vocab_make(fh_vocab **ret, fh_err **err)
{
    FH_AUTO(fh_vocab) fh_vocab *v = vocab_alloc();
    if (!v || !(v->arena = fh_arena_new(PIECES_BYTES))) return fh_err_nomem(err);
    *ret = fh_take(v);
    return 0;
}

int fh_vocab_make_pieces(fh_vocab *v, fh_err **err)
{
    v->pieces = fh_calloc(v->size, sizeof *v->pieces);
    v->types = fh_alloc(v->size);
    if (!v->pieces || !v->types) return fh_err_nomem(err);
    memset(v->types, FH_PIECE_UNUSED, v->size);
    for (size_t id = 0; id < v->size; id++) v->pieces[id].ptr = "";
    return 0;
}

int fh_vocab_new(fh_vocab **ret, const fh_gguf *g, fh_err **err)
{
    FH_AUTO(fh_vocab) fh_vocab *v = vocab_alloc();
    if (!v) return fh_err_nomem(err);
    v->gguf = g;
    int rc = fh_gguf_needed(load(v, err), err);
    if (rc) return rc;
    *ret = fh_take(v);
    return 0;
}

size_t fh_vocab_size(const fh_vocab *v)
{
    return v->size;
}

fh_str fh_vocab_piece(const fh_vocab *v, fh_token id)
{
    return id >= 0 && (size_t)id < v->size ? v->pieces[id] : (fh_str){"", 0};
}

bool fh_vocab_is_control(const fh_vocab *v, fh_token id)
{
    if (id < 0 || (size_t)id >= v->size) return false;
    return fh_piece_type(v, id) == FH_PIECE_CONTROL || fh_piece_type(v, id) == FH_PIECE_UNKNOWN;
}

fh_token fh_vocab_bos(const fh_vocab *v)
{
    return v->bos;
}

fh_token fh_vocab_eos(const fh_vocab *v)
{
    return v->eos;
}

fh_token fh_vocab_unknown(const fh_vocab *v)
{
    return v->unknown;
}

bool fh_vocab_is_end(const fh_vocab *v, fh_token id)
{
    return id >= 0 && (size_t)id < v->size && (v->types[id] & FH_PIECE_END);
}

fh_token fh_vocab_find(const fh_vocab *v, fh_str piece)
{
    return fh_vocab_lookup(v, piece.ptr, piece.len);
}

const char *fh_vocab_warning(const fh_vocab *v)
{
    return v->warning;
}
