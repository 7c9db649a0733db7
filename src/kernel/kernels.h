/* What one instruction set's code provides (struct fh_kernels), and the layouts that it and the rest of the module share: packed weights
 * and quantised activations. */
#ifndef FH_KERNELS_H
#define FH_KERNELS_H

#include "kernel/kernel.h"
#include "ref/codes.h"

/* ---- packed weights ----
 *
 * Rows go in groups of 16, padded with zero rows. A group is a run of chunks, a chunk has 1, 2, 4 or 8 blocks of 32 columns (so that it is
 * whole cache lines, and types with scales of scales have their 256 columns), and everything is read once from front to back: a single
 * stream that can be fetched ahead. A chunk has, one behind the other and each for all its blocks, with "dword r" being row r's:
 *
 * low    4-bit quants and the low four bits of wider ones: 4 vectors of 16 dwords; byte k of dword r of vector c has column 4c + k in its
 *        low nibble, 16 + 4c + k in its high. 2-bit quants and the low two bits of three: 2 vectors; bits 2i, 2i + 1 of byte k of dword r
 *        of vector v belong to column 16v + 4i + k. 8-bit quants: 8 vectors; byte k of dword r of vector j is column 4j + k, plus 128.
 * high   third or fifth bits: 1 vector; bit j of byte k of dword r belongs to column 4j + k. Top two bits of six: 2 vectors, as 2-bit
 *        quants. IQ1's shifts: 16 bits for every eight columns, bit r being row r's.
 * scale  what fh_pack_scale says of a block.
 * super  what it says of a chunk: f16 d[16], and f16 dmin[16] or 32 bytes of nothing.
 *
 * So one 32-bit lane of a dot product instruction works for one row, four columns at a time. What a type becomes may take more bytes than
 * its file: signs and grids are spelled out, because looking rows of a grid up takes longer than reading them. Whoever keeps packed weights
 * on disk keeps FH_PACK_VERSION with them: it changes with these layouts. */
#define FH_PACK_ROWS    16
#define FH_PACK_COLS    32
#define FH_PACK_VERSION 2

typedef enum fh_pack_scale {
    FH_SCALE_HALF,    /* a block: f16 d[16] (and m[16]) */
    FH_SCALE_POWER,   /* a block: u8 exponent[16] of powers of two */
    FH_SCALE_SUPER,   /* a chunk: f16 d[16] (and dmin[16]); so do those that follow, and beside it */
    FH_SCALE_BYTE,    /* a block: i8 scale[16] */
    FH_SCALE_BYTES,   /* a block: i8 scale[16] of columns 0-15, i8 scale[16] of 16-31 */
    FH_SCALE_PAIR,    /* a block: u8 scale[16], u8 min[16] */
    FH_SCALE_NIBBLES, /* a block: u8 both[16] of columns 0-15, u8 both[16] of 16-31; the low nibble is the scale, the high one the minimum
                       */
} fh_pack_scale;

/* What sets the packed types apart. */
typedef struct fh_pack_kind {
    int bits; /* of a quant as it is stored; 0: not packed */
    int wide; /* bits of the unsigned number that it is multiplied as */
    fh_pack_scale scale;
    bool min;     /* has a minimum; else that number is half of its range above the quant */
    fh_book book; /* whose place a quant is; FH_BOOK_NONE: it is the number itself */
    float unit;   /* of the scales: a power of two */
} fh_pack_kind;

