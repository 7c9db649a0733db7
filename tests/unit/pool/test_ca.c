/* The pool's authority: made once, whole or not at all; signs for who has the key, and nothing else of what is asked. */
#include "pool_private.h"

#include "base/clock.h"
#include "base/limits.h"
#include "sys/file.h"
#include "torture.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW (1790000000LL * FH_NS_PER_S)

static char folder[64], file[128];

static int fresh(void **state)
{
    strcpy(folder, "/tmp/fh-ca-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(file, sizeof file, "%s/authority.pem", folder);
    return 0;
}

static int clean(void **state)
{
    return fh_dir_remove(folder, NULL);
}

static fh_pool_ca *opened(bool expect_new)
{
    fh_pool_ca *ca = NULL;
    fh_err *err = NULL;
    bool is_new = !expect_new;
    if (fh_pool_ca_open(&ca, file, NOW, &is_new, &err)) fail_msg("%s", fh_err_message(err));
    assert_int_equal(is_new, expect_new);
    return ca;
}

static void the_authority_is_made_once_and_is_the_owners_alone(void **state)
{
    FH_AUTO(fh_pool_ca) fh_pool_ca *first = opened(true);
    FH_AUTO(fh_pool_ca) fh_pool_ca *second = opened(false);
    struct stat st;
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(fh_digest_is(fh_pool_ca_fingerprint(first), fh_pool_ca_fingerprint(second)));
    fh_link_digest shown;
    assert_int_equal(fh_link_digest_of_file(&shown, file, NULL), 0); /* what a node will see */
    assert_true(fh_digest_is(&shown, fh_pool_ca_fingerprint(first)));
    assert_null(strstr(fh_pool_ca_certificate(first), "PRIVATE"));
}

static void a_damaged_authority_is_refused_and_left_alone(void **state)
{
    FH_AUTO(fh_pool_ca) fh_pool_ca *ca = NULL;
    FH_AUTO(fh_err) fh_err *err = NULL;
    assert_int_equal(fh_file_write_atomic(file, "not a key", 9, 0600, NULL), 0);
    assert_int_equal(fh_pool_ca_open(&ca, file, NOW, NULL, &err), FH_E_CORRUPT);
    assert_non_null(strstr(fh_err_message(err), file));
    assert_non_null(fh_err_hint_get(err));
    FH_AUTO(buf) fh_buf text = FH_BUF(64);
    assert_int_equal(fh_file_read(file, 64, &text, NULL), 0);
    assert_string_equal(fh_buf_cstr(&text), "not a key");
}

static void request_of_new_key(char out[FH_POOL_PEM])
{
    FH_AUTO(fh_pool_key) fh_pool_key *key = NULL;
    assert_int_equal(fh_pool_key_new(&key, NULL), 0);
    assert_int_equal(fh_pool_key_request(key, out, NULL), 0);
}

static X509 *read_pem(const char *pem)
{
    X509 *c = NULL;
    assert_int_equal(fh_pool_read_certificate(&c, fh_str_of(pem), NULL), 0);
    return c;
}

/* As a TLS server judges it that trusts the authority, at that time. */
static bool is_trusted(const fh_pool_ca *ca, const char *pem, int64_t at_s)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    X509 *root = read_pem(fh_pool_ca_certificate(ca)), *c = read_pem(pem);
    X509_STORE_add_cert(store, root);
    X509_STORE_CTX_init(context, store, c, NULL);
    X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_CLIENT);
    X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(context), at_s);
    bool good = X509_verify_cert(context) == 1;
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    X509_free(root);
    X509_free(c);
    return good;
}

static void a_certificate_is_good_for_thirty_days_and_for_clocks_that_are_behind(void **state)
{
    FH_AUTO(fh_pool_ca) fh_pool_ca *ca = opened(true);
    char request[FH_POOL_PEM];
    fh_node_certificate made;
    int64_t now_s = NOW / FH_NS_PER_S, day = 86400;
    request_of_new_key(request);
    assert_int_equal(fh_pool_ca_sign(ca, fh_str_of(request), "7", NOW, &made, NULL), 0);
    assert_true(made.until_utc_ns == NOW + FH_LIMIT_NODE_CERT_DAYS * day * FH_NS_PER_S);
    assert_true(is_trusted(ca, made.pem, now_s) && is_trusted(ca, made.pem, now_s - day + 60) &&
                is_trusted(ca, made.pem, now_s + 29 * day));
    assert_false(is_trusted(ca, made.pem, now_s - day - 60));
    assert_false(is_trusted(ca, made.pem, now_s + 30 * day + 60));
    FH_AUTO(X509) X509 *c = read_pem(made.pem);
    char name[64];
    assert_true(X509_NAME_get_text_by_NID(X509_get_subject_name(c), NID_commonName, name, sizeof name) > 0);
    assert_string_equal(name, "7");
    assert_int_equal(X509_check_ca(c), 0);
}

static void another_authority_is_not_believed(void **state)
{
    FH_AUTO(fh_pool_ca) fh_pool_ca *ca = opened(true);
    char request[FH_POOL_PEM];
    fh_node_certificate made;
    unlink(file);
    FH_AUTO(fh_pool_ca) fh_pool_ca *other = opened(true);
    request_of_new_key(request);
    assert_int_equal(fh_pool_ca_sign(other, fh_str_of(request), "7", NOW, &made, NULL), 0);
    assert_false(is_trusted(ca, made.pem, NOW / FH_NS_PER_S));
}

