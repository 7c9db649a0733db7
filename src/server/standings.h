/* What was found out about the honesty of hosted endpoints: one record a model of an endpoint. Kept in the database (table honesty) and in
 * memory, where routing reads verdicts. Changed on the server's loop; read by any thread. */
#ifndef FH_SERVER_STANDINGS_H
#define FH_SERVER_STANDINGS_H

#include "base/limits.h"
#include "db/db.h"
#include "honesty/record.h"

typedef struct fh_standing { /* provider "": of one that is known to be honest, by which others are measured */
    char provider[64], model[128];
    fh_honesty_record record;
    int64_t checked_utc_ns; /* of the last canary */
} fh_standing;

typedef struct fh_standings fh_standings;
int fh_standings_open(fh_standings **ret, fh_db *db, fh_err **err); /* borrows db until closed */
void fh_standings_close(fh_standings *all);
FH_DEFINE_AUTO(fh_standings, fh_standings_close);

int fh_standings_put(fh_standings *all, const fh_standing *s, fh_err **err); /* FH_E_CONFLICT beyond HONESTY_STANDINGS */
int fh_standings_forget(fh_standings *all, const char *provider, fh_err **err);

/* A copy; false when nothing is known, and then *ret is that. */
bool fh_standings_find(fh_standings *all, const char *provider, const char *model, fh_standing *ret);
fh_honesty_verdict fh_standings_verdict(fh_standings *all, const char *provider, const char *model);
fh_honesty_verdict fh_standings_worst(fh_standings *all, const char *provider); /* of its models */
/* Calls fn for each model of the provider; nothing changes meanwhile. */
void fh_standings_each(fh_standings *all, const char *provider, void (*fn)(void *arg, const fh_standing *s), void *arg);

#endif
