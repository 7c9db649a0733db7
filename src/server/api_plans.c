/* Plans over HTTP: nothing is started, and nothing is kept. Beside what the request brings, all offers that the server knows are planned
 * with: the lists that it keeps, the hosted endpoints that serve the model, and what can be rented of the accounts that the operator named,
 * which are asked first unless they were a moment ago. */
#include "base/clock.h"
#include "base/mem.h"
#include "guards.h"
#include "plan/market.h"
#include "pool_offers.h"
#include "price_lists.h"
#include "providers.h"
#include "rental_offers.h"
#include "server/plans.h"
#include "server_private.h"
#include "standings.h"

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

/* What is expected of a place that others have; a cheat is none to plan with. */
static bool judge(fh_standings *all, const char *place, fh_plan_listing *l, fh_place_standing *ret)
{
    fh_standings_place(all, place, ret);
    l->judged = true;
    l->standing = (uint8_t)ret->standing;
    l->failing_percent = (uint8_t)(fh_honesty_work_failing(&ret->work) * 100);
    return ret->verdict != FH_HONESTY_CHEATS;
}

static int add_endpoint(fh_plan_book *b, fh_server *s, const fh_provider *p, const char *model, fh_json *unpriced, fh_err **err)
{
    char place[80];
    snprintf(place, sizeof place, "provider/%s", p->name);
    const fh_provider_price *price = fh_provider_price_of(p, model);
    if (!price) return fh_json_append(unpriced, fh_json_new_cstr(place)) ? 0 : fh_err_nomem(err);
    fh_plan_listing l = {.place = fh_str_of(place),
                         .name = fh_str_of(model),
                         .region = fh_str_of(p->region),
                         .in_nusd = price->in_nusd,
                         .out_nusd = price->out_nusd,
                         .trust = p->trust};
    fh_place_standing standing;
    return judge(s->standings, p->name, &l, &standing) ? fh_plan_book_add(b, &l, err) : 0;
}

static int add_endpoints(fh_plan_book *b, fh_server *s, const fh_catalog_model *m, fh_json *unpriced, fh_err **err)
{
    fh_providers *all = s->providers;
    int rc = 0;
    fh_providers_begin(all);
    for (size_t i = 0; m && i < fh_providers_count(all) && !rc; i++) {
        const fh_provider *p = fh_providers_at(all, i);
        const char *model = name_there(p, m);
        if (model) rc = add_endpoint(b, s, p, model, unpriced, err);
    }
    fh_providers_end(all);
    return rc;
}

#define FETCH_MB_S 125 /* of a machine whose link is not told: 1 Gbit/s */

/* ---- machines of the pool ---- */

/* How fast it answered what it was asked, of whatever model: it counts more than its memory's speed. */
static void correct(fh_plan_host *h, const fh_honesty_work *w)
{
    double read = fh_honesty_work_read_bytes_s(w);
    if (read > 0 && !h->bandwidth_bytes) h->bandwidth_bytes = (uint64_t)read;
    if (read > 0) h->speed_per_mille = (uint32_t)fh_plan_speed_per_mille(read, (double)h->bandwidth_bytes);
    h->prefill_ops = (uint64_t)fh_honesty_work_prompt_ops_s(w);
}

/* What was measured of it, and what it claims where nothing was. What its owner says of its energy is not ranked on. */
static int add_machine(fh_plan_book *b, fh_server *s, const fh_pool_offer *o, fh_json *unpriced, fh_err **err)
{
    fh_plan_host h = {.name = "a machine of the pool",
                      .devices = 1,
                      .opens = FH_PLAN_OURS,
                      .cpu = true,
                      .memory_bytes = o->memory_bytes,
                      .bandwidth_bytes = o->read_bytes_per_s};
    fh_plan_listing l = {.place = fh_str_of(o->place),
                         .region = fh_str_of(o->region),
                         .fetch_mb_s = o->fetch_mb_s ? o->fetch_mb_s : FETCH_MB_S,
                         .hour_nusd = o->hour_nusd,
                         .in_nusd = o->mtok_nusd,
                         .out_nusd = o->mtok_nusd,
                         .trust = FH_TRUST_RENTED,
                         .owner = fh_str_of(o->owner)};
    fh_place_standing standing;
    if (!o->priced) return fh_json_append(unpriced, fh_json_new_cstr(o->place)) ? 0 : fh_err_nomem(err);
    if (!judge(s->standings, o->place, &l, &standing)) return 0;
    correct(&h, &standing.work);
    return fh_plan_book_add_host(b, &h, &l, err);
}

