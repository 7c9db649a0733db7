/* Providers over HTTP: list, add, check, remove. Adding asks the endpoint for its models first, or the account for its offers
 * (api_rentals.c): a provider that is kept has answered. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "net/address.h"
#include "net/http_client.h"
#include "net/origin.h"
#include "honesty.h"
#include "providers.h"
#include "rent/adapters.h"
#include "rental_offers.h"
#include "server_private.h"
#include "supplies.h"

#include <stdio.h>
#include <string.h>

#define ANSWER_NS (15 * FH_NS_PER_S)

static fh_json *provider_json(fh_server *s, const fh_provider *p)
{
    fh_json *o = fh_json_new_object(), *models = fh_json_new_array();
    fh_place_standing standing;
    fh_standings_place(s->standings, p->name, &standing);
    for (size_t i = 0; i < p->model_count; i++) fh_json_append(models, fh_json_new_cstr(p->models[i]));
    fh_json_set(o, "name", fh_json_new_cstr(p->name));
    fh_json_set(o, "url", fh_json_new_cstr(p->url));
    fh_json_set(o, "kind", fh_json_new_cstr(fh_provider_kind(p)));
    fh_json_set(o, "engine", fh_json_new_cstr(p->engine ? p->engine->id : NULL));
    fh_json_set(o, "trust", fh_json_new_cstr(fh_trust_name(p->trust)));
    fh_json_set(o, "region", fh_json_new_cstr(p->region[0] ? p->region : NULL));
    fh_json_set(o, "has_key", fh_json_new_bool(p->secret[0] || p->key_file[0]));
    fh_json_set(o, "key_file", fh_json_new_cstr(p->key_file[0] ? p->key_file : NULL));
    FH_AUTO(json) fh_json *settings = NULL;
    if (p->supplies) fh_json_parse(&settings, fh_str_of(p->settings), sizeof p->settings, NULL);
    fh_json_set(o, "settings", settings ? fh_take(settings) : fh_json_new_null());
    fh_json_set(o, "offers", p->rents ? fh_rental_offers_json(s->rental_offers, p->name) : fh_json_new_null());
    fh_json_set(o, "created", api_time(p->created_utc_ns));
    fh_json_set(o, "models", models);
    fh_json_set(o, "prices", fh_provider_prices_json(p));
    fh_json_set(o, "standing", fh_place_standing_json(&standing));
    fh_json_set(o, "canaries_per_day", fh_json_new_int(p->canaries_per_day));
    fh_json_set(o, "honesty", fh_json_new_cstr(fh_honesty_verdict_name(standing.verdict)));
    fh_json_set(o, "tokenizers", fh_model_tokenizers_json(&p->tokenizers, true));
    return o;
}

void api_providers_list(api_call *c)
{
    fh_providers *all = c->server->providers;
    fh_json *items = fh_json_new_array();
    fh_providers_begin(all);
    for (size_t i = 0; i < fh_providers_count(all); i++) fh_json_append(items, provider_json(c->server, fh_providers_at(all, i)));
    fh_providers_end(all);
    api_reply(c, 200, api_list(items, fh_json_new_null()));
}

/* ---- asking the endpoint ---- */

typedef struct asking {
    api_call *call;
    fh_provider *p; /* owned */
    bool replace;
    fh_buf reply;
} asking;

static bool got_data(void *arg, const void *data, size_t bytes)
{
    fh_buf_add(&((asking *)arg)->reply, data, bytes);
    return true;
}

static int judge(const asking *a, int status, const fh_err *why, fh_err **err)
{
    if (why)
        fh_err_set(err, FH_E_UPSTREAM, "%s does not answer: %s", a->p->url, fh_err_message(why));
    else if (status == 401 || status == 403)
        fh_err_set(err, FH_E_UPSTREAM, "%s refuses the key (%d)", a->p->url, status);
    else if (status != 200)
        fh_err_set(err, FH_E_UPSTREAM, "%s/v1/models answers with %d", a->p->url, status);
    else
        return 0;
    fh_err_hint(err, status ? "check the URL (without /v1) and the key" : "check the URL, and that the endpoint runs");
    return FH_E_UPSTREAM;
}

