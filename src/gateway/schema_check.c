/* Does a value keep to a JSON schema? (see schema_check.h) */
#include "schema_check.h"

#include "base/limits.h"
#include <math.h>
#include <stdio.h>

typedef struct checking {
    const fh_json *root;
    unsigned depth, steps;
} checking;

static bool keeps(checking *c, const fh_json *schema, const fh_json *value);

static bool has_type(const fh_json *v, fh_str type)
{
    static const struct {
        const char *name;
        fh_json_kind kinds[2];
    } types[] = {{"null", {FH_JSON_NULL, FH_JSON_NULL}},       {"boolean", {FH_JSON_BOOL, FH_JSON_BOOL}},
                 {"integer", {FH_JSON_INT, FH_JSON_INT}},      {"number", {FH_JSON_INT, FH_JSON_REAL}},
                 {"string", {FH_JSON_STRING, FH_JSON_STRING}}, {"array", {FH_JSON_ARRAY, FH_JSON_ARRAY}},
                 {"object", {FH_JSON_OBJECT, FH_JSON_OBJECT}}};
    fh_json_kind kind = fh_json_kind_of(v);
    double n = fh_json_num(v, 0.5);
    if (fh_str_eqs(type, "integer") && kind == FH_JSON_REAL) return floor(n) == n; /* 1.0 is an integer */
    for (size_t i = 0; i < FH_COUNT(types); i++)
        if (fh_str_eqs(type, types[i].name)) return kind == types[i].kinds[0] || kind == types[i].kinds[1];
    return true;
}

static bool type_keeps(const fh_json *type, const fh_json *v)
{
    if (fh_json_kind_of(type) == FH_JSON_STRING) return has_type(v, fh_json_str(type));
    if (fh_json_kind_of(type) != FH_JSON_ARRAY) return true;
    for (size_t i = 0; i < fh_json_count(type); i++)
        if (has_type(v, fh_json_str(fh_json_at(type, i)))) return true;
    return false;
}

/* ---- equal values ---- */

static bool is_number(const fh_json *v)
{
    return fh_json_kind_of(v) == FH_JSON_INT || fh_json_kind_of(v) == FH_JSON_REAL;
}

static bool same(const fh_json *a, const fh_json *b, unsigned depth)
{
    if (is_number(a) && is_number(b)) return !(fh_json_num(a, 0) < fh_json_num(b, 0)) && !(fh_json_num(a, 0) > fh_json_num(b, 0));
    if (fh_json_kind_of(a) != fh_json_kind_of(b) || fh_json_count(a) != fh_json_count(b) || depth > FH_LIMIT_SCHEMA_DEPTH) return false;
    if (fh_json_kind_of(a) == FH_JSON_BOOL) return fh_json_is_true(a) == fh_json_is_true(b);
    if (fh_json_kind_of(a) == FH_JSON_STRING) return fh_str_eq(fh_json_str(a), fh_json_str(b));
    for (size_t i = 0; fh_json_kind_of(a) == FH_JSON_ARRAY && i < fh_json_count(a); i++)
        if (!same(fh_json_at(a, i), fh_json_at(b, i), depth + 1)) return false;
    void *it = NULL;
    fh_str key;
    const fh_json *value;
    while (fh_json_kind_of(a) == FH_JSON_OBJECT && fh_json_next(a, &it, &key, &value)) {
        const fh_json *other = fh_json_get(b, key.ptr);
        if (!other || !same(value, other, depth + 1)) return false;
    }
    return true;
}

static bool is_among(const fh_json *list, const fh_json *v)
{
    for (size_t i = 0; i < fh_json_count(list); i++)
        if (same(fh_json_at(list, i), v, 0)) return true;
    return false;
}

static bool values_keep(const fh_json *s, const fh_json *v)
{
    const fh_json *list = fh_json_get(s, "enum"), *one = fh_json_get(s, "const");
    return type_keeps(fh_json_get(s, "type"), v) && (!list || is_among(list, v)) && (!one || same(one, v, 0));
}

/* ---- numbers and texts ---- */

static bool number_keeps(const fh_json *s, const fh_json *v)
{
    double n = fh_json_num(v, 0);
    return !is_number(v) ||
           (n >= fh_json_num(fh_json_get(s, "minimum"), -HUGE_VAL) && n <= fh_json_num(fh_json_get(s, "maximum"), HUGE_VAL) &&
            n > fh_json_num(fh_json_get(s, "exclusiveMinimum"), -HUGE_VAL) &&
            n < fh_json_num(fh_json_get(s, "exclusiveMaximum"), HUGE_VAL));
}

static bool count_keeps(const fh_json *s, const char *least, const char *most, size_t count)
{
    double n = (double)count;
    return n >= fh_json_num(fh_json_get(s, least), 0) && n <= fh_json_num(fh_json_get(s, most), HUGE_VAL);
}

