/* What a request would rather have, where several could answer: said by the request, else by its key. */
#ifndef FH_GATEWAY_PREFER_H
#define FH_GATEWAY_PREFER_H

#include "base/str.h"

typedef enum fh_prefer { FH_PREFER_BALANCE, FH_PREFER_PRICE, FH_PREFER_SPEED, FH_PREFER_ENERGY, FH_PREFERS } fh_prefer;
const char *fh_prefer_name(fh_prefer p); /* "balance", "price", "speed", "energy" */
bool fh_prefer_parse(fh_str name, fh_prefer *ret);

#endif
