/* The evidence for and against one model of one endpoint. Each test bets against the endpoint: with every observation the stakes are
 * multiplied by 1 - f + f * ratio, where the ratio is at most 1 on average for whoever is honest, and f is a fraction of the stake. So the
 * stakes of the honest are a nonnegative supermartingale, and reach FH_HONESTY_PROOF with a chance of at most 1 / FH_HONESTY_PROOF, however
 * often one looks (Ville 1939; Waudby-Smith and Ramdas 2024 for bounded means). Several fractions run beside one another, and their mean is
 * what counts; so is the mean of the tests. Every FH_HONESTY_ROUND canaries a new round begins with new stakes, so that a provider cannot
 * save up honesty; round k must reach k (k + 1) as much, which keeps the whole chance.
 *
 * Doubles throughout: nothing here is a ledger. Pure; the caller's storage, no ownership; any thread, one at a time. */
#ifndef FH_HONESTY_RECORD_H
#define FH_HONESTY_RECORD_H

#include "base/err.h"
#include "base/str.h"
#include "json/json.h"

/* An honest provider is accused with a chance of at most 1 / PROOF; beyond DOUBT it is not asked first. */
#define FH_HONESTY_PROOF 1e6
#define FH_HONESTY_DOUBT 1e3
/* The mean deviation that honest arithmetic keeps below, in nats. It belongs to the weights: engines of one model are further apart than
 * those of another (docs/HONESTY.md). Measured against an endpoint that is known to be honest, it is TWICE what that was away, and LEAST at
 * least; not measured it is UNMEASURED, which only another model is beyond. One canary counts as MOST bounds at most. */
#define FH_HONESTY_BOUND_LEAST      0.02
#define FH_HONESTY_BOUND_UNMEASURED 0.15
#define FH_HONESTY_MOST             12.5
/* How often an honest provider's count may be beyond ours by more than FH_HONESTY_COUNT_SLACK. */
#define FH_HONESTY_COUNT_RATE 0.01
enum { FH_HONESTY_COUNT_SLACK = 1, FH_HONESTY_BETS = 6, FH_HONESTY_ROUND = 200, FH_HONESTY_LEAST = 20, FH_HONESTY_TWICE = 2 };

typedef enum fh_honesty_test { FH_HONESTY_MODEL, FH_HONESTY_CACHE, FH_HONESTY_COUNTS, FH_HONESTY_TESTS } fh_honesty_test;
const char *fh_honesty_test_name(fh_honesty_test t); /* "model", "cache", "counts" */

typedef enum fh_honesty_verdict {
    FH_HONESTY_UNKNOWN, /* fewer than FH_HONESTY_LEAST canaries that could be compared, and no proof */
    FH_HONESTY_HONEST,  /* nothing against it */
    FH_HONESTY_DOUBTED,
    FH_HONESTY_CHEATS, /* until it is cleared */
} fh_honesty_verdict;
const char *fh_honesty_verdict_name(fh_honesty_verdict v); /* "unknown", "honest", "doubted", "cheats" */

typedef struct fh_honesty_record {                    /* zeros: nothing is known */
    double stakes[FH_HONESTY_TESTS][FH_HONESTY_BETS]; /* natural logarithms */
    double peak[FH_HONESTY_TESTS]; /* the most evidence that each test alone has had, as a natural logarithm, less the round's price */
    double proof;                  /* the same of their mean */
    uint64_t canaries, round;      /* round: canaries of this one */
    uint64_t rounds;               /* that have ended */
    uint64_t positions, unclear, repeats, same, counted, inflated; /* unclear: canaries of whose tokens nothing could be compared */
    double deviation_sum;                                          /* over canaries, in nats */
    double bound;                                                  /* that the last one was held against; 0: none was */
    uint64_t prompt_tok, completion_tok;                           /* spent on checking, as we count them */
} fh_honesty_record;

/* One canary's evidence; what could not be seen of it is left out. */
typedef struct fh_honesty_observation {
    size_t positions; /* that were compared; 0: none */
    double deviation; /* their mean, in nats */
    double bound;     /* what honest ones stay below: fh_honesty_bound */
    bool repeated;    /* it was asked before, with another seed */
    bool same;        /* and its answer was the same */
    double chance;    /* natural logarithm of how likely that was, at most */
    bool counted;
    int64_t prompt_tok, completion_tok;           /* by our tokenizer */
    int64_t said_prompt_tok, said_completion_tok; /* as the provider said */
} fh_honesty_observation;
void fh_honesty_observe(fh_honesty_record *r, const fh_honesty_observation *o);

/* Natural logarithm of the evidence against it: now, of one test; and the most that all together ever had. */
double fh_honesty_evidence(const fh_honesty_record *r, fh_honesty_test t);
double fh_honesty_proof(const fh_honesty_record *r);
fh_honesty_verdict fh_honesty_judge(const fh_honesty_record *r);
fh_honesty_test fh_honesty_strongest(const fh_honesty_record *r); /* of the tests, by the most evidence */

/* What honest providers of a model stay below, by the record of one that is known to be honest; without one, or with too little of it, or
 * when it computes exactly as we do and so says nothing of others: FH_HONESTY_BOUND_UNMEASURED. */
double fh_honesty_bound(const fh_honesty_record *measured);
bool fh_honesty_measures(const fh_honesty_record *r); /* there is enough of it for that */
double fh_honesty_mean(const fh_honesty_record *r);   /* deviation, in nats; 0 when nothing was compared */

/* Why it is judged so, in one sentence. */
void fh_honesty_reason(const fh_honesty_record *r, char *out, size_t size);

/* As it is kept: a JSON object, and back. FH_E_CORRUPT when it is none. */
fh_json *fh_honesty_record_write(const fh_honesty_record *r); /* owned; NULL when memory is out */
int fh_honesty_record_read(fh_honesty_record *ret, const fh_json *doc, fh_err **err);

#endif
