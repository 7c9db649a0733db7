/* What a canary looks like. Nothing of it comes from a user: its opening is drawn from words, what follows is written by the model itself,
 * sampled anew each time, so it reads like any other prompt for that model and was never seen before. Pure; from a seed. */
#ifndef FH_HONESTY_DRAW_H
#define FH_HONESTY_DRAW_H

#include <stddef.h>
#include <stdint.h>

typedef struct fh_honesty_canary {
    char opening[128];
    uint32_t prompt_tok;           /* to write behind it */
    uint32_t answer_tok;           /* to ask for; at most FH_LIMIT_HONESTY_ANSWER_TOK */
    uint32_t write_seed, ask_seed; /* below 2^31: every engine takes those */
} fh_honesty_canary;
void fh_honesty_draw(uint64_t *state, fh_honesty_canary *ret);

/* Whether the next one is an earlier one again, and which of those that are kept: an index below kept, or kept for a new one. */
size_t fh_honesty_draw_again(uint64_t *state, size_t kept);
uint32_t fh_honesty_draw_seed(uint64_t *state);

#endif
