/* W3C trace context: where a request belongs in somebody's trace, read strictly from its headers and written for those whom we ask.
 * Source: W3C Trace Context, Level 1 (Recommendation), with Level 2's flag that says a trace id is random. Pure; threads: any. */
#ifndef FH_OBSERVE_TRACE_H
#define FH_OBSERVE_TRACE_H

#include "base/str.h"

enum { FH_TRACE_ID_BYTES = 16, FH_SPAN_ID_BYTES = 8, FH_TRACEPARENT_LEN = 55 };
enum { FH_TRACE_SAMPLED = 1, FH_TRACE_RANDOM = 2 }; /* flags that are passed on; others are dropped */

typedef struct fh_trace {
    uint8_t id[FH_TRACE_ID_BYTES];
    uint8_t parent[FH_SPAN_ID_BYTES]; /* the span that asked us; all zero: the trace begins here */
    uint8_t flags;
} fh_trace;

/* A traceparent of version 00, or what a later version has in common with it. False for anything else, and for ids that are all zero. */
bool fh_traceparent_read(fh_str value, fh_trace *ret);
/* "00-<trace id>-<span>-<flags>", NUL-terminated. */
void fh_traceparent_write(const fh_trace *t, const uint8_t span[FH_SPAN_ID_BYTES], char out[FH_TRACEPARENT_LEN + 1]);
/* Whether a tracestate may be passed on as it came: its members are well-formed, no key comes twice, and it is within TRACESTATE_BYTES and
 * TRACESTATE_MEMBERS. An empty one may not: there is nothing to pass on. */
bool fh_tracestate_valid(fh_str value);

#endif
