/* Whom a check asks, and which engine here its answers are held against. */
#ifndef FH_SERVER_HONESTY_TARGET_H
#define FH_SERVER_HONESTY_TARGET_H

#include "server_private.h"

typedef struct fh_honesty_target {
    char model[128];            /* which both serve */
    char here[108];             /* socket of our own engine on this machine */
    char url[256], secret[256]; /* of the other: without the API's path; its key, "" for none */
    char there[108];            /* its socket; "": TCP */
    bool salted;                /* it is an engine of our kind, which gets a salt with each request */
} fh_honesty_target;

/* place: the name of a hosted endpoint, or node/NAME: a deployment on a machine of the pool with the very weights of one here. model
 * {NULL,0}: the first that there is. FH_E_NOT_FOUND: no such place, or it does not serve that; FH_E_UNAVAILABLE: nothing to compare with;
 * FH_E_INVALID: an endpoint that tells no log-probabilities. ret is touched only on success. Any thread but for providers: the server's. */
int fh_honesty_target_find(fh_server *s, const char *place, fh_str model, fh_honesty_target *ret, fh_err **err);

/* Our own engine has it ready on this machine, with its cache kept as kv_type: one kept in less answers a little otherwise. digest "":
 * whatever its weights are; else those alone. */
bool fh_honesty_reference(const fh_fleet_snapshot *snap, const char *model, const char *digest, const char *kv_type, char ret_socket[108]);

#endif
