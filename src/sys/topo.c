/* How the machine is laid out and how much of it is ours: hwloc's cores and caches, cut down to the affinity mask of the process, and the
 * limits of every cgroup (v2, or v1's cpu and memory controllers) that it is in. Reading never fails: what cannot be read is no limit. */
#include "sys/cpu.h"
#include "base/mem.h"

#include <fcntl.h>
#include <hwloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 4096

static bool read_text(const char *path, char *out, size_t size)
{
    FH_AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);
    if (n < 0) return false;
    out[n] = '\0';
    return true;
}

/* ---- cgroups ---- */

typedef struct limits {
    double cpus;           /* the least quota */
    uint64_t memory_bytes; /* the least maximum */
    uint64_t memory_free_bytes;
} limits;

static void limit_cpu(double quota, double period, limits *l)
{
    if (quota > 0 && period > 0) l->cpus = FH_MIN(l->cpus, quota / period);
}

/* "QUOTA PERIOD"; "max" for a quota is no number and reads as 0: no limit. */
static void limit_cpu_v2(const char *folder, limits *l)
{
    char path[PATH_BYTES], text[128], *rest;
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    if (!read_text(path, text, sizeof text)) return;
    double quota = strtod(text, &rest);
    limit_cpu(quota, strtod(rest, NULL), l);
}

static void limit_cpu_v1(const char *folder, limits *l)
{
    char path[PATH_BYTES], text[128];
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
    double quota = read_text(path, text, sizeof text) ? strtod(text, NULL) : -1;
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    double period = read_text(path, text, sizeof text) ? strtod(text, NULL) : 0;
    limit_cpu(quota, period, l);
}

static bool read_u64(const char *folder, const char *name, uint64_t *ret)
{
    char path[PATH_BYTES], text[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!read_text(path, text, sizeof text)) return false;
    char *rest;
    *ret = strtoull(text, &rest, 10);
    return rest != text; /* "max" is no number: no limit */
}

static void limit_memory(const char *folder, const char *max_name, const char *used_name, limits *l)
{
    uint64_t max, used = 0;
    if (!read_u64(folder, max_name, &max)) return;
    read_u64(folder, used_name, &used);
    l->memory_bytes = FH_MIN(l->memory_bytes, max);
    l->memory_free_bytes = FH_MIN(l->memory_free_bytes, max > used ? max - used : 0);
}

static void limit_folder(const char *folder, limits *l)
{
    limit_cpu_v2(folder, l);
    limit_cpu_v1(folder, l);
    limit_memory(folder, "memory.max", "memory.current", l);
    limit_memory(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", l);
}

/* The group and all above it bind. */
static void limit_upwards(const char *root, const char *group, limits *l)
{
    char folder[PATH_BYTES];
    if (snprintf(folder, sizeof folder, "%s%s", root, group) >= (int)sizeof folder) return;
    for (size_t n = strlen(folder); n >= strlen(root); n--) {
        if (folder[n] != '/' && folder[n] != '\0') continue;
        folder[n] = '\0';
        limit_folder(folder, l);
    }
}

/* A line of /proc/self/cgroup: id:controllers:path; v2 has no controllers. */
static void limit_line(char *line, limits *l)
{
    char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group) return;
    *controllers++ = '\0';
    *group++ = '\0';
    if (*controllers == '\0') {
        limit_upwards("/sys/fs/cgroup", group, l);
        return;
    }
    char root[PATH_BYTES];
    if (strcmp(controllers, "memory") != 0 && !strstr(controllers, "cpu")) return;
    if (snprintf(root, sizeof root, "/sys/fs/cgroup/%s", controllers) < (int)sizeof root) limit_upwards(root, group, l);
}

static limits read_limits(void)
{
    limits l = {.cpus = 1e9, .memory_bytes = UINT64_MAX, .memory_free_bytes = UINT64_MAX};
    char text[PATH_BYTES], *rest = NULL;
    if (!read_text("/proc/self/cgroup", text, sizeof text)) return l;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) limit_line(line, &l);
    return l;
}

/* ---- processors ---- */

static bool topology_load(hwloc_topology_t *ret)
{
    if (hwloc_topology_init(ret) != 0) return false;
    if (hwloc_topology_load(*ret) == 0) return true;
    hwloc_topology_destroy(*ret);
    return false;
}

static bool allowed_mask(cpu_set_t *mask)
{
    return sched_getaffinity(0, sizeof *mask, mask) == 0;
}

static bool is_allowed(const cpu_set_t *mask, int cpu)
{
    return cpu >= 0 && cpu < CPU_SETSIZE && CPU_ISSET(cpu, mask);
}

