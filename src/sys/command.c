/* Running a small program to its end: with a deadline, or beside a loop that watches it. For what the system offers as a program only. */
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

/* Signals as a program expects them at its start, whatever this process does with its own. */
static int set_signals(posix_spawnattr_t *attr)
{
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    int rc = posix_spawnattr_setsigmask(attr, &none);
    if (rc == 0) rc = posix_spawnattr_setsigdefault(attr, &defaults);
    return rc ? rc : posix_spawnattr_setflags(attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

/* A stream that is -1 leads nowhere; everything else of ours closes at exec. */
static int spawn(const char *const *argv, const char *const *env, const int streams[3], pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc != 0) return rc;
    rc = posix_spawnattr_init(&attr);
    if (rc == 0) {
        for (int fd = 0; rc == 0 && fd < 3; fd++) rc = posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
        for (int fd = 0; rc == 0 && fd < 3; fd++)
            if (streams[fd] >= 0) rc = posix_spawn_file_actions_adddup2(&actions, streams[fd], fd);
        if (rc == 0) rc = set_signals(&attr);
        if (rc == 0) rc = posix_spawnp(ret, argv[0], &actions, &attr, (char *const *)argv, (char *const *)env);
        posix_spawnattr_destroy(&attr);
    }
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

static int start(const char *const *argv, const char *const *env, const int streams[3], pid_t *ret, fh_err **err)
{
    int rc = fh_fault_strikes(FH_FAULT_SPAWN) ? EAGAIN : spawn(argv, env, streams, ret);
    return rc ? fh_err_errno(err, FH_E_UNAVAILABLE, rc, "cannot run %s", argv[0]) : 0;
}

int fh_command_start(const char *const *argv, const char *const *env, const int streams[3], pid_t *ret_pid, int *ret_pidfd, fh_err **err)
{
    pid_t pid = 0;
    int rc = start(argv, env, streams, &pid, err);
    if (rc) return rc;
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0) {
        rc = fh_err_errno(err, FH_E_UNAVAILABLE, errno, "cannot watch %s", argv[0]);
        fh_command_end(pid);
        return rc;
    }
    *ret_pid = pid;
    *ret_pidfd = fd;
    return 0;
}

int fh_command_end(pid_t pid)
{
    int status = 0;
    kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int await_end(const char *name, pid_t pid, int64_t deadline_ns, fh_err **err)
{
    int status = 0;
    FH_AUTO(fd) int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd ended = {fd, POLLIN, 0};
    int64_t left_ms = FH_MAX((deadline_ns - fh_clock_mono_ns()) / FH_NS_PER_MS, (int64_t)0);
    bool in_time = fd >= 0 && poll(&ended, 1, (int)left_ms) > 0;
    if (!in_time) kill(-pid, SIGKILL);
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
    int rc = start(argv, env, (const int[3]){-1, -1, -1}, &pid, err);
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
    int rc = start(argv, env, (const int[3]){-1, pipe_fds[1], -1}, &pid, err);
    close(pipe_fds[1]);
    if (rc) return rc;
    read_output(in, deadline_ns, out);
    rc = await_end(argv[0], pid, fh_buf_ok(out) ? deadline_ns : 0, err);
    return fh_buf_ok(out) ? rc : fh_buf_check(out, err, argv[0]); /* it was ended for that */
}
