/* A vector of floats of the instruction set that the file is compiled for: 8 lanes (AVX2, FMA, F16C) or 16 (AVX-512). Sources that include
 * this are compiled once for each; ISA(name) keeps their symbols apart. */
#ifndef FH_X86_LANES_H
#define FH_X86_LANES_H

#include "../kernels.h"

#include <immintrin.h>
#include <string.h>

/* Two tables of one-line names. */
/* clang-format off */
#ifdef __AVX512F__

#define ISA(name) fh_avx512_##name
#define LANES 16
typedef __m512 vf;
typedef __m512i vi;

static inline vf vf_zero(void) { return _mm512_setzero_ps(); }
static inline vf vf_set1(float x) { return _mm512_set1_ps(x); }
static inline vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void vf_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
static inline vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
static inline vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
static inline vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); } /* a * b + c */
static inline vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }            /* b where either is NaN */
static inline vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
static inline vf vf_abs(vf a) { return _mm512_abs_ps(a); }
static inline float vf_sum(vf a) { return _mm512_reduce_add_ps(a); }
static inline float vf_hmax(vf a) { return _mm512_reduce_max_ps(a); }
static inline vf vf_round(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
/* 2^n for whole n in -126..127 */
static inline vf vf_pow2(vf n)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)), 23));
}
static inline __mmask16 first_lanes(size_t n) { return (__mmask16)((1u << n) - 1); }
/* The first n < LANES elements; the others are 0 and not touched. */
static inline vf vf_load_part(const float *p, size_t n) { return _mm512_maskz_loadu_ps(first_lanes(n), p); }
static inline void vf_store_part(float *p, vf a, size_t n) { _mm512_mask_storeu_ps(p, first_lanes(n), a); }
static inline vf vf_keep_first(vf a, size_t n, vf others) { return _mm512_mask_mov_ps(others, first_lanes(n), a); }
static inline vf vf_load_f16(const uint16_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const void *)p)); }
static inline vf vf_load_bf16(const uint16_t *p)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)p)), 16));
}
static inline void vf_store_f16(uint16_t *p, vf a)
{
    _mm256_storeu_si256((void *)p, _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static inline vf vf_set1_f16(uint16_t h) { return _mm512_cvtph_ps(_mm256_set1_epi16((short)h)); }
static inline vf vf_load_i8(const int8_t *p) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p))); }
/* The low or the high nibbles of bytes, less 8. */
static inline vf vf_load_nibbles(const uint8_t *p, bool high)
{
    vi v = _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)p));
    v = high ? _mm512_srli_epi32(v, 4) : _mm512_and_si512(v, _mm512_set1_epi32(15));
    return _mm512_cvtepi32_ps(_mm512_sub_epi32(v, _mm512_set1_epi32(8)));
}
/* Numbers -8 .. 8 in nibbles, plus 8; 15 at most. */
static inline vi vf_nibbles(vf a)
{
    vi v = _mm512_add_epi32(_mm512_cvtps_epi32(a), _mm512_set1_epi32(8));
    return _mm512_and_si512(_mm512_min_epi32(v, _mm512_set1_epi32(15)), _mm512_set1_epi32(15));
}
static inline void vf_store_nibbles(uint8_t *p, const float *low, const float *high, float scale)
{
    vi a = vf_nibbles(vf_mul(vf_load(low), vf_set1(scale))), b = vf_nibbles(vf_mul(vf_load(high), vf_set1(scale)));
    _mm_storeu_si128((void *)p, _mm512_cvtepi32_epi8(_mm512_or_si512(a, _mm512_slli_epi32(b, 4))));
}
static inline vf vf_swap_pairs(vf a) { return _mm512_permute_ps(a, 0xb1); }
static inline vf vf_even(vf a) { return _mm512_moveldup_ps(a); } /* each even element twice */
static inline vf vf_odd(vf a) { return _mm512_movehdup_ps(a); }
static inline vf vf_fmaddsub(vf a, vf b, vf c) { return _mm512_fmaddsub_ps(a, b, c); } /* even: a b - c, odd: a b + c */

