/* What people write of a machine of the pool: its name, and what they ask for it. Pure; threads: any. */
#ifndef FH_POOL_NODE_WORDS_H
#define FH_POOL_NODE_WORDS_H

#include "base/err.h"
#include "base/str.h"

enum { FH_NODE_NAME = 64 };                        /* room for a name */
int fh_node_name_check(fh_str name, fh_err **err); /* FH_E_INVALID with param "name" */

typedef struct fh_node_ask { /* what its owner wants for an hour */
    int64_t micro;           /* millionths of the currency; 0: nothing */
    char currency[4];        /* "USD" */
} fh_node_ask;
#define FH_NODE_ASK_MOST 1000000000000LL
bool fh_node_currency_set(fh_node_ask *ask, fh_str text); /* false for what is not three capital letters */
/* "0.35", "0.35EUR"; USD when no currency is named. FH_E_INVALID with param "ask". */
int fh_node_ask_parse(fh_str text, fh_node_ask *ret, fh_err **err);

#endif
