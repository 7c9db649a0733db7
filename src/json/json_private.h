/* What the files of this module share: jansson, running on our allocator. */
#ifndef FH_JSON_PRIVATE_H
#define FH_JSON_PRIVATE_H

#include "json/json.h"
#include <jansson.h>

/* Nesting that a writer follows: a parsed document (JSON_DEPTH) inside envelopes of our own. */
#define JSON_WRITE_DEPTH 256

/* Clears the mark that an allocation of this thread failed inside jansson, and asks for it: jansson itself reports some of them as syntax
 * errors. */
void json_alloc_mark_clear(void);
bool json_alloc_mark(void);

#endif
