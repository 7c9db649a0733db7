/* A machine of the pool as a place: what it reports, and the engines that run there, each behind a socket of this machine.
 *
 * What holds: an engine is in the list from its start (or adoption) until its end was told or it was let go. While the link is down every
 * one of them is away. The report decides: once the first one has come, an engine that was taken and is not in it has ended. */
#include "node_place.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "engine_log.h"
#include "sys/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int fh_node_refusal(const char *what, int status, fh_str body, const fh_err *link_err, fh_err **err)
{
    FH_AUTO(json) fh_json *o = NULL;
    if (link_err) return fh_err_set(err, fh_err_code(link_err), "%s: %s", what, fh_err_message(link_err));
    int code = status == 404                    ? FH_E_NOT_FOUND
               : status == 413                  ? FH_E_TOO_LARGE
               : status == 409 || status == 403 ? FH_E_FORBIDDEN
                                                : FH_E_UPSTREAM;
    fh_str says = {0};
    if (fh_json_parse(&o, body, FH_LIMIT_LINK_REPLY_BYTES, NULL) == 0) says = fh_json_str(fh_json_get(o, "error"));
    if (says.len) return fh_err_set(err, code, "%s: %.*s", what, (int)FH_MIN(says.len, 160), says.ptr);
    return fh_err_set(err, code, "%s: it answered with status %d", what, status);
}

/* ---- the list ---- */

fh_node_engine *fh_node_engine_find(fh_node_place *n, fh_str id)
{
    fh_node_engine *ne = n->engines;
    while (ne && !fh_str_eqs(id, ne->id)) ne = ne->next;
    return ne;
}

static fh_node_engine *of(fh_node_place *n, const fh_engine *e)
{
    fh_node_engine *ne = n->engines;
    while (ne && ne->e != e) ne = ne->next;
    return ne;
}

static void engine_free(fh_node_engine *ne)
{
    if (ne->start) fh_link_ask_cancel(ne->start);
    if (ne->log) fh_link_ask_cancel(ne->log);
    fh_watch_free(ne->watch);
    if (ne->listen_fd >= 0) close(ne->listen_fd);
    fh_free(ne);
}

static void unlist(fh_node_engine *ne)
{
    fh_node_engine **p = &ne->node->engines;
    while (*p != ne) p = &(*p)->next;
    *p = ne->next;
    ne->e->runs = ne->e->away = false;
    engine_free(ne);
}

void fh_node_engine_end_soon(fh_node_engine *ne, const char *why)
{
    if (ne->ended) return;
    ne->ended = true;
    snprintf(ne->why, sizeof(ne->why), "%s", why);
    fh_timer_start(ne->node->timer, 0);
}

static fh_node_engine *next_ended(fh_node_place *n)
{
    fh_node_engine *ne = n->engines;
    while (ne && !ne->ended) ne = ne->next;
    return ne;
}

static void tell_ended(fh_node_place *n)
{
    for (fh_node_engine *ne; (ne = next_ended(n));) {
        char why[sizeof(ne->why)];
        fh_engine *e = ne->e;
        memcpy(why, ne->why, sizeof(why));
        unlist(ne);
        e->on_end(e->arg, *why ? why : NULL);
    }
}

/* ---- away, and back ---- */

static void wait_until(fh_node_place *n, int64_t from_now_ns)
{
    n->away_until_ns = fh_clock_mono_ns() + from_now_ns;
    fh_timer_start(n->timer, from_now_ns);
}

void fh_node_engine_set_away(fh_node_engine *ne, bool away)
{
    if (ne->e->away == away || ne->ended) return;
    ne->e->away = away;
    ne->e->on_away(ne->e->arg);
}

static void on_timer(void *arg)
{
    fh_node_place *n = arg;
    int64_t left = n->away_until_ns ? n->away_until_ns - fh_clock_mono_ns() : 0;
    if (n->away_until_ns && left <= 0) {
        n->away_until_ns = 0;
        for (fh_node_engine *ne = n->engines; ne; ne = ne->next)
            if (ne->e->away) fh_node_engine_end_soon(ne, "its machine did not come back");
    }
    tell_ended(n);
    if (n->away_until_ns) fh_timer_start(n->timer, FH_MAX(n->away_until_ns - fh_clock_mono_ns(), 0));
}

