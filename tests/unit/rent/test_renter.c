/* The renter against a provider on a virtual clock: seeded runs with faults at every call, the process killed at recorded steps and
 * between them, databases copied and put back. FH_RENT_RUNS says how many of each provider's profile, FH_RENT_SEED with which they begin;
 * a run that fails prints its seed. */
#include "cmocka_all.h"
#include "db/schema.h"
#include "sim.h"

#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>

#define CALM_S  (6 * 3600)
#define QUIET_S (12 * 3600)
#define SLACK_S 300
enum { RENTALS = 3 };

typedef struct run {
    sim sim;
    fh_renter *renter;
    jmp_buf killed;
    int steps, kill_at; /* recorded steps of this process; which of them it does not survive; 0: none */
    int64_t kill_time;  /* it is killed at this moment too; INT64_MAX: no more */
    int64_t rentals[RENTALS], limit_s[RENTALS], limit_micro[RENTALS];
    int64_t end_at[RENTALS];
    int64_t take_over_at;        /* INT64_MAX: nothing to take over */
    bool copies, kept, put_back; /* this run copies its database, or puts an older one back */
} run;

static char db_path[64];
static fh_db *db;

static fh_rent_now clock_of(void *arg)
{
    const run *r = arg;
    return (fh_rent_now){1000 * S + r->sim.now, SIM_UTC0 + r->sim.now};
}

static void recorded(void *arg)
{
    run *r = arg;
    if (++r->steps == r->kill_at) longjmp(r->killed, 1);
}

static void must(const char *sql)
{
    fh_err *err = NULL;
    if (fh_db_exec(db, &err, sql, "")) fail_msg("%s", fh_err_message(err));
}

static void open_renter(run *r, const char *place)
{
    fh_err *err = NULL;
    const uint64_t fresh[2] = {sim_next(&r->sim), sim_next(&r->sim)};
    assert_int_equal(fh_rent_identity_open(db, place, NULL, fresh, SIM_UTC0 + r->sim.now, &r->sim.identity, &err), 0);
    r->sim.doubt = r->sim.identity.doubtful;
    fh_renter_config c = {
        .provider = "p", .port = &r->sim.port, .db = db, .identity = r->sim.identity, .clock = clock_of, .recorded = recorded, .arg = r};
    r->steps = 0;
    assert_int_equal(fh_renter_open(&r->renter, &c, &err), 0);
}

static void put_back(void)
{
    must("DELETE FROM rent_acts");
    must("DELETE FROM rentals");
    must("INSERT INTO rent_acts SELECT * FROM kept_acts");
    must("INSERT INTO rentals SELECT * FROM kept_rentals");
    must("UPDATE sqlite_sequence SET seq = (SELECT coalesce(max(id), 0) FROM rent_acts) WHERE name = 'rent_acts'");
}

static void keep(void)
{
    must("DELETE FROM kept_acts");
    must("DELETE FROM kept_rentals");
    must("INSERT INTO kept_acts SELECT * FROM rent_acts");
    must("INSERT INTO kept_rentals SELECT * FROM rentals");
}

/* kill -9, and the next start; on a copy of the database, sometimes. */
static void restart(run *r)
{
    bool copied = r->copies && sim_chance(&r->sim, 30);
    char place[32] = "here";
    fh_renter_close(r->renter);
    r->sim.generation++;
    if (copied) snprintf(place, sizeof place, "there%" PRId64, r->sim.now);
    if (copied && r->kept) put_back();
    if (copied) r->put_back |= r->kept;
    static char last[32] = "here";
    if (r->sim.generation == 1) snprintf(last, sizeof last, "here");
    if (copied) snprintf(last, sizeof last, "%s", place);
    open_renter(r, last);
    if (r->sim.doubt && r->take_over_at == INT64_MAX) r->take_over_at = r->sim.now + sim_below(&r->sim, 3600 * S);
    r->kill_at = sim_chance(&r->sim, 60) ? 1 + (int)sim_below(&r->sim, 12) : 0;
    r->kill_time = sim_chance(&r->sim, 60) ? r->sim.now + sim_below(&r->sim, 1200 * S) : INT64_MAX;
}

