/* One step of a transformer (transformer.h).
 *
 * All workers run it together; what one writes and another reads has a barrier between: six a layer. Only rows of which something is
 * wanted go through the last layer's projections, and only those whose logits are through the output matrix. */
#include "transformer.h"

static void free_workspace(fh_transformer_work *ws)
{
    if (!ws) return;
    float *floats[] = {ws->q, ws->k, ws->v, ws->att, ws->h, ws->cs, ws->x_out, ws->att_out, ws->scratch, ws->parts, ws->part_logits};
    for (size_t i = 0; i < FH_COUNT(floats); i++) fh_free(floats[i]);
    fh_act_free(ws->act);
    fh_mixture_work_free(ws->mixture);
    for (unsigned i = 0; ws->lanes && i < ws->workers; i++) {
        fh_free(ws->lanes[i].seqs);
        fh_free(ws->lanes[i].k_rows);
        fh_free(ws->lanes[i].v_rows);
    }
    fh_free(ws->lanes);
    fh_free(ws);
}

bool fh_transformer_floats(float **slot, size_t rows, size_t cols)
{
    size_t bytes;
    if (fh_mul_overflows(rows, cols, &bytes) || fh_mul_overflows(bytes, sizeof(float), &bytes)) return false;
    *slot = fh_alloc_aligned(64, FH_MAX(bytes, (size_t)64));
    return *slot != NULL;
}

static bool make_lanes(fh_transformer_work *ws, size_t batch, size_t seqs, unsigned workers)
{
    ws->lanes = fh_calloc(workers, sizeof *ws->lanes);
    if (!ws->lanes) return false;
    ws->workers = workers;
    for (unsigned i = 0; i < workers; i++) {
        fh_transformer_lane *n = &ws->lanes[i];
        n->seqs = fh_calloc(seqs, sizeof *n->seqs);
        n->k_rows = fh_calloc(batch, sizeof *n->k_rows);
        n->v_rows = fh_calloc(batch, sizeof *n->v_rows);
        if (!n->seqs || !n->k_rows || !n->v_rows) return false;
    }
    return true;
}

static int prepare(fh_model *m, const fh_step_sizes *z, fh_err **err)
{
    size_t batch = z->batch_tok, act_rows = FH_MAX(batch, 2 * z->logit_rows);
    const fh_transformer *w = m->weights;
    const fh_shape *s = &m->shape;
    size_t e = s->embd, qd = (size_t)s->heads * s->head_dim, kd = (size_t)s->kv_heads * s->head_dim;
    fh_transformer_work *ws = m->workspace = fh_calloc(1, sizeof *ws);
    if (!ws) return fh_err_nomem(err);
    bool ok = fh_transformer_floats(&ws->q, batch, qd) && fh_transformer_floats(&ws->k, batch, kd) &&
              fh_transformer_floats(&ws->v, batch, kd) && fh_transformer_floats(&ws->att, batch, qd) &&
              fh_transformer_floats(&ws->h, w->mixture.experts ? 0 : batch, w->ff) && fh_transformer_floats(&ws->cs, batch, w->rope_dims) &&
              fh_transformer_floats(&ws->x_out, batch, e) && fh_transformer_floats(&ws->att_out, batch, qd) &&
              make_lanes(ws, batch, z->seqs, z->workers);
    if (ok && m->split_keys) ok = fh_transformer_floats(&ws->scratch, 1, fh_attn_scratch_floats(s->heads, s->head_dim, z->workers));
    if (ok && !fh_weight_borrows(fh_transformer_output(w)))
        ok =
            fh_transformer_floats(&ws->parts, 2 * z->logit_rows, e) && fh_transformer_floats(&ws->part_logits, 2 * z->logit_rows, s->vocab);
    if (!ok) return fh_err_nomem(err);
    int rc = w->mixture.experts ? fh_mixture_work_new(&ws->mixture, m, batch, z->workers, err) : 0;
    return rc ? rc : fh_act_new(&ws->act, m->kernels, act_rows, FH_MAX(FH_MAX(e, qd), (size_t)w->ff), err);
}

/* ---- computing: all workers together ---- */

static fh_transformer_pass pass_of(const fh_model *m, const fh_step *step, float *x, fh_worker *wk)
{
    fh_transformer_work *ws = m->workspace;
    return (fh_transformer_pass){.m = m,
                                 .w = m->weights,
                                 .ws = ws,
                                 .lane = &ws->lanes[wk->index],
                                 .step = step,
                                 .wk = wk,
                                 .x = x,
                                 .att = ws->att,
                                 .rows = step->count};
}

