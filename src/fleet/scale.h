/* How many replicas a set wants, by what it has to do. Pure: the load, a time and what was seen before in, a number out.
 *
 * Every look recommends a number. More are wanted once every look of SCALE_UP_MS recommended more: as many as the least of them. Fewer once
 * every look of down_ns recommended fewer: as many as the most of them. The second time is longer, and what calls for more (a queue, or
 * slow first tokens) begins above what lets one go (the rest would be SCALE_FILL_PERCENT full), so that a load between the two changes
 * nothing. This is the stabilisation window of Kubernetes' HorizontalPodAutoscaler, on both sides.
 *
 * To none only where min is 0, and only after idle_ns without a request; from none only by fh_scale_wake. */
#ifndef FH_FLEET_SCALE_H
#define FH_FLEET_SCALE_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct fh_scale_rule {
    int64_t min, max;       /* 0 <= min <= max, 1 <= max */
    int64_t idle_ns;        /* without a request; then none are wanted, where min is 0 */
    int64_t up_ns, down_ns; /* for so long every look must recommend more, or fewer */
} fh_scale_rule;

typedef struct fh_scale_load {  /* of all replicas together */
    int64_t waiting, in_flight; /* requests */
    double first_token_s;       /* median of late, as replicas took it; 0: there was none of late */
    int64_t ready;              /* replicas */
    int64_t at_once;            /* requests that one computes at once; 0: not known, taken as 1 */
    uint64_t requests;          /* ever */
} fh_scale_load;

typedef struct fh_scale { /* begins with zeros but for wanted */
    int64_t wanted;
    int64_t up_since_ns, up_least; /* since when every look recommends more; 0: the last one did not */
    int64_t down_since_ns, down_most;
    int64_t busy_ns; /* when there was something to do; 0: not looked yet */
    uint64_t requests;
} fh_scale;

/* Looks. True when s->wanted has changed: why says for what. */
bool fh_scale_look(fh_scale *s, const fh_scale_rule *r, const fh_scale_load *l, int64_t now_ns, char *why, size_t why_size);
/* Somebody asks: at least one is wanted, and it is not idle now. */
void fh_scale_wake(fh_scale *s, int64_t now_ns);

#endif