static void answered(void *arg, int status, const fh_err *why)
{
    asking *a = arg;
    fh_err *err = NULL;
    fh_server *s = a->call->server;
    char name[64];
    snprintf(name, sizeof name, "%s", a->p->name);
    int rc = judge(a, status, why, &err);
    if (!rc) rc = fh_buf_check(&a->reply, &err, "the list of models");
    if (!rc) rc = fh_provider_read_models(a->p, (fh_str){fh_buf_cstr(&a->reply), a->reply.len}, &err);
    if (!rc) rc = fh_providers_put(s->providers, fh_take(a->p), a->replace, &err);
    if (rc)
        api_reply_error(a->call, err);
    else
        api_reply(a->call, a->replace ? 200 : 201, provider_json(s, fh_providers_find(s->providers, fh_str_of(name))));
    fh_provider_free(a->p);
    fh_buf_fini(&a->reply);
    fh_free(a);
}

static int start_asking(asking *a, fh_err **err)
{
    char url[300], bearer[300];
    bool anthropic = a->p->dialect == FH_DIALECT_MESSAGES;
    snprintf(url, sizeof url, "%s/v1/models", a->p->url);
    snprintf(bearer, sizeof bearer, "Bearer %s", a->p->secret);
    const fh_header headers[] = {anthropic ? (fh_header){FH_STR("x-api-key"), fh_str_of(a->p->secret)}
                                           : (fh_header){FH_STR("Authorization"), fh_str_of(bearer)},
                                 {FH_STR("anthropic-version"), FH_STR("2023-06-01")}};
    size_t first = a->p->secret[0] ? 0 : 1;
    fh_http_call_spec spec = {.method = "GET",
                              .url = url,
                              .headers = headers + first,
                              .header_count = 1 - first + anthropic,
                              .total_timeout_ns = ANSWER_NS,
                              .on_data = got_data,
                              .on_done = answered,
                              .arg = a};
    fh_http_call *call;
    int rc = fh_http_call_start(&call, a->call->server->outbound, &spec, err);
    explicit_bzero(bearer, sizeof bearer);
    return rc;
}

/* Takes p. */
static void ask_models(api_call *c, fh_provider *p, bool replace)
{
    fh_err *err = NULL;
    asking *a = fh_calloc(1, sizeof *a);
    if (a) {
        *a = (asking){.call = c, .p = p, .replace = replace, .reply = FH_BUF(FH_LIMIT_JSON_BODY_BYTES)};
        if (start_asking(a, &err) == 0) return;
    } else
        fh_err_nomem(&err);
    fh_provider_free(p);
    fh_free(a);
    api_reply_error(c, err);
}

/* ---- asking the account ---- */

/* Takes p. One that machines are got of is opened before it is kept. */
static int keep(fh_server *s, fh_provider *p, bool replace, fh_err **err)
{
    FH_AUTO(fh_provider) fh_provider *held = p;
    char name[64];
    bool opened = p->supplies && !replace;
    snprintf(name, sizeof name, "%s", p->name);
    int rc = opened ? fh_server_supply_open(s, p, err) : 0;
    if (rc) return rc;
    rc = fh_providers_put(s->providers, fh_take(held), replace, err);
    if (rc && opened) fh_server_supply_close(s, name, NULL);
    return rc;
}

static void offers_answered(void *arg, const fh_err *why)
{
    asking *a = arg;
    fh_err *err = NULL;
    fh_server *s = a->call->server;
    char name[64];
    snprintf(name, sizeof name, "%s", a->p->name);
    int rc = why ? fh_err_set(&err, fh_err_code(why), "%s", fh_err_message(why)) : 0;
    if (rc && fh_err_hint_get(why)) fh_err_hint(&err, "%s", fh_err_hint_get(why));
    if (!rc) rc = keep(s, fh_take(a->p), a->replace, &err);
    if (rc)
        api_reply_error(a->call, err);
    else
        api_reply(a->call, a->replace ? 200 : 201, provider_json(s, fh_providers_find(s->providers, fh_str_of(name))));
    fh_provider_free(a->p);
    fh_free(a);
}

