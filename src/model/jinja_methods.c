/* The methods of dict, list, tuple, numbers, loops and cyclers. Methods that would change a list or a dict are not here: the sandbox
 * refuses them. */
#include "jinja.h"

#include <math.h>

static int no_args(jrun *r, const char *name, const jargs *args)
{
    return jinja_args(r, name, args, NULL, 0, 0, NULL);
}

static int view(jrun *r, jval self, const jargs *args, jview_kind what, jval *ret)
{
    int rc = no_args(r, what == J_KEYS ? "keys" : what == J_VALUES ? "values" : "items", args);
    jview *v = rc ? NULL : jinja_alloc(r, sizeof(*v));
    if (!v) return rc ? rc : jinja_failed(r);
    *v = (jview){self.u.dict, what};
    *ret = (jval){.kind = J_VIEW, .u.view = v};
    return 0;
}

static int dict_keys(jrun *r, jval self, const jargs *args, jval *ret)
{
    return view(r, self, args, J_KEYS, ret);
}

static int dict_values(jrun *r, jval self, const jargs *args, jval *ret)
{
    return view(r, self, args, J_VALUES, ret);
}

static int dict_items(jrun *r, jval self, const jargs *args, jval *ret)
{
    return view(r, self, args, J_ITEMS, ret);
}

static int dict_get(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v[2];
    const jval *found = NULL;
    int rc = jinja_args(r, "get", args, (const char *const[]){"key", "default"}, 2, 1, v);
    if (!rc && args->named) rc = jinja_fail(r, FH_E_INVALID, "dict.get() takes no keyword arguments");
    if (!rc) rc = jinja_dict_find(r, self.u.dict, v[0], &found);
    if (!rc) *ret = found ? *found : v[1].kind == J_MISSING ? jinja_none() : v[1];
    return rc;
}

static int dict_copy(jrun *r, jval self, const jargs *args, jval *ret)
{
    int rc = no_args(r, "copy", args);
    if (!rc) *ret = self; /* nothing can change either of them */
    return rc;
}

static int from_keys(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v[2], d, key;
    jiter it;
    int rc = jinja_args(r, "fromkeys", args, (const char *const[]){"iterable", "value"}, 2, 1, v);
    if (!rc) rc = jinja_dict(r, 0, &d);
    if (!rc) rc = jinja_iter(r, v[0], &it);
    if (rc) return rc;
    while ((rc = it.next(r, &it, &key)) > 0) {
        rc = jinja_dict_put(r, d.u.dict, key, v[1].kind == J_MISSING ? jinja_none() : v[1]);
        if (rc) return rc;
    }
    *ret = d;
    return rc;
}

static int list_count(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval what;
    bool same;
    int64_t n = 0;
    int rc = jinja_args(r, "count", args, (const char *const[]){"value"}, 1, 1, &what);
    for (size_t i = 0; i < self.u.list->count && !rc; i++) {
        rc = jinja_equal(r, self.u.list->items[i], what, &same);
        n += same;
    }
    *ret = jinja_int(n);
    return rc;
}

static int list_index(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v[3];
    bool same = false;
    int64_t count = (int64_t)self.u.list->count, from = 0, to = count;
    int rc = jinja_args(r, "index", args, (const char *const[]){"value", "start", "stop"}, 3, 1, v);
    if (!rc && v[1].kind != J_MISSING) rc = jinja_arg_int(r, v[1], &from);
    if (!rc && v[2].kind != J_MISSING) rc = jinja_arg_int(r, v[2], &to);
    if (from < 0) from = FH_MAX(from + count, 0);
    if (to < 0) to += count;
    for (int64_t i = from; i < to && i < count && !rc && !same; i++) {
        rc = jinja_equal(r, self.u.list->items[i], v[0], &same);
        if (same) *ret = jinja_int(i);
    }
    return rc || same ? rc : jinja_fail(r, FH_E_INVALID, "the value is not in the list");
}

static int is_integer(jrun *r, jval self, const jargs *args, jval *ret)
{
    *ret = jinja_bool(isfinite(self.u.f) && self.u.f == floor(self.u.f));
    return no_args(r, "is_integer", args);
}

static int bit_length(jrun *r, jval self, const jargs *args, jval *ret)
{
    int64_t i = jinja_as_int(self), n = 0;
    for (uint64_t v = i < 0 ? 0 - (uint64_t)i : (uint64_t)i; v; v >>= 1) n++;
    *ret = jinja_int(n);
    return no_args(r, "bit_length", args);
}

