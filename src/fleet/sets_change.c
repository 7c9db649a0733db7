/* What is wanted of sets changes: a set is made, gets other numbers, is woken, is stopped. Written down before it takes effect. */
#include "sets.h"

#include "base/clock.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void fh_set_name_model(fh_set *s)
{
    if (*s->digest)
        snprintf(s->shape.model, sizeof s->shape.model, "%s", s->digest);
    else
        snprintf(s->shape.model, sizeof s->shape.model, "%s%s%s", s->model, *s->variant ? ":" : "", s->variant);
}

static void take_shape(fh_set *s, const fh_deployment *d)
{
    const fh_deployment_view *v = &d->view;
    snprintf(s->shape.name, sizeof s->shape.name, "%s", v->name);
    snprintf(s->shape.place, sizeof s->shape.place, "%s", d->wanted_place);
    snprintf(s->shape.engine, sizeof s->shape.engine, "%s", v->engine);
    s->shape.context_tok = v->context_tok;
    s->shape.streams = v->streams;
    memcpy(s->shape.kv_type, v->kv_type, sizeof s->shape.kv_type);
    s->shape.limit = d->limit;
    snprintf(s->model, sizeof s->model, "%s", v->model);
    snprintf(s->variant, sizeof s->variant, "%s", v->variant);
    memcpy(s->digest, v->digest, sizeof s->digest);
    fh_set_name_model(s);
}

static int check_room(const fh_fleet *f, fh_err **err)
{
    size_t n = 0;
    for (const fh_set *s = f->sets; s; s = s->next) n++;
    if (n < FH_LIMIT_SETS) return 0;
    int rc = fh_err_set(err, FH_E_CONFLICT, "there are %d sets of replicas already", FH_LIMIT_SETS);
    fh_err_hint(err, "stop one first: freehold stop NAME");
    return rc;
}

int fh_set_of(fh_deployment *d, fh_set **ret, fh_err **err)
{
    fh_fleet *f = d->fleet;
    *ret = d->set;
    if (d->set) return 0;
    int rc = check_room(f, err);
    fh_set *s = rc == 0 ? fh_calloc(1, sizeof *s) : NULL;
    if (!s) return rc != 0 ? rc : fh_err_nomem(err);
    *s = (fh_set){.fleet = f, .generation = 1, .kept = true, .created_utc_ns = fh_clock_utc_ns(), .scale = {.wanted = 1}};
    s->rule = (fh_scale_rule){1, 1, FH_LIMIT_SCALE_IDLE_S * FH_NS_PER_S, f->timing.scale_up_ns, f->timing.scale_down_ns};
    s->changed_utc_ns = s->created_utc_ns;
    snprintf(s->why, sizeof s->why, "that is what was asked for");
    take_shape(s, d);
    rc = fh_sets_store_insert(f->db, s, d, &s->id, err);
    if (rc != 0) {
        fh_free(s);
        return rc;
    }
    fh_sets_link(f, s);
    fh_set_join(d, s);
    *ret = s;
    d->generation = s->generation;
    d->was_ready = d->view.state == FH_DEPLOYMENT_READY;
    snprintf(d->view.set, sizeof d->view.set, "%s", s->shape.name);
    fh_fleet_publish(f);
    return 0;
}

static int refuse(const char *param, fh_err **err)
{
    fh_err_param(err, "%s", param);
    return FH_E_INVALID;
}

/* What was said, over what is. */
static int merge(const fh_scale_rule *was, const fh_replicas *r, fh_scale_rule *ret, fh_err **err)
{
    fh_scale_rule n = *was;
    if (r->max_said) n.max = r->max;
    if (r->min_said)
        n.min = r->min;
    else if (r->idle_said)
        n.min = 0;
    if (!r->max_said) n.max = FH_MAX(n.max, n.min);
    if (r->idle_said) n.idle_ns = r->idle_s * FH_NS_PER_S;
    if (n.max < 1 || n.max > FH_LIMIT_REPLICAS) {
        fh_err_set(err, FH_E_INVALID, "a set has 1 to %d replicas at most, not %" PRId64, FH_LIMIT_REPLICAS, n.max);
        return refuse("replicas_max", err);
    }
    if (n.min < 0 || n.min > n.max) {
        fh_err_set(err, FH_E_INVALID, "the fewest replicas of a set are 0 to the most, %" PRId64 ", not %" PRId64, n.max, n.min);
        return refuse("replicas_min", err);
    }
    if (r->idle_said && n.min > 0) {
        fh_err_set(err, FH_E_INVALID, "a set with at least %" PRId64 " replicas never sleeps", n.min);
        fh_err_hint(err, "idle_s goes with a minimum of 0");
        return refuse("idle_s", err);
    }
    if (r->idle_said && (r->idle_s < 1 || r->idle_s > FH_LIMIT_SCALE_IDLE_MOST_S)) {
        fh_err_set(err, FH_E_INVALID, "a set sleeps after 1 to %d seconds without a request", FH_LIMIT_SCALE_IDLE_MOST_S);
        return refuse("idle_s", err);
    }
    *ret = n;
    return 0;
}

