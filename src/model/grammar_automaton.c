/* States: sets of places where a text may stand, each made once, each step remembered.
 *
 * What holds: frames and sets are unique, so equal numbers mean equal things; frames[0] is the empty stack, sets[0] the empty set; each
 * place of a set stands at a node that takes a byte, or is the end of everything; no place is kept from which there is no way to the end,
 * so every state but the dead one has one. A call that is the last thing of its rule leaves no frame: lists are no deeper than one item. */
#include "grammar_private.h"

#include <stdlib.h>

enum { NO_ROOM = 0x7fffffff };

/* ---- numbered, unique things ---- */

static uint32_t mix(uint32_t h, uint32_t v)
{
    h = (h ^ v) * 0x9e3779b1u;
    return h ^ h >> 15;
}

static bool table_init(grammar_table *t, size_t slots)
{
    t->slots = fh_calloc(slots, sizeof *t->slots);
    t->mask = slots - 1;
    return t->slots != NULL;
}

static bool grow(grammar_automaton *a, void **list, size_t *cap, size_t item_bytes)
{
    size_t wanted = *cap ? 2 * *cap : 64;
    void *grown = fh_realloc_array(*list, wanted, item_bytes);
    if (!grown) return false;
    a->bytes += (wanted - *cap) * item_bytes;
    *list = grown;
    *cap = wanted;
    return true;
}

/* ---- frames ---- */

static uint32_t frame_hash(uint32_t node, uint32_t count, uint32_t parent)
{
    return mix(mix(mix(0, node), count), parent);
}

static void frame_link(grammar_automaton *a, uint32_t i)
{
    grammar_frame *f = &a->frames[i];
    uint32_t *slot = &a->frame_table.slots[frame_hash(f->node, f->count, f->parent) & a->frame_table.mask];
    f->hash_next = *slot;
    *slot = i;
}

static void frames_rehash(grammar_automaton *a)
{
    size_t slots = (a->frame_table.mask + 1) * 2;
    uint32_t *grown = fh_calloc(slots, sizeof *grown);
    if (!grown) return; /* chains get longer, nothing else */
    a->bytes += slots * sizeof *grown / 2;
    fh_free(a->frame_table.slots);
    a->frame_table = (grammar_table){grown, slots - 1, a->frame_table.used};
    for (uint32_t i = 1; i < a->frame_count; i++)
        if (a->frames[i].depth) frame_link(a, i);
}

static uint32_t add_needs(uint64_t x, uint64_t y)
{
    if (x == GRAMMAR_NEVER || y == GRAMMAR_NEVER) return GRAMMAR_NEVER;
    return (uint32_t)FH_MIN(x + y, (uint64_t)GRAMMAR_NEVER - 1);
}

/* Bytes from the return of a call to the end of everything. */
static uint32_t need_behind(const grammar_automaton *a, uint32_t node, uint32_t count, uint32_t parent)
{
    const grammar_program *p = a->program;
    const grammar_node *g = &p->nodes[node];
    uint32_t rest = add_needs(p->nodes[g->b].need, a->frames[parent].need);
    if (g->kind == GRAMMAR_CALL || g->min <= count + 1) return rest;
    uint64_t more = (uint64_t)(g->min - count - 1) * p->nodes[p->rules[g->a].start].need;
    return add_needs(FH_MIN(more, (uint64_t)GRAMMAR_NEVER - 1), rest);
}

static uint32_t frame_take(grammar_automaton *a)
{
    uint32_t i = a->free_frame;
    if (i) {
        a->free_frame = a->frames[i].hash_next;
        return i;
    }
    if (a->frame_count == a->frame_cap && !grow(a, (void **)&a->frames, &a->frame_cap, sizeof *a->frames)) return NO_ROOM;
    return (uint32_t)a->frame_count++;
}

static uint32_t frame_of(grammar_automaton *a, uint32_t node, uint32_t count, uint32_t parent)
{
    uint32_t depth = a->frames[parent].depth + 1u;
    for (uint32_t i = a->frame_table.slots[frame_hash(node, count, parent) & a->frame_table.mask]; i; i = a->frames[i].hash_next)
        if (a->frames[i].node == node && a->frames[i].count == count && a->frames[i].parent == parent) return i;
    if (depth > FH_LIMIT_GRAMMAR_DEPTH) return NO_ROOM;
    uint32_t i = frame_take(a);
    if (i == NO_ROOM) {
        a->overflow = true;
        return i;
    }
    a->frames[i] = (grammar_frame){.node = node, .count = count, .parent = parent, .depth = (uint16_t)depth};
    a->frames[i].need = need_behind(a, node, count, parent);
    frame_link(a, i);
    if (++a->frame_table.used > 2 * a->frame_table.mask) frames_rehash(a);
    return i;
}

