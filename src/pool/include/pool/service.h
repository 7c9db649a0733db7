/* The server's side of the pool: listens for machines, lets them in, knows which are here.
 *
 * A machine without a certificate is asked to join (GET /v1/join): it answers with its token, its name, what it asks for, and a request for
 * a certificate. The token is checked, the certificate made, written down and sent (PUT /v1/certificate); it comes again with it. One that
 * shows a certificate of a node is asked what it has (GET /v1/facts), and for a new request (GET /v1/certificate-request) when its
 * certificate has used two thirds of its time; and it is measured while it is idle (examiner.h). Who is refused is told why. Of two links
 * of one node the newer stays. Threads: all on the loop's thread, which owns the nodes too. */
#ifndef FH_POOL_SERVICE_H
#define FH_POOL_SERVICE_H

#include "link/link.h"
#include "pool/nodes.h"

typedef struct fh_pool_service fh_pool_service;
typedef struct fh_pool_service_config {
    const char *address;         /* "0.0.0.0:8471", "[::]:0"; used during the call */
    const char *folder;          /* of the authority's file, made when it is not there; used during the call */
    fh_nodes *nodes;             /* borrowed until freed */
    int64_t (*now_utc_ns)(void); /* NULL: fh_clock_utc_ns */
    /* A machine is here, and has said what it has and asks for; l may be used until on_left. Both may be NULL. */
    void (*on_here)(void *arg, const fh_node *n, fh_link *l);
    void (*on_left)(void *arg, const fh_node *n);
    void (*on_measured)(void *arg, const fh_node *n); /* n->measured is another; may be NULL */
    void *arg;
} fh_pool_service_config;
int fh_pool_service_start(fh_pool_service **ret, fh_loop *l, const fh_pool_service_config *c, fh_err **err);
void fh_pool_service_free(fh_pool_service *s); /* every link is lost; nodes dial again */
FH_DEFINE_AUTO(fh_pool_service, fh_pool_service_free);

int fh_pool_service_port(const fh_pool_service *s);
const fh_link_digest *fh_pool_service_fingerprint(const fh_pool_service *s); /* of the certificate that it shows */
void fh_pool_service_drop(fh_pool_service *s,
                          int64_t node); /* it was removed: its link ends at once, with the reason; NULL service: nothing */

#endif