static bool is_same(const fh_scale_rule *a, const fh_scale_rule *b)
{
    return a->min == b->min && a->max == b->max && a->idle_ns == b->idle_ns;
}

int fh_set_change(fh_set *s, const fh_replicas *r, fh_err **err)
{
    fh_set before = *s;
    int rc = merge(&s->rule, r, &s->rule, err);
    if (rc != 0 || is_same(&before.rule, &s->rule)) return rc;
    s->scale.wanted = FH_MIN(FH_MAX(s->scale.wanted, s->rule.min), s->rule.max);
    snprintf(s->why, sizeof s->why, "that is what was asked for");
    s->changed_utc_ns = fh_clock_utc_ns();
    rc = fh_sets_store_update(s->fleet->db, s, err);
    if (rc != 0) {
        *s = before;
        return rc;
    }
    fh_set_took_effect(s, before.scale.wanted);
    fh_sets_look(s->fleet);
    return 0;
}

int fh_set_wake(fh_set *s, fh_deployment **ret, fh_err **err)
{
    const fh_scale was = s->scale;
    int64_t now = fh_clock_mono_ns();
    fh_scale_wake(&s->scale, now);
    if (was.wanted == 0) {
        s->waking_ns = now;
        snprintf(s->why, sizeof s->why, "it was woken");
        if (!fh_set_write_down(s)) {
            s->scale = was;
            return fh_err_set(err, FH_E_IO, "the database does not take the change");
        }
        fh_set_took_effect(s, 0);
    }
    if (!fh_set_best(s)) { /* who asks now does not wait for a pause to be over */
        s->retry_at_ns = 0;
        fh_set_clear_failed(s, INT64_MAX, "another is tried");
        fh_set_look(s);
    }
    *ret = fh_set_best(s);
    return *ret ? 0 : fh_err_set(err, FH_E_UNAVAILABLE, "no replica of %s can be started now", s->shape.name);
}

/* Of the same weights anew, or of others: what can be had is looked at before anything is changed. */
static int resolve(const fh_set *s, fh_deploy_spec *shape, const char *model, fh_deployment *ret, fh_err **err)
{
    char asked[512];
    snprintf(asked, sizeof asked, "%s%s%s", *model ? model : s->model, *model || !*s->variant ? "" : ":", *model ? "" : s->variant);
    *ret = (fh_deployment){.fleet = s->fleet};
    snprintf(ret->wanted_place, sizeof ret->wanted_place, "%s", shape->place);
    ret->limit = shape->limit;
    memcpy(ret->view.kv_type, shape->kv_type, sizeof ret->view.kv_type);
    int rc = fh_fleet_resolve(s->fleet, asked, ret, err);
    if (rc == FH_E_NOT_FOUND && !*model && *s->digest) { /* weights that the catalogue does not know, under an id that is theirs alone */
        fh_err_free(*err);
        *err = NULL;
        rc = fh_fleet_resolve(s->fleet, s->digest, ret, err);
    }
    if (rc == 0) rc = fh_planning_check_trust(ret, err);
    return rc == 0 ? fh_fleet_resolve_engine(s->fleet, shape->engine, ret, err) : rc;
}

int fh_set_roll(fh_set *s, const fh_deploy_spec *to, fh_err **err)
{
    fh_set before = *s;
    fh_deployment d;
    fh_deploy_spec *shape = &s->shape;
    if (*to->place) memcpy(shape->place, to->place, sizeof shape->place);
    if (*to->engine) memcpy(shape->engine, to->engine, sizeof shape->engine);
    if (to->context_tok) shape->context_tok = to->context_tok;
    if (to->streams) shape->streams = to->streams;
    if (*to->kv_type) memcpy(shape->kv_type, to->kv_type, sizeof shape->kv_type);
    int rc = resolve(s, shape, to->model, &d, err);
    if (rc == 0) {
        d.view.context_tok = shape->context_tok;
        d.view.streams = shape->streams;
        d.limit = shape->limit;
        snprintf(d.view.name, sizeof d.view.name, "%s", before.shape.name);
        take_shape(s, &d);
        s->generation++;
        s->changed_utc_ns = fh_clock_utc_ns();
        s->retry_at_ns = 0;
        rc = fh_sets_store_update(s->fleet->db, s, err);
    }
    if (rc != 0) {
        *s = before;
        return rc;
    }
    fh_set_took_effect(s, s->scale.wanted);
    fh_set_look(s);
    return 0;
}

int fh_set_stop(fh_set *s, fh_err **err)
{
    fh_set before = *s;
    s->kept = false;
    s->scale.wanted = 0;
    snprintf(s->why, sizeof s->why, "asked to stop");
    s->changed_utc_ns = fh_clock_utc_ns();
    int rc = fh_sets_store_update(s->fleet->db, s, err);
    if (rc != 0) {
        *s = before;
        return rc;
    }
    fh_set_took_effect(s, before.scale.wanted);
    fh_set_look(s);
    fh_sets_look(s->fleet);
    return 0;
}
