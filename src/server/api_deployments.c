/* Deployments over HTTP. Commands go to the fleet's thread and answer here later; reads come from its snapshot and its database. */
#include "base/limits.h"
#include "catalog/catalog.h"
#include "plan/plan.h"
#include "pool_offers.h"
#include "server_private.h"

#include <stdio.h>
#include <string.h>

enum { LOG_BYTES_DEFAULT = 65536, EVENTS_MAX = 1000 };

static fh_json *text_or_null(const char *s)
{
    return s[0] ? fh_json_new_cstr(s) : fh_json_new_null();
}

static fh_json *progress_json(const fh_deployment_view *d)
{
    if (d->progress_done == 0 && d->progress_total == 0) return fh_json_new_null();
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "done", fh_json_new_int(d->progress_done));
    fh_json_set(o, "total", fh_json_new_int(d->progress_total));
    return o;
}

/* The machine that was got for it alone. */
static fh_json *machine_json(const fh_order_terms *t)
{
    if (!t->id) return fh_json_new_null();
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "order", fh_json_new_int(t->id));
    fh_json_set(o, "provider", fh_json_new_cstr(t->supply));
    fh_json_set(o, "hour_micro", fh_json_new_int(t->hour_micro));
    fh_json_set(o, "spent_micro", fh_json_new_int(t->spent_micro));
    fh_json_set(o, "currency", text_or_null(t->currency));
    fh_json_set(o, "ends", api_time(t->ends_utc_ns));
    fh_json_set(o, "leaving", fh_json_new_bool(t->leaving));
    fh_json_set(o, "note", text_or_null(t->note));
    return o;
}

static fh_json *limit_json(const fh_deploy_limit *l)
{
    if (!l->max_hour_micro && !l->seconds && !l->micro) return fh_json_new_null();
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "hour_micro", fh_json_new_int(l->max_hour_micro));
    fh_json_set(o, "seconds", fh_json_new_int(l->seconds));
    fh_json_set(o, "cost_micro", fh_json_new_int(l->micro));
    fh_json_set(o, "currency", text_or_null(l->currency));
    return o;
}

static fh_json *said(int64_t v, double per)
{
    return v < 0 ? fh_json_new_null() : per == 1 ? fh_json_new_int(v) : fh_json_new_real((double)v / per);
}

static fh_json *load_json(const fh_deployment_view *d)
{
    const fh_engine_load *l = &d->load;
    if (d->state != FH_DEPLOYMENT_READY || !l->measured_utc_ns) return fh_json_new_null();
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "running", said(l->running, 1));
    fh_json_set(o, "waiting", said(l->waiting, 1));
    fh_json_set(o, "kv_used", said(l->kv_used_ppm, 1e6));
    fh_json_set(o, "tokens_per_second", said(l->generated_mtok_s, 1e3));
    fh_json_set(o, "prompt_tokens_per_second", said(l->prompt_mtok_s, 1e3));
    fh_json_set(o, "measured", api_time(l->measured_utc_ns));
    return o;
}

/* Who can read what it is asked: who has in hand where it runs. */
static void set_readers(fh_json *o, const fh_server *s, const fh_deployment_view *d)
{
    fh_pool_offer offer = {.owner = ""};
    bool here = strcmp(d->place, "here") == 0;
    if (!here) fh_pool_offers_find(s->pool_offers, d->place, &offer);
    fh_json_set(o, "read_by", d->place[0] ? fh_json_new_cstr(fh_trust_name(here ? FH_TRUST_OWN : FH_TRUST_RENTED)) : fh_json_new_null());
    fh_json_set(o, "owned_by", text_or_null(offer.owner));
}

