/* A market that grows offer by offer: what rank.h asks for, made of what sellers list. The one door by which offers come into plans: price
 * files, requests, hosted endpoints, rented machines and pools all add listings.
 *
 * Offers of the same devices share a host. Threads: one owner; a market that no longer grows may be read by many. */
#ifndef FH_PLAN_MARKET_H
#define FH_PLAN_MARKET_H

#include "base/trust.h"
#include "plan/rank.h"

typedef struct fh_plan_listing {      /* strings are borrowed for the call */
    fh_str place;                     /* who has it: "here", "provider/NAME", "lambda" */
    fh_str name;                      /* what they call it: an instance type; may be empty */
    fh_str source;                    /* the list that it stands in: "lambda.csv"; may be empty */
    uint32_t row;                     /* and where in it: the line, or the number of the entry from 0 */
    fh_str region;                    /* may be empty: not known */
    const fh_catalog_machine *device; /* NULL: an endpoint, priced by the token */
    uint32_t devices, machines;       /* 1 to FH_PLAN_MOST; of an endpoint 0 */
    uint32_t start_s, fetch_mb_s;     /* as in fh_plan_offer */
    bool spot;                        /* may be taken away */
    int64_t hour_nusd;                /* of all of it */
    int64_t in_nusd, out_nusd;        /* a million tokens, of a machine besides the hour */
    uint8_t failing_percent;          /* as in fh_plan_offer */
    bool judged;                      /* it has a standing: */
    uint8_t standing;                 /* 0 to 100 */
    fh_trust trust;                   /* whoever has it can read what is asked there: of that class */
    fh_str owner;                     /* and of that name; may be empty */
} fh_plan_listing;

typedef struct fh_plan_label { /* of an offer; the strings live as long as the market that it was first added to */
    const char *place, *name, *source;
    uint32_t row;
    bool judged;
    uint8_t standing;
    fh_trust trust;
    const char *owner;
} fh_plan_label;

typedef struct fh_plan_book fh_plan_book;
int fh_plan_book_new(fh_plan_book **ret, fh_err **err);
void fh_plan_book_free(fh_plan_book *b); /* NULL is fine */
FH_DEFINE_AUTO(fh_plan_book, fh_plan_book_free);

/* FH_E_INVALID: a device that machines are not made of, or a count or price beyond its bounds; FH_E_TOO_LARGE: FH_LIMIT_PLAN_MARKET_OFFERS
 * are in it. */
int fh_plan_book_add(fh_plan_book *b, const fh_plan_listing *l, fh_err **err);
/* A machine that is none of the catalogue's; h is copied, but for its name. */
int fh_plan_book_add_host(fh_plan_book *b, const fh_plan_host *h, const fh_plan_listing *l, fh_err **err);
/* All that another market has, its labels borrowed: it must live longer. */
int fh_plan_book_add_all(fh_plan_book *b, const fh_plan_book *other, fh_err **err);
/* What is known of a place's energy and water, whether or not there are offers there. */
int fh_plan_book_set_region(fh_plan_book *b, fh_str name, const fh_plan_region *r, fh_err **err);
uint16_t fh_plan_book_region(const fh_plan_book *b, fh_str name); /* its number in offers and wishes; 0: none is there */

/* From now on those are barred whom a list of base/trust.h leaves out. */
void fh_plan_book_bar(fh_plan_book *b, const char *trust);

fh_plan_market fh_plan_book_market(const fh_plan_book *b); /* borrowed until the next change */
const fh_plan_label *fh_plan_book_label(const fh_plan_book *b, uint32_t offer);
const char *fh_plan_book_region_name(const fh_plan_book *b, uint16_t region); /* "" for 0 */

/* A kind of device of the catalogue, as many as that. */
fh_plan_host fh_plan_host_of(const fh_catalog_machine *m, uint32_t devices, uint32_t machines);
bool fh_plan_host_can(const fh_catalog_machine *m);   /* it is a device that machines are made of, and its figures are known */
bool fh_plan_host_joins(const fh_catalog_machine *m); /* several of it stand in one machine */

#endif
