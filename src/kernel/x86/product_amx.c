/* Packed weights times a whole batch with AMX tiles of 16-bit brain floats.
 *
 * Weights are expanded with their scales in them, a stretch of columns of some groups of rows at a time, and used for up to 512 rows of
 * activations, so that expanding costs little. Sums stay in tiles: taking integer sums out of them at every block of 32 columns, to scale
 * them there, takes four times as long as the products. A tile has 16 rows of activations times 16 of weights; two by two go together,
 * because then each that is loaded is used twice. A row's sum goes through its columns in order whatever is beside it. */
#include "amx.h"
#include "tiles.h"
#include "unpack_avx512.h"

#include <assert.h>

#define TILE_BYTES  1024 /* 16 rows of 32 brain floats, or of 16 floats */
#define TILE_FLOATS 256
#define TILE_STRIDE 64
#define STRETCH     16 /* blocks of columns that are expanded at a time */
#define GROUPS      8  /* groups of weight rows that are worked on together */
#define ACT_TILES   32

/* What a worker keeps in its second cache. */
typedef struct bench {
    _Alignas(64) uint8_t weights[GROUPS][STRETCH][TILE_BYTES]; /* row p of a tile: columns 2p and 2p + 1 of 16 weight rows */
    _Alignas(64) float sums[ACT_TILES][GROUPS][TILE_FLOATS];
} bench;

/* ---- expanding ---- */

/* Values of quants in dwords. The bias goes first, so that the largest scales do not overflow. */
INLINE __m512 value(fh_pack_kind t, __m512i q, __m512 d, __m512 min)
{
    __m512 x = _mm512_cvtepi32_ps(q);
    if (t.min) return _mm512_fmadd_ps(x, d, min);
    return _mm512_mul_ps(_mm512_sub_ps(x, _mm512_set1_ps((float)fh_pack_bias(t))), d);
}

/* Two columns of 16 rows. */
INLINE void store_pair(__m512 first, __m512 second, uint8_t *to)
{
    const __m512i pairs = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3,
                                           18, 2, 17, 1, 16, 0);
    _mm512_store_si512(to, _mm512_permutexvar_epi16(pairs, (__m512i)_mm512_cvtne2ps_pbh(second, first)));
}

INLINE void expand_block(fh_pack_kind t, fh_pack_block at, uint8_t *to)
{
    const __m512i byte = _mm512_set1_epi32(255);
    __m512i q[8];
    scales s = load_scales(t, at.scale, at.super);
    unpack(t, at.low, at.high, q);
    for (int j = 0; j < 8; j++) {
        bool second = fh_pack_halves(t) && j >= 4;
        __m512 d = second ? s.d1 : s.d, min = second ? s.min1 : s.min;
        __m512i q1 = _mm512_srli_epi32(q[j], 8), q2 = _mm512_srli_epi32(q[j], 16), q3 = _mm512_srli_epi32(q[j], 24);
        store_pair(value(t, _mm512_and_si512(q[j], byte), d, min), value(t, _mm512_and_si512(q1, byte), d, min), to + 128 * j);
        store_pair(value(t, _mm512_and_si512(q2, byte), d, min), value(t, q3, d, min), to + 128 * j + 64);
    }
}

INLINE void expand(fh_pack_kind t, const uint8_t *group, size_t block, size_t block_end, uint8_t (*to)[TILE_BYTES])
{
    const fh_pack_layout l = fh_pack_layout_of(t);
    for (size_t b = block; b < block_end; b++)
        expand_block(t, fh_pack_block_at(l, group + b / l.blocks * l.chunk, b % l.blocks), to[b - block]);
}

/* A function each, as of products. */
#define EXPAND_OF(name, ...)                                                                                                               \
    static __attribute__((noinline)) void expand_##name(const uint8_t *group, size_t block, size_t block_end, uint8_t(*to)[TILE_BYTES])    \
    {                                                                                                                                      \
        expand(FH_PACK_KIND(__VA_ARGS__), group, block, block_end, to);                                                                    \
    }
FH_PACK_LIST(EXPAND_OF)
#undef EXPAND_OF

static void expand_group(fh_type type, const uint8_t *group, size_t block, size_t block_end, uint8_t (*to)[TILE_BYTES])
{
#define EXPAND_CASE(name, ...)                                                                                                             \
    case FH_TYPE_##name: expand_##name(group, block, block_end, to); return;
    switch ((unsigned)type) {
        FH_PACK_LIST(EXPAND_CASE)
    }
#undef EXPAND_CASE
    assert(!"a type that is not packed");
}

/* ---- multiplying ---- */

/* Two tiles of activations times two groups; c points at the first tile's sums of both, those of the second lie GROUPS further. */
static void two_tiles(const uint8_t *x, const uint8_t *x2, const uint8_t *w, const uint8_t *w2, size_t blocks, bool begin,
                      float (*c)[TILE_FLOATS])
{
    if (begin) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    } else {
        _tile_loadd(0, c[0], TILE_STRIDE);
        _tile_loadd(1, c[1], TILE_STRIDE);
        _tile_loadd(2, c[GROUPS], TILE_STRIDE);
        _tile_loadd(3, c[GROUPS + 1], TILE_STRIDE);
    }
    for (size_t b = 0; b < blocks; b++) {
        _tile_loadd(4, x + b * TILE_BYTES, TILE_STRIDE);
        _tile_loadd(6, w + b * TILE_BYTES, TILE_STRIDE);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, w2 + b * TILE_BYTES, TILE_STRIDE);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, x2 + b * TILE_BYTES, TILE_STRIDE);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, c[0], TILE_STRIDE);
    _tile_stored(1, c[1], TILE_STRIDE);
    _tile_stored(2, c[GROUPS], TILE_STRIDE);
    _tile_stored(3, c[GROUPS + 1], TILE_STRIDE);
}

