/* What the owner of a machine offers (see pool/offer.h). */
#include "pool/offer.h"

#include "base/limits.h"
#include "base/mem.h"
#include <stdio.h>
#include <string.h>

enum { PUE_MOST = 10000, WUE_MOST = 100000 };

static const struct {
    const char *name;
    size_t offset;
    int64_t least, most;
} numbers[] = {{"ask_micro_per_million", offsetof(fh_node_offer, mtok.micro), 0, FH_NODE_ASK_MOST},
               {"min_time_s", offsetof(fh_node_offer, min_s), 0, FH_LIMIT_NODE_MIN_TIME_S},
               {"watts", offsetof(fh_node_offer, watts), 0, FH_LIMIT_NODE_WATTS},
               {"pue_milli", offsetof(fh_node_offer, pue_milli), 1000, PUE_MOST},
               {"wue_ml_kwh", offsetof(fh_node_offer, wue_ml_kwh), 0, WUE_MOST}};

static int64_t *number(fh_node_offer *o, size_t i)
{
    return (int64_t *)(void *)((char *)o + numbers[i].offset);
}

fh_json *fh_node_offer_write(const fh_node_offer *o)
{
    fh_node_offer copy = *o;
    fh_json *doc = fh_json_new_object();
    bool good = doc != NULL;
    for (size_t i = 0; good && i < FH_COUNT(numbers); i++)
        if (*number(&copy, i)) good = fh_json_set(doc, numbers[i].name, fh_json_new_int(*number(&copy, i)));
    if (good && o->mtok.micro) good = fh_json_set(doc, "ask_currency", fh_json_new_cstr(o->mtok.currency));
    if (good && o->region[0]) good = fh_json_set(doc, "region", fh_json_new_cstr(o->region));
    if (good) return doc;
    fh_json_unref(doc);
    return NULL;
}

static int bad(const char *field, const char *what, fh_err **err)
{
    fh_err_set(err, FH_E_INVALID, "'offer.%s' must be %s", field, what);
    fh_err_param(err, "offer.%s", field);
    return FH_E_INVALID;
}

static int read_words(const fh_json *doc, fh_node_offer *o, fh_err **err)
{
    fh_str currency = {0}, region = {0};
    int rc = fh_json_read_str(doc, "ask_currency", o->mtok.micro > 0, &currency, err);
    if (!rc) rc = fh_json_read_str(doc, "region", false, &region, err);
    if (rc) return rc;
    if (currency.ptr && !fh_node_currency_set(&o->mtok, currency)) return bad("ask_currency", "three capital letters, as USD", err);
    bool good = region.len < sizeof o->region;
    for (size_t i = 0; good && i < region.len; i++) good = region.ptr[i] && strchr("abcdefghijklmnopqrstuvwxyz0123456789-", region.ptr[i]);
    if (!good) return bad("region", "1 to 63 small letters, digits and dashes", err);
    if (region.len) memcpy(o->region, region.ptr, region.len);
    return 0;
}

int fh_node_offer_read(const fh_json *facts, fh_node_offer *ret, fh_err **err)
{
    const fh_json *doc = fh_json_get(facts, "offer");
    fh_node_offer o = {.min_s = 0};
    if (fh_json_kind_of(doc) == FH_JSON_NULL) {
        *ret = o;
        return 0;
    }
    if (fh_json_kind_of(doc) != FH_JSON_OBJECT) return fh_err_set(err, FH_E_INVALID, "'offer' must be an object");
    int rc = 0;
    for (size_t i = 0; !rc && i < FH_COUNT(numbers); i++)
        rc = fh_json_read_i64(doc, numbers[i].name, false, numbers[i].least, numbers[i].most, number(&o, i), err);
    if (!rc) rc = read_words(doc, &o, err);
    if (!rc) *ret = o;
    return rc;
}
