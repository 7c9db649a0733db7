/* freehold provider add, list, check, remove: hosted endpoints, and accounts that machines are rented of. */
#include "base/limits.h"
#include "client.h"
#include "provider_honesty.h"
#include "rent/rental.h"
#include "sys/file.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_BYTES_MAX = 4096 };
#define NANO       1e9
#define PRICE_MOST 1e6 /* dollars a million tokens */

/* The key for the endpoint, from a file: never from the command line, where others could read it. */
static int set_key(const fh_cli *c, fh_json *body, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(KEY_BYTES_MAX);
    const char *file = fh_cli_text(c, "key-file", NULL);
    if (!file) return 0;
    int rc = fh_file_read(file, KEY_BYTES_MAX, &text, err);
    if (rc) return fh_err_add(err, "the provider's key cannot be read");
    bool set = fh_json_set(body, "key", fh_json_new_str(fh_str_trim((fh_str){fh_buf_cstr(&text), text.len})));
    if (text.data) explicit_bzero(text.data, text.len);
    return set ? 0 : fh_err_nomem(err);
}

/* An account's key stays in its file: the server is told where that is. */
static int set_key_file(const fh_cli *c, bool rents, fh_json *body, fh_err **err)
{
    char path[PATH_MAX];
    const char *file = fh_cli_text(c, "key-file", NULL);
    if (!file && !rents) return 0;
    if (!file) {
        fh_err_set(err, FH_E_USAGE, "machines are rented with an account's key");
        fh_err_hint(err, "--key-file FILE: a file that only its owner can read");
        return FH_E_USAGE;
    }
    if (!realpath(file, path)) return fh_err_set(err, FH_E_NOT_FOUND, "there is no file %s", file);
    return fh_json_set(body, "key_file", fh_json_new_cstr(path)) ? 0 : fh_err_nomem(err);
}

/* "FILE", or "MODEL=FILE". */
static fh_json *tokenizer_json(const char *text, fh_err **err)
{
    char path[PATH_MAX];
    const char *equals = strrchr(text, '='), *file = equals ? equals + 1 : text;
    fh_json *o = fh_json_new_object();
    if (!realpath(file, path)) {
        fh_err_set(err, FH_E_NOT_FOUND, "there is no file %s", file);
        fh_err_hint(err, "--tokenizer FILE, or --tokenizer MODEL=FILE: a GGUF, a tokenizer.json or a tiktoken file");
        fh_json_unref(o);
        return NULL;
    }
    fh_json_set(o, "file", fh_json_new_cstr(path));
    if (equals) fh_json_set(o, "model", fh_json_new_str((fh_str){text, (size_t)(equals - text)}));
    return o;
}

static int set_tokenizers(const fh_cli *c, fh_json *body, fh_err **err)
{
    FH_AUTO(json) fh_json *list = fh_json_new_array();
    const char *text;
    for (size_t i = 0; (text = fh_cli_nth(c, "tokenizer", i)); i++) {
        fh_json *one = tokenizer_json(text, err);
        if (!one) return fh_err_code(*err);
        fh_json_append(list, one);
    }
    if (fh_json_count(list)) fh_json_set(body, "tokenizers", fh_take(list));
    return 0;
}

/* "IN/OUT" or "MODEL=IN/OUT": dollars a million tokens. */
static fh_json *price_json(const char *text, fh_err **err)
{
    const char *equals = strrchr(text, '='), *in = equals ? equals + 1 : text, *slash = strchr(in, '/');
    double prices[2] = {-1, -1};
    bool good = slash && fh_str_f64((fh_str){in, (size_t)(slash - in)}, &prices[0]) && fh_str_f64(fh_str_of(slash + 1), &prices[1]);
    if (!good || prices[0] < 0 || prices[1] < 0 || prices[0] > PRICE_MOST || prices[1] > PRICE_MOST) {
        fh_err_set(err, FH_E_USAGE, "--price %s is no price", text);
        fh_err_hint(err, "--price IN/OUT or MODEL=IN/OUT, in dollars a million tokens: --price glm-5.3=1.40/4.40");
        return NULL;
    }
    fh_json *o = fh_json_new_object();
    if (equals) fh_json_set(o, "model", fh_json_new_str((fh_str){text, (size_t)(equals - text)}));
    fh_json_set(o, "input_nusd_per_million", fh_json_new_int((int64_t)(prices[0] * NANO + 0.5)));
    fh_json_set(o, "output_nusd_per_million", fh_json_new_int((int64_t)(prices[1] * NANO + 0.5)));
    return o;
}

static int set_prices(const fh_cli *c, fh_json *body, fh_err **err)
{
    FH_AUTO(json) fh_json *list = fh_json_new_array();
    const char *text;
    for (size_t i = 0; (text = fh_cli_nth(c, "price", i)); i++) {
        fh_json *one = price_json(text, err);
        if (!one) return fh_err_code(*err);
        fh_json_append(list, one);
    }
    if (fh_json_count(list)) fh_json_set(body, "prices", fh_take(list));
    return 0;
}

