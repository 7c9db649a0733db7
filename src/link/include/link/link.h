/* The one connection between a server and a machine of its pool. The machine (a "node") dials; over what it dialled the server asks.
 *
 * TLS 1.3 with certificates of both ends, and inside it HTTP/2 (RFC 9113, by libnghttp2) with the roles turned round: the end that
 * accepted the connection is HTTP/2's client, the end that dialled is HTTP/2's server. A link carries many streams at once, each with its
 * own flow control: asks (a request and its reply) and tunnels (bytes both ways, by CONNECT). Who reads slowly pauses who sends to it, and
 * nobody else.
 *
 *   accepting end                                      dialling end
 *   fh_link_listen -> admit -> on_up(link)             fh_link_dial -> on_up(link)
 *   fh_link_ask(link) ------------------------------>  on_request(req), fh_link_reply*
 *   fh_link_tunnel(link, fd) ----------------------->  on_tunnel(req), fh_link_join(req, fd)
 *   on_gone(link, why)                                 on_gone(link, why), dials again by itself
 *
 * Threads: all calls and callbacks on the loop's thread; making and freeing also where no thread runs the loop. But for the two functions
 * that free a whole end (fh_link_listener_free, fh_link_dial_free) every function may be called from every callback, and none calls a
 * callback from inside: those come from the loop.
 *
 * Ownership: a link belongs to its listener or its dialler, an ask and a request to its link; each header below says until when its
 * pointer may be used. A link survives nothing: when it is lost, every ask that is open ends with FH_E_UNAVAILABLE, every request that is
 * open on the dialling end is told by its on_gone, tunnels close their descriptors, and last on_gone of the link is called.
 *
 * Bounds: the LINK_ rows of base/limits.h. Neither end trusts the other more than needed: what a hostile peer sends beyond a bound ends
 * the stream or the link, never the process. Certificates' private keys, bodies and headers stand in no error. */
#ifndef FH_LINK_LINK_H
#define FH_LINK_LINK_H

#include "base/err.h"
#include "base/mem.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/resolver.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct fh_link fh_link;
typedef struct fh_link_ask fh_link_ask;
typedef struct fh_link_req fh_link_req;
typedef struct fh_link_listener fh_link_listener;
typedef struct fh_link_dial fh_link_dial;

/* ---- who the other end is ---- */

typedef struct fh_link_digest {
    uint8_t bytes[32]; /* SHA-256 */
} fh_link_digest;
enum { FH_LINK_DIGEST_TEXT = 65 };

/* SHA-256 of the first certificate of a PEM file in its DER form: what a node pins, and what a join token carries. */
int fh_link_digest_of_file(fh_link_digest *ret, const char *cert_file, fh_err **err);
bool fh_link_digest_parse(fh_str hex, fh_link_digest *ret); /* 64 hexadecimal digits */
void fh_link_digest_write(const fh_link_digest *d, char out[FH_LINK_DIGEST_TEXT]);

typedef struct fh_link_peer {
    bool certified;           /* accepting end: it showed a certificate that the CA vouches for and that is valid now. Dialling end: true */
    fh_link_digest cert, key; /* SHA-256 of its certificate (DER) and of its public key (SubjectPublicKeyInfo, DER); zeros without one */
    char name[64];            /* common name of the subject, printable ASCII; "" without one */
    int64_t expires_s;        /* UTC seconds since 1970 of notAfter; 0 without a certificate */
    char address[64];         /* "203.0.113.7:51234" or "[2001:db8::7]:51234" */
} fh_link_peer;

/* ---- a link ---- */

const fh_link_peer *fh_link_peer_get(const fh_link *l); /* borrowed from the link */
/* For the caller's own use; NULL until it is set. */
void fh_link_ctx_set(fh_link *l, void *ctx);
void *fh_link_ctx(const fh_link *l);
size_t fh_link_streams(const fh_link *l); /* asks, requests and tunnels that are open */
int64_t fh_link_rtt_ns(const fh_link *l); /* there and back, of the newest PING that came back; 0: none did yet */
/* Ends it soon, from the loop: the other end is told code (FH_E_FORBIDDEN: it need not come again as it is; FH_E_BUSY; anything else:
 * FH_E_UNAVAILABLE) and why (one line, printable ASCII, cut at LINK_WHY_BYTES), and on_gone is called with the same. A second call does
 * nothing. A dialler dials again. Replies that were given before go first, as far as the socket takes them. */