/* name, bits, wide, scale, min, book, unit */
#define FH_PACK_LIST(X)                                                                                                                    \
    X(Q4_0, 4, 4, FH_SCALE_HALF, false, FH_BOOK_NONE, 1)                                                                                   \
    X(Q4_1, 4, 4, FH_SCALE_HALF, true, FH_BOOK_NONE, 1)                                                                                    \
    X(Q5_0, 5, 5, FH_SCALE_HALF, false, FH_BOOK_NONE, 1)                                                                                   \
    X(Q5_1, 5, 5, FH_SCALE_HALF, true, FH_BOOK_NONE, 1)                                                                                    \
    X(Q8_0, 8, 8, FH_SCALE_HALF, false, FH_BOOK_NONE, 1)                                                                                   \
    X(Q2_K, 2, 2, FH_SCALE_NIBBLES, true, FH_BOOK_NONE, 1)                                                                                 \
    X(Q3_K, 3, 3, FH_SCALE_BYTES, false, FH_BOOK_NONE, 1)                                                                                  \
    X(Q4_K, 4, 4, FH_SCALE_PAIR, true, FH_BOOK_NONE, 1)                                                                                    \
    X(Q5_K, 5, 5, FH_SCALE_PAIR, true, FH_BOOK_NONE, 1)                                                                                    \
    X(Q6_K, 6, 6, FH_SCALE_BYTES, false, FH_BOOK_NONE, 1)                                                                                  \
    X(IQ4_NL, 4, 8, FH_SCALE_HALF, false, FH_BOOK_IQ4, 1)                                                                                  \
    X(IQ4_XS, 4, 8, FH_SCALE_BYTE, false, FH_BOOK_IQ4, 1)                                                                                  \
    X(MXFP4, 4, 5, FH_SCALE_POWER, false, FH_BOOK_MXFP4, 1)                                                                                \
    X(TQ1_0, 2, 3, FH_SCALE_SUPER, false, FH_BOOK_TERNARY, 1)                                                                              \
    X(TQ2_0, 2, 3, FH_SCALE_SUPER, false, FH_BOOK_TERNARY, 1)                                                                              \
    X(IQ3_XXS, 4, 7, FH_SCALE_BYTE, false, FH_BOOK_IQ3_XXS, 0.25f)                                                                         \
    X(IQ3_S, 4, 5, FH_SCALE_BYTE, false, FH_BOOK_IQ3_S, 1)                                                                                 \
    X(IQ2_XXS, 3, 7, FH_SCALE_BYTE, false, FH_BOOK_IQ2, 0.125f)                                                                            \
    X(IQ2_XS, 3, 7, FH_SCALE_BYTES, false, FH_BOOK_IQ2, 0.125f)                                                                            \
    X(IQ2_S, 3, 7, FH_SCALE_BYTES, false, FH_BOOK_IQ2, 0.125f)                                                                             \
    X(IQ1_S, 2, 5, FH_SCALE_BYTE, false, FH_BOOK_IQ1, 0.125f)                                                                              \
    X(IQ1_M, 2, 5, FH_SCALE_BYTES, false, FH_BOOK_IQ1, 0.125f)
#define FH_PACK_KIND(bits, wide, scale, min, book, unit) ((fh_pack_kind){bits, wide, scale, min, book, unit})

#define FH_PACK_INLINE static inline __attribute__((always_inline))

/* The scale (and minimum) of columns 16-31 is another than that of 0-15. */
FH_PACK_INLINE bool fh_pack_halves(fh_pack_kind t)
{
    return t.scale == FH_SCALE_BYTES || t.scale == FH_SCALE_NIBBLES;
}

/* By how much the unsigned numbers are above the quants. */
FH_PACK_INLINE int fh_pack_bias(fh_pack_kind t)
{
    return t.min ? 0 : (1 << t.wide) / 2;
}

typedef struct fh_pack_layout {
    size_t blocks;           /* of a chunk */
    size_t low, high, scale; /* bytes a block */
    size_t chunk;            /* bytes in all */
} fh_pack_layout;

FH_PACK_INLINE size_t fh_pack_scale_bytes(fh_pack_kind t)
{
    switch (t.scale) {
    case FH_SCALE_HALF: return t.min ? 64 : 32;
    case FH_SCALE_SUPER: return 0;
    case FH_SCALE_POWER:
    case FH_SCALE_BYTE: return 16;
    case FH_SCALE_BYTES:
    case FH_SCALE_PAIR:
    case FH_SCALE_NIBBLES: return 32;
    }
    return 0;
}

