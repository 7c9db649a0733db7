/* Which replica (see choose.h). */
#include "choose.h"

#include "base/mem.h"

enum { BUSY_TOK = 64 * 256, EJECT_COUNT = 3 }; /* 64 requests of a usual length; replicas of which one may be an outlier */
#define EJECT_RATE  0.3
#define MATCH_LEAST 0.3
#define BUSY_FACTOR 1.5
#define FAR_FACTOR  1.25

/* Seconds of work before a request would begin, as far as we know; failing ones look slower. */
static double wait_of(const fh_option *o)
{
    double speed = o->tok_per_s > 0 ? o->tok_per_s : 1000;
    return (o->in_flight_tok + 1) / speed / (1.0 - FH_MIN(o->failure_rate, 0.95));
}

/* As it is weighed: what is far away must be that much lighter. */
static double weight_of(const fh_option *o)
{
    return wait_of(o) * (o->near ? 1 : FAR_FACTOR);
}

static double cost_of(const fh_option *o, fh_prefer prefer)
{
    if (prefer == FH_PREFER_PRICE) return o->price;
    return prefer == FH_PREFER_ENERGY ? o->energy : 0;
}

/* Is a better than b? What is preferred decides, then the wait. */
static bool better(const fh_option *a, const fh_option *b, fh_prefer prefer)
{
    double x = cost_of(a, prefer), y = cost_of(b, prefer);
    return x < y || (x <= y && weight_of(a) < weight_of(b));
}

/* Only for being near: the other one is as light. */
static bool won_by_region(const fh_option *won, const fh_option *lost)
{
    return won->near && !lost->near && wait_of(won) >= wait_of(lost);
}

/* Of those that get requests. */
static double median_rate(const fh_option *list, size_t count)
{
    size_t usable = 0;
    for (size_t i = 0; i < count; i++) usable += !list[i].open;
    for (size_t i = 0; i < count; i++) {
        size_t below = 0, equal = 0;
        for (size_t k = 0; k < count; k++) {
            below += !list[k].open && list[k].failure_rate < list[i].failure_rate;
            equal += !list[k].open && !(list[k].failure_rate < list[i].failure_rate) && !(list[k].failure_rate > list[i].failure_rate);
        }
        if (!list[i].open && below <= usable / 2 && usable / 2 < below + equal) return list[i].failure_rate;
    }
    return 0;
}

static size_t worst(const fh_option *list, size_t count)
{
    size_t found = count;
    for (size_t i = 0; i < count; i++)
        if (!list[i].open && (found == count || list[i].failure_rate > list[found].failure_rate)) found = i;
    return found;
}

void fh_options_eject(fh_option *list, size_t count)
{
    double median = count < EJECT_COUNT ? 0 : median_rate(list, count);
    for (size_t left = count / EJECT_COUNT; left > 0; left--) {
        size_t i = worst(list, count);
        if (i == count || list[i].failure_rate < FH_MAX(EJECT_RATE, median + EJECT_RATE)) return;
        list[i].open = true;
    }
}

static bool all_open(const fh_option *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!list[i].open) return false;
    return true;
}

static size_t nth_usable(const fh_option *list, size_t count, bool any, size_t n)
{
    for (size_t i = 0; i < count; i++)
        if ((any || !list[i].open) && n-- == 0) return i;
    return 0;
}

/* The usable one that holds most of the prompt, when that is worth going there; count when none. */
static size_t by_prefix(const fh_option *list, size_t count, bool any)
{
    size_t best = count;
    double least = -1;
    for (size_t i = 0; i < count; i++) {
        if (list[i].open && !any) continue;
        if (least < 0 || list[i].in_flight_tok < least) least = list[i].in_flight_tok;
        if (list[i].matched > MATCH_LEAST && (best == count || list[i].matched > list[best].matched)) best = i;
    }
    if (best == count) return count;
    bool busy = list[best].in_flight_tok > least + BUSY_TOK && list[best].in_flight_tok > BUSY_FACTOR * least;
    return busy ? count : best;
}

/* With a preference for what it costs all are looked at: the cheapest of two at random is not the cheapest. */
static size_t by_cost(const fh_option *list, size_t count, bool any, fh_prefer prefer)
{
    size_t best = count;
    for (size_t i = 0; i < count; i++)
        if ((any || !list[i].open) && (best == count || better(&list[i], &list[best], prefer))) best = i;
    return best;
}

size_t fh_choose(const fh_option *list, size_t count, fh_prefer prefer, const uint32_t random[2], fh_choice_reason *ret_reason)
{
    bool any = all_open(list, count);
    size_t usable = 0;
    for (size_t i = 0; i < count; i++) usable += any || !list[i].open;
    *ret_reason = any ? FH_CHOSE_LAST : FH_CHOSE_ONLY;
    if (usable <= 1) return nth_usable(list, count, any, 0);
    if (prefer == FH_PREFER_PRICE || prefer == FH_PREFER_ENERGY) {
        *ret_reason = prefer == FH_PREFER_PRICE ? FH_CHOSE_PRICE : FH_CHOSE_ENERGY;
        return by_cost(list, count, any, prefer);
    }
    size_t held = by_prefix(list, count, any);
    if (held < count) {
        *ret_reason = FH_CHOSE_PREFIX;
        return held;
    }
    size_t first = random[0] % usable, second = random[1] % (usable - 1);
    size_t a = nth_usable(list, count, any, first), b = nth_usable(list, count, any, second + (second >= first));
    bool b_won = better(&list[b], &list[a], prefer);
    size_t won = b_won ? b : a, lost = b_won ? a : b;
    if (!any) *ret_reason = won_by_region(&list[won], &list[lost]) ? FH_CHOSE_NEAR : FH_CHOSE_LIGHTEST;
    return won;
}

const char *fh_choice_text(fh_choice_reason r)
{
    static const char *const texts[] = {"the only one that can",
                                        "holds the beginning of the prompt",
                                        "the less busy of two",
                                        "in this server's region, and not much busier",
                                        "the cheapest",
                                        "the least energy",
                                        "all have failed a moment ago, this one is tried"};
    return texts[r];
}
