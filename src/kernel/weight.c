/* Weight matrices: packed for the table where it packs the type, else borrowed as they lie in the file. */
#include "kernels.h"
#include "kernel/ref.h"

#include <assert.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

/* ---- memory ---- */

/* Large pieces in huge pages, if the system will: the advice may be refused without harm. */
void *fh_weight_memory_new(size_t bytes)
{
    if (bytes < HUGE_PAGE) return fh_alloc_aligned(64, bytes);
    void *p = fh_alloc_aligned(HUGE_PAGE, bytes);
    if (p) madvise(p, bytes, MADV_HUGEPAGE);
    return p;
}

#define TEXT_OF(x) #x
#define TEXT(x)    TEXT_OF(x)

const char *fh_weight_layout(const fh_kernels *k)
{
    return k->packs ? "rows16-" TEXT(FH_PACK_VERSION) : NULL;
}

/* ---- weights ---- */

static int check_spec(const fh_weight_spec *s, size_t *ret_row_bytes, fh_err **err)
{
    size_t total;
    if (s->rows == 0 || s->cols == 0) return fh_err_set(err, FH_E_CORRUPT, "weight %s is empty", s->name);
    if (!fh_type_row_bytes(s->type, s->cols, ret_row_bytes))
        return fh_err_set(err, FH_E_CORRUPT, "weight %s: %zu columns are no whole blocks of type %s", s->name, s->cols,
                          fh_type_name((uint32_t)s->type));
    if (fh_mul_overflows(s->rows, *ret_row_bytes, &total))
        return fh_err_set(err, FH_E_TOO_LARGE, "weight %s: %zu rows of %zu bytes do not fit into memory", s->name, s->rows, *ret_row_bytes);
    return 0;
}

static bool packs(const fh_kernels *k, const fh_weight_spec *s)
{
    return k->packs && !s->exact && fh_pack_kind_of(s->type).bits > 0;
}

static fh_weight layout(const fh_kernels *k, const fh_weight_spec *s, size_t row_bytes)
{
    return (fh_weight){.kernels = k, .type = s->type, .rows = s->rows, .cols = s->cols, .row_bytes = row_bytes};
}

size_t fh_weight_packed_bytes(const fh_kernels *k, const fh_weight_spec *spec)
{
    size_t row_bytes = 0, bytes;
    if (!packs(k, spec) || check_spec(spec, &row_bytes, NULL) < 0) return 0;
    fh_weight w = layout(k, spec, row_bytes);
    return fh_pack_place(&w, &bytes) ? bytes : 0;
}

size_t fh_weight_most_bytes(fh_type type, size_t rows, size_t cols)
{
    fh_weight_spec s = {.type = type, .rows = rows, .cols = cols, .name = ""};
    size_t row_bytes = 0, packed = 0;
    if (check_spec(&s, &row_bytes, NULL) < 0) return 0;
    fh_weight w = layout(NULL, &s, row_bytes);
    if (fh_pack_kind_of(type).bits > 0 && !fh_pack_place(&w, &packed)) return 0;
    return FH_MAX(packed, rows * row_bytes);
}

static int pack(fh_weight *w, const fh_weight_spec *spec, fh_err **err)
{
    size_t bytes;
    if (!fh_pack_place(w, &bytes)) return fh_err_set(err, FH_E_TOO_LARGE, "weight %s does not fit into memory", spec->name);
    w->placed = spec->place != NULL;
    w->packed = spec->place ? spec->place : fh_weight_memory_new(bytes);
    if (!w->packed) return fh_err_nomem(err);
    assert((uintptr_t)w->packed % 64 == 0);
    if (!spec->filled) fh_pack_rows(w, spec->data);
    return 0;
}

int fh_weight_new(fh_weight **ret, const fh_kernels *k, const fh_weight_spec *spec, fh_err **err)
{
    size_t row_bytes = 0;
    int e = check_spec(spec, &row_bytes, err);
    if (e < 0) return e;
    FH_AUTO(fh_weight) fh_weight *w = fh_alloc(sizeof *w);
    if (!w) return fh_err_nomem(err);
    *w = layout(k, spec, row_bytes);
    if (packs(k, spec))
        e = pack(w, spec, err);
    else
        w->data = spec->data;
    if (e < 0) return e;
    *ret = fh_take(w);
    return 0;
}

void fh_weight_free(fh_weight *w)
{
    if (!w) return;
    if (!w->placed) fh_free(w->packed);
    fh_free(w);
}

size_t fh_weight_rows(const fh_weight *w)
{
    return w->rows;
}

size_t fh_weight_cols(const fh_weight *w)
{
    return w->cols;
}

size_t fh_weight_bytes(const fh_weight *w)
{
    if (!w->packed) return w->rows * w->row_bytes;
    return (w->rows + FH_PACK_ROWS - 1) / FH_PACK_ROWS * w->group_bytes;
}

bool fh_weight_borrows(const fh_weight *w)
{
    return w->packed == NULL;
}

void fh_weight_row(const fh_weight *w, size_t row, float *dst)
{
    assert(row < w->rows);
    if (w->packed)
        fh_pack_row(w, row, dst);
    else
        fh_ref_dequant(w->type, w->data + row * w->row_bytes, dst, w->cols);
}
