/* The loops of fh_peak_measure, one an instruction set, each compiled for its own. All they do is multiply 1 by 2 and add it up: so the sum
 * of all sums, which they return modulo 2^32, is the number of operations, turns times FH_PEAK_*_OPS. */
#ifndef FH_KERNEL_PEAK_H
#define FH_KERNEL_PEAK_H

#include <stdint.h>

enum { FH_PEAK_AVX2_OPS = 8 * 64, FH_PEAK_AVX512_OPS = 16 * 128, FH_PEAK_AMX_OPS = 4 * 2 * 16 * 16 * 64, FH_PEAK_NEON_OPS = 16 * 32 };

uint32_t fh_peak_loop_avx2(uint64_t turns);
uint32_t fh_peak_loop_avx512(uint64_t turns);
uint32_t fh_peak_loop_amx(uint64_t turns); /* the thread's tiles are released afterwards */
uint32_t fh_peak_loop_neon(uint64_t turns);

#endif
