/* Random bytes and SHA-256: what keys and sign-in codes are made of. */
#include "net/secret.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/random.h>

int fh_random_bytes(void *out, size_t bytes, fh_err **err)
{
    uint8_t *p = out;
    while (bytes > 0) {
        ssize_t n = getrandom(p, bytes, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fh_err_errno(err, FH_E_IO, errno, "cannot get random bytes");
        p += n;
        bytes -= (size_t)n;
    }
    return 0;
}

bool fh_sha256(fh_str text, uint8_t out[32])
{
    return EVP_Digest(text.ptr, text.len, out, NULL, EVP_sha256(), NULL) == 1;
}

int fh_random_text(char *out, size_t out_size, fh_err **err)
{
    uint8_t bytes[32];
    int rc = fh_random_bytes(bytes, sizeof bytes, err);
    if (rc) return rc;
    bool ok = fh_base64url_encode(bytes, sizeof bytes, out, out_size) != 0;
    explicit_bzero(bytes, sizeof bytes);
    return ok ? 0 : fh_err_set(err, FH_E_INTERNAL, "the random text does not fit its buffer");
}
