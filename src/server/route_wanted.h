/* What a request asks for, by the name in its "model": shared by the files of the gateway's port to the fleet. */
#ifndef FH_SERVER_ROUTE_WANTED_H
#define FH_SERVER_ROUTE_WANTED_H

#include "catalog/catalog.h"
#include "gateway/ports.h"
#include "groups.h"
#include "server_private.h"

typedef enum fh_wanted_kind { BY_MODEL, BY_NAME, BY_AUTO, BY_PROVIDER, BY_GROUP } fh_wanted_kind;
typedef struct fh_wanted {
    fh_wanted_kind kind;
    char name[256];                /* of the model or the deployment */
    char provider[64];             /* "provider/NAME/MODEL": only that one */
    const fh_catalog_model *known; /* the model, when the catalogue has it */
    const fh_group *group;
} fh_wanted;

fh_wanted fh_wanted_of(fh_str model);
/* A group of that name comes before all else, also before the built-in auto. Between fh_groups_begin and end. */
fh_wanted fh_wanted_or_group(const fh_groups *groups, fh_str model);
fh_candidate fh_route_candidate(const fh_deployment_view *d, const char *region);
/* route_rise.c: fh_route_port.rise */
bool fh_route_rise(void *ctx, fh_str model, fh_suits *suits, void *arg, fh_rising *ret);

#endif
