/* Machines that are rented of RunPod, Vast.ai and Lambda, as a supply (supply/supply.h): a renter for an account (rent/renter.h), and the
 * script by which a rented machine becomes one of the pool.
 *
 * An order has one rental, written in one statement with the order's number, so that whatever is killed nothing is rented twice for it.
 * A rental whose machine has joined the pool is over when that machine is gone; until then the next-best offer is rented instead.
 * Settings: image, ssh-key (lambda), program-url, server, lag, settle, start (docs/RENTING.md). All on the fleet's thread. */
#ifndef FH_SERVER_RENTED_H
#define FH_SERVER_RENTED_H

#include "base/buf.h"
#include "rent/renter.h"
#include "supply/supply.h"

fh_supply_open_fn fh_rented_open;

/* What is rented for such an order: the memory that an offer must have, and limits of hours and money, which are always there; what nobody
 * said of them follows from what was. FH_E_INVALID: no limit of money, or one in another currency. */
int fh_rented_want(const fh_supply_want *w, fh_rent_want *ret, fh_err **err);

/* rented_script.c: what a machine runs to join. Strings are checked by who sets them: none holds a quote. */
typedef struct fh_rented_start {
    const char *pool_url, *node;
    const char *program_url; /* where freehold is got from when it is not there; "" : it must be there */
} fh_rented_start;
char *fh_rented_script(const fh_rented_start *s); /* owned; NULL when memory is out */
/* Whether a setting may stand in that script: printable, without quotes, spaces, backslashes or dollars. */
bool fh_rented_word_is_plain(fh_str s);

#endif
