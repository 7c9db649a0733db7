/* Operators with Python's meaning. Integers have 64 bits; what would not fit is an error that says so. */
#include "jinja.h"

#include <math.h>

static int op_error(jrun *r, const char *op, jval a, jval b)
{
    return jinja_fail(r, FH_E_INVALID, "unsupported operand type(s) for %s: '%s' and '%s'", op, jinja_type(a), jinja_type(b));
}

static int too_big(jrun *r)
{
    return jinja_unsupported(r, "an integer beyond 64 bits");
}

static int zero(jrun *r)
{
    return jinja_fail(r, FH_E_INVALID, "division by zero");
}

static int power_int(jrun *r, int64_t base, int64_t exp, jval *ret)
{
    int64_t v = 1;
    if (exp < 0) {
        if (!base) return zero(r);
        *ret = jinja_float(pow((double)base, (double)exp));
        return 0;
    }
    if (base == 0 || base == 1 || base == -1) {
        *ret = jinja_int(!exp ? 1 : base == -1 && exp % 2 == 0 ? 1 : base);
        return 0;
    }
    if (exp > 63) return too_big(r);
    for (int64_t i = 0; i < exp; i++)
        if (__builtin_mul_overflow(v, base, &v)) return too_big(r);
    *ret = jinja_int(v);
    return 0;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}

static int ints(jrun *r, jop op, int64_t a, int64_t b, jval *ret)
{
    int64_t v = 0;
    bool bad = false;
    if ((op == OP_DIV || op == OP_FLOORDIV || op == OP_MOD) && b == 0) return zero(r);
    if (op == OP_POW) return power_int(r, a, b, ret);
    if (op == OP_DIV) {
        *ret = jinja_float((double)a / (double)b);
        return 0;
    }
    if (op == OP_ADD) bad = __builtin_add_overflow(a, b, &v);
    if (op == OP_SUB) bad = __builtin_sub_overflow(a, b, &v);
    if (op == OP_MUL) bad = __builtin_mul_overflow(a, b, &v);
    if ((op == OP_FLOORDIV || op == OP_MOD) && b == -1) {
        bad = op == OP_FLOORDIV && a == INT64_MIN;
        v = op == OP_MOD || bad ? 0 : -a;
    } else if (op == OP_FLOORDIV) {
        v = floor_div(a, b);
    } else if (op == OP_MOD) {
        v = a - floor_div(a, b) * b;
    }
    if (bad) return too_big(r);
    *ret = jinja_int(v);
    return 0;
}

static double float_mod(double a, double b)
{
    double m = fmod(a, b);
    if (m != 0 && (b < 0) != (m < 0)) return m + b;
    return m != 0 ? m : copysign(0.0, b);
}

static double float_floor_div(double a, double b)
{
    double m = fmod(a, b), q = (a - m) / b;
    if (m != 0 && (b < 0) != (m < 0)) q -= 1;
    if (q == 0) return copysign(0.0, a / b);
    double f = floor(q);
    return q - f > 0.5 ? f + 1 : f;
}

static int power_float(jrun *r, double a, double b, jval *ret)
{
    if (a == 0 && b < 0) return zero(r);
    if (a < 0 && isfinite(b) && b != floor(b)) return jinja_unsupported(r, "a complex number");
    double v = pow(a, b);
    if (isinf(v) && isfinite(a) && isfinite(b)) return jinja_fail(r, FH_E_INVALID, "result of ** is too large");
    *ret = jinja_float(v);
    return 0;
}

static int floats(jrun *r, jop op, double a, double b, jval *ret)
{
    if ((op == OP_DIV || op == OP_FLOORDIV || op == OP_MOD) && b == 0) return zero(r);
    if (op == OP_POW) return power_float(r, a, b, ret);
    double v = op == OP_ADD   ? a + b
               : op == OP_SUB ? a - b
               : op == OP_MUL ? a * b
               : op == OP_DIV ? a / b
               : op == OP_MOD ? float_mod(a, b)
                              : float_floor_div(a, b);
    *ret = jinja_float(v);
    return 0;
}

static int add_strings(jrun *r, jval a, jval b, jval *ret)
{
    size_t mark = jinja_mark(r);
    bool markup = (a.flags | b.flags) & J_MARKUP;
    int rc = jinja_steps(r, (size_t)a.len + b.len);
    if (rc) return rc;
    if (markup) {
        rc = jinja_escape(r, a, &a);
        if (!rc) rc = jinja_escape(r, b, &b);
        if (rc) return rc;
    }
    fh_buf_add(&r->out, a.u.s, a.len);
    fh_buf_add(&r->out, b.u.s, b.len);
    rc = jinja_cut(r, mark, ret);
    if (!rc && markup) ret->flags |= J_MARKUP;
    return rc;
}

static int add_lists(jrun *r, jval a, jval b, jval *ret)
{
    size_t n = a.u.list->count, m = b.u.list->count;
    int rc = jinja_steps(r, (n + m) * 16);
    jval *items = rc ? NULL : jinja_array(r, FH_MAX(n + m, (size_t)1), sizeof(*items));
    if (!items) return rc ? rc : jinja_failed(r);
    if (n) memcpy(items, a.u.list->items, n * sizeof(*items));
    if (m) memcpy(items + n, b.u.list->items, m * sizeof(*items));
    return jinja_built(r, &(jbuilder){items, n + m, n + m}, (jkind)a.kind, ret);
}

