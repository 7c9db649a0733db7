/* The commands that others send to the fleet: each is posted to its loop, done there, and answered on the caller's loop. */
#include "fleet_private.h"
#include "sets.h"

#include "base/clock.h"
#include "base/str.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

typedef struct command {
    fh_fleet *fleet;
    fh_deploy_spec spec; /* of an undeploy: the name */
    fh_loop *reply_loop;
    fh_fleet_done *done;
    void *arg;
    fh_deployment_view view; /* the answer */
    fh_err *err;
} command;

static void reply_on_loop(void *arg)
{
    command *c = arg;
    c->done(c->arg, c->err ? NULL : &c->view, c->err);
    fh_err_free(c->err);
    fh_free(c);
}

/* Takes c. Who hears the answer sees what it says. The reply's loop may be going away: then nobody is left to hear it. */
static void reply(command *c)
{
    fh_fleet_publish_now(c->fleet);
    if (c->done && fh_loop_post(c->reply_loop, reply_on_loop, c)) return;
    fh_err_free(c->err);
    fh_free(c);
}

bool fh_deployment_name_good(const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)name[i];
        if (!(islower(c) || isdigit(c)) && (i == 0 || (c != '-' && c != '.' && c != '_'))) return false;
    }
    return n > 0 && n <= FH_DEPLOYMENT_NAME_CHARS;
}

static bool is_free(fh_fleet *f, const char *name, const fh_set *for_set)
{
    const fh_set *s = fh_set_find(f, name);
    const fh_deployment *d = fh_fleet_find(f, name);
    return (!s || s == for_set) && (!d || d->view.state == FH_DEPLOYMENT_FAILED);
}

/* A name made from the model's id, or that of the set, with a number when it is taken. */
static void make_name(fh_fleet *f, const char *model, const fh_set *set, char *out, size_t out_size)
{
    char base[FH_DEPLOYMENT_NAME_CHARS + 1] = "";
    size_t n = 0;
    for (const char *p = model; *p && n < FH_DEPLOYMENT_NAME_CHARS - 4; p++, n++) {
        unsigned char c = (unsigned char)*p;
        base[n] = isalnum(c) ? (char)tolower(c) : (n && (c == '.' || c == '_')) ? (char)c : '-';
    }
    base[n] = 0;
    if (!fh_deployment_name_good(base)) snprintf(base, sizeof(base), "model");
    snprintf(out, out_size, "%s", base);
    for (unsigned k = 2; k <= f->timing.deployments + 2; k++) {
        if (is_free(f, out, set)) return;
        snprintf(out, out_size, "%s-%u", base, k);
    }
}

static int check_name(fh_fleet *f, const char *name, fh_err **err)
{
    int rc = 0;
    if (!fh_deployment_name_good(name)) {
        rc = fh_err_set(err, FH_E_INVALID, "\"%s\" cannot be the name of a deployment", name);
        fh_err_hint(err, "a name has 1 to %d small letters, digits, \"-\", \".\" or \"_\", and begins with a letter or digit",
                    FH_DEPLOYMENT_NAME_CHARS);
    } else {
        const fh_deployment *d = fh_fleet_find(f, name);
        if (is_free(f, name, NULL)) return 0;
        rc = d ? fh_err_set(err, FH_E_EXISTS, "there is a deployment \"%s\" already, it is %s", name,
                            fh_deployment_state_name(d->view.state))
               : fh_err_set(err, FH_E_EXISTS, "there is a set \"%s\" already", name);
        fh_err_hint(err, "give another name, or stop it first: freehold stop %s", name);
    }
    fh_err_param(err, "name");
    return rc;
}

static size_t count_running(const fh_fleet *f)
{
    size_t n = 0;
    for (fh_deployment *d = f->first; d; d = d->next) n += d->view.state != FH_DEPLOYMENT_STOPPED;
    return n;
}

static int check_spec(fh_fleet *f, const fh_deploy_spec *s, fh_err **err)
{
    int rc = 0;
    const char *param = NULL;
    fh_plan_kv kv;
    if (f->stopping) return fh_err_set(err, FH_E_UNAVAILABLE, "the server is stopping");
    if (fh_planning_check_place(f, s->place, err) != 0) return FH_E_UNSUPPORTED;
    if (s->context_tok < 0 || s->context_tok > FH_LIMIT_CONTEXT_TOK) {
        rc = fh_err_set(err, FH_E_INVALID, "the context of a stream is 1 to %d tokens, or 0 for the default", FH_LIMIT_CONTEXT_TOK);
        param = "context_tok";
    } else if (s->streams < 0 || s->streams > FH_LIMIT_STREAMS) {
        rc = fh_err_set(err, FH_E_INVALID, "a deployment has 1 to %d streams, or 0 for the default", FH_LIMIT_STREAMS);
        param = "streams";
    }
    if (rc == 0) rc = fh_plan_kv_parse(fh_str_of(s->kv_type), &kv, err);
    if (param) fh_err_param(err, "%s", param);
    return rc;
}

