/* One request on its way through upstreams and back; shared by exchange.c (its life), exchange_begin.c (what is asked), exchange_call.c
 * (the call of a replica), exchange_images.c (images that it names), exchange_wait.c (waiting for a replica),
 * exchange_rise.c (waiting for one that is woken), exchange_reply.c (what the
 * client gets) and exchange_share.c (who gets it together with others).
 *
 *   FETCHING    images that it names by URL, once it is known that a replica takes them; then a replica is chosen again
 *      |
 *   CHOOSING -> (WAITING ->) CALLING -> PLAIN      the reply is collected and sent whole
 *      ^                        \-----> STREAMING  events are passed on as they come
 *      |  a replica broke: another one is chosen, at once or when the fleet has replaced it;
 *      \- before the first byte from the beginning, behind it from what was sent (sent.h), if that can be
 *
 * What holds: x->call is the one open call or NULL; the client's request is alive as long as the exchange is; it ends exactly once, by
 * finish() or by the client's leaving, which cancels the call. What the client has is never sent to it again.
 *
 * One that may share its answer (flight.h) makes no call itself: it follows. The call is made by an exchange of its own, which has a flight
 * where others have a client (req is NULL, leads() is true), goes on when the client that was first leaves, and counts as no request. */
#ifndef FH_GATEWAY_EXCHANGE_H
#define FH_GATEWAY_EXCHANGE_H

#include "ask.h"
#include "base/clock.h"
#include "base/limits.h"
#include "count.h"
#include "flight.h"
#include "gateway_private.h"
#include "images.h"
#include "limits.h"
#include "outcomes.h"
#include "prefix.h"
#include "slots.h"
#include "responses.h"
#include "rules.h"
#include "seen.h"
#include "sent.h"
#include "sse_events.h"
#include "upstreams.h"
#include "wire/forced.h"

typedef enum fh_cache_wish { FH_CACHE_USE, FH_CACHE_FRESH, FH_CACHE_NEVER } fh_cache_wish; /* fresh: a new answer, which is kept */
typedef struct fh_model_choice fh_model_choice;                                            /* exchange_model.h */

struct fh_exchange {
    fh_gateway *gateway;
    fh_lane *lane;
    fh_exchange *next, *previous; /* of the lane's open ones */
    fh_http_req *req;             /* NULL: it leads a flight */
    char request_id[40];          /* of the client's request */
    fh_str body;                  /* of it; borrowed from req, or from own_body */
    char *own_body;               /* owned */
    fh_seat seat;                 /* in a flight, as its leader or a follower */
    fh_cache_state cache;         /* what the client is told */
    fh_cache_wish cache_wish;
    uint64_t charged_tok; /* of a shared call */
    fh_used shared;       /* by it, as its leader or the kept answer tells */
    bool has_shared;
    char shared_as[FH_ROUTE_IDENTITY_BYTES]; /* what the flight that it leads takes its upstream for */
    fh_http_call *call;
    fh_timer *timer; /* the next step that may not be taken from inside a callback, or only after a while */
    fh_operation op;
    fh_wire_dialect dialect; /* of the client; FH_DIALECTS: neither asked nor answered in a dialect (tokenize) */
    fh_ask ask;              /* from being read until it was sent; read again for another try */
    fh_turn *turn;           /* owned: of the Responses API; else NULL */
    fh_images *images;       /* owned: that it names by URL; NULL: none, or not known yet */
    bool images_known;
    fh_prefer prefer;
    fh_rules rules;
    fh_model_choice *choice; /* owned; NULL unless the request leaves the model open */
    struct fh_judge *judge;  /* owned; of the answer, where the model is open or there are tools to call; else NULL */
    uint32_t needs;
    uint32_t forced_needs; /* of these, what an upstream that holds its answers to schemas can do too */
    uint64_t seed;         /* 0: the upstream draws its own */
    uint64_t expect_tok;   /* of work, for the load of the replica */
    fh_key key;            /* whose it is */
    char model[256], salt[33];
    fh_hold hold;      /* what it may use at most, */
    fh_leases leases;  /* and what is held for that */
    int64_t most_tok;  /* that the answer may have, less than was asked for; 0: as it was */
    fh_price price;    /* of the replica in use */
    fh_prefix *prefix; /* owned; NULL: no prompt to know again */

