/* What can be rented now, as each account said when it was asked last. Belongs to the main loop. */
#ifndef FH_SERVER_RENTAL_OFFERS_H
#define FH_SERVER_RENTAL_OFFERS_H

#include "json/json.h"
#include "net/http_client.h"
#include "providers.h"

typedef struct fh_rental_offers fh_rental_offers;
fh_rental_offers *fh_rental_offers_new(fh_loop *loop, const char *data_dir); /* NULL when memory is out */
void fh_rental_offers_stop(fh_rental_offers *all);                           /* who still waits is told; NULL is fine */
void fh_rental_offers_free(fh_rental_offers *all);                           /* once nobody waits */

/* Asks the account of p, which rents, and keeps the answer under its name. done: once, never from inside; err is borrowed. */
int fh_rental_offers_ask(fh_rental_offers *all, fh_http_client *client, const fh_provider *p, void (*done)(void *arg, const fh_err *err),
                         void *arg, fh_err **err);
/* Borrowed until the loop goes on; NULL: it was not asked yet. fresh: they are no older than RENT_OFFERS_MS. */
const fh_rent_offer *fh_rental_offers_get(const fh_rental_offers *all, const char *name, size_t *ret_count, bool *ret_fresh);
fh_json *fh_rental_offers_json(const fh_rental_offers *all, const char *name); /* how many; null: it was not asked yet */
void fh_rental_offers_forget(fh_rental_offers *all, const char *name);

#endif
