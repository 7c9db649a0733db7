/* freehold ps, stop, events, logs: what runs, through the server. */
#include "base/clock.h"
#include "client.h"

#include <stdio.h>
#include <string.h>

#define STOP_WAIT_NS     (60 * FH_NS_PER_S)
#define POLL_NS          (50 * FH_NS_PER_MS)
#define REFUSED_SHOWN_NS (3600 * FH_NS_PER_S)

static bool has_state(const fh_json *d, const char *state)
{
    return strcmp(fh_cli_str_of(d, "state"), state) == 0;
}

/* What its machine has cost so far at most, and what an hour of it does. */
static void add_cost(const fh_json *d, char *out, size_t out_size)
{
    const fh_json *m = fh_json_get(d, "machine"), *most = fh_json_get(fh_json_get(d, "limit"), "cost_micro");
    int64_t hour = fh_json_int(fh_json_get(m, "hour_micro"), 0);
    size_t n = strlen(out);
    if (!hour) return;
    snprintf(out + n, out_size - n, "; %.2f of %.2f %s spent, %.2f an hour", (double)fh_json_int(fh_json_get(m, "spent_micro"), 0) / 1e6,
             (double)fh_json_int(most, 0) / 1e6, fh_cli_str_of(m, "currency"), (double)hour / 1e6);
}

/* How it is, in a few words: progress while there is some, else the reason. */
static void describe(const fh_json *d, char *out, size_t out_size)
{
    const fh_json *p = fh_json_get(d, "progress");
    int64_t done = fh_json_int(fh_json_get(p, "done"), 0), total = fh_json_int(fh_json_get(p, "total"), 0);
    char a[24], b[24];
    fh_cli_bytes((uint64_t)done, a, sizeof a);
    fh_cli_bytes((uint64_t)total, b, sizeof b);
    if (total > 0 && done < total)
        snprintf(out, out_size, "%s of %s", a, b);
    else
        snprintf(out, out_size, "%s", fh_cli_str_of(d, "reason"));
    add_cost(d, out, out_size);
}

static bool add_row(fh_cli_table *t, const fh_json *d)
{
    char memory[24] = "-", age[24], why[300];
    int64_t rss = fh_json_int(fh_json_get(d, "rss_bytes"), 0);
    const char *sandbox = fh_cli_str_of(d, "sandbox");
    if (rss) fh_cli_bytes((uint64_t)rss, memory, sizeof memory);
    fh_cli_age(fh_cli_since(d, "changed"), age, sizeof age);
    describe(d, why, sizeof why);
    const char *cells[] = {fh_cli_str_of(d, "name"),
                           fh_cli_str_of(d, "model"),
                           fh_cli_str_of(d, "state"),
                           age,
                           fh_cli_str_of(d, "place"),
                           sandbox[0] ? sandbox : "-",
                           memory,
                           why};
    return fh_cli_table_add(t, cells);
}

/* One that failed is news until somebody has tried that name or model again. One that was refused before any engine was started was told to
 * whoever asked for it: it goes after an hour. */
static bool is_past(const fh_json *items, size_t i)
{
    const fh_json *d = fh_json_at(items, i);
    if (has_state(d, "stopped")) return true;
    if (!has_state(d, "failed")) return false;
    for (size_t k = 0; k < i; k++) { /* newest first */
        const fh_json *newer = fh_json_at(items, k);
        if (strcmp(fh_cli_str_of(newer, "name"), fh_cli_str_of(d, "name")) == 0) return true;
        if (strcmp(fh_cli_str_of(newer, "model"), fh_cli_str_of(d, "model")) == 0) return true;
    }
    return fh_json_int(fh_json_get(d, "restarts"), 0) == 0 && fh_cli_since(d, "changed") > REFUSED_SHOWN_NS;
}

