/* A process that rents one machine over HTTP, sees it run, gives it back and says what it costs: what a server does of renting, alone. It
 * can be killed and started again at any moment; RENTER_KILL_AT=N kills it (SIGKILL) at its Nth recorded step.
 *
 * renter KIND URL KEY_FILE DATABASE SPEED: its clock runs SPEED times as fast as ours, since RENTER_BEGAN (UTC nanoseconds), so that it
 * goes on over a restart. Prints lines of JSON. */
#include "base/clock.h"
#include "db/schema.h"
#include "net/loop.h"
#include "rent/adapters.h"
#include "rent/renter.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct program {
    fh_loop *loop;
    fh_timer *timer;
    fh_http_client *client;
    fh_rental port;
    fh_db *db;
    fh_renter *renter;
    int64_t speed, began, rental, steps, kill_at;
} program;

static fh_rent_now clock_of(void *arg)
{
    const program *p = arg;
    int64_t now = (fh_clock_utc_ns() - p->began) * p->speed;
    return (fh_rent_now){1000 * FH_NS_PER_S + now, p->began + now};
}

static void recorded(void *arg)
{
    program *p = arg;
    if (++p->steps == p->kill_at) raise(SIGKILL);
}

static void say_act(void *arg, const fh_rent_act *a)
{
    char text[256];
    fh_rent_bill b = fh_rent_bill_of(a, 0);
    (void)arg;
    fh_rent_bill_text(a, &b, text, sizeof text);
    printf("{\"act\":%" PRId64 ",\"phase\":\"%s\",\"machine\":\"%s\",\"least_s\":%" PRId64 ",\"most_s\":%" PRId64 ",\"hour_micro\":%" PRId64
           ",\"amount_micro\":%" PRId64 ",\"bill\":\"%s\"}\n",
           a->id, fh_rent_phase_name(a->phase), a->machine, b.least_s, b.most_s, a->hour_micro, b.amount_micro, text);
}

static void finish(program *p)
{
    for (int64_t i = 0; i <= p->rental; i++) (void)fh_renter_acts(p->db, "account", i, say_act, p, NULL);
    fh_loop_stop(p->loop);
}

static void step(void *arg)
{
    program *p = arg;
    fh_rental_view v;
    int64_t next = fh_renter_step(p->renter);
    if (!fh_renter_find(p->renter, p->rental, &v)) {
        finish(p);
        return;
    }
    if (v.wanted && v.act && v.act->running_utc_ns) (void)fh_renter_end(p->renter, p->rental, "it was seen to run", NULL);
    int64_t wait = (next - clock_of(p).mono_ns) / p->speed;
    fh_timer_start(p->timer, FH_MIN(FH_MAX(wait, FH_NS_PER_MS), 20 * FH_NS_PER_MS)); /* answers are looked at then, at the latest */
}

static int ask(program *p, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    bool row = false;
    int rc = fh_db_query(p->db, &s, err, "SELECT id FROM rentals", "");
    if (!rc) rc = fh_stmt_step(s, &row, err);
    if (rc || row) {
        p->rental = row ? fh_stmt_int(s, 0) : 0;
        return rc;
    }
    fh_rent_want w = {.filter = {.gpus = 1, .max_hour_micro = 5000000},
                      .limit_s = 7200,
                      .limit_micro = 5000000,
                      .look_s = 3600,
                      .image = "ghcr.io/example/engine:1",
                      .run = "echo 'it runs'"};
    return fh_renter_ask(p->renter, &w, &p->rental, err);
}

static int open_all(program *p, char **argv, fh_err **err)
{
    char store[600], folder[600];
    fh_rent_identity id;
    const uint64_t fresh[2] = {(uint64_t)fh_clock_utc_ns(), (uint64_t)fh_clock_utc_ns() ^ 0x5555555555555555ULL};
    fh_rent_account account = {
        .url = argv[2], .key_file = argv[3], .ssh_key = "freehold", .folder = folder, .infra = "vast", .accelerators = "RTX4090:1,H200:1"};
    snprintf(store, sizeof store, "sqlite:%s", argv[4]);
    snprintf(folder, sizeof folder, "%s.tasks", argv[4]);
    int rc = fh_db_open(&p->db, store, err);
    if (!rc) rc = fh_db_migrate_schema(p->db, err);
    if (!rc) rc = fh_rent_identity_open(p->db, argv[4], NULL, fresh, fh_clock_utc_ns(), &id, err);
    if (!rc) rc = fh_loop_new(&p->loop, err);
    if (!rc) rc = fh_http_client_new(&p->client, p->loop, err);
    account.loop = p->loop;
    if (!rc) rc = fh_rental_open(&p->port, fh_rent_profile_find(fh_str_of(argv[1])), p->client, &account, err);
    if (rc) return rc;
    fh_renter_config c = {
        .provider = "account", .port = &p->port, .db = p->db, .identity = id, .clock = clock_of, .recorded = recorded, .arg = p};
    rc = fh_renter_open(&p->renter, &c, err);
    if (!rc) rc = ask(p, err);
    return rc ? rc : fh_timer_new(&p->timer, p->loop, step, p, err);
}

static int run(program *p, char **argv, fh_err **err)
{
    int rc = open_all(p, argv, err);
    if (rc) return rc;
    fh_timer_start(p->timer, 0);
    return fh_loop_run(p->loop, err);
}

int main(int argc, char **argv)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    const char *kill_at = getenv("RENTER_KILL_AT"), *began = getenv("RENTER_BEGAN");
    uint64_t speed = 1, at = 0, since = 0;
    if (argc != 6 || !fh_str_u64(fh_str_of(argv[5]), 100000, &speed)) return 2;
    if (!began || !fh_str_u64(fh_str_of(began), INT64_MAX, &since)) return 2;
    if (kill_at) (void)fh_str_u64(fh_str_of(kill_at), 1000000, &at);
    program p = {.speed = (int64_t)speed, .began = (int64_t)since, .kill_at = (int64_t)at};
    int rc = run(&p, argv, &err);
    if (rc) fprintf(stderr, "%s\n", fh_err_message(err));
    if (p.port.free) p.port.free(p.port.ctx);
    fh_renter_close(p.renter);
    if (p.timer) fh_timer_free(p.timer);
    if (p.client) fh_http_client_free(p.client);
    fh_loop_free(p.loop);
    fh_db_close(p.db);
    return rc ? 1 : 0;
}
