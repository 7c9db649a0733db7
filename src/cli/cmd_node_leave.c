/* freehold node leave: this machine is lent no longer. */
#include "base/clock.h"
#include "base/limits.h"
#include "node_here.h"
#include "sys/file.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <unistd.h>

/* What holds the folder's lock; FH_E_NOT_FOUND when nothing does. */
static int find_process(const char *folder, int *ret_fd, fh_err **err)
{
    FH_AUTO(fd) int lock = -1;
    int pid = 0, rc = fh_file_exists(folder) ? fh_dir_lock(folder, &lock, NULL) : 0;
    if (rc == 0) {
        fh_err_set(err, FH_E_NOT_FOUND, "this machine is in no pool now");
        fh_err_hint(err, "its folder is %s; --data names another", folder);
        return FH_E_NOT_FOUND;
    }
    rc = fh_node_pid_read(folder, &pid, err);
    if (rc) return rc;
    *ret_fd = pidfd_open(pid, 0);
    return *ret_fd >= 0 ? 0 : fh_err_errno(err, FH_E_UNAVAILABLE, errno, "the process %d cannot be reached", pid);
}

static int end_process(int fd, bool now, fh_err **err)
{
    int64_t most_ms = FH_LIMIT_NODE_LEAVE_MS + 2 * FH_LIMIT_NODE_TERM_MS;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (int times = now ? 2 : 1; times; times--) {
        if (pidfd_send_signal(fd, SIGTERM, NULL, 0) != 0 && errno != ESRCH)
            return fh_err_errno(err, FH_E_FORBIDDEN, errno, "it cannot be told to leave");
        if (times > 1) fh_sleep_ns(100 * FH_NS_PER_MS); /* two of the same kind at once would be one */
    }
    if (poll(&p, 1, (int)most_ms) == 1) return 0;
    return fh_err_set(err, FH_E_TIMEOUT, "it has not ended after %lld s", (long long)(most_ms / 1000));
}

static int run_leave(fh_cli *c, fh_err **err)
{
    FH_AUTO(fd) int fd = -1;
    char folder[1024];
    int rc = fh_node_folder(c, folder, sizeof folder, err);
    if (!rc) rc = find_process(folder, &fd, err);
    if (!rc) rc = end_process(fd, fh_cli_has(c, "now"), err);
    if (rc) return rc;
    FH_AUTO(buf) fh_buf out = FH_BUF(256);
    fh_buf_adds(&out, "this machine is lent no longer\n");
    return fh_cli_print(&out, err);
}

static const fh_cli_flag flags[] = {
    {"now", 0, FH_CLI_BOOL, NULL, "do not wait for the server to take away what runs here", 0, 0},
    {"data", 0, FH_CLI_TEXT, "DIR", "this machine's own folder (default $XDG_DATA_HOME/freehold-node)", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};

const fh_cli_verb fh_verb_node_leave = {
    .name = "node leave",
    .group = "Server",
    .summary = "end the lending of this machine, as Ctrl-C at its `node join` does",
    .operands = "",
    .about =
        "The server takes away what runs here, for up to half a minute; what is left is ended. It stays a member of the pool: `freehold "
        "node join URL` goes on. `freehold node remove`, on the server's side, puts it out for good.",
    .flags = flags,
    .run = run_leave,
    .no_json = true,
};
