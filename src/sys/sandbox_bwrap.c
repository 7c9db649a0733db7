/* bubblewrap: namespaces of its own for users, processes, network, IPC and names; a file system that holds only what the engine needs.
 *
 *   us -> (middle, ends) -> bwrap outside -> bwrap as process 1 inside -> the engine
 *
 * We watch process 1 inside: when it has ended, the kernel has killed all that was in its namespace. Kill the engine: process 1 ends, then
 * bwrap outside. Kill process 1: the kernel kills the engine. Kill bwrap outside: --die-with-parent kills process 1. And bwrap's own parent
 * is init, which does not die: so the engine outlives the server. The control group namespace is left alone, so that the engine sees the
 * limits that hold for it. */
#include "sandbox_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define ARGS_MAX     256
#define INFO_NS      (20 * FH_NS_PER_S)
#define INFO_POLL_NS (FH_NS_PER_MS / 2)
#define INFO_BYTES   4096
#define SECCOMP_FD   "3"
#define INFO_FD      "4"
#define TMP_BYTES    (UINT64_C(16) << 20)

typedef struct args {
    const char *v[ARGS_MAX + 1];
    size_t n;
    char links[16][64]; /* targets of links in the root folder */
    size_t link_count;
    char tmp_bytes[24];
} args;

static void add(args *a, const char *s)
{
    if (a->n <= ARGS_MAX) a->v[a->n++] = s; /* one beyond the last says that it did not fit */
}

static void add3(args *a, const char *option, const char *from, const char *to)
{
    add(a, option);
    add(a, from);
    add(a, to);
}

static const char *find_bwrap(void)
{
    static const char *const places[] = {"/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap"};
    for (size_t i = 0; i < FH_COUNT(places); i++) {
        if (access(places[i], X_OK) == 0) return places[i];
    }
    return NULL;
}

/* On merged systems /lib is a link into /usr: it is made again; elsewhere it is a folder of its own. */
static void add_system(args *a, const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0) return;
    if (!S_ISLNK(st.st_mode) || a->link_count == FH_COUNT(a->links)) {
        add3(a, "--ro-bind-try", path, path);
        return;
    }
    char *target = a->links[a->link_count];
    ssize_t n = readlink(path, target, sizeof(a->links[0]) - 1);
    if (n <= 0) return;
    target[n] = 0;
    a->link_count++;
    add3(a, "--symlink", target, path);
}

static void add_namespaces(args *a, bool has_network)
{
    static const char *const fixed[] = {"--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts",     "--uid",
                                        "1000",           "--gid",         "1000",          "--cap-drop",        "ALL",
                                        "--hostname",     "engine",        "--new-session", "--die-with-parent", "--seccomp",
                                        SECCOMP_FD,       "--info-fd",     INFO_FD};
    for (size_t i = 0; i < FH_COUNT(fixed); i++) add(a, fixed[i]);
    if (!has_network) add(a, "--unshare-net");
}

/* Names of other machines are found. */
static void add_names(args *a)
{
    static const char *const files[] = {"/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf"};
    for (size_t i = 0; i < FH_COUNT(files); i++) add3(a, "--ro-bind-try", files[i], files[i]);
}

static int build_args(args *a, const char *bwrap, const fh_sandbox_spec *spec, fh_err **err)
{
    add(a, bwrap);
    add_namespaces(a, spec->has_network);
    for (size_t i = 0; fh_sandbox_system_libraries[i]; i++) add_system(a, fh_sandbox_system_libraries[i]);
    if (spec->has_network) add_names(a);
    for (size_t i = 0; fh_sandbox_system_files[i]; i++) add3(a, "--ro-bind-try", fh_sandbox_system_files[i], fh_sandbox_system_files[i]);
    add3(a, "--proc", "/proc", "--dev");
    add(a, "/dev");
    snprintf(a->tmp_bytes, sizeof(a->tmp_bytes), "%llu", (unsigned long long)(spec->tmp_bytes ? spec->tmp_bytes : TMP_BYTES));
    add3(a, "--size", a->tmp_bytes, "--tmpfs");
    add(a, "/tmp");
    add3(a, "--ro-bind", spec->argv[0], spec->argv[0]);
    for (size_t i = 0; spec->runs && spec->runs[i]; i++) add3(a, "--ro-bind", spec->runs[i], spec->runs[i]);
    for (size_t i = 0; spec->read_only[i]; i++) add3(a, "--ro-bind", spec->read_only[i], spec->read_only[i]);
    for (size_t i = 0; spec->read_write[i]; i++) add3(a, "--bind", spec->read_write[i], spec->read_write[i]);
    add3(a, "--remount-ro", "/", "--chdir");
    add3(a, "/", "--", spec->argv[0]);
    for (size_t i = 1; spec->argv[i]; i++) add(a, spec->argv[i]);
    if (a->n > ARGS_MAX) return fh_err_set(err, FH_E_INVALID, "too many arguments for a sandbox");
    a->v[a->n] = NULL;
    return 0;
}

