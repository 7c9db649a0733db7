/* Offers that were given once and are planned with from then on: lists by name, each a market in memory and a file in DATA/offers, so that
 * a question for plans need not bring them. Threads: the main loop alone. */
#ifndef FH_SERVER_PRICE_LISTS_H
#define FH_SERVER_PRICE_LISTS_H

#include "base/limits.h"
#include "json/json.h"
#include "plan/market.h"

typedef struct fh_price_list {
    char name[64];
    int64_t imported_utc_ns;
    size_t offers;
    fh_plan_book *book; /* owned */
} fh_price_list;

typedef struct fh_price_lists fh_price_lists;
/* Reads those that are there. A file that is none is left as it is and said in the log. */
int fh_price_lists_open(fh_price_lists **ret, const char *data_dir, fh_err **err);
void fh_price_lists_close(fh_price_lists *all); /* NULL is fine */

/* offers: a list in the shape PlanOffer, borrowed. A list of that name is replaced once the new one is on disk. *ret is borrowed until the
 * next change. FH_E_INVALID names the entry; FH_E_CONFLICT: there are FH_LIMIT_PRICE_LISTS. */
int fh_price_lists_put(fh_price_lists *all, fh_str name, const fh_json *offers, const fh_price_list **ret, fh_err **err);
int fh_price_lists_remove(fh_price_lists *all, fh_str name, fh_err **err); /* FH_E_NOT_FOUND */
size_t fh_price_lists_count(const fh_price_lists *all);
const fh_price_list *fh_price_lists_at(const fh_price_lists *all, size_t i);

#endif