/* KEY=VALUE, which the provider's kind knows. */
static int set_settings(const fh_cli *c, fh_json *body, fh_err **err)
{
    FH_AUTO(json) fh_json *all = fh_json_new_object();
    const char *text;
    for (size_t i = 0; (text = fh_cli_nth(c, "set", i)); i++) {
        char key[64];
        const char *equals = strchr(text, '=');
        if (!equals || equals == text || (size_t)(equals - text) >= sizeof key) {
            fh_err_set(err, FH_E_USAGE, "--set wants KEY=VALUE, not '%.64s'", text);
            fh_err_hint(err, "for example --set partition=gpu");
            return FH_E_USAGE;
        }
        snprintf(key, sizeof key, "%.*s", (int)(equals - text), text);
        fh_json_set(all, key, fh_json_new_cstr(equals + 1));
    }
    if (fh_json_count(all)) fh_json_set(body, "settings", fh_take(all));
    return 0;
}

static bool rents_by_offers(const fh_json *p)
{
    return fh_rent_profile_find(fh_str_of(fh_cli_str_of(p, "kind"))) != NULL;
}

/* A cluster, or a box with a login. */
static bool is_supply(const fh_json *p)
{
    return !rents_by_offers(p) && fh_json_kind_of(fh_json_get(p, "settings")) == FH_JSON_OBJECT;
}

static int say(const fh_cli *c, const fh_json *p, const char *what, fh_err **err)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    const fh_json *models = fh_json_get(p, "models"), *offers = fh_json_get(p, "offers");
    if (c->json) return fh_cli_print_json(p, err);
    if (rents_by_offers(p)) {
        int64_t n = fh_json_int(offers, 0);
        fh_buf_addf(&out, "%s %s: %lld offer%s at %s\n", fh_cli_str_of(p, "name"), what, (long long)n, n == 1 ? "" : "s",
                    fh_cli_str_of(p, "url"));
        return fh_cli_print(&out, err);
    }
    if (is_supply(p)) {
        const char *name = fh_cli_str_of(p, "name");
        fh_buf_addf(&out, "%s %s; it is asked when a machine is wanted, and says then what is wrong: freehold run MODEL --on provider/%s\n",
                    name, what, name);
        return fh_cli_print(&out, err);
    }
    size_t count = fh_json_count(models);
    fh_buf_addf(&out, "%s %s: %zu model%s at %s\n", fh_cli_str_of(p, "name"), what, count, count == 1 ? "" : "s", fh_cli_str_of(p, "url"));
    for (size_t i = 0; i < count && i < 10; i++) fh_buf_addf(&out, "  %s\n", fh_json_str(fh_json_at(models, i)).ptr);
    if (count > 10) fh_buf_addf(&out, "  and %zu more: `freehold provider list --json`\n", count - 10);
    return fh_cli_print(&out, err);
}

static int run_add(fh_cli *c, fh_err **err)
{
    fh_cli_client s;
    FH_AUTO(json) fh_json *body = fh_json_new_object(), *made = NULL;
    fh_json_set(body, "name", fh_json_new_cstr(fh_cli_operand(c, 0)));
    if (fh_cli_has(c, "url")) fh_json_set(body, "url", fh_json_new_cstr(fh_cli_text(c, "url", "")));
    if (fh_cli_has(c, "kind")) fh_json_set(body, "kind", fh_json_new_cstr(fh_cli_text(c, "kind", "")));
    if (fh_cli_has(c, "trust")) fh_json_set(body, "trust", fh_json_new_cstr(fh_cli_text(c, "trust", "")));
    if (fh_cli_has(c, "region")) fh_json_set(body, "region", fh_json_new_cstr(fh_cli_text(c, "region", "")));
    if (fh_cli_has(c, "check")) fh_json_set(body, "canaries_per_day", fh_json_new_int(fh_cli_int(c, "check", 0)));
    const fh_rent_profile *profile = fh_rent_profile_find(fh_str_of(fh_cli_text(c, "kind", "")));
    bool rents = profile && !profile->commands;
    bool hosted =
        !fh_cli_has(c, "kind") || !strcmp(fh_cli_text(c, "kind", ""), "openai") || !strcmp(fh_cli_text(c, "kind", ""), "anthropic");
    int rc = hosted ? set_key(c, body, err) : set_key_file(c, rents, body, err);
    if (!rc) rc = set_settings(c, body, err);
    if (!rc) rc = set_tokenizers(c, body, err);
    if (!rc) rc = set_prices(c, body, err);
    if (!rc) rc = fh_client_open(c, &s, err);
    if (!rc) rc = fh_client_call(&s, "POST", "/api/v1/providers", body, &made, err);
    return rc ? rc : say(c, made, "is added", err);
}

