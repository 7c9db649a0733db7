/* What a machine's owner says of its price and place (see node_offer.h). */
#include "node_offer.h"

#include "base/mem.h"
#include <math.h>
#include <string.h>

static int read_ask(const fh_cli *c, fh_node_offer *o, fh_err **err)
{
    FH_AUTO(fh_err) fh_err *why = NULL;
    const char *text = fh_cli_text(c, "ask-tokens", NULL);
    if (!text || !fh_node_ask_parse(fh_str_of(text), &o->mtok, &why)) return 0;
    fh_err_set(err, FH_E_USAGE, "--ask-tokens: '%.32s' is no price of a million tokens", text);
    fh_err_hint(err, "%s", fh_err_hint_get(why));
    return FH_E_USAGE;
}

static int read_region(const fh_cli *c, fh_node_offer *o, fh_err **err)
{
    const char *name = fh_cli_text(c, "region", "");
    size_t len = strlen(name);
    if (len < sizeof o->region && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len) {
        memcpy(o->region, name, len + 1);
        return 0;
    }
    fh_err_set(err, FH_E_USAGE, "--region: '%.64s' is no name of a region", name);
    fh_err_hint(err, "a region has 1 to %zu small letters, digits and dashes, as eu-west-1", sizeof o->region - 1);
    return FH_E_USAGE;
}

int fh_node_offer_flags(const fh_cli *c, fh_node_offer *ret, fh_err **err)
{
    fh_node_offer o = {.min_s = fh_cli_int(c, "min-time", 0) * 60,
                       .watts = fh_cli_int(c, "watts", 0),
                       .pue_milli = llround(fh_cli_real(c, "pue", 0) * 1000),
                       .wue_ml_kwh = llround(fh_cli_real(c, "wue", 0) * 1000)};
    int rc = read_ask(c, &o, err);
    if (!rc) rc = read_region(c, &o, err);
    if (!rc) *ret = o;
    return rc;
}
