/* What the files of net/ share among themselves: HTTP syntax, timers that live inside other objects, and a connection of the server. */
#ifndef FH_NET_PRIVATE_H
#define FH_NET_PRIVATE_H

#include "net/address.h"
#include "net/http.h"
#include "net/http_client.h"
#include "net/http_reader.h"
#include "net/http_server.h"
#include "net/loop.h"
#include "net/tls.h"
#include "net/tls_stream.h"
#include "base/limits.h"
#include "base/map.h"
#include <curl/curl.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

/* Syntax (http_text.c). Pure. */
bool fh_http_token_char(unsigned char c);
bool fh_http_token_valid(fh_str s);     /* not empty, token characters only */
int fh_http_hex_value(unsigned char c); /* -1 for what is no hexadecimal digit */
bool fh_http_value_valid(fh_str s);     /* no control characters but HTAB */
/* host or host:port, as in a Host field: a name of letters, digits, '-', '_' and '.', an IPv4 address, or a bracketed IPv6 address. */
bool fh_http_host_valid(fh_str s);
/* Splits a request target; authority is empty but for absolute-form. path is still encoded; "*" for asterisk-form. */
int fh_http_target_split(fh_str target, fh_str *ret_authority, fh_str *ret_path, fh_str *ret_query, fh_err **err);
/* Appends the decoded path; refuses broken escapes, control characters, broken UTF-8, "//" and dot segments. */
int fh_http_path_decode(fh_str raw, fh_buf *out, fh_err **err);
/* True when the comma-separated list holds the token (ASCII case folded). */
bool fh_http_list_has(fh_str list, const char *token);
/* Whether percent-decoding (with '+' as blank when form is set) fits out; NUL-terminates. */
bool fh_http_percent_decode(fh_str s, bool form, char *out, size_t out_size);

/* How the body of a request is framed (http_head.c). */
typedef struct fh_http_framing {
    bool chunked;
    uint64_t length;
} fh_http_framing;
/* Judges all header lines together; needs method, target, minor, path and headers of m, sets the rest but the body. */
int fh_http_head_judge(fh_http_msg *m, uint64_t max_body, fh_http_framing *ret, int *ret_status, fh_err **err);
/* Sets the error whose code goes with the status. */
int fh_http_vrefuse(int *ret_status, fh_err **err, int status, const char *fmt, va_list ap) __attribute__((format(printf, 4, 0)));

/* A timer whose event is always in the loop's heap (parked far away when stopped), so that starting one can never fail. */
struct fh_timer {
    struct event ev;
    void (*fn)(void *arg);
    void *arg;
    bool armed;
};
int fh_timer_init(fh_timer *t, fh_loop *l, void (*fn)(void *arg), void *arg, fh_err **err);
void fh_timer_fini(fh_timer *t);

/* TLS of a server's connection (tls.c). */
fh_tls_stream *fh_tls_stream_new(fh_tls *tls, int fd); /* fd is borrowed */
fh_tls *fh_tls_share(fh_tls *t);                       /* another reference; NULL when memory is out */

/* The server's side of one TCP or unix connection (http_conn.c). */
typedef struct fh_http_conn fh_http_conn;

typedef enum fh_http_phase {
    FH_CONN_READING,   /* between requests, or inside one that is not complete */
    FH_CONN_HANDLING,  /* a complete request is with the handler */
    FH_CONN_CLOSING,   /* the last bytes are being sent; nothing more is read as HTTP */
    FH_CONN_LINGERING, /* our side is shut; what still comes is thrown away, so that the client can read the last reply */
} fh_http_phase;

typedef enum fh_http_reply_state { FH_REPLY_NONE, FH_REPLY_AWAITED, FH_REPLY_STREAMED } fh_http_reply_state;

struct fh_http_req {
    fh_http_conn *conn;
    char id[40];
    fh_http_reply_state state;
    bool head, chunked, keep, paused;
    char client[64]; /* whom a trusted proxy speaks for; "" when that is the peer */
    char who[16];    /* for whoever is told of its end, as note */
    const void *note;
    int status; /* of the reply that was begun */
    bool cut;   /* it ended before its end */
    uint64_t out_bytes;
    int64_t began_ns;
    fh_buf extra; /* header lines that the handler added */
    void (*on_gone)(void *arg);
    void *gone_arg;
    void (*on_drain)(void *arg);
    void *drain_arg;
};