/* ---- a set in the making ---- */

static uint32_t config_need(const grammar_automaton *a, grammar_config c)
{
    return add_needs(a->program->nodes[c.node].need, a->frames[c.stack].need);
}

static bool seen_grow(grammar_automaton *a)
{
    size_t slots = (a->seen_mask + 1) * 2;
    uint32_t *grown = fh_calloc(slots, sizeof *grown);
    if (!grown) return false;
    fh_free(a->seen);
    a->seen = grown;
    a->seen_mask = slots - 1;
    for (uint32_t i = 0; i < a->work_count; i++) {
        size_t at = mix(mix(1, a->work[i].node), a->work[i].stack) & a->seen_mask;
        while (grown[at]) at = (at + 1) & a->seen_mask;
        grown[at] = i + 1;
    }
    return true;
}

/* A place to look at, once; those without a way to the end are left out. */
static void visit(grammar_automaton *a, uint32_t node, uint32_t stack)
{
    grammar_config c = {node, stack};
    if (stack == NO_ROOM || config_need(a, c) == GRAMMAR_NEVER) return;
    size_t at = mix(mix(1, node), stack) & a->seen_mask;
    for (; a->seen[at]; at = (at + 1) & a->seen_mask)
        if (a->work[a->seen[at] - 1].node == node && a->work[a->seen[at] - 1].stack == stack) return;
    if (a->work_count >= 4 * (size_t)FH_LIMIT_GRAMMAR_CONFIGS) return;
    if ((a->work_count == a->work_cap && !grow(a, (void **)&a->work, &a->work_cap, sizeof *a->work)) ||
        (2 * a->work_count > a->seen_mask && !seen_grow(a))) {
        a->overflow = true;
        return;
    }
    for (at = mix(mix(1, node), stack) & a->seen_mask; a->seen[at]; at = (at + 1) & a->seen_mask)
        ;
    a->work[a->work_count++] = c;
    a->seen[at] = (uint32_t)a->work_count;
}

static void enter(grammar_automaton *a, uint32_t node, uint32_t count, uint32_t stack)
{
    const grammar_node *g = &a->program->nodes[node];
    bool last = g->kind == GRAMMAR_CALL && g->b == 0; /* nothing to come back for */
    visit(a, a->program->rules[g->a].start, last ? stack : frame_of(a, node, count, stack));
}

/* A rule has ended: back to where it was called, or once more. */
static void leave(grammar_automaton *a, uint32_t stack)
{
    if (stack == 0) {
        a->accepts = true;
        return;
    }
    grammar_frame f = a->frames[stack];
    const grammar_node *g = &a->program->nodes[f.node];
    if (g->kind == GRAMMAR_CALL) {
        visit(a, g->b, f.parent);
        return;
    }
    uint32_t done = g->max == UINT32_MAX ? FH_MIN(f.count + 1, g->min) : f.count + 1;
    if (done >= g->min) visit(a, g->b, f.parent);
    if (done < g->max) enter(a, f.node, done, f.parent);
}

static void find(grammar_automaton *a, grammar_config c)
{
    if (a->found_count == FH_LIMIT_GRAMMAR_CONFIGS) return;
    if (a->found_count == a->found_cap && !grow(a, (void **)&a->found, &a->found_cap, sizeof *a->found))
        a->overflow = true;
    else
        a->found[a->found_count++] = c;
}

static void look_at(grammar_automaton *a, grammar_config c)
{
    const grammar_node *g = &a->program->nodes[c.node];
    switch (g->kind) {
    case GRAMMAR_BYTES: find(a, c); break;
    case GRAMMAR_SPLIT:
        visit(a, g->a, c.stack);
        visit(a, g->b, c.stack);
        break;
    case GRAMMAR_CALL: enter(a, c.node, 0, c.stack); break;
    case GRAMMAR_REPEAT:
        if (g->min == 0) visit(a, g->b, c.stack);
        enter(a, c.node, 0, c.stack);
        break;
    case GRAMMAR_END: leave(a, c.stack); break;
    }
}

/* Clears only what was used. */
static void begin_set(grammar_automaton *a)
{
    if (a->work_count * 8 > a->seen_mask)
        memset(a->seen, 0, (a->seen_mask + 1) * sizeof *a->seen);
    else
        for (size_t i = 0; i < a->work_count; i++) {
            size_t at = mix(mix(1, a->work[i].node), a->work[i].stack) & a->seen_mask;
            for (; a->seen[at]; at = (at + 1) & a->seen_mask) a->seen[at] = 0;
        }
    a->work_count = a->found_count = 0;
    a->accepts = a->overflow = false;
}

