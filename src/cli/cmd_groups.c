/* freehold group create, list, remove: names that stand for several models, of which one answers each request. */
#include "client.h"

#include <stdio.h>
#include <string.h>

enum { MODELS_MAX = 32 };

static int names_of(const fh_json *group, fh_buf *out, fh_err **err)
{
    const fh_json *models = fh_json_get(group, "models");
    for (size_t i = 0; i < fh_json_count(models); i++)
        fh_buf_addf(out, "%s%s", i ? ", " : "", fh_cli_str_of(fh_json_at(models, i), "name"));
    return fh_buf_check(out, err, "the names of the models");
}

static int say_made(const fh_cli *c, const fh_json *group, fh_err **err)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    if (c->json) return fh_cli_print_json(group, err);
    fh_buf_addf(&out, "%s is made: ", fh_cli_str_of(group, "name"));
    int rc = names_of(group, &out, err);
    fh_buf_addc(&out, '\n');
    return rc ? rc : fh_cli_print(&out, err);
}

static int run_create(fh_cli *c, fh_err **err)
{
    fh_cli_client s;
    FH_AUTO(json) fh_json *body = fh_json_new_object(), *made = NULL;
    fh_json *models = fh_json_new_array();
    for (size_t i = 1; i < c->operand_count; i++) {
        fh_json *member = fh_json_new_object();
        fh_json_set(member, "name", fh_json_new_cstr(fh_cli_operand(c, i)));
        fh_json_append(models, member);
    }
    fh_json_set(body, "name", fh_json_new_cstr(fh_cli_operand(c, 0)));
    fh_json_set(body, "models", models);
    int rc = fh_client_open(c, &s, err);
    if (!rc) rc = fh_client_call(&s, "POST", "/api/v1/groups", body, &made, err);
    return rc ? rc : say_made(c, made, err);
}

static int add_row(fh_cli_table *t, const fh_json *group, fh_err **err)
{
    FH_AUTO(buf) fh_buf names = FH_BUF(1 << 16);
    int rc = names_of(group, &names, err);
    if (rc) return rc;
    const char *cells[] = {fh_cli_str_of(group, "name"), fh_buf_cstr(&names)};
    return fh_cli_table_add(t, cells) ? 0 : fh_err_nomem(err);
}

static int print_rows(const fh_json *items, fh_err **err)
{
    static const fh_cli_column columns[] = {{"NAME", FH_CLI_LEFT}, {"MODELS", FH_CLI_WRAP}, {NULL, FH_CLI_LEFT}};
    FH_AUTO(fh_cli_table) fh_cli_table *t = fh_cli_table_new(columns);
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    int rc = t ? 0 : fh_err_nomem(err);
    for (size_t i = 0; rc == 0 && i < fh_json_count(items); i++) rc = add_row(t, fh_json_at(items, i), err);
    if (rc) return rc;
    fh_cli_table_write(t, &out);
    return fh_cli_print(&out, err);
}

static int run_list(fh_cli *c, fh_err **err)
{
    fh_cli_client s;
    FH_AUTO(json) fh_json *reply = NULL;
    int rc = fh_client_open(c, &s, err);
    if (!rc) rc = fh_client_call(&s, "GET", "/api/v1/groups", NULL, &reply, err);
    if (rc) return rc;
    return c->json ? fh_cli_print_json(reply, err) : print_rows(fh_json_get(reply, "items"), err);
}

static int run_remove(fh_cli *c, fh_err **err)
{
    fh_cli_client s;
    char path[256];
    FH_AUTO(json) fh_json *nothing = NULL, *said = fh_json_new_object();
    FH_AUTO(buf) fh_buf out = FH_BUF(1024);
    int rc = fh_client_open(c, &s, err);
    if (rc) return rc;
    if (!fh_client_path(path, sizeof path, "/api/v1/groups/", fh_cli_operand(c, 0), ""))
        return fh_err_set(err, FH_E_NOT_FOUND, "there is no such group");
    rc = fh_client_call(&s, "DELETE", path, NULL, &nothing, err);
    if (rc) return rc;
    fh_json_set(said, "removed", fh_json_new_cstr(fh_cli_operand(c, 0)));
    if (c->json) return fh_cli_print_json(said, err);
    fh_buf_addf(&out, "%s is removed; its models stay\n", fh_cli_operand(c, 0));
    return fh_cli_print(&out, err);
}

static const char *const create_examples[] = {"freehold group create quick smollm2-135m smollm2-360m",
                                              "freehold group create auto smollm2-1.7b provider/lab/qwen3-8b", NULL};

const fh_cli_verb fh_verb_group_create = {
    .name = "group create",
    .group = "Server",
    .summary = "a name that stands for several models, of which one answers each request",
    .operands = "NAME MODEL...",
    .min_operands = 2,
    .max_operands = MODELS_MAX + 1,
    .about = "Requests ask for NAME as for a model; the smallest that is good enough answers, as learned from how answers turned out. A "
             "MODEL is a model's name, deployment/NAME or provider/NAME/MODEL; name the smallest first where their size is not known.\n\n"
             "A group named auto takes the place of the built-in one, which is all that runs here. What a model costs can be said when a "
             "group is made over HTTP: POST /api/v1/groups.",
    .examples = create_examples,
    .run = run_create,
};
const fh_cli_verb fh_verb_group_list = {
    .name = "group list",
    .group = "Server",
    .summary = "groups of models",
    .operands = "",
    .run = run_list,
};
const fh_cli_verb fh_verb_group_remove = {
    .name = "group remove",
    .group = "Server",
    .summary = "remove a group; its models stay",
    .operands = "NAME",
    .min_operands = 1,
    .max_operands = 1,
    .run = run_remove,
};
