/* Canaries now and then, for endpoints whose operator wants them (`provider add --check N`): N a day, at times that nobody can foresee.
 * Every HONESTY_TICK_MS a draw says whether one goes out, for one model of one endpoint; while a check runs, none does. On the main loop.
 */
#include "honesty.h"

#include "base/clock.h"
#include "net/secret.h"
#include "providers.h"

#define DAY_MS (24 * 3600 * 1000.0)

/* A number from 0 to below 1. */
static double draw(void)
{
    uint64_t random = UINT64_MAX; /* without randomness: none goes out */
    fh_random_bytes(&random, sizeof random, NULL);
    return (double)(random >> 11) / 9007199254740992.0;
}

/* One that was found to cheat is not asked for more, and so not paid for more. */
static bool starts(fh_server *s, const fh_provider *p)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    char checked[128];
    if (!p->model_count || draw() >= (double)p->canaries_per_day * FH_LIMIT_HONESTY_TICK_MS / DAY_MS) return false;
    const char *model = p->models[(size_t)(draw() * (double)p->model_count)];
    if (fh_standings_verdict(s->standings, p->name, model) == FH_HONESTY_CHEATS) return false;
    fh_honesty_wish wish = {.provider = p->name, .model = fh_str_of(model), .canaries = 1};
    return fh_honesty_check_start(s, &wish, checked, &err) == 0;
}

static void tick(void *arg)
{
    fh_server *s = arg;
    bool started = s->stopping || s->handed_over;
    for (size_t i = 0; i < fh_providers_count(s->providers) && !started; i++) started = starts(s, fh_providers_at(s->providers, i));
    fh_timer_start(s->honesty_timer, FH_LIMIT_HONESTY_TICK_MS * FH_NS_PER_MS);
}

int fh_honesty_watch(fh_server *s, fh_err **err)
{
    int rc = fh_timer_new(&s->honesty_timer, s->loop, tick, s, err);
    if (!rc) fh_timer_start(s->honesty_timer, FH_LIMIT_HONESTY_TICK_MS * FH_NS_PER_MS);
    return rc;
}
