/* Groups (see groups.h). */
#include "groups.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct fh_groups {
    pthread_rwlock_t lock;
    fh_db *db;
    fh_group *list[FH_LIMIT_GROUPS]; /* owned */
    size_t count;
};

/* ---- members ---- */

static int bad_member(size_t i, const char *why, fh_err **err)
{
    fh_err_set(err, FH_E_INVALID, "'models[%zu]' %s", i, why);
    fh_err_hint(err, "each is an object whose 'name' is a model, deployment/NAME or provider/NAME/MODEL");
    fh_err_param(err, "models[%zu]", i);
    return FH_E_INVALID;
}

static int read_figures(fh_group_member *m, const fh_json *o, fh_err **err)
{
    int64_t in = -1, out = -1;
    int rc = fh_json_read_i64(o, "input_nusd_per_million", false, 0, INT64_MAX, &in, err);
    if (!rc) rc = fh_json_read_i64(o, "output_nusd_per_million", false, 0, INT64_MAX, &out, err);
    if (!rc) rc = fh_json_read_i64(o, "uj_per_token", false, 0, INT64_MAX, &m->token_uj, err);
    if (!rc) rc = fh_json_read_i64(o, "active_parameters", false, 0, INT64_MAX, &m->active_params, err);
    if (rc) return rc;
    m->priced = in >= 0 || out >= 0;
    m->in_nusd = in > 0 ? in : 0;
    m->out_nusd = out > 0 ? out : 0;
    return 0;
}

static int read_member(fh_group_member *m, const fh_json *v, size_t i, fh_err **err)
{
    fh_str name = fh_json_str(fh_json_get(v, "name"));
    if (!name.len || name.len >= sizeof m->name || memchr(name.ptr, ',', name.len)) return bad_member(i, "does not name a model", err);
    if (fh_str_eqs(name, "auto")) return bad_member(i, "is auto, which is not a model", err);
    *m = (fh_group_member){.priced = false};
    memcpy(m->name, name.ptr, name.len);
    return read_figures(m, v, err);
}

int fh_group_read_members(fh_group *g, const fh_json *list, fh_err **err)
{
    size_t count = fh_json_count(list);
    if (fh_json_kind_of(list) != FH_JSON_ARRAY || count == 0 || count > FH_LIMIT_GROUP_MEMBERS) {
        fh_err_set(err, FH_E_INVALID, "'models' must be a list of 1 to %d models", FH_LIMIT_GROUP_MEMBERS);
        fh_err_param(err, "models");
        return FH_E_INVALID;
    }
    int rc = 0;
    for (g->count = 0; rc == 0 && g->count < count; g->count++)
        rc = read_member(&g->members[g->count], fh_json_at(list, g->count), g->count, err);
    return rc;
}

static void set_figure(fh_json *o, const char *name, bool said, int64_t value)
{
    fh_json_set(o, name, said ? fh_json_new_int(value) : fh_json_new_null());
}

fh_json *fh_group_members_json(const fh_group *g)
{
    fh_json *list = fh_json_new_array();
    for (size_t i = 0; i < g->count; i++) {
        const fh_group_member *m = &g->members[i];
        fh_json *o = fh_json_new_object();
        fh_json_set(o, "name", fh_json_new_cstr(m->name));
        set_figure(o, "input_nusd_per_million", m->priced, m->in_nusd);
        set_figure(o, "output_nusd_per_million", m->priced, m->out_nusd);
        set_figure(o, "uj_per_token", m->token_uj > 0, m->token_uj);
        set_figure(o, "active_parameters", m->active_params > 0, m->active_params);
        fh_json_append(list, o);
    }
    return list;
}

/* ---- the database ---- */

static int load_row(fh_groups *all, fh_stmt *s, fh_err **err)
{
    FH_AUTO(json) fh_json *members = NULL;
    FH_AUTO(ptr) fh_group *g = fh_calloc(1, sizeof *g);
    if (!g) return fh_err_nomem(err);
    fh_str name = fh_stmt_str(s, 0);
    snprintf(g->name, sizeof g->name, "%.*s", (int)FH_MIN(name.len, sizeof g->name - 1), name.ptr ? name.ptr : "");
    g->created_utc_ns = fh_stmt_int(s, 1);
    int rc = fh_json_parse(&members, fh_stmt_str(s, 2), FH_LIMIT_CONTROL_BODY_BYTES, err);
    if (rc == 0) rc = fh_group_read_members(g, members, err);
    if (rc) return fh_err_add(err, "the group '%s' of the database", g->name);
    if (all->count < FH_LIMIT_GROUPS) all->list[all->count++] = fh_take(g);
    return 0;
}