static void take_over(run *r)
{
    assert_int_equal(fh_rent_take_over(db, NULL), 0);
    r->take_over_at = INT64_MAX;
    restart(r);
}

static void end_some(run *r)
{
    for (int i = 0; i < RENTALS; i++) {
        fh_rental_view v;
        bool there = fh_renter_find(r->renter, r->rentals[i], &v);
        if (there && v.act && v.act->running_utc_ns && sim_chance(&r->sim, 5)) (void)fh_renter_arrived(r->renter, v.id, NULL);
        if (r->sim.now >= r->end_at[i] && there && v.wanted) (void)fh_renter_end(r->renter, r->rentals[i], "wanted no more", NULL);
    }
}

static bool all_over(const run *r)
{
    fh_rental_view v;
    for (int i = 0; i < RENTALS; i++)
        if (fh_renter_find(r->renter, r->rentals[i], &v)) return false;
    return r->take_over_at == INT64_MAX && r->renter->act_count == 0 && r->renter->clean && r->sim.event_count == 0;
}

static int64_t next_time(const run *r, int64_t wants)
{
    int64_t at = wants == INT64_MAX ? r->sim.now + 3600 * S : wants - 1000 * S;
    for (int i = 0; i < r->sim.event_count; i++) at = FH_MIN(at, r->sim.events[i].at);
    for (int i = 0; i < RENTALS; i++)
        if (r->end_at[i] > r->sim.now) at = FH_MIN(at, r->end_at[i]);
    if (r->take_over_at > r->sim.now) at = FH_MIN(at, r->take_over_at);
    if (r->kill_time > r->sim.now) at = FH_MIN(at, r->kill_time);
    return FH_MAX(at, r->sim.now + 1);
}

static void live(run *r)
{
    sim_event e;
    while (!r->sim.fault[0]) {
        r->sim.calm = r->sim.now > CALM_S * S;
        if (r->kill_time <= r->sim.now) {
            restart(r);
            continue;
        }
        if (r->take_over_at <= r->sim.now) take_over(r);
        if (r->copies && !r->kept && r->sim.now > 300 * S && sim_chance(&r->sim, 5)) {
            keep();
            r->kept = true;
        }
        end_some(r);
        while (sim_take(&r->sim, r->sim.now, &e)) sim_happen(&r->sim, &e);
        int64_t wants = fh_renter_step(r->renter);
        if (r->sim.now > QUIET_S * S || (r->sim.now > CALM_S * S && all_over(r))) return;
        r->sim.now = next_time(r, wants);
    }
}

/* ---- what must hold in the end ---- */

typedef struct looking {
    const sim_machine *x;
    const run *r;
    int found;
    char fault[200];
} looking;

static void compare(void *arg, const fh_rent_act *a)
{
    looking *l = arg;
    char tag[FH_RENT_TAG_CHARS];
    fh_rent_tag_write(l->r->sim.identity.installation, a->epoch, a->id, tag);
    bool unseen = !a->machine[0] && strcmp(tag, l->x->tag) == 0; /* it came and went while its reply was lost */
    if (!unseen && strcmp(a->machine, l->x->id) != 0) return;
    l->found++;
    fh_rent_bill b = fh_rent_bill_of(a, SIM_UTC0 + l->r->sim.now);
    double s = (double)(l->x->gone - l->x->made) / 1e9;
    int64_t amount = unseen ? b.amount_micro : (b.most_s * l->x->hour_micro + 3599) / 3600;
    if (a->phase != FH_RENT_OVER) snprintf(l->fault, sizeof l->fault, "act %" PRId64 " is not over", a->id);
    if ((double)b.least_s > s + 0.001 || s > (double)b.most_s + 0.001)
        snprintf(l->fault, sizeof l->fault, "act %" PRId64 " lived %.3f s, its bill says %" PRId64 " to %" PRId64, a->id, s, b.least_s,
                 b.most_s);
    if (!unseen && a->hour_micro != l->x->hour_micro) snprintf(l->fault, sizeof l->fault, "act %" PRId64 " has another price", a->id);
    if (b.amount_micro != amount)
        snprintf(l->fault, sizeof l->fault, "act %" PRId64 " costs %" PRId64 ", not %" PRId64, a->id, amount, b.amount_micro);
}

