/* What the gateway needs from others, filled in by the wiring: it never includes fleet. Called on any of the gateway's loops,
 * several at a time; must not block. */
#ifndef FH_GATEWAY_PORTS_H
#define FH_GATEWAY_PORTS_H

#include "base/err.h"
#include "base/str.h"
#include <stddef.h>
#include <stdint.h>

typedef struct fh_route { /* one ready replica; copied out, so that it outlives changes of the fleet */
    char deployment[64], model[128], place[64], reason[128];
    char base_url[256];  /* "http://localhost" for a unix socket */
    char unix_path[108]; /* "" for TCP */
    int64_t instance;    /* changes when the engine behind the deployment was replaced */
} fh_route;

typedef struct fh_route_model {
    char id[128], owned_by[64];
    int64_t created_s, context_tok;
} fh_route_model;

typedef struct fh_route_port {
    void *ctx;
    /* model: a catalog id, an alias, "deployment/NAME" or "auto". FH_E_NOT_FOUND with the nearest names; FH_E_UNAVAILABLE when it is known
     * but none is ready. avoid: the replica that just failed (never picked again as long as it is the same instance), or NULL. */
    int (*pick)(void *ctx, fh_str model, const fh_route *avoid, fh_route *ret, fh_err **err);
    /* Says that the replica refused or broke: the fleet looks at it at once. */
    void (*report)(void *ctx, const char *deployment, int code);
    /* Models that are ready now; returns the count, fills at most max. */
    size_t (*list)(void *ctx, fh_route_model *ret, size_t max);
} fh_route_port;

#endif
