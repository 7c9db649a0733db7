/* The cache of keys and values: one arena for all slots, sized once. Memory is taken by the page as rows are written. */
#include "model.h"

bool fh_kv_bytes(const fh_kv *s, size_t *ret)
{
    size_t bytes = 2;
    return !fh_mul_overflows(bytes, s->layers, &bytes) && !fh_mul_overflows(bytes, s->slots, &bytes) &&
           !fh_mul_overflows(bytes, s->rows, &bytes) && !fh_mul_overflows(bytes, s->row_bytes, ret);
}

int fh_kv_init(fh_kv *kv, fh_err **err)
{
    size_t bytes;
    if (!fh_kv_bytes(kv, &bytes)) return fh_err_nomem(err);
    kv->data = fh_alloc_aligned(4096, bytes);
    return kv->data ? 0 : fh_err_nomem(err);
}

void fh_kv_fini(fh_kv *kv)
{
    fh_free(kv->data);
    kv->data = NULL;
}
