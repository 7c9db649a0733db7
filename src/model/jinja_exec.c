/* Statements: they write text, set names, and say whether a loop goes on. */
#include "jinja.h"

static int exec(jrun *r, const jnode *n, jflow *ret_flow);

int jinja_exec(jrun *r, const jnodes *body, jflow *ret_flow)
{
    int rc = jinja_deeper(r);
    *ret_flow = FLOW_NEXT;
    for (size_t i = 0; i < body->count && !rc && *ret_flow == FLOW_NEXT; i++) rc = exec(r, body->items[i], ret_flow);
    jinja_shallower(r);
    return rc;
}

static int exec_data(jrun *r, const jnode *n)
{
    fh_buf_add(&r->out, n->value.u.s, n->value.len);
    int rc = jinja_steps(r, n->value.len);
    return rc ? rc : jinja_out_check(r);
}

static int exec_print(jrun *r, const jnode *n)
{
    jval v;
    int rc = 0;
    if (n->a) {
        rc = jinja_eval(r, n->a, &v);
        if (!rc) rc = jinja_write(r, v);
    }
    for (size_t i = 0; i < n->items.count && !rc; i++) {
        rc = jinja_eval(r, n->items.items[i], &v);
        if (!rc) rc = jinja_write(r, v);
    }
    return rc;
}

/* A namespace that is none is an error before the value is looked at. */
static int check_namespaces(jrun *r, const jnode *target)
{
    int rc = 0;
    if (target->type == N_NSREF) {
        const jframe *f = r->frame;
        for (uint32_t hops = target->hops; hops; hops--) f = f->outer;
        if (f->slots[target->slot].kind != J_NAMESPACE)
            return jinja_fail(r, FH_E_INVALID, "cannot assign attribute on non-namespace object");
    }
    for (size_t i = 0; i < target->items.count && !rc; i++) rc = check_namespaces(r, target->items.items[i]);
    return rc;
}

static int exec_set(jrun *r, const jnode *n)
{
    jval v;
    int rc = check_namespaces(r, n->b);
    if (!rc) rc = jinja_eval(r, n->a, &v);
    return rc ? rc : jinja_assign(r, n->b, v);
}

/* The text of a set block or filter block, through its filters. */
static int capture(jrun *r, const jnode *n, jval *ret, jflow *ret_flow)
{
    size_t mark = jinja_mark(r);
    jval outer = r->block_text;
    int rc = jinja_scope_enter(r, n->x.scope);
    if (!rc) rc = jinja_exec(r, &n->items, ret_flow);
    if (!rc) rc = jinja_cut(r, mark, ret);
    if (rc || *ret_flow != FLOW_NEXT || !n->a) return rc; /* break and continue drop what was captured */
    r->block_text = *ret;
    rc = jinja_eval(r, n->a, ret);
    r->block_text = outer;
    return rc;
}

/* Blocks write what their filter or call gives as it is; Python then fails to join what is no text. */
static int write_text(jrun *r, jval v)
{
    if (v.kind != J_STR) return jinja_fail(r, FH_E_INVALID, "a filter or call block gave '%s' instead of text", jinja_type(v));
    return jinja_write(r, v);
}

static int exec_capture(jrun *r, const jnode *n, jflow *ret_flow)
{
    jval v;
    int rc = capture(r, n, &v, ret_flow);
    if (rc || *ret_flow != FLOW_NEXT) return rc;
    return n->type == N_FILTERBLOCK ? write_text(r, v) : jinja_assign(r, n->b, v);
}

static int exec_if(jrun *r, const jnode *n, jflow *ret_flow)
{
    jval test;
    for (const jnode *branch = n; branch; branch = branch->b) {
        int rc = jinja_eval(r, branch->a, &test);
        if (rc) return rc;
        if (jinja_truth(test)) return jinja_exec(r, &branch->items, ret_flow);
    }
    return jinja_exec(r, &n->more, ret_flow);
}

/* ---- loops ---- */

