/* freehold offers import, lists, forget: price lists that the server plans with. */
#include "base/limits.h"
#include "client.h"
#include "server/plans.h"
#include "sys/file.h"

#include <stdio.h>
#include <string.h>

/* "a/lambda_v8.csv" -> "lambda-v8". */
static void name_of(const char *path, char out[64])
{
    const char *base = strrchr(path, '/');
    size_t n = 0;
    for (base = base ? base + 1 : path; *base && *base != '.' && n < 63; base++) {
        char c = *base;
        if (c >= 'A' && c <= 'Z') c = (char)(c - 'A' + 'a');
        out[n++] = (char)((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '-');
    }
    out[n] = '\0';
}

static int read_list(const char *path, fh_json **ret, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_PRICE_FILE_BYTES);
    int rc = fh_file_read(path, FH_LIMIT_PRICE_FILE_BYTES, &text, err);
    return rc ? rc : fh_plans_offers_of((fh_str){fh_buf_cstr(&text), text.len}, path, false, ret, err);
}

static int say(const fh_cli *c, const fh_json *made, const fh_json *read, fh_err **err)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(4096);
    if (c->json) return fh_cli_print_json(made, err);
    fh_buf_addf(&out, "%s: %lld offers of %lld rows are planned with from now on\n", fh_cli_str_of(made, "name"),
                (long long)fh_json_int(fh_json_get(made, "offers"), 0), (long long)fh_json_int(fh_json_get(read, "rows"), 0));
    return fh_cli_print(&out, err);
}

static int run_import(fh_cli *c, fh_err **err)
{
    fh_cli_client s;
    char name[64];
    const char *path = fh_cli_operand(c, 0);
    FH_AUTO(json) fh_json *body = fh_json_new_object(), *read = NULL, *made = NULL;
    name_of(path, name);
    int rc = read_list(path, &read, err);
    if (rc) return rc;
    fh_plans_say_passed_over(path, read);
    bool good = fh_json_set(body, "name", fh_json_new_cstr(fh_cli_text(c, "name", name)));
    good = good && fh_json_set(body, "offers", fh_json_ref((fh_json *)fh_json_get(read, "offers")));
    if (!good) return fh_err_nomem(err);
    rc = fh_client_open(c, &s, err);
    if (!rc && (rc = fh_client_call(&s, "POST", "/api/v1/price-lists", body, &made, err)) == FH_E_INVALID) fh_err_about(err, path);
    return rc ? rc : say(c, made, read, err);
}

static bool add_row(fh_cli_table *t, const fh_json *l)
{
    char offers[24];
    snprintf(offers, sizeof offers, "%lld", (long long)fh_json_int(fh_json_get(l, "offers"), 0));
    const char *cells[] = {fh_cli_str_of(l, "name"), offers, fh_cli_str_of(l, "imported")};
    return fh_cli_table_add(t, cells);
}

static int print_lists(const fh_json *items, fh_err **err)
{
    static const fh_cli_column columns[] = {
        {"NAME", FH_CLI_LEFT}, {"OFFERS", FH_CLI_RIGHT}, {"IMPORTED", FH_CLI_LEFT}, {NULL, FH_CLI_LEFT}};
    FH_AUTO(fh_cli_table) fh_cli_table *t = fh_cli_table_new(columns);
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    for (size_t i = 0; t && i < fh_json_count(items); i++)
        if (!add_row(t, fh_json_at(items, i))) return fh_err_nomem(err);
    if (!t) return fh_err_nomem(err);
    fh_cli_table_write(t, &out);
    return fh_cli_print(&out, err);
}

static int run_lists(fh_cli *c, fh_err **err)
{
    fh_cli_client s;
    FH_AUTO(json) fh_json *reply = NULL;
    int rc = fh_client_open(c, &s, err);
    if (!rc) rc = fh_client_call(&s, "GET", "/api/v1/price-lists", NULL, &reply, err);
    if (rc) return rc;
    return c->json ? fh_cli_print_json(reply, err) : print_lists(fh_json_get(reply, "items"), err);
}

static int run_forget(fh_cli *c, fh_err **err)
{
    fh_cli_client s;
    char path[256];
    FH_AUTO(json) fh_json *nothing = NULL, *said = fh_json_new_object();
    FH_AUTO(buf) fh_buf out = FH_BUF(1024);
    int rc = fh_client_open(c, &s, err);
    if (!rc && !fh_client_path(path, sizeof path, "/api/v1/price-lists/", fh_cli_operand(c, 0), ""))
        rc = fh_err_set(err, FH_E_NOT_FOUND, "there is no such list");
    if (!rc) rc = fh_client_call(&s, "DELETE", path, NULL, &nothing, err);
    if (rc) return rc;
    fh_json_set(said, "forgotten", fh_json_new_cstr(fh_cli_operand(c, 0)));
    if (c->json) return fh_cli_print_json(said, err);
    fh_buf_addf(&out, "%s is not planned with any more\n", fh_cli_operand(c, 0));
    return fh_cli_print(&out, err);
}

static const fh_cli_flag import_flags[] = {
    {"name", 0, FH_CLI_TEXT, "NAME", "how the list is to be called; without: after the file. A list of that name is replaced", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};
static const char *const import_examples[] = {"freehold offers import lambda.csv", "freehold offers import --name today prices.json", NULL};

const fh_cli_verb fh_verb_offers_import = {
    .name = "offers import",
    .group = "Run models",
    .summary = "plan with the prices of a list from now on",
    .operands = "FILE",
    .min_operands = 1,
    .max_operands = 1,
    .about = "Reads a price list (CSV as SkyPilot's catalog, JSON as gpuhunt's, or a list in the shape PlanOffer) and gives it to the "
             "server, which keeps it: `freehold plan` and the page then need not bring it. Nothing is rented.",
    .examples = import_examples,
    .flags = import_flags,
    .run = run_import,
};
const fh_cli_verb fh_verb_offers_lists = {
    .name = "offers lists",
    .group = "Run models",
    .summary = "the price lists that are planned with",
    .operands = "",
    .run = run_lists,
};
const fh_cli_verb fh_verb_offers_forget = {
    .name = "offers forget",
    .group = "Run models",
    .summary = "plan with a price list no more",
    .operands = "NAME",
    .min_operands = 1,
    .max_operands = 1,
    .run = run_forget,
};
