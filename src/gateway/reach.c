/* What a key may be answered by (see reach.h). */
#include "reach.h"

#include <stdio.h>

static bool lists(const fh_key *key, const char *before, const char *name, const char *behind)
{
    char text[512];
    int n = snprintf(text, sizeof text, "%s%s%s%s", before, name, behind[0] ? "/" : "", behind);
    return n > 0 && (size_t)n < sizeof text && fh_key_lists_model(key, (fh_str){text, (size_t)n});
}

bool fh_reach_model(const fh_key *key, fh_str asked, const fh_candidate *c)
{
    if (fh_key_lists_model(key, asked) || lists(key, c->model, "", "")) return true;
    if (fh_str_starts(fh_str_of(c->deployment), FH_STR("provider/")))
        return lists(key, c->deployment, "", "") || lists(key, c->deployment, "", c->model);
    return lists(key, "deployment/", c->deployment, "");
}

int fh_reach_refuse(const fh_key *key, fh_str asked, fh_err **err)
{
    fh_err_set(err, FH_E_FORBIDDEN, "the key %s may not use the model '%.*s'", key->id, (int)FH_MIN(asked.len, (size_t)128), asked.ptr);
    fh_err_hint(err, "it may use: %s", key->models);
    fh_err_param(err, "model");
    fh_err_reason(err, "model_not_found");
    return FH_E_FORBIDDEN;
}
