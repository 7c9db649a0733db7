/* The sampler. Candidates are kept as a list of (id, logit); greedy choice needs none, top-k selects with a heap, and only top-p sorts, and only as far as
 * its mass reaches. Random numbers are SplitMix64 of (seed, count of draws): the same seed gives the same tokens. */
#include "model/sampler.h"

#include <math.h>
#include <string.h>

typedef struct candidate {
    fh_token id;
    float logit;
} candidate;

struct fh_sampler {
    fh_sample_params params;
    size_t vocab;
    uint64_t draws;
    uint32_t *counts; /* [vocab] of each token in the window; NULL when nothing is penalised */
    fh_token *window; /* ring of the last penalty_last tokens */
    size_t window_cap, window_at, window_count;
    candidate *list; /* [vocab]; NULL when greedy */
    candidate *saved; /* what bias and penalties changed in this step, as it was; [window_cap + bias_count] */
    size_t saved_count;
};

void fh_sample_params_default(fh_sample_params *p)
{
    *p = (fh_sample_params){.temperature = 1, .top_p = 1, .repetition_penalty = 1, .penalty_last = 64};
}

static bool penalises(const fh_sample_params *p)
{
    bool any = p->repetition_penalty < 1 || p->repetition_penalty > 1 || p->presence_penalty < 0 || p->presence_penalty > 0 || p->frequency_penalty < 0 ||
               p->frequency_penalty > 0;
    return any && p->penalty_last > 0;
}

void fh_sampler_free(fh_sampler *s)
{
    if (!s) return;
    fh_free(s->counts);
    fh_free(s->window);
    fh_free(s->list);
    fh_free(s->saved);
    fh_free(s);
}

int fh_sampler_new(fh_sampler **ret, const fh_sample_params *p, size_t vocab_size, fh_err **err)
{
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
    s->saved = fh_realloc_array(NULL, s->window_cap + p->bias_count, sizeof *s->saved);
    if (!s->saved) return fh_err_nomem(err);
    if (p->temperature > 0) {
        s->list = fh_realloc_array(NULL, vocab_size, sizeof *s->list);
        if (!s->list) return fh_err_nomem(err);
    }
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

static void change(fh_sampler *s, float *logits, fh_token id, double value)
{
    s->saved[s->saved_count++] = (candidate){id, logits[id]};
    logits[id] = (float)value;
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
        if (logits[i] > logits[at] || isnan(logits[at])) at = i;
    return (fh_token)at;
}

static double log_sum_exp(const float *logits, size_t n)
{
    float most = logits[best(logits, n)];
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        float d = logits[i] - most;
        if (d > -40) sum += (double)expf(d);
    }
    return (double)most + log(sum);
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
}

/* ---- candidates ---- */

static bool better(candidate a, candidate b)
{
    return a.logit > b.logit || (!(b.logit > a.logit) && a.id < b.id);
}

static void sift_down(candidate *heap, size_t n, size_t i, bool worst_on_top)
{
    candidate x = heap[i];
    for (size_t child = 2 * i + 1; child < n; child = 2 * i + 1) {
        if (child + 1 < n && better(heap[child + 1], heap[child]) != worst_on_top) child++;
        if (better(heap[child], x) == worst_on_top) break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = x;
}

/* Moves the k best to the front, in no order. */
static void select_top(candidate *list, size_t n, size_t k)
{
    for (size_t i = k / 2; i-- > 0;) sift_down(list, k, i, true);
    for (size_t i = k; i < n; i++) {
        if (!better(list[i], list[0])) continue;
        candidate out = list[0];
        list[0] = list[i];
        list[i] = out;
        sift_down(list, k, 0, true);
    }
}

/* How many of the best make up the share p of all. They are selected and sorted in growing batches, so that a steep distribution costs one small one. */
static size_t keep_mass(candidate *list, size_t n, double p, float most)
{
    double total = 0, have = 0;
    for (size_t i = 0; i < n; i++) total += (double)expf(list[i].logit - most);
    size_t sorted = 0, batch = 64;
    while (sorted < n) {
        size_t take = FH_MIN(batch, n - sorted);
        if (take < n - sorted) select_top(list + sorted, n - sorted, take);
        for (size_t i = take / 2; i-- > 0;) sift_down(list + sorted, take, i, true);
        for (size_t end = take; end > 1; end--) { /* heapsort: the worst goes to the back */
            candidate worst = list[sorted];
            list[sorted] = list[sorted + end - 1];
            list[sorted + end - 1] = worst;
            sift_down(list + sorted, end - 1, 0, true);
        }
        for (size_t i = sorted; i < sorted + take; i++) {
            have += (double)expf(list[i].logit - most);
            if (have >= p * total) return i + 1;
        }
        sorted += take;
        batch *= 8;
    }
    return n;
}

static size_t keep_min_p(candidate *list, size_t n, double min_p, float most)
{
    float lowest = most + (float)log(min_p);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (list[i].logit >= lowest) list[kept++] = list[i];
    return kept;
}

static double draw(fh_sampler *s)
{
    uint64_t z = s->params.seed + (++s->draws) * 0x9e3779b97f4a7c15ULL;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

static fh_token pick(fh_sampler *s, const candidate *list, size_t n, float most)
{
    double total = 0;
    for (size_t i = 0; i < n; i++) total += (double)expf(list[i].logit - most);
    double left = draw(s) * total;
    for (size_t i = 0; i < n; i++) {
        left -= (double)expf(list[i].logit - most);
        if (left < 0) return list[i].id;
    }
    return list[n - 1].id;
}

static fh_token sample(fh_sampler *s, const float *logits)
{
    const fh_sample_params *p = &s->params;
    float scale = (float)(1 / p->temperature), most = logits[best(logits, s->vocab)] * scale;
    size_t n = 0;
    for (size_t i = 0; i < s->vocab; i++)
        if (!isnan(logits[i])) s->list[n++] = (candidate){(fh_token)i, logits[i] * scale};
    if (n == 0 || !isfinite(most)) return best(logits, s->vocab);
    if (p->top_k && p->top_k < n) {
        select_top(s->list, n, p->top_k);
        n = p->top_k;
    }
    if (p->top_p < 1) n = keep_mass(s->list, n, p->top_p, most);
    if (p->min_p > 0) n = keep_min_p(s->list, n, p->min_p, most);
    return pick(s, s->list, n, most);
}

/* The logit before bias and penalties. */
static float raw_logit(const fh_sampler *s, const float *logits, fh_token id)
{
    for (size_t i = 0; i < s->saved_count; i++)
        if (s->saved[i].id == id) return s->saved[i].logit;
    return logits[id];
}

fh_token fh_sampler_next(fh_sampler *s, float *logits, float *chosen_logprob, fh_logprob *top, size_t top_count)
{
    double lse = chosen_logprob || top_count ? log_sum_exp(logits, s->vocab) : 0;
    if (top_count) fill_top(logits, s->vocab, lse, top, top_count);
    s->saved_count = 0;
    add_bias(s, logits);
    if (s->counts) penalise(s, logits);
    fh_token id = s->params.temperature > 0 ? sample(s, logits) : best(logits, s->vocab);
    if (chosen_logprob) *chosen_logprob = (float)((double)raw_logit(s, logits, id) - lse);
    return id;
}
