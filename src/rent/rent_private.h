/* What the files of rent share. */
#ifndef FH_RENT_PRIVATE_H
#define FH_RENT_PRIVATE_H

#include "base/clock.h"
#include "base/limits.h"
#include "rent/renter.h"

/* ---- tags (tag.c) ---- */

void fh_rent_tag_write(const char *installation, const char *epoch, int64_t act, char out[FH_RENT_TAG_CHARS]);
/* False of whatever is not exactly a tag of ours. */
bool fh_rent_tag_read(const char *tag, char ret_installation[17], char ret_epoch[17], int64_t *ret_act);

/* ---- rows (store.c) ---- */

typedef struct fh_rental_row { /* a rental, as it is written */
    int64_t id;
    char epoch[17];
    fh_rent_want want; /* its strings are owned */
    char device[32], region[32];
    bool wanted, over;
    bool arrived, lost; /* its machine is or was in use; over, since that went by itself */
    char reason[128];
    int64_t asked_utc_ns;
} fh_rental_row;
void fh_rental_row_fini(fh_rental_row *r);
int fh_rental_row_copy_want(fh_rental_row *r, const fh_rent_want *w, fh_err **err);

int fh_rent_store_rental(fh_db *db, const char *provider, fh_rental_row *r, fh_err **err); /* id 0: inserts, and sets it */
int fh_rent_store_act(fh_db *db, const char *provider, fh_rent_act *a, fh_err **err);      /* likewise */
/* The one of an order, over or not; FH_RENT_OPEN: all that are not over; FH_RENT_LAST: the last RENTALS_SHOWN, over or not. */
#define FH_RENT_LAST (-2)
int fh_rent_load_rentals(fh_db *db, const char *provider, int64_t order, int (*each)(void *arg, fh_rental_row *r, fh_err **err), void *arg,
                         fh_err **err);
/* Those of a rental; FH_RENT_OPEN: all that are not over, and those of rentals that are not. */
#define FH_RENT_OPEN (-1)
int fh_rent_load_acts(fh_db *db, const char *provider, int64_t rental, int (*each)(void *arg, const fh_rent_act *a, fh_err **err),
                      void *arg, fh_err **err);
int fh_rent_epoch_is_ours(fh_db *db, const char *epoch, bool *ret, int64_t *ret_began, fh_err **err); /* ret_began may be NULL */
int fh_rent_witness_write(const char *witness, int64_t act, fh_err **err);

/* ---- the renter ---- */

typedef struct rent_rental rent_rental;
typedef struct rent_act {
    fh_rent_act row;
    fh_renter *renter;
    rent_rental *of;      /* NULL: of none */
    bool calling;         /* a rent or an end is under way: what lists say of it waits until that is answered */
    int64_t settled_mono; /* since when nothing of ours is under way that could make its machine */
    int64_t held_mono;    /* when its machine was known, to this process */
    unsigned missed;      /* lists on end that should have shown it and did not */
    int64_t missing_utc;  /* when the first of them had come */
    int64_t acked_mono;   /* when the provider said that it ended it; 0: not yet */
    bool answered;        /* it said so, or that there is no such machine */
    int64_t not_before_mono;
    unsigned failures;
} rent_act;

typedef struct refused_offer {
    char id[FH_RENT_ID_CHARS];
    int64_t until_mono;
} refused_offer;

struct rent_rental {
    fh_rental_row row;
    rent_act *now;                /* that is not over */
    int64_t spent_micro, spent_s; /* by acts that are over */
    char went[128];               /* why the last of them ended */
    int64_t looking_mono;         /* since when an offer is looked for; 0: it is not */
    int64_t not_before_mono;
};

typedef struct rent_stray { /* a machine of ours that nothing accounts for */
    char machine[FH_RENT_ID_CHARS];
    int64_t first_mono;
    bool seen;
} rent_stray;

struct fh_renter {
    fh_renter_config c;
    const fh_rent_profile *profile;
    rent_rental *rentals[FH_LIMIT_RENTALS];
    size_t rental_count;
    rent_act *acts[FH_LIMIT_RENTALS + FH_LIMIT_RENT_STRAYS]; /* that are not over */
    size_t act_count;
    rent_stray strays[FH_LIMIT_RENT_STRAYS];
    size_t stray_count;
    fh_rent_offer *offers; /* owned */
    size_t offer_count;
    int64_t offers_mono; /* when they came; 0: never */
    bool offers_calling, listing;
    struct renter_billing *billing;      /* a question about what was charged; NULL: none is under way */
    int64_t bill_not_before, bill_after; /* the second: acts up to this one were asked about in this round */
    unsigned offers_failures, list_failures;
    int64_t offers_not_before, list_not_before, rent_not_before;
    fh_rent_now list_asked;
    bool clean;               /* the last list showed no machine that nothing accounts for */
    int64_t clean_after_mono; /* lists asked for before say nothing of that */
    rent_rental *looking;     /* for whom offers were asked; NULL: for one that is over */
    unsigned rent_failures;
    refused_offer refused[FH_LIMIT_RENT_REFUSED];
    size_t refused_next;
    int64_t next_mono;
};

fh_rent_now fh_renter_now(const fh_renter *r);
void fh_renter_wake_at(fh_renter *r, int64_t mono_ns);
int64_t fh_rent_pause(unsigned failures); /* before the next try */
/* Writes the changed row, then makes it the act's. False: it could not be written down, and nothing changed. */
bool fh_renter_write_act(fh_renter *r, rent_act *a, fh_rent_act *changed);
rent_act *fh_renter_new_act(fh_renter *r, rent_rental *of, const fh_rent_act *row);
void fh_renter_forget_act(fh_renter *r, rent_act *a);
void fh_renter_act_over(fh_renter *r, rent_act *a, const char *why, int64_t gone_utc_ns);
bool fh_renter_want_no_more(fh_renter *r, rent_rental *t, const char *why);
bool fh_renter_begin_ending(fh_renter *r, rent_act *a, const char *why);
void fh_renter_refuse(fh_renter *r, const char *offer); /* for a while nothing of it is rented */
void fh_renter_heard(const fh_renter *r);               /* at the end of each answer */

void fh_renter_look(fh_renter *r, rent_rental *t);  /* renter_look.c */
void fh_renter_step_end(fh_renter *r, rent_act *a); /* renter_watch.c */
void fh_renter_step_list(fh_renter *r);             /* renter_watch.c */
void fh_renter_step_bill(fh_renter *r);             /* renter_bill.c */

#endif