/* The nth processor of a core that we may use, or -1. */
static int core_cpu(hwloc_obj_t core, const cpu_set_t *mask, unsigned nth)
{
    int cpu;
    hwloc_bitmap_foreach_begin(cpu, core->cpuset)
    {
        if (is_allowed(mask, cpu) && nth-- == 0) return cpu;
    }
    hwloc_bitmap_foreach_end();
    return -1;
}

/* Objects of a type that hold at least one processor of ours. */
static unsigned count_ours(hwloc_topology_t t, hwloc_obj_type_t type, const cpu_set_t *mask)
{
    unsigned count = 0;
    for (hwloc_obj_t o = NULL; (o = hwloc_get_next_obj_by_type(t, type, o));) count += core_cpu(o, mask, 0) >= 0;
    return count;
}

static size_t list_siblings(hwloc_topology_t t, const cpu_set_t *mask, unsigned nth, unsigned *ret, size_t max, size_t count)
{
    for (hwloc_obj_t core = NULL; (core = hwloc_get_next_obj_by_type(t, HWLOC_OBJ_CORE, core));) {
        int cpu = core_cpu(core, mask, nth);
        if (cpu < 0) continue;
        if (count < max) ret[count] = (unsigned)cpu;
        count++;
    }
    return count;
}

/* Without hwloc: every processor counts as a core. */
static size_t list_mask(const cpu_set_t *mask, unsigned *ret, size_t max)
{
    size_t count = 0;
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, mask)) continue;
        if (count < max) ret[count] = cpu;
        count++;
    }
    return count;
}

size_t fh_topo_cpus(unsigned *ret, size_t max)
{
    cpu_set_t mask;
    hwloc_topology_t t;
    if (!allowed_mask(&mask)) return 0;
    size_t wanted = (size_t)CPU_COUNT(&mask), count = 0;
    if (topology_load(&t)) {
        for (unsigned nth = 0; nth < wanted && count < wanted; nth++) count = list_siblings(t, &mask, nth, ret, max, count);
        hwloc_topology_destroy(t);
    }
    return count == wanted ? count : list_mask(&mask, ret, max);
}

static size_t cache_bytes(hwloc_topology_t t, hwloc_obj_type_t type)
{
    hwloc_obj_t cache = hwloc_get_obj_by_type(t, type, 0);
    return cache ? (size_t)cache->attr->cache.size : 0;
}

static void read_layout(fh_topo *topo, const cpu_set_t *mask)
{
    hwloc_topology_t t;
    if (!topology_load(&t)) return;
    unsigned cores = count_ours(t, HWLOC_OBJ_CORE, mask), packages = count_ours(t, HWLOC_OBJ_PACKAGE, mask);
    if (cores) topo->cores = cores;
    if (packages) topo->packages = packages;
    int nodes = hwloc_get_nbobjs_by_type(t, HWLOC_OBJ_NUMANODE);
    if (nodes > 0) topo->numa_nodes = (unsigned)nodes;
    topo->l2_bytes = cache_bytes(t, HWLOC_OBJ_L2CACHE);
    topo->l3_bytes = cache_bytes(t, HWLOC_OBJ_L3CACHE);
    hwloc_topology_destroy(t);
}

static uint64_t meminfo_bytes(const char *text, const char *field)
{
    const char *at = strstr(text, field); /* "MemTotal:  8062672 kB" */
    return at ? strtoull(at + strlen(field), NULL, 10) * 1024 : 0;
}

static void read_memory(fh_topo *topo, const limits *l)
{
    char text[PATH_BYTES];
    if (!read_text("/proc/meminfo", text, sizeof text)) text[0] = '\0';
    topo->memory_bytes = FH_MIN(meminfo_bytes(text, "MemTotal:"), l->memory_bytes);
    topo->memory_available_bytes = FH_MIN(meminfo_bytes(text, "MemAvailable:"), l->memory_free_bytes);
}

int fh_topo_read(fh_topo *ret)
{
    cpu_set_t mask;
    if (!allowed_mask(&mask)) CPU_ZERO(&mask);
    limits l = read_limits();
    unsigned logical = (unsigned)FH_MAX(CPU_COUNT(&mask), 1);
    *ret = (fh_topo){.logical = logical, .cores = logical, .packages = 1, .numa_nodes = 1};
    read_layout(ret, &mask);
    read_memory(ret, &l);
    return 0;
}

unsigned fh_topo_threads(void)
{
    fh_topo topo;
    fh_topo_read(&topo);
    double quota = read_limits().cpus;
    if (quota < (double)topo.cores) return quota < 2 ? 1 : (unsigned)quota;
    return topo.cores;
}
