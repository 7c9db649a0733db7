/* Taking what runs instead of starting another: on the fleet's thread, so that two who ask at the same moment share one deployment. */
#include "fleet_private.h"
#include "sets.h"

#include <stdio.h>
#include <string.h>

bool fh_deployment_is_live(const fh_deployment *d)
{
    fh_deployment_state s = d->view.state;
    return s != FH_DEPLOYMENT_DRAINING && s != FH_DEPLOYMENT_STOPPED && s != FH_DEPLOYMENT_FAILED;
}

/* Of that name, or a replica of the set of that name. */
static fh_deployment *live_named(fh_fleet *f, const char *name)
{
    const fh_set *s = fh_set_find(f, name);
    fh_deployment *d = s ? fh_set_best(s) : fh_fleet_find(f, name);
    return d && fh_deployment_is_live(d) ? d : NULL;
}

/* One that may be read by others than asked for does not do, wherever it runs now: it might come to run elsewhere. */
static bool is_read_as(const fh_deployment *d, const char *trust)
{
    return !*trust || strcmp(d->limit.trust, trust) == 0;
}

/* Of the model; of these very weights too, when more than the model was asked for. */
static bool is_of(const fh_deployment *d, const fh_deployment *asked, bool exact)
{
    if (strcmp(d->view.model, asked->view.model) != 0) return false;
    if (*asked->view.engine && strcmp(d->view.engine, asked->view.engine) != 0) return false;
    if (!is_read_as(d, asked->limit.trust)) return false;
    return !exact || (strcmp(d->view.digest, asked->view.digest) == 0 && strcmp(d->view.variant, asked->view.variant) == 0);
}

/* The newest of the model where it was asked for, one that is ready before one that is not yet. */
static fh_deployment *live_of(fh_fleet *f, const fh_deployment *asked, bool exact)
{
    fh_deployment *best = NULL;
    for (fh_deployment *d = f->first; d; d = d->next) {
        if (!fh_deployment_is_live(d) || !is_of(d, asked, exact) || !fh_planning_is_at(d, asked->wanted_place)) continue;
        if (d->view.state == FH_DEPLOYMENT_READY) return d;
        if (!best) best = d;
    }
    return best;
}

/* Did somebody ask for more than the model: a variant, a digest? */
static bool is_exact(const char *asked, const char *model)
{
    fh_str text = fh_str_of(asked);
    const fh_catalog_model *m = fh_catalog_find(text);
    return !(m ? strcmp(m->id, model) == 0 : fh_str_ieq(text, fh_str_of(model)));
}

static int differs(const fh_deployment *d, const char *param, const char *what, int64_t has, int64_t wanted, fh_err **err)
{
    int rc =
        fh_err_set(err, FH_E_CONFLICT, "%s runs already, with %lld %s, not %lld", d->view.name, (long long)has, what, (long long)wanted);
    fh_err_hint(err, "`freehold roll %s` gives it another shape without a pause; or start another beside it with --name NEW", d->view.name);
    fh_err_param(err, "%s", param);
    return rc;
}

static int other_engine(const fh_deployment *d, const char *wanted, fh_err **err)
{
    int rc = fh_err_set(err, FH_E_CONFLICT, "%s runs already, by the engine %s, not %s", d->view.name, d->view.engine, wanted);
    fh_err_hint(err, "`freehold roll %s` gives it another shape without a pause; or start another beside it with --name NEW", d->view.name);
    fh_err_param(err, "engine");
    return rc;
}

static int other_readers(const fh_deployment *d, const char *wanted, fh_err **err)
{
    int rc = fh_err_set(err, FH_E_CONFLICT, "%s runs already, and its trust is '%s', not '%s'", d->view.name,
                        *d->limit.trust ? d->limit.trust : "rented", wanted);
    fh_err_hint(err, "start another beside it with --name NEW");
    fh_err_param(err, "trust");
    return rc;
}

static int other_cache(const fh_deployment *d, const char *wanted, fh_err **err)
{
    int rc = fh_err_set(err, FH_E_CONFLICT, "%s runs already, with its cache as %s, not %s", d->view.name,
                        *d->view.kv_type ? d->view.kv_type : "f16", wanted);
    fh_err_hint(err, "`freehold roll %s` gives it another shape without a pause; or start another beside it with --name NEW", d->view.name);
    fh_err_param(err, "kv_type");
    return rc;
}

/* What shapes a deployment, and who may read what it is asked, cannot change one that runs. */
static int check_shape(fh_deployment *d, const fh_deploy_spec *s, fh_err **err)
{
    if (!is_read_as(d, s->limit.trust)) return other_readers(d, s->limit.trust, err);
    if (*s->engine && strcmp(s->engine, d->view.engine) != 0) return other_engine(d, s->engine, err);
    if (*s->kv_type && !fh_plan_kv_same(d->view.kv_type, s->kv_type)) return other_cache(d, s->kv_type, err);
    fh_plan_need has = fh_planning_need(d, d->view.context_tok, d->view.streams);
    fh_plan_need wanted = fh_planning_need(d, s->context_tok, s->streams);
    if (s->context_tok && wanted.context_tok != has.context_tok)
        return differs(d, "context_tok", "tokens of context", has.context_tok, wanted.context_tok, err);
    if (s->streams && wanted.streams != has.streams) return differs(d, "streams", "streams", has.streams, wanted.streams, err);
    return 0;
}

