/* Tiles of AMX: their configuration (Intel SDM volume 1 chapter 18: palette 1), and what the compiler must be told. */
#ifndef FH_X86_TILES_H
#define FH_X86_TILES_H

#include <immintrin.h>
#include <stdint.h>

/* All eight whole: 16 rows of 64 bytes. Constant, because gcc 12 takes the instruction that loads it for one that reads its first 8 bytes,
 * and would leave out the rest of what is filled in before. */
static const struct fh_tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} fh_tile_whole = {1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};

/* Between what was written to memory and a tile that is loaded from it, and the other way round: to gcc 12 these touch no memory. */
static inline __attribute__((always_inline)) void fh_tile_settle(void)
{
    __asm__ volatile("" ::: "memory");
}

#endif