void fh_link_close(fh_link *l, int code, const char *why);

/* Times of one end; 0 takes the default of base/limits.h. */
typedef struct fh_link_times {
    int64_t handshake_ns;   /* from the connection until the link is up (LINK_HANDSHAKE_MS) */
    int64_t connect_ns;     /* dialling: for one address (LINK_CONNECT_MS) */
    int64_t ping_ns;        /* of silence, after which the other end is asked whether it is there (LINK_PING_MS) */
    int64_t silence_ns;     /* after which the link is lost; also for bytes that it does not take (LINK_SILENCE_MS) */
    int64_t backoff_min_ns; /* dialling: before the first try again (LINK_BACKOFF_MIN_MS) */
    int64_t backoff_max_ns; /* dialling: between tries at most (LINK_BACKOFF_MAX_MS) */
    int64_t uncertified_ns; /* accepting: how long a link without a certificate may last (LINK_UNCERTIFIED_MS) */
} fh_link_times;

/* ---- the accepting end ---- */

typedef struct fh_link_listen_config {
    const char *address;              /* "0.0.0.0:8471", "[::1]:0", "[::]:8471" (IPv4 too); port 0 picks a free one. Used during the call */
    const char *cert_file, *key_file; /* PEM, ours; used during the call */
    const char *ca_file;              /* PEM: who vouches for nodes; NULL: nobody does. A node that shows a certificate of another CA, or
                                         one that is expired, is refused in the handshake; one that shows none is uncertified */
    /* Whether the peer may come: revocation and naming are the caller's. False refuses; with *why set it is told that (taken), and
     * FH_E_FORBIDDEN says to it what fh_link_close says. NULL: everybody may. */
    bool (*admit)(void *arg, const fh_link_peer *peer, fh_err **why);
    void (*on_up)(void *arg, fh_link *l); /* l may be used until its on_gone has returned */
    /* Once for each link that was up, last: why is borrowed. */
    void (*on_gone)(void *arg, fh_link *l, const fh_err *why);
    void *arg;
    fh_link_times times;
} fh_link_listen_config;

/* FH_E_INVALID when files do not fit, FH_E_CONFLICT when the address is in use. */
int fh_link_listen(fh_link_listener **ret, fh_loop *l, const fh_link_listen_config *c, fh_err **err);
int fh_link_listener_port(const fh_link_listener *n);
/* Other files, for connections accepted from now on; links that are up go on. Nothing changes when it fails. */
int fh_link_listener_files(fh_link_listener *n, const char *cert_file, const char *key_file, const char *ca_file, fh_err **err);
void fh_link_listener_free(fh_link_listener *n); /* every link is lost, on_gone called for each; not from a callback */
FH_DEFINE_AUTO(fh_link_listener, fh_link_listener_free);

/* ---- asking (accepting end) ---- */

enum { FH_LINK_READ_LATER = -1, FH_LINK_READ_FAILED = -2 };

typedef struct fh_link_ask_spec {
    const char *method, *path; /* "POST", "/v1/start?x=1": as they go over the wire; copied. Not CONNECT: that is a tunnel */
    const fh_header *headers;  /* beside those of HTTP/2 itself; copied. Names are sent in lower case */
    size_t header_count;
    fh_str body; /* copied; empty when read is set */
    /* A body that is made as the other end takes it: writes up to size bytes, answers how many; 0 ends the body; FH_LINK_READ_LATER: none
     * now, fh_link_ask_resume_body goes on; FH_LINK_READ_FAILED: the ask ends with FH_E_CANCELLED. NULL: body. */
    ssize_t (*read)(void *arg, void *out, size_t size);
    size_t max_reply_bytes; /* without on_data: of the reply's body; beyond, FH_E_TOO_LARGE. 0: LINK_REPLY_BYTES */
    /* No byte of the reply comes and none of the body goes (while neither is paused); from the start until the end. Beyond: FH_E_TIMEOUT.
     * 0: LINK_ASK_IDLE_MS, none. */
    int64_t idle_timeout_ns, total_timeout_ns;
    /* Callbacks; any may be NULL but on_done. All before it, none after it. */
    void (*on_headers)(void *arg, int status, const fh_header *headers, size_t count); /* borrowed during the call */
    /* The body as it comes, instead of whole. Bytes given are taken; false: no more until fh_link_ask_resume. */
    bool (*on_data)(void *arg, const void *data, size_t bytes);
    /* Exactly once, last, never from inside fh_link_ask: the reply is whole (status 200 to 599, body borrowed, empty with on_data, err
     * NULL), or none came or only a part (status 0, err borrowed):
     *   FH_E_UNAVAILABLE  the link was lost          FH_E_TIMEOUT    too late
     *   FH_E_UPSTREAM     the other end broke off    FH_E_TOO_LARGE  the reply, or its headers
     *   FH_E_BUSY         the other end took no more streams; FH_E_NOMEM; FH_E_CANCELLED  read failed
     * The ask is gone after it. */
    void (*on_done)(void *arg, int status, fh_str body, const fh_err *err);
    void *arg;
} fh_link_ask_spec;

