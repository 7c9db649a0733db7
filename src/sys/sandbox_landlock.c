/* Landlock, a filter of system calls and limits: what holds where user namespaces are not to be had (Ubuntu 24.04 restricts them).
 *
 * The child gives up all capabilities and new privileges, may read what the spec names and the system's libraries, may write the folders
 * the spec names, and nothing else; TCP, abstract sockets and signals to others are refused where the kernel's Landlock knows them, and by
 * the filter everywhere. It cannot make processes, so that the one we watch is all there is. */
#include "sandbox_private.h"

#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Names of our own: system headers may be older than the kernel. Source: include/uapi/linux/landlock.h. */
enum {
    LL_EXECUTE = 1 << 0,
    LL_WRITE_FILE = 1 << 1,
    LL_READ_FILE = 1 << 2,
    LL_READ_DIR = 1 << 3,
    LL_REMOVE_DIR = 1 << 4,
    LL_REMOVE_FILE = 1 << 5,
    LL_MAKE_REG = 1 << 8,
    LL_MAKE_SOCK = 1 << 9,
    LL_FS_V1 = (1 << 13) - 1,
    LL_REFER = 1 << 13,
    LL_TRUNCATE = 1 << 14,
    LL_IOCTL_DEV = 1 << 15,
    LL_NET_ALL = 3,
    LL_SCOPE_ALL = 3,
    LL_CREATE_RULESET = 444,
    LL_ADD_RULE = 445,
    LL_RESTRICT_SELF = 446,
    LL_RULE_PATH = 1,
    LL_VERSION = 1,
};
#define LL_FILE_RIGHTS (LL_EXECUTE | LL_WRITE_FILE | LL_READ_FILE | LL_TRUNCATE | LL_IOCTL_DEV)

typedef struct ruleset_attr {
    uint64_t fs, net, scoped;
} ruleset_attr;

typedef struct path_attr {
    uint64_t rights;
    int32_t fd;
} __attribute__((packed)) path_attr;

typedef struct child_plan { /* made before the fork; the child only walks it */
    const fh_sandbox_spec *spec;
    fh_seccomp filter;
    ruleset_attr rights;
    size_t attr_bytes;
    rlim_t processes; /* 0: no limit */
} child_plan;

static bool allow(const child_plan *p, int ruleset, const char *path, uint64_t rights)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    struct stat st;
    if (fd < 0) return false;
    if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode)) rights &= LL_FILE_RIGHTS;
    path_attr rule = {rights & p->rights.fs, fd};
    bool good = syscall(LL_ADD_RULE, ruleset, LL_RULE_PATH, &rule, 0) == 0;
    int e = errno;
    close(fd);
    errno = e;
    return good;
}

/* May be absent on this machine. */
static void allow_try(const child_plan *p, int ruleset, const char *path, uint64_t rights)
{
    (void)allow(p, ruleset, path, rights);
}

static void allow_system(const child_plan *p, int ruleset)
{
    static const char *const readable[] = {"/proc/cpuinfo", "/proc/meminfo", "/proc/self", "/proc/stat", "/proc/sys/vm/overcommit_memory"};
    static const char *const devices[] = {"/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"};
    for (size_t i = 0; fh_sandbox_system_libraries[i]; i++)
        allow_try(p, ruleset, fh_sandbox_system_libraries[i], LL_READ_FILE | LL_READ_DIR | LL_EXECUTE);
    for (size_t i = 0; fh_sandbox_system_files[i]; i++) allow_try(p, ruleset, fh_sandbox_system_files[i], LL_READ_FILE | LL_READ_DIR);
    for (size_t i = 0; i < FH_COUNT(readable); i++) allow_try(p, ruleset, readable[i], LL_READ_FILE | LL_READ_DIR);
    for (size_t i = 0; i < FH_COUNT(devices); i++) allow_try(p, ruleset, devices[i], LL_READ_FILE | LL_WRITE_FILE);
}

static bool allow_spec(const child_plan *p, int ruleset)
{
    const fh_sandbox_spec *s = p->spec;
    if (!allow(p, ruleset, s->argv[0], LL_READ_FILE | LL_EXECUTE)) return false;
    for (size_t i = 0; s->runs && s->runs[i]; i++) {
        if (!allow(p, ruleset, s->runs[i], LL_READ_FILE | LL_READ_DIR | LL_EXECUTE)) return false;
    }
    for (size_t i = 0; s->read_only[i]; i++) {
        if (!allow(p, ruleset, s->read_only[i], LL_READ_FILE | LL_READ_DIR)) return false;
    }
    for (size_t i = 0; s->read_write[i]; i++) {
        uint64_t rights = LL_READ_FILE | LL_READ_DIR | LL_WRITE_FILE | LL_TRUNCATE | LL_MAKE_REG | LL_MAKE_SOCK | LL_REMOVE_FILE;
        if (!allow(p, ruleset, s->read_write[i], rights)) return false;
    }
    return true;
}

