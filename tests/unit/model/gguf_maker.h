/* Builds GGUF files for tests, good and broken. Every length and count that is written is noted, so that a test can set each to what it
 * likes. */
#ifndef FH_TEST_GGUF_MAKER_H
#define FH_TEST_GGUF_MAKER_H

#include "base/buf.h"
#include "base/str.h"
#include "cmocka_all.h"
#include "model/gguf.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MEMORY_MAX 100000000 /* bytes that any file, however it lies, may cost to open */

typedef struct maker {
    fh_buf head, data;
    size_t lengths[4096]; /* offsets of the u64 lengths and counts in head */
    size_t length_count, align;
    uint64_t keys, tensors;
} maker;

static inline void put_u64_at(fh_buf *b, size_t at, uint64_t v)
{
    for (unsigned i = 0; i < 8; i++) b->data[at + i] = (char)(v >> (8 * i));
}
static inline void put_u32(maker *m, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++) fh_buf_addc(&m->head, (char)(v >> (8 * i)));
}
static inline void put_u64(maker *m, uint64_t v)
{
    char bytes[8] = {0};
    fh_buf_add(&m->head, bytes, 8);
    put_u64_at(&m->head, m->head.len - 8, v);
}
static inline void put_length(maker *m, uint64_t v)
{
    if (m->length_count < FH_COUNT(m->lengths)) m->lengths[m->length_count++] = m->head.len;
    put_u64(m, v);
}
static inline void put_str(maker *m, fh_str s)
{
    put_length(m, s.len);
    fh_buf_add(&m->head, s.ptr, s.len);
}
static inline void maker_init(maker *m)
{
    *m = (maker){.head = FH_BUF(1u << 30), .data = FH_BUF(1u << 30), .align = 32};
    fh_buf_adds(&m->head, "GGUF");
    put_u32(m, 3);
    put_length(m, 0);
    put_length(m, 0);
}
static inline void maker_fini(maker *m)
{
    fh_buf_fini(&m->head);
    fh_buf_fini(&m->data);
}
static inline void key(maker *m, const char *name, fh_gguf_kind kind)
{
    m->keys++;
    put_str(m, fh_str_of(name));
    put_u32(m, kind);
}
static inline void key_u32(maker *m, const char *name, uint32_t v)
{
    key(m, name, FH_GGUF_U32);
    put_u32(m, v);
}
static inline void key_bool(maker *m, const char *name, bool v)
{
    key(m, name, FH_GGUF_BOOL);
    fh_buf_addc(&m->head, v);
}
static inline void key_str(maker *m, const char *name, const char *v)
{
    key(m, name, FH_GGUF_STRING);
    put_str(m, fh_str_of(v));
}
static inline void key_array(maker *m, const char *name, fh_gguf_kind elem, uint64_t count)
{
    key(m, name, FH_GGUF_ARRAY);
    put_u32(m, elem);
    put_length(m, count);
}
static inline void tensor_at(maker *m, const char *name, uint32_t type, unsigned n_dims, const uint64_t *dims, uint64_t offset)
{
    m->tensors++;
    put_str(m, fh_str_of(name));
    put_u32(m, n_dims);
    for (unsigned i = 0; i < n_dims; i++) put_length(m, dims[i]);
    put_u32(m, type);
    put_u64(m, offset);
}
/* An F32 tensor of n elements behind the ones before. */
static inline void tensor_f32(maker *m, const char *name, uint64_t n)
{
    tensor_at(m, name, FH_TYPE_F32, 1, &n, m->data.len);
    for (uint64_t i = 0; i < n * 4 || m->data.len % m->align; i++) fh_buf_addc(&m->data, (char)i);
}
static inline void maker_count(maker *m)
{
    put_u64_at(&m->head, 8, m->tensors);
    put_u64_at(&m->head, 16, m->keys);
}
static inline void write_file(const char *path, const void *head, size_t head_bytes, const void *data, size_t data_bytes)
{
    unlink(path); /* one that is mapped stays as it is */
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(head_bytes ? head : "", 1, head_bytes, f), head_bytes);
    assert_int_equal(fwrite(data_bytes ? data : "", 1, data_bytes, f), data_bytes);
    assert_int_equal(fclose(f), 0);
}
/* Counts set, padded, with its tensors' data. */
static inline void maker_write(maker *m, const char *path)
{
    maker_count(m);
    fh_buf all = FH_BUF(1u << 30);
    fh_buf_add(&all, m->head.data, m->head.len);
    while (all.len % m->align) fh_buf_addc(&all, 0);
    assert_true(fh_buf_ok(&all) && fh_buf_ok(&m->head) && fh_buf_ok(&m->data));
    write_file(path, all.data, all.len, m->data.data, m->data.len);
    fh_buf_fini(&all);
}

/* A folder of the test's own, and paths in it; emptied by scratch_fini. */
static char scratch[64];
static inline int scratch_init(void **state)
{
    (void)state;
    snprintf(scratch, sizeof scratch, "%s", "/tmp/fh-model-XXXXXX");
    return mkdtemp(scratch) ? 0 : -1;
}
static inline int scratch_fini(void **state)
{
    (void)state;
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", scratch);
    return system(command);
}
static inline const char *in_scratch(const char *name)
{
    static char paths[4][160];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", scratch, name);
    return path;
}

#endif