static int add_pool(fh_plan_book *b, fh_server *s, fh_json *unpriced, fh_err **err)
{
    FH_AUTO(ptr) fh_pool_offer *list = fh_calloc(FH_LIMIT_NODES, sizeof *list);
    if (!list) return fh_err_nomem(err);
    size_t count = fh_pool_offers_list(s->pool_offers, list, FH_LIMIT_NODES);
    int rc = 0;
    for (size_t i = 0; i < count && !rc; i++) rc = add_machine(b, s, &list[i], unpriced, err);
    return rc;
}

/* ---- accounts that machines are rented of ---- */

typedef struct planning planning;
typedef struct account {
    planning *of;
    char name[64];
    const fh_rent_profile *profile;
    size_t offers, planned; /* that it has; of those, with devices that the catalogue knows */
    fh_err *failed;         /* owned; why it did not say what it offers */
} account;

struct planning {
    api_call *call;
    size_t waiting, count; /* accounts that have not answered; all of them */
    account accounts[FH_LIMIT_PROVIDERS];
};

static int add_offer(fh_plan_book *b, account *a, const fh_rent_offer *o, fh_err **err)
{
    char place[80];
    const fh_catalog_machine *device = fh_catalog_machine_find(fh_str_of(o->device));
    uint32_t fetch = o->down_mbit_s / 8;
    if (!device || !fh_plan_host_can(device) || o->gpus > FH_PLAN_MOST) return 0;
    a->planned++;
    snprintf(place, sizeof place, "provider/%s", a->name);
    fh_plan_listing l = {.place = fh_str_of(place),
                         .name = fh_str_of(o->id),
                         .region = fh_str_of(o->region),
                         .device = device,
                         .devices = o->gpus,
                         .machines = 1,
                         .start_s = a->profile->start_s,
                         .fetch_mb_s = fetch ? fetch : FETCH_MB_S,
                         .spot = o->spot,
                         .hour_nusd = o->hour_micro * 1000,
                         .trust = FH_TRUST_RENTED};
    return fh_plan_book_add(b, &l, err);
}

static int add_accounts(fh_plan_book *b, planning *p, fh_err **err)
{
    int rc = 0;
    for (size_t i = 0; i < p->count && !rc; i++) {
        account *a = &p->accounts[i];
        bool fresh;
        const fh_rent_offer *list = a->failed ? NULL : fh_rental_offers_get(p->call->server->rental_offers, a->name, &a->offers, &fresh);
        for (size_t k = 0; list && k < a->offers && !rc; k++) rc = add_offer(b, a, &list[k], err);
    }
    return rc;
}

static fh_json *note_of(const planning *p, const account *a)
{
    char text[160];
    int64_t guarded_s = fh_guards_silence_s(p->call->server->guards, a->name, fh_clock_mono_ns());
    if (a->profile->end_itself) return fh_json_new_null();
    if (!guarded_s)
        return fh_json_new_cstr(
            "if this server dies, the bill goes on: its machines cannot end themselves, and no `freehold guard` watches");
    snprintf(text, sizeof text, "its machines cannot end themselves: a guard ends them when this server was not heard for %lld s",
             (long long)guarded_s);
    return fh_json_new_cstr(text);
}