static void embed(const fh_model *m, const fh_step *step, float *x, fh_worker *wk)
{
    const fh_transformer *w = m->weights;
    size_t first, last;
    fh_worker_range(wk, step->count, 1, &first, &last);
    for (size_t i = first; i < last; i++) fh_weight_row(w->embd, (size_t)step->ids[i], x + i * m->shape.embd);
    fh_barrier(wk);
}

static void project_qkv(const fh_transformer_pass *p, const fh_transformer_layer *y)
{
    const fh_shape *s = &p->m->shape;
    fh_transformer_work *ws = p->ws;
    size_t qd = (size_t)s->heads * s->head_dim, kd = (size_t)s->kv_heads * s->head_dim;
    fh_act_set_norm(ws->act, p->x, s->embd, y->attn_norm, p->w->eps, p->rows, s->embd, p->wk);
    fh_matmul_job jobs[] = {{y->q, ws->q, qd, false}, {y->k, ws->k, kd, false}, {y->v, ws->v, kd, false}};
    fh_matmul_many(jobs, FH_COUNT(jobs), ws->act, p->wk);
    fh_barrier(p->wk);
}

/* Where this step's keys and values of a layer go, and which pages each sequence reads. */
static void address_cache(const fh_transformer_pass *p, size_t layer_index)
{
    const fh_kv *kv = &p->m->kv;
    for (size_t i = 0; i < p->step->seq_count; i++) {
        const fh_step_seq *q = &p->step->seqs[i];
        p->lane->seqs[i] = (fh_attn_seq){.q_first = q->first, .q_count = q->count, .kv_len = q->past + q->count, .pages = q->pages};
        for (size_t j = 0; j < q->count; j++) {
            uint32_t page = q->pages[(q->past + j) / FH_KV_PAGE_TOK];
            size_t row = (q->past + j) % FH_KV_PAGE_TOK * kv->row_bytes;
            p->lane->k_rows[q->first + j] = fh_kv_rows(kv, layer_index, false, page) + row;
            p->lane->v_rows[q->first + j] = fh_kv_rows(kv, layer_index, true, page) + row;
        }
    }
}

/* Heads of q and k as they are compared, k and v into the cache. */
static void turn_and_store(const fh_transformer_pass *p, const fh_transformer_layer *y)
{
    const fh_shape *s = &p->m->shape;
    fh_transformer_work *ws = p->ws;
    size_t qd = (size_t)s->heads * s->head_dim, kd = (size_t)s->kv_heads * s->head_dim;
    fh_rope_job job = {.n = p->step->count,
                       .heads = s->heads,
                       .kv_heads = s->kv_heads,
                       .head_dim = s->head_dim,
                       .rope_dims = p->w->rope_dims,
                       .halves = p->w->traits->halves,
                       .q = ws->q,
                       .k = ws->k,
                       .v = ws->v,
                       .q_stride = qd,
                       .k_stride = kd,
                       .v_stride = kd,
                       .q_bias = y->q_bias,
                       .k_bias = y->k_bias,
                       .v_bias = y->v_bias,
                       .q_norm = y->q_norm,
                       .k_norm = y->k_norm,
                       .norm_eps = p->w->eps,
                       .cs = ws->cs,
                       .kv_type = p->m->kv.type,
                       .k_rows = p->lane->k_rows,
                       .v_rows = p->lane->v_rows};
    fh_rope_store(p->m->kernels, &job, p->wk);
    fh_barrier(p->wk);
}

static void attend(const fh_transformer_pass *p, size_t layer_index)
{
    const fh_shape *s = &p->m->shape;
    size_t qd = (size_t)s->heads * s->head_dim;
    fh_attn job = {.heads = s->heads,
                   .kv_heads = s->kv_heads,
                   .head_dim = s->head_dim,
                   .scale = p->w->scale,
                   .kv_type = p->m->kv.type,
                   .kv_stride_bytes = p->m->kv.row_bytes,
                   .page_bytes = p->m->kv.page_bytes,
                   .k = fh_kv_rows(&p->m->kv, layer_index, false, 0),
                   .v = fh_kv_rows(&p->m->kv, layer_index, true, 0),
                   .seqs = p->lane->seqs,
                   .seq_count = p->step->seq_count,
                   .q = p->ws->q,
                   .q_stride = qd,
                   .out = p->ws->att,
                   .out_stride = qd,
                   .scratch = p->ws->scratch};
    fh_attention(p->m->kernels, &job, p->wk);
    fh_barrier(p->wk);
}

