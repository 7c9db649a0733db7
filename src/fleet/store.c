/* The rows of deployments, their events and their acts. Each function is one transaction or one statement. */
#include "fleet_private.h"
#include "sets.h"

#include "base/clock.h"
#include <stdio.h>
#include <string.h>

static int last_id(fh_db *db, int64_t *ret, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    bool row = false;
    int rc = fh_db_query(db, &s, err, "SELECT last_insert_rowid()", "");
    if (rc == 0) rc = fh_stmt_step(s, &row, err);
    if (rc == 0) *ret = fh_stmt_int(s, 0);
    return rc;
}

static int insert_event(fh_db *db, int64_t id, const char *from, const char *to, const char *reason, const char *hint, int64_t now,
                        fh_err **err)
{
    return fh_db_exec(db, err,
                      "INSERT INTO deployment_events(deployment, utc_ns, from_state, to_state, reason, hint) VALUES(?1,?2,?3,?4,?5,?6)",
                      "iissss", id, now, from, to, reason, hint);
}

static int finish(fh_db *db, int rc, fh_err **err)
{
    if (rc == 0) return fh_db_commit(db, err);
    fh_db_rollback(db);
    return rc;
}

int fh_store_insert(fh_db *db, const fh_deployment *d, int64_t *ret_id, fh_err **err)
{
    const fh_deployment_view *v = &d->view;
    const char *state = fh_deployment_state_name(v->state);
    int64_t id = 0;
    int rc = fh_db_begin(db, err);
    if (rc != 0) return rc;
    rc = fh_db_exec(
        db, err,
        "INSERT INTO deployments(name, model, variant, digest, place, context_tok, streams, state, desired, reason, hint, "
        "created_utc_ns, changed_utc_ns, wanted_place, engine, max_hour_micro, limit_s, limit_micro, limit_currency, set_id, generation, "
        "offer, offer_kind, trust, kv_type)"
        " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,'running',?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,?23,?24)",
        "sssssiisssiissiiisiissss", v->name, v->model, v->variant, d->view.digest, v->place, v->context_tok, v->streams, state, v->reason,
        v->hint, v->created_utc_ns, v->changed_utc_ns, d->wanted_place, v->engine, d->limit.max_hour_micro, d->limit.seconds,
        d->limit.micro, d->limit.currency, fh_set_id(d->set), d->generation, d->limit.offer, d->limit.offer_kind, d->limit.trust,
        v->kv_type);
    if (rc == 0) rc = last_id(db, &id, err);
    if (rc == 0) rc = insert_event(db, id, "", state, v->reason, v->hint, v->created_utc_ns, err);
    rc = finish(db, rc, err);
    if (rc == 0) *ret_id = id;
    return rc;
}

int fh_store_state(fh_db *db, const fh_deployment *d, fh_deployment_state to, const char *reason, const char *hint, int64_t now_utc_ns,
                   fh_err **err)
{
    int rc = fh_db_begin(db, err);
    if (rc != 0) return rc;
    rc = fh_db_exec(db, err, "UPDATE deployments SET state=?2, reason=?3, hint=?4, changed_utc_ns=?5 WHERE id=?1", "isssi", d->id,
                    fh_deployment_state_name(to), reason, hint, now_utc_ns);
    if (rc == 0)
        rc = insert_event(db, d->id, fh_deployment_state_name(d->view.state), fh_deployment_state_name(to), reason, hint, now_utc_ns, err);
    return finish(db, rc, err);
}

int fh_store_wanted(fh_db *db, int64_t id, bool wanted, fh_err **err)
{
    return fh_db_exec(db, err, "UPDATE deployments SET desired=?2 WHERE id=?1", "is", id, wanted ? "running" : "stopped");
}

int fh_store_place(fh_db *db, int64_t id, const char *place, fh_err **err)
{
    return fh_db_exec(db, err, "UPDATE deployments SET place=?2 WHERE id=?1", "is", id, place);
}

int fh_store_digest(fh_db *db, int64_t id, const char *digest, fh_err **err)
{
    return fh_db_exec(db, err, "UPDATE deployments SET digest=?2 WHERE id=?1", "is", id, digest);
}

int fh_store_restarts(fh_db *db, int64_t id, unsigned restarts, fh_err **err)
{
    return fh_db_exec(db, err, "UPDATE deployments SET restarts=?2 WHERE id=?1", "ii", id, (int64_t)restarts);
}

int fh_store_act_begin(fh_db *db, int64_t deployment, int64_t *ret_act, fh_err **err)
{
    int rc = fh_db_exec(db, err, "INSERT INTO acts(deployment, kind, socket_path, begun_utc_ns) VALUES(?1,'start','',?2)", "ii", deployment,
                        fh_clock_utc_ns());
    return rc != 0 ? rc : last_id(db, ret_act, err);
}

int fh_store_act_socket(fh_db *db, int64_t act, const char *socket_path, fh_err **err)
{
    return fh_db_exec(db, err, "UPDATE acts SET socket_path=?2 WHERE id=?1", "is", act, socket_path);
}

