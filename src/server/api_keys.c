/* Keys over HTTP: list, make, rotate, revoke. */
#include "base/clock.h"
#include "base/limits.h"
#include "catalog/catalog.h"
#include "server_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static fh_json *models_json(const fh_key *k)
{
    fh_json *list = fh_json_new_array();
    fh_str name;
    for (size_t i = 0; (name = fh_key_model(k, i)).len; i++) fh_json_append(list, fh_json_new_str(name));
    return list;
}

static fh_json *regions_json(const fh_key *k)
{
    fh_json *list = fh_json_new_array();
    fh_str name;
    for (size_t i = 0; (name = fh_regions_at(k->regions, i)).len; i++) fh_json_append(list, fh_json_new_str(name));
    return list;
}

static void set_key(fh_json *o, const fh_key *k)
{
    char scopes[FH_SCOPES_TEXT];
    fh_scopes_write(k->scopes, scopes);
    fh_json_set(o, "id", fh_json_new_cstr(k->id));
    fh_json_set(o, "name", fh_json_new_cstr(k->name));
    fh_json_set(o, "scope", fh_json_new_cstr(scopes));
    fh_json_set(o, "models", models_json(k));
    fh_json_set(o, "regions", regions_json(k));
    fh_json_set(o, "trust", k->trust[0] ? fh_json_new_cstr(k->trust) : fh_json_new_null());
    fh_json_set(o, "owner", k->owner[0] ? fh_json_new_cstr(k->owner) : fh_json_new_null());
    fh_json_set(o, "created", api_time(k->created_utc_ns));
    fh_json_set(o, "expires", api_time(k->expires_utc_ns));
    fh_json_set(o, "revoked", api_time(k->revoked_utc_ns));
    fh_json_set(o, "used", api_time(k->used_utc_ns));
    fh_json_set(o, "old_secret_until", api_time(k->old_until_utc_ns > fh_clock_utc_ns() ? k->old_until_utc_ns : 0));
    fh_json_set(o, "requests_per_minute", fh_json_new_int((int64_t)k->limits.requests_per_min));
    fh_json_set(o, "tokens_per_minute", fh_json_new_int((int64_t)k->limits.tok_per_min));
    fh_json_set(o, "at_once", fh_json_new_int((int64_t)k->limits.at_once));
    fh_json_set(o, "priority", fh_json_new_cstr(fh_priority_name(k->priority)));
    fh_json_set(o, "priority_most", fh_json_new_cstr(fh_priority_name(k->priority_most)));
    fh_json_set(o, "prefer", fh_json_new_cstr(fh_prefer_name(k->prefer)));
    fh_json_set(o, "page_cache", fh_json_new_bool(!k->no_pages));
}

static int by_creation(const void *a, const void *b)
{
    const fh_key *x = a, *y = b;
    if (x->created_utc_ns != y->created_utc_ns) return x->created_utc_ns < y->created_utc_ns ? -1 : 1;
    return strcmp(x->id, y->id);
}

void api_keys_list(api_call *c)
{
    const fh_keys *keys = c->server->keys;
    size_t count = 0, i = 0;
    FH_AUTO(ptr) fh_key *sorted = fh_calloc(fh_keys_count(keys) + 1, sizeof *sorted);
    if (!sorted) {
        api_reply(c, 200, NULL);
        return;
    }
    while (fh_keys_next(keys, &i, &sorted[count])) count++;
    qsort(sorted, count, sizeof *sorted, by_creation);
    fh_json *items = fh_json_new_array();
    for (i = 0; i < count; i++) {
        fh_json *o = fh_json_new_object();
        set_key(o, &sorted[i]);
        fh_json_append(items, o);
    }
    api_reply(c, 200, api_list(items, fh_json_new_null()));
}

int api_key_spec(fh_str name, fh_str scope, fh_key *ret, fh_err **err)
{
    fh_key spec = {0};
    if (name.len == 0 || name.len >= sizeof spec.name) {
        fh_err_set(err, FH_E_INVALID, "the name of a key has 1 to %zu bytes", sizeof spec.name - 1);
        fh_err_param(err, "name");
        return FH_E_INVALID;
    }
    memcpy(spec.name, name.ptr, name.len);
    fh_str bad;
    if (fh_scopes_parse(scope, &spec.scopes, &bad)) {
        *ret = spec;
        return 0;
    }
    fh_err_set(err, FH_E_INVALID, "there is no scope '%.*s'", (int)FH_MIN(bad.len, (size_t)32), bad.ptr);
    fh_err_hint(err, "'use' may ask models; 'admin' may change everything; or some of chat, completions, embeddings, responses, messages, "
                     "tokenize, read, spend and wake, with commas between them");
    fh_err_param(err, "scope");
    return FH_E_INVALID;
}

