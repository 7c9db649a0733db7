/* What SIGUSR2 does to a server: it hands over to the program that now lies where its own lay (handover.c), and then only ends what it has
 * begun. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "server_private.h"
#include "sys/file.h"

#include <unistd.h>

#define GRACE_NS (FH_LIMIT_UPGRADE_GRACE_MS * FH_NS_PER_MS)
#define DRAIN_NS (FH_LIMIT_UPGRADE_DRAIN_MS * FH_NS_PER_MS)

static int may_upgrade(const fh_server *s, fh_err **err)
{
    if (s->stopping || s->handed_over) return fh_err_set(err, FH_E_CONFLICT, "this server is ending already");
    if (!fh_imports_busy(s->imports)) return 0;
    fh_err_set(err, FH_E_BUSY, "weights are being imported");
    fh_err_hint(err, "send SIGUSR2 again once the import has ended");
    return FH_E_BUSY;
}

/* Of all that only one server may have. */
static void let_go(fh_server *s)
{
    fh_server_write_used(s);
    fh_feed_free(s->feed);
    s->feed = NULL;
    fh_fleet_leave(s->fleet);
    close(s->lock_fd);
    s->lock_fd = -1;
}

/* Edges may still look at the fleet before: it is freed once each has been through its present work. */
static int take_back(fh_server *s, fh_err **err)
{
    fh_fleet *fresh = NULL, *before = s->fleet;
    int rc = fh_dir_lock(s->config->data_dir, &s->lock_fd, err);
    if (!rc) rc = fh_server_start_fleet(s, &fresh, err);
    if (rc) return rc;
    s->fleet = fresh;
    fh_edges_pass_by(s->edges);
    fh_fleet_stop(before);
    rc = fh_server_start_pool(s, err);
    return rc ? rc : fh_feed_new(&s->feed, s, err);
}

static void go_on(fh_server *s)
{
    fh_err *err = NULL;
    if (take_back(s, &err))
        fh_log_err(FH_LOG_ERROR, "server", err, "requests are served, but deployments are looked after no more: restart the server");
    fh_err_free(err);
}

static int hand_over(fh_server *s, fh_err **err)
{
    fh_handover h;
    const fh_sockets *sockets = fh_edges_sockets(s->edges);
    int rc = may_upgrade(s, err);
    if (!rc) rc = fh_handover_begin(&h, s->program, sockets->fds, sockets->count, err);
    if (rc) return rc;
    let_go(s);
    rc = fh_handover_go(&h, err);
    if (rc) go_on(s);
    return rc;
}

void fh_server_upgrade(fh_server *s)
{
    fh_err *err = NULL;
    if (hand_over(s, &err)) {
        fh_log_err(FH_LOG_ERROR, "server", err, "no upgrade: this server goes on");
    } else {
        fh_log(FH_LOG_INFO, "server", "handed over to the new server; requests that run here end here, requests=%zu",
               fh_gateway_in_flight(s->gateway));
        s->handed_over = true;
        fh_server_drain(s, GRACE_NS, DRAIN_NS);
    }
    fh_err_free(err);
}
