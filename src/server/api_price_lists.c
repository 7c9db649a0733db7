/* Lists of offers over HTTP: listed, given, forgotten. */
#include "price_lists.h"
#include "server_private.h"

static fh_json *list_json(const fh_price_list *l)
{
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "name", fh_json_new_cstr(l->name));
    fh_json_set(o, "imported", api_time(l->imported_utc_ns));
    if (fh_json_set(o, "offers", fh_json_new_int((int64_t)l->offers))) return o;
    fh_json_unref(o);
    return NULL;
}

void api_price_lists_list(api_call *c)
{
    fh_json *items = fh_json_new_array();
    for (size_t i = 0; i < fh_price_lists_count(c->server->price_lists); i++)
        fh_json_append(items, list_json(fh_price_lists_at(c->server->price_lists, i)));
    api_reply(c, 200, api_list(items, fh_json_new_null()));
}

void api_price_lists_create(api_call *c)
{
    fh_err *err = NULL;
    fh_str name = {0};
    const fh_price_list *l = NULL;
    int rc = fh_json_read_str(c->body, "name", true, &name, &err);
    if (!rc) rc = fh_price_lists_put(c->server->price_lists, name, fh_json_get(c->body, "offers"), &l, &err);
    if (rc)
        api_reply_error(c, err);
    else
        api_reply(c, 201, list_json(l));
}

void api_price_lists_delete(api_call *c)
{
    fh_err *err = NULL;
    if (fh_price_lists_remove(c->server->price_lists, fh_str_of(c->param), &err))
        api_reply_error(c, err);
    else
        api_reply(c, 204, NULL);
}
