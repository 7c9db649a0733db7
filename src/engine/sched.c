/* The batch: what the next step computes.
 *
 * Each step takes one token of every sequence that is generating, then prompt tokens: up to batch_tok when nobody generates, else as many
 * as take about the time of a step without them (within PREFILL_LEAST_TOK and PREFILL_BESIDE_DECODE_TOK), so that a long prompt makes the
 * others half as fast and never stops them. Of the prompt tokens the first by rank gets half, so that it comes to its end whatever follows;
 * the other half goes to the prompts that have least left, so that a short one does not wait for a long one. A prompt that begins like one
 * that is being computed waits for those pages instead of computing them too. Cancelled requests leave before the step. Places and pages
 * are given by places.c. */
#include "engine_private.h"
#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

/* ---- between steps ---- */

static bool running_wants(const fh_engine *e)
{
    for (size_t i = 0; i < e->info.parallel; i++) {
        const fh_gen *g = e->slots[i].gen;
        if (g && (!atomic_load(&g->paused) || atomic_load(&g->cancelled))) return true;
    }
    return false;
}

static bool waiting_wants(const fh_engine *e)
{
    if (place_wanted(e)) return true;
    for (const fh_gen *g = e->waiting_first; g; g = g->next)
        if (atomic_load(&g->cancelled)) return true;
    return false;
}

static void end_cancelled(fh_engine *e)
{
    for (size_t i = 0; i < e->info.parallel; i++) {
        fh_gen *g = e->slots[i].gen;
        if (g && atomic_load(&g->cancelled)) place_end(e, &e->slots[i], FH_GEN_CANCELLED, NULL);
    }
    for (;;) {
        pthread_mutex_lock(&e->lock);
        fh_gen *g = queue_take_cancelled(e);
        pthread_mutex_unlock(&e->lock);
        if (!g) return;
        gen_end(g, FH_GEN_CANCELLED, NULL);
    }
}

/* Waits until there is something to do; false when the engine is to stop. */
static bool wait_for_work(fh_engine *e)
{
    pthread_mutex_lock(&e->lock);
    while (!e->stopping && !running_wants(e) && !waiting_wants(e)) pthread_cond_wait(&e->wake, &e->lock);
    bool stopping = e->stopping;
    pthread_mutex_unlock(&e->lock);
    return !stopping;
}

/* ---- what goes into a step ---- */

static size_t left_of(const fh_gen *g)
{
    return g->tokens.count - g->done;
}

static bool generating(const fh_gen *g)
{
    return g->generated > g->begun && left_of(g) == 1;
}

static void add_share(fh_engine *e, size_t slot_index, size_t count)
{
    e->shares[e->share_count++] = (step_share){slot_index, count};
}

/* Whether h, which is in the step, computes a page that g is to begin with. */
static bool computes_for(const fh_gen *h, size_t count, const fh_gen *g)
{
    size_t from = g->done, to = from + FH_KV_PAGE_TOK;
    if (h->sum || g->sum || from % FH_KV_PAGE_TOK || h->done + count <= from || to > h->tokens.count || to >= g->tokens.count) return false;
    return strcmp(h->salt, g->salt) == 0 && memcmp(h->tokens.ids + from, g->tokens.ids + from, FH_KV_PAGE_TOK * sizeof(fh_token)) == 0 &&
           memcmp(h->tokens.ids, g->tokens.ids, from * sizeof(fh_token)) == 0;
}

static bool waits_for_pages(const fh_engine *e, const fh_gen *g)
{
    for (size_t i = 0; i < e->share_count; i++)
        if (computes_for(e->slots[e->shares[i].slot].gen, e->shares[i].count, g)) return true;
    return false;
}

static bool has_share(const fh_engine *e, size_t slot_index)
{
    for (size_t i = 0; i < e->share_count; i++)
        if (e->shares[i].slot == slot_index) return true;
    return false;
}

