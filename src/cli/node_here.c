/* What the verbs of a machine that is lent share (see node_here.h). */
#include "node_here.h"

#include "base/clock.h"
#include "base/mem.h"
#include "sys/cpu.h"
#include "sys/file.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define GIB 1073741824.0
enum { CPUS = CPU_SETSIZE };

int fh_node_folder(const fh_cli *c, char *out, size_t out_size, fh_err **err)
{
    const char *given = fh_cli_text(c, "data", NULL), *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    int n;
    if (given)
        n = snprintf(out, out_size, "%s", given);
    else if (data && data[0])
        n = snprintf(out, out_size, "%s/freehold-node", data);
    else if (home && home[0])
        n = snprintf(out, out_size, "%s/.local/share/freehold-node", home);
    else
        return fh_err_set(err, FH_E_USAGE, "where is this machine's folder? Neither --data nor HOME is set");
    return n < (int)out_size ? 0 : fh_err_set(err, FH_E_USAGE, "the path of the data folder is longer than %zu bytes", out_size - 1);
}

/* ---- its process ---- */

int fh_node_pid_write(const char *folder, fh_err **err)
{
    char path[1100], text[16];
    int n = snprintf(text, sizeof text, "%d\n", (int)getpid());
    int rc = fh_path_join(path, sizeof path, folder, "pid", err);
    return rc ? rc : fh_file_write_atomic(path, text, (size_t)n, 0600, err);
}

int fh_node_pid_read(const char *folder, int *ret_pid, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(32);
    char path[1100];
    uint64_t pid = 0;
    int rc = fh_path_join(path, sizeof path, folder, "pid", err);
    if (!rc) rc = fh_file_read(path, 16, &text, err);
    if (!rc && !fh_str_u64(fh_str_trim((fh_str){text.data, text.len}), INT32_MAX, &pid))
        rc = fh_err_set(err, FH_E_CORRUPT, "%s holds no number of a process", path);
    if (!rc) *ret_pid = (int)pid;
    return rc;
}

/* ---- what its owner allows ---- */

int fh_node_flag_wrong(const char *flag, const fh_err *why, fh_err **err)
{
    fh_err_set(err, FH_E_USAGE, "%s: %s", flag, fh_err_message(why));
    fh_err_hint(err, "%s", fh_err_hint_get(why));
    return FH_E_USAGE;
}

static int64_t gib_of(const fh_cli *c, const char *flag)
{
    return (int64_t)(fh_cli_real(c, flag, 0) * GIB);
}

static int read_models(const fh_cli *c, const char *flag, fh_node_models *ret, fh_err **err)
{
    FH_AUTO(fh_err) fh_err *why = NULL;
    const char *given = fh_cli_text(c, flag, NULL);
    char name[16];
    snprintf(name, sizeof name, "--%s", flag);
    return given && fh_node_models_parse(fh_str_of(given), ret, &why) ? fh_node_flag_wrong(name, why, err) : 0;
}

/* Engines, and what is said of this machine, have the processors that this process has. */
static int bound_threads(int64_t most, fh_err **err)
{
    unsigned cpus[CPUS];
    cpu_set_t set;
    size_t count = FH_MIN(fh_topo_cpus(cpus, CPUS), (size_t)CPUS);
    if (!most || (size_t)most >= count) return 0;
    CPU_ZERO(&set);
    for (size_t i = 0; i < (size_t)most; i++) CPU_SET(cpus[i], &set);
    return sched_setaffinity(0, sizeof set, &set) == 0
               ? 0
               : fh_err_errno(err, FH_E_INTERNAL, errno, "this machine's threads cannot be bounded");
}

int fh_node_owner_read(const fh_cli *c, fh_node_owner *o, fh_err **err)
{
    FH_AUTO(fh_err) fh_err *why = NULL;
    const char *hours = fh_cli_text(c, "hours", NULL);
    o->memory_bytes = gib_of(c, "max-memory");
    o->disk_bytes = gib_of(c, "max-disk");
    o->engines = fh_cli_int(c, "max-engines", 0);
    o->threads = fh_cli_int(c, "max-threads", 0);
    o->alone_ns = fh_cli_int(c, "alone", 0) * 60 * FH_NS_PER_S;
    int rc = hours && fh_node_hours_parse(fh_str_of(hours), &o->hours, &why) ? fh_node_flag_wrong("--hours", why, err) : 0;
    if (!rc) rc = read_models(c, "models", &o->models, err);
    if (!rc) rc = read_models(c, "not-models", &o->not_models, err);
    return rc ? rc : bound_threads(o->threads, err);
}
