/* Stored responses: what POST /v1/responses was asked and answered, for whoever asked, until it expires or is deleted.
 *
 * Nothing waits for the disk: what is put or removed shows at once, and a thread writes it in groups, each one transaction; kill -9 loses
 * what was put in the last moments. A response belongs to the key that made it: for any other key it is not there. Bounded in time
 * (RESPONSES_KEPT_DAYS) and bytes (of one key, and together; the oldest go first). Threads: any. */
#ifndef FH_GATEWAY_RESPONSES_STORE_H
#define FH_GATEWAY_RESPONSES_STORE_H

#include "base/mem.h"
#include "base/str.h"
#include "json/json.h"

typedef struct fh_response_store fh_response_store;
typedef struct fh_response_store_config {
    const char *store_url; /* a database that was migrated; borrowed during open */
    int64_t keep_ns, key_bytes, all_bytes;
} fh_response_store_config;
void fh_response_store_defaults(fh_response_store_config *c); /* all but the URL, from base/limits.h */

int fh_response_store_open(fh_response_store **ret, const fh_response_store_config *c, fh_err **err);
void fh_response_store_close(fh_response_store *s); /* writes what waits */
FH_DEFINE_AUTO(fh_response_store, fh_response_store_close);
void fh_response_store_settle(fh_response_store *s); /* returns once what waits was written, or a try to write it failed */

typedef struct fh_stored_response {
    fh_str id, key, previous; /* previous: id of the response that it follows; empty */
    int64_t created_utc_ns;
    fh_str input, response; /* JSON texts: an array of items, the response object */
} fh_stored_response;

/* Copies. FH_E_BUSY when too much waits to be written: the response is not kept. An id that is there already is replaced. */
int fh_response_store_put(fh_response_store *s, const fh_stored_response *r, fh_err **err);
/* What is found is the caller's; FH_E_NOT_FOUND for what is not there, has expired, or is another key's. */
typedef struct fh_kept_response {
    char *previous;            /* owned; "" for none */
    fh_json *input, *response; /* owned */
} fh_kept_response;
int fh_response_store_get(fh_response_store *s, fh_str key, fh_str id, int64_t now_utc_ns, fh_kept_response *ret, fh_err **err);
void fh_kept_response_fini(fh_kept_response *r);
int fh_response_store_remove(fh_response_store *s, fh_str key, fh_str id, int64_t now_utc_ns, fh_err **err);
/* What requests make use of is counted: a small request must not fill the memory with large pasts. A load begins zeroed, grows with each
 * response that is loaded, and is given back when the request is over. FH_E_INVALID beyond RESPONSES_CHAIN_BYTES of one load, FH_E_BUSY
 * beyond RESPONSES_LOADED_BYTES of all. */
typedef struct fh_response_load {
    size_t bytes;
} fh_response_load;
int fh_response_store_load(fh_response_store *s, fh_response_load *l, fh_str key, fh_str id, int64_t now_utc_ns, fh_kept_response *ret,
                           fh_err **err); /* as get, counted */
void fh_response_store_unload(fh_response_store *s, fh_response_load *l);
/* Input and output items of the response and all that it follows, oldest first. FH_E_INVALID when those are more than RESPONSES_CHAIN;
 * FH_E_NOT_FOUND when one of them is gone. New reference. */
int fh_response_store_chain(fh_response_store *s, fh_response_load *l, fh_str key, fh_str id, int64_t now_utc_ns, fh_json **ret_items,
                            fh_err **err);

#endif
