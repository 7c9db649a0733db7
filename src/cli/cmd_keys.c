/* freehold key create, list, rotate, revoke; freehold console: who may speak to the server. */
#include "base/clock.h"
#include "base/limits.h"
#include "client.h"
#include "server/keys.h"

#include <stdio.h>
#include <string.h>

#define MINUTE_NS (60 * FH_NS_PER_S)

static const char *const bounds[][2] = {/* flag, member of the request */
                                        {"requests-per-minute", "requests_per_minute"},
                                        {"tokens-per-minute", "tokens_per_minute"},
                                        {"at-once", "at_once"},
                                        {"days", "days"}};
static const char *const words[][2] = {
    {"priority", "priority"}, {"priority-most", "priority_most"}, {"prefer", "prefer"}, {"trust", "trust"}, {"owner", "owner"}};

static int create_offline(const fh_cli *c, fh_json **ret, fh_err **err)
{
    char data[1024];
    const char *given = fh_cli_has(c, "models") ? "models" : fh_cli_has(c, "regions") ? "regions" : NULL;
    for (size_t i = 0; i < FH_COUNT(bounds); i++)
        if (fh_cli_has(c, bounds[i][0])) given = bounds[i][0];
    for (size_t i = 0; i < FH_COUNT(words); i++)
        if (fh_cli_has(c, words[i][0])) given = words[i][0];
    if (fh_cli_has(c, "no-page-cache")) given = "no-page-cache";
    if (given) return fh_err_set(err, FH_E_USAGE, "--%s is set through a server, not with --data", given);
    int rc = fh_cli_data_dir(c, data, sizeof data, err);
    return rc ? rc
              : fh_keys_create_offline(data, fh_cli_text(c, "store", NULL), fh_cli_operand(c, 0), fh_cli_text(c, "scope", "use"), ret, err);
}

static void set_bounds(const fh_cli *c, fh_json *body)
{
    for (size_t i = 0; i < FH_COUNT(bounds); i++)
        if (fh_cli_has(c, bounds[i][0])) fh_json_set(body, bounds[i][1], fh_json_new_int(fh_cli_int(c, bounds[i][0], 0)));
    for (size_t i = 0; i < FH_COUNT(words); i++)
        if (fh_cli_has(c, words[i][0])) fh_json_set(body, words[i][1], fh_json_new_cstr(fh_cli_text(c, words[i][0], NULL)));
}

