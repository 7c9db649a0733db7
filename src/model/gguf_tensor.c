/* The tensor list of a GGUF file. A tensor is believed only when its type is one we know the size of, its rows are whole blocks, its bytes
 * lie aligned inside the file and overlap no other tensor. Types that our kernels cannot compute are listed too: the engine names them when
 * it refuses. */
#include "gguf_private.h"
#include <stdlib.h>

#define ALIGNMENT_DEFAULT 32
#define ALIGNMENT_MAX     65536

/* Sizes of the types that our kernels do not know (gguf-py/gguf/constants.py): id, elements and bytes of a block. */
static const struct foreign {
    uint16_t id, elems, bytes;
} foreign[] = {
    {9, 32, 36}, {15, 256, 292}, {24, 1, 1}, {25, 1, 2}, {26, 1, 4}, {27, 1, 8}, {28, 1, 8}, {40, 64, 36}, {41, 128, 18},
};

static bool block_of(uint32_t id, uint64_t *ret_elems, uint64_t *ret_bytes)
{
    if (fh_type_known(id)) {
        *ret_elems = fh_type_block_elems((fh_type)id);
        *ret_bytes = fh_type_block_bytes((fh_type)id);
        return true;
    }
    for (size_t i = 0; i < FH_COUNT(foreign); i++) {
        if (foreign[i].id != id) continue;
        *ret_elems = foreign[i].elems;
        *ret_bytes = foreign[i].bytes;
        return true;
    }
    return false;
}

static int read_alignment(fh_gguf_cursor *c, const fh_gguf_meta *m, uint64_t *ret)
{
    *ret = ALIGNMENT_DEFAULT;
    const fh_gguf_value *v = fh_gguf_meta_find(m, FH_STR("general.alignment"));
    if (!v) return 0;
    uint64_t value = 0;
    if (v->kind == FH_GGUF_ARRAY || !fh_gguf_as_u64(v, 0, v->kind, &value) || value < 8 || value > ALIGNMENT_MAX || (value & (value - 1)))
        return fh_gguf_fault(c, (uint64_t)(v->data - c->base), "general.alignment", "is no power of two within 8 and %d", ALIGNMENT_MAX);
    *ret = value;
    return 0;
}

static int take_dims(fh_gguf_cursor *c, fh_gguf_tensor *t, uint64_t *ret_elems)
{
    uint64_t at = c->pos, elems = 1;
    uint32_t n = 0;
    int rc = fh_gguf_take_u32(c, "n_dims", &n);
    if (rc) return rc;
    if (n < 1 || n > 4) return fh_gguf_fault(c, at, "n_dims", "is %u, not 1 to 4", n);
    t->n_dims = n;
    for (unsigned i = 0; i < 4; i++) {
        t->dims[i] = 1;
        if (i >= n) continue;
        at = c->pos;
        rc = fh_gguf_take_u64(c, "dims", &t->dims[i]);
        if (rc) return rc;
        if (!t->dims[i] || __builtin_mul_overflow(elems, t->dims[i], &elems) || elems > INT64_MAX)
            return fh_gguf_fault(c, at, "dims", "dimension %u is %llu: the tensor would be empty or larger than any", i,
                                 (unsigned long long)t->dims[i]);
    }
    *ret_elems = elems;
    return 0;
}

static int take_type(fh_gguf_cursor *c, fh_gguf_tensor *t, uint64_t elems)
{
    uint64_t at = c->pos, block_elems = 1, block_bytes = 1;
    int rc = fh_gguf_take_u32(c, "type", &t->gguf_type);
    if (rc) return rc;
    if (!block_of(t->gguf_type, &block_elems, &block_bytes))
        return fh_gguf_fault(c, at, "type", "%u is no tensor type that is known here", t->gguf_type);
    if (t->dims[0] % block_elems)
        return fh_gguf_fault(c, at, "type", "%s has blocks of %llu elements, but rows have %llu", fh_type_name(t->gguf_type),
                             (unsigned long long)block_elems, (unsigned long long)t->dims[0]);
    if (__builtin_mul_overflow(elems / block_elems, block_bytes, &t->bytes))
        return fh_gguf_fault(c, at, "type", "the tensor is larger than any file");
    return 0;
}

/* data holds the offset for now: the data section's place is known only behind the last description. */
static int take_tensor(fh_gguf_cursor *c, uint64_t alignment, fh_gguf_tensor *t)
{
    uint64_t at = c->pos, elems = 0, offset = 0;
    c->name = (fh_str){0};
    int rc = fh_gguf_take_str(c, "name", FH_GGUF_NAME_BYTES, &t->name);
    if (rc) return rc;
    if (!t->name.len || memchr(t->name.ptr, 0, t->name.len)) return fh_gguf_fault(c, at, "name", "is empty or holds a NUL");
    c->name = t->name;
    rc = take_dims(c, t, &elems);
    if (!rc) rc = take_type(c, t, elems);
    at = c->pos;
    if (!rc) rc = fh_gguf_take_u64(c, "offset", &offset);
    if (rc) return rc;
    if (offset % alignment)
        return fh_gguf_fault(c, at, "offset", "is %llu, no multiple of the alignment %llu", (unsigned long long)offset,
                             (unsigned long long)alignment);
    t->data = (const void *)(uintptr_t)offset;
    return 0;
}