/* "deployment/NAME": that one, and no other. */
static int by_name(fh_fleet *f, const char *name, const fh_deploy_spec *s, fh_deployment **ret, fh_err **err)
{
    int rc = 0;
    *ret = live_named(f, name);
    if (*s->name) {
        rc = fh_err_set(err, FH_E_USAGE, "a name is for a new deployment: %s is one already", s->model);
        fh_err_param(err, "name");
    } else if (!*ret) {
        rc = fh_err_set(err, FH_E_NOT_FOUND, "no deployment \"%s\" runs", name);
        fh_err_hint(err, "`freehold ps` lists what runs, `freehold ps --all` what ran");
        fh_err_param(err, "model");
    }
    return rc;
}

static int check_place(const fh_deployment *d, const char *wanted, fh_err **err)
{
    if (fh_planning_is_at(d, wanted)) return 0;
    int rc = fh_err_set(err, FH_E_CONFLICT, "%s runs already, at %s, not at %s", d->view.name, d->view.place, wanted);
    fh_err_hint(err, "`freehold stop %s` first, or start another beside it with --name NEW", d->view.name);
    fh_err_param(err, "place");
    return rc;
}

/* The deployment of the name that was asked for must be one of the model that was. */
static int check_model(const fh_deployment *d, const fh_deployment *asked, bool exact, fh_err **err)
{
    if (is_of(d, asked, exact)) return check_place(d, asked->wanted_place, err);
    if (!is_read_as(d, asked->limit.trust)) return other_readers(d, asked->limit.trust, err);
    int rc = fh_err_set(err, FH_E_EXISTS, "%s runs already, with the model %s, not %s", d->view.name, d->view.model, asked->view.model);
    fh_err_hint(err, "`freehold stop %s` first, or take another name", d->view.name);
    fh_err_param(err, "name");
    return rc;
}

static int by_model(fh_fleet *f, const fh_deploy_spec *s, fh_deployment **ret, fh_err **err)
{
    fh_deployment asked = {0};
    int rc = fh_fleet_resolve(f, s->model, &asked, err);
    if (rc != 0) return rc;
    snprintf(asked.view.engine, sizeof(asked.view.engine), "%s", s->engine);
    snprintf(asked.wanted_place, sizeof(asked.wanted_place), "%s", s->place);
    asked.limit = s->limit;
    bool exact = is_exact(s->model, asked.view.model);
    *ret = *s->name ? live_named(f, s->name) : live_of(f, &asked, exact);
    if (*ret && *s->name) rc = check_model(*ret, &asked, exact, err);
    if (rc != 0 || *ret || s->mode == FH_DEPLOY_REUSE) return rc;
    rc = fh_err_set(err, FH_E_FORBIDDEN, "%s does not run, and who asks may not start it", asked.view.model);
    fh_err_hint(err, "use a key with the scope admin, or ask who has one: freehold run %s", asked.view.model);
    return rc;
}

/* A deployment is named after its model: who asks for the model by another engine, elsewhere, or to be read by others, does not mean that
 * deployment. */
static bool is_meant(const fh_deployment *d, const fh_deploy_spec *s)
{
    bool same = (!*s->engine || strcmp(d->view.engine, s->engine) == 0) && fh_planning_is_at(d, s->place) && is_read_as(d, s->limit.trust);
    return same || strcmp(d->view.model, s->model) != 0;
}

int fh_fleet_reuse(fh_fleet *f, const fh_deploy_spec *s, fh_deployment **ret, fh_err **err)
{
    fh_str name = fh_str_of(s->model), prefix = FH_STR("deployment/");
    fh_deployment *d = *s->name ? NULL : live_named(f, s->model);
    int rc = 0;
    if (d && !is_meant(d, s)) d = NULL;
    if (fh_str_starts(name, prefix))
        rc = by_name(f, s->model + prefix.len, s, &d, err);
    else if (!d)
        rc = by_model(f, s, &d, err);
    if (rc == 0 && d) rc = check_shape(d, s, err);
    if (rc == 0) *ret = d;
    return rc;
}

/* ---- what sleeps ---- */

static bool runs(const fh_fleet *f, const char *model)
{
    for (const fh_deployment *d = f->first; d; d = d->next)
        if (fh_deployment_is_live(d) && strcmp(d->view.model, model) == 0) return true;
    return false;
}

/* One that may be read by others than asked for is none of those that are meant. */
static bool is_trusted(const fh_set *set, const fh_deploy_spec *s)
{
    return !*s->limit.trust || strcmp(set->shape.limit.trust, s->limit.trust) == 0;
}

static fh_set *asleep_of(fh_fleet *f, const fh_deploy_spec *s)
{
    fh_deployment asked = {0};
    if (fh_fleet_resolve(f, s->model, &asked, NULL) != 0 || runs(f, asked.view.model)) return NULL;
    for (fh_set *set = f->sets; set; set = set->next)
        if (set->kept && is_trusted(set, s) && strcmp(set->model, asked.view.model) == 0 &&
            (!*s->engine || strcmp(s->engine, set->shape.engine) == 0))
            return set;
    return NULL;
}

fh_set *fh_sets_asleep(fh_fleet *f, const fh_deploy_spec *s)
{
    fh_str name = fh_str_of(s->model), prefix = FH_STR("deployment/");
    bool exact = fh_str_starts(name, prefix);
    fh_set *set = fh_set_find(f, *s->name ? s->name : exact ? s->model + prefix.len : s->model);
    if (!set && !*s->name && !exact) set = asleep_of(f, s);
    return set && set->kept && is_trusted(set, s) && !fh_set_best(set) ? set : NULL;
}