int fh_store_act_process(fh_db *db, int64_t act, const fh_process *p, fh_err **err)
{
    return fh_db_exec(db, err, "UPDATE acts SET pid=?2, start_ticks=?3, sandbox=?4 WHERE id=?1", "iiis", act, (int64_t)p->pid,
                      (int64_t)p->start_ticks, fh_sandbox_name(p->sandbox));
}

int fh_store_act_end(fh_db *db, int64_t act, fh_err **err)
{
    return fh_db_exec(db, err, "UPDATE acts SET ended_utc_ns=?2 WHERE id=?1 AND ended_utc_ns=0", "ii", act, fh_clock_utc_ns());
}

/* ---- orders of machines ---- */

/* "cluster-17": the provider's own name, and the order's number. */
static void name_node(fh_order *o)
{
    const char *slash = strrchr(o->supply_name, '/');
    snprintf(o->node, sizeof(o->node), "%.40s-%lld", slash ? slash + 1 : o->supply_name, (long long)o->id);
}

int fh_store_order_begin(fh_db *db, fh_order *o, fh_err **err)
{
    int rc = fh_db_begin(db, err);
    if (rc != 0) return rc;
    o->opened_utc_ns = fh_clock_utc_ns();
    rc = fh_db_exec(db, err,
                    "INSERT INTO machine_orders(deployment, supply, node, opened_utc_ns, limit_s, limit_micro) VALUES(?1,?2,'',?3,?4,?5)",
                    "isiii", o->deployment, o->supply_name, o->opened_utc_ns, o->limit_s, o->limit_micro);
    if (rc == 0) rc = last_id(db, &o->id, err);
    name_node(o);
    if (rc == 0) rc = fh_db_exec(db, err, "UPDATE machine_orders SET node=?2 WHERE id=?1", "is", o->id, o->node);
    return finish(db, rc, err);
}

int fh_store_order_unwanted(fh_db *db, int64_t id, fh_err **err)
{
    return fh_db_exec(db, err, "UPDATE machine_orders SET wanted=0 WHERE id=?1", "i", id);
}

int fh_store_order_over(fh_db *db, int64_t id, const char *reason, int64_t spent_micro, const char *currency, fh_err **err)
{
    return fh_db_exec(db, err, "UPDATE machine_orders SET wanted=0, over_utc_ns=?2, reason=?3, spent_micro=?4, currency=?5 WHERE id=?1",
                      "iisis", id, fh_clock_utc_ns(), reason, spent_micro, currency);
}

int fh_store_orders_used(fh_db *db, int64_t deployment, int64_t *ret_micro, int64_t *ret_ns, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    bool row = false;
    int rc = fh_db_query(db, &s, err,
                         "SELECT coalesce(sum(spent_micro),0), coalesce(sum(over_utc_ns-opened_utc_ns),0) FROM machine_orders "
                         "WHERE over_utc_ns<>0 AND (deployment=?1 OR deployment IN (SELECT o.id FROM deployments o "
                         "JOIN deployments d ON o.set_id=d.set_id WHERE d.id=?1 AND d.set_id<>0))",
                         "i", deployment);
    if (rc == 0) rc = fh_stmt_step(s, &row, err);
    if (rc != 0) return rc;
    *ret_micro = fh_stmt_int(s, 0);
    *ret_ns = fh_stmt_int(s, 1);
    return 0;
}

bool fh_store_order_had(fh_db *db, const char *node)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    bool row = false;
    return fh_db_query(db, &s, NULL, "SELECT id FROM machine_orders WHERE node=?1", "s", node) == 0 && fh_stmt_step(s, &row, NULL) == 0 &&
           row;
}

static void put(char *out, size_t out_size, fh_str s)
{
    snprintf(out, out_size, "%.*s", (int)s.len, s.ptr ? s.ptr : "");
}

static bool state_of(fh_str text, fh_deployment_state *ret)
{
    for (int s = 0; s < FH_DEPLOYMENT_STATE_COUNT; s++) {
        if (!fh_str_eqs(text, fh_deployment_state_name((fh_deployment_state)s))) continue;
        *ret = (fh_deployment_state)s;
        return true;
    }
    return false;
}

