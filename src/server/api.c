/* Every request of the server: admission, then the path: health, console files, the OpenAI API, the control plane.
 *
 * Requests come on the loops of the edge. Health, files, metrics and the OpenAI API are answered there. The control plane belongs to the
 * main loop: once a request for it is admitted, its connection moves there, and goes back with the first request for the OpenAI API. */
#include "base/clock.h"
#include "base/limits.h"
#include "server_private.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { TYPING_ERRORS = 4 }; /* names that differ by as many letters are not taken for one another */

fh_json *api_time(int64_t utc_ns)
{
    char text[32];
    if (utc_ns == 0) return fh_json_new_null();
    fh_clock_format_utc(utc_ns, text, sizeof text);
    return fh_json_new_cstr(text);
}

fh_json *api_list(fh_json *items, fh_json *next)
{
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "items", items);
    fh_json_set(o, "next", next);
    return o;
}

static const api_query *query_of(const api_route *r, const char *name)
{
    const api_query *q = api_queries;
    while (q->route && (strcmp(q->route, r->id) != 0 || strcmp(q->name, name) != 0)) q++;
    assert(q->route); /* what is read is described */
    return q;
}

int api_query_number(const api_call *c, const char *name, uint64_t *ret, fh_err **err)
{
    char text[FH_LIMIT_HTTP_REQUEST_LINE_BYTES];
    const api_query *q = query_of(c->route, name);
    if (!c->req || !fh_http_req_query_get(c->req, name, text, sizeof text)) return 0;
    if (fh_str_u64(fh_str_of(text), q->most, ret)) return 0;
    fh_err_set(err, FH_E_INVALID, "'%s' must be a whole number up to %llu", name, (unsigned long long)q->most);
    fh_err_param(err, "%s", name);
    return FH_E_INVALID;
}

int api_query_text(const api_call *c, const char *name, char *ret, size_t ret_size, fh_err **err)
{
    char text[FH_LIMIT_HTTP_REQUEST_LINE_BYTES];
    query_of(c->route, name);
    if (!c->req || !fh_http_req_query_get(c->req, name, text, sizeof text)) return 0;
    if (strlen(text) < ret_size) {
        memcpy(ret, text, strlen(text) + 1);
        return 0;
    }
    fh_err_set(err, FH_E_INVALID, "'%s' must be at most %zu bytes long", name, ret_size - 1);
    fh_err_param(err, "%s", name);
    return FH_E_INVALID;
}

static void call_free(api_call *c)
{
    fh_json_unref(c->body);
    fh_free(c);
}

static void client_gone(void *arg)
{
    ((api_call *)arg)->req = NULL;
}

fh_http_req *api_take_req(api_call *c)
{
    fh_http_req *req = c->req;
    if (req) fh_http_req_on_gone(req, NULL, NULL);
    call_free(c);
    return req;
}

static void reply_error(fh_http_req *req, fh_err *err)
{
    fh_gateway_reply_error(req, err);
    fh_err_free(err);
}

void api_reply_error(api_call *c, fh_err *err)
{
    api_token_end(c, 0, NULL, 0);
    if (c->req) fh_gateway_reply_error(c->req, err);
    fh_err_free(err);
    call_free(c);
}

void api_reply(api_call *c, int status, fh_json *doc)
{
    fh_err *err = NULL;
    FH_AUTO(buf) fh_buf body = FH_BUF(FH_LIMIT_JSON_BODY_BYTES);
    FH_AUTO(json) fh_json *held = doc;
    int rc = status == 204 ? 0 : held ? fh_json_write(held, &body, &err) : fh_err_nomem(&err);
    if (rc) {
        api_reply_error(c, err);
        return;
    }
    api_token_end(c, status, fh_buf_cstr(&body), body.len);
    if (c->req && c->route->flags & API_SECRET) fh_http_reply_header(c->req, "Cache-Control", "no-store");
    if (c->req) fh_http_reply(c->req, status, status == 204 ? NULL : "application/json", fh_buf_cstr(&body), body.len);
    call_free(c);
}

void api_reply_text(api_call *c, const fh_buf *text)
{
    if (c->req) fh_http_reply(c->req, 200, "text/plain; charset=utf-8", fh_buf_cstr(text), text->len);
    call_free(c);
}

