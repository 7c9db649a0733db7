/* Arguments that are written as text become JSON by the tool's schema: a string stays one whatever it looks like, other types are parsed.
 */
#include "toolfmt.h"

enum { TYPES_DEPTH = 8, T_STRING = 1, T_NUMBER = 2, T_INTEGER = 4, T_BOOL = 8, T_NULL = 16, T_ARRAY = 32, T_OBJECT = 64, T_ANY = 127 };

static unsigned type_of_name(fh_str s)
{
    static const struct {
        const char *name;
        unsigned type;
    } names[] = {{"string", T_STRING},   {"number", T_NUMBER | T_INTEGER},
                 {"integer", T_INTEGER}, {"boolean", T_BOOL},
                 {"null", T_NULL},       {"array", T_ARRAY},
                 {"object", T_OBJECT},   {"str", T_STRING},
                 {"int", T_INTEGER},     {"float", T_NUMBER | T_INTEGER},
                 {"bool", T_BOOL},       {"list", T_ARRAY},
                 {"dict", T_OBJECT}};
    for (size_t i = 0; i < FH_COUNT(names); i++)
        if (fh_str_eqs(s, names[i].name)) return names[i].type;
    return T_ANY;
}

static unsigned type_of_value(const fh_json *v)
{
    switch (fh_json_kind_of(v)) {
    case FH_JSON_NULL: return T_NULL;
    case FH_JSON_BOOL: return T_BOOL;
    case FH_JSON_INT: return T_INTEGER;
    case FH_JSON_REAL: return T_NUMBER;
    case FH_JSON_STRING: return T_STRING;
    case FH_JSON_ARRAY: return T_ARRAY;
    case FH_JSON_OBJECT: break;
    }
    return T_OBJECT;
}

static unsigned types(const fh_json *schema, unsigned depth);

static unsigned types_of_all(const fh_json *list, unsigned depth)
{
    unsigned all = 0;
    for (size_t i = 0; i < fh_json_count(list); i++) all |= types(fh_json_at(list, i), depth + 1);
    return all;
}

static unsigned types_of_values(const fh_json *list)
{
    unsigned all = 0;
    for (size_t i = 0; i < fh_json_count(list); i++) all |= type_of_value(fh_json_at(list, i));
    return all;
}

/* What the schema allows; everything where it does not say. */
static unsigned types(const fh_json *schema, unsigned depth)
{
    const fh_json *type = fh_json_get(schema, "type"), *any = fh_json_get(schema, "anyOf");
    unsigned all = 0;
    if (depth > TYPES_DEPTH) return T_ANY;
    if (!any) any = fh_json_get(schema, "oneOf");
    if (fh_json_kind_of(type) == FH_JSON_STRING)
        all = type_of_name(fh_json_str(type));
    else if (fh_json_count(type))
        for (size_t i = 0; i < fh_json_count(type); i++) all |= type_of_name(fh_json_str(fh_json_at(type, i)));
    else if (fh_json_count(any))
        all = types_of_all(any, depth);
    else if (fh_json_count(fh_json_get(schema, "enum")))
        all = types_of_values(fh_json_get(schema, "enum"));
    else if (fh_json_get(schema, "const"))
        all = type_of_value(fh_json_get(schema, "const"));
    return all ? all : T_ANY;
}

tf_value tf_value_type(const fh_json *schema)
{
    unsigned all = types(schema, 0);
    if (all == T_STRING) return TF_STRING;
    return all & T_STRING ? TF_EITHER : TF_JSON_VALUE;
}

static bool as_string(fh_str text, fh_buf *out)
{
    return fh_buf_add_json_string(out, text.ptr, text.len);
}

/* Python's spellings, which models mix with JSON's. */
static fh_str json_spelling(fh_str s)
{
    if (fh_str_eqs(s, "True")) return FH_STR("true");
    if (fh_str_eqs(s, "False")) return FH_STR("false");
    return fh_str_eqs(s, "None") ? FH_STR("null") : s;
}

static unsigned parsed_type(fh_str text)
{
    FH_AUTO(json) fh_json *v = NULL;
    FH_AUTO(buf) fh_buf list = FH_BUF(text.len + 3);
    fh_buf_addc(&list, '[');
    fh_buf_add(&list, text.ptr, text.len);
    fh_buf_addc(&list, ']');
    if (!fh_buf_ok(&list) || fh_json_parse(&v, (fh_str){list.data, list.len}, list.len, NULL)) return 0;
    return fh_json_count(v) == 1 ? type_of_value(fh_json_at(v, 0)) : 0;
}

bool tf_value_json(tf_value type, const fh_json *schema, fh_str text, fh_buf *out)
{
    fh_str value = json_spelling(fh_str_trim(text));
    unsigned allowed = type == TF_EITHER ? types(schema, 0) & ~(unsigned)T_STRING : T_ANY,
             found = type == TF_STRING ? 0 : parsed_type(value);
    if (type == TF_EITHER && found == T_STRING) found = 0; /* quotes are part of a string where it may be one */
    if (found & allowed) return fh_buf_add(out, value.ptr, value.len);
    bool python = type == TF_JSON_VALUE && value.len && (*value.ptr == '[' || *value.ptr == '{');
    return (python && tf_python_literal(value, out)) || as_string(text, out);
}
