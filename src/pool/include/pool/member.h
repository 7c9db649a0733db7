/* The machine's side of the pool: dials the server, joins, keeps its certificate fresh, says what it has. Everything else that the server
 * asks is passed on to whoever serves the node.
 *
 * Once it has joined it also lets itself be measured: bytes both ways, and work on its memory, when lends says so.
 *
 * While it joins it shows no certificate, and answers nothing but GET /v1/join and PUT /v1/certificate; once the certificate is stored it
 * comes again with it. Threads: all on the loop's thread. */
#ifndef FH_POOL_MEMBER_H
#define FH_POOL_MEMBER_H

#include "json/json.h"
#include "link/link.h"
#include "pool/identity.h"

typedef struct fh_pool_member_config {
    fh_identity *identity;                                     /* borrowed until freed */
    bool joins;                                                /* as the one that is joining; false: as the one that has joined */
    const fh_json *facts;                                      /* borrowed until freed: see pool/facts.h */
    fh_resolver *resolver;                                     /* borrowed until freed */
    void (*on_joined)(void *arg);                              /* its certificate is stored */
    void (*on_here)(void *arg, fh_link *l);                    /* the server knows it: l may be used until on_gone */
    void (*on_gone)(void *arg, fh_link *l, const fh_err *why); /* of a link that was told of by on_here; it is dialled again */
    /* No link: a try that failed, or one that ended before the server knew it. It is tried again. FH_E_FORBIDDEN: the server said no. */
    void (*on_failed)(void *arg, const fh_err *why);
    /* What is not about who it is; see link/link.h. NULL: refused with 404. */
    void (*on_head)(void *arg, fh_link_req *r);
    void (*on_request)(void *arg, fh_link_req *r);
    void (*on_tunnel)(void *arg, fh_link_req *r);
    bool (*lends)(void *arg); /* may the server's work be done now, by which it measures this machine? NULL: always */
    void *arg;
    fh_link_times times; /* of its dialling; zeros take the defaults */
} fh_pool_member_config;

typedef struct fh_pool_member fh_pool_member;
int fh_pool_member_start(fh_pool_member **ret, fh_loop *l, const fh_pool_member_config *c, fh_err **err);
void fh_pool_member_free(fh_pool_member *m);
FH_DEFINE_AUTO(fh_pool_member, fh_pool_member_free);

#endif
