/* Values as Python sees them: types, truth, equality, order, membership. Whatever walks a value charges steps and depth. */
#include "jinja.h"

#include <math.h>

void jinja_set_fail(jrun *r, int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fh_err_vset(r->err, code, fmt, ap);
    va_end(ap);
    fh_err_add(r->err, "chat template, line %u", r->line);
}

void *jinja_alloc(jrun *r, size_t bytes)
{
    void *p = fh_arena_alloc(r->arena, bytes);
    if (p) return p;
    if (bytes > JINJA_RENDER_BYTES || fh_arena_used(r->arena) + bytes + 16 > JINJA_RENDER_BYTES)
        jinja_set_fail(r, FH_E_TOO_LARGE, "needs more than %zu bytes of memory", JINJA_RENDER_BYTES);
    else
        fh_err_nomem(r->err);
    return NULL;
}

void *jinja_array(jrun *r, size_t count, size_t bytes)
{
    size_t all;
    if (fh_mul_overflows(count, bytes, &all)) all = SIZE_MAX / 2;
    return jinja_alloc(r, all);
}

static const char *view_type(jview_kind what)
{
    return what == J_KEYS ? "dict_keys" : what == J_VALUES ? "dict_values" : "dict_items";
}

const char *jinja_type(jval v)
{
    switch ((jkind)v.kind) {
    case J_MISSING:
    case J_UNDEF: return "Undefined";
    case J_NONE: return "NoneType";
    case J_BOOL: return "bool";
    case J_INT: return "int";
    case J_FLOAT: return "float";
    case J_STR: return v.flags & J_MARKUP ? "Markup" : "str";
    case J_LIST: return "list";
    case J_TUPLE: return "tuple";
    case J_DICT: return "dict";
    case J_VIEW: return view_type(v.u.view->what);
    case J_RANGE: return "range";
    case J_ITER: return v.u.iter->type;
    case J_NAMESPACE: return "Namespace";
    case J_LOOP: return "LoopContext";
    case J_MACRO: return "Macro";
    case J_METHOD:
    case J_FUNCTION: return "builtin_function_or_method";
    case J_CYCLER: return "Cycler";
    case J_JOINER: return "Joiner";
    case J_SLICE: return "slice";
    }
    return "object";
}

bool jinja_truth(jval v)
{
    switch ((jkind)v.kind) {
    case J_MISSING:
    case J_UNDEF:
    case J_NONE: return false;
    case J_BOOL: return v.u.b;
    case J_INT: return v.u.i != 0;
    case J_FLOAT: return v.u.f != 0;
    case J_STR: return v.len > 0;
    case J_LIST:
    case J_TUPLE: return v.u.list->count > 0;
    case J_DICT: return v.u.dict->count > 0;
    case J_VIEW: return v.u.view->dict->count > 0;
    case J_RANGE: return v.u.range->count > 0;
    case J_ITER:
    case J_NAMESPACE:
    case J_MACRO:
    case J_METHOD:
    case J_FUNCTION:
    case J_CYCLER:
    case J_JOINER:
    case J_SLICE:
    case J_LOOP: break; /* a loop has items, or nothing could ask */
    }
    return true;
}

bool jinja_identical(jval a, jval b)
{
    if (a.kind != b.kind) return false;
    switch ((jkind)a.kind) {
    case J_MISSING:
    case J_NONE: return true;
    case J_UNDEF: return a.u.undef == b.u.undef;
    case J_BOOL: return a.u.b == b.u.b;
    case J_INT: return a.u.i == b.u.i;
    case J_STR: return a.u.s == b.u.s && a.len == b.len;
    case J_FLOAT: return false;
    case J_LIST:
    case J_TUPLE:
    case J_DICT:
    case J_VIEW:
    case J_RANGE:
    case J_ITER:
    case J_NAMESPACE:
    case J_LOOP:
    case J_MACRO:
    case J_METHOD:
    case J_FUNCTION:
    case J_CYCLER:
    case J_JOINER:
    case J_SLICE: break;
    }
    return a.u.s == b.u.s;
}

static bool number_equal(jval a, jval b)
{
    if (a.kind != J_FLOAT && b.kind != J_FLOAT) return jinja_as_int(a) == jinja_as_int(b);
    return jinja_as_float(a) == jinja_as_float(b);
}

static int list_equal(jrun *r, const jlist *a, const jlist *b, bool *ret)
{
    *ret = a->count == b->count;
    int rc = jinja_deeper(r);
    for (size_t i = 0; i < a->count && *ret && !rc; i++) rc = jinja_equal(r, a->items[i], b->items[i], ret);
    jinja_shallower(r);
    return rc;
}

