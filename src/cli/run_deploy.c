/* Before the first word: finding a deployment that can answer, or starting one and watching it become ready. */
#include "base/clock.h"
#include "run.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READY_WAIT_NS (30 * 60 * FH_NS_PER_S) /* a state without progress is ended by the server long before */
#define POLL_NS       (20 * FH_NS_PER_MS)

static bool has_state(const fh_json *d, const char *state)
{
    return strcmp(fh_cli_str_of(d, "state"), state) == 0;
}

static bool is_over(const fh_json *d)
{
    return has_state(d, "stopped") || has_state(d, "failed") || has_state(d, "draining");
}

/* One that runs or is on its way: by name, or by model, the ready ones first; NULL when there is none. Borrowed from the list. */
static const fh_json *find_running(const fh_json *items, const char *id)
{
    const fh_json *best = NULL;
    const char *name = strncmp(id, "deployment/", 11) == 0 ? id + 11 : id;
    for (size_t i = 0; i < fh_json_count(items); i++) {
        const fh_json *d = fh_json_at(items, i);
        bool ours = strcmp(fh_cli_str_of(d, "name"), name) == 0 || strcmp(fh_cli_str_of(d, "model"), id) == 0;
        if (ours && !is_over(d) && (!best || has_state(d, "ready"))) best = d;
    }
    return best;
}

static bool is_path(const char *model)
{
    return model[0] == '/' || model[0] == '~' || strncmp(model, "./", 2) == 0 || strncmp(model, "../", 3) == 0;
}

/* The catalogue's id of an alias; other names stay as they are: the server judges them. */
static int resolve(const fh_cli_client *s, const char *model, char *out, size_t out_size, fh_err **err)
{
    char path[1024], real[PATH_MAX];
    FH_AUTO(json) fh_json *m = NULL;
    snprintf(out, out_size, "%s", model);
    if (is_path(model)) {
        if (!realpath(model, real)) return fh_err_set(err, FH_E_NOT_FOUND, "there is no file %s", model);
        snprintf(out, out_size, "%s", real);
        return 0;
    }
    if (!fh_client_path(path, sizeof path, "/api/v1/models/", model, ""))
        return fh_err_set(err, FH_E_NOT_FOUND, "there is no model with such a long name");
    int rc = fh_client_call(s, "GET", path, NULL, &m, err);
    if (rc) return rc;
    snprintf(out, out_size, "%s", fh_cli_str_of(m, "id"));
    return 0;
}

static void set_number(const fh_cli *c, fh_json *body, const char *flag, const char *member)
{
    int64_t n = fh_cli_int(c, flag, 0);
    if (n > 0) fh_json_set(body, member, fh_json_new_int(n));
}

static int post_deployment(const fh_cli *c, const fh_cli_client *s, const char *model, fh_json **ret, fh_err **err)
{
    FH_AUTO(json) fh_json *body = fh_json_new_object();
    fh_json_set(body, "model", fh_json_new_cstr(model));
    fh_json_set(body, "place", fh_json_new_cstr(fh_cli_text(c, "on", "here")));
    if (fh_cli_has(c, "name")) fh_json_set(body, "name", fh_json_new_cstr(fh_cli_text(c, "name", "")));
    set_number(c, body, "context", "context_tok");
    set_number(c, body, "streams", "streams");
    return fh_client_call(s, "POST", "/api/v1/deployments", body, ret, err);
}

/* One line for each state that it passes, on a terminal. */
static void show_state(const fh_json *d, char *shown, size_t shown_size)
{
    const char *state = fh_cli_str_of(d, "state");
    if (strcmp(shown, state) == 0 || !isatty(STDERR_FILENO)) return;
    FH_AUTO(buf) fh_buf line = FH_BUF(1 << 16);
    snprintf(shown, shown_size, "%s", state);
    fh_buf_addf(&line, "%s: %s: %s\n", fh_cli_str_of(d, "name"), state, fh_cli_str_of(d, "reason"));
    fh_cli_write(stderr, (fh_str){fh_buf_cstr(&line), line.len});
}

static int not_running(const fh_json *d, fh_err **err)
{
    fh_err_set(err, FH_E_CONFLICT, "%s is %s: %s", fh_cli_str_of(d, "name"), fh_cli_str_of(d, "state"), fh_cli_str_of(d, "reason"));
    const char *hint = fh_cli_str_of(d, "hint");
    if (hint[0])
        fh_err_hint(err, "%s", hint);
    else
        fh_err_hint(err, "`freehold events %s` shows what happened", fh_cli_str_of(d, "name"));
    return FH_E_CONFLICT;
}