/* What is shown once: the key's text, and all that may be shown of it. Clears text. */
static int show_text(const fh_key *k, char text[FH_KEY_LEN + 1], fh_json **ret, fh_err **err)
{
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "key", fh_json_new_cstr(text));
    set_key(o, k);
    explicit_bzero(text, FH_KEY_LEN + 1);
    *ret = o;
    return o ? 0 : fh_err_nomem(err);
}

int api_key_make(fh_keys *keys, const fh_key *spec, fh_json **ret, fh_err **err)
{
    fh_key made;
    char text[FH_KEY_LEN + 1];
    int rc = fh_keys_create(keys, spec, fh_clock_utc_ns(), &made, text, err);
    if (rc) return rc;
    return show_text(&made, text, ret, err);
}

static int read_list(const api_call *c, const char *member, const fh_json **ret, fh_err **err)
{
    *ret = fh_json_get(c->body, member);
    fh_json_kind kind = fh_json_kind_of(*ret);
    if (kind == FH_JSON_NULL || kind == FH_JSON_ARRAY) return 0;
    fh_err_set(err, FH_E_INVALID, "'%s' must be a list of names", member);
    fh_err_param(err, "%s", member);
    return FH_E_INVALID;
}

static int read_regions(const api_call *c, fh_key *ret, fh_err **err)
{
    const fh_json *list;
    int rc = read_list(c, "regions", &list, err);
    for (size_t i = 0; !rc && i < fh_json_count(list); i++) {
        rc = fh_regions_add(ret->regions, fh_json_str(fh_json_at(list, i)), err);
        if (rc) fh_err_param(err, "regions");
    }
    return rc;
}

/* Models are kept by their ids: an alias that is given becomes one. */
static int read_models(const api_call *c, fh_key *ret, fh_err **err)
{
    const fh_json *list;
    int rc = read_list(c, "models", &list, err);
    for (size_t i = 0; !rc && i < fh_json_count(list); i++) {
        fh_str name = fh_json_str(fh_json_at(list, i));
        const fh_catalog_model *known = fh_catalog_find(name);
        rc = fh_key_add_model(ret, known ? fh_str_of(known->id) : name, err);
    }
    return rc;
}

int api_owner_read(const fh_json *body, char ret[FH_OWNER_CHARS], fh_err **err)
{
    fh_str name = {0};
    int rc = fh_json_read_str(body, "owner", false, &name, err);
    if (rc || !name.ptr) return rc;
    if (fh_str_is_label(name)) {
        snprintf(ret, FH_OWNER_CHARS, "%.*s", (int)name.len, name.ptr);
        return 0;
    }
    fh_err_set(err, FH_E_INVALID, "'owner' must be 1 to %d small letters, digits and dashes", FH_OWNER_CHARS - 1);
    fh_err_param(err, "owner");
    return FH_E_INVALID;
}

static int read_priority(const api_call *c, const char *member, fh_priority *ret, fh_err **err)
{
    fh_str name = {0};
    int rc = fh_json_read_str(c->body, member, false, &name, err);
    if (rc || !name.ptr || fh_priority_parse(name, ret)) return rc;
    fh_err_set(err, FH_E_INVALID, "'%s' must be low, normal or high", member);
    fh_err_param(err, "%s", member);
    return FH_E_INVALID;
}

/* Without the second it may name no more than it has anyway. */
static int read_priorities(const api_call *c, fh_key *ret, fh_err **err)
{
    int rc = read_priority(c, "priority", &ret->priority, err);
    ret->priority_most = ret->priority;
    if (!rc) rc = read_priority(c, "priority_most", &ret->priority_most, err);
    if (rc || ret->priority_most >= ret->priority) return rc;
    fh_err_set(err, FH_E_INVALID, "'priority_most' is less than 'priority'");
    fh_err_param(err, "priority_most");
    return FH_E_INVALID;
}

