/* TLS of the server: the certificate.
 *
 * What holds: tickets are stateless: nothing is kept per session, and a new certificate has new ticket keys. No renegotiation, no
 * compression, no early data. */
#include "private.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <unistd.h>

struct fh_tls {
    SSL_CTX *context;
};

/* The last thing that OpenSSL complained about, in its words. */
static const char *reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    return text ? text : "OpenSSL does not say why";
}

static int no_passphrase(char *out, int size, int writing, void *arg)
{
    return 0;
}

/* HTTP/1.1 is all that is spoken; a client that wants something else is told so by the alert. */
static int choose_protocol(SSL *ssl, const unsigned char **ret, unsigned char *ret_len, const unsigned char *offered, unsigned len,
                           void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, ret_len, ours, sizeof ours - 1, offered, len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static bool set_rules(SSL_CTX *c)
{
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(c, choose_protocol, NULL);
    return SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) == 1 && SSL_CTX_set_cipher_list(c, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1;
}

static int load_files(SSL_CTX *c, const char *cert_file, const char *key_file, fh_err **err)
{
    SSL_CTX_set_default_passwd_cb(c, no_passphrase);
    if (access(cert_file, R_OK) != 0) return fh_err_errno(err, FH_E_INVALID, errno, "cannot read the certificate %s", cert_file);
    if (SSL_CTX_use_certificate_chain_file(c, cert_file) != 1)
        return fh_err_set(err, FH_E_INVALID, "%s holds no certificate in PEM form: %s", cert_file, reason());
    if (access(key_file, R_OK) != 0) return fh_err_errno(err, FH_E_INVALID, errno, "cannot read the key %s", key_file);
    if (SSL_CTX_use_PrivateKey_file(c, key_file, SSL_FILETYPE_PEM) == 1) return 0;
    fh_err_set(err, FH_E_INVALID, "the key %s cannot be used with the certificate %s: %s", key_file, cert_file, reason());
    fh_err_hint(err, "it must be the certificate's own key, in PEM form, without a passphrase");
    return FH_E_INVALID;
}

int fh_tls_files_load(SSL_CTX *c, const char *cert_file, const char *key_file, fh_err **err)
{
    ERR_clear_error();
    int rc = load_files(c, cert_file, key_file, err);
    ERR_clear_error();
    return rc;
}

int fh_tls_new(fh_tls **ret, const char *cert_file, const char *key_file, fh_err **err)
{
    FH_AUTO(fh_tls) fh_tls *t = fh_calloc(1, sizeof *t);
    if (!t) return fh_err_nomem(err);
    t->context = SSL_CTX_new(TLS_server_method());
    if (!t->context) return fh_err_nomem(err);
    if (!set_rules(t->context)) return fh_err_set(err, FH_E_INTERNAL, "OpenSSL does not take our rules for TLS: %s", reason());
    int rc = fh_tls_files_load(t->context, cert_file, key_file, err);
    if (rc < 0) return rc;
    *ret = fh_take(t);
    return 0;
}

void fh_tls_free(fh_tls *t)
{
    if (!t) return;
    SSL_CTX_free(t->context);
    fh_free(t);
}

fh_tls *fh_tls_share(fh_tls *t)
{
    fh_tls *other = fh_calloc(1, sizeof *other);
    if (!other) return NULL;
    SSL_CTX_up_ref(t->context);
    other->context = t->context;
    return other;
}

fh_tls_stream *fh_tls_stream_new(fh_tls *tls, int fd)
{
    return fh_tls_stream_of(tls->context, fd, false);
}
