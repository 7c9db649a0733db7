/* Binds every name of a tree to a slot before anything runs, by the rules that jinja2 compiles by (its idtracking.py), because templates
 * depend on them:
 *
 * - A scope is a loop body, a loop's else, a loop's test, a macro, a call block, a set block, a filter block, a with. An if is none.
 * - A name that a scope sets is its own there. It starts as the outer scope's value when an outer scope knows it; else as the variable
 * given to the template, unless the first that happens to it is a set outside of any if: then it starts undefined.
 * - A name that a scope only reads belongs to the nearest outer scope that knows it, live; else it is the variable given to the template.
 * - Macros, call blocks and recursive loops have slots of their own per call and see those around them through the chain of activations.
 *
 * A scope's own statements are looked at as a whole before inner scopes are, so that order in the text between outer and inner does not
 * matter. */
#include "jinja.h"

typedef struct scope scope;

typedef struct binding {
    uint32_t name, slot, level; /* level of the activation that has the slot */
    bool param;
    jload load;
    const scope *scope;
    struct binding *shadowed, *next;
} binding;

struct scope {
    scope *outer;
    binding *first, **last;
};

typedef struct binder {
    jparser *p;
    binding **tops; /* by name: the innermost binding */
    uint32_t name_count;
    scope *scope;
    uint32_t *slots; /* counter of the activation */
    uint32_t level, ifs;
} binder;

static int bind(binder *b, jnode *n);

/* ---- what a scope's own statements do to names ---- */

static binding *own(const binder *b, uint32_t id)
{
    binding *top = b->tops[id];
    return top && top->scope == b->scope ? top : NULL;
}

static int define(binder *b, uint32_t id, binding **ret)
{
    binding *n = fh_arena_alloc(b->p->arena, sizeof(*n));
    if (!n) return jinja_nomem(b->p->err);
    *n = (binding){.name = id, .slot = (*b->slots)++, .level = b->level, .scope = b->scope, .shadowed = b->tops[id]};
    n->load.slot = n->slot;
    n->load.name = id;
    b->tops[id] = n;
    *b->scope->last = n;
    b->scope->last = &n->next;
    *ret = n;
    return 0;
}

/* Names are numbered as they come; the table of bindings grows with them. */
static int id_of(binder *b, jval name, uint32_t *ret)
{
    uint32_t id = jinja_name_id(b->p, jinja_text_of(name));
    if (id == UINT32_MAX) return jinja_nomem(b->p->err);
    if (id >= b->name_count) {
        uint32_t count = FH_MAX(id + 1, b->name_count * 2 + 64);
        binding **tops = fh_arena_array(b->p->arena, count, sizeof(binding *));
        if (!tops) return jinja_nomem(b->p->err);
        if (b->name_count) memcpy(tops, b->tops, b->name_count * sizeof(binding *));
        b->tops = tops;
        b->name_count = count;
    }
    *ret = id;
    return 0;
}

static int note_load(binder *b, jval name)
{
    uint32_t id = 0;
    binding *n;
    int rc = id_of(b, name, &id);
    if (rc || b->tops[id]) return rc;
    rc = define(b, id, &n);
    if (!rc) n->load.how = LOAD_RESOLVE;
    return rc;
}

static int note_store(binder *b, jval name)
{
    uint32_t id = 0;
    binding *n;
    int rc = id_of(b, name, &id);
    if (rc || own(b, id)) return rc;
    const binding *outer = b->tops[id];
    rc = define(b, id, &n);
    if (rc) return rc;
    n->load.how = outer ? LOAD_ALIAS : b->ifs ? LOAD_RESOLVE : LOAD_MISSING;
    if (outer) {
        n->load.from_slot = outer->slot;
        n->load.from_hops = b->level - outer->level;
    }
    return 0;
}

static int declare(binder *b, jval name, uint32_t *ret_slot)
{
    uint32_t id = 0;
    int rc = id_of(b, name, &id);
    if (rc) return rc;
    binding *n = own(b, id);
    if (!n) rc = define(b, id, &n);
    if (rc) return rc;
    n->param = true;
    *ret_slot = n->slot;
    return 0;
}

static int note(binder *b, const jnode *n);

static int note_all(binder *b, const jnodes *list)
{
    int rc = 0;
    for (size_t i = 0; i < list->count && !rc; i++) rc = note(b, list->items[i]);
    return rc;
}

static int note_signature(binder *b, const jsignature *s)
{
    int rc = note_all(b, &s->pos);
    if (!rc) rc = note_all(b, &s->values);
    if (!rc) rc = note(b, s->star);
    return rc ? rc : note(b, s->star_star);
}

