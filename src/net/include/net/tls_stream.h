/* TLS of one connection on a non-blocking socket (OpenSSL), for servers and dialling ends that set their own rules in an SSL_CTX. In the
 * manner of recv and send: bytes, 0 at the end, -1 with errno (EPROTO: it is no TLS, or an end does not accept the other; EPROTOTYPE: the
 * client speaks plain HTTP). EAGAIN of any of them may be over once the socket is readable or writable: whoever watches edges tries both
 * at each. The context wants SSL_MODE_ENABLE_PARTIAL_WRITE and SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER. Threads: one at a time. */
#ifndef FH_NET_TLS_STREAM_H
#define FH_NET_TLS_STREAM_H

#include "base/err.h"
#include <stdbool.h>
#include <sys/types.h>

struct ssl_ctx_st;
struct ssl_st;
typedef struct fh_tls_stream fh_tls_stream;

/* PEM files into a context: a certificate with its chain, and a key without passphrase that fits it. FH_E_INVALID. */
int fh_tls_files_load(struct ssl_ctx_st *c, const char *cert_file, const char *key_file, fh_err **err);

/* fd is borrowed. NULL when memory is out. */
fh_tls_stream *fh_tls_stream_of(struct ssl_ctx_st *context, int fd, bool dials);
void fh_tls_stream_free(fh_tls_stream *t);
struct ssl_st *fh_tls_stream_ssl(fh_tls_stream *t); /* for who the other end is; borrowed */

ssize_t fh_tls_shake(fh_tls_stream *t); /* 1: the handshake is over; recv and send do it too */
ssize_t fh_tls_recv(fh_tls_stream *t, void *out, size_t size);
ssize_t fh_tls_send(fh_tls_stream *t, const void *data, size_t bytes);
void fh_tls_goodbye(fh_tls_stream *t);                     /* says that nothing more comes */
unsigned long fh_tls_stream_fault(const fh_tls_stream *t); /* what OpenSSL said when EPROTO came; 0: nothing */

#endif
