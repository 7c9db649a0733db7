/* Records of what requests used, kept: in blocks of USAGE_BLOCK, each a row of the table `usage`.
 *
 * Nobody waits for the disk. A record is packed into the newest block (gateway/usage.h); a thread writes what is new, in one transaction
 * each USAGE_WRITE_MS, so that kill -9 loses no more than the last of them. A block that is not full is written again with what came to it.
 * When USAGE_UNWRITTEN blocks wait because the disk does not keep up or is full, records are dropped and counted. Of the blocks the newest
 * USAGE_BLOCKS_KEPT are kept, for USAGE_KEPT_DAYS. Threads: any. */
#ifndef FH_GATEWAY_USAGE_STORE_H
#define FH_GATEWAY_USAGE_STORE_H

#include "base/err.h"
#include "base/mem.h"
#include "gateway/usage.h"

typedef struct fh_usage_store fh_usage_store;
int fh_usage_store_open(fh_usage_store **ret, const char *store_url, fh_err **err); /* a database that was migrated */
void fh_usage_store_close(fh_usage_store *s);                                       /* writes what waits */
FH_DEFINE_AUTO(fh_usage_store, fh_usage_store_close);
void fh_usage_store_put(fh_usage_store *s, const fh_usage *u); /* copies */
void fh_usage_store_settle(fh_usage_store *s);                 /* returns once what waits was written, or a try to write it failed */

typedef void fh_usage_take(void *arg, const fh_usage *u); /* borrowed until it returns */
/* key: whose requests alone are seen; empty: everybody's. FH_E_NOT_FOUND. */
int fh_usage_store_find(fh_usage_store *s, fh_str request, fh_str key, fh_usage_take *take, void *arg, fh_err **err);
/* Newest first, at most count. *cursor: 0 at first, then what the call before left there; 0 again: there is nothing behind. */
int fh_usage_store_list(fh_usage_store *s, fh_str key, size_t count, uint64_t *cursor, fh_usage_take *take, void *arg, fh_err **err);

typedef struct fh_usage_counts {
    uint64_t written, dropped; /* records */
} fh_usage_counts;
void fh_usage_store_counts(fh_usage_store *s, fh_usage_counts *ret);

#endif
