/* The rows of rentals and of acts. Each function is one statement, so that a kill leaves the row before or after. */
#include "rent_private.h"

#include <stdio.h>

static void copy(char *out, size_t out_size, fh_str s)
{
    snprintf(out, out_size, "%.*s", (int)FH_MIN(s.len, out_size - 1), s.ptr ? s.ptr : "");
}

const char *fh_rent_phase_name(fh_rent_phase p)
{
    static const char *const names[] = {"begun", "held", "ending", "over"};
    return names[p];
}

static bool phase_of(fh_str name, fh_rent_phase *ret)
{
    for (int i = FH_RENT_BEGUN; i <= FH_RENT_OVER; i++) {
        if (!fh_str_eqs(name, fh_rent_phase_name((fh_rent_phase)i))) continue;
        *ret = (fh_rent_phase)i;
        return true;
    }
    return false;
}

void fh_rental_row_fini(fh_rental_row *r)
{
    fh_free((void *)(uintptr_t)r->want.image);
    fh_free((void *)(uintptr_t)r->want.run);
}

int fh_rental_row_copy_want(fh_rental_row *r, const fh_rent_want *w, fh_err **err)
{
    r->want = *w;
    copy(r->device, sizeof r->device, fh_str_of(w->filter.device));
    copy(r->region, sizeof r->region, fh_str_of(w->filter.region));
    r->want.filter.device = r->device[0] ? r->device : NULL;
    r->want.filter.region = r->region[0] ? r->region : NULL;
    r->want.image = fh_strdup(w->image);
    r->want.run = fh_strdup(w->run);
    return r->want.image && r->want.run ? 0 : fh_err_nomem(err);
}

static int insert(fh_db *db, int64_t *ret_id, int rc, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    bool row = false;
    if (!rc) rc = fh_db_query(db, &s, err, "SELECT last_insert_rowid()", "");
    if (!rc) rc = fh_stmt_step(s, &row, err);
    if (!rc) *ret_id = fh_stmt_int(s, 0);
    return rc;
}

int fh_rent_store_rental(fh_db *db, const char *provider, fh_rental_row *r, fh_err **err)
{
    const fh_rent_want *w = &r->want;
    if (r->id)
        return fh_db_exec(db, err, "UPDATE rentals SET wanted = ?2, over = ?3, reason = ?4, arrived = ?5, lost = ?6 WHERE id = ?1",
                          "iiisii", r->id, (int64_t)r->wanted, (int64_t)r->over, r->reason, (int64_t)r->arrived, (int64_t)r->lost);
    int rc = fh_db_exec(db, err,
                        "INSERT INTO rentals(provider, epoch, device, gpus, region, spot, max_hour_micro, limit_s, limit_micro, look_s, "
                        "image, run, wanted, over, reason, asked_utc_ns, order_id, gpu_bytes, ram_bytes, offer, offer_kind) "
                        "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)",
                        "sssisiiiiissiisiiiiss", provider, r->epoch, r->device, (int64_t)w->filter.gpus, r->region, (int64_t)w->filter.spot,
                        w->filter.max_hour_micro, w->limit_s, w->limit_micro, w->look_s, w->image, w->run, (int64_t)r->wanted,
                        (int64_t)r->over, r->reason, r->asked_utc_ns, w->order, (int64_t)w->filter.gpu_bytes, (int64_t)w->filter.ram_bytes,
                        w->offer, w->offer_kind);
    return insert(db, &r->id, rc, err);
}

int fh_rent_store_act(fh_db *db, const char *provider, fh_rent_act *a, fh_err **err)
{
    if (a->id)
        return fh_db_exec(db, err,
                          "UPDATE rent_acts SET phase = ?2, machine = ?3, address = ?4, reason = ?5, hour_micro = ?6, held_utc_ns = ?7, "
                          "started_utc_ns = ?8, running_utc_ns = ?9, alive_utc_ns = ?10, gone_utc_ns = ?11, charged_micro = ?12 "
                          "WHERE id = ?1",
                          "issssiiiiiii", a->id, fh_rent_phase_name(a->phase), a->machine, a->address, a->reason, a->hour_micro,
                          a->held_utc_ns, a->started_utc_ns, a->running_utc_ns, a->alive_utc_ns, a->gone_utc_ns, a->charged_micro);
    int rc = fh_db_exec(db, err,
                        "INSERT INTO rent_acts(provider, rental, epoch, phase, offer, machine, address, reason, hour_micro, asked_utc_ns, "
                        "held_utc_ns, started_utc_ns, running_utc_ns, alive_utc_ns, gone_utc_ns, charged_micro) "
                        "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
                        "sissssssiiiiiiii", provider, a->rental, a->epoch, fh_rent_phase_name(a->phase), a->offer, a->machine, a->address,
                        a->reason, a->hour_micro, a->asked_utc_ns, a->held_utc_ns, a->started_utc_ns, a->running_utc_ns, a->alive_utc_ns,
                        a->gone_utc_ns, a->charged_micro);
    return insert(db, &a->id, rc, err);
}

