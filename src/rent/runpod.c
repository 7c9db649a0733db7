/* RunPod, REST v2 (https://api.runpod.io/v2, generally available since 2026-08-18). An offer is a GPU type at a count in one of its two
 * clouds; it has no id of its own, so ours is TYPE|CLOUD|COUNT. */
#include "call.h"

#include "base/clock.h"
#include <inttypes.h>
#include <stdio.h>

#define DAY_NS (86400 * FH_NS_PER_S)

enum { DISK_GB = 100, COUNTS = 4, MONTH_H = 720, DISK_MONTH_CENTS = 10 }; /* a container's disk costs that a GB and month while it runs */

/* Prices, and what a pod says of its cost, are taken to be its GPUs' alone: its disk comes on top of them. */
static int64_t with_disk(int64_t hour_micro)
{
    return hour_micro ? hour_micro + (int64_t)DISK_GB * DISK_MONTH_CENTS * (MICRO / 100) / MONTH_H + 1 : 0;
}

/* ---- offers ---- */

static void add_offer(const fh_json *gpu, const char *cloud, const char *cloud_key, uint32_t count, rent_offers *out)
{
    int64_t each = fh_rent_micro(fh_json_get(fh_json_get(gpu, "price"), cloud_key));
    fh_rent_offer *o = each ? fh_rent_offers_add(out) : NULL;
    if (!o) return;
    fh_rent_text(o->gpu, sizeof o->gpu, fh_json_get(gpu, "id"));
    o->gpu_memory_bytes = fh_rent_gb(fh_json_get(gpu, "memory"), 1000000000);
    fh_rent_device_of(o->gpu, o->gpu_memory_bytes, o->device);
    o->gpus = count;
    o->hour_micro = with_disk(each * count);
    snprintf(o->id, sizeof o->id, "%s|%s|%u", o->gpu, cloud, count);
}

static int read_offers(const fh_json *doc, rent_offers *out, fh_err **err)
{
    static const char *const clouds[][2] = {{"SECURE", "secure"}, {"COMMUNITY", "community"}};
    const fh_json *gpus = fh_json_get(doc, "gpus");
    if (fh_json_kind_of(gpus) != FH_JSON_ARRAY) return fh_err_set(err, FH_E_UPSTREAM, "RunPod's catalogue has no list 'gpus'");
    for (size_t i = 0; i < fh_json_count(gpus); i++) {
        const fh_json *gpu = fh_json_at(gpus, i);
        if (fh_str_eqs(fh_json_str(fh_json_get(gpu, "availability")), "NONE")) continue;
        for (size_t c = 0; c < FH_COUNT(clouds); c++) {
            int64_t most = fh_json_int(fh_json_get(fh_json_get(gpu, "maxCount"), clouds[c][1]), 0);
            for (uint32_t n = 1; n <= 1U << (COUNTS - 1) && n <= most; n *= 2) add_offer(gpu, clouds[c][0], clouds[c][1], n, out);
        }
    }
    return 0;
}

static int offers(void *ctx, const fh_rent_filter *f, fh_rent_offers_fn *done, void *arg, fh_err **err)
{
    rent_question q = {.method = "GET",
                       .path = "/catalog/gpus?include=AVAILABILITY&product=POD",
                       .answered = fh_rent_tell_offers,
                       .done = {.offers = done},
                       .arg = arg};
    (void)f; /* the whole catalogue is one short answer */
    return fh_rent_ask(ctx, &q, err);
}

/* ---- machines ---- */

static fh_rent_status status_of(fh_str s)
{
    if (fh_str_eqs(s, "RUNNING")) return FH_RENT_RUNNING;
    if (fh_str_eqs(s, "TERMINATED")) return FH_RENT_ENDED;
    return fh_str_eqs(s, "EXITED") || fh_str_eqs(s, "ERROR") ? FH_RENT_BROKEN : FH_RENT_PROVISIONING;
}

static void read_pod(const fh_json *v, fh_rent_machine *m)
{
    fh_rent_text(m->id, sizeof m->id, fh_json_get(v, "id"));
    fh_rent_text(m->tag, sizeof m->tag, fh_json_get(v, "name"));
    fh_rent_text(m->address, sizeof m->address, fh_json_get(fh_json_get(fh_json_get(v, "ssh"), "direct"), "host"));
    m->status = status_of(fh_json_str(fh_json_get(v, "status")));
    m->hour_micro = with_disk(fh_rent_micro(fh_json_get(v, "cost")));
    m->started_utc_ns = fh_rent_utc(fh_json_get(v, "startedAt"));
}

static int list(void *ctx, fh_rent_list_fn *done, void *arg, fh_err **err)
{
    rent_question q = {.method = "GET", .path = "/pods", .answered = fh_rent_tell_list, .done = {.list = done}, .arg = arg};
    return fh_rent_ask(ctx, &q, err);
}

/* ---- renting ---- */

static void rent_answered(const rent_answer *a)
{
    fh_rent_machine m = {.id = ""};
    fh_rent_reply reply = fh_rent_reply_of(a->status);
    if (reply == FH_RENT_DONE) read_pod(a->doc, &m);
    if (reply == FH_RENT_DONE && !m.id[0]) reply = FH_RENT_UNSURE;
    a->done.rented(a->arg, reply == FH_RENT_GONE ? FH_RENT_REFUSED : reply, reply == FH_RENT_DONE ? &m : NULL, a->why);
}

