/* Packed weights times quantised activations with AVX2: eight of a group's sixteen rows at a time, one 32-bit lane a row.
 *
 * Products of two columns are summed in 16 bits (unsigned quants times signed activations); how many such steps fit before they must be
 * widened depends on the bits of the type. 8-bit quants would overflow: they are split into magnitude and sign, and the sign goes to the
 * activation. A row's operations are the same whatever the number of rows beside it. */
#include "../lanes/lanes.h"

#define INLINE  static inline __attribute__((always_inline))
#define AT_ONCE 4 /* activation rows that one unpacked vector serves */

typedef struct scales {
    __m256 d, d1, min, min1; /* d1, min1: of columns 16-31 where they differ */
} scales;

/* Steps of four columns whose 16-bit sums do not overflow: (2^wide - 1) * 127 * 2 * steps < 2^15; no more than have one scale. */
INLINE int steps_in_16_bits(fh_pack_kind t)
{
    if (t.wide <= 4) return fh_pack_halves(t) ? 4 : 8;
    return t.wide == 5 ? 4 : t.wide == 6 ? 2 : 1;
}

/* Two bits of each quant from two vectors, at place `at` of the quants' bytes. */
INLINE __m256i two_bits(const uint8_t *from, int j, const int at)
{
    __m256i four = _mm256_load_si256((const void *)(from + 64 * (j / 4)));
    int shift = at - 2 * (j % 4);
    __m256i placed = shift >= 0 ? _mm256_slli_epi16(four, shift) : _mm256_srli_epi16(four, -shift);
    return _mm256_and_si256(placed, _mm256_set1_epi8((char)(3 << at)));
}

/* One bit of each quant from a vector, at place `at`. */
INLINE __m256i one_bit(const uint8_t *from, int j, const int at)
{
    __m256i eight = _mm256_load_si256((const void *)from);
    __m256i placed = j < at ? _mm256_slli_epi16(eight, at - j) : _mm256_srli_epi16(eight, j - at);
    return _mm256_and_si256(placed, _mm256_set1_epi8((char)(1 << at)));
}

/* Marks the rows whose eight columns are shifted: one bit of a byte each. */
INLINE __m256i mark_shifted(__m256i q, const uint8_t *from, int j)
{
    const __m256i bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    __m256i set = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(from[j / 2 * 2]), bits), bits);
    return _mm256_or_si256(q, _mm256_and_si256(set, _mm256_set1_epi8(4)));
}

/* The numbers of a book, as much above them as the sums expect; of 8 bits as they are. */
INLINE __m256i look_up(fh_pack_kind t, __m256i q)
{
    __m256i book = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)fh_books[t.book]));
    if (t.wide < 8) book = _mm256_add_epi8(book, _mm256_set1_epi8((char)(1 << (t.wide - 1))));
    return _mm256_shuffle_epi8(book, q);
}

/* Columns 4j .. 4j + 3 of eight rows: unsigned quants, 8-bit ones signed. */
INLINE __m256i quants(fh_pack_kind t, int j, const uint8_t *low, const uint8_t *high)
{
    if (t.bits == 8) return _mm256_xor_si256(_mm256_load_si256((const void *)(low + 64 * j)), _mm256_set1_epi8(-128));
    __m256i q;
    if (t.bits >= 4) {
        q = _mm256_load_si256((const void *)(low + 64 * (j % 4)));
        q = _mm256_and_si256(j < 4 ? q : _mm256_srli_epi16(q, 4), _mm256_set1_epi8(15));
    } else {
        q = two_bits(low, j, 0);
    }
    if (t.bits == 3) q = _mm256_or_si256(q, one_bit(high, j, 2));
    if (t.bits == 5) q = _mm256_or_si256(q, one_bit(high, j, 4));
    if (t.bits == 6) q = _mm256_or_si256(q, two_bits(high, j, 4));
    if (t.book == FH_BOOK_IQ1) q = mark_shifted(q, high, j);
    return t.book == FH_BOOK_NONE ? q : look_up(t, q);
}

INLINE __m256 halves(const uint8_t *p)
{
    return _mm256_cvtph_ps(_mm_load_si128((const void *)p));
}

INLINE __m256i bytes(const uint8_t *p)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)p));
}

INLINE __m256 bytes_u(const uint8_t *p)
{
    return _mm256_cvtepi32_ps(bytes(p));
}

INLINE __m256 bytes_s(const uint8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)p)));
}

