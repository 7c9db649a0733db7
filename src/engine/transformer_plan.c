/* Loading a transformer: its keys, its tensors by name and shape, and giving them back. A file that asks for more than transformer.c
 * computes is refused by the name of the key or tensor. */
#include "transformer.h"

#include <math.h>
#include <stdio.h>

/* One error about a key of the architecture. */
#define KEY_ERROR(err, code, l, format, ...) fh_err_set(err, code, "%.*s." format, (int)(l)->arch.len, (l)->arch.ptr, __VA_ARGS__)

static int read_shape(fh_shape *s, fh_transformer *w, const fh_load *l, fh_err **err)
{
    double eps = 0;
    int rc = fh_load_u32(l, "block_count", 1, 1024, &s->layers, err);
    if (!rc) rc = fh_load_u32(l, "embedding_length", 32, 65536, &s->embd, err);
    if (!rc) rc = fh_load_u32(l, w->traits->experts ? "expert_feed_forward_length" : "feed_forward_length", 32, 1 << 20, &w->ff, err);
    if (!rc) rc = fh_load_u32(l, "attention.head_count", 1, 1024, &s->heads, err);
    s->kv_heads = s->heads;
    if (!rc) rc = fh_load_u32_optional(l, "attention.head_count_kv", 1, 1024, &s->kv_heads, err);
    if (!rc) rc = fh_load_u32(l, "context_length", 1, 1 << 30, &s->trained_context_tok, err);
    if (!rc) rc = fh_load_f32_optional(l, "attention.layer_norm_rms_epsilon", 0, 1, &eps, err);
    if (rc) return rc;
    if (eps == 0) return KEY_ERROR(err, FH_E_CORRUPT, l, "attention.layer_norm_rms_epsilon is %s", "missing");
    w->eps = (float)eps;
    if (s->heads % s->kv_heads != 0)
        return KEY_ERROR(err, FH_E_CORRUPT, l, "attention.head_count %u is no multiple of head_count_kv %u", s->heads, s->kv_heads);
    return 0;
}

static int read_heads(fh_shape *s, fh_transformer *w, const fh_load *l, fh_err **err)
{
    s->head_dim = s->embd / s->heads;
    int rc = fh_load_u32_optional(l, "attention.key_length", 2, 1024, &s->head_dim, err);
    uint32_t value_dim = s->head_dim;
    if (!rc) rc = fh_load_u32_optional(l, "attention.value_length", 2, 1024, &value_dim, err);
    w->rope_dims = s->head_dim;
    if (!rc) rc = fh_load_u32_optional(l, "rope.dimension_count", 2, 1024, &w->rope_dims, err);
    if (rc) return rc;
    if (value_dim != s->head_dim)
        return KEY_ERROR(err, FH_E_UNSUPPORTED, l, "attention.value_length %u differs from key_length %u", value_dim, s->head_dim);
    if (s->head_dim < 2 || s->head_dim % 2 || s->head_dim > 1024 || w->rope_dims % 2 || w->rope_dims > s->head_dim)
        return fh_err_set(err, FH_E_CORRUPT, "head length %u with %u rotated dimensions cannot be", s->head_dim, w->rope_dims);
    w->scale = 1 / sqrtf((float)s->head_dim);
    return 0;
}

static int read_shares(fh_mixture *x, const fh_load *l, fh_err **err)
{
    double scale = 1;
    uint32_t gating = 1;
    *x = (fh_mixture){.experts = x->experts, .used = x->used, .norm = true};
    int rc = fh_load_bool_optional(l, "expert_weights_norm", &x->norm, err);
    if (!rc) rc = fh_load_f32_optional(l, "expert_weights_scale", 0, 1e6, &scale, err);
    if (!rc) rc = fh_load_u32_optional(l, "expert_gating_func", 0, UINT32_MAX, &gating, err);
    if (rc) return rc;
    x->scale = scale > 0 ? (float)scale : 1; /* 0 means "none" in files */
    if (gating > 1) return KEY_ERROR(err, FH_E_UNSUPPORTED, l, "expert_gating_func is %u; this engine knows 1, softmax", gating);
    return 0;
}

static int read_mixture(const fh_shape *s, fh_transformer *w, const fh_load *l, fh_err **err)
{
    fh_mixture *x = &w->mixture;
    int rc = fh_load_u32_optional(l, "expert_count", 0, 1 << 16, &x->experts, err);
    if (rc) return rc;
    if (!w->traits->experts) {
        if (x->experts == 0) return 0;
        return KEY_ERROR(err, FH_E_UNSUPPORTED, l,
                         "expert_count is %u: this engine does not compute mixtures of experts of this architecture", x->experts);
    }
    if (x->experts == 0) return KEY_ERROR(err, FH_E_CORRUPT, l, "expert_count is %s", "missing");
    if (w->ff % FH_EXPERT_ROWS || s->embd % FH_EXPERT_ROWS)
        return KEY_ERROR(err, FH_E_UNSUPPORTED, l, "expert_feed_forward_length %u or embedding_length %u is no multiple of %d", w->ff,
                         s->embd, FH_EXPERT_ROWS);
    rc = fh_load_u32(l, "expert_used_count", 1, x->experts, &x->used, err);
    return rc ? rc : read_shares(x, l, err);
}

