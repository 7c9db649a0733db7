/* What the files of gateway/ share. */
#ifndef FH_GATEWAY_PRIVATE_H
#define FH_GATEWAY_PRIVATE_H

#include "base/err.h"
#include "base/str.h"
#include "gateway/gateway.h"
#include "net/secret.h"
#include "gateway/usage.h"
#include "holds.h"
#include "metrics.h"
#include "net/http_client.h"

#include <stdatomic.h>

/* What an answer had to do with the cache: not looked for there; made, and perhaps kept; kept before; made for another at the same time. */
typedef enum fh_cache_state { FH_CACHE_OFF, FH_CACHE_MISS, FH_CACHE_KEPT, FH_CACHE_JOINED, FH_CACHE_STATES } fh_cache_state;
typedef struct fh_metrics { /* what has no labels of a request; one loop adds, any thread reads */
    _Atomic uint64_t limited, in_flight, prompt_tok, completion_tok, escalated, wasted_tok;
    _Atomic uint64_t cache[FH_CACHE_STATES], cached_tok;
    _Atomic uint64_t counted[FH_COUNTED]; /* requests by who counted their tokens */
    _Atomic uint64_t uncounted;           /* that should have been counted here, and could not be */
    fh_histogram queued[FH_PRIORITIES];   /* how long requests waited for a replica, by priority */
    _Atomic uint64_t waiting[FH_PRIORITIES], turned_away;
} fh_metrics;

/* What belongs to one loop. */
typedef struct fh_exchange fh_exchange;
typedef struct fh_flights fh_flights;
typedef struct fh_upstreams fh_upstreams;
typedef struct fh_prefixes fh_prefixes;
typedef struct fh_limits fh_limits;
typedef struct fh_failovers fh_failovers;
typedef struct fh_slots fh_slots;
typedef struct fh_outcomes fh_outcomes;
typedef struct fh_lane {
    fh_gateway *gateway; /* borrowed, as is the loop */
    fh_loop *loop;
    fh_http_client *client; /* owned */
    fh_timer *watch;        /* owned: looks for silent replicas every second */
    fh_exchange *open;      /* requests under way, and calls for those that share one */
    fh_flights *flights;    /* borrowed: the gateway's; or NULL */
    fh_metrics metrics;
    fh_series_set series;
} fh_lane;

enum { FH_RETRY_PRICE = 5, FH_RETRY_CREDIT_MAX = 500, FH_RETRY_CREDIT_FIRST = 100 }; /* a request earns 1 */

struct fh_gateway {
    fh_gateway_config config; /* copied; what it points to is borrowed, but for the array of loops, which is not kept */
    fh_lane *lanes;           /* owned; one a loop */
    size_t lane_count;
    fh_upstreams *upstreams; /* owned, as are the three below */
    fh_prefixes *prefixes;
    fh_limits *limits;
    fh_flights *flights;     /* owned; NULL: nothing is kept or shared */
    fh_series_table *series; /* owned, as are those below */
    fh_failovers *failovers;
    fh_slots *slots;
    fh_hold_port holds[FH_HOLD_PORTS]; /* those that bound requests, in the order of being asked */
    size_t hold_count;
    fh_outcomes *outcomes;
    _Atomic uint64_t retry_credit; /* of all requests together */
    atomic_size_t image_bytes;     /* that they hold */
    atomic_size_t reply_bytes;     /* of their whole replies, until they are sent */
    _Atomic uint64_t draws;        /* made so far, by config.seed */
    char secret[44];               /* makes salts that nobody else can name */
};

/* error_reply.c: as fh_gateway_reply_error; retry_ns: after how long asking again makes sense, 0: as usual. */
void fh_gateway_reply_error_after(fh_http_req *req, const fh_err *err, int64_t retry_ns);
fh_lane *fh_gateway_lane(const fh_gateway *g, const fh_http_req *req); /* of the loop that the request is on */

/* exchange.c: the request is the exchange's from here on. model: for what has no dialect (FH_DIALECTS) and passes as it is. */
void fh_exchange_start(fh_gateway *g, fh_http_req *req, const fh_key *key, fh_operation op, fh_wire_dialect d, fh_str model);
void fh_exchanges_watch(fh_lane *lane);
void fh_exchanges_end(fh_lane *lane);          /* those that have no client any more, before the lane's client goes */
void fh_exchange_stop_reading(fh_exchange *x); /* ends its call from the loop, as a failure of the replica */

#endif
