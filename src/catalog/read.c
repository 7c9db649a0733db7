/* Entries of a file: JSON that follows the schema becomes the structs of catalog.h, by tables that say which member goes where. What a file
 * leaves out is 0 or "". */
#include "read.h"

#include "base/limits.h"
#include "base/mem.h"
#include <stddef.h>
#include <string.h>

typedef enum kind { TEXT, FLAG, U32, U64, I64, REAL, WORDS, COMMAS, SEMICOLONS } kind;
typedef struct field {
    const char *path; /* "licence.allows.use" */
    kind kind;
    size_t at;
} field;

#define M(path, kind, member)                                                                                                              \
    {                                                                                                                                      \
        path, kind, offsetof(fh_catalog_model, member)                                                                                     \
    }
static const field model_fields[] = {M("id", TEXT, id),
                                     M("name", TEXT, name),
                                     M("aliases", WORDS, aliases),
                                     M("maker", TEXT, maker),
                                     M("repo", TEXT, repo),
                                     M("released", TEXT, released),
                                     M("tier", TEXT, tier),
                                     M("rank", U32, rank),
                                     M("starter", FLAG, starter),
                                     M("runs_here", FLAG, runs_here),
                                     M("licence.name", TEXT, licence),
                                     M("licence.summary", TEXT, licence_summary),
                                     M("licence.allows.use", TEXT, allows_use),
                                     M("licence.allows.change", TEXT, allows_change),
                                     M("licence.allows.sell", TEXT, allows_sell),
                                     M("licence.allows.serve", TEXT, allows_serve),
                                     M("params_total_b", REAL, params_total_b),
                                     M("params_active_b", REAL, params_active_b),
                                     M("attention", TEXT, attention),
                                     M("architecture", TEXT, architecture),
                                     M("layers", U32, layers),
                                     M("heads", U32, heads),
                                     M("modalities", COMMAS, modalities),
                                     M("context_tok", I64, context_tok),
                                     M("memory.kv_bytes_per_tok", U64, kv_bytes_per_tok),
                                     M("memory.kv_fixed_bytes", U64, kv_fixed_bytes),
                                     M("memory.rule", TEXT, kv_rule),
                                     M("hardware", SEMICOLONS, hardware),
                                     M("notes", TEXT, notes)};
#undef M
#define V(path, kind)                                                                                                                      \
    {                                                                                                                                      \
#path, kind, offsetof(fh_catalog_variant, path)                                                                                    \
    }
static const field variant_fields[] = {V(name, TEXT), V(format, TEXT), V(repo, TEXT), V(bytes, U64),  V(bytes_exact, FLAG),
                                       V(gguf, FLAG), V(sha256, TEXT), V(file, TEXT), V(source, TEXT)};
#undef V
#define R(path, kind)                                                                                                                      \
    {                                                                                                                                      \
#path, kind, offsetof(fh_catalog_run, path)                                                                                        \
    }
static const field run_fields[] = {R(engine, TEXT),       R(variant, TEXT),    R(least, TEXT),  R(image, TEXT),  R(package, TEXT),
                                   R(revision, TEXT),     R(arguments, WORDS), R(devices, U32), R(device, TEXT), R(host_arguments, WORDS),
                                   R(environment, WORDS), R(state, TEXT),      R(source, TEXT), R(notes, TEXT)};
#undef R
#define S(path, kind)                                                                                                                      \
    {                                                                                                                                      \
#path, kind, offsetof(fh_catalog_score, path)                                                                                      \
    }
static const field score_fields[] = {S(benchmark, TEXT),  S(harness, TEXT),    S(date, TEXT),    S(source, TEXT),    S(score, REAL),
                                     S(best_score, REAL), S(best_model, TEXT), S(percent, REAL), S(best_date, TEXT), S(variant, TEXT)};
#undef S
#define C(path)                                                                                                                            \
    {                                                                                                                                      \
#path, U32, offsetof(fh_catalog_cache, path)                                                                                       \
    }
static const field cache_fields[] = {C(layers), C(heads), C(key), C(value), C(window), C(ratio), C(conv), C(row_bytes), C(row_bytes_8bit)};
#undef C
#define H(path, kind)                                                                                                                      \
    {                                                                                                                                      \
#path, kind, offsetof(fh_catalog_machine, path)                                                                                    \
    }
static const field machine_fields[] = {H(id, TEXT),          H(name, TEXT),        H(vendor, TEXT),           H(kind, TEXT),
                                       H(sold_as, WORDS),    H(memory_gb, REAL),   H(memory_usable_gb, REAL), H(memory_bandwidth_gbs, REAL),
                                       H(bf16_tflops, REAL), H(fp8_tflops, REAL),  H(fp4_tflops, REAL),       H(int8_tops, REAL),
                                       H(tdp_w, REAL),       H(memory_type, TEXT), H(interconnect, TEXT),     H(notes, TEXT)};
#undef H

/* ---- single members; false, or NULL: memory is out ---- */

static const fh_json *at_path(const fh_json *o, const char *path)
{
    char key[64];
    for (const char *dot; (dot = strchr(path, '.')); path = dot + 1) {
        size_t n = FH_MIN((size_t)(dot - path), sizeof key - 1);
        memcpy(key, path, n);
        key[n] = '\0';
        o = fh_json_get(o, key);
    }
    return fh_json_get(o, path);
}

static const char *text_of(fh_arena *a, const fh_json *v)
{
    fh_str s = fh_json_str(v);
    return s.len ? fh_arena_strndup(a, s.ptr, s.len) : "";
}

