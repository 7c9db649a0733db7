/* Signing in to the console: a one-time link, swapped for a key that holds for a day and can be revoked like any other. */
#include "base/clock.h"
#include "server_private.h"

#include <stdio.h>
#include <string.h>

#define LINK_LIFE_NS    (15 * 60 * FH_NS_PER_S)
#define SESSION_LIFE_NS (24 * 3600 * FH_NS_PER_S)

int fh_console_link(fh_server *s, char *out, size_t out_size, fh_err **err)
{
    char code[FH_SIGNIN_CODE_LEN + 1];
    int rc = fh_signin_issue(s->signin, fh_clock_mono_ns(), code, err);
    if (rc) return rc;
    snprintf(out, out_size, "%s/#code=%s", s->address, code);
    explicit_bzero(code, sizeof code);
    return 0;
}

void api_console_links_create(api_call *c)
{
    fh_err *err = NULL;
    char url[512];
    if (fh_console_link(c->server, url, sizeof url, &err)) {
        api_reply_error(c, err);
        return;
    }
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "url", fh_json_new_cstr(url));
    fh_json_set(o, "expires", api_time(fh_clock_utc_ns() + LINK_LIFE_NS));
    explicit_bzero(url, sizeof url);
    api_reply(c, 201, o);
}

static int make_session(api_call *c, fh_key *ret, char text[FH_KEY_LEN + 1], fh_err **err)
{
    fh_str code = {0};
    int64_t now = fh_clock_utc_ns();
    fh_key spec = {.name = "console", .scopes = FH_SCOPES_ADMIN, .expires_utc_ns = now + SESSION_LIFE_NS};
    int rc = fh_json_read_str(c->body, "code", true, &code, err);
    if (!rc) rc = fh_signin_redeem(c->server->signin, code, fh_clock_mono_ns(), err);
    if (!rc) rc = fh_keys_create(c->server->keys, &spec, now, ret, text, err);
    return rc;
}

void api_session_create(api_call *c)
{
    fh_err *err = NULL;
    fh_key made;
    char text[FH_KEY_LEN + 1];
    if (make_session(c, &made, text, &err)) {
        api_reply_error(c, err);
        return;
    }
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "key", fh_json_new_cstr(text));
    fh_json_set(o, "id", fh_json_new_cstr(made.id));
    fh_json_set(o, "expires", api_time(made.expires_utc_ns));
    explicit_bzero(text, sizeof text);
    api_reply(c, 201, o);
}

/* Only a console's key signs out; a key that a person made is revoked by name. */
void api_session_delete(api_call *c)
{
    fh_err *err = NULL;
    int rc = 0;
    if (!c->key.expires_utc_ns) {
        rc = fh_err_set(&err, FH_E_CONFLICT, "the key %s is not one of the console", c->key.id);
        fh_err_hint(&err, "`freehold key revoke %s` revokes it", c->key.id);
    }
    if (!rc) rc = fh_keys_revoke(c->server->keys, fh_str_of(c->key.id), fh_clock_utc_ns(), NULL, &err);
    if (rc)
        api_reply_error(c, err);
    else
        api_reply(c, 204, NULL);
}
