/* Renting machines so that none is rented twice, left running or ended that is not ours, whatever replies are lost and whenever this
 * program is killed.
 *
 * A rental is what somebody wants: one machine, for at most so many hours and so much money. An act is one try to get it. Each act is
 * written down before the provider is asked, and the machine carries the act in its tag, freehold:INSTALLATION:EPOCH.ACT. A rental has at
 * most one act that is not over, so never two machines:
 *
 *   begun ──► held ──► ending ──► over        begun: asked, or about to ask; held: its machine is known; ending: the machine is to go
 *     └────────────────────────────┘          over: there is no machine of this act (any more), and its bill is known
 *
 * A begun act without a reply is over only when a list that was asked for after the provider's lag shows no machine of it. Machines of this
 * installation that no act accounts for are ended (they get an act of their own, of no rental); others are never touched.
 *
 * Level-triggered: fh_renter_step looks at what is written and what was heard last, and may be called at any time. No thread, no loop and
 * no clock of its own. Threads: one. */
#ifndef FH_RENT_RENTER_H
#define FH_RENT_RENTER_H

#include "db/db.h"
#include "rent/rental.h"

typedef struct fh_rent_now {
    int64_t mono_ns; /* for waiting */
    int64_t utc_ns;  /* for bills */
} fh_rent_now;

/* Who we are. A database that was copied, or put back from a backup, gets a new epoch: machines of its former epochs are then neither
 * ended nor counted on until somebody says that this is the one database that goes on (fh_rent_take_over). */
typedef struct fh_rent_identity {
    char installation[17], epoch[17]; /* hex */
    bool doubtful;                    /* there are former epochs that were not taken over */
} fh_rent_identity;
/* place: where this database lies (machine, folder, file), the same at each start unless it was copied. witness: a file beside it that
 * counts acts, so that an older database put back at the same place is noticed; NULL: none. fresh: random, for names that are new. */
int fh_rent_identity_open(fh_db *db, const char *place, const char *witness, const uint64_t fresh[2], int64_t utc_ns, fh_rent_identity *ret,
                          fh_err **err);
int fh_rent_take_over(fh_db *db, fh_err **err);
int fh_rent_epochs_count(fh_db *db, int64_t *ret, fh_err **err); /* that are ours: more after a take-over */

typedef enum fh_rent_phase { FH_RENT_BEGUN, FH_RENT_HELD, FH_RENT_ENDING, FH_RENT_OVER } fh_rent_phase;
const char *fh_rent_phase_name(fh_rent_phase p);

typedef struct fh_rent_act {
    int64_t id, rental; /* rental 0: a machine that nothing accounted for */
    char epoch[17];
    fh_rent_phase phase;
    char offer[FH_RENT_ID_CHARS], machine[FH_RENT_ID_CHARS], address[64]; /* machine "": not known */
    char reason[128]; /* why it is ending or over; before: why it is not of the offer that was picked */
    int64_t hour_micro;
    int64_t asked_utc_ns;   /* it was not there before */
    int64_t held_utc_ns;    /* when it was known first; 0: never */
    int64_t started_utc_ns; /* since when it is charged, as the provider says; 0: it does not */
    int64_t running_utc_ns; /* seen running first; 0: never */
    int64_t alive_utc_ns;   /* until when it surely was there */
    int64_t gone_utc_ns;    /* since when it surely was not; 0: not known yet */
    int64_t charged_micro;  /* what the provider says of it; -1: it does not, or not yet */
} fh_rent_act;

/* What an act costs and why. */
typedef struct fh_rent_bill {
    /* An act whose reply was lost, and of which no list showed a machine, may have had one meanwhile: that is in the most. */
    int64_t least_s, most_s; /* rented seconds: what is surely charged, and what may be */
    int64_t start_s;         /* of the most: before it ran */
    int64_t amount_micro;    /* most_s at the price: what counts against limits */
    int64_t least_micro, start_micro;
    bool charged, explained; /* the provider says what it charged; that lies between least and amount, to a step of its billing */
} fh_rent_bill;
fh_rent_bill fh_rent_bill_of(const fh_rent_act *a, int64_t now_utc_ns);
/* "rented 612 s (at least 598) at 2.490000 an hour = 0.423300; 140 s of it before it ran = 0.096834; charged 0.421000, which is between" */
void fh_rent_bill_text(const fh_rent_act *a, const fh_rent_bill *b, char *out, size_t out_size);

