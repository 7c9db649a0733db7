/* The agent's life, and which ask goes where. */
#include "private.h"

#include "base/clock.h"
#include "base/str.h"
#include "sys/file.h"

#include <string.h>

/* ---- replies ---- */

void node_reply_json(fh_link_req *r, int status, fh_json *o)
{
    FH_AUTO(buf) fh_buf body = FH_BUF(FH_LIMIT_LINK_REPLY_BYTES);
    if (!o || fh_json_write(o, &body, NULL) != 0) {
        fh_link_reply(r, 500, NULL, NULL, 0);
    } else {
        fh_link_reply(r, status, "application/json", body.data, body.len);
    }
    fh_json_unref(o);
}

static int status_of(int code)
{
    switch (code) {
    case FH_E_NOT_FOUND: return 404;
    case FH_E_FORBIDDEN: return 403;
    case FH_E_INVALID: return 400;
    case FH_E_TOO_LARGE: return 413;
    case FH_E_CORRUPT: return 422;
    case FH_E_CONFLICT: return 409;
    case FH_E_BUSY:
    case FH_E_UNAVAILABLE: return 503;
    default: return 500;
    }
}

void node_refuse(fh_link_req *r, fh_err *err)
{
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "error", fh_json_new_cstr(fh_err_message(err)));
    node_reply_json(r, status_of(fh_err_code(err)), o);
    fh_err_free(err);
}

static void refuse_path(fh_link_req *r)
{
    fh_err *err = NULL;
    fh_err_set(&err, FH_E_NOT_FOUND, "this machine does not know what is asked of it");
    node_refuse(r, err);
}

/* ---- paths ---- */

typedef struct path { /* "/v1/A/B/C?from=N&force=1" */
    fh_str part[3];
    size_t count;
    int64_t from;
    bool force;
} path;

static bool take(fh_str *rest, char until, fh_str *ret)
{
    size_t n = 0;
    while (n < rest->len && rest->ptr[n] != until) n++;
    *ret = (fh_str){rest->ptr, n};
    bool more = n < rest->len;
    rest->ptr += n + more;
    rest->len -= n + more;
    return more;
}

static bool parse_query(fh_str query, path *p)
{
    while (query.len) {
        fh_str name, value;
        uint64_t from = 0;
        take(&query, '&', &value);
        if (!take(&value, '=', &name)) return false;
        if (fh_str_eqs(name, "force")) {
            p->force = fh_str_eqs(value, "1");
        } else if (!fh_str_eqs(name, "from") || !fh_str_u64(value, INT64_MAX, &from)) {
            return false;
        }
        p->from = (int64_t)from;
    }
    return true;
}

static bool parse_path(fh_str text, path *p)
{
    fh_str line, prefix = FH_STR("/v1/");
    *p = (path){0};
    take(&text, '?', &line);
    if (!fh_str_starts(line, prefix) || !parse_query(text, p)) return false;
    line = (fh_str){line.ptr + prefix.len, line.len - prefix.len};
    for (bool more = true; more;) {
        if (p->count == FH_COUNT(p->part)) return false;
        more = take(&line, '/', &p->part[p->count]);
        if (!p->part[p->count++].len) return false;
    }
    return true;
}

static bool is(const path *p, size_t count, const char *first)
{
    return p->count == count && fh_str_eqs(p->part[0], first);
}

/* ---- asks ---- */

void fh_node_agent_head(void *arg, fh_link_req *r)
{
    path p;
    if (fh_str_eqs(fh_link_req_method(r), "PUT") && parse_path(fh_link_req_path(r), &p) && is(&p, 3, "weights"))
        node_weights_head(arg, r, p.part[1], p.part[2], p.from);
}

static void route_engines(fh_node_agent *a, fh_link_req *r, const path *p, fh_str method)
{
    if (p->count == 3 && fh_str_eqs(method, "GET") && fh_str_eqs(p->part[2], "log"))
        node_engine_log(a, r, p->part[1], p->from);
    else if (p->count == 2 && fh_str_eqs(method, "PUT"))
        node_engine_put(a, r, p->part[1]);
    else if (p->count == 2 && fh_str_eqs(method, "DELETE"))
        node_engine_delete(a, r, p->part[1], p->force);
    else
        refuse_path(r);
}

