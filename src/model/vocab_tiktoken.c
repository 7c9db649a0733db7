/* A tiktoken file as a vocabulary: lines of a token's bytes in base64 and its rank, which is its id and the order of joining. How text is
 * split, and which tokens are special, stands in the makers' programs and not in the file: here they are known by the file's name. */
#include "vocab_private.h"

#include <stdio.h>

typedef struct special {
    const char *text;
    uint32_t id;
} special;
typedef struct kind {
    const char *file, *pre;
    bool nfc;
    const char *bos; /* NULL: nothing is put before a text */
    special specials[8];
} kind;

/* Sources: tiktoken's openai_public.py, and the tokenizer programs beside the weights of Qwen, Llama 3 and Kimi K2. */
static const kind kinds[] = {
    {"r50k_base.tiktoken", "gpt-2", .specials = {{"<|endoftext|>", 50256}}},
    {"p50k_base.tiktoken", "gpt-2", .specials = {{"<|endoftext|>", 50256}}},
    {"cl100k_base.tiktoken", "llama-bpe",
     .specials = {{"<|endoftext|>", 100257},
                  {"<|fim_prefix|>", 100258},
                  {"<|fim_middle|>", 100259},
                  {"<|fim_suffix|>", 100260},
                  {"<|endofprompt|>", 100276}}},
    {"o200k_base.tiktoken", "gpt-4o", .specials = {{"<|endoftext|>", 199999}, {"<|endofprompt|>", 200018}}},
    {"qwen.tiktoken", "qwen2", .nfc = true, .specials = {{"<|endoftext|>", 151643}, {"<|im_start|>", 151644}, {"<|im_end|>", 151645}}},
    {"tokenizer.model", "llama-bpe", .bos = "<|begin_of_text|>",
     .specials = {{"<|begin_of_text|>", 128000},
                  {"<|end_of_text|>", 128001},
                  {"<|start_header_id|>", 128006},
                  {"<|end_header_id|>", 128007},
                  {"<|eot_id|>", 128009}}},
    {"tiktoken.model", "kimi-k2", .specials = {{"[BOS]", 163584}, {"[EOS]", 163585}, {"<|im_end|>", 163586}}},
};

static const kind *kind_of(const char *name)
{
    for (size_t i = 0; i < FH_COUNT(kinds); i++)
        if (fh_str_eqs(fh_str_of(name), kinds[i].file)) return &kinds[i];
    return NULL;
}

static int refuse_name(fh_err **err)
{
    FH_AUTO(buf) fh_buf names = FH_BUF(1024);
    for (size_t i = 0; i < FH_COUNT(kinds); i++) fh_buf_addf(&names, "%s%s", i ? ", " : "", kinds[i].file);
    fh_err_set(err, FH_E_UNSUPPORTED, "this is no GGUF, no tokenizer.json, and no tiktoken file of a known name");
    fh_err_hint(err, "a tiktoken file does not say how it splits text; it is known by its name: %s", fh_buf_cstr(&names));
    return FH_E_UNSUPPORTED;
}

/* ---- lines ---- */

typedef struct line {
    size_t number;
    fh_str token; /* bytes, in the scratch of who reads */
    uint64_t rank;
} line;

static int broken(const line *l, const char *what, fh_err **err)
{
    return fh_err_set(err, FH_E_CORRUPT, "line %zu %s", l->number, what);
}

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Strict: padded, and no bits behind the last byte. Answers the bytes, 0 when it is no base64. */
static size_t decode_base64(fh_str text, char *out)
{
    uint32_t bits = 0;
    size_t held = 0, n = 0, digits = text.len;
    while (digits && text.len - digits < 2 && text.ptr[digits - 1] == '=') digits--;
    if (text.len % 4) return 0;
    for (size_t i = 0; i < digits; i++) {
        int d = digit_of(text.ptr[i]);
        if (d < 0) return 0;
        bits = bits << 6 | (uint32_t)d;
        if ((held += 6) < 8) continue;
        held -= 8;
        out[n++] = (char)(bits >> held);
    }
    return bits & ((1u << held) - 1) || text.len - digits != (3 - n % 3) % 3 ? 0 : n;
}

