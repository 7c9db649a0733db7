/* Which request is what: the paths of the OpenAI API, each parsed and answered or handed to an exchange. */
#include "base/limits.h"
#include "base/clock.h"
#include "gateway/admission.h"
#include "failovers.h"
#include "gateway_private.h"
#include "responses.h"
#include "flight.h"
#include "limits.h"
#include "outcomes.h"
#include "prefix.h"
#include "reach.h"
#include "slots.h"
#include "upstreams.h"
#include "wire/embeddings.h"
#include "wire/openai.h"

#include <stdio.h>
#include <string.h>

enum { MODELS_MAX = FH_LIMIT_DEPLOYMENTS };
#define WATCH_NS FH_NS_PER_S

static void watch(void *arg)
{
    fh_lane *lane = arg;
    fh_slots_tick(lane->gateway->slots, fh_clock_mono_ns());
    fh_exchanges_watch(lane);
    if (lane->flights) fh_flights_sweep(lane->flights);
    fh_timer_start(lane->watch, WATCH_NS);
}

static int open_lane(fh_gateway *g, fh_lane *lane, fh_loop *loop, fh_err **err)
{
    lane->gateway = g;
    lane->loop = loop;
    lane->flights = g->flights;
    int rc = fh_http_client_new(&lane->client, loop, err);
    if (!rc) rc = fh_timer_new(&lane->watch, loop, watch, lane, err);
    if (!rc) fh_timer_start(lane->watch, WATCH_NS);
    return rc;
}

static int make_tables(fh_gateway *g, fh_err **err)
{
    g->upstreams = fh_upstreams_new();
    g->prefixes = fh_prefixes_new();
    g->limits = fh_limits_new();
    g->series = fh_series_table_new();
    g->failovers = fh_failovers_new();
    g->slots = fh_slots_new();
    bool made = g->upstreams && g->prefixes && g->limits && g->series && g->failovers && g->slots;
    return made ? fh_outcomes_new(&g->outcomes, g->config.outcomes, err) : fh_err_nomem(err);
}

static int make_flights(fh_gateway *g, const fh_gateway_config *c, fh_err **err)
{
    fh_flights_config flights = {.loops = c->loops, .loop_count = c->loop_count};
    fh_flights_defaults(&flights);
    return c->keep_answers ? fh_flights_new(&g->flights, &flights, err) : 0;
}

static void take_ports(fh_gateway *g)
{
    g->holds[g->hold_count++] = fh_limits_port(g->limits);
    if (g->config.holds.hold) g->holds[g->hold_count++] = g->config.holds;
}

static int take_secret(fh_gateway *g, const char *given, fh_err **err)
{
    if (!given) return fh_random_text(g->secret, sizeof g->secret, err);
    snprintf(g->secret, sizeof g->secret, "%s", given);
    return 0;
}

int fh_gateway_new(fh_gateway **ret, const fh_gateway_config *c, fh_err **err)
{
    FH_AUTO(fh_gateway) fh_gateway *g = fh_calloc(1, sizeof *g);
    if (!g) return fh_err_nomem(err);
    g->config = *c;
    g->config.loops = NULL;
    g->config.secret = NULL;
    g->lanes = fh_calloc(c->loop_count, sizeof *g->lanes);
    if (!g->lanes) return fh_err_nomem(err);
    int rc = take_secret(g, c->secret, err);
    if (!rc) rc = make_tables(g, err);
    if (!rc) rc = make_flights(g, c, err);
    if (!rc) take_ports(g);
    g->retry_credit = FH_RETRY_CREDIT_FIRST;
    for (; !rc && g->lane_count < c->loop_count; g->lane_count++) rc = open_lane(g, &g->lanes[g->lane_count], c->loops[g->lane_count], err);
    if (rc) return rc;
    *ret = fh_take(g);
    return 0;
}

void fh_gateway_free(fh_gateway *g)
{
    if (!g) return;
    for (size_t i = 0; i < g->lane_count; i++) fh_exchanges_end(&g->lanes[i]);
    if (g->config.tokenizers) fh_tokenizers_settle(g->config.tokenizers); /* what is settled once it is counted */
    for (size_t i = 0; i < g->lane_count; i++) {
        fh_timer_free(g->lanes[i].watch);
        fh_http_client_free(g->lanes[i].client);
        fh_series_set_fini(&g->lanes[i].series);
    }
    fh_flights_free(g->flights);
    fh_upstreams_free(g->upstreams);
    fh_prefixes_free(g->prefixes);
    fh_limits_free(g->limits);
    fh_series_table_free(g->series);
    fh_failovers_free(g->failovers);
    fh_slots_free(g->slots);
    fh_outcomes_free(g->outcomes);
    fh_free(g->lanes);
    explicit_bzero(g->secret, sizeof g->secret);
    fh_free(g);
}

