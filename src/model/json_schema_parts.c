/* The keywords that the schema compiler knows, and how $ref and allOf make one conjunction of several schemas. */
#include "json_schema_private.h"

#include <math.h>

/* ---- keywords ---- */

static const char *const enforced[] = {"type",
                                       "properties",
                                       "required",
                                       "additionalProperties",
                                       "patternProperties",
                                       "propertyNames",
                                       "minProperties",
                                       "maxProperties",
                                       "items",
                                       "prefixItems",
                                       "minItems",
                                       "maxItems",
                                       "enum",
                                       "const",
                                       "anyOf",
                                       "oneOf",
                                       "allOf",
                                       "$ref",
                                       "$defs",
                                       "definitions",
                                       "minLength",
                                       "maxLength",
                                       "pattern",
                                       "format",
                                       "minimum",
                                       "maximum",
                                       "exclusiveMinimum",
                                       "exclusiveMaximum",
                                       "multipleOf"};
static const char *const ignored[] = {"title",
                                      "description",
                                      "default",
                                      "example",
                                      "examples",
                                      "$schema",
                                      "$id",
                                      "$comment",
                                      "$vocabulary",
                                      "deprecated",
                                      "readOnly",
                                      "writeOnly",
                                      "contentEncoding",
                                      "contentSchema",
                                      "contentMediaType",
                                      "discriminator",
                                      "externalDocs",
                                      "xml"};

static bool listed(fh_str key, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fh_str_eqs(key, list[i])) return true;
    return false;
}

static int unknown_keyword(schema_build *b, const char *at, fh_str key)
{
    size_t shown = fh_utf8_whole(key.ptr, FH_MIN(key.len, (size_t)64));
    fh_err_set(b->err, FH_E_INVALID, "the schema's keyword '%.*s' cannot be enforced", (int)shown, key.ptr);
    fh_err_hint(b->err, "leave it out; docs/STRUCTURED.md lists what is accepted");
    const char *where = schema_pointer(b, at, key);
    fh_err_param(b->err, "%s%s", b->param, where ? where : at);
    return FH_E_INVALID;
}

/* Keywords that ask for nothing in the form in which they stand. */
static bool asks_nothing(fh_str key, const fh_json *value)
{
    if (fh_str_eqs(key, "uniqueItems")) return fh_json_kind_of(value) == FH_JSON_BOOL && !fh_json_is_true(value);
    return fh_str_starts(key, FH_STR("x-"));
}

static int check_keywords(schema_build *b, const fh_json *schema, const char *at)
{
    fh_str key;
    const fh_json *value;
    for (void *it = NULL; fh_json_next(schema, &it, &key, &value);) {
        if (listed(key, enforced, FH_COUNT(enforced)) || listed(key, ignored, FH_COUNT(ignored)) || asks_nothing(key, value)) continue;
        return unknown_keyword(b, at, key);
    }
    return 0;
}

const fh_json *schema_get(const schema_part *p, const char *keyword)
{
    return fh_json_get(p->schema, keyword);
}

/* ---- $ref ---- */