/* Names split by commas; the flag may come several times. */
static void set_names(const fh_cli *c, const char *flag, fh_json *body)
{
    fh_json *list = fh_json_new_array();
    const char *given;
    if (!fh_cli_has(c, flag)) return;
    for (size_t i = 0; (given = fh_cli_nth(c, flag, i)); i++) {
        for (const char *p = given; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
            fh_json_append(list, fh_json_new_str(fh_str_trim((fh_str){p, strcspn(p, ",")})));
    }
    fh_json_set(body, flag, list);
}

static int create_through_server(const fh_cli *c, fh_json **ret, fh_err **err)
{
    fh_cli_client s;
    FH_AUTO(json) fh_json *body = fh_json_new_object();
    fh_json_set(body, "name", fh_json_new_cstr(fh_cli_operand(c, 0)));
    fh_json_set(body, "scope", fh_json_new_cstr(fh_cli_text(c, "scope", "use")));
    set_bounds(c, body);
    set_names(c, "models", body);
    set_names(c, "regions", body);
    if (fh_cli_has(c, "no-page-cache")) fh_json_set(body, "page_cache", fh_json_new_bool(false));
    int rc =
        fh_cli_has(c, "store") ? fh_err_set(err, FH_E_USAGE, "--store is for --data: a server knows its own") : fh_client_open(c, &s, err);
    return rc ? rc : fh_client_call(&s, "POST", "/api/v1/keys", body, ret, err);
}

/* The key alone, so that it can be written to a file as it is. */
static int print_text(const fh_cli *c, const fh_json *key, fh_err **err)
{
    if (c->json) return fh_cli_print_json(key, err);
    FH_AUTO(buf) fh_buf out = FH_BUF(4096);
    fh_buf_addf(&out, "%s\n", fh_cli_str_of(key, "key"));
    int rc = fh_cli_print(&out, err);
    if (rc || !fh_cli_terminal_out()) return rc;
    fprintf(stderr, "This is the only time that it is shown. `freehold key revoke %s` ends it.\n", fh_cli_str_of(key, "id"));
    const char *until = fh_cli_str_of(key, "old_secret_until");
    if (until[0]) fprintf(stderr, "The one before opens until %.16s UTC.\n", until);
    return 0;
}

static int run_key_create(fh_cli *c, fh_err **err)
{
    FH_AUTO(json) fh_json *made = NULL;
    int rc = fh_cli_has(c, "data") ? create_offline(c, &made, err) : create_through_server(c, &made, err);
    if (rc) return rc;
    return print_text(c, made, err);
}

/* To the minute, as it is known. */
static void last_use(const fh_json *k, char *out, size_t out_size)
{
    int64_t since = fh_cli_since(k, "used");
    if (!fh_cli_str_of(k, "used")[0])
        snprintf(out, out_size, "never");
    else if (since < 2 * MINUTE_NS)
        snprintf(out, out_size, "now");
    else
        fh_cli_age(since, out, out_size);
}

static bool add_key(fh_cli_table *t, const fh_json *k)
{
    char created[24], used[24], state[64] = "valid";
    const char *expires = fh_cli_str_of(k, "expires");
    fh_cli_age(fh_cli_since(k, "created"), created, sizeof created);
    last_use(k, used, sizeof used);
    if (expires[0]) snprintf(state, sizeof state, "until %.16s", expires);
    if (fh_cli_str_of(k, "revoked")[0]) snprintf(state, sizeof state, "revoked");
    const char *cells[] = {fh_cli_str_of(k, "id"), fh_cli_str_of(k, "name"), fh_cli_str_of(k, "scope"), created, used, state};
    return fh_cli_table_add(t, cells);
}

static int print_keys(const fh_json *items, fh_err **err)
{
    static const fh_cli_column columns[] = {{"ID", FH_CLI_LEFT},   {"NAME", FH_CLI_SHRINK}, {"SCOPE", FH_CLI_SHRINK},
                                            {"AGE", FH_CLI_RIGHT}, {"USED", FH_CLI_RIGHT},  {"STATE", FH_CLI_LEFT},
                                            {NULL, FH_CLI_LEFT}};
    FH_AUTO(fh_cli_table) fh_cli_table *t = fh_cli_table_new(columns);
    FH_AUTO(buf) fh_buf out = FH_BUF(64 << 20);
    for (size_t i = 0; t && i < fh_json_count(items); i++)
        if (!add_key(t, fh_json_at(items, i))) return fh_err_nomem(err);
    if (!t) return fh_err_nomem(err);
    fh_cli_table_write(t, &out);
    return fh_cli_print(&out, err);
}

static int run_key_list(fh_cli *c, fh_err **err)
{
    fh_cli_client s;
    FH_AUTO(json) fh_json *reply = NULL;
    int rc = fh_client_open(c, &s, err);
    if (!rc) rc = fh_client_call(&s, "GET", "/api/v1/keys", NULL, &reply, err);
    if (rc) return rc;
    return c->json ? fh_cli_print_json(reply, err) : print_keys(fh_json_get(reply, "items"), err);
}

/* What people paste is often the whole key: its id is all that is sent. */
static void id_of(const char *given, char out[16])
{
    const char *id = strncmp(given, "fh_", 3) == 0 ? given + 3 : given;
    snprintf(out, 16, "%.8s", id);
}

static int run_key_rotate(fh_cli *c, fh_err **err)
{
    fh_cli_client s;
    char path[128], id[16];
    int64_t grace_s = 0;
    FH_AUTO(json) fh_json *body = fh_json_new_object(), *shown = NULL;
    id_of(fh_cli_operand(c, 0), id);
    int rc = fh_cli_duration(c, "grace", FH_LIMIT_KEY_GRACE_S, &grace_s, err);
    fh_json_set(body, "grace_s", fh_json_new_int(grace_s));
    if (!rc) rc = fh_client_open(c, &s, err);
    if (!rc && !fh_client_path(path, sizeof path, "/api/v1/keys/", id, "/rotate"))
        rc = fh_err_set(err, FH_E_NOT_FOUND, "there is no such key");
    if (!rc) rc = fh_client_call(&s, "POST", path, body, &shown, err);
    return rc ? rc : print_text(c, shown, err);
}

static int run_key_revoke(fh_cli *c, fh_err **err)
{
    fh_cli_client s;
    char path[128], id[16];
    FH_AUTO(json) fh_json *revoked = NULL;
    id_of(fh_cli_operand(c, 0), id);
    int rc = fh_client_open(c, &s, err);
    if (!rc && !fh_client_path(path, sizeof path, "/api/v1/keys/", id, "")) rc = fh_err_set(err, FH_E_NOT_FOUND, "there is no such key");
    if (!rc) rc = fh_client_call(&s, "DELETE", path, NULL, &revoked, err);
    if (rc) return rc;
    if (c->json) return fh_cli_print_json(revoked, err);
    FH_AUTO(buf) fh_buf out = FH_BUF(1024);
    fh_buf_addf(&out, "%s (%s) is revoked\n", fh_cli_str_of(revoked, "id"), fh_cli_str_of(revoked, "name"));
    return fh_cli_print(&out, err);
}

static int run_console(fh_cli *c, fh_err **err)
{
    fh_cli_client s;
    FH_AUTO(json) fh_json *body = fh_json_new_object(), *made = NULL;
    int rc = fh_client_open(c, &s, err);
    if (!rc) rc = fh_client_call(&s, "POST", "/api/v1/console-links", body, &made, err);
    if (rc) return rc;
    if (c->json) return fh_cli_print_json(made, err);
    FH_AUTO(buf) fh_buf out = FH_BUF(4096);
    fh_buf_addf(&out, "%s\n", fh_cli_str_of(made, "url"));
    if (!fh_cli_has(c, "url-only")) fh_buf_adds(&out, "Open it in a browser. It works once, within 15 minutes.\n");
    return fh_cli_print(&out, err);
}

static const fh_cli_flag create_flags[] = {
    {"scope", 0, FH_CLI_TEXT, "LIST",
     "use (the default) may ask models; admin may change everything; or some of chat, completions, embeddings, responses, messages, "
     "tokenize, "
     "read, spend, wake and guard, with commas between them",
     0, 0},
    {"models", 0, FH_CLI_TEXT, "LIST", "models, groups, deployment/NAME or provider/NAME that it may ask for, with commas; default all", 0,
     0},
    {"regions", 0, FH_CLI_TEXT, "LIST", "regions that its requests may be answered in, with commas; default anywhere", 0, 0},
    {"requests-per-minute", 0, FH_CLI_INT, "N", "requests that it may make in a minute; beyond: 429", 1, 1000000000},
    {"tokens-per-minute", 0, FH_CLI_INT, "N", "tokens, of prompts and answers, that it may use in a minute; beyond: 429", 1, 1000000000000},
    {"at-once", 0, FH_CLI_INT, "N", "requests that it may have under way at once; beyond: 429", 1, 1000000},
    {"priority", 0, FH_CLI_TEXT, "low|normal|high",
     "of its requests where they wait for an engine, unless they name another; default normal", 0, 0},
    {"priority-most", 0, FH_CLI_TEXT, "low|normal|high", "the most that its requests may name (x-freehold-priority); default --priority", 0,
     0},
    {"prefer", 0, FH_CLI_TEXT, "price|speed|energy", "what its requests would rather have, unless they say (x-freehold-prefer)", 0, 0},
    {"no-page-cache", 0, FH_CLI_BOOL, NULL, "nothing that is computed of its prompts is kept on disk", 0, 0},
    {"trust", 0, FH_CLI_TEXT, "LIST",
     "who may read its requests, at most: own, rented, named or any, or names besides, with commas: node/NAME, provider/NAME, owner/NAME",
     0, 0},
    {"owner", 0, FH_CLI_TEXT, "NAME", "who pays for them: what they ask of machines of the same owner earns those no standing", 0, 0},
    {"days", 0, FH_CLI_INT, "N", "days after which it is no longer valid", 1, 36500},
    {"data", 0, FH_CLI_TEXT, "DIR", "make it in this data folder, without a server (which must not run on it): needs no key", 0, 0},
    {"store", 0, FH_CLI_TEXT, "URL", "with --data: the server's --store, if it has one (default sqlite:DATA/freehold.db)", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};
static const char *const create_examples[] = {"freehold key create laptop",
                                              "freehold key create --scope chat,read --models smollm2 --at-once 4 widget",
                                              "freehold key create --data ~/.local/share/freehold --scope admin rescue", NULL};
static const fh_cli_flag rotate_flags[] = {
    {"grace", 0, FH_CLI_TEXT, "TIME", "how long the text before opens too, as 90s, 10m, 12h or 7d; default not any more", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};
static const char *const rotate_examples[] = {"freehold key rotate --grace 1h abcdefgh >new-key", NULL};
static const fh_cli_flag console_flags[] = {
    {"url-only", 0, FH_CLI_BOOL, NULL, "print the link alone", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};

const fh_cli_verb fh_verb_key_create = {
    .name = "key create",
    .group = "Server",
    .summary = "make a key and print it, once",
    .operands = "NAME",
    .min_operands = 1,
    .max_operands = 1,
    .about = "It is made by the server, with an admin key. Whoever has lost every key stops the server and makes one with --data, as the "
             "user that the server runs as.",
    .examples = create_examples,
    .flags = create_flags,
    .run = run_key_create,
};
const fh_cli_verb fh_verb_key_list = {
    .name = "key list",
    .group = "Server",
    .summary = "all keys, without their secrets",
    .operands = "",
    .run = run_key_list,
};
const fh_cli_verb fh_verb_key_rotate = {
    .name = "key rotate",
    .group = "Server",
    .summary = "give a key another text and print it, once",
    .operands = "ID",
    .min_operands = 1,
    .max_operands = 1,
    .about = "The key keeps its id, its scopes and limits, and what is stored for it; only its text changes.",
    .examples = rotate_examples,
    .flags = rotate_flags,
    .run = run_key_rotate,
};
const fh_cli_verb fh_verb_key_revoke = {
    .name = "key revoke",
    .group = "Server",
    .summary = "end a key, at once",
    .operands = "ID",
    .min_operands = 1,
    .max_operands = 1,
    .run = run_key_revoke,
};
const fh_cli_verb fh_verb_console = {
    .name = "console",
    .group = "Server",
    .summary = "a new one-time link to the console",
    .operands = "",
    .flags = console_flags,
    .run = run_console,
};