static inline void vf_transpose(vf r[LANES])
{
    vf t[16], u[16];
    for (int i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 4; i++) { /* u[4i + c]: column c of each quarter, rows 4i .. 4i + 3 */
        __m512d a = _mm512_castps_pd(t[4 * i]), b = _mm512_castps_pd(t[4 * i + 2]);
        __m512d c = _mm512_castps_pd(t[4 * i + 1]), d = _mm512_castps_pd(t[4 * i + 3]);
        u[4 * i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
        u[4 * i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        u[4 * i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(c, d));
        u[4 * i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(c, d));
    }
    for (int c = 0; c < 4; c++) {
        vf low = _mm512_shuffle_f32x4(u[c], u[4 + c], 0x88), high = _mm512_shuffle_f32x4(u[8 + c], u[12 + c], 0x88);
        vf low2 = _mm512_shuffle_f32x4(u[c], u[4 + c], 0xdd), high2 = _mm512_shuffle_f32x4(u[8 + c], u[12 + c], 0xdd);
        r[c] = _mm512_shuffle_f32x4(low, high, 0x88);
        r[8 + c] = _mm512_shuffle_f32x4(low, high, 0xdd);
        r[4 + c] = _mm512_shuffle_f32x4(low2, high2, 0x88);
        r[12 + c] = _mm512_shuffle_f32x4(low2, high2, 0xdd);
    }
}

#else

#define ISA(name) fh_avx2_##name
#define LANES 8
typedef __m256 vf;
typedef __m256i vi;

static inline vf vf_zero(void) { return _mm256_setzero_ps(); }
static inline vf vf_set1(float x) { return _mm256_set1_ps(x); }
static inline vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void vf_store(float *p, vf a) { _mm256_storeu_ps(p, a); }
static inline vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
static inline vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
static inline vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
static inline vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
static inline vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
static inline vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
static inline vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); }
static inline vf vf_abs(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
static inline float vf_sum(vf a)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
static inline float vf_hmax(vf a)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
static inline vf vf_round(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline vf vf_pow2(vf n)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
}
static inline vi first_lanes(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline vf vf_load_part(const float *p, size_t n) { return _mm256_maskload_ps(p, first_lanes(n)); }
static inline void vf_store_part(float *p, vf a, size_t n) { _mm256_maskstore_ps(p, first_lanes(n), a); }
static inline vf vf_keep_first(vf a, size_t n, vf others) { return _mm256_blendv_ps(others, a, _mm256_castsi256_ps(first_lanes(n))); }
static inline vf vf_load_f16(const uint16_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const void *)p)); }
static inline vf vf_load_bf16(const uint16_t *p)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)p)), 16));
}
static inline void vf_store_f16(uint16_t *p, vf a)
{
    _mm_storeu_si128((void *)p, _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static inline vf vf_set1_f16(uint16_t h) { return _mm256_cvtph_ps(_mm_set1_epi16((short)h)); }
static inline vf vf_load_i8(const int8_t *p) { return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)p))); }
static inline vf vf_load_nibbles(const uint8_t *p, bool high)
{
    vi v = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)p));
    v = high ? _mm256_srli_epi32(v, 4) : _mm256_and_si256(v, _mm256_set1_epi32(15));
    return _mm256_cvtepi32_ps(_mm256_sub_epi32(v, _mm256_set1_epi32(8)));
}
static inline vi vf_nibbles(vf a)
{
    vi v = _mm256_add_epi32(_mm256_cvtps_epi32(a), _mm256_set1_epi32(8));
    return _mm256_and_si256(_mm256_min_epi32(v, _mm256_set1_epi32(15)), _mm256_set1_epi32(15));
}
static inline void vf_store_nibbles(uint8_t *p, const float *low, const float *high, float scale)
{
    vi a = vf_nibbles(vf_mul(vf_load(low), vf_set1(scale))), b = vf_nibbles(vf_mul(vf_load(high), vf_set1(scale)));
    vi v = _mm256_or_si256(a, _mm256_slli_epi32(b, 4));
    __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    _mm_storel_epi64((void *)p, _mm_packus_epi16(words, words));
}
static inline vf vf_swap_pairs(vf a) { return _mm256_permute_ps(a, 0xb1); }
static inline vf vf_even(vf a) { return _mm256_moveldup_ps(a); }
static inline vf vf_odd(vf a) { return _mm256_movehdup_ps(a); }
static inline vf vf_fmaddsub(vf a, vf b, vf c) { return _mm256_fmaddsub_ps(a, b, c); }

static inline void vf_transpose(vf r[LANES])
{
    vf t[8], u[8];
    for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        u[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        u[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
        u[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        u[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
    }
    for (int c = 0; c < 4; c++) {
        r[c] = _mm256_permute2f128_ps(u[c], u[4 + c], 0x20);
        r[4 + c] = _mm256_permute2f128_ps(u[c], u[4 + c], 0x31);
    }
}

#endif
/* clang-format on */

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

void fh_amx_halve(const float *x, size_t blocks, uint8_t *to);
void fh_amx_product_wide(const fh_product *p, const fh_weight *up);

#endif
