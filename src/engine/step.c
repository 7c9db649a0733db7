/* One step: rows of several sequences are gathered, computed by all workers together, and the wanted rows sampled by them side by side. */
#include "engine_private.h"

#include <assert.h>
#include <string.h>

typedef struct run {
    fh_engine *e;
    void (*sample)(fh_engine *e, step_group *group);
} run;

static void compute(fh_engine *e, fh_worker *w)
{
    const fh_model *m = &e->model;
    const fh_arithmetic *does = m->family->does;
    does->embed(m, &e->step, e->hidden, w);
    for (size_t i = 0; i < m->stage_count; i++) does->layers(m, &m->stages[i], &e->step, e->hidden, w);
    does->outputs(m, &e->step, e->hidden, w);
}

static void step_main(fh_worker *w, void *arg)
{
    const run *r = arg;
    fh_engine *e = r->e;
    compute(e, w);
    for (size_t i = w->index; r->sample && i < e->group_count; i += w->count) r->sample(e, &e->groups[i]);
}

void engine_step(fh_engine *e, void (*sample)(fh_engine *e, step_group *group))
{
    run r = {e, sample};
    fh_pool_run(e->pool, step_main, &r);
}

void engine_step_clear(fh_engine *e)
{
    e->group_count = 0;
    e->step = (fh_step){.ids = e->ids,
                        .pos = e->pos,
                        .seqs = e->seqs,
                        .out = e->out,
                        .logits = e->logits,
                        .state_rows = e->state_rows,
                        .states = e->states};
}

void engine_step_add(fh_engine *e, size_t slot_index, const fh_token *ids, size_t count, size_t past, size_t wanted)
{
    fh_step *s = &e->step;
    assert(count > 0 && wanted <= count && s->count + count <= e->info.batch_tok && s->out_count + wanted <= e->logit_rows);
    assert(past + count <= e->info.context_tok);
    memcpy(e->ids + s->count, ids, count * sizeof *ids);
    for (size_t i = 0; i < count; i++) e->pos[s->count + i] = (int32_t)(past + i);
    for (size_t i = count - wanted; i < count; i++) e->out[s->out_count++] = (uint32_t)(s->count + i);
    const fh_kv_seq *kv = &e->slots[slot_index].kv;
    assert(fh_kv_pages_of(past + count) <= kv->count);
    e->seqs[s->seq_count++] = (fh_step_seq){.slot = slot_index, .first = s->count, .count = count, .past = past, .pages = kv->pages};
    s->count += count;
}

void engine_step_add_states(fh_engine *e, size_t slot_index, const fh_token *ids, size_t count, size_t past)
{
    fh_step *s = &e->step;
    size_t first = s->count;
    engine_step_add(e, slot_index, ids, count, past, 0);
    for (size_t i = first; i < s->count; i++) e->state_rows[s->state_count++] = (uint32_t)i;
}
