/* Who a machine is in a pool, as it keeps it in its own data folder: the server that it belongs to, its name, its key and its certificate.
 *
 * All of it is one file, identity.json (0600), written whole or not at all; node.pem beside it is made from that each time, for those who
 * want key and certificate as a file. A membership that is being made stands beside the one that is there, until its certificate has come:
 * a join that fails, or is killed, costs nothing, and goes on with the same key when it is begun again with the same token.
 * Threads: one owner. */
#ifndef FH_POOL_IDENTITY_H
#define FH_POOL_IDENTITY_H

#include "pool/join_token.h"
#include "pool/node_words.h"

enum { FH_POOL_PORT = 8471 }; /* where a server listens for machines when nobody says otherwise */
typedef struct fh_pool_place {
    char host[256]; /* a name or an address */
    int port;
} fh_pool_place;
/* "https://pool.example.com:8471", "pool.example.com", "192.0.2.7:8471", "[2001:db8::7]". FH_E_USAGE for anything else. */
int fh_pool_place_parse(fh_str url, fh_pool_place *ret, fh_err **err);

typedef struct fh_membership {
    fh_pool_place server;
    fh_link_digest pin; /* of the server's certificate */
    char name[FH_NODE_NAME];
    fh_node_ask ask;
    char token[FH_JOIN_TOKEN_LEN + 1];               /* that it joined with; "": with its key, which the server was told of */
    char key[FH_POOL_PEM], certificate[FH_POOL_PEM]; /* PEM; the second "" while it joins */
} fh_membership;

typedef struct fh_identity fh_identity;
/* The folder must be there, and be locked by the caller. FH_E_CORRUPT for a file that is none, which is left alone. */
int fh_identity_open(fh_identity **ret, const char *folder, fh_err **err);
void fh_identity_close(fh_identity *id); /* clears what is secret */
FH_DEFINE_AUTO(fh_identity, fh_identity_close);

/* Borrowed until the identity changes; NULL when there is none. */
const fh_membership *fh_identity_joined(const fh_identity *id);
const fh_membership *fh_identity_joining(const fh_identity *id);
const char *fh_identity_pem_file(const fh_identity *id); /* key and certificate of the joined one */

/* Begins to join, with a key that is made now; or goes on when the same token was begun with before. */
int fh_identity_begin(fh_identity *id, const fh_pool_place *server, fh_str token, const char *name, const fh_node_ask *ask, fh_err **err);
/* The same without a token: pin is the server's certificate, and the server is told of the key's digest by somebody else. Goes on when it
 * was begun so for the same server before. */
int fh_identity_begin_by_key(fh_identity *id, const fh_pool_place *server, const fh_link_digest *pin, const char *name,
                             const fh_node_ask *ask, fh_err **err);
int fh_membership_key(const fh_membership *m, fh_link_digest *ret, fh_err **err); /* the digest of its key */
/* Where the server is, and what is asked for, may change while it is joined. */
int fh_identity_set(fh_identity *id, const fh_pool_place *server, const fh_node_ask *ask, fh_err **err);
/* The certificate has come for the one that was joining, which from now on is the joined one. */
int fh_identity_certified(fh_identity *id, fh_str certificate, fh_str name, fh_err **err);
/* A certificate has come for another key of the joined one. */
int fh_identity_renewed(fh_identity *id, const fh_pool_key *key, fh_str certificate, fh_err **err);

#endif
