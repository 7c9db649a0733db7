/* What must hold of a grammar before it is used: each rule that is reached can end, none calls itself before it takes a byte, and what may
 * be empty is not counted far. Finds the need of each node (Knuth's generalisation of Dijkstra's algorithm: a node is settled once, least
 * need first), and which bytes the grammar never tells apart. */
#include "grammar_private.h"

enum { COUNTED_EMPTY_MAX = 64 };

/* ---- needs ---- */

typedef struct entry {
    uint32_t need, node;
} entry;

typedef struct solver {
    grammar_program *p;
    uint32_t *first, *users; /* nodes that use a node: users[first[n] .. first[n + 1]) */
    uint32_t *calls;         /* by rule: the first node that calls it, + 1; chained */
    uint32_t *chain;         /* [node] the next that calls the same rule, + 1 */
    uint32_t *rule_of;       /* [node] the rules that start here, + 1; chained */
    uint32_t *rule_chain;    /* [rule] */
    entry *heap;
    size_t heap_count, heap_cap;
} solver;

static void solver_fini(solver *s)
{
    fh_free(s->first);
    fh_free(s->users);
    fh_free(s->calls);
    fh_free(s->chain);
    fh_free(s->rule_of);
    fh_free(s->rule_chain);
    fh_free(s->heap);
}

/* Calls visit for each node that n goes on to within its rule. */
static void each_next(const grammar_program *p, uint32_t n, void (*visit)(void *arg, uint32_t from, uint32_t to), void *arg)
{
    const grammar_node *g = &p->nodes[n];
    switch (g->kind) {
    case GRAMMAR_BYTES:
        for (uint32_t i = 0; i < g->b; i++) visit(arg, n, p->ranges[g->a + i].next);
        break;
    case GRAMMAR_SPLIT:
        visit(arg, n, g->a);
        visit(arg, n, g->b);
        break;
    case GRAMMAR_CALL:
    case GRAMMAR_REPEAT: visit(arg, n, g->b); break;
    case GRAMMAR_END: break;
    }
}

static void count_user(void *arg, uint32_t from, uint32_t to)
{
    ((solver *)arg)->first[to + 1]++;
    (void)from;
}

static void put_user(void *arg, uint32_t from, uint32_t to)
{
    solver *s = arg;
    s->users[--s->first[to + 1]] = from;
}

static bool index_users(solver *s)
{
    grammar_program *p = s->p;
    size_t n = p->node_count;
    s->first = fh_calloc(n + 2, sizeof *s->first);
    if (!s->first) return false;
    for (uint32_t i = 0; i < n; i++) each_next(p, i, count_user, s);
    for (size_t i = 1; i <= n; i++) s->first[i] += s->first[i - 1]; /* first[i + 1] is the end of node i's users */
    s->users = fh_calloc(s->first[n] + 1, sizeof *s->users);
    if (!s->users) return false;
    size_t total = s->first[n];
    for (uint32_t i = 0; i < n; i++) each_next(p, i, put_user, s); /* now first[i + 1] is their beginning */
    for (size_t i = 0; i < n; i++) s->first[i] = s->first[i + 1];
    s->first[n] = (uint32_t)total;
    return true;
}

static bool index_calls(solver *s)
{
    grammar_program *p = s->p;
    s->calls = fh_calloc(p->rule_count + 1, sizeof *s->calls);
    s->chain = fh_calloc(p->node_count + 1, sizeof *s->chain);
    s->rule_of = fh_calloc(p->node_count + 1, sizeof *s->rule_of);
    s->rule_chain = fh_calloc(p->rule_count + 1, sizeof *s->rule_chain);
    if (!s->calls || !s->chain || !s->rule_of || !s->rule_chain) return false;
    for (uint32_t i = 0; i < p->node_count; i++) {
        const grammar_node *g = &p->nodes[i];
        if (g->kind != GRAMMAR_CALL && g->kind != GRAMMAR_REPEAT) continue;
        s->chain[i] = s->calls[g->a];
        s->calls[g->a] = i + 1;
    }
    for (uint32_t r = 0; r < p->rule_count; r++) {
        s->rule_chain[r] = s->rule_of[p->rules[r].start];
        s->rule_of[p->rules[r].start] = r + 1;
    }
    return true;
}

