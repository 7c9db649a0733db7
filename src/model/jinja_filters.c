/* Filters on single values, and the table of all. A filter gets the value both as self and as its first argument. */
#include "jinja.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define NAMES(...)                                                                                                                         \
    (const char *const[])                                                                                                                  \
    {                                                                                                                                      \
        __VA_ARGS__                                                                                                                        \
    }

static bool given(jval v)
{
    return v.kind != J_MISSING;
}

static int only(jrun *r, const char *name, const jargs *args)
{
    jval v;
    return jinja_args(r, name, args, NAMES("value"), 1, 1, &v);
}

/* ---- numbers ---- */

static int do_abs(jrun *r, jval self, const jargs *args, jval *ret)
{
    int rc = only(r, "abs", args);
    if (rc) return rc;
    if (!jinja_is_number(self)) return jinja_fail(r, FH_E_INVALID, "bad operand type for abs(): '%s'", jinja_type(self));
    if (self.kind == J_FLOAT) {
        *ret = jinja_float(fabs(self.u.f));
        return 0;
    }
    *ret = jinja_int(jinja_as_int(self));
    return ret->u.i < 0 ? jinja_negate(r, *ret, true, ret) : 0;
}

/* int() of a float; *ret_ok false when Python raises a ValueError (not a number). */
static int float_to_int(jrun *r, double f, jval *ret, bool *ret_ok)
{
    *ret_ok = !isnan(f);
    if (!*ret_ok) return 0;
    if (!(fabs(f) < 9223372036854775808.0)) {
        if (isinf(f)) return jinja_fail(r, FH_E_INVALID, "cannot convert float infinity to integer");
        return jinja_unsupported(r, "an integer beyond 64 bits");
    }
    *ret = jinja_int((int64_t)f);
    return 0;
}

static int text_to_int(jrun *r, fh_str s, int64_t base, jval otherwise, jval *ret)
{
    int64_t i;
    double f;
    bool ok;
    int rc = jinja_parse_int(r, s, base, &i, &ok);
    if (rc) return rc;
    *ret = ok ? jinja_int(i) : otherwise;
    if (ok || !jinja_parse_float(s, &f) || isinf(f)) return 0;
    jval v;
    rc = float_to_int(r, f, &v, &ok);
    if (!rc && ok) *ret = v;
    return rc;
}

static int do_int(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v[3];
    int64_t base = 10;
    bool ok;
    int rc = jinja_args(r, "int", args, NAMES("value", "default", "base"), 3, 1, v);
    if (!rc && given(v[2])) rc = jinja_arg_int(r, v[2], &base);
    if (!rc && (base < 0 || base == 1 || base > 36)) rc = jinja_fail(r, FH_E_INVALID, "int() base must be >= 2 and <= 36, or 0");
    if (rc) return rc;
    jval otherwise = given(v[1]) ? v[1] : jinja_int(0);
    if (self.kind == J_STR) return text_to_int(r, jinja_text_of(self), base, otherwise, ret);
    if (self.kind == J_UNDEF) return jinja_undef_fail(r, self);
    *ret = jinja_is_int(self) ? jinja_int(jinja_as_int(self)) : otherwise;
    if (self.kind != J_FLOAT) return 0;
    rc = float_to_int(r, self.u.f, ret, &ok);
    return rc;
}

static int do_float(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v[2];
    double f;
    int rc = jinja_args(r, "float", args, NAMES("value", "default"), 2, 1, v);
    if (rc) return rc;
    if (self.kind == J_UNDEF) return jinja_undef_fail(r, self);
    if (jinja_is_number(self))
        *ret = jinja_float(jinja_as_float(self));
    else if (self.kind == J_STR && jinja_parse_float(jinja_text_of(self), &f))
        *ret = jinja_float(f);
    else
        *ret = given(v[1]) ? v[1] : jinja_float(0);
    return 0;
}