/* A prompt that is not yet in the step: the first by rank, or the one with least left. */
static slot *next_prompt(fh_engine *e, bool by_rank)
{
    slot *best = NULL;
    for (size_t i = 0; i < e->info.parallel; i++) {
        slot *s = &e->slots[i];
        if (!s->gen || atomic_load(&s->gen->paused) || generating(s->gen) || has_share(e, i)) continue;
        place_match(e, s);
        if (waits_for_pages(e, s->gen)) continue;
        bool less =
            best && left_of(s->gen) != left_of(best->gen) ? left_of(s->gen) < left_of(best->gen) : best && queue_before(s->gen, best->gen);
        if (!best || (by_rank ? queue_before(s->gen, best->gen) : less)) best = s;
    }
    return best;
}

static size_t share_prompt(fh_engine *e, const slot *s, size_t budget)
{
    size_t count = FH_MIN(budget, left_of(s->gen));
    add_share(e, (size_t)(s - e->slots), count);
    return count;
}

static void share_prompts(fh_engine *e, size_t budget)
{
    slot *s = budget ? next_prompt(e, true) : NULL;
    if (!s) return;
    size_t first = e->share_count;
    budget -= share_prompt(e, s, (budget + 1) / 2);
    while (budget > 0 && (s = next_prompt(e, false))) budget -= share_prompt(e, s, budget);
    step_share *oldest = &e->shares[first];
    oldest->count += FH_MIN(budget, left_of(e->slots[oldest->slot].gen) - oldest->count);
}

/* Prompt tokens beside sequences that generate: as many as take the time of a step without them. */
static size_t prompt_budget(const fh_engine *e)
{
    size_t generate = e->share_count, most = e->info.batch_tok - generate;
    if (!generate) return most;
    size_t fit = e->row_ns > 0 && e->decode_ns > 0 ? (size_t)(e->decode_ns / e->row_ns) : PREFILL_BESIDE_DECODE_TOK;
    fit = FH_MAX(fit, (size_t)PREFILL_LEAST_TOK);
    return FH_MIN(most, FH_MIN(fit, (size_t)PREFILL_BESIDE_DECODE_TOK));
}

static int by_rank(const void *a, const void *b, void *arg)
{
    const fh_engine *e = arg;
    const step_share *x = a, *y = b;
    return queue_before(e->slots[x->slot].gen, e->slots[y->slot].gen) ? -1 : 1;
}

static void add_to_step(fh_engine *e, const step_share *share)
{
    fh_gen *g = e->slots[share->slot].gen;
    if (g->sum) {
        engine_step_add_states(e, share->slot, g->tokens.ids + g->done, share->count, g->done);
        return;
    }
    bool last = g->done + share->count == g->tokens.count;
    if (last) e->out_gens[e->step.out_count] = g;
    engine_step_add(e, share->slot, g->tokens.ids + g->done, share->count, g->done, last);
}

/* Room for all is made first, the best by rank before the others: it may cost the worst their places. */
static void plan_step(fh_engine *e)
{
    engine_step_clear(e);
    e->share_count = 0;
    for (size_t i = 0; i < e->info.parallel; i++) {
        const fh_gen *g = e->slots[i].gen;
        if (g && !atomic_load(&g->paused) && generating(g)) add_share(e, i, 1);
    }
    share_prompts(e, prompt_budget(e));
    qsort_r(e->shares, e->share_count, sizeof *e->shares, by_rank, e);
    for (size_t i = 0; i < e->share_count; i++) {
        slot *s = &e->slots[e->shares[i].slot];
        if (s->gen) place_grow(e, s, s->gen->done + e->shares[i].count);
    }
    for (size_t i = 0; i < e->share_count; i++)
        if (e->slots[e->shares[i].slot].gen) add_to_step(e, &e->shares[i]);
}

/* ---- running it ---- */

static void sample_row(fh_engine *e, size_t row)
{
    fh_gen *g = e->out_gens[row];
    gen_sampled *s = &e->sampled[row];
    gen_mask(g, e->logits + row * e->model.shape.vocab);
    s->id = fh_sampler_next(g->sampler, e->logits + row * e->model.shape.vocab, g->logprobs ? &s->logprob : NULL, s->top,
                            g->logprobs ? g->top_count : 0);
}

