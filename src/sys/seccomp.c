/* The filter of system calls that both sandboxes load: what a program that serves a model never needs is refused with EPERM.
 *
 * Refused: new processes (threads are fine) and every socket but Unix ones and connecting those, unless they are granted; io_uring, looking
 * into other processes, mounts and namespaces, kernel modules and tracing, keys, other clocks, modes and owners of files by path, System V
 * and POSIX queues. A number that libseccomp does not know yet is given by hand, so that an older library filters no less. */
#include "sandbox_private.h"

#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define FILTER_MAX_BYTES (4096 * sizeof(struct sock_filter))

/* Name, and the number on every architecture since 5.1 (0: libseccomp knows it). */
/* clang-format off */
static const struct denied {
    const char *name;
    int number;
} denied[] = {
    {"io_uring_setup", 425}, {"io_uring_enter", 426}, {"io_uring_register", 427},
    {"bpf", 0}, {"perf_event_open", 0}, {"userfaultfd", 0},
    {"ptrace", 0}, {"process_vm_readv", 0}, {"process_vm_writev", 0}, {"process_madvise", 440}, {"process_mrelease", 448}, {"kcmp", 0},
    {"pidfd_getfd", 438}, {"pidfd_open", 434}, {"pidfd_send_signal", 424},
    {"mount", 0}, {"umount", 0}, {"umount2", 0}, {"pivot_root", 0}, {"chroot", 0}, {"unshare", 0}, {"setns", 0},
    {"open_tree", 428}, {"move_mount", 429}, {"fsopen", 430}, {"fsconfig", 431}, {"fsmount", 432}, {"fspick", 433}, {"mount_setattr", 442},
    {"open_tree_attr", 467}, {"statmount", 457}, {"listmount", 458},
    {"name_to_handle_at", 0}, {"open_by_handle_at", 0}, {"fanotify_init", 0}, {"fanotify_mark", 0}, {"quotactl", 0}, {"quotactl_fd", 443},
    {"init_module", 0}, {"finit_module", 0}, {"delete_module", 0}, {"create_module", 0}, {"kexec_load", 0}, {"kexec_file_load", 0},
    {"add_key", 0}, {"request_key", 0}, {"keyctl", 0},
    {"swapon", 0}, {"swapoff", 0}, {"reboot", 0}, {"acct", 0}, {"syslog", 0}, {"lookup_dcookie", 0}, {"nfsservctl", 0}, {"vhangup", 0},
    {"settimeofday", 0}, {"clock_settime", 0}, {"clock_adjtime", 0}, {"adjtimex", 0}, {"stime", 0}, {"sethostname", 0}, {"setdomainname", 0},
    {"iopl", 0}, {"ioperm", 0}, {"modify_ldt", 0}, {"vm86", 0}, {"vm86old", 0}, {"personality", 0},
    {"chmod", 0}, {"fchmodat", 0}, {"fchmodat2", 452}, {"chown", 0}, {"lchown", 0}, {"fchown", 0}, {"fchownat", 0}, {"chown32", 0}, {"lchown32", 0}, {"fchown32", 0},
    {"setxattr", 0}, {"lsetxattr", 0}, {"fsetxattr", 0}, {"removexattr", 0}, {"lremovexattr", 0}, {"fremovexattr", 0}, {"setxattrat", 463}, {"removexattrat", 466},
    {"utime", 0}, {"utimes", 0}, {"futimesat", 0}, {"utimensat", 0}, {"truncate", 0}, {"truncate64", 0}, {"file_setattr", 469},
    {"mknod", 0}, {"mknodat", 0},
    {"shmget", 0}, {"shmat", 0}, {"shmctl", 0}, {"semget", 0}, {"semop", 0}, {"semtimedop", 0}, {"semctl", 0}, {"msgget", 0}, {"msgsnd", 0}, {"msgrcv", 0}, {"msgctl", 0},
    {"ipc", 0}, {"mq_open", 0}, {"mq_unlink", 0},
    {"setuid", 0}, {"setgid", 0}, {"setreuid", 0}, {"setregid", 0}, {"setresuid", 0}, {"setresgid", 0}, {"setgroups", 0}, {"setfsuid", 0}, {"setfsgid", 0}, {"capset", 0},
    {"move_pages", 0}, {"migrate_pages", 0}, {"landlock_add_rule", 445},
};
/* clang-format on */

/* Kernels of another architecture's table, and libraries that know no number, have nothing to refuse. */
static int deny_all_of_table(scmp_filter_ctx ctx)
{
    for (size_t i = 0; i < FH_COUNT(denied); i++) {
        int nr = seccomp_syscall_resolve_name(denied[i].name);
        if (nr == __NR_SCMP_ERROR) nr = denied[i].number;
        if (nr == 0 || nr < -1) continue; /* pseudo numbers: this architecture has no such call */
        int rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), nr, 0);
        if (rc != 0) return rc;
    }
    return 0;
}

static int deny_call(scmp_filter_ctx ctx, const char *name)
{
    int nr = seccomp_syscall_resolve_name(name);
    return nr < -1 ? 0 : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), nr, 0); /* pseudo numbers: this architecture has no such call */
}

