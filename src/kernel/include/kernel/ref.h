/* The reference kernels: plain C, one thread, the specification that every fast kernel is tested against. */
#ifndef FH_KERNEL_REF_H
#define FH_KERNEL_REF_H

#include "kernel/type.h"

/* Dequantises n elements (a multiple of the block) of GGUF layout; layouts: ggml-common.h, restated in facts of docs/KERNELS. */
void fh_ref_dequant(fh_type type, const void *src, float *dst, size_t n);
/* Sum of products of one dequantised row with x, in double. */
double fh_ref_dot(fh_type type, const void *row, const float *x, size_t n);

#endif
