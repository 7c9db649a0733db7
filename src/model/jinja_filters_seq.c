/* Filters over sequences that give a value at once. Those that work late (map, select, ...) are in jinja_lazy.c. */
#include "jinja.h"

#define NAMES(...)                                                                                                                         \
    (const char *const[])                                                                                                                  \
    {                                                                                                                                      \
        __VA_ARGS__                                                                                                                        \
    }

static bool given(jval v)
{
    return v.kind != J_MISSING && v.kind != J_NONE;
}

/* ---- attribute paths ---- */

static int dig_part(jrun *r, jval v, fh_str part, jval *ret)
{
    uint64_t index;
    if (fh_str_u64(part, INT64_MAX, &index)) return jinja_item(r, v, jinja_int((int64_t)index), ret);
    return jinja_item(r, v, jinja_str(part), ret);
}

int jinja_dig(jrun *r, jval v, jval path, jval fallback, jval *ret)
{
    int rc = 0;
    *ret = v;
    if (!given(path)) return 0;
    if (path.kind != J_STR) {
        rc = jinja_item(r, v, path, ret);
        if (!rc && ret->kind == J_UNDEF && given(fallback)) *ret = fallback;
        return rc;
    }
    fh_str s = jinja_text_of(path);
    for (bool more = true; more && !rc;) {
        const char *dot = s.len ? memchr(s.ptr, '.', s.len) : NULL;
        size_t n = dot ? (size_t)(dot - s.ptr) : s.len;
        rc = dig_part(r, *ret, (fh_str){s.ptr, n}, ret);
        if (!rc && ret->kind == J_UNDEF && given(fallback)) *ret = fallback;
        more = dot != NULL;
        if (more) s = (fh_str){s.ptr + n + 1, s.len - n - 1};
    }
    return rc;
}

int jinja_lower_key(jrun *r, jval v, jval *ret)
{
    *ret = v;
    return v.kind == J_STR ? jinja_recase(r, v, CASE_LOWER, ret) : 0;
}

static int key_of(jrun *r, jval v, jval path, bool case_sensitive, jval *ret)
{
    int rc = jinja_dig(r, v, path, (jval){.kind = J_MISSING}, ret);
    return rc || case_sensitive ? rc : jinja_lower_key(r, *ret, ret);
}

/* "a,b.c": a list of keys. */
static int keys_of(jrun *r, jval v, jval path, bool case_sensitive, jval *ret)
{
    jbuilder b = {0};
    jval key;
    if (path.kind != J_STR || !path.len || !memchr(path.u.s, ',', path.len)) {
        int rc = key_of(r, v, path, case_sensitive, &key);
        return rc ? rc : jinja_list(r, J_LIST, &key, 1, ret);
    }
    fh_str s = jinja_text_of(path);
    int rc = 0;
    for (bool more = true; more && !rc;) {
        const char *comma = s.len ? memchr(s.ptr, ',', s.len) : NULL;
        size_t n = comma ? (size_t)(comma - s.ptr) : s.len;
        rc = key_of(r, v, jinja_str((fh_str){s.ptr, n}), case_sensitive, &key);
        if (!rc) rc = jinja_add(r, &b, key);
        more = comma != NULL;
        if (more) s = (fh_str){s.ptr + n + 1, s.len - n - 1};
    }
    return rc ? rc : jinja_built(r, &b, J_LIST, ret);
}

/* ---- sorting ---- */

typedef struct sorter {
    jrun *r;
    jval *keys, *items, *spare_keys, *spare_items;
    bool reverse;
} sorter;

/* Does b belong before a? Asked only as "less", as Python does; reverse keeps equal ones in order too. */
static int belongs_before(const sorter *s, jval b, jval a, bool *ret)
{
    return s->reverse ? jinja_less(s->r, a, b, OP_LT, ret) : jinja_less(s->r, b, a, OP_LT, ret);
}

