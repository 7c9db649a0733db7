/* What a key may be answered by: the models that it lists, and what costs money. Pure. */
#ifndef FH_GATEWAY_REACH_H
#define FH_GATEWAY_REACH_H

#include "gateway/keys.h"
#include "gateway/ports.h"

/* May the key ask for `asked` and have it answered by that replica? A list names models by id, "deployment/NAME", "provider/NAME",
 * "provider/NAME/MODEL", and groups as they are asked for. */
bool fh_reach_model(const fh_key *key, fh_str asked, const fh_candidate *c);
/* FH_E_FORBIDDEN, as OpenAI says it: the key may not use that model. */
int fh_reach_refuse(const fh_key *key, fh_str asked, fh_err **err);

#endif
