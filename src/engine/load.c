/* Loading: a family plans its tensors (all checks, no memory for weights), then all threads make them together.
 *
 * What holds: nothing of the file is trusted; shapes are compared with what the family computed from the keys, types with what the kernels
 * know, and a tensor that the family does not know is refused, because leaving it out would change the arithmetic silently. */
#include "model.h"
#include "kernel/ref.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { KEY_BYTES = 160 };

int fh_load_init(fh_load *l, const fh_gguf *g, const fh_kernels *k, bool exact, fh_err **err)
{
    *l = (fh_load){.gguf = g, .kernels = k, .exact = exact};
    int rc = fh_gguf_get_str(g, "general.architecture", &l->arch, err);
    if (rc) return rc;
    if (l->arch.len == 0 || l->arch.len > 64) return fh_err_set(err, FH_E_CORRUPT, "general.architecture is %zu bytes long", l->arch.len);
    l->used = fh_calloc(fh_gguf_tensor_count(g), sizeof *l->used);
    return l->used ? 0 : fh_err_nomem(err);
}

void fh_load_fini(fh_load *l)
{
    fh_free(l->items);
    fh_free(l->used);
    *l = (fh_load){0};
}

static const char *full_key(const fh_load *l, const char *key, char out[KEY_BYTES])
{
    snprintf(out, KEY_BYTES, "%.*s.%s", (int)l->arch.len, l->arch.ptr, key);
    return out;
}

int fh_load_u32(const fh_load *l, const char *key, uint32_t min, uint32_t max, uint32_t *ret, fh_err **err)
{
    char full[KEY_BYTES];
    uint64_t value;
    int rc = fh_gguf_get_u64(l->gguf, full_key(l, key, full), min, max, &value, err);
    if (rc == 0) *ret = (uint32_t)value;
    return rc;
}

static bool key_absent(const fh_load *l, const char *key)
{
    char full[KEY_BYTES];
    return fh_gguf_find(l->gguf, full_key(l, key, full)) == NULL;
}

int fh_load_u32_optional(const fh_load *l, const char *key, uint32_t min, uint32_t max, uint32_t *ret, fh_err **err)
{
    return key_absent(l, key) ? 0 : fh_load_u32(l, key, min, max, ret, err);
}

int fh_load_f32_optional(const fh_load *l, const char *key, double min, double max, double *ret, fh_err **err)
{
    char full[KEY_BYTES];
    if (key_absent(l, key)) return 0;
    double value;
    int rc = fh_gguf_get_f64(l->gguf, full_key(l, key, full), &value, err);
    if (rc) return rc;
    if (!(value >= min && value <= max)) return fh_err_set(err, FH_E_CORRUPT, "%s is %g, expected %g to %g", full, value, min, max);
    *ret = value;
    return 0;
}

int fh_load_str_optional(const fh_load *l, const char *key, fh_str *ret, fh_err **err)
{
    char full[KEY_BYTES];
    return key_absent(l, key) ? 0 : fh_gguf_get_str(l->gguf, full_key(l, key, full), ret, err);
}

int fh_load_bool_optional(const fh_load *l, const char *key, bool *ret, fh_err **err)
{
    char full[KEY_BYTES];
    return key_absent(l, key) ? 0 : fh_gguf_get_bool(l->gguf, full_key(l, key, full), ret, err);
}

bool fh_load_has(const fh_load *l, const char *tensor)
{
    return fh_gguf_tensor_find(l->gguf, tensor) != NULL;
}

static int refuse_shape(const fh_gguf_tensor *t, const char *name, uint64_t depth, uint64_t rows, uint64_t cols, fh_err **err)
{
    const uint64_t *d = t->dims;
    if (depth == 1 && d[2] == 1 && d[3] == 1)
        return fh_err_set(err, FH_E_CORRUPT, "tensor %s is %llu x %llu, expected %llu x %llu", name, (unsigned long long)d[1],
                          (unsigned long long)d[0], (unsigned long long)rows, (unsigned long long)cols);
    return fh_err_set(err, FH_E_CORRUPT, "tensor %s is %llu x %llu x %llu x %llu, expected %llu x %llu x %llu", name,
                      (unsigned long long)d[3], (unsigned long long)d[2], (unsigned long long)d[1], (unsigned long long)d[0],
                      (unsigned long long)depth, (unsigned long long)rows, (unsigned long long)cols);
}

