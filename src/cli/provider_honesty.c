/* freehold provider check --honesty, provider clear, node check, node clear: whether a hosted endpoint, or a machine of the pool, serves
 * what it says. */
#include "provider_honesty.h"

#include "base/clock.h"
#include "base/limits.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define POLL_NS (500 * FH_NS_PER_MS)

typedef struct kind { /* of places */
    const char *path, *word, *clear;
} kind;
static const kind endpoint = {"/api/v1/providers/", "provider", "provider clear"}, machine = {"/api/v1/nodes/", "machine", "node clear"};

static int honesty_path(const fh_cli *c, const kind *k, char *out, size_t size, fh_err **err)
{
    if (fh_client_path(out, size, k->path, fh_cli_operand(c, 0), "/honesty")) return 0;
    return fh_err_set(err, FH_E_NOT_FOUND, "there is no such %s", k->word);
}

static double number_of(const fh_json *o, const char *name)
{
    return fh_json_num(fh_json_get(o, name), 0);
}

static long long count_of(const fh_json *o, const char *name)
{
    return (long long)fh_json_int(fh_json_get(o, name), 0);
}

static void add_report(fh_buf *out, const fh_json *h)
{
    const fh_json *tests = fh_json_get(h, "tests");
    const char *error = fh_cli_str_of(h, "error");
    fh_buf_addf(out, "%s, %s: %s\n  %s\n", fh_cli_str_of(h, "provider"), fh_cli_str_of(h, "model"), fh_cli_str_of(h, "verdict"),
                fh_cli_str_of(h, "reason"));
    if (error[0]) fh_buf_addf(out, "  ended early: %s\n", error);
    fh_buf_addf(out, "  canaries    %lld, %lld tokens compared; %lld could not be\n", count_of(h, "canaries"), count_of(h, "positions"),
                count_of(h, "unclear"));
    fh_buf_addf(out, "  deviation   %.4f nats; honest ones stay below %.2f\n", number_of(h, "deviation"), number_of(h, "deviation_bound"));
    fh_buf_addf(out, "  asked again %lld, the same answer %lld times\n", count_of(h, "repeats"), count_of(h, "same"));
    fh_buf_addf(out, "  counts      %lld looked at, %lld beyond ours\n", count_of(h, "counted"), count_of(h, "inflated"));
    fh_buf_addf(out, "  evidence    10^%.1f (", number_of(h, "evidence_log10"));
    for (size_t i = 0; i < fh_json_count(tests); i++)
        fh_buf_addf(out, "%s%s 10^%.1f", i ? ", " : "", fh_cli_str_of(fh_json_at(tests, i), "name"),
                    number_of(fh_json_at(tests, i), "evidence_log10"));
    fh_buf_addf(out, "); 10^%.0f is proof\n", -number_of(h, "false_accusation_log10"));
    fh_buf_addf(out, "  spent       %lld tokens of prompts, %lld of answers", count_of(h, "prompt_tokens"),
                count_of(h, "completion_tokens"));
    if (fh_json_kind_of(fh_json_get(h, "cost_nusd")) == FH_JSON_INT) fh_buf_addf(out, ", $%.6f", number_of(h, "cost_nusd") / 1e9);
    fh_buf_addc(out, '\n');
}

/* One line that is written over, on a terminal. */
static void show(const fh_json *h)
{
    char line[120];
    if (!isatty(STDERR_FILENO)) return;
    snprintf(line, sizeof line, "\rcanary %lld of %lld, evidence 10^%.1f   ", count_of(h, "done"), count_of(h, "wanted"),
             number_of(h, "evidence_log10"));
    fh_cli_write(stderr, fh_str_of(fh_json_is_true(fh_json_get(h, "running")) ? line : "\r\n"));
}

static const fh_json *of_model(const fh_json *list, const char *model)
{
    const fh_json *items = fh_json_get(list, "items");
    for (size_t i = 0; i < fh_json_count(items); i++)
        if (strcmp(fh_cli_str_of(fh_json_at(items, i), "model"), model) == 0) return fh_json_at(items, i);
    return NULL;
}

/* The whole list, with the one that was checked, once that is over. */
static int wait_end(const fh_cli_client *s, const char *path, const char *model, fh_json **ret, fh_err **err)
{
    for (;; fh_sleep_ns(POLL_NS)) {
        FH_AUTO(json) fh_json *list = NULL;
        int rc = fh_client_call(s, "GET", path, NULL, &list, err);
        const fh_json *h = of_model(list, model);
        if (rc) return rc;
        if (!h)
            return fh_err_set(err, FH_E_CANCELLED, "the check was given up: what was found out is cleared, or the server was started anew");
        show(h);
        if (fh_json_is_true(fh_json_get(h, "running"))) continue;
        *ret = fh_json_ref((fh_json *)(uintptr_t)h); /* ours: we made the list */
        return 0;
    }
}

