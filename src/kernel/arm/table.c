/* The table of NEON with dot products of bytes. */
#include "../lanes/lanes.h"

const fh_kernels fh_kernels_neon = {
    .isa = FH_ISA_NEON_DOT,
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
