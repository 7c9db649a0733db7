/* An account that machines are rented of, as a supply (see rented.h). The renter decides; this keeps it going (a timer, and a step after
 * each answer), tells it when a machine has joined the pool, and says to the fleet what it sees.
 *
 * What holds: nothing here is a second truth. What was rented for an order is asked of the database by the order's number. An account whose
 * key cannot be read now is tried again, since its machines go on. */
#include "rented.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/map.h"
#include "catalog/engines.h"
#include "db/schema.h"
#include "installation.h"
#include "plan/plan.h"
#include "rent/adapters.h"
#include "rent/renter.h"
#include "sys/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_AGAIN_NS (30 * FH_NS_PER_S)
#define JOIN_LOOK_NS  FH_NS_PER_S
#define LOOK_S        900 /* that an offer within the limits is looked for */
#define LATE_NS       (120 * FH_NS_PER_S)
#define DEFAULT_IMAGE "debian:12"
#define CURRENCY      "USD" /* of all accounts */

typedef struct wanted { /* an order that the fleet knows */
    struct wanted *next;
    int64_t order;
    char node[80];     /* "": it was released before this program was started */
    char release[128]; /* why; "": it is wanted */
    bool released;     /* that is written down */
} wanted;

typedef struct rented {
    fh_supply supply;
    char name[80]; /* "provider/NAME" */
    char url[256], key_file[1024], data_dir[1024];
    char witness[1100];
    char image[256], ssh_key[64], program_url[512], pool_url[300], infra[64], accelerators[256], tasks[1100];
    fh_supply_door door;     /* its url: see pool_url */
    fh_rent_profile profile; /* the kind's, with what the operator knows better */
    fh_loop *loop;
    fh_http_client *client;
    fh_timer *timer;
    fh_db *db;
    fh_rental port;
    fh_renter *renter; /* NULL: why */
    char why[200];
    int64_t epochs; /* that were ours when it was opened */
    wanted *first;
    bool news;
} rented;

static const char *account_of(const rented *r)
{
    return r->name + sizeof "provider/" - 1;
}

static void step_soon(rented *r, int64_t delay_ns)
{
    fh_timer_start(r->timer, delay_ns);
}

/* ---- the renter ---- */

static fh_rent_now clock_of(void *arg)
{
    (void)arg;
    return (fh_rent_now){fh_clock_mono_ns(), fh_clock_utc_ns()};
}

static void heard(void *arg)
{
    step_soon(arg, 0);
}

static void recorded(void *arg)
{
    ((rented *)arg)->news = true;
}

static int token(void *arg, char *out, size_t out_size, fh_err **err)
{
    const rented *r = arg;
    return r->door.token(r->door.arg, out, out_size, err);
}

static void close_renter(rented *r)
{
    if (r->port.free) r->port.free(r->port.ctx);
    r->port = (fh_rental){.profile = NULL};
    fh_renter_close(r->renter);
    r->renter = NULL;
}

static int open_renter(rented *r, fh_err **err)
{
    fh_rent_identity id;
    const fh_rent_account account = {.url = r->url,
                                     .key_file = r->key_file,
                                     .ssh_key = r->ssh_key,
                                     .loop = r->loop,
                                     .folder = r->tasks,
                                     .infra = r->infra,
                                     .accelerators = r->accelerators};
    int rc = fh_installation_open(r->db, r->data_dir, &id, err);
    if (!rc) rc = fh_rent_epochs_count(r->db, &r->epochs, err);
    if (!rc) rc = fh_rental_open(&r->port, &r->profile, r->client, &account, err);
    if (rc) return rc;
    fh_renter_config c = {.provider = account_of(r),
                          .port = &r->port,
                          .db = r->db,
                          .identity = id,
                          .witness = r->witness,
                          .clock = clock_of,
                          .token = token,
                          .heard = heard,
                          .recorded = recorded,
                          .arg = r};
    rc = fh_renter_open(&r->renter, &c, err);
    if (rc) close_renter(r);
    return rc;
}

static void try_open(rented *r)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    if (open_renter(r, &err) == 0) {
        r->why[0] = '\0';
        return;
    }
    if (strcmp(r->why, fh_err_message(err)) != 0)
        fh_log_err(FH_LOG_WARN, "rent", err, "%s is not looked after, and is tried again", r->name);
    snprintf(r->why, sizeof r->why, "%s", fh_err_message(err));
}

