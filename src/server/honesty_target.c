/* Whom a check asks (see honesty_target.h). */
#include "honesty_target.h"

#include "catalog/engines.h"
#include "plan/plan.h"
#include "providers.h"
#include <stdio.h>
#include <string.h>

static bool is_own(const fh_deployment_view *d)
{
    const fh_catalog_engine *e = fh_catalog_engine_find(fh_str_of(d->engine));
    return e && fh_catalog_engine_is_own(e);
}

/* Only what this very machine computes, by our own engine, is what others are held against. */
bool fh_honesty_reference(const fh_fleet_snapshot *snap, const char *model, const char *digest, const char *kv_type, char ret_socket[108])
{
    for (size_t i = 0; i < snap->count; i++) {
        const fh_deployment_view *d = &snap->deployments[i];
        bool same = strcmp(d->model, model) == 0 && (!digest[0] || strcmp(d->digest, digest) == 0) && fh_plan_kv_same(d->kv_type, kv_type);
        if (!same || d->state != FH_DEPLOYMENT_READY || strcmp(d->place, "here") != 0 || !is_own(d)) continue;
        snprintf(ret_socket, 108, "%s", d->socket_path);
        return true;
    }
    return false;
}

static int not_served(const char *place, fh_str wanted, const char *hint, fh_err **err)
{
    fh_err_set(err, FH_E_NOT_FOUND, "%s does not serve '%.*s'", place, (int)FH_MIN(wanted.len, (size_t)64), wanted.ptr);
    fh_err_param(err, "model");
    fh_err_hint(err, "%s", hint);
    return FH_E_NOT_FOUND;
}

/* ---- a hosted endpoint ---- */

static int find_model(const fh_fleet_snapshot *snap, const fh_provider *p, fh_str wanted, fh_honesty_target *t, fh_err **err)
{
    bool serves = !wanted.ptr;
    for (size_t i = 0; i < p->model_count; i++) {
        if (wanted.ptr && !fh_str_eqs(wanted, p->models[i])) continue;
        serves = true;
        snprintf(t->model, sizeof t->model, "%s", p->models[i]);
        if (fh_honesty_reference(snap, p->models[i], "", "", t->here)) return 0;
    }
    if (!serves) return not_served(p->name, wanted, "`freehold provider list --json` shows what it serves", err);
    fh_err_set(err, FH_E_UNAVAILABLE, "%s of %s is ready here, so there is nothing to compare its answers with",
               wanted.ptr ? "no deployment of that model" : "no model", p->name);
    fh_err_hint(err, "import the weights that it says it serves, by the name that it gives them, and `freehold run` them");
    return FH_E_UNAVAILABLE;
}

static int find_endpoint(fh_server *s, const fh_fleet_snapshot *snap, const char *name, fh_str model, fh_honesty_target *t, fh_err **err)
{
    const fh_provider *p = fh_providers_find(s->providers, fh_str_of(name));
    if (!p) {
        fh_err_set(err, FH_E_NOT_FOUND, "there is no provider '%.64s'", name);
        fh_err_hint(err, "`freehold provider list` shows them");
        return FH_E_NOT_FOUND;
    }
    if (p->dialect != FH_DIALECT_CHAT)
        return fh_err_set(err, FH_E_INVALID, "an endpoint of that kind does not tell how likely its tokens are, so it cannot be checked");
    snprintf(t->url, sizeof t->url, "%s", p->url);
    snprintf(t->secret, sizeof t->secret, "%s", p->secret);
    return find_model(snap, p, model, t, err);
}

/* ---- a machine of the pool ---- */

static int find_on_node(const fh_fleet_snapshot *snap, const char *place, fh_str wanted, fh_honesty_target *t, fh_err **err)
{
    bool serves = false;
    for (size_t i = 0; i < snap->count; i++) {
        const fh_deployment_view *d = &snap->deployments[i];
        if (strcmp(d->place, place) != 0 || d->state != FH_DEPLOYMENT_READY || (wanted.ptr && !fh_str_eqs(wanted, d->model))) continue;
        serves = true;
        if (!d->digest[0] || !fh_honesty_reference(snap, d->model, d->digest, d->kv_type, t->here)) continue;
        snprintf(t->model, sizeof t->model, "%s", d->model);
        snprintf(t->url, sizeof t->url, "http://localhost");
        snprintf(t->there, sizeof t->there, "%s", d->socket_path);
        t->salted = is_own(d);
        return 0;
    }
    if (wanted.ptr && !serves) return not_served(place, wanted, "`freehold ps` shows what runs where", err);
    fh_err_set(err, FH_E_UNAVAILABLE,
               "nothing that is ready on %s is ready here too with the same weights and type of cache, so there is nothing to compare with",
               place);
    fh_err_hint(err, "`freehold run MODEL --on here` what runs there, then check it");
    return FH_E_UNAVAILABLE;
}

int fh_honesty_target_find(fh_server *s, const char *place, fh_str model, fh_honesty_target *ret, fh_err **err)
{
    fh_honesty_target t = {.salted = false};
    const fh_fleet_snapshot *snap = fh_fleet_snapshot_get(s->fleet);
    bool node = fh_str_starts(fh_str_of(place), FH_STR("node/"));
    int rc = node ? find_on_node(snap, place, model, &t, err) : find_endpoint(s, snap, place, model, &t, err);
    fh_fleet_snapshot_release(snap);
    if (!rc) *ret = t;
    explicit_bzero(t.secret, sizeof t.secret);
    return rc;
}
