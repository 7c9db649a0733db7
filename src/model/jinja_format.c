/* The three ways of Python to put values into text: "..." % values, "...".format(values), and the little language behind the colon of the
 * latter. */
#include "jinja.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { PLACES_MAX = 1000 }; /* digits behind the point, and the widest field */

typedef struct spec {
    fh_str fill;
    char align, sign, type, group;
    bool alternate, zero;
    int64_t width, precision; /* -1: not given */
} spec;

/* ---- fields ---- */

static void fill_with(jrun *r, fh_str fill, int64_t count)
{
    for (int64_t i = 0; i < count && fh_buf_ok(&r->out); i++) fh_buf_add(&r->out, fill.ptr, fill.len);
}

/* Pads what was written since mark; prefix bytes (a sign, "0x") stay in front when zeros are put between. */
static int pad_field(jrun *r, size_t mark, const spec *s, char otherwise, size_t prefix)
{
    fh_str text = {r->out.data ? r->out.data + mark : "", r->out.len - mark};
    int64_t missing = s->width - (int64_t)jinja_chars(text);
    if (missing <= 0 || !fh_buf_ok(&r->out)) return jinja_out_check(r);
    int rc = jinja_steps(r, (size_t)missing);
    char *copy = rc ? NULL : fh_arena_strndup(r->arena, text.ptr, text.len);
    if (!copy) return rc ? rc : jinja_nomem(r->err);
    char align = s->align ? s->align : otherwise;
    int64_t left = align == '<' ? 0 : align == '^' ? missing / 2 : missing;
    jinja_drop(r, mark);
    if (align == '=') fh_buf_add(&r->out, copy, prefix);
    fill_with(r, s->fill, left);
    fh_buf_add(&r->out, copy + (align == '=' ? prefix : 0), text.len - (align == '=' ? prefix : 0));
    fill_with(r, s->fill, missing - left);
    return jinja_out_check(r);
}

/* Digits with a separator every three (or four) places, filled with zeros up to width when asked. */
static void write_grouped(jrun *r, const char *digits, size_t count, char group, int every)
{
    for (size_t i = 0; i < count; i++) {
        if (group && i && (count - i) % (size_t)every == 0) fh_buf_addc(&r->out, group);
        fh_buf_addc(&r->out, digits[i]);
    }
}

static size_t write_sign(jrun *r, bool minus, char sign)
{
    char c = minus ? '-' : sign;
    if (c == '-' && !minus) c = 0;
    if (c) fh_buf_addc(&r->out, c);
    return c != 0;
}

static size_t digits_in(uint64_t v, unsigned base, bool upper, char out[72])
{
    char back[72];
    size_t n = 0;
    do back[n++] = (upper ? "0123456789ABCDEF" : "0123456789abcdef")[v % base];
    while ((v /= base) > 0);
    for (size_t i = 0; i < n; i++) out[i] = back[n - 1 - i];
    return n;
}

static int write_int(jrun *r, int64_t v, const spec *s)
{
    char digits[72];
    size_t mark = jinja_mark(r);
    unsigned base = s->type == 'x' || s->type == 'X' ? 16 : s->type == 'o' ? 8 : s->type == 'b' ? 2 : 10;
    size_t n = digits_in(v < 0 ? 0 - (uint64_t)v : (uint64_t)v, base, s->type == 'X', digits);
    size_t prefix = write_sign(r, v < 0, s->sign);
    if (s->alternate && base != 10) {
        fh_buf_addc(&r->out, '0');
        fh_buf_addc(&r->out, s->type);
        prefix += 2;
    }
    int64_t room = s->width - (int64_t)prefix;
    bool zeros = s->zero && !s->align;
    int every = base == 10 ? 3 : 4;
    if (zeros && room > (int64_t)n && room < PLACES_MAX) {
        char wide[PLACES_MAX + 72];
        int64_t count = s->group ? (room * every + every) / (every + 1) : room; /* separators take places too */
        if (count < (int64_t)n) count = (int64_t)n;
        memset(wide, '0', (size_t)count);
        memcpy(wide + count - (int64_t)n, digits, n);
        write_grouped(r, wide, (size_t)count, s->group, every);
        return jinja_out_check(r);
    }
    write_grouped(r, digits, n, s->group, every);
    return pad_field(r, mark, s, '>', prefix);
}