fh_json *fh_cli_deployments_now(const fh_json *reply)
{
    const fh_json *items = fh_json_get(reply, "items");
    fh_json *o = fh_json_new_object(), *kept = fh_json_new_array();
    for (size_t i = 0; i < fh_json_count(items); i++)
        if (!is_past(items, i)) fh_json_append(kept, fh_json_ref((fh_json *)(uintptr_t)fh_json_at(items, i)));
    fh_json_set(o, "items", kept);
    return o;
}

static int print_deployments(const fh_json *doc, fh_err **err)
{
    static const fh_cli_column columns[] = {{"NAME", FH_CLI_LEFT},    {"MODEL", FH_CLI_LEFT}, {"STATE", FH_CLI_LEFT},
                                            {"SINCE", FH_CLI_RIGHT},  {"PLACE", FH_CLI_LEFT}, {"SANDBOX", FH_CLI_LEFT},
                                            {"MEMORY", FH_CLI_RIGHT}, {"WHY", FH_CLI_WRAP},   {NULL, FH_CLI_LEFT}};
    FH_AUTO(fh_cli_table) fh_cli_table *t = fh_cli_table_new(columns);
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    const fh_json *items = fh_json_get(doc, "items");
    for (size_t i = 0; t && i < fh_json_count(items); i++)
        if (!add_row(t, fh_json_at(items, i))) return fh_err_nomem(err);
    if (!t) return fh_err_nomem(err);
    if (fh_json_count(items) == 0)
        fh_buf_adds(&out, "Nothing runs. `freehold run smollm2` starts a small model.\n");
    else
        fh_cli_table_write(t, &out);
    return fh_cli_print(&out, err);
}

static bool add_set(fh_cli_table *t, const fh_json *s)
{
    char replicas[64], wanted[24], ready[24];
    int64_t min = fh_json_int(fh_json_get(s, "replicas_min"), 0), max = fh_json_int(fh_json_get(s, "replicas_max"), 0),
            n = fh_json_int(fh_json_get(s, "wanted"), 0);
    if (min == max)
        snprintf(replicas, sizeof replicas, "%lld", (long long)min);
    else
        snprintf(replicas, sizeof replicas, "%lld..%lld", (long long)min, (long long)max);
    if (n)
        snprintf(wanted, sizeof wanted, "%lld", (long long)n);
    else
        snprintf(wanted, sizeof wanted, "asleep");
    snprintf(ready, sizeof ready, "%lld", (long long)fh_json_int(fh_json_get(s, "ready"), 0));
    const char *cells[] = {fh_cli_str_of(s, "name"), fh_cli_str_of(s, "model"), replicas, wanted, ready, fh_cli_str_of(s, "reason")};
    return fh_cli_table_add(t, cells);
}

static int print_sets(const fh_json *sets, fh_err **err)
{
    static const fh_cli_column columns[] = {{"SET", FH_CLI_LEFT},  {"MODEL", FH_CLI_LEFT},  {"REPLICAS", FH_CLI_LEFT},
                                            {"NOW", FH_CLI_RIGHT}, {"READY", FH_CLI_RIGHT}, {"WHY", FH_CLI_WRAP},
                                            {NULL, FH_CLI_LEFT}};
    FH_AUTO(fh_cli_table) fh_cli_table *t = fh_cli_table_new(columns);
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    for (size_t i = 0; t && i < fh_json_count(sets); i++)
        if (!add_set(t, fh_json_at(sets, i))) return fh_err_nomem(err);
    if (!t) return fh_err_nomem(err);
    fh_buf_adds(&out, "\n");
    fh_cli_table_write(t, &out);
    return fh_cli_print(&out, err);
}