/* round() to places after the point, ties to even as the decimal digits of the double have them. */
static double round_places(double v, int64_t places)
{
    char text[700];
    if (!isfinite(v) || places > 300) return v;
    if (places >= 0) {
        snprintf(text, sizeof(text), "%.*f", (int)places, v);
        return strtod(text, NULL);
    }
    if (places < -308) return copysign(0, v);
    double unit = pow(10, (double)-places);
    return nearbyint(v / unit) * unit;
}

static int round_int(jrun *r, int64_t v, int64_t places, jval *ret)
{
    int64_t unit = 1;
    for (int64_t i = 0; i > places && unit <= INT64_MAX / 10; i--) unit *= 10;
    if (places < -18) unit = 0;
    int64_t rest = unit ? v % unit : v, whole = v - rest;
    if (rest < 0 && unit) rest += unit, whole -= unit;
    if (unit > 1 && (rest * 2 > unit || (rest * 2 == unit && (whole / unit) % 2 != 0)) && __builtin_add_overflow(whole, unit, &whole))
        return jinja_unsupported(r, "an integer beyond 64 bits");
    *ret = jinja_int(places >= 0 ? v : whole);
    return 0;
}

static int do_round(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v[3];
    int64_t places = 0;
    int rc = jinja_args(r, "round", args, NAMES("value", "precision", "method"), 3, 1, v);
    if (!rc && given(v[1])) rc = jinja_arg_int(r, v[1], &places);
    if (rc) return rc;
    bool up = jinja_is_str(v[2], "ceil"), down = jinja_is_str(v[2], "floor");
    if (given(v[2]) && !up && !down && !jinja_is_str(v[2], "common"))
        return jinja_fail(r, FH_E_INVALID, "method must be common, ceil or floor");
    if (!jinja_is_number(self)) return jinja_fail(r, FH_E_INVALID, "type %s doesn't define __round__ method", jinja_type(self));
    if (!up && !down) {
        if (jinja_is_int(self)) return round_int(r, jinja_as_int(self), places, ret);
        *ret = jinja_float(round_places(self.u.f, places));
        return 0;
    }
    double unit = pow(10, (double)places), scaled = jinja_as_float(self) * unit;
    if (!isfinite(scaled)) return jinja_fail(r, FH_E_INVALID, "cannot convert float infinity or NaN to integer");
    *ret = jinja_float((up ? ceil(scaled) : floor(scaled)) / unit);
    if (ret->u.f == 0) ret->u.f = 0;
    return 0;
}

static int do_filesizeformat(jrun *r, jval self, const jargs *args, jval *ret)
{
    static const char *const names[] = {"k", "M", "G", "T", "P", "E", "Z", "Y"};
    jval v[2];
    double bytes;
    int rc = jinja_args(r, "filesizeformat", args, NAMES("value", "binary"), 2, 1, v);
    if (rc) return rc;
    if (self.kind == J_STR ? !jinja_parse_float(jinja_text_of(self), &bytes) : !jinja_is_number(self))
        return jinja_type_error(r, "a number", self);
    if (self.kind != J_STR) bytes = jinja_as_float(self);
    bool binary = jinja_truth(v[1]);
    double base = binary ? 1024 : 1000, unit = base * base;
    size_t i = 0, mark = jinja_mark(r);
    if (bytes == 1)
        fh_buf_adds(&r->out, "1 Byte");
    else if (bytes < base)
        fh_buf_addf(&r->out, "%.0f Bytes", trunc(bytes));
    else {
        for (; i + 1 < FH_COUNT(names) && bytes >= unit; i++) unit *= base;
        const char *name = binary && i == 0 ? "K" : names[i];
        fh_buf_addf(&r->out, "%.1f %s%s", base * bytes / unit, name, binary ? "iB" : "B");
    }
    return jinja_cut(r, mark, ret);
}

/* ---- any value ---- */

static int do_default(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v[3];
    int rc = jinja_args(r, "default", args, NAMES("value", "default_value", "boolean"), 3, 1, v);
    if (rc) return rc;
    bool take = self.kind == J_UNDEF || (jinja_truth(v[2]) && !jinja_truth(self));
    *ret = !take ? self : given(v[1]) ? v[1] : jinja_cstr("");
    return 0;
}

