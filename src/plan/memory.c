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

static const struct {
    const char *name;
    uint32_t bytes; /* of 32 elements */
    bool asked;     /* by people */
} kv_types[FH_PLAN_KV_TYPES] = {[FH_PLAN_KV_16BIT] = {"f16", 64, true},
                                [FH_PLAN_KV_8BIT] = {"fp8", 32, false},
                                [FH_PLAN_KV_Q8_0] = {"q8_0", 34, true},
                                [FH_PLAN_KV_Q4_0] = {"q4_0", 18, true}};

int fh_plan_kv_parse(fh_str name, fh_plan_kv *ret, fh_err **err)
{
    if (!name.len) name = FH_STR("f16");
    for (size_t i = 0; i < FH_PLAN_KV_TYPES; i++) {
        if (!kv_types[i].asked || !fh_str_eqs(name, kv_types[i].name)) continue;
        *ret = (fh_plan_kv)i;
        return 0;
    }
    fh_err_set(err, FH_E_INVALID, "a cache cannot be kept as '%.*s'", (int)FH_MIN(name.len, (size_t)32), name.ptr);
    fh_err_hint(err, "it can as f16, q8_0 or q4_0");
    fh_err_param(err, "kv_type");
    return FH_E_INVALID;
}

bool fh_plan_kv_same(const char *a, const char *b)
{
    fh_plan_kv x, y;
    return fh_plan_kv_parse(fh_str_of(a), &x, NULL) == 0 && fh_plan_kv_parse(fh_str_of(b), &y, NULL) == 0 && x == y;
}

const char *fh_plan_kv_name(fh_plan_kv kv)
{
    return kv_types[kv].name;
}

uint64_t fh_plan_kv_bytes(fh_plan_kv kv, uint64_t bytes_16bit)
{
    uint32_t per = kv_types[FH_PLAN_KV_16BIT].bytes;
    return bytes_16bit / per * kv_types[kv].bytes + divide_up(bytes_16bit % per * kv_types[kv].bytes, per);
}

static bool sharded(const fh_catalog_cache *c)
{
    return c->kind == FH_CACHE_GQA || (c->kind == FH_CACHE_WINDOW && c->heads > 1);
}

/* One token of one layer over all ranks. */
static uint64_t row_bytes(const fh_catalog_cache *c, fh_plan_kv kv, unsigned ranks)
{
    bool narrow = kv == FH_PLAN_KV_8BIT && c->kind != FH_CACHE_WINDOW, blocks = c->kind == FH_CACHE_GQA || c->kind == FH_CACHE_MLA;
    uint64_t heads = sharded(c) ? heads_over(c, ranks) : (uint64_t)c->heads * ranks;
    if (c->row_bytes) return (uint64_t)c->row_bytes * ranks;
    if (narrow && c->row_bytes_8bit) return (uint64_t)c->row_bytes_8bit * ranks;
    if (narrow) return heads * (c->key + c->value);
    return fh_plan_kv_bytes(blocks ? kv : FH_PLAN_KV_16BIT, heads * (c->key + c->value) * HALF_BYTES);
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
