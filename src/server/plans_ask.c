/* A request for plans, read: the model, the wishes, this machine and the offers. */
#include "base/limits.h"
#include "base/mem.h"
#include "plans.h"
#include "sys/cpu.h"

#include <stdio.h>
#include <string.h>

void plan_ask_free(plan_ask *a)
{
    if (!a) return;
    fh_plan_book_free(a->book);
    fh_free(a);
}

/* What runs here is our own engine; its speed is what was measured of it. */
static fh_plan_host here(const fh_speeds *measured)
{
    fh_topo t = {0};
    fh_topo_read(&t);
    return (fh_plan_host){.name = "this machine",
                          .devices = 1,
                          .opens = FH_PLAN_OURS,
                          .cpu = true,
                          .memory_bytes = t.memory_bytes,
                          .bandwidth_bytes = measured->bandwidth_bytes,
                          .cache_per_mille = measured->cache_per_mille,
                          .speed_per_mille = measured->per_mille};
}

static int add_here(plan_ask *a, const fh_plan_known *known, fh_err **err)
{
    if (known && known->data_dir) fh_speeds_of(known->data_dir, "freehold", fh_cpu_get()->model, a->model->architecture, &a->here);
    fh_plan_host h = here(&a->here);
    fh_plan_listing l = {.place = FH_STR("here"), .trust = FH_TRUST_OWN, .region = fh_str_of(known ? known->region : NULL)};
    return fh_plan_book_add_host(a->book, &h, &l, err);
}

/* What is known of places' energy and water, and the one that is asked for. */
static int read_regions(plan_ask *a, const fh_json *body, fh_err **err)
{
    const fh_json *list = fh_json_get(body, "regions");
    fh_str wanted = {0};
    int rc = fh_json_read_str(body, "region", false, &wanted, err);
    for (size_t i = 0; i < fh_json_count(list) && !rc; i++) {
        const fh_json *v = fh_json_at(list, i);
        int64_t pue = 0, wue = 0, grid = 0;
        fh_str name = {0};
        rc = fh_json_read_str(v, "name", true, &name, err);
        if (!rc) rc = fh_json_read_i64(v, "pue_milli", true, 1000, 10000, &pue, err);
        if (!rc) rc = fh_json_read_i64(v, "wue_ml_kwh", true, 0, 100000, &wue, err);
        if (!rc) rc = fh_json_read_i64(v, "grid_ml_kwh", true, 0, 1000000, &grid, err);
        fh_plan_region r = {(uint32_t)pue, (uint32_t)wue, (uint32_t)grid};
        if (!rc) rc = fh_plan_book_set_region(a->book, name, &r, err);
        if (rc) fh_err_about(err, "regions");
    }
    if (rc || !wanted.len) return rc;
    a->wishes.region = fh_plan_book_region(a->book, wanted);
    if (a->wishes.region) return 0;
    fh_err_set(err, FH_E_INVALID, "'region': no offer is in \"%.*s\"", (int)FH_MIN(wanted.len, (size_t)64), wanted.ptr);
    fh_err_param(err, "region");
    return FH_E_INVALID;
}

/* Who is not to read what is asked there is none to plan with. */
static int read_trust(const plan_ask *a, const fh_json *body, fh_err **err)
{
    char trust[FH_LIMIT_TRUST_BYTES] = "";
    fh_str said = {0};
    int rc = fh_json_read_str(body, "trust", false, &said, err);
    if (!rc && said.ptr) rc = fh_trusts_parse(said, trust, err);
    if (rc) fh_err_param(err, "trust");
    if (!rc && trust[0]) fh_plan_book_bar(a->book, trust);
    return rc;
}

static int read_market(plan_ask *a, const fh_json *body, const fh_plan_known *known, fh_err **err)
{
    int rc = fh_plan_book_new(&a->book, err);
    if (!rc) rc = add_here(a, known, err);
    if (!rc) rc = plan_offers_add(fh_json_get(body, "offers"), a->book, err);
    for (size_t i = 0; known && i < known->count && !rc; i++) rc = fh_plan_book_add_all(a->book, known->books[i], err);
    if (!rc) rc = read_regions(a, body, err);
    return rc ? rc : read_trust(a, body, err);
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
    fh_str variant = {0}, kv = {0};
    bool spot = false;
    int rc = read_word(body, "prefer", prefers, FH_COUNT(prefers), &prefer, err);
    if (!rc) rc = read_word(body, "licence", licences, FH_COUNT(licences), &licence, err);
    if (!rc) rc = fh_json_read_str(body, "variant", false, &variant, err);
    if (!rc) rc = fh_json_read_str(body, "kv_type", false, &kv, err);
    if (!rc) rc = fh_plan_kv_parse(kv, &a->wishes.kv, err);
    if (!rc) rc = fh_json_read_bool(body, "spot", false, &spot, err);
    if (rc) return rc;
    a->wishes.kv_said = kv.len > 0;
    a->wishes.lasting = !spot;
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

int plan_ask_read(const fh_json *body, const fh_plan_known *known, plan_ask **ret, fh_err **err)
{
    FH_AUTO(plan_ask) plan_ask *a = fh_calloc(1, sizeof *a);
    fh_str model = {0};
    if (!a) return fh_err_nomem(err);
    int rc = fh_json_read_str(body, "model", true, &model, err);
    if (!rc) rc = fh_catalog_get(model, &a->model, err);
    if (!rc) rc = read_words(a, body, err);
    if (!rc) rc = read_numbers(&a->wishes, body, err);
    if (!rc) rc = read_market(a, body, known, err);
    if (!rc) *ret = fh_take(a);
    return rc;
}
