/* Keys: who may speak, and for what.
 *
 * A key is fh_<8 characters>_<43 base64url characters>. The first part is its id and may be shown; the whole text exists only in the reply
 * that makes it. Kept are the id and the SHA-256 of the text, in the database (table keys) and, for checking without I/O, in memory.
 * A key that is rotated keeps its id and all that is said of it; the text before opens for a while longer if that is asked for. When a key
 * was used last is noted in memory as it is used, and written down when the owner says so. Expired keys are removed when the store opens
 * and when another is made. Threads: one owner, which the borrowed database connection belongs to; fh_keys_check may be called by any. */
#ifndef FH_GATEWAY_KEYS_H
#define FH_GATEWAY_KEYS_H

#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/trust.h"
#include "db/db.h"
#include "gateway/prefer.h"
#include "gateway/region.h"
#include <stdint.h>

enum { FH_KEY_ID_LEN = 8, FH_KEY_SECRET_LEN = 43, FH_KEY_LEN = 3 + FH_KEY_ID_LEN + 1 + FH_KEY_SECRET_LEN };

/* What a key may be used for. A scope of its own for each API, reading the control plane, and what costs: */
typedef enum fh_scope {
    FH_SCOPE_CHAT,
    FH_SCOPE_COMPLETIONS,
    FH_SCOPE_EMBEDDINGS,
    FH_SCOPE_RESPONSES,
    FH_SCOPE_MESSAGES,
    FH_SCOPE_TOKENIZE,
    FH_SCOPE_READ,  /* the control plane, and the metrics */
    FH_SCOPE_SPEND, /* replicas that somebody is paid for */
    FH_SCOPE_WAKE,  /* rented places that sleep */
    FH_SCOPE_GUARD, /* being told what is rented, to end it when the server is gone */
    FH_SCOPE_ADMIN, /* may all */
    FH_SCOPES       /* as what is needed: any key will do */
} fh_scope;
#define FH_SCOPE_BIT(scope) (1u << (scope))
#define FH_SCOPES_USE       ((FH_SCOPE_BIT(FH_SCOPE_SPEND) << 1) - 1) /* "use": all but wake, guard and admin */
#define FH_SCOPES_ADMIN     FH_SCOPE_BIT(FH_SCOPE_ADMIN)
enum { FH_SCOPES_TEXT = 128 };
const char *fh_scope_name(fh_scope s);
/* "use", "admin", or names split by commas, such as "chat,embeddings" or "use,wake". False with the first word that is none. */
bool fh_scopes_parse(fh_str text, uint32_t *ret, fh_str *ret_bad);
void fh_scopes_write(uint32_t scopes, char out[FH_SCOPES_TEXT]); /* the shortest text that is parsed as the same */

typedef enum fh_priority { FH_PRIORITY_LOW = -1, FH_PRIORITY_NORMAL, FH_PRIORITY_HIGH } fh_priority;
enum { FH_PRIORITIES = 3 };
const char *fh_priority_name(fh_priority p); /* "low", "normal", "high" */
bool fh_priority_parse(fh_str name, fh_priority *ret);

typedef struct fh_limit_set { /* what a key may ask; 0: no limit */
    uint64_t requests_per_min, tok_per_min, at_once;
} fh_limit_set;

typedef struct fh_key {                                     /* what may be shown of a key */
    char id[FH_KEY_ID_LEN + 1], name[64];                   /* the first key is named "first", those of the page "console" */
    uint32_t scopes;                                        /* FH_SCOPE_BITs */
    int64_t created_utc_ns, expires_utc_ns, revoked_utc_ns; /* 0: never */
    int64_t used_utc_ns;                                    /* of its last use, to the minute; 0: never */
    int64_t old_until_utc_ns;                               /* until when the text before the last rotation opens; 0: not any more */
    fh_limit_set limits;
    fh_priority priority, priority_most;    /* of a request that names none; and the most that one may name */
    fh_prefer prefer;                       /* of a request that says nothing */
    bool no_pages;                          /* nothing computed of its prompts lies on a disk */
    char models[FH_LIMIT_KEY_MODELS_BYTES]; /* what it may ask for, names split by commas; "": all */
    char regions[FH_LIMIT_REGIONS_BYTES];   /* where its requests may be answered, by gateway/region.h; "": anywhere */
    char trust[FH_LIMIT_TRUST_BYTES];       /* who may read them, by base/trust.h; "": each says itself */
    char owner[FH_OWNER_CHARS];             /* who pays for them: work on machines of theirs earns no standing; "": nobody was named */
} fh_key;
bool fh_key_may(const fh_key *k, fh_scope need);
/* Adds a name to k->models. FH_E_INVALID for what is no name of a model, a group or a deployment, or when there is no more room. */
int fh_key_add_model(fh_key *k, fh_str name, fh_err **err);
bool fh_key_lists_model(const fh_key *k, fh_str name); /* by that very name; true when all are */
/* The nth of k->models; empty beyond the last. */
fh_str fh_key_model(const fh_key *k, size_t n);

typedef struct fh_keys fh_keys;
int fh_keys_open(fh_keys **ret, fh_db *db, int64_t now_utc_ns, fh_err **err); /* borrows db until closed */
void fh_keys_close(fh_keys *k);
FH_DEFINE_AUTO(fh_keys, fh_keys_close);

/* text gets the key, to be shown once. spec: name, scope, limits and expires_utc_ns are read; ret (may be NULL) is the whole of it. */
int fh_keys_create(fh_keys *k, const fh_key *spec, int64_t now_utc_ns, fh_key *ret, char text[FH_KEY_LEN + 1], fh_err **err);
int fh_keys_revoke(fh_keys *k, fh_str id, int64_t now_utc_ns, fh_key *ret, fh_err **err); /* a second time: as the first */
/* Another text for the key. The one before opens for grace_ns longer, the one before that no more. FH_E_CONFLICT for a key that is over. */
int fh_keys_rotate(fh_keys *k, fh_str id, int64_t now_utc_ns, int64_t grace_ns, fh_key *ret, char text[FH_KEY_LEN + 1], fh_err **err);
void fh_keys_remove(fh_keys *k, fh_str id); /* one that nobody was given */
/* FH_E_UNAUTHENTICATED for what is no key, an unknown, an expired and a revoked one alike; how long it takes does not depend on the secret.
 */
int fh_keys_check(const fh_keys *k, fh_str text, int64_t now_utc_ns, fh_key *ret, fh_err **err);
/* Writes down when keys were used last, as far as it is not written yet. */
int fh_keys_write_used(fh_keys *k, fh_err **err);
size_t fh_keys_count(const fh_keys *k);
bool fh_keys_next(const fh_keys *k, size_t *i, fh_key *ret); /* false at the end; in no order */

#endif
