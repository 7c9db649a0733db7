/* Bets against an endpoint's honesty (see record.h). */
#include "honesty/record.h"

#include "base/mem.h"
#include <math.h>
#include <stddef.h>

/* Large ones find a cheat soon, small ones still have something to bet with when it begins late. */
static const double fractions[FH_HONESTY_BETS] = {0.9, 0.6, 0.4, 0.25, 0.1, 0.05};
/* An answer that comes again is proof enough long before the numbers end. */
#define RATIO_MOST 1e12
#define EXACT      1e-4 /* nats: nearer ones compute as we do */

const char *fh_honesty_test_name(fh_honesty_test t)
{
    static const char *const names[FH_HONESTY_TESTS] = {"model", "cache", "counts"};
    return names[t];
}

const char *fh_honesty_verdict_name(fh_honesty_verdict v)
{
    static const char *const names[] = {"unknown", "honest", "doubted", "cheats"};
    return names[v];
}

/* Logarithm of the mean of exponentials. */
static double mean_of(const double *logs, size_t count)
{
    double most = logs[0], sum = 0;
    for (size_t i = 1; i < count; i++) most = FH_MAX(most, logs[i]);
    for (size_t i = 0; i < count; i++) sum += exp(logs[i] - most);
    return most + log(sum / (double)count);
}

double fh_honesty_evidence(const fh_honesty_record *r, fh_honesty_test t)
{
    return mean_of(r->stakes[t], FH_HONESTY_BETS);
}

double fh_honesty_proof(const fh_honesty_record *r)
{
    return r->proof;
}

static void bet(fh_honesty_record *r, fh_honesty_test t, double ratio)
{
    for (size_t i = 0; i < FH_HONESTY_BETS; i++) r->stakes[t][i] += log(1 - fractions[i] + fractions[i] * FH_MIN(ratio, RATIO_MOST));
}

static void bet_model(fh_honesty_record *r, const fh_honesty_observation *o)
{
    bet(r, FH_HONESTY_MODEL, FH_MIN(FH_MAX(o->deviation, 0.0) / o->bound, FH_HONESTY_MOST));
    r->positions += o->positions;
    r->deviation_sum += FH_MAX(o->deviation, 0.0);
    r->bound = o->bound;
}

/* Samplers cut off what is unlikely, and so make the rest likelier than the model says: half of the logarithm is granted for that. */
static void bet_cache(fh_honesty_record *r, const fh_honesty_observation *o)
{
    bet(r, FH_HONESTY_CACHE, o->same ? exp(-FH_MIN(o->chance, 0.0) / 2) : 0);
    r->repeats++;
    r->same += o->same;
}

static void bet_counts(fh_honesty_record *r, const fh_honesty_observation *o)
{
    bool beyond =
        o->said_prompt_tok > o->prompt_tok + FH_HONESTY_COUNT_SLACK || o->said_completion_tok > o->completion_tok + FH_HONESTY_COUNT_SLACK;
    bet(r, FH_HONESTY_COUNTS, beyond ? 1 / FH_HONESTY_COUNT_RATE : 0);
    r->counted++;
    r->inflated += beyond;
}

static void keep_peaks(fh_honesty_record *r)
{
    double tests[FH_HONESTY_TESTS], k = (double)r->rounds + 1;
    double price = log(k * (k + 1));
    for (int t = 0; t < FH_HONESTY_TESTS; t++) {
        tests[t] = fh_honesty_evidence(r, (fh_honesty_test)t);
        r->peak[t] = FH_MAX(r->peak[t], tests[t] - price);
    }
    r->proof = FH_MAX(r->proof, mean_of(tests, FH_HONESTY_TESTS) - price);
}

static void end_round(fh_honesty_record *r)
{
    for (int t = 0; t < FH_HONESTY_TESTS; t++)
        for (size_t i = 0; i < FH_HONESTY_BETS; i++) r->stakes[t][i] = 0;
    r->round = 0;
    r->rounds++;
}

void fh_honesty_observe(fh_honesty_record *r, const fh_honesty_observation *o)
{
    if (o->positions) bet_model(r, o);
    r->unclear += !o->positions;
    if (o->repeated) bet_cache(r, o);
    if (o->counted) bet_counts(r, o);
    r->prompt_tok += (uint64_t)FH_MAX(o->prompt_tok, (int64_t)0);
    r->completion_tok += (uint64_t)FH_MAX(o->completion_tok, (int64_t)0);
    r->canaries++;
    keep_peaks(r);
    if (++r->round >= FH_HONESTY_ROUND) end_round(r);
}

double fh_honesty_mean(const fh_honesty_record *r)
{
    uint64_t compared = r->canaries - r->unclear;
    return compared ? r->deviation_sum / (double)compared : 0;
}

