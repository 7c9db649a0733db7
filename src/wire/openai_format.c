/* What the answer is to be held to: OpenAI's response_format, and the fields by which llama-server and vLLM take schemas and grammars. At
 * most one of them. The schema itself is checked by who enforces it. */
#include "private.h"

typedef struct field { /* of the request, or of the object that is the request's `group` */
    const char *group, *name, *param;
    fh_wire_format format; /* FH_WIRE_FORMAT_TEXT: a form that our engine does not know */
} field;

static const field fields[] = {
    {NULL, "grammar", "grammar", FH_WIRE_FORMAT_GRAMMAR},
    {NULL, "json_schema", "json_schema", FH_WIRE_FORMAT_SCHEMA},
    {NULL, "guided_json", "guided_json", FH_WIRE_FORMAT_SCHEMA},
    {NULL, "guided_grammar", "guided_grammar", FH_WIRE_FORMAT_GRAMMAR},
    {NULL, "guided_regex", "guided_regex", FH_WIRE_FORMAT_TEXT},
    {NULL, "guided_choice", "guided_choice", FH_WIRE_FORMAT_TEXT},
    {"structured_outputs", "json", "structured_outputs.json", FH_WIRE_FORMAT_SCHEMA},
    {"structured_outputs", "grammar", "structured_outputs.grammar", FH_WIRE_FORMAT_GRAMMAR},
    {"structured_outputs", "regex", "structured_outputs.regex", FH_WIRE_FORMAT_TEXT},
    {"structured_outputs", "choice", "structured_outputs.choice", FH_WIRE_FORMAT_TEXT},
    {"structured_outputs", "json_object", "structured_outputs.json_object", FH_WIRE_FORMAT_TEXT},
    {"structured_outputs", "structural_tag", "structured_outputs.structural_tag", FH_WIRE_FORMAT_TEXT},
};

static int take_format(fh_wire_request *r, fh_wire_format format, const fh_json *v, const char *param, fh_err **err)
{
    fh_json_kind kind = fh_json_kind_of(v);
    if (r->format_param) return fh_wire_bad(err, param, "'%s' and '%s' exclude each other: give one of them", r->format_param, param);
    if (format == FH_WIRE_FORMAT_SCHEMA && kind != FH_JSON_OBJECT && kind != FH_JSON_BOOL)
        return fh_wire_bad(err, param, "'%s' must be a JSON schema, which is an object", param);
    if (format == FH_WIRE_FORMAT_GRAMMAR && kind != FH_JSON_STRING) return fh_wire_bad(err, param, "'%s' must be a grammar as text", param);
    r->format = format;
    r->format_param = param;
    r->schema = format == FH_WIRE_FORMAT_SCHEMA ? v : NULL;
    r->grammar = format == FH_WIRE_FORMAT_GRAMMAR ? fh_json_str(v) : (fh_str){NULL, 0};
    return 0;
}

/* ---- response_format ---- */

static int take_named_schema(fh_wire_request *r, const fh_json *v, fh_err **err)
{
    fh_str text = {NULL, 0};
    bool strict = false;
    if (fh_json_kind_of(v) != FH_JSON_OBJECT)
        return fh_wire_bad(err, "response_format.json_schema", "a format of type json_schema needs an object 'json_schema'");
    int rc = fh_json_read_str(v, "name", false, &text, err);
    if (rc == 0) rc = fh_json_read_str(v, "description", false, &text, err);
    if (rc == 0) rc = fh_json_read_bool(v, "strict", false, &strict, err);
    if (rc < 0) return fh_wire_below(rc, err, "response_format.json_schema");
    const fh_json *schema = fh_json_get(v, "schema");
    if (fh_wire_absent(schema)) return fh_wire_bad(err, "response_format.json_schema.schema", "'json_schema' has no 'schema'");
    return take_format(r, FH_WIRE_FORMAT_SCHEMA, schema, "response_format.json_schema.schema", err);
}

/* llama-server also takes the schema beside the type. */
static int take_type(fh_wire_request *r, const fh_json *v, fh_str type, fh_err **err)
{
    const fh_json *beside = fh_json_get(v, "schema");
    bool schema = fh_str_eqs(type, "json_schema"), object = fh_str_eqs(type, "json_object");
    if (fh_str_eqs(type, "text")) return 0;
    if (!schema && !object) {
        fh_wire_need_add(r, FH_NEED_OTHER_FORMAT, NULL);
        return 0;
    }
    fh_wire_need_add(r, FH_NEED_FORMAT, NULL);
    if (!fh_wire_absent(beside)) return take_format(r, FH_WIRE_FORMAT_SCHEMA, beside, "response_format.schema", err);
    if (object) return take_format(r, FH_WIRE_FORMAT_OBJECT, v, "response_format", err);
    return take_named_schema(r, fh_json_get(v, "json_schema"), err);
}

static int take_response_format(fh_wire_request *r, fh_err **err)
{
    const fh_json *v = fh_json_get(r->doc, "response_format");
    fh_str type = {NULL, 0};
    if (fh_wire_absent(v)) return 0;
    if (fh_json_kind_of(v) != FH_JSON_OBJECT) return fh_wire_bad(err, "response_format", "'response_format' must be an object");
    int rc = fh_wire_below(fh_json_read_str(v, "type", true, &type, err), err, "response_format");
    return rc < 0 ? rc : take_type(r, v, type, err);
}

/* ---- the fields of other servers ---- */

static int take_field(fh_wire_request *r, const field *f, fh_err **err)
{
    const fh_json *group = f->group ? fh_json_get(r->doc, f->group) : r->doc;
    if (fh_wire_absent(group)) return 0;
    if (fh_json_kind_of(group) != FH_JSON_OBJECT) return fh_wire_bad(err, f->group, "'%s' must be an object", f->group);
    const fh_json *v = fh_json_get(group, f->name);
    if (fh_wire_absent(v)) return 0;
    fh_wire_need_add(r, f->format == FH_WIRE_FORMAT_TEXT ? FH_NEED_OTHER_FORMAT : FH_NEED_GRAMMAR, f->param);
    return f->format == FH_WIRE_FORMAT_TEXT ? 0 : take_format(r, f->format, v, f->param, err);
}

int fh_wire_format_check(fh_wire_request *r, fh_err **err)
{
    int rc = take_response_format(r, err);
    for (size_t i = 0; rc == 0 && i < FH_COUNT(fields); i++) rc = take_field(r, &fields[i], err);
    return rc;
}
