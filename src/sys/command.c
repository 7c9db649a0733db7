/* Running a small program to its end, with a deadline. For what the system offers as a program only. */
#include "sys/sandbox.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Its standard streams lead nowhere; everything else of ours closes at exec. */
static int spawn_quiet(const char *const *argv, const char *const *env, pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc != 0) return rc;
    for (int fd = 0; rc == 0 && fd < 3; fd++) rc = posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
    if (rc == 0) rc = posix_spawn(ret, argv[0], &actions, NULL, (char *const *)argv, (char *const *)env);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

int fh_command_run(const char *const *argv, const char *const *env, int64_t timeout_ns, fh_err **err)
{
    pid_t pid = 0;
    int status = 0, rc = fh_fault_strikes(FH_FAULT_SPAWN) ? EAGAIN : spawn_quiet(argv, env, &pid);
    if (rc != 0) return fh_err_errno(err, FH_E_UNAVAILABLE, rc, "cannot run %s", argv[0]);
    FH_AUTO(fd) int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd ended = {fd, POLLIN, 0};
    bool in_time = fd >= 0 && poll(&ended, 1, (int)(timeout_ns / FH_NS_PER_MS)) > 0;
    if (!in_time) kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    if (!in_time) return fh_err_set(err, FH_E_TIMEOUT, "%s did not end in time", argv[0]);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
    return fh_err_set(err, FH_E_UNAVAILABLE, "%s failed with status %d", argv[0],
                      WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}
