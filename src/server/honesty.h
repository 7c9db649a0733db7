/* A check of the honesty of a hosted endpoint, or of a machine of the pool: canaries one after another, each drawn, written by our engine,
 * asked of the endpoint, and compared with what our engine says of the same tokens (honesty/record.h has the test; docs/HONESTY.md the
 * whole). One check at a time; all of it on the main loop.
 *
 *   draw → write (ours) → ask (the endpoint) → count, split (our tokenizer) → score (ours, a place at a time) → the record → draw ...
 *
 * A canary that the endpoint does not answer is no evidence. The record is written down after each canary, so a check that ends early
 * has lost nothing. */
#ifndef FH_SERVER_HONESTY_H
#define FH_SERVER_HONESTY_H

#include "server_private.h"
#include "standings.h"

typedef struct fh_honesty_check fh_honesty_check;

typedef struct fh_honesty_wish {
    const char *provider; /* or node/NAME */
    fh_str model;         /* {NULL,0}: the first of its models that is ready here too */
    uint64_t canaries;    /* at most FH_LIMIT_HONESTY_CANARIES */
    bool measure;         /* the endpoint is known to be honest: how far it is from ours becomes the measure for others */
} fh_honesty_wish;

/* FH_E_NOT_FOUND, FH_E_CONFLICT while another check runs, FH_E_UNAVAILABLE when no model of it is ready here. ret_model: which is checked.
 */
int fh_honesty_check_start(fh_server *s, const fh_honesty_wish *wish, char ret_model[128], fh_err **err);
void fh_honesty_check_leave(fh_server *s, const char *provider); /* gives up one that runs, of that endpoint */
void fh_honesty_check_end(fh_server *s);                         /* gives up one that runs, and forgets it */

int fh_honesty_watch(fh_server *s, fh_err **err); /* honesty_watch.c: sends canaries by itself, from now on */

typedef struct fh_honesty_progress {
    bool running;
    uint64_t done, wanted;
    const char *error; /* why it ended before its time; NULL: it did not; borrowed until the loop's next turn */
} fh_honesty_progress;
/* What the last check looked at, if it was of that place; NULL. */
const char *fh_honesty_check_model(const fh_server *s, const char *provider);
/* Of the last check, if it was of this model of this endpoint; else zeros. */
fh_honesty_progress fh_honesty_check_progress(const fh_server *s, const char *provider, const char *model);

#endif
