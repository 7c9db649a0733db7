/* The honesty of hosted endpoints and of machines of the pool over HTTP: what was found out, a check, and forgetting it. */
#include "honesty.h"
#include "providers.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CANARIES = 100 };

static fh_json *number(double v)
{
    return isfinite(v) ? fh_json_new_real(v) : fh_json_new_null();
}

static fh_json *tests_json(const fh_honesty_record *r)
{
    fh_json *list = fh_json_new_array();
    for (int t = 0; t < FH_HONESTY_TESTS; t++) {
        fh_json *o = fh_json_new_object();
        fh_json_set(o, "name", fh_json_new_cstr(fh_honesty_test_name((fh_honesty_test)t)));
        fh_json_set(o, "evidence_log10", number(r->peak[t] / log(10)));
        fh_json_append(list, o);
    }
    return list;
}

static void set_counts(fh_json *o, const fh_honesty_record *r, double bound)
{
    fh_json_set(o, "canaries", fh_json_new_int((int64_t)r->canaries));
    fh_json_set(o, "unclear", fh_json_new_int((int64_t)r->unclear));
    fh_json_set(o, "positions", fh_json_new_int((int64_t)r->positions));
    fh_json_set(o, "deviation", r->canaries > r->unclear ? number(fh_honesty_mean(r)) : fh_json_new_null());
    fh_json_set(o, "deviation_bound", number(bound));
    fh_json_set(o, "repeats", fh_json_new_int((int64_t)r->repeats));
    fh_json_set(o, "same", fh_json_new_int((int64_t)r->same));
    fh_json_set(o, "counted", fh_json_new_int((int64_t)r->counted));
    fh_json_set(o, "inflated", fh_json_new_int((int64_t)r->inflated));
    fh_json_set(o, "evidence_log10", number(fh_honesty_proof(r) / log(10)));
    fh_json_set(o, "false_accusation_log10", number(-log10(FH_HONESTY_PROOF)));
    fh_json_set(o, "tests", tests_json(r));
    fh_json_set(o, "prompt_tokens", fh_json_new_int((int64_t)r->prompt_tok));
    fh_json_set(o, "completion_tokens", fh_json_new_int((int64_t)r->completion_tok));
}

/* Shown, never booked: what it was paid for canaries at the prices that its operator gave. */
static fh_json *cost_json(const fh_server *server, const fh_standing *s)
{
    const fh_provider *p = fh_providers_find(server->providers, fh_str_of(s->provider));
    const fh_provider_price *price = p ? fh_provider_price_of(p, s->model) : NULL;
    if (!price) return fh_json_new_null();
    double nusd =
        ((double)s->record.prompt_tok * (double)price->in_nusd + (double)s->record.completion_tok * (double)price->out_nusd) / 1e6;
    return fh_json_new_int(nusd < 9e18 ? (int64_t)ceil(nusd) : INT64_MAX);
}

static fh_json *honesty_json(const fh_server *server, const fh_standing *s)
{
    char reason[300];
    fh_standing measure;
    fh_honesty_progress p = fh_honesty_check_progress(server, s->provider, s->model);
    fh_json *o = fh_json_new_object();
    fh_honesty_reason(&s->record, reason, sizeof reason);
    fh_json_set(o, "provider", fh_json_new_cstr(s->provider));
    fh_json_set(o, "model", fh_json_new_cstr(s->model));
    fh_json_set(o, "verdict", fh_json_new_cstr(fh_honesty_verdict_name(fh_honesty_judge(&s->record))));
    fh_json_set(o, "reason", fh_json_new_cstr(reason));
    fh_json_set(o, "running", fh_json_new_bool(p.running));
    fh_json_set(o, "done", fh_json_new_int((int64_t)p.done));
    fh_json_set(o, "wanted", fh_json_new_int((int64_t)p.wanted));
    fh_json_set(o, "error", fh_json_new_cstr(p.error));
    fh_standings_find(server->standings, "", s->model, &measure);
    fh_json_set(o, "measured", fh_json_new_bool(fh_honesty_measures(&measure.record)));
    set_counts(o, &s->record, fh_honesty_bound(&measure.record));
    fh_json_set(o, "cost_nusd", cost_json(server, s));
    fh_json_set(o, "checked", api_time(s->checked_utc_ns));
    return o;
}

