/* enum and const: the values are written out as compact JSON, those that the rest of the schema forbids left away. What a value must be
 * held against is small: types, sizes and bounds; other keywords beside enum are refused. */
#include "json_schema_private.h"

#include <math.h>

/* ---- equality, as JSON Schema means it: 1 and 1.0 are the same, members have no order ---- */

static bool is_number(const fh_json *v)
{
    fh_json_kind k = fh_json_kind_of(v);
    return k == FH_JSON_INT || k == FH_JSON_REAL;
}

static bool equal(const fh_json *x, const fh_json *y);

static bool equal_lists(const fh_json *x, const fh_json *y)
{
    if (fh_json_count(x) != fh_json_count(y)) return false;
    for (size_t i = 0; i < fh_json_count(x); i++)
        if (!equal(fh_json_at(x, i), fh_json_at(y, i))) return false;
    return true;
}

static bool equal_objects(const fh_json *x, const fh_json *y)
{
    fh_str key;
    const fh_json *value;
    if (fh_json_count(x) != fh_json_count(y)) return false;
    for (void *it = NULL; fh_json_next(x, &it, &key, &value);) {
        const fh_json *other = fh_json_get(y, key.ptr);
        if (!other || !equal(value, other)) return false;
    }
    return true;
}

/* Depth is that of the document: JSON_DEPTH. */
static bool equal(const fh_json *x, const fh_json *y)
{
    fh_json_kind k = fh_json_kind_of(x);
    if (is_number(x) && is_number(y))
        return k == FH_JSON_INT && fh_json_kind_of(y) == FH_JSON_INT
                   ? fh_json_int(x, 0) == fh_json_int(y, 0)
                   : !(fh_json_num(x, 0) < fh_json_num(y, 0)) && !(fh_json_num(x, 0) > fh_json_num(y, 0));
    if (k != fh_json_kind_of(y)) return false;
    switch (k) {
    case FH_JSON_BOOL: return fh_json_is_true(x) == fh_json_is_true(y);
    case FH_JSON_STRING: return fh_str_eq(fh_json_str(x), fh_json_str(y));
    case FH_JSON_ARRAY: return equal_lists(x, y);
    case FH_JSON_OBJECT: return equal_objects(x, y);
    case FH_JSON_NULL:
    case FH_JSON_INT:
    case FH_JSON_REAL: break;
    }
    return true;
}

/* ---- a value against a schema ---- */

static unsigned type_of(const fh_json *v)
{
    static const unsigned types[] = {
        [FH_JSON_NULL] = TYPE_NULL,     [FH_JSON_BOOL] = TYPE_BOOLEAN, [FH_JSON_INT] = TYPE_INTEGER,  [FH_JSON_REAL] = TYPE_FRACTION,
        [FH_JSON_STRING] = TYPE_STRING, [FH_JSON_ARRAY] = TYPE_ARRAY,  [FH_JSON_OBJECT] = TYPE_OBJECT};
    double x = fh_json_num(v, 0.5);
    return fh_json_kind_of(v) == FH_JSON_REAL && !(floor(x) < x) ? TYPE_INTEGER : types[fh_json_kind_of(v)];
}

static bool in_list(const fh_json *list, bool single, const fh_json *value)
{
    if (single) return equal(list, value);
    for (size_t i = 0; i < fh_json_count(list); i++)
        if (equal(fh_json_at(list, i), value)) return true;
    return false;
}

static bool within(const schema_part *p, double x)
{
    const fh_json *v;
    if ((v = schema_get(p, "minimum")) && x < fh_json_num(v, x)) return false;
    if ((v = schema_get(p, "maximum")) && x > fh_json_num(v, x)) return false;
    if ((v = schema_get(p, "exclusiveMinimum")) && x <= fh_json_num(v, x - 1)) return false;
    if ((v = schema_get(p, "exclusiveMaximum")) && x >= fh_json_num(v, x + 1)) return false;
    double by = fh_json_num(schema_get(p, "multipleOf"), 0);
    return !(by > 0) || !(fabs(remainder(x, by)) > 0);
}

static uint64_t characters(fh_str s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s.len; i++) n += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    return n;
}

static bool sized(const schema_part *p, const char *least, const char *most, uint64_t n)
{
    const fh_json *v;
    if ((v = schema_get(p, least)) && (double)n < fh_json_num(v, 0)) return false;
    return !(v = schema_get(p, most)) || !((double)n > fh_json_num(v, (double)n));
}

