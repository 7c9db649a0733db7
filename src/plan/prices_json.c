/* JSON: a list of machines as gpuhunt has them, or of prices of one device. */
#include "base/limits.h"
#include "prices_private.h"

#include <stdio.h>
#include <string.h>

typedef struct entry {
    fh_str seller, name, region, device, form;
    double memory_gb, price;
    int64_t count;
    bool spot, of_one; /* the price is of one device, whatever the machine */
} entry;

static int read_one_device(const fh_json *v, entry *e, fh_err **err)
{
    e->of_one = true;
    e->count = 1;
    int rc = fh_json_read_str(v, "provider_id", true, &e->seller, err);
    if (!rc) rc = fh_json_read_str(v, "id", false, &e->name, err);
    if (!rc) rc = fh_json_read_str(v, "gpu_model", true, &e->device, err);
    if (!rc) rc = fh_json_read_str(v, "interconnect", false, &e->form, err);
    if (!rc) rc = fh_json_read_f64(v, "vram_gb", false, 0, 1e6, &e->memory_gb, err);
    if (!rc) rc = fh_json_read_f64(v, "price_usd_hour", false, 0, DOLLARS_MAX, &e->price, err);
    return rc ? rc : fh_json_read_bool(v, "is_spot", false, &e->spot, err);
}

static int read_gpuhunt(const fh_json *v, entry *e, fh_err **err)
{
    int rc = fh_json_read_str(v, "provider", true, &e->seller, err);
    if (!rc) rc = fh_json_read_str(v, "instance_name", true, &e->name, err);
    if (!rc) rc = fh_json_read_str(v, "location", false, &e->region, err);
    if (!rc) rc = fh_json_read_str(v, "gpu_name", false, &e->device, err);
    if (!rc) rc = fh_json_read_i64(v, "gpu_count", false, 0, 1000000, &e->count, err);
    if (!rc) rc = fh_json_read_f64(v, "gpu_memory", false, 0, 1e6, &e->memory_gb, err);
    if (!rc) rc = fh_json_read_f64(v, "price", true, 0, DOLLARS_MAX, &e->price, err);
    return rc ? rc : fh_json_read_bool(v, "spot", false, &e->spot, err);
}

/* "NVIDIA H100" in the form SXM is sold as "H100 SXM"; a form that the catalogue has no name for says nothing. */
static const fh_catalog_machine *device_of(prices *p, const entry *e)
{
    char whole[96];
    fh_str named = {whole, 0};
    int n = snprintf(whole, sizeof whole, "%.*s %.*s", (int)FH_MIN(e->device.len, (size_t)64), e->device.ptr,
                     (int)FH_MIN(e->form.len, (size_t)16), e->form.len ? e->form.ptr : "");
    named.len = (size_t)n;
    bool known = e->form.len && fh_catalog_machine_sold(named, e->memory_gb);
    return prices_device(p, known ? named : e->device, e->memory_gb);
}

static int put_of_one(prices *p, const entry *e, fh_plan_listing *l, fh_err **err)
{
    int rc = 0;
    for (uint32_t n = 1; n <= 8 && !rc; n *= 2) {
        char name[160];
        int len = snprintf(name, sizeof name, "%u x the price of one%s%.*s", n, e->name.len ? ": " : "",
                           (int)FH_MIN(e->name.len, (size_t)100), e->name.len ? e->name.ptr : "");
        if (n > 1 && !fh_plan_host_joins(l->device)) break;
        l->devices = n;
        l->name = n > 1 ? (fh_str){name, (size_t)len} : e->name;
        rc = prices_put(p, l, e->price * n, e->spot, err);
    }
    return rc;
}

static int take_entry(prices *p, const fh_json *v, uint32_t i, fh_err **err)
{
    entry e = {.count = 0};
    int rc = fh_json_get(v, "gpu_model") ? read_one_device(v, &e, err) : read_gpuhunt(v, &e, err);
    if (rc) return fh_err_add(err, "%.*s: entry %u", (int)p->file.len, p->file.ptr, i);
    p->sum.rows++;
    if (e.count == 0 || e.device.len == 0) {
        p->sum.no_device++;
        return 0;
    }
    if (!prices_priced(e.price)) {
        p->sum.unpriced++;
        return 0;
    }
    const fh_catalog_machine *m = device_of(p, &e);
    if (!m) return 0;
    if (e.count > FH_PLAN_MOST) {
        p->sum.unknown++;
        return 0;
    }
    fh_plan_listing l = {.trust = FH_TRUST_RENTED,
                         .place = e.seller,
                         .name = e.name,
                         .region = e.region,
                         .row = i,
                         .device = m,
                         .devices = (uint32_t)e.count,
                         .machines = 1};
    return e.of_one ? put_of_one(p, &e, &l, err) : prices_put(p, &l, e.price, e.spot, err);
}

int prices_json_read(prices *p, fh_str text, fh_err **err)
{
    FH_AUTO(json) fh_json *doc = NULL;
    int rc = fh_json_parse(&doc, text, FH_LIMIT_PRICE_FILE_BYTES, err);
    if (rc) return fh_err_add(err, "%.*s", (int)p->file.len, p->file.ptr);
    if (fh_json_kind_of(doc) != FH_JSON_ARRAY)
        return fh_err_set(err, FH_E_INVALID, "%.*s: a price list in JSON is a list", (int)p->file.len, p->file.ptr);
    for (size_t i = 0; i < fh_json_count(doc) && !rc; i++) rc = take_entry(p, fh_json_at(doc, i), (uint32_t)i, err);
    return rc;
}