static void route_weights(fh_node_agent *a, fh_link_req *r, const path *p, fh_str method)
{
    if (p->count == 2 && fh_str_eqs(method, "GET"))
        node_weights_get(a, r, p->part[1]);
    else if (p->count == 2 && fh_str_eqs(method, "POST"))
        node_weights_keep(a, r, p->part[1]);
    else if (p->count == 3 && fh_str_eqs(method, "PUT"))
        node_weights_put(r);
    else
        refuse_path(r);
}

void fh_node_agent_request(void *arg, fh_link_req *r)
{
    fh_node_agent *a = arg;
    fh_str method = fh_link_req_method(r);
    path p;
    if (!parse_path(fh_link_req_path(r), &p))
        refuse_path(r);
    else if (is(&p, 1, "report") && fh_str_eqs(method, "GET"))
        node_report_begin(a, r);
    else if (fh_str_eqs(p.part[0], "engines"))
        route_engines(a, r, &p, method);
    else if (fh_str_eqs(p.part[0], "weights"))
        route_weights(a, r, &p, method);
    else
        refuse_path(r);
}

void fh_node_agent_tunnel(void *arg, fh_link_req *r)
{
    fh_str to = fh_link_req_authority(r), prefix = FH_STR("engine:");
    fh_err *err = NULL;
    int fd = -1;
    if (!fh_str_starts(to, prefix))
        refuse_path(r);
    else if (node_engine_connect(arg, (fh_str){to.ptr + prefix.len, to.len - prefix.len}, &fd, &err) != 0)
        node_refuse(r, err);
    else
        fh_link_join(r, fd);
}

/* ---- its life ---- */

static bool spare_none(void *arg, const char *socket_path)
{
    (void)arg;
    (void)socket_path;
    return false;
}

static void on_timer(void *arg)
{
    node_report_soon(arg);
}

static int open_parts(fh_node_agent *a, const fh_node_agent_config *c, fh_err **err)
{
    a->data_dir = fh_strdup(c->data_dir);
    if (!a->data_dir) return fh_err_nomem(err);
    int rc = fh_weights_open(&a->weights, c->data_dir, true, err);
    fh_fleet_config here = {.data_dir = c->data_dir, .program = c->program, .engines = c->engines, .spread = c->spread};
    if (rc == 0) rc = fh_here_new(&a->here, a->loop, &here, err);
    if (rc == 0) rc = fh_timer_new(&a->timer, a->loop, on_timer, a, err);
    if (rc == 0) rc = node_lending_open(a, err);
    if (rc != 0) return rc;
    fh_here_place(a->here, &a->place);
    a->place.sweep(a->place.ctx, spare_none, NULL);
    return a->place.ready(a->place.ctx, fh_catalog_engine_at(0), "", a->sandbox, sizeof(a->sandbox), err);
}

static const fh_node_owner everything;

int fh_node_agent_new(fh_node_agent **ret, fh_loop *loop, const fh_node_agent_config *c, fh_err **err)
{
    fh_node_agent *a = fh_calloc(1, sizeof(*a));
    if (!a) return fh_err_nomem(err);
    a->loop = loop;
    a->owner = c->owner ? c->owner : &everything;
    int rc = open_parts(a, c, err);
    if (rc == 0)
        *ret = a;
    else
        fh_node_agent_free(a);
    return rc;
}

void node_agent_settle(fh_node_agent *a)
{
    if (a->stopping && !a->engines && !a->keeping) a->stopped(a->stopped_arg);
}

void fh_node_agent_free(fh_node_agent *a)
{
    if (!a) return;
    node_reports_free(a);
    node_engines_free(a);
    node_lending_free(a);
    fh_timer_free(a->timer);
    fh_here_free(a->here);
    fh_weights_close(a->weights);
    fh_free(a->data_dir);
    fh_free(a);
}
