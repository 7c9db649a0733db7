/* The machines of the pool and the fleet: both on the fleet's thread, so that what runs on a machine and whether it is here are never two
 * truths. Others call over (fh_fleet_call): rarely, and for moments. */
#include "pool/service.h"

#include "base/clock.h"
#include "base/log.h"
#include "db/schema.h"
#include "fleet/nodes.h"
#include "fleet/supplies.h"
#include "pool_offers.h"
#include "server_private.h"
#include "standings.h"

#include <stdio.h>
#include <string.h>

static fh_fleet_node fleet_node(const fh_node *n)
{
    fh_fleet_node f = {.ask_micro = n->ask.micro, .draining = n->state == FH_NODE_DRAINING};
    fh_node_offer said = {.min_s = 0};
    FH_AUTO(json) fh_json *facts = NULL;
    fh_json_parse(&facts, fh_str_of(n->facts), FH_LIMIT_NODE_FACTS_BYTES, NULL);
    fh_node_offer_read(facts, &said, NULL);
    f.mtok_micro = said.mtok.micro;
    memcpy(f.mtok_currency, said.mtok.currency, sizeof f.mtok_currency);
    snprintf(f.name, sizeof f.name, "%s", n->name);
    snprintf(f.owner, sizeof f.owner, "%s", n->owner);
    memcpy(f.currency, n->ask.currency, sizeof f.currency);
    return f;
}

/* ---- on the fleet's thread ---- */

/* The fleet has its machine no more. One that never came is not known here. */
static void node_done(void *arg, const char *name)
{
    fh_server *s = arg;
    int64_t id;
    if (fh_nodes_remove(s->nodes, name, &id, NULL)) return;
    fh_pool_offers_note(s->pool_offers, fh_nodes_find_id(s->nodes, id), false);
    fh_pool_service_drop(s->pool, id);
}

/* Machines that came when nobody wanted them any more. */
static void remove_late(void *arg)
{
    fh_server *s = arg;
    for (size_t i = 0; i < fh_nodes_count(s->nodes); i++) {
        const fh_node *n = fh_nodes_at(s->nodes, i);
        if (n->linked && n->state != FH_NODE_REMOVED && fh_fleet_node_is(s->fleet, n->name) == FH_NODE_OF_PAST_ORDER) node_done(s, n->name);
    }
}

static void on_here(void *arg, const fh_node *n, fh_link *l)
{
    fh_server *s = arg;
    fh_fleet_node f = fleet_node(n);
    FH_AUTO(fh_err) fh_err *err = NULL;
    fh_order_node is = fh_fleet_node_is(s->fleet, f.name);
    if (is == FH_NODE_OF_PAST_ORDER) {
        fh_log(FH_LOG_INFO, "pool", "%s came when nobody wanted it any more; it is removed", f.name);
        fh_loop_post(fh_fleet_loop(s->fleet), remove_late, s);
        return;
    }
    fh_pool_offers_note(s->pool_offers, n, is == FH_NODE_OF_ITS_OWN); /* what was got for one is not offered */
    if (fh_fleet_node_set(s->fleet, &f, &err) == 0)
        fh_fleet_node_up(s->fleet, f.name, l);
    else
        fh_log_err(FH_LOG_WARN, "pool", err, "nothing is started on %s", f.name);
}

static void on_left(void *arg, const fh_node *n)
{
    fh_pool_offers_note(((fh_server *)arg)->pool_offers, n, false);
    fh_fleet_node_down(((fh_server *)arg)->fleet, n->name);
}

static void on_measured(void *arg, const fh_node *n)
{
    fh_server *s = arg;
    fh_pool_offers_note(s->pool_offers, n, fh_fleet_node_is(s->fleet, n->name) == FH_NODE_OF_ITS_OWN);
}

static void end_service(void *arg)
{
    fh_server *s = arg;
    fh_pool_service_free(s->pool);
    s->pool = NULL;
}

typedef struct starting {
    fh_server *server;
    int rc;
    fh_err *err;
} starting;

static void start_service(void *arg)
{
    starting *st = arg;
    fh_server *s = st->server;
    char folder[1100];
    snprintf(folder, sizeof folder, "%s/pool", s->config->data_dir);
    fh_pool_service_config c = {.address = s->config->pool,
                                .folder = folder,
                                .nodes = s->nodes,
                                .on_here = on_here,
                                .on_left = on_left,
                                .on_measured = on_measured,
                                .arg = s};
    st->rc = fh_pool_service_start(&s->pool, fh_fleet_loop(s->fleet), &c, &st->err);
    if (st->rc == 0) s->pool_port = fh_pool_service_port(s->pool);
    fh_fleet_at_end(s->fleet, end_service, s);
    fh_fleet_on_node_done(s->fleet, node_done, s);
}

