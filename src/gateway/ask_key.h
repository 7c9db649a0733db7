/* Which requests always get the same answer, and which of those get the same one as each other. Pure.
 *
 * A request is fixed when it draws nothing at random (temperature 0, or a seed) and asks for nothing that lies outside of it: nothing is
 * stored for it, searched, fetched or run at the upstream. docs/CACHE.md has the rules and the list of members. */
#ifndef FH_GATEWAY_ASK_KEY_H
#define FH_GATEWAY_ASK_KEY_H

#include "ask.h"
#include "cache.h"

typedef struct fh_asker {            /* what an answer depends on, beside the request itself */
    const char *salt;                /* of those who may have one another's answers */
    const char *identity;            /* of the upstream (fh_route) */
    const char *trust;               /* a stream that is moved must stay inside what every one of them allows */
    const char *key_trust, *regions; /* likewise */
    bool own_engine;                 /* members that we do not know mean nothing to it; elsewhere they may ask for anything */
} fh_asker;

bool fh_ask_fixed(const fh_ask *a);
/* SHA-256 over asker and request in canonical form: members sorted by name, without blanks, numbers of the first level in one form, those
 * left out that change no answer. What lies inside of members keeps its order: templates and schemas show it to the model. False when there
 * is no key: the request is larger than CACHE_REQUEST_BYTES, or holds what may ask for more than an answer. */
bool fh_ask_key(const fh_ask *a, const fh_asker *who, uint8_t ret[FH_ANSWER_KEY_BYTES]);

#endif
