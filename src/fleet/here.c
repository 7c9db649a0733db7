/* The place "here": engines on this machine, each in a sandbox, each with a folder of its own for its socket.
 *
 *   DATA/run/NAME.ACT/e.sock  the socket; ACT is the number of the start, so that no start ever meets the socket of another
 *   DATA/logs/NAME.log        what the engine says
 *
 * A socket's path has 107 bytes: where DATA is too deep, the folders lie in $XDG_RUNTIME_DIR or /tmp under a name made from DATA. The
 * socket's path, or its folder, as an argument of an engine or its sandbox is our mark on it: the sweep finds by it what a dead server
 * left.
 *
 * What is started, and what it is granted, says its row of catalog/engines.h; where its program lies says its owner (programs.h). Where
 * this machine stands for several nodes (fleet/spread.h), an engine that can runs on all of them. */
#include "engine_log.h"
#include "fleet/place.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/str.h"
#include "spread_private.h"
#include "sys/cpu.h"
#include "sys/file.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOCKET_BYTES  107
#define NAME_BYTES    64       /* of a folder's name and the socket's in it: NAME.ACT/e.sock */
#define SOCKET_NAME   "e.sock" /* llama-server knows by ".sock" that it is one */
#define STOP_SWEEP_NS (2 * FH_NS_PER_S)

struct fh_here {
    fh_loop *loop;
    char *program, *logs, *run, *data;
    const char *const *engines; /* borrowed: as fh_fleet_config has them */
    const fh_spread *spread;    /* likewise */
    bool probed;
    fh_sandbox_kind sandbox;
};

int fh_here_own_folder(const char *path, fh_err **err)
{
    struct stat st = {0};
    int rc = fh_dir_make(path, 0700, err);
    if (rc != 0) return rc;
    if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & 077) == 0) return 0;
    rc = fh_err_set(err, FH_E_FORBIDDEN, "%s is not a folder that belongs to us alone", path);
    fh_err_hint(err, "remove it, or make it a folder of mode 0700 of the user who runs the server");
    return rc;
}

static char *run_folder(const char *data_dir)
{
    static const uint8_t key[16] = "freehold run dir"; /* only makes a short name of a long one */
    if (strlen(data_dir) + strlen("/run/") + NAME_BYTES <= SOCKET_BYTES) return fh_asprintf("%s/run", data_dir);
    uint64_t hash = fh_siphash(key, data_dir, strlen(data_dir));
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    bool short_enough = runtime && *runtime == '/' && strlen(runtime) < 24;
    return short_enough ? fh_asprintf("%s/fh-%08x", runtime, (unsigned)hash)
                        : fh_asprintf("/tmp/fh-%u-%08x", (unsigned)geteuid(), (unsigned)hash);
}

static int make_folders(fh_here *h, const fh_fleet_config *c, fh_err **err)
{
    FH_AUTO(ptr) char *data = NULL; /* absolute: engines do not stand where we stand */
    int rc = fh_path_real(c->data_dir, &data, err);
    if (rc == 0) rc = fh_path_real(c->program, &h->program, err);
    if (rc != 0) return rc;
    h->logs = fh_asprintf("%s/logs", data);
    h->run = run_folder(data);
    h->data = fh_take(data);
    if (!h->logs || !h->run) return fh_err_nomem(err);
    rc = fh_dir_make(h->logs, 0700, err);
    return rc != 0 ? rc : fh_here_own_folder(h->run, err);
}

int fh_here_new(fh_here **ret, fh_loop *loop, const fh_fleet_config *c, fh_err **err)
{
    fh_here *h = fh_calloc(1, sizeof(*h));
    if (!h) return fh_err_nomem(err);
    h->loop = loop;
    h->engines = c->engines;
    h->spread = c->spread;
    int rc = fh_programs_check(c->engines, err);
    if (rc == 0) rc = make_folders(h, c, err);
    if (rc == 0)
        *ret = h;
    else
        fh_here_free(h);
    return rc;
}

