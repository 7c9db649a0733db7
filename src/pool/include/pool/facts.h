/* What a machine says of itself when it is in a pool: read and measured here, and honest about how. */
#ifndef FH_POOL_FACTS_H
#define FH_POOL_FACTS_H

#include "json/json.h"

/* A JSON object, owned: processor, instruction sets, cores and memory as this process may use them, free space at the folder, how fast
 * memory is read (measured by all cores, in about a second), and GPUs as nvidia-smi and rocm-smi tell of them, at most NODE_GPUS. What
 * cannot be found out is left out. Slow: once a start. */
int fh_facts_read(fh_json **ret, const char *folder, fh_err **err);

/* What the two programs print, read: appends an object for each GPU to the array. What is not understood is passed over. */
void fh_facts_nvidia(fh_json *gpus, fh_str csv);
void fh_facts_rocm(fh_json *gpus, fh_str text);

#endif