/* How fast something goes, of all together and of each address (http_meter.c). */
typedef struct fh_http_rate {
    int64_t per_s, at_once;
} fh_http_rate;
typedef struct fh_http_meter {
    fh_http_rate all, each; /* fixed, as is the key */
    uint8_t slot_key[16];
    atomic_int_fast64_t due_ns;                                    /* when the next is due, of all */
    atomic_int_fast64_t each_due_ns[FH_LIMIT_HTTP_STRANGER_SLOTS]; /* of the addresses of a slot */
} fh_http_meter;
bool fh_http_meter_init(fh_http_meter *m, fh_http_rate all, fh_http_rate each); /* all zero before; false without random bytes */
/* Takes an amount for that address (NULL: none): until when whoever took it waits; 0: not at all. Any thread. */
int64_t fh_http_meter_take(fh_http_meter *m, const fh_address *a, int64_t amount, int64_t now_ns);

struct fh_http_conn {
    fh_http_server *server;      /* where it is now */
    fh_http_server *home;        /* where it goes by default, or the door that says it */
    fh_http_server *move_to;     /* where it goes once conn_run is over; NULL: it stays */
    struct fh_http_group *group; /* the servers', which is there as long as one of them */
    fh_http_conn *prev, *next;   /* of the server's connections, or of the group's that move */
    int fd;
    fh_tls_stream *tls; /* NULL: plain */
    struct event io, kick;
    fh_timer timer;
    int64_t timer_at_ns, deadline_ns, write_deadline_ns; /* 0: none */
    int64_t held_until_ns;                               /* nothing is sent and no request parsed before; 0: none */
    int64_t rests_until_ns;                              /* nothing is read before; 0: none */
    int64_t body_began_ns, write_began_ns;               /* write: since when something has always been unsent */
    uint64_t written_bytes;                              /* since then */
    fh_http_phase phase;
    bool busy;                                      /* inside conn_run: replies are only queued, it flushes */
    bool readable, writable, eof, end_seen, broken; /* edge-triggered: what the socket last said */
    bool close_after, tcp, probed;
    bool unjudged, body_here; /* the head of a request has come and nobody was asked yet; something of its body came with it */
    bool at_head;             /* the request that is handled has not got its body: it is with the judge */
    bool unread;              /* nor will it: what still comes is dropped */
    fh_http_reader *reader;
    fh_buf pending; /* read but not parsed: the client pipelines */
    fh_buf out;     /* bytes to send, the first `sent` of them are gone */
    size_t sent;
    atomic_size_t *out_sum; /* where out_bytes of what is unsent are counted for whoever replied; NULL: nowhere */
    size_t out_bytes;
    size_t dropped_bytes; /* that came after the last reply was begun */
    size_t body_bytes;    /* counted in the group's bodies_bytes */
    fh_http_req req;
    fh_address address;
    bool counted, trusted; /* in the group's count of its address; a proxy's, that speaks for others */
    char peer[64];
};

