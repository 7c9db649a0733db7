/* Packed weights times quantised activations with NEON's dot products: four rows of a group in a vector, one 32-bit lane a row.
 *
 * A block of 32 columns is worked on for four rows at a time: its quants are unpacked into a vector for every four columns, and each serves
 * up to four rows of activations, whose bytes are a lane of a register. Places in a book are looked up as the signed numbers that they
 * stand for; other unsigned quants have their bias taken off the integer sum, which begins at minus bias times the sum of the activations.
 * A row's operations are the same whatever the number of rows beside it. */
#include "../lanes/lanes.h"

#define INLINE  static inline __attribute__((always_inline))
#define AT_ONCE 4 /* activation rows that one unpacked vector serves */
#define PARTS   (FH_PACK_ROWS / LANES)

typedef struct scales {
    vf d, d1, min, min1; /* d1, min1: of columns 16-31 where they differ */
} scales;

/* The quants are what the weights' bytes say, less a bias. */
INLINE bool is_biased(fh_pack_kind t)
{
    return !t.min && t.book == FH_BOOK_NONE && t.wide < 8;
}

/* ---- unpacking: four rows' bytes begin at `low`, `high` ---- */

INLINE uint8x16_t shifted(uint8x16_t v, const int left)
{
    return vshlq_u8(v, vdupq_n_s8((int8_t)left));
}

/* Two bits of each quant from two vectors, at place `at` of the quants' bytes. */
INLINE uint8x16_t two_bits(const uint8_t *from, const int j, const int at)
{
    return vandq_u8(shifted(vld1q_u8(from + 64 * (j / 4)), at - 2 * (j % 4)), vdupq_n_u8((uint8_t)(3 << at)));
}

/* One bit of each quant from a vector, at place `at`. */
INLINE uint8x16_t one_bit(const uint8_t *from, const int j, const int at)
{
    return vandq_u8(shifted(vld1q_u8(from), at - j), vdupq_n_u8((uint8_t)(1 << at)));
}

/* Marks those of the rows from `first` on whose eight columns are shifted: one bit of a byte each. */
INLINE uint8x16_t mark_shifted(uint8x16_t q, const uint8_t *from, const int j, const size_t first)
{
    static const uint32_t bits[LANES] = {1, 2, 4, 8};
    uint32_t rows = (uint32_t)from[j / 2 * 2 + first / 8] >> first % 8;
    uint8x16_t set = vreinterpretq_u8_u32(vtstq_u32(vdupq_n_u32(rows), vld1q_u32(bits)));
    return vorrq_u8(q, vandq_u8(set, vdupq_n_u8(4)));
}

/* Columns 4j .. 4j + 3 of rows first .. first + 3. */
INLINE int8x16_t quants(fh_pack_kind t, const int j, const uint8_t *low, const uint8_t *high, const size_t first)
{
    low += 4 * first;
    if (t.bits == 8) return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(low + 64 * j), vdupq_n_u8(0x80)));
    uint8x16_t q;
    if (t.bits >= 4) {
        q = vld1q_u8(low + 64 * (j % 4));
        q = j < 4 ? vandq_u8(q, vdupq_n_u8(15)) : vshrq_n_u8(q, 4);
    } else {
        q = two_bits(low, j, 0);
    }
    if (t.bits == 3) q = vorrq_u8(q, one_bit(high + 4 * first, j, 2));
    if (t.bits == 5) q = vorrq_u8(q, one_bit(high + 4 * first, j, 4));
    if (t.bits == 6) q = vorrq_u8(q, two_bits(high + 4 * first, j, 4));
    if (t.book == FH_BOOK_IQ1) q = mark_shifted(q, high, j, first);
    return t.book == FH_BOOK_NONE ? vreinterpretq_s8_u8(q) : vqtbl1q_s8(vld1q_s8(fh_books[t.book]), q);
}

/* ---- scales ---- */

INLINE vf halves(const uint8_t *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)));
}

/* As fh_ref_code_scale has it: the smallest two exponents give no normal floats. */
INLINE vf powers(const uint8_t *p)
{
    uint32x4_t e = four_unsigned(p), normal = vshlq_n_u32(vsubq_u32(e, vdupq_n_u32(1)), 23);
    uint32x4_t tiny = vshlq_u32(vdupq_n_u32(0x00200000), vreinterpretq_s32_u32(e));
    return vreinterpretq_f32_u32(vbslq_u32(vcltq_u32(e, vdupq_n_u32(2)), tiny, normal));
}

INLINE vf times(vf d, uint32x4_t by)
{
    return vf_mul(d, vcvtq_f32_u32(by));
}

INLINE vf negated(vf d, uint32x4_t by)
{
    return vf_sub(vf_zero(), times(d, by));
}

