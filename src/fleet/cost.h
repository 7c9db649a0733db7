/* What work at a place is expected to cost, beside another. Pure; threads: any.
 *
 * A place asks by the hour, by the token, or both; what fails there is paid for too. Where a load is known (tokens an hour), all of it is
 * one sum: the hour, and what the load's tokens cost in it. Without one, places are compared within one kind: hours with hours, tokens with
 * tokens; where both are asked, one is cheaper that is so in one and not dearer in the other. What costs nothing comes before all that
 * costs something. */
#ifndef FH_FLEET_COST_H
#define FH_FLEET_COST_H

#include "fleet/place.h"

typedef enum fh_cost_order { FH_COST_LESS, FH_COST_SAME, FH_COST_MORE, FH_COST_OTHER } fh_cost_order; /* the last: they are not compared */

typedef struct fh_cost {
    fh_place_terms terms;
    uint32_t failing_per_mille;
    int64_t millitok_s; /* of one stream, where hours are compared by speed; 0: they are not */
} fh_cost;

bool fh_cost_is_nothing(const fh_cost *c);
/* What an hour is expected to cost, in millionths of the currency, with so many tokens in it. */
double fh_cost_hour_micro(const fh_cost *c, double tok_h);
/* tok_h 0: no load is known. */
fh_cost_order fh_cost_compare(const fh_cost *a, const fh_cost *b, double tok_h);

#endif
