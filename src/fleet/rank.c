/* One rank of a spread engine, as srun started it on a node: starts the engine in this node's sandbox, passes on what it says behind the
 * node's name, and ends as it ends. The engine's processes stay below this one, and end with it whatever ends it. */
#include "spread_private.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STARTED_FAILED = 1, ENDED = 2 };

typedef struct rank {
    fh_rank_order order;
    int64_t number;
    char node[128], folder[200], socket_path[220];
    fh_process process;
    int signals_fd, log_fd, ended_fd;
    fh_buf line;
    bool stopping;
    int64_t kill_ns; /* when it has had its time to end */
} rank;

/* ---- what is said ---- */

static void write_all(const char *data, size_t len)
{
    while (len) {
        ssize_t n = write(STDOUT_FILENO, data, len);
        if (n < 0 && errno != EINTR) return; /* nobody hears us any more */
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
}

/* In one write, so that it stays one among those of other nodes. */
static void pass_on(const rank *r, fh_str line)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(FH_LIMIT_RANK_LINE_BYTES + sizeof r->node + 4);
    fh_buf_addf(&out, "%s: ", r->node);
    fh_buf_add(&out, line.ptr, line.len);
    fh_buf_addc(&out, '\n');
    write_all(fh_buf_cstr(&out), out.len);
}

