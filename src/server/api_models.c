/* The catalogue over HTTP. */
#include "server/models.h"
#include "server_private.h"

static void reply(api_call *c, int rc, fh_json *doc, fh_err *err)
{
    if (rc)
        api_reply_error(c, err);
    else
        api_reply(c, 200, doc);
}

void api_models_list(api_call *c)
{
    fh_err *err = NULL;
    fh_json *doc = NULL;
    const fh_fleet_snapshot *fleet = fh_fleet_snapshot_get(c->server->fleet);
    int rc = fh_models_list(c->server->weights, fleet, &doc, &err);
    fh_fleet_snapshot_release(fleet);
    reply(c, rc, doc, err);
}

void api_models_get(api_call *c)
{
    fh_err *err = NULL;
    fh_json *doc = NULL;
    const fh_fleet_snapshot *fleet = fh_fleet_snapshot_get(c->server->fleet);
    int rc = fh_models_get(c->server->weights, fleet, c->param, &doc, &err);
    fh_fleet_snapshot_release(fleet);
    reply(c, rc, doc, err);
}
