/* The plain operations of a forward pass, sums in double. */
#include "kernel/ref.h"

#include <assert.h>
#include <math.h>

void fh_ref_rms_norm(const float *x, const float *w, float eps, size_t cols, float *y)
{
    double sum = 0;
    for (size_t i = 0; i < cols; i++) sum += (double)x[i] * (double)x[i];
    float scale = (float)(1.0 / sqrt(sum / (double)cols + (double)eps));
    for (size_t i = 0; i < cols; i++) y[i] = x[i] * scale * w[i];
}

void fh_ref_silu_mul(const float *gate, const float *up, size_t n, float *y)
{
    for (size_t i = 0; i < n; i++) y[i] = gate[i] / (1.0f + expf(-gate[i])) * up[i];
}

void fh_ref_rope(const float *x, const float *cs, size_t pairs, float *y)
{
    for (size_t i = 0; i < pairs; i++) {
        float a = x[2 * i], b = x[2 * i + 1];
        y[2 * i] = a * cs[2 * i] - b * cs[2 * i + 1];
        y[2 * i + 1] = a * cs[2 * i + 1] + b * cs[2 * i];
    }
}

static const void *row_at(const fh_attn *job, const fh_attn_seq *seq, size_t kv_head, const void *base, size_t row)
{
    const uint8_t *page = (const uint8_t *)base + seq->pages[row / FH_KV_PAGE_TOK] * job->page_bytes;
    return page + row % FH_KV_PAGE_TOK * job->kv_stride_bytes + kv_head * fh_type_bytes(job->kv_type, job->head_dim);
}

/* Two passes over the keys and no state but sums, so that nothing of the online softmax is shared with the fast kernels. */
void fh_ref_attend(const fh_attn *job, const fh_attn_seq *seq, size_t kv_head, const float *q, size_t keys, float *out)
{
    assert(keys > 0 && job->head_dim <= FH_HEAD_DIM_MAX);
    double sums[FH_HEAD_DIM_MAX] = {0}, max = -HUGE_VAL, total = 0;
    float row[FH_HEAD_DIM_MAX];
    for (size_t i = 0; i < keys; i++) {
        double score = fh_ref_dot(job->kv_type, row_at(job, seq, kv_head, job->k, i), q, job->head_dim) * (double)job->scale;
        if (!(score <= max)) max = score;
    }
    for (size_t i = 0; i < keys; i++) {
        double score = fh_ref_dot(job->kv_type, row_at(job, seq, kv_head, job->k, i), q, job->head_dim) * (double)job->scale;
        double p = exp(score - max);
        fh_ref_dequant(job->kv_type, row_at(job, seq, kv_head, job->v, i), row, job->head_dim);
        total += p;
        for (size_t d = 0; d < job->head_dim; d++) sums[d] += p * (double)row[d];
    }
    for (size_t d = 0; d < job->head_dim; d++) out[d] = (float)(sums[d] / total);
}