fh_lane *fh_gateway_lane(const fh_gateway *g, const fh_http_req *req)
{
    fh_loop *loop = fh_http_req_loop(req);
    size_t i = 0;
    while (i + 1 < g->lane_count && g->lanes[i].loop != loop) i++;
    return &g->lanes[i];
}

void fh_gateway_forget(fh_gateway *g, const char *key_id)
{
    if (g->flights) fh_flights_forget(g->flights, key_id);
}

size_t fh_gateway_in_flight(const fh_gateway *g)
{
    size_t n = 0;
    for (size_t i = 0; i < g->lane_count; i++) n += (size_t)g->lanes[i].metrics.in_flight;
    return n;
}

int fh_gateway_tell(fh_gateway *g, fh_str key_id, fh_str request_id, bool good, fh_err **err)
{
    return fh_outcomes_tell(g->outcomes, key_id, request_id, good, err);
}

static void reply_and_free(fh_http_req *req, fh_err *err)
{
    fh_gateway_reply_error(req, err);
    fh_err_free(err);
}

static void reply_json(fh_http_req *req, const fh_buf *body)
{
    fh_err *err = NULL;
    if (fh_buf_check(body, &err, "the reply"))
        reply_and_free(req, err);
    else
        fh_http_reply(req, 200, "application/json", fh_buf_cstr(body), body->len);
}

/* The models that are ready, ended by one without id; owned, NULL when memory is out. */
static fh_route_model *ready_models(fh_gateway *g)
{
    fh_route_model *list = fh_calloc(MODELS_MAX + 1, sizeof *list);
    if (list) g->config.routes.list(g->config.routes.ctx, list, MODELS_MAX);
    return list;
}

static size_t count_models(const fh_route_model *list)
{
    size_t n = 0;
    while (list[n].id[0]) n++;
    return n;
}

static fh_wire_model wire_model(const fh_route_model *m)
{
    return (fh_wire_model){.id = m->id, .owned_by = m->owned_by, .created_s = m->created_s, .context_tok = m->context_tok};
}

static int write_models(const fh_route_model *list, size_t count, fh_buf *out, fh_err **err)
{
    FH_AUTO(ptr) fh_wire_model *models = fh_calloc(count + 1, sizeof *models);
    if (!models) return fh_err_nomem(err);
    for (size_t i = 0; i < count; i++) models[i] = wire_model(&list[i]);
    fh_wire_models_write(out, models, count);
    return 0;
}

typedef struct reaching {
    const fh_key *key;
    fh_str asked;
} reaching;

static size_t pick_reached(void *arg, const fh_candidate *list, size_t count)
{
    const reaching *r = arg;
    size_t i = 0;
    while (i < count && !fh_reach_model(r->key, r->asked, &list[i])) i++;
    return i;
}

/* Is there a replica of it that the key may use? ret_model: the id, of what may be an alias. */
static int reach(fh_gateway *g, const fh_key *key, fh_str asked, char *ret_model, size_t size, fh_err **err)
{
    fh_route route = {0};
    reaching r = {key, asked};
    int rc = g->config.routes.choose(g->config.routes.ctx, asked, pick_reached, &r, &route, err);
    explicit_bzero(route.secret, sizeof route.secret);
    if (rc == 0) snprintf(ret_model, size, "%s", route.model);
    return rc;
}

/* Leaves what the key may use. */
static void keep_reached(fh_gateway *g, const fh_key *key, fh_route_model *list)
{
    char model[sizeof list->id];
    size_t n = 0;
    for (const fh_route_model *m = list; key->models[0] && m->id[0]; m++)
        if (reach(g, key, fh_str_of(m->id), model, sizeof model, NULL) == 0) list[n++] = *m;
    if (key->models[0]) list[n].id[0] = '\0';
}

static void handle_models(fh_gateway *g, fh_http_req *req, const fh_key *key)
{
    fh_err *err = NULL;
    FH_AUTO(ptr) fh_route_model *list = ready_models(g);
    FH_AUTO(buf) fh_buf body = FH_BUF(4 << 20);
    if (list) keep_reached(g, key, list);
    int rc = list ? write_models(list, count_models(list), &body, &err) : fh_err_nomem(&err);
    if (rc)
        reply_and_free(req, err);
    else
        reply_json(req, &body);
}

