/* What others say, as it is shown: in one line, without what a terminal would obey. */
#ifndef FH_SUPPLY_WORDS_H
#define FH_SUPPLY_WORDS_H

#include "base/str.h"

/* The last of the text where it is longer than there is room for. out may be the text itself. */
void fh_supply_words(fh_str text, char *out, size_t out_size);

#endif
