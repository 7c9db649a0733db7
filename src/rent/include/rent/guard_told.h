/* What a server tells a cost guard (rent/guard.h), of its database: who it is, and which machines are its own until when. */
#ifndef FH_RENT_GUARD_TOLD_H
#define FH_RENT_GUARD_TOLD_H

#include "base/limits.h"
#include "db/db.h"
#include "rent/rental.h"

typedef struct fh_guard_told {
    char tag[FH_RENT_TAG_CHARS], machine[FH_RENT_ID_CHARS]; /* machine "": not known */
    int64_t left_s;                                         /* of its limits; below zero: they have passed */
} fh_guard_told;
/* Of each try that is not over, of an epoch that is the server's own. FH_E_NOT_FOUND: nothing was ever rented by this database. */
int fh_guard_each(fh_db *db, const char *provider, int64_t now_utc_ns, void (*each)(void *arg, const fh_guard_told *t), void *arg,
                  fh_err **err);
/* Who this database is; epochs: its own, the newest first. FH_E_NOT_FOUND likewise. */
int fh_guard_identity(fh_db *db, char ret_installation[17], char ret_epochs[FH_LIMIT_GUARD_EPOCHS][17], size_t *ret_count, fh_err **err);

#endif
