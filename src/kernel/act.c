/* Activations: the float rows of a batch and, for tables that multiply in 8 bits, their quantised tiles, or brain floats of a large one.
 *
 * A small batch is quantised by every worker for itself, because that takes less time than a barrier; a large one is shared out by blocks
 * and ends with a barrier. Each worker has a view of its own, so nothing here is written by two. */
#include "kernels.h"

#include <assert.h>
#include <string.h>

_Static_assert(FH_HALVES_BYTES / FH_HALVES_ROWS >= FH_ACT_BLOCK_BYTES, "tiles fit where halves do");

#define OWN_WORKERS     16
#define OWN_ELEMS       4096 /* rows * columns of a batch that each worker does for itself */
#define OWN_FLOAT_BYTES (OWN_ELEMS * sizeof(float))
#define OWN_BYTES       (OWN_FLOAT_BYTES + OWN_ELEMS / FH_PACK_COLS * FH_ACT_BLOCK_BYTES)

typedef struct view_slot {
    _Alignas(64) fh_act_view view;
} view_slot;

struct fh_act {
    const fh_kernels *kernels;
    size_t max_rows, max_cols;
    float *floats;  /* normalised rows of a large batch */
    uint8_t *tiles; /* quantised rows of a large batch, or its halves */
    uint8_t *own;   /* OWN_BYTES a worker: normalised rows, tiles */
    view_slot views[FH_POOL_MAX];
};

/* One call of fh_act_set, or one part of fh_act_set_parts. norm is NULL when rows are taken as they are; rows: where they lie, or NULL. */
typedef struct fill {
    const fh_kernels *kernels;
    const float *x, *norm;
    const uint32_t *rows;
    bool copies; /* rows are wanted as floats too */
    size_t x_stride, n, cols;
    float eps;
    float *floats;
    uint8_t *tiles, *halves; /* one of them, or none */
    bool bytes;              /* no halves, whatever the size */
} fill;

static bool alloc_buffers(fh_act *a, size_t padded_cols)
{
    size_t elems, bytes, rows;
    if (fh_add_overflows(a->max_rows, FH_HALVES_ROWS - 1, &rows)) return false;
    rows = rows / FH_HALVES_ROWS * FH_HALVES_ROWS;
    if (fh_mul_overflows(rows, padded_cols, &elems) || fh_mul_overflows(elems, sizeof(float), &bytes)) return false;
    a->floats = fh_alloc_aligned(64, bytes);
    a->tiles = fh_alloc_aligned(64, elems / FH_PACK_COLS * (FH_HALVES_BYTES / FH_HALVES_ROWS));
    a->own = fh_alloc_aligned(64, OWN_WORKERS * OWN_BYTES);
    return a->floats && a->tiles && a->own;
}

int fh_act_new(fh_act **ret, const fh_kernels *k, size_t max_rows, size_t max_cols, fh_err **err)
{
    size_t padded;
    if (fh_add_overflows(max_cols, FH_PACK_COLS - 1, &padded))
        return fh_err_set(err, FH_E_TOO_LARGE, "activations of %zu columns do not fit into memory", max_cols);
    FH_AUTO(fh_act) fh_act *a = fh_alloc_aligned(64, sizeof *a);
    if (!a) return fh_err_nomem(err);
    *a = (fh_act){.kernels = k, .max_rows = max_rows, .max_cols = max_cols};
    if (!alloc_buffers(a, padded / FH_PACK_COLS * FH_PACK_COLS)) return fh_err_nomem(err);
    *ret = fh_take(a);
    return 0;
}

void fh_act_free(fh_act *a)
{
    if (!a) return;
    fh_free(a->floats);
    fh_free(a->tiles);
    fh_free(a->own);
    fh_free(a);
}

static void quantise_blocks(const fill *f, const float *x, size_t row, size_t block, size_t block_end)
{
    size_t blocks = f->cols / FH_PACK_COLS, tile = row / FH_TILE_ROWS * FH_TILE_ROWS, m = FH_MIN(f->n - tile, FH_TILE_ROWS);
    int8_t *q = (int8_t *)f->tiles + tile * blocks * FH_ACT_BLOCK_BYTES;
    float *figures = (float *)(void *)(q + m * blocks * FH_PACK_COLS);
    f->kernels->quantise(x + block * FH_PACK_COLS, block_end - block, m, q + (block * m + row - tile) * FH_PACK_COLS,
                         figures + block * m * FH_FIGS + row - tile);
}

static void halve_blocks(const fill *f, const float *x, size_t row, size_t block, size_t block_end)
{
    size_t blocks = f->cols / FH_PACK_COLS, tile = row / FH_HALVES_ROWS, place = row % FH_HALVES_ROWS;
    f->kernels->halve(x + block * FH_PACK_COLS, block_end - block,
                      f->halves + (tile * blocks + block) * FH_HALVES_BYTES + place * FH_PACK_COLS * 2);
}

/* Blocks [block, block_end) of a row; the scale of the norm is computed by each worker that has a part of the row. */
static void fill_row(const fill *f, size_t row, size_t block, size_t block_end)
{
    const float *x = f->x + (f->rows ? f->rows[row] : row) * f->x_stride;
    float *y = f->floats + row * f->cols;
    size_t col = block * FH_PACK_COLS, col_end = FH_MIN(block_end * FH_PACK_COLS, f->cols);
    if (f->copies) memcpy(y + col, x + col, (col_end - col) * sizeof *y);
    if (f->norm) {
        float scale = f->kernels->rms_scale(x, f->cols, f->eps);
        f->kernels->norm_row(x + col, f->norm + col, scale, col_end - col, y + col);
        x = y;
    }
    if (f->tiles) quantise_blocks(f, x, row, block, block_end);
    if (f->halves) halve_blocks(f, x, row, block, block_end);
}

