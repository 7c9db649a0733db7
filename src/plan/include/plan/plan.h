/* Does a model fit on a machine, and if not, what is missing and what would fit. Pure and deterministic: numbers in, numbers out.
 *
 * Memory of one copy = weights + KV bytes per token x context x streams + fixed state x streams + workspace. Workspace is 7.5 percent of
 * the rest (the middle of the 5 to 10 percent that serving engines are seen to take) and at least 64 MiB. Threads: any. */
#ifndef FH_PLAN_PLAN_H
#define FH_PLAN_PLAN_H

#include "base/buf.h"
#include "catalog/catalog.h"

typedef struct fh_plan_machine {
    uint64_t memory_bytes;           /* that it has */
    uint64_t memory_available_bytes; /* that is free now; 0 = as memory_bytes */
    uint64_t promised_bytes;         /* of what is free: to others, who have not taken it yet */
} fh_plan_machine;

typedef struct fh_plan_model { /* what the rule needs to know; from the catalogue or from a file's metadata */
    uint64_t weights_bytes, kv_bytes_per_tok, kv_fixed_bytes;
    int64_t context_max_tok; /* 0: unknown */
} fh_plan_model;

typedef struct fh_plan_need {
    uint64_t weights_bytes, kv_bytes, fixed_bytes, workspace_bytes, total_bytes;
    int64_t context_tok, streams; /* that it was reckoned for */
} fh_plan_need;

typedef enum fh_plan_verdict {
    FH_PLAN_FITS,
    FH_PLAN_TIGHT,     /* fits the machine, but not beside what runs or starts there now */
    FH_PLAN_TOO_LARGE, /* does not fit the machine */
    FH_PLAN_UNKNOWN,   /* the catalogue does not know its size */
} fh_plan_verdict;

typedef struct fh_plan_fit {
    fh_plan_verdict verdict;
    fh_plan_need need;
    uint64_t missing_bytes; /* 0 when it fits */
} fh_plan_fit;

#define FH_PLAN_MOST            64 /* devices of a machine, and machines that work as one */
#define FH_PLAN_CONTEXT_DEFAULT 4096
#define FH_PLAN_STREAMS_DEFAULT 4

typedef enum fh_plan_kv { /* what the KV cache is kept as */
                          FH_PLAN_KV_16BIT,
                          FH_PLAN_KV_8BIT, /* of devices that compute in 8 bits (vLLM, SGLang) */
                          FH_PLAN_KV_Q8_0, /* blocks of 32 elements and a scale of 16 bits: 34 bytes (freehold, llama.cpp) */
                          FH_PLAN_KV_Q4_0, /* likewise: 18 bytes */
                          FH_PLAN_KV_TYPES,
} fh_plan_kv;

/* What a person can ask for: f16, q8_0 or q4_0; "" is f16. FH_E_INVALID names these, and the field kv_type. */
int fh_plan_kv_parse(fh_str name, fh_plan_kv *ret, fh_err **err);
bool fh_plan_kv_same(const char *a, const char *b); /* names, of which "" is f16 */
const char *fh_plan_kv_name(fh_plan_kv kv);         /* "f16", "fp8", "q8_0", "q4_0" */
/* Of a cache that would have so many bytes in 16 bits. */
uint64_t fh_plan_kv_bytes(fh_plan_kv kv, uint64_t bytes_16bit);

/* The rule for such a cache when `ranks` devices share each layer (tensor parallelism), summed over them: latents, indexes and
 * compressed rows are kept by every rank, rows of GQA by as many as there are KV heads. Fixed: windows (always in 16 bits, so that the
 * reckoning is never under) and states. In q8_0 and q4_0 are rows of GQA and latents; all else counts as 16 bits, for the same reason.
 * ranks 0 = 1. v NULL: zero bytes, so UNKNOWN. A model whose caches are unknown has the catalogue's 16-bit figure on each rank. Source of
 * the rules: facts beside each file of data/catalog/models, docs/PLANNING.md. */
fh_plan_model fh_plan_model_with(const fh_catalog_model *m, const fh_catalog_variant *v, fh_plan_kv kv, unsigned ranks);
fh_plan_model fh_plan_model_of(const fh_catalog_model *m, const fh_catalog_variant *v); /* in 16 bits, on one rank */
/* context, streams 0 = default; a context beyond the model's own is cut to it. Saturates instead of overflowing. */
fh_plan_need fh_plan_need_of(const fh_plan_model *m, int64_t context_tok, int64_t streams);
fh_plan_fit fh_plan_fit_of(const fh_plan_model *m, const fh_plan_machine *on, int64_t context_tok, int64_t streams);
/* How many machines may share a model at most: each holds a range of its layers. m NULL: it is not known how many it has. */
uint32_t fh_plan_machines_most(const fh_catalog_model *m);
/* What accelerators must have together so that so much fits: an engine does not get all of their memory. */
uint64_t fh_plan_gpu_bytes_for(uint64_t need_bytes);
/* The model nearest to the frontier that would fit and that freehold's own engine runs, other than `but` (may be NULL); has: only those
 * whose weights it says are there, NULL: all. */
const fh_catalog_model *fh_plan_nearest(const fh_catalog_model *but, const fh_plan_machine *on,
                                        bool (*has)(void *arg, const fh_catalog_model *m), void *arg);
/* "needs 1,680 GB, this machine has 24 GB" (powers of ten, as makers count); fits: "needs 0.2 GB of the 24 GB here". where: the name of a
 * machine that is not this one, NULL: this one. */
void fh_plan_sentence(const fh_plan_fit *fit, const fh_plan_machine *on, const char *where, char *out, size_t out_size);
/* "1,680 GB", "512 MB": at most three digits that matter. */
void fh_plan_bytes(uint64_t bytes, char *out, size_t out_size);

#endif
