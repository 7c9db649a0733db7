/* The integer peak of NEON's dot products: as many sums at once as hide an instruction's latency. */
#include "../peak.h"

#include <arm_neon.h>

enum { SUMS = 16 };

/* Makes the compiler forget what v holds, so that equal products are not computed once. */
#define FORGET(v) __asm__ volatile("" : "+w"(v))

uint32_t fh_peak_loop_neon(uint64_t turns)
{
    int32x4_t sums[SUMS];
    int8x16_t a = vdupq_n_s8(1), b = vdupq_n_s8(2);
    for (int i = 0; i < SUMS; i++) sums[i] = vdupq_n_s32(0);
    for (uint64_t t = 0; t < turns; t++) {
#pragma GCC unroll 16
        for (int i = 0; i < SUMS; i++) {
            FORGET(a);
            sums[i] = vdotq_s32(sums[i], a, b);
        }
    }
    uint32x4_t total = vdupq_n_u32(0);
    for (int i = 0; i < SUMS; i++) total = vaddq_u32(total, vreinterpretq_u32_s32(sums[i]));
    return vaddvq_u32(total);
}
