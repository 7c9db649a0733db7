/* Handing requests in: what is checked before a request waits, by any thread. */
#include "engine_private.h"
#include "base/limits.h"

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
    else if (r->cache_salt.len > FH_PREFIX_SALT_MAX)
        fh_err_set(err, FH_E_INVALID, "the cache salt is %zu bytes long, at most %d", r->cache_salt.len, FH_PREFIX_SALT_MAX);
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

static int enqueue(fh_engine *e, fh_gen *const *gens, size_t count, fh_gen **const *ret, fh_err **err)
{
    pthread_mutex_lock(&e->lock);
    bool stopping = e->stopping, taken = !stopping && e->stats.waiting + count <= FH_LIMIT_ENGINE_QUEUE;
    for (size_t i = 0; taken && i < count; i++) {
        gens[i]->order = e->order++;
        queue_append(e, gens[i]);
        e->stats.requests++;
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