/* As fh_ref_code_scale has it: the smallest two exponents give no normal floats. */
INLINE __m256 powers(const uint8_t *p)
{
    __m256i e = bytes(p), normal = _mm256_slli_epi32(_mm256_sub_epi32(e, _mm256_set1_epi32(1)), 23);
    __m256i tiny = _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000), e);
    return _mm256_castsi256_ps(_mm256_blendv_epi8(normal, tiny, _mm256_cmpgt_epi32(_mm256_set1_epi32(2), e)));
}

INLINE __m256 negated(__m256 d, __m256i by)
{
    return _mm256_sub_ps(_mm256_setzero_ps(), _mm256_mul_ps(d, _mm256_cvtepi32_ps(by)));
}

/* Scales and minima that four bits each have. */
INLINE scales nibble_scales(__m256 d, __m256 dmin, const uint8_t *scale)
{
    const __m256i nibble = _mm256_set1_epi32(15);
    __m256i first = bytes(scale), second = bytes(scale + 16);
    return (scales){.d = _mm256_mul_ps(d, _mm256_cvtepi32_ps(_mm256_and_si256(first, nibble))),
                    .d1 = _mm256_mul_ps(d, _mm256_cvtepi32_ps(_mm256_and_si256(second, nibble))),
                    .min = negated(dmin, _mm256_srli_epi32(first, 4)),
                    .min1 = negated(dmin, _mm256_srli_epi32(second, 4))};
}

/* Of rows first .. first + 7 of the group. */
INLINE scales load_scales(fh_pack_kind t, const uint8_t *scale, const uint8_t *super, size_t first)
{
    if (t.scale == FH_SCALE_POWER) return (scales){.d = powers(scale + first)};
    scales s = {.d = halves((t.scale == FH_SCALE_HALF ? scale : super) + 2 * first)};
    if (t.scale == FH_SCALE_NIBBLES) return nibble_scales(s.d, halves(super + 32 + 2 * first), scale + first);
    if (t.scale == FH_SCALE_HALF && t.min) s.min = halves(scale + 32 + 2 * first);
    if (t.unit != 1) s.d = _mm256_mul_ps(s.d, _mm256_set1_ps(t.unit));
    if (t.scale == FH_SCALE_PAIR) {
        s.d = _mm256_mul_ps(s.d, bytes_u(scale + first));
        s.min = negated(halves(super + 32 + 2 * first), bytes(scale + 16 + first));
    }
    if (t.scale == FH_SCALE_BYTES) s.d1 = _mm256_mul_ps(s.d, bytes_s(scale + 16 + first));
    if (t.scale == FH_SCALE_BYTE || t.scale == FH_SCALE_BYTES) s.d = _mm256_mul_ps(s.d, bytes_s(scale + first));
    return s;
}

INLINE __m256i int_at(const void *p)
{
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm256_set1_epi32(four);
}

/* Products of four columns, summed in pairs in 16 bits. */
INLINE __m256i pairs(fh_pack_kind t, __m256i w, const int8_t *x)
{
    __m256i a = int_at(x);
    return t.wide == 8 ? _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(a, w)) : _mm256_maddubs_epi16(w, a);
}

INLINE __m256i start(fh_pack_kind t, const float *sum)
{
    return t.min || t.wide == 8 ? _mm256_setzero_si256() : _mm256_slli_epi32(int_at(sum), t.wide - 1);
}

/* The integer sums of one block over columns 4 * from .. 4 * to - 1. */
INLINE void integer_sums(fh_pack_kind t, int from, int to, const size_t count, const uint8_t *low, const uint8_t *high, const int8_t *x,
                         __m256i sums[AT_ONCE])
{
    const int steps = steps_in_16_bits(t);
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i narrow[AT_ONCE];
    for (size_t r = 0; r < count; r++) narrow[r] = _mm256_setzero_si256();
    for (int j = from; j < to; j++) {
        __m256i w = quants(t, j, low, high);
        for (size_t r = 0; r < count; r++) {
            __m256i p = pairs(t, w, x + r * FH_PACK_COLS + 4 * j);
            narrow[r] = j % steps == 0 ? p : _mm256_add_epi16(narrow[r], p);
            if (j % steps == steps - 1) sums[r] = _mm256_add_epi32(sums[r], _mm256_madd_epi16(narrow[r], ones));
        }
    }
}

/* The minimum of half a block, times the sum of its activations. */
INLINE void add_minimum(const size_t count, __m256 min, const int figure, const float *f, size_t m, __m256 acc[AT_ONCE])
{
    for (size_t r = 0; r < count; r++) {
        int32_t minus_sum;
        memcpy(&minus_sum, &f[r + (size_t)figure * m], sizeof minus_sum);
        acc[r] = _mm256_fnmadd_ps(min, _mm256_set1_ps(f[r + FH_FIG_D * m] * (float)minus_sum), acc[r]);
    }
}

