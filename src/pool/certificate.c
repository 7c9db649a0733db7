/* Keys, certificates and requests, to and from text. Everything that OpenSSL reads here is bounded, and no passphrase is ever asked for. */
#include "base/limits.h"
#include "pool_private.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>

struct fh_pool_key {
    EVP_PKEY *key;
};

int fh_pool_ssl_error(fh_err **err, int code, const char *what)
{
    const char *why = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return fh_err_set(err, code, "%s: %s", what, why ? why : "OpenSSL does not say why");
}

/* ---- digests ---- */

bool fh_digest_is(const fh_link_digest *a, const fh_link_digest *b)
{
    static const fh_link_digest none;
    return fh_equal_secret(a->bytes, b->bytes, sizeof a->bytes) && !fh_equal_secret(a->bytes, none.bytes, sizeof a->bytes);
}

int fh_pool_digest_certificate(const X509 *c, fh_link_digest *ret, fh_err **err)
{
    unsigned bytes = sizeof ret->bytes;
    return X509_digest(c, EVP_sha256(), ret->bytes, &bytes) == 1 ? 0 : fh_pool_ssl_error(err, FH_E_INTERNAL, "SHA-256 of a certificate");
}

/* ---- reading ---- */

static int no_passphrase(char *out, int size, int writing, void *arg)
{
    (void)out, (void)size, (void)writing, (void)arg;
    return 0;
}

static BIO *open_text(fh_str pem)
{
    return pem.len < FH_POOL_PEM * 2 ? BIO_new_mem_buf(pem.ptr, (int)pem.len) : NULL;
}

int fh_pool_read_key(EVP_PKEY **ret, fh_str pem, fh_err **err)
{
    FH_AUTO(BIO) BIO *in = open_text(pem);
    FH_AUTO(EVP_PKEY) EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL) : NULL;
    if (!key) return fh_pool_ssl_error(err, FH_E_CORRUPT, "this is no private key in PEM form");
    if (!EVP_PKEY_is_a(key, "ED25519")) return fh_err_set(err, FH_E_CORRUPT, "the private key is of another kind than Ed25519");
    *ret = fh_take(key);
    return 0;
}

int fh_pool_read_certificate(X509 **ret, fh_str pem, fh_err **err)
{
    FH_AUTO(BIO) BIO *in = open_text(pem);
    *ret = in ? PEM_read_bio_X509(in, NULL, no_passphrase, NULL) : NULL;
    return *ret ? 0 : fh_pool_ssl_error(err, FH_E_CORRUPT, "this is no certificate in PEM form");
}

static int bad_request(fh_err **err, const char *what)
{
    fh_pool_ssl_error(err, FH_E_INVALID, what);
    fh_err_param(err, "csr");
    return FH_E_INVALID;
}

int fh_pool_read_request(X509_REQ **ret, fh_str pem, fh_err **err)
{
    FH_AUTO(BIO) BIO *in = pem.len < FH_POOL_PEM ? open_text(pem) : NULL;
    FH_AUTO(X509_REQ) X509_REQ *r = in ? PEM_read_bio_X509_REQ(in, NULL, no_passphrase, NULL) : NULL;
    EVP_PKEY *key = r ? X509_REQ_get0_pubkey(r) : NULL;
    if (!key) return bad_request(err, "'csr' is no request for a certificate in PEM form");
    if (!EVP_PKEY_is_a(key, "ED25519")) return bad_request(err, "'csr' is of another kind of key than Ed25519");
    if (X509_REQ_verify(r, key) != 1) return bad_request(err, "'csr' is not signed by its own key");
    *ret = fh_take(r);
    return 0;
}

