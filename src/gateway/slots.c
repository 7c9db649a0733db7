/* Slots at replicas (see slots.h). */
#include "slots.h"

#include "base/clock.h"
#include "fair.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { REPLICAS = FH_LIMIT_UPSTREAMS, POOLS = FH_LIMIT_QUEUE_POOLS, PLACES = FH_LIMIT_SLOT_PLACES };
#define SHARE 0.1 /* of a new sample in a moving average */

typedef struct replica {
    uint64_t id; /* 0: free */
    uint32_t at_once, learned, used, credit;
    int64_t paused_until_ns; /* 0: not */
} replica;

typedef struct pool {
    char name[128];
    fh_fair *fair; /* owned; NULL: free */
    size_t running;
    int64_t moved_ns; /* when somebody was last let in */
    double gap_s;     /* between two that are let in, while more wait */
} pool;

struct fh_slot {
    fh_fair_item item; /* first: it is what the queue holds */
    fh_slot *next;     /* of those that left while they were to be told */
    fh_slots *table;
    pool *pool;  /* NULL: nothing bounds its replica */
    replica *at; /* whose slot it has; NULL while it waits, and where replicas are too many to count */
    char key_id[FH_KEY_ID_LEN + 1];
    fh_priority priority;
    uint64_t cost_tok, replica;
    fh_slot_at places[PLACES];
    size_t place_count;
    fh_slot_state state;
    bool turned_away, to_be_told, left;
    fh_loop *loop;
    void (*moved)(void *arg);
    void *arg;
};

struct fh_slots {
    pthread_mutex_t lock;
    replica replicas[REPLICAS];
    pool pools[POOLS];
    size_t turn; /* which pool is looked at first */
    size_t waiting;
    fh_slot *left; /* who is gone, and will be freed when the loop comes to tell them */
};

fh_slots *fh_slots_new(void)
{
    fh_slots *s = fh_calloc(1, sizeof *s);
    if (s) pthread_mutex_init(&s->lock, NULL);
    return s;
}

void fh_slots_free(fh_slots *s)
{
    if (!s) return;
    while (s->left) {
        fh_slot *slot = s->left;
        s->left = slot->next;
        fh_free(slot);
    }
    for (size_t i = 0; i < POOLS; i++) fh_fair_free(s->pools[i].fair);
    pthread_mutex_destroy(&s->lock);
    fh_free(s);
}

/* ---- replicas ---- */

static replica *find_replica(fh_slots *s, uint64_t id)
{
    for (size_t i = 0; i < REPLICAS && s->replicas[i].id; i++)
        if (s->replicas[i].id == id) return &s->replicas[i];
    return NULL;
}

/* One of which nobody has a slot gives way, at best one of which nothing was learned. */
static replica *place(fh_slots *s)
{
    replica *idle = NULL;
    for (size_t i = 0; i < REPLICAS; i++) {
        replica *r = &s->replicas[i];
        if (r->id == 0) return r;
        if (r->used == 0 && !r->paused_until_ns && (!idle || r->learned < idle->learned)) idle = r;
    }
    return idle;
}

static replica *know_replica(fh_slots *s, fh_slot_at at)
{
    replica *r = find_replica(s, at.replica);
    if (!r && (r = place(s))) *r = (replica){.id = at.replica};
    if (r) r->at_once = at.at_once;
    return r;
}

static uint32_t most_at_once(const replica *r)
{
    return r->at_once ? r->at_once : r->learned;
}

static bool is_bounded(const replica *r)
{
    return most_at_once(r) || r->paused_until_ns;
}

static bool has_room(const replica *r, int64_t now_ns)
{
    if (now_ns < r->paused_until_ns) return false;
    return !most_at_once(r) || r->used < most_at_once(r);
}

bool fh_slots_room(fh_slots *s, fh_slot_at at, int64_t now_ns)
{
    pthread_mutex_lock(&s->lock);
    replica *r = know_replica(s, at);
    bool room = !r || has_room(r, now_ns);
    pthread_mutex_unlock(&s->lock);
    return room;
}

/* As many as it bore before it refused, and one more whenever so many have ended well. */
static void learn(replica *r)
{
    if (r->at_once || !r->learned || r->used < r->learned || ++r->credit < r->learned) return;
    r->learned++;
    r->credit = 0;
}

/* ---- pools ---- */

static pool *find_pool(fh_slots *s, const char *name)
{
    for (size_t i = 0; i < POOLS; i++)
        if (s->pools[i].fair && strcmp(s->pools[i].name, name) == 0) return &s->pools[i];
    return NULL;
}

static bool is_idle(const pool *p)
{
    return p->running == 0 && fh_fair_count(p->fair) == 0;
}

