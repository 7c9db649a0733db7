/* freehold plan: where a model can run, best first. Nothing is started. */
#include "base/limits.h"
#include "client.h"
#include "server/catalog_folder.h"
#include "server/plans.h"
#include "sys/file.h"

#include <stdio.h>
#include <string.h>

enum { PLANS_SAID = 32 };
#define NANO   1e9
#define AMOUNT 1000000000 /* the most that an hour may be limited to */

static int read_offers(const char *path, bool alone, fh_json *offers, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_PRICE_FILE_BYTES);
    FH_AUTO(json) fh_json *list = NULL;
    int rc = fh_file_read(path, FH_LIMIT_PRICE_FILE_BYTES, &text, err);
    if (!rc) rc = fh_plans_offers_of((fh_str){fh_buf_cstr(&text), text.len}, path, alone, &list, err);
    if (rc) return rc;
    const fh_json *read = fh_json_get(list, "offers");
    for (size_t i = 0; i < fh_json_count(read); i++)
        if (!fh_json_append(offers, fh_json_ref((fh_json *)fh_json_at(read, i)))) return fh_err_nomem(err);
    fh_plans_say_passed_over(path, list);
    return 0;
}

static int set_offers(const fh_cli *c, bool alone, fh_json *ask, fh_err **err)
{
    FH_AUTO(json) fh_json *offers = fh_json_new_array();
    const char *path;
    int rc = offers ? 0 : fh_err_nomem(err);
    for (size_t i = 0; !rc && (path = fh_cli_nth(c, "offers", i)); i++) rc = read_offers(path, alone, offers, err);
    if (rc || !fh_json_count(offers)) return rc;
    return fh_json_set(ask, "offers", fh_take(offers)) ? 0 : fh_err_nomem(err);
}

/* alone: without a server. */
static int make_ask(const fh_cli *c, bool alone, fh_json *ask, fh_err **err)
{
    static const char *const words[][2] = {{"variant", "variant"}, {"licence", "licence"}, {"prefer", "prefer"},
                                           {"region", "region"},   {"trust", "trust"},     {"kv-type", "kv_type"}};
    static const char *const numbers[][2] = {{"context", "context_tok"}, {"streams", "streams"}, {"load", "load_tok_s"}};
    bool good = fh_json_set(ask, "model", fh_json_new_cstr(fh_cli_operand(c, 0)));
    for (size_t i = 0; i < FH_COUNT(words); i++)
        if (fh_cli_has(c, words[i][0])) good = good && fh_json_set(ask, words[i][1], fh_json_new_cstr(fh_cli_text(c, words[i][0], "")));
    for (size_t i = 0; i < FH_COUNT(numbers); i++)
        if (fh_cli_has(c, numbers[i][0])) good = good && fh_json_set(ask, numbers[i][1], fh_json_new_int(fh_cli_int(c, numbers[i][0], 1)));
    if (fh_cli_has(c, "max-hour"))
        good = good && fh_json_set(ask, "max_hour_nusd", fh_json_new_int((int64_t)(fh_cli_real(c, "max-hour", 1) * NANO + 0.5)));
    if (fh_cli_has(c, "spot")) good = good && fh_json_set(ask, "spot", fh_json_new_bool(true));
    return good ? set_offers(c, alone, ask, err) : fh_err_nomem(err);
}

/* A number of the reply in units of `per`; a dash when it is not known. */
static void number(const fh_json *o, const char *name, double per, const char *format, char out[32])
{
    const fh_json *v = fh_json_get(o, name);
    if (fh_json_kind_of(v) == FH_JSON_NULL)
        snprintf(out, 32, "-");
    else
        snprintf(out, 32, strcmp(format, "2") == 0 ? "%.2f" : "%.0f", fh_json_num(v, 0) / per);
}

/* What `freehold run --offer` takes the name of. */
static bool is_rented(const fh_json *p)
{
    return fh_cli_str_of(p, "host")[0] && strncmp(fh_cli_str_of(p, "place"), "provider/", 9) == 0;
}

static bool any_rented(const fh_json *plans)
{
    for (size_t i = 0; i < fh_json_count(plans); i++)
        if (is_rented(fh_json_at(plans, i))) return true;
    return false;
}

