/* Groups of models over HTTP: list, make, remove. */
#include "base/clock.h"
#include "catalog/catalog.h"
#include "groups.h"
#include "server_private.h"

#include <string.h>

static fh_json *group_json(const fh_group *g)
{
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "name", fh_json_new_cstr(g->name));
    fh_json_set(o, "created", api_time(g->created_utc_ns));
    fh_json_set(o, "models", fh_group_members_json(g));
    return o;
}

void api_groups_list(api_call *c)
{
    fh_groups *all = c->server->groups;
    fh_json *items = fh_json_new_array();
    fh_groups_begin(all);
    for (size_t i = 0; i < fh_groups_count(all); i++) fh_json_append(items, group_json(fh_groups_at(all, i)));
    fh_groups_end(all);
    api_reply(c, 200, api_list(items, fh_json_new_null()));
}

static int bad_name(const char *message, const char *hint, fh_err **err)
{
    fh_err_set(err, FH_E_INVALID, "%s", message);
    fh_err_hint(err, "%s", hint);
    fh_err_param(err, "name");
    return FH_E_INVALID;
}

static int check_name(fh_str name, fh_err **err)
{
    bool good = name.len > 0 && name.len < 64;
    for (size_t i = 0; good && i < name.len; i++) good = strchr("abcdefghijklmnopqrstuvwxyz0123456789-", name.ptr[i]) != NULL;
    if (!good) return bad_name("'name' must be 1 to 63 small letters, digits and dashes", "for example small-first", err);
    if (fh_catalog_find(name)) return bad_name("'name' is that of a model", "take another name: this one is asked for the model", err);
    return 0;
}

static int read_group(const api_call *c, fh_group *g, fh_err **err)
{
    fh_str name = {0};
    int rc = fh_json_read_str(c->body, "name", true, &name, err);
    if (!rc) rc = check_name(name, err);
    if (rc) return rc;
    memcpy(g->name, name.ptr, name.len);
    g->created_utc_ns = fh_clock_utc_ns();
    return fh_group_read_members(g, fh_json_get(c->body, "models"), err);
}

void api_groups_create(api_call *c)
{
    fh_err *err = NULL;
    FH_AUTO(json) fh_json *made = NULL;
    FH_AUTO(ptr) fh_group *g = fh_calloc(1, sizeof *g);
    int rc = g ? read_group(c, g, &err) : fh_err_nomem(&err);
    if (!rc && g) made = group_json(g);
    if (!rc) rc = fh_groups_put(c->server->groups, fh_take(g), &err);
    if (rc)
        api_reply_error(c, err);
    else
        api_reply(c, 201, fh_take(made));
}

void api_groups_delete(api_call *c)
{
    fh_err *err = NULL;
    if (fh_groups_remove(c->server->groups, c->param, &err))
        api_reply_error(c, err);
    else
        api_reply(c, 204, NULL);
}
