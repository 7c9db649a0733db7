/* The table of one instruction set; compiled once for each. */
#include "lanes.h"

#ifdef __AVX512F__
#define TABLE     fh_kernels_avx512
#define TABLE_ISA FH_ISA_AVX512_VNNI
#else
#define TABLE     fh_kernels_avx2
#define TABLE_ISA FH_ISA_AVX2
#endif

const fh_kernels TABLE = {
    .isa = TABLE_ISA,
    .packs = true,
    .quantise = ISA(quantise),
    .product_packed = ISA(product_packed),
    .product_float = ISA(product_float),
    .rms_scale = ISA(rms_scale),
    .norm_row = ISA(norm_row),
    .silu_mul = ISA(silu_mul),
    .rope = ISA(rope),
    .store = ISA(store),
    .attend = ISA(attend),
};
