/* What the two sandboxes share: the filter of system calls, and starting a process that is nobody's child. */
#ifndef FH_SYS_SANDBOX_PRIVATE_H
#define FH_SYS_SANDBOX_PRIVATE_H

#include "base/buf.h"
#include "sys/sandbox.h"
#include <linux/filter.h>

/* The address sanitizer reserves terabytes that it never touches and looks for leaks by ptrace; limits of memory would only stop it. */
#define FH_SANDBOX_MEMORY_LIMIT (!FH_SANITIZED)

#define FH_SANDBOX_PROCESSES 64

/* Folders and files of the system that a dynamically linked program reads, NULL-terminated; some may be absent. Nothing secret, no shells,
 * no tools. */
extern const char *const fh_sandbox_system_libraries[]; /* may be executed too: the loader lies there */
extern const char *const fh_sandbox_system_files[];

/* The filter as a program for the kernel. Owned: fh_free. */
typedef struct fh_seccomp_rules {
    bool own_pid_only; /* signals go to FH_SECCOMP_PID_MAGIC alone, for which the child puts its own number (fh_seccomp_patch); without it
                          (a pid namespace keeps others out of reach) signals are free */
    bool may_fork, has_loopback; /* as in fh_sandbox_spec */
} fh_seccomp_rules;
typedef struct fh_seccomp {
    struct sock_filter *code;
    size_t count;
} fh_seccomp;
#define FH_SECCOMP_PID_MAGIC 0x5eedf1d0u
int fh_seccomp_build(const fh_seccomp_rules *rules, fh_seccomp *ret, fh_err **err);
void fh_seccomp_patch(fh_seccomp *s, pid_t own); /* async-signal-safe */

/* A process that is started so that it is nobody's child but init's: it outlives us, and needs no waiting for. */
typedef enum fh_spawn_step {
    FH_SPAWN_OK,
    FH_SPAWN_FORK,
    FH_SPAWN_FDS,
    FH_SPAWN_LIMITS,
    FH_SPAWN_PRIVILEGES,
    FH_SPAWN_LANDLOCK,
    FH_SPAWN_SECCOMP,
    FH_SPAWN_EXEC
} fh_spawn_step;

typedef struct fh_spawn {
    const char *program;
    char *const *argv;
    char *const *env;
    int log_fd;
    int pass[2]; /* descriptors that the program gets as 3 and 4; -1: none */
    uint64_t memory_bytes, file_bytes;
    unsigned processes;
    /* Runs in the child before exec; async-signal-safe; returns the step that failed, with errno set, or FH_SPAWN_OK. May be NULL. */
    fh_spawn_step (*prepare)(void *arg);
    void *arg;
} fh_spawn;
/* Returns once exec succeeded or something failed. */
int fh_spawn_run(const fh_spawn *s, pid_t *ret_pid, fh_err **err);

int fh_sandbox_start_bubblewrap(const fh_sandbox_spec *spec, fh_process *ret, fh_err **err);
int fh_sandbox_start_landlock(const fh_sandbox_spec *spec, fh_process *ret, fh_err **err);

#endif
