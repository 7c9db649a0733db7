/* The gateway's port to the fleet: the ready replicas of the fleet's snapshot, of which it chooses. */
#include "base/clock.h"
#include "figures.h"
#include "honesty_target.h"
#include "pool_offers.h"
#include "providers.h"
#include "route_wanted.h"
#include "standings.h"

#include <stdio.h>
#include <string.h>

static bool is_wanted(const fh_wanted *w, const fh_deployment_view *d)
{
    if (w->kind == BY_AUTO) return true;
    if (w->kind == BY_PROVIDER || w->kind == BY_GROUP) return false;
    if (w->kind == BY_NAME && strcmp(d->set, w->name) == 0) return true;
    return strcmp(w->kind == BY_NAME ? d->name : d->model, w->name) == 0;
}

/* Images and sound want weights that take them, which nobody has said of any here. */
#define MEDIA (FH_NEED_BIT(IMAGES) | FH_NEED_BIT(AUDIO))

static const fh_catalog_engine *engine_of(const fh_deployment_view *d)
{
    const fh_catalog_engine *e = fh_catalog_engine_find(fh_str_of(d->engine));
    return e ? e : fh_catalog_engine_at(0); /* the fleet runs none that is not there */
}

/* This machine is the owner's. Another of the pool is one that they have for a while: whoever has it in hand can read what runs there. */
fh_candidate fh_route_candidate(const fh_deployment_view *d, const char *region)
{
    bool here = strcmp(d->place, "here") == 0;
    const fh_catalog_engine *e = engine_of(d);
    return (fh_candidate){.deployment = d->name,
                          .model = d->model,
                          .place = d->place,
                          .region = here ? region : NULL,
                          .instance = d->act,
                          .can = fh_engine_can(e) & ~MEDIA,
                          .trust = here ? FH_TRUST_OWN : FH_TRUST_RENTED,
                          .via = d->order.supply,
                          .resume = fh_engine_resume(e),
                          .own_engine = fh_catalog_engine_is_own(e),
                          .dialect = FH_DIALECT_CHAT,
                          .context_tok = d->context_tok,
                          .at_once = (uint32_t)d->streams};
}

/* Weights, window and what its cache is kept as are what an answer of our engine depends on, on one machine. Another's answers are those of
 * this very start, and so are weights without a digest. */
static void identify(fh_route *ret, const fh_deployment_view *d)
{
    if (d->digest[0] && ret->own_engine)
        snprintf(ret->identity, sizeof ret->identity, "weights %s, cache %s, at %s, %lld tok", d->digest,
                 d->kv_type[0] ? d->kv_type : "of itself", d->place, (long long)d->context_tok);
    else
        snprintf(ret->identity, sizeof ret->identity, "start %lld of %s", (long long)d->act, d->name);
}

static const char *const why[] = {[BY_MODEL] = "the model that was asked for",
                                  [BY_NAME] = "the deployment that was asked for",
                                  [BY_AUTO] = "auto",
                                  [BY_PROVIDER] = "the hosted endpoint that was asked for",
                                  [BY_GROUP] = "the group that was asked for"};

static void fill_route(fh_route *ret, const fh_wanted *w, const fh_deployment_view *d, const fh_candidate *c, size_t choices)
{
    const fh_catalog_engine *e = engine_of(d);
    *ret = (fh_route){.base_url = "http://localhost",
                      .instance = c->instance,
                      .active_params = c->active_params,
                      .can = c->can,
                      .resume = c->resume,
                      .own_engine = c->own_engine,
                      .watched = c->watched,
                      .repeats_beginning = e->repeats_beginning,
                      .counts_at_tokenize = e->counts_at_tokenize,
                      .dialect = c->dialect};
    snprintf(ret->deployment, sizeof ret->deployment, "%s", d->name);
    if (!c->own_engine) snprintf(ret->upstream_model, sizeof ret->upstream_model, "%s", d->model); /* not the alias that was asked for */
    snprintf(ret->model, sizeof ret->model, "%s", d->model);
    snprintf(ret->place, sizeof ret->place, "%s", d->place);
    snprintf(ret->region, sizeof ret->region, "%s", c->region ? c->region : "");
    snprintf(ret->arm, sizeof ret->arm, "%s", c->arm);
    snprintf(ret->unix_path, sizeof ret->unix_path, "%s", d->socket_path);
    identify(ret, d);
    snprintf(ret->reason, sizeof ret->reason, "%s; one of %zu ready", why[w->kind], choices);
}

