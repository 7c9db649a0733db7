/* Lambda Cloud (https://cloud.lambda.ai/api/v1). An offer is a type of instance in a region that has capacity for it; ours is TYPE|REGION.
 * Its machines run what is sent as cloud-init's user data. They cannot end themselves without the account's key. */
#include "call.h"

#include <stdio.h>

/* ---- offers ---- */

/* "gpu_8x_h100_sxm5": what stands behind its count; "" when it is none of that form. */
static const char *device_part(const char *name)
{
    const char *x = strstr(name, "x_");
    return strncmp(name, "gpu_", 4) == 0 && x ? x + 2 : "";
}

static uint32_t gpus_of(const char *name, const fh_json *specs)
{
    uint64_t n = 0;
    int64_t said = fh_json_int(fh_json_get(specs, "gpus"), 0);
    if (said > 0 && said <= 64) return (uint32_t)said;
    const char *part = device_part(name);
    return part[0] && fh_str_u64((fh_str){name + 4, (size_t)(part - name) - 6}, 64, &n) ? (uint32_t)n : 0;
}

static void add_offer(const fh_json *type, const fh_json *region, rent_offers *out)
{
    const fh_json *specs = fh_json_get(type, "specs");
    int64_t cents = fh_json_int(fh_json_get(type, "price_cents_per_hour"), 0);
    char name[48];
    fh_rent_text(name, sizeof name, fh_json_get(type, "name"));
    uint32_t gpus = gpus_of(name, specs);
    fh_rent_offer *o = cents > 0 && cents <= 100000000 && gpus ? fh_rent_offers_add(out) : NULL;
    if (!o) return;
    fh_rent_text(o->region, sizeof o->region, fh_json_get(region, "name"));
    fh_rent_text(o->gpu, sizeof o->gpu, fh_json_get(type, "gpu_description"));
    snprintf(o->id, sizeof o->id, "%s|%.15s", name, o->region);
    if (!o->gpu[0]) snprintf(o->gpu, sizeof o->gpu, "%s", name);
    fh_rent_device_of(device_part(name), 0, o->device);
    o->gpu_memory_bytes = fh_rent_device_bytes(o->device);
    o->gpus = gpus;
    o->cpus = (uint32_t)FH_MIN(FH_MAX(fh_json_int(fh_json_get(specs, "vcpus"), 0), 0), 100000);
    o->ram_bytes = fh_rent_gb(fh_json_get(specs, "memory_gib"), 1 << 30);
    o->disk_bytes = fh_rent_gb(fh_json_get(specs, "storage_gib"), 1 << 30);
    o->hour_micro = cents * (MICRO / 100);
}

static int read_offers(const fh_json *doc, rent_offers *out, fh_err **err)
{
    const fh_json *types = fh_json_get(doc, "data"), *v;
    void *it = NULL;
    fh_str key;
    if (fh_json_kind_of(types) != FH_JSON_OBJECT) return fh_err_set(err, FH_E_UPSTREAM, "Lambda's instance types have no 'data'");
    while (fh_json_next(types, &it, &key, &v)) {
        const fh_json *regions = fh_json_get(v, "regions_with_capacity_available");
        for (size_t i = 0; i < fh_json_count(regions); i++) add_offer(fh_json_get(v, "instance_type"), fh_json_at(regions, i), out);
    }
    return 0;
}

static int offers(void *ctx, const fh_rent_filter *f, fh_rent_offers_fn *done, void *arg, fh_err **err)
{
    rent_question q = {
        .method = "GET", .path = "/api/v1/instance-types", .answered = fh_rent_tell_offers, .done = {.offers = done}, .arg = arg};
    (void)f;
    return fh_rent_ask(ctx, &q, err);
}

/* ---- machines ---- */

static fh_rent_status status_of(fh_str s)
{
    if (fh_str_eqs(s, "active")) return FH_RENT_RUNNING;
    if (fh_str_eqs(s, "terminated")) return FH_RENT_ENDED;
    return fh_str_eqs(s, "unhealthy") ? FH_RENT_BROKEN : FH_RENT_PROVISIONING;
}

static void read_instance(const fh_json *v, fh_rent_machine *m)
{
    int64_t cents = fh_json_int(fh_json_get(fh_json_get(v, "instance_type"), "price_cents_per_hour"), 0);
    fh_rent_text(m->id, sizeof m->id, fh_json_get(v, "id"));
    fh_rent_text(m->tag, sizeof m->tag, fh_json_get(v, "name"));
    fh_rent_text(m->address, sizeof m->address, fh_json_get(v, "ip"));
    m->status = status_of(fh_json_str(fh_json_get(v, "status")));
    m->hour_micro = cents > 0 && cents <= 100000000 ? cents * (MICRO / 100) : 0;
}