static int digest_public(const EVP_PKEY *key, fh_link_digest *ret, fh_err **err)
{
    unsigned char *der = NULL;
    int bytes = i2d_PUBKEY(key, &der);
    bool good = bytes > 0 && EVP_Digest(der, (size_t)bytes, ret->bytes, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_free(der);
    return good ? 0 : fh_pool_ssl_error(err, FH_E_INTERNAL, "SHA-256 of a key");
}

int fh_pool_request_key(fh_str request_pem, fh_link_digest *ret, fh_err **err)
{
    FH_AUTO(X509_REQ) X509_REQ *r = NULL;
    int rc = fh_pool_read_request(&r, request_pem, err);
    return rc ? rc : digest_public(X509_REQ_get0_pubkey(r), ret, err);
}

/* ---- writing ---- */

static int take_text(BIO *text, bool written, char out[FH_POOL_PEM], fh_err **err)
{
    char *data = NULL;
    long bytes = written ? BIO_get_mem_data(text, &data) : -1;
    if (bytes < 0 || bytes >= FH_POOL_PEM) return fh_pool_ssl_error(err, FH_E_NOMEM, "PEM text cannot be made");
    memcpy(out, data, (size_t)bytes);
    out[bytes] = '\0';
    return 0;
}

int fh_pool_write_key(EVP_PKEY *key, char out[FH_POOL_PEM], fh_err **err)
{
    FH_AUTO(BIO) BIO *text = BIO_new(BIO_s_secmem());
    return take_text(text, text && PEM_write_bio_PrivateKey(text, key, NULL, NULL, 0, NULL, NULL) == 1, out, err);
}

int fh_pool_write_certificate(X509 *c, char out[FH_POOL_PEM], fh_err **err)
{
    FH_AUTO(BIO) BIO *text = BIO_new(BIO_s_mem());
    return take_text(text, text && PEM_write_bio_X509(text, c) == 1, out, err);
}

/* ---- keys of this machine ---- */

int fh_pool_make_key(EVP_PKEY **ret, fh_err **err)
{
    *ret = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    return *ret ? 0 : fh_pool_ssl_error(err, FH_E_INTERNAL, "no Ed25519 key can be made");
}

static int hold(fh_pool_key **ret, EVP_PKEY *key, fh_err **err)
{
    fh_pool_key *k = fh_calloc(1, sizeof *k);
    if (!k) {
        EVP_PKEY_free(key);
        return fh_err_nomem(err);
    }
    k->key = key;
    *ret = k;
    return 0;
}

int fh_pool_key_new(fh_pool_key **ret, fh_err **err)
{
    EVP_PKEY *key = NULL;
    int rc = fh_pool_make_key(&key, err);
    return rc ? rc : hold(ret, key, err);
}

int fh_pool_key_read(fh_pool_key **ret, fh_str pem, fh_err **err)
{
    EVP_PKEY *key = NULL;
    int rc = fh_pool_read_key(&key, pem, err);
    return rc ? rc : hold(ret, key, err);
}

void fh_pool_key_free(fh_pool_key *k)
{
    if (!k) return;
    EVP_PKEY_free(k->key);
    fh_free(k);
}

int fh_pool_key_write(const fh_pool_key *k, char out[FH_POOL_PEM], fh_err **err)
{
    return fh_pool_write_key(k->key, out, err);
}

int fh_pool_key_digest(const fh_pool_key *k, fh_link_digest *ret, fh_err **err)
{
    return digest_public(k->key, ret, err);
}

int fh_pool_key_request(const fh_pool_key *k, char out[FH_POOL_PEM], fh_err **err)
{
    FH_AUTO(BIO) BIO *text = BIO_new(BIO_s_mem());
    FH_AUTO(X509_REQ) X509_REQ *r = X509_REQ_new();
    bool made = text && r && X509_REQ_set_version(r, X509_REQ_VERSION_1) == 1 && X509_REQ_set_pubkey(r, k->key) == 1;
    made = made && X509_REQ_sign(r, k->key, NULL) > 0 && PEM_write_bio_X509_REQ(text, r) == 1;
    return take_text(text, made, out, err);
}

int fh_pool_key_fits(const fh_pool_key *k, fh_str certificate_pem, fh_err **err)
{
    FH_AUTO(X509) X509 *c = NULL;
    int rc = fh_pool_read_certificate(&c, certificate_pem, err);
    if (rc || X509_check_private_key(c, k->key) == 1) return rc;
    return fh_pool_ssl_error(err, FH_E_CORRUPT, "the certificate is not that of the key");
}