static int plan_matrices(fh_load *l, const fh_shape *s, const fh_transformer *w, size_t i, fh_err **err)
{
    fh_transformer_layer *y = &w->layers[i];
    uint64_t e = s->embd, qd = (uint64_t)s->heads * s->head_dim, kd = (uint64_t)s->kv_heads * s->head_dim;
    const struct {
        const char *name;
        fh_weight **slot;
        uint64_t rows, cols;
    } matrices[] = {{"attn_q", &y->q, qd, e}, {"attn_k", &y->k, kd, e}, {"attn_v", &y->v, kd, e}, {"attn_output", &y->o, e, qd}};
    char name[64];
    int rc = 0;
    for (size_t m = 0; m < FH_COUNT(matrices) && !rc; m++) {
        snprintf(name, sizeof name, "blk.%zu.%s.weight", i, matrices[m].name);
        rc = fh_load_matrix(l, matrices[m].slot, name, matrices[m].rows, matrices[m].cols, err);
    }
    return rc;
}

static int refuse_fused(const fh_load *l, size_t layer, fh_err **err)
{
    char name[64];
    snprintf(name, sizeof name, "blk.%zu.ffn_gate_up_exps.weight", layer);
    if (!fh_load_has(l, name)) return 0;
    fh_err_set(err, FH_E_UNSUPPORTED, "tensor %s holds gate and up in one, which this engine does not take apart", name);
    fh_err_hint(err, "take a file with ffn_gate_exps and ffn_up_exps");
    return FH_E_UNSUPPORTED;
}

/* Of one network, or of all experts and the matrix that chooses among them. */
static int plan_feed_forward(fh_load *l, const fh_shape *s, const fh_transformer *w, size_t i, fh_err **err)
{
    fh_transformer_layer *y = &w->layers[i];
    uint64_t e = s->embd, experts = FH_MAX(w->mixture.experts, 1u);
    const char *of = w->mixture.experts ? "_exps" : "";
    const struct {
        const char *name;
        fh_weight **slot;
        uint64_t rows, cols;
    } matrices[] = {{"ffn_gate", &y->gate, w->ff, e}, {"ffn_up", &y->up, w->ff, e}, {"ffn_down", &y->down, e, w->ff}};
    char name[64];
    int rc = refuse_fused(l, i, err);
    for (size_t m = 0; m < FH_COUNT(matrices) && !rc; m++) {
        snprintf(name, sizeof name, "blk.%zu.%s%s.weight", i, matrices[m].name, of);
        rc = fh_load_experts(l, matrices[m].slot, name, experts, matrices[m].rows, matrices[m].cols, err);
    }
    if (rc || !w->mixture.experts) return rc;
    snprintf(name, sizeof name, "blk.%zu.ffn_gate_inp.weight", i);
    return fh_load_matrix(l, &y->router, name, experts, e, err);
}

static int plan_vectors(fh_load *l, const fh_shape *s, const fh_transformer *w, size_t i, fh_err **err)
{
    fh_transformer_layer *y = &w->layers[i];
    const fh_transformer_traits *t = w->traits;
    uint64_t e = s->embd, qd = (uint64_t)s->heads * s->head_dim, kd = (uint64_t)s->kv_heads * s->head_dim;
    const struct {
        bool has;
        const char *name;
        float **slot;
        uint64_t count;
    } vectors[] = {{true, "attn_norm.weight", &y->attn_norm, e},
                   {true, "ffn_norm.weight", &y->ffn_norm, e},
                   {t->qkv_bias, "attn_q.bias", &y->q_bias, qd},
                   {t->qkv_bias, "attn_k.bias", &y->k_bias, kd},
                   {t->qkv_bias, "attn_v.bias", &y->v_bias, kd},
                   {t->head_norm, "attn_q_norm.weight", &y->q_norm, s->head_dim},
                   {t->head_norm, "attn_k_norm.weight", &y->k_norm, s->head_dim}};
    char name[64];
    int rc = 0;
    for (size_t v = 0; v < FH_COUNT(vectors) && !rc; v++) {
        if (!vectors[v].has) continue;
        snprintf(name, sizeof name, "blk.%zu.%s", i, vectors[v].name);
        rc = fh_load_vector(l, vectors[v].slot, name, vectors[v].count, err);
    }
    return rc;
}

