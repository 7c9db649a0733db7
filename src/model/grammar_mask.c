/* Which tokens may come at a state: the trie of tokens is walked along with the automaton, so a beginning that cannot come is looked at
 * once for all tokens that share it. Plain tokens (grammar_private.h) are not walked where all plain characters lead the same way, as they
 * do inside a JSON string. A mask that no budget narrowed is kept with its state. */
#include "grammar_private.h"

typedef struct filler {
    fh_grammar *g;
    uint64_t *mask;
    uint64_t limit; /* tokens that the end may be away behind a token */
    unsigned cost;  /* the most that it is behind an allowed one */
    bool any, narrowed, partial;
} filler;

/* A token that leads to a state: whether it fits the budget. */
static bool fits(filler *f, uint32_t state)
{
    unsigned cost = f->g->automaton.sets[state].tokens;
    if (cost == TOKENS_UNKNOWN) cost = grammar_tokens_to_end(f->g, state);
    if (cost > f->limit || (cost == TOKENS_FAR && f->limit != UINT64_MAX)) {
        f->narrowed = true;
        return false;
    }
    f->cost = FH_MAX(f->cost, cost);
    f->any = true;
    return true;
}

/* ---- the walk ---- */

static uint32_t step(filler *f, const uint32_t *walk, size_t depth, uint8_t byte)
{
    grammar_automaton *a = &f->g->automaton;
    uint32_t to = a->sets[walk[depth - 1]].steps[a->program->class_of[byte]];
    if (to != STATE_UNKNOWN) return to;
    to = grammar_step(a, walk[depth - 1], byte);
    if (to != STATE_FULL) return to;
    grammar_forget(a, walk, depth);
    to = grammar_step(a, walk[depth - 1], byte);
    if (to != STATE_FULL) return to;
    f->partial = true; /* not remembered: there may be room later */
    return STATE_DEAD;
}

static void walk_trie(filler *f, const grammar_trie *t, uint32_t state)
{
    uint32_t *walk = f->g->walk;
    walk[0] = state;
    for (size_t i = 0; i < t->count;) {
        const grammar_trie_node *n = &t->nodes[i];
        uint32_t to = step(f, walk, n->depth, n->byte);
        if (to == STATE_DEAD) {
            i = n->skip;
            continue;
        }
        walk[n->depth] = to;
        if (n->token != FH_TOKEN_NONE && fits(f, to)) f->mask[(size_t)n->token / 64] |= 1ull << ((size_t)n->token % 64);
        i++;
    }
}

/* ---- plain characters ---- */

typedef struct bytes_of {
    uint8_t low, high;
} bytes_of;
/* What UTF-8 lets follow; the last of a row ends the character. */
static const struct encoding {
    unsigned length;
    bytes_of bytes[4];
} encodings[] = {
    {1, {{0x20, 0x21}}},
    {1, {{0x23, 0x5b}}},
    {1, {{0x5d, 0x7e}}},
    {2, {{0xc2, 0xdf}, {0x80, 0xbf}}},
    {3, {{0xe0, 0xe0}, {0xa0, 0xbf}, {0x80, 0xbf}}},
    {3, {{0xe1, 0xec}, {0x80, 0xbf}, {0x80, 0xbf}}},
    {3, {{0xed, 0xed}, {0x80, 0x9f}, {0x80, 0xbf}}},
    {3, {{0xee, 0xef}, {0x80, 0xbf}, {0x80, 0xbf}}},
    {4, {{0xf0, 0xf0}, {0x90, 0xbf}, {0x80, 0xbf}, {0x80, 0xbf}}},
    {4, {{0xf1, 0xf3}, {0x80, 0xbf}, {0x80, 0xbf}, {0x80, 0xbf}}},
    {4, {{0xf4, 0xf4}, {0x80, 0x8f}, {0x80, 0xbf}, {0x80, 0xbf}}},
};

/* Whether all characters of an encoding lead to one state, *to (STATE_UNKNOWN: whichever comes first). Bytes of a class lead the same way,
 * and classes are runs of bytes: one byte of each is enough. */
static bool leads_to(fh_grammar *g, uint32_t state, const struct encoding *e, unsigned place, uint32_t *to)
{
    const grammar_program *p = &g->program;
    for (unsigned b = e->bytes[place].low; b <= e->bytes[place].high;) {
        uint32_t next = grammar_step(&g->automaton, state, (uint8_t)b);
        bool last = place + 1 >= e->length || place + 1 == FH_COUNT(e->bytes) || next == STATE_DEAD;
        if (next == STATE_FULL) return false;
        if (last && *to == STATE_UNKNOWN) *to = next;
        if (last ? next != *to : !leads_to(g, next, e, place + 1, to)) return false;
        for (unsigned class = p->class_of[b]; b <= e->bytes[place].high && p->class_of[b] == class;) b++;
    }
    return true;
}

