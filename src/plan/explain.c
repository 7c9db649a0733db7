/* The sentences about a ranking: why the first, why not the others. */
#include "base/mem.h"
#include "plan/rank.h"

#include <stdio.h>

#define NANO 1000000000

const char *fh_plan_reason_name(fh_plan_reason why)
{
    static const char *const names[] = {"licence", "trust", "region", "spot", "format", "size", "memory", "speed", "budget", "time"};
    _Static_assert(FH_COUNT(names) == FH_PLAN_REASONS, "a name for each");
    return names[why];
}

/* "28.90": hundredths, rounded half up. */
static void money(int64_t nusd, char out[32])
{
    int64_t cents = nusd / (NANO / 100) + (nusd % (NANO / 100) >= NANO / 200);
    snprintf(out, 32, "%lld.%02lld", (long long)(cents / 100), (long long)(cents % 100));
}

/* "12,345". */
static void count(int64_t n, char out[32])
{
    char digits[32];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)n), at = 0;
    for (int i = 0; i < len && at < 30; i++) {
        if (i > 0 && (len - i) % 3 == 0) out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
}

void fh_plan_why_rent(const fh_plan_ranking *r, const char *rented, const char *hosted, char *out, size_t out_size)
{
    char hour[32], million[32], above[32], most[32], share[32];
    if (out_size) out[0] = '\0';
    if (!r->has_rented || !r->has_hosted) return;
    int64_t even = fh_plan_break_even_tok_s(r->rented.hour_nusd, r->hosted.mtok_nusd);
    if (even == 0) {
        snprintf(out, out_size, "%s costs nothing: renting never wins", hosted);
        return;
    }
    money(r->rented.hour_nusd, hour);
    money(r->hosted.mtok_nusd, million);
    count(even, above);
    count(r->rented.most_millitok_s / 1000, most);
    count(r->rented.streams_max, share);
    int n = snprintf(out, out_size, "renting wins above %s tokens/s: %s at %s an hour against %s at %s a million", above, rented, hour,
                     hosted, million);
    if (n < 0 || (size_t)n >= out_size || r->rented.most_millitok_s == 0) return;
    snprintf(out + n, out_size - (size_t)n, "; it makes %s over %s streams%s", most, share,
             r->rented.most_millitok_s / 1000 > even ? "" : ", so the endpoint stays cheaper");
}

static void figure(const fh_plan *p, fh_plan_prefer prefer, char *out, size_t out_size)
{
    char hour[32], mtok[32];
    money(p->hour_nusd, hour);
    money(p->mtok_nusd, mtok);
    switch (prefer) {
    case FH_PLAN_SPEED:
        if (p->decode_millitok_s == 0)
            snprintf(out, out_size, "of unknown speed");
        else
            snprintf(out, out_size, "%.1f tokens a second", (double)p->decode_millitok_s / 1000);
        break;
    case FH_PLAN_ENERGY:
        if (p->mtok_uj < 0)
            snprintf(out, out_size, "of unknown energy");
        else
            snprintf(out, out_size, "%.2f J a token", (double)p->mtok_uj / 1e12);
        break;
    case FH_PLAN_START: snprintf(out, out_size, "ready in %lld s", (long long)p->ready_s); break;
    case FH_PLAN_PRICE:
        if (p->mtok_nusd < 0)
            snprintf(out, out_size, "%s an hour", hour);
        else if (p->variant && p->hour_nusd == 0)
            snprintf(out, out_size, "free");
        else if (p->variant)
            snprintf(out, out_size, "%s an hour, %s a million tokens", hour, mtok);
        else
            snprintf(out, out_size, "%s a million tokens", mtok);
        break;
    }
}

void fh_plan_why(const fh_plan_ranking *r, const fh_plan_wishes *w, char *out, size_t out_size)
{
    static const char *const best[] = {"cheapest", "fastest", "least energy", "soonest"};
    char first[96], next[96];
    if (r->count == 0) {
        snprintf(out, out_size, "none would do");
        return;
    }
    figure(&r->plans[0], w->prefer, first, sizeof(first));
    int n = snprintf(out, out_size, "%s of %zu that would do: %s", best[w->prefer], r->fit, first);
    if (r->count < 2 || n < 0 || (size_t)n >= out_size) return;
    figure(&r->plans[1], w->prefer, next, sizeof(next));
    snprintf(out + n, out_size - (size_t)n, "; the next: %s", next);
}

static void memory_text(const fh_plan_refused *f, const char *who, char *out, size_t out_size)
{
    char had[64], wanted[64];
    fh_plan_bytes((uint64_t)f->had, had, sizeof(had));
    fh_plan_bytes((uint64_t)f->wanted, wanted, sizeof(wanted));
    const char *with = f->fits_as == FH_PLAN_KV_16BIT ? "" : fh_plan_kv_name(f->fits_as);
    snprintf(out, out_size, "%s too little memory: the nearest has %s of the %s needed%s%s", who, had, wanted,
             *with ? "; it fits there with --kv-type " : "", with);
}

static void budget_text(const fh_plan_refused *f, const char *who, char *out, size_t out_size)
{
    char had[32], wanted[32];
    money(f->had, had);
    money(f->wanted, wanted);
    snprintf(out, out_size, "%s a price above the limit: the nearest asks %s an hour, the limit is %s", who, had, wanted);
}

void fh_plan_why_not(const fh_plan_ranking *r, fh_plan_reason why, char *out, size_t out_size)
{
    const fh_plan_refused *f = &r->refused[why];
    char who[48];
    snprintf(who, sizeof(who), "%zu %s", f->count, f->count == 1 ? "offer has" : "offers have");
    if (out_size) out[0] = '\0';
    if (f->count == 0) return;
    switch (why) {
    case FH_PLAN_BY_LICENCE:
        snprintf(out, out_size, "its licence is \"%s\", and at most \"%s\" was asked for", fh_licence_name((fh_licence)f->had),
                 fh_licence_name((fh_licence)f->wanted));
        break;
    case FH_PLAN_BY_TRUST:
        snprintf(out, out_size, "%s somebody who could read what is asked there, and is not trusted with it", who);
        break;
    case FH_PLAN_BY_REGION: snprintf(out, out_size, "%s another region", who); break;
    case FH_PLAN_BY_SPOT: snprintf(out, out_size, "%s a price at which it may be taken away", who); break;
    case FH_PLAN_BY_FORMAT: snprintf(out, out_size, "%s no engine that opens a published variant", who); break;
    case FH_PLAN_BY_SIZE: snprintf(out, out_size, "%s engines only for variants whose size is not known", who); break;
    case FH_PLAN_BY_MEMORY: memory_text(f, who, out, out_size); break;
    case FH_PLAN_BY_SPEED:
        snprintf(out, out_size, "%s too little speed: the nearest makes %.1f of %.1f tokens a second", who, (double)f->had / 1000,
                 (double)f->wanted / 1000);
        break;
    case FH_PLAN_BY_BUDGET: budget_text(f, who, out, out_size); break;
    case FH_PLAN_BY_TIME:
        snprintf(out, out_size, "%s a longer start: the nearest is ready in %lld s, the limit is %lld s", who, (long long)f->had,
                 (long long)f->wanted);
        break;
    case FH_PLAN_REASONS: break;
    }
}
