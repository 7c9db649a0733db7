/* Reading what providers say: their numbers are JSON reals, which become integers here and nowhere else. */
#include "call.h"

#include "base/clock.h"
#include "catalog/catalog.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

#define MOST_DOLLARS 1e6 /* an hour: more is a mistake */

void fh_rent_text(char *out, size_t out_size, const fh_json *v)
{
    fh_str s = fh_json_str(v);
    if (fh_json_kind_of(v) == FH_JSON_INT)
        snprintf(out, out_size, "%" PRId64, fh_json_int(v, 0));
    else
        snprintf(out, out_size, "%.*s", (int)FH_MIN(s.len, out_size - 1), s.ptr ? s.ptr : "");
}

int64_t fh_rent_micro(const fh_json *dollars)
{
    double d = fh_json_num(dollars, 0);
    return d > 0 && d <= MOST_DOLLARS ? (int64_t)llround(d * MICRO) : 0;
}

uint64_t fh_rent_gb(const fh_json *v, uint64_t unit_bytes)
{
    double n = fh_json_num(v, 0);
    return n > 0 && n < 1e9 ? (uint64_t)(n * (double)unit_bytes) : 0;
}

/* "2026-11-24T00:31:07...": the part at `from`, 0 when it is no number. */
static int part(fh_str text, size_t from, size_t len)
{
    uint64_t n = 0;
    return fh_str_u64((fh_str){text.ptr + from, len}, 9999, &n) ? (int)n : 0;
}

int64_t fh_rent_utc(const fh_json *v)
{
    double seconds = fh_json_num(v, 0);
    fh_str text = fh_json_str(v);
    if (seconds > 0 && seconds < 9e9) return (int64_t)(seconds * (double)FH_NS_PER_S);
    if (text.len < 19 || text.ptr[4] != '-' || text.ptr[10] != 'T') return 0;
    struct tm tm = {.tm_year = part(text, 0, 4) - 1900,
                    .tm_mon = part(text, 5, 2) - 1,
                    .tm_mday = part(text, 8, 2),
                    .tm_hour = part(text, 11, 2),
                    .tm_min = part(text, 14, 2),
                    .tm_sec = part(text, 17, 2)};
    time_t t = timegm(&tm);
    return t > 0 ? (int64_t)t * FH_NS_PER_S : 0;
}

void fh_rent_device_of(const char *gpu, uint64_t memory_bytes, char out[32])
{
    const fh_catalog_machine *m = fh_catalog_machine_sold(fh_str_of(gpu), (double)memory_bytes / 1e9);
    snprintf(out, 32, "%s", m ? m->id : "");
}

uint64_t fh_rent_device_bytes(const char *device)
{
    const fh_catalog_machine *m = fh_catalog_machine_find(fh_str_of(device));
    return m && m->memory_gb > 0 ? (uint64_t)(m->memory_gb * 1e9) : 0;
}