/* Takes p. */
static void ask_offers(api_call *c, fh_provider *p, bool replace)
{
    fh_err *err = NULL;
    fh_server *s = c->server;
    asking *a = fh_calloc(1, sizeof *a);
    if (a) {
        *a = (asking){.call = c, .p = p, .replace = replace};
        if (fh_rental_offers_ask(s->rental_offers, s->outbound, p, offers_answered, a, &err) == 0) return;
    } else
        fh_err_nomem(&err);
    fh_provider_free(p);
    fh_free(a);
    api_reply_error(c, err);
}

/* ---- adding ---- */

static int bad(fh_err **err, const char *param, const char *message, const char *hint)
{
    fh_err_set(err, FH_E_INVALID, "%s", message);
    fh_err_param(err, "%s", param);
    fh_err_hint(err, "%s", hint);
    return FH_E_INVALID;
}

/* A path is put behind it: a query, a fragment or credentials would swallow that or hide it. */
static bool is_plain(fh_str url, const char *but)
{
    for (size_t i = 0; i < url.len; i++)
        if (url.ptr[i] <= ' ' || url.ptr[i] >= 0x7f || (strchr("?#@\\", url.ptr[i]) && !strchr(but, url.ptr[i]))) return false;
    return true;
}

static int take_url(fh_provider *p, fh_str url, bool has_key, fh_err **err)
{
    static const char hint[] = "for example https://api.example.com, or http://127.0.0.1:8080 for a server of this machine";
    while (url.len && url.ptr[url.len - 1] == '/') url.len--;
    if (fh_str_ends(url, FH_STR("/v1"))) url.len -= 3;
    bool secure = fh_str_starts(url, FH_STR("https://"));
    if ((!secure && !fh_str_starts(url, FH_STR("http://"))) || url.len >= sizeof p->url || !is_plain(url, ""))
        return bad(err, "url", "'url' is no address of an endpoint", hint);
    if (!secure && has_key && !fh_url_is_own(url)) return bad(err, "url", "the key would be readable on the network", "use https");
    snprintf(p->url, sizeof p->url, "%.*s", (int)url.len, url.ptr);
    return 0;
}

static int take_key(fh_provider *p, fh_str key, fh_err **err)
{
    for (size_t i = 0; i < key.len; i++)
        if (key.ptr[i] <= ' ' || key.ptr[i] > '~')
            return bad(err, "key", "'key' is no key: it must be one word", "give the key alone, without Bearer");
    if (key.len >= sizeof p->secret) return bad(err, "key", "'key' is too long", "a key has at most 255 bytes");
    if (key.len) memcpy(p->secret, key.ptr, key.len);
    return 0;
}

/* What every provider has. */
static int read_common(const fh_json *body, fh_provider *p, fh_err **err)
{
    fh_str name = {0}, trust = {0}, region = {0};
    int rc = fh_json_read_str(body, "name", true, &name, err);
    if (!rc) rc = fh_json_read_str(body, "trust", false, &trust, err);
    if (!rc) rc = fh_json_read_str(body, "region", false, &region, err);
    if (rc) return rc;
    if (!fh_str_is_label(name)) return bad(err, "name", "'name' must be 1 to 63 small letters, digits and dashes", "for example together");
    memcpy(p->name, name.ptr, name.len);
    if (trust.ptr && !fh_trust_parse(trust, &p->trust))
        return bad(err, "trust", "there is no such trust class", "own, rented, named and any are the classes");
    if (region.ptr && !fh_region_is(region))
        return bad(err, "region", "'region' must be 1 to 63 small letters, digits and dashes", "for example eu-west-1");
    snprintf(p->region, sizeof p->region, "%.*s", (int)region.len, region.ptr ? region.ptr : "");
    p->created_utc_ns = fh_clock_utc_ns();
    return 0;
}