/* For a key with a list, what is beyond it is not there. */
static int not_for_key(const fh_key *key, fh_str id, fh_err **err)
{
    fh_err_set(err, FH_E_NOT_FOUND, "there is no model '%.*s' that this key may use now", (int)FH_MIN(id.len, (size_t)128), id.ptr);
    fh_err_hint(err, "it may use: %s", key->models);
    fh_err_param(err, "model");
    fh_err_reason(err, "model_not_found");
    return FH_E_NOT_FOUND;
}

/* A name that is not in the list may be an alias: the route knows. */
static const fh_route_model *find_model(fh_gateway *g, const fh_key *key, const fh_route_model *list, fh_str id, fh_err **err)
{
    char model[sizeof list->id];
    if (reach(g, key, id, model, sizeof model, err)) {
        if (key->models[0]) not_for_key(key, id, err);
        return NULL;
    }
    for (const fh_route_model *m = list; m->id[0]; m++)
        if (fh_str_eqs(id, m->id)) return m;
    for (const fh_route_model *m = list; m->id[0]; m++)
        if (strcmp(m->id, model) == 0) return m;
    fh_err_set(err, FH_E_NOT_FOUND, "the model '%s' is not ready any more", model);
    fh_err_reason(err, "model_not_found");
    return NULL;
}

static void handle_model(fh_gateway *g, fh_http_req *req, const fh_key *key, fh_str id)
{
    fh_err *err = NULL;
    FH_AUTO(ptr) fh_route_model *list = ready_models(g);
    const fh_route_model *found = list ? find_model(g, key, list, id, &err) : NULL;
    if (!found) {
        if (!err) fh_err_nomem(&err);
        reply_and_free(req, err);
        return;
    }
    fh_wire_model m = wire_model(found);
    FH_AUTO(buf) fh_buf body = FH_BUF(1 << 16);
    fh_wire_model_write(&body, &m);
    reply_json(req, &body);
}

/* The body names a model or leaves it out; the rest is the engine's to judge. */
static void handle_tokenize(fh_gateway *g, fh_http_req *req, const fh_key *key)
{
    fh_err *err = NULL;
    FH_AUTO(json) fh_json *doc = NULL;
    fh_str model = FH_STR("auto");
    int rc = fh_json_parse(&doc, fh_http_req_body(req), FH_LIMIT_JSON_BODY_BYTES, &err);
    if (!rc && fh_json_kind_of(doc) != FH_JSON_OBJECT) rc = fh_err_set(&err, FH_E_INVALID, "the body must be a JSON object");
    if (!rc) rc = fh_json_read_str(doc, "model", false, &model, &err);
    if (rc)
        reply_and_free(req, err);
    else
        fh_exchange_start(g, req, key, FH_OP_TOKENIZE, FH_DIALECTS, model);
}

/* Passes as it is: what is wrong is said here, what only the model's engine can judge is its to say. */
static void handle_embeddings(fh_gateway *g, fh_http_req *req, const fh_key *key)
{
    fh_err *err = NULL;
    fh_wire_embed_request r = {0};
    if (fh_wire_embed_parse(&r, fh_http_req_body(req), &err))
        reply_and_free(req, err);
    else
        fh_exchange_start(g, req, key, FH_OP_EMBED, FH_DIALECTS, r.model);
    fh_wire_embed_request_fini(&r);
}

static void handle_chat(fh_gateway *g, fh_http_req *req, const fh_key *key)
{
    fh_exchange_start(g, req, key, FH_OP_CHAT, FH_DIALECT_CHAT, (fh_str){0});
}

static void handle_completion(fh_gateway *g, fh_http_req *req, const fh_key *key)
{
    fh_exchange_start(g, req, key, FH_OP_COMPLETION, FH_DIALECT_COMPLETION, (fh_str){0});
}

static void handle_response(fh_gateway *g, fh_http_req *req, const fh_key *key)
{
    fh_exchange_start(g, req, key, FH_OP_CHAT, FH_DIALECT_RESPONSES, (fh_str){0});
}

static void handle_messages(fh_gateway *g, fh_http_req *req, const fh_key *key)
{
    fh_exchange_start(g, req, key, FH_OP_CHAT, FH_DIALECT_MESSAGES, (fh_str){0});
}

static void handle_count(fh_gateway *g, fh_http_req *req, const fh_key *key)
{
    fh_exchange_start(g, req, key, FH_OP_COUNT_TOKENS, FH_DIALECT_MESSAGES, (fh_str){0});
}

static void handle_chat_count(fh_gateway *g, fh_http_req *req, const fh_key *key)
{
    fh_exchange_start(g, req, key, FH_OP_COUNT_TOKENS, FH_DIALECT_CHAT, (fh_str){0});
}

