/* Token ids as text, for tokenize, detokenize and eval. */
#ifndef FH_CLI_TOKENS_H
#define FH_CLI_TOKENS_H

#include "cli_private.h"
#include "model/vocab.h"

int fh_cli_read_input(fh_buf *out, fh_err **err); /* all of standard input, up to ENCODE_BYTES */
/* Ids separated by blanks, or a JSON array of them, or {"tokens":[...]}; appends. */
int fh_cli_parse_ids(fh_str text, fh_tokens *out, fh_err **err);
int fh_cli_require(const fh_cli *c, const char *flag, const char **ret, fh_err **err); /* FH_E_USAGE when the flag is missing */

#endif
