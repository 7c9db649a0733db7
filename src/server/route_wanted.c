/* What a request asks for by its "model" (see route_wanted.h). */
#include "route_wanted.h"

#include <stdio.h>
#include <string.h>

fh_wanted fh_wanted_of(fh_str model)
{
    fh_wanted w = {.kind = BY_MODEL};
    fh_str prefix = FH_STR("deployment/"), provider = FH_STR("provider/");
    if (fh_str_eqs(model, "auto")) {
        w.kind = BY_AUTO;
    } else if (fh_str_starts(model, prefix)) {
        w.kind = BY_NAME;
        model = (fh_str){model.ptr + prefix.len, model.len - prefix.len};
    } else if (fh_str_starts(model, provider)) {
        model = (fh_str){model.ptr + provider.len, model.len - provider.len};
        size_t slash = fh_str_find(model, FH_STR("/"));
        w.kind = BY_PROVIDER;
        snprintf(w.provider, sizeof w.provider, "%.*s", (int)FH_MIN(slash, sizeof w.provider - 1), model.ptr);
        slash += slash < model.len;
        model = (fh_str){model.ptr + slash, model.len - slash};
    }
    w.known = w.kind == BY_MODEL || w.kind == BY_PROVIDER ? fh_catalog_find(model) : NULL;
    if (w.known && w.kind == BY_MODEL) model = fh_str_of(w.known->id);
    snprintf(w.name, sizeof w.name, "%.*s", (int)FH_MIN(model.len, sizeof w.name - 1), model.ptr);
    return w;
}

fh_wanted fh_wanted_or_group(const fh_groups *groups, fh_str model)
{
    const fh_group *g = fh_groups_find(groups, model);
    if (!g) return fh_wanted_of(model);
    fh_wanted w = {.kind = BY_GROUP, .group = g};
    snprintf(w.name, sizeof w.name, "%s", g->name);
    return w;
}
