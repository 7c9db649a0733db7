/* The catalogue that holds: the program's entries or an update's, and the user's after them. A change makes a whole new one, and one
 * pointer says which holds; what was before stays for whoever still reads it, so that nobody ever takes a lock. That costs memory for each
 * change, which is why they are counted. */
#include "sets.h"

#include "base/limits.h"
#include "catalog_private.h"
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

typedef struct set {
    fh_catalog catalog;
    const struct set *before; /* keeps what it holds reachable */
    const fh_catalog_model **models;
    const fh_catalog_machine **machines;
    fh_catalog_file **files;
    size_t file_count;
    unsigned changes;
    bool updated;
} set;

static _Atomic(const set *) now; /* NULL: the program's own */

const fh_catalog *fh_catalog_now(void)
{
    const set *s = atomic_load_explicit(&now, memory_order_acquire);
    return s ? &s->catalog : &fh_catalog_built_in;
}

/* ---- names ---- */

typedef struct entry { /* who has a name */
    const char *id, *from;
} entry;

static int clash(const char *name, const char *kind, const char *id, const char *from, fh_err **err)
{
    int rc = fh_err_set(err, FH_E_EXISTS, "%s is a name of the %s %s%s%s", name, kind, id, *from ? " in " : " of freehold's own catalogue",
                        from);
    fh_err_hint(err, "give it another id: entries of your own stand beside ours and never replace them");
    return rc;
}

/* Models and machines have names of their own; one map holds both, machines behind a blank. */
static int add_name(fh_map *names, const char *name, const fh_catalog_model *m, fh_err **err)
{
    const fh_catalog_model *other = fh_map_find(names, fh_str_of(name));
    if (other) return clash(name, "model", other->id, other->from, err);
    return fh_map_put(names, fh_str_of(name), (void *)(uintptr_t)m) ? 0 : fh_err_nomem(err);
}

static int add_model(fh_map *names, const fh_catalog_model *m, fh_err **err)
{
    int rc = add_name(names, m->id, m, err);
    for (size_t i = 0; !rc && m->aliases[i]; i++) rc = add_name(names, m->aliases[i], m, err);
    return rc;
}

static int add_machine(fh_map *names, const fh_catalog_machine *m, fh_err **err)
{
    char key[64];
    int n = snprintf(key, sizeof key, " %s", m->id);
    fh_str name = {key, (size_t)n};
    const fh_catalog_machine *other = fh_map_find(names, name);
    if (other) return clash(m->id, "machine", other->id, other->from, err);
    return fh_map_put(names, name, (void *)(uintptr_t)m) ? 0 : fh_err_nomem(err);
}

int fh_catalog_names_add(fh_map *names, const fh_catalog_file *f, fh_err **err)
{
    int rc = names ? 0 : fh_err_nomem(err);
    for (size_t i = 0; !rc && i < f->model_count; i++) rc = add_model(names, &f->models[i], err);
    for (size_t i = 0; !rc && i < f->machine_count; i++) rc = add_machine(names, &f->machines[i], err);
    return rc;
}

static int add_built_in(fh_map *names, fh_err **err)
{
    const fh_catalog *c = &fh_catalog_built_in;
    int rc = names ? 0 : fh_err_nomem(err);
    for (size_t i = 0; !rc && i < c->model_count; i++) rc = add_model(names, c->models[i], err);
    for (size_t i = 0; !rc && i < c->machine_count; i++) rc = add_machine(names, c->machines[i], err);
    return rc;
}

static int add_all(fh_map *names, const fh_catalog_file *update, fh_catalog_file *const *own, size_t count, fh_err **err)
{
    int rc = update ? fh_catalog_names_add(names, update, err) : add_built_in(names, err);
    for (size_t i = 0; !rc && i < count; i++) {
        rc = fh_catalog_names_add(names, own[i], err);
        if (rc) fh_err_add(err, "%s", own[i]->name);
    }
    return rc;
}

int fh_catalog_file_clashes(const fh_catalog_file *f, const fh_catalog_file *update, fh_catalog_file *const *others, size_t count,
                            fh_err **err)
{
    FH_AUTO(fh_map) fh_map *names = fh_map_new(NULL);
    int rc = add_all(names, update, others, count, err);
    if (!rc) rc = fh_catalog_names_add(names, f, err);
    if (rc) fh_err_about(err, f->name);
    return rc;
}

/* ---- publishing ---- */

