/* The sampler. What top-k, top-p and min-p leave is one cutoff in the order of the logits (higher first, lower id first among equals), so
 * nothing is sorted: a radix selection over the bits of the logits finds the cutoff in three passes, whatever the distribution, and the
 * draw is two more. No memory grows with the vocabulary but the counts for penalties. exp is computed here, not by libm, whose variants
 * differ between processors: the same logits and the same seed give the same token everywhere. */
#include "model/sampler.h"

#include "base/limits.h"
#include <float.h>
#include <math.h>
#include <string.h>

typedef struct changed {
    fh_token id;
    float logit; /* as it was */
} changed;

struct fh_sampler {
    fh_sample_params params;
    size_t vocab;
    uint64_t draws;
    uint32_t *counts; /* [vocab] of each token in the window; NULL when nothing is penalised */
    fh_token *window; /* ring of the last penalty_last tokens */
    size_t window_cap, window_at, window_count;
    changed *log; /* what bias and penalties changed in this step; [window_cap + bias_count] */
    size_t log_count;
};

/* What is kept: logits above `logit`, and the first `ties` (by id) that equal it. */
typedef struct cutoff {
    float logit;
    uint32_t ties;
} cutoff;

typedef struct scale {
    float most, by; /* the weight of a logit is exp((logit - most) * by) */
} scale;

void fh_sample_params_default(fh_sample_params *p)
{
    *p = (fh_sample_params){.temperature = 1, .top_p = 1, .repetition_penalty = 1, .penalty_last = 64};
}

static bool differs(double x, double neutral)
{
    return x < neutral || x > neutral;
}

static bool penalises(const fh_sample_params *p)
{
    return p->penalty_last && (differs(p->repetition_penalty, 1) || differs(p->presence_penalty, 0) || differs(p->frequency_penalty, 0));
}

void fh_sampler_free(fh_sampler *s)
{
    if (!s) return;
    fh_free(s->counts);
    fh_free(s->window);
    fh_free(s->log);
    fh_free(s);
}

static int bad(fh_err **err, const char *field, const char *what)
{
    fh_err_set(err, FH_E_INVALID, "%s must be %s", field, what);
    fh_err_param(err, "%s", field);
    return FH_E_INVALID;
}

static int check(const fh_sample_params *p, fh_err **err)
{
    if (!(p->temperature >= 0 && p->temperature <= 100)) return bad(err, "temperature", "0 to 100");
    if (!(p->top_p >= 0 && p->top_p <= 1)) return bad(err, "top_p", "0 to 1");
    if (!(p->min_p >= 0 && p->min_p <= 1)) return bad(err, "min_p", "0 to 1");
    if (!(p->repetition_penalty > 0 && p->repetition_penalty <= 100)) return bad(err, "repetition_penalty", "above 0 and at most 100");
    if (!(fabs(p->presence_penalty) <= 100)) return bad(err, "presence_penalty", "-100 to 100");
    if (!(fabs(p->frequency_penalty) <= 100)) return bad(err, "frequency_penalty", "-100 to 100");
    if (penalises(p) && p->penalty_last > FH_LIMIT_PENALTY_LAST) return bad(err, "penalty_last", "at most 1048576");
    return 0;
}

int fh_sampler_new(fh_sampler **ret, const fh_sample_params *p, size_t vocab_size, fh_err **err)
{
    int rc = check(p, err);
    if (rc) return rc;
    FH_AUTO(fh_sampler) fh_sampler *s = fh_calloc(1, sizeof *s);
    if (!s) return fh_err_nomem(err);
    s->params = *p;
    s->vocab = vocab_size;
    if (penalises(p)) {
        s->window_cap = p->penalty_last;
        s->counts = fh_calloc(vocab_size, sizeof *s->counts);
        s->window = fh_calloc(s->window_cap, sizeof *s->window);
        if (!s->counts || !s->window) return fh_err_nomem(err);
    }
    s->log = fh_realloc_array(NULL, s->window_cap + p->bias_count, sizeof *s->log);
    if (!s->log) return fh_err_nomem(err);
    *ret = fh_take(s);
    return 0;
}