static bool required_there(const schema_part *p, const fh_json *value)
{
    const fh_json *list = schema_get(p, "required");
    for (size_t i = 0; i < fh_json_count(list); i++) {
        fh_str name = fh_json_str(fh_json_at(list, i));
        if (name.ptr && !fh_json_get(value, name.ptr)) return false;
    }
    return true;
}

static int fits_part(schema_build *b, const schema_part *p, const fh_json *value)
{
    static const char *const not_here[] = {"pattern",           "format", "properties", "additionalProperties", "propertyNames",
                                           "patternProperties", "items",  "prefixItems"};
    static const unsigned of[] = {TYPE_STRING, TYPE_STRING, TYPE_OBJECT, TYPE_OBJECT, TYPE_OBJECT, TYPE_OBJECT, TYPE_ARRAY, TYPE_ARRAY};
    unsigned type = type_of(value);
    for (size_t i = 0; i < FH_COUNT(not_here); i++)
        if ((type & of[i]) && schema_get(p, not_here[i]))
            return schema_refuse(b, p->at, not_here[i], "cannot be enforced beside 'enum' or 'const'");
    const fh_json *list = schema_get(p, "enum"), *single = schema_get(p, "const");
    if ((list && !in_list(list, false, value)) || (single && !in_list(single, true, value))) return SCHEMA_IMPOSSIBLE;
    bool fits = true;
    if (type & TYPE_NUMBER) fits = within(p, fh_json_num(value, 0));
    if (type == TYPE_STRING) fits = sized(p, "minLength", "maxLength", characters(fh_json_str(value)));
    if (type == TYPE_ARRAY) fits = sized(p, "minItems", "maxItems", fh_json_count(value));
    if (type == TYPE_OBJECT) fits = sized(p, "minProperties", "maxProperties", fh_json_count(value)) && required_there(p, value);
    return fits ? SCHEMA_POSSIBLE : SCHEMA_IMPOSSIBLE;
}

int schema_value_fits(schema_build *b, const schema_all *all, const fh_json *value)
{
    unsigned types = TYPE_ALL;
    int rc = schema_types(b, all, &types);
    bool typed = false;
    if (rc != SCHEMA_POSSIBLE) return rc;
    for (size_t i = 0; i < all->count; i++) typed = typed || schema_get(&all->parts[i], "type");
    if (typed && !(types & type_of(value))) return SCHEMA_IMPOSSIBLE;
    for (size_t i = 0; rc == SCHEMA_POSSIBLE && i < all->count; i++) rc = fits_part(b, &all->parts[i], value);
    return rc;
}

/* ---- the values ---- */

const fh_json *schema_value_list(const schema_all *all, bool *ret_single, const schema_part **ret_part)
{
    for (size_t i = 0; i < all->count; i++) {
        const fh_json *single = schema_get(&all->parts[i], "const"), *list = schema_get(&all->parts[i], "enum");
        if (!single && !list) continue;
        *ret_single = single != NULL;
        *ret_part = &all->parts[i];
        return single ? single : list;
    }
    return NULL;
}

static int add_value(schema_build *b, const fh_json *value, bool first, fh_buf *body)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_GRAMMAR_BYTES);
    int rc = fh_json_write(value, &text, b->err);
    if (rc) return rc;
    fh_buf_adds(body, first ? "" : " | ");
    fh_gbnf_add_literal(body, (fh_str){fh_buf_cstr(&text), text.len});
    return fh_buf_ok(body) ? SCHEMA_POSSIBLE : schema_memory(b, body);
}

int schema_values(schema_build *b, const schema_all *all, fh_buf *body, bool *ret_found)
{
    bool single = false, any = false;
    const schema_part *p = NULL;
    const fh_json *list = schema_value_list(all, &single, &p);
    if (!list) return SCHEMA_POSSIBLE;
    *ret_found = true;
    size_t count = single ? 1 : fh_json_count(list);
    if (!single && (fh_json_kind_of(list) != FH_JSON_ARRAY || count == 0))
        return schema_refuse(b, p->at, "enum", "must be a list that is not empty");
    if (count > FH_LIMIT_SCHEMA_VALUES) return schema_refuse(b, p->at, "enum", "has %zu values; at most %d", count, FH_LIMIT_SCHEMA_VALUES);
    for (size_t i = 0; i < count; i++) {
        const fh_json *value = single ? list : fh_json_at(list, i);
        int rc = schema_value_fits(b, all, value);
        if (rc == SCHEMA_POSSIBLE) rc = add_value(b, value, !any, body);
        if (rc < 0) return rc;
        any = any || rc == SCHEMA_POSSIBLE;
    }
    return any ? SCHEMA_POSSIBLE
               : schema_impossible(b, p->at, single ? "const" : "enum", "no value of it satisfies the rest of the schema");
}