typedef struct test_state {
    const jfor *loop;
    jframe *frame;
    jval over;
    jiter under; /* begun by the first call */
} test_state;

/* The items that pass a loop's own test, one at a time, because the body may change what the test sees. */
/* 1 with the next item that passes, 0 at the end. */
static int find_passing(jrun *r, test_state *s, jval *ret)
{
    jval item, test;
    int got;
    while ((got = s->under.next(r, &s->under, &item)) > 0) {
        int rc = jinja_assign(r, s->loop->test_target, item);
        if (!rc) rc = jinja_eval(r, s->loop->test, &test);
        if (rc) return rc;
        if (!jinja_truth(test)) continue;
        *ret = item;
        return 1;
    }
    return got;
}

static int next_tested(jrun *r, jiter *it, jval *ret)
{
    test_state *s = it->state;
    jframe *outer = r->frame;
    int rc = 0;
    r->frame = s->frame;
    if (!s->under.next) {
        jinja_scope_enter(r, &s->loop->test_scope);
        rc = jinja_iter(r, s->over, &s->under);
    }
    if (!rc) rc = find_passing(r, s, ret);
    r->frame = outer;
    return rc;
}

static int loop_iter(jrun *r, const jfor *f, jval over, struct jloop *l)
{
    if (!f->test) {
        l->over = over;
        return jinja_iter(r, over, &l->it);
    }
    test_state *s = jinja_alloc(r, sizeof(*s));
    l->it = (jiter){.next = next_tested, .type = "generator", .state = s};
    if (!s) return jinja_failed(r);
    s->loop = f;
    s->frame = r->frame;
    s->over = over;
    return 0;
}

static int loop_next(jrun *r, struct jloop *l, jval *ret)
{
    int rc = 1;
    if (l->after.kind != J_MISSING)
        *ret = l->after;
    else
        rc = l->it.next(r, &l->it, ret);
    l->after = (jval){.kind = J_MISSING};
    if (rc <= 0) return rc;
    l->index0++;
    l->before = l->current;
    l->current = *ret;
    return rc;
}

static int loop_body(jrun *r, const jfor *f, struct jloop *l, jval item, jflow *ret_flow)
{
    r->frame->slots[f->loop_slot] = (jval){.kind = J_LOOP, .u.loop = l};
    int rc = jinja_assign(r, f->target, item);
    if (!rc) rc = jinja_scope_enter(r, &f->body_scope);
    return rc ? rc : jinja_exec(r, &f->body, ret_flow);
}

static int run_loop(jrun *r, const jnode *n, jframe *outer, jval over, int64_t depth0, jflow *ret_flow)
{
    const jfor *f = n->x.loop;
    struct jloop *l = jinja_alloc(r, sizeof(*l));
    if (!l) return jinja_failed(r);
    *l = (struct jloop){.index0 = -1, .length = -1, .depth0 = depth0, .node = n, .outer = outer};
    jval item;
    jflow flow = FLOW_NEXT;
    int rc = loop_iter(r, f, over, l), failed = 0;
    if (rc) return rc;
    bool ran = false;
    while (!failed && flow != FLOW_BREAK && (rc = loop_next(r, l, &item)) > 0) {
        failed = loop_body(r, f, l, item, &flow);
        ran = ran || flow == FLOW_NEXT;
        if (!failed) failed = jinja_steps(r, 0);
    }
    if (failed || rc < 0) return failed ? failed : rc;
    if (ran || !f->otherwise.count) return 0;
    rc = jinja_scope_enter(r, &f->else_scope);
    return rc ? rc : jinja_exec(r, &f->otherwise, ret_flow);
}

