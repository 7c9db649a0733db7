/* Looking things up in the catalogue that holds now. */
#include "catalog_private.h"

#include "base/mem.h"
#include <stdio.h>
#include <string.h>

#define NEAREST       3
#define NEAR_DISTANCE 4 /* edits at which one name is still taken for another */

const char *fh_licence_name(fh_licence l)
{
    static const char *const names[] = {"free", "ask", "restricted"};
    return names[l];
}

const char *fh_cache_kind_name(fh_cache_kind k)
{
    static const char *const names[] = {"gqa", "window", "mla", "index", "compressed", "state"};
    return names[k];
}

static bool answers_to(const fh_catalog_model *m, fh_str name)
{
    if (fh_str_ieq(name, fh_str_of(m->id))) return true;
    for (size_t i = 0; m->aliases[i]; i++) {
        if (fh_str_ieq(name, fh_str_of(m->aliases[i]))) return true;
    }
    return false;
}

const fh_catalog_model *fh_catalog_find(fh_str id_or_alias)
{
    const fh_catalog *c = fh_catalog_now();
    for (size_t i = 0; i < c->model_count; i++)
        if (answers_to(c->models[i], id_or_alias)) return c->models[i];
    return NULL;
}

/* How far the typed name is from the model's: the least over its id and aliases; a name that holds what was typed counts as one edit. */
static unsigned distance(const fh_catalog_model *m, fh_str typed)
{
    unsigned best = fh_str_distance(typed, fh_str_of(m->id));
    for (size_t i = 0; m->aliases[i]; i++) best = FH_MIN(best, fh_str_distance(typed, fh_str_of(m->aliases[i])));
    if (typed.len >= 2 && fh_str_find(fh_str_of(m->id), typed) < strlen(m->id)) best = FH_MIN(best, 1u);
    return best;
}

size_t fh_catalog_nearest(fh_str typed, const char **ret, size_t max)
{
    const fh_catalog *c = fh_catalog_now();
    size_t n = 0;
    for (unsigned d = 0; d <= NEAR_DISTANCE; d++) {
        for (size_t i = 0; i < c->model_count && n < max; i++) {
            if (distance(c->models[i], typed) == d) ret[n++] = c->models[i]->id;
        }
    }
    return n;
}

int fh_catalog_get(fh_str id_or_alias, const fh_catalog_model **ret, fh_err **err)
{
    const fh_catalog_model *m = fh_catalog_find(id_or_alias);
    if (m) {
        *ret = m;
        return 0;
    }
    const char *near[NEAREST] = {0};
    size_t n = fh_catalog_nearest(id_or_alias, near, NEAREST);
    int rc =
        fh_err_set(err, FH_E_NOT_FOUND, "there is no model \"%.*s\" in the catalogue", (int)FH_MIN(id_or_alias.len, 128), id_or_alias.ptr);
    if (n == 0)
        fh_err_hint(err, "`freehold models` lists all");
    else
        fh_err_hint(err, "did you mean %s%s%s%s%s?", near[0], n > 2 ? ", " : "", n > 2 ? near[1] : "", n > 1 ? " or " : "",
                    n > 1 ? near[n - 1] : "");
    return rc;
}

const fh_catalog_model *fh_catalog_starter(void)
{
    const fh_catalog *c = fh_catalog_now();
    for (size_t i = 0; i < c->model_count; i++)
        if (c->models[i]->starter) return c->models[i];
    return NULL;
}

const fh_catalog_model *fh_catalog_by_sha256(const char *sha256, const fh_catalog_variant **ret_variant)
{
    const fh_catalog *c = fh_catalog_now();
    for (size_t i = 0; *sha256 && i < c->model_count; i++) {
        const fh_catalog_model *m = c->models[i];
        for (size_t k = 0; k < m->variant_count; k++) {
            if (strcmp(m->variants[k].sha256, sha256) != 0) continue;
            if (ret_variant) *ret_variant = &m->variants[k];
            return m;
        }
    }
    return NULL;
}

const fh_catalog_variant *fh_catalog_variant_find(const fh_catalog_model *m, const char *name)
{
    for (size_t i = 0; i < m->variant_count; i++) {
        if (!name || !*name || fh_str_ieq(fh_str_of(name), fh_str_of(m->variants[i].name))) return &m->variants[i];
    }
    return NULL;
}

const fh_catalog_run *fh_catalog_run_find(const fh_catalog_model *m, const char *engine, const char *variant)
{
    for (size_t i = 0; m && i < m->run_count; i++) {
        const fh_catalog_run *r = &m->runs[i];
        bool fits = !variant || !*variant || !*r->variant || fh_str_ieq(fh_str_of(variant), fh_str_of(r->variant));
        if (fits && strcmp(r->engine, engine) == 0) return r;
    }
    return NULL;
}

const fh_catalog_machine *fh_catalog_machine_find(fh_str id)
{
    const fh_catalog *c = fh_catalog_now();
    for (size_t i = 0; i < c->machine_count; i++)
        if (fh_str_ieq(id, fh_str_of(c->machines[i]->id))) return c->machines[i];
    return NULL;
}

/* ---- price lists ---- */

enum { SOLD_CHARS = 48 };

static bool skip_word(fh_str *s, const char *word)
{
    size_t n = strlen(word);
    if (s->len < n || !fh_str_ieq((fh_str){s->ptr, n}, fh_str_of(word))) return false;
    *s = (fh_str){s->ptr + n, s->len - n};
    return true;
}

/* "NVIDIA RTX-PRO-6000" -> "rtxpro6000". Too long a name becomes "", which no device has. */
static void plain_name(fh_str s, char out[SOLD_CHARS])
{
    static const char *const makers[] = {"NVIDIA", "AMD", "GeForce", "Instinct", " ", "-", "_"};
    size_t n = 0;
    for (size_t i = 0; i < FH_COUNT(makers);) i = skip_word(&s, makers[i]) ? 0 : i + 1;
    for (size_t i = 0; i < s.len && n < SOLD_CHARS; i++) {
        char c = s.ptr[i];
        if (c >= 'A' && c <= 'Z') c = (char)(c - 'A' + 'a');
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) out[n++] = c;
    }
    out[n < SOLD_CHARS ? n : 0] = '\0';
}

static bool is_sold_as(const fh_catalog_machine *m, const char *plain)
{
    char known[SOLD_CHARS];
    for (size_t i = 0; m->sold_as[i]; i++) {
        plain_name(fh_str_of(m->sold_as[i]), known);
        if (strcmp(known, plain) == 0) return true;
    }
    return false;
}

static double off_by(const fh_catalog_machine *m, double memory_gb)
{
    double usable = m->memory_usable_gb > 0 ? m->memory_usable_gb : m->memory_gb;
    if (memory_gb <= 0) return usable;
    double a = memory_gb > usable ? memory_gb - usable : usable - memory_gb;
    double b = memory_gb > m->memory_gb ? memory_gb - m->memory_gb : m->memory_gb - memory_gb;
    return FH_MIN(a, b);
}

const fh_catalog_machine *fh_catalog_machine_sold(fh_str name, double memory_gb)
{
    char plain[SOLD_CHARS];
    const fh_catalog *c = fh_catalog_now();
    const fh_catalog_machine *best = NULL;
    plain_name(name, plain);
    for (size_t i = 0; i < c->machine_count; i++) {
        const fh_catalog_machine *m = c->machines[i];
        if (is_sold_as(m, plain) && (!best || off_by(m, memory_gb) < off_by(best, memory_gb))) best = m;
    }
    return best && (memory_gb <= 0 || off_by(best, memory_gb) <= memory_gb / 6) ? best : NULL;
}