/* Threads are clones that share the process; clone3 hides its flags from a filter, and libc falls back to clone when it is absent. */
static int deny_processes(scmp_filter_ctx ctx)
{
    int rc = deny_call(ctx, "fork");
    if (rc == 0) rc = deny_call(ctx, "vfork");
    if (rc == 0) rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
    int clone3 = seccomp_syscall_resolve_name("clone3");
    return rc != 0 ? rc : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), clone3 == __NR_SCMP_ERROR ? 435 : clone3, 0);
}

/* Namespaces would be a way to more rights than it has. */
static int deny_new_namespaces(scmp_filter_ctx ctx)
{
    static const scmp_datum_t kinds[] = {CLONE_NEWUSER, CLONE_NEWNET, CLONE_NEWNS,    CLONE_NEWPID,
                                         CLONE_NEWIPC,  CLONE_NEWUTS, CLONE_NEWCGROUP};
    int rc = 0, clone3 = seccomp_syscall_resolve_name("clone3");
    for (size_t i = 0; rc == 0 && i < FH_COUNT(kinds); i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, kinds[i], kinds[i]));
    return rc != 0 ? rc : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), clone3 == __NR_SCMP_ERROR ? 435 : clone3, 0);
}

/* What it may connect to lies in its own network, whose addresses it may ask the kernel for. */
static int deny_all_but_internet(scmp_filter_ctx ctx)
{
    static const int calls[] = {SCMP_SYS(socket), SCMP_SYS(socketpair)};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < FH_COUNT(calls); i++) {
        rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), calls[i], 1, SCMP_A0(SCMP_CMP_GT, AF_NETLINK, 0));
        for (int family = AF_INET + 1; rc == 0 && family < AF_NETLINK; family++)
            if (family != AF_INET6)
                rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), calls[i], 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family, 0));
        if (rc == 0)
            rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), calls[i], 2, SCMP_A0(SCMP_CMP_EQ, AF_NETLINK, 0),
                                  SCMP_A2(SCMP_CMP_NE, NETLINK_ROUTE, 0));
    }
    return rc;
}

static int deny_network(scmp_filter_ctx ctx)
{
    int rc = deny_call(ctx, "connect");
    if (rc == 0) rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_NE, AF_UNIX, 0));
    return rc != 0 ? rc : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socketpair), 1, SCMP_A0(SCMP_CMP_NE, AF_UNIX, 0));
}

static int deny_other_processes(scmp_filter_ctx ctx)
{
    static const char *const by_pid[] = {"kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"};
    for (size_t i = 0; i < FH_COUNT(by_pid); i++) {
        int nr = seccomp_syscall_resolve_name(by_pid[i]);
        int rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), nr, 1, SCMP_A0(SCMP_CMP_NE, FH_SECCOMP_PID_MAGIC, 0));
        if (rc != 0) return rc;
    }
    return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tkill), 0); /* names a thread of anybody: tgkill is there for our own */
}

static int add_rules(scmp_filter_ctx ctx, const fh_seccomp_rules *rules)
{
    int rc = deny_all_of_table(ctx);
    if (rc == 0) rc = rules->may_fork ? deny_new_namespaces(ctx) : deny_processes(ctx);
    if (rc == 0) rc = rules->has_loopback ? deny_all_but_internet(ctx) : deny_network(ctx);
    if (rc == 0) rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prlimit64), 1, SCMP_A0(SCMP_CMP_NE, 0, 0));
    if (rc == 0 && rules->own_pid_only) rc = deny_other_processes(ctx);
    return rc;
}

/* libseccomp writes programs to descriptors only. */
static int export_program(scmp_filter_ctx ctx, fh_seccomp *ret)
{
    FH_AUTO(fd) int fd = memfd_create("seccomp", MFD_CLOEXEC);
    if (fd < 0) return -errno;
    int rc = seccomp_export_bpf(ctx, fd);
    if (rc != 0) return rc;
    off_t bytes = lseek(fd, 0, SEEK_END);
    if (bytes <= 0 || (size_t)bytes > FILTER_MAX_BYTES || (size_t)bytes % sizeof(struct sock_filter) != 0) return -EINVAL;
    struct sock_filter *code = fh_alloc((size_t)bytes);
    if (!code) return -ENOMEM;
    if (pread(fd, code, (size_t)bytes, 0) != bytes) return fh_free(code), -EIO;
    *ret = (fh_seccomp){code, (size_t)bytes / sizeof(*code)};
    return 0;
}

int fh_seccomp_build(const fh_seccomp_rules *rules, fh_seccomp *ret, fh_err **err)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
    if (!ctx) return fh_err_nomem(err);
    int rc = add_rules(ctx, rules);
    if (rc == 0) rc = export_program(ctx, ret);
    seccomp_release(ctx);
    return rc == 0 ? 0 : fh_err_errno(err, FH_E_INTERNAL, -rc, "cannot build the filter of system calls");
}

void fh_seccomp_patch(fh_seccomp *s, pid_t own)
{
    for (size_t i = 0; i < s->count; i++) {
        if (BPF_CLASS(s->code[i].code) == BPF_JMP && s->code[i].k == FH_SECCOMP_PID_MAGIC) s->code[i].k = (uint32_t)own;
    }
}
