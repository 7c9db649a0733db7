/* What requests make of replicas, brought to their sets (see sets.h): posted by whoever sees the requests. */
#include "sets.h"

#include <stdatomic.h>
#include <string.h>

typedef struct told {
    fh_fleet *fleet;
    size_t count;
    fh_replica_load list[];
} told;

static bool is_of(const fh_set *s, const char *deployment)
{
    for (const fh_deployment *d = s->members; d; d = d->next_member)
        if (strcmp(d->view.name, deployment) == 0) return true;
    return false;
}

static void sum_up(fh_set *s, const told *t)
{
    double first_token_s = 0;
    unsigned known = 0;
    s->load = (fh_scale_load){0};
    for (size_t i = 0; i < t->count; i++) {
        const fh_replica_load *one = &t->list[i];
        if (!is_of(s, one->deployment)) continue;
        s->load.waiting += one->waiting;
        s->load.in_flight += one->in_flight;
        s->load.requests += one->requests;
        first_token_s += one->first_token_s;
        known += one->first_token_s > 0;
    }
    if (known) s->load.first_token_s = first_token_s / known;
}

static void take(void *arg)
{
    told *t = arg;
    for (fh_set *s = t->fleet->sets; s; s = s->next) sum_up(s, t);
    fh_free(t);
}

void fh_fleet_tell_load(fh_fleet *f, const fh_replica_load *list, size_t count)
{
    if (atomic_load(&f->left)) return;
    told *t = fh_calloc(1, sizeof(told) + count * sizeof *list);
    if (!t) return; /* it is told again soon */
    t->fleet = f;
    t->count = count;
    memcpy(t->list, list, count * sizeof *list);
    if (!fh_loop_post(f->loop, take, t)) fh_free(t);
}
