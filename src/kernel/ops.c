/* Vector operations: which rows and heads are this worker's; the arithmetic is the table's. */
#include "kernels.h"

#include <math.h>

void fh_rms_norm(const fh_kernels *k, const float *x, const float *w, float eps, size_t n, size_t cols, float *y, fh_worker *wk)
{
    size_t first, last;
    fh_worker_range(wk, n, 1, &first, &last);
    for (size_t i = first; i < last; i++) k->norm_row(x + i * cols, w, k->rms_scale(x + i * cols, cols, eps), cols, y + i * cols);
}

void fh_silu_mul(const fh_kernels *k, const float *gate, const float *up, size_t n, size_t cols, float *y, fh_worker *wk)
{
    size_t first, last;
    fh_worker_range(wk, n * cols, FH_PACK_COLS, &first, &last);
    if (first < last) k->silu_mul(gate + first, up + first, last - first, y + first);
}

static void rope_angles(const float *inv_freq, size_t pairs, float mscale, int32_t pos, float *cs)
{
    for (size_t i = 0; i < pairs; i++) {
        float angle = (float)pos * inv_freq[i];
        cs[2 * i] = cosf(angle) * mscale;
        cs[2 * i + 1] = sinf(angle) * mscale;
    }
}

void fh_rope_table(const float *inv_freq, size_t rope_dims, float mscale, const int32_t *pos, size_t n, float *cs, fh_worker *wk)
{
    size_t first, last;
    fh_worker_range(wk, n, 1, &first, &last);
    for (size_t i = first; i < last; i++) rope_angles(inv_freq, rope_dims / 2, mscale, pos[i], cs + i * rope_dims);
}

#define ANGLE_CHUNK 128 /* pairs at a time */

static void rope_row(const fh_kernels *k, float *x, size_t heads, size_t head_dim, size_t rope_dims, const float *inv_freq, float mscale,
                     int32_t pos)
{
    float cs[2 * ANGLE_CHUNK];
    for (size_t at = 0; at < rope_dims / 2; at += ANGLE_CHUNK) {
        size_t pairs = FH_MIN(rope_dims / 2 - at, ANGLE_CHUNK);
        rope_angles(inv_freq + at, pairs, mscale, pos, cs);
        for (size_t h = 0; h < heads; h++) k->rope(x + h * head_dim + 2 * at, cs, pairs, x + h * head_dim + 2 * at);
    }
}

void fh_rope_pairs(const fh_kernels *k, float *x, size_t n, size_t heads, size_t head_dim, size_t rope_dims, size_t x_stride,
                   const float *inv_freq, float mscale, const int32_t *pos, fh_worker *wk)
{
    size_t first, last;
    fh_worker_range(wk, n, 1, &first, &last);
    for (size_t i = first; i < last; i++) rope_row(k, x + i * x_stride, heads, head_dim, rope_dims, inv_freq, mscale, pos[i]);
}

static void *element_at(void *row, fh_type type, size_t index)
{
    return (uint8_t *)row + index * fh_type_block_bytes(type);
}

static void store_key(const fh_kernels *k, const fh_rope_job *j, const float *x, const float *cs, void *dst)
{
    float turned[FH_HEAD_DIM_MAX];
    k->rope(x, cs, j->rope_dims / 2, turned);
    k->store(j->kv_type, turned, j->rope_dims, dst);
    k->store(j->kv_type, x + j->rope_dims, j->head_dim - j->rope_dims, element_at(dst, j->kv_type, j->rope_dims));
}

/* Heads of a row in the order q, k, v. */
static void rope_store_head(const fh_kernels *k, const fh_rope_job *j, size_t row, size_t head)
{
    const float *cs = j->cs + row * j->rope_dims;
    if (head < j->heads) {
        float *q = j->q + row * j->q_stride + head * j->head_dim;
        k->rope(q, cs, j->rope_dims / 2, q);
        return;
    }
    size_t at = (head - j->heads) % j->kv_heads * j->head_dim;
    if (head < j->heads + j->kv_heads)
        store_key(k, j, j->k + row * j->k_stride + at, cs, element_at(j->k_rows[row], j->kv_type, at));
    else
        k->store(j->kv_type, j->v + row * j->v_stride + at, j->head_dim, element_at(j->v_rows[row], j->kv_type, at));
}

void fh_rope_store(const fh_kernels *k, const fh_rope_job *job, fh_worker *w)
{
    size_t heads = job->heads + 2 * job->kv_heads, first, last;
    fh_worker_range(w, job->n * heads, 1, &first, &last);
    for (size_t i = first; i < last; i++) rope_store_head(k, job, i / heads, i % heads);
}

void fh_kv_store(const fh_kernels *k, fh_type kv_type, const float *x, size_t n, size_t cols, size_t x_stride, void *const *dst,
                 fh_worker *wk)
{
    size_t first, last;
    fh_worker_range(wk, n, 1, &first, &last);
    for (size_t i = first; i < last; i++) k->store(kv_type, x + i * x_stride, cols, dst[i]);
}
