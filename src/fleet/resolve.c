/* What a person asked for, as a model of the catalogue or a file of the store; and the engine for it. */
#include "fleet_private.h"

#include "base/str.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* "id" or "id:variant" of the catalogue. */
static const fh_catalog_model *catalog_split(fh_str asked, fh_str *ret_variant)
{
    size_t colon = fh_str_find(asked, FH_STR(":"));
    *ret_variant = colon < asked.len ? (fh_str){asked.ptr + colon + 1, asked.len - colon - 1} : (fh_str){"", 0};
    return fh_catalog_find((fh_str){asked.ptr, colon});
}

static int from_catalog(const fh_catalog_model *m, fh_str variant, fh_deployment *d, fh_err **err)
{
    char name[64];
    snprintf(name, sizeof(name), "%.*s", (int)FH_MIN(variant.len, 60), variant.ptr);
    const fh_catalog_variant *v = fh_catalog_variant_find(m, name);
    snprintf(d->view.model, sizeof(d->view.model), "%s", m->id);
    if (!v && variant.len) {
        int rc = fh_err_set(err, FH_E_NOT_FOUND, "%s has no variant \"%s\"", m->name, name);
        fh_err_param(err, "model");
        fh_err_hint(err, "`freehold show %s` lists its variants", m->id);
        return rc;
    }
    if (variant.len) snprintf(d->view.variant, sizeof(d->view.variant), "%s", v->name);
    return 0;
}

int fh_fleet_resolve(fh_fleet *f, const char *model, fh_deployment *d, fh_err **err)
{
    fh_str variant;
    fh_weights_item item;
    const fh_catalog_model *m = catalog_split(fh_str_of(model), &variant);
    if (fh_weights_find(f->weights, model, &item, NULL) == 0) {
        snprintf(d->view.model, sizeof(d->view.model), "%s", item.id);
        snprintf(d->view.variant, sizeof(d->view.variant), "%s", item.variant);
        memcpy(d->view.digest, item.digest, sizeof(d->view.digest));
        return 0;
    }
    if (m) return from_catalog(m, variant, d, err);
    int rc;
    if (strchr("/.~", model[0]) && model[0]) {
        rc = fh_err_set(err, FH_E_NOT_FOUND, "\"%s\" is a path, and the server runs only weights that were imported", model);
        fh_err_hint(err, "freehold import %s", model);
    } else {
        rc = fh_catalog_get(fh_str_of(model), &m, err);
    }
    fh_err_param(err, "model");
    return rc;
}

static int wrong_format(const fh_catalog_engine *e, const char *format, fh_err **err)
{
    int rc = fh_err_set(err, FH_E_INVALID, "%s takes weights as %s%s%s, not as %s", e->name, e->formats[0], e->formats[1] ? " or " : "",
                        e->formats[1] ? e->formats[1] : "", format);
    for (size_t i = 0; i < fh_catalog_engine_count(); i++) {
        const fh_catalog_engine *other = fh_catalog_engine_at(i);
        if (fh_catalog_engine_takes(other, format)) {
            fh_err_hint(err, "%s takes them: --engine %s", other->name, other->id);
            break;
        }
    }
    return rc;
}

static int keeps(const fh_deployment *d, const fh_catalog_engine *e, fh_err **err)
{
    int rc = fh_catalog_engine_keeps(e, d->view.kv_type, err);
    if (rc != 0) fh_err_param(err, "kv_type");
    return rc;
}

/* Our own where it takes the weights; else the first that is installed and does. */
static int choose_engine(const fh_deployment *d, const fh_weights_item *item, const fh_catalog_engine **ret, fh_err **err)
{
    int rc = FH_E_UNSUPPORTED;
    for (size_t i = 0; rc != 0 && i < fh_catalog_engine_count(); i++) {
        const fh_catalog_engine *e = fh_catalog_engine_at(i);
        if (!fh_catalog_engine_takes(e, item->format)) continue;
        fh_err *why = NULL;
        rc = fh_catalog_engine_computes(e, item->architecture, &why);
        if (rc == 0) rc = keeps(d, e, &why);
        if (rc == 0) rc = fh_planning_check_engine(d, e, &why);
        if (rc == 0) *ret = e;
        if (rc != 0 && !*err) fh_err_move(err, &why); /* of the first: what to do */
        fh_err_free(why);
    }
    if (rc == 0) {
        fh_err_free(*err);
        *err = NULL;
    }
    return rc;
}

int fh_fleet_resolve_engine(fh_fleet *f, const char *engine, fh_deployment *d, fh_err **err)
{
    fh_weights_item item = {.format = "gguf"}; /* while the weights are not here */
    const fh_catalog_engine *e = NULL;
    fh_err *why = NULL;
    fh_weights_find(f->weights, *d->view.digest ? d->view.digest : d->view.model, &item, NULL);
    int rc = *engine ? fh_catalog_engine_get(fh_str_of(engine), &e, &why) : choose_engine(d, &item, &e, &why);
    if (rc == 0 && !fh_catalog_engine_takes(e, item.format)) rc = wrong_format(e, item.format, &why);
    if (rc == 0) rc = fh_catalog_engine_computes(e, item.architecture, &why);
    if (rc == 0) rc = keeps(d, e, &why);
    if (rc == 0) rc = fh_planning_check_engine(d, e, &why);
    if (rc == 0) {
        d->kind = e;
        snprintf(d->view.engine, sizeof(d->view.engine), "%s", e->id);
        return 0;
    }
    if (!fh_err_param_get(why)) fh_err_param(&why, "engine");
    fh_err_move(err, &why);
    fh_err_free(why);
    return rc;
}
