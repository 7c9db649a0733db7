/* Offers as JSON (shape PlanOffer), to the planner and from price lists. */
#include "base/limits.h"
#include "base/mem.h"
#include "plan/prices.h"
#include "plans.h"

#include <stdio.h>

static int bad_offer(size_t i, const char *why, const char *hint, fh_err **err)
{
    fh_err_set(err, FH_E_INVALID, "'offers[%zu]' %s", i, why);
    fh_err_hint(err, "%s", hint);
    fh_err_param(err, "offers[%zu]", i);
    return FH_E_INVALID;
}

static int read_device(const fh_json *v, size_t i, fh_plan_listing *l, fh_err **err)
{
    int64_t devices = 1, machines = 1;
    fh_str name = {0};
    int rc = fh_json_read_str(v, "device", true, &name, err);
    if (!rc) rc = fh_json_read_i64(v, "devices", false, 1, FH_PLAN_MOST, &devices, err);
    if (!rc) rc = fh_json_read_i64(v, "machines", false, 1, FH_PLAN_MOST, &machines, err);
    if (!rc) rc = fh_json_read_bool(v, "spot", false, &l->spot, err);
    if (rc) return rc;
    l->device = fh_catalog_machine_find(name);
    l->devices = (uint32_t)devices;
    l->machines = (uint32_t)machines;
    if (!l->device || !fh_plan_host_can(l->device))
        return bad_offer(i, "names a device that the catalogue does not know", "for example h200, with \"devices\": 8", err);
    return fh_json_read_i64(v, "hour_nusd", true, 0, INT64_MAX, &l->hour_nusd, err);
}

static int read_hosted(const fh_json *v, fh_plan_listing *l, fh_err **err)
{
    int rc = fh_json_read_i64(v, "input_nusd_per_million", true, 0, INT64_MAX, &l->in_nusd, err);
    return rc ? rc : fh_json_read_i64(v, "output_nusd_per_million", true, 0, INT64_MAX, &l->out_nusd, err);
}

static int read_words(const fh_json *v, fh_plan_listing *l, fh_err **err)
{
    int64_t start = 0, fetch = 0, row = 0;
    int rc = fh_json_read_str(v, "place", true, &l->place, err);
    if (!rc) rc = fh_json_read_str(v, "name", false, &l->name, err);
    if (!rc) rc = fh_json_read_str(v, "source", false, &l->source, err);
    if (!rc) rc = fh_json_read_str(v, "region", false, &l->region, err);
    if (!rc) rc = fh_json_read_i64(v, "row", false, 0, UINT32_MAX, &row, err);
    if (!rc) rc = fh_json_read_i64(v, "start_s", false, 0, 1000000, &start, err);
    if (!rc) rc = fh_json_read_i64(v, "fetch_mb_s", false, 0, 1000000, &fetch, err);
    l->row = (uint32_t)row;
    l->start_s = (uint32_t)start;
    l->fetch_mb_s = (uint32_t)fetch;
    return rc;
}

int plan_offer_read(const fh_json *v, size_t i, fh_plan_listing *ret, fh_err **err)
{
    fh_plan_listing l = {.device = NULL};
    if (fh_json_kind_of(v) != FH_JSON_OBJECT || !fh_json_str(fh_json_get(v, "place")).len)
        return bad_offer(i, "has no place", "each is an object with \"place\", and \"device\" or prices a million tokens", err);
    int rc = read_words(v, &l, err);
    if (!rc) rc = fh_json_get(v, "device") ? read_device(v, i, &l, err) : read_hosted(v, &l, err);
    char which[32];
    snprintf(which, sizeof which, "offers[%zu]", i);
    if (rc) return fh_err_about(err, which);
    l.trust = l.device ? FH_TRUST_RENTED : FH_TRUST_NAMED;
    *ret = l;
    return 0;
}

int plan_offers_add(const fh_json *list, fh_plan_book *b, fh_err **err)
{
    size_t count = fh_json_count(list);
    if (list && (fh_json_kind_of(list) != FH_JSON_ARRAY || count > FH_LIMIT_PLAN_OFFERS))
        return fh_err_set(err, FH_E_INVALID, "'offers' must be a list of at most %d", FH_LIMIT_PLAN_OFFERS);
    int rc = 0;
    for (size_t i = 0; i < count && !rc; i++) {
        fh_plan_listing l;
        rc = plan_offer_read(fh_json_at(list, i), i, &l, err);
        if (!rc) rc = fh_plan_book_add(b, &l, err);
    }
    return rc;
}

