/* freehold bench --kernels: each kernel alone, and its share of what memory and arithmetic give at most. */
#include "bench.h"
#include "sys/cpu.h"

#include <stdio.h>
#include <string.h>

typedef struct report {
    bool json;
    fh_machine_speed machine;
    fh_topo topo;
    fh_cli_table *table;
    fh_buf out;
    size_t count;
} report;

void fh_bench_share(double share, char out[32])
{
    if (share > 0)
        snprintf(out, 32, "%.0f %%", share * 100);
    else
        snprintf(out, 32, "-");
}

void fh_bench_machine_line(fh_buf *out, const fh_machine_speed *m)
{
    fh_buf_addf(out, "%s, %u threads; memory reads %.1f GB/s", fh_cpu_get()->model, m->threads, m->read_bytes_per_s / 1e9);
    for (size_t i = 0; i < m->peak_count; i++)
        fh_buf_addf(out, "%s%s %.2f TOPS", i ? ", " : "; integer peak ", m->peaks[i].name, m->peaks[i].ops_per_s / 1e12);
    fh_buf_addc(out, '\n');
}

void fh_bench_machine_json(fh_buf *out, const fh_machine_speed *m, unsigned cores, uint64_t memory_bytes)
{
    const char *cpu = fh_cpu_get()->model;
    fh_buf_adds(out, "{\"cpu\":");
    fh_buf_add_json_string(out, cpu, strlen(cpu));
    fh_buf_addf(out, ",\"cores\":%u,\"threads\":%u,\"memory_bytes\":%llu,\"read_bandwidth_bytes_per_s\":%.0f,\"integer_peaks_ops_per_s\":{",
                cores, m->threads, (unsigned long long)memory_bytes, m->read_bytes_per_s);
    for (size_t i = 0; i < m->peak_count; i++) fh_buf_addf(out, "%s\"%s\":%.0f", i ? "," : "", m->peaks[i].name, m->peaks[i].ops_per_s);
    fh_buf_addc(out, '}');
}

static void take_machine(void *arg, const fh_machine_speed *m)
{
    report *r = arg;
    r->machine = *m;
    if (r->json) {
        fh_buf_adds(&r->out, "{\"machine\":");
        fh_bench_machine_json(&r->out, m, r->topo.cores, r->topo.memory_bytes);
        fh_buf_adds(&r->out, "},\"version\":\"" FH_VERSION "\",\"kernels\":[");
    } else
        fh_bench_machine_line(&r->out, m);
}

static void add_json(report *r, const fh_kernel_speed *s, double bandwidth_share, double peak_share)
{
    fh_buf_addf(&r->out,
                "%s{\"type\":\"%s\",\"isa\":\"%s\",\"rows\":%zu,\"bytes_per_second\":%.0f,\"ops_per_second\":%.0f,\"bandwidth_share\":%.4f,"
                "\"peak_share\":",
                r->count ? "," : "", s->type, s->isa, s->rows, s->bytes_per_s, s->ops_per_s, bandwidth_share);
    if (peak_share > 0)
        fh_buf_addf(&r->out, "%.4f}", peak_share);
    else
        fh_buf_adds(&r->out, "null}");
}

static bool add_cells(const report *r, const fh_kernel_speed *s, double bandwidth_share, double peak_share)
{
    char rows[32], bytes[32], ops[32], of_bandwidth[32], of_peak[32];
    snprintf(rows, sizeof rows, "%zu", s->rows);
    snprintf(bytes, sizeof bytes, "%.2f", s->bytes_per_s / 1e9);
    snprintf(ops, sizeof ops, "%.1f", s->ops_per_s / 1e9);
    fh_bench_share(bandwidth_share, of_bandwidth);
    fh_bench_share(peak_share, of_peak);
    return fh_cli_table_add(r->table, (const char *const[]){s->type, s->isa, rows, bytes, ops, of_bandwidth, of_peak});
}

static int take_kernel(void *arg, const fh_kernel_speed *s, fh_err **err)
{
    report *r = arg;
    double peak = s->peak ? fh_machine_peak_get(&r->machine, s->peak) : 0;
    double bandwidth_share = s->bytes_per_s / r->machine.read_bytes_per_s, peak_share = peak > 0 ? s->ops_per_s / peak : 0;
    if (r->json)
        add_json(r, s, bandwidth_share, peak_share);
    else if (!add_cells(r, s, bandwidth_share, peak_share))
        return fh_err_nomem(err);
    r->count++;
    return 0;
}

static int print(report *r, fh_err **err)
{
    if (r->json)
        fh_buf_adds(&r->out, "]}\n");
    else
        fh_cli_table_write(r->table, &r->out);
    int rc = fh_buf_check(&r->out, err, "the results");
    return rc ? rc : fh_cli_print(&r->out, err);
}

/* What is of a model would be left out silently. */
static int check_flags(const fh_cli *c, fh_err **err)
{
    static const char *const of_models[] = {"model",   "prompt", "generate",      "repeat",  "depth",
                                            "streams", "batch",  "deterministic", "kv-type", "record"};
    for (size_t i = 0; i < FH_COUNT(of_models); i++)
        if (fh_cli_has(c, of_models[i]))
            return fh_err_set(err, FH_E_USAGE, "--kernels measures no model, and has no use for --%s", of_models[i]);
    return 0;
}

int fh_bench_kernels(const fh_cli *c, fh_err **err)
{
    static const fh_cli_column columns[] = {{"TYPE", FH_CLI_LEFT},  {"KERNELS", FH_CLI_LEFT}, {"ROWS", FH_CLI_RIGHT},
                                            {"GB/S", FH_CLI_RIGHT}, {"GOPS", FH_CLI_RIGHT},   {"BANDWIDTH", FH_CLI_RIGHT},
                                            {"PEAK", FH_CLI_RIGHT}, {NULL, FH_CLI_LEFT}};
    int rc = check_flags(c, err);
    if (rc) return rc;
    FH_AUTO(fh_cli_table) fh_cli_table *table = fh_cli_table_new(columns);
    if (!table) return fh_err_nomem(err);
    report r = {.json = c->json, .table = table, .out = FH_BUF(1 << 20)};
    fh_topo_read(&r.topo);
    fh_kernels_watch watch = {take_machine, take_kernel, &r};
    rc = fh_kernels_measure((unsigned)fh_cli_int(c, "threads", 0), &watch, err);
    if (!rc) rc = print(&r, err);
    fh_buf_fini(&r.out);
    return rc;
}
