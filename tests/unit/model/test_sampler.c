/* The sampler: each option against a plain one in double precision that sorts everything, the same tokens for the same seed, and the right
 * frequencies. */
#include "cmocka_all.h"
#include "cpu_time.h"
#include "model/sampler.h"
#include "torture.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { V = 1000 };

static uint64_t noise;
static double uniform(void)
{
    uint64_t z = (noise += 0x9e3779b97f4a7c15ULL);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}
static void random_logits(float *l, size_t n, double width)
{
    for (size_t i = 0; i < n; i++) l[i] = (float)((uniform() + uniform() + uniform() - 1.5) * width);
}

static fh_sampler *sampler(const fh_sample_params *p, size_t n)
{
    fh_sampler *s = NULL;
    fh_err *err = NULL;
    if (fh_sampler_new(&s, p, n, &err)) fail_msg("%s", fh_err_message(err));
    return s;
}

/* ---- the plain one ---- */

typedef struct item {
    int id;
    double logit, p;
} item;
static int by_logit(const void *a, const void *b)
{
    const item *x = a, *y = b;
    if (x->logit > y->logit) return -1;
    if (x->logit < y->logit) return 1;
    return x->id - y->id;
}
static double normalise(item *list, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += list[i].p = exp(list[i].logit - list[0].logit);
    for (size_t i = 0; i < n; i++) list[i].p /= sum;
    return sum;
}
/* Probabilities of what the options leave, in list[0..result), best first. */
static size_t plain(const fh_sample_params *p, const float *logits, size_t n, const int *counts, item *list)
{
    for (size_t i = 0; i < n; i++) {
        double x = (double)logits[i];
        for (size_t k = 0; k < p->bias_count; k++)
            if (p->bias_tokens[k] == (fh_token)i) x = (double)(float)(x + (double)p->bias_values[k]);
        if (counts && counts[i]) {
            x = x > 0 ? x / p->repetition_penalty : x * p->repetition_penalty;
            x -= p->presence_penalty + p->frequency_penalty * counts[i];
            x = (double)(float)x;
        }
        list[i] = (item){(int)i, x / p->temperature, 0};
    }
    qsort(list, n, sizeof *list, by_logit);
    if (p->top_k && p->top_k < n) n = p->top_k;
    normalise(list, n);
    if (p->top_p < 1) {
        double sum = 0;
        size_t keep = 0;
        while (keep < n && (keep == 0 || sum < p->top_p)) sum += list[keep++].p;
        n = keep;
    }
    if (p->min_p > 0) {
        size_t keep = 1;
        while (keep < n && list[keep].p >= p->min_p * list[0].p) keep++;
        n = keep;
    }
    normalise(list, n);
    return n;
}

/* Draws many times and compares the frequencies by chi-square; tokens outside the plain one's list must never come. */
static void expect_distribution(const fh_sample_params *p, const float *logits, size_t n, const int *counts)
{
    static item list[V];
    static int index[V], seen[V];
    const int draws = FH_SANITIZED ? 4000 : 20000;
    size_t kept = plain(p, logits, n, counts, list);
    for (size_t i = 0; i < n; i++) index[i] = -1, seen[i] = 0;
    for (size_t i = 0; i < kept; i++) index[list[i].id] = (int)i;
    fh_sampler *s = sampler(p, n);
    for (size_t i = 0; counts && i < n; i++)
        for (int k = 0; k < counts[i]; k++) fh_sampler_accept(s, (fh_token)i);
    float work[V];
    for (int d = 0; d < draws; d++) {
        memcpy(work, logits, n * sizeof *work);
        fh_token id = fh_sampler_next(s, work, NULL, NULL, 0);
        if (id < 0 || (size_t)id >= n || index[id] < 0) fail_msg("token %d is not among the %zu that may come", id, kept);
        seen[index[id]]++;
    }
    fh_sampler_free(s);
    double chi = 0, rest = 0, rest_seen = 0;
    int cells = 0;
    for (size_t i = 0; i < kept; i++) {
        double expected = list[i].p * draws;
        if (expected < 10) {
            rest += expected;
            rest_seen += seen[i];
            continue;
        }
        chi += (seen[i] - expected) * (seen[i] - expected) / expected;
        cells++;
    }
    if (rest > 10) chi += (rest_seen - rest) * (rest_seen - rest) / rest, cells++;
    double freedom = cells > 1 ? cells - 1 : 1, limit = freedom + 4.5 * sqrt(2 * freedom) + 8; /* far beyond 99.9 % */
    if (chi > limit) fail_msg("chi-square %.1f over %d cells, at most %.1f", chi, cells, limit);
}

