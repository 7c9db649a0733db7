/* The llama family: SmolLM2, Llama 2 and 3, Mistral 7B. x += Attn(RMS(x)); x += FFN(RMS(x)); logits = W_out RMS(x).
 *
 * Grouped queries, rotation of pairs, SwiGLU, no biases, no experts (a file that has them is refused by the tensor's name). All workers run
 * forward together; what one writes and another reads has a barrier between: six a layer. Only rows of which something is wanted go through
 * the last layer's projections, and only those whose logits are through the output matrix. */
#include "model.h"

#include <math.h>
#include <stdio.h>

typedef struct layer {
    float *attn_norm, *ffn_norm;
    fh_weight *q, *k, *v, *o, *gate, *up, *down;
} layer;

typedef struct llama {
    uint32_t ff, rope_dims;
    float eps, mscale, scale;
    fh_weight *embd, *output; /* output: NULL when tied to embd */
    float *output_norm, *rope_factors, *inv_freq;
    layer *layers;
    size_t layer_count;
} llama;

typedef struct lane { /* one worker's own */
    fh_attn_seq *seqs;
    void **k_rows, **v_rows;
} lane;

typedef struct workspace {
    float *x, *q, *k, *v, *att, *h, *cs, *x_out, *att_out, *scratch;
    float *parts, *part_logits; /* NULL unless the output matrix is multiplied in two parts */
    fh_act *act;
    lane *lanes;
    unsigned workers;
} workspace;

/* ---- loading ---- */

static int read_shape(fh_shape *s, llama *w, const fh_load *l, fh_err **err)
{
    double eps = 0;
    int rc = fh_load_u32(l, "block_count", 1, 1024, &s->layers, err);
    if (!rc) rc = fh_load_u32(l, "embedding_length", 32, 65536, &s->embd, err);
    if (!rc) rc = fh_load_u32(l, "feed_forward_length", 32, 1 << 20, &w->ff, err);
    if (!rc) rc = fh_load_u32(l, "attention.head_count", 1, 1024, &s->heads, err);
    s->kv_heads = s->heads;
    if (!rc) rc = fh_load_u32_optional(l, "attention.head_count_kv", 1, 1024, &s->kv_heads, err);
    if (!rc) rc = fh_load_u32(l, "context_length", 1, 1 << 30, &s->trained_context_tok, err);
    if (!rc) rc = fh_load_f32_optional(l, "attention.layer_norm_rms_epsilon", 0, 1, &eps, err);
    if (rc) return rc;
    if (eps == 0) return fh_err_set(err, FH_E_CORRUPT, "llama.attention.layer_norm_rms_epsilon is missing");
    w->eps = (float)eps;
    if (s->heads % s->kv_heads != 0)
        return fh_err_set(err, FH_E_CORRUPT, "llama.attention.head_count %u is no multiple of head_count_kv %u", s->heads, s->kv_heads);
    return 0;
}

static int read_heads(fh_shape *s, llama *w, const fh_load *l, fh_err **err)
{
    s->head_dim = s->embd / s->heads;
    int rc = fh_load_u32_optional(l, "attention.key_length", 2, 1024, &s->head_dim, err);
    uint32_t value_dim = s->head_dim, experts = 0;
    if (!rc) rc = fh_load_u32_optional(l, "attention.value_length", 2, 1024, &value_dim, err);
    w->rope_dims = s->head_dim;
    if (!rc) rc = fh_load_u32_optional(l, "rope.dimension_count", 2, 1024, &w->rope_dims, err);
    if (!rc) rc = fh_load_u32_optional(l, "expert_count", 0, UINT32_MAX, &experts, err);
    if (rc) return rc;
    if (experts)
        return fh_err_set(err, FH_E_UNSUPPORTED,
                          "llama.expert_count is %u: this engine does not compute mixtures of experts of this architecture", experts);
    if (value_dim != s->head_dim)
        return fh_err_set(err, FH_E_UNSUPPORTED, "llama.attention.value_length %u differs from key_length %u", value_dim, s->head_dim);
    if (s->head_dim < 2 || s->head_dim % 2 || s->head_dim > 1024 || w->rope_dims % 2 || w->rope_dims > s->head_dim)
        return fh_err_set(err, FH_E_CORRUPT, "head length %u with %u rotated dimensions cannot be", s->head_dim, w->rope_dims);
    w->scale = 1 / sqrtf((float)s->head_dim);
    return 0;
}

