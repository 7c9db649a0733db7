/* GBNF as llama.cpp documents it: rules of literals, classes of characters, groups, repetitions, alternatives, comments; and <token> or
 * <[id]> for a token of the vocabulary. Each rule is read into a small tree, which then becomes nodes from its end to its beginning. */
#include "grammar_private.h"

#include "base/arena.h"
#include "base/map.h"

#include <stdlib.h>

enum { TREE_BYTES = 64 << 20, REPEATS_IN_A_ROW = 8 };

typedef enum tree_kind { TREE_TEXT, TREE_CLASS, TREE_RULE, TREE_SEQUENCE, TREE_EITHER, TREE_REPEAT } tree_kind;

typedef struct tree {
    tree_kind kind;
    uint32_t line;
    fh_str text;         /* TREE_TEXT */
    grammar_span *spans; /* TREE_CLASS */
    size_t count;
    uint32_t rule;
    struct tree *first, *last, *next; /* children, those of a sequence from its end; next: the sibling */
    uint32_t min, max;                /* TREE_REPEAT; max UINT32_MAX: no bound */
} tree;

typedef struct reader {
    grammar_program *p;
    const fh_vocab *vocab;
    fh_str text;
    size_t i;
    uint32_t line;
    unsigned nesting;
    fh_arena *arena; /* of one rule */
    fh_map *names;   /* name to rule number + 1 */
    fh_str start;    /* the rule that a text is */
    const char *param;
    fh_err **err;
    int rc; /* of what failed first */
} reader;

/* ---- failing ---- */

