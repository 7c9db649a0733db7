/* The place ssh: any Linux box with a login (docs/SSH.md). It is looked at when it is opened: its host key is taken then, and no other
 * later. Settings: folder, install, keep, tunnel. */
#ifndef FH_SUPPLY_SUPPLY_BOX_H
#define FH_SUPPLY_SUPPLY_BOX_H

#include "supply/supply.h"

fh_supply_open_fn fh_supply_box_open;

#endif