static void print_float(char *out, size_t size, char type, bool alternate, int precision, double v)
{
    switch (type) {
    case 'e': snprintf(out, size, alternate ? "%#.*e" : "%.*e", precision, v); break;
    case 'E': snprintf(out, size, alternate ? "%#.*E" : "%.*E", precision, v); break;
    case 'f': snprintf(out, size, alternate ? "%#.*f" : "%.*f", precision, v); break;
    case 'F': snprintf(out, size, alternate ? "%#.*F" : "%.*F", precision, v); break;
    case 'G': snprintf(out, size, alternate ? "%#.*G" : "%.*G", precision, v); break;
    default: snprintf(out, size, alternate ? "%#.*g" : "%.*g", precision, v); break;
    }
}

/* What Python writes for a float of a type letter, without its sign. */
static void float_text(double v, const spec *s, char *out, size_t size)
{
    char type = s->type == 'n' || !s->type ? 'g' : s->type == '%' ? 'f' : s->type;
    int precision = s->precision >= 0 ? (int)s->precision : 6;
    if (!s->type && s->precision < 0 && isfinite(v)) {
        jinja_float_repr(v, out);
        return;
    }
    if (s->type == '%') v *= 100;
    if (!s->type) precision = FH_MAX(precision, 1);
    print_float(out, size, type, s->alternate, precision, v);
    if (!s->type && isfinite(v) && !strpbrk(out, ".e")) strncat(out, ".0", size - strlen(out) - 1);
    if (s->type == '%') strncat(out, "%", size - strlen(out) - 1);
}

static int write_float(jrun *r, double v, const spec *s)
{
    char text[PLACES_MAX + 400];
    size_t mark = jinja_mark(r);
    bool minus = signbit(v) && !isnan(v);
    float_text(fabs(v), s, text, sizeof(text));
    size_t prefix = write_sign(r, minus, s->sign), n = strspn(text, "0123456789");
    if (s->zero && !s->align && !s->group && s->width > (int64_t)(prefix + strlen(text)))
        fill_with(r, FH_STR("0"), s->width - (int64_t)(prefix + strlen(text)));
    if (s->zero && !s->align && s->group) return jinja_unsupported(r, "a format with both zeros and separators for a float");
    write_grouped(r, text, n, s->group, 3);
    fh_buf_adds(&r->out, text + n);
    return pad_field(r, mark, s, '>', prefix);
}

static int write_string(jrun *r, fh_str text, const spec *s, bool escape)
{
    size_t mark = jinja_mark(r);
    if (s->precision >= 0) text.len = jinja_offset(text, (size_t)s->precision);
    if (escape)
        jinja_write_escaped(r, text);
    else
        fh_buf_add(&r->out, text.ptr, text.len);
    int rc = jinja_steps(r, text.len);
    return rc ? rc : pad_field(r, mark, s, '<', 0);
}

/* ---- the little language ---- */

static size_t one_char(fh_str s)
{
    uint32_t cp;
    size_t n = s.len ? fh_utf8_decode(s.ptr, s.len, &cp) : 0;
    return n ? n : s.len > 0;
}

static fh_str after(fh_str s, size_t n)
{
    return (fh_str){s.ptr + n, s.len - n};
}

static int parse_number(jrun *r, fh_str *s, int64_t *ret)
{
    int64_t v = 0;
    if (!s->len || s->ptr[0] < '0' || s->ptr[0] > '9') return 0;
    for (; s->len && s->ptr[0] >= '0' && s->ptr[0] <= '9'; *s = after(*s, 1)) {
        v = v * 10 + (s->ptr[0] - '0');
        if (v > FH_LIMIT_TEMPLATE_OUTPUT_BYTES) return jinja_fail(r, FH_E_TOO_LARGE, "a format asks for too wide a field");
    }
    *ret = v;
    return 0;
}

