/* A layer's mixture of experts: each row goes through the few experts that its router gives the most, and takes shares of what they say.
 *
 * A step's rows are gathered by expert, so that each expert's matrices are read once whatever the number of rows that chose it. A row's sum
 * is taken in the order of its own choice, most probable first: what else is in the step changes nothing. */
#include "transformer.h"

#include <math.h>

typedef struct lane { /* one worker's own: all workers sort alike, which takes less time than a barrier */
    uint32_t *rows;   /* [choice, sorted by expert] its row of the step */
    uint32_t *slots;  /* [row][rank] where that choice was sorted to */
    uint32_t *next;   /* [expert] while sorting */
    fh_expert_part *parts;
} lane;

struct fh_mixture_work {
    float *normed, *scores;  /* [row][embd], [row][expert] */
    float *shares, *h, *out; /* [row][rank]; [choice][ff], [choice][embd] */
    uint32_t *chosen;        /* [row][rank] */
    fh_act *act;             /* of choices */
    lane *lanes;
    unsigned workers;
};

/* ---- memory ---- */

void fh_mixture_work_free(fh_mixture_work *x)
{
    if (!x) return;
    float *floats[] = {x->normed, x->scores, x->shares, x->h, x->out};
    for (size_t i = 0; i < FH_COUNT(floats); i++) fh_free(floats[i]);
    fh_free(x->chosen);
    fh_act_free(x->act);
    for (unsigned i = 0; x->lanes && i < x->workers; i++) {
        uint32_t *numbers[] = {x->lanes[i].rows, x->lanes[i].slots, x->lanes[i].next};
        for (size_t n = 0; n < FH_COUNT(numbers); n++) fh_free(numbers[n]);
        fh_free(x->lanes[i].parts);
    }
    fh_free(x->lanes);
    fh_free(x);
}

static bool make_lanes(fh_mixture_work *x, size_t choices, size_t experts, unsigned workers)
{
    x->lanes = fh_calloc(workers, sizeof *x->lanes);
    if (!x->lanes) return false;
    x->workers = workers;
    for (unsigned i = 0; i < workers; i++) {
        lane *n = &x->lanes[i];
        n->rows = fh_calloc(choices, sizeof *n->rows);
        n->slots = fh_calloc(choices, sizeof *n->slots);
        n->next = fh_calloc(experts, sizeof *n->next);
        n->parts = fh_calloc(experts, sizeof *n->parts);
        if (!n->rows || !n->slots || !n->next || !n->parts) return false;
    }
    return true;
}

static bool make_work(fh_mixture_work *x, const fh_model *m, size_t rows, size_t choices, unsigned workers)
{
    const fh_transformer *w = m->weights;
    size_t e = m->shape.embd, experts = w->mixture.experts;
    x->chosen = fh_calloc(choices, sizeof *x->chosen);
    return x->chosen && fh_transformer_floats(&x->normed, rows, e) && fh_transformer_floats(&x->scores, rows, experts) &&
           fh_transformer_floats(&x->shares, choices, 1) && fh_transformer_floats(&x->h, choices, w->ff) &&
           fh_transformer_floats(&x->out, choices, e) && make_lanes(x, choices, experts, workers);
}

int fh_mixture_work_new(fh_mixture_work **ret, const fh_model *m, size_t rows, unsigned workers, fh_err **err)
{
    const fh_transformer *w = m->weights;
    size_t choices;
    if (fh_mul_overflows(rows, w->mixture.used, &choices) || choices > UINT32_MAX) return fh_err_nomem(err);
    FH_AUTO(fh_mixture_work) fh_mixture_work *x = fh_calloc(1, sizeof *x);
    if (!x || !make_work(x, m, rows, choices, workers)) return fh_err_nomem(err);
    int rc = fh_act_new(&x->act, m->kernels, choices, FH_MAX((size_t)m->shape.embd, (size_t)w->ff), err);
    if (rc) return rc;
    *ret = fh_take(x);
    return 0;
}

/* ---- choosing ---- */

static bool is_chosen(const uint32_t *chosen, uint32_t count, uint32_t expert)
{
    for (uint32_t i = 0; i < count; i++)
        if (chosen[i] == expert) return true;
    return false;
}

/* The highest scores in order; of equals the first. */
static void choose(const float *scores, uint32_t experts, uint32_t used, uint32_t *chosen)
{
    for (uint32_t n = 0; n < used; n++) {
        uint32_t best = UINT32_MAX;
        for (uint32_t e = 0; e < experts; e++)
            if (!is_chosen(chosen, n, e) && (best == UINT32_MAX || scores[e] > scores[best])) best = e;
        chosen[n] = best;
    }
}

