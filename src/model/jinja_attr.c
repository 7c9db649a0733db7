/* x.name, x[key] and x[a:b]: by the rules of jinja2's sandbox. x.name prefers what the type has (methods) over items, x[key] the other way
 * round; what would change a list or a dict, and names that begin with an underscore, are there but unsafe: undefined, with an error of
 * their own when used. */
#include "jinja.h"

/* What every object of Python has; such a name is never looked for among the items. */
static bool is_internal(fh_str name)
{
    static const char *const names[] = {"__class__",
                                        "__doc__",
                                        "__init__",
                                        "__new__",
                                        "__repr__",
                                        "__str__",
                                        "__eq__",
                                        "__ne__",
                                        "__lt__",
                                        "__le__",
                                        "__gt__",
                                        "__ge__",
                                        "__hash__",
                                        "__getattribute__",
                                        "__setattr__",
                                        "__delattr__",
                                        "__dir__",
                                        "__format__",
                                        "__reduce__",
                                        "__reduce_ex__",
                                        "__sizeof__",
                                        "__subclasshook__",
                                        "__init_subclass__",
                                        "__getstate__"};
    if (name.len < 5 || name.ptr[0] != '_') return false;
    for (size_t i = 0; i < FH_COUNT(names); i++)
        if (fh_str_eqs(name, names[i])) return true;
    return false;
}

static int bound_method(jrun *r, jval self, const jfunction *f, jval *ret)
{
    jmethod *m = jinja_alloc(r, sizeof(*m));
    if (!m) return jinja_failed(r);
    *m = (jmethod){self, f};
    *ret = (jval){.kind = J_METHOD, .u.method = m};
    return 0;
}

/* ---- loop ---- */

static int peek(jrun *r, struct jloop *l)
{
    if (l->after.kind != J_MISSING) return 1;
    int rc = l->it.next(r, &l->it, &l->after);
    if (rc <= 0) l->after = (jval){.kind = J_MISSING};
    return rc;
}

/* The length of what has one; the rest is pulled to be counted, and kept. */
static int loop_length(jrun *r, struct jloop *l)
{
    if (l->length >= 0) return 0;
    if (jinja_has_length(l->over)) return jinja_length(r, l->over, &l->length);
    jbuilder rest = {0};
    jval item, list = {0};
    int rc;
    while ((rc = l->it.next(r, &l->it, &item)) > 0) {
        int failed = jinja_add(r, &rest, item);
        if (failed) return failed;
    }
    if (!rc) rc = jinja_built(r, &rest, J_LIST, &list);
    if (!rc) rc = jinja_iter(r, list, &l->it);
    l->length = (int64_t)rest.count + l->index0 + 1 + (l->after.kind != J_MISSING);
    return rc;
}

static int neighbour(jrun *r, jval item, const char *what, jval *ret)
{
    *ret = item;
    return item.kind != J_MISSING ? 0 : jinja_undef(r, J_UNDEF_HINT, NULL, fh_str_of(what), ret);
}

static int loop_attr(jrun *r, jval v, fh_str name, bool *ret_has, jval *ret)
{
    struct jloop *l = v.u.loop;
    int rc = 0;
    *ret_has = true;
    if (fh_str_eqs(name, "index0"))
        *ret = jinja_int(l->index0);
    else if (fh_str_eqs(name, "index"))
        *ret = jinja_int(l->index0 + 1);
    else if (fh_str_eqs(name, "first"))
        *ret = jinja_bool(l->index0 == 0);
    else if (fh_str_eqs(name, "depth0"))
        *ret = jinja_int(l->depth0);
    else if (fh_str_eqs(name, "depth"))
        *ret = jinja_int(l->depth0 + 1);
    else if (fh_str_eqs(name, "previtem"))
        return neighbour(r, l->index0 ? l->before : (jval){0}, "there is no previous item", ret);
    else if (fh_str_eqs(name, "last") || fh_str_eqs(name, "nextitem")) {
        rc = peek(r, l);
        if (rc < 0) return rc;
        if (name.len == 8) return neighbour(r, l->after, "there is no next item", ret);
        *ret = jinja_bool(rc == 0);
        return 0;
    } else if (fh_str_eqs(name, "length") || fh_str_eqs(name, "revindex") || fh_str_eqs(name, "revindex0")) {
        rc = loop_length(r, l);
        *ret = jinja_int(l->length - (name.len == 6 ? 0 : name.len == 8 ? l->index0 : l->index0 + 1));
    } else
        *ret_has = false;
    return rc;
}

