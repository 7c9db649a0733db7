/* What machines are got from on request (supply/supply.h), for the fleet: added and removed while it runs. A deployment whose place is the
 * name of one, or its kind, orders a machine there, and has it for itself until it has ended. All of it on the fleet's thread
 * (fh_fleet_call). */
#ifndef FH_FLEET_SUPPLIES_H
#define FH_FLEET_SUPPLIES_H

#include "fleet/fleet.h"
#include "supply/supply.h"

/* Takes s, which it closes when it is removed or the fleet ends. What was ordered of it before is asked for again. */
void fh_fleet_supply_add(fh_fleet *f, fh_supply *s);
int fh_fleet_supply_remove(fh_fleet *f, const char *name, fh_err **err); /* FH_E_CONFLICT while it has machines; unknown: nothing */

/* Who a machine that joins is. One of an order that is over is to be removed again: nobody wants it. */
typedef enum fh_order_node { FH_NODE_OF_ITS_OWN, FH_NODE_OF_ORDER, FH_NODE_OF_PAST_ORDER } fh_order_node;
fh_order_node fh_fleet_node_is(const fh_fleet *f, const char *name);
/* fn(arg, name): the machine of that name is had no more, and the pool is to forget it. */
void fh_fleet_on_node_done(fh_fleet *f, void (*fn)(void *arg, const char *name), void *arg);

#endif
