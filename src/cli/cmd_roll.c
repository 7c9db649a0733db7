/* freehold roll, wake: a set gets another shape without a pause; one that sleeps is started. */
#include "base/clock.h"
#include "base/limits.h"
#include "client.h"

#include <stdio.h>
#include <string.h>

#define ROLL_WAIT_NS (30 * 60 * FH_NS_PER_S) /* a state without progress is ended by the server long before */
#define POLL_NS      (50 * FH_NS_PER_MS)

static int post_to(const fh_cli_client *s, const char *name, const char *verb, const fh_json *body, fh_json **ret, fh_err **err)
{
    char path[512];
    if (strncmp(name, "deployment/", 11) == 0) name += 11;
    if (!fh_client_path(path, sizeof path, "/api/v1/deployments/", name, verb))
        return fh_err_set(err, FH_E_NOT_FOUND, "there is no deployment with such a long name");
    return fh_client_call(s, "POST", path, body, ret, err);
}

static int run_wake(fh_cli *c, fh_err **err)
{
    fh_cli_client s;
    FH_AUTO(json) fh_json *doc = NULL;
    int rc = fh_client_open(c, &s, err);
    if (!rc) rc = post_to(&s, fh_cli_operand(c, 0), "/wake", NULL, &doc, err);
    if (rc) return rc;
    if (c->json) return fh_cli_print_json(doc, err);
    FH_AUTO(buf) fh_buf out = FH_BUF(1024);
    fh_buf_addf(&out, "%s is %s\n", fh_cli_str_of(doc, "name"), fh_cli_str_of(doc, "state"));
    return fh_cli_print(&out, err);
}

/* ---- roll ---- */

static const fh_json *member_of(const fh_json *list, const char *name)
{
    const fh_json *items = fh_json_get(list, "items");
    for (size_t i = 0; i < fh_json_count(items); i++)
        if (strcmp(fh_cli_str_of(fh_json_at(items, i), "name"), name) == 0) return fh_json_at(items, i);
    return NULL;
}

/* The newest replica, when it has failed: the successor. */
static const fh_json *failed_of(const fh_json *list, const char *set)
{
    const fh_json *items = fh_json_get(list, "items");
    for (size_t i = 0; i < fh_json_count(items); i++) {
        const fh_json *d = fh_json_at(items, i);
        if (strcmp(fh_cli_str_of(d, "set"), set) == 0) return strcmp(fh_cli_str_of(d, "state"), "failed") == 0 ? d : NULL;
    }
    return NULL;
}

static int did_not_start(const fh_json *d, const char *set, fh_err **err)
{
    fh_err_set(err, FH_E_CONFLICT, "%s, the successor, has failed: %s", fh_cli_str_of(d, "name"), fh_cli_str_of(d, "reason"));
    fh_err_hint(err, "what ran before goes on; another roll of %s, as it was or otherwise, ends this one", set);
    return FH_E_CONFLICT;
}

static int look(const fh_cli_client *s, const char *set, bool *ret_done, fh_err **err)
{
    FH_AUTO(json) fh_json *sets = NULL, *deployments = NULL;
    int rc = fh_client_call(s, "GET", "/api/v1/sets", NULL, &sets, err);
    if (!rc) rc = fh_client_call(s, "GET", "/api/v1/deployments", NULL, &deployments, err);
    if (rc) return rc;
    const fh_json *o = member_of(sets, set), *failed = failed_of(deployments, set);
    if (!o) return fh_err_set(err, FH_E_CONFLICT, "%s was stopped meanwhile", set);
    *ret_done = fh_json_int(fh_json_get(o, "leaving"), 0) == 0 &&
                fh_json_int(fh_json_get(o, "ready"), 0) >= fh_json_int(fh_json_get(o, "wanted"), 0);
    return failed ? did_not_start(failed, set, err) : 0;
}

