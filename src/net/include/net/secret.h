/* Random bytes and SHA-256, for keys, sign-in codes and digests of requests. Threads: any. */
#ifndef FH_NET_SECRET_H
#define FH_NET_SECRET_H

#include "base/err.h"
#include "base/str.h"

int fh_random_bytes(void *out, size_t bytes, fh_err **err);
int fh_random_text(char *out, size_t out_size, fh_err **err); /* 32 random bytes as base64url: 43 characters */
bool fh_sha256(fh_str text, uint8_t out[32]);                 /* false when the library has none, which is a broken installation */

#endif
