/* Measured speeds (see server/speeds.h). */
#include "server/speeds.h"

#include "base/limits.h"
#include "base/mem.h"
#include "json/json.h"
#include "plan/rank.h"
#include "sys/file.h"

#include <stdlib.h>
#include <string.h>

#define MOST_BYTES_S 1e15

static int read_all(const char *data_dir, char *path, size_t path_size, fh_json **ret, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_CONTROL_BODY_BYTES);
    FH_AUTO(json) fh_json *all = NULL;
    int rc = fh_path_join(path, path_size, data_dir, "speeds.json", err);
    if (!rc && fh_file_exists(path)) {
        rc = fh_file_read(path, FH_LIMIT_CONTROL_BODY_BYTES, &text, err);
        if (!rc) rc = fh_json_parse(&all, (fh_str){fh_buf_cstr(&text), text.len}, FH_LIMIT_CONTROL_BODY_BYTES, err);
        if (!rc && fh_json_kind_of(all) != FH_JSON_ARRAY) rc = fh_err_set(err, FH_E_CORRUPT, "it is no list");
        if (rc) return fh_err_about(err, path);
    } else if (!rc && !(all = fh_json_new_array())) {
        rc = fh_err_nomem(err);
    }
    if (!rc) *ret = fh_take(all);
    return rc;
}

static fh_json *run_json(const fh_speed_run *run)
{
    fh_json *o = fh_json_new_object();
    bool good = fh_json_set(o, "engine", fh_json_new_cstr(run->engine)) && fh_json_set(o, "device", fh_json_new_cstr(run->device));
    good = good && fh_json_set(o, "family", fh_json_new_cstr(run->family));
    good = good && fh_json_set(o, "bandwidth_bytes", fh_json_new_real(run->bandwidth_bytes));
    good = good && fh_json_set(o, "cache_bytes", fh_json_new_real(run->cache_bytes));
    if (good && fh_json_set(o, "decode_bytes", fh_json_new_real(run->decode_bytes))) return o;
    fh_json_unref(o);
    return NULL;
}

int fh_speeds_add(const char *data_dir, const fh_speed_run *run, fh_err **err)
{
    char path[1200];
    FH_AUTO(json) fh_json *all = NULL, *kept = fh_json_new_array();
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_CONTROL_BODY_BYTES);
    int rc = kept ? read_all(data_dir, path, sizeof path, &all, err) : fh_err_nomem(err);
    if (rc) return rc;
    size_t count = fh_json_count(all), first = count >= FH_LIMIT_SPEED_RUNS ? count - FH_LIMIT_SPEED_RUNS + 1 : 0;
    bool good = true;
    for (size_t i = first; i < count; i++) good = good && fh_json_append(kept, fh_json_ref((fh_json *)fh_json_at(all, i)));
    if (!good || !fh_json_append(kept, run_json(run))) return fh_err_nomem(err);
    rc = fh_json_write_pretty(kept, &text, err);
    if (!rc) rc = fh_dir_make(data_dir, 0700, err);
    return rc ? rc : fh_file_write_atomic(path, text.data, text.len, 0600, err);
}

/* "Qwen3MoeForCausalLM" is the family that GGUF calls "qwen3moe". */
static bool is_family(fh_str gguf, const char *catalogue)
{
    fh_str name = fh_str_of(catalogue), end = FH_STR("ForCausalLM");
    if (fh_str_ends(name, end)) name.len -= end.len;
    return fh_str_ieq(gguf, name);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *sorted, size_t n)
{
    qsort(sorted, n, sizeof *sorted, by_size);
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

typedef struct measured { /* bytes a second */
    double bandwidths[FH_LIMIT_SPEED_RUNS], decodes[FH_LIMIT_SPEED_RUNS], caches[FH_LIMIT_SPEED_RUNS];
    size_t count, decode_count, cache_count;
} measured;

static void take(measured *m, const fh_json *v, bool of_family)
{
    double bandwidth = 0, decode = 0, cache = 0;
    if (m->count == FH_LIMIT_SPEED_RUNS || fh_json_read_f64(v, "bandwidth_bytes", true, 1, MOST_BYTES_S, &bandwidth, NULL)) return;
    m->bandwidths[m->count++] = bandwidth;
    if (!of_family || fh_json_read_f64(v, "decode_bytes", true, 1, MOST_BYTES_S, &decode, NULL)) return;
    m->decodes[m->decode_count++] = decode;
    if (fh_json_read_f64(v, "cache_bytes", false, 0, MOST_BYTES_S, &cache, NULL) || cache <= 0) return;
    m->caches[m->cache_count++] = cache;
}

static bool is(const fh_json *v, const char *name, const char *wanted)
{
    return fh_str_eqs(fh_json_str(fh_json_get(v, name)), wanted);
}

void fh_speeds_of(const char *data_dir, const char *engine, const char *device, const char *family, fh_speeds *ret)
{
    char path[1200];
    FH_AUTO(json) fh_json *all = NULL;
    FH_AUTO(ptr) measured *m = fh_calloc(1, sizeof *m);
    *ret = (fh_speeds){0};
    if (!m || read_all(data_dir, path, sizeof path, &all, NULL)) return;
    for (size_t i = 0; i < fh_json_count(all); i++) {
        const fh_json *v = fh_json_at(all, i);
        if (is(v, "engine", engine) && is(v, "device", device)) take(m, v, is_family(fh_json_str(fh_json_get(v, "family")), family));
    }
    double bandwidth = m->count ? median(m->bandwidths, m->count) : 0;
    ret->bandwidth_bytes = (uint64_t)bandwidth;
    if (!m->decode_count) return;
    /* All against one bandwidth, so that what decoding was seen to read is predicted however that was measured. */
    ret->runs = m->decode_count;
    if (m->cache_count) ret->cache_per_mille = (uint32_t)fh_plan_speed_per_mille(median(m->caches, m->cache_count), bandwidth);
    ret->per_mille = (uint32_t)fh_plan_speed_per_mille(median(m->decodes, m->decode_count), bandwidth);
    ret->low = (uint32_t)fh_plan_speed_per_mille(m->decodes[0], bandwidth);
    ret->high = (uint32_t)fh_plan_speed_per_mille(m->decodes[m->decode_count - 1], bandwidth);
}
