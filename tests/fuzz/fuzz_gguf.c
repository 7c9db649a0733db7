/* GGUF files from arbitrary bytes. Whatever opens is walked to its last byte: keys, every element of every array, every tensor, rows made
 * into floats where the type is one that we compute with; tensors must lie apart and be found by their names. Then a vocabulary is made of
 * it, and if that works too, every token is decoded and a text encoded and back. */
#include "kernel/ref.h"
#include "model/gguf.h"
#include "model/vocab.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint64_t sink; /* so that reads are not optimised away */

static void check(bool holds)
{
    if (!holds) abort();
}

static void read_bytes(const void *p, size_t n)
{
    const uint8_t *bytes = p;
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) sum += bytes[i];
    sink = sink + sum;
}

static void walk_array(const fh_gguf *g, const char *key)
{
    const fh_gguf_value *v = NULL;
    size_t count = 0;
    for (unsigned kind = FH_GGUF_U8; kind <= FH_GGUF_F64; kind++) {
        if (fh_gguf_get_array(g, key, (fh_gguf_kind)kind, &v, &count, NULL) != 0) continue;
        for (size_t i = 0; i < count; i++) {
            if (kind == FH_GGUF_STRING)
                read_bytes(fh_gguf_array_str(v, i).ptr, fh_gguf_array_str(v, i).len);
            else
                sink = sink + (uint64_t)fh_gguf_array_i64(v, i) + (fh_gguf_array_f64(v, i) > 0);
        }
    }
}

static void walk_keys(const fh_gguf *g)
{
    for (size_t i = 0; i < fh_gguf_key_count(g); i++) {
        const fh_gguf_value *v = NULL;
        fh_str name = fh_gguf_key_at(g, i, &v), s;
        char *key = fh_strndup(name.ptr, name.len);
        uint64_t u;
        double d;
        bool b;
        check(key && fh_gguf_find(g, key) == v);
        fh_gguf_get_u64(g, key, 0, UINT64_MAX, &u, NULL);
        fh_gguf_get_f64(g, key, &d, NULL);
        fh_gguf_get_bool(g, key, &b, NULL);
        if (fh_gguf_get_str(g, key, &s, NULL) == 0) read_bytes(s.ptr, s.len);
        walk_array(g, key);
        fh_free(key);
    }
}

/* The first block of each row of the tensor's first matrix. */
static void dequantise(const fh_gguf_tensor *t)
{
    float y[256];
    size_t row_bytes = 0;
    if (!fh_type_known(t->gguf_type)) return;
    fh_type type = (fh_type)t->gguf_type;
    check(fh_type_row_bytes(type, t->dims[0], &row_bytes));
    for (size_t r = 0; r < t->dims[1]; r++) {
        fh_ref_dequant(type, (const uint8_t *)t->data + r * row_bytes, y, fh_type_block_elems(type));
        sink = sink + (y[0] > 0);
    }
}

static void walk_tensors(const fh_gguf *g)
{
    for (size_t i = 0; i < fh_gguf_tensor_count(g); i++) {
        const fh_gguf_tensor *t = fh_gguf_tensor_at(g, i);
        char *name = fh_strndup(t->name.ptr, t->name.len);
        check(name && fh_gguf_tensor_find(g, name) == t);
        fh_free(name);
        read_bytes(t->data, t->bytes);
        dequantise(t);
        for (size_t k = 0; k < i && k < 64; k++) {
            const fh_gguf_tensor *o = fh_gguf_tensor_at(g, k);
            check((const char *)o->data + o->bytes <= (const char *)t->data || (const char *)t->data + t->bytes <= (const char *)o->data);
        }
    }
}

static void use_vocab(const fh_gguf *g)
{
    FH_AUTO(fh_vocab) fh_vocab *v = NULL;
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 24);
    fh_tokens ids = {0};
    if (fh_vocab_new(&v, g, NULL) != 0) return;
    for (size_t id = 0; id < fh_vocab_size(v); id++) check(fh_vocab_decode(v, (fh_token)id, true, &out, NULL) == 0 || !fh_buf_ok(&out));
    fh_str text = FH_STR("Hello  wor\xcc\x88ld 12345 \xf0\x9f\x98\x80<s></s>\n\t\xff");
    for (unsigned flags = 0; flags < 4; flags++) check(fh_vocab_encode(v, text, flags, &ids, NULL) == 0);
    for (size_t i = 0; i < ids.count; i++) check(ids.ids[i] >= 0 && (size_t)ids.ids[i] < fh_vocab_size(v));
    fh_tokens_fini(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    char path[64];
    if (fd < 0) fd = memfd_create("fuzz-gguf", 0);
    check(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    FH_AUTO(fh_gguf) fh_gguf *g = NULL;
    fh_err *err = NULL;
    int rc = fh_gguf_open(&g, path, &err);
    check((rc == 0) == (g != NULL) && (rc == 0) == (err == NULL));
    fh_err_free(err);
    if (rc) return 0;
    walk_keys(g);
    walk_tensors(g);
    use_vocab(g);
    return 0;
}
