/* An exchange waits for what is on its way, or is woken for it (see exchange.h): a set of replicas of which none is ready.
 *
 * A whole reply is not begun meanwhile, so that it can still be refused with a status. A stream is begun, and held with comments, which
 * clients pass over: connections that say nothing are cut by what is in between. What fails from then on ends it with an error event. */
#include "exchange.h"

#include "gateway/admission.h"
#include <stdio.h>
#include <string.h>

#define LOOK_NS   (FH_LIMIT_WAKE_LOOK_MS * FH_NS_PER_MS)
#define SAY_NS    (FH_LIMIT_WAKE_SAY_MS * FH_NS_PER_MS)
#define WAIT_NS   (FH_LIMIT_WAKE_WAIT_MS * FH_NS_PER_MS)
#define STREAM_NS (FH_LIMIT_WAKE_STREAM_MS * FH_NS_PER_MS)

typedef struct looking {
    fh_exchange *x;
    bool beyond_scope; /* some may not be woken by its key */
} looking;

/* What is not its owner's costs somebody from the moment that it is woken. */
static bool may_rise(void *arg, const fh_candidate *c)
{
    looking *l = arg;
    if (!fh_exchange_suits(l->x, c)) return false;
    bool may = !c->asleep || c->trust == FH_TRUST_OWN || fh_key_may(&l->x->key, FH_SCOPE_WAKE);
    l->beyond_scope |= !may;
    return may;
}

static int64_t patience_ns(const fh_exchange *x)
{
    if (x->wants_stream && !x->patience_said) return STREAM_NS;
    return x->wants_stream ? x->max_wait_ns : FH_MIN(x->max_wait_ns, WAIT_NS);
}

static void say(fh_exchange *x, const char *text, int64_t now_ns)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1024);
    fh_buf_addf(&out, ": %s\n\n", text);
    for (size_t i = 0; i + 2 < out.len; i++)
        if (out.data[i] == '\n' || out.data[i] == '\r') out.data[i] = ' ';
    x->held_said_ns = now_ns;
    fh_http_reply_write(x->req, out.data, out.len); /* what a client does not read piles up by a line in five seconds */
}

static void hold(fh_exchange *x, const char *says, int64_t now_ns)
{
    if (!fh_exchange_held(x)) {
        fh_exchange_hold_stream(x);
        say(x, says, now_ns);
    } else if (now_ns - x->held_said_ns >= SAY_NS)
        say(x, says, now_ns);
}

static void give_up(fh_exchange *x, const fh_rising *r)
{
    fh_err *err = NULL;
    fh_err_set(&err, FH_E_UNAVAILABLE, "%s is not ready yet: %s", r->name, r->says);
    fh_err_hint(&err, "it goes on waking: ask again later; `freehold events %s` shows how far it is", r->name);
    fh_err_param(&err, "model");
    x->retry_ns = FH_LIMIT_WAKE_RETRY_MS * FH_NS_PER_MS;
    fh_exchange_fail(x, err);
}

static void refuse_waking(fh_exchange *x)
{
    fh_err *err = NULL;
    fh_admit_scope(&x->key, FH_SCOPE_WAKE, &err);
    fh_exchange_fail(x, err);
}

bool fh_exchange_rises(fh_exchange *x)
{
    const fh_route_port *routes = &x->gateway->config.routes;
    int64_t now = fh_clock_mono_ns();
    looking l = {.x = x};
    fh_rising r = {.name = ""};
    if (!routes->rise) return false;
    if (!routes->rise(routes->ctx, fh_str_of(x->model), may_rise, &l, &r)) {
        if (l.beyond_scope) refuse_waking(x);
        return l.beyond_scope;
    }
    if (!x->rise_until_ns) x->rise_until_ns = now + patience_ns(x);
    if (now >= x->rise_until_ns) {
        give_up(x, &r);
        return true;
    }
    if (x->wants_stream && !fh_exchange_leads(x)) hold(x, r.says, now);
    fh_exchange_choose_later(x, LOOK_NS);
    return true;
}

void fh_exchange_watch_held(fh_exchange *x, int64_t now_ns)
{
    if (!x->streaming && now_ns - x->held_said_ns >= SAY_NS) say(x, x->wait_ns ? "waiting for room" : "waiting for the answer", now_ns);
}
