/* What was measured of this machine: how fast an engine reads the weights of a family of models while it decodes. Plans predict by it.
 *
 * One file, DATA/speeds.json, which holds the last FH_LIMIT_SPEED_RUNS runs; a run is one of `freehold bench --record`. Threads: any; of
 * two that add at once one run may be lost. */
#ifndef FH_SERVER_SPEEDS_H
#define FH_SERVER_SPEEDS_H

#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

typedef struct fh_speed_run {             /* strings borrowed for the call */
    const char *engine, *device, *family; /* "freehold"; the processor; as a GGUF names it: "llama" */
    double bandwidth_bytes, decode_bytes; /* a second: that memory gives, and of weights while one stream decodes */
    double cache_bytes;                   /* of its cache, by what a token takes longer for one that is full; 0: not known */
} fh_speed_run;

int fh_speeds_add(const char *data_dir, const fh_speed_run *run, fh_err **err);

typedef struct fh_speeds {
    size_t runs;                   /* of that engine, device and family; 0: what follows is of all families, or nothing is known */
    uint64_t bandwidth_bytes;      /* a second, the median; 0: nothing was measured on this device */
    uint32_t cache_per_mille;      /* of reading the cache, the median; 0: not known */
    uint32_t per_mille, low, high; /* measured over predicted: the median, the least and the most; 0: not known */
} fh_speeds;
/* family: as the catalogue names it ("LlamaForCausalLM"). A file that is not there, or is none, says nothing. */
void fh_speeds_of(const char *data_dir, const char *engine, const char *device, const char *family, fh_speeds *ret);

#endif