static bool add_row(fh_cli_table *t, const fh_json *p)
{
    char models[24], offers[24] = "-", standing[24];
    const fh_json *n = fh_json_get(p, "offers");
    snprintf(models, sizeof models, "%zu", fh_json_count(fh_json_get(p, "models")));
    if (fh_json_kind_of(n) == FH_JSON_INT) snprintf(offers, sizeof offers, "%lld", (long long)fh_json_int(n, 0));
    const char *region = fh_cli_str_of(p, "region");
    snprintf(standing, sizeof standing, "%lld", (long long)fh_json_int(fh_json_get(fh_json_get(p, "standing"), "standing"), 0));
    const char *cells[] = {fh_cli_str_of(p, "name"),
                           fh_cli_str_of(p, "kind"),
                           fh_cli_str_of(p, "trust"),
                           fh_cli_str_of(p, "honesty"),
                           standing,
                           region[0] ? region : "-",
                           models,
                           offers,
                           fh_cli_str_of(p, "url")};
    return fh_cli_table_add(t, cells);
}

static int print_rows(const fh_json *items, fh_err **err)
{
    static const fh_cli_column columns[] = {
        {"NAME", FH_CLI_LEFT},   {"KIND", FH_CLI_LEFT},    {"TRUST", FH_CLI_LEFT},   {"HONESTY", FH_CLI_LEFT}, {"STANDING", FH_CLI_RIGHT},
        {"REGION", FH_CLI_LEFT}, {"MODELS", FH_CLI_RIGHT}, {"OFFERS", FH_CLI_RIGHT}, {"URL", FH_CLI_SHRINK},   {NULL, FH_CLI_LEFT}};
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
    int rc = fh_client_open(c, &s, err);
    if (!rc) rc = fh_client_call(&s, "GET", "/api/v1/providers", NULL, &reply, err);
    if (rc) return rc;
    return c->json ? fh_cli_print_json(reply, err) : print_rows(fh_json_get(reply, "items"), err);
}

static int call_one(fh_cli *c, const char *method, const char *after, const fh_json *body, fh_json **ret, fh_err **err)
{
    fh_cli_client s;
    char path[256];
    int rc = fh_client_open(c, &s, err);
    if (rc) return rc;
    if (!fh_client_path(path, sizeof path, "/api/v1/providers/", fh_cli_operand(c, 0), after))
        return fh_err_set(err, FH_E_NOT_FOUND, "there is no such provider");
    return fh_client_call(&s, method, path, body, ret, err);
}

static int run_check(fh_cli *c, fh_err **err)
{
    FH_AUTO(json) fh_json *body = fh_json_new_object(), *checked = NULL;
    if (fh_cli_has(c, "honesty") || fh_cli_has(c, "measure")) return fh_provider_honesty(c, err);
    int rc = call_one(c, "POST", "/check", body, &checked, err);
    return rc ? rc : say(c, checked, is_supply(checked) ? "was not asked" : "answers", err);
}

static int run_remove(fh_cli *c, fh_err **err)
{
    FH_AUTO(json) fh_json *nothing = NULL, *said = fh_json_new_object();
    FH_AUTO(buf) fh_buf out = FH_BUF(1024);
    int rc = call_one(c, "DELETE", "", NULL, &nothing, err);
    if (rc) return rc;
    fh_json_set(said, "removed", fh_json_new_cstr(fh_cli_operand(c, 0)));
    if (c->json) return fh_cli_print_json(said, err);
    fh_buf_addf(&out, "%s is removed, and its key forgotten\n", fh_cli_operand(c, 0));
    return fh_cli_print(&out, err);
}

