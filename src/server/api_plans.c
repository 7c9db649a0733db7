/* Plans over HTTP: nothing is started, and nothing is kept. */
#include "server/plans.h"
#include "server_private.h"

void api_plans_create(api_call *c)
{
    fh_err *err = NULL;
    fh_json *doc = NULL;
    if (fh_plans_make(c->body, NULL, &doc, &err))
        api_reply_error(c, err);
    else
        api_reply(c, 200, doc);
}