static int parse_spec(jrun *r, fh_str s, spec *ret)
{
    *ret = (spec){.fill = FH_STR(" "), .width = -1, .precision = -1};
    size_t n = one_char(s);
    if (n && s.len > n && jinja_one_of(s.ptr[n], "<>=^")) {
        ret->fill = (fh_str){s.ptr, n};
        ret->align = s.ptr[n];
        s = after(s, n + 1);
    } else if (s.len && jinja_one_of(s.ptr[0], "<>=^")) {
        ret->align = s.ptr[0];
        s = after(s, 1);
    }
    if (s.len && jinja_one_of(s.ptr[0], "+- ")) ret->sign = s.ptr[0], s = after(s, 1);
    if (s.len && s.ptr[0] == '#') ret->alternate = true, s = after(s, 1);
    if (s.len && s.ptr[0] == '0') {
        ret->zero = true;
        if (ret->align) ret->zero = false;
        s = after(s, 1);
    }
    int rc = parse_number(r, &s, &ret->width);
    if (!rc && s.len && (s.ptr[0] == ',' || s.ptr[0] == '_')) ret->group = s.ptr[0], s = after(s, 1);
    if (!rc && s.len && s.ptr[0] == '.') {
        s = after(s, 1);
        rc = parse_number(r, &s, &ret->precision);
        if (!rc && ret->precision < 0) rc = jinja_fail(r, FH_E_INVALID, "Format specifier missing precision");
    }
    if (!rc && s.len) ret->type = s.ptr[0], s = after(s, 1);
    return rc || !s.len ? rc : jinja_fail(r, FH_E_INVALID, "Invalid format specifier");
}

static int bad_code(jrun *r, char type, jval v)
{
    return jinja_fail(r, FH_E_INVALID, "Unknown format code '%c' for object of type '%s'", type, jinja_type(v));
}

static int format_number(jrun *r, jval v, const spec *s)
{
    if (v.kind != J_FLOAT && (!s->type || jinja_one_of(s->type, "dxXobn"))) {
        if (s->precision >= 0) return jinja_fail(r, FH_E_INVALID, "Precision not allowed in integer format specifier");
        return write_int(r, jinja_as_int(v), s);
    }
    if (v.kind != J_FLOAT && s->type == 'c') return jinja_unsupported(r, "the format code 'c'");
    if (s->type && !jinja_one_of(s->type, "eEfFgGn%")) return bad_code(r, s->type, v);
    if (s->precision > PLACES_MAX) return jinja_fail(r, FH_E_TOO_LARGE, "a format asks for more than %d digits", PLACES_MAX);
    return write_float(r, jinja_as_float(v), s);
}

static int format_string(jrun *r, jval v, spec s)
{
    if (s.type && s.type != 's') return bad_code(r, s.type, v);
    if (s.align == '=') return jinja_fail(r, FH_E_INVALID, "'=' alignment not allowed in string format specifier");
    if (s.sign || s.alternate || s.group) return jinja_fail(r, FH_E_INVALID, "Invalid format specifier for a string");
    if (s.zero) s.fill = FH_STR("0");
    return write_string(r, jinja_text_of(v), &s, false);
}

int jinja_format_value(jrun *r, jval v, fh_str text)
{
    spec s;
    if (!text.len) return jinja_write(r, v);
    int rc = parse_spec(r, text, &s);
    if (rc) return rc;
    if (v.kind == J_STR) return format_string(r, v, s);
    if (v.kind == J_BOOL && (!s.type || s.type == 's')) return s.type ? bad_code(r, 's', v) : write_int(r, v.u.b, &s);
    if (jinja_is_number(v)) return format_number(r, v, &s);
    return jinja_fail(r, FH_E_INVALID, "unsupported format string passed to %s.__format__", jinja_type(v));
}

/* ---- str.format ---- */

