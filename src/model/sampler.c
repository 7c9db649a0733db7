/* The sampler. What top-k, top-p and min-p leave is one cutoff in the order of the logits (higher first, lower id first among equals), so nothing is sorted:
 * a radix selection over the bits of the logits finds the cutoff in three passes, whatever the distribution, and the draw is two more. No memory grows with
 * the vocabulary but the counts for penalties. exp is computed here, not by libm, whose variants differ between processors: the same logits and the same
 * seed give the same token everywhere. */
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

/* What is kept: keys above `key`, and the first `ties` (by id) that equal it. */
typedef struct cutoff {
    uint32_t key, ties;
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
    if (s->window_count == s->window_cap) s->counts[s->window[s->window_at]]--;
    else s->window_count++;
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

/* Once for each token of the window: the top bit of its count marks it while it is done. Repetition divides or multiplies (Keskar 2019), the others subtract. */
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
    return most + log(sum);
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

/* exp(x) for x <= 0, to about 1e-7: x = n ln 2 + r, a polynomial in r, n into the exponent. */
static inline float exp_down(float x)
{
    if (!(x > -87)) return 0;
    float n = x * 1.44269504f + 12582912.0f; /* adding 1.5 * 2^23 rounds to a whole number */
    n -= 12582912.0f;
    float r = x - n * 0.693359375f + n * 2.12194440e-4f;
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
    return p * power;
}

static inline float weigh(scale w, float logit)
{
    return exp_down((logit - w.most) * w.by);
}

/* A number that is larger the larger the logit. */
static inline uint32_t key_of(float logit)
{
    uint32_t bits;
    memcpy(&bits, &logit, sizeof bits);
    return bits ^ (bits >> 31 ? UINT32_MAX : 1u << 31);
}

static inline bool keeps(cutoff c, uint32_t key, uint32_t *ties_seen)
{
    return key > c.key || (key == c.key && (*ties_seen)++ < c.ties);
}

enum { RADIX_BITS = 11, BUCKETS = 1 << RADIX_BITS };

typedef struct selection {
    const float *logits;
    size_t n;
    cutoff within;   /* only what this keeps takes part */
    const scale *by; /* measure by weight; NULL: by count */
    double target;   /* a count, or a share of the weight until that is known */
    uint32_t key, mask; /* the bits of the cutoff's key that are known */
    double above;    /* measure of what lies above them */
} selection;

static void fill_buckets(const selection *s, unsigned shift, double *buckets)
{
    uint32_t ties = 0;
    memset(buckets, 0, BUCKETS * sizeof *buckets);
    for (size_t i = 0; i < s->n; i++) {
        uint32_t key = key_of(s->logits[i]);
        if ((key & s->mask) != s->key || !keeps(s->within, key, &ties)) continue;
        buckets[key >> shift & (BUCKETS - 1)] += s->by ? (double)weigh(*s->by, s->logits[i]) : 1;
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
        fill_buckets(&s, shifts[level], buckets);
        double total = 0;
        for (unsigned b = 0; b < BUCKETS && level == 0; b++) total += buckets[b];
        if (level == 0 && s.by) s.target *= total;
        s.key |= find_bucket(&s, buckets) << shifts[level];
        s.mask |= (uint32_t)(BUCKETS - 1) << shifts[level];
    }
    float logit;
    uint32_t bits = s.key ^ (s.key >> 31 ? 1u << 31 : UINT32_MAX);
    memcpy(&logit, &bits, sizeof logit);
    double each = s.by ? (double)weigh(*s.by, logit) : 1, ties = each > 0 ? ceil((s.target - s.above) / each) : 1;
    return (cutoff){s.key, ties < 1 ? 1 : ties > UINT32_MAX ? UINT32_MAX : (uint32_t)ties};
}

static cutoff find_cutoff(const fh_sample_params *p, const float *logits, size_t n, scale w)
{
    cutoff c = {0, UINT32_MAX};
    if (p->top_k && p->top_k < n) c = select_cutoff((selection){.logits = logits, .n = n, .within = c, .target = p->top_k});
    if (p->top_p < 1) c = select_cutoff((selection){.logits = logits, .n = n, .within = c, .by = &w, .target = p->top_p});
    if (p->min_p > 0) {
        uint32_t key = key_of((float)((double)w.most + log(p->min_p) * p->temperature));
        if (key > c.key) c = (cutoff){FH_MIN(key, key_of(w.most)), UINT32_MAX};
    }
    return c;
}

/* SplitMix64 of (seed, number of the draw), as a number in [0, 1). */
static double draw(fh_sampler *s)
{
    uint64_t z = s->params.seed + (++s->draws) * 0x9e3779b97f4a7c15ULL;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

/* The token at which the running weight of what c keeps passes `until`; all of it is in *ret_total when none does. */
static fh_token walk(const fh_sampler *s, const float *logits, scale w, cutoff c, double until, double *ret_total)
{
    double sum = 0;
    uint32_t ties = 0;
    fh_token last = FH_TOKEN_NONE;
    for (size_t i = 0; i < s->vocab; i++) {
        if (!keeps(c, key_of(logits[i]), &ties)) continue;
        float weight = weigh(w, logits[i]);
        if (!(weight > 0)) continue;
        sum += (double)weight;
        last = (fh_token)i;
        if (sum > until) break;
    }
    *ret_total = sum;
    return last;
}

static fh_token sample(fh_sampler *s, const float *logits)
{
    fh_token top = best(logits, s->vocab);
    scale w = {logits[top], (float)(1 / s->params.temperature)};
    if (!(w.most >= -FLT_MAX) || !isfinite(w.by)) return top;
    cutoff c = find_cutoff(&s->params, logits, s->vocab, w);
    double total = 0, unused = 0;
    walk(s, logits, w, c, (double)INFINITY, &total);
    return walk(s, logits, w, c, draw(s) * total, &unused);
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