/* Scales and minima that four bits each have. */
INLINE scales nibble_scales(vf d, vf dmin, const uint8_t *scale)
{
    const uint32x4_t nibble = vdupq_n_u32(15);
    uint32x4_t one = four_unsigned(scale), other = four_unsigned(scale + 16);
    return (scales){.d = times(d, vandq_u32(one, nibble)),
                    .d1 = times(d, vandq_u32(other, nibble)),
                    .min = negated(dmin, vshrq_n_u32(one, 4)),
                    .min1 = negated(dmin, vshrq_n_u32(other, 4))};
}

/* Of rows first .. first + 3 of the group. */
INLINE scales load_scales(fh_pack_kind t, const uint8_t *scale, const uint8_t *super, const size_t first)
{
    if (t.scale == FH_SCALE_POWER) return (scales){.d = powers(scale + first)};
    scales s = {.d = halves((t.scale == FH_SCALE_HALF ? scale : super) + 2 * first)};
    if (t.scale == FH_SCALE_NIBBLES) return nibble_scales(s.d, halves(super + 32 + 2 * first), scale + first);
    if (t.scale == FH_SCALE_HALF && t.min) s.min = halves(scale + 32 + 2 * first);
    if (t.unit != 1) s.d = vf_mul(s.d, vf_set1(t.unit));
    if (t.scale == FH_SCALE_PAIR) {
        s.d = times(s.d, four_unsigned(scale + first));
        s.min = negated(halves(super + 32 + 2 * first), four_unsigned(scale + 16 + first));
    }
    if (t.scale == FH_SCALE_BYTES) s.d1 = vf_mul(s.d, vcvtq_f32_s32(four_signed(scale + 16 + first)));
    if (t.scale == FH_SCALE_BYTE || t.scale == FH_SCALE_BYTES) s.d = vf_mul(s.d, vcvtq_f32_s32(four_signed(scale + first)));
    return s;
}

/* ---- multiplying ---- */

/* Which lane is part of the instruction. */
INLINE int32x4_t dot(int32x4_t sum, int8x16_t w, int8x16_t x, const int lane)
{
    switch (lane) {
    case 0: return vdotq_laneq_s32(sum, w, x, 0);
    case 1: return vdotq_laneq_s32(sum, w, x, 1);
    case 2: return vdotq_laneq_s32(sum, w, x, 2);
    default: return vdotq_laneq_s32(sum, w, x, 3);
    }
}

INLINE int32_t int_at(const float *p)
{
    int32_t value;
    memcpy(&value, p, sizeof value);
    return value;
}

/* What the integer sums of activation row r begin at; f are the figures of that row. */
INLINE int32x4_t start(fh_pack_kind t, const float *f, const size_t figure, size_t m)
{
    return is_biased(t) ? vdupq_n_s32(int_at(f + figure * m) * fh_pack_bias(t)) : vdupq_n_s32(0);
}

/* Columns 16 * half .. 16 * half + 15 of four rows. */
INLINE void add_half(fh_pack_kind t, const size_t count, const int half, fh_pack_block at, const size_t first, const int8_t *x,
                     int32x4_t sums[AT_ONCE])
{
    int8x16_t xs[AT_ONCE];
    for (size_t r = 0; r < count; r++) xs[r] = vld1q_s8(x + r * FH_PACK_COLS + 16 * half);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        int8x16_t w = quants(t, 4 * half + j, at.low, at.high, first);
        for (size_t r = 0; r < count; r++) sums[r] = dot(sums[r], w, xs[r], j);
    }
}

INLINE void scale_sums(const size_t count, const int32x4_t sums[AT_ONCE], vf d, const float *f, size_t m, vf acc[AT_ONCE])
{
    for (size_t r = 0; r < count; r++) acc[r] = vf_fma(vcvtq_f32_s32(sums[r]), vf_mul(d, vf_set1(f[r + FH_FIG_D * m])), acc[r]);
}

/* The minimum of half a block, times the sum of its activations. */
INLINE void add_minimum(const size_t count, vf min, const size_t figure, const float *f, size_t m, vf acc[AT_ONCE])
{
    for (size_t r = 0; r < count; r++) acc[r] = vfmsq_f32(acc[r], min, vf_set1(f[r + FH_FIG_D * m] * (float)int_at(f + r + figure * m)));
}