static bool add_plan(fh_cli_table *t, const fh_json *p)
{
    char bytes[32] = "-", speed[32], ready[32], hour[32], million[32], joules[32];
    const char *host = fh_cli_str_of(p, "host"), *variant = fh_cli_str_of(p, "variant");
    if (host[0]) fh_cli_bytes((uint64_t)fh_json_int(fh_json_get(p, "needs_bytes"), 0), bytes, sizeof bytes);
    number(p, "tokens_per_second", 1, "0", speed);
    number(p, "ready_s", 1, "0", ready);
    number(p, "hour_nusd", NANO, "2", hour);
    number(p, "nusd_per_million", NANO, "2", million);
    number(p, "uj_per_million", 1e12, "2", joules);
    const char *cells[] = {fh_cli_str_of(p, "place"),
                           host[0] ? host : "endpoint",
                           variant[0] ? variant : "-",
                           bytes,
                           speed,
                           ready,
                           hour,
                           million,
                           joules,
                           is_rented(p) ? fh_cli_str_of(p, "name") : "-"};
    return fh_cli_table_add(t, cells);
}

static int write_plans(const fh_json *plans, fh_buf *out, fh_err **err)
{
    fh_cli_column columns[] = {{"PLACE", FH_CLI_LEFT},  {"HOST", FH_CLI_SHRINK},   {"VARIANT", FH_CLI_SHRINK}, {"NEEDS", FH_CLI_RIGHT},
                               {"TOK/S", FH_CLI_RIGHT}, {"READY S", FH_CLI_RIGHT}, {"$/H", FH_CLI_RIGHT},      {"$/M", FH_CLI_RIGHT},
                               {"J/TOK", FH_CLI_RIGHT}, {"OFFER", FH_CLI_LEFT},    {NULL, FH_CLI_LEFT}};
    if (!any_rented(plans)) columns[FH_COUNT(columns) - 2] = columns[FH_COUNT(columns) - 1];
    FH_AUTO(fh_cli_table) fh_cli_table *t = fh_cli_table_new(columns);
    if (fh_json_count(plans) == 0) return 0;
    for (size_t i = 0; t && i < fh_json_count(plans); i++)
        if (!add_plan(t, fh_json_at(plans, i))) return fh_err_nomem(err);
    if (!t) return fh_err_nomem(err);
    fh_cli_table_write(t, out);
    return 0;
}

static void write_measured(const fh_json *plans, fh_buf *out)
{
    for (size_t i = 0; i < fh_json_count(plans); i++) {
        const fh_json *p = fh_json_at(plans, i);
        int64_t runs = fh_json_int(fh_json_get(p, "measured_runs"), 0);
        if (runs)
            fh_buf_addf(out, "%s: %.1f to %.1f tokens a second by %lld measured run%s\n", fh_cli_str_of(p, "place"),
                        fh_json_num(fh_json_get(p, "tokens_per_second_low"), 0), fh_json_num(fh_json_get(p, "tokens_per_second_high"), 0),
                        (long long)runs, runs == 1 ? "" : "s");
    }
}

/* Of those above, places where somebody else can read what is asked; each once. */
static void write_readers(const fh_json *plans, fh_buf *out)
{
    const char *said = "others can read what is asked at", *before[PLANS_SAID];
    size_t count = 0;
    for (size_t i = 0; i < fh_json_count(plans) && count < FH_COUNT(before); i++) {
        const fh_json *p = fh_json_at(plans, i);
        const char *place = fh_cli_str_of(p, "place"), *owner = fh_cli_str_of(p, "owned_by");
        bool told = strcmp(fh_cli_str_of(p, "read_by"), "own") == 0;
        for (size_t k = 0; k < count && !told; k++) told = strcmp(before[k], place) == 0;
        if (told) continue;
        fh_buf_addf(out, "%s%s%s%s%s", count ? ", " : said, count ? "" : " ", place, owner[0] ? " of " : "", owner);
        before[count++] = place;
    }
    if (count) fh_buf_adds(out, "; --trust own leaves them out\n");
}

