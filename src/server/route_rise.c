/* What a request asks for that sleeps or is on its way: sets without a replica that is ready (see gateway/ports.h). */
#include "route_wanted.h"

#include <stdio.h>
#include <string.h>

typedef struct rising {
    const fh_server *server;
    const fh_fleet_snapshot *snap;
    fh_suits *suits;
    void *arg;
} rising;

static bool is_meant(const fh_wanted *w, const fh_set_view *s)
{
    if (w->kind == BY_AUTO) return true;
    return w->kind == BY_NAME ? strcmp(s->name, w->name) == 0 : w->kind == BY_MODEL && strcmp(s->model, w->name) == 0;
}

/* One that failed, and that the set tries again after a pause, is not on its way. */
static bool rises(const fh_set_view *s)
{
    return !s->stopping && s->ready == 0 && (s->wanted == 0 || !s->failing);
}

static fh_candidate candidate_of(const rising *r, const fh_set_view *s, fh_deployment_view *room)
{
    fh_set_view_asleep(s, room);
    if (s->only_here) snprintf(room->place, sizeof room->place, "here");
    fh_candidate c = fh_route_candidate(room, r->server->config->region);
    if (!s->only_here) c.via = s->place; /* the one place, or the provider, that it was asked for at */
    c.asleep = s->wanted == 0;
    c.arm = c.model;
    return c;
}

static const fh_set_view *find(const rising *r, const fh_wanted *w)
{
    for (size_t i = 0; i < r->snap->set_count; i++) {
        const fh_set_view *s = &r->snap->sets[i];
        fh_deployment_view room;
        if (!is_meant(w, s) || !rises(s)) continue;
        fh_candidate c = candidate_of(r, s, &room);
        c.open = w->kind == BY_AUTO;
        if (r->suits(r->arg, &c)) return s;
    }
    return NULL;
}

static const fh_set_view *find_any(const rising *r, const fh_wanted *w)
{
    const fh_set_view *s = NULL;
    if (w->kind != BY_GROUP) return find(r, w);
    for (size_t i = 0; !s && i < w->group->count; i++) {
        fh_wanted member = fh_wanted_of(fh_str_of(w->group->members[i].name));
        s = find(r, &member);
    }
    return s;
}

static void say(const rising *r, const fh_set_view *s, fh_rising *ret)
{
    const fh_deployment_view *d = NULL;
    for (size_t i = 0; !d && i < r->snap->count; i++) {
        const fh_deployment_view *one = &r->snap->deployments[i];
        if (strcmp(one->set, s->name) == 0 && one->state < FH_DEPLOYMENT_READY) d = one;
    }
    snprintf(ret->name, sizeof ret->name, "%s", s->name);
    if (!d)
        snprintf(ret->says, sizeof ret->says, "%s is being woken", s->name);
    else if (d->progress_total > 0)
        snprintf(ret->says, sizeof ret->says, "%s is %s, %lld %%", d->name, fh_deployment_state_name(d->state),
                 (long long)(d->progress_done * 100 / d->progress_total));
    else
        snprintf(ret->says, sizeof ret->says, "%s is %s: %.120s", d->name, fh_deployment_state_name(d->state), d->reason);
}

bool fh_route_rise(void *ctx, fh_str model, fh_suits *suits, void *arg, fh_rising *ret)
{
    fh_server *server = ctx;
    rising r = {server, fh_fleet_snapshot_get(server->fleet), suits, arg};
    fh_groups_begin(server->groups);
    fh_wanted w = fh_wanted_or_group(server->groups, model);
    const fh_set_view *s = find_any(&r, &w);
    fh_groups_end(server->groups);
    if (s) say(&r, s, ret);
    if (s && s->wanted == 0) fh_fleet_wake(server->fleet, s->name, NULL, NULL, NULL, NULL); /* not taken: at the next look */
    fh_fleet_snapshot_release(r.snap);
    return s != NULL;
}