static int merge(sorter *s, size_t from, size_t middle, size_t to)
{
    size_t a = from, b = middle;
    for (size_t i = from; i < to; i++) {
        bool second = a == middle;
        int rc = a < middle && b < to ? belongs_before(s, s->keys[b], s->keys[a], &second) : 0;
        if (rc) return rc;
        size_t take = second ? b++ : a++;
        s->spare_keys[i] = s->keys[take];
        s->spare_items[i] = s->items[take];
    }
    memcpy(s->keys + from, s->spare_keys + from, (to - from) * sizeof(*s->keys));
    memcpy(s->items + from, s->spare_items + from, (to - from) * sizeof(*s->items));
    return 0;
}

int jinja_sorted(jrun *r, jval *keys, jval *items, size_t count, bool reverse)
{
    sorter s = {r, keys, items, jinja_array(r, count + 1, sizeof(jval)), NULL, reverse};
    if (s.spare_keys) s.spare_items = jinja_array(r, count + 1, sizeof(jval));
    if (!s.spare_items) return jinja_failed(r);
    int rc = 0;
    for (size_t width = 1; width < count && !rc; width *= 2)
        for (size_t from = 0; from + width < count && !rc; from += 2 * width)
            rc = merge(&s, from, from + width, FH_MIN(from + 2 * width, count));
    return rc;
}

static int do_sort(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v[4];
    jbuilder b = {0};
    int rc = jinja_args(r, "sort", args, NAMES("value", "reverse", "case_sensitive", "attribute"), 4, 1, v);
    if (!rc) rc = jinja_collect(r, self, &b);
    jval *keys = rc ? NULL : jinja_array(r, b.count + 1, sizeof(*keys));
    if (!keys) return rc ? rc : jinja_failed(r);
    for (size_t i = 0; i < b.count && !rc; i++) rc = keys_of(r, b.items[i], v[3], jinja_truth(v[2]), &keys[i]);
    if (!rc) rc = jinja_sorted(r, keys, b.items, b.count, jinja_truth(v[1]));
    return rc ? rc : jinja_built(r, &b, J_LIST, ret);
}

static int do_dictsort(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v[4];
    jbuilder b = {0};
    int rc = jinja_args(r, "dictsort", args, NAMES("value", "case_sensitive", "by", "reverse"), 4, 1, v);
    if (rc) return rc;
    bool by_value = jinja_is_str(v[2], "value");
    if (v[2].kind != J_MISSING && !by_value && !jinja_is_str(v[2], "key"))
        return jinja_fail(r, FH_E_INVALID, "You can only sort by either \"key\" or \"value\"");
    if (self.kind != J_DICT) return jinja_type_error(r, "a mapping", self);
    const jdict *d = self.u.dict;
    jval *keys = jinja_array(r, d->count + 1, sizeof(*keys));
    if (!keys) return jinja_failed(r);
    for (size_t i = 0; i < d->count && !rc; i++) {
        jval pair;
        keys[i] = by_value ? d->entries[i].value : d->entries[i].key;
        if (!jinja_truth(v[1])) rc = jinja_lower_key(r, keys[i], &keys[i]);
        if (!rc) rc = jinja_list(r, J_TUPLE, (const jval[]){d->entries[i].key, d->entries[i].value}, 2, &pair);
        if (!rc) rc = jinja_add(r, &b, pair);
    }
    if (!rc) rc = jinja_sorted(r, keys, b.items, b.count, jinja_truth(v[3]));
    return rc ? rc : jinja_built(r, &b, J_LIST, ret);
}

static int add_group(jrun *r, jval key, const jval *items, size_t count, jbuilder *groups)
{
    jval list, group;
    int rc = jinja_list(r, J_LIST, items, count, &list);
    if (!rc) rc = jinja_list(r, J_TUPLE, (const jval[]){key, list}, 2, &group);
    if (rc) return rc;
    group.flags |= J_GROUP;
    return jinja_add(r, groups, group);
}