typedef struct formatter {
    jrun *r;
    const jargs *args;
    bool markup;
    int64_t next; /* automatic numbering; -1 once a number was written */
} formatter;

static int argument(formatter *f, fh_str name, jval *ret)
{
    uint64_t at;
    if (!name.len) {
        if (f->next < 0)
            return jinja_fail(f->r, FH_E_INVALID, "cannot switch from manual field specification to automatic field numbering");
        at = (uint64_t)f->next++;
    } else if (fh_str_u64(name, 1000000, &at)) {
        if (f->next > 0)
            return jinja_fail(f->r, FH_E_INVALID, "cannot switch from automatic field numbering to manual field specification");
        f->next = -1;
    } else {
        for (size_t i = 0; i < f->args->named; i++) {
            if (!fh_str_eq(f->args->names[i], name)) continue;
            *ret = f->args->values[i];
            return 0;
        }
        return jinja_fail(f->r, FH_E_INVALID, "no argument named '%.*s' for format", (int)FH_MIN(name.len, (size_t)60), name.ptr);
    }
    if (at >= f->args->count)
        return jinja_fail(f->r, FH_E_INVALID, "Replacement index %llu out of range for positional args tuple", (unsigned long long)at);
    *ret = f->args->pos[at];
    return 0;
}

/* name, then .attribute and [item] parts. */
static int field_value(formatter *f, fh_str field, jval *ret)
{
    size_t n = 0;
    uint64_t index;
    while (n < field.len && field.ptr[n] != '.' && field.ptr[n] != '[') n++;
    int rc = argument(f, (fh_str){field.ptr, n}, ret);
    for (field = after(field, n); field.len && !rc; field = after(field, n)) {
        bool dot = field.ptr[0] == '.';
        n = 1;
        while (n < field.len && (dot ? field.ptr[n] != '.' && field.ptr[n] != '[' : field.ptr[n] != ']')) n++;
        fh_str part = {field.ptr + 1, n - 1};
        if (!part.len || (!dot && n == field.len)) return jinja_fail(f->r, FH_E_INVALID, "Empty attribute in format string");
        if (dot)
            rc = jinja_attr(f->r, *ret, part, ret);
        else
            rc = jinja_item(f->r, *ret, fh_str_u64(part, INT64_MAX, &index) ? jinja_int((int64_t)index) : jinja_str(part), ret);
        if (!dot) n++;
        if (!rc && !dot && n < field.len && field.ptr[n] != '.' && field.ptr[n] != '[')
            return jinja_fail(f->r, FH_E_INVALID, "Only '.' or '[' may follow ']' in format field specifier");
    }
    return rc;
}

static int convert(formatter *f, char how, jval *v)
{
    size_t mark = jinja_mark(f->r);
    if (how == 's') return jinja_to_str(f->r, *v, v);
    if (how != 'r' && how != 'a') return jinja_fail(f->r, FH_E_INVALID, "Unknown conversion specifier '%c'", how);
    if (how == 'a') return jinja_unsupported(f->r, "the conversion !a");
    int rc = jinja_write_repr(f->r, *v);
    return rc ? rc : jinja_cut(f->r, mark, v);
}

static int write_formatted(formatter *f, jval v, fh_str spec_text)
{
    if (!f->markup) return jinja_format_value(f->r, v, spec_text);
    jval text = {0};
    size_t mark = jinja_mark(f->r);
    if (v.kind == J_STR && (v.flags & J_MARKUP) && !spec_text.len) return jinja_write(f->r, v);
    int rc = jinja_format_value(f->r, v, spec_text);
    if (!rc) rc = jinja_cut(f->r, mark, &text);
    if (!rc) jinja_write_escaped(f->r, jinja_text_of(text));
    return rc;
}

static int run_format(formatter *f, fh_str s, int depth);

/* The text behind the colon may hold fields itself. */
static int nested_spec(formatter *f, fh_str s, fh_str *ret)
{
    jval text = {0};
    *ret = s;
    if (!s.len || !memchr(s.ptr, '{', s.len)) return 0;
    size_t mark = jinja_mark(f->r);
    int rc = run_format(f, s, 1);
    if (!rc) rc = jinja_cut(f->r, mark, &text);
    if (!rc) *ret = jinja_text_of(text);
    return rc;
}

