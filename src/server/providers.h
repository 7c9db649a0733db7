/* Providers that the operator named: hosted endpoints (any server that speaks OpenAI's API, or Anthropic's), and those that machines are
 * rented of, which serve no models. Kept in the database (table providers; a hosted endpoint's key with them, since the file is the owner's
 * alone; of an account that rents only where its key lies) and in memory, where routing reads them. Changed on the server's loop; read by
 * any thread. */
#ifndef FH_SERVER_PROVIDERS_H
#define FH_SERVER_PROVIDERS_H

#include "base/limits.h"
#include "db/db.h"
#include "engines.h"
#include "model_tokenizers.h"
#include "rent/rental.h"

typedef struct fh_provider_price {
    char model[128];           /* "": of all that have none of their own */
    int64_t in_nusd, out_nusd; /* a million tokens */
} fh_provider_price;

typedef struct fh_provider {
    char name[64], url[256];               /* url without the API's path and without a slash at its end */
    char secret[256];                      /* "" for none */
    const fh_rent_profile *rents;          /* NULL: a hosted endpoint */
    const struct fh_supply_kind *supplies; /* NULL: no machines are got of it */
    char settings[2048];                   /* of one that machines are got of: a JSON object of strings */
    char key_file[256];                    /* of one that machines are rented or got of; else "" */
    fh_wire_dialect dialect;               /* FH_DIALECT_CHAT or FH_DIALECT_MESSAGES */
    fh_trust trust;
    char region[FH_REGION_CHARS]; /* where it stands; "": not known */
    int64_t created_utc_ns;
    int64_t canaries_per_day; /* sent to it by themselves (honesty_watch.c) */
    char (*models)[128];      /* owned */
    size_t model_count;
    fh_model_tokenizers tokenizers; /* owned */
    fh_provider_price prices[FH_LIMIT_PROVIDER_PRICES];
    size_t price_count;
    const fh_catalog_engine *engine; /* by what it says in its list of models; NULL: not one that we know */
    bool takes_media;                /* images and sound; said by llama-server alone */
} fh_provider;
void fh_provider_free(fh_provider *p);
FH_DEFINE_AUTO(fh_provider, fh_provider_free);

typedef struct fh_providers fh_providers;
int fh_providers_open(fh_providers **ret, fh_db *db, fh_err **err); /* borrows db until closed */
void fh_providers_close(fh_providers *all);
FH_DEFINE_AUTO(fh_providers, fh_providers_close);

/* Takes p, also when it fails. FH_E_EXISTS when the name is taken, unless replace. */
int fh_providers_put(fh_providers *all, fh_provider *p, bool replace, fh_err **err);
int fh_providers_check_name(const fh_providers *all, const char *name, fh_err **err); /* FH_E_EXISTS when it is taken */
int fh_providers_remove(fh_providers *all, const char *name, fh_err **err);

/* They were loaded, of the files that p names; those of a file that it does not name any more are not taken. */
void fh_providers_set_tokenizers(fh_providers *all, const char *name, fh_model_tokenizers *loaded);

/* Reading: between begin and end nothing changes, so what is read stays valid; not for long. */
void fh_providers_begin(fh_providers *all);
void fh_providers_end(fh_providers *all);
size_t fh_providers_count(const fh_providers *all);
const fh_provider *fh_providers_at(const fh_providers *all, size_t i);
const fh_provider *fh_providers_find(const fh_providers *all, fh_str name);
const char *fh_provider_serves(const fh_provider *p, const char *model); /* its own text of that name; NULL: it does not */

const char *fh_provider_kind(const fh_provider *p); /* "openai", "anthropic", "runpod"... */
uint32_t fh_provider_can(const fh_provider *p);     /* FH_NEED_BITs: what it does as it is asked, or refuses itself */

/* provider_prices.c. A list in the shape ProviderPrice, NULL: none; what a million tokens of its model cost there, NULL: nobody said. */
int fh_provider_prices_read(fh_provider *p, const fh_json *list, fh_err **err);
fh_json *fh_provider_prices_json(const fh_provider *p); /* owned; NULL when memory is out */
const fh_provider_price *fh_provider_price_of(const fh_provider *p, const char *model);

/* The ids of an answer to GET /v1/models, and the engine that it comes from, into p. FH_E_UPSTREAM when it is none. */
int fh_provider_read_models(fh_provider *p, fh_str body, fh_err **err);

#endif