/* Without capabilities, without ways to get them back, in no other groups. */
static bool drop_privileges(void)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
    if (geteuid() == 0) {
        if (setgroups(0, NULL) != 0 && errno != EPERM)
            return false; /* refused to the root of some containers; what may be read is ruled by Landlock anyhow */
        if (prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED, 0, 0,
                  0) != 0)
            return false;
        for (int cap = 0; cap < 64 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++)
            continue; /* ends at the last that the kernel knows */
    }
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0}};
    return syscall(SYS_capset, &head, none) == 0;
}

static fh_spawn_step enter(void *arg)
{
    child_plan *p = arg;
    if (p->processes && setrlimit(RLIMIT_NPROC, &(struct rlimit){p->processes, p->processes}) != 0) return FH_SPAWN_LIMITS;
    if (!drop_privileges()) return FH_SPAWN_PRIVILEGES;
    int ruleset = (int)syscall(LL_CREATE_RULESET, &p->rights, p->attr_bytes, 0);
    if (ruleset < 0) return FH_SPAWN_LANDLOCK;
    allow_system(p, ruleset);
    if (!allow_spec(p, ruleset) || syscall(LL_RESTRICT_SELF, ruleset, 0) != 0) return FH_SPAWN_LANDLOCK;
    close(ruleset);
    fh_seccomp_patch(&p->filter, getpid());
    struct sock_fprog program = {(unsigned short)p->filter.count, p->filter.code};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0 ? FH_SPAWN_OK : FH_SPAWN_SECCOMP;
}

/* All that this kernel's Landlock can refuse, it refuses. */
static int handled_rights(child_plan *p, fh_err **err)
{
    long abi = syscall(LL_CREATE_RULESET, NULL, 0, LL_VERSION);
    if (abi < 1) return fh_err_errno(err, FH_E_UNAVAILABLE, errno, "this kernel has no Landlock");
    p->rights.fs = LL_FS_V1 | (abi >= 2 ? LL_REFER : 0) | (abi >= 3 ? LL_TRUNCATE : 0) | (abi >= 5 ? LL_IOCTL_DEV : 0);
    p->rights.net = abi >= 4 ? LL_NET_ALL : 0;
    p->rights.scoped = abi >= 6 ? LL_SCOPE_ALL : 0;
    p->attr_bytes = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
    return 0;
}

static uint64_t threads_of(const char *pid, uid_t uid)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof(path), "/proc/%.20s/task", pid);
    return stat(path, &st) == 0 && st.st_uid == uid && st.st_nlink > 2 ? st.st_nlink - 2 : 0;
}

/* The limit counts all that the user runs: what runs now, and ours on top. The kernel does not hold the machine's root to it. */
static rlim_t process_limit(unsigned processes)
{
    uint64_t mine = processes ? processes : FH_SANDBOX_PROCESSES, pid;
    DIR *d = getuid() != 0 ? opendir("/proc") : NULL;
    if (!d) return 0;
    const struct dirent *e;
    while ((e = readdir(d))) {
        if (fh_str_u64(fh_str_of(e->d_name), INT32_MAX, &pid)) mine += threads_of(e->d_name, getuid());
    }
    closedir(d);
    return (rlim_t)mine;
}

int fh_sandbox_start_landlock(const fh_sandbox_spec *spec, fh_process *ret, fh_err **err)
{
    child_plan p = {.spec = spec, .processes = process_limit(spec->processes)};
    int rc = handled_rights(&p, err);
    if (rc == 0) rc = fh_seccomp_build(&(fh_seccomp_rules){.own_pid_only = true}, &p.filter, err);
    if (rc != 0) return rc;
    fh_spawn s = {.program = spec->argv[0],
                  .argv = (char *const *)spec->argv,
                  .env = (char *const *)spec->env,
                  .log_fd = spec->log_fd,
                  .pass = {-1, -1},
                  .memory_bytes = spec->memory_bytes,
                  .file_bytes = spec->file_bytes,
                  .processes = spec->processes,
                  .prepare = enter,
                  .arg = &p};
    rc = fh_spawn_run(&s, &ret->pid, err);
    fh_free(p.filter.code);
    return rc != 0 ? rc : fh_process_find(ret->pid, ret, err);
}