static bool push(solver *s, uint32_t need, uint32_t node)
{
    if (s->heap_count == s->heap_cap) {
        size_t cap = s->heap_cap ? 2 * s->heap_cap : 256;
        entry *grown = fh_realloc_array(s->heap, cap, sizeof *grown);
        if (!grown) return false;
        s->heap = grown;
        s->heap_cap = cap;
    }
    size_t i = s->heap_count++;
    for (; i > 0 && s->heap[(i - 1) / 2].need > need; i = (i - 1) / 2) s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = (entry){need, node};
    return true;
}

static entry pop(solver *s)
{
    entry top = s->heap[0], last = s->heap[--s->heap_count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= s->heap_count) break;
        if (child + 1 < s->heap_count && s->heap[child + 1].need < s->heap[child].need) child++;
        if (s->heap[child].need >= last.need) break;
        s->heap[i] = s->heap[child];
        i = child;
    }
    s->heap[i] = last;
    return top;
}

static uint32_t add_needs(uint64_t x, uint64_t y)
{
    if (x >= GRAMMAR_NEVER || y >= GRAMMAR_NEVER) return GRAMMAR_NEVER;
    return (uint32_t)FH_MIN(x + y, (uint64_t)GRAMMAR_NEVER - 1);
}

/* As far as what it leads to is settled. */
static uint32_t need_of(const grammar_program *p, uint32_t n)
{
    const grammar_node *g = &p->nodes[n];
    uint32_t least = GRAMMAR_NEVER;
    switch (g->kind) {
    case GRAMMAR_END: return 0;
    case GRAMMAR_BYTES:
        for (uint32_t i = 0; i < g->b; i++) least = FH_MIN(least, add_needs(p->nodes[p->ranges[g->a + i].next].need, 1));
        return least;
    case GRAMMAR_SPLIT: return FH_MIN(p->nodes[g->a].need, p->nodes[g->b].need);
    case GRAMMAR_CALL: return add_needs(p->nodes[p->rules[g->a].start].need, p->nodes[g->b].need);
    case GRAMMAR_REPEAT: break;
    }
    uint64_t once = p->nodes[p->rules[g->a].start].need;
    if (g->min == 0) return p->nodes[g->b].need;
    return once == GRAMMAR_NEVER ? GRAMMAR_NEVER : add_needs(FH_MIN(once * g->min, (uint64_t)GRAMMAR_NEVER - 1), p->nodes[g->b].need);
}

static bool offer(solver *s, uint32_t node)
{
    if (s->p->nodes[node].need != GRAMMAR_NEVER) return true;
    uint32_t need = need_of(s->p, node);
    return need == GRAMMAR_NEVER || push(s, need, node);
}

static bool settle(solver *s, uint32_t n)
{
    for (uint32_t i = s->first[n]; i < s->first[n + 1]; i++)
        if (!offer(s, s->users[i])) return false;
    for (uint32_t r = s->rule_of[n]; r; r = s->rule_chain[r - 1])
        for (uint32_t c = s->calls[r - 1]; c; c = s->chain[c - 1])
            if (!offer(s, c - 1)) return false;
    return true;
}

static int find_needs(grammar_program *p, fh_err **err)
{
    solver s = {.p = p};
    for (size_t i = 0; i < p->node_count; i++) p->nodes[i].need = GRAMMAR_NEVER;
    bool good = index_users(&s) && index_calls(&s) && push(&s, 0, 0);
    while (good && s.heap_count) {
        entry e = pop(&s);
        if (p->nodes[e.node].need != GRAMMAR_NEVER) continue;
        p->nodes[e.node].need = e.need;
        good = settle(&s, e.node);
    }
    solver_fini(&s);
    return good ? 0 : fh_err_nomem(err);
}

/* ---- left recursion ---- */

static uint32_t rule_need(const grammar_program *p, uint32_t rule)
{
    return p->nodes[p->rules[rule].start].need;
}

typedef struct walker {
    const grammar_program *p;
    uint8_t *color;  /* [rule] 0: new, 1: open, 2: done */
    uint8_t *mark;   /* [node] looked at */
    uint32_t *stack; /* nodes to look at, and rules that are open (+ RULE_CLOSE) */
    size_t count, cap;
} walker;
#define RULE_CLOSE 0x80000000u

static bool later(walker *w, uint32_t what)
{
    if (w->count == w->cap) {
        size_t cap = w->cap ? 2 * w->cap : 256;
        uint32_t *grown = fh_realloc_array(w->stack, cap, sizeof *grown);
        if (!grown) return false;
        w->stack = grown;
        w->cap = cap;
    }
    w->stack[w->count++] = what;
    return true;
}