static int run_field(formatter *f, fh_str field)
{
    jval v;
    size_t n = 0;
    bool brackets = false;
    while (n < field.len && (brackets || (field.ptr[n] != '!' && field.ptr[n] != ':'))) {
        if (field.ptr[n] == '[') brackets = true;
        if (field.ptr[n] == ']') brackets = false;
        n++;
    }
    int rc = field_value(f, (fh_str){field.ptr, n}, &v);
    if (rc) return rc;
    field = after(field, n);
    if (field.len && field.ptr[0] == '!') {
        if (field.len < 2 || (field.len > 2 && field.ptr[2] != ':'))
            return jinja_fail(f->r, FH_E_INVALID, "expected ':' after conversion specifier");
        rc = convert(f, field.ptr[1], &v);
        field = after(field, 2);
    }
    fh_str text = {"", 0};
    if (!rc && field.len) rc = nested_spec(f, after(field, 1), &text);
    return rc ? rc : write_formatted(f, v, text);
}

/* Where the field that begins at from ends; SIZE_MAX when it does not. */
static size_t field_end(fh_str s, size_t from)
{
    size_t open = 1;
    for (size_t i = from; i < s.len; i++) {
        open += s.ptr[i] == '{';
        open -= s.ptr[i] == '}';
        if (!open) return i;
    }
    return SIZE_MAX;
}

static int run_format(formatter *f, fh_str s, int depth)
{
    int rc = depth > 1 ? jinja_fail(f->r, FH_E_INVALID, "Max string recursion exceeded") : jinja_steps(f->r, s.len);
    for (size_t i = 0; i < s.len && !rc; i++) {
        char c = s.ptr[i];
        if ((c == '{' || c == '}') && i + 1 < s.len && s.ptr[i + 1] == c) {
            fh_buf_addc(&f->r->out, c);
            i++;
        } else if (c == '{') {
            size_t end = field_end(s, i + 1);
            if (end == SIZE_MAX) return jinja_fail(f->r, FH_E_INVALID, "expected '}' before end of string");
            rc = jinja_steps(f->r, 0);
            if (!rc) rc = run_field(f, (fh_str){s.ptr + i + 1, end - i - 1});
            i = end;
        } else if (c == '}') {
            return jinja_fail(f->r, FH_E_INVALID, "Single '}' encountered in format string");
        } else {
            fh_buf_addc(&f->r->out, c);
        }
    }
    return rc ? rc : jinja_out_check(f->r);
}

int jinja_format(jrun *r, jval format, const jargs *args, jval *ret)
{
    formatter f = {.r = r, .args = args, .markup = format.flags & J_MARKUP};
    size_t mark = jinja_mark(r);
    int rc = run_format(&f, jinja_text_of(format), 0);
    if (!rc) rc = jinja_cut(r, mark, ret);
    if (!rc) ret->flags = format.flags;
    return rc;
}

int jinja_format_method(jrun *r, jval self, const jargs *args, jval *ret)
{
    return jinja_format(r, self, args, ret);
}

/* ---- % ---- */

typedef struct percent {
    jrun *r;
    jval values; /* J_TUPLE, J_DICT, or one value */
    size_t at;
    bool used, markup;
} percent;

static int next_value(percent *p, jval *ret)
{
    bool tuple = p->values.kind == J_TUPLE;
    if (tuple ? p->at >= p->values.u.list->count : p->used) return jinja_fail(p->r, FH_E_INVALID, "not enough arguments for format string");
    *ret = tuple ? p->values.u.list->items[p->at++] : p->values;
    p->used = true;
    return 0;
}

