/* A certificate with its private key, ready to serve TLS 1.2 and 1.3 (OpenSSL). Never changes once made: a reload makes another one and
 * hands it to the server. Threads: any. */
#ifndef FH_NET_TLS_H
#define FH_NET_TLS_H

#include "base/err.h"
#include "base/mem.h"

typedef struct fh_tls fh_tls;

/* PEM files: the certificate with its chain, and a key without passphrase that fits it. */
int fh_tls_new(fh_tls **ret, const char *cert_file, const char *key_file, fh_err **err);
void fh_tls_free(fh_tls *t); /* connections that use it go on */
FH_DEFINE_AUTO(fh_tls, fh_tls_free);

#endif
