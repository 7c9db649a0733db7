/* An entry of the catalogue as JSON, for the API and the command line. Unknown numbers are null. */
#include "catalog/catalog.h"

static fh_json *known_int(uint64_t v)
{
    return v ? fh_json_new_int((int64_t)v) : fh_json_new_null();
}

static fh_json *known_real(double v)
{
    return v > 0 ? fh_json_new_real(v) : fh_json_new_null();
}

static fh_json *known_str(const char *s)
{
    return *s ? fh_json_new_cstr(s) : fh_json_new_null();
}

/* Unrefs the object when a member could not be set. */
static fh_json *whole(fh_json *o, bool good)
{
    if (good) return o;
    fh_json_unref(o);
    return NULL;
}

static fh_json *variant_json(const fh_catalog_variant *v)
{
    fh_json *o = fh_json_new_object();
    bool good = fh_json_set(o, "name", fh_json_new_cstr(v->name)) && fh_json_set(o, "format", fh_json_new_cstr(v->format));
    good = good && fh_json_set(o, "repo", known_str(v->repo)) && fh_json_set(o, "bytes", known_int(v->bytes));
    good = good && fh_json_set(o, "bytes_exact", fh_json_new_bool(v->bytes_exact)) && fh_json_set(o, "gguf", fh_json_new_bool(v->gguf));
    good = good && fh_json_set(o, "sha256", known_str(v->sha256)) && fh_json_set(o, "source", known_str(v->source));
    return whole(o, good);
}

static fh_json *score_json(const fh_catalog_score *s)
{
    fh_json *o = fh_json_new_object();
    bool good = fh_json_set(o, "benchmark", fh_json_new_cstr(s->benchmark)) && fh_json_set(o, "harness", known_str(s->harness));
    good = good && fh_json_set(o, "date", known_str(s->date)) && fh_json_set(o, "source", known_str(s->source));
    good = good && fh_json_set(o, "score", fh_json_new_real(s->score)) && fh_json_set(o, "best_score", fh_json_new_real(s->best_score));
    good = good && fh_json_set(o, "best_model", known_str(s->best_model)) && fh_json_set(o, "best_date", known_str(s->best_date));
    good = good && fh_json_set(o, "percent", fh_json_new_real(s->percent)) && fh_json_set(o, "variant", known_str(s->variant));
    return whole(o, good);
}

static fh_json *cache_json(const fh_catalog_cache *c)
{
    fh_json *o = fh_json_new_object();
    bool good = fh_json_set(o, "kind", fh_json_new_cstr(fh_cache_kind_name(c->kind))) && fh_json_set(o, "layers", known_int(c->layers));
    good = good && fh_json_set(o, "heads", known_int(c->heads)) && fh_json_set(o, "key", known_int(c->key));
    good = good && fh_json_set(o, "value", known_int(c->value)) && fh_json_set(o, "window", known_int(c->window));
    good = good && fh_json_set(o, "ratio", known_int(c->ratio)) && fh_json_set(o, "conv", known_int(c->conv));
    good = good && fh_json_set(o, "row_bytes", known_int(c->row_bytes));
    return whole(o, good && fh_json_set(o, "row_bytes_8bit", known_int(c->row_bytes_8bit)));
}

static fh_json *licence_json(const fh_catalog_model *m)
{
    fh_json *o = fh_json_new_object();
    bool good = fh_json_set(o, "name", fh_json_new_cstr(m->licence)) &&
                fh_json_set(o, "class", fh_json_new_cstr(fh_licence_name(m->licence_class)));
    return whole(o, good && fh_json_set(o, "summary", fh_json_new_cstr(m->licence_summary)));
}

static bool set_arrays(fh_json *o, const fh_catalog_model *m)
{
    fh_json *aliases = fh_json_new_array(), *variants = fh_json_new_array(), *scores = fh_json_new_array();
    fh_json *caches = fh_json_new_array();
    bool good = true;
    for (size_t i = 0; i < m->cache_count; i++) good = good && fh_json_append(caches, cache_json(&m->caches[i]));
    for (size_t i = 0; m->aliases[i]; i++) good = good && fh_json_append(aliases, fh_json_new_cstr(m->aliases[i]));
    for (size_t i = 0; i < m->variant_count; i++) good = good && fh_json_append(variants, variant_json(&m->variants[i]));
    for (size_t i = 0; i < m->score_count; i++) good = good && fh_json_append(scores, score_json(&m->scores[i]));
    good = fh_json_set(o, "aliases", aliases) && good;
    good = fh_json_set(o, "caches", caches) && good;
    good = fh_json_set(o, "variants", variants) && good;
    return fh_json_set(o, "scores", scores) && good;
}

fh_json *fh_catalog_model_json(const fh_catalog_model *m)
{
    fh_json *o = fh_json_new_object();
    bool good = fh_json_set(o, "id", fh_json_new_cstr(m->id)) && fh_json_set(o, "name", fh_json_new_cstr(m->name));
    good = good && fh_json_set(o, "maker", fh_json_new_cstr(m->maker)) && fh_json_set(o, "repo", known_str(m->repo));
    good = good && fh_json_set(o, "released", known_str(m->released)) && fh_json_set(o, "tier", fh_json_new_cstr(m->tier));
    good = good && fh_json_set(o, "rank", known_int(m->rank)) && fh_json_set(o, "starter", fh_json_new_bool(m->starter));
    good = good && fh_json_set(o, "runs_here", fh_json_new_bool(m->runs_here)) && fh_json_set(o, "licence", licence_json(m));
    good = good && fh_json_set(o, "params_total_b", known_real(m->params_total_b)) &&
           fh_json_set(o, "params_active_b", known_real(m->params_active_b));
    good = good && fh_json_set(o, "attention", known_str(m->attention)) && fh_json_set(o, "architecture", known_str(m->architecture));
    good = good && fh_json_set(o, "layers", known_int(m->layers)) && fh_json_set(o, "heads", known_int(m->heads));
    good = good && fh_json_set(o, "modalities", fh_json_new_cstr(m->modalities)) &&
           fh_json_set(o, "context_tok", known_int((uint64_t)m->context_tok));
    good = good && fh_json_set(o, "kv_bytes_per_tok", known_int(m->kv_bytes_per_tok)) &&
           fh_json_set(o, "kv_fixed_bytes", fh_json_new_int((int64_t)m->kv_fixed_bytes));
    good = good && fh_json_set(o, "kv_rule", known_str(m->kv_rule)) && fh_json_set(o, "hardware", known_str(m->hardware));
    good = good && fh_json_set(o, "notes", known_str(m->notes));
    return whole(o, good && set_arrays(o, m));
}
