/* freehold doctor: what this machine has, what is missing, and what to do about it. */
#include "client.h"
#include "sys/cpu.h"
#include "sys/sandbox.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct findings {
    fh_cli_table *table;
    fh_json *list;
    fh_buf fixes;
    unsigned broken;
} findings;

typedef enum verdict { GOOD, NOTE, BROKEN } verdict;

static void found(findings *f, verdict v, const char *what, const char *said, const char *fix)
{
    static const char *const words[] = {"ok", "note", "missing"};
    fh_json *o = fh_json_new_object();
    const char *cells[] = {words[v], what, said};
    fh_cli_table_add(f->table, cells);
    fh_json_set(o, "state", fh_json_new_cstr(words[v]));
    fh_json_set(o, "what", fh_json_new_cstr(what));
    fh_json_set(o, "said", fh_json_new_cstr(said));
    fh_json_set(o, "fix", fh_json_new_cstr(fix));
    fh_json_append(f->list, o);
    if (fix) fh_buf_addf(&f->fixes, "- %s: %s\n", what, fix);
    f->broken += v == BROKEN;
}

static void check_cpu(findings *f)
{
    const fh_cpu *cpu = fh_cpu_get();
    const char *path = cpu->avx512vnni ? "AVX-512 VNNI" : cpu->avx2 ? "AVX2" : cpu->dotprod ? "NEON dot products" : "plain C";
    char text[256];
    snprintf(text, sizeof text, "%s; engines use %s", cpu->model[0] ? cpu->model : "unknown", path);
    bool slow = !cpu->avx2 && !cpu->dotprod;
    found(f, slow ? NOTE : GOOD, "processor", text,
          slow ? "models run, but slowly: this processor has neither AVX2 nor NEON's dot products" : NULL);
}

static void check_machine(findings *f)
{
    fh_topo t = {0};
    char text[256], all[24], available[24];
    fh_topo_read(&t);
    fh_cli_bytes(t.memory_bytes, all, sizeof all);
    fh_cli_bytes(t.memory_available_bytes, available, sizeof available);
    snprintf(text, sizeof text, "%u cores, %u threads, %u memory node%s", t.cores, t.logical, t.numa_nodes, t.numa_nodes == 1 ? "" : "s");
    found(f, GOOD, "cores", text, NULL);
    snprintf(text, sizeof text, "%s, %s free", all, available);
    bool little = t.memory_available_bytes < 1000000000;
    found(f, little ? NOTE : GOOD, "memory", text, little ? "less than 1 GB is free: only the smallest models fit" : NULL);
}

static void check_sandbox(findings *f)
{
    fh_sandbox_kind kind;
    fh_err *err = NULL;
    if (fh_sandbox_probe(&kind, &err))
        found(f, BROKEN, "sandbox", fh_err_message(err),
              fh_err_hint_get(err) ? fh_err_hint_get(err) : "install bubblewrap: apt-get install bubblewrap");
    else
        found(f, GOOD, "sandbox",
              kind == FH_SANDBOX_BUBBLEWRAP ? "bubblewrap: engines see their weights and a socket, nothing else"
                                            : "landlock: engines see their weights and a socket, no network",
              NULL);
    fh_err_free(err);
}

static void check_data(const fh_cli *c, findings *f)
{
    char data[1024];
    struct stat st;
    fh_err *err = NULL;
    if (fh_cli_data_dir(c, data, sizeof data, &err))
        found(f, BROKEN, "data folder", fh_err_message(err), "set HOME or give --data");
    else if (stat(data, &st) != 0)
        found(f, NOTE, "data folder", data, "it is not there yet; `freehold serve` makes it");
    else if (access(data, W_OK) != 0)
        found(f, BROKEN, "data folder", data, "it cannot be written: look at its owner, or give --data");
    else
        found(f, GOOD, "data folder", data, NULL);
    fh_err_free(err);
}

/* With a server: what it says; without: that it is not there. True when it answered: then its data folder is its own affair. */
static bool check_server(const fh_cli *c, findings *f)
{
    fh_cli_client s;
    fh_err *err = NULL;
    FH_AUTO(json) fh_json *machine = NULL, *weights = NULL;
    if (fh_client_open(c, &s, &err)) {
        found(f, BROKEN, "key", fh_err_message(err), "give --key-file, or set FREEHOLD_KEY_FILE");
    } else if (fh_client_call(&s, "GET", "/api/v1/machine", NULL, &machine, &err)) {
        bool away = fh_err_code(err) == FH_E_UNAVAILABLE;
        found(f, away ? NOTE : BROKEN, "server", fh_err_message(err), fh_err_hint_get(err));
    } else {
        char text[1024];
        snprintf(text, sizeof text, "%s answers, version %s, sandbox %s", s.url, fh_cli_str_of(machine, "version"),
                 fh_cli_str_of(machine, "sandbox"));
        found(f, GOOD, "server", text, NULL);
        fh_client_call(&s, "GET", "/api/v1/weights", NULL, &weights, NULL);
        size_t n = fh_json_count(fh_json_get(weights, "items"));
        snprintf(text, sizeof text, "%zu model%s", n, n == 1 ? "" : "s");
        found(f, n ? GOOD : NOTE, "weights", text,
              n ? NULL : "none are here: `make up` fetches the starter model, `freehold import FILE` takes a GGUF file in");
    }
    fh_err_free(err);
    return machine != NULL;
}

static int print_findings(const fh_cli *c, const findings *f, fh_err **err)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    if (c->json) {
        FH_AUTO(json) fh_json *o = fh_json_new_object();
        fh_json_set(o, "checks", fh_json_ref(f->list));
        fh_json_set(o, "good", fh_json_new_bool(f->broken == 0));
        return fh_cli_print_json(o, err);
    }
    fh_cli_table_write(f->table, &out);
    if (f->fixes.len) fh_buf_addf(&out, "\nWhat to do:\n%s", fh_buf_cstr(&f->fixes));
    return fh_cli_print(&out, err);
}

static int run_doctor(fh_cli *c, fh_err **err)
{
    static const fh_cli_column columns[] = {{"", FH_CLI_LEFT}, {"WHAT", FH_CLI_LEFT}, {"FOUND", FH_CLI_SHRINK}, {NULL, FH_CLI_LEFT}};
    FH_AUTO(fh_cli_table) fh_cli_table *table = fh_cli_table_new(columns);
    FH_AUTO(json) fh_json *list = fh_json_new_array();
    findings f = {.table = table, .list = list, .fixes = FH_BUF(1 << 16)};
    if (!table || !list) return fh_err_nomem(err);
    check_cpu(&f);
    check_machine(&f);
    check_sandbox(&f);
    bool answered = check_server(c, &f);
    if (!answered || fh_cli_has(c, "data")) check_data(c, &f);
    int rc = print_findings(c, &f, err);
    fh_buf_fini(&f.fixes);
    if (rc || !f.broken) return rc;
    fh_err_set(err, FH_E_CONFLICT, "%u thing%s missing", f.broken, f.broken == 1 ? " is" : "s are");
    fh_err_hint(err, "what to do is listed above");
    return FH_E_CONFLICT;
}

static const fh_cli_flag flags[] = {
    {"data", 0, FH_CLI_TEXT, "DIR", "the data folder to look at (default $XDG_DATA_HOME/freehold)", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};

const fh_cli_verb fh_verb_doctor = {
    .name = "doctor",
    .group = "About freehold",
    .summary = "what this machine has, what is missing, what to do",
    .operands = "",
    .flags = flags,
    .run = run_doctor,
};