static void share(const float *scores, const fh_mixture *x, const uint32_t *chosen, float *shares)
{
    float most = scores[chosen[0]], sum = 0;
    for (uint32_t i = 0; i < x->used; i++) shares[i] = expf(scores[chosen[i]] - most);
    for (uint32_t i = 0; x->norm && i < x->used; i++) sum += shares[i];
    for (uint32_t e = 0; !x->norm && e < x->experts; e++) sum += expf(scores[e] - most);
    for (uint32_t i = 0; i < x->used; i++) shares[i] = shares[i] / sum * x->scale;
}

static void route(const fh_transformer_pass *p, const fh_transformer_layer *y)
{
    const fh_mixture *x = &p->w->mixture;
    fh_mixture_work *ws = p->ws->mixture;
    size_t first, last, e = p->m->shape.embd;
    fh_rms_norm(p->m->kernels, p->x, y->ffn_norm, p->w->eps, p->rows, e, ws->normed, p->wk);
    fh_barrier(p->wk);
    fh_act_set(p->ws->act, ws->normed, p->rows, e, e, p->wk);
    fh_matmul(y->router, p->ws->act, ws->scores, x->experts, false, p->wk);
    fh_barrier(p->wk);
    fh_worker_range(p->wk, p->rows, 1, &first, &last);
    for (size_t i = first; i < last; i++) {
        const float *scores = ws->scores + i * x->experts;
        choose(scores, x->experts, x->used, ws->chosen + i * x->used);
        share(scores, x, ws->chosen + i * x->used, ws->shares + i * x->used);
    }
    fh_barrier(p->wk);
}

/* Sorts the choices of all rows by expert, stable; the parts that came of it. */
static fh_expert_parts gather(const fh_transformer_pass *p)
{
    const fh_mixture *x = &p->w->mixture;
    lane *n = &p->ws->mixture->lanes[p->wk->index];
    const uint32_t *chosen = p->ws->mixture->chosen;
    uint32_t choices = (uint32_t)p->rows * x->used, at = 0;
    fh_expert_parts parts = {n->parts, 0};
    for (uint32_t e = 0; e < x->experts; e++) n->next[e] = 0;
    for (uint32_t i = 0; i < choices; i++) n->next[chosen[i]]++;
    for (uint32_t e = 0; e < x->experts; e++) {
        uint32_t count = n->next[e];
        n->next[e] = at;
        if (count) n->parts[parts.count++] = (fh_expert_part){e, at, count};
        at += count;
    }
    for (uint32_t i = 0; i < choices; i++) {
        n->slots[i] = n->next[chosen[i]]++;
        n->rows[n->slots[i]] = i / x->used;
    }
    return parts;
}

/* ---- computing ---- */

static void add_shares(const fh_transformer_pass *p)
{
    const fh_mixture_work *ws = p->ws->mixture;
    const uint32_t *slots = ws->lanes[p->wk->index].slots;
    size_t first, last, e = p->m->shape.embd, used = p->w->mixture.used;
    fh_worker_range(p->wk, p->rows * e, 16, &first, &last);
    for (size_t i = first; i < last;) {
        size_t row = i / e, col = i % e, end = FH_MIN(e, last - row * e);
        for (size_t k = 0; k < used; k++) {
            const float *from = ws->out + slots[row * used + k] * e;
            float by = ws->shares[row * used + k];
            float *to = p->x + row * e;
            for (size_t c = col; c < end; c++) to[c] += by * from[c];
        }
        i = row * e + end;
    }
}

void fh_mixture_add(const fh_transformer_pass *p, const fh_transformer_layer *y)
{
    fh_mixture_work *ws = p->ws->mixture;
    size_t e = p->m->shape.embd, ff = p->w->ff;
    bool floats = fh_weight_borrows(y->gate) || fh_weight_borrows(y->up);
    route(p, y);
    fh_expert_parts parts = gather(p);
    fh_act_set_parts(ws->act, ws->normed, e, ws->lanes[p->wk->index].rows, parts, floats, p->wk);
    fh_matmul_glu_parts(y->gate, y->up, ff, ws->act, parts, ws->h, p->wk);
    fh_barrier(p->wk);
    fh_act_set_parts(ws->act, ws->h, ff, NULL, parts, fh_weight_borrows(y->down), p->wk);
    fh_matmul_parts(y->down, e, ws->act, parts, ws->out, p->wk);
    fh_barrier(p->wk);
    add_shares(p);
    fh_barrier(p->wk);
}
