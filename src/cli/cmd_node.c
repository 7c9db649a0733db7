/* freehold node token, list, drain, undrain, remove: the machines of a server's pool. */
#include "client.h"

#include <stdio.h>
#include <string.h>

#define GIB 1073741824LL

/* The token goes through a pipe: what a program is started with, others on that machine can read. */
static void add_line(fh_buf *out, const fh_json *made)
{
    fh_str first = fh_json_str(fh_json_at(fh_json_get(made, "addresses"), 0));
    if (!first.len) first = FH_STR("THIS-SERVER");
    fh_buf_addf(out, "echo %s | freehold node join https://%.*s:%lld\n", fh_cli_str_of(made, "token"), (int)first.len, first.ptr,
                (long long)fh_json_int(fh_json_get(made, "port"), 0));
}

static void say_more(const fh_json *made, bool line)
{
    const fh_json *addresses = fh_json_get(made, "addresses");
    fprintf(stderr, "This is the only time that it is shown. It is good for one machine until %.16s UTC.\n",
            fh_cli_str_of(made, "expires"));
    if (!line) fprintf(stderr, "There, `freehold node join` asks for it; --line prints the whole line to type.\n");
    for (size_t i = 1; line && i < fh_json_count(addresses); i++) {
        fh_str address = fh_json_str(fh_json_at(addresses, i));
        fprintf(stderr, "%s %.*s", i == 1 ? "This server's other addresses:" : ",", (int)address.len, address.ptr);
    }
    if (line && fh_json_count(addresses) > 1) fputc('\n', stderr);
}

static int run_token(fh_cli *c, fh_err **err)
{
    fh_cli_client s;
    bool line = fh_cli_has(c, "line");
    FH_AUTO(json) fh_json *body = fh_json_new_object(), *made = NULL;
    FH_AUTO(buf) fh_buf out = FH_BUF(4096);
    if (fh_cli_has(c, "owner")) fh_json_set(body, "owner", fh_json_new_cstr(fh_cli_text(c, "owner", "")));
    int rc = fh_client_open(c, &s, err);
    if (!rc) rc = fh_client_call(&s, "POST", "/api/v1/nodes/token", body, &made, err);
    if (rc) return rc;
    if (c->json) return fh_cli_print_json(made, err);
    if (line)
        add_line(&out, made);
    else
        fh_buf_addf(&out, "%s\n", fh_cli_str_of(made, "token"));
    rc = fh_cli_print(&out, err);
    if (!rc && fh_cli_terminal_out()) say_more(made, line);
    return rc;
}

/* "4 x NVIDIA H200", or "4 GPUs" of several kinds. */
static void gpus_of(const fh_json *facts, char *out, size_t out_size)
{
    const fh_json *gpus = fh_json_get(facts, "gpus");
    size_t count = fh_json_count(gpus);
    const char *first = fh_cli_str_of(fh_json_at(gpus, 0), "name");
    bool same = true;
    for (size_t i = 1; i < count; i++) same = same && strcmp(first, fh_cli_str_of(fh_json_at(gpus, i), "name")) == 0;
    if (count == 0)
        snprintf(out, out_size, "-");
    else if (same)
        snprintf(out, out_size, "%zu x %s", count, first);
    else
        snprintf(out, out_size, "%zu GPUs", count);
}

static void price_of(const fh_json *o, const char *member, const char *nothing, char *out, size_t out_size)
{
    long long micro = fh_json_int(fh_json_get(o, member), 0), part = micro % 1000000;
    int digits = 6;
    while (digits > 2 && part % 10 == 0) {
        part /= 10;
        digits--;
    }
    if (micro == 0)
        snprintf(out, out_size, "%s", nothing);
    else
        snprintf(out, out_size, "%lld.%0*lld %s", micro / 1000000, digits, part, fh_cli_str_of(o, "ask_currency"));
}

