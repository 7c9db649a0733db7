/* Which replica: pure. Rules, in this order: those whose breaker is open only when there is no other; the one that holds a good part of
 * the prompt already, unless it is much busier than the least busy; else the lighter of two taken at random (power of two choices), so that
 * gateways that do not know of each other do not all run to the same one. Lighter: tokens in flight over measured speed, made dearer by
 * price, energy or failures as the request prefers, and by a quarter when it stands outside of our own region: a near one that is busier
 * than that leaves the request to a far one. Numbers of the affinity rule: facts of SGLang's router (match over 0.3; balance when the
 * difference is over 64 requests' worth and half as much again). */
#ifndef FH_GATEWAY_CHOOSE_H
#define FH_GATEWAY_CHOOSE_H

#include "gateway/prefer.h"

#include <stddef.h>
#include <stdint.h>

typedef enum fh_choice_reason {
    FH_CHOSE_ONLY,
    FH_CHOSE_PREFIX,
    FH_CHOSE_LIGHTEST,
    FH_CHOSE_NEAR,
    FH_CHOSE_PRICE,
    FH_CHOSE_ENERGY,
    FH_CHOSE_LAST
} fh_choice_reason;

typedef struct fh_option {
    bool open;            /* its breaker is: failed too often a moment ago */
    bool doubted;         /* asked when no other will do, before those with an open breaker */
    double in_flight_tok; /* that it still has to compute, ours alone */
    double tok_per_s;     /* measured, of one stream of it; 0: not known */
    double first_token_s; /* likewise: from a request to it */
    double failure_rate;  /* 0 to 1, a moving average that fades while nothing is asked of it */
    double bad_calls;     /* likewise: of its tool calls, those that cannot be made */
    bool near;            /* it stands in the region that we do */
    double matched;       /* share of the prompt that it holds, 0 to 1 */
    double price, energy; /* of this request there; 0: free, unknown */
} fh_option;

/* Opens the breaker of outliers: those that fail much more than the others do, a third of them at most, the worst first. Fewer than three
 * say nothing of each other. */
void fh_options_eject(fh_option *list, size_t count);
/* random: two independent draws. count > 0. */
size_t fh_choose(const fh_option *list, size_t count, fh_prefer prefer, const uint32_t random[2], fh_choice_reason *ret_reason);
const char *fh_choice_text(fh_choice_reason r);

#endif
