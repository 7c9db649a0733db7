/* What the files of pool/ share of OpenSSL. */
#ifndef FH_POOL_PRIVATE_H
#define FH_POOL_PRIVATE_H

#include "pool/ca.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

FH_DEFINE_AUTO(EVP_PKEY, EVP_PKEY_free);
FH_DEFINE_AUTO(X509, X509_free);
FH_DEFINE_AUTO(X509_REQ, X509_REQ_free);
FH_DEFINE_AUTO(BIO, BIO_free);

/* certificate.c. The error takes OpenSSL's words, and clears what it remembers. */
int fh_pool_ssl_error(fh_err **err, int code, const char *what);
int fh_pool_read_key(EVP_PKEY **ret, fh_str pem, fh_err **err);
int fh_pool_read_certificate(X509 **ret, fh_str pem, fh_err **err); /* the first of the text */
int fh_pool_read_request(X509_REQ **ret, fh_str pem, fh_err **err);
int fh_pool_make_key(EVP_PKEY **ret, fh_err **err);
int fh_pool_write_key(EVP_PKEY *key, char out[FH_POOL_PEM], fh_err **err);
int fh_pool_write_certificate(X509 *c, char out[FH_POOL_PEM], fh_err **err);
int fh_pool_digest_certificate(const X509 *c, fh_link_digest *ret, fh_err **err);

#endif