void fh_sampler_accept(fh_sampler *s, fh_token id)
{
    if (!s->counts || id < 0 || (size_t)id >= s->vocab) return;
    if (s->window_count == s->window_cap)
        s->counts[s->window[s->window_at]]--;
    else
        s->window_count++;
    s->window[s->window_at] = id;
    s->window_at = (s->window_at + 1) % s->window_cap;
    s->counts[id]++;
}

/* ---- logits ---- */

/* NaN is never chosen, infinity is a large number, and there is one zero: then logits are ordered as their bits are. */
static void tidy(float *logits, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float x = logits[i] + 0.0f;
        x = x > FLT_MAX ? FLT_MAX : x;
        logits[i] = x >= -FLT_MAX ? x : -INFINITY;
    }
}

static void change(fh_sampler *s, float *logits, fh_token id, double value)
{
    s->log[s->log_count++] = (changed){id, logits[id]};
    logits[id] = (float)fmin(fmax(value, (double)-FLT_MAX), (double)FLT_MAX) + 0.0f;
}

static void add_bias(fh_sampler *s, float *logits)
{
    for (size_t i = 0; i < s->params.bias_count; i++) {
        fh_token id = s->params.bias_tokens[i];
        if (id >= 0 && (size_t)id < s->vocab) change(s, logits, id, (double)logits[id] + (double)s->params.bias_values[i]);
    }
}

/* Once for each token of the window: the top bit of its count marks it while it is done. Repetition divides or multiplies (Keskar 2019),
 * the others subtract. */
static void penalise(fh_sampler *s, float *logits)
{
    const fh_sample_params *p = &s->params;
    for (size_t i = 0; i < s->window_count; i++) {
        fh_token id = s->window[i];
        uint32_t n = s->counts[id];
        if (n >> 31) continue;
        s->counts[id] |= 1u << 31;
        double x = (double)logits[id];
        x = x > 0 ? x / p->repetition_penalty : x * p->repetition_penalty;
        change(s, logits, id, x - p->presence_penalty - p->frequency_penalty * n);
    }
    for (size_t i = 0; i < s->window_count; i++) s->counts[s->window[i]] &= ~(1u << 31);
}

static fh_token best(const float *logits, size_t n)
{
    size_t at = 0;
    for (size_t i = 1; i < n; i++)
        if (logits[i] > logits[at]) at = i;
    return (fh_token)at;
}

static double log_sum_exp(const float *logits, size_t n)
{
    double most = (double)logits[best(logits, n)], sum = 0;
    for (size_t i = 0; i < n; i++) sum += exp((double)logits[i] - most);
    return sum > 0 ? most + log(sum) : 0;
}

/* The count best logits, best first, lower id first on a tie: an insertion into a short sorted list. */
static void fill_top(const float *logits, size_t n, double lse, fh_logprob *top, size_t count)
{
    size_t have = 0;
    for (size_t i = 0; i < n; i++) {
        if (have == count && !(logits[i] > top[have - 1].logprob)) continue;
        size_t at = have < count ? have++ : count - 1;
        for (; at > 0 && logits[i] > top[at - 1].logprob; at--) top[at] = top[at - 1];
        top[at] = (fh_logprob){(fh_token)i, logits[i]};
    }
    for (size_t i = 0; i < have; i++) top[i].logprob = (float)((double)top[i].logprob - lse);
    for (size_t i = have; i < count; i++) top[i] = (fh_logprob){FH_TOKEN_NONE, -INFINITY};
}

/* ---- cutoff and draw ---- */

/* exp(x) for x <= 0, to about 1e-7, without a branch so that it is done for several at once: x = n ln 2 + r, a polynomial in r, n into the
 * exponent. */
