/* GGUF version 3 files, split ones too, read through mmap. Everything in a file is hostile until checked: counts, lengths, offsets, types,
 * overlaps. Errors name the file offset and the field. Memory made is bounded by the limits GGUF_*, and strings and arrays are borrowed
 * from the mapping. Source of the format: gguf.md of the ggml project. Threads: immutable after open, any may read. */
#ifndef FH_MODEL_GGUF_H
#define FH_MODEL_GGUF_H

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "kernel/type.h"

typedef enum fh_gguf_kind {
    FH_GGUF_U8,
    FH_GGUF_I8,
    FH_GGUF_U16,
    FH_GGUF_I16,
    FH_GGUF_U32,
    FH_GGUF_I32,
    FH_GGUF_F32,
    FH_GGUF_BOOL,
    FH_GGUF_STRING,
    FH_GGUF_ARRAY,
    FH_GGUF_U64,
    FH_GGUF_I64,
    FH_GGUF_F64
} fh_gguf_kind;

typedef struct fh_gguf fh_gguf;
typedef struct fh_gguf_value fh_gguf_value; /* borrowed from the fh_gguf */

typedef struct fh_gguf_tensor {
    fh_str name;
    uint32_t gguf_type; /* may be one that is not supported: see fh_type_known */
    unsigned n_dims;
    uint64_t dims[4]; /* dims[0] is the row length; missing ones are 1 */
    const void *data; /* in the mapping of its file */
    uint64_t bytes;
    uint16_t file; /* index of the split file */
} fh_gguf_tensor;

/* path: the file, or the first of a split (…-00001-of-000NN.gguf): the others are opened beside it. */
int fh_gguf_open(fh_gguf **ret, const char *path, fh_err **err);
void fh_gguf_close(fh_gguf *g);
FH_DEFINE_AUTO(fh_gguf, fh_gguf_close);

const fh_gguf_value *fh_gguf_find(const fh_gguf *g, const char *key); /* NULL when absent */
size_t fh_gguf_key_count(const fh_gguf *g);
fh_str fh_gguf_key_at(const fh_gguf *g, size_t i, const fh_gguf_value **ret_value);
fh_gguf_kind fh_gguf_kind_of(const fh_gguf_value *v);

/* Typed reads: absent is FH_E_NOT_FOUND, wrong kind or out of [min, max] is FH_E_CORRUPT; both name the key. Integer kinds convert. */
int fh_gguf_get_u64(const fh_gguf *g, const char *key, uint64_t min, uint64_t max, uint64_t *ret, fh_err **err);
int fh_gguf_get_f64(const fh_gguf *g, const char *key, double *ret, fh_err **err);
int fh_gguf_get_bool(const fh_gguf *g, const char *key, bool *ret, fh_err **err);
int fh_gguf_get_str(const fh_gguf *g, const char *key, fh_str *ret, fh_err **err);
/* Passes rc on, but for FH_E_NOT_FOUND of a key that was needed: the file is broken then (FH_E_CORRUPT), not absent. */
int fh_gguf_needed(int rc, fh_err **err);
/* Arrays: element kind must be elem_kind; element i by the accessors below (constant time for strings too). */
int fh_gguf_get_array(const fh_gguf *g, const char *key, fh_gguf_kind elem_kind, const fh_gguf_value **ret, size_t *ret_count,
                      fh_err **err);
fh_str fh_gguf_array_str(const fh_gguf_value *array, size_t i);
double fh_gguf_array_f64(const fh_gguf_value *array, size_t i);
int64_t fh_gguf_array_i64(const fh_gguf_value *array, size_t i);

size_t fh_gguf_tensor_count(const fh_gguf *g);
const fh_gguf_tensor *fh_gguf_tensor_at(const fh_gguf *g, size_t i);
const fh_gguf_tensor *fh_gguf_tensor_find(const fh_gguf *g, const char *name); /* NULL when absent */
uint64_t fh_gguf_file_bytes(const fh_gguf *g);                                 /* all files of the split */

#endif