int jinja_exec_recursive(jrun *r, const jnode *n, jframe *outer, jval over, int64_t depth0)
{
    jflow flow = FLOW_NEXT;
    jframe *caller = r->frame, *frame = jinja_alloc(r, sizeof(*frame));
    jval *slots = frame ? jinja_array(r, n->x.loop->slots + 1, sizeof(*slots)) : NULL;
    if (!slots) return jinja_failed(r);
    *frame = (jframe){outer, slots};
    int rc = ++r->calls > FH_LIMIT_TEMPLATE_DEPTH
                 ? jinja_fail(r, FH_E_TOO_LARGE, "loops call themselves deeper than %d levels", FH_LIMIT_TEMPLATE_DEPTH)
                 : 0;
    r->frame = frame;
    if (!rc) rc = run_loop(r, n, outer, over, depth0, &flow);
    r->frame = caller;
    r->calls--;
    return rc;
}

static int exec_for(jrun *r, const jnode *n, jflow *ret_flow)
{
    jval over;
    int rc = jinja_eval(r, n->x.loop->iter, &over);
    if (rc) return rc;
    if (n->x.loop->recursive) return jinja_exec_recursive(r, n, r->frame, over, 0);
    return run_loop(r, n, r->frame, over, 0, ret_flow);
}

/* ---- macros and their like ---- */

static int make_macro(jrun *r, const jnode *n, jval *ret)
{
    jmacro *m = jinja_alloc(r, sizeof(*m));
    if (!m) return jinja_failed(r);
    *m = (jmacro){n->x.body, r->frame};
    *ret = (jval){.kind = J_MACRO, .u.macro = m};
    return 0;
}

static int exec_macro(jrun *r, const jnode *n)
{
    jval m;
    jframe *f = r->frame;
    int rc = make_macro(r, n, &m);
    if (rc) return rc;
    for (uint32_t hops = n->hops; hops; hops--) f = f->outer;
    f->slots[n->slot] = m;
    return 0;
}

static int exec_call_block(jrun *r, const jnode *n)
{
    jval caller, callee = {0}, v;
    jargs args;
    int rc = make_macro(r, n, &caller);
    if (!rc) rc = jinja_eval(r, n->a->a, &callee);
    if (!rc) rc = jinja_eval_args(r, n->a->x.sig, NULL, &caller, &args);
    if (!rc) rc = jinja_call(r, callee, &args, &v);
    return rc ? rc : write_text(r, v);
}

static int exec_generation(jrun *r, const jnode *n)
{
    jval body, v;
    jargs none = {0};
    int rc = make_macro(r, n, &body);
    if (!rc) rc = jinja_call(r, body, &none, &v);
    return rc ? rc : jinja_write(r, v);
}

static int exec_with(jrun *r, const jnode *n, jflow *ret_flow)
{
    int rc = jinja_scope_enter(r, n->x.scope);
    for (size_t i = 0; i + 1 < n->more.count && !rc; i += 2) {
        jval v;
        rc = jinja_eval(r, n->more.items[i + 1], &v);
        if (!rc) rc = jinja_assign(r, n->more.items[i], v);
    }
    return rc ? rc : jinja_exec(r, &n->items, ret_flow);
}

static int exec(jrun *r, const jnode *n, jflow *ret_flow)
{
    r->line = n->line;
    int rc = jinja_steps(r, 0);
    if (rc) return rc;
    switch ((jtype)n->type) {
    case N_DATA: return exec_data(r, n);
    case N_PRINT: return exec_print(r, n);
    case N_SET: return exec_set(r, n);
    case N_SETBLOCK:
    case N_FILTERBLOCK: return exec_capture(r, n, ret_flow);
    case N_IF: return exec_if(r, n, ret_flow);
    case N_FOR: return exec_for(r, n, ret_flow);
    case N_MACRO: return exec_macro(r, n);
    case N_CALLBLOCK: return exec_call_block(r, n);
    case N_GENERATION: return exec_generation(r, n);
    case N_WITH: return exec_with(r, n, ret_flow);
    case N_BREAK: *ret_flow = FLOW_BREAK; return 0;
    case N_CONTINUE: *ret_flow = FLOW_CONTINUE; return 0;
    case N_CONST:
    case N_NAME:
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
    case N_NSREF: break;
    }
    return jinja_fail(r, FH_E_INTERNAL, "no statement");
}
