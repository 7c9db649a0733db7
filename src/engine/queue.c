/* Requests that wait: those that came, and those that had to give their pages back. Under the lock of the engine, but for queue_before. */
#include "engine_private.h"

#include <string.h>

void queue_append(fh_engine *e, fh_gen *g)
{
    g->next = NULL;
    *(e->waiting_last ? &e->waiting_last->next : &e->waiting_first) = g;
    e->waiting_last = g;
    e->stats.waiting++;
}

static fh_gen *unlink_after(fh_engine *e, fh_gen *before)
{
    fh_gen *g = before ? before->next : e->waiting_first;
    *(before ? &before->next : &e->waiting_first) = g->next;
    if (e->waiting_last == g) e->waiting_last = before;
    g->next = NULL;
    e->stats.waiting--;
    return g;
}

fh_gen *queue_take_cancelled(fh_engine *e)
{
    fh_gen *before = NULL;
    for (fh_gen *g = e->waiting_first; g; before = g, g = g->next)
        if (atomic_load(&g->cancelled)) return unlink_after(e, before);
    return NULL;
}

bool queue_before(const fh_gen *a, const fh_gen *b)
{
    return a->rank_ns != b->rank_ns ? a->rank_ns < b->rank_ns : a->order < b->order;
}

fh_gen *queue_first(const fh_engine *e)
{
    fh_gen *best = NULL;
    for (fh_gen *g = e->waiting_first; g; g = g->next)
        if (!atomic_load(&g->paused) && (!best || queue_before(g, best))) best = g;
    return best;
}

void queue_take(fh_engine *e, const fh_gen *wanted)
{
    fh_gen *before = NULL;
    for (fh_gen *g = e->waiting_first; g != wanted; g = g->next) before = g;
    unlink_after(e, before);
}
