/* The commands that others send to the fleet: each is posted to its loop, done there, and answered on the caller's loop. */
#include "fleet_private.h"

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

/* Takes c. The reply's loop may be going away: then nobody is left to hear it. */
static void reply(command *c)
{
    if (fh_loop_post(c->reply_loop, reply_on_loop, c)) return;
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

/* A name made from the model's id, with a number when it is taken. */
static void make_name(fh_fleet *f, const char *model, char *out, size_t out_size)
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
    for (unsigned k = 2; k <= FH_LIMIT_DEPLOYMENTS + 2; k++) {
        fh_deployment *d = fh_fleet_find(f, out);
        if (!d || d->view.state == FH_DEPLOYMENT_FAILED) return;
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
        fh_deployment *d = fh_fleet_find(f, name);
        if (!d || d->view.state == FH_DEPLOYMENT_FAILED) return 0;
        rc = fh_err_set(err, FH_E_EXISTS, "there is a deployment \"%s\" already, it is %s", name, fh_deployment_state_name(d->view.state));
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
    if (f->stopping) return fh_err_set(err, FH_E_UNAVAILABLE, "the server is stopping");
    if (fh_planning_check_place(f, s->place, err) != 0) return FH_E_UNSUPPORTED;
    if (s->context_tok < 0 || s->context_tok > FH_LIMIT_CONTEXT_TOK) {
        rc = fh_err_set(err, FH_E_INVALID, "the context of a stream is 1 to %d tokens, or 0 for the default", FH_LIMIT_CONTEXT_TOK);
        param = "context_tok";
    } else if (s->streams < 0 || s->streams > FH_LIMIT_STREAMS) {
        rc = fh_err_set(err, FH_E_INVALID, "a deployment has 1 to %d streams, or 0 for the default", FH_LIMIT_STREAMS);
        param = "streams";
    }
    if (param) fh_err_param(err, "%s", param);
    return rc;
}

static int retire(fh_fleet *f, fh_deployment *failed, const char *why, fh_err **err)
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
    return old ? retire(f, old, "a new run took its name", err) : 0;
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
    if (count_running(f) < FH_LIMIT_DEPLOYMENTS) return 0;
    fh_deployment *failed = oldest_failed(f);
    if (failed) return retire(f, failed, "it made room for another", err);
    int rc = fh_err_set(err, FH_E_CONFLICT, "there are %d deployments already", FH_LIMIT_DEPLOYMENTS);
    fh_err_hint(err, "stop one first: freehold stop NAME");
    return rc;
}

static int create(fh_fleet *f, const fh_deploy_spec *s, fh_deployment **ret, fh_err **err)
{
    fh_deployment *d = fh_deployment_new(f, err);
    if (!d) return FH_E_NOMEM;
    fh_deployment_view *v = &d->view;
    snprintf(d->wanted_place, sizeof(d->wanted_place), "%s", s->place);
    d->limit = v->limit = s->limit;
    int rc = fh_fleet_resolve(f, s->model, d, err);
    if (rc == 0) rc = fh_fleet_resolve_engine(f, s->engine, d, err);
    if (rc == 0 && *s->name) rc = check_name(f, s->name, err);
    if (rc == 0) {
        if (*s->name)
            snprintf(v->name, sizeof(v->name), "%s", s->name);
        else
            make_name(f, v->model, v->name, sizeof(v->name));
        fh_planning_only_place(d, v->place, sizeof(v->place));
        snprintf(v->reason, sizeof(v->reason), "asked for");
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

static int start(fh_fleet *f, const fh_deploy_spec *s, fh_deployment **ret, fh_err **err)
{
    fh_deployment *d = NULL;
    int rc = create(f, s, &d, err);
    if (rc) return rc;
    atomic_fetch_add_explicit(&f->entered[FH_DEPLOYMENT_REQUESTED], 1, memory_order_relaxed);
    fh_fleet_link(f, d);
    fh_fleet_publish(f);
    fh_fleet_tell(f, d, FH_DEPLOYMENT_REQUESTED, d->view.created_utc_ns);
    fh_deployment_step_soon(d, 0);
    *ret = d;
    return 0;
}

/* As many of the model as were asked for. Each is a deployment of its own, with a name of its own: what happens to one does not happen to
 * the others, and the gateway chooses among them as among any. */
static int start_others(fh_fleet *f, const fh_deploy_spec *s, const fh_deployment *first, fh_err **err)
{
    fh_deploy_spec more = *s;
    fh_deployment *d;
    int rc = 0;
    more.name[0] = '\0';
    if (first->view.digest[0])
        snprintf(more.model, sizeof more.model, "%s", first->view.digest); /* it may have been asked for by its name */
    for (size_t n = fh_fleet_replicas(f, first->view.model); rc == 0 && n < (size_t)s->replicas; n++) {
        if (s->mode == FH_DEPLOY_ATTACH)
            rc = fh_err_set(err, FH_E_FORBIDDEN, "fewer than %lld of it run, and who asks may not start more", (long long)s->replicas);
        else
            rc = start(f, &more, &d, err);
    }
    return rc;
}

static void run_deploy(void *arg)
{
    command *c = arg;
    fh_fleet *f = c->fleet;
    fh_deployment *d = NULL;
    int rc = check_spec(f, &c->spec, &c->err);
    if (rc == 0 && c->spec.mode != FH_DEPLOY_NEW) rc = fh_fleet_reuse(f, &c->spec, &d, &c->err);
    if (rc == 0 && !d) rc = start(f, &c->spec, &d, &c->err);
    if (rc == 0 && c->spec.replicas > 1) rc = start_others(f, &c->spec, d, &c->err);
    if (rc == 0) c->view = d->view;
    reply(c);
}

static int undeploy(fh_fleet *f, const char *name, fh_deployment **ret, fh_err **err)
{
    fh_deployment *d = fh_fleet_find(f, name);
    if (!d) {
        int rc = fh_err_set(err, FH_E_NOT_FOUND, "there is no deployment \"%s\"", name);
        fh_err_hint(err, "`freehold ps` lists what runs");
        return rc;
    }
    int rc = fh_store_wanted(f->db, d->id, false, err);
    if (rc != 0) return rc;
    d->wanted = false;
    *ret = d;
    if (d->view.state == FH_DEPLOYMENT_DRAINING) return 0;
    fh_deployment_drop_call(d);
    rc = fh_deployment_set_state(d, FH_DEPLOYMENT_DRAINING, "", "asked to stop");
    return rc == 0 ? 0 : fh_err_set(err, FH_E_IO, "the database does not take the change; it is tried again");
}

static void run_undeploy(void *arg)
{
    command *c = arg;
    fh_deployment *d = NULL;
    if (undeploy(c->fleet, c->spec.name, &d, &c->err) == 0 && d) c->view = d->view;
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

int fh_fleet_undeploy(fh_fleet *f, const char *name, fh_loop *reply_loop, fh_fleet_done *done, void *arg, fh_err **err)
{
    fh_deploy_spec spec = {0};
    if (strlen(name) >= sizeof(spec.name)) return fh_err_set(err, FH_E_NOT_FOUND, "there is no deployment of so long a name");
    snprintf(spec.name, sizeof(spec.name), "%s", name);
    return post_command(f, run_undeploy, &spec, reply_loop, done, arg, err);
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
