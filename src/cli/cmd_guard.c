/* freehold guard: a process elsewhere that ends rented machines when their limit has passed or their server is gone. */
#include "base/clock.h"
#include "guard_round.h"
#include "sys/file.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct guarding {
    const fh_cli *cli;
    fh_guard guard; /* its rounds */
    char folder[1024];
    int lock_fd;
    fh_loop *loop;
    fh_timer *timer;
    int64_t every_s;
    bool once;
    char said[300], complained[300]; /* what was printed last */
    fh_err *err;                     /* what ends it */
} guarding;

/* ---- what came of a round ---- */

static const char *state_of(const guarding *g)
{
    const fh_guard_memory *m = &g->guard.memory;
    if (!m->installation[0]) return "never heard";
    if (m->silent_utc_ns) return "silent";
    return g->guard.round.server ? "refuses" : "heard";
}

static int64_t silent_s(const guarding *g)
{
    const fh_guard_memory *m = &g->guard.memory;
    return m->silent_utc_ns ? (g->guard.round.utc_ns - m->silent_utc_ns) / FH_NS_PER_S : 0;
}

static fh_json *text_json(const fh_err *e)
{
    return e ? fh_json_new_cstr(fh_err_message(e)) : fh_json_new_null();
}

static fh_json *time_json(int64_t utc_ns)
{
    char text[40];
    if (!utc_ns) return fh_json_new_null();
    fh_clock_format_utc(utc_ns, text, sizeof text);
    return fh_json_new_cstr(text);
}

static fh_json *rows_json(const fh_guard_round *r)
{
    static const char *const acts[] = {"left", "would end", "ended", "failed"};
    fh_json *list = fh_json_new_array();
    for (size_t i = 0; i < r->count; i++) {
        fh_json *o = fh_json_new_object();
        fh_json_set(o, "machine", fh_json_new_cstr(r->rows[i].machine));
        fh_json_set(o, "tag", fh_json_new_cstr(r->rows[i].tag));
        fh_json_set(o, "state", fh_json_new_cstr(acts[r->rows[i].act]));
        fh_json_set(o, "why", fh_json_new_cstr(r->rows[i].why));
        fh_json_append(list, o);
    }
    return list;
}

static int print_json(const guarding *g, fh_err **err)
{
    const fh_guard_round *r = &g->guard.round;
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    fh_json_set(o, "provider", fh_json_new_cstr(g->guard.provider));
    fh_json_set(o, "kind", fh_json_new_cstr(g->guard.port.profile->kind));
    fh_json_set(o, "at", time_json(r->utc_ns));
    fh_json_set(o, "server", fh_json_new_cstr(state_of(g)));
    fh_json_set(o, "heard", time_json(g->guard.memory.heard_utc_ns));
    fh_json_set(o, "silent_s", fh_json_new_int(silent_s(g)));
    fh_json_set(o, "says", text_json(r->server));
    fh_json_set(o, "error", text_json(r->failed));
    fh_json_set(o, "others", r->listed ? fh_json_new_int((int64_t)r->others) : fh_json_new_null());
    fh_json_set(o, "machines", rows_json(r));
    return g->once ? fh_cli_print_json(o, err) : fh_cli_print_json_line(o, err);
}

static void add_server(const guarding *g, fh_buf *out)
{
    const fh_guard_round *r = &g->guard.round;
    const char *state = state_of(g);
    fh_buf_addf(out, "%s: the server ", g->guard.provider);
    if (strcmp(state, "heard") == 0)
        fh_buf_adds(out, "is heard");
    else if (strcmp(state, "refuses") == 0)
        fh_buf_adds(out, "is there, and refuses to say what it rents");
    else if (strcmp(state, "silent") == 0)
        fh_buf_addf(out, "is not heard; after %lld s what it rented is ended", (long long)(g->guard.rules.silence_ns / FH_NS_PER_S));
    else
        fh_buf_adds(out, "was never heard: nothing is known to be its own");
    if (r->listed) fh_buf_addf(out, "; machines: %zu of its own, %zu of others", r->count, r->others);
    fh_buf_addc(out, '\n');
}

static void add_rows(const guarding *g, fh_buf *out)
{
    static const char *const acts[] = {"is left", "would be ended", "is ended", "could not be ended"};
    const fh_guard_round *r = &g->guard.round;
    for (size_t i = 0; i < r->count; i++) {
        const fh_guard_row *row = &r->rows[i];
        if (row->act == FH_GUARD_LEFT && !g->once) continue;
        fh_buf_addf(out, "%s: machine %s %s: %s\n", g->guard.provider, row->machine, acts[row->act], row->why);
    }
}

/* Of rounds without end only what is new. */
static int print_text(guarding *g, fh_err **err)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 17);
    add_server(g, &out);
    if (!g->once && strcmp(fh_buf_cstr(&out), g->said) == 0)
        fh_buf_clear(&out);
    else
        snprintf(g->said, sizeof g->said, "%s", fh_buf_cstr(&out));
    add_rows(g, &out);
    return out.len ? fh_cli_print(&out, err) : 0;
}