/* A free one, or one that nobody uses; NULL: then there is no queue. */
static pool *know_pool(fh_slots *s, const char *name)
{
    pool *p = find_pool(s, name);
    if (p) return p;
    for (size_t i = 0; i < POOLS && !p; i++)
        if (!s->pools[i].fair || is_idle(&s->pools[i])) p = &s->pools[i];
    if (!p) return NULL;
    fh_fair_free(p->fair);
    *p = (pool){.fair = fh_fair_new(FH_LIMIT_QUEUE_WAITING, FH_LIMIT_QUEUE_KEYS)};
    snprintf(p->name, sizeof p->name, "%s", name);
    return p->fair ? p : NULL;
}

static int64_t retry_ns(const pool *p)
{
    double s = p ? p->gap_s * (double)(fh_fair_count(p->fair) + 1) : 1;
    return (int64_t)(FH_MIN(FH_MAX(s, 1), 60) * 1e9);
}

int64_t fh_slots_retry_ns(fh_slots *s, const char *name)
{
    pthread_mutex_lock(&s->lock);
    int64_t ns = retry_ns(find_pool(s, name));
    pthread_mutex_unlock(&s->lock);
    return ns;
}

/* ---- held down ---- */

static void tell(void *arg)
{
    fh_slot *slot = arg;
    fh_slots *s = slot->table;
    pthread_mutex_lock(&s->lock);
    slot->to_be_told = false;
    bool left = slot->left;
    for (fh_slot **at = &s->left; left && *at; at = &(*at)->next) {
        if (*at != slot) continue;
        *at = slot->next;
        break;
    }
    pthread_mutex_unlock(&s->lock);
    if (left)
        fh_free(slot);
    else
        slot->moved(slot->arg);
}

/* Where the loop cannot be told for want of memory, who waits finds it when it looks. */
static void become(fh_slot *slot, fh_slot_state state)
{
    slot->table->waiting--;
    slot->state = state;
    slot->to_be_told = fh_loop_post(slot->loop, tell, slot);
}

static void hold(fh_slot *slot, replica *r)
{
    slot->at = r;
    slot->replica = r->id;
    slot->state = FH_SLOT_HELD;
    r->used++;
    if (slot->pool) slot->pool->running++;
}

static bool would_take(void *arg, const fh_fair_item *item)
{
    const fh_slot *slot = (const fh_slot *)item;
    const replica *r = arg;
    for (size_t i = 0; i < slot->place_count; i++)
        if (slot->places[i].replica == r->id) return true;
    return false;
}

static void note_pace(pool *p, int64_t now_ns)
{
    double gap = (double)(now_ns - p->moved_ns) / 1e9;
    if (p->moved_ns) p->gap_s = p->gap_s > 0 ? p->gap_s + SHARE * (gap - p->gap_s) : gap;
    p->moved_ns = fh_fair_count(p->fair) ? now_ns : 0;
}

static fh_slot *next_for(fh_slots *s, replica *r)
{
    for (size_t i = 0; i < POOLS; i++) {
        size_t at = (s->turn + i) % POOLS;
        fh_fair_item *item = s->pools[at].fair ? fh_fair_pop(s->pools[at].fair, would_take, r) : NULL;
        if (!item) continue;
        s->turn = at + 1; /* where several queues share a replica they take turns */
        return (fh_slot *)item;
    }
    return NULL;
}

static void fill(fh_slots *s, replica *r, int64_t now_ns)
{
    while (s->waiting && has_room(r, now_ns)) {
        fh_slot *slot = next_for(s, r);
        if (!slot) return;
        note_pace(slot->pool, now_ns);
        hold(slot, r);
        become(slot, FH_SLOT_HELD);
    }
}

static void fill_places(fh_slots *s, const fh_slot *slot, int64_t now_ns)
{
    for (size_t i = 0; i < slot->place_count; i++) {
        replica *r = know_replica(s, slot->places[i]);
        if (r) fill(s, r, now_ns);
    }
}

static void set_places(fh_slot *slot, const fh_slot_at *at, size_t count)
{
    slot->place_count = FH_MIN(count, (size_t)PLACES);
    memcpy(slot->places, at, slot->place_count * sizeof *at);
}

static fh_slot *slot_new(fh_slots *s, const fh_slot_spec *spec)
{
    fh_slot *slot = fh_calloc(1, sizeof *slot);
    if (!slot) return NULL;
    slot->table = s;
    slot->priority = spec->priority;
    slot->cost_tok = spec->cost_tok;
    slot->replica = spec->at[0].replica;
    slot->loop = spec->loop;
    slot->moved = spec->moved;
    slot->arg = spec->arg;
    snprintf(slot->key_id, sizeof slot->key_id, "%s", spec->key_id);
    set_places(slot, spec->at, spec->count);
    return slot;
}

static void give_way(fh_slot *loser)
{
    loser->pool = NULL;
    become(loser, FH_SLOT_REFUSED);
}

/* Into the queue; false when it is too full for it. */
static bool wait_in_queue(fh_slots *s, fh_slot *slot, int64_t now_ns)
{
    fh_fair_item *loser = fh_fair_push(slot->pool->fair, &slot->item, slot->key_id, slot->priority, slot->cost_tok);
    if (loser == &slot->item) return false;
    slot->state = FH_SLOT_WAITS;
    s->waiting++;
    if (!slot->pool->moved_ns) slot->pool->moved_ns = now_ns;
    if (loser) give_way((fh_slot *)loser);
    fill_places(s, slot, now_ns);
    return true;
}

