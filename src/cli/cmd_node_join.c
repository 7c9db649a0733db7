/* freehold node join: this machine becomes one of a server's pool, and stays it until it is stopped. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "client.h"
#include "fleet/spread.h"
#include "node/agent.h"
#include "node_here.h"
#include "node_offer.h"
#include "node_settings.h"
#include "pool/facts.h"
#include "pool/member.h"
#include "sys/file.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { TOKEN_BYTES = 4096 };

typedef struct joining {
    fh_pool_place server;
    fh_node_ask ask;
    const fh_node_ask *asked; /* NULL: nothing was said of it */
    char folder[1024], name[64];
    int lock_fd;
    fh_identity *id;
    bool joins, by_key;
    int64_t began_ns;
    fh_node_offer offer;
    fh_node_owner owner;
    fh_spread spread;
    const fh_spread *spreads;  /* NULL: this machine is one node */
    fh_json *facts, *settings; /* the second: what was said at an earlier start */
    fh_loop *loop;
    fh_resolver *resolver;
    fh_node_agent *agent;
    fh_pool_member *member;
    bool leaves;
    fh_err *refused; /* what ends it */
} joining;

/* ---- what was said ---- */

/* That of the host, as far as a name may have it. */
static void name_of_host(char *out, size_t out_size)
{
    char host[256] = "";
    size_t n = 0;
    gethostname(host, sizeof host - 1);
    for (size_t i = 0; host[i] && host[i] != '.' && n + 1 < out_size; i++) {
        char low = host[i] >= 'A' && host[i] <= 'Z' ? (char)(host[i] - 'A' + 'a') : host[i];
        bool plain = (low >= 'a' && low <= 'z') || (low >= '0' && low <= '9');
        out[n++] = plain ? low : '-';
    }
    out[n] = '\0';
    if (!n) snprintf(out, out_size, "node");
}

static int read_words(const fh_cli *c, joining *j, fh_err **err)
{
    FH_AUTO(fh_err) fh_err *why = NULL;
    const char *ask = fh_cli_text(c, "ask", NULL), *name = fh_cli_text(c, "name", NULL), *srun = fh_cli_text(c, "srun", NULL);
    int rc = fh_pool_place_parse(fh_str_of(fh_cli_operand(c, 0)), &j->server, err);
    j->ask = (fh_node_ask){.currency = "USD"};
    if (!rc && ask && fh_node_ask_parse(fh_str_of(ask), &j->ask, &why)) rc = fh_node_flag_wrong("--ask", why, err);
    if (ask) j->asked = &j->ask;
    name_of_host(j->name, sizeof j->name);
    if (!rc && name && fh_node_name_check(fh_str_of(name), &why)) rc = fh_node_flag_wrong("--name", why, err);
    if (!rc && name) snprintf(j->name, sizeof j->name, "%s", name);
    if (!rc && srun && fh_spread_read(srun, &j->spread, &why)) rc = fh_node_flag_wrong("--srun", why, err);
    if (srun) j->spreads = &j->spread;
    return rc ? rc : fh_node_offer_flags(c, &j->offer, err);
}

/* ---- the token ---- */

static int read_input(fh_buf *out, fh_err **err)
{
    char piece[512];
    if (isatty(STDIN_FILENO)) fprintf(stderr, "Token, from `freehold node token` on the server's side: ");
    for (ssize_t n; (n = read(STDIN_FILENO, piece, sizeof piece)) > 0;) {
        fh_buf_add(out, piece, (size_t)n);
        if (memchr(piece, '\n', (size_t)n)) break;
    }
    explicit_bzero(piece, sizeof piece);
    return fh_buf_check(out, err, "the token");
}

/* Who made a key by `freehold node key` joins with that. */
static bool has_key(const joining *j)
{
    const fh_membership *begun = fh_identity_joining(j->id);
    return begun && !begun->token[0];
}

