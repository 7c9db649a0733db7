/* Files of entries: each is read and checked whole before anything of it is used. */
#include "catalog/files.h"

#include "base/limits.h"
#include "catalog_private.h"
#include "read.h"
#include "rules.h"
#include "schema.h"
#include "sets.h"
#include <stdio.h>
#include <string.h>

/* ---- reading ---- */

static __attribute__((format(printf, 3, 4))) int bad(fh_err **err, const char *field, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fh_err_vset(err, FH_E_INVALID, fmt, ap);
    va_end(ap);
    fh_err_param(err, "%s", field);
    return FH_E_INVALID;
}

static bool is_version(fh_str s)
{
    static const char form[] = "2000-00-00";
    bool good = s.len >= sizeof form - 1 && s.len <= sizeof form + 4;
    for (size_t i = 0; good && i < s.len; i++) {
        bool digit = s.ptr[i] >= '0' && s.ptr[i] <= '9';
        if (i < sizeof form - 1)
            good = form[i] == '-' ? s.ptr[i] == '-' : form[i] == '2' ? s.ptr[i] == '2' : digit;
        else
            good = i == sizeof form - 1 ? s.ptr[i] == '.' && s.len > i + 1 : digit;
    }
    return good;
}

static int check_members(const fh_json *doc, bool own, fh_err **err)
{
    const fh_json *value;
    fh_str key;
    void *it = NULL;
    if (fh_json_kind_of(doc) != FH_JSON_OBJECT) return bad(err, "", "it is no object with \"models\" or \"machines\"");
    while (fh_json_next(doc, &it, &key, &value)) {
        bool list = fh_str_eqs(key, "models") || fh_str_eqs(key, "machines");
        if (!list && (own || !fh_str_eqs(key, "version")))
            return bad(err, key.ptr, "%.64s is not known here: a file holds \"models\" and \"machines\"", key.ptr);
        if (list && fh_json_kind_of(value) != FH_JSON_ARRAY) return bad(err, key.ptr, "%s must be a list", key.ptr);
    }
    if (!own && !is_version(fh_json_str(fh_json_get(doc, "version"))))
        return bad(err, "version", "version must be a day and, after a point, a number: 2026-11-29, 2026-11-29.2");
    if (fh_json_count(fh_json_get(doc, "models")) + fh_json_count(fh_json_get(doc, "machines")) == 0)
        return bad(err, "models", "it holds no model and no machine");
    return 0;
}

/* Rank, tier and the first model to try are ours to say. */
static int check_own(const fh_json *model, const char *where, fh_err **err)
{
    static const char *const ours[] = {"rank", "tier", "starter"};
    char field[96];
    for (size_t i = 0; i < FH_COUNT(ours); i++) {
        if (!fh_json_get(model, ours[i])) continue;
        snprintf(field, sizeof field, "%s.%s", where, ours[i]);
        return bad(err, field, "%s: entries of your own have none", field);
    }
    return 0;
}

static int read_models(fh_catalog_file *f, const fh_json *list, fh_err **err)
{
    bool own = f->kind == FH_CATALOG_OWN;
    int rc = 0;
    f->model_count = fh_json_count(list);
    if (f->model_count > FH_LIMIT_CATALOG_MODELS)
        return fh_err_set(err, FH_E_TOO_LARGE, "it has more than %d models", FH_LIMIT_CATALOG_MODELS);
    f->models = fh_arena_array(f->arena, f->model_count + 1, sizeof *f->models);
    if (!f->models) return fh_err_nomem(err);
    for (size_t i = 0; !rc && i < f->model_count; i++) {
        char where[32];
        const fh_json *o = fh_json_at(list, i);
        snprintf(where, sizeof where, "models[%zu]", i);
        rc = fh_schema_check(fh_catalog_model_schema, o, where, !own, err);
        if (!rc && own) rc = check_own(o, where, err);
        if (!rc && !fh_catalog_model_read(f->arena, o, own ? f->name : "", &f->models[i])) rc = fh_err_nomem(err);
        if (!rc) rc = fh_catalog_model_check(&f->models[i], where, err);
        if (!rc && own) f->models[i].tier = "own";
    }
    return rc;
}