/* False: no room, and no waiting for it. */
static bool take_or_wait(fh_slots *s, fh_slot *slot, const fh_slot_spec *spec, int64_t now_ns)
{
    replica *r = know_replica(s, spec->at[0]);
    if (!r) return true; /* more replicas than are counted */
    fill(s, r, now_ns);
    slot->pool = is_bounded(r) ? know_pool(s, spec->pool) : NULL;
    if (!slot->pool || spec->goes_ahead || has_room(r, now_ns)) {
        if (slot->pool) fh_fair_charge(slot->pool->fair, slot->key_id, slot->priority, slot->cost_tok);
        hold(slot, r);
        return true;
    }
    return spec->may_wait && wait_in_queue(s, slot, now_ns);
}

int fh_slots_ask(fh_slots *s, const fh_slot_spec *spec, int64_t now_ns, fh_slot **ret, bool *ret_waits, fh_err **err)
{
    fh_slot *slot = slot_new(s, spec);
    if (!slot) return fh_err_nomem(err);
    pthread_mutex_lock(&s->lock);
    bool settled = take_or_wait(s, slot, spec, now_ns), waits = slot->state == FH_SLOT_WAITS || slot->to_be_told;
    pthread_mutex_unlock(&s->lock);
    if (settled) {
        *ret = slot;
        *ret_waits = waits;
        return 0;
    }
    fh_free(slot);
    return fh_err_set(err, FH_E_BUSY, "all that could answer this are busy%s",
                      spec->may_wait ? ", and too many requests wait already" : "");
}

fh_slot_state fh_slot_look(fh_slot *slot, uint64_t *ret_replica)
{
    pthread_mutex_lock(&slot->table->lock);
    fh_slot_state state = slot->to_be_told ? FH_SLOT_WAITS : slot->state;
    if (state == FH_SLOT_HELD) *ret_replica = slot->replica;
    pthread_mutex_unlock(&slot->table->lock);
    return state;
}

void fh_slot_update(fh_slot *slot, const fh_slot_at *at, size_t count, int64_t now_ns)
{
    pthread_mutex_lock(&slot->table->lock);
    if (slot->state == FH_SLOT_WAITS) {
        set_places(slot, at, count);
        fill_places(slot->table, slot, now_ns);
    }
    pthread_mutex_unlock(&slot->table->lock);
}

bool fh_slot_alone(fh_slot *slot)
{
    pthread_mutex_lock(&slot->table->lock);
    bool alone = !slot->at || slot->at->used <= 1;
    pthread_mutex_unlock(&slot->table->lock);
    return alone;
}

void fh_slot_turned_away(fh_slot *slot, int64_t pause_ns, int64_t now_ns)
{
    pthread_mutex_lock(&slot->table->lock);
    replica *r = slot->at;
    slot->turned_away = true;
    if (r) {
        r->paused_until_ns = FH_MAX(r->paused_until_ns, now_ns + pause_ns);
        r->learned = r->used > 1 ? r->used - 1 : 1;
        r->credit = 0;
    }
    pthread_mutex_unlock(&slot->table->lock);
}

/* ---- leaving ---- */

static void give_back(fh_slot *slot, uint64_t used_tok)
{
    replica *r = slot->at;
    if (!r) return;
    if (!slot->turned_away) learn(r);
    r->used--;
    if (!slot->pool) return;
    slot->pool->running--;
    if (used_tok) fh_fair_settle(slot->pool->fair, slot->key_id, slot->priority, slot->cost_tok, used_tok);
}

void fh_slot_leave(fh_slot *slot, uint64_t used_tok, int64_t now_ns)
{
    if (!slot) return;
    fh_slots *s = slot->table;
    pthread_mutex_lock(&s->lock);
    if (slot->state == FH_SLOT_WAITS) {
        fh_fair_remove(slot->pool->fair, &slot->item);
        s->waiting--;
    }
    if (slot->state == FH_SLOT_HELD) give_back(slot, used_tok);
    if (slot->at) fill(s, slot->at, now_ns);
    if (slot->pool && is_idle(slot->pool)) fh_fair_rest(slot->pool->fair);
    bool keep = slot->to_be_told;
    if (keep) {
        slot->left = true;
        slot->next = s->left;
        s->left = slot;
    }
    pthread_mutex_unlock(&s->lock);
    if (!keep) fh_free(slot);
}

void fh_slots_tick(fh_slots *s, int64_t now_ns)
{
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < REPLICAS; i++) {
        replica *r = &s->replicas[i];
        if (!r->paused_until_ns || now_ns < r->paused_until_ns) continue;
        r->paused_until_ns = 0;
        fill(s, r, now_ns);
    }
    pthread_mutex_unlock(&s->lock);
}
