/* What server and machine tell each other while one joins (see answers.h). */
#include "answers.h"
#include "pool/offer.h"

static fh_json *with(fh_json *o, const char *name, const char *text)
{
    fh_json_set(o, name, fh_json_new_cstr(text));
    return o;
}

static fh_json *with_ask(fh_json *o, const fh_node_ask *ask)
{
    fh_json_set(o, "ask_micro", fh_json_new_int(ask->micro));
    return with(o, "ask_currency", ask->currency);
}

fh_json *pool_join_json(fh_str token, const char *name, const fh_node_ask *ask, const char *request)
{
    fh_json *o = with(with(fh_json_new_object(), "name", name), "csr", request);
    fh_json_set(o, "token", fh_json_new_str(token));
    return with_ask(o, ask);
}

static int read_ask(const fh_json *doc, fh_node_ask *ret, fh_err **err)
{
    fh_str currency = {0};
    int rc = fh_json_read_i64(doc, "ask_micro", true, 0, FH_NODE_ASK_MOST, &ret->micro, err);
    if (!rc) rc = fh_json_read_str(doc, "ask_currency", true, &currency, err);
    if (rc || fh_node_currency_set(ret, currency)) return rc;
    fh_err_set(err, FH_E_INVALID, "'ask_currency' must be three capital letters, as USD");
    fh_err_param(err, "ask_currency");
    return FH_E_INVALID;
}

int pool_join_read(const fh_json *doc, fh_node_join *ret, fh_str *ret_request, fh_err **err)
{
    fh_node_join j = {.name = {NULL, 0}};
    int rc = fh_json_read_str(doc, "token", true, &j.token, err);
    if (!rc) rc = fh_json_read_str(doc, "name", true, &j.name, err);
    if (!rc) rc = read_ask(doc, &j.ask, err);
    if (!rc) rc = pool_request_read(doc, ret_request, err);
    if (!rc) rc = fh_pool_request_key(*ret_request, &j.key, err);
    if (!rc) *ret = j;
    return rc;
}

fh_json *pool_request_json(const char *request)
{
    return with(fh_json_new_object(), "csr", request);
}

int pool_request_read(const fh_json *doc, fh_str *ret_request, fh_err **err)
{
    return fh_json_read_str(doc, "csr", true, ret_request, err);
}

fh_json *pool_certificate_json(const char *certificate, const char *name)
{
    return with(with(fh_json_new_object(), "certificate", certificate), "name", name);
}

int pool_certificate_read(const fh_json *doc, fh_str *ret_certificate, fh_str *ret_name, fh_err **err)
{
    int rc = fh_json_read_str(doc, "certificate", true, ret_certificate, err);
    if (!rc) rc = fh_json_read_str(doc, "name", true, ret_name, err);
    return rc ? rc : fh_node_name_check(*ret_name, err);
}

fh_json *pool_facts_json(const fh_json *facts, const fh_node_ask *ask)
{
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "facts", fh_json_ref((fh_json *)(uintptr_t)facts));
    return with_ask(o, ask);
}

int pool_facts_read(const fh_json *doc, const fh_json **ret_facts, fh_node_ask *ret_ask, fh_err **err)
{
    fh_node_ask ask = {.micro = 0};
    const fh_json *facts = fh_json_get(doc, "facts");
    int rc = read_ask(doc, &ask, err);
    if (!rc && fh_json_kind_of(facts) != FH_JSON_OBJECT) {
        rc = fh_err_set(err, FH_E_INVALID, "'facts' must be an object");
        fh_err_param(err, "facts");
    }
    fh_node_offer offer;
    if (!rc) rc = fh_node_offer_read(facts, &offer, err);
    if (rc) return rc;
    *ret_facts = facts;
    *ret_ask = ask;
    return 0;
}
