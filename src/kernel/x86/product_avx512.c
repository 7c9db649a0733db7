/* Packed weights times quantised activations with AVX-512 VNNI: one 32-bit lane a weight row, four columns a step.
 *
 * For each block of 32 columns the weights of 16 rows are unpacked once into eight registers of unsigned bytes and used for up to 8 rows of
 * activations, whose four bytes each are broadcast from memory. Types without a minimum have a bias instead (quants are stored unsigned):
 * the integer sum begins at minus bias times the sum of the activations, so it is exact. A row's operations are the same whatever the
 * number of rows beside it. */
#include "unpack_avx512.h"

#define AT_ONCE 4 /* activation rows whose sums run side by side */

INLINE __m512i int_at(const void *p)
{
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm512_set1_epi32(four);
}

/* Minus the bias times the sum of the activations. */
INLINE __m512i start(fh_pack_kind t, const float *sum)
{
    return t.min ? _mm512_setzero_si512() : _mm512_slli_epi32(int_at(sum), t.wide - 1);
}

/* Columns 4 * from .. 4 * to - 1 of one block: x its bytes of `count` activation rows, f their figures. Step by step over all rows, so that
 * the chains of sums hide each other's latency. */
INLINE void add_columns(fh_pack_kind t, const int from, const int to, const size_t count, const __m512i w[8], __m512 d, const int8_t *x,
                        const float *f, size_t m, __m512 *acc)
{
    const int figure = !fh_pack_halves(t) ? FH_FIG_SUM : from == 0 ? FH_FIG_SUM0 : FH_FIG_SUM1;
    __m512i sums[AT_ONCE];
    for (size_t r = 0; r < count; r++) sums[r] = start(t, f + (size_t)figure * m + r);
    for (int j = from; j < to; j++) {
        for (size_t r = 0; r < count; r++) sums[r] = _mm512_dpbusd_epi32(sums[r], w[j], int_at(x + r * FH_PACK_COLS + 4 * j));
    }
    for (size_t r = 0; r < count; r++) {
        __m512 scale = _mm512_mul_ps(d, _mm512_set1_ps(f[FH_FIG_D * m + r]));
        acc[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[r]), scale, acc[r]);
    }
}

/* The minimum of half a block, times the sum of its activations. */
INLINE void add_minimum(const size_t count, __m512 min, const int figure, const float *f, size_t m, __m512 *acc)
{
    for (size_t r = 0; r < count; r++) {
        int32_t minus_sum;
        memcpy(&minus_sum, &f[(size_t)figure * m + r], sizeof minus_sum);
        acc[r] = _mm512_fnmadd_ps(min, _mm512_set1_ps(f[FH_FIG_D * m + r] * (float)minus_sum), acc[r]);
    }
}

INLINE void add_block(fh_pack_kind t, const size_t count, const __m512i w[8], scales s, const int8_t *x, const float *f, size_t m,
                      __m512 *acc)
{
    if (fh_pack_halves(t)) {
        add_columns(t, 0, 4, count, w, s.d, x, f, m, acc);
        add_columns(t, 4, 8, count, w, s.d1, x, f, m, acc);
    } else {
        add_columns(t, 0, 8, count, w, s.d, x, f, m, acc);
    }
    if (!t.min) return;
    if (fh_pack_halves(t)) {
        add_minimum(count, s.min, FH_FIG_SUM0, f, m, acc);
        add_minimum(count, s.min1, FH_FIG_SUM1, f, m, acc);
        return;
    }
    for (size_t r = 0; r < count; r++) acc[r] = _mm512_fmadd_ps(s.min, _mm512_set1_ps(f[FH_FIG_D_SUM * m + r]), acc[r]);
}

/* Asks for a block's share of the bytes that lie ahead. */
INLINE const uint8_t *fetch(const uint8_t *ahead, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64) _mm_prefetch((const char *)ahead + i, _MM_HINT_T0);
    return ahead + bytes;
}

/* One group of rows against `count` (1, 2, 4 or 8) rows of a tile, from row i on; cold: the group's successors are not in the cache yet. */
INLINE void multiply(fh_pack_kind t, const size_t count, const uint8_t *chunk, size_t blocks, fh_tile tile, size_t i, bool cold,
                     __m512 acc[8])
{
    const fh_pack_layout l = fh_pack_layout_of(t);
    const size_t m = tile.rows;
    const uint8_t *ahead = chunk + FH_FETCH_AHEAD_BYTES;
    const int8_t *x = tile.q + i * FH_PACK_COLS;
    const float *f = tile.figures + i;
    for (size_t r = 0; r < count; r++) acc[r] = _mm512_setzero_ps();
    for (size_t b = 0; b < blocks; b++) {
        fh_pack_block at = fh_pack_block_at(l, chunk, b % l.blocks);
        __m512i w[8];
        if (cold) ahead = fetch(ahead, l.chunk / l.blocks);
        unpack(t, at.low, at.high, w);
        scales s = load_scales(t, at.scale, at.super);
        for (size_t r = 0; r < count; r += AT_ONCE) add_block(t, FH_MIN(count, AT_ONCE), w, s, x + r * FH_PACK_COLS, f + r, m, acc + r);
        if (b % l.blocks == l.blocks - 1) chunk += l.chunk;
        x += m * FH_PACK_COLS;
        f += m * FH_FIGS;
    }
}

INLINE void write(const fh_product *p, size_t row, size_t act, size_t count, const __m512 acc[8])
{
    size_t rows = FH_MIN(p->row_end - row, FH_PACK_ROWS);
    __mmask16 mask = (__mmask16)((1u << rows) - 1);
    for (size_t r = 0; r < count; r++) {
        float *y = p->y + (act + r - p->act_row) * p->y_stride + row - p->row;
        __m512 sum = p->add ? _mm512_add_ps(acc[r], _mm512_maskz_loadu_ps(mask, y)) : acc[r];
        _mm512_mask_storeu_ps(y, mask, sum);
    }
}

INLINE size_t step(fh_pack_kind t, const size_t count, const fh_product *p, size_t row, size_t tile_row, fh_tile tile, size_t i)
{
    __m512 acc[8];
    bool cold = tile_row == p->act_row && i == 0;
    multiply(t, count, fh_pack_group(p->weight, row), p->weight->cols / FH_PACK_COLS, tile, i, cold, acc);
    write(p, row, tile_row + i, count, acc);
    return count;
}

INLINE void group_by_tile(fh_pack_kind t, const fh_product *p, size_t row, size_t tile_row)
{
    fh_tile tile = fh_act_tile(p->act, tile_row);
    size_t i = 0;
    if (tile.rows == 8) {
        step(t, 8, p, row, tile_row, tile, 0);
        return;
    }
    if (tile.rows & 4) i += step(t, 4, p, row, tile_row, tile, i);
    if (tile.rows & 2) i += step(t, 2, p, row, tile_row, tile, i);
    if (tile.rows & 1) step(t, 1, p, row, tile_row, tile, i);
}

#include "../lanes/product_types.h"