static void copy_floats(float *to, const float *from, size_t n)
{
    for (size_t i = 0; i < n; i++) to[i] = from[i];
}

static void copy_rows(const fh_transformer_pass *p, const uint32_t *rows, size_t count, size_t to)
{
    size_t first, last, e = p->m->shape.embd, qd = (size_t)p->m->shape.heads * p->m->shape.head_dim;
    fh_worker_range(p->wk, count, 1, &first, &last);
    for (size_t i = first; i < last; i++) {
        copy_floats(p->ws->x_out + (to + i) * e, p->x + rows[i] * e, e);
        copy_floats(p->ws->att_out + (to + i) * qd, p->att + rows[i] * qd, qd);
    }
}

/* From here on only the wanted rows are computed: first those whose logits are wanted, then those whose states are. */
static void keep_wanted_rows(fh_transformer_pass *p)
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

static void project_out(const fh_transformer_pass *p, const fh_transformer_layer *y)
{
    size_t e = p->m->shape.embd, qd = (size_t)p->m->shape.heads * p->m->shape.head_dim;
    fh_act_set(p->ws->act, p->att, p->rows, qd, qd, p->wk);
    fh_matmul(y->o, p->ws->act, p->x, e, true, p->wk);
    fh_barrier(p->wk);
}

static void feed_forward(const fh_transformer_pass *p, const fh_transformer_layer *y)
{
    size_t e = p->m->shape.embd, ff = p->w->ff;
    fh_act_set_norm(p->ws->act, p->x, e, y->ffn_norm, p->w->eps, p->rows, e, p->wk);
    fh_matmul_glu(y->gate, y->up, p->ws->act, p->ws->h, ff, p->wk);
    fh_barrier(p->wk);
    fh_act_set(p->ws->act, p->ws->h, p->rows, ff, ff, p->wk);
    fh_matmul(y->down, p->ws->act, p->x, e, true, p->wk);
    fh_barrier(p->wk);
}

static void free_all(fh_model *m)
{
    fh_transformer_weights_free(m->weights);
    free_workspace(m->workspace);
    m->weights = m->workspace = NULL;
}

/* The rows that were kept, to where the hidden state is handed out. */
static void hand_out(const fh_transformer_pass *p, float *x)
{
    size_t first, last;
    fh_worker_range(p->wk, p->rows * p->m->shape.embd, 16, &first, &last);
    copy_floats(x + first, p->x + first, last - first);
    fh_barrier(p->wk);
}

static void layers(const fh_model *m, const fh_stage *stage, const fh_step *step, float *x, fh_worker *wk)
{
    fh_transformer_pass p = pass_of(m, step, x, wk);
    fh_rope_table(p.w->inv_freq, p.w->rope_dims, p.w->mscale, step->pos, step->count, p.ws->cs, wk);
    for (size_t i = stage->first; i < stage->last; i++) {
        const fh_transformer_layer *y = &p.w->layers[i];
        project_qkv(&p, y);
        address_cache(&p, i);
        turn_and_store(&p, y);
        attend(&p, i);
        if (i + 1 == p.w->layer_count) keep_wanted_rows(&p);
        if (p.rows == 0) return; /* the cache is all that was wanted */
        project_out(&p, y);
        if (p.w->mixture.experts)
            fh_mixture_add(&p, y);
        else
            feed_forward(&p, y);
    }
    if (p.x != x) hand_out(&p, x);
}

static void make_states(const fh_transformer_pass *p)
{
    const fh_step *s = p->step;
    size_t e = p->m->shape.embd;
    fh_rms_norm(p->m->kernels, p->x + s->out_count * e, p->w->output_norm, p->w->eps, s->state_count, e, s->states, p->wk);
    fh_barrier(p->wk);
}

static void outputs(const fh_model *m, const fh_step *step, float *x, fh_worker *wk)
{
    fh_transformer_pass p = pass_of(m, step, x, wk);
    p.rows = step->out_count;
    if (step->out_count) fh_transformer_logits(&p);
    if (step->state_count) make_states(&p);
}

const fh_arithmetic fh_transformer_arithmetic = {.plan = fh_transformer_plan,
                                                 .finish = fh_transformer_finish,
                                                 .prepare = prepare,
                                                 .embed = embed,
                                                 .layers = layers,
                                                 .outputs = outputs,
                                                 .free = free_all,
                                                 .token_cost = fh_transformer_token_cost};
