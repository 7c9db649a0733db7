/* Weights over HTTP: what is here, and importing a file of this machine. */
#include "server/models.h"
#include "server_private.h"

#include <string.h>

fh_json *fh_weights_view_json(const fh_weights *store, const fh_weights_item *w)
{
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "digest", fh_json_new_cstr(w->digest));
    fh_json_set(o, "id", fh_json_new_cstr(w->id));
    fh_json_set(o, "variant", fh_json_new_cstr(w->variant));
    fh_json_set(o, "format", fh_json_new_cstr(w->format));
    fh_json_set(o, "bytes", fh_json_new_int((int64_t)w->bytes));
    fh_json_set(o, "packed_bytes", fh_json_new_int((int64_t)fh_weights_kept_bytes(store, FH_WEIGHTS_PACKED, w->digest)));
    fh_json_set(o, "page_bytes", fh_json_new_int((int64_t)fh_weights_kept_bytes(store, FH_WEIGHTS_PAGES, w->digest)));
    fh_json_set(o, "files", fh_json_new_int(w->files));
    fh_json_set(o, "imported", api_time(w->imported_utc_ns));
    fh_json_set(o, "in_catalog", fh_json_new_bool(w->in_catalog));
    fh_json_set(o, "architecture", fh_json_new_cstr(w->architecture));
    fh_json_set(o, "context_tok", w->context_tok ? fh_json_new_int(w->context_tok) : fh_json_new_null());
    return o;
}

void api_weights_list(api_call *c)
{
    fh_err *err = NULL;
    FH_AUTO(ptr) fh_weights_item *list = NULL;
    size_t count = 0;
    if (fh_weights_list(c->server->weights, &list, &count, NULL, &err)) {
        api_reply_error(c, err);
        return;
    }
    fh_json *items = fh_json_new_array();
    for (size_t i = 0; i < count; i++) fh_json_append(items, fh_weights_view_json(c->server->weights, &list[i]));
    api_reply(c, 200, api_list(items, fh_json_new_null()));
}

static int read_import(api_call *c, fh_str *ret_path, char *id, size_t id_size, fh_err **err)
{
    fh_str name = {0};
    int rc = fh_json_read_str(c->body, "path", true, ret_path, err);
    if (!rc) rc = fh_json_read_str(c->body, "id", false, &name, err);
    if (rc) return rc;
    if (name.len >= id_size) {
        fh_err_set(err, FH_E_INVALID, "'id' is longer than %zu bytes", id_size - 1);
        fh_err_param(err, "id");
        return FH_E_INVALID;
    }
    if (name.len) memcpy(id, name.ptr, name.len);
    id[name.len] = '\0';
    return 0;
}

void api_weights_import(api_call *c)
{
    fh_err *err = NULL;
    fh_json *job = NULL;
    fh_str path = {0};
    fh_weights_source *source = NULL;
    char id[128];
    int rc = read_import(c, &path, id, sizeof id, &err);
    if (!rc) rc = fh_import_open(c->server, path, &source, &err);
    if (!rc) rc = fh_imports_start(c->server->imports, source, path.ptr, id, &job, &err);
    if (rc)
        api_reply_error(c, err);
    else
        api_reply(c, 202, job);
}

static void reply_job(api_call *c, fh_json *job)
{
    fh_err *err = NULL;
    if (job) {
        api_reply(c, c->route->status, job);
        return;
    }
    fh_err_set(&err, FH_E_NOT_FOUND, "there is no import '%.64s'", c->param);
    fh_err_hint(&err, "the last 16 are remembered until the server stops");
    api_reply_error(c, err);
}

void api_weights_import_get(api_call *c)
{
    reply_job(c, fh_imports_get(c->server->imports, c->param));
}

void api_weights_import_cancel(api_call *c)
{
    reply_job(c, fh_imports_cancel(c->server->imports, c->param));
}
