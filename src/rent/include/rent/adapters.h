/* The providers that machines are rented of: RunPod (REST v2), Vast.ai, Lambda Cloud, and SkyPilot by its program, each behind the port of
 * rent/rental.h. Made from their documented shapes (docs/RENTING.md says from which, and what is assumed); not run against the real ones.
 *
 * The account's key stands in a file that only its owner can read. It is read anew for each call and kept nowhere: not in memory, not in
 * the database, not on a machine that is rented. */
#ifndef FH_RENT_ADAPTERS_H
#define FH_RENT_ADAPTERS_H

#include "json/json.h"
#include "net/http_client.h"
#include "net/loop.h"
#include "rent/rental.h"

typedef struct fh_rent_account { /* copied */
    const char *url;             /* of the API; NULL: the provider's own */
    const char *key_file;
    const char *ssh_key; /* Lambda: the name there of the key that machines are opened with; NULL elsewhere */
    /* SkyPilot; NULL elsewhere: */
    fh_loop *loop;                    /* borrowed for as long as the port */
    const char *folder;               /* where tasks lie while they are launched; made when it is needed */
    const char *infra, *accelerators; /* CLOUD or CLOUD/REGION; names with counts, with commas between. Listing and ending need neither */
} fh_rent_account;

/* ret is to be freed by ret->free(ret->ctx). client is borrowed until then; all on its thread. FH_E_INVALID: the key file is not as it must
 * be. */
int fh_rental_open(fh_rental *ret, const fh_rent_profile *p, fh_http_client *client, const fh_rent_account *account, fh_err **err);
/* Whether the file holds a key that may be used: FH_E_NOT_FOUND, FH_E_FORBIDDEN when others can read it, FH_E_INVALID. */
int fh_rent_key_check(const char *key_file, fh_err **err);

/* What a provider's answer says, as its adapter reads it. Pure. *ret is owned (fh_free). FH_E_UPSTREAM: it is not such an answer; of a list
 * of machines also when it is not whole. */
int fh_rent_offers_read(const fh_rent_profile *p, const fh_json *doc, fh_rent_offer **ret, size_t *ret_count, fh_err **err);
int fh_rent_machines_read(const fh_rent_profile *p, const fh_json *doc, fh_rent_machine **ret, size_t *ret_count, fh_err **err);
/* What it charged for a machine in all, of its list of charges. FH_E_NOT_FOUND: nothing is said of it (yet). */
int fh_rent_charged_read(const fh_rent_profile *p, const fh_json *doc, const char *machine, int64_t *ret_micro, fh_err **err);

#endif