static void greedy_takes_the_best_and_the_lowest_of_equals(void **state)
{
    fh_sample_params p;
    fh_sample_params_default(&p);
    p.temperature = 0;
    fh_sampler *s = sampler(&p, 5);
    float l[] = {1, 3, 3, -1, 2}, nan[] = {NAN, -INFINITY, 2, NAN, 2}, none[] = {NAN, NAN, NAN, NAN, NAN},
          inf[] = {0, 1, INFINITY, 3, INFINITY};
    assert_int_equal(fh_sampler_next(s, l, NULL, NULL, 0), 1);
    assert_int_equal(fh_sampler_next(s, nan, NULL, NULL, 0), 2);
    assert_int_equal(fh_sampler_next(s, none, NULL, NULL, 0), 0);
    assert_int_equal(fh_sampler_next(s, inf, NULL, NULL, 0), 2);
    fh_sampler_free(s);
}

static void each_filter_keeps_what_the_plain_one_keeps(void **state)
{
    static const struct {
        double temperature, top_p, min_p;
        uint32_t top_k;
    } cases[] = {
        {1, 1, 0, 0},       {0.7, 1, 0, 0},    {1.5, 1, 0, 0},     {1, 1, 0, 1},    {1, 1, 0, 40}, {1, 0.9, 0, 0},
        {1, 0.5, 0, 0},     {1, 0.0001, 0, 0}, {1, 0, 0, 0},       {1, 1, 0.05, 0}, {1, 1, 1, 0},  {0.8, 0.95, 0.02, 100},
        {2, 0.8, 0.01, 20}, {0.1, 0.99, 0, 0}, {5, 0.3, 0.3, 500}, {1, 1, 0, 5000},
    };
    static float logits[V];
    noise = 1;
    for (size_t k = 0; k < FH_COUNT(cases); k++) {
        fh_sample_params p;
        fh_sample_params_default(&p);
        p.temperature = cases[k].temperature;
        p.top_p = cases[k].top_p;
        p.min_p = cases[k].min_p;
        p.top_k = cases[k].top_k;
        p.seed = 1000 + k;
        random_logits(logits, V, k % 3 ? 8 : 20);
        expect_distribution(&p, logits, V, NULL);
    }
}

static void ties_at_the_cutoff_keep_the_lowest_ids(void **state)
{
    fh_sample_params p;
    fh_sample_params_default(&p);
    float logits[10] = {1, 0, 1, 0, -0.0f, 0, 1, 0, 0, 0};
    p.top_k = 5;
    expect_distribution(&p, logits, 10, NULL); /* 0, 2, 6 and of the equal ones 1 and 3 */
    p.top_k = 0;
    p.top_p = 0.55;
    expect_distribution(&p, logits, 10, NULL);
    p.top_k = 6;
    expect_distribution(&p, logits, 10, NULL);
}

static void bias_and_penalties_change_the_odds(void **state)
{
    static float logits[V];
    static int counts[V];
    const fh_token biased[] = {3, 700, 701, -1, V};
    const float by[] = {4, 9, -100, 5, 5};
    fh_sample_params p;
    fh_sample_params_default(&p);
    p.top_k = 50;
    p.bias_tokens = biased;
    p.bias_values = by;
    p.bias_count = 5;
    noise = 5;
    random_logits(logits, V, 8);
    expect_distribution(&p, logits, V, NULL);
    for (int i = 0; i < 30; i++) counts[(int)(uniform() * V)] += 1 + i % 3;
    p.repetition_penalty = 1.3;
    p.presence_penalty = 0.7;
    p.frequency_penalty = 0.4;
    p.penalty_last = 1000;
    expect_distribution(&p, logits, V, counts);
}

