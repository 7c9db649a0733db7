/* Canaries now and then, for endpoints whose operator wants them (`provider add --check N`) and for the machines of the pool (`serve
 * --pool-check N`): N a day, at times that nobody can foresee. Every HONESTY_TICK_MS a draw says whether one goes out, for one model of one
 * place; while a check runs, none does. And what is known of how places work is written down. On the main loop. */
#include "honesty.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/secret.h"
#include "pool_offers.h"
#include "providers.h"

#include <string.h>

#define DAY_MS (24 * 3600 * 1000.0)

/* A number from 0 to below 1. */
static double draw(void)
{
    uint64_t random = UINT64_MAX; /* without randomness: none goes out */
    fh_random_bytes(&random, sizeof random, NULL);
    return (double)(random >> 11) / 9007199254740992.0;
}

static bool is_drawn(int64_t per_day)
{
    return draw() < (double)per_day * FH_LIMIT_HONESTY_TICK_MS / DAY_MS;
}

/* One that was found to cheat is not asked for more, and so not paid for more. */
static bool starts(fh_server *s, const char *place, const char *model)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    char checked[128];
    if (fh_standings_verdict(s->standings, place, model) == FH_HONESTY_CHEATS) return false;
    fh_honesty_wish wish = {.provider = place, .model = fh_str_of(model), .canaries = 1};
    return fh_honesty_check_start(s, &wish, checked, &err) == 0;
}

static bool starts_endpoint(fh_server *s)
{
    for (size_t i = 0; i < fh_providers_count(s->providers); i++) {
        const fh_provider *p = fh_providers_at(s->providers, i);
        if (!p->model_count || !is_drawn(p->canaries_per_day)) continue;
        if (starts(s, p->name, p->models[(size_t)(draw() * (double)p->model_count)])) return true;
    }
    return false;
}

static bool starts_node(fh_server *s)
{
    const fh_fleet_snapshot *snap = fh_fleet_snapshot_get(s->fleet);
    bool started = false;
    for (size_t i = 0; i < snap->count && !started; i++) {
        const fh_deployment_view *d = &snap->deployments[i];
        bool there = d->state == FH_DEPLOYMENT_READY && fh_str_starts(fh_str_of(d->place), FH_STR("node/"));
        started = there && is_drawn(s->config->pool_canaries_per_day) && starts(s, d->place, d->model);
    }
    fh_fleet_snapshot_release(snap);
    return started;
}

/* A machine that was got on request and given back does not come again. What it was still doing then is noted a moment later, so this is
 * looked at again and again. */
static bool is_of_nobody(void *arg, const char *place)
{
    fh_pool_offer o;
    return fh_str_starts(fh_str_of(place), FH_STR("node/")) && !fh_pool_offers_find(((fh_server *)arg)->pool_offers, place, &o);
}

static void write_down(fh_server *s)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    if (fh_standings_forget_stale(s->standings, is_of_nobody, s, &err)) {
        fh_log_err(FH_LOG_WARN, "server", err, "the standing of machines that are gone is not forgotten");
        fh_err_free(fh_take(err));
    }
    fh_server_note_uptime(s, FH_LIMIT_HONESTY_TICK_MS / 1000.0);
    if (fh_standings_write(s->standings, &err)) fh_log_err(FH_LOG_WARN, "server", err, "how places have worked is not written down");
}

static void tick(void *arg)
{
    fh_server *s = arg;
    if (!s->stopping && !s->handed_over) {
        write_down(s);
        if (!starts_endpoint(s)) starts_node(s);
    }
    fh_timer_start(s->honesty_timer, FH_LIMIT_HONESTY_TICK_MS * FH_NS_PER_MS);
}

int fh_honesty_watch(fh_server *s, fh_err **err)
{
    int rc = fh_timer_new(&s->honesty_timer, s->loop, tick, s, err);
    if (!rc) fh_timer_start(s->honesty_timer, FH_LIMIT_HONESTY_TICK_MS * FH_NS_PER_MS);
    return rc;
}