static int note_target(binder *b, const jnode *n)
{
    if (n->type == N_NAME) return note_store(b, n->value);
    if (n->type == N_NSREF) return note_load(b, n->value);
    int rc = 0;
    for (size_t i = 0; i < n->items.count && !rc; i++) rc = note_target(b, n->items.items[i]);
    return rc;
}

static int note_if(binder *b, const jnode *n)
{
    int rc = note(b, n->a);
    b->ifs++;
    if (!rc) rc = note_all(b, &n->items);
    for (const jnode *branch = n->b; branch && !rc; branch = branch->b) {
        rc = note(b, branch->a);
        if (!rc) rc = note_all(b, &branch->items);
    }
    if (!rc) rc = note_all(b, &n->more);
    b->ifs--;
    return rc;
}

static int note_with(binder *b, const jnode *n)
{
    int rc = 0;
    for (size_t i = 1; i < n->more.count && !rc; i += 2) rc = note(b, n->more.items[i]);
    return rc;
}

static int note_expression(binder *b, const jnode *n)
{
    int rc = note(b, n->a);
    if (!rc) rc = note(b, n->b);
    if (!rc) rc = note(b, n->c);
    if (!rc) rc = note_all(b, &n->items);
    if (!rc) rc = note_all(b, &n->more);
    if (rc || (n->type != N_CALL && n->type != N_FILTER && n->type != N_TEST)) return rc;
    return note_signature(b, n->x.sig);
}

/* What n does to names of the current scope; inner scopes are not looked into. */
static int note(binder *b, const jnode *n)
{
    if (!n) return 0;
    int rc;
    switch ((jtype)n->type) {
    case N_NAME: return note_load(b, n->value);
    case N_NSREF: return note_load(b, n->value);
    case N_SET: rc = note(b, n->a); return rc ? rc : note_target(b, n->b);
    case N_SETBLOCK: return note_target(b, n->b);
    case N_IF: return note_if(b, n);
    case N_FOR: return note(b, n->x.loop->iter);
    case N_MACRO: return note_store(b, n->value);
    case N_CALLBLOCK:
    case N_FILTERBLOCK: return note(b, n->a);
    case N_WITH: return note_with(b, n);
    case N_GENERATION:
    case N_DATA:
    case N_BREAK:
    case N_CONTINUE: return 0;
    case N_CONST:
    case N_LIST:
    case N_TUPLE:
    case N_DICT:
    case N_COND:
    case N_AND:
    case N_OR:
    case N_NOT:
    case N_COMPARE:
    case N_BINARY:
    case N_NEG:
    case N_POS:
    case N_CONCAT:
    case N_ATTR:
    case N_ITEM:
    case N_SLICE:
    case N_CALL:
    case N_FILTER:
    case N_TEST:
    case N_PRINT: break;
    }
    return note_expression(b, n);
}

/* ---- scopes ---- */

static int open_scope(binder *b)
{
    scope *s = fh_arena_alloc(b->p->arena, sizeof(*s));
    if (!s) return jinja_nomem(b->p->err);
    *s = (scope){.outer = b->scope};
    s->last = &s->first;
    b->scope = s;
    return 0;
}

static int close_scope(binder *b, jscope *ret)
{
    const scope *s = b->scope;
    size_t count = 0;
    for (const binding *n = s->first; n; n = n->next) count += !n->param;
    ret->loads = fh_arena_array(b->p->arena, FH_MAX(count, (size_t)1), sizeof(*ret->loads));
    if (!ret->loads) return jinja_nomem(b->p->err);
    for (const binding *n = s->first; n; n = n->next) {
        b->tops[n->name] = n->shadowed;
        if (!n->param) ret->loads[ret->count++] = n->load;
    }
    b->scope = s->outer;
    return 0;
}

static int bind_all(binder *b, const jnodes *list)
{
    int rc = 0;
    for (size_t i = 0; i < list->count && !rc; i++) rc = bind(b, list->items[i]);
    return rc;
}

/* Notes, then binds. */
static int settle(binder *b, const jnodes *list)
{
    int rc = note_all(b, list);
    return rc ? rc : bind_all(b, list);
}

static int declare_target(binder *b, jnode *n)
{
    if (n->type == N_NAME) return declare(b, n->value, &n->slot);
    int rc = 0;
    for (size_t i = 0; i < n->items.count && !rc; i++) rc = declare_target(b, n->items.items[i]);
    return rc;
}

/* ---- binding ---- */