/* ---- attributes ---- */

static int number_attr(jval v, fh_str name, bool *ret_has, jval *ret)
{
    bool real = fh_str_eqs(name, "real") || fh_str_eqs(name, "numerator");
    bool other = fh_str_eqs(name, "imag") || fh_str_eqs(name, "denominator");
    *ret_has = (real || other) && (v.kind != J_FLOAT || name.len == 4);
    if (!*ret_has) return 0;
    if (v.kind == J_FLOAT)
        *ret = jinja_float(real ? v.u.f : 0);
    else
        *ret = jinja_int(real ? jinja_as_int(v) : name.len == 4 ? 0 : 1);
    return 0;
}

static int macro_attr(const jmacro *m, fh_str name, bool *ret_has, jval *ret)
{
    *ret_has = fh_str_eqs(name, "name");
    if (*ret_has) *ret = m->body->name.ptr ? jinja_str(m->body->name) : jinja_none();
    return 0;
}

/* What is neither item nor method. */
static int special_attr(jrun *r, jval v, fh_str name, bool *ret_has, jval *ret)
{
    const jval *found;
    *ret_has = false;
    if (jinja_is_number(v)) return number_attr(v, name, ret_has, ret);
    if (v.kind == J_LOOP) return loop_attr(r, v, name, ret_has, ret);
    if (v.kind == J_MACRO) return macro_attr(v.u.macro, name, ret_has, ret);
    if (v.kind == J_NAMESPACE) {
        found = jinja_dict_get(v.u.dict, name);
        *ret_has = found != NULL;
        if (found) *ret = *found;
    } else if (v.kind == J_TUPLE && (v.flags & J_GROUP) && (fh_str_eqs(name, "grouper") || fh_str_eqs(name, "list"))) {
        *ret_has = true;
        *ret = v.u.list->items[name.ptr[0] == 'l'];
    } else if (v.kind == J_CYCLER && fh_str_eqs(name, "current")) {
        *ret_has = true;
        *ret = v.u.cycler->items->items[v.u.cycler->at];
    } else if (v.kind == J_RANGE && (fh_str_eqs(name, "start") || fh_str_eqs(name, "stop") || fh_str_eqs(name, "step"))) {
        *ret_has = true;
        *ret = jinja_int(name.len == 5 ? v.u.range->start : name.ptr[2] == 'o' ? v.u.range->stop : v.u.range->step);
    }
    return 0;
}

int jinja_own_attr(jrun *r, jval v, fh_str name, bool *ret_has, jval *ret)
{
    *ret_has = true;
    if (is_internal(name) || jinja_is_mutator(v, name)) return jinja_undef(r, J_UNDEF_UNSAFE, jinja_type(v), name, ret);
    const jfunction *f = v.kind == J_STR ? jinja_find_str_method(name) : jinja_find_other_method(v, name);
    if (f) return bound_method(r, v, f, ret);
    return special_attr(r, v, name, ret_has, ret);
}

int jinja_attr(jrun *r, jval v, fh_str name, jval *ret)
{
    bool has;
    if (v.kind == J_UNDEF && !is_internal(name)) return jinja_undef_fail(r, v);
    int rc = jinja_own_attr(r, v, name, &has, ret);
    if (rc || has) return rc;
    const jval *found = NULL;
    if (v.kind == J_DICT) rc = jinja_dict_find(r, v.u.dict, jinja_str(name), &found);
    if (rc) return rc;
    if (!found) return jinja_undef(r, J_UNDEF_ATTR, jinja_type(v), name, ret);
    *ret = *found;
    return 0;
}

/* ---- items ---- */

