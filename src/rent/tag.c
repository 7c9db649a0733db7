/* Tags: freehold:INSTALLATION:EPOCH.ACT. Read strictly, since what carries one may be ended. */
#include "rent_private.h"

#include <inttypes.h>
#include <stdio.h>

#define PREFIX "freehold:"
enum { HEX = 16 };

void fh_rent_tag_write(const char *installation, const char *epoch, int64_t act, char out[FH_RENT_TAG_CHARS])
{
    snprintf(out, FH_RENT_TAG_CHARS, PREFIX "%s:%s.%" PRId64, installation, epoch, act);
}

static bool take_hex(const char **at, char after, char ret[HEX + 1])
{
    size_t n = strspn(*at, "0123456789abcdef");
    if (n != HEX || (*at)[n] != after) return false;
    memcpy(ret, *at, HEX);
    ret[HEX] = '\0';
    *at += HEX + 1;
    return true;
}

bool fh_rent_tag_read(const char *tag, char ret_installation[17], char ret_epoch[17], int64_t *ret_act)
{
    uint64_t number = 0;
    if (strncmp(tag, PREFIX, sizeof PREFIX - 1) != 0) return false;
    const char *at = tag + sizeof PREFIX - 1;
    if (!take_hex(&at, ':', ret_installation) || !take_hex(&at, '.', ret_epoch)) return false;
    if (*at == '0' || !fh_str_u64(fh_str_of(at), INT64_MAX, &number)) return false;
    *ret_act = (int64_t)number;
    return true;
}
