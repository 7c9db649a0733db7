/* The memory rule and what follows from it. All sums saturate: a model larger than any machine is simply too large. */
#include "plan_private.h"

#include "base/mem.h"
#include <stdio.h>

#define WORKSPACE_PER_MILLE 75
#define WORKSPACE_MIN_BYTES (UINT64_C(64) << 20)

fh_plan_need fh_plan_need_of(const fh_plan_model *m, int64_t context_tok, int64_t streams)
{
    fh_plan_need n = {.context_tok = context_tok > 0 ? context_tok : FH_PLAN_CONTEXT_DEFAULT,
                      .streams = streams > 0 ? streams : FH_PLAN_STREAMS_DEFAULT};
    if (m->context_max_tok > 0) n.context_tok = FH_MIN(n.context_tok, m->context_max_tok);
    n.weights_bytes = m->weights_bytes;
    n.kv_bytes = fh_plan_mul(fh_plan_mul(m->kv_bytes_per_tok, (uint64_t)n.context_tok), (uint64_t)n.streams);
    n.fixed_bytes = fh_plan_mul(m->kv_fixed_bytes, (uint64_t)n.streams);
    uint64_t rest = fh_plan_add(fh_plan_add(n.weights_bytes, n.kv_bytes), n.fixed_bytes);
    n.workspace_bytes = FH_MAX(rest / 1000 * WORKSPACE_PER_MILLE, WORKSPACE_MIN_BYTES);
    n.total_bytes = fh_plan_add(rest, n.workspace_bytes);
    return n;
}

uint32_t fh_plan_machines_most(const fh_catalog_model *m)
{
    return m && m->layers ? FH_MIN(m->layers, (uint32_t)FH_PLAN_MOST) : FH_PLAN_MOST;
}

fh_plan_fit fh_plan_fit_of(const fh_plan_model *m, const fh_plan_machine *on, int64_t context_tok, int64_t streams)
{
    fh_plan_fit f = {.need = fh_plan_need_of(m, context_tok, streams)};
    uint64_t free_bytes = on->memory_available_bytes ? FH_MIN(on->memory_available_bytes, on->memory_bytes) : on->memory_bytes;
    free_bytes -= FH_MIN(free_bytes, on->promised_bytes);
    if (m->weights_bytes == 0)
        f.verdict = FH_PLAN_UNKNOWN;
    else if (f.need.total_bytes > on->memory_bytes)
        f.verdict = FH_PLAN_TOO_LARGE;
    else
        f.verdict = f.need.total_bytes > free_bytes ? FH_PLAN_TIGHT : FH_PLAN_FITS;
    if (f.verdict == FH_PLAN_TOO_LARGE) f.missing_bytes = f.need.total_bytes - on->memory_bytes;
    if (f.verdict == FH_PLAN_TIGHT) f.missing_bytes = f.need.total_bytes - free_bytes;
    return f;
}

/* A variant that fits and that our own engine can open. */
static bool would_fit(const fh_catalog_model *m, const fh_plan_machine *on)
{
    if (!m->runs_here) return false;
    for (size_t i = 0; i < m->variant_count; i++) {
        fh_plan_model p = fh_plan_model_of(m, &m->variants[i]);
        fh_plan_verdict v = fh_plan_fit_of(&p, on, 0, 1).verdict;
        if ((v == FH_PLAN_FITS || v == FH_PLAN_TIGHT) && m->variants[i].gguf) return true;
    }
    return false;
}

/* Nearer to the frontier: by rank, then by size, which is all that is known of the unranked. */
static bool nearer(const fh_catalog_model *a, const fh_catalog_model *b)
{
    if (!b || (a->rank != 0) != (b->rank != 0)) return !b || a->rank != 0;
    return a->rank ? a->rank < b->rank : a->params_total_b > b->params_total_b;
}

const fh_catalog_model *fh_plan_nearest(const fh_catalog_model *but, const fh_plan_machine *on,
                                        bool (*has)(void *arg, const fh_catalog_model *m), void *arg)
{
    const fh_catalog_model *best = NULL;
    const fh_catalog *c = fh_catalog_now();
    for (size_t i = 0; i < c->model_count; i++) {
        const fh_catalog_model *m = c->models[i];
        if (m != but && would_fit(m, on) && nearer(m, best) && (!has || has(arg, m))) best = m;
    }
    return best;
}

/* Three digits that matter, thousands parted by commas: 1677.4 -> "1,680". */
static void put_rounded(double v, char *out, size_t out_size)
{
    double step = 0.1;
    while (v / step >= 1000) step *= 10;
    double rounded = (double)(uint64_t)(v / step + 0.5) * step;
    if (step < 1) {
        snprintf(out, out_size, "%.*f", rounded - (double)(uint64_t)rounded < 0.05 ? 0 : 1, rounded);
        return;
    }
    uint64_t n = (uint64_t)(rounded + 0.5);
    if (n < 1000)
        snprintf(out, out_size, "%llu", (unsigned long long)n);
    else
        snprintf(out, out_size, "%llu,%03llu", (unsigned long long)(n / 1000), (unsigned long long)(n % 1000));
}

void fh_plan_bytes(uint64_t bytes, char *out, size_t out_size)
{
    char number[48];
    bool giga = bytes >= UINT64_C(1000000000);
    put_rounded((double)bytes / (giga ? 1e9 : 1e6), number, sizeof(number));
    snprintf(out, out_size, "%s %s", number, giga ? "GB" : "MB");
}

void fh_plan_sentence(const fh_plan_fit *fit, const fh_plan_machine *on, const char *where, char *out, size_t out_size)
{
    char need[64], has[64], missing[64];
    const char *it = where ? where : "this machine";
    fh_plan_bytes(fit->need.total_bytes, need, sizeof(need));
    fh_plan_bytes(on->memory_bytes, has, sizeof(has));
    fh_plan_bytes(fit->missing_bytes, missing, sizeof(missing));
    switch (fit->verdict) {
    case FH_PLAN_FITS: snprintf(out, out_size, "needs %s of the %s %s%s", need, has, where ? "of " : "here", where ? where : ""); break;
    case FH_PLAN_TIGHT: snprintf(out, out_size, "needs %s: %s has %s, but %s too little of it is free now", need, it, has, missing); break;
    case FH_PLAN_TOO_LARGE: snprintf(out, out_size, "needs %s, %s has %s", need, it, has); break;
    case FH_PLAN_UNKNOWN: snprintf(out, out_size, "its size is not known"); break;
    }
}
