/* What was learned about one model from its outcomes: a bounded list of (kind of request, how good the answer was), and what it says about
 * the next request.
 *
 * The belief is a weighed mean over the nearest outcomes, drawn towards a prior as if that had been seen LEARN_PRIOR times: a request
 * unlike all before is judged by the prior. Newer outcomes count more; the oldest give way. Nearest-neighbour choice on own outcomes is as
 * good as what is known that is more (arXiv 2606.07587: 21 methods on one plateau). Pure. */
#ifndef FH_GATEWAY_LEARN_H
#define FH_GATEWAY_LEARN_H

#include "base/limits.h"
#include "kinds.h"

typedef struct fh_outcome_seen {
    fh_features features;
    uint8_t good;   /* 0 bad to 255 good */
    uint8_t weight; /* how much it says: 255 was checked, less was not complained about */
} fh_outcome_seen;

typedef struct fh_learned {
    size_t count, next; /* next: where the next one goes */
    fh_outcome_seen seen[FH_LIMIT_LEARN_OUTCOMES];
} fh_learned;

typedef struct fh_belief {
    double success;  /* 0 to 1: how likely the answer will do */
    double evidence; /* outcomes that say so: 0, it is the prior alone */
} fh_belief;

void fh_learned_add(fh_learned *l, const fh_outcome_seen *o);
fh_belief fh_learned_belief(const fh_learned *l, const fh_features *f, double prior); /* l may be NULL */

#endif
