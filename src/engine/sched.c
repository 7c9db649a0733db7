/* The batch: who waits, who runs, and what the next step computes.
 *
 * Each step takes one token of every sequence that is generating, then prompt tokens, oldest request first: up to batch_tok when nobody
 * generates, else PREFILL_BESIDE_DECODE_TOK, so that a long prompt slows the others down instead of stopping them. Cancelled requests leave
 * before the step. A free slot remembers its tokens: a request that begins with them (same salt) computes only the rest. */
#include "engine_private.h"
#include "base/clock.h"
#include "base/limits.h"

#include <string.h>

/* ---- any thread ---- */

void engine_wake(fh_engine *e)
{
    pthread_mutex_lock(&e->lock);
    pthread_cond_signal(&e->wake);
    pthread_mutex_unlock(&e->lock);
}

void fh_engine_stop(fh_engine *e)
{
    pthread_mutex_lock(&e->lock);
    e->stopping = true;
    pthread_cond_signal(&e->wake);
    pthread_mutex_unlock(&e->lock);
}

void fh_engine_stats_get(fh_engine *e, fh_engine_stats *ret)
{
    pthread_mutex_lock(&e->lock);
    *ret = e->stats;
    pthread_mutex_unlock(&e->lock);
}

static const char *prompt_name(const fh_gen_request *r)
{
    return r->embed ? "input" : "prompt";
}

static bool fits_context(const fh_engine *e, const fh_gen_request *r)
{
    return r->token_count + r->begun_count < (size_t)e->info.context_tok + r->embed; /* an answer needs room */
}

static int check_request(const fh_engine *e, const fh_gen_request *r, fh_err **err)
{
    bool too_long = !fits_context(e, r);
    if (!e->vocab) return fh_err_set(err, FH_E_CONFLICT, "the engine was opened without a tokenizer");
    if (r->token_count == 0)
        fh_err_set(err, FH_E_INVALID, "the %s is empty", prompt_name(r));
    else if (too_long) /* in words of OpenAI's and Anthropic's messages, by which clients know this case */
        fh_err_set(err, FH_E_INVALID, "the %s is too long: it has %zu tokens; this model's maximum context length is %u tokens%s",
                   prompt_name(r), r->token_count + r->begun_count, e->info.context_tok, r->embed ? "" : ", with the answer");
    else if (r->top_logprobs > TOP_MAX)
        fh_err_set(err, FH_E_INVALID, "%u alternatives asked for each token, at most %d", r->top_logprobs, TOP_MAX);
    else if (r->cache_salt.len > SALT_MAX)
        fh_err_set(err, FH_E_INVALID, "the cache salt is %zu bytes long, at most %d", r->cache_salt.len, SALT_MAX);
    else
        return 0;
    if (r->token_count == 0 || too_long) fh_err_param(err, "%s", prompt_name(r));
    if (!too_long) return FH_E_INVALID;
    fh_err_hint(err, "shorten the %s, or start the model with a larger --context", prompt_name(r));
    fh_err_reason(err, "context_length_exceeded");
    return FH_E_INVALID;
}

static int check_ids(const fh_engine *e, const fh_token *ids, size_t count, const char *param, fh_err **err)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= e->info.vocab_size) {
            fh_err_set(err, FH_E_INVALID, "token %d at %zu is outside the vocabulary of %u", ids[i], i, e->info.vocab_size);
            fh_err_param(err, "%s", param);
            return FH_E_INVALID;
        }
    return 0;
}

static int refuse(fh_engine *e, bool stopping, fh_err **err)
{
    if (stopping) return fh_err_set(err, FH_E_UNAVAILABLE, "the engine is stopping");
    fh_err_set(err, FH_E_BUSY, "%d requests wait already", FH_LIMIT_ENGINE_QUEUE);
    fh_err_hint(err, "try again in a moment");
    return FH_E_BUSY;
}

static int make_gen(fh_engine *e, const fh_gen_request *r, fh_gen **ret, fh_err **err)
{
    int rc = check_request(e, r, err);
    if (!rc) rc = check_ids(e, r->tokens, r->token_count, prompt_name(r), err);
    if (!rc) rc = check_ids(e, r->begun, r->begun_count, "freehold_continue", err);
    return rc ? rc : gen_new(ret, e, r, err);
}

/* Under the lock. */
static void append(fh_engine *e, fh_gen *g)
{
    *(e->waiting_last ? &e->waiting_last->next : &e->waiting_first) = g;
    e->waiting_last = g;
    e->stats.waiting++;
    e->stats.requests++;
}

static int enqueue(fh_engine *e, fh_gen *const *gens, size_t count, fh_gen **const *ret, fh_err **err)
{
    pthread_mutex_lock(&e->lock);
    bool stopping = e->stopping, taken = !stopping && e->stats.waiting + count <= FH_LIMIT_ENGINE_QUEUE;
    for (size_t i = 0; taken && i < count; i++) {
        append(e, gens[i]);
        *ret[i] = gens[i];
    }
    if (taken)
        pthread_cond_signal(&e->wake);
    else
        e->stats.refused++;
    pthread_mutex_unlock(&e->lock);
    return taken ? 0 : refuse(e, stopping, err);
}

