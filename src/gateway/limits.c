/* How much one key may ask (see limits.h). */
#include "limits.h"

#include "base/clock.h"
#include "base/limits.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { RECORDS = FH_LIMIT_LIMIT_RECORDS, PLACES = 8 };
#define MINUTE (60.0 * 1e9)

typedef struct record {
    char key_id[16];
    int64_t filled_ns;
    double requests, tok; /* left */
    uint64_t at_once;
} record;

struct fh_limits {
    pthread_mutex_t lock;
    record records[RECORDS]; /* a key may stand in PLACES of them */
};

fh_limits *fh_limits_new(void)
{
    fh_limits *l = fh_calloc(1, sizeof *l);
    if (l) pthread_mutex_init(&l->lock, NULL);
    return l;
}

void fh_limits_free(fh_limits *l)
{
    if (!l) return;
    pthread_mutex_destroy(&l->lock);
    fh_free(l);
}

static size_t first_place(const char *key_id)
{
    uint64_t h = 1469598103934665603u;
    for (; *key_id; key_id++) h = (h ^ (uint8_t)*key_id) * 1099511628211u;
    return (size_t)(h % RECORDS);
}

/* The key's record; a new one takes the place of the idlest. NULL when all places run requests. */
static record *find(fh_limits *l, const char *key_id, bool make)
{
    record *idlest = NULL;
    for (size_t i = 0, at = first_place(key_id); i < PLACES; i++) {
        record *r = &l->records[(at + i) % RECORDS];
        if (strcmp(r->key_id, key_id) == 0) return r;
        if (r->at_once == 0 && (!idlest || r->filled_ns < idlest->filled_ns)) idlest = r;
    }
    if (!make || !idlest) return NULL;
    *idlest = (record){.filled_ns = 0};
    snprintf(idlest->key_id, sizeof idlest->key_id, "%s", key_id);
    return idlest;
}

static double filled(double left, uint64_t limit, double minutes)
{
    return FH_MIN(left + minutes * (double)limit, (double)limit);
}

/* One that comes for the first time, or after more than a minute, has all. */
static void fill(record *r, const fh_limit_set *limits, int64_t now_ns)
{
    double minutes = r->filled_ns ? (double)(now_ns - r->filled_ns) / MINUTE : 1e9;
    r->requests = filled(r->requests, limits->requests_per_min, minutes);
    r->tok = filled(r->tok, limits->tok_per_min, minutes);
    r->filled_ns = now_ns;
}

static int64_t until(double left, double wanted, uint64_t limit)
{
    return limit && left < wanted ? (int64_t)((wanted - left) / (double)limit * MINUTE) : 0;
}

static fh_limit_state state_of(const record *r, const fh_limit_set *limits)
{
    return (fh_limit_state){.limits = *limits,
                            .requests_left = r->requests > 0 ? (uint64_t)r->requests : 0,
                            .tok_left = r->tok > 0 ? (uint64_t)r->tok : 0,
                            .requests_full_ns = until(r->requests, (double)limits->requests_per_min, limits->requests_per_min),
                            .tok_full_ns = until(r->tok, (double)limits->tok_per_min, limits->tok_per_min)};
}

static int too_much(const char *what, uint64_t limit, int64_t retry_ns, int64_t *ret_retry_ns, fh_err **err)
{
    *ret_retry_ns = retry_ns;
    fh_err_set(err, FH_E_BUSY, "this key may use %llu %s", (unsigned long long)limit, what);
    fh_err_hint(err, "ask again in %.1f s", (double)FH_MAX(retry_ns, FH_NS_PER_S / 10) / 1e9);
    fh_err_reason(err, "rate_limit_exceeded");
    return FH_E_BUSY;
}

static int let_in(record *r, const fh_limit_set *limits, int64_t *ret_retry_ns, fh_err **err)
{
    if (limits->at_once && r->at_once >= limits->at_once)
        return too_much("requests at once", limits->at_once, FH_NS_PER_S, ret_retry_ns, err);
    if (limits->requests_per_min && r->requests < 1)
        return too_much("requests a minute", limits->requests_per_min, until(r->requests, 1, limits->requests_per_min), ret_retry_ns, err);
    if (limits->tok_per_min && r->tok < 1)
        return too_much("tokens a minute", limits->tok_per_min, until(r->tok, 1, limits->tok_per_min), ret_retry_ns, err);
    return 0;
}

int fh_limits_begin(fh_limits *l, const char *key_id, const fh_limit_set *limits, uint64_t guess_tok, int64_t now_ns,
                    fh_limit_state *ret_state, int64_t *ret_retry_ns, fh_err **err)
{
    *ret_state = (fh_limit_state){.limits = *limits};
    *ret_retry_ns = 0;
    pthread_mutex_lock(&l->lock);
    record *r = find(l, key_id, true);
    int rc = 0;
    if (!r)
        rc = too_much("requests now: too many keys ask at once", 0, FH_NS_PER_S, ret_retry_ns, err);
    else {
        fill(r, limits, now_ns);
        rc = let_in(r, limits, ret_retry_ns, err);
        if (rc == 0) {
            r->at_once++;
            r->requests -= 1;
            r->tok -= (double)guess_tok;
        }
        *ret_state = state_of(r, limits);
    }
    pthread_mutex_unlock(&l->lock);
    return rc;
}

void fh_limits_end(fh_limits *l, const char *key_id, uint64_t guess_tok, uint64_t used_tok)
{
    pthread_mutex_lock(&l->lock);
    record *r = find(l, key_id, false);
    if (r && r->at_once) {
        r->at_once--;
        r->tok += (double)guess_tok - (double)used_tok;
    }
    pthread_mutex_unlock(&l->lock);
}

static int hold(void *ctx, const fh_hold *h, fh_lease *ret, fh_err **err)
{
    int rc = fh_limits_begin(ctx, h->key->id, &h->key->limits, fh_hold_guess_tok(h), fh_clock_mono_ns(), &ret->limits, &ret->retry_ns, err);
    if (rc) ret->retry_ns = FH_MAX(ret->retry_ns, FH_NS_PER_MS);
    return rc;
}

static void settle(void *ctx, const fh_hold *h, const fh_lease *l, const fh_spent *spent)
{
    (void)l;
    fh_limits_end(ctx, h->key->id, fh_hold_guess_tok(h), spent->prompt_tok + spent->answer_tok);
}

fh_hold_port fh_limits_port(fh_limits *l)
{
    return (fh_hold_port){.ctx = l, .hold = hold, .settle = settle};
}
