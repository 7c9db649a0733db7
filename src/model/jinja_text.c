/* Values as text: str(), repr(), and the numbers in text, as Python prints and reads them. Text is written behind what the run has made so
 * far (r->out), and either stays there as output or is cut off as a string. */
#include "jinja.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int jinja_out_check(jrun *r)
{
    if (fh_buf_ok(&r->out)) return 0;
    int rc = fh_buf_check(&r->out, r->err, "the text that the template makes");
    return rc == FH_E_NOMEM ? rc : fh_err_add(r->err, "chat template, line %u", r->line);
}

void jinja_drop(jrun *r, size_t mark)
{
    if (r->out.len <= mark) return;
    r->out.len = mark;
    r->out.data[mark] = '\0';
}

int jinja_cut(jrun *r, size_t mark, jval *ret)
{
    int rc = jinja_out_check(r);
    if (rc) return rc;
    size_t n = r->out.len - mark;
    char *s = jinja_alloc(r, n + 1);
    if (!s) return jinja_failed(r);
    if (n) memcpy(s, r->out.data + mark, n);
    jinja_drop(r, mark);
    *ret = jinja_str((fh_str){s, n});
    return jinja_steps(r, n);
}

/* ---- numbers ---- */

/* digits: d.ddd of the shortest text that reads back; returns the exponent. */
static int shortest(double v, char digits[24])
{
    char text[40] = "";
    for (int n = 1; n <= 17; n++) {
        snprintf(text, sizeof(text), "%.*e", n - 1, v);
        if (strtod(text, NULL) == v) break;
    }
    char *e = strchr(text, 'e');
    size_t n = 0;
    for (const char *p = text; p < e; p++)
        if (*p >= '0' && *p <= '9') digits[n++] = *p;
    digits[n] = '\0';
    return (int)strtol(e + 1, NULL, 10);
}

/* The point goes behind the digit number exp10 + 1. */
static void plain(const char *digits, int exp10, char *out)
{
    int n = (int)strlen(digits), last = FH_MAX(n - 1, exp10 + 1); /* at least one digit behind the point */
    for (int i = FH_MIN(exp10, 0); i <= last; i++) {
        if (i == FH_MAX(exp10, 0) + 1 && exp10 >= 0) *out++ = '.';
        *out++ = i >= 0 && i < n ? digits[i] : '0';
        if (i == exp10 && exp10 < 0) *out++ = '.';
    }
    *out = '\0';
}

void jinja_float_repr(double v, char out[40])
{
    char digits[24] = "";
    if (isnan(v) || isinf(v)) {
        snprintf(out, 40, "%s", isnan(v) ? "nan" : v < 0 ? "-inf" : "inf");
        return;
    }
    const char *sign = signbit(v) ? "-" : "";
    int exp10 = shortest(fabs(v), digits);
    if (exp10 >= -4 && exp10 < 16) {
        if (*sign) *out++ = '-';
        plain(digits, exp10, out);
        return;
    }
    snprintf(out, 40, "%s%c%s%se%c%02d", sign, digits[0], digits[1] ? "." : "", digits + 1, exp10 < 0 ? '-' : '+', abs(exp10));
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'z') return c - 'a' + 10;
    if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
    return 99;
}

static fh_str take_base(fh_str s, int64_t *base)
{
    if (s.len < 2 || s.ptr[0] != '0' || (*base != 0 && *base != 2 && *base != 8 && *base != 16)) {
        if (*base == 0) *base = 10;
        return s;
    }
    char c = (char)(s.ptr[1] | 32);
    int64_t named = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 0;
    if (*base == 0) *base = named ? named : 10;
    if (named != *base) return s;
    return (fh_str){s.ptr + 2, s.len - 2};
}

int jinja_parse_int(jrun *r, fh_str s, int64_t base, int64_t *ret, bool *ret_ok)
{
    s = jinja_strip(s, true, true);
    *ret_ok = false;
    bool minus = s.len && s.ptr[0] == '-';
    if (s.len && (s.ptr[0] == '-' || s.ptr[0] == '+')) s = (fh_str){s.ptr + 1, s.len - 1};
    s = take_base(s, &base);
    int64_t v = 0;
    bool after_digit = false;
    for (size_t i = 0; i < s.len; i++) {
        int d = digit_of(s.ptr[i]);
        if (s.ptr[i] == '_' && after_digit && i + 1 < s.len) {
            after_digit = false;
            continue;
        }
        if (d >= base) return 0;
        after_digit = true;
        if (__builtin_mul_overflow(v, base, &v) || __builtin_sub_overflow(v, d, &v))
            return jinja_unsupported(r, "an integer beyond 64 bits");
    }
    if (!after_digit) return 0;
    if (!minus && v == INT64_MIN) return jinja_unsupported(r, "an integer beyond 64 bits");
    *ret = minus ? v : -v;
    *ret_ok = true;
    return 0;
}

