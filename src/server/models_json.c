/* A model as the control plane and the command line show it: the catalogue's words, and what this machine can do with it. */
#include "catalog/catalog.h"
#include "plan/plan.h"
#include "server/models.h"
#include "server_private.h"
#include "sys/cpu.h"

#include <string.h>

#define LONG_CONTEXT_TOK 131072 /* at which makers and tables compare */

typedef struct model_view { /* what is looked up once for a whole list */
    fh_plan_machine machine;
    fh_weights_item *weights; /* owned */
    size_t weights_count;
    const fh_fleet_snapshot *fleet; /* borrowed; NULL without a server */
} model_view;

static int view_open(model_view *v, fh_weights *weights, const fh_fleet_snapshot *fleet, fh_err **err)
{
    fh_topo topo = {0};
    fh_topo_read(&topo);
    *v =
        (model_view){.machine = {.memory_bytes = topo.memory_bytes, .memory_available_bytes = topo.memory_available_bytes}, .fleet = fleet};
    return fh_weights_list(weights, &v->weights, &v->weights_count, NULL, err);
}

static const fh_weights_item *weights_of(const model_view *v, const char *id)
{
    for (size_t i = 0; i < v->weights_count; i++)
        if (strcmp(v->weights[i].id, id) == 0) return &v->weights[i];
    return NULL;
}

static fh_json *int_or_null(uint64_t n)
{
    return n ? fh_json_new_int((int64_t)FH_MIN(n, (uint64_t)INT64_MAX)) : fh_json_new_null();
}

static fh_json *names_json(const char *const *names)
{
    fh_json *list = fh_json_new_array();
    for (size_t i = 0; names && names[i]; i++) fh_json_append(list, fh_json_new_cstr(names[i]));
    return list;
}

static fh_json *deployments_json(const model_view *v, const char *id)
{
    fh_json *list = fh_json_new_array();
    for (size_t i = 0; v->fleet && i < v->fleet->count; i++) {
        const fh_deployment_view *d = &v->fleet->deployments[i];
        if (strcmp(d->model, id) == 0 && d->state != FH_DEPLOYMENT_STOPPED && d->state != FH_DEPLOYMENT_FAILED)
            fh_json_append(list, fh_json_new_cstr(d->name));
    }
    return list;
}

static fh_json *weights_json(const fh_weights_item *w)
{
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "present", fh_json_new_bool(w != NULL));
    fh_json_set(o, "bytes", fh_json_new_int(w ? (int64_t)w->bytes : 0));
    fh_json_set(o, "digest", w ? fh_json_new_cstr(w->digest) : fh_json_new_null());
    fh_json_set(o, "format", w ? fh_json_new_cstr(w->format) : fh_json_new_null());
    fh_json_set(o, "architecture", w && w->architecture[0] ? fh_json_new_cstr(w->architecture) : fh_json_new_null());
    return o;
}

/* What stands in the way of Run, the hardest first; NULL: nothing. */
static const char *blocked_by(const fh_plan_fit *fit, bool engine_knows, bool weights_here)
{
    if (fit->verdict == FH_PLAN_TOO_LARGE) return "memory";
    if (!engine_knows) return "engine";
    if (fit->verdict == FH_PLAN_UNKNOWN && !weights_here) return "weights";
    return weights_here ? NULL : "weights";
}

static bool has_weights(void *arg, const fh_catalog_model *m)
{
    return weights_of(arg, m->id) != NULL;
}

/* One that runs at once before one whose weights are yet to come. */
static void set_nearest(fh_json *o, model_view *v, const fh_catalog_model *m, const char *blocked)
{
    bool wanted = blocked && strcmp(blocked, "weights") != 0;
    const fh_catalog_model *ready = wanted ? fh_plan_nearest(m, &v->machine, has_weights, v) : NULL;
    const fh_catalog_model *shown = ready || !wanted ? ready : fh_plan_nearest(m, &v->machine, NULL, NULL);
    fh_json_set(o, "nearest", fh_json_new_cstr(shown ? shown->id : NULL));
    fh_json_set(o, "nearest_present", fh_json_new_bool(ready != NULL));
}

