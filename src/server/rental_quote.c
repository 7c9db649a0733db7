/* What renting for a model would cost, before anything is rented: the offer that would be taken now, limits filled in, what its start
 * costs, and whether the bill ends with this server. The account is asked for its offers first. */
#include "base/clock.h"
#include "catalog/engines.h"
#include "plan/plan.h"
#include "guards.h"
#include "providers.h"
#include "rental_offers.h"
#include "rented.h"
#include "server_private.h"

#include <stdio.h>
#include <string.h>

#define FETCH_BYTES_S 125000000  /* of a machine whose link is not told: 1 Gbit/s */
#define LOAD_BYTES_S  1000000000 /* from its disk */
#define CENT          10000      /* in millionths */

typedef struct quoting {
    api_call *call;
    char account[64];
    const fh_rent_profile *profile;
    const fh_catalog_model *model; /* NULL: not one of the catalogue, whose size is not known before it is looked at */
    fh_supply_want want;           /* its strings are the engine's and lasting ones */
    fh_deploy_limit limit;         /* with the offer that was picked */
} quoting;

/* ---- what is asked ---- */

static const fh_provider *account_of(const fh_server *s, fh_str place)
{
    fh_str name = fh_str_starts(place, FH_STR("provider/")) ? (fh_str){place.ptr + 9, place.len - 9} : (fh_str){NULL, 0};
    for (size_t i = 0; i < fh_providers_count(s->providers); i++) {
        const fh_provider *p = fh_providers_at(s->providers, i);
        if (p->rents && (name.len ? fh_str_eqs(name, p->name) : fh_str_eqs(place, p->rents->kind))) return p;
    }
    return NULL;
}

static int read_model(quoting *q, const fh_deploy_spec *spec, fh_err **err)
{
    const fh_catalog_engine *e;
    int rc = fh_catalog_engine_get(fh_str_of(spec->engine), &e, err);
    if (rc) return rc;
    q->want.engine = e->id;
    q->model = fh_catalog_find(fh_str_of(spec->model));
    const fh_catalog_variant *v = NULL;
    for (size_t i = 0; q->model && i < q->model->variant_count && !v; i++)
        if (q->model->variants[i].gguf == fh_catalog_engine_takes(e, "gguf")) v = &q->model->variants[i];
    if (!v) return 0;
    fh_plan_kv kv = FH_PLAN_KV_16BIT;
    rc = fh_catalog_engine_keeps(e, spec->kv_type, err);
    if (!rc) rc = fh_plan_kv_parse(fh_str_of(spec->kv_type), &kv, err);
    if (rc) return rc;
    fh_plan_model m = fh_plan_model_with(q->model, v, kv, 1);
    fh_plan_need need = fh_plan_need_of(&m, spec->context_tok, spec->streams);
    q->want.weights_bytes = need.weights_bytes;
    q->want.bytes = need.total_bytes + e->memory_bytes;
    return 0;
}

/* ---- the answer ---- */

static const fh_rent_offer *best_of(const quoting *q, const fh_rent_filter *f)
{
    size_t count = 0;
    bool fresh;
    const fh_rent_offer *best = NULL, *list = fh_rental_offers_get(q->call->server->rental_offers, q->account, &count, &fresh);
    for (size_t i = 0; list && i < count; i++)
        if (fh_rent_offer_fits(&list[i], f) && (!best || fh_rent_offer_is_better(&list[i], best))) best = &list[i];
    return best;
}

/* The one that was picked, whatever others cost; NULL: it is not offered any more. */
static const fh_rent_offer *picked_of(const quoting *q)
{
    size_t count = 0;
    bool fresh;
    const fh_rent_offer *list = fh_rental_offers_get(q->call->server->rental_offers, q->account, &count, &fresh);
    for (size_t i = 0; list && i < count; i++)
        if (strcmp(list[i].id, q->limit.offer) == 0) return &list[i];
    return NULL;
}

static int not_offered(const char *place, fh_str offer, fh_err **err)
{
    fh_err_set(err, FH_E_NOT_FOUND, "%.80s did not offer '%.*s' when it was asked last", place, (int)FH_MIN(offer.len, (size_t)64),
               offer.ptr);
    fh_err_hint(err, "ask for plans again, and take one of its names; without an offer the cheapest that fits is rented");
    fh_err_param(err, "offer");
    return FH_E_NOT_FOUND;
}

