/* The table of one instruction set; compiled once for each. That of AMX is AVX-512's with products by tiles for large batches. */
#include "../lanes/lanes.h"
#include "amx.h"

#if defined(FH_TABLE_AMX)
#define TABLE     fh_kernels_amx
#define TABLE_ISA FH_ISA_AMX
#elif defined(__AVX512F__)
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
#ifdef FH_TABLE_AMX
    .halve = fh_amx_halve,
    .product_wide = fh_amx_product_wide,
#endif
    .product_float = ISA(product_float),
    .rms_scale = ISA(rms_scale),
    .norm_row = ISA(norm_row),
    .silu_mul = ISA(silu_mul),
    .rope = ISA(rope),
    .store = ISA(store),
    .attend = ISA(attend),
};