static void penalties_look_back_no_further_than_asked(void **state)
{
    fh_sample_params p;
    fh_sample_params_default(&p);
    p.temperature = 0;
    p.presence_penalty = 10;
    p.penalty_last = 3;
    fh_sampler *s = sampler(&p, 4);
    fh_sampler_accept(s, 0);
    float a[] = {5, 4, 3, 2};
    assert_int_equal(fh_sampler_next(s, a, NULL, NULL, 0), 1);
    for (int i = 0; i < 3; i++) fh_sampler_accept(s, 1);
    float b[] = {5, 4, 3, 2};
    assert_int_equal(fh_sampler_next(s, b, NULL, NULL, 0), 0); /* token 0 is four back */
    fh_sampler_accept(s, -1);
    fh_sampler_accept(s, 4); /* neither is a token */
    fh_sampler_free(s);
}

static void the_same_seed_gives_the_same_tokens(void **state)
{
    static float logits[V], work[V];
    noise = 9;
    random_logits(logits, V, 8);
    fh_sample_params p;
    fh_sample_params_default(&p);
    fh_token first[100], ids[100];
    int differ = 0;
    for (uint64_t round = 0; round < 3; round++) {
        p.seed = round == 2 ? 43 : 42;
        fh_sampler *s = sampler(&p, V);
        for (int i = 0; i < 100; i++) {
            memcpy(work, logits, sizeof work);
            ids[i] = fh_sampler_next(s, work, NULL, NULL, 0);
        }
        fh_sampler_free(s);
        if (round == 0) memcpy(first, ids, sizeof ids);
        differ += memcmp(first, ids, sizeof ids) != 0;
    }
    assert_int_equal(differ, 1);
}

/* A few draws written down: they must be the same on every machine. */
static void draws_are_the_same_everywhere(void **state)
{
    static const fh_token expected[] = {24, 1, 53, 37, 28, 14, 31, 15, 6, 35, 9, 57, 60, 53, 56, 35, 54, 19, 36, 46, 44, 9, 14, 26};
    float logits[64];
    fh_sample_params p;
    fh_sample_params_default(&p);
    p.top_p = 0.95;
    p.temperature = 0.9;
    p.seed = 7;
    fh_sampler *s = sampler(&p, 64);
    for (size_t i = 0; i < FH_COUNT(expected); i++) {
        for (int k = 0; k < 64; k++) logits[k] = (float)((k * 37 + (int)i * 11) % 64) / 8;
        fh_token id = fh_sampler_next(s, logits, NULL, NULL, 0);
        if (id != expected[i]) fail_msg("draw %zu is %d, not %d", i, id, expected[i]);
    }
    fh_sampler_free(s);
}

static void logprobs_are_those_of_the_raw_distribution(void **state)
{
    static float logits[V], work[V];
    static item list[V];
    noise = 11;
    random_logits(logits, V, 12);
    logits[17] = logits[18] = 20;
    fh_sample_params p;
    fh_sample_params_default(&p);
    size_t n = plain(&p, logits, V, NULL, list);
    const fh_token biased[] = {17, 18};
    const float by[] = {-50, -50};
    p.bias_tokens = biased;
    p.bias_values = by;
    p.bias_count = 2;
    p.repetition_penalty = 2;
    p.top_k = 3;
    p.temperature = 0.5;
    fh_sampler *s = sampler(&p, V);
    for (int i = 0; i < V; i += 3) fh_sampler_accept(s, i);
    for (int round = 0; round < 200; round++) {
        fh_logprob top[20];
        float chosen = 0;
        memcpy(work, logits, sizeof work);
        fh_token id = fh_sampler_next(s, work, &chosen, top, 20);
        for (size_t i = 0; i < 20; i++) {
            assert_int_equal(top[i].id, list[i].id);
            assert_true(fabs((double)top[i].logprob - log(list[i].p)) < 1e-5);
        }
        size_t at = 0;
        while (at < n && list[at].id != id) at++;
        assert_true(fabs((double)chosen - log(list[at].p)) < 1e-5);
        fh_sampler_accept(s, id);
    }
    fh_logprob top[8];
    float few[3] = {0, 1, 2};
    fh_sampler_free(s);
    fh_sample_params_default(&p);
    s = sampler(&p, 3);
    fh_sampler_next(s, few, NULL, top, 8);
    assert_int_equal(top[2].id, 0);
    assert_int_equal(top[3].id, FH_TOKEN_NONE);
    fh_sampler_free(s);
}