static int list(void *ctx, fh_rent_list_fn *done, void *arg, fh_err **err)
{
    rent_question q = {.method = "GET", .path = "/api/v1/instances", .answered = fh_rent_tell_list, .done = {.list = done}, .arg = arg};
    return fh_rent_ask(ctx, &q, err);
}

/* ---- renting ---- */

static void rent_answered(const rent_answer *a)
{
    fh_rent_machine m = {.id = ""};
    fh_rent_reply reply = fh_rent_reply_of(a->status);
    const fh_json *ids = fh_json_get(fh_json_get(a->doc, "data"), "instance_ids");
    if (reply == FH_RENT_DONE) fh_rent_text(m.id, sizeof m.id, fh_json_at(ids, 0));
    if (reply == FH_RENT_DONE && !m.id[0]) reply = FH_RENT_UNSURE;
    a->done.rented(a->arg, reply == FH_RENT_GONE ? FH_RENT_REFUSED : reply, reply == FH_RENT_DONE ? &m : NULL, a->why);
}

/* What is asked for by environment variables is told in the script: cloud-init knows none. */
static fh_json *user_data(const fh_rent_spec *s)
{
    FH_AUTO(buf) fh_buf b = FH_BUF(FH_LIMIT_CONTROL_BODY_BYTES);
    fh_buf_adds(&b, "#!/bin/bash\n");
    for (size_t i = 0; i < s->env_count; i++) {
        fh_buf_addf(&b, "export %s='", s->env[i].name);
        for (const char *p = s->env[i].value; *p; p++)
            if (*p == '\'')
                fh_buf_adds(&b, "'\\''");
            else
                fh_buf_addc(&b, *p);
        fh_buf_adds(&b, "'\n");
    }
    fh_buf_adds(&b, s->onstart);
    return fh_buf_ok(&b) ? fh_json_new_cstr(fh_buf_cstr(&b)) : NULL;
}

static fh_json *launch_body(const rent_account *a, const fh_rent_spec *s)
{
    FH_AUTO(json) fh_json *body = fh_json_new_object();
    fh_json *keys = fh_json_new_array();
    fh_str id = fh_str_of(s->offer->id);
    size_t bar = fh_str_find(id, FH_STR("|"));
    bool good = fh_json_append(keys, fh_json_new_cstr(a->ssh_key));
    good = fh_json_set(body, "ssh_key_names", keys) && good;
    good = good && fh_json_set(body, "region_name", fh_json_new_cstr(s->offer->region));
    good = good && fh_json_set(body, "instance_type_name", fh_json_new_str((fh_str){id.ptr, bar}));
    good = good && fh_json_set(body, "quantity", fh_json_new_int(1)) && fh_json_set(body, "name", fh_json_new_cstr(s->tag));
    good = good && fh_json_set(body, "user_data", user_data(s));
    return good ? fh_take(body) : NULL;
}

static int rent(void *ctx, const fh_rent_spec *s, fh_rent_rented_fn *done, void *arg, fh_err **err)
{
    rent_question q = {.method = "POST",
                       .path = "/api/v1/instance-operations/launch",
                       .body = launch_body(ctx, s),
                       .answered = rent_answered,
                       .done = {.rented = done},
                       .arg = arg};
    return q.body ? fh_rent_ask(ctx, &q, err) : fh_err_nomem(err);
}

static int end(void *ctx, const char *machine, fh_rent_ended_fn *done, void *arg, fh_err **err)
{
    fh_json *body = fh_json_new_object(), *ids = fh_json_new_array();
    fh_json_append(ids, fh_json_new_cstr(machine));
    if (!fh_json_set(body, "instance_ids", ids) || fh_json_count(fh_json_get(body, "instance_ids")) != 1) {
        fh_json_unref(body);
        return fh_err_nomem(err);
    }
    rent_question q = {.method = "POST",
                       .path = "/api/v1/instance-operations/terminate",
                       .body = body,
                       .answered = fh_rent_tell_ended,
                       .done = {.ended = done},
                       .arg = arg};
    return fh_rent_ask(ctx, &q, err);
}

static void fill(fh_rental *ret)
{
    ret->offers = offers;
    ret->rent = rent;
    ret->list = list;
    ret->end = end;
}

const rent_adapter fh_rent_lambda = {
    .kind = "lambda", .read_offers = read_offers, .machines = "data", .read_machine = read_instance, .fill = fill};
