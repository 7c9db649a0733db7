/* Providers that machines are got of on request, as supplies of the fleet (fleet/supplies.h): one is opened for each, on the fleet's
 * thread, when it is added and when the server starts. */
#ifndef FH_SERVER_SUPPLIES_H
#define FH_SERVER_SUPPLIES_H

#include "base/str.h"
#include "supply/supply.h"

typedef struct fh_supply_kind {
    const char *name; /* of a provider: its kind */
    fh_supply_open_fn *open;
    const char *url_hint; /* what its --url looks like; NULL: it is known, and not asked for */
} fh_supply_kind;
const fh_supply_kind *fh_supply_kind_find(fh_str name); /* NULL: machines are not got of such a provider */

struct fh_server;
struct fh_provider;
/* p's kind is one of them. FH_E_INVALID names the setting at fault. */
int fh_server_supply_open(struct fh_server *s, const struct fh_provider *p, fh_err **err);
int fh_server_supply_close(struct fh_server *s, const char *provider, fh_err **err); /* FH_E_CONFLICT while it has machines */
void fh_server_open_supplies(struct fh_server *s); /* all of them; one that cannot be is said in the log, and the rest goes on */
/* Somebody said that this database is the one that goes on: those that were left alone as a copy's are opened. */
void fh_server_supplies_take_over(struct fh_server *s);

#endif