/* Rules of which one may begin with the next are walked depth first; to meet an open one is to recur. A node's ways are walked before
 * the rule closes that they belong to. *ret_rule: the one that recurs. */
static int walk_rule(walker *w, uint32_t from, uint32_t *ret_rule)
{
    const grammar_program *p = w->p;
    if (!later(w, RULE_CLOSE | from) || !later(w, p->rules[from].start)) return -1;
    w->color[from] = 1;
    while (w->count) {
        uint32_t what = w->stack[--w->count];
        if (what & RULE_CLOSE) {
            w->color[what & ~RULE_CLOSE] = 2;
            continue;
        }
        const grammar_node *g = &p->nodes[what];
        if (w->mark[what] || g->need == GRAMMAR_NEVER) continue;
        if (g->kind != GRAMMAR_END) w->mark[what] = 1;
        if (g->kind == GRAMMAR_SPLIT && (!later(w, g->a) || !later(w, g->b))) return -1;
        if (g->kind != GRAMMAR_CALL && g->kind != GRAMMAR_REPEAT) continue;
        bool passes = rule_need(p, g->a) == 0 || (g->kind == GRAMMAR_REPEAT && g->min == 0);
        if (passes && !later(w, g->b)) return -1;
        if (rule_need(p, g->a) == GRAMMAR_NEVER || w->color[g->a] == 2) continue;
        if (w->color[g->a] == 1) {
            *ret_rule = g->a;
            return 1;
        }
        w->color[g->a] = 1;
        if (!later(w, RULE_CLOSE | g->a) || !later(w, p->rules[g->a].start)) return -1;
    }
    return 0;
}

static int blame_rule(const grammar_program *p, uint32_t rule, const char *param, const char *what, fh_err **err)
{
    if (p->rules[rule].line)
        fh_err_set(err, FH_E_INVALID, "line %u of the grammar: %s", p->rules[rule].line, what);
    else
        fh_err_set(err, FH_E_INVALID, "the grammar: %s", what);
    fh_err_param(err, "%s", param);
    return FH_E_INVALID;
}

static int check_left_recursion(const grammar_program *p, const char *param, fh_err **err)
{
    walker w = {.p = p, .color = fh_calloc(p->rule_count + 1, 1), .mark = fh_calloc(p->node_count + 1, 1)};
    uint32_t rule = 0;
    int found = w.color && w.mark ? 0 : -1;
    for (uint32_t r = 0; r < p->rule_count && !found; r++)
        if (w.color[r] == 0 && rule_need(p, r) != GRAMMAR_NEVER) found = walk_rule(&w, r, &rule);
    fh_free(w.color);
    fh_free(w.mark);
    fh_free(w.stack);
    if (found < 0) return fh_err_nomem(err);
    return found ? blame_rule(p, rule, param, "the rule begins with itself (left recursion); turn it round", err) : 0;
}

/* ---- repetitions of what may be empty ---- */

static int check_repeats(grammar_program *p, const char *param, fh_err **err)
{
    for (size_t i = 0; i < p->node_count; i++) {
        grammar_node *g = &p->nodes[i];
        if (g->kind != GRAMMAR_REPEAT || rule_need(p, g->a) != 0) continue;
        g->min = 0;
        if (g->max != UINT32_MAX && g->max > COUNTED_EMPTY_MAX)
            return blame_rule(p, g->a, param, "what may be empty is repeated up to a number above 64; use * instead", err);
    }
    return 0;
}

/* ---- bytes ---- */

static void find_classes(grammar_program *p)
{
    bool begins[257] = {true};
    for (size_t i = 0; i < p->range_count; i++) begins[p->ranges[i].low] = begins[p->ranges[i].high + 1] = true;
    p->class_count = 0;
    for (unsigned b = 0; b < 256; b++) {
        if (begins[b]) p->byte_of[p->class_count++] = (uint8_t)b;
        p->class_of[b] = (uint8_t)(p->class_count - 1);
    }
}

int grammar_check(grammar_program *p, const char *param, fh_err **err)
{
    int rc = find_needs(p, err);
    if (!rc && rule_need(p, p->root) == GRAMMAR_NEVER) rc = blame_rule(p, p->root, param, "nothing that it describes ever ends", err);
    if (!rc) rc = check_left_recursion(p, param, err);
    if (!rc) rc = check_repeats(p, param, err);
    if (!rc) find_classes(p);
    return rc;
}
