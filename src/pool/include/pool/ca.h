/* The pool's authority: one key and one certificate of its own, in one file of the data folder (0600), made at first use.
 *
 * The certificate is also what the pool's listener shows, so that its fingerprint, which a join token carries, names both: a node that has
 * checked it once knows the server and whoever the server vouches for. The file is written whole or not at all: a server that is killed
 * half way makes it again. Never changes once opened; threads: any. */
#ifndef FH_POOL_CA_H
#define FH_POOL_CA_H

#include "pool/certificate.h"

typedef struct fh_pool_ca fh_pool_ca;
/* FH_E_CORRUPT for a file that is none, which is left alone; *ret_new (may be NULL) says that it was made now. */
int fh_pool_ca_open(fh_pool_ca **ret, const char *file, int64_t now_utc_ns, bool *ret_new, fh_err **err);
void fh_pool_ca_close(fh_pool_ca *ca);
FH_DEFINE_AUTO(fh_pool_ca, fh_pool_ca_close);

const char *fh_pool_ca_certificate(const fh_pool_ca *ca); /* PEM; borrowed */
const fh_link_digest *fh_pool_ca_fingerprint(const fh_pool_ca *ca);

typedef struct fh_node_certificate {
    char pem[FH_POOL_PEM];
    fh_link_digest fingerprint;
    int64_t until_utc_ns;
} fh_node_certificate;
/* A certificate of NODE_CERT_DAYS for the key of the request, in the name of that node; of the request nothing else is taken over. It
 * counts from POOL_SKEW_MS before now, for clocks that are behind. Errors as fh_pool_request_key. */
int fh_pool_ca_sign(const fh_pool_ca *ca, fh_str request_pem, const char *node, int64_t now_utc_ns, fh_node_certificate *ret, fh_err **err);

#endif
