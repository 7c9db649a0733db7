/* Matrix products: shares groups of weight rows out between the workers, and walks them so that a panel of activations stays in the cache
 * while the weights pass by. */
#include "kernels.h"

#include <assert.h>

static size_t group_count(const fh_weight *w)
{
    return (w->rows + FH_PACK_ROWS - 1) / FH_PACK_ROWS;
}

void fh_product_run(const fh_product *p)
{
    const fh_kernels *k = p->weight->kernels;
    if (!p->weight->packed)
        k->product_float(p);
    else if (p->act->halves)
        k->product_wide(p, NULL);
    else
        k->product_packed(p);
}

/* Groups [first, last) of one weight against the whole batch. */
static void multiply(const fh_matmul_job *job, const fh_act_view *a, size_t first, size_t last)
{
    assert(a->cols == job->weight->cols && (a->tiles || a->halves || !job->weight->packed));
    fh_product p = {.weight = job->weight, .act = a, .y_stride = job->y_stride, .add = job->add};
    p.row = first * FH_PACK_ROWS;
    p.row_end = FH_MIN(last * FH_PACK_ROWS, job->weight->rows);
    size_t panel = a->halves && job->weight->packed ? a->n : FH_PANEL_ROWS; /* wide products have panels of their own */
    for (size_t i = 0; i < a->n; i += panel) {
        p.act_row = i;
        p.act_end = FH_MIN(i + panel, a->n);
        p.y = job->y + i * job->y_stride + p.row;
        fh_product_run(&p);
    }
}

void fh_matmul_many(const fh_matmul_job *jobs, size_t count, const fh_act *act, fh_worker *w)
{
    const fh_act_view *a = fh_act_view_get(act, w);
    size_t total = 0, first, last, begin = 0;
    for (size_t i = 0; i < count; i++) total += group_count(jobs[i].weight);
    fh_worker_range(w, total, 1, &first, &last);
    for (size_t i = 0; i < count; i++) {
        size_t end = begin + group_count(jobs[i].weight), from = FH_MAX(first, begin), to = FH_MIN(last, end);
        if (from < to) multiply(&jobs[i], a, from - begin, to - begin);
        begin = end;
    }
}

void fh_matmul(const fh_weight *weight, const fh_act *a, float *y, size_t y_stride, bool add, fh_worker *w)
{
    fh_matmul_job job = {weight, y, y_stride, add};
    fh_matmul_many(&job, 1, a, w);
}

/* The gate into y, up beside it, and the activation while both are in the first cache. */
void fh_product_glu(fh_product gate, const fh_weight *up)
{
    float beside[FH_PANEL_ROWS * FH_PACK_ROWS];
    fh_product_run(&gate);
    fh_product other = gate;
    other.weight = up;
    other.y = beside;
    other.y_stride = FH_PACK_ROWS;
    fh_product_run(&other);
    for (size_t i = 0; i < gate.act_end - gate.act_row; i++) {
        float *row = gate.y + i * gate.y_stride;
        gate.weight->kernels->silu_mul(row, beside + i * FH_PACK_ROWS, gate.row_end - gate.row, row);
    }
}

/* Groups [first, last) against the whole batch. */
static void glu_wide(fh_product p, const fh_weight *up, float *y, size_t first, size_t last)
{
    p.row = first * FH_PACK_ROWS;
    p.row_end = FH_MIN(last * FH_PACK_ROWS, p.weight->rows);
    p.act_end = p.act->n;
    p.y = y + p.row;
    p.weight->kernels->product_wide(&p, up);
}

void fh_matmul_glu(const fh_weight *gate, const fh_weight *up, const fh_act *act, float *y, size_t y_stride, fh_worker *w)
{
    assert(gate->rows == up->rows && gate->cols == up->cols);
    const fh_act_view *a = fh_act_view_get(act, w);
    assert(a->cols == gate->cols && (a->tiles || a->halves || !(gate->packed || up->packed)));
    size_t first, last;
    fh_worker_range(w, group_count(gate), 1, &first, &last);
    fh_product p = {.weight = gate, .act = a, .y_stride = y_stride};
    if (a->halves && gate->packed && up->packed) {
        glu_wide(p, up, y, first, last);
        return;
    }
    for (size_t i = 0; i < a->n; i += FH_PANEL_ROWS) {
        p.act_row = i;
        p.act_end = FH_MIN(i + FH_PANEL_ROWS, a->n);
        for (size_t g = first; g < last; g++) {
            p.row = g * FH_PACK_ROWS;
            p.row_end = FH_MIN(p.row + FH_PACK_ROWS, gate->rows);
            p.y = y + i * y_stride + p.row;
            fh_product_glu(p, up);
        }
    }
}