bool fh_honesty_measures(const fh_honesty_record *r)
{
    return r->canaries - r->unclear >= FH_HONESTY_LEAST && fh_honesty_mean(r) > EXACT;
}

double fh_honesty_bound(const fh_honesty_record *measured)
{
    if (!fh_honesty_measures(measured)) return FH_HONESTY_BOUND_UNMEASURED;
    return FH_MAX(FH_HONESTY_TWICE * fh_honesty_mean(measured), FH_HONESTY_BOUND_LEAST);
}

fh_honesty_verdict fh_honesty_judge(const fh_honesty_record *r)
{
    if (r->proof >= log(FH_HONESTY_PROOF)) return FH_HONESTY_CHEATS;
    if (r->proof >= log(FH_HONESTY_DOUBT)) return FH_HONESTY_DOUBTED;
    return r->canaries - r->unclear < FH_HONESTY_LEAST ? FH_HONESTY_UNKNOWN : FH_HONESTY_HONEST;
}

fh_honesty_test fh_honesty_strongest(const fh_honesty_record *r)
{
    int best = 0;
    for (int t = 1; t < FH_HONESTY_TESTS; t++)
        if (r->peak[t] > r->peak[best]) best = t;
    return (fh_honesty_test)best;
}

/* ---- as it is kept ---- */

typedef struct count_field {
    const char *name;
    size_t offset;
} count_field;
#define COUNT(member)                                                                                                                      \
    {                                                                                                                                      \
#member, offsetof(fh_honesty_record, member)                                                                                       \
    }
static const count_field counts[] = {COUNT(canaries), COUNT(round),      COUNT(rounds),        COUNT(positions),
                                     COUNT(unclear),  COUNT(repeats),    COUNT(same),          COUNT(counted),
                                     COUNT(inflated), COUNT(prompt_tok), COUNT(completion_tok)};

static uint64_t *count_of(fh_honesty_record *r, const count_field *f)
{
    return (uint64_t *)(void *)((char *)r + f->offset);
}

static fh_json *numbers(const double *list, size_t count)
{
    fh_json *a = fh_json_new_array();
    for (size_t i = 0; a && i < count; i++) fh_json_append(a, fh_json_new_real(list[i]));
    return a;
}

fh_json *fh_honesty_record_write(const fh_honesty_record *r)
{
    fh_honesty_record copy = *r;
    fh_json *o = fh_json_new_object();
    bool ok = o && fh_json_set(o, "stakes", numbers(&r->stakes[0][0], FH_HONESTY_TESTS * FH_HONESTY_BETS));
    ok = ok && fh_json_set(o, "peak", numbers(r->peak, FH_HONESTY_TESTS));
    ok = ok && fh_json_set(o, "proof", fh_json_new_real(r->proof));
    ok = ok && fh_json_set(o, "bound", fh_json_new_real(r->bound));
    ok = ok && fh_json_set(o, "deviation_sum", fh_json_new_real(r->deviation_sum));
    for (size_t i = 0; ok && i < FH_COUNT(counts); i++)
        ok = fh_json_set(o, counts[i].name, fh_json_new_int((int64_t)*count_of(&copy, &counts[i])));
    if (ok) return o;
    fh_json_unref(o);
    return NULL;
}

static bool read_numbers(const fh_json *a, double *list, size_t count)
{
    if (fh_json_count(a) != count) return false;
    for (size_t i = 0; i < count; i++) {
        list[i] = fh_json_num(fh_json_at(a, i), (double)NAN);
        if (!isfinite(list[i])) return false;
    }
    return true;
}

int fh_honesty_record_read(fh_honesty_record *ret, const fh_json *doc, fh_err **err)
{
    fh_honesty_record r = {.rounds = 0};
    bool ok = read_numbers(fh_json_get(doc, "stakes"), &r.stakes[0][0], FH_HONESTY_TESTS * FH_HONESTY_BETS) &&
              read_numbers(fh_json_get(doc, "peak"), r.peak, FH_HONESTY_TESTS);
    r.proof = fh_json_num(fh_json_get(doc, "proof"), (double)NAN);
    r.bound = fh_json_num(fh_json_get(doc, "bound"), (double)NAN);
    r.deviation_sum = fh_json_num(fh_json_get(doc, "deviation_sum"), (double)NAN);
    ok = ok && isfinite(r.proof) && isfinite(r.bound) && isfinite(r.deviation_sum);
    for (size_t i = 0; ok && i < FH_COUNT(counts); i++) {
        int64_t n = fh_json_int(fh_json_get(doc, counts[i].name), -1);
        ok = n >= 0;
        *count_of(&r, &counts[i]) = (uint64_t)FH_MAX(n, (int64_t)0);
    }
    if (!ok) return fh_err_set(err, FH_E_CORRUPT, "what was found out about a provider is not well-formed");
    *ret = r;
    return 0;
}
