/* freehold serve: the server in the foreground. */
#include "base/limits.h"
#include "base/mem.h"
#include "client.h"
#include "server/server.h"
#include "sys/cpu.h"

#include <stdlib.h>

enum { NAMES_MAX = 32 };

/* All values of a flag that may be given more than once, NULL-terminated. */
static int collect(const fh_cli *c, const char *flag, const char *out[NAMES_MAX + 1], fh_err **err)
{
    size_t n = 0;
    for (const char *value; (value = fh_cli_nth(c, flag, n)); n++) {
        if (n == NAMES_MAX) return fh_err_set(err, FH_E_USAGE, "--%s was given more than %d times", flag, NAMES_MAX);
        out[n] = value;
    }
    out[n] = NULL;
    return 0;
}

static int check_tls(const fh_cli *c, fh_err **err)
{
    if (fh_cli_has(c, "tls-cert") == fh_cli_has(c, "tls-key")) return 0;
    fh_err_set(err, FH_E_USAGE, "--tls-cert and --tls-key belong together");
    fh_err_hint(err, "one names the certificate with its chain, the other its private key, both in PEM form");
    return FH_E_USAGE;
}

static int read_cache(const fh_cli *c, fh_server_cache *ret, fh_err **err)
{
    static const char *const words[] = {"off", "own", "shared"};
    const char *said = fh_cli_text(c, "cache", words[FH_SERVER_CACHE_OWN]);
    for (size_t i = 0; i < FH_COUNT(words); i++) {
        if (strcmp(said, words[i]) != 0) continue;
        *ret = (fh_server_cache)i;
        return 0;
    }
    return fh_err_set(err, FH_E_USAGE, "--cache must be off, own or shared, not '%.32s'", said);
}

static int check_otlp(const fh_cli *c, fh_err **err)
{
    if (fh_cli_has(c, "otlp") || !fh_cli_has(c, "otlp-key-file")) return 0;
    fh_err_set(err, FH_E_USAGE, "--otlp-key-file says nothing without --otlp");
    fh_err_hint(err, "give --otlp the address of the collector that the key is for");
    return FH_E_USAGE;
}

static int run_serve(fh_cli *c, fh_err **err)
{
    char data[1024];
    const char *listen = fh_cli_env("FREEHOLD_LISTEN");
    const char *hosts[NAMES_MAX + 1], *folders[NAMES_MAX + 1], *proxies[NAMES_MAX + 1], *origins[NAMES_MAX + 1], *fetched[NAMES_MAX + 1],
        *engines[NAMES_MAX + 1];
    fh_server_cache cache = FH_SERVER_CACHE_OWN;
    int rc = check_tls(c, err);
    if (!rc) rc = read_cache(c, &cache, err);
    if (!rc) rc = check_otlp(c, err);
    if (!rc) rc = fh_cli_data_dir(c, data, sizeof data, err);
    if (!rc) rc = collect(c, "host", hosts, err);
    if (!rc) rc = collect(c, "import-dir", folders, err);
    if (!rc) rc = collect(c, "trusted-proxy", proxies, err);
    if (!rc) rc = collect(c, "cors-origin", origins, err);
    if (!rc) rc = collect(c, "fetch-allow", fetched, err);
    if (!rc) rc = collect(c, "engine", engines, err);
    if (rc) return rc;
    fh_mem_map_large();
    fh_server_config config = {
        .listen = fh_cli_text(c, "listen", listen ? listen : FH_CLI_LISTEN),
        .threads = fh_cli_int(c, "threads", FH_MIN(fh_topo_threads(), FH_LIMIT_SERVE_THREADS)),
        .data_dir = data,
        .store_url = fh_cli_text(c, "store", NULL),
        .key_file = fh_cli_text(c, "key-file", NULL),
        .hosts = hosts,
        .import_dirs = folders,
        .trusted_proxies = proxies,
        .cors_origins = origins,
        .fetch_allow = fetched,
        .fetch_ca = fh_cli_text(c, "fetch-ca", NULL),
        .tls_cert = fh_cli_text(c, "tls-cert", NULL),
        .tls_key = fh_cli_text(c, "tls-key", NULL),
        .cache = cache,
        .engines = engines,
        .pool = fh_cli_text(c, "pool", NULL),
        .pool_canaries_per_day = fh_cli_int(c, "pool-check", FH_LIMIT_HONESTY_POOL_PER_DAY),
        .region = fh_cli_text(c, "region", NULL),
        .plain_http = fh_cli_has(c, "plain-http"),
        .keep_engines = fh_cli_has(c, "keep-engines") || getenv("INVOCATION_ID"),
        .access_log = fh_cli_text(c, "access-log", NULL),
        .otlp_url = fh_cli_text(c, "otlp", NULL),
        .otlp_key_file = fh_cli_text(c, "otlp-key-file", NULL),
    };
    return fh_server_run(&config, err);
}