static int named_value(percent *p, fh_str *s, jval *ret)
{
    const char *close = memchr(s->ptr, ')', s->len);
    if (!close) return jinja_fail(p->r, FH_E_INVALID, "incomplete format key");
    if (p->values.kind != J_DICT) return jinja_fail(p->r, FH_E_INVALID, "format requires a mapping");
    fh_str key = {s->ptr + 1, (size_t)(close - s->ptr) - 1};
    const jval *found = NULL;
    int rc = jinja_dict_find(p->r, p->values.u.dict, jinja_str(key), &found);
    if (!rc && !found) rc = jinja_fail(p->r, FH_E_INVALID, "key '%.*s' is missing", (int)FH_MIN(key.len, (size_t)60), key.ptr);
    if (!rc) *ret = *found;
    *s = after(*s, key.len + 2);
    p->used = true;
    return rc;
}

static int star_or_number(percent *p, fh_str *s, int64_t *ret)
{
    jval v;
    if (!s->len || s->ptr[0] != '*') return parse_number(p->r, s, ret);
    int rc = next_value(p, &v);
    if (!rc) rc = jinja_arg_int(p->r, v, ret);
    if (!rc && (*ret > PLACES_MAX || *ret < -PLACES_MAX)) rc = jinja_fail(p->r, FH_E_TOO_LARGE, "a format asks for too wide a field");
    *s = after(*s, 1);
    return rc;
}

static int percent_spec(percent *p, fh_str *s, spec *ret)
{
    *ret = (spec){.fill = FH_STR(" "), .width = -1, .precision = -1};
    for (; s->len && jinja_one_of(s->ptr[0], "-+ #0"); *s = after(*s, 1)) {
        char c = s->ptr[0];
        if (c == '-')
            ret->align = '<';
        else if (c == '#')
            ret->alternate = true;
        else if (c == '0')
            ret->zero = true;
        else if (ret->sign != '+')
            ret->sign = c;
    }
    int rc = star_or_number(p, s, &ret->width);
    if (!rc && ret->width < -1) ret->align = '<', ret->width = -ret->width;
    if (!rc && s->len && s->ptr[0] == '.') {
        *s = after(*s, 1);
        ret->precision = 0;
        rc = star_or_number(p, s, &ret->precision);
        if (ret->precision < 0) ret->precision = 0;
    }
    while (s->len && jinja_one_of(s->ptr[0], "hlL")) *s = after(*s, 1);
    return rc;
}

static int percent_int(percent *p, jval v, spec *s)
{
    int64_t i;
    if (v.kind == J_UNDEF) return jinja_undef_fail(p->r, v);
    bool hex = s->type == 'x' || s->type == 'X' || s->type == 'o';
    if (!jinja_is_number(v) || (hex && v.kind == J_FLOAT))
        return jinja_fail(p->r, FH_E_INVALID, "%%%c format: %s is required, not %s", s->type, hex ? "an integer" : "a real number",
                          jinja_type(v));
    if (v.kind == J_FLOAT && !(fabs(v.u.f) < 9e18)) return jinja_unsupported(p->r, "an integer beyond 64 bits");
    i = v.kind == J_FLOAT ? (int64_t)v.u.f : jinja_as_int(v);
    if (s->precision >= 0) { /* at least so many digits */
        spec digits = {.fill = FH_STR("0"),
                       .type = s->type,
                       .zero = true,
                       .width = s->precision + (i < 0 || s->sign != 0),
                       .sign = s->sign,
                       .precision = -1};
        if (s->precision > PLACES_MAX) return jinja_fail(p->r, FH_E_TOO_LARGE, "a format asks for more than %d digits", PLACES_MAX);
        size_t mark = jinja_mark(p->r);
        s->zero = false;
        int rc = write_int(p->r, i, &digits);
        return rc ? rc : pad_field(p->r, mark, s, '>', 0);
    }
    return write_int(p->r, i, s);
}

static int percent_text(percent *p, jval v, const spec *s)
{
    jval text = {0};
    size_t mark = jinja_mark(p->r);
    int rc = s->type == 's' ? jinja_soft_str(p->r, v, &text) : jinja_write_repr(p->r, v);
    if (!rc && s->type != 's') rc = jinja_cut(p->r, mark, &text);
    if (rc) return rc;
    spec right = *s;
    if (!right.align) right.align = '>';
    return write_string(p->r, jinja_text_of(text), &right, p->markup && !(text.flags & J_MARKUP));
}

