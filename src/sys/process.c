/* Processes by pid and start time: those two name a process for as long as the machine runs, so that an engine which a dead server left
 * behind is found again and a pid that was given to somebody else is left alone. Reads /proc; never waits. */
#include "sys/sandbox.h"

#include "base/fault.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CMDLINE_BYTES 65536
#define TREE_MAX      4096 /* processes of one engine that are looked at */

typedef struct proc_stat {
    char state;
    pid_t parent;
    uint64_t cpu_ticks, start_ticks;
} proc_stat;

static int pidfd_open_(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static bool read_proc(pid_t pid, const char *file, char *out, size_t out_size, size_t *ret_len)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
    FH_AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    size_t len = 0;
    while (len + 1 < out_size) {
        ssize_t n = read(fd, out + len, out_size - 1 - len);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        len += (size_t)n;
    }
    out[len] = 0;
    *ret_len = len;
    return len > 0;
}

/* Numbers with blanks between them; how many there were. */
static size_t read_numbers(const char *p, long long *ret, size_t max)
{
    size_t n = 0;
    while (n < max) {
        char *end;
        ret[n] = strtoll(p, &end, 10);
        if (end == p) break;
        p = end;
        n++;
    }
    return n;
}

/* The fields of /proc/PID/stat that we use, counted from the fourth (the parent), as proc(5) numbers them. */
enum { STAT_PARENT = 4 - 4, STAT_UTIME = 14 - 4, STAT_STIME = 15 - 4, STAT_START = 22 - 4, STAT_FIELDS };

static bool read_stat(pid_t pid, proc_stat *ret)
{
    char text[1024];
    size_t len;
    long long v[STAT_FIELDS];
    if (!read_proc(pid, "stat", text, sizeof(text), &len)) return false;
    const char *p = strrchr(text, ')'); /* the name may hold blanks and brackets */
    if (!p || strlen(p) < 4 || read_numbers(p + 3, v, STAT_FIELDS) != STAT_FIELDS) return false;
    *ret = (proc_stat){p[2], (pid_t)v[STAT_PARENT], (uint64_t)(v[STAT_UTIME] + v[STAT_STIME]), (uint64_t)v[STAT_START]};
    return true;
}

int fh_process_find(pid_t pid, fh_process *ret, fh_err **err)
{
    proc_stat st;
    if (pid <= 0 || !read_stat(pid, &st)) return fh_err_set(err, FH_E_NOT_FOUND, "there is no process %d", (int)pid);
    ret->pid = pid;
    ret->start_ticks = st.start_ticks;
    return 0;
}

bool fh_process_alive(const fh_process *p)
{
    proc_stat st;
    return p->pid > 0 && read_stat(p->pid, &st) && st.start_ticks == p->start_ticks && st.state != 'Z' && st.state != 'X';
}

int fh_process_open(const fh_process *p, int *ret_pidfd, fh_err **err)
{
    int fd = fh_fault_strikes(FH_FAULT_OPEN) ? (errno = EMFILE, -1) : pidfd_open_(p->pid);
    if (fd < 0 && errno != ESRCH) return fh_err_errno(err, FH_E_IO, errno, "cannot watch process %d", (int)p->pid);
    if (fd < 0 || !fh_process_alive(p)) { /* looked at after opening: the descriptor now holds this very process */
        if (fd >= 0) close(fd);
        return fh_err_set(err, FH_E_NOT_FOUND, "process %d is gone", (int)p->pid);
    }
    *ret_pidfd = fd;
    return 0;
}

/* Calls fn for every process; false ends the walk. */
static void each_process(bool (*fn)(void *arg, pid_t pid), void *arg)
{
    DIR *d = opendir("/proc");
    if (!d) return;
    const struct dirent *e;
    while ((e = readdir(d))) {
        uint64_t pid;
        if (fh_str_u64(fh_str_of(e->d_name), INT32_MAX, &pid) && !fn(arg, (pid_t)pid)) break;
    }
    closedir(d);
}

struct node {
    pid_t pid;
    proc_stat stat;
    bool inside;
};

typedef struct tree {
    struct node *nodes;
    size_t count;
} tree;

static bool tree_collect(void *arg, pid_t pid)
{
    tree *t = arg;
    proc_stat st;
    if (t->count >= TREE_MAX) return false;
    if (read_stat(pid, &st)) t->nodes[t->count++] = (struct node){.pid = pid, .stat = st};
    return true;
}

static int by_pid(const void *a, const void *b)
{
    const struct node *x = a, *y = b;
    return (x->pid > y->pid) - (x->pid < y->pid);
}

