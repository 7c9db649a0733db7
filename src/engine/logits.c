/* The last product: logits of the rows that they are wanted of.
 *
 * Its rounding goes straight into the probabilities: with activations of 8 bits it alone made a quarter of the divergence from exact
 * arithmetic. So each row goes in as two, its nearest 8-bit values and what they leave, both exact to 8 bits: 16 bits in effect. The matrix
 * is read once for both rows, so decoding, which waits for memory, hardly notices. */
#include "transformer.h"

#include <math.h>

enum { PART_BLOCK = 32 }; /* elements that share a scale in quantised activations */

static void split_block(const float *x, float *high, float *low)
{
    float most = 0;
    for (size_t i = 0; i < PART_BLOCK; i++) most = fmaxf(most, fabsf(x[i]));
    float unit = most / 127, inverse = unit > 0 ? 1 / unit : 0;
    for (size_t i = 0; i < PART_BLOCK; i++) {
        high[i] = nearbyintf(x[i] * inverse) * unit;
        low[i] = x[i] - high[i];
    }
}

static void split_rows(const fh_transformer_pass *p)
{
    size_t first, last, e = p->m->shape.embd;
    fh_worker alone = {.pool = p->wk->pool, .index = 0, .count = 1};
    fh_worker_range(p->wk, p->rows, 1, &first, &last);
    for (size_t i = first; i < last; i++) {
        float *high = p->ws->parts + 2 * i * e, *low = high + e;
        fh_rms_norm(p->m->kernels, p->x + i * e, p->w->output_norm, p->w->eps, 1, e, low, &alone);
        for (size_t c = 0; c < e; c += PART_BLOCK) split_block(low + c, high + c, low + c);
    }
    fh_barrier(p->wk);
}

static void join_logits(const fh_transformer_pass *p)
{
    size_t first, last, vocab = p->m->shape.vocab;
    fh_worker_range(p->wk, vocab, 64, &first, &last);
    for (size_t i = 0; i < p->rows; i++) {
        const float *high = p->ws->part_logits + 2 * i * vocab, *low = high + vocab;
        float *to = p->step->logits + i * vocab;
        for (size_t c = first; c < last; c++) to[c] = high[c] + low[c];
    }
}

void fh_transformer_logits(const fh_transformer_pass *p)
{
    size_t e = p->m->shape.embd, vocab = p->m->shape.vocab;
    fh_transformer_work *ws = p->ws;
    if (ws->parts) {
        split_rows(p);
        fh_act_set_bytes(ws->act, ws->parts, 2 * p->rows, e, e, p->wk);
        fh_matmul(fh_transformer_output(p->w), ws->act, ws->part_logits, vocab, false, p->wk);
        fh_barrier(p->wk);
        join_logits(p);
    } else {
        fh_act_set_norm(ws->act, p->x, e, p->w->output_norm, p->w->eps, p->rows, e, p->wk);
        fh_matmul(fh_transformer_output(p->w), ws->act, p->step->logits, vocab, false, p->wk);
    }
    fh_barrier(p->wk);
}
