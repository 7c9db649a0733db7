/* What the files of engine/ share about a model: its shape, its weights as a family loads them, its cache, and one step of computing.
 *
 * A family is an arithmetic, which is a struct of functions, and what sets the family apart in it. It reads its keys and names its tensors
 * (plan: nothing is made yet, everything is checked), the loader then makes all weights at once on all threads, and its
 * stages compute one step on all workers together.
 */
#ifndef FH_ENGINE_MODEL_H
#define FH_ENGINE_MODEL_H

#include "engine/engine.h"
#include "kv.h"
#include "model/gguf.h"

typedef struct fh_family fh_family;

typedef struct fh_shape {
    uint32_t layers, embd, heads, kv_heads, head_dim, vocab, trained_context_tok;
    uint64_t row_floats; /* of the workspace, for a row of a step, about */
} fh_shape;

/* ---- loading (load.c) ---- */

typedef struct fh_load_item {
    fh_weight **weight; /* exactly one of weight and vector */
    float **vector;
    const fh_gguf_tensor *tensor;
    fh_weight_spec spec;
    bool packed; /* its rows go to `at` of the model's packed weights; else it stays in the mapping */
    size_t at;
} fh_load_item;

typedef struct fh_load {
    const fh_gguf *gguf;
    const fh_kernels *kernels;
    fh_str arch;
    bool exact;
    fh_load_item *items; /* owned */
    size_t count, cap;
    bool *used;          /* owned; by tensor index */
    size_t packed_bytes; /* of all weights that are packed */
    uint8_t *packed;     /* borrowed: where they go, before fh_load_run */
    bool filled;         /* they lie there already */
} fh_load;

int fh_load_init(fh_load *l, const fh_gguf *g, const fh_kernels *k, bool exact, fh_err **err);
void fh_load_fini(fh_load *l);
/* Keys of the architecture, without its name and dot: "block_count". The optional ones leave *ret when the key is absent. */
int fh_load_u32(const fh_load *l, const char *key, uint32_t min, uint32_t max, uint32_t *ret, fh_err **err);
int fh_load_u32_optional(const fh_load *l, const char *key, uint32_t min, uint32_t max, uint32_t *ret, fh_err **err);
int fh_load_f32_optional(const fh_load *l, const char *key, double min, double max, double *ret, fh_err **err);
int fh_load_str_optional(const fh_load *l, const char *key, fh_str *ret, fh_err **err);
int fh_load_bool_optional(const fh_load *l, const char *key, bool *ret, fh_err **err);
bool fh_load_has(const fh_load *l, const char *tensor);
/* Plans a matrix or a vector of that shape into *slot. The tensor must exist, have that shape and a known type. */
int fh_load_matrix(fh_load *l, fh_weight **slot, const char *tensor, uint64_t rows, uint64_t cols, fh_err **err);
/* Matrices of that shape one behind the other in one tensor, as one weight of experts * rows rows. */
int fh_load_experts(fh_load *l, fh_weight **slot, const char *tensor, uint64_t experts, uint64_t rows, uint64_t cols, fh_err **err);
int fh_load_vector(fh_load *l, float **slot, const char *tensor, uint64_t count, fh_err **err);
int fh_load_refuse_rest(const fh_load *l, fh_err **err); /* tensors that nobody planned would be silently ignored arithmetic */

typedef struct fh_load_progress {
    void (*fn)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
    void *arg;
    const _Atomic bool *cancel;
} fh_load_progress;
/* Makes everything planned, on all workers of the pool. On failure what was made stays in its slots: the family's free sees to it. */
int fh_load_run(fh_load *l, fh_pool *pool, const fh_load_progress *p, fh_err **err);
uint64_t fh_load_bytes(const fh_load *l); /* of the planned tensors in the file */

/* rope.c: inverse frequencies [dims / 2] with all scaling in them (owned), and what cos and sin are multiplied by. factors: NULL, or the
 * divisors of the file's tensor rope_freqs (Llama 3.1), [dims / 2]. */
int fh_rope_inv_freq(const fh_load *l, uint32_t dims, const float *factors, float **ret, float *ret_mscale, fh_err **err);

/* ---- one step ---- */

/* A sequence's part of a step: rows first .. first + count of the batch, on top of `past` tokens that its pages hold; they have room for
 * all of them. */
typedef struct fh_step_seq {
    size_t slot, first, count, past;
    const uint32_t *pages;
} fh_step_seq;

typedef struct fh_step {
    const fh_token *ids;
    const int32_t *pos;
    size_t count;
    const fh_step_seq *seqs;
    size_t seq_count;
    const uint32_t *out; /* rows whose logits are wanted, ascending */
    size_t out_count;
    float *logits;              /* [out_count][vocab] */
    const uint32_t *state_rows; /* rows whose last hidden state is wanted, ascending; none of them is in out */
    size_t state_count;
    float *states; /* [state_count][embd], after the output norm */
} fh_step;

/* The most that one step holds. */
typedef struct fh_step_sizes {
    size_t batch_tok, seqs, logit_rows;
    unsigned workers;
} fh_step_sizes;

/* Layers [first, last) of a model, computed as one. All that one stage hands to the next is the hidden state of the step's rows. */
typedef struct fh_stage {
    size_t first, last;
} fh_stage;

typedef struct fh_model {
    const fh_family *family;
    const fh_kernels *kernels;
    fh_shape shape;
    const fh_stage *stages; /* borrowed; in order, each layer once */
    size_t stage_count;
    void *weights;   /* the arithmetic's own */
    void *workspace; /* the arithmetic's own: sized by fh_arithmetic.prepare */
    fh_kv kv;
    bool split_keys; /* attention may be split along keys: faster, results then depend on the number of workers and sequences */
} fh_model;

/* What one token costs. Products count a multiplication and an addition as two operations. */
typedef struct fh_token_cost {
    uint64_t bytes;           /* weights that are read when it is decoded alone */
    uint64_t ops, output_ops; /* of products in all layers; of the output matrix, where its logits are wanted */
} fh_token_cost;

/* How the models of some architectures are computed (transformer.c is the first). */
typedef struct fh_arithmetic {
    int (*plan)(fh_model *m, fh_load *l, fh_err **err);                /* fills shape, makes weights (empty), plans every tensor */
    int (*finish)(fh_model *m, const fh_load *l, fh_err **err);        /* after the tensors were made */
    int (*prepare)(fh_model *m, const fh_step_sizes *z, fh_err **err); /* makes the workspace */
    /* A step, by all workers together; x [rows][embd] is the hidden state. embed makes it of the tokens. layers takes it in and gives it
     * out in its place; behind the model's last layer only the rows of s->out and then those of s->state_rows are left. outputs makes
     * logits and states of those. Each ends with a barrier. */
    void (*embed)(const fh_model *m, const fh_step *s, float *x, fh_worker *w);
    void (*layers)(const fh_model *m, const fh_stage *stage, const fh_step *s, float *x, fh_worker *w);
    void (*outputs)(const fh_model *m, const fh_step *s, float *x, fh_worker *w);
    void (*free)(fh_model *m); /* weights and workspace, half-made ones too */
    fh_token_cost (*token_cost)(const fh_model *m);
} fh_arithmetic;
extern const fh_arithmetic fh_transformer_arithmetic;

struct fh_family {
    const char *architecture; /* general.architecture of its files */
    const fh_arithmetic *does;
    const void *traits; /* what sets it apart, of the arithmetic's own type */
};
/* families.c */
const fh_family *fh_family_find(fh_str architecture);
void fh_family_list(fh_buf *out); /* "llama, qwen2, ..." for errors */

#endif