/* Where every plain character leads from a state (it may be STATE_DEAD); STATE_UNKNOWN when not all lead the same way. */
static uint32_t behind_plain(fh_grammar *g, uint32_t state)
{
    uint32_t to = STATE_UNKNOWN;
    for (size_t i = 0; i < FH_COUNT(encodings); i++)
        if (!leads_to(g, state, &encodings[i], 0, &to)) return STATE_UNKNOWN;
    return to;
}

/* States behind 1, 2, ... plain characters into run[1 ..]; answers how many, or -1 when that does not say what plain tokens do. */
static int plain_run(fh_grammar *g, uint32_t state, uint32_t run[GRAMMAR_PLAIN_MAX + 1])
{
    run[0] = state;
    for (int n = 0; n < GRAMMAR_PLAIN_MAX; n++) {
        uint32_t to = n > 0 && run[n] == run[n - 1] ? run[n] : behind_plain(g, run[n]);
        if (to == STATE_UNKNOWN) return -1;
        if (to == STATE_DEAD) return n;
        run[n + 1] = to;
    }
    return GRAMMAR_PLAIN_MAX;
}

static void add_mask(filler *f, const uint64_t *more)
{
    for (size_t i = 0; i < f->g->tokens->words; i++) f->mask[i] |= more[i];
}

/* False: nothing was added, walk them. */
static bool add_plain(filler *f, uint32_t state)
{
    uint32_t run[GRAMMAR_PLAIN_MAX + 1];
    int count = plain_run(f->g, state, run);
    if (count < 0) return false;
    if (count && run[1] == state) {
        if (fits(f, state)) add_mask(f, f->g->tokens->plain[0]);
        return true;
    }
    for (int n = 1; n <= count; n++)
        if (fits(f, run[n])) add_mask(f, f->g->tokens->plain[n]);
    return true;
}

/* ---- masks ---- */

static void walk_all(filler *f, uint32_t state)
{
    const grammar_tokens *t = f->g->tokens;
    memset(f->mask, 0, t->words * sizeof *f->mask);
    f->cost = 0;
    f->any = f->narrowed = f->partial = false;
    walk_trie(f, add_plain(f, state) ? &t->rest : &t->all, state);
}

static void forget_masks(grammar_automaton *a)
{
    for (size_t i = 0; i < a->set_count; i++) {
        fh_free(a->sets[i].mask);
        a->sets[i].mask = NULL;
    }
    a->mask_count = 0;
}

/* When memory is out it is made anew next time. */
static void remember(const filler *f, uint32_t state)
{
    grammar_automaton *a = &f->g->automaton;
    size_t bytes = f->g->tokens->words * sizeof(uint64_t);
    if (a->sets[state].mask) return;
    if ((a->mask_count + 1) * bytes > FH_LIMIT_GRAMMAR_MASK_BYTES) forget_masks(a);
    grammar_mask *m = fh_alloc(sizeof *m + bytes);
    if (!m) return;
    m->cost = f->cost;
    memcpy(m->bits, f->mask, bytes);
    a->sets[state].mask = m;
    a->mask_count++;
}

static void fill(filler *f, uint32_t state)
{
    const grammar_mask *m = f->g->automaton.sets[state].mask;
    if (m && (m->cost <= f->limit && (m->cost != TOKENS_FAR || f->limit == UINT64_MAX))) {
        memcpy(f->mask, m->bits, f->g->tokens->words * sizeof *f->mask);
        f->any = true;
        return;
    }
    walk_all(f, state);
    if (f->any && !f->narrowed && !f->partial) remember(f, state);
}

/* No way fits the budget: then what leads nearer to the end, or anything. */
static void fill_nearest(filler *f, uint32_t state)
{
    unsigned cost = grammar_tokens_to_end(f->g, state);
    f->limit = cost > 0 && cost < TOKENS_FAR ? cost - 1 : UINT64_MAX;
    fill(f, state);
    if (f->any || f->limit == UINT64_MAX) return;
    f->limit = UINT64_MAX;
    fill(f, state);
}

int grammar_mask_fill(fh_grammar *g, uint32_t state, uint64_t tokens_left, uint64_t *mask, fh_err **err)
{
    grammar_automaton *a = &g->automaton;
    if (a->bytes > FH_LIMIT_GRAMMAR_STATE_BYTES / 4 * 3) grammar_forget(a, &state, 1);
    bool accepts = a->sets[state].accepts;
    /* behind this token: as many as the end is away, and the end token */
    filler f = {.g = g, .mask = mask, .limit = tokens_left == UINT64_MAX ? UINT64_MAX : tokens_left > 2 ? tokens_left - 2 : 0};
    if (f.limit != UINT64_MAX && grammar_tokens_to_end(g, state) == TOKENS_FAR) f.limit = UINT64_MAX;
    if (tokens_left < 2)
        memset(mask, 0, g->tokens->words * sizeof *mask);
    else
        fill(&f, state);
    if (!f.any && !accepts) fill_nearest(&f, state);
    if (accepts) add_mask(&f, g->tokens->ends);
    if (f.any || accepts) return 0;
    return fh_err_set(err, FH_E_INTERNAL,
                      "no token of the model can follow: the grammar wants bytes that none begins with, or too much at once");
}