/* Does path match the pattern? Its {name} part goes to param. */
static bool matches(const char *pattern, fh_str path, char *param, size_t param_size)
{
    size_t brace = strcspn(pattern, "{");
    fh_str before = {pattern, brace};
    if (!pattern[brace]) return fh_str_eqs(path, pattern);
    const char *after = strchr(pattern, '}') + 1;
    if (!fh_str_starts(path, before) || !fh_str_ends(path, fh_str_of(after)) || path.len < before.len + strlen(after)) return false;
    fh_str value = {path.ptr + before.len, path.len - before.len - strlen(after)};
    if (value.len == 0 || value.len >= param_size || fh_str_find(value, FH_STR("/")) != value.len) return false;
    memcpy(param, value.ptr, value.len);
    param[value.len] = '\0';
    return true;
}

/* A path that a row names as it is does not match the {name} of another. */
static bool is_named(fh_str path)
{
    const api_route *r = api_routes;
    while (r->method && !fh_str_eqs(path, r->path)) r++;
    return r->method != NULL;
}

/* The row for a request. allow gets the methods of the path when it is the method that is wrong. */
static const api_route *find_route(fh_str method, fh_str path, char *param, size_t param_size, fh_buf *allow)
{
    bool named = is_named(path);
    for (const api_route *r = api_routes; r->method; r++) {
        if (named ? !fh_str_eqs(path, r->path) : !matches(r->path, path, param, param_size)) continue;
        if (fh_str_eqs(method, r->method)) return r;
        fh_buf_addf(allow, "%s%s", allow->len ? ", " : "", r->method);
    }
    return NULL;
}

static void no_route(fh_http_req *req, const fh_buf *allow)
{
    fh_err *err = NULL;
    fh_str path = fh_http_req_path(req), method = fh_http_req_method(req);
    int shown = (int)FH_MIN(path.len, (size_t)128);
    if (allow->len) {
        fh_err_set(&err, FH_E_METHOD, "%.*s cannot be used on %.*s", (int)FH_MIN(method.len, (size_t)16), method.ptr, shown, path.ptr);
        fh_err_hint(&err, "use %s", fh_buf_cstr(allow));
        fh_http_reply_header(req, "Allow", fh_buf_cstr(allow));
    } else {
        fh_err_set(&err, FH_E_NOT_FOUND, "there is nothing at %.*s", shown, path.ptr);
        fh_err_hint(&err, "GET /api/openapi.json describes all paths of the control plane");
    }
    reply_error(req, err);
}

/* The nearest of known names so far, for who mistyped one. */
typedef struct nearest {
    fh_str name;
    const char *near;
    unsigned distance;
} nearest;

static void compare(nearest *n, const char *known)
{
    unsigned d = fh_str_distance(n->name, fh_str_of(known));
    if (d >= n->distance) return;
    n->distance = d;
    n->near = known;
}

static int unknown(const nearest *n, const char *what, fh_err **err)
{
    int shown = (int)FH_MIN(n->name.len, (size_t)64);
    fh_err_set(err, FH_E_INVALID, "the request has a %s '%.*s' that is not known here", what, shown, n->name.ptr);
    fh_err_param(err, "%.*s", shown, n->name.ptr);
    if (n->near) fh_err_hint(err, "did you mean '%s'?", n->near);
    return FH_E_INVALID;
}

static int unknown_member(const api_shape *shape, fh_str name, fh_err **err)
{
    nearest n = {.name = name, .distance = TYPING_ERRORS};
    for (const api_field *f = shape->fields; f->name; f++) compare(&n, f->name);
    return unknown(&n, "member", err);
}

/* What stands behind "?" is described for the route. */
static int check_query(const api_call *c, fh_err **err)
{
    char name[64];
    for (size_t i = 0; fh_http_req_query_name(c->req, i, name, sizeof name); i++) {
        nearest n = {.name = fh_str_of(name), .distance = TYPING_ERRORS};
        for (const api_query *q = api_queries; q->route; q++)
            if (strcmp(q->route, c->route->id) == 0) compare(&n, q->name);
        if (!n.near || n.distance) return unknown(&n, "parameter", err);
    }
    return 0;
}

/* Members are those of the shape, and all that it requires are there; types are checked by who reads them. */
static int check_shape(const fh_json *body, const char *shape_name, fh_err **err)
{
    const api_shape *shape = api_shape_find(shape_name);
    void *it = NULL;
    fh_str name;
    const fh_json *value;
    while (fh_json_next(body, &it, &name, &value)) {
        const api_field *f = shape->fields;
        while (f->name && !fh_str_eqs(name, f->name)) f++;
        if (!f->name) return unknown_member(shape, name, err);
    }
    for (const api_field *f = shape->fields; f->name; f++) {
        if (!f->required || fh_json_kind_of(fh_json_get(body, f->name)) != FH_JSON_NULL) continue;
        fh_err_set(err, FH_E_INVALID, "'%s' is missing: %s", f->name, f->help);
        fh_err_param(err, "%s", f->name);
        return FH_E_INVALID;
    }
    return 0;
}

