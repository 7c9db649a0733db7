/* Keys over HTTP: list, make, revoke. */
#include "base/clock.h"
#include "base/limits.h"
#include "server_private.h"

#include <stdlib.h>
#include <string.h>

static void set_key(fh_json *o, const fh_key *k)
{
    fh_json_set(o, "id", fh_json_new_cstr(k->id));
    fh_json_set(o, "name", fh_json_new_cstr(k->name));
    fh_json_set(o, "scope", fh_json_new_cstr(fh_scope_name(k->scope)));
    fh_json_set(o, "created", api_time(k->created_utc_ns));
    fh_json_set(o, "expires", api_time(k->expires_utc_ns));
    fh_json_set(o, "revoked", api_time(k->revoked_utc_ns));
    fh_json_set(o, "requests_per_minute", fh_json_new_int((int64_t)k->limits.requests_per_min));
    fh_json_set(o, "tokens_per_minute", fh_json_new_int((int64_t)k->limits.tok_per_min));
    fh_json_set(o, "at_once", fh_json_new_int((int64_t)k->limits.at_once));
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
    for (const fh_key *k; (k = fh_keys_next(keys, &i));) sorted[count++] = *k;
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
    if (fh_scope_parse(scope, &spec.scope)) {
        *ret = spec;
        return 0;
    }
    fh_err_set(err, FH_E_INVALID, "there is no scope '%.*s'", (int)FH_MIN(scope.len, (size_t)32), scope.ptr);
    fh_err_hint(err, "'use' may ask models; 'admin' may change everything");
    fh_err_param(err, "scope");
    return FH_E_INVALID;
}

int api_key_make(fh_keys *keys, const fh_key *spec, fh_json **ret, fh_err **err)
{
    fh_key made;
    char text[FH_KEY_LEN + 1];
    int rc = fh_keys_create(keys, spec, fh_clock_utc_ns(), &made, text, err);
    if (rc) return rc;
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "key", fh_json_new_cstr(text));
    set_key(o, &made);
    explicit_bzero(text, sizeof text);
    *ret = o;
    return o ? 0 : fh_err_nomem(err);
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

void api_keys_revoke(api_call *c)
{
    fh_err *err = NULL;
    fh_key revoked;
    if (fh_keys_revoke(c->server->keys, fh_str_of(c->param), fh_clock_utc_ns(), &revoked, &err)) {
        api_reply_error(c, err);
        return;
    }
    fh_json *o = fh_json_new_object();
    set_key(o, &revoked);
    api_reply(c, 200, o);
}
