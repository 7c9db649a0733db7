/* Logits of given tokens, for comparing with other implementations and for perplexity. One sequence in slot 0, by the batch thread. */
#include "engine_private.h"

static int check_tokens(const fh_engine *e, const fh_token *ids, size_t count, fh_err **err)
{
    if (count > e->info.context_tok) {
        fh_err_set(err, FH_E_INVALID, "%zu tokens do not fit the context of %u", count, e->info.context_tok);
        fh_err_hint(err, "give fewer tokens, or a larger --context (the model was made for %u)", e->info.trained_context_tok);
        return FH_E_INVALID;
    }
    for (size_t i = 0; i < count; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= e->info.vocab_size)
            return fh_err_set(err, FH_E_INVALID, "token %d at %zu is outside the vocabulary of %u", ids[i], i, e->info.vocab_size);
    return 0;
}

static int hand_out(fh_engine *e, size_t first, fh_eval_row *row, void *arg, fh_err **err)
{
    int rc = 0;
    for (size_t i = 0; i < e->step.out_count && !rc; i++) rc = row(arg, first + i, e->logits + i * e->model.shape.vocab, err);
    return rc;
}

int fh_engine_eval(fh_engine *e, const fh_token *ids, size_t count, uint32_t step_tok, fh_eval_row *row, void *arg, fh_err **err)
{
    int rc = check_tokens(e, ids, count, err);
    size_t most = FH_MIN((size_t)EVAL_ROWS, (size_t)e->info.batch_tok), step = step_tok ? FH_MIN(step_tok, most) : most;
    if (!rc && !fh_prefix_grow(e->prefix, &e->slots[0].kv, count)) rc = fh_err_nomem(err);
    for (size_t at = 0; at < count && !rc; at += step) {
        size_t n = FH_MIN(step, count - at);
        engine_step_clear(e);
        engine_step_add(e, 0, ids + at, n, at, n);
        engine_step(e, NULL);
        rc = hand_out(e, at, row, arg, err);
    }
    fh_kv_seq_truncate(&e->slots[0].kv, &e->model.kv, 0);
    return rc;
}
