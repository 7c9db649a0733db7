/* The settings of a Slurm cluster. Each becomes one word of sbatch's command line, so it only has to be one that Slurm can mean. */
#include "slurm_private.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>

enum { MIB = 1 << 20, NODE_MIB = 512, CPUS = 8, CPUS_MOST = 4096 };

static bool is_path(fh_str s)
{
    return s.len > 0 && s.ptr[0] == '/';
}

static bool is_time(fh_str s)
{
    int64_t seconds;
    return fh_slurm_time_parse(s, &seconds);
}

static bool is_cpus(fh_str s)
{
    uint64_t n = 0;
    return fh_str_u64(s, CPUS_MOST, &n) && n > 0;
}

static bool is_mem(fh_str s)
{
    uint64_t n = 0;
    if (s.len && strchr("KMGT", toupper((unsigned char)s.ptr[s.len - 1]))) s.len--;
    return fh_str_u64(s, INT64_MAX, &n);
}

static bool is_nodes(fh_str s)
{
    uint64_t n = 0;
    return fh_str_u64(s, FH_LIMIT_SLURM_NODES, &n) && n > 0;
}

static bool is_any(fh_str s)
{
    return true;
}

static bool is_yes(fh_str s)
{
    return fh_str_eqs(s, "yes");
}

/* It becomes a part of a path. */
static bool is_api(fh_str s)
{
    for (size_t i = 1; i < s.len; i++)
        if (!isdigit((unsigned char)s.ptr[i]) && s.ptr[i] != '.') return false;
    return s.len > 1 && s.len < 16 && s.ptr[0] == 'v';
}

typedef struct setting {
    const char *key;
    size_t offset;
    bool (*fits)(fh_str s);
    const char *form;
} setting;

#define NAMED(name, key, fits, form)                                                                                                       \
    {                                                                                                                                      \
        name, offsetof(slurm_settings, key), fits, form                                                                                    \
    }
#define SETTING(key, fits, form) NAMED(#key, key, fits, form)
static const setting settings[] = {
    SETTING(partition, is_any, "a partition's name, or several with commas"),
    SETTING(account, is_any, "an account's name"),
    SETTING(qos, is_any, "the name of a quality of service"),
    SETTING(time, is_time, "minutes, hours:minutes:seconds or days-hours"),
    SETTING(gres, is_any, "generic resources, as gpu:1"),
    SETTING(constraint, is_any, "features that the node must have"),
    SETTING(cpus, is_cpus, "a number of processors"),
    SETTING(mem, is_mem, "an amount of memory, as 64G"),
    SETTING(nodes, is_nodes, "a number of nodes, 1 to 64"),
    SETTING(folder, is_path, "an absolute path that login node and nodes share"),
    SETTING(program, is_path, "the absolute path of freehold on the cluster"),
    SETTING(scratch, is_path, "an absolute path on the nodes, for weights"),
    SETTING(user, is_any, "the user whose token slurmrestd gets"),
    SETTING(api, is_api, "a version of slurmrestd's API, as v0.0.38"),
    NAMED("plain-http", plain_http, is_yes, "yes: the token goes over the network unencrypted"),
};

static int refuse(const char *key, const char *hint, fh_err **err)
{
    fh_err_param(err, "settings.%s", key);
    fh_err_hint(err, "%s", hint);
    return FH_E_INVALID;
}

static bool is_plain(fh_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] <= ' ' || s.ptr[i] == 0x7f) return false;
    return s.len > 0 && s.len < SLURM_TEXT;
}

static int read_one(const setting *at, fh_str value, slurm_settings *ret, fh_err **err)
{
    if (!is_plain(value) || !at->fits(value)) {
        fh_err_set(err, FH_E_INVALID, "the setting %s of a Slurm cluster cannot be that", at->key);
        return refuse(at->key, at->form, err);
    }
    memcpy((char *)ret + at->offset, value.ptr, value.len);
    return 0;
}

static int unknown(fh_str key, fh_err **err)
{
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)FH_MIN(key.len, sizeof name - 1), key.ptr);
    fh_err_set(err, FH_E_INVALID, "a Slurm cluster has no setting '%s'", name);
    return refuse(name,
                  "it has partition, account, qos, time, gres, constraint, cpus, mem, nodes, folder, program, scratch, server, and with "
                  "slurmrestd user, api and plain-http",
                  err);
}

/* Without a letter it is in MiB; 0 means all that a node has, which is no number. */
static uint64_t mib_of(fh_str s)
{
    static const char letters[] = "KMGT";
    uint64_t n = 0;
    const char *unit = s.len ? strchr(letters, toupper((unsigned char)s.ptr[s.len - 1])) : NULL;
    if (unit) s.len--;
    if (!fh_str_u64(s, UINT64_C(1) << 40, &n)) return 0;
    if (unit && *unit == 'K') return (n + 1023) / 1024;
    for (const char *at = letters + 1; unit && at < unit; at++) n *= 1024;
    return n;
}

