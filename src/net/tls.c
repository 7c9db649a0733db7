/* TLS of the server: the certificate, and the stream of one connection in the manner of recv and send.
 *
 * What holds: OpenSSL never touches a socket itself; its BIO calls recv and send with the flags that the rest of net uses, so that a peer
 * that has gone is an error and no signal. Tickets are stateless: nothing is kept per session, and a new certificate has new ticket keys.
 * No renegotiation, no compression, no early data. */
#include "private.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <unistd.h>

struct fh_tls {
    SSL_CTX *context;
};

struct fh_tls_stream {
    SSL *ssl;
    int fd;
};

/* The certificate. */

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
    SSL_CTX_set_default_passwd_cb(c, no_passphrase);
    SSL_CTX_set_alpn_select_cb(c, choose_protocol, NULL);
    return SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) == 1 && SSL_CTX_set_cipher_list(c, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1;
}

static int load_files(SSL_CTX *c, const char *cert_file, const char *key_file, fh_err **err)
{
    ERR_clear_error();
    if (access(cert_file, R_OK) != 0) return fh_err_errno(err, FH_E_INVALID, errno, "cannot read the certificate %s", cert_file);
    if (SSL_CTX_use_certificate_chain_file(c, cert_file) != 1)
        return fh_err_set(err, FH_E_INVALID, "%s holds no certificate in PEM form: %s", cert_file, reason());
    if (access(key_file, R_OK) != 0) return fh_err_errno(err, FH_E_INVALID, errno, "cannot read the key %s", key_file);
    if (SSL_CTX_use_PrivateKey_file(c, key_file, SSL_FILETYPE_PEM) == 1) return 0;
    fh_err_set(err, FH_E_INVALID, "the key %s cannot be used with the certificate %s: %s", key_file, cert_file, reason());
    fh_err_hint(err, "it must be the certificate's own key, in PEM form, without a passphrase");
    return FH_E_INVALID;
}

int fh_tls_new(fh_tls **ret, const char *cert_file, const char *key_file, fh_err **err)
{
    FH_AUTO(fh_tls) fh_tls *t = fh_calloc(1, sizeof *t);
    if (!t) return fh_err_nomem(err);
    t->context = SSL_CTX_new(TLS_server_method());
    if (!t->context) return fh_err_nomem(err);
    if (!set_rules(t->context)) return fh_err_set(err, FH_E_INTERNAL, "OpenSSL does not take our rules for TLS: %s", reason());
    int rc = load_files(t->context, cert_file, key_file, err);
    ERR_clear_error();
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

/* Bytes to and from the socket. */

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static int after_io(BIO *bio, ssize_t n, int retry)
{
    BIO_clear_retry_flags(bio);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
    return (int)n;
}

static int bio_read(BIO *bio, char *out, int size)
{
    const fh_tls_stream *t = BIO_get_data(bio);
    return after_io(bio, recv(t->fd, out, (size_t)size, 0), BIO_FLAGS_READ);
}

static int bio_write(BIO *bio, const char *data, int size)
{
    const fh_tls_stream *t = BIO_get_data(bio);
    return after_io(bio, send(t->fd, data, (size_t)size, MSG_NOSIGNAL), BIO_FLAGS_WRITE);
}

static long bio_control(BIO *bio, int what, long number, void *pointer)
{
    return what == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *method;

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "freehold socket");
    if (!method) return;
    BIO_meth_set_create(method, bio_create);
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_control);
}

/* The stream. */

fh_tls_stream *fh_tls_stream_new(fh_tls *tls, int fd)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_method);
    fh_tls_stream *t = fh_calloc(1, sizeof *t);
    BIO *bio = t && method ? BIO_new(method) : NULL;
    if (bio) t->ssl = SSL_new(tls->context);
    if (!bio || !t->ssl) {
        BIO_free(bio);
        fh_free(t);
        return NULL;
    }
    t->fd = fd;
    BIO_set_data(bio, t);
    SSL_set_bio(t->ssl, bio, bio); /* takes it */
    SSL_set_accept_state(t->ssl);
    return t;
}

void fh_tls_stream_free(fh_tls_stream *t)
{
    if (!t) return;
    SSL_free(t->ssl);
    fh_free(t);
}

/* What recv or send would have said. */
static ssize_t outcome(fh_tls_stream *t, int n)
{
    if (n > 0) return n;
    int what = SSL_get_error(t->ssl, n), socket_error = errno;
    bool plain = what == SSL_ERROR_SSL && ERR_GET_REASON(ERR_peek_error()) == SSL_R_HTTP_REQUEST;
    ERR_clear_error();
    if (what == SSL_ERROR_ZERO_RETURN) return 0;
    if (what == SSL_ERROR_WANT_READ || what == SSL_ERROR_WANT_WRITE)
        errno = EAGAIN;
    else if (plain)
        errno = EPROTOTYPE;
    else
        errno = what == SSL_ERROR_SYSCALL && socket_error && socket_error != EAGAIN ? socket_error : EPROTO;
    return -1;
}

ssize_t fh_tls_recv(fh_tls_stream *t, void *out, size_t size)
{
    errno = 0;
    return outcome(t, SSL_read(t->ssl, out, (int)FH_MIN(size, (size_t)1 << 20)));
}

ssize_t fh_tls_send(fh_tls_stream *t, const void *data, size_t bytes)
{
    errno = 0;
    return outcome(t, SSL_write(t->ssl, data, (int)FH_MIN(bytes, (size_t)1 << 20)));
}

void fh_tls_goodbye(fh_tls_stream *t)
{
    if (SSL_is_init_finished(t->ssl)) SSL_shutdown(t->ssl);
    ERR_clear_error();
}
