/* The table of routes, its shapes, and the description made from them. */
#include "cmocka_all.h"
#include "server_private.h"

#include <stdio.h>
#include <string.h>

/* "Model[]" names the shape Model; plain types, text and events name none. */
static bool is_known_type(const char *type)
{
    static const char *const plain[] = {"string", "integer", "number", "boolean", "object", "time", "text", "events"};
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(type, "["), type);
    for (size_t i = 0; i < FH_COUNT(plain); i++)
        if (strcmp(name, plain[i]) == 0) return true;
    return api_shape_find(name)->name != NULL;
}

static void every_route_is_complete_and_names_shapes_that_exist(void **state)
{
    (void)state;
    for (const api_route *r = api_routes; r->method; r++) {
        assert_true(r->handle && r->id[0] && r->summary[0]);
        assert_true(strncmp(r->path, "/api/", 5) == 0);
        assert_true(!r->request || api_shape_find(r->request)->name);
        assert_true(!r->reply || is_known_type(r->reply));
        assert_true(r->reply || r->status == 204);
        assert_true((strcmp(r->method, "POST") == 0) == (r->request != NULL));
        assert_true(!(r->flags & API_KEEPS_TOKEN) || strcmp(r->method, "POST") == 0);
        for (const api_route *other = api_routes; other != r; other++) {
            assert_string_not_equal(other->id, r->id);
            assert_false(strcmp(other->method, r->method) == 0 && strcmp(other->path, r->path) == 0);
        }
    }
}

static void nothing_but_signing_in_is_open(void **state)
{
    (void)state;
    for (const api_route *r = api_routes; r->method; r++)
        if (r->who == API_OPEN) assert_string_equal(r->id, "createSession");
}

static void what_changes_something_wants_an_admin(void **state)
{
    (void)state;
    for (const api_route *r = api_routes; r->method; r++) {
        bool own = strcmp(r->path, "/api/v1/session") == 0 || strcmp(r->id, "createOutcome") == 0; /* of the key's own requests alone */
        bool run = strcmp(r->id, "createDeployment") == 0 || strcmp(r->id, "wakeDeployment") == 0; /* its handler looks at scopes */
        bool reads = strcmp(r->id, "createPlans") == 0 || strcmp(r->id, "quoteRental") == 0;       /* it answers, and changes nothing */
        bool guards = strcmp(r->id, "askGuard") == 0; /* it tells, and notes that somebody watches */
        if (strcmp(r->method, "GET") != 0 && !own && !reads) assert_int_equal(r->who, run ? API_RUN : guards ? API_GUARD : API_ADMIN);
    }
}

static void every_field_has_a_type_and_a_meaning(void **state)
{
    (void)state;
    for (const api_shape *s = api_shapes; s->name; s++) {
        for (const api_field *f = s->fields; f->name; f++) {
            assert_true(is_known_type(f->type));
            assert_true(f->help[0] != 0);
            for (const api_field *other = s->fields; other != f; other++) assert_string_not_equal(other->name, f->name);
        }
    }
}

static void the_description_holds_every_route(void **state)
{
    (void)state;
    FH_AUTO(json) fh_json *doc = fh_openapi_document();
    const fh_json *paths = fh_json_get(doc, "paths"), *schemas = fh_json_get(fh_json_get(doc, "components"), "schemas");
    size_t operations = 0, routes = 0;
    for (const api_route *r = api_routes; r->method; r++) {
        char method[8] = "";
        for (size_t i = 0; r->method[i]; i++) method[i] = (char)(r->method[i] + 32);
        const fh_json *o = fh_json_get(fh_json_get(paths, r->path), method);
        assert_int_equal(fh_json_kind_of(o), FH_JSON_OBJECT);
        assert_true(fh_str_eqs(fh_json_str(fh_json_get(o, "operationId")), r->id));
        routes++;
    }
    void *it = NULL;
    fh_str path;
    const fh_json *item;
    while (fh_json_next(paths, &it, &path, &item)) operations += fh_json_count(item);
    assert_int_equal(operations, routes);
    for (const api_shape *s = api_shapes; s->name; s++) assert_non_null(fh_json_get(schemas, s->name));
}

static const fh_json *described(const fh_json *doc, const api_query *q)
{
    const api_route *r = api_routes;
    while (r->method && strcmp(r->id, q->route) != 0) r++;
    assert_non_null(r->method);
    assert_string_equal(r->method, "GET");
    const fh_json *o = fh_json_get(fh_json_get(fh_json_get(doc, "paths"), r->path), "get"), *list = fh_json_get(o, "parameters");
    for (size_t i = 0; i < fh_json_count(list); i++) {
        const fh_json *p = fh_json_at(list, i);
        if (fh_str_eqs(fh_json_str(fh_json_get(p, "name")), q->name)) return p;
    }
    return NULL;
}

static void parameters_of_a_query_are_described_with_their_bounds(void **state)
{
    (void)state;
    FH_AUTO(json) fh_json *doc = fh_openapi_document();
    size_t texts = 0, numbers = 0;
    for (const api_query *q = api_queries; q->route; q++) {
        const fh_json *p = described(doc, q), *schema = fh_json_get(p, "schema");
        assert_non_null(p);
        assert_true(fh_str_eqs(fh_json_str(fh_json_get(p, "in")), "query"));
        assert_true(fh_json_str(fh_json_get(p, "description")).len > 0);
        assert_true(fh_str_eqs(fh_json_str(fh_json_get(schema, "type")), q->most ? "integer" : "string"));
        if (q->most) assert_int_equal(fh_json_int(fh_json_get(schema, "maximum"), 0), q->most);
        q->most ? numbers++ : texts++;
    }
    assert_true(numbers >= 4 && texts >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_complete_and_names_shapes_that_exist),
        cmocka_unit_test(nothing_but_signing_in_is_open),
        cmocka_unit_test(what_changes_something_wants_an_admin),
        cmocka_unit_test(every_field_has_a_type_and_a_meaning),
        cmocka_unit_test(the_description_holds_every_route),
        cmocka_unit_test(parameters_of_a_query_are_described_with_their_bounds),
    };
    return cmocka_run_group_tests_name("server/routes", tests, NULL, NULL);
}