static void finish_row(fh_engine *e, size_t slot_index, size_t row)
{
    fh_gen_finish how;
    fh_err *err = NULL;
    if (gen_accept(e->slots[slot_index].gen, &e->sampled[row], &how, &err)) place_end(e, &e->slots[slot_index], how, err);
    fh_err_free(err);
}

static void learn(double *mean, double value)
{
    *mean = *mean > 0 ? *mean + (value - *mean) / 8 : value;
}

/* What steps take: without prompts, and a row of a prompt more. */
static void learn_times(fh_engine *e, int64_t took_ns, size_t prompt_rows)
{
    size_t others = e->step.count - prompt_rows;
    if (prompt_rows == 0) learn(&e->decode_ns, (double)took_ns);
    if (prompt_rows < PREFILL_LEAST_TOK) return;
    double own_ns = (double)took_ns - (others ? e->decode_ns : 0);
    if (own_ns > 0) learn(&e->row_ns, own_ns / (double)prompt_rows);
}

static void note_step(fh_engine *e, int64_t took_ns, size_t prompt_rows, uint64_t prompt_tok)
{
    learn_times(e, took_ns, prompt_rows);
    pthread_mutex_lock(&e->lock);
    e->stats.steps++;
    e->stats.step_rows += e->step.count;
    e->stats.prompt_tok += prompt_tok;
    e->stats.generated_tok += e->step.out_count;
    e->stats.busy_ns += took_ns;
    e->stats.kv_used_tok = (uint64_t)e->model.kv.used_count * FH_KV_PAGE_TOK;
    e->stats.kv_kept_tok = (uint64_t)fh_prefix_count(e->prefix) * FH_KV_PAGE_TOK;
    pthread_mutex_unlock(&e->lock);
}

static bool fills_page(const fh_step_seq *q)
{
    return (q->past + q->count) / FH_KV_PAGE_TOK > q->past / FH_KV_PAGE_TOK;
}

static void run_step(fh_engine *e)
{
    int64_t began_ns = fh_clock_mono_ns();
    engine_step(e, sample_row);
    uint64_t prompt_tok = 0;
    size_t row = 0, state = 0, prompt_rows = 0;
    for (size_t i = 0; i < e->step.seq_count; i++) {
        const fh_step_seq *q = &e->seqs[i];
        slot *s = &e->slots[q->slot];
        fh_gen *g = s->gen;
        if (!generating(g)) prompt_rows += q->count;
        if (q->past < g->prompt_count) prompt_tok += q->count;
        g->done += q->count;
        if (fills_page(q)) place_keep(e, s, false);
        if (g->sum) {
            if (gen_pool(g, e->states + state * e->model.shape.embd, q->count)) place_end(e, s, FH_GEN_STOP, NULL);
            state += q->count;
        } else if (g->done == g->tokens.count)
            finish_row(e, q->slot, row++);
    }
    note_step(e, fh_clock_mono_ns() - began_ns, prompt_rows, prompt_tok);
}

static void end_all(fh_engine *e)
{
    for (size_t i = 0; i < e->info.parallel; i++)
        if (e->slots[i].gen) place_end(e, &e->slots[i], FH_GEN_SHUTDOWN, NULL);
    for (;;) {
        pthread_mutex_lock(&e->lock);
        fh_gen *g = e->waiting_first;
        if (g) queue_take(e, g);
        pthread_mutex_unlock(&e->lock);
        if (!g) return;
        gen_end(g, FH_GEN_SHUTDOWN, NULL);
    }
}

void fh_engine_run(fh_engine *e)
{
    while (wait_for_work(e)) {
        end_cancelled(e);
        place_admit(e);
        plan_step(e);
        if (e->step.count) run_step(e);
    }
    end_all(e);
    fh_prefix_settle(e->prefix);
}