static int check_tensor(const fh_load *l, const char *name, uint64_t depth, uint64_t rows, uint64_t cols, const fh_gguf_tensor **ret,
                        fh_err **err)
{
    const fh_gguf_tensor *t = fh_gguf_tensor_find(l->gguf, name);
    if (!t) {
        fh_err_set(err, FH_E_CORRUPT, "tensor %s is missing", name);
        fh_err_hint(err, "the file is incomplete, or not of architecture %.*s", (int)l->arch.len, l->arch.ptr);
        return FH_E_CORRUPT;
    }
    if (t->dims[0] != cols || t->dims[1] != rows || t->dims[2] != depth || t->dims[3] != 1)
        return refuse_shape(t, name, depth, rows, cols, err);
    if (!fh_type_known(t->gguf_type)) {
        fh_err_set(err, FH_E_UNSUPPORTED, "tensor %s has type %s (%u), which this engine cannot compute with", name,
                   fh_type_name(t->gguf_type), t->gguf_type);
        fh_err_hint(err, "take a variant of the model in F16, BF16, MXFP4, or any of the types Q2_K to Q8_0, IQ1_S to IQ4_XS");
        return FH_E_UNSUPPORTED;
    }
    *ret = t;
    return 0;
}

static int add_item(fh_load *l, fh_load_item item, fh_err **err)
{
    if (l->count == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 256;
        fh_load_item *grown = fh_realloc_array(l->items, cap, sizeof *grown);
        if (!grown) return fh_err_nomem(err);
        l->items = grown;
        l->cap = cap;
    }
    l->items[l->count++] = item;
    l->used[item.tensor - fh_gguf_tensor_at(l->gguf, 0)] = true;
    return 0;
}

int fh_load_experts(fh_load *l, fh_weight **slot, const char *tensor, uint64_t experts, uint64_t rows, uint64_t cols, fh_err **err)
{
    const fh_gguf_tensor *t = NULL;
    int rc = check_tensor(l, tensor, experts, rows, cols, &t, err);
    if (rc || !t) return rc;
    fh_weight_spec spec = {.type = (fh_type)t->gguf_type, .rows = experts * rows, .cols = cols, .data = t->data, .exact = l->exact};
    size_t bytes = fh_weight_packed_bytes(l->kernels, &spec), at = l->packed_bytes;
    if (fh_add_overflows(at, bytes, &l->packed_bytes)) return fh_err_set(err, FH_E_TOO_LARGE, "tensor %s does not fit into memory", tensor);
    return add_item(l, (fh_load_item){.weight = slot, .tensor = t, .spec = spec, .packed = bytes > 0, .at = at}, err);
}

int fh_load_matrix(fh_load *l, fh_weight **slot, const char *tensor, uint64_t rows, uint64_t cols, fh_err **err)
{
    return fh_load_experts(l, slot, tensor, 1, rows, cols, err);
}

int fh_load_vector(fh_load *l, float **slot, const char *tensor, uint64_t count, fh_err **err)
{
    const fh_gguf_tensor *t = NULL;
    int rc = check_tensor(l, tensor, 1, 1, count, &t, err);
    if (rc || !t) return rc;
    fh_weight_spec spec = {.type = (fh_type)t->gguf_type, .rows = 1, .cols = count};
    return add_item(l, (fh_load_item){.vector = slot, .tensor = t, .spec = spec}, err);
}

int fh_load_refuse_rest(const fh_load *l, fh_err **err)
{
    for (size_t i = 0; i < fh_gguf_tensor_count(l->gguf); i++) {
        if (l->used[i]) continue;
        fh_str name = fh_gguf_tensor_at(l->gguf, i)->name;
        fh_err_set(err, FH_E_UNSUPPORTED, "tensor %.*s has no place in architecture %.*s as this engine computes it",
                   (int)FH_MIN(name.len, (size_t)128), name.ptr, (int)l->arch.len, l->arch.ptr);
        fh_err_hint(err, "this variant of the model needs an external engine");
        return FH_E_UNSUPPORTED;
    }
    return 0;
}

uint64_t fh_load_bytes(const fh_load *l)
{
    uint64_t total = 0;
    for (size_t i = 0; i < l->count; i++) total += l->items[i].tensor->bytes;
    return total;
}

/* ---- making ---- */

typedef struct maker {
    fh_load *load;
    const fh_load_progress *progress;
    uint64_t total;
    _Atomic size_t next;
    _Atomic uint64_t done;
    _Atomic int failed; /* the first code */
    fh_err **errs;      /* one a worker */
} maker;

