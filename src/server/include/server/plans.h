/* Where a model can run, as JSON: this machine, the offers that the asker brings and those that are known, ranked by `plan`. Used by the
 * control plane, and by the command line without a server. Shapes: PlanCreate and PlanRanking in GET /api/openapi.json; formulas:
 * docs/PLANNING.md. */
#ifndef FH_SERVER_PLANS_H
#define FH_SERVER_PLANS_H

#include "base/err.h"
#include "json/json.h"

struct fh_plan_book;
typedef struct fh_plan_known { /* what is planned with beside what the request brings; borrowed for the call */
    const struct fh_plan_book *const *books;
    size_t count;
    const char *data_dir;    /* where measured speeds of this machine are (server/speeds.h); NULL: none are known */
    const char *region;      /* of this machine; NULL or "": not known */
    const fh_json *unpriced; /* a list: endpoints that serve it at a price that is not known; NULL: none */
} fh_plan_known;

/* ask: the shape PlanCreate, borrowed. known may be NULL. *ret is owned. Nothing is started and nothing is kept. FH_E_INVALID names the
 * field; FH_E_NOT_FOUND: no such model or variant. */
int fh_plans_make(const fh_json *ask, const fh_plan_known *known, fh_json **ret, fh_err **err);

/* A file of offers: a list in the shape PlanOffer, or a price list (plan/prices.h). *ret is an object: the offers, and of how many
 * rows nothing became, by the reason. Errors name the file, and the line and column or the entry and field. check: the list is held against
 * this process's catalogue; a server that it goes to has its own, and may know machines that nobody else does. */
int fh_plans_offers_of(fh_str text, const char *file, bool check, fh_json **ret, fh_err **err);
/* Of such a list: what became no offer, to the error stream; nothing when all did. */
void fh_plans_say_passed_over(const char *file, const fh_json *list);

#endif
