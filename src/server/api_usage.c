/* GET /api/v1/usage: what requests used. A key sees its own; an admin sees all. */
#include "gateway/usage_store.h"
#include "server_private.h"

#include <inttypes.h>
#include <stdio.h>

enum { PAGE = 100, RECORD_BYTES = 65536 };

static fh_json *usage_json(const fh_usage *u)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(RECORD_BYTES);
    fh_json *doc = NULL;
    fh_usage_write(u, &text);
    bool ok = fh_buf_ok(&text) && fh_json_parse(&doc, (fh_str){text.data, text.len}, RECORD_BYTES, NULL) == 0;
    return ok ? doc : NULL;
}

static void take_one(void *arg, const fh_usage *u)
{
    *(fh_json **)arg = usage_json(u);
}

static void take_item(void *arg, const fh_usage *u)
{
    fh_json_append(arg, usage_json(u));
}

void api_usage_get(api_call *c)
{
    fh_err *err = NULL;
    fh_json *doc = NULL;
    fh_str key = fh_key_may(&c->key, FH_SCOPE_ADMIN) ? (fh_str){"", 0} : fh_str_of(c->key.id);
    if (fh_usage_store_find(c->server->usage, fh_str_of(c->param), key, take_one, &doc, &err))
        api_reply_error(c, err);
    else
        api_reply(c, 200, doc);
}

/* An admin may ask for one key's. */
static int whose(const api_call *c, char *ret, size_t size, fh_err **err)
{
    ret[0] = '\0';
    if (fh_key_may(&c->key, FH_SCOPE_ADMIN)) return api_query_text(c, "key", ret, size, err);
    snprintf(ret, size, "%s", c->key.id);
    return 0;
}

void api_usage_list(api_call *c)
{
    fh_err *err = NULL;
    char key[64], next[24];
    uint64_t limit = PAGE, cursor = 0;
    fh_json *items = fh_json_new_array();
    int rc = items ? whose(c, key, sizeof key, &err) : fh_err_nomem(&err);
    if (!rc) rc = api_query_number(c, "limit", &limit, &err);
    if (!rc) rc = api_query_number(c, "cursor", &cursor, &err);
    if (!rc) rc = fh_usage_store_list(c->server->usage, fh_str_of(key), (size_t)FH_MAX(limit, 1u), &cursor, take_item, items, &err);
    if (rc) {
        fh_json_unref(items);
        api_reply_error(c, err);
        return;
    }
    snprintf(next, sizeof next, "%" PRIu64, cursor);
    api_reply(c, 200, api_list(items, cursor ? fh_json_new_cstr(next) : fh_json_new_null()));
}
