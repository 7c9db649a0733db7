/* What was learned of models, kept over a restart: how good an answer was, of which model, to what kind of request (sixteen small numbers:
 * nothing of a prompt or an answer).
 *
 * Nothing waits for the disk: outcomes wait in a list and a thread writes them, about once a second, in one transaction; kill -9 loses the
 * last of them. When more than OUTCOMES_UNWRITTEN wait the newest is dropped: it is one of many. Of each model the newest LEARN_OUTCOMES
 * are kept, in all OUTCOMES_KEPT. Threads: any. */
#ifndef FH_GATEWAY_OUTCOME_STORE_H
#define FH_GATEWAY_OUTCOME_STORE_H

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include <stdint.h>

typedef struct fh_outcome_row {
    fh_str arm;           /* what it was learned about */
    fh_str features;      /* bytes */
    uint8_t good, weight; /* see learn.h */
} fh_outcome_row;

typedef struct fh_outcome_store fh_outcome_store;
int fh_outcome_store_open(fh_outcome_store **ret, const char *store_url, fh_err **err); /* a database that was migrated */
void fh_outcome_store_close(fh_outcome_store *s);                                       /* writes what waits */
FH_DEFINE_AUTO(fh_outcome_store, fh_outcome_store_close);
/* All that is kept, oldest first; rows are borrowed until fn returns. */
int fh_outcome_store_read(fh_outcome_store *s, void (*fn)(void *arg, const fh_outcome_row *row), void *arg, fh_err **err);
void fh_outcome_store_put(fh_outcome_store *s, const fh_outcome_row *row); /* copies */

#endif