static void complain(guarding *g, const fh_err *e)
{
    if (strcmp(g->complained, e ? fh_err_message(e) : "") == 0) return;
    snprintf(g->complained, sizeof g->complained, "%s", e ? fh_err_message(e) : "");
    if (e) fh_cli_report("guard", e);
}

static void take_failure(guarding *g)
{
    fh_guard_round *r = &g->guard.round;
    bool refused = r->server && fh_err_code(r->server) == FH_E_FORBIDDEN;
    if (!g->once) complain(g, r->failed ? r->failed : r->server);
    if (!g->once || g->err) return;
    if (r->server && (r->failed || !refused)) fh_cli_report("guard", r->server);
    if (r->failed)
        fh_err_move(&g->err, &r->failed);
    else if (refused)
        fh_err_move(&g->err, &r->server);
}

static void round_done(void *arg)
{
    guarding *g = arg;
    int rc = g->cli->json ? print_json(g, &g->err) : print_text(g, &g->err);
    take_failure(g);
    if (rc || g->once)
        fh_loop_stop(g->loop);
    else
        fh_timer_start(g->timer, g->every_s * FH_NS_PER_S);
}

/* ---- opening ---- */

static int wants(fh_err **err, const char *flag, const char *what, const char *hint)
{
    fh_err_set(err, FH_E_USAGE, "%s", what);
    fh_err_hint(err, "%s", hint);
    fh_err_param(err, "%s", flag);
    return FH_E_USAGE;
}

/* The key goes to the provider's own address, or to one of this machine (a test's). */
static int check_url(const char *url, fh_err **err)
{
    if (!url || (strncmp(url, "http://", 7) == 0 && fh_client_is_private(url))) return 0;
    return wants(err, "--url", "--url is not needed: the address of such a provider is known",
                 "leave it out, or give one of this machine for a test");
}

static int read_times(const fh_cli *c, guarding *g, fh_err **err)
{
    int64_t silence_s = 900;
    g->every_s = 60;
    int rc = fh_cli_duration(c, "silence", FH_LIMIT_GUARD_TIME_S, &silence_s, err);
    if (!rc) rc = fh_cli_duration(c, "every", FH_LIMIT_GUARD_TIME_S, &g->every_s, err);
    if (!rc && (silence_s < 1 || g->every_s < 1))
        return wants(err, "--silence", "--silence and --every are at least 1s", "as --silence 15m");
    if (!rc && !g->once && silence_s < g->every_s)
        return wants(err, "--every", "the server must be asked more often than --silence", "as --every 1m --silence 15m");
    g->guard.rules.silence_ns = silence_s * FH_NS_PER_S;
    return rc;
}

static int folder_of(const fh_cli *c, const char *provider, char *out, size_t out_size, fh_err **err)
{
    const char *given = fh_cli_text(c, "data", NULL), *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    char base[1024];
    int n = -1;
    if (given)
        n = snprintf(base, sizeof base, "%s", given);
    else if (data && data[0])
        n = snprintf(base, sizeof base, "%s/freehold-guard", data);
    else if (home && home[0])
        n = snprintf(base, sizeof base, "%s/.local/share/freehold-guard", home);
    if (n < 0 || n >= (int)sizeof base)
        return wants(err, "--data", "where is the guard's folder? Neither --data nor HOME names one", "--data DIR");
    return fh_path_join(out, out_size, base, provider, err);
}

static int take_folder(guarding *g, fh_err **err)
{
    int rc = fh_dir_make(g->folder, 0700, err);
    if (!rc) rc = fh_dir_lock(g->folder, &g->lock_fd, err);
    if (rc == FH_E_BUSY) fh_err_hint(err, "another `freehold guard` watches this account from here; --data names another folder");
    if (!rc) rc = fh_path_join(g->guard.path, sizeof g->guard.path, g->folder, "memory.json", err);
    return rc ? rc : fh_guard_remember(&g->guard, err);
}

static int open_account(const fh_cli *c, guarding *g, fh_err **err)
{
    const char *kind = fh_cli_text(c, "kind", NULL), *file = fh_cli_text(c, "key-file", NULL), *url = fh_cli_text(c, "url", NULL);
    const fh_rent_profile *p = kind ? fh_rent_profile_find(fh_str_of(kind)) : NULL;
    if (!p) return wants(err, "--kind", "of which kind is the account?", "--kind runpod, vast, lambda or skypilot");
    if (!file && !p->commands)
        return wants(err, "--key-file", "the account's key is wanted, to list and to end its machines",
                     "--key-file FILE, readable by you alone");
    int rc = check_url(url, err);
    const fh_rent_account account = {.url = url, .key_file = file, .loop = g->loop, .folder = g->folder};
    g->guard.rules.lag_ns = p->lag_ns;
    g->guard.rules.grace_ns = FH_LIMIT_GUARD_GRACE_MS * FH_NS_PER_MS;
    return rc ? rc : fh_rental_open(&g->guard.port, p, g->guard.client, &account, err);
}

