/* What a machine says of itself (see pool/facts.h). */
#include "pool/facts.h"
#include "base/clock.h"
#include "base/limits.h"
#include "sys/cpu.h"
#include "sys/memory_speed.h"
#include "sys/sandbox.h"

#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define TOOL_NS (10 * FH_NS_PER_S)
#define MIB     1048576LL
enum { ARRAY_LEAST = 64 << 20, ARRAY_MOST = 512 << 20, TOOL_BYTES = 1 << 20 };

/* ---- GPUs ---- */

static void add_gpu(fh_json *gpus, fh_str name, const char *found_by, int64_t bytes, int64_t free_bytes)
{
    if (!name.len || bytes <= 0 || fh_json_count(gpus) >= FH_LIMIT_NODE_GPUS) return;
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "name", fh_json_new_str(name));
    fh_json_set(o, "memory_bytes", fh_json_new_int(bytes));
    fh_json_set(o, "memory_free_bytes", fh_json_new_int(free_bytes));
    fh_json_set(o, "found_by", fh_json_new_cstr(found_by));
    fh_json_append(gpus, o);
}

/* "NVIDIA H200, 143771, 143160": the name, and mebibytes in all and free. */
static void add_line(fh_json *gpus, fh_str line)
{
    fh_str parts[3] = {{NULL, 0}};
    uint64_t all, unused;
    for (size_t i = 0; i < FH_COUNT(parts); i++) {
        size_t comma = fh_str_find(line, FH_STR(","));
        parts[i] = fh_str_trim((fh_str){line.ptr, comma});
        line = (fh_str){line.ptr + FH_MIN(comma + 1, line.len), line.len - FH_MIN(comma + 1, line.len)};
    }
    if (fh_str_u64(parts[1], UINT32_MAX, &all) && fh_str_u64(parts[2], UINT32_MAX, &unused))
        add_gpu(gpus, parts[0], "nvidia-smi", (int64_t)all * MIB, (int64_t)unused * MIB);
}

void fh_facts_nvidia(fh_json *gpus, fh_str csv)
{
    while (csv.len) {
        size_t end = fh_str_find(csv, FH_STR("\n"));
        add_line(gpus, (fh_str){csv.ptr, end});
        end = FH_MIN(end + 1, csv.len);
        csv = (fh_str){csv.ptr + end, csv.len - end};
    }
}

static int64_t number_of(const fh_json *card, const char *name)
{
    uint64_t n;
    return fh_str_u64(fh_json_str(fh_json_get(card, name)), INT64_MAX, &n) ? (int64_t)n : 0;
}

/* An object with a member a card, whose members are texts. */
void fh_facts_rocm(fh_json *gpus, fh_str text)
{
    FH_AUTO(json) fh_json *doc = NULL;
    void *it = NULL;
    fh_str key;
    const fh_json *card;
    if (fh_json_parse(&doc, text, TOOL_BYTES, NULL)) return;
    while (fh_json_next(doc, &it, &key, &card)) {
        fh_str name = fh_json_str(fh_json_get(card, "Card Series"));
        if (!name.len) name = fh_json_str(fh_json_get(card, "Card series"));
        int64_t all = number_of(card, "VRAM Total Memory (B)");
        add_gpu(gpus, name, "rocm-smi", all, FH_MAX(all - number_of(card, "VRAM Total Used Memory (B)"), (int64_t)0));
    }
}

typedef struct tool {
    const char *const *places; /* NULL-terminated */
    const char *arguments[6];
    void (*read)(fh_json *gpus, fh_str text);
} tool;

static void ask_tool(const tool *t, fh_json *gpus)
{
    static const char *const env[] = {"LC_ALL=C", "PATH=/usr/bin:/bin", NULL};
    const char *const *place = t->places, *argv[8] = {NULL};
    FH_AUTO(buf) fh_buf out = FH_BUF(TOOL_BYTES);
    while (*place && access(*place, X_OK) != 0) place++;
    if (!*place) return;
    argv[0] = *place;
    for (size_t i = 0; i < FH_COUNT(t->arguments); i++) argv[i + 1] = t->arguments[i];
    if (fh_command_read(argv, env, TOOL_NS, &out, NULL) == 0) t->read(gpus, (fh_str){fh_buf_cstr(&out), out.len});
}

