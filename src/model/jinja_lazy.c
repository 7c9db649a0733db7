/* Filters that give generators: map, select, reject, selectattr, rejectattr, unique, batch, slice, items. Nothing happens, not even an
 * error, before the first item is asked for, and what was taken is gone: templates see both. */
#include "jinja.h"

#define NAMES(...)                                                                                                                         \
    (const char *const[])                                                                                                                  \
    {                                                                                                                                      \
        __VA_ARGS__                                                                                                                        \
    }

typedef struct lazy {
    const jfunction *function; /* filter or test; NULL: truth */
    jargs args;                /* pos[0] is for the item */
    jval path, fallback, fill, size;
    bool by_attribute, reject, started, done, case_sensitive;
    jiter under;
    jval seen; /* unique */
    jbuilder items;
    int64_t at, offset;
} lazy;

static int make(jrun *r, jnext next, jval over, lazy *state, jval *ret)
{
    lazy *own = jinja_alloc(r, sizeof(*own));
    if (!own) return jinja_failed(r);
    *own = *state;
    return jinja_lazy(r, next, over, own, ret);
}

/* The next item of what is filtered; the first call begins. 'if value:' comes first, so that what is empty or undefined is simply empty. */
static int pull(jrun *r, jiter *it, lazy *l, bool ask_truth, jval *ret)
{
    if (l->done) return 0;
    if (!l->started) {
        l->started = true;
        if (ask_truth && !jinja_truth(it->over)) {
            l->done = true;
            return 0;
        }
        int rc = jinja_iter(r, it->over, &l->under);
        if (rc) return rc;
    }
    int rc = jinja_steps(r, 0);
    if (!rc) rc = jinja_deeper(r);
    if (rc) return rc;
    rc = l->under.next(r, &l->under, ret);
    jinja_shallower(r);
    l->done = rc <= 0;
    return rc;
}

/* The arguments of a filter or test from those behind its name, with room for the item in front. */
static int rest_of(jrun *r, const jargs *args, size_t from, jargs *ret)
{
    size_t count = args->count > from ? args->count - from : 0;
    *ret = (jargs){.count = count + 1, .names = args->names, .values = args->values, .named = args->named};
    ret->pos = jinja_array(r, count + 1, sizeof(*ret->pos));
    if (!ret->pos) return jinja_failed(r);
    if (count) memcpy(ret->pos + 1, args->pos + from, count * sizeof(*ret->pos));
    return 0;
}

/* ---- map ---- */

static int apply(jrun *r, lazy *l, jval item, jval *ret)
{
    if (l->by_attribute) return jinja_dig(r, item, l->path, l->fallback, ret);
    l->args.pos[0] = item;
    return l->function->call(r, item, &l->args, ret);
}

static int next_mapped(jrun *r, jiter *it, jval *ret)
{
    jval item;
    lazy *l = it->state;
    bool first = !l->started && jinja_truth(it->over);
    if (first && !l->by_attribute && !l->function)
        return jinja_fail(r, FH_E_INVALID, l->args.count ? "map was given a filter that does not exist" : "map requires a filter argument");
    int rc = pull(r, it, l, true, &item);
    if (rc <= 0) return rc;
    rc = apply(r, l, item, ret);
    return rc ? rc : 1;
}

static int map_attribute(jrun *r, const jargs *args, lazy *l)
{
    l->by_attribute = true;
    for (size_t i = 0; i < args->named; i++) {
        if (fh_str_eqs(args->names[i], "attribute"))
            l->path = args->values[i];
        else if (fh_str_eqs(args->names[i], "default"))
            l->fallback = args->values[i];
        else
            return jinja_fail(r, FH_E_INVALID, "Unexpected keyword argument '%.*s'", (int)FH_MIN(args->names[i].len, (size_t)60),
                              args->names[i].ptr);
    }
    return 0;
}

static bool has_named(const jargs *args, const char *name)
{
    for (size_t i = 0; i < args->named; i++)
        if (fh_str_eqs(args->names[i], name)) return true;
    return false;
}