static int read_prefer(const api_call *c, fh_key *ret, fh_err **err)
{
    fh_str name = {0};
    int rc = fh_json_read_str(c->body, "prefer", false, &name, err);
    if (rc || !name.ptr || fh_prefer_parse(name, &ret->prefer)) return rc;
    fh_err_set(err, FH_E_INVALID, "'prefer' must be balance, price, speed or energy");
    fh_err_param(err, "prefer");
    return FH_E_INVALID;
}

static int read_page_cache(const api_call *c, fh_key *ret, fh_err **err)
{
    bool wanted = true;
    int rc = fh_json_read_bool(c->body, "page_cache", false, &wanted, err);
    ret->no_pages = !wanted;
    return rc;
}

/* Limits, and how long it is good for. */
static int read_bounds(const api_call *c, fh_key *ret, fh_err **err)
{
    int64_t requests = 0, tok = 0, at_once = 0, days = 0;
    int rc = fh_json_read_i64(c->body, "requests_per_minute", false, 0, 1000000000, &requests, err);
    if (!rc) rc = fh_json_read_i64(c->body, "tokens_per_minute", false, 0, 1000000000000, &tok, err);
    if (!rc) rc = fh_json_read_i64(c->body, "at_once", false, 0, 1000000, &at_once, err);
    if (!rc) rc = fh_json_read_i64(c->body, "days", false, 1, 36500, &days, err);
    if (rc) return rc;
    ret->limits = (fh_limit_set){(uint64_t)requests, (uint64_t)tok, (uint64_t)at_once};
    if (days) ret->expires_utc_ns = fh_clock_utc_ns() + days * 86400 * FH_NS_PER_S;
    return 0;
}

static int read_spec(const api_call *c, fh_key *ret, fh_err **err)
{
    fh_str name = {0}, scope = FH_STR("use");
    int rc = fh_json_read_str(c->body, "name", true, &name, err);
    if (!rc) rc = fh_json_read_str(c->body, "scope", false, &scope, err);
    if (!rc) rc = api_key_spec(name, scope, ret, err);
    if (!rc) rc = read_models(c, ret, err);
    if (!rc) rc = read_regions(c, ret, err);
    if (!rc) rc = api_trust_read(c->body, ret->trust, err);
    if (!rc) rc = api_owner_read(c->body, ret->owner, err);
    if (!rc) rc = read_priorities(c, ret, err);
    if (!rc) rc = read_prefer(c, ret, err);
    if (!rc) rc = read_page_cache(c, ret, err);
    return rc ? rc : read_bounds(c, ret, err);
}

void api_keys_create(api_call *c)
{
    fh_err *err = NULL;
    fh_key spec = {0};
    fh_json *made = NULL;
    int rc = read_spec(c, &spec, &err);
    if (!rc) rc = api_key_make(c->server->keys, &spec, &made, &err);
    if (rc)
        api_reply_error(c, err);
    else
        api_reply(c, 201, made);
}

static int rotate(const api_call *c, fh_json **ret, fh_err **err)
{
    int64_t grace_s = 0;
    fh_key key;
    char text[FH_KEY_LEN + 1];
    int rc = fh_json_read_i64(c->body, "grace_s", false, 0, FH_LIMIT_KEY_GRACE_S, &grace_s, err);
    if (!rc) rc = fh_keys_rotate(c->server->keys, fh_str_of(c->param), fh_clock_utc_ns(), grace_s * FH_NS_PER_S, &key, text, err);
    return rc ? rc : show_text(&key, text, ret, err);
}

void api_keys_rotate(api_call *c)
{
    fh_err *err = NULL;
    fh_json *shown = NULL;
    if (rotate(c, &shown, &err))
        api_reply_error(c, err);
    else
        api_reply(c, 200, shown);
}

void api_keys_revoke(api_call *c)
{
    fh_err *err = NULL;
    fh_key revoked;
    if (fh_keys_revoke(c->server->keys, fh_str_of(c->param), fh_clock_utc_ns(), &revoked, &err)) {
        api_reply_error(c, err);
        return;
    }
    fh_json *o = fh_json_new_object();
    fh_gateway_forget(c->server->gateway, revoked.id);
    set_key(o, &revoked);
    api_reply(c, 200, o);
}