static int no_item(jrun *r, jval v, jval key, jval *ret)
{
    jval text;
    bool has;
    if (key.kind == J_STR) {
        int rc = jinja_own_attr(r, v, jinja_text_of(key), &has, ret);
        if (rc || has) return rc;
        return jinja_undef(r, J_UNDEF_ATTR, jinja_type(v), jinja_text_of(key), ret);
    }
    size_t mark = jinja_mark(r);
    int rc = key.kind == J_ITER ? 0 : jinja_write_repr(r, key);
    if (!rc) rc = jinja_cut(r, mark, &text);
    return rc ? rc : jinja_undef(r, J_UNDEF_ITEM, jinja_type(v), jinja_text_of(text), ret);
}

static bool place(int64_t i, int64_t count, int64_t *ret)
{
    *ret = i < 0 ? i + count : i;
    return *ret >= 0 && *ret < count;
}

static int char_at(jrun *r, jval v, int64_t i, bool *ret_has, jval *ret)
{
    fh_str s = jinja_text_of(v);
    int64_t at;
    int rc = jinja_steps(r, s.len);
    *ret_has = !rc && place(i, (int64_t)jinja_chars(s), &at);
    if (!*ret_has) return rc;
    size_t from = jinja_offset(s, (size_t)at), n = 1;
    while (from + n < s.len && ((uint8_t)s.ptr[from + n] & 0xc0) == 0x80) n++;
    *ret = jinja_str((fh_str){s.ptr + from, n});
    ret->flags = v.flags & J_MARKUP;
    return 0;
}

static int by_index(jrun *r, jval v, int64_t i, bool *ret_has, jval *ret)
{
    int64_t at;
    *ret_has = false;
    if (v.kind == J_STR) return char_at(r, v, i, ret_has, ret);
    if (v.kind == J_LIST || v.kind == J_TUPLE) {
        *ret_has = place(i, (int64_t)v.u.list->count, &at);
        if (*ret_has) *ret = v.u.list->items[at];
    } else if (v.kind == J_RANGE) {
        *ret_has = place(i, v.u.range->count, &at);
        if (*ret_has) *ret = jinja_int(v.u.range->start + at * v.u.range->step);
    }
    return 0;
}

/* A key that cannot be hashed is in Python a TypeError, which the sandbox takes for "not there". */
static bool hashable(jval key)
{
    return key.kind != J_LIST && key.kind != J_DICT && key.kind != J_SLICE;
}

int jinja_item(jrun *r, jval v, jval key, jval *ret)
{
    bool has = false;
    int rc = 0;
    if (v.kind == J_UNDEF) return jinja_undef_fail(r, v);
    if (v.kind == J_DICT && hashable(key)) {
        const jval *found = NULL;
        rc = jinja_dict_find(r, v.u.dict, key, &found);
        has = found != NULL;
        if (has) *ret = *found;
    } else if (jinja_is_int(key)) {
        rc = by_index(r, v, jinja_as_int(key), &has, ret);
    }
    return rc || has ? rc : no_item(r, v, key, ret);
}

/* ---- slices ---- */

static int slice_bound(jrun *r, jval v, int64_t otherwise, int64_t *ret)
{
    *ret = otherwise;
    if (v.kind == J_MISSING || v.kind == J_NONE) return 0;
    if (!jinja_is_int(v)) return jinja_fail(r, FH_E_INVALID, "slice indices must be integers or None, not %s", jinja_type(v));
    *ret = jinja_as_int(v);
    return 0;
}

static int64_t clamp(int64_t i, int64_t count, int64_t low, int64_t high)
{
    if (i < 0) i = i < -count ? -1 : i + count;
    return i < low ? low : i > high ? high : i;
}

