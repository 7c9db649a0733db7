/* One round of the cost guard: the server is asked, the account is listed, and what rent/guard.h judges to be ended is ended, one machine
 * after another. All on one loop; done is called once a round. */
#ifndef FH_CLI_GUARD_ROUND_H
#define FH_CLI_GUARD_ROUND_H

#include "client.h"
#include "net/http_client.h"
#include "rent/adapters.h"
#include "rent/guard.h"

typedef enum fh_guard_act { FH_GUARD_LEFT, FH_GUARD_WOULD, FH_GUARD_DONE, FH_GUARD_FAILED } fh_guard_act;

typedef struct fh_guard_row { /* a machine of ours */
    char machine[FH_RENT_ID_CHARS], tag[FH_RENT_TAG_CHARS], why[FH_GUARD_WHY];
    bool ends;
    fh_guard_act act;
} fh_guard_row;

typedef struct fh_guard_round { /* what came of one; valid until the next is begun */
    int64_t utc_ns;
    fh_err *server; /* why the server was not heard, or told nothing; NULL: it told */
    fh_err *failed; /* the account was not listed, a machine not ended, or the memory not kept; NULL: all went well */
    fh_guard_row rows[FH_LIMIT_GUARD_MACHINES];
    size_t count, others; /* others: machines of the account that are not ours */
    bool listed;
} fh_guard_round;

typedef struct fh_guard {
    const char *provider; /* the account, as the server calls it; borrowed */
    fh_cli_client server;
    fh_rental port;
    fh_guard_rules rules;
    bool dry_run;
    char path[1200]; /* where the memory is kept */
    fh_http_client *client;
    fh_buf reply;
    fh_guard_memory memory;
    fh_guard_round round;
    size_t next; /* of its rows */
    void (*done)(void *arg);
    void *arg;
} fh_guard;

/* What is remembered in g->path, nothing where there is no such file. */
int fh_guard_remember(fh_guard *g, fh_err **err);
void fh_guard_round_begin(fh_guard *g); /* none is under way */
void fh_guard_round_fini(fh_guard_round *r);

#endif
