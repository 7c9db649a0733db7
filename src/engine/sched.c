/* The batch: what the next step computes.
 *
 * Each step takes one token of every sequence that is generating and guesses behind it where they pay (ahead.c), then prompt tokens: up to
 * batch_tok when nobody generates, else as many as take about the time of a step without them (within PREFILL_LEAST_TOK and
 * PREFILL_BESIDE_DECODE_TOK), so that a long prompt makes the others half as fast and never stops them. Of the prompt tokens the first by
 * rank gets half, so that it comes to its end whatever follows; the other half goes to the prompts that have least left, so that a short
 * one does not wait for a long one. A prompt that begins like one that is being computed waits for those pages instead of computing them
 * too. Cancelled requests leave before the step. Places and pages are given by places.c. */
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
    e->shares[e->share_count++] = (step_share){.slot = slot_index, .count = count};
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

/* What of a prompt goes into one step. Where large batches have other products than small ones, its last page comes in a step of its own,
 * and is computed alike, and all that is said behind it, whether the pages before were just computed or had been kept. */
static size_t part_of(const fh_engine *e, const fh_gen *g, size_t budget)
{
    size_t last_page = (g->tokens.count - 1) / FH_KV_PAGE_TOK * FH_KV_PAGE_TOK, left = left_of(g);
    if (e->has_wide && left >= FH_WIDE_ROWS) left = last_page - g->done;
    return FH_MIN(budget, left);
}

static size_t share_prompt(fh_engine *e, const slot *s, size_t budget)
{
    size_t count = part_of(e, s->gen, budget);
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
    oldest->count = part_of(e, e->slots[oldest->slot].gen, oldest->count + budget);
}

/* Prompt tokens beside sequences that generate: as many as take, with the guesses, the time of a step without both. */
static size_t prompt_budget(const fh_engine *e)
{
    size_t generate = e->share_count, ahead = 0;
    for (size_t i = 0; i < generate; i++) ahead += e->shares[i].ahead;
    size_t most = e->info.batch_tok - generate - ahead;
    if (!generate) return most;
    double decode_ns = costs_of(&e->costs, generate);
    size_t fit = e->row_ns > 0 && decode_ns > 0 ? (size_t)(decode_ns / e->row_ns) : PREFILL_BESIDE_DECODE_TOK;
    fit = FH_MIN(fit, (size_t)PREFILL_BESIDE_DECODE_TOK);
    fit = FH_MAX(fit - FH_MIN(fit, ahead), (size_t)PREFILL_LEAST_TOK);
    return FH_MIN(most, fit);
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
    if (last) e->groups[e->group_count++] = (step_group){.gen = g, .first = e->step.out_count, .count = 1};
    engine_step_add(e, share->slot, g->tokens.ids + g->done, share->count, g->done, last);
}

/* One that generates: its last token and the guesses behind it, and the logits of all. */
static void add_ahead(fh_engine *e, const step_share *share)
{
    fh_gen *g = e->slots[share->slot].gen;
    fh_token ids[1 + FH_LIMIT_DRAFT_TOK] = {g->tokens.ids[g->done]};
    memcpy(ids + 1, share->ids, share->ahead * sizeof *ids);
    e->groups[e->group_count++] =
        (step_group){.gen = g, .first = e->step.out_count, .count = 1 + share->ahead, .predicted = share->predicted};
    engine_step_add(e, share->slot, ids, 1 + share->ahead, g->done, 1 + share->ahead);
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
    ahead_plan(e);
    share_prompts(e, prompt_budget(e));
    qsort_r(e->shares, e->share_count, sizeof *e->shares, by_rank, e);
    for (size_t i = 0; i < e->share_count; i++) {
        slot *s = &e->slots[e->shares[i].slot];
        if (s->gen) place_grow(e, s, s->gen->done + e->shares[i].count);
    }
    for (size_t i = 0; i < e->share_count; i++) {
        step_share *share = &e->shares[i];
        if (!e->slots[share->slot].gen) continue;
        ahead_grow(e, share);
        share->ahead ? add_ahead(e, share) : add_to_step(e, share);
    }
}

/* ---- running it ---- */

/* In order, until a guess was wrong: what comes behind it was computed for nothing. */
static void sample_group(fh_engine *e, step_group *r)
{
    bool right = true;
    for (size_t i = 0; i < r->count && right; i++, r->sampled++) {
        size_t row = r->first + i;
        gen_sampled *s = &e->sampled[row];
        gen_sample(r->gen, i, e->logits + row * e->model.shape.vocab, s);
        right = !s->failed && i + 1 < r->count && s->id == e->ids[e->out[row + 1]];
    }
}