static const char *const *words_of(fh_arena *a, const fh_json *list)
{
    size_t n = fh_json_count(list);
    const char **words = fh_arena_array(a, n + 1, sizeof *words);
    for (size_t i = 0; words && i < n; i++)
        if (!(words[i] = text_of(a, fh_json_at(list, i)))) return NULL;
    return words;
}

static const char *joined(fh_arena *a, const fh_json *list, const char *between)
{
    FH_AUTO(buf) fh_buf all = FH_BUF(FH_LIMIT_CATALOG_FILE_BYTES);
    for (size_t i = 0; i < fh_json_count(list); i++) fh_buf_addf(&all, "%s%s", i ? between : "", fh_json_str(fh_json_at(list, i)).ptr);
    return fh_buf_ok(&all) ? fh_arena_strndup(a, fh_buf_cstr(&all), all.len) : NULL;
}

static void set_number(const fh_json *v, kind k, void *to)
{
    int64_t n = fh_json_int(v, 0);
    if (k == REAL)
        *(double *)to = fh_json_num(v, 0);
    else if (k == U32)
        *(uint32_t *)to = (uint32_t)n;
    else if (k == FLAG)
        *(bool *)to = fh_json_is_true(v);
    else
        *(int64_t *)to = n; /* U64 too: the schema allows none below 0 */
}

static bool set_field(fh_arena *a, const fh_json *v, const field *f, void *to)
{
    const char **text = to;
    switch (f->kind) {
    case TEXT: return (*text = text_of(a, v)) != NULL;
    case COMMAS: return (*text = joined(a, v, ", ")) != NULL;
    case SEMICOLONS: return (*text = joined(a, v, "; ")) != NULL;
    case WORDS: return (*(const char *const **)to = words_of(a, v)) != NULL;
    case FLAG:
    case U32:
    case U64:
    case I64:
    case REAL: break;
    }
    set_number(v, f->kind, to);
    return true;
}

static bool set_fields(fh_arena *a, const fh_json *o, const field *fields, size_t count, void *to)
{
    for (size_t i = 0; i < count; i++)
        if (!set_field(a, at_path(o, fields[i].path), &fields[i], (char *)to + fields[i].at)) return false;
    return true;
}

/* ---- lists ---- */

static bool set_list(fh_arena *a, const fh_json *list, const field *fields, size_t field_count, size_t size, const void **ret,
                     size_t *ret_count)
{
    size_t n = fh_json_count(list);
    char *all = n ? fh_arena_array(a, n, size) : NULL;
    if (n && !all) return false;
    for (size_t i = 0; i < n; i++)
        if (!set_fields(a, fh_json_at(list, i), fields, field_count, all + i * size)) return false;
    *ret = all;
    *ret_count = n;
    return true;
}

static bool set_caches(fh_arena *a, const fh_json *list, fh_catalog_model *m)
{
    const void *all = NULL;
    if (!set_list(a, list, cache_fields, FH_COUNT(cache_fields), sizeof(fh_catalog_cache), &all, &m->cache_count)) return false;
    fh_catalog_cache *caches = (fh_catalog_cache *)(uintptr_t)all;
    for (size_t i = 0; i < m->cache_count; i++)
        for (int k = FH_CACHE_GQA; k <= FH_CACHE_STATE; k++)
            if (fh_str_eqs(fh_json_str(fh_json_get(fh_json_at(list, i), "kind")), fh_cache_kind_name((fh_cache_kind)k)))
                caches[i].kind = (fh_cache_kind)k;
    m->caches = caches;
    return true;
}

static void set_licence_class(const fh_json *o, fh_catalog_model *m)
{
    m->licence_class = FH_LICENCE_ASK;
    for (int k = FH_LICENCE_FREE; k <= FH_LICENCE_RESTRICTED; k++)
        if (fh_str_eqs(fh_json_str(at_path(o, "licence.class")), fh_licence_name((fh_licence)k))) m->licence_class = (fh_licence)k;
}

static void fill_unknown(fh_catalog_model *m)
{
    const char **allows[] = {&m->allows_use, &m->allows_change, &m->allows_sell, &m->allows_serve};
    for (size_t i = 0; i < FH_COUNT(allows); i++)
        if (!**allows[i]) *allows[i] = "unknown";
    if (!*m->modalities) m->modalities = "text";
}

bool fh_catalog_model_read(fh_arena *a, const fh_json *o, const char *from, fh_catalog_model *ret)
{
    const void *list = NULL;
    bool good = set_fields(a, o, model_fields, FH_COUNT(model_fields), ret) && set_caches(a, at_path(o, "memory.caches"), ret);
    good = good && set_list(a, fh_json_get(o, "variants"), variant_fields, FH_COUNT(variant_fields), sizeof(fh_catalog_variant), &list,
                            &ret->variant_count);
    ret->variants = ret->variant_count ? list : NULL;
    good = good && set_list(a, fh_json_get(o, "runs"), run_fields, FH_COUNT(run_fields), sizeof(fh_catalog_run), &list, &ret->run_count);
    ret->runs = ret->run_count ? list : NULL;
    good = good &&
           set_list(a, fh_json_get(o, "scores"), score_fields, FH_COUNT(score_fields), sizeof(fh_catalog_score), &list, &ret->score_count);
    ret->scores = ret->score_count ? list : NULL;
    if (!good) return false;
    ret->from = from;
    set_licence_class(o, ret);
    fill_unknown(ret);
    return true;
}

bool fh_catalog_machine_read(fh_arena *a, const fh_json *o, const char *from, fh_catalog_machine *ret)
{
    ret->from = from;
    return set_fields(a, o, machine_fields, FH_COUNT(machine_fields), ret);
}