static int load(fh_groups *all, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    bool row = false;
    int rc = fh_db_query(all->db, &s, err, "SELECT name, created_utc_ns, models FROM groups ORDER BY name", "");
    while (!rc && !(rc = fh_stmt_step(s, &row, err)) && row) rc = load_row(all, s, err);
    return rc;
}

int fh_groups_open(fh_groups **ret, fh_db *db, fh_err **err)
{
    FH_AUTO(fh_groups) fh_groups *all = fh_calloc(1, sizeof *all);
    if (!all) return fh_err_nomem(err);
    pthread_rwlock_init(&all->lock, NULL);
    all->db = db;
    int rc = load(all, err);
    if (!rc) *ret = fh_take(all);
    return rc;
}

void fh_groups_close(fh_groups *all)
{
    if (!all) return;
    for (size_t i = 0; i < all->count; i++) fh_free(all->list[i]);
    pthread_rwlock_destroy(&all->lock);
    fh_free(all);
}

static int save(fh_groups *all, const fh_group *g, fh_err **err)
{
    FH_AUTO(json) fh_json *members = fh_group_members_json(g);
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_CONTROL_BODY_BYTES);
    int rc = members ? fh_json_write(members, &text, err) : fh_err_nomem(err);
    return rc ? rc
              : fh_db_exec(all->db, err, "INSERT INTO groups(name, created_utc_ns, models) VALUES(?1, ?2, ?3)", "sis", g->name,
                           g->created_utc_ns, fh_buf_cstr(&text));
}

static size_t index_of(const fh_groups *all, fh_str name)
{
    size_t i = 0;
    while (i < all->count && !fh_str_eqs(name, all->list[i]->name)) i++;
    return i;
}

int fh_groups_put(fh_groups *all, fh_group *g, fh_err **err)
{
    FH_AUTO(ptr) fh_group *held = g;
    if (index_of(all, fh_str_of(g->name)) < all->count) {
        fh_err_set(err, FH_E_EXISTS, "there is a group '%s' already", g->name);
        fh_err_hint(err, "`freehold group remove %s` first, or take another name", g->name);
        fh_err_param(err, "name");
        return FH_E_EXISTS;
    }
    if (all->count == FH_LIMIT_GROUPS)
        return fh_err_set(err, FH_E_CONFLICT, "there are %d groups already, which is the most", FH_LIMIT_GROUPS);
    int rc = save(all, g, err);
    if (rc) return rc;
    pthread_rwlock_wrlock(&all->lock);
    all->list[all->count++] = fh_take(held);
    pthread_rwlock_unlock(&all->lock);
    return 0;
}

int fh_groups_remove(fh_groups *all, const char *name, fh_err **err)
{
    size_t i = index_of(all, fh_str_of(name));
    if (i == all->count) {
        fh_err_set(err, FH_E_NOT_FOUND, "there is no group '%.64s'", name);
        fh_err_hint(err, "`freehold group list` shows them");
        return FH_E_NOT_FOUND;
    }
    int rc = fh_db_exec(all->db, err, "DELETE FROM groups WHERE name = ?1", "s", name);
    if (rc) return rc;
    pthread_rwlock_wrlock(&all->lock);
    fh_group *gone = all->list[i];
    for (; i + 1 < all->count; i++) all->list[i] = all->list[i + 1];
    all->count--;
    pthread_rwlock_unlock(&all->lock);
    fh_free(gone);
    return 0;
}

/* ---- reading ---- */

void fh_groups_begin(fh_groups *all)
{
    pthread_rwlock_rdlock(&all->lock);
}

void fh_groups_end(fh_groups *all)
{
    pthread_rwlock_unlock(&all->lock);
}

size_t fh_groups_count(const fh_groups *all)
{
    return all->count;
}

const fh_group *fh_groups_at(const fh_groups *all, size_t i)
{
    return all->list[i];
}

const fh_group *fh_groups_find(const fh_groups *all, fh_str name)
{
    size_t i = index_of(all, name);
    return i < all->count ? all->list[i] : NULL;
}
