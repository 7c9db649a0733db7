/* What this machine reports, a line of JSON at a time, to whoever asked for it. */
#include "private.h"

#include "base/clock.h"

struct node_reporter {
    node_reporter *next;
    fh_node_agent *agent;
    fh_link_req *r;
};

static void forget(void *arg)
{
    node_reporter *n = arg;
    node_reporter **p = &n->agent->reporters;
    while (*p != n) p = &(*p)->next;
    *p = n->next;
    fh_free(n);
}

/* The engines that its owner has installed. */
static fh_json *kinds_json(fh_node_agent *a)
{
    fh_json *list = fh_json_new_array();
    for (size_t i = 0; list && i < fh_catalog_engine_count(); i++) {
        const fh_catalog_engine *kind = fh_catalog_engine_at(i);
        if (a->place.has(a->place.ctx, kind, NULL) == 0) fh_json_append(list, fh_json_new_cstr(kind->id));
    }
    return list;
}

/* What its owner allows, and why nothing now where that is so. */
static fh_json *owner_json(const fh_node_agent *a)
{
    fh_json *o = fh_node_owner_json(a->owner);
    if (o && *a->closed) fh_json_set(o, "closed", fh_json_new_cstr(a->closed));
    return o;
}

static int write_report(fh_node_agent *a, fh_buf *out)
{
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    fh_plan_machine m = node_machine(a);
    bool good = fh_json_set(o, "kinds", kinds_json(a)) && fh_json_set(o, "memory_bytes", fh_json_new_int((int64_t)m.memory_bytes)) &&
                fh_json_set(o, "memory_available_bytes", fh_json_new_int((int64_t)m.memory_available_bytes)) &&
                fh_json_set(o, "sandbox", fh_json_new_cstr(a->sandbox)) && fh_json_set(o, "owner", owner_json(a)) &&
                node_engines_json(a, o);
    int rc = good ? fh_json_write(o, out, NULL) : FH_E_NOMEM;
    fh_buf_add(out, "\n", 1);
    return rc;
}

/* What cannot be written for want of memory is in the next. */
void node_report_soon(fh_node_agent *a)
{
    FH_AUTO(buf) fh_buf line = FH_BUF(FH_LIMIT_NODE_REPORT_BYTES);
    if (!a->reporters) return;
    fh_timer_start(a->timer, FH_LIMIT_NODE_REPORT_MS * FH_NS_PER_MS);
    if (write_report(a, &line) != 0 || !fh_buf_ok(&line)) return;
    for (node_reporter *n = a->reporters; n; n = n->next) fh_link_reply_write(n->r, line.data, line.len);
}

void node_report_begin(fh_node_agent *a, fh_link_req *r)
{
    node_reporter *n = fh_calloc(1, sizeof(*n));
    if (!n) {
        fh_link_reply(r, 503, NULL, NULL, 0);
        return;
    }
    *n = (node_reporter){.agent = a, .r = r, .next = a->reporters};
    a->reporters = n;
    fh_link_req_on_gone(r, forget, n);
    fh_link_reply_start(r, 200, "application/x-ndjson");
    node_report_soon(a);
}

void node_reports_free(fh_node_agent *a)
{
    while (a->reporters) {
        fh_link_req_on_gone(a->reporters->r, NULL, NULL);
        fh_link_reply_abort(a->reporters->r);
        forget(a->reporters);
    }
}
