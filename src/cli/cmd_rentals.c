/* freehold provider rentals, take-over: what was rented of accounts, with its bills. */
#include "client.h"

#include <stdio.h>

static void money(const fh_json *o, const char *name, char out[32])
{
    snprintf(out, 32, "%.4f", (double)fh_json_int(fh_json_get(o, name), 0) / 1e6);
}

static bool add_row(fh_cli_table *t, const fh_json *r)
{
    char id[24], most[32], spent[32], limit[32];
    snprintf(id, sizeof id, "%lld", (long long)fh_json_int(fh_json_get(r, "id"), 0));
    money(r, "max_hour_micro", most);
    money(r, "spent_micro", spent);
    money(r, "limit_micro", limit);
    const char *reason = fh_cli_str_of(r, "reason");
    const char *cells[] = {id, fh_cli_str_of(r, "provider"), fh_cli_str_of(r, "state"), most, spent, limit, reason[0] ? reason : "-"};
    return fh_cli_table_add(t, cells);
}

static void add_bills(const fh_json *r, fh_buf *out)
{
    const fh_json *acts = fh_json_get(r, "acts");
    for (size_t i = 0; i < fh_json_count(acts); i++) {
        const fh_json *a = fh_json_at(acts, i);
        const char *machine = fh_cli_str_of(a, "machine"), *reason = fh_cli_str_of(a, "reason");
        fh_buf_addf(out, "  %lld.%lld %s%s, %s%s%s: %s\n", (long long)fh_json_int(fh_json_get(r, "id"), 0),
                    (long long)fh_json_int(fh_json_get(a, "id"), 0), machine[0] ? "machine " : "no machine known", machine,
                    fh_cli_str_of(a, "phase"), reason[0] ? ", " : "", reason, fh_cli_str_of(a, "bill"));
    }
}

static int print_rows(const fh_json *items, fh_err **err)
{
    static const fh_cli_column columns[] = {{"RENTAL", FH_CLI_RIGHT}, {"PROVIDER", FH_CLI_LEFT}, {"STATE", FH_CLI_LEFT},
                                            {"MOST/H", FH_CLI_RIGHT}, {"SPENT", FH_CLI_RIGHT},   {"LIMIT", FH_CLI_RIGHT},
                                            {"WHY", FH_CLI_SHRINK},   {NULL, FH_CLI_LEFT}};
    FH_AUTO(fh_cli_table) fh_cli_table *t = fh_cli_table_new(columns);
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    for (size_t i = 0; t && i < fh_json_count(items); i++)
        if (!add_row(t, fh_json_at(items, i))) return fh_err_nomem(err);
    if (!t) return fh_err_nomem(err);
    fh_cli_table_write(t, &out);
    for (size_t i = 0; i < fh_json_count(items); i++) add_bills(fh_json_at(items, i), &out);
    return fh_cli_print(&out, err);
}

static int run_rentals(fh_cli *c, fh_err **err)
{
    fh_cli_client s;
    FH_AUTO(json) fh_json *reply = NULL;
    int rc = fh_client_open(c, &s, err);
    if (!rc) rc = fh_client_call(&s, "GET", "/api/v1/rentals", NULL, &reply, err);
    if (rc) return rc;
    return c->json ? fh_cli_print_json(reply, err) : print_rows(fh_json_get(reply, "items"), err);
}

static int run_take_over(fh_cli *c, fh_err **err)
{
    fh_cli_client s;
    FH_AUTO(json) fh_json *body = fh_json_new_object(), *reply = NULL;
    FH_AUTO(buf) fh_buf out = FH_BUF(1024);
    int rc = fh_client_open(c, &s, err);
    if (!rc) rc = fh_client_call(&s, "POST", "/api/v1/rentals/take-over", body, &reply, err);
    if (rc) return rc;
    if (c->json) return fh_cli_print_json(reply, err);
    if (fh_json_int(fh_json_get(reply, "taken_over"), 0))
        fh_buf_adds(&out, "this database goes on: what it rented before is its own again\n");
    else
        fh_buf_adds(&out, "there was nothing to take over\n");
    return fh_cli_print(&out, err);
}

const fh_cli_verb fh_verb_provider_rentals = {
    .name = "provider rentals",
    .group = "Server",
    .summary = "machines that were rented, and their bills",
    .operands = "",
    .about = "One row a machine that was wanted; below, each try to get one with its bill: seconds that are surely charged and those that "
             "may be, and what they cost at most, in dollars.",
    .run = run_rentals,
};
const fh_cli_verb fh_verb_provider_take_over = {
    .name = "provider take-over",
    .group = "Server",
    .summary = "this copy of the database is the one that goes on",
    .operands = "",
    .about =
        "A database that was copied to another place, or put back from a backup, leaves alone what it rented or got before: another server "
        "may go on with it. This says that none does; what runs there still is found again, and ended when nothing accounts for it.",
    .run = run_take_over,
};
