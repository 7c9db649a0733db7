/* What the tiles of AMX give its table beside AVX-512's operations. */
#ifndef FH_X86_AMX_H
#define FH_X86_AMX_H

#include "../kernels.h"

void fh_amx_halve(const float *x, size_t blocks, uint8_t *to);
void fh_amx_product_wide(const fh_product *p, const fh_weight *up);

#endif
