/* Before the first word: a deployment that can answer. The server finds one that runs or starts one; here it is watched until it is ready.
 */
#include "base/clock.h"
#include "base/limits.h"
#include "pool/node_words.h"
#include "run.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READY_WAIT_NS (30 * 60 * FH_NS_PER_S) /* a state without progress is ended by the server long before */
#define POLL_NS       (20 * FH_NS_PER_MS)

static bool has_state(const fh_json *d, const char *state)
{
    return strcmp(fh_cli_str_of(d, "state"), state) == 0;
}

static bool is_over(const fh_json *d)
{
    return has_state(d, "stopped") || has_state(d, "failed") || has_state(d, "draining");
}

static bool is_path(const char *model)
{
    return model[0] == '/' || model[0] == '~' || strncmp(model, "./", 2) == 0 || strncmp(model, "../", 3) == 0;
}

/* A path is meant from where the person stands; every other name is the server's to judge. */
static int name_model(const char *model, char out[PATH_MAX], fh_err **err)
{
    if (is_path(model)) {
        if (realpath(model, out)) return 0;
        fh_err_set(err, FH_E_NOT_FOUND, "there is no file %s", model);
        fh_err_hint(err, "give the path of a GGUF file, or a name of `freehold models`");
        return FH_E_NOT_FOUND;
    }
    snprintf(out, PATH_MAX, "%s", model);
    return 0;
}

static void set_number(const fh_cli *c, fh_json *body, const char *flag, const char *member)
{
    int64_t n = fh_cli_int(c, flag, 0);
    if (n > 0) fh_json_set(body, member, fh_json_new_int(n));
}

static int set_amount(const fh_cli *c, const char *flag, fh_json *limit, const char *member, fh_err **err)
{
    fh_node_ask a;
    const char *text = fh_cli_text(c, flag, NULL);
    if (!text) return 0;
    if (fh_node_ask_parse(fh_str_of(text), &a, NULL) != 0) {
        fh_err_set(err, FH_E_USAGE, "--%s wants an amount, not '%.64s'", flag, text);
        fh_err_hint(err, "it looks like 2.50 or 2.50EUR");
        return FH_E_USAGE;
    }
    fh_str before = fh_json_str(fh_json_get(limit, "currency"));
    if (before.len && !fh_str_eqs(before, a.currency))
        return fh_err_set(err, FH_E_USAGE, "--max-hour and --max-cost are in two currencies");
    fh_json_set(limit, member, fh_json_new_int(a.micro));
    fh_json_set(limit, "currency", fh_json_new_cstr(a.currency));
    return 0;
}

/* What machines that are got for it may cost. */
static int set_limit(const fh_cli *c, fh_json *body, fh_err **err)
{
    FH_AUTO(json) fh_json *limit = fh_json_new_object();
    int rc = set_amount(c, "max-hour", limit, "hour_micro", err);
    if (!rc) rc = set_amount(c, "max-cost", limit, "cost_micro", err);
    if (rc) return rc;
    if (fh_cli_has(c, "hours")) fh_json_set(limit, "seconds", fh_json_new_int(fh_cli_int(c, "hours", 1) * 3600));
    if (fh_json_count(limit)) fh_json_set(body, "limit", fh_take(limit));
    return 0;
}

/* "2", or "0..4": the fewest and the most. */
int fh_run_read_replicas(const fh_cli *c, int64_t *ret_min, int64_t *ret_max, fh_err **err)
{
    fh_str text = fh_str_of(fh_cli_text(c, "replicas", "1"));
    size_t dots = fh_str_find(text, FH_STR(".."));
    uint64_t min, max;
    bool range = dots < text.len;
    bool good = fh_str_u64((fh_str){text.ptr, dots}, FH_LIMIT_REPLICAS, &min);
    if (range) good = good && fh_str_u64((fh_str){text.ptr + dots + 2, text.len - dots - 2}, FH_LIMIT_REPLICAS, &max);
    if (!range) max = min;
    if (good && max >= 1 && min <= max) {
        *ret_min = (int64_t)min;
        *ret_max = (int64_t)max;
        return 0;
    }
    fh_err_set(err, FH_E_USAGE, "--replicas wants a number of replicas, or the fewest and the most, not '%.*s'", (int)FH_MIN(text.len, 64u),
               text.ptr);
    fh_err_hint(err, "it looks like 2 or 0..4, and %d are the most", FH_LIMIT_REPLICAS);
    return FH_E_USAGE;
}

