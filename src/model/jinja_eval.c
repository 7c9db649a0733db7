/* Expressions to values. Each node is a step and a level of depth; the line of the node is kept for errors. */
#include "jinja.h"

static int eval(jrun *r, const jnode *n, jval *ret);

/* ---- names ---- */

jval jinja_global(jrun *r, uint32_t name_id)
{
    jval *cached = &r->globals[name_id];
    if (cached->kind != J_MISSING) return *cached;
    fh_str name = r->t->names[name_id];
    const jfunction *f = jinja_find_global(name);
    if (f) *cached = (jval){.kind = J_FUNCTION, .u.function = f};
    return *cached;
}

int jinja_scope_enter(jrun *r, const jscope *scope)
{
    for (size_t i = 0; i < scope->count; i++) {
        const jload *l = &scope->loads[i];
        jval *slot = &r->frame->slots[l->slot];
        if (l->how == LOAD_RESOLVE) {
            *slot = jinja_global(r, l->name);
        } else if (l->how == LOAD_ALIAS) {
            const jframe *f = r->frame;
            for (uint32_t hops = l->from_hops; hops; hops--) f = f->outer;
            *slot = f->slots[l->from_slot];
        } else {
            *slot = (jval){.kind = J_MISSING};
        }
    }
    return 0;
}

static jval *slot_of(jrun *r, const jnode *n)
{
    const jframe *f = r->frame;
    for (uint32_t hops = n->hops; hops; hops--) f = f->outer;
    return &f->slots[n->slot];
}

static int eval_name(jrun *r, const jnode *n, jval *ret)
{
    const jval *slot = slot_of(r, n);
    if (slot->kind == J_MISSING) return jinja_undef(r, J_UNDEF_NAME, NULL, jinja_text_of(n->value), ret);
    *ret = *slot;
    return 0;
}

static int assign_ns(jrun *r, const jnode *n, jval v)
{
    const jval *ns = slot_of(r, n);
    jval name = n->b->value;
    if (ns->kind != J_NAMESPACE) return jinja_fail(r, FH_E_INVALID, "cannot assign attribute on non-namespace object");
    if (name.len && name.u.s[0] == '_')
        return jinja_fail(
            r, FH_E_INVALID,
            "Chat templates cannot store underscore-prefixed attributes on a namespace, but got '%.*s'. Please rename the attribute.",
            (int)FH_MIN(name.len, 60u), name.u.s);
    return jinja_dict_put(r, ns->u.dict, name, v);
}

static int unpack(jrun *r, const jnode *target, jval v)
{
    jiter it;
    jval item;
    size_t want = target->items.count, got = 0;
    int rc = jinja_iter(r, v, &it);
    if (rc) return v.kind == J_UNDEF ? rc : jinja_fail(r, FH_E_INVALID, "cannot unpack non-iterable %s object", jinja_type(v));
    jval *items = jinja_array(r, want + 1, sizeof(*items));
    if (!items) return jinja_failed(r);
    while (got <= want && (rc = it.next(r, &it, &item)) > 0) items[got++] = item; /* one more than wanted fits */
    if (rc < 0) return rc;
    if (got > want) return jinja_fail(r, FH_E_INVALID, "too many values to unpack (expected %zu)", want);
    if (got < want) return jinja_fail(r, FH_E_INVALID, "not enough values to unpack (expected %zu, got %zu)", want, got);
    rc = 0;
    for (size_t i = 0; i < want && !rc; i++) rc = jinja_assign(r, target->items.items[i], items[i]);
    return rc;
}

int jinja_assign(jrun *r, const jnode *target, jval v)
{
    if (target->type == N_NSREF) return assign_ns(r, target, v);
    if (target->type != N_NAME) return unpack(r, target, v);
    *slot_of(r, target) = v;
    return 0;
}

/* ---- parts ---- */

static int eval_list(jrun *r, const jnode *n, jval *ret)
{
    jval *items = jinja_array(r, n->items.count + 1, sizeof(*items));
    int rc = items ? 0 : jinja_failed(r);
    for (size_t i = 0; i < n->items.count && !rc; i++) rc = eval(r, n->items.items[i], &items[i]);
    return rc ? rc : jinja_built(r, &(jbuilder){items, n->items.count, 0}, n->type == N_LIST ? J_LIST : J_TUPLE, ret);
}

static int eval_dict(jrun *r, const jnode *n, jval *ret)
{
    jval d, key, value;
    int rc = jinja_dict(r, n->items.count, &d);
    for (size_t i = 0; i < n->items.count && !rc; i++) {
        rc = eval(r, n->items.items[i], &key);
        if (!rc) rc = eval(r, n->more.items[i], &value);
        if (!rc) rc = jinja_dict_put(r, d.u.dict, key, value);
    }
    *ret = d;
    return rc;
}

static int eval_cond(jrun *r, const jnode *n, jval *ret)
{
    jval test;
    int rc = eval(r, n->b, &test);
    if (rc) return rc;
    if (jinja_truth(test)) return eval(r, n->a, ret);
    if (n->c) return eval(r, n->c, ret);
    return jinja_undef(r, J_UNDEF_HINT, NULL, FH_STR("the inline if-expression evaluated to false and no else section was defined."), ret);
}

