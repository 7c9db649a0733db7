/* The last failover, as exchanges note it: when a replica broke, and when the request has ended. */
#ifndef FH_GATEWAY_FAILOVERS_H
#define FH_GATEWAY_FAILOVERS_H

#include "gateway/traffic.h"

typedef struct fh_failovers fh_failovers;
fh_failovers *fh_failovers_new(void); /* NULL when memory is out */
void fh_failovers_free(fh_failovers *f);
/* Copies. One that is over is kept only if it was the last that broke. Any thread. */
void fh_failovers_note(fh_failovers *f, const fh_failover *one);

#endif