static int repeat_string(jrun *r, jval s, int64_t count, jval *ret)
{
    size_t mark = jinja_mark(r);
    if (count <= 0 || !s.len) count = 0;
    if (count && (uint64_t)count > FH_LIMIT_TEMPLATE_OUTPUT_BYTES / s.len)
        return jinja_fail(r, FH_E_TOO_LARGE, "a string would pass %d bytes", FH_LIMIT_TEMPLATE_OUTPUT_BYTES);
    int rc = jinja_steps(r, (size_t)count * s.len);
    if (rc) return rc;
    for (int64_t i = 0; i < count; i++) fh_buf_add(&r->out, s.u.s, s.len);
    rc = jinja_cut(r, mark, ret);
    if (!rc) ret->flags = s.flags;
    return rc;
}

static int repeat_list(jrun *r, jval l, int64_t count, jval *ret)
{
    size_t n = l.u.list->count;
    if (count <= 0 || !n) count = 0;
    if (count && (uint64_t)count > JINJA_RENDER_BYTES / sizeof(jval) / n) return jinja_fail(r, FH_E_TOO_LARGE, "a list would be too long");
    int rc = jinja_steps(r, (size_t)count * n * 16);
    jval *items = rc ? NULL : jinja_array(r, FH_MAX((size_t)count * n, (size_t)1), sizeof(*items));
    if (!items) return rc ? rc : jinja_failed(r);
    for (int64_t i = 0; i < count; i++) memcpy(items + (size_t)i * n, l.u.list->items, n * sizeof(*items));
    return jinja_built(r, &(jbuilder){items, (size_t)count * n, 0}, (jkind)l.kind, ret);
}

static bool is_sequence(jval v)
{
    return v.kind == J_STR || v.kind == J_LIST || v.kind == J_TUPLE;
}

static int multiply(jrun *r, jval a, jval b, jval *ret)
{
    if (is_sequence(b)) {
        jval t = a;
        a = b;
        b = t;
    }
    if (!is_sequence(a) || !jinja_is_int(b)) return op_error(r, "*", a, b);
    return a.kind == J_STR ? repeat_string(r, a, jinja_as_int(b), ret) : repeat_list(r, a, jinja_as_int(b), ret);
}

static int add(jrun *r, jval a, jval b, jval *ret)
{
    if (a.kind == J_STR && b.kind == J_STR) return add_strings(r, a, b, ret);
    if (a.kind == b.kind && (a.kind == J_LIST || a.kind == J_TUPLE)) return add_lists(r, a, b, ret);
    if (a.kind == J_STR) return jinja_fail(r, FH_E_INVALID, "can only concatenate str (not \"%s\") to str", jinja_type(b));
    return op_error(r, "+", a, b);
}

int jinja_binary(jrun *r, jop op, jval a, jval b, jval *ret)
{
    static const char *const texts[] = {"+", "-", "*", "/", "//", "%", "** or pow()"};
    if (op == OP_MOD && a.kind == J_STR) return jinja_percent(r, a, b, ret);
    if (a.kind == J_UNDEF || b.kind == J_UNDEF) return jinja_undef_fail(r, a.kind == J_UNDEF ? a : b);
    if (jinja_is_int(a) && jinja_is_int(b)) return ints(r, op, jinja_as_int(a), jinja_as_int(b), ret);
    if (jinja_is_number(a) && jinja_is_number(b)) return floats(r, op, jinja_as_float(a), jinja_as_float(b), ret);
    if (op == OP_ADD) return add(r, a, b, ret);
    if (op == OP_MUL) return multiply(r, a, b, ret);
    return op_error(r, texts[op], a, b);
}

int jinja_negate(jrun *r, jval v, bool minus, jval *ret)
{
    if (v.kind == J_UNDEF) return jinja_undef_fail(r, v);
    if (!jinja_is_number(v)) return jinja_fail(r, FH_E_INVALID, "bad operand type for unary %c: '%s'", minus ? '-' : '+', jinja_type(v));
    if (v.kind == J_FLOAT) {
        *ret = jinja_float(minus ? -v.u.f : v.u.f);
        return 0;
    }
    int64_t i = jinja_as_int(v);
    if (minus && i == INT64_MIN) return too_big(r);
    *ret = jinja_int(minus ? -i : i);
    return 0;
}

int jinja_compare(jrun *r, jop op, jval a, jval b, bool *ret)
{
    int rc;
    switch (op) {
    case OP_EQ: return jinja_equal(r, a, b, ret);
    case OP_NE:
        rc = jinja_equal(r, a, b, ret);
        *ret = !*ret;
        return rc;
    case OP_IN: return jinja_contains(r, b, a, ret);
    case OP_NOTIN:
        rc = jinja_contains(r, b, a, ret);
        *ret = !*ret;
        return rc;
    case OP_LT:
    case OP_LE:
    case OP_GT:
    case OP_GE: return jinja_less(r, a, b, op, ret);
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_DIV:
    case OP_FLOORDIV:
    case OP_MOD:
    case OP_POW: break;
    }
    return jinja_fail(r, FH_E_INTERNAL, "no comparison");
}
