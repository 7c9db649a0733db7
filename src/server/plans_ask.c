/* A request for plans, read: the model, the wishes, this machine and the offers. */
#include "base/limits.h"
#include "base/mem.h"
#include "plans.h"
#include "sys/cpu.h"

#include <stdio.h>
#include <string.h>

#define GIGA 1e9
#define TERA 1e12
#define MOST 64 /* devices of a machine, and machines of an offer */
#define HERE 0  /* the first host and offer */

void plan_ask_free(plan_ask *a)
{
    if (!a) return;
    fh_free(a->hosts);
    fh_free(a->offers);
    fh_free(a);
}

const char *plan_ask_place(const plan_ask *a, uint32_t offer)
{
    return offer == HERE ? "here" : fh_json_str(fh_json_get(fh_json_at(a->list, offer - 1), "place")).ptr;
}

bool plan_host_can(const fh_catalog_machine *m)
{
    static const char *const kinds[] = {"gpu", "superchip", "apu", "workstation"};
    for (size_t i = 0; i < FH_COUNT(kinds); i++)
        if (strcmp(m->kind, kinds[i]) == 0) return m->memory_bandwidth_gbs > 0;
    return false;
}

bool plan_host_joins(const fh_catalog_machine *m)
{
    return strcmp(m->kind, "gpu") == 0 || strcmp(m->kind, "superchip") == 0;
}

fh_plan_host plan_host_of(const fh_catalog_machine *m, uint32_t devices, uint32_t machines)
{
    bool shared = strcmp(m->kind, "apu") == 0; /* memory of the computer's own, and no engine that shares layers */
    return (fh_plan_host){.name = m->name,
                          .devices = devices,
                          .machines = machines,
                          .opens = shared ? FH_PLAN_GGUF : FH_PLAN_GGUF | FH_PLAN_TENSORS,
                          .cpu = shared,
                          .memory_bytes = (uint64_t)((m->memory_usable_gb > 0 ? m->memory_usable_gb : m->memory_gb) * GIGA),
                          .bandwidth_bytes = (uint64_t)(m->memory_bandwidth_gbs * GIGA),
                          .ops_16bit = (uint64_t)(m->bf16_tflops * TERA),
                          .ops_8bit = (uint64_t)(m->fp8_tflops * TERA),
                          .ops_4bit = (uint64_t)(m->fp4_tflops * TERA),
                          .watts = (uint32_t)m->tdp_w};
}

/* What runs here is our own engine, whose speed on this machine nobody has measured yet. */
static fh_plan_host here(void)
{
    fh_topo t = {0};
    fh_topo_read(&t);
    return (fh_plan_host){.name = "this machine", .devices = 1, .opens = FH_PLAN_OURS, .cpu = true, .memory_bytes = t.memory_bytes};
}

static int bad_offer(size_t i, const char *why, const char *hint, fh_err **err)
{
    fh_err_set(err, FH_E_INVALID, "'offers[%zu]' %s", i, why);
    fh_err_hint(err, "%s", hint);
    fh_err_param(err, "offers[%zu]", i);
    return FH_E_INVALID;
}

/* Offers of the same devices share a host: slots has one place for each kind and count, 0: not yet. */
static uint32_t host_of(plan_ask *a, uint32_t *slots, const fh_catalog_machine *m, size_t kind, uint32_t devices, uint32_t machines)
{
    uint32_t *slot = &slots[(kind * MOST + devices - 1) * MOST + machines - 1];
    if (*slot == 0) {
        *slot = (uint32_t)a->market.host_count;
        a->hosts[a->market.host_count++] = plan_host_of(m, devices, machines);
    }
    return *slot;
}

static int read_device(plan_ask *a, uint32_t *slots, const fh_json *v, size_t i, fh_plan_offer *o, fh_err **err)
{
    int64_t devices = 1, machines = 1;
    fh_str name = {0};
    int rc = fh_json_read_str(v, "device", true, &name, err);
    if (!rc) rc = fh_json_read_i64(v, "devices", false, 1, MOST, &devices, err);
    if (!rc) rc = fh_json_read_i64(v, "machines", false, 1, MOST, &machines, err);
    if (rc) return rc;
    size_t kind = 0;
    while (kind < fh_catalog_machine_count() && !fh_str_ieq(name, fh_str_of(fh_catalog_machine_at(kind)->id))) kind++;
    const fh_catalog_machine *m = fh_catalog_machine_at(kind);
    if (!m || !plan_host_can(m))
        return bad_offer(i, "names a device that the catalogue does not know", "for example h200, with \"devices\": 8", err);
    o->host = host_of(a, slots, m, kind, (uint32_t)devices, (uint32_t)machines);
    return fh_json_read_i64(v, "hour_nusd", true, 0, INT64_MAX, &o->hour_nusd, err);
}

static int read_hosted(const fh_json *v, fh_plan_offer *o, fh_err **err)
{
    o->host = FH_PLAN_HOSTED;
    int rc = fh_json_read_i64(v, "input_nusd_per_million", true, 0, INT64_MAX, &o->in_nusd, err);
    return rc ? rc : fh_json_read_i64(v, "output_nusd_per_million", true, 0, INT64_MAX, &o->out_nusd, err);
}

static int read_offer(plan_ask *a, uint32_t *slots, size_t i, fh_plan_offer *o, fh_err **err)
{
    const fh_json *v = fh_json_at(a->list, i);
    int64_t start = 0, fetch = 0;
    if (fh_json_kind_of(v) != FH_JSON_OBJECT || !fh_json_str(fh_json_get(v, "place")).len)
        return bad_offer(i, "has no place", "each is an object with \"place\", and \"device\" or prices a million tokens", err);
    int rc = fh_json_read_i64(v, "start_s", false, 0, 1000000, &start, err);
    if (!rc) rc = fh_json_read_i64(v, "fetch_mb_s", false, 0, 1000000, &fetch, err);
    if (!rc) rc = fh_json_get(v, "device") ? read_device(a, slots, v, i, o, err) : read_hosted(v, o, err);
    char which[32];
    snprintf(which, sizeof which, "offers[%zu]", i);
    if (rc) fh_err_about(err, which);
    o->start_s = (uint32_t)start;
    o->fetch_mb_s = (uint32_t)fetch;
    return rc;
}

