/* Wiring: opens the data folder, the database, the fleet and the listener, runs the loop, and takes all down again in the reverse order.
 *
 * Order of starting: what can be refused without having done anything (lock, database, address) comes before the fleet, which adopts and
 * starts engines. Order of stopping: no new connections; running requests get a few seconds; the HTTP server goes before the gateway, whose
 * requests end with it; the fleet last, which stops engines or leaves them to the next server. SIGUSR2 hands over to a new server
 * (upgrade.c). */
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "db/schema.h"
#include "groups.h"
#include "guards.h"
#include "honesty.h"
#include "price_lists.h"
#include "server/catalog_folder.h"
#include "providers.h"
#include "supplies.h"
#include "rental_offers.h"
#include "installation.h"
#include "server_private.h"
#include "sys/file.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define DRAIN_NS      (FH_LIMIT_DRAIN_MS * FH_NS_PER_MS)
#define GRACE_NS      (FH_LIMIT_STOP_GRACE_MS * FH_NS_PER_MS)
#define DRAIN_POLL_NS (20 * FH_NS_PER_MS)
#define KEYS_USED_NS  (FH_LIMIT_KEY_USED_MS * FH_NS_PER_MS)

static void on_request(fh_http_req *req, void *ctx)
{
    api_handle(ctx, req);
}

static size_t on_head(fh_http_req *req, void *ctx)
{
    return api_judge(ctx, req);
}

/* "[::1]:8470" -> "[::1]"; "127.0.0.1:8470" -> "127.0.0.1". */
static int split_listen(fh_server *s, const char *listen, fh_err **err)
{
    const char *colon = strrchr(listen, ':');
    size_t len = colon ? (size_t)(colon - listen) : 0;
    if (len && len < sizeof s->listen_host) {
        snprintf(s->listen_host, sizeof s->listen_host, "%.*s", (int)len, listen);
        return 0;
    }
    fh_err_set(err, FH_E_USAGE, "--listen wants ADDRESS:PORT, not '%.64s'", listen);
    fh_err_hint(err, "127.0.0.1:8470 is what it listens on without the flag; port 0 picks a free one");
    return FH_E_USAGE;
}

static bool is_wildcard(const char *host)
{
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "[::]") == 0 || strcmp(host, "*") == 0;
}

static bool is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strncmp(address, "[::1]:", 6) == 0 || strncmp(address, "localhost:", 10) == 0;
}

int fh_server_may_listen(const fh_server_config *c, const char *address, fh_err **err)
{
    if (is_loopback(address) || c->plain_http || c->tls_cert) return 0;
    fh_err_set(err, FH_E_USAGE, "will not listen on %s without encryption: keys and prompts would be readable on the network", address);
    fh_err_hint(err, "give --tls-cert and --tls-key, or listen on 127.0.0.1, or give --plain-http if something in front of it speaks TLS");
    return FH_E_USAGE;
}

static int check_listen(fh_server *s, fh_err **err)
{
    int rc = split_listen(s, s->config->listen, err);
    return rc ? rc : fh_server_may_listen(s->config, s->config->listen, err);
}

static int check_region(const fh_server *s, fh_err **err)
{
    const char *region = s->config->region;
    if (!region || fh_region_is(fh_str_of(region))) return 0;
    fh_err_set(err, FH_E_USAGE, "--region '%.64s' is no name of a region", region);
    fh_err_hint(err, "a region has 1 to %d small letters, digits and dashes, as eu-west-1", FH_REGION_CHARS - 1);
    return FH_E_USAGE;
}

static int load_certificate(fh_server *s, fh_tls **ret, fh_err **err)
{
    return s->config->tls_cert ? fh_tls_new(ret, s->config->tls_cert, s->config->tls_key, err) : 0;
}

static int collect_hosts(fh_server *s, fh_err **err)
{
    size_t count = 0;
    while (s->config->hosts && s->config->hosts[count]) count++;
    s->host_names = fh_calloc(count + 2, sizeof *s->host_names);
    if (!s->host_names) return fh_err_nomem(err);
    for (size_t i = 0; i < count; i++) s->host_names[i] = s->config->hosts[i];
    s->hosts.any_address = is_wildcard(s->listen_host) || fh_edges_mixed(s->edges);
    if (!s->hosts.any_address) s->host_names[count] = s->listen_host;
    s->hosts.names = s->host_names;
    return 0;
}

