/* What a server has measured of a machine of its pool, beside what that says of itself (pool/facts.h): by its own clock, over the link, and
 * with work whose result it checks. Kept with the machine's row as a JSON object. Pure; threads: any. */
#ifndef FH_POOL_MEASURED_H
#define FH_POOL_MEASURED_H

#include "base/err.h"
#include "json/json.h"

#include <stdint.h>

typedef struct fh_node_measured {     /* 0: not measured */
    int64_t at_utc_ns;                /* when it was last */
    int64_t round_trip_us;            /* there and back */
    int64_t to_bytes_s, from_bytes_s; /* of the link: to the machine, and from it */
    int64_t memory_bytes_s;           /* that it reads of its memory */
    int64_t claimed_bytes_s;          /* what it said of that then: a machine that says another was started anew */
    bool wrong;                       /* its work was not done: what it says of its memory counts for nothing */
} fh_node_measured;

fh_json *fh_node_measured_json(const fh_node_measured *m);                          /* owned; NULL when memory is out */
int fh_node_measured_read(fh_node_measured *ret, const fh_json *doc, fh_err **err); /* FH_E_CORRUPT; {} is nothing measured */

/* Bytes a second that plans reckon with: what was measured, else what it claims; 0: neither, or its work was not done. */
int64_t fh_node_measured_memory(const fh_node_measured *m, int64_t claimed_bytes_s);

#endif
