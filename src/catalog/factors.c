/* Looking factors up. */
#include "catalog/factors.h"

#include "catalog_private.h"
#include <stdlib.h>
#include <string.h>

size_t fh_catalog_factor_count(void)
{
    return fh_catalog_factor_total;
}

const fh_catalog_factor *fh_catalog_factor_at(size_t i)
{
    return &fh_catalog_factors[i];
}

static int by_key(const void *key, const void *factor)
{
    const fh_str *k = key;
    fh_str f = fh_str_of(((const fh_catalog_factor *)factor)->key);
    int order = memcmp(k->ptr, f.ptr, k->len < f.len ? k->len : f.len);
    return order ? order : (k->len > f.len) - (k->len < f.len);
}

const fh_catalog_factor *fh_catalog_factor_find(fh_str key)
{
    return bsearch(&key, fh_catalog_factors, fh_catalog_factor_total, sizeof *fh_catalog_factors, by_key);
}
