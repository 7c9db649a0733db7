/* Machines of the pool over HTTP: list, one, a token to join with, drain, undrain, remove. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "fleet/nodes.h"
#include "pool/service.h"
#include "pool_offers.h"
#include "server_private.h"
#include "standings.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

static fh_json *words_json(const char *words)
{
    fh_json *list = fh_json_new_array();
    for (fh_str left = fh_str_trim(fh_str_of(words)); left.len;) {
        size_t end = fh_str_find(left, FH_STR(" "));
        fh_json_append(list, fh_json_new_str((fh_str){left.ptr, end}));
        left = fh_str_trim((fh_str){left.ptr + end, left.len - end});
    }
    return list;
}

static void set_report(fh_json *o, fh_fleet *f, const char *name)
{
    fh_fleet_node_report r;
    bool is = fh_fleet_node_last_report(f, name, &r);
    fh_json_set(o, "memory_bytes", is ? fh_json_new_int((int64_t)r.memory_bytes) : fh_json_new_null());
    fh_json_set(o, "memory_free_bytes", is ? fh_json_new_int((int64_t)r.memory_free_bytes) : fh_json_new_null());
    fh_json_set(o, "sandbox", fh_json_new_cstr(is ? r.sandbox : NULL));
    fh_json_set(o, "owner", is && r.owner ? fh_json_ref(r.owner) : fh_json_new_null());
    fh_json_set(o, "engines", is ? words_json(r.engines) : fh_json_new_array());
}

static fh_json *known(int64_t v)
{
    return v ? fh_json_new_int(v) : fh_json_new_null();
}

static fh_json *measured_json(const fh_node_measured *m)
{
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "at", api_time(m->at_utc_ns));
    fh_json_set(o, "round_trip_us", known(m->round_trip_us));
    fh_json_set(o, "link_to_bytes_per_s", known(m->to_bytes_s));
    fh_json_set(o, "link_from_bytes_per_s", known(m->from_bytes_s));
    fh_json_set(o, "memory_read_bytes_per_s", known(m->memory_bytes_s));
    fh_json_set(o, "work_done", m->wrong || m->memory_bytes_s ? fh_json_new_bool(!m->wrong) : fh_json_new_null());
    return o;
}

static fh_json *node_json(const fh_server *s, const fh_node *n)
{
    FH_AUTO(json) fh_json *facts = NULL;
    char place[80];
    fh_place_standing standing;
    fh_json *o = fh_json_new_object();
    fh_json_parse(&facts, fh_str_of(n->facts), FH_LIMIT_NODE_FACTS_BYTES, NULL);
    snprintf(place, sizeof place, "node/%s", n->name);
    fh_standings_place(s->standings, place, &standing);
    fh_json_set(o, "name", fh_json_new_cstr(n->name));
    fh_json_set(o, "state", fh_json_new_cstr(fh_node_state_name(n->state)));
    fh_json_set(o, "here", fh_json_new_bool(n->linked));
    fh_json_set(o, "owned_by", fh_json_new_cstr(n->owner[0] ? n->owner : NULL));
    fh_json_set(o, "ask_micro_per_hour", fh_json_new_int(n->ask.micro));
    fh_json_set(o, "ask_currency", fh_json_new_cstr(n->ask.currency));
    fh_json_set(o, "standing", fh_place_standing_json(&standing));
    fh_json_set(o, "joined", api_time(n->joined_utc_ns));
    fh_json_set(o, "seen", api_time(n->seen_utc_ns));
    fh_json_set(o, "certificate_expires", api_time(n->until_utc_ns));
    set_report(o, s->fleet, n->name);
    fh_json_set(o, "measured", measured_json(&n->measured));
    fh_json_set(o, "facts", facts ? fh_take(facts) : fh_json_new_object());
    return o;
}

/* ---- on the fleet's thread, where the nodes are ---- */