/* What the first is sold as, and where its price was read; when an endpoint is dearer than the machine. */
static void write_first(const fh_json *r, fh_buf *out)
{
    const fh_json *first = fh_json_at(fh_json_get(r, "plans"), 0), *even = fh_json_get(r, "break_even");
    const char *name = fh_cli_str_of(first, "name"), *source = fh_cli_str_of(first, "source"), *region = fh_cli_str_of(first, "region");
    if (source[0])
        fh_buf_addf(out, "the first is sold as %s%s%s; its price: %s\n", name[0] ? name : "that", region[0] ? " in " : "", region, source);
    write_measured(fh_json_get(r, "plans"), out);
    write_readers(fh_json_get(r, "plans"), out);
    if (fh_json_count(even)) {
        const char *row = fh_cli_str_of(fh_json_get(even, "rented"), "source");
        fh_buf_addf(out, "%s%s%s%s\n", fh_cli_str_of(even, "why"), row[0] ? " (" : "", row, row[0] ? ")" : "");
    }
}

/* Whether a plan is of that account. */
static bool is_planned(const fh_json *plans, const char *name)
{
    char place[80];
    snprintf(place, sizeof place, "provider/%s", name);
    for (size_t i = 0; i < fh_json_count(plans); i++)
        if (strcmp(place, fh_cli_str_of(fh_json_at(plans, i), "place")) == 0) return true;
    return false;
}

/* Of accounts that machines are rented of: what is to be known of those above, and what is not among them. */
static void write_accounts(const fh_json *r, fh_buf *out)
{
    const fh_json *providers = fh_json_get(r, "providers");
    for (size_t i = 0; i < fh_json_count(providers); i++) {
        const fh_json *p = fh_json_at(providers, i);
        int64_t offers = fh_json_int(fh_json_get(p, "offers"), 0), planned = fh_json_int(fh_json_get(p, "planned"), 0);
        const char *name = fh_cli_str_of(p, "name"), *error = fh_cli_str_of(p, "error"), *note = fh_cli_str_of(p, "note");
        if (note[0] && is_planned(fh_json_get(r, "plans"), name)) fh_buf_addf(out, "provider/%s: %s\n", name, note);
        if (error[0]) fh_buf_addf(out, "without provider/%s: %s\n", name, error);
        if (planned < offers)
            fh_buf_addf(out, "without %lld of the %lld offers of provider/%s: the catalogue does not know their devices\n",
                        (long long)(offers - planned), (long long)offers, name);
    }
}

static int print_ranking(const fh_json *r, fh_err **err)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(4 << 20);
    const fh_json *refused = fh_json_get(r, "refused"), *smallest = fh_json_get(r, "smallest");
    const fh_json *unpriced = fh_json_get(r, "unpriced");
    int rc = write_plans(fh_json_get(r, "plans"), &out, err);
    if (rc) return rc;
    fh_buf_addf(&out, "%s, %lld tokens, %lld at once: %s\n", fh_cli_str_of(r, "model"),
                (long long)fh_json_int(fh_json_get(r, "context_tok"), 0), (long long)fh_json_int(fh_json_get(r, "streams"), 0),
                fh_cli_str_of(r, "why"));
    write_first(r, &out);
    write_accounts(r, &out);
    for (size_t i = 0; i < fh_json_count(refused); i++) {
        const fh_json *f = fh_json_at(refused, i);
        fh_buf_addf(&out, "not %s: %s\n", fh_cli_str_of(f, "nearest"), fh_cli_str_of(f, "why"));
    }
    for (size_t i = 0; i < fh_json_count(unpriced); i++)
        fh_buf_addf(&out, "%s serves it too, at a price that nobody said: `freehold provider add --price`\n",
                    fh_json_str(fh_json_at(unpriced, i)).ptr);
    if (fh_json_count(smallest)) {
        char bytes[32], speed[32];
        fh_cli_bytes((uint64_t)fh_json_int(fh_json_get(smallest, "needs_bytes"), 0), bytes, sizeof bytes);
        number(smallest, "tokens_per_second", 1, "0", speed);
        fh_buf_addf(&out, "the smallest host that would do: %s (%s, %s, %s tokens a second)\n", fh_cli_str_of(smallest, "host"),
                    fh_cli_str_of(smallest, "variant"), bytes, speed);
    }
    return fh_cli_print(&out, err);
}

