/* What was found out about the places that others have: hosted endpoints by their names, machines of the pool as node/NAME. One record a
 * model of a place: whether it is honest, and how it has worked; and one for the place itself, model "", with how long it was there. Kept
 * in the database (table honesty) and in memory, where routing and planning read.
 *
 * It belongs to whoever has the endpoint's key or the machine's certificate: it goes when the endpoint or the machine is removed, and who
 * comes again begins anew. Records are changed on the server's loop; work is noted, and all is read, by any thread. */
#ifndef FH_SERVER_STANDINGS_H
#define FH_SERVER_STANDINGS_H

#include "base/limits.h"
#include "db/db.h"
#include "honesty/work.h"

typedef struct fh_standing { /* place "": of one that is known to be honest, by which others are measured */
    char provider[80], model[128];
    fh_honesty_record record;
    int64_t checked_utc_ns; /* of the last canary */
    fh_honesty_work work;
} fh_standing;

typedef struct fh_standings fh_standings;
int fh_standings_open(fh_standings **ret, fh_db *db, fh_err **err); /* borrows db until closed */
void fh_standings_close(fh_standings *all);
FH_DEFINE_AUTO(fh_standings, fh_standings_close);

/* All but the work, which stays. FH_E_CONFLICT beyond HONESTY_STANDINGS. */
int fh_standings_put(fh_standings *all, const fh_standing *s, fh_err **err);
int fh_standings_forget(fh_standings *all, const char *provider, fh_err **err);

/* Of all places that is_stale says so of, as it is asked once for each record. */
int fh_standings_forget_stale(fh_standings *all, bool (*is_stale)(void *arg, const char *provider), void *arg, fh_err **err);

/* Any thread: in memory at once, in the database when fh_standings_write is called next (the server's loop). */
void fh_standings_worked(fh_standings *all, const char *provider, const char *model, const fh_honesty_work *more, int64_t now_utc_ns);
int fh_standings_write(fh_standings *all, fh_err **err);

/* A copy; false when nothing is known, and then *ret is that. */
bool fh_standings_find(fh_standings *all, const char *provider, const char *model, fh_standing *ret);
fh_honesty_verdict fh_standings_verdict(fh_standings *all, const char *provider, const char *model);
/* Calls fn for each record of the place; nothing changes meanwhile. */
void fh_standings_each(fh_standings *all, const char *provider, void (*fn)(void *arg, const fh_standing *s), void *arg);

typedef struct fh_place_standing {
    fh_honesty_verdict verdict;   /* the worst of its models */
    char model[128], reason[300]; /* of which, and why */
    fh_honesty_work work;         /* over its models */
    int standing;                 /* 0 to 100 */
} fh_place_standing;
void fh_standings_place(fh_standings *all, const char *provider, fh_place_standing *ret);
fh_json *fh_place_standing_json(const fh_place_standing *s); /* owned; the shape Standing */

#endif