static int read_machines(fh_catalog_file *f, const fh_json *list, fh_err **err)
{
    int rc = list ? fh_schema_check(fh_catalog_machine_schema, list, "machines", f->kind != FH_CATALOG_OWN, err) : 0;
    if (rc) return rc;
    f->machine_count = fh_json_count(list);
    if (f->machine_count > FH_LIMIT_CATALOG_MACHINES)
        return fh_err_set(err, FH_E_TOO_LARGE, "it has more than %d machines", FH_LIMIT_CATALOG_MACHINES);
    f->machines = fh_arena_array(f->arena, f->machine_count + 1, sizeof *f->machines);
    if (!f->machines) return fh_err_nomem(err);
    for (size_t i = 0; i < f->machine_count; i++)
        if (!fh_catalog_machine_read(f->arena, fh_json_at(list, i), f->kind == FH_CATALOG_OWN ? f->name : "", &f->machines[i]))
            return fh_err_nomem(err);
    return 0;
}

/* An update is whole: with models, machines, and one starter that is known exactly. */
static int check_update(const fh_catalog_file *f, fh_err **err)
{
    size_t starters = 0;
    for (size_t i = 0; i < f->model_count; i++) {
        const fh_catalog_model *m = &f->models[i];
        if (!m->starter) continue;
        starters++;
        if (!m->variant_count || !*m->variants[0].sha256 || !*m->variants[0].file || !m->runs_here)
            return bad(err, "models", "%s: the starter's first variant must be known by file and digest, and run here", m->id);
    }
    if (starters != 1) return bad(err, "models", "an update has one starter, this one has %zu", starters);
    return f->machine_count ? 0 : bad(err, "machines", "an update holds all machines, this one has none");
}

static int read_doc(fh_catalog_file *f, const fh_json *doc, fh_err **err)
{
    fh_str version = fh_json_str(fh_json_get(doc, "version"));
    int rc = check_members(doc, f->kind == FH_CATALOG_OWN, err);
    if (rc) return rc;
    f->version = version.len ? fh_arena_strndup(f->arena, version.ptr, version.len) : "";
    if (!f->version) return fh_err_nomem(err);
    rc = read_models(f, fh_json_get(doc, "models"), err);
    if (!rc) rc = read_machines(f, fh_json_get(doc, "machines"), err);
    if (!rc && f->kind == FH_CATALOG_UPDATE) rc = check_update(f, err);
    FH_AUTO(fh_map) fh_map *names = fh_map_new(NULL);
    return rc ? rc : fh_catalog_names_add(names, f, err);
}

int fh_catalog_file_read(fh_str text, const char *name, fh_catalog_file_kind kind, fh_catalog_file **ret, fh_err **err)
{
    static const uint8_t key[16] = "catalogue file";
    FH_AUTO(json) fh_json *doc = NULL;
    FH_AUTO(fh_catalog_file) fh_catalog_file *f = fh_calloc(1, sizeof *f);
    if (!f) return fh_err_nomem(err);
    f->kind = kind;
    f->arena = fh_arena_new(2 * (size_t)FH_LIMIT_CATALOG_FILE_BYTES);
    f->name = f->arena ? fh_arena_strndup(f->arena, name, strlen(name)) : NULL;
    if (!f->name) return fh_err_nomem(err);
    f->digest = fh_siphash(key, text.ptr, text.len);
    int rc = fh_json_parse(&doc, text, FH_LIMIT_CATALOG_FILE_BYTES, err);
    if (!rc) rc = read_doc(f, doc, err);
    if (rc) {
        fh_err_add(err, "%.200s", name);
        return rc;
    }
    *ret = fh_take(f);
    return 0;
}

void fh_catalog_file_free(fh_catalog_file *f)
{
    if (!f) return;
    fh_arena_free(f->arena);
    fh_free(f);
}

const char *fh_catalog_file_name(const fh_catalog_file *f)
{
    return f->name;
}

const char *fh_catalog_file_version(const fh_catalog_file *f)
{
    return f->version;
}

size_t fh_catalog_file_models(const fh_catalog_file *f)
{
    return f->model_count;
}

size_t fh_catalog_file_machines(const fh_catalog_file *f)
{
    return f->machine_count;
}

const fh_catalog_model *fh_catalog_file_model(const fh_catalog_file *f, size_t i)
{
    return &f->models[i];
}

const fh_catalog_machine *fh_catalog_file_machine(const fh_catalog_file *f, size_t i)
{
    return &f->machines[i];
}
