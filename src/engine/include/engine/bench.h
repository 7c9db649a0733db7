/* How fast a model runs here, and what this machine gives at most. Threads: the batch thread (engine.h); the kernels' speed any, one at a
 * time. */
#ifndef FH_ENGINE_BENCH_H
#define FH_ENGINE_BENCH_H

#include "engine/engine.h"

/* ---- the machine ---- */

enum { FH_MACHINE_PEAKS = 8 };
typedef struct fh_machine_peak {
    const char *name; /* of the instruction set: "avx2", "avx512_vnni", "amx_int8" */
    double ops_per_s; /* on 8-bit integers */
} fh_machine_peak;
typedef struct fh_machine_speed {
    unsigned threads;
    double read_bytes_per_s; /* from memory, all threads together: the best of several passes */
    fh_machine_peak peaks[FH_MACHINE_PEAKS];
    size_t peak_count;
} fh_machine_speed;
/* The peak of that name; 0: this machine does not have it. */
double fh_machine_peak_get(const fh_machine_speed *m, const char *name);

/* By the engine's threads; memory is read as many bytes as a token's weights are. */
int fh_engine_measure_machine(fh_engine *e, fh_machine_speed *ret, fh_err **err);

/* ---- a model ---- */

/* Seconds for: prompt_tok tokens on top of depth_tok cached ones, or generate_tok tokens in each of `streams` sequences. Caches are filled
 * untimed. */
typedef struct fh_bench_spec {
    uint32_t prompt_tok, generate_tok, depth_tok;
    unsigned streams;
} fh_bench_spec;
int fh_engine_bench(fh_engine *e, const fh_bench_spec *b, double *ret_seconds, fh_err **err);

/* ---- kernels ---- */

typedef struct fh_kernel_speed {   /* products of one type of weights by one instruction set */
    const char *type, *isa, *peak; /* peak: what its arithmetic is held against; NULL: no integers are multiplied */
    size_t rows;                   /* of activations */
    double bytes_per_s, ops_per_s; /* of weights read; multiplications and additions */
} fh_kernel_speed;
typedef struct fh_kernels_watch {
    void (*machine)(void *arg, const fh_machine_speed *m);            /* first */
    int (*kernel)(void *arg, const fh_kernel_speed *s, fh_err **err); /* a negative answer ends the run with that code */
    void *arg;
} fh_kernels_watch;
/* Every instruction set that this machine has, every type, 1, 8 and 512 rows. threads: 0: one a physical core. */
int fh_kernels_measure(unsigned threads, const fh_kernels_watch *watch, fh_err **err);

#endif
