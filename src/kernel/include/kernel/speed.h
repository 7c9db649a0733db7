/* How fast this machine is, measured: the integer arithmetic of each instruction set that it has, and the products of one type of weights.
 * All workers of a pool compute; of several passes the best counts, which is the one that nothing else disturbed. */
#ifndef FH_KERNEL_SPEED_H
#define FH_KERNEL_SPEED_H

#include "kernel/kernel.h"

/* A multiplication and an addition of 8-bit integers into 32-bit sums are two operations. */
typedef enum fh_peak { FH_PEAK_AVX2, FH_PEAK_AVX512_VNNI, FH_PEAK_AMX_INT8, FH_PEAK_NEON_DOT, FH_PEAK_COUNT } fh_peak;
const char *fh_peak_name(fh_peak p); /* "avx2", "avx512_vnni", "amx_int8", "neon_dot"; NULL of FH_PEAK_COUNT */
fh_peak fh_peak_of(fh_isa isa);      /* what its integer products are held against; FH_PEAK_COUNT: it has none */
/* Operations a second of a loop of nothing else, in registers. False: the processor has no such instructions, or the system does not let
 * this process use them. */
bool fh_peak_measure(fh_peak p, fh_pool *pool, double *ret_ops_per_s);

/* Matrices of one type, made by one table: as many as make up `bytes` (at least one), so that they come from memory in turn, as in
 * decoding. The products of up to max_n rows of activations with them are measured. k and pool are borrowed until fh_products_free. */
typedef struct fh_products fh_products;
typedef struct fh_products_shape {
    fh_type type;
    size_t rows, cols, bytes, max_n;
} fh_products_shape;
typedef struct fh_product_speed { /* of one product, the mean over the matrices */
    double seconds, weight_bytes; /* weight_bytes: that it reads */
    double ops;                   /* 2 rows cols n */
    bool integers;                /* it multiplies integers */
} fh_product_speed;
int fh_products_new(fh_products **ret, const fh_kernels *k, fh_pool *pool, const fh_products_shape *shape, fh_err **err);
void fh_products_free(fh_products *p);
/* n rows of activations with `count` of the matrices in turn (0: all). */
fh_product_speed fh_products_measure(fh_products *p, size_t n, size_t count);
FH_DEFINE_AUTO(fh_products, fh_products_free);

#endif
