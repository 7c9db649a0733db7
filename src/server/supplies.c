/* Providers that machines are got of (see supplies.h). */
#include "supplies.h"

#include "base/clock.h"
#include "base/log.h"
#include "fleet/nodes.h"
#include "fleet/supplies.h"
#include "installation.h"
#include "pool/service.h"
#include "providers.h"
#include "rented.h"
#include "server_private.h"
#include "supply/box.h"
#include "supply/slurm.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const fh_supply_kind kinds[] = {
    {"runpod", fh_rented_open, NULL},
    {"vast", fh_rented_open, NULL},
    {"lambda", fh_rented_open, NULL},
    {"skypilot", fh_rented_open, NULL},
    {"slurm", fh_supply_slurm_open, NULL},
    {"ssh", fh_supply_box_open, "ssh://user@host"},
    {NULL, NULL, NULL},
};

const fh_supply_kind *fh_supply_kind_find(fh_str name)
{
    const fh_supply_kind *k = kinds;
    while (k->name && !fh_str_eqs(name, k->name)) k++;
    return k->name ? k : NULL;
}

/* ---- on the fleet's thread ---- */

static int make_token(void *arg, char *out, size_t out_size, fh_err **err)
{
    fh_server *s = arg;
    char text[FH_JOIN_TOKEN_LEN + 1];
    int64_t expires;
    if (!s->pool) return fh_err_set(err, FH_E_UNAVAILABLE, "this server does not listen for machines");
    int rc = fh_nodes_token_new(s->nodes, fh_pool_service_fingerprint(s->pool), "", fh_clock_utc_ns(), text, &expires, err);
    if (!rc) snprintf(out, out_size, "%s", text);
    explicit_bzero(text, sizeof text);
    return rc;
}

static int grant(void *arg, const char *node, const char *key, fh_err **err)
{
    fh_server *s = arg;
    fh_link_digest digest;
    if (!fh_link_digest_parse(fh_str_of(key), &digest)) return fh_err_set(err, FH_E_INVALID, "this is no SHA-256 of a key");
    return fh_nodes_grant(s->nodes, &digest, node, fh_clock_utc_ns(), err);
}

static void end_grant(void *arg, const char *node)
{
    fh_server *s = arg;
    FH_AUTO(fh_err) fh_err *err = NULL;
    if (fh_nodes_grant_end(s->nodes, node, &err))
        fh_log_err(FH_LOG_WARN, "server", err, "what was granted to %s lasts until its hour is over", node);
}

/* What machines dial: the address that the pool listens at, by this machine's name where that is every address. */
static void door_url(const fh_server *s, char *out, size_t out_size)
{
    char host[256] = "";
    const char *address = s->config->pool, *colon = address ? strrchr(address, ':') : NULL;
    out[0] = '\0';
    if (!s->pool || !colon) return;
    snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    bool any = strcmp(host, "0.0.0.0") == 0 || strcmp(host, "[::]") == 0 || !host[0];
    if (any && gethostname(host, sizeof host) != 0) snprintf(host, sizeof host, "localhost");
    snprintf(out, out_size, "https://%s:%d", host, fh_pool_service_port(s->pool));
}

typedef struct opening {
    fh_server *server;
    const fh_provider *p;
    int rc;
    fh_err *err;
} opening;

static void open_one(void *arg)
{
    opening *o = arg;
    fh_server *s = o->server;
    char name[80], url[300], certificate[FH_LINK_DIGEST_TEXT] = "";
    FH_AUTO(json) fh_json *settings = NULL;
    fh_supply *made = NULL;
    snprintf(name, sizeof name, "provider/%s", o->p->name);
    door_url(s, url, sizeof url);
    if (s->pool) fh_link_digest_write(fh_pool_service_fingerprint(s->pool), certificate);
    o->rc = fh_json_parse(&settings, fh_str_of(o->p->settings), sizeof o->p->settings, &o->err);
    fh_supply_config c = {
        .name = name,
        .kind = o->p->supplies->name,
        .url = o->p->url,
        .key_file = o->p->key_file,
        .settings = settings,
        .data_dir = s->config->data_dir,
        .store_url = s->store_url,
        .program = s->program,
        .door = {.url = url, .token = make_token, .grant = grant, .revoke = end_grant, .certificate = certificate, .arg = s}};
    fh_str said = fh_json_str(fh_json_get(settings, "server"));
    if (said.len) c.door.url = said.ptr; /* how machines reach this server, where that is another way */
    if (!o->rc) o->rc = o->p->supplies->open(&made, fh_fleet_loop(s->fleet), &c, &o->err);
    if (!o->rc) fh_fleet_supply_add(s->fleet, made);
}

typedef struct closing {
    fh_server *server;
    const char *name;
    int rc;
    fh_err *err;
} closing;

static void close_one(void *arg)
{
    closing *c = arg;
    c->rc = fh_fleet_supply_remove(c->server->fleet, c->name, &c->err);
}

/* ---- from the main loop ---- */

/* What a copy of the data takes for its own may be the original's: jobs of a cluster, a box that was set up. Accounts see to that
 * themselves, rental by rental. */
static int check_ours(const fh_server *s, const fh_provider *p, fh_err **err)
{
    fh_rent_identity id;
    if (p->rents) return 0;
    int rc = fh_installation_open(s->db, s->config->data_dir, &id, err);
    if (rc || !id.doubtful) return rc;
    fh_err_set(err, FH_E_CONFLICT, "%s is left alone: this is a copy of another data folder, whose machines it may have", p->name);
    fh_err_hint(err, "`freehold provider take-over` if this is the one that goes on");
    return FH_E_CONFLICT;
}

int fh_server_supply_open(fh_server *s, const fh_provider *p, fh_err **err)
{
    int ours = check_ours(s, p, err);
    if (ours) return ours;
    opening o = {.server = s, .p = p};
    if (!fh_fleet_call(s->fleet, open_one, &o)) return fh_err_set(err, FH_E_UNAVAILABLE, "a newer server has the machines");
    if (o.rc) fh_err_move(err, &o.err);
    return o.rc;
}

int fh_server_supply_close(fh_server *s, const char *provider, fh_err **err)
{
    char name[80];
    closing c = {.server = s, .name = name};
    snprintf(name, sizeof name, "provider/%s", provider);
    if (!fh_fleet_call(s->fleet, close_one, &c)) return fh_err_set(err, FH_E_UNAVAILABLE, "a newer server has the machines");
    if (c.rc) fh_err_move(err, &c.err);
    return c.rc;
}

void fh_server_open_supplies(fh_server *s)
{
    for (size_t i = 0; i < fh_providers_count(s->providers); i++) {
        FH_AUTO(fh_err) fh_err *err = NULL;
        const fh_provider *p = fh_providers_at(s->providers, i);
        int rc = p->supplies ? fh_server_supply_open(s, p, &err) : 0;
        if (rc) fh_log_err(FH_LOG_ERROR, "server", err, "no machines can be had of provider %s", p->name);
        if (rc == FH_E_CONFLICT) s->supplies_held = true;
    }
}

void fh_server_supplies_take_over(fh_server *s)
{
    if (!s->supplies_held) return;
    s->supplies_held = false;
    for (size_t i = 0; i < fh_providers_count(s->providers); i++) {
        FH_AUTO(fh_err) fh_err *err = NULL;
        const fh_provider *p = fh_providers_at(s->providers, i);
        if (p->supplies && !p->rents && fh_server_supply_open(s, p, &err))
            fh_log_err(FH_LOG_ERROR, "server", err, "no machines can be had of provider %s", p->name);
    }
}