static int find_provider(const api_call *c, const fh_provider **ret, fh_err **err)
{
    *ret = fh_providers_find(c->server->providers, fh_str_of(c->param));
    if (*ret) return 0;
    fh_err_set(err, FH_E_NOT_FOUND, "there is no provider '%.64s'", c->param);
    fh_err_hint(err, "`freehold provider list` shows them");
    return FH_E_NOT_FOUND;
}

/* What is known, and what the last check looked at, known or not. */
static void add_model(fh_json *items, const fh_server *server, const char *place, const char *model)
{
    fh_standing s;
    bool known = fh_standings_find(server->standings, place, model, &s) && s.record.canaries > 0;
    if (known || fh_honesty_check_progress(server, place, model).wanted) fh_json_append(items, honesty_json(server, &s));
}

void api_honesty_list(api_call *c)
{
    fh_err *err = NULL;
    const fh_provider *p;
    if (find_provider(c, &p, &err)) {
        api_reply_error(c, err);
        return;
    }
    fh_json *items = fh_json_new_array();
    for (size_t i = 0; i < p->model_count; i++) add_model(items, c->server, p->name, p->models[i]);
    api_reply(c, 200, api_list(items, fh_json_new_null()));
}

static void check(api_call *c, const char *place)
{
    fh_err *err = NULL;
    char model[128];
    int64_t canaries = CANARIES;
    fh_standing s;
    fh_honesty_wish wish = {.provider = place};
    int rc = fh_json_read_str(c->body, "model", false, &wish.model, &err);
    if (!rc) rc = fh_json_read_i64(c->body, "canaries", false, 1, FH_LIMIT_HONESTY_CANARIES, &canaries, &err);
    if (!rc) rc = fh_json_read_bool(c->body, "measure", false, &wish.measure, &err);
    wish.canaries = (uint64_t)canaries;
    if (!rc) rc = fh_honesty_check_start(c->server, &wish, model, &err);
    if (rc) {
        api_reply_error(c, err);
        return;
    }
    fh_standings_find(c->server->standings, place, model, &s);
    api_reply(c, 202, honesty_json(c->server, &s));
}

static void clear(api_call *c, const char *place)
{
    fh_err *err = NULL;
    fh_honesty_check_leave(c->server, place);
    if (fh_standings_forget(c->server->standings, place, &err))
        api_reply_error(c, err);
    else
        api_reply(c, 204, NULL);
}

void api_honesty_check(api_call *c)
{
    check(c, c->param);
}

void api_honesty_clear(api_call *c)
{
    fh_err *err = NULL;
    const fh_provider *p;
    if (find_provider(c, &p, &err))
        api_reply_error(c, err);
    else
        clear(c, p->name);
}

/* ---- machines of the pool ---- */

typedef struct node_models {
    fh_server *server;
    fh_json *items;
} node_models;

static void add_known(void *arg, const fh_standing *s)
{
    const node_models *m = arg;
    if (s->record.canaries) fh_json_append(m->items, fh_json_new_cstr(s->model));
}

/* Its place, where there is such a machine; else the call is answered. */
static bool find_node(api_call *c, char place[80])
{
    fh_err *err = NULL;
    snprintf(place, 80, "node/%.74s", c->param);
    if (api_node_is(c, &err)) return true;
    api_reply_error(c, err);
    return false;
}

void api_node_honesty_list(api_call *c)
{
    char place[80];
    if (!find_node(c, place)) return;
    FH_AUTO(json) fh_json *models = fh_json_new_array();
    node_models m = {.server = c->server, .items = models};
    fh_json *items = fh_json_new_array();
    const char *checked = fh_honesty_check_model(c->server, place);
    fh_standings_each(c->server->standings, place, add_known, &m);
    if (checked) add_model(items, c->server, place, checked);
    for (size_t i = 0; i < fh_json_count(models); i++) {
        const char *model = fh_json_str(fh_json_at(models, i)).ptr;
        if (!checked || strcmp(model, checked) != 0) add_model(items, c->server, place, model);
    }
    api_reply(c, 200, api_list(items, fh_json_new_null()));
}

void api_node_honesty_check(api_call *c)
{
    char place[80];
    if (find_node(c, place)) check(c, place);
}

void api_node_honesty_clear(api_call *c)
{
    char place[80];
    if (find_node(c, place)) clear(c, place);
}