static int do_length(jrun *r, jval self, const jargs *args, jval *ret)
{
    int64_t n;
    int rc = only(r, "length", args);
    if (!rc) rc = jinja_length(r, self, &n);
    if (!rc) *ret = jinja_int(n);
    return rc;
}

static int do_attr(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v[2];
    fh_str name;
    bool has;
    int rc = jinja_args(r, "attr", args, NAMES("obj", "name"), 2, 2, v);
    if (!rc) rc = jinja_arg_str(r, v[1], &name);
    if (rc) return rc;
    if (self.kind == J_UNDEF) return jinja_undef_fail(r, self);
    rc = jinja_own_attr(r, self, name, &has, ret);
    return rc || has ? rc : jinja_undef(r, J_UNDEF_ATTR, jinja_type(self), name, ret);
}

static int style_text(jrun *r, jval v, const char *otherwise, fh_str *ret)
{
    *ret = fh_str_of(otherwise);
    return given(v) ? jinja_arg_str(r, v, ret) : 0;
}

static int json_indent(jrun *r, jval v, jjson_style *style)
{
    int64_t n;
    style->pretty = given(v) && v.kind != J_NONE;
    if (!style->pretty) return 0;
    if (v.kind == J_STR) return jinja_arg_str(r, v, &style->indent);
    int rc = jinja_arg_int(r, v, &n);
    if (rc) return rc;
    if (n > 1000) return jinja_fail(r, FH_E_TOO_LARGE, "tojson indents by more than 1000 blanks");
    char *blanks = jinja_alloc(r, (size_t)FH_MAX(n, 1));
    if (!blanks) return jinja_failed(r);
    memset(blanks, ' ', (size_t)FH_MAX(n, 1));
    style->indent = (fh_str){blanks, (size_t)FH_MAX(n, 0)};
    return 0;
}

static int json_separators(jrun *r, jval v, jjson_style *style)
{
    if (!given(v) || v.kind == J_NONE) return 0;
    jbuilder b = {0};
    int rc = jinja_collect(r, v, &b);
    if (!rc && b.count != 2) rc = jinja_fail(r, FH_E_INVALID, "tojson wants two separators, got %zu", b.count);
    if (!rc) rc = style_text(r, b.items[0], "", &style->item);
    return rc ? rc : style_text(r, b.items[1], "", &style->key);
}

static int do_tojson(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v[5];
    int rc = jinja_args(r, "tojson", args, NAMES("x", "ensure_ascii", "indent", "separators", "sort_keys"), 5, 1, v);
    jjson_style style = {.ascii = jinja_truth(v[1]), .sort = jinja_truth(v[4]), .key = FH_STR(": ")};
    if (!rc) rc = json_indent(r, v[2], &style);
    style.item = style.pretty ? FH_STR(",") : FH_STR(", ");
    if (!rc) rc = json_separators(r, v[3], &style);
    size_t mark = jinja_mark(r);
    if (!rc) rc = jinja_write_json(r, self, &style);
    return rc ? rc : jinja_cut(r, mark, ret);
}

static int do_refused(jrun *r, jval self, const jargs *args, jval *ret)
{
    return jinja_unsupported(r, "this filter (urlize, xmlattr, pprint, random, striptags, wordwrap)");
}

const jfunction *jinja_find_filter(fh_str name)
{
    static const jfunction filters[] = {
        {"abs", do_abs},           {"attr", do_attr},        {"count", do_length},
        {"d", do_default},         {"default", do_default},  {"filesizeformat", do_filesizeformat},
        {"float", do_float},       {"int", do_int},          {"length", do_length},
        {"round", do_round},       {"tojson", do_tojson},    {"urlize", do_refused},
        {"xmlattr", do_refused},   {"pprint", do_refused},   {"random", do_refused},
        {"striptags", do_refused}, {"wordwrap", do_refused},
    };
    const jfunction *f = jinja_lookup(filters, FH_COUNT(filters), name);
    if (!f) f = jinja_find_text_filter(name);
    return f ? f : jinja_find_sequence_filter(name);
}
