/* A vector of floats of the instruction set that the file is compiled for, and what is made of it the same way everywhere. Sources that
 * include this are compiled once for each set; ISA(name) keeps their symbols apart. A family of processors has in its vectors.h: LANES, vf,
 * the operations vf_... on it, and those on blocks of 32. */
#ifndef FH_LANES_LANES_H
#define FH_LANES_LANES_H

#if defined(__aarch64__)
#include "../arm/vectors.h"
#else
#include "../x86/vectors.h"
#endif

/* e^x to 3e-7 relative for x in -87..88, clamped beyond; NaN stays. x = n ln 2 + r, |r| <= ln 2 / 2, Taylor to r^7, times 2^n. */
static inline vf vf_exp(vf x)
{
    x = vf_min(vf_set1(88.0f), vf_max(vf_set1(-87.0f), x)); /* the operand that may be NaN stands second */
    vf n = vf_round(vf_mul(x, vf_set1(1.44269504f)));
    vf r = vf_fma(n, vf_set1(-0.693359375f), x); /* ln 2 in two parts, the first exact in 9 bits */
    r = vf_fma(n, vf_set1(2.12194440e-4f), r);
    vf p = vf_set1(1.0f / 5040);
    p = vf_fma(p, r, vf_set1(1.0f / 720));
    p = vf_fma(p, r, vf_set1(1.0f / 120));
    p = vf_fma(p, r, vf_set1(1.0f / 24));
    p = vf_fma(p, r, vf_set1(1.0f / 6));
    p = vf_fma(p, r, vf_set1(0.5f));
    p = vf_fma(p, r, vf_set1(1.0f));
    p = vf_fma(p, r, vf_set1(1.0f));
    return vf_mul(p, vf_pow2(n));
}

/* Elements i .. i + LANES - 1 of a row of floats, full, half or brain. */
static inline vf vf_load_typed(fh_type type, const void *base, size_t i)
{
    if (type == FH_TYPE_F16) return vf_load_f16((const uint16_t *)base + i);
    if (type == FH_TYPE_BF16) return vf_load_bf16((const uint16_t *)base + i);
    return vf_load((const float *)base + i);
}

/* The last n < LANES elements from element i on, the other lanes 0; nothing beyond them is read. */
static inline vf vf_load_typed_part(fh_type type, const void *base, size_t i, size_t n)
{
    if (type == FH_TYPE_F32) return vf_load_part((const float *)base + i, n);
    uint16_t halves[LANES] = {0};
    memcpy(halves, (const uint16_t *)base + i, n * sizeof *halves);
    return type == FH_TYPE_F16 ? vf_load_f16(halves) : vf_load_bf16(halves);
}

/* What the files of one instruction set give its table. */
void ISA(quantise)(const float *x, size_t blocks, size_t m, int8_t *q, float *figures);
void ISA(product_packed)(const fh_product *p);
void ISA(product_float)(const fh_product *p);
float ISA(rms_scale)(const float *x, size_t n, float eps);
void ISA(norm_row)(const float *x, const float *w, float scale, size_t n, float *y);
void ISA(silu_mul)(const float *gate, const float *up, size_t n, float *y);
void ISA(rope)(const float *x, const float *cs, size_t pairs, float *y);
void ISA(store)(fh_type type, const float *x, size_t n, void *dst);
void ISA(attend)(const fh_attn_part *part);

#endif
