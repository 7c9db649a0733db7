/* Host, Origin, content type and key: the checks that every request passes before its path is looked at. */
#include "gateway/admission.h"
#include "net/origin.h"

static bool is_ours(const fh_hosts *h, fh_str name)
{
    if (fh_host_is_local(name)) return true;
    for (size_t i = 0; h->names && h->names[i]; i++)
        if (fh_str_ieq(name, fh_str_of(h->names[i]))) return true;
    return h->any_address && fh_host_is_address(name);
}

int fh_admit_host(const fh_hosts *h, fh_str host, fh_err **err)
{
    fh_str name = fh_host_name(host);
    if (is_ours(h, name)) return 0;
    fh_err_set(err, FH_E_MISDIRECTED, "this server does not answer to the host '%.*s'", (int)FH_MIN(name.len, (size_t)128), name.ptr);
    fh_err_hint(err, "use the address that it listens on, or start it with --host NAME to let it answer to that name");
    return FH_E_MISDIRECTED;
}

int fh_admit_origin(fh_str host, fh_str origin, fh_str sec_fetch_site, fh_err **err)
{
    if (!fh_origin_is_foreign(host, origin, sec_fetch_site)) return 0;
    fh_err_set(err, FH_E_FORBIDDEN, "a page of another origin may not speak to this server");
    fh_err_hint(err, "use the console of this server, or a program that is no browser");
    return FH_E_FORBIDDEN;
}

int fh_admit_body(fh_str content_type, size_t body_bytes, fh_err **err)
{
    fh_str media = fh_str_trim((fh_str){content_type.ptr, content_type.ptr ? fh_str_find(content_type, FH_STR(";")) : 0});
    if (fh_str_ieq(media, FH_STR("application/json")) || (body_bytes == 0 && media.len == 0)) return 0;
    fh_err_set(err, FH_E_MEDIA_TYPE, "the body must be JSON, not '%.*s'", (int)FH_MIN(media.len, (size_t)64), media.len ? media.ptr : "");
    fh_err_hint(err, "send 'Content-Type: application/json'");
    fh_err_param(err, "content-type");
    return FH_E_MEDIA_TYPE;
}

static int no_key(fh_err **err)
{
    fh_err_set(err, FH_E_UNAUTHENTICATED, "the request has no key");
    fh_err_hint(err, "send 'Authorization: Bearer fh_...'; it was printed or written to its --key-file when the server first started; "
                     "`freehold key create` makes more");
    return FH_E_UNAUTHENTICATED;
}

int fh_admit_scope(const fh_key *key, fh_scope need, fh_err **err)
{
    char scopes[FH_SCOPES_TEXT];
    if (fh_key_may(key, need)) return 0;
    fh_scopes_write(key->scopes, scopes);
    fh_err_set(err, FH_E_FORBIDDEN, "the key %s has the scope '%s'; this wants '%s'", key->id, scopes, fh_scope_name(need));
    fh_err_hint(err, "use a key with that scope; `freehold key create --scope %s` makes one", fh_scope_name(need));
    fh_err_reason(err, "missing_scope");
    return FH_E_FORBIDDEN;
}

int fh_admit_key(const fh_keys *k, fh_str authorization, fh_str x_api_key, fh_scope need, int64_t now_utc_ns, fh_key *ret, fh_err **err)
{
    fh_str bearer = FH_STR("bearer "), text = x_api_key;
    bool has_bearer = authorization.len > bearer.len && fh_str_ieq((fh_str){authorization.ptr, bearer.len}, bearer);
    if (has_bearer) text = fh_str_trim((fh_str){authorization.ptr + bearer.len, authorization.len - bearer.len});
    if (!text.len) return no_key(err);
    int rc = fh_keys_check(k, text, now_utc_ns, ret, err);
    return rc ? rc : fh_admit_scope(ret, need, err);
}