/* The one that would be rented now. */
static int take_offer(const quoting *q, const fh_rent_filter *f, const fh_rent_offer **ret, fh_err **err)
{
    char place[80];
    bool picked = q->limit.offer[0];
    const fh_rent_offer *o = picked ? picked_of(q) : best_of(q, f);
    snprintf(place, sizeof place, "provider/%s", q->account);
    if (picked && !o) return not_offered(place, fh_str_of(q->limit.offer), err);
    if (o && (!picked || fh_rent_offer_fits(o, f))) {
        *ret = o;
        return 0;
    }
    if (picked)
        fh_err_set(err, FH_E_NOT_FOUND, "it does not fit on '%s' of %s%s", q->limit.offer, place,
                   q->limit.max_hour_micro ? ", or that costs more" : "");
    else
        fh_err_set(err, FH_E_NOT_FOUND, "%s offers nothing now that it fits on%s", place, q->limit.max_hour_micro ? " at that price" : "");
    fh_err_hint(err, "`freehold plan MODEL` says what would do, and why not what is offered");
    return FH_E_NOT_FOUND;
}

static int64_t start_s(const quoting *q, const fh_rent_offer *o)
{
    uint64_t fetch = o->down_mbit_s ? (uint64_t)o->down_mbit_s * 125000 : FETCH_BYTES_S;
    return q->profile->start_s + (int64_t)(q->want.weights_bytes / fetch + q->want.weights_bytes / LOAD_BYTES_S);
}

/* What holds the bill when this server dies. */
static void say_held(const quoting *q, int64_t guarded_s, char *out, size_t out_size)
{
    if (q->profile->end_itself)
        snprintf(out, out_size, "it ends itself at the limit if this server dies");
    else if (guarded_s)
        snprintf(out, out_size, "a guard ends it when this server was not heard for %lld s", (long long)guarded_s);
    else
        snprintf(out, out_size, "nothing holds the bill if this server dies: the bill goes on, unless `freehold guard` runs elsewhere");
}

static int64_t start_micro(const quoting *q, const fh_rent_offer *o)
{
    return (int64_t)((__int128)start_s(q, o) * o->hour_micro / 3600);
}

static void say(const quoting *q, const fh_rent_offer *o, const fh_rent_want *w, int64_t guarded_s, char *out, size_t out_size)
{
    char held[120], late[96] = "";
    int64_t s = start_s(q, o);
    say_held(q, guarded_s, held, sizeof held);
    if (s >= w->limit_s) snprintf(late, sizeof late, " and %.1f h, so that it would end before it is ready", (double)s / 3600);
    snprintf(out, out_size, "$%.2f an hour (%u x %s at provider/%s), at most %.4g h, $%.2f; start-up about $%.2f%s; %s",
             (double)o->hour_micro / 1e6, o->gpus, o->gpu, q->account, (double)w->limit_s / 3600, (double)w->limit_micro / 1e6,
             (double)start_micro(q, o) / 1e6, late, held);
}

static fh_json *limit_json(const fh_rent_want *w)
{
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "hour_micro", fh_json_new_int(w->filter.max_hour_micro));
    fh_json_set(o, "seconds", fh_json_new_int(w->limit_s));
    fh_json_set(o, "cost_micro", fh_json_new_int(w->limit_micro));
    fh_json_set(o, "currency", fh_json_new_cstr("USD"));
    return o;
}

static fh_json *quote_json(const quoting *q, const fh_rent_offer *o, const fh_rent_want *w)
{
    char text[400];
    int64_t guarded_s = fh_guards_silence_s(q->call->server->guards, q->account, fh_clock_mono_ns());
    say(q, o, w, guarded_s, text, sizeof text);
    fh_json *doc = fh_json_new_object();
    fh_json_set(doc, "provider", fh_json_new_cstr(q->account));
    fh_json_set(doc, "model", fh_json_new_cstr(q->model ? q->model->id : NULL));
    fh_json_set(doc, "offer", fh_json_new_cstr(o->id));
    fh_json_set(doc, "gpus", fh_json_new_int(o->gpus));
    fh_json_set(doc, "gpu", fh_json_new_cstr(o->gpu));
    fh_json_set(doc, "hour_micro", fh_json_new_int(o->hour_micro));
    fh_json_set(doc, "limit", limit_json(w));
    fh_json_set(doc, "start_s", fh_json_new_int(start_s(q, o)));
    fh_json_set(doc, "start_micro", fh_json_new_int(start_micro(q, o)));
    fh_json_set(doc, "ends_itself", fh_json_new_bool(q->profile->end_itself != NULL));
    fh_json_set(doc, "guarded_s", guarded_s ? fh_json_new_int(guarded_s) : fh_json_new_null());
    fh_json_set(doc, "text", fh_json_new_cstr(text));
    return doc;
}