FH_PACK_INLINE fh_pack_layout fh_pack_layout_of(fh_pack_kind t)
{
    fh_pack_layout l = {.blocks = 8, .low = t.bits == 8 ? 512 : t.bits >= 4 ? 256 : 128, .scale = fh_pack_scale_bytes(t)};
    if (t.bits == 3 || t.bits == 5) l.high = 64;
    if (t.bits == 6) l.high = 128;
    if (t.book == FH_BOOK_IQ1) l.high = 8;
    if (t.scale == FH_SCALE_HALF) l.blocks = t.min ? 1 : 2;
    if (t.scale == FH_SCALE_POWER) l.blocks = 4;
    l.chunk = l.blocks * (l.low + l.high + l.scale) + (t.scale >= FH_SCALE_SUPER ? 64 : 0);
    return l;
}

typedef struct fh_pack_block { /* where a block's parts lie */
    const uint8_t *low, *high, *scale, *super;
} fh_pack_block;

FH_PACK_INLINE fh_pack_block fh_pack_block_at(fh_pack_layout l, const uint8_t *chunk, size_t j)
{
    const uint8_t *high = chunk + l.blocks * l.low, *scale = high + l.blocks * l.high;
    return (fh_pack_block){chunk + j * l.low, high + j * l.high, scale + j * l.scale, scale + l.blocks * l.scale};
}

struct fh_weight {
    const fh_kernels *kernels;
    fh_type type;
    size_t rows, cols, row_bytes;
    const uint8_t *data; /* borrowed; NULL when packed */
    uint8_t *packed;     /* NULL when borrowed; owned unless it was placed */
    bool placed;
    size_t group_bytes;
};

static inline const uint8_t *fh_pack_group(const fh_weight *w, size_t row)
{
    return w->packed + row / FH_PACK_ROWS * w->group_bytes;
}

fh_pack_kind fh_pack_kind_of(fh_type type); /* bits is 0 where it is not packed */
/* Sets the bytes of a group and gives those of all; false when they overflow. */
bool fh_pack_place(fh_weight *w, size_t *ret_bytes);
void fh_pack_rows(fh_weight *w, const uint8_t *data);         /* fills w->packed from GGUF rows */
void fh_pack_row(const fh_weight *w, size_t row, float *dst); /* dequantises one packed row */

/* ---- quantised activations ----
 *
 * Rows go in tiles of 8, the last tile has what is left, m rows. A tile has first its quants, then its figures: for every block of 32
 * columns int8 q[m][32], and float d[m], float d_sum[m] (d times the sum of q), int32 minus_sum[m], minus_sum0[m], minus_sum1[m] (negated
 * sums of q: all, columns 0-15, columns 16-31). x is about d * q, |q| <= 127.
 *
 * Wide products take brain floats instead: for every 16 rows, for every block, bf16[16][32]; rows that fill up the last 16 hold anything.
 */
#define FH_TILE_ROWS  8
#define FH_PANEL_ROWS 64 /* activation rows that stay in the cache while weights pass by */
enum { FH_FIG_D, FH_FIG_D_SUM, FH_FIG_SUM, FH_FIG_SUM0, FH_FIG_SUM1, FH_FIGS };
#define FH_ACT_BLOCK_BYTES (FH_PACK_COLS + FH_FIGS * 4)
#define FH_HALVES_ROWS     16
#define FH_HALVES_BYTES    (FH_HALVES_ROWS * FH_PACK_COLS * 2) /* a block of 16 rows */

typedef struct fh_act_view {
    const float *x; /* the float rows */
    size_t x_stride, n, cols;
    const uint8_t *tiles;  /* quantised; NULL when the table works with floats only, and beside halves */
    const uint8_t *halves; /* of a large batch, for tables with wide products; else NULL */
} fh_act_view;

const fh_act_view *fh_act_view_get(const fh_act *a, const fh_worker *w); /* this worker's view of what it last set */

typedef struct fh_tile {
    const int8_t *q;
    const float *figures;
    size_t rows;
} fh_tile;

