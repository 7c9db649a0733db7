/* Regions: where in the world a replica stands, by a short label that its owner gives it (eu-west-1, de). Labels are compared as they are:
 * "eu" is another region than "eu-west-1". A list of them is text, with commas and no blanks between. Pure. */
#ifndef FH_GATEWAY_REGION_H
#define FH_GATEWAY_REGION_H

#include "base/err.h"
#include "base/limits.h"
#include "base/str.h"

enum { FH_REGION_CHARS = FH_LABEL_CHARS };
bool fh_region_is(fh_str name);                             /* 1 to 63 small letters, digits and dashes */
fh_str fh_regions_at(const char *list, size_t n);           /* the nth; empty beyond the last */
bool fh_regions_hold(const char *list, const char *region); /* false for a region that is not known: NULL, "" */
/* Adds a name to the list, once. FH_E_INVALID for what is no label, or when there is no more room. */
int fh_regions_add(char list[FH_LIMIT_REGIONS_BYTES], fh_str name, fh_err **err);
/* Names with commas between, and blanks around them; at least one. ret is touched only on success. */
int fh_regions_parse(fh_str text, char ret[FH_LIMIT_REGIONS_BYTES], fh_err **err);

#endif
