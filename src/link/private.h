/* What the files of link/ share: a link (session.c, life.c), its streams (stream.c), and the kinds of them (ask.c, request.c, tunnel.c).
 *
 * What holds: libnghttp2's callbacks only note down what came; they call nobody's code but fh_link_ask_spec.read. All else is done from
 * the loop by fh_link_run, in this order: hear (bytes in), streams that have something to do, say (bytes out), and the end, if there is a
 * reason for one. Only the last frees a link. Functions that others call mark and kick. */
#ifndef FH_LINK_PRIVATE_H
#define FH_LINK_PRIVATE_H

#include "base/buf.h"
#include "base/limits.h"
#include "link/link.h"
#include "net/tls_stream.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>

typedef struct fh_link_stream fh_link_stream;

/* Bytes that wait, taken from the front. */
typedef struct fh_link_bytes {
    fh_buf buf;
    size_t at;
} fh_link_bytes;
static inline size_t fh_link_bytes_len(const fh_link_bytes *b)
{
    return b->buf.len - b->at;
}
void fh_link_bytes_drop(fh_link_bytes *b, size_t n); /* gives the memory back with the last of them */

/* The lines of a message's head, as they come. */
typedef struct fh_link_head {
    fh_buf text; /* "name\0value\0..." */
    size_t count;
    fh_header list[FH_LIMIT_LINK_HEADERS]; /* once the head is whole */
    int status;                            /* of a reply */
    fh_str method, path, authority;        /* of a request; in text */
} fh_link_head;

/* What a stream does with what comes, and where it has from what goes. */
typedef struct fh_link_kind {
    void (*head)(fh_link_stream *s);                                           /* the head is whole */
    ssize_t (*take)(fh_link_stream *s, const char *data, size_t bytes);        /* how many it took; -1: s->err says why, reset it */
    void (*ended)(fh_link_stream *s);                                          /* the other end's last byte was taken */
    void (*woken)(fh_link_stream *s);                                          /* fh_link_stream_todo was called; may be NULL */
    ssize_t (*read)(fh_link_stream *s, void *out, size_t size, bool *ret_end); /* 0: none now; -1: s->err says why, reset it */
    void (*closed)(fh_link_stream *s, const fh_err *why); /* last: nothing more goes or comes; why NULL: both ends said all. Frees */
    bool outlives;                                        /* what came before the close is still taken */
} fh_link_kind;

struct fh_link_stream {
    fh_link *link;
    fh_link_stream *prev, *next; /* of the link's */
    fh_link_stream *todo_next;
    const fh_link_kind *kind;
    int32_t id;         /* 0: HTTP/2 has closed it */
    uint32_t code;      /* with which it did */
    fh_err *err;        /* why we broke it; owned */
    fh_link_head *head; /* that comes; owned, NULL when it is not kept any more */
    fh_link_bytes in;   /* came and was not taken: at most window */
    size_t window, kept_up_bytes;
    uint64_t in_bytes, out_bytes;
    bool todo, head_known, head_due, in_end, in_told, out_end;
    bool paused;   /* nothing is given to take */
    bool hangs_up; /* once all of ours is said, what may still come is of no interest */
    bool refused;  /* RST_STREAM was given to libnghttp2 */
};

/* Who made the link: its listener or its dialler. */
typedef struct fh_link_owner {
    bool (*secured)(fh_link *l, fh_err **why); /* the handshake is over, l->peer known; false refuses, *why may be set */
    void (*up)(fh_link *l);
    void (*gone)(fh_link *l, const fh_err *why); /* last; l is freed after it */
} fh_link_owner;

struct fh_link {
    fh_link *prev, *next; /* of its listener's */
    fh_loop *loop;
    const fh_link_owner *owner;
    void *end; /* the listener or dialler */
    void *ctx;
    const fh_link_dial_config *answers; /* dialling end: who answers; NULL: accepting end */
    fh_link_times times;
    fh_link_peer peer;
    int fd;
    fh_tls_stream *tls;
    nghttp2_session *session; /* NULL until the handshake is over */
    struct event io, kick;
    fh_timer *clock;
    bool watched, readable, writable, ticked, acked, up;
    fh_buf out; /* to send, the first `sent` of them are gone */
    size_t sent;
    char *scratch;
    fh_link_stream *streams, *todo, **todo_last;
    size_t stream_count, grown_bytes, bodies_bytes;
    fh_err *lost;                                            /* why it ends; owned. Once it is set nothing more is heard */
    bool parting;                                            /* it ends because we say so: the other end is told */
    int64_t began_ns, heard_ns, pinged_ns, stuck_ns, rtt_ns; /* stuck: since when bytes could not be sent; 0: they can */
    uint64_t ping_sent;
};