/* FH_E_BUSY when the link has LINK_STREAMS already (or as many as the other end allows), FH_E_UNAVAILABLE when it is ending,
 * FH_E_INVALID for what is no HTTP. ret may be NULL for who never cancels. */
int fh_link_ask_start(fh_link_ask **ret, fh_link *l, const fh_link_ask_spec *spec, fh_err **err);
void fh_link_ask_resume(fh_link_ask *a);
void fh_link_ask_resume_body(fh_link_ask *a);
void fh_link_ask_cancel(fh_link_ask *a); /* on_done is not called; a is gone; the other end is told */

/* ---- tunnels (accepting end) ---- */

/* What became of a tunnel. */
typedef struct fh_link_tunnel_end {
    int status;                   /* 200: it was joined; else how it was refused; 0: no answer came */
    uint64_t in_bytes, out_bytes; /* that came from the other end; that went there */
    const fh_err *err;            /* borrowed; NULL: both directions ended by themselves */
} fh_link_tunnel_end;

/* Joins fd, a connected stream socket, with what the other end makes of authority ("engine:7": as the authority of a URL, so without a
 * slash, up to LINK_AUTHORITY_BYTES). Takes fd, also when it fails; it is made non-blocking. Bytes go both ways as they are, and begin to
 * go before the answer came. An end of file on one side is one on the other, each direction for itself; a unix socket whose peer has gone
 * whole, and an error, reset both. What is in between is bounded: 64 KiB a direction, up to 1 MiB of one whose reader keeps up. When the
 * tunnel is refused, breaks, or the link is lost, fd is closed: a TCP peer gets a reset, a unix peer too when something of its own was
 * unread, else an end of file. on_end (may be NULL) is called once, last, never from inside. */
int fh_link_tunnel(fh_link *l, const char *authority, int fd, void (*on_end)(void *arg, const fh_link_tunnel_end *end), void *arg,
                   fh_err **err);

/* ---- the dialling end ---- */

typedef struct fh_link_dial_config {
    const char *host; /* a name or an address; copied */
    int port;
    fh_resolver *resolver;      /* borrowed; needed when host is a name. NULL: it must be an address */
    const fh_link_digest *pins; /* the server's certificate is one of these, or the link is refused; copied, 1 to LINK_PINS. Its names,
                                   its issuer and its dates are not looked at: the pin says more */
    size_t pin_count;
    const char *cert_file, *key_file;     /* PEM, ours; read during the call. Both NULL: we show none, and may be asked to join only */
    void (*on_up)(void *arg, fh_link *l); /* l may be used until its on_gone has returned; may be NULL */
    void (*on_gone)(void *arg, fh_link *l, const fh_err *why); /* once for each on_up, why as below; may be NULL */
    /* A try that did not become a link; the next is made after again_ns. FH_E_FORBIDDEN: the server refuses us as we are (our certificate
     * is foreign, expired or revoked), or is not the one that was pinned; FH_E_TIMEOUT; FH_E_UNAVAILABLE: not reached, or it ends;
     * FH_E_BUSY: it says so. Whatever it is, we go on trying until freed. May be NULL. */
    void (*on_failed)(void *arg, const fh_err *why, int64_t again_ns);
    /* The head of a request has come, its body not yet. May set fh_link_req_on_data, and may reply. NULL: bodies come whole. */
    void (*on_head)(void *arg, fh_link_req *r);
    /* A request is whole. Replies now or later. NULL: every one is refused with 404. */
    void (*on_request)(void *arg, fh_link_req *r);
    /* A tunnel is asked for, to fh_link_req_authority: fh_link_join, now or later, or fh_link_reply with a status of 400 or more. NULL:
     * every one is refused with 404. */
    void (*on_tunnel)(void *arg, fh_link_req *r);
    void *arg;
    fh_link_times times;
} fh_link_dial_config;