static int say(const fh_cli *c, const fh_json *h, fh_err **err)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(65536);
    if (c->json) return fh_cli_print_json(h, err);
    add_report(&out, h);
    return fh_cli_print(&out, err);
}

static int judge(const fh_cli *c, const kind *k, const fh_json *h, fh_err **err)
{
    if (strcmp(fh_cli_str_of(h, "verdict"), "cheats") != 0) return 0;
    fh_err_set(err, FH_E_CONFLICT, "%s does not serve the %s that it says", fh_cli_operand(c, 0), fh_cli_str_of(h, "model"));
    fh_err_hint(err, "it is not asked for that any more; `freehold %s %s` forgets what was found out", k->clear, fh_cli_operand(c, 0));
    return FH_E_CONFLICT;
}

static int check(fh_cli *c, const kind *k, fh_err **err)
{
    fh_cli_client s;
    char path[256];
    FH_AUTO(json) fh_json *body = fh_json_new_object(), *begun = NULL, *h = NULL;
    if (fh_cli_has(c, "model")) fh_json_set(body, "model", fh_json_new_cstr(fh_cli_text(c, "model", "")));
    if (fh_cli_has(c, "measure")) fh_json_set(body, "measure", fh_json_new_bool(true));
    if (fh_cli_has(c, "canaries")) fh_json_set(body, "canaries", fh_json_new_int(fh_cli_int(c, "canaries", 0)));
    int rc = fh_client_open(c, &s, err);
    if (!rc) rc = honesty_path(c, k, path, sizeof path, err);
    if (!rc) rc = fh_client_call(&s, "POST", path, body, &begun, err);
    if (!rc) rc = wait_end(&s, path, fh_cli_str_of(begun, "model"), &h, err);
    if (!rc) rc = say(c, h, err);
    return rc ? rc : judge(c, k, h, err);
}

int fh_provider_honesty(fh_cli *c, fh_err **err)
{
    return check(c, &endpoint, err);
}

static int run_node_check(fh_cli *c, fh_err **err)
{
    return check(c, &machine, err);
}

static int clear(fh_cli *c, const kind *k, fh_err **err)
{
    fh_cli_client s;
    char path[256];
    FH_AUTO(json) fh_json *nothing = NULL, *said = fh_json_new_object();
    FH_AUTO(buf) fh_buf out = FH_BUF(1024);
    int rc = fh_client_open(c, &s, err);
    if (!rc) rc = honesty_path(c, k, path, sizeof path, err);
    if (!rc) rc = fh_client_call(&s, "DELETE", path, NULL, &nothing, err);
    if (rc) return rc;
    fh_json_set(said, "cleared", fh_json_new_cstr(fh_cli_operand(c, 0)));
    if (c->json) return fh_cli_print_json(said, err);
    fh_buf_addf(&out, "what was found out about %s is forgotten\n", fh_cli_operand(c, 0));
    return fh_cli_print(&out, err);
}

static int run_clear(fh_cli *c, fh_err **err)
{
    return clear(c, &endpoint, err);
}

static int run_node_clear(fh_cli *c, fh_err **err)
{
    return clear(c, &machine, err);
}

const fh_cli_verb fh_verb_provider_clear = {
    .name = "provider clear",
    .group = "Server",
    .summary = "forget what was found out about a hosted endpoint's honesty",
    .operands = "NAME",
    .min_operands = 1,
    .max_operands = 1,
    .about = "One that was found to cheat is not asked any more until this is done. Its models are then asked as before, and judged anew.",
    .run = run_clear,
};

static const fh_cli_flag node_check_flags[] = {
    {"model", 0, FH_CLI_TEXT, "MODEL", "which of those that run there; without: the first that is ready here too", 0, 0},
    {"canaries", 0, FH_CLI_INT, "N", "how many at most; 100 without. A cheat ends it sooner", 1, FH_LIMIT_HONESTY_CANARIES},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};
static const char *const node_check_examples[] = {"freehold node check den-2", "freehold node check den-2 --canaries 200", NULL};
const fh_cli_verb fh_verb_node_check = {
    .name = "node check",
    .group = "Server",
    .summary = "whether a machine of the pool computes what it should",
    .operands = "NAME",
    .min_operands = 1,
    .max_operands = 1,
    .about =
        "What runs there is asked canaries, and its answers are held against those of the same weights on this machine, where they must be "
        "ready too. One that computes with others, or coarser ones, gets nothing new, and what ran there goes elsewhere, until `freehold "
        "node clear NAME`. An honest one is accused with a chance of less than one in a million (docs/HONESTY.md).",
    .examples = node_check_examples,
    .flags = node_check_flags,
    .run = run_node_check,
};
const fh_cli_verb fh_verb_node_clear = {
    .name = "node clear",
    .group = "Server",
    .summary = "forget what was found out about a machine of the pool",
    .operands = "NAME",
    .min_operands = 1,
    .max_operands = 1,
    .about = "One that was found to cheat gets nothing new until this is done. Its standing then begins anew.",
    .run = run_node_clear,
};