/* What the servers of several loops share, because they act as one (http_group.c). The lock is held for moments, never across I/O. */
typedef struct fh_http_group {
    atomic_uint references;
    atomic_size_t connections, bodies_bytes;
    atomic_uint_fast64_t refused;
    fh_http_meter refusals, strangers, large_bodies; /* replies of 401; bytes of strangers, and bytes of large bodies, that are read */
    fh_http_judge *judge;                            /* fixed before the loops run; NULL: every body is read */
    fh_http_ended *on_end;                           /* with its argument, likewise; NULL: nobody asks */
    void *end_ctx;
    pthread_mutex_t lock; /* guards the rest */
    fh_tls *tls;          /* NULL: plain */
    fh_http_conn *moving; /* on their way from one loop to another */
    fh_map *addresses;    /* address -> how many connections it has, as a pointer's value */
    fh_range *trusted;    /* proxies; fixed before the loops run */
    size_t trusted_count;
} fh_http_group;
fh_http_group *fh_http_group_new(void); /* with one reference */
void fh_http_group_unref(fh_http_group *g);
/* The TLS of a new connection: *ret is NULL when the group speaks plain HTTP; false when memory is out. */
bool fh_http_group_stream(fh_http_group *g, int fd, fh_tls_stream **ret);
bool fh_http_group_trusts(const fh_http_group *g, const fh_address *a);
fh_str fh_http_address_key(const fh_address *a); /* what tells addresses apart here: of IPv6 the /64; borrowed from a */
/* One more connection of that address (of that /64, for IPv6); false when it has as many as it may. */
bool fh_http_group_enter(fh_http_group *g, const fh_address *a, size_t most);
void fh_http_group_leave(fh_http_group *g, const fh_address *a);
void fh_http_group_depart(fh_http_group *g, fh_http_conn *c);
void fh_http_group_arrive(fh_http_group *g, fh_http_conn *c);

typedef struct fh_http_listener {
    struct fh_http_listener *next;
    fh_http_server *server;
    int fd;
    struct event ev;
    char *path; /* unix: owned */
    dev_t path_dev;
    ino_t path_ino;
} fh_http_listener;

struct fh_http_server {
    fh_loop *loop;
    fh_http_group *group; /* a reference */
    fh_http_handler *handler;
    void *ctx;
    fh_http_server_limits limits;
    fh_http_listener *listeners;
    fh_http_server *const *homes; /* of the connections that it accepts, in turn; NULL: it is their home itself */
    size_t home_count;
    atomic_size_t home_next;
    fh_http_conn *conns;
    fh_timer accept_again; /* after EMFILE and the like */
    bool draining;
    int64_t grace_ns; /* for idle connections, while draining */
    int port;
    uint8_t id_key[16];
    uint64_t id_next;
    int64_t date_s;
    char date[40];
    int64_t accept_logged_ns;
    char *scratch; /* what recv fills; SCRATCH bytes */
};
enum { FH_HTTP_SCRATCH_BYTES = 65536 };

/* Listeners (http_listen.c). */
void fh_http_listeners_close(fh_http_server *s);
void fh_http_accept_resume(void *server);

/* What becomes of a request (http_conn_request.c): its head is there, and perhaps something behind it; all that came is parsed, and it is
 * not whole; it is there as a whole; its connection is on the loop that it was moved to. */
void fh_http_conn_head_came(fh_http_conn *c, bool body_here);
void fh_http_conn_body_waits(fh_http_conn *c);
void fh_http_conn_request_came(fh_http_conn *c);
void fh_http_conn_request_moved(fh_http_conn *c);

/* Connections: what they do (http_conn.c) and how they come and go (http_conn_life.c). */
void fh_http_conn_run(fh_http_conn *c); /* all that can be done now; may free it */
void fh_http_conn_on_io(evutil_socket_t fd, short what, void *arg);
void fh_http_conn_on_kick(evutil_socket_t fd, short what, void *arg);
void fh_http_conn_on_timer(void *arg);
void fh_http_conn_refuse(fh_http_conn *c, int status, fh_err *err); /* takes err; the connection closes behind the reply */
/* bytes, which *sum has already, are of what is to be sent; sum NULL: all is sent, or never will be. */
void fh_http_conn_count_out(fh_http_conn *c, atomic_size_t *sum, size_t bytes);
bool fh_http_conn_count_body(fh_http_conn *c, size_t bytes); /* what its request body holds now; false when that is too much for all */
void fh_http_conn_move(fh_http_conn *c);                     /* to c->move_to */
void fh_http_conn_open(fh_http_server *s, int fd, const struct sockaddr_storage *peer);
void fh_http_conn_close(fh_http_conn *c); /* at once; on_gone of a request in flight is called */
void fh_http_conn_free(fh_http_conn *c);  /* one that is on no list and watched by nobody */
void fh_http_conn_kick(fh_http_conn *c);  /* run soon, from the loop */
void fh_http_conn_break(fh_http_conn *c); /* nothing more is sent; the loop closes it soon */
void fh_http_conn_flush(fh_http_conn *c);
void fh_http_conn_hold(fh_http_conn *c, int64_t until_ns); /* what is queued waits until then */
void fh_http_conn_reply_done(fh_http_conn *c);
void fh_http_conn_deadline(fh_http_conn *c, int64_t deadline_ns);
static inline size_t fh_http_conn_unsent(const fh_http_conn *c)
{
    return c->out.len - c->sent;
}
/* Queues bytes; when that fails the connection is broken. */
void fh_http_conn_queue(fh_http_conn *c, const void *data, size_t bytes);

