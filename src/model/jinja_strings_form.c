/* The methods of str that pad and that ask what a string is made of. */
#include "jinja.h"

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

/* ---- padding ---- */

static void pad(jrun *r, fh_str fill, int64_t count)
{
    for (int64_t i = 0; i < count && fh_buf_ok(&r->out); i++) fh_buf_add(&r->out, fill.ptr, fill.len);
}

static int padded(jrun *r, jval self, int64_t left, fh_str fill, int64_t right, jval *ret)
{
    size_t mark = jinja_mark(r);
    int rc = jinja_steps(r, (size_t)FH_MIN(FH_MAX(left, 0) + FH_MAX(right, 0), FH_LIMIT_TEMPLATE_OUTPUT_BYTES) + self.len);
    if (rc) return rc;
    pad(r, fill, left);
    fh_buf_add(&r->out, self.u.s, self.len);
    pad(r, fill, right);
    return done(r, self, mark, ret);
}

static int pad_args(jrun *r, jval self, const jargs *args, int64_t *ret_missing, fh_str *ret_fill)
{
    jval v[2];
    int64_t width = 0;
    *ret_fill = FH_STR(" ");
    int rc = jinja_args(r, "center", args, (const char *const[]){"width", "fillchar"}, 2, 1, v);
    if (!rc) rc = jinja_arg_int(r, v[0], &width);
    if (!rc && v[1].kind != J_MISSING) rc = jinja_arg_str(r, v[1], ret_fill);
    if (!rc && jinja_chars(*ret_fill) != 1) rc = jinja_fail(r, FH_E_INVALID, "the fill character must be exactly one character long");
    int64_t count = (int64_t)jinja_chars(jinja_text_of(self));
    *ret_missing = width > count ? width - count : 0;
    return rc;
}

static int center(jrun *r, jval self, const jargs *args, jval *ret)
{
    int64_t missing;
    fh_str fill;
    int rc = pad_args(r, self, args, &missing, &fill);
    int64_t width = missing + (int64_t)jinja_chars(jinja_text_of(self)), left = missing / 2 + (missing & width & 1);
    return rc ? rc : padded(r, self, left, fill, missing - left, ret);
}

static int ljust(jrun *r, jval self, const jargs *args, jval *ret)
{
    int64_t missing;
    fh_str fill;
    int rc = pad_args(r, self, args, &missing, &fill);
    return rc ? rc : padded(r, self, 0, fill, missing, ret);
}

static int rjust(jrun *r, jval self, const jargs *args, jval *ret)
{
    int64_t missing;
    fh_str fill;
    int rc = pad_args(r, self, args, &missing, &fill);
    return rc ? rc : padded(r, self, missing, fill, 0, ret);
}

static int zfill(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v;
    int64_t width;
    fh_str s = jinja_text_of(self);
    int rc = jinja_args(r, "zfill", args, (const char *const[]){"width"}, 1, 1, &v);
    if (!rc) rc = jinja_arg_int(r, v, &width);
    if (rc) return rc;
    int64_t missing = width - (int64_t)jinja_chars(s);
    size_t mark = jinja_mark(r), sign = s.len && (s.ptr[0] == '-' || s.ptr[0] == '+');
    rc = jinja_steps(r, (size_t)FH_MIN(FH_MAX(missing, 0), FH_LIMIT_TEMPLATE_OUTPUT_BYTES) + s.len);
    if (rc) return rc;
    fh_buf_add(&r->out, s.ptr, sign);
    pad(r, FH_STR("0"), missing);
    fh_buf_add(&r->out, s.ptr + sign, s.len - sign);
    return done(r, self, mark, ret);
}

static int expandtabs(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v;
    int64_t size = 8, column = 0;
    fh_str s = jinja_text_of(self);
    int rc = jinja_args(r, "expandtabs", args, (const char *const[]){"tabsize"}, 1, 0, &v);
    if (!rc && v.kind != J_MISSING) rc = jinja_arg_int(r, v, &size);
    size_t mark = jinja_mark(r);
    for (size_t i = 0; i < s.len && !rc; i++) {
        char c = s.ptr[i];
        if (c == '\t') {
            int64_t n = size > 0 ? size - column % size : 0;
            rc = jinja_steps(r, (size_t)FH_MIN(n, FH_LIMIT_TEMPLATE_OUTPUT_BYTES));
            if (!rc) pad(r, FH_STR(" "), n);
            column += n;
            continue;
        }
        fh_buf_addc(&r->out, c);
        column = c == '\n' || c == '\r' ? 0 : column + (((uint8_t)c & 0xc0) != 0x80);
    }
    return rc ? rc : done(r, self, mark, ret);
}