/* ---- from files ---- */

static bool set_known(fh_json *o, const char *name, fh_str s)
{
    return !s.len || fh_json_set(o, name, fh_json_new_str(s));
}

static int append(void *arg, const fh_plan_listing *l, fh_err **err)
{
    fh_json *o = fh_json_new_object();
    bool good = set_known(o, "place", l->place) && set_known(o, "name", l->name) && set_known(o, "source", l->source);
    good = good && fh_json_set(o, "row", fh_json_new_int(l->row)) && set_known(o, "region", l->region);
    good = good && fh_json_set(o, "device", fh_json_new_cstr(l->device->id)) && fh_json_set(o, "devices", fh_json_new_int(l->devices));
    if (l->spot) good = good && fh_json_set(o, "spot", fh_json_new_bool(true));
    good = good && fh_json_set(o, "hour_nusd", fh_json_new_int(l->hour_nusd));
    if (good) return fh_json_append(arg, o) ? 0 : fh_err_nomem(err);
    fh_json_unref(o);
    return fh_err_nomem(err);
}

static int whole_list(fh_json **ret, fh_json *offers, const fh_plan_prices *said, fh_err **err)
{
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    bool good = fh_json_set(o, "offers", offers) && fh_json_set(o, "rows", fh_json_new_int((int64_t)said->rows));
    good = good && fh_json_set(o, "without_device", fh_json_new_int((int64_t)said->no_device));
    good = good && fh_json_set(o, "without_price", fh_json_new_int((int64_t)said->unpriced));
    good = good && fh_json_set(o, "unknown_device", fh_json_new_int((int64_t)said->unknown));
    good = good && fh_json_set(o, "unknown_first", fh_json_new_cstr(said->unknown ? said->unknown_first : NULL));
    if (!good) return fh_err_nomem(err);
    *ret = fh_take(o);
    return 0;
}

void fh_plans_say_passed_over(const char *file, const fh_json *list)
{
    int64_t unknown = fh_json_int(fh_json_get(list, "unknown_device"), 0), unpriced = fh_json_int(fh_json_get(list, "without_price"), 0);
    const char *first = fh_json_str(fh_json_get(list, "unknown_first")).ptr;
    if (unknown)
        fprintf(stderr, "%s: %lld rows of devices that cannot be planned for, the first: %s\n", file, (long long)unknown,
                first ? first : "");
    if (unpriced) fprintf(stderr, "%s: %lld rows without a price\n", file, (long long)unpriced);
}

/* In the shape PlanOffer: its entries have a place. */
static bool is_ours(fh_str text, fh_json **ret, fh_err **err)
{
    FH_AUTO(json) fh_json *doc = NULL;
    if (fh_json_parse(&doc, text, FH_LIMIT_PRICE_FILE_BYTES, err)) return false;
    if (fh_json_kind_of(doc) != FH_JSON_ARRAY || (fh_json_count(doc) && !fh_json_get(fh_json_at(doc, 0), "place"))) return false;
    *ret = fh_take(doc);
    return true;
}

int fh_plans_offers_of(fh_str text, const char *file, bool check, fh_json **ret, fh_err **err)
{
    fh_plan_prices said = {0};
    FH_AUTO(json) fh_json *offers = NULL;
    fh_str trimmed = fh_str_trim(text);
    if (trimmed.len && trimmed.ptr[0] == '[' && is_ours(text, &offers, NULL)) {
        FH_AUTO(fh_plan_book) fh_plan_book *checked = NULL;
        int rc = fh_plan_book_new(&checked, err);
        if (!rc && check) rc = plan_offers_add(offers, checked, err);
        said.rows = fh_json_count(offers);
        return rc ? fh_err_about(err, file) : whole_list(ret, fh_take(offers), &said, err);
    }
    offers = fh_json_new_array();
    int rc = offers ? fh_plan_prices_read(text, file, append, offers, &said, err) : fh_err_nomem(err);
    return rc ? rc : whole_list(ret, fh_take(offers), &said, err);
}
