/* Certificates of both ends: TLS 1.3 alone, no tickets (each link is a full handshake, so that a certificate is looked at each time), and
 * ALPN "h2". The accepting end asks for a certificate and checks it against its CA; the dialling end takes what is pinned. */
#include "private.h"

#include "base/str.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const unsigned char PROTOCOL[] = "\x02h2";

static const char *reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    return text ? text : "OpenSSL does not say why";
}

/* ---- contexts ---- */

static SSL_CTX *context_new(const SSL_METHOD *method, fh_err **err)
{
    SSL_CTX *c = SSL_CTX_new(method);
    if (!c) {
        fh_err_nomem(err);
        return NULL;
    }
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_PRIORITIZE_CHACHA |
                               SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(c, 1);
    SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION);
    return c;
}

static int choose_protocol(SSL *ssl, const unsigned char **ret, unsigned char *ret_len, const unsigned char *offered, unsigned len,
                           void *arg)
{
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, ret_len, PROTOCOL, sizeof PROTOCOL - 1, offered, len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int load_ca(SSL_CTX *c, const char *ca_file, fh_err **err)
{
    if (SSL_CTX_load_verify_file(c, ca_file) == 1) return 0;
    fh_err_set(err, FH_E_INVALID, "%s holds no certificate in PEM form that may vouch for others: %s", ca_file, reason());
    ERR_clear_error();
    return FH_E_INVALID;
}

SSL_CTX *fh_link_context_accepting(const char *cert_file, const char *key_file, const char *ca_file, fh_err **err)
{
    SSL_CTX *c = context_new(TLS_server_method(), err);
    if (!c) return NULL;
    SSL_CTX_set_num_tickets(c, 0);
    SSL_CTX_set_alpn_select_cb(c, choose_protocol, NULL);
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
    int rc = fh_tls_files_load(c, cert_file, key_file, err);
    if (rc == 0 && ca_file) rc = load_ca(c, ca_file, err);
    if (rc == 0) return c;
    SSL_CTX_free(c);
    return NULL;
}

SSL_CTX *fh_link_context_dialling(const char *cert_file, const char *key_file, int (*judge)(X509_STORE_CTX *store, void *arg), void *arg,
                                  fh_err **err)
{
    SSL_CTX *c = context_new(TLS_client_method(), err);
    if (!c) return NULL;
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(c, judge, arg);
    int rc = SSL_CTX_set_alpn_protos(c, PROTOCOL, sizeof PROTOCOL - 1) == 0 ? 0 : fh_err_nomem(err);
    if (rc == 0 && cert_file) rc = fh_tls_files_load(c, cert_file, key_file, err);
    if (rc == 0) return c;
    SSL_CTX_free(c);
    return NULL;
}

/* ---- digests ---- */

bool fh_link_digest_of(const X509 *x, fh_link_digest *ret)
{
    unsigned len = sizeof ret->bytes;
    return X509_digest(x, EVP_sha256(), ret->bytes, &len) == 1;
}

static bool digest_of_key(const X509 *x, fh_link_digest *ret)
{
    unsigned char *der = NULL;
    unsigned len = sizeof ret->bytes;
    int bytes = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
    bool ok = bytes > 0 && EVP_Digest(der, (size_t)bytes, ret->bytes, &len, EVP_sha256(), NULL) == 1;
    OPENSSL_free(der);
    return ok;
}

int fh_link_digest_of_file(fh_link_digest *ret, const char *cert_file, fh_err **err)
{
    FILE *f = fopen(cert_file, "re");
    if (!f) return fh_err_errno(err, FH_E_INVALID, errno, "cannot read the certificate %s", cert_file);
    X509 *x = PEM_read_X509(f, NULL, NULL, NULL);
    fclose(f);
    fh_link_digest digest;
    bool ok = x && fh_link_digest_of(x, &digest);
    X509_free(x);
    if (ok)
        *ret = digest;
    else
        fh_err_set(err, FH_E_INVALID, "%s holds no certificate in PEM form: %s", cert_file, reason());
    ERR_clear_error();
    return ok ? 0 : FH_E_INVALID;
}

bool fh_link_digest_parse(fh_str hex, fh_link_digest *ret)
{
    return hex.len == 2 * sizeof ret->bytes && fh_hex_decode(hex, ret->bytes, sizeof ret->bytes);
}

void fh_link_digest_write(const fh_link_digest *d, char out[FH_LINK_DIGEST_TEXT])
{
    fh_hex_encode(d->bytes, sizeof d->bytes, out, FH_LINK_DIGEST_TEXT);
}

/* ---- who it is ---- */

/* Only what can be printed anywhere is a name; a subject with several of them has none. */
static void read_name(const X509 *x, char *out, size_t size)
{
    const X509_NAME *subject = X509_get_subject_name(x);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) return;
    const ASN1_STRING *s = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    const unsigned char *text = ASN1_STRING_get0_data(s);
    size_t len = (size_t)ASN1_STRING_length(s);
    if (len >= size) return;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < 0x20 || text[i] > 0x7e) return;
    }
    memcpy(out, text, len);
    out[len] = 0;
}

static void read_address(int fd, char *out, size_t size)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } a = {0};
    char host[INET6_ADDRSTRLEN] = "";
    socklen_t len = sizeof a;
    if (getpeername(fd, &a.any, &len) != 0) return;
    bool six = a.any.sa_family == AF_INET6, four = !six || IN6_IS_ADDR_V4MAPPED(&a.v6.sin6_addr);
    const uint8_t *bytes = six ? a.v6.sin6_addr.s6_addr : (const uint8_t *)&a.v4.sin_addr;
    inet_ntop(four ? AF_INET : AF_INET6, six && four ? bytes + 12 : bytes, host, sizeof host);
    snprintf(out, size, four ? "%s:%d" : "[%s]:%d", host, ntohs(six ? a.v6.sin6_port : a.v4.sin_port));
}

void fh_link_peer_read(fh_link *l)
{
    fh_link_peer *p = &l->peer;
    const X509 *x = SSL_get0_peer_certificate(fh_tls_stream_ssl(l->tls));
    struct tm until = {0};
    read_address(l->fd, p->address, sizeof p->address);
    if (!x || !fh_link_digest_of(x, &p->cert) || !digest_of_key(x, &p->key)) return;
    p->certified = true; /* else the handshake would have failed */
    read_name(x, p->name, sizeof p->name);
    if (ASN1_TIME_to_tm(X509_get0_notAfter(x), &until) == 1) p->expires_s = timegm(&until);
}

/* ---- what went wrong ---- */

int fh_link_tls_fault(const fh_link *l, int error, const char **ret_why)
{
    unsigned long fault = error == EPROTO ? fh_tls_stream_fault(l->tls) : 0;
    *ret_why = fault ? ERR_reason_error_string(fault) : NULL;
    if (!*ret_why) *ret_why = error == EPROTO || error == EPROTOTYPE ? "it speaks no TLS" : strerror(error);
    switch (fault ? ERR_GET_REASON(fault) : 0) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
    case SSL_R_TLSV1_ALERT_DECRYPT_ERROR: return FH_E_FORBIDDEN;
    default: return FH_E_UNAVAILABLE;
    }
}
