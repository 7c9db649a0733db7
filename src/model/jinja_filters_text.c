/* Filters that make text. Like jinja2's, most take any value and begin with str() of it. */
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

/* The value as text; more: names of further arguments. */
static int text_and(jrun *r, const char *filter, const jargs *args, const char *const *names, size_t count, jval *ret)
{
    int rc = jinja_args(r, filter, args, names, count, 1, ret);
    return rc ? rc : jinja_soft_str(r, ret[0], &ret[0]);
}

static int method(jrun *r, jval self, const char *name, const jval *arg, jval *ret)
{
    const jfunction *f = jinja_find_str_method(fh_str_of(name));
    jval copy = arg ? *arg : self;
    return f->call(r, self, &(jargs){.pos = &copy, .count = arg != NULL}, ret);
}

#define BY_METHOD(fn, name)                                                                                                                \
    static int fn(jrun *r, jval self, const jargs *args, jval *ret)                                                                        \
    {                                                                                                                                      \
        jval v;                                                                                                                            \
        int rc = text_and(r, name, args, NAMES("s"), 1, &v);                                                                               \
        return rc ? rc : method(r, v, name, NULL, ret);                                                                                    \
    }
BY_METHOD(do_upper, "upper")
BY_METHOD(do_lower, "lower")
BY_METHOD(do_capitalize, "capitalize")

static int do_string(jrun *r, jval self, const jargs *args, jval *ret)
{
    return text_and(r, "string", args, NAMES("value"), 1, ret);
}

static int do_safe(jrun *r, jval self, const jargs *args, jval *ret)
{
    int rc = text_and(r, "safe", args, NAMES("value"), 1, ret);
    if (!rc) ret->flags |= J_MARKUP;
    return rc;
}

static int do_escape(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v;
    int rc = jinja_args(r, "escape", args, NAMES("s"), 1, 1, &v);
    return rc ? rc : jinja_escape(r, v, ret);
}

static int do_forceescape(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v;
    int rc = text_and(r, "forceescape", args, NAMES("value"), 1, &v);
    v.flags = 0;
    return rc ? rc : jinja_escape(r, v, ret);
}

static int do_trim(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v[2];
    int rc = text_and(r, "trim", args, NAMES("value", "chars"), 2, v);
    return rc ? rc : method(r, v[0], "strip", given(v[1]) ? &v[1] : NULL, ret);
}

static int do_center(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v[2], width = jinja_int(80);
    int rc = text_and(r, "center", args, NAMES("value", "width"), 2, v);
    if (given(v[1])) width = v[1];
    return rc ? rc : method(r, v[0], "center", &width, ret);
}

static int do_replace(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v[4];
    int rc = jinja_args(r, "replace", args, NAMES("s", "old", "new", "count"), 4, 3, v);
    for (size_t i = 0; i < 3 && !rc; i++) rc = jinja_to_str(r, v[i], &v[i]);
    const jfunction *f = jinja_find_str_method(FH_STR("replace"));
    return rc ? rc : f->call(r, v[0], &(jargs){.pos = v + 1, .count = given(v[3]) ? 3 : 2}, ret);
}

static int do_format(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v, values;
    if (args->count > 1 && args->named)
        return jinja_fail(r, FH_E_INVALID, "can't handle positional and keyword arguments at the same time");
    int rc = jinja_soft_str(r, self, &v);
    if (!rc && !args->named) rc = jinja_list(r, J_TUPLE, args->pos + 1, args->count - 1, &values);
    if (!rc && args->named) rc = jinja_dict(r, args->named, &values);
    for (size_t i = 0; i < args->named && !rc; i++) rc = jinja_dict_put(r, values.u.dict, jinja_str(args->names[i]), args->values[i]);
    return rc ? rc : jinja_percent(r, v, values, ret);
}

/* A word begins the text, and behind blanks, hyphens and opening brackets. */
static bool begins_word(uint32_t cp)
{
    return cp == '-' || cp == '(' || cp == '{' || cp == '[' || cp == '<' || jinja_is_space(cp);
}

