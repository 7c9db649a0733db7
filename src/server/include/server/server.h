/* The server: gateway, control plane, fleet and console files wired together. Clients come in on `threads` loops, each with a thread;
 * the control plane runs on the caller's. Restartable at any instant: all truth is in the
 * database. */
#ifndef FH_SERVER_SERVER_H
#define FH_SERVER_SERVER_H

#include "base/err.h"

typedef enum fh_server_cache {
    FH_SERVER_CACHE_OFF,
    FH_SERVER_CACHE_OWN,   /* a key is answered what it was answered before */
    FH_SERVER_CACHE_SHARED /* or what another was */
} fh_server_cache;

typedef struct fh_server_config { /* all borrowed until fh_server_run returns */
    const char *listen;           /* "127.0.0.1:8470", "[::1]:0"; not used when sockets are passed as LISTEN_FDS */
    int64_t threads;              /* loops that serve clients, at least 1 */
    const char *data_dir;
    const char *store_url;              /* NULL: sqlite:DATA/freehold.db */
    const char *key_file;               /* where the first key is written; NULL: printed only */
    const char *const *hosts;           /* more names that it answers to, NULL-terminated */
    const char *const *import_dirs;     /* folders that weights may be imported from, beside DATA/import; NULL-terminated */
    const char *tls_cert, *tls_key;     /* PEM files, both or none: HTTPS; read again on SIGHUP */
    const char *const *trusted_proxies; /* ranges of addresses whose X-Forwarded-For is believed; NULL-terminated */
    const char *const *fetch_allow;     /* what may be fetched from although it is not public (net/outside_rule.h); NULL-terminated */
    const char *fetch_ca;               /* PEM: who may vouch for servers that are fetched from; NULL: the system's list */
    const char *const *cors_origins;    /* other origins whose pages may speak to it; NULL-terminated */
    fh_server_cache cache;
    const char *const *engines;    /* where engines of others are, "ENGINE=PROGRAM[:PART...]", NULL-terminated */
    const char *pool;              /* where machines join: "0.0.0.0:8471"; NULL: none may */
    int64_t pool_canaries_per_day; /* that each deployment on a machine of the pool is sent */
    const char *region;            /* where it stands (gateway/region.h); NULL: not known */
    const char *access_log;        /* a file, or "-" for standard output; opened anew on SIGHUP; NULL: none is written */
    const char *otlp_url;          /* a collector of traces; NULL: none */
    const char *otlp_key_file;     /* holds the key for it; NULL: it wants none */
    bool plain_http;               /* beyond loopback without TLS: something in front does it */
    bool keep_engines;             /* engines go on when the server stops, and are adopted by the next */
} fh_server_config;

/* Runs until SIGINT or SIGTERM. Prints the address, the first key (once in the life of the data folder) and the console's one-time link to
 * standard output. */
int fh_server_run(const fh_server_config *c, fh_err **err);

#endif