    fh_route route;        /* in use, or that broke */
    fh_upstream *upstream; /* held while a call runs */
    fh_slot *slot;         /* at the replica, or in the queue for one; NULL: neither */
    fh_priority priority;
    char pool[128];                 /* whose queue it is or would be in */
    int64_t max_wait_ns;            /* for slots */
    int64_t wait_ns, wait_until_ns; /* while it waits: since, until; wait_ns 0: it does not */
    int64_t look_ns, retry_ns;      /* when replicas were last looked at; for Retry-After of a refusal, 0: as usual */
    unsigned turned_away;           /* by replicas that were busy */
    bool patience_said;             /* max_wait_ns is what the client said */
    int64_t rise_until_ns;          /* it waits, or waited, for a set to wake; 0: it did not */
    int64_t held_said_ns;           /* its stream was begun for that, with comments, the last one then; 0: it was not */
    fh_choice_reason reason;
    uint64_t tried[FH_LIMIT_TRIES]; /* replicas that broke */
    unsigned tries;
    fh_err *broken; /* why the last one broke; owned */
    int64_t start_ns, call_ns, event_ns, replace_until_ns;

    bool wants_stream, include_usage; /* as the client asked */
    bool counting;                    /* it asked how many tokens its prompt has */
    bool streaming;                   /* the reply has begun */
    bool paused;                      /* the client reads too slowly */
    bool resumed;                     /* behind a seam: events are written, not passed */
    bool begun, end_seen, failed, stalled;
    bool learned; /* what the answer tells of the model is noted */
    int status;   /* of the upstream's reply; 0 before its headers */
    char type[128], retry_after[32], reply_id[96];
    int64_t created_s;
    fh_buf in;              /* PLAIN: the reply so far; STREAMING: an event that is not whole yet */
    size_t reply_bytes;     /* in the sum of all whole replies */
    bool crowded;           /* it did not fit there: the call is about to be ended */
    fh_wire_reader *reader; /* owned */
    char *repeated;         /* owned: what the upstream will say before the answer; NULL: nothing */
    bool hides;             /* log-probabilities, which the client did not ask for */
    bool forces;            /* a tool call by the form of the answer, */
    fh_wire_forced *forced; /* owned: which this, between reader and events, turns back; else NULL */
    fh_wire_writer *writer; /* owned; NULL while bytes pass */
    fh_sent sent;
    fh_wire_usage usage;
    bool has_usage;
    size_t prompt_bytes;  /* texts of what was asked */
    uint64_t heard_bytes; /* of what has come of the answer */
    fh_count *count;      /* owned; NULL: its tokens are not counted here */
    fh_heard heard;
    fh_buf held;      /* events that tell the usage, or come behind: until it is counted */
    bool held_end;    /* END is to be written behind them */
    bool has_counted; /* it is: */
    fh_count_result counted;
    void (*then)(fh_exchange *x); /* what is done once it is */
    fh_seen seen;                 /* what is told of it at its end */
    fh_err *upstream_error;       /* that it sent in its stream; owned */
    uint32_t finishes;            /* bits of how choices ended */
    uint32_t kinds;               /* bits of the kinds in the event that is read */
    fh_buf out;                   /* while events are taken: what goes to the client */
};

