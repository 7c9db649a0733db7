/* Weights in GGUF layout times float activations: F32, F16 and BF16, and every type where exact arithmetic was asked for. Compiled for
 * each instruction set.
 *
 * Dot products of four weight rows with a few activation rows at a time, over stretches of columns; weights that are no floats, or that
 * many activation rows use, are converted into a buffer first, a stretch at a time. */
#include "lanes.h"
#include "kernel/ref.h"

#define INLINE     static inline __attribute__((always_inline))
#define STRETCH    1024 /* columns */
#define W_ROWS     4
#define LONG_ROW   8192 /* bytes */
#define LONG_AHEAD 4096
#if LANES == 16
#define X_ROWS 4
#else
#define X_ROWS 2
#endif

typedef struct weights {
    fh_type type;
    const uint8_t *row[W_ROWS];
    size_t ahead; /* where the bytes lie that will be wanted a while later; 0: all is in the cache */
} weights;

INLINE vf load(fh_type type, const uint8_t *row, size_t col, size_t n)
{
    return n >= LANES ? vf_load_typed(type, row, col) : vf_load_typed_part(type, row, col, n);
}

/* sums[w][x] of `cols` columns; x_rows is 1 or X_ROWS. */
INLINE void dots(fh_type type, const weights *w, const float *const *x, const size_t x_rows, size_t cols, float sums[W_ROWS][X_ROWS])
{
    vf acc[W_ROWS][X_ROWS];
    for (size_t i = 0; i < W_ROWS; i++) {
        for (size_t j = 0; j < x_rows; j++) acc[i][j] = vf_zero();
    }
    for (size_t c = 0; c < cols; c += LANES) {
        size_t left = cols - c;
        vf xs[X_ROWS];
        for (size_t j = 0; j < x_rows; j++) xs[j] = left >= LANES ? vf_load(x[j] + c) : vf_load_part(x[j] + c, left);
        for (size_t i = 0; i < W_ROWS; i++) {
            if (x_rows == 1 && w->ahead) __builtin_prefetch(w->row[i] + c * (type == FH_TYPE_F32 ? 4 : 2) + w->ahead);
            vf v = load(type, w->row[i], c, left);
            for (size_t j = 0; j < x_rows; j++) acc[i][j] = vf_fma(v, xs[j], acc[i][j]);
        }
    }
    for (size_t i = 0; i < W_ROWS; i++) {
        for (size_t j = 0; j < x_rows; j++) sums[i][j] = vf_sum(acc[i][j]);
    }
}

INLINE void dots_typed(const weights *w, const float *const *x, const size_t x_rows, size_t cols, float sums[W_ROWS][X_ROWS])
{
    if (w->type == FH_TYPE_F32)
        dots(FH_TYPE_F32, w, x, x_rows, cols, sums);
    else if (w->type == FH_TYPE_F16)
        dots(FH_TYPE_F16, w, x, x_rows, cols, sums);
    else
        dots(FH_TYPE_BF16, w, x, x_rows, cols, sums);
}

/* Adds (or sets) the sums of one stretch of columns for activation rows [act, act + n). */
static void few_rows(const fh_product *p, const weights *w, size_t row, size_t act, size_t n, size_t col, size_t cols)
{
    const float *x[X_ROWS];
    float sums[W_ROWS][X_ROWS];
    for (size_t j = 0; j < X_ROWS; j++) x[j] = p->act->x + (act + FH_MIN(j, n - 1)) * p->act->x_stride + col;
    if (n == 1)
        dots_typed(w, x, 1, cols, sums);
    else
        dots_typed(w, x, X_ROWS, cols, sums);
    for (size_t j = 0; j < n; j++) {
        float *y = p->y + (act + j - p->act_row) * p->y_stride + row - p->row;
        for (size_t i = 0; i < FH_MIN(p->row_end - row, W_ROWS); i++) y[i] = col > 0 || p->add ? y[i] + sums[i][j] : sums[i][j];
    }
}

static void convert(fh_type type, const uint8_t *src, size_t n, float *dst)
{
    if (type != FH_TYPE_F16 && type != FH_TYPE_BF16) {
        fh_ref_dequant(type, src, dst, n);
        return;
    }
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) vf_store(dst + i, vf_load_typed(type, src, i));
    if (i < n) vf_store_part(dst + i, vf_load_typed_part(type, src, i, n - i), n - i);
}

static bool reads_directly(const fh_product *p)
{
    fh_type t = p->weight->type;
    return t == FH_TYPE_F32 || ((t == FH_TYPE_F16 || t == FH_TYPE_BF16) && p->act_end - p->act_row <= X_ROWS);
}

/* Four rows (the last ones repeat the final row) and one stretch of columns against all activation rows. */
static void stretch(const fh_product *p, size_t row, size_t col, size_t cols)
{
    const fh_weight *w = p->weight;
    _Alignas(64) float buffer[W_ROWS][STRETCH];
    weights four = {.type = FH_TYPE_F32};
    size_t at = col / fh_type_block_elems(w->type) * fh_type_block_bytes(w->type);
    bool direct = reads_directly(p);
    if (direct) {
        four.type = w->type;
        four.ahead = w->row_bytes <= LONG_ROW ? W_ROWS * w->row_bytes : LONG_AHEAD; /* the next four rows, or further along */
    }
    for (size_t i = 0; i < W_ROWS; i++) {
        const uint8_t *src = w->data + FH_MIN(row + i, p->row_end - 1) * w->row_bytes + at;
        if (!direct) convert(w->type, src, cols, buffer[i]);
        four.row[i] = direct ? src : (const uint8_t *)buffer[i];
    }
    for (size_t act = p->act_row; act < p->act_end; act += X_ROWS)
        few_rows(p, &four, row, act, FH_MIN(p->act_end - act, X_ROWS), col, cols);
}

void ISA(product_float)(const fh_product *p)
{
    for (size_t row = p->row; row < p->row_end; row += W_ROWS) {
        for (size_t col = 0; col < p->weight->cols; col += STRETCH) stretch(p, row, col, FH_MIN(p->weight->cols - col, STRETCH));
    }
}
