/* What the kernel tests share: repeatable random data, random GGUF blocks with sane scales, the tables that this machine has. */
#ifndef FH_KERNEL_TEST_H
#define FH_KERNEL_TEST_H

#include "cmocka_all.h"
#include "kernel/kernel.h"
#include "kernel/ref.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

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

static const fh_type all_types[] = {FH_TYPE_F32,  FH_TYPE_F16,  FH_TYPE_BF16, FH_TYPE_Q4_0, FH_TYPE_Q4_1, FH_TYPE_Q5_0,
                                    FH_TYPE_Q5_1, FH_TYPE_Q8_0, FH_TYPE_Q4_K, FH_TYPE_Q5_K, FH_TYPE_Q6_K};

static inline void put_half(uint8_t *p, float f)
{
    uint16_t h = fh_f32_to_f16(f);
    memcpy(p, &h, sizeof h);
}

/* Any bytes are quants; the scales of each block are set to values near `scale`. */
static inline void random_blocks(fh_type type, uint8_t *data, size_t bytes, float scale)
{
    size_t block = fh_type_block_bytes(type);
    for (size_t i = 0; i < bytes; i++) data[i] = (uint8_t)(random_u64() >> 24);
    for (uint8_t *p = data; p < data + bytes; p += block) {
        float d = scale * (1.5f + 0.5f * random_unit()), m = scale * random_unit();
        if (type == FH_TYPE_F32) memcpy(p, &m, sizeof m);
        if (type == FH_TYPE_F16) put_half(p, m);
        if (type == FH_TYPE_BF16) memcpy(p, &(uint16_t){fh_f32_to_bf16(m)}, 2);
        if (block > 4) put_half(type == FH_TYPE_Q6_K ? p + 208 : p, d);
        if (type == FH_TYPE_Q4_1 || type == FH_TYPE_Q5_1 || type == FH_TYPE_Q4_K || type == FH_TYPE_Q5_K) put_half(p + 2, m);
    }
}

/* Runs the test body for every table that works here; i and k are set. */
#define FOR_EACH_TABLE(k)                                                                                                                  \
    for (unsigned isa_ = 0; isa_ < FH_ISA_COUNT; isa_++)                                                                                   \
        for (const fh_kernels *k = fh_kernels_get((fh_isa)isa_); k; k = NULL)

#endif
