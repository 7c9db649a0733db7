/* What a step costs by its rows, and so how many guessed tokens are worth computing. Times are learned from the steps that run, on this
 * machine and with all else that is on it; what was not seen for COST_KEPT steps is not believed any more, and so is tried again. Pure; one
 * owner. */
#ifndef FH_ENGINE_COSTS_H
#define FH_ENGINE_COSTS_H

#include "draft.h"

enum { COST_ROWS = 64, COST_KEPT = 1024 };
#define COST_GAIN   1.05 /* guesses must promise so much more tokens a second */
#define COST_BESIDE 1.5  /* and where a step serves several sequences, it may become so much longer by them */

typedef struct costs {
    double ns[COST_ROWS + 1]; /* running means; of the last, so many rows and more; 0: not known */
    uint64_t seen[COST_ROWS + 1], steps;
} costs;

void costs_learn(costs *c, size_t rows, double took_ns);
double costs_of(const costs *c, size_t rows); /* of a step, ns; 0: nothing is known yet */

/* A sequence that has a token in the step, and what is guessed of it. */
typedef struct cost_wish {
    draft_ahead ahead; /* its count: the most that it can use */
    size_t given;
} cost_wish;
/* Gives each of the count sequences as many rows as promise most tokens a second, at most `most` in all. */
void costs_share(const costs *c, cost_wish *wishes, size_t count, size_t most);

#endif
