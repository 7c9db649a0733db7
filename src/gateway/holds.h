/* The ports that bound requests, asked one after another: the key's limits, then what the wiring gives (gateway/holds.h). */
#ifndef FH_GATEWAY_HOLDS_PRIVATE_H
#define FH_GATEWAY_HOLDS_PRIVATE_H

#include "gateway/holds.h"

enum { FH_HOLD_PORTS = 2 };
typedef struct fh_leases {
    fh_lease list[FH_HOLD_PORTS];
    size_t held;
} fh_leases;

/* All of them or none; ret holds the words of the one that refused, too. */
int fh_holds_take(const fh_hold_port *ports, size_t count, const fh_hold *h, fh_leases *ret, fh_err **err);
void fh_holds_settle(const fh_hold_port *ports, const fh_hold *h, fh_leases *l, const fh_spent *spent);
/* The least that any of them grants; 0: as it was asked for. */
uint64_t fh_holds_answer_tok(const fh_leases *l);
/* After how long asking again makes sense, of what was refused; 0: not by waiting. */
int64_t fh_holds_retry_ns(const fh_leases *l);

#endif