/* As the argument of `bash -c`: a quote ends the quoted text, stands escaped, and begins it again. */
static fh_json *quoted_script(const char *script)
{
    FH_AUTO(buf) fh_buf b = FH_BUF(FH_LIMIT_CONTROL_BODY_BYTES);
    fh_buf_adds(&b, "bash -c '");
    for (const char *p = script; *p; p++) {
        if (*p == '\'')
            fh_buf_adds(&b, "'\\''");
        else
            fh_buf_addc(&b, *p);
    }
    fh_buf_addc(&b, '\'');
    return fh_buf_ok(&b) ? fh_json_new_cstr(fh_buf_cstr(&b)) : NULL;
}

static bool set_gpu(fh_json *body, const fh_rent_offer *o)
{
    const char *cloud = strchr(o->id, '|');
    fh_json *gpu = fh_json_new_object();
    if (!cloud || !gpu) {
        fh_json_unref(gpu);
        return false;
    }
    const char *end = strchr(cloud + 1, '|');
    fh_json_set(gpu, "id", fh_json_new_str((fh_str){o->id, (size_t)(cloud - o->id)}));
    fh_json_set(gpu, "count", fh_json_new_int(o->gpus));
    size_t len = end ? (size_t)(end - cloud - 1) : strlen(cloud + 1);
    return fh_json_set(body, "gpu", gpu) && fh_json_set(body, "cloud", fh_json_new_str((fh_str){cloud + 1, len}));
}

static fh_json *rent_body(const fh_rent_spec *s)
{
    FH_AUTO(json) fh_json *body = fh_json_new_object();
    fh_json *env = fh_json_new_object();
    bool good = env != NULL;
    for (size_t i = 0; i < s->env_count; i++) good = good && fh_json_set(env, s->env[i].name, fh_json_new_cstr(s->env[i].value));
    good = fh_json_set(body, "env", env) && good;
    good = good && fh_json_set(body, "name", fh_json_new_cstr(s->tag)) && fh_json_set(body, "image", fh_json_new_cstr(s->image));
    good = good && set_gpu(body, s->offer) && fh_json_set(body, "disk", fh_json_new_int(DISK_GB));
    good = good && fh_json_set(body, "args", quoted_script(s->onstart));
    return good ? fh_take(body) : NULL;
}

static int rent(void *ctx, const fh_rent_spec *s, fh_rent_rented_fn *done, void *arg, fh_err **err)
{
    rent_question q = {
        .method = "POST", .path = "/pods", .body = rent_body(s), .answered = rent_answered, .done = {.rented = done}, .arg = arg};
    return q.body ? fh_rent_ask(ctx, &q, err) : fh_err_nomem(err);
}

static int end(void *ctx, const char *machine, fh_rent_ended_fn *done, void *arg, fh_err **err)
{
    char path[96];
    snprintf(path, sizeof path, "/pods/%s", machine);
    rent_question q = {.method = "DELETE", .path = path, .answered = fh_rent_tell_ended, .done = {.ended = done}, .arg = arg};
    return fh_rent_ask(ctx, &q, err);
}

/* ---- what was charged ---- */

/* A record a day; each has what its GPUs and its disk cost, and both together. */
static int read_charged(const fh_json *doc, const char *machine, int64_t *ret_micro, fh_err **err)
{
    const fh_json *rows = fh_json_get(doc, "records");
    bool found = false;
    int64_t micro = 0;
    if (fh_json_kind_of(rows) != FH_JSON_ARRAY) return fh_err_set(err, FH_E_UPSTREAM, "RunPod's bill has no list 'records'");
    for (size_t i = 0; i < fh_json_count(rows); i++) {
        const fh_json *row = fh_json_at(rows, i);
        if (!fh_str_eqs(fh_json_str(fh_json_get(row, "podId")), machine)) continue;
        found = true;
        micro += fh_rent_micro(fh_json_get(row, "totalAmount"));
    }
    if (!found) return fh_err_set(err, FH_E_NOT_FOUND, "RunPod says nothing of what it charged for machine %s", machine);
    *ret_micro = micro;
    return 0;
}

/* Days are told whole; both ends must be said. */
static int bill(void *ctx, const char *machine, int64_t from_utc_ns, int64_t to_utc_ns, fh_rent_billed_fn *done, void *arg, fh_err **err)
{
    char path[256], from[32], to[32];
    fh_clock_format_utc(from_utc_ns - from_utc_ns % DAY_NS, from, sizeof from);
    fh_clock_format_utc(to_utc_ns - to_utc_ns % DAY_NS + DAY_NS, to, sizeof to);
    snprintf(path, sizeof path, "/billing/pods?podId=%s&bucketSize=day&startTime=%s&endTime=%s", machine, from, to);
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

const rent_adapter fh_rent_runpod = {
    .kind = "runpod", .read_offers = read_offers, .machines = "pods", .read_machine = read_pod, .read_charged = read_charged, .fill = fill};