static void each_act(const run *r, void (*each)(void *, const fh_rent_act *), void *arg)
{
    assert_int_equal(fh_renter_acts(db, "p", 0, each, arg, NULL), 0);
    for (int i = 0; i < RENTALS; i++) assert_int_equal(fh_renter_acts(db, "p", r->rentals[i], each, arg, NULL), 0);
}

/* What a rental had before the first try to end it, against its limits. A machine that is not known yet cannot be ended: SLACK_S. */
static void audit_limits(run *r)
{
    sim *m = &r->sim;
    for (int i = 0; i < RENTALS; i++) {
        double s = 0, micro = 0, dearest = 0;
        for (int k = 0; k < m->machine_count; k++) {
            const sim_machine *x = &m->machines[k];
            if (x->foreign || x->made == INT64_MAX || x->rental != r->rentals[i]) continue;
            double lived = (double)(FH_MIN(x->gone, x->asked_end ? x->asked_end : x->gone) - x->made) / 1e9;
            s += FH_MAX(lived, 0);
            micro += FH_MAX(lived, 0) * (double)x->hour_micro / 3600;
            dearest = FH_MAX(dearest, (double)x->hour_micro);
        }
        if (s > (double)r->limit_s[i] + SLACK_S) sim_broke(m, "beyond its limit of hours", "");
        if (micro > (double)r->limit_micro[i] + SLACK_S * dearest / 3600) sim_broke(m, "beyond its limit of money", "");
    }
}

static void audit(run *r)
{
    sim *m = &r->sim;
    for (int i = 0; i < m->machine_count && !m->fault[0]; i++) {
        const sim_machine *x = &m->machines[i];
        if (x->foreign && x->gone != INT64_MAX) sim_broke(m, "a machine of others is gone", x->id);
        if (x->foreign || x->made == INT64_MAX) continue;
        looking l = {x, r, 0, ""};
        if (x->gone == INT64_MAX) sim_broke(m, "left running", x->id);
        each_act(r, compare, &l);
        if (l.fault[0]) sim_broke(m, l.fault, x->id);
        if (l.found > 1 && !r->put_back) sim_broke(m, "billed twice", x->id);
        if (l.found == 0 && !r->put_back) sim_broke(m, "not billed", x->id);
    }
    if (!r->copies) audit_limits(r); /* what is in doubt is not ended */
    fh_rental_view v;
    for (int i = 0; i < RENTALS && !m->fault[0]; i++)
        if (fh_renter_find(r->renter, r->rentals[i], &v)) sim_broke(m, "a rental is not over", v.reason);
}

static void clear(void)
{
    must("DELETE FROM rent_acts");
    must("DELETE FROM rentals");
    must("DELETE FROM rent_identity");
    must("DELETE FROM rent_epochs");
}

static void neighbours(run *r)
{
    char tag[FH_RENT_TAG_CHARS];
    const fh_rent_identity *id = &r->sim.identity;
    fh_rent_tag_write("0123456789abcdef", id->epoch, 1, tag);
    sim_foreign(&r->sim, tag);
    fh_rent_tag_write(id->installation, "0123456789abcdef", 1, tag); /* of a copy of ours */
    sim_foreign(&r->sim, tag);
    snprintf(tag, sizeof tag, "freehold:%s:%s.01", id->installation, id->epoch);
    sim_foreign(&r->sim, tag);
    snprintf(tag, sizeof tag, "freehold:%s:%s.1 ", id->installation, id->epoch);
    sim_foreign(&r->sim, tag);
    sim_foreign(&r->sim, "training");
    sim_foreign(&r->sim, "");
}