static int dict_equal(jrun *r, const jdict *a, const jdict *b, bool *ret)
{
    *ret = a->count == b->count;
    int rc = jinja_deeper(r);
    for (size_t i = 0; i < a->count && *ret && !rc; i++) {
        const jval *other = NULL;
        rc = jinja_dict_find(r, b, a->entries[i].key, &other);
        *ret = other != NULL;
        if (!rc && other) rc = jinja_equal(r, a->entries[i].value, *other, ret);
    }
    jinja_shallower(r);
    return rc;
}

static bool range_equal(const jrange *a, const jrange *b)
{
    if (a->count != b->count) return false;
    return !a->count || (a->start == b->start && (a->count == 1 || a->step == b->step));
}

int jinja_equal(jrun *r, jval a, jval b, bool *ret)
{
    int rc = jinja_steps(r, a.kind == J_STR ? a.len : 0);
    if (rc) return rc;
    if (jinja_is_number(a) && jinja_is_number(b)) {
        *ret = number_equal(a, b);
    } else if (a.kind != b.kind) {
        *ret = false;
    } else if (a.kind == J_STR) {
        *ret = fh_str_eq(jinja_text_of(a), jinja_text_of(b));
    } else if (a.kind == J_UNDEF) {
        *ret = true;
    } else if (jinja_identical(a, b)) {
        *ret = true;
    } else if (a.kind == J_LIST || a.kind == J_TUPLE) {
        return list_equal(r, a.u.list, b.u.list, ret);
    } else if (a.kind == J_DICT) {
        return dict_equal(r, a.u.dict, b.u.dict, ret);
    } else {
        *ret = a.kind == J_RANGE && range_equal(a.u.range, b.u.range);
    }
    return 0;
}

static const char *op_text(jop op)
{
    return op == OP_LT ? "<" : op == OP_LE ? "<=" : op == OP_GT ? ">" : ">=";
}

static bool decide(jop op, int order) /* order: as of memcmp */
{
    return op == OP_LT ? order < 0 : op == OP_LE ? order <= 0 : op == OP_GT ? order > 0 : order >= 0;
}

static bool number_less(jval a, jval b, jop op)
{
    if (a.kind != J_FLOAT && b.kind != J_FLOAT) {
        int64_t x = jinja_as_int(a), y = jinja_as_int(b);
        return decide(op, x < y ? -1 : x > y);
    }
    double x = jinja_as_float(a), y = jinja_as_float(b);
    return op == OP_LT ? x < y : op == OP_LE ? x <= y : op == OP_GT ? x > y : x >= y; /* NaN: all false */
}

static int list_less(jrun *r, const jlist *a, const jlist *b, jop op, bool *ret)
{
    size_t both = FH_MIN(a->count, b->count);
    int rc = jinja_deeper(r);
    for (size_t i = 0; i < both && !rc; i++) {
        bool same;
        rc = jinja_equal(r, a->items[i], b->items[i], &same);
        if (rc || same) continue;
        rc = jinja_less(r, a->items[i], b->items[i], op, ret);
        jinja_shallower(r);
        return rc;
    }
    *ret = decide(op, a->count < b->count ? -1 : a->count > b->count);
    jinja_shallower(r);
    return rc;
}

int jinja_less(jrun *r, jval a, jval b, jop op, bool *ret)
{
    int rc = jinja_steps(r, a.kind == J_STR ? a.len : 0);
    if (rc) return rc;
    if (a.kind == J_UNDEF || b.kind == J_UNDEF) return jinja_undef_fail(r, a.kind == J_UNDEF ? a : b);
    if (jinja_is_number(a) && jinja_is_number(b)) {
        *ret = number_less(a, b, op);
        return 0;
    }
    if (a.kind == J_STR && b.kind == J_STR) { /* the order of UTF-8 bytes is that of code points */
        int order = memcmp(a.u.s, b.u.s, FH_MIN(a.len, b.len));
        *ret = decide(op, order ? order : a.len < b.len ? -1 : a.len > b.len);
        return 0;
    }
    if (a.kind == b.kind && (a.kind == J_LIST || a.kind == J_TUPLE)) return list_less(r, a.u.list, b.u.list, op, ret);
    return jinja_fail(r, FH_E_INVALID, "'%s' not supported between instances of '%s' and '%s'", op_text(op), jinja_type(a), jinja_type(b));
}

static int str_contains(jrun *r, jval in, jval what, bool *ret)
{
    if (what.kind != J_STR) return jinja_fail(r, FH_E_INVALID, "'in <string>' requires string as left operand, not %s", jinja_type(what));
    int rc = jinja_steps(r, in.len);
    if (rc) return rc;
    *ret = !what.len || (in.len && memmem(in.u.s, in.len, what.u.s, what.len));
    return 0;
}