INLINE void block(fh_pack_kind t, const size_t count, const uint8_t *low, const uint8_t *high, scales s, const int8_t *x, const float *f,
                  size_t m, __m256 acc[AT_ONCE])
{
    __m256i sums[AT_ONCE];
    const int parts = fh_pack_halves(t) ? 2 : 1;
    for (int part = 0; part < parts; part++) {
        int figure = parts == 1 ? FH_FIG_SUM : part == 0 ? FH_FIG_SUM0 : FH_FIG_SUM1;
        for (size_t r = 0; r < count; r++) sums[r] = start(t, f + r + (size_t)figure * m);
        integer_sums(t, part * 4, parts == 2 ? part * 4 + 4 : 8, count, low, high, x, sums);
        for (size_t r = 0; r < count; r++) {
            __m256 d = _mm256_mul_ps(part == 0 ? s.d : s.d1, _mm256_set1_ps(f[r + FH_FIG_D * m]));
            acc[r] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[r]), d, acc[r]);
        }
    }
    if (!t.min) return;
    if (parts == 2) {
        add_minimum(count, s.min, FH_FIG_SUM0, f, m, acc);
        add_minimum(count, s.min1, FH_FIG_SUM1, f, m, acc);
        return;
    }
    for (size_t r = 0; r < count; r++) acc[r] = _mm256_fmadd_ps(s.min, _mm256_set1_ps(f[r + FH_FIG_D_SUM * m]), acc[r]);
}

/* Asks for a block's share of the bytes that lie ahead. */
INLINE const uint8_t *fetch(const uint8_t *ahead, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64) _mm_prefetch((const char *)ahead + i, _MM_HINT_T0);
    return ahead + bytes;
}

/* Rows first .. first + 7 of a group against `count` (1, 2 or 4) rows of a tile, from row i on; cold: the group's successors are not in the
 * cache yet. */
INLINE void multiply(fh_pack_kind t, const size_t count, const uint8_t *chunk, size_t first, size_t blocks, fh_tile tile, size_t i,
                     bool cold, __m256 acc[AT_ONCE])
{
    const fh_pack_layout l = fh_pack_layout_of(t);
    const uint8_t *ahead = chunk + FH_FETCH_AHEAD_BYTES;
    const int8_t *x = tile.q + i * FH_PACK_COLS;
    const float *f = tile.figures + i;
    for (size_t r = 0; r < count; r++) acc[r] = _mm256_setzero_ps();
    for (size_t b = 0; b < blocks; b++) {
        fh_pack_block at = fh_pack_block_at(l, chunk, b % l.blocks);
        if (cold) ahead = fetch(ahead, l.chunk / l.blocks);
        scales s = load_scales(t, at.scale, at.super, first);
        block(t, count, at.low + 4 * first, at.high + (t.book == FH_BOOK_IQ1 ? first / 8 : 4 * first), s, x, f, tile.rows, acc);
        if (b % l.blocks == l.blocks - 1) chunk += l.chunk;
        x += tile.rows * FH_PACK_COLS;
        f += tile.rows * FH_FIGS;
    }
}

INLINE void write_row(float *y, size_t rows, __m256 sum, bool add)
{
    if (rows == 8) {
        _mm256_storeu_ps(y, add ? _mm256_add_ps(sum, _mm256_loadu_ps(y)) : sum);
        return;
    }
    if (add) sum = _mm256_add_ps(sum, vf_load_part(y, rows));
    vf_store_part(y, sum, rows);
}

INLINE size_t step(fh_pack_kind t, const size_t count, const fh_product *p, size_t row, size_t tile_row, fh_tile tile, size_t i)
{
    const uint8_t *g = fh_pack_group(p->weight, row);
    for (size_t first = 0; first < FH_PACK_ROWS && row + first < p->row_end; first += 8) {
        __m256 acc[AT_ONCE];
        bool cold = first == 0 && tile_row == p->act_row && i == 0;
        multiply(t, count, g, first, p->weight->cols / FH_PACK_COLS, tile, i, cold, acc);
        for (size_t r = 0; r < count; r++) {
            float *y = p->y + (tile_row + i + r - p->act_row) * p->y_stride + row + first - p->row;
            write_row(y, FH_MIN(p->row_end - row - first, 8), acc[r], p->add);
        }
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
