/* The images of one exchange: fetched once, before the first replica is asked (see exchange.h). */
#include "exchange.h"

static void fetched(void *arg, fh_err *err)
{
    fh_exchange *x = arg;
    if (err)
        fh_exchange_refuse(x, err);
    else
        fh_exchange_choose(x); /* again: what was ready a moment ago may not be any more */
}

static int fetch(fh_exchange *x, fh_err **err)
{
    fh_gateway *g = x->gateway;
    int rc = fh_images_find(&x->images, &x->ask, &g->image_bytes, err);
    if (rc || !x->images) return rc;
    if (!g->config.outside) return fh_err_set(err, FH_E_UNSUPPORTED, "images are not fetched here");
    return fh_images_fetch(x->images, g->config.outside, x->lane->loop, fetched, x, err);
}

bool fh_exchange_fetches(fh_exchange *x)
{
    fh_err *err = NULL;
    if (x->images_known || !(x->needs & FH_NEED_BIT(IMAGES))) return false;
    x->images_known = true;
    if (fetch(x, &err)) {
        fh_exchange_refuse(x, err);
        return true;
    }
    return x->images != NULL;
}
