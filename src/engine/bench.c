/* Speed: prefill and decode on made-up tokens, and what this machine's memory gives, by the batch thread. */
#include "engine_private.h"
#include "base/clock.h"
#include "sys/memory_speed.h"

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

int fh_engine_bench(fh_engine *e, const fh_bench_spec *b, double *ret_seconds, fh_err **err)
{
    unsigned streams = b->streams ? b->streams : 1;
    uint64_t most = (uint64_t)b->depth_tok + b->prompt_tok + b->generate_tok;
    if (streams > e->info.parallel)
        return fh_err_set(err, FH_E_INVALID, "%u streams do not fit the engine's %u sequences", streams, e->info.parallel);
    if (most > e->info.context_tok)
        return fh_err_set(err, FH_E_INVALID, "%llu tokens do not fit the context of %u", (unsigned long long)most, e->info.context_tok);
    for (unsigned s = 0; s < streams; s++) {
        e->slots[s].cached.count = 0;
        prefill(e, s, 0, b->depth_tok, false);
    }
    int64_t began_ns = fh_clock_mono_ns();
    for (unsigned s = 0; s < streams && b->prompt_tok; s++) prefill(e, s, b->depth_tok, b->prompt_tok, true);
    decode(e, streams, b->depth_tok + b->prompt_tok, b->generate_tok);
    *ret_seconds = (double)(fh_clock_mono_ns() - began_ns) / FH_NS_PER_S;
    return 0;
}

int fh_engine_read_bandwidth(fh_engine *e, size_t bytes, double *ret_bytes_per_s, fh_err **err)
{
    return fh_memory_read_speed(e->pool, bytes, ret_bytes_per_s, err);
}