static int wait_rolled(const fh_cli_client *s, const char *set, fh_err **err)
{
    bool done = false;
    for (int64_t until = fh_clock_mono_ns() + ROLL_WAIT_NS; fh_clock_mono_ns() < until; fh_sleep_ns(POLL_NS)) {
        int rc = look(s, set, &done, err);
        if (rc || done) return rc;
    }
    return fh_err_set(err, FH_E_TIMEOUT, "%s is not rolled after half an hour", set);
}

static fh_json *shape_of(const fh_cli *c)
{
    static const char *const texts[][2] = {{"model", "model"}, {"on", "place"}, {"engine", "engine"}, {"kv-type", "kv_type"}};
    static const char *const numbers[][2] = {{"context", "context_tok"}, {"streams", "streams"}};
    fh_json *o = fh_json_new_object();
    for (size_t i = 0; i < FH_COUNT(texts); i++)
        if (fh_cli_has(c, texts[i][0])) fh_json_set(o, texts[i][1], fh_json_new_cstr(fh_cli_text(c, texts[i][0], "")));
    for (size_t i = 0; i < FH_COUNT(numbers); i++)
        if (fh_cli_has(c, numbers[i][0])) fh_json_set(o, numbers[i][1], fh_json_new_int(fh_cli_int(c, numbers[i][0], 0)));
    return o;
}

static int run_roll(fh_cli *c, fh_err **err)
{
    fh_cli_client s;
    FH_AUTO(json) fh_json *doc = NULL, *shape = shape_of(c);
    int rc = fh_client_open(c, &s, err);
    if (!rc) rc = post_to(&s, fh_cli_operand(c, 0), "/roll", shape, &doc, err);
    const char *set = fh_cli_str_of(doc, "set");
    if (!rc) rc = wait_rolled(&s, set, err);
    if (rc) return rc;
    if (c->json) return fh_cli_print_json(doc, err);
    FH_AUTO(buf) fh_buf out = FH_BUF(1024);
    fh_buf_addf(&out, "%s is rolled\n", set);
    return fh_cli_print(&out, err);
}

static const fh_cli_flag roll_flags[] = {
    {"model", 0, FH_CLI_TEXT, "MODEL", "other weights, as `freehold run` takes them (default: the newest of those that run)", 0, 0},
    {"on", 0, FH_CLI_TEXT, "PLACE", "where: here, pool or node/NAME (default: as it was, as with all below)", 0, 0},
    {"engine", 0, FH_CLI_TEXT, "NAME", "what runs it: freehold, llama-server or vllm", 0, 0},
    {"context", 0, FH_CLI_INT, "N", "tokens of context for each stream", 1, FH_LIMIT_CONTEXT_TOK},
    {"streams", 0, FH_CLI_INT, "N", "requests at once", 1, FH_LIMIT_STREAMS},
    {"kv-type", 0, FH_CLI_TEXT, "TYPE", "what its cache is kept as: f16, q8_0 or q4_0", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};

static const char *const roll_examples[] = {"freehold roll smollm2-135m --context 8192", NULL};

const fh_cli_verb fh_verb_roll = {
    .name = "roll",
    .group = "Run models",
    .summary = "give what runs another shape, or newer weights, without a pause",
    .operands = "NAME",
    .min_operands = 1,
    .max_operands = 1,
    .about =
        "NAME is that of `freehold ps`, or the id or alias of a model. A successor of each replica is started, with the program and the "
        "weights of now; once it is ready, the one before ends what it has begun and stops. Requests for deployment/NAME go on. Both "
        "have to fit at the same time; where the successor fails, what ran goes on.",
    .examples = roll_examples,
    .flags = roll_flags,
    .run = run_roll,
};
const fh_cli_verb fh_verb_wake = {
    .name = "wake",
    .group = "Run models",
    .summary = "start a replica of a set that sleeps",
    .operands = "NAME",
    .min_operands = 1,
    .max_operands = 1,
    .about =
        "NAME is that of a set in `freehold ps`, or the id or alias of its model. A request wakes it too; this does not wait until it is "
        "ready.",
    .run = run_wake,
};
