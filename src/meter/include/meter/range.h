/* A figure that is not known exactly: its least, its likeliest and its greatest value. What is unknown is NAN in all three, and so is
 * whatever is reckoned of it. All are 0 or more. Pure; threads: any. */
#ifndef FH_METER_RANGE_H
#define FH_METER_RANGE_H

#include "catalog/factors.h"

typedef struct fh_range {
    double low, mid, high;
} fh_range;

fh_range fh_range_of(const fh_catalog_factor *f); /* NULL: unknown */
fh_range fh_range_exactly(double v);
bool fh_range_is_known(fh_range r);
fh_range fh_range_add(fh_range a, fh_range b);
fh_range fh_range_mul(fh_range a, fh_range b);
fh_range fh_range_div(fh_range a, fh_range by);
fh_range fh_range_scale(fh_range a, double by);
fh_range fh_range_span(fh_range a, fh_range b); /* from the lesser to the greater; the likeliest value is a's */

#endif