static int read_body(api_call *c, fh_err **err)
{
    fh_str text = fh_http_req_body(c->req);
    if (!c->route->request) return 0;
    size_t most = c->route->flags & API_LARGE ? FH_LIMIT_JSON_BODY_BYTES : FH_LIMIT_CONTROL_BODY_BYTES;
    int rc = fh_json_parse(&c->body, text.len ? text : FH_STR("{}"), most, err);
    if (!rc && fh_json_kind_of(c->body) != FH_JSON_OBJECT) rc = fh_err_set(err, FH_E_INVALID, "the body must be a JSON object");
    return rc ? rc : check_shape(c->body, c->route->request, err);
}

static int admit_key(fh_server *s, fh_http_req *req, api_who who, fh_key *ret, fh_err **err)
{
    if (who == API_OPEN) return 0;
    static const fh_scope needs[] = {[API_KEY] = FH_SCOPES,
                                     [API_READ] = FH_SCOPE_READ,
                                     [API_GUARD] = FH_SCOPE_GUARD,
                                     [API_RUN] = FH_SCOPE_READ,
                                     [API_ADMIN] = FH_SCOPE_ADMIN};
    int rc = fh_admit_key(s->keys, fh_http_req_header(req, "authorization"), fh_http_req_header(req, "x-api-key"), needs[who],
                          fh_clock_utc_ns(), ret, err);
    if (!rc) fh_http_req_who_set(req, ret->id);
    return rc;
}

/* Who gave no key is told at once; who gave a wrong one has to wait. */
static void refuse_key(fh_http_req *req, fh_err *err)
{
    bool given = fh_http_req_header(req, "authorization").len || fh_http_req_header(req, "x-api-key").len;
    if (given && fh_err_code(err) == FH_E_UNAUTHENTICATED)
        fh_server_refuse_key(req, err);
    else
        reply_error(req, err);
}

static void run_route(fh_server *s, fh_http_req *req, const api_route *route, const char *param, const fh_key *key)
{
    fh_err *err = NULL;
    api_call *c = fh_calloc(1, sizeof *c);
    if (!c) {
        fh_err_nomem(&err);
        reply_error(req, err);
        return;
    }
    *c = (api_call){.server = s, .req = req, .route = route, .key = *key};
    snprintf(c->param, sizeof c->param, "%s", param);
    int rc = check_query(c, &err);
    if (!rc) rc = read_body(c, &err);
    if (!rc) fh_http_req_on_gone(req, client_gone, c);
    if (!rc) rc = api_token_begin(c, &err);
    if (rc < 0) {
        c->token[0] = '\0';
        api_reply_error(c, err);
    } else if (rc == 0) {
        route->handle(c);
    }
}

/* The connection closes behind the reply: the next one reaches the server that can do it. */
static void refuse_handed_over(fh_http_req *req)
{
    fh_err *err = NULL;
    fh_err_set(&err, FH_E_UNAVAILABLE, "a newer server has taken over while this connection was open");
    fh_err_hint(&err, "ask again, on a new connection");
    reply_error(req, err);
}

static void health(fh_server *s, fh_http_req *req, bool readiness)
{
    bool good = !(readiness && s->stopping);
    const char *text = good ? "ok\n" : "stopping\n";
    fh_http_reply_header(req, "Cache-Control", "no-store");
    fh_http_reply(req, good ? 200 : 503, "text/plain; charset=utf-8", text, strlen(text));
}

/* Following a link to the page from elsewhere is no page's script speaking; the page itself can be framed by none. */
static bool is_navigation(fh_http_req *req)
{
    return fh_str_eqs(fh_http_req_method(req), "GET") && fh_str_eqs(fh_http_req_header(req, "sec-fetch-mode"), "navigate");
}

static int admit(fh_server *s, fh_http_req *req, bool any_origin, fh_err **err)
{
    fh_str method = fh_http_req_method(req), host = fh_http_req_host(req);
    int rc = fh_admit_host(&s->hosts, host, err);
    if (!rc && !any_origin) rc = fh_admit_origin(host, fh_http_req_header(req, "origin"), fh_http_req_header(req, "sec-fetch-site"), err);
    if (!rc && fh_str_eqs(method, "POST")) rc = fh_admit_body(fh_http_req_header(req, "content-type"), fh_http_req_body(req).len, err);
    return rc;
}

