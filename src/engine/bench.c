/* Speed: prefill and decode on made-up tokens, what this machine gives at most, and the kernels alone. */
#include "engine/bench.h"
#include "engine_private.h"
#include "base/clock.h"
#include "kernel/speed.h"
#include "sys/memory_speed.h"

#include <string.h>

enum { KERNEL_BYTES = 96 << 20, KERNEL_ROWS = 1024, KERNEL_COLS = 4096 };

/* ---- a model ---- */

/* Spread over the vocabulary, the same in every run. */
static void fill_ids(const fh_engine *e, fh_token *ids, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        ids[i] = (fh_token)((seed >> 33) % e->model.shape.vocab);
    }
}

static void prefill(fh_engine *e, size_t slot_index, size_t past, size_t count, bool wanted)
{
    fh_token ids[FH_ENGINE_BATCH_MAX];
    for (size_t at = 0; at < count;) {
        size_t n = FH_MIN(count - at, (size_t)e->info.batch_tok);
        fill_ids(e, ids, n, slot_index * 1000003 + past + at);
        engine_step_clear(e);
        engine_step_add(e, slot_index, ids, n, past + at, wanted && at + n == count);
        engine_step(e, NULL);
        at += n;
    }
}

static void decode(fh_engine *e, unsigned streams, size_t past, size_t count)
{
    for (size_t at = 0; at < count; at++) {
        engine_step_clear(e);
        for (unsigned s = 0; s < streams; s++) {
            fh_token id;
            fill_ids(e, &id, 1, s * 1000003 + past + at);
            engine_step_add(e, s, &id, 1, past + at, 1);
        }
        engine_step(e, NULL);
    }
}

static void give_pages(fh_engine *e, unsigned streams)
{
    for (unsigned s = 0; s < streams; s++) fh_kv_seq_truncate(&e->slots[s].kv, &e->model.kv, 0);
}

static int take_pages(fh_engine *e, unsigned streams, size_t tok, fh_err **err)
{
    bool ok = true;
    for (unsigned s = 0; s < streams && ok; s++) ok = fh_kv_seq_grow(&e->slots[s].kv, &e->model.kv, tok);
    if (ok) return 0;
    give_pages(e, streams);
    return fh_err_set(err, FH_E_INVALID, "%u streams of %zu tokens do not fit the cache of %zu", streams, tok,
                      e->model.kv.page_count * FH_KV_PAGE_TOK);
}

int fh_engine_bench(fh_engine *e, const fh_bench_spec *b, double *ret_seconds, fh_err **err)
{
    unsigned streams = b->streams ? b->streams : 1;
    uint64_t most = (uint64_t)b->depth_tok + b->prompt_tok + b->generate_tok;
    if (streams > e->info.parallel)
        return fh_err_set(err, FH_E_INVALID, "%u streams do not fit the engine's %u sequences", streams, e->info.parallel);
    if (most > e->info.context_tok)
        return fh_err_set(err, FH_E_INVALID, "%llu tokens do not fit the context of %u", (unsigned long long)most, e->info.context_tok);
    int rc = take_pages(e, streams, (size_t)most, err);
    if (rc) return rc;
    for (unsigned s = 0; s < streams; s++) prefill(e, s, 0, b->depth_tok, false);
    int64_t began_ns = fh_clock_mono_ns();
    for (unsigned s = 0; s < streams && b->prompt_tok; s++) prefill(e, s, b->depth_tok, b->prompt_tok, true);
    decode(e, streams, b->depth_tok + b->prompt_tok, b->generate_tok);
    *ret_seconds = (double)(fh_clock_mono_ns() - began_ns) / FH_NS_PER_S;
    give_pages(e, streams);
    return 0;
}

/* ---- the machine ---- */

static int measure_machine(fh_pool *pool, size_t bytes, fh_machine_speed *ret, fh_err **err)
{
    fh_machine_speed m = {.threads = fh_pool_count(pool)};
    int rc = fh_memory_read_speed(pool, bytes, &m.read_bytes_per_s, err);
    if (rc) return rc;
    for (int p = 0; p < FH_PEAK_COUNT; p++) {
        fh_machine_peak *next = &m.peaks[m.peak_count];
        next->name = fh_peak_name((fh_peak)p);
        if (fh_peak_measure((fh_peak)p, pool, &next->ops_per_s)) m.peak_count++;
    }
    *ret = m;
    return 0;
}
_Static_assert((int)FH_PEAK_COUNT < FH_MACHINE_PEAKS, "room for each, and for one that is not there");

int fh_engine_measure_machine(fh_engine *e, fh_machine_speed *ret, fh_err **err)
{
    return measure_machine(e->pool, e->info.token_bytes, ret, err);
}

double fh_machine_peak_get(const fh_machine_speed *m, const char *name)
{
    for (size_t i = 0; i < m->peak_count; i++)
        if (strcmp(m->peaks[i].name, name) == 0) return m->peaks[i].ops_per_s;
    return 0;
}

/* ---- kernels ---- */

static int tell(fh_products *p, fh_isa isa, fh_type type, size_t rows, const fh_kernels_watch *watch, fh_err **err)
{
    fh_product_speed s = fh_products_measure(p, rows, rows > 8); /* a large batch is bound by arithmetic, and one matrix will do */
    fh_kernel_speed speed = {.type = fh_type_name((uint32_t)type),
                             .isa = fh_isa_name(isa),
                             .peak = s.integers ? fh_peak_name(fh_peak_of(isa)) : NULL,
                             .rows = rows,
                             .bytes_per_s = s.weight_bytes / s.seconds,
                             .ops_per_s = s.ops / s.seconds};
    return watch->kernel(watch->arg, &speed, err);
}

static int measure_type(fh_pool *pool, fh_isa isa, fh_type type, const fh_kernels_watch *watch, fh_err **err)
{
    static const size_t rows[] = {1, 8, 512};
    FH_AUTO(fh_products) fh_products *p = NULL;
    fh_products_shape shape = {.type = type, .rows = KERNEL_ROWS, .cols = KERNEL_COLS, .bytes = KERNEL_BYTES, .max_n = 512};
    int rc = fh_products_new(&p, fh_kernels_get(isa), pool, &shape, err);
    for (size_t i = 0; i < FH_COUNT(rows) && !rc; i++) rc = tell(p, isa, type, rows[i], watch, err);
    return rc;
}

static int measure_isa(fh_pool *pool, fh_isa isa, const fh_kernels_watch *watch, fh_err **err)
{
    static const fh_type types[] = {
#define TYPE(name, id, elems, bytes) FH_TYPE_##name,
        FH_TYPE_LIST(TYPE)
#undef TYPE
    };
    int rc = 0;
    for (size_t i = 0; i < FH_COUNT(types) && !rc; i++) rc = measure_type(pool, isa, types[i], watch, err);
    return rc;
}

int fh_kernels_measure(unsigned threads, const fh_kernels_watch *watch, fh_err **err)
{
    FH_AUTO(fh_pool) fh_pool *pool = NULL;
    fh_machine_speed m;
    int rc = fh_pool_new(&pool, threads, err);
    if (!rc) rc = measure_machine(pool, KERNEL_BYTES, &m, err);
    if (!rc) watch->machine(watch->arg, &m);
    for (int isa = FH_ISA_REF + 1; isa < FH_ISA_COUNT && !rc; isa++) /* the reference is there to be right */
        if (fh_isa_available((fh_isa)isa)) rc = measure_isa(pool, (fh_isa)isa, watch, err);
    return rc;
}
