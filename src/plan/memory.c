/* What a model keeps of the tokens that it saw, by the rule of each group of layers (plan.h; docs/PLANNING.md has the rules with their
 * sources). */
#include "base/mem.h"
#include "plan_private.h"

#define FLOAT_BYTES  4u
#define CONV_COLUMNS 3u /* of a kernel of 4, the present one excepted */
#define HALF_BYTES   2u

static uint64_t divide_up(uint64_t a, uint64_t b)
{
    return b ? a / b + (a % b != 0) : a;
}

/* Heads over all ranks: those that do not divide evenly, and those beyond their number, are copies. */
static uint64_t heads_over(const fh_catalog_cache *c, unsigned ranks)
{
    return divide_up(c->heads, ranks) * ranks;
}

static bool sharded(const fh_catalog_cache *c)
{
    return c->kind == FH_CACHE_GQA || (c->kind == FH_CACHE_WINDOW && c->heads > 1);
}

/* One token of one layer over all ranks. */
static uint64_t row_bytes(const fh_catalog_cache *c, fh_plan_kv kv, unsigned ranks)
{
    bool narrow = kv == FH_PLAN_KV_8BIT && c->kind != FH_CACHE_WINDOW;
    uint64_t heads = sharded(c) ? heads_over(c, ranks) : (uint64_t)c->heads * ranks;
    if (c->row_bytes) return (uint64_t)c->row_bytes * ranks;
    if (narrow && c->row_bytes_8bit) return (uint64_t)c->row_bytes_8bit * ranks;
    return heads * (c->key + c->value) * (narrow ? 1 : HALF_BYTES);
}

static uint64_t state_bytes(const fh_catalog_cache *c, unsigned ranks)
{
    uint64_t matrices = heads_over(c, ranks) * c->key * c->value * FLOAT_BYTES;
    return matrices + (uint64_t)c->conv * CONV_COLUMNS * HALF_BYTES * divide_up(heads_over(c, ranks), c->heads);
}

static void add_cache(fh_plan_model *p, const fh_catalog_cache *c, fh_plan_kv kv, unsigned ranks)
{
    uint64_t layers = c->layers;
    if (c->kind == FH_CACHE_STATE)
        p->kv_fixed_bytes += layers * state_bytes(c, ranks);
    else if (c->kind == FH_CACHE_WINDOW)
        p->kv_fixed_bytes += layers * c->window * row_bytes(c, kv, ranks);
    else
        p->kv_bytes_per_tok += divide_up(layers * row_bytes(c, kv, ranks), FH_MAX(c->ratio, 1u));
}

fh_plan_model fh_plan_model_with(const fh_catalog_model *m, const fh_catalog_variant *v, fh_plan_kv kv, unsigned ranks)
{
    fh_plan_model p = {.weights_bytes = v ? v->bytes : 0, .context_max_tok = m->context_tok};
    ranks = FH_MAX(ranks, 1u);
    for (size_t i = 0; i < m->cache_count; i++) add_cache(&p, &m->caches[i], kv, ranks);
    if (m->cache_count == 0) {
        p.kv_bytes_per_tok = fh_plan_mul(m->kv_bytes_per_tok, ranks);
        p.kv_fixed_bytes = fh_plan_mul(m->kv_fixed_bytes, ranks);
    }
    return p;
}

fh_plan_model fh_plan_model_of(const fh_catalog_model *m, const fh_catalog_variant *v)
{
    return fh_plan_model_with(m, v, FH_PLAN_KV_16BIT, 1);
}