static const fh_cli_flag add_flags[] = {
    {"url", 0, FH_CLI_TEXT, "URL", "where it is, with or without /v1, or ssh://USER@HOST, or a slurmrestd; not needed to rent", 0, 0},
    {"key-file", 0, FH_CLI_TEXT, "FILE", "file that holds the key for it (FREEHOLD_KEY_FILE names the key for the server)", 0, 0},
    {"kind", 0, FH_CLI_TEXT, "KIND",
     "openai (without) or anthropic: which API it speaks; runpod, vast, lambda or skypilot: machines are rented there; slurm: a cluster; "
     "ssh: a box "
     "with a login",
     0, 0},
    {"set", 0, FH_CLI_TEXT, "KEY=VALUE", "of one that machines are got of: what its kind wants to know; may come several times", 0, 0},
    {"trust", 0, FH_CLI_TEXT, "own|rented|named|any", "requests that allow no more go there; without: own for this machine, else named", 0,
     0},
    {"region", 0, FH_CLI_TEXT, "NAME", "where it stands, as eu-west-1: requests that demand a region (x-freehold-region) go nowhere else",
     0, 0},
    {"tokenizer", 0, FH_CLI_TEXT, "[MODEL=]FILE",
     "count tokens by this GGUF, tokenizer.json or tiktoken file in an import folder, of one model or all; may come several times", 0, 0},
    {"check", 0, FH_CLI_INT, "N",
     "send it N canaries a day, of models that are ready here too: whether it serves what it says (docs/HONESTY.md); none without", 0,
     FH_LIMIT_HONESTY_CANARIES_PER_DAY},
    {"price", 0, FH_CLI_TEXT, "[MODEL=]IN/OUT",
     "dollars a million tokens of prompts and of answers, of one model or all: plans and costs go by them; may come several times", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};
static const char *const add_examples[] = {
    "freehold provider add lab --url http://127.0.0.1:8080",
    "freehold provider add example --url https://api.example.com --key-file ~/example.key --price 1.40/4.40",
    "freehold provider add cloud --kind runpod --key-file /etc/freehold/runpod.key",
    "freehold provider add hpc --kind slurm --url ssh://me@login --key-file ~/.ssh/hpc --set partition=gpu",
    "freehold provider add hpc --kind slurm --url https://slurm:6820 --key-file ~/slurm.token --set user=me --set program=/opt/freehold",
    NULL};

const fh_cli_verb fh_verb_provider_add = {
    .name = "provider add",
    .group = "Server",
    .summary = "name a hosted endpoint, or an account to rent of",
    .operands = "NAME",
    .min_operands = 1,
    .max_operands = 1,
    .about =
        "Any endpoint that speaks OpenAI's or Anthropic's API: llama-server, vLLM, a hosted service. It is asked for its models "
        "first. Ask for "
        "them by their names, or for one endpoint's alone as provider/NAME/MODEL.\n\n"
        "With --kind runpod, vast or lambda it is an account that machines are rented of: what it offers now, at its prices, stands in "
        "plans (docs/RENTING.md). Its key stays in the file, which only its owner may read, and which the server reads for each "
        "question. With --kind skypilot the program `sky` rents, with the credentials that it has: --set infra=CLOUD --set "
        "accelerators=NAME:COUNT,... "
        "instead of a key.\n\n"
        "With --kind slurm it is a cluster, by its login node (without --url: this machine): `freehold run MODEL --on provider/NAME` runs "
        "on a node that the scheduler gives (docs/SLURM.md). With an http(s) URL it is spoken to by its slurmrestd: --key-file holds the "
        "token, "
        "which is read for each question, --set user=NAME says whose, --set program=PATH where freehold is on the nodes.\n\n"
        "A request goes no further than it allows: what the endpoint of another may answer needs the header x-freehold-trust: named.",
    .examples = add_examples,
    .flags = add_flags,
    .run = run_add,
    .own_key_file = true,
};
const fh_cli_verb fh_verb_provider_list = {
    .name = "provider list",
    .group = "Server",
    .summary = "hosted endpoints and accounts, without their keys",
    .operands = "",
    .run = run_list,
};
static const fh_cli_flag check_flags[] = {
    {"honesty", 0, FH_CLI_BOOL, NULL, "ask it canaries, and compare what it says with what the same weights say here", 0, 0},
    {"measure", 0, FH_CLI_BOOL, NULL, "it is known to be honest: how far it is from this machine's engine becomes the measure for others",
     0, 0},
    {"model", 0, FH_CLI_TEXT, "MODEL", "with --honesty: which of its models; without: the first that is ready here too", 0, 0},
    {"canaries", 0, FH_CLI_INT, "N", "with --honesty: how many at most; 100 without. A cheat ends it sooner", 1, FH_LIMIT_HONESTY_CANARIES},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};
static const char *const check_examples[] = {"freehold provider check lab", "freehold provider check lab --honesty --canaries 200", NULL};
const fh_cli_verb fh_verb_provider_check = {
    .name = "provider check",
    .group = "Server",
    .summary = "what it serves or offers now; whether an endpoint is honest",
    .operands = "NAME",
    .min_operands = 1,
    .max_operands = 1,
    .about =
        "With --honesty its answers are held against those of a deployment here that has the weights which it says it serves, by the same "
        "name. Canaries are requests like any other, which it may be paid for; what they cost is said. One that serves other or "
        "coarser weights, old answers, or counts more tokens than there are is then not asked any more. An honest one is accused "
        "with a chance of less than one in a million (docs/HONESTY.md).",
    .examples = check_examples,
    .flags = check_flags,
    .run = run_check,
};
const fh_cli_verb fh_verb_provider_remove = {
    .name = "provider remove",
    .group = "Server",
    .summary = "forget a provider and its key",
    .operands = "NAME",
    .min_operands = 1,
    .max_operands = 1,
    .run = run_remove,
};
