/* Vast.ai (https://console.vast.ai). An offer ("ask") is one host's, with an id of its own; renting it makes a contract, which is the
 * machine. Offers that may be outbid are not taken. */
#include "call.h"

#include "base/clock.h"
#include <math.h>
#include <stdio.h>

enum { DISK_GB = 100, SEARCH = 4000 };

/* ---- offers ---- */

static void add_offer(const fh_json *v, rent_offers *out)
{
    int64_t price = fh_rent_micro(fh_json_get(v, "dph_total"));
    double reliability = fh_json_num(fh_json_get(v, "reliability"), 0), down = fh_json_num(fh_json_get(v, "inet_down"), 0);
    double cores = fh_json_num(fh_json_get(v, "cpu_cores_effective"), 0);
    int64_t gpus = fh_json_int(fh_json_get(v, "num_gpus"), 0);
    fh_rent_offer *o = price && gpus > 0 && gpus <= 64 ? fh_rent_offers_add(out) : NULL;
    if (!o) return;
    fh_rent_text(o->id, sizeof o->id, fh_json_get(v, "id"));
    fh_rent_text(o->gpu, sizeof o->gpu, fh_json_get(v, "gpu_name"));
    fh_rent_text(o->region, sizeof o->region, fh_json_get(v, "geolocation"));
    o->gpus = (uint32_t)gpus;
    o->gpu_memory_bytes = fh_rent_gb(fh_json_get(v, "gpu_ram"), 1 << 20);
    o->ram_bytes = fh_rent_gb(fh_json_get(v, "cpu_ram"), 1 << 20);
    o->disk_bytes = fh_rent_gb(fh_json_get(v, "disk_space"), 1000000000);
    fh_rent_device_of(o->gpu, o->gpu_memory_bytes, o->device);
    o->hour_micro = price;
    o->cpus = cores > 0 && cores < 1e6 ? (uint32_t)cores : 0;
    o->down_mbit_s = down > 0 && down < 1e9 ? (uint32_t)down : 0;
    o->reliability_permille = reliability > 0 && reliability <= 1 ? (uint16_t)lround(reliability * 1000) : 0;
    if (!o->id[0]) out->count--;
}

static int read_offers(const fh_json *doc, rent_offers *out, fh_err **err)
{
    const fh_json *rows = fh_json_get(doc, "offers");
    if (fh_json_kind_of(rows) != FH_JSON_ARRAY) return fh_err_set(err, FH_E_UPSTREAM, "Vast.ai's search answers without a list 'offers'");
    for (size_t i = 0; i < fh_json_count(rows); i++) add_offer(fh_json_at(rows, i), out);
    return 0;
}

static fh_json *operator(const char *name, fh_json *value)
{
    fh_json *o = fh_json_new_object();
    fh_json_set(o, name, value);
    return o;
}

static fh_json *search_body(const fh_rent_filter *f)
{
    fh_json *body = fh_json_new_object(), *order = fh_json_new_array(), *by = fh_json_new_array();
    fh_json_append(by, fh_json_new_cstr("dph_total"));
    fh_json_append(by, fh_json_new_cstr("asc"));
    fh_json_append(order, by);
    fh_json_set(body, "limit", fh_json_new_int(SEARCH));
    fh_json_set(body, "type", fh_json_new_cstr("ondemand"));
    fh_json_set(body, "order", order);
    fh_json_set(body, "rentable", operator("eq", fh_json_new_bool(true)));
    fh_json_set(body, "verified", operator("eq", fh_json_new_bool(true)));
    if (f->gpus) fh_json_set(body, "num_gpus", operator("eq", fh_json_new_int(f->gpus)));
    if (f->max_hour_micro) fh_json_set(body, "dph_total", operator("lte", fh_json_new_real((double)f->max_hour_micro / MICRO)));
    return body;
}

static int offers(void *ctx, const fh_rent_filter *f, fh_rent_offers_fn *done, void *arg, fh_err **err)
{
    rent_question q = {.method = "POST",
                       .path = "/api/v0/bundles/",
                       .body = search_body(f),
                       .answered = fh_rent_tell_offers,
                       .done = {.offers = done},
                       .arg = arg};
    return q.body ? fh_rent_ask(ctx, &q, err) : fh_err_nomem(err);
}

/* ---- machines ---- */

static fh_rent_status status_of(fh_str s)
{
    if (fh_str_eqs(s, "running")) return FH_RENT_RUNNING;
    return fh_str_eqs(s, "exited") || fh_str_eqs(s, "offline") ? FH_RENT_BROKEN : FH_RENT_PROVISIONING;
}

static void read_instance(const fh_json *v, fh_rent_machine *m)
{
    fh_rent_text(m->id, sizeof m->id, fh_json_get(v, "id"));
    fh_rent_text(m->tag, sizeof m->tag, fh_json_get(v, "label"));
    fh_rent_text(m->address, sizeof m->address, fh_json_get(v, "public_ipaddr"));
    m->status = status_of(fh_json_str(fh_json_get(v, "actual_status")));
    m->hour_micro = fh_rent_micro(fh_json_get(v, "dph_total"));
    m->started_utc_ns = fh_rent_utc(fh_json_get(v, "start_date"));
}