static int plan_layer(fh_load *l, const fh_shape *s, const llama *w, size_t i, fh_err **err)
{
    layer *y = &w->layers[i];
    uint64_t e = s->embd, qd = (uint64_t)s->heads * s->head_dim, kd = (uint64_t)s->kv_heads * s->head_dim;
    const struct {
        const char *name;
        fh_weight **slot;
        uint64_t rows, cols;
    } matrices[] = {{"attn_q", &y->q, qd, e},        {"attn_k", &y->k, kd, e},         {"attn_v", &y->v, kd, e},
                    {"attn_output", &y->o, e, qd},   {"ffn_gate", &y->gate, w->ff, e}, {"ffn_up", &y->up, w->ff, e},
                    {"ffn_down", &y->down, e, w->ff}};
    char name[64];
    int rc = 0;
    for (size_t m = 0; m < FH_COUNT(matrices) && !rc; m++) {
        snprintf(name, sizeof name, "blk.%zu.%s.weight", i, matrices[m].name);
        rc = fh_load_matrix(l, matrices[m].slot, name, matrices[m].rows, matrices[m].cols, err);
    }
    snprintf(name, sizeof name, "blk.%zu.attn_norm.weight", i);
    if (!rc) rc = fh_load_vector(l, &y->attn_norm, name, e, err);
    snprintf(name, sizeof name, "blk.%zu.ffn_norm.weight", i);
    return rc ? rc : fh_load_vector(l, &y->ffn_norm, name, e, err);
}

static int plan_ends(fh_load *l, fh_shape *s, llama *w, fh_err **err)
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

static int plan(fh_model *m, fh_load *l, fh_err **err)
{
    llama *w = m->weights = fh_calloc(1, sizeof *w);
    if (!w) return fh_err_nomem(err);
    int rc = read_shape(&m->shape, w, l, err);
    if (!rc) rc = read_heads(&m->shape, w, l, err);
    if (!rc) rc = plan_ends(l, &m->shape, w, err);
    if (rc) return rc;
    w->layers = fh_calloc(m->shape.layers, sizeof *w->layers);
    if (!w->layers) return fh_err_nomem(err);
    w->layer_count = m->shape.layers;
    for (size_t i = 0; i < w->layer_count && !rc; i++) rc = plan_layer(l, &m->shape, w, i, err);
    return rc;
}

static int finish(fh_model *m, const fh_load *l, fh_err **err)
{
    llama *w = m->weights;
    return fh_rope_inv_freq(l, w->rope_dims, w->rope_factors, &w->inv_freq, &w->mscale, err);
}

static void free_weights(llama *w)
{
    if (!w) return;
    for (size_t i = 0; i < w->layer_count; i++) {
        layer *y = &w->layers[i];
        fh_weight *matrices[] = {y->q, y->k, y->v, y->o, y->gate, y->up, y->down};
        for (size_t j = 0; j < FH_COUNT(matrices); j++) fh_weight_free(matrices[j]);
        fh_free(y->attn_norm);
        fh_free(y->ffn_norm);
    }
    fh_weight_free(w->embd);
    fh_weight_free(w->output);
    float *vectors[] = {w->output_norm, w->rope_factors, w->inv_freq};
    for (size_t i = 0; i < FH_COUNT(vectors); i++) fh_free(vectors[i]);
    fh_free(w->layers);
    fh_free(w);
}

static void free_workspace(workspace *ws)
{
    if (!ws) return;
    float *floats[] = {ws->x, ws->q, ws->k, ws->v, ws->att, ws->h, ws->cs, ws->x_out, ws->att_out, ws->scratch, ws->parts, ws->part_logits};
    for (size_t i = 0; i < FH_COUNT(floats); i++) fh_free(floats[i]);
    fh_act_free(ws->act);
    for (unsigned i = 0; ws->lanes && i < ws->workers; i++) {
        fh_free(ws->lanes[i].seqs);
        fh_free(ws->lanes[i].k_rows);
        fh_free(ws->lanes[i].v_rows);
    }
    fh_free(ws->lanes);
    fh_free(ws);
}

static void llama_free(fh_model *m)
{
    free_weights(m->weights);
    free_workspace(m->workspace);
    m->weights = m->workspace = NULL;
}

static bool make_floats(float **slot, size_t rows, size_t cols)
{
    size_t bytes;
    if (fh_mul_overflows(rows, cols, &bytes) || fh_mul_overflows(bytes, sizeof(float), &bytes)) return false;
    *slot = fh_alloc_aligned(64, FH_MAX(bytes, (size_t)64));
    return *slot != NULL;
}