static int read_line(fh_str text, line *l, char *scratch, fh_err **err)
{
    size_t blank = fh_str_find(text, FH_STR(" "));
    if (blank == text.len || blank / 4 * 3 > FH_LIMIT_VOCAB_PIECE_BYTES / 2) return broken(l, "is not a token and its rank", err);
    size_t n = decode_base64((fh_str){text.ptr, blank}, scratch);
    if (!n) return broken(l, "begins with what is no base64", err);
    if (!fh_str_u64((fh_str){text.ptr + blank + 1, text.len - blank - 1}, FH_LIMIT_VOCAB_TOKENS - 1, &l->rank))
        return broken(l, "has no rank, or one that is too large", err);
    l->token = (fh_str){scratch, n};
    return 0;
}

typedef int take_line(fh_vocab *v, const line *l, fh_err **err);

static int each_line(fh_vocab *v, fh_str text, take_line *take, fh_err **err)
{
    char scratch[FH_LIMIT_VOCAB_PIECE_BYTES];
    line l = {0};
    int rc = 0;
    while (text.len && !rc) {
        size_t n = fh_str_find(text, FH_STR("\n"));
        fh_str one = fh_str_trim((fh_str){text.ptr, n});
        l.number++;
        if (one.len) rc = read_line(one, &l, scratch, err);
        if (one.len && !rc) rc = take(v, &l, err);
        n += n < text.len;
        text = (fh_str){text.ptr + n, text.len - n};
    }
    return rc;
}

/* ---- the vocabulary ---- */

static int count_line(fh_vocab *v, const line *l, fh_err **err)
{
    (void)err;
    v->size = FH_MAX(v->size, (size_t)l->rank + 1);
    return 0;
}

static int take_piece(fh_vocab *v, const line *l, fh_err **err)
{
    char chars[FH_LIMIT_VOCAB_PIECE_BYTES];
    size_t n = fh_bytes_to_chars(l->token.ptr, l->token.len, chars);
    if (v->pieces[l->rank].len) return broken(l, "has the rank of an earlier one", err);
    v->pieces[l->rank] = (fh_str){fh_arena_strndup(v->arena, chars, n), n};
    v->types[l->rank] = FH_PIECE_NORMAL;
    return v->pieces[l->rank].ptr ? 0 : fh_err_nomem(err);
}

static int take_specials(fh_vocab *v, const kind *k, fh_err **err)
{
    for (size_t i = 0; i < FH_COUNT(k->specials) && k->specials[i].text; i++) {
        const special *s = &k->specials[i];
        if (v->pieces[s->id].len) return fh_err_set(err, FH_E_CORRUPT, "rank %u is of the special token %s", s->id, s->text);
        v->pieces[s->id] = fh_str_of(s->text);
        v->types[s->id] = FH_PIECE_CONTROL;
        if (k->bos && strcmp(s->text, k->bos) == 0) v->bos = (fh_token)s->id;
    }
    return 0;
}

static void make_room_for_specials(fh_vocab *v, const kind *k)
{
    for (size_t i = 0; i < FH_COUNT(k->specials) && k->specials[i].text; i++) v->size = FH_MAX(v->size, (size_t)k->specials[i].id + 1);
}

static int load(fh_vocab *v, fh_str text, const kind *k, fh_err **err)
{
    const fh_pre *pre = fh_pre_find(fh_str_of(k->pre));
    int rc = each_line(v, text, count_line, err);
    if (!rc && !v->size) rc = fh_err_set(err, FH_E_CORRUPT, "there is no token in it");
    if (rc) return rc;
    make_room_for_specials(v, k);
    v->nfc = k->nfc;
    v->ignore_merges = true; /* a word that is a token is that token */
    v->add_bos = k->bos != NULL;
    rc = fh_vocab_make_pieces(v, err);
    if (!rc) rc = each_line(v, text, take_piece, err);
    if (!rc) rc = take_specials(v, k, err);
    if (!rc) rc = fh_vocab_index_pieces(v, err);
    if (!rc) rc = fh_vocab_load_special(v, err);
    if (rc) return rc;
    fh_vocab_find_bytes(v);
    rc = fh_vocab_merges_from_ids(v, err);
    return rc ? rc : fh_pretokenizer_new(&v->pre, pre->patterns, pre->count, err);
}

int fh_vocab_from_tiktoken(fh_vocab **ret, fh_str text, const char *name, fh_err **err)
{
    FH_AUTO(fh_vocab) fh_vocab *v = NULL;
    const kind *k = kind_of(name);
    if (!k) return refuse_name(err);
    int rc = fh_vocab_make(&v, err);
    if (!rc) rc = load(v, text, k, err);
    if (rc) return rc;
    *ret = fh_take(v);
    return 0;
}