int fh_slurm_settings_read(const fh_json *o, slurm_settings *ret, fh_err **err)
{
    slurm_settings made = {0};
    void *it = NULL;
    fh_str key;
    const fh_json *value;
    int rc = 0;
    while (!rc && fh_json_next(o, &it, &key, &value)) {
        size_t i = 0;
        while (i < FH_COUNT(settings) && !fh_str_eqs(key, settings[i].key)) i++;
        if (fh_str_eqs(key, "server")) continue; /* whoever opened us has read it */
        rc = i < FH_COUNT(settings) ? read_one(&settings[i], fh_json_str(value), &made, err) : unknown(key, err);
    }
    if (rc) return rc;
    if (made.time[0]) (void)fh_slurm_time_parse(fh_str_of(made.time), &made.time_s);
    if (made.cpus[0]) (void)fh_str_u64(fh_str_of(made.cpus), CPUS_MOST, &made.cpus_number);
    if (made.nodes[0]) (void)fh_str_u64(fh_str_of(made.nodes), FH_LIMIT_SLURM_NODES, &made.nodes_number);
    made.mem_mib = mib_of(fh_str_of(made.mem));
    *ret = made;
    return 0;
}

/* Numbers with colons between them; how many there were, 0 when it is anything else. */
static size_t split(fh_str s, uint64_t ret[3])
{
    size_t n = 0;
    for (bool more = true; more; n++) {
        size_t at = fh_str_find(s, FH_STR(":"));
        if (n == 3 || !fh_str_u64((fh_str){s.ptr, at}, 1000000, &ret[n])) return 0;
        more = at < s.len;
        if (more) s = (fh_str){s.ptr + at + 1, s.len - at - 1};
    }
    return n;
}

bool fh_slurm_time_parse(fh_str s, int64_t *ret_s)
{
    uint64_t days = 0, part[3] = {0};
    size_t dash = fh_str_find(s, FH_STR("-"));
    bool has_days = dash < s.len;
    if (has_days) {
        if (!fh_str_u64((fh_str){s.ptr, dash}, 10000, &days)) return false;
        s = (fh_str){s.ptr + dash + 1, s.len - dash - 1};
    }
    size_t n = split(s, part);
    if (!n) return false;
    uint64_t seconds = has_days || n == 3 ? part[0] * 3600 + part[1] * 60 + part[2] : part[0] * 60 + part[1];
    seconds += days * 86400;
    if (seconds) *ret_s = (int64_t)seconds;
    return seconds > 0;
}

uint64_t fh_slurm_mem_mib(uint64_t need_bytes)
{
    return (need_bytes + need_bytes / 8) / MIB + NODE_MIB;
}

uint64_t fh_slurm_need_mib(const slurm_need *need, uint32_t nodes)
{
    uint64_t each = FH_MIN(need->each_bytes, need->bytes), shared = need->bytes - each;
    return fh_slurm_mem_mib(nodes > 1 ? each + shared / nodes + 1 : need->bytes);
}

static bool have_memory(const slurm_settings *set, const fh_slurm_kinds *kinds, uint32_t nodes, uint64_t mib)
{
    return set->mem_mib ? set->mem_mib >= mib : fh_slurm_kinds_nodes(kinds, set->partition, mib) >= nodes;
}

uint32_t fh_slurm_nodes_for(const slurm_need *need, const slurm_settings *set, const fh_slurm_kinds *kinds)
{
    uint32_t most = FH_MIN(FH_MAX(need->nodes_most, 1u), (uint32_t)FH_LIMIT_SLURM_NODES);
    if (set->nodes_number) return (uint32_t)FH_MIN(set->nodes_number, (uint64_t)most);
    for (uint32_t n = 1; n <= most; n++)
        if (have_memory(set, kinds, n, fh_slurm_need_mib(need, n))) return n;
    return 1;
}

/* The shorter of what the operator set and what the deployment may take; rounded up to whole minutes, Slurm's grain. */
static int64_t minutes_of(int64_t own_s, int64_t most_s)
{
    int64_t s = own_s && (!most_s || own_s <= most_s) ? own_s : most_s;
    return (s + 59) / 60;
}

slurm_shape fh_slurm_shape_of(const slurm_need *need, int64_t limit_s, const slurm_settings *set, const fh_slurm_kinds *kinds)
{
    uint32_t nodes = fh_slurm_nodes_for(need, set, kinds);
    uint64_t there = fh_slurm_kinds_cpus(kinds, set->partition);
    return (slurm_shape){.minutes = minutes_of(set->time_s, limit_s),
                         .mem_mib = set->mem[0] ? set->mem_mib : fh_slurm_need_mib(need, nodes),
                         .cpus = set->cpus_number ? set->cpus_number : FH_MIN(there, (uint64_t)CPUS),
                         .nodes = nodes};
}
