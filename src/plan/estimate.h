/* What follows from one host for one model and one set of wishes: reckoned once, used by all its offers. */
#ifndef FH_PLAN_ESTIMATE_H
#define FH_PLAN_ESTIMATE_H

#include "plan/rank.h"

typedef struct estimate { /* what every offer asks comes first, in one line of the cache */
    bool fits, mtok_known;
    fh_plan_reason why;  /* when it does not */
    int64_t wanted, had; /* the same */
    uint64_t mtok_share; /* a million tokens' part of an hour, in 2^-32 */
    int64_t load_s;      /* of its weights, from disk */
    int64_t decode_millitok_s, mtok_uj;
    fh_plan plan; /* all that does not depend on the offer */
} estimate;

extern const fh_plan_region estimate_anywhere;           /* of a place of which nothing is known */
fh_plan_wishes estimate_wishes(const fh_plan_wishes *w); /* with defaults filled in */
void estimate_host(const fh_catalog_model *m, const fh_plan_wishes *w, const fh_plan_host *h, estimate *ret);
int64_t estimate_mtok_ul(int64_t mtok_uj, const fh_plan_region *r); /* r NULL: nothing is known of the place */

#endif
