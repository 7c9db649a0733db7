/* Keys: who may speak, and for what.
 *
 * A key is fh_<8 characters>_<43 base64url characters>. The first part is its id and may be shown; the whole text exists only in the reply
 * that makes it. Kept are the id and the SHA-256 of the text, in the database (table keys) and, for checking without I/O, in memory.
 * Expired console keys are removed when the store opens and when another is made. Threads: one owner, which the borrowed database
 * connection belongs to; fh_keys_check may be called by any. */
#ifndef FH_GATEWAY_KEYS_H
#define FH_GATEWAY_KEYS_H

#include "base/mem.h"
#include "base/str.h"
#include "db/db.h"
#include <stdint.h>

enum { FH_KEY_ID_LEN = 8, FH_KEY_SECRET_LEN = 43, FH_KEY_LEN = 3 + FH_KEY_ID_LEN + 1 + FH_KEY_SECRET_LEN };

typedef enum fh_scope { FH_SCOPE_USE, FH_SCOPE_ADMIN } fh_scope; /* admin may all that use may */
const char *fh_scope_name(fh_scope s);                           /* "use", "admin" */
bool fh_scope_parse(fh_str name, fh_scope *ret);

typedef struct fh_limit_set { /* what a key may ask; 0: no limit */
    uint64_t requests_per_min, tok_per_min, at_once;
} fh_limit_set;

typedef struct fh_key {                   /* what may be shown of a key */
    char id[FH_KEY_ID_LEN + 1], name[64]; /* the first key is named "first", those of the page "console" */
    fh_scope scope;
    int64_t created_utc_ns, expires_utc_ns, revoked_utc_ns; /* 0: never */
    fh_limit_set limits;
} fh_key;

typedef struct fh_keys fh_keys;
int fh_keys_open(fh_keys **ret, fh_db *db, int64_t now_utc_ns, fh_err **err); /* borrows db until closed */
void fh_keys_close(fh_keys *k);
FH_DEFINE_AUTO(fh_keys, fh_keys_close);

/* text gets the key, to be shown once. spec: name, scope, limits and expires_utc_ns are read; ret (may be NULL) is the whole of it. */
int fh_keys_create(fh_keys *k, const fh_key *spec, int64_t now_utc_ns, fh_key *ret, char text[FH_KEY_LEN + 1], fh_err **err);
int fh_keys_revoke(fh_keys *k, fh_str id, int64_t now_utc_ns, fh_key *ret, fh_err **err); /* a second time: as the first */
void fh_keys_remove(fh_keys *k, fh_str id);                                               /* one that nobody was given */
/* FH_E_UNAUTHENTICATED for what is no key, an unknown, an expired and a revoked one alike; how long it takes does not depend on the secret.
 */
int fh_keys_check(const fh_keys *k, fh_str text, int64_t now_utc_ns, fh_key *ret, fh_err **err);
size_t fh_keys_count(const fh_keys *k);
const fh_key *fh_keys_next(const fh_keys *k, size_t *i); /* NULL at the end; borrowed until the next change; in no order */

#endif