static bool make_lanes(workspace *ws, size_t batch, size_t seqs, unsigned workers)
{
    ws->lanes = fh_calloc(workers, sizeof *ws->lanes);
    if (!ws->lanes) return false;
    ws->workers = workers;
    for (unsigned i = 0; i < workers; i++) {
        lane *n = &ws->lanes[i];
        n->seqs = fh_calloc(seqs, sizeof *n->seqs);
        n->k_rows = fh_calloc(batch, sizeof *n->k_rows);
        n->v_rows = fh_calloc(batch, sizeof *n->v_rows);
        if (!n->seqs || !n->k_rows || !n->v_rows) return false;
    }
    return true;
}

static const fh_weight *output_of(const llama *w)
{
    return w->output ? w->output : w->embd;
}

static int prepare(fh_model *m, const fh_step_sizes *z, fh_err **err)
{
    size_t batch = z->batch_tok, act_rows = FH_MAX(batch, 2 * z->logit_rows);
    const llama *w = m->weights;
    const fh_shape *s = &m->shape;
    size_t e = s->embd, qd = (size_t)s->heads * s->head_dim, kd = (size_t)s->kv_heads * s->head_dim;
    workspace *ws = m->workspace = fh_calloc(1, sizeof *ws);
    if (!ws) return fh_err_nomem(err);
    bool ok = make_floats(&ws->x, batch, e) && make_floats(&ws->q, batch, qd) && make_floats(&ws->k, batch, kd) &&
              make_floats(&ws->v, batch, kd) && make_floats(&ws->att, batch, qd) && make_floats(&ws->h, batch, w->ff) &&
              make_floats(&ws->cs, batch, w->rope_dims) && make_floats(&ws->x_out, batch, e) && make_floats(&ws->att_out, batch, qd) &&
              make_lanes(ws, batch, z->seqs, z->workers);
    if (ok && m->split_keys) ok = make_floats(&ws->scratch, 1, fh_attn_scratch_floats(s->heads, s->head_dim, z->workers));
    if (ok && !fh_weight_borrows(output_of(w)))
        ok = make_floats(&ws->parts, 2 * z->logit_rows, e) && make_floats(&ws->part_logits, 2 * z->logit_rows, s->vocab);
    if (!ok) return fh_err_nomem(err);
    return fh_act_new(&ws->act, m->kernels, act_rows, FH_MAX(FH_MAX(e, qd), (size_t)w->ff), err);
}

static uint64_t token_bytes(const fh_model *m)
{
    const llama *w = m->weights;
    uint64_t bytes = fh_weight_bytes(output_of(w));
    for (size_t i = 0; i < w->layer_count; i++) {
        const layer *y = &w->layers[i];
        const fh_weight *matrices[] = {y->q, y->k, y->v, y->o, y->gate, y->up, y->down};
        for (size_t j = 0; j < FH_COUNT(matrices); j++) bytes += fh_weight_bytes(matrices[j]);
    }
    return bytes;
}

/* ---- computing: all workers together ---- */

typedef struct pass { /* one worker's view of a step */
    const fh_model *m;
    const llama *w;
    workspace *ws;
    lane *lane;
    const fh_step *step;
    fh_worker *wk;
    float *x, *att; /* the rows that are still needed */
    size_t rows;
} pass;

static void embed(const pass *p)
{
    size_t first, last;
    fh_worker_range(p->wk, p->step->count, 1, &first, &last);
    for (size_t i = first; i < last; i++) fh_weight_row(p->w->embd, (size_t)p->step->ids[i], p->ws->x + i * p->m->shape.embd);
    fh_rope_table(p->w->inv_freq, p->w->rope_dims, p->w->mscale, p->step->pos, p->step->count, p->ws->cs, p->wk);
    fh_barrier(p->wk);
}

static void project_qkv(const pass *p, const layer *y)
{
    const fh_shape *s = &p->m->shape;
    workspace *ws = p->ws;
    size_t qd = (size_t)s->heads * s->head_dim, kd = (size_t)s->kv_heads * s->head_dim;
    fh_act_set_norm(ws->act, p->x, s->embd, y->attn_norm, p->w->eps, p->rows, s->embd, p->wk);
    fh_matmul_job jobs[] = {{y->q, ws->q, qd, false}, {y->k, ws->k, kd, false}, {y->v, ws->v, kd, false}};
    fh_matmul_many(jobs, FH_COUNT(jobs), ws->act, p->wk);
    fh_barrier(p->wk);
}

