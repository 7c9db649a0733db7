/* One request: its tokens, its sampler, its text, and how it ends. Made by the thread that submits, then owned by the batch thread. */
#include "engine_private.h"
#include "base/clock.h"
#include "base/limits.h"

#include <math.h>
#include <string.h>

_Static_assert((int)TOP_MAX == (int)FH_LIMIT_TOP_LOGPROBS, "sampled rows hold as many alternatives as a request may ask for");
enum { TEXT_MAX = 1 << 20 };

static bool full(const fh_gen *g)
{
    return (g->max_tok && g->generated >= g->max_tok) || g->tokens.count > g->engine->info.context_tok;
}

static void gen_free(fh_gen *g)
{
    if (!g) return;
    fh_tokens_fini(&g->tokens);
    fh_tokens_fini(&g->prediction);
    if (g->sampler) fh_sampler_free(g->sampler);
    if (g->detok) fh_detok_free(g->detok);
    fh_grammar_state_free(g->grammar);
    fh_free(g->mask);
    draft_free(g->draft);
    fh_free(g->sum);
    fh_free(g->vector);
    fh_err_free(g->grammar_err);
    fh_free(g->bias_tokens);
    fh_free(g->bias_values);
    fh_free(g->pending);
    fh_buf_fini(&g->text);
    fh_free(g);
}
FH_DEFINE_AUTO(fh_gen, gen_free);

static int copy_tokens(fh_gen *g, const fh_gen_request *r, fh_err **err)
{
    for (size_t i = 0; i < r->token_count; i++)
        if (!fh_tokens_push(&g->tokens, r->tokens[i])) return fh_err_nomem(err);
    for (size_t i = 0; i < r->begun_count; i++)
        if (!fh_tokens_push(&g->tokens, r->begun[i])) return fh_err_nomem(err);
    size_t predicted = FH_MIN(r->prediction_count, (size_t)g->engine->info.context_tok);
    for (size_t i = 0; i < predicted; i++)
        if (!fh_tokens_push(&g->prediction, r->prediction[i])) return fh_err_nomem(err);
    g->prompt_count = g->tokens.count;
    g->begun = g->generated = r->begun_count;
    return 0;
}

static int make_sampler(fh_gen *g, const fh_gen_request *r, size_t vocab, fh_err **err)
{
    fh_sample_params p = r->sample;
    g->bias_tokens = fh_calloc(p.bias_count, sizeof *g->bias_tokens);
    g->bias_values = fh_calloc(p.bias_count, sizeof *g->bias_values);
    if (!g->bias_tokens || !g->bias_values) return fh_err_nomem(err);
    if (p.bias_count) {
        memcpy(g->bias_tokens, p.bias_tokens, p.bias_count * sizeof *g->bias_tokens);
        memcpy(g->bias_values, p.bias_values, p.bias_count * sizeof *g->bias_values);
    }
    p.bias_tokens = g->bias_tokens;
    p.bias_values = g->bias_values;
    int rc = fh_sampler_new(&g->sampler, &p, vocab, err);
    if (rc) return rc;
    size_t from = r->token_count > p.penalty_last ? r->token_count - p.penalty_last : 0;
    for (size_t i = from; i < r->token_count; i++) fh_sampler_accept(g->sampler, r->tokens[i]);
    return 0;
}

/* What was begun elsewhere goes through sampler and text as it did there, and its text is dropped: the client has it. */
static int replay(fh_gen *g, const fh_gen_request *r, fh_err **err)
{
    bool stopped = false;
    for (size_t i = 0; i < r->begun_count; i++) {
        fh_sampler_accept(g->sampler, r->begun[i]);
        if (g->grammar) fh_grammar_state_accept(g->grammar, r->begun[i]);
        int rc = fh_detok_push(g->detok, r->begun[i], &g->text, &stopped, err);
        if (rc) return rc;
        if (r->on_begun && g->text.len) r->on_begun(r->arg, (fh_str){g->text.data, g->text.len});
        if (stopped || full(g)) return fh_err_set(err, FH_E_INVALID, "the answer that is to go on is whole already");
        fh_buf_clear(&g->text);
    }
    fh_sampler_skip(g->sampler, r->begun_count);
    return 0;
}

static int make_grammar(fh_gen *g, const fh_gen_request *r, fh_err **err)
{
    g->mask = fh_calloc(g->engine->model.shape.vocab / 64 + 1, sizeof *g->mask);
    return g->mask ? fh_grammar_state_new(&g->grammar, r->grammar, err) : fh_err_nomem(err);
}

