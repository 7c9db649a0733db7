/* What may come next in a sequence, guessed from what it has said already: where its last tokens stood before, the same tokens may follow.
 *
 * An index of all pairs of tokens, chained from each to the one before it, finds the longest earlier match of the sequence's end; what
 * followed there is the guess. How often matches of such a length were right in this sequence gives the odds, also while nobody uses the
 * guesses: whether they would have come is seen all the same. A prediction of the answer, where one is given, counts as said before.
 *
 * Bounded by DRAFT_LOOKBACK: what lies further back is not looked at. Pure; one owner. */
#ifndef FH_ENGINE_DRAFT_H
#define FH_ENGINE_DRAFT_H

#include "base/limits.h"
#include "model/vocab.h"

enum { DRAFT_MATCH_MIN = 2, DRAFT_MATCH_MAX = 32, DRAFT_CHAIN = 64 };

typedef struct draft_ahead { /* a guess */
    fh_token ids[FH_LIMIT_DRAFT_TOK];
    float odds[FH_LIMIT_DRAFT_TOK]; /* that it comes to this one: never rising */
    size_t count;
    bool predicted; /* out of the prediction */
} draft_ahead;

typedef struct draft draft;
typedef struct draft_source {
    size_t most_tok;            /* tokens that the sequence may come to have */
    const fh_token *prediction; /* of what follows the first `from` tokens; borrowed while the draft lives; may be none */
    size_t prediction_count, from;
} draft_source;
int draft_new(draft **ret, const draft_source *source, fh_err **err);
void draft_free(draft *d);
enum { DRAFT_TOK_BYTES = 16 };       /* at most, of draft_bytes, for a token more */
size_t draft_bytes(size_t most_tok); /* what one takes for so many tokens, its prediction's among them */
FH_DEFINE_AUTO(draft, draft_free);

/* What may follow the count tokens of the sequence, which begin with those of the call before. */
void draft_guess(draft *d, const fh_token *ids, size_t count, draft_ahead *ret);

#endif
