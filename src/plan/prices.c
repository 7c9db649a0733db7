/* Price lists: which form it is, and what both forms do with a row (plan/prices.h). */
#include "base/limits.h"
#include "base/mem.h"
#include "prices_private.h"

#include <stdio.h>
#include <string.h>

#define NANO 1e9

static const fh_catalog_machine none; /* looked up, and not found */

bool prices_priced(double dollars)
{
    return dollars > 0 && dollars <= DOLLARS_MAX;
}

const fh_catalog_machine *prices_device(prices *p, fh_str name, double memory_gb)
{
    char key[96];
    int n = snprintf(key, sizeof key, "%.*s|%.0f", (int)FH_MIN(name.len, (size_t)63), name.ptr, memory_gb);
    fh_str k = {key, (size_t)n};
    const fh_catalog_machine *m = fh_map_find(p->devices, k);
    if (!m) {
        m = fh_catalog_machine_sold(name, memory_gb);
        if (m && !fh_plan_host_can(m)) m = NULL;
        fh_map_put(p->devices, k, (void *)(m ? m : &none)); /* without memory it is looked up again */
    }
    if (m && m != &none) return m;
    if (p->sum.unknown++ == 0)
        snprintf(p->sum.unknown_first, sizeof p->sum.unknown_first, "%.*s", (int)FH_MIN(name.len, (size_t)63), name.ptr);
    return NULL;
}

int prices_put(prices *p, const fh_plan_listing *l, double dollars, bool spot, fh_err **err)
{
    if (!prices_priced(dollars)) return 0;
    fh_plan_listing priced = *l;
    priced.hour_nusd = (int64_t)(dollars * NANO + 0.5);
    priced.spot = spot;
    priced.source = p->file;
    p->sum.listings++;
    return p->on(p->arg, &priced, err);
}

static fh_str base_name(fh_str path)
{
    for (size_t i = path.len; i > 0; i--)
        if (path.ptr[i - 1] == '/') return (fh_str){path.ptr + i, path.len - i};
    return path;
}

/* "a/lambda_v8.csv" and "lambda/vms.csv" are lambda's. */
static fh_str seller_of(fh_str path)
{
    fh_str name = base_name(path);
    if (fh_str_eqs(name, "vms.csv") && path.len > name.len) name = base_name((fh_str){path.ptr, path.len - name.len - 1});
    if (fh_str_ends(name, FH_STR(".csv"))) name.len -= 4;
    size_t n = name.len;
    while (n > 0 && name.ptr[n - 1] >= '0' && name.ptr[n - 1] <= '9') n--;
    if (n < name.len && n > 2 && name.ptr[n - 1] == 'v' && name.ptr[n - 2] == '_') name.len = n - 2;
    return name;
}

int fh_plan_prices_read(fh_str text, const char *file, fh_plan_listing_fn on, void *arg, fh_plan_prices *ret, fh_err **err)
{
    FH_AUTO(fh_map) fh_map *devices = fh_map_new(NULL);
    fh_str path = fh_str_of(file);
    prices p = {.file = base_name(path), .seller = seller_of(path), .on = on, .arg = arg, .devices = devices};
    if (!devices) return fh_err_nomem(err);
    if (text.len > FH_LIMIT_PRICE_FILE_BYTES)
        return fh_err_set(err, FH_E_TOO_LARGE, "a price list of more than %d bytes", FH_LIMIT_PRICE_FILE_BYTES);
    fh_str trimmed = fh_str_trim(text);
    bool json = trimmed.len && (trimmed.ptr[0] == '[' || trimmed.ptr[0] == '{');
    int rc = json ? prices_json_read(&p, text, err) : prices_csv_read(&p, text, err);
    if (!rc) *ret = p.sum;
    return rc;
}
