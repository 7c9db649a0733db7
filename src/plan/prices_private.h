/* What both forms of price lists share (prices.c). */
#ifndef FH_PLAN_PRICES_PRIVATE_H
#define FH_PLAN_PRICES_PRIVATE_H

#include "base/map.h"
#include "plan/prices.h"

#define DOLLARS_MAX 1000000 /* an hour's price */

typedef struct prices {
    fh_str file, seller; /* the file's name; who sells what is in a CSV */
    fh_plan_listing_fn on;
    void *arg;
    fh_map *devices; /* that were looked up; a machine or prices_none */
    fh_plan_prices sum;
} prices;

/* As a list names it; NULL: not known, and counted. */
const fh_catalog_machine *prices_device(prices *p, fh_str name, double memory_gb);
/* The listing of so many devices at that price; nothing when there is no price. */
int prices_put(prices *p, const fh_plan_listing *l, double dollars, bool spot, fh_err **err);
bool prices_priced(double dollars); /* a price, and one that is no mistake */

int prices_csv_read(prices *p, fh_str text, fh_err **err);
int prices_json_read(prices *p, fh_str text, fh_err **err);

#endif
