/* What goes through the gateway now, for the page: counts since it started, each replica, and how the last failover went. Times and counts,
 * never a text. Threads: any. */
#ifndef FH_GATEWAY_TRAFFIC_H
#define FH_GATEWAY_TRAFFIC_H

#include "observe/record.h"

typedef struct fh_gateway fh_gateway;

typedef struct fh_traffic {
    uint64_t in_flight;                                              /* requests that run now */
    uint64_t finished, failed, cancelled, retried, resumed, limited; /* requests, since the start */
    uint64_t prompt_tok, completion_tok;                             /* of streams as they come */
} fh_traffic;
void fh_gateway_traffic(const fh_gateway *g, fh_traffic *ret);

typedef struct fh_upstream_view { /* one replica, as the gateway knows it */
    char deployment[64];
    int64_t instance;
    uint64_t requests, failures, in_flight, calls, calls_bad; /* calls: answers with tool calls; bad: that cannot be made */
    uint64_t waiting;                                         /* requests that would go there first, and wait for room */
    double median_first_s;                                    /* to a first token, of late; 0: there was none of late */
    double tok_per_s, first_token_s, failure_rate;            /* moving averages; 0: not known */
    bool open;                                                /* its breaker is: it gets no requests for a while */
} fh_upstream_view;
size_t fh_gateway_upstreams(const fh_gateway *g, fh_upstream_view *ret, size_t max); /* their count, at most max */

typedef struct fh_failover { /* a request that was moved from one replica to another, or could not be */
    char request_id[40], model[128];
    bool stream, over;                            /* over: it has ended, with code */
    int code;                                     /* class of error that the client was told; 0: none */
    int64_t began_ns, first_ns, ended_ns, utc_ns; /* monotonic; when it ended, or now; wall clock of its beginning */
    uint64_t completion_tok;
    unsigned attempt_count;
    fh_attempt attempts[FH_LIMIT_RECORD_ATTEMPTS]; /* as in its record */
} fh_failover;
/* The request whose replica broke last; false when none did since the start. */
bool fh_gateway_failover(const fh_gateway *g, fh_failover *ret);

#endif