static fh_json *deployment_json(const api_call *c, const fh_deployment_view *d)
{
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "name", fh_json_new_cstr(d->name));
    fh_json_set(o, "set", text_or_null(d->set));
    fh_json_set(o, "model", fh_json_new_cstr(d->model));
    fh_json_set(o, "variant", fh_json_new_cstr(d->variant));
    fh_json_set(o, "place", fh_json_new_cstr(d->place));
    fh_json_set(o, "engine", fh_json_new_cstr(d->engine));
    fh_json_set(o, "region", fh_json_new_cstr(c->server->config->region));
    fh_json_set(o, "state", fh_json_new_cstr(fh_deployment_state_name(d->state)));
    fh_json_set(o, "reason", fh_json_new_cstr(d->reason));
    fh_json_set(o, "hint", text_or_null(d->hint));
    fh_json_set(o, "created", api_time(d->created_utc_ns));
    fh_json_set(o, "changed", api_time(d->changed_utc_ns));
    fh_json_set(o, "progress", progress_json(d));
    fh_json_set(o, "context_tok", fh_json_new_int(d->context_tok));
    fh_json_set(o, "streams", fh_json_new_int(d->streams));
    fh_json_set(o, "kv_type", text_or_null(d->kv_type));
    fh_json_set(o, "pid", d->pid ? fh_json_new_int(d->pid) : fh_json_new_null());
    fh_json_set(o, "rss_bytes", fh_json_new_int((int64_t)d->rss_bytes));
    fh_json_set(o, "load", load_json(d));
    fh_json_set(o, "sandbox", fh_json_new_cstr(d->sandbox));
    fh_json_set(o, "restarts", fh_json_new_int(d->restarts));
    fh_json_set(o, "trust", text_or_null(d->limit.trust));
    set_readers(o, c->server, d);
    fh_json_set(o, "machine", machine_json(&d->order));
    fh_json_set(o, "limit", limit_json(&d->limit));
    return o;
}

void api_deployments_list(api_call *c)
{
    const fh_fleet_snapshot *snap = fh_fleet_snapshot_get(c->server->fleet);
    fh_json *items = fh_json_new_array();
    for (size_t i = 0; i < snap->count; i++) fh_json_append(items, deployment_json(c, &snap->deployments[i]));
    fh_fleet_snapshot_release(snap);
    api_reply(c, 200, api_list(items, fh_json_new_null()));
}

static int worth(const fh_deployment_view *d)
{
    if (d->state == FH_DEPLOYMENT_STOPPED) return 1;
    if (d->state == FH_DEPLOYMENT_READY) return 4;
    return d->state == FH_DEPLOYMENT_DRAINING || d->state == FH_DEPLOYMENT_FAILED ? 2 : 3;
}

/* Of that name, or a replica of the set of that name: the one that does most, of several the newest. */
static const fh_deployment_view *find_exact(const fh_fleet_snapshot *snap, const char *name)
{
    const fh_deployment_view *best = NULL;
    for (size_t i = 0; i < snap->count; i++) {
        const fh_deployment_view *d = &snap->deployments[i];
        if (strcmp(d->name, name) != 0 && strcmp(d->set, name) != 0) continue;
        if (!best || worth(d) > worth(best)) best = d;
    }
    return best;
}

static const fh_set_view *find_set(const fh_fleet_snapshot *snap, const char *name)
{
    for (size_t i = 0; i < snap->set_count; i++)
        if (strcmp(snap->sets[i].name, name) == 0) return &snap->sets[i];
    return NULL;
}

/* The newest of the model that has that id or alias, one that has stopped only if there is no other. */
static const fh_deployment_view *find_of_model(const fh_fleet_snapshot *snap, const char *name)
{
    const fh_deployment_view *stopped = NULL;
    const fh_catalog_model *m = fh_catalog_find(fh_str_of(name));
    for (size_t i = 0; i < snap->count; i++) {
        const fh_deployment_view *d = &snap->deployments[i];
        if (strcmp(d->model, m ? m->id : name) != 0) continue;
        if (d->state != FH_DEPLOYMENT_STOPPED) return d;
        if (!stopped) stopped = d;
    }
    return stopped;
}

static const fh_set_view *find_set_of_model(const fh_fleet_snapshot *snap, const char *name)
{
    const fh_catalog_model *m = fh_catalog_find(fh_str_of(name));
    for (size_t i = 0; i < snap->set_count; i++)
        if (strcmp(snap->sets[i].model, m ? m->id : name) == 0) return &snap->sets[i];
    return NULL;
}

