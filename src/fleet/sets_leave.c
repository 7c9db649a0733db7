/* Machines that have to be left: drained by their owner, or about to be taken away. What runs there gets a successor elsewhere first
 * (sets.c); where none can be had it goes on to its end. */
#include "sets.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "node_place.h"

/* At least twice what the last start took; but a quarter of the machine's time at most: where that is short successors would do nothing but
 * follow one another. */
static int64_t lead_ns(const fh_deployment *d)
{
    int64_t whole_ns = d->view.order.ends_utc_ns - d->view.created_utc_ns;
    return FH_MIN(FH_MAX(d->fleet->timing.replace_lead_ns, d->set ? 2 * d->set->start_ns : 0), whole_ns / 4);
}

static bool is_taken_away(const fh_deployment *d)
{
    const fh_order_terms *o = &d->view.order;
    return o->id && (o->leaving || (o->ends_utc_ns && o->ends_utc_ns - fh_clock_utc_ns() < lead_ns(d)));
}

static bool is_drained(const fh_deployment *d)
{
    fh_str name = fh_str_of(d->place ? d->place->name : ""), prefix = FH_STR("node/");
    const fh_node_place *np = fh_str_starts(name, prefix) ? fh_fleet_node_find(d->fleet, name.ptr + prefix.len) : NULL;
    return np && np->draining;
}

bool fh_set_must_leave(fh_deployment *d)
{
    bool must = fh_deployment_is_live(d) && d->engine.runs && (is_taken_away(d) || is_drained(d)) && fh_planning_elsewhere(d);
    if (!must)
        d->leaves_ns = 0;
    else if (!d->leaves_ns)
        d->leaves_ns = fh_clock_mono_ns();
    return must;
}

/* The owner of a machine that is drained does not wait for ever. */
bool fh_set_may_wait(const fh_deployment *d)
{
    return !d->leaves_ns || !is_drained(d) || fh_clock_mono_ns() - d->leaves_ns < d->fleet->timing.replace_drain_ns;
}

static bool costs(const fh_deployment *d)
{
    return d->order || (d->place && d->place->terms(d->place->ctx).ask_micro > 0);
}

static void adopt(fh_deployment *d)
{
    static const fh_replicas may_sleep = {.idle_said = true, .idle_s = FH_LIMIT_SCALE_IDLE_S};
    fh_set *s;
    FH_AUTO(fh_err) fh_err *err = NULL;
    int rc = fh_set_of(d, &s, &err);
    if (rc == 0 && costs(d)) rc = fh_set_change(s, &may_sleep, &err);
    if (rc != 0) fh_log_err(FH_LOG_WARN, "fleet", err, "deployment %s does not become a set", d->view.name);
}

void fh_sets_adopt_lone(fh_fleet *f)
{
    for (fh_deployment *d = f->first; d; d = d->next) {
        bool ready = !d->set && d->view.state == FH_DEPLOYMENT_READY;
        if (ready && (costs(d) || fh_set_must_leave(d))) adopt(d);
    }
}
