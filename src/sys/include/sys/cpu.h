/* What this processor can do and how it is laid out. Read once; threads: any. */
#ifndef FH_SYS_CPU_H
#define FH_SYS_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct fh_cpu {
    char vendor[16], model[64];
    bool avx2, fma, f16c, avx512f, avx512bw, avx512vl, avx512dq, avx512vnni, avx512bf16, avx_vnni, amx_int8, amx_bf16, neon, dotprod, i8mm;
} fh_cpu; /* only what the operating system has enabled too (XCR0) */

const fh_cpu *fh_cpu_get(void);
/* Asks the system, once a process, to let its threads use the registers of AMX (Linux gives them to those that ask; each
 * thread that uses them has 8 KiB more to be saved). False: there are none,
 * or it refuses. */
bool fh_cpu_permit_amx(void);
/* Names of the instruction sets that it has, of those above: size_t i = 0; while (fh_cpu_isa_next(&i, &name)) ... */
bool fh_cpu_isa_next(size_t *i, const char **ret_name);

typedef struct fh_topo {
    unsigned logical, cores, packages, numa_nodes; /* that this process may use */
    size_t l2_bytes, l3_bytes;
    uint64_t memory_bytes, memory_available_bytes; /* the smaller of the machine's and the cgroup's */
} fh_topo;

int fh_topo_read(fh_topo *ret); /* always fills what it can; 0 */

/* Logical processors that this process may use, one of each core first, then their siblings; fills up to max, returns how many there are.
 */
size_t fh_topo_cpus(unsigned *ret, size_t max);
/* Threads that computing should use: one a physical core that this process may use, no more than the cgroup's CPU quota; at least 1. */
unsigned fh_topo_threads(void);

#endif