static int do_map(jrun *r, jval self, const jargs *args, jval *ret)
{
    lazy l = {0};
    int rc = 0;
    if (args->count == 1 && has_named(args, "attribute")) {
        rc = map_attribute(r, args, &l);
    } else if (args->count > 1) {
        if (args->pos[1].kind == J_STR) l.function = jinja_find_filter(jinja_text_of(args->pos[1]));
        rc = rest_of(r, args, 2, &l.args);
    }
    return rc ? rc : make(r, next_mapped, self, &l, ret);
}

/* ---- select ---- */

static int passes(jrun *r, lazy *l, jval item, bool *ret)
{
    jval v = item;
    int rc = l->by_attribute ? jinja_dig(r, item, l->path, (jval){.kind = J_MISSING}, &v) : 0;
    if (rc) return rc;
    *ret = jinja_truth(v);
    if (l->function) {
        l->args.pos[0] = v;
        rc = jinja_test(r, l->function, v, &l->args, ret);
    }
    *ret = *ret != l->reject;
    return rc;
}

static int next_selected(jrun *r, jiter *it, jval *ret)
{
    lazy *l = it->state;
    bool take = false;
    int rc = 0;
    if (!l->started && jinja_truth(it->over)) {
        if (l->by_attribute && l->path.kind == J_MISSING) return jinja_fail(r, FH_E_INVALID, "Missing parameter for attribute name");
        if (l->args.pos && !l->function) return jinja_fail(r, FH_E_INVALID, "select was given a test that does not exist");
    }
    while (!take && (rc = pull(r, it, l, true, ret)) > 0) {
        int failed = passes(r, l, *ret, &take);
        if (failed) return failed;
    }
    return rc;
}

static int select_or_reject(jrun *r, jval self, const jargs *args, bool by_attribute, bool reject, jval *ret)
{
    lazy l = {.by_attribute = by_attribute, .reject = reject};
    size_t name = by_attribute ? 2 : 1;
    int rc = 0;
    if (by_attribute && args->count > 1) l.path = args->pos[1];
    if (args->count > name) {
        if (args->pos[name].kind == J_STR) l.function = jinja_find_test(jinja_text_of(args->pos[name]));
        rc = rest_of(r, args, name + 1, &l.args);
    }
    return rc ? rc : make(r, next_selected, self, &l, ret);
}

static int do_select(jrun *r, jval self, const jargs *args, jval *ret)
{
    return select_or_reject(r, self, args, false, false, ret);
}

static int do_reject(jrun *r, jval self, const jargs *args, jval *ret)
{
    return select_or_reject(r, self, args, false, true, ret);
}

static int do_selectattr(jrun *r, jval self, const jargs *args, jval *ret)
{
    return select_or_reject(r, self, args, true, false, ret);
}

static int do_rejectattr(jrun *r, jval self, const jargs *args, jval *ret)
{
    return select_or_reject(r, self, args, true, true, ret);
}

/* ---- unique, items ---- */

static int next_unique(jrun *r, jiter *it, jval *ret)
{
    lazy *l = it->state;
    jval key;
    const jval *found;
    int rc, failed = 0;
    if (l->seen.kind != J_DICT && (rc = jinja_dict(r, 0, &l->seen)) < 0) return rc;
    while ((rc = pull(r, it, l, false, ret)) > 0) {
        failed = jinja_dig(r, *ret, l->path, (jval){.kind = J_MISSING}, &key);
        if (!failed && !l->case_sensitive) failed = jinja_lower_key(r, key, &key);
        if (!failed) failed = jinja_dict_find(r, l->seen.u.dict, key, &found);
        if (!failed && !found) failed = jinja_dict_put(r, l->seen.u.dict, key, jinja_none());
        if (failed || !found) break;
    }
    return failed ? failed : rc;
}

static int do_unique(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v[3];
    int rc = jinja_args(r, "unique", args, NAMES("value", "case_sensitive", "attribute"), 3, 1, v);
    lazy l = {.case_sensitive = !rc && jinja_truth(v[1]), .path = v[2]};
    return rc ? rc : make(r, next_unique, self, &l, ret);
}

