/* What freehold bench says of the machine, in both of its forms: a model's speed (cmd_bench.c), and the kernels' alone (bench_kernels.c).
 */
#ifndef FH_CLI_BENCH_H
#define FH_CLI_BENCH_H

#include "cli_private.h"
#include "engine/bench.h"

/* "Intel Xeon, 2 threads; memory reads 21.3 GB/s; integer peak avx2 0.21 TOPS, avx512_vnni 0.74 TOPS". */
void fh_bench_machine_line(fh_buf *out, const fh_machine_speed *m);
/* {"cpu":..., all but the closing brace. */
void fh_bench_machine_json(fh_buf *out, const fh_machine_speed *m, unsigned cores, uint64_t memory_bytes);
void fh_bench_share(double share, char out[32]); /* "93 %"; "-" of 0, which stands for unknown */

int fh_bench_kernels(const fh_cli *c, fh_err **err); /* the verb with --kernels */

#endif
