/* Products of mixtures of experts: the groups of rows of all experts that have activations are one line of work, which is shared out
 * between the workers by what each group costs, so that an expert that many rows chose does not hold the others up. */
#include "kernels.h"

#include <assert.h>

#define READ_COST 4 /* what reading a group of rows costs, in activation rows that go through it */

typedef struct job {
    const fh_weight *weight, *up; /* up: NULL, or the second matrix of a fused pair */
    size_t rows;                  /* of an expert */
    float *y;
} job;

static fh_act_view view_of_part(const fh_act_view *a, const fh_expert_part *t)
{
    fh_act_view v = *a;
    v.x += t->first * a->x_stride;
    v.n = t->count;
    if (a->tiles) v.tiles += t->first * (a->cols / FH_PACK_COLS) * FH_ACT_BLOCK_BYTES;
    return v;
}

/* Rows [row, row_end) of the part's expert against a panel of its activations. */
static void run_panel(const job *j, fh_product p, size_t row, size_t row_end)
{
    if (!j->up) {
        p.row_end = p.row + row_end - row;
        fh_product_run(&p);
        return;
    }
    for (; row < row_end; row += FH_PACK_ROWS) {
        p.row_end = p.row + FH_PACK_ROWS;
        fh_product_glu(p, j->up);
        p.row += FH_PACK_ROWS;
        p.y += FH_PACK_ROWS;
    }
}

static void run_part(const job *j, const fh_act_view *all, const fh_expert_part *t, size_t row, size_t row_end)
{
    fh_act_view view = view_of_part(all, t);
    fh_product p = {.weight = j->weight, .act = &view, .y_stride = j->rows};
    for (size_t i = 0; i < t->count; i += FH_PANEL_ROWS) {
        p.row = t->expert * j->rows + row;
        p.act_row = i;
        p.act_end = FH_MIN(i + FH_PANEL_ROWS, (size_t)t->count);
        p.y = j->y + (t->first + i) * j->rows + row;
        run_panel(j, p, row, row_end);
    }
}

static size_t cost_of(const fh_expert_part *t)
{
    return t->count + READ_COST;
}

/* The first of `groups` groups, each `cost` long from `begin` on, that begins at or behind `at`. */
static size_t group_behind(size_t at, size_t begin, size_t cost, size_t groups)
{
    return at <= begin ? 0 : FH_MIN((at - begin + cost - 1) / cost, groups);
}

static void run(const job *j, const fh_act_view *a, fh_expert_parts parts, fh_worker *w)
{
    assert(a->cols == j->weight->cols && (a->tiles || !j->weight->packed) && j->rows % FH_PACK_ROWS == 0);
    size_t groups = j->rows / FH_PACK_ROWS, total = 0, begin = 0, first, last;
    for (size_t i = 0; i < parts.count; i++) total += groups * cost_of(&parts.part[i]);
    fh_worker_range(w, total, 1, &first, &last);
    for (size_t i = 0; i < parts.count; i++) {
        size_t cost = cost_of(&parts.part[i]);
        size_t from = group_behind(first, begin, cost, groups), to = group_behind(last, begin, cost, groups);
        if (from < to) run_part(j, a, &parts.part[i], from * FH_PACK_ROWS, to * FH_PACK_ROWS);
        begin += groups * cost;
    }
}

void fh_matmul_parts(const fh_weight *weight, size_t rows, const fh_act *a, fh_expert_parts parts, float *y, fh_worker *w)
{
    job j = {.weight = weight, .rows = rows, .y = y};
    run(&j, fh_act_view_get(a, w), parts, w);
}

void fh_matmul_glu_parts(const fh_weight *gate, const fh_weight *up, size_t rows, const fh_act *a, fh_expert_parts parts, float *y,
                         fh_worker *w)
{
    assert(gate->rows == up->rows && gate->cols == up->cols && (!up->packed || fh_act_view_get(a, w)->tiles));
    job j = {.weight = gate, .up = up, .rows = rows, .y = y};
    run(&j, fh_act_view_get(a, w), parts, w);
}
