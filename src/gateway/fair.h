/* Who is next when there is not enough for all: start-time fair queuing by key within a class, and by weight between the classes. Pure.
 *
 * Each key has a row of what it waits for, and a pass: what it has had of late, in tokens. The least pass is next; what is taken is charged
 * when it begins, as expected, and set right when it has ended. A key that comes anew begins where the one is that was served last, so that
 * it neither owes nor is owed for times when it did not ask. Classes have passes likewise, charged by 16, 4 and 1 to one: while all three
 * wait, low gets a token of 21, and never nothing. When the queue is full the longest row gives way at its end: one key's flood crowds out
 * itself. Source: Goyal, Vin, Cheng, "Start-time fair queuing", SIGCOMM 1996. */
#ifndef FH_GATEWAY_FAIR_H
#define FH_GATEWAY_FAIR_H

#include "gateway/keys.h"

typedef struct fh_fair fh_fair;
typedef struct fh_fair_row fh_fair_row;
typedef struct fh_fair_item fh_fair_item;
struct fh_fair_item { /* inside what waits; its members are the queue's while it waits */
    fh_fair_item *next, *previous;
    fh_fair_row *row; /* NULL: does not wait */
    uint64_t cost, number;
};

fh_fair *fh_fair_new(size_t most_items, size_t most_rows); /* NULL when memory is out */
void fh_fair_free(fh_fair *f);                             /* what waits is the caller's */
FH_DEFINE_AUTO(fh_fair, fh_fair_free);

/* Puts item at the end of its key's row. Returns what has to give way for it: nothing (NULL), another item, which waits no more, or item
 * itself. cost in tokens. */
fh_fair_item *fh_fair_push(fh_fair *f, fh_fair_item *item, const char *key_id, fh_priority class, uint64_t cost);
/* The next one that may (may NULL: any), which waits no more and is charged; NULL when there is none. */
fh_fair_item *fh_fair_pop(fh_fair *f, bool (*may)(void *arg, const fh_fair_item *item), void *arg);
void fh_fair_remove(fh_fair *f, fh_fair_item *item); /* one that waits */
/* What begins without having waited. */
void fh_fair_charge(fh_fair *f, const char *key_id, fh_priority class, uint64_t cost);
/* What was charged as cost was used in truth. */
void fh_fair_settle(fh_fair *f, const char *key_id, fh_priority class, uint64_t cost, uint64_t used);
void fh_fair_rest(fh_fair *f); /* nothing waits and nothing runs: all begin anew */
size_t fh_fair_count(const fh_fair *f);

#endif