static int list(void *ctx, fh_rent_list_fn *done, void *arg, fh_err **err)
{
    rent_question q = {.method = "GET", .path = "/api/v1/instances/", .answered = fh_rent_tell_list, .done = {.list = done}, .arg = arg};
    return fh_rent_ask(ctx, &q, err);
}

/* ---- renting ---- */

static void rent_answered(const rent_answer *a)
{
    fh_rent_machine m = {.id = ""};
    fh_rent_reply reply = fh_rent_reply_of(a->status);
    if (reply == FH_RENT_DONE && fh_json_is_true(fh_json_get(a->doc, "success")))
        fh_rent_text(m.id, sizeof m.id, fh_json_get(a->doc, "new_contract"));
    if (reply == FH_RENT_DONE && !m.id[0]) reply = FH_RENT_UNSURE;
    if (reply == FH_RENT_GONE) reply = FH_RENT_REFUSED; /* no_such_ask: somebody else was faster */
    a->done.rented(a->arg, reply, reply == FH_RENT_DONE ? &m : NULL, a->why);
}

static fh_json *rent_body(const fh_rent_spec *s)
{
    FH_AUTO(json) fh_json *body = fh_json_new_object();
    fh_json *env = fh_json_new_object();
    bool good = env != NULL;
    for (size_t i = 0; i < s->env_count; i++) good = good && fh_json_set(env, s->env[i].name, fh_json_new_cstr(s->env[i].value));
    good = fh_json_set(body, "env", env) && good;
    good = good && fh_json_set(body, "image", fh_json_new_cstr(s->image)) && fh_json_set(body, "label", fh_json_new_cstr(s->tag));
    good = good && fh_json_set(body, "disk", fh_json_new_int(DISK_GB)) && fh_json_set(body, "runtype", fh_json_new_cstr("ssh"));
    good =
        good && fh_json_set(body, "onstart", fh_json_new_cstr(s->onstart)) && fh_json_set(body, "cancel_unavail", fh_json_new_bool(true));
    return good ? fh_take(body) : NULL;
}

static int rent(void *ctx, const fh_rent_spec *s, fh_rent_rented_fn *done, void *arg, fh_err **err)
{
    char path[96];
    snprintf(path, sizeof path, "/api/v0/asks/%s/", s->offer->id);
    rent_question q = {
        .method = "PUT", .path = path, .body = rent_body(s), .answered = rent_answered, .done = {.rented = done}, .arg = arg};
    return q.body ? fh_rent_ask(ctx, &q, err) : fh_err_nomem(err);
}

static int end(void *ctx, const char *machine, fh_rent_ended_fn *done, void *arg, fh_err **err)
{
    char path[96];
    snprintf(path, sizeof path, "/api/v0/instances/%s/", machine);
    rent_question q = {.method = "DELETE", .path = path, .answered = fh_rent_tell_ended, .done = {.ended = done}, .arg = arg};
    return fh_rent_ask(ctx, &q, err);
}

/* ---- what was charged ---- */

#define DAY_S 86400

static int read_charged(const fh_json *doc, const char *machine, int64_t *ret_micro, fh_err **err)
{
    const fh_json *rows = fh_json_get(doc, "results");
    char source[FH_RENT_ID_CHARS + 16];
    bool found = false;
    int64_t micro = 0;
    if (fh_json_kind_of(rows) != FH_JSON_ARRAY) return fh_err_set(err, FH_E_UPSTREAM, "Vast.ai's charges have no list 'results'");
    if (fh_json_kind_of(fh_json_get(doc, "next_token")) != FH_JSON_NULL)
        return fh_err_set(err, FH_E_UPSTREAM, "Vast.ai's charges have more pages than are known how to read");
    snprintf(source, sizeof source, "instance-%s", machine);
    for (size_t i = 0; i < fh_json_count(rows); i++) {
        const fh_json *row = fh_json_at(rows, i);
        if (!fh_str_eqs(fh_json_str(fh_json_get(row, "source")), source)) continue;
        found = true;
        micro += fh_rent_micro(fh_json_get(row, "amount"));
    }
    if (!found) return fh_err_set(err, FH_E_NOT_FOUND, "Vast.ai says nothing of what it charged for machine %s", machine);
    *ret_micro = micro;
    return 0;
}

/* The filter is JSON in the query; days are told whole. */
static int bill(void *ctx, const char *machine, int64_t from_utc_ns, int64_t to_utc_ns, fh_rent_billed_fn *done, void *arg, fh_err **err)
{
    char path[256];
    long long from = from_utc_ns / FH_NS_PER_S - DAY_S, to = to_utc_ns / FH_NS_PER_S + DAY_S;
    snprintf(path, sizeof path,
             "/api/v0/charges/?limit=500&select_filters=%%7B%%22day%%22%%3A%%7B%%22gte%%22%%3A%lld%%2C%%22lte%%22%%3A%lld%%7D%%7D", from,
             to);
    return fh_rent_ask_charged(ctx, path, machine, done, arg, err);
}

static void fill(fh_rental *ret)
{
    ret->bill = bill;
    ret->offers = offers;
    ret->rent = rent;
    ret->list = list;
    ret->end = end;
}

const rent_adapter fh_rent_vast = {.kind = "vast",
                                   .read_offers = read_offers,
                                   .machines = "instances",
                                   .read_machine = read_instance,
                                   .read_charged = read_charged,
                                   .fill = fill};
