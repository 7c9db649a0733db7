/* What the owner of a machine asks and says of it beside the price of an hour: `freehold node join --ask-tokens` and the flags behind it,
 * told under "offer" in the machine's facts. Watts, PUE and WUE are reported: shown to whoever asks, never ranked on. Pure; threads: any.
 */
#ifndef FH_POOL_OFFER_H
#define FH_POOL_OFFER_H

#include "json/json.h"
#include "pool/node_words.h"

typedef struct fh_node_offer { /* zeros: nothing was said */
    fh_node_ask mtok;          /* for a million tokens, of prompts and of answers */
    int64_t min_s;             /* an hour is not sold in smaller parts than this */
    char region[64];           /* where it stands, as eu-west-1 */
    int64_t watts;             /* the whole machine, at work */
    int64_t pue_milli;         /* power usage effectiveness of the place, thousandths */
    int64_t wue_ml_kwh;        /* water that the place uses, millilitres a kWh */
} fh_node_offer;

/* An object; NULL when memory is out. What was not said is not in it. */
fh_json *fh_node_offer_write(const fh_node_offer *o);
/* Of what a machine says of itself: without "offer" zeros. FH_E_INVALID names the field. */
int fh_node_offer_read(const fh_json *facts, fh_node_offer *ret, fh_err **err);

#endif