int fh_fleet_retire(fh_fleet *f, fh_deployment *failed, const char *why, fh_err **err)
{
    int rc = fh_store_wanted(f->db, failed->id, false, err);
    if (rc == 0 && fh_deployment_set_state(failed, FH_DEPLOYMENT_STOPPED, "", "%s", why) != 0)
        rc = fh_err_set(err, FH_E_IO, "the database does not take the change");
    return rc;
}

/* One that failed gives its name to the next of that name. */
static int free_name(fh_fleet *f, const char *name, fh_err **err)
{
    fh_deployment *old = fh_fleet_find(f, name);
    return old ? fh_fleet_retire(f, old, "a new run took its name", err) : 0;
}

/* The oldest that failed; what nobody has cleared away must not stand in the way of the next. */
static fh_deployment *oldest_failed(const fh_fleet *f)
{
    fh_deployment *found = NULL;
    for (fh_deployment *d = f->first; d; d = d->next)
        if (d->view.state == FH_DEPLOYMENT_FAILED && !d->engine.runs) found = d;
    return found;
}

static int make_room(fh_fleet *f, fh_err **err)
{
    if (count_running(f) < f->timing.deployments) return 0;
    fh_deployment *failed = oldest_failed(f);
    if (failed) return fh_fleet_retire(f, failed, "it made room for another", err);
    int rc = fh_err_set(err, FH_E_CONFLICT, "there are %zu deployments already", f->timing.deployments);
    fh_err_hint(err, "stop one first: freehold stop NAME");
    return rc;
}

static void name_it(fh_fleet *f, const fh_deploy_spec *s, fh_set *set, fh_deployment *d)
{
    fh_deployment_view *v = &d->view;
    if (set)
        make_name(f, set->shape.name, set, v->name, sizeof(v->name));
    else if (*s->name)
        snprintf(v->name, sizeof(v->name), "%s", s->name);
    else
        make_name(f, v->model, NULL, v->name, sizeof(v->name));
    fh_set_join(d, set);
    if (set) d->generation = set->generation;
    if (set) snprintf(v->set, sizeof(v->set), "%s", set->shape.name);
}

static int create(fh_fleet *f, const fh_deploy_spec *s, fh_set *set, const char *why, fh_deployment **ret, fh_err **err)
{
    fh_deployment *d = fh_deployment_new(f, err);
    if (!d) return FH_E_NOMEM;
    fh_deployment_view *v = &d->view;
    snprintf(d->wanted_place, sizeof(d->wanted_place), "%s", s->place);
    d->limit = v->limit = s->limit;
    memcpy(v->kv_type, s->kv_type, sizeof(v->kv_type));
    int rc = fh_fleet_resolve(f, s->model, d, err);
    if (rc == 0) rc = fh_planning_check_trust(d, err);
    if (rc == 0) rc = fh_fleet_resolve_engine(f, s->engine, d, err);
    if (rc == 0 && *s->name && !set) rc = check_name(f, s->name, err);
    if (rc == 0) {
        name_it(f, s, set, d);
        fh_planning_only_place(d, v->place, sizeof(v->place));
        snprintf(v->reason, sizeof(v->reason), "%s", why);
        v->context_tok = s->context_tok;
        v->streams = s->streams;
        v->created_utc_ns = v->changed_utc_ns = fh_clock_utc_ns();
        d->wanted = true;
        rc = free_name(f, v->name, err);
    }
    if (rc == 0) rc = make_room(f, err);
    if (rc == 0) rc = fh_store_insert(f->db, d, &d->id, err);
    if (rc == 0)
        *ret = d;
    else
        fh_deployment_free(d);
    return rc;
}