static int run_ps(fh_cli *c, fh_err **err)
{
    fh_cli_client s;
    FH_AUTO(json) fh_json *reply = NULL, *sets = NULL;
    int rc = fh_client_open(c, &s, err);
    if (!rc) rc = fh_client_call(&s, "GET", "/api/v1/deployments", NULL, &reply, err);
    if (!rc) rc = fh_client_call(&s, "GET", "/api/v1/sets", NULL, &sets, err);
    if (rc) return rc;
    FH_AUTO(json) fh_json *shown = fh_cli_has(c, "all") ? fh_json_ref(reply) : fh_cli_deployments_now(reply);
    const fh_json *items = fh_json_get(sets, "items");
    fh_json_set(shown, "sets", fh_json_ref((fh_json *)(uintptr_t)items));
    if (c->json) return fh_cli_print_json(shown, err);
    rc = print_deployments(shown, err);
    return rc || !fh_json_count(items) ? rc : print_sets(items, err);
}

static int get_deployment(const fh_cli_client *s, const char *name, fh_json **ret, fh_err **err)
{
    char path[512];
    if (!fh_client_path(path, sizeof path, "/api/v1/deployments/", name, ""))
        return fh_err_set(err, FH_E_NOT_FOUND, "there is no deployment with such a long name");
    return fh_client_call(s, "GET", path, NULL, ret, err);
}

static const char *without_prefix(const char *name)
{
    return strncmp(name, "deployment/", 11) == 0 ? name + 11 : name;
}

/* What a person calls a deployment: its name, or its model's id or alias, as the server finds it. Opens the connection and puts the name in
 * the operand's place. */
static int open_deployment(fh_cli *c, fh_cli_client *s, char *name, size_t name_size, fh_err **err)
{
    FH_AUTO(json) fh_json *found = NULL;
    const char *given = without_prefix(fh_cli_operand(c, 0));
    int rc = fh_client_open(c, s, err);
    if (!rc) rc = get_deployment(s, given, &found, err);
    if (rc) return rc;
    snprintf(name, name_size, "%s", fh_cli_str_of(found, "name"));
    c->operands[0] = name;
    return 0;
}

/* Until it has stopped; *doc is replaced by its last form. */
static int wait_stopped(const fh_cli_client *s, const char *name, fh_json **doc, fh_err **err)
{
    for (int64_t until = fh_clock_mono_ns() + STOP_WAIT_NS; !has_state(*doc, "stopped") && !has_state(*doc, "failed");) {
        if (fh_clock_mono_ns() > until)
            return fh_err_set(err, FH_E_TIMEOUT, "%s is still %s after a minute", name, fh_cli_str_of(*doc, "state"));
        fh_sleep_ns(POLL_NS);
        fh_json *now = NULL;
        int rc = get_deployment(s, name, &now, err);
        if (rc) return rc;
        fh_json_unref(*doc);
        *doc = now;
    }
    return 0;
}

/* The server finds what a name means: a set is stopped as a whole. */
static int run_stop(fh_cli *c, fh_err **err)
{
    fh_cli_client s;
    char path[512], name[128];
    FH_AUTO(json) fh_json *doc = NULL;
    int rc = fh_client_open(c, &s, err);
    if (!rc && !fh_client_path(path, sizeof path, "/api/v1/deployments/", without_prefix(fh_cli_operand(c, 0)), ""))
        rc = fh_err_set(err, FH_E_NOT_FOUND, "there is no deployment with such a long name");
    if (!rc) rc = fh_client_call(&s, "DELETE", path, NULL, &doc, err);
    if (rc) return rc;
    const char *set = fh_cli_str_of(doc, "set");
    snprintf(name, sizeof name, "%s", set[0] ? set : fh_cli_str_of(doc, "name"));
    rc = wait_stopped(&s, name, &doc, err);
    if (rc) return rc;
    if (c->json) return fh_cli_print_json(doc, err);
    FH_AUTO(buf) fh_buf out = FH_BUF(1024);
    fh_buf_addf(&out, "%s has stopped\n", name);
    return fh_cli_print(&out, err);
}