/* From the file, or from standard input of who has not joined yet. Empty without one. */
static int read_token(const fh_cli *c, const joining *j, fh_buf *out, fh_err **err)
{
    const char *file = fh_cli_text(c, "token-file", NULL);
    if (!file && has_key(j)) return 0;
    if (file ? strcmp(file, "-") == 0 : !fh_identity_joined(j->id)) return read_input(out, err);
    if (!file) return 0;
    int rc = fh_file_read(file, TOKEN_BYTES, out, err);
    return rc ? fh_err_add(err, "the token cannot be read") : 0;
}

static bool joined_with(const joining *j, fh_str token)
{
    const fh_membership *joined = fh_identity_joined(j->id);
    return joined && !(has_key(j) && !token.len) && (!token.len || fh_str_eqs(token, joined->token));
}

/* Who has joined with this token, or says none, goes on as who it is; who was joining and says none goes on with that. */
static int choose(joining *j, fh_str token, fh_err **err)
{
    const fh_membership *begun = fh_identity_joining(j->id);
    j->joins = !joined_with(j, token);
    if (!j->joins) return fh_identity_set(j->id, &j->server, j->asked, err);
    j->by_key = !token.len && begun && has_key(j);
    const fh_link_digest pin = begun ? begun->pin : (fh_link_digest){{0}}; /* what is borrowed of the identity changes with it */
    if (j->by_key) return fh_identity_begin_by_key(j->id, &j->server, &pin, j->name, &j->ask, err);
    if (!token.len && begun) token = fh_str_of(begun->token);
    char text[FH_JOIN_TOKEN_LEN + 1] = "";
    if (token.len < sizeof text) memcpy(text, token.ptr, token.len);
    return fh_identity_begin(j->id, &j->server, token.len < sizeof text ? fh_str_of(text) : token, j->name, &j->ask, err);
}

/* What was said before counts too, and is kept with what is said now once the folder is ours. */
static int read_all(fh_cli *c, joining *j, fh_err **err)
{
    int rc = fh_node_folder(c, j->folder, sizeof j->folder, err);
    if (!rc) rc = fh_node_settings_read(c, j->folder, &j->settings, err);
    if (!rc) rc = read_words(c, j, err);
    return rc ? rc : fh_node_owner_read(c, &j->owner, err);
}

static int prepare(const fh_cli *c, joining *j, fh_err **err)
{
    FH_AUTO(buf) fh_buf token = FH_BUF(TOKEN_BYTES);
    int rc = fh_dir_make(j->folder, 0700, err);
    if (!rc) rc = fh_dir_lock(j->folder, &j->lock_fd, err);
    if (rc == FH_E_BUSY)
        fh_err_hint(err, "this machine is in a pool already, by another `freehold node join`; or give --data another folder");
    if (!rc) rc = fh_identity_open(&j->id, j->folder, err);
    if (!rc) rc = read_token(c, j, &token, err);
    if (!rc) rc = choose(j, fh_str_trim((fh_str){fh_buf_cstr(&token), token.len}), err);
    if (!rc) rc = fh_node_settings_write(c, j->folder, err);
    if (!rc) rc = fh_node_pid_write(j->folder, err);
    if (token.data) explicit_bzero(token.data, token.len);
    return rc;
}

/* ---- being there ---- */

static void say(const joining *j, const char *what)
{
    printf("%s %s %s:%d\n", fh_identity_joined(j->id)->name, what, j->server.host, j->server.port);
    fflush(stdout);
}

static void on_joined(void *arg)
{
    ((joining *)arg)->by_key = false;
    say(arg, "has joined the pool of");
}

static void on_here(void *arg, fh_link *l)
{
    (void)l;
    fh_node_agent_server(((joining *)arg)->agent, true);
    say(arg, "is in the pool of");
}

/* ---- what it does there ---- */

static void on_head(void *arg, fh_link_req *r)
{
    fh_node_agent_head(((joining *)arg)->agent, r);
}

static void on_request(void *arg, fh_link_req *r)
{
    fh_node_agent_request(((joining *)arg)->agent, r);
}

