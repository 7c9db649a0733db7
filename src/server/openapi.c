/* GET /api/openapi.json: OpenAPI 3.1, made from the table of routes and the shapes. */
#include "server_private.h"

#include <string.h>

static fh_json *object1(const char *name, fh_json *value)
{
    fh_json *o = fh_json_new_object();
    fh_json_set(o, name, value);
    return o;
}

/* Type names of shapes.c that JSON Schema knows under the same name. */
static bool plain_type(fh_str type)
{
    static const char *const names[] = {"string", "integer", "number", "boolean", "object"};
    for (size_t i = 0; i < FH_COUNT(names); i++)
        if (fh_str_eqs(type, names[i])) return true;
    return false;
}

static fh_json *reference(fh_str shape)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(256);
    fh_buf_addf(&text, "#/components/schemas/%.*s", (int)shape.len, shape.ptr);
    return object1("$ref", fh_json_new_cstr(fh_buf_cstr(&text)));
}

static fh_json *schema_of(fh_str type)
{
    if (fh_str_ends(type, FH_STR("[]"))) {
        fh_json *array = object1("type", fh_json_new_cstr("array"));
        fh_json_set(array, "items", schema_of((fh_str){type.ptr, type.len - 2}));
        return array;
    }
    if (plain_type(type)) return object1("type", fh_json_new_str(type));
    if (!fh_str_eqs(type, "time")) return reference(type);
    fh_json *time = object1("type", fh_json_new_cstr("string"));
    fh_json_set(time, "format", fh_json_new_cstr("date-time"));
    return time;
}

static fh_json *field_schema(const api_field *f)
{
    fh_json *schema = schema_of(fh_str_of(f->type));
    if (f->nullable) {
        fh_json *any = fh_json_new_array();
        fh_json_append(any, schema);
        fh_json_append(any, object1("type", fh_json_new_cstr("null")));
        schema = object1("anyOf", any);
    }
    fh_json_set(schema, "description", fh_json_new_cstr(f->help));
    return schema;
}

static fh_json *shape_schema(const api_shape *shape)
{
    fh_json *schema = object1("type", fh_json_new_cstr("object")), *properties = fh_json_new_object(), *required = fh_json_new_array();
    for (const api_field *f = shape->fields; f->name; f++) {
        fh_json_set(properties, f->name, field_schema(f));
        if (f->required) fh_json_append(required, fh_json_new_cstr(f->name));
    }
    fh_json_set(schema, "properties", properties);
    fh_json_set(schema, "required", required);
    return schema;
}

/* A list reply is a page: {"items": [...], "next": cursor or null}. */
static fh_json *reply_schema(const char *reply)
{
    fh_str type = fh_str_of(reply);
    if (!fh_str_ends(type, FH_STR("[]"))) return schema_of(type);
    fh_json *page = object1("type", fh_json_new_cstr("object")), *properties = object1("items", schema_of(type)),
            *required = fh_json_new_array();
    fh_json *next = fh_json_new_array();
    fh_json_append(next, fh_json_new_cstr("string"));
    fh_json_append(next, fh_json_new_cstr("null"));
    fh_json_set(properties, "next", object1("type", next));
    fh_json_append(required, fh_json_new_cstr("items"));
    fh_json_append(required, fh_json_new_cstr("next"));
    fh_json_set(page, "properties", properties);
    fh_json_set(page, "required", required);
    return page;
}

static fh_json *content(const char *media, fh_json *schema)
{
    return object1(media, object1("schema", schema));
}

static fh_json *good_reply(const api_route *r)
{
    fh_json *reply = object1("description", fh_json_new_cstr(r->summary));
    if (!r->reply) return reply;
    fh_json *string = NULL;
    const char *media = strcmp(r->reply, "text") == 0 ? "text/plain" : strcmp(r->reply, "events") == 0 ? "text/event-stream" : NULL;
    if (media) string = object1("type", fh_json_new_cstr("string"));
    fh_json_set(reply, "content", media ? content(media, string) : content("application/json", reply_schema(r->reply)));
    return reply;
}

static fh_json *replies(const api_route *r)
{
    char status[4] = {(char)('0' + r->status / 100), (char)('0' + r->status / 10 % 10), (char)('0' + r->status % 10), '\0'};
    fh_json *o = object1(status, good_reply(r)),
            *bad = object1("description", fh_json_new_cstr("What failed, why and what to do (RFC 9457)"));
    fh_json_set(bad, "content", content("application/problem+json", reference(FH_STR("Problem"))));
    fh_json_set(o, "default", bad);
    return o;
}