static int open_folder(fh_server *s, fh_err **err)
{
    const char *data = s->config->data_dir;
    snprintf(s->default_import_dir, sizeof s->default_import_dir, "%s/import", data);
    if (s->config->store_url)
        snprintf(s->store_url, sizeof s->store_url, "%s", s->config->store_url);
    else
        snprintf(s->store_url, sizeof s->store_url, "sqlite:%s/freehold.db", data);
    int rc = fh_dir_make(data, 0700, err);
    if (!rc) rc = fh_dir_make(s->default_import_dir, 0700, err);
    if (!rc) rc = fh_dir_lock(data, &s->lock_fd, err);
    if (rc == FH_E_BUSY) fh_err_hint(err, "stop the other one, or give --data another folder");
    return rc;
}

static int own_program(fh_server *s, fh_err **err)
{
    ssize_t n = readlink("/proc/self/exe", s->program, sizeof s->program - 1);
    if (n < 0) return fh_err_errno(err, FH_E_IO, errno, "cannot find the path of this program");
    s->program[n] = '\0';
    return 0;
}

static int open_responses(fh_server *s, fh_err **err)
{
    fh_response_store_config c = {.store_url = s->store_url};
    fh_response_store_defaults(&c);
    return fh_response_store_open(&s->responses, &c, err);
}

static int open_outside(fh_server *s, fh_err **err)
{
    const char *ca = s->config->fetch_ca;
    if (ca && access(ca, R_OK)) return fh_err_errno(err, FH_E_USAGE, errno, "cannot read the certificates of --fetch-ca, %s", ca);
    return fh_outside_new(&s->outside, &(fh_outside_config){.allow = s->config->fetch_allow, .ca_file = ca}, err);
}

static int open_store(fh_server *s, fh_err **err)
{
    int rc = fh_catalog_folder_open(s->config->data_dir, err);
    if (!rc) rc = fh_db_open(&s->db, s->store_url, err);
    if (!rc) rc = fh_db_migrate_schema(s->db, err);
    if (!rc) rc = fh_keys_open(&s->keys, s->db, fh_clock_utc_ns(), err);
    if (!rc) rc = fh_providers_open(&s->providers, s->db, err);
    if (!rc) rc = fh_standings_open(&s->standings, s->db, err);
    if (!rc) rc = fh_groups_open(&s->groups, s->db, err);
    if (!rc) rc = fh_price_lists_open(&s->price_lists, s->config->data_dir, err);
    if (!rc) rc = fh_server_pool_open(s, err);
    if (!rc) rc = fh_outcome_store_open(&s->outcomes, s->store_url, err);
    if (!rc) rc = fh_usage_store_open(&s->usage, s->store_url, err);
    if (!rc) rc = fh_tokenizers_new(&s->tokenizers, err);
    if (!rc) rc = open_responses(s, err);
    if (!rc) rc = fh_weights_open(&s->weights, s->config->data_dir, true, err);
    if (rc) return rc;
    s->signin = fh_signin_new();
    s->imports = fh_imports_new(s);
    s->in_flight_tokens = fh_map_new(NULL);
    s->guards = fh_guards_new();
    return s->signin && s->imports && s->in_flight_tokens && s->guards ? 0 : fh_err_nomem(err);
}

static int open_listener(fh_server *s, fh_err **err)
{
    int rc = fh_loop_new(&s->loop, err);
    if (!rc) rc = fh_http_client_new(&s->outbound, s->loop, err);
    if (!rc) s->rental_offers = fh_rental_offers_new(s->loop, s->config->data_dir);
    if (!rc && !s->rental_offers) rc = fh_err_nomem(err);
    if (!rc) rc = fh_http_server_new(&s->http, s->loop, on_request, s, err);
    if (!rc) fh_http_server_judge(s->http, on_head);
    if (!rc && s->tls) fh_http_server_tls(s->http, fh_take(s->tls));
    if (!rc) rc = fh_http_server_trust(s->http, s->config->trusted_proxies, err);
    if (!rc) rc = fh_edges_open(&s->edges, s->config, &s->handed, s->http, err);
    if (!rc) rc = split_listen(s, fh_edges_address(s->edges), err);
    if (rc) return rc;
    const char *shown = is_wildcard(s->listen_host) ? (s->listen_host[0] == '[' ? "[::1]" : "127.0.0.1") : s->listen_host;
    const char *port = strrchr(fh_edges_address(s->edges), ':');
    snprintf(s->address, sizeof s->address, "http%s://%s%s", s->config->tls_cert ? "s" : "", shown, port);
    return 0;
}