/* ---- the sockets ---- */

static void on_connection(void *arg)
{
    fh_node_engine *ne = arg;
    char authority[112];
    fh_err *err = NULL;
    int fd = accept4(ne->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    snprintf(authority, sizeof(authority), "engine:%s", ne->id);
    if (!ne->node->link || ne->e->away)
        close(fd);
    else if (fh_link_tunnel(ne->node->link, authority, fd, NULL, NULL, &err) != 0)
        fh_log_err(FH_LOG_WARN, "fleet", err, "deployment=%s: no tunnel to its engine", ne->deployment);
    fh_err_free(err);
}

static int listen_at(fh_node_engine *ne, fh_err **err)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char folder[sizeof(ne->socket_path)];
    snprintf(folder, sizeof(folder), "%s", ne->socket_path);
    char *slash = strrchr(folder, '/');
    if (!slash || strlen(ne->socket_path) >= sizeof(a.sun_path))
        return fh_err_set(err, FH_E_INTERNAL, "bad socket path %s", ne->socket_path);
    *slash = 0;
    int rc = fh_dir_make(folder, 0700, err);
    if (rc != 0) return rc;
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", ne->socket_path);
    unlink(ne->socket_path);
    ne->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (ne->listen_fd < 0 || bind(ne->listen_fd, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(ne->listen_fd, SOMAXCONN) != 0)
        return fh_err_errno(err, FH_E_IO, errno, "cannot listen at %s", ne->socket_path);
    return fh_watch_new(&ne->watch, ne->node->loop, ne->listen_fd, on_connection, ne, err);
}

/* The id is the name of the socket's folder, NAME.ACT. */
static int engine_new(fh_node_engine **ret, fh_node_place *n, const char *socket_path, fh_engine *e, fh_err **err)
{
    fh_node_engine *ne = fh_calloc(1, sizeof(*ne));
    if (!ne) return fh_err_nomem(err);
    *ne = (fh_node_engine){.node = n, .e = e, .listen_fd = -1};
    snprintf(ne->socket_path, sizeof(ne->socket_path), "%s", socket_path);
    fh_str folder = fh_str_of(socket_path);
    while (folder.len && folder.ptr[folder.len - 1] != '/') folder.len--;
    folder.len -= folder.len > 0;
    size_t begin = folder.len;
    while (begin && folder.ptr[begin - 1] != '/') begin--;
    snprintf(ne->id, sizeof(ne->id), "%.*s", (int)(folder.len - begin), folder.ptr + begin);
    const char *dot = strrchr(ne->id, '.');
    snprintf(ne->deployment, sizeof(ne->deployment), "%.*s", dot ? (int)(dot - ne->id) : 0, ne->id);
    int rc = listen_at(ne, err);
    if (rc != 0) {
        engine_free(ne);
        return rc;
    }
    ne->next = n->engines;
    n->engines = ne;
    e->runs = true;
    *ret = ne;
    return 0;
}

/* ---- ending ---- */

/* Whether it has ended its next report shows. */
static void dismissed(void *arg, int status, fh_str body, const fh_err *err)
{
    (void)arg;
    (void)status;
    (void)body;
    (void)err;
}

void fh_node_dismiss(fh_node_place *n, const char *id, bool force)
{
    char path[160];
    snprintf(path, sizeof(path), "/v1/engines/%s%s", id, force ? "?force=1" : "");
    fh_link_ask_spec s = {.method = "DELETE", .path = path, .idle_timeout_ns = FH_LIMIT_NODE_IDLE_MS * FH_NS_PER_MS, .on_done = dismissed};
    fh_link_ask_start(NULL, n->link, &s, NULL);
}

/* ---- the port ---- */

static fh_place_terms node_terms(void *ctx)
{
    const fh_node_place *n = ctx;
    fh_place_terms t = n->terms;
    bool here = n->link && n->reported && !n->draining && !n->removed, full = fh_node_report_full(n);
    t.there = here && !*n->closed && !full;
    t.why = !here ? NULL : *n->closed ? n->closed : full ? "its owner lets no more engines run" : NULL;
    return t;
}

static fh_plan_machine node_machine(void *ctx)
{
    return ((const fh_node_place *)ctx)->machine;
}

static int not_there(const fh_node_place *n, fh_err **err)
{
    return fh_err_set(err, FH_E_UNAVAILABLE, "%s is not connected", n->name);
}

static int node_has(void *ctx, const fh_catalog_engine *kind, fh_err **err)
{
    const fh_node_place *n = ctx;
    for (size_t i = 0; i < n->kind_count; i++)
        if (n->kinds[i] == kind) return 0;
    if (!n->reported) return 0; /* what it has not told yet is asked again when it is ready */
    int rc = fh_err_set(err, FH_E_UNSUPPORTED, "%s has no %s", n->name, kind->id);
    fh_err_hint(err, "whoever owns the machine can install it there");
    return rc;
}

/* Whether it knows the model, its owner's catalogue says there. */
static int node_ready(void *ctx, const fh_catalog_engine *kind, const char *least, char *sandbox, size_t sandbox_size, fh_err **err)
{
    const fh_node_place *n = ctx;
    if (!n->link || !n->reported) return not_there(n, err);
    if (node_has(ctx, kind, err) != 0) return FH_E_UNSUPPORTED;
    snprintf(sandbox, sandbox_size, "%s", n->sandbox);
    return 0;
}

static int node_fetch(void *ctx, const fh_weights_item *item, bool *ret_whole, int64_t *ret_done, int64_t *ret_total, fh_err **err)
{
    fh_node_place *n = ctx;
    return n->link ? fh_node_fetch_step(n, item, ret_whole, ret_done, ret_total, err) : not_there(n, err);
}

static int node_socket_path(void *ctx, const char *deployment, int64_t act, char *out, size_t out_size, fh_err **err)
{
    const fh_node_place *n = ctx;
    return n->home->socket_path(n->home->ctx, deployment, act, out, out_size, err);
}

static int start_body(const fh_engine_spec *s, fh_buf *out, fh_err **err)
{
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    bool good = fh_json_set(o, "engine", fh_json_new_cstr(s->kind->id)) &&
                fh_json_set(o, "kv_bytes", fh_json_new_int((int64_t)FH_MIN(s->kv_bytes, (uint64_t)INT64_MAX))) &&
                fh_json_set(o, "model", fh_json_new_cstr(s->model)) && fh_json_set(o, "digest", fh_json_new_cstr(s->digest)) &&
                fh_json_set(o, "context_tok", fh_json_new_int(s->context_tok)) && fh_json_set(o, "streams", fh_json_new_int(s->streams)) &&
                fh_json_set(o, "memory_bytes", fh_json_new_int((int64_t)FH_MIN(s->memory_bytes, (uint64_t)INT64_MAX)));
    if (s->kv_type && *s->kv_type) good = good && fh_json_set(o, "kv_type", fh_json_new_cstr(s->kv_type));
    return good ? fh_json_write(o, out, err) : fh_err_nomem(err);
}

/* When the link was lost meanwhile, the first report of the next one says what became of it. */
static void started(void *arg, int status, fh_str body, const fh_err *link_err)
{
    fh_node_engine *ne = arg;
    FH_AUTO(fh_err) fh_err *err = NULL;
    ne->start = NULL;
    if (link_err && fh_err_code(link_err) == FH_E_UNAVAILABLE) return;
    if (status == 200 || status == 201) return;
    fh_node_refusal(ne->node->name, status, body, link_err, &err);
    fh_node_engine_end_soon(ne, fh_err_message(err));
}

static int ask_start(fh_node_engine *ne, const fh_engine_spec *s, fh_err **err)
{
    char path[128];
    FH_AUTO(buf) fh_buf body = FH_BUF(4096);
    int rc = start_body(s, &body, err);
    if (rc != 0) return rc;
    snprintf(path, sizeof(path), "/v1/engines/%s", ne->id);
    fh_link_ask_spec spec = {.method = "PUT",
                             .path = path,
                             .body = {body.data, body.len},
                             .idle_timeout_ns = FH_LIMIT_NODE_IDLE_MS * FH_NS_PER_MS,
                             .on_done = started,
                             .arg = ne};
    ne->taken = true;
    return fh_link_ask_start(&ne->start, ne->node->link, &spec, err);
}

static void say_started(const fh_node_place *n, const char *deployment)
{
    int fd = -1;
    if (fh_engine_log_begin(n->logs, deployment, &fd, NULL) == 0) close(fd);
}

static int node_start(void *ctx, const fh_engine_spec *spec, fh_engine *e, fh_err **err)
{
    fh_node_place *n = ctx;
    fh_node_engine *ne = NULL;
    if (!n->link) return not_there(n, err);
    int rc = engine_new(&ne, n, spec->socket_path, e, err);
    if (rc == 0 && (rc = ask_start(ne, spec, err)) != 0) unlist(ne);
    if (rc == 0) say_started(n, spec->deployment);
    return rc;
}

static int node_adopt(void *ctx, int64_t act, const char *socket_path, fh_engine *e, fh_err **err)
{
    (void)act;
    fh_node_place *n = ctx;
    fh_node_engine *ne = NULL;
    if (n->removed) return fh_err_set(err, FH_E_NOT_FOUND, "%s is no machine of the pool any more", n->name);
    int rc = engine_new(&ne, n, socket_path, e, err);
    if (rc != 0) return rc;
    ne->taken = e->away = true;
    wait_until(n, FH_LIMIT_NODE_BACK_MS * FH_NS_PER_MS);
    return 0;
}

/* One that cannot be reached is given up; should it still run when its machine comes back, it is ended there. */
static void node_stop(void *ctx, fh_engine *e, bool force)
{
    fh_node_place *n = ctx;
    fh_node_engine *ne = of(n, e);
    if (!ne) return;
    if (n->link)
        fh_node_dismiss(n, ne->id, force);
    else
        fh_node_engine_end_soon(ne, "");
}

static void node_let_go(void *ctx, fh_engine *e)
{
    fh_node_engine *ne = of(ctx, e);
    if (ne) unlist(ne);
}

static void node_up(void *ctx, const char *deployment, int64_t act, const char *socket_path)
{
    (void)ctx;
    (void)deployment;
    (void)act;
    (void)socket_path;
}

static int node_usage(void *ctx, const fh_engine *e, fh_process_use *ret)
{
    const fh_node_engine *ne = of(ctx, e);
    if (!ne) return FH_E_NOT_FOUND;
    *ret = (fh_process_use){.rss_bytes = ne->rss_bytes, .own_bytes = ne->own_bytes, .cpu_ns = ne->cpu_ns};
    return 0;
}

/* There is nothing of ours on our own disk but sockets, which `here` sweeps; what runs there is compared with each report. */
static void node_sweep(void *ctx, bool (*spare)(void *arg, const char *socket_path), void *arg)
{
    (void)ctx;
    (void)spare;
    (void)arg;
}

/* There is no process of it on this machine. */
static void node_tidy(void *ctx, const char *deployment, const char *socket_path)
{
    char folder[108];
    (void)ctx;
    (void)deployment;
    snprintf(folder, sizeof(folder), "%s", socket_path);
    char *slash = strrchr(folder, '/');
    if (slash) *slash = 0;
    unlink(socket_path);
    if (slash) rmdir(folder);
}

/* ---- logs ---- */

static void log_headers(void *arg, int status, const fh_header *headers, size_t count)
{
    fh_node_engine *ne = arg;
    uint64_t at = 0;
    if (status == 200 && fh_str_u64(fh_headers_find(headers, count, "x-log-at"), INT64_MAX, &at)) ne->log_at = (int64_t)at;
}

static void log_done(void *arg, int status, fh_str body, const fh_err *err)
{
    fh_node_engine *ne = arg;
    int fd = -1;
    ne->log = NULL;
    if (err || status != 200 || !body.len) return;
    if (fh_engine_log_open(ne->node->logs, ne->deployment, &fd, NULL) != 0) return;
    fh_file_append(fd, body.ptr, body.len, "its log", NULL); /* a log: what does not get there is missed by nobody but its readers */
    close(fd);
}

/* What it has said since; the name is the port's, for at this machine logs only need rotating. */
static void node_rotate(void *ctx, const char *deployment)
{
    fh_node_place *n = ctx;
    char path[160];
    for (fh_node_engine *ne = n->engines; ne; ne = ne->next) {
        if (strcmp(ne->deployment, deployment) != 0 || ne->log || !n->link) continue;
        snprintf(path, sizeof(path), "/v1/engines/%s/log?from=%lld", ne->id, (long long)ne->log_at);
        fh_link_ask_spec s = {.method = "GET",
                              .path = path,
                              .max_reply_bytes = FH_LIMIT_NODE_LOG_BYTES,
                              .idle_timeout_ns = FH_LIMIT_NODE_IDLE_MS * FH_NS_PER_MS,
                              .on_headers = log_headers,
                              .on_done = log_done,
                              .arg = ne};
        fh_link_ask_start(&ne->log, n->link, &s, NULL); /* not asked: at the next look */
    }
}

static int node_log_tail(void *ctx, const char *deployment, size_t max_bytes, fh_buf *out, fh_err **err)
{
    const fh_node_place *n = ctx;
    return fh_engine_log_tail(n->logs, deployment, max_bytes, out, err);
}

/* ---- its life ---- */

void fh_node_place_set(fh_node_place *n, const fh_fleet_node *to)
{
    n->terms.ask_micro = to->ask_micro;
    memcpy(n->terms.currency, to->currency, sizeof(n->terms.currency));
    n->terms.mtok_micro = to->mtok_micro;
    memcpy(n->terms.mtok_currency, to->mtok_currency, sizeof(n->terms.mtok_currency));
    memcpy(n->terms.owner, to->owner, sizeof(n->terms.owner));
    n->draining = to->draining;
    n->removed = false;
}

int fh_node_place_new(fh_node_place **ret, fh_loop *loop, fh_place *home, const char *logs, const fh_fleet_node *node, fh_err **err)
{
    fh_node_place *n = fh_calloc(1, sizeof(*n));
    if (!n) return fh_err_nomem(err);
    *n = (fh_node_place){.loop = loop, .home = home, .logs = logs, .line = FH_BUF(FH_LIMIT_NODE_REPORT_BYTES), .fetch = {.fd = -1}};
    snprintf(n->name, sizeof(n->name), "node/%s", node->name);
    n->place = (fh_place){.name = n->name,
                          .ctx = n,
                          .terms = node_terms,
                          .machine = node_machine,
                          .has = node_has,
                          .takes = fh_node_report_takes,
                          .ready = node_ready,
                          .fetch = node_fetch,
                          .socket_path = node_socket_path,
                          .start = node_start,
                          .adopt = node_adopt,
                          .stop = node_stop,
                          .let_go = node_let_go,
                          .up = node_up,
                          .usage = node_usage,
                          .sweep = node_sweep,
                          .tidy = node_tidy,
                          .rotate = node_rotate,
                          .log_tail = node_log_tail};
    fh_node_place_set(n, node);
    int rc = fh_timer_new(&n->timer, loop, on_timer, n, err);
    if (rc == 0)
        *ret = n;
    else
        fh_node_place_free(n);
    return rc;
}

void fh_node_place_up(fh_node_place *n, fh_link *l)
{
    fh_node_place_down(n);
    n->link = l;
    n->reported = false;
    memset(n->no_room, 0, sizeof(n->no_room)); /* its owner may lend more than before */
    fh_node_report_ask(n);
}

void fh_node_place_down(fh_node_place *n)
{
    if (!n->link) return;
    if (n->report) fh_link_ask_cancel(fh_take(n->report));
    fh_node_fetch_drop(n);
    n->link = NULL;
    for (fh_node_engine *ne = n->engines; ne; ne = ne->next) {
        if (ne->log) fh_link_ask_cancel(fh_take(ne->log));
        if (ne->start) fh_link_ask_cancel(fh_take(ne->start));
    }
    for (fh_node_engine *ne = n->engines; ne; ne = ne->next) fh_node_engine_set_away(ne, true);
    if (n->engines) wait_until(n, FH_LIMIT_NODE_AWAY_MS * FH_NS_PER_MS);
}

void fh_node_place_remove(fh_node_place *n, const char *why)
{
    n->removed = true;
    fh_node_place_down(n);
    for (fh_node_engine *ne = n->engines; ne; ne = ne->next) fh_node_engine_end_soon(ne, why);
}

void fh_node_place_free(fh_node_place *n)
{
    if (!n) return;
    if (n->report) fh_link_ask_cancel(n->report);
    fh_node_fetch_drop(n);
    while (n->engines) unlist(n->engines);
    fh_json_unref(n->owner);
    fh_buf_fini(&n->line);
    fh_timer_free(n->timer);
    fh_free(n);
}
