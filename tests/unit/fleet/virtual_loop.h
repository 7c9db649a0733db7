/* The event loop and the clocks on virtual time, in place of net/loop.c and base/clock.c: what waits costs nothing, and a run is the same
 * each time. One thread runs the loop; time stands still while anything is done. */
#ifndef FH_TEST_VIRTUAL_LOOP_H
#define FH_TEST_VIRTUAL_LOOP_H

#include "base/clock.h"
#include "net/loop.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t virtual_ns = FH_NS_PER_S;
#define VIRTUAL_EPOCH_S 1700000000

typedef struct virtual_event {
    int64_t at_ns;
    uint64_t order;
    void (*fn)(void *arg);
    void *arg;
    struct fh_timer *timer; /* or NULL: fn */
    uint64_t armed;         /* of the timer: an older one is nothing */
} virtual_event;

struct fh_timer {
    void (*fn)(void *arg);
    void *arg;
    uint64_t armed; /* 0: it does not run */
    bool freed;
    unsigned pending; /* events that still name it */
};

static struct {
    virtual_event *heap;
    size_t count, room;
    uint64_t order;
    bool stopped;
} virtual_loop;

static bool is_before(const virtual_event *a, const virtual_event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void virtual_push(virtual_event e)
{
    if (virtual_loop.count == virtual_loop.room) {
        virtual_loop.room = virtual_loop.room ? 2 * virtual_loop.room : 1024;
        virtual_loop.heap = realloc(virtual_loop.heap, virtual_loop.room * sizeof(e));
        if (!virtual_loop.heap) abort();
    }
    e.order = ++virtual_loop.order;
    size_t i = virtual_loop.count++;
    for (; i && is_before(&e, &virtual_loop.heap[(i - 1) / 2]); i = (i - 1) / 2) virtual_loop.heap[i] = virtual_loop.heap[(i - 1) / 2];
    virtual_loop.heap[i] = e;
}

static virtual_event virtual_pop(void)
{
    virtual_event top = virtual_loop.heap[0], last = virtual_loop.heap[--virtual_loop.count];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < virtual_loop.count; i = child) {
        if (child + 1 < virtual_loop.count && is_before(&virtual_loop.heap[child + 1], &virtual_loop.heap[child])) child++;
        if (!is_before(&virtual_loop.heap[child], &last)) break;
        virtual_loop.heap[i] = virtual_loop.heap[child];
    }
    virtual_loop.heap[i] = last;
    return top;
}

static void virtual_after(int64_t delay_ns, void (*fn)(void *arg), void *arg)
{
    virtual_push((virtual_event){.at_ns = virtual_ns + delay_ns, .fn = fn, .arg = arg});
}

/* ---- base/clock.h ---- */

int64_t fh_clock_mono_ns(void)
{
    return virtual_ns;
}

int64_t fh_clock_utc_ns(void)
{
    return VIRTUAL_EPOCH_S * FH_NS_PER_S + virtual_ns;
}

void fh_sleep_ns(int64_t ns)
{
    virtual_ns += ns;
}

void fh_clock_format_utc(int64_t utc_ns, char *out, size_t out_size)
{
    snprintf(out, out_size, "%lld.%03lld", (long long)(utc_ns / FH_NS_PER_S), (long long)(utc_ns % FH_NS_PER_S / FH_NS_PER_MS));
}

/* ---- net/loop.h: there is one loop, whoever asks ---- */

int fh_loop_new(fh_loop **ret, fh_err **err)
{
    *ret = (fh_loop *)(void *)&virtual_loop;
    return 0;
}

/* What waits is for a fleet that is gone: its timers were freed, and nothing else may be called. */
void fh_loop_free(fh_loop *l)
{
    for (size_t i = 0; i < virtual_loop.count; i++) {
        fh_timer *t = virtual_loop.heap[i].timer;
        if (t && --t->pending == 0 && t->freed) free(t);
    }
    free(virtual_loop.heap);
    virtual_loop.heap = NULL;
    virtual_loop.count = virtual_loop.room = 0;
}

static void virtual_fire(const virtual_event *e)
{
    fh_timer *t = e->timer;
    if (!t) {
        e->fn(e->arg);
        return;
    }
    t->pending--;
    if (t->freed) {
        if (t->pending == 0) free(t);
    } else if (t->armed == e->armed) {
        t->armed = 0;
        t->fn(t->arg);
    }
}

int fh_loop_run(fh_loop *l, fh_err **err)
{
    while (!virtual_loop.stopped && virtual_loop.count) {
        virtual_event e = virtual_pop();
        if (e.at_ns > virtual_ns) virtual_ns = e.at_ns;
        virtual_fire(&e);
    }
    return 0;
}

void fh_loop_stop(fh_loop *l)
{
    virtual_loop.stopped = true;
}

bool fh_loop_post(fh_loop *l, void (*fn)(void *arg), void *arg)
{
    if (!virtual_loop.stopped) virtual_after(0, fn, arg);
    return true;
}

bool fh_loop_call(fh_loop *l, void (*fn)(void *arg), void *arg)
{
    fn(arg);
    return true;
}

int fh_timer_new(fh_timer **ret, fh_loop *l, void (*fn)(void *arg), void *arg, fh_err **err)
{
    fh_timer *t = calloc(1, sizeof(*t));
    if (!t) abort();
    *t = (fh_timer){.fn = fn, .arg = arg};
    *ret = t;
    return 0;
}

void fh_timer_start(fh_timer *t, int64_t delay_ns)
{
    t->armed = virtual_loop.order + 1;
    t->pending++;
    virtual_push((virtual_event){.at_ns = virtual_ns + (delay_ns > 0 ? delay_ns : 0), .timer = t, .armed = t->armed});
}

void fh_timer_stop(fh_timer *t)
{
    t->armed = 0;
}

void fh_timer_free(fh_timer *t)
{
    if (!t) return;
    t->freed = true;
    if (t->pending == 0) free(t);
}

/* Nothing connects, and no process of ours ends. */
int fh_watch_new(fh_watch **ret, fh_loop *l, int fd, void (*fn)(void *arg), void *arg, fh_err **err)
{
    *ret = NULL;
    return 0;
}

void fh_watch_free(fh_watch *w)
{
}

#endif
