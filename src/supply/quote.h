/* Words for a shell of the family of sh: within single quotes it sees nothing but the next quote, so that no word can become anything else.
 */
#ifndef FH_SUPPLY_QUOTE_H
#define FH_SUPPLY_QUOTE_H

#include "base/buf.h"

static inline void fh_supply_quote(const char *word, fh_buf *out)
{
    fh_buf_addc(out, '\'');
    for (; *word; word++)
        if (*word == '\'')
            fh_buf_adds(out, "'\\''");
        else
            fh_buf_addc(out, *word);
    fh_buf_addc(out, '\'');
}

#endif
