/* Certificates of the pool: the keys that they are of, and the requests that nodes make for them. Keys are Ed25519. Threads: any. */
#ifndef FH_POOL_CERTIFICATE_H
#define FH_POOL_CERTIFICATE_H

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "link/link.h"
#include <stdint.h>

bool fh_digest_is(const fh_link_digest *a, const fh_link_digest *b); /* false when both are zeros, which are those of nothing */

/* A key of this machine's own, which never leaves it. */
typedef struct fh_pool_key fh_pool_key;
int fh_pool_key_new(fh_pool_key **ret, fh_err **err);
int fh_pool_key_read(fh_pool_key **ret, fh_str pem, fh_err **err); /* FH_E_CORRUPT for what is no such key */
void fh_pool_key_free(fh_pool_key *k);
FH_DEFINE_AUTO(fh_pool_key, fh_pool_key_free);
enum { FH_POOL_PEM = 4096 };                                                      /* room for any text of this module in PEM form */
int fh_pool_key_write(const fh_pool_key *k, char out[FH_POOL_PEM], fh_err **err); /* a secret: clear it */
/* A request for a certificate of this key (PKCS #10, PEM). It says nothing but the key, and that whoever asks has it. */
int fh_pool_key_request(const fh_pool_key *k, char out[FH_POOL_PEM], fh_err **err);
int fh_pool_key_digest(const fh_pool_key *k, fh_link_digest *ret, fh_err **err); /* as fh_pool_request_key says of its requests */
/* FH_E_CORRUPT when the certificate is not of this key. */
int fh_pool_key_fits(const fh_pool_key *k, fh_str certificate_pem, fh_err **err);

/* What stands in a request: SHA-256 of its public key (SubjectPublicKeyInfo, DER). FH_E_INVALID with param "csr" for a request that is
 * broken, too long, not signed by its own key, or of another kind of key. */
int fh_pool_request_key(fh_str request_pem, fh_link_digest *ret, fh_err **err);

#endif
