/* The engines of this machine that the server asked for. */
#include "private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "fleet/fleet.h"
#include "sys/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct node_engine {
    node_engine *next;
    fh_node_agent *agent;
    fh_engine e;
    char id[NODE_ID], deployment[64], socket_path[108];
    bool stopping;
    fh_timer *timer; /* SIGKILL */
};

static node_engine *find(fh_node_agent *a, fh_str id)
{
    node_engine *e = a->engines;
    while (e && !fh_str_eqs(id, e->id)) e = e->next;
    return e;
}

static void engine_free(node_engine *e)
{
    e->agent->place.let_go(e->agent->place.ctx, &e->e);
    fh_timer_free(e->timer);
    fh_free(e);
}

/* ---- the end ---- */

static void remember_end(node_engine *e)
{
    fh_node_agent *a = e->agent;
    node_ended *slot = &a->ended[a->ended_count++ % NODE_ENDED_KEPT];
    char words[160];
    snprintf(slot->id, sizeof(slot->id), "%s", e->id);
    slot->why[0] = 0;
    if (e->stopping) return;
    fh_place_last_words(&a->place, e->deployment, words, sizeof(words));
    snprintf(slot->why, sizeof(slot->why), "the engine ended unexpectedly%s%s", *words ? "; its last words: " : "", words);
}

static void on_end(void *arg, const char *why)
{
    node_engine *e = arg;
    fh_node_agent *a = e->agent;
    node_engine **p = &a->engines;
    while (*p != e) p = &(*p)->next;
    *p = e->next;
    fh_log(FH_LOG_INFO, "node", "engine=%s has ended%s%s", e->id, why ? ": " : "", why ? why : "");
    remember_end(e);
    a->place.tidy(a->place.ctx, e->deployment, e->socket_path);
    engine_free(e);
    node_report_soon(a);
    node_agent_settle(a);
}

static void on_stubborn(void *arg)
{
    node_engine *e = arg;
    e->agent->place.stop(e->agent->place.ctx, &e->e, true);
}

static void stop(node_engine *e, bool force)
{
    if (!e->stopping) fh_timer_start(e->timer, FH_LIMIT_NODE_TERM_MS * FH_NS_PER_MS);
    e->stopping = true;
    e->agent->place.stop(e->agent->place.ctx, &e->e, force);
}

void node_engines_end(fh_node_agent *a)
{
    for (node_engine *e = a->engines; e; e = e->next) stop(e, false);
}

void node_engines_free(fh_node_agent *a)
{
    while (a->engines) {
        node_engine *e = a->engines;
        a->engines = e->next;
        engine_free(e);
    }
}

/* ---- the start ---- */

/* "NAME.ACT": a deployment's name and the number of a start. */
static int parse_id(fh_str id, char *deployment, size_t size, int64_t *ret_act, fh_err **err)
{
    uint64_t act = 0;
    size_t dot = id.len;
    while (dot && id.ptr[dot - 1] != '.') dot--;
    bool good = dot > 1 && dot <= size && id.len < NODE_ID && fh_str_u64((fh_str){id.ptr + dot, id.len - dot}, INT64_MAX, &act);
    if (good) snprintf(deployment, size, "%.*s", (int)(dot - 1), id.ptr);
    if (!good || !fh_deployment_name_good(deployment)) return fh_err_set(err, FH_E_INVALID, "that is no name of an engine");
    *ret_act = (int64_t)act;
    return 0;
}

typedef struct wish { /* what the server asks for */
    const fh_catalog_engine *kind;
    char model[128], digest[65], kv_type[FH_KV_TYPE_CHARS];
    int64_t context_tok, streams, memory_bytes, kv_bytes;
} wish;

