/* Guesses in a step: which sequences get rows for tokens that they have not said yet.
 *
 * Such a row is computed as if the guess had come, behind the row of the sequence's last token. Sampling then goes through the rows in
 * order and stops at the first whose guess was wrong (sched.c): every token is sampled from its own logits with the sequence's own
 * random numbers, so nobody can tell from an answer whether there were guesses. What the wrong rows left in the cache is forgotten. */
#include "engine_private.h"

_Static_assert(1 + FH_LIMIT_DRAFT_TOK <= FH_ATTN_SPLIT_QUERIES, "rows of guesses are computed to the same bits as alone");

/* Tokens that may follow the one that the step samples anyway. */
static size_t room_of(const fh_gen *g)
{
    size_t room = g->engine->info.context_tok - FH_MIN(g->tokens.count, (size_t)g->engine->info.context_tok);
    return g->max_tok ? FH_MIN(room, (size_t)(g->max_tok - g->generated - 1)) : room;
}

/* Without memory there are no guesses. */
static void guess(fh_gen *g, draft_ahead *ret)
{
    size_t most = g->engine->info.context_tok;
    if (g->max_tok) most = FH_MIN(most, g->prompt_count + (size_t)FH_MIN(g->max_tok, (uint64_t)most));
    ret->count = 0;
    draft_source source = {
        .most_tok = most, .prediction = g->prediction.ids, .prediction_count = g->prediction.count, .from = g->prompt_count - g->begun};
    if (!g->draft && draft_new(&g->draft, &source, NULL)) return;
    draft_guess(g->draft, g->tokens.ids, g->tokens.count, ret);
    ret->count = FH_MIN(ret->count, room_of(g));
}

/* Rows of guesses: what prompts that end in this step may want of the outputs stays theirs, and half of the step's tokens too. And a step
 * does not become one of other products by them. */
static size_t most_rows(const fh_engine *e)
{
    size_t outputs = e->logit_rows - e->info.parallel, tokens = (e->info.batch_tok - e->info.parallel) / 2,
           narrow = FH_WIDE_ROWS - FH_MIN(e->share_count + 1, (size_t)FH_WIDE_ROWS);
    return FH_MIN(FH_MIN(outputs, tokens), narrow);
}

static void share_all(cost_wish *wishes, size_t count, size_t most)
{
    for (size_t i = 0; i < count; i++) {
        wishes[i].given = FH_MIN(wishes[i].ahead.count, most);
        most -= wishes[i].given;
    }
}

void ahead_plan(fh_engine *e)
{
    if (e->drafts == FH_DRAFTS_NEVER) return;
    for (size_t i = 0; i < e->share_count; i++) guess(e->slots[e->shares[i].slot].gen, &e->wishes[i].ahead);
    if (e->drafts == FH_DRAFTS_ALWAYS)
        share_all(e->wishes, e->share_count, most_rows(e));
    else
        costs_share(&e->costs, e->wishes, e->share_count, most_rows(e));
    for (size_t i = 0; i < e->share_count; i++) {
        step_share *s = &e->shares[i];
        s->ahead = e->wishes[i].given;
        s->predicted = e->wishes[i].ahead.predicted;
        for (size_t k = 0; k < s->ahead; k++) s->ids[k] = e->wishes[i].ahead.ids[k];
    }
}

/* Room in the cache that nobody loses a place for; less where there is none. */
void ahead_grow(fh_engine *e, step_share *share)
{
    slot *s = &e->slots[share->slot];
    size_t held = s->gen->done + share->count;
    if (share->ahead && !fh_prefix_grow(e->prefix, &s->kv, held + share->ahead)) share->ahead = s->kv.count * FH_KV_PAGE_TOK - held;
}
