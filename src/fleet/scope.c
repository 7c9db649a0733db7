/* Under systemd an engine gets a scope of its own, so that it is no part of the server's service: stopping or restarting the service leaves
 * it alone, and its memory is counted apart. The manager that started us is asked, through busctl: the system's when we are root, else the
 * user's. A service that runs as a user of its own may not make scopes; there the unit's KillMode=process lets engines live on. Without
 * systemd nothing is done. */
#include "fleet_private.h"

#include "base/clock.h"
#include "base/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SCOPE_NS      (5 * FH_NS_PER_S)
#define PROCESSES_MAX 8

static bool under_systemd(void)
{
    return getenv("INVOCATION_ID") && access("/run/systemd/system", F_OK) == 0;
}

/* StartTransientUnit(name, mode, properties: PIDs and Description, auxiliary units: none) */
static int ask_manager(const char *unit, const char *description, const pid_t *pids, size_t count, fh_err **err)
{
    char numbers[PROCESSES_MAX][16], count_text[16], runtime[128];
    const char *argv[24 + PROCESSES_MAX];
    size_t n = 0;
    const char *const head[] = {"/usr/bin/busctl",
                                getuid() == 0 ? "--system" : "--user",
                                "call",
                                "org.freedesktop.systemd1",
                                "/org/freedesktop/systemd1",
                                "org.freedesktop.systemd1.Manager",
                                "StartTransientUnit",
                                "ssa(sv)a(sa(sv))",
                                unit,
                                "fail",
                                "2",
                                "Description",
                                "s",
                                description,
                                "PIDs",
                                "au"};
    for (size_t i = 0; i < FH_COUNT(head); i++) argv[n++] = head[i];
    snprintf(count_text, sizeof(count_text), "%zu", count);
    argv[n++] = count_text;
    for (size_t i = 0; i < count; i++) {
        snprintf(numbers[i], sizeof(numbers[i]), "%d", (int)pids[i]);
        argv[n++] = numbers[i];
    }
    argv[n++] = "0";
    argv[n] = NULL;
    snprintf(runtime, sizeof(runtime), "XDG_RUNTIME_DIR=/run/user/%u", (unsigned)getuid());
    const char *const env[] = {"PATH=/usr/bin:/bin", "LC_ALL=C", runtime, NULL};
    return fh_command_run(argv, env, SCOPE_NS, err);
}

void fh_here_own_scope(const char *deployment, int64_t act, const char *socket_path)
{
    char marker[128], unit[128], description[128];
    pid_t pids[PROCESSES_MAX];
    fh_err *err = NULL;
    if (!under_systemd()) return;
    snprintf(unit, sizeof(unit), "freehold-%s-%lld.scope", deployment, (long long)act);
    snprintf(description, sizeof(description), "freehold engine of deployment %s", deployment);
    snprintf(marker, sizeof(marker), "unix:%s", socket_path);
    size_t count = fh_process_list(marker, pids, PROCESSES_MAX);
    if (count == 0) count = fh_process_list(socket_path, pids, PROCESSES_MAX); /* as engines of others are told it */
    if (count == 0 || ask_manager(unit, description, pids, FH_MIN(count, (size_t)PROCESSES_MAX), &err) == 0) return;
    fh_log_err(FH_LOG_INFO, "fleet", err, "deployment=%s its engine stays in the server's own unit", deployment);
    fh_err_free(err);
}
