/* Which model (see choose_model.h). */
#include "choose_model.h"

#include "base/limits.h"
#include "base/mem.h"
#include <math.h>

#define TOLERANCE (FH_LIMIT_CHOOSE_TOLERANCE_PERMILLE / 1000.0)
#define HOPELESS  0.3  /* so much less likely than the best: not tried to learn */
#define LITTLE    8.0  /* outcomes below which little is known */
#define TRY_LEAST 0.5  /* two answers take their time: not tried what fails more often than not */
#define OPTIMISM  0.15 /* of what nothing is known of, where trying costs little */

double fh_model_prior(double size, double largest)
{
    if (size <= 0 || largest <= 0) return 0.7;
    return 0.9 - FH_MIN(0.1 * log10(FH_MAX(largest / size, 1.0)) * 2, 0.4); /* a hundredth of the size: 0.5 */
}

static double measure(const fh_model_option *o, fh_prefer prefer)
{
    switch (prefer) {
    case FH_PREFER_PRICE: return o->price;
    case FH_PREFER_ENERGY: return o->energy;
    case FH_PREFER_SPEED: return o->duration;
    case FH_PREFER_BALANCE:
    case FH_PREFERS: break;
    }
    return o->size > 0 ? o->size : -1;
}

/* What each costs by the wish, the dearest being 1. What is not known counts as the dearest. */
static void weigh(const fh_model_option *list, size_t count, fh_prefer prefer, double *ret)
{
    double most = 0;
    for (size_t i = 0; i < count; i++) most = FH_MAX(most, measure(&list[i], prefer));
    for (size_t i = 0; i < count; i++) {
        double m = measure(&list[i], prefer);
        ret[i] = most <= 0 ? (double)(i + 1) / (double)count : m < 0 ? 1 : m / most; /* nothing known: in the order they are named in */
    }
}

static size_t best_but(const fh_model_option *list, size_t count, size_t but)
{
    size_t best = count;
    for (size_t i = 0; i < count; i++)
        if (i != but && (best == count || list[i].belief.success > list[best].belief.success)) best = i;
    return best;
}

/* Cheaper; alike: the one that is more likely to do. */
static bool before(const fh_model_option *list, const double *cost, size_t a, size_t b)
{
    return cost[a] < cost[b] || (cost[a] <= cost[b] && list[a].belief.success > list[b].belief.success);
}

static size_t cheapest_adequate(const fh_model_option *list, size_t count, const double *cost)
{
    size_t best = best_but(list, count, count), found = best;
    for (size_t i = 0; i < count; i++) {
        bool adequate = list[i].belief.success >= list[best].belief.success - TOLERANCE;
        if (adequate && before(list, cost, i, found)) found = i;
    }
    return found;
}

/* With a check and one more try: what is spent in all is its own, and with the chance that it fails the other's too. */
static size_t cheapest_checked(const fh_model_option *list, size_t count, const double *cost)
{
    size_t best = best_but(list, count, count), found = best;
    double least = cost[best] + (1 - list[best].belief.success) * cost[best_but(list, count, best)];
    for (size_t i = 0; i < count; i++) {
        size_t next = best_but(list, count, i);
        double success = FH_MIN(list[i].belief.success + OPTIMISM / (1 + list[i].belief.evidence), 1.0);
        double in_all = success + (1 - success) * list[next].belief.success, spent = cost[i] + (1 - success) * cost[next];
        if (success < TRY_LEAST || in_all < list[best].belief.success - TOLERANCE || spent >= least) continue;
        least = spent;
        found = i;
    }
    return found;
}

/* The least known of those that cost less than what was chosen, and may do; count when there is none. */
static size_t least_known(const fh_model_option *list, size_t count, const double *cost, size_t chosen)
{
    size_t found = count;
    for (size_t i = 0; i < count; i++) {
        bool may_do = list[i].belief.success >= list[chosen].belief.success - HOPELESS;
        if (cost[i] >= cost[chosen] || !may_do || list[i].belief.evidence >= LITTLE) continue;
        if (found == count || list[i].belief.evidence < list[found].belief.evidence) found = i;
    }
    return found;
}

static bool is_cheapest(const double *cost, size_t count, size_t one)
{
    for (size_t i = 0; i < count; i++)
        if (cost[i] < cost[one]) return false;
    return true;
}

size_t fh_choose_model(const fh_model_option *list, size_t count, const fh_model_wish *w, fh_model_reason *ret_reason)
{
    double cost[FH_LIMIT_CHOOSE_MODELS] = {0};
    *ret_reason = FH_MODEL_ONLY;
    if (count == 1) return 0;
    count = FH_MIN(count, (size_t)FH_LIMIT_CHOOSE_MODELS);
    weigh(list, count, w->prefer, cost);
    size_t chosen = w->checked ? cheapest_checked(list, count, cost) : cheapest_adequate(list, count, cost);
    size_t unknown = least_known(list, count, cost, chosen);
    if (unknown < count && w->random % FH_LIMIT_EXPLORE_ONE_IN == 0) {
        *ret_reason = FH_MODEL_EXPLORED;
        return unknown;
    }
    bool best = chosen == best_but(list, count, count) && !is_cheapest(cost, count, chosen);
    *ret_reason = best ? FH_MODEL_BEST : w->checked ? FH_MODEL_CHECKED : FH_MODEL_ADEQUATE;
    return chosen;
}

const char *fh_model_reason_text(fh_model_reason r, fh_prefer prefer)
{
    static const char *const adequate[] = {"the smallest that is good enough", "the cheapest that is good enough",
                                           "the fastest that is good enough", "the least energy that is good enough"};
    static const char *const checked[] = {"the smallest to try, its answer is checked", "the cheapest to try, its answer is checked",
                                          "the fastest to try, its answer is checked", "the least energy to try, its answer is checked"};
    switch (r) {
    case FH_MODEL_ONLY: return "the only one that can";
    case FH_MODEL_ADEQUATE: return adequate[prefer];
    case FH_MODEL_CHECKED: return checked[prefer];
    case FH_MODEL_BEST: return "the one most likely to do";
    case FH_MODEL_EXPLORED: break;
    }
    return "tried, to learn how good it is";
}