static int add_word(jrun *r, jval s, size_t from, size_t to)
{
    jval part;
    size_t n = 1;
    if (from == to) return 0;
    while (from + n < to && ((uint8_t)s.u.s[from + n] & 0xc0) == 0x80) n++;
    int rc = jinja_recase(r, jinja_str((fh_str){s.u.s + from, n}), CASE_UPPER, &part);
    if (!rc) rc = jinja_write(r, part);
    if (!rc) rc = jinja_recase(r, jinja_str((fh_str){s.u.s + from + n, to - from - n}), CASE_LOWER, &part);
    return rc ? rc : jinja_write(r, part);
}

static int do_title(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval s;
    size_t mark = jinja_mark(r), from = 0, n;
    uint32_t cp;
    int rc = text_and(r, "title", args, NAMES("s"), 1, &s);
    for (size_t i = 0; !rc && i < s.len; i += n) {
        n = fh_utf8_decode(s.u.s + i, s.len - i, &cp);
        if (!n) n = 1;
        if (!begins_word(cp)) continue;
        rc = add_word(r, s, from, i);
        fh_buf_add(&r->out, s.u.s + i, n);
        from = i + n;
    }
    if (!rc) rc = add_word(r, s, from, s.len);
    return rc ? rc : jinja_cut(r, mark, ret);
}

static int do_wordcount(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval s;
    int64_t words = 0;
    bool inside = false;
    uint32_t cp;
    int rc = text_and(r, "wordcount", args, NAMES("s"), 1, &s);
    if (!rc) rc = jinja_steps(r, (size_t)s.len * 2);
    for (size_t i = 0, n; !rc && i < s.len && (n = fh_utf8_decode(s.u.s + i, s.len - i, &cp)); i += n) {
        bool part = cp == '_' || jinja_is_alpha(cp) || jinja_is_numeric(cp);
        words += part && !inside;
        inside = part;
    }
    *ret = jinja_int(words);
    return rc;
}

static int indent_text(jrun *r, jval width, fh_str *ret)
{
    int64_t n = 4;
    if (width.kind == J_STR) return jinja_arg_str(r, width, ret);
    int rc = width.kind == J_MISSING ? 0 : jinja_arg_int(r, width, &n);
    if (rc) return rc;
    if (n > 100000) return jinja_fail(r, FH_E_TOO_LARGE, "indent by more than 100000 blanks");
    char *blanks = jinja_alloc(r, (size_t)FH_MAX(n, 1));
    if (!blanks) return jinja_failed(r);
    memset(blanks, ' ', (size_t)FH_MAX(n, 1));
    *ret = (fh_str){blanks, (size_t)FH_MAX(n, 0)};
    return 0;
}

static int indent_lines(jrun *r, fh_str s, fh_str indent, bool first, bool blank)
{
    size_t at = 0;
    fh_str line;
    int rc = 0;
    for (bool begun = false; !rc && jinja_next_line(s, &at, &line, NULL); begun = true) {
        if (begun) fh_buf_addc(&r->out, '\n');
        if (begun ? line.len || blank : first) fh_buf_add(&r->out, indent.ptr, indent.len);
        fh_buf_add(&r->out, line.ptr, line.len);
        rc = jinja_steps(r, line.len + indent.len);
        if (!rc) rc = jinja_out_check(r);
    }
    return rc;
}

static int do_indent(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v[4];
    fh_str indent, s;
    int rc = jinja_args(r, "indent", args, NAMES("s", "width", "first", "blank"), 4, 1, v);
    if (!rc && self.kind == J_UNDEF) rc = jinja_undef_fail(r, self);
    if (!rc) rc = jinja_arg_str(r, self, &s);
    if (!rc) rc = indent_text(r, v[1], &indent);
    if (rc) return rc;
    jval whole;
    size_t mark = jinja_mark(r);
    fh_buf_add(&r->out, s.ptr, s.len);
    fh_buf_addc(&r->out, '\n'); /* so that an empty last line counts */
    rc = jinja_cut(r, mark, &whole);
    if (!rc) rc = indent_lines(r, jinja_text_of(whole), indent, jinja_truth(v[2]), jinja_truth(v[3]));
    if (!rc) rc = jinja_cut(r, mark, ret);
    if (!rc) ret->flags = self.flags;
    return rc;
}

static size_t last_blank(fh_str s)
{
    while (s.len && s.ptr[s.len - 1] != ' ') s.len--;
    return s.len;
}

