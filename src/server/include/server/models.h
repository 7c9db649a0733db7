/* Models as JSON: the catalogue, and own weights that are not in it, each with what this machine can do with it. Used by the control plane,
 * and by the command line on a data folder alone. Shape: Model in GET /api/openapi.json. */
#ifndef FH_SERVER_MODELS_H
#define FH_SERVER_MODELS_H

#include "fleet/fleet.h"
#include "json/json.h"
#include "weights/weights.h"

/* fleet may be NULL: nothing runs. *ret is owned. */
int fh_models_list(fh_weights *weights, const fh_fleet_snapshot *fleet, fh_json **ret,
                   fh_err **err); /* {"items":[...],"next":null}, the top ten first */
int fh_models_get(fh_weights *weights, const fh_fleet_snapshot *fleet, const char *id, fh_json **ret, fh_err **err);
/* One set of weights: the shape Weights. Owned; NULL when memory is out. */
fh_json *fh_weights_view_json(const fh_weights *store, const fh_weights_item *w);

#endif
