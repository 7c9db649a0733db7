/* What a server tells its guard, of its database (see rent/guard_told.h): who it is, and each try to get a machine that is not over, with
 * what is left of its rental's limits. */
#include "rent/guard_told.h"

#include "rent_private.h"
#include <stdio.h>

static int own_epochs(fh_db *db, char ret[FH_LIMIT_GUARD_EPOCHS][17], size_t *ret_count, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    bool row = false;
    size_t count = 0;
    int rc = fh_db_query(db, &s, err, "SELECT epoch FROM rent_epochs WHERE ours ORDER BY began_utc_ns DESC LIMIT ?1", "i",
                         (int64_t)FH_LIMIT_GUARD_EPOCHS);
    while (!rc && !(rc = fh_stmt_step(s, &row, err)) && row) {
        fh_str epoch = fh_stmt_str(s, 0);
        snprintf(ret[count++], 17, "%.*s", (int)epoch.len, epoch.ptr);
    }
    if (!rc) *ret_count = count;
    return rc;
}

int fh_guard_identity(fh_db *db, char ret_installation[17], char ret_epochs[FH_LIMIT_GUARD_EPOCHS][17], size_t *ret_count, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    bool row = false;
    int rc = fh_db_query(db, &s, err, "SELECT installation FROM rent_identity", "");
    if (!rc) rc = fh_stmt_step(s, &row, err);
    if (rc) return rc;
    if (!row) return fh_err_set(err, FH_E_NOT_FOUND, "this database has never rented anything");
    fh_str installation = fh_stmt_str(s, 0);
    snprintf(ret_installation, 17, "%.*s", (int)installation.len, installation.ptr);
    return own_epochs(db, ret_epochs, ret_count, err);
}

typedef struct telling {
    fh_db *db;
    const char *provider;
    char installation[17];
    int64_t now_utc_ns;
    void (*each)(void *arg, const fh_guard_told *t);
    void *arg;
    /* of the rental at hand: */
    int64_t spent_s, spent_micro;
    fh_rent_act open; /* id 0: none */
} telling;

static int add_act(void *arg, const fh_rent_act *a, fh_err **err)
{
    telling *t = arg;
    fh_rent_bill b = fh_rent_bill_of(a, t->now_utc_ns);
    (void)err;
    t->spent_s += b.most_s;
    t->spent_micro += b.amount_micro;
    if (a->phase != FH_RENT_OVER) t->open = *a;
    return 0;
}

static void tell(const telling *t, const fh_rental_row *r)
{
    int64_t left_s = r->want.limit_s - t->spent_s, left_micro = r->want.limit_micro - t->spent_micro;
    if (t->open.hour_micro > 0) left_s = FH_MIN(left_s, (int64_t)((__int128)left_micro * 3600 / t->open.hour_micro));
    fh_guard_told told = {.left_s = left_s};
    fh_rent_tag_write(t->installation, t->open.epoch, t->open.id, told.tag);
    memcpy(told.machine, t->open.machine, sizeof told.machine);
    t->each(t->arg, &told);
}

static int each_rental(void *arg, fh_rental_row *r, fh_err **err)
{
    telling *t = arg;
    bool ours = false;
    t->spent_s = t->spent_micro = t->open.id = 0;
    int rc = fh_rent_epoch_is_ours(t->db, r->epoch, &ours, NULL, err);
    if (!rc && ours) rc = fh_rent_load_acts(t->db, t->provider, r->id, add_act, t, err);
    if (rc) return rc;
    if (ours && t->open.id) tell(t, r);
    fh_rental_row_fini(r);
    return 0;
}

int fh_guard_each(fh_db *db, const char *provider, int64_t now_utc_ns, void (*each)(void *arg, const fh_guard_told *t), void *arg,
                  fh_err **err)
{
    telling t = {.db = db, .provider = provider, .now_utc_ns = now_utc_ns, .each = each, .arg = arg};
    char epochs[FH_LIMIT_GUARD_EPOCHS][17];
    size_t count;
    int rc = fh_guard_identity(db, t.installation, epochs, &count, err);
    return rc ? rc : fh_rent_load_rentals(db, provider, FH_RENT_OPEN, each_rental, &t, err);
}
