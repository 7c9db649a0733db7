/* The pool's authority (see pool/ca.h). */
#include "base/clock.h"
#include "base/limits.h"
#include "net/secret.h"
#include "pool_private.h"
#include "sys/file.h"

#include <openssl/x509v3.h>
#include <stdio.h>

struct fh_pool_ca {
    EVP_PKEY *key;
    X509 *certificate;
    char pem[FH_POOL_PEM];
    fh_link_digest fingerprint;
};

enum { SERIAL = 16 };
#define DAY_S  86400LL
#define SKEW_S (FH_LIMIT_POOL_SKEW_MS / 1000)

void fh_pool_ca_close(fh_pool_ca *ca)
{
    if (!ca) return;
    EVP_PKEY_free(ca->key);
    X509_free(ca->certificate);
    fh_free(ca);
}

/* ---- certificates ---- */

static bool set_serial(X509 *c)
{
    unsigned char bytes[SERIAL];
    if (fh_random_bytes(bytes, sizeof bytes, NULL)) return false;
    bytes[0] = (bytes[0] & 0x7f) | 0x40; /* positive, and never shorter */
    BIGNUM *n = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool set = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(c));
    BN_free(n);
    return set;
}

static bool set_times(X509 *c, int64_t now_utc_ns, int64_t days, int64_t *ret_until_utc_ns)
{
    int64_t now_s = now_utc_ns / FH_NS_PER_S, until_s = now_s + days * DAY_S;
    *ret_until_utc_ns = until_s * FH_NS_PER_S;
    return ASN1_TIME_set(X509_getm_notBefore(c), now_s - SKEW_S) && ASN1_TIME_set(X509_getm_notAfter(c), until_s);
}

static bool add_extension(X509 *c, X509 *issuer, int what, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, c, NULL, NULL, 0);
    X509_EXTENSION *x = X509V3_EXT_conf_nid(NULL, &context, what, value);
    bool added = x && X509_add_ext(c, x, -1) == 1;
    X509_EXTENSION_free(x);
    return added;
}

typedef struct plan {                                 /* of a certificate */
    const char *name, *constraints, *usage, *purpose; /* the last NULL: any */
    int64_t days;
} plan;

static bool fill(X509 *c, X509 *issuer, EVP_PKEY *key, const plan *p, int64_t now_utc_ns, int64_t *ret_until_utc_ns)
{
    X509_NAME *name = X509_get_subject_name(c);
    bool good = X509_set_version(c, X509_VERSION_3) == 1 && set_serial(c) && set_times(c, now_utc_ns, p->days, ret_until_utc_ns);
    good = good && X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)p->name, -1, -1, 0) == 1;
    good = good && X509_set_issuer_name(c, X509_get_subject_name(issuer)) == 1 && X509_set_pubkey(c, key) == 1;
    good = good && add_extension(c, issuer, NID_basic_constraints, p->constraints) && add_extension(c, issuer, NID_key_usage, p->usage);
    good = good && (!p->purpose || add_extension(c, issuer, NID_ext_key_usage, p->purpose));
    return good && add_extension(c, issuer, NID_subject_key_identifier, "hash") &&
           add_extension(c, issuer, NID_authority_key_identifier, "keyid:always");
}

/* issuer NULL: it vouches for itself. */
static int make(X509 **ret, X509 *issuer, EVP_PKEY *key, EVP_PKEY *signer, const plan *p, int64_t now_utc_ns, int64_t *ret_until_utc_ns,
                fh_err **err)
{
    FH_AUTO(X509) X509 *c = X509_new();
    if (!c || !fill(c, issuer ? issuer : c, key, p, now_utc_ns, ret_until_utc_ns) || X509_sign(c, signer, NULL) <= 0)
        return fh_pool_ssl_error(err, FH_E_INTERNAL, "a certificate cannot be made");
    *ret = fh_take(c);
    return 0;
}

/* ---- the file ---- */

