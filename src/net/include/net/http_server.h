/* An HTTP/1.1 server on a loop, or on several that act as one. Strict: what http_reader.h refuses gets 400 and a closed connection.
 * Keep-alive and pipelining (one request of a connection at a time). Bodies are read whole, up to HTTP_BODY_BYTES. Replies are whole or
 * streamed (chunked); a slow client pauses its source instead of growing a buffer. All calls on the loop's thread, but where another is
 * allowed; making and freeing also where no thread runs the loop. */
#ifndef FH_NET_HTTP_SERVER_H
#define FH_NET_HTTP_SERVER_H

#include "net/http.h"
#include "net/http_reader.h"
#include "net/loop.h"
#include "net/tls.h"

#include <stdatomic.h>

typedef struct fh_http_server fh_http_server;
typedef struct fh_http_req fh_http_req;

/* Times and sizes of one server; the defaults are those of base/limits.h. */
typedef struct fh_http_server_limits {
    int64_t header_timeout_ns, body_timeout_ns, idle_timeout_ns, write_timeout_ns, linger_ns;
    size_t connections, out_buffer_bytes;
    size_t rate_bytes;          /* a second, that must pass of a body or a reply, once its first timeout is over; 0: any */
    size_t address_connections; /* of one address, or one /64 of IPv6; 0: any. Trusted proxies do not count */
    bool loopback_counts;       /* as an address among others; by default it does not */
    size_t bodies_bytes; /* request bodies of all connections together, by default eight of the largest; beyond: 503 and the connection
                            closes */
    fh_http_limits reader;
} fh_http_server_limits;

/* Called once a request is complete. The handler replies now or later; a request lives until its reply has ended or the client has gone:
 * then on_gone, if set, is called and req must not be used again. */
typedef void fh_http_handler(fh_http_req *req, void *ctx);

/* Called once the headers of a request are complete whose body did not come with them, before any more of it is read: how many bytes it may
 * have, and 413 if there are more. 0: it is not read; the judge has replied, or will, and the connection closes behind that; or it moves
 * the request (fh_http_req_run_on), and is called again there. What the judge set of a request is forgotten when its body is read. */
typedef size_t fh_http_judge(fh_http_req *req, void *ctx);

typedef struct fh_http_end {      /* what became of a request */
    int status;                   /* of the reply; 0: none was begun */
    bool gone;                    /* the client left, or the reply was cut */
    uint64_t in_bytes, out_bytes; /* of the bodies; what was given to be sent, read or not */
    int64_t began_ns, ended_ns;   /* monotonic: the request was complete; its reply had ended */
} fh_http_end;
/* Called once for each request that a handler got, on the loop that it was on, when its reply has ended or its client has gone (then before
 * on_gone). All of req may still be read; nothing may be replied. */
typedef void fh_http_ended(fh_http_req *req, const fh_http_end *end, void *ctx);

int fh_http_server_new(fh_http_server **ret, fh_loop *l, fh_http_handler *handler, void *ctx, fh_err **err);
/* Another loop of the same server: handler, limits as they are now, counts and certificate are those of `first`. */
int fh_http_server_new_beside(fh_http_server **ret, fh_http_server *first, fh_loop *l, fh_err **err);
/* Proxies ("10.0.0.0/8"; NULL-terminated) whose X-Forwarded-For is believed. Before the loops run. */
int fh_http_server_trust(fh_http_server *s, const char *const *ranges, fh_err **err);
/* Asked by all its loops, with the context of the handler. Before the loops run. Without it every body is read. */
void fh_http_server_judge(fh_http_server *s, fh_http_judge *judge);
/* Told of the end of every request, on all its loops. Before the loops run. */
void fh_http_server_on_end(fh_http_server *s, fh_http_ended *fn, void *ctx);
/* Connections accepted from now on, on all its loops, speak TLS with that certificate. Takes it. Any thread. */
void fh_http_server_tls(fh_http_server *s, fh_tls *tls);
/* "127.0.0.1:8470", "[::1]:0" or "unix:/path" (mode 0600; a stale socket file is replaced, a live one is an error). Port 0 picks a free
 * one. May be called several times. reuse_port: several loops share the port. */
int fh_http_server_listen(fh_http_server *s, const char *address, bool reuse_port, fh_err **err);
/* s becomes a door: what it accepts is at home on these, in turn, where fh_http_req_run_on moves it. They act as one with s; the list is
 * borrowed until s is freed. Before the loops run. */
