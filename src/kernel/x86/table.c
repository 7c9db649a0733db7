/* The table of one instruction set; compiled once for each. */
#include "lanes.h"

#ifdef __AVX512F__
const fh_kernels fh_kernels_avx512 = {.isa = FH_ISA_AVX512_VNNI, .name = "avx512_vnni",
#else
const fh_kernels fh_kernels_avx2 = {.isa = FH_ISA_AVX2, .name = "avx2",
#endif
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
