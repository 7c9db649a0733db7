/* Sets of replicas over HTTP: how many are asked for, how they are, and waking one. */
#include "base/limits.h"
#include "server_private.h"

#include <stdio.h>
#include <string.h>

static int read_count(const fh_json *body, const char *name, int64_t least, int64_t most, bool *ret_said, int64_t *ret, fh_err **err)
{
    *ret_said = fh_json_get(body, name) != NULL;
    return fh_json_read_i64(body, name, false, least, most, ret, err);
}

static int both_ways(fh_err **err)
{
    fh_err_set(err, FH_E_INVALID, "'replicas' is both the fewest and the most");
    fh_err_hint(err, "give replicas, or replicas_min and replicas_max");
    fh_err_param(err, "replicas");
    return FH_E_INVALID;
}

int api_replicas_read(const fh_json *body, fh_replicas *ret, fh_err **err)
{
    bool fixed = false;
    int64_t n = 0;
    int rc = read_count(body, "replicas", 1, FH_LIMIT_REPLICAS, &fixed, &n, err);
    if (!rc) rc = read_count(body, "replicas_min", 0, FH_LIMIT_REPLICAS, &ret->min_said, &ret->min, err);
    if (!rc) rc = read_count(body, "replicas_max", 1, FH_LIMIT_REPLICAS, &ret->max_said, &ret->max, err);
    if (!rc) rc = read_count(body, "idle_s", 1, FH_LIMIT_SCALE_IDLE_MOST_S, &ret->idle_said, &ret->idle_s, err);
    if (rc || !fixed) return rc;
    if (ret->min_said || ret->max_said) return both_ways(err);
    ret->min_said = ret->max_said = true;
    ret->min = ret->max = n;
    return 0;
}

static fh_json *set_json(const fh_set_view *s)
{
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "name", fh_json_new_cstr(s->name));
    fh_json_set(o, "model", fh_json_new_cstr(s->model));
    fh_json_set(o, "variant", fh_json_new_cstr(s->variant));
    fh_json_set(o, "place", s->place[0] ? fh_json_new_cstr(s->place) : fh_json_new_null());
    fh_json_set(o, "engine", fh_json_new_cstr(s->engine));
    fh_json_set(o, "trust", s->trust[0] ? fh_json_new_cstr(s->trust) : fh_json_new_null());
    fh_json_set(o, "replicas_min", fh_json_new_int(s->min));
    fh_json_set(o, "replicas_max", fh_json_new_int(s->max));
    fh_json_set(o, "idle_s", s->min == 0 ? fh_json_new_int(s->idle_s) : fh_json_new_null());
    fh_json_set(o, "wanted", fh_json_new_int(s->wanted));
    fh_json_set(o, "running", fh_json_new_int(s->count));
    fh_json_set(o, "ready", fh_json_new_int(s->ready));
    fh_json_set(o, "leaving", fh_json_new_int(s->leaving));
    fh_json_set(o, "reason", fh_json_new_cstr(s->why));
    fh_json_set(o, "woke_ms", s->woke_ns ? fh_json_new_int(s->woke_ns / 1000000) : fh_json_new_null());
    fh_json_set(o, "created", api_time(s->created_utc_ns));
    fh_json_set(o, "changed", api_time(s->changed_utc_ns));
    return o;
}

void api_sets_list(api_call *c)
{
    const fh_fleet_snapshot *snap = fh_fleet_snapshot_get(c->server->fleet);
    fh_json *items = fh_json_new_array();
    for (size_t i = 0; i < snap->set_count; i++) fh_json_append(items, set_json(&snap->sets[i]));
    fh_fleet_snapshot_release(snap);
    api_reply(c, 200, api_list(items, fh_json_new_null()));
}

/* Who may use the model may wake it on this machine; elsewhere it costs somebody, and the key must say so. */
static int check_may_wake(const api_call *c, fh_err **err)
{
    const fh_fleet_snapshot *snap = fh_fleet_snapshot_get(c->server->fleet);
    int rc = 0;
    for (size_t i = 0; !rc && i < snap->set_count; i++) {
        const fh_set_view *s = &snap->sets[i];
        if (strcmp(s->name, c->param) != 0) continue;
        if (!s->only_here) rc = fh_admit_scope(&c->key, FH_SCOPE_WAKE, err);
        if (!rc && !fh_key_lists_model(&c->key, fh_str_of(s->model)))
            rc = fh_err_set(err, FH_E_FORBIDDEN, "the key %s may not use %s", c->key.id, s->model);
    }
    fh_fleet_snapshot_release(snap);
    return rc;
}

void api_deployments_wake(api_call *c)
{
    fh_err *err = NULL;
    int rc = api_deployments_resolve_set(c, &err);
    if (!rc) rc = check_may_wake(c, &err);
    if (!rc) rc = fh_fleet_wake(c->server->fleet, c->param, c->server->loop, api_deployments_done, c, &err);
    if (rc) api_reply_error(c, err);
}

void api_deployments_roll(api_call *c)
{
    fh_err *err = NULL;
    fh_deploy_spec spec = {0};
    int rc = api_deployments_resolve_set(c, &err);
    if (!rc) rc = api_shape_read(c, false, &spec, &err);
    snprintf(spec.name, sizeof spec.name, "%.63s", c->param);
    if (!rc) rc = fh_fleet_roll(c->server->fleet, &spec, c->server->loop, api_deployments_done, c, &err);
    if (rc) api_reply_error(c, err);
}
