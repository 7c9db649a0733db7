/* What `freehold node token` prints, once: fh_join_<43 base64url characters>_<43 more>. The first are a secret, which opens the pool for
 * one machine; the others are the fingerprint of the certificate that the server's pool listener shows, so that the machine knows the
 * server before it says anything. Pure; threads: any. */
#ifndef FH_POOL_JOIN_TOKEN_H
#define FH_POOL_JOIN_TOKEN_H

#include "pool/certificate.h"

typedef struct fh_join_token {
    uint8_t secret[32];
    fh_link_digest server;
} fh_join_token;

enum { FH_JOIN_TOKEN_LEN = 8 + 43 + 1 + 43 };
void fh_join_token_write(const fh_join_token *t, char out[FH_JOIN_TOKEN_LEN + 1]);
/* FH_E_INVALID with param "token"; blanks and line ends around it are fine. */
int fh_join_token_parse(fh_str text, fh_join_token *ret, fh_err **err);

#endif