static int read_endpoint(const fh_json *body, fh_provider *p, fh_err **err)
{
    fh_str url = {0}, key = {0};
    int rc = fh_json_read_str(body, "url", false, &url, err);
    if (!rc) rc = fh_json_read_str(body, "key", false, &key, err);
    if (rc) return rc;
    if (fh_json_get(body, "key_file"))
        return bad(err, "key_file", "'key_file' is for providers that machines are rented of", "give a hosted endpoint its key as 'key'");
    p->trust = fh_url_is_own(url) ? FH_TRUST_OWN : FH_TRUST_NAMED;
    rc = take_url(p, url, key.len > 0, err);
    if (!rc) rc = fh_json_read_i64(body, "canaries_per_day", false, 0, FH_LIMIT_HONESTY_CANARIES_PER_DAY, &p->canaries_per_day, err);
    if (!rc) rc = take_key(p, key, err);
    if (!rc) rc = fh_provider_prices_read(p, fh_json_get(body, "prices"), err);
    return rc ? rc : fh_model_tokenizers_read(fh_json_get(body, "tokenizers"), &p->tokenizers, err);
}

/* {"partition": "gpu", ...}: what they mean is for whoever opens it to say. */
static int read_settings(const fh_json *body, fh_provider *p, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(sizeof p->settings);
    const fh_json *given = fh_json_get(body, "settings");
    snprintf(p->settings, sizeof p->settings, "{}");
    if (!given || fh_json_kind_of(given) == FH_JSON_NULL) return 0;
    if (fh_json_kind_of(given) != FH_JSON_OBJECT)
        return bad(err, "settings", "'settings' must be an object of texts", "for example {\"partition\": \"gpu\"}");
    void *it = NULL;
    fh_str key;
    const fh_json *value;
    while (fh_json_next(given, &it, &key, &value))
        if (fh_json_kind_of(value) != FH_JSON_STRING)
            return bad(err, "settings", "each of 'settings' must be a text, a number too", "for example {\"cpus\": \"8\"}");
    int rc = fh_json_write(given, &text, err);
    if (!rc && text.len >= sizeof p->settings)
        return bad(err, "settings", "'settings' is too long", "all settings together have at most 2047 bytes");
    if (!rc) snprintf(p->settings, sizeof p->settings, "%.*s", (int)text.len, text.data);
    return rc;
}

/* Words of a command line: none may be taken for a flag. */
static bool is_list(fh_str s, bool commas)
{
    for (size_t i = 0; i < s.len; i++) {
        bool first = i == 0 || s.ptr[i - 1] == ',', letter = (s.ptr[i] | 32) >= 'a' && (s.ptr[i] | 32) <= 'z';
        bool more = (s.ptr[i] >= '0' && s.ptr[i] <= '9') || (s.ptr[i] && strchr(commas ? ":-_.," : "-_./", s.ptr[i]));
        if (!letter && (first || !more)) return false;
    }
    return s.len > 0;
}

/* One that is reached by a program on the server's machine, with the credentials that this has. */
static int read_program(const fh_json *body, fh_provider *p, fh_err **err)
{
    const fh_json *set = fh_json_get(body, "settings");
    if (fh_json_get(body, "url") || fh_json_get(body, "key") || fh_json_get(body, "key_file"))
        return bad(err, "key_file", "SkyPilot has the credentials of clouds itself: neither an address nor a key is wanted",
                   "leave them out; `sky check`, as the server's user, shows which clouds it may use");
    if (!is_list(fh_json_str(fh_json_get(set, "infra")), false))
        return bad(err, "settings", "on which infrastructure of SkyPilot?", "--set infra=aws, or infra=aws/us-east-1");
    if (!is_list(fh_json_str(fh_json_get(set, "accelerators")), true))
        return bad(err, "settings", "which accelerators may be rented?", "--set accelerators=H100:8,A100-80GB:8");
    p->trust = FH_TRUST_RENTED;
    return read_settings(body, p, err);
}

