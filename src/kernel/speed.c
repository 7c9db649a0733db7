/* Measuring: a pass is timed as a whole, from the first worker's start to the last one's end. */
#include "kernel/speed.h"
#include "family.h"
#include "base/clock.h"

#include <assert.h>
#include <stdatomic.h>

#define LONG_NS (FH_NS_PER_S / 2)
enum { PEAK_PASSES = 8, PRODUCT_PASSES = 5 };

/* One pass to warm caches and clocks, then up to `passes`, but no more once that took a while. */
static double best_seconds(fh_pool *pool, void (*fn)(fh_worker *w, void *arg), void *arg, int passes)
{
    int64_t best_ns = INT64_MAX, began_ns, first_ns = fh_clock_mono_ns();
    fh_pool_run(pool, fn, arg);
    for (int i = 0; i < passes && (i == 0 || fh_clock_mono_ns() - first_ns < LONG_NS); i++) {
        began_ns = fh_clock_mono_ns();
        fh_pool_run(pool, fn, arg);
        best_ns = FH_MIN(best_ns, fh_clock_mono_ns() - began_ns);
    }
    return (double)FH_MAX(best_ns, (int64_t)1) / FH_NS_PER_S;
}

/* ---- integer peaks ---- */

static const char *const peak_names[FH_PEAK_COUNT] = {"avx2", "avx512_vnni", "amx_int8", "neon_dot"};

const char *fh_peak_name(fh_peak p)
{
    return p < FH_PEAK_COUNT ? peak_names[p] : NULL;
}

fh_peak fh_peak_of(fh_isa isa)
{
    switch (isa) {
    case FH_ISA_AVX2: return FH_PEAK_AVX2;
    case FH_ISA_AVX512_VNNI: return FH_PEAK_AVX512_VNNI;
    case FH_ISA_AMX: return FH_PEAK_AMX_INT8;
    case FH_ISA_NEON_DOT: return FH_PEAK_NEON_DOT;
    case FH_ISA_REF:
    case FH_ISA_COUNT: break;
    }
    return FH_PEAK_COUNT;
}

typedef struct spin {
    fh_peak_row row;
    _Atomic uint64_t turns;
    _Atomic uint32_t sum; /* of what they return: how many operations there were */
} spin;

static void spin_share(fh_worker *w, void *arg)
{
    spin *s = arg;
    (void)w;
    atomic_fetch_add(&s->turns, s->row.turns);
    atomic_fetch_add(&s->sum, s->row.loop(s->row.turns));
}

bool fh_peak_measure(fh_peak p, fh_pool *pool, double *ret_ops_per_s)
{
    spin s = {.row = fh_family_peak(p)};
    if (!s.row.loop) return false;
    double seconds = best_seconds(pool, spin_share, &s, PEAK_PASSES);
    assert(s.sum == (uint32_t)(s.turns * s.row.ops));
    *ret_ops_per_s = (double)(s.row.ops * s.row.turns) * fh_pool_count(pool) / seconds;
    return true;
}

/* ---- products ---- */

struct fh_products {
    const fh_kernels *k;
    fh_pool *pool;
    fh_products_shape shape;
    size_t count, matrix_bytes, packed_bytes; /* matrices; bytes of one as in a file, and packed */
    fh_weight **weights;
    uint8_t *packed; /* [count][packed_bytes]; NULL: they are borrowed */
    uint8_t *data;   /* [count][matrix_bytes] */
    fh_act *act;
    float *x, *y;
    _Atomic size_t next; /* to make */
    _Atomic int failed;
    size_t n, turns; /* of a pass: rows of activations, matrices */
};

void fh_products_free(fh_products *p)
{
    if (!p) return;
    for (size_t i = 0; p->weights && i < p->count; i++) fh_weight_free(p->weights[i]);
    fh_free(p->weights);
    fh_free(p->packed);
    fh_act_free(p->act);
    fh_free(p->data);
    fh_free(p->x);
    fh_free(p->y);
    fh_free(p);
}

