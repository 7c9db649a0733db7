/* How much one key may ask: requests and tokens a minute, and requests at once. Token buckets in memory, one record a key that asked of
 * late.
 *
 * A bucket holds at most what a minute gives and fills evenly. A request is let in when there is a request left and tokens are not
 * overdrawn; its tokens are taken as guessed when it begins and set right when it ends, so that a bucket may be overdrawn by what was not
 * foreseen. Threads: any; a lock held for a lookup only. */
#ifndef FH_GATEWAY_LIMITS_H
#define FH_GATEWAY_LIMITS_H

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "gateway/holds.h"
#include "gateway/keys.h"
#include <stdint.h>

typedef struct fh_limits fh_limits;
fh_limits *fh_limits_new(void); /* NULL when memory is out */
void fh_limits_free(fh_limits *l);
FH_DEFINE_AUTO(fh_limits, fh_limits_free);

/* FH_E_BUSY when the key has used up what it may; *ret_retry_ns then says after how long asking again makes sense. ret_state is set either
 * way. A request that was let in ends with fh_limits_end. */
int fh_limits_begin(fh_limits *l, const char *key_id, const fh_limit_set *limits, uint64_t guess_tok, int64_t now_ns,
                    fh_limit_state *ret_state, int64_t *ret_retry_ns, fh_err **err);
void fh_limits_end(fh_limits *l, const char *key_id, uint64_t guess_tok, uint64_t used_tok);
fh_hold_port fh_limits_port(fh_limits *l); /* both as a port: leases of tokens, but never of less than was asked for */

#endif