static int do_truncate(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v[5];
    int64_t length = 255, leeway = 5;
    fh_str end = FH_STR("..."), s;
    int64_t count = 0;
    int rc = jinja_args(r, "truncate", args, NAMES("s", "length", "killwords", "end", "leeway"), 5, 1, v);
    if (!rc) rc = jinja_length(r, self, &count);
    if (!rc && v[1].kind != J_MISSING) rc = jinja_arg_int(r, v[1], &length);
    if (!rc && v[3].kind != J_MISSING) rc = jinja_arg_str(r, v[3], &end);
    if (!rc && given(v[4])) rc = jinja_arg_int(r, v[4], &leeway);
    if (rc) return rc;
    int64_t tail = (int64_t)jinja_chars(end);
    if (length < tail || leeway < 0)
        return jinja_fail(r, FH_E_INVALID, "truncate wants a length of at least that of its end, and no negative leeway");
    *ret = self;
    if (count <= length + FH_MIN(leeway, INT64_MAX - length)) return 0; /* what is no text may be short too */
    rc = jinja_arg_str(r, self, &s);
    if (rc) return rc;
    s.len = jinja_offset(s, (size_t)(length - tail));
    size_t blank = last_blank(s);
    if (!jinja_truth(v[2]) && blank) s.len = blank - 1;
    size_t mark = jinja_mark(r);
    fh_buf_add(&r->out, s.ptr, s.len);
    fh_buf_add(&r->out, end.ptr, end.len);
    return jinja_cut(r, mark, ret);
}

static int write_url_text(jrun *r, jval v, bool query)
{
    jval s;
    int rc = jinja_to_str(r, v, &s);
    for (size_t i = 0; !rc && i < s.len; i++) {
        char c = s.u.s[i];
        bool plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || jinja_one_of(c, "_.-~") || (c == '/' && !query);
        if (plain)
            fh_buf_addc(&r->out, c);
        else if (query && c == ' ')
            fh_buf_addc(&r->out, '+');
        else
            fh_buf_addf(&r->out, "%%%02X", (uint8_t)c);
    }
    return rc ? rc : jinja_out_check(r);
}

static int do_urlencode(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval pairs = self, item;
    jiter it;
    size_t mark = jinja_mark(r);
    int rc = jinja_args(r, "urlencode", args, NAMES("value"), 1, 1, &item);
    if (rc) return rc;
    if (self.kind == J_STR || !jinja_is_iterable(self)) {
        rc = write_url_text(r, self, false);
        return rc ? rc : jinja_cut(r, mark, ret);
    }
    if (self.kind == J_DICT) rc = jinja_find_other_method(self, FH_STR("items"))->call(r, self, &(jargs){0}, &pairs);
    if (!rc) rc = jinja_iter(r, pairs, &it);
    if (rc) return rc;
    for (bool first = true; (rc = it.next(r, &it, &item)) > 0; first = false) {
        jbuilder pair = {0};
        int failed = jinja_collect(r, item, &pair);
        if (!failed && pair.count != 2) failed = jinja_fail(r, FH_E_INVALID, "urlencode wants pairs");
        if (!first) fh_buf_addc(&r->out, '&');
        if (!failed) failed = write_url_text(r, pair.items[0], true);
        fh_buf_addc(&r->out, '=');
        if (!failed) failed = write_url_text(r, pair.items[1], true);
        if (failed) return failed;
    }
    return rc ? rc : jinja_cut(r, mark, ret);
}

const jfunction *jinja_find_text_filter(fh_str name)
{
    static const jfunction filters[] = {
        {"capitalize", do_capitalize},
        {"center", do_center},
        {"e", do_escape},
        {"escape", do_escape},
        {"forceescape", do_forceescape},
        {"format", do_format},
        {"indent", do_indent},
        {"lower", do_lower},
        {"replace", do_replace},
        {"safe", do_safe},
        {"string", do_string},
        {"title", do_title},
        {"trim", do_trim},
        {"truncate", do_truncate},
        {"upper", do_upper},
        {"urlencode", do_urlencode},
        {"wordcount", do_wordcount},
    };
    return jinja_lookup(filters, FH_COUNT(filters), name);
}