static void parameters_out_of_range_are_refused(void **state)
{
    fh_sample_params good;
    fh_sample_params_default(&good);
    const double bad[][6] = {
        {-1, 1, 0, 1, 0, 0},          {(double)NAN, 1, 0, 1, 0, 0},     {1, 1.1, 0, 1, 0, 0}, {1, 1, 2, 1, 0, 0}, {1, 1, 0, 0, 0, 0},
        {1, 1, 0, 1, (double)NAN, 0}, {1, 1, 0, 1, 0, (double)INFINITY}};
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        fh_sample_params p = good;
        p.temperature = bad[i][0], p.top_p = bad[i][1], p.min_p = bad[i][2], p.repetition_penalty = bad[i][3],
        p.presence_penalty = bad[i][4], p.frequency_penalty = bad[i][5];
        fh_sampler *s = NULL;
        fh_err *err = NULL;
        assert_int_equal(fh_sampler_new(&s, &p, 10, &err), FH_E_INVALID);
        assert_non_null(fh_err_param_get(err));
        fh_err_free(err);
    }
}

static int make_sampler(void *arg)
{
    fh_sampler *s = NULL;
    int rc = fh_sampler_new(&s, arg, 100, NULL);
    fh_sampler_free(s);
    return rc;
}

static void every_allocation_may_fail(void **state)
{
    fh_sample_params p;
    fh_sample_params_default(&p);
    p.presence_penalty = 1;
    assert_true(fh_torture(FH_FAULT_ALLOC, make_sampler, &p, 100) >= 4);
}

static void a_large_vocabulary_costs_little(void **state)
{
    enum { LARGE = 150000, ROUNDS = 20 };
    static float logits[LARGE], work[LARGE];
    static const struct {
        const char *name;
        double temperature, top_p;
        uint32_t top_k;
    } cases[] = {{"greedy", 0, 1, 0}, {"plain", 1, 1, 0}, {"top-k 40", 1, 1, 40}, {"top-p 0.95", 0.8, 0.95, 0}, {"both", 0.8, 0.95, 40}};
    noise = 3;
    random_logits(logits, LARGE, 12);
    for (size_t k = 0; k < FH_COUNT(cases); k++) {
        fh_sample_params p;
        fh_sample_params_default(&p);
        p.temperature = cases[k].temperature, p.top_p = cases[k].top_p, p.top_k = cases[k].top_k;
        fh_sampler *s = sampler(&p, LARGE);
        int64_t took = 0;
        for (int i = 0; i < ROUNDS; i++) {
            memcpy(work, logits, sizeof work);
            int64_t began = cpu_ns();
            fh_sampler_next(s, work, NULL, NULL, 0);
            took += cpu_ns() - began;
        }
        fh_sampler_free(s);
        print_message("# %s: %.2f ms a token of 150000\n", cases[k].name, (double)took / ROUNDS / 1e6);
        assert_true(took < (int64_t)ROUNDS * 200 * FH_NS_PER_MS); /* generous: under a sanitizer too */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_takes_the_best_and_the_lowest_of_equals),
        cmocka_unit_test(each_filter_keeps_what_the_plain_one_keeps),
        cmocka_unit_test(ties_at_the_cutoff_keep_the_lowest_ids),
        cmocka_unit_test(bias_and_penalties_change_the_odds),
        cmocka_unit_test(penalties_look_back_no_further_than_asked),
        cmocka_unit_test(the_same_seed_gives_the_same_tokens),
        cmocka_unit_test(draws_are_the_same_everywhere),
        cmocka_unit_test(logprobs_are_those_of_the_raw_distribution),
        cmocka_unit_test(parameters_out_of_range_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(a_large_vocabulary_costs_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