static void add_parameter(fh_json *list, fh_str name, const char *in, bool required)
{
    fh_json *p = object1("name", fh_json_new_str(name));
    fh_json_set(p, "in", fh_json_new_cstr(in));
    fh_json_set(p, "required", fh_json_new_bool(required));
    fh_json_set(p, "schema", object1("type", fh_json_new_cstr("string")));
    fh_json_append(list, p);
}

static void add_query(fh_json *list, const api_query *q)
{
    fh_json *p = object1("name", fh_json_new_cstr(q->name));
    fh_json *schema = object1("type", fh_json_new_cstr(q->most ? "integer" : "string"));
    if (q->most) {
        fh_json_set(schema, "minimum", fh_json_new_int(0));
        fh_json_set(schema, "maximum", fh_json_new_int((int64_t)q->most));
    }
    fh_json_set(p, "in", fh_json_new_cstr("query"));
    fh_json_set(p, "required", fh_json_new_bool(false));
    fh_json_set(p, "description", fh_json_new_cstr(q->help));
    fh_json_set(p, "schema", schema);
    fh_json_append(list, p);
}

static fh_json *parameters(const api_route *r)
{
    fh_json *list = fh_json_new_array();
    const char *brace = strchr(r->path, '{');
    if (brace) add_parameter(list, (fh_str){brace + 1, strcspn(brace + 1, "}")}, "path", true);
    if (r->flags & API_KEEPS_TOKEN) add_parameter(list, FH_STR("Idempotency-Key"), "header", false);
    for (const api_query *q = api_queries; q->route; q++)
        if (strcmp(q->route, r->id) == 0) add_query(list, q);
    return list;
}

static fh_json *operation(const api_route *r)
{
    fh_json *o = object1("operationId", fh_json_new_cstr(r->id)), *body;
    fh_json_set(o, "summary", fh_json_new_cstr(r->summary));
    fh_json_set(o, "parameters", parameters(r));
    if (r->request) {
        body = object1("content", content("application/json", reference(fh_str_of(r->request))));
        fh_json_set(body, "required", fh_json_new_bool(true));
        fh_json_set(o, "requestBody", body);
    }
    fh_json_set(o, "responses", replies(r));
    if (r->who == API_OPEN) fh_json_set(o, "security", fh_json_new_array());
    return o;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static void add_path(fh_json *paths, const char *path)
{
    fh_json *item = fh_json_new_object();
    for (const api_route *r = api_routes; r->method; r++) {
        char method[8] = "";
        if (strcmp(r->path, path) != 0) continue;
        for (size_t i = 0; r->method[i] && i + 1 < sizeof method; i++) method[i] = lower(r->method[i]);
        fh_json_set(item, method, operation(r));
    }
    fh_json_set(paths, path, item);
}

static fh_json *components(void)
{
    fh_json *o = fh_json_new_object(), *schemas = fh_json_new_object(), *scheme = object1("type", fh_json_new_cstr("http"));
    for (const api_shape *s = api_shapes; s->name; s++) fh_json_set(schemas, s->name, shape_schema(s));
    fh_json_set(scheme, "scheme", fh_json_new_cstr("bearer"));
    fh_json_set(o, "schemas", schemas);
    fh_json_set(o, "securitySchemes", object1("key", scheme));
    return o;
}

fh_json *fh_openapi_document(void)
{
    fh_json *doc = object1("openapi", fh_json_new_cstr("3.1.0")), *info = object1("title", fh_json_new_cstr("freehold control plane"));
    fh_json *paths = fh_json_new_object(), *security = fh_json_new_array();
    fh_json_set(info, "version", fh_json_new_cstr(FH_VERSION));
    fh_json_set(doc, "info", info);
    for (const api_route *r = api_routes; r->method; r++)
        if (!fh_json_get(paths, r->path)) add_path(paths, r->path);
    fh_json_set(doc, "paths", paths);
    fh_json_set(doc, "components", components());
    fh_json_append(security, object1("key", fh_json_new_array()));
    fh_json_set(doc, "security", security);
    return doc;
}

void api_openapi(api_call *c)
{
    api_reply(c, 200, fh_openapi_document());
}