static bool is_word(fh_str s, const char *a, const char *b)
{
    return fh_str_ieq(s, fh_str_of(a)) || (b && fh_str_ieq(s, fh_str_of(b)));
}

bool jinja_parse_float(fh_str s, double *ret)
{
    char text[400];
    size_t n = 0;
    s = jinja_strip(s, true, true);
    bool minus = s.len && s.ptr[0] == '-', sign = minus || (s.len && s.ptr[0] == '+');
    fh_str bare = {s.ptr + sign, s.len - sign};
    if (is_word(bare, "inf", "infinity") || is_word(bare, "nan", NULL)) {
        *ret = is_word(bare, "nan", NULL) ? (double)NAN : minus ? -(double)INFINITY : (double)INFINITY;
        return true;
    }
    for (size_t i = 0; i < s.len; i++) {
        bool between = i && i + 1 < s.len && digit_of(s.ptr[i - 1]) < 10 && digit_of(s.ptr[i + 1]) < 10;
        if (s.ptr[i] == '_' && between) continue;
        if (!jinja_one_of(s.ptr[i], "0123456789+-.eE") || n + 1 == sizeof(text)) return false;
        text[n++] = s.ptr[i];
    }
    text[n] = '\0';
    char *end;
    *ret = strtod(text, &end);
    return n && *end == '\0';
}

/* ---- repr ---- */

static void write_escape(fh_buf *out, uint32_t cp)
{
    if (cp == '\n' || cp == '\r' || cp == '\t')
        fh_buf_adds(out, cp == '\n' ? "\\n" : cp == '\r' ? "\\r" : "\\t");
    else
        fh_buf_addf(out, cp < 0x100 ? "\\x%02x" : cp < 0x10000 ? "\\u%04x" : "\\U%08x", cp);
}

static void write_quoted(fh_buf *out, fh_str s)
{
    char quote = s.len && memchr(s.ptr, '\'', s.len) && !memchr(s.ptr, '"', s.len) ? '"' : '\'';
    size_t n;
    uint32_t cp;
    fh_buf_addc(out, quote);
    for (size_t i = 0; i < s.len && (n = fh_utf8_decode(s.ptr + i, s.len - i, &cp)); i += n) {
        if (cp == (uint32_t)quote || cp == '\\') fh_buf_addc(out, '\\');
        if (jinja_is_printable(cp))
            fh_buf_add(out, s.ptr + i, n);
        else
            write_escape(out, cp);
    }
    fh_buf_addc(out, quote);
}

static int write_items(jrun *r, const jlist *l)
{
    int rc = jinja_deeper(r);
    for (size_t i = 0; i < l->count && !rc; i++) {
        if (i) fh_buf_adds(&r->out, ", ");
        rc = jinja_write_repr(r, l->items[i]);
    }
    jinja_shallower(r);
    return rc;
}

static int write_entries(jrun *r, const jdict *d)
{
    int rc = jinja_deeper(r);
    for (size_t i = 0; i < d->count && !rc; i++) {
        if (i) fh_buf_adds(&r->out, ", ");
        rc = jinja_write_repr(r, d->entries[i].key);
        fh_buf_adds(&r->out, ": ");
        if (!rc) rc = jinja_write_repr(r, d->entries[i].value);
    }
    jinja_shallower(r);
    return rc;
}

static int write_bracketed(jrun *r, jval v)
{
    bool list = v.kind == J_LIST;
    fh_buf_addc(&r->out, list ? '[' : '(');
    int rc = write_items(r, v.u.list);
    fh_buf_adds(&r->out, list ? "]" : v.u.list->count == 1 ? ",)" : ")");
    return rc;
}

static int write_view(jrun *r, jval v)
{
    jiter it;
    jval item;
    bool first = true;
    fh_buf_addf(&r->out, "%s([", jinja_type(v));
    int rc = jinja_iter(r, v, &it);
    if (rc) return rc;
    while ((rc = it.next(r, &it, &item)) > 0) {
        if (!first) fh_buf_adds(&r->out, ", ");
        first = false;
        int failed = jinja_write_repr(r, item);
        if (failed) return failed;
    }
    fh_buf_adds(&r->out, "])");
    return rc;
}

static int write_braced(jrun *r, const jdict *d, const char *before, const char *after)
{
    fh_buf_adds(&r->out, before);
    int rc = write_entries(r, d);
    fh_buf_adds(&r->out, after);
    return rc;
}

static void write_range(fh_buf *out, const jrange *g)
{
    fh_buf_addf(out, "range(%lld, %lld", (long long)g->start, (long long)g->stop);
    if (g->step != 1) fh_buf_addf(out, ", %lld", (long long)g->step);
    fh_buf_addc(out, ')');
}

