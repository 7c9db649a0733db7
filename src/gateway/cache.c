/* Answers that are kept (see cache.h). Two rings order the entries: by their last use, and by the time at which they end. */
#include "cache.h"

#include "base/map.h"
#include <stdatomic.h>
#include <stdio.h>

typedef struct ring {
    struct ring *next, *previous;
} ring;

typedef struct entry {
    ring by_use, by_end; /* first in its ring: used, or ending, the earliest */
    uint8_t key[FH_ANSWER_KEY_BYTES];
    fh_answer *answer;
    int64_t end_ns;
} entry;

struct fh_cache {
    fh_cache_bounds bounds;
    fh_map *map; /* key -> entry */
    ring by_use, by_end;
    size_t bytes;
    uint64_t evicted, expired;
};

/* ---- answers ---- */

fh_answer *fh_answer_new(const fh_answer_head *head, const char *owner, fh_wire_finish finish, const fh_used *used, fh_str body)
{
    size_t bytes;
    if (fh_add_overflows(sizeof(fh_answer), body.len, &bytes)) return NULL;
    fh_answer *a = fh_alloc(bytes);
    if (!a) return NULL;
    *a = (fh_answer){.head = *head, .finish = finish, .used = *used, .len = body.len};
    atomic_init(&a->users, 1);
    snprintf(a->owner, sizeof a->owner, "%s", owner);
    if (body.len) memcpy(a->body, body.ptr, body.len);
    return a;
}

void fh_answer_leave(fh_answer *a)
{
    if (a && atomic_fetch_sub(&a->users, 1) == 1) fh_free(a);
}

/* ---- rings ---- */

static void ring_init(ring *r)
{
    r->next = r->previous = r;
}

static void ring_leave(ring *r)
{
    r->next->previous = r->previous;
    r->previous->next = r->next;
    ring_init(r);
}

static void ring_add_last(ring *of, ring *r)
{
    *r = (ring){of, of->previous};
    of->previous->next = r;
    of->previous = r;
}

static entry *of_use(ring *r)
{
    return (entry *)(void *)((char *)r - offsetof(entry, by_use));
}

static entry *of_end(ring *r)
{
    return (entry *)(void *)((char *)r - offsetof(entry, by_end));
}

/* ---- entries ---- */

static fh_str name_of(const uint8_t key[FH_ANSWER_KEY_BYTES])
{
    return (fh_str){(const char *)key, FH_ANSWER_KEY_BYTES};
}

/* With what the map holds for it: its node and a copy of the key. */
static size_t cost_of(const fh_answer *a)
{
    return sizeof(entry) + sizeof(fh_answer) + 2u * FH_ANSWER_KEY_BYTES + a->len;
}

static void drop(fh_cache *c, entry *e)
{
    fh_map_remove(c->map, name_of(e->key));
    ring_leave(&e->by_use);
    ring_leave(&e->by_end);
    c->bytes -= cost_of(e->answer);
    fh_answer_leave(e->answer);
    fh_free(e);
}

fh_cache *fh_cache_new(const fh_cache_bounds *bounds)
{
    fh_cache *c = fh_calloc(1, sizeof *c);
    if (!c) return NULL;
    c->bounds = *bounds;
    ring_init(&c->by_use);
    ring_init(&c->by_end);
    c->map = fh_map_new(NULL);
    if (c->map) return c;
    fh_free(c);
    return NULL;
}

void fh_cache_free(fh_cache *c)
{
    if (!c) return;
    while (c->by_use.next != &c->by_use) drop(c, of_use(c->by_use.next));
    fh_map_free(c->map);
    fh_free(c);
}

void fh_cache_expire(fh_cache *c, int64_t now_ns)
{
    for (; c->by_end.next != &c->by_end && of_end(c->by_end.next)->end_ns <= now_ns; c->expired++) drop(c, of_end(c->by_end.next));
}

fh_answer *fh_cache_find(fh_cache *c, const uint8_t key[FH_ANSWER_KEY_BYTES], int64_t now_ns)
{
    fh_cache_expire(c, now_ns);
    entry *e = fh_map_find(c->map, name_of(key));
    if (!e) return NULL;
    ring_leave(&e->by_use);
    ring_add_last(&c->by_use, &e->by_use);
    atomic_fetch_add(&e->answer->users, 1);
    return e->answer;
}

static bool make_room(fh_cache *c, size_t bytes)
{
    if (bytes > c->bounds.bytes || c->bounds.entries == 0) return false;
    for (; c->bytes > c->bounds.bytes - bytes || fh_map_count(c->map) >= c->bounds.entries; c->evicted++) drop(c, of_use(c->by_use.next));
    return true;
}

void fh_cache_put(fh_cache *c, const uint8_t key[FH_ANSWER_KEY_BYTES], fh_answer *a, int64_t now_ns)
{
    entry *before = fh_map_find(c->map, name_of(key));
    if (before) drop(c, before);
    fh_cache_expire(c, now_ns);
    entry *e = make_room(c, cost_of(a)) ? fh_calloc(1, sizeof *e) : NULL;
    if (!e) return;
    memcpy(e->key, key, sizeof e->key);
    if (!fh_map_put(c->map, name_of(key), e)) {
        fh_free(e);
        return;
    }
    e->answer = a;
    e->end_ns = now_ns + c->bounds.kept_ns;
    atomic_fetch_add(&a->users, 1);
    c->bytes += cost_of(a);
    ring_add_last(&c->by_use, &e->by_use);
    ring_add_last(&c->by_end, &e->by_end);
}

size_t fh_cache_forget(fh_cache *c, const char *owner)
{
    size_t count = 0;
    for (ring *r = c->by_use.next, *next; r != &c->by_use; r = next) {
        next = r->next;
        if (strcmp(of_use(r)->answer->owner, owner) != 0) continue;
        drop(c, of_use(r));
        count++;
    }
    return count;
}

void fh_cache_look(const fh_cache *c, fh_cache_figures *ret)
{
    *ret = (fh_cache_figures){.entries = fh_map_count(c->map), .bytes = c->bytes, .evicted = c->evicted, .expired = c->expired};
}
