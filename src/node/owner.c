/* What the owner of a machine allows (see node/owner.h). */
#include "node/owner.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "catalog/catalog.h"

#include <stdio.h>
#include <string.h>

/* ---- models ---- */

static bool add_model(fh_node_models *m, fh_str name)
{
    const fh_catalog_model *known = fh_catalog_find(name);
    if (known) name = fh_str_of(known->id);
    if (!name.len || name.len >= FH_NODE_MODEL || m->count == FH_NODE_MODELS) return false;
    snprintf(m->name[m->count++], FH_NODE_MODEL, "%.*s", (int)name.len, name.ptr);
    return true;
}

int fh_node_models_parse(fh_str text, fh_node_models *ret, fh_err **err)
{
    ret->count = 0;
    for (bool more = true; more;) {
        size_t comma = fh_str_find(text, FH_STR(","));
        more = comma < text.len;
        if (!add_model(ret, fh_str_trim((fh_str){text.ptr, comma}))) {
            fh_err_set(err, FH_E_INVALID, "'%.*s' is no list of models", (int)FH_MIN(text.len, (size_t)40), text.len ? text.ptr : "");
            fh_err_hint(err, "up to %d names of `freehold models`, or SHA-256 of weights, with commas between them", FH_NODE_MODELS);
            return FH_E_INVALID;
        }
        text = (fh_str){text.ptr + comma + more, text.len - comma - more};
    }
    return 0;
}

static bool names(const fh_node_models *m, const char *model, const char *digest)
{
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(m->name[i], model) == 0 || strcmp(m->name[i], digest) == 0) return true;
    return false;
}

int fh_node_owner_takes(const fh_node_owner *o, const char *model, const char *digest, fh_err **err)
{
    bool wanted = !o->models.count || names(&o->models, model, digest);
    if (wanted && !names(&o->not_models, model, digest)) return 0;
    return fh_err_set(err, FH_E_FORBIDDEN, "its owner does not lend it for the model %s", model);
}

/* ---- as the server is told ---- */

static bool set_count(fh_json *o, const char *key, int64_t n)
{
    return !n || fh_json_set(o, key, fh_json_new_int(n));
}

static bool set_models(fh_json *o, const char *key, const fh_node_models *m)
{
    if (!m->count) return true;
    fh_json *list = fh_json_new_array();
    for (size_t i = 0; list && i < m->count; i++) fh_json_append(list, fh_json_new_cstr(m->name[i]));
    return fh_json_set(o, key, list);
}

fh_json *fh_node_owner_json(const fh_node_owner *o)
{
    FH_AUTO(json) fh_json *made = fh_json_new_object();
    int64_t alone_ns = o->alone_ns ? o->alone_ns : FH_LIMIT_NODE_ALONE_MS * FH_NS_PER_MS;
    bool good = made && (!o->hours.count || fh_json_set(made, "hours", fh_json_new_cstr(o->hours.text)));
    good = good && set_models(made, "models", &o->models) && set_models(made, "not_models", &o->not_models);
    good = good && set_count(made, "memory_bytes", o->memory_bytes) && set_count(made, "disk_bytes", o->disk_bytes);
    good = good && set_count(made, "engines", o->engines) && set_count(made, "threads", o->threads);
    good = good && set_count(made, "alone_s", alone_ns / FH_NS_PER_S);
    return good ? fh_take(made) : NULL;
}
