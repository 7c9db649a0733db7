/* Names of hosts to addresses, for loops that may not wait: a few threads ask the system (or whom the caller says) and post the answer.
 *
 * A lookup that hangs holds one of RESOLVER_THREADS; what waits behind is bounded (RESOLVER_WAITING). Nothing is remembered: each ask is
 * answered anew. Threads: ask and cancel on the loop that is given; new and free anywhere, free once
 * every lookup has been answered or cancelled and the loops run no more. */
#ifndef FH_NET_RESOLVER_H
#define FH_NET_RESOLVER_H

#include "base/mem.h"
#include "net/address.h"
#include "net/loop.h"

typedef struct fh_resolver fh_resolver;
typedef struct fh_lookup fh_lookup;

/* Asks and waits, in a thread of the resolver's; answers how many addresses it wrote, the best first. 0: the name has none. */
typedef size_t fh_resolve(void *ctx, const char *host, fh_address *ret, size_t max);

int fh_resolver_new(fh_resolver **ret, fh_resolve *fn, void *ctx, fh_err **err); /* fn NULL: the system's resolver */
void fh_resolver_free(fh_resolver *r);                                           /* waits for lookups that threads are at */
/* on_done is called once, from the loop, never from inside; the list is borrowed. FH_E_BUSY when too many wait. */
int fh_resolver_ask(fh_lookup **ret, fh_resolver *r, fh_loop *loop, const char *host,
                    void (*on_done)(void *arg, const fh_address *list, size_t count), void *arg, fh_err **err);
void fh_lookup_cancel(fh_lookup *l); /* on_done is not called; the lookup is gone */

#endif
