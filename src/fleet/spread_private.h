/* What the starting side and a rank of a spread engine share (fleet/spread.h). */
#ifndef FH_FLEET_SPREAD_PRIVATE_H
#define FH_FLEET_SPREAD_PRIVATE_H

#include "base/buf.h"
#include "fleet/place.h"
#include "fleet/spread.h"
#include "programs.h"

/* The engine's command line and environment in its sandbox. folder: the socket's, its own, which it
 * writes, and those of values for what it keeps; values: with its rank, where it has one. */
int fh_engine_launch(fh_sandbox_kind kind, const fh_engine_spec *s, const fh_program *p, const char *folder, const fh_engine_values *values,
                     int log_fd, fh_process *ret, fh_err **err);
fh_engine_values fh_engine_values_of(const fh_engine_spec *s);

/* Makes a folder for sockets, which must be ours alone: in /tmp somebody else may have made it first. */
int fh_here_own_folder(const char *path, fh_err **err);

/* srun for all ranks. program: this very one; folder: the socket's, which marks all processes of it as ours. */
int fh_spread_start(const fh_spread *spread, const char *program, const fh_engine_spec *s, const char *folder, int log_fd, fh_process *ret,
                    fh_err **err);
/* Of what runs of it on this machine. */
int fh_spread_usage(const char *folder, fh_process_use *ret);
/* The line of a log that says which rank ended first, since the last start; empty: none does. */
fh_str fh_spread_first_end(fh_str log);

typedef struct fh_rank_order { /* what a rank is told; borrowed from json */
    fh_json *json;             /* owned */
    fh_engine_spec spec;
    fh_catalog_run run;
    const char *arguments[FH_ENGINE_WORDS + 1], *environment[FH_ENGINE_WORDS + 1];
    int64_t ranks, head_port;
    const char *head;
} fh_rank_order;
int fh_rank_order_write(const fh_spread *spread, int64_t head_port, const fh_engine_spec *s, fh_buf *out, fh_err **err);
int fh_rank_order_read(fh_str text, fh_rank_order *ret, fh_err **err); /* *ret must not move: run points into it */
void fh_rank_order_fini(fh_rank_order *o);

#endif