static int create(const char *file, int64_t now_utc_ns, fh_err **err)
{
    static const plan own = {"freehold pool", "critical,CA:TRUE,pathlen:0", "critical,digitalSignature,keyCertSign", NULL,
                             FH_LIMIT_POOL_CA_DAYS};
    FH_AUTO(EVP_PKEY) EVP_PKEY *key = NULL;
    FH_AUTO(X509) X509 *c = NULL;
    char text[2 * FH_POOL_PEM];
    int64_t until;
    int rc = fh_pool_make_key(&key, err);
    if (!rc) rc = make(&c, NULL, key, key, &own, now_utc_ns, &until, err);
    if (!rc) rc = fh_pool_write_key(key, text, err);
    if (!rc) rc = fh_pool_write_certificate(c, text + strlen(text), err);
    if (!rc) rc = fh_file_write_atomic(file, text, strlen(text), 0600, err);
    explicit_bzero(text, sizeof text);
    return rc;
}

/* A key, and its certificate behind it. */
static int read_text(fh_pool_ca *ca, fh_str text, fh_err **err)
{
    size_t at = fh_str_find(text, FH_STR("-----BEGIN CERTIFICATE"));
    int rc = fh_pool_read_key(&ca->key, (fh_str){text.ptr, at}, err);
    if (!rc) rc = fh_pool_read_certificate(&ca->certificate, (fh_str){text.ptr + at, text.len - at}, err);
    if (!rc && X509_check_private_key(ca->certificate, ca->key) != 1)
        rc = fh_pool_ssl_error(err, FH_E_CORRUPT, "the certificate is not that of the key");
    if (!rc) rc = fh_pool_write_certificate(ca->certificate, ca->pem, err);
    return rc ? rc : fh_pool_digest_certificate(ca->certificate, &ca->fingerprint, err);
}

static int load(fh_pool_ca *ca, const char *file, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(2 * FH_POOL_PEM);
    int rc = fh_file_read(file, 2 * FH_POOL_PEM - 1, &text, err);
    if (rc) return fh_err_about(err, file);
    rc = read_text(ca, (fh_str){fh_buf_cstr(&text), text.len}, err);
    if (text.data) explicit_bzero(text.data, text.len);
    if (!rc) return 0;
    fh_err_add(err, "the pool's authority in %s", file);
    fh_err_hint(err, "restore it from a backup; without one move it away: a new one is made, and every machine has to join again");
    return rc;
}

int fh_pool_ca_open(fh_pool_ca **ret, const char *file, int64_t now_utc_ns, bool *ret_new, fh_err **err)
{
    bool fresh = !fh_file_exists(file);
    int rc = fresh ? create(file, now_utc_ns, err) : 0;
    if (rc) return fh_err_add(err, "the pool's authority cannot be made");
    FH_AUTO(fh_pool_ca) fh_pool_ca *ca = fh_calloc(1, sizeof *ca);
    if (!ca) return fh_err_nomem(err);
    rc = load(ca, file, err);
    if (rc) return rc;
    *ret = fh_take(ca);
    if (ret_new) *ret_new = fresh;
    return 0;
}

const char *fh_pool_ca_certificate(const fh_pool_ca *ca)
{
    return ca->pem;
}

const fh_link_digest *fh_pool_ca_fingerprint(const fh_pool_ca *ca)
{
    return &ca->fingerprint;
}

/* ---- signing ---- */

int fh_pool_ca_sign(const fh_pool_ca *ca, fh_str request_pem, const char *node, int64_t now_utc_ns, fh_node_certificate *ret, fh_err **err)
{
    const plan p = {node, "critical,CA:FALSE", "critical,digitalSignature", "clientAuth", FH_LIMIT_NODE_CERT_DAYS};
    FH_AUTO(X509_REQ) X509_REQ *r = NULL;
    FH_AUTO(X509) X509 *c = NULL;
    fh_node_certificate made = {.until_utc_ns = 0};
    int rc = fh_pool_read_request(&r, request_pem, err);
    if (!rc) rc = make(&c, ca->certificate, X509_REQ_get0_pubkey(r), ca->key, &p, now_utc_ns, &made.until_utc_ns, err);
    if (!rc) rc = fh_pool_write_certificate(c, made.pem, err);
    if (!rc) rc = fh_pool_digest_certificate(c, &made.fingerprint, err);
    if (!rc) *ret = made;
    return rc;
}