static int do_groupby(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v[4], key;
    jbuilder b = {0}, groups = {0};
    int rc = jinja_args(r, "groupby", args, NAMES("value", "attribute", "default", "case_sensitive"), 4, 2, v);
    if (!rc) rc = jinja_collect(r, self, &b);
    jval *keys = rc ? NULL : jinja_array(r, b.count + 1, sizeof(*keys));
    if (!keys) return rc ? rc : jinja_failed(r);
    for (size_t i = 0; i < b.count && !rc; i++) {
        rc = jinja_dig(r, b.items[i], v[1], v[2], &keys[i]);
        if (!rc && !jinja_truth(v[3])) rc = jinja_lower_key(r, keys[i], &keys[i]);
    }
    if (!rc) rc = jinja_sorted(r, keys, b.items, b.count, false);
    for (size_t from = 0, to; from < b.count && !rc; from = to) {
        bool same = true;
        for (to = from + 1; to < b.count && !rc; to++) {
            rc = jinja_equal(r, keys[from], keys[to], &same);
            if (!same) break;
        }
        if (!rc) rc = jinja_dig(r, b.items[from], v[1], v[2], &key);
        if (!rc) rc = add_group(r, jinja_truth(v[3]) ? keys[from] : key, b.items + from, to - from, &groups);
    }
    return rc ? rc : jinja_built(r, &groups, J_LIST, ret);
}

/* ---- one value of many ---- */

static int extreme(jrun *r, jval self, const jargs *args, bool largest, jval *ret)
{
    jval v[3], item, key, best_key;
    jiter it;
    bool any = false, better = false;
    int rc = jinja_args(r, largest ? "max" : "min", args, NAMES("value", "case_sensitive", "attribute"), 3, 1, v), next = 0;
    if (!rc) rc = jinja_iter(r, self, &it);
    while (!rc && (next = it.next(r, &it, &item)) > 0) {
        rc = key_of(r, item, v[2], jinja_truth(v[1]), &key);
        if (!rc && any) rc = jinja_less(r, key, best_key, largest ? OP_GT : OP_LT, &better);
        if (!rc && (!any || better)) {
            best_key = key;
            *ret = item;
        }
        any = true;
    }
    if (rc || next < 0) return rc ? rc : next;
    return any ? 0 : jinja_undef(r, J_UNDEF_HINT, NULL, FH_STR("No aggregated item, sequence was empty."), ret);
}

static int do_min(jrun *r, jval self, const jargs *args, jval *ret)
{
    return extreme(r, self, args, false, ret);
}

static int do_max(jrun *r, jval self, const jargs *args, jval *ret)
{
    return extreme(r, self, args, true, ret);
}

static int do_first(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v;
    jiter it;
    int rc = jinja_args(r, "first", args, NAMES("seq"), 1, 1, &v);
    if (!rc) rc = jinja_iter(r, self, &it);
    if (!rc) rc = it.next(r, &it, ret);
    if (rc < 0) return rc;
    return rc ? 0 : jinja_undef(r, J_UNDEF_HINT, NULL, FH_STR("No first item, sequence was empty."), ret);
}

static int do_last(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v;
    jiter it;
    bool can;
    int rc = jinja_args(r, "last", args, NAMES("seq"), 1, 1, &v);
    if (!rc) rc = jinja_iter_reversed(r, self, &it, &can);
    if (!rc && !can) rc = jinja_fail(r, FH_E_INVALID, "'%s' object is not reversible", jinja_type(self));
    if (!rc) rc = it.next(r, &it, ret);
    if (rc < 0) return rc;
    return rc ? 0 : jinja_undef(r, J_UNDEF_HINT, NULL, FH_STR("No last item, sequence was empty."), ret);
}

