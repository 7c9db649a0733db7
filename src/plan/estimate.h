/* What follows from one host for one model and one set of wishes: reckoned once, used by all its offers. What is the same for many hosts
 * is kept by an estimator, so that a host costs a few divisions. Threads: an estimator has one owner. */
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
    uint64_t weights_bytes;
    fh_plan plan; /* all that does not depend on the offer, if that was asked for and it fits */
} estimate;

/* What can be said of a host without reckoning its speed: enough to leave out offers that are not among the best. */
typedef struct glance {
    bool fits;
    uint8_t why; /* fh_plan_reason, when it does not */
    uint32_t load_s;
    union {
        struct { /* it fits */
            uint64_t weights_bytes;
            double least_s;  /* that a step takes, or less; 0: not known */
            double least_uj; /* that a million tokens take at least, with all streams busy; 0: not known */
        };
        struct { /* it does not */
            int64_t wanted, had;
        };
    };
} glance;

extern const fh_plan_region estimate_anywhere;           /* of a place of which nothing is known */
fh_plan_wishes estimate_wishes(const fh_plan_wishes *w); /* with defaults filled in */
typedef struct estimator estimator;
/* m and w, with their defaults filled in, are borrowed. */
int estimator_new(estimator **ret, const fh_catalog_model *m, const fh_plan_wishes *w, fh_err **err);
void estimator_free(estimator *by); /* NULL is fine */
FH_DEFINE_AUTO(estimator, estimator_free);
/* As estimate_host would say it; where a stream must have a speed, that is reckoned too. */
void estimate_glance(estimator *by, const fh_plan_host *h, glance *ret);
/* Without its plan all else is set. */
void estimate_host(estimator *by, const fh_plan_host *h, bool with_plan, estimate *ret);
int64_t estimate_mtok_ul(int64_t mtok_uj, const fh_plan_region *r); /* r NULL: nothing is known of the place */

#endif
