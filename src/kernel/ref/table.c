/* The reference operations as a table, so that a whole model can run on them (FREEHOLD_ISA=ref). */
#include "kernel/ref.h"
#include "../kernels.h"

#include <assert.h>
#include <math.h>

static float rms_scale(const float *x, size_t n, float eps)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return (float)(1.0 / sqrt(sum / (double)n + (double)eps));
}

static void norm_row(const float *x, const float *w, float scale, size_t n, float *y)
{
    for (size_t i = 0; i < n; i++) y[i] = x[i] * scale * w[i];
}

static void product(const fh_product *p)
{
    const fh_weight *w = p->weight;
    for (size_t r = p->row; r < p->row_end; r++) {
        for (size_t i = p->act_row; i < p->act_end; i++) {
            float *y = &p->y[(i - p->act_row) * p->y_stride + r - p->row];
            double dot = fh_ref_dot(w->type, w->data + r * w->row_bytes, p->act->x + i * p->act->x_stride, w->cols);
            *y = (float)(dot + (p->add ? (double)*y : 0));
        }
    }
}

/* Keys are split for fast tables only: a part is always whole here. */
static void attend(const fh_attn_part *part)
{
    const fh_attn *job = part->job;
    const fh_attn_seq *seq = part->seq;
    assert(!part->partial && part->key == 0);
    size_t group = job->heads / job->kv_heads;
    for (size_t r = part->row; r < part->row_end; r++) {
        size_t query = r / group, head = part->kv_head * group + r % group, row = seq->q_first + query;
        size_t keys = FH_MIN(part->key_end, seq->kv_len - seq->q_count + query + 1);
        fh_ref_attend(job, seq, part->kv_head, job->q + row * job->q_stride + head * job->head_dim, keys,
                      job->out + row * job->out_stride + head * job->head_dim);
    }
}

const fh_kernels fh_kernels_ref = {
    .isa = FH_ISA_REF,
    .product_float = product,
    .rms_scale = rms_scale,
    .norm_row = norm_row,
    .silu_mul = fh_ref_silu_mul,
    .rope = fh_ref_rope,
    .store = fh_ref_store,
    .attend = attend,
};
