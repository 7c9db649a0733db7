/* What the files of gateway/ share. */
#ifndef FH_GATEWAY_PRIVATE_H
#define FH_GATEWAY_PRIVATE_H

#include "base/err.h"
#include "base/str.h"
#include "gateway/gateway.h"
#include "gateway/secret.h"
#include "net/http_client.h"

#include <stdatomic.h>

/* metrics.c: a histogram of durations with fixed bounds, by operation. */
enum { FH_METRIC_BOUNDS = 12 };
typedef struct fh_histogram {
    _Atomic uint64_t buckets[FH_METRIC_BOUNDS + 1], count;
    _Atomic int64_t sum_ns;
} fh_histogram;
typedef enum fh_operation { FH_OP_CHAT, FH_OP_COMPLETION, FH_OP_TOKENIZE, FH_OP_COUNT } fh_operation;
typedef struct fh_metrics { /* one loop adds, any thread reads */
    fh_histogram duration[FH_OP_COUNT], first_byte[FH_OP_COUNT];
    _Atomic uint64_t finished[FH_OP_COUNT], failed[FH_OP_COUNT], retried, cut, cancelled, in_flight;
} fh_metrics;
void fh_histogram_add(fh_histogram *h, int64_t ns);

/* What belongs to one loop. */
typedef struct fh_lane {
    fh_loop *loop;          /* borrowed */
    fh_http_client *client; /* owned */
    fh_metrics metrics;
} fh_lane;

struct fh_gateway {
    fh_gateway_config config; /* copied; what it points to is borrowed, but for the array of loops, which is not kept */
    fh_lane *lanes;           /* owned; one a loop */
    size_t lane_count;
    char secret[44]; /* random text of this process: makes salts that nobody else can name */
};

fh_lane *fh_gateway_lane(const fh_gateway *g, const fh_http_req *req); /* of the loop that the request is on */

/* proxy.c: passes the request to a replica that route names, and its reply back. The request is the proxy's from here on. */
void fh_proxy_start(fh_gateway *g, fh_http_req *req, fh_str key_id, fh_operation op, fh_str model, bool stream);

/* sse_cut.c: the length of the whole events at the start of data (up to and with the last blank line); 0 when none is whole. */
size_t fh_sse_whole(fh_str data);
bool fh_sse_ends_done(fh_str whole_events); /* the last of the events is "data: [DONE]" */

#endif
