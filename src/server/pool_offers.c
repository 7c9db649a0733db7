/* What machines of the pool are offered for (see pool_offers.h). */
#include "pool_offers.h"

#include "base/limits.h"
#include "base/map.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { NANO_OF_MICRO = 1000 };

struct fh_pool_offers {
    pthread_rwlock_t lock;
    fh_pool_offer *list; /* owned */
    size_t count;
    fh_map *at; /* of each, by its place */
};

int fh_pool_offers_new(fh_pool_offers **ret, fh_err **err)
{
    FH_AUTO(fh_pool_offers) fh_pool_offers *all = fh_calloc(1, sizeof *all);
    if (!all) return fh_err_nomem(err);
    pthread_rwlock_init(&all->lock, NULL);
    all->list = fh_calloc(FH_LIMIT_NODES, sizeof *all->list);
    all->at = fh_map_new(NULL);
    if (!all->list || !all->at) return fh_err_nomem(err);
    *ret = fh_take(all);
    return 0;
}

void fh_pool_offers_free(fh_pool_offers *all)
{
    if (!all) return;
    pthread_rwlock_destroy(&all->lock);
    fh_map_free(all->at);
    fh_free(all->list);
    fh_free(all);
}

/* Prices in other currencies are not reckoned with here: they would be another thing by the hour. */
static bool take_price(const fh_node_ask *a, int64_t *ret_nusd)
{
    *ret_nusd = a->micro * NANO_OF_MICRO;
    return !a->micro || strcmp(a->currency, "USD") == 0;
}

static fh_pool_offer offer_of(const fh_node *n, bool here)
{
    fh_pool_offer o = {.here = here};
    fh_node_offer said = {.min_s = 0};
    FH_AUTO(json) fh_json *facts = NULL;
    fh_json_parse(&facts, fh_str_of(n->facts), FH_LIMIT_NODE_FACTS_BYTES, NULL);
    fh_node_offer_read(facts, &said, NULL);
    snprintf(o.place, sizeof o.place, "node/%s", n->name);
    o.priced = take_price(&n->ask, &o.hour_nusd) && take_price(&said.mtok, &o.mtok_nusd);
    o.min_s = said.min_s;
    memcpy(o.region, said.region, sizeof o.region);
    memcpy(o.owner, n->owner, sizeof o.owner);
    o.memory_bytes = (uint64_t)FH_MAX(fh_json_int(fh_json_get(facts, "memory_bytes"), 0), (int64_t)0);
    int64_t claimed = FH_MAX(fh_json_int(fh_json_get(facts, "memory_read_bytes_per_s"), 0), (int64_t)0);
    o.claimed_bytes_per_s = (uint64_t)claimed;
    o.measured = n->measured;
    o.read_bytes_per_s = (uint64_t)fh_node_measured_memory(&n->measured, claimed);
    if (n->measured.to_bytes_s) o.fetch_mb_s = (uint32_t)FH_MIN(FH_MAX(n->measured.to_bytes_s / 1000000, (int64_t)1), (int64_t)UINT32_MAX);
    return o;
}

static void forget(fh_pool_offers *all, const char *place)
{
    fh_pool_offer *gone = fh_map_remove(all->at, fh_str_of(place));
    if (!gone) return;
    const fh_pool_offer *last = &all->list[all->count - 1];
    *gone = *last;
    if (gone != last) fh_map_put(all->at, fh_str_of(gone->place), gone); /* is there already: needs no memory */
    all->count--;
}

/* One that there is no room or memory for is not offered. */
static void keep(fh_pool_offers *all, const fh_pool_offer *o)
{
    fh_pool_offer *known = fh_map_find(all->at, fh_str_of(o->place)), *free_one = &all->list[all->count];
    if (known) {
        *known = *o;
    } else if (all->count < FH_LIMIT_NODES && fh_map_put(all->at, fh_str_of(o->place), free_one)) {
        *free_one = *o;
        all->count++;
    }
}

void fh_pool_offers_note(fh_pool_offers *all, const fh_node *n, bool here)
{
    fh_pool_offer o = offer_of(n, here);
    pthread_rwlock_wrlock(&all->lock);
    if (n->state == FH_NODE_REMOVED)
        forget(all, o.place);
    else
        keep(all, &o);
    pthread_rwlock_unlock(&all->lock);
}

bool fh_pool_offers_find(fh_pool_offers *all, const char *place, fh_pool_offer *ret)
{
    pthread_rwlock_rdlock(&all->lock);
    const fh_pool_offer *found = fh_map_find(all->at, fh_str_of(place));
    if (found) *ret = *found;
    pthread_rwlock_unlock(&all->lock);
    return found != NULL;
}

size_t fh_pool_offers_list(fh_pool_offers *all, fh_pool_offer *ret, size_t max)
{
    size_t n = 0;
    pthread_rwlock_rdlock(&all->lock);
    for (size_t i = 0; i < all->count && n < max; i++)
        if (all->list[i].here) ret[n++] = all->list[i];
    pthread_rwlock_unlock(&all->lock);
    return n;
}
