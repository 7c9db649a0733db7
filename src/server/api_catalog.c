/* The catalogue over HTTP: what is used, entries of the user's own, updates. */
#include "server/catalog_folder.h"
#include "server_private.h"

/* What there is now, after a change that went well. */
static void reply_view(api_call *c, int status, fh_err *failed)
{
    fh_json *view = NULL;
    fh_err *err = failed;
    if (err || fh_catalog_folder_view(c->server->config->data_dir, &view, &err))
        api_reply_error(c, err);
    else
        api_reply(c, status, view);
}

void api_catalog_get(api_call *c)
{
    reply_view(c, 200, NULL);
}

void api_catalog_own_create(api_call *c)
{
    fh_err *err = NULL;
    fh_str name = {0};
    int rc = fh_json_read_str(c->body, "name", true, &name, &err);
    if (!rc) fh_catalog_folder_add(c->server->config->data_dir, name, fh_json_get(c->body, "entries"), &err);
    reply_view(c, 201, err);
}

void api_catalog_own_delete(api_call *c)
{
    fh_err *err = NULL;
    if (fh_catalog_folder_remove(c->server->config->data_dir, fh_str_of(c->param), &err))
        api_reply_error(c, err);
    else
        api_reply(c, 204, NULL);
}

void api_catalog_update(api_call *c)
{
    fh_err *err = NULL;
    fh_catalog_folder_update(c->server->config->data_dir, c->body, &err);
    reply_view(c, 200, err);
}

void api_catalog_revert(api_call *c)
{
    fh_err *err = NULL;
    if (fh_catalog_folder_revert(c->server->config->data_dir, &err))
        api_reply_error(c, err);
    else
        api_reply(c, 204, NULL);
}
