/* What the readers of a tokenizer.json share: the file's words for a refusal, and what is around the model. */
#ifndef FH_MODEL_VOCAB_JSON_H
#define FH_MODEL_VOCAB_JSON_H

#include "json/json.h"
#include "vocab_private.h"

/* The file is not what its format says: FH_E_CORRUPT naming the field. */
int fh_tok_broken(fh_err **err, const char *field, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* It is, and asks for what we do not do: FH_E_UNSUPPORTED naming the field and what stands there. */
int fh_tok_refuse(fh_err **err, const char *field, fh_str value);
int fh_tok_bool(const fh_json *o, const char *field, const char *key, bool *ret, fh_err **err); /* absent: as it is */
fh_str fh_tok_type(const fh_json *o);                                                           /* its member type, or empty */
static inline bool fh_tok_absent(const fh_json *v)
{
    return fh_json_kind_of(v) == FH_JSON_NULL;
}

/* Normalizer, pre-tokenizer and post-processor, as far as they are known. */
typedef struct fh_tok_steps {
    bool bytes;                            /* BPE over bytes; else over characters */
    bool nfc, blanks, prepends, metaspace; /* blanks become U+2581; one is put before a text */
    bool splits;                           /* at each U+2581 */
    bool first_only;                       /* the blank is put before the first stretch only */
    const fh_pre *pre;                     /* bytes */
    fh_str bos;                            /* the token that is put before a text; empty: none */
} fh_tok_steps;
int fh_tok_steps_read(const fh_json *doc, fh_tok_steps *ret, fh_err **err);

/* pretokenize_makers.c: the way of splitting whose steps in the makers' notation are these; NULL when none is. */
const fh_pre *fh_pre_of_steps(const fh_str *steps, size_t count);
enum { FH_PRE_STEPS_MAX = 6 };

#endif
