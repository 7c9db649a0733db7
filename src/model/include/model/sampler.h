/* Choosing the next token from logits. Pure: the only randomness is the seed's. One sampler a sequence; one owner.
 *
 * Order of operations: logit bias, repetition / presence / frequency penalties over the last penalty_last tokens, then if temperature is 0
 * the best token (lowest id on a tie), else temperature, top-k, top-p, min-p, one draw. The generator is a counter-based one keyed by the
 * seed, so the same request with the same seed gives the same tokens. */
#ifndef FH_MODEL_SAMPLER_H
#define FH_MODEL_SAMPLER_H

#include "model/vocab.h"

typedef struct fh_sample_params {
    double temperature;                                             /* 0 = greedy */
    double top_p, min_p;                                            /* 1 and 0 = off */
    uint32_t top_k;                                                 /* 0 = off */
    double repetition_penalty, presence_penalty, frequency_penalty; /* 1, 0, 0 = off */
    uint32_t penalty_last;
    uint64_t seed;
    const fh_token *bias_tokens; /* borrowed for the sampler's life */
    const float *bias_values;
    size_t bias_count;
} fh_sample_params;
void fh_sample_params_default(fh_sample_params *p);

typedef struct fh_sampler fh_sampler;
int fh_sampler_new(fh_sampler **ret, const fh_sample_params *p, size_t vocab_size, fh_err **err);
void fh_sampler_free(fh_sampler *s);
FH_DEFINE_AUTO(fh_sampler, fh_sampler_free);
void fh_sampler_accept(fh_sampler *s, fh_token id); /* counts a token (of the prompt, or a sampled one) for the penalties */

/* As if count tokens had been drawn: a sequence that another sampler of the same parameters began goes on as there. */
void fh_sampler_skip(fh_sampler *s, uint64_t count);

typedef struct fh_logprob {
    fh_token id;
    float logprob; /* natural, of the raw model distribution (before temperature and filters) */
} fh_logprob;
/* logits [vocab_size] may be overwritten. top (of top_count, may be 0) gets the most likely tokens, best first; chosen_logprob may be NULL.
 */
fh_token fh_sampler_next(fh_sampler *s, float *logits, float *chosen_logprob, fh_logprob *top, size_t top_count);

/* Text from tokens, for streaming: holds back what could be the start of a stop string and what is half a UTF-8 character. */
typedef struct fh_detok fh_detok;
int fh_detok_new(fh_detok **ret, const fh_vocab *v, const fh_str *stops, size_t stop_count, fh_err **err); /* copies stops */
void fh_detok_free(fh_detok *d);
/* Control tokens whose bit is set in tokens (borrowed while the detok lives) give their text too; before anything is pushed. */
void fh_detok_show(fh_detok *d, const uint64_t *tokens);
FH_DEFINE_AUTO(fh_detok, fh_detok_free);
/* Appends to out the text that is now certain; *ret_stopped is set when a stop string is complete (it is not part of the text). */
int fh_detok_push(fh_detok *d, fh_token id, fh_buf *out, bool *ret_stopped, fh_err **err);
int fh_detok_finish(fh_detok *d, fh_buf *out, fh_err **err); /* the rest; broken UTF-8 becomes U+FFFD */
fh_str fh_detok_stop(const fh_detok *d);                     /* the stop string that was complete, borrowed; empty when none was */

#endif