int fh_engine_submit_all(fh_engine *e, const fh_gen_request *r, size_t count, fh_gen **const *ret, fh_err **err)
{
    fh_gen *gens[FH_LIMIT_CHOICES];
    size_t made = 0;
    int rc = 0;
    for (; !rc && made < count; made += !rc) rc = make_gen(e, &r[made], &gens[made], err);
    if (!rc) rc = enqueue(e, gens, count, ret, err);
    for (size_t i = 0; rc && i < made; i++) { /* the engine's reference, and the caller's */
        fh_gen_release(gens[i]);
        fh_gen_release(gens[i]);
    }
    return rc;
}

int fh_engine_submit(fh_engine *e, const fh_gen_request *r, fh_gen **ret, fh_err **err)
{
    return fh_engine_submit_all(e, r, 1, &ret, err);
}

/* ---- the batch thread: slots ---- */

static size_t common_prefix(const fh_tokens *a, const fh_tokens *b)
{
    size_t n = FH_MIN(a->count, b->count), i = 0;
    while (i < n && a->ids[i] == b->ids[i]) i++;
    return i;
}

/* The free slot whose tokens the request shares most of, else the one that was freed longest ago. */
static slot *choose_slot(fh_engine *e, const fh_gen *g, size_t *ret_shared)
{
    slot *best = NULL;
    size_t best_shared = 0;
    for (size_t i = 0; i < e->info.parallel; i++) {
        slot *s = &e->slots[i];
        if (s->gen) continue;
        size_t shared = !g->sum && strcmp(s->salt, g->salt) == 0 ? common_prefix(&s->cached, &g->tokens) : 0;
        if (shared < REUSE_MIN_TOK) shared = 0;
        if (!best || shared > best_shared || (shared == best_shared && s->used < best->used)) {
            best = s;
            best_shared = shared;
        }
    }
    *ret_shared = FH_MIN(best_shared, g->prompt_count - 1); /* the last token is computed: its logits are wanted */
    return best;
}

static void admit(fh_engine *e, slot *s, fh_gen *g, size_t shared)
{
    fh_tokens_fini(&s->cached);
    s->cached = (fh_tokens){0};
    memcpy(s->salt, g->salt, sizeof s->salt);
    s->gen = g;
    g->done = g->cached = shared;
    g->admitted_ns = fh_clock_mono_ns();
    g->order = e->order++;
}

/* Takes the request out of its slot; the slot keeps the tokens that its rows hold, but for those of a vector, which nobody goes on from:
 * such a slot is taken again before others. */
static fh_gen *vacate(fh_engine *e, slot *s)
{
    fh_gen *g = s->gen;
    s->gen = NULL;
    s->used = 0;
    if (g->sum) return g;
    s->cached = g->tokens;
    s->cached.count = FH_MIN(g->done, g->tokens.count);
    g->tokens = (fh_tokens){0};
    s->used = e->order++;
    return g;
}

static void note_end(fh_engine *e, const fh_gen *g)
{
    pthread_mutex_lock(&e->lock);
    e->stats.running--;
    e->stats.cached_tok += g->cached;
    pthread_mutex_unlock(&e->lock);
}

static void end_slot(fh_engine *e, slot *s, fh_gen_finish how, const fh_err *err)
{
    fh_gen *g = vacate(e, s);
    note_end(e, g);
    gen_end(g, how, err);
}

/* ---- the batch thread: between steps ---- */

/* Under the lock. Unlinks the first waiting request that was cancelled, or NULL. */
static fh_gen *take_cancelled(fh_engine *e)
{
    fh_gen *before = NULL;
    for (fh_gen *g = e->waiting_first; g; before = g, g = g->next) {
        if (!atomic_load(&g->cancelled)) continue;
        *(before ? &before->next : &e->waiting_first) = g->next;
        if (e->waiting_last == g) e->waiting_last = before;
        e->stats.waiting--;
        return g;
    }
    return NULL;
}

static fh_gen *take_first(fh_engine *e)
{
    fh_gen *g = e->waiting_first;
    if (!g) return NULL;
    e->waiting_first = g->next;
    if (!g->next) e->waiting_last = NULL;
    g->next = NULL;
    e->stats.waiting--;
    e->stats.running++;
    return g;
}

static bool slot_free(const fh_engine *e)
{
    for (size_t i = 0; i < e->info.parallel; i++)
        if (!e->slots[i].gen) return true;
    return false;
}

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
    if (e->waiting_first && slot_free(e)) return true;
    for (const fh_gen *g = e->waiting_first; g; g = g->next)
        if (atomic_load(&g->cancelled)) return true;
    return false;
}