/* A quarter more than the cheapest costs, so that the next-best may follow. */
static int make(quoting *q, fh_json **ret, fh_err **err)
{
    fh_rent_want w = {.look_s = 0};
    fh_supply_want any = q->want;
    any.max_hour_micro = INT64_MAX / 100000;
    int rc = fh_rented_want(&any, &w, err);
    if (rc) return rc;
    w.filter.max_hour_micro = q->limit.max_hour_micro;
    const fh_rent_offer *o = NULL;
    rc = take_offer(q, &w.filter, &o, err);
    if (rc) return rc;
    if (!q->want.max_hour_micro && !q->want.limit_micro) q->want.max_hour_micro = (o->hour_micro * 5 / 4 + CENT - 1) / CENT * CENT;
    rc = fh_rented_want(&q->want, &w, err);
    if (!rc) *ret = quote_json(q, o, &w);
    return rc;
}

static void answered(void *arg, const fh_err *why)
{
    quoting *q = arg;
    fh_err *err = NULL;
    fh_json *doc = NULL;
    int rc = why ? fh_err_set(&err, fh_err_code(why), "%s", fh_err_message(why)) : make(q, &doc, &err);
    if (rc)
        api_reply_error(q->call, err);
    else
        api_reply(q->call, 200, doc);
    fh_free(q);
}

static int begin(quoting *q, fh_err **err)
{
    api_call *c = q->call;
    fh_deploy_spec spec = {0};
    int rc = api_shape_read(c, true, &spec, err);
    if (!rc) rc = api_limit_read(c->body, &q->limit, err);
    if (!rc) rc = api_text_read(c->body, "offer", false, q->limit.offer, sizeof q->limit.offer, err);
    if (!rc) rc = read_model(q, &spec, err);
    if (rc) return rc;
    const fh_provider *p = account_of(c->server, fh_str_of(spec.place));
    if (!p) {
        fh_err_set(err, FH_E_NOT_FOUND, "nothing is rented at '%.80s'", spec.place);
        fh_err_hint(err, "`freehold provider list` shows accounts");
        return FH_E_NOT_FOUND;
    }
    snprintf(q->account, sizeof q->account, "%s", p->name);
    q->profile = p->rents;
    q->want.max_hour_micro = q->limit.max_hour_micro;
    q->want.limit_s = q->limit.seconds;
    q->want.limit_micro = q->limit.micro;
    memcpy(q->want.currency, q->limit.currency, sizeof q->want.currency);
    return fh_rental_offers_ask(c->server->rental_offers, c->server->outbound, p, answered, q, err);
}

void api_rentals_quote(api_call *c)
{
    fh_err *err = NULL;
    quoting *q = fh_calloc(1, sizeof *q);
    if (q) {
        q->call = c;
        if (begin(q, &err) == 0) return;
    } else
        fh_err_nomem(&err);
    fh_free(q);
    api_reply_error(c, err);
}

int fh_rental_pick(const fh_server *s, fh_str offer, fh_deploy_spec *spec, fh_err **err)
{
    const fh_provider *p = account_of(s, fh_str_of(spec->place));
    size_t count = 0;
    bool fresh;
    const fh_rent_offer *list = p ? fh_rental_offers_get(s->rental_offers, p->name, &count, &fresh) : NULL;
    for (size_t i = 0; list && i < count; i++) {
        if (!fh_str_eqs(offer, list[i].id)) continue;
        memcpy(spec->limit.offer, list[i].id, sizeof list[i].id);
        fh_rent_offer_kind(&list[i], spec->limit.offer_kind);
        return 0;
    }
    return not_offered(spec->place, offer, err);
}

void fh_rental_fill_limit(const fh_server *s, fh_deploy_spec *spec)
{
    fh_rent_want w = {.look_s = 0};
    fh_deploy_limit *l = &spec->limit;
    fh_supply_want said = {.engine = "", .max_hour_micro = l->max_hour_micro, .limit_s = l->seconds, .limit_micro = l->micro};
    memcpy(said.currency, l->currency, sizeof said.currency);
    if (!account_of(s, fh_str_of(spec->place)) || fh_rented_want(&said, &w, NULL)) return; /* who is asked for it says what is wrong */
    l->max_hour_micro = w.filter.max_hour_micro;
    l->seconds = w.limit_s;
    l->micro = w.limit_micro;
}
