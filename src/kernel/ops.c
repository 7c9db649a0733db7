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
    return (uint8_t *)row + fh_type_bytes(type, index);
}

/* ---- from products to attention ---- */

typedef struct room { /* for one head on its way */
    float plain[FH_HEAD_DIM_MAX], paired[FH_HEAD_DIM_MAX];
} room;

static const float *add_bias(const float *x, const float *bias, size_t n, float *to)
{
    for (size_t i = 0; i < n; i++) to[i] = x[i] + bias[i];
    return to;
}

static const float *norm_head(const fh_kernels *k, const float *x, const float *weight, float eps, size_t n, float *to)
{
    k->norm_row(x, weight, k->rms_scale(x, n, eps), n, to);
    return to;
}

static const float *pair_halves(const float *x, size_t dims, size_t n, float *to)
{
    for (size_t i = 0; i < dims / 2; i++) {
        to[2 * i] = x[i];
        to[2 * i + 1] = x[i + dims / 2];
    }
    for (size_t i = dims; i < n; i++) to[i] = x[i];
    return to;
}

/* A head as the rotation wants it: x itself where nothing is to be done. */
static const float *ready_head(const fh_kernels *k, const fh_rope_job *j, const float *x, const float *bias, const float *norm, room *r)
{
    if (bias) x = add_bias(x, bias, j->head_dim, r->plain);
    if (norm) x = norm_head(k, x, norm, j->norm_eps, j->head_dim, r->plain);
    return j->halves ? pair_halves(x, j->rope_dims, j->head_dim, r->paired) : x;
}

static const float *bias_at(const float *bias, size_t at)
{
    return bias ? bias + at : NULL;
}

static void turn_query(const fh_kernels *k, const fh_rope_job *j, size_t row, size_t at)
{
    room r;
    float *q = j->q + row * j->q_stride + at;
    const float *x = ready_head(k, j, q, bias_at(j->q_bias, at), j->q_norm, &r);
    k->rope(x, j->cs + row * j->rope_dims, j->rope_dims / 2, q);
    for (size_t i = j->rope_dims; x != q && i < j->head_dim; i++) q[i] = x[i];
}

static void store_key(const fh_kernels *k, const fh_rope_job *j, size_t row, size_t at)
{
    room r;
    float turned[FH_HEAD_DIM_MAX];
    const float *x = ready_head(k, j, j->k + row * j->k_stride + at, bias_at(j->k_bias, at), j->k_norm, &r);
    k->rope(x, j->cs + row * j->rope_dims, j->rope_dims / 2, turned);
    for (size_t i = j->rope_dims; i < j->head_dim; i++) turned[i] = x[i];
    k->store(j->kv_type, turned, j->head_dim, element_at(j->k_rows[row], j->kv_type, at));
}

static void store_value(const fh_kernels *k, const fh_rope_job *j, size_t row, size_t at)
{
    float biased[FH_HEAD_DIM_MAX];
    const float *x = j->v + row * j->v_stride + at;
    if (j->v_bias) x = add_bias(x, j->v_bias + at, j->head_dim, biased);
    k->store(j->kv_type, x, j->head_dim, element_at(j->v_rows[row], j->kv_type, at));
}

/* Heads of a row in the order q, k, v. */
static void rope_store_head(const fh_kernels *k, const fh_rope_job *j, size_t row, size_t head)
{
    if (head < j->heads)
        turn_query(k, j, row, head * j->head_dim);
    else if (head < j->heads + j->kv_heads)
        store_key(k, j, row, (head - j->heads) * j->head_dim);
    else
        store_value(k, j, row, (head - j->heads - j->kv_heads) * j->head_dim);
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