/* Both halves have scales of their own. */
INLINE void add_halves(fh_pack_kind t, const size_t count, fh_pack_block at, const size_t first, scales s, const int8_t *x, const float *f,
                       size_t m, vf acc[AT_ONCE])
{
    int32x4_t sums[AT_ONCE];
    for (size_t r = 0; r < count; r++) sums[r] = start(t, f + r, FH_FIG_SUM0, m);
    add_half(t, count, 0, at, first, x, sums);
    scale_sums(count, sums, s.d, f, m, acc);
    for (size_t r = 0; r < count; r++) sums[r] = start(t, f + r, FH_FIG_SUM1, m);
    add_half(t, count, 1, at, first, x, sums);
    scale_sums(count, sums, s.d1, f, m, acc);
    if (!t.min) return;
    add_minimum(count, s.min, FH_FIG_SUM0, f, m, acc);
    add_minimum(count, s.min1, FH_FIG_SUM1, f, m, acc);
}

/* A block of rows first .. first + 3 against `count` rows of activations. */
INLINE void add_block(fh_pack_kind t, const size_t count, fh_pack_block at, const size_t first, const int8_t *x, const float *f, size_t m,
                      vf acc[AT_ONCE])
{
    int32x4_t sums[AT_ONCE];
    scales s = load_scales(t, at.scale, at.super, first);
    if (fh_pack_halves(t)) {
        add_halves(t, count, at, first, s, x, f, m, acc);
        return;
    }
    for (size_t r = 0; r < count; r++) sums[r] = start(t, f + r, FH_FIG_SUM, m);
    add_half(t, count, 0, at, first, x, sums);
    add_half(t, count, 1, at, first, x, sums);
    scale_sums(count, sums, s.d, f, m, acc);
    if (!t.min) return;
    for (size_t r = 0; r < count; r++) acc[r] = vf_fma(s.min, vf_set1(f[r + FH_FIG_D_SUM * m]), acc[r]);
}

/* Asks for a block's share of the bytes that lie ahead. */
INLINE const uint8_t *fetch(const uint8_t *ahead, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(ahead + i);
    return ahead + bytes;
}

/* A group of rows against `count` (1, 2 or 4) rows of a tile, from row i on; cold: the group's successors are not in the cache yet. */
INLINE void multiply(fh_pack_kind t, const size_t count, const uint8_t *chunk, size_t blocks, fh_tile tile, size_t i, bool cold,
                     vf acc[PARTS][AT_ONCE])
{
    const fh_pack_layout l = fh_pack_layout_of(t);
    const uint8_t *ahead = chunk + FH_FETCH_AHEAD_BYTES;
    const int8_t *x = tile.q + i * FH_PACK_COLS;
    const float *f = tile.figures + i;
    for (size_t r = 0; r < PARTS * count; r++) acc[r / count][r % count] = vf_zero();
    for (size_t b = 0; b < blocks; b++) {
        fh_pack_block at = fh_pack_block_at(l, chunk, b % l.blocks);
        if (cold) ahead = fetch(ahead, l.chunk / l.blocks);
#pragma GCC unroll 4
        for (size_t part = 0; part < PARTS; part++) add_block(t, count, at, LANES * part, x, f, tile.rows, acc[part]);
        if (b % l.blocks == l.blocks - 1) chunk += l.chunk;
        x += tile.rows * FH_PACK_COLS;
        f += tile.rows * FH_FIGS;
    }
}

INLINE void write_part(float *y, size_t rows, vf sum, bool add)
{
    if (rows >= LANES) {
        vf_store(y, add ? vf_add(sum, vf_load(y)) : sum);
        return;
    }
    if (add) sum = vf_add(sum, vf_load_part(y, rows));
    vf_store_part(y, sum, rows);
}

INLINE size_t step(fh_pack_kind t, const size_t count, const fh_product *p, size_t row, size_t tile_row, fh_tile tile, size_t i)
{
    vf acc[PARTS][AT_ONCE];
    bool cold = tile_row == p->act_row && i == 0;
    multiply(t, count, fh_pack_group(p->weight, row), p->weight->cols / FH_PACK_COLS, tile, i, cold, acc);
    for (size_t r = 0; r < count; r++) {
        float *y = p->y + (tile_row + i + r - p->act_row) * p->y_stride + row - p->row;
        for (size_t part = 0; part < PARTS && row + LANES * part < p->row_end; part++)
            write_part(y + LANES * part, p->row_end - row - LANES * part, acc[part][r], p->add);
    }
    return count;
}

INLINE void group_by_tile(fh_pack_kind t, const fh_product *p, size_t row, size_t tile_row)
{
    fh_tile tile = fh_act_tile(p->act, tile_row);
    size_t i = 0;
    while (tile.rows - i >= 4) i += step(t, 4, p, row, tile_row, tile, i);
    if (tile.rows & 2) i += step(t, 2, p, row, tile_row, tile, i);
    if (tile.rows & 1) step(t, 1, p, row, tile_row, tile, i);
}

#include "../lanes/product_types.h"
