/* Price lists of others, read into listings (plan/market.h). Two forms:
 *
 * - CSV in the columns of SkyPilot's catalog (InstanceType, AcceleratorName, AcceleratorCount, Price, SpotPrice, Region, GpuInfo; in any
 *   order, others are passed over). Prices are of the whole instance; both prices of a row become a listing each. GpuInfo is asked for the
 *   memory of a device only, in whichever of the spellings in use.
 * - JSON: a list of objects as gpuhunt has them (provider, instance_name, location, price, gpu_name, gpu_count, gpu_memory, spot), or a
 *   price of one device (provider_id, gpu_model, vram_gb, price_usd_hour, is_spot, interconnect). A price of one device is taken as that of
 *   1, 2, 4 and 8 in one machine, where machines are made so; the listing's name says it.
 *
 * Nothing is dropped silently: rows that become no listing are counted by their reason. What is no such list is FH_E_INVALID with the line
 * and column, or the entry and field. Pure; threads: any. */
#ifndef FH_PLAN_PRICES_H
#define FH_PLAN_PRICES_H

#include "plan/market.h"

typedef struct fh_plan_prices {
    size_t rows, listings;
    size_t no_device; /* rows of machines without accelerators */
    size_t unknown;   /* of devices, or of so many in one machine, that cannot be planned for */
    size_t unpriced;  /* without a price */
    char unknown_first[64];
} fh_plan_prices;

/* l and its strings are borrowed for the call; not 0 ends the reading with that code. */
typedef int (*fh_plan_listing_fn)(void *arg, const fh_plan_listing *l, fh_err **err);

/* file: its path, which names the seller of a CSV ("lambda_v8.csv", "lambda/vms.csv") and stands in errors. */
int fh_plan_prices_read(fh_str text, const char *file, fh_plan_listing_fn on, void *arg, fh_plan_prices *ret, fh_err **err);

#endif
