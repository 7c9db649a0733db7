/* GET and DELETE /v1/responses/{id}, GET .../input_items, POST .../cancel: what is kept, for the key that made it. */
#include "responses.h"

#include "base/clock.h"
#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPLY_MAX = 3 * FH_LIMIT_JSON_BODY_BYTES, PAGE = 20, PAGE_MAX = 100 };

typedef struct asked {
    fh_response_store *store;
    fh_http_req *req;
    fh_str key, id;
} asked;

static void reply(fh_http_req *req, const fh_json *doc, int rc, fh_err *err)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(REPLY_MAX);
    if (rc == 0) rc = doc ? fh_json_write(doc, &out, &err) : fh_err_nomem(&err);
    if (rc == 0) rc = fh_buf_check(&out, &err, "the reply");
    if (rc)
        fh_gateway_reply_error(req, err);
    else
        fh_http_reply(req, 200, "application/json", out.data, out.len);
    fh_err_free(err);
}

static int get(const asked *a, fh_kept_response *ret, fh_err **err)
{
    return fh_response_store_get(a->store, a->key, a->id, fh_clock_utc_ns(), ret, err);
}

/* A kept response is whole: there is nothing to stream. */
static void handle_get(const asked *a)
{
    char text[16];
    fh_err *err = NULL;
    fh_kept_response r = {0};
    int rc = 0;
    if (fh_http_req_query_get(a->req, "stream", text, sizeof text) && strcmp(text, "false") != 0) {
        rc = fh_err_set(&err, FH_E_INVALID, "a response that is kept cannot be streamed again");
        fh_err_param(&err, "stream");
        fh_err_hint(&err, "leave it out: the whole response is given");
    }
    if (rc == 0) rc = get(a, &r, &err);
    reply(a->req, r.response, rc, err);
    fh_kept_response_fini(&r);
}

static void handle_delete(const asked *a)
{
    fh_err *err = NULL;
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    bool ok = o && fh_json_set(o, "id", fh_json_new_str(a->id)) && fh_json_set(o, "object", fh_json_new_cstr("response"));
    ok = ok && fh_json_set(o, "deleted", fh_json_new_bool(true));
    int rc = ok ? fh_response_store_remove(a->store, a->key, a->id, fh_clock_utc_ns(), &err) : fh_err_nomem(&err);
    reply(a->req, o, rc, err);
}

static void handle_cancel(const asked *a)
{
    fh_err *err = NULL;
    fh_kept_response r = {0};
    int rc = get(a, &r, &err);
    fh_kept_response_fini(&r);
    if (rc == 0) {
        rc = fh_err_set(&err, FH_E_INVALID, "the response is finished; only responses that are made in the background can be cancelled");
        fh_err_hint(&err, "to end a response that is being made, close its connection");
    }
    reply(a->req, NULL, rc, err);
}

/* ---- input_items ---- */

typedef struct page {
    size_t limit, from; /* from: index in the order that is asked for */
    bool rising;
} page;

static const fh_json *item_at(const fh_json *items, const page *p, size_t i)
{
    return fh_json_at(items, p->rising ? i : fh_json_count(items) - 1 - i);
}

static int bad_query(const char *name, const char *what, fh_err **err)
{
    int rc = fh_err_set(err, FH_E_INVALID, "'%s' must be %s", name, what);
    fh_err_param(err, "%s", name);
    return rc;
}

static int read_after(const asked *a, const fh_json *items, page *p, fh_err **err)
{
    char after[160];
    if (!fh_http_req_query_get(a->req, "after", after, sizeof after)) return 0;
    for (; p->from < fh_json_count(items); p->from++) {
        if (!fh_str_eqs(fh_json_str(fh_json_get(item_at(items, p, p->from), "id")), after)) continue;
        p->from++;
        return 0;
    }
    return bad_query("after", "the id of an item of this list", err);
}

