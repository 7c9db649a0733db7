/* Starting an engine on all nodes of a job by srun (fleet/spread.h). srun is what is watched: it ends when all ranks have ended, and with
 * --kill-on-bad-exit the first that ends otherwise than told takes the others with it. */
#include "spread_private.h"

#include "base/limits.h"
#include "base/str.h"
#include "sys/file.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define SRUN_WORDS 24

int fh_spread_read(const char *head, fh_spread *ret, fh_err **err)
{
    const char *nodes = getenv("SLURM_JOB_NUM_NODES");
    uint64_t ranks = 0;
    fh_spread s;
    if (!getenv("SLURM_JOB_ID") || !nodes || !fh_str_u64(fh_str_of(nodes), FH_LIMIT_SLURM_NODES, &ranks) || !ranks)
        return fh_err_set(err, FH_E_UNAVAILABLE, "this is no job of Slurm of 1 to %d nodes", FH_LIMIT_SLURM_NODES);
    if (!*head || strlen(head) >= sizeof s.head) return fh_err_set(err, FH_E_INVALID, "that is no address of this node");
    s.ranks = (int64_t)ranks;
    snprintf(s.head, sizeof s.head, "%s", head);
    *ret = s;
    return 0;
}

/* One that is free now. Should another program take it meanwhile, the ranks say so, and are started again with another. */
static int free_port(int64_t *ret, fh_err **err)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t size = sizeof a;
    FH_AUTO(fd) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || getsockname(fd, (struct sockaddr *)&a, &size) != 0)
        return fh_err_set(err, FH_E_UNAVAILABLE, "this machine has no free port for the ranks to meet at");
    *ret = ntohs(a.sin_port);
    return 0;
}

static int find_srun(char *out, size_t out_size, fh_err **err)
{
    const char *path = getenv("PATH");
    for (size_t len; path && *path; path += len + (path[len] == ':')) {
        len = strcspn(path, ":");
        int n = snprintf(out, out_size, "%.*s/srun", (int)len, path);
        if (*path == '/' && n > 0 && (size_t)n < out_size && access(out, X_OK) == 0) return 0;
    }
    return fh_err_set(err, FH_E_UNAVAILABLE, "there is no srun in the PATH of the job");
}

/* The step has all that the job has: processors are asked for anew since Slurm 22.05, the rest is inherited. */
static void srun_words(const char *words[SRUN_WORDS], char nodes[2][40], char cpus[40], const fh_spread *spread)
{
    static const char *const fixed[] = {"--ntasks-per-node=1", "--distribution=block", "--overlap",    "--kill-on-bad-exit=1",
                                        "--mpi=none",          "--input=none",         "--unbuffered", "--propagate=NONE"};
    const char *each = getenv("SLURM_CPUS_PER_TASK");
    size_t n = 1;
    snprintf(nodes[0], sizeof nodes[0], "--nodes=%" PRId64, spread->ranks);
    snprintf(nodes[1], sizeof nodes[1], "--ntasks=%" PRId64, spread->ranks);
    words[n++] = nodes[0];
    words[n++] = nodes[1];
    for (size_t i = 0; i < FH_COUNT(fixed); i++) words[n++] = fixed[i];
    if (each) {
        snprintf(cpus, 40, "--cpus-per-task=%s", each);
        words[n++] = cpus;
    }
    words[n] = NULL;
}

int fh_spread_start(const fh_spread *spread, const char *program, const fh_engine_spec *s, const char *folder, int log_fd, fh_process *ret,
                    fh_err **err)
{
    FH_AUTO(buf) fh_buf order = FH_BUF(FH_LIMIT_RANK_ORDER_BYTES);
    char srun[1024], nodes[2][40], cpus[40];
    const char *words[SRUN_WORDS] = {srun};
    int64_t port = 0;
    size_t n = 0;
    int rc = find_srun(srun, sizeof srun, err);
    if (rc == 0) rc = free_port(&port, err);
    if (rc == 0) rc = fh_rank_order_write(spread, port, s, &order, err);
    if (rc == 0) rc = fh_buf_check(&order, err, "what a rank is told");
    if (rc != 0) return rc;
    srun_words(words, nodes, cpus, spread);
    while (words[n]) n++;
    const char *const more[] = {program, "node", "rank", folder, fh_buf_cstr(&order), NULL};
    for (size_t i = 0; i < FH_COUNT(more); i++) words[n++] = more[i];
    return fh_process_start(words, (const char *const *)environ, log_fd, ret, err);
}

_Static_assert(1 + 2 + 8 + 1 + 6 <= SRUN_WORDS, "srun's words fit");

/* The rank's own process has all others of it below; srun's has none. */
int fh_spread_usage(const char *folder, fh_process_use *ret)
{
    pid_t pids[16];
    fh_process_use most = {0};
    size_t count = FH_MIN(fh_process_list(folder, pids, FH_COUNT(pids)), FH_COUNT(pids));
    for (size_t i = 0; i < count; i++) {
        fh_process p = {0};
        fh_process_use use = {0};
        if (fh_process_find(pids[i], &p, NULL) != 0 || fh_process_usage(&p, &use) != 0) continue;
        if (use.rss_bytes > most.rss_bytes) most = use;
    }
    *ret = most;
    return count ? 0 : FH_E_NOT_FOUND;
}

static fh_str take_line(fh_str *text)
{
    size_t n = fh_str_find(*text, FH_STR("\n"));
    fh_str line = {text->ptr, n};
    n = FH_MIN(n + 1, text->len);
    *text = (fh_str){text->ptr + n, text->len - n};
    return line;
}

static bool has(fh_str line, const char *what)
{
    return fh_str_find(line, fh_str_of(what)) < line.len;
}

fh_str fh_spread_first_end(fh_str log)
{
    fh_str first = {"", 0};
    while (log.len) {
        fh_str line = take_line(&log);
        bool ends = has(line, ": rank ") && (has(line, " has ended") || has(line, " cannot start"));
        if (fh_str_starts(line, FH_STR("----"))) first = (fh_str){"", 0};
        if (!first.len && (ends || fh_str_starts(line, FH_STR("srun: error: ")))) first = line;
    }
    return first;
}