/* ---- sets ---- */

static int by_place(const void *x, const void *y)
{
    const grammar_config *a = x, *b = y;
    if (a->node != b->node) return a->node < b->node ? -1 : 1;
    return (a->stack > b->stack) - (a->stack < b->stack);
}

static void set_link(grammar_automaton *a, uint32_t i)
{
    uint32_t *slot = &a->set_table.slots[a->sets[i].hash & a->set_table.mask];
    a->sets[i].hash_next = *slot;
    *slot = i;
}

static void sets_rehash(grammar_automaton *a)
{
    size_t slots = (a->set_table.mask + 1) * 2;
    uint32_t *grown = fh_calloc(slots, sizeof *grown);
    if (!grown) return;
    a->bytes += slots * sizeof *grown / 2;
    fh_free(a->set_table.slots);
    a->set_table = (grammar_table){grown, slots - 1, a->set_table.used};
    for (uint32_t i = 1; i < a->set_count; i++)
        if (a->sets[i].configs) set_link(a, i);
}

static size_t set_bytes(const grammar_automaton *a, const grammar_set *s)
{
    return (s->count + 1) * sizeof *s->configs + a->program->class_count * sizeof *s->steps;
}

static bool set_fill(grammar_automaton *a, grammar_set *s)
{
    s->count = (uint32_t)a->found_count;
    s->accepts = a->accepts;
    s->tokens = TOKENS_UNKNOWN;
    s->need = a->accepts ? 0 : GRAMMAR_NEVER;
    for (size_t i = 0; i < a->found_count; i++) s->need = FH_MIN(s->need, config_need(a, a->found[i]));
    s->configs = fh_alloc((a->found_count + 1) * sizeof *s->configs);
    s->steps = fh_alloc(a->program->class_count * sizeof *s->steps);
    if (!s->configs || !s->steps) {
        fh_free(s->configs);
        fh_free(s->steps);
        *s = (grammar_set){0};
        return false;
    }
    if (a->found_count) memcpy(s->configs, a->found, a->found_count * sizeof *s->configs);
    memset(s->steps, 0xff, a->program->class_count * sizeof *s->steps);
    a->bytes += set_bytes(a, s);
    return true;
}

static uint32_t set_take(grammar_automaton *a)
{
    uint32_t i = a->free_set;
    if (i) {
        a->free_set = a->sets[i].hash_next;
        return i;
    }
    if (a->set_count == a->set_cap && !grow(a, (void **)&a->sets, &a->set_cap, sizeof *a->sets)) return STATE_FULL;
    return (uint32_t)a->set_count++;
}

static void set_give_back(grammar_automaton *a, uint32_t i)
{
    a->sets[i] = (grammar_set){.hash_next = a->free_set};
    a->free_set = i;
}

static bool same_set(const grammar_automaton *a, const grammar_set *s)
{
    return s->count == a->found_count && s->accepts == a->accepts &&
           (!s->count || memcmp(s->configs, a->found, s->count * sizeof *s->configs) == 0);
}

/* The number of the set that was found. */
static uint32_t set_of_found(grammar_automaton *a)
{
    if (a->overflow) return STATE_FULL;
    if (a->found_count == 0 && !a->accepts) return STATE_DEAD;
    if (a->found_count > 1) qsort(a->found, a->found_count, sizeof *a->found, by_place);
    uint32_t hash = a->accepts;
    for (size_t i = 0; i < a->found_count; i++) hash = mix(mix(hash, a->found[i].node), a->found[i].stack);
    for (uint32_t i = a->set_table.slots[hash & a->set_table.mask]; i; i = a->sets[i].hash_next)
        if (a->sets[i].hash == hash && same_set(a, &a->sets[i])) return i;
    if (a->bytes > FH_LIMIT_GRAMMAR_STATE_BYTES) return STATE_FULL;
    uint32_t i = set_take(a);
    if (i == STATE_FULL) return i;
    a->sets[i] = (grammar_set){.hash = hash};
    if (!set_fill(a, &a->sets[i])) {
        set_give_back(a, i);
        return STATE_FULL;
    }
    set_link(a, i);
    if (++a->set_table.used > 2 * a->set_table.mask) sets_rehash(a);
    return i;
}

static void finish_work(grammar_automaton *a)
{
    for (size_t i = 0; i < a->work_count && !a->overflow; i++) look_at(a, a->work[i]);
}