/* What a request that generates has. */
static int make_answering(fh_gen *g, const fh_gen_request *r, fh_err **err)
{
    const fh_engine *e = g->engine;
    int rc = make_sampler(g, r, e->model.shape.vocab, err);
    if (!rc) rc = fh_detok_new(&g->detok, e->vocab, r->stops, r->stop_count, err);
    if (!rc && r->grammar) rc = make_grammar(g, r, err);
    if (!rc && r->markers) fh_detok_show(g->detok, e->shown);
    if (!rc) rc = replay(g, r, err);
    if (rc) return rc;
    if (g->logprobs && !(g->pending = fh_calloc(PENDING_MAX, sizeof *g->pending))) return fh_err_nomem(err);
    return 0;
}

static int make_pooling(fh_gen *g, fh_err **err)
{
    size_t embd = g->engine->model.shape.embd;
    g->sum = fh_calloc(embd, sizeof *g->sum);
    g->vector = fh_calloc(embd, sizeof *g->vector);
    return g->sum && g->vector ? 0 : fh_err_nomem(err);
}

int gen_new(fh_gen **ret, fh_engine *e, const fh_gen_request *r, fh_err **err)
{
    FH_AUTO(fh_gen) fh_gen *g = fh_calloc(1, sizeof *g);
    if (!g) return fh_err_nomem(err);
    *g = (fh_gen){.engine = e,
                  .max_tok = r->max_tok,
                  .ignore_eos = r->ignore_eos,
                  .off_disk = r->off_disk,
                  .logprobs = r->logprobs,
                  .top_count = r->top_logprobs,
                  .on_piece = r->on_piece,
                  .on_end = r->on_end,
                  .arg = r->arg,
                  .submitted_ns = fh_clock_mono_ns()};
    atomic_init(&g->refs, 2); /* the engine's and the caller's */
    fh_buf_init(&g->text, TEXT_MAX);
    g->rank_ns = g->submitted_ns - r->priority * PRIORITY_NS;
    memcpy(g->salt, r->cache_salt.ptr ? r->cache_salt.ptr : "", r->cache_salt.len);
    int rc = copy_tokens(g, r, err);
    if (!rc) rc = r->embed ? make_pooling(g, err) : make_answering(g, r, err);
    if (rc) return rc;
    *ret = fh_take(g);
    return 0;
}

void fh_gen_release(fh_gen *g)
{
    if (g && atomic_fetch_sub(&g->refs, 1) == 1) gen_free(g);
}

void fh_gen_cancel(fh_gen *g)
{
    if (!atomic_exchange(&g->cancelled, true)) engine_wake(g->engine);
}

void fh_gen_pause(fh_gen *g, bool paused)
{
    if (atomic_exchange(&g->paused, paused) != paused && !paused) engine_wake(g->engine);
}

/* ---- hidden states become a vector ---- */

static void make_vector(fh_gen *g)
{
    size_t embd = g->engine->model.shape.embd;
    double squares = 0;
    for (size_t i = 0; i < embd; i++) squares += g->sum[i] * g->sum[i];
    double scale = squares > 0 ? 1 / sqrt(squares) : 0; /* the mean's own length falls out */
    for (size_t i = 0; i < embd; i++) g->vector[i] = (float)(g->sum[i] * scale);
}

bool gen_pool(fh_gen *g, const float *states, size_t count)
{
    size_t embd = g->engine->model.shape.embd;
    for (size_t row = 0; row < count; row++)
        for (size_t i = 0; i < embd; i++) g->sum[i] += (double)states[row * embd + i];
    if (g->done < g->tokens.count) return false;
    make_vector(g);
    return true;
}

/* ---- tokens become text ---- */

static uint64_t prompt_tok(const fh_gen *g)
{
    return g->prompt_count - g->begun;
}

static uint64_t cached_tok(const fh_gen *g)
{
    return FH_MIN(g->cached, g->prompt_count - g->begun);
}

static void emit(fh_gen *g)
{
    fh_gen_token tokens[PENDING_MAX];
    for (size_t i = 0; g->logprobs && i < g->pending_count; i++)
        tokens[i] = (fh_gen_token){g->pending[i].id, g->pending[i].logprob, g->pending[i].top, g->top_count};
    fh_gen_piece piece = {.text = {fh_buf_cstr(&g->text), g->text.len},
                          .ids = g->pending_ids,
                          .tokens = g->logprobs ? tokens : NULL,
                          .count = g->pending_count,
                          .prompt_tok = prompt_tok(g),
                          .cached_tok = cached_tok(g)};
    if (g->on_piece) g->on_piece(g->arg, &piece);
    g->pending_count = 0;
    fh_buf_clear(&g->text);
}

