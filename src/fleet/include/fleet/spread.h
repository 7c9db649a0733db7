/* Engines over all nodes of a cluster's job: srun starts a rank on each, with its number, how many there are, and the first node's address
 * (rank_arguments of catalog/engines.h). The first node is the machine of the pool; its rank's socket is the engine's. One rank that ends
 * takes the others with it, and says so first. */
#ifndef FH_FLEET_SPREAD_H
#define FH_FLEET_SPREAD_H

#include "base/err.h"
#include <stdint.h>

typedef struct fh_spread {
    int64_t ranks;  /* nodes of the job */
    char head[256]; /* address of this node, as the others reach it */
} fh_spread;

/* From the environment of a job. FH_E_UNAVAILABLE outside of one. */
int fh_spread_read(const char *head, fh_spread *ret, fh_err **err);

/* What srun starts on a node: its rank of an engine, in this node's sandbox, until it ends or SIGTERM comes. order: as
 * fh_spread_start made it. What the engine says, and why it ended, goes to standard output behind the node's name. Returns the exit
 * status, never 0: one that ends takes the others with it. */
int fh_rank_run(const char *order);

#endif
