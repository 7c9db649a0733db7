/* What the family of processors that this was built for has: one of x86/family.c, arm/family.c and ref/family.c is compiled. */
#ifndef FH_KERNEL_FAMILY_H
#define FH_KERNEL_FAMILY_H

#include "kernel/speed.h"

const fh_kernels *fh_family_kernels(fh_isa isa); /* NULL: this processor, or the system, has no such instructions */

/* turns: about 10 ms on a slow core of those that have the instructions; loop returns the number of operations of all, modulo 2^32. */
typedef struct fh_peak_row {
    uint32_t (*loop)(uint64_t turns);
    uint64_t ops, turns;
} fh_peak_row;
fh_peak_row fh_family_peak(fh_peak p); /* loop is NULL where there is none */

#endif