static bool print_event(void *arg, fh_str event, fh_str data)
{
    const fh_cli *c = arg;
    FH_AUTO(json) fh_json *doc = NULL;
    if (!fh_str_eqs(event, "deployment") || fh_json_parse(&doc, data, 1 << 20, NULL)) return true;
    const char *name = fh_cli_str_of(doc, "deployment"), *only = fh_cli_operand(c, 0);
    if (only && strcmp(only, name) != 0) return true;
    if (c->json) return fh_cli_print_json_line(doc, NULL) == 0;
    FH_AUTO(buf) fh_buf line = FH_BUF(1 << 16);
    fh_buf_addf(&line, "%s  %s  %s -> %s  %s\n", fh_cli_str_of(doc, "time"), name, fh_cli_str_of(doc, "from"), fh_cli_str_of(doc, "to"),
                fh_cli_str_of(doc, "reason"));
    return fh_cli_print(&line, NULL) == 0;
}

static int print_history(const fh_json *items, fh_err **err)
{
    static const fh_cli_column columns[] = {
        {"TIME", FH_CLI_LEFT}, {"FROM", FH_CLI_LEFT}, {"TO", FH_CLI_LEFT}, {"WHY", FH_CLI_WRAP}, {NULL, FH_CLI_LEFT}};
    FH_AUTO(fh_cli_table) fh_cli_table *t = fh_cli_table_new(columns);
    FH_AUTO(buf) fh_buf out = FH_BUF(4 << 20);
    for (size_t i = 0; t && i < fh_json_count(items); i++) {
        const fh_json *e = fh_json_at(items, i);
        const char *cells[] = {fh_cli_str_of(e, "time"), fh_cli_str_of(e, "from"), fh_cli_str_of(e, "to"), fh_cli_str_of(e, "reason")};
        if (!fh_cli_table_add(t, cells)) return fh_err_nomem(err);
    }
    if (!t) return fh_err_nomem(err);
    fh_cli_table_write(t, &out);
    const fh_json *last = fh_json_count(items) ? fh_json_at(items, fh_json_count(items) - 1) : NULL;
    if (fh_cli_str_of(last, "hint")[0]) fh_buf_addf(&out, "What to do: %s\n", fh_cli_str_of(last, "hint"));
    return fh_cli_print(&out, err);
}

/* Until Ctrl-C; an end from the other side is an error. */
static int follow_events(fh_cli *c, const fh_cli_client *s, fh_err **err)
{
    int rc = fh_client_stream(s, "GET", "/api/v1/events", NULL, print_event, c, err);
    return rc ? rc : fh_err_set(err, FH_E_UNAVAILABLE, "the server has ended the stream of events: it stops");
}

static int run_events(fh_cli *c, fh_err **err)
{
    fh_cli_client s;
    char path[512], name[128];
    FH_AUTO(json) fh_json *reply = NULL;
    int rc = fh_cli_operand(c, 0) ? open_deployment(c, &s, name, sizeof name, err) : fh_client_open(c, &s, err);
    if (rc) return rc;
    if (fh_cli_has(c, "follow")) return follow_events(c, &s, err);
    if (!fh_cli_operand(c, 0)) {
        fh_err_set(err, FH_E_USAGE, "the events of which deployment?");
        fh_err_hint(err, "`freehold events NAME`, or `freehold events -f` for all as they happen; `freehold ps` lists names");
        return FH_E_USAGE;
    }
    if (!fh_client_path(path, sizeof path, "/api/v1/deployments/", name, "/events"))
        return fh_err_set(err, FH_E_NOT_FOUND, "there is no deployment with such a long name");
    rc = fh_client_call(&s, "GET", path, NULL, &reply, err);
    if (rc) return rc;
    return c->json ? fh_cli_print_json(reply, err) : print_history(fh_json_get(reply, "items"), err);
}