static int plan_here(const fh_cli *c, fh_json *ask, fh_json **ret, fh_err **err)
{
    char data[1024];
    fh_plan_known known = {.data_dir = data};
    int rc = fh_cli_data_dir(c, data, sizeof data, err);
    if (!rc) rc = fh_catalog_folder_open(data, err);
    if (!rc) rc = make_ask(c, true, ask, err);
    return rc ? rc : fh_plans_make(ask, &known, ret, err);
}

static int plan_there(const fh_cli *c, fh_json *ask, fh_json **ret, fh_err **err)
{
    fh_cli_client s;
    const char *first = fh_cli_nth(c, "offers", 0);
    int rc = fh_client_open(c, &s, err);
    if (!rc) rc = make_ask(c, false, ask, err);
    if (rc) return rc;
    rc = fh_client_call(&s, "POST", "/api/v1/plans", ask, ret, err);
    if (rc == FH_E_INVALID && first && !fh_cli_nth(c, "offers", 1)) fh_err_about(err, first);
    return rc;
}

static int run_plan(fh_cli *c, fh_err **err)
{
    bool alone = false;
    FH_AUTO(json) fh_json *ask = fh_json_new_object();
    FH_AUTO(json) fh_json *reply = NULL;
    int rc = fh_cli_wants_folder(c, &alone, err);
    if (!rc) rc = alone ? plan_here(c, ask, &reply, err) : plan_there(c, ask, &reply, err);
    if (rc) return rc;
    return c->json ? fh_cli_print_json(reply, err) : print_ranking(reply, err);
}

static const fh_cli_flag flags[] = {
    {"context", 0, FH_CLI_INT, "N", "tokens of each stream; 4096 without", 1, 1000000000},
    {"streams", 0, FH_CLI_INT, "N", "at once; 4 without", 1, 1000000},
    {"kv-type", 0, FH_CLI_TEXT, "TYPE", "what caches are kept as: f16, q8_0 or q4_0; without: as each engine does by itself", 0, 0},
    {"variant", 0, FH_CLI_TEXT, "NAME", "one of the model's; without: the first that fits", 0, 0},
    {"load", 0, FH_CLI_INT, "N", "answered tokens wanted a second over all; without: all streams are always busy", 1, 1000000000},
    {"max-hour", 0, FH_CLI_REAL, "AMOUNT", "limit of an hour's price, in dollars", 0, AMOUNT},
    {"licence", 0, FH_CLI_TEXT, "CLASS", "the strictest class that is allowed: free, ask or restricted", 0, 0},
    {"prefer", 0, FH_CLI_TEXT, "WHAT", "price (without), speed, energy or start", 0, 0},
    {"offers", 0, FH_CLI_TEXT, "FILE",
     "places beside this machine: a JSON list in the shape PlanOffer, or a price list (CSV as SkyPilot's, JSON as gpuhunt's); may be given "
     "more than once",
     0, 0},
    {"spot", 0, FH_CLI_BOOL, NULL, "also machines that may be taken away", 0, 0},
    {"region", 0, FH_CLI_TEXT, "NAME", "only offers there", 0, 0},
    {"trust", 0, FH_CLI_TEXT, "LIST",
     "only where nobody else can read what is asked: own, rented, named or any, or names besides, with commas: node/NAME, provider/NAME, "
     "owner/NAME",
     0, 0},
    {"data", 0, FH_CLI_TEXT, "DIR", "plan for the machine that this runs on, without a server", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};
static const char *const examples[] = {"freehold plan glm-5.3 --context 131072 --streams 8",
                                       "freehold plan kimi --offers offers.json --max-hour 60 --prefer speed", NULL};

const fh_cli_verb fh_verb_plan = {
    .name = "plan",
    .group = "Run models",
    .summary = "where a model can run, best first; nothing is started",
    .operands = "MODEL",
    .min_operands = 1,
    .max_operands = 1,
    .about =
        "Says of each place whether the model fits, how fast it would be, what it costs and when it is ready, why the first is the "
        "first, and what the others lack. Speed and energy are predictions (docs/PLANNING.md); a dash is not known. $/M is for a "
        "million answered tokens with their prompts. What can be rented now of the accounts that the server knows (`freehold provider add "
        "--kind`) stands beside --offers. Without a server it plans for the machine that it runs on.",
    .examples = examples,
    .flags = flags,
    .run = run_plan,
};
