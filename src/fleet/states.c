/* The states and the arrows between them.
 *
 *   requested → planning → provisioning → fetching → loading → proving → ready → draining → stopped
 *
 * Beside the straight line: any state that is not an end may fail, or drain when its owner says stop; an engine that ended is started again
 * (loading); one that no place can be had for says so (planning to itself), and one that waits for its machine what for
 * (provisioning to itself); and a server that starts finds deployments whose engine is gone
 * (requested), or still there (a change from a state to itself, which says that it was adopted). */
#include "fleet_private.h"

const char *fh_deployment_state_name(fh_deployment_state s)
{
    static const char *const names[] = {
#define NAME(name, text) text,
        FH_DEPLOYMENT_STATES(NAME)
#undef NAME
    };
    return s < FH_DEPLOYMENT_STATE_COUNT ? names[s] : "unknown";
}

#define BIT(name) (1u << FH_DEPLOYMENT_##name)
#define ENDS      (BIT(FAILED) | BIT(DRAINING) | BIT(STOPPED))

bool fh_deployment_may_change(fh_deployment_state from, fh_deployment_state to)
{
    static const unsigned next[FH_DEPLOYMENT_STATE_COUNT] = {
        [FH_DEPLOYMENT_REQUESTED] = BIT(REQUESTED) | BIT(PLANNING) | ENDS,
        [FH_DEPLOYMENT_PLANNING] = BIT(REQUESTED) | BIT(PLANNING) | BIT(PROVISIONING) | ENDS,
        [FH_DEPLOYMENT_PROVISIONING] = BIT(REQUESTED) | BIT(PROVISIONING) | BIT(FETCHING) | ENDS,
        [FH_DEPLOYMENT_FETCHING] = BIT(REQUESTED) | BIT(LOADING) | ENDS,
        [FH_DEPLOYMENT_LOADING] = BIT(REQUESTED) | BIT(LOADING) | BIT(PROVING) | ENDS,
        [FH_DEPLOYMENT_PROVING] = BIT(REQUESTED) | BIT(LOADING) | BIT(PROVING) | BIT(READY) | ENDS,
        [FH_DEPLOYMENT_READY] = BIT(REQUESTED) | BIT(LOADING) | BIT(READY) | ENDS,
        [FH_DEPLOYMENT_DRAINING] = BIT(REQUESTED) | BIT(DRAINING) | BIT(STOPPED),
        [FH_DEPLOYMENT_STOPPED] = 0,
        [FH_DEPLOYMENT_FAILED] = BIT(STOPPED) | BIT(DRAINING),
    };
    return from < FH_DEPLOYMENT_STATE_COUNT && to < FH_DEPLOYMENT_STATE_COUNT && (next[from] & 1u << to);
}