int fh_fleet_start_one(fh_fleet *f, const fh_deploy_spec *s, fh_set *set, const char *why, fh_deployment **ret, fh_err **err)
{
    fh_deployment *d = NULL;
    int rc = create(f, s, set, why, &d, err);
    if (rc) return rc;
    atomic_fetch_add_explicit(&f->entered[FH_DEPLOYMENT_REQUESTED], 1, memory_order_relaxed);
    fh_fleet_link(f, d);
    fh_fleet_publish(f);
    fh_fleet_tell(f, d, FH_DEPLOYMENT_REQUESTED, d->view.created_utc_ns);
    fh_deployment_step_soon(d, 0);
    *ret = d;
    return 0;
}

static bool any_said(const fh_replicas *r)
{
    return r->min_said || r->max_said || r->idle_said;
}

/* As many of it as were asked for, by whoever may start more. */
static int replicate(const fh_deploy_spec *s, fh_deployment *d, fh_err **err)
{
    fh_set *set = d->set;
    if (!any_said(&s->replicas)) return 0;
    if (s->mode == FH_DEPLOY_ATTACH) {
        bool enough = set && (!s->replicas.min_said || s->replicas.min <= set->rule.min) && !s->replicas.idle_said;
        return enough ? 0 : fh_err_set(err, FH_E_FORBIDDEN, "who asks may not change how many of %s run", d->view.name);
    }
    int rc = fh_set_of(d, &set, err);
    return rc ? rc : fh_set_change(set, &s->replicas, err);
}

/* What runs or sleeps of what the spec asks for, else a new one. */
static int find_or_start(fh_fleet *f, const fh_deploy_spec *s, fh_deployment **ret, fh_err **err)
{
    fh_set *asleep = s->mode == FH_DEPLOY_REUSE ? fh_sets_asleep(f, s) : NULL;
    int rc = asleep ? fh_set_wake(asleep, ret, err) : 0;
    if (rc == 0 && s->mode != FH_DEPLOY_NEW) rc = fh_fleet_reuse(f, s, ret, err);
    if (rc == 0 && !*ret) rc = fh_fleet_start_one(f, s, NULL, "asked for", ret, err);
    return rc;
}

static void run_deploy(void *arg)
{
    command *c = arg;
    fh_fleet *f = c->fleet;
    fh_deployment *d = NULL;
    int rc = check_spec(f, &c->spec, &c->err);
    if (rc == 0) rc = find_or_start(f, &c->spec, &d, &c->err);
    if (rc == 0) rc = replicate(&c->spec, d, &c->err);
    if (rc == 0) c->view = d->view;
    reply(c);
}

int fh_fleet_drain(fh_fleet *f, fh_deployment *d, const char *why, fh_err **err)
{
    int rc = fh_store_wanted(f->db, d->id, false, err);
    if (rc != 0) return rc;
    d->wanted = false;
    if (d->view.state == FH_DEPLOYMENT_DRAINING) return 0;
    fh_deployment_drop_call(d);
    rc = fh_deployment_set_state(d, FH_DEPLOYMENT_DRAINING, "", "%s", why);
    return rc == 0 ? 0 : fh_err_set(err, FH_E_IO, "the database does not take the change; it is tried again");
}

static int no_deployment(const char *name, fh_err **err)
{
    int rc = fh_err_set(err, FH_E_NOT_FOUND, "there is no deployment \"%s\"", name);
    fh_err_hint(err, "`freehold ps` lists what runs");
    return rc;
}

static int is_a_replica(const fh_deployment *d, fh_err **err)
{
    const char *set = d->set->shape.name;
    int rc = fh_err_set(err, FH_E_CONFLICT, "%s is a replica of %s, which would start another one", d->view.name, set);
    fh_err_hint(err, "`freehold stop %s` stops all of them; `freehold run %s --replicas N` changes how many there are", set, set);
    return rc;
}

static void view_of_set(const fh_set *s, fh_deployment_view *ret)
{
    fh_set_view v;
    const fh_deployment *d = s->members;
    while (d && d->view.state == FH_DEPLOYMENT_STOPPED) d = d->next_member;
    fh_set_view_fill(s, &v);
    if (d)
        *ret = d->view;
    else
        fh_set_view_asleep(&v, ret);
}

static void run_undeploy(void *arg)
{
    command *c = arg;
    fh_fleet *f = c->fleet;
    fh_set *set = fh_set_find(f, c->spec.name);
    fh_deployment *d = set ? NULL : fh_fleet_find(f, c->spec.name);
    if (set && fh_set_stop(set, &c->err) == 0)
        view_of_set(set, &c->view);
    else if (!set && !d)
        no_deployment(c->spec.name, &c->err);
    else if (d && d->set)
        is_a_replica(d, &c->err);
    else if (d && fh_fleet_drain(f, d, "asked to stop", &c->err) == 0)
        c->view = d->view;
    reply(c);
}