static void seen_of(const fh_json *node, char *out, size_t out_size)
{
    if (fh_json_is_true(fh_json_get(node, "here")))
        snprintf(out, out_size, "now");
    else if (fh_cli_str_of(node, "seen")[0])
        fh_cli_age(fh_cli_since(node, "seen"), out, out_size);
    else
        snprintf(out, out_size, "never");
}

static void count_of(const fh_json *facts, const char *name, long long unit, char *out, size_t out_size)
{
    long long n = fh_json_int(fh_json_get(facts, name), 0);
    if (n)
        snprintf(out, out_size, "%lld", n / unit);
    else
        snprintf(out, out_size, "-");
}

/* A number; a cheat is called one. */
static void standing_of(const fh_json *node, char *out, size_t out_size)
{
    const fh_json *s = fh_json_get(node, "standing");
    const char *honesty = fh_cli_str_of(s, "honesty");
    if (strcmp(honesty, "cheats") == 0)
        snprintf(out, out_size, "%s", honesty);
    else
        snprintf(out, out_size, "%lld", (long long)fh_json_int(fh_json_get(s, "standing"), 0));
}

/* Thousands of millions of bytes a second that it reads of its memory. */
static void speed_of(const fh_json *o, char *out, size_t out_size)
{
    double speed = (double)fh_json_int(fh_json_get(o, "memory_read_bytes_per_s"), 0) / 1e9;
    snprintf(out, out_size, speed > 0 ? "%.1f" : "-", speed);
}

static bool add_row(fh_cli_table *t, const fh_json *node)
{
    char cores[24], memory[24], gpus[128], ask[40], million[40], seen[24], standing[40], said[24], measured[24];
    const fh_json *facts = fh_json_get(node, "facts");
    count_of(facts, "cores", 1, cores, sizeof cores);
    count_of(facts, "memory_bytes", GIB, memory, sizeof memory);
    gpus_of(facts, gpus, sizeof gpus);
    price_of(node, "ask_micro_per_hour", "free", ask, sizeof ask);
    price_of(fh_json_get(facts, "offer"), "ask_micro_per_million", "-", million, sizeof million);
    seen_of(node, seen, sizeof seen);
    speed_of(facts, said, sizeof said);
    speed_of(fh_json_get(node, "measured"), measured, sizeof measured);
    standing_of(node, standing, sizeof standing);
    bool lent = !fh_json_get(fh_json_get(node, "owner"), "closed");
    const char *cells[] = {fh_cli_str_of(node, "name"),
                           lent ? fh_cli_str_of(node, "state") : "not lent",
                           seen,
                           standing,
                           cores,
                           memory,
                           said,
                           measured,
                           ask,
                           million,
                           gpus};
    return fh_cli_table_add(t, cells);
}

static int print_rows(const fh_json *items, fh_err **err)
{
    static const fh_cli_column columns[] = {{"NAME", FH_CLI_LEFT},       {"STATE", FH_CLI_LEFT},  {"SEEN", FH_CLI_RIGHT},
                                            {"STANDING", FH_CLI_RIGHT},  {"CORES", FH_CLI_RIGHT}, {"GIB", FH_CLI_RIGHT},
                                            {"SAYS", FH_CLI_RIGHT},      {"READS", FH_CLI_RIGHT}, {"AN HOUR", FH_CLI_RIGHT},
                                            {"A MILLION", FH_CLI_RIGHT}, {"GPUS", FH_CLI_SHRINK}, {NULL, FH_CLI_LEFT}};
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
    if (!rc) rc = fh_client_call(&s, "GET", "/api/v1/nodes", NULL, &reply, err);
    if (rc) return rc;
    return c->json ? fh_cli_print_json(reply, err) : print_rows(fh_json_get(reply, "items"), err);
}

