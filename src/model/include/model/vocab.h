/* Tokenizers as GGUF describes them: byte-level BPE (gpt2) with its pre-tokenizer pattern, and SentencePiece (llama); and as their makers'
 * own files do, for models that others run.
 *
 * Pure. encode is exact to the `tokenizers` library; decode_all(encode(x)) = x for any bytes, but where the makers' own tokenizer loses
 * something: bytes that a vocabulary has no token for are left out, some vocabularies take text in normal form C, and SentencePiece takes
 * U+2581 for a blank. Special (control, user-defined) tokens are recognised in text only where the caller allows it: user text must not be
 * able to forge a turn (user-defined tokens of blanks alone are text). Threads: immutable, any may read. */
#ifndef FH_MODEL_VOCAB_H
#define FH_MODEL_VOCAB_H

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

typedef struct fh_gguf fh_gguf; /* model/gguf.h */
typedef struct fh_vocab fh_vocab;
typedef int32_t fh_token;
#define FH_TOKEN_NONE ((fh_token)-1)

typedef struct fh_tokens { /* growing list, owned */
    fh_token *ids;
    size_t count, cap;
} fh_tokens;
void fh_tokens_fini(fh_tokens *t);
bool fh_tokens_push(fh_tokens *t, fh_token id);

int fh_vocab_new(fh_vocab **ret, const fh_gguf *g, fh_err **err); /* borrows g: keep it open */
/* Borrows nothing. By what is in the file: a GGUF; a Hugging Face tokenizer.json of BPE over bytes or characters; or a tiktoken file, whose
 * name must be one of vocab_tiktoken.c. What we do not do is FH_E_UNSUPPORTED and names the field. */
int fh_vocab_open(fh_vocab **ret, const char *path, fh_err **err);
int fh_vocab_open_as(fh_vocab **ret, const char *path, const char *name, fh_err **err); /* as if the file had that name */
/* The same from the text of such a file; name: the tiktoken file's, without its folder. */
int fh_vocab_from_json(fh_vocab **ret, fh_str text, fh_err **err);
int fh_vocab_from_tiktoken(fh_vocab **ret, fh_str text, const char *name, fh_err **err);
void fh_vocab_free(fh_vocab *v);
FH_DEFINE_AUTO(fh_vocab, fh_vocab_free);

enum {
    FH_ENCODE_SPECIAL = 1, /* text may contain special tokens (the output of a chat template) */
    FH_ENCODE_BOS = 2
}; /* put BOS before, if the model says so (add_bos_token) */
int fh_vocab_encode(const fh_vocab *v, fh_str text, unsigned flags, fh_tokens *out, fh_err **err); /* appends */
/* Appends the bytes of one token; control tokens give their text only with show_special. */
int fh_vocab_decode(const fh_vocab *v, fh_token id, bool show_special, fh_buf *out, fh_err **err);
/* Appends the bytes of a whole list: the inverse of encode, the blank that SentencePiece puts before text taken off again. */
int fh_vocab_decode_all(const fh_vocab *v, const fh_token *ids, size_t count, bool show_special, fh_buf *out, fh_err **err);
/* The chat template in the GGUF that it was opened from; ptr NULL when there is none. Borrowed. */
int fh_vocab_chat_template(const fh_vocab *v, fh_str *ret, fh_err **err);
const char *fh_vocab_warning(const fh_vocab *v); /* what the file leaves open about its tokenizer, in one line; NULL when nothing */

size_t fh_vocab_size(const fh_vocab *v);
fh_str fh_vocab_piece(const fh_vocab *v, fh_token id); /* as stored in the file */
bool fh_vocab_is_control(const fh_vocab *v, fh_token id);
fh_token fh_vocab_bos(const fh_vocab *v), fh_vocab_eos(const fh_vocab *v); /* FH_TOKEN_NONE when absent */
fh_token fh_vocab_unknown(const fh_vocab *v);                              /* for what has no token, in any text; as those */
bool fh_vocab_is_end(const fh_vocab *v, fh_token id);                      /* eos, eot, eom */
fh_token fh_vocab_find(const fh_vocab *v, fh_str piece);                   /* FH_TOKEN_NONE when absent */

#endif
