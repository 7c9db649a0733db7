/* What an engine's own metrics say of its load: Prometheus' text, whose names its row of the table has. */
#include "fleet_private.h"

#include "base/mem.h"
#include <string.h>

/* The value of a line "NAME 1" or "NAME{label="x"} 1" that begins with name; false for one of another name. */
static bool value_of(fh_str line, fh_str name, double *ret)
{
    if (!fh_str_starts(line, name) || line.len == name.len) return false;
    fh_str rest = {line.ptr + name.len, line.len - name.len};
    if (*rest.ptr == '{') {
        size_t end = fh_str_find(rest, FH_STR("} "));
        rest = (fh_str){rest.ptr + end + (end < rest.len), rest.len - end - (end < rest.len)};
    }
    return rest.len && *rest.ptr == ' ' && fh_str_f64(fh_str_trim(rest), ret);
}

static void add_line(fh_str line, const char *name, double *sum)
{
    double v = 0;
    if (*name && value_of(line, fh_str_of(name), &v)) *sum = (*sum < 0 ? 0 : *sum) + v;
}

void fh_load_read(const fh_catalog_engine *e, fh_str metrics, fh_load_reading *ret)
{
    *ret = (fh_load_reading){-1, -1, -1, -1, -1, -1};
    const struct {
        const char *name;
        double *to;
    } wanted[] = {{e->metric_running, &ret->running},   {e->metric_waiting, &ret->waiting},     {e->metric_kv_used, &ret->kv_used},
                  {e->metric_kv_total, &ret->kv_total}, {e->metric_generated, &ret->generated}, {e->metric_prompt, &ret->prompt}};
    while (metrics.len) {
        size_t len = fh_str_find(metrics, FH_STR("\n"));
        for (size_t i = 0; i < FH_COUNT(wanted); i++) add_line((fh_str){metrics.ptr, len}, wanted[i].name, wanted[i].to);
        len += len < metrics.len;
        metrics = (fh_str){metrics.ptr + len, metrics.len - len};
    }
    if (!*e->metric_kv_total && ret->kv_used >= 0) ret->kv_total = 1;
}

bool fh_load_busy(const fh_load_reading *r)
{
    return r && (r->running > 0 || r->waiting > 0);
}

static int64_t whole(double v)
{
    return v < 0 ? -1 : v < 1e15 ? (int64_t)(v + 0.5) : INT64_C(1000000000000000);
}

static int64_t rate(double before, double now, int64_t elapsed_ns)
{
    return before < 0 || now < before || elapsed_ns <= 0 ? -1 : whole((now - before) * 1e12 / (double)elapsed_ns);
}

void fh_load_take(fh_engine_load *load, const fh_load_reading *before, const fh_load_reading *r, int64_t elapsed_ns, int64_t now_utc_ns)
{
    *load = (fh_engine_load){.measured_utc_ns = now_utc_ns,
                             .running = whole(r->running),
                             .waiting = whole(r->waiting),
                             .kv_used_ppm = r->kv_used >= 0 && r->kv_total > 0 ? whole(r->kv_used / r->kv_total * 1e6) : -1,
                             .generated_mtok_s = before ? rate(before->generated, r->generated, elapsed_ns) : -1,
                             .prompt_mtok_s = before ? rate(before->prompt, r->prompt, elapsed_ns) : -1};
}