static void end_cancelled(fh_engine *e)
{
    for (size_t i = 0; i < e->info.parallel; i++) {
        fh_gen *g = e->slots[i].gen;
        if (g && atomic_load(&g->cancelled)) end_slot(e, &e->slots[i], FH_GEN_CANCELLED, NULL);
    }
    for (;;) {
        pthread_mutex_lock(&e->lock);
        fh_gen *g = take_cancelled(e);
        pthread_mutex_unlock(&e->lock);
        if (!g) return;
        gen_end(g, FH_GEN_CANCELLED, NULL);
    }
}

static void admit_waiting(fh_engine *e)
{
    while (slot_free(e)) {
        pthread_mutex_lock(&e->lock);
        fh_gen *g = take_first(e);
        pthread_mutex_unlock(&e->lock);
        if (!g) return;
        size_t shared;
        slot *s = choose_slot(e, g, &shared);
        admit(e, s, g, shared);
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

/* ---- the batch thread: a step ---- */

static bool generating(const fh_gen *g)
{
    return g && !atomic_load(&g->paused) && g->done >= g->prompt_count;
}

static void add(fh_engine *e, size_t slot_index, size_t count)
{
    fh_gen *g = e->slots[slot_index].gen;
    if (g->sum) {
        engine_step_add_states(e, slot_index, g->tokens.ids + g->done, count, g->done);
        return;
    }
    bool last = g->done + count == g->tokens.count;
    if (last) e->out_gens[e->step.out_count] = g;
    engine_step_add(e, slot_index, g->tokens.ids + g->done, count, g->done, last);
}

static bool next_prompt(const fh_engine *e, uint64_t after, size_t *ret_slot)
{
    uint64_t best = UINT64_MAX;
    for (size_t i = 0; i < e->info.parallel; i++) {
        const fh_gen *g = e->slots[i].gen;
        if (!g || atomic_load(&g->paused) || g->done >= g->prompt_count || g->order < after || g->order >= best) continue;
        best = g->order;
        *ret_slot = i;
    }
    return best != UINT64_MAX;
}

static void plan_step(fh_engine *e)
{
    engine_step_clear(e);
    for (size_t i = 0; i < e->info.parallel; i++)
        if (generating(e->slots[i].gen)) add(e, i, 1);
    size_t limit = e->step.count ? FH_MIN((size_t)e->info.batch_tok, e->step.count + PREFILL_BESIDE_DECODE_TOK) : e->info.batch_tok, i;
    for (uint64_t after = 0; e->step.count < limit && next_prompt(e, after, &i); after = e->slots[i].gen->order + 1) {
        const fh_gen *g = e->slots[i].gen;
        add(e, i, FH_MIN(limit - e->step.count, g->prompt_count - g->done));
    }
}

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
    if (gen_accept(e->slots[slot_index].gen, &e->sampled[row], &how, &err)) end_slot(e, &e->slots[slot_index], how, err);
    fh_err_free(err);
}

static void note_step(fh_engine *e, int64_t began_ns, uint64_t prompt_tok)
{
    uint64_t used = 0;
    for (size_t i = 0; i < e->info.parallel; i++) used += e->slots[i].gen ? e->slots[i].gen->done : 0;
    pthread_mutex_lock(&e->lock);
    e->stats.steps++;
    e->stats.step_rows += e->step.count;
    e->stats.prompt_tok += prompt_tok;
    e->stats.generated_tok += e->step.out_count;
    e->stats.busy_ns += fh_clock_mono_ns() - began_ns;
    e->stats.kv_used_tok = used;
    pthread_mutex_unlock(&e->lock);
}

static void run_step(fh_engine *e)
{
    int64_t began_ns = fh_clock_mono_ns();
    engine_step(e, sample_row);
    uint64_t prompt_tok = 0;
    size_t row = 0, state = 0;
    for (size_t i = 0; i < e->step.seq_count; i++) {
        const fh_step_seq *q = &e->seqs[i];
        fh_gen *g = e->slots[q->slot].gen;
        if (q->past < g->prompt_count) prompt_tok += q->count;
        g->done += q->count;
        if (g->sum) {
            if (gen_pool(g, e->states + state * e->model.shape.embd, q->count)) end_slot(e, &e->slots[q->slot], FH_GEN_STOP, NULL);
            state += q->count;
        } else if (g->done == g->tokens.count)
            finish_row(e, q->slot, row++);
    }
    note_step(e, began_ns, prompt_tok);
}

static void end_all(fh_engine *e)
{
    for (size_t i = 0; i < e->info.parallel; i++)
        if (e->slots[i].gen) end_slot(e, &e->slots[i], FH_GEN_SHUTDOWN, NULL);
    for (;;) {
        pthread_mutex_lock(&e->lock);
        fh_gen *g = take_first(e);
        if (g) e->stats.running--;
        pthread_mutex_unlock(&e->lock);
        if (!g) return;
        gen_end(g, FH_GEN_SHUTDOWN, NULL);
    }
}

void fh_engine_run(fh_engine *e)
{
    while (wait_for_work(e)) {
        end_cancelled(e);
        admit_waiting(e);
        plan_step(e);
        if (e->step.count) run_step(e);
    }
    end_all(e);
}