static const fh_cli_flag flags[] = {
    {"listen", 0, FH_CLI_TEXT, "ADDR:PORT", "where to listen (or FREEHOLD_LISTEN; default " FH_CLI_LISTEN "; port 0 picks a free one)", 0,
     0},
    {"threads", 0, FH_CLI_INT, "N", "threads that serve clients (default: one a physical core)", 1, FH_LIMIT_SERVE_THREADS},
    {"plain-http", 0, FH_CLI_BOOL, NULL, "listen beyond loopback without TLS: something in front does it", 0, 0},
    {"tls-cert", 0, FH_CLI_TEXT, "FILE", "speak HTTPS (TLS 1.2 and 1.3) with this certificate and its chain, PEM; SIGHUP reads it again", 0,
     0},
    {"tls-key", 0, FH_CLI_TEXT, "FILE", "the certificate's private key, PEM, without a passphrase", 0, 0},
    {"host", 0, FH_CLI_TEXT, "NAME", "another name that requests may use for this server; may be given again", 0, 0},
    {"trusted-proxy", 0, FH_CLI_TEXT, "RANGE", "proxy whose X-Forwarded-For is believed, as 10.0.0.0/8 or an address; may be given again",
     0, 0},
    {"cors-origin", 0, FH_CLI_TEXT, "ORIGIN",
     "https://HOST whose pages may call the OpenAI and Anthropic API, * for all; may be given again", 0, 0},
    {"cache", 0, FH_CLI_TEXT, "off|own|shared",
     "what the same deterministic request gets again: off: a new answer; own (default): its key's answer; shared: any key's", 0, 0},
    {"pool", 0, FH_CLI_TEXT, "ADDR:PORT", "let machines join there, as 0.0.0.0:8471 (see node token); always encrypted", 0, 0},
    {"pool-check", 0, FH_CLI_INT, "N",
     "canaries a day for each model on a machine of the pool that is ready here too (docs/HONESTY.md); 48 without, 0 for none", 0,
     FH_LIMIT_HONESTY_CANARIES_PER_DAY},
    {"region", 0, FH_CLI_TEXT, "NAME",
     "where this machine stands, as eu-west-1: for requests that demand a region; replicas there are preferred", 0, 0},
    {"fetch-allow", 0, FH_CLI_TEXT, "WHAT",
     "host, address or range, with :PORT unless 443, that images may be fetched from though it is not public; may be given again", 0, 0},
    {"fetch-ca", 0, FH_CLI_TEXT, "FILE", "certificates, PEM, that vouch for servers of images, instead of the system's", 0, 0},
    {"engine", 0, FH_CLI_TEXT, "ENGINE=PROGRAM",
     "where another engine is, as llama-server=/opt/llama/bin/llama-server; :FOLDER behind it is a folder that it reads; may be given "
     "again",
     0, 0},
    {"store", 0, FH_CLI_TEXT, "URL", "where the truth is kept (default sqlite:DATA/freehold.db)", 0, 0},
    {"data", 0, FH_CLI_TEXT, "DIR", "the data folder (or FREEHOLD_DATA; default $XDG_DATA_HOME/freehold)", 0, 0},
    {"key-file", 0, FH_CLI_TEXT, "FILE", "write the first key there, readable by you alone", 0, 0},
    {"import-dir", 0, FH_CLI_TEXT, "DIR", "another folder that weights may be imported from; may be given again", 0, 0},
    {"access-log", 0, FH_CLI_TEXT, "FILE",
     "a line of JSON for each request, without its content, - for standard output; SIGHUP opens it anew", 0, 0},
    {"otlp", 0, FH_CLI_TEXT, "URL", "send traces to this collector (OTLP/HTTP), as http://127.0.0.1:4318", 0, 0},
    {"otlp-key-file", 0, FH_CLI_TEXT, "FILE", "holds the key for the collector, sent as Authorization: Bearer", 0, 0},
    {"keep-engines", 0, FH_CLI_BOOL, NULL, "engines go on when the server stops; the next start adopts them (always so under systemd)", 0,
     0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};

static const char *const examples[] = {
    "freehold serve", "freehold serve --listen 127.0.0.1:9000 --data /srv/freehold --key-file ~/.config/freehold/key", NULL};

const fh_cli_verb fh_verb_serve = {
    .name = "serve",
    .group = "Server",
    .summary = "run the server: API, control plane and console",
    .operands = "",
    .about =
        "Prints its address and, on a terminal only, the first key of a new data folder and a link that opens the console once within 15 "
        "minutes. Ctrl-C or SIGTERM stops it: running "
        "requests get ten seconds, then engines are stopped, unless they are to go on.\n\nIt listens on this machine only. Beyond it, "
        "give it a certificate, or put something that speaks TLS in front and say --plain-http.\n\nSIGHUP reads the certificate again and "
        "opens the access log anew. "
        "SIGUSR2 "
        "upgrades: the program that now lies where this one lay is started and takes over, and no request is refused; what runs ends in "
        "the "
        "old process. Sockets that systemd holds (LISTEN_FDS) are served instead of --listen.",
    .examples = examples,
    .flags = flags,
    .run = run_serve,
    .no_json = true,
};
