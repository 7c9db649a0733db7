/* Guessing by lookup (draft.h). The text that is looked through is the prediction, then the sequence. Positions in the index are those of a
 * pair's second token, plus one; 0 is none. */
#include "draft.h"

#include <string.h>

enum { KINDS = 8, ODDS_KEPT = 32 };

enum { PREDICTION_MATCH = 8 }; /* how well the beginning of a prediction is thought to fit */

typedef struct kind { /* matches of about the same length: how many of their guesses were right */
    float right, all;
} kind;

typedef struct text {
    const fh_token *before, *ids;
    size_t before_count, count; /* count: of both */
} text;

struct draft {
    draft_source source;
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

_Static_assert(2 * 2 * sizeof(uint32_t) <= DRAFT_TOK_BYTES, "two numbers a token, and the window may be twice as long");
size_t draft_bytes(size_t most_tok)
{
    return sizeof(draft) + window_of(most_tok) * 2 * sizeof(uint32_t);
}

void draft_free(draft *d)
{
    if (!d) return;
    fh_free(d->heads);
    fh_free(d->before);
    fh_free(d);
}

/* Before anything was said, the beginning of the prediction is the guess. */
static void begin(draft *d)
{
    d->count = FH_MIN(d->source.prediction_count, (size_t)FH_LIMIT_DRAFT_TOK);
    d->at = d->source.prediction_count + d->source.from;
    d->match = PREDICTION_MATCH;
    for (size_t i = 0; i < d->count; i++) d->ids[i] = d->source.prediction[i];
}

int draft_new(draft **ret, const draft_source *source, fh_err **err)
{
    FH_AUTO(draft) draft *d = fh_calloc(1, sizeof *d);
    if (!d) return fh_err_nomem(err);
    d->source = *source;
    d->window = window_of(source->most_tok + source->prediction_count);
    begin(d);
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

static fh_token at(const text *t, size_t i)
{
    return i < t->before_count ? t->before[i] : t->ids[i - t->before_count];
}

/* Answers how many of the last guess came. */
static size_t learn(draft *d, const text *t)
{
    size_t came = 0;
    while (came < d->count && d->at + came < t->count) {
        bool right = at(t, d->at + came) == d->ids[came];
        note(d, d->match + came, right);
        if (!right) return 0;
        came++;
    }
    return came;
}

/* ---- the index ---- */

static uint32_t *head_of(const draft *d, const text *t, size_t last)
{
    uint64_t pair = (uint64_t)(uint32_t)at(t, last - 1) << 32 | (uint32_t)at(t, last);
    return &d->heads[(pair * 0x9e3779b97f4a7c15u >> 32) & (d->window - 1)];
}

static void add_pairs(draft *d, const text *t)
{
    size_t kept = t->count > d->window ? t->count - d->window : 0;
    for (size_t i = FH_MAX(FH_MAX(d->indexed, (size_t)1), kept); i < t->count; i++) {
        uint32_t *head = head_of(d, t, i);
        d->before[i & (d->window - 1)] = *head;
        *head = (uint32_t)i + 1;
    }
    d->indexed = t->count;
}

static size_t match_at(const text *t, size_t last)
{
    size_t n = 0;
    while (n < DRAFT_MATCH_MAX && n <= last && at(t, last - n) == at(t, t->count - 1 - n)) n++;
    return n;
}

/* The longest match, of equally long ones the last; one that the last guess followed goes before those no longer than it. */
static void find(draft *d, const text *t, size_t came)
{
    bool follows = d->count > 0 && d->at + came == t->count;
    size_t from = d->from + came, match = follows ? FH_MIN(d->match + came, (size_t)DRAFT_MATCH_MAX) : 0;
    uint32_t next = t->count >= DRAFT_MATCH_MIN ? d->before[(t->count - 1) & (d->window - 1)] : 0;
    for (size_t i = 0; i < DRAFT_CHAIN && next && next + d->window > t->count && match < DRAFT_MATCH_MAX; i++) {
        size_t last = next - 1, n = match_at(t, last);
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
    const text t = {d->source.prediction, ids, d->source.prediction_count, d->source.prediction_count + count};
    size_t came = learn(d, &t);
    add_pairs(d, &t);
    find(d, &t, came);
    d->at = t.count;
    d->count = d->match ? FH_LIMIT_DRAFT_TOK : 0;
    float odds = 1;
    for (size_t i = 0; i < d->count; i++) { /* what would lie behind the end is what is guessed to lie there */
        d->ids[i] = d->from + i < t.count ? at(&t, d->from + i) : d->ids[d->from + i - t.count];
        ret->ids[i] = d->ids[i];
        ret->odds[i] = odds *= odds_of(d, d->match + i);
    }
    ret->count = d->count;
    ret->predicted = d->count && d->from < d->source.prediction_count;
}
