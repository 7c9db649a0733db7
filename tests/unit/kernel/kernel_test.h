/* What the kernel tests share: repeatable random data, random GGUF blocks with sane scales, the tables that this machine has. */
#ifndef FH_KERNEL_TEST_H
#define FH_KERNEL_TEST_H

#include "cmocka_all.h"
#include "kernel/kernel.h"
#include "kernel/ref.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#ifndef FH_EMULATED /* tests/cross sets it */
#define FH_EMULATED 0
#endif
#define SLOWLY (FH_SANITIZED || FH_EMULATED) /* fewer shapes will do */

static uint64_t test_seed = 88172645463325252ULL;

static inline uint64_t random_u64(void)
{
    test_seed ^= test_seed << 13, test_seed ^= test_seed >> 7, test_seed ^= test_seed << 17;
    return test_seed;
}

static inline float random_unit(void) /* -1 .. 1 */
{
    return (float)((double)(random_u64() >> 11) * 0x1p-52 - 1.0);
}

static inline void random_floats(float *x, size_t n, float scale)
{
    for (size_t i = 0; i < n; i++) x[i] = scale * random_unit();
}

static const fh_type all_types[] = {FH_TYPE_F32,    FH_TYPE_F16,     FH_TYPE_BF16,  FH_TYPE_Q4_0,    FH_TYPE_Q4_1,
                                    FH_TYPE_Q5_0,   FH_TYPE_Q5_1,    FH_TYPE_Q8_0,  FH_TYPE_Q4_K,    FH_TYPE_Q5_K,
                                    FH_TYPE_Q6_K,   FH_TYPE_Q2_K,    FH_TYPE_Q3_K,  FH_TYPE_MXFP4,   FH_TYPE_IQ4_NL,
                                    FH_TYPE_IQ4_XS, FH_TYPE_TQ1_0,   FH_TYPE_TQ2_0, FH_TYPE_IQ2_XXS, FH_TYPE_IQ2_XS,
                                    FH_TYPE_IQ2_S,  FH_TYPE_IQ3_XXS, FH_TYPE_IQ3_S, FH_TYPE_IQ1_S,   FH_TYPE_IQ1_M};

static inline void put_half(uint8_t *p, float f)
{
    uint16_t h = fh_f32_to_f16(f);
    memcpy(p, &h, sizeof h);
}

static inline void random_bytes(uint8_t *data, size_t n)
{
    for (size_t i = 0; i < n; i++) data[i] = (uint8_t)(random_u64() >> 24);
}

/* A block has a minimum beside its scale. */
static inline bool has_min(fh_type type)
{
    return type == FH_TYPE_Q4_1 || type == FH_TYPE_Q5_1 || type == FH_TYPE_Q2_K || type == FH_TYPE_Q4_K || type == FH_TYPE_Q5_K;
}

/* Sets the scale (and minimum) of the block at p. */
static inline void put_scales(fh_type type, uint8_t *p, float d, float m)
{
    size_t at = 0;
    if (type == FH_TYPE_Q6_K) at = 208;
    if (type == FH_TYPE_Q2_K) at = 80;
    if (type == FH_TYPE_Q3_K) at = 108;
    if (type == FH_TYPE_TQ1_0) at = 52;
    if (type == FH_TYPE_TQ2_0) at = 64;
    if (type == FH_TYPE_MXFP4) {
        p[0] = (uint8_t)(128 + ilogbf(d));
    } else if (type == FH_TYPE_IQ1_M) {
        for (int i = 0; i < 4; i++) p[49 + 2 * i] = (uint8_t)((p[49 + 2 * i] & 15) | (fh_f32_to_f16(d) >> 4 * i & 15) << 4);
    } else {
        put_half(p + at, d);
        if (has_min(type)) put_half(p + at + 2, m);
    }
}

/* Any bytes are quants; the scales of each block are set to values near `scale`. */
static inline void random_blocks(fh_type type, uint8_t *data, size_t bytes, float scale)
{
    size_t block = fh_type_block_bytes(type);
    random_bytes(data, bytes);
    for (uint8_t *p = data; p < data + bytes; p += block) {
        float d = scale * (1.5f + 0.5f * random_unit()), m = scale * random_unit();
        if (type == FH_TYPE_F32) memcpy(p, &m, sizeof m);
        if (type == FH_TYPE_F16) put_half(p, m);
        if (type == FH_TYPE_BF16) memcpy(p, &(uint16_t){fh_f32_to_bf16(m)}, 2);
        if (block > 4) put_scales(type, p, d, m);
    }
}

/* Runs the test body for every table that works here, k being one after the other; the reference is held against itself where that is
 * quick. */
#define FOR_EACH_TABLE(k)                                                                                                                  \
    for (unsigned isa_ = FH_EMULATED && fh_isa_best() != FH_ISA_REF; isa_ < FH_ISA_COUNT; isa_++)                                          \
        for (const fh_kernels *k = fh_kernels_get((fh_isa)isa_); k; k = NULL)

#endif
