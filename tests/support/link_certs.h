/* Certificates for links: a server's own, a CA with the nodes' that it signed (one good, one expired), and one of a foreign CA. */
#ifndef FH_TEST_LINK_CERTS_H
#define FH_TEST_LINK_CERTS_H

#include "tls_files.h"

typedef struct link_certs {
    tls_files server, other; /* sign themselves; the second is not the one that is pinned */
    char folder[64], ca[96], node[96], node_key[96], old[96], foreign[96];
} link_certs;

static inline void link_certs_save(const char *path, X509 *x, EVP_PKEY *key)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    if (x) PEM_write_X509(out, x);
    if (key) PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL);
    fclose(out);
}

static inline X509 *link_certs_make(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, long until_s)
{
    static long serial = 100;
    X509 *x = X509_new();
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
    X509_gmtime_adj(X509_getm_notBefore(x), -7200);
    X509_gmtime_adj(X509_getm_notAfter(x), until_s);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(issuer ? issuer : x));
    X509_EXTENSION *ca = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, issuer ? "critical,CA:FALSE" : "critical,CA:TRUE");
    X509_add_ext(x, ca, -1);
    X509_EXTENSION_free(ca);
    assert_true(X509_sign(x, issuer_key, EVP_sha256()) > 0);
    return x;
}

/* A node's certificate under a CA of that name; writes the CA too where ca_path is given. */
static inline void link_certs_family(const link_certs *c, EVP_PKEY *node_key, const char *ca_name, const char *ca_path, const char *good,
                                     const char *old)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *ca = link_certs_make(ca_name, key, NULL, key, 3600);
    X509 *x = link_certs_make("node-7", node_key, ca, key, 3600);
    if (ca_path) link_certs_save(ca_path, ca, NULL);
    link_certs_save(good, x, NULL);
    X509_free(x);
    if (old) {
        x = link_certs_make("node-7", node_key, ca, key, -3600);
        link_certs_save(old, x, NULL);
        X509_free(x);
    }
    X509_free(ca);
    EVP_PKEY_free(key);
}

static inline void link_certs_new(link_certs *c)
{
    tls_files_make(&c->server);
    tls_files_make(&c->other);
    snprintf(c->folder, sizeof c->folder, "/tmp/fh-link-XXXXXX");
    assert_non_null(mkdtemp(c->folder));
    snprintf(c->ca, sizeof c->ca, "%s/ca.pem", c->folder);
    snprintf(c->node, sizeof c->node, "%s/node.pem", c->folder);
    snprintf(c->node_key, sizeof c->node_key, "%s/node.key", c->folder);
    snprintf(c->old, sizeof c->old, "%s/old.pem", c->folder);
    snprintf(c->foreign, sizeof c->foreign, "%s/foreign.pem", c->folder);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    link_certs_save(c->node_key, NULL, key);
    link_certs_family(c, key, "pool", c->ca, c->node, c->old);
    link_certs_family(c, key, "another pool", NULL, c->foreign, NULL);
    EVP_PKEY_free(key);
}

static inline void link_certs_remove(const link_certs *c)
{
    const char *files[] = {c->ca, c->node, c->node_key, c->old, c->foreign};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) unlink(files[i]);
    rmdir(c->folder);
    tls_files_remove(&c->server);
    tls_files_remove(&c->other);
}

#endif
