/* What was measured of a machine (see pool/measured.h). */
#include "pool/measured.h"

#include "base/mem.h"
#include <stddef.h>

static const struct {
    const char *name;
    size_t offset;
} fields[] = {{"at_utc_ns", offsetof(fh_node_measured, at_utc_ns)},
              {"round_trip_us", offsetof(fh_node_measured, round_trip_us)},
              {"link_to_bytes_per_s", offsetof(fh_node_measured, to_bytes_s)},
              {"link_from_bytes_per_s", offsetof(fh_node_measured, from_bytes_s)},
              {"memory_read_bytes_per_s", offsetof(fh_node_measured, memory_bytes_s)},
              {"memory_read_claimed_bytes_per_s", offsetof(fh_node_measured, claimed_bytes_s)}};

static int64_t *field(fh_node_measured *m, size_t i)
{
    return (int64_t *)(void *)((char *)m + fields[i].offset);
}

fh_json *fh_node_measured_json(const fh_node_measured *m)
{
    fh_node_measured copy = *m;
    fh_json *o = fh_json_new_object();
    bool good = o && (!m->wrong || fh_json_set(o, "wrong", fh_json_new_bool(true)));
    for (size_t i = 0; good && i < FH_COUNT(fields); i++)
        if (*field(&copy, i)) good = fh_json_set(o, fields[i].name, fh_json_new_int(*field(&copy, i)));
    if (good) return o;
    fh_json_unref(o);
    return NULL;
}

int fh_node_measured_read(fh_node_measured *ret, const fh_json *doc, fh_err **err)
{
    fh_node_measured m = {.wrong = fh_json_is_true(fh_json_get(doc, "wrong"))};
    bool good = fh_json_kind_of(doc) == FH_JSON_OBJECT;
    for (size_t i = 0; good && i < FH_COUNT(fields); i++)
        good = fh_json_read_i64(doc, fields[i].name, false, 0, INT64_MAX, field(&m, i), NULL) == 0;
    if (!good) return fh_err_set(err, FH_E_CORRUPT, "what was measured of a machine is not well-formed");
    *ret = m;
    return 0;
}

int64_t fh_node_measured_memory(const fh_node_measured *m, int64_t claimed_bytes_s)
{
    if (m->wrong) return 0;
    return m->memory_bytes_s ? m->memory_bytes_s : claimed_bytes_s;
}
