/* How many replicas are wanted (see scale.h). */
#include "scale.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include <inttypes.h>
#include <stdio.h>

#define SLOW_S       (FH_LIMIT_SCALE_FIRST_TOKEN_MS / 1000.0)
#define DIV_UP(a, b) (((a) + (b)-1) / (b))

static int64_t at_once(const fh_scale_load *l)
{
    return FH_MAX(l->at_once, (int64_t)1);
}

static int64_t demand(const fh_scale_load *l)
{
    return l->waiting + l->in_flight;
}

static bool has_queue(const fh_scale_load *l)
{
    return l->waiting > l->ready * FH_LIMIT_SCALE_QUEUE;
}

/* Another replica helps only where requests share one. */
static bool is_slow(const fh_scale_load *l)
{
    return l->first_token_s > SLOW_S && l->in_flight > l->ready;
}

/* Those that are on their way are waited for, unless there is work for even more. */
static int64_t more(const fh_scale *s, const fh_scale_load *l)
{
    if (!has_queue(l) && !is_slow(l)) return s->wanted;
    int64_t one_more = s->wanted + (l->ready >= s->wanted);
    return FH_MAX(one_more, DIV_UP(demand(l), at_once(l)));
}

/* Fewer would be SCALE_FILL_PERCENT full, and nobody would share one who now waits long for a first token. */
static int64_t fewer(const fh_scale *s, const fh_scale_load *l)
{
    int64_t n = DIV_UP(demand(l) * 100, at_once(l) * FH_LIMIT_SCALE_FILL_PERCENT);
    if (l->first_token_s > SLOW_S / 2) n = FH_MAX(n, l->in_flight);
    return FH_MIN(FH_MAX(n, (int64_t)1), s->wanted);
}

static int64_t clamp(int64_t n, const fh_scale_rule *r)
{
    return FH_MIN(FH_MAX(n, FH_MAX(r->min, (int64_t)1)), r->max);
}

static void forget_looks(fh_scale *s)
{
    s->up_since_ns = s->down_since_ns = 0;
}

static bool change(fh_scale *s, int64_t to)
{
    s->wanted = to;
    forget_looks(s);
    return true;
}

static bool look_up(fh_scale *s, int64_t n, int64_t for_ns, int64_t now_ns)
{
    if (n <= s->wanted) {
        s->up_since_ns = 0;
        return false;
    }
    s->up_least = s->up_since_ns ? FH_MIN(s->up_least, n) : n;
    if (!s->up_since_ns) s->up_since_ns = now_ns;
    return now_ns - s->up_since_ns >= for_ns;
}

static bool look_down(fh_scale *s, int64_t n, int64_t for_ns, int64_t now_ns)
{
    if (n >= s->wanted) {
        s->down_since_ns = 0;
        return false;
    }
    s->down_most = s->down_since_ns ? FH_MAX(s->down_most, n) : n;
    if (!s->down_since_ns) s->down_since_ns = now_ns;
    return now_ns - s->down_since_ns >= for_ns;
}

/* While none is ready nobody could have asked it. */
static void note_work(fh_scale *s, const fh_scale_load *l, int64_t now_ns)
{
    if (!s->busy_ns || demand(l) || l->requests != s->requests || l->ready == 0) s->busy_ns = now_ns;
    s->requests = l->requests;
}

static bool is_idle(const fh_scale *s, const fh_scale_rule *r, int64_t now_ns)
{
    return r->min == 0 && now_ns - s->busy_ns >= r->idle_ns;
}

static void say_why_more(const fh_scale_load *l, char *why, size_t why_size)
{
    if (has_queue(l))
        snprintf(why, why_size, "%" PRId64 " requests wait", l->waiting);
    else
        snprintf(why, why_size, "first tokens take %.1f s", l->first_token_s);
}

bool fh_scale_look(fh_scale *s, const fh_scale_rule *r, const fh_scale_load *l, int64_t now_ns, char *why, size_t why_size)
{
    note_work(s, l, now_ns);
    if (s->wanted == 0 && r->min == 0) return false;
    if (s->wanted != clamp(s->wanted, r)) {
        snprintf(why, why_size, "that is what was asked for");
        return change(s, clamp(s->wanted, r));
    }
    if (is_idle(s, r, now_ns)) {
        snprintf(why, why_size, "nobody asked it for %lld s", (long long)((now_ns - s->busy_ns) / FH_NS_PER_S));
        return change(s, 0);
    }
    bool up = look_up(s, clamp(more(s, l), r), r->up_ns, now_ns), down = look_down(s, clamp(fewer(s, l), r), r->down_ns, now_ns);
    if (up) {
        say_why_more(l, why, why_size);
        return change(s, s->up_least);
    }
    if (!down) return false;
    snprintf(why, why_size, "fewer are enough for what there was to do in %lld s", (long long)(r->down_ns / FH_NS_PER_S));
    return change(s, s->down_most);
}

void fh_scale_wake(fh_scale *s, int64_t now_ns)
{
    s->wanted = FH_MAX(s->wanted, (int64_t)1);
    s->busy_ns = now_ns;
}