static void one_tile(const uint8_t *x, const uint8_t *w, const uint8_t *w2, size_t blocks, bool begin, float (*c)[TILE_FLOATS])
{
    if (begin) {
        _tile_zero(0);
        _tile_zero(1);
    } else {
        _tile_loadd(0, c[0], TILE_STRIDE);
        _tile_loadd(1, c[1], TILE_STRIDE);
    }
    for (size_t b = 0; b < blocks; b++) {
        _tile_loadd(4, x + b * TILE_BYTES, TILE_STRIDE);
        _tile_loadd(6, w + b * TILE_BYTES, TILE_STRIDE);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, w2 + b * TILE_BYTES, TILE_STRIDE);
        _tile_dpbf16ps(1, 4, 7);
    }
    _tile_stored(0, c[0], TILE_STRIDE);
    _tile_stored(1, c[1], TILE_STRIDE);
}

/* All tiles of activations from row `act` on times `groups` groups that were expanded into places `first` on; of an odd number the last one
 * is multiplied twice. */
static void multiply(bench *b, const fh_product *p, size_t act, size_t n, size_t first, size_t groups, size_t block, size_t blocks)
{
    size_t tile_bytes = p->act->cols / FH_PACK_COLS * TILE_BYTES, tiles = (n + FH_PACK_ROWS - 1) / FH_PACK_ROWS;
    for (size_t t = 0; t < tiles; t += 2) {
        const uint8_t *x = p->act->halves + (act / FH_PACK_ROWS + t) * tile_bytes + block * TILE_BYTES;
        for (size_t g = first; g < first + groups; g += 2) {
            const uint8_t *w = b->weights[g][0], *w2 = b->weights[FH_MIN(g + 1, first + groups - 1)][0];
            if (t + 1 < tiles)
                two_tiles(x, x + tile_bytes, w, w2, blocks, block == 0, &b->sums[t][g]);
            else
                one_tile(x, w, w2, blocks, block == 0, &b->sums[t][g]);
        }
    }
}

/* ---- results ---- */

/* `rows` weight rows from p->row + offset on, whose sums stand in group g, and in group g + GROUPS / 2 those of `up`. */
static void write_group(const bench *b, const fh_product *p, bool glu, size_t act, size_t n, size_t g, size_t offset, size_t rows)
{
    __mmask16 mask = (__mmask16)((1u << rows) - 1);
    for (size_t i = 0; i < n; i++) {
        const float *sums = b->sums[i / FH_PACK_ROWS][g] + i % FH_PACK_ROWS * FH_PACK_ROWS;
        float *y = p->y + (act - p->act_row + i) * p->y_stride + offset;
        __m512 sum = _mm512_load_ps(sums);
        if (p->add) sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, y));
        _mm512_mask_storeu_ps(y, mask, sum);
        if (glu) ISA(silu_mul)(y, sums + GROUPS / 2 * TILE_FLOATS, rows, y);
    }
}

/* A stretch of columns of `groups` groups from `row` on, worked on in places `first` on. */
static void add_stretch(bench *b, const fh_product *p, const fh_weight *w, size_t row, size_t act, size_t n, size_t first, size_t groups,
                        size_t block)
{
    size_t block_end = FH_MIN(block + STRETCH, w->cols / FH_PACK_COLS);
    for (size_t g = 0; g < groups; g++)
        expand_group(w->type, fh_pack_group(w, row + g * FH_PACK_ROWS), block, block_end, b->weights[first + g]);
    fh_tile_settle();
    multiply(b, p, act, n, first, groups, block, block_end - block);
    fh_tile_settle();
}

/* Weight rows [row, row_end), at most GROUPS groups, or half of that with `up`, times the activations [act, act + n). */
static void multiply_block(bench *b, const fh_product *p, const fh_weight *up, size_t row, size_t row_end, size_t act, size_t n)
{
    size_t blocks = p->weight->cols / FH_PACK_COLS, groups = (row_end - row + FH_PACK_ROWS - 1) / FH_PACK_ROWS;
    for (size_t block = 0; block < blocks; block += STRETCH) {
        add_stretch(b, p, p->weight, row, act, n, 0, groups, block);
        if (up) add_stretch(b, p, up, row, act, n, GROUPS / 2, groups, block);
    }
    for (size_t g = 0; g < groups; g++) {
        size_t at = row + g * FH_PACK_ROWS;
        write_group(b, p, up != NULL, act, n, g, at - p->row, FH_MIN(row_end - at, FH_PACK_ROWS));
    }
}

void fh_amx_product_wide(const fh_product *p, const fh_weight *up)
{
    bench b;
    size_t step = (up ? GROUPS / 2 : GROUPS) * FH_PACK_ROWS;
    _tile_loadconfig(&fh_tile_whole);
    for (size_t act = p->act_row; act < p->act_end; act += ACT_TILES * FH_PACK_ROWS) {
        size_t n = FH_MIN(p->act_end - act, ACT_TILES * FH_PACK_ROWS);
        for (size_t row = p->row; row < p->row_end; row += step) multiply_block(&b, p, up, row, FH_MIN(row + step, p->row_end), act, n);
    }
    _tile_release();
}

void fh_amx_halve(const float *x, size_t blocks, uint8_t *to)
{
    for (size_t b = 0; b < blocks; b++, x += FH_PACK_COLS)
        _mm512_storeu_si512(to + b * TILE_BYTES, (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + 16), _mm512_loadu_ps(x)));
}
