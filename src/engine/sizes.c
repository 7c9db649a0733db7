/* How large everything becomes, chosen and held against the machine before anything is made. */
#include "base/limits.h"
#include "engine_private.h"
#include "sys/cpu.h"

#include <string.h>

typedef struct sizes { /* what will be made, before it is */
    uint64_t weights, kv, drafts, fixed;
} sizes;

static uint64_t kv_tokens(const fh_engine_info *i)
{
    return (uint64_t)i->parallel * fh_kv_pages_of(i->context_tok) * FH_KV_PAGE_TOK;
}

static const struct {
    const char *name;
    fh_type type;
} kv_kinds[] = {[FH_ENGINE_KV_DEFAULT] = {"f32", FH_TYPE_F32},
                [FH_ENGINE_KV_F16] = {"f16", FH_TYPE_F16},
                [FH_ENGINE_KV_Q8_0] = {"q8_0", FH_TYPE_Q8_0},
                [FH_ENGINE_KV_Q4_0] = {"q4_0", FH_TYPE_Q4_0}};

int fh_engine_kv_parse(const char *name, fh_engine_kv *ret, fh_err **err)
{
    fh_engine_kv kind = FH_ENGINE_KV_DEFAULT;
    for (size_t i = FH_ENGINE_KV_F16; name && i < FH_COUNT(kv_kinds); i++)
        if (strcmp(name, kv_kinds[i].name) == 0) kind = (fh_engine_kv)i;
    if (name && kind == FH_ENGINE_KV_DEFAULT) {
        fh_err_set(err, FH_E_USAGE, "the cache cannot be kept as '%.32s'", name);
        fh_err_hint(err, "it can as f16, q8_0 or q4_0");
        return FH_E_USAGE;
    }
    *ret = kind;
    return 0;
}

static int choose_kv(fh_engine *e, const fh_engine_options *o, fh_err **err)
{
    fh_engine_kv kind = o->kv == FH_ENGINE_KV_DEFAULT && !o->exact ? FH_ENGINE_KV_F16 : o->kv;
    size_t bytes;
    e->kv_type = kv_kinds[kind].type;
    e->info.kv_type = kv_kinds[kind].name;
    if (fh_type_row_bytes(e->kv_type, e->model.shape.head_dim, &bytes)) return 0;
    fh_err_set(err, FH_E_USAGE, "the heads of this model are %u numbers, and %s keeps %zu together", e->model.shape.head_dim,
               e->info.kv_type, fh_type_block_elems(e->kv_type));
    fh_err_hint(err, "leave its cache in f16");
    return FH_E_USAGE;
}

fh_kv engine_kv_shape(const fh_engine *e)
{
    const fh_shape *s = &e->model.shape;
    size_t row = fh_type_bytes(e->kv_type, (size_t)s->kv_heads * s->head_dim);
    return (fh_kv){.type = e->kv_type, .layers = s->layers, .row_bytes = row, .page_count = e->info.kv_tok / FH_KV_PAGE_TOK};
}

static uint64_t memory_available(const fh_engine_options *o)
{
    fh_topo t = {0};
    fh_topo_read(&t);
    uint64_t have = t.memory_available_bytes ? t.memory_available_bytes : UINT64_MAX;
    return o->memory_limit_bytes ? FH_MIN(have, o->memory_limit_bytes) : have;
}

static int refuse_memory(const sizes *need, uint64_t have, uint64_t context_fits, fh_err **err)
{
    const double mib = 1024.0 * 1024.0;
    fh_err_set(err, FH_E_NOMEM, "the model needs %.0f MiB for weights, %.0f MiB for the cache and %.0f MiB besides; %.0f MiB are there",
               (double)need->weights / mib, (double)need->kv / mib, (double)(need->drafts + need->fixed) / mib, (double)have / mib);
    if (context_fits >= 64)
        fh_err_hint(err, "--context %llu with the same --parallel would fit", (unsigned long long)context_fits);
    else
        fh_err_hint(err, "take a smaller variant of the model, or fewer sequences with --parallel");
    return FH_E_NOMEM;
}

/* Where partial results of attention lie that is split along keys. */
static uint64_t scratch_floats(const fh_engine *e, const fh_engine_options *o)
{
    unsigned workers = o->threads ? o->threads : fh_topo_threads();
    return e->info.deterministic ? 0 : fh_attn_scratch_floats(e->model.shape.heads, e->model.shape.head_dim, workers);
}

/* A page that is on its way to disk. */
static uint64_t writer_bytes(const fh_engine *e, const fh_engine_options *o)
{
    return o->page_cache ? engine_kv_shape(e).row_bytes * e->model.shape.layers * 2 * FH_KV_PAGE_TOK : 0;
}

/* Buffers of a step, and 16 MiB for all that is small. */
static uint64_t fixed_bytes(const fh_engine *e, const fh_engine_options *o)
{
    const fh_shape *s = &e->model.shape;
    uint64_t floats = (uint64_t)e->logit_rows * 3 * s->vocab + (uint64_t)e->info.batch_tok * s->row_floats + scratch_floats(e, o);
    return floats * sizeof(float) + writer_bytes(e, o) + (16u << 20);
}