/* By its name, or that of its set; else by its model. A set that sleeps is a deployment that has stopped, which room is for. */
static const fh_deployment_view *find_named(const fh_fleet_snapshot *snap, const char *name, fh_deployment_view *room)
{
    const fh_deployment_view *d = find_exact(snap, name);
    const fh_set_view *set = find_set(snap, name);
    if (!d && !set) d = find_of_model(snap, name);
    if (!d && !set) set = find_set_of_model(snap, name);
    if (!set || (d && d->state != FH_DEPLOYMENT_STOPPED)) return d;
    fh_set_view_asleep(set, room);
    return room;
}

/* The call's parameter becomes the name of the deployment that it means. One that only the database remembers stays as it was given. */
static void resolve_name(api_call *c)
{
    fh_deployment_view room;
    const fh_fleet_snapshot *snap = fh_fleet_snapshot_get(c->server->fleet);
    const fh_deployment_view *d = find_named(snap, c->param, &room);
    if (d) snprintf(c->param, sizeof c->param, "%s", d->name);
    fh_fleet_snapshot_release(snap);
}

static const char *nearest_name(const fh_fleet_snapshot *snap, const char *name)
{
    const char *best = NULL;
    unsigned best_distance = 6;
    for (size_t i = 0; i < snap->count; i++) {
        unsigned d = fh_str_distance(fh_str_of(name), fh_str_of(snap->deployments[i].name));
        if (d >= best_distance) continue;
        best_distance = d;
        best = snap->deployments[i].name;
    }
    return best;
}

static int no_deployment(const fh_fleet_snapshot *snap, const char *name, fh_err **err)
{
    const char *near = nearest_name(snap, name);
    fh_err_set(err, FH_E_NOT_FOUND, "there is no deployment '%.64s'", name);
    if (near)
        fh_err_hint(err, "did you mean '%s'? `freehold ps` lists all", near);
    else
        fh_err_hint(err, "`freehold ps` lists what runs, `freehold ps --all` what ran");
    return FH_E_NOT_FOUND;
}

/* What is a set, or the replica of one, becomes the set; but a replica by its own name is meant alone. */
int api_deployments_resolve_set(api_call *c, fh_err **err)
{
    fh_deployment_view room;
    const fh_fleet_snapshot *snap = fh_fleet_snapshot_get(c->server->fleet);
    const fh_deployment_view *d = find_named(snap, c->param, &room);
    int rc = d ? 0 : no_deployment(snap, c->param, err);
    bool alone = !d || strcmp(d->name, c->param) == 0 || !d->set[0];
    if (d && !find_set(snap, c->param)) snprintf(c->param, sizeof c->param, "%s", alone ? d->name : d->set);
    fh_fleet_snapshot_release(snap);
    return rc;
}

void api_deployments_get(api_call *c)
{
    fh_err *err = NULL;
    const fh_fleet_snapshot *snap = fh_fleet_snapshot_get(c->server->fleet);
    fh_deployment_view room;
    const fh_deployment_view *d = find_named(snap, c->param, &room);
    fh_json *o = d ? deployment_json(c, d) : NULL;
    if (!d) no_deployment(snap, c->param, &err);
    fh_fleet_snapshot_release(snap);
    if (err)
        api_reply_error(c, err);
    else
        api_reply(c, 200, o);
}

/* The fleet has answered a command. */
void api_deployments_done(void *arg, const fh_deployment_view *view, const fh_err *why)
{
    api_call *c = arg;
    if (view) {
        api_reply(c, c->route->status, deployment_json(c, view));
        return;
    }
    fh_err *err = NULL;
    fh_err_set(&err, fh_err_code(why), "%s", fh_err_message(why));
    if (fh_err_hint_get(why)) fh_err_hint(&err, "%s", fh_err_hint_get(why));
    if (fh_err_param_get(why)) fh_err_param(&err, "%s", fh_err_param_get(why));
    api_reply_error(c, err);
}

int api_text_read(const fh_json *body, const char *name, bool required, char *out, size_t out_size, fh_err **err)
{
    fh_str s = {0};
    int rc = fh_json_read_str(body, name, required, &s, err);
    if (rc || !s.len) return rc;
    if (s.len < out_size) {
        memcpy(out, s.ptr, s.len);
        out[s.len] = '\0';
        return 0;
    }
    fh_err_set(err, FH_E_INVALID, "'%s' is longer than %zu bytes", name, out_size - 1);
    fh_err_param(err, "%s", name);
    return FH_E_INVALID;
}

