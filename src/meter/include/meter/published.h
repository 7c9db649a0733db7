/* Figures that others published, reckoned anew from our factors: whether the factors and formulas are right. Pure; threads: any. */
#ifndef FH_METER_PUBLISHED_H
#define FH_METER_PUBLISHED_H

#include "meter/range.h"

typedef struct fh_published {
    const char *what, *unit;
    const char *source;
    fh_range published; /* with the spread that was stated, or that of the last digit that was printed */
    fh_range ours;      /* unknown: it cannot be reckoned */
    const char *how;    /* the formula; of what cannot be reckoned, why */
} fh_published;

size_t fh_published_count(void);
fh_published fh_published_at(size_t i);
bool fh_published_agrees(const fh_published *p); /* the two spreads meet */

#endif