static int read_page(const asked *a, const fh_json *items, page *ret, fh_err **err)
{
    char text[16];
    uint64_t limit = PAGE;
    page p = {0};
    if (fh_http_req_query_get(a->req, "limit", text, sizeof text) && (!fh_str_u64(fh_str_of(text), PAGE_MAX, &limit) || !limit))
        return bad_query("limit", "a number from 1 to 100", err);
    p.limit = limit;
    if (fh_http_req_query_get(a->req, "order", text, sizeof text)) {
        p.rising = strcmp(text, "asc") == 0;
        if (!p.rising && strcmp(text, "desc") != 0) return bad_query("order", "asc or desc", err);
    }
    int rc = read_after(a, items, &p, err);
    if (rc == 0) *ret = p;
    return rc;
}

static bool set_id(fh_json *o, const char *key, const fh_json *item)
{
    fh_str id = fh_json_str(fh_json_get(item, "id"));
    return fh_json_set(o, key, id.ptr ? fh_json_new_str(id) : fh_json_new_null());
}

static fh_json *page_value(const fh_json *items, const page *p)
{
    FH_AUTO(json) fh_json *o = fh_json_new_object(), *data = fh_json_new_array();
    size_t count = fh_json_count(items), end = p->from + FH_MIN(p->limit, count - p->from);
    bool ok = o && data && fh_json_set(o, "object", fh_json_new_cstr("list"));
    for (size_t i = p->from; ok && i < end; i++) ok = fh_json_append(data, fh_json_ref((fh_json *)(uintptr_t)item_at(items, p, i)));
    ok = ok && set_id(o, "first_id", fh_json_at(data, 0)) && set_id(o, "last_id", fh_json_at(data, end - p->from - 1));
    ok = ok && fh_json_set(o, "has_more", fh_json_new_bool(end < count)) && fh_json_set(o, "data", fh_take(data));
    return ok ? fh_take(o) : NULL;
}

static void handle_items(const asked *a)
{
    fh_err *err = NULL;
    fh_kept_response r = {0};
    page p = {0};
    int rc = get(a, &r, &err);
    if (rc == 0) rc = read_page(a, r.input, &p, &err);
    FH_AUTO(json) fh_json *o = rc == 0 ? page_value(r.input, &p) : NULL;
    reply(a->req, o, rc, err);
    fh_kept_response_fini(&r);
}

/* ---- paths ---- */

static const struct {
    const char *below, *method;
    void (*handle)(const asked *a);
} paths[] = {
    {"", "GET", handle_get}, {"", "DELETE", handle_delete}, {"/cancel", "POST", handle_cancel}, {"/input_items", "GET", handle_items}};

static void refuse(fh_http_req *req, const char *allowed)
{
    fh_err *err = NULL;
    fh_str method = fh_http_req_method(req), path = fh_http_req_path(req);
    if (!allowed[0]) {
        fh_err_set(&err, FH_E_NOT_FOUND, "there is nothing at %.*s", (int)FH_MIN(path.len, (size_t)128), path.ptr);
    } else {
        fh_err_set(&err, FH_E_METHOD, "%.*s cannot be used on %.*s", (int)FH_MIN(method.len, (size_t)16), method.ptr,
                   (int)FH_MIN(path.len, (size_t)128), path.ptr);
        fh_err_hint(&err, "use %s", allowed);
        fh_http_reply_header(req, "Allow", allowed);
    }
    reply(req, NULL, fh_err_code(err), err);
}

void fh_responses_handle(fh_response_store *store, fh_http_req *req, fh_str key_id, fh_str rest)
{
    size_t slash = fh_str_find(rest, FH_STR("/"));
    fh_str below = {rest.ptr + slash, rest.len - slash};
    asked a = {store, req, key_id, {rest.ptr, slash}};
    char allowed[32] = "";
    for (size_t i = 0; i < FH_COUNT(paths); i++) {
        if (!fh_str_eqs(below, paths[i].below)) continue;
        if (fh_str_eqs(fh_http_req_method(req), paths[i].method)) {
            paths[i].handle(&a);
            return;
        }
        size_t at = strlen(allowed);
        snprintf(allowed + at, sizeof allowed - at, "%s%s", at ? ", " : "", paths[i].method);
    }
    refuse(req, allowed);
}