static int call_one(fh_cli *c, const char *method, const char *after, const fh_json *body, fh_json **ret, fh_err **err)
{
    fh_cli_client s;
    char path[256];
    int rc = fh_client_open(c, &s, err);
    if (rc) return rc;
    if (!fh_client_path(path, sizeof path, "/api/v1/nodes/", fh_cli_operand(c, 0), after))
        return fh_err_set(err, FH_E_NOT_FOUND, "there is no such machine");
    return fh_client_call(&s, method, path, body, ret, err);
}

static int say(const fh_cli *c, const char *what, fh_err **err)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1024);
    fh_buf_addf(&out, "%s %s\n", fh_cli_operand(c, 0), what);
    return fh_cli_print(&out, err);
}

static int run_drain(fh_cli *c, fh_err **err)
{
    FH_AUTO(json) fh_json *body = fh_json_new_object(), *node = NULL;
    int rc = call_one(c, "POST", "/drain", body, &node, err);
    if (rc) return rc;
    return c->json ? fh_cli_print_json(node, err) : say(c, "is draining: nothing new is started on it", err);
}

static int run_undrain(fh_cli *c, fh_err **err)
{
    FH_AUTO(json) fh_json *body = fh_json_new_object(), *node = NULL;
    int rc = call_one(c, "POST", "/undrain", body, &node, err);
    if (rc) return rc;
    return c->json ? fh_cli_print_json(node, err) : say(c, "is used again", err);
}

static int run_remove(fh_cli *c, fh_err **err)
{
    FH_AUTO(json) fh_json *nothing = NULL, *said = fh_json_new_object();
    int rc = call_one(c, "DELETE", "", NULL, &nothing, err);
    if (rc) return rc;
    fh_json_set(said, "removed", fh_json_new_cstr(fh_cli_operand(c, 0)));
    return c->json ? fh_cli_print_json(said, err) : say(c, "is removed, and its certificate is refused", err);
}

static const fh_cli_flag token_flags[] = {
    {"owner", 0, FH_CLI_TEXT, "NAME", "whose machine it is for (default: the owner of the key, if it has one)", 0, 0},
    {"line", 0, FH_CLI_BOOL, NULL, "print the whole line to type on the machine, with the token and where this server is", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};
static const char *const token_examples[] = {"freehold node token --line", "freehold node token >token", NULL};

const fh_cli_verb fh_verb_node_token = {
    .name = "node token",
    .group = "Server",
    .summary = "make a token for a machine to join the pool with, and print it, once",
    .operands = "",
    .about =
        "It is good for one machine and one hour, and holds the fingerprint of the server's certificate, so that the machine knows the "
        "server before it says anything. The server must run with --pool.",
    .flags = token_flags,
    .examples = token_examples,
    .run = run_token,
};
const fh_cli_verb fh_verb_node_list = {
    .name = "node list",
    .group = "Server",
    .summary = "the machines of the pool",
    .operands = "",
    .about = "SAYS is how many GB a second a machine says that it reads of its memory, READS what the server measured (`freehold node "
             "show`); \"-\": "
             "not yet.",
    .run = run_list,
};
const fh_cli_verb fh_verb_node_drain = {
    .name = "node drain",
    .group = "Server",
    .summary = "start nothing new on a machine",
    .operands = "NAME",
    .min_operands = 1,
    .max_operands = 1,
    .run = run_drain,
};
const fh_cli_verb fh_verb_node_undrain = {
    .name = "node undrain",
    .group = "Server",
    .summary = "use a machine again that was drained",
    .operands = "NAME",
    .min_operands = 1,
    .max_operands = 1,
    .run = run_undrain,
};
const fh_cli_verb fh_verb_node_remove = {
    .name = "node remove",
    .group = "Server",
    .summary = "remove a machine from the pool, at once",
    .operands = "NAME",
    .min_operands = 1,
    .max_operands = 1,
    .about = "Its connection ends, and its certificate is refused from now on. It may join again with a new token.",
    .run = run_remove,
};