static int place_tensors(fh_gguf_cursor *c, uint64_t alignment, fh_gguf_tensor *tensors, uint64_t count)
{
    uint64_t start = c->pos + (alignment - c->pos % alignment) % alignment;
    for (c->item = 0; c->item < count; c->item++) {
        fh_gguf_tensor *t = &tensors[c->item];
        uint64_t offset = (uintptr_t)t->data;
        c->name = t->name;
        if (start > c->size || offset > c->size - start || t->bytes > c->size - start - offset)
            return fh_gguf_fault(c, (uint64_t)((const uint8_t *)t->name.ptr - c->base), "offset",
                                 "%llu bytes at %llu behind byte %llu lie beyond the end of the file, at %llu bytes",
                                 (unsigned long long)t->bytes, (unsigned long long)offset, (unsigned long long)start,
                                 (unsigned long long)c->size);
        t->data = c->base + start + offset;
    }
    return 0;
}

int fh_gguf_tensors_read(fh_gguf_cursor *c, uint64_t count, const fh_gguf_meta *m, uint16_t file, fh_gguf *g)
{
    uint64_t alignment = 0;
    int rc = read_alignment(c, m, &alignment);
    if (rc) return rc;
    if (count > (c->size - c->pos) / 33) /* the smallest description: length, a byte of name, n_dims, one dimension, type, offset */
        return fh_gguf_fault(c, 8, "tensor_count", "is %llu, but the file ends before", (unsigned long long)count);
    if (g->tensor_count + count > FH_LIMIT_GGUF_TENSORS)
        return fh_gguf_fault(c, 8, "tensor_count", "the files of the split have more than %d tensors", FH_LIMIT_GGUF_TENSORS);
    fh_gguf_tensor *all = fh_realloc_array(g->tensors, g->tensor_count + count, sizeof *all);
    if (!all) return fh_err_nomem(c->err);
    g->tensors = all;
    fh_gguf_tensor *mine = all + g->tensor_count;
    c->group = "tensors";
    for (c->item = 0; c->item < count; c->item++) {
        mine[c->item] = (fh_gguf_tensor){.file = file};
        rc = take_tensor(c, alignment, &mine[c->item]);
        if (rc) return rc;
    }
    rc = place_tensors(c, alignment, mine, count);
    c->group = NULL;
    if (!rc) g->tensor_count += count;
    return rc;
}

static int compare_names(const void *a, const void *b, void *arg)
{
    const fh_gguf_tensor *t = arg;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    int order = fh_gguf_compare_str(t[i].name, t[j].name);
    return order ? order : i < j ? -1 : i > j;
}

static int compare_places(const void *a, const void *b, void *arg)
{
    const fh_gguf_tensor *t = arg;
    const fh_gguf_tensor *x = &t[*(const uint32_t *)a], *y = &t[*(const uint32_t *)b];
    if (x->file != y->file) return x->file < y->file ? -1 : 1;
    return (const char *)x->data < (const char *)y->data ? -1 : (const char *)x->data > (const char *)y->data;
}

static int tensor_fault(const fh_gguf *g, uint32_t i, fh_err **err, const char *field, const char *what, uint32_t other)
{
    const fh_gguf_tensor *t = &g->tensors[i];
    const fh_gguf_file *f = &g->files[t->file];
    fh_gguf_cursor c = {.path = f->path, .group = "tensors", .item = i, .name = t->name, .err = err};
    return fh_gguf_fault(&c, (uint64_t)(t->name.ptr - (const char *)f->map.data), field, "%s tensors[%u]", what, other);
}

int fh_gguf_tensors_check(fh_gguf *g, fh_err **err)
{
    g->by_name = fh_alloc(g->tensor_count * sizeof *g->by_name);
    if (!g->by_name) return fh_err_nomem(err);
    uint32_t *order = g->by_name;
    for (uint32_t i = 0; i < g->tensor_count; i++) order[i] = i;
    qsort_r(order, g->tensor_count, sizeof *order, compare_places, g->tensors);
    for (size_t i = 1; i < g->tensor_count; i++) {
        const fh_gguf_tensor *a = &g->tensors[order[i - 1]], *b = &g->tensors[order[i]];
        if (a->file == b->file && (const char *)b->data < (const char *)a->data + a->bytes)
            return tensor_fault(g, order[i], err, "offset", "overlaps", order[i - 1]);
    }
    qsort_r(order, g->tensor_count, sizeof *order, compare_names, g->tensors);
    for (size_t i = 1; i < g->tensor_count; i++) {
        if (fh_str_eq(g->tensors[order[i - 1]].name, g->tensors[order[i]].name))
            return tensor_fault(g, order[i], err, "name", "is also the name of", order[i - 1]);
    }
    return 0;
}
