/* What was rented of accounts, with each try and its bill, as it is written; and taking over what a former epoch of the database rented.
 * Read of the server's own connection: what the renters have in memory beyond it is until when machines were seen. */
#include "base/clock.h"
#include "providers.h"
#include "rent/renter.h"
#include "server_private.h"
#include "supplies.h"

typedef struct telling {
    fh_server *server;
    const char *provider;
    int64_t now_utc_ns;
    fh_json *items, *acts;
    fh_err *err;
} telling;

static fh_json *known(bool is, int64_t n)
{
    return is ? fh_json_new_int(n) : fh_json_new_null();
}

static void add_act(void *arg, const fh_rent_act *a)
{
    telling *t = arg;
    char text[300];
    fh_rent_bill b = fh_rent_bill_of(a, t->now_utc_ns);
    fh_rent_bill_text(a, &b, text, sizeof text);
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "id", fh_json_new_int(a->id));
    fh_json_set(o, "phase", fh_json_new_cstr(fh_rent_phase_name(a->phase)));
    fh_json_set(o, "offer", fh_json_new_cstr(a->offer));
    fh_json_set(o, "machine", fh_json_new_cstr(a->machine[0] ? a->machine : NULL));
    fh_json_set(o, "reason", fh_json_new_cstr(a->reason[0] ? a->reason : NULL));
    fh_json_set(o, "asked", api_time(a->asked_utc_ns));
    fh_json_set(o, "running", api_time(a->running_utc_ns));
    fh_json_set(o, "gone", api_time(a->gone_utc_ns));
    fh_json_set(o, "hour_micro", fh_json_new_int(a->hour_micro));
    fh_json_set(o, "least_s", fh_json_new_int(b.least_s));
    fh_json_set(o, "most_s", fh_json_new_int(b.most_s));
    fh_json_set(o, "amount_micro", fh_json_new_int(b.amount_micro));
    fh_json_set(o, "start_micro", fh_json_new_int(b.start_micro));
    fh_json_set(o, "charged_micro", known(b.charged, a->charged_micro));
    fh_json_set(o, "bill", fh_json_new_cstr(text));
    fh_json_append(t->acts, o);
}

static const char *state_of(const fh_rental_view *v)
{
    if (v->over) return "over";
    if (v->former) return "former";
    return v->wanted ? "wanted" : "ending";
}

static fh_json *rental_json(telling *t, const fh_rental_view *v)
{
    fh_json *o = fh_json_new_object();
    t->acts = fh_json_new_array();
    fh_err *err = NULL;
    if (fh_renter_acts(t->server->db, t->provider, v->id, add_act, t, &err)) {
        fh_err_free(t->err);
        t->err = err;
    }
    fh_json_set(o, "id", fh_json_new_int(v->id));
    fh_json_set(o, "provider", fh_json_new_cstr(t->provider));
    fh_json_set(o, "order", known(v->order != 0, v->order));
    fh_json_set(o, "state", fh_json_new_cstr(state_of(v)));
    fh_json_set(o, "joined", fh_json_new_bool(v->arrived));
    fh_json_set(o, "reason", fh_json_new_cstr(v->reason[0] ? v->reason : NULL));
    fh_json_set(o, "asked", api_time(v->asked_utc_ns));
    fh_json_set(o, "limit_s", fh_json_new_int(v->limit_s));
    fh_json_set(o, "limit_micro", fh_json_new_int(v->limit_micro));
    fh_json_set(o, "max_hour_micro", fh_json_new_int(v->max_hour_micro));
    fh_json_set(o, "spent_micro", fh_json_new_int(v->spent_micro));
    fh_json_set(o, "currency", fh_json_new_cstr("USD"));
    fh_json_set(o, "acts", t->acts);
    return o;
}

static void add_rental(void *arg, const fh_rental_view *v)
{
    telling *t = arg;
    fh_json_append(t->items, rental_json(t, v));
}

/* Machines that nothing accounted for: acts of no rental. */
static void add_strays(telling *t)
{
    FH_AUTO(json) fh_json *o = rental_json(t, &(fh_rental_view){.over = true, .reason = "machines that nothing accounted for"});
    if (fh_json_count(fh_json_get(o, "acts"))) fh_json_append(t->items, fh_take(o));
}

static void add_account(telling *t, const fh_provider *p)
{
    t->provider = p->name;
    if (!t->err && p->rents) (void)fh_renter_rentals(t->server->db, p->name, t->now_utc_ns, add_rental, t, &t->err);
    if (!t->err && p->rents) add_strays(t);
}

void api_rentals_list(api_call *c)
{
    fh_providers *all = c->server->providers;
    telling t = {.server = c->server, .now_utc_ns = fh_clock_utc_ns(), .items = fh_json_new_array()};
    for (size_t i = 0; i < fh_providers_count(all); i++) add_account(&t, fh_providers_at(all, i));
    if (!t.err) {
        api_reply(c, 200, api_list(t.items, fh_json_new_null()));
        return;
    }
    fh_json_unref(t.items);
    api_reply_error(c, t.err);
}

/* Its renters see that by themselves, and go on with what they find. */
void api_rentals_take_over(api_call *c)
{
    fh_err *err = NULL;
    int64_t before = 0, after = 0;
    int rc = fh_rent_epochs_count(c->server->db, &before, &err);
    if (!rc) rc = fh_rent_take_over(c->server->db, &err);
    if (!rc) rc = fh_rent_epochs_count(c->server->db, &after, &err);
    if (!rc) fh_server_supplies_take_over(c->server);
    if (rc) {
        api_reply_error(c, err);
        return;
    }
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "taken_over", fh_json_new_int(after - before));
    api_reply(c, 200, o);
}
