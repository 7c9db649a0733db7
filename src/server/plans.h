/* What somebody asks to be planned, read: the wishes and the market (plans_ask.c), and offers as JSON (plans_offers.c). */
#ifndef FH_SERVER_PLANS_PRIVATE_H
#define FH_SERVER_PLANS_PRIVATE_H

#include "plan/market.h"
#include "server/plans.h"
#include "server/speeds.h"

typedef struct plan_ask {
    const fh_catalog_model *model;
    char variant[64];
    fh_plan_wishes wishes;
    fh_speeds here;     /* what was measured of this machine */
    fh_plan_book *book; /* owned; the first offer is this machine, then those of the request in its order, then those that are known */
} plan_ask;
void plan_ask_free(plan_ask *a); /* NULL is fine */
FH_DEFINE_AUTO(plan_ask, plan_ask_free);

/* known may be NULL; borrowed as long as *ret lives. */
int plan_ask_read(const fh_json *body, const fh_plan_known *known, plan_ask **ret, fh_err **err);

/* The shape PlanOffer, i its place in the list (for errors); *ret borrows from v. */
int plan_offer_read(const fh_json *v, size_t i, fh_plan_listing *ret, fh_err **err);
/* A list of them into the market. */
int plan_offers_add(const fh_json *list, fh_plan_book *b, fh_err **err);

#endif