uint32_t grammar_step(grammar_automaton *a, uint32_t state, uint8_t byte)
{
    uint32_t class = a->program->class_of[byte], to = a->sets[state].steps[class];
    if (to != STATE_UNKNOWN) return to;
    begin_set(a);
    for (uint32_t i = 0; i < a->sets[state].count; i++) {
        grammar_config c = a->sets[state].configs[i];
        const grammar_node *g = &a->program->nodes[c.node];
        for (uint32_t r = g->a; r < g->a + g->b; r++)
            if (byte >= a->program->ranges[r].low && byte <= a->program->ranges[r].high) visit(a, a->program->ranges[r].next, c.stack);
    }
    finish_work(a);
    to = set_of_found(a);
    if (to != STATE_FULL) a->sets[state].steps[class] = to;
    return to;
}

/* ---- forgetting ---- */

static void mark_frames(grammar_automaton *a, const grammar_set *s, uint8_t *used)
{
    for (uint32_t i = 0; i < s->count; i++)
        for (uint32_t f = s->configs[i].stack; f && !used[f]; f = a->frames[f].parent) used[f] = 1;
}

static void free_set(grammar_automaton *a, uint32_t i)
{
    grammar_set *s = &a->sets[i];
    a->bytes -= set_bytes(a, s);
    fh_free(s->configs);
    fh_free(s->steps);
    if (s->mask) a->mask_count--;
    fh_free(s->mask);
    set_give_back(a, i);
}

static void free_frames(grammar_automaton *a, const uint8_t *used)
{
    a->free_frame = 0;
    a->frame_table.used = 0;
    memset(a->frame_table.slots, 0, (a->frame_table.mask + 1) * sizeof *a->frame_table.slots);
    for (uint32_t i = 1; i < a->frame_count; i++) {
        if (used[i]) {
            frame_link(a, i);
            a->frame_table.used++;
        } else {
            a->frames[i] = (grammar_frame){.hash_next = a->free_frame};
            a->free_frame = i;
        }
    }
}

void grammar_forget(grammar_automaton *a, const uint32_t *keep, size_t count)
{
    FH_AUTO(ptr) uint8_t *used = fh_calloc(a->frame_count, 1);
    if (!used) return;
    for (size_t i = 0; i < count; i++) a->sets[keep[i]].pins++;
    a->set_table.used = 0;
    memset(a->set_table.slots, 0, (a->set_table.mask + 1) * sizeof *a->set_table.slots);
    for (uint32_t i = 1; i < a->set_count; i++) {
        grammar_set *s = &a->sets[i];
        if (!s->configs) continue;
        if (!s->pins) {
            free_set(a, i);
            continue;
        }
        memset(s->steps, 0xff, a->program->class_count * sizeof *s->steps);
        mark_frames(a, s, used);
        set_link(a, i);
        a->set_table.used++;
    }
    for (size_t i = 0; i < count; i++) a->sets[keep[i]].pins--;
    free_frames(a, used);
}

/* ---- life ---- */

static bool make_lists(grammar_automaton *a)
{
    a->seen = fh_calloc(256, sizeof *a->seen);
    a->seen_mask = 255;
    bool good = table_init(&a->frame_table, 256) && table_init(&a->set_table, 256) && a->seen;
    good =
        good && grow(a, (void **)&a->frames, &a->frame_cap, sizeof *a->frames) && grow(a, (void **)&a->sets, &a->set_cap, sizeof *a->sets);
    if (!good) return false;
    a->frames[0] = (grammar_frame){0};
    a->sets[0] = (grammar_set){.need = GRAMMAR_NEVER};
    a->frame_count = a->set_count = 1;
    return true;
}

int grammar_automaton_init(grammar_automaton *a, const grammar_program *p, uint32_t *ret_start, fh_err **err)
{
    *a = (grammar_automaton){.program = p};
    if (!make_lists(a)) return fh_err_nomem(err);
    begin_set(a);
    visit(a, p->rules[p->root].start, 0);
    finish_work(a);
    uint32_t start = set_of_found(a);
    if (start == STATE_FULL) return fh_err_nomem(err);
    a->sets[start].pins = 1;
    *ret_start = start;
    return 0;
}

void grammar_automaton_fini(grammar_automaton *a)
{
    for (size_t i = 1; i < a->set_count; i++) {
        fh_free(a->sets[i].configs);
        fh_free(a->sets[i].steps);
        fh_free(a->sets[i].mask);
    }
    fh_free(a->sets);
    fh_free(a->frames);
    fh_free(a->frame_table.slots);
    fh_free(a->set_table.slots);
    fh_free(a->work);
    fh_free(a->found);
    fh_free(a->seen);
    *a = (grammar_automaton){0};
}
