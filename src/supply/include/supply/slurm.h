/* A Slurm cluster, by the commands of its login node: an order is one job on one node. docs/SLURM.md says what each setting does. */
#ifndef FH_SUPPLY_SLURM_H
#define FH_SUPPLY_SLURM_H

#include "supply/supply.h"

fh_supply_open_fn fh_supply_slurm_open;

#endif
