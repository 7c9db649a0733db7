/* A key that is not valid is refused after a moment: whoever tries many has to wait for each, and costs nobody else any time. */
#include "base/clock.h"
#include "base/limits.h"
#include "server_private.h"

typedef struct refusal {
    fh_http_req *req;
    fh_timer *timer;
    fh_err *err; /* owned */
} refusal;

static void refusal_free(refusal *r)
{
    fh_timer_free(r->timer);
    fh_err_free(r->err);
    fh_free(r);
}

static void client_gone(void *arg)
{
    refusal_free(arg);
}

static void moment_over(void *arg)
{
    refusal *r = arg;
    fh_gateway_reply_error(r->req, r->err);
    refusal_free(r);
}

void fh_server_refuse_key(fh_http_req *req, fh_err *err)
{
    refusal *r = fh_calloc(1, sizeof *r);
    if (!r || fh_timer_new(&r->timer, fh_http_req_loop(req), moment_over, r, NULL)) {
        fh_free(r);
        fh_gateway_reply_error(req, err);
        fh_err_free(err);
        return;
    }
    r->req = req;
    r->err = err;
    fh_http_req_on_gone(req, client_gone, r);
    fh_timer_start(r->timer, FH_LIMIT_KEY_REFUSAL_MS * FH_NS_PER_MS);
}
