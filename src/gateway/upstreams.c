/* What is known of each replica (see upstreams.h). */
#include "upstreams.h"

#include "base/clock.h"
#include "base/limits.h"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { ENTRIES = FH_LIMIT_UPSTREAMS, FIRSTS = 16 };
#define FIRST_KEPT_NS (FH_LIMIT_SCALE_FIRST_TOKEN_OF_MS * FH_NS_PER_MS)
#define SHARE         0.1  /* of a new sample in a moving average */
#define FADE_NS       30e9 /* half of what failed is forgotten */

struct fh_upstream { /* all under the table's lock */
    fh_upstreams *table;
    char deployment[64];
    int64_t instance, used_ns;
    unsigned holders;
    uint64_t requests, failures, in_flight, in_flight_tok, waiting;
    struct first {
        int64_t at_ns; /* 0: none */
        double after_s;
    } firsts[FIRSTS]; /* first tokens of late, one after another, from the beginning again */
    size_t first_count;
    unsigned failed_in_row, opened_in_row;
    int64_t open_until_ns;
    bool probing;
    double gap_s, first_s, failure_rate, worst_gap_s, bad_calls;
    uint64_t calls, calls_bad;
    int64_t ended_ns; /* of the last request that says something of it */
};

struct fh_upstreams {
    pthread_mutex_t lock;
    fh_upstream *entries[ENTRIES];
};

fh_upstreams *fh_upstreams_new(void)
{
    fh_upstreams *u = fh_calloc(1, sizeof *u);
    if (u) pthread_mutex_init(&u->lock, NULL);
    return u;
}

void fh_upstreams_free(fh_upstreams *u)
{
    if (!u) return;
    for (size_t i = 0; i < ENTRIES; i++) fh_free(u->entries[i]);
    pthread_mutex_destroy(&u->lock);
    fh_free(u);
}

static fh_upstream *find(fh_upstreams *u, const char *deployment, int64_t instance)
{
    for (size_t i = 0; i < ENTRIES; i++) {
        fh_upstream *s = u->entries[i];
        if (s && s->instance == instance && strcmp(s->deployment, deployment) == 0) return s;
    }
    return NULL;
}

/* A free place, or that of the record which was not used for the longest; NULL when all are held. */
static fh_upstream **place(fh_upstreams *u)
{
    fh_upstream **oldest = NULL;
    for (size_t i = 0; i < ENTRIES; i++) {
        fh_upstream *s = u->entries[i];
        if (!s) return &u->entries[i];
        if (s->holders == 0 && (!oldest || s->used_ns < (*oldest)->used_ns)) oldest = &u->entries[i];
    }
    return oldest;
}

static fh_upstream *find_or_make(fh_upstreams *u, const char *deployment, int64_t instance)
{
    fh_upstream *s = find(u, deployment, instance), **at = s ? NULL : place(u);
    if (s || !at) return s;
    s = fh_calloc(1, sizeof *s);
    if (!s) return NULL;
    *s = (fh_upstream){.table = u, .instance = instance};
    snprintf(s->deployment, sizeof s->deployment, "%s", deployment);
    fh_free(*at);
    *at = s;
    return s;
}

static bool is_open(const fh_upstream *s, int64_t now_ns)
{
    if (s->failed_in_row < FH_LIMIT_UPSTREAM_FAILURES) return false;
    return now_ns < s->open_until_ns || s->probing;
}

/* What is not asked is not learned about: old failures are forgotten, so that it is tried again. */
static double faded(const fh_upstream *s, int64_t now_ns)
{
    return exp2(-(double)FH_MAX(now_ns - s->ended_ns, (int64_t)0) / FADE_NS);
}

void fh_upstreams_look(fh_upstreams *u, const char *deployment, int64_t instance, int64_t now_ns, fh_option *ret)
{
    *ret = (fh_option){0};
    pthread_mutex_lock(&u->lock);
    const fh_upstream *s = find(u, deployment, instance);
    if (s) {
        ret->open = is_open(s, now_ns);
        ret->in_flight_tok = (double)s->in_flight_tok;
        ret->tok_per_s = s->gap_s > 0 ? 1 / s->gap_s : 0;
        ret->first_token_s = s->first_s;
        ret->failure_rate = s->failure_rate * faded(s, now_ns);
        ret->bad_calls = s->bad_calls * faded(s, now_ns);
    }
    pthread_mutex_unlock(&u->lock);
}

fh_upstream *fh_upstreams_begin(fh_upstreams *u, const char *deployment, int64_t instance, uint64_t expect_tok, int64_t now_ns)
{
    pthread_mutex_lock(&u->lock);
    fh_upstream *s = find_or_make(u, deployment, instance);
    if (s) {
        s->holders++;
        s->requests++;
        s->in_flight++;
        s->in_flight_tok += expect_tok;
        s->used_ns = now_ns;
        s->probing = s->failed_in_row >= FH_LIMIT_UPSTREAM_FAILURES;
    }
    pthread_mutex_unlock(&u->lock);
    return s;
}

static void average(double *to, double sample)
{
    *to = *to > 0 ? *to + SHARE * (sample - *to) : sample;
}