/* An account that machines are rented of. Its key goes to the provider's own address, or to one of this machine (a test's). */
static int read_account(const fh_json *body, fh_provider *p, fh_err **err)
{
    static const char *const of_models[] = {"tokenizers", "prices", "canaries_per_day"};
    fh_str url = {0}, file = {0};
    int rc = fh_json_read_str(body, "url", false, &url, err);
    if (!rc) rc = fh_json_read_str(body, "key_file", true, &file, err);
    if (rc) return rc;
    if (fh_json_get(body, "key"))
        return bad(err, "key", "the key of such an account is not taken over", "name the file that holds it: 'key_file'");
    for (size_t i = 0; i < FH_COUNT(of_models); i++)
        if (fh_json_get(body, of_models[i])) return bad(err, of_models[i], "such an account serves no models", "leave that field out");
    if (url.ptr && !fh_url_is_own(url))
        return bad(err, "url", "'url' is not needed: the address of such a provider is known",
                   "leave it out, or give one of this machine for a test");
    if (file.len == 0 || file.ptr[0] != '/' || file.len >= sizeof p->key_file)
        return bad(err, "key_file", "'key_file' must be a path from the root on the server's machine",
                   "for example /etc/freehold/runpod.key");
    memcpy(p->key_file, file.ptr, file.len);
    p->trust = FH_TRUST_RENTED;
    rc = take_url(p, url.ptr ? url : fh_str_of(p->rents->url), true, err);
    if (!rc) rc = read_settings(body, p, err);
    return rc ? rc : fh_rent_key_check(p->key_file, err);
}

/* One that machines are got of by other means than an account's API: a cluster, a box with a login. */
static int read_supply(const fh_json *body, fh_provider *p, fh_err **err)
{
    fh_str url = {0}, file = {0};
    int rc = fh_json_read_str(body, "url", p->supplies->url_hint != NULL, &url, err);
    if (!rc) rc = fh_json_read_str(body, "key_file", false, &file, err);
    if (rc) return rc;
    if (url.len >= sizeof p->url || !is_plain(url, "@"))
        return bad(err, "url", "'url' is no address",
                   p->supplies->url_hint ? p->supplies->url_hint : "ssh://USER@HOST or https://HOST:PORT, or none for this machine");
    if (file.len && (file.ptr[0] != '/' || file.len >= sizeof p->key_file))
        return bad(err, "key_file", "'key_file' must be a path from the root on the server's machine",
                   "for example /etc/freehold/id_ed25519");
    snprintf(p->url, sizeof p->url, "%.*s", (int)url.len, url.len ? url.ptr : "");
    snprintf(p->key_file, sizeof p->key_file, "%.*s", (int)file.len, file.len ? file.ptr : "");
    p->trust = FH_TRUST_RENTED;
    return read_settings(body, p, err);
}

static int read_provider(const fh_json *body, fh_provider *p, fh_err **err)
{
    fh_str kind = FH_STR("openai");
    int rc = fh_json_read_str(body, "kind", false, &kind, err);
    if (rc) return rc;
    p->rents = fh_rent_profile_find(kind);
    p->supplies = fh_supply_kind_find(kind);
    if (!p->rents && !p->supplies && !fh_str_eqs(kind, "openai") && !fh_str_eqs(kind, "anthropic"))
        return bad(err, "kind", "there is no such kind of provider",
                   "openai and anthropic are hosted endpoints, by the API that they speak; machines are rented of runpod, vast, lambda and "
                   "skypilot; "
                   "slurm is a cluster, ssh a machine with a login");
    p->dialect = fh_str_eqs(kind, "anthropic") ? FH_DIALECT_MESSAGES : FH_DIALECT_CHAT;
    rc = p->rents && p->rents->commands ? read_program(body, p, err)
         : p->rents                     ? read_account(body, p, err)
         : p->supplies                  ? read_supply(body, p, err)
                                        : read_endpoint(body, p, err);
    return rc ? rc : read_common(body, p, err); /* its trust replaces the usual one */
}

/* ---- tokenizers ---- */

typedef struct adding { /* waits until they are loaded */
    api_call *call;
    fh_provider *p; /* owned */
} adding;

static void tokenizers_loaded(void *arg, fh_err *err)
{
    adding *a = arg;
    api_call *c = a->call;
    fh_provider *p = a->p;
    fh_free(a);
    if (!err) {
        ask_models(c, p, false);
        return;
    }
    fh_provider_free(p);
    api_reply_error(c, err);
}

