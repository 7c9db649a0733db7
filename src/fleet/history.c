/* What callers read on their own thread: the history of a deployment, by a connection of its own, and its engine's log. */
#include "fleet_private.h"

#include "base/clock.h"
#include "base/str.h"
#include <stdio.h>

#define HISTORY_MAX 1000

static fh_json *history_row(fh_stmt *s)
{
    char when[32];
    fh_clock_format_utc(fh_stmt_int(s, 1), when, sizeof(when));
    fh_json *o = fh_json_new_object();
    bool good = fh_json_set(o, "id", fh_json_new_int(fh_stmt_int(s, 0))) && fh_json_set(o, "time", fh_json_new_cstr(when));
    fh_str from = fh_stmt_str(s, 2), hint = fh_stmt_str(s, 5);
    good = good && fh_json_set(o, "from", from.len ? fh_json_new_str(from) : fh_json_new_null()) &&
           fh_json_set(o, "to", fh_json_new_str(fh_stmt_str(s, 3)));
    good = good && fh_json_set(o, "reason", fh_json_new_str(fh_stmt_str(s, 4))) &&
           fh_json_set(o, "hint", hint.len ? fh_json_new_str(hint) : fh_json_new_null());
    if (good) return o;
    fh_json_unref(o);
    return NULL;
}

static int read_history(fh_db *db, const char *name, int64_t after_id, size_t max, fh_json *array, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    bool row = true;
    int rc = fh_db_query(db, &s, err,
                         "SELECT e.id, e.utc_ns, e.from_state, e.to_state, e.reason, e.hint FROM deployment_events e"
                         " WHERE e.deployment=(SELECT max(id) FROM deployments WHERE name=?1) AND e.id>?2 ORDER BY e.id LIMIT ?3",
                         "sii", name, after_id, (int64_t)FH_MIN(max, (size_t)HISTORY_MAX));
    while (rc == 0 && (rc = fh_stmt_step(s, &row, err)) == 0 && row) {
        if (!fh_json_append(array, history_row(s))) rc = fh_err_nomem(err);
    }
    return rc;
}

int fh_fleet_history(fh_fleet *f, const char *name, int64_t after_id, size_t max, fh_json **ret, fh_err **err)
{
    FH_AUTO(fh_db) fh_db *db = NULL;
    FH_AUTO(json) fh_json *array = fh_json_new_array();
    if (!array) return fh_err_nomem(err);
    int rc = fh_db_open(&db, f->store_url, err);
    if (rc == 0) rc = read_history(db, name, after_id, max, array, err);
    if (rc == 0 && fh_json_count(array) == 0 && after_id <= 0) {
        rc = fh_err_set(err, FH_E_NOT_FOUND, "there never was a deployment \"%s\"", name);
        fh_err_hint(err, "`freehold ps` lists what runs");
    }
    if (rc == 0) *ret = fh_json_ref(array);
    return rc;
}

int fh_fleet_log_tail(fh_fleet *f, const char *name, size_t max_bytes, fh_buf *out, fh_err **err)
{
    if (fh_deployment_name_good(name)) {
        fh_err *e = NULL;
        int rc = f->place_here.log_tail(f->place_here.ctx, name, max_bytes, out, &e);
        if (rc != FH_E_NOT_FOUND) {
            fh_err_move(err, &e);
            return rc;
        }
        fh_err_free(e);
    }
    int rc = fh_err_set(err, FH_E_NOT_FOUND, "there is no log of a deployment \"%.64s\"", name);
    fh_err_hint(err, "`freehold ps` lists what runs; a deployment has a log once its engine was started");
    return rc;
}