static fh_json *here_json(model_view *v, const fh_catalog_model *m, const fh_plan_fit *fit, const char *blocked)
{
    char why[256];
    bool fits = fit->verdict == FH_PLAN_FITS || fit->verdict == FH_PLAN_TIGHT;
    fh_json *o = fh_json_new_object();
    fh_plan_sentence(fit, &v->machine, NULL, why, sizeof why);
    fh_json_set(o, "fits", fh_json_new_bool(fits));
    fh_json_set(o, "runnable", fh_json_new_bool(fits && !blocked));
    fh_json_set(o, "blocked_by", fh_json_new_cstr(blocked));
    fh_json_set(o, "why", fh_json_new_cstr(why));
    fh_json_set(o, "has_bytes", fh_json_new_int((int64_t)v->machine.memory_bytes));
    fh_json_set(o, "missing_bytes", fh_json_new_int((int64_t)fit->missing_bytes));
    set_nearest(o, v, m, blocked);
    return o;
}

static void set_words(fh_json *o, const fh_catalog_model *m)
{
    fh_json_set(o, "id", fh_json_new_cstr(m->id));
    fh_json_set(o, "name", fh_json_new_cstr(m->name));
    fh_json_set(o, "maker", fh_json_new_cstr(m->maker));
    fh_json_set(o, "aliases", names_json(m->aliases));
    fh_json_set(o, "rank", int_or_null(m->rank));
    fh_json_set(o, "top_ten", fh_json_new_bool(strcmp(m->tier, "top10") == 0));
    fh_json_set(o, "starter", fh_json_new_bool(m->starter));
    fh_json_set(o, "tier", fh_json_new_cstr(m->tier));
    fh_json_set(o, "from", *m->from ? fh_json_new_cstr(m->from) : fh_json_new_null());
    fh_json_set(o, "released", fh_json_new_cstr(m->released));
    fh_json_set(o, "license", fh_catalog_licence_json(m));
    fh_json_set(o, "frontier", m->score_count ? fh_catalog_score_json(&m->scores[0]) : fh_json_new_null());
    fh_json_set(o, "params_total_b", fh_json_new_real(m->params_total_b));
    fh_json_set(o, "params_active_b", fh_json_new_real(m->params_active_b));
    fh_json_set(o, "context_tok", int_or_null((uint64_t)m->context_tok));
    fh_json_set(o, "modalities", fh_json_new_cstr(m->modalities));
    fh_json_set(o, "attention", fh_json_new_cstr(m->attention));
    fh_json_set(o, "architecture", fh_json_new_cstr(m->architecture));
    fh_json_set(o, "hardware", fh_json_new_cstr(m->hardware));
    fh_json_set(o, "notes", fh_json_new_cstr(m->notes));
}

/* The classes of its caches, each once, in the order of the data. */
static fh_json *classes_json(const fh_catalog_model *m)
{
    fh_json *list = fh_json_new_array();
    unsigned seen = 0;
    for (size_t i = 0; i < m->cache_count; i++) {
        unsigned bit = 1u << m->caches[i].kind;
        if (!(seen & bit)) fh_json_append(list, fh_json_new_cstr(fh_cache_kind_name(m->caches[i].kind)));
        seen |= bit;
    }
    return list;
}

/* What a stream keeps, on one device. */
static fh_json *keeps_json(const fh_catalog_model *m)
{
    fh_plan_model wide = fh_plan_model_with(m, NULL, FH_PLAN_KV_16BIT, 1), narrow = fh_plan_model_with(m, NULL, FH_PLAN_KV_8BIT, 1);
    fh_plan_need full = fh_plan_need_of(&narrow, LONG_CONTEXT_TOK, 1);
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "classes", classes_json(m));
    fh_json_set(o, "rule", fh_json_new_cstr(m->kv_rule));
    fh_json_set(o, "bytes_per_token", int_or_null(wide.kv_bytes_per_tok));
    fh_json_set(o, "bytes_per_token_8bit", int_or_null(m->cache_count ? narrow.kv_bytes_per_tok : 0));
    fh_json_set(o, "bytes_per_stream", fh_json_new_int((int64_t)wide.kv_fixed_bytes));
    fh_json_set(o, "long_context_tok", fh_json_new_int(full.context_tok));
    fh_json_set(o, "long_context_bytes_8bit", int_or_null(m->cache_count ? full.kv_bytes + full.fixed_bytes : 0));
    return o;
}

