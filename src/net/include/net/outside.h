/* The one function that opens an address which a request, a manifest or a catalog names: under the rule of net/outside_rule.h, each name
 * resolved once and the connection made to the very address that was judged, the same for each of at most OUTSIDE_REDIRECTS redirects. GET
 * alone, TLS 1.2 at least, no proxy, no cookies, no credentials, no compression; bounded in size, time and type of content.
 *
 * Errors are FH_E_INVALID and say what went wrong without any part of the URL, or what a name inside resolves to; FH_E_BUSY when too much
 * is being fetched already. Threads: one fh_outside for all loops, which does its work on a thread of its own; a fetch belongs to the loop
 * that it was started for. */
#ifndef FH_NET_OUTSIDE_H
#define FH_NET_OUTSIDE_H

#include "base/buf.h"
#include "net/loop.h"
#include "net/resolver.h"

typedef struct fh_outside fh_outside;
typedef struct fh_fetch fh_fetch;

typedef struct fh_outside_config {
    const char *const *allow; /* what the operator lists (fh_outside_rule_new); NULL: nothing */
    const char *ca_file;      /* PEM: who may vouch for servers, instead of the system's list; NULL for that. Borrowed */
    fh_resolve *resolve;      /* NULL: the system's resolver */
    void *resolve_ctx;
} fh_outside_config;
int fh_outside_new(fh_outside **ret, const fh_outside_config *c, fh_err **err);
void fh_outside_free(fh_outside *o); /* once all fetches are over and their loops run no more */
FH_DEFINE_AUTO(fh_outside, fh_outside_free);

typedef struct fh_fetch_spec {
    fh_str url; /* copied */
    size_t max_bytes;
    const char *accept;       /* header; for ever */
    const char *const *types; /* how the content type must begin, where the server says one; NULL-terminated; for ever */
    /* Once, from home, never from inside start. body is the fetch's, and may be taken; err is borrowed, NULL when it is whole. The
     * fetch is gone after it. */
    void (*on_done)(void *arg, fh_buf *body, const fh_err *err);
    void *arg;
} fh_fetch_spec;
int fh_fetch_start(fh_fetch **ret, fh_outside *o, fh_loop *home, const fh_fetch_spec *s, fh_err **err);
void fh_fetch_cancel(fh_fetch *f); /* on the thread of home: on_done is not called; the fetch is gone */

#endif
