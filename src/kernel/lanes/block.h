/* What quantising a block of 32 floats gives beside its quants: their sums. */
#ifndef FH_LANES_BLOCK_H
#define FH_LANES_BLOCK_H

#include "../kernels.h"

typedef struct block_sums {
    int32_t first, second; /* of columns 0-15 and 16-31 */
} block_sums;

#endif