/* Where this step's keys and values of a layer go, and where each sequence's cache of that layer begins. */
static void address_cache(const pass *p, size_t layer_index)
{
    const fh_kv *kv = &p->m->kv;
    for (size_t i = 0; i < p->step->seq_count; i++) {
        const fh_step_seq *q = &p->step->seqs[i];
        char *k = fh_kv_row(kv, layer_index, false, q->slot, 0), *v = fh_kv_row(kv, layer_index, true, q->slot, 0);
        p->lane->seqs[i] = (fh_attn_seq){.q_first = q->first, .q_count = q->count, .kv_len = q->past + q->count, .k = k, .v = v};
        for (size_t j = 0; j < q->count; j++) {
            p->lane->k_rows[q->first + j] = k + (q->past + j) * kv->row_bytes;
            p->lane->v_rows[q->first + j] = v + (q->past + j) * kv->row_bytes;
        }
    }
}

static void attend(const pass *p)
{
    const fh_shape *s = &p->m->shape;
    workspace *ws = p->ws;
    size_t qd = (size_t)s->heads * s->head_dim, kd = (size_t)s->kv_heads * s->head_dim;
    fh_rope_job rope = {.n = p->step->count,
                        .heads = s->heads,
                        .kv_heads = s->kv_heads,
                        .head_dim = s->head_dim,
                        .rope_dims = p->w->rope_dims,
                        .q = ws->q,
                        .k = ws->k,
                        .v = ws->v,
                        .q_stride = qd,
                        .k_stride = kd,
                        .v_stride = kd,
                        .cs = ws->cs,
                        .kv_type = p->m->kv.type,
                        .k_rows = p->lane->k_rows,
                        .v_rows = p->lane->v_rows};
    fh_rope_store(p->m->kernels, &rope, p->wk);
    fh_barrier(p->wk);
    fh_attn job = {.heads = s->heads,
                   .kv_heads = s->kv_heads,
                   .head_dim = s->head_dim,
                   .scale = p->w->scale,
                   .kv_type = p->m->kv.type,
                   .kv_stride_bytes = p->m->kv.row_bytes,
                   .seqs = p->lane->seqs,
                   .seq_count = p->step->seq_count,
                   .q = ws->q,
                   .q_stride = qd,
                   .out = ws->att,
                   .out_stride = qd,
                   .scratch = ws->scratch};
    fh_attention(p->m->kernels, &job, p->wk);
    fh_barrier(p->wk);
}

static void copy_floats(float *to, const float *from, size_t n)
{
    for (size_t i = 0; i < n; i++) to[i] = from[i];
}

static void copy_rows(const pass *p, const uint32_t *rows, size_t count, size_t to)
{
    size_t first, last, e = p->m->shape.embd, qd = (size_t)p->m->shape.heads * p->m->shape.head_dim;
    fh_worker_range(p->wk, count, 1, &first, &last);
    for (size_t i = first; i < last; i++) {
        copy_floats(p->ws->x_out + (to + i) * e, p->x + rows[i] * e, e);
        copy_floats(p->ws->att_out + (to + i) * qd, p->att + rows[i] * qd, qd);
    }
}

/* From here on only the wanted rows are computed: first those whose logits are wanted, then those whose states are. */
static void keep_wanted_rows(pass *p)
{
    const fh_step *s = p->step;
    bool one_kind = s->out_count == p->rows || s->state_count == p->rows;
    if (one_kind) return;
    copy_rows(p, s->out, s->out_count, 0);
    copy_rows(p, s->state_rows, s->state_count, s->out_count);
    fh_barrier(p->wk);
    p->x = p->ws->x_out;
    p->att = p->ws->att_out;
    p->rows = s->out_count + s->state_count;
}

static void project_out(const pass *p, const layer *y)
{
    size_t e = p->m->shape.embd, qd = (size_t)p->m->shape.heads * p->m->shape.head_dim;
    fh_act_set(p->ws->act, p->att, p->rows, qd, qd, p->wk);
    fh_matmul(y->o, p->ws->act, p->x, e, true, p->wk);
    fh_barrier(p->wk);
}

static void feed_forward(const pass *p, const layer *y)
{
    size_t e = p->m->shape.embd, ff = p->w->ff;
    fh_act_set_norm(p->ws->act, p->x, e, y->ffn_norm, p->w->eps, p->rows, e, p->wk);
    fh_matmul_glu(y->gate, y->up, p->ws->act, p->ws->h, ff, p->wk);
    fh_barrier(p->wk);
    fh_act_set(p->ws->act, p->ws->h, p->rows, ff, ff, p->wk);
    fh_matmul(y->down, p->ws->act, p->x, e, true, p->wk);
    fh_barrier(p->wk);
}