#define FETCH_BYTES ((uintptr_t)4 << 20)
#define AHEAD_BYTES ((uintptr_t)32 << 20) /* what the disk is asked for beforehand */
#define PAGE_BYTES  ((uintptr_t)4096)
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14; include/uapi/asm-generic/mman-common.h */
#endif

/* Reads pages of a mapped file in, so that the first token does not wait for the disk: the disk is asked for what is next, up to `last`,
 * while a piece is waited for. */
static void fetch(const void *data, uint64_t bytes, const void *last)
{
    uintptr_t first = (uintptr_t)data / PAGE_BYTES * PAGE_BYTES, end = (uintptr_t)data + bytes;
    for (uintptr_t at = first; at < end; at += FETCH_BYTES) {
        madvise((void *)at, FH_MIN(AHEAD_BYTES, (uintptr_t)last - at), MADV_WILLNEED);
        uintptr_t piece = FH_MIN(FETCH_BYTES, end - at);
        if (madvise((void *)at, piece, MADV_POPULATE_READ) == 0) continue;
        for (uintptr_t p = at; p < at + piece; p += PAGE_BYTES) (void)*(const volatile char *)p;
    }
}

/* The model's file's pages within data, which is in memory elsewhere now. */
static void let_go(const void *data, uint64_t bytes)
{
    uintptr_t first = ((uintptr_t)data + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES,
              end = ((uintptr_t)data + bytes) / PAGE_BYTES * PAGE_BYTES;
    if (end > first) madvise((void *)first, end - first, MADV_DONTNEED);
}

static int make_vector(const fh_load_item *item, fh_err **err)
{
    float *v = fh_alloc_aligned(64, item->spec.cols * sizeof *v);
    if (!v) return fh_err_nomem(err);
    fh_ref_dequant(item->spec.type, item->tensor->data, v, item->spec.cols);
    *item->vector = v;
    return 0;
}

static int make_item(const fh_load *l, const fh_load_item *item, fh_err **err)
{
    if (item->vector) return make_vector(item, err);
    char name[128];
    snprintf(name, sizeof name, "%.*s", (int)FH_MIN(item->tensor->name.len, sizeof name - 1), item->tensor->name.ptr);
    fh_weight_spec spec = item->spec;
    spec.name = name;
    spec.place = item->packed ? l->packed + item->at : NULL;
    spec.filled = item->packed && l->filled;
    if (spec.filled)
        fetch(spec.place, fh_weight_packed_bytes(l->kernels, &spec), l->packed + l->packed_bytes);
    else
        fetch(item->tensor->data, item->tensor->bytes, (const char *)item->tensor->data + item->tensor->bytes);
    int rc = fh_weight_new(item->weight, l->kernels, &spec, err);
    if (rc == 0 && item->packed) let_go(item->tensor->data, item->tensor->bytes);
    return rc;
}

static bool given_up(const maker *m)
{
    return atomic_load_explicit(&m->failed, memory_order_relaxed) != 0 || (m->progress->cancel && atomic_load(m->progress->cancel));
}

static void make_share(fh_worker *w, void *arg)
{
    maker *m = arg;
    for (;;) {
        size_t i = atomic_fetch_add(&m->next, 1);
        if (i >= m->load->count || given_up(m)) return;
        int rc = make_item(m->load, &m->load->items[i], &m->errs[w->index]);
        if (rc) atomic_store(&m->failed, rc);
        uint64_t done = atomic_fetch_add(&m->done, m->load->items[i].tensor->bytes) + m->load->items[i].tensor->bytes;
        if (w->index == 0 && m->progress->fn) m->progress->fn(m->progress->arg, done, m->total);
    }
}

static int made(maker *m, unsigned workers, fh_err **err)
{
    int rc = atomic_load(&m->failed);
    for (unsigned i = 0; i < workers; i++) {
        if (m->errs[i] && err && !*err) fh_err_move(err, &m->errs[i]);
        fh_err_free(m->errs[i]);
    }
    if (rc == 0 && m->progress->cancel && atomic_load(m->progress->cancel)) return fh_err_set(err, FH_E_CANCELLED, "loading was given up");
    return rc;
}

int fh_load_run(fh_load *l, fh_pool *pool, const fh_load_progress *p, fh_err **err)
{
    fh_err *errs[FH_POOL_MAX] = {NULL};
    maker m = {.load = l, .progress = p, .total = fh_load_bytes(l), .errs = errs};
    fh_pool_run(pool, make_share, &m);
    int rc = made(&m, fh_pool_count(pool), err);
    if (rc == 0 && p->fn) p->fn(p->arg, m.total, m.total);
    return rc;
}
