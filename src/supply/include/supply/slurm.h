/* A Slurm cluster, by the commands of its login node or by its slurmrestd (a url of http): an order is one job, of one node or several.
 * docs/SLURM.md says what each setting does. */
#ifndef FH_SUPPLY_SLURM_H
#define FH_SUPPLY_SLURM_H

#include "supply/supply.h"

fh_supply_open_fn fh_supply_slurm_open;

#endif
