/* When this machine is lent, and how it ends: its owner's hours, a server that stays away, and leaving so that the server can take away
 * what runs first. */
#include "private.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <time.h>

#define LOOK_NS FH_NS_PER_S

/* ---- not lent now ---- */

static void close_to(fh_node_agent *a, const char *why)
{
    snprintf(a->closed, sizeof(a->closed), "%s", why);
    fh_log(FH_LOG_INFO, "node", "this machine is not lent now: %s", why);
    fh_timer_start(a->leaving, a->server ? FH_LIMIT_NODE_LEAVE_MS * FH_NS_PER_MS : 0);
    node_report_soon(a);
}

static void open_again(fh_node_agent *a)
{
    a->closed[0] = 0;
    fh_log(FH_LOG_INFO, "node", "this machine is lent again");
    fh_timer_stop(a->leaving);
    node_report_soon(a);
}

static void end_what_is_left(void *arg)
{
    node_engines_end(arg);
}

/* ---- hours ---- */

static void look_at_hours(void *arg)
{
    fh_node_agent *a = arg;
    time_t now = (time_t)(fh_clock_utc_ns() / FH_NS_PER_S);
    struct tm local = {0};
    localtime_r(&now, &local);
    bool open = fh_node_hours_open(&a->owner->hours, &local);
    if (open && *a->closed) open_again(a);
    if (!open && !*a->closed) {
        char why[sizeof(a->closed)];
        snprintf(why, sizeof(why), "its owner lends it at other hours: %s", a->owner->hours.text);
        close_to(a, why);
    }
    fh_timer_start(a->hours, LOOK_NS);
}

/* ---- a server that is gone ---- */

static void end_alone(void *arg)
{
    fh_node_agent *a = arg;
    if (a->engines) fh_log(FH_LOG_WARN, "node", "the server stays away: what it started is ended");
    node_engines_end(a);
}

void fh_node_agent_server(fh_node_agent *a, bool here)
{
    a->server = here;
    if (here)
        fh_timer_stop(a->alone);
    else
        fh_timer_start(a->alone, a->owner->alone_ns ? a->owner->alone_ns : FH_LIMIT_NODE_ALONE_MS * FH_NS_PER_MS);
    if (!here && *a->closed) node_engines_end(a); /* nobody takes it away any more */
}

bool fh_node_agent_lends(const fh_node_agent *a)
{
    return !*a->closed && !a->stopping;
}

/* ---- its life ---- */

int node_lending_open(fh_node_agent *a, fh_err **err)
{
    int rc = fh_timer_new(&a->hours, a->loop, look_at_hours, a, err);
    if (rc == 0) rc = fh_timer_new(&a->leaving, a->loop, end_what_is_left, a, err);
    if (rc == 0) rc = fh_timer_new(&a->alone, a->loop, end_alone, a, err);
    if (rc == 0 && a->owner->hours.count) look_at_hours(a);
    return rc;
}

void node_lending_free(fh_node_agent *a)
{
    fh_timer_free(a->hours);
    fh_timer_free(a->leaving);
    fh_timer_free(a->alone);
}

void fh_node_agent_stop(fh_node_agent *a, bool at_once, void (*done)(void *arg), void *arg)
{
    bool first = !a->stopping;
    a->stopping = true;
    a->stopped = done;
    a->stopped_arg = arg;
    fh_timer_stop(a->hours);
    if (at_once || !a->server)
        node_engines_end(a);
    else if (first)
        close_to(a, "its owner takes it back");
    node_agent_settle(a);
}
