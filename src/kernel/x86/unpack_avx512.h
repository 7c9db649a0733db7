/* Packed weights as AVX-512 registers: the unsigned quants of a block of 32 columns of 16 rows, and what scales them. */
#ifndef FH_X86_UNPACK_AVX512_H
#define FH_X86_UNPACK_AVX512_H

#include "../lanes/lanes.h"

#define INLINE static inline __attribute__((always_inline))

typedef struct scales {
    __m512 d, d1, min, min1; /* d1, min1: of columns 16-31 where they differ */
} scales;

INLINE void unpack_nibbles(const uint8_t *low, __m512i q[8])
{
    const __m512i nibble = _mm512_set1_epi8(15);
    for (int c = 0; c < 4; c++) {
        __m512i both = _mm512_load_si512(low + 64 * c);
        q[c] = _mm512_and_si512(both, nibble);
        q[c + 4] = _mm512_and_si512(_mm512_srli_epi16(both, 4), nibble);
    }
}

/* Two bits of each quant from two vectors, at place `at` of the quants' bytes. */
INLINE __m512i two_bits(const uint8_t *from, int j, const int at)
{
    __m512i four = _mm512_load_si512(from + 64 * (j / 4));
    int shift = at - 2 * (j % 4);
    __m512i placed = shift >= 0 ? _mm512_slli_epi16(four, (unsigned)shift) : _mm512_srli_epi16(four, (unsigned)-shift);
    return _mm512_and_si512(placed, _mm512_set1_epi8((char)(3 << at)));
}

/* One bit of each quant from a vector, at place `at`. */
INLINE __m512i one_bit(const uint8_t *from, int j, const int at)
{
    __m512i eight = _mm512_load_si512(from);
    __m512i placed = j < at ? _mm512_slli_epi16(eight, (unsigned)(at - j)) : _mm512_srli_epi16(eight, (unsigned)(j - at));
    return _mm512_and_si512(placed, _mm512_set1_epi8((char)(1 << at)));
}

/* Marks the rows whose eight columns are shifted. */
INLINE __m512i mark_shifted(__m512i q, const uint8_t *from, int j)
{
    uint16_t rows;
    memcpy(&rows, from + j / 2 * 2, sizeof rows);
    return _mm512_mask_or_epi32(q, rows, q, _mm512_set1_epi8(4));
}

/* The numbers of a book, as much above them as the sums expect. */
INLINE __m512i look_up(fh_pack_kind t, __m512i q)
{
    __m512i book = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)fh_books[t.book]));
    return _mm512_shuffle_epi8(_mm512_add_epi8(book, _mm512_set1_epi8((char)(1 << (t.wide - 1)))), q);
}

INLINE void unpack(fh_pack_kind t, const uint8_t *low, const uint8_t *high, __m512i q[8])
{
    if (t.bits >= 4 && t.bits < 8) unpack_nibbles(low, q);
    for (int j = 0; j < 8; j++) {
        if (t.bits == 8) q[j] = _mm512_load_si512(low + 64 * j);
        if (t.bits < 4) q[j] = two_bits(low, j, 0);
        if (t.bits == 3) q[j] = _mm512_or_si512(q[j], one_bit(high, j, 2));
        if (t.bits == 5) q[j] = _mm512_or_si512(q[j], one_bit(high, j, 4));
        if (t.bits == 6) q[j] = _mm512_or_si512(q[j], two_bits(high, j, 4));
        if (t.book == FH_BOOK_IQ1) q[j] = mark_shifted(q[j], high, j);
        if (t.book != FH_BOOK_NONE) q[j] = look_up(t, q[j]);
    }
}

INLINE __m512 halves(const uint8_t *p)
{
    return _mm512_cvtph_ps(_mm256_load_si256((const void *)p));
}

INLINE __m512i bytes(const uint8_t *p)
{
    return _mm512_cvtepu8_epi32(_mm_load_si128((const void *)p));
}

INLINE __m512 bytes_u(const uint8_t *p)
{
    return _mm512_cvtepi32_ps(bytes(p));
}

INLINE __m512 bytes_s(const uint8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_load_si128((const void *)p)));
}

/* As fh_ref_code_scale has it: the smallest two exponents give no normal floats. */
INLINE __m512 powers(const uint8_t *p)
{
    __m512i e = bytes(p), normal = _mm512_slli_epi32(_mm512_sub_epi32(e, _mm512_set1_epi32(1)), 23);
    __m512i tiny = _mm512_sllv_epi32(_mm512_set1_epi32(0x00200000), e);
    return _mm512_castsi512_ps(_mm512_mask_mov_epi32(normal, _mm512_cmplt_epi32_mask(e, _mm512_set1_epi32(2)), tiny));
}

INLINE __m512 negated(__m512 d, __m512i by)
{
    return _mm512_sub_ps(_mm512_setzero_ps(), _mm512_mul_ps(d, _mm512_cvtepi32_ps(by)));
}

/* Scales and minima that four bits each have. */
INLINE scales nibble_scales(__m512 d, __m512 dmin, const uint8_t *scale)
{
    const __m512i nibble = _mm512_set1_epi32(15);
    __m512i first = bytes(scale), second = bytes(scale + 16);
    return (scales){.d = _mm512_mul_ps(d, _mm512_cvtepi32_ps(_mm512_and_si512(first, nibble))),
                    .d1 = _mm512_mul_ps(d, _mm512_cvtepi32_ps(_mm512_and_si512(second, nibble))),
                    .min = negated(dmin, _mm512_srli_epi32(first, 4)),
                    .min1 = negated(dmin, _mm512_srli_epi32(second, 4))};
}

INLINE scales load_scales(fh_pack_kind t, const uint8_t *scale, const uint8_t *super)
{
    if (t.scale == FH_SCALE_POWER) return (scales){.d = powers(scale)};
    scales s = {.d = halves(t.scale == FH_SCALE_HALF ? scale : super)};
    if (t.scale == FH_SCALE_NIBBLES) return nibble_scales(s.d, halves(super + 32), scale);
    if (t.scale == FH_SCALE_HALF && t.min) s.min = halves(scale + 32);
    if (t.unit != 1) s.d = _mm512_mul_ps(s.d, _mm512_set1_ps(t.unit));
    if (t.scale == FH_SCALE_PAIR) {
        s.d = _mm512_mul_ps(s.d, bytes_u(scale));
        s.min = negated(halves(super + 32), bytes(scale + 16));
    }
    if (t.scale == FH_SCALE_BYTES) s.d1 = _mm512_mul_ps(s.d, bytes_s(scale + 16));
    if (t.scale == FH_SCALE_BYTE || t.scale == FH_SCALE_BYTES) s.d = _mm512_mul_ps(s.d, bytes_s(scale));
    return s;
}

#endif
