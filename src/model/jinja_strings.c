/* The methods of str. Positions are code points, as in Python; bytes inside. What works on the value of a markup string gives markup again.
 */
#include "jinja.h"

static int result(jrun *r, jval self, fh_str s, jval *ret)
{
    *ret = jinja_str(s);
    ret->flags = self.flags;
    return 0;
}

static int done(jrun *r, jval self, size_t mark, jval *ret)
{
    int rc = jinja_cut(r, mark, ret);
    if (!rc) ret->flags = self.flags;
    return rc;
}

static int no_args(jrun *r, const char *name, const jargs *args)
{
    return jinja_args(r, name, args, NULL, 0, 0, NULL);
}

/* An argument as text; text of a plain string that goes into markup is escaped. */
static int text_arg(jrun *r, jval self, jval v, fh_str *ret)
{
    if (v.kind == J_STR && (self.flags & J_MARKUP)) {
        int rc = jinja_escape(r, v, &v);
        if (rc) return rc;
    }
    return jinja_arg_str(r, v, ret);
}

/* ---- case ---- */

#define CASE_METHOD(fn, how)                                                                                                               \
    static int fn(jrun *r, jval self, const jargs *args, jval *ret)                                                                        \
    {                                                                                                                                      \
        int rc = no_args(r, #fn, args);                                                                                                    \
        return rc ? rc : jinja_recase(r, self, how, ret);                                                                                  \
    }
CASE_METHOD(upper, CASE_UPPER)
CASE_METHOD(lower, CASE_LOWER)
CASE_METHOD(title, CASE_TITLE)
CASE_METHOD(capitalize, CASE_CAPITAL)
CASE_METHOD(swapcase, CASE_SWAP)

/* ---- strip ---- */

static bool in_set(fh_str set, uint32_t cp)
{
    uint32_t one;
    for (size_t i = 0, n; i < set.len && (n = fh_utf8_decode(set.ptr + i, set.len - i, &one)); i += n)
        if (one == cp) return true;
    return false;
}

static size_t last_char(fh_str s)
{
    size_t n = 1;
    while (n < s.len && ((uint8_t)s.ptr[s.len - n] & 0xc0) == 0x80) n++;
    return n;
}

static fh_str strip_set(fh_str s, fh_str set, bool left, bool right)
{
    uint32_t cp;
    size_t n;
    while (left && s.len && (n = fh_utf8_decode(s.ptr, s.len, &cp)) && in_set(set, cp)) s = (fh_str){s.ptr + n, s.len - n};
    while (right && s.len) {
        n = last_char(s);
        if (!fh_utf8_decode(s.ptr + s.len - n, n, &cp) || !in_set(set, cp)) break;
        s.len -= n;
    }
    return s;
}

static int strip_with(jrun *r, jval self, const jargs *args, bool left, bool right, jval *ret)
{
    jval chars;
    fh_str set, s = jinja_text_of(self);
    int rc = jinja_args(r, "strip", args, (const char *const[]){"chars"}, 1, 0, &chars);
    if (!rc) rc = jinja_steps(r, s.len);
    if (rc) return rc;
    if (chars.kind == J_MISSING || chars.kind == J_NONE) return result(r, self, jinja_strip(s, left, right), ret);
    rc = jinja_arg_str(r, chars, &set);
    if (!rc) rc = jinja_steps(r, s.len * FH_MIN(set.len, (size_t)1000));
    return rc ? rc : result(r, self, strip_set(s, set, left, right), ret);
}

static int strip(jrun *r, jval self, const jargs *args, jval *ret)
{
    return strip_with(r, self, args, true, true, ret);
}

static int lstrip(jrun *r, jval self, const jargs *args, jval *ret)
{
    return strip_with(r, self, args, true, false, ret);
}

static int rstrip(jrun *r, jval self, const jargs *args, jval *ret)
{
    return strip_with(r, self, args, false, true, ret);
}

static int remove_end(jrun *r, jval self, const jargs *args, bool prefix, jval *ret)
{
    jval v;
    fh_str end, s = jinja_text_of(self);
    int rc = jinja_args(r, prefix ? "removeprefix" : "removesuffix", args, (const char *const[]){"end"}, 1, 1, &v);
    if (!rc) rc = jinja_arg_str(r, v, &end);
    if (rc) return rc;
    if (end.len && (prefix ? fh_str_starts(s, end) : fh_str_ends(s, end))) s = (fh_str){s.ptr + (prefix ? end.len : 0), s.len - end.len};
    return result(r, self, s, ret);
}

static int removeprefix(jrun *r, jval self, const jargs *args, jval *ret)
{
    return remove_end(r, self, args, true, ret);
}

static int removesuffix(jrun *r, jval self, const jargs *args, jval *ret)
{
    return remove_end(r, self, args, false, ret);
}

/* ---- searching ---- */

/* The part of s between two optional positions; *ret_from is where it begins, in characters. False: it begins beyond the end. */
static int part(jrun *r, fh_str s, jval from, jval to, fh_str *ret, size_t *ret_from, bool *ret_inside)
{
    int64_t count = (int64_t)jinja_chars(s), a = 0, b = count;
    int rc = from.kind == J_MISSING || from.kind == J_NONE ? 0 : jinja_arg_int(r, from, &a);
    if (!rc && to.kind != J_MISSING && to.kind != J_NONE) rc = jinja_arg_int(r, to, &b);
    if (rc) return rc;
    if (a < 0) a = FH_MAX(a + count, 0);
    if (b < 0) b = FH_MAX(b + count, 0);
    b = FH_MIN(b, count);
    *ret_inside = a <= b;
    size_t start = jinja_offset(s, (size_t)FH_MIN(a, count)), end = jinja_offset(s, (size_t)FH_MAX(b, 0));
    *ret = (fh_str){s.ptr + start, end > start ? end - start : 0};
    *ret_from = (size_t)a;
    return 0;
}

static size_t find_last(fh_str s, fh_str needle)
{
    for (size_t i = s.len + 1; i-- > 0;)
        if (i + needle.len <= s.len && memcmp(s.ptr + i, needle.ptr, needle.len) == 0) return i;
    return SIZE_MAX;
}

static size_t find_first(fh_str s, fh_str needle)
{
    if (needle.len > s.len) return SIZE_MAX;
    if (!needle.len) return 0;
    const char *p = memmem(s.ptr, s.len, needle.ptr, needle.len);
    return p ? (size_t)(p - s.ptr) : SIZE_MAX;
}

static int search(jrun *r, jval self, const jargs *args, bool last, const char *fail, jval *ret)
{
    jval v[3];
    fh_str needle, s = jinja_text_of(self);
    size_t from = 0;
    bool inside;
    int rc = jinja_args(r, "find", args, (const char *const[]){"sub", "start", "end"}, 3, 1, v);
    if (!rc) rc = jinja_arg_str(r, v[0], &needle);
    if (!rc) rc = jinja_steps(r, s.len * (last ? 1 + needle.len / 64 : 1));
    if (!rc) rc = part(r, s, v[1], v[2], &s, &from, &inside);
    if (rc) return rc;
    size_t at = !inside ? SIZE_MAX : last ? find_last(s, needle) : find_first(s, needle);
    if (at == SIZE_MAX && fail) return jinja_fail(r, FH_E_INVALID, "%s", fail);
    *ret = jinja_int(at == SIZE_MAX ? -1 : (int64_t)(from + jinja_chars((fh_str){s.ptr, at})));
    return 0;
}

static int find(jrun *r, jval self, const jargs *args, jval *ret)
{
    return search(r, self, args, false, NULL, ret);
}

static int rfind(jrun *r, jval self, const jargs *args, jval *ret)
{
    return search(r, self, args, true, NULL, ret);
}

static int index_of(jrun *r, jval self, const jargs *args, jval *ret)
{
    return search(r, self, args, false, "substring not found", ret);
}

static int rindex_of(jrun *r, jval self, const jargs *args, jval *ret)
{
    return search(r, self, args, true, "substring not found", ret);
}

static int count_of(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v[3];
    fh_str needle, s = jinja_text_of(self);
    size_t from, at, n = 0;
    bool inside;
    int rc = jinja_args(r, "count", args, (const char *const[]){"sub", "start", "end"}, 3, 1, v);
    if (!rc) rc = jinja_arg_str(r, v[0], &needle);
    if (!rc) rc = jinja_steps(r, s.len);
    if (!rc) rc = part(r, s, v[1], v[2], &s, &from, &inside);
    if (rc) return rc;
    if (!needle.len) n = inside ? jinja_chars(s) + 1 : 0;
    while (needle.len && (at = find_first(s, needle)) != SIZE_MAX) {
        n++;
        s = (fh_str){s.ptr + at + needle.len, s.len - at - needle.len};
    }
    *ret = jinja_int((int64_t)n);
    return 0;
}

static int has_end(jrun *r, fh_str s, jval end, bool prefix, bool *ret)
{
    fh_str e;
    int rc = jinja_arg_str(r, end, &e);
    if (!rc) *ret = prefix ? fh_str_starts(s, e) : fh_str_ends(s, e);
    return rc;
}

static int starts_or_ends(jrun *r, jval self, const jargs *args, bool prefix, jval *ret)
{
    jval v[3];
    fh_str s = jinja_text_of(self);
    size_t from;
    bool inside = true, found = false;
    int rc = jinja_args(r, prefix ? "startswith" : "endswith", args, (const char *const[]){"end", "start", "stop"}, 3, 1, v);
    if (!rc && (v[1].kind != J_MISSING || v[2].kind != J_MISSING)) rc = part(r, s, v[1], v[2], &s, &from, &inside);
    if (!rc) rc = jinja_steps(r, 0);
    if (rc) return rc;
    if (v[0].kind != J_TUPLE) rc = has_end(r, s, v[0], prefix, &found);
    for (size_t i = 0; v[0].kind == J_TUPLE && i < v[0].u.list->count && !found && !rc; i++)
        rc = has_end(r, s, v[0].u.list->items[i], prefix, &found);
    *ret = jinja_bool(found && inside);
    return rc;
}

static int startswith(jrun *r, jval self, const jargs *args, jval *ret)
{
    return starts_or_ends(r, self, args, true, ret);
}

static int endswith(jrun *r, jval self, const jargs *args, jval *ret)
{
    return starts_or_ends(r, self, args, false, ret);
}

/* ---- splitting and joining ---- */

static int add_piece(jrun *r, jval self, jbuilder *b, fh_str s)
{
    jval v;
    result(r, self, s, &v);
    return jinja_add(r, b, v);
}

static int split_space(jrun *r, jval self, fh_str s, int64_t limit, jbuilder *b)
{
    uint32_t cp;
    size_t n, from = 0;
    s = jinja_strip(s, true, false);
    for (size_t i = 0; i < s.len && limit != 0; i += n) {
        n = fh_utf8_decode(s.ptr + i, s.len - i, &cp);
        if (!n)
            n = 1;
        else if (jinja_is_space(cp)) {
            int rc = add_piece(r, self, b, (fh_str){s.ptr + from, i - from});
            if (rc) return rc;
            limit--;
            fh_str rest = jinja_strip((fh_str){s.ptr + i, s.len - i}, true, false);
            from = i = (size_t)(rest.ptr - s.ptr);
            n = 0;
        }
    }
    fh_str rest = {s.ptr + from, s.len - from};
    return rest.len ? add_piece(r, self, b, rest) : 0;
}

static int rsplit_space(jrun *r, jval self, fh_str s, int64_t limit, jbuilder *b)
{
    s = jinja_strip(s, false, true);
    while (s.len && limit-- != 0) {
        size_t word = s.len;
        while (word && jinja_strip((fh_str){s.ptr, word}, false, true).len == word) word -= last_char((fh_str){s.ptr, word});
        int rc = add_piece(r, self, b, (fh_str){s.ptr + word, s.len - word});
        if (rc) return rc;
        s = jinja_strip((fh_str){s.ptr, word}, false, true);
    }
    return s.len ? add_piece(r, self, b, s) : 0;
}

static int split_on(jrun *r, jval self, fh_str s, fh_str sep, int64_t limit, bool last, jbuilder *b)
{
    size_t at;
    int rc = 0;
    while (!rc && limit-- != 0 && (at = last ? find_last(s, sep) : find_first(s, sep)) != SIZE_MAX) {
        fh_str left = {s.ptr, at}, right = {s.ptr + at + sep.len, s.len - at - sep.len};
        rc = add_piece(r, self, b, last ? right : left);
        s = last ? left : right;
    }
    return rc ? rc : add_piece(r, self, b, s);
}

static void reverse_items(jbuilder *b)
{
    for (size_t i = 0; i < b->count / 2; i++) {
        jval t = b->items[i];
        b->items[i] = b->items[b->count - 1 - i];
        b->items[b->count - 1 - i] = t;
    }
}

static int split_with(jrun *r, jval self, const jargs *args, bool last, jval *ret)
{
    jval v[2];
    fh_str sep, s = jinja_text_of(self);
    int64_t limit = -1;
    jbuilder b = {0};
    int rc = jinja_args(r, "split", args, (const char *const[]){"sep", "maxsplit"}, 2, 0, v);
    if (!rc && v[1].kind != J_MISSING) rc = jinja_arg_int(r, v[1], &limit);
    if (!rc) rc = jinja_steps(r, s.len);
    if (rc) return rc;
    if (v[0].kind == J_MISSING || v[0].kind == J_NONE) {
        rc = last ? rsplit_space(r, self, s, limit, &b) : split_space(r, self, s, limit, &b);
    } else {
        rc = jinja_arg_str(r, v[0], &sep);
        if (!rc && !sep.len) rc = jinja_fail(r, FH_E_INVALID, "empty separator");
        if (!rc && last) rc = jinja_steps(r, s.len * (1 + sep.len / 64));
        if (!rc) rc = split_on(r, self, s, sep, limit, last, &b);
    }
    if (last) reverse_items(&b);
    return rc ? rc : jinja_built(r, &b, J_LIST, ret);
}

static int split(jrun *r, jval self, const jargs *args, jval *ret)
{
    return split_with(r, self, args, false, ret);
}

static int rsplit(jrun *r, jval self, const jargs *args, jval *ret)
{
    return split_with(r, self, args, true, ret);
}

static int splitlines(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval keep;
    fh_str line, whole;
    jbuilder b = {0};
    size_t at = 0;
    int rc = jinja_args(r, "splitlines", args, (const char *const[]){"keepends"}, 1, 0, &keep);
    if (!rc) rc = jinja_steps(r, (size_t)self.len * 4);
    while (!rc && jinja_next_line(jinja_text_of(self), &at, &line, &whole)) rc = add_piece(r, self, &b, jinja_truth(keep) ? whole : line);
    return rc ? rc : jinja_built(r, &b, J_LIST, ret);
}

static int partition_with(jrun *r, jval self, const jargs *args, bool last, jval *ret)
{
    jval v, parts[3];
    fh_str sep, s = jinja_text_of(self), empty = {"", 0};
    int rc = jinja_args(r, "partition", args, (const char *const[]){"sep"}, 1, 1, &v);
    if (!rc) rc = jinja_arg_str(r, v, &sep);
    if (!rc && !sep.len) rc = jinja_fail(r, FH_E_INVALID, "empty separator");
    if (!rc) rc = jinja_steps(r, s.len * (last ? 1 + sep.len / 64 : 1));
    if (rc) return rc;
    size_t at = last ? find_last(s, sep) : find_first(s, sep);
    bool found = at != SIZE_MAX;
    result(r, self, found ? (fh_str){s.ptr, at} : last ? empty : s, &parts[0]);
    result(r, self, found ? (fh_str){s.ptr + at, sep.len} : empty, &parts[1]);
    result(r, self, found ? (fh_str){s.ptr + at + sep.len, s.len - at - sep.len} : last ? s : empty, &parts[2]);
    return jinja_list(r, J_TUPLE, parts, 3, ret);
}

static int partition(jrun *r, jval self, const jargs *args, jval *ret)
{
    return partition_with(r, self, args, false, ret);
}

static int rpartition(jrun *r, jval self, const jargs *args, jval *ret)
{
    return partition_with(r, self, args, true, ret);
}

static int join(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval over, item;
    jiter it;
    fh_str s;
    size_t mark = jinja_mark(r);
    bool first = true;
    int rc = jinja_args(r, "join", args, (const char *const[]){"iterable"}, 1, 1, &over);
    if (!rc) rc = jinja_iter(r, over, &it);
    if (rc) return rc;
    while ((rc = it.next(r, &it, &item)) > 0) {
        int failed = text_arg(r, self, item, &s);
        if (!failed) failed = jinja_steps(r, s.len + self.len);
        if (failed) return failed;
        if (!first) fh_buf_add(&r->out, self.u.s, self.len);
        first = false;
        fh_buf_add(&r->out, s.ptr, s.len);
    }
    return rc ? rc : done(r, self, mark, ret);
}

static void replace_empty(jrun *r, fh_str s, fh_str with, int64_t limit)
{
    size_t n;
    uint32_t cp;
    if (limit-- != 0) fh_buf_add(&r->out, with.ptr, with.len);
    for (size_t i = 0; i < s.len && fh_buf_ok(&r->out); i += n) {
        n = fh_utf8_decode(s.ptr + i, s.len - i, &cp);
        if (!n) n = 1;
        fh_buf_add(&r->out, s.ptr + i, n);
        if (limit != 0) {
            fh_buf_add(&r->out, with.ptr, with.len);
            limit--;
        }
    }
}

static int replace(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v[3];
    fh_str old, new, s = jinja_text_of(self);
    int64_t limit = -1;
    size_t at;
    int rc = jinja_args(r, "replace", args, (const char *const[]){"old", "new", "count"}, 3, 2, v);
    if (!rc) rc = text_arg(r, self, v[0], &old);
    if (!rc) rc = text_arg(r, self, v[1], &new);
    if (!rc && v[2].kind != J_MISSING) rc = jinja_arg_int(r, v[2], &limit);
    if (!rc) rc = jinja_steps(r, s.len);
    if (rc) return rc;
    size_t mark = jinja_mark(r);
    if (!old.len) {
        replace_empty(r, s, new, limit);
        return done(r, self, mark, ret);
    }
    for (; limit != 0 && fh_buf_ok(&r->out) && (at = find_first(s, old)) != SIZE_MAX; limit--) {
        fh_buf_add(&r->out, s.ptr, at);
        fh_buf_add(&r->out, new.ptr, new.len);
        s = (fh_str){s.ptr + at + old.len, s.len - at - old.len};
    }
    fh_buf_add(&r->out, s.ptr, s.len);
    return done(r, self, mark, ret);
}

/* ---- formatting ---- */

static int format_map(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval map;
    int rc = jinja_args(r, "format_map", args, (const char *const[]){"mapping"}, 1, 1, &map);
    if (rc) return rc;
    if (map.kind != J_DICT) return jinja_type_error(r, "a mapping", map);
    const jdict *d = map.u.dict;
    jargs named = {.names = jinja_array(r, d->count + 1, sizeof(fh_str)), .named = 0};
    if (named.names) named.values = jinja_array(r, d->count + 1, sizeof(jval));
    if (!named.values) return jinja_failed(r);
    for (size_t i = 0; i < d->count; i++) {
        if (d->entries[i].key.kind != J_STR) continue;
        named.names[named.named] = jinja_text_of(d->entries[i].key);
        named.values[named.named++] = d->entries[i].value;
    }
    return jinja_format(r, self, &named, ret);
}

static int refused(jrun *r, jval self, const jargs *args, jval *ret)
{
    return jinja_unsupported(r, "this method of str (casefold, encode, maketrans, translate)");
}

const jfunction *jinja_find_str_method(fh_str name)
{
    static const jfunction methods[] = {
        {"capitalize", capitalize},
        {"casefold", refused},
        {"count", count_of},
        {"encode", refused},
        {"endswith", endswith},
        {"find", find},
        {"format", jinja_format_method},
        {"format_map", format_map},
        {"index", index_of},
        {"join", join},
        {"lower", lower},
        {"lstrip", lstrip},
        {"maketrans", refused},
        {"partition", partition},
        {"removeprefix", removeprefix},
        {"removesuffix", removesuffix},
        {"replace", replace},
        {"rfind", rfind},
        {"rindex", rindex_of},
        {"rpartition", rpartition},
        {"rsplit", rsplit},
        {"rstrip", rstrip},
        {"split", split},
        {"splitlines", splitlines},
        {"startswith", startswith},
        {"strip", strip},
        {"swapcase", swapcase},
        {"title", title},
        {"translate", refused},
        {"upper", upper},
    };
    const jfunction *f = jinja_lookup(methods, FH_COUNT(methods), name);
    return f ? f : jinja_find_str_form(name);
}
