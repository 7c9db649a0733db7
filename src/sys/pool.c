/* The SPMD pool: a run is announced by bumping `run`, its end by `left` reaching zero; barriers count arrivals and bump `phase`.
 *
 * Every wait spins first and then sleeps on a futex; the waker makes a system call only when somebody has said that they sleep. Each word
 * that several threads write has a cache line of its own. What holds: workers only leave a run through `left`, so fh_pool_run returns when
 * no worker is inside fn any more. */
#include "sys/pool.h"
#include "sys/cpu.h"
#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CACHE_LINE    64
#define BARRIER_SPINS 2000 /* about 30 to 100 us; then the core is needed by someone else */
#define RUN_SPINS     6000 /* between runs: the time that sampling a token takes */

/* A counter that threads wait on. */
typedef struct event {
    _Alignas(CACHE_LINE) _Atomic uint32_t value;
    _Atomic uint32_t sleepers;
} event;

typedef struct slot {
    _Alignas(CACHE_LINE) fh_worker worker;
    pthread_t thread;
    bool started;
} slot;

typedef void run_fn(fh_worker *w, void *arg);

struct fh_pool {
    event run, phase, left;
    _Alignas(CACHE_LINE) _Atomic uint32_t arrived;
    _Alignas(CACHE_LINE) run_fn *fn; /* written before run.value changes */
    void *arg;
    bool stopping;
    unsigned count;
    bool pinned, caller_pinned;
    pthread_t caller;
    cpu_set_t caller_mask; /* to give back */
    unsigned cpus[FH_POOL_MAX];
    slot *slots;
};

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void futex(_Atomic uint32_t *word, int op, uint32_t value)
{
    syscall(SYS_futex, (void *)word, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

/* Returns when the value is no longer `old`. */
static void event_wait(event *e, uint32_t old, unsigned spins)
{
    for (unsigned i = 0; i < spins; i++) {
        if (atomic_load_explicit(&e->value, memory_order_acquire) != old) return;
        relax();
    }
    atomic_fetch_add(&e->sleepers, 1);
    while (atomic_load(&e->value) == old) futex(&e->value, FUTEX_WAIT, old);
    atomic_fetch_sub(&e->sleepers, 1);
}

static void event_wake(event *e)
{
    if (atomic_load(&e->sleepers) > 0) futex(&e->value, FUTEX_WAKE, INT32_MAX);
}

void fh_barrier(fh_worker *w)
{
    fh_pool *p = w->pool;
    if (p->count == 1) return;
    uint32_t phase = atomic_load_explicit(&p->phase.value, memory_order_relaxed);
    if (atomic_fetch_add(&p->arrived, 1) + 1 < p->count) {
        event_wait(&p->phase, phase, BARRIER_SPINS);
        return;
    }
    atomic_store_explicit(&p->arrived, 0, memory_order_relaxed); /* nobody arrives again before the phase changes */
    atomic_fetch_add(&p->phase.value, 1);
    event_wake(&p->phase);
}

static void leave_run(fh_pool *p)
{
    if (atomic_fetch_sub(&p->left.value, 1) == 1) event_wake(&p->left);
}

static void pin_self(unsigned cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set); /* where it is refused, the scheduler places us */
}

static void *worker_main(void *arg)
{
    slot *s = arg;
    fh_pool *p = s->worker.pool;
    if (p->pinned) pin_self(p->cpus[s->worker.index]);
    for (uint32_t seen = 0;; seen++) {
        event_wait(&p->run, seen, RUN_SPINS);
        if (p->stopping) return NULL;
        p->fn(&s->worker, p->arg);
        leave_run(p);
    }
}

static void pin_caller(fh_pool *p)
{
    if (!p->pinned || p->caller_pinned) return;
    p->caller = pthread_self();
    if (pthread_getaffinity_np(p->caller, sizeof p->caller_mask, &p->caller_mask) != 0) return;
    p->caller_pinned = true;
    pin_self(p->cpus[0]);
}

/* A value of `left` that the caller has seen may change several times before it looks again: it waits until it is zero. */
static void wait_all_left(fh_pool *p)
{
    uint32_t left;
    while ((left = atomic_load_explicit(&p->left.value, memory_order_acquire)) != 0) event_wait(&p->left, left, BARRIER_SPINS);
}

void fh_pool_run(fh_pool *p, void (*fn)(fh_worker *w, void *arg), void *arg)
{
    pin_caller(p);
    p->fn = fn;
    p->arg = arg;
    atomic_store_explicit(&p->left.value, p->count - 1, memory_order_relaxed);
    atomic_fetch_add(&p->run.value, 1);
    event_wake(&p->run);
    fn(&p->slots[0].worker, arg);
    wait_all_left(p);
}

unsigned fh_pool_count(const fh_pool *p)
{
    return p->count;
}

void fh_worker_range(const fh_worker *w, size_t n, size_t grain, size_t *ret_first, size_t *ret_last)
{
    assert(grain > 0);
    size_t grains = n / grain + (n % grain != 0), each = grains / w->count, more = grains % w->count;
    size_t first = each * w->index + FH_MIN(w->index, more), last = first + each + (w->index < more);
    *ret_first = FH_MIN(first * grain, n);
    *ret_last = FH_MIN(last * grain, n);
}

static int start_worker(fh_pool *p, unsigned i, fh_err **err)
{
    slot *s = &p->slots[i];
    int e = pthread_create(&s->thread, NULL, worker_main, s);
    if (e != 0) {
        int code = fh_err_errno(err, FH_E_UNAVAILABLE, e, "cannot start computing thread %u of %u", i + 1, p->count);
        fh_err_hint(err, "ask for fewer threads, or raise the limit on processes (ulimit -u, pids.max of the cgroup)");
        return code;
    }
    s->started = true;
    char name[16];
    snprintf(name, sizeof name, "fh-compute-%u", i);
    pthread_setname_np(s->thread, name);
    return 0;
}

static unsigned threads_wanted(unsigned threads)
{
    return threads == 0 ? FH_MIN(fh_topo_threads(), FH_POOL_MAX) : threads;
}

int fh_pool_new(fh_pool **ret, unsigned threads, fh_err **err)
{
    threads = threads_wanted(threads);
    if (threads > FH_POOL_MAX) return fh_err_set(err, FH_E_USAGE, "%u threads asked for, at most %d work together", threads, FH_POOL_MAX);
    FH_AUTO(fh_pool) fh_pool *p = fh_alloc_aligned(CACHE_LINE, sizeof *p);
    if (!p) return fh_err_nomem(err);
    *p = (fh_pool){.count = threads};
    p->slots = fh_alloc_aligned(CACHE_LINE, threads * sizeof *p->slots);
    if (!p->slots) return fh_err_nomem(err);
    for (unsigned i = 0; i < threads; i++) p->slots[i] = (slot){.worker = {.pool = p, .index = i, .count = threads}};
    p->pinned = fh_topo_cpus(p->cpus, FH_POOL_MAX) == threads || (threads > 1 && threads == fh_topo_threads());
    for (unsigned i = 1; i < threads; i++) {
        int e = start_worker(p, i, err);
        if (e < 0) return e;
    }
    *ret = fh_take(p);
    return 0;
}

static void stop_workers(fh_pool *p)
{
    p->stopping = true;
    atomic_fetch_add(&p->run.value, 1);
    event_wake(&p->run);
    for (unsigned i = 1; i < p->count; i++) {
        if (p->slots[i].started) pthread_join(p->slots[i].thread, NULL);
    }
}

void fh_pool_free(fh_pool *p)
{
    if (!p) return;
    if (p->slots) stop_workers(p);
    if (p->caller_pinned && pthread_equal(p->caller, pthread_self()))
        pthread_setaffinity_np(p->caller, sizeof p->caller_mask, &p->caller_mask);
    fh_free(p->slots);
    fh_free(p);
}