static int bind_name(binder *b, jnode *n)
{
    uint32_t id = 0;
    int rc = id_of(b, n->value, &id);
    if (rc) return rc;
    const binding *found = b->tops[id];
    if (!found)
        return jinja_parser_fail(b->p, n->line, "the name '%.*s' cannot be used here", (int)FH_MIN(n->value.len, 60u), n->value.u.s);
    n->name_id = id;
    n->slot = found->slot;
    n->hops = b->level - found->level;
    return 0;
}

static int bind_loop_body(binder *b, jfor *f)
{
    uint32_t slot = 0;
    int rc = open_scope(b);
    if (!rc) rc = declare(b, jinja_cstr("loop"), &slot);
    f->loop_slot = (int32_t)slot;
    if (!rc) rc = declare_target(b, f->target);
    if (!rc) rc = settle(b, &f->body);
    return rc ? rc : close_scope(b, &f->body_scope);
}

static int bind_loop_else(binder *b, jfor *f)
{
    int rc = open_scope(b);
    if (!rc) rc = settle(b, &f->otherwise);
    return rc ? rc : close_scope(b, &f->else_scope);
}

static int bind_loop_test(binder *b, jfor *f)
{
    if (!f->test) return 0;
    int rc = open_scope(b);
    if (!rc) rc = declare_target(b, f->test_target);
    if (!rc) rc = note(b, f->test);
    if (!rc) rc = bind(b, f->test);
    return rc ? rc : close_scope(b, &f->test_scope);
}

static int bind_for(binder *b, jnode *n)
{
    jfor *f = n->x.loop;
    uint32_t *slots = b->slots;
    int rc = bind(b, f->iter);
    if (rc) return rc;
    if (f->recursive) {
        b->slots = &f->slots;
        b->level++;
    }
    rc = bind_loop_test(b, f);
    if (!rc) rc = bind_loop_body(b, f);
    if (!rc) rc = bind_loop_else(b, f);
    if (f->recursive) b->level--;
    b->slots = slots;
    return rc;
}

static bool mentions(const jnode *n, const char *name);

static bool any_mentions(const jnodes *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (mentions(list->items[i], name)) return true;
    return false;
}

static bool loop_mentions(const jfor *f, const char *name)
{
    return mentions(f->iter, name) || mentions(f->test, name) || any_mentions(&f->body, name) || any_mentions(&f->otherwise, name);
}

static bool if_mentions(const jnode *n, const char *name)
{
    for (const jnode *branch = n; branch; branch = branch->b)
        if (mentions(branch->a, name) || any_mentions(&branch->items, name)) return true;
    return any_mentions(&n->more, name);
}

/* Is the name read anywhere below, inner scopes included? */
static bool mentions(const jnode *n, const char *name)
{
    if (!n) return false;
    if (n->type == N_IF) return if_mentions(n, name);
    if (n->type == N_NAME) return jinja_is_str(n->value, name);
    if (n->type == N_FOR) return loop_mentions(n->x.loop, name);
    if (n->type == N_MACRO || n->type == N_CALLBLOCK || n->type == N_GENERATION)
        return mentions(n->a, name) || any_mentions(&n->x.body->defaults, name) || any_mentions(&n->x.body->body, name);
    if (n->type == N_CALL || n->type == N_FILTER || n->type == N_TEST) {
        const jsignature *s = n->x.sig;
        if (any_mentions(&s->pos, name) || any_mentions(&s->values, name) || mentions(s->star, name) || mentions(s->star_star, name))
            return true;
    }
    bool target = n->type == N_SET || n->type == N_SETBLOCK; /* b is written, not read */
    return mentions(n->a, name) || (!target && mentions(n->b, name)) || mentions(n->c, name) || any_mentions(&n->items, name) ||
           any_mentions(&n->more, name);
}

static bool has_param(const jbody *m, const char *name)
{
    for (size_t i = 0; i < m->params.count; i++)
        if (jinja_is_str(m->params.items[i]->value, name)) return true;
    return false;
}

/* caller, kwargs and varargs are there when the body reads them. */
static int declare_special(binder *b, const jbody *m, const char *name, int32_t *ret_slot)
{
    uint32_t slot = 0;
    *ret_slot = -1;
    if (has_param(m, name) || !any_mentions(&m->body, name)) return 0;
    int rc = declare(b, jinja_cstr(name), &slot);
    if (!rc) *ret_slot = (int32_t)slot;
    return rc;
}

