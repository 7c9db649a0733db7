/* What goes through the gateway now (see gateway/traffic.h): sums over the lanes, and the last failover, kept under a lock. */
#include "failovers.h"

#include "base/clock.h"
#include "gateway_private.h"
#include "upstreams.h"
#include <pthread.h>
#include <string.h>

struct fh_failovers {
    pthread_mutex_t lock;
    bool any;
    fh_failover last;
};

fh_failovers *fh_failovers_new(void)
{
    fh_failovers *f = fh_calloc(1, sizeof *f);
    if (f) pthread_mutex_init(&f->lock, NULL);
    return f;
}

void fh_failovers_free(fh_failovers *f)
{
    if (!f) return;
    pthread_mutex_destroy(&f->lock);
    fh_free(f);
}

void fh_failovers_note(fh_failovers *f, const fh_failover *one)
{
    pthread_mutex_lock(&f->lock);
    bool known = f->any && strcmp(f->last.request_id, one->request_id) == 0;
    if (known || !one->over) {
        f->last = *one;
        f->any = true;
    }
    pthread_mutex_unlock(&f->lock);
}

bool fh_gateway_failover(const fh_gateway *g, fh_failover *ret)
{
    fh_failovers *f = g->failovers;
    pthread_mutex_lock(&f->lock);
    bool any = f->any;
    if (any) *ret = f->last;
    pthread_mutex_unlock(&f->lock);
    return any;
}

size_t fh_gateway_upstreams(const fh_gateway *g, fh_upstream_view *ret, size_t max)
{
    return fh_upstreams_list(g->upstreams, fh_clock_mono_ns(), ret, max);
}

void fh_gateway_traffic(const fh_gateway *g, fh_traffic *ret)
{
    uint64_t sums[FH_TALLIES];
    const fh_series_set *sets[FH_LIMIT_SERVE_THREADS];
    *ret = (fh_traffic){.in_flight = fh_gateway_in_flight(g)};
    for (size_t i = 0; i < g->lane_count; i++) {
        const fh_lane *lane = &g->lanes[i];
        sets[i] = &lane->series;
        ret->limited += lane->metrics.limited;
        ret->prompt_tok += lane->metrics.prompt_tok;
        ret->completion_tok += lane->metrics.completion_tok;
    }
    fh_series_sum(g->series, sets, g->lane_count, sums);
    ret->finished = sums[FH_TALLY_FINISHED];
    ret->failed = sums[FH_TALLY_FAILED];
    ret->cancelled = sums[FH_TALLY_CANCELLED];
    ret->retried = sums[FH_TALLY_RETRIED];
    ret->resumed = sums[FH_TALLY_RESUMED];
}