/* Replies (http_reply.c). */
void fh_http_reply_refusal(fh_http_conn *c, int status, const fh_err *err);
void fh_http_req_begin(fh_http_conn *c);
void fh_http_req_over(fh_http_req *r);

/* A connection to a program on this machine (http_local.c). */
typedef struct fh_local_conn fh_local_conn;
typedef struct fh_socket_watch fh_socket_watch; /* of libcurl's (http_client.c) */

struct fh_http_client {
    fh_loop *loop;
    CURLM *multi;
    fh_timer timer;
    struct event kick;
    fh_http_call *calls, *todo, *todo_last; /* todo: first come, first served */
    fh_socket_watch *sockets;
    int depth;                       /* inside libcurl, or inside a callback of a call */
    fh_local_conn *idle, *idle_last; /* the latest first */
    size_t idle_count;
    char *scratch; /* what local connections read into */
};

/* A call of the client (http_call.c), on its lists (http_client.c). */
struct fh_http_call {
    fh_http_client *client;
    fh_http_call *prev, *next;           /* of the client's calls */
    fh_http_call *todo_prev, *todo_next; /* of those with something to do */
    unsigned todo;
    CURL *easy; /* NULL: local */
    struct curl_slist *header_list, *connect_to;
    fh_local_conn *conn; /* local: while it runs */
    char address[128];   /* local: of the connection */
    fh_buf request;      /* local: the bytes to send */
    fh_err *local_err;   /* local: why it failed; owned */
    int reply_status;    /* local: of the head that is being read */
    bool local, head_only;
    fh_http_call_spec spec; /* its strings are borrowed from the caller until start returns, but for arg and callbacks */
    char *body;
    fh_timer idle;
    int64_t idle_ns, connect_ns;
    int status;
    fh_buf header_text; /* "name\0value\0..." of the present reply */
    fh_header *headers;
    size_t header_count;
    bool added, paused, headers_done, cancelled, over;
    int fault; /* why we ended the transfer ourselves: an error code; 0 */
    char where[160];
    char curl_text[CURL_ERROR_SIZE];
};

/* Fills in the call, and its libcurl handle if it is not local, from the specification; the caller frees the call when it fails. */
int fh_http_call_prepare(fh_http_call *call, const fh_http_call_spec *s, fh_err **err);
/* What comes of a reply, whoever reads it: a head begins; one of its lines (false: too many or too large); it is complete; body bytes
 * (false: no more for now). Then its end. */
void fh_http_call_reply_begin(fh_http_call *call, int status);
bool fh_http_call_header(fh_http_call *call, fh_str name, fh_str value);
void fh_http_call_headers_done(fh_http_call *call);
bool fh_http_call_data(fh_http_call *call, const char *data, size_t bytes);
void fh_http_call_finished(fh_http_call *call);       /* the reply is whole; the call is gone */
void fh_http_call_fail(fh_http_call *call, int code); /* from anywhere; it ends soon, from the loop */

/* Calls to programs on this machine (http_local.c). */
bool fh_local_serves(const fh_http_call_spec *s);
int fh_local_prepare(fh_http_call *call, const fh_http_call_spec *s, fh_err **err);
void fh_local_begin(fh_http_call *call);
void fh_local_resume(fh_http_call *call);
void fh_local_drop(fh_http_call *call); /* closes its connection */
void fh_local_close_idle(fh_http_client *c);

#endif