/* Dials, and keeps the link up: after a loss or a try that failed it dials again, after a pause that doubles up to backoff_max_ns and of
 * which a random half is left out; a link that lasted longer than backoff_max_ns begins anew. Fails only for what is wrong with the
 * configuration, and for want of memory. */
int fh_link_dial_new(fh_link_dial **ret, fh_loop *l, const fh_link_dial_config *c, fh_err **err);
/* Our own certificate from the next link on (both NULL: none), and the pins. The link that is up goes on: fh_link_close it to change now.
 * Nothing changes when it fails. */
int fh_link_dial_files(fh_link_dial *d, const char *cert_file, const char *key_file, fh_err **err);
int fh_link_dial_pins(fh_link_dial *d, const fh_link_digest *pins, size_t count, fh_err **err);
/* Does not wait for the end of the pause, nor makes one after a link that is ending. */
void fh_link_dial_now(fh_link_dial *d);
fh_link *fh_link_dial_link(fh_link_dial *d); /* the link that is up; NULL */
void fh_link_dial_free(fh_link_dial *d);     /* ends the link (on_gone is called) and its tries; not from a callback */
FH_DEFINE_AUTO(fh_link_dial, fh_link_dial_free);

/* ---- answering (dialling end) ---- */

/* A request lives until its reply was given whole (fh_link_reply, fh_link_reply_end), it was aborted or joined, or the other end or the
 * link has gone: then on_gone, if set, is called and r must not be used again. The slices are borrowed from r. */
fh_str fh_link_req_method(const fh_link_req *r); /* "CONNECT" for a tunnel */
fh_str fh_link_req_path(const fh_link_req *r);   /* as it was sent, with its query, nothing decoded; begins with '/'; empty for a tunnel */
fh_str fh_link_req_authority(const fh_link_req *r);                /* of a tunnel */
fh_str fh_link_req_header(const fh_link_req *r, const char *name); /* {NULL, 0} when absent; the first when there are several */
fh_str fh_link_req_body(const fh_link_req *r);                     /* whole, in on_request, up to LINK_BODY_BYTES; beyond: 413 */
fh_link *fh_link_req_link(const fh_link_req *r);
void fh_link_req_ctx_set(fh_link_req *r, void *ctx);
void *fh_link_req_ctx(const fh_link_req *r);                                /* NULL until it is set */
void fh_link_req_on_gone(fh_link_req *r, void (*fn)(void *arg), void *arg); /* not called once the request is no longer the caller's */
/* Only in on_head: the body comes in pieces of any length instead of whole. Bytes given are taken; false: no more until
 * fh_link_req_resume. on_request is called when all of them were given, with an empty body. */
void fh_link_req_on_data(fh_link_req *r, bool (*fn)(void *arg, const void *data, size_t bytes), void *arg);
void fh_link_req_resume(fh_link_req *r);

/* Extra header of the reply to come (before reply or start); copied. False: no memory, too many, or no HTTP. */
bool fh_link_reply_header(fh_link_req *r, const char *name, const char *value);
/* content_type NULL: none. A reply that cannot be made for want of memory resets the stream. */
void fh_link_reply(fh_link_req *r, int status, const char *content_type, const void *body, size_t bytes);
/* Streamed reply. write returns false when nothing should be written for now (these bytes are still taken): on_drain is called once it can
 * again. Who goes on all the same is cut off at LINK_REPLY_UNSENT_BYTES: the stream is reset and on_gone is called. */
void fh_link_reply_start(fh_link_req *r, int status, const char *content_type);
bool fh_link_reply_write(fh_link_req *r, const void *data, size_t bytes);
void fh_link_reply_on_drain(fh_link_req *r, void (*fn)(void *arg), void *arg);
void fh_link_reply_end(fh_link_req *r);
void fh_link_reply_abort(fh_link_req *r); /* resets the stream: who asked sees that it was cut */

/* Answers a tunnel with 200 and joins it to fd, a connected stream socket. Takes fd; it is made non-blocking. As fh_link_tunnel says. */
void fh_link_join(fh_link_req *r, int fd);

#endif
