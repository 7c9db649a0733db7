/* What nodes.c and tokens.c share: the store, and what joining changes in one transaction. */
#ifndef FH_POOL_NODES_PRIVATE_H
#define FH_POOL_NODES_PRIVATE_H

#include "pool/nodes.h"

struct fh_nodes {
    fh_db *db;      /* borrowed */
    fh_node **list; /* owned, in the order of their ids */
    size_t count, room;
};

/* nodes.c. Those that are of no use any more. */
int nodes_forget(fh_nodes *n, int64_t now_utc_ns, fh_err **err);
/* tokens.c. Inside a transaction. The node that used the token with this key, 0 when it is still to be used. */
int nodes_token_look(fh_nodes *n, const fh_node_join *j, int64_t now_utc_ns, int64_t *ret_node, char ret_owner[FH_OWNER_CHARS],
                     fh_err **err);
int nodes_token_use(fh_nodes *n, const fh_node_join *j, int64_t node, fh_err **err);

/* The places of tokens that are open: FH_E_CONFLICT when there is none. */
int nodes_token_room(fh_nodes *n, int64_t now_utc_ns, fh_err **err);
/* grants.c. The same of who says no token. */
int nodes_grant_look(fh_nodes *n, const fh_node_join *j, int64_t now_utc_ns, int64_t *ret_node, fh_err **err);
int nodes_grant_use(fh_nodes *n, const fh_node_join *j, int64_t node, fh_err **err);

#endif
