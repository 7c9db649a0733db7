/* Token ids as text, for tokenize, detokenize and eval. */
#ifndef FH_CLI_TOKENS_H
#define FH_CLI_TOKENS_H

#include "cli_private.h"
#include "model/vocab.h"

int fh_cli_read_input(fh_buf *out, fh_err **err); /* all of standard input, up to ENCODE_BYTES */
/* Ids separated by blanks, or a JSON array of them, or {"tokens":[...]}; appends. */
int fh_cli_parse_ids(fh_str text, fh_tokens *out, fh_err **err);
int fh_cli_require(const fh_cli *c, const char *flag, const char **ret, fh_err **err); /* FH_E_USAGE when the flag is missing */

typedef struct fh_cli_vocab { /* a tokenizer and the file that it borrows from */
    fh_gguf *gguf;
    fh_vocab *vocab;
} fh_cli_vocab;
int fh_cli_vocab_open(const char *model_path, fh_cli_vocab *ret, fh_err **err);
void fh_cli_vocab_close(fh_cli_vocab *v);

#endif