enum { FH_LINK_SCRATCH_BYTES = 16384, FH_LINK_OUT_BYTES = 65536 };

/* A link (life.c). fd and context: fd is taken also when it fails. */
int fh_link_new(fh_link **ret, fh_loop *loop, int fd, SSL_CTX *context, const fh_link_owner *owner, void *end, const fh_link_times *times,
                const fh_link_dial_config *answers, fh_err **err);
void fh_link_end(fh_link *l); /* at once; l->lost says why. Not from inside fh_link_run */
void fh_link_kick(fh_link *l);
void fh_link_run(fh_link *l); /* all that can be done now; may free it */
void fh_link_lose(fh_link *l, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4))); /* it ends soon */
void fh_link_times_fill(fh_link_times *t);                                                           /* defaults where there is 0 */

/* HTTP/2 of a link (session.c). */
int fh_link_session_open(fh_link *l, fh_err **err);
void fh_link_session_hear(fh_link *l, const char *data, size_t bytes);
bool fh_link_session_fill(fh_link *l); /* l->out from what libnghttp2 has; false: nothing more */
void fh_link_session_goodbye(fh_link *l);
void fh_link_session_ping(fh_link *l);
bool fh_link_nv(nghttp2_nv *nv, size_t *count, fh_str name, fh_str value); /* false: more than LINK_HEADERS, or no HTTP */
size_t fh_link_nv_bytes(const nghttp2_nv *nv, size_t count);               /* as the other end counts them */
enum { FH_LINK_NV = FH_LIMIT_LINK_HEADERS + 8 };
ssize_t fh_link_session_read(nghttp2_session *session, int32_t id, uint8_t *out, size_t size, uint32_t *flags, nghttp2_data_source *source,
                             void *link); /* of a stream's data provider */

/* Streams (stream.c). */
void fh_link_stream_init(fh_link_stream *s, fh_link *l, const fh_link_kind *kind); /* onto the link's list; HTTP/2 knows it by id, later */
void fh_link_stream_fini(fh_link_stream *s);
int fh_link_stream_head_new(fh_link_stream *s);
void fh_link_stream_todo(fh_link_stream *s);
void fh_link_stream_run(fh_link_stream *s); /* what it has to do; may free it */
void fh_link_stream_reset(fh_link_stream *s, uint32_t code);
void fh_link_stream_forget_head(fh_link_stream *s);
void fh_link_stream_move(fh_link_stream *to, fh_link_stream *from); /* id and all that came; from is then nobody's */
void fh_link_stream_drop(fh_link_stream *s);       /* its owner wants nothing more of it; what is left of it goes by itself */
int fh_link_check(const fh_link *l, fh_err **err); /* whether one more may be opened */
int fh_link_stream_open(fh_link_stream *s, nghttp2_nv *nv, size_t count, bool body, fh_err **err); /* a request of ours */
void fh_link_stream_wake(fh_link_stream *s);                                                       /* read has something again */

/* Requests (request.c) and their replies (reply.c). */
typedef enum fh_link_reply_state { FH_LINK_OWED, FH_LINK_STREAMED, FH_LINK_GIVEN } fh_link_reply_state;
struct fh_link_req {
    fh_link_stream s;          /* first: it is freed as this */
    fh_link_reply_state state; /* given: it is no longer the caller's */
    void *ctx;
    void (*on_gone)(void *arg);
    void *gone_arg;
    bool (*on_data)(void *arg, const void *data, size_t bytes);
    void *data_arg;
    void (*on_drain)(void *arg);
    void *drain_arg;
    fh_buf body;  /* whole; counted in the link's bodies_bytes */
    fh_buf extra; /* "name\0value\0..." of the reply to come */
    size_t extra_count;
    fh_link_bytes out; /* of the reply, not sent yet */
    bool tunnel, asked, resumed, out_whole, full, drained;
};
fh_link_stream *fh_link_req_new(fh_link *l, int32_t id); /* NULL: no memory, or too many */
ssize_t fh_link_req_read(fh_link_stream *s, void *out, size_t size, bool *ret_end);

/* Certificates (certs.c). */
SSL_CTX *fh_link_context_accepting(const char *cert_file, const char *key_file, const char *ca_file, fh_err **err);
/* judge, with arg, says whether the server's certificate is one that is pinned: 1 or 0. */
SSL_CTX *fh_link_context_dialling(const char *cert_file, const char *key_file, int (*judge)(X509_STORE_CTX *store, void *arg), void *arg,
                                  fh_err **err);
bool fh_link_digest_of(const X509 *x, fh_link_digest *ret);
void fh_link_peer_read(fh_link *l); /* l->peer from its certificate and its address */
/* What a failed handshake, or the first failed read behind it, means. */
int fh_link_tls_fault(const fh_link *l, int error, const char **ret_why);

#endif
