/* The integer peak of vectors: as many sums at once as hide an instruction's latency. Compiled once for each instruction set. */
#include "../peak.h"

#include <immintrin.h>

/* Makes the compiler forget what v holds, so that equal products are not computed once. */
#define FORGET(v) __asm__ volatile("" : "+x"(v))

#ifdef __AVX512F__

enum { SUMS = 16 };

uint32_t fh_peak_loop_avx512(uint64_t turns)
{
    __m512i sums[SUMS], a = _mm512_set1_epi8(1), b = _mm512_set1_epi8(2);
    for (int i = 0; i < SUMS; i++) sums[i] = _mm512_setzero_si512();
    for (uint64_t t = 0; t < turns; t++) {
#pragma GCC unroll 16
        for (int i = 0; i < SUMS; i++) {
            FORGET(a);
            sums[i] = _mm512_dpbusd_epi32(sums[i], a, b);
        }
    }
    for (int i = 1; i < SUMS; i++) sums[0] = _mm512_add_epi32(sums[0], sums[i]);
    return (uint32_t)_mm512_reduce_add_epi32(sums[0]);
}

#else

enum { SUMS = 8 };

/* Pairs of products into 16 bits, pairs of those into 32. */
uint32_t fh_peak_loop_avx2(uint64_t turns)
{
    __m256i sums[SUMS], a = _mm256_set1_epi8(1), b = _mm256_set1_epi8(2), ones = _mm256_set1_epi16(1);
    for (int i = 0; i < SUMS; i++) sums[i] = _mm256_setzero_si256();
    for (uint64_t t = 0; t < turns; t++) {
#pragma GCC unroll 8
        for (int i = 0; i < SUMS; i++) {
            FORGET(a);
            sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), ones));
        }
    }
    uint32_t lanes[8], total = 0;
    for (int i = 1; i < SUMS; i++) sums[0] = _mm256_add_epi32(sums[0], sums[i]);
    _mm256_storeu_si256((void *)lanes, sums[0]);
    for (int i = 0; i < 8; i++) total += lanes[i];
    return total;
}

#endif