static int percent_char(percent *p, jval v, const spec *s)
{
    char utf8[4];
    fh_str text =
        jinja_is_int(v) ? (fh_str){utf8, fh_utf8_encode((uint32_t)FH_MIN((uint64_t)jinja_as_int(v), UINT32_MAX), utf8)} : jinja_text_of(v);
    if ((!jinja_is_int(v) && v.kind != J_STR) || jinja_chars(text) != 1) return jinja_fail(p->r, FH_E_INVALID, "%%c requires int or char");
    spec right = *s;
    if (!right.align) right.align = '>';
    right.precision = -1;
    return write_string(p->r, text, &right, p->markup);
}

static int percent_value(percent *p, jval v, spec *s)
{
    if (s->type == 's' || s->type == 'r') return percent_text(p, v, s);
    if (s->type == 'a') return jinja_unsupported(p->r, "the conversion %a");
    if (s->type == 'c') return percent_char(p, v, s);
    if (s->zero && s->align) s->zero = false;
    if (jinja_one_of(s->type, "diuxXo")) {
        if (jinja_one_of(s->type, "iu")) s->type = 'd';
        return percent_int(p, v, s);
    }
    if (!s->type || !jinja_one_of(s->type, "eEfFgG"))
        return jinja_fail(p->r, FH_E_INVALID, "unsupported format character '%c'", s->type ? s->type : '?');
    if (v.kind == J_UNDEF) return jinja_undef_fail(p->r, v);
    if (!jinja_is_number(v)) return jinja_fail(p->r, FH_E_INVALID, "must be real number, not %s", jinja_type(v));
    if (s->precision > PLACES_MAX) return jinja_fail(p->r, FH_E_TOO_LARGE, "a format asks for more than %d digits", PLACES_MAX);
    return write_float(p->r, jinja_as_float(v), s);
}

/* Behind a percent sign. */
static int percent_field(percent *p, fh_str *s)
{
    jval v = {0};
    spec sp;
    bool named = s->len && s->ptr[0] == '(';
    int rc = named ? named_value(p, s, &v) : 0;
    if (!rc) rc = percent_spec(p, s, &sp);
    if (rc) return rc;
    if (!s->len) return jinja_fail(p->r, FH_E_INVALID, "incomplete format");
    sp.type = s->ptr[0];
    *s = after(*s, 1);
    if (sp.type == '%') {
        fh_buf_addc(&p->r->out, '%');
        return 0;
    }
    if (!named) rc = next_value(p, &v);
    return rc ? rc : percent_value(p, v, &sp);
}

static bool all_used(const percent *p)
{
    if (p->values.kind == J_TUPLE) return p->at >= p->values.u.list->count;
    return p->used || p->values.kind == J_DICT || p->values.kind == J_LIST ||
           p->values.kind == J_UNDEF; /* what has items need not be used */
}

int jinja_percent(jrun *r, jval format, jval values, jval *ret)
{
    percent p = {.r = r, .values = values, .markup = format.flags & J_MARKUP};
    size_t mark = jinja_mark(r);
    fh_str s = jinja_text_of(format);
    int rc = jinja_steps(r, s.len);
    while (s.len && !rc) {
        const char *found = memchr(s.ptr, '%', s.len);
        size_t n = found ? (size_t)(found - s.ptr) : s.len;
        fh_buf_add(&r->out, s.ptr, n);
        s = after(s, n);
        if (!s.len) break;
        s = after(s, 1);
        rc = jinja_steps(r, 0);
        if (!rc) rc = percent_field(&p, &s);
    }
    if (!rc && !all_used(&p)) rc = jinja_fail(r, FH_E_INVALID, "not all arguments converted during string formatting");
    if (!rc) rc = jinja_cut(r, mark, ret);
    if (!rc) ret->flags = format.flags;
    return rc;
}