/* What is known but not ready now. */
static int not_ready(const fh_deployment_view *d, fh_err **err)
{
    fh_err_set(err, FH_E_UNAVAILABLE, "the deployment '%s' of %s is %s, not ready: %s", d->name, d->model,
               fh_deployment_state_name(d->state), d->reason);
    if (d->state == FH_DEPLOYMENT_FAILED)
        fh_err_hint(err, "%s", d->hint[0] ? d->hint : "start it again, or another model");
    else
        fh_err_hint(err, "ask again in a moment; `freehold events %s` shows how far it is", d->name);
    fh_err_param(err, "model");
    return FH_E_UNAVAILABLE;
}

static void add_name(char *list, size_t size, const char *name)
{
    size_t used = strlen(list);
    if (strstr(list, name)) return;
    snprintf(list + used, size - used, "%s%s", used ? ", " : "", name);
}

static void add_ready(char *list, size_t size, const fh_fleet_snapshot *snap)
{
    for (size_t i = 0; i < snap->count; i++)
        if (snap->deployments[i].state == FH_DEPLOYMENT_READY) add_name(list, size, snap->deployments[i].model);
}

static int not_found(const fh_wanted *w, const fh_fleet_snapshot *snap, fh_err **err)
{
    const char *near[3];
    char ready[512] = "", nearest[512] = "";
    const fh_catalog_model *known = w->known;
    add_ready(ready, sizeof ready, snap);
    for (size_t i = 0, n = fh_catalog_nearest(fh_str_of(w->name), near, FH_COUNT(near)); i < n; i++)
        add_name(nearest, sizeof nearest, near[i]);
    if (w->kind == BY_AUTO)
        fh_err_set(err, FH_E_UNAVAILABLE, "nothing runs that could answer");
    else if (w->kind == BY_GROUP)
        fh_err_set(err, FH_E_UNAVAILABLE, "none of the %zu models of the group '%.64s' is ready", w->group->count, w->name);
    else if (w->kind == BY_NAME)
        fh_err_set(err, FH_E_NOT_FOUND, "there is no deployment '%.64s'", w->name);
    else if (known)
        fh_err_set(err, FH_E_NOT_FOUND, "the model '%s' is not running", known->id);
    else
        fh_err_set(err, FH_E_NOT_FOUND, "there is no model '%.64s'; the nearest names are %s", w->name, nearest[0] ? nearest : "none");
    if (known || w->kind == BY_AUTO || w->kind == BY_GROUP)
        fh_err_hint(err, "start one with `freehold run %s`%s%s", known ? known->id : "MODEL", ready[0] ? "; ready now: " : "", ready);
    else
        fh_err_hint(err, "ready now: %s", ready[0] ? ready : "nothing; `freehold run MODEL` starts one");
    fh_err_param(err, "model");
    if (w->kind != BY_AUTO && w->kind != BY_GROUP) fh_err_reason(err, "model_not_found");
    return fh_err_code(*err);
}

