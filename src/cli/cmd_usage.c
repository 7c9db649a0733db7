/* freehold usage list, show: what requests used. */
#include "client.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN = 20, SHOWN_MOST = 500 };

static void clock_time(const fh_json *u, char out[9])
{
    const char *time = fh_cli_str_of(u, "time"), *t = strchr(time, 'T');
    snprintf(out, 9, "%.8s", t ? t + 1 : "");
}

static void tokens(const fh_json *u, char *out, size_t size)
{
    snprintf(out, size, "%" PRId64 "+%" PRId64, fh_json_int(fh_json_get(u, "prompt_tokens"), 0),
             fh_json_int(fh_json_get(u, "completion_tokens"), 0));
}

/* What is not known is a dash. */
static const char *text_or_dash(const fh_json *u, const char *name)
{
    const char *text = fh_cli_str_of(u, name);
    return text[0] ? text : "-";
}

static bool add_row(fh_cli_table *t, const fh_json *u)
{
    char time[9], count[48];
    clock_time(u, time);
    tokens(u, count, sizeof count);
    const char *error = fh_cli_str_of(u, "error");
    const char *cells[] = {fh_cli_str_of(u, "request"),
                           time,
                           count,
                           text_or_dash(u, "counted"),
                           text_or_dash(u, "cost"),
                           error[0] ? error : text_or_dash(u, "finish_reason"),
                           text_or_dash(u, "model")};
    return fh_cli_table_add(t, cells);
}

static int print_rows(const fh_json *items, fh_err **err)
{
    static const fh_cli_column columns[] = {{"REQUEST", FH_CLI_LEFT}, {"TIME", FH_CLI_LEFT}, {"TOKENS", FH_CLI_RIGHT},
                                            {"COUNTED", FH_CLI_LEFT}, {"USD", FH_CLI_RIGHT}, {"ENDED", FH_CLI_LEFT},
                                            {"MODEL", FH_CLI_SHRINK}, {NULL, FH_CLI_LEFT}};
    FH_AUTO(fh_cli_table) fh_cli_table *t = fh_cli_table_new(columns);
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    for (size_t i = 0; t && i < fh_json_count(items); i++)
        if (!add_row(t, fh_json_at(items, i))) return fh_err_nomem(err);
    if (!t) return fh_err_nomem(err);
    fh_cli_table_write(t, &out);
    return fh_cli_print(&out, err);
}

static int run_list(fh_cli *c, fh_err **err)
{
    fh_cli_client s;
    FH_AUTO(json) fh_json *reply = NULL;
    char start[96], path[256];
    snprintf(start, sizeof start, "/api/v1/usage?limit=%" PRId64 "&key=", fh_cli_int(c, "limit", SHOWN)); /* an empty one: all */
    int rc = fh_client_open(c, &s, err);
    if (rc) return rc;
    if (!fh_client_path(path, sizeof path, start, fh_cli_text(c, "key", ""), ""))
        return fh_err_set(err, FH_E_NOT_FOUND, "there is no such key");
    rc = fh_client_call(&s, "GET", path, NULL, &reply, err);
    if (rc) return rc;
    return c->json ? fh_cli_print_json(reply, err) : print_rows(fh_json_get(reply, "items"), err);
}

static void add_line(fh_buf *out, const char *name, const fh_json *value)
{
    fh_str text = fh_json_str(value);
    if (fh_json_kind_of(value) == FH_JSON_NULL || (fh_json_kind_of(value) == FH_JSON_ARRAY && fh_json_count(value) == 0)) return;
    fh_buf_addf(out, "%-27s", name);
    if (text.ptr)
        fh_buf_add(out, text.ptr, text.len);
    else
        fh_json_write(value, out, NULL);
    fh_buf_addc(out, '\n');
}

static int run_show(fh_cli *c, fh_err **err)
{
    fh_cli_client s;
    FH_AUTO(json) fh_json *reply = NULL;
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    char path[256];
    void *it = NULL;
    fh_str name;
    const fh_json *value;
    int rc = fh_client_open(c, &s, err);
    if (rc) return rc;
    if (!fh_client_path(path, sizeof path, "/api/v1/usage/", fh_cli_operand(c, 0), ""))
        return fh_err_set(err, FH_E_NOT_FOUND, "there is no such request");
    rc = fh_client_call(&s, "GET", path, NULL, &reply, err);
    if (rc || c->json) return rc ? rc : fh_cli_print_json(reply, err);
    while (fh_json_next(reply, &it, &name, &value)) add_line(&out, name.ptr, value);
    return fh_cli_print(&out, err);
}

static const fh_cli_flag list_flags[] = {
    {"limit", 0, FH_CLI_INT, "N", "how many of the newest; 20 without", 1, SHOWN_MOST},
    {"key", 0, FH_CLI_TEXT, "ID", "of that key's requests alone; an admin's key sees all without", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};
static const char *const list_examples[] = {"freehold usage list", "freehold usage list --limit 500 --json", NULL};
static const char *const show_examples[] = {"freehold usage show req_573f798c8bb9a1fd36818e8a4e9c1839", NULL};

const fh_cli_verb fh_verb_usage_list = {
    .name = "usage list",
    .group = "Server",
    .summary = "what requests used, newest first",
    .operands = "",
    .about = "A key sees its own requests, an admin's all. TOKENS are of the prompt and of the answer; COUNTED says by whom: freehold, "
             "upstream (what the endpoint says is taken), estimated. USD is modelled from the prices that are known.",
    .examples = list_examples,
    .flags = list_flags,
    .run = run_list,
};
const fh_cli_verb fh_verb_usage_show = {
    .name = "usage show",
    .group = "Server",
    .summary = "what one request used, and what answered it and why",
    .operands = "REQUEST",
    .min_operands = 1,
    .max_operands = 1,
    .about = "REQUEST is the reply's header x-request-id.",
    .examples = show_examples,
    .run = run_show,
};