void fh_here_free(fh_here *h)
{
    if (!h) return;
    fh_free(h->program);
    fh_free(h->logs);
    fh_free(h->run);
    fh_free(h->data);
    fh_free(h);
}

static int here_has(void *ctx, const fh_catalog_engine *e, fh_err **err)
{
    const fh_here *h = ctx;
    fh_program p;
    return fh_program_find(h->engines, h->program, e, &p, err);
}

static int ask_program(const fh_here *h, const fh_catalog_engine *e, const char *least, fh_err **err)
{
    fh_program p;
    fh_sandbox_spec wanted = {.may_fork = e->processes, .has_loopback = e->loopback};
    int rc = fh_program_find(h->engines, h->program, e, &p, err);
    if (rc == 0) rc = fh_sandbox_grants(h->sandbox, &wanted, err);
    return rc != 0 || fh_catalog_engine_is_own(e) ? rc : fh_program_ask(e, least, &p, h->sandbox, err);
}

static int here_ready(void *ctx, const fh_catalog_engine *e, const char *least, char *sandbox, size_t sandbox_size, fh_err **err)
{
    fh_here *h = ctx;
    int rc = h->probed ? 0 : fh_sandbox_probe(&h->sandbox, err);
    if (rc != 0) return rc;
    h->probed = true;
    snprintf(sandbox, sandbox_size, "%s", fh_sandbox_name(h->sandbox));
    return ask_program(h, e, least, err);
}

static void here_rotate(void *ctx, const char *deployment)
{
    fh_engine_log_rotate(((const fh_here *)ctx)->logs, deployment);
}

static int folder_of(const char *socket_path, char *out, size_t out_size)
{
    const char *slash = strrchr(socket_path, '/');
    int n = slash ? snprintf(out, out_size, "%.*s", (int)(slash - socket_path), socket_path) : -1;
    return n > 0 && (size_t)n < out_size ? 0 : -1;
}

static bool is_spread(const fh_here *h, const fh_catalog_engine *kind)
{
    return h->spread && h->spread->ranks > 1 && fh_catalog_engine_spreads(kind);
}

typedef char kept_folders[FH_WEIGHTS_KEPT][1200];

/* Our own engine keeps there what it packed and what it computed of prompts. */
static int make_kept(const fh_here *h, const fh_engine_spec *s, kept_folders out, fh_err **err)
{
    int rc = 0;
    for (int what = 0; what < FH_WEIGHTS_KEPT && rc == 0; what++) {
        rc = fh_weights_kept_folder(h->data, (fh_weights_kept)what, s->digest, out[what], sizeof(out[what]), err);
        if (rc == 0) rc = fh_dir_make(out[what], 0700, err);
    }
    return rc;
}

static int run_alone(const fh_here *h, const fh_engine_spec *s, const fh_program *p, const char *folder, int log_fd, fh_process *ret,
                     fh_err **err)
{
    kept_folders kept = {{0}};
    fh_engine_values values = fh_engine_values_of(s);
    if (fh_catalog_engine_is_own(s->kind)) {
        int rc = make_kept(h, s, kept, err);
        if (rc != 0) return rc;
        values.weight_cache = kept[FH_WEIGHTS_PACKED];
        values.page_cache = kept[FH_WEIGHTS_PAGES];
    }
    return fh_engine_launch(h->sandbox, s, p, folder, &values, log_fd, ret, err);
}

static int run_engine(fh_here *h, const fh_engine_spec *s, const char *folder, int log_fd, fh_process *ret, fh_err **err)
{
    fh_program p;
    if (is_spread(h, s->kind)) return fh_spread_start(h->spread, h->program, s, folder, log_fd, ret, err);
    int rc = fh_program_find(h->engines, h->program, s->kind, &p, err);
    return rc != 0 ? rc : run_alone(h, s, &p, folder, log_fd, ret, err);
}

