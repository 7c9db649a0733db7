/* How far the end is, in tokens. From each state one shortest text leads to the end; cut greedily into the longest tokens, from the left,
 * its first token leads to a state whose own shortest text is what is left of it. So the number is a way that exists, found one token at a
 * time and remembered for every state on it. */
#include "grammar_private.h"

/* The first byte of the shortest text: of the first place that is nearest to the end. */
static uint8_t nearest_byte(const grammar_automaton *a, const grammar_set *s)
{
    const grammar_program *p = a->program;
    for (uint32_t i = 0; i < s->count; i++) {
        const grammar_node *g = &p->nodes[s->configs[i].node];
        uint64_t behind = a->frames[s->configs[i].stack].need;
        for (uint32_t r = g->a; r < g->a + g->b; r++)
            if ((uint64_t)p->nodes[p->ranges[r].next].need + behind + 1 == s->need) return p->ranges[r].low;
    }
    return 0;
}

static const grammar_trie_node *child(const grammar_trie *t, size_t first, size_t end, uint8_t byte)
{
    for (size_t i = first; i < end; i = t->nodes[i].skip)
        if (t->nodes[i].byte == byte) return &t->nodes[i];
    return NULL;
}

/* The state behind the longest token along the shortest text; STATE_FULL when there is none. */
static uint32_t behind_token(fh_grammar *g, uint32_t state)
{
    const grammar_trie *t = &g->tokens->all;
    size_t first = 0, end = t->count, depth = 0;
    uint32_t found = STATE_FULL;
    while (first < end && g->automaton.sets[state].need) {
        const grammar_trie_node *n = child(t, first, end, nearest_byte(&g->automaton, &g->automaton.sets[state]));
        if (!n) break;
        state = grammar_step(&g->automaton, state, n->byte);
        if (state == STATE_FULL || state == STATE_DEAD) return STATE_FULL;
        if (n->token != FH_TOKEN_NONE) found = state;
        first = (size_t)(n - t->nodes) + 1;
        end = n->skip;
        depth++;
    }
    return found;
}

static bool known(fh_grammar *g, uint32_t state)
{
    grammar_set *s = &g->automaton.sets[state];
    if (s->tokens == TOKENS_UNKNOWN && s->need == 0) s->tokens = 0;
    if (s->tokens == TOKENS_UNKNOWN && s->need > GRAMMAR_FAR_BYTES) s->tokens = TOKENS_FAR;
    return s->tokens != TOKENS_UNKNOWN;
}

unsigned grammar_tokens_to_end(fh_grammar *g, uint32_t state)
{
    size_t count = 0;
    while (!known(g, state) && count <= GRAMMAR_FAR_BYTES) {
        g->chain[count++] = state;
        state = behind_token(g, state);
        if (state == STATE_FULL) return TOKENS_FAR; /* no room now, or no such token: nothing is remembered */
    }
    unsigned tokens = g->automaton.sets[state].tokens;
    while (count-- > 0) {
        tokens = FH_MIN(tokens + 1, (unsigned)TOKENS_FAR);
        g->automaton.sets[g->chain[count]].tokens = (uint16_t)tokens;
    }
    return tokens;
}