static int conjugate(jrun *r, jval self, const jargs *args, jval *ret)
{
    *ret = self.kind == J_BOOL ? jinja_int(self.u.b) : self;
    return no_args(r, "conjugate", args);
}

static int refused(jrun *r, jval self, const jargs *args, jval *ret)
{
    return jinja_unsupported(r, "this method of a number (to_bytes, from_bytes, as_integer_ratio, bit_count, hex, fromhex)");
}

static int loop_cycle(jrun *r, jval self, const jargs *args, jval *ret)
{
    if (!args->count || args->named) return jinja_fail(r, FH_E_INVALID, "no items for cycling given");
    *ret = args->pos[(size_t)self.u.loop->index0 % args->count];
    return 0;
}

static int loop_changed(jrun *r, jval self, const jargs *args, jval *ret)
{
    struct jloop *l = self.u.loop;
    jval now, before = {.kind = J_TUPLE, .u.list = l->last_changed};
    bool same = false;
    if (args->named) return jinja_fail(r, FH_E_INVALID, "changed() takes no keyword arguments");
    int rc = jinja_list(r, J_TUPLE, args->pos, args->count, &now);
    if (!rc && l->last_changed) rc = jinja_equal(r, before, now, &same);
    if (rc) return rc;
    if (!same) l->last_changed = now.u.list;
    *ret = jinja_bool(!same);
    return 0;
}

static int cycler_next(jrun *r, jval self, const jargs *args, jval *ret)
{
    struct jcycler *c = self.u.cycler;
    *ret = c->items->items[c->at];
    c->at = (c->at + 1) % c->items->count;
    return no_args(r, "next", args);
}

static int cycler_reset(jrun *r, jval self, const jargs *args, jval *ret)
{
    self.u.cycler->at = 0;
    *ret = jinja_none();
    return no_args(r, "reset", args);
}

const jfunction *jinja_find_other_method(jval self, fh_str name)
{
    static const jfunction of_dict[] = {{"get", dict_get},       {"items", dict_items}, {"keys", dict_keys},
                                        {"values", dict_values}, {"copy", dict_copy},   {"fromkeys", from_keys}};
    static const jfunction of_list[] = {{"count", list_count}, {"index", list_index}, {"copy", dict_copy}};
    static const jfunction of_int[] = {{"bit_length", bit_length}, {"conjugate", conjugate},      {"to_bytes", refused},
                                       {"from_bytes", refused},    {"as_integer_ratio", refused}, {"bit_count", refused}};
    static const jfunction of_float[] = {
        {"is_integer", is_integer}, {"conjugate", conjugate}, {"hex", refused}, {"fromhex", refused}, {"as_integer_ratio", refused}};
    static const jfunction of_loop[] = {{"cycle", loop_cycle}, {"changed", loop_changed}};
    static const jfunction of_cycler[] = {{"next", cycler_next}, {"reset", cycler_reset}};
    static const jfunction of_dict_type[] = {{"fromkeys", from_keys}};
    if (self.kind == J_DICT) return jinja_lookup(of_dict, FH_COUNT(of_dict), name);
    if (self.kind == J_LIST) return jinja_lookup(of_list, FH_COUNT(of_list), name);
    if (self.kind == J_TUPLE) return jinja_lookup(of_list, 2, name);
    if (jinja_is_int(self)) return jinja_lookup(of_int, FH_COUNT(of_int), name);
    if (self.kind == J_FLOAT) return jinja_lookup(of_float, FH_COUNT(of_float), name);
    if (self.kind == J_LOOP) return jinja_lookup(of_loop, FH_COUNT(of_loop), name);
    if (self.kind == J_CYCLER) return jinja_lookup(of_cycler, FH_COUNT(of_cycler), name);
    if (self.kind == J_FUNCTION && strcmp(self.u.function->name, "dict") == 0)
        return jinja_lookup(of_dict_type, FH_COUNT(of_dict_type), name);
    return NULL;
}

static bool named(fh_str name, const char *const *names)
{
    for (; *names; names++)
        if (fh_str_eqs(name, *names)) return true;
    return false;
}

bool jinja_is_mutator(jval self, fh_str name)
{
    static const char *const of_dict[] = {"clear", "pop", "popitem", "setdefault", "update", NULL};
    static const char *const of_list[] = {"append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort", NULL};
    static const char *const of_iter[] = {"gi_frame", "gi_code", NULL};
    return named(name, self.kind == J_DICT   ? of_dict
                       : self.kind == J_LIST ? of_list
                       : self.kind == J_ITER ? of_iter
                                             : (const char *const[]){NULL});
}