/* What could answer, and where each came from. Texts of candidates lie here, or in the fleet's snapshot, the providers and the groups. */
typedef char place_name[80];
typedef char arm_name[FH_ARM_CHARS];
typedef char region_name[FH_REGION_CHARS];
typedef char owner_name[FH_OWNER_CHARS];
typedef struct gathering {
    const char *region; /* of this machine; NULL: not known */
    int64_t pool_canaries_per_day;
    const fh_fleet_snapshot *snap;
    const fh_providers *providers;
    fh_candidate list[FH_CANDIDATES_MAX];
    arm_name arms[FH_CANDIDATES_MAX];
    region_name regions[FH_CANDIDATES_MAX]; /* of machines of the pool */
    owner_name owners[FH_CANDIDATES_MAX];   /* likewise */
    bool hosted[FH_CANDIDATES_MAX];
    size_t index[FH_CANDIDATES_MAX]; /* of the deployment, or of the provider */
    size_t count;
    place_name places[FH_LIMIT_PROVIDERS]; /* by provider */
    const fh_deployment_view *waiting;     /* one that is known but not ready, or NULL */
    fh_standings *standings;
    fh_pool_offers *pool_offers;
    fh_standing *cheat; /* of one that would serve it, but was found to cheat; "" as its provider: none */
} gathering;

/* A member of a group may name what another one did. */
static bool gathered(const gathering *g, bool hosted, size_t index, const char *model)
{
    for (size_t i = 0; i < g->count; i++)
        if (g->hosted[i] == hosted && g->index[i] == index && strcmp(g->list[i].model, model) == 0) return true;
    return false;
}

/* Canaries can be sent of that model: our own engine has it ready on this machine (honesty.c). */
static bool has_reference(const gathering *g, const char *model, const char *digest, const char *kv_type)
{
    char socket[108];
    return fh_honesty_reference(g->snap, model, digest, kv_type, socket);
}

/* Not asked until its owner clears it; remembered, to say why nothing is left. */
static bool cheats(gathering *g, const char *place, const char *model)
{
    if (fh_standings_verdict(g->standings, place, model) != FH_HONESTY_CHEATS) return false;
    fh_standings_find(g->standings, place, model, g->cheat);
    return true;
}

/* What is known of a place that another has; nothing of this machine. */
static void judge_place(const gathering *g, fh_candidate *c, const char *place, const char *digest, const char *kv_type,
                        int64_t canaries_per_day)
{
    fh_standing s;
    if (!fh_standings_find(g->standings, place, c->model, &s)) return;
    c->doubted = fh_honesty_judge(&s.record) == FH_HONESTY_DOUBTED;
    /* From the first canary on that it answered with log-probabilities: one that has none is not asked for them. */
    c->watched = canaries_per_day && s.record.positions > 0 && has_reference(g, c->model, digest, kv_type);
}

/* What a token costs on a machine of the pool: what is asked for it, and its share of the hour, at the speed of one stream that was
 * measured there. Without that, and in other currencies, it is not known. */
static void set_terms(gathering *g, fh_candidate *c)
{
    fh_pool_offer o;
    fh_standing s;
    if (!fh_pool_offers_find(g->pool_offers, c->place, &o)) return;
    fh_standings_find(g->standings, c->place, c->model, &s);
    double speed = fh_honesty_work_tok_per_s(&s.work), share = speed > 0 ? (double)o.hour_nusd / 3600 / speed * 1e6 : 0;
    snprintf(g->regions[g->count], sizeof *g->regions, "%s", o.region);
    snprintf(g->owners[g->count], sizeof *g->owners, "%s", o.owner);
    c->region = g->regions[g->count];
    c->owner = g->owners[g->count];
    c->paid = !o.priced || o.hour_nusd || o.mtok_nusd;
    c->priced = o.priced && (!o.hour_nusd || speed > 0);
    c->in_nusd = c->priced ? o.mtok_nusd : 0;
    c->out_nusd = c->priced ? o.mtok_nusd + (int64_t)share : 0;
}

