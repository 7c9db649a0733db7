/* What the evidence says, in words (see record.h). */
#include "honesty/record.h"

#include "base/mem.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* "1 in 1,000,000" would say more than is meant beyond that: powers of ten. */
static void say_odds(const fh_honesty_record *r, char *out, size_t size)
{
    snprintf(out, size, "odds of 1 in 10^%.0f that an honest provider looks like this", floor(fh_honesty_proof(r) / log(10)));
}

void fh_honesty_reason(const fh_honesty_record *r, char *out, size_t size)
{
    char odds[96];
    uint64_t compared = r->canaries - r->unclear;
    double mean = fh_honesty_mean(r);
    say_odds(r, odds, sizeof odds);
    if (fh_honesty_judge(r) == FH_HONESTY_UNKNOWN)
        snprintf(out, size, "%" PRIu64 " canaries could be compared, %d are the least that say something", compared, FH_HONESTY_LEAST);
    else if (fh_honesty_judge(r) == FH_HONESTY_HONEST)
        snprintf(out, size, "its tokens are %.4f nats from ours, where honest ones stay below %.3f", mean, r->bound);
    else if (fh_honesty_strongest(r) == FH_HONESTY_CACHE)
        snprintf(out, size, "%" PRIu64 " of %" PRIu64 " answers came again word for word though they were drawn anew; %s", r->same,
                 r->repeats, odds);
    else if (fh_honesty_strongest(r) == FH_HONESTY_COUNTS)
        snprintf(out, size, "%" PRIu64 " of %" PRIu64 " answers were said to have more tokens than they have; %s", r->inflated, r->counted,
                 odds);
    else
        snprintf(out, size, "its tokens are %.4f nats from those of the weights that it names, where honest ones stay below %.3f; %s", mean,
                 r->bound, odds);
}