/* What of now comes behind what was printed before: the log may have been cut at its start, or begun anew. */
static fh_str new_part(const fh_buf *before, const fh_buf *now)
{
    fh_str text = {fh_buf_cstr(now), now->len}, old = {fh_buf_cstr(before), before->len};
    for (size_t keep = old.len; keep > 0; keep = keep > 4096 ? 4096 : keep / 2) {
        fh_str tail = {old.ptr + old.len - keep, keep};
        size_t at = fh_str_find(text, tail);
        if (at != text.len) return (fh_str){text.ptr + at + keep, text.len - at - keep};
        if (keep < 64) break;
    }
    return text;
}

static int follow_log(const fh_cli_client *s, const char *path, fh_buf *before, fh_err **err)
{
    for (;;) {
        FH_AUTO(buf) fh_buf now = FH_BUF(64 << 20);
        fh_sleep_ns(10 * POLL_NS);
        int rc = fh_client_get_text(s, path, &now, err);
        if (rc) return rc;
        fh_str more = new_part(before, &now);
        FH_AUTO(buf) fh_buf out = FH_BUF(64 << 20);
        fh_buf_add(&out, more.ptr, more.len);
        if ((rc = fh_cli_print(&out, err))) return rc;
        fh_buf_fini(before);
        *before = now;
        now = FH_BUF(0);
    }
}

static int run_logs(fh_cli *c, fh_err **err)
{
    fh_cli_client s;
    char path[512], name[128];
    FH_AUTO(buf) fh_buf text = FH_BUF(64 << 20);
    int rc = open_deployment(c, &s, name, sizeof name, err);
    if (!rc && !fh_client_path(path, sizeof path, "/api/v1/deployments/", fh_cli_operand(c, 0), "/logs"))
        rc = fh_err_set(err, FH_E_NOT_FOUND, "there is no deployment with such a long name");
    if (!rc) rc = fh_client_get_text(&s, path, &text, err);
    if (rc) return rc;
    if (c->json) {
        FH_AUTO(json) fh_json *o = fh_json_new_object();
        fh_json_set(o, "name", fh_json_new_cstr(fh_cli_operand(c, 0)));
        fh_json_set(o, "log", fh_json_new_str((fh_str){fh_buf_cstr(&text), text.len}));
        return fh_cli_print_json(o, err);
    }
    rc = fh_cli_print(&text, err);
    return rc || !fh_cli_has(c, "follow") ? rc : follow_log(&s, path, &text, err);
}

static const fh_cli_flag ps_flags[] = {
    {"all", 'a', FH_CLI_BOOL, NULL, "those that stopped, and all that failed, too", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};
static const fh_cli_flag follow_flags[] = {
    {"follow", 'f', FH_CLI_BOOL, NULL, "go on as more comes", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};

const fh_cli_verb fh_verb_ps = {
    .name = "ps",
    .group = "Run models",
    .summary = "what runs, where, in which state and in which sandbox",
    .operands = "",
    .flags = ps_flags,
    .run = run_ps,
};
const fh_cli_verb fh_verb_stop = {
    .name = "stop",
    .group = "Run models",
    .summary = "stop a deployment and wait until it has stopped",
    .operands = "NAME",
    .min_operands = 1,
    .max_operands = 1,
    .about = "NAME is that of `freehold ps`, or the id or alias of a model: then it is its newest deployment. Of a set all replicas stop.",
    .run = run_stop,
};
const fh_cli_verb fh_verb_events = {
    .name = "events",
    .group = "Run models",
    .summary = "what happened to a deployment, with times and reasons",
    .operands = "[NAME]",
    .max_operands = 1,
    .about = "NAME is that of `freehold ps`, or the id or alias of a model: then it is its newest deployment.",
    .flags = follow_flags,
    .run = run_events,
};
const fh_cli_verb fh_verb_logs = {
    .name = "logs",
    .group = "Run models",
    .summary = "the log of a deployment's engine",
    .operands = "NAME",
    .min_operands = 1,
    .max_operands = 1,
    .about = "NAME is that of `freehold ps`, or the id or alias of a model: then it is its newest deployment.",
    .flags = follow_flags,
    .run = run_logs,
};