static int fill(fh_stmt *s, fh_deployment *d, fh_err **err)
{
    fh_deployment_view *v = &d->view;
    d->id = fh_stmt_int(s, 0);
    put(v->name, sizeof(v->name), fh_stmt_str(s, 1));
    put(v->model, sizeof(v->model), fh_stmt_str(s, 2));
    put(v->variant, sizeof(v->variant), fh_stmt_str(s, 3));
    put(d->view.digest, sizeof(d->view.digest), fh_stmt_str(s, 4));
    put(v->place, sizeof(v->place), fh_stmt_str(s, 5));
    v->context_tok = fh_stmt_int(s, 6);
    v->streams = fh_stmt_int(s, 7);
    if (!state_of(fh_stmt_str(s, 8), &v->state))
        return fh_err_set(err, FH_E_CORRUPT, "deployment \"%s\" has no state that this freehold knows", v->name);
    d->wanted = fh_str_eqs(fh_stmt_str(s, 9), "running");
    put(v->reason, sizeof(v->reason), fh_stmt_str(s, 10));
    put(v->hint, sizeof(v->hint), fh_stmt_str(s, 11));
    v->restarts = (unsigned)fh_stmt_int(s, 12);
    v->created_utc_ns = fh_stmt_int(s, 13);
    v->changed_utc_ns = fh_stmt_int(s, 14);
    d->view.act = fh_stmt_int(s, 15);
    put(v->socket_path, sizeof(v->socket_path), fh_stmt_str(s, 16));
    d->engine.process.pid = (pid_t)fh_stmt_int(s, 17);
    d->engine.process.start_ticks = (uint64_t)fh_stmt_int(s, 18);
    bool landlock = fh_str_eqs(fh_stmt_str(s, 19), fh_sandbox_name(FH_SANDBOX_LANDLOCK));
    d->engine.process.sandbox = landlock ? FH_SANDBOX_LANDLOCK : FH_SANDBOX_BUBBLEWRAP;
    put(v->sandbox, sizeof(v->sandbox), fh_stmt_str(s, 19));
    put(d->wanted_place, sizeof(d->wanted_place), fh_stmt_str(s, 20));
    put(v->engine, sizeof(v->engine), fh_stmt_str(s, 21));
    d->kind = fh_catalog_engine_find(fh_str_of(v->engine));
    if (!d->kind) return fh_err_set(err, FH_E_CORRUPT, "deployment \"%s\" has no engine that this freehold knows", v->name);
    d->limit = (fh_deploy_limit){.max_hour_micro = fh_stmt_int(s, 22), .seconds = fh_stmt_int(s, 23), .micro = fh_stmt_int(s, 24)};
    put(d->limit.currency, sizeof(d->limit.currency), fh_stmt_str(s, 25));
    put(d->limit.offer, sizeof(d->limit.offer), fh_stmt_str(s, 26));
    put(d->limit.offer_kind, sizeof(d->limit.offer_kind), fh_stmt_str(s, 27));
    put(d->limit.trust, sizeof(d->limit.trust), fh_stmt_str(s, 28));
    put(v->kv_type, sizeof(v->kv_type), fh_stmt_str(s, 29));
    v->limit = d->limit;
    return 0;
}

int fh_store_load(fh_fleet *f, int (*fn)(fh_fleet *f, fh_deployment *d, fh_err **err), fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    int rc = fh_db_query(f->db, &s, err,
                         "SELECT d.id, d.name, d.model, d.variant, d.digest, d.place, d.context_tok, d.streams, d.state, d.desired, "
                         "d.reason, d.hint, d.restarts,"
                         " d.created_utc_ns, d.changed_utc_ns, coalesce(a.id,0), coalesce(a.socket_path,''), coalesce(a.pid,0), "
                         "coalesce(a.start_ticks,0), coalesce(a.sandbox,''), d.wanted_place, d.engine, d.max_hour_micro, d.limit_s, "
                         "d.limit_micro, d.limit_currency, d.offer, d.offer_kind, d.trust, d.kv_type"
                         " FROM deployments d LEFT JOIN acts a ON a.id=(SELECT max(id) FROM acts WHERE deployment=d.id AND ended_utc_ns=0)"
                         " WHERE d.state<>'stopped' ORDER BY d.id",
                         "");
    bool row = true;
    while (rc == 0 && (rc = fh_stmt_step(s, &row, err)) == 0 && row) {
        fh_deployment *d = fh_deployment_new(f, err);
        if (!d) return FH_E_NOMEM;
        rc = fill(s, d, err);
        if (rc == 0)
            rc = fn(f, d, err); /* takes d */
        else
            fh_deployment_free(d);
    }
    return rc;
}

int fh_store_orders_load(fh_db *db, int (*fn)(void *arg, const fh_order *row, fh_err **err), void *arg, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    bool row = true;
    int rc = fh_db_query(db, &s, err,
                         "SELECT id, deployment, supply, node, wanted, limit_s, limit_micro, opened_utc_ns FROM machine_orders "
                         "WHERE over_utc_ns=0 ORDER BY id",
                         "");
    while (rc == 0 && (rc = fh_stmt_step(s, &row, err)) == 0 && row) {
        fh_order o = {.id = fh_stmt_int(s, 0),
                      .deployment = fh_stmt_int(s, 1),
                      .wanted = fh_stmt_int(s, 4) != 0,
                      .limit_s = fh_stmt_int(s, 5),
                      .limit_micro = fh_stmt_int(s, 6),
                      .opened_utc_ns = fh_stmt_int(s, 7)};
        put(o.supply_name, sizeof(o.supply_name), fh_stmt_str(s, 2));
        put(o.node, sizeof(o.node), fh_stmt_str(s, 3));
        rc = fn(arg, &o, err);
    }
    return rc;
}