static void handle_response_count(fh_gateway *g, fh_http_req *req, const fh_key *key)
{
    fh_exchange_start(g, req, key, FH_OP_COUNT_TOKENS, FH_DIALECT_RESPONSES, (fh_str){0});
}

static const struct {
    const char *path, *method;
    fh_scope scope; /* what a key must be allowed; FH_SCOPES: nothing */
    void (*handle)(fh_gateway *g, fh_http_req *req, const fh_key *key);
} paths[] = {
    {"/v1/models", "GET", FH_SCOPES, handle_models},
    {"/v1/chat/completions", "POST", FH_SCOPE_CHAT, handle_chat},
    {"/v1/completions", "POST", FH_SCOPE_COMPLETIONS, handle_completion},
    {"/v1/embeddings", "POST", FH_SCOPE_EMBEDDINGS, handle_embeddings},
    {"/v1/responses", "POST", FH_SCOPE_RESPONSES, handle_response},
    {"/tokenize", "POST", FH_SCOPE_TOKENIZE, handle_tokenize},
    {"/detokenize", "POST", FH_SCOPE_TOKENIZE, handle_tokenize},
    {"/apply-template", "POST", FH_SCOPE_TOKENIZE, handle_tokenize},
    {"/v1/messages", "POST", FH_SCOPE_MESSAGES, handle_messages},
    {"/v1/chat/completions/input_tokens", "POST", FH_SCOPE_CHAT, handle_chat_count},
    {"/v1/messages/count_tokens", "POST", FH_SCOPE_MESSAGES, handle_count},
    {"/v1/responses/input_tokens", "POST", FH_SCOPE_RESPONSES, handle_response_count},
};

static void refuse_method(fh_http_req *req, const char *allowed)
{
    fh_err *err = NULL;
    fh_str method = fh_http_req_method(req), path = fh_http_req_path(req);
    fh_err_set(&err, FH_E_METHOD, "%.*s cannot be used on %.*s", (int)FH_MIN(method.len, (size_t)16), method.ptr,
               (int)FH_MIN(path.len, (size_t)128), path.ptr);
    fh_err_hint(&err, "use %s", allowed);
    fh_http_reply_header(req, "Allow", allowed);
    reply_and_free(req, err);
}

static void refuse_path(fh_http_req *req)
{
    fh_err *err = NULL;
    fh_str path = fh_http_req_path(req);
    fh_err_set(&err, FH_E_NOT_FOUND, "there is nothing at %.*s", (int)FH_MIN(path.len, (size_t)128), path.ptr);
    fh_err_hint(&err, "this version serves /v1/models, /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/responses, "
                      "/v1/messages, /v1/messages/count_tokens, /tokenize, /detokenize and /apply-template");
    reply_and_free(req, err);
}

static bool may(fh_http_req *req, const fh_key *key, fh_scope need)
{
    fh_err *err = NULL;
    if (fh_admit_scope(key, need, &err) == 0) return true;
    reply_and_free(req, err);
    return false;
}

static fh_str behind(fh_str path, fh_str prefix)
{
    bool there = path.len > prefix.len && fh_str_starts(path, prefix);
    return there ? (fh_str){path.ptr + prefix.len, path.len - prefix.len} : (fh_str){NULL, 0};
}

/* Paths with a name in them. */
static void handle_named(fh_gateway *g, fh_http_req *req, const fh_key *key)
{
    fh_str path = fh_http_req_path(req), model = behind(path, FH_STR("/v1/models/")), response = behind(path, FH_STR("/v1/responses/"));
    if (model.len && fh_str_eqs(fh_http_req_method(req), "GET"))
        handle_model(g, req, key, model);
    else if (model.len)
        refuse_method(req, "GET");
    else if (!response.len || !g->config.responses)
        refuse_path(req);
    else if (may(req, key, FH_SCOPE_RESPONSES))
        fh_responses_handle(g->config.responses, req, fh_str_of(key->id), response);
}

void fh_gateway_handle(fh_gateway *g, fh_http_req *req, const fh_key *key)
{
    fh_str path = fh_http_req_path(req), method = fh_http_req_method(req);
    for (size_t i = 0; i < FH_COUNT(paths); i++) {
        if (!fh_str_eqs(path, paths[i].path)) continue;
        if (!fh_str_eqs(method, paths[i].method))
            refuse_method(req, paths[i].method);
        else if (may(req, key, paths[i].scope))
            paths[i].handle(g, req, key);
        return;
    }
    handle_named(g, req, key);
}
