/* A bounded queue of pointers between threads: many writers, one or many readers. When it is full, a push fails at once: the caller says
 * what happens then. Optional wake is called after each push that found the queue empty, on the pushing thread, outside the lock. */
#ifndef FH_BASE_QUEUE_H
#define FH_BASE_QUEUE_H

#include "base/mem.h"

typedef struct fh_queue fh_queue;

fh_queue *fh_queue_new(size_t depth, void (*wake)(void *), void *wake_arg);
void fh_queue_free(fh_queue *q);             /* items left inside are the caller's loss: pop them first */
bool fh_queue_push(fh_queue *q, void *item); /* false when full or closed */
void *fh_queue_pop(fh_queue *q);             /* NULL when empty */
/* Waits up to timeout_ns (negative: for ever); NULL on timeout, or when closed and empty. */
void *fh_queue_wait(fh_queue *q, int64_t timeout_ns);
void fh_queue_close(fh_queue *q); /* pushes fail from now on, waiters wake */
size_t fh_queue_count(fh_queue *q);
FH_DEFINE_AUTO(fh_queue, fh_queue_free);

#endif