static int write_loop(jrun *r, jval v)
{
    int64_t length;
    int rc = jinja_length(r, v, &length);
    if (!rc) fh_buf_addf(&r->out, "<LoopContext %lld/%lld>", (long long)v.u.loop->index0 + 1, (long long)length);
    return rc;
}

static void write_macro(fh_buf *out, fh_str name)
{
    fh_buf_adds(out, "<Macro ");
    if (name.ptr)
        write_quoted(out, name);
    else
        fh_buf_adds(out, "anonymous");
    fh_buf_addc(out, '>');
}

/* The kinds that have no parts; false for the others. */
static bool write_plain(jrun *r, jval v)
{
    char number[40];
    switch ((jkind)v.kind) {
    case J_NONE: fh_buf_adds(&r->out, "None"); return true;
    case J_BOOL: fh_buf_adds(&r->out, v.u.b ? "True" : "False"); return true;
    case J_INT: fh_buf_addf(&r->out, "%lld", (long long)v.u.i); return true;
    case J_FLOAT:
        jinja_float_repr(v.u.f, number);
        fh_buf_adds(&r->out, number);
        return true;
    case J_RANGE: write_range(&r->out, v.u.range); return true;
    case J_MACRO: write_macro(&r->out, v.u.macro->body->name); return true;
    case J_MISSING:
    case J_UNDEF:
    case J_STR:
    case J_LIST:
    case J_TUPLE:
    case J_DICT:
    case J_VIEW:
    case J_ITER:
    case J_NAMESPACE:
    case J_LOOP:
    case J_METHOD:
    case J_FUNCTION:
    case J_CYCLER:
    case J_JOINER:
    case J_SLICE: break;
    }
    return false;
}

static int write_text(jrun *r, jval v)
{
    int rc = jinja_steps(r, v.len);
    if (rc) return rc;
    if (v.flags & J_MARKUP) fh_buf_adds(&r->out, "Markup(");
    write_quoted(&r->out, jinja_text_of(v));
    if (v.flags & J_MARKUP) fh_buf_addc(&r->out, ')');
    return jinja_out_check(r);
}

int jinja_write_repr(jrun *r, jval v)
{
    int rc = jinja_steps(r, 0);
    if (rc || write_plain(r, v)) return rc ? rc : jinja_out_check(r);
    if (v.kind == J_STR) return write_text(r, v);
    if (v.kind == J_LIST || v.kind == J_TUPLE) return write_bracketed(r, v);
    if (v.kind == J_DICT) return write_braced(r, v.u.dict, "{", "}");
    if (v.kind == J_NAMESPACE) return write_braced(r, v.u.dict, "<Namespace {", "}>");
    if (v.kind == J_VIEW) return write_view(r, v);
    if (v.kind == J_LOOP) return write_loop(r, v);
    if (v.kind == J_UNDEF) {
        fh_buf_adds(&r->out, "Undefined");
        return 0;
    }
    return jinja_fail(r, FH_E_UNSUPPORTED, "printing a %s is not supported (its text in Python is an address in memory)", jinja_type(v));
}

int jinja_write(jrun *r, jval v)
{
    if (v.kind == J_UNDEF) return 0;
    if (v.kind != J_STR) return jinja_write_repr(r, v);
    fh_buf_add(&r->out, v.u.s, v.len);
    int rc = jinja_steps(r, v.len);
    return rc ? rc : jinja_out_check(r);
}

int jinja_to_str(jrun *r, jval v, jval *ret)
{
    if (v.kind == J_STR) {
        v.flags = 0;
        *ret = v;
        return 0;
    }
    size_t mark = jinja_mark(r);
    int rc = jinja_write(r, v);
    return rc ? rc : jinja_cut(r, mark, ret);
}

int jinja_soft_str(jrun *r, jval v, jval *ret)
{
    if (v.kind != J_STR) return jinja_to_str(r, v, ret);
    *ret = v;
    return 0;
}

/* ---- markup ---- */

void jinja_write_escaped(jrun *r, fh_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        switch (s.ptr[i]) {
        case '&': fh_buf_adds(&r->out, "&amp;"); break;
        case '<': fh_buf_adds(&r->out, "&lt;"); break;
        case '>': fh_buf_adds(&r->out, "&gt;"); break;
        case '\'': fh_buf_adds(&r->out, "&#39;"); break;
        case '"': fh_buf_adds(&r->out, "&#34;"); break;
        default: fh_buf_addc(&r->out, s.ptr[i]); break;
        }
    }
}

int jinja_escape(jrun *r, jval v, jval *ret)
{
    int rc = jinja_soft_str(r, v, &v);
    if (rc) return rc;
    if (!(v.flags & J_MARKUP)) {
        size_t mark = jinja_mark(r);
        jinja_write_escaped(r, jinja_text_of(v));
        rc = jinja_cut(r, mark, &v);
        if (rc) return rc;
    }
    v.flags |= J_MARKUP;
    *ret = v;
    return 0;
}