/* ---- as time passes ---- */

/* Somebody said that this database is the one that goes on: what its former epochs rented is ours. */
static void follow_epochs(rented *r)
{
    int64_t now = r->epochs;
    if (fh_rent_epochs_count(r->db, &now, NULL) || now == r->epochs) return;
    close_renter(r);
    try_open(r);
}

static bool has_joined(const rented *r, const char *node)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    bool row = false;
    int rc = fh_db_query(r->db, &s, NULL, "SELECT 1 FROM nodes WHERE name = ?1 AND state <> 'removed'", "s", node);
    if (!rc) rc = fh_stmt_step(s, &row, NULL);
    return !rc && row;
}

/* The rental of an order; false: it is over, or there is none. */
static bool find_live(const rented *r, int64_t order, fh_rental_view *ret)
{
    return r->renter && fh_renter_find_order(r->renter, order, ret);
}

static void note_arrivals(rented *r)
{
    for (const wanted *w = r->first; w; w = w->next) {
        fh_rental_view v;
        FH_AUTO(fh_err) fh_err *err = NULL;
        if (!find_live(r, w->order, &v) || v.arrived || !v.act || !has_joined(r, w->node)) continue;
        if (fh_renter_arrived(r->renter, v.id, &err)) fh_log_err(FH_LOG_WARN, "rent", err, "order %" PRId64 " of %s", w->order, r->name);
    }
}

/* A machine that has run for a while and was released before it joined is of an offer that is no good. */
static void judge_offer(rented *r, const wanted *w)
{
    fh_rental_view v;
    if (!find_live(r, w->order, &v) || v.arrived || !v.act || !v.act->running_utc_ns) return;
    if (fh_clock_utc_ns() - v.act->running_utc_ns > LATE_NS) (void)fh_renter_give_back(r->renter, v.id, w->release, NULL);
}

static void note_releases(rented *r)
{
    for (wanted *w = r->first; w; w = w->next) {
        FH_AUTO(fh_err) fh_err *err = NULL;
        if (!w->release[0] || w->released) continue;
        judge_offer(r, w);
        w->released = fh_renter_release_order(r->renter, r->db, account_of(r), w->order, w->release, &err) == 0;
        if (!w->released) fh_log_err(FH_LOG_WARN, "rent", err, "order %" PRId64 " of %s", w->order, r->name);
    }
}

static void tell(rented *r)
{
    if (!r->news || !r->supply.changed) return;
    r->news = false;
    for (const wanted *w = r->first; w; w = w->next) r->supply.changed(r->supply.changed_arg, w->order);
}

static void step(void *arg)
{
    rented *r = arg;
    int64_t wait = OPEN_AGAIN_NS;
    note_releases(r);
    if (!r->renter) try_open(r);
    if (r->renter) follow_epochs(r);
    if (r->renter) {
        note_arrivals(r);
        wait = FH_MIN(wait, fh_renter_step(r->renter) - fh_clock_mono_ns());
    }
    tell(r);
    step_soon(r, FH_MAX(FH_MIN(wait, r->first ? JOIN_LOOK_NS : wait), 0));
}

/* ---- what is wanted ---- */

static wanted *find_wanted(const rented *r, int64_t order)
{
    wanted *w = r->first;
    while (w && w->order != order) w = w->next;
    return w;
}

static wanted *note_wanted(rented *r, int64_t order)
{
    wanted *w = find_wanted(r, order);
    if (!w) w = fh_calloc(1, sizeof *w);
    if (!w || w->order) return w;
    w->order = order;
    w->next = r->first;
    r->first = w;
    return w;
}

static int needs(fh_err **err, const char *what, const char *hint)
{
    fh_err_set(err, FH_E_INVALID, "%s", what);
    fh_err_hint(err, "%s", hint);
    return FH_E_INVALID;
}

