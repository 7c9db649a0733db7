/* Machines of the pool over HTTP: list, one, a token to join with, drain, remove. */
#include "base/clock.h"
#include "pool/service.h"
#include "server_private.h"

#include <string.h>

static fh_json *node_json(const fh_node *n)
{
    FH_AUTO(json) fh_json *facts = NULL;
    fh_json *o = fh_json_new_object();
    fh_json_parse(&facts, fh_str_of(n->facts), FH_LIMIT_NODE_FACTS_BYTES, NULL);
    fh_json_set(o, "name", fh_json_new_cstr(n->name));
    fh_json_set(o, "state", fh_json_new_cstr(fh_node_state_name(n->state)));
    fh_json_set(o, "here", fh_json_new_bool(n->linked));
    fh_json_set(o, "ask_micro_per_hour", fh_json_new_int(n->ask.micro));
    fh_json_set(o, "ask_currency", fh_json_new_cstr(n->ask.currency));
    fh_json_set(o, "joined", api_time(n->joined_utc_ns));
    fh_json_set(o, "seen", api_time(n->seen_utc_ns));
    fh_json_set(o, "certificate_expires", api_time(n->until_utc_ns));
    fh_json_set(o, "facts", facts ? fh_take(facts) : fh_json_new_object());
    return o;
}

void api_nodes_list(api_call *c)
{
    const fh_nodes *all = c->server->nodes;
    fh_json *items = fh_json_new_array();
    for (size_t i = 0; i < fh_nodes_count(all); i++)
        if (fh_nodes_at(all, i)->state != FH_NODE_REMOVED) fh_json_append(items, node_json(fh_nodes_at(all, i)));
    api_reply(c, 200, api_list(items, fh_json_new_null()));
}

void api_nodes_get(api_call *c)
{
    fh_err *err = NULL;
    const fh_node *n = fh_nodes_find(c->server->nodes, fh_str_of(c->param));
    if (n) {
        api_reply(c, 200, node_json(n));
        return;
    }
    fh_err_set(&err, FH_E_NOT_FOUND, "there is no machine '%.64s' in the pool", c->param);
    fh_err_hint(&err, "`freehold node list` shows them");
    api_reply_error(c, err);
}

static int make_token(fh_server *s, fh_json **ret, fh_err **err)
{
    char text[FH_JOIN_TOKEN_LEN + 1], fingerprint[FH_LINK_DIGEST_TEXT];
    int64_t expires;
    if (!s->pool) {
        fh_err_set(err, FH_E_CONFLICT, "this server does not listen for machines");
        fh_err_hint(err, "start it with --pool ADDRESS:PORT, as --pool 0.0.0.0:8471, where they reach it");
        return FH_E_CONFLICT;
    }
    int rc = fh_nodes_token_new(s->nodes, fh_pool_service_fingerprint(s->pool), fh_clock_utc_ns(), text, &expires, err);
    if (rc) return rc;
    fh_link_digest_write(fh_pool_service_fingerprint(s->pool), fingerprint);
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "token", fh_json_new_cstr(text));
    fh_json_set(o, "expires", api_time(expires));
    fh_json_set(o, "server_sha256", fh_json_new_cstr(fingerprint));
    fh_json_set(o, "port", fh_json_new_int(fh_pool_service_port(s->pool)));
    explicit_bzero(text, sizeof text);
    *ret = o;
    return o ? 0 : fh_err_nomem(err);
}

void api_nodes_token(api_call *c)
{
    fh_err *err = NULL;
    fh_json *made = NULL;
    if (make_token(c->server, &made, &err))
        api_reply_error(c, err);
    else
        api_reply(c, 201, made);
}

void api_nodes_drain(api_call *c)
{
    fh_err *err = NULL;
    int64_t id;
    if (fh_nodes_drain(c->server->nodes, c->param, &id, &err))
        api_reply_error(c, err);
    else
        api_reply(c, 200, node_json(fh_nodes_find_id(c->server->nodes, id)));
}

void api_nodes_delete(api_call *c)
{
    fh_err *err = NULL;
    int64_t id;
    if (fh_nodes_remove(c->server->nodes, c->param, &id, &err)) {
        api_reply_error(c, err);
        return;
    }
    fh_pool_service_drop(c->server->pool, id);
    api_reply(c, 204, NULL);
}