/* A request of any key, signed by any other. */
static void request_of(EVP_PKEY *key, EVP_PKEY *signer, const EVP_MD *digest, char out[FH_POOL_PEM])
{
    X509_REQ *r = X509_REQ_new();
    BIO *text = BIO_new(BIO_s_mem());
    char *data;
    assert_int_equal(X509_REQ_set_pubkey(r, key), 1);
    assert_true(X509_REQ_sign(r, signer, digest) > 0);
    assert_int_equal(PEM_write_bio_X509_REQ(text, r), 1);
    long bytes = BIO_get_mem_data(text, &data);
    assert_true(bytes < FH_POOL_PEM);
    memcpy(out, data, (size_t)bytes);
    out[bytes] = '\0';
    BIO_free(text);
    X509_REQ_free(r);
}

static void assert_refused(const fh_pool_ca *ca, const char *request)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    fh_node_certificate made;
    fh_link_digest key;
    assert_int_equal(fh_pool_ca_sign(ca, fh_str_of(request), "7", NOW, &made, &err), FH_E_INVALID);
    assert_string_equal(fh_err_param_get(err), "csr");
    assert_int_equal(fh_pool_request_key(fh_str_of(request), &key, NULL), FH_E_INVALID);
}

static void requests_that_are_none_or_lie_are_refused(void **state)
{
    FH_AUTO(fh_pool_ca) fh_pool_ca *ca = opened(true);
    FH_AUTO(EVP_PKEY) EVP_PKEY *own = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    FH_AUTO(EVP_PKEY) EVP_PKEY *other = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    FH_AUTO(EVP_PKEY) EVP_PKEY *curve = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    char request[FH_POOL_PEM];
    static char huge[3 * FH_POOL_PEM];
    assert_refused(ca, "");
    assert_refused(ca, "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n");
    request_of(curve, curve, EVP_sha256(), request);
    assert_refused(ca, request);
    request_of(own, other, NULL, request); /* who asks does not have the key */
    assert_refused(ca, request);
    memset(huge, '\n', sizeof huge - 1);
    request_of(own, own, NULL, huge);
    huge[strlen(huge)] = '\n';
    assert_refused(ca, huge);
}

static void two_requests_of_a_key_name_the_same_key(void **state)
{
    FH_AUTO(fh_pool_key) fh_pool_key *key = NULL;
    char request[FH_POOL_PEM], pem[FH_POOL_PEM];
    fh_link_digest first, second;
    assert_int_equal(fh_pool_key_new(&key, NULL), 0);
    assert_int_equal(fh_pool_key_request(key, request, NULL), 0);
    assert_int_equal(fh_pool_request_key(fh_str_of(request), &first, NULL), 0);
    assert_int_equal(fh_pool_key_write(key, pem, NULL), 0);
    FH_AUTO(fh_pool_key) fh_pool_key *again = NULL;
    assert_int_equal(fh_pool_key_read(&again, fh_str_of(pem), NULL), 0);
    assert_int_equal(fh_pool_key_request(again, request, NULL), 0);
    assert_int_equal(fh_pool_request_key(fh_str_of(request), &second, NULL), 0);
    assert_true(fh_digest_is(&first, &second));
    request_of_new_key(request);
    assert_int_equal(fh_pool_request_key(fh_str_of(request), &second, NULL), 0);
    assert_false(fh_digest_is(&first, &second));
}

/* What lies there after a failure is nothing, or all of it. */
static int make_and_sign(void *arg)
{
    char *request = arg, text[2 * FH_POOL_PEM] = "";
    FH_AUTO(fh_pool_ca) fh_pool_ca *ca = NULL;
    FH_AUTO(fh_err) fh_err *err = NULL;
    fh_node_certificate made;
    unlink(file);
    int rc = fh_pool_ca_open(&ca, file, NOW, NULL, &err);
    if (!rc) rc = fh_pool_ca_sign(ca, fh_str_of(request), "1", NOW, &made, &err);
    FILE *f = fopen(file, "r");
    if (!f) return rc;
    assert_true(fread(text, 1, sizeof text - 1, f) > 0);
    assert_non_null(strstr(text, "END CERTIFICATE"));
    fclose(f);
    return rc;
}

static void whatever_call_fails_the_authority_is_whole_or_absent(void **state)
{
    static const fh_fault kinds[] = {FH_FAULT_ALLOC, FH_FAULT_OPEN, FH_FAULT_READ, FH_FAULT_WRITE, FH_FAULT_FSYNC, FH_FAULT_RENAME};
    char request[FH_POOL_PEM];
    unsigned struck = 0;
    request_of_new_key(request);
    for (size_t i = 0; i < FH_COUNT(kinds); i++) struck += fh_torture(kinds[i], make_and_sign, request, 200);
    assert_true(struck >= 8);
    fh_pool_ca_close(opened(false));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_authority_is_made_once_and_is_the_owners_alone),
        TEST(a_damaged_authority_is_refused_and_left_alone),
        TEST(a_certificate_is_good_for_thirty_days_and_for_clocks_that_are_behind),
        TEST(another_authority_is_not_believed),
        TEST(requests_that_are_none_or_lie_are_refused),
        TEST(two_requests_of_a_key_name_the_same_key),
        TEST(whatever_call_fails_the_authority_is_whole_or_absent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