/* Limits of hours and money always; what is not said follows from what is. */
static int take_limits(const fh_supply_want *w, fh_rent_want *ret, fh_err **err)
{
    if (w->currency[0] && strcmp(w->currency, CURRENCY) != 0)
        return needs(err, "limits of machines that are rented are in " CURRENCY, "as --max-hour 2.50");
    if (!w->max_hour_micro && !w->limit_micro)
        return needs(err, "what may a rented machine cost? No limit of money was said", "as --max-hour 2.50, or --max-cost 20");
    ret->limit_s = w->limit_s ? w->limit_s : FH_LIMIT_RENT_HOURS * 3600LL;
    ret->filter.max_hour_micro = w->max_hour_micro ? w->max_hour_micro : w->limit_micro;
    __int128 both = (__int128)w->max_hour_micro * ret->limit_s / 3600;
    ret->limit_micro = w->limit_micro ? w->limit_micro : (int64_t)FH_MIN(both, (__int128)INT64_MAX);
    return 0;
}

/* Our own engine computes in the machine's memory, engines of others in that of its GPUs. */
static void take_memory(const fh_supply_want *w, fh_rent_filter *f)
{
    const fh_catalog_engine *e = fh_catalog_engine_find(fh_str_of(w->engine));
    if (e && !fh_catalog_engine_is_own(e))
        f->gpu_bytes = fh_plan_gpu_bytes_for(w->bytes);
    else
        f->ram_bytes = w->bytes;
}

int fh_rented_want(const fh_supply_want *w, fh_rent_want *ret, fh_err **err)
{
    take_memory(w, &ret->filter);
    snprintf(ret->offer, sizeof ret->offer, "%s", w->offer ? w->offer : "");
    snprintf(ret->offer_kind, sizeof ret->offer_kind, "%s", w->offer_kind ? w->offer_kind : "");
    return take_limits(w, ret, err);
}

static int want_of(const rented *r, const fh_supply_want *w, fh_rent_want *ret, fh_err **err)
{
    *ret = (fh_rent_want){.order = w->order, .look_s = LOOK_S, .image = r->image};
    if (!r->pool_url[0])
        return needs(err, "a rented machine cannot join: this server does not listen for machines",
                     "start it with --pool ADDRESS:PORT where they reach it");
    if (strcmp(r->profile.kind, "lambda") == 0 && !r->ssh_key[0])
        return needs(err, "Lambda opens a machine with an SSH key of the account, and none was named",
                     "add the provider with --set ssh-key=NAME");
    return fh_rented_want(w, ret, err);
}

static int check(void *ctx, const fh_supply_want *w, fh_err **err)
{
    const rented *r = ctx;
    fh_rent_want want;
    if (!r->renter) return fh_err_set(err, FH_E_UNAVAILABLE, "nothing can be rented of %s: %s", r->name, r->why);
    return want_of(r, w, &want, err);
}

static int rent(rented *r, const fh_supply_want *w, fh_err **err)
{
    fh_rent_want want;
    int64_t rental;
    int rc = check(r, w, err);
    if (!rc) rc = want_of(r, w, &want, err);
    if (rc) return rc;
    const fh_rented_start start = {r->pool_url, w->node, r->program_url};
    FH_AUTO(ptr) char *script = fh_rented_script(&start);
    want.run = script;
    return script ? fh_renter_ask(r->renter, &want, &rental, err) : fh_err_nomem(err);
}

static int order(void *ctx, const fh_supply_want *w, fh_err **err)
{
    rented *r = ctx;
    fh_rental_view before;
    FH_AUTO(fh_err) fh_err *none = NULL;
    int rc = fh_renter_of_order(r->db, account_of(r), w->order, fh_clock_utc_ns(), &before, &none);
    if (rc == FH_E_NOT_FOUND)
        rc = rent(r, w, err);
    else if (rc)
        fh_err_move(err, &none);
    wanted *known = rc ? NULL : note_wanted(r, w->order);
    if (known) snprintf(known->node, sizeof known->node, "%s", w->node);
    step_soon(r, 0);
    return rc || known ? rc : fh_err_nomem(err);
}

static void release(void *ctx, int64_t order, const char *why)
{
    rented *r = ctx;
    wanted *w = note_wanted(r, order);
    if (!w) return; /* out of memory: the fleet asks again when it is started */
    if (!w->release[0]) snprintf(w->release, sizeof w->release, "%s", why);
    step_soon(r, 0);
}

static void forget(void *ctx, int64_t order)
{
    wanted *w = find_wanted(ctx, order), **at = &((rented *)ctx)->first;
    if (!w) return;
    while (*at != w) at = &(*at)->next;
    *at = w->next;
    fh_free(w);
}

/* ---- what is seen ---- */