static void finish_row(fh_engine *e, slot *s, size_t row)
{
    fh_gen_finish how;
    fh_err *err = NULL;
    if (gen_accept(s->gen, &e->sampled[row], &how, &err)) place_end(e, s, how, err);
    fh_err_free(err);
}

/* So many tokens more are in the cache. */
static void advance(fh_engine *e, slot *s, size_t count)
{
    size_t pages = s->gen->done / FH_KV_PAGE_TOK;
    s->gen->done += count;
    if (s->gen->done / FH_KV_PAGE_TOK > pages) place_keep(e, s, false);
}

static void note_guesses(const step_group *r)
{
    r->gen->drafted_tok += r->count - 1;
    if (r->predicted) r->gen->mispredicted_tok += r->count - r->sampled;
}

/* The tokens that were sampled, each behind the one that is in the cache for it, until they end the answer or whoever takes them wants no
 * more. What wrong guesses left in the cache is forgotten. Answers how many were taken. */
static size_t finish_group(fh_engine *e, slot *s, const step_group *r)
{
    size_t taken = 0;
    note_guesses(r);
    for (; taken < r->sampled && s->gen && !atomic_load(&s->gen->cancelled); taken++) {
        if (taken) {
            advance(e, s, 1);
            s->gen->accepted_tok++;
            s->gen->predicted_tok += r->predicted;
        }
        finish_row(e, s, r->first + taken);
    }
    if (s->gen) fh_kv_seq_truncate(&s->kv, &e->model.kv, s->gen->tokens.count);
    return taken;
}

/* What steps take: without prompts, and a row of a prompt more. */
static void learn_times(fh_engine *e, int64_t took_ns, size_t prompt_rows)
{
    size_t others = e->step.count - prompt_rows;
    if (prompt_rows == 0) costs_learn(&e->costs, others, (double)took_ns);
    if (prompt_rows < PREFILL_LEAST_TOK) return;
    double own_ns = ((double)took_ns - (others ? costs_of(&e->costs, others) : 0)) / (double)prompt_rows;
    if (own_ns > 0) e->row_ns = e->row_ns > 0 ? e->row_ns + (own_ns - e->row_ns) / 8 : own_ns;
}

typedef struct step_counts { /* of one step */
    size_t prompt_rows, prompt_tok, generated_tok, drafted_tok, accepted_tok;
} step_counts;

static void note_step(fh_engine *e, int64_t took_ns, const step_counts *n)
{
    learn_times(e, took_ns, n->prompt_rows);
    pthread_mutex_lock(&e->lock);
    e->stats.steps++;
    e->stats.step_rows += e->step.count;
    e->stats.prompt_tok += n->prompt_tok;
    e->stats.generated_tok += n->generated_tok;
    e->stats.drafted_tok += n->drafted_tok;
    e->stats.accepted_tok += n->accepted_tok;
    e->stats.busy_ns += took_ns;
    e->stats.kv_used_tok = (uint64_t)e->model.kv.used_count * FH_KV_PAGE_TOK;
    e->stats.kv_kept_tok = (uint64_t)fh_prefix_count(e->prefix) * FH_KV_PAGE_TOK;
    pthread_mutex_unlock(&e->lock);
}

static void run_step(fh_engine *e)
{
    int64_t began_ns = fh_clock_mono_ns();
    engine_step(e, sample_group);
    step_counts n = {0};
    size_t state = 0;
    const step_group *group = e->groups, *end = group + e->group_count;
    for (size_t i = 0; i < e->step.seq_count; i++) {
        const fh_step_seq *q = &e->seqs[i];
        slot *s = &e->slots[q->slot];
        fh_gen *g = s->gen;
        const step_group *own = group < end && group->gen == g ? group++ : NULL;
        if (!generating(g)) n.prompt_rows += q->count;
        if (q->past < g->prompt_count) n.prompt_tok += q->count;
        advance(e, s, q->count - (own ? own->count - 1 : 0));
        if (g->sum) {
            if (gen_pool(g, e->states + state * e->model.shape.embd, q->count)) place_end(e, s, FH_GEN_STOP, NULL);
            state += q->count;
        } else if (own) {
            size_t taken = finish_group(e, s, own);
            n.generated_tok += taken;
            n.drafted_tok += own->count - 1;
            n.accepted_tok += taken - (taken > 0);
        }
    }
    note_step(e, fh_clock_mono_ns() - began_ns, &n);
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