static int do_sum(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v[3], item;
    jiter it;
    int rc = jinja_args(r, "sum", args, NAMES("iterable", "attribute", "start"), 3, 1, v), next = 0;
    jval sum = v[2].kind == J_MISSING ? jinja_int(0) : v[2];
    if (!rc && sum.kind == J_STR) rc = jinja_fail(r, FH_E_INVALID, "sum() can't sum strings [use ''.join(seq) instead]");
    if (!rc) rc = jinja_iter(r, self, &it);
    while (!rc && (next = it.next(r, &it, &item)) > 0) {
        rc = jinja_dig(r, item, v[1], (jval){.kind = J_MISSING}, &item);
        if (!rc) rc = jinja_binary(r, OP_ADD, sum, item, &sum);
        if (!rc) rc = jinja_steps(r, 0);
    }
    *ret = sum;
    return rc ? rc : next;
}

static int do_join(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v[3], item;
    fh_str between = {"", 0};
    jiter it;
    int rc = jinja_args(r, "join", args, NAMES("value", "d", "attribute"), 3, 1, v), next = 0;
    if (!rc && v[1].kind != J_MISSING) {
        rc = jinja_to_str(r, v[1], &v[1]);
        between = jinja_text_of(v[1]);
    }
    if (!rc) rc = jinja_iter(r, self, &it);
    /* Items may write text themselves while they are made: each is made before it is written. */
    jbuilder b = {0};
    while (!rc && (next = it.next(r, &it, &item)) > 0) {
        if (given(v[2])) rc = jinja_dig(r, item, v[2], (jval){.kind = J_MISSING}, &item);
        if (!rc) rc = jinja_add(r, &b, item);
    }
    size_t mark = jinja_mark(r);
    if (!rc) rc = next;
    for (size_t i = 0; i < b.count && !rc; i++) {
        if (i) fh_buf_add(&r->out, between.ptr, between.len);
        rc = jinja_write(r, b.items[i]);
        if (!rc) rc = jinja_steps(r, between.len);
    }
    return rc ? rc : jinja_cut(r, mark, ret);
}

static int do_list(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v;
    jbuilder b = {0};
    int rc = jinja_args(r, "list", args, NAMES("value"), 1, 1, &v);
    if (!rc) rc = jinja_collect(r, self, &b);
    return rc ? rc : jinja_built(r, &b, J_LIST, ret);
}

static int reverse_text(jrun *r, jval s, jval *ret)
{
    jiter it;
    jval c;
    bool can;
    size_t mark = jinja_mark(r);
    int rc = jinja_iter_reversed(r, s, &it, &can);
    if (rc) return rc;
    while ((rc = it.next(r, &it, &c)) > 0) fh_buf_add(&r->out, c.u.s, c.len);
    if (!rc) rc = jinja_cut(r, mark, ret);
    if (!rc) ret->flags = s.flags;
    return rc;
}

static int do_reverse(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v;
    jiter it;
    bool can = false;
    jbuilder b = {0};
    int rc = jinja_args(r, "reverse", args, NAMES("value"), 1, 1, &v);
    if (rc) return rc;
    if (self.kind == J_STR) return reverse_text(r, self, ret);
    rc = jinja_iter_reversed(r, self, &it, &can);
    if (rc || can) return rc ? rc : jinja_iter_value(r, &it, ret);
    if (!jinja_is_iterable(self)) return jinja_fail(r, FH_E_INVALID, "argument must be iterable");
    rc = jinja_collect(r, self, &b);
    for (size_t i = 0; i < b.count / 2; i++) {
        jval t = b.items[i];
        b.items[i] = b.items[b.count - 1 - i];
        b.items[b.count - 1 - i] = t;
    }
    return rc ? rc : jinja_built(r, &b, J_LIST, ret);
}

const jfunction *jinja_find_sequence_filter(fh_str name)
{
    static const jfunction filters[] = {
        {"dictsort", do_dictsort}, {"first", do_first}, {"groupby", do_groupby}, {"join", do_join}, {"last", do_last}, {"list", do_list},
        {"max", do_max},           {"min", do_min},     {"reverse", do_reverse}, {"sort", do_sort}, {"sum", do_sum},
    };
    const jfunction *f = jinja_lookup(filters, FH_COUNT(filters), name);
    return f ? f : jinja_find_lazy_filter(name);
}
