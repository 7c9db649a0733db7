/* The machine's side of being measured (see examiner.h): takes bytes and gives bytes, and does work on its memory on a thread. */
#ifndef FH_POOL_EXAMINED_H
#define FH_POOL_EXAMINED_H

#include "link/link.h"

typedef struct pool_examined pool_examined;
/* lends: may it compute for the server now? NULL: always. */
int pool_examined_new(pool_examined **ret, fh_loop *l, bool (*lends)(void *arg), void *arg, fh_err **err);
void pool_examined_free(pool_examined *x); /* work that is under way ends */

bool pool_examined_is(const fh_link_req *r); /* its path is one of these */
void pool_examined_head(fh_link_req *r);
void pool_examined_answer(pool_examined *x, fh_link_req *r);

#endif
