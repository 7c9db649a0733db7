/* SHA-256 through OpenSSL, which uses the processor's instructions for it. */
#include "weights_private.h"

#include "base/str.h"
#include <openssl/evp.h>

struct fh_sha {
    EVP_MD_CTX *ctx;
};

fh_sha *fh_sha_new(void)
{
    FH_AUTO(fh_sha) fh_sha *s = fh_calloc(1, sizeof(*s));
    if (!s) return NULL;
    s->ctx = EVP_MD_CTX_new();
    if (!s->ctx || EVP_DigestInit_ex(s->ctx, EVP_sha256(), NULL) != 1) return NULL;
    return fh_take(s);
}

void fh_sha_free(fh_sha *s)
{
    if (!s) return;
    EVP_MD_CTX_free(s->ctx);
    fh_free(s);
}

bool fh_sha_add(fh_sha *s, const void *data, size_t bytes)
{
    return EVP_DigestUpdate(s->ctx, data, bytes) == 1;
}

bool fh_sha_hex(fh_sha *s, char out[65])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;
    return EVP_DigestFinal_ex(s->ctx, digest, &bytes) == 1 && bytes == 32 && fh_hex_encode(digest, bytes, out, 65);
}
