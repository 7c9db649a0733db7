/* Who we are: the installation and the epoch (see rent/renter.h). */
#include "rent_private.h"

#include "sys/file.h"
#include <inttypes.h>
#include <stdio.h>

static int one_int(fh_db *db, const char *sql, int64_t *ret, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    bool row = false;
    int rc = fh_db_query(db, &s, err, sql, "");
    if (!rc) rc = fh_stmt_step(s, &row, err);
    if (!rc) *ret = row ? fh_stmt_int(s, 0) : 0;
    return rc;
}

static int read_row(fh_db *db, fh_rent_identity *id, char *place, size_t place_size, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    bool row = false;
    int rc = fh_db_query(db, &s, err, "SELECT installation, epoch, place FROM rent_identity", "");
    if (!rc) rc = fh_stmt_step(s, &row, err);
    if (rc || !row) return rc;
    fh_str installation = fh_stmt_str(s, 0), epoch = fh_stmt_str(s, 1), where = fh_stmt_str(s, 2);
    if (installation.len != 16 || epoch.len != 16)
        return fh_err_set(err, FH_E_CORRUPT, "the database's name for this installation is not well-formed");
    memcpy(id->installation, installation.ptr, 16);
    memcpy(id->epoch, epoch.ptr, 16);
    snprintf(place, place_size, "%.*s", (int)where.len, where.ptr);
    return 0;
}

/* How many acts the witness counted; 0: there is none that can be read, which says nothing. */
static uint64_t witnessed(const char *witness)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(64);
    uint64_t n = 0;
    if (!witness || fh_file_read(witness, 64, &text, NULL)) return 0;
    return fh_str_u64(fh_str_trim((fh_str){fh_buf_cstr(&text), text.len}), INT64_MAX, &n) ? n : 0;
}

int fh_rent_witness_write(const char *witness, int64_t act, fh_err **err)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%" PRId64 "\n", act);
    return witness ? fh_file_write_atomic(witness, text, (size_t)n, 0600, err) : 0;
}

/* The first epoch is ours; a later one as well, but the former ones are then in doubt. */
static int begin_epoch(fh_db *db, const char *place, int64_t utc_ns, const fh_rent_identity *id, fh_err **err)
{
    int rc = fh_db_begin(db, err);
    if (rc) return rc;
    rc = fh_db_exec(db, err, "UPDATE rent_epochs SET ours = 0", "");
    if (!rc)
        rc = fh_db_exec(db, err, "INSERT OR REPLACE INTO rent_identity(id, installation, epoch, place) VALUES(1, ?1, ?2, ?3)", "sss",
                        id->installation, id->epoch, place);
    if (!rc) rc = fh_db_exec(db, err, "INSERT INTO rent_epochs(epoch, began_utc_ns, ours) VALUES(?1, ?2, 1)", "si", id->epoch, utc_ns);
    if (!rc) return fh_db_commit(db, err);
    fh_db_rollback(db);
    return rc;
}

int fh_rent_identity_open(fh_db *db, const char *place, const char *witness, const uint64_t fresh[2], int64_t utc_ns, fh_rent_identity *ret,
                          fh_err **err)
{
    fh_rent_identity id = {.installation = ""};
    char known[512] = "";
    int64_t acts = 0, others = 0;
    int rc = read_row(db, &id, known, sizeof known, err);
    if (!rc) rc = one_int(db, "SELECT coalesce(max(id), 0) FROM rent_acts", &acts, err);
    if (rc) return rc;
    bool first = !id.installation[0], copied = strcmp(known, place) != 0 || witnessed(witness) > (uint64_t)acts;
    if (first || copied) {
        if (first) snprintf(id.installation, sizeof id.installation, "%016" PRIx64, fresh[0]);
        snprintf(id.epoch, sizeof id.epoch, "%016" PRIx64, fresh[1]);
        rc = begin_epoch(db, place, utc_ns, &id, err);
    }
    if (!rc) rc = fh_rent_witness_write(witness, acts, err);
    if (!rc) rc = one_int(db, "SELECT count(*) FROM rent_epochs WHERE NOT ours", &others, err);
    id.doubtful = others > 0;
    if (!rc) *ret = id;
    return rc;
}

int fh_rent_take_over(fh_db *db, fh_err **err)
{
    return fh_db_exec(db, err, "UPDATE rent_epochs SET ours = 1", "");
}

int fh_rent_epoch_is_ours(fh_db *db, const char *epoch, bool *ret, int64_t *ret_began, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    bool row = false;
    int rc = fh_db_query(db, &s, err, "SELECT ours, began_utc_ns FROM rent_epochs WHERE epoch = ?1", "s", epoch);
    if (!rc) rc = fh_stmt_step(s, &row, err);
    if (rc) return rc;
    *ret = row && fh_stmt_int(s, 0) != 0;
    if (row && ret_began) *ret_began = fh_stmt_int(s, 1);
    return 0;
}

int fh_rent_epochs_count(fh_db *db, int64_t *ret, fh_err **err)
{
    return one_int(db, "SELECT count(*) FROM rent_epochs WHERE ours", ret, err);
}