/* ---- questions ---- */

static int every(jrun *r, jval self, const jargs *args, bool (*is)(uint32_t), bool empty, jval *ret)
{
    fh_str s = jinja_text_of(self);
    uint32_t cp;
    bool all = s.len > 0 || empty;
    int rc = no_args(r, "the method", args);
    if (!rc) rc = jinja_steps(r, s.len * 2);
    for (size_t i = 0, n; i < s.len && all && (n = fh_utf8_decode(s.ptr + i, s.len - i, &cp)); i += n) all = is(cp);
    *ret = jinja_bool(all);
    return rc;
}

static bool is_alnum(uint32_t cp)
{
    return jinja_is_alpha(cp) || jinja_is_numeric(cp);
}

static bool is_ascii(uint32_t cp)
{
    return cp < 128;
}

#define EVERY(fn, is, empty)                                                                                                               \
    static int fn(jrun *r, jval self, const jargs *args, jval *ret)                                                                        \
    {                                                                                                                                      \
        return every(r, self, args, is, empty, ret);                                                                                       \
    }
EVERY(isalnum_, is_alnum, false)
EVERY(isalpha_, jinja_is_alpha, false)
EVERY(isascii_, is_ascii, true)
EVERY(isdecimal_, jinja_is_decimal, false)
EVERY(isdigit_, jinja_is_digit, false)
EVERY(isnumeric_, jinja_is_numeric, false)
EVERY(isprintable_, jinja_is_printable, true)
EVERY(isspace_, jinja_is_space, false)

/* All cased characters are of one case, and there is one. */
static int one_case(jrun *r, jval self, const jargs *args, bool (*want)(uint32_t), bool (*other)(uint32_t), jval *ret)
{
    fh_str s = jinja_text_of(self);
    uint32_t cp;
    bool any = false, all = true;
    int rc = no_args(r, "the method", args);
    if (!rc) rc = jinja_steps(r, s.len * 2);
    for (size_t i = 0, n; i < s.len && all && (n = fh_utf8_decode(s.ptr + i, s.len - i, &cp)); i += n) {
        all = !other(cp) && !jinja_is_title(cp);
        any = any || want(cp);
    }
    *ret = jinja_bool(any && all);
    return rc;
}

static int islower_(jrun *r, jval self, const jargs *args, jval *ret)
{
    return one_case(r, self, args, jinja_is_lower, jinja_is_upper, ret);
}

static int isupper_(jrun *r, jval self, const jargs *args, jval *ret)
{
    return one_case(r, self, args, jinja_is_upper, jinja_is_lower, ret);
}

static int istitle_(jrun *r, jval self, const jargs *args, jval *ret)
{
    fh_str s = jinja_text_of(self);
    uint32_t cp;
    bool any = false, all = true, after_cased = false;
    int rc = no_args(r, "istitle", args);
    for (size_t i = 0, n; i < s.len && all && (n = fh_utf8_decode(s.ptr + i, s.len - i, &cp)); i += n) {
        bool capital = jinja_is_upper(cp) || jinja_is_title(cp), small = jinja_is_lower(cp);
        all = capital ? !after_cased : !small || after_cased;
        any = any || capital || small;
        after_cased = capital || small;
    }
    *ret = jinja_bool(any && all);
    return rc;
}

static int isidentifier_(jrun *r, jval self, const jargs *args, jval *ret)
{
    fh_str s = jinja_text_of(self);
    uint32_t cp;
    bool all = s.len > 0;
    int rc = no_args(r, "isidentifier", args);
    for (size_t i = 0, n; i < s.len && all && (n = fh_utf8_decode(s.ptr + i, s.len - i, &cp)); i += n)
        all = i ? jinja_is_name_part(cp) : jinja_is_name_start(cp);
    *ret = jinja_bool(all);
    return rc;
}

const jfunction *jinja_find_str_form(fh_str name)
{
    static const jfunction methods[] = {
        {"isalnum", isalnum_},     {"isalpha", isalpha_},      {"isascii", isascii_},
        {"isdecimal", isdecimal_}, {"isdigit", isdigit_},      {"isidentifier", isidentifier_},
        {"islower", islower_},     {"isnumeric", isnumeric_},  {"isprintable", isprintable_},
        {"isspace", isspace_},     {"istitle", istitle_},      {"isupper", isupper_},
        {"center", center},        {"ljust", ljust},           {"rjust", rjust},
        {"zfill", zfill},          {"expandtabs", expandtabs},
    };
    return jinja_lookup(methods, FH_COUNT(methods), name);
}
