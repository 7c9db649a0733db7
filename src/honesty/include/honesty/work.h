/* How a place has worked so far: what was measured of its answers, never what it says of itself. All of it fades, half in WORK_HALF_DAYS,
 * so that a place can get better and cannot live on its past. A place that nobody knows yet is taken for one that fails a request in four
 * and is away a quarter of the time: what it earns, it earns by work.
 *
 * Doubles throughout: nothing here is a ledger. Pure; any thread, one at a time. */
#ifndef FH_HONESTY_WORK_H
#define FH_HONESTY_WORK_H

#include "honesty/record.h"

typedef struct fh_honesty_work { /* zeros: nothing is known */
    double good, failed;         /* requests */
    double answer_tok, busy_s;   /* of answers that came whole, and how long one stream of them took, prompt included */
    double up_s, down_s;         /* it was reachable, or not */
    double prompt_tok, prompt_s; /* of prompts of WORK_PROMPT_TOK or more: until the first token came, what was kept of them included */
    double prompt_ops;           /* multiplications and additions that they take without what was kept */
    double decode_tok, decode_s; /* of answers after their first token */
    double read_bytes;           /* of weights that those take from memory, one stream at a time */
    int64_t at_utc_ns;           /* until then all of it has faded */
} fh_honesty_work;

/* Adds what was seen since, after what was there has faded. */
void fh_honesty_work_add(fh_honesty_work *w, const fh_honesty_work *more, int64_t now_utc_ns);
/* The chance that the next request fails: (failed + 1) / (good + failed + 4), Bayes' estimate after a first guess of one in four. */
double fh_honesty_work_failing(const fh_honesty_work *w);
/* The share of time that it is there, likewise, the first guess worth four hours. */
double fh_honesty_work_up(const fh_honesty_work *w);
double fh_honesty_work_tok_per_s(const fh_honesty_work *w); /* of one stream; 0: fewer than WORK_SPEED_TOK tokens were seen */

/* As the server's clock saw it; 0: fewer than WORK_SPEED_TOK tokens were seen. */
double fh_honesty_work_decode_tok_s(const fh_honesty_work *w);
double fh_honesty_work_prompt_tok_s(const fh_honesty_work *w);
double fh_honesty_work_read_bytes_s(const fh_honesty_work *w); /* bytes of weights a second, whatever the model */
double fh_honesty_work_prompt_ops_s(const fh_honesty_work *w);

/* 0 to 100: 100 x the share of requests that are expected to succeed x that of time x a word for its honesty: cheats 0, doubted a quarter,
 * not known yet three quarters, honest 1. So a place begins with 42. */
int fh_honesty_standing(const fh_honesty_work *w, fh_honesty_verdict v);

/* As it is kept: a JSON object, and back; an empty one is zeros. FH_E_CORRUPT when it is none. */
fh_json *fh_honesty_work_write(const fh_honesty_work *w); /* owned; NULL when memory is out */
int fh_honesty_work_read(fh_honesty_work *ret, const fh_json *doc, fh_err **err);

#endif