static void run_wake(void *arg)
{
    command *c = arg;
    fh_set *set = fh_set_find(c->fleet, c->spec.name);
    fh_deployment *d = NULL;
    if (c->fleet->stopping)
        fh_err_set(&c->err, FH_E_UNAVAILABLE, "the server is stopping");
    else if (!set || !set->kept)
        no_deployment(c->spec.name, &c->err);
    else if (fh_set_wake(set, &d, &c->err) == 0)
        c->view = d->view;
    reply(c);
}

/* The set of that name; what is alone becomes one. */
static int find_set(fh_fleet *f, const char *name, fh_set **ret, fh_err **err)
{
    fh_set *s = fh_set_find(f, name);
    fh_deployment *d = s ? NULL : fh_fleet_find(f, name);
    if (s && s->kept) {
        *ret = s;
        return 0;
    }
    if (!d || !fh_deployment_is_live(d)) return no_deployment(name, err);
    return d->set ? is_a_replica(d, err) : fh_set_of(d, ret, err);
}

static void run_roll(void *arg)
{
    command *c = arg;
    fh_set *set = NULL;
    int rc = check_spec(c->fleet, &c->spec, &c->err);
    if (rc == 0) rc = find_set(c->fleet, c->spec.name, &set, &c->err);
    if (rc == 0) rc = fh_set_roll(set, &c->spec, &c->err);
    if (rc == 0) view_of_set(set, &c->view);
    reply(c);
}

static int post_command(fh_fleet *f, void (*run)(void *), const fh_deploy_spec *spec, fh_loop *reply_loop, fh_fleet_done *done, void *arg,
                        fh_err **err)
{
    command *c = fh_calloc(1, sizeof(*c));
    if (!c) return fh_err_nomem(err);
    *c = (command){.fleet = f, .spec = *spec, .reply_loop = reply_loop, .done = done, .arg = arg};
    if (fh_loop_post(f->loop, run, c)) return 0;
    fh_free(c);
    return fh_err_set(err, FH_E_UNAVAILABLE, "the fleet takes no commands now");
}

int fh_fleet_deploy(fh_fleet *f, const fh_deploy_spec *spec, fh_loop *reply_loop, fh_fleet_done *done, void *arg, fh_err **err)
{
    return post_command(f, run_deploy, spec, reply_loop, done, arg, err);
}

int fh_fleet_roll(fh_fleet *f, const fh_deploy_spec *spec, fh_loop *reply_loop, fh_fleet_done *done, void *arg, fh_err **err)
{
    return post_command(f, run_roll, spec, reply_loop, done, arg, err);
}

static int post_named(fh_fleet *f, void (*run)(void *), const char *name, fh_loop *reply_loop, fh_fleet_done *done, void *arg, fh_err **err)
{
    fh_deploy_spec spec = {0};
    if (strlen(name) >= sizeof(spec.name)) return fh_err_set(err, FH_E_NOT_FOUND, "there is no deployment of so long a name");
    snprintf(spec.name, sizeof(spec.name), "%s", name);
    return post_command(f, run, &spec, reply_loop, done, arg, err);
}

int fh_fleet_undeploy(fh_fleet *f, const char *name, fh_loop *reply_loop, fh_fleet_done *done, void *arg, fh_err **err)
{
    return post_named(f, run_undeploy, name, reply_loop, done, arg, err);
}

int fh_fleet_wake(fh_fleet *f, const char *name, fh_loop *reply_loop, fh_fleet_done *done, void *arg, fh_err **err)
{
    return post_named(f, run_wake, name, reply_loop, done, arg, err);
}

typedef struct report {
    fh_fleet *fleet;
    char name[64];
} report;

static void run_report(void *arg)
{
    report *r = arg;
    fh_deployment *d = fh_fleet_find(r->fleet, r->name);
    if (d) fh_deployment_look(d);
    fh_free(r);
}

void fh_fleet_report(fh_fleet *f, const char *name, int code)
{
    (void)code;
    if (atomic_load(&f->left)) return;
    report *r = fh_calloc(1, sizeof(*r));
    if (!r) return; /* the next regular look finds it */
    r->fleet = f;
    snprintf(r->name, sizeof(r->name), "%s", name);
    if (!fh_loop_post(f->loop, run_report, r)) fh_free(r);
}
