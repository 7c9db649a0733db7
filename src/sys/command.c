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

/* Its standard streams lead nowhere, but for the output where one is wanted; everything else of ours closes at exec. */
static int spawn_quiet(const char *const *argv, const char *const *env, int out_fd, pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc != 0) return rc;
    for (int fd = 0; rc == 0 && fd < 3; fd++) rc = posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
    if (rc == 0 && out_fd >= 0) rc = posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
    if (rc == 0) rc = posix_spawn(ret, argv[0], &actions, NULL, (char *const *)argv, (char *const *)env);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

static int start(const char *const *argv, const char *const *env, int out_fd, pid_t *ret, fh_err **err)
{
    int rc = fh_fault_strikes(FH_FAULT_SPAWN) ? EAGAIN : spawn_quiet(argv, env, out_fd, ret);
    return rc ? fh_err_errno(err, FH_E_UNAVAILABLE, rc, "cannot run %s", argv[0]) : 0;
}

static int await_end(const char *name, pid_t pid, int64_t deadline_ns, fh_err **err)
{
    int status = 0;
    FH_AUTO(fd) int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd ended = {fd, POLLIN, 0};
    int64_t left_ms = FH_MAX((deadline_ns - fh_clock_mono_ns()) / FH_NS_PER_MS, (int64_t)0);
    bool in_time = fd >= 0 && poll(&ended, 1, (int)left_ms) > 0;
    if (!in_time) kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    if (!in_time) return fh_err_set(err, FH_E_TIMEOUT, "%s did not end in time", name);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
    return fh_err_set(err, FH_E_UNAVAILABLE, "%s failed with status %d", name,
                      WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int fh_command_run(const char *const *argv, const char *const *env, int64_t timeout_ns, fh_err **err)
{
    pid_t pid = 0;
    int64_t deadline_ns = fh_clock_mono_ns() + timeout_ns;
    int rc = start(argv, env, -1, &pid, err);
    return rc ? rc : await_end(argv[0], pid, deadline_ns, err);
}

/* Until its end, the deadline, or as much as there is room for. */
static void read_output(int fd, int64_t deadline_ns, fh_buf *out)
{
    char piece[4096];
    for (ssize_t n = 1; n > 0;) {
        struct pollfd ready = {fd, POLLIN, 0};
        int64_t left_ms = (deadline_ns - fh_clock_mono_ns()) / FH_NS_PER_MS;
        if (left_ms <= 0 || poll(&ready, 1, (int)left_ms) <= 0) return;
        n = read(fd, piece, sizeof piece);
        size_t fits = n > 0 ? FH_MIN((size_t)n, out->max - out->len) : 0;
        if (n > 0 && (!fh_buf_add(out, piece, fits) || !fh_buf_add(out, piece + fits, (size_t)n - fits))) return;
    }
}

int fh_command_read(const char *const *argv, const char *const *env, int64_t timeout_ns, fh_buf *out, fh_err **err)
{
    pid_t pid = 0;
    int pipe_fds[2];
    int64_t deadline_ns = fh_clock_mono_ns() + timeout_ns;
    if (pipe2(pipe_fds, O_CLOEXEC) != 0) return fh_err_errno(err, FH_E_IO, errno, "no pipe can be made");
    FH_AUTO(fd) int in = pipe_fds[0];
    int rc = start(argv, env, pipe_fds[1], &pid, err);
    close(pipe_fds[1]);
    if (rc) return rc;
    read_output(in, deadline_ns, out);
    rc = await_end(argv[0], pid, fh_buf_ok(out) ? deadline_ns : 0, err);
    return fh_buf_ok(out) ? rc : fh_buf_check(out, err, argv[0]); /* it was ended for that */
}
