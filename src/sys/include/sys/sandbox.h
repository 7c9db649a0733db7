/* Starting an engine in a sandbox, behind one port. bubblewrap where it works, else Landlock + seccomp + rlimits; never silently none.
 *
 * Inside: no network but the socket it is given a folder for, weights read-only, no io_uring, no new privileges, no capabilities, limits on
 * memory and processes, environment cleared but for what spec names. What some programs need beyond that is granted by name: processes, a
 * loopback that is the sandbox's own. The child is in a session of its own and outlives us (the next server adopts it). */
#ifndef FH_SYS_SANDBOX_H
#define FH_SYS_SANDBOX_H

#include "base/buf.h"
#include "base/err.h"
#include <stdint.h>
#include <sys/types.h>

typedef enum fh_sandbox_kind { FH_SANDBOX_BUBBLEWRAP, FH_SANDBOX_LANDLOCK } fh_sandbox_kind;
const char *fh_sandbox_name(fh_sandbox_kind k); /* "bubblewrap", "landlock" */

typedef struct fh_sandbox_spec {
    const char *const *argv;       /* argv[0] is an absolute path */
    const char *const *env;        /* NAME=value, NULL-terminated */
    const char *const *read_only;  /* files and folders it may read, NULL-terminated (system libraries are added) */
    const char *const *read_write; /* folders it may write (the socket's), NULL-terminated */
    const char *const *runs;       /* files and folders of its installation, which it may read and execute; NULL: argv[0] alone */
    uint64_t memory_bytes;         /* anonymous memory it may have; 0 = no limit */
    uint64_t file_bytes;           /* of the largest file that it may write; less than 256 MiB is 256 MiB */
    uint64_t tmp_bytes;            /* of /tmp; 0 = 16 MiB */
    unsigned processes;            /* threads and processes it may have; 0 = 64 */
    bool may_fork;                 /* processes, not threads alone */
    bool has_loopback;             /* sockets of the internet's families, in a network that holds nothing but its own loopback */
    bool has_network;              /* instead the machine's own network, for an engine whose ranks speak to each other over it */
    int log_fd;                    /* its standard output and error; borrowed */
} fh_sandbox_spec;

typedef struct fh_process {
    pid_t pid;            /* the process to watch: when it has ended, nothing of the engine is left */
    uint64_t start_ticks; /* field 22 of /proc/PID/stat: pid and start time name a process uniquely */
    fh_sandbox_kind sandbox;
} fh_process;

/* FH_E_UNAVAILABLE: that kind cannot grant what spec asks for. Landlock has neither a network of its own nor a way to tell an engine's
 * processes from others. */
int fh_sandbox_grants(fh_sandbox_kind kind, const fh_sandbox_spec *spec, fh_err **err);

/* What works on this machine, probed by running something in it; the reasons of what does not go to *err as context when none does. */
int fh_sandbox_probe(fh_sandbox_kind *ret, fh_err **err);
int fh_sandbox_probe_kind(fh_sandbox_kind kind, fh_err **err); /* one of them, with its reason */
int fh_sandbox_start(fh_sandbox_kind kind, const fh_sandbox_spec *spec, fh_process *ret, fh_err **err);
/* Runs a program that ends by itself, and takes what it writes, until it has ended or the time is over: then it is killed. spec's log_fd is
 * not used. What it wrote before is kept also when it fails. */
int fh_sandbox_ask(fh_sandbox_kind kind, const fh_sandbox_spec *spec, int64_t timeout_ns, fh_buf *out, fh_err **err);

/* Without a sandbox: a program of ours or the system's, found by its path, that is nobody's child and outlives us. */
int fh_process_start(const char *const *argv, const char *const *env, int log_fd, fh_process *ret, fh_err **err);
bool fh_process_alive(const fh_process *p);                             /* not a zombie, and the same start time */
int fh_process_open(const fh_process *p, int *ret_pidfd, fh_err **err); /* readable when it has ended; FH_E_NOT_FOUND when it is gone */
void fh_process_signal(const fh_process *p, int signo);                 /* the process and its descendants */
/* Fills pid and start time of a running process (not its sandbox). FH_E_NOT_FOUND when there is none. */
int fh_process_find(pid_t pid, fh_process *ret, fh_err **err);
/* Signals every other process that has marker as an argument of its command line, or, when marker ends with "/", an argument that begins
 * with it ("unix:DATA/run/": any engine of ours), but for those whose argument spare (may be NULL) says to let live; returns how many. For
 * what a dead server left. */
unsigned fh_process_sweep(const char *marker, bool (*spare)(void *arg, const char *argument), void *arg, int signo);
/* The processes that have marker as an argument; fills at most max, returns how many there are. */
size_t fh_process_list(const char *marker, pid_t *ret, size_t max);
/* Runs a program to its end without input or output; FH_E_UNAVAILABLE when it fails, FH_E_TIMEOUT when it had to be killed. */
int fh_command_run(const char *const *argv, const char *const *env, int64_t timeout_ns, fh_err **err);
/* The same, and appends what it writes to its standard output; FH_E_TOO_LARGE when that is more than out takes. */
int fh_command_read(const char *const *argv, const char *const *env, int64_t timeout_ns, fh_buf *out, fh_err **err);
/* Starts a program, found by PATH, with those standard streams (borrowed; -1: it leads nowhere), in a process group of its own. *ret_pidfd
 * (owned) is readable when it has ended; fh_command_end must be called then, or before. */
int fh_command_start(const char *const *argv, const char *const *env, const int streams[3], pid_t *ret_pid, int *ret_pidfd, fh_err **err);
int fh_command_end(pid_t pid); /* ends what is left of its group; its exit status, 128 + the signal's number when one ended it */
typedef struct fh_process_use {
    uint64_t rss_bytes; /* memory that is there */
    uint64_t own_bytes; /* of it what is no file's: pages of files count as available to others as well */
    int64_t cpu_ns;
} fh_process_use;
int fh_process_usage(const fh_process *p, fh_process_use *ret); /* with descendants; FH_E_NOT_FOUND when it has ended */

#endif