static int plan_ends(fh_load *l, fh_shape *s, fh_transformer *w, fh_err **err)
{
    const fh_gguf_tensor *embd = fh_gguf_tensor_find(l->gguf, "token_embd.weight");
    if (embd && (embd->dims[1] < 1 || embd->dims[1] > INT32_MAX))
        return fh_err_set(err, FH_E_CORRUPT, "tensor token_embd.weight has %llu rows", (unsigned long long)embd->dims[1]);
    s->vocab = embd ? (uint32_t)embd->dims[1] : 1;
    int rc = fh_load_matrix(l, &w->embd, "token_embd.weight", s->vocab, s->embd, err);
    if (!rc && fh_load_has(l, "output.weight")) rc = fh_load_matrix(l, &w->output, "output.weight", s->vocab, s->embd, err);
    if (!rc) rc = fh_load_vector(l, &w->output_norm, "output_norm.weight", s->embd, err);
    if (!rc && fh_load_has(l, "rope_freqs.weight")) rc = fh_load_vector(l, &w->rope_factors, "rope_freqs.weight", w->rope_dims / 2, err);
    return rc;
}

int fh_transformer_plan(fh_model *m, fh_load *l, fh_err **err)
{
    fh_transformer *w = m->weights = fh_calloc(1, sizeof *w);
    if (!w) return fh_err_nomem(err);
    w->traits = m->family->traits;
    int rc = read_shape(&m->shape, w, l, err);
    if (!rc) rc = read_heads(&m->shape, w, l, err);
    if (!rc) rc = read_mixture(&m->shape, w, l, err);
    if (!rc) rc = plan_ends(l, &m->shape, w, err);
    if (rc) return rc;
    w->layers = fh_calloc(m->shape.layers, sizeof *w->layers);
    if (!w->layers) return fh_err_nomem(err);
    w->layer_count = m->shape.layers;
    m->shape.row_floats = (uint64_t)m->shape.embd * 25 + (uint64_t)w->mixture.used * 3 * (m->shape.embd + w->ff);
    for (size_t i = 0; i < w->layer_count && !rc; i++) {
        rc = plan_matrices(l, &m->shape, w, i, err);
        if (!rc) rc = plan_feed_forward(l, &m->shape, w, i, err);
        if (!rc) rc = plan_vectors(l, &m->shape, w, i, err);
    }
    return rc;
}

int fh_transformer_finish(fh_model *m, const fh_load *l, fh_err **err)
{
    fh_transformer *w = m->weights;
    return fh_rope_inv_freq(l, w->rope_dims, w->rope_factors, &w->inv_freq, &w->mscale, err);
}

static void free_layer(fh_transformer_layer *y)
{
    fh_weight *matrices[] = {y->q, y->k, y->v, y->o, y->router, y->gate, y->up, y->down};
    float *vectors[] = {y->attn_norm, y->ffn_norm, y->q_bias, y->k_bias, y->v_bias, y->q_norm, y->k_norm};
    for (size_t i = 0; i < FH_COUNT(matrices); i++) fh_weight_free(matrices[i]);
    for (size_t i = 0; i < FH_COUNT(vectors); i++) fh_free(vectors[i]);
}

void fh_transformer_weights_free(fh_transformer *w)
{
    if (!w) return;
    for (size_t i = 0; i < w->layer_count; i++) free_layer(&w->layers[i]);
    fh_weight_free(w->embd);
    fh_weight_free(w->output);
    float *vectors[] = {w->output_norm, w->rope_factors, w->inv_freq};
    for (size_t i = 0; i < FH_COUNT(vectors); i++) fh_free(vectors[i]);
    fh_free(w->layers);
    fh_free(w);
}

/* What `used` of the `experts` matrices in each weight cost. */
static void add_cost(fh_token_cost *cost, const fh_weight *const *weights, size_t count, uint64_t experts, uint64_t used)
{
    for (size_t i = 0; i < count; i++) {
        if (!weights[i]) continue;
        cost->bytes += fh_weight_bytes(weights[i]) / experts * used;
        cost->ops += (uint64_t)2 * (fh_weight_rows(weights[i]) / experts * used) * fh_weight_cols(weights[i]);
    }
}

fh_token_cost fh_transformer_token_cost(const fh_model *m)
{
    const fh_transformer *w = m->weights;
    const fh_weight *output = fh_transformer_output(w);
    uint64_t experts = FH_MAX(w->mixture.experts, 1u), used = FH_MAX(w->mixture.used, 1u);
    fh_token_cost cost = {.bytes = fh_weight_bytes(output), .output_ops = (uint64_t)2 * fh_weight_rows(output) * fh_weight_cols(output)};
    for (size_t i = 0; i < w->layer_count; i++) {
        const fh_transformer_layer *y = &w->layers[i];
        const fh_weight *always[] = {y->q, y->k, y->v, y->o, y->router}, *forward[] = {y->gate, y->up, y->down};
        add_cost(&cost, always, FH_COUNT(always), 1, 1);
        add_cost(&cost, forward, FH_COUNT(forward), experts, used);
    }
    return cost;
}