static void gather_deployments(gathering *g, const fh_wanted *w)
{
    for (size_t i = 0; i < g->snap->count && g->count < FH_CANDIDATES_MAX; i++) {
        const fh_deployment_view *d = &g->snap->deployments[i];
        if (!is_wanted(w, d) || gathered(g, false, i, d->model)) continue;
        if (d->state != FH_DEPLOYMENT_READY) {
            if (d->state != FH_DEPLOYMENT_STOPPED && !g->waiting) g->waiting = d;
            continue;
        }
        bool here = strcmp(d->place, "here") == 0;
        if (!here && cheats(g, d->place, d->model)) continue;
        fh_candidate *c = &g->list[g->count];
        *c = fh_route_candidate(d, g->region);
        if (!here) judge_place(g, c, d->place, d->digest, d->kv_type, g->pool_canaries_per_day);
        if (c->own_engine)
            snprintf(g->arms[g->count], sizeof *g->arms, "%s:%s", d->model, d->variant);
        else
            snprintf(g->arms[g->count], sizeof *g->arms, "%s/%s:%.40s", d->engine, d->model, d->variant);
        c->arm = g->arms[g->count];
        c->open = w->kind == BY_AUTO;
        fh_figures_here(c, w->known ? w->known : fh_catalog_find(fh_str_of(d->model)));
        if (!here) set_terms(g, c);
        g->hosted[g->count] = false;
        g->index[g->count++] = i;
    }
}

static fh_candidate provider_candidate(const fh_provider *p, const char *model, const char *place)
{
    return (fh_candidate){.deployment = place,
                          .model = model,
                          .place = place,
                          .region = p->region,
                          .instance = p->created_utc_ns,
                          .can = fh_provider_can(p),
                          .trust = p->trust,
                          .paid = p->trust > FH_TRUST_OWN,
                          .resume = FH_RESUME_TEXT,
                          .dialect = p->dialect};
}

/* The provider's own text of the model's name; NULL when it does not serve it, or is not asked. */
static const char *served(const fh_provider *p, const fh_wanted *w)
{
    if (w->kind == BY_PROVIDER && strcmp(p->name, w->provider) != 0) return NULL;
    return w->kind == BY_MODEL || w->kind == BY_PROVIDER ? fh_provider_serves(p, w->name) : NULL;
}

/* Each model of an endpoint is a replica of its own: one may be slow or broken while another is not. */
static int64_t instance_of(const fh_provider *p, const char *model)
{
    uint64_t h = (uint64_t)p->created_utc_ns;
    for (; *model; model++) h = (h ^ (uint8_t)*model) * 1099511628211u; /* FNV-1a */
    return (int64_t)(h >> 1);
}

static void set_price(fh_candidate *c, const fh_provider_price *price)
{
    if (!price) return;
    c->priced = true;
    c->in_nusd = price->in_nusd;
    c->out_nusd = price->out_nusd;
}

static int cheated(const fh_standing *s, fh_err **err)
{
    char reason[300];
    bool node = fh_str_starts(fh_str_of(s->provider), FH_STR("node/"));
    fh_honesty_reason(&s->record, reason, sizeof reason);
    fh_err_set(err, FH_E_UNAVAILABLE, "%s%s was found to cheat with %s: %s", node ? "" : "provider ", s->provider, s->model, reason);
    fh_err_hint(err, "ask for another model or place; `freehold %s clear %s` forgets what was found out", node ? "node" : "provider",
                node ? s->provider + strlen("node/") : s->provider);
    fh_err_param(err, "model");
    return FH_E_UNAVAILABLE;
}

/* Providers that serve it, behind the deployments. */
static void gather_providers(gathering *g, const fh_wanted *w)
{
    for (size_t i = 0; i < fh_providers_count(g->providers) && g->count < FH_CANDIDATES_MAX; i++) {
        const fh_provider *p = fh_providers_at(g->providers, i);
        const char *model = served(p, w);
        if (!model || gathered(g, true, i, model) || cheats(g, p->name, model)) continue;
        fh_candidate *c = &g->list[g->count];
        snprintf(g->places[i], sizeof *g->places, "provider/%s", p->name);
        snprintf(g->arms[g->count], sizeof *g->arms, "%s/%s", g->places[i], model);
        *c = provider_candidate(p, model, g->places[i]);
        c->instance = instance_of(p, model);
        judge_place(g, c, p->name, "", "", p->canaries_per_day);
        c->arm = g->arms[g->count];
        fh_figures_hosted(c, w->known);
        set_price(c, fh_provider_price_of(p, model));
        g->hosted[g->count] = true;
        g->index[g->count++] = i;
    }
}

