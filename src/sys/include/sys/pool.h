/* A fixed pool of threads, pinned one to a core, that run the same function together (SPMD): the engine's forward pass is one such run with
 * barriers between its steps.
 *
 * The caller's thread is worker 0; it is pinned from its first run until fh_pool_free (called by the same thread). A pool that does not
 * fill all the processors it may use is not pinned, so that two small pools do not share a core. Between runs and in barriers workers spin
 * for a short while, then sleep (futex), so that an idle engine uses no CPU. Threads: fh_pool_run by one thread at a time. */
#ifndef FH_SYS_POOL_H
#define FH_SYS_POOL_H

#include "base/err.h"
#include "base/mem.h"

#define FH_POOL_MAX 256 /* threads of one pool */

typedef struct fh_pool fh_pool;
typedef struct fh_worker {
    fh_pool *pool;
    unsigned index, count; /* 0 <= index < count */
} fh_worker;

/* threads: 0 = one a physical core that this process may use (hwloc, cgroup quota and affinity respected). */
int fh_pool_new(fh_pool **ret, unsigned threads, fh_err **err);
void fh_pool_free(fh_pool *p);
unsigned fh_pool_count(const fh_pool *p);
void fh_pool_run(fh_pool *p, void (*fn)(fh_worker *w, void *arg), void *arg);
void fh_barrier(fh_worker *w); /* all workers of the run must call it */
/* The part [first, last) of n items, in multiples of grain, that is this worker's. */
void fh_worker_range(const fh_worker *w, size_t n, size_t grain, size_t *ret_first, size_t *ret_last);
FH_DEFINE_AUTO(fh_pool, fh_pool_free);

#endif