/* A request on its way in: which part of the server it is for, by which row if that is the control plane, and whose it is. */
typedef enum api_part { PART_OPEN, PART_GATEWAY, PART_METRICS, PART_CONTROL } api_part;
typedef struct visit {
    api_part part;
    const api_route *route; /* NULL: there is none */
    char param[256];
    fh_buf *allow; /* the methods of its path, when it is the method that is wrong */
    fh_key key;    /* not set where none is wanted */
} visit;

static api_part part_of(fh_str path)
{
    if (fh_gateway_owns(path)) return PART_GATEWAY;
    if (fh_str_starts(path, FH_STR("/api/")) || fh_str_eqs(path, "/api")) return PART_CONTROL;
    return fh_str_eqs(path, "/metrics") ? PART_METRICS : PART_OPEN;
}

static api_who who_may(const visit *v)
{
    switch (v->part) {
    case PART_OPEN: return API_OPEN;
    case PART_GATEWAY: return API_KEY;
    case PART_METRICS: return API_READ;
    case PART_CONTROL: break;
    }
    return v->route ? v->route->who : API_READ;
}

/* Host, origin and key. False: it has its answer, or will. */
static bool let_in(fh_server *s, fh_http_req *req, visit *v)
{
    fh_err *err = NULL;
    fh_str path = fh_http_req_path(req);
    v->part = part_of(path);
    bool listed = fh_cors_allows(s, req);
    if (admit(s, req, listed || (v->part == PART_OPEN && is_navigation(req)), &err)) {
        reply_error(req, err);
        return false;
    }
    if (listed && fh_cors_preflight(req)) return false;
    if (v->part == PART_CONTROL) v->route = find_route(fh_http_req_method(req), path, v->param, sizeof v->param, v->allow);
    if (!admit_key(s, req, who_may(v), &v->key, &err)) return true;
    refuse_key(req, err);
    return false;
}

static bool is_large(const visit *v)
{
    return v->part == PART_GATEWAY || (v->route && v->route->flags & API_LARGE);
}

/* Bodies of those who have a key are read where they are answered. */
size_t api_judge(fh_server *s, fh_http_req *req)
{
    FH_AUTO(buf) fh_buf allow = FH_BUF(256);
    visit v = {.allow = &allow};
    if (!let_in(s, req, &v)) return 0;
    if (who_may(&v) == API_OPEN) return FH_LIMIT_HTTP_STRANGER_BODY_BYTES;
    if (!fh_http_req_run_on(req, v.part == PART_CONTROL ? s->http : NULL)) return 0;
    return is_large(&v) ? FH_LIMIT_JSON_BODY_BYTES : FH_LIMIT_CONTROL_BODY_BYTES;
}

/* One that came with its head, before the judge could say how long it may be. */
static bool is_too_long(fh_http_req *req, const visit *v)
{
    fh_err *err = NULL;
    if (who_may(v) != API_OPEN || fh_http_req_body(req).len <= FH_LIMIT_HTTP_STRANGER_BODY_BYTES) return false;
    fh_err_set(&err, FH_E_TOO_LARGE, "the body is longer than %d bytes", FH_LIMIT_HTTP_STRANGER_BODY_BYTES);
    fh_http_reply_last(req);
    reply_error(req, err);
    return true;
}

static void control_plane(fh_server *s, fh_http_req *req, const visit *v)
{
    if (!v->route)
        no_route(req, v->allow);
    else if (s->handed_over && !fh_str_eqs(fh_http_req_method(req), "GET"))
        refuse_handed_over(req);
    else if (fh_http_req_run_on(req, s->http)) {
        if (v->route->who == API_OPEN) fh_http_reply_last(req); /* what comes next comes in by a door again */
        run_route(s, req, v->route, v->param, &v->key);
    }
}

static void open_part(fh_server *s, fh_http_req *req)
{
    fh_str path = fh_http_req_path(req);
    bool ready = fh_str_eqs(path, "/readyz");
    if (ready || fh_str_eqs(path, "/healthz"))
        health(s, req, ready);
    else if (!fh_static_reply(req))
        no_route(req, &FH_BUF(0));
}

void api_handle(fh_server *s, fh_http_req *req)
{
    FH_AUTO(buf) fh_buf allow = FH_BUF(256);
    visit v = {.allow = &allow};
    if (!let_in(s, req, &v) || is_too_long(req, &v)) return;
    if (v.part == PART_OPEN)
        open_part(s, req);
    else if (v.part == PART_CONTROL)
        control_plane(s, req, &v);
    else if (!fh_http_req_run_on(req, NULL))
        return;
    else if (v.part == PART_GATEWAY)
        fh_gateway_handle(s->gateway, req, &v.key);
    else
        fh_server_metrics(s, req);
}
