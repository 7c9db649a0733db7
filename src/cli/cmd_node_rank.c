/* freehold node rank: what srun starts on each node of a job for an engine over several of them. */
#include "cli_private.h"
#include "fleet/spread.h"

static int run_rank(fh_cli *c, fh_err **err)
{
    int status = fh_rank_run(fh_cli_operand(c, 1));
    return status ? fh_err_set(err, FH_E_UNAVAILABLE, "the rank has ended with status %d", status) : 0;
}

const fh_cli_verb fh_verb_node_rank = {
    .name = "node rank",
    .group = "Server",
    .summary = "a rank of an engine over several nodes of a Slurm job; srun starts it",
    .operands = "FOLDER ORDER",
    .min_operands = 2,
    .max_operands = 2,
    .about =
        "`freehold node join --srun` has srun start it on each node of its job. It starts the engine in this node's sandbox with its "
        "rank, says what the engine says behind the node's name, and ends with it. FOLDER is the engine's, ORDER what it is started with.",
    .run = run_rank,
    .no_json = true,
};
