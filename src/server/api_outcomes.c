/* What clients say of answers, from which the choice among models learns. */
#include "server_private.h"

void api_outcomes_create(api_call *c)
{
    fh_err *err = NULL;
    fh_str request = {0};
    bool good = false;
    int rc = fh_json_read_str(c->body, "request", true, &request, &err);
    if (!rc) rc = fh_json_read_bool(c->body, "good", true, &good, &err);
    if (!rc) rc = fh_gateway_tell(c->server->gateway, fh_str_of(c->key.id), request, good, &err);
    if (rc)
        api_reply_error(c, err);
    else
        api_reply(c, 204, NULL);
}