static void here_let_go(void *ctx, fh_engine *e)
{
    (void)ctx;
    if (e->runs) close(e->watch_fd);
    fh_watch_free(e->watch);
    e->watch = NULL;
    e->process = (fh_process){0};
    e->runs = false;
}

static void process_ended(void *arg)
{
    fh_engine *e = arg;
    here_let_go(NULL, e);
    e->on_end(e->arg, NULL);
}

static int watch(fh_here *h, fh_engine *e, fh_err **err)
{
    int fd = -1;
    int rc = e->process.pid > 0 ? fh_process_open(&e->process, &fd, err) : fh_err_set(err, FH_E_NOT_FOUND, "it was never started");
    if (rc == 0 && (rc = fh_watch_new(&e->watch, h->loop, fd, process_ended, e, err)) != 0) close(fd);
    if (rc != 0) return rc;
    e->watch_fd = fd;
    e->runs = true;
    return 0;
}

static int here_adopt(void *ctx, int64_t act, const char *socket_path, fh_engine *e, fh_err **err)
{
    (void)act;
    (void)socket_path;
    return watch(ctx, e, err);
}

static int here_start(void *ctx, const fh_engine_spec *s, fh_engine *e, fh_err **err)
{
    fh_here *h = ctx;
    char folder[SOCKET_BYTES + 1];
    FH_AUTO(fd) int log_fd = -1;
    if (folder_of(s->socket_path, folder, sizeof(folder)) != 0) return fh_err_set(err, FH_E_INTERNAL, "bad socket path %s", s->socket_path);
    int rc = fh_dir_make(folder, 0700, err);
    if (rc == 0) rc = fh_engine_log_begin(h->logs, s->deployment, &log_fd, err);
    if (rc == 0) rc = run_engine(h, s, folder, log_fd, &e->process, err);
    if (rc != 0) {
        fh_dir_remove(folder, NULL);
        return rc;
    }
    snprintf(e->ranks_folder, sizeof(e->ranks_folder), "%s", is_spread(h, s->kind) ? folder : "");
    rc = watch(h, e, err);
    if (rc == FH_E_NOT_FOUND) return fh_err_set(err, FH_E_UNAVAILABLE, "the engine ended as soon as it was started");
    if (rc != 0) fh_process_signal(&e->process, SIGKILL);
    return rc;
}

static void here_stop(void *ctx, fh_engine *e, bool force)
{
    (void)ctx;
    fh_process_signal(&e->process, force ? SIGKILL : SIGTERM);
}

static void here_up(void *ctx, const char *deployment, int64_t act, const char *socket_path)
{
    (void)ctx;
    fh_here_own_scope(deployment, act, socket_path);
}

static int here_usage(void *ctx, const fh_engine *e, fh_process_use *ret)
{
    (void)ctx;
    return *e->ranks_folder ? fh_spread_usage(e->ranks_folder, ret) : fh_process_usage(&e->process, ret);
}

static void here_tidy(void *ctx, const char *deployment, const char *socket_path)
{
    (void)deployment;
    fh_here *h = ctx;
    char folder[SOCKET_BYTES + 1];
    size_t run = strlen(h->run);
    if (folder_of(socket_path, folder, sizeof(folder)) != 0 || strncmp(folder, h->run, run) != 0 || folder[run] != '/') return;
    char marker[SOCKET_BYTES + 8];
    snprintf(marker, sizeof(marker), "unix:%s", socket_path);
    const char *const marks[] = {folder, socket_path, marker};
    for (size_t i = 0; i < FH_COUNT(marks); i++)
        fh_process_sweep(marks[i], NULL, NULL, SIGKILL); /* the sandbox's own process outside may be stopped, or slow to notice */
    fh_dir_remove(folder, NULL);
}

typedef struct sparer {
    fh_here *here;
    bool (*spare)(void *arg, const char *folder);
    void *arg;
} sparer;

