/* The arithmetic that llama, Qwen2, Qwen3 and others share: x += Attn(RMS(x)); x += FFN(RMS(x)); logits = W_out RMS(x), with grouped
 * queries and SwiGLU. What sets an architecture apart is a row of traits (families.c), no code of its own.
 *
 * transformer_plan.c reads keys and names tensors, transformer.c computes the layers, mixture.c their experts where they have them,
 * logits.c the last product. */
#ifndef FH_ENGINE_TRANSFORMER_H
#define FH_ENGINE_TRANSFORMER_H

#include "model.h"

/* What sets an architecture apart (facts of each: its code in transformers, its tensors in llama.cpp). */
typedef struct fh_transformer_traits {
    bool halves;    /* dimension i of a head turns with i + dims / 2, as published; else 2i with 2i + 1, as llama's files are permuted */
    bool qkv_bias;  /* q, k and v have biases */
    bool head_norm; /* each head of q and k is normed before it is turned */
    bool experts;   /* the feed-forward of every layer is a mixture */
} fh_transformer_traits;

typedef struct fh_transformer_layer {
    float *attn_norm, *ffn_norm;
    float *q_bias, *k_bias, *v_bias, *q_norm, *k_norm; /* NULL where the architecture has none */
    fh_weight *q, *k, *v, *o;
    fh_weight *router, *gate, *up, *down; /* router: NULL without experts; gate, up and down are then those of all experts */
} fh_transformer_layer;

/* x += sum over the `used` experts with the highest probabilities softmax(router x) of share * FFN_expert(x). */
typedef struct fh_mixture {
    uint32_t experts, used; /* experts: 0 where there are none */
    bool norm;              /* the shares of those chosen add up to 1, else they are their probabilities */
    float scale;            /* of all shares */
} fh_mixture;

typedef struct fh_transformer { /* fh_model.weights */
    const fh_transformer_traits *traits;
    uint32_t ff, rope_dims; /* ff: of an expert where there are some */
    float eps, mscale, scale;
    fh_mixture mixture;
    fh_weight *embd, *output; /* output: NULL when tied to embd */
    float *output_norm, *rope_factors, *inv_freq;
    fh_transformer_layer *layers;
    size_t layer_count;
} fh_transformer;

typedef struct fh_transformer_lane { /* one worker's own */
    fh_attn_seq *seqs;
    void **k_rows, **v_rows;
} fh_transformer_lane;

typedef struct fh_mixture_work fh_mixture_work;

typedef struct fh_transformer_work { /* fh_model.workspace */
    float *q, *k, *v, *att, *h, *cs, *x_out, *att_out, *scratch;
    float *parts, *part_logits; /* NULL unless the output matrix is multiplied in two parts */
    fh_act *act;
    fh_mixture_work *mixture; /* NULL without experts */
    fh_transformer_lane *lanes;
    unsigned workers;
} fh_transformer_work;

typedef struct fh_transformer_pass { /* one worker's view of a step */
    const fh_model *m;
    const fh_transformer *w;
    fh_transformer_work *ws;
    fh_transformer_lane *lane;
    const fh_step *step;
    fh_worker *wk;
    float *x, *att; /* the hidden state, and what attention gave: the rows that are still needed */
    size_t rows;
} fh_transformer_pass;

/* Room for rows * cols floats, owned; false when there is none. */
bool fh_transformer_floats(float **slot, size_t rows, size_t cols);

static inline const fh_weight *fh_transformer_output(const fh_transformer *w)
{
    return w->output ? w->output : w->embd;
}

/* transformer_plan.c */
int fh_transformer_plan(fh_model *m, fh_load *l, fh_err **err);
int fh_transformer_finish(fh_model *m, const fh_load *l, fh_err **err);
void fh_transformer_weights_free(fh_transformer *w);
fh_token_cost fh_transformer_token_cost(const fh_model *m);

/* mixture.c: the workspace of steps of at most `rows` rows, and x += FFN(RMS(x)) of the pass' rows; all workers, ends with a barrier. */
int fh_mixture_work_new(fh_mixture_work **ret, const fh_model *m, size_t rows, unsigned workers, fh_err **err);
void fh_mixture_work_free(fh_mixture_work *x);
FH_DEFINE_AUTO(fh_mixture_work, fh_mixture_work_free);
void fh_mixture_add(const fh_transformer_pass *p, const fh_transformer_layer *y);

/* logits.c: of the first p->rows rows of p->x, into the step's logits; all workers, ends with a barrier. */
void fh_transformer_logits(const fh_transformer_pass *p);

#endif
