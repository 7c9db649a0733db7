/* Vectors of four floats of arm64's NEON. */
#ifndef FH_ARM_VECTORS_H
#define FH_ARM_VECTORS_H

#include "../lanes/block.h"

#include <arm_neon.h>
#include <string.h>

/* clang-format off */
#define ISA(name) fh_neon_##name
#define LANES 4
typedef float32x4_t vf;

static inline vf vf_zero(void) { return vdupq_n_f32(0); }
static inline vf vf_set1(float x) { return vdupq_n_f32(x); }
static inline vf vf_load(const float *p) { return vld1q_f32(p); }
static inline void vf_store(float *p, vf a) { vst1q_f32(p, a); }
static inline vf vf_add(vf a, vf b) { return vaddq_f32(a, b); }
static inline vf vf_sub(vf a, vf b) { return vsubq_f32(a, b); }
static inline vf vf_mul(vf a, vf b) { return vmulq_f32(a, b); }
static inline vf vf_div(vf a, vf b) { return vdivq_f32(a, b); }
static inline vf vf_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }                  /* a * b + c */
static inline vf vf_max(vf a, vf b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }          /* b where either is NaN */
static inline vf vf_min(vf a, vf b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
static inline vf vf_abs(vf a) { return vabsq_f32(a); }
static inline float vf_sum(vf a) { return vaddvq_f32(a); }
static inline float vf_hmax(vf a) { return vmaxnmvq_f32(a); }
static inline vf vf_round(vf a) { return vrndnq_f32(a); }
/* 2^n for whole n in -126..127 */
static inline vf vf_pow2(vf n) { return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127)), 23)); }
/* The first n < LANES elements; the others are 0 and not touched. */
static inline vf vf_load_part(const float *p, size_t n)
{
    float four[LANES] = {0};
    memcpy(four, p, n * sizeof *p);
    return vf_load(four);
}
static inline void vf_store_part(float *p, vf a, size_t n)
{
    float four[LANES];
    vf_store(four, a);
    memcpy(p, four, n * sizeof *p);
}
static inline vf vf_keep_first(vf a, size_t n, vf others)
{
    static const uint32_t places[LANES] = {0, 1, 2, 3};
    return vbslq_f32(vcltq_u32(vld1q_u32(places), vdupq_n_u32((uint32_t)n)), a, others);
}
static inline vf vf_load_f16(const uint16_t *p) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
static inline vf vf_load_bf16(const uint16_t *p) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16)); }
static inline void vf_store_f16(uint16_t *p, vf a) { vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(a))); }
static inline vf vf_set1_f16(uint16_t h) { return vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(h))); }
static inline uint8x8_t four_bytes(const void *p)
{
    uint32_t four;
    memcpy(&four, p, sizeof four);
    return vreinterpret_u8_u32(vdup_n_u32(four));
}
static inline uint32x4_t four_unsigned(const void *p) { return vmovl_u16(vget_low_u16(vmovl_u8(four_bytes(p)))); }
static inline int32x4_t four_signed(const void *p) { return vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u8(four_bytes(p))))); }
static inline vf vf_load_i8(const int8_t *p) { return vcvtq_f32_s32(four_signed(p)); }
/* The low or the high nibbles of bytes, less 8. */
static inline vf vf_load_nibbles(const uint8_t *p, bool high)
{
    uint32x4_t v = four_unsigned(p);
    v = high ? vshrq_n_u32(v, 4) : vandq_u32(v, vdupq_n_u32(15));
    return vcvtq_f32_s32(vsubq_s32(vreinterpretq_s32_u32(v), vdupq_n_s32(8)));
}
/* Numbers -8 .. 8 in nibbles, plus 8; 15 at most. */
static inline uint32x4_t vf_nibbles(vf a)
{
    int32x4_t v = vminq_s32(vaddq_s32(vcvtnq_s32_f32(a), vdupq_n_s32(8)), vdupq_n_s32(15));
    return vandq_u32(vreinterpretq_u32_s32(v), vdupq_n_u32(15));
}
static inline void vf_store_nibbles(uint8_t *p, const float *low, const float *high, float scale)
{
    uint32x4_t a = vf_nibbles(vf_mul(vf_load(low), vf_set1(scale))), b = vf_nibbles(vf_mul(vf_load(high), vf_set1(scale)));
    uint16x4_t words = vmovn_u32(vorrq_u32(a, vshlq_n_u32(b, 4)));
    uint32_t four = vget_lane_u32(vreinterpret_u32_u8(vmovn_u16(vcombine_u16(words, words))), 0);
    memcpy(p, &four, sizeof four);
}
static inline vf vf_swap_pairs(vf a) { return vrev64q_f32(a); }
static inline vf vf_even(vf a) { return vtrn1q_f32(a, a); } /* each even element twice */
static inline vf vf_odd(vf a) { return vtrn2q_f32(a, a); }
static inline vf vf_fmaddsub(vf a, vf b, vf c) /* even: a b - c, odd: a b + c */
{
    static const uint32_t signs[LANES] = {0x80000000u, 0, 0x80000000u, 0};
    return vfmaq_f32(vreinterpretq_f32_u32(veorq_u32(vreinterpretq_u32_f32(c), vld1q_u32(signs))), a, b);
}
/* clang-format on */

static inline void vf_transpose(vf r[LANES])
{
    float64x2_t a = vreinterpretq_f64_f32(vtrn1q_f32(r[0], r[1])), b = vreinterpretq_f64_f32(vtrn2q_f32(r[0], r[1]));
    float64x2_t c = vreinterpretq_f64_f32(vtrn1q_f32(r[2], r[3])), d = vreinterpretq_f64_f32(vtrn2q_f32(r[2], r[3]));
    r[0] = vreinterpretq_f32_f64(vtrn1q_f64(a, c));
    r[1] = vreinterpretq_f32_f64(vtrn1q_f64(b, d));
    r[2] = vreinterpretq_f32_f64(vtrn2q_f64(a, c));
    r[3] = vreinterpretq_f32_f64(vtrn2q_f64(b, d));
}

/* ---- blocks of 32 floats ---- */

static inline float block_largest(const float *x)
{
    int32x4_t max = vdupq_n_s32(0);
    for (size_t i = 0; i < FH_PACK_COLS; i += LANES) max = vmaxq_s32(max, vreinterpretq_s32_f32(vf_abs(vf_load(x + i))));
    return vgetq_lane_f32(vreinterpretq_f32_s32(vdupq_n_s32(vmaxvq_s32(max))), 0);
}

static inline int16x4_t four_quants(const float *x, float inverse)
{
    return vqmovn_s32(vcvtnq_s32_f32(vf_mul(vf_load(x), vf_set1(inverse))));
}

/* Sixteen elements and their sum. */
static inline int32_t half_quantise(const float *x, float inverse, int8_t *q)
{
    int16x8_t a = vcombine_s16(four_quants(x, inverse), four_quants(x + 4, inverse));
    int16x8_t b = vcombine_s16(four_quants(x + 8, inverse), four_quants(x + 12, inverse));
    int8x16_t bytes = vcombine_s8(vqmovn_s16(a), vqmovn_s16(b));
    vst1q_s8(q, bytes);
    return vaddlvq_s8(bytes);
}

static inline block_sums block_quantise(const float *x, float inverse, int8_t *q)
{
    int32_t first = half_quantise(x, inverse, q);
    return (block_sums){first, half_quantise(x + 16, inverse, q + 16)};
}

#endif
