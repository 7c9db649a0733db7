/* The cost guard's knowledge and judgement: what a process elsewhere (`freehold guard`) remembers of a server, and which machines of the
 * account it ends when their limit has passed or the server is not heard any more. Pure: no clock, no file, no connection.
 *
 * What it ends carries a mark that this very installation told it: one whose limit was told, or one of an epoch that was told to be the
 * server's own. Nothing else is ever ended, former epochs' machines only at the limit that was told of them.
 *
 * Times: UTC nanoseconds of the guard's clock. Limits are told as seconds that are left, so that two clocks need not agree. */
#ifndef FH_RENT_GUARD_H
#define FH_RENT_GUARD_H

#include "base/limits.h"
#include "json/json.h"
#include "rent/rental.h"

typedef struct fh_guard_held { /* a machine, or a try to get one, that the server accounts for */
    char tag[FH_RENT_TAG_CHARS];
    int64_t ends_utc_ns; /* its limit of hours and money */
} fh_guard_held;

typedef struct fh_guard_ended {
    char machine[FH_RENT_ID_CHARS];
    int64_t utc_ns;
} fh_guard_ended;

typedef struct fh_guard_memory { /* kept between rounds; all zero: the server was never heard */
    char installation[17];
    char epochs[FH_LIMIT_GUARD_EPOCHS][17]; /* that are the server's own */
    size_t epoch_count;
    fh_guard_held held[FH_LIMIT_GUARD_MACHINES];
    size_t held_count;
    fh_guard_ended ended[FH_LIMIT_GUARD_MACHINES]; /* that the provider said it ended, a day at most */
    size_t ended_count;
    int64_t heard_utc_ns;  /* when it was heard last; 0: never */
    int64_t asked_utc_ns;  /* when it was asked last */
    int64_t silent_utc_ns; /* since when it is asked in vain; 0: it is heard */
} fh_guard_memory;

/* As it lies in a file. FH_E_CORRUPT names the member at fault; ret is then not changed. */
int fh_guard_memory_read(const fh_json *doc, fh_guard_memory *ret, fh_err **err);
fh_json *fh_guard_memory_json(const fh_guard_memory *m); /* owned; NULL when memory is out */

/* The server answered (POST /api/v1/rentals/guard). FH_E_UPSTREAM: that is no such answer; FH_E_CONFLICT: another installation answers. m
 * is then not changed. */
int fh_guard_heard(fh_guard_memory *m, const fh_json *told, int64_t now_utc_ns, fh_err **err);
void fh_guard_alive(fh_guard_memory *m, int64_t now_utc_ns); /* it answered, and told nothing */
/* It did not. Questions that are further apart than the silence say nothing of the time between: the count begins again. */
void fh_guard_unheard(fh_guard_memory *m, int64_t now_utc_ns, int64_t silence_ns);
void fh_guard_note_ended(fh_guard_memory *m, const char *machine, int64_t now_utc_ns);

typedef struct fh_guard_rules {
    int64_t silence_ns; /* of the server, after which its machines are ended */
    int64_t grace_ns;   /* behind a limit, in which the server ends its machine itself */
    int64_t lag_ns;     /* in which a list may show what was ended */
} fh_guard_rules;
typedef enum fh_guard_verdict { FH_GUARD_FOREIGN, FH_GUARD_KEEP, FH_GUARD_END } fh_guard_verdict;
enum { FH_GUARD_WHY = 128 };
/* why: of what is ours, for people. */
fh_guard_verdict fh_guard_judge(const fh_guard_memory *m, const fh_rent_machine *x, const fh_guard_rules *rules, int64_t now_utc_ns,
                                char why[FH_GUARD_WHY]);

#endif
