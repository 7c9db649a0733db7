/* GET /metrics: the gateway's figures, the fleet's and the server's own, as Prometheus text. */
#include "base/clock.h"
#include "pool_offers.h"
#include "server_private.h"

#include <string.h>

static void write_deployments(fh_server *s, fh_buf *out)
{
    size_t by_state[FH_DEPLOYMENT_STATE_COUNT] = {0};
    const fh_fleet_snapshot *snap = fh_fleet_snapshot_get(s->fleet);
    for (size_t i = 0; i < snap->count; i++) by_state[snap->deployments[i].state]++;
    fh_buf_adds(out, "# HELP freehold_deployments Deployments by state.\n# TYPE freehold_deployments gauge\n");
    for (size_t i = 0; i < FH_DEPLOYMENT_STATE_COUNT; i++)
        fh_buf_addf(out, "freehold_deployments{state=\"%s\"} %zu\n", fh_deployment_state_name((fh_deployment_state)i), by_state[i]);
    fh_buf_adds(out, "# HELP freehold_engine_resident_bytes Memory that engines have.\n# TYPE freehold_engine_resident_bytes gauge\n");
    for (size_t i = 0; i < snap->count; i++) {
        const fh_deployment_view *d = &snap->deployments[i];
        if (d->state == FH_DEPLOYMENT_READY)
            fh_buf_addf(out, "freehold_engine_resident_bytes{deployment=\"%s\"} %llu\n", d->name, (unsigned long long)d->rss_bytes);
    }
    fh_fleet_snapshot_release(snap);
}

static void write_sets(fh_server *s, fh_buf *out)
{
    const fh_fleet_snapshot *snap = fh_fleet_snapshot_get(s->fleet);
    fh_buf_adds(out, "# HELP freehold_set_replicas Replicas of each set.\n# TYPE freehold_set_replicas gauge\n");
    for (size_t i = 0; i < snap->set_count; i++) {
        const fh_set_view *v = &snap->sets[i];
        fh_buf_addf(out, "freehold_set_replicas{set=\"%s\",state=\"wanted\"} %lld\n", v->name, (long long)v->wanted);
        fh_buf_addf(out, "freehold_set_replicas{set=\"%s\",state=\"ready\"} %lld\n", v->name, (long long)v->ready);
    }
    fh_buf_adds(out, "# HELP freehold_set_changes_total Changes of the number of replicas that are wanted.\n"
                     "# TYPE freehold_set_changes_total counter\n");
    for (size_t i = 0; i < snap->set_count; i++) {
        const fh_set_view *v = &snap->sets[i];
        fh_buf_addf(out, "freehold_set_changes_total{set=\"%s\",to=\"more\"} %llu\n", v->name, (unsigned long long)v->ups);
        fh_buf_addf(out, "freehold_set_changes_total{set=\"%s\",to=\"fewer\"} %llu\n", v->name, (unsigned long long)v->downs);
    }
    fh_buf_adds(out, "# HELP freehold_set_wake_seconds Time of the last waking until a replica was ready.\n"
                     "# TYPE freehold_set_wake_seconds gauge\n");
    for (size_t i = 0; i < snap->set_count; i++)
        if (snap->sets[i].woke_ns)
            fh_buf_addf(out, "freehold_set_wake_seconds{set=\"%s\"} %.3f\n", snap->sets[i].name, (double)snap->sets[i].woke_ns / 1e9);
    fh_fleet_snapshot_release(snap);
}

static void write_machine(const fh_pool_offer *o, int part, fh_buf *out)
{
    const char *name = o->place + strlen("node/");
    const fh_node_measured *m = &o->measured;
    if (part == 0 && o->claimed_bytes_per_s)
        fh_buf_addf(out, "freehold_node_memory_read_bytes_per_second{node=\"%s\",basis=\"claimed\"} %llu\n", name,
                    (unsigned long long)o->claimed_bytes_per_s);
    if (part == 0 && (m->memory_bytes_s || m->wrong))
        fh_buf_addf(out, "freehold_node_memory_read_bytes_per_second{node=\"%s\",basis=\"measured\"} %lld\n", name,
                    (long long)m->memory_bytes_s);
    if (part == 1 && m->to_bytes_s)
        fh_buf_addf(out,
                    "freehold_node_link_bytes_per_second{node=\"%s\",direction=\"to\"} %lld\n"
                    "freehold_node_link_bytes_per_second{node=\"%s\",direction=\"from\"} %lld\n",
                    name, (long long)m->to_bytes_s, name, (long long)m->from_bytes_s);
    if (part == 2 && m->round_trip_us)
        fh_buf_addf(out, "freehold_node_round_trip_seconds{node=\"%s\"} %.6f\n", name, (double)m->round_trip_us / 1e6);
}

/* Of the machines of the pool that are connected. */
static void write_pool(fh_server *s, fh_buf *out)
{
    static const char *const heads[] = {"# HELP freehold_node_memory_read_bytes_per_second How fast a machine reads its memory.\n"
                                        "# TYPE freehold_node_memory_read_bytes_per_second gauge\n",
                                        "# HELP freehold_node_link_bytes_per_second What the link of a machine was measured to carry.\n"
                                        "# TYPE freehold_node_link_bytes_per_second gauge\n",
                                        "# HELP freehold_node_round_trip_seconds There and back over the link of a machine.\n"
                                        "# TYPE freehold_node_round_trip_seconds gauge\n"};
    FH_AUTO(ptr) fh_pool_offer *list = s->pool_port ? fh_calloc(FH_LIMIT_NODES, sizeof *list) : NULL;
    size_t count = list ? fh_pool_offers_list(s->pool_offers, list, FH_LIMIT_NODES) : 0;
    for (int part = 0; count && part < (int)FH_COUNT(heads); part++) {
        fh_buf_adds(out, heads[part]);
        for (size_t i = 0; i < count; i++) write_machine(&list[i], part, out);
    }
}

void fh_server_metrics(fh_server *s, fh_http_req *req)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(4 << 20);
    fh_gateway_metrics(s->gateway, &out);
    write_deployments(s, &out);
    write_sets(s, &out);
    write_pool(s, &out);
    fh_buf_addf(
        &out, "# HELP freehold_connections Open connections of the server.\n# TYPE freehold_connections gauge\nfreehold_connections %zu\n",
        fh_http_server_connections(s->http));
    fh_buf_addf(&out,
                "# HELP freehold_http_refused_total What came and was no request.\n# TYPE freehold_http_refused_total "
                "counter\nfreehold_http_refused_total %llu\n",
                (unsigned long long)fh_http_server_refused(s->http));
    fh_observers_metrics(s->observers, &out);
    fh_buf_addf(&out,
                "# HELP freehold_uptime_seconds Time since the server started.\n# TYPE freehold_uptime_seconds "
                "gauge\nfreehold_uptime_seconds %.3f\n",
                (double)(fh_clock_mono_ns() - s->start_ns) / 1e9);
    fh_buf_adds(&out, "# HELP freehold_build_info The version.\n# TYPE freehold_build_info gauge\nfreehold_build_info{version=\"" FH_VERSION
                      "\"} 1\n");
    fh_http_reply(req, 200, "text/plain; version=0.0.4; charset=utf-8", fh_buf_cstr(&out), out.len);
}
