/* TLS of one connection, in the manner of recv and send (see tls_stream.h).
 *
 * What holds: OpenSSL never touches a socket itself; its BIO calls recv and send with the flags that the rest of net uses, so that a peer
 * that has gone is an error and no signal. */
#include "net/tls_stream.h"

#include "base/mem.h"
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <sys/socket.h>

struct fh_tls_stream {
    SSL *ssl;
    int fd;
    unsigned long fault;
};

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

fh_tls_stream *fh_tls_stream_of(SSL_CTX *context, int fd, bool dials)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_method);
    fh_tls_stream *t = fh_calloc(1, sizeof *t);
    BIO *bio = t && method ? BIO_new(method) : NULL;
    if (bio) t->ssl = SSL_new(context);
    if (!bio || !t->ssl) {
        BIO_free(bio);
        fh_free(t);
        return NULL;
    }
    t->fd = fd;
    BIO_set_data(bio, t);
    SSL_set_bio(t->ssl, bio, bio); /* takes it */
    if (dials)
        SSL_set_connect_state(t->ssl);
    else
        SSL_set_accept_state(t->ssl);
    return t;
}

SSL *fh_tls_stream_ssl(fh_tls_stream *t)
{
    return t->ssl;
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
    if (what == SSL_ERROR_SSL) t->fault = ERR_peek_error();
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

ssize_t fh_tls_shake(fh_tls_stream *t)
{
    errno = 0;
    return outcome(t, SSL_do_handshake(t->ssl));
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

unsigned long fh_tls_stream_fault(const fh_tls_stream *t)
{
    return t->fault;
}
