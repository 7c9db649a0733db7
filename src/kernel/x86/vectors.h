/* Vectors of floats of x86: 8 lanes (AVX2, FMA, F16C) or 16 (AVX-512), whichever the file is compiled for. */
#ifndef FH_X86_VECTORS_H
#define FH_X86_VECTORS_H

#include "../lanes/block.h"

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

/* ---- blocks of 32 floats: the largest magnitude, sought among the bits as integers; and 8-bit quants with their sums ---- */

#ifdef __AVX512F__

static inline float block_largest(const float *x)
{
    vi max = _mm512_max_epi32(_mm512_castps_si512(vf_abs(vf_load(x))), _mm512_castps_si512(vf_abs(vf_load(x + 16))));
    return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(_mm512_reduce_max_epi32(max))));
}

static inline block_sums block_quantise(const float *x, float inverse, int8_t *q)
{
    vi a = _mm512_cvtps_epi32(vf_mul(vf_load(x), vf_set1(inverse))), b = _mm512_cvtps_epi32(vf_mul(vf_load(x + 16), vf_set1(inverse)));
    __m128i first = _mm512_cvtsepi32_epi8(a), second = _mm512_cvtsepi32_epi8(b);
    _mm_storeu_si128((void *)q, first);
    _mm_storeu_si128((void *)(q + 16), second);
    __m128i zero = _mm_setzero_si128(), ones = _mm_set1_epi8(1);
    __m128i s = _mm_dpbusd_epi32(zero, ones, first), t = _mm_dpbusd_epi32(zero, ones, second);
    __m128i h = _mm_hadd_epi32(s, t);
    h = _mm_hadd_epi32(h, h);
    return (block_sums){_mm_cvtsi128_si32(h), _mm_extract_epi32(h, 1)};
}

#else

static inline float block_largest(const float *x)
{
    vi max = _mm256_setzero_si256();
    for (size_t i = 0; i < FH_PACK_COLS; i += LANES) max = _mm256_max_epi32(max, _mm256_castps_si256(vf_abs(vf_load(x + i))));
    __m128i m = _mm_max_epi32(_mm256_castsi256_si128(max), _mm256_extracti128_si256(max, 1));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4e));
    return _mm_cvtss_f32(_mm_castsi128_ps(_mm_max_epi32(m, _mm_shuffle_epi32(m, 0xb1))));
}

/* Sixteen elements and their sum. */
static inline int32_t quantise_half(const float *x, float inverse, int8_t *q)
{
    vi a = _mm256_cvtps_epi32(vf_mul(vf_load(x), vf_set1(inverse))), b = _mm256_cvtps_epi32(vf_mul(vf_load(x + 8), vf_set1(inverse)));
    __m128i low = _mm_packs_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    __m128i high = _mm_packs_epi32(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1));
    __m128i bytes = _mm_packs_epi16(low, high);
    _mm_storeu_si128((void *)q, bytes);
    __m128i s = _mm_madd_epi16(_mm_maddubs_epi16(_mm_set1_epi8(1), bytes), _mm_set1_epi16(1));
    s = _mm_hadd_epi32(s, s);
    return _mm_cvtsi128_si32(_mm_hadd_epi32(s, s));
}

static inline block_sums block_quantise(const float *x, float inverse, int8_t *q)
{
    int32_t first = quantise_half(x, inverse, q);
    return (block_sums){first, quantise_half(x + 16, inverse, q + 16)};
}

#endif

#endif