static void gather(gathering *g, const fh_wanted *w)
{
    gather_deployments(g, w);
    gather_providers(g, w);
}

/* What its owner says of a member goes before what the catalogue does. */
static void set_figures(fh_candidate *c, const fh_group_member *m)
{
    c->open = true;
    c->priced |= m->priced;
    if (m->priced) c->in_nusd = m->in_nusd;
    if (m->priced) c->out_nusd = m->out_nusd;
    if (m->token_uj) c->token_uj = m->token_uj;
    if (m->active_params) c->active_params = m->active_params;
}

static void gather_group(gathering *g, const fh_group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        size_t first = g->count;
        fh_wanted w = fh_wanted_of(fh_str_of(group->members[i].name));
        gather(g, &w);
        for (; first < g->count; first++) set_figures(&g->list[first], &group->members[i]);
    }
}

static void fill_provider_route(fh_route *ret, const fh_wanted *w, const fh_provider *p, const fh_candidate *c, size_t choices)
{
    *ret = (fh_route){.instance = c->instance,
                      .active_params = c->active_params,
                      .can = c->can,
                      .resume = c->resume,
                      .watched = c->watched,
                      .repeats_beginning = p->engine && p->engine->repeats_beginning,
                      .counts_at_tokenize = p->engine && p->engine->counts_at_tokenize,
                      .dialect = c->dialect};
    snprintf(ret->deployment, sizeof ret->deployment, "%.63s", c->deployment);
    snprintf(ret->model, sizeof ret->model, "%.127s", c->model);
    snprintf(ret->upstream_model, sizeof ret->upstream_model, "%.127s", c->model);
    ret->tokenizer = fh_model_tokenizer_of(&p->tokenizers, c->model);
    snprintf(ret->place, sizeof ret->place, "%.63s", c->place);
    snprintf(ret->region, sizeof ret->region, "%s", c->region);
    snprintf(ret->arm, sizeof ret->arm, "%s", c->arm);
    snprintf(ret->base_url, sizeof ret->base_url, "%s", p->url);
    snprintf(ret->secret, sizeof ret->secret, "%s", p->secret);
    snprintf(ret->identity, sizeof ret->identity, "%.63s since %lld", c->place, (long long)c->instance); /* which the model is part of */
    snprintf(ret->reason, sizeof ret->reason, "%s; one of %zu ready",
             w->kind == BY_MODEL ? "a hosted endpoint that serves the model" : why[w->kind], choices);
}

static int choose_in(gathering *g, const fh_wanted *w, fh_pick *pick, void *arg, fh_route *ret, fh_err **err)
{
    if (w->kind == BY_GROUP)
        gather_group(g, w->group);
    else
        gather(g, w);
    if (!g->count && g->cheat->provider[0]) return cheated(g->cheat, err);
    if (!g->count) return g->waiting ? not_ready(g->waiting, err) : not_found(w, g->snap, err);
    size_t chosen = pick(arg, g->list, g->count);
    if (chosen >= g->count)
        return fh_err_set(err, FH_E_UNAVAILABLE, "none of the %zu ready replicas of it will do for this request", g->count);
    if (g->hosted[chosen])
        fill_provider_route(ret, w, fh_providers_at(g->providers, g->index[chosen]), &g->list[chosen], g->count);
    else
        fill_route(ret, w, &g->snap->deployments[g->index[chosen]], &g->list[chosen], g->count);
    return 0;
}

static int choose(void *ctx, fh_str model, fh_pick *pick, void *arg, fh_route *ret, fh_err **err)
{
    fh_server *s = ctx;
    gathering g;
    fh_standing cheat = {.checked_utc_ns = 0};
    g.region = s->config->region;
    g.pool_canaries_per_day = s->config->pool_canaries_per_day;
    g.snap = fh_fleet_snapshot_get(s->fleet);
    g.providers = s->providers;
    g.standings = s->standings;
    g.pool_offers = s->pool_offers;
    g.cheat = &cheat;
    g.waiting = NULL;
    g.count = 0;
    fh_providers_begin(s->providers);
    fh_groups_begin(s->groups);
    fh_wanted w = fh_wanted_or_group(s->groups, model);
    int rc = choose_in(&g, &w, pick, arg, ret, err);
    fh_groups_end(s->groups);
    fh_providers_end(s->providers);
    fh_fleet_snapshot_release(g.snap);
    return rc;
}

