/* Lazy grammars: anything may come until a trigger is complete, then the grammar begins. The automaton of Aho and Corasick finds the
 * triggers however the text is cut into tokens; it becomes nodes in front of the root. A trigger is looked for as text and as the control
 * token that is spelled so. */
#include "grammar_private.h"

enum { TRIGGERS_MAX = 32, TRIGGER_BYTES = 256 };

typedef struct place {  /* how far a trigger has come */
    uint32_t next[256]; /* places + 1 by byte while the tree grows; then complete */
    uint32_t fallback;
    bool complete;
} place;

typedef struct finder {
    place *places;           /* owned */
    uint32_t *order, *nodes; /* owned: breadth first; the SPLIT of each place */
    size_t count, cap;
} finder;

static void finder_fini(finder *f)
{
    fh_free(f->places);
    fh_free(f->order);
    fh_free(f->nodes);
}

static bool add_text(finder *f, fh_str text)
{
    uint32_t at = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint32_t *next = &f->places[at].next[(uint8_t)text.ptr[i]];
        if (!*next) {
            if (f->count == f->cap) return false;
            *next = (uint32_t)f->count++;
        }
        at = *next;
    }
    f->places[at].complete = true;
    return true;
}

static bool add_trigger(finder *f, fh_str text)
{
    FH_AUTO(buf) fh_buf token = FH_BUF(TRIGGER_BYTES + 2);
    fh_buf_addc(&token, (char)GRAMMAR_TOKEN_OPEN);
    fh_buf_add(&token, text.ptr, text.len);
    fh_buf_addc(&token, (char)GRAMMAR_TOKEN_CLOSE);
    return fh_buf_ok(&token) && add_text(f, text) && add_text(f, (fh_str){token.data, token.len});
}

/* Where each byte leads from each place, the longest beginning of a trigger kept. */
static void complete(finder *f)
{
    size_t done = 0, known = 1;
    f->order[0] = 0;
    for (; done < known; done++) {
        place *p = &f->places[f->order[done]];
        for (unsigned b = 0; b < 256; b++) {
            uint32_t to = p->next[b], other = done ? f->places[p->fallback].next[b] : 0;
            if (!to) {
                p->next[b] = other;
                continue;
            }
            f->places[to].fallback = other;
            f->places[to].complete = f->places[to].complete || f->places[other].complete;
            f->order[known++] = to;
        }
    }
}

/* A place takes runs of bytes that lead to the same place; one that is complete is the root. */
static uint32_t add_place(grammar_program *p, const finder *f, size_t i)
{
    uint32_t first = (uint32_t)p->range_count, count = 0;
    for (unsigned b = 0; b < 256; count++) {
        unsigned from = b;
        uint32_t to = f->places[i].next[b];
        while (b < 256 && f->places[i].next[b] == to) b++;
        if (!grammar_add_range(p, (uint8_t)from, (uint8_t)(b - 1), f->nodes[to])) return GRAMMAR_NONE;
    }
    return grammar_add_node(p, (grammar_node){.kind = GRAMMAR_BYTES, .a = first, .b = count});
}

static bool add_places(grammar_program *p, finder *f, bool required)
{
    uint32_t begin = grammar_add_node(p, (grammar_node){.kind = GRAMMAR_CALL, .a = p->root, .b = 0});
    if (begin == GRAMMAR_NONE) return false;
    for (size_t i = 0; i < f->count; i++)
        f->nodes[i] = f->places[i].complete ? begin : grammar_add_node(p, (grammar_node){.kind = GRAMMAR_SPLIT});
    for (size_t i = 0; i < f->count; i++) {
        if (f->places[i].complete) continue;
        uint32_t bytes = f->nodes[i] == GRAMMAR_NONE ? GRAMMAR_NONE : add_place(p, f, i);
        if (bytes == GRAMMAR_NONE) return false;
        p->nodes[f->nodes[i]].a = bytes;
        p->nodes[f->nodes[i]].b = required ? bytes : 0;
    }
    uint32_t root = grammar_add_rule(p, 0);
    if (root == GRAMMAR_NONE) return false;
    p->rules[root] = (grammar_rule){.start = f->nodes[0], .defined = true};
    p->root = root;
    return true;
}

static int check_triggers(const fh_grammar_source *s, fh_err **err)
{
    if (s->trigger_count > TRIGGERS_MAX) return fh_err_set(err, FH_E_INVALID, "%zu triggers; at most %d", s->trigger_count, TRIGGERS_MAX);
    for (size_t i = 0; i < s->trigger_count; i++)
        if (s->triggers[i].len == 0 || s->triggers[i].len > TRIGGER_BYTES)
            return fh_err_set(err, FH_E_INVALID, "a trigger must have 1 to %d bytes", TRIGGER_BYTES);
    return 0;
}

int grammar_add_triggers(grammar_program *p, const fh_grammar_source *s, fh_err **err)
{
    int rc = check_triggers(s, err);
    if (rc) return rc;
    finder f = {.count = 1, .cap = 1};
    for (size_t i = 0; i < s->trigger_count; i++) f.cap += 2 * s->triggers[i].len + 2;
    f.places = fh_calloc(f.cap, sizeof *f.places);
    f.order = fh_calloc(f.cap, sizeof *f.order);
    f.nodes = fh_calloc(f.cap, sizeof *f.nodes);
    bool good = f.places && f.order && f.nodes;
    for (size_t i = 0; good && i < s->trigger_count; i++) good = add_trigger(&f, s->triggers[i]);
    if (good) {
        complete(&f);
        good = add_places(p, &f, s->trigger_required);
    }
    finder_fini(&f);
    return good ? 0 : fh_err_nomem(err);
}