/* What sequences of so many tokens guess by; a prediction may be as long as they. */
static uint64_t drafts_bytes(const fh_engine *e, size_t context_tok)
{
    return e->drafts == FH_DRAFTS_NEVER ? 0 : e->info.parallel * draft_bytes(2 * context_tok);
}

/* Tokens of a context with which all would fit, in whole pages. */
static uint64_t context_that_fits(const fh_engine *e, const sizes *need, uint64_t have)
{
    uint64_t besides = need->weights + need->fixed, pages = have > besides ? (have - besides) / e->info.parallel : 0;
    uint64_t page = engine_kv_shape(e).row_bytes * e->model.shape.layers * 2 * FH_KV_PAGE_TOK;
    pages /= page + (e->drafts == FH_DRAFTS_NEVER ? 0 : DRAFT_TOK_BYTES * 2 * FH_KV_PAGE_TOK);
    return pages * FH_KV_PAGE_TOK;
}

/* The context that was asked for must fit; one that we chose is lowered until it does. */
static int fit_memory(fh_engine *e, const fh_engine_options *o, const fh_load *l, fh_err **err)
{
    fh_kv kv = engine_kv_shape(e);
    size_t kv_bytes;
    if (!fh_kv_bytes(&kv, &kv_bytes)) return fh_err_nomem(err);
    uint64_t have = memory_available(o);
    sizes need = {.weights = l->packed_bytes, .kv = kv_bytes, .drafts = drafts_bytes(e, e->info.context_tok), .fixed = fixed_bytes(e, o)};
    if (need.weights + need.kv + need.drafts + need.fixed <= have) return 0;
    uint64_t fits = context_that_fits(e, &need, have);
    if (o->context_tok || o->kv_tok || fits < FH_MIN(512u, e->info.context_tok)) return refuse_memory(&need, have, fits, err);
    e->info.context_tok = (uint32_t)FH_MIN(fits, (uint64_t)e->info.context_tok);
    e->info.kv_tok = kv_tokens(&e->info);
    return 0;
}

static void choose_sizes(fh_engine *e, const fh_engine_options *o)
{
    fh_engine_info *i = &e->info;
    uint32_t trained = e->model.shape.trained_context_tok;
    i->trained_context_tok = trained;
    i->context_tok = o->context_tok ? o->context_tok : FH_MIN(trained, (uint32_t)FH_ENGINE_CONTEXT_DEFAULT);
    i->parallel = o->parallel ? o->parallel : FH_ENGINE_PARALLEL_DEFAULT;
    i->batch_tok = FH_MAX(o->batch_tok ? o->batch_tok : FH_ENGINE_BATCH_DEFAULT, i->parallel);
    i->kv_tok = o->kv_tok ? fh_kv_pages_of(o->kv_tok) * FH_KV_PAGE_TOK : kv_tokens(i);
    i->deterministic = o->deterministic;
    i->exact = o->exact;
    e->drafts = o->drafts;
    e->logit_rows = FH_MAX((size_t)i->parallel, (size_t)EVAL_ROWS);
}

int engine_check_options(const fh_engine *e, const fh_engine_options *o, fh_err **err)
{
    if (o->parallel > FH_LIMIT_STREAMS)
        return fh_err_set(err, FH_E_USAGE, "%u sequences at once asked for, at most %d", o->parallel, FH_LIMIT_STREAMS);
    if (o->batch_tok > FH_ENGINE_BATCH_MAX)
        return fh_err_set(err, FH_E_USAGE, "%u tokens a step asked for, at most %d", o->batch_tok, FH_ENGINE_BATCH_MAX);
    uint32_t trained = e->model.shape.trained_context_tok;
    if (o->context_tok <= trained) return 0;
    fh_err_set(err, FH_E_USAGE, "a context of %u tokens asked for, the model was made for %u", o->context_tok, trained);
    fh_err_hint(err, "ask for at most --context %u", trained);
    return FH_E_USAGE;
}

static int check_cache(const fh_engine *e, fh_err **err)
{
    const fh_engine_info *i = &e->info;
    if (i->kv_tok >= i->context_tok) return 0;
    fh_err_set(err, FH_E_USAGE, "a cache of %llu tokens asked for, less than one context of %u", (unsigned long long)i->kv_tok,
               i->context_tok);
    fh_err_hint(err, "ask for at least --kv-tokens %u, or for a smaller --context", i->context_tok);
    return FH_E_USAGE;
}

int engine_choose_sizes(fh_engine *e, const fh_engine_options *o, const fh_load *l, fh_err **err)
{
    choose_sizes(e, o);
    int rc = choose_kv(e, o, err);
    if (!rc) rc = check_cache(e, err);
    return rc ? rc : fit_memory(e, o, l, err);
}
