/* The server's side of measuring the machines of its pool, over their links (paths under /v1/measure, which examined.c answers):
 *
 *   GET  link/0          four times: the least is the round trip
 *   PUT  link            bytes that nobody can foresee; the answer is their SHA-256
 *   GET  link/N          N bytes
 *   PUT  memory          {"seed", "bytes"}: an array is made of a seed (memory_work.h); answered when it is there
 *   POST memory          {"key", "passes"}: it is read so often. The head of the reply has the key of the pass after the last one, the body
 *                        the digests that lead there: the clock stops at the head, and digests that are drawn are made again here. A few
 *                        passes; where those were fast, both once more with as many as take a while
 *
 * A machine is measured a moment after it came and every MEASURE_AGAIN_MS, while nothing else goes over its link; what comes meanwhile ends
 * the measuring, which is tried again later. MEASURES at once. All on the loop's thread. */
#ifndef FH_POOL_EXAMINER_H
#define FH_POOL_EXAMINER_H

#include "link/link.h"
#include "pool/measured.h"

typedef struct pool_examiner pool_examiner;
typedef struct pool_exam pool_exam; /* of one machine */

/* Called from the loop when something was measured; *m is all that is known by now. */
typedef void pool_measured_fn(void *arg, int64_t node, const fh_node_measured *m);
int pool_examiner_new(pool_examiner **ret, fh_loop *l, int64_t (*now_utc_ns)(void), pool_measured_fn *fn, void *arg, fh_err **err);
void pool_examiner_free(pool_examiner *e); /* after its exams */

/* The machine is here; facts are what it says of itself, m what is known of it, its at_utc_ns when that was measured. NULL when memory is
 * out: then it is not measured. */
pool_exam *pool_exam_begin(pool_examiner *e, fh_link *l, int64_t node, const fh_json *facts, const fh_node_measured *m);
void pool_exam_end(pool_exam *x); /* its link is gone or about to; NULL is fine */

#endif