static int filter_fd(const fh_sandbox_spec *spec, int *ret, fh_err **err)
{
    fh_seccomp filter;
    fh_seccomp_rules rules = {.may_fork = spec->may_fork, .has_loopback = spec->has_loopback || spec->has_network};
    int rc = fh_seccomp_build(&rules, &filter, err);
    if (rc != 0) return rc;
    int fd = memfd_create("seccomp", MFD_CLOEXEC);
    ssize_t bytes = (ssize_t)(filter.count * sizeof(*filter.code));
    bool good = fd >= 0 && pwrite(fd, filter.code, (size_t)bytes, 0) == bytes;
    int e = errno;
    fh_free(filter.code);
    if (!good && fd >= 0) close(fd);
    if (!good) return fh_err_errno(err, FH_E_UNAVAILABLE, e, "cannot pass the filter of system calls");
    *ret = fd;
    return 0;
}

/* bwrap writes {"child-pid": N, ...} once process 1 of the sandbox exists. It writes to memory, not to a pipe: were we killed meanwhile,
 * writing to a pipe that nobody reads would end bwrap, and leave process 1 waiting for it for ever. */
static bool parse_child_pid(int fd, pid_t *ret)
{
    char text[INFO_BYTES];
    ssize_t len = pread(fd, text, sizeof(text) - 1, 0);
    if (len <= 0) return false;
    text[len] = 0;
    fh_str all = {text, (size_t)len};
    size_t at = fh_str_find(all, FH_STR("\"child-pid\":"));
    if (at == all.len || fh_str_find(all, FH_STR("}")) == all.len) return false; /* not all of it yet */
    *ret = (pid_t)strtol(text + at + 12, NULL, 10);
    return *ret > 0;
}

static bool wait_child_pid(int fd, const fh_process *outer, pid_t *ret)
{
    for (int64_t deadline = fh_clock_mono_ns() + INFO_NS; fh_clock_mono_ns() < deadline; fh_sleep_ns(INFO_POLL_NS)) {
        bool alive = fh_process_alive(outer); /* asked first: what it wrote before it ended counts */
        if (parse_child_pid(fd, ret)) return true;
        if (!alive) return false;
    }
    return false;
}

/* Since 5.14 the count of processes belongs to the user namespace; before, it was the whole user's, and would hit the rest of the desktop.
 */
static bool counts_by_namespace(void)
{
    struct utsname u;
    if (uname(&u) != 0) return false;
    char *dot;
    unsigned long major = strtoul(u.release, &dot, 10), minor = *dot == '.' ? strtoul(dot + 1, NULL, 10) : 0;
    return major > 5 || (major == 5 && minor >= 14);
}

/* Threads, and the processes of one that may make them. The kernel does not hold the machine's root to it. */
static void limit_threads(pid_t pid, unsigned processes)
{
    rlim_t n = processes ? processes : FH_SANDBOX_PROCESSES;
    struct rlimit limit = {n, n};
    if (getuid() != 0 && counts_by_namespace()) prlimit(pid, RLIMIT_NPROC, &limit, NULL);
}

static int spawn_bwrap(const char *bwrap, args *a, const fh_sandbox_spec *spec, int filter, fh_process *ret, fh_err **err)
{
    FH_AUTO(fd) int info = memfd_create("info", MFD_CLOEXEC);
    if (info < 0) return fh_err_errno(err, FH_E_UNAVAILABLE, errno, "cannot make a file in memory");
    fh_spawn s = {.program = bwrap,
                  .argv = (char *const *)a->v,
                  .env = (char *const *)spec->env,
                  .log_fd = spec->log_fd,
                  .pass = {filter, info},
                  .memory_bytes = spec->memory_bytes,
                  .file_bytes = spec->file_bytes,
                  .processes = spec->processes};
    fh_process outer = {0};
    int rc = fh_spawn_run(&s, &outer.pid, err);
    if (rc != 0) return rc;
    if (fh_process_find(outer.pid, &outer, NULL) != 0) outer.pid = 0; /* it has ended already; it may have said something */
    if (!wait_child_pid(info, &outer, &ret->pid)) return fh_err_set(err, FH_E_UNAVAILABLE, "bubblewrap could not make a sandbox");
    limit_threads(ret->pid, spec->processes);
    return fh_process_find(ret->pid, ret, err);
}

int fh_sandbox_start_bubblewrap(const fh_sandbox_spec *spec, fh_process *ret, fh_err **err)
{
    const char *bwrap = find_bwrap();
    if (!bwrap) return fh_err_set(err, FH_E_UNAVAILABLE, "bubblewrap is not installed");
    args a = {.n = 0};
    int rc = build_args(&a, bwrap, spec, err);
    if (rc != 0) return rc;
    FH_AUTO(fd) int filter = -1;
    rc = filter_fd(spec, &filter, err);
    return rc != 0 ? rc : spawn_bwrap(bwrap, &a, spec, filter, ret, err);
}
