/* freehold provider check --honesty (see provider_honesty.c). */
#ifndef FH_CLI_PROVIDER_HONESTY_H
#define FH_CLI_PROVIDER_HONESTY_H

#include "client.h"

/* Starts a check, waits until it is over, and prints what it found. FH_E_CONFLICT when the endpoint cheats. */
int fh_provider_honesty(fh_cli *c, fh_err **err);

#endif
