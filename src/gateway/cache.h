/* Answers that are kept: the exact reply to a request that always gets the same one, found by a key of 32 bytes that says all that the
 * answer depends on (ask_key.h).
 *
 * Bounded in bytes and in entries: beyond either the answer that was not used for the longest goes; each goes after its time, used or
 * not. Nothing is on disk. An answer never changes and is counted by its users, any threads; the cache itself belongs to whoever holds the
 * lock around it (flight.h). No clock of its own. */
#ifndef FH_GATEWAY_CACHE_H
#define FH_GATEWAY_CACHE_H

#include "base/mem.h"
#include "base/str.h"
#include "gateway/usage.h"
#include "wire/stream.h"

enum { FH_ANSWER_KEY_BYTES = 32 };

typedef struct fh_answer_head { /* of a good reply, kept or on its way */
    bool stream;                /* the body is server-sent events */
    char type[128], deployment[64], model[128], place[64], reason[256], others[256];
} fh_answer_head;

typedef struct fh_answer {
    fh_answer_head head;
    char owner[16]; /* id of the key that paid for it */
    fh_used used;   /* by making it */
    fh_wire_finish finish;
    _Atomic unsigned users;
    size_t len;
    char body[];
} fh_answer;

fh_answer *fh_answer_new(const fh_answer_head *head, const char *owner, fh_wire_finish finish, const fh_used *used,
                         fh_str body); /* one user; NULL: no memory */
void fh_answer_leave(fh_answer *a);    /* NULL is fine */

typedef struct fh_cache fh_cache;
typedef struct fh_cache_bounds {
    size_t bytes, entries; /* bytes: bodies and what is written down beside them */
    int64_t kept_ns;
} fh_cache_bounds;
typedef struct fh_cache_figures {
    uint64_t entries, bytes, evicted, expired;
} fh_cache_figures;

fh_cache *fh_cache_new(const fh_cache_bounds *bounds); /* NULL: no memory */
void fh_cache_free(fh_cache *c);
/* The caller becomes a user of the answer; NULL when there is none. */
fh_answer *fh_cache_find(fh_cache *c, const uint8_t key[FH_ANSWER_KEY_BYTES], int64_t now_ns);
/* Keeps it in the place of an earlier one; one that is too large, or for which there is no memory, is not kept. */
void fh_cache_put(fh_cache *c, const uint8_t key[FH_ANSWER_KEY_BYTES], fh_answer *a, int64_t now_ns);
void fh_cache_expire(fh_cache *c, int64_t now_ns);      /* removes those whose time is over */
size_t fh_cache_forget(fh_cache *c, const char *owner); /* removes all of that key; how many there were */
void fh_cache_look(const fh_cache *c, fh_cache_figures *ret);

#endif
