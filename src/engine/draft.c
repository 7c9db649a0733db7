/* Guessing by lookup (draft.h). Positions in the index are those of a pair's second token, plus one; 0 is none. */
#include "draft.h"

#include <string.h>

enum { KINDS = 8, ODDS_KEPT = 32 };

typedef struct kind { /* matches of about the same length: how many of their guesses were right */
    float right, all;
} kind;

struct draft {
    size_t window;            /* a power of two: of the positions that are looked at */
    uint32_t *heads, *before; /* owned, [window]: the last pair of a hash; of each position, the one before it of the same hash */
    size_t indexed;           /* tokens whose pairs are in the index */
    kind kinds[KINDS];
    /* the last guess: */
    fh_token ids[FH_LIMIT_DRAFT_TOK];
    size_t count, at, from, match; /* for positions from `at` on; what stood at positions from `from` on, after so long a match */
};

static size_t window_of(size_t most_tok)
{
    size_t window = 64;
    while (window < most_tok && window < FH_LIMIT_DRAFT_LOOKBACK) window *= 2;
    return window;
}
_Static_assert((FH_LIMIT_DRAFT_LOOKBACK & (FH_LIMIT_DRAFT_LOOKBACK - 1)) == 0, "the window is a power of two");

void draft_free(draft *d)
{
    if (!d) return;
    fh_free(d->heads);
    fh_free(d->before);
    fh_free(d);
}

int draft_new(draft **ret, size_t most_tok, fh_err **err)
{
    FH_AUTO(draft) draft *d = fh_calloc(1, sizeof *d);
    if (!d) return fh_err_nomem(err);
    d->window = window_of(most_tok);
    d->heads = fh_calloc(d->window, sizeof *d->heads);
    d->before = fh_calloc(d->window, sizeof *d->before);
    if (!d->heads || !d->before) return fh_err_nomem(err);
    *ret = fh_take(d);
    return 0;
}

/* ---- odds ---- */

static size_t kind_of(size_t match)
{
    static const size_t from[KINDS] = {0, 3, 4, 5, 7, 9, 13, 21};
    size_t i = KINDS - 1;
    while (match < from[i]) i--;
    return i;
}

/* What is not known yet counts as two guesses of usual luck. */
static float odds_of(const draft *d, size_t match)
{
    static const float usual[KINDS] = {0.25f, 0.35f, 0.45f, 0.55f, 0.65f, 0.75f, 0.85f, 0.9f};
    size_t i = kind_of(match);
    return (d->kinds[i].right + 2 * usual[i]) / (d->kinds[i].all + 2);
}

static void note(draft *d, size_t match, bool right)
{
    kind *k = &d->kinds[kind_of(match)];
    if (k->all >= ODDS_KEPT) *k = (kind){k->right / 2, k->all / 2};
    k->all += 1;
    k->right += right;
}

/* Answers how many of the last guess came. */
static size_t learn(draft *d, const fh_token *ids, size_t count)
{
    size_t came = 0;
    while (came < d->count && d->at + came < count) {
        bool right = ids[d->at + came] == d->ids[came];
        note(d, d->match + came, right);
        if (!right) return 0;
        came++;
    }
    return came;
}

/* ---- the index ---- */

static uint32_t *head_of(const draft *d, const fh_token *last)
{
    uint64_t pair = (uint64_t)(uint32_t)last[-1] << 32 | (uint32_t)last[0];
    return &d->heads[(pair * 0x9e3779b97f4a7c15u >> 32) & (d->window - 1)];
}

static void add_pairs(draft *d, const fh_token *ids, size_t count)
{
    size_t kept = count > d->window ? count - d->window : 0;
    for (size_t i = FH_MAX(FH_MAX(d->indexed, (size_t)1), kept); i < count; i++) {
        uint32_t *head = head_of(d, ids + i);
        d->before[i & (d->window - 1)] = *head;
        *head = (uint32_t)i + 1;
    }
    d->indexed = count;
}

static size_t match_at(const fh_token *ids, size_t count, size_t last)
{
    size_t n = 0;
    while (n < DRAFT_MATCH_MAX && n <= last && ids[last - n] == ids[count - 1 - n]) n++;
    return n;
}

/* The longest match, of equally long ones the last; one that the last guess followed goes before those no longer than it. */
static void find(draft *d, const fh_token *ids, size_t count, size_t came)
{
    bool follows = came > 0 && d->at + came == count;
    size_t from = d->from + came, match = follows ? FH_MIN(d->match + came, (size_t)DRAFT_MATCH_MAX) : 0;
    uint32_t next = count >= DRAFT_MATCH_MIN ? d->before[(count - 1) & (d->window - 1)] : 0;
    for (size_t i = 0; i < DRAFT_CHAIN && next && next + d->window > count && match < DRAFT_MATCH_MAX; i++) {
        size_t last = next - 1, n = match_at(ids, count, last);
        next = d->before[last & (d->window - 1)];
        if (n < DRAFT_MATCH_MIN || n <= match) continue;
        match = n;
        from = last + 1;
    }
    d->from = from;
    d->match = match;
}

void draft_guess(draft *d, const fh_token *ids, size_t count, draft_ahead *ret)
{
    size_t came = learn(d, ids, count);
    add_pairs(d, ids, count);
    find(d, ids, count, came);
    d->at = count;
    d->count = d->match ? FH_LIMIT_DRAFT_TOK : 0;
    float odds = 1;
    for (size_t i = 0; i < d->count; i++) { /* what would lie behind the end is what is guessed to lie there */
        d->ids[i] = d->from + i < count ? ids[d->from + i] : d->ids[d->from + i - count];
        ret->ids[i] = d->ids[i];
        ret->odds[i] = odds *= odds_of(d, d->match + i);
    }
    ret->count = d->count;
}