static void say_over(const fh_rental_view *v, fh_supply_view *ret)
{
    ret->state = FH_SUPPLY_OVER;
    ret->again = v->lost;
    snprintf(ret->says, sizeof ret->says, "%s", v->reason);
    if (!v->arrived) snprintf(ret->hint, sizeof ret->hint, "a higher --max-hour finds more; `freehold plan MODEL` shows what there is");
}

static void say_act(const rented *r, const fh_rent_act *a, fh_supply_view *ret)
{
    char price[32];
    snprintf(price, sizeof price, "%.2f", (double)a->hour_micro / 1e6);
    ret->hour_micro = a->hour_micro;
    if (a->phase == FH_RENT_BEGUN)
        snprintf(ret->says, sizeof ret->says, "asked %s for %s, at %s an hour", r->name, a->offer, price);
    else if (a->phase == FH_RENT_ENDING)
        snprintf(ret->says, sizeof ret->says, "machine %s is given back: %.100s", a->machine, a->reason);
    else if (a->running_utc_ns)
        snprintf(ret->says, sizeof ret->says, "machine %s runs and is to join, at %s an hour", a->machine, price);
    else
        snprintf(ret->says, sizeof ret->says, "machine %s is started, at %s an hour", a->machine, price);
    if (a->phase != FH_RENT_ENDING) snprintf(ret->note, sizeof ret->note, "%s", a->reason);
}

static void say_live(const rented *r, const fh_rental_view *v, fh_supply_view *ret)
{
    bool held = v->act && v->act->phase == FH_RENT_HELD && (v->act->running_utc_ns || v->arrived);
    ret->state = held ? FH_SUPPLY_HELD : FH_SUPPLY_WAITING;
    ret->ends_utc_ns = v->ends_utc_ns;
    if (v->act)
        say_act(r, v->act, ret);
    else
        snprintf(ret->says, sizeof ret->says, "an offer of %s within the limits is looked for%s%.60s", r->name,
                 v->reason[0] ? "; before: " : "", v->reason);
}

static void say_waiting(const char *says, const char *hint, fh_supply_view *ret)
{
    ret->state = FH_SUPPLY_WAITING;
    snprintf(ret->says, sizeof ret->says, "%s", says);
    snprintf(ret->hint, sizeof ret->hint, "%s", hint);
}

static void look(void *ctx, int64_t order, fh_supply_view *ret)
{
    const rented *r = ctx;
    fh_rental_view v;
    *ret = (fh_supply_view){.state = FH_SUPPLY_WAITING};
    int rc = fh_renter_of_order(r->db, account_of(r), order, fh_clock_utc_ns(), &v, NULL);
    bool live = !rc && !v.over && find_live(r, order, &v);
    if (rc == FH_E_NOT_FOUND) {
        *ret = (fh_supply_view){.state = FH_SUPPLY_OVER, .says = "nothing was rented for it", .again = true};
    } else if (rc)
        say_waiting("what was rented cannot be read of the database", "", ret);
    else if (v.over)
        say_over(&v, ret);
    else if (live)
        say_live(r, &v, ret);
    else if (r->renter)
        say_waiting("rented by a database of which this is a copy", "`freehold provider take-over` if this is the one that goes on", ret);
    else
        say_waiting(r->why, "its machines go on meanwhile", ret);
    if (!rc) ret->spent_micro = v.spent_micro;
    snprintf(ret->currency, sizeof ret->currency, CURRENCY);
}

/* ---- opening ---- */

static void close_rented(void *ctx)
{
    rented *r = ctx;
    if (!r) return;
    close_renter(r);
    fh_timer_free(r->timer);
    if (r->client) fh_http_client_free(r->client);
    fh_db_close(r->db);
    while (r->first) forget(r, r->first->order);
    fh_free(r);
}

static int bad_setting(fh_str name, const char *why, fh_err **err)
{
    fh_err_set(err, FH_E_INVALID, "setting '%.*s' %s", (int)FH_MIN(name.len, (size_t)40), name.ptr, why);
    fh_err_hint(
        err,
        "settings are image, ssh-key, program-url, server, infra and accelerators (skypilot), and in seconds lag, settle, start and bill");
    fh_err_param(err, "settings");
    return FH_E_INVALID;
}