static void set_free(set *s)
{
    if (!s) return;
    fh_free(s->models);
    fh_free(s->machines);
    fh_free(s->files);
    fh_free(s);
}
FH_DEFINE_AUTO(set, set_free);

/* Room for all, the files and the program's own. */
static set *set_new(const fh_catalog_file *update, fh_catalog_file *const *own, size_t count)
{
    const fh_catalog *base = &fh_catalog_built_in;
    size_t models = update ? update->model_count : base->model_count, machines = update ? update->machine_count : base->machine_count;
    for (size_t i = 0; i < count; i++) {
        models += own[i]->model_count;
        machines += own[i]->machine_count;
    }
    set *s = fh_calloc(1, sizeof *s);
    if (!s) return NULL;
    s->models = fh_calloc(models + 1, sizeof *s->models);
    s->machines = fh_calloc(machines + 1, sizeof *s->machines);
    s->files = fh_calloc(count + 1, sizeof *s->files);
    if (s->models && s->machines && s->files) return s;
    set_free(s);
    return NULL;
}

static void put_file(set *s, fh_catalog_file *f)
{
    for (size_t i = 0; i < f->model_count; i++) s->models[s->catalog.model_count++] = &f->models[i];
    for (size_t i = 0; i < f->machine_count; i++) s->machines[s->catalog.machine_count++] = &f->machines[i];
    s->files[s->file_count++] = f;
}

static void put_built_in(set *s)
{
    const fh_catalog *base = &fh_catalog_built_in;
    memcpy(s->models, base->models, base->model_count * sizeof *s->models);
    memcpy(s->machines, base->machines, base->machine_count * sizeof *s->machines);
    s->catalog.model_count = base->model_count;
    s->catalog.machine_count = base->machine_count;
}

static void fill(set *s, fh_catalog_file *update, fh_catalog_file *const *own, size_t count)
{
    s->updated = s->catalog.updated = update != NULL;
    s->catalog.version = update ? update->version : fh_catalog_built_in.version;
    if (update)
        put_file(s, update);
    else
        put_built_in(s);
    for (size_t i = 0; i < count; i++) put_file(s, own[i]);
    s->catalog.models = s->models;
    s->catalog.machines = s->machines;
}

static bool same(const set *a, const set *b)
{
    if (!a) return !b->updated && b->file_count == 0;
    if (a->updated != b->updated || a->file_count != b->file_count) return false;
    for (size_t i = 0; i < a->file_count; i++)
        if (a->files[i]->digest != b->files[i]->digest || strcmp(a->files[i]->name, b->files[i]->name) != 0) return false;
    return true;
}

int fh_catalog_publish(fh_catalog_file *update, fh_catalog_file *const *own, size_t count, bool *ret_changed, fh_err **err)
{
    const set *before = atomic_load_explicit(&now, memory_order_acquire);
    FH_AUTO(fh_map) fh_map *names = fh_map_new(NULL);
    int rc = add_all(names, update, own, count, err);
    if (rc) return rc;
    FH_AUTO(set) set *s = set_new(update, own, count);
    if (!s) return fh_err_nomem(err);
    fill(s, update, own, count);
    *ret_changed = !same(before, s);
    s->changes = before ? before->changes + 1 : 1;
    if (*ret_changed && s->changes > FH_LIMIT_CATALOG_CHANGES) {
        fh_err_set(err, FH_E_CONFLICT, "the catalogue changed %d times since the start", FH_LIMIT_CATALOG_CHANGES);
        fh_err_hint(err, "start again: what was read before is kept until then");
        return FH_E_CONFLICT;
    }
    if (!*ret_changed) {
        for (size_t i = 0; i < s->file_count; i++) fh_catalog_file_free(s->files[i]);
        return 0;
    }
    s->before = before;
    atomic_store_explicit(&now, fh_take(s), memory_order_release);
    return 0;
}

/* ---- versions ---- */

const char *fh_catalog_program_version(void)
{
    return fh_catalog_built_in.version;
}

static unsigned long number_of(const char *version)
{
    const char *point = strchr(version, '.');
    unsigned long n = 0;
    for (const char *p = point ? point + 1 : ""; *p >= '0' && *p <= '9' && n < 100000; p++) n = n * 10 + (unsigned long)(*p - '0');
    return n;
}

int fh_catalog_version_compare(const char *a, const char *b)
{
    int day = strncmp(a, b, sizeof "2026-11-29" - 1);
    if (day) return day;
    unsigned long x = number_of(a), y = number_of(b);
    return x < y ? -1 : x > y;
}