static int start_services(fh_server *s, fh_err **err)
{
    fh_fleet *fleet = NULL;
    char secret[FH_INSTALLATION_SECRET_CHARS];
    fh_gateway_config gateway = {.routes = fh_server_routes(s),
                                 .responses = s->responses,
                                 .outside = s->outside,
                                 .outcomes = s->outcomes,
                                 .usage = s->usage,
                                 .tokenizers = s->tokenizers,
                                 .region = s->config->region,
                                 .secret = secret,
                                 .keep_answers = s->config->cache != FH_SERVER_CACHE_OFF,
                                 .share_answers = s->config->cache == FH_SERVER_CACHE_SHARED,
                                 .no_pages = s->config->cache == FH_SERVER_CACHE_OFF};
    gateway.loops = fh_edges_loops(s->edges, &gateway.loop_count);
    gateway.traced = s->config->otlp_url != NULL;
    int rc = fh_observers_open(&s->observers, s, err);
    if (!rc) rc = fh_random_bytes(&gateway.seed, sizeof gateway.seed, err);
    if (!rc) rc = fh_installation_secret(s->config->data_dir, secret, err);
    if (!rc) rc = fh_server_start_fleet(s, &fleet, err);
    s->fleet = fleet;
    if (!rc) rc = fh_server_start_pool(s, err);
    if (!rc) fh_server_open_supplies(s);
    if (!rc) rc = fh_feed_new(&s->feed, s, err);
    if (!rc) rc = fh_gateway_new(&s->gateway, &gateway, err);
    explicit_bzero(secret, sizeof secret);
    if (!rc) api_providers_load_tokenizers(s);
    if (!rc) rc = fh_honesty_watch(s, err);
    return rc;
}

/* When keys were used last is noted in memory; it is written down here, off every request's way. Not once a newer server has the keys. */
void fh_server_write_used(fh_server *s)
{
    fh_err *err = NULL;
    if (s->keys && !s->handed_over && fh_keys_write_used(s->keys, &err))
        fh_log_err(FH_LOG_WARN, "server", err, "it is not written down when keys were used last");
    fh_err_free(err);
}

static void write_used_again(void *arg)
{
    fh_server *s = arg;
    fh_server_write_used(s);
    fh_timer_start(s->keys_timer, KEYS_USED_NS);
}

static int watch_keys(fh_server *s, fh_err **err)
{
    int rc = fh_timer_new(&s->keys_timer, s->loop, write_used_again, s, err);
    if (!rc) fh_timer_start(s->keys_timer, KEYS_USED_NS);
    return rc;
}

/* Stopping. */

static void poll_drained(void *arg)
{
    fh_server *s = arg;
    bool idle = fh_http_server_connections(s->http) == 0;
    if (idle || fh_clock_mono_ns() >= s->stop_deadline_ns)
        fh_loop_stop(s->loop);
    else
        fh_timer_start(s->stop_timer, DRAIN_POLL_NS);
}

void fh_server_drain(fh_server *s, int64_t grace_ns, int64_t most_ns)
{
    s->stop_deadline_ns = fh_clock_mono_ns() + most_ns;
    fh_feed_free(s->feed);
    s->feed = NULL;
    fh_edges_drain(s->edges, grace_ns);
    fh_http_server_drain(s->http, grace_ns);
    poll_drained(s);
}

static void on_stop_signal(void *arg)
{
    fh_server *s = arg;
    if (s->stopping) {
        fh_loop_stop(s->loop);
        return;
    }
    s->stopping = true;
    fh_log(FH_LOG_INFO, "server", "stopping requests=%zu", fh_gateway_in_flight(s->gateway));
    fh_server_drain(s, fh_edges_inherited(s->edges) ? GRACE_NS : 0, DRAIN_NS);
}

static void on_upgrade_signal(void *arg)
{
    fh_server_upgrade(arg);
}

/* True when it changed, or should have. */
static bool reload_catalog(fh_server *s)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    bool changed = false;
    if (fh_catalog_folder_reload(s->config->data_dir, &changed, &err))
        fh_log_err(FH_LOG_ERROR, "server", err, "the catalogue stays as it is");
    else if (changed)
        fh_log(FH_LOG_INFO, "server", "catalogue reloaded models=%zu", fh_catalog_now()->model_count);
    return changed || err;
}