static int read_rental(fh_stmt *s, fh_rental_row *r, fh_err **err)
{
    FH_AUTO(ptr) char *image = fh_strndup(fh_stmt_str(s, 9).ptr, fh_stmt_str(s, 9).len);
    FH_AUTO(ptr) char *run = fh_strndup(fh_stmt_str(s, 10).ptr, fh_stmt_str(s, 10).len);
    char device[32], region[32];
    if (!image || !run) return fh_err_nomem(err);
    copy(device, sizeof device, fh_stmt_str(s, 2));
    copy(region, sizeof region, fh_stmt_str(s, 4));
    *r = (fh_rental_row){.id = fh_stmt_int(s, 0),
                         .wanted = fh_stmt_int(s, 11) != 0,
                         .over = fh_stmt_int(s, 18) != 0,
                         .arrived = fh_stmt_int(s, 19) != 0,
                         .lost = fh_stmt_int(s, 20) != 0,
                         .asked_utc_ns = fh_stmt_int(s, 13)};
    copy(r->epoch, sizeof r->epoch, fh_stmt_str(s, 1));
    copy(r->reason, sizeof r->reason, fh_stmt_str(s, 12));
    fh_rent_want w = {.order = fh_stmt_int(s, 15),
                      .filter = {.device = device,
                                 .gpus = (uint32_t)fh_stmt_int(s, 3),
                                 .region = region,
                                 .spot = fh_stmt_int(s, 5) != 0,
                                 .max_hour_micro = fh_stmt_int(s, 6),
                                 .gpu_bytes = (uint64_t)fh_stmt_int(s, 16),
                                 .ram_bytes = (uint64_t)fh_stmt_int(s, 17)},
                      .limit_s = fh_stmt_int(s, 7),
                      .limit_micro = fh_stmt_int(s, 8),
                      .look_s = fh_stmt_int(s, 14),
                      .image = image,
                      .run = run};
    copy(w.offer, sizeof w.offer, fh_stmt_str(s, 21));
    copy(w.offer_kind, sizeof w.offer_kind, fh_stmt_str(s, 22));
    return fh_rental_row_copy_want(r, &w, err);
}

int fh_rent_load_rentals(fh_db *db, const char *provider, int64_t order, int (*each)(void *arg, fh_rental_row *r, fh_err **err), void *arg,
                         fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    bool row = false;
    int rc = fh_db_query(db, &s, err,
                         "SELECT id, epoch, device, gpus, region, spot, max_hour_micro, limit_s, limit_micro, image, run, wanted, reason, "
                         "asked_utc_ns, look_s, order_id, gpu_bytes, ram_bytes, over, arrived, lost, offer, offer_kind FROM rentals "
                         "WHERE provider = ?1 AND (order_id = ?2 OR (?2 = -1 AND NOT over) OR "
                         "(?2 = -2 AND id > (SELECT coalesce(max(id), 0) FROM rentals) - ?3)) ORDER BY id",
                         "sii", provider, order, (int64_t)FH_LIMIT_RENTALS_SHOWN);
    while (!rc && !(rc = fh_stmt_step(s, &row, err)) && row) {
        fh_rental_row r = {0};
        rc = read_rental(s, &r, err);
        if (!rc) rc = each(arg, &r, err);
        if (rc) fh_rental_row_fini(&r);
    }
    return rc;
}

static int read_act(fh_stmt *s, fh_rent_act *a, fh_err **err)
{
    *a = (fh_rent_act){.id = fh_stmt_int(s, 0),
                       .rental = fh_stmt_int(s, 1),
                       .hour_micro = fh_stmt_int(s, 8),
                       .asked_utc_ns = fh_stmt_int(s, 9),
                       .held_utc_ns = fh_stmt_int(s, 10),
                       .started_utc_ns = fh_stmt_int(s, 11),
                       .running_utc_ns = fh_stmt_int(s, 12),
                       .alive_utc_ns = fh_stmt_int(s, 13),
                       .gone_utc_ns = fh_stmt_int(s, 14),
                       .charged_micro = fh_stmt_int(s, 15)};
    copy(a->epoch, sizeof a->epoch, fh_stmt_str(s, 2));
    copy(a->offer, sizeof a->offer, fh_stmt_str(s, 4));
    copy(a->machine, sizeof a->machine, fh_stmt_str(s, 5));
    copy(a->address, sizeof a->address, fh_stmt_str(s, 6));
    copy(a->reason, sizeof a->reason, fh_stmt_str(s, 7));
    if (phase_of(fh_stmt_str(s, 3), &a->phase)) return 0;
    return fh_err_set(err, FH_E_CORRUPT, "the database has an act of renting that is not well-formed");
}

int fh_rent_load_acts(fh_db *db, const char *provider, int64_t rental, int (*each)(void *arg, const fh_rent_act *a, fh_err **err),
                      void *arg, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    bool row = false;
    int rc = fh_db_query(db, &s, err,
                         "SELECT id, rental, epoch, phase, offer, machine, address, reason, hour_micro, asked_utc_ns, held_utc_ns, "
                         "started_utc_ns, running_utc_ns, alive_utc_ns, gone_utc_ns, charged_micro FROM rent_acts "
                         "WHERE provider = ?1 AND (rental = ?2 OR (?2 < 0 AND (phase <> 'over' OR rental IN "
                         "(SELECT id FROM rentals WHERE NOT over)))) ORDER BY id",
                         "si", provider, rental);
    while (!rc && !(rc = fh_stmt_step(s, &row, err)) && row) {
        fh_rent_act a;
        rc = read_act(s, &a, err);
        if (!rc) rc = each(arg, &a, err);
    }
    return rc;
}
