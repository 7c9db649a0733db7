/* Where a model can run, as JSON: this machine and the offers that the asker brings, ranked by `plan`. Used by the control plane, and by
 * the command line without a server. Shapes: PlanCreate and PlanRanking in GET /api/openapi.json; formulas: docs/PLANNING.md. */
#ifndef FH_SERVER_PLANS_H
#define FH_SERVER_PLANS_H

#include "base/err.h"
#include "json/json.h"

/* ask: the shape PlanCreate, borrowed. *ret is owned. Nothing is started and nothing is kept. FH_E_INVALID names the field; FH_E_NOT_FOUND:
 * no such model or variant. */
int fh_plans_make(const fh_json *ask, fh_json **ret, fh_err **err);

#endif
