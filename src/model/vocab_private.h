/* What the files of the tokenizer share. A fh_vocab is built once from a file and never changes; an encode call keeps its scratch memory
 * (fh_bpe_work, fh_spm_work) to itself, so any number of threads may encode at once. */
#ifndef FH_MODEL_VOCAB_PRIVATE_H
#define FH_MODEL_VOCAB_PRIVATE_H

#include "base/arena.h"
#include "base/limits.h"
#include "gguf_private.h"
#include "model/vocab.h"

/* Token types as GGUF numbers them, and our marks above them. */
enum {
    FH_PIECE_NORMAL = 1,
    FH_PIECE_UNKNOWN,
    FH_PIECE_CONTROL,
    FH_PIECE_USER,
    FH_PIECE_UNUSED,
    FH_PIECE_BYTE,
    FH_PIECE_TYPE = 7,
    FH_PIECE_END = 8,      /* ends a generation */
    FH_PIECE_TEXTUAL = 16, /* user-defined, but only blanks: found in any text */
};

typedef struct fh_merge {
    fh_token left, right, id; /* id: of both joined; FH_TOKEN_NONE marks a free slot */
    uint32_t rank;
} fh_merge;

typedef struct fh_pretokenizer fh_pretokenizer;

struct fh_vocab {
    const fh_gguf *gguf; /* NULL: made from another file; then arena has the pieces */
    fh_gguf *own_gguf;   /* owned; NULL: whoever opened it keeps it */
    fh_arena *arena;     /* owned */
    const fh_gguf_value *tokens;
    size_t size;
    fh_str *pieces; /* [size] */
    uint8_t *types; /* [size] */
    float *scores;  /* [size]; SentencePiece only */
    uint8_t hash_key[16];
    uint32_t *slots; /* id + 1 of the piece that hashes here, 0 = free */
    size_t slot_mask;
    fh_merge *merges;
    size_t merge_mask, merge_count;
    fh_token byte_ids[256];
    uint32_t *special;          /* ids that are found as they stand in text, sorted by piece */
    uint32_t special_from[257]; /* range of those that begin with byte b: [from[b], from[b + 1]) */
    size_t special_count;
    size_t longest; /* bytes of the longest piece */
    fh_pretokenizer *pre;
    const char *warning;
    fh_token bos, eos, unknown;
    bool spm, ignore_merges, ranks_from_ids, add_bos, add_prefix, nfc, has_textual;
    bool splits_at_blanks; /* SentencePiece: no piece has a blank behind something else; characters: words are cut there */
    bool chars;            /* BPE over characters; then spm holds, too, for decoding */
    bool fuse_unknown, prefix_first_only, prefix_unless_blank; /* characters */
};

static inline unsigned fh_piece_type(const fh_vocab *v, fh_token id)
{
    return v->types[id] & FH_PIECE_TYPE;
}
static inline bool fh_piece_is_text(const fh_vocab *v, fh_token id) /* may come out of encoding plain text */
{
    return fh_piece_type(v, id) == FH_PIECE_NORMAL || fh_piece_type(v, id) == FH_PIECE_USER;
}

/* vocab.c. Nothing but an arena; the caller sets size before make_pieces, which gives each id an empty, unused piece. */
int fh_vocab_make(fh_vocab **ret, fh_err **err);
int fh_vocab_make_pieces(fh_vocab *v, fh_err **err);
void fh_vocab_find_bytes(fh_vocab *v); /* byte_ids of BPE over bytes */
/* Error about an element of an array of the file: names byte, field and index. */
int fh_vocab_blame(const fh_vocab *v, fh_err **err, const void *at, const char *field, size_t index, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));

/* vocab_table.c */
int fh_vocab_index_pieces(fh_vocab *v, fh_err **err);
fh_token fh_vocab_lookup(const fh_vocab *v, const char *p, size_t n); /* exact piece; FH_TOKEN_NONE when there is none */
int fh_vocab_merges_alloc(fh_vocab *v, size_t count, fh_err **err);
bool fh_vocab_merge_add(fh_vocab *v, fh_merge m); /* false when the pair is there already */
const fh_merge *fh_vocab_merge_find(const fh_vocab *v, fh_token left, fh_token right);