/* exchange_reply.c */
bool fh_exchange_is_stream(const fh_exchange *x);                   /* the upstream's reply is */
fh_wire_dialect fh_exchange_upstream_dialect(const fh_exchange *x); /* of what x->route answers */
/* A reader of what x->route answers; its sink gets x. *ret_forced: what stands between them, or NULL as before. Both are the caller's. */
int fh_exchange_reader(fh_exchange *x, fh_wire_sink *sink, fh_wire_reader **ret, fh_wire_forced **ret_forced, fh_err **err);
int fh_exchange_listen(fh_exchange *x, fh_err **err); /* a reader, and a writer where one is needed, for the call to come */
/* Takes what has come: false when the client should not be written to for now. A stream that cannot go on has upstream_error set. */
bool fh_exchange_take_events(fh_exchange *x);
void fh_exchange_end_stream(fh_exchange *x);             /* what is still missing at the end of a good stream */
void fh_exchange_cut(fh_exchange *x, const fh_err *why); /* an error event, and no good end */
void fh_exchange_read_plain(fh_exchange *x);             /* the whole reply, good or an error of the upstream: what it says, */
void fh_exchange_give_plain(fh_exchange *x);             /* and what the client gets of it */
void fh_exchange_send_error(fh_exchange *x, const fh_err *why);
fh_err *fh_exchange_error_said(fh_exchange *x); /* by the upstream's whole reply; owned; NULL: none that can be read */
int fh_exchange_code_of(int status);            /* the class of error that an upstream's status is */
void fh_exchange_give(fh_exchange *x, const char *type, fh_str body); /* a whole reply with the status of x */
void fh_exchange_stream(fh_exchange *x);                              /* a streamed reply begins */
void fh_exchange_hold_stream(fh_exchange *x);                         /* the same, before anything answers */
void fh_exchange_fail_held(fh_exchange *x); /* the upstream's whole reply, where the client's has begun as a stream: an error; x is gone */
/* exchange_room.c */
/* x holds so many bytes of whole replies; false: it would be more than before, and is too much for all together. It holds what it did. */
bool fh_exchange_hold(fh_exchange *x, size_t bytes);
bool fh_exchange_hold_reply(fh_exchange *x); /* the same of what has come, and what is made of it */
int fh_exchange_no_room(fh_err **err);       /* FH_E_BUSY */
void fh_exchange_crowd(fh_exchange *x);      /* from the call: what came goes, and the exchange ends from the loop */
void fh_exchange_crowded(fh_exchange *x);    /* that end */
/* exchange_count.c */
void fh_exchange_count_begin(fh_exchange *x); /* x->route is to be asked */
void fh_exchange_count_event(fh_exchange *x, const fh_wire_event *e);
bool fh_exchange_holds(const fh_exchange *x); /* what tells the usage has to wait until it is counted */
/* A whole answer came: true when it is counted now, and then(x) is called on its loop; false: there is nothing to wait for. */
bool fh_exchange_counts(fh_exchange *x, void (*then)(fh_exchange *x));
void fh_used_counted(fh_used *u, const fh_count_result *r); /* our count in the place of theirs */
bool fh_exchange_settles_later(fh_exchange *x);             /* once it is counted, and records it then: x is at its end */
void fh_exchange_count_end(fh_exchange *x);
/* exchange_used.c */
fh_used fh_exchange_used(const fh_exchange *x);              /* so far */
fh_spent fh_exchange_spent(const fh_exchange *x);            /* what of it is charged */
void fh_exchange_usage(const fh_exchange *x, fh_usage *ret); /* all of it; borrows from x */
void fh_exchange_keep_usage(const fh_exchange *x);           /* its record, at its end */
void fh_exchange_cost_headers(const fh_exchange *x);         /* of a whole reply */
bool fh_exchange_tells_usage(const fh_exchange *x);          /* the client's stream has an event that tells the usage */
/* Whole events as they are for the client: the one that tells the usage gets the object "freehold". */
void fh_exchange_add_usage(const fh_exchange *x, fh_str events, fh_buf *out);
/* exchange_share.c */
int fh_exchange_read_cache(fh_exchange *x, fh_err **err); /* what the request wishes */
/* Who is to ask x->route: x, or an exchange that leads for it and others; NULL when nobody is: the answer is there or on its way. */
fh_exchange *fh_exchange_share(fh_exchange *x);
static inline bool fh_exchange_leads(const fh_exchange *x)
{
    return !x->req;
}
void fh_exchange_follow(fh_exchange *x);                                    /* takes what there is of its flight; x may be gone */
void fh_exchange_lead_stream(fh_exchange *x);                               /* its streamed reply begins */
void fh_exchange_lead_whole(fh_exchange *x, const char *type, fh_str body); /* its reply, and its end */
bool fh_exchange_write(fh_exchange *x, const fh_buf *out);                  /* to the client, or the flight; false: not for now */
void fh_exchange_land(fh_exchange *x, fh_err *err); /* the reply of a leader ends; takes err, of one that failed before its reply began */
void fh_exchange_lead_error(fh_exchange *x, const fh_err *why); /* an error instead */
void fh_exchange_unshare(fh_exchange *x);                       /* leaves the flight, if there is one */
const char *fh_cache_state_name(fh_cache_state s);              /* "off", "miss", "hit", "hit" */
/* exchange_begin.c: reads the request and admits it by its key's limits. model: of what has no dialect. */
int fh_exchange_read(fh_exchange *x, const fh_key *key, fh_str model, fh_err **err);
/* exchange_call.c: asks x->route; the exchange goes on when the call has something to say. */
int fh_exchange_send(fh_exchange *x, fh_err **err);
/* exchange_images.c: true while it fetches images before x->route can be asked, or x is gone because they cannot be had. */
bool fh_exchange_fetches(fh_exchange *x);
/* exchange_wait.c */
int fh_exchange_read_patience(fh_exchange *x, fh_err **err); /* priority, and how long it may wait */
/* At at[0], or in the queue for any of at. True: it has one, or needs none. False: it waits, and goes on when it has one, or is gone. */
bool fh_exchange_take_slot(fh_exchange *x, const fh_slot_at *at, size_t count);
void fh_exchange_give_slot(fh_exchange *x, uint64_t used_tok); /* used_tok 0: not known */
void fh_exchange_watch_wait(fh_exchange *x, int64_t now_ns);   /* of one that waits; x may be gone behind it */
/* The replica refused for being busy: true when it waits or another one has it. */
bool fh_exchange_wait_for_room(fh_exchange *x);
/* exchange_rise.c: none is ready. True when it waits for one that is on its way or is woken now, or x is gone because it may not wait. */
bool fh_exchange_rises(fh_exchange *x);
static inline bool fh_exchange_held(const fh_exchange *x)
{
    return x->held_said_ns != 0;
}
void fh_exchange_watch_held(fh_exchange *x, int64_t now_ns); /* comments, as long as there is no answer */
/* exchange.c: a replica is chosen and asked; x may be gone behind it. */
void fh_exchange_choose(fh_exchange *x);
void fh_exchange_choose_later(fh_exchange *x, int64_t delay_ns);
bool fh_exchange_suits(const fh_exchange *x, const fh_candidate *c);
/* The dearest that would do, and the replicas that would do now. */
void fh_exchange_price(fh_exchange *x, int64_t *ret_in_nusd, int64_t *ret_out_nusd);
size_t fh_exchange_places(fh_exchange *x, fh_slot_at *ret, size_t max);
/* exchange.c */
fh_exchange *fh_exchange_fork(fh_exchange *x);                   /* one without client that asks what x was to ask; NULL: no memory */
void fh_exchange_abandon(fh_exchange *x);                        /* nobody waits for it: its call is cancelled, x is gone */
void fh_exchange_leave(fh_exchange *x, fh_outcome outcome);      /* the replica: the call is over */
void fh_exchange_broke(fh_exchange *x, const fh_err *why);       /* the replica broke: another one, or the end */
void fh_exchange_fail(fh_exchange *x, fh_err *err);              /* takes err; the end, x is gone */
void fh_exchange_refuse(fh_exchange *x, fh_err *err);            /* the same of an error that names its field as the client does */
void fh_exchange_name_param(const fh_exchange *x, fh_err **err); /* of an error about the chat request: as the client calls it */
void fh_exchange_finish(fh_exchange *x);                         /* the reply has ended; x is gone */
void fh_exchange_drained(void *arg);                             /* the client reads again */
void fh_exchange_again(fh_exchange *x);                          /* nothing of the reply was sent: another model is asked */

#endif