static size_t letters_of(fh_str text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) n += ((uint8_t)text.ptr[i] & 0xC0) != 0x80;
    return n;
}

static bool text_keeps(const fh_json *s, const fh_json *v)
{
    return fh_json_kind_of(v) != FH_JSON_STRING || count_keeps(s, "minLength", "maxLength", letters_of(fh_json_str(v)));
}

/* ---- arrays and objects ---- */

static bool array_keeps(checking *c, const fh_json *s, const fh_json *v)
{
    const fh_json *items = fh_json_get(s, "items"), *first = fh_json_get(s, "prefixItems");
    if (fh_json_kind_of(v) != FH_JSON_ARRAY) return true;
    if (!count_keeps(s, "minItems", "maxItems", fh_json_count(v))) return false;
    for (size_t i = 0; i < fh_json_count(v); i++) {
        const fh_json *rule = i < fh_json_count(first) ? fh_json_at(first, i) : items;
        if (rule && !keeps(c, rule, fh_json_at(v, i))) return false;
    }
    return true;
}

static bool has_required(const fh_json *s, const fh_json *v)
{
    const fh_json *required = fh_json_get(s, "required");
    for (size_t i = 0; i < fh_json_count(required); i++) {
        fh_str name = fh_json_str(fh_json_at(required, i));
        if (name.ptr && !fh_json_get(v, name.ptr)) return false;
    }
    return true;
}

static bool object_keeps(checking *c, const fh_json *s, const fh_json *v)
{
    const fh_json *properties = fh_json_get(s, "properties"), *others = fh_json_get(s, "additionalProperties"), *value;
    bool patterns = fh_json_get(s, "patternProperties") != NULL; /* not known here: others may be meant by one */
    void *it = NULL;
    fh_str key;
    if (fh_json_kind_of(v) != FH_JSON_OBJECT) return true;
    if (!has_required(s, v)) return false;
    while (fh_json_next(v, &it, &key, &value)) {
        const fh_json *rule = fh_json_get(properties, key.ptr);
        if (!rule && !patterns) rule = others;
        if (rule && !keeps(c, rule, value)) return false;
    }
    return true;
}

/* ---- combinations ---- */

static size_t how_many_keep(checking *c, const fh_json *list, const fh_json *v)
{
    size_t n = 0;
    for (size_t i = 0; i < fh_json_count(list); i++) n += keeps(c, fh_json_at(list, i), v);
    return n;
}

static bool combinations_keep(checking *c, const fh_json *s, const fh_json *v)
{
    const fh_json *any = fh_json_get(s, "anyOf"), *one = fh_json_get(s, "oneOf"), *all = fh_json_get(s, "allOf");
    return (!any || how_many_keep(c, any, v) > 0) && (!one || how_many_keep(c, one, v) == 1) &&
           (!all || how_many_keep(c, all, v) == fh_json_count(all));
}

/* "#/$defs/name"; NULL for what cannot be followed here. */
static const fh_json *follow(const fh_json *root, fh_str ref)
{
    fh_str start = FH_STR("#/"), slash = FH_STR("/");
    char name[128];
    if (fh_str_eqs(ref, "#")) return root;
    if (!fh_str_starts(ref, start) || memchr(ref.ptr, '~', ref.len) || memchr(ref.ptr, '%', ref.len)) return NULL;
    for (ref = (fh_str){ref.ptr + 2, ref.len - 2}; root && ref.len;) {
        size_t n = fh_str_find(ref, slash), rest = n + (n < ref.len);
        if (n >= sizeof name) return NULL;
        snprintf(name, sizeof name, "%.*s", (int)n, ref.ptr);
        root = fh_json_get(root, name);
        ref = (fh_str){ref.ptr + rest, ref.len - rest};
    }
    return root;
}

static bool reference_keeps(checking *c, const fh_json *s, const fh_json *v)
{
    fh_str ref = fh_json_str(fh_json_get(s, "$ref"));
    const fh_json *target = ref.ptr ? follow(c->root, ref) : NULL;
    return !target || keeps(c, target, v);
}

static bool keeps(checking *c, const fh_json *s, const fh_json *v)
{
    if (fh_json_kind_of(s) == FH_JSON_BOOL) return fh_json_is_true(s);
    if (fh_json_kind_of(s) != FH_JSON_OBJECT || c->depth >= FH_LIMIT_SCHEMA_DEPTH || ++c->steps > FH_LIMIT_JUDGE_STEPS) return true;
    c->depth++;
    bool kept = values_keep(s, v) && number_keeps(s, v) && text_keeps(s, v) && array_keeps(c, s, v) && object_keeps(c, s, v) &&
                combinations_keep(c, s, v) && reference_keeps(c, s, v);
    c->depth--;
    return kept;
}

bool fh_schema_keeps(const fh_json *schema, const fh_json *value)
{
    checking c = {.root = schema};
    return keeps(&c, schema, value);
}
