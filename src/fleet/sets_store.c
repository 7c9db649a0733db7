/* The rows of sets. Each function is one transaction or one statement. */
#include "sets.h"

#include "base/clock.h"
#include <stdio.h>
#include <string.h>

static int insert_row(fh_db *db, const fh_set *s, fh_err **err)
{
    const fh_deploy_limit *l = &s->shape.limit;
    return fh_db_exec(db, err,
                      "INSERT INTO sets(name, model, variant, digest, place, engine, context_tok, streams, max_hour_micro, limit_s, "
                      "limit_micro, limit_currency, min, max, idle_s, wanted, why, desired, generation, created_utc_ns, changed_utc_ns, "
                      "offer, offer_kind, trust, kv_type)"
                      " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,'running',?18,?19,?20,?21,?22,?23,?24)",
                      "ssssssiiiiisiiiisiiissss", s->shape.name, s->model, s->variant, s->digest, s->shape.place, s->shape.engine,
                      s->shape.context_tok, s->shape.streams, l->max_hour_micro, l->seconds, l->micro, l->currency, s->rule.min,
                      s->rule.max, s->rule.idle_ns / FH_NS_PER_S, s->scale.wanted, s->why, s->generation, s->created_utc_ns,
                      s->changed_utc_ns, l->offer, l->offer_kind, l->trust, s->shape.kv_type);
}

static int last_id(fh_db *db, int64_t *ret, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    bool row = false;
    int rc = fh_db_query(db, &s, err, "SELECT max(id) FROM sets", "");
    if (rc == 0) rc = fh_stmt_step(s, &row, err);
    if (rc == 0) *ret = fh_stmt_int(s, 0);
    return rc;
}

int fh_sets_store_insert(fh_db *db, const fh_set *s, const fh_deployment *first, int64_t *ret_id, fh_err **err)
{
    int64_t id = 0;
    int rc = fh_db_begin(db, err);
    if (rc != 0) return rc;
    rc = insert_row(db, s, err);
    if (rc == 0) rc = last_id(db, &id, err);
    if (rc == 0)
        rc = fh_db_exec(db, err, "UPDATE deployments SET set_id=?2, generation=?3 WHERE id=?1", "iii", first->id, id, s->generation);
    if (rc == 0) rc = fh_db_commit(db, err);
    if (rc != 0)
        fh_db_rollback(db);
    else
        *ret_id = id;
    return rc;
}

int fh_sets_store_update(fh_db *db, const fh_set *s, fh_err **err)
{
    return fh_db_exec(db, err,
                      "UPDATE sets SET model=?2, variant=?3, digest=?4, place=?5, engine=?6, context_tok=?7, streams=?8, min=?9, max=?10, "
                      "idle_s=?11, wanted=?12, why=?13, desired=?14, generation=?15, changed_utc_ns=?16, kv_type=?17 WHERE id=?1",
                      "isssssiiiiiissiis", s->id, s->model, s->variant, s->digest, s->shape.place, s->shape.engine, s->shape.context_tok,
                      s->shape.streams, s->rule.min, s->rule.max, s->rule.idle_ns / FH_NS_PER_S, s->scale.wanted, s->why,
                      s->kept ? "running" : "stopped", s->generation, s->changed_utc_ns, s->shape.kv_type);
}

int fh_sets_store_delete(fh_db *db, int64_t id, fh_err **err)
{
    return fh_db_exec(db, err, "DELETE FROM sets WHERE id=?1", "i", id);
}

static void put(char *out, size_t out_size, fh_str s)
{
    snprintf(out, out_size, "%.*s", (int)s.len, s.ptr ? s.ptr : "");
}

static void fill(fh_stmt *row, fh_set *s)
{
    fh_deploy_spec *shape = &s->shape;
    s->id = fh_stmt_int(row, 0);
    put(shape->name, sizeof shape->name, fh_stmt_str(row, 1));
    put(s->model, sizeof s->model, fh_stmt_str(row, 2));
    put(s->variant, sizeof s->variant, fh_stmt_str(row, 3));
    put(s->digest, sizeof s->digest, fh_stmt_str(row, 4));
    put(shape->place, sizeof shape->place, fh_stmt_str(row, 5));
    put(shape->engine, sizeof shape->engine, fh_stmt_str(row, 6));
    shape->context_tok = fh_stmt_int(row, 7);
    shape->streams = fh_stmt_int(row, 8);
    s->rule.min = fh_stmt_int(row, 9);
    s->rule.max = fh_stmt_int(row, 10);
    s->rule.idle_ns = fh_stmt_int(row, 11) * FH_NS_PER_S;
    s->scale.wanted = fh_stmt_int(row, 12);
    put(s->why, sizeof s->why, fh_stmt_str(row, 13));
    s->kept = fh_str_eqs(fh_stmt_str(row, 14), "running");
    s->generation = fh_stmt_int(row, 15);
    s->created_utc_ns = fh_stmt_int(row, 16);
    s->changed_utc_ns = fh_stmt_int(row, 17);
    shape->limit =
        (fh_deploy_limit){.max_hour_micro = fh_stmt_int(row, 18), .seconds = fh_stmt_int(row, 19), .micro = fh_stmt_int(row, 20)};
    put(shape->limit.currency, sizeof shape->limit.currency, fh_stmt_str(row, 21));
    put(shape->limit.offer, sizeof shape->limit.offer, fh_stmt_str(row, 22));
    put(shape->limit.offer_kind, sizeof shape->limit.offer_kind, fh_stmt_str(row, 23));
    put(shape->limit.trust, sizeof shape->limit.trust, fh_stmt_str(row, 24));
    put(shape->kv_type, sizeof shape->kv_type, fh_stmt_str(row, 25));
}

int fh_sets_store_load(fh_fleet *f, int (*fn)(fh_fleet *f, fh_set *s, fh_err **err), fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *row = NULL;
    int rc =
        fh_db_query(f->db, &row, err,
                    "SELECT id, name, model, variant, digest, place, engine, context_tok, streams, min, max, idle_s, wanted, why, desired, "
                    "generation, created_utc_ns, changed_utc_ns, max_hour_micro, limit_s, limit_micro, limit_currency, offer, "
                    "offer_kind, trust, kv_type FROM sets ORDER BY id",
                    "");
    bool more = true;
    while (rc == 0 && (rc = fh_stmt_step(row, &more, err)) == 0 && more) {
        fh_set *s = fh_calloc(1, sizeof *s);
        if (!s) return fh_err_nomem(err);
        fill(row, s);
        rc = fn(f, s, err);
    }
    return rc;
}

int fh_sets_store_members(fh_fleet *f, void (*fn)(fh_fleet *f, int64_t deployment, int64_t set, int64_t generation), fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *row = NULL;
    int rc = fh_db_query(f->db, &row, err,
                         "SELECT id, set_id, generation FROM deployments WHERE state<>'stopped' AND set_id<>0 ORDER BY id", "");
    bool more = true;
    while (rc == 0 && (rc = fh_stmt_step(row, &more, err)) == 0 && more)
        fn(f, fh_stmt_int(row, 0), fh_stmt_int(row, 1), fh_stmt_int(row, 2));
    return rc;
}