static int read_offers(plan_ask *a, fh_err **err)
{
    size_t count = fh_json_count(a->list);
    if (a->list && (fh_json_kind_of(a->list) != FH_JSON_ARRAY || count > FH_LIMIT_PLAN_OFFERS))
        return fh_err_set(err, FH_E_INVALID, "'offers' must be a list of at most %d", FH_LIMIT_PLAN_OFFERS);
    a->hosts = fh_calloc(count + 1, sizeof *a->hosts);
    a->offers = fh_calloc(count + 1, sizeof *a->offers);
    FH_AUTO(ptr) uint32_t *slots = fh_calloc(fh_catalog_machine_count() * MOST * MOST, sizeof *slots);
    if (!a->hosts || !a->offers || !slots) return fh_err_nomem(err);
    a->hosts[HERE] = here();
    a->market = (fh_plan_market){.hosts = a->hosts, .offers = a->offers, .host_count = 1, .offer_count = count + 1};
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) rc = read_offer(a, slots, i, &a->offers[i + 1], err);
    return rc;
}

/* The place of a word in a list, which is an enumeration's value. */
static int read_word(const fh_json *body, const char *key, const char *const *words, size_t count, size_t *ret, fh_err **err)
{
    fh_str word = {0};
    int rc = fh_json_read_str(body, key, false, &word, err);
    if (rc || !word.ptr) return rc;
    for (size_t i = 0; i < count; i++) {
        if (!fh_str_eqs(word, words[i])) continue;
        *ret = i;
        return 0;
    }
    fh_err_set(err, FH_E_INVALID, "'%s' is \"%.*s\"", key, (int)FH_MIN(word.len, (size_t)64), word.ptr);
    fh_err_hint(err, "one of %s, %s, %s%s%s", words[0], words[1], words[2], count > 3 ? ", " : "", count > 3 ? words[3] : "");
    fh_err_param(err, "%s", key);
    return FH_E_INVALID;
}

static int read_words(plan_ask *a, const fh_json *body, fh_err **err)
{
    static const char *const prefers[] = {"price", "speed", "energy", "start"}, *const licences[] = {"free", "ask", "restricted"};
    size_t prefer = FH_PLAN_PRICE, licence = SIZE_MAX;
    fh_str variant = {0};
    int rc = read_word(body, "prefer", prefers, FH_COUNT(prefers), &prefer, err);
    if (!rc) rc = read_word(body, "licence", licences, FH_COUNT(licences), &licence, err);
    if (!rc) rc = fh_json_read_str(body, "variant", false, &variant, err);
    if (rc) return rc;
    a->wishes.prefer = (fh_plan_prefer)prefer;
    a->wishes.licence_bound = licence != SIZE_MAX;
    if (a->wishes.licence_bound) a->wishes.licence = (fh_licence)licence;
    if (!variant.len) return 0;
    if (variant.len >= sizeof a->variant) return fh_err_set(err, FH_E_NOT_FOUND, "%s has no variant of so long a name", a->model->id);
    memcpy(a->variant, variant.ptr, variant.len);
    a->wishes.variant = a->variant;
    return 0;
}

static int read_numbers(fh_plan_wishes *w, const fh_json *body, fh_err **err)
{
    int64_t prompt = 0, answer = 0, ready = 0, decode = 0;
    int rc = fh_json_read_i64(body, "context_tok", false, 1, 1000000000, &w->context_tok, err);
    if (!rc) rc = fh_json_read_i64(body, "streams", false, 1, 1000000, &w->streams, err);
    if (!rc) rc = fh_json_read_i64(body, "prompt_tok", false, 1, 1000000000, &prompt, err);
    if (!rc) rc = fh_json_read_i64(body, "answer_tok", false, 1, 1000000000, &answer, err);
    if (!rc) rc = fh_json_read_i64(body, "load_tok_s", false, 1, 1000000000, &w->load_tok_s, err);
    if (!rc) rc = fh_json_read_i64(body, "max_hour_nusd", false, 1, INT64_MAX, &w->max_hour_nusd, err);
    if (!rc) rc = fh_json_read_i64(body, "max_ready_s", false, 1, UINT32_MAX, &ready, err);
    if (!rc) rc = fh_json_read_i64(body, "min_decode_tok_s", false, 1, UINT32_MAX, &decode, err);
    w->prompt_tok = (uint32_t)prompt;
    w->answer_tok = (uint32_t)answer;
    w->max_ready_s = (uint32_t)ready;
    w->min_decode_tok_s = (uint32_t)decode;
    return rc;
}

int plan_ask_read(const fh_json *body, plan_ask **ret, fh_err **err)
{
    FH_AUTO(plan_ask) plan_ask *a = fh_calloc(1, sizeof *a);
    fh_str model = {0};
    if (!a) return fh_err_nomem(err);
    a->list = fh_json_get(body, "offers");
    int rc = fh_json_read_str(body, "model", true, &model, err);
    if (!rc) rc = fh_catalog_get(model, &a->model, err);
    if (!rc) rc = read_words(a, body, err);
    if (!rc) rc = read_numbers(&a->wishes, body, err);
    if (!rc) rc = read_offers(a, err);
    if (!rc) *ret = fh_take(a);
    return rc;
}