static void fill_range(const fill *f, size_t first, size_t last)
{
    size_t blocks = (f->cols + FH_PACK_COLS - 1) / FH_PACK_COLS;
    while (first < last) {
        size_t row = first / blocks, end = FH_MIN((row + 1) * blocks, last);
        fill_row(f, row, first - row * blocks, end - row * blocks);
        first = end;
    }
}

static void set(fh_act *a, fill f, fh_worker *w)
{
    assert(f.n <= a->max_rows && f.cols <= a->max_cols && f.n > 0 && f.cols > 0 && w->index < FH_POOL_MAX);
    size_t items = f.n * ((f.cols + FH_PACK_COLS - 1) / FH_PACK_COLS), first = 0, last = items;
    bool quantises = a->kernels->packs && f.cols % FH_PACK_COLS == 0;
    bool wide = quantises && a->kernels->product_wide && f.n >= FH_WIDE_ROWS && !f.bytes;
    bool own = !wide && items * FH_PACK_COLS <= OWN_ELEMS && w->count <= OWN_WORKERS;
    uint8_t *mine = a->own + w->index * OWN_BYTES; /* not read where count > OWN_WORKERS */
    f.kernels = a->kernels;
    f.floats = own ? (float *)(void *)mine : a->floats;
    f.tiles = !quantises || wide ? NULL : own ? mine + OWN_FLOAT_BYTES : a->tiles;
    f.halves = wide ? a->tiles : NULL;
    a->views[w->index].view = (fh_act_view){f.norm ? f.floats : f.x, f.norm ? f.cols : f.x_stride, f.n, f.cols, f.tiles, f.halves};
    if (!own) fh_worker_range(w, items, 1, &first, &last);
    if (quantises || f.norm) fill_range(&f, first, last);
    if (!own) fh_barrier(w);
}

void fh_act_set(fh_act *a, const float *x, size_t n, size_t cols, size_t x_stride, fh_worker *w)
{
    set(a, (fill){.x = x, .n = n, .cols = cols, .x_stride = x_stride}, w);
}

void fh_act_set_bytes(fh_act *a, const float *x, size_t n, size_t cols, size_t x_stride, fh_worker *w)
{
    set(a, (fill){.x = x, .n = n, .cols = cols, .x_stride = x_stride, .bytes = true}, w);
}

void fh_act_set_norm(fh_act *a, const float *x, size_t x_stride, const float *norm, float eps, size_t n, size_t cols, fh_worker *w)
{
    set(a, (fill){.x = x, .x_stride = x_stride, .norm = norm, .eps = eps, .n = n, .cols = cols}, w);
}

/* ---- parts of a mixture of experts: each has tiles of its own ---- */

static fill fill_of_part(const fill *all, const fh_expert_part *p)
{
    fill f = *all;
    f.n = p->count;
    if (f.rows)
        f.rows += p->first;
    else
        f.x += p->first * f.x_stride;
    f.floats += p->first * f.cols;
    if (f.tiles) f.tiles += p->first * (f.cols / FH_PACK_COLS) * FH_ACT_BLOCK_BYTES;
    return f;
}

static void fill_parts(const fill *f, fh_expert_parts parts, size_t first, size_t last)
{
    size_t blocks = (f->cols + FH_PACK_COLS - 1) / FH_PACK_COLS;
    for (size_t i = 0; i < parts.count; i++) {
        const fh_expert_part *p = &parts.part[i];
        size_t begin = p->first * blocks, end = begin + p->count * blocks, from = FH_MAX(first, begin), to = FH_MIN(last, end);
        fill mine = fill_of_part(f, p);
        if (from < to) fill_range(&mine, from - begin, to - begin);
    }
}

void fh_act_set_parts(fh_act *a, const float *x, size_t cols, const uint32_t *rows, fh_expert_parts parts, bool floats, fh_worker *w)
{
    const fh_expert_part *end = &parts.part[parts.count - 1];
    size_t n = end->first + end->count, first, last;
    bool quantises = a->kernels->packs && cols % FH_PACK_COLS == 0;
    fill f = {.kernels = a->kernels, .x = x, .rows = rows, .x_stride = cols, .n = n, .cols = cols, .floats = a->floats};
    assert(n <= a->max_rows && cols <= a->max_cols && w->index < FH_POOL_MAX);
    f.copies = rows && (floats || !quantises);
    f.tiles = quantises ? a->tiles : NULL;
    a->views[w->index].view = (fh_act_view){.x = f.copies ? a->floats : x, .x_stride = cols, .n = n, .cols = cols, .tiles = f.tiles};
    fh_worker_range(w, n * ((cols + FH_PACK_COLS - 1) / FH_PACK_COLS), 1, &first, &last);
    if (f.tiles || f.copies) fill_parts(&f, parts, first, last);
    fh_barrier(w);
}

const fh_act_view *fh_act_view_get(const fh_act *a, const fh_worker *w)
{
    return &a->views[w->index].view;
}
