/* What the provider says that it charged, asked once it is final and held against our own reckoning (bill.c says whether that explains it).
 * One question at a time, of the oldest act that is over and of which it was not said yet. */
#include "rent_private.h"

#include "base/log.h"

typedef struct renter_billing {
    fh_renter *renter;
    int64_t act;
    char machine[FH_RENT_ID_CHARS];
    int64_t from_utc_ns, to_utc_ns;
} renter_billing;

static int write_charged(const fh_renter *r, int64_t act, int64_t micro, fh_err **err)
{
    return fh_db_exec(r->c.db, err, "UPDATE rent_acts SET charged_micro = ?2 WHERE id = ?1", "ii", act, micro);
}

static void billed(void *arg, int64_t charged_micro, const fh_err *why)
{
    renter_billing *b = arg;
    fh_renter *r = b->renter;
    FH_AUTO(fh_err) fh_err *err = NULL;
    r->billing = NULL;
    if (why)
        fh_log_err(FH_LOG_WARN, "rent", why, "what machine %s at %s cost is not told", b->machine, r->c.provider);
    else if (write_charged(r, b->act, charged_micro, &err))
        fh_log_err(FH_LOG_WARN, "rent", err, "what machine %s at %s cost is not written down", b->machine, r->c.provider);
    fh_free(b);
    fh_renter_heard(r);
}

/* False: there is none. Of those that are older than a month nothing is asked any more. */
static bool next_act(fh_renter *r, renter_billing *ret, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    bool row = false;
    int64_t now = fh_renter_now(r).utc_ns;
    int rc =
        fh_db_query(r->c.db, &s, err,
                    "SELECT id, machine, asked_utc_ns, gone_utc_ns FROM rent_acts WHERE provider = ?1 AND phase = 'over' AND "
                    "charged_micro < 0 AND machine <> '' AND gone_utc_ns BETWEEN ?2 AND ?3 AND id > ?4 ORDER BY id LIMIT 1",
                    "siii", r->c.provider, now - FH_LIMIT_RENT_BILL_DAYS * 86400 * FH_NS_PER_S, now - r->profile->bill_ns, r->bill_after);
    if (!rc) rc = fh_stmt_step(s, &row, err);
    if (rc || !row) {
        r->bill_after = 0;
        return false;
    }
    fh_str machine = fh_stmt_str(s, 1);
    ret->act = r->bill_after = fh_stmt_int(s, 0);
    memcpy(ret->machine, machine.ptr, FH_MIN(machine.len, sizeof ret->machine - 1));
    ret->from_utc_ns = fh_stmt_int(s, 2);
    ret->to_utc_ns = fh_stmt_int(s, 3);
    return true;
}

void fh_renter_step_bill(fh_renter *r)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    int64_t now = fh_renter_now(r).mono_ns;
    if (!r->c.port->bill || r->billing) return;
    if (now < r->bill_not_before) {
        fh_renter_wake_at(r, r->bill_not_before);
        return;
    }
    r->bill_not_before = now + FH_LIMIT_RENT_BILL_MS * FH_NS_PER_MS;
    FH_AUTO(ptr) renter_billing *b = fh_calloc(1, sizeof *b);
    if (!b || !next_act(r, b, &err)) {
        fh_renter_wake_at(r, r->bill_not_before);
        return;
    }
    b->renter = r;
    r->bill_not_before = now;
    if (r->c.port->bill(r->c.port->ctx, b->machine, b->from_utc_ns, b->to_utc_ns, billed, b, &err) == 0)
        r->billing = fh_take(b);
    else
        r->bill_not_before = now + FH_LIMIT_RENT_BILL_MS * FH_NS_PER_MS;
}