/* vocab_merges.c */
int fh_vocab_load_merges(fh_vocab *v, fh_err **err);
int fh_vocab_merges_from_ids(fh_vocab *v, fh_err **err); /* a token's id is its rank */

/* vocab_special.c */
int fh_vocab_load_special(fh_vocab *v, fh_err **err);
/* The first special token at or behind `from`: its place in *ret_at; FH_TOKEN_NONE when there is none. */
fh_token fh_vocab_find_special(const fh_vocab *v, fh_str text, size_t from, bool textual_only, size_t *ret_at);

/* byte_chars.c: how byte-level BPE writes the 256 bytes as printable characters. */
uint32_t fh_byte_to_char(uint8_t byte);
int fh_char_to_byte(uint32_t cp);                             /* -1: not one of them */
size_t fh_bytes_to_chars(const char *p, size_t n, char *out); /* out: at least 2 * n */
bool fh_chars_to_bytes(fh_str piece, fh_buf *out);            /* false (and out unchanged) when the piece is not made of them */

/* pretokenize.c: the pattern that cuts text into words before BPE. */
#define FH_PRE_BYTES "(?#bytes)" /* a pattern that begins so sees bytes, not characters; those behind it do so too */
int fh_pretokenizer_new(fh_pretokenizer **ret, const char *const *patterns, size_t count, fh_err **err);
void fh_pretokenizer_free(fh_pretokenizer *p);
FH_DEFINE_AUTO(fh_pretokenizer, fh_pretokenizer_free);
typedef int fh_pre_word(void *arg, const char *p, size_t n, fh_err **err);
int fh_pretokenizer_run(const fh_pretokenizer *p, fh_str valid_utf8, fh_pre_word *word, void *arg, fh_err **err);

/* pretokenize_table.c: what tokenizer.ggml.pre means. */
typedef struct fh_pre {
    const char *const *patterns;
    size_t count;
    bool ignore_merges, add_bos, nfc, ranks_from_ids;
} fh_pre;
const fh_pre *fh_pre_find(fh_str name); /* NULL when it is unheard of */

/* bpe.c, chars.c and spm.c: one word, and a stretch of text without special tokens. */
typedef struct fh_bpe_symbol {
    fh_token id; /* FH_TOKEN_NONE once it was merged into the one before */
    int32_t prev, next;
} fh_bpe_symbol;
typedef struct fh_bpe_pair {
    uint32_t rank;
    int32_t at;
    fh_token id;
} fh_bpe_pair;
typedef struct fh_bpe_work {
    fh_bpe_symbol *symbols;
    fh_bpe_pair *heap;
    char *chars;
    size_t cap, count, heap_count;
} fh_bpe_work;
void fh_bpe_work_fini(fh_bpe_work *w);
int fh_bpe_room(fh_bpe_work *w, size_t n, fh_err **err);   /* for n symbols */
static inline void fh_bpe_add(fh_bpe_work *w, fh_token id) /* a symbol behind the others; there must be room */
{
    w->symbols[w->count] = (fh_bpe_symbol){.id = id, .prev = (int32_t)w->count - 1, .next = (int32_t)w->count + 1};
    w->count++;
}
int fh_bpe_join(const fh_vocab *v, fh_bpe_work *w, fh_tokens *out, fh_err **err); /* the symbols that were added become tokens */
int fh_bpe_word(const fh_vocab *v, fh_bpe_work *w, const char *p, size_t n, fh_tokens *out, fh_err **err);
int fh_chars_text(const fh_vocab *v, fh_bpe_work *w, fh_str text, bool first, fh_tokens *out, fh_err **err);

typedef struct fh_spm_symbol {
    uint32_t start, bytes; /* of the escaped word; bytes 0 once it was merged */
    int32_t prev, next;
    fh_token id;
} fh_spm_symbol;
typedef struct fh_spm_pair {
    float score;
    int32_t at;
    uint32_t bytes;
    fh_token id;
} fh_spm_pair;
typedef struct fh_spm_work {
    fh_spm_symbol *symbols;
    fh_spm_pair *heap;
    char *text; /* escaped word */
    size_t cap, count, heap_count, text_bytes;
} fh_spm_work;
void fh_spm_work_fini(fh_spm_work *w);
int fh_spm_text(const fh_vocab *v, fh_spm_work *w, fh_str text, fh_tokens *out, fh_err **err);

#endif
