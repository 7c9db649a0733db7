/* Tokens of texts by one tokenizer. Pure; threads: a tokenizer never changes, any may count. */
#ifndef FH_GATEWAY_COUNT_PROMPT_H
#define FH_GATEWAY_COUNT_PROMPT_H

#include "count.h"
#include "model/template.h"
#include "model/vocab.h"

typedef struct fh_tokenizer {
    fh_vocab *vocab;            /* owned */
    fh_template *chat_template; /* owned; NULL: not known */
} fh_tokenizer;
int fh_tokenizer_open(fh_tokenizer *ret, const char *path, const char *name, fh_err **err);
void fh_tokenizer_fini(fh_tokenizer *t);

/* request: a chat or completion request as JSON text. Sets the members of ret that are of the prompt. */
int fh_count_prompt(const fh_tokenizer *t, bool chat, fh_str request, fh_count_result *ret, fh_err **err);
int fh_count_heard(const fh_tokenizer *t, const fh_heard *h, uint64_t *ret_tok, fh_err **err);

#endif