static void on_reload_signal(void *arg)
{
    fh_server *s = arg;
    fh_err *err = NULL;
    fh_tls *tls = NULL;
    bool reopened = fh_observers_reopen(s->observers);
    bool reloaded = reload_catalog(s);
    if (!s->config->tls_cert && !reopened && !reloaded)
        fh_log(FH_LOG_INFO, "server",
               "nothing to reload: the catalogue is as it was, there is no certificate, no access log, and all settings are flags");
    else if (s->config->tls_cert && load_certificate(s, &tls, &err))
        fh_log_err(FH_LOG_ERROR, "server", err, "the new certificate is not used, the one before stays");
    if (tls) {
        fh_http_server_tls(s->http, tls);
        fh_log(FH_LOG_INFO, "server", "certificate reloaded from %s", s->config->tls_cert);
    }
    fh_err_free(err);
}

static int watch_signals(fh_server *s, fh_err **err)
{
    signal(SIGPIPE, SIG_IGN);
    int rc = fh_timer_new(&s->stop_timer, s->loop, poll_drained, s, err);
    if (!rc) rc = fh_loop_on_signal(s->loop, SIGINT, on_stop_signal, s, err);
    if (!rc) rc = fh_loop_on_signal(s->loop, SIGTERM, on_stop_signal, s, err);
    if (!rc) rc = fh_loop_on_signal(s->loop, SIGHUP, on_reload_signal, s, err);
    if (!rc) rc = fh_loop_on_signal(s->loop, SIGUSR2, on_upgrade_signal, s, err);
    return rc;
}

/* The fleet reads them to its end. */
static void close_standings(fh_server *s)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    if (s->standings && !s->handed_over && fh_standings_write(s->standings, &err))
        fh_log_err(FH_LOG_WARN, "server", err, "how places have worked is not written down");
    fh_standings_close(s->standings);
}

static void close_all(fh_server *s)
{
    fh_feed_free(s->feed);
    fh_edges_stop(s->edges);
    fh_tokenizers_stop_loading(s->tokenizers);
    fh_honesty_check_end(s);
    fh_http_client_free(s->outbound);        /* what it was asked for ends with an error, while there is a server to say it */
    fh_rental_offers_stop(s->rental_offers); /* likewise */
    fh_http_server_free(s->http);
    fh_tls_free(s->tls);
    fh_gateway_free(s->gateway);
    fh_rental_offers_free(s->rental_offers);
    fh_free(s->guards);
    fh_providers_close(s->providers);
    fh_price_lists_close(s->price_lists);
    fh_tokenizers_free(s->tokenizers);
    fh_outside_free(s->outside);
    fh_response_store_close(s->responses);
    fh_observers_close(s->observers);
    fh_outcome_store_close(s->outcomes);
    fh_usage_store_close(s->usage);
    fh_imports_free(s->imports);
    fh_fleet_stop(s->fleet);
    close_standings(s);
    fh_timer_free(s->stop_timer);
    fh_timer_free(s->keys_timer);
    fh_timer_free(s->honesty_timer);
    fh_timer_free(s->load_timer);
    fh_edges_free(s->edges);
    fh_loop_free(s->loop);
    fh_map_free(s->in_flight_tokens);
    fh_signin_free(s->signin);
    fh_weights_close(s->weights);
    fh_groups_close(s->groups);
    fh_server_pool_close(s);
    fh_server_write_used(s);
    fh_keys_close(s->keys);
    fh_db_close(s->db);
    fh_free(s->host_names);
    if (s->handover_fd >= 0) close(s->handover_fd);
    if (s->lock_fd >= 0) close(s->lock_fd);
}

/* Starting. */

static int write_key_file(const char *path, const char *text, fh_err **err)
{
    char folder[1100], line[FH_KEY_LEN + 2];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    int rc = 0;
    if (slash && slash != folder) {
        *slash = '\0';
        rc = fh_dir_make(folder, 0700, err);
    }
    snprintf(line, sizeof line, "%s\n", text);
    if (!rc) rc = fh_file_write_atomic(path, line, strlen(line), 0600, err);
    explicit_bzero(line, sizeof line);
    return rc ? fh_err_add(err, "the first key cannot be written") : 0;
}

/* Where the first key is written, NULL for nowhere: without --key-file a terminal gets it, and anything else may be a log. */
static const char *first_key_file(fh_server *s)
{
    if (s->config->key_file) return s->config->key_file;
    if (isatty(STDOUT_FILENO)) return NULL;
    snprintf(s->first_key_file, sizeof s->first_key_file, "%s/first-key", s->config->data_dir);
    return s->first_key_file;
}

