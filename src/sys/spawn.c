/* Starting a process that is nobody's child: fork twice, let the middle one end, go on once init has adopted us. So the engine outlives the
 * server, leaves no zombie with it, and a death signal tied to its parent would wait for init.
 *
 * Between fork and exec only async-signal-safe calls are made: other threads of ours may have held any lock when we forked. The data
 * folder's lock is shared with the child until exec, so that no other server can begin while a child has not yet got its own command line.
 */
#include "sandbox_private.h"

#include "base/fault.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OPEN_FILES     1024 /* a connection each for what an engine computes and what waits for it, so that the next is refused with 429 */
#define FILE_MAX_BYTES (UINT64_C(256) << 20) /* the log grows until the server rotates it */
#define FIRST_FREE_FD  5
#define ADOPT_WAIT_NS  200000

typedef struct message { /* from the child, through a pipe that exec closes */
    pid_t pid;
    int step, errno_value;
} message;

static const char *const step_text[] = {
    [FH_SPAWN_OK] = "nothing",
    [FH_SPAWN_FORK] = "fork",
    [FH_SPAWN_FDS] = "pass descriptors",
    [FH_SPAWN_LIMITS] = "set limits",
    [FH_SPAWN_PRIVILEGES] = "give up privileges",
    [FH_SPAWN_LANDLOCK] = "load the Landlock rules",
    [FH_SPAWN_SECCOMP] = "load the filter of system calls",
    [FH_SPAWN_EXEC] = "execute the program",
};

static void reset_signals(void)
{
    struct sigaction sa = {.sa_handler = SIG_DFL};
    for (int i = 1; i < NSIG; i++) sigaction(i, &sa, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static int limit(int resource, uint64_t value)
{
    struct rlimit now;
    if (getrlimit(resource, &now) != 0) return -1;
    rlim_t v = now.rlim_max != RLIM_INFINITY && now.rlim_max < value ? now.rlim_max : (rlim_t)value;
    return setrlimit(resource, &(struct rlimit){v, v});
}

/* Memory counts what is private and writable, not mapped weights. */
static int set_limits(const fh_spawn *s)
{
    if (limit(RLIMIT_CORE, 0) != 0 || limit(RLIMIT_NOFILE, OPEN_FILES) != 0 ||
        limit(RLIMIT_FSIZE, FH_MAX(FILE_MAX_BYTES, s->file_bytes)) != 0)
        return -1;
    return s->memory_bytes && FH_SANDBOX_MEMORY_LIMIT ? limit(RLIMIT_DATA, s->memory_bytes) : 0;
}

/* 0: nothing to read; 1, 2: the log; 3 and up: what is passed. All others close at exec. */
static int arrange_fds(const fh_spawn *s, int *report_fd)
{
    int report = fcntl(*report_fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD + 16); /* out of the way of the numbers below */
    int log = fcntl(s->log_fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD + 16);
    int pass[2] = {-1, -1};
    for (int i = 0; i < 2; i++) {
        if (s->pass[i] >= 0 && (pass[i] = fcntl(s->pass[i], F_DUPFD_CLOEXEC, FIRST_FREE_FD + 16)) < 0) return -1;
    }
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (report < 0 || log < 0 || null < 0) return -1;
    if (syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC) != 0) {
        struct rlimit files;
        int top = getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < 65536 ? (int)files.rlim_cur : 65536;
        for (int fd = 3; fd < top; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    if (dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0) return -1;
    for (int i = 0; i < 2; i++) {
        if (pass[i] >= 0 && dup2(pass[i], 3 + i) < 0) return -1;
    }
    *report_fd = report;
    return 0;
}

static fh_spawn_step prepare_child(const fh_spawn *s, int *report_fd)
{
    reset_signals();
    umask(077);
    if (chdir("/") != 0 || arrange_fds(s, report_fd) != 0) return FH_SPAWN_FDS;
    if (set_limits(s) != 0) return FH_SPAWN_LIMITS;
    return s->prepare ? s->prepare(s->arg) : FH_SPAWN_OK;
}

static _Noreturn void run_child(const fh_spawn *s, pid_t middle, int report_fd)
{
    while (getppid() == middle) nanosleep(&(struct timespec){.tv_nsec = ADOPT_WAIT_NS}, NULL);
    message m = {getpid(), FH_SPAWN_OK, 0};
    (void)!write(report_fd, &m, sizeof(m));
    m.step = prepare_child(s, &report_fd);
    if (m.step == FH_SPAWN_OK) {
        execve(s->program, s->argv, s->env);
        m.step = FH_SPAWN_EXEC;
    }
    m.errno_value = errno;
    (void)!write(report_fd, &m, sizeof(m));
    _exit(127);
}

static _Noreturn void run_middle(const fh_spawn *s, int report_fd)
{
    setsid();
    pid_t self = getpid(), child = fork();
    if (child == 0) run_child(s, self, report_fd);
    if (child < 0) {
        message m = {0, FH_SPAWN_FORK, errno};
        (void)!write(report_fd, &m, sizeof(m));
    }
    _exit(0);
}

static bool read_message(int fd, message *ret)
{
    ssize_t n;
    do n = read(fd, ret, sizeof(*ret));
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof(*ret);
}

static int spawn_error(const fh_spawn *s, const message *m, fh_err **err)
{
    int code = m->step == FH_SPAWN_EXEC && m->errno_value == ENOENT ? FH_E_NOT_FOUND : FH_E_UNAVAILABLE;
    return fh_err_errno(err, code, m->errno_value, "cannot start %s: cannot %s", s->program, step_text[m->step]);
}

int fh_spawn_run(const fh_spawn *s, pid_t *ret_pid, fh_err **err)
{
    int pipes[2];
    if (fh_fault_strikes(FH_FAULT_SPAWN)) return fh_err_errno(err, FH_E_UNAVAILABLE, EAGAIN, "cannot start %s", s->program);
    if (pipe2(pipes, O_CLOEXEC) != 0) return fh_err_errno(err, FH_E_UNAVAILABLE, errno, "cannot start %s: cannot make a pipe", s->program);
    FH_AUTO(fd) int in = pipes[0];
    pid_t middle = fork();
    int e = errno;
    if (middle == 0) run_middle(s, pipes[1]);
    close(pipes[1]);
    if (middle < 0) return fh_err_errno(err, FH_E_UNAVAILABLE, e, "cannot start %s: cannot fork", s->program);
    while (waitpid(middle, NULL, 0) < 0 && errno == EINTR) continue;
    message first, second;
    if (!read_message(in, &first)) return fh_err_set(err, FH_E_UNAVAILABLE, "cannot start %s: the child ended at once", s->program);
    if (first.step != FH_SPAWN_OK) return spawn_error(s, &first, err);
    if (read_message(in, &second)) return spawn_error(s, &second, err);
    *ret_pid = first.pid; /* the pipe ended without a second message: exec closed it */
    return 0;
}

int fh_process_start(const char *const *argv, const char *const *env, int log_fd, fh_process *ret, fh_err **err)
{
    fh_spawn s = {.program = argv[0], .argv = (char *const *)argv, .env = (char *const *)env, .log_fd = log_fd, .pass = {-1, -1}};
    pid_t pid = 0;
    int rc = fh_spawn_run(&s, &pid, err);
    return rc != 0 ? rc : fh_process_find(pid, ret, err);
}