static fh_json *gpus_json(void)
{
    static const char *const nvidia[] = {"/usr/bin/nvidia-smi", "/usr/local/bin/nvidia-smi", "/usr/local/nvidia/bin/nvidia-smi",
                                         "/usr/lib/wsl/lib/nvidia-smi", NULL};
    static const char *const rocm[] = {"/opt/rocm/bin/rocm-smi", "/usr/bin/rocm-smi", NULL};
    static const tool tools[] = {
        {nvidia, {"--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"}, fh_facts_nvidia},
        {rocm, {"--showproductname", "--showmeminfo", "vram", "--json"}, fh_facts_rocm},
    };
    fh_json *gpus = fh_json_new_array();
    for (size_t i = 0; i < FH_COUNT(tools); i++) ask_tool(&tools[i], gpus);
    return gpus;
}

/* ---- the machine ---- */

static fh_json *isa_json(void)
{
    fh_json *list = fh_json_new_array();
    const char *name;
    for (size_t i = 0; fh_cpu_isa_next(&i, &name);) fh_json_append(list, fh_json_new_cstr(name));
    return list;
}

static void set_machine(fh_json *o, const fh_topo *t)
{
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    fh_json_set(o, "version", fh_json_new_cstr(FH_VERSION));
    fh_json_set(o, "host", fh_json_new_cstr(host));
    fh_json_set(o, "cpu", fh_json_new_cstr(fh_cpu_get()->model));
    fh_json_set(o, "isa", isa_json());
    fh_json_set(o, "cores", fh_json_new_int(t->cores));
    fh_json_set(o, "threads", fh_json_new_int(t->logical));
    fh_json_set(o, "numa_nodes", fh_json_new_int(t->numa_nodes));
    fh_json_set(o, "memory_bytes", fh_json_new_int((int64_t)t->memory_bytes));
    fh_json_set(o, "memory_free_bytes", fh_json_new_int((int64_t)t->memory_available_bytes));
}

static void set_disk(fh_json *o, const char *folder)
{
    struct statvfs v;
    if (statvfs(folder, &v) == 0) fh_json_set(o, "disk_free_bytes", fh_json_new_int((int64_t)(v.f_bavail * v.f_frsize)));
}

/* Four times the last cache; where there is little memory, a quarter of what is free. */
static int set_speed(fh_json *o, const fh_topo *t, fh_err **err)
{
    fh_pool *p;
    double speed;
    size_t bytes = FH_MIN(FH_MAX(4 * t->l3_bytes, (size_t)ARRAY_LEAST), (size_t)ARRAY_MOST);
    bytes = FH_MIN(bytes, (size_t)FH_MAX(t->memory_available_bytes / 4, (uint64_t)MIB));
    int rc = fh_pool_new(&p, 0, err);
    if (rc) return rc;
    char how[160];
    snprintf(how, sizeof how, "%u threads read %lld MiB 12 times, the best pass", fh_pool_count(p), (long long)bytes / MIB);
    rc = fh_memory_read_speed(p, bytes, &speed, err);
    fh_pool_free(p);
    if (rc) return rc;
    fh_json_set(o, "memory_read_bytes_per_s", fh_json_new_int((int64_t)speed));
    fh_json_set(o, "memory_read_how", fh_json_new_cstr(how));
    return 0;
}

int fh_facts_read(fh_json **ret, const char *folder, fh_err **err)
{
    fh_topo topo = {0};
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    if (!o) return fh_err_nomem(err);
    fh_topo_read(&topo);
    set_machine(o, &topo);
    set_disk(o, folder);
    int rc = set_speed(o, &topo, err);
    if (rc) return rc;
    fh_json_set(o, "gpus", gpus_json());
    *ret = fh_take(o);
    return 0;
}