static int eval_logic(jrun *r, const jnode *n, jval *ret)
{
    int rc = eval(r, n->a, ret);
    if (rc || jinja_truth(*ret) == (n->type == N_OR)) return rc;
    return eval(r, n->b, ret);
}

static int eval_compare(jrun *r, const jnode *n, jval *ret)
{
    jval left, right;
    bool holds = true;
    int rc = eval(r, n->a, &left);
    for (size_t i = 0; i < n->items.count && holds && !rc; i++) {
        rc = eval(r, n->items.items[i], &right);
        if (!rc) rc = jinja_compare(r, (jop)n->ops[i], left, right, &holds);
        left = right;
    }
    *ret = jinja_bool(holds);
    return rc;
}

static int eval_binary(jrun *r, const jnode *n, jval *ret)
{
    jval a, b;
    int rc = eval(r, n->a, &a);
    if (!rc) rc = eval(r, n->b, &b);
    return rc ? rc : jinja_binary(r, (jop)n->op, a, b, ret);
}

static int eval_unary(jrun *r, const jnode *n, jval *ret)
{
    jval v;
    int rc = eval(r, n->a, &v);
    if (rc) return rc;
    if (n->type != N_NOT) return jinja_negate(r, v, n->type == N_NEG, ret);
    *ret = jinja_bool(!jinja_truth(v));
    return 0;
}

static int eval_concat(jrun *r, const jnode *n, jval *ret)
{
    size_t count = n->items.count;
    jval small[8], *parts = count <= FH_COUNT(small) ? small : jinja_array(r, count, sizeof(*parts));
    int rc = parts ? 0 : jinja_failed(r);
    for (size_t i = 0; i < count && !rc; i++) rc = eval(r, n->items.items[i], &parts[i]);
    size_t mark = jinja_mark(r);
    for (size_t i = 0; i < count && !rc; i++) rc = jinja_write(r, parts[i]);
    return rc ? rc : jinja_cut(r, mark, ret);
}

static int eval_attr(jrun *r, const jnode *n, jval *ret)
{
    jval v;
    int rc = eval(r, n->a, &v);
    return rc ? rc : jinja_attr(r, v, jinja_text_of(n->value), ret);
}

static int eval_optional(jrun *r, const jnode *n, jval *ret)
{
    *ret = (jval){.kind = J_MISSING};
    return n ? eval(r, n, ret) : 0;
}

static int eval_item(jrun *r, const jnode *n, jval *ret)
{
    jval v, key, from, to, step;
    int rc = eval(r, n->a, &v);
    if (rc) return rc;
    if (n->b->type != N_SLICE) {
        rc = eval(r, n->b, &key);
        return rc ? rc : jinja_item(r, v, key, ret);
    }
    rc = eval_optional(r, n->b->a, &from);
    if (!rc) rc = eval_optional(r, n->b->b, &to);
    if (!rc) rc = eval_optional(r, n->b->c, &step);
    return rc ? rc : jinja_slice(r, v, from, to, step, ret);
}

/* ---- calls ---- */

static int add_star(jrun *r, const jnode *star, jargs *args)
{
    jval v;
    jbuilder b = {0};
    int rc = eval(r, star, &v);
    for (size_t i = 0; i < args->count && !rc; i++) rc = jinja_add(r, &b, args->pos[i]);
    if (!rc) rc = jinja_collect(r, v, &b);
    args->pos = b.items;
    args->count = b.count;
    return rc;
}

static int add_star_star(jrun *r, const jnode *star, jargs *args)
{
    jval v;
    int rc = eval(r, star, &v);
    if (rc) return rc;
    if (v.kind != J_DICT) return jinja_type_error(r, "a mapping behind **", v);
    const jdict *d = v.u.dict;
    fh_str *names = jinja_array(r, args->named + d->count + 1, sizeof(*names));
    jval *values = names ? jinja_array(r, args->named + d->count + 1, sizeof(*values)) : NULL;
    if (!values) return jinja_failed(r);
    for (size_t i = 0; i < args->named; i++) {
        names[i] = args->names[i];
        values[i] = args->values[i];
    }
    for (size_t i = 0; i < d->count && !rc; i++) {
        if (d->entries[i].key.kind != J_STR) return jinja_fail(r, FH_E_INVALID, "keywords must be strings");
        names[args->named + i] = jinja_text_of(d->entries[i].key);
        values[args->named + i] = d->entries[i].value;
        for (size_t k = 0; k < args->named && !rc; k++)
            if (fh_str_eq(names[k], names[args->named + i])) rc = jinja_fail(r, FH_E_INVALID, "got multiple values for a keyword argument");
    }
    *args = (jargs){args->pos, args->count, names, values, args->named + d->count};
    return rc;
}