/* A path names a file of this machine: only of those inside the import folders is anything said. */
static int check_path(fh_server *s, const fh_deploy_spec *spec, fh_err **err)
{
    FH_AUTO(fh_weights_source) fh_weights_source *source = NULL;
    bool is_path =
        spec->model[0] == '/' || spec->model[0] == '~' || strncmp(spec->model, "./", 2) == 0 || strncmp(spec->model, "../", 3) == 0;
    return is_path ? fh_import_open(s, fh_str_of(spec->model), &source, err) : 0;
}

/* Whoever may use what runs may ask for it as "run" does; starting something is another matter. */
static int read_mode(api_call *c, fh_deploy_spec *spec, fh_err **err)
{
    bool reuse = false;
    int rc = fh_json_read_bool(c->body, "reuse", false, &reuse, err);
    if (!rc && !reuse) rc = fh_admit_scope(&c->key, FH_SCOPE_ADMIN, err);
    spec->mode = !reuse ? FH_DEPLOY_NEW : fh_key_may(&c->key, FH_SCOPE_ADMIN) ? FH_DEPLOY_REUSE : FH_DEPLOY_ATTACH;
    return rc;
}

int api_trust_read(const fh_json *body, char ret[FH_LIMIT_TRUST_BYTES], fh_err **err)
{
    fh_str text = {0};
    int rc = fh_json_read_str(body, "trust", false, &text, err);
    if (!rc && text.ptr) rc = fh_trusts_parse(text, ret, err);
    if (rc) fh_err_param(err, "trust");
    return rc;
}

int api_limit_read(const fh_json *body, fh_deploy_limit *l, fh_err **err)
{
    const fh_json *o = fh_json_get(body, "limit");
    if (!o || fh_json_kind_of(o) == FH_JSON_NULL) return 0;
    int rc = fh_json_read_i64(o, "hour_micro", false, 0, INT64_MAX, &l->max_hour_micro, err);
    if (!rc) rc = fh_json_read_i64(o, "seconds", false, 0, FH_LIMIT_DEPLOY_HOURS * INT64_C(3600), &l->seconds, err);
    if (!rc) rc = fh_json_read_i64(o, "cost_micro", false, 0, INT64_MAX, &l->micro, err);
    if (!rc) rc = api_text_read(o, "currency", false, l->currency, sizeof l->currency, err);
    if (!rc && (l->max_hour_micro || l->micro) && strlen(l->currency) != 3) {
        rc = fh_err_set(err, FH_E_INVALID, "'currency' must be three capital letters");
        fh_err_hint(err, "for example USD");
    }
    if (rc) fh_err_param(err, "limit");
    return rc;
}

/* What is at this machine costs nothing. Nobody counts what a machine of the pool is had for. */
static int check_limit_holds(const fh_deploy_spec *s, fh_err **err)
{
    bool pooled = strcmp(s->place, "pool") == 0 || strncmp(s->place, "node/", strlen("node/")) == 0;
    if (!pooled || (!s->limit.seconds && !s->limit.micro)) return 0;
    fh_err_set(err, FH_E_INVALID, "hours and money in all are limits of machines that are rented, and not kept at %s", s->place);
    fh_err_hint(err, "what an hour there may cost is: --max-hour");
    fh_err_param(err, "limit");
    return FH_E_INVALID;
}

static int read_kv_type(const fh_json *body, char ret[FH_KV_TYPE_CHARS], fh_err **err)
{
    fh_str said = {0};
    fh_plan_kv kv;
    int rc = fh_json_read_str(body, "kv_type", false, &said, err);
    if (!rc && said.len) rc = fh_plan_kv_parse(said, &kv, err);
    if (!rc && said.len) snprintf(ret, FH_KV_TYPE_CHARS, "%s", fh_plan_kv_name(kv));
    return rc;
}

