/* What a machine of the pool reports: the truth of what runs there, and what its owner allows. */
#include "node_place.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

static bool holds(const fh_json *list, const char *id, const fh_json **ret)
{
    for (size_t i = 0; i < fh_json_count(list); i++) {
        *ret = fh_json_at(list, i);
        if (fh_str_eqs(fh_json_str(fh_json_get(*ret, "id")), id)) return true;
    }
    return false;
}

static void ended_there(fh_node_engine *ne, const fh_json *ended)
{
    const fh_json *one;
    char why[200] = "";
    fh_str said = holds(ended, ne->id, &one) ? fh_json_str(fh_json_get(one, "why")) : (fh_str){0};
    if (said.len) snprintf(why, sizeof(why), "%.*s", (int)FH_MIN(said.len, sizeof(why) - 1), said.ptr);
    fh_node_engine_end_soon(ne, why);
}

/* What runs there and nobody here accounts for. */
static void sweep_there(fh_node_place *n, const fh_json *running)
{
    for (size_t i = 0; i < fh_json_count(running); i++) {
        char id[96];
        fh_str said = fh_json_str(fh_json_get(fh_json_at(running, i), "id"));
        if (!said.len || said.len >= sizeof(id) || fh_node_engine_find(n, said)) continue;
        snprintf(id, sizeof(id), "%.*s", (int)said.len, said.ptr);
        fh_log(FH_LOG_INFO, "fleet", "%s: its engine %s is nobody's; it is ended", n->name, id);
        fh_node_dismiss(n, id, false);
    }
}

static void take_kinds(fh_node_place *n, const fh_json *kinds)
{
    n->kind_count = 0;
    for (size_t i = 0; i < fh_json_count(kinds) && n->kind_count < FH_COUNT(n->kinds); i++) {
        const fh_catalog_engine *kind = fh_catalog_engine_find(fh_json_str(fh_json_at(kinds, i)));
        if (kind) n->kinds[n->kind_count++] = kind;
    }
}

/* ---- its owner ---- */

/* What a report says of it counts until the next. */
static void take_owner(fh_node_place *n, const fh_json *o)
{
    fh_str why = fh_json_str(fh_json_get(o, "closed"));
    bool was_open = !*n->closed;
    fh_json_unref(n->owner);
    n->owner = o ? fh_json_ref((fh_json *)(uintptr_t)o) : NULL;
    snprintf(n->closed, sizeof(n->closed), "%.*s", (int)FH_MIN(why.len, sizeof(n->closed) - 1), why.len ? why.ptr : "");
    if (was_open && *n->closed) n->on_closed(n->on_closed_arg, n);
}

static bool names(const fh_json *list, const char *model, const char *digest)
{
    for (size_t i = 0; i < fh_json_count(list); i++) {
        fh_str name = fh_json_str(fh_json_at(list, i));
        if (fh_str_eqs(name, model) || (*digest && fh_str_eqs(name, digest))) return true;
    }
    return false;
}

int fh_node_report_takes(void *ctx, const char *model, const char *digest, fh_err **err)
{
    const fh_node_place *n = ctx;
    const fh_json *models = fh_json_get(n->owner, "models"), *not_models = fh_json_get(n->owner, "not_models");
    if ((models && !names(models, model, digest)) || names(not_models, model, digest))
        return fh_err_set(err, FH_E_FORBIDDEN, "the owner of %s does not lend it for %s", n->name, model);
    for (size_t i = 0; *digest && i < FH_COUNT(n->no_room); i++)
        if (strcmp(n->no_room[i], digest) == 0) return fh_err_set(err, FH_E_TOO_LARGE, "%s has no room on its disk for %s", n->name, model);
    return 0;
}

bool fh_node_report_full(const fh_node_place *n)
{
    int64_t most = fh_json_int(fh_json_get(n->owner, "engines"), INT64_MAX);
    return (int64_t)n->running >= most;
}

/* ---- the report ---- */

static void take_report(fh_node_place *n, const fh_json *o)
{
    const fh_json *running = fh_json_get(o, "engines"), *one;
    int64_t memory = 0, available = 0;
    fh_str sandbox = {0};
    if (fh_json_read_i64(o, "memory_bytes", true, 0, INT64_MAX, &memory, NULL) != 0 ||
        fh_json_read_i64(o, "memory_available_bytes", true, 0, INT64_MAX, &available, NULL) != 0 ||
        fh_json_read_str(o, "sandbox", true, &sandbox, NULL) != 0)
        return;
    take_kinds(n, fh_json_get(o, "kinds"));
    n->machine = (fh_plan_machine){.memory_bytes = (uint64_t)memory, .memory_available_bytes = (uint64_t)available};
    snprintf(n->sandbox, sizeof(n->sandbox), "%.*s", (int)FH_MIN(sandbox.len, sizeof(n->sandbox) - 1), sandbox.ptr);
    n->reported = true;
    n->away_until_ns = 0;
    for (fh_node_engine *ne = n->engines; ne; ne = ne->next) {
        if (!ne->taken || ne->start) continue;
        if (!holds(running, ne->id, &one)) {
            ended_there(ne, fh_json_get(o, "ended"));
            continue;
        }
        ne->rss_bytes = (uint64_t)fh_json_int(fh_json_get(one, "rss_bytes"), 0);
        ne->own_bytes = (uint64_t)fh_json_int(fh_json_get(one, "own_bytes"), 0);
        ne->cpu_ns = fh_json_int(fh_json_get(one, "cpu_ns"), 0);
        fh_node_engine_set_away(ne, false);
    }
    n->running = fh_json_count(running);
    sweep_there(n, running);
    take_owner(n, fh_json_get(o, "owner"));
}

static bool report_data(void *arg, const void *data, size_t bytes)
{
    fh_node_place *n = arg;
    fh_buf_add(&n->line, data, bytes);
    for (const char *end; fh_buf_ok(&n->line) && (end = memchr(n->line.data, '\n', n->line.len));) {
        FH_AUTO(json) fh_json *o = NULL;
        size_t len = (size_t)(end - (const char *)n->line.data);
        if (fh_json_parse(&o, (fh_str){n->line.data, len}, FH_LIMIT_NODE_REPORT_BYTES, NULL) == 0) take_report(n, o);
        fh_buf_consume(&n->line, len + 1);
    }
    return true;
}

static void report_done(void *arg, int status, fh_str body, const fh_err *err)
{
    fh_node_place *n = arg;
    (void)status;
    (void)body;
    n->report = NULL;
    if (n->link) fh_link_close(n->link, FH_E_UNAVAILABLE, err ? "the report ended" : "the report is no report");
}

void fh_node_report_ask(fh_node_place *n)
{
    fh_buf_clear(&n->line);
    fh_link_ask_spec s = {.method = "GET",
                          .path = "/v1/report",
                          .idle_timeout_ns = FH_LIMIT_NODE_IDLE_MS * FH_NS_PER_MS,
                          .on_data = report_data,
                          .on_done = report_done,
                          .arg = n};
    if (fh_link_ask_start(&n->report, n->link, &s, NULL) != 0) fh_link_close(n->link, FH_E_UNAVAILABLE, "it cannot be asked");
}