static int take_seconds(fh_str name, fh_str value, int64_t *ret_ns, fh_err **err)
{
    uint64_t s = 0;
    if (!fh_str_u64(value, 86400, &s) || s == 0) return bad_setting(name, "must be a number of seconds from 1 to 86400", err);
    *ret_ns = (int64_t)s * FH_NS_PER_S;
    return 0;
}

static int take_word(fh_str name, fh_str value, char *out, size_t out_size, fh_err **err)
{
    if (!fh_rented_word_is_plain(value) || value.len >= out_size) return bad_setting(name, "must be one word without quotes", err);
    snprintf(out, out_size, "%.*s", (int)value.len, value.ptr);
    return 0;
}

static int take_setting(rented *r, fh_str name, fh_str value, fh_err **err)
{
    if (fh_str_eqs(name, "image")) return take_word(name, value, r->image, sizeof r->image, err);
    if (fh_str_eqs(name, "ssh-key")) return take_word(name, value, r->ssh_key, sizeof r->ssh_key, err);
    if (fh_str_eqs(name, "program-url")) return take_word(name, value, r->program_url, sizeof r->program_url, err);
    if (fh_str_eqs(name, "infra")) return take_word(name, value, r->infra, sizeof r->infra, err);
    if (fh_str_eqs(name, "accelerators")) return take_word(name, value, r->accelerators, sizeof r->accelerators, err);
    if (fh_str_eqs(name, "server")) return take_word(name, value, r->pool_url, sizeof r->pool_url, err);
    if (fh_str_eqs(name, "lag")) return take_seconds(name, value, &r->profile.lag_ns, err);
    if (fh_str_eqs(name, "settle")) return take_seconds(name, value, &r->profile.settle_ns, err);
    if (fh_str_eqs(name, "bill")) return take_seconds(name, value, &r->profile.bill_ns, err);
    if (fh_str_eqs(name, "start")) return take_seconds(name, value, &r->profile.start_ns, err);
    return bad_setting(name, "is not known", err);
}

static int take_settings(rented *r, const fh_json *settings, fh_err **err)
{
    const fh_json *value;
    void *it = NULL;
    fh_str name;
    int rc = 0;
    while (!rc && fh_json_next(settings, &it, &name, &value)) rc = take_setting(r, name, fh_json_str(value), err);
    return rc;
}

static int take_config(rented *r, const fh_supply_config *c, fh_err **err)
{
    const fh_rent_profile *p = fh_rent_profile_find(fh_str_of(c->kind));
    r->profile = *p;
    r->door = c->door;
    r->door.url = NULL;
    snprintf(r->name, sizeof r->name, "%s", c->name);
    snprintf(r->url, sizeof r->url, "%s", c->url);
    snprintf(r->key_file, sizeof r->key_file, "%s", c->key_file);
    snprintf(r->data_dir, sizeof r->data_dir, "%s", c->data_dir);
    if (!p->commands) snprintf(r->image, sizeof r->image, DEFAULT_IMAGE); /* clouds have systems of their own */
    snprintf(r->pool_url, sizeof r->pool_url, "%s", c->door.url);
    r->supply = (fh_supply){.name = r->name,
                            .kind = p->kind,
                            .ctx = r,
                            .check = check,
                            .order = order,
                            .look = look,
                            .release = release,
                            .forget = forget,
                            .close = close_rented};
    int rc = fh_path_join(r->witness, sizeof r->witness, c->data_dir, FH_INSTALLATION_WITNESS, err);
    if (!rc) rc = fh_path_join(r->tasks, sizeof r->tasks, c->data_dir, "skypilot", err);
    return rc ? rc : take_settings(r, c->settings, err);
}

int fh_rented_open(fh_supply **ret, fh_loop *loop, const fh_supply_config *c, fh_err **err)
{
    rented *r = fh_calloc(1, sizeof *r);
    if (!r) return fh_err_nomem(err);
    r->loop = loop;
    int rc = take_config(r, c, err);
    if (!rc) rc = fh_db_open(&r->db, c->store_url, err);
    if (!rc) rc = fh_http_client_new(&r->client, loop, err);
    if (!rc) rc = fh_timer_new(&r->timer, loop, step, r, err);
    if (rc) {
        close_rented(r);
        return rc;
    }
    try_open(r);
    step_soon(r, 0);
    *ret = &r->supply;
    return 0;
}