int api_shape_read(api_call *c, bool model, fh_deploy_spec *ret, fh_err **err)
{
    int rc = api_text_read(c->body, "model", model, ret->model, sizeof ret->model, err);
    if (!rc) rc = api_text_read(c->body, "place", false, ret->place, sizeof ret->place, err);
    if (!rc) rc = api_text_read(c->body, "engine", false, ret->engine, sizeof ret->engine, err);
    if (!rc) rc = fh_json_read_i64(c->body, "context_tok", false, INT64_MIN, INT64_MAX, &ret->context_tok, err);
    if (!rc) rc = fh_json_read_i64(c->body, "streams", false, INT64_MIN, INT64_MAX, &ret->streams, err);
    if (!rc) rc = read_kv_type(c->body, ret->kv_type, err);
    return rc ? rc : check_path(c->server, ret, err);
}

static int read_offer(api_call *c, fh_deploy_spec *spec, fh_err **err)
{
    fh_str offer = {NULL, 0};
    int rc = fh_json_read_str(c->body, "offer", false, &offer, err);
    return rc || !offer.len ? rc : fh_rental_pick(c->server, offer, spec, err);
}

static int read_spec(api_call *c, fh_deploy_spec *spec, fh_err **err)
{
    int rc = read_mode(c, spec, err);
    if (!rc) rc = api_text_read(c->body, "name", false, spec->name, sizeof spec->name, err);
    if (!rc) rc = api_replicas_read(c->body, &spec->replicas, err);
    if (!rc) rc = api_limit_read(c->body, &spec->limit, err);
    if (!rc) rc = api_trust_read(c->body, spec->limit.trust, err);
    if (!rc) rc = api_shape_read(c, true, spec, err);
    if (!rc) rc = check_limit_holds(spec, err);
    if (!rc) rc = read_offer(c, spec, err);
    if (!rc) fh_rental_fill_limit(c->server, spec);
    return rc;
}

void api_deployments_create(api_call *c)
{
    fh_err *err = NULL;
    fh_deploy_spec spec = {0};
    int rc = read_spec(c, &spec, &err);
    if (!rc) rc = fh_fleet_deploy(c->server->fleet, &spec, c->server->loop, api_deployments_done, c, &err);
    if (rc) api_reply_error(c, err);
}

void api_deployments_delete(api_call *c)
{
    fh_err *err = NULL;
    int rc = api_deployments_resolve_set(c, &err);
    if (!rc) rc = fh_fleet_undeploy(c->server->fleet, c->param, c->server->loop, api_deployments_done, c, &err);
    if (rc) api_reply_error(c, err);
}

static int check_named(api_call *c, fh_err **err)
{
    const fh_fleet_snapshot *snap = fh_fleet_snapshot_get(c->server->fleet);
    fh_deployment_view room;
    int rc = find_named(snap, c->param, &room) ? 0 : no_deployment(snap, c->param, err);
    fh_fleet_snapshot_release(snap);
    return rc;
}

void api_deployments_events(api_call *c)
{
    fh_err *err = NULL;
    fh_json *items = NULL;
    uint64_t after = 0;
    resolve_name(c);
    int rc = api_query_number(c, "after", &after, &err);
    if (!rc) rc = fh_fleet_history(c->server->fleet, c->param, (int64_t)after, EVENTS_MAX, &items, &err);
    if (!rc && fh_json_count(items) == 0 && (rc = check_named(c, &err))) fh_json_unref(items);
    if (rc) {
        api_reply_error(c, err);
        return;
    }
    size_t n = fh_json_count(items);
    char next[24];
    bool more = n == EVENTS_MAX;
    snprintf(next, sizeof next, "%lld", more ? (long long)fh_json_int(fh_json_get(fh_json_at(items, n - 1), "id"), 0) : 0);
    api_reply(c, 200, api_list(items, more ? fh_json_new_cstr(next) : fh_json_new_null()));
}

void api_deployments_logs(api_call *c)
{
    fh_err *err = NULL;
    uint64_t bytes = LOG_BYTES_DEFAULT;
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_ENGINE_LOG_BYTES);
    resolve_name(c);
    int rc = api_query_number(c, "bytes", &bytes, &err);
    if (!rc) rc = check_named(c, &err);
    if (!rc) rc = fh_fleet_log_tail(c->server->fleet, c->param, (size_t)bytes, &text, &err);
    if (rc)
        api_reply_error(c, err);
    else
        api_reply_text(c, &text);
}