static void on_tunnel(void *arg, fh_link_req *r)
{
    fh_node_agent_tunnel(((joining *)arg)->agent, r);
}

static bool lends(void *arg)
{
    return fh_node_agent_lends(((joining *)arg)->agent);
}

static void stopped(void *arg)
{
    fh_loop_stop(((joining *)arg)->loop);
}

/* Once: the server takes away what runs, then its engines end. Twice: they end now. */
static void on_stop(void *arg)
{
    joining *j = arg;
    fh_node_agent_stop(j->agent, j->leaves, stopped, j);
    j->leaves = true;
}

/* Its key may be told to the server later than it comes. */
static bool is_early(const joining *j)
{
    return j->by_key && fh_clock_mono_ns() - j->began_ns < FH_LIMIT_JOIN_KEY_MS * FH_NS_PER_MS;
}

/* What the server said no to is not tried again. */
static void heard(joining *j, const fh_err *why, const char *what)
{
    if (j->leaves) return;
    if (fh_err_code(why) != FH_E_FORBIDDEN || is_early(j)) {
        fh_log_err(FH_LOG_WARN, "node", why, "%s %s:%d; trying again", what, j->server.host, j->server.port);
        return;
    }
    fh_err_set(&j->refused, FH_E_FORBIDDEN, "%s", fh_err_message(why));
    if (fh_err_hint_get(why)) fh_err_hint(&j->refused, "%s", fh_err_hint_get(why));
    fh_node_agent_stop(j->agent, true, stopped, j);
}

static void on_gone(void *arg, fh_link *l, const fh_err *why)
{
    (void)l;
    fh_node_agent_server(((joining *)arg)->agent, false);
    heard(arg, why, "the connection is lost to");
}

static void on_failed(void *arg, const fh_err *why)
{
    heard(arg, why, "not reached:");
}

static int open_agent(joining *j, fh_err **err)
{
    FH_AUTO(ptr) char *program = NULL;
    int rc = fh_path_real("/proc/self/exe", &program, err);
    fh_node_agent_config c = {.data_dir = j->folder, .program = program, .owner = &j->owner, .spread = j->spreads};
    return rc ? rc : fh_node_agent_new(&j->agent, j->loop, &c, err);
}

static int open_all(joining *j, fh_err **err)
{
    fh_pool_member_config c = {.identity = j->id,
                               .joins = j->joins,
                               .on_joined = on_joined,
                               .on_here = on_here,
                               .on_gone = on_gone,
                               .on_failed = on_failed,
                               .on_head = on_head,
                               .on_request = on_request,
                               .on_tunnel = on_tunnel,
                               .lends = lends,
                               .arg = j};
    signal(SIGPIPE, SIG_IGN);
    int rc = fh_facts_read(&j->facts, j->folder, err);
    if (!rc && !fh_json_set(j->facts, "offer", fh_node_offer_write(&j->offer))) rc = fh_err_nomem(err);
    if (!rc) rc = fh_loop_new(&j->loop, err);
    if (!rc) rc = open_agent(j, err);
    if (!rc) rc = fh_resolver_new(&j->resolver, NULL, NULL, err);
    if (!rc) rc = fh_loop_on_signal(j->loop, SIGINT, on_stop, j, err);
    if (!rc) rc = fh_loop_on_signal(j->loop, SIGTERM, on_stop, j, err);
    c.facts = j->facts;
    c.resolver = j->resolver;
    return rc ? rc : fh_pool_member_start(&j->member, j->loop, &c, err);
}

static void close_all(joining *j)
{
    fh_pool_member_free(j->member);
    fh_node_agent_free(j->agent);
    fh_resolver_free(j->resolver);
    fh_loop_free(j->loop);
    fh_json_unref(j->facts);
    fh_json_unref(j->settings);
    fh_identity_close(j->id);
    if (j->lock_fd >= 0) close(j->lock_fd);
}

