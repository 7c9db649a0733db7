/* What a machine of the pool does for its server: says what it has, takes weights, starts and ends engines, and connects to them. The
 * paths stand in fleet/nodes.h. It takes from its server an id, a digest and numbers, all of them checked here; what is started is this
 * machine's own program, in this machine's sandbox.
 *
 * Engines live on while the link is lost. They end with the agent; what an agent left that was killed is ended by the next. Threads: the
 * loop's, all of it. */
#ifndef FH_NODE_AGENT_H
#define FH_NODE_AGENT_H

#include "link/link.h"
#include "node/owner.h"

typedef struct fh_node_agent fh_node_agent;

typedef struct fh_node_agent_config {
    const char *data_dir;           /* the machine's own, locked by the caller */
    const char *program;            /* absolute path of this binary */
    const char *const *engines;     /* as fh_fleet_config's; borrowed while the agent lives */
    const struct fh_spread *spread; /* likewise */
    const fh_node_owner *owner;     /* borrowed while the agent lives; NULL allows everything */
} fh_node_agent_config;

int fh_node_agent_new(fh_node_agent **ret, fh_loop *loop, const fh_node_agent_config *c, fh_err **err);
/* The server is there, or is not any more. While it is gone engines go on for as long as the owner says. */
void fh_node_agent_server(fh_node_agent *a, bool here);
/* Nothing is started from now on. The server, where it is there, is told to take away what runs, and gets NODE_LEAVE_MS for it; what is
 * left, all of it at_once, is ended. done is called, from the loop, once nothing runs; of two calls the second one's is. */
void fh_node_agent_stop(fh_node_agent *a, bool at_once, void (*done)(void *arg), void *arg);
bool fh_node_agent_lends(const fh_node_agent *a); /* its owner lends the machine now, and nothing ends it */
void fh_node_agent_free(fh_node_agent *a);        /* where the loop does not run; what still runs is left to the next agent */

/* For fh_link_dial_config, of links with a certificate; arg: the agent. */
void fh_node_agent_head(void *arg, fh_link_req *r);
void fh_node_agent_request(void *arg, fh_link_req *r);
void fh_node_agent_tunnel(void *arg, fh_link_req *r);

#endif
