/* Parts of an entry as JSON, for the API and the command line. */
#include "catalog/catalog.h"

static fh_json *known_int(uint64_t v)
{
    return v ? fh_json_new_int((int64_t)v) : fh_json_new_null();
}

static fh_json *known_str(const char *s)
{
    return *s ? fh_json_new_cstr(s) : fh_json_new_null();
}

/* Unrefs the value when a part of it could not be set. */
static fh_json *whole(fh_json *o, bool good)
{
    if (good) return o;
    fh_json_unref(o);
    return NULL;
}

static fh_json *words_json(const char *const *words)
{
    fh_json *list = fh_json_new_array();
    for (size_t i = 0; words && words[i]; i++)
        if (!fh_json_append(list, fh_json_new_cstr(words[i]))) return whole(list, false);
    return list;
}

/* Each of count elements of size bytes, by make. */
static fh_json *list_json(const void *from, size_t count, size_t size, fh_json *(*make)(const void *))
{
    fh_json *list = fh_json_new_array();
    for (size_t i = 0; i < count; i++)
        if (!fh_json_append(list, make((const char *)from + i * size))) return whole(list, false);
    return list;
}

static fh_json *variant_json(const void *from)
{
    const fh_catalog_variant *v = from;
    fh_json *o = fh_json_new_object();
    bool good = fh_json_set(o, "name", fh_json_new_cstr(v->name)) && fh_json_set(o, "format", fh_json_new_cstr(v->format));
    good = good && fh_json_set(o, "bytes", known_int(v->bytes)) && fh_json_set(o, "bytes_exact", fh_json_new_bool(v->bytes_exact));
    good = good && fh_json_set(o, "repo", fh_json_new_cstr(v->repo)) && fh_json_set(o, "sha256", known_str(v->sha256));
    return whole(o, good && fh_json_set(o, "source", known_str(v->source)));
}

fh_json *fh_catalog_variants_json(const fh_catalog_model *m)
{
    return list_json(m->variants, m->variant_count, sizeof *m->variants, variant_json);
}

static fh_json *run_json(const void *from)
{
    const fh_catalog_run *r = from;
    fh_json *o = fh_json_new_object();
    bool good = fh_json_set(o, "engine", fh_json_new_cstr(r->engine)) && fh_json_set(o, "variant", known_str(r->variant));
    good = good && fh_json_set(o, "least", known_str(r->least)) && fh_json_set(o, "image", known_str(r->image));
    good = good && fh_json_set(o, "package", known_str(r->package)) && fh_json_set(o, "revision", known_str(r->revision));
    good = good && fh_json_set(o, "arguments", words_json(r->arguments)) && fh_json_set(o, "devices", known_int(r->devices));
    good = good && fh_json_set(o, "device", known_str(r->device)) && fh_json_set(o, "host_arguments", words_json(r->host_arguments));
    good = good && fh_json_set(o, "environment", words_json(r->environment)) && fh_json_set(o, "state", fh_json_new_cstr(r->state));
    good = good && fh_json_set(o, "source", fh_json_new_cstr(r->source));
    return whole(o, good && fh_json_set(o, "notes", known_str(r->notes)));
}

fh_json *fh_catalog_runs_json(const fh_catalog_model *m)
{
    return list_json(m->runs, m->run_count, sizeof *m->runs, run_json);
}

fh_json *fh_catalog_score_json(const fh_catalog_score *s)
{
    fh_json *o = fh_json_new_object();
    bool good = fh_json_set(o, "percent", fh_json_new_real(s->percent)) && fh_json_set(o, "score", fh_json_new_real(s->score));
    good = good && fh_json_set(o, "benchmark", fh_json_new_cstr(s->benchmark)) && fh_json_set(o, "harness", fh_json_new_cstr(s->harness));
    good = good && fh_json_set(o, "date", fh_json_new_cstr(s->date)) && fh_json_set(o, "source", fh_json_new_cstr(s->source));
    good = good && fh_json_set(o, "variant", fh_json_new_cstr(s->variant)) && fh_json_set(o, "best_score", fh_json_new_real(s->best_score));
    good = good && fh_json_set(o, "best_model", fh_json_new_cstr(s->best_model));
    return whole(o, good && fh_json_set(o, "best_date", fh_json_new_cstr(s->best_date)));
}

static fh_json *score_json(const void *from)
{
    return fh_catalog_score_json(from);
}

fh_json *fh_catalog_scores_json(const fh_catalog_model *m)
{
    return list_json(m->scores, m->score_count, sizeof *m->scores, score_json);
}

static fh_json *allows_json(const fh_catalog_model *m)
{
    fh_json *o = fh_json_new_object();
    bool good = fh_json_set(o, "use", fh_json_new_cstr(m->allows_use)) && fh_json_set(o, "change", fh_json_new_cstr(m->allows_change));
    good = good && fh_json_set(o, "sell", fh_json_new_cstr(m->allows_sell));
    return whole(o, good && fh_json_set(o, "serve", fh_json_new_cstr(m->allows_serve)));
}

fh_json *fh_catalog_licence_json(const fh_catalog_model *m)
{
    fh_json *o = fh_json_new_object();
    bool good = fh_json_set(o, "name", fh_json_new_cstr(m->licence)) &&
                fh_json_set(o, "class", fh_json_new_cstr(fh_licence_name(m->licence_class)));
    good = good && fh_json_set(o, "summary", fh_json_new_cstr(m->licence_summary));
    return whole(o, good && fh_json_set(o, "allows", allows_json(m)));
}