/* Takes p. */
static void load_tokenizers(api_call *c, fh_provider *p)
{
    fh_err *err = NULL;
    adding *a = fh_calloc(1, sizeof *a);
    if (!a) {
        fh_provider_free(p);
        fh_err_nomem(&err);
        api_reply_error(c, err);
        return;
    }
    *a = (adding){c, p};
    fh_model_tokenizers_load(c->server, &p->tokenizers, tokenizers_loaded, a);
}

typedef struct starting { /* of a provider that is known */
    fh_server *server;
    char name[64];
    fh_model_tokenizers tokenizers; /* owned: a copy */
} starting;

static void started(void *arg, fh_err *err)
{
    starting *t = arg;
    if (err) fh_log_err(FH_LOG_WARN, "server", err, "tokens of provider %s are not all counted here", t->name);
    fh_providers_set_tokenizers(t->server->providers, t->name, &t->tokenizers);
    fh_model_tokenizers_fini(&t->tokenizers);
    fh_err_free(err);
    fh_free(t);
}

void api_providers_load_tokenizers(fh_server *s)
{
    for (size_t i = 0; i < fh_providers_count(s->providers); i++) {
        const fh_provider *p = fh_providers_at(s->providers, i);
        starting *t = p->tokenizers.count ? fh_calloc(1, sizeof *t) : NULL;
        if (!t) continue;
        t->server = s;
        snprintf(t->name, sizeof t->name, "%s", p->name);
        if (fh_model_tokenizers_dup(&p->tokenizers, &t->tokenizers, NULL))
            fh_free(t);
        else
            fh_model_tokenizers_load(s, &t->tokenizers, started, t);
    }
}

/* Takes p. */
static void add_supply(api_call *c, fh_provider *p)
{
    fh_err *err = NULL;
    char name[64];
    fh_server *s = c->server;
    snprintf(name, sizeof name, "%s", p->name);
    if (keep(s, p, false, &err))
        api_reply_error(c, err);
    else
        api_reply(c, 201, provider_json(s, fh_providers_find(s->providers, fh_str_of(name))));
}

void api_providers_create(api_call *c)
{
    fh_err *err = NULL;
    FH_AUTO(fh_provider) fh_provider *p = fh_calloc(1, sizeof *p);
    int rc = p ? read_provider(c->body, p, &err) : fh_err_nomem(&err);
    if (p && !rc) rc = fh_providers_check_name(c->server->providers, p->name, &err);
    if (!p || rc)
        api_reply_error(c, err);
    else if (p->rents)
        ask_offers(c, fh_take(p), false);
    else if (p->supplies)
        add_supply(c, fh_take(p));
    else
        load_tokenizers(c, fh_take(p));
}

void api_providers_check(api_call *c)
{
    fh_err *err = NULL;
    const fh_provider *known = fh_providers_find(c->server->providers, fh_str_of(c->param));
    fh_provider *p = known ? fh_calloc(1, sizeof *p) : NULL;
    if (!p) {
        if (known)
            fh_err_nomem(&err);
        else
            fh_err_set(&err, FH_E_NOT_FOUND, "there is no provider '%.64s'", c->param);
        if (!known) fh_err_hint(&err, "`freehold provider list` shows them");
        api_reply_error(c, err);
        return;
    }
    *p = *known;
    p->models = NULL;
    p->model_count = 0;
    p->tokenizers = (fh_model_tokenizers){.count = 0};
    if (fh_model_tokenizers_dup(&known->tokenizers, &p->tokenizers, &err)) {
        fh_provider_free(p);
        api_reply_error(c, err);
    } else if (p->rents) {
        ask_offers(c, p, true);
    } else if (p->supplies) { /* it was opened, and says what is wrong when it is asked for a machine */
        fh_provider_free(p);
        api_reply(c, 200, provider_json(c->server, known));
    } else
        ask_models(c, p, true);
}

void api_providers_delete(api_call *c)
{
    fh_err *err = NULL;
    fh_honesty_check_leave(c->server, c->param);
    if (fh_server_supply_close(c->server, c->param, &err) || fh_providers_remove(c->server->providers, c->param, &err) ||
        fh_standings_forget(c->server->standings, c->param, &err)) {
        api_reply_error(c, err);
        return;
    }
    fh_rental_offers_forget(c->server->rental_offers, c->param);
    api_reply(c, 204, NULL);
}