typedef struct asked { /* the answer: a document, or an error */
    fh_server *server;
    const char *name, *owner;
    fh_json *made;
    fh_err *err;
} asked;

static void list(void *arg)
{
    asked *a = arg;
    const fh_nodes *all = a->server->nodes;
    a->made = fh_json_new_array();
    for (size_t i = 0; i < fh_nodes_count(all); i++)
        if (fh_nodes_at(all, i)->state != FH_NODE_REMOVED) fh_json_append(a->made, node_json(a->server, fh_nodes_at(all, i)));
}

static void get(void *arg)
{
    asked *a = arg;
    const fh_node *n = fh_nodes_find(a->server->nodes, fh_str_of(a->name));
    if (n) {
        a->made = node_json(a->server, n);
        return;
    }
    fh_err_set(&a->err, FH_E_NOT_FOUND, "there is no machine '%.64s' in the pool", a->name);
    fh_err_hint(&a->err, "`freehold node list` shows them");
}

/* Of one interface, as it stands in a URL; false: machines elsewhere do not reach it there. */
static bool reachable(const struct ifaddrs *i, char *out, size_t out_size)
{
    char text[INET6_ADDRSTRLEN];
    const void *address = NULL;
    bool v6 = i->ifa_addr && i->ifa_addr->sa_family == AF_INET6;
    if (!(i->ifa_flags & IFF_UP) || (i->ifa_flags & IFF_LOOPBACK)) return false;
    if (v6) address = &((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr;
    if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET) address = &((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr;
    if (!address || (v6 && IN6_IS_ADDR_LINKLOCAL((const struct in6_addr *)address))) return false;
    if (!inet_ntop(i->ifa_addr->sa_family, address, text, sizeof text)) return false;
    snprintf(out, out_size, v6 ? "[%s]" : "%s", text);
    return true;
}

/* Where other machines may reach the pool, as far as this one can say: what it listens on, or each of its addresses where that is all. */
static fh_json *addresses_json(const char *pool)
{
    fh_json *list = fh_json_new_array();
    struct ifaddrs *all = NULL;
    char text[INET6_ADDRSTRLEN + 2];
    fh_str on = {pool, strlen(pool)};
    while (on.len && on.ptr[on.len - 1] != ':') on.len--;
    on.len -= on.len > 0;
    if (on.len && !fh_str_eqs(on, "0.0.0.0") && !fh_str_eqs(on, "[::]")) {
        fh_json_append(list, fh_json_new_str(on));
        return list;
    }
    if (getifaddrs(&all) != 0) return list;
    for (const struct ifaddrs *i = all; i && fh_json_count(list) < FH_LIMIT_POOL_ADDRESSES; i = i->ifa_next)
        if (reachable(i, text, sizeof text)) fh_json_append(list, fh_json_new_cstr(text));
    freeifaddrs(all);
    return list;
}

static void token(void *arg)
{
    asked *a = arg;
    fh_server *s = a->server;
    char text[FH_JOIN_TOKEN_LEN + 1], fingerprint[FH_LINK_DIGEST_TEXT];
    int64_t expires;
    if (!s->pool) {
        fh_err_set(&a->err, FH_E_CONFLICT, "this server does not listen for machines");
        fh_err_hint(&a->err, "start it with --pool ADDRESS:PORT, as --pool 0.0.0.0:8471, where they reach it");
        return;
    }
    if (fh_nodes_token_new(s->nodes, fh_pool_service_fingerprint(s->pool), a->owner, fh_clock_utc_ns(), text, &expires, &a->err)) return;
    fh_link_digest_write(fh_pool_service_fingerprint(s->pool), fingerprint);
    a->made = fh_json_new_object();
    fh_json_set(a->made, "token", fh_json_new_cstr(text));
    fh_json_set(a->made, "expires", api_time(expires));
    fh_json_set(a->made, "server_sha256", fh_json_new_cstr(fingerprint));
    fh_json_set(a->made, "port", fh_json_new_int(fh_pool_service_port(s->pool)));
    fh_json_set(a->made, "addresses", addresses_json(s->config->pool));
    explicit_bzero(text, sizeof text);
}

static void drain(void *arg)
{
    asked *a = arg;
    int64_t id;
    if (fh_nodes_drain(a->server->nodes, a->name, &id, &a->err)) return;
    fh_fleet_node_drain(a->server->fleet, a->name);
    a->made = node_json(a->server, fh_nodes_find_id(a->server->nodes, id));
}

static void undrain(void *arg)
{
    asked *a = arg;
    int64_t id;
    if (fh_nodes_undrain(a->server->nodes, a->name, &id, &a->err)) return;
    fh_fleet_node_undrain(a->server->fleet, a->name);
    a->made = node_json(a->server, fh_nodes_find_id(a->server->nodes, id));
}

/* What ran there counts as ended before the machine is told. */
static void remove_node(void *arg)
{
    asked *a = arg;
    int64_t id;
    if (fh_nodes_remove(a->server->nodes, a->name, &id, &a->err)) return;
    fh_fleet_node_remove(a->server->fleet, a->name);
    fh_pool_offers_note(a->server->pool_offers, fh_nodes_find_id(a->server->nodes, id), false);
    fh_pool_service_drop(a->server->pool, id);
}

/* ---- the calls ---- */

/* a: what fn wants to know beside the server and the name. */
static bool ask_with(api_call *c, asked a, void (*fn)(void *arg), fh_json **ret)
{
    a.server = c->server;
    a.name = c->param;
    if (!fh_fleet_call(c->server->fleet, fn, &a)) fh_err_set(&a.err, FH_E_UNAVAILABLE, "a newer server has the pool");
    if (a.err) api_reply_error(c, a.err);
    *ret = a.made;
    return !a.err;
}

static bool ask(api_call *c, void (*fn)(void *arg), fh_json **ret)
{
    return ask_with(c, (asked){.owner = ""}, fn, ret);
}

bool api_node_is(api_call *c, fh_err **err)
{
    asked a = {.server = c->server, .name = c->param};
    if (!fh_fleet_call(c->server->fleet, get, &a)) fh_err_set(&a.err, FH_E_UNAVAILABLE, "a newer server has the pool");
    fh_json_unref(a.made);
    bool is = !a.err;
    fh_err_move(err, &a.err);
    return is;
}

void api_nodes_list(api_call *c)
{
    fh_json *made;
    if (ask(c, list, &made)) api_reply(c, 200, api_list(made, fh_json_new_null()));
}

void api_nodes_get(api_call *c)
{
    fh_json *made;
    if (ask(c, get, &made)) api_reply(c, 200, made);
}

/* The machine is whose the request says, else whose the key is that makes the token. */
void api_nodes_token(api_call *c)
{
    fh_json *made;
    fh_err *err = NULL;
    char owner[FH_OWNER_CHARS];
    snprintf(owner, sizeof owner, "%s", c->key.owner);
    if (api_owner_read(c->body, owner, &err))
        api_reply_error(c, err);
    else if (ask_with(c, (asked){.owner = owner}, token, &made))
        api_reply(c, 201, made);
}

void api_nodes_drain(api_call *c)
{
    fh_json *made;
    if (ask(c, drain, &made)) api_reply(c, 200, made);
}

void api_nodes_undrain(api_call *c)
{
    fh_json *made;
    if (ask(c, undrain, &made)) api_reply(c, 200, made);
}

/* Who comes again, with another certificate, begins anew. */
void api_nodes_delete(api_call *c)
{
    fh_json *made;
    fh_err *err = NULL;
    char place[300];
    if (!ask(c, remove_node, &made)) return;
    snprintf(place, sizeof place, "node/%s", c->param);
    if (fh_standings_forget(c->server->standings, place, &err))
        api_reply_error(c, err);
    else
        api_reply(c, 204, NULL);
}
