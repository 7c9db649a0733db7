/* The machines of the pool, and the tokens that they join with: in the database (tables nodes and join_tokens) and, for being read without
 * I/O, in memory. What is written is written to the database first.
 *
 * A node is known by its certificate: the one that it came with last, or the one that was made for it since. One that was made for it takes
 * the other's place when the node comes with it, so that nothing is lost when either side dies between the two. A token is used by one key:
 * the machine that has that key may say it again while the hour lasts, which makes a join that was cut short whole; any other is refused.
 * A node that is removed stays as a row until no certificate of it is good any more. One that never came is forgotten with its token.
 * Threads: one, which the borrowed database connection belongs to as well. */
#ifndef FH_POOL_NODES_H
#define FH_POOL_NODES_H

#include "base/limits.h"
#include "base/trust.h"
#include "db/db.h"
#include "json/json.h"
#include "pool/ca.h"
#include "pool/join_token.h"
#include "pool/measured.h"
#include "pool/node_words.h"

typedef enum fh_node_state { FH_NODE_JOINED, FH_NODE_DRAINING, FH_NODE_REMOVED } fh_node_state;
const char *fh_node_state_name(fh_node_state s); /* "joined", "draining", "removed" */

typedef struct fh_node {
    int64_t id;
    char name[FH_NODE_NAME];
    fh_node_state state;
    fh_link_digest certificate, next; /* zeros: there is none */
    int64_t until_utc_ns;             /* end of the later one of them */
    fh_node_ask ask;
    char owner[FH_OWNER_CHARS];         /* whose it is, by the token that it came with; "": nobody was named */
    const char *facts;                  /* JSON text: what it says of itself; "{}" until it has */
    fh_node_measured measured;          /* what the server has measured of it */
    int64_t joined_utc_ns, seen_utc_ns; /* the second: 0 until it came with a certificate */
    bool linked;                        /* it is connected now */
} fh_node;

typedef struct fh_nodes fh_nodes;
int fh_nodes_open(fh_nodes **ret, fh_db *db, int64_t now_utc_ns, fh_err **err); /* borrows db until closed */
void fh_nodes_close(fh_nodes *n);
FH_DEFINE_AUTO(fh_nodes, fh_nodes_close);

/* tokens.c. text gets the token, to be shown once; owner ("": nobody) is whose machine it is for. FH_E_CONFLICT when JOIN_TOKENS wait to
 * be used. */
int fh_nodes_token_new(fh_nodes *n, const fh_link_digest *server, const char *owner, int64_t now_utc_ns, char text[FH_JOIN_TOKEN_LEN + 1],
                       int64_t *ret_expires_utc_ns, fh_err **err);

/* grants.c. Whoever has the key of this digest may join once under that name, without a token, within JOIN_TOKEN_MS. A second time of the
 * same key, or where a machine has that name, does nothing, also when that was used or is over. Errors as above, and FH_E_INVALID for what
 * is no name. */
int fh_nodes_grant(fh_nodes *n, const fh_link_digest *key, const char *name, int64_t now_utc_ns, fh_err **err);
int fh_nodes_grant_end(fh_nodes *n, const char *name, fh_err **err); /* all of that name; none is fine */

typedef struct fh_node_join { /* what a machine says that wants to join; token "": its key was granted */
    fh_str token, name;
    fh_node_ask ask;
    fh_link_digest key; /* of the request for its certificate */
} fh_node_join;
/* The node that it becomes, or has become already with the same token and key; all or nothing. FH_E_UNAUTHENTICATED for a token that is
 * unknown, used or expired, and for a key that is not granted, or for another name; FH_E_EXISTS for a name that another has, FH_E_INVALID
 * for what is none: the token stays good for another try.
 */
int fh_nodes_join(fh_nodes *n, const fh_node_join *j, int64_t now_utc_ns, int64_t *ret_id, fh_err **err);

/* A certificate was made for it, and is about to be sent. */
int fh_nodes_certified(fh_nodes *n, int64_t id, const fh_node_certificate *c, fh_err **err);
/* Who comes with this certificate? At each handshake. FH_E_FORBIDDEN for a node that was removed, and for a certificate that is
 * not known or no longer good. */
int fh_nodes_admit(const fh_nodes *n, const fh_link_digest *certificate, int64_t now_utc_ns, int64_t *ret_id, fh_err **err);
/* It came with that certificate, which was admitted and ends at until_utc_ns, and is connected. */
int fh_nodes_came(fh_nodes *n, int64_t id, const fh_link_digest *certificate, int64_t until_utc_ns, int64_t now_utc_ns, fh_err **err);
int fh_nodes_left(fh_nodes *n, int64_t id, int64_t now_utc_ns, fh_err **err); /* it is no longer connected */
void fh_nodes_seen(fh_nodes *n, int64_t id, int64_t now_utc_ns);              /* in memory, until it is written down: */
int fh_nodes_write_seen(fh_nodes *n, fh_err **err);
/* What it says of itself, and what it asks for now. FH_E_TOO_LARGE over NODE_FACTS_BYTES. */
int fh_nodes_told(fh_nodes *n, int64_t id, const fh_json *facts, const fh_node_ask *ask, fh_err **err);
int fh_nodes_measured(fh_nodes *n, int64_t id, const fh_node_measured *m, fh_err **err);
/* Two thirds of the certificate's time have passed, and none that was made since waits for the node. */
bool fh_node_wants_certificate(const fh_node *n, int64_t now_utc_ns);
bool fh_nodes_expect(const fh_nodes *n,
                     int64_t now_utc_ns); /* there is a token that is not over: somebody may come without a certificate */

/* By name; *ret_id (may be NULL) is its id. FH_E_NOT_FOUND when there is none. A second time: as the first. */
int fh_nodes_undrain(fh_nodes *n, const char *name, int64_t *ret_id, fh_err **err);
int fh_nodes_drain(fh_nodes *n, const char *name, int64_t *ret_id, fh_err **err);
int fh_nodes_remove(fh_nodes *n, const char *name, int64_t *ret_id, fh_err **err);

/* Reading, in the order of joining. What is read stays valid until something changes. */
size_t fh_nodes_count(const fh_nodes *n); /* removed ones too */
const fh_node *fh_nodes_at(const fh_nodes *n, size_t i);
const fh_node *fh_nodes_find(const fh_nodes *n, fh_str name);   /* NULL when there is none, or it was removed */
const fh_node *fh_nodes_find_id(const fh_nodes *n, int64_t id); /* removed ones too */

#endif