void fh_http_server_homes(fh_http_server *s, fh_http_server *const *homes, size_t count);
/* Accepts from a socket that listens (net/listen.h). Takes fd. Several servers may accept from copies of one socket. */
int fh_http_server_accept_from(fh_http_server *s, int fd, fh_err **err);
void fh_http_server_limits_get(const fh_http_server *s, fh_http_server_limits *ret);
void fh_http_server_limits_set(fh_http_server *s, const fh_http_server_limits *l); /* for connections accepted from now on */
int fh_http_server_port(const fh_http_server *s);                                  /* of the first TCP listener; 0 if none */
/* Stops accepting and lets running requests end. A connection that is idle closes, at once or when it has brought no request within
 * grace_ns: a client that is just sending one is then not turned away. */
void fh_http_server_drain(fh_http_server *s, int64_t grace_ns);
size_t fh_http_server_connections(const fh_http_server *s); /* on all its loops; any thread */
uint64_t fh_http_server_refused(const fh_http_server *s);   /* what came and was no request: likewise */
void fh_http_server_free(
    fh_http_server *s); /* closes all at once (on_gone of running requests is called), removes unix sockets; not from a handler */

fh_str fh_http_req_method(const fh_http_req *r); /* HEAD is shown as GET, and its reply is sent without the body */
fh_str fh_http_req_path(const fh_http_req *r);   /* percent-decoded, without query; never holds NUL, "//" or dot segments */
fh_str fh_http_req_query(const fh_http_req *r);  /* raw */
bool fh_http_req_query_get(const fh_http_req *r, const char *name, char *out,
                           size_t out_size); /* percent-decoded; false if absent or too long */
bool fh_http_req_query_name(const fh_http_req *r, size_t i, char *out,
                            size_t out_size); /* of the parameter i, percent-decoded ("?" where that fails); false behind the last */
fh_str fh_http_req_header(const fh_http_req *r, const char *name); /* {NULL,0} when absent */
const fh_header *fh_http_req_headers(const fh_http_req *r, size_t *ret_count);
fh_str fh_http_req_body(const fh_http_req *r);
fh_str fh_http_req_host(const fh_http_req *r);
/* "127.0.0.1:51234" or "unix"; the address alone of whom a trusted proxy speaks for: the last of X-Forwarded-For that is none itself. */
const char *fh_http_req_peer(const fh_http_req *r);
const char *fh_http_req_id(const fh_http_req *r); /* unique, made by us; sent back as x-request-id */
fh_loop *fh_http_req_loop(const fh_http_req *r);
/* Where the request is handled: on the loop of `to`, one of those that act as one (NULL: where its connection is at home: the loop that
 * accepted it, or that a door gave it). True when that is here. False: the connection moves there once the handler has returned, and the
 * handler, or the judge, is called again, there; here the request must not be used any more. Only from these, before a reply is begun. */
bool fh_http_req_run_on(fh_http_req *r, fh_http_server *to);
/* For whoever is told of its end: who asks (a short id; what is beyond 15 characters is cut off; "" until it is set), and what its handler
 * knows of it (borrowed; must live until then; NULL until it is set). */
void fh_http_req_who_set(fh_http_req *r, const char *who);
const char *fh_http_req_who(const fh_http_req *r);
void fh_http_req_note_set(fh_http_req *r, const void *note);
const void *fh_http_req_note(const fh_http_req *r);
void fh_http_req_on_gone(fh_http_req *r, void (*fn)(void *arg), void *arg); /* not called after a complete reply */

void fh_http_reply_last(fh_http_req *r); /* the connection closes behind the reply to come */
/* Extra header of the reply to come (before reply or start); copies. */
bool fh_http_reply_header(fh_http_req *r, const char *name, const char *value);
void fh_http_reply(fh_http_req *r, int status, const char *content_type, const void *body, size_t bytes);
/* The reply to come is counted in *sum, with so many bytes that stand there already: they are taken from it once the reply is sent or its
 * connection gone. *sum outlives the server. */
void fh_http_reply_holds(fh_http_req *r, atomic_size_t *sum, size_t bytes);
/* Streamed reply, chunked (HTTP/1.0: until the connection closes). write returns false when the client should not be written to for now
 * (bytes are still taken): on_drain is called once it can again. None of the reply functions calls on_gone or on_drain from inside: they
 * come from the loop. */
void fh_http_reply_start(fh_http_req *r, int status, const char *content_type);
bool fh_http_reply_write(fh_http_req *r, const void *data, size_t bytes);
void fh_http_reply_on_drain(fh_http_req *r, void (*fn)(void *arg), void *arg);
void fh_http_reply_end(fh_http_req *r);
void fh_http_reply_abort(fh_http_req *r); /* closes the connection without ending the reply: the client sees it was cut */

#endif