/* "RUN/NAME.ACT", or the socket in it. Somebody else may have another argument that begins so. */
static bool spare_process(void *arg, const char *argument)
{
    const sparer *s = arg;
    char folder[SOCKET_BYTES + 1];
    size_t run = strlen(s->here->run) + 1;
    const char *path = strncmp(argument, "unix:", 5) == 0 ? argument + 5 : argument;
    if (strlen(path) <= run) return true;
    size_t name = strcspn(path + run, "/");
    const char *rest = path + run + name;
    bool ours = name && run + name < sizeof(folder) && (!*rest || strcmp(rest, "/" SOCKET_NAME) == 0 || strcmp(rest, "/sock") == 0);
    if (ours) snprintf(folder, sizeof(folder), "%.*s", (int)(run + name), path);
    return !ours || s->spare(s->arg, folder);
}

static int sweep_folder(void *arg, const char *name, fh_err **err)
{
    sparer *s = arg;
    char folder[512];
    int rc = fh_path_join(folder, sizeof(folder), s->here->run, name, err);
    if (rc != 0) return rc;
    if (!s->spare(s->arg, folder)) fh_dir_remove(folder, NULL);
    return 0;
}

static unsigned sweep_processes(const char *prefix, sparer *s)
{
    char marker[256];
    snprintf(marker, sizeof(marker), "%s%s/", prefix, s->here->run);
    return fh_process_sweep(marker, spare_process, s, SIGKILL);
}

static void here_sweep(void *ctx, bool (*spare)(void *arg, const char *folder), void *arg)
{
    fh_here *h = ctx;
    sparer s = {h, spare, arg};
    int64_t deadline = fh_clock_mono_ns() + STOP_SWEEP_NS;
    while (sweep_processes("unix:", &s) + sweep_processes("", &s) > 0 && fh_clock_mono_ns() < deadline) fh_sleep_ns(5 * FH_NS_PER_MS);
    fh_dir_each(h->run, sweep_folder, &s, NULL);
}

static int here_log_tail(void *ctx, const char *deployment, size_t max_bytes, fh_buf *out, fh_err **err)
{
    return fh_engine_log_tail(((const fh_here *)ctx)->logs, deployment, max_bytes, out, err);
}

static int here_socket_path(void *ctx, const char *deployment, int64_t act, char *out, size_t out_size, fh_err **err)
{
    fh_here *h = ctx;
    int n = snprintf(out, out_size, "%s/%s.%lld/" SOCKET_NAME, h->run, deployment, (long long)act);
    if (n > 0 && (size_t)n < out_size && n <= SOCKET_BYTES) return 0;
    return fh_err_set(err, FH_E_INVALID, "the socket's path %s/%s.%lld/" SOCKET_NAME " is too long", h->run, deployment, (long long)act);
}

static fh_place_terms here_terms(void *ctx)
{
    (void)ctx;
    return (fh_place_terms){.there = true};
}

static fh_plan_machine here_machine(void *ctx)
{
    (void)ctx;
    fh_topo t;
    fh_topo_read(&t);
    return (fh_plan_machine){.memory_bytes = t.memory_bytes, .memory_available_bytes = t.memory_available_bytes};
}

int64_t fh_here_log_from(const fh_here *h, const char *deployment, int64_t from, size_t max_bytes, fh_buf *out)
{
    return fh_engine_log_from(h->logs, deployment, from, max_bytes, out);
}

const char *fh_here_logs(const fh_here *h)
{
    return h->logs;
}

void fh_here_place(fh_here *h, fh_place *ret)
{
    *ret = (fh_place){.name = "here",
                      .ctx = h,
                      .terms = here_terms,
                      .has = here_has,
                      .ready = here_ready,
                      .start = here_start,
                      .adopt = here_adopt,
                      .stop = here_stop,
                      .let_go = here_let_go,
                      .up = here_up,
                      .usage = here_usage,
                      .sweep = here_sweep,
                      .tidy = here_tidy,
                      .rotate = here_rotate,
                      .log_tail = here_log_tail,
                      .socket_path = here_socket_path,
                      .machine = here_machine};
}
