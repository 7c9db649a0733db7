/* oneOf asks that a value satisfies exactly one alternative. What is generated for one must therefore fail all others: that is shown here
 * by types, by values, by bounds of numbers, or by a property; what cannot be shown is refused by the caller. */
#include "json_schema_private.h"

enum { ONE_OF_DEPTH = 4 };

static bool excluded(schema_build *b, const schema_all *x, const schema_all *y, unsigned depth);

/* Questions whose answer "no" is no error. */
static schema_build quietly(const schema_build *b)
{
    schema_build quiet = *b;
    quiet.err = NULL;
    quiet.why = "";
    return quiet;
}

/* The types that values of it have as they are generated. */
static unsigned types_of(const schema_build *b, const schema_all *all)
{
    schema_build quiet = quietly(b);
    unsigned types = TYPE_ALL;
    return schema_types(&quiet, all, &types) == SCHEMA_POSSIBLE ? types : 0;
}

/* The types that a validator lets pass: only `type` counts. */
static unsigned types_allowed(const schema_build *b, const schema_all *all)
{
    for (size_t i = 0; i < all->count; i++)
        if (schema_get(&all->parts[i], "type")) return types_of(b, all);
    return TYPE_ALL;
}

/* No value listed by x is one that y takes. */
static bool values_excluded(schema_build *b, const schema_all *x, const schema_all *y)
{
    bool single = false;
    const schema_part *p;
    const fh_json *list = schema_value_list(x, &single, &p);
    if (!list) return false;
    schema_build quiet = quietly(b);
    for (size_t i = 0; i < (single ? 1 : fh_json_count(list)); i++)
        if (schema_value_fits(&quiet, y, single ? list : fh_json_at(list, i)) != SCHEMA_IMPOSSIBLE) return false;
    return true;
}

static double bound_of(const schema_all *all, const char *keyword, bool lower, bool *ret_given)
{
    double bound = 0;
    for (size_t i = 0; i < all->count; i++) {
        const fh_json *v = schema_get(&all->parts[i], keyword);
        if (!v) continue;
        double x = fh_json_num(v, 0);
        bound = !*ret_given || (lower ? x > bound : x < bound) ? x : bound;
        *ret_given = true;
    }
    return bound;
}

static bool ends_before(const schema_all *x, const schema_all *y)
{
    static const char *const upper[] = {"maximum", "exclusiveMaximum"}, *const lower[] = {"minimum", "exclusiveMinimum"};
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < 2; k++) {
            bool has_high = false, has_low = false;
            double high = bound_of(x, upper[i], false, &has_high), low = bound_of(y, lower[k], true, &has_low);
            if (has_high && has_low && (high < low || (!(high > low) && (i || k)))) return true;
        }
    return false;
}

/* ---- objects ---- */

static bool requires(const schema_all *all, fh_str name)
{
    for (size_t i = 0; i < all->count; i++) {
        const fh_json *list = schema_get(&all->parts[i], "required");
        for (size_t k = 0; k < fh_json_count(list); k++)
            if (fh_str_eq(fh_json_str(fh_json_at(list, k)), name)) return true;
    }
    return false;
}

/* What the alternative says of one property; false when it cannot be told. */
static bool property(schema_build *b, const schema_all *all, fh_str name, schema_all *ret)
{
    *ret = (schema_all){.count = 0};
    schema_build quiet = quietly(b);
    for (size_t i = 0; i < all->count; i++) {
        const fh_json *v = fh_json_get(schema_get(&all->parts[i], "properties"), name.ptr);
        if (v && schema_add_part(&quiet, ret, v, "") != SCHEMA_POSSIBLE) return false;
    }
    return true;
}

static bool never_has(const schema_all *all, fh_str name)
{
    bool speaks = false;
    for (size_t i = 0; i < all->count; i++) {
        const fh_json *other = schema_get(&all->parts[i], "additionalProperties"), *named = schema_get(&all->parts[i], "properties");
        if (schema_get(&all->parts[i], "patternProperties") || schema_get(&all->parts[i], "propertyNames")) return false;
        if (fh_json_get(named, name.ptr) || requires(all, name)) return false;
        if (other && (fh_json_kind_of(other) != FH_JSON_BOOL || fh_json_is_true(other))) return false;
        speaks = speaks || named || other || schema_get(&all->parts[i], "required");
    }
    return speaks; /* free members are not made then */
}

static bool forbids(const schema_all *all, fh_str name)
{
    for (size_t i = 0; i < all->count; i++) {
        const fh_json *other = schema_get(&all->parts[i], "additionalProperties");
        bool named = fh_json_get(schema_get(&all->parts[i], "properties"), name.ptr) != NULL;
        if (other && fh_json_kind_of(other) == FH_JSON_BOOL && !fh_json_is_true(other) && !named &&
            !schema_get(&all->parts[i], "patternProperties"))
            return true;
    }
    return false;
}

static bool by_required(schema_build *b, const schema_all *x, const schema_all *y, unsigned depth)
{
    for (size_t i = 0; i < x->count; i++) {
        const fh_json *list = schema_get(&x->parts[i], "required");
        for (size_t k = 0; k < fh_json_count(list); k++) {
            fh_str name = fh_json_str(fh_json_at(list, k));
            schema_all mine, theirs;
            if (!name.ptr) continue;
            if (forbids(y, name)) return true;
            if (property(b, x, name, &mine) && property(b, y, name, &theirs) && excluded(b, &mine, &theirs, depth + 1)) return true;
        }
    }
    return false;
}

static bool by_absent(const schema_all *x, const schema_all *y)
{
    for (size_t i = 0; i < y->count; i++) {
        const fh_json *list = schema_get(&y->parts[i], "required");
        for (size_t k = 0; k < fh_json_count(list); k++) {
            fh_str name = fh_json_str(fh_json_at(list, k));
            if (name.ptr && never_has(x, name)) return true;
        }
    }
    return false;
}

/* ---- the whole ---- */

static bool branches(const schema_all *all)
{
    for (size_t i = 0; i < all->count; i++) {
        const schema_part *p = &all->parts[i];
        if ((schema_get(p, "anyOf") && !(p->skip & SKIP_ANY_OF)) || (schema_get(p, "oneOf") && !(p->skip & SKIP_ONE_OF))) return true;
    }
    return false;
}

/* No value that is generated for x satisfies y. */
static bool excluded(schema_build *b, const schema_all *x, const schema_all *y, unsigned depth)
{
    if (depth > ONE_OF_DEPTH || branches(x)) return false;
    if (values_excluded(b, x, y)) return true;
    unsigned common = types_of(b, x) & types_allowed(b, y);
    if (!common) return true;
    if (!(common & ~(unsigned)TYPE_NUMBER)) return ends_before(x, y) || ends_before(y, x);
    return common == TYPE_OBJECT && (by_required(b, x, y, depth) || by_absent(x, y));
}

bool schema_disjoint(schema_build *b, const schema_all *x, const schema_all *y)
{
    return excluded(b, x, y, 0) && excluded(b, y, x, 0);
}
