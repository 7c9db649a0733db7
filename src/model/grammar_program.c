/* Building a grammar's automaton: nodes, rules, and characters as the bytes of UTF-8. It is built from the end: a node is made when what
 * follows it is there. */
#include "grammar_private.h"

void grammar_program_fini(grammar_program *p)
{
    fh_free(p->nodes);
    fh_free(p->ranges);
    fh_free(p->rules);
    *p = (grammar_program){0};
}

/* Room for one more; false beyond most, or when memory is out. */
static bool grow(void **list, size_t *cap, size_t count, size_t item_bytes, size_t most)
{
    if (count < *cap) return true;
    if (count >= most) return false;
    size_t wanted = FH_MIN(*cap ? 2 * *cap : 64, most);
    void *grown = fh_realloc_array(*list, wanted, item_bytes);
    if (!grown) return false;
    *list = grown;
    *cap = wanted;
    return true;
}

uint32_t grammar_add_node(grammar_program *p, grammar_node n)
{
    if (!grow((void **)&p->nodes, &p->node_cap, p->node_count, sizeof *p->nodes, FH_LIMIT_GRAMMAR_NODES)) return GRAMMAR_NONE;
    p->nodes[p->node_count] = n;
    return (uint32_t)p->node_count++;
}

bool grammar_add_range(grammar_program *p, uint8_t low, uint8_t high, uint32_t next)
{
    if (next == GRAMMAR_NONE) return false;
    if (!grow((void **)&p->ranges, &p->range_cap, p->range_count, sizeof *p->ranges, 4 * (size_t)FH_LIMIT_GRAMMAR_NODES)) return false;
    p->ranges[p->range_count++] = (grammar_range){low, high, next};
    return true;
}

uint32_t grammar_add_bytes(grammar_program *p, uint8_t low, uint8_t high, uint32_t next)
{
    uint32_t first = (uint32_t)p->range_count;
    if (!grammar_add_range(p, low, high, next)) return GRAMMAR_NONE;
    return grammar_add_node(p, (grammar_node){.kind = GRAMMAR_BYTES, .a = first, .b = 1});
}

uint32_t grammar_add_text(grammar_program *p, fh_str text, uint32_t next)
{
    for (size_t i = text.len; i-- > 0 && next != GRAMMAR_NONE;)
        next = grammar_add_bytes(p, (uint8_t)text.ptr[i], (uint8_t)text.ptr[i], next);
    return next;
}

uint32_t grammar_add_rule(grammar_program *p, uint32_t line)
{
    if (!grow((void **)&p->rules, &p->rule_cap, p->rule_count, sizeof *p->rules, FH_LIMIT_GRAMMAR_RULES)) return GRAMMAR_NONE;
    p->rules[p->rule_count] = (grammar_rule){.line = line};
    return (uint32_t)p->rule_count++;
}

/* ---- characters ---- */

enum { TAILS = 64, SEQUENCES = 4096 };

typedef struct tail { /* the node for "a byte of this range, then next" */
    uint8_t low, high;
    uint32_t next, node;
} tail;

typedef struct class_maker {
    grammar_program *p;
    uint32_t next;
    tail tails[TAILS]; /* a few of those made last; node 0: free */
    struct {
        uint8_t low, high;
        uint32_t next;
    } leads[SEQUENCES];
    size_t lead_count;
    bool failed;
} class_maker;

static uint32_t tail_node(class_maker *m, uint8_t low, uint8_t high, uint32_t next)
{
    tail *t = &m->tails[(low + 7u * high + 31u * next) % TAILS];
    if (t->node && t->low == low && t->high == high && t->next == next) return t->node;
    *t = (tail){low, high, next, grammar_add_bytes(m->p, low, high, next)};
    if (t->node == GRAMMAR_NONE) m->failed = true;
    return t->node;
}

static void add_lead(class_maker *m, uint8_t low, uint8_t high, uint32_t next)
{
    if (m->lead_count == SEQUENCES)
        m->failed = true;
    else if (!m->failed) {
        m->leads[m->lead_count].low = low;
        m->leads[m->lead_count].high = high;
        m->leads[m->lead_count++].next = next;
    }
}

/* Code points whose encodings differ in ranges of bytes only, place by place. */
static void add_sequence(class_maker *m, uint32_t low, uint32_t high)
{
    char a[4], z[4];
    size_t n = fh_utf8_encode(low, a);
    fh_utf8_encode(high, z);
    uint32_t next = m->next;
    for (size_t i = n; i-- > 1 && !m->failed;) next = tail_node(m, (uint8_t)a[i], (uint8_t)z[i], next);
    add_lead(m, (uint8_t)a[0], (uint8_t)z[0], next);
}

/* Splits until the bytes behind the first that differs run from 80 to BF; three times at most on each side. */
static void add_span(class_maker *m, uint32_t low, uint32_t high)
{
    for (unsigned bits = 6; bits <= 18 && !m->failed; bits += 6) {
        uint32_t rest = (1u << bits) - 1;
        if ((low & ~rest) == (high & ~rest)) continue;
        if (low & rest) {
            add_span(m, low, low | rest);
            add_span(m, (low | rest) + 1, high);
            return;
        }
        if ((high & rest) != rest) {
            add_span(m, low, (high & ~rest) - 1);
            add_span(m, high & ~rest, high);
            return;
        }
    }
    add_sequence(m, low, high);
}

static void add_scalars(class_maker *m, grammar_span s)
{
    static const grammar_span lengths[] = {{0, 0x7f}, {0x80, 0x7ff}, {0x800, 0xd7ff}, {0xe000, 0xffff}, {0x10000, 0x10ffff}};
    for (size_t i = 0; i < FH_COUNT(lengths); i++) {
        uint32_t low = FH_MAX(s.low, lengths[i].low), high = FH_MIN(s.high, lengths[i].high);
        if (low > high) continue;
        if (high <= 0x7f)
            add_lead(m, (uint8_t)low, (uint8_t)high, m->next);
        else
            add_span(m, low, high);
    }
}

uint32_t grammar_add_class(grammar_program *p, const grammar_span *spans, size_t count, uint32_t next)
{
    if (next == GRAMMAR_NONE) return GRAMMAR_NONE;
    FH_AUTO(ptr) class_maker *m = fh_calloc(1, sizeof *m);
    if (!m) return GRAMMAR_NONE;
    m->p = p;
    m->next = next;
    for (size_t i = 0; i < count; i++) add_scalars(m, spans[i]);
    uint32_t first = (uint32_t)p->range_count;
    for (size_t i = 0; i < m->lead_count && !m->failed; i++)
        m->failed = !grammar_add_range(p, m->leads[i].low, m->leads[i].high, m->leads[i].next);
    if (m->failed) return GRAMMAR_NONE;
    return grammar_add_node(p, (grammar_node){.kind = GRAMMAR_BYTES, .a = first, .b = (uint32_t)m->lead_count});
}
