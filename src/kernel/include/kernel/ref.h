/* The reference kernels: plain C, one thread, the specification that every fast kernel is tested against. Sums are in double. */
#ifndef FH_KERNEL_REF_H
#define FH_KERNEL_REF_H

#include "kernel/kernel.h"
#include "kernel/type.h"

/* Dequantises n elements (a multiple of the block) of GGUF layout. */
void fh_ref_dequant(fh_type type, const void *src, float *dst, size_t n);
/* The other way, for what a cache may be kept as (FH_KV_TYPES). Blocks of 32, as GGUF has them: Q8_0: d = max|x| / 127; Q4_0: d = m / -8,
 * m being what lies furthest from 0, the positive one of two; q = x / d to the nearest, even where it lies between. A block with something
 * that is not finite does not become finite. */
void fh_ref_store(fh_type type, const float *x, size_t n, void *dst);
/* Sum of products of one dequantised row with x. */
double fh_ref_dot(fh_type type, const void *row, const float *x, size_t n);
void fh_ref_rms_norm(const float *x, const float *w, float eps, size_t cols, float *y);
void fh_ref_silu_mul(const float *gate, const float *up, size_t n, float *y);
/* y_2i = x_2i cos - x_2i+1 sin, y_2i+1 = x_2i sin + x_2i+1 cos; cs holds (cos, sin) pairs; y may be x. */
void fh_ref_rope(const float *x, const float *cs, size_t pairs, float *y);
/* One query head: out = softmax(scale * q k^T) v over the first `keys` rows of the sequence, of the head kv_head of keys and values. */
void fh_ref_attend(const fh_attn *job, const fh_attn_seq *seq, size_t kv_head, const float *q, size_t keys, float *out);

#endif