static inline float exp_down(float x)
{
    float y = x > -87 ? x : -87;
    float n = y * 1.44269504f + 12582912.0f; /* adding 1.5 * 2^23 rounds to a whole number */
    n -= 12582912.0f;
    float r = y - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    uint32_t bits = (uint32_t)((int32_t)n + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return x > -87 ? p * power : 0;
}

enum { BLOCK = 256 };

/* A walk over the logits, a block of weights at a time; what the cutoff drops weighs nothing. */
typedef struct walk {
    const float *logits;
    size_t n, at;  /* at: of the block */
    uint32_t ties; /* seen */
    float weights[BLOCK];
} walk;

/* Answers the elements of the next block; 0 at the end. */
static size_t next_block(walk *k, scale w, cutoff c)
{
    size_t count = FH_MIN(k->n - k->at, (size_t)BLOCK);
    const float *l = k->logits + k->at;
    for (size_t i = 0; i < count; i++) {
        float weight = exp_down((l[i] - w.most) * w.by);
        k->weights[i] = l[i] >= c.logit ? weight : 0;
    }
    for (size_t i = 0; i < count && c.ties < UINT32_MAX; i++) {
        if (!(l[i] > c.logit) && l[i] >= c.logit && k->ties++ >= c.ties) k->weights[i] = 0;
    }
    return count;
}

/* In four chains, which do not wait for each other. */
static double sum_of(const float *weights, size_t n)
{
    double sum[4] = {0};
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (size_t lane = 0; lane < 4; lane++) sum[lane] += (double)weights[i + lane];
    for (; i < n; i++) sum[0] += (double)weights[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* A number that is larger the larger the logit, and back. */
static inline uint32_t key_of(float logit)
{
    uint32_t bits;
    memcpy(&bits, &logit, sizeof bits);
    return bits ^ (bits >> 31 ? UINT32_MAX : 1u << 31);
}

static float logit_of(uint32_t key)
{
    uint32_t bits = key ^ (key >> 31 ? 1u << 31 : UINT32_MAX);
    float logit;
    memcpy(&logit, &bits, sizeof logit);
    return logit;
}

enum { RADIX_BITS = 11, BUCKETS = 1 << RADIX_BITS };

typedef struct selection {
    const float *logits;
    size_t n;
    cutoff within; /* only what this keeps takes part */
    scale by;
    bool by_weight;     /* measure by weight, not by count */
    double target;      /* a count, or a share of the weight until that is known */
    uint32_t key, mask; /* the bits of the cutoff's key that are known */
    double above;       /* measure of what lies above them */
} selection;

/* The first pass over weights: all of them, block by block. */
static void fill_by_weight(const selection *s, unsigned shift, double *buckets)
{
    walk k = {.logits = s->logits, .n = s->n};
    for (size_t count; (count = next_block(&k, s->by, s->within)) > 0; k.at += count) {
        for (size_t i = 0; i < count; i++) buckets[key_of(s->logits[k.at + i]) >> shift & (BUCKETS - 1)] += (double)k.weights[i];
    }
}

/* Later passes, and counts: few of the keys still matter. */
static void fill_by_key(const selection *s, unsigned shift, double *buckets)
{
    uint32_t ties = 0, tie = key_of(s->within.logit);
    for (size_t i = 0; i < s->n; i++) {
        uint32_t key = key_of(s->logits[i]);
        if ((key & s->mask) != s->key || key < tie || (key == tie && ties++ >= s->within.ties)) continue;
        buckets[key >> shift & (BUCKETS - 1)] += s->by_weight ? (double)exp_down((s->logits[i] - s->by.most) * s->by.by) : 1;
    }
}

/* The bucket in which the measure, from above, reaches the target; the lowest that holds anything when rounding keeps it from that. */
static unsigned find_bucket(selection *s, const double *buckets)
{
    unsigned found = BUCKETS - 1;
    double above = s->above;
    for (unsigned b = BUCKETS; b-- > 0;) {
        if (!(buckets[b] > 0)) continue;
        found = b;
        s->above = above;
        above += buckets[b];
        if (above >= s->target) break;
    }
    return found;
}

static cutoff select_cutoff(selection s)
{
    double buckets[BUCKETS];
    static const unsigned shifts[] = {21, 10, 0};
    for (unsigned level = 0; level < FH_COUNT(shifts); level++) {
        memset(buckets, 0, sizeof buckets);
        if (s.by_weight && level == 0)
            fill_by_weight(&s, shifts[level], buckets);
        else
            fill_by_key(&s, shifts[level], buckets);
        double total = 0;
        for (unsigned b = 0; b < BUCKETS && level == 0; b++) total += buckets[b];
        if (level == 0 && s.by_weight) s.target *= total;
        s.key |= find_bucket(&s, buckets) << shifts[level];
        s.mask |= (uint32_t)(BUCKETS - 1) << shifts[level];
    }
    float logit = logit_of(s.key);
    double each = s.by_weight ? (double)exp_down((logit - s.by.most) * s.by.by) : 1,
           ties = each > 0 ? ceil((s.target - s.above) / each) : 1;
    return (cutoff){logit, ties < 1 ? 1 : ties >= UINT32_MAX ? UINT32_MAX : (uint32_t)ties};
}

static cutoff find_cutoff(const fh_sample_params *p, const float *logits, size_t n, scale w)
{
    selection all = {.logits = logits, .n = n, .within = {-INFINITY, UINT32_MAX}, .by = w};
    if (p->top_k && p->top_k < n) {
        selection s = all;
        s.target = p->top_k;
        all.within = select_cutoff(s);
    }
    if (p->top_p < 1) {
        selection s = all;
        s.by_weight = true;
        s.target = p->top_p;
        all.within = select_cutoff(s);
    }
    float low = p->min_p > 0 ? (float)((double)w.most + log(p->min_p) * p->temperature) : -INFINITY;
    return low > all.within.logit ? (cutoff){FH_MIN(low, w.most), UINT32_MAX} : all.within;
}

void fh_sampler_skip(fh_sampler *s, uint64_t count)
{
    s->draws += count;
}

/* SplitMix64 of (seed, number of the draw), as a number in [0, 1). */
static double draw(fh_sampler *s)
{
    uint64_t z = s->params.seed + (++s->draws) * 0x9e3779b97f4a7c15ULL;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

static double total_weight(const float *logits, size_t n, scale w, cutoff c)
{
    walk k = {.logits = logits, .n = n};
    double total = 0;
    for (size_t count; (count = next_block(&k, w, c)) > 0; k.at += count) total += sum_of(k.weights, count);
    return total;
}

static fh_token token_in_block(const walk *k, size_t count, double until)
{
    fh_token last = FH_TOKEN_NONE;
    for (size_t i = 0; i < count; i++) {
        if (!(k->weights[i] > 0)) continue;
        last = (fh_token)(k->at + i);
        until -= (double)k->weights[i];
        if (until < 0) break;
    }
    return last;
}

/* The token at which the running weight passes `until`; the last that weighs anything when rounding keeps it from that. */
static fh_token token_at(const float *logits, size_t n, scale w, cutoff c, double total, double until)
{
    walk k = {.logits = logits, .n = n};
    fh_token last = FH_TOKEN_NONE;
    for (size_t count; (count = next_block(&k, w, c)) > 0; k.at += count) {
        double sum = sum_of(k.weights, count);
        if (sum > until) return token_in_block(&k, count, until);
        if (sum > 0 && !(until - sum > total * 1e-9)) last = token_in_block(&k, count, sum); /* only at the very end can it be the last */
        until -= sum;
    }
    return last;
}

static fh_token sample(fh_sampler *s, const float *logits)
{
    fh_token top = best(logits, s->vocab);
    scale w = {logits[top], (float)(1 / s->params.temperature)};
    if (!(w.most >= -FLT_MAX) || !isfinite(w.by)) return top;
    cutoff c = find_cutoff(&s->params, logits, s->vocab, w);
    double total = total_weight(logits, s->vocab, w, c);
    fh_token id = token_at(logits, s->vocab, w, c, total, draw(s) * total);
    return id == FH_TOKEN_NONE ? top : id;
}

/* The logit before bias and penalties. */
static float raw_logit(const fh_sampler *s, const float *logits, fh_token id)
{
    for (size_t i = 0; i < s->log_count; i++)
        if (s->log[i].id == id) return s->log[i].logit;
    return logits[id];
}

fh_token fh_sampler_next(fh_sampler *s, float *logits, float *chosen_logprob, fh_logprob *top, size_t top_count)
{
    tidy(logits, s->vocab);
    double lse = chosen_logprob || top_count ? log_sum_exp(logits, s->vocab) : 0;
    if (top_count) fill_top(logits, s->vocab, lse, top, top_count);
    s->log_count = 0;
    add_bias(s, logits);
    if (s->counts) penalise(s, logits);
    fh_token id = s->params.temperature > 0 ? sample(s, logits) : best(logits, s->vocab);
    if (chosen_logprob) *chosen_logprob = (float)((double)raw_logit(s, logits, id) - lse);
    return id;
}
