/* Weight matrices: packed for the table where it packs the type, else borrowed as they lie in the file. */
#include "kernels.h"
#include "kernel/ref.h"

#include <assert.h>

static int check_spec(const fh_weight_spec *s, size_t *ret_row_bytes, fh_err **err)
{
    size_t total;
    if (s->rows == 0 || s->cols == 0) return fh_err_set(err, FH_E_CORRUPT, "weight %s is empty", s->name);
    if (!fh_type_row_bytes(s->type, s->cols, ret_row_bytes))
        return fh_err_set(err, FH_E_CORRUPT, "weight %s: %zu columns are no whole blocks of type %s", s->name, s->cols, fh_type_name((uint32_t)s->type));
    if (fh_mul_overflows(s->rows, *ret_row_bytes, &total))
        return fh_err_set(err, FH_E_TOO_LARGE, "weight %s: %zu rows of %zu bytes do not fit into memory", s->name, s->rows, *ret_row_bytes);
    return 0;
}

int fh_weight_new(fh_weight **ret, const fh_kernels *k, const fh_weight_spec *spec, fh_err **err)
{
    size_t row_bytes;
    int e = check_spec(spec, &row_bytes, err);
    if (e < 0) return e;
    FH_AUTO(fh_weight) fh_weight *w = fh_alloc(sizeof *w);
    if (!w) return fh_err_nomem(err);
    *w = (fh_weight){.kernels = k, .type = spec->type, .rows = spec->rows, .cols = spec->cols, .row_bytes = row_bytes};
    if (k->packs && !spec->exact && fh_pack_supports(spec->type)) {
        if (!fh_pack_weight(w, spec->data)) return fh_err_nomem(err);
    } else {
        w->data = spec->data;
    }
    *ret = fh_take(w);
    return 0;
}

void fh_weight_free(fh_weight *w)
{
    if (!w) return;
    fh_free(w->packed);
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