/* Text that may yet become a stop string is held back, and the logprobs of its tokens with it. */
static void emit_if_ready(fh_gen *g)
{
    if (g->text.len > 0 || g->pending_count == PENDING_MAX) emit(g);
}

static int emit_rest(fh_gen *g, bool stopped, fh_err **err)
{
    int rc = stopped ? 0 : fh_detok_finish(g->detok, &g->text, err);
    if (stopped && g->text.len == 0) g->pending_count = 0; /* tokens of the stop string itself */
    if (rc == 0 && (g->text.len > 0 || (g->logprobs && g->pending_count > 0))) emit(g);
    return rc;
}

static void note_times(fh_gen *g)
{
    g->last_ns = fh_clock_mono_ns();
    if (g->generated == g->begun) g->first_ns = g->last_ns;
}

static bool fail(int rc, fh_gen_finish *ret_finish)
{
    if (rc == 0) return false;
    *ret_finish = FH_GEN_FAILED;
    return true;
}

static bool finish(fh_gen *g, bool stopped, fh_gen_finish how, fh_gen_finish *ret_finish, fh_err **err)
{
    *ret_finish = how;
    fail(emit_rest(g, stopped, err), ret_finish);
    return true;
}

static uint64_t tokens_left(const fh_gen *g, size_t ahead)
{
    size_t context = g->engine->info.context_tok;
    uint64_t room = context - FH_MIN(g->tokens.count + ahead, context) + 1;
    return g->max_tok ? FH_MIN(g->max_tok - g->generated - ahead, room) : room;
}

static bool mask(fh_gen *g, size_t ahead, float *logits)
{
    if (!g->grammar) return true;
    if (fh_grammar_state_mask(g->grammar, tokens_left(g, ahead), g->mask, &g->grammar_err)) return false;
    fh_grammar_forbid(g->mask, logits, g->engine->model.shape.vocab);
    return true;
}

void gen_sample(fh_gen *g, size_t ahead, float *logits, gen_sampled *ret)
{
    ret->failed = !mask(g, ahead, logits);
    if (ret->failed) return;
    ret->id = fh_sampler_next(g->sampler, logits, g->logprobs ? &ret->logprob : NULL, ret->top, g->logprobs ? g->top_count : 0);
    if (g->grammar) fh_grammar_state_accept(g->grammar, ret->id);
    fh_sampler_accept(g->sampler, ret->id);
}

bool gen_accept(fh_gen *g, const gen_sampled *s, fh_gen_finish *ret_finish, fh_err **err)
{
    if (s->failed) {
        fh_err_move(err, &g->grammar_err);
        return fail(FH_E_INTERNAL, ret_finish);
    }
    note_times(g);
    g->generated++;
    if ((!g->ignore_eos || g->grammar) && fh_vocab_is_end(g->engine->vocab, s->id)) return finish(g, false, FH_GEN_STOP, ret_finish, err);
    if (!fh_tokens_push(&g->tokens, s->id)) return fail(fh_err_nomem(err), ret_finish);
    if (g->logprobs) g->pending[g->pending_count] = *s;
    g->pending_ids[g->pending_count++] = s->id;
    bool stopped = false;
    if (fail(fh_detok_push(g->detok, s->id, &g->text, &stopped, err), ret_finish)) return true;
    if (stopped) return finish(g, true, FH_GEN_STOP, ret_finish, err);
    if (full(g)) return finish(g, false, FH_GEN_LENGTH, ret_finish, err);
    emit_if_ready(g);
    return false;
}

void gen_end(fh_gen *g, fh_gen_finish how, const fh_err *err)
{
    int64_t now = fh_clock_mono_ns(), admitted = g->admitted_ns ? g->admitted_ns : now, first = g->first_ns ? g->first_ns : now;
    fh_gen_end end = {.finish = how,
                      .err = err,
                      .stop = how == FH_GEN_STOP && g->detok ? fh_detok_stop(g->detok) : (fh_str){NULL, 0},
                      .vector = how == FH_GEN_STOP ? g->vector : NULL,
                      .prompt_tok = prompt_tok(g),
                      .cached_tok = cached_tok(g),
                      .generated_tok = g->generated,
                      .drafted_tok = g->drafted_tok,
                      .accepted_tok = g->accepted_tok,
                      .predicted_tok = g->predicted_tok,
                      .mispredicted_tok = g->mispredicted_tok,
                      .queued_ns = admitted - g->submitted_ns,
                      .prompt_ns = first - admitted,
                      .generate_ns = g->first_ns ? g->last_ns - g->first_ns : 0};
    if (g->on_end) g->on_end(g->arg, &end);
    fh_gen_release(g);
}
