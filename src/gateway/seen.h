/* What is noted of an exchange along the way, for metrics, access log and traces: when it was where, and how that ended. Whoever adds a
 * step to an exchange notes it here; everything else is read from the exchange at its end. */
#ifndef FH_GATEWAY_SEEN_H
#define FH_GATEWAY_SEEN_H

#include "observe/record.h"
#include "gateway/keys.h"
#include "metrics.h"
#include "net/http.h"
#include "upstreams.h"
#include "wire/stream.h"

typedef struct fh_exchange fh_exchange;
typedef struct fh_seen {
    fh_trace trace;
    uint8_t span[FH_SPAN_ID_BYTES]; /* of the request */
    char *trace_state;              /* owned; NULL: none is passed on */
    const char *key_class;          /* static text */
    int64_t first_ns, queued_ns;
    fh_series *series;    /* of its lane, for what goes well; NULL before a replica was asked */
    uint64_t counted_tok; /* of the answer, in the lane's sum already */
    int code;             /* that an error of ours had; 0: the upstream's own reply, good or bad */
    bool finished, broke; /* an answer ended; a replica broke */
    bool gone;            /* the client left before it had all */
    fh_wire_finish finish;
    unsigned attempt_count;
    fh_attempt attempts[FH_LIMIT_RECORD_ATTEMPTS];
} fh_seen;

void fh_seen_begin(fh_exchange *x, const fh_key *key);
void fh_seen_asked(fh_exchange *x);                 /* x->route is asked now */
void fh_seen_piece(fh_exchange *x, int64_t now_ns); /* something of the answer came */
void fh_seen_finish(fh_exchange *x, fh_wire_finish finish);
void fh_seen_left(fh_exchange *x, fh_outcome outcome); /* the present replica is done with */
void fh_seen_broke(fh_exchange *x, const fh_err *why); /* and this is why; NULL: it replied with an error */
void fh_seen_tally(fh_exchange *x, fh_tally t);
void fh_seen_end(fh_exchange *x, bool gone); /* the reply has ended, or its client has left */
int fh_seen_code(const fh_exchange *x);      /* class of error that its client was told; 0: none */
void fh_seen_fini(fh_seen *s);
/* Headers for the replica that is asked: at most two, appended; text is the caller's and must live as long. */
size_t fh_seen_headers(const fh_exchange *x, char text[FH_TRACEPARENT_LEN + 1], fh_header *headers, size_t count);

#endif
