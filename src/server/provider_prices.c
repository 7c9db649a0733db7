/* What tokens cost at a hosted endpoint, as its operator says (see providers.h). */
#include "providers.h"

#include "json/json.h"
#include <stdio.h>
#include <string.h>

static int read_price(fh_provider_price *p, const fh_json *v, fh_err **err)
{
    fh_str model = {0};
    int rc = fh_json_read_str(v, "model", false, &model, err);
    if (!rc && model.len >= sizeof p->model) rc = fh_err_set(err, FH_E_INVALID, "'model' is longer than any model's name");
    if (!rc) rc = fh_json_read_i64(v, "input_nusd_per_million", true, 0, INT64_MAX, &p->in_nusd, err);
    if (!rc) rc = fh_json_read_i64(v, "output_nusd_per_million", true, 0, INT64_MAX, &p->out_nusd, err);
    if (!rc && model.len) memcpy(p->model, model.ptr, model.len);
    return rc;
}

int fh_provider_prices_read(fh_provider *p, const fh_json *list, fh_err **err)
{
    size_t count = fh_json_count(list);
    if ((list && fh_json_kind_of(list) != FH_JSON_ARRAY) || count > FH_LIMIT_PROVIDER_PRICES) {
        fh_err_set(err, FH_E_INVALID, "'prices' must be a list of at most %d", FH_LIMIT_PROVIDER_PRICES);
        fh_err_param(err, "prices");
        return FH_E_INVALID;
    }
    memset(p->prices, 0, sizeof p->prices);
    p->price_count = 0;
    for (size_t i = 0; i < count; i++) {
        int rc = read_price(&p->prices[i], fh_json_at(list, i), err);
        if (rc) return fh_err_add(err, "prices[%zu]", i);
        p->price_count++;
    }
    return 0;
}

fh_json *fh_provider_prices_json(const fh_provider *p)
{
    fh_json *list = fh_json_new_array();
    for (size_t i = 0; i < p->price_count; i++) {
        const fh_provider_price *price = &p->prices[i];
        fh_json *o = fh_json_new_object();
        fh_json_set(o, "model", fh_json_new_cstr(price->model[0] ? price->model : NULL));
        fh_json_set(o, "input_nusd_per_million", fh_json_new_int(price->in_nusd));
        fh_json_set(o, "output_nusd_per_million", fh_json_new_int(price->out_nusd));
        fh_json_append(list, o);
    }
    return list;
}

const fh_provider_price *fh_provider_price_of(const fh_provider *p, const char *model)
{
    const fh_provider_price *any = NULL;
    for (size_t i = 0; i < p->price_count; i++) {
        if (strcmp(p->prices[i].model, model) == 0) return &p->prices[i];
        if (!p->prices[i].model[0]) any = &p->prices[i];
    }
    return any;
}
