/* The machines of the pool among the places of the fleet. */
#include "fleet_private.h"
#include "base/str.h"
#include "node_place.h"
#include "sets.h"

#include <stdio.h>
#include <string.h>

fh_loop *fh_fleet_loop(fh_fleet *f)
{
    return f->loop;
}

bool fh_fleet_call(fh_fleet *f, void (*fn)(void *arg), void *arg)
{
    return !atomic_load(&f->left) && fh_loop_call(f->loop, fn, arg);
}

void fh_fleet_at_end(fh_fleet *f, void (*fn)(void *arg), void *arg)
{
    f->at_end_arg = arg;
    f->at_end = fn;
}

fh_node_place *fh_fleet_node_find(fh_fleet *f, const char *name)
{
    return f->node_names ? fh_map_find(f->node_names, fh_str_of(name)) : NULL;
}

static int keep_name(fh_fleet *f, const char *name, fh_node_place *np, fh_err **err)
{
    if (!f->node_names) f->node_names = fh_map_new(NULL);
    if (f->node_names && fh_map_put(f->node_names, fh_str_of(name), np)) return 0;
    return fh_err_nomem(err);
}

/* A drained engine whose deployment is still wanted is planned anew. What may wait, and is ready and may run elsewhere, goes on until its
 * successor is ready (sets_leave.c). */
static void leave(fh_fleet *f, const fh_node_place *np, bool may_wait, const char *why)
{
    for (fh_deployment *d = f->first; d; d = d->next) {
        if (d->place != &np->place || !d->engine.runs || d->view.state == FH_DEPLOYMENT_DRAINING || d->view.state == FH_DEPLOYMENT_FAILED)
            continue;
        if (may_wait && d->view.state == FH_DEPLOYMENT_READY && fh_set_must_leave(d)) continue;
        fh_deployment_drop_call(d);
        fh_deployment_set_state(d, FH_DEPLOYMENT_DRAINING, "", "%s%s", np->name, why);
    }
    fh_sets_look(f);
}

static void on_closed(void *arg, fh_node_place *np)
{
    char why[sizeof(np->closed) + 2];
    snprintf(why, sizeof(why), ": %s", np->closed);
    leave(arg, np, false, why); /* its owner gives no longer than an engine needs to end */
}

/* Behind those that are there: what was known first comes first. */
int fh_fleet_node_set(fh_fleet *f, const fh_fleet_node *n, fh_err **err)
{
    fh_node_place *np = fh_fleet_node_find(f, n->name);
    if (np) {
        fh_node_place_set(np, n);
        return 0;
    }
    int rc = fh_node_place_new(&np, f->loop, &f->place_here, fh_here_logs(f->here), n, err);
    if (rc != 0) return rc;
    rc = keep_name(f, n->name, np, err);
    if (rc != 0) {
        fh_node_place_free(np);
        return rc;
    }
    np->on_closed = on_closed;
    np->on_closed_arg = f;
    fh_place **end = &f->places;
    while (*end) end = &(*end)->next;
    *end = &np->place;
    fh_orders_of_node(f, n->name, &np->place.order);
    np->next = f->nodes;
    f->nodes = np;
    return 0;
}

void fh_fleet_node_up(fh_fleet *f, const char *name, fh_link *l)
{
    fh_node_place *np = fh_fleet_node_find(f, name);
    if (np) fh_node_place_up(np, l);
}

void fh_fleet_node_down(fh_fleet *f, const char *name)
{
    fh_node_place *np = fh_fleet_node_find(f, name);
    if (np) fh_node_place_down(np);
}

void fh_fleet_node_drain(fh_fleet *f, const char *name)
{
    fh_node_place *np = fh_fleet_node_find(f, name);
    if (!np) return;
    np->draining = true;
    leave(f, np, true, " is drained");
}

void fh_fleet_node_undrain(fh_fleet *f, const char *name)
{
    fh_node_place *np = fh_fleet_node_find(f, name);
    if (np) np->draining = false;
}

void fh_fleet_node_distrust(fh_fleet *f, const char *name)
{
    fh_node_place *np = fh_fleet_node_find(f, name);
    if (np) leave(f, np, false, " was found to cheat");
}

void fh_fleet_node_remove(fh_fleet *f, const char *name)
{
    fh_fleet_node_gone(f, name, "its machine was removed from the pool");
}

void fh_fleet_node_gone(fh_fleet *f, const char *name, const char *why)
{
    fh_node_place *np = fh_fleet_node_find(f, name);
    if (np) fh_node_place_remove(np, why);
}

fh_order_node fh_fleet_node_is(const fh_fleet *f, const char *name)
{
    int64_t order;
    return fh_orders_of_node(f, name, &order);
}

void fh_fleet_on_node_done(fh_fleet *f, void (*fn)(void *arg, const char *name), void *arg)
{
    f->node_done_arg = arg;
    f->node_done = fn;
}

bool fh_fleet_node_last_report(fh_fleet *f, const char *name, fh_fleet_node_report *ret)
{
    const fh_node_place *np = fh_fleet_node_find(f, name);
    if (!np || !np->link || !np->reported) return false;
    *ret = (fh_fleet_node_report){
        .memory_bytes = np->machine.memory_bytes, .memory_free_bytes = np->machine.memory_available_bytes, .owner = np->owner};
    snprintf(ret->sandbox, sizeof(ret->sandbox), "%s", np->sandbox);
    for (size_t i = 0, used = 0; i < np->kind_count && used < sizeof(ret->engines); i++)
        used += (size_t)snprintf(ret->engines + used, sizeof(ret->engines) - used, "%s%s", i ? " " : "", np->kinds[i]->id);
    return true;
}

void fh_fleet_nodes_free(fh_fleet *f)
{
    fh_map_free(f->node_names);
    while (f->nodes) {
        fh_node_place *np = f->nodes;
        f->nodes = np->next;
        fh_node_place_free(np);
    }
}
