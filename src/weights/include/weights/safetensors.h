/* The header of a safetensors file. Format: https://github.com/huggingface/safetensors (8 bytes of length, little endian; JSON; data).
 * Pure; any thread. */
#ifndef FH_WEIGHTS_SAFETENSORS_H
#define FH_WEIGHTS_SAFETENSORS_H

#include "base/err.h"
#include "base/str.h"

/* Each tensor lies inside data_bytes, and the last of them ends it. FH_E_CORRUPT with the tensor at fault. */
int fh_safetensors_check(fh_str header, uint64_t data_bytes, fh_err **err);

#endif