static int set_replicas(const fh_cli *c, fh_json *body, fh_err **err)
{
    int64_t min, max;
    int rc = fh_run_read_replicas(c, &min, &max, err);
    if (rc || !fh_cli_has(c, "replicas")) return rc;
    fh_json_set(body, "replicas_min", fh_json_new_int(min));
    fh_json_set(body, "replicas_max", fh_json_new_int(max));
    return 0;
}

static int post_deployment(const fh_cli *c, const fh_cli_client *s, const char *model, fh_json **ret, fh_err **err)
{
    FH_AUTO(json) fh_json *body = fh_json_new_object();
    fh_json_set(body, "model", fh_json_new_cstr(model));
    fh_json_set(body, "place", fh_json_new_cstr(fh_cli_text(c, "on", "")));
    if (fh_cli_has(c, "name")) fh_json_set(body, "name", fh_json_new_cstr(fh_cli_text(c, "name", "")));
    if (fh_cli_has(c, "engine")) fh_json_set(body, "engine", fh_json_new_cstr(fh_cli_text(c, "engine", "")));
    if (fh_cli_has(c, "kv-type")) fh_json_set(body, "kv_type", fh_json_new_cstr(fh_cli_text(c, "kv-type", "")));
    if (fh_cli_has(c, "offer")) fh_json_set(body, "offer", fh_json_new_cstr(fh_cli_text(c, "offer", "")));
    if (fh_cli_has(c, "trust")) fh_json_set(body, "trust", fh_json_new_cstr(fh_cli_text(c, "trust", "")));
    set_number(c, body, "context", "context_tok");
    set_number(c, body, "streams", "streams");
    set_number(c, body, "idle", "idle_s");
    fh_json_set(body, "reuse", fh_json_new_bool(true));
    int rc = set_limit(c, body, err);
    if (!rc) rc = set_replicas(c, body, err);
    if (!rc) rc = fh_run_rent(c, s, body, err);
    return rc ? rc : fh_client_call(s, "POST", "/api/v1/deployments", body, ret, err);
}

/* One line for each state that it passes, and for each thing that it waits for there, on a terminal. */
static void show_state(const fh_json *d, char *shown, size_t shown_size)
{
    FH_AUTO(buf) fh_buf line = FH_BUF(1 << 16);
    fh_buf_addf(&line, "%s: %s: %s\n", fh_cli_str_of(d, "name"), fh_cli_str_of(d, "state"), fh_cli_str_of(d, "reason"));
    if (strcmp(shown, fh_buf_cstr(&line)) == 0 || !isatty(STDERR_FILENO)) return;
    snprintf(shown, shown_size, "%s", fh_buf_cstr(&line));
    fh_cli_write(stderr, (fh_str){fh_buf_cstr(&line), line.len});
}

static int not_running(const fh_json *d, fh_err **err)
{
    fh_err_set(err, FH_E_CONFLICT, "%s %s %s: %s", fh_cli_str_of(d, "name"), has_state(d, "draining") ? "is" : "has",
               fh_cli_str_of(d, "state"), fh_cli_str_of(d, "reason"));
    const char *hint = fh_cli_str_of(d, "hint");
    if (hint[0])
        fh_err_hint(err, "%s", hint);
    else
        fh_err_hint(err, "`freehold events %s` shows what happened", fh_cli_str_of(d, "name"));
    return FH_E_CONFLICT;
}

static int wait_ready(const fh_cli_client *s, const char *name, fh_err **err)
{
    char path[512], shown[512] = "";
    fh_client_path(path, sizeof path, "/api/v1/deployments/", name, "");
    for (int64_t until = fh_clock_mono_ns() + READY_WAIT_NS; fh_clock_mono_ns() < until; fh_sleep_ns(POLL_NS)) {
        FH_AUTO(json) fh_json *d = NULL;
        int rc = fh_client_call(s, "GET", path, NULL, &d, err);
        if (rc) return rc;
        show_state(d, shown, sizeof shown);
        if (has_state(d, "ready")) return 0;
        if (is_over(d)) return not_running(d, err);
    }
    return fh_err_set(err, FH_E_TIMEOUT, "%s is not ready after half an hour", name);
}

int fh_run_deploy(const fh_cli *c, const fh_cli_client *s, const char *model, char *name, size_t name_size, fh_err **err)
{
    char asked[PATH_MAX];
    FH_AUTO(json) fh_json *deployment = NULL;
    int rc = name_model(model, asked, err);
    if (!rc) rc = post_deployment(c, s, asked, &deployment, err);
    if (rc) return rc;
    const char *set = fh_cli_str_of(deployment, "set"), *one = fh_cli_str_of(deployment, "name");
    snprintf(name, name_size, "%s", set[0] ? set : one);
    return wait_ready(s, one, err);
}
