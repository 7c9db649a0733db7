/* Names of the trust classes. */
#include "gateway/ports.h"

static const char *const names[FH_TRUSTS] = {"own", "rented", "named", "any"};

const char *fh_trust_name(fh_trust t)
{
    return names[t];
}

bool fh_trust_parse(fh_str name, fh_trust *ret)
{
    for (fh_trust t = 0; t < FH_TRUSTS; t++) {
        if (!fh_str_eqs(name, names[t])) continue;
        *ret = t;
        return true;
    }
    return false;
}