static int parse_wish(fh_str body, wish *w, fh_err **err)
{
    FH_AUTO(json) fh_json *o = NULL;
    fh_str model = {0}, digest = {0}, engine = {0}, kv_type = {0};
    int rc = fh_json_parse(&o, body, FH_LIMIT_LINK_BODY_BYTES, err);
    if (rc == 0) rc = fh_json_read_str(o, "model", true, &model, err);
    if (rc == 0) rc = fh_json_read_str(o, "digest", true, &digest, err);
    if (rc == 0) rc = fh_json_read_str(o, "engine", true, &engine, err);
    if (rc == 0) rc = fh_json_read_str(o, "kv_type", false, &kv_type, err);
    if (rc == 0) rc = fh_json_read_i64(o, "kv_bytes", true, 0, INT64_MAX, &w->kv_bytes, err);
    if (rc == 0) rc = fh_json_read_i64(o, "context_tok", true, 1, FH_LIMIT_CONTEXT_TOK, &w->context_tok, err);
    if (rc == 0) rc = fh_json_read_i64(o, "streams", true, 1, FH_LIMIT_STREAMS, &w->streams, err);
    if (rc == 0) rc = fh_json_read_i64(o, "memory_bytes", true, 1, INT64_MAX, &w->memory_bytes, err);
    if (rc == 0 && !(w->kind = fh_catalog_engine_find(engine))) rc = fh_err_set(err, FH_E_FORBIDDEN, "this machine knows no such engine");
    if (rc != 0) return rc;
    if (!node_digest_good(digest)) return fh_err_set(err, FH_E_INVALID, "the weights are named by their SHA-256");
    if (!model.len || model.len >= sizeof(w->model)) return fh_err_set(err, FH_E_INVALID, "that is no name of a model");
    snprintf(w->model, sizeof(w->model), "%.*s", (int)model.len, model.ptr);
    snprintf(w->digest, sizeof(w->digest), "%.*s", (int)digest.len, digest.ptr);
    if (kv_type.len) snprintf(w->kv_type, sizeof(w->kv_type), "%.*s", (int)kv_type.len, kv_type.ptr);
    return fh_catalog_engine_keeps(w->kind, w->kv_type, err);
}

static int start(fh_node_agent *a, fh_str id, const wish *w, fh_err **err)
{
    node_engine *e = fh_calloc(1, sizeof(*e));
    fh_weights_item item;
    char sandbox[16];
    int64_t act = 0;
    if (!e) return fh_err_nomem(err);
    *e = (node_engine){.agent = a, .e = {.on_end = on_end, .arg = e}};
    snprintf(e->id, sizeof(e->id), "%.*s", (int)FH_MIN(id.len, NODE_ID - 1u), id.ptr);
    int rc = fh_timer_new(&e->timer, a->loop, on_stubborn, e, err);
    if (rc == 0) rc = parse_id(id, e->deployment, sizeof(e->deployment), &act, err);
    if (rc == 0) rc = fh_weights_find(a->weights, w->digest, &item, err);
    const fh_catalog_run *run = rc == 0 ? fh_catalog_run_find(fh_catalog_find(fh_str_of(w->model)), w->kind->id, item.variant) : NULL;
    if (rc == 0) rc = a->place.ready(a->place.ctx, w->kind, run ? run->least : "", sandbox, sizeof(sandbox), err);
    if (rc == 0) rc = a->place.socket_path(a->place.ctx, e->deployment, act, e->socket_path, sizeof(e->socket_path), err);
    if (rc == 0) {
        fh_engine_spec s = {.kind = w->kind,
                            .deployment = e->deployment,
                            .model = w->model,
                            .digest = item.digest,
                            .file = item.path,
                            .folder = item.folder,
                            .socket_path = e->socket_path,
                            .context_tok = w->context_tok,
                            .streams = w->streams,
                            .kv_type = w->kv_type,
                            .memory_bytes = (uint64_t)w->memory_bytes,
                            .kv_bytes = (uint64_t)w->kv_bytes,
                            .run = run};
        rc = a->place.start(a->place.ctx, &s, &e->e, err);
    }
    if (rc != 0) {
        engine_free(e);
        return rc;
    }
    e->next = a->engines;
    a->engines = e;
    fh_log(FH_LOG_INFO, "node", "engine=%s is started for the model %s", e->id, w->model);
    return 0;
}

static uint64_t used_bytes(const fh_node_agent *a)
{
    uint64_t sum = 0;
    for (const node_engine *e = a->engines; e; e = e->next) {
        fh_process_use use = {0};
        a->place.usage(a->place.ctx, &e->e, &use);
        sum += use.own_bytes;
    }
    return sum;
}

fh_plan_machine node_machine(const fh_node_agent *a)
{
    fh_plan_machine m = a->place.machine(a->place.ctx);
    uint64_t lent = (uint64_t)a->owner->memory_bytes;
    if (!lent || lent >= m.memory_bytes) return m;
    uint64_t used = used_bytes(a);
    m.memory_bytes = lent;
    m.memory_available_bytes = FH_MIN(m.memory_available_bytes, lent > used ? lent - used : 0);
    return m;
}

size_t node_engines_count(const fh_node_agent *a)
{
    size_t count = 0;
    for (const node_engine *e = a->engines; e; e = e->next) count++;
    return count;
}

