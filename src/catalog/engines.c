/* The table of engines, and whether a version will do. */
#include "catalog/engines.h"

#include "base/mem.h"
#include "catalog_private.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

size_t fh_catalog_engine_count(void)
{
    return fh_catalog_engine_total;
}

const fh_catalog_engine *fh_catalog_engine_at(size_t i)
{
    return i < fh_catalog_engine_total ? &fh_catalog_engines[i] : NULL;
}

const fh_catalog_engine *fh_catalog_engine_find(fh_str id)
{
    for (size_t i = 0; i < fh_catalog_engine_total; i++)
        if (fh_str_eqs(id, fh_catalog_engines[i].id)) return &fh_catalog_engines[i];
    return NULL;
}

int fh_catalog_engine_get(fh_str id, const fh_catalog_engine **ret, fh_err **err)
{
    const fh_catalog_engine *e = id.len ? fh_catalog_engine_find(id) : fh_catalog_engine_at(0);
    char all[256] = "";
    if (e) {
        *ret = e;
        return 0;
    }
    for (size_t i = 0, n = 0; i < fh_catalog_engine_total && n < sizeof all; i++)
        n += (size_t)snprintf(all + n, sizeof all - n, "%s%s", i ? ", " : "", fh_catalog_engines[i].id);
    int rc = fh_err_set(err, FH_E_NOT_FOUND, "there is no engine \"%.*s\"", (int)FH_MIN(id.len, (size_t)64), id.ptr);
    fh_err_hint(err, "engines are %s", all);
    return rc;
}

bool fh_catalog_engine_takes(const fh_catalog_engine *e, const char *format)
{
    for (size_t i = 0; e->formats[i]; i++)
        if (strcmp(e->formats[i], format) == 0) return true;
    return false;
}

static bool computes(const fh_catalog_engine *e, const char *architecture)
{
    bool found = !*architecture || !e->architectures[0];
    for (size_t i = 0; e->architectures[i] && !found; i++) found = strcmp(e->architectures[i], architecture) == 0;
    return found;
}

int fh_catalog_engine_computes(const fh_catalog_engine *e, const char *architecture, fh_err **err)
{
    char list[256] = "";
    const fh_catalog_engine *other = NULL;
    if (computes(e, architecture)) return 0;
    for (size_t i = 0, n = 0; e->architectures[i] && n < sizeof list; i++)
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", e->architectures[i]);
    for (size_t i = 0; i < fh_catalog_engine_total && !other; i++)
        if (fh_catalog_engine_takes(&fh_catalog_engines[i], e->formats[0]) && computes(&fh_catalog_engines[i], architecture))
            other = &fh_catalog_engines[i];
    int rc = fh_err_set(err, FH_E_UNSUPPORTED, "%s computes models of the architectures %s, not of %.63s", e->name, list, architecture);
    if (other) fh_err_hint(err, "%s takes it, where it is installed: --engine %s", other->name, other->id);
    return rc;
}

static bool keeps(const fh_catalog_engine *e, const char *kv_type)
{
    for (size_t i = 0; e->kv_types[i]; i++)
        if (strcmp(e->kv_types[i], kv_type) == 0) return true;
    return false;
}

int fh_catalog_engine_keeps(const fh_catalog_engine *e, const char *kv_type, fh_err **err)
{
    char others[128] = "";
    if (!*kv_type || keeps(e, kv_type)) return 0;
    for (size_t i = 0, n = 0; i < fh_catalog_engine_total && n < sizeof others; i++)
        if (keeps(&fh_catalog_engines[i], kv_type))
            n += (size_t)snprintf(others + n, sizeof others - n, "%s--engine %s", n ? " or " : "", fh_catalog_engines[i].id);
    int rc = fh_err_set(err, FH_E_UNSUPPORTED, "%s cannot be told to keep its cache as %.16s", e->name, kv_type);
    fh_err_hint(err, "leave the type of its cache out%s%s", *others ? ", or run a GGUF file of the model by " : "", others);
    return rc;
}

bool fh_catalog_engine_is_own(const fh_catalog_engine *e)
{
    return !*e->program;
}

bool fh_catalog_engine_spreads(const fh_catalog_engine *e)
{
    return e->rank_arguments[0] != NULL;
}

/* ---- versions ---- */

/* "0.32.0" at p: digits with single points between them; how long it is. */
static size_t number_length(fh_str s)
{
    size_t n = 0;
    while (n < s.len &&
           (isdigit((unsigned char)s.ptr[n]) || (s.ptr[n] == '.' && n && n + 1 < s.len && isdigit((unsigned char)s.ptr[n + 1]))))
        n++;
    return n;
}

/* The version that the answer names: what follows the first of the marks that is there with a number behind it. */
static fh_str find_version(const fh_catalog_engine *e, fh_str said)
{
    for (size_t i = 0; e->version_after[i]; i++) {
        fh_str mark = fh_str_of(e->version_after[i]);
        size_t at = fh_str_find(said, mark);
        if (at == said.len) continue;
        fh_str rest = {said.ptr + at + mark.len, said.len - at - mark.len};
        rest.len = FH_MIN(number_length(rest), (size_t)31);
        if (rest.len) return rest;
    }
    return (fh_str){"", 0};
}

static uint64_t next_part(fh_str *s)
{
    uint64_t v = 0;
    while (s->len && isdigit((unsigned char)*s->ptr)) {
        v = v > UINT32_MAX ? v : v * 10 + (uint64_t)(*s->ptr - '0');
        s->ptr++;
        s->len--;
    }
    if (s->len) s->ptr++, s->len--; /* the point */
    return v;
}

static int compare_versions(fh_str a, fh_str b)
{
    while (a.len || b.len) {
        uint64_t x = next_part(&a), y = next_part(&b);
        if (x != y) return x < y ? -1 : 1;
    }
    return 0;
}

static int too_old(const fh_catalog_engine *e, const char *least, const char *version, fh_err **err)
{
    int rc = fh_err_set(err, FH_E_UNSUPPORTED, "%s is there in version %s; it knows this model from %s on", e->name, version, least);
    fh_err_hint(err, "install that version or a later one (below %s), and name it: freehold serve --engine %s=PROGRAM", e->version_below,
                e->id);
    return rc;
}

int fh_engine_version_check(const fh_catalog_engine *e, const char *least, fh_str said, char ret_version[32], fh_err **err)
{
    fh_str v = find_version(e, said);
    snprintf(ret_version, 32, "%.*s", (int)v.len, v.ptr);
    if (v.len && compare_versions(v, fh_str_of(e->version_least)) >= 0 && compare_versions(v, fh_str_of(e->version_below)) < 0)
        return least && compare_versions(v, fh_str_of(least)) < 0 ? too_old(e, least, ret_version, err) : 0;
    int rc = v.len ? fh_err_set(err, FH_E_UNSUPPORTED, "%s is there in version %s; freehold knows it from %s to below %s", e->name,
                                ret_version, e->version_least, e->version_below)
                   : fh_err_set(err, FH_E_UNSUPPORTED, "what is there does not say that it is %s of version %s to below %s", e->name,
                                e->version_least, e->version_below);
    fh_err_hint(err, "install a version between them (tested with %s), and name it: freehold serve --engine %s=PROGRAM",
                *e->version_tested ? e->version_tested : "none yet", e->id);
    return rc;
}