static int eval_named(jrun *r, const jsignature *sig, const jval *caller, jargs *ret)
{
    size_t count = sig->values.count;
    ret->named = count + (caller != NULL);
    ret->names = sig->names;
    if (!ret->named) return 0;
    ret->values = jinja_array(r, ret->named, sizeof(*ret->values));
    int rc = ret->values ? 0 : jinja_failed(r);
    for (size_t i = 0; i < count && !rc; i++) rc = eval(r, sig->values.items[i], &ret->values[i]);
    if (rc || !caller) return rc;
    ret->names = jinja_array(r, ret->named, sizeof(*ret->names));
    if (!ret->names) return jinja_failed(r);
    if (count) memcpy(ret->names, sig->names, count * sizeof(*ret->names));
    ret->names[count] = FH_STR("caller");
    ret->values[count] = *caller;
    return 0;
}

/* first: goes before the others (the value that a filter or test is applied to). */
int jinja_eval_args(jrun *r, const jsignature *sig, const jval *first, const jval *caller, jargs *ret)
{
    size_t offset = first != NULL;
    *ret = (jargs){.count = sig->pos.count + offset};
    ret->pos = jinja_array(r, ret->count + 1, sizeof(*ret->pos));
    int rc = ret->pos ? 0 : jinja_failed(r);
    if (!rc && first) ret->pos[0] = *first;
    for (size_t i = 0; i < sig->pos.count && !rc; i++) rc = eval(r, sig->pos.items[i], &ret->pos[i + offset]);
    if (!rc) rc = eval_named(r, sig, caller, ret);
    if (!rc && sig->star) rc = add_star(r, sig->star, ret);
    return rc || !sig->star_star ? rc : add_star_star(r, sig->star_star, ret);
}

static int eval_call(jrun *r, const jnode *n, jval *ret)
{
    jval callee;
    jargs args;
    int rc = eval(r, n->a, &callee);
    if (!rc) rc = jinja_eval_args(r, n->x.sig, NULL, NULL, &args);
    r->line = n->line;
    return rc ? rc : jinja_call(r, callee, &args, ret);
}

static int unknown(jrun *r, const jnode *n)
{
    return jinja_fail(r, FH_E_INVALID, "no %s named '%.*s'", n->type == N_FILTER ? "filter" : "test", (int)FH_MIN(n->value.len, 60u),
                      n->value.u.s);
}

static int eval_filter(jrun *r, const jnode *n, jval *ret)
{
    jval input;
    jargs args;
    int rc = eval(r, n->a, &input);
    if (!rc) rc = jinja_eval_args(r, n->x.sig, &input, NULL, &args);
    r->line = n->line;
    if (rc) return rc;
    return n->function ? n->function->call(r, input, &args, ret) : unknown(r, n);
}

static int eval_test(jrun *r, const jnode *n, jval *ret)
{
    jval v;
    jargs args;
    bool holds;
    int rc = eval(r, n->a, &v);
    if (!rc) rc = jinja_eval_args(r, n->x.sig, &v, NULL, &args);
    r->line = n->line;
    if (!rc) rc = n->function ? jinja_test(r, n->function, v, &args, &holds) : unknown(r, n);
    if (!rc) *ret = jinja_bool(holds != n->negated);
    return rc;
}

static int eval_node(jrun *r, const jnode *n, jval *ret)
{
    switch ((jtype)n->type) {
    case N_LIST:
    case N_TUPLE: return eval_list(r, n, ret);
    case N_DICT: return eval_dict(r, n, ret);
    case N_COND: return eval_cond(r, n, ret);
    case N_AND:
    case N_OR: return eval_logic(r, n, ret);
    case N_COMPARE: return eval_compare(r, n, ret);
    case N_BINARY: return eval_binary(r, n, ret);
    case N_NOT:
    case N_NEG:
    case N_POS: return eval_unary(r, n, ret);
    case N_CONCAT: return eval_concat(r, n, ret);
    case N_ATTR: return eval_attr(r, n, ret);
    case N_ITEM: return eval_item(r, n, ret);
    case N_CALL: return eval_call(r, n, ret);
    case N_FILTER: return eval_filter(r, n, ret);
    case N_TEST: return eval_test(r, n, ret);
    case N_SLICE: return jinja_unsupported(r, "a slice beside other subscripts");
    case N_CONST:
    case N_NAME:
    case N_NSREF:
    case N_DATA:
    case N_PRINT:
    case N_SET:
    case N_SETBLOCK:
    case N_IF:
    case N_FOR:
    case N_MACRO:
    case N_CALLBLOCK:
    case N_GENERATION:
    case N_FILTERBLOCK:
    case N_WITH:
    case N_BREAK:
    case N_CONTINUE: break;
    }
    return jinja_fail(r, FH_E_INTERNAL, "no expression");
}

static int eval(jrun *r, const jnode *n, jval *ret)
{
    if (!n || n->type == N_CONST) { /* no node: the input of a block's filter, put there by the block */
        *ret = n ? n->value : r->block_text;
        return 0;
    }
    r->line = n->line;
    int rc = jinja_steps(r, 0);
    if (rc) return rc;
    if (n->type == N_NAME) return eval_name(r, n, ret);
    rc = jinja_deeper(r);
    if (!rc) rc = eval_node(r, n, ret);
    jinja_shallower(r);
    return rc;
}

int jinja_eval(jrun *r, const jnode *n, jval *ret)
{
    return eval(r, n, ret);
}