static __attribute__((format(printf, 2, 3))) void say(const rank *r, const char *fmt, ...)
{
    char text[512], line[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    snprintf(line, sizeof line, "rank %" PRId64 " of %" PRId64 " %s", r->number, r->order.ranks, text);
    pass_on(r, fh_str_of(line));
}

static void pass_lines(rank *r, bool all)
{
    for (const char *end; r->line.len && (end = memchr(r->line.data, '\n', r->line.len));) {
        size_t len = (size_t)(end - r->line.data);
        pass_on(r, (fh_str){r->line.data, len});
        fh_buf_consume(&r->line, len + 1);
    }
    if (!r->line.len || (!all && r->line.len < r->line.max)) return;
    pass_on(r, (fh_str){r->line.data, r->line.len});
    fh_buf_clear(&r->line);
}

/* False once nothing more will come. */
static bool read_log(rank *r)
{
    char piece[4096];
    size_t room = FH_MIN(sizeof piece, r->line.max - r->line.len);
    ssize_t n = read(r->log_fd, piece, room);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    fh_buf_add(&r->line, piece, (size_t)n);
    pass_lines(r, n == 0);
    return n > 0;
}

/* ---- starting ---- */

/* Signals are read where the engine is watched; what is started gets them as they are by default. */
static int open_signals(rank *r, fh_err **err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    r->signals_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return r->signals_fd >= 0 ? 0 : fh_err_errno(err, FH_E_UNAVAILABLE, errno, "signals cannot be watched");
}

/* The first one's folder is the engine's own; others have one beside it, for where nodes share the disk. */
static int open_folder(rank *r, fh_err **err)
{
    const char *path = r->order.spec.socket_path, *slash = strrchr(path, '/');
    char beside[24] = "";
    if (r->number) snprintf(beside, sizeof beside, ".r%" PRId64, r->number);
    int n = slash ? snprintf(r->folder, sizeof r->folder, "%.*s%s", (int)(slash - path), path, beside) : -1;
    if (n < 0 || (size_t)n >= sizeof r->folder) return fh_err_set(err, FH_E_INVALID, "a rank is told no path of a socket");
    snprintf(r->socket_path, sizeof r->socket_path, "%s%s", r->folder, slash);
    r->order.spec.socket_path = r->socket_path;
    char parent[sizeof r->folder];
    const char *up = strrchr(r->folder, '/');
    if (!up) return fh_err_set(err, FH_E_INVALID, "a rank is told no folder of a socket");
    snprintf(parent, sizeof parent, "%.*s", (int)(up - r->folder), r->folder);
    int rc = fh_here_own_folder(parent, err);
    return rc != 0 ? rc : fh_here_own_folder(r->folder, err);
}

/* Machines hold ranges of layers, and the cache of theirs. */
static fh_engine_values values_of(const rank *r)
{
    fh_engine_values v = fh_engine_values_of(&r->order.spec);
    v.kv_bytes = v.kv_bytes / (uint64_t)r->order.ranks + 1;
    v.rank = r->number;
    v.ranks = r->order.ranks;
    v.head = r->order.head;
    v.head_port = r->order.head_port;
    return v;
}

static int launch(rank *r, int log_fd, fh_err **err)
{
    fh_program p;
    fh_sandbox_kind kind = FH_SANDBOX_BUBBLEWRAP;
    const fh_engine_spec *s = &r->order.spec;
    fh_engine_values values = values_of(r);
    int rc = fh_sandbox_probe(&kind, err);
    if (rc == 0) rc = fh_program_find(NULL, NULL, s->kind, &p, err);
    if (rc == 0) rc = fh_program_ask(s->kind, s->run->least, &p, kind, err);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    return rc != 0 ? rc : fh_engine_launch(kind, s, &p, r->folder, &values, log_fd, &r->process, err);
}

static int start(rank *r, fh_err **err)
{
    int pipes[2];
    int rc = open_signals(r, err);
    if (rc == 0) rc = open_folder(r, err);
    if (rc != 0) return rc;
    if (pipe2(pipes, O_CLOEXEC) != 0) return fh_err_errno(err, FH_E_UNAVAILABLE, errno, "no pipe can be made");
    r->log_fd = pipes[0];
    rc = launch(r, pipes[1], err);
    close(pipes[1]);
    if (rc == 0 && (rc = fh_process_open(&r->process, &r->ended_fd, err)) == FH_E_NOT_FOUND) rc = 0; /* it has ended already */
    return rc;
}

/* ---- until it ends ---- */

static void on_signal(rank *r)
{
    struct signalfd_siginfo info;
    while (read(r->signals_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (!r->stopping) r->kill_ns = fh_clock_mono_ns() + FH_LIMIT_RANK_TERM_MS * FH_NS_PER_MS;
        r->stopping = true;
        fh_process_signal(&r->process, SIGTERM);
    }
}

static int wait_ms(const rank *r)
{
    if (!r->stopping) return -1;
    return (int)FH_MAX((r->kill_ns - fh_clock_mono_ns()) / FH_NS_PER_MS, (int64_t)1);
}

static void watch(rank *r)
{
    bool says = true, runs = r->ended_fd >= 0;
    while (says || runs) {
        struct pollfd p[] = {{says ? r->log_fd : -1, POLLIN, 0}, {runs ? r->ended_fd : -1, POLLIN, 0}, {r->signals_fd, POLLIN, 0}};
        if (poll(p, FH_COUNT(p), wait_ms(r)) < 0 && errno != EINTR) return;
        if (p[2].revents) on_signal(r);
        if (p[0].revents) says = read_log(r);
        if (p[1].revents) runs = false;
        if (r->stopping && fh_clock_mono_ns() > r->kill_ns) fh_process_signal(&r->process, SIGKILL);
    }
}

/* Of the sandbox, which ends as the engine did. */
static int reap(void)
{
    int status = 0, last = 0;
    while (waitpid(-1, &status, 0) > 0 || errno == EINTR) last = status;
    return WIFEXITED(last) ? WEXITSTATUS(last) : 128 + WTERMSIG(last);
}

static void close_all(rank *r)
{
    if (r->number && *r->folder) fh_dir_remove(r->folder, NULL);
    if (r->signals_fd >= 0) close(r->signals_fd);
    if (r->log_fd >= 0) close(r->log_fd);
    if (r->ended_fd >= 0) close(r->ended_fd);
    fh_buf_fini(&r->line);
    fh_rank_order_fini(&r->order);
}

static int run(rank *r)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    if (start(r, &err) != 0) {
        const char *hint = fh_err_hint_get(err);
        say(r, "cannot start: %s%s%s", fh_err_message(err), hint ? "; " : "", hint ? hint : "");
        return STARTED_FAILED;
    }
    say(r, "is on this node");
    watch(r);
    int status = reap();
    if (!r->stopping) say(r, "has ended with status %d, and the others end with it", status);
    return ENDED; /* told to end or not: where one alone was told, the others must not go on */
}

static void read_place(rank *r)
{
    const char *number = getenv("SLURM_PROCID"), *node = getenv("SLURMD_NODENAME");
    uint64_t v = 0;
    if (number && fh_str_u64(fh_str_of(number), FH_LIMIT_SLURM_NODES - 1, &v)) r->number = (int64_t)v;
    snprintf(r->node, sizeof r->node, "%s", node ? node : "");
    if (!*r->node && gethostname(r->node, sizeof r->node - 1) != 0) snprintf(r->node, sizeof r->node, "node");
}

int fh_rank_run(const char *order)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    rank r = {.signals_fd = -1, .log_fd = -1, .ended_fd = -1, .line = FH_BUF(FH_LIMIT_RANK_LINE_BYTES)};
    read_place(&r);
    int rc = fh_rank_order_read(fh_str_of(order), &r.order, &err);
    if (rc != 0) say(&r, "cannot start: %s", fh_err_message(err));
    int status = rc != 0 ? STARTED_FAILED : run(&r);
    close_all(&r);
    return status;
}