static int run_join(fh_cli *c, fh_err **err)
{
    joining j = {.lock_fd = -1, .began_ns = fh_clock_mono_ns()};
    int rc = read_all(c, &j, err);
    if (!rc) rc = prepare(c, &j, err);
    if (!rc) rc = open_all(&j, err);
    if (!rc) rc = fh_loop_run(j.loop, err);
    close_all(&j);
    if (rc || !j.refused) {
        fh_err_free(j.refused);
        return rc;
    }
    fh_err_move(err, &j.refused);
    return FH_E_FORBIDDEN;
}

static const fh_cli_flag flags[] = {
    {"token-file", 0, FH_CLI_TEXT, "FILE", "file that holds the token (- for standard input, where it is read without this flag too)", 0,
     0},
    {"ask", 0, FH_CLI_TEXT, "AMOUNT[CUR]", "what its owner wants for an hour, as 0.35 or 0.35EUR (default nothing)", 0, 0},
    FH_CLI_NODE_OFFER_FLAGS,
    {"name", 0, FH_CLI_TEXT, "NAME", "its name in the pool (default that of the host)", 0, 0},
    {"hours", 0, FH_CLI_TEXT, "HOURS", "when it is lent, as 22:00-07:00 or \"mon-fri 18:00-08:00,sat-sun 00:00-24:00\" (default always)", 0,
     0},
    {"max-memory", 0, FH_CLI_REAL, "GIB", "memory of all engines together (default all that is free)", 0, 1 << 20},
    {"max-disk", 0, FH_CLI_REAL, "GIB", "disk of weights (default all but the last GiB)", 0, 1 << 20},
    {"max-engines", 0, FH_CLI_INT, "N", "engines at once", 1, FH_LIMIT_NODE_ENGINES},
    {"max-threads", 0, FH_CLI_INT, "N", "processors that engines compute on (default all)", 1, 4096},
    {"models", 0, FH_CLI_TEXT, "LIST", "models that it is lent for, or SHA-256 of weights, with commas (default all)", 0, 0},
    {"not-models", 0, FH_CLI_TEXT, "LIST", "models that it is not lent for", 0, 0},
    {"srun", 0, FH_CLI_TEXT, "ADDRESS",
     "in a job of Slurm: engines that can run on all of its nodes, by srun; the address by which they reach this one", 0, 0},
    {"alone", 0, FH_CLI_INT, "MINUTES", "how long engines go on when the server is gone (default 10)", 1, 43200},
    {"reset", 0, FH_CLI_BOOL, NULL, "forget what was said at earlier starts: prices, limits, hours and models", 0, 0},
    {"data", 0, FH_CLI_TEXT, "DIR", "this machine's own folder (default $XDG_DATA_HOME/freehold-node)", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};
static const char *const examples[] = {"freehold node join https://pool.example.com:8471 --token-file token",
                                       "freehold node join https://pool.example.com:8471 --ask 0.35EUR --name den-2 <token", NULL};

const fh_cli_verb fh_verb_node_join = {
    .name = "node join",
    .group = "Server",
    .summary = "make this machine one of a server's pool",
    .operands = "URL",
    .min_operands = 1,
    .max_operands = 1,
    .about =
        "It dials out to where `freehold serve --pool` listens, and needs no open port. The token, of `freehold node token`, says which "
        "server it is; with it the machine gets a certificate of its own, whose key never leaves it. From then on it needs no token, and "
        "dials again by itself whenever the connection is lost. It says of itself what docs/POOL.md lists, and nothing else.\n\n"
        "It runs until it is stopped, by Ctrl-C, SIGTERM or `freehold node leave`: then the server takes away what runs there, for up to "
        "half a "
        "minute; a second time ends it at once. What its owner allows (--hours, --max-..., --models) holds whatever the server asks, and "
        "is "
        "told to it. All of that is kept in its folder and holds at each start until something else is said; --reset forgets it. "
        "A server that removed it ends it, with the reason.",
    .examples = examples,
    .flags = flags,
    .run = run_join,
    .no_json = true,
};