static void name(void *ctx, fh_str model, char *out, size_t out_size)
{
    (void)ctx;
    const fh_catalog_model *known = fh_catalog_find(model);
    fh_str id = known ? fh_str_of(known->id) : model;
    snprintf(out, out_size, "%.*s", (int)FH_MIN(id.len, out_size - 1), id.ptr);
}

static void report(void *ctx, const char *deployment, int code)
{
    fh_fleet_report(((fh_server *)ctx)->fleet, deployment, code);
}

static bool listed(const fh_route_model *list, size_t count, const char *id)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].id, id) == 0) return true;
    return false;
}

static void name_model(fh_route_model *ret, const char *model)
{
    const fh_catalog_model *m = fh_catalog_find(fh_str_of(model));
    snprintf(ret->id, sizeof ret->id, "%s", model);
    snprintf(ret->owned_by, sizeof ret->owned_by, "%s", m && m->maker[0] ? m->maker : "you");
}

static size_t list_providers(fh_server *s, fh_route_model *ret, size_t n, size_t max)
{
    fh_providers_begin(s->providers);
    for (size_t i = 0; i < fh_providers_count(s->providers); i++) {
        const fh_provider *p = fh_providers_at(s->providers, i);
        for (size_t k = 0; k < p->model_count && n < max; k++) {
            if (listed(ret, n, p->models[k])) continue;
            ret[n] = (fh_route_model){.created_s = p->created_utc_ns / FH_NS_PER_S};
            snprintf(ret[n].id, sizeof ret[n].id, "%s", p->models[k]);
            snprintf(ret[n++].owned_by, sizeof ret->owned_by, "%s", p->name);
        }
    }
    fh_providers_end(s->providers);
    return n;
}

static size_t list_groups(fh_server *s, fh_route_model *ret, size_t n, size_t max)
{
    fh_groups_begin(s->groups);
    for (size_t i = 0; i < fh_groups_count(s->groups) && n < max; i++) {
        const fh_group *g = fh_groups_at(s->groups, i);
        ret[n] = (fh_route_model){.created_s = g->created_utc_ns / FH_NS_PER_S, .owned_by = "you"};
        snprintf(ret[n++].id, sizeof ret->id, "%s", g->name);
    }
    fh_groups_end(s->groups);
    return n;
}

static size_t list(void *ctx, fh_route_model *ret, size_t max)
{
    fh_server *s = ctx;
    size_t n = 0;
    const fh_fleet_snapshot *snap = fh_fleet_snapshot_get(s->fleet);
    for (size_t i = 0; i < snap->count && n < max; i++) {
        const fh_deployment_view *d = &snap->deployments[i];
        if (d->state != FH_DEPLOYMENT_READY || listed(ret, n, d->model)) continue;
        ret[n] = (fh_route_model){.created_s = d->created_utc_ns / FH_NS_PER_S, .context_tok = d->context_tok};
        name_model(&ret[n++], d->model);
    }
    for (size_t i = 0; i < snap->set_count && n < max; i++) { /* what a request wakes */
        const fh_set_view *set = &snap->sets[i];
        if (set->wanted || set->stopping || listed(ret, n, set->model)) continue;
        ret[n] = (fh_route_model){.created_s = set->created_utc_ns / FH_NS_PER_S, .context_tok = set->context_tok};
        name_model(&ret[n++], set->model);
    }
    fh_fleet_snapshot_release(snap);
    return list_groups(s, ret, list_providers(s, ret, n, max), max);
}

fh_route_port fh_server_routes(fh_server *s)
{
    return (fh_route_port){.ctx = s, .choose = choose, .rise = fh_route_rise, .name = name, .report = report, .list = list};
}