static int hex_of(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One step of a pointer inside a URI fragment: %XX, ~0 and ~1 undone. */
static bool unescape(fh_str step, fh_buf *out)
{
    for (size_t i = 0; i < step.len; i++) {
        char c = step.ptr[i];
        if (c == '%') {
            int high = i + 2 < step.len ? hex_of(step.ptr[i + 1]) : -1, low = high >= 0 ? hex_of(step.ptr[i + 2]) : -1;
            if (low < 0) return false;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '~') {
            char n = i + 1 < step.len ? step.ptr[i + 1] : 0;
            if (n != '0' && n != '1') return false;
            c = n == '0' ? '~' : '/';
            i++;
        }
        if (!c || !fh_buf_addc(out, c)) return false;
    }
    return true;
}

static const fh_json *step_into(const fh_json *v, fh_str step)
{
    FH_AUTO(buf) fh_buf name = FH_BUF(FH_LIMIT_SCHEMA_POINTER_BYTES);
    uint64_t i;
    if (!unescape(step, &name)) return NULL;
    if (fh_json_kind_of(v) == FH_JSON_OBJECT) return fh_json_get(v, fh_buf_cstr(&name));
    return fh_str_u64((fh_str){fh_buf_cstr(&name), name.len}, SIZE_MAX, &i) ? fh_json_at(v, (size_t)i) : NULL;
}

/* What "#/a/b" points to in the schema; NULL: nothing. */
static const fh_json *resolve(const schema_build *b, fh_str ref)
{
    const fh_json *v = b->root;
    for (size_t i = 1; v && i < ref.len;) {
        if (ref.ptr[i] != '/') return NULL;
        fh_str rest = {ref.ptr + i + 1, ref.len - i - 1};
        size_t n = fh_str_find(rest, FH_STR("/"));
        v = step_into(v, (fh_str){rest.ptr, n});
        i += 1 + n;
    }
    return v;
}

static const schema_part *find_part(const schema_all *all, const fh_json *schema)
{
    for (size_t i = 0; i < all->count; i++)
        if (all->parts[i].schema == schema) return &all->parts[i];
    return NULL;
}

/* A schema that a branch of its own leads back to, without a value in between, would say nothing or everything. */
static int meet_again(schema_build *b, const schema_part *there, const char *at)
{
    if (there->skip == 0) return SCHEMA_POSSIBLE;
    return schema_refuse(b, at, "$ref", "leads back to the schema that it stands in, and to no value in between");
}

static int add_ref(schema_build *b, schema_all *all, const fh_json *schema, const char *at)
{
    const fh_json *v = fh_json_get(schema, "$ref");
    fh_str ref = fh_json_str(v);
    if (!v) return SCHEMA_POSSIBLE;
    if (!ref.ptr || ref.len == 0 || ref.ptr[0] != '#')
        return schema_refuse(b, at, "$ref", "must point into the same schema (\"#/...\"); nothing is fetched");
    const fh_json *target = resolve(b, ref);
    const char *there = fh_arena_strndup(b->arena, ref.ptr + 1, ref.len - 1);
    if (!target) return schema_refuse(b, at, "$ref", "points to nothing");
    const schema_part *met = find_part(all, target);
    if (met) return meet_again(b, met, at);
    return there ? schema_add_part(b, all, target, there) : schema_memory(b, NULL);
}

/* ---- conjunctions ---- */

static int add_all_of(schema_build *b, schema_all *all, const fh_json *schema, const char *at)
{
    const fh_json *list = fh_json_get(schema, "allOf");
    int rc = SCHEMA_POSSIBLE;
    if (!list) return rc;
    if (fh_json_kind_of(list) != FH_JSON_ARRAY || fh_json_count(list) == 0)
        return schema_refuse(b, at, "allOf", "must be a list that is not empty");
    for (size_t i = 0; rc == SCHEMA_POSSIBLE && i < fh_json_count(list); i++) {
        const char *there = schema_pointer_index(b, at, "allOf", i);
        rc = there ? schema_add_part(b, all, fh_json_at(list, i), there) : schema_memory(b, NULL);
    }
    return rc;
}

static int not_a_schema(schema_build *b, const char *at)
{
    fh_err_set(b->err, FH_E_INVALID, "a schema must be an object or a boolean");
    fh_err_param(b->err, "%s%s", b->param, at);
    return FH_E_INVALID;
}

int schema_add_part(schema_build *b, schema_all *all, const fh_json *schema, const char *at)
{
    fh_json_kind kind = fh_json_kind_of(schema);
    if (kind == FH_JSON_BOOL) return fh_json_is_true(schema) ? SCHEMA_POSSIBLE : schema_impossible(b, at, NULL, "false matches nothing");
    if (kind != FH_JSON_OBJECT) return not_a_schema(b, at);
    const schema_part *met = find_part(all, schema);
    if (met) return meet_again(b, met, at);
    int rc = check_keywords(b, schema, at);
    if (rc) return rc;
    if (all->count == SCHEMA_PARTS) return schema_refuse(b, at, "allOf", "more than %d schemas for one value", SCHEMA_PARTS);
    all->parts[all->count++] = (schema_part){.schema = schema, .at = at};
    rc = add_ref(b, all, schema, at);
    return rc == SCHEMA_POSSIBLE ? add_all_of(b, all, schema, at) : rc;
}

/* ---- types ---- */

static const struct type_name {
    const char *name;
    unsigned types;
} type_names[] = {{"null", TYPE_NULL},     {"boolean", TYPE_BOOLEAN}, {"integer", TYPE_INTEGER}, {"number", TYPE_NUMBER},
                  {"string", TYPE_STRING}, {"array", TYPE_ARRAY},     {"object", TYPE_OBJECT}};

static unsigned type_of_name(fh_str name)
{
    for (size_t i = 0; i < FH_COUNT(type_names); i++)
        if (fh_str_eqs(name, type_names[i].name)) return type_names[i].types;
    return 0;
}

static int types_of_part(schema_build *b, const schema_part *p, unsigned *ret)
{
    const fh_json *v = schema_get(p, "type");
    unsigned types = 0;
    bool list = fh_json_kind_of(v) == FH_JSON_ARRAY;
    if (!v) return 0;
    for (size_t i = 0; i < (list ? fh_json_count(v) : 1); i++) {
        unsigned one = type_of_name(fh_json_str(list ? fh_json_at(v, i) : v));
        if (!one) return schema_refuse(b, p->at, "type", "must name a type of JSON, or a list of them");
        types |= one;
    }
    *ret &= types;
    return 0;
}

static const struct hint {
    const char *keyword;
    unsigned types;
} hints[] = {{"properties", TYPE_OBJECT},
             {"required", TYPE_OBJECT},
             {"additionalProperties", TYPE_OBJECT},
             {"propertyNames", TYPE_OBJECT},
             {"patternProperties", TYPE_OBJECT},
             {"minProperties", TYPE_OBJECT},
             {"maxProperties", TYPE_OBJECT},
             {"items", TYPE_ARRAY},
             {"prefixItems", TYPE_ARRAY},
             {"minItems", TYPE_ARRAY},
             {"maxItems", TYPE_ARRAY},
             {"minLength", TYPE_STRING},
             {"maxLength", TYPE_STRING},
             {"pattern", TYPE_STRING},
             {"format", TYPE_STRING},
             {"minimum", TYPE_NUMBER},
             {"maximum", TYPE_NUMBER},
             {"exclusiveMinimum", TYPE_NUMBER},
             {"exclusiveMaximum", TYPE_NUMBER},
             {"multipleOf", TYPE_NUMBER}};

/* A schema that says no type, but has keywords of some types, means values of these: others would satisfy it unchecked. */
static unsigned hinted(const schema_all *all)
{
    unsigned types = 0;
    for (size_t i = 0; i < all->count; i++)
        for (size_t k = 0; k < FH_COUNT(hints); k++)
            if (schema_get(&all->parts[i], hints[k].keyword)) types |= hints[k].types;
    return types;
}

int schema_types(schema_build *b, const schema_all *all, unsigned *ret)
{
    unsigned types = TYPE_ALL, meant = hinted(all);
    const char *at = "";
    for (size_t i = 0; i < all->count; i++) {
        if (!schema_get(&all->parts[i], "type")) continue;
        at = all->parts[i].at;
        int rc = types_of_part(b, &all->parts[i], &types);
        if (rc) return rc;
    }
    if (types == TYPE_ALL && meant) types = meant;
    if (!types) return schema_impossible(b, at, "type", "the types exclude each other");
    if (types & TYPE_FRACTION) types |= TYPE_INTEGER;
    *ret = types;
    return SCHEMA_POSSIBLE;
}

/* ---- counts ---- */

static bool read_count(const fh_json *v, uint64_t *ret)
{
    double x = fh_json_num(v, -1);
    if (!(x >= 0) || floor(x) < x) return false;
    *ret = fh_json_kind_of(v) == FH_JSON_INT ? (uint64_t)fh_json_int(v, 0) : x < 9e18 ? (uint64_t)x : INT64_MAX;
    return true;
}

int schema_count_read(schema_build *b, const schema_all *all, const char *keyword, bool largest, schema_count *ret)
{
    *ret = (schema_count){.value = largest ? 0 : UINT64_MAX};
    for (size_t i = 0; i < all->count; i++) {
        const schema_part *p = &all->parts[i];
        const fh_json *v = schema_get(p, keyword);
        uint64_t n;
        if (!v) continue;
        if (!read_count(v, &n)) return schema_refuse(b, p->at, keyword, "must be a whole number, 0 or more");
        if (ret->at && (largest ? n <= ret->value : n >= ret->value)) continue;
        *ret = (schema_count){n, p->at};
    }
    return 0;
}
