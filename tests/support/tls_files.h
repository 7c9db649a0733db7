/* Certificates that sign themselves, made on the spot: PEM files in a folder of the test's own. */
#ifndef FH_TEST_TLS_FILES_H
#define FH_TEST_TLS_FILES_H

#include "cmocka_all.h"
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct tls_files {
    char folder[64], cert[96], key[96];
} tls_files;

static inline void tls_files_write(const tls_files *f, long serial)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), serial);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
    X509_add_ext(x, names, -1);
    X509_EXTENSION_free(names);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    FILE *out = fopen(f->cert, "w");
    PEM_write_X509(out, x);
    fclose(out);
    out = fopen(f->key, "w");
    PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL);
    fclose(out);
    X509_free(x);
    EVP_PKEY_free(key);
}

static inline void tls_files_make(tls_files *f)
{
    snprintf(f->folder, sizeof f->folder, "/tmp/fh-tls-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->cert, sizeof f->cert, "%s/cert.pem", f->folder);
    snprintf(f->key, sizeof f->key, "%s/key.pem", f->folder);
    tls_files_write(f, 1);
}

static inline void tls_files_remove(const tls_files *f)
{
    unlink(f->cert);
    unlink(f->key);
    rmdir(f->folder);
}

#endif
