/* What may stand behind 'is'. */
#include "jinja.h"

static int none(jrun *r, const jargs *args)
{
    jval v;
    return jinja_args(r, "the test", args, (const char *const[]){"value"}, 1, 1, &v);
}

#define SIMPLE(fn, condition)                                                                                                              \
    static int fn(jrun *r, jval self, const jargs *args, jval *ret)                                                                        \
    {                                                                                                                                      \
        *ret = jinja_bool(condition);                                                                                                      \
        return none(r, args);                                                                                                              \
    }
SIMPLE(is_defined, self.kind != J_UNDEF)
SIMPLE(is_undefined, self.kind == J_UNDEF)
SIMPLE(is_none, self.kind == J_NONE)
SIMPLE(is_boolean, self.kind == J_BOOL)
SIMPLE(is_true, self.kind == J_BOOL && self.u.b)
SIMPLE(is_false, self.kind == J_BOOL && !self.u.b)
SIMPLE(is_integer, self.kind == J_INT)
SIMPLE(is_float, self.kind == J_FLOAT)
SIMPLE(is_number, jinja_is_number(self))
SIMPLE(is_string, self.kind == J_STR)
SIMPLE(is_mapping, self.kind == J_DICT)
SIMPLE(is_iterable, jinja_is_iterable(self))
SIMPLE(is_sequence, jinja_has_length(self) && self.kind != J_VIEW && self.kind != J_LOOP)
SIMPLE(is_escaped, self.kind == J_STR && (self.flags & J_MARKUP))
SIMPLE(is_callable, self.kind == J_MACRO || self.kind == J_METHOD || self.kind == J_FUNCTION || self.kind == J_LOOP ||
                        self.kind == J_JOINER || self.kind == J_UNDEF)

static int text_case(jrun *r, jval self, const jargs *args, const char *method, jval *ret)
{
    jval s;
    int rc = none(r, args);
    if (!rc) rc = jinja_to_str(r, self, &s);
    return rc ? rc : jinja_find_str_method(fh_str_of(method))->call(r, s, &(jargs){0}, ret);
}

static int is_lower(jrun *r, jval self, const jargs *args, jval *ret)
{
    return text_case(r, self, args, "islower", ret);
}

static int is_upper(jrun *r, jval self, const jargs *args, jval *ret)
{
    return text_case(r, self, args, "isupper", ret);
}

static int remainder_is(jrun *r, jval self, jval by, int64_t want, jval *ret)
{
    bool same = false;
    int rc = jinja_binary(r, OP_MOD, self, by, ret);
    if (!rc) rc = jinja_equal(r, *ret, jinja_int(want), &same);
    *ret = jinja_bool(same);
    return rc;
}

static int is_odd(jrun *r, jval self, const jargs *args, jval *ret)
{
    int rc = none(r, args);
    return rc ? rc : remainder_is(r, self, jinja_int(2), 1, ret);
}

static int is_even(jrun *r, jval self, const jargs *args, jval *ret)
{
    int rc = none(r, args);
    return rc ? rc : remainder_is(r, self, jinja_int(2), 0, ret);
}

static int is_divisible(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v[2];
    int rc = jinja_args(r, "divisibleby", args, (const char *const[]){"value", "num"}, 2, 2, v);
    return rc ? rc : remainder_is(r, self, v[1], 0, ret);
}

static int is_filter(jrun *r, jval self, const jargs *args, jval *ret)
{
    uint64_t hash; /* what cannot be hashed cannot be looked up */
    int rc = none(r, args);
    *ret = jinja_bool(self.kind == J_STR && jinja_find_filter(jinja_text_of(self)));
    return rc ? rc : jinja_hash(r, self, &hash);
}

static int is_test(jrun *r, jval self, const jargs *args, jval *ret)
{
    uint64_t hash; /* what cannot be hashed cannot be looked up */
    int rc = none(r, args);
    *ret = jinja_bool(self.kind == J_STR && jinja_find_test(jinja_text_of(self)));
    return rc ? rc : jinja_hash(r, self, &hash);
}

static int is_same(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v[2];
    int rc = jinja_args(r, "sameas", args, (const char *const[]){"value", "other"}, 2, 2, v);
    *ret = jinja_bool(!rc && jinja_identical(self, v[1]));
    return rc;
}

static int compare(jrun *r, jval self, const jargs *args, jop op, jval *ret)
{
    jval v[2];
    bool holds = false;
    int rc = jinja_args(r, "the test", args, (const char *const[]){"a", "b"}, 2, 2, v);
    if (!rc) rc = jinja_compare(r, op, self, v[1], &holds);
    *ret = jinja_bool(holds);
    return rc;
}

#define COMPARE(fn, op)                                                                                                                    \
    static int fn(jrun *r, jval self, const jargs *args, jval *ret)                                                                        \
    {                                                                                                                                      \
        return compare(r, self, args, op, ret);                                                                                            \
    }
COMPARE(is_eq, OP_EQ)
COMPARE(is_ne, OP_NE)
COMPARE(is_lt, OP_LT)
COMPARE(is_le, OP_LE)
COMPARE(is_gt, OP_GT)
COMPARE(is_ge, OP_GE)
COMPARE(is_in, OP_IN)

int jinja_test(jrun *r, const jfunction *test, jval v, const jargs *args, bool *ret)
{
    jval answer;
    int rc = test->call(r, v, args, &answer);
    if (!rc) *ret = jinja_truth(answer);
    return rc;
}

const jfunction *jinja_find_test(fh_str name)
{
    static const jfunction tests[] = {
        {"defined", is_defined},
        {"undefined", is_undefined},
        {"none", is_none},
        {"boolean", is_boolean},
        {"true", is_true},
        {"false", is_false},
        {"integer", is_integer},
        {"float", is_float},
        {"number", is_number},
        {"string", is_string},
        {"mapping", is_mapping},
        {"iterable", is_iterable},
        {"sequence", is_sequence},
        {"escaped", is_escaped},
        {"callable", is_callable},
        {"lower", is_lower},
        {"upper", is_upper},
        {"odd", is_odd},
        {"even", is_even},
        {"divisibleby", is_divisible},
        {"filter", is_filter},
        {"test", is_test},
        {"sameas", is_same},
        {"in", is_in},
        {"==", is_eq},
        {"eq", is_eq},
        {"equalto", is_eq},
        {"!=", is_ne},
        {"ne", is_ne},
        {">", is_gt},
        {"gt", is_gt},
        {"greaterthan", is_gt},
        {">=", is_ge},
        {"ge", is_ge},
        {"<", is_lt},
        {"lt", is_lt},
        {"lessthan", is_lt},
        {"<=", is_le},
        {"le", is_le},
    };
    return jinja_lookup(tests, FH_COUNT(tests), name);
}
