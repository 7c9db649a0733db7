/* What the files of the GGUF reader share. A reader (fh_gguf_cursor) walks one mapped file; every step checks that the bytes are there and
 * answers an error that names file, byte offset and field. Nothing here allocates in proportion to what a file claims, only to what it
 * holds. */
#ifndef FH_MODEL_GGUF_PRIVATE_H
#define FH_MODEL_GGUF_PRIVATE_H

#include "base/limits.h"
#include "model/gguf.h"
#include "sys/file.h"

#define FH_GGUF_STRIDE     16  /* one string offset is kept for so many elements of a string array */
#define FH_GGUF_NAME_BYTES 255 /* longest tensor name; ggml itself stops at 63 */
#define FH_GGUF_KEY_BYTES  65535

struct fh_gguf_value {
    const uint8_t *data; /* payload; for strings and string arrays the first length field */
    uint64_t count;      /* elements; 1 for scalars */
    uint64_t *stops;     /* owned; string arrays: offset from data of elements 0, 16, 32 ... */
    fh_gguf_kind kind, elem;
};

typedef struct fh_gguf_entry {
    fh_str key;
    fh_gguf_value value;
} fh_gguf_entry;

typedef struct fh_gguf_meta {
    fh_gguf_entry *entries; /* in file order */
    uint32_t *by_key;       /* indices, sorted by key */
    size_t count;
} fh_gguf_meta;

typedef struct fh_gguf_file {
    char *path; /* owned */
    fh_mapping map;
} fh_gguf_file;

struct fh_gguf {
    fh_gguf_file *files;
    size_t file_count;
    fh_gguf_meta meta; /* of the first file */
    fh_gguf_tensor *tensors;
    size_t tensor_count;
    uint32_t *by_name; /* indices of tensors, sorted by name */
};

typedef struct fh_gguf_cursor {
    const char *path;
    const uint8_t *base;
    uint64_t size, pos;
    const char *group; /* "metadata" or "tensors" while inside an item, else NULL */
    uint64_t item;
    fh_str name;           /* of the item, once it is known */
    uint64_t strings_left; /* elements that all string arrays of the file may still have */
    fh_err **err;
} fh_gguf_cursor;

int fh_gguf_fault(const fh_gguf_cursor *c, uint64_t at, const char *field, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void fh_gguf_printable(fh_str s, char *out, size_t out_size); /* cut to fit; what is no printable ASCII becomes '?' */
int fh_gguf_take_u32(fh_gguf_cursor *c, const char *field, uint32_t *ret);
int fh_gguf_take_u64(fh_gguf_cursor *c, const char *field, uint64_t *ret);
int fh_gguf_take_str(fh_gguf_cursor *c, const char *field, uint64_t max_bytes, fh_str *ret);

/* Reads count keys; on failure the caller frees what is there. */
int fh_gguf_meta_read(fh_gguf_cursor *c, uint64_t count, fh_gguf_meta *ret);
void fh_gguf_meta_free(fh_gguf_meta *m);
const fh_gguf_value *fh_gguf_meta_find(const fh_gguf_meta *m, fh_str key);
uint64_t fh_gguf_load(const uint8_t *p, unsigned bytes);                                 /* little endian, any alignment */
bool fh_gguf_as_u64(const fh_gguf_value *v, size_t i, fh_gguf_kind kind, uint64_t *ret); /* false when not an integer or negative */

/* Appends the tensors that file number `file` describes; their data are checked to lie inside it. */
int fh_gguf_tensors_read(fh_gguf_cursor *c, uint64_t count, const fh_gguf_meta *m, uint16_t file, fh_gguf *g);
/* Over all files: no name twice, no overlap. Sets by_name. */
int fh_gguf_tensors_check(fh_gguf *g, fh_err **err);

int fh_gguf_compare_str(fh_str a, fh_str b);

#endif