typedef struct noting {
    fh_server *server;
    const char *name;
    double seconds;
} noting;

static void distrust(void *arg)
{
    const noting *n = arg;
    fh_fleet_node_distrust(n->server->fleet, n->name);
}

static void note_uptime(void *arg)
{
    const noting *n = arg;
    fh_server *s = n->server;
    for (size_t i = 0; i < fh_nodes_count(s->nodes); i++) {
        const fh_node *node = fh_nodes_at(s->nodes, i);
        fh_honesty_work w = {.up_s = node->linked ? n->seconds : 0, .down_s = node->linked ? 0 : n->seconds};
        char place[80];
        snprintf(place, sizeof place, "node/%s", node->name);
        if (node->state == FH_NODE_JOINED) fh_standings_worked(s->standings, place, "", &w, fh_clock_utc_ns());
    }
}

/* ---- from the server's ---- */

void fh_server_distrust(fh_server *s, const char *place)
{
    noting n = {.server = s, .name = place + strlen("node/")};
    if (fh_str_starts(fh_str_of(place), FH_STR("node/"))) fh_fleet_call(s->fleet, distrust, &n);
}

void fh_server_note_uptime(fh_server *s, double seconds)
{
    noting n = {.server = s, .seconds = seconds};
    if (s->pool_port) fh_fleet_call(s->fleet, note_uptime, &n);
}

int fh_server_start_pool(fh_server *s, fh_err **err)
{
    starting st = {.server = s};
    if (!s->config->pool) return 0;
    if (!fh_fleet_call(s->fleet, start_service, &st)) return fh_err_set(err, FH_E_UNAVAILABLE, "the fleet has ended");
    fh_err_move(err, &st.err);
    return st.rc;
}

int fh_server_pool_open(fh_server *s, fh_err **err)
{
    int rc = fh_db_open(&s->pool_db, s->store_url, err);
    if (!rc) rc = fh_db_migrate_schema(s->pool_db, err);
    if (!rc) rc = fh_nodes_open(&s->nodes, s->pool_db, fh_clock_utc_ns(), err);
    if (!rc) rc = fh_pool_offers_new(&s->pool_offers, err);
    for (size_t i = 0; !rc && i < fh_nodes_count(s->nodes); i++) fh_pool_offers_note(s->pool_offers, fh_nodes_at(s->nodes, i), false);
    return rc;
}

void fh_server_pool_close(fh_server *s)
{
    fh_pool_offers_free(s->pool_offers);
    fh_nodes_close(s->nodes);
    fh_db_close(s->pool_db);
}

static void quality(void *ctx, const char *place, const char *model, fh_place_quality *ret)
{
    fh_server *s = ctx;
    fh_place_standing p;
    fh_standing of_model;
    fh_standings_place(s->standings, place, &p);
    fh_standings_find(s->standings, place, model, &of_model);
    *ret = (fh_place_quality){.cheats = p.verdict == FH_HONESTY_CHEATS,
                              .standing = (uint32_t)p.standing,
                              .failing_per_mille = (uint32_t)(fh_honesty_work_failing(&p.work) * 1000),
                              .millitok_s = (int64_t)(fh_honesty_work_tok_per_s(&of_model.work) * 1000)};
}

int fh_server_start_fleet(fh_server *s, fh_fleet **ret, fh_err **err)
{
    size_t count = fh_nodes_count(s->nodes), known = 0;
    FH_AUTO(ptr) fh_fleet_node *list = fh_calloc(count + 1, sizeof *list);
    if (!list) return fh_err_nomem(err);
    for (size_t i = 0; i < count; i++)
        if (fh_nodes_at(s->nodes, i)->state != FH_NODE_REMOVED) list[known++] = fleet_node(fh_nodes_at(s->nodes, i));
    fh_fleet_config c = {.quality = quality,
                         .quality_ctx = s,
                         .data_dir = s->config->data_dir,
                         .store_url = s->store_url,
                         .program = s->program,
                         .engines = s->config->engines,
                         .keep_engines_on_stop = s->config->keep_engines,
                         .nodes = list,
                         .node_count = known};
    return fh_fleet_start(ret, &c, err);
}