static int wait_ready(const fh_cli_client *s, const char *name, fh_err **err)
{
    char path[512], shown[32] = "";
    fh_client_path(path, sizeof path, "/api/v1/deployments/", name, "");
    for (int64_t until = fh_clock_mono_ns() + READY_WAIT_NS; fh_clock_mono_ns() < until; fh_sleep_ns(POLL_NS)) {
        FH_AUTO(json) fh_json *d = NULL;
        int rc = fh_client_call(s, "GET", path, NULL, &d, err);
        if (rc) return rc;
        show_state(d, shown, sizeof shown);
        if (has_state(d, "ready")) return 0;
        if (is_over(d)) return not_running(d, err);
    }
    return fh_err_set(err, FH_E_TIMEOUT, "%s is not ready after half an hour", name);
}

/* Flags that shape a deployment cannot change one that runs: they must agree with it. */
static int agrees(const fh_cli *c, const fh_json *d, const char *flag, const char *member, fh_err **err)
{
    int64_t has = fh_json_int(fh_json_get(d, member), 0);
    if (!fh_cli_has(c, flag) || fh_cli_int(c, flag, 0) == has) return 0;
    const char *name = fh_cli_str_of(d, "name");
    fh_err_set(err, FH_E_USAGE, "%s runs already, with --%s %lld, not %s", name, flag, (long long)has, fh_cli_text(c, flag, ""));
    fh_err_hint(err, "`freehold stop %s` first, or start another beside it with --name NEW", name);
    return FH_E_USAGE;
}

/* The deployment that the person named with --name, if it runs: it must be one of this model. */
static int find_named(const fh_json *items, const char *name, const char *id, const fh_json **ret, fh_err **err)
{
    *ret = NULL;
    for (size_t i = 0; i < fh_json_count(items); i++) {
        const fh_json *d = fh_json_at(items, i);
        if (strcmp(fh_cli_str_of(d, "name"), name) != 0 || is_over(d)) continue;
        *ret = d;
        if (strcmp(fh_cli_str_of(d, "model"), id) == 0) return 0;
        fh_err_set(err, FH_E_USAGE, "%s runs already, with the model %s, not %s", name, fh_cli_str_of(d, "model"), id);
        fh_err_hint(err, "`freehold stop %s` first, or take another name", name);
        return FH_E_USAGE;
    }
    return 0;
}

/* What runs of the model that the person asks for; *ret is NULL when nothing does, then id is what to deploy. */
static int find_deployment(const fh_cli *c, const fh_cli_client *s, const char *model, const fh_json *items, char *id, size_t id_size,
                           const fh_json **ret, fh_err **err)
{
    bool is_deployment = strncmp(model, "deployment/", 11) == 0;
    *ret = NULL;
    if (is_deployment && fh_cli_has(c, "name"))
        return fh_err_set(err, FH_E_USAGE, "--name is for a new deployment: %s is one already", model);
    if (!fh_cli_has(c, "name")) *ret = find_running(items, model);
    if (!*ret && is_deployment) {
        fh_err_set(err, FH_E_NOT_FOUND, "there is no deployment '%s'", model + 11);
        fh_err_hint(err, "`freehold ps` lists what runs, `freehold ps --all` what ran");
        return FH_E_NOT_FOUND;
    }
    int rc = *ret ? 0 : resolve(s, model, id, id_size, err);
    if (rc || *ret) return rc;
    if (fh_cli_has(c, "name")) return find_named(items, fh_cli_text(c, "name", ""), id, ret, err);
    *ret = find_running(items, id);
    return 0;
}

int fh_run_deploy(const fh_cli *c, const fh_cli_client *s, const char *model, char *name, size_t name_size, fh_err **err)
{
    char id[PATH_MAX];
    FH_AUTO(json) fh_json *list = NULL, *made = NULL;
    int rc = fh_client_call(s, "GET", "/api/v1/deployments", NULL, &list, err);
    if (rc) return rc;
    const fh_json *found = NULL;
    rc = find_deployment(c, s, model, fh_json_get(list, "items"), id, sizeof id, &found, err);
    if (!rc && found) rc = agrees(c, found, "context", "context_tok", err);
    if (!rc && found) rc = agrees(c, found, "streams", "streams", err);
    if (!rc && !found) rc = post_deployment(c, s, id, &made, err);
    if (rc) return rc;
    snprintf(name, name_size, "%s", fh_cli_str_of(found ? found : made, "name"));
    return wait_ready(s, name, err);
}