static void *fail(reader *r, uint32_t line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void *fail(reader *r, uint32_t line, const char *fmt, ...)
{
    va_list ap;
    if (r->rc) return NULL;
    va_start(ap, fmt);
    r->rc = fh_err_vset(r->err, FH_E_INVALID, fmt, ap);
    va_end(ap);
    fh_err_add(r->err, "line %u of the grammar", line);
    fh_err_param(r->err, "%s", r->param);
    return NULL;
}

static void *no_room(reader *r, uint32_t line)
{
    if (r->rc) return NULL;
    if (r->p->node_count >= FH_LIMIT_GRAMMAR_NODES || r->p->range_count >= 4 * (size_t)FH_LIMIT_GRAMMAR_NODES)
        return fail(r, line, "the grammar needs more than %d states", FH_LIMIT_GRAMMAR_NODES);
    if (r->p->rule_count >= FH_LIMIT_GRAMMAR_RULES) return fail(r, line, "more than %d rules", FH_LIMIT_GRAMMAR_RULES);
    if (fh_arena_used(r->arena) > TREE_BYTES / 2) return fail(r, line, "the rule is too long");
    r->rc = fh_err_nomem(r->err);
    return NULL;
}

/* ---- characters ---- */

static char peek(const reader *r)
{
    return r->i < r->text.len ? r->text.ptr[r->i] : '\0';
}

static bool take(reader *r, char c)
{
    if (r->i >= r->text.len || r->text.ptr[r->i] != c) return false;
    r->i++;
    return true;
}

static bool take_newline(reader *r)
{
    bool cr = take(r, '\r');
    if (!take(r, '\n') && !cr) return false;
    r->line++;
    return true;
}

/* Blanks and comments; line ends where the text goes on behind them. */
static void skip_space(reader *r, bool newlines)
{
    for (;;) {
        if (peek(r) == '#')
            while (r->i < r->text.len && peek(r) != '\n' && peek(r) != '\r') r->i++;
        if (take(r, ' ') || take(r, '\t') || (newlines && take_newline(r))) continue;
        return;
    }
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static fh_str read_name(reader *r)
{
    size_t from = r->i;
    while (is_name(peek(r))) r->i++;
    return (fh_str){r->text.ptr + from, r->i - from};
}

static bool read_hex(reader *r, unsigned count, uint32_t *ret)
{
    uint32_t v = 0;
    for (unsigned k = 0; k < count; k++, r->i++) {
        char c = peek(r), small = (char)(c | 0x20);
        if (c >= '0' && c <= '9')
            v = v * 16 + (uint32_t)(c - '0');
        else if (small >= 'a' && small <= 'f')
            v = v * 16 + (uint32_t)(small - 'a' + 10);
        else
            return fail(r, r->line, "%u hexadecimal digits must follow \\x, \\u (4) or \\U (8)", count) != NULL;
    }
    if (v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff)) return fail(r, r->line, "U+%X is no character", v) != NULL;
    *ret = v;
    return true;
}

static bool read_escape(reader *r, uint32_t *ret)
{
    char c = peek(r);
    r->i++;
    switch (c) {
    case 'x': return read_hex(r, 2, ret);
    case 'u': return read_hex(r, 4, ret);
    case 'U': return read_hex(r, 8, ret);
    case 'n': *ret = '\n'; return true;
    case 'r': *ret = '\r'; return true;
    case 't': *ret = '\t'; return true;
    default: break;
    }
    if (!c || !strchr("\\\"[]-^", c)) return fail(r, r->line, "an unknown escape: \\%c", c >= 0x20 && c < 0x7f ? c : '?') != NULL;
    *ret = (unsigned char)c;
    return true;
}

/* One character of a literal or class. */
static bool read_char(reader *r, uint32_t *ret)
{
    if (take(r, '\\')) return read_escape(r, ret);
    size_t n = fh_utf8_decode(r->text.ptr + r->i, r->text.len - r->i, ret);
    if (!n) return fail(r, r->line, "%s", r->i < r->text.len ? "broken UTF-8" : "the text ends inside a literal or class") != NULL;
    if (*ret == '\n') r->line++;
    r->i += n;
    return true;
}

/* ---- trees ---- */

static tree *new_tree(reader *r, tree_kind kind)
{
    tree *t = fh_arena_alloc(r->arena, sizeof *t);
    if (!t) return no_room(r, r->line);
    t->kind = kind;
    t->line = r->line;
    return t;
}

static void add_child(tree *parent, tree *child)
{
    *(parent->last ? &parent->last->next : &parent->first) = child;
    parent->last = child;
}

static tree *text_tree(reader *r, fh_str text)
{
    tree *t = new_tree(r, TREE_TEXT);
    if (!t) return NULL;
    const char *copy = fh_arena_strndup(r->arena, text.ptr, text.len);
    if (!copy) return no_room(r, r->line);
    t->text = (fh_str){copy, text.len};
    return t;
}

static tree *read_literal(reader *r)
{
    FH_AUTO(buf) fh_buf b = FH_BUF(FH_LIMIT_GRAMMAR_BYTES);
    uint32_t from = r->line;
    while (!take(r, '"')) {
        uint32_t cp = 0;
        char bytes[4];
        if (r->i >= r->text.len) return fail(r, from, "a literal without its closing quote");
        if (!read_char(r, &cp)) return NULL;
        fh_buf_add(&b, bytes, fh_utf8_encode(cp, bytes));
    }
    if (!fh_buf_ok(&b)) return no_room(r, from);
    return text_tree(r, (fh_str){fh_buf_cstr(&b), b.len});
}

typedef struct spans {
    grammar_span *list; /* owned */
    size_t count, cap;
} spans;

static bool add_span(reader *r, spans *s, uint32_t low, uint32_t high)
{
    if (s->count == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 16;
        grammar_span *grown = fh_realloc_array(s->list, cap, sizeof *grown);
        if (!grown) return no_room(r, r->line) != NULL;
        s->list = grown;
        s->cap = cap;
    }
    s->list[s->count++] = (grammar_span){low, high};
    return true;
}

static bool read_spans(reader *r, spans *s)
{
    uint32_t from = r->line;
    while (!take(r, ']')) {
        uint32_t low = 0, high = 0;
        if (r->i >= r->text.len) return fail(r, from, "a class without its closing bracket") != NULL;
        if (!read_char(r, &low)) return false;
        high = low;
        if (peek(r) == '-' && r->i + 1 < r->text.len && r->text.ptr[r->i + 1] != ']') {
            r->i++;
            if (!read_char(r, &high)) return false;
            if (high < low) return fail(r, r->line, "a range that runs backwards") != NULL;
        }
        if (!add_span(r, s, low, high)) return false;
    }
    return true;
}

static int by_low(const void *a, const void *b)
{
    const grammar_span *x = a, *y = b;
    return (x->low > y->low) - (x->low < y->low);
}

/* What is not in the sorted spans, in their place: at most one more. */
static bool negate(reader *r, spans *s)
{
    spans rest = {0};
    uint32_t from = 0;
    bool good = true;
    for (size_t i = 0; good && i < s->count; i++) {
        if (s->list[i].low > from) good = add_span(r, &rest, from, s->list[i].low - 1);
        from = FH_MAX(from, s->list[i].high + 1);
    }
    if (good && from <= 0x10ffff) good = add_span(r, &rest, from, 0x10ffff);
    fh_free(s->list);
    *s = rest;
    return good;
}

static tree *class_tree(reader *r, const spans *s)
{
    tree *t = new_tree(r, TREE_CLASS);
    if (!t) return NULL;
    t->spans = fh_arena_array(r->arena, s->count + 1, sizeof *t->spans);
    if (!t->spans) return no_room(r, r->line);
    if (s->count) memcpy(t->spans, s->list, s->count * sizeof *t->spans);
    t->count = s->count;
    return t;
}

static tree *read_class(reader *r)
{
    spans s = {0};
    bool negated = take(r, '^'), good = read_spans(r, &s);
    if (good && s.count) qsort(s.list, s.count, sizeof *s.list, by_low);
    if (good && negated) good = negate(r, &s);
    tree *t = good ? class_tree(r, &s) : NULL;
    fh_free(s.list);
    return t;
}

/* ---- tokens ---- */

/* The bytes that the trie knows a token by. */
static tree *token_tree(reader *r, fh_token id)
{
    FH_AUTO(buf) fh_buf b = FH_BUF(FH_LIMIT_VOCAB_PIECE_BYTES * 2 + 2);
    bool control = fh_vocab_is_control(r->vocab, id);
    if (control) fh_buf_addc(&b, (char)GRAMMAR_TOKEN_OPEN);
    if (fh_vocab_decode(r->vocab, id, true, &b, NULL) != 0) return no_room(r, r->line);
    if (control) fh_buf_addc(&b, (char)GRAMMAR_TOKEN_CLOSE);
    return text_tree(r, (fh_str){fh_buf_cstr(&b), b.len});
}

static tree *read_token(reader *r)
{
    size_t from = r->i - 1;
    bool by_id = take(r, '[');
    while (r->i < r->text.len && peek(r) != '>' && peek(r) != '\n') r->i++;
    fh_str whole = {r->text.ptr + from, r->i + 1 - from};
    if (!take(r, '>')) return fail(r, r->line, "a token without its closing >");
    if (!by_id) {
        fh_token id = fh_vocab_find(r->vocab, whole);
        if (id == FH_TOKEN_NONE) return fail(r, r->line, "the vocabulary has no such token as this between < and >");
        return token_tree(r, id);
    }
    uint64_t id;
    fh_str number = {whole.ptr + 2, whole.len - 4};
    if (whole.len < 5 || whole.ptr[whole.len - 2] != ']' || !fh_str_u64(number, fh_vocab_size(r->vocab) - 1, &id))
        return fail(r, r->line, "<[...]> must hold the number of a token");
    return token_tree(r, (fh_token)id);
}

/* ---- expressions ---- */

static tree *read_either(reader *r, bool nested);

static uint32_t rule_of_name(reader *r, fh_str name)
{
    uintptr_t known = (uintptr_t)fh_map_find(r->names, name);
    if (known) return (uint32_t)known - 1;
    uint32_t rule = grammar_add_rule(r->p, r->line);
    if (rule == GRAMMAR_NONE || !fh_map_put(r->names, name, (void *)((uintptr_t)rule + 1))) {
        no_room(r, r->line);
        return GRAMMAR_NONE;
    }
    return rule;
}

static tree *read_reference(reader *r)
{
    fh_str name = read_name(r);
    uint32_t rule = rule_of_name(r, name);
    tree *t = rule == GRAMMAR_NONE ? NULL : new_tree(r, TREE_RULE);
    if (t) t->rule = rule;
    return t;
}

static tree *read_group(reader *r)
{
    if (++r->nesting > FH_LIMIT_GRAMMAR_NESTING) return fail(r, r->line, "brackets are nested deeper than %d", FH_LIMIT_GRAMMAR_NESTING);
    skip_space(r, true);
    tree *t = read_either(r, true);
    r->nesting--;
    if (t && !take(r, ')')) return fail(r, r->line, "a bracket is not closed");
    return t;
}

static tree *read_any(reader *r)
{
    grammar_span all = {0, 0x10ffff};
    return class_tree(r, &(spans){&all, 1, 1});
}

/* NULL without an error: nothing that begins an expression stands here. */
static tree *read_atom(reader *r)
{
    if (take(r, '"')) return read_literal(r);
    if (take(r, '[')) return read_class(r);
    if (take(r, '(')) return read_group(r);
    if (take(r, '<')) return read_token(r);
    if (take(r, '.')) return read_any(r);
    if (peek(r) == '!') return fail(r, r->line, "negated tokens (!<...>) are not supported");
    return is_name(peek(r)) ? read_reference(r) : NULL;
}

static bool read_times(reader *r, uint32_t *ret)
{
    size_t from = r->i;
    uint64_t n = 0;
    while (peek(r) >= '0' && peek(r) <= '9') r->i++;
    if (!fh_str_u64((fh_str){r->text.ptr + from, r->i - from}, FH_LIMIT_GRAMMAR_REPEAT, &n))
        return fail(r, r->line, "a repetition must be a number up to %d", FH_LIMIT_GRAMMAR_REPEAT) != NULL;
    *ret = (uint32_t)n;
    return true;
}

/* {m}, {m,}, {m,n}, {,n} */
static bool read_braces(reader *r, bool nested, uint32_t *min, uint32_t *max)
{
    skip_space(r, nested);
    if (peek(r) != ',' && !read_times(r, min)) return false;
    *max = *min;
    skip_space(r, nested);
    if (take(r, ',')) {
        *max = UINT32_MAX;
        skip_space(r, nested);
        if (peek(r) != '}' && !read_times(r, max)) return false;
        skip_space(r, nested);
    }
    if (!take(r, '}')) return fail(r, r->line, "a repetition without its }") != NULL;
    if (*max < *min) return fail(r, r->line, "a repetition from more to fewer") != NULL;
    return true;
}

static tree *wrap_repeat(reader *r, tree *t, uint32_t min, uint32_t max)
{
    tree *repeat = new_tree(r, TREE_REPEAT);
    if (!repeat) return NULL;
    add_child(repeat, t);
    repeat->min = min;
    repeat->max = max;
    return repeat;
}

static tree *read_repeats(reader *r, tree *t, bool nested)
{
    for (unsigned times = 0; t; times++) {
        uint32_t min = 0, max = UINT32_MAX;
        skip_space(r, nested);
        if (take(r, '*'))
            ;
        else if (take(r, '+'))
            min = 1;
        else if (take(r, '?'))
            max = 1;
        else if (!take(r, '{'))
            return t;
        else if (!read_braces(r, nested, &min, &max))
            return NULL;
        if (times == REPEATS_IN_A_ROW) return fail(r, r->line, "too many repetitions of repetitions");
        t = wrap_repeat(r, t, min, max);
    }
    return NULL;
}

static tree *read_sequence(reader *r, bool nested)
{
    tree *all = new_tree(r, TREE_SEQUENCE);
    while (all && !r->rc) {
        tree *t = read_atom(r);
        if (!t) break;
        t = read_repeats(r, t, nested);
        if (!t) break;
        t->next = all->first;
        all->first = t;
    }
    return r->rc ? NULL : all;
}

static tree *read_either(reader *r, bool nested)
{
    tree *first = read_sequence(r, nested), *either = NULL;
    while (first && take(r, '|')) {
        skip_space(r, true);
        if (!either && (either = new_tree(r, TREE_EITHER))) add_child(either, first);
        tree *t = either ? read_sequence(r, nested) : NULL;
        if (!t) return NULL;
        add_child(either, t);
    }
    return either ? either : first;
}

/* ---- trees to nodes ---- */

static uint32_t make(reader *r, const tree *t, uint32_t next);

static uint32_t split(reader *r, uint32_t a, uint32_t b)
{
    if (a == GRAMMAR_NONE || b == GRAMMAR_NONE) return GRAMMAR_NONE;
    return grammar_add_node(r->p, (grammar_node){.kind = GRAMMAR_SPLIT, .a = a, .b = b});
}

static uint32_t make_sequence(reader *r, const tree *t, uint32_t next)
{
    for (const tree *c = t->first; c && next != GRAMMAR_NONE; c = c->next) next = make(r, c, next);
    return next;
}

static uint32_t make_either(reader *r, const tree *t, uint32_t next)
{
    uint32_t all = make(r, t->first, next);
    for (const tree *c = t->first->next; c && all != GRAMMAR_NONE; c = c->next) all = split(r, make(r, c, next), all);
    return all;
}

/* once: at least one time */
static uint32_t make_loop(reader *r, const tree *body, bool once, uint32_t next)
{
    uint32_t loop = split(r, next, next), again = loop == GRAMMAR_NONE ? loop : make(r, body, loop);
    if (again == GRAMMAR_NONE) return GRAMMAR_NONE;
    r->p->nodes[loop].a = again;
    return once ? again : loop;
}

static uint32_t make_counted(reader *r, const tree *t, uint32_t next)
{
    const tree *body = t->first;
    uint32_t rule = body->kind == TREE_RULE ? body->rule : grammar_add_rule(r->p, t->line);
    if (rule == GRAMMAR_NONE) return GRAMMAR_NONE;
    if (body->kind != TREE_RULE) {
        uint32_t start = make(r, body, 0);
        if (start == GRAMMAR_NONE) return GRAMMAR_NONE;
        r->p->rules[rule].start = start;
        r->p->rules[rule].defined = true;
    }
    return grammar_add_node(r->p, (grammar_node){.kind = GRAMMAR_REPEAT, .a = rule, .b = next, .min = t->min, .max = t->max});
}

static uint32_t make_repeat(reader *r, const tree *t, uint32_t next)
{
    if (t->max == 0) return next;
    if (t->max == UINT32_MAX && t->min <= 1) return make_loop(r, t->first, t->min == 1, next);
    if (t->max > 1) return make_counted(r, t, next);
    uint32_t once = make(r, t->first, next);
    return t->min == 1 ? once : split(r, once, next);
}

/* As deep as brackets are nested. */
static uint32_t make(reader *r, const tree *t, uint32_t next)
{
    switch (t->kind) {
    case TREE_TEXT: return grammar_add_text(r->p, t->text, next);
    case TREE_CLASS: return grammar_add_class(r->p, t->spans, t->count, next);
    case TREE_RULE: return grammar_add_node(r->p, (grammar_node){.kind = GRAMMAR_CALL, .a = t->rule, .b = next});
    case TREE_SEQUENCE: return make_sequence(r, t, next);
    case TREE_EITHER: return make_either(r, t, next);
    case TREE_REPEAT: return make_repeat(r, t, next);
    }
    return GRAMMAR_NONE;
}

/* ---- rules ---- */

static bool define(reader *r, uint32_t rule, uint32_t line, const tree *body)
{
    uint32_t start = make(r, body, 0);
    if (start == GRAMMAR_NONE) return no_room(r, line) != NULL;
    grammar_rule *g = &r->p->rules[rule];
    g->start = start;
    g->line = line;
    g->defined = true;
    return true;
}

static bool read_rule(reader *r)
{
    uint32_t line = r->line;
    fh_str name = read_name(r);
    if (!name.len) return fail(r, line, "a rule must begin with its name") != NULL;
    uint32_t rule = rule_of_name(r, name);
    if (rule == GRAMMAR_NONE) return false;
    if (r->p->rules[rule].defined)
        return fail(r, line, "the rule '%.*s' is there already", (int)FH_MIN(name.len, (size_t)64), name.ptr) != NULL;
    skip_space(r, false);
    for (const char *c = "::="; *c; c++)
        if (!take(r, *c)) return fail(r, line, "::= must follow the name of a rule") != NULL;
    skip_space(r, true);
    fh_arena_reset(r->arena);
    tree *body = read_either(r, false);
    if (!body || !define(r, rule, line, body)) return false;
    if (r->i < r->text.len && !take_newline(r)) return fail(r, r->line, "this begins nothing that a rule may hold") != NULL;
    return true;
}

static void name_undefined(reader *r)
{
    fh_str name;
    void *value;
    for (size_t i = 0; fh_map_next(r->names, &i, &name, &value);) {
        const grammar_rule *rule = &r->p->rules[(uintptr_t)value - 1];
        if (!rule->defined) fail(r, rule->line, "the rule '%.*s' is not defined", (int)FH_MIN(name.len, (size_t)64), name.ptr);
    }
}

static void read_all(reader *r)
{
    if (!fh_utf8_valid(r->text.ptr, r->text.len)) fail(r, 1, "the text is not well-formed UTF-8");
    for (skip_space(r, true); !r->rc && r->i < r->text.len; skip_space(r, true)) read_rule(r);
    if (r->rc) return;
    name_undefined(r);
    uintptr_t root = (uintptr_t)fh_map_find(r->names, r->start);
    if (!root)
        fail(r, r->line, "there is no rule '%.*s'", (int)r->start.len, r->start.ptr);
    else
        r->p->root = (uint32_t)root - 1;
}

int grammar_read_gbnf(grammar_program *p, const fh_vocab *v, fh_str text, fh_str start, const char *param, fh_err **err)
{
    if (text.len > FH_LIMIT_GRAMMAR_BYTES) {
        fh_err_set(err, FH_E_TOO_LARGE, "the grammar has %zu bytes; at most %d", text.len, FH_LIMIT_GRAMMAR_BYTES);
        fh_err_param(err, "%s", param);
        return FH_E_TOO_LARGE;
    }
    reader r = {.p = p, .vocab = v, .text = text, .line = 1, .param = param, .err = err, .start = start.len ? start : FH_STR("root")};
    r.arena = fh_arena_new(TREE_BYTES);
    r.names = fh_map_new(NULL);
    bool made = r.arena && r.names && grammar_add_node(p, (grammar_node){.kind = GRAMMAR_END}) == 0;
    if (made)
        read_all(&r);
    else
        r.rc = fh_err_nomem(err);
    fh_map_free(r.names);
    fh_arena_free(r.arena);
    return r.rc;
}