/* The tile that holds row `row` (a multiple of 8). */
static inline fh_tile fh_act_tile(const fh_act_view *a, size_t row)
{
    size_t blocks = a->cols / FH_PACK_COLS, rows = FH_MIN(a->n - row, FH_TILE_ROWS);
    const int8_t *q = (const int8_t *)a->tiles + row * blocks * FH_ACT_BLOCK_BYTES;
    return (fh_tile){q, (const float *)(const void *)(q + rows * blocks * FH_PACK_COLS), rows};
}

/* How far ahead of their use weights are fetched into the cache. Memory answers one core fully only with this much under way: on Zen 4 one
 * thread reads packed weights at 12 GB/s without, 20 GB/s with 4 KiB, 31 GB/s from 8 KiB on. */
#define FH_FETCH_AHEAD_BYTES 8192

/* ---- a table ---- */

/* Rows [row, row_end) of a weight times rows [act, act_end) of the activations; row and act begin a group and a tile. */
typedef struct fh_product {
    const fh_weight *weight;
    const fh_act_view *act;
    size_t row, row_end, act_row, act_end;
    float *y; /* of weight row `row` and activation row `act_row` */
    size_t y_stride;
    bool add;
} fh_product;

void fh_product_run(const fh_product *p);
/* One group of rows of gate and up against one panel: gate.y = silu(gate x) * (up x). */
void fh_product_glu(fh_product gate, const fh_weight *up);

/* Query rows [row, row_end) of one sequence and one head of keys and values over its keys [key, key_end). Row r is query r / group of the
 * sequence, head r % group of the heads that share these keys, where group = heads / kv_heads. */
typedef struct fh_attn_part {
    const fh_attn *job;
    const fh_attn_seq *seq;
    size_t kv_head, row, row_end, key, key_end;
    float *partial; /* NULL: the result goes to job->out. Else for each row: head_dim sums, maximum, divisor; to be merged */
} fh_attn_part;
/* The first element of a head in row `key` of a sequence's keys or values; the rest of that page follows at kv_stride_bytes. */
static inline const uint8_t *fh_attn_rows(const fh_attn_part *p, const void *base, size_t key)
{
    const fh_attn *j = p->job;
    size_t page = p->seq->pages[key / FH_KV_PAGE_TOK], head = p->kv_head * fh_type_bytes(j->kv_type, j->head_dim);
    return (const uint8_t *)base + page * j->page_bytes + key % FH_KV_PAGE_TOK * j->kv_stride_bytes + head;
}
#define FH_ATTN_ROWS                     48 /* at most, in a part */
#define FH_ATTN_PARTIAL_FLOATS(head_dim) ((head_dim) + 2)

struct fh_kernels {
    fh_isa isa;
    bool packs; /* quantised types are packed and multiplied with quantised activations */
    /* Quantises `blocks` blocks of x; q and figures are the row's in its tile of m rows. */
    void (*quantise)(const float *x, size_t blocks, size_t m, int8_t *q, float *figures);
    void (*product_packed)(const fh_product *p);
    void (*halve)(const float *x, size_t blocks, uint8_t *to); /* a row's place among its 16; blocks FH_HALVES_BYTES apart */
    /* Packed weights with halves; with `up`, of the same shape, y = silu(W x) * (up x). NULL: there is none. */
    void (*product_wide)(const fh_product *p, const fh_weight *up);
    void (*product_float)(const fh_product *p);                                        /* GGUF layout, float arithmetic */
    float (*rms_scale)(const float *x, size_t n, float eps);                           /* 1 / sqrt(mean(x^2) + eps) */
    void (*norm_row)(const float *x, const float *w, float scale, size_t n, float *y); /* y = x * scale * w */
    void (*silu_mul)(const float *gate, const float *up, size_t n, float *y);
    void (*rope)(const float *x, const float *cs, size_t pairs, float *y);
    void (*store)(fh_type type, const float *x, size_t n, void *dst); /* as fh_ref_store, of finite x to the bit */
    void (*attend)(const fh_attn_part *part);
};

extern const fh_kernels fh_kernels_ref;
extern const fh_kernels fh_kernels_avx2, fh_kernels_avx512, fh_kernels_amx; /* x86 */
extern const fh_kernels fh_kernels_neon;                                    /* arm */

#endif
