/* What is known of each replica from the requests that went there: load, speed, failures, and its circuit breaker. One table for all loops.
 *
 * A record is made when a replica is first seen and forgotten when it is the oldest of too many; it is alive while somebody holds it.
 * Breaker: closed -> open after UPSTREAM_FAILURES failures in a row, for a time that doubles up to UPSTREAM_OPEN_MS -> one request is let
 * through (half open): it closes the breaker, or opens it again. Threads: any; a lock held for a lookup only. */
#ifndef FH_GATEWAY_UPSTREAMS_H
#define FH_GATEWAY_UPSTREAMS_H

#include "base/mem.h"
#include "choose.h"
#include "gateway/ports.h"
#include "gateway/traffic.h"

typedef struct fh_upstreams fh_upstreams;
typedef struct fh_upstream fh_upstream;

fh_upstreams *fh_upstreams_new(void); /* NULL when memory is out */
void fh_upstreams_free(fh_upstreams *u);
FH_DEFINE_AUTO(fh_upstreams, fh_upstreams_free);

/* What choose() needs to know of a candidate; matched, price and energy are the caller's to set. */
void fh_upstreams_look(fh_upstreams *u, const char *deployment, int64_t instance, int64_t now_ns, fh_option *ret);
/* A request goes there: expect_tok tokens to compute. NULL when memory is out. Ends with fh_upstream_end. */
fh_upstream *fh_upstreams_begin(fh_upstreams *u, const char *deployment, int64_t instance, uint64_t expect_tok, int64_t now_ns);
/* The first token came; each later one. */
void fh_upstream_first(fh_upstream *s, int64_t after_ns, int64_t now_ns);
void fh_upstream_token(fh_upstream *s, int64_t gap_ns);
/* The longest that this replica may keep silent before it counts as stalled: learned from its gaps, within limits. */
int64_t fh_upstream_stall_ns(fh_upstream *s, bool begun);
typedef enum fh_outcome {
    FH_OUTCOME_GOOD,
    FH_OUTCOME_FAILED,
    FH_OUTCOME_LEFT /* the client left: says nothing of the replica */
} fh_outcome;
void fh_upstream_end(fh_upstream *s, uint64_t expect_tok, fh_outcome outcome, int64_t now_ns); /* expect_tok: as at its begin */

/* A request waits for it, or does not any more. */
void fh_upstreams_wait(fh_upstreams *u, const char *deployment, int64_t instance, bool begins);
/* It called a tool: a call that can be made, or not. */
void fh_upstreams_called(fh_upstreams *u, const char *deployment, int64_t instance, bool good);
size_t fh_upstreams_list(fh_upstreams *u, int64_t now_ns, fh_upstream_view *ret, size_t max);

#endif
