/* Plans over HTTP: nothing is started, and nothing is kept. Beside what the request brings, all offers that the server knows are planned
 * with: the lists that it keeps, and the hosted endpoints that serve the model. */
#include "base/mem.h"
#include "plan/market.h"
#include "price_lists.h"
#include "providers.h"
#include "server/plans.h"
#include "server_private.h"

#include <stdio.h>

/* The endpoint's own name of the model, which may be the catalogue's, an alias or that of its repository. */
static const char *name_there(const fh_provider *p, const fh_catalog_model *m)
{
    for (size_t i = 0; i < p->model_count; i++) {
        fh_str name = fh_str_of(p->models[i]);
        if (fh_catalog_find(name) == m || (m->repo[0] && fh_str_ieq(name, fh_str_of(m->repo)))) return p->models[i];
    }
    return NULL;
}

static int add_endpoint(fh_plan_book *b, const fh_provider *p, const char *model, fh_json *unpriced, fh_err **err)
{
    char place[80];
    snprintf(place, sizeof place, "provider/%s", p->name);
    const fh_provider_price *price = fh_provider_price_of(p, model);
    if (!price) return fh_json_append(unpriced, fh_json_new_cstr(place)) ? 0 : fh_err_nomem(err);
    fh_plan_listing l = {.place = fh_str_of(place),
                         .name = fh_str_of(model),
                         .region = fh_str_of(p->region),
                         .in_nusd = price->in_nusd,
                         .out_nusd = price->out_nusd};
    return fh_plan_book_add(b, &l, err);
}

static int add_endpoints(fh_plan_book *b, fh_providers *all, const fh_catalog_model *m, fh_json *unpriced, fh_err **err)
{
    int rc = 0;
    fh_providers_begin(all);
    for (size_t i = 0; m && i < fh_providers_count(all) && !rc; i++) {
        const fh_provider *p = fh_providers_at(all, i);
        const char *model = name_there(p, m);
        if (model) rc = add_endpoint(b, p, model, unpriced, err);
    }
    fh_providers_end(all);
    return rc;
}

static int make(api_call *c, fh_json **ret, fh_err **err)
{
    const fh_plan_book *books[FH_LIMIT_PRICE_LISTS + 1];
    FH_AUTO(fh_plan_book) fh_plan_book *endpoints = NULL;
    FH_AUTO(json) fh_json *unpriced = fh_json_new_array();
    const fh_catalog_model *m = fh_catalog_find(fh_json_str(fh_json_get(c->body, "model")));
    int rc = unpriced ? fh_plan_book_new(&endpoints, err) : fh_err_nomem(err);
    if (!rc) rc = add_endpoints(endpoints, c->server->providers, m, unpriced, err);
    if (rc) return rc;
    fh_plan_known known = {
        .books = books, .data_dir = c->server->config->data_dir, .region = c->server->config->region, .unpriced = unpriced};
    books[known.count++] = endpoints;
    for (size_t i = 0; i < fh_price_lists_count(c->server->price_lists); i++)
        books[known.count++] = fh_price_lists_at(c->server->price_lists, i)->book;
    return fh_plans_make(c->body, &known, ret, err);
}

void api_plans_create(api_call *c)
{
    fh_err *err = NULL;
    fh_json *doc = NULL;
    if (make(c, &doc, &err))
        api_reply_error(c, err);
    else
        api_reply(c, 200, doc);
}