typedef struct fh_rent_want { /* copied */
    int64_t order;            /* for whom, by a number that only one rental has; 0: nobody's */
    fh_rent_filter filter;    /* max_hour_micro > 0 */
    int64_t limit_s;          /* of all its acts together, > 0 */
    int64_t limit_micro;      /* likewise, > 0 */
    int64_t look_s;           /* that an offer is looked for before it fails; > 0 */
    /* Picked by somebody, and taken before others while it is offered: its id, else one of its kind (fh_rent_offer_kind). "": none was. */
    char offer[FH_RENT_ID_CHARS], offer_kind[FH_RENT_KIND_CHARS];
    const char *image, *run; /* run: what the machine starts, a shell script */
} fh_rent_want;

typedef struct fh_rental_view {
    int64_t id;
    bool wanted;      /* a machine is wanted still */
    bool over;        /* nothing is wanted and nothing is there */
    char reason[128]; /* why it is wanted no more, or why the last act ended */
    bool arrived;     /* see fh_renter_arrived */
    bool lost;        /* over, since its machine, which had arrived, went by itself */
    bool former;      /* of an epoch that is not ours: it is left alone (as far as the database was asked) */
    int64_t order, limit_s, limit_micro, max_hour_micro, asked_utc_ns; /* as it was wanted */
    int64_t spent_micro;                                               /* so far, at most */
    int64_t ends_utc_ns;                                               /* when its limits are reached; 0: it has no machine */
    const fh_rent_act *act; /* the one that is not over; NULL: none. Borrowed until the next call */
} fh_rental_view;

#define FH_RENT_TOKEN "FREEHOLD_JOIN_TOKEN"

typedef struct fh_renter fh_renter;
typedef struct fh_renter_config {
    const char *provider;  /* the name that the operator gave it */
    const fh_rental *port; /* borrowed */
    fh_db *db;             /* borrowed */
    fh_rent_identity identity;
    const char *witness; /* see fh_rent_identity_open; borrowed; NULL: none */
    fh_rent_now (*clock)(void *arg);
    /* What a machine shows to be let in, made for one act as it is asked for: goes to the machine as FH_RENT_TOKEN in its environment, and
     * nowhere else. NULL: none is wanted. */
    int (*token)(void *arg, char *out, size_t out_size, fh_err **err);
    void (*heard)(void *arg);    /* the provider has answered: fh_renter_step is to be called soon; may be NULL */
    void (*recorded)(void *arg); /* after each step that was written down, before what it announces is done; may be NULL */
    void *arg;
} fh_renter_config;
/* Reads what is written of this provider. */
int fh_renter_open(fh_renter **ret, const fh_renter_config *c, fh_err **err);
void fh_renter_close(fh_renter *r); /* ends nothing; before the port is freed, nothing may answer after it */
FH_DEFINE_AUTO(fh_renter, fh_renter_close);

int fh_renter_ask(fh_renter *r, const fh_rent_want *w, int64_t *ret_rental, fh_err **err);
int fh_renter_end(fh_renter *r, int64_t id, const char *why, fh_err **err); /* wanted no more; FH_E_NOT_FOUND */
/* The machine that it has is in use: when that goes, nothing is rented instead of it. Written down before it returns. */
int fh_renter_arrived(fh_renter *r, int64_t id, fh_err **err);
/* The machine that it has is of no use: it is ended, and its offer left alone for a while. If a machine is wanted still, another is looked
 * for. */
int fh_renter_give_back(fh_renter *r, int64_t id, const char *why, fh_err **err);
/* Does what can be done now; returns the time (monotonic) by which it wants to be called again. Also to be called after each answer. */
int64_t fh_renter_step(fh_renter *r);
bool fh_renter_find(const fh_renter *r, int64_t id, fh_rental_view *ret);
bool fh_renter_find_order(const fh_renter *r, int64_t order, fh_rental_view *ret);
/* The rental of an order, over or not, as it is written; of a former epoch too. FH_E_NOT_FOUND. */
int fh_renter_of_order(fh_db *db, const char *provider, int64_t order, int64_t now_utc_ns, fh_rental_view *ret, fh_err **err);
/* What is written of rentals, over or not: the last of them, oldest first. */
int fh_renter_rentals(fh_db *db, const char *provider, int64_t now_utc_ns, void (*each)(void *arg, const fh_rental_view *v), void *arg,
                      fh_err **err);
/* Its rental is wanted no more; one that is over or was none stays so. Without a renter (NULL), and for a former epoch's, that is written
 * down for later. */
int fh_renter_release_order(fh_renter *r, fh_db *db, const char *provider, int64_t order, const char *why, fh_err **err);
/* Each act of a rental (0: those of no rental), oldest first. */
int fh_renter_acts(fh_db *db, const char *provider, int64_t rental, void (*each)(void *arg, const fh_rent_act *a), void *arg, fh_err **err);

#endif