static void stop(void *arg)
{
    fh_loop_stop(((guarding *)arg)->loop);
}

static void begin(void *arg)
{
    fh_guard_round_begin(&((guarding *)arg)->guard);
}

static int open_all(const fh_cli *c, guarding *g, fh_err **err)
{
    g->once = fh_cli_has(c, "once");
    g->guard.dry_run = fh_cli_has(c, "dry-run");
    g->guard.provider = fh_cli_operand(c, 0);
    g->guard.done = round_done;
    g->guard.arg = g;
    int rc = read_times(c, g, err);
    if (!rc) rc = folder_of(c, g->guard.provider, g->folder, sizeof g->folder, err);
    if (!rc) rc = fh_client_open(c, &g->guard.server, err);
    if (!rc) rc = fh_loop_new(&g->loop, err);
    if (!rc) rc = fh_http_client_new(&g->guard.client, g->loop, err);
    if (!rc) rc = open_account(c, g, err);
    if (!rc) rc = take_folder(g, err);
    if (!rc) rc = fh_timer_new(&g->timer, g->loop, begin, g, err);
    if (!rc) rc = fh_loop_on_signal(g->loop, SIGINT, stop, g, err);
    return rc ? rc : fh_loop_on_signal(g->loop, SIGTERM, stop, g, err);
}

static void close_all(guarding *g)
{
    fh_guard *guard = &g->guard;
    if (guard->port.free) guard->port.free(guard->port.ctx);
    if (g->timer) fh_timer_free(g->timer);
    if (guard->client) fh_http_client_free(guard->client);
    fh_loop_free(g->loop);
    fh_guard_round_fini(&guard->round);
    fh_buf_fini(&guard->reply);
    explicit_bzero(guard->server.authorization, sizeof guard->server.authorization);
    if (g->lock_fd >= 0) close(g->lock_fd);
    fh_free(g);
}

static int run_guard(fh_cli *c, fh_err **err)
{
    guarding *g = fh_calloc(1, sizeof *g);
    if (!g) return fh_err_nomem(err);
    g->cli = c;
    g->lock_fd = -1;
    int rc = open_all(c, g, err);
    if (!rc) {
        fh_timer_start(g->timer, 0);
        rc = fh_loop_run(g->loop, err);
    }
    if (!rc && g->err) {
        rc = fh_err_code(g->err);
        fh_err_move(err, &g->err);
    }
    close_all(g);
    return rc;
}

static const fh_cli_flag flags[] = {
    {"kind", 0, FH_CLI_TEXT, "KIND", "of the account: runpod, vast, lambda or skypilot", 0, 0},
    {"key-file", 0, FH_CLI_TEXT, "FILE", "file that holds the account's key, readable by you alone", 0, 0},
    {"silence", 0, FH_CLI_TEXT, "TIME", "of the server, after which its machines are ended, as 90s, 10m or 1h; default 15m", 0, 0},
    {"every", 0, FH_CLI_TEXT, "TIME", "between two rounds; default 1m", 0, 0},
    {"once", 0, FH_CLI_BOOL, NULL, "one round, and not one after another: for cron", 0, 0},
    {"dry-run", 0, FH_CLI_BOOL, NULL, "end nothing, and say what would be ended", 0, 0},
    {"data", 0, FH_CLI_TEXT, "DIR", "where it keeps what it knows of the server (default $XDG_DATA_HOME/freehold-guard)", 0, 0},
    {"url", 0, FH_CLI_TEXT, "URL", "of the provider's API, for a test on this machine", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};
static const char *const examples[] = {"FREEHOLD_KEY_FILE=guard.key freehold guard cloud --kind lambda --key-file lambda.key",
                                       "freehold guard cloud --kind lambda --key-file lambda.key --once --dry-run", NULL};

const fh_cli_verb fh_verb_guard = {
    .name = "guard",
    .group = "Server",
    .summary = "end rented machines when their server is gone",
    .operands = "PROVIDER",
    .min_operands = 1,
    .max_operands = 1,
    .about =
        "Runs on another machine than the server. It asks the server again and again what it rents of the account PROVIDER (as the server "
        "calls it) and until when; a key with the scope guard does for that (FREEHOLD_KEY_FILE). It ends a machine of this server two "
        "minutes "
        "behind its limit, and all of them when the server was not heard for --silence. Machines of others on the account, other "
        "installations' too, are never touched.\n\n"
        "What it knows is kept in a file, so that it can be started again, or by cron with --once (at least every five minutes, and more "
        "often "
        "than --silence). A server that was never heard has no machines that it would know. While it watches, `freehold run` says so "
        "before "
        "anything is rented.\n\n"
        "The account's key is read for each question, from a file that nobody else can read, and goes to the provider alone.",
    .examples = examples,
    .flags = flags,
    .run = run_guard,
    .own_key_file = true,
};