static int range_contains(const jrange *g, jval what, bool *ret)
{
    double d = jinja_as_float(what);
    int64_t v = jinja_is_int(what) ? jinja_as_int(what) : (int64_t)(d < 1e15 && d > -1e15 ? d : 0);
    bool whole = jinja_is_int(what) || (double)v == d;
    int64_t last = g->start + (g->count - 1) * g->step;
    bool inside = g->step > 0 ? v >= g->start && v <= last : v <= g->start && v >= last;
    *ret = g->count && whole && inside && (v - g->start) % g->step == 0;
    return 0;
}

static int dict_contains(jrun *r, const jdict *d, jval what, bool *ret)
{
    const jval *found = NULL;
    int rc = jinja_dict_find(r, d, what, &found);
    *ret = found != NULL;
    return rc;
}

int jinja_contains(jrun *r, jval in, jval what, bool *ret)
{
    if (in.kind == J_STR) return str_contains(r, in, what, ret);
    if (in.kind == J_DICT) return dict_contains(r, in.u.dict, what, ret);
    if (in.kind == J_VIEW && in.u.view->what == J_KEYS) return dict_contains(r, in.u.view->dict, what, ret);
    if (in.kind == J_RANGE && jinja_is_number(what)) return range_contains(in.u.range, what, ret);
    if (!jinja_is_iterable(in)) return jinja_fail(r, FH_E_INVALID, "argument of type '%s' is not iterable", jinja_type(in));
    jiter it;
    jval item;
    int rc = jinja_iter(r, in, &it);
    *ret = false;
    if (rc) return rc;
    while (!*ret && (rc = it.next(r, &it, &item)) > 0) {
        *ret = jinja_identical(item, what);
        int failed = *ret ? 0 : jinja_equal(r, item, what, ret);
        if (failed) return failed;
    }
    return rc > 0 ? 0 : rc;
}

/* ---- making ---- */

int jinja_list(jrun *r, jkind kind, const jval *items, size_t count, jval *ret)
{
    jlist *l = jinja_alloc(r, sizeof(*l));
    jval *copy = l ? jinja_array(r, FH_MAX(count, (size_t)1), sizeof(*copy)) : NULL;
    if (!copy) return jinja_failed(r);
    if (count) memcpy(copy, items, count * sizeof(*copy));
    *l = (jlist){count, copy};
    *ret = (jval){.kind = (uint8_t)kind, .u.list = l};
    return 0;
}

int jinja_add(jrun *r, jbuilder *b, jval v)
{
    int rc = jinja_steps(r, 0);
    if (rc) return rc;
    if (b->count == b->cap) {
        size_t cap = b->cap ? b->cap * 2 : 8;
        jval *items = jinja_array(r, cap, sizeof(*items));
        if (!items) return jinja_failed(r);
        if (b->count) memcpy(items, b->items, b->count * sizeof(*items));
        b->items = items;
        b->cap = cap;
    }
    b->items[b->count++] = v;
    return 0;
}

int jinja_built(jrun *r, const jbuilder *b, jkind kind, jval *ret)
{
    jlist *l = jinja_alloc(r, sizeof(*l));
    if (!l) return jinja_failed(r);
    *l = (jlist){b->count, b->items};
    *ret = (jval){.kind = (uint8_t)kind, .u.list = l};
    return 0;
}

int jinja_undef(jrun *r, int why, const char *type, fh_str name, jval *ret)
{
    jundef *u = jinja_alloc(r, sizeof(*u));
    if (!u) return jinja_failed(r);
    u->why = why;
    u->name = name;
    u->type = type;
    *ret = (jval){.kind = J_UNDEF, .u.undef = u};
    return 0;
}

void jinja_set_undef_fail(jrun *r, jval v)
{
    const jundef *u = v.u.undef;
    if (!u) {
        jinja_set_fail(r, FH_E_INVALID, "a value is undefined");
        return;
    }
    int n = (int)FH_MIN(u->name.len, (size_t)200);
    bool none = u->type && strcmp(u->type, "NoneType") == 0;
    const char *type = none ? "None" : u->type, *object = none ? "" : " object";
    switch (u->why) {
    case J_UNDEF_NAME: jinja_set_fail(r, FH_E_INVALID, "'%.*s' is undefined", n, u->name.ptr); break;
    case J_UNDEF_ATTR: jinja_set_fail(r, FH_E_INVALID, "'%s%s' has no attribute '%.*s'", type, object, n, u->name.ptr); break;
    case J_UNDEF_ITEM: jinja_set_fail(r, FH_E_INVALID, "%s%s has no element %.*s", type, object, n, u->name.ptr); break;
    case J_UNDEF_UNSAFE:
        jinja_set_fail(r, FH_E_INVALID, "access to attribute '%.*s' of '%s' object is unsafe.", n, u->name.ptr, u->type);
        break;
    case J_UNDEF_HINT: jinja_set_fail(r, FH_E_INVALID, "%.*s", n, u->name.ptr); break;
    }
}