/* From, and how many, by Python's rules for bounds beyond the ends. */
static int bounds(jrun *r, jval from, jval to, jval step, int64_t count, int64_t *ret_at, int64_t *ret_step, int64_t *ret_count)
{
    int64_t a, b;
    int rc = slice_bound(r, step, 1, ret_step);
    if (rc) return rc;
    if (!*ret_step) return jinja_fail(r, FH_E_INVALID, "slice step cannot be zero");
    if (*ret_step == INT64_MIN) *ret_step = -INT64_MAX;
    bool back = *ret_step < 0;
    int64_t low = back ? -1 : 0, high = back ? count - 1 : count;
    rc = slice_bound(r, from, back ? INT64_MAX : 0, &a);
    if (!rc) rc = slice_bound(r, to, 0, &b);
    if (rc) return rc;
    bool open = to.kind == J_MISSING || to.kind == J_NONE;
    a = clamp(a, count, low, high);
    b = open ? (back ? -1 : count) : clamp(b, count, low, high);
    *ret_at = a;
    if (back)
        *ret_count = a > b ? (a - b - 1) / -*ret_step + 1 : 0;
    else
        *ret_count = b > a ? (b - a - 1) / *ret_step + 1 : 0;
    return 0;
}

static int slice_string(jrun *r, jval v, jval from, jval to, jval step, jval *ret)
{
    fh_str s = jinja_text_of(v);
    int64_t at, by, count;
    int rc = jinja_steps(r, s.len * 2);
    if (!rc) rc = bounds(r, from, to, step, (int64_t)jinja_chars(s), &at, &by, &count);
    if (rc) return rc;
    if (by == 1) {
        size_t start = jinja_offset(s, (size_t)at);
        fh_str rest = {s.ptr + start, s.len - start};
        *ret = jinja_str((fh_str){rest.ptr, jinja_offset(rest, (size_t)count)});
        ret->flags = v.flags;
        return 0;
    }
    jbuilder chars = {0};
    size_t mark = jinja_mark(r);
    rc = jinja_collect(r, v, &chars);
    for (int64_t i = 0; !rc && i < count; i++) fh_buf_add(&r->out, chars.items[at + i * by].u.s, chars.items[at + i * by].len);
    if (!rc) rc = jinja_cut(r, mark, ret);
    if (!rc) ret->flags = v.flags;
    return rc;
}

static int slice_list(jrun *r, jval v, jval from, jval to, jval step, jval *ret)
{
    const jlist *l = v.u.list;
    int64_t at, by, count;
    int rc = bounds(r, from, to, step, (int64_t)l->count, &at, &by, &count);
    if (!rc) rc = jinja_steps(r, (size_t)count * sizeof(jval));
    if (!rc && by == 1) return jinja_list(r, (jkind)v.kind, l->items + at, (size_t)count, ret);
    jbuilder b = {0};
    for (int64_t i = 0; !rc && i < count; i++) rc = jinja_add(r, &b, l->items[at + i * by]);
    return rc ? rc : jinja_built(r, &b, (jkind)v.kind, ret);
}

static int slice_range(jrun *r, jval v, jval from, jval to, jval step, jval *ret)
{
    const jrange *g = v.u.range;
    int64_t at, by, count;
    int rc = bounds(r, from, to, step, g->count, &at, &by, &count);
    jrange *n = rc ? NULL : jinja_alloc(r, sizeof(*n));
    if (!n) return rc ? rc : jinja_failed(r);
    if (__builtin_mul_overflow(g->step, by, &n->step)) return jinja_unsupported(r, "an integer beyond 64 bits");
    n->start = g->start + at * g->step;
    n->count = count;
    n->stop = n->start + count * n->step;
    *ret = (jval){.kind = J_RANGE, .u.range = n};
    return 0;
}

int jinja_slice(jrun *r, jval v, jval from, jval to, jval step, jval *ret)
{
    if (v.kind == J_STR) return slice_string(r, v, from, to, step, ret);
    if (v.kind == J_LIST || v.kind == J_TUPLE) return slice_list(r, v, from, to, step, ret);
    if (v.kind == J_RANGE) return slice_range(r, v, from, to, step, ret);
    if (v.kind == J_UNDEF) return jinja_undef_fail(r, v);
    if (v.kind == J_DICT) return jinja_fail(r, FH_E_INVALID, "unhashable type: 'slice'");
    return jinja_fail(r, FH_E_INVALID, "'%s' object is not subscriptable", jinja_type(v));
}