static int bind_params(binder *b, const jnode *n, jbody *m)
{
    int rc = 0;
    m->explicit_caller = has_param(m, "caller");
    for (size_t i = 0; i < m->params.count && !rc; i++) {
        jnode *param = m->params.items[i];
        rc = declare(b, param->value, &param->slot);
        if (!rc && jinja_is_str(param->value, "caller") && i + m->defaults.count < m->params.count && any_mentions(&m->body, "caller"))
            rc = jinja_parser_fail(b->p, n->line, "the parameter 'caller' must have a default");
    }
    if (!rc) rc = declare_special(b, m, "caller", &m->caller_slot);
    if (!rc) rc = declare_special(b, m, "kwargs", &m->kwargs_slot);
    if (!rc) rc = declare_special(b, m, "varargs", &m->varargs_slot);
    return rc;
}

static int bind_function(binder *b, jnode *n)
{
    jbody *m = n->x.body;
    uint32_t *slots = b->slots;
    b->slots = &m->slots;
    b->level++;
    int rc = open_scope(b);
    if (!rc) rc = bind_params(b, n, m);
    if (!rc) rc = note_all(b, &m->defaults);
    if (!rc) rc = note_all(b, &m->body);
    if (!rc) rc = bind_all(b, &m->defaults);
    if (!rc) rc = bind_all(b, &m->body);
    if (!rc) rc = close_scope(b, &m->scope);
    b->level--;
    b->slots = slots;
    return rc;
}

/* A set block or filter block: its body and its filters. */
static int bind_capture(binder *b, jnode *n)
{
    n->x.scope = fh_arena_alloc(b->p->arena, sizeof(*n->x.scope));
    if (!n->x.scope) return jinja_nomem(b->p->err);
    int rc = n->type == N_SETBLOCK ? bind(b, n->b) : 0;
    if (!rc) rc = open_scope(b);
    if (!rc) rc = note_all(b, &n->items);
    if (!rc) rc = note(b, n->a);
    if (!rc) rc = bind_all(b, &n->items);
    if (!rc) rc = bind(b, n->a);
    return rc ? rc : close_scope(b, n->x.scope);
}

static int bind_with(binder *b, jnode *n)
{
    int rc = 0;
    n->x.scope = fh_arena_alloc(b->p->arena, sizeof(*n->x.scope));
    if (!n->x.scope) return jinja_nomem(b->p->err);
    for (size_t i = 1; i < n->more.count && !rc; i += 2) rc = bind(b, n->more.items[i]);
    if (!rc) rc = open_scope(b);
    for (size_t i = 0; i < n->more.count && !rc; i += 2) rc = declare_target(b, n->more.items[i]);
    if (!rc) rc = settle(b, &n->items);
    return rc ? rc : close_scope(b, n->x.scope);
}

static int bind_children(binder *b, jnode *n)
{
    int rc = bind(b, n->a);
    if (!rc) rc = bind(b, n->b);
    if (!rc) rc = bind(b, n->c);
    if (!rc) rc = bind_all(b, &n->items);
    if (!rc) rc = bind_all(b, &n->more);
    if (rc || (n->type != N_CALL && n->type != N_FILTER && n->type != N_TEST)) return rc;
    const jsignature *s = n->x.sig;
    rc = bind_all(b, &s->pos);
    if (!rc) rc = bind_all(b, &s->values);
    if (!rc) rc = bind(b, s->star);
    return rc ? rc : bind(b, s->star_star);
}

/* The elif branches hang on each other by b; they are walked, not recursed into. */
static int bind_if(binder *b, jnode *n)
{
    int rc = 0;
    for (jnode *branch = n; branch && !rc; branch = branch->b) {
        rc = bind(b, branch->a);
        if (!rc) rc = bind_all(b, &branch->items);
    }
    return rc ? rc : bind_all(b, &n->more);
}

static int bind(binder *b, jnode *n)
{
    if (!n) return 0;
    if (n->type == N_NAME || n->type == N_NSREF) return bind_name(b, n);
    if (n->type == N_FOR) return bind_for(b, n);
    if (n->type == N_IF) return bind_if(b, n);
    if (n->type == N_SETBLOCK || n->type == N_FILTERBLOCK) return bind_capture(b, n);
    if (n->type == N_WITH) return bind_with(b, n);
    if (n->type == N_GENERATION) return bind_function(b, n);
    if (n->type != N_MACRO && n->type != N_CALLBLOCK) return bind_children(b, n);
    int rc = n->type == N_MACRO ? bind_name(b, n) : bind(b, n->a);
    return rc ? rc : bind_function(b, n);
}

int jinja_bind(jparser *p, fh_template *t)
{
    binder b = {.p = p, .slots = &t->slots};
    int rc = open_scope(&b);
    if (!rc) rc = settle(&b, &t->body);
    if (!rc) rc = close_scope(&b, &t->scope);
    t->names = p->names;
    t->name_count = p->name_count;
    return rc;
}