static fh_json *catalog_json(model_view *v, const fh_catalog_model *m)
{
    const fh_weights_item *w = weights_of(v, m->id);
    const fh_catalog_variant *first = m->variant_count ? &m->variants[0] : NULL;
    fh_plan_model rule = fh_plan_model_of(m, first);
    fh_plan_fit fit = fh_plan_fit_of(&rule, &v->machine, 0, 0);
    const char *blocked = blocked_by(&fit, m->runs_here, w != NULL);
    fh_json *o = fh_json_new_object();
    set_words(o, m);
    fh_json_set(o, "weights_bytes", int_or_null(first ? first->bytes : 0));
    fh_json_set(o, "needs_bytes", int_or_null(fit.verdict == FH_PLAN_UNKNOWN ? 0 : fit.need.total_bytes));
    fh_json_set(o, "keeps", keeps_json(m));
    fh_json_set(o, "here", here_json(v, m, &fit, blocked));
    fh_json_set(o, "weights", weights_json(w));
    fh_json_set(o, "variants", fh_catalog_variants_json(m));
    fh_json_set(o, "deployments", deployments_json(v, m->id));
    return o;
}

/* What the list leaves out. */
static fh_json *whole_json(model_view *v, const fh_catalog_model *m)
{
    fh_json *o = catalog_json(v, m);
    fh_json_set(o, "scores", fh_catalog_scores_json(m));
    fh_json_set(o, "runs", fh_catalog_runs_json(m));
    return o;
}

/* Weights that the catalogue does not know: what their file says is all there is. */
static fh_catalog_model own_model(const fh_weights_item *w)
{
    static const char *const no_names[] = {NULL};
    return (fh_catalog_model){.id = w->id,
                              .name = w->id,
                              .maker = "",
                              .repo = "",
                              .released = "",
                              .aliases = no_names,
                              .from = "",
                              .tier = "own",
                              .licence = "",
                              .licence_class = FH_LICENCE_ASK,
                              .licence_summary = "Imported by you; see where it came from.",
                              .allows_use = "unknown",
                              .allows_change = "unknown",
                              .allows_sell = "unknown",
                              .allows_serve = "unknown",
                              .runs_here = true,
                              .architecture = w->architecture,
                              .attention = "",
                              .modalities = "text",
                              .context_tok = w->context_tok,
                              .kv_bytes_per_tok = w->kv_bytes_per_tok,
                              .kv_rule = "",
                              .hardware = "",
                              .notes = ""};
}

static fh_json *own_json(model_view *v, const fh_weights_item *w)
{
    fh_catalog_variant variant = {.name = "own",
                                  .format = strcmp(w->format, "gguf") == 0 ? "GGUF" : w->format,
                                  .repo = "",
                                  .bytes = w->bytes,
                                  .bytes_exact = true,
                                  .gguf = strcmp(w->format, "gguf") == 0,
                                  .sha256 = w->digest,
                                  .file = "",
                                  .source = ""};
    fh_catalog_model m = own_model(w);
    m.variants = &variant;
    m.variant_count = 1;
    return whole_json(v, &m);
}

static bool in_catalog(const fh_weights_item *w)
{
    return fh_catalog_find(fh_str_of(w->id)) != NULL;
}

int fh_models_list(fh_weights *weights, const fh_fleet_snapshot *fleet, fh_json **ret, fh_err **err)
{
    model_view v;
    const fh_catalog *c = fh_catalog_now();
    int rc = view_open(&v, weights, fleet, err);
    if (rc) return rc;
    fh_json *items = fh_json_new_array();
    for (size_t i = 0; i < c->model_count; i++) fh_json_append(items, catalog_json(&v, c->models[i]));
    for (size_t i = 0; i < v.weights_count; i++)
        if (!in_catalog(&v.weights[i])) fh_json_append(items, own_json(&v, &v.weights[i]));
    fh_free(v.weights);
    *ret = api_list(items, fh_json_new_null());
    return *ret ? 0 : fh_err_nomem(err);
}

int fh_models_get(fh_weights *weights, const fh_fleet_snapshot *fleet, const char *id, fh_json **ret, fh_err **err)
{
    model_view v;
    const fh_catalog_model *m = NULL;
    fh_json *o = NULL;
    int rc = view_open(&v, weights, fleet, err);
    if (rc) return rc;
    const fh_weights_item *w = weights_of(&v, id);
    if (w && !in_catalog(w))
        o = own_json(&v, w);
    else if (!(rc = fh_catalog_get(fh_str_of(id), &m, err)))
        o = whole_json(&v, m);
    fh_free(v.weights);
    if (rc) return rc;
    *ret = o;
    return o ? 0 : fh_err_nomem(err);
}
