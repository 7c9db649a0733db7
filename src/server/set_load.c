/* Tells the fleet every second what requests make of each replica: sets grow and shrink by it (docs/SCALING.md). */
#include "base/clock.h"
#include "gateway/traffic.h"
#include "server_private.h"

#include <stdio.h>
#include <string.h>

#define TELL_NS FH_NS_PER_S

static void tell(void *arg)
{
    fh_server *s = arg;
    fh_upstream_view *views = fh_calloc(FH_LIMIT_UPSTREAMS, sizeof *views);
    fh_replica_load *list = fh_calloc(FH_LIMIT_UPSTREAMS, sizeof *list);
    size_t n = views && list ? fh_gateway_upstreams(s->gateway, views, FH_LIMIT_UPSTREAMS) : 0;
    for (size_t i = 0; i < n; i++) {
        list[i] = (fh_replica_load){.waiting = (int64_t)views[i].waiting,
                                    .in_flight = (int64_t)views[i].in_flight,
                                    .first_token_s = views[i].median_first_s,
                                    .requests = views[i].requests};
        snprintf(list[i].deployment, sizeof list[i].deployment, "%s", views[i].deployment);
    }
    if (views && list) fh_fleet_tell_load(s->fleet, list, n);
    fh_free(views);
    fh_free(list);
    fh_timer_start(s->load_timer, TELL_NS);
}

int fh_server_watch_load(fh_server *s, fh_err **err)
{
    int rc = fh_timer_new(&s->load_timer, s->loop, tell, s, err);
    if (!rc) fh_timer_start(s->load_timer, TELL_NS);
    return rc;
}
