/* What each machine of the pool is offered for, for those who are not on the fleet's thread: routing, which reckons what a request costs
 * there, and plans. Noted when a machine comes; any thread. */
#ifndef FH_SERVER_POOL_OFFERS_H
#define FH_SERVER_POOL_OFFERS_H

#include "base/err.h"
#include "base/mem.h"
#include "pool/nodes.h"
#include "pool/offer.h"

typedef struct fh_pool_offer {
    char place[80]; /* "node/NAME" */
    bool here;      /* it is connected, and for all */
    bool priced;    /* in dollars, or for nothing: */
    int64_t hour_nusd, mtok_nusd;
    int64_t min_s;
    char region[64];
    char owner[FH_OWNER_CHARS]; /* whose it is; "": nobody was named */
    uint64_t memory_bytes;      /* as it claims; 0: it does not */
    uint64_t read_bytes_per_s;  /* as it was measured, else as it claims; 0: neither, or it did not do the work */
    uint64_t claimed_bytes_per_s;
    fh_node_measured measured;
    uint32_t fetch_mb_s; /* to it, as measured; 0: not yet */
} fh_pool_offer;

typedef struct fh_pool_offers fh_pool_offers;
int fh_pool_offers_new(fh_pool_offers **ret, fh_err **err);
void fh_pool_offers_free(fh_pool_offers *all);
FH_DEFINE_AUTO(fh_pool_offers, fh_pool_offers_free);

/* What it says now, and whether it is connected; one that was removed is forgotten. */
void fh_pool_offers_note(fh_pool_offers *all, const fh_node *n, bool here);
bool fh_pool_offers_find(fh_pool_offers *all, const char *place, fh_pool_offer *ret);
/* Those that are connected: their count, at most max. */
size_t fh_pool_offers_list(fh_pool_offers *all, fh_pool_offer *ret, size_t max);

#endif
