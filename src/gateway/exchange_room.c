/* Room for whole replies, which are held until they are sent: those of all requests together are bounded (see exchange.h). */
#include "exchange.h"

#include "base/limits.h"
#include "exchange_model.h"

static size_t most(const fh_gateway *g)
{
    return g->config.replies_bytes ? g->config.replies_bytes : FH_LIMIT_REPLIES_BYTES;
}

bool fh_exchange_hold(fh_exchange *x, size_t bytes)
{
    atomic_size_t *sum = &x->gateway->reply_bytes;
    size_t more = bytes - x->reply_bytes; /* modulo 2^64: may be less */
    if (bytes > x->reply_bytes && atomic_fetch_add(sum, more) + more > most(x->gateway)) {
        atomic_fetch_sub(sum, more);
        return false;
    }
    if (bytes < x->reply_bytes) atomic_fetch_add(sum, more);
    x->reply_bytes = bytes;
    return true;
}

bool fh_exchange_hold_reply(fh_exchange *x)
{
    return fh_exchange_hold(x, x->in.len + x->out.len + fh_exchange_kept_bytes(x));
}

int fh_exchange_no_room(fh_err **err)
{
    int rc = fh_err_set(err, FH_E_BUSY, "the replies of all requests under way are too large together");
    fh_err_hint(err, "try again in a moment, or ask for less at once");
    return rc;
}

void fh_exchange_crowd(fh_exchange *x)
{
    x->crowded = true;
    fh_buf_fini(&x->in);
    fh_exchange_hold_reply(x);
    fh_exchange_stop_reading(x);
}

/* The replica did nothing wrong. */
void fh_exchange_crowded(fh_exchange *x)
{
    fh_err *err = NULL;
    if (x->call) fh_http_call_cancel(x->call);
    x->call = NULL;
    fh_exchange_leave(x, FH_OUTCOME_LEFT);
    fh_exchange_no_room(&err);
    fh_exchange_fail(x, err);
}