/* The file may hold the only key of another server: refused before anything is made. */
static int check_key_file(fh_server *s, fh_err **err)
{
    const char *file = fh_keys_count(s->keys) > 0 ? NULL : first_key_file(s);
    if (!file || !fh_file_exists(file)) return 0;
    fh_err_set(err, FH_E_CONFLICT, "the first key would be written to %s, which exists already", file);
    fh_err_hint(err, "it may be the key of another server: move it away, or give another --key-file");
    return FH_E_CONFLICT;
}

static void announce_first_key(const char *file, const char *text)
{
    if (file)
        printf("The first key is in %s\n", file);
    else
        printf("First key, shown once: %s\nSave it where the command line looks for it: ~/.config/freehold/key\n", text);
}

static int first_key(fh_server *s, fh_err **err)
{
    char text[FH_KEY_LEN + 1];
    fh_key spec = {.name = "first", .scopes = FH_SCOPES_ADMIN}, made;
    if (fh_keys_count(s->keys) > 0) return 0;
    const char *file = first_key_file(s);
    int rc = fh_keys_create(s->keys, &spec, fh_clock_utc_ns(), &made, text, err);
    if (rc) return rc;
    if (file) rc = write_key_file(file, text, err);
    if (!rc)
        announce_first_key(file, text);
    else
        fh_keys_remove(s->keys, fh_str_of(made.id)); /* the next start makes another */
    explicit_bzero(text, sizeof text);
    return rc;
}

/* A link signs in whoever reads it: only a terminal gets one. */
static int announce_console(fh_server *s, fh_err **err)
{
    char link[512];
    if (!isatty(STDOUT_FILENO)) {
        printf("Console: run `freehold console` for a link\n");
        return 0;
    }
    int rc = fh_console_link(s, link, sizeof link, err);
    if (rc) return rc;
    printf("Console, once within 15 minutes: %s\n", link);
    explicit_bzero(link, sizeof link);
    return 0;
}

static int announce(fh_server *s, fh_err **err)
{
    printf("freehold " FH_VERSION " listens on %s\n", s->address);
    if (s->pool_port) printf("Machines join at port %d: `freehold node token` makes a token\n", s->pool_port);
    int rc = first_key(s, err);
    if (!rc) rc = announce_console(s, err);
    fflush(stdout);
    return rc;
}

/* Each stream is a descriptor for its client and one for its engine. */
static void raise_file_limit(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) != 0 || l.rlim_cur >= l.rlim_max) return;
    l.rlim_cur = l.rlim_max;
    setrlimit(RLIMIT_NOFILE, &l); /* what cannot be raised stays */
}

static int start_all(fh_server *s, fh_err **err)
{
    s->start_ns = fh_clock_mono_ns();
    raise_file_limit();
    umask(077); /* the database and its journals too are ours alone */
    int rc = fh_handover_join(&s->handover_fd, s->handed.fds, &s->handed.count, err);
    if (!rc) rc = check_region(s, err);
    if (!rc) rc = check_listen(s, err);
    if (!rc) rc = load_certificate(s, &s->tls, err);
    if (!rc) rc = open_outside(s, err);
    if (!rc) rc = fh_handover_await_turn(s->handover_fd, err);
    if (!rc) rc = own_program(s, err);
    if (!rc) rc = open_folder(s, err);
    if (!rc) rc = open_store(s, err);
    if (!rc) rc = check_key_file(s, err);
    if (!rc) rc = open_listener(s, err);
    if (!rc) rc = collect_hosts(s, err);
    if (!rc) rc = start_services(s, err);
    if (!rc) rc = watch_signals(s, err);
    if (!rc) rc = watch_keys(s, err);
    if (!rc) rc = fh_server_watch_load(s, err);
    if (!rc) rc = announce(s, err);
    if (!rc) rc = fh_edges_start(s->edges, err);
    if (!rc) rc = fh_handover_serving(s->handover_fd, err);
    if (!rc) fh_notify_ready();
    return rc;
}

int fh_server_run(const fh_server_config *c, fh_err **err)
{
    fh_server s = {.config = c, .lock_fd = -1, .handover_fd = -1};
    int rc = start_all(&s, err);
    if (!rc) {
        fh_log(FH_LOG_INFO, "server", "ready after_ms=%.1f", (double)(fh_clock_mono_ns() - s.start_ns) / 1e6);
        rc = fh_loop_run(s.loop, err);
    }
    close_all(&s);
    if (!rc) fh_log(FH_LOG_INFO, "server", "stopped");
    return rc;
}