/* The server asks; what a machine can bear is its own to say. */
static int may_start(const fh_node_agent *a, wish *w, fh_err **err)
{
    int64_t most = a->owner->engines ? FH_MIN(a->owner->engines, FH_LIMIT_NODE_ENGINES) : FH_LIMIT_NODE_ENGINES;
    uint64_t lent = (uint64_t)a->owner->memory_bytes, used = lent ? used_bytes(a) : 0;
    if (*a->closed || a->stopping) return fh_err_set(err, FH_E_UNAVAILABLE, "this machine takes no engines now");
    if ((int64_t)node_engines_count(a) >= most)
        return fh_err_set(err, FH_E_CONFLICT, "%lld engines run on this machine already", (long long)most);
    if (lent && used >= lent) return fh_err_set(err, FH_E_CONFLICT, "the memory that its owner lends is in use");
    uint64_t memory = node_machine(a).memory_bytes;
    w->memory_bytes = (int64_t)FH_MIN((uint64_t)w->memory_bytes, lent ? FH_MIN(memory, lent - used) : memory);
    return fh_node_owner_takes(a->owner, w->model, w->digest, err);
}

void node_engine_put(fh_node_agent *a, fh_link_req *r, fh_str id)
{
    wish w = {0};
    fh_err *err = NULL;
    bool there = find(a, id) != NULL;
    int rc = parse_wish(fh_link_req_body(r), &w, &err);
    if (rc == 0 && !there) rc = may_start(a, &w, &err);
    if (rc == 0 && !there) rc = start(a, id, &w, &err);
    if (rc != 0) {
        node_refuse(r, err);
        return;
    }
    fh_link_reply(r, there ? 200 : 201, NULL, NULL, 0);
    node_report_soon(a);
}

void node_engine_delete(fh_node_agent *a, fh_link_req *r, fh_str id, bool force)
{
    node_engine *e = find(a, id);
    if (e) stop(e, force);
    fh_link_reply(r, 200, NULL, NULL, 0);
}

/* ---- while it runs ---- */

int node_engine_connect(fh_node_agent *a, fh_str id, int *ret_fd, fh_err **err)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const node_engine *e = find(a, id);
    if (!e) return fh_err_set(err, FH_E_NOT_FOUND, "no such engine runs");
    snprintf(to.sun_path, sizeof(to.sun_path), "%s", e->socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0) {
        *ret_fd = fd;
        return 0;
    }
    int e_no = errno;
    if (fd >= 0) close(fd);
    return fh_err_errno(err, FH_E_UNAVAILABLE, e_no, "the engine takes no connections");
}

void node_engine_log(fh_node_agent *a, fh_link_req *r, fh_str id, int64_t from)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_NODE_LOG_BYTES);
    const node_engine *e = find(a, id);
    char at[24];
    fh_err *err = NULL;
    if (!e) {
        fh_err_set(&err, FH_E_NOT_FOUND, "no such engine runs");
        node_refuse(r, err);
        return;
    }
    a->place.rotate(a->place.ctx, e->deployment);
    int64_t end = fh_here_log_from(a->here, e->deployment, from, FH_LIMIT_NODE_LOG_BYTES, &text);
    snprintf(at, sizeof(at), "%lld", (long long)end);
    fh_link_reply_header(r, "x-log-at", at);
    fh_link_reply(r, 200, "text/plain", text.data, text.len);
}

bool node_engines_json(const fh_node_agent *a, fh_json *into)
{
    fh_json *running = fh_json_new_array(), *ended = fh_json_new_array();
    bool good = running && ended;
    for (const node_engine *e = a->engines; good && e; e = e->next) {
        fh_process_use use = {0};
        fh_json *o = fh_json_new_object();
        a->place.usage(a->place.ctx, &e->e, &use);
        good = fh_json_set(o, "id", fh_json_new_cstr(e->id)) && fh_json_set(o, "rss_bytes", fh_json_new_int((int64_t)use.rss_bytes)) &&
               fh_json_set(o, "own_bytes", fh_json_new_int((int64_t)use.own_bytes)) &&
               fh_json_set(o, "cpu_ns", fh_json_new_int(use.cpu_ns)) && fh_json_append(running, fh_json_ref(o));
        fh_json_unref(o);
    }
    for (size_t i = 0; good && i < FH_MIN(a->ended_count, (size_t)NODE_ENDED_KEPT); i++) {
        fh_json *o = fh_json_new_object();
        good = fh_json_set(o, "id", fh_json_new_cstr(a->ended[i].id)) && fh_json_set(o, "why", fh_json_new_cstr(a->ended[i].why)) &&
               fh_json_append(ended, fh_json_ref(o));
        fh_json_unref(o);
    }
    bool set = fh_json_set(into, "engines", running);
    return fh_json_set(into, "ended", ended) && set && good;
}