static fh_weight_spec spec_of(const fh_products *p, size_t i)
{
    return (fh_weight_spec){.type = p->shape.type,
                            .rows = p->shape.rows,
                            .cols = p->shape.cols,
                            .data = p->data + i * p->matrix_bytes,
                            .name = "measured",
                            .place = p->packed ? p->packed + i * p->packed_bytes : NULL};
}

/* Bytes of which any two or four are a normal float of each kind: what is not would be multiplied more slowly. */
static void make_share(fh_worker *w, void *arg)
{
    fh_products *p = arg;
    (void)w;
    for (size_t i; (i = atomic_fetch_add(&p->next, 1)) < p->count;) {
        fh_weight_spec spec = spec_of(p, i);
        uint8_t *data = p->data + i * p->matrix_bytes;
        for (size_t j = 0; j < p->matrix_bytes; j++) data[j] = (uint8_t)(0x30 | (j * 31 >> 5 & 7));
        if (fh_weight_new(&p->weights[i], p->k, &spec, NULL) != 0) atomic_store(&p->failed, FH_E_NOMEM);
    }
}

static float *make_floats(size_t n)
{
    float *x = fh_alloc_aligned(64, n * sizeof *x);
    for (size_t i = 0; x && i < n; i++) x[i] = (float)((i * 2654435761u >> 7) % 2048) / 1024.0f - 1.0f;
    return x;
}

static int make(fh_products *p, fh_err **err)
{
    const fh_products_shape *s = &p->shape;
    size_t row_bytes = 0;
    if (!fh_type_row_bytes(s->type, s->cols, &row_bytes)) return fh_err_set(err, FH_E_INVALID, "%zu columns are no whole blocks", s->cols);
    p->matrix_bytes = s->rows * row_bytes;
    p->count = FH_MAX(s->bytes / p->matrix_bytes, (size_t)1);
    p->weights = fh_calloc(p->count, sizeof(fh_weight *));
    p->data = fh_alloc_aligned(64, p->count * p->matrix_bytes);
    p->x = make_floats(s->max_n * s->cols);
    p->y = make_floats(s->max_n * s->rows);
    if (!p->weights || !p->data || !p->x || !p->y) return fh_err_nomem(err);
    fh_weight_spec spec = spec_of(p, 0);
    p->packed_bytes = fh_weight_packed_bytes(p->k, &spec);
    p->packed = p->packed_bytes ? fh_weight_memory_new(p->count * p->packed_bytes) : NULL;
    if (p->packed_bytes && !p->packed) return fh_err_nomem(err);
    int rc = fh_act_new(&p->act, p->k, s->max_n, s->cols, err);
    if (rc) return rc;
    fh_pool_run(p->pool, make_share, p);
    return atomic_load(&p->failed) ? fh_err_nomem(err) : 0;
}

int fh_products_new(fh_products **ret, const fh_kernels *k, fh_pool *pool, const fh_products_shape *shape, fh_err **err)
{
    FH_AUTO(fh_products) fh_products *p = fh_calloc(1, sizeof *p);
    if (!p) return fh_err_nomem(err);
    p->k = k;
    p->pool = pool;
    p->shape = *shape;
    int rc = make(p, err);
    if (!rc) *ret = fh_take(p);
    return rc;
}

static void multiply_all(fh_worker *w, void *arg)
{
    const fh_products *p = arg;
    fh_act_set(p->act, p->x, p->n, p->shape.cols, p->shape.cols, w);
    for (size_t i = 0; i < p->turns; i++) {
        fh_matmul(p->weights[i], p->act, p->y, p->shape.rows, false, w);
        fh_barrier(w);
    }
}

fh_product_speed fh_products_measure(fh_products *p, size_t n, size_t count)
{
    assert(n <= p->shape.max_n && count <= p->count);
    p->n = n;
    p->turns = count ? count : p->count;
    return (fh_product_speed){.seconds = best_seconds(p->pool, multiply_all, p, PRODUCT_PASSES) / (double)p->turns,
                              .weight_bytes = (double)fh_weight_bytes(p->weights[0]),
                              .ops = 2.0 * (double)p->shape.rows * (double)p->shape.cols * (double)n,
                              .integers = !fh_weight_borrows(p->weights[0])};
}
