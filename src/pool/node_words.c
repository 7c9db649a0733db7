/* What people write of a machine: its name, and what they ask for it. */
#include "pool/node_words.h"
#include "base/mem.h"

bool fh_node_currency_set(fh_node_ask *ask, fh_str text)
{
    if (text.len != sizeof ask->currency - 1) return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < 'A' || text.ptr[i] > 'Z') return false;
    memcpy(ask->currency, text.ptr, text.len);
    ask->currency[text.len] = '\0';
    return true;
}

/* "0", "12", "0.35": up to FH_NODE_ASK_MOST millionths. */
static bool read_amount(fh_str text, int64_t *ret_micro)
{
    size_t point = fh_str_find(text, FH_STR(".")), behind = point < text.len ? text.len - point - 1 : 0;
    uint64_t whole, part = 0;
    if (!fh_str_u64((fh_str){text.ptr, point}, FH_NODE_ASK_MOST / 1000000, &whole) || behind > 6) return false;
    if (point < text.len && !fh_str_u64((fh_str){text.ptr + point + 1, behind}, 999999, &part)) return false;
    for (size_t i = behind; i < 6; i++) part *= 10;
    *ret_micro = (int64_t)(whole * 1000000 + part);
    return *ret_micro <= FH_NODE_ASK_MOST;
}

int fh_node_ask_parse(fh_str text, fh_node_ask *ret, fh_err **err)
{
    fh_node_ask ask = {.currency = "USD"};
    size_t digits = 0;
    while (digits < text.len && (text.ptr[digits] == '.' || (text.ptr[digits] >= '0' && text.ptr[digits] <= '9'))) digits++;
    fh_str currency = {text.ptr + digits, text.len - digits};
    if (read_amount((fh_str){text.ptr, digits}, &ask.micro) && (!currency.len || fh_node_currency_set(&ask, currency))) {
        *ret = ask;
        return 0;
    }
    fh_err_set(err, FH_E_INVALID, "'%.*s' is no price of an hour", (int)FH_MIN(text.len, (size_t)32), text.len ? text.ptr : "");
    fh_err_hint(err, "for example 0.35, or 0.35EUR: up to a million, with up to six digits behind the point");
    fh_err_param(err, "ask");
    return FH_E_INVALID;
}

int fh_node_name_check(fh_str name, fh_err **err)
{
    bool good = name.len > 0 && name.len < FH_NODE_NAME;
    for (size_t i = 0; good && i < name.len; i++) good = name.ptr[i] && strchr("abcdefghijklmnopqrstuvwxyz0123456789-", name.ptr[i]);
    if (good && !fh_str_eqs(name, "token")) return 0; /* which the API has a path of */
    fh_err_set(err, FH_E_INVALID, "the name of a machine must be 1 to 63 small letters, digits and dashes, and not token");
    fh_err_hint(err, "`freehold node join --name` gives it one, for example den-2");
    fh_err_param(err, "name");
    return FH_E_INVALID;
}