static fh_json *accounts_json(const planning *p)
{
    fh_json *list = fh_json_new_array();
    for (size_t i = 0; i < p->count; i++) {
        const account *a = &p->accounts[i];
        fh_json *o = fh_json_new_object();
        fh_json_set(o, "name", fh_json_new_cstr(a->name));
        fh_json_set(o, "kind", fh_json_new_cstr(a->profile->kind));
        fh_json_set(o, "offers", a->failed ? fh_json_new_null() : fh_json_new_int((int64_t)a->offers));
        fh_json_set(o, "planned", fh_json_new_int((int64_t)a->planned));
        fh_json_set(o, "error", fh_json_new_cstr(a->failed ? fh_err_message(a->failed) : NULL));
        fh_json_set(o, "note", note_of(p, a));
        fh_json_append(list, o);
    }
    return list;
}

/* ---- all together ---- */

static int make(planning *p, fh_json **ret, fh_err **err)
{
    api_call *c = p->call;
    const fh_plan_book *books[FH_LIMIT_PRICE_LISTS + 1];
    FH_AUTO(fh_plan_book) fh_plan_book *places = NULL;
    FH_AUTO(json) fh_json *unpriced = fh_json_new_array(), *doc = NULL;
    const fh_catalog_model *m = fh_catalog_find(fh_json_str(fh_json_get(c->body, "model")));
    int rc = unpriced ? fh_plan_book_new(&places, err) : fh_err_nomem(err);
    if (!rc) rc = add_endpoints(places, c->server, m, unpriced, err);
    if (!rc) rc = add_pool(places, c->server, unpriced, err);
    if (!rc) rc = add_accounts(places, p, err);
    if (rc) return rc;
    fh_plan_known known = {
        .books = books, .data_dir = c->server->config->data_dir, .region = c->server->config->region, .unpriced = unpriced};
    books[known.count++] = places;
    for (size_t i = 0; i < fh_price_lists_count(c->server->price_lists); i++)
        books[known.count++] = fh_price_lists_at(c->server->price_lists, i)->book;
    rc = fh_plans_make(c->body, &known, &doc, err);
    if (!rc && !fh_json_set(doc, "providers", accounts_json(p))) rc = fh_err_nomem(err);
    if (!rc) *ret = fh_take(doc);
    return rc;
}

static void finish(planning *p)
{
    fh_err *err = NULL;
    fh_json *doc = NULL;
    if (make(p, &doc, &err))
        api_reply_error(p->call, err);
    else
        api_reply(p->call, 200, doc);
    for (size_t i = 0; i < p->count; i++) fh_err_free(p->accounts[i].failed);
    fh_free(p);
}

static void asked(void *arg, const fh_err *err)
{
    account *a = arg;
    if (err) fh_err_set(&a->failed, fh_err_code(err), "%s", fh_err_message(err));
    if (--a->of->waiting == 0) finish(a->of);
}

static void ask(planning *p, const fh_provider *of)
{
    fh_server *s = p->call->server;
    size_t count;
    bool fresh = false;
    account *a = &p->accounts[p->count++];
    *a = (account){.of = p, .profile = of->rents};
    snprintf(a->name, sizeof a->name, "%s", of->name);
    if (fh_rental_offers_get(s->rental_offers, of->name, &count, &fresh) && fresh) return;
    if (fh_rental_offers_ask(s->rental_offers, s->outbound, of, asked, a, &a->failed) == 0) p->waiting++;
}

void api_plans_create(api_call *c)
{
    fh_err *err = NULL;
    planning *p = fh_calloc(1, sizeof *p);
    if (!p) {
        fh_err_nomem(&err);
        api_reply_error(c, err);
        return;
    }
    p->call = c;
    for (size_t i = 0; i < fh_providers_count(c->server->providers); i++)
        if (fh_providers_at(c->server->providers, i)->rents) ask(p, fh_providers_at(c->server->providers, i));
    if (p->waiting == 0) finish(p);
}