static void ask(run *r)
{
    for (int i = 0; i < RENTALS; i++) {
        fh_rent_want w = {.filter = {.gpus = 1, .max_hour_micro = 2500000 + sim_below(&r->sim, 2000000), .spot = true},
                          .limit_s = 600 + sim_below(&r->sim, 7200),
                          .limit_micro = 500000 + sim_below(&r->sim, 6000000),
                          .look_s = 1800,
                          .image = "image",
                          .run = "true"};
        r->kill_at = 0;
        r->limit_s[i] = w.limit_s;
        r->limit_micro[i] = w.limit_micro;
        assert_int_equal(fh_renter_ask(r->renter, &w, &r->rentals[i], NULL), 0);
        r->end_at[i] = sim_below(&r->sim, 3 * 3600 * S);
    }
    r->kill_at = sim_chance(&r->sim, 60) ? r->steps + 1 + (int)sim_below(&r->sim, 20) : 0;
}

static run the_run;

static const char *one_run(const fh_rent_profile *p, uint64_t seed)
{
    run *r = &the_run;
    clear();
    *r = (run){.take_over_at = INT64_MAX, .kill_time = INT64_MAX};
    sim_init(&r->sim, seed, p, db);
    r->copies = seed % 5 == 0;
    open_renter(r, "here");
    neighbours(r);
    ask(r);
    if (setjmp(r->killed) != 0) restart(r);
    live(r);
    audit(r);
    fh_renter_close(r->renter);
    return r->sim.fault;
}

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    uint64_t n = otherwise;
    if (text) assert_true(fh_str_u64(fh_str_of(text), UINT64_MAX, &n));
    return n;
}

static void runs_of(const char *kind)
{
    const fh_rent_profile *p = fh_rent_profile_find(fh_str_of(kind));
    uint64_t first = number("FH_RENT_SEED", 1), runs = number("FH_RENT_RUNS", FH_SANITIZED ? 100 : 1000);
    int rents = 0, ends = 0, machines = 0;
    for (uint64_t seed = first; seed < first + runs; seed++) {
        const char *fault = one_run(p, seed);
        if (fault[0]) print_message("# %s, FH_RENT_SEED=%" PRIu64 " FH_RENT_RUNS=1: %s\n", kind, seed, fault);
        assert_string_equal(fault, "");
        rents += the_run.sim.rents;
        ends += the_run.sim.ends;
        machines += the_run.sim.machine_count - 6;
    }
    print_message("# %s: seeds %" PRIu64 " to %" PRIu64 ": %d rents asked for, %d machines made, %d ends asked for\n", kind, first,
                  first + runs - 1, rents, machines, ends);
}

static void no_run_at_runpod_rents_twice_leaves_running_or_ends_what_is_not_ours(void **state)
{
    (void)state;
    runs_of("runpod");
}

static void no_run_at_vast_rents_twice_leaves_running_or_ends_what_is_not_ours(void **state)
{
    (void)state;
    runs_of("vast");
}

static void no_run_at_lambda_rents_twice_leaves_running_or_ends_what_is_not_ours(void **state)
{
    (void)state;
    runs_of("lambda");
}

static int set_up(void **state)
{
    char url[80];
    (void)state;
    snprintf(db_path, sizeof db_path, "%s/fh-rent-%d.db", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (int)getpid());
    snprintf(url, sizeof url, "sqlite:%s", db_path);
    if (fh_db_open(&db, url, NULL) || fh_db_migrate_schema(db, NULL)) return -1;
    must("CREATE TEMP TABLE kept_acts AS SELECT * FROM rent_acts");
    must("CREATE TEMP TABLE kept_rentals AS SELECT * FROM rentals");
    return 0;
}

static int tear_down(void **state)
{
    char path[80];
    (void)state;
    fh_db_close(db);
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s%s", db_path, (const char *const[]){"", "-wal", "-shm"}[i]);
        unlink(path);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_run_at_runpod_rents_twice_leaves_running_or_ends_what_is_not_ours),
        cmocka_unit_test(no_run_at_vast_rents_twice_leaves_running_or_ends_what_is_not_ours),
        cmocka_unit_test(no_run_at_lambda_rents_twice_leaves_running_or_ends_what_is_not_ours),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