/* Marks root and all that descend from it. Nodes are in the order of their pids. */
static void tree_mark(tree *t, const fh_process *root)
{
    for (size_t i = 0; i < t->count; i++)
        t->nodes[i].inside = t->nodes[i].pid == root->pid && t->nodes[i].stat.start_ticks == root->start_ticks;
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < t->count; i++) {
            struct node key = {.pid = t->nodes[i].stat.parent};
            const struct node *parent = t->nodes[i].inside ? NULL : bsearch(&key, t->nodes, t->count, sizeof(key), by_pid);
            if (!parent || !parent->inside) continue;
            t->nodes[i].inside = changed = true;
        }
    }
}

static bool tree_read(tree *t, const fh_process *root)
{
    *t = (tree){.nodes = fh_calloc(TREE_MAX, sizeof(*t->nodes))};
    if (!t->nodes) return false;
    each_process(tree_collect, t);
    qsort(t->nodes, t->count, sizeof(*t->nodes), by_pid);
    tree_mark(t, root);
    return true;
}

static void send_signal(pid_t pid, uint64_t start_ticks, int signo)
{
    fh_process p = {.pid = pid, .start_ticks = start_ticks};
    FH_AUTO(fd) int fd = pidfd_open_(pid);
    if (fd >= 0 && fh_process_alive(&p)) syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0);
}

void fh_process_signal(const fh_process *p, int signo)
{
    tree t;
    if (!tree_read(&t, p)) {
        send_signal(p->pid, p->start_ticks, signo);
        return;
    }
    for (size_t i = 0; i < t.count; i++) {
        if (t.nodes[i].inside) send_signal(t.nodes[i].pid, t.nodes[i].stat.start_ticks, signo);
    }
    fh_free(t.nodes);
}

int fh_process_usage(const fh_process *p, fh_process_use *ret)
{
    tree t;
    if (!tree_read(&t, p)) return FH_E_NOMEM;
    uint64_t pages = 0, shared = 0, ticks = 0, found = 0;
    for (size_t i = 0; i < t.count; i++) {
        char text[256];
        size_t len;
        long long v[3]; /* size, resident, of it shared */
        if (!t.nodes[i].inside) continue;
        found++;
        ticks += t.nodes[i].stat.cpu_ticks;
        if (!read_proc(t.nodes[i].pid, "statm", text, sizeof(text), &len) || read_numbers(text, v, 3) != 3) continue;
        pages += (uint64_t)v[1];
        shared += (uint64_t)FH_MIN(v[1], v[2]);
    }
    fh_free(t.nodes);
    if (!found) return FH_E_NOT_FOUND;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    *ret =
        (fh_process_use){pages * page, (pages - shared) * page, (int64_t)(ticks * (UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK)))};
    return 0;
}

typedef struct sweep {
    fh_str marker;
    bool (*spare)(void *arg, const char *argument);
    void *arg;
    int signo;
    unsigned found;
    pid_t *pids; /* NULL: signal them */
    size_t max;
    char *cmdline;
} sweep;

/* The argument that names the marker; NULL when there is none. */
static const char *marked_argument(const sweep *s, size_t len)
{
    bool folder = fh_str_ends(s->marker, FH_STR("/"));
    for (size_t i = 0; i < len;) {
        fh_str arg = fh_str_of(s->cmdline + i);
        if (folder ? fh_str_starts(arg, s->marker) : fh_str_eq(arg, s->marker)) return arg.ptr;
        i += arg.len + 1;
    }
    return NULL;
}

static bool sweep_one(void *arg, pid_t pid)
{
    sweep *s = arg;
    fh_process p = {0};
    size_t len;
    if (pid == getpid() || fh_process_find(pid, &p, NULL) != 0 || !read_proc(pid, "cmdline", s->cmdline, CMDLINE_BYTES, &len)) return true;
    const char *argument = marked_argument(s, len);
    if (!argument || (s->spare && s->spare(s->arg, argument))) return true;
    if (!s->pids)
        send_signal(pid, p.start_ticks, s->signo);
    else if (s->found < s->max)
        s->pids[s->found] = pid;
    s->found++;
    return true;
}

static unsigned run_sweep(sweep *s)
{
    s->cmdline = fh_alloc(CMDLINE_BYTES);
    if (s->cmdline && s->marker.len) each_process(sweep_one, s);
    fh_free(s->cmdline);
    return s->found;
}

unsigned fh_process_sweep(const char *marker, bool (*spare)(void *arg, const char *argument), void *arg, int signo)
{
    sweep s = {.marker = fh_str_of(marker), .spare = spare, .arg = arg, .signo = signo};
    return run_sweep(&s);
}

size_t fh_process_list(const char *marker, pid_t *ret, size_t max)
{
    sweep s = {.marker = fh_str_of(marker), .pids = ret, .max = max};
    return run_sweep(&s);
}