void fh_upstream_first(fh_upstream *s, int64_t after_ns, int64_t now_ns)
{
    double after_s = (double)after_ns / 1e9;
    pthread_mutex_lock(&s->table->lock);
    average(&s->first_s, after_s);
    s->firsts[s->first_count++ % FIRSTS] = (struct first){now_ns, after_s};
    pthread_mutex_unlock(&s->table->lock);
}

void fh_upstream_token(fh_upstream *s, int64_t gap_ns)
{
    double gap_s = (double)gap_ns / 1e9;
    pthread_mutex_lock(&s->table->lock);
    average(&s->gap_s, gap_s);
    s->worst_gap_s = FH_MAX(gap_s, s->worst_gap_s * 0.999);
    pthread_mutex_unlock(&s->table->lock);
}

/* Twenty times the usual and four times the worst silence of late, whichever is more. */
int64_t fh_upstream_stall_ns(fh_upstream *s, bool begun)
{
    pthread_mutex_lock(&s->table->lock);
    double usual = begun ? s->gap_s : s->first_s, learned = FH_MAX(usual * 20, begun ? s->worst_gap_s * 4 : usual * 20);
    pthread_mutex_unlock(&s->table->lock);
    int64_t least = begun ? FH_LIMIT_STALL_LEAST_MS : FH_LIMIT_STALL_FIRST_MS, ms = (int64_t)(learned * 1000);
    return FH_MIN(FH_MAX(ms, least), (int64_t)FH_LIMIT_STALL_MOST_MS) * FH_NS_PER_MS;
}

static void failed(fh_upstream *s, int64_t now_ns)
{
    s->failures++;
    if (++s->failed_in_row < FH_LIMIT_UPSTREAM_FAILURES) return;
    int64_t ms = FH_MIN((int64_t)1000 << FH_MIN(s->opened_in_row, 10u), (int64_t)FH_LIMIT_UPSTREAM_OPEN_MS);
    s->opened_in_row++;
    s->open_until_ns = now_ns + ms * FH_NS_PER_MS;
}

void fh_upstream_end(fh_upstream *s, uint64_t expect_tok, fh_outcome outcome, int64_t now_ns)
{
    pthread_mutex_t *lock = &s->table->lock;
    pthread_mutex_lock(lock);
    s->holders--;
    s->in_flight--;
    s->in_flight_tok -= expect_tok;
    s->probing = false;
    if (outcome == FH_OUTCOME_FAILED)
        failed(s, now_ns);
    else if (outcome == FH_OUTCOME_GOOD)
        s->failed_in_row = s->opened_in_row = 0;
    if (outcome != FH_OUTCOME_LEFT) {
        double rate = s->failure_rate * faded(s, now_ns);
        s->failure_rate = rate + SHARE * ((outcome == FH_OUTCOME_FAILED) - rate);
        s->ended_ns = now_ns;
    }
    pthread_mutex_unlock(lock);
}

void fh_upstreams_called(fh_upstreams *u, const char *deployment, int64_t instance, bool good)
{
    pthread_mutex_lock(&u->lock);
    fh_upstream *s = find(u, deployment, instance);
    if (s) {
        s->calls++;
        s->calls_bad += !good;
        s->bad_calls += SHARE * (!good - s->bad_calls);
    }
    pthread_mutex_unlock(&u->lock);
}

void fh_upstreams_wait(fh_upstreams *u, const char *deployment, int64_t instance, bool begins)
{
    pthread_mutex_lock(&u->lock);
    fh_upstream *s = begins ? find_or_make(u, deployment, instance) : find(u, deployment, instance);
    if (s && begins)
        s->waiting++;
    else if (s && s->waiting) /* it may have been forgotten, and made anew */
        s->waiting--;
    pthread_mutex_unlock(&u->lock);
}

/* Of the first tokens that say something of now; 0: there are none. */
static double median_first_s(const fh_upstream *s, int64_t now_ns)
{
    double sorted[FIRSTS];
    size_t n = 0;
    for (size_t i = 0; i < FIRSTS; i++) {
        const struct first *f = &s->firsts[i];
        if (!f->at_ns || now_ns - f->at_ns > FIRST_KEPT_NS) continue;
        size_t k = n++;
        for (; k > 0 && sorted[k - 1] > f->after_s; k--) sorted[k] = sorted[k - 1];
        sorted[k] = f->after_s;
    }
    return n ? sorted[n / 2] : 0;
}

size_t fh_upstreams_list(fh_upstreams *u, int64_t now_ns, fh_upstream_view *ret, size_t max)
{
    size_t n = 0;
    pthread_mutex_lock(&u->lock);
    for (size_t i = 0; i < ENTRIES && n < max; i++) {
        const fh_upstream *s = u->entries[i];
        if (!s) continue;
        ret[n] = (fh_upstream_view){.instance = s->instance,
                                    .requests = s->requests,
                                    .failures = s->failures,
                                    .in_flight = s->in_flight,
                                    .waiting = s->waiting,
                                    .median_first_s = median_first_s(s, now_ns),
                                    .tok_per_s = s->gap_s > 0 ? 1 / s->gap_s : 0,
                                    .first_token_s = s->first_s,
                                    .failure_rate = s->failure_rate,
                                    .calls = s->calls,
                                    .calls_bad = s->calls_bad,
                                    .open = is_open(s, now_ns)};
        snprintf(ret[n++].deployment, sizeof ret->deployment, "%s", s->deployment);
    }
    pthread_mutex_unlock(&u->lock);
    return n;
}
