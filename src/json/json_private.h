/* What the files of this module share: jansson, running on our allocator. */
#ifndef FH_JSON_PRIVATE_H
#define FH_JSON_PRIVATE_H

#include "json/json.h"
#include <jansson.h>

/* Nesting that a writer follows: a parsed document (JSON_DEPTH) inside envelopes of our own. */
#define JSON_WRITE_DEPTH 256

/* Around jansson's parser. end: did an allocation of this thread fail meanwhile? jansson itself reports some of them as syntax errors. */
void json_parse_begin(void);
bool json_parse_end(void);

#endif