static int next_item(jrun *r, jiter *it, jval *ret)
{
    if (it->over.kind == J_UNDEF) return 0;
    if (it->over.kind != J_DICT) return jinja_fail(r, FH_E_INVALID, "Can only get item pairs from a mapping.");
    const jdict *d = it->over.u.dict;
    if (it->at >= d->count) return 0;
    const jentry *e = &d->entries[it->at++];
    int rc = jinja_list(r, J_TUPLE, (const jval[]){e->key, e->value}, 2, ret);
    return rc ? rc : 1;
}

static int do_items(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v;
    int rc = jinja_args(r, "items", args, NAMES("value"), 1, 1, &v);
    return rc ? rc : jinja_lazy(r, next_item, self, NULL, ret);
}

/* ---- batch, slice ---- */

static int next_batch(jrun *r, jiter *it, jval *ret)
{
    lazy *l = it->state;
    jbuilder b = {0};
    jval item = {0};
    int64_t size;
    int rc = jinja_arg_int(r, l->size, &size), failed = 0;
    if (l->items.count) b = l->items; /* the one that did not fit into the batch before */
    l->items = (jbuilder){0};
    while (!rc && !failed && (rc = pull(r, it, l, false, &item)) > 0) {
        bool full = (int64_t)b.count == size;
        failed = jinja_add(r, full ? &l->items : &b, item);
        rc = 0;
        if (full) break;
    }
    if (failed || rc < 0) return failed ? failed : rc;
    if (!b.count && !l->items.count) return 0;
    while (!l->items.count && l->fill.kind != J_MISSING && l->fill.kind != J_NONE && (int64_t)b.count < size && !failed)
        failed = jinja_add(r, &b, l->fill);
    if (!failed) failed = jinja_built(r, &b, J_LIST, ret);
    return failed ? failed : 1;
}

static int do_batch(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v[3];
    int rc = jinja_args(r, "batch", args, NAMES("value", "linecount", "fill_with"), 3, 2, v);
    lazy l = {.size = v[1], .fill = v[2]};
    return rc ? rc : make(r, next_batch, self, &l, ret);
}

static int next_slice(jrun *r, jiter *it, jval *ret)
{
    lazy *l = it->state;
    int64_t slices, number = l->at++;
    int rc = jinja_arg_int(r, l->size, &slices);
    if (!rc && !number) rc = jinja_collect(r, it->over, &l->items);
    if (!rc && !slices) rc = jinja_fail(r, FH_E_INVALID, "integer division or modulo by zero");
    if (rc || number >= slices) return rc;
    int64_t count = (int64_t)l->items.count, each = count / slices, extra = count % slices;
    int64_t from = l->offset + number * each;
    if (number < extra) l->offset++;
    int64_t to = l->offset + (number + 1) * each;
    jbuilder b = {0};
    for (int64_t i = from; !rc && i < to; i++) rc = jinja_add(r, &b, l->items.items[i]);
    if (!rc && l->fill.kind != J_MISSING && l->fill.kind != J_NONE && number >= extra) rc = jinja_add(r, &b, l->fill);
    if (!rc) rc = jinja_steps(r, 0);
    if (!rc) rc = jinja_built(r, &b, J_LIST, ret);
    return rc ? rc : 1;
}

static int do_slice(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v[3];
    int rc = jinja_args(r, "slice", args, NAMES("value", "slices", "fill_with"), 3, 2, v);
    lazy l = {.size = v[1], .fill = v[2]};
    return rc ? rc : make(r, next_slice, self, &l, ret);
}

const jfunction *jinja_find_lazy_filter(fh_str name)
{
    static const jfunction filters[] = {
        {"batch", do_batch},   {"items", do_items},           {"map", do_map},     {"reject", do_reject}, {"rejectattr", do_rejectattr},
        {"select", do_select}, {"selectattr", do_selectattr}, {"slice", do_slice}, {"unique", do_unique},
    };
    return jinja_lookup(filters, FH_COUNT(filters), name);
}