/* ---- logits ----
 *
 * The last product's rounding goes straight into the probabilities: with activations of 8 bits it alone made a quarter of the divergence
 * from exact arithmetic. So each row goes in as two, its nearest 8-bit values and what they leave, both exact to 8 bits: 16 bits in effect.
 * The matrix is read once for both rows, so decoding, which waits for memory, hardly notices. */

enum { PART_BLOCK = 32 }; /* elements that share a scale in quantised activations */

static void split_block(const float *x, float *high, float *low)
{
    float most = 0;
    for (size_t i = 0; i < PART_BLOCK; i++) most = fmaxf(most, fabsf(x[i]));
    float unit = most / 127, inverse = unit > 0 ? 1 / unit : 0;
    for (size_t i = 0; i < PART_BLOCK; i++) {
        high[i] = nearbyintf(x[i] * inverse) * unit;
        low[i] = x[i] - high[i];
    }
}

static void split_rows(const pass *p)
{
    size_t first, last, e = p->m->shape.embd;
    fh_worker alone = {.pool = p->wk->pool, .index = 0, .count = 1};
    fh_worker_range(p->wk, p->rows, 1, &first, &last);
    for (size_t i = first; i < last; i++) {
        float *high = p->ws->parts + 2 * i * e, *low = high + e;
        fh_rms_norm(p->m->kernels, p->x + i * e, p->w->output_norm, p->w->eps, 1, e, low, &alone);
        for (size_t c = 0; c < e; c += PART_BLOCK) split_block(low + c, high + c, low + c);
    }
    fh_barrier(p->wk);
}

static void join_logits(const pass *p)
{
    size_t first, last, vocab = p->m->shape.vocab;
    fh_worker_range(p->wk, vocab, 64, &first, &last);
    for (size_t i = 0; i < p->rows; i++) {
        const float *high = p->ws->part_logits + 2 * i * vocab, *low = high + vocab;
        float *to = p->step->logits + i * vocab;
        for (size_t c = first; c < last; c++) to[c] = high[c] + low[c];
    }
}

static void make_logits(const pass *p)
{
    size_t e = p->m->shape.embd, vocab = p->m->shape.vocab;
    workspace *ws = p->ws;
    if (ws->parts) {
        split_rows(p);
        fh_act_set(ws->act, ws->parts, 2 * p->rows, e, e, p->wk);
        fh_matmul(output_of(p->w), ws->act, ws->part_logits, vocab, false, p->wk);
        fh_barrier(p->wk);
        join_logits(p);
    } else {
        fh_act_set_norm(ws->act, p->x, e, p->w->output_norm, p->w->eps, p->rows, e, p->wk);
        fh_matmul(output_of(p->w), ws->act, p->step->logits, vocab, false, p->wk);
    }
    fh_barrier(p->wk);
}

static void make_states(const pass *p)
{
    const fh_step *s = p->step;
    size_t e = p->m->shape.embd;
    fh_rms_norm(p->m->kernels, p->x + s->out_count * e, p->w->output_norm, p->w->eps, s->state_count, e, s->states, p->wk);
    fh_barrier(p->wk);
}

static void forward(const fh_model *m, const fh_step *step, fh_worker *wk)
{
    workspace *ws = m->workspace;
    const llama *w = m->weights;
    pass p = {
        .m = m, .w = w, .ws = ws, .lane = &ws->lanes[wk->index], .step = step, .wk = wk, .x = ws->x, .att = ws->att, .rows = step->count};
    embed(&p);
    for (size_t i = 0; i < w->layer_count; i++) {
        project_qkv(&p, &w->layers[i]);
        address_cache(&p, i);
        attend(&p);
        if (i + 1 == w->layer_count) keep_wanted_rows(&p);
        if (p.rows == 0) return; /* the cache is all that was wanted */
        project_out(&p, &w->layers[i]);
        feed_forward(&p, &w->layers[i]);
    }
    p.rows = step->out_count;
    if (step->out_count) make_logits(&p);
    if (step->state_count) make_states(&p);
}

const fh_family fh_family_llama = {.architecture = "llama",
                                   .plan = plan,
                                   .finish = finish,
                                   .prepare = prepare,
                                   .forward = forward,
                                   .free = llama_free,
                                   .token_bytes = token_bytes};
