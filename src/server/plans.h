/* What somebody asks to be planned, read: the wishes and the market (plans_ask.c). */
#ifndef FH_SERVER_PLANS_PRIVATE_H
#define FH_SERVER_PLANS_PRIVATE_H

#include "plan/rank.h"
#include "server/plans.h"

typedef struct plan_ask {
    const fh_catalog_model *model;
    char variant[64];
    fh_plan_wishes wishes;
    fh_plan_market market;
    fh_plan_host *hosts;   /* owned */
    fh_plan_offer *offers; /* owned; the first is this machine, the others are those of the request in its order */
    const fh_json *list;   /* borrowed: the request's offers */
} plan_ask;
void plan_ask_free(plan_ask *a); /* NULL is fine */
FH_DEFINE_AUTO(plan_ask, plan_ask_free);

int plan_ask_read(const fh_json *body, plan_ask **ret, fh_err **err);
const char *plan_ask_place(const plan_ask *a, uint32_t offer); /* "here", or its name in the request; borrowed */
/* A kind of device of the catalogue, as many as that. */
fh_plan_host plan_host_of(const fh_catalog_machine *m, uint32_t devices, uint32_t machines);
bool plan_host_can(const fh_catalog_machine *m);   /* it is a device that machines are made of, and its figures are known */
bool plan_host_joins(const fh_catalog_machine *m); /* several of it stand in one machine */

#endif
