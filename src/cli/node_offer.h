/* What `freehold node join` is told of a machine's price and place (pool/offer.h). */
#ifndef FH_CLI_NODE_OFFER_H
#define FH_CLI_NODE_OFFER_H

#include "client.h"
#include "pool/offer.h"

/* Its flags, as rows of a verb's. */
#define FH_CLI_NODE_OFFER_FLAGS                                                                                                            \
    {                                                                                                                                      \
        "ask-tokens",                                                                                                                      \
        0,                                                                                                                                 \
        FH_CLI_TEXT,                                                                                                                       \
        "AMOUNT[CUR]",                                                                                                                     \
        "what its owner wants for a million tokens, as 0.20 or 0.20EUR (default nothing)",                                                 \
        0,                                                                                                                                 \
        0},                                                                                                                                \
        {"min-time", 0, FH_CLI_INT, "MINUTES", "it is not lent for less (default any time)", 0, FH_LIMIT_NODE_MIN_TIME_S / 60},            \
        {"region", 0, FH_CLI_TEXT, "NAME", "where it stands, as eu-west-1: for requests that demand a region", 0, 0},                      \
        {"watts", 0, FH_CLI_INT, "N", "what the machine takes at work: shown, never ranked on", 0, FH_LIMIT_NODE_WATTS},                   \
        {"pue", 0, FH_CLI_REAL, "N", "power usage effectiveness of the place, as 1.3: likewise", 1, 10},                                   \
    {                                                                                                                                      \
        "wue", 0, FH_CLI_REAL, "LITRES", "water that the place uses a kWh: likewise", 0, 100                                               \
    }
/* FH_E_USAGE names the flag. */
int fh_node_offer_flags(const fh_cli *c, fh_node_offer *ret, fh_err **err);

#endif
