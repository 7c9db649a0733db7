/* Bounded ring of pointers behind a mutex; waiting on the monotonic clock. */
#include "base/queue.h"
#include "base/clock.h"

#include <errno.h>
#include <pthread.h>

struct fh_queue {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    size_t depth, first, count;
    bool closed;
    void (*wake)(void *);
    void *wake_arg;
    void *items[];
};

fh_queue *fh_queue_new(size_t depth, void (*wake)(void *), void *wake_arg)
{
    size_t bytes;
    if (fh_mul_overflows(depth, sizeof(void *), &bytes) || fh_add_overflows(bytes, sizeof(fh_queue), &bytes)) return NULL;
    fh_queue *q = fh_calloc(1, bytes);
    if (!q) return NULL;
    q->depth = depth;
    q->wake = wake;
    q->wake_arg = wake_arg;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&q->filled, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&q->lock, NULL);
    return q;
}

void fh_queue_free(fh_queue *q)
{
    if (!q) return;
    pthread_cond_destroy(&q->filled);
    pthread_mutex_destroy(&q->lock);
    fh_free(q);
}

bool fh_queue_push(fh_queue *q, void *item)
{
    pthread_mutex_lock(&q->lock);
    bool ok = !q->closed && q->count < q->depth, was_empty = q->count == 0;
    if (ok) q->items[(q->first + q->count++) % q->depth] = item;
    if (ok) pthread_cond_signal(&q->filled);
    pthread_mutex_unlock(&q->lock);
    if (ok && was_empty && q->wake) q->wake(q->wake_arg);
    return ok;
}

static void *pop_locked(fh_queue *q)
{
    if (q->count == 0) return NULL;
    void *item = q->items[q->first];
    q->first = (q->first + 1) % q->depth;
    q->count--;
    return item;
}

void *fh_queue_pop(fh_queue *q)
{
    pthread_mutex_lock(&q->lock);
    void *item = pop_locked(q);
    pthread_mutex_unlock(&q->lock);
    return item;
}

void *fh_queue_wait(fh_queue *q, int64_t timeout_ns)
{
    int64_t until = fh_clock_mono_ns() + timeout_ns;
    struct timespec deadline = {until / FH_NS_PER_S, until % FH_NS_PER_S};
    pthread_mutex_lock(&q->lock);
    int rc = 0;
    while (q->count == 0 && !q->closed && rc != ETIMEDOUT)
        rc = timeout_ns < 0 ? pthread_cond_wait(&q->filled, &q->lock) : pthread_cond_timedwait(&q->filled, &q->lock, &deadline);
    void *item = pop_locked(q);
    pthread_mutex_unlock(&q->lock);
    return item;
}

void fh_queue_close(fh_queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->filled);
    pthread_mutex_unlock(&q->lock);
}

size_t fh_queue_count(fh_queue *q)
{
    pthread_mutex_lock(&q->lock);
    size_t n = q->count;
    pthread_mutex_unlock(&q->lock);
    return n;
}
